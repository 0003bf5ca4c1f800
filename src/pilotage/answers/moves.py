"""Changes of order that keep the roles: passives, genitives, phrases of place and time, predicates, superlatives.

Each pair of words that change places needs one of them. What is not covered: free relative clauses, clefts, and any
turn that would need a parser; those are taken for a change of roles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pilotage.answers.groups import (
    are_joined,
    group_marker,
    is_attribute,
    is_done_to,
    is_filled,
    is_gift,
    is_of,
    is_run,
)  # fmt: skip
from pilotage.answers.pairing import Pair
from pilotage.answers.question import Question
from pilotage.language.content import Word
from pilotage.language.lexicon import lexicon
from pilotage.language.words import DIRECTED

FIXED = frozenset({"than", "only", "and", "or"})
_ROAMING_WORDS = "in at on to from during before after until since within if because by into per for through"
ROAMING = frozenset(_ROAMING_WORDS.split())
"""Phrases of place, time and circumstance, which stand here or there; `with the dog` belongs to its neighbour."""
DOERS = frozenset({"under", "in", "with"})
"""Beside `by`: covered under the policy, the policy covers."""


@dataclass
class Moves:
    """Two questions, their pairs of meaning words, and which of them is a passive that names its doer."""

    a: Question
    b: Question
    pairs: list[Pair]
    agent: str = field(init=False)
    tools: frozenset[int] = field(init=False)  # places in `a` of what does it in one and is used in the other

    def __post_init__(self) -> None:
        self.agent = self._agent()
        self.tools = self._tools()

    def _tools(self) -> frozenset[int]:
        a, b = self.a, self.b
        if a.is_anyone == b.is_anyone or a.is_passive or b.is_passive or a.kind != "polar" != b.kind:
            return frozenset()
        used, does = (a, b) if a.is_anyone else (b, a)
        found = []
        for pair in self.pairs:
            here, there = (pair.a, pair.b) if a.is_anyone else (pair.b, pair.a)
            is_subject = not does.words[there].marker and all(word.follows for word in does.words[1 : there + 1])
            if is_subject and group_marker(used, here) == "with":
                found.append((pair.a, used.words[here]))
        is_thing = any(lexicon().noun_class(base) == "artifact" for _, word in found for base in word.bases)
        return frozenset(place for place, _ in found) if is_thing else frozenset()

    def fault(self) -> str:
        if self.a.alternatives and self.a.kind != self.b.kind:
            return ""  # “the buyer or the seller” stands where it likes
        for first, second in self._inverted():
            if not self._is_turn(first, second):
                a, b = self.a.words, self.b.words
                return f"{a[first.a].raw} → {a[second.a].raw} against {b[second.b].raw} → {b[first.b].raw}"
        return self._doer() if self.agent else ""

    def _inverted(self) -> Iterator[tuple[Pair, Pair]]:
        for number, first in enumerate(self.pairs):
            for second in self.pairs[number + 1 :]:
                if first.a < second.a and first.b > second.b:
                    yield first, second

    def _is_turn(self, first: Pair, second: Pair) -> bool:
        turns = (self._is_phrase, self._is_manner, self._is_owner, self._is_adverb)
        if any(turn(one, other) for turn in turns for one, other in ((first, second), (second, first))):
            return True
        return (
            self._is_genitive(first, second)
            or self._is_passive(first, second)
            or self._is_nominal(first, second)
            or self._is_predicate(first, second)
            or self._is_superlative(first, second)
            or self._is_last(first, second)
            or self._is_anybody(first, second)
            or self._is_copula(first, second)
            or self._is_event(first, second)
            or self._is_joined(first, second)
            or self._is_reduced(first, second)
            or self._is_needed(first, second)
            or self._is_tool(first, second)
            or self._is_given(first, second)
        )

    def partners(self, name: str) -> dict[int, int]:
        if name == "a":
            return {pair.a: pair.b for pair in self.pairs}
        return {pair.b: pair.a for pair in self.pairs}

    # --- passives

    def _agent(self) -> str:
        """Which question is a passive whose doer is named, the other one being active: "a", "b" or ""."""
        if self.a.is_passive == self.b.is_passive:
            return ""
        name, passive, active = ("a", self.a, self.b) if self.a.is_passive else ("b", self.b, self.a)
        if passive.asks_with == "by" or any(word.marker == "by" for word in passive.words):
            return name
        partner = self.partners(name)
        verb = partner.get(passive.verb, -1)
        after = range(passive.verb + 1, len(passive.words))
        led = [partner[i] for i in after if group_marker(passive, i) in DOERS and i in partner]
        is_done = all(partner.get(i, -1) > verb for i in range(passive.verb))  # what was before comes after
        does = any(place < verb and not active.words[place].marker for place in led)
        return name if does and is_done else ""

    def _doer(self) -> str:
        """The doer of the passive comes before the verb of the active."""
        passive, active = (self.a, self.b) if self.agent == "a" else (self.b, self.a)
        if passive.asks_with == "by":
            late = passive.kind == "who" and self.partners(self.agent).get(passive.verb, 0) > 0  # who is Anna paying
            return "the doer is asked for in one, the other side in the other" if active.has_do or late else ""
        if passive.kind in ("who", "what") and not active.has_do:
            return "who does it is asked for in one, who suffers it in the other"
        partner = self.partners(self.agent)
        verb = partner.get(passive.verb)
        markers = {"by"} if any(word.marker == "by" for word in passive.words) else DOERS
        for place in range(passive.verb + 1, len(passive.words)):
            word = passive.words[place]
            is_led = (word.kind == "word" or word.text.startswith("unit ")) and group_marker(passive, place) in markers
            if is_led and verb is not None and partner.get(place, -1) > verb:
                return f"“{passive.words[place].raw}” does it in one and suffers it in the other"
        return ""

    def _is_passive(self, first: Pair, second: Pair) -> bool:
        """Around the verb of a passive, where the other question has the active with the same doer or with anybody."""
        if self.a.is_passive == self.b.is_passive:
            return False
        if self.agent:
            return True
        passive, active = (self.a, self.b) if self.a.is_passive else (self.b, self.a)
        places = {first.a, second.a} if self.a.is_passive else {first.b, second.b}
        return active.is_anyone and passive.verb in places

    # --- one word or phrase that moves

    def _is_phrase(self, pair: Pair, passed: Pair) -> bool:
        """A phrase with the same preposition in both may stand anywhere, but not change places with one of its kind."""
        is_rate = self.a.words[pair.a].marker == self.b.words[pair.b].marker == "per"
        if is_rate and not any(self.a.words[passed.a].marker == marker for marker in ("per", "than")):
            return True  # how many does it lay per week, how many per week
        if any(word.text in FIXED or word.marker in FIXED for word in self.a.words):
            return False
        one, other = group_marker(self.a, pair.a), group_marker(self.b, pair.b)
        if one != other or one not in ROAMING:
            return False
        if one in (self.a.words[passed.a].marker, self.b.words[passed.b].marker):
            return False
        return 0 in (pair.a, pair.b) or bool(group_marker(self.a, passed.a)) or self._is_only_verb(pair)

    def _is_only_verb(self, pair: Pair) -> bool:
        """What the phrase changes places with is one word at most, beside other phrases: the verb."""
        passed = [p for p in self.pairs if (p.a < pair.a) != (p.b < pair.b) and not group_marker(self.a, p.a)]
        return len(passed) <= 1

    def _is_manner(self, pair: Pair, passed: Pair) -> bool:
        """a safe way to thaw, thaw safely"""
        one, other = self.a.words[pair.a], self.b.words[pair.b]
        return pair.why == "root" and one.text.endswith("ly") != other.text.endswith("ly")

    def _is_owner(self, pair: Pair, passed: Pair) -> bool:
        """Norway's ban on the drug, the ban on the drug in Norway"""
        one, other = self.a.words[pair.a], self.b.words[pair.b]
        return (one.is_owner and other.marker in ("of", "in")) or (other.is_owner and one.marker in ("of", "in"))

    def _is_adverb(self, pair: Pair, passed: Pair) -> bool:
        """safely thaw it, thaw it safely; not where it could go with the verb of another clause"""
        one, other = self.a.words[pair.a], self.b.words[pair.b]
        if one.text != other.text or not one.text.endswith("ly") or self.a.has_clause or self.b.has_clause:
            return False
        return lexicon().knows(one.text, "r") and not any(word.text in FIXED for word in self.a.words)

    # --- two words that change places

    def _is_genitive(self, first: Pair, second: Pair) -> bool:
        """height of Everest, Everest's height, Everest height"""
        if is_of(self.a, first.a, second.a):
            return not is_filled(self.a, first.a, second.a) and is_run(self.b, second.b, first.b)
        if is_of(self.b, second.b, first.b):
            return not is_filled(self.b, second.b, first.b) and is_run(self.a, first.a, second.a)
        return False

    def _is_nominal(self, first: Pair, second: Pair) -> bool:
        """renew a passport, passport renewal"""
        is_near = abs(first.a - second.a) == 1 and abs(first.b - second.b) == 1
        return is_near and "root" in (first.why, second.why)

    def _is_predicate(self, first: Pair, second: Pair) -> bool:
        """is it dangerous to swim, is swimming dangerous"""
        if self.a.has_it == self.b.has_it or self.a.kind != "polar":
            return False
        last = len(self.b.words if self.a.has_it else self.a.words) - 1
        places = [(pair.a, pair.b) if self.a.has_it else (pair.b, pair.a) for pair in (first, second)]
        return (0, last) in places

    def _is_superlative(self, first: Pair, second: Pair) -> bool:
        """which river is the longest, what is the longest river"""
        for one, other in ((first, second), (second, first)):
            if self.a.words[one.a].degree == "most" and self.a.kind == "what" and 0 in (other.a, other.b):
                return abs(one.a - other.a) == 1 or abs(one.b - other.b) == 1
        return False

    def _is_last(self, first: Pair, second: Pair) -> bool:
        """the price of it is asked for, or what it costs: the last word of one heads a genitive in the other"""
        ends_b = first.b == max(pair.b for pair in self.pairs) and _is_verb_last(self.b, first.b)
        ends_a = second.a == max(pair.a for pair in self.pairs) and _is_verb_last(self.a, second.a)
        return (ends_b and not self.a.has_do and is_of(self.a, first.a, second.a)) or (
            ends_a and not self.b.has_do and is_of(self.b, second.b, first.b)
        )

    def _is_copula(self, first: Pair, second: Pair) -> bool:
        """is 5 kg the limit, is the limit 5 kg"""
        a, b = self.a, self.b
        if a.kind != "polar" or a.has_do or b.has_do or a.is_passive or b.is_passive or a.modals or b.modals:
            return False
        words = (*a.words, *b.words)
        if any(w.degree or w.marker or w.kind not in ("word", "number") for w in words):
            return False
        numbers = [pair for pair in (first, second) if a.words[pair.a].kind == "number"]
        ends = [{numbers[0].a, numbers[0].b} == {0, len(a.words) - 1}] if len(numbers) == 1 else []
        return ends == [True] and len(a.words) == len(b.words)

    def _is_event(self, first: Pair, second: Pair) -> bool:
        """the collapse of the bank, the bank collapsed; the election of the mayor, the mayor is elected"""
        turns = (
            (self.a, self.b, (first.a, first.b), (second.a, second.b)),
            (self.b, self.a, (second.b, second.a), (first.b, first.a)),
        )
        return any(is_done_to(*turn) for turn in turns)

    def _is_reduced(self, first: Pair, second: Pair) -> bool:
        """a deleted file, a file I have deleted"""
        return is_attribute(self.a, first.a, self.b, second.b, first.b) or is_attribute(
            self.b, second.b, self.a, first.a, second.a
        )

    def _is_needed(self, first: Pair, second: Pair) -> bool:
        """children need a passport, a passport is needed for children"""
        a, b = self.a, self.b
        if not ("must" in a.modals and "must" in b.modals and a.has_do != b.has_do):
            return False
        needed, place = (b, first.b) if a.has_do else (a, second.a)
        needs, subject = (a, first.a) if a.has_do else (b, second.b)
        return group_marker(needed, place) == "for" and not group_marker(needs, subject)

    def _is_tool(self, first: Pair, second: Pair) -> bool:
        """I cool the house with a pump, a pump cools the house"""
        return any(pair.a in self.tools for pair in (first, second))

    def _is_given(self, first: Pair, second: Pair) -> bool:
        """pay the bank a fee, pay a fee to the bank"""
        a, b = self.a, self.b
        if self.a.is_passive or self.b.is_passive:
            return False
        return is_gift(a, first.a, second.a, b, second.b, first.b) or is_gift(
            b, second.b, first.b, a, first.a, second.a
        )

    def _is_joined(self, first: Pair, second: Pair) -> bool:
        """mumps and rubella, rubella and mumps; not where one is turned into the other"""
        if any(word.bases & DIRECTED or word.text in FIXED - {"and", "or"} for word in self.a.words):
            return False
        return are_joined(self.a, first.a, second.a) and are_joined(self.b, second.b, first.b)

    def _is_anybody(self, first: Pair, second: Pair) -> bool:
        """how long do I bake it, how long does it bake"""
        a, b = self.a, self.b
        if a.kind != "duration" or a.is_anyone == b.is_anyone or a.is_passive or b.is_passive:
            return False
        if "me" in a.pronouns + b.pronouns:
            return False
        anybody, itself = (a, b) if a.is_anyone else (b, a)
        places = dict((pair.a, pair.b) if a.is_anyone else (pair.b, pair.a) for pair in (first, second))
        if 0 not in places or anybody.words[0].marker:
            return False
        return all(group_marker(itself, place) for place in range(places[0] + 1, len(itself.words)))


def _is_verb_last(question: Question, place: int) -> bool:
    """`does it cost`: with `do`, and a subject of its own, the last word is the verb."""
    word: Word = question.words[place]
    has_other = any("have" in other.bases for other in question.words[:place])
    is_verb = any(lexicon().knows(base, "v") for base in word.bases) and not has_other
    return is_verb and not word.marker and question.has_do and not question.is_anyone
