"""Whether the paired words do the same to each other in both questions: who does it, to whom, from where, what of what.

Prepositions must agree and the order of the words too, unless what moved is a turn of phrase that keeps the roles:
a passive, a genitive, a phrase with its preposition. Any other change of order is taken for a change of roles.
"""

from __future__ import annotations

from collections.abc import Iterator

from pilotage.answers.content import Word
from pilotage.answers.pairing import Pair
from pilotage.answers.question import Question

LOOSE = frozenset({"", "of", "in", "at", "on", "for"})
"""Prepositions that only tie a word to its neighbour: the rate of the room, for the room, the room's rate."""
FIXED = frozenset({"than", "only", "and", "or"})
ROAMING = frozenset(
    {"in", "at", "on", "to", "from", "during", "before", "after", "until", "since", "within", "if", "because", "by",
     "into", "per", "for", "through"}
)  # fmt: skip
"""Phrases of place, time and circumstance, which stand here or there; `with the dog` belongs to its neighbour."""
DOERS = frozenset({"under", "in", "with"})


class Roles:
    """Two questions with their pairs; `fault` is the first thing that does not agree, or ""."""

    def __init__(self, a: Question, b: Question, pairs: list[Pair]) -> None:
        self.a, self.b = a, b
        self.pairs = [pair for pair in pairs if a.words[pair.a].kind in ("word", "number")]
        self.all = pairs
        self.why = {(pair.a, pair.b): pair.why for pair in pairs}
        self.agent = self._agent()

    def fault(self) -> str:
        return self._asked() or self._subject() or self._voice() or self._scopes() or self._markers() or self._moves()

    def _agent(self) -> str:
        """Which question is a passive whose doer is named, the other one being active: "a", "b" or ""."""
        if self.a.is_passive == self.b.is_passive:
            return ""
        name, passive, active = ("a", self.a, self.b) if self.a.is_passive else ("b", self.b, self.a)
        if passive.asks_with == "by" or any(word.marker == "by" for word in passive.words):
            return name
        partner = {pair.a: pair.b for pair in self.pairs} if name == "a" else {pair.b: pair.a for pair in self.pairs}
        verb = partner.get(passive.verb)
        is_doer = any(
            self._group_marker(passive, place) in DOERS and place > passive.verb and verb is not None
            and partner.get(place, 99) < verb and not active.words[partner[place]].marker and self._is_object(passive, active, partner, verb)
            for place, word in enumerate(passive.words)
        )  # fmt: skip
        return name if is_doer else ""

    @staticmethod
    def _is_object(passive: Question, active: Question, partner: dict[int, int], verb: int) -> bool:
        """What stands before the passive's verb comes after the active's: covered under the policy, the policy covers."""
        return all(partner.get(place, -1) > verb for place in range(passive.verb))

    def _asked(self) -> str:
        """to whom, from whom"""
        one, other = self.a.asks_with, self.b.asks_with
        if (
            one == other
            or {one, other} <= LOOSE - {"of", "for"}
            or self.agent
            or any(pair.why == "measure" for pair in self.pairs)
        ):
            return ""
        return f"asked with “{one or 'no preposition'}” against “{other or 'no preposition'}”"

    def _subject(self) -> str:
        """how many of them know, how many of them do I know"""
        a, b = self.a, self.b
        if (
            a.is_anyone == b.is_anyone
            or a.is_passive
            or b.is_passive
            or a.kind not in ("who", "what", "count", "amount")
        ):
            return ""
        anybody, paired = (a, {p.a for p in self.all}) if a.is_anyone else (b, {p.b for p in self.all})
        has_verb = any(place not in paired for place in range(len(anybody.words))) or "must" in anybody.modals
        return (
            "" if has_verb or not anybody.has_do or anybody.words[0].kind == "not" else "somebody does it in one only"
        )

    def _voice(self) -> str:
        a, b = self.a, self.b
        if a.is_passive == b.is_passive or self.agent:
            return ""
        passive, active = (a, b) if a.is_passive else (b, a)
        place = [pair for pair in self.pairs if (pair.a if a.is_passive else pair.b) == passive.verb]
        if not place or place[0].why in ("root", "measure") or active.is_anyone or self._is_state(active):
            return ""
        if a.kind == b.kind == "duration":
            return ""
        verb = passive.words[passive.verb]
        return f"“{verb.raw}” is done in one and suffered in the other"

    @staticmethod
    def _is_state(active: Question) -> bool:
        """`there is staff`, `it has heating`: nobody does anything."""
        return active.has_there or any("have" in word.bases for word in active.words)

    def _scopes(self) -> str:
        """A negation or a quantifier must stand before the same word."""
        partners = {(pair.a, pair.b) for pair in self.pairs}
        for pair in self.all:
            word = self.a.words[pair.a]
            if word.kind in ("word", "number") or word.text in ("and", "or"):
                continue
            one, other = _next(self.a, pair.a), _next(self.b, pair.b)
            if one is None or other is None:
                one, other = _previous(self.a, pair.a), _previous(self.b, pair.b)
            if word.text == "only" and self._is_same_focus(pair):
                continue
            if one is not None and other is not None and (one, other) not in partners:
                return f"“{word.raw}” goes with “{self.a.words[one].raw}” and with “{self.b.words[other].raw}”"
        return ""

    def _is_same_focus(self, pair: Pair) -> bool:
        """valid only for members, only valid for members"""
        partner = {p.a: p.b for p in self.pairs}
        for this, other, place, there in ((self.a, self.b, pair.a, pair.b), (self.b, self.a, pair.b, pair.a)):
            near, far = place + 1, there + 2
            if far < len(other.words) and near < len(this.words) and this.words[near].marker and other.words[far].marker:
                ours = (place - 1, near) if this is self.a else (there + 1, far)
                theirs = (there + 1, far) if this is self.a else (place - 1, near)
                return all(partner.get(x) == y for x, y in zip(ours, theirs, strict=True))
        return False

    def _markers(self) -> str:
        for pair in self.pairs:
            one, other = self._marker(self.a, pair.a), self._marker(self.b, pair.b)
            if one == other or (one in LOOSE and other in LOOSE) or self._is_bound(pair, one, other):
                continue
            word = self.a.words[pair.a]
            return f"“{one or 'no preposition'}” against “{other or 'no preposition'}” before “{word.raw}”"
        return ""

    def _marker(self, question: Question, place: int) -> str:
        return question.words[place].marker

    def _is_bound(self, pair: Pair, one: str, other: str) -> bool:
        """A word may lose its preposition where it is no longer first of its group, or was the doer of a passive."""
        if {one, other} & (DOERS | {"by"}) and "" in {one, other}:
            marked = "a" if one else "b"
            if self.agent == marked:
                return True
        word, partner = self.a.words[pair.a], self.b.words[pair.b]
        if not one and word.follows and other:
            return self._group_marker(self.a, pair.a) == other
        if not other and partner.follows and one:
            return self._group_marker(self.b, pair.b) == one
        return False

    @staticmethod
    def _group_marker(question: Question, place: int) -> str:
        while place > 0 and question.words[place].follows:
            place -= 1
        return question.words[place].marker

    def _moves(self) -> str:
        if self.a.alternatives and self.a.kind != self.b.kind:
            return ""  # “the buyer or the seller” stands where it likes
        for first, second in self._inverted():
            if not (self._is_phrase(first, second) or self._is_phrase(second, first) or self._is_genitive(first, second)
                    or self._is_passive(first, second) or self._is_nominal(first, second)
                    or self._is_manner(first) or self._is_manner(second) or self._is_owner(first)
                    or self._is_predicate(first, second) or self._is_superlative(first, second)
                    or self._is_owner(second) or self._is_last(first, second) or self._is_anybody(first, second)):  # fmt: skip
                here = f"{self.a.words[first.a].raw} → {self.a.words[second.a].raw}"
                return f"{here} against {self.b.words[second.b].raw} → {self.b.words[first.b].raw}"
        return "" if not self.agent else self._doer()

    def _inverted(self) -> Iterator[tuple[Pair, Pair]]:
        for number, first in enumerate(self.pairs):
            for second in self.pairs[number + 1 :]:
                if first.a < second.a and first.b > second.b:
                    yield first, second

    def _is_phrase(self, pair: Pair, passed: Pair) -> bool:
        """A phrase with the same preposition in both may stand anywhere, but not change places with one of its kind."""
        if any(word.text in FIXED or word.marker in FIXED for word in self.a.words):
            return False
        one, other = self._group_marker(self.a, pair.a), self._group_marker(self.b, pair.b)
        if one != other or one not in ROAMING or one in (self.a.words[passed.a].marker, self.b.words[passed.b].marker):
            return False
        if 0 in (pair.a, pair.b):
            return True
        return bool(self._group_marker(self.a, passed.a)) or self._is_only_verb(pair)

    def _is_only_verb(self, pair: Pair) -> bool:
        """What the phrase changes places with is one word at most, beside other phrases: the verb."""
        passed = [
            other for other in self.pairs
            if (other.a < pair.a) != (other.b < pair.b) and not self._group_marker(self.a, other.a)
        ]  # fmt: skip
        return len(passed) <= 1

    def _is_genitive(self, first: Pair, second: Pair) -> bool:
        """height of Everest, Everest's height, Everest height"""
        if _is_of(self.a, first.a, second.a):
            return not _is_filled(self.a, first.a, second.a) and _is_compound(self.b, second.b, first.b)
        if _is_of(self.b, second.b, first.b):
            return not _is_filled(self.b, second.b, first.b) and _is_compound(self.a, first.a, second.a)
        return False

    def _is_passive(self, first: Pair, second: Pair) -> bool:
        """Around the verb of a passive, where the other question has the active with the same doer or with anybody."""
        if self.a.is_passive == self.b.is_passive:
            return False
        if self.agent:
            return True
        passive, active = (self.a, self.b) if self.a.is_passive else (self.b, self.a)
        places = {first.a, second.a} if self.a.is_passive else {first.b, second.b}
        return active.is_anyone and passive.verb in places

    def _is_nominal(self, first: Pair, second: Pair) -> bool:
        """renew a passport, passport renewal"""
        a, b = self.a.words, self.b.words
        near = abs(first.a - second.a) == 1 and abs(first.b - second.b) == 1
        return near and "root" in (first.why, second.why) and not (a[first.a].is_name and b[second.b].is_name)

    def _is_manner(self, pair: Pair) -> bool:
        """a safe way to thaw, thaw safely"""
        one, other = self.a.words[pair.a], self.b.words[pair.b]
        return pair.why == "root" and one.text.endswith("ly") != other.text.endswith("ly")

    def _is_owner(self, pair: Pair) -> bool:
        """Norway's ban on the drug, the ban on the drug in Norway"""
        one, other = self.a.words[pair.a], self.b.words[pair.b]
        return (one.is_owner and other.marker in ("of", "in")) or (other.is_owner and one.marker in ("of", "in"))

    def _is_predicate(self, first: Pair, second: Pair) -> bool:
        """is it dangerous to swim, is swimming dangerous"""
        if self.a.has_it == self.b.has_it or self.a.kind != "polar":
            return False
        places = [(p.a, p.b) if self.a.has_it else (p.b, p.a) for p in (first, second)]
        return any(here == 0 and there == max(max(places, key=max)[1], self._core_end()) for here, there in places)

    def _core_end(self) -> int:
        other = self.b if self.a.has_it else self.a
        return len(other.words) - 1

    def _is_superlative(self, first: Pair, second: Pair) -> bool:
        """which river is the longest, what is the longest river"""
        for one, other in ((first, second), (second, first)):
            if self.a.words[one.a].degree == "most" and self.a.kind == "what" and 0 in (other.a, other.b):
                return abs(one.a - other.a) == 1 or abs(one.b - other.b) == 1
        return False

    def _is_last(self, first: Pair, second: Pair) -> bool:
        """the meaning of X, X means: what ends one question is the head of a genitive in the other"""
        a, b = self.a.words, self.b.words
        ends_b = (
            first.b == max(pair.b for pair in self.pairs)
            and not b[first.b].marker
            and self.b.has_do
            and not self.b.is_anyone
        )
        ends_a = (
            second.a == max(pair.a for pair in self.pairs)
            and not a[second.a].marker
            and self.a.has_do
            and not self.a.is_anyone
        )
        return (ends_b and _is_of(self.a, first.a, second.a)) or (ends_a and _is_of(self.b, second.b, first.b))

    def _is_anybody(self, first: Pair, second: Pair) -> bool:
        """how long do I bake it, how long does it bake"""
        a, b = self.a, self.b
        if a.kind != "duration" or a.is_anyone == b.is_anyone or a.is_passive or b.is_passive:
            return False
        if "me" in a.pronouns + b.pronouns:
            return False
        anybody, itself = (a, b) if a.is_anyone else (b, a)
        verb = {pair.a if a.is_anyone else pair.b for pair in (first, second)}
        last = next(
            (pair.b if a.is_anyone else pair.a for pair in (first, second) if (pair.a if a.is_anyone else pair.b) == 0),
            -1,
        )
        is_end = all(self._group_marker(itself, place) for place in range(last + 1, len(itself.words)))
        return min(verb) == 0 and not anybody.words[0].marker and is_end

    def _doer(self) -> str:
        """The doer of the passive comes before the verb of the active."""
        passive, active = (self.a, self.b) if self.agent == "a" else (self.b, self.a)
        partner = {(p.a if self.agent == "a" else p.b): (p.b if self.agent == "a" else p.a) for p in self.pairs}
        verb = partner.get(passive.verb)
        if passive.asks_with != "by" and passive.kind in ("who", "what") and not active.has_do:
            return "who does it is asked for in one, who suffers it in the other"
        if passive.asks_with == "by":
            return "" if not active.has_do else "the doer is asked for in one, the other side in the other"
        markers = {"by"} if any(word.marker == "by" for word in passive.words) else DOERS
        for place, word in enumerate(passive.words):
            is_led = self._group_marker(passive, place) in markers
            if (
                word.kind == "word"
                and is_led
                and place > passive.verb
                and place in partner
                and verb is not None
                and partner[place] > verb
            ):
                return f"“{word.raw}” does it in one and suffers it in the other"
        return ""


def _next(question: Question, place: int) -> int | None:
    following = range(place + 1, len(question.words))
    return next((i for i in following if question.words[i].kind in ("word", "number")), None)


def _previous(question: Question, place: int) -> int | None:
    return next((i for i in range(place - 1, -1, -1) if question.words[i].kind in ("word", "number")), None)


def _is_of(question: Question, head: int, other: int) -> bool:
    """`other` stands behind `head`, tied to it by loose prepositions: the price of a ticket for the zoo."""
    words = question.words
    return (
        head < other
        and any(words[i].marker for i in range(head + 1, other + 1))
        and all(words[i].follows or words[i].marker in LOOSE - {""} for i in range(head + 1, other + 1))
    )


def _is_filled(question: Question, head: int, other: int) -> bool:
    """a glass of wine is no wine glass: a thing and a stuff without an article"""
    words = question.words
    return words[head].article != "the" and not words[other].article and not words[other].is_name


def _is_compound(question: Question, first: int, second: int) -> bool:
    """Both stand in one group, or the first has 's."""
    return _is_run(question.words, first, second)


def _is_run(words: tuple[Word, ...], first: int, last: int) -> bool:
    return all(words[i].follows for i in range(first + 1, last + 1))
