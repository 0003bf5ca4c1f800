"""The documents and the scripted models of bench_feedback.py: each model makes one kind of mistake, once or for ever.

A model errs in the first conversation of a task, and is right as soon as its prompt says that something did not hold;
one that errs for ever does not listen. Besides that it is a good model: it searches with the question, opens what it
verifies, and answers in its own words. What is not covered: a mistake that nobody has thought of here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pilotage.checks.results import Citation, Explanation, Finding, Findings, Statement, Verdict, Verdicts, parse
from pilotage.guard.fence import unfence
from tests.support.loopback import listening, send
from tests.support.scripted import calls

CORRECTED = ("These points do not hold", "This is another try")  # prompts.yaml: crew.faults, rounds.again


@dataclass(frozen=True)
class Fact:
    """A question, the sentence that answers it, a good answer in other words, and the same with a wrong figure."""

    question: str
    quote: str
    said: str
    figure: str
    wrong: str

    @property
    def misstated(self) -> str:
        return self.said.replace(self.figure, self.wrong)


def _facts(*rows: tuple[str, str, str, str, str]) -> tuple[Fact, ...]:
    return tuple(Fact(*row) for row in rows)


DOCUMENTS: dict[str, tuple[Fact, ...]] = {
    "The lighthouse on the cape": _facts(
        ("How tall is the tower of the lighthouse?", "The tower of the lighthouse stands 48 metres tall.",
         "The lighthouse tower is 48 metres tall.", "48", "84"),
        ("When was the lighthouse first lit?", "The lighthouse was first lit in 1844.",
         "The light was lit for the first time in 1844.", "1844", "1854"),
        ("How many steps lead up to the lamp?", "A staircase of 151 steps leads up to the lamp.",
         "There are 151 steps up to the lamp.", "151", "115"),
        ("How far does the beam of the lighthouse reach?", "On a clear night its beam reaches 23 nautical miles.",
         "The beam reaches 23 nautical miles on a clear night.", "23", "32"),
        ("How many keepers lived at the lighthouse?", "Until 1972 it was the home of 4 keepers.",
         "The lighthouse was the home of 4 keepers until 1972.", "4 keepers", "6 keepers"),
    ),
    "Bread at home": _facts(
        ("How hot should the oven be for the loaf?", "The oven is heated to 250 degrees before the loaf goes in.",
         "Before the loaf goes in, the oven is heated to 250 degrees.", "250", "220"),
        ("How long does a loaf of one kilogram bake?", "A loaf of one kilogram bakes for 50 minutes.",
         "Baking a loaf of one kilogram takes 50 minutes.", "50", "35"),
        ("How much salt goes into the dough?", "The dough gets 18 grams of salt.",
         "There are 18 grams of salt in the dough.", "18", "80"),
        ("How long does the dough rest in the fridge?", "The dough then rests in the fridge for 12 hours.",
         "In the fridge the dough rests for 12 hours.", "12", "2"),
        ("How often is the sourdough starter fed?", "The sourdough starter is fed 2 times a day.",
         "The starter of the sourdough is fed 2 times a day.", "2 times", "5 times"),
    ),
    "The mountain railway": _facts(
        ("How long is the track of the mountain railway?", "The track of the mountain railway is 9.2 kilometres long.",
         "The mountain railway has a track of 9.2 kilometres.", "9.2", "2.9"),
        ("When did the mountain railway open?", "The mountain railway opened on 4 June 1889.",
         "It was on 4 June 1889 that the mountain railway opened.", "1889", "1898"),
        ("How steep is the steepest part of the railway?", "The steepest part of the railway climbs at 48 percent.",
         "At its steepest part the railway climbs at 48 percent.", "48", "28"),
        ("How many passengers fit into one carriage?", "One carriage seats 40 passengers.",
         "There are seats for 40 passengers in one carriage.", "40", "60"),
        ("How many tunnels does the railway pass?", "On its way up the train passes 7 tunnels.",
         "The train passes 7 tunnels on its way up.", "7", "11"),
    ),
    "The town library": _facts(
        ("How many books does the library hold?", "The library holds 62,000 books.",
         "There are 62,000 books in the library.", "62,000", "26,000"),
        ("How many books may a reader borrow at once?", "A reader may borrow 15 books at once.",
         "At once, a reader may borrow 15 books.", "15", "50"),
        ("How long may a book be kept before it is due?", "A book is due after 28 days.",
         "After 28 days a book is due.", "28", "14"),
        ("What does it cost to return a book late?", "Whoever returns a book late pays 20 cents a day.",
         "A late return costs 20 cents a day.", "20", "70"),
        ("When does the library close on Saturdays?", "On Saturdays the library closes at 14:30.",
         "The library closes at 14:30 on Saturdays.", "14:30", "16:30"),
    ),
    "The dam and its reservoir": _facts(
        ("How high is the dam?", "The wall of the dam is 112 metres high.",
         "The dam has a wall that is 112 metres high.", "112", "121"),
        ("How much water does the reservoir hold?", "The reservoir holds 86 million cubic metres of water.",
         "There are 86 million cubic metres of water in the reservoir when it is full.", "86", "68"),
        ("How many turbines does the power station have?", "The power station below it has 3 turbines.",
         "There are 3 turbines in the power station below it.", "3 turbines", "5 turbines"),
        ("How many homes does the power station supply?", "It supplies 41,000 homes with electricity.",
         "With its electricity 41,000 homes are supplied.", "41,000", "14,000"),
        ("When was the dam finished?", "The dam was finished in 1931 after six years of work.",
         "After six years of work the dam was finished in 1931.", "1931", "1913"),
    ),
}  # fmt: skip
FACTS = [fact for facts in DOCUMENTS.values() for fact in facts]
BY_QUOTE = {fact.quote: fact for fact in FACTS}
BY_QUESTION = {fact.question: number for number, fact in enumerate(FACTS)}
STRIDE = 5  # facts of one document: the one so many further on is about the same, of something else


def lay_out(knowledge: Path) -> None:
    """A document for each title, its facts among sentences that say nothing of note."""
    knowledge.mkdir()
    for number, (title, facts) in enumerate(DOCUMENTS.items()):
        lines = [f"# {title}", "", "This page is kept by the people who look after it.", ""]
        lines += [f"{fact.quote} Visitors often ask about this.\n" for fact in facts]
        (knowledge / f"{number}.md").write_text("\n".join(lines), "utf-8")


@dataclass(frozen=True)
class Turn:
    """One request: its task, the fact that is asked for, the results of its tools, whether something did not hold."""

    task: str
    number: int
    text: str
    results: Sequence[dict[str, Any]]
    is_corrected: bool

    @property
    def fact(self) -> Fact:
        return FACTS[self.number]


Mistake = Callable[[Any, Turn], Any]


def search(turn: Turn, fact: Fact) -> Any:
    """A search for the fact, and then what it has found."""
    if not turn.results:
        return calls(("search_knowledge", {"query": fact.question}))
    entries = [entry for result in turn.results for entry in result.get("passages", ())]
    source = next(e["source"] for e in entries if fact.quote in e.get("text", e.get("quote", "")))
    return Findings(findings=[Finding(claim=fact.said, quote=fact.quote, source=source)])


def play(turn: Turn) -> Any:
    """What a good model does."""
    if turn.task == "research":
        return search(turn, turn.fact)
    if turn.task == "verify":
        findings = parse(turn.text, Findings).findings
        if not turn.results:
            return calls(*(("read_source", {"source": finding.source}) for finding in findings))
        return Verdicts(
            verdicts=[Verdict(**f.model_dump(), verdict="supported", reason="it says so") for f in findings]
        )
    verdict = next(v for v in parse(turn.text, Verdicts).verdicts if v.verdict == "supported")
    said = BY_QUOTE[verdict.quote].said
    citations = [Citation(n=1, source=verdict.source, quote=verdict.quote)]
    return Explanation(statements=[Statement(text=said, cites=[1])], citations=citations)


# --- mistakes: each changes what the good model has made


def wrong_number(made: Any, turn: Turn) -> Any:
    if not isinstance(made, Explanation):
        return made
    fact = BY_QUOTE[made.citations[0].quote]
    return Explanation(statements=[Statement(text=fact.misstated, cites=[1])], citations=made.citations)


def no_citation(made: Any, turn: Turn) -> Any:
    if not isinstance(made, Explanation):
        return made
    return Explanation(statements=[Statement(text=made.statements[0].text, cites=[])], citations=made.citations)


def wrong_source(made: Any, turn: Turn) -> Any:
    """The quote is right, and is said to stand in another passage that was read."""
    if not isinstance(made, Findings):
        return made
    found = made.findings[0]
    entries = [entry["source"] for result in turn.results for entry in result.get("passages", ())]
    other = next((source for source in entries if source != found.source), "nowhere.md#1")
    return Findings(findings=[found.model_copy(update={"source": other})])


def wrong_claim(made: Any, turn: Turn) -> Any:
    """The quote is right; the finding, and the answer, say the opposite."""
    if isinstance(made, Findings):
        found = made.findings[0]
        return Findings(findings=[found.model_copy(update={"claim": denied(found.claim)})])
    if isinstance(made, Explanation):
        said = denied(made.statements[0].text)
        return Explanation(statements=[Statement(text=said, cites=[1])], citations=made.citations)
    return made


def denied(claim: str) -> str:
    return f"It is not true that {claim[0].lower()}{claim[1:]}"


def off_topic(made: Any, turn: Turn) -> Any:
    """Faithfully quoted and cited, from a document about something else."""
    if turn.task != "research":
        return made
    return search(turn, FACTS[(turn.number + STRIDE) % len(FACTS)])


def near_topic(made: Any, turn: Turn) -> Any:
    """The same, from the very document that answers the question."""
    if turn.task != "research":
        return made
    first = turn.number - turn.number % STRIDE
    return search(turn, FACTS[first + (turn.number + 1) % STRIDE])


def nothing_found(made: Any, turn: Turn) -> Any:
    return Findings(findings=[]) if isinstance(made, Findings) else made


MISTAKES: dict[str, Mistake] = {
    "a wrong number": wrong_number,
    "a sentence without a citation": no_citation,
    "a quote under a wrong source": wrong_source,
    "the opposite of its quote": wrong_claim,
    "an answer to another question": off_topic,
    "nothing found": nothing_found,
}
HARD: dict[str, Mistake] = {"an answer to another question, same document": near_topic}  # no bound
STRAYING = (off_topic, near_topic)


@dataclass
class Scene:
    """The server: `mistake` is what its model does, for ever or until it is told."""

    url: str = ""
    mistake: Mistake | None = None
    for_ever: bool = False
    requests: int = 0

    def answer(self, request: dict[str, Any]) -> Any:
        turn, mistake = turn_of(request), self.mistake
        if mistake is None or (turn.is_corrected and not self.for_ever):
            return play(turn)
        is_search = mistake in STRAYING and turn.task == "research"
        return mistake(None if is_search else play(turn), turn)


def turn_of(request: dict[str, Any]) -> Turn:
    messages = request["messages"]
    text = "\n".join(str(message.get("content") or "") for message in messages if message["role"] == "user")
    task = "research" if "Call search_knowledge" in text else "verify" if "Give one verdict" in text else "explain"
    question = text.partition("Question: ")[2].partition("\n")[0].strip()
    results = [json.loads(unfence(str(m["content"]))) for m in messages if m["role"] == "tool"]
    return Turn(task, BY_QUESTION[question], text, results, any(words in text for words in CORRECTED))


@contextmanager
def scene() -> Iterator[Scene]:
    """Listen on a free port until the block ends."""
    made = Scene()

    def post(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        made.requests += 1
        answer = made.answer(request)
        text = answer.model_dump_json() if isinstance(answer, BaseModel) else None
        message = {"content": text} | ({"tool_calls": answer} if isinstance(answer, list) else {})
        finish = "tool_calls" if isinstance(answer, list) else "stop"
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = {"id": "x", "object": "chat.completion", "created": 1, "model": request["model"]}
        send(handler, 200, {**body, "choices": [choice], "usage": usage})

    with listening(post) as address:
        made.url = f"{address}/v1"
        yield made
