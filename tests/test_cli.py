"""The command line: exit codes, one clear line and a hint for whatever is wrong, data on stdout and talk on stderr."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pilotage import cli
from pilotage.cli_record import OUTCOMES
from pilotage.outcome import EXIT_CODES, Result
from pilotage.record.audit import audit
from pilotage.record.journal import list_runs, read_events
from pilotage.record.store import open_store
from pilotage.run import run_crew
from tests.support.server import serve

QUESTION = "How many requests can one fault make when retries are nested?"
COMMANDS = [
    "run", "resume", "fork", "compare", "cache", "cost", "eval", "sessions", "show", "export", "audit", "loops",
    "index", "page", "check-code", "check-data", "grade", "doctor", "replay", "alerts",
]  # fmt: skip
ARGUMENTS = {
    "resume": ["last"], "fork": ["last", "--at", "1"], "compare": ["last", "last"], "cache": ["list"],
    "alerts": ["test"], "show": ["last"], "loops": ["--run", "last"], "export": ["last", "--jsonl"],
    "page": ["https://example.org/"], "check-code": ["code.py"],
    "check-data": ["data.json", "--schema", "schema.json"], "grade": ["claims.jsonl"],
}  # fmt: skip
IN_A_PROJECT = [command for command in COMMANDS if command != "grade"]  # which grades a file anywhere
ROOT = Path(__file__).parent.parent


class Shell:
    """`shell("run", "…")` in the project; what came of it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str) -> Shell:
        self.code = cli.invoke(list(arguments))
        self.out, self.err = self.capsys.readouterr()
        return self

    def refused(self, code: int, said: str) -> None:
        """Ended with one error line, a hint, and nothing on stdout."""
        assert self.code == code, (self.code, self.out, self.err)
        assert self.out == ""
        lines = self.err.strip().splitlines()
        assert lines[-2].startswith("error: "), self.err
        assert lines[-1].startswith("hint: "), self.err
        assert len(lines[-1]) > len("hint: ")
        assert said in lines[-2], self.err
        assert "Traceback" not in self.err


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], project: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(project)
    monkeypatch.setattr("os.environ", dict(os.environ))
    return Shell(capsys)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A project with one recorded run."""
    from pilotage.settings import load
    from tests.conftest import lay_out

    root = tmp_path_factory.mktemp("recorded")
    lay_out(root)
    return root, run_crew(QUESTION, settings=load(root))


@pytest.fixture
def after_a_run(shell: Shell, recorded: tuple[Path, Result], project: Path) -> Result:
    shutil.copytree(recorded[0] / "runs", project / "runs")
    return recorded[1]


# --- run


def test_run_prints_the_answer_and_ends_with_the_outcome(shell: Shell) -> None:
    shell("run", QUESTION)
    assert shell.code == 0
    assert "27 requests" in shell.out
    assert "retries.md#" in shell.out
    assert shell.out.strip().splitlines()[-1].startswith("outcome: accepted · 1 citation · ")
    assert "built-in reader" in shell.err
    assert "built-in reader" not in shell.out


def test_run_json_is_the_document_of_result_json_and_nothing_else(shell: Shell, project: Path) -> None:
    shell("run", QUESTION, "--json")
    document = json.loads(shell.out)
    assert document == json.loads((project / "runs" / document["run"] / "result.json").read_text("utf-8"))
    assert list(document) == [
        "run", "question", "outcome", "reason", "answer", "citations", "unsupported", "unsure",
        "seconds", "tokens", "usd", "parent", "seal",
    ]  # fmt: skip
    assert [set(c) for c in document["citations"]] == [{"n", "source", "quote", "where"}]
    assert document["question"] == QUESTION


def test_run_without_a_question_takes_the_one_of_the_settings(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "QUESTION", "Who won the chess championship of 1972?")
    shell("run", "--json")
    assert json.loads(shell.out)["question"] == "Who won the chess championship of 1972?"
    assert (shell.code, json.loads(shell.out)["outcome"]) == (0, "unanswered")


def test_a_limited_run_exits_with_3_and_a_hint_that_names_the_key(shell: Shell) -> None:
    shell("run", QUESTION, "--set", "limits.model_calls=2")
    assert shell.code == 3
    assert "outcome: limited" in shell.out
    assert "limits.model_calls" in shell.err.strip().splitlines()[-1]


@pytest.mark.parametrize("question", ["", "   ", "\n\t"])
def test_an_empty_question_is_refused(shell: Shell, question: str, project: Path) -> None:
    shell("run", question).refused(2, "There is no question")
    assert not (project / "runs").exists()


def test_no_question_anywhere_is_refused(shell: Shell, project: Path) -> None:
    (project / "config" / "pilotage.yaml").write_text("", "utf-8")
    shell("run").refused(2, "There is no question")


def test_a_question_of_100_kb_is_refused_before_anything_starts(shell: Shell, project: Path) -> None:
    shell("run", "why " * 25_600).refused(2, "102,399 characters against the limit of 8,000 (limits.question_chars)")
    assert not (project / "runs").exists()


@pytest.mark.parametrize("question", ["Who owns caf\udce9 retries?", "What does \ud83d mean?"])
def test_a_question_that_is_no_valid_unicode_is_refused_or_answered(shell: Shell, question: str) -> None:
    assert shell("run", question).code in (0, 2)


def test_a_missing_knowledge_folder_is_refused(shell: Shell, project: Path) -> None:
    shutil.rmtree(project / "knowledge")
    shell("run", QUESTION).refused(2, "knowledge does not exist")
    assert "--knowledge" in shell.err


@pytest.mark.parametrize("command", [["run", QUESTION], ["index"]])
def test_an_empty_knowledge_folder_is_refused(shell: Shell, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    shell(*command, "--knowledge", str(tmp_path / "empty")).refused(2, "no readable document")


def test_a_file_as_knowledge_folder_is_refused(shell: Shell, project: Path) -> None:
    shell("run", QUESTION, "--knowledge", "knowledge/retries.md").refused(2, "is a file, not a folder")


def test_a_folder_of_binary_files_is_refused_and_the_file_named(shell: Shell, project: Path) -> None:
    (project / "knowledge" / "retries.md").write_bytes(bytes(range(256)) * 40)
    shell("run", QUESTION).refused(2, "retries.md: binary")


def test_index_names_the_file_that_it_skips(shell: Shell, project: Path) -> None:
    (project / "knowledge" / "picture.md").write_bytes(b"\x89PNG\0\0" * 100)
    shell("index")
    assert shell.code == 0
    assert "warning: skipped picture.md: binary" in shell.err
    assert shell.out == ""


def test_run_names_the_file_that_it_skips(shell: Shell, project: Path) -> None:
    (project / "knowledge" / "picture.md").write_bytes(b"\x89PNG\0\0" * 100)
    shell("run", QUESTION)
    assert "picture.md" in shell.err


@pytest.mark.parametrize("command", IN_A_PROJECT)
def test_invalid_yaml_is_named_with_its_line_by_every_command(shell: Shell, project: Path, command: str) -> None:
    (project / "config" / "pilotage.yaml").write_text("question: a\nlimits: [", "utf-8")
    arguments = ARGUMENTS.get(command, [])
    shell(command, *arguments).refused(2, "config/pilotage.yaml:2: not valid YAML")


@pytest.mark.parametrize("command", IN_A_PROJECT)
def test_outside_of_a_project_every_command_says_so(
    shell: Shell, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ARGUMENTS.get(command, [])
    shell(command, *arguments).refused(2, "No config/pilotage.yaml")


@pytest.mark.parametrize(
    ("model", "variable"),
    [("openai/gpt-4o-mini", "OPENAI_API_KEY"), ("anthropic/claude-haiku-4-5", "ANTHROPIC_API_KEY"),
     ("gemini/gemini-2.5-flash", "GEMINI_API_KEY"), ("gpt-4o", "OPENAI_API_KEY")],
)  # fmt: skip
def test_no_key_for_the_chosen_provider_names_the_variable(shell: Shell, model: str, variable: str) -> None:
    shell("run", QUESTION, "--set", f"model.name={model}").refused(2, f"No key for the model {model}")
    assert f"put {variable}=... into .env" in shell.err


def test_a_key_variable_that_is_not_set_is_named(shell: Shell) -> None:
    shell("run", QUESTION, "--set", "model.name=openai/x", "--set", "model.api_key_env=MY_KEY").refused(2, "MY_KEY")


def test_a_key_variable_named_by_the_environment_is_named_too(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PILOTAGE_MODEL_API_KEY_ENV", "MY_SERVER_KEY")
    shell("run", QUESTION, "--set", "model.name=openai/x").refused(2, "MY_SERVER_KEY")


def test_an_error_line_holds_no_key(shell: Shell) -> None:
    key = "sk-test-0123456789abcdefghij"
    shell("run", QUESTION, "--set", key).refused(2, "--set takes KEY=VALUE")
    assert key not in shell.err


@pytest.mark.parametrize(
    ("pair", "said"),
    [("limits.second=5", 'Unknown setting "limits.second"'), ("limits.seconds=soon", "limits.seconds"),
     ("nonsense", "--set takes KEY=VALUE"), ("=5", "Unknown setting"), ("agents.nobody.max_iter=3", "Unknown setting")],
)  # fmt: skip
def test_a_wrong_set_is_refused(shell: Shell, pair: str, said: str) -> None:
    shell("run", QUESTION, "--set", pair).refused(2, said)


def test_a_crew_that_cannot_be_found_is_refused(shell: Shell) -> None:
    shell("run", QUESTION, "--set", "crew=my_crew.nowhere:crew").refused(2, "my_crew.nowhere")


def test_a_file_in_the_place_of_the_runs_folder_is_named(shell: Shell, project: Path) -> None:
    (project / "runs").write_text("in the way")
    shell("run", QUESTION).refused(4, "cannot be written")


def test_a_runs_folder_that_may_not_be_written_is_named(shell: Shell, project: Path) -> None:
    (project / "runs").mkdir()
    (project / "runs").chmod(0o500)
    if os.access(project / "runs", os.W_OK):
        pytest.skip("this user may write everywhere")
    shell("run", QUESTION).refused(4, "cannot be written")


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["nonsense"], ["run", "a", "b"], ["show"], ["eval", "--at-least", "2"]]
)
def test_wrong_usage_exits_with_2_and_talks_on_stderr(shell: Shell, arguments: list[str]) -> None:
    shell(*arguments)
    assert shell.code == 2
    assert shell.out == ""
    assert "Error" in shell.err


# --- the recorded runs


@pytest.mark.parametrize("command", [["show", "last"], ["audit", "last"], ["export", "last", "--jsonl"]])
def test_before_the_first_run_no_run_can_be_named(shell: Shell, command: list[str], project: Path) -> None:
    shell(*command).refused(2, "no runs yet")
    assert not (project / "runs").exists()


@pytest.mark.parametrize("command", [["sessions"], ["audit"]])
def test_before_the_first_run_there_is_nothing_to_list(shell: Shell, command: list[str], project: Path) -> None:
    shell(*command)
    assert (shell.code, shell.out, shell.err.strip()) == (0, "", "no runs yet")
    assert not (project / "runs").exists()


@pytest.mark.parametrize("command", [["show", "2019"], ["audit", "2019"], ["export", "2019", "--jsonl"]])
def test_an_unknown_run_is_refused(shell: Shell, after_a_run: Result, command: list[str]) -> None:
    shell(*command).refused(2, 'No run begins with "2019"')


@pytest.mark.parametrize("command", [["sessions"], ["show", "last"], ["audit"], ["export", "last", "--jsonl"]])
def test_a_journal_that_is_no_database_is_named(shell: Shell, project: Path, command: list[str]) -> None:
    (project / "runs").mkdir()
    (project / "runs" / "pilotage.sqlite").write_bytes(b"no database at all, only words\n" * 200)
    assert shell(*command).code == 4


@pytest.mark.parametrize("command", [["sessions"], ["audit"]])
def test_an_empty_journal_file_is_named(shell: Shell, project: Path, command: list[str]) -> None:
    (project / "runs").mkdir()
    (project / "runs" / "pilotage.sqlite").touch()
    assert shell(*command).code in (0, 4)


def test_sessions_lists_the_run(shell: Shell, after_a_run: Result) -> None:
    (line,) = shell("sessions").out.splitlines()
    assert shell.code == 0
    assert all(part in line for part in (after_a_run.run, "accepted", "reader", QUESTION))


def test_an_outcome_that_no_run_has_is_refused_with_the_nearest(shell: Shell, after_a_run: Result) -> None:
    shell("sessions", "--outcome", "acepted").refused(2, 'no run ends as "acepted"')
    assert 'did you mean "accepted"?' in shell.err


def test_every_outcome_can_be_asked_for(shell: Shell, after_a_run: Result) -> None:
    assert set(EXIT_CODES) < set(OUTCOMES)
    for outcome in OUTCOMES:
        assert shell("sessions", "--outcome", outcome).code == 0
        assert bool(shell.out) == (outcome == "accepted")


def test_a_limit_beyond_reason_is_refused(shell: Shell, after_a_run: Result) -> None:
    shell("sessions", "--limit", "100000000000000000000")
    assert (shell.code, shell.out, "Traceback" in shell.err) == (2, "", False)


def test_what_was_asked_cannot_move_the_cursor_of_who_looks(shell: Shell) -> None:
    shell("run", "How many requests can one fault\x1b[2J\x9b1m make?")
    shell("sessions")
    assert "one fault·[2J·1m make?" in shell.out
    shown = shell.out + shell("show", "last").out
    assert all(line.isprintable() for line in shown.splitlines())
    assert "\x1b" not in shell("show", "\x1b[31mlast").err


def test_the_session_line_is_the_command_that_serves_it(shell: Shell) -> None:
    shell("run", QUESTION)
    (line,) = [line for line in shell.err.splitlines() if line.startswith("session: ")]
    assert line == f"session: pilotage replay {shell.out.strip().rsplit('/', 1)[1]}"


def test_sessions_json_is_one_document_a_line(shell: Shell, after_a_run: Result) -> None:
    (row,) = [json.loads(line) for line in shell("sessions", "--json").out.splitlines()]
    assert (row["run"], row["outcome"], row["seal"]) == (after_a_run.run, "accepted", after_a_run.seal)


def test_show_prints_every_event(shell: Shell, after_a_run: Result, project: Path) -> None:
    out = shell("show", "last").out
    events = list(read_events(open_store(project / "runs" / "pilotage.sqlite", create=False), after_a_run.run))
    assert shell.code == 0
    assert len(events) > 10
    assert all(f"{event.seq:>4}  " in out for event in events)
    for kind in ("run_started", "task_started", "model_call", "tool_call", "check", "decision", "run_ended"):
        assert kind in out


@pytest.mark.parametrize("command", [["show", "last", "--json"], ["export", "last", "--jsonl"]])
def test_show_json_and_export_give_events_whose_hashes_can_be_computed(
    shell: Shell, after_a_run: Result, command: list[str]
) -> None:
    import hashlib

    rows = [json.loads(line) for line in shell(*command).out.splitlines()]
    previous = "0" * 64
    for row in rows:
        parts = [previous, row["run"], row["seq"], row["at"], row["kind"], row["facts"], row["digests"]]
        body = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(body.encode()).hexdigest() == row["hash"]
        for name, content in row["content"].items():
            assert hashlib.sha256(content.encode()).hexdigest() == row["digests"][name]
        previous = row["hash"]
    assert previous == after_a_run.seal


def test_export_is_json_lines_without_being_told(shell: Shell, after_a_run: Result) -> None:
    told = shell("export", "last", "--jsonl").out
    assert told
    assert shell("export", "last").out == told


def test_audit_of_a_whole_chain_exits_with_0(shell: Shell, after_a_run: Result) -> None:
    assert shell("audit").code == 0
    assert f"{after_a_run.run}: whole" in shell.out
    assert json.loads(shell("audit", "last", "--json").out)["ok"] is True


@pytest.mark.parametrize(
    ("damage", "broken"),
    [
        ("update events set facts = '{}' where seq = 3", 3),
        ("delete from events where seq = 5", 5),
        ("update payloads set body = x'00' where digest = :question", 1),
    ],
)
@pytest.mark.parametrize("name", [[], ["last"]])
def test_audit_of_a_broken_chain_exits_with_1_and_names_the_event(
    shell: Shell, after_a_run: Result, project: Path, damage: str, broken: int, name: list[str]
) -> None:
    engine = open_store(project / "runs" / "pilotage.sqlite", create=False)
    question = next(iter(read_events(engine, after_a_run.run))).digests["question"]
    with engine.begin() as connection:
        values = {"question": question} if ":question" in damage else {}
        assert connection.execute(text(damage), values).rowcount == 1
    engine.dispose()
    assert shell("audit", *name).code == 1
    assert f"{after_a_run.run}: BROKEN at event {broken}: " in shell.out
    report = json.loads(shell("audit", *name, "--json").out)
    assert (report["ok"], report["broken"]) == (False, broken)


def test_audit_sees_a_result_json_with_another_seal(shell: Shell, after_a_run: Result, project: Path) -> None:
    path = project / "runs" / after_a_run.run / "result.json"
    path.write_text(path.read_text("utf-8").replace(after_a_run.seal, "0" * 64), "utf-8")
    assert shell("audit", "last").code == 1
    assert "seal" in shell.out


# --- eval, doctor, help


def test_eval_json_is_one_scorecard_and_out_holds_a_line_per_question(shell: Shell, tmp_path: Path) -> None:
    rows = [{"id": "a", "question": QUESTION, "answer": "27 requests"}, {"id": "b", "question": "Who won at chess?"}]
    (tmp_path / "q.jsonl").write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    shell("eval", "--questions", str(tmp_path / "q.jsonl"), "--out", str(tmp_path / "out.jsonl"), "--json")
    assert shell.code == 0
    card = json.loads(shell.out)
    assert (card["questions"], card["judged"], card["right"]) == (2, 1, 1.0)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [(row["id"], row["outcome"]) for row in lines] == [("a", "accepted"), ("b", "unanswered")]


def test_eval_below_the_share_asked_for_exits_with_1(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": QUESTION, "answer": "28 requests"}), "utf-8")
    assert shell("eval", "--questions", str(tmp_path / "q.jsonl"), "--at-least", "0.5").code == 1


def test_eval_of_a_missing_file_is_refused(shell: Shell) -> None:
    shell("eval", "--questions", "none.jsonl").refused(2, "none.jsonl cannot be read")


def test_eval_into_a_folder_that_is_not_there_is_refused(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": QUESTION}), "utf-8")
    assert shell("eval", "--questions", str(tmp_path / "q.jsonl"), "--out", "no/such/folder/x.jsonl").code == 2


def test_doctor_shows_each_value_with_its_origin_and_no_key(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "OPENAI_API_KEY", "sk-test-0123456789abcdefghij")
    shell("doctor", "--set", "limits.seconds=7", "--json")
    report = json.loads(shell.out)
    assert (shell.code, report["ok"]) == (0, True)
    assert {"key": "limits.seconds", "value": 7.0, "from": "--set limits.seconds"} in report["settings"]
    assert report["keys"]["OPENAI_API_KEY"] is True
    assert "sk-test" not in shell.out
    assert "a run can start" in shell("doctor").out


def test_doctor_shows_databases_and_rules_without_their_secrets(shell: Shell, project: Path) -> None:
    (project / "shop.sqlite").touch()
    settings = [
        "databases={shop: {url: 'sqlite:///shop.sqlite'}}", "policy.tools={read_page: {calls: 3}}",
        "services={rates: {description: d, url: 'https://u.example.org/', headers: {X: 'Bearer abc12345678'}}}",
        "policy.agents={verifier: []}",
    ]  # fmt: skip
    arguments = [part for setting in settings for part in ("--set", setting)]
    report = json.loads(shell("doctor", "--json", *arguments).out)
    values = {row["key"]: row["value"] for row in report["settings"]}
    assert values["policy.tools"] == {"read_page": {"calls": 3}}
    assert report["tools"]["verifier"] == ["read_source (denied: policy.agents.verifier)"]
    assert "abc12345678" not in shell.out
    assert "a run can start" in shell("doctor", *arguments).out


def test_a_fault_in_a_table_of_settings_is_named_with_its_line(shell: Shell, project: Path) -> None:
    config = project / "config" / "pilotage.yaml"
    text = config.read_text("utf-8").replace("  agents: {}", "  agents:\n    reseacher: [today]")
    config.write_text(text, "utf-8")
    line = text[: text.index("    reseacher")].count("\n") + 1
    shell("run", QUESTION).refused(2, f'config/pilotage.yaml:{line}: policy.agents: there is no "reseacher"')


def test_doctor_says_why_a_run_cannot_start(shell: Shell, project: Path) -> None:
    shutil.rmtree(project / "knowledge")
    shell("doctor", "--set", "model.name=openai/gpt-4o")
    assert shell.code == 2
    assert "a run cannot start" in shell.out
    assert "OPENAI_API_KEY" in shell.out
    assert "no folder knowledge" in shell.out


def test_the_commands_tested_here_are_all_there_are() -> None:
    names = [c.name or (c.callback.__name__ if c.callback else "") for c in cli.app.registered_commands]
    names += [str(group.name) for group in cli.app.registered_groups]
    assert sorted(names) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_holds_an_example(shell: Shell, command: str) -> None:
    shell(command, "--help")
    assert shell.code == 0
    assert f"Example: pilotage {command}" in shell.out
    assert shell.err == ""


def python(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=25, check=False
    )


def test_light_commands_do_not_import_crewai(shell: Shell, after_a_run: Result, project: Path) -> None:
    """One process for all of them, for it is the sum that must not hold it."""
    script = (
        "import sys; from pilotage import cli\n"
        "for arguments in (['--help'], ['run', '--help'], ['sessions'], ['show', 'last'], ['audit'],\n"
        "                  ['export', 'last', '--jsonl'], ['doctor']):\n"
        "    assert cli.invoke(arguments) == 0, arguments\n"
        "    heavy = {'crewai', 'crewai_tools', 'agentops', 'litellm', 'openai', 'onnxruntime'} & set(sys.modules)\n"
        "    assert not heavy, (arguments, heavy)\n"
    )
    done = python("-c", script, cwd=project)
    assert done.returncode == 0, done.stderr


def test_a_closed_pipe_is_no_fault(after_a_run: Result, project: Path) -> None:
    script = "from pilotage.cli import main; main(['show', 'last'])"
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    process.wait(20)
    assert "Traceback" not in err
    assert process.returncode == 0


CLOSED = """
import os, sys
{closing}
os.execv(sys.executable, [sys.executable, "-m", "pilotage", *sys.argv[1:]])
"""


@pytest.mark.parametrize("closed", [(2,), (1,), (0, 1, 2)])
def test_a_run_does_not_need_its_streams(project: Path, closed: tuple[int, ...]) -> None:
    script = CLOSED.format(closing="; ".join(f"os.close({number})" for number in closed))
    done = python("-c", script, "run", QUESTION, "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    out = [line for line in done.stdout.splitlines() if line]
    assert [json.loads(line)["outcome"] for line in out] == ([] if 1 in closed else ["accepted"])
    assert "Traceback" not in done.stderr
    engine = open_store(project / "runs" / "pilotage.sqlite", create=False)
    (row,) = list_runs(engine)
    assert (row["outcome"], audit(engine, row["run"]).ok) == ("accepted", True)
    engine.dispose()


BROKEN = """
import os, sys
read, write = os.pipe()
os.close(read)
for number in {numbers}:
    os.dup2(write, number)
