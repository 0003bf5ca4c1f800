"""One run: from a question to an outcome.

check the question, the settings and the documents      nothing is started when one is not usable
build the crew, start the journal, kick off             in a thread, so that the run ends when it must
outcome -> journal -> runs/<id>/answer.md, result.json
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotage.again import Again
from pilotage.alerts.rules import check_alerts, shown_address
from pilotage.alerts.watcher import Watcher
from pilotage.checks.gate import Evidence
from pilotage.errors import ConfigError, PilotageError, StoreError
from pilotage.evidence.knowledge import Knowledge
from pilotage.guard.limits import UNWINDS, Ended, Meter
from pilotage.guard.policy import PAGES, USER, Policy, Reason, hosts_in
from pilotage.link import where
from pilotage.model import factory
from pilotage.outcome import Result, conclude, finish
from pilotage.quiet import import_crewai, lasting_context
from pilotage.record.journal import Journal, Listener
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.report import harmless
from pilotage.settings import CONFIG, TASKS, Settings, load, located
from pilotage.signals import signals_end
from pilotage.tape.recall import Recall
from pilotage.telemetry import Session, open_sinks
from pilotage.tools import build
from pilotage.tools.database import Databases
from pilotage.tools.delegation import tools_of
from pilotage.tools.desk import Desk
from pilotage.tools.guarded import Guard
from pilotage.web.address import Refused, read_url, shown
from pilotage.web.fetch import Fetcher

if TYPE_CHECKING:
    from crewai import Crew
    from sqlalchemy import Engine

    from pilotage.crew import Kit

Progress = Callable[[str, int, int], None]
LOST = 60.0  # seconds beyond its limit from which a run that has not ended never will


class WhileItRuns(Policy):
    """The policy of a run: when it has ended, a page that is still being read is redirected nowhere."""

    def __init__(self, meter: Meter, *rest: Any) -> None:
        super().__init__(*rest)
        self._meter = meter

    def denies_url(self, tool: str, url: str) -> Reason:
        return Reason("the run has ended") if self._meter.ended else super().denies_url(tool, url)


class Runner:
    """Settings, store and documents opened once; `answer` makes a run of each question."""

    def __init__(self, settings: Settings, *, knowledge: Path | None = None, progress: Progress | None = None) -> None:
        self.settings = settings
        self.known_tools = build.user_tools(settings)
        with located(settings):
            build.check_tools(settings, self.known_tools)
            check_alerts(settings.engine.alerts, os.environ)
        factory.check(settings)
        self.fetcher = Fetcher(settings.engine.web, private_hosts=settings.engine.policy.allow_private_hosts)
        self.databases = Databases(settings.engine.databases, settings.root)
        self.redactor = Redactor(patterns=settings.engine.record.redact)
        self.engine: Engine = open_store(settings.store)
        self.folder = knowledge  # when it is not that of the settings
        try:
            folder, index = knowledge or settings.knowledge, settings.runs / "index.sqlite"
            self.knowledge = Knowledge.open(folder, index, progress=progress)
        except BaseException:
            self.engine.dispose()
            raise
        self.warnings = self._warnings()
        self.sinks = open_sinks(settings)  # before CrewAI is imported

    def answer(
        self, question: str, *, urls: Sequence[str] = (), listener: Listener | None = None, write: bool = True,
        then: Callable[[Result], None] | None = None, again: Again | None = None, fresh: bool = False,
    ) -> Result:  # fmt: skip
        """One run; `urls` are pages to read before the crew starts, `then` tells the result while signals are held.

        `again` is the run that it goes on from; a `fresh` one is answered by no cache.

        Raises ConfigError before anything is started; afterwards every end is an outcome.
        """
        question = check_question(question, self.settings.engine.limits.question_chars)
        import_crewai(self.settings.runs)
        factory.warm(self.settings)
        journal = Journal(self.engine, self.redactor)
        if listener:
            journal.listen(harmless(listener))
        kit, crew = self._build(question, journal, urls, again)
        session = self.sinks.session(journal.run) if self.sinks else None
        if session:
            journal.listen(session)
        watcher = self._watcher()
        watcher.follow(journal)
        content = {"question": question, "settings": self._shown_settings(), "warnings": self.warnings}
        content |= {"urls": list(urls)} if urls else {}
        content |= {"knowledge": str(self.folder)} if self.folder else {}
        facts = self._facts() | (again.facts if again else {})
        with contextlib.closing(kit.desk), signals_end(kit.meter):
            journal.append("run_started", content, **facts)
            error = kick_off(crew, kit) if read_named(kit, urls) else None
            kit.meter.settle()
            ended = conclude(kit, error)
            watcher.at_end(ended.outcome, kit.meter.seconds)
            result = finish(kit, ended, self.settings.runs / journal.run if write else None)
            result = replace(result, link=self._deliver(session, watcher, journal.run))
            if then:
                then(result)
        return result

    def close(self) -> None:
        if self.sinks:
            self.sinks.close()
        self.knowledge.close()
        self.databases.close()
        self.engine.dispose()

    def _warnings(self) -> list[str]:
        """What the user should know before the first answer; starts making missing vectors behind the runs."""
        with_task = {task.agent for task in self.settings.tasks.values()}
        idle = [f'agent "{name}" has no task in {TASKS}' for name in self.settings.agents if name not in with_task]
        pending = self.knowledge.embed_behind()
        late = f"{pending:,} sentences have no vector yet: full text for those (`pilotage index` makes them now)"
        said = [*self.knowledge.warnings, *idle, *build.warnings(self.settings), *factory.warnings(self.settings)]
        return [*said, *([late] if pending else [])]

    def _build(
        self, question: str, journal: Journal, urls: Sequence[str], again: Again | None = None
    ) -> tuple[Kit, Crew]:
        from pilotage.crew import Kit, build_crew

        spec = self.settings.engine
        agents, tasks = self.settings.agents, self.settings.tasks
        meter = Meter(  # the clock starts here, with CrewAI imported
            spec.limits, journal,
            agents={name: entry.limits for name, entry in agents.items()},
            tasks={name: entry.limits for name, entry in tasks.items()},
        )  # fmt: skip
        named = [*hosts_in(" ".join([question, *urls])), *spec.web.sites]
        has = {agent: tools_of(entry) for agent, entry in agents.items()}
        policy = WhileItRuns(meter, spec.policy, self.settings.root, has, named)
        number = secrets.token_hex(4)
        recall = self._recall(number, again or Again(journal.run, "", journal.run, question))
        guard = Guard(meter, journal, policy, recall, number, spec.tools)
        desk = guard.shelf = Desk(
            spec, question, self.knowledge, self.fetcher, policy, partial(guard.note, hidden=True)
        )
        evidence = Evidence(desk.sources, searches=lambda: desk.searches, number=guard.number)
        kit = Kit(self.settings, question, desk, evidence, self.known_tools, self.databases, guard, meter, journal)
        kit.parent = again.parent if again else None
        return kit, build_crew(kit)

    def _recall(self, number: str, again: Again) -> Recall:
        """What this run remembers of others."""
        return Recall(
            self.redactor, number, tape=again.tape, only=again.only, origin=again.origin, again=again.repeat,
            done=again.done,
        )  # fmt: skip

    def _watcher(self) -> Watcher:
        engine = self.settings.engine
        return Watcher(
            engine.alerts, engine.limits, self.engine, self.redactor, root=self.settings.root, link=self._link
        )

    def _link(self, run: str) -> str:
        return where(self.settings, run, self.sinks.link(run) if self.sinks else None)

    def _deliver(self, session: Session | None, watcher: Watcher, run: str) -> str:
        """Wait until AgentOps, OpenTelemetry and the webhook have it, record.sink_seconds at most; where it is seen."""
        until = time.monotonic() + self.settings.engine.record.sink_seconds
        if session:
            session.end()
        watcher.close(max(0.0, until - time.monotonic()))
        return self._link(run)

    def _facts(self) -> dict[str, Any]:
        """What the journal says of a run at its start; after `until` a run without an end is lost."""
        engine = self.settings.engine
        return {
            "model": factory.model_name(self.settings), "crew": engine.crew, "tags": engine.record.tags or None,
            "host": platform.node() or None, "pid": os.getpid(),
            "until": round(time.time() + engine.limits.seconds + LOST, 3),
        }  # fmt: skip

    def _shown_settings(self) -> dict[str, Any]:
        engine = self.settings.engine.model_dump()
        engine["alerts"]["webhook"] = shown_address(self.settings.engine.alerts.webhook)
        return {
            "engine": engine,
            "agents": {name: spec.model_dump() for name, spec in self.settings.agents.items()},
            "tasks": {name: spec.model_dump() for name, spec in self.settings.tasks.items()},
        }


def run_crew(
    question: str | None = None, *, settings: Settings | None = None, knowledge: Path | None = None,
    urls: Sequence[str] = (), listener: Listener | None = None, progress: Progress | None = None,
    then: Callable[[Result], None] | None = None, again: Again | None = None, fresh: bool = False,
) -> Result:  # fmt: skip
    """Answer one question with the crew; `question` defaults to the one in config/pilotage.yaml.

    `urls` are pages to read first; they may be cited like the documents in `knowledge`. `then` gets the result before
    a signal can end the process again.

    Raises ConfigError (bad settings, question or documents) and StoreError (no place for the journal).
    """
    settings = settings or load()
    check_urls(urls)
    asked = check_question(
        question if question is not None else settings.engine.question, settings.engine.limits.question_chars
    )
    runner = Runner(settings, knowledge=knowledge, progress=progress)
    try:
        return runner.answer(asked, urls=urls, listener=listener, then=then, again=again, fresh=fresh)
    finally:
        runner.close()


def check_urls(urls: Sequence[str]) -> None:
    """ConfigError for a page's address that is none."""
    for url in urls:
        try:
            read_url(url)
        except Refused as error:
            problem = f"--url {shown(url) or '(empty)'} {error}"
            raise ConfigError(problem, hint="name an address such as https://example.org/page") from None


