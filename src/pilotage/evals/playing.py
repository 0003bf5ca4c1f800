"""Golden questions on tapes: each is a full crew run whose model and tool calls are answered from its tape.

    play      prompts, tools, checks and documents are today's; the first request that is not on the tape is a change
    record    the question is asked of the configured model, and its calls become the tape

Played runs need no key and no network, cost nothing, and leave nothing in the project's journal. What is not covered:
tools do not run while their arguments stay as they are, so that what a tool would say today is not looked at, besides
the documents it has read.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pilotage.again import Again
from pilotage.errors import ConfigError
from pilotage.evals.asking import alone
from pilotage.evals.difference import of_requests, of_texts, where
from pilotage.evals.offline import no_network
from pilotage.evals.questions import Question
from pilotage.evals.score import Scorecard, score
from pilotage.evals.tapes import FORMAT, Head, Taped, path_of, read_tape, tapes_in, write_tape
from pilotage.guard.policy import KNOWLEDGE_TOOLS
from pilotage.model import factory
from pilotage.model.standin import StandIn, Traits, traits_of
from pilotage.outcome import Result
from pilotage.record.journal import Event, digest, read_events
from pilotage.run import Runner
from pilotage.settings import Settings
from pilotage.spec import AlertSpec
from pilotage.tape.recall import Drift
from pilotage.tape.tape import Tape

Progress = Callable[[str, int, int], None]
WORTH = ("accepted", "unanswered", "rejected")  # outcomes that a crew comes to, whatever the hour
PLAYED = "tape"


@dataclass(frozen=True)
class Change:
    """What comes out otherwise than recorded: in a sentence, and as a diff where there is one."""

    id: str
    what: str
    diff: str = ""

    def lines(self) -> str:
        return f"changed: {self.id}: {self.what}" + (f"\n{self.diff}\n" if self.diff else "")


@dataclass(frozen=True)
class Played:
    """What came of all tapes. `untaped` are questions without a tape, `unasked` tapes without a question.

    The `damaged` ones were not played; why stands among the changes.
    """

    card: Scorecard | None
    changes: list[Change] = field(default_factory=list)
    untaped: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def unchanged(self) -> int:
        changed = {change.id for change in self.changes} - set(self.damaged)
        return max(0, self.card.questions - len(changed)) if self.card else 0

    @property
    def is_whole(self) -> bool:
        return not (self.changes or self.untaped or self.unasked)

    def as_json(self) -> dict[str, Any]:
        card = self.card.as_json() if self.card else None
        return {"card": card, "changes": [asdict(change) for change in self.changes]} | {
            "untaped": self.untaped, "unasked": self.unasked,
        }  # fmt: skip


def play_all(
    settings: Settings, folder: Path, questions: Sequence[Question], *, knowledge: Path | None = None,
    progress: Progress | None = None,
) -> Played:  # fmt: skip
    """Play the tape of each question that has one."""
    paths = {question.id: path_of(folder, question.id) for question in questions}
    asked = [question for question in questions if paths[question.id].is_file()]
    played: list[Question] = []
    results: list[Result] = []
    changes: list[Change] = []
    damaged: list[str] = []
    with no_network(), tempfile.TemporaryDirectory(prefix="pilotage-") as place, _runners(Path(place)) as runner_of:
        for number, question in enumerate(asked, 1):
            try:
                tape = read_tape(paths[question.id])
                own = settings_of(settings, tape.head)
            except ConfigError as error:  # the other tapes are played nevertheless
                damaged.append(question.id)
                changes.append(Change(question.id, str(error)))
                continue
            documents = question.folder(settings.root) or knowledge
            result, change = play(runner_of(own, documents, progress), question, tape)
            played.append(question)
            results.append(result)
            changes += [change] if change else []
            if progress:
                progress("playing", number, len(asked))
            if result.outcome == "interrupted":
                break
    untaped = [question.id for question in questions if question not in asked]
    unasked = [path.name for path in tapes_in(folder) if path not in paths.values()]
    return Played(score(played, results) if results else None, changes, untaped, unasked, damaged)


def play(runner: Runner, question: Question, taped: Taped) -> tuple[Result, Change | None]:
    """One question from its tape, and the first thing that is otherwise."""
    tape = Tape(taped.events)
    models = {agent: StandIn.of(traits) for agent, traits in _models(runner.settings, taped.head).items()}
    again = Again("", PLAYED, "", question.question, tape=tape, only=True, models=models)
    result = runner.answer(question.question, write=False, again=again, fresh=True)
    change = _change(question, taped.head, tape, result)
    if change and (gone := _gone(runner, taped)):
        change = replace(change, what=f"{change.what}; no longer in the documents: {', '.join(gone)}")
    return result, change


def record_all(
    settings: Settings, folder: Path, questions: Sequence[Question], *, knowledge: Path | None = None,
    progress: Progress | None = None,
) -> list[Change]:  # fmt: skip
    """Ask each question of the configured model, without its fallbacks, and write its tape; what could not be taped."""
    model = settings.engine.model.model_copy(update={"fallbacks": []})
    settings = alone(replace(settings, engine=settings.engine.model_copy(update={"model": model})))
    models, number, failed = _traits(settings), itertools.count(1), []
    for own, group in itertools.groupby(questions, lambda question: question.folder(settings.root)):
        with contextlib.closing(Runner(settings, knowledge=own or knowledge, progress=progress)) as runner:
            for question in group:
                path = path_of(folder, question.id)
                result = runner.answer(question.question, write=False, fresh=True)
                events = list(read_events(runner.engine, result.run))
                if problem := _unfit(result, events):
                    failed.append(Change(question.id, f"not recorded: {problem}"))
                else:
                    write_tape(path, _head(settings, question, result, models), events)
                if progress:
                    progress("recording", next(number), len(questions))
                if result.outcome == "interrupted":
                    return failed
    return failed


def settings_of(settings: Settings, head: Head) -> Settings:
    """Today's settings with the models of a tape, and without what would tell others of the run."""
    models = _models(settings, head)
    changes: dict[str, Any] = {"tool_calls": head.tool_calls, "fallbacks": []}
    model = settings.engine.model.model_copy(update=changes)
    engine = settings.engine.model_copy(update={"model": model, "alerts": AlertSpec()})
    agents = {name: spec.model_copy(update={"llm": models[name].name}) for name, spec in settings.agents.items()}
    return replace(settings, engine=engine, agents=agents)


