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

from pilotage.guard.rules import Again, Cycle, Monologue, Recurrence, Rule, SameError, Stagnation
from pilotage.guard.steps import Step, step_of_row, visible
from pilotage.guard.trace import Trace
from pilotage.spec import LoopSpec

NAME = 80  # characters of a name that are shown: a model may have made it up

_DONE = {  # by a call, in a message, by a message that is a call in words
    "repeat": ("called {name} {times} times with the same arguments and got the same result each time",
               "said the same {times} times", "asked for {name} {times} times in the same words"),
    "near-repeat": ("called {name} {times} times with almost the same arguments and got nothing new",
                    "said almost the same {times} times", "asked for {name} {times} times in almost the same words"),
    "error": ("had {name} fail {times} times in the same way",) * 3,
    "cycle": ("gone through the same {length} steps {times} times",) * 3,
    "monologue": ("written {times} thoughts in a row without an action or a new claim",) * 3,
    "stagnation": ("made {times} calls that brought nothing new",) * 3,
}  # fmt: skip
_HELPS = {
    "error": "The same way will fail again", "cycle": "Another round will not help",
    "monologue": "Another thought will not help",
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """A repetition: `evidence` is a sentence for people, `nudge` one to the agent, none at a stop.

    `times` is how often, in rounds for a cycle, and `key` the setting that this comes up to at a stop; `steps` are the
    numbers of the first steps and of the last.
    """

    kind: str
    level: Literal["nudge", "stop"]
    steps: tuple[int, ...]
    times: int
    key: str
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
        self._told: dict[tuple[str, str], int] = {}  # the last step of what was told, by agent and subject

    def step(self, step: Step) -> Verdict | None:
        """What is due at this step; a stop goes before a nudge, and no step counts for two nudges on one subject."""
        if not self.spec.enabled:
            return None
        self._used.setdefault(step.agent, set()).add(step.name)
        self._trace.add(step)
        if step.name in self.spec.exempt and not step.is_failure:
            return None
        seen = [rule.see(step, self._trace) for rule in self._rules]
        found = [recurrence for recurrence in seen if recurrence]
        for recurrence in found:
            if recurrence.times >= recurrence.stop:
                return self._verdict(recurrence, "stop")
        untold = self._untold(found)
        return self._verdict(untold, "nudge") if untold else None

    def _untold(self, found: Sequence[Recurrence]) -> Recurrence | None:
        """The first that began after the last nudge on its subject."""
        for one in found:
            subject = _subject(one)
            if one.steps[0] > self._told.get(subject, -1):
                self._told[subject] = one.step.number
                return one
        return None

    def _verdict(self, found: Recurrence, level: Literal["nudge", "stop"]) -> Verdict:
        done = _done(found)
        evidence = f"{_who(found)} {done} ({_where(found)})"
        return Verdict(
            found.kind, level, found.steps, _times(found), found.key, found.step.agent, evidence,
            self._nudge(found, done) if level == "nudge" else "",
        )  # fmt: skip

    def _nudge(self, found: Recurrence, done: str) -> str:
        """No word of a result or an argument stands in it: those are data, and this is said to the agent."""
        step = found.step
        if step.kind == "check":
            return f"You have {done}. {_HELPS['error']}: change what it names in a way that you have not tried."
        is_call = step.is_tool or bool(step.wanted)
        helps = _HELPS.get(found.kind, "Another call will not help" if is_call else "Saying it again will not help")
        unused = [name for name in self.tools.get(step.agent, ()) if name not in self._used[step.agent]]
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


def _subject(found: Recurrence) -> tuple[str, str]:
    """What an agent is told about: a tool, what it says, or all that it does."""
    step = found.step
    return (step.agent, found.kind if found.kind in ("cycle", "stagnation") else step.name if step.is_tool else "")


def _times(found: Recurrence) -> int:
    return found.times if found.kind == "cycle" else found.count


def _done(found: Recurrence) -> str:
    by_call, said, in_words = _DONE[found.kind]
    step = found.step
    form = by_call if step.is_tool else in_words if step.wanted else said
    return form.format(name=_name(step), times=_times(found), length=found.count // found.times)


def _name(step: Step) -> str:
    name = visible(step.name or step.wanted, NAME)
    return f"the check `{name.removeprefix('check ')}`" if step.kind == "check" else name


def _who(found: Recurrence) -> str:
    """The subject of a sentence: `Vet has`, `Vet and Beekeeper have`."""
    names = [visible(name, NAME) for name in dict.fromkeys(found.agents or (found.step.agent,))]
    return f"{' and '.join(names)} {'have' if len(names) > 1 else 'has'}"


def _where(found: Recurrence) -> str:
    """`steps 3, 5, 7; query: "foxes"`; of many steps the first ones and the last."""
    shown = [str(step) for step in found.steps]
    if found.count > len(shown):
        shown.insert(-1, "…")
    example = found.step.example if found.kind in ("repeat", "near-repeat", "error") else ""
    return f"steps {', '.join(shown)}{'; ' if example else ''}{example}"
