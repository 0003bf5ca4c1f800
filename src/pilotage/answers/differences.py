"""What one question has and the other has not: kind of answer, words, tense, modality, persons, roles.

Each rule names the first thing that differs, in words that a person can read. What is not covered: what both leave
unsaid.
"""

from __future__ import annotations

from pilotage.answers.leftover import find_alone
from pilotage.answers.order import find_fault
from pilotage.answers.pairing import Pair
from pilotage.answers.question import Question
from pilotage.language.lexicon import lexicon
from pilotage.language.words import BODIES, EVENTS, SPANNING

ABILITY = frozenset({"can", "may", "able"})


def find_difference(a: Question, b: Question, pairs: list[Pair]) -> str:
    """The first thing that one question has and the other has not, or ""."""
    return (
        _kinds(a, b)
        or find_alone(a, b, pairs)
        or _times(a, b, pairs)
        or _modals(a, b, pairs)
        or _persons(a, b)
        or _states(a, b, pairs)
        or find_fault(a, b, pairs)
    )


def _states(a: Question, b: Question, pairs: list[Pair]) -> str:
    """When does it open, when is it open"""
    if not a.kind == b.kind == "when" or a.has_do == b.has_do or a.is_passive or b.is_passive:
        return ""
    book = lexicon()
    for pair in pairs:
        word = a.words[pair.a]
        is_last = pair.a == len(a.words) - 1 and pair.b == len(b.words) - 1
        if is_last and word.text == b.words[pair.b].text and all(book.knows(word.text, part) for part in "av"):
            return f"“{word.raw}” is done in one and is so in the other"
    return ""


def _kinds(a: Question, b: Question) -> str:
    kinds = {a.kind, b.kind}
    if kinds == {"duration", "what"} and (_is_lasting(a, b) or _is_lasting(b, a)):
        return ""
    if kinds == {"who", "what"} and (_asks_body(a, b) or _asks_body(b, a)):
        return ""  # which company sells it, who sells it
    if kinds == {"tell", "what"} and (_is_title(a, b) or _is_title(b, a)):
        return ""
    if len(kinds) == 1 or kinds in ({"when", "year"}, {"when", "day"}):
        return ""
    if a.alternatives and b.alternatives and "polar" in kinds and kinds & {"what", "who"}:
        return ""  # is it 30 or 50: which of both
    return f"one asks {a.kind}, the other {b.kind}"


def _asks_body(what: Question, who: Question) -> bool:
    is_subject = not (what.has_do or who.has_do or what.is_passive or who.is_passive or what.asks_with or who.asks_with)
    is_body = bool(what.words) and bool(what.words[0].bases & BODIES) and not what.words[0].degree
    return what.kind == "what" and who.kind == "who" and is_subject and is_body and what.tense == who.tense == "present"


def _is_lasting(what: Question, lasts: Question) -> bool:
    """how long is the strike, how long does it last; not of a bridge"""
    if lasts.kind != "duration" or not lasts.has_do or not what.words or what.words[0].text != "how long":
        return False
    if what.is_passive or not lasts.words or "last" not in lasts.words[-1].bases:
        return False
    end = next((place for place, word in enumerate(what.words[2:], 2) if word.marker or not word.follows), None)
    thing = what.words[: len(what.words) if end is None else end][-1]
    return any(lexicon().noun_class(base) in SPANNING for base in thing.bases)


def _is_title(tell: Question, what: Question) -> bool:
    """“opening hours of the library”: what they are"""
    is_bare = tell.kind == "tell" and not (tell.has_aux or tell.modals or tell.is_anyone or tell.pronouns)
    is_asked = what.kind == "what" and what.has_aux and not (what.has_do or what.is_passive or what.modals)
    return is_bare and is_asked and not what.asks_with


def _times(a: Question, b: Question, pairs: list[Pair]) -> str:
    if any(pair.why == "agent" for pair in pairs):
        return ""  # the inventor is one who invented
    is_event = any(word.bases & EVENTS or word.text == "held" for word in a.words + b.words)
    if is_event and {a.tense, b.tense} == {"present", "future"} and {a.kind, b.kind} <= {"when", "day", "where"}:
        return ""  # when is the meeting, when will it take place
    if a.tense != b.tense:
        return f"{a.tense} against {b.tense}"
    return "" if a.tells_past == b.tells_past else "the past in one only"


def _modals(a: Question, b: Question, pairs: list[Pair]) -> str:
    """In a yes-or-no question a modal is what is asked; elsewhere `can` and `should` may be left out."""
    free = _free_modals(a, b, pairs)
    are_named = a.modals & free and b.modals & free
    one, other = (a.modals, b.modals) if are_named else (a.modals - free, b.modals - free)
    if a.kind != "polar":  # how often must it be done, how often should it
        one, other = (frozenset("should" if name == "must" else name for name in names) for names in (one, other))
    if not {"may", "able"} <= one | other:  # `can` is either
        one, other = (frozenset("can" if name in ABILITY else name for name in names) for names in (one, other))
    if one == other:
        return ""
    return f"“{' '.join(sorted(a.modals)) or 'no modal'}” against “{' '.join(sorted(b.modals)) or 'no modal'}”"


def _free_modals(a: Question, b: Question, pairs: list[Pair]) -> frozenset[str]:
    if a.kind == "duration" and any("last" in word.bases for word in a.words + b.words):
        return ABILITY | {"should"}  # how long does the battery last, how long must it
    if a.kind == "duration":
        return ABILITY | {"should", "must"}  # how long does it take, how long must it
    if a.kind == "who" and not (a.is_anyone or b.is_anyone or a.is_passive or b.is_passive):
        return frozenset()  # who can enter, who enters
    if a.kind != "polar":
        return ABILITY | {"should", "must"} if a.kind == "often" else ABILITY | {"should"}
    if _are_devices(a, b, pairs):
        return ABILITY  # does the printer scan, can it
    for pair in pairs:
        one, other = a.words[pair.a], b.words[pair.b]
        if one.text in ("at-most", "at-least"):
            return ABILITY  # it may have at most, it is limited to
        if {one.text, other.text} == {"safe", "safely"}:
            return ABILITY  # is it safe to, can it be done safely
    return frozenset()


def _are_devices(a: Question, b: Question, pairs: list[Pair]) -> bool:
    if a.is_passive or b.is_passive or a.is_anyone or b.is_anyone or not (a.has_do and b.has_do):
        return False
    is_first = any(pair.a == pair.b == 0 and pair.why == "same" for pair in pairs)
    return is_first and all(lexicon().noun_class(base) == "artifact" for base in a.words[0].bases)


def _persons(a: Question, b: Question) -> str:
    """`Can you …` is anybody, unless it stands beside `my`: then you and I are two."""
    one, other = a.pronouns, b.pronouns
    if one == other:
        return ""
    if {"my", "your"} <= set(one) ^ set(other):
        return "“my” against “your”"
    for persons in (one, other):
        if ("me" in persons and {"I", "you"} & set(persons)) or {"you", "my"} <= set(persons):
            return f"“{' '.join(one)}” against “{' '.join(other)}”"
    return "" if ("me" in one) == ("me" in other) else "“me” in one only"
