"""The judge made from the settings (checks.judge): a model that is asked yes or no, through the door, as agent "judge".

    for_kit        in a run: capped, priced, journalled, served from tape and cache as a call of the task at work
    for_settings   for a command: behind a door of its own, its journal thrown away; limits.usd holds

A judge that fails, or whose call the run cannot spare, says NaN: then the embedded grade stands. What is not covered:
which of two tasks that are checked at the same time a call is for; the journal then has it without a task.
"""

from __future__ import annotations

import math
import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pilotage.checks.judge import Judge, Messages, about_answer, about_claim, is_by_word, mean, read_answer
from pilotage.errors import ConfigError, LimitExceeded, PilotageError, shortened
from pilotage.guard.limits import Meter, RunEnded
from pilotage.model import factory
from pilotage.model.gguf import file as gguf
from pilotage.quiet import import_crewai, lasting_context
from pilotage.record.journal import Event, Journal
from pilotage.record.redact import Redactor
from pilotage.sparing import Spared, ask, check_cost, check_left
from pilotage.spec import ModelSpec
from pilotage.tape.recall import Recall

if TYPE_CHECKING:
    from crewai import BaseLLM
    from sqlalchemy import Engine

    from pilotage.crew import Kit
    from pilotage.prompts import JudgePrompts
    from pilotage.record.spending import Held
    from pilotage.settings import Settings

AGENT = "judge"
TOKENS = 512  # an answer has one; models that think first need some more
VARIED = 0.7  # temperature at which several votes differ
PATIENCE = 3  # calls in a row that may fail before it is asked no more

Ask = Callable[[Messages], float]


@dataclass(frozen=True)
class ModelJudge:
    """A judge that asks a model. `votes` are asked for when the model says a word and not how sure it is."""

    texts: JudgePrompts
    number: str
    votes: int
    ask: Ask

    def probability(self, claim: str, evidence: str) -> float:
        return self._vote(about_claim(self.texts, claim, evidence, self.number))

    def addresses(self, question: str, answer: str, context: str = "") -> float:
        return self._vote(about_answer(self.texts, question, answer, context, self.number))

    def _vote(self, messages: Messages) -> float:
        given: list[float] = []
        while len(given) < self.votes:
            given.append(self.ask(messages))
            if not is_by_word(given[-1]):
                break
        return mean(given)


def check(settings: Settings) -> None:
    """Raise ConfigError when the model of checks.judge cannot judge: the reader, an unset key, no such file."""
    if name := settings.engine.checks.judge:
        with factory.named("checks.judge"):
            check_model(settings, name)


def check_model(settings: Settings, name: str) -> None:
    """The same for a model that a command names."""
    if name == factory.READER:
        raise ConfigError("the built-in reader cannot judge", hint="name a model, such as gguf:/path/to/model.gguf")
    if gguf.is_local(name):
        gguf.check(gguf.path_of(name, settings.root), settings.engine.local.context)
    else:
        factory.find_key(name, model_spec(settings, name))


def model_spec(settings: Settings, name: str, votes: int = 1) -> ModelSpec:
    """How the judge's model is asked: like the others of its provider, briefly, and at temperature 0 for one vote."""
    spec = settings.engine.model
    server: dict[str, Any] = {}
    if factory.provider_of(name) != factory.provider_of(factory.model_name(settings)):
        server = {"base_url": None, "api_key_env": None}
    temperature = None if spec.temperature is None else 0.0 if votes == 1 else spec.temperature or VARIED
    brief = {"name": name, "max_tokens": min(spec.max_tokens, TOKENS), "temperature": temperature, "stream": False}
    return spec.model_copy(update={**server, **brief, "fallbacks": []})


def for_kit(kit: Kit) -> Judge | None:
    """The judge of a run; None without checks.judge."""
    checks = kit.settings.engine.checks
    if not checks.judge:
        return None
    return ModelJudge(kit.settings.prompts.judge, kit.guard.number, checks.judge_votes, _InRun(kit, checks.judge))


def for_settings(settings: Settings, model: str) -> Judge:
    """A judge for a command. Raises ConfigError for a model that cannot be used, LimitExceeded at limits.usd."""
    import_crewai(settings.runs)
    check_model(settings, model)
    votes = settings.engine.checks.judge_votes
    return ModelJudge(settings.prompts.judge, secrets.token_hex(4), votes, _InCommand(settings, model))


