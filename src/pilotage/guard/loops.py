"""Recursive thought: whether an agent, or several, go round without anything new. The same live and on records.

    find_loop(events)       the first stop in a trace, or None
    Watch(spec).step(step)  what is due at this step: a nudge, a stop or None; steps come one at a time

The rules are in guard/rules.py, their thresholds in `loops` of config/pilotage.yaml. What is not covered: a loop in
other words each time, and repetition within one single message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pilotage.guard.rules import Again, Cycle, Monologue, Recurrence, Rule, SameError, Stagnation, Trace
from pilotage.guard.steps import Step, step_of_row
from pilotage.spec import LoopSpec

NUMBERS = 8  # steps that a sentence lists
NAME = 80  # characters of a name that are shown: a model may have made it up

_DONE = {
    "repeat": ("called {name} {times} times with the same arguments and got the same result each time",
               "said the same {times} times"),
    "near-repeat": ("called {name} {times} times with almost the same arguments and got nothing new",
                    "said almost the same {times} times"),
    "error": ("had {name} fail {times} times in the same way", ""),
    "cycle": ("gone through the same {length} steps {times} times",) * 2,
    "monologue": ("", "written {times} thoughts in a row without an action or a new claim"),
    "stagnation": ("made {times} calls that brought nothing new", ""),
}  # fmt: skip
_HELPS = {"error": "The same way will fail again", "monologue": "Another thought will not help"}


@dataclass(frozen=True)
class Verdict:
    """A repetition: `evidence` is a sentence for people, `nudge` one to the agent. Steps carry their own numbers."""

    kind: str
    level: Literal["nudge", "stop"]
    steps: tuple[int, ...]
    agent: str
    evidence: str
    nudge: str

    @property
    def first_step(self) -> int:
        return self.steps[0]

    @property
    def stopped_at(self) -> int:
        return self.steps[-1]


class Watch:
    """Watches one run. `tools` says which tools each agent has, so that a nudge can name those not tried."""

    def __init__(self, spec: LoopSpec | None = None, tools: Mapping[str, Sequence[str]] | None = None) -> None:
        self.spec, self.tools = spec or LoopSpec(), tools or {}
        self._trace = Trace(self.spec)
        self._rules: tuple[Rule, ...] = (
            SameError(self.spec), Again(self.spec, "repeat"), Cycle(self.spec), Again(self.spec, "near-repeat"),
            Monologue(self.spec), Stagnation(self.spec),
        )  # fmt: skip
        self._used: dict[str, set[str]] = {}
        self._told: set[tuple[str, int]] = set()

    def step(self, step: Step) -> Verdict | None:
        """What is due at this step; a stop goes before a nudge, and each repetition has one nudge."""
        if not self.spec.enabled:
            return None
        self._used.setdefault(step.agent, set()).add(step.name)
        self._trace.add(step)
        if step.name in self.spec.polling and not step.is_failure:
            return None
        seen = [rule.see(step, self._trace) for rule in self._rules]
        found = [recurrence for recurrence in seen if recurrence]
        for recurrence in found:
            if recurrence.times >= recurrence.stop:
                return self._verdict(recurrence, "stop")
        untold = self._untold(found)
        return self._verdict(untold[0], "nudge") if untold else None

    def _untold(self, found: Sequence[Recurrence]) -> list[Recurrence]:
        """What is due for a nudge and has had none; rules that see the same repetition speak once."""
        due = {(r.step.agent, r.steps[0]): r for r in reversed(found) if r.times >= r.nudge}
        untold = [recurrence for key, recurrence in reversed(due.items()) if key not in self._told]
        self._told.update(due)
        return untold

    def _verdict(self, found: Recurrence, level: Literal["nudge", "stop"]) -> Verdict:
        agent, done = found.step.agent, _done(found)
        evidence = f"{_who(found)} {done} ({_listed(found.steps)})"
        return Verdict(found.kind, level, found.steps, agent, evidence, self._nudge(found, done))

    def _nudge(self, found: Recurrence, done: str) -> str:
        """No word of a result stands in it: results are data, and this is said to the agent."""
        helps = _HELPS.get(
            found.kind, "Another call will not help" if found.step.is_tool else "Saying it again will not help"
        )
        agent = found.step.agent
        unused = [name for name in self.tools.get(agent, ()) if name not in self._used.get(agent, ())]
        untried = f"one of the tools you have not used ({', '.join(unused)}), " if unused else ""
        return f"You have {done}. {helps}: use what you have, try different words, {untried}or give your final answer."


def find_loop(events: Iterable[Mapping[str, Any]], spec: LoopSpec | None = None) -> Verdict | None:
    """The first stop in a trace of rows {"agent", "kind", "text" | "name", "arguments", "result"}; steps from 0.

    >>> row = {"agent": "a", "kind": "tool", "name": "search", "arguments": {"query": "foxes"}, "result": "[]"}
    >>> find_loop([row] * 9).steps
    (0, 1, 2, 3, 4)
    """
    watch = Watch(spec)
    verdicts = (watch.step(step_of_row(row, number)) for number, row in enumerate(events))
    return next((verdict for verdict in verdicts if verdict and verdict.level == "stop"), None)


def _done(found: Recurrence) -> str:
    called, said = _DONE[found.kind]
    times = found.times if found.kind == "cycle" else len(found.steps)
    length = len(found.steps) // found.times
    return (called if found.step.is_tool else said).format(name=found.step.name[:NAME], times=times, length=length)


def _who(found: Recurrence) -> str:
    """The subject of a sentence: `Vet has`, `Vet and Beekeeper have`."""
    names = [name[:NAME] for name in dict.fromkeys(found.agents or (found.step.agent,))]
    return f"{' and '.join(names)} {'have' if len(names) > 1 else 'has'}"


def _listed(steps: Sequence[int]) -> str:
    """`steps 3, 5, 7`; of many the first ones and the last."""
    shown = [str(step) for step in steps]
    if len(shown) > NUMBERS:
        shown = [*shown[: NUMBERS - 1], "…", shown[-1]]
    return "steps " + ", ".join(shown)
