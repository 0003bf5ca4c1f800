"""The six rules of what is a loop, and what breaks one: something new.

Each rule sees every step once and remembers only counts and small fingerprints, so that a step costs the same
at the end of a long run as at its start. New is a result that the agent has not had before, unless it is a failure
or empty; a call not made before that is answered by a bare "ok"; a message of somebody else with mostly new words.
What is not covered: an agent whose every call differs and is acknowledged: only the caps of the run end that.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Protocol

from pilotage.guard.likeness import Vocabulary, alike, skeleton
from pilotage.guard.steps import Step
from pilotage.spec import LoopSpec

NEW = 0.4  # share of a message's words, or pairs of words, above which it brings something new
PLENTY = 25  # new words, or pairs of words, that bring something however long the message is
CLAIM = 8  # new words of some length that make a claim without a figure
LENGTHS = range(2, 6)  # steps in a cycle; Gemini CLI looks for cycles of 1 to 5, and one of 1 is a repeat


@dataclass(frozen=True)
class Recurrence:
    """What came back, in which steps, how often, and when that is a nudge or a stop. `step` is the last of them."""

    kind: str
    steps: tuple[int, ...]
    times: int
    nudge: int
    stop: int
    step: Step
    agents: tuple[str, ...] = ()  # whose they are, when not all are of one


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
        news = self._news - self._own[step.agent]
        return news if step.is_tool or step.is_telling else news + self._firsts

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
        new = len(step.pairs - self._pairs)
        self._pairs |= step.pairs
        return new > NEW * len(step.pairs) or new >= PLENTY

    def _family_of(self, step: Step) -> int:
        keys = (step.doing, (step.agent, step.name, skeleton(step.said)))
        known = next((self._families[key] for key in keys if key in self._families), None)
        family = self._nearest(step) if known is None else known
        for key in keys:
            self._families.setdefault(key, family)
        return family

    def _nearest(self, step: Step) -> int:
        """The family of the last step within the window that is almost the same, else a new one.

        Calls whose results are the same, word for word, may differ more.
        """
        outcome = hash(step.outcome) if step.is_tool and step.is_telling else 0
        look = _Look(self.length, self.length, self._words.bag(step.bag), outcome)
        looks = self._near.setdefault((step.agent, step.name or step.kind), deque(maxlen=self.spec.window))
        for other in reversed(looks):
            if self.length - other.at > self.spec.window:
                break
            likeness = self.spec.likeness
            least = likeness**2 if look.outcome and look.outcome == other.outcome else likeness  # 0.64 instead of 0.8
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


class Rule(Protocol):
    def see(self, step: Step, trace: Trace) -> Recurrence | None: ...


@dataclass
class _Streak:
    steps: list[int]
    outcomes: set[int]
    clock: int
    idle: deque[int] = field(default_factory=deque)  # when it came back though nothing justified it
    idle_ever: int = 0  # how often in the whole trace, where nothing is an excuse for the very same message


class Again:
    """The same step again, or almost the same, with the same result and nothing that would justify it.

    DeerFlow warns at 3 and stops at 5 in a window of 20; OpenHands stops at 4 in 20. What comes back word for word
    and says something counts over the whole trace, with one more allowed.
    """

    def __init__(self, spec: LoopSpec, kind: str) -> None:
        self.spec, self.kind = spec, kind
        self.is_exact = kind == "repeat"
        self._streaks: dict[object, _Streak] = {}

    def see(self, step: Step, trace: Trace) -> Recurrence | None:
        if step.kind not in ("message", "tool") or not (self.is_exact or self._may_be_near(step, trace)):
            return None
        key: object = step.doing if self.is_exact else trace.family
        clock = trace.clock(step)
        streak = self._streaks.get(key)
        if streak is None or self._is_progress(step, streak, trace):
            outcomes = {hash(step.outcome)} | (streak.outcomes if streak else set())
            self._streaks[key] = _Streak([step.number], outcomes, clock)
            return None
        streak.steps.append(step.number)
        if clock == streak.clock:
            streak.idle.append(trace.length)
        streak.idle_ever += clock == streak.clock or step.kind == "message"
        streak.clock = clock
        return self._recurrence(step, streak, trace)

    def _may_be_near(self, step: Step, trace: Trace) -> bool:
        """Not a failure, which has its own rule, nor one of many similar calls that are each acknowledged."""
        return not step.is_failure and not (step.is_bare and trace.is_new)

    def _is_progress(self, step: Step, streak: _Streak, trace: Trace) -> bool:
        other = step.is_tool and hash(step.outcome) not in streak.outcomes
        return other and (self.is_exact or trace.is_new)

    def _recurrence(self, step: Step, streak: _Streak, trace: Trace) -> Recurrence:
        while streak.idle and trace.length - streak.idle[0] > self.spec.window:
            streak.idle.popleft()
        times = len(streak.idle) + 1
        if self.is_exact and step.is_telling and not step.is_action:
            times = max(times, streak.idle_ever)
        return Recurrence(self.kind, tuple(streak.steps), times, self.spec.nudge, self.spec.stop, step)


class SameError:
    """The same failure of the same tool, whatever the arguments, with no success in between (OpenHands: 3)."""

    def __init__(self, spec: LoopSpec) -> None:
        self.spec = spec
        self._failures: dict[tuple[str, str], dict[int, list[int]]] = {}

    def see(self, step: Step, _trace: Trace) -> Recurrence | None:
        if not step.is_failure:
            self._failures.pop((step.agent, step.name), None)
            return None
        failures = self._failures.setdefault((step.agent, step.name), {})
        steps = failures.setdefault(hash(step.complaint), [])
        steps.append(step.number)
        return Recurrence("error", tuple(steps), len(steps), self.spec.nudge, self.spec.stop, step)


class Cycle:
    """Two to five steps that go round, of one agent or several (Gemini CLI: five times round)."""

    def __init__(self, spec: LoopSpec) -> None:
        self.spec = spec
        self._last: dict[int, int] = {}  # the last step of each family
        self._round: list[tuple[int, Step, int]] = []  # family, step, the step of that family before
        self._runs = dict.fromkeys(LENGTHS, 0)

    def see(self, step: Step, trace: Trace) -> Recurrence | None:
        if trace.is_new or not step.is_repeatable:
            self._round.clear()
            self._runs = dict.fromkeys(LENGTHS, 0)
        if not step.is_repeatable:
            return None
        before, self._last[trace.family] = self._last.get(trace.family), step.number
        if before is None or trace.is_new:
            return None
        self._round.append((trace.family, step, before))
        found = [self._at(length, step) for length in LENGTHS]
        return next((recurrence for recurrence in found if recurrence), None)

    def _at(self, length: int, step: Step) -> Recurrence | None:
        steps = self._round
        same = len(steps) > length and steps[-1][0] == steps[-1 - length][0]
        self._runs[length] = self._runs[length] + 1 if same else 0
        whole = self._runs[length] + length  # steps that go round, the first time not among them
        if not same or whole % length or len({family for family, _, _ in steps[-length:]}) < 2:
            return None
        around = steps[-whole:]
        numbers = {before for _, _, before in around[:length]} | {one.number for _, one, _ in around}
        agents = tuple(one.agent for _, one, _ in around[:length])
        stop = self.spec.cycles
        return Recurrence("cycle", tuple(sorted(numbers)), whole // length + 1, stop - 1, stop, step, agents)


class Monologue:
    """Thought after thought of one agent, nothing done in between, none with a new claim (OpenHands: 3 messages)."""

    def __init__(self, spec: LoopSpec) -> None:
        self.spec = spec
        self._agent = ""
        self._said: set[str] = set()
        self._steps: list[int] = []

    def see(self, step: Step, _trace: Trace) -> Recurrence | None:
        if step.kind != "message" or step.agent != self._agent:
            self._agent, self._said, self._steps = step.agent, set(), []
        if step.kind != "message":
            return None
        if self._claims_something(step):
            self._steps = []
        self._said |= step.claims
        self._steps.append(step.number)
        times = len(self._steps)
        return Recurrence("monologue", tuple(self._steps), times, self.spec.nudge, self.spec.monologue, step)

    def _claims_something(self, step: Step) -> bool:
        """Mostly words not said before, and enough of them, or a figure: talk in general terms is none."""
        new = step.claims - self._said
        few = len(new) < CLAIM and not any(map(str.isdigit, "".join(new)))
        return len(new) >= PLENTY or (len(new) > NEW * len(step.claims) and not few)


class Stagnation:
    """Call after call of one agent, and hardly one of them brings it something new."""

    def __init__(self, spec: LoopSpec) -> None:
        self.spec = spec
        self._calls: dict[str, deque[tuple[int, bool]]] = {}

    def see(self, step: Step, trace: Trace) -> Recurrence | None:
        if step.kind in ("progress", "boundary"):
            self._calls.pop(step.agent, None)
        if not step.is_tool:
            return None
        stop = self.spec.stagnation
        calls = self._calls.setdefault(step.agent, deque(maxlen=stop + stop // 3))
        calls.append((step.number, trace.is_new))
        if trace.is_new:
            return None
        steps = tuple(number for number, is_new in calls if not is_new)
        return Recurrence("stagnation", steps, len(steps), stop // 2, stop, step)