def check_question(question: str | None, longest: int) -> str:
    text = (question or "").strip()
    if not text:
        raise ConfigError(
            "There is no question", hint=f'pilotage run "…", QUESTION="…" crewai run, or question in {CONFIG}'
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError("The question is not valid Unicode", hint="check the encoding of the terminal") from None
    if len(text) > longest:
        raise ConfigError(
            f"The question has {len(text):,} characters against the limit of {longest:,} (limits.question_chars)",
            hint=f"shorten it, put long text into a file in knowledge/, or raise limits.question_chars in {CONFIG}",
        )
    return text


def read_named(kit: Kit, urls: Sequence[str]) -> bool:
    """Read the pages that the user named; False when the run has ended meanwhile, before any model call."""
    for url in urls:
        try:
            said, is_read = kit.guard.call(PAGES, kit.desk.read_page, USER, {"url": url})
        except PilotageError:  # a cap, or Ctrl-C: the run has ended already
            return False
        if not is_read:
            kit.meter.end(Ended("failed", said, "check the address; policy and web in config/pilotage.yaml decide"))
            return False
    return kit.meter.ended is None


def kick_off(crew: Crew, kit: Kit) -> BaseException | None:
    """Run the crew in a thread of its own; returns what it raised. Back when the run has ended, whatever hangs."""
    finished, raised = threading.Event(), []

    def work() -> None:
        try:
            asyncio.run(_kick_off(crew, kit))
        except BaseException as error:
            raised.append(error)
        finally:
            forget(crew)
            finished.set()

    context = lasting_context().copy()
    threading.Thread(target=context.run, args=(work,), name="pilotage-crew", daemon=True).start()
    while not finished.wait(min(0.5, max(0.0, kit.meter.time_left("")[0]))):
        kit.meter.check_run()
        if kit.meter.ended is None:
            continue
        if not finished.wait(UNWINDS):
            with contextlib.suppress(StoreError):  # `outcome` says so
                kit.journal.append("abandoned", what="the crew", seconds=UNWINDS)
        break
    return raised[0] if raised else None


def forget(crew: Crew) -> None:
    """Let go of a crew that was stopped: CrewAI 1.15 keeps each task that has started until it hears of its end."""
    from crewai.events import crewai_event_bus
    from crewai.events.event_listener import event_listener

    crewai_event_bus.flush(timeout=UNWINDS / 2)  # the start of a task may still be on its way there
    for task in crew.tasks:
        event_listener.execution_spans.pop(task, None)


async def _kick_off(crew: Crew, kit: Kit) -> None:
    from crewai.events.event_context import EventContextConfig, MismatchBehavior, _event_context_config
    from crewai.hooks import HookAborted, InterceptionPoint
    from crewai.hooks.dispatch import register_scoped, scoped_hooks

    def goes_on(_context: Any = None) -> None:
        if kit.meter.ended is not None:  # the second stop: the door is the first
            raise HookAborted(kit.meter.ended.reason, source="pilotage")

    def record(kind: str, content: dict[str, Any], **facts: Any) -> None:
        try:
            kit.journal.append(kind, content, **facts)
        except StoreError as error:  # of other errors in a hook CrewAI prints a line, and goes on
            raise HookAborted(str(error), source="pilotage") from None

    def before_step(context: Any) -> None:
        goes_on()
        if context.kind == "task" and context.step_name in kit.settings.tasks:
            agent, task = kit.delegation.name_of(context.agent), context.step_name
            spec = kit.settings.agents[agent]
            kit.meter.begin_turn(agent, task, spec.max_iter, spec.max_execution_time)
            record("task_started", {"context": context.payload or ""}, task=task, agent=agent)

    def after_step(context: Any) -> None:
        if context.kind == "task" and context.step_name in kit.settings.tasks:
            agent, task = kit.delegation.name_of(context.agent), context.step_name
            context.payload.pydantic = kit.evidence.results.get(task)
            kit.meter.end_turn(agent, task)
            record("task_ended", {"output": context.payload.raw}, task=task, agent=agent)

    silent = MismatchBehavior.SILENT  # crewai 1.15 reports its own unpaired events on stdout when a crew is stopped
    _event_context_config.set(EventContextConfig(mismatch_behavior=silent, empty_pop_behavior=silent))
    with scoped_hooks():
        register_scoped(InterceptionPoint.PRE_STEP, before_step)
        register_scoped(InterceptionPoint.POST_STEP, after_step)
        register_scoped(InterceptionPoint.PRE_MODEL_CALL, goes_on)
        await crew.akickoff(inputs={"question": kit.question})
