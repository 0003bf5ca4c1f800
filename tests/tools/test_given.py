"""Wrong arguments, in both forms of a tool call: each call is counted, journalled and answered in one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, Field, create_model, field_validator

from pilotage.errors import ToolError
from pilotage.record.journal import Event, find_run, read_events
from pilotage.record.store import open_store
from pilotage.run import Runner
from pilotage.settings import load as load_settings
from pilotage.tools.given import as_given, read_arguments
from tests.support.scripted import Turn, calls, good

TOOLS = """
from __future__ import annotations
from typing import Literal
from crewai.tools import BaseTool
from crewai.tools import tool as crewai_tool
from pydantic import BaseModel
from pilotage import tool

class Day(BaseModel):
    name: str

@tool
def today(n: int, mood: Literal["good", "bad"] = "good") -> Day:
    "The day, n days on."
    return Day(name=f"day {n} is {mood}")

@tool
def now() -> str:
    "The time."
    return "noon"

@crewai_tool("later")
def later(n: int) -> Day:
    "The day after."
    return Day(name=f"later {n}")

class Weekday(BaseTool):
    name: str = "weekday"
    description: str = "The name of a weekday."
    result_schema: type[BaseModel] | None = Day

    def _run(self, n: int) -> Day:
        return Day(name=f"weekday {n}")

weekday = Weekday()
"""
WRONG = 'today was not called: n: expected a whole number, found "x"'


@pytest.fixture
def equipped(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project with tools of the user's own that the researcher has."""
    (tmp_path / "given_tools.py").write_text(TOOLS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    change(project, "pilotage", lambda tree: tree.update(tools="given_tools"))
    names = ["search_knowledge", "today", "now", "later", "weekday"]
    change(project, "agents", lambda tree: tree["researcher"].update(tools=names))
    yield project
    sys.modules.pop("given_tools", None)


def change(project: Path, file: str, edit: Callable[[Any], Any]) -> None:
    path = project / "config" / f"{file}.yaml"
    tree = yaml.safe_load(path.read_text("utf-8"))
    edit(tree)
    path.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), "utf-8")


def raw(*wanted: tuple[str, str]) -> list[dict[str, Any]]:
    """Native calls whose arguments are texts that need not be JSON."""
    return [
        {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(wanted)
    ]


def play_native(project: Path, scripted: Any, answers: list[Any]) -> tuple[list[str], list[Event]]:
    """What the agent got for its calls of the given answers, one after the other, and all tool calls of the run."""
    got: list[str] = []

    def play(turn: Turn) -> Any:
        if turn.task == "research" and answers:
            return answers.pop(0)
        if turn.task == "research":
            own = [m for m in turn.messages if m["role"] == "tool" and m.get("name") != "search_knowledge"]
            got[:] = [str(m["content"]) for m in own]
            turn.messages = [m for m in turn.messages if m not in own]
        return good(turn)

    return got, run(project, scripted, play)


def run(project: Path, scripted: Any, play: Any) -> list[Event]:
    scripted(play)
    settings = load_settings(project)
    runner = Runner(settings)
    try:
        result = runner.answer("How many requests can one fault make when retries are nested?")
    finally:
        runner.close()
    assert result.outcome == "accepted", result.reason
    engine = open_store(settings.store, create=False)
    found = [event for event in read_events(engine, find_run(engine, "last")) if event.kind == "tool_call"]
    engine.dispose()
    return found


def test_a_typed_result_reaches_the_agent_from_functions_and_from_tool_objects(equipped: Path, scripted: Any) -> None:
    wanted = calls(("today", {"n": "2"}), ("later", {"n": 3}), ("weekday", {"n": 4}), ("now", {}))
    got, events = play_native(equipped, scripted, [wanted])
    expected = ['{"name": "day 2 is good"}', '{"name": "later 3"}', '{"name": "weekday 4"}', "noon"]
    for text, words in zip(got, expected, strict=True):
        assert words in text
        assert text.startswith("<<<data ")
    own = [event for event in events if event.facts["tool"] in ("today", "later", "weekday", "now")]
    assert sorted(str(event.content["result"]) for event in own) == sorted(expected)
    assert not any(event.facts.get("failed") for event in own)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("today", '{"n": "x"}', WRONG),
        ("later", '{"n": "x"}', WRONG.replace("today", "later")),
        ("weekday", '{"n": "x"}', WRONG.replace("today", "weekday")),
        ("today", "{}", "today was not called: n: it is missing"),
        ("today", '{"n": 1, "mood": "so"}', "today was not called: mood: expected 'good' or 'bad', found \"so\""),
        ("today", "[1]", 'today was not called: expected its arguments as a JSON object, found "[1]"'),
        ("today", '{"n": ', 'today was not called: expected its arguments as a JSON object, found "{\\"n\\": "'),
        ("now", '"noon"', 'now was not called: expected its arguments as a JSON object, found "\\"noon\\""'),
    ],
)
def test_wrong_arguments_are_journalled_and_answered_in_one_sentence(
    equipped: Path, scripted: Any, tool: str, arguments: str, said: str
) -> None:
    got, events = play_native(equipped, scripted, [raw((tool, arguments)), raw((tool, arguments))])
    assert got == [said, said]
    wrong = [event for event in events if event.facts["tool"] == tool]
    assert len(wrong) == 2  # the second is not answered from a cache
    for event in wrong:
        assert event.facts["failed"] is True
        assert event.facts["agent"] == "researcher"
        assert event.content["result"] == said