class _InRun:
    """Asks within a run. One call at a time: it is one agent."""

    def __init__(self, kit: Kit, name: str) -> None:
        self._kit, self._name = kit, name
        old = kit.guard.recall
        # of its own: when a task is sent back, the answer to forget is the agent's and not the judge's
        self._recall = Recall(
            kit.journal.redactor, kit.guard.number, tape=old.tape, calls=old.calls, only=old.only, origin=old.origin
        )
        self._spec = model_spec(kit.settings, name, kit.settings.engine.checks.judge_votes)
        self._llm: BaseLLM | None = None
        self._failed = 0
        self._lock = threading.Lock()

    def __call__(self, messages: Messages) -> float:
        with self._lock:
            self._kit.meter.raise_if_ended()
            task = _task_at_work(self._kit)
            if self._failed >= PATIENCE or self._is_unknown(task):
                return math.nan
            try:
                answer = lasting_context().copy().run(self._ask, messages, task)
            except Exception as error:
                if self._kit.meter.ended is not None:
                    raise RunEnded(self._kit.meter.ended.reason) from None
                return self._fail(error, task)
            self._failed = 0
            self._recall.passed(task or "")
            return read_answer(answer)

    def _is_unknown(self, task: str | None) -> bool:
        """Whether a run that is played from a tape has come to where the recorded one did not ask."""
        tape = self._recall.tape
        return self._recall.only and (tape is None or tape.next_of(task, AGENT) is None)

    def _fail(self, error: Exception, task: str | None) -> float:
        self._failed = PATIENCE if isinstance(error, ConfigError) else self._failed + 1
        said = shortened(" ".join(str(error).split()), 300) or type(error).__name__
        more = {"given_up": True} if self._failed >= PATIENCE else {}
        self._kit.journal.append(AGENT, {"reason": f"it gave no verdict: {said}"}, agent=AGENT, task=task, **more)
        return math.nan

    def _ask(self, messages: Messages, task: str | None) -> Any:
        from pilotage.model.door import Door

        kit = self._kit
        check_left(kit, AGENT)
        if self._llm is None:
            self._llm = self._build()
        free = gguf.is_local(self._name)
        check_cost(kit, self._name, self._llm, messages, free=free)
        meter = cast("Meter", Spared(kit.meter, task))
        door = Door(AGENT, self._name, meter, kit.journal, free=free, recall=self._recall, prices=kit.prices)
        return ask(self._llm, door, messages)

    def _build(self) -> BaseLLM:
        if self._recall.only:
            from pilotage.model.standin import StandIn, Traits

            return StandIn.of(Traits(self._name, native=False, stop_words=False, window=0))
        return _build(self._kit.settings, self._name, self._spec, self._kit.meter.call_seconds(AGENT)[0])


class _InCommand:
    """Asks for a command. What the model costs is capped by limits.usd, each call by limits.call_seconds."""

    def __init__(self, settings: Settings, name: str) -> None:
        from pilotage.model.door import Door
        from pilotage.model.prices import Prices

        limits = settings.engine.limits
        uncapped = {"seconds": 1e9, "model_calls": sys.maxsize, "tokens": sys.maxsize, "iterations": None}
        journal = _Unkept(Redactor(patterns=settings.engine.record.redact))
        self._meter = Meter(limits.model_copy(update=uncapped | {"usd_per_day": None}), journal)
        spec = model_spec(settings, name, settings.engine.checks.judge_votes)
        self._llm = _build(settings, name, spec, limits.call_seconds)
        meter, free = cast("Meter", Spared(self._meter, None)), gguf.is_local(name)
        self._door = Door(AGENT, name, meter, journal, free=free, prices=Prices(settings.prices))
        self._failed = 0

    def __call__(self, messages: Messages) -> float:
        try:
            answer = lasting_context().copy().run(ask, self._llm, self._door, messages)
        except Exception as error:
            self._failed += 1
            if ended := self._meter.ended:
                raise LimitExceeded(
                    "usd", self._meter.usd, self._meter.limits.usd, key="limits.usd", hint=ended.hint
                ) from None
            if self._failed >= PATIENCE:
                raise PilotageError(f"The judge gave no verdict {PATIENCE} times in a row: {error}") from None
            return math.nan
        self._failed = 0
        return read_answer(answer)


class _Unkept(Journal):
    """The journal of a command: nobody reads it."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__(cast("Engine", None), redactor)

    def append(self, kind: str, content: dict[str, Any] | None = None, **facts: Any) -> Event:
        return Event(self.run, 0, 0.0, kind, facts)

    def append_call(self, content: dict[str, Any], freed: Held | None, **facts: Any) -> Event:
        return self.append("model_call", None, **facts)


def _task_at_work(kit: Kit) -> str | None:
    """The task whose result is checked: the one at which an agent is; None when several are."""
    tasks = {task for agent in kit.settings.agents if (task := kit.meter.task_of(agent))}
    return tasks.pop() if len(tasks) == 1 else None


def _build(settings: Settings, name: str, spec: ModelSpec, seconds: float) -> BaseLLM:
    from pilotage.model.yesno import YesNo, telling

    if gguf.is_local(name):
        from pilotage.model.gguf.model import LocalModel

        path = gguf.path_of(name, settings.root)
        return YesNo.of(name, lambda: LocalModel.open(path, settings.engine.local))
    return telling(factory.build(name, spec, seconds))
