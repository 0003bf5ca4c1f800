"""Whether the paired words do the same to each other in both questions: who does it, to whom, from where, what of what.

Voice, scope of negations and quantifiers, prepositions and order must agree; moves.py knows the turns of phrase that
change the order and keep the roles. Any other change of order is taken for a change of roles.
"""

from __future__ import annotations

from pilotage.answers.content import Word
from pilotage.answers.moves import DOERS, LOOSE, TO_DO, Moves, group_marker
from pilotage.answers.pairing import Pair
from pilotage.answers.question import Question

EQUAL_TO_DO = frozenset({"", "to", "for", TO_DO})
"""to open an account, for opening an account"""


def find_fault(a: Question, b: Question, pairs: list[Pair]) -> str:
    """The first thing about roles that does not agree, or ""."""
    meant = [pair for pair in pairs if a.words[pair.a].kind in ("word", "number")]
    moves = Moves(a, b, meant)
    return (
        _asked(moves)
        or _subject(moves, pairs)
        or _voice(moves)
        or _scopes(moves, pairs)
        or _markers(moves, pairs)
        or moves.fault()
    )


def _asked(moves: Moves) -> str:
    """to whom, from whom"""
    one, other = moves.a.asks_with, moves.b.asks_with
    is_loose = {one, other} <= LOOSE - {"of", "for"}
    if one == other or is_loose or moves.agent or any(pair.why == "measure" for pair in moves.pairs):
        return ""
    return f"asked with {_shown(one)} against {_shown(other)}"


def _subject(moves: Moves, pairs: list[Pair]) -> str:
    """how many of them know, how many of them do I know"""
    a, b = moves.a, moves.b
    if a.is_anyone == b.is_anyone or a.is_passive or b.is_passive:
        return ""
    if a.kind not in ("who", "what", "count", "amount"):
        return ""
    anybody, paired = (a, {pair.a for pair in pairs}) if a.is_anyone else (b, {pair.b for pair in pairs})
    has_verb = len(paired) < len(anybody.words) or "must" in anybody.modals
    return "somebody does it in one only" if anybody.has_do and not has_verb else ""


def _voice(moves: Moves) -> str:
    a, b = moves.a, moves.b
    if a.is_passive == b.is_passive or moves.agent or a.kind == b.kind == "duration":
        return ""
    passive, active = (a, b) if a.is_passive else (b, a)
    found = [pair for pair in moves.pairs if (pair.a if a.is_passive else pair.b) == passive.verb]
    if found and passive.verb == 0 and passive.is_anyone and active.is_anyone and not (a.has_it or b.has_it):
        return f"“{passive.words[passive.verb].raw}” is done in one and suffered in the other"
    if not found or found[0].why in ("root", "measure") or active.is_anyone or _is_state(active):
        return ""
    return f"“{passive.words[passive.verb].raw}” is done in one and suffered in the other"


def _is_state(active: Question) -> bool:
    """`there is staff`, `it has heating`: nobody does anything."""
    return active.has_there or any("have" in word.bases for word in active.words)


def _scopes(moves: Moves, pairs: list[Pair]) -> str:
    """A negation or a quantifier must stand before the same word."""
    a, b = moves.a, moves.b
    partners = {(pair.a, pair.b) for pair in moves.pairs}
    for pair in pairs:
        word = a.words[pair.a]
        if word.kind in ("word", "number") or word.text in ("and", "or"):
            continue
        one, other = _beside(a, pair.a, 1), _beside(b, pair.b, 1)
        if one is None or other is None:
            one, other = _beside(a, pair.a, -1), _beside(b, pair.b, -1)
        if word.text == "only" and _is_same_focus(moves, pair):
            continue
        if one is not None and other is not None and (one, other) not in partners:
            return f"“{word.raw}” goes with “{a.words[one].raw}” and with “{b.words[other].raw}”"
    return ""


def _beside(question: Question, place: int, step: int) -> int | None:
    """The next word in that direction that is no negation or quantifier itself."""
    places = range(place + step, len(question.words) if step > 0 else -1, step)
    return next((i for i in places if question.words[i].kind in ("word", "number")), None)


def _is_same_focus(moves: Moves, pair: Pair) -> bool:
    """valid only for members, only valid for members"""
    partner = {pair.a: pair.b for pair in moves.pairs}
    back = {pair.b: pair.a for pair in moves.pairs}
    return _is_focus(moves.a, pair.a, moves.b, pair.b, partner) or _is_focus(moves.b, pair.b, moves.a, pair.a, back)


def _is_focus(late: Question, place: int, early: Question, other: int, partner: dict[int, int]) -> bool:
    if place + 1 >= len(late.words) or other + 2 >= len(early.words):
        return False
    are_phrases = late.words[place + 1].marker and early.words[other + 2].marker
    return bool(are_phrases) and partner.get(place - 1) == other + 1 and partner.get(place + 1) == other + 2


def _markers(moves: Moves, pairs: list[Pair]) -> str:
    for pair in pairs:
        word, partner = moves.a.words[pair.a], moves.b.words[pair.b]
        if not (_agree(word, partner) or _is_bound(moves, pair)):
            return f"{_shown(word.marker)} against {_shown(partner.marker)} before “{word.raw}”"
    return ""


def _agree(word: Word, partner: Word) -> bool:
    one, other = word.marker, partner.marker
    if one == other or ({one, other} <= EQUAL_TO_DO and TO_DO in (one, other)):
        return True
    if word.kind == "number" and one and other:
        return False  # for 3 days, in 3 days
    return one in LOOSE and other in LOOSE


def _is_bound(moves: Moves, pair: Pair) -> bool:
    """A word may lose its preposition where it is no longer first of its group, or was the doer of a passive."""
    word, partner = moves.a.words[pair.a], moves.b.words[pair.b]
    one, other = word.marker, partner.marker
    if {one, other} & (DOERS | {"by"}) and "" in (one, other) and moves.agent == ("a" if one else "b"):
        return True
    if not one and word.follows and other:
        return group_marker(moves.a, pair.a) == other
    return bool(not other and partner.follows and one) and group_marker(moves.b, pair.b) == one


def _shown(marker: str) -> str:
    return f"“{marker}”" if marker else "no preposition"
