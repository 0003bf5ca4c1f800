"""Whether the paired words do the same to each other in both questions: who does it, to whom, from where, what of what.

Voice, scope of negations and quantifiers, prepositions and order must agree; moves.py knows the turns of phrase that
change the order and keep the roles. Any other change of order is taken for a change of roles.
"""

from __future__ import annotations

from dataclasses import replace

from pilotage.answers.groups import LOOSE, group_marker
from pilotage.answers.moves import DOERS, Moves
from pilotage.answers.pairing import Pair
from pilotage.answers.question import Question
from pilotage.language.content import TO_DO, Word
from pilotage.language.lexicon import lexicon
from pilotage.language.words import DIMENSIONS, GIVING

COMING_ABOUT = frozenset(
    {"come into being", "come into existence", "take place", "come out", "go live", "take effect", "come into force"}
)
EQUAL_TO_DO = frozenset({"", "to", "for", TO_DO})
"""to open an account, for opening an account"""


def find_fault(a: Question, b: Question, pairs: list[Pair]) -> str:
    """The first thing about roles that does not agree, or ""."""
    meant = [pair for pair in pairs if a.words[pair.a].kind in ("word", "number")]
    moves = Moves(a, b, meant)
    return (
        _asked(moves)
        or _subject(moves, pairs)
        or _having(moves)
        or _needing(moves)
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


def _having(moves: Moves) -> str:
    """has a firm a council, is there a firm in the council"""
    a, b = moves.a, moves.b
    if a.has_there == b.has_there:
        return ""
    there, has, back = (a, b, moves.partners("b")) if a.has_there else (b, a, moves.partners("a"))
    verb = next((place for place, word in enumerate(has.words) if "have" in word.bases and word.follows), None)
    owned = back.get(verb + 1) if verb else None
    if not verb or owned is None or group_marker(there, owned) not in ("in", "on", "at"):
        return ""
    for place in range(verb):
        owner = back.get(place)
        if owner is not None and not group_marker(has, place) and not group_marker(there, owner):
            return f"“{has.words[place].raw}” has it in one and is in it in the other"
    return ""


def _needing(moves: Moves) -> str:
    """do plants need bees, are plants needed for bees"""
    a, b = moves.a, moves.b
    if not ("must" in a.modals and "must" in b.modals and a.has_do != b.has_do):
        return ""
    needs, needed, there = (a, b, moves.partners("a")) if a.has_do else (b, a, moves.partners("b"))
    if needs.is_anyone or needed.is_passive or not needs.words or needs.words[0].marker:
        return ""
    for place, word in enumerate(needs.words[1:], 1):
        other, subject = there.get(place), there.get(0)
        if other is None or subject is None or word.follows:
            continue
        if group_marker(needed, other) == "for" and not word.marker and subject < other:
            return f"“{needs.words[0].raw}” needs it in one and is needed in the other"
    return ""


def _voice(moves: Moves) -> str:
    a, b = moves.a, moves.b
    if a.is_passive == b.is_passive or moves.agent or a.kind == b.kind == "duration":
        return ""
    passive, active = (a, b) if a.is_passive else (b, a)
    found = [pair for pair in moves.pairs if (pair.a if a.is_passive else pair.b) == passive.verb]
    is_first = all(word.kind not in ("word", "number") for word in passive.words[: passive.verb])
    if found and is_first and passive.is_anyone and active.is_anyone and not (a.has_it or b.has_it):
        return f"“{passive.words[passive.verb].raw}” is done in one and suffered in the other"
    if not found or found[0].why in ("root", "measure") or active.is_anyone or _is_state(active):
        return ""
    if _is_deed(active.words[found[0].b if a.is_passive else found[0].a]):
        return ""
    return f"“{passive.words[passive.verb].raw}” is done in one and suffered in the other"


def _is_deed(word: Word) -> bool:
    """`election`, which is no verb; `come into being`, which nothing suffers"""
    book = lexicon()
    is_noun = any(book.knows(base, "n") for base in word.bases) and not any(
        book.knows(base, "v") for base in word.bases
    )
    return is_noun or word.text in COMING_ABOUT


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
        if word.kind == "not" and (_is_before(a, pair.a, b, pair.b) or _is_before(b, pair.b, a, pair.a)):
            continue
        if word.text == "only" and _is_same_focus(moves, pair):
            continue
        if one is not None and other is not None and (one, other) not in partners:
            return f"“{word.raw}” goes with “{a.words[one].raw}” and with “{b.words[other].raw}”"
    return ""


def _is_before(early: Question, place: int, late: Question, other: int) -> bool:
    """can't a juror abstain, can a juror not abstain: the subject stands between, and the `not` right behind it"""
    if place or not 0 < other < 5 or not early.has_aux:
        return False
    subject, last = late.words[:other], late.words[other - 1]
    is_near = last.spans[-1][1] + 1 == late.words[other].spans[0][0]
    return is_near and not any(word.marker for word in subject)


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
        if pair.a in moves.tools:
            continue
        word = _led(moves.a, pair.a)
        partner = _led(moves.b, pair.b)
        if _is_goal(moves, pair):
            return f"{_shown(word.marker)} against {_shown(partner.marker)} before “{word.raw}”"
        if not (_agree(word, partner) or _is_bound(moves, pair)):
            return f"{_shown(word.marker)} against {_shown(partner.marker)} before “{word.raw}”"
    return ""


def _is_goal(moves: Moves, pair: Pair) -> bool:
    """leave for Bonn, leave Bonn: right behind the same verb, a preposition makes another of what follows"""
    word, partner = moves.a.words[pair.a], moves.b.words[pair.b]
    if {word.marker, partner.marker} not in ({"", "for"}, {"", "on"}, {"", "at"}) or word.kind == "number":
        return False
    before = next((other for other in moves.pairs if other.a == pair.a - 1 and other.b == pair.b - 1), None)
    if before is None or before.why != "same" or "must" in moves.a.modals & moves.b.modals:
        return False  # what is needed to open it, what is needed for opening it
    book, verb = lexicon(), moves.a.words[before.a]
    is_verb = all(book.knows(base, "v") for base in verb.bases) and not verb.article and not verb.marker
    return is_verb and not any(book.noun_class(base) == "time" for base in word.bases)


def _led(question: Question, place: int) -> Word:
    """The word with the preposition that leads it: that of the first of several, of the height of which it is one."""
    word = question.words[place]
    before = question.words[place - 1] if place else None
    if word.kind == "number" and word.marker == "of" and before and before.bases & DIMENSIONS:
        return replace(word, marker=group_marker(question, place - 1))
    if place > 1 and before and before.text in ("and", "or") and not word.marker:
        return replace(word, marker=group_marker(question, place - 2))
    return word


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
    if "" in (one, other) and _is_object(moves, pair, one or other):
        return True
    if {one, other} & (DOERS | {"by"}) and "" in (one, other) and moves.agent == ("a" if one else "b"):
        return True
    if not one and word.follows and other:
        return group_marker(moves.a, pair.a) == other
    return bool(not other and partner.follows and one) and group_marker(moves.b, pair.b) == one


def _is_object(moves: Moves, pair: Pair, marker: str) -> bool:
    """enter Serbia, entry to Serbia; pay the bank a fee, pay a fee to the bank"""
    back = {other.b: other for other in moves.pairs}
    before = next((other for other in moves.pairs if other.a == pair.a - 1), None)
    is_noun = before is not None and before.why == "root" and back.get(pair.b - 1) is before
    if is_noun and marker in ("to", "on", "in", "into"):
        return True
    question, place = (moves.a, pair.a) if not moves.a.words[pair.a].marker else (moves.b, pair.b)
    if marker != "to" or place == 0:
        return False
    if moves.a.is_passive or moves.b.is_passive:
        return bool(moves.agent) and bool(question.words[place - 1].bases & GIVING)  # owed to the bank by the firm
    return (
        bool(question.words[place - 1].bases & GIVING)
        and not question.words[place].follows
        and place + 1 < len(question.words)
    )


def _shown(marker: str) -> str:
    return f"“{marker}”" if marker else "no preposition"
