"""Code and data behind the gate, alone and in whole runs: what fails goes back, what is mended passes, else it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine

from pilotage import cli
from pilotage.checks.data import Schema
from pilotage.checks.gate import Evidence, Gate
from pilotage.checks.results import Data, Explanation, Finding, Solution, Verdict, parse
from pilotage.guard.fence import unfence
from pilotage.guard.limits import Meter, RunEnded
from pilotage.outcome import Result
from pilotage.record.journal import Event, Journal, read_events
from pilotage.record.redact import Redactor
from pilotage.record.store import open_store
from pilotage.run import run_crew
from pilotage.settings import load
from pilotage.spec import CodeSpec, LimitSpec
from tests.support.project import change, events_of
from tests.support.scripted import Turn, calls, good

SOURCE = "a.md#1"
QUOTE = "Retries must have one owner."
RIGHT = "def double(n):\n    return n * 2"
WRONG = "def double(n):\n    return n + 2"
TESTS = "assert double(3) == 6"
PRICE = {"type": "object", "required": ["price"], "properties": {"price": {"type": "number"}}}
QUESTION = "How many requests can one fault make when retries are nested?"


class Price(BaseModel):
    price: float


class Table:
    """A gate with everything around it."""

    def __init__(self, engine: Engine) -> None:
        self.journal = Journal(engine, Redactor({}))
        self.meter = Meter(LimitSpec(), self.journal)
        self.evidence = Evidence({SOURCE: QUOTE})
        finding = Finding(claim="One owner.", quote=QUOTE, source=SOURCE)
        self.evidence.findings = [finding]
        self.evidence.verdicts = [Verdict(**finding.model_dump(), verdict="supported", reason="it says so")]
        self.meter.begin_turn("agent", "task", max_iter=5, seconds=60)

    def gate(
        self, kind: type[BaseModel], *checks: str, rounds: int = 1, schema: Schema | None = None, **code: Any
    ) -> Gate:
        around = (self.evidence, self.meter, self.journal, rounds)
        return Gate("task", "agent", kind, checks, *around, schema=schema, code=CodeSpec.model_validate(code))

    def events(self, kind: str) -> list[Event]:
        return [e for e in read_events(self.journal.engine, self.journal.run) if e.kind == kind]


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    engine = open_store(tmp_path / "journal.sqlite")
    yield Table(engine)
    engine.dispose()


def solution(code: str, tests: str = TESTS, answer: str = "There is one owner [1].") -> str:
    citations = [{"n": 1, "source": SOURCE, "quote": QUOTE}]
    return json.dumps({"answer": answer, "citations": citations, "code": code, "tests": tests})


# --- how a Solution and Data are read


@pytest.mark.parametrize(
    "written",
    [
        {"answer": f"There is one owner [1].\n```python\n{RIGHT}\n```"},
        {"answer": f"There is one owner [1].\n```\n{RIGHT}\n```\n"},
        {"answer": f"There is one owner [1].\r\n```py\r\n{RIGHT}\r\n```"},
        {"answer": f"```python3\n{RIGHT}\n```\nThere is one owner [1]."},
        {"answer": f"There is one owner [1].\n```python\n{RIGHT}\n```", "code": RIGHT},
        {"answer": "There is one owner [1].", "code": f"```python\n{RIGHT}\n```"},
        {"answer": "There is one owner [1].\n  ```python\n  " + RIGHT.replace("\n", "\n  ") + "\n  ```"},
        {"statements": [{"text": f"There is one owner.\n```python\n{RIGHT}\n```", "cites": [1]}]},
    ],
)
def test_code_in_the_text_of_a_solution_is_code_and_no_sentence(written: dict[str, Any]) -> None:
    read = parse(json.dumps(written | {"citations": [{"n": 1, "source": SOURCE, "quote": QUOTE}]}), Solution)
    assert read.code.strip() == RIGHT
    assert read.tests == ""
    assert [sentence.text.rstrip(".") for sentence in read.sentences()] == ["There is one owner"]
    assert read.answer == f"There is one owner [1].\n\n```python\n{RIGHT}\n```"


def test_tests_in_the_text_of_a_solution_are_tests() -> None:
    text = f"There is one owner [1].\n```python\n{RIGHT}\n```\n```python test\n{TESTS}\n```"
    read = parse(json.dumps({"answer": text, "citations": []}), Solution)
    assert (read.code, read.tests) == (RIGHT, TESTS)


def test_code_of_the_text_that_the_field_lacks_is_added_to_it() -> None:
    text = "There is one owner [1].\n```python\nx = 1\n```"
    assert parse(json.dumps({"answer": text, "citations": [], "code": "x = 10"}), Solution).code == "x = 10\n\nx = 1"


def test_a_fence_of_another_language_is_no_python() -> None:
    read = parse(json.dumps({"answer": "One owner [1].\n```bash\nls -l\n```", "citations": []}), Solution)
    assert read.code == ""
    assert "ls -l" in read.answer


def test_a_fence_inside_the_code_does_not_end_its_block_in_the_answer() -> None:
    code = 'def f():\n    """\n    ```\n    f()\n    ```\n    """'
    answer = parse(solution(code), Solution).answer
    assert answer.endswith(f"````python\n{code}\n````")


def test_what_was_read_is_read_again_as_the_same() -> None:
    read = parse(solution(RIGHT), Solution)
    assert parse(read.model_dump_json(), Solution) == read


@pytest.mark.parametrize(
    ("written", "format", "text"),
    [
        ('{"format": "json", "text": "{}"}', "json", "{}"),
        ('Here you are:\n```json\n{"format": "csv", "text": "a,b\\n1,2"}\n```', "csv", "a,b\n1,2"),
        ('{"format": "JSON", "text": {"price": 3}}', "json", '{"price": 3}'),
        ('{"format": "yml", "text": "```yaml\\nprice: 3\\n```"}', "yaml", "price: 3"),
        ('The price:\n```json\n{"price": 3}\n```\n', "json", '{"price": 3}'),
        ("Rows:\r\n```csv\r\na,b\r\n1,2\r\n```\r\n", "csv", "a,b\n1,2"),
        ("```yml\nprice: 3\n```", "yaml", "price: 3"),
        ('First\n```csv\na\n1\n```\nno, rather\n```JSON\n{"a": 1}\n```', "json", '{"a": 1}'),
    ],
)
def test_data_is_read_from_its_form_and_from_a_fence_that_names_its_format(
    written: str, format: str, text: str
) -> None:
    assert parse(written, Data) == Data.model_validate({"format": format, "text": text})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("no data at all", "there is no JSON object in it"),
        ('{"price": 3}', "format: Field required"),
        ('{"format": "xml", "text": "<a>{}</a>"}', "format: Input should be 'json', 'csv' or 'yaml'"),
        ('{"format": "csv", "text": {"price": {"a": 3}}}', "text: Input should be a valid string"),
        ("```\na,b\n1,2\n```", "there is no JSON object in it"),
    ],
)
def test_what_is_no_data_is_said_of_the_whole_not_of_a_part(written: str, said: str) -> None:
    with pytest.raises(ValueError, match="^" + said):
        parse(written, Data)


# --- code at the gate


def test_code_that_fails_goes_back_with_the_reason_and_its_line_and_passes_when_mended(table: Table) -> None:
    gate = table.gate(Solution, "citations", "code")
    passed, feedback = gate(solution(WRONG))
    assert not passed
    assert "the tests failed on line 1: AssertionError" in feedback
    assert "assert double(3) == 6" in feedback
    assert QUOTE in feedback
    assert table.evidence.answer is None
    passed, result = gate(solution(RIGHT))
    assert passed
    assert json.loads(result)["code"] == RIGHT
    assert isinstance(table.evidence.answer, Solution)
    runs = [(e.facts["outcome"], e.facts["tests"], e.facts["task"], e.facts["agent"]) for e in table.events("code_run")]
    assert runs == [("failed", 1, "task", "agent"), ("passed", 1, "task", "agent")]
    assert [e.facts["passed"] for e in table.events("check") if e.facts["check"] == "code"] == [False, True]


def test_code_that_stays_wrong_is_rejected_with_its_line(table: Table) -> None:
    gate = table.gate(Solution, "citations", "code")
    assert gate(solution(WRONG))[0] is False
    with pytest.raises(RunEnded):
        gate(solution(WRONG))
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "rejected"
    assert "task: “assert double(3) == 6”: the tests failed on line 1" in table.meter.ended.reason
    assert table.evidence.faults[0].text == TESTS


@pytest.mark.parametrize(
    ("code", "tests", "outcome", "said"),
    [
        ("def double(n:\n    pass", TESTS, "failed", "SyntaxError"),
        ("while True: pass", "", "timeout", "second"),
        (RIGHT, "print(double(3))", "failed", "the tests hold no assertion"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "", "failed", "socket"),
    ],
)
def test_code_that_does_not_run_goes_back(table: Table, code: str, tests: str, outcome: str, said: str) -> None:
    passed, feedback = table.gate(Solution, "code", seconds=1.0)(solution(code, tests))
    assert not passed
    assert said in feedback
    (run,) = table.events("code_run")
    assert run.facts["outcome"] in (outcome, "refused")
    assert run.facts["seconds"] < 10


def test_what_the_code_printed_is_on_record(table: Table) -> None:
    assert table.gate(Solution, "code")(solution(f"{RIGHT}\nprint('hello')"))[0]
    (run,) = table.events("code_run")
    assert "hello" in str(run.content["output"])


def test_a_solution_without_code_is_checked_like_an_explanation(table: Table) -> None:
    assert table.gate(Solution, "citations", "code")(solution("", ""))[0]
    assert table.events("code_run") == []
    assert not table.gate(Solution, "citations", "code")(solution("", "", "It has 27 owners [1]."))[0]


def test_code_does_not_make_up_for_a_missing_citation(table: Table) -> None:
    passed, feedback = table.gate(Solution, "citations", "code")(solution(RIGHT, answer="There are two owners."))
    assert not passed
    assert "the sentence carries no citation" in feedback
    assert table.events("code_run") == []


def test_a_program_without_a_sentence_is_no_answer(table: Table) -> None:
    with pytest.raises(RunEnded):
        table.gate(Solution, "citations", "code")(solution(RIGHT, answer=""))
    assert table.meter.ended is not None
    assert table.meter.ended.outcome == "unanswered"


# --- data at the gate


@pytest.mark.parametrize("schema", [PRICE, Price])
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ('{"format": "json", "text": "{\\"price\\": \\"free\\"}"}', '{"format": "json", "text": "{\\"price\\": 3.5}"}'),
        ('```json\n{"price": "free"}\n```', '```json\n{"price": 3.5}\n```'),
        ("```csv\nprice\nfree\n```", "```csv\nprice\n3.5\n4\n```"),
        ("```yaml\nprice: free\n```", "```yaml\nprice: 3.5\n```"),
        ('{"format": "json", "text": "{"}', '{"format": "json", "text": "[{\\"price\\": 3.5}]"}'),
    ],
)
def test_data_goes_back_with_its_faults_and_passes_when_they_are_mended(
    table: Table, schema: Schema, wrong: str, right: str
) -> None:
    gate = table.gate(Data, "data", schema=schema)
    passed, feedback = gate(wrong)
    assert not passed
    assert "expected" in feedback or "no valid JSON" in feedback
    assert "$" in feedback
    passed, result = gate(right)
    assert passed, result
    assert set(json.loads(result)) == {"format", "text"}
    assert isinstance(table.evidence.results["task"], Data)


def test_data_that_stays_wrong_is_rejected_with_the_path(table: Table) -> None:
    with pytest.raises(RunEnded):
        table.gate(Data, "data", schema=PRICE, rounds=0)('```json\n{"price": "free"}\n```')
    assert table.meter.ended is not None
    assert "$.price" in table.meter.ended.reason
    assert 'found "free", expected number' in table.meter.ended.reason


def test_a_class_of_ones_own_is_held_against_the_schema(table: Table) -> None:
    schema = {"type": "object", "properties": {"price": {"type": "number", "maximum": 10}}}
    gate = table.gate(Price, "data", schema=schema)
    passed, feedback = gate('{"price": 12}')
    assert not passed
    assert "$.price" in feedback
    assert "at most 10" in feedback
    assert gate('It costs {"price": 3.5}.') == (True, '{"price":3.5}')
    with pytest.raises(RunEnded):
        gate('{"price": "free"}')
    assert table.meter.ended is not None
    assert "not the Price asked for: price: Input should be a valid number" in table.meter.ended.reason


# --- whole runs


MODELS = """
from pydantic import BaseModel

