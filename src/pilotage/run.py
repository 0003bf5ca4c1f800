"""One run: from a question to an outcome.

check the question, the settings and the documents      nothing is started when one is not usable
build the crew, start the journal, kick off             in a thread, so that the run ends when it must
outcome -> journal -> runs/<id>/answer.md, result.json
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotage.again import Again
from pilotage.alerts.rules import check_alerts, shown_address
from pilotage.alerts.watcher import Watcher
from pilotage.answers.serving import Answers, Hit
from pilotage.caches import Caches
from pilotage.checks import grading
from pilotage.checks.established import Evidence
from pilotage.conversation import Conversation, hosts_of
from pilotage.errors import ConfigError, StoreError
from pilotage.evidence.knowledge import Knowledge
from pilotage.guard.limits import Ended, Meter
from pilotage.guard.policy import Policy, Reason, hosts_in
from pilotage.kickoff import kick_off, read_named
from pilotage.lessons import for_run, teach
from pilotage.link import where
from pilotage.model import factory
from pilotage.outcome import Answered, Result, conclude, finish, finish_again
from pilotage.quiet import import_crewai
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
    """Settings, store and documents opened once; `answer` makes a run of each question.

    With `played`, every run is played from a tape: no model is needed, and nobody elsewhere hears of it.
    """

    def __init__(
        self, settings: Settings, *, knowledge: Path | None = None, progress: Progress | None = None,
        played: bool = False,
    ) -> None:  # fmt: skip
        self.settings, self.played = settings, played
        self.known_tools = build.user_tools(settings)
        with located(settings):
            build.check_tools(settings, self.known_tools)
            check_alerts(settings.engine.alerts, os.environ)
        if not played:
            factory.check(settings)
            check_judge(settings)
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
        self.caches = Caches(settings, self.redactor)
        self.answers = Answers(settings, self.knowledge, self.caches.through(self.fetcher), self.redactor, self.engine)
        self.warnings = self._warnings()
        self.sinks = None if played else open_sinks(settings)  # before CrewAI is imported

    def answer(
        self, question: str, *, urls: Sequence[str] = (), listener: Listener | None = None, write: bool = True,
        then: Callable[[Result], None] | None = None, again: Again | None = None, fresh: bool = False,
    ) -> Result:  # fmt: skip
        """One run; `urls` are pages to read before the crew starts, `then` tells the result while signals are held.

        `again` is the run that it goes on from; a `fresh` one is answered by no cache.

        Raises ConfigError before anything is started; afterwards every end is an outcome.
        """
        began, question = time.monotonic(), check_question(question, self.settings.engine.limits.question_chars)
        journal = Journal(self.engine, self.redactor)
        if listener:
            journal.listen(harmless(listener))
        look = None if urls or again else self.answers.look(question, fresh=fresh)
        if hit := self.answers.sure(look):
            return self._answer_again(hit, question, journal, began, write=write, then=then)
        import_crewai(self.settings.runs)
        if not self.played:
            factory.warm(self.settings)
            self._warm_graders()
        kit, crew = self._build(question, journal, urls, again, fresh=fresh or self.played)
        tools = self.answers.watch(journal)
        session, watcher = self._follow(journal)
        with contextlib.closing(kit.desk), signals_end(kit.meter):
            self._start(journal, question, urls, again)
            if hit := self.answers.agreed(look, kit):
                return self._serve(hit, question, journal, kit.meter, began, session, watcher, write=write, then=then)
            teach(kit, urls, again.tape if again else None, fresh=fresh or self.played)
            is_ready = read_named(kit, urls) and (kit.conversation is None or kit.conversation.carry(kit))
            error = kick_off(crew, kit) if is_ready else None
            kit.meter.settle()
            ended = conclude(kit, error)
            watcher.at_end(ended.outcome, kit.meter.seconds)
            result = finish(kit, ended, self.settings.runs / journal.run if write else None)
            result = replace(result, link=self._deliver(session, watcher, journal.run))
            if then:
                then(result)
            if look:
                self.answers.enter(look, tools, kit, result)
        return result

    def _answer_again(self, hit: Hit, question: str, journal: Journal, began: float, **more: Any) -> Result:
        """The answer of an earlier run, without a crew and without CrewAI."""
        meter = Meter(self.settings.engine.limits, journal)
        session, watcher = self._follow(journal)
        with signals_end(meter):
            self._start(journal, question)
            return self._serve(hit, question, journal, meter, began, session, watcher, **more)

    def _serve(
        self, hit: Hit, question: str, journal: Journal, meter: Meter, began: float, session: Session | None,
        watcher: Watcher, *, write: bool, then: Callable[[Result], None] | None,
    ) -> Result:  # fmt: skip
        with contextlib.suppress(StoreError):  # then the run is `failed`: the journal lacks it
            self.answers.serve(hit, journal)
        ended, seconds = meter.end(Ended("accepted", hit.reason)), time.monotonic() - began
        watcher.at_end(ended.outcome, seconds)
        entry, decisions = hit.entry, self.answers.decisions(hit)
        answered = Answered(question, entry.answer, entry.citations, seconds, entry.run, entry.at, decisions)
        result = finish_again(journal, meter, answered, ended, self.settings.runs / journal.run if write else None)
        result = replace(result, link=self._deliver(session, watcher, journal.run))
        if then:
            then(result)
        return result

    def _follow(self, journal: Journal) -> tuple[Session | None, Watcher]:
        """Who hears of the run: AgentOps and OpenTelemetry, and the alerts."""
        session = self.sinks.session(journal.run) if self.sinks else None
        if session:
            journal.listen(session)
        watcher = self._watcher()
        watcher.follow(journal)
        return session, watcher

    def _start(self, journal: Journal, question: str, urls: Sequence[str] = (), again: Again | None = None) -> None:
        warnings = [*self.warnings, *self.answers.take_warnings()]
        content = {"question": question, "settings": shown_settings(self.settings), "warnings": warnings}
        content |= {"urls": list(urls)} if urls else {}
        content |= {"knowledge": str(self.folder.resolve())} if self.folder else {}
        journal.append("run_started", content, **(self._facts() | (again.facts if again else {})))

    def close(self) -> None:
        if self.sinks:
            self.sinks.close()
        self.answers.close()
        self.caches.close()
        self.knowledge.close()
        self.databases.close()
        self.engine.dispose()

    def _warnings(self) -> list[str]:
        """What the user should know before the first answer; starts making missing vectors behind the runs."""
        with_task = {task.agent for task in self.settings.tasks.values()}
        idle = [f'agent "{name}" has no task in {TASKS}' for name in self.settings.agents if name not in with_task]
        pending = 0 if self.played else self.knowledge.embed_behind()
        late = f"{pending:,} sentences have no vector yet: full text for those (`pilotage index` makes them now)"
        said = [*self.knowledge.warnings, *idle, *build.warnings(self.settings), *factory.warnings(self.settings)]
        return [*said, *([late] if pending else [])]

    def _build(
        self, question: str, journal: Journal, urls: Sequence[str], again: Again | None = None, *, fresh: bool = False
    ) -> tuple[Kit, Crew]:
        from pilotage.crew import Kit, build_crew

        spec = self.settings.engine
        agents, tasks = self.settings.agents, self.settings.tasks
        meter = Meter(  # the clock starts here, with CrewAI imported
            spec.limits, journal,
            agents={name: entry.limits for name, entry in agents.items()},
            tasks={name: entry.limits for name, entry in tasks.items()},
        )  # fmt: skip
        again = again or Again("", "", "", question)
        named = [*hosts_in(" ".join([question, *urls])), *hosts_of(again.earlier), *spec.web.sites]
        has = {agent: tools_of(entry) for agent, entry in agents.items()}
        policy = WhileItRuns(meter, spec.policy, self.settings.root, has, named)
        number = secrets.token_hex(4)
        recall = self._recall(journal.run, number, again, fresh)
        guard = Guard(meter, journal, policy, recall, number, spec.tools)
        desk = guard.shelf = Desk(
            spec, question, self.knowledge, self.caches.through(self.fetcher, fresh=fresh), policy,
            partial(guard.note, hidden=True), of_today=again.tape is not None,
        )  # fmt: skip
        evidence = Evidence(
            desk.sources, searches=lambda: desk.searches, number=guard.number, where=desk.where, about=desk.about
        )
        kit = Kit(self.settings, question, desk, evidence, self.known_tools, self.databases, guard, meter, journal)
        kit.parent = again.parent or None
        kit.stand_ins = again.models
        if again.earlier:
            kit.follow_up(Conversation(again.earlier))
        if not self.played:
            kit.lessons = for_run(kit, self.folder or self.settings.knowledge, self.knowledge.edition)
        return kit, build_crew(kit)

    def _warm_graders(self) -> None:
        """The reader quotes, and a quote needs no grader."""
        is_graded = any("grounding" in task.checks for task in self.settings.tasks.values())
        if is_graded and factory.asked(self.settings):
            grading.warm()

    def _recall(self, run: str, number: str, again: Again, fresh: bool) -> Recall:
        """What this run remembers of others."""
        return Recall(
            self.redactor, number, tape=again.tape, calls=None if again.only else self.caches.calls(fresh=fresh),
            only=again.only, origin=again.origin or run,
            again=again.repeat, again_in=again.repeat_in or run, done=again.done,
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


def check_judge(settings: Settings) -> None:
    """ConfigError when the model of checks.judge cannot judge."""
    if settings.engine.checks.judge:
        from pilotage.judging import check

        with located(settings):
            check(settings)


def shown_settings(settings: Settings) -> dict[str, Any]:
    """The settings as the journal keeps them."""
    engine = settings.engine.model_dump()
    engine["alerts"]["webhook"] = shown_address(settings.engine.alerts.webhook)
    return {
        "engine": engine,
        "agents": {name: spec.model_dump() for name, spec in settings.agents.items()},
        "tasks": {name: spec.model_dump() for name, spec in settings.tasks.items()},
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
