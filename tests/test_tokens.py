"""What is sent to the model, counted at its server: less than by a plain CrewAI crew, and each cut is some of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pilotage.guard.fence import unfence
from pilotage.prompts import defaults
from pilotage.settings import load

bench_tokens: Any = import_module("benchmarks.bench_tokens")  # scripts, which mypy knows by other names
token_scene = bench_tokens.token_scene
QUESTIONS = (
    "How often does GPT-4 as a grader agree with people?",
    "What belongs in the error text of a tool so that the agent can recover?",
)
SEARCHED = [1, 2]  # how often the scripted model searches for each


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, one_authority: Path) -> Iterator[Any]:
    """Two questions of the golden ones; a letter is a token."""
    questions = tmp_path_factory.mktemp("tokens") / "questions.jsonl"
    questions.write_text("".join(json.dumps({"id": str(n), "question": q}) + "\n" for n, q in enumerate(QUESTIONS)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(one_authority))
        patch.setattr(token_scene, "environment", lambda: None)
        patch.setattr(token_scene, "counter", lambda _name: len)
        with bench_tokens.workshop("", questions) as made:
            yield made


def test_a_question_costs_less_than_plain_crewai_and_every_cut_is_some_of_it(bench: Any) -> None:
    rows = {row.name.strip(): row for row in bench_tokens.measured(bench)}
    plain, ours = rows[bench_tokens.PLAIN], rows[bench_tokens.OURS]
    assert ours.tokens < (1 - bench_tokens.LEAST) * plain.tokens
    assert all(row.quotes == plain.quotes for row in rows.values())
    saved = {name: rows[name].tokens - ours.tokens for name in bench_tokens.CUTS}
    assert min(saved.values()) > 0, saved


def test_a_feedback_round_carries_the_sources_of_its_task_alone(bench: Any) -> None:
    named, everything = bench_tokens.sent_back(bench)
    assert named.requests == everything.requests
    assert named.tokens < everything.tokens
    feedback = next(text_of(r) for r in reversed(bench.scene.requests) if "do not hold" in text_of(r))
    assert "carries no citation" in feedback


def test_nothing_is_asked_but_for_answers(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Towards OpenAI's own address CrewAI has the tokens counted before each call."""
    monkeypatch.setattr(
        "crewai.llms.providers.openai.completion.OpenAICompletion._on_compatible_server", lambda _self: False
    )
    assert bench.row("plain", bench.plain()).others > 0
    assert bench.row("ours", bench.ours).others == 0


def test_each_task_gets_what_it_needs(bench: Any) -> None:
    bench.scene.clear()
    (quote, *_) = bench.ours(QUESTIONS[1])
    by_task = {task: [r for r in bench.scene.requests if words in text_of(r)] for task, words in TASKS.items()}
    assert [len(requests) for requests in by_task.values()] == [SEARCHED[1] + 1, 2, 1]
    for requests in by_task.values():
        assert all(defaults().crew.rule in str(request["messages"][0]["content"]) for request in requests)
        assert all(QUESTIONS[1] in text_of(request) for request in requests)
    (last,) = by_task["explain"]
    assert json.dumps(quote, ensure_ascii=False)[1:-1] in text_of(last)
    assert token_scene.REASON not in text_of(last)
    assert last["response_format"]["json_schema"]["strict"]
    opened = [json.loads(unfence(m["content"])) for m in by_task["verify"][1]["messages"] if m["role"] == "tool"]
    assert any(quote in source["text"] for source in opened)


def test_a_second_search_names_what_the_first_has_shown_and_the_tool_that_opens_it(bench: Any) -> None:
    bench.scene.clear()
    bench.ours(QUESTIONS[1])
    request = bench.scene.requests[SEARCHED[1]]
    first, second = (json.loads(unfence(m["content"])) for m in request["messages"] if m["role"] == "tool")
    shown = [entry for entry in first["passages"] if "text" in entry]
    assert 1 <= len(shown) <= 2
    assert any("quote" in entry for entry in first["passages"])
    assert set(second["shown_before"].split(", ")) & {entry["source"] for entry in first["passages"]}
    assert not {e["source"] for e in shown} & {e["source"] for e in second["passages"]}
    assert "read_source" in [tool["function"]["name"] for tool in request["tools"]]


def test_read_page_is_offered_when_a_host_is_named(bench: Any) -> None:
    bench.scene.clear()
    bench.ours(QUESTIONS[0])
    assert "read_page" not in str(bench.scene.requests[0]["tools"])
    bench.scene.clear()
    bench.ours(f"{QUESTIONS[0]} See docs.python.org")
    assert "read_page" in str(bench.scene.requests[0]["tools"])


def test_the_text_mode_has_its_instructions_and_the_short_task(bench: Any) -> None:
    overrides = {"model.base_url": bench.scene.url, "model.tool_calls": "text", **bench_tokens.ALIKE}
    settings = load(bench.runner.settings.root, overrides)
    runner = bench_tokens.Runner(settings)
    bench.scene.clear()
    try:
        runner.answer(QUESTIONS[0], write=False)
    finally:
        runner.close()
    (first, *_) = bench.scene.requests
    assert "tools" not in first
    told = str(first["messages"])
    assert "Action Input:" in told
    assert "Answer with: JSON of the form" in told
    assert "This is the expected criteria" not in told


TASKS = {"research": "Pick the one or two passages", "verify": "Give one verdict", "explain": "names the citations"}


def text_of(request: dict[str, Any]) -> str:
    return next(str(m["content"]) for m in request["messages"] if m["role"] == "user")