class Fault(BaseModel):
    requests: int
"""


def answer_with(turn: Turn, code: str, tests: str = TESTS) -> str:
    made = good(turn)
    assert isinstance(made, Explanation)
    return json.dumps(made.model_dump() | {"code": code, "tests": tests})


@pytest.fixture
def solving(project: Path) -> Path:
    """The last task returns a Solution whose code is checked."""
    tasks = project / "config" / "tasks.yaml"
    last = {"output_pydantic": "Solution", "checks": ["citations", "code"]}
    change(tasks, lambda tree: tree["explain"].update(last))
    return project


def test_a_run_whose_code_is_mended_is_accepted_and_shows_it(
    solving: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[Turn] = []

    def play(turn: Turn) -> Any:
        if turn.task != "explain":
            return good(turn)
        tried.append(turn)
        return answer_with(turn, WRONG if len(tried) == 1 else RIGHT)

    scripted(play)
    settings = load(solving)
    result = run_crew(QUESTION, settings=settings)
    assert result.outcome == "accepted", result.reason
    assert result.answer is not None
    assert result.answer.endswith(f"```python\n{RIGHT}\n```")
    assert result.reason.endswith("; the code passed 1 test")
    assert result.as_json()["results"] == {"explain": {"code": RIGHT, "tests": TESTS}}
    assert result.folder is not None
    assert f"```python\n{RIGHT}\n```" in (result.folder / "answer.md").read_text("utf-8")
    assert "the tests failed on line 1: AssertionError" in str(tried[1].messages)
    assert [e.facts["outcome"] for e in events_of(settings) if e.kind == "code_run"] == ["failed", "passed"]
    monkeypatch.chdir(solving)
    assert cli.invoke(["show", "last"]) == 0
    shown = capsys.readouterr().out
    assert "code_run" in shown
    assert "outcome=passed" in shown


def test_a_run_whose_code_stays_wrong_is_rejected_and_names_the_line(solving: Path, scripted: Any) -> None:
    scripted(lambda turn: answer_with(turn, WRONG) if turn.task == "explain" else good(turn))
    result = run_crew(QUESTION, settings=load(solving))
    assert (result.outcome, result.exit_code, result.answer) == ("rejected", 1, None)
    assert result.unsupported[0]["sentence"] == TESTS
    assert result.unsupported[0]["reason"].startswith("the tests failed on line 1")


def test_code_without_a_test_is_accepted_and_the_reason_says_so(solving: Path, scripted: Any) -> None:
    scripted(lambda turn: answer_with(turn, RIGHT, "") if turn.task == "explain" else good(turn))
    result = run_crew(QUESTION, settings=load(solving))
    assert (result.outcome, result.reason.rpartition("; ")[2]) == ("accepted", "the code ran, without a test")


def test_run_python_is_used_before_the_solution_is_given(solving: Path, scripted: Any) -> None:
    change(solving / "config" / "agents.yaml", lambda tree: tree["explainer"].update(tools=["run_python"]))
    seen: list[Any] = []

    def play(turn: Turn) -> Any:
        if turn.task != "explain":
            return good(turn)
        results = [m for m in turn.messages if m["role"] == "tool"]
        if not results:
            return calls(
                ("run_python", {"code": WRONG, "tests": TESTS}), ("run_python", {"code": RIGHT, "tests": TESTS})
            )
        seen.extend(json.loads(unfence(m["content"])) for m in results)
        return answer_with(turn, RIGHT)

    scripted(play)
    result = run_crew(QUESTION, settings=load(solving))
    assert result.outcome == "accepted", result.reason
    assert [run["outcome"] for run in seen] == ["failed", "passed"]
    assert "AssertionError" in seen[0]["reason"]


def with_data_task(project: Path, output: str, data: str) -> None:
    """A task between verify and explain whose data are checked, by an agent that can check them before."""
    extract = {
        "description": "How many requests does one fault make? {question}", "expected_output": "JSON of that number.",
        "agent": "extractor", "context": ["verify"], "output_pydantic": output, "checks": ["data"], "data": data,
    }  # fmt: skip
    agent = {
        "role": "Extractor", "goal": "Numbers.", "backstory": "You copy numbers.", "tools": ["check_data"],
        "max_iter": 4, "max_execution_time": 60,
    }  # fmt: skip
    change(project / "config" / "agents.yaml", lambda tree: tree.update(extractor=agent))

    def put_between(tree: dict[str, Any]) -> None:
        last = tree.pop("explain")
        tree.update(extract=extract, explain=last)

    change(project / "config" / "tasks.yaml", put_between)


def run_extracting(project: Path, scripted: Any, *answers: Any) -> tuple[Result, list[Turn]]:
    """A run in which the extractor gives these answers one after the other."""
    turns: list[Turn] = []

    def play(turn: Turn) -> Any:
        if turn.task != "extract":
            return good(turn)
        turns.append(turn)
        return answers[len(turns) - 1]

    scripted(play)
    return run_crew(QUESTION, settings=load(project)), turns


def test_data_in_the_middle_of_a_crew_is_checked_by_the_agent_and_then_by_the_gate(
    project: Path, scripted: Any
) -> None:
    schema = {"type": "object", "required": ["requests"], "properties": {"requests": {"type": "integer"}}}
    (project / "config" / "fault.schema.json").write_text(json.dumps(schema), "utf-8")
    with_data_task(project, "Data", "config/fault.schema.json")
    result, turns = run_extracting(
        project, scripted,
        calls(("check_data", {"text": '{"requests": "27"}'})),
        '```json\n{"requests": "27"}\n```',
        '```json\n{"requests": 27}\n```',
    )  # fmt: skip
    assert result.outcome == "accepted", result.reason
    told = json.loads(unfence(next(m["content"] for m in turns[1].messages if m["role"] == "tool")))
    assert result.as_json()["results"]["extract"] == {"format": "json", "text": '{"requests": 27}'}
    assert result.folder is not None
    assert '```json\n{"requests": 27}\n```' in (result.folder / "answer.md").read_text("utf-8")
    assert told == {"valid": False, "faults": ['$.requests: found "27", expected integer']}
    assert 'found "27", expected integer: $.requests' in str(turns[2].messages)


def test_a_class_and_a_model_of_ones_own_serve_in_the_middle_of_a_crew(
    project: Path, scripted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gate_models.py").write_text(MODELS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with_data_task(project, "gate_models:Fault", "gate_models:Fault")
    try:
        result, turns = run_extracting(project, scripted, '{"requests": "many"}', '{"requests": 27}')
    finally:
        sys.modules.pop("gate_models", None)
    assert result.outcome == "accepted", result.reason
    assert "not the Fault asked for: requests: Input should be a valid integer" in str(turns[1].messages)


def test_data_that_stay_wrong_end_the_run_before_the_next_task(project: Path, scripted: Any) -> None:
    (project / "price.json").write_text(json.dumps(PRICE), "utf-8")
    with_data_task(project, "Data", "price.json")
    result, turns = run_extracting(project, scripted, *['```json\n{"price": "free"}\n```'] * 2)
    assert (result.outcome, len(turns)) == ("rejected", 2)
    assert "$.price" in result.reason
    assert not [e for e in events_of(load(project)) if e.facts.get("task") == "explain"]
