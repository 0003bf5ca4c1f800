"""Reading English sentences: words, names, numbers, dates, units, negations, and what WordNet says of them."""
