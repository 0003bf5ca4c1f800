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


class Looping:
    """The watch of one run, and what it has to say to each agent. `tools` are those that each agent has."""

    def __init__(self, spec: LoopSpec, meter: Meter, journal: Journal, tools: Mapping[str, Sequence[str]]) -> None:
        self._spec, self._meter, self._journal = spec, meter, journal
        self._watch = Watch(spec, tools)
        self._nudges: dict[tuple[str, str], tuple[str | None, str]] = {}  # by agent and rule: task, what to say
        self._lock = threading.Lock()
        if spec.enabled:
            journal.listen(self._look)

    def nudges(self, agent: str) -> list[str]:
        """What the agent is to be told with its next call, oldest first; the newest alone of each rule."""
        with self._lock:
            return [said for (who, _), (_, said) in self._nudges.items() if who == agent]

    def _look(self, event: Event) -> None:
        """Called by whatever thread has journalled the event, and again for what is journalled here."""
        if self._meter.ended is not None:
            return
        with self._lock:
            if event.kind == "task_ended":
                over = event.facts.get("task")
                self._nudges = {key: nudge for key, nudge in self._nudges.items() if nudge[0] != over}
            step = steps_of(event)
            verdict = self._watch.step(step) if step else None
        if verdict and verdict.level == "nudge":
            self._nudge(verdict)
        elif verdict:
            self._stop(verdict)

    def _nudge(self, verdict: Verdict) -> None:
        with self._lock:
            key = (verdict.agent, verdict.kind)
            self._nudges.pop(key, None)
            self._nudges[key] = (self._meter.task_of(verdict.agent), verdict.nudge)
        self._record(verdict)

    def _stop(self, verdict: Verdict) -> None:
        self._record(verdict)
        key = f"loops.{verdict.key}"
        reason = f"Run stopped: {verdict.evidence.rstrip('.')} (loop: {verdict.kind}, {key})"
        hint = f"a tool whose repetition is work goes into loops.exempt in {CONFIG}; see `pilotage loops --run last`"
        self._meter.end(
            Ended("limited", reason, hint),
            limit="loop", value=verdict.times, cap=getattr(self._spec, verdict.key), key=key,
        )  # fmt: skip

    def _record(self, verdict: Verdict) -> None:
        self._journal.append(
            "loop", {"evidence": verdict.evidence} | ({"nudge": verdict.nudge} if verdict.nudge else {}),
            rule=verdict.kind, level=verdict.level, agent=verdict.agent,
            first_step=verdict.first_step, last_step=verdict.stopped_at, times=verdict.times,
        )  # fmt: skip
