"""The six rules of what is a loop, and what breaks one: something new, see guard/trace.py.

Each rule sees every step once and remembers only counts and small fingerprints, so that a step costs the same
at the end of a long run as at its start. What is not covered: an agent whose every call differs and is acknowledged,
or differs by an id: only the caps of the run end that.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from pilotage.guard.steps import Step
from pilotage.guard.trace import NEW, PLENTY, Trace
from pilotage.spec import LoopSpec

CLAIM = 8  # new words of some length that make a claim without a figure
LENGTHS = range(2, 6)  # steps in a cycle; Gemini CLI looks for cycles of 1 to 5, and one of 1 is a repeat
FIRST = 7  # steps that a recurrence names, besides its last


@dataclass(frozen=True)
class Recurrence:
    """What came back often enough for a nudge, and when that is a stop, by the setting `key`.

    `steps` are the first of them, FIRST at most, and the last, which is `step`; `count` is how many there were.
    """

    kind: str
    steps: tuple[int, ...]
    count: int
    times: int
    stop: int
    key: str
    step: Step
    agents: tuple[str, ...] = ()  # whose they are, when not all are of one


@dataclass
class Tally:
    """Numbers of steps, of which only the first ones and the last are kept."""

    first: list[int] = field(default_factory=list)
    last: int = 0
    count: int = 0

    def add(self, number: int) -> None:
        if self.count < FIRST:
            self.first.append(number)
        self.last, self.count = number, self.count + 1

    @property
    def steps(self) -> tuple[int, ...]:
        return (*self.first, self.last) if self.count > FIRST else tuple(self.first)


class Rule(Protocol):
    def see(self, step: Step, trace: Trace) -> Recurrence | None: ...


@dataclass
class _Streak:
    tally: Tally
    outcomes: set[int]
    clock: int
    news: int
    idle: deque[int] = field(default_factory=deque)  # when it came back though nothing justified it
    idle_ever: int = 0  # how often in the whole trace, where nothing is an excuse for the very same message
    newsless: int = 0  # how often there was nothing new since the time before


class Again:
    """The same step again, or almost the same, with the same result and nothing that would justify it.

    DeerFlow warns at 3 and stops at 5 in a window of 20; OpenHands stops at 4 in 20. What comes back word for word
    and says something counts over the whole trace, with one more allowed. A call that never came back without
    something new in between (the same test after each edit) may be part of work: it stops as late as stagnation.
    """

    def __init__(self, spec: LoopSpec, kind: str) -> None:
        self.spec, self.kind = spec, kind
        self.is_exact = kind == "repeat"
        self._streaks: dict[object, _Streak] = {}

    def see(self, step: Step, trace: Trace) -> Recurrence | None:
        if step.kind not in ("message", "tool") or not (self.is_exact or self._may_be_near(step, trace)):
            return None
        key: object = step.doing if self.is_exact else trace.family
        clock, news = trace.clock(step), trace.news_for(step.agent)
        streak = self._streaks.get(key)
        if streak is None or self._is_progress(step, streak, trace):
            outcomes = {hash(step.outcome)} | (streak.outcomes if streak else set())
            streak = self._streaks[key] = _Streak(Tally(), outcomes, clock, news)
            streak.tally.add(step.number)
            return None
        streak.tally.add(step.number)
        if clock == streak.clock:
            streak.idle.append(trace.length)
        streak.idle_ever += clock == streak.clock or step.kind == "message"
        streak.newsless += news == streak.news or step.kind == "message"
        streak.clock, streak.news = clock, news
        return self._recurrence(step, streak, trace)

    def _may_be_near(self, step: Step, trace: Trace) -> bool:
        """Not a failure, which has its own rule, nor one of many similar calls that are each acknowledged."""
        return not step.is_failure and not (step.is_bare and trace.is_new)

    def _is_progress(self, step: Step, streak: _Streak, trace: Trace) -> bool:
        other = step.is_tool and hash(step.outcome) not in streak.outcomes
        return other and (self.is_exact or trace.is_new)

    def _recurrence(self, step: Step, streak: _Streak, trace: Trace) -> Recurrence | None:
        while streak.idle and trace.length - streak.idle[0] > self.spec.window:
            streak.idle.popleft()
        times = len(streak.idle) + 1
        if self.is_exact and step.is_telling and not step.is_action:
            times = max(times, streak.idle_ever)
        if times < self.spec.nudge:
            return None
        late = not streak.newsless and self.spec.stagnation > self.spec.stop
        key, stop = ("stagnation", self.spec.stagnation) if late else ("stop", self.spec.stop)
        tally = streak.tally
        return Recurrence(self.kind, tally.steps, tally.count, times, stop, key, step)


class SameError:
    """The same failure of the same tool, whatever the arguments, with no success in between (OpenHands: 3)."""

    def __init__(self, spec: LoopSpec) -> None:
        self.spec = spec
        self._failures: dict[tuple[str, str], dict[int, Tally]] = {}

    def see(self, step: Step, _trace: Trace) -> Recurrence | None:
        if not step.is_failure:
            self._failures.pop((step.agent, step.name), None)
            return None
        failures = self._failures.setdefault((step.agent, step.name), {})
        tally = failures.setdefault(hash(step.complaint), Tally())
        tally.add(step.number)
        if tally.count < self.spec.nudge:
            return None
        return Recurrence("error", tally.steps, tally.count, tally.count, self.spec.stop, "stop", step)


class Cycle:
    """Two to five steps that go round, of one agent or several (Gemini CLI: five times round).

    A thought and its own call, of one agent, are a repeat, and stop as late as one.
    """

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
        start = len(steps) - whole
        around = steps[start : start + length]
        agents = tuple(one.agent for _, one, _ in around)
        is_repeat = len(set(agents)) == 1 and sum(one.is_tool for _, one, _ in around) < 2
        key = "stop" if is_repeat and self.spec.stop > self.spec.cycles else "cycles"
        stop, times = getattr(self.spec, key), whole // length + 1
        if times < stop - 1:
            return None
        numbers = {before for _, _, before in around} | {one.number for _, one, _ in steps[start : start + FIRST]}
        shown = (*sorted(numbers - {step.number})[:FIRST], step.number)
        return Recurrence("cycle", shown, whole + length, times, stop, key, step, agents)


class Monologue:
    """Thought after thought of one agent, nothing done in between, none with a new claim (OpenHands: 3 messages)."""

    def __init__(self, spec: LoopSpec) -> None:
        self.spec = spec
        self._agent = ""
        self._said: set[str] = set()
        self._tally = Tally()

    def see(self, step: Step, _trace: Trace) -> Recurrence | None:
        if step.kind != "message" or step.agent != self._agent:
            self._agent, self._said, self._tally = step.agent, set(), Tally()
        if step.kind != "message":
            return None
        if self._claims_something(step):
            self._tally = Tally()
        self._said |= step.claims
        self._tally.add(step.number)
        stop, times = self.spec.monologue, self._tally.count
        if times < min(self.spec.nudge, stop - 1):
            return None
        return Recurrence("monologue", self._tally.steps, times, times, stop, "monologue", step)

    def _claims_something(self, step: Step) -> bool:
        """Mostly words not said before, and enough of them, or a figure: talk in general terms is none."""
        new = step.claims - self._said
        few = len(new) < CLAIM and not any(map(str.isdigit, "".join(new)))
        return len(new) >= PLENTY or (len(new) > NEW * len(step.claims) and not few)


class Stagnation:
    """Call after call of one agent, and hardly one of them brings it something new."""

    def __init__(self, spec: LoopSpec) -> None:
        self.spec = spec
        self._calls: Counter[str] = Counter()
        self._vain: dict[str, deque[tuple[int, int]]] = {}  # which call of the agent, which step

    def see(self, step: Step, trace: Trace) -> Recurrence | None:
        if step.kind in ("progress", "boundary"):
            self._vain.pop(step.agent, None)
        if not step.is_tool:
            return None
        self._calls[step.agent] += 1
        if trace.is_new:
            return None
        stop, call = self.spec.stagnation, self._calls[step.agent]
        vain = self._vain.setdefault(step.agent, deque())
        vain.append((call, step.number))
        while call - vain[0][0] >= stop + stop // 3:
            vain.popleft()
        times = len(vain)
        if times < stop // 2:
            return None
        first = tuple(number for _, number in islice(vain, FIRST))
        steps = (*first, step.number) if times > FIRST else first
        return Recurrence("stagnation", steps, times, times, stop, "stagnation", step)
