"""What an agent that never stops calling tools costs: CrewAI alone against this project, in pairs.

    python benchmarks/bench_runaway.py [--check] [--json]

A loopback server plays a model that calls tools for ever, by scenario, and heeds nothing it is told. CrewAI alone: one
agent, max_iter 25 (its default), no SDK retries. Ours: the project's own crew, max_iter 25 for the researcher, generous
caps. Tokens are characters of the request and of the answer, divided by 4. --check: exit 1 when ours spends more than a
third where CrewAI alone runs to max_iter. What a real model would do when it is told to change course is not covered.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", CREWAI_DISABLE_VERSION_CHECK="true")

import runaway_tools  # noqa: E402

from pilotage.quiet import import_crewai  # noqa: E402
from pilotage.run import run_crew  # noqa: E402
from pilotage.settings import load  # noqa: E402
from tests.support.loopback import listening, send  # noqa: E402

CREWAIS_OWN_STOP = 5  # identical calls with identical results, crewai 1.15 utilities/agent_utils.py
MAX_ITER = 25
LONGEST = 160  # characters of an outcome
MOST = 1 / 3  # of CrewAI's calls and tokens
QUESTION = "Who owns retries?"
FORCED = "MUST give your absolute best final answer"  # CrewAI's last request when max_iter is reached
THOUGHT = "I should look up who owns retries first, because I cannot answer without that."
WORDS = ("owner", "retry policy", "who retries", "nesting", "attempts", "faults", "layers", "requests", "multiply")

Call = tuple[str, dict[str, Any]]
Play = Callable[[int], Call]


def _cases(number: int) -> str:
    """The words, each letter in upper case where the number has a bit."""
    return "".join(c.upper() if number + 1 >> place % 6 & 1 else c for place, c in enumerate("who owns retries"))


def _compact(request: dict[str, Any]) -> bytes:
    """The request as it came over the wire."""
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()


def _shuffled(number: int) -> dict[str, Any]:
    items = [("query", "who owns retries"), ("limit", 5), ("language", "en")]
    return dict(items[number % 3 :] + items[: number % 3])


SCENARIOS: dict[str, Play] = {
    "exact": lambda _: ("look_up", {"query": "who owns retries"}),
    "case": lambda n: ("look_up", {"query": _cases(n)}),
    "space": lambda n: ("look_up", {"query": "who" + " " * (n % 7 + 1) + "owns retries" + " " * (n % 5)}),
    "shuffled keys": lambda n: ("look_up", _shuffled(n)),
    "growing counter": lambda n: ("look_up", {"query": f"who owns retries {n + 1}"}),
    "A-B-A-B": lambda n: ("look_up", {"query": ("who owns retries", "what a deadline does")[n % 2]}),
    "time stamp": lambda _: ("watch", {"query": "who owns retries"}),
    "repeated thought": lambda n: ("look_up", {"query": f"{WORDS[n % 9]} {WORDS[(n // 9 + n + 1) % 9]}"}),
}
IN_TEXT = {"repeated thought"}  # played as ReAct text: a thought before each action


@dataclass
class Spent:
    """What one side of a pair cost, as the server counted it, and how it ended."""

    requests: int = 0
    tokens: int = 0
    outcome: str = ""


class Endless:
    """The model: answers each request with the scenario's next call."""

    def __init__(self, scenario: str) -> None:
        self.play, self.in_text, self.spent = SCENARIOS[scenario], scenario in IN_TEXT, Spent()
        self.lock = threading.Lock()

    def answer(self, handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        """One chat completion."""
        with self.lock:
            number = self.spent.requests
            self.spent.requests += 1
        message = self._message(request, number)
        prompt, completion = len(_compact(request)) // 4, len(json.dumps(message)) // 4
        with self.lock:
            self.spent.tokens += prompt + completion
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        finish = "tool_calls" if "tool_calls" in message else "stop"
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
        body = {"id": "x", "object": "chat.completion", "created": 1, "model": request["model"]}
        send(handler, 200, {**body, "choices": [choice], "usage": usage})

    def _message(self, request: dict[str, Any], number: int) -> dict[str, Any]:
        name, arguments = self.play(number)
        is_over = FORCED in str(request["messages"][-1].get("content"))
        if is_over or not (self.in_text or request.get("tools")):
            return {"content": "Thought: I now know enough.\nFinal Answer: I do not know."}
        if self.in_text:
            return {"content": f"Thought: {THOUGHT}\nAction: {name}\nAction Input: {json.dumps(arguments)}"}
        function = {"name": name, "arguments": json.dumps(arguments)}
        return {"content": None, "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}]}


def crewai_alone(url: str, in_text: bool) -> str:
    """One agent, one task, CrewAI's defaults; how it ended."""
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool
    from crewai.utilities import agent_utils

    agent_utils.MAX_REPEATED_TOOL_CALLS = CREWAIS_OWN_STOP  # a run of ours in this process has switched it off
    model: Any = LLM(model="openai/endless", base_url=url, api_key="none", max_retries=0, custom_openai=True)
    if in_text:  # what CrewAI does with a model that has no native tool calls
        model.__class__ = type("TextOnly", (type(model),), {"supports_function_calling": lambda _: False})
    tools = [tool("look_up")(runaway_tools.look_up), tool("watch")(runaway_tools.watch)]
    agent = Agent(
        role="Researcher", goal="Answer the question.", backstory="A careful librarian.", llm=model, tools=tools,
        max_iter=MAX_ITER, respect_context_window=False, use_better_compaction=False,
    )  # fmt: skip
    task = Task(description=QUESTION, expected_output="One sentence.", agent=agent)
    try:
        Crew(agents=[agent], tasks=[task]).kickoff()
    except Exception as error:
        return f"failed: {type(error).__name__}"
    return "answered, as if all were well"


def ours(url: str, in_text: bool, root: Path) -> str:
    """The project's own crew; how it ended."""
    overrides = {
        "model.name": "openai/endless", "model.base_url": url, "model.tool_calls": "text" if in_text else "native",
        "tools": "runaway_tools", "agents.researcher.tools": "[search_knowledge, look_up, watch]",
        "agents.researcher.max_iter": str(MAX_ITER), "agents.researcher.max_execution_time": "600",
        "limits.seconds": "600", "limits.model_calls": "1000", "limits.tool_calls": "1000", "limits.tokens": "10000000",
    }  # fmt: skip
    result = run_crew(QUESTION, settings=load(root, overrides), fresh=True)
    return _shortened(f"{result.outcome}: {result.reason}")


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def measure(scenario: str, root: Path) -> tuple[Spent, Spent]:
    """CrewAI alone, then ours."""
    in_text = scenario in IN_TEXT
    sides: list[Callable[[str], str]] = [lambda url: crewai_alone(url, in_text), lambda url: ours(url, in_text, root)]
    spent = []
    for side in sides:
        model = Endless(scenario)
        with listening(model.answer) as address, contextlib.redirect_stdout(io.StringIO()):
            model.spent.outcome = side(f"{address}/v1")
        spent.append(model.spent)
    return spent[0], spent[1]


@contextlib.contextmanager
def project() -> Iterator[Path]:
    """A copy of the project's configuration with one small document, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(ROOT / "config", root / "config")
        (root / "knowledge").mkdir()
        (root / "knowledge" / "retries.md").write_text(f"# Retries\n\n{runaway_tools.OWNER}\n", "utf-8")
        import_crewai(root / "runs")
        yield root


def ratios(alone: Spent, own: Spent) -> tuple[float, float]:
    return own.requests / alone.requests, own.tokens / alone.tokens


def is_too_much(alone: Spent, own: Spent) -> bool:
    """Whether ours spends more than a third where CrewAI alone runs to max_iter."""
    return alone.requests >= MAX_ITER and max(ratios(alone, own)) > MOST


def main() -> None:
    options = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    options.add_argument("--check", action="store_true", help="exit 1 when a ratio is above a third")
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = options.parse_args()
    with project() as root:
        pairs = {scenario: measure(scenario, root) for scenario in SCENARIOS}
    if chosen.json:
        plain = {name: {"crewai": asdict(alone), "pilotage": asdict(own)} for name, (alone, own) in pairs.items()}
        print(json.dumps(plain, indent=2))
    else:
        print("| scenario | requests: CrewAI | ours | ratio | tokens: CrewAI | ours | ratio | CrewAI | ours |")
        print("|---|---|---|---|---|---|---|---|---|")
        for name, (alone, own) in pairs.items():
            calls, tokens = ratios(alone, own)
            print(
                f"| {name} | {alone.requests} | {own.requests} | {calls:.2f} | {alone.tokens:,} | {own.tokens:,} "
                f"| {tokens:.2f} | {alone.outcome} | {own.outcome} |"
            )
    over = [name for name, (alone, own) in pairs.items() if is_too_much(alone, own)]
    if chosen.check and over:
        raise SystemExit(f"more than a third of what CrewAI alone spends: {', '.join(over)}")


if __name__ == "__main__":
    main()