def test_several_calls_at_once_are_answered_each_for_itself(equipped: Path, scripted: Any) -> None:
    got, events = play_native(equipped, scripted, [raw(("today", "[1]"), ("now", "{}"), ("today", '{"n": 1}'))])
    assert len(events) >= 3
    assert "expected its arguments as a JSON object" in got[0]
    assert "noon" in got[1]
    assert "day 1 is good" in got[2]


def test_wrong_arguments_count_against_the_limit(equipped: Path, scripted: Any) -> None:
    change(equipped, "pilotage", lambda tree: tree["limits"].update(tool_calls=3))
    change(equipped, "agents", lambda tree: tree["researcher"].update(max_iter=30))
    scripted(lambda turn: raw(("today", '{"n": "x"}')) if turn.number % 2 else raw(("today", f"[{turn.number}]")))
    runner = Runner(load_settings(equipped))
    try:
        result = runner.answer("How many requests can one fault make when retries are nested?")
    finally:
        runner.close()
    assert result.outcome == "limited"
    assert "3 tool calls against the limit of 3 (limits.tool_calls)" in result.reason


def test_the_policy_judges_what_was_given_before_it_is_read(equipped: Path, scripted: Any) -> None:
    change(equipped, "pilotage", lambda tree: tree.update(policy={"tools": {"today": {"domains": ["example.org"]}}}))
    given = '{"n": "https://elsewhere.test/"}'
    got, events = play_native(equipped, scripted, [raw(("today", given), ("today", "[1"))])
    assert got[0].startswith("today was denied: elsewhere.test is not among the domains of today")
    (event,) = [event for event in events if event.facts.get("denied") == "policy.tools.today.domains"]
    assert json.loads(str(event.content["arguments"])) == json.loads(given)


# --- the text form


