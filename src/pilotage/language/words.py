"""The closed classes of English that a question is read with: what carries its grammar, and what it turns on.

Closed means that the language takes in no new members. Words that mean something stand in the lexicon instead.
"""

from __future__ import annotations

ARTICLES = frozenset({"a", "an", "the"})
BE = frozenset({"am", "is", "are", "was", "were", "be", "been", "being"})
DO = frozenset({"do", "does", "did"})
HAVE = frozenset({"have", "has", "had", "having"})
MODALS = {
    "can": "can", "could": "can", "may": "may", "might": "might", "must": "must", "shall": "will", "will": "will",
    "should": "should", "ought": "should", "would": "would", "cannot": "can",
}  # fmt: skip
PAST = frozenset({"was", "were", "did", "had"})
_ANYONE_WORDS = (
    "i you we one me us my your our mine yours ours myself yourself ourselves oneself people someone anyone "
    "somebody anybody"
)
ANYONE = frozenset(_ANYONE_WORDS.split())
_OTHERS_WORDS = "he him his she her hers they them their theirs himself herself themselves"
OTHERS = frozenset(_OTHERS_WORDS.split())
DUMMIES = frozenset({"it", "its", "there", "itself"})
NEGATIONS = frozenset({"not", "no", "none", "nor", "neither", "without", "lack", "non", "unlike"})
ABSOLUTE = frozenset({"never", "nobody", "nothing", "nowhere", "hardly", "barely", "scarcely"})
DEMONSTRATIVES = {"this": "this", "these": "this", "that": "that", "those": "that"}
QUANTIFIERS = {
    "all": "all", "every": "all", "each": "each", "whole": "all", "entire": "all", "everybody": "everyone",
    "everyone": "everyone", "both": "both", "either": "either", "some": "some", "many": "many", "much": "much",
    "few": "few", "fewer": "less", "several": "several", "most": "most", "more": "more", "less": "less",
    "least": "least", "half": "half", "enough": "enough", "only": "only", "solely": "only", "even": "even",
    "also": "also", "too": "too", "just": "only", "other": "other", "another": "other", "same": "same", "own": "own",
    "such": "such", "always": "always", "often": "often", "sometimes": "sometimes", "rarely": "rarely",
    "seldom": "rarely", "usually": "usually", "again": "again", "once": "once", "twice": "twice", "still": "still",
    "yet": "yet", "already": "already", "else": "else", "double": "double", "triple": "triple", "majority": "most",
    "everything": "everything", "something": "something", "anything": "anything", "single": "single",
}  # fmt: skip
FREE = frozenset({"any", "ever", "please", "exactly", "so", "then", "actually", "as", "yet", "already"})
JOINING = {"and": "and", "or": "or", "but": "but", "versus": "or", "vs": "or"}
CLAUSES = {
    "if": "if", "when": "if", "once": "after", "because": "because", "although": "although", "though": "although",
    "while": "during", "unless": "unless", "whether": "whether", "since": "since", "until": "until", "till": "until",
    "before": "before", "after": "after", "than": "than", "whereas": "although", "where": "where",
}  # fmt: skip
PREPOSITIONS = {
    "of": "of", "in": "in", "on": "on", "at": "at", "to": "to", "from": "from", "by": "by", "for": "for",
    "with": "with", "about": "about", "regarding": "about", "concerning": "about", "into": "to", "onto": "onto",
    "over": "over", "under": "under", "above": "above", "below": "below", "between": "between", "among": "among",
    "through": "through", "via": "through", "during": "during", "within": "within", "inside": "inside",
    "outside": "outside", "against": "against", "toward": "toward", "towards": "toward", "upon": "on", "per": "per",
    "like": "like", "near": "near", "beside": "beside", "behind": "behind", "beyond": "beyond", "across": "across",
    "along": "along", "around": "around", "off": "off", "out": "out", "up": "up", "down": "down", "throughout":
    "throughout", "despite": "despite", "except": "except", "besides": "besides", "beneath": "below", "as": "as",
    "away": "away", "back": "back", "plus": "plus", "minus": "minus", "amid": "amid", "past": "past",
}  # fmt: skip
_PARTICLES_WORDS = "on off up down out in back away over through by for to with"
PARTICLES = frozenset(_PARTICLES_WORDS.split())
PHRASES = {
    "up to": "at-most", "as many as": "at-most", "no more than": "at-most", "at most": "at-most",
    "not more than": "at-most", "a maximum of": "at-most", "maximum of": "at-most",
    "at least": "at-least", "no fewer than": "at-least", "no less than": "at-least", "not less than": "at-least",
    "a minimum of": "at-least", "minimum of": "at-least",
    "more than": "more-than", "greater than": "more-than", "in excess of": "more-than", "fewer than": "less-than",
    "less than": "less-than",
}  # fmt: skip
"""In front of an amount: a bound."""
LONG_PREPOSITIONS = {
    "because of": "because", "due to": "because", "owing to": "because", "as a result of": "because",
    "according to": "under", "in accordance with": "under", "instead of": "instead", "in place of": "instead",
    "rather than": "instead", "in front of": "before", "next to": "beside", "out of": "out", "on behalf of": "for",
    "with regard to": "about", "in terms of": "by", "in case of": "if", "in the event of": "if", "in case": "if",
    "as soon as": "after", "prior to": "before", "as of": "since", "apart from": "except", "such as": "like",
    "for example": "like", "in the course of": "during", "in order to": "to", "so as to": "to", "as well as": "and",
    "together with": "with", "thanks to": "because",
}  # fmt: skip
_LIGHT_WORDS = (
    "have get apply exist do use go show make be impose involve offer provide come lie belong concern arise feature"
)
LIGHT = frozenset(_LIGHT_WORDS.split())
"""Verbs that say nothing of their own beside the nouns of the other wording."""
BLAND = frozenset({"person", "people", "thing", "way", "case", "take place", "happen", "occur"})
SPANS = frozenset({"last", "take"})
"""How long does it last: the verb says no more than the question."""
_UNCHANGED_WORDS = "read put cut set hit shut let hurt quit spread cast split burst shed bid knit upset"
UNCHANGED = frozenset(_UNCHANGED_WORDS.split())
"""Verbs whose participle is the verb itself: told by their place, at the end of a passive."""
_SUMS_WORDS = "fee price charge rent fine penalty toll tax fare premium surcharge tariff cost bill"
SUMS = frozenset(_SUMS_WORDS.split())
"""What is a sum of money: how much it is, and what it is, are one question."""
_DIMENSIONS_WORDS = (
    "weight sum amount speed temperature period height altitude depth distance length width capacity "
    "elevation voltage power pressure volume size age duration"
)
DIMENSIONS = frozenset(_DIMENSIONS_WORDS.split())
"""What an amount is one of: a height of 2 m is 2 m."""
MEASURING = frozenset({"weigh", "measure", "number"})
"""Verbs that say of an amount what its unit says: weighing 10 kg."""
_HABITS_WORDS = "usually typically normally generally commonly customarily"
HABITS = frozenset(_HABITS_WORDS.split())
_NOWADAYS_WORDS = "nowadays presently"
NOWADAYS = frozenset(_NOWADAYS_WORDS.split())
_EMPHASES_WORDS = "actually really precisely simply basically possibly kindly"
EMPHASES = frozenset(_EMPHASES_WORDS.split())
_BODIES_WORDS = "company firm organisation organization institution authority agency provider body person entity party"
BODIES = frozenset(_BODIES_WORDS.split())
"""Which company sells it: who sells it."""
_MAGNITUDES_WORDS = (
    "rate number limit percentage share level amount size speed temperature voltage pressure dose dosage timeout "
    "period quota threshold interest salary probability risk bonus cap density frequency budget turnover "
    "allowance proportion"
)
MAGNITUDES = frozenset(_MAGNITUDES_WORDS.split())
"""How high it is, and what it is, are one question."""
EVENTS = frozenset({"take place", "happen", "occur"})
GIVING = frozenset({"give", "send", "pay", "owe", "show", "tell", "offer", "teach", "grant", "award"})
"""Verbs with two objects: pay the bank a fee, pay a fee to the bank."""
HANDING = frozenset({"submit", "file", "send", "deliver", "return", "hand in", "turn in", "send in", "pay"})
"""What is done with what is due."""
SPANNING = frozenset({"act", "event", "state", "time", "process"})
"""Classes of nouns that last: how long the strike is, and how long it lasts."""
_CONVERSES_WORDS = (
    "teach-learn substitute-replace substitute-exchange substitute-swap substitute-trade rent-let lease-let"
)
CONVERSES = frozenset(frozenset(pair.split("-")) for pair in _CONVERSES_WORDS.split())
"""The same deed from its two sides: WordNet has both in one group."""
DIRECTED = frozenset({"rate", "exchange", "convert", "conversion", "ratio", "score", "translate", "translation"})
"""From one to the other, although they say `between` and `and`."""
DESIGNATORS = frozenset({"code", "number", "version", "no", "nr"})
"""Nouns that may stand between a thing and its number: status 404, status code 404."""

ASKING = frozenset(["what", "which", "who", "whom", "whose", "when", "where", "why", "how"])

CLOSED = frozenset().union(
    ASKING,
    ARTICLES, BE, DO, HAVE, MODALS, ANYONE, OTHERS, DUMMIES, NEGATIONS, ABSOLUTE, QUANTIFIERS, FREE, JOINING, CLAUSES,
    PREPOSITIONS, PARTICLES, PHRASES, LONG_PREPOSITIONS,
)  # fmt: skip
