"""The spans of a run, from its events."""

from __future__ import annotations

from typing import Any

from pilotage.record.journal import Event
from pilotage.record.tree import Span, Tree, fold


class Story:
    """Events as a run would journal them, one second apart."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, kind: str, content: dict[str, str] | None = None, **facts: Any) -> None:
        number = len(self.events) + 1
        self.events.append(Event("r", number, 1000.0 + number, kind, facts, dict(content or {})))

    def begin(self) -> None:
        self.tell("run_started", {"question": "q"}, model="m", crew="my_crew.crew:crew")

    def spans(self) -> dict[str, Span]:
        return {span.id: span for span in fold(self.events)}


def test_calls_lie_in_their_agent_in_its_task_in_the_workflow_of_the_session() -> None:
    story = Story()
    story.begin()
    story.tell("task_started", task="research", agent="researcher")
    story.tell("model_call", agent="researcher", task="research", model="m", seconds=0.5)
    story.tell("tool_call", agent="researcher", task="research", tool="search", seconds=0.25)
    story.tell("task_ended", task="research", agent="researcher")
    story.tell("run_ended", {"reason": "fine"}, outcome="accepted")
    spans = story.spans()
    assert [(s.id, s.parent) for s in spans.values()] == [
        ("session", None), ("workflow", "session"), ("task/research", "workflow"),
        ("agent/research/researcher", "task/research"),
        ("3", "agent/research/researcher"), ("4", "agent/research/researcher"),
    ]  # fmt: skip
    assert (spans["3"].start, spans["3"].end) == (1002.5, 1003.0)
    assert spans["task/research"].end == 1005.0
    assert spans["session"].end == 1006.0
    assert not any(span.failed for span in spans.values())


def test_a_coworker_who_is_asked_has_a_span_in_the_task_of_whoever_asks() -> None:
    story = Story()
    story.begin()
    story.tell("task_started", task="explain", agent="explainer")
    story.tell("model_call", agent="researcher", task="explain", model="m", seconds=0.5)
    spans = story.spans()
    assert spans["agent/explain/researcher"].parent == "task/explain"
    assert spans["agent/explain/researcher"].start == 1002.5
    assert spans["3"].parent == "agent/explain/researcher"


def test_two_tasks_at_the_same_time_keep_their_calls_apart() -> None:
    story = Story()
    story.begin()
    for task in ("left", "right"):
        story.tell("task_started", task=task, agent="researcher")
    story.tell("model_call", agent="researcher", task="left", model="m", seconds=0.1)
    story.tell("model_call", agent="researcher", task="right", model="m", seconds=0.1)
    story.tell("task_ended", task="left", agent="researcher")
    spans = story.spans()
    assert spans["4"].parent == "agent/left/researcher"
    assert spans["5"].parent == "agent/right/researcher"
    assert spans["agent/left/researcher"].end == 1006.0
    assert spans["agent/right/researcher"].end is None


def test_what_is_open_when_a_run_fails_has_failed_with_its_reason() -> None:
    story = Story()
    story.begin()
    story.tell("task_started", task="research", agent="researcher")
    story.tell("limit", limit="seconds", value=2.1, cap=2, key="limits.seconds")
    story.tell("run_ended", {"reason": "Run stopped: 2.1 seconds"}, outcome="limited")
    spans = story.spans()
    for name in ("session", "workflow", "task/research", "agent/research/researcher"):
        assert spans[name].failed, name
        assert spans[name].why == "Run stopped: 2.1 seconds"
    assert spans["3"].kind == "limit"
    assert spans["3"].why == "limits.seconds reached"


def test_a_failed_call_does_not_fail_the_run_that_went_on() -> None:
    story = Story()
    story.begin()
    story.tell("task_started", task="research", agent="researcher")
    story.tell("tool_call", {"result": "search failed: no network"}, agent="researcher", task="research",
               tool="search", failed=True)  # fmt: skip
    story.tell("task_ended", task="research", agent="researcher")
    story.tell("run_ended", outcome="accepted")
    spans = story.spans()
    assert (spans["3"].failed, spans["3"].why) == (True, "search failed: no network")
    assert not spans["task/research"].failed
    assert not spans["session"].failed


def test_a_loop_of_an_agent_lies_in_the_task_that_it_is_at_and_is_noted_on_its_span() -> None:
    story = Story()
    story.begin()
    story.tell("task_started", task="research", agent="researcher")
    story.tell("loop", {"evidence": "the same call"}, rule="exact", level="nudge", agent="researcher", times=3)
    spans = story.spans()
    assert spans["3"].parent == "agent/research/researcher"
    assert [note.kind for note in spans["agent/research/researcher"].notes] == ["loop"]
    assert not spans["3"].failed


def test_a_task_that_begins_anew_after_its_end_has_a_second_span() -> None:
    story = Story()
    story.begin()
    for _ in range(2):
        story.tell("task_started", task="research", agent="researcher")
        story.tell("model_call", agent="researcher", task="research", model="m")
        story.tell("task_ended", task="research", agent="researcher")
    spans = story.spans()
    assert spans["6"].parent == "agent/research/researcher#2"
    assert spans["agent/research/researcher#2"].parent == "task/research#2"


def test_a_page_that_the_user_named_is_read_before_any_task() -> None:
    story = Story()
    story.begin()
    story.tell("tool_call", agent="user", tool="read_page", seconds=0.1)
    assert story.spans()["2"].parent == "workflow"


def test_spans_of_another_program_keep_their_own_ids_and_parents() -> None:
    story = Story()
    story.tell("run_started", {"question": "chat"}, origin="otlp", model="", crew="their-service")
    story.tell("model_call", model="gpt", span="a2", parent="a1", start=1000.0, seconds=2.0, agent="writer")
    story.tell("span", name="chat.session", span_kind="session", span="a1", start=999.0, seconds=4.0, failed=True)
    story.tell("session_ended", outcome="failed", name="chat")
    spans = story.spans()
    assert [(s.id, s.parent, s.kind, s.name) for s in spans.values()] == [
        ("a2", "a1", "llm", "gpt"), ("a1", None, "session", "chat.session"),
    ]  # fmt: skip
    assert spans["a2"].agent == "writer"


def test_each_change_names_what_was_opened_and_closed_inner_spans_first() -> None:
    story = Story()
    story.begin()
    story.tell("task_started", task="research", agent="researcher")
    story.tell("run_ended", outcome="accepted")
    tree = Tree()
    changes = [tree.add(event) for event in story.events]
    assert [span.id for span in changes[1].opened] == ["task/research", "agent/research/researcher"]
    closed = ["agent/research/researcher", "task/research", "workflow", "session"]
    assert [span.id for span in changes[2].closed] == closed