def _models(settings: Settings, head: Head) -> dict[str, Traits]:
    """By agent, what the tape knows of its model; that of another agent for one that was not there."""
    if not head.models:
        raise ConfigError(f"The tape of {head.id} names no model", hint="pilotage eval --tapes DIR --update")
    first = next(iter(head.models.values()))
    return {agent: head.models.get(agent, first) for agent in settings.agents}


@contextmanager
def _runners(place: Path) -> Iterator[Callable[[Settings, Path | None, Progress | None], Runner]]:
    """A runner for each set of models, its journal in a folder that is gone afterwards."""
    made: dict[str, Runner] = {}

    def runner_of(settings: Settings, knowledge: Path | None, progress: Progress | None) -> Runner:
        llms = {agent: spec.llm for agent, spec in settings.agents.items()}
        name = json.dumps([settings.engine.model.model_dump(), llms, str(knowledge)])
        if name not in made:
            record = settings.engine.record.model_copy(update={"store": str(place / "played.sqlite")})
            own = replace(settings, engine=settings.engine.model_copy(update={"record": record}))
            own.runs.mkdir(parents=True, exist_ok=True)  # for the index; the journal would have made it
            made[name] = Runner(own, knowledge=knowledge, progress=progress, played=True)
        return made[name]

    try:
        yield runner_of
    finally:
        for runner in made.values():
            runner.close()


def _change(question: Question, head: Head, tape: Tape, result: Result) -> Change | None:
    if question.question != head.question:
        return Change(question.id, "the question is another one", of_texts(head.question, question.question))
    if isinstance(tape.drift, Drift):
        return _drifted(question, tape.drift)
    if result.outcome != head.outcome:
        said = f": {result.reason}" if result.reason else ""
        return Change(question.id, f"it ended as {result.outcome}{said}; recorded: {head.outcome}")
    if (result.answer, _cited(result)) != (head.answer, head.citations):
        recorded, now = _told(head.answer, head.citations), _told(result.answer, _cited(result))
        return Change(question.id, "the answer is another one", of_texts(recorded, now))
    if left := [call for call in tape.left() if not call.tool]:
        place = f"{left[0].agent} at {left[0].task}"
        return Change(question.id, f"{len(left)} recorded model calls were not made again, the first of {place}")
    return None


def _gone(runner: Runner, taped: Taped) -> list[str]:
    """The passages that were read then and do not stand in the documents today."""
    calls = [event for event in taped.events if event.facts.get("tool") in KNOWLEDGE_TOOLS]
    read = {source: fact for call in calls for source, fact in json.loads(call.content.get("read") or "{}").items()}
    other = {
        source
        for event in taped.events
        if event not in calls
        for source in json.loads(event.content.get("read") or "{}")
    }
    found = {source: runner.knowledge.passage(source) for source in read if source not in other and "://" not in source}
    return [
        f"{source} ({read[source]['where']})"
        for source, passage in found.items()
        if passage is None or digest(passage.text) != read[source]["sha"]
    ]


def _drifted(question: Question, drift: Drift) -> Change:
    expected, place = drift.expected, where(drift)
    if expected is None:
        return Change(question.id, f"{place}: one more than was recorded", of_texts("", drift.asked[:2000]))
    diff = of_requests(drift)
    what = "its tool call" if expected.tool else "its request"
    same = "reads as recorded; the type of its answer is another one"
    return Change(question.id, f"{place}: {what} {'is not the recorded one' if diff else same}", diff)


def _unfit(result: Result, events: Sequence[Event]) -> str:
    """Why a run makes no tape, or ""."""
    if result.outcome not in WORTH:
        return f"the run ended as {result.outcome}: {result.reason}"
    if any(event.facts.get("redacted") for event in events):
        return "an answer holds what is taken out of every record (record.redact)"
    return ""


def _head(settings: Settings, question: Question, result: Result, models: dict[str, Traits]) -> Head:
    return Head(
        tape=FORMAT, id=question.id, question=question.question, models=models,
        tool_calls=settings.engine.model.tool_calls, outcome=result.outcome, answer=result.answer,
        citations=_cited(result),
    )  # fmt: skip


def _traits(settings: Settings) -> dict[str, Traits]:
    """What the model of each agent says of itself."""
    from pilotage.model.reader import Reader
    from pilotage.model.subclass import guarded

    found = {}
    for agent in settings.agents:
        name, spec = factory.model_name(settings, agent), settings.engine.model
        free = name == factory.READER
        seconds = settings.engine.limits.call_seconds
        llm = Reader.for_question("") if free else factory.build(name, spec, seconds, settings)
        found[agent] = traits_of(guarded(llm), name)
    return found


def _cited(result: Result) -> list[dict[str, str]]:
    return [{"source": c["source"], "quote": c["quote"]} for c in result.citations]


def _told(answer: str | None, citations: Sequence[dict[str, str]]) -> str:
    return "\n".join(
        [answer or "(no answer)", *(f"[{n}] {c['source']}: {c['quote']}" for n, c in enumerate(citations, 1))]
    )
