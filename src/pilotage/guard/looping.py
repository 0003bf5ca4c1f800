"""Loop detection in a run: every event is looked at when it is journalled; a nudge is kept for its agent, a stop ends.

    event -> Watch -> nudge: journal, and with each further call of the agent until its task has ended
                   -> stop: journal, and the run ends as limited

What is a loop stands in guard/loops.py, and is the same for a recorded run. What a tool returned is never changed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from pilotage.guard.limits import Ended, Meter
from pilotage.guard.loops import Verdict, Watch
from pilotage.guard.steps import steps_of
from pilotage.record.journal import Event, Journal
from pilotage.settings import CONFIG
from pilotage.spec import LoopSpec

OWN_KEYS = {"cycle": "cycles", "monologue": "monologue", "stagnation": "stagnation"}  # the others: stop


class Looping:
    """The watch of one run, and what it has to say to each agent. `tools` are those that each agent has."""

    def __init__(self, spec: LoopSpec, meter: Meter, journal: Journal, tools: Mapping[str, Sequence[str]]) -> None:
        self._spec, self._meter, self._journal = spec, meter, journal
        self._watch = Watch(spec, tools)
        self._nudges: list[tuple[str, str | None, str]] = []  # agent, task, what to say
        self._lock = threading.Lock()
        if spec.enabled:
            journal.listen(self._look)

    def nudges(self, agent: str) -> list[str]:
        """What the agent is to be told with its next call, oldest first."""
        with self._lock:
            return [said for who, _, said in self._nudges if who == agent]

    def _look(self, event: Event) -> None:
        """Called by whatever thread has journalled the event, and again for what is journalled here."""
        if self._meter.ended is not None:
            return
        with self._lock:
            if event.kind == "task_ended":
                self._nudges = [nudge for nudge in self._nudges if nudge[1] != event.facts.get("task")]
            step = steps_of(event)
            verdict = self._watch.step(step) if step else None
        if verdict and verdict.level == "nudge":
            self._nudge(verdict)
        elif verdict:
            self._stop(verdict)

    def _nudge(self, verdict: Verdict) -> None:
        with self._lock:
            self._nudges.append((verdict.agent, self._meter.task_of(verdict.agent), verdict.nudge))
        self._record(verdict)

    def _stop(self, verdict: Verdict) -> None:
        self._record(verdict)
        name = OWN_KEYS.get(verdict.kind, "stop")
        reason = f"Run stopped: {verdict.evidence.rstrip('.')} (loop: {verdict.kind}, loops.{name})"
        hint = f"see `pilotage loops --run last`; thresholds: loops in {CONFIG}"
        self._meter.end(
            Ended("limited", reason, hint),
            limit="loop", value=len(verdict.steps), cap=getattr(self._spec, name), key=f"loops.{name}",
        )  # fmt: skip

    def _record(self, verdict: Verdict) -> None:
        self._journal.append(
            "loop", {"evidence": verdict.evidence, "nudge": verdict.nudge},
            rule=verdict.kind, level=verdict.level, agent=verdict.agent,
            first_step=verdict.first_step, steps=len(verdict.steps),
        )  # fmt: skip
