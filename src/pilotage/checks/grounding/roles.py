"""Names that the evidence does not have, or has in another place: another name in the slot, two names exchanged.

What is not covered: names in a text without capitals, and roles that only the meaning of a verb tells apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import combinations

from pilotage.checks.grounding.findings import Finding, shown
from pilotage.checks.grounding.lines import Item, Line
from pilotage.checks.grounding.pairing import Pairing, is_near
from pilotage.language.lexicon import lexicon
from pilotage.language.words import BE

_WORD = re.compile(r"[^\W_]+(?:[.&][^\W_]+)*")
_DROPPED = re.compile("'s\\b|[\u0300-\u036f']")
_INITIALS = re.compile(r"\b(?:[A-Z][\w]* (?:of |and |the )?){2,5}")
_SYMMETRIC_WORDS = "and or with between marry meet versus vs near like & ,"
_SYMMETRIC = frozenset(_SYMMETRIC_WORDS.split())
_ALIKE = 0.75  # of the letters of two spellings of one name
_USUAL = (
    frozenset({"america", "american", "americans", "united", "states", "us", "usa"}),
    frozenset({"britain", "british", "england", "english", "uk", "united", "kingdom", "london"}),
    frozenset({"soviet", "ussr", "russia", "russian", "union"}),
    frozenset({"netherlands", "holland", "dutch"}),
    frozenset({"nyc", "york", "manhattan"}),
)
"""Names that people use for one another."""
Span = tuple[int, int]


@lru_cache(maxsize=128)
def _words_of(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words of a text, folded and without dots; and their first four letters."""
    words = {word.replace(".", "") for word in _WORD.findall(fold(text))}
    words |= {part for word in words if "&" in word for part in word.split("&")}
    return frozenset(words), frozenset(word[:4] for word in words if len(word) > 3)


@lru_cache(maxsize=128)
def _initials_of(text: str) -> frozenset[str]:
    """What the first letters of names in the text spell: us of United States."""
    found: set[str] = set()
    for name in _INITIALS.findall(text):
        letters = "".join(word[0] for word in name.split() if word[0].isupper()).lower()
        found |= {letters[start:end] for start in range(len(letters)) for end in range(start + 2, len(letters) + 1)}
    return frozenset(found)


def fold(text: str) -> str:
    """Lower case without accents, genitives and the apostrophe of a name: L'Oréal, loreal."""
    low = text.lower().replace("’", "'")
    plain = low if low.isascii() else unicodedata.normalize("NFKD", low)
    return _DROPPED.sub("", plain)


def is_absent(line: Line, span: Span, whole: str) -> bool:
    """Whether no word of the name stands in the text, in full, by its first letters or by initials."""
    items = [item for item in line.items[slice(*span)] if not item.is_small]
    if any(item.raw in whole for item in items if len(item.raw) > 3):
        return False
    words, stems = _words_of(whole)
    if any(_stands(fold(item.low).replace(".", ""), words, stems) for item in items):
        return False
    initials = "".join(item.raw[0] for item in items).lower()
    if len(initials) > 1 and initials in words:
        return False
    loud = {item.low.replace(".", "").lower() for item in items if item.raw.isupper()}
    return not (loud and loud & _initials_of(whole))


def _stands(word: str, words: frozenset[str], stems: frozenset[str]) -> bool:
    return word in words or (len(word) > 3 and word[:4] in stems) or (len(word) < 3 and word.isascii())


def are_same(mine: Sequence[Item], theirs: Sequence[Item]) -> bool:
    """Whether two names may be one: spelled alike, of one root, or usual names of one country."""
    folded = [{word for item in items for word in fold(item.low).split("-")} for items in (mine, theirs)]
    if any(folded[0] & usual and folded[1] & usual for usual in _USUAL):
        return True
    if any(SequenceMatcher(None, a, b).ratio() >= _ALIKE for a in folded[0] for b in folded[1]):
        return True
    return any(is_near(one, other) for one in mine for other in theirs)


def find_names(pairing: Pairing, whole: str) -> Iterator[Finding]:
    claim = pairing.claim
    for span in claim.names:
        name = shown(claim, *span)
        rival = _rival(pairing, span)
        if is_absent(claim, span, whole):
            strength = 1.0 if rival and pairing.alike >= 0.5 else 0.7
            yield Finding("name", f"name {name} not in source" + (f": it has {rival}" if rival else ""), strength)
        elif rival and not any(at in pairing.partners for at in range(*span)):
            yield Finding("name", f"source: {rival}; claim: {name}", 0.8)
        elif rival:
            yield Finding("name", f"source: {rival}; claim: {name}", 0.8 if pairing.alike >= 0.8 else 0.5)


