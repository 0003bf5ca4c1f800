"""What a trace holds so far: which steps brought something new, and which are of one family, the same or almost.

New is a result that the agent has not had before, unless it is a failure or empty; a call not made before that is
answered by a bare "ok"; a message with mostly new words. An agent's own messages are no news to itself. Only counts
and small fingerprints are kept, no texts.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace

from pilotage.guard.likeness import Vocabulary, alike, skeleton, without_counters
from pilotage.guard.steps import Step
from pilotage.spec import LoopSpec

NEW = 0.4  # share of a message's words, or pairs of words, above which it brings something new
PLENTY = 25  # new words, or pairs of words, that bring something however long the message is


class Trace:
    """All steps so far: what is new in each, and which are of one family (the same doing, or almost)."""

    def __init__(self, spec: LoopSpec) -> None:
        self.spec = spec
        self.length = 0
        self.family = 0  # of the last step
        self.is_new = False  # whether the last step brought something
        self.changes = 0  # acknowledged calls, checks passed or failed anew: after one, asking again is justified
        self._news, self._firsts = 0, 0
        self._own: Counter[str] = Counter()  # news of an agent's own messages: none to itself
        self._outcomes: set[tuple[str, int]] = set()
        self._doings: set[tuple[str, str, int]] = set()
        self._pairs: set[int] = set()
        self._families: dict[object, int] = {}
        self._words = Vocabulary()
        self._near: dict[tuple[str, str], deque[_Look]] = {}

    def add(self, step: Step) -> None:
        self.length += 1
        if step.is_repeatable:
            self.family = self._family_of(step)
            self._firsts += self.family == self.length
        change, fresh = self._changes(step), self._gets_new(step)
        self.is_new = change or fresh or self._says_new(step)
        self.changes += change
        self._news += self.is_new
        if step.kind == "message":
            self._own[step.agent] += self.is_new
        self._doings.add(step.doing)

    def clock(self, step: Step) -> int:
        """Stands still for as long as nothing happens that would justify doing `step` again.

        That is a change for a call, news for a thought; a stock phrase is excused by anything not said or done before.
        """
        if step.is_tool and step.is_telling:
            return self.changes
        news = self.news_for(step.agent)
        return news if step.is_tool or step.is_telling else news + self._firsts

    def news_for(self, agent: str) -> int:
        """How often there was something new that the agent did not say itself."""
        return self._news - self._own[agent]

    def _changes(self, step: Step) -> bool:
        if step.kind == "check":
            return (step.agent, hash(step.outcome)) not in self._outcomes
        return step.kind == "progress" or (step.is_bare and step.doing not in self._doings)

    def _gets_new(self, step: Step) -> bool:
        if not step.is_tool:
            return False
        known = len(self._outcomes)
        self._outcomes.add((step.agent, hash(step.outcome)))
        return len(self._outcomes) > known and not step.is_failure and not step.is_empty

    def _says_new(self, step: Step) -> bool:
        if step.kind != "message":
            return False
        if step.agent not in self._own:  # whoever joins brings a view of their own
            self._pairs |= step.pairs
            return True
        new = len(step.pairs - self._pairs)
        self._pairs |= step.pairs
        return new > NEW * len(step.pairs) or new >= PLENTY

    def _family_of(self, step: Step) -> int:
        form = without_counters(step.said) if step.is_tool else skeleton(step.said)
        keys = (step.doing, (step.agent, step.name, form))
        known = next((self._families[key] for key in keys if key in self._families), None)
        family = self._nearest(step) if known is None else known
        for key in keys:
            self._families.setdefault(key, family)
        return family

    def _nearest(self, step: Step) -> int:
        """The family of the last step within the window that is almost the same, else a new one.

        Calls whose results are the same, word for word, may differ more; calls that differ only by an id are work
        on one thing after another.
        """
        outcome = hash(step.outcome) if step.is_tool and step.is_telling else 0
        look = _Look(self.length, self.length, self._words.bag(step.bag), outcome)
        looks = self._near.setdefault((step.agent, step.name or step.kind), deque(maxlen=self.spec.window))
        for other in reversed(looks):
            if self.length - other.at > self.spec.window:
                break
            likeness = self.spec.likeness
            least = likeness**2 if look.outcome and look.outcome == other.outcome else likeness  # 0.64 instead of 0.8
            if step.is_tool and self._words.differ_by_name(look.bag, other.bag):
                continue
            if alike(look.bag, other.bag, least):
                look = replace(look, family=other.family)
                break
        looks.append(look)
        return look.family


@dataclass(frozen=True)
class _Look:
    family: int
    at: int
    bag: int
    outcome: int
