"""Settings: a mistake is one line with file, line, what was expected and the nearest name; one value, one winner."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pilotage.errors import EXIT_CONFIG, ConfigError
from pilotage.settings import AGENTS, CONFIG, TASKS, Settings, find_root, known_keys
from pilotage.settings import load as load_settings
from pilotage.spec import CapSpec, EngineSpec
from pilotage.tools import build

Load = Callable[..., Settings]


def edit(project: Path, file: str, old: str, new: str) -> int:
    """Replace the first `old` in a file of the project; returns the line where it stood."""
    path = project / file
    text = path.read_text("utf-8")
    assert old in text, f"{file} no longer holds {old!r}"
    path.write_text(text.replace(old, new, 1), "utf-8")
    return text[: text.index(old)].count("\n") + 1


def refused(project: Path, **overrides: str) -> ConfigError:
    pairs = {key.replace("__", "."): value for key, value in overrides.items()}
    with pytest.raises(ConfigError) as caught:
        load_settings(project, pairs)
    assert caught.value.exit_code == EXIT_CONFIG
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """.env is copied into os.environ; here into a copy of it, without the settings of all tests."""
    monkeypatch.setattr("os.environ", {k: v for k, v in os.environ.items() if not k.startswith("PILOTAGE_")})


MISSING_FIRST = "pydantic lists what is missing before what is unknown, and only the first is shown"
MISTAKES = [
    pytest.param(CONFIG, "question:", "questoin:", 'unknown key "questoin"', 'did you mean "question"?', id="pilotage"),
    pytest.param(
        CONFIG, "  seconds: 300", "  secconds: 300", 'unknown key "limits.secconds"', 'did you mean "seconds"?',
        id="pilotage-nested",
    ),
    pytest.param(
        CONFIG, "  passages: 6", "  colour: 6", 'unknown key "evidence.colour"',
        "known: full_passages, knowledge, passages", id="nothing-near-lists-the-names",
    ),
    pytest.param(
        AGENTS, "  tools: [s", "  toolz: [s", 'unknown key "researcher.toolz"', 'did you mean "tools"?', id="agents"
    ),
    pytest.param(
        TASKS, "  checks: [f", "  cheks: [f", 'unknown key "research.cheks"', 'did you mean "checks"?', id="tasks"
    ),
    pytest.param(
        AGENTS, "  max_iter: 6", "  max_itr: 6", 'unknown key "researcher.max_itr"', 'did you mean "max_iter"?',
        id="agents-required",
    ),
    pytest.param(
        TASKS, "  agent: researcher", "  agnt: researcher", 'unknown key "research.agnt"', 'did you mean "agent"?',
        id="tasks-required",
    ),
    pytest.param(CONFIG, "seconds: 300", "seconds: five", "expected a valid number, found 'five'", CONFIG, id="text"),
    pytest.param(CONFIG, "seconds: 300", 'seconds: "300"', "expected a valid number, found '300'", CONFIG, id="quoted"),
    pytest.param(CONFIG, "model_calls: 30", "model_calls: 3.5", "expected a valid integer", CONFIG, id="half-a-call"),
    pytest.param(CONFIG, "model_calls: 30", "model_calls: yes", "expected a valid integer", CONFIG, id="yes-no"),
    pytest.param(CONFIG, "seconds: 300", "seconds: 0", "greater than 0, found 0", CONFIG, id="zero-seconds"),
    pytest.param(CONFIG, "usd: 1.0", "usd: 0", "greater than 0, found 0", CONFIG, id="no-money"),
    pytest.param(CONFIG, "tool_calls: native", "tool_calls: json", "'native' or 'text'", CONFIG, id="one-of-two"),
    pytest.param(CONFIG, "seconds: 300", "seconds: -1", "greater than 0, found -1", CONFIG, id="negative"),
    pytest.param(CONFIG, "seconds: 300", "seconds: .nan", '"limits.seconds"', CONFIG, id="not-a-number"),
    pytest.param(CONFIG, "seconds: 300", "seconds:", "found nothing", CONFIG, id="empty-value"),
    pytest.param(CONFIG, "redact: []", "redact: abc", '"record.redact"', CONFIG, id="text-for-a-list"),
    pytest.param(CONFIG, "crew: my_crew.crew:crew", "crew: my_crew.crew", '"crew"', CONFIG, id="crew-without-colon"),
    pytest.param(AGENTS, "max_iter: 6", "max_iter: 0", "greater than or equal to 1, found 0", AGENTS, id="max_iter-0"),
    pytest.param(AGENTS, "max_iter: 6", "max_iter: six", "expected a valid integer, found 'six'", AGENTS, id="six"),
    pytest.param(
        AGENTS, "max_execution_time: 120", "max_execution_time: 1.5", "expected a valid integer, found 1.5", AGENTS,
        id="max_execution_time-1.5",
    ),
    pytest.param(AGENTS, "role: Researcher", 'role: "  "', "at least 1 character", AGENTS, id="blank-role"),
    pytest.param(
        TASKS, "agent: researcher", "agent: reseacher", 'task "research" names the agent "reseacher"',
        'did you mean "researcher"?', id="unknown-agent",
    ),
    pytest.param(
        TASKS, "context: [research]", "context: [reserch]", 'task "verify" needs "reserch", which is no earlier task',
        'did you mean "research"?', id="unknown-task-in-context",
    ),
    pytest.param(
        TASKS, "context: [research]", "context: [explain]", 'needs "explain", which is no earlier task',
        "known: research", id="later-task-in-context",
    ),
    pytest.param(
        TASKS, "context: [research]", "context: [verify]", 'needs "verify", which is no earlier task',
        "known: research", id="task-in-its-own-context",
    ),
    pytest.param(TASKS, "checks: [findings,", "checks: [finding,", "'findings'", TASKS, id="unknown-check"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "said", "hint"), MISTAKES)
def test_a_mistake_is_named_with_file_line_and_what_was_expected(
    project: Path, file: str, old: str, new: str, said: str, hint: str
) -> None:
    line = edit(project, file, old, new)
    error = refused(project)
    assert str(error).startswith(f"{file}:{line}: "), error
    assert said in str(error)
    assert hint in error.hint


@pytest.mark.parametrize("cap", ["max_iter", "max_execution_time"])
def test_a_missing_cap_is_an_error_at_its_agent(project: Path, cap: str) -> None:
    value = {"max_iter": 6, "max_execution_time": 120}[cap]
    edit(project, AGENTS, f"  {cap}: {value}\n", "")
    error = refused(project)
    assert re.match(rf'{AGENTS}:\d+: "researcher\.{cap}" is missing', str(error))
    line = int(str(error).split(":")[1])
    assert (project / AGENTS).read_text("utf-8").splitlines()[line - 1] == "researcher:"
    assert error.hint == f"add {cap} to {AGENTS}"


def test_an_unknown_tool_is_named_with_its_line_and_the_nearest(project: Path, load: Load) -> None:
    line = edit(project, AGENTS, "tools: [search_knowledge, read_source, read_page]", "tools: [search_knowlege]")
    settings = load()
    with pytest.raises(ConfigError) as caught:
        build.check_tools(settings, build.user_tools(settings))
    assert str(caught.value).startswith(f'{AGENTS}:{line}: agent "researcher" names the tool "search_knowlege"')
    assert caught.value.hint == 'did you mean "search_knowledge"?'


@pytest.mark.parametrize("name", ["Findngs", "no.such.module:Thing", "os:path", "collections:OrderedDict"])
def test_an_unknown_result_type_is_named(project: Path, load: Load, name: str) -> None:
    from pilotage.run import run_crew

    edit(project, TASKS, "  output_pydantic: Findings", f"  output_pydantic: {name}")
    with pytest.raises(ConfigError) as caught:
        run_crew("Is it?", settings=load())
    assert f'task "research": output_pydantic "{name}"' in str(caught.value)
    assert "Findings" in caught.value.hint or "config/tasks.yaml" in caught.value.hint


def test_an_unknown_result_type_is_named_with_its_line(project: Path, load: Load) -> None:
    from pilotage.run import run_crew

    line = edit(project, TASKS, "  output_pydantic: Findings", "  output_pydantic: Findngs")
    with pytest.raises(ConfigError, match=rf"^{TASKS}:{line}: "):
        run_crew("Is it?", settings=load())


@pytest.mark.parametrize("file", [CONFIG, AGENTS, TASKS])
def test_a_missing_file_is_named(project: Path, file: str) -> None:
    (project / file).unlink()
    error = refused(project)
    assert str(error) == f"{file}: the file is missing"
    assert file in error.hint


@pytest.mark.parametrize("file", [CONFIG, AGENTS, TASKS])
def test_a_file_that_is_a_folder_or_no_text_is_named(project: Path, file: str) -> None:
    (project / file).write_bytes(b"\xff\xfe\x00question: x")
    assert str(refused(project)).startswith(f"{file}: cannot be read")
    (project / file).unlink()
    (project / file).mkdir()
    assert str(refused(project)).startswith(f"{file}: cannot be read")


def test_no_project_here_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"No {CONFIG} in {tmp_path.resolve()}")):
        find_root(tmp_path)


def test_the_project_is_found_from_a_folder_inside_it(project: Path) -> None:
    inner = project / "knowledge" / "deep"
    inner.mkdir()
    assert find_root(inner) == project.resolve()


@pytest.mark.parametrize(("file", "key"), [(CONFIG, "limits"), (AGENTS, "researcher"), (TASKS, "research")])
def test_a_key_that_stands_twice_is_named_with_both_lines(project: Path, file: str, key: str) -> None:
    text = (project / file).read_text("utf-8").rstrip("\n")
    first = next(n for n, row in enumerate(text.splitlines(), 1) if row.startswith(f"{key}:"))
    (project / file).write_text(f"{text}\n{key}: {{}}\n", "utf-8")
    error = refused(project)
    assert str(error) == f'{file}:{text.count(chr(10)) + 2}: "{key}" stands twice'
    assert error.hint == f"first on line {first}"


def test_a_nested_key_that_stands_twice_is_named(project: Path) -> None:
    line = edit(project, CONFIG, "  tool_calls: 60", "  seconds: 5")
    assert str(refused(project)) == f'{CONFIG}:{line}: "seconds" stands twice'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("limits:\n  seconds: 5\n bad", 3),
        ("a: b: c", 1),
        ("question: 'open", 1),
        ("\tlimits: 1", 1),
        ("a: 1\n---\n", 2),
    ],
)
@pytest.mark.parametrize("file", [CONFIG, AGENTS, TASKS])
def test_invalid_yaml_is_named_with_its_line(project: Path, file: str, text: str, line: int) -> None:
    (project / file).write_text(text, "utf-8")
    error = refused(project)
    assert str(error).startswith(f"{file}:{line}: not valid YAML: ")
    assert error.hint


@pytest.mark.parametrize("text", ["question: 2026-13-45", "question: !env HOME", "limits: &x {seconds: *x}"])
def test_a_value_that_yaml_cannot_construct_is_an_error_with_its_line(project: Path, text: str) -> None:
    (project / CONFIG).write_text(text, "utf-8")
    assert str(refused(project)).startswith(f"{CONFIG}:1: ")


def test_a_set_that_yaml_cannot_construct_is_an_error(project: Path) -> None:
    assert "limits.seconds" in str(refused(project, limits__seconds="2026-13-45"))


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "42"])
@pytest.mark.parametrize("file", [CONFIG, AGENTS, TASKS])
def test_a_list_or_a_value_instead_of_a_mapping_is_an_error(project: Path, file: str, text: str) -> None:
    (project / file).write_text(text, "utf-8")
    assert str(refused(project)) == f"{file}:1: expected a mapping of names, found a list or a plain value"


@pytest.mark.parametrize("file", [AGENTS, TASKS])
@pytest.mark.parametrize("text", ["", "# only a comment\n", "{}"])
def test_no_agents_or_no_tasks_is_an_error(project: Path, file: str, text: str) -> None:
    (project / file).write_text(text, "utf-8")
    assert str(refused(project)) == f"{file}: expected at least one entry, found none"


def test_an_empty_pilotage_yaml_means_every_default(project: Path, load: Load) -> None:
    (project / CONFIG).write_text("", "utf-8")
    settings = load()
    assert settings.engine.limits.seconds == 300
    assert set(settings.origins.values()) == {"default"}


@pytest.mark.parametrize("entry", ["researcher:", "researcher: text", "researcher: [a]"])
def test_an_agent_that_is_no_mapping_is_an_error_with_its_line(project: Path, entry: str) -> None:
    (project / AGENTS).write_text(entry, "utf-8")
    assert str(refused(project)).startswith(f'{AGENTS}:1: "researcher": ')


# --- one value, one winner


def test_the_winner_is_set_then_environment_then_env_file_then_yaml_then_default(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, name = "limits.seconds", "PILOTAGE_LIMITS_SECONDS"
    seen = []

    def look(**overrides: str) -> None:
        found = load_settings(project, {k.replace("__", "."): v for k, v in overrides.items()})
        seen.append((found.engine.limits.seconds, found.origins[key]))

    line = edit(project, CONFIG, "  seconds: 300", "  seconds: 11")
    look()
    (project / ".env").write_text(f"{name}=12\n", "utf-8")
    look()
    monkeypatch.setitem(os.environ, name, "13")
    look()
    look(limits__seconds="14")
    assert seen == [
        (11, f"{CONFIG}:{line}"),
        (12, f".env ({name})"),
        (13, f"environment ({name})"),
        (14, "--set limits.seconds"),
    ]


def test_a_key_that_nobody_sets_shows_default(project: Path) -> None:
    edit(project, CONFIG, "  seconds: 300 ", "  # ")
    settings = load_settings(project)
    assert (settings.engine.limits.seconds, settings.origins["limits.seconds"]) == (300, "default")


@pytest.mark.parametrize(("name", "key"), [("MODEL", "model.name"), ("QUESTION", "question")])
def test_model_and_question_have_names_of_their_own(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    monkeypatch.setitem(os.environ, name, "openai/some: model #1")
    settings = load_settings(project)
    value = settings.engine.model.name if key == "model.name" else settings.engine.question
    assert value == "openai/some: model #1"
    assert settings.origins[key] == f"environment ({name})"


def test_the_environment_wins_over_the_env_file_under_another_name(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".env").write_text("PILOTAGE_MODEL_NAME=openai/from-file\n", "utf-8")
    monkeypatch.setitem(os.environ, "MODEL", "openai/from-environment")
    assert load_settings(project).engine.model.name == "openai/from-environment"


def test_every_key_has_an_origin_and_an_environment_name(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(load_settings(project).origins) == set(known_keys())
    for key, value in {"limits.call_seconds": "7", "checks.feedback_rounds": "2", "model.max_tokens": "99"}.items():
        name = "PILOTAGE_" + key.upper().replace(".", "_")
        monkeypatch.setitem(os.environ, name, value)
        assert load_settings(project).origins[key] == f"environment ({name})"


def test_an_unknown_pilotage_variable_is_an_error_with_the_nearest(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "PILOTAGE_LIMITS_SECOND", "5")
    error = refused(project)
    assert str(error) == "Unknown setting PILOTAGE_LIMITS_SECOND in the environment"
    assert error.hint == 'did you mean "PILOTAGE_LIMITS_SECONDS"?'


def test_an_unknown_pilotage_variable_in_the_env_file_is_an_error(project: Path) -> None:
    (project / ".env").write_text("PILOTAGE_LIMITS_SECOND=5\n", "utf-8")
    assert "PILOTAGE_LIMITS_SECOND" in str(refused(project))


def test_a_wrong_value_in_the_environment_names_the_variable_not_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "PILOTAGE_LIMITS_SECONDS", "soon")
    assert str(refused(project)).startswith("environment (PILOTAGE_LIMITS_SECONDS): ")


def test_a_wrong_value_in_set_names_set(project: Path) -> None:
    assert str(refused(project, limits__seconds="0")).startswith("--set limits.seconds: ")


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("limits.second", 'did you mean "limits.seconds"?'),
        ("limits", "limits."),
        ("limits.seconds.more", 'did you mean "limits.seconds"?'),
        ("agents.reseacher.max_iter", 'did you mean "researcher"?'),
        ("agents.researcher", "researcher"),
        ("agents", "researcher"),
        ("", "known"),
    ],
)
def test_an_unknown_key_in_set_is_an_error_with_the_nearest(project: Path, key: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="Unknown setting") as caught:
        load_settings(project, {key: "1"})
    assert hint in caught.value.hint


def test_an_unknown_key_of_an_agent_in_set_is_an_error_with_the_nearest(project: Path) -> None:
    error = refused(project, agents__verifier__max_itr="3")
    assert str(error) == '--set agents.verifier.max_itr: unknown key "verifier.max_itr"'
    assert error.hint == 'did you mean "max_iter"?'


def test_set_reaches_agents_and_tasks(load: Load) -> None:
    settings = load(
        agents__verifier__max_iter=3, agents__researcher__tools="[search_knowledge, today]",
        tasks__verify__context="[research]", agents__explainer__llm="openai/gpt-4o",
    )  # fmt: skip
    assert settings.agents["verifier"].max_iter == 3
    assert settings.agents["verifier"].role == "Verifier"
    assert settings.agents["researcher"].tools == ["search_knowledge", "today"]
    assert settings.agents["explainer"].llm == "openai/gpt-4o"


def test_set_of_an_agent_is_checked_like_the_file(project: Path) -> None:
    assert "greater than or equal to 1" in str(refused(project, agents__verifier__max_iter="0"))


@pytest.mark.parametrize(
    "text",
    ["yes", "null", "1e3", "a: b", "# no comment", "{x}", '"quoted"', "it's", "[1", "%x", "ünïcödé 한국어 🎉", "*a"],
)
def test_text_settings_are_taken_as_they_stand(project: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert load_settings(project, {"question": text}).engine.question == text
    monkeypatch.setitem(os.environ, "QUESTION", text)
    assert load_settings(project).engine.question == text


def test_a_store_whose_name_is_a_number_is_text_too(project: Path) -> None:
    assert load_settings(project, {"record.store": "2026"}).engine.record.store == "2026"


def test_special_characters_in_yaml_reach_the_settings_unchanged(project: Path) -> None:
    (project / CONFIG).write_text(
        'question: "tab\\t, quote \\", ünïcödé 한국어 🎉, {braces}"\nrecord:\n  redact: ["a\\\\d+", \'(?:x|y)\']\n',
        "utf-8",
    )
    settings = load_settings(project)
    assert settings.engine.question == 'tab\t, quote ", ünïcödé 한국어 🎉, {braces}'
    assert settings.engine.record.redact == [r"a\d+", "(?:x|y)"]


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read(project: Path) -> None:
    for file in (CONFIG, AGENTS, TASKS):
        text = (project / file).read_text("utf-8").replace("\n", "\r\n")
        (project / file).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_settings(project).engine.limits.seconds == 300


def test_a_pattern_that_is_no_regular_expression_is_a_config_error(load: Load) -> None:
    from pilotage.run import run_crew

    with pytest.raises(ConfigError, match="no valid regular expression"):
        run_crew("Is it?", settings=load(record__redact="['(unclosed']"))


def test_settings_cannot_be_changed_after_reading(load: Load) -> None:
    settings = load()
    with pytest.raises(ValueError, match="frozen"):
        settings.engine.limits.seconds = 5


def test_every_knob_of_the_template_stands_in_its_file_with_its_default(project: Path, load: Load) -> None:
    in_file = load()
    (project / CONFIG).write_text("", "utf-8")
    default = load()
    named = {key for key, origin in in_file.origins.items() if origin.startswith(CONFIG)}
    assert named == set(known_keys())
    for part in ("model", "evidence", "limits", "checks", "web", "databases", "services", "code", "policy", "record"):
        assert getattr(in_file.engine, part) == getattr(default.engine, part)


# --- what YAML reads otherwise


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [("usd", "1e-3", 0.001), ("tokens", "1e5", 100_000), ("tokens", "1.5e3", 1500), ("seconds", "1e300", 1e300)],
)
def test_a_number_may_be_written_with_an_exponent(load: Load, key: str, value: str, expected: float) -> None:
    found = getattr(load(**{f"limits__{key}": value}).engine.limits, key)
    assert found == expected
    assert isinstance(found, int) == (key == "tokens")


def test_a_number_with_an_exponent_in_the_file_is_one_too(project: Path) -> None:
    edit(project, CONFIG, "  seconds: 300", "  seconds: 1e2")
    assert load_settings(project).engine.limits.seconds == 100


def test_a_count_that_is_not_whole_is_refused(project: Path) -> None:
    assert "expected a valid integer, found 1.5" in str(refused(project, limits__tokens="15e-1"))


def test_sections_whose_lines_are_all_comments_are_empty(project: Path) -> None:
    (project / CONFIG).write_text("limits:\n  # usd: 2\nmodel:\nloops:\ndatabases:\npolicy:\n  tools:\n", "utf-8")
    assert load_settings(project).engine == EngineSpec()


def test_no_limits_of_an_agent_or_a_task_are_none(load: Load) -> None:
    settings = load(agents__researcher__limits="", tasks__research__limits="null")
    assert settings.agents["researcher"].limits == settings.tasks["research"].limits == CapSpec()


@pytest.mark.parametrize("key", ["agents.researcher.limits", "tasks.research.limits"])
def test_a_value_in_the_place_of_a_section_is_refused_without_a_class_of_ours(project: Path, key: str) -> None:
    error = refused(project, **{key.replace(".", "__"): "5"})
    assert str(error).endswith('limits": expected a mapping, found 5')


def test_one_fallback_may_stand_without_a_list(load: Load) -> None:
    settings = load(model__fallbacks="openai/gpt-4o")
    assert [fallback.name for fallback in settings.engine.model.fallbacks] == ["openai/gpt-4o"]


@pytest.mark.parametrize("name", ["PILOTAGE_AGENTS_RESEARCHER_MAX_ITER", "PILOTAGE_TASKS_VERIFY_AGENT"])
def test_keys_of_agents_and_tasks_in_the_environment_are_told_where_they_go(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(os.environ, name, "3")
    error = refused(project)
    assert name in str(error)
    assert "--set agents.NAME.KEY=VALUE" in error.hint


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("agents.researcher", "known: agents.researcher.allow_delegation, "),
        ("agents.researcher.limits.tokens.x", 'did you mean "agents.researcher.limits.tokens"?'),
        ("tasks.verify.limits.nonsense.x", "known: tasks.verify.agent, "),
    ],
)
def test_the_hint_names_keys_that_an_entry_has(project: Path, key: str, hint: str) -> None:
    error = refused(project, **{key.replace(".", "__"): "5"})
    assert error.hint.startswith(hint)


def test_a_value_of_any_length_is_not_echoed_in_full(project: Path) -> None:
    for digits in (401, 5000):
        error = refused(project, limits__seconds="1" * digits)
        assert len(str(error)) < 250
        assert "characters)" in str(error)
