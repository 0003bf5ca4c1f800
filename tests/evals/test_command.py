"""`pilotage eval` and `crewai test` as commands: what they print, what they keep, and the exit code that gates CI."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotage.cli import invoke
from pilotage.cli_eval import CREWAI_TEST_MODEL, crewai_test
from pilotage.evals import asking
from tests.conftest import ROOT
from tests.evals.made import ended

ROWS = [
    {
        "id": "nested",
        "question": "How many requests can one fault make when retries are nested?",
        "answer": "27 requests",
    },
    {
        "id": "chess",
        "kind": "off-topic",
        "question": "Who won the chess championship of 1972?",
        "outcome": "unanswered",
    },
]
Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shell(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """`shell("--times", "2")` runs `pilotage eval` in a project whose golden questions are ROWS."""
    monkeypatch.chdir(project)
    keep(project / "tests" / "evals" / "golden.jsonl", ROWS)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = invoke(["eval", *arguments])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """By a word of the question, the result of every run; no crew is started."""
    script: dict[str, Any] = {}

    class Scripted:
        redactor = knowledge = engine = property(lambda self: self)
        text = staticmethod(str)

        def __init__(self, *_: object, **__: object) -> None: ...

        def answer(self, question: str, **_: object) -> Any:
            return next(result for word, result in script.items() if word in question)

        def passage(self, _source: str) -> Any:
            return type("Passage", (), {"text": "one fault makes 27 requests."})

        def close(self) -> None: ...

    monkeypatch.setattr(asking, "Runner", Scripted)
    return script


def keep(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")


RIGHT = ended("accepted", "one fault makes 27 requests.")


def test_the_golden_questions_are_asked_and_told_with_their_intervals(shell: Shell) -> None:
    code, out, err = shell("--times", "2", "--out", "out.jsonl")
    assert code == 0
    assert "2 × 2 = 4 runs" in out
    assert "right               100.0% [34.2, 100.0] of 4" in out
    assert "pass^2" in out
    assert "built-in reader" in err
    assert len(Path("out.jsonl").read_text("utf-8").splitlines()) == 4


def test_json_is_one_document_and_markdown_a_table(shell: Shell, answers: dict[str, Any]) -> None:
    answers |= {"fault": RIGHT, "chess": ended("unanswered")}
    for arguments in (["--json"], ["--format", "json"], ["--json", "--format", "markdown"]):
        code, out, _ = shell(*arguments)
        card = json.loads(out)
        assert (code, card["questions"], card["judged"], card["right"], card["model"]) == (0, 2, 2, 1.0, "reader")
    assert card["shares"]["right"]["method"] == "wilson"
    assert "| right | 100.0% [34.2, 100.0] of 2 |" in shell("--format", "markdown")[1]
    assert shell("--format", "html")[0] == 2


def test_models_are_told_side_by_side(shell: Shell, answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdefghij")
    answers |= {"fault": RIGHT, "chess": ended("unanswered")}
    code, out, err = shell("--model", "reader", "--model", "openai/x")
    assert (code, out.splitlines()[0].split()) == (0, ["reader", "openai/x"])
    assert "openai/x against reader, 2 questions" in out
    assert "model: reader, openai/x" in err
    document = json.loads(shell("--model", "reader", "--model", "openai/x", "--json")[1])
    assert [card["model"] for card in document["models"]] == ["reader", "openai/x"]
    assert document["comparisons"][0]["paired"] == 2


def test_too_few_right_answers_end_with_1_and_a_line_that_says_it(shell: Shell, answers: dict[str, Any]) -> None:
    answers |= {"fault": ended("unanswered"), "chess": ended("unanswered")}
    assert shell("--at-least", "0.5")[0] == 0
    code, _, err = shell("--at-least", "0.51")
    assert code == 1
    assert "reader: 50.0% of 2 answers are right against the 51.0% asked for (--at-least)" in err


def test_a_significant_drop_against_the_baseline_ends_with_1(shell: Shell, answers: dict[str, Any]) -> None:
    keep(
        Path("q.jsonl"), [{"id": f"q{n}", "question": f"Which fault is number {n}?", "answer": "27"} for n in range(6)]
    )
    answers["number"] = ended("accepted", "one fault makes 27 requests.")
    assert shell("--questions", "q.jsonl", "--save", "base.json")[0] == 0
    assert shell("--questions", "q.jsonl", "--baseline", "base.json")[0] == 0
    answers["number 5"] = answers.pop("number")
    answers["number"] = ended("unanswered")
    code, out, _ = shell("--questions", "q.jsonl", "--baseline", "base.json")
    assert (code, "right: 0 up, 5 down, p = 0.0625 (may be chance)" in out) == (0, True)
    del answers["number 5"]
    code, out, err = shell("--questions", "q.jsonl", "--baseline", "base.json")
    assert code == 1
    assert "right: 0 up, 6 down, p = 0.0312 (more than chance)" in out
    assert "worse: q0 (accepted → unanswered)" in out
    assert "significantly worse than the baseline (reader)" in err
    assert json.loads(shell("--questions", "q.jsonl", "--baseline", "base.json", "--json")[1])["comparisons"][0][
        "is_worse"
    ]


def test_an_interrupted_evaluation_tells_what_was_done_and_keeps_the_old_baseline(
    shell: Shell, answers: dict[str, Any]
) -> None:
    Path("base.json").write_text("old", "utf-8")
    answers |= {"fault": RIGHT, "chess": ended("interrupted", exit_code=143)}
    code, out, err = shell("--save", "base.json", "--at-least", "0.1")
    assert code == 143
    assert "questions           1, interrupted" in out
    assert "base.json stays as it was" in err
    assert Path("base.json").read_text("utf-8") == "old"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--times", "0"], ["--times", "x"], ["--model", "reader", "--model", "reader"], ["--baseline", "none.json"],
        ["--save", "no/folder/base.json"], ["--model", "reader", "--model", "openai/x", "--save", "x.json"],
        ["--tapes", "t", "--times", "2"], ["--tapes", "t", "--model", "reader"], ["--tapes", "t", "--save", "x.json"],
        ["--tapes", "t", "--baseline", "x.json"], ["--tapes", "t", "--out", "x.jsonl"], ["--update"],
        ["--model", "anthropic/claude-haiku-4-5"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_use_is_refused_before_anything_is_asked(
    shell: Shell, answers: dict[str, Any], arguments: list[str]
) -> None:
    code, out, err = shell(*arguments)
    assert (code, out) == (2, "")
    assert "Traceback" not in err


# --- crewai test


def test_crewai_test_is_eval_with_its_number_and_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert crewai_test(["3", "openai/gpt-4o"]) == ["eval", "--times", "3", "--model", "openai/gpt-4o"]
    assert crewai_test(["2"]) == ["eval", "--times", "2"]
    assert crewai_test([]) == ["eval"]
    assert capsys.readouterr().err == ""
    assert crewai_test(["3", CREWAI_TEST_MODEL]) == ["eval", "--times", "3"]
    assert "asking the configured model" in capsys.readouterr().err


def test_the_model_that_nobody_named_is_still_the_one_that_crewai_passes() -> None:
    spec = importlib.util.find_spec("crewai_cli")
    assert spec is not None
    assert spec.submodule_search_locations
    source = (Path(spec.submodule_search_locations[0]) / "cli.py").read_text("utf-8")
    assert f'default="{CREWAI_TEST_MODEL}"' in source.partition("def test(")[0].rpartition("@crewai.command")[2]


def test_crewai_test_runs_the_golden_questions(project: Path) -> None:
    """As a process, the way that a user starts it: CrewAI's command, uv, the script of pyproject.toml."""
    scripts = Path(sys.executable).parent
    if not (scripts / "crewai").exists() or not (scripts / "test").exists():
        pytest.skip("the project's scripts are not installed in this environment")
    assert (
        tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]["test"] == "my_crew.main:test"
    )
    (project / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    keep(project / "tests" / "evals" / "golden.jsonl", ROWS)
    environment = {
        **os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src"),
        "UV_PROJECT_ENVIRONMENT": sys.prefix, "UV_NO_SYNC": "1", "UV_OFFLINE": "1",
    }  # fmt: skip
    done = subprocess.run(
        ["crewai", "test", "-n", "2", "-m", "reader"], cwd=project, env=environment, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert "2 × 2 = 4 runs" in done.stdout, done.stdout + done.stderr
    assert "pass^2              100.0%" in done.stdout


# --- interrupted for real


def test_an_interrupt_prints_the_scorecard_of_what_was_done(project: Path) -> None:
    keep(project / "q.jsonl", ROWS)
    command = [
        sys.executable,
        "-m",
        "pilotage",
        "eval",
        "--questions",
        "q.jsonl",
        "--times",
        "100",
        "--out",
        "out.jsonl",
    ]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        out = project / "out.jsonl"
        while process.poll() is None and not (out.exists() and out.read_text("utf-8").count("\n") >= 2):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said, talk = process.communicate(timeout=30)
    assert process.returncode == 130, talk
    assert "× 100 = " in said
    assert ", interrupted" in said
    assert talk.strip().splitlines()[-1] == "interrupted: the figures are of what was done"