def play_in_text(project: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch, given: str) -> tuple[str, list[Event]]:
    """What the agent got for `Action: today` with that input, without native calls, and all tool calls of the run."""
    from tests.support.scripted import ScriptedLLM

    monkeypatch.setattr(ScriptedLLM, "supports_function_calling", lambda _self: False)
    got: list[str] = []
    found: list[dict[str, Any]] = []

    def play(turn: Turn) -> Any:
        said = [str(m["content"]) for m in turn.messages if m["role"] == "assistant"]
        seen = [text.rpartition("Observation:")[2].strip() for text in said if "\nObservation:" in text]
        if turn.task == "research" and not seen:
            return f"Thought: which day?\nAction: today\nAction Input: {given}"
        if turn.task == "research" and len(seen) == 1:
            got.append(seen[0])
            return 'Thought: search\nAction: search_knowledge\nAction Input: {"query": "nested retries multiply"}'
        if turn.task == "research":
            found.append(json.loads(seen[1][seen[1].index("{") : seen[1].rindex("}") + 1]))
            passage = next(p for p in found[0]["passages"] if "27 requests" in p.get("text", p.get("quote", "")))
            quote = "With three owners of three attempts each,\none fault makes 27 requests."
            finding = {"claim": "It is 27.", "quote": quote, "source": passage["source"]}
            return "Thought: done\nFinal Answer: " + json.dumps({"findings": [finding]})
        if turn.task == "verify" and not seen:
            source = json.dumps({"source": found[0]["passages"][0]["source"]})
            return f"Thought: open\nAction: read_source\nAction Input: {source}"
        turn.messages = [*turn.messages, {"role": "tool", "content": "{}"}]
        return "Thought: done\nFinal Answer: " + good(turn).model_dump_json()

    return_events = run(project, scripted, play)
    return got[0], return_events


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"n": "x"}', WRONG),
        ("{}", "today was not called: n: it is missing"),
        ("[1, 2]", 'today was not called: expected its arguments as a JSON object, found "[1, 2]"'),
        ("tomorrow", 'today was not called: expected its arguments as a JSON object, found "tomorrow"'),
    ],
)
def test_in_the_text_form_too(
    equipped: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch, given: str, said: str
) -> None:
    got, events = play_in_text(equipped, scripted, monkeypatch, given)
    assert got.splitlines()[0] == said
    (event,) = [event for event in events if event.facts["tool"] == "today"]
    assert event.facts["failed"] is True
    assert event.content["result"] == said


def test_a_typed_result_in_the_text_form(equipped: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    got, events = play_in_text(equipped, scripted, monkeypatch, '{"n": 2}')
    assert '{"name": "day 2 is good"}' in got
    assert got.startswith("<<<data ")
    assert events[0].content["result"] == '{"name": "day 2 is good"}'


# --- schemas


class Inner(BaseModel):
    size: float = Field(gt=0)


class Wanted(BaseModel):
    """What is wanted."""

    n: int
    inner: Inner = Inner(size=1)
    tags: list[str] = []
    kind: Literal["a", "b"] = "a"

    @field_validator("tags")
    @classmethod
    def _few(cls, tags: list[str]) -> list[str]:
        if len(tags) > 2:
            raise ValueError("at most two tags")
        return tags


def test_the_model_is_shown_the_same_schema() -> None:
    assert as_given(Wanted).model_json_schema() == Wanted.model_json_schema()
    given = {"n": "x", "other": [1]}
    assert as_given(Wanted).model_validate(given).model_dump() == given
    assert Wanted.model_validate({"n": 1}).n == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n": 1.5}, "n: expected a whole number, found 1.5"),
        ({"n": None}, "n: expected a whole number, found null"),
        ({"n": 1, "inner": 3}, "inner: expected an object, found 3"),
        ({"n": 1, "inner": {"size": -1}}, "inner.size: expected greater than 0, found -1"),
        ({"n": 1, "tags": "a"}, 'tags: expected a list, found "a"'),
        ({"n": 1, "tags": [1]}, "tags.0: expected a text, found 1"),
        ({"n": 1, "tags": ["a", "b", "c"]}, 'tags: at most two tags, found ["a", "b", "c"]'),
        ({"n": "x" * 500}, f'n: expected a whole number, found "{"x" * 59}…'),
    ],
)
def test_what_is_wrong_is_said_in_words(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ToolError) as caught:
        read_arguments(Wanted, len, given)
    assert str(caught.value).replace("expected to be", "expected") == said


def test_many_faults_are_one_short_sentence() -> None:
    schema = create_model("Many", **{f"a{n}": (int, ...) for n in range(9)})  # type: ignore[call-overload]
    with pytest.raises(ToolError) as caught:
        read_arguments(schema, len, {"a0": "\x1b[31mx"})
    assert str(caught.value).endswith("a1: it is missing; a2: it is missing; 6 more")
    assert "\x1b" not in str(caught.value)


def test_a_function_that_takes_any_argument_gets_them_all() -> None:
    def probe(**more: Any) -> None: ...

    assert read_arguments(create_model("None_"), probe, {"a": 1}) == {"a": 1}
    assert read_arguments(create_model("None_"), len, {"a": 1}) == {}
