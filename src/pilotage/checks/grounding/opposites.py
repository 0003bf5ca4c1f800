"""Opposite words, directions and degrees in the same surroundings of claim and sentence.

What is not covered: opposites that neither WordNet nor the short list here knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from pilotage.checks.grounding.findings import Finding, near_shared
from pilotage.checks.grounding.lines import Item
from pilotage.checks.grounding.pairing import Pairing
from pilotage.language.lexicon import lexicon

_DIRECTIONS = (
    "increase/decrease increase/reduce rise/drop rise/decline grow/shrink grow/decline gain/loss gain/lose win/lose "
    "win/defeat buy/sell accept/refuse allow/forbid allow/prevent allow/ban permit/prohibit legal/banned open/close "
    "begin/end start/end start/finish launch/cancel join/leave arrive/depart arrive/leave enter/leave send/receive "
    "give/take lend/borrow import/export create/destroy build/demolish found/dissolve marry/divorce love/hate "
    "like/dislike support/oppose agree/disagree approve/reject praise/criticize praise/criticise success/failure "
    "successful/failed success/flop hit/flop positive/negative praise/pan acclaim/pan profit/loss surplus/deficit "
    "top/bottom early/late north/south east/west northern/southern eastern/western male/female man/woman father/mother "
    "son/daughter brother/sister husband/wife king/queen actor/actress boy/girl uncle/aunt he/she dead/alive "
    "dead/living alive/died live/die born/died birth/death hero/villain protagonist/antagonist friend/enemy "
    "winner/loser winner/runner-up teacher/student employer/employee buyer/seller left/right upper/lower inner/outer "
    "fact/fiction true/false domestic/foreign internal/external public/private rural/urban ancient/modern "
    "poor/wealthy poor/rich healthy/sick safe/dangerous safe/unsafe harmless/harmful simple/complex minimum/maximum "
    "predecessor/successor prequel/sequel ally/enemy attack/defend victory/defeat include/exclude enable/disable "
    "first/last first/final before/after above/below over/under into/from within/outside with/without "
    "for/against up/down since/until more/less most/least more/fewer best/worst better/worse earlier/later "
    "older/younger oldest/youngest largest/smallest larger/smaller big/small tall/short long/short high/low "
    "higher/lower highest/lowest fast/slow strong/weak heavy/light hot/cold major/minor old/new many/few much/little"
)


def _pairs() -> frozenset[tuple[str, str]]:
    listed = [tuple(pair.split("/")) for pair in _DIRECTIONS.split()]
    return frozenset((one, other) for one, other in listed) | frozenset((other, one) for one, other in listed)


DIRECTIONS = _pairs()
_CLOSED_WORDS = (
    "before after above below over under into from within outside with without for against up down since until"
)
CLOSED = frozenset(_CLOSED_WORDS.split())
_DEGREES_WORDS = (
    "more less most least fewer best worst better worse earlier later older younger oldest youngest largest smallest "
    "larger smaller big small tall short long high low higher lower highest lowest fast slow first last final "
    "major minor"
)
DEGREES = frozenset(_DEGREES_WORDS.split())


def find_opposites(pairing: Pairing) -> Iterator[Finding]:
    """Each word of the claim that has its opposite where its counterpart should stand."""
    claim, sentence = pairing.claim.items, pairing.sentence.items
    lows, theirs = {item.low for item in claim}, {item.low for item in sentence}
    places = [place for place, other in enumerate(sentence) if other.low not in lows and _may_oppose(other)]
    for at, item in enumerate(claim):
        if item.low in theirs or at in pairing.partners or not _may_oppose(item):
            continue
        for place in places:
            if not is_opposite(item, sentence[place]):
                continue
            yield _finding(pairing, at, place)


def _may_oppose(item: Item) -> bool:
    return item.low[0].isalpha() and (not item.is_small or item.low in CLOSED or item.low in DEGREES)


def _finding(pairing: Pairing, at: int, place: int) -> Finding:
    item, other = pairing.claim.items[at], pairing.sentence.items[place]
    shared = near_shared(pairing, at, place) + _same_figure(pairing, at, place)
    kind = "comparative" if item.low in DEGREES or item.low.endswith("est") else "antonym"
    is_closed = item.low in CLOSED or item.low in DEGREES
    strength = 1.0 if _follows_same(pairing, at, place) or (not is_closed and shared >= 2) else 0.5 if shared else 0.3
    if is_closed and strength < 1.0:
        strength = 0.3
    if pairing.alike < 0.5:
        strength = min(strength, 0.5)
    return Finding(kind, f'"{item.raw}" against "{other.raw}"', strength)


def _follows_same(pairing: Pairing, at: int, place: int) -> bool:
    """Whether the next word that is no article is the same in both."""
    mine, theirs = _next(pairing.claim.items, at), _next(pairing.sentence.items, place)
    if mine is None or theirs is None:
        return False
    same = pairing.claim.items[mine].low == pairing.sentence.items[theirs].low
    return same or theirs in pairing.partners.get(mine, ())


def _next(items: tuple[Item, ...], at: int) -> int | None:
    places = range(at + 1, min(at + 4, len(items)))
    return next(
        (p for p in places if items[p].low[0].isalnum() and items[p].low not in ("a", "an", "the", "of", "than", "to")),
        None,
    )


def _same_figure(pairing: Pairing, at: int, place: int) -> int:
    mine = {figure.value for figure in pairing.claim.figures if abs(figure.start - at) < 4}
    return len(mine & {figure.value for figure in pairing.sentence.figures if abs(figure.start - place) < 5})


def is_opposite(one: Item, other: Item) -> bool:
    return _is_opposite(one.low, other.low, one.bases, other.bases)


@lru_cache(maxsize=8192)
def _is_opposite(low: str, other_low: str, mine: frozenset[str], theirs: frozenset[str]) -> bool:
    if (low, other_low) in DIRECTIONS:
        return True
    if low in CLOSED or other_low in CLOSED:
        return False
    book = lexicon()
    return any((a, b) in DIRECTIONS or book.is_opposite(a, b) or _is_denied(a, b) for a in mine for b in theirs)


def _is_denied(one: str, other: str) -> bool:
    """unknown, known; careless, careful"""
    long, short = sorted((one, other), key=len, reverse=True)
    if len(short) > 3 and long in (f"un{short}", f"non{short}", f"dis{short}"):
        return lexicon().knows(short)
    return one.endswith("less") != other.endswith("less") and (
        one.removesuffix("less") == other.removesuffix("ful") or other.removesuffix("less") == one.removesuffix("ful")
    )


def find_degrees(pairing: Pairing) -> Iterator[Finding]:
    """`more than 5` against `less than 5`; a superlative where the sentence has none."""
    for figure in pairing.claim.figures:
        for other in pairing.sentence.figures:
            if figure.value == other.value and {figure.bound, other.bound} == {"more", "less"}:
                yield Finding("comparative", f'"{figure.bound} than" against "{other.bound} than" {figure.text}', 1.0)
    tops = {"most", "least", "best", "worst"} & {item.low for item in pairing.claim.items}
    theirs = {item.low for item in pairing.sentence.items}
    if tops and not any(low in ("most", "least", "best", "worst") or low.endswith("est") for low in theirs):
        yield Finding("comparative", f'claim says "{min(tops)}", source does not', 0.6)
