"""Another name in the same place: what stands around a name of the claim stands in the sentence around another one.

    claim      Anthony Mantha made 35 saves.       Yash Chopra is a film.
    sentence   Anders Nilsson made 35 saves.       Daag is a film by Yash Chopra.

Claim and sentence are laid side by side by their content words. What is not covered: the same said in another order,
and languages other than English.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from pilotage.checks.answering.stems import is_english
from pilotage.checks.grounding.findings import Finding, shown
from pilotage.checks.grounding.lines import Line
from pilotage.checks.grounding.pairing import Pairing
from pilotage.checks.grounding.roles import are_same
from pilotage.language.words import BE

LONGEST = 5  # content words of a place
CLOSE = 0.6  # share of the claim's words that have a counterpart, from which on another name decides
SIGN = 0.6
_SIDES = 2  # words in common around the place that decide
_PRONOUNS = frozenset({"he", "she", "it", "they", "who", "which", "that", "his", "her", "its", "their"})
_LINKS = frozenset({"by", "from", "of", "in", "with", "for", "at", "under", "on", "to", "near", "during", "after"})
_MARKS = frozenset({".", ";", ":"})

Places = list[int]


def find_slots(pairing: Pairing) -> Iterator[Finding]:
    """Each place where the sentence has another name than the claim, and a subject that the sentence has elsewhere."""
    reads = pairing.alike >= CLOSE and is_english(pairing.claim.text)  # in German each noun has a capital
    for one, other, is_held in _replaced(pairing):
        source, claim = shown(pairing.sentence, other[0], other[-1] + 1), shown(pairing.claim, one[0], one[-1] + 1)
        yield Finding("name", f"source: {source}; claim: {claim}", 1.0 if is_held and reads else SIGN)
    if moved := _moved(pairing):
        source, claim = moved
        yield Finding("name", f"source says it of {source}; claim: {claim}", 1.0 if reads else SIGN)


def _replaced(pairing: Pairing) -> Iterator[tuple[Places, Places, bool]]:
    """A name of the claim, the sentence's in its place, and whether enough stands around both."""
    mine, theirs = _words(pairing.claim), _words(pairing.sentence)
    keys = _keys(pairing, mine), [str(place) for place in theirs]
    blocks = SequenceMatcher(None, *keys, autojunk=False).get_opcodes()
    for number, (kind, a, b, c, d) in enumerate(blocks):
        if kind != "replace" or max(b - a, d - c) > LONGEST:
            continue
        one = [at for at in mine[a:b] if _is_name(pairing, at)]
        other = [at for at in theirs[c:d] if pairing.sentence.items[at].is_name]
        if not one or not other or _is_same(pairing, one, other):
            continue
        before = blocks[number - 1][2] - blocks[number - 1][1] if number else 0
        after = blocks[number + 1][2] - blocks[number + 1][1] if number + 1 < len(blocks) else 0
        if not before and not after:
            continue
        opens = a == 0 and _opens(pairing.sentence, theirs[c]) and after >= _SIDES
        closes = b == len(mine) and _is_linked_alike(pairing, one[0], other[0]) and before >= _SIDES
        is_held = bool((before and after) or opens or closes) and before + after >= _SIDES
        is_pure = len(one) == b - a and len(other) == d - c and _is_run(pairing.sentence, other)
        yield one, other, is_held and is_pure


def _words(line: Line) -> Places:
    return [at for at, item in enumerate(line.items) if not item.is_small]


def _keys(pairing: Pairing, mine: Places) -> list[str]:
    """For each word of the claim the place of its counterpart: of several the one that goes on from the last."""
    keys, last = [], -1
    for at in mine:
        places = _same_figures(pairing, at) if pairing.claim.items[at].in_figure else pairing.partners.get(at, ())
        following = [place for place in places if place > last]
        place = min(following or places, default=None)
        last = last if place is None else place
        keys.append(f"-{at}" if place is None else str(place))
    return keys


def _same_figures(pairing: Pairing, at: int) -> Places:
    low = pairing.claim.items[at].low.replace(",", "")
    items = enumerate(pairing.sentence.items)
    return [place for place, item in items if item.in_figure and item.low.replace(",", "") == low]


def _is_name(pairing: Pairing, at: int) -> bool:
    """Whether it is a name: that of a word that opens the claim is told by the sentence."""
    places = pairing.partners.get(at, ()) if at == 0 else ()
    return pairing.claim.items[at].is_name or any(pairing.sentence.items[place].is_name for place in places)


def _is_same(pairing: Pairing, one: Places, other: Places) -> bool:
    """Whether both may be one name, or the sentence's name stands in the claim too, in another place."""
    claim, sentence = pairing.claim.items, pairing.sentence.items
    if are_same([claim[at] for at in one], [sentence[at] for at in other]):
        return True
    bases = _bases(pairing)
    return any(sentence[at].bases & bases for at in other)


def _bases(pairing: Pairing) -> set[str]:
    return {base for item in pairing.claim.items for base in item.bases}


def _opens(line: Line, at: int) -> bool:
    """Whether nothing but small words stands before the place, as far as the sentence goes."""
    for item in reversed(line.items[:at]):
        if item.low in _MARKS:
            return True
        if not item.is_small:
            return False
    return True


def _is_linked_alike(pairing: Pairing, one: int, other: int) -> bool:
    """Whether the same preposition stands before both places, articles aside."""
    return (link := _link(pairing.claim, one)) != "" and link == _link(pairing.sentence, other)


def _link(line: Line, at: int) -> str:
    while at and line.items[at - 1].low in ("a", "an", "the"):
        at -= 1
    low = line.items[at - 1].low if at else ""
    return low if low in _LINKS else ""


def _is_run(line: Line, places: Places) -> bool:
    """Whether no pronoun stands within the place or behind it, which would take the name's part."""
    return not any(item.low in _PRONOUNS for item in line.items[places[0] : places[-1] + 4])


def _moved(pairing: Pairing) -> tuple[str, str] | None:
    """What the claim says of its subject the sentence says of its own, and only then comes the claim's subject.

    Both names, the sentence's first.
    """
    claim, sentence = pairing.claim, pairing.sentence
    end = next((at for at, item in enumerate(claim.items) if item.low in BE), 0)
    mine = [at for at in range(end) if not claim.items[at].is_small]
    first = next(((start, stop) for start, stop in sentence.names if _opens(sentence, start)), None)
    if not mine or first is None or not all(_is_name(pairing, at) for at in mine):
        return None
    places = [pairing.partners.get(at, ()) for at in mine]
    if any(len(each) != 1 for each in places) or _bases(pairing) & sentence.items[first[1] - 1].bases:
        return None
    here = min(place for (place,) in places)
    said = [place for at in claim.content() if at >= end for place in pairing.partners.get(at, ())]
    if here < first[1] or not said or max(said) >= here or min(said) < first[1] or not _depends(sentence, here):
        return None
    return shown(sentence, *first), shown(claim, mine[0], mine[-1] + 1)


def _depends(line: Line, at: int) -> bool:
    """by Yash Chopra, an English painter: whether the name there is no subject."""
    after = line.items[at + 1 : at + 2]
    return _link(line, at) != "" or bool(after and not after[0].is_small and after[0].low == after[0].raw)
