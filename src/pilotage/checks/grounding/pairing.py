"""Which words of a claim have their counterpart in a sentence: same base form, synonym, or same root.

What is not covered: counterparts of several words, and which meaning of a word is meant.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

from pilotage.checks.grounding.lines import Item, Line
from pilotage.language.lexicon import lexicon

RAREST = 2  # rank of a meaning up to which two words count as synonyms
_SHORTEST_STEM = 5


@dataclass(frozen=True, slots=True)
class Pairing:
    """A claim against a sentence: for each place of the claim its possible counterparts in the sentence."""

    claim: Line
    sentence: Line
    partners: dict[int, tuple[int, ...]]
    alike: float  # share of the claim's content words that have one

    def alone(self) -> list[int]:
        """Places of the claim's content words without a counterpart."""
        return [at for at in self.claim.content() if at not in self.partners]

    def spare(self) -> list[int]:
        """Places of the sentence's content words that no word of the claim has."""
        taken = {place for places in self.partners.values() for place in places}
        return [at for at in self.sentence.content() if at not in taken]


@lru_cache(maxsize=1024)
def pair_words(claim: Line, sentence: Line) -> Pairing:
    by_base: dict[str, list[int]] = defaultdict(list)
    for at, item in enumerate(sentence.items):
        if not item.is_small:
            for base in item.bases:
                by_base[base].append(at)
    content = claim.content()
    partners: dict[int, tuple[int, ...]] = {}
    for at in content:
        places = {place for base in claim.items[at].bases for place in by_base.get(base, ())}
        if places:
            partners[at] = tuple(sorted(places))
    theirs = [place for place in sentence.content() if not any(place in places for places in partners.values())]
    for at in content:
        if at not in partners and (near := [p for p in theirs if is_near(claim.items[at], sentence.items[p])]):
            partners[at] = tuple(near)
    return Pairing(claim, sentence, partners, len(partners) / len(content) if content else 0.0)


def is_near(one: Item, other: Item) -> bool:
    """Whether two words can mean the same: synonyms, one root, or one stem (Norway, Norwegian)."""
    return _is_near(one.low.lower(), other.low.lower(), one.bases, other.bases)


@lru_cache(maxsize=8192)
def _is_near(one: str, other: str, mine: frozenset[str], theirs: frozenset[str]) -> bool:
    book = lexicon()
    if _shares_stem(one, other):
        return not any(book.is_opposite(a, b) for a in mine for b in theirs)
    if any(book.is_root(a, b) or book.own.get(a, set()) & book.own.get(b, set()) for a in mine for b in theirs):
        return True
    return any(max(book.rank(a, b)) <= RAREST for a in mine for b in theirs)


def _shares_stem(one: str, other: str) -> bool:
    """The longer word goes on with an ending after at least five letters in common."""
    common = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return common >= _SHORTEST_STEM and max(len(one), len(other)) - common <= 4
