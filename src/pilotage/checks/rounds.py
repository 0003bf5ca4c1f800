"""Rounds: when the evidence is not enough, the crew goes back to the task that searches, and is told what was tried.

    short of evidence, a round left   -> NewRound goes through CrewAI; the crew is kicked off again from that task
    short again                       -> the better round stands: an answer, more that is supported, a higher grade
    no round left, or no room for one -> the run ends as that round did

All rounds of a run count together (checks.feedback_rounds), and so do their calls. The built-in reader gets none: it
would find the same. What is not covered: a cap that is reached in a later round ends the run as `limited`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from pilotage.checks.established import Evidence
from pilotage.errors import PilotageError
from pilotage.guard.fence import ROUND_BEFORE, fence
from pilotage.guard.limits import Ended, Meter, RunEnded
from pilotage.guard.policy import PAGES
from pilotage.prompts import RoundsPrompts, fill
from pilotage.record.journal import Event, Journal

SEARCHES = ("search_knowledge", "search_web", PAGES)
MOST = 20  # searches, and sources, that are told
LONGEST = 300  # characters of one of them
NEEDED = 2  # calls for each task, and of the task that searches, that must be left


class NewRound(PilotageError):
    """Raised through CrewAI: the crew is to be kicked off again."""


@dataclass(frozen=True)
class Short:
    """Why the evidence of a round was not enough, and how the run ends when no other round is better."""

    task: str
    check: str
    ended: Ended
    claim: str = ""
    seen: str = ""  # what the claim was held against
    grade: float = 0.0


@dataclass(frozen=True)
class Tried:
    """A round that is over: what it had established, and where it fell short."""

    evidence: Evidence
    short: Short

    @property
    def merit(self) -> tuple[bool, int, int, float, int]:
        """By which two rounds are compared."""
        made, is_answered = self.evidence, self.short.ended.outcome == "accepted"
        return is_answered, len(made.supported or []), -len(made.faults), self.short.grade, len(made.findings)


class Rounds:
    """The rounds of one run. `first` is the task that a new one begins with, "" when there is none that could help."""

    def __init__(self, most: int, evidence: Evidence, meter: Meter, journal: Journal, prompts: RoundsPrompts) -> None:
        self.most, self.evidence, self.meter, self.journal, self.prompts = most, evidence, meter, journal, prompts
        self.first, self.agent, self.iterations = "", "", 0
        self.tasks: Sequence[str] = ()
        self.number = 1
        self.wanted: Short | None = None
        self._best: Tried | None = None
        self._searched: set[str] = set()
        self._asked = 0  # calls of models for the first task
        self._block = ""
        journal.listen(self._note)

    def may_begin_at(self, first: str, agent: str, iterations: int, tasks: Sequence[str]) -> None:
        """A new round begins with the task `first`, whose agent has so many iterations; `tasks` are all of the crew."""
        self.first, self.agent, self.iterations, self.tasks = first, agent, iterations, tasks

    def fell_short(self, short: Short) -> NoReturn:
        """Ask for another round, or end the run as its best round did."""
        self.meter.raise_if_ended()
        if self.wanted is None and not self.has_another():
            self.end(short)
        self.wanted = self.wanted or short
        raise NewRound(short.ended.reason)

    def has_another(self) -> bool:
        """Whether there may be another round, and it has calls left; one that cannot be finished helps nobody."""
        return self.number <= self.most and bool(self.first) and self._has_room()

    def end(self, short: Short) -> NoReturn:
        """End the run: as this round does, or as an earlier one did that was better."""
        if self._best and not self._compare(Tried(self.evidence.kept(), short)):
            self.evidence.become(self._best.evidence)
            short = self._best.short
        ended = short.ended
        if self.number > 1:
            ended = replace(ended, reason=f"{ended.reason}, in {self.number} rounds")
        self.meter.end(ended)
        raise RunEnded(ended.reason)

    def begin(self) -> str:
        """Begin the round that is wanted, with nothing established but what earlier tasks made; its first task."""
        short, self.wanted = self.wanted, None
        assert short is not None
        tried = Tried(self.evidence.kept(), short)
        if self._best:
            self._compare(tried)
        self._best = max(filter(None, (self._best, tried)), key=lambda one: one.merit)
        self.number += 1
        self._block = fill(self.prompts.again, tried=fence(self._tried(short), ROUND_BEFORE, self.evidence.number))
        before = self.tasks[: self.tasks.index(self.first)]
        self.evidence.clear({name: made for name, made in self.evidence.results.items() if name in before})
        self.journal.append(
            "round", {"why": short.ended.reason, "told": self._block},
            number=self.number, from_task=short.task, to_task=self.first, check=short.check,
        )  # fmt: skip
        return self.first

    def told(self, task: str) -> str:
        """What the prompt of a task says of the round before; "" when that is not its business."""
        return self._block if task == self.first else ""

    def passed(self) -> None:
        """The crew has come to its answer."""
        if self._best:
            self._over("it came to an answer", better=True)

    def _compare(self, tried: Tried) -> bool:
        """Whether this round is better than the best before it."""
        assert self._best is not None
        better = tried.merit > self._best.merit
        self._over(tried.short.ended.reason, better=better)
        return better

    def _over(self, why: str, *, better: bool) -> None:
        self.journal.append("round", {"why": why}, number=self.number, better=better)

    def _has_room(self) -> bool:
        limits, needed = self.meter.limits, NEEDED * len(self.tasks)
        caps = [cap for cap in (limits.model_calls, limits.iterations) if cap is not None]
        has_calls = all(cap - self.meter.model_calls >= needed for cap in caps)
        return has_calls and self.iterations - self._asked >= NEEDED

    def _tried(self, short: Short) -> str:
        lines = [f"not good enough: {short.ended.reason}"]
        lines += [f"what was said: {_cut(short.claim)}"] if short.claim else []
        lines += [f"it was held against: {_cut(short.seen)}"] if short.seen else []
        sources = [f"{name} ({where})" for name, where in sorted(self.evidence.where.items())]
        for head, items in (("searched for", sorted(self._searched)), ("read", sources)):
            lines += [f"{head}: {item}" for item in items[:MOST]]
        return "\n".join(lines)

    def _note(self, event: Event) -> None:
        facts = event.facts
        if event.kind == "tool_call" and facts.get("tool") in SEARCHES and not facts.get("denied"):
            self._searched.update(_values(event.content.get("arguments")))
        elif event.kind == "model_call" and (facts.get("task"), facts.get("agent")) == (self.first, self.agent):
            self._asked += facts.get("attempt") == 1


def _values(arguments: str | None) -> Collection[str]:
    """The texts among the arguments of a call, whichever of them came first."""
    try:
        read = json.loads(arguments or "{}")
    except ValueError:
        return ()
    return [_cut(value) for value in read.values() if isinstance(value, str)] if isinstance(read, dict) else ()


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
