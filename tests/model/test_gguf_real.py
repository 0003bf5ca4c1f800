"""The real thing, when PILOTAGE_TEST_GGUF names a file of an instruct model of 1 B or more. Takes a minute."""

from __future__ import annotations

import importlib.util
import math
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pilotage.checks.results import Findings
from pilotage.model.gguf.llm import Gguf
from pilotage.model.gguf.model import LocalModel, share_of_yes
from pilotage.spec import LocalSpec
from tests.model.test_gguf_llm import TOOLS, after_search, user

FILE = os.environ.get("PILOTAGE_TEST_GGUF", "")
SPEC = LocalSpec(threads=1, context=4096)
LONG = [user("Count from one to five hundred in words, and leave nothing out.")]

pytestmark = [
    pytest.mark.skipif(not FILE, reason="PILOTAGE_TEST_GGUF names no model file"),
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed (local)"),
]


@pytest.fixture(scope="module")
def local() -> LocalModel:
    return LocalModel.open(FILE, SPEC)


def test_yes_and_no_are_told_apart_and_a_poem_is_neither(local: LocalModel) -> None:
    def sure(question: str) -> float:
        return share_of_yes(
            local.first_word([{"role": "system", "content": "Answer with Yes or No."}, user(question)]).likely
        )

    assert sure("Is Paris in France?") > 0.8
    assert sure("Is Berlin in France?") < 0.3
    assert math.isnan(share_of_yes(local.first_word([user("Write a poem about the sea.")]).likely))


def test_a_second_call_reads_only_what_is_new_and_answers_the_same(local: LocalModel) -> None:
    messages = [user("Name three colours. " + "They are for a flag. " * 20)]
    first = local.complete(messages, max_tokens=20)
    second = local.complete(messages, max_tokens=20)
    assert first.text == second.text
    assert second.cached_tokens > first.cached_tokens
    assert second.cached_tokens > 0.9 * second.prompt_tokens


def test_prefixes_of_two_agents_do_not_drive_each_other_out(local: LocalModel) -> None:
    one, two = ([user(f"You are {name}. " * 40 + "Say hi.")] for name in ("the researcher", "the verifier"))
    for messages in (one, two):
        local.complete(messages, max_tokens=2)
    again = local.complete(one, max_tokens=2)
    assert again.cached_tokens > 0.9 * again.prompt_tokens


def test_an_answer_fits_its_schema_and_holds_no_spare_space(local: LocalModel) -> None:
    schema = {"type": "object", "required": ["a", "b"], "additionalProperties": False, "properties": {
        "a": {"enum": ["x y", "no others"]}, "b": {"type": "string", "maxLength": 12}}}  # fmt: skip
    answered = local.complete([user("Give an object.")], max_tokens=60, schema=schema)
    assert answered.finish == "stop"
    assert answered.text.startswith('{"a": "')


@pytest.mark.parametrize(
    "text", ['Say "limited", then name the limit that was reached.', "One line.\nAnd another one."]
)
def test_a_given_text_with_escaped_characters_comes_back_whole(text: str) -> None:
    """Fails where llguidance is given such a text as it is: xllamacpp 2026.10 ends it early."""
    schema = {"type": "object", "required": ["a"], "additionalProperties": False, "properties": {"a": {"const": text}}}
    assert Gguf.of("gguf:real", Path(FILE), SPEC)._object([user(f"Copy: {text}")], schema) == {"a": text}


def test_a_call_that_is_left_is_over_soon_and_the_next_one_runs(local: LocalModel) -> None:
    left = threading.Event()

    def go_on() -> None:
        if left.is_set():
            raise TimeoutError

    def first() -> None:
        with pytest.raises(TimeoutError):
            local.complete(LONG, max_tokens=2000, go_on=go_on)

    thread = threading.Thread(target=first)
    thread.start()
    time.sleep(2)
    left.set()
    started = time.monotonic()
    assert local.complete([user("Say hi.")], max_tokens=3).text
    assert time.monotonic() - started < 20
    thread.join()


def test_a_researcher_searches_and_then_quotes_word_for_word() -> None:
    llm = Gguf.of("gguf:real", Path(FILE), SPEC)
    task = SimpleNamespace(response_model=Findings)
    ask = [user("Question: When does the deadline stop the run? Search, then quote what answers it as findings.")]
    calls = llm.call(ask, tools=TOOLS, from_task=task)
    assert calls[0]["function"]["name"] == "search_knowledge"
    answer = llm.call([*ask, *after_search()[1:]], tools=TOOLS[:1], from_task=task)
    if isinstance(answer, str):  # it may search once more in other words
        found = Findings.model_validate_json(answer).findings
        assert found[0].quote == "The deadline stops the run after 300 seconds."
    else:
        assert answer[0]["function"]["name"] == "search_knowledge"
