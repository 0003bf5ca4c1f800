"""A model of a GGUF file: how fast it is here, and how often its calls and typed answers are of use.

    python benchmarks/bench_local.py --model gguf:/path/to/model.gguf [--rows 20] [--threads 1] [--check]

The typed answers are findings from passages of knowledge/, each beside one of another document, with the researcher's
own prompt; a heading is the question. The tools are those of the kit; the orders are written for this page. What is
not covered: a whole run, for which there is bench_crew.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from pilotage.checks.results import Findings
from pilotage.evidence.sentences import sentences
from pilotage.guard.fence import fence
from pilotage.model.gguf import file
from pilotage.model.gguf.llm import Gguf
from pilotage.model.gguf.model import Answered, LocalModel
from pilotage.settings import load
from pilotage.spec import LocalSpec

ROOT = Path(__file__).parent.parent
SEED = 9
ORDER = "Call the one tool that is needed, with the arguments that the task gives."
TOOLS = {
    "search_knowledge": ("Search the documents: passages, their best quotes as [start, end, score].", ["query"]),
    "read_source": ("Open one source by its id, such as caps.md#3f9a2c.", ["source"]),
    "read_page": ("Read a web page. Returns its passages with their source ids, and its links.", ["url"]),
    "query_db": ("Read a database with one SELECT statement. Tables: orders(id, customer, total, day).", ["sql"]),
    "run_python": ("Run Python code in a sandbox. No files, no network, standard library only.", ["code"]),
    "check_data": ("Check JSON, CSV or YAML text against the schema of your task.", ["text", "format"]),
    "today": ("Today's date in UTC, as YYYY-MM-DD.", []),
    "days_between": ("Days from one date to another, both as YYYY-MM-DD.", ["first", "second"]),
}
CHOICES: list[tuple[str, str, Sequence[str]]] = [  # what is asked, the tool, what its arguments must hold
    ("What do our documents say about retries?", "search_knowledge", ["retries"]),
    ("Look up in the documents how a budget is enforced.", "search_knowledge", ["budget"]),
    ("Which of our documents mention the semantic cache?", "search_knowledge", ["cache"]),
    ("Find the passage of the documents that explains tracing.", "search_knowledge", ["tracing"]),
    ("Open the source loops.md#592711f3.", "read_source", ["loops.md#592711f3"]),
    ("Read all of cost.md#c1fe96d5, one of our sources.", "read_source", ["cost.md#c1fe96d5"]),
    ("Show me the whole text of the source tools.md#0a1b2c3d.", "read_source", ["tools.md#0a1b2c3d"]),
    ("Read the page https://example.com/pricing and list its prices.", "read_page", ["https://example.com/pricing"]),
    ("What does http://localhost:8000/notes.html say?", "read_page", ["http://localhost:8000/notes.html"]),
    ("Summarise https://example.org/a/b?c=1 for me.", "read_page", ["https://example.org/a/b?c=1"]),
    ("How many rows does the table orders have?", "query_db", ["count", "orders"]),
    ("What is the largest total among the orders in the database?", "query_db", ["total", "orders"]),
    ("List the customers of all orders of 2024-05-01 from the database.", "query_db", ["customer", "2024-05-01"]),
    ("Run Python to compute 17 ** 23.", "run_python", ["17", "23"]),
    ("Use code to sort the list [5, 3, 9, 1].", "run_python", ["5, 3, 9, 1"]),
    ("Does the JSON text {\"id\": 7} fit the schema of the task?", "check_data", ["id", "7"]),
    ("Check the CSV text 'a,b' against the schema of the task.", "check_data", ["a,b"]),
    ("Which day is it today?", "today", []),
    ("How many days lie between 2024-01-01 and 2024-03-01?", "days_between", ["2024-01-01", "2024-03-01"]),
    ("Count the days from 2023-12-24 to 2024-02-29.", "days_between", ["2023-12-24", "2024-02-29"]),
]  # fmt: skip


@dataclass(frozen=True)
class Section:
    """A heading of a document and the sentences below it."""

    document: str
    heading: str
    text: str

    @property
    def source(self) -> str:
        return f"{self.document}#{hashlib.sha256(self.text.encode()).hexdigest()[:8]}"

    @property
    def quotes(self) -> list[str]:
        """What of it is shown: its sentences, two of them as one stretch, as a search may have it."""
        return [self.text[start:end] for start, end in self.spans]

    @property
    def spans(self) -> list[tuple[int, int]]:
        first, second, third, *rest = sentences(self.text)[:6]
        return [first, (second[0], third[1]), *rest]


@dataclass
class Found:
    """Of how many rows the answer was valid, held findings, quoted whole sentences, and quoted the right passage."""

    valid: int = 0
    answered: int = 0
    exact: int = 0
    right: int = 0

    def add(self, answer: Any, section: Section, quotes: dict[str, list[str]]) -> None:
        findings = Findings.model_validate_json(answer).findings if isinstance(answer, str) else []
        self.valid += isinstance(answer, str)
        self.answered += bool(findings)
        self.exact += bool(findings) and all(f.quote in quotes.get(f.source, ()) for f in findings)
        self.right += bool(findings) and findings[0].source == section.source


@dataclass
class Spent:
    """What the calls of one part took."""

    calls: list[Answered] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def speed(self) -> tuple[float, float]:
        """Tokens read and written per second of all calls together; both go on in the same seconds."""
        total = sum(call.seconds for call in self.calls) or 1.0
        fresh = sum(call.prompt_tokens - call.cached_tokens for call in self.calls)
        return fresh / total, sum(call.completion_tokens for call in self.calls) / total


def sections() -> list[Section]:
    """Those with three sentences or more, in the order of the files; lists of sources are none."""
    found = []
    for path in sorted((ROOT / "knowledge").glob("*.md")):
        for part in path.read_text("utf-8").split("\n## ")[1:]:
            heading, _, text = part.partition("\n")
            if len(sentences(text.strip())) >= 3 and heading.strip() != "Sources":
                found.append(Section(path.name, heading.strip(), text.strip()))
    return found


def shown(section: Section) -> dict[str, Any]:
    quotes = [[start, end, round(0.9 - n / 10, 1)] for n, (start, end) in enumerate(section.spans)]
    return {"source": section.source, "where": "", "text": section.text, "quotes": quotes}


def searched(question: str, found: Sequence[Section]) -> list[dict[str, Any]]:
    """A search that was made, and its result."""
    function = {"name": "search_knowledge", "arguments": json.dumps({"query": question})}
    result = json.dumps({"passages": [shown(section) for section in found]})
    content = fence(result, "search_knowledge", "77aa01")
    return [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "1", "name": "search_knowledge", "content": content},
    ]


def as_tool(name: str) -> dict[str, Any]:
    description, arguments = TOOLS[name]
    properties = {argument: {"type": "string"} for argument in arguments}
    parameters = {"type": "object", "properties": properties, "required": arguments}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


@contextmanager
def counted() -> Iterator[Spent]:
    """Notes each request that reaches the file."""
    spent, complete = Spent(), LocalModel.complete

    def noted(self: LocalModel, *args: Any, **more: Any) -> Answered:
        answered = complete(self, *args, **more)
        spent.calls.append(answered)
        return answered

    LocalModel.complete = noted  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        LocalModel.complete = complete  # type: ignore[method-assign]


def timed(spent: Spent, ask: Callable[[], Any]) -> Any:
    started = time.monotonic()
    try:
        return ask()
    except Exception as error:
        return error
    finally:
        spent.seconds.append(time.monotonic() - started)


def typed(llm: Gguf, rows: int) -> tuple[Spent, Found]:
    """The calls, and what was found."""
    draw, known, settings = random.Random(SEED), sections(), load(ROOT, {})
    agent, task = settings.agents["researcher"], settings.tasks["research"]
    found = Found()
    system = {
        "role": "system",
        "content": f"You are {agent.role}. {agent.backstory}\nYour personal goal is: {agent.goal}",
    }
    with counted() as spent:
        for section in draw.sample(known, rows):
            other = draw.choice([each for each in known if each.document != section.document])
            pair = draw.sample([section, other], 2)
            question = f"What is said about this: {section.heading}?"
            text = f"{task.description.format(question=question)}\nAnswer with: {task.expected_output}"
            messages = [system, {"role": "user", "content": text}, *searched(question, pair)]
            answer = timed(spent, partial(llm.call, messages, from_task=SimpleNamespace(response_model=Findings)))
            found.add(answer, section, {each.source: each.quotes for each in pair})
    return spent, found


def chosen(llm: Gguf, rows: int) -> tuple[Spent, int, int]:
    """The calls, how often the right tool was called, and how often with the arguments that are wanted."""
    right = whole = 0
    tools = [as_tool(name) for name in TOOLS]
    drawn = random.Random(SEED).sample(CHOICES, rows)
    with counted() as spent:
        for asked, name, parts in drawn:
            messages = [{"role": "system", "content": ORDER}, {"role": "user", "content": asked}]
            answer = timed(spent, partial(llm.call, messages, tools=tools))
            function = answer[0]["function"] if isinstance(answer, list) else {"name": "", "arguments": ""}
            said = " ".join(map(str, json.loads(function["arguments"] or "{}").values())).lower()
            is_right = function["name"] == name
            right += is_right
            whole += is_right and all(part.lower() in said for part in parts)
    return spent, right, whole


def measured(name: str, rows: int, threads: int | None) -> tuple[list[tuple[str, str]], list[str]]:
    """The rows of the table, and the bounds that were missed."""
    path, spec = file.path_of(name, Path.cwd()), LocalSpec(threads=threads)
    started = time.monotonic()
    LocalModel.open(path, spec)
    loaded = time.monotonic() - started
    llm = Gguf.of(name, path, spec, max_tokens=1024)
    answers, found = typed(llm, rows)
    calls, tool, arguments = chosen(llm, min(rows, len(CHOICES)))
    read, written = answers.speed()
    cached = sum(call.cached_tokens for call in answers.calls) / sum(call.prompt_tokens for call in answers.calls)
    memory = psutil.Process().memory_info().rss / 2**30
    of = min(rows, len(CHOICES))
    table = [
        ("load", f"{loaded:.1f} s"),
        ("memory of the process", f"{memory:.2f} GiB"),
        ("tokens read and written a second, typed answers", f"{read:.0f} + {written:.0f}"),
        ("of the prompt from the cache, typed answers", f"{cached:.0%}"),
        ("typed answers: valid", f"{found.valid} of {rows}"),
        ("typed answers: with findings", f"{found.answered} of {rows}"),
        (
            "typed answers: every quote a whole sentence that was shown, of its source",
            f"{found.exact} of {found.answered}",
        ),
        ("typed answers: from the passage under that heading", f"{found.right} of {rows}"),
        ("typed answers: seconds, median", f"{median(answers.seconds):.1f}"),
        ("tool choices: right tool", f"{tool} of {of}"),
        ("tool choices: right tool and arguments", f"{arguments} of {of}"),
        ("tool choices: seconds, median", f"{median(calls.seconds):.1f}"),
    ]
    bounds = {
        "not every typed answer is valid": found.valid == rows,
        "a quote is not a sentence that was shown": found.exact == found.answered,
        "fewer than 15 of 20 right tools": tool >= 0.75 * of,
        "nothing of the prompt came from the cache": cached > 0,
    }
    return table, [said for said, holds in bounds.items() if not holds]


def median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", required=True, help="gguf:/path/to/model.gguf")
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--check", action="store_true", help="end with 1 when a bound is missed")
    asked = parser.parse_args()
    table, missed = measured(asked.model, asked.rows, asked.threads)
    digest = hashlib.sha256("".join(section.text for section in sections()).encode()).hexdigest()
    print("| what | measured |\n|---|---|")
    print("\n".join(f"| {what} | {value} |" for what, value in table))
    print(
        f"\nseed {SEED}, {asked.rows} rows, {asked.threads or 'all'} threads; passages of knowledge/, sha256 {digest}"
    )
    for said in missed:
        print(f"missed: {said}", file=sys.stderr)
    return 1 if asked.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
