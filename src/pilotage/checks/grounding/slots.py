"""Another name in the same place: what stands around a name of the claim stands in the sentence around another one.

    claim      Anthony Mantha made 35 saves.
    sentence   Anders Nilsson made 35 saves in a row.

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

LONGEST = 5  # content words of a place
CLOSE = 0.6  # share of the claim's words that have a counterpart, from which on another name decides
_SIDES = 2  # words in common around the place that decide
_PRONOUNS = frozenset({"he", "she", "it", "they", "who", "which", "that", "his", "her", "its", "their"})


def find_slots(pairing: Pairing) -> Iterator[Finding]:
    """Each place where the sentence has another name than the claim."""
    mine, theirs = _words(pairing.claim), _words(pairing.sentence)
    keys = _keys(pairing, mine), [str(place) for place in theirs]
    blocks = SequenceMatcher(None, *keys, autojunk=False).get_opcodes()
    for number, (kind, a, b, c, d) in enumerate(blocks):
        if kind != "replace" or max(b - a, d - c) > LONGEST:
            continue
        one, other = _names_in(pairing.claim, mine[a:b]), _names_in(pairing.sentence, theirs[c:d])
        if not one or not other or _is_same(pairing, one, other):
            continue
        before = blocks[number - 1][2] - blocks[number - 1][1] if number else 0
        after = blocks[number + 1][2] - blocks[number + 1][1] if number + 1 < len(blocks) else 0
        opens = a == 0 and _opens(pairing.sentence, theirs[c])
        is_held = bool((before and after) or (opens and after >= _SIDES))
        is_pure = len(one) == b - a and len(other) == d - c and _is_run(pairing.sentence, other)
        is_sure = is_held and is_pure and before + after >= _SIDES and pairing.alike >= CLOSE
        is_sure = is_sure and is_english(pairing.claim.text)  # in German each noun has a capital
        if before or after:
            source, claim = shown(pairing.sentence, other[0], other[-1] + 1), shown(pairing.claim, one[0], one[-1] + 1)
            yield Finding("name", f"source: {source}; claim: {claim}", 1.0 if is_sure else 0.6)


def _words(line: Line) -> list[int]:
    return [at for at, item in enumerate(line.items) if not item.is_small]


def _keys(pairing: Pairing, mine: list[int]) -> list[str]:
    """For each word of the claim the place of its counterpart: of several the one that goes on from the last."""
    keys, last = [], -1
    for at in mine:
        item = pairing.claim.items[at]
        places = pairing.partners.get(at, ())
        if item.in_figure:
            places = tuple(
                place for place, other in enumerate(pairing.sentence.items)
                if other.in_figure and other.low.replace(",", "") == item.low.replace(",", "")
            )  # fmt: skip
        following = [place for place in places if place > last]
        place = min(following or places, default=None)
        last = last if place is None else place
        keys.append(f"-{at}" if place is None else str(place))
    return keys


def _names_in(line: Line, places: list[int]) -> list[int]:
    return [at for at in places if line.items[at].is_name]


def _is_run(line: Line, places: list[int]) -> bool:
    """Whether no pronoun stands within the place or behind it, which would take the name's part."""
    return not any(item.low in _PRONOUNS for item in line.items[places[0] : places[-1] + 4])


def _is_same(pairing: Pairing, one: list[int], other: list[int]) -> bool:
    """Whether both may be one name, or the sentence's name stands in the claim too, in another place."""
    claim, sentence = pairing.claim.items, pairing.sentence.items
    if are_same([claim[at] for at in one], [sentence[at] for at in other]):
        return True
    bases = {base for item in claim for base in item.bases}
    return any(sentence[at].bases & bases for at in other)


def _opens(line: Line, at: int) -> bool:
    """Whether nothing but small words and marks stands before the place, or a mark that ends a sentence."""
    for item in reversed(line.items[:at]):
        if item.low in (".", ";", ":"):
            return True
        if not item.is_small:
            return False
    return True
