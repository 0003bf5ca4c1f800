"""The sentences of a text that speak of a claim, best first, each with what it needs to be understood.

Lexical and fast: one pass over the text for the claim's words, their inflections and closest synonyms, weighed by
rarity in the text; numbers and names count more. What is not covered: sentences that say it in wholly other words.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from pilotage.checks.grounding.lines import Figure, Line, read_line
from pilotage.language.amounts import MONTHS, ONES, ORDINALS
from pilotage.language.lexicon import lexicon

LONGEST = 600  # characters of a sentence; longer ones are cut at a mark or a space
_END = re.compile(r"[.!?][\"'”’)\]]*\s+|[\n。！？]\s*")
_ABBREVIATIONS = frozenset(
    {"Mr", "Mrs", "Ms", "Dr", "St", "No", "vs", "Jr", "Sr", "Prof", "Gen", "Rev", "e.g", "i.e", "Co"}
)
_HEADING = re.compile(r"^#{1,6} .*$", re.MULTILINE)
_NAME, _NUMBER, _SYNONYM, _BESIDE = 1.3, 1.5, 0.6, 0.25  # what a match weighs
_SYNONYMS = 3  # of each word
_CONTEXT = 300  # characters of each part of a context
_SPELLED = {number: word for word, number in (*ORDINALS.items(), *ONES.items())}


@dataclass(frozen=True)
class Candidate:
    """A sentence of the text from `start`; `score` 0 to 1 is the weighed share of the claim that stands in it.

    `context` is the title or first sentence of the text, the heading above and the sentence before.
    """

    text: str
    start: int
    score: float
    context: str = ""


@dataclass(frozen=True)
class _Term:
    """A word of the claim: the beginnings of words that stand for it, with what each is worth."""

    stems: tuple[tuple[str, float], ...]
    weight: float


def best_sentences(claim: str, text: str, most: int = 4) -> list[Candidate]:
    """At most `most` sentences with a word of the claim, best first; the beginning of the text when none has."""
    spans = split_text(text)
    terms = _terms(claim)
    if not spans or not terms:
        return [Candidate(text[start:end], start, 0.0) for start, end in spans[:1]]
    found = _matches(terms, text, spans)
    weights = _weights(terms, found, len(spans))
    scores = {at: _score(at, found, weights) for at in found}
    chosen = sorted(scores, key=lambda at: (-scores[at], at))[:most]
    if not chosen:
        return [Candidate(text[slice(*spans[0])], spans[0][0], 0.0)]
    return [Candidate(text[slice(*spans[at])], spans[at][0], scores[at], _context(text, spans, at)) for at in chosen]


@lru_cache(maxsize=32)
def split_text(text: str) -> tuple[tuple[int, int], ...]:
    """Where the sentences of a text stand, cut at lines and at marks before a capital.

    >>> [text[a:b] for text in ["Mr. X came. He left."] for a, b in split_text(text)]
    ['Mr. X came.', 'He left.']
    """
    edges = [0, *(match.end() for match in _END.finditer(text) if _ends(text, match)), len(text)]
    trimmed = (_trim(text, start, end) for start, end in pairwise(edges))
    return tuple(part for start, end in trimmed if start < end for part in _short(text, start, end))


def _ends(text: str, match: re.Match[str]) -> bool:
    """A line or a mark of Chinese; else a mark behind no abbreviation and before no small letter.

    A single line break between a comma or letter and a small letter is one of layout.
    """
    at = match.start()
    if match[0][0] == "\n":
        is_wrapped = match[0].count("\n") == 1 and text[match.end() : match.end() + 1].islower()
        return not (is_wrapped and (text[at - 1 : at].islower() or text[at - 1 : at] == ","))
    if match[0][0] not in ".!?" or "\n" in match[0]:
        return True
    before = text[text.rfind(" ", max(at - 8, 0), at) + 1 : at].lstrip("(\"“‘'")
    following = text[match.end() : match.end() + 2].lstrip("\"'“‘([")
    is_short = match[0][0] == "." and (before in _ABBREVIATIONS or (len(before) == 1 and before.isupper()))
    return not is_short and not following[:1].islower()


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


def _short(text: str, start: int, end: int) -> list[tuple[int, int]]:
    found = []
    while end - start > LONGEST:
        limit = start + LONGEST
        cut = max(text.rfind("; ", start + LONGEST // 2, limit), text.rfind(", ", start + LONGEST // 2, limit)) + 1
        cut = cut or text.rfind(" ", start + 1, limit) + 1 or limit
        found.append(_trim(text, start, cut))
        start = _trim(text, cut, end)[0]
    return [*found, (start, end)]


# --- the claim's words


@lru_cache(maxsize=1024)
def _terms(claim: str) -> tuple[_Term, ...]:
    line = read_line(claim)
    terms = [_word_term(line, at) for at in line.content()]
    for figure in line.figures:
        terms += _figure_terms(figure)
    return tuple(dict.fromkeys(term for term in terms if term.stems))


def _word_term(line: Line, at: int) -> _Term:
    item = line.items[at]
    low = item.low.lower()
    stems = {stem(base): 1.0 for base in sorted({low, *item.bases})}
    if not item.is_name:
        near = {other for base in item.bases for other in lexicon().synonyms(base, 1) if " " not in other}
        for other in sorted(near, key=lambda word: (len(word), word))[:_SYNONYMS]:
            stems.setdefault(stem(other), _SYNONYM)
    return _Term(tuple(stems.items()), _NAME if item.is_name else 1.0)


def stem(word: str) -> str:
    """The beginning that the inflections of a word share; with an end mark where the word is short."""
    if len(word) <= 3 or not word.isalpha():
        return word + "$"
    return word[:-1] if word[-1] in "ey" else word


def _figure_terms(figure: Figure) -> list[_Term]:
    if figure.kind == "date":
        year, month, day = figure.date
        names = [name for name, number in MONTHS.items() if number == month]
        found: list[tuple[tuple[str, float], ...]] = [((f"{year}$", 1.0),)] if year else []
        found += [tuple((f"{name}$", 1.0) for name in names)] if names else []
        found += [((f"{day}$", 1.0), (f"{day:02}$", 1.0))] if day else []
        return [_Term(stems, _NUMBER) for stems in found]
    spellings = {f"{word.lower()}$" for word in figure.text.split() if word[0].isdigit()}
    if figure.value.denominator == 1:
        number = int(figure.value)
        spellings |= {f"{number}$", f"{number:,}$", f"{_SPELLED.get(number, number)}$"}
        spellings |= {f"{word}$" for word, value in (*ONES.items(), *ORDINALS.items()) if value == number}
        spellings |= {f"{number // 10**6}$" for _ in [0] if number >= 10**6}
    return [_Term(tuple((spelling, 1.0) for spelling in sorted(spellings)), _NUMBER)]


# --- where they stand


def _matches(terms: tuple[_Term, ...], text: str, spans: tuple[tuple[int, int], ...]) -> dict[int, dict[int, float]]:
    """For each sentence the terms that it has, and how well."""
    by_stem: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for number, term in enumerate(terms):
        for each, worth in term.stems:
            by_stem[each].append((number, worth))
    starts = [start for start, _ in spans]
    found: dict[int, dict[int, float]] = defaultdict(dict)
    low = text.lower()
    if len(low) != len(text):
        low = text  # a letter that grows in lower case would shift every place
    for each, owners in by_stem.items():
        for place in _places(each, low):
            at = bisect_right(starts, place) - 1
            for number, worth in owners:
                found[at][number] = max(found[at].get(number, 0.0), worth)
    return found


def _places(each: str, low: str) -> Iterator[int]:
    """Where words begin with the stem and end soon after it."""
    word = each.removesuffix("$")
    longest = 3 if each.endswith("$") else 6
    at = low.find(word)
    while at >= 0:
        end = at + len(word)
        if not (at and low[at - 1].isalnum()) and _ends_soon(low, end, longest):
            yield at
        at = low.find(word, end)


def _ends_soon(low: str, end: int, longest: int) -> bool:
    for place in range(end, min(end + longest, len(low))):
        if not low[place].isalnum():
            ending = low[end:place]
            return longest > 3 or ending in ("", "s", "st", "nd", "rd", "th")
    return len(low) - end <= longest


def _weights(terms: tuple[_Term, ...], found: dict[int, dict[int, float]], sentences: int) -> list[float]:
    counts = [sum(number in terms_here for terms_here in found.values()) for number in range(len(terms))]
    return [term.weight * math.log(2 + sentences / (count or 1)) for term, count in zip(terms, counts, strict=True)]


def _score(at: int, found: dict[int, dict[int, float]], weights: list[float]) -> float:
    """What the sentence has, and a part of what only its neighbours have."""
    here = found[at]
    total = sum(weights[number] * worth for number, worth in here.items())
    for beside in (at - 1, at + 1):
        for number, worth in found.get(beside, {}).items():
            if number not in here:
                total += weights[number] * worth * _BESIDE / 2
    return min(total / sum(weights), 1.0)


def _context(text: str, spans: tuple[tuple[int, int], ...], at: int) -> str:
    """Title or first sentence, the heading above, the sentence before; nothing twice."""
    start = spans[at][0]
    parts = [text[slice(*spans[0])] if at else ""]
    parts += [match[0].lstrip("# ") for match in list(_HEADING.finditer(text, 0, start))[-1:]]
    parts += [text[slice(*spans[at - 1])] if at else ""]
    cut = [part[:_CONTEXT].lstrip("# ").strip() for part in parts]
    return " ".join(dict.fromkeys(part for part in cut if part))