def _rival(pairing: Pairing, span: Span) -> str:
    """Another name of the sentence where this one should stand: behind the same word, or before it."""
    claim, sentence = pairing.claim, pairing.sentence
    mine = {base for at in range(*span) for base in claim.items[at].bases}
    named = {base for start, end in claim.names for at in range(start, end) for base in claim.items[at].bases}
    for start, end in sentence.names:
        theirs = {base for at in range(start, end) for base in sentence.items[at].bases}
        if theirs & mine or theirs & named or (end - start == 1 and len(sentence.items[start].raw.strip(".")) < 2):
            continue
        if are_same(claim.items[slice(*span)], sentence.items[start:end]):
            continue
        if _same_side(pairing, span, (start, end), -1) or _same_side(pairing, span, (start, end), 1):
            return shown(sentence, start, end)
    return ""


def _same_side(pairing: Pairing, mine: Span, theirs: Span, step: int) -> bool:
    """Whether the words next to both names are counterparts, with the same small words between."""
    one, links = _neighbour(pairing.claim, mine, step)
    other, theirs_links = _neighbour(pairing.sentence, theirs, step)
    if one is None or other is None or links != theirs_links:
        return False
    return other in pairing.partners.get(one, ())


def _neighbour(line: Line, span: Span, step: int) -> tuple[int | None, tuple[str, ...]]:
    """The next content word on that side and the small words between, articles aside."""
    links: list[str] = []
    at = span[0] - 1 if step < 0 else span[1]
    while 0 <= at < len(line.items) and len(links) < 3:
        item = line.items[at]
        if not item.is_small:
            return (at, tuple(links)) if not item.in_figure else (None, ())
        if item.low in (".", ";", ":"):
            break
        if item.low not in ("a", "an", "the"):
            links.append(item.low)
        at += step
    return None, ()


# --- roles


def find_swaps(pairing: Pairing) -> Iterator[Finding]:
    """Two names that have changed places: by what stands before them, or around the same verb."""
    claim = pairing.claim
    is_subject = bool(claim.items) and not (claim.items[0].is_small or claim.items[0].is_name)
    subject = [(0, 1)] if is_subject else []  # Bell, Apple: a name or a common word that opens the sentence
    ends = [(span, _place(pairing, span)) for span in (*subject, *claim.names)]
    known = [(span, place) for span, place in ends if place is not None]
    for (one, here), (other, there) in combinations(known, 2):
        if here == there or any(item.bases & _SYMMETRIC for item in claim.items[one[1] : other[0]]):
            continue
        if _are_exchanged(pairing, one, other) or _turned(pairing, one, other, here, there):
            text = f"source: {_told(pairing.sentence, here, there)}; claim: {shown(claim, one[0], other[1])}"
            yield Finding("roles", text, 1.0 if pairing.alike >= 0.75 else 0.6)
            return


def _place(pairing: Pairing, span: Span) -> int | None:
    """Where the name stands in the sentence; None when it does not, or more than once."""
    found = [set(pairing.partners.get(at, ())) for at in range(*span) if at in pairing.partners]
    places = found[-1] if found else set()
    return min(places) if len(places) == 1 else None


def _told(sentence: Line, here: int, there: int) -> str:
    return shown(sentence, min(here, there), max(here, there) + 1)


def _are_exchanged(pairing: Pairing, one: Span, other: Span) -> bool:
    """What stands before each in the claim stands before the other one in the sentence."""
    before = [_neighbour(pairing.claim, span, -1) for span in (one, other)]
    after = [_neighbour(pairing.claim, span, 1) for span in (one, other)]
    places = [_place(pairing, span) for span in (one, other)]
    crossed = straight = 0
    for step, sides in ((-1, before), (1, after)):
        for which, (at, links) in enumerate(sides):
            if at is None:
                continue
            for target in (0, 1):
                place = places[target]
                if place is None:
                    continue
                theirs = _neighbour(pairing.sentence, _grown(pairing.sentence, place), step)
                if theirs[0] is not None and theirs[1] == links and theirs[0] in pairing.partners.get(at, ()):
                    crossed += target != which
                    straight += target == which
    return crossed >= 1 and straight == 0


def _grown(line: Line, place: int) -> Span:
    return next((span for span in line.names if span[0] <= place < span[1]), (place, place + 1))


def _turned(pairing: Pairing, one: Span, other: Span, here: int, there: int) -> bool:
    """The same word stands between both names in claim and sentence, and they are on the wrong sides of it."""
    claim, sentence = pairing.claim, pairing.sentence
    for at in range(one[1], other[0]):
        for place in pairing.partners.get(at, ()):
            if not min(here, there) < place < max(here, there) or not _acts(claim, at):
                continue
            is_turned = here > there
            if is_turned != (_is_passive(claim, at) != _is_passive(sentence, place)):
                return True
    return False


def _acts(line: Line, at: int) -> bool:
    book = lexicon()
    item = line.items[at]
    return not item.is_name and any(book.knows(base, "v") for base in item.bases) and not book.knows(item.low, "a")


def _is_passive(line: Line, at: int) -> bool:
    """was founded by, founded by"""
    item = line.items[at]
    if not lexicon().is_participle(item.low):
        return False
    before = {other.low for other in line.items[max(at - 3, 0) : at]}
    after = [other.low for other in line.items[at + 1 : at + 4]]
    return "by" in after or bool(before & BE)