os.execv(sys.executable, [sys.executable, "-m", "pilotage", *sys.argv[1:]])
"""


@pytest.mark.parametrize(
    ("numbers", "arguments", "code"),
    [((2,), ["--json"], 0), ((1,), [], 0), ((1, 2), [], 0), ((1, 2), ["--set", "limits.model_calls=2"], 3)],
)
def test_the_exit_code_is_the_outcome_though_nobody_reads(
    project: Path, numbers: tuple[int, ...], arguments: list[str], code: int
) -> None:
    done = python("-c", BROKEN.format(numbers=numbers), "run", QUESTION, *arguments, cwd=project)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Error" not in done.stderr
    if 1 not in numbers:
        assert [json.loads(line)["outcome"] for line in done.stdout.splitlines()] == ["accepted"]
    engine = open_store(project / "runs" / "pilotage.sqlite", create=False)
    (row,) = list_runs(engine)
    expected = {0: ("accepted", 5), 3: ("limited", 2)}  # five calls when all is read, too
    assert (row["outcome"], row["model_calls"]) == expected[code]
    engine.dispose()


# --- signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_ends_the_run_with_its_journal_whole(
    project: Path, number: signal.Signals, code: int
) -> None:
    asked = threading.Event()

    def hang(_request: dict[str, Any]) -> Any:
        asked.set()
        return 20.0

    script = "from pilotage.cli import main; main()"
    with serve(hang) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", script, "run", QUESTION, "--set", "model.name=openai/local-model",
             "--set", f"model.base_url={server.url}"],
            cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert asked.wait(25), "the run never reached its model"
            began = time.monotonic()
            process.send_signal(number)
            out, err = process.communicate(timeout=15)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == code, (out, err)
    assert time.monotonic() - began < 5
    assert "outcome: interrupted" in out.strip().splitlines()[-1]
    assert "Traceback" not in err
    engine = open_store(project / "runs" / "pilotage.sqlite", create=False)
    (row,) = list_runs(engine)
    result = json.loads((project / "runs" / row["run"] / "result.json").read_text("utf-8"))
    assert row["outcome"] == result["outcome"] == "interrupted"
    assert f"stopped by {number.name}" in result["reason"]
    report = audit(engine, row["run"], result["seal"])
    assert report.ok, report
    assert next(reversed(list(read_events(engine, row["run"])))).kind == "run_ended"
    engine.dispose()


def test_ctrl_c_before_a_run_began_exits_with_130(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pilotage.run.run_crew", interrupted)
    assert shell("run", QUESTION).code == 130
    assert "Traceback" not in shell.err


def test_ctrl_c_before_a_run_began_says_so(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pilotage.run.run_crew", interrupted)
    assert shell("run", QUESTION).err.strip().splitlines()[-1] == "interrupted"


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("tools.py", "from pilotage import tool\n\n@tool\ndef today(() -> str:\n", 4),
        ("tools.py", "import pilotage\nfrom pilotage import toll\n", 2),
        ("crew.py", "def crew(kit):\n    return kit.agnts()\n", 2),
        ("crew.py", "def crew(kit):\n    return Crw()\n", 2),
    ],
)
def test_a_fault_in_the_users_python_is_one_line_with_its_place(
    shell: Shell, project: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, line: int
) -> None:
    package = project / "src" / f"user_{abs(hash((file, text)))}"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / file).write_text(text, "utf-8")
    monkeypatch.syspath_prepend(str(project / "src"))
    key, attribute = ("tools", "") if file == "tools.py" else ("crew", ":crew")
    module = f"{package.name}.{file.removesuffix('.py')}{attribute}"
    shell("run", QUESTION, "--set", f"{key}={module}").refused(2, f"src/{package.name}/{file}:{line}: ")


def test_a_large_folder_is_answered_and_ended_cleanly_before_its_vectors_are_made(project: Path) -> None:
    """The thread that makes vectors is stopped before the interpreter ends: inside onnxruntime it would abort it."""
    for number in range(400):
        lines = [f"Station {number}-{n} has a pump that uses {n * 7 + number} litres of oil a day." for n in range(10)]
        (project / "knowledge" / f"{number}.md").write_text(f"# Station {number}\n\n" + "\n\n".join(lines), "utf-8")
    command = [sys.executable, "-m", "pilotage", "run", "How much oil does the pump of station 123-4 use?"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert "terminate" not in done.stderr
    assert "sentences have no vector yet" in done.stderr
