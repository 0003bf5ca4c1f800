"""How the words of a question hang together: groups with one preposition, `of`, `and`, participles beside nouns."""

from __future__ import annotations

from pilotage.answers.question import Question
from pilotage.language.content import TO_DO
from pilotage.language.lexicon import lexicon
from pilotage.language.words import GIVING

LOOSE = frozenset({"", "of", "in", "at", "on", "for"})
"""Prepositions that only tie a word to its neighbour: the rate of the room, for the room, the room's rate."""


def group_marker(question: Question, place: int) -> str:
    """The preposition of the group that the word stands in."""
    while place > 0 and question.words[place].follows:
        place -= 1
    marker = question.words[place].marker
    return "" if marker == TO_DO else marker


def is_of(question: Question, head: int, other: int) -> bool:
    """`other` stands behind `head`, tied to it by loose prepositions: the price of a ticket for the zoo."""
    places = range(head + 1, other + 1)
    between = [question.words[place] for place in places]
    is_tied = all(
        is_bound(question, place) or word.marker in LOOSE - {""} for place, word in zip(places, between, strict=True)
    )
    return head < other and is_tied and any(word.marker for word in between)


def is_bound(question: Question, place: int) -> bool:
    """Whether it goes with the word before it, directly or as one of several: mumps and rubella."""
    word = question.words[place]
    return word.follows or (place > 1 and not word.marker and question.words[place - 1].text in ("and", "or"))


def are_joined(question: Question, first: int, last: int) -> bool:
    """One `and` or `or` stands between them, and nothing that is not of their groups."""
    between = question.words[first + 1 : last]
    joints = [place for place in range(first + 1, last) if question.words[place].text in ("and", "or")]
    if len(joints) != 1 or any(word.kind not in ("word", "number", "closed") for word in between):
        return False
    places = (place for place in range(first + 1, last + 1) if place != joints[0])
    return all(is_bound(question, place) for place in places)


def is_attribute(one: Question, participle: int, other: Question, noun: int, late: int) -> bool:
    """`participle` stands right before its noun in one, and right behind it in the other, where it is no passive's."""
    word, behind = one.words[participle], other.words[late]
    is_near = participle + 1 < len(one.words) and one.words[participle + 1].follows and late == noun + 1
    return word.is_participle and behind.is_participle and is_near and other.verb != late and one.verb != participle


def is_gift(short: Question, who: int, what: int, long: Question, thing: int, receiver: int) -> bool:
    """`who` without a preposition right behind the verb in one, with `to` behind the thing in the other"""
    verb = short.words[who - 1] if who else None
    is_verb = verb is not None and bool(verb.bases & GIVING) and not verb.marker
    is_led = long.words[receiver].marker == "to" and not long.words[thing].marker
    is_led = is_led and not short.words[what].marker
    return is_verb and is_led and not short.words[who].marker and not short.words[who].follows and who < what


def is_done_to(nominal: Question, verbal: Question, head: tuple[int, int], thing: tuple[int, int]) -> bool:
    """`head` is a noun with `of` before `thing` in one, and what is done to `thing` or by it in the other."""
    verb = verbal.words[head[1]]
    is_behind = is_of(nominal, head[0], thing[0]) and group_marker(nominal, thing[0]) == "of"
    if not is_behind or verb.marker or verb.is_name:
        return False
    if not all(lexicon().knows(base, "v") for base in verb.bases) or nominal.asks_with != verbal.asks_with:
        return False
    after = verbal.words[head[1] + 1 : head[1] + 2]
    return head[1] == verbal.verb or (verbal.has_do and not verbal.is_anyone and all(word.marker for word in after))


def is_filled(question: Question, head: int, other: int) -> bool:
    """A glass of wine is no wine glass: a thing, and a stuff without an article."""
    thing, stuff = question.words[head], question.words[other]
    place = head
    while place > 0 and question.words[place].follows and not thing.article:
        place, thing = place - 1, question.words[place - 1]
    return thing.article != "the" and not stuff.article and not stuff.is_name and stuff.kind != "number"


def is_run(question: Question, first: int, last: int) -> bool:
    """Both stand in one group of words with nothing between."""
    return all(is_bound(question, place) for place in range(first + 1, last + 1))
