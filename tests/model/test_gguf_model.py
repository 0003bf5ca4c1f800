from __future__ import annotations

import math
import threading
import time
from pathlib import Path

import pytest

from pilotage.errors import ConfigError
from pilotage.model.gguf import file, model
from pilotage.model.gguf.model import LocalFault, LocalModel, PromptTooLong, share_of_yes
from pilotage.spec import LocalSpec
from tests.model.llama import Llama, schema_of

HI = [{"role": "user", "content": "hi"}]


class Gone(Exception):
    pass


def test_an_answer_comes_with_its_tokens_and_why_it_ended() -> None:
    answered = LocalModel(Llama(["Hello there."])).complete(HI, max_tokens=20)
    assert (answered.text, answered.finish) == ("Hello there.", "stop")
    assert (answered.prompt_tokens, answered.completion_tokens, answered.cached_tokens) == (100, 7, 60)


def test_settings_of_a_call_reach_llama_and_no_temperature_is_its_own() -> None:
    llama = Llama(["a", "b"])
    local = LocalModel(llama)
    local.complete(HI, max_tokens=20, temperature=0.5, seed=7, stop=["\nObservation:"], schema={"type": "string"})
    local.complete(HI, max_tokens=20, temperature=None)
    first, second = llama.asked
    assert (first["max_tokens"], first["temperature"], first["seed"]) == (20, 0.5, 7)
    assert first["stop"] == ["\nObservation:"]
    assert first["cache_prompt"] is True
    assert schema_of(first)["type"] == "string"
    assert schema_of(first)["x-guidance"]["whitespace_flexible"] is False
    assert not {"temperature", "stop", "grammar"} & second.keys()


def test_a_call_that_nobody_waits_for_ends_between_two_tokens() -> None:
    llama = Llama(["a long answer that goes on and on"])

    def go_on() -> None:
        if len(told) == 3:
            raise Gone

    told: list[tuple[int, int]] = []
    with pytest.raises(Gone):
        LocalModel(llama).complete(HI, max_tokens=20, go_on=go_on, used=lambda p, c: told.append((p, c)))
    assert llama.stopped == 1
    assert told == [(0, 0), (0, 1), (0, 2)]


def test_the_next_call_does_not_wait_for_one_that_was_left_behind() -> None:
    llama = Llama(["x" * 4000, "second"], between=lambda _number: time.sleep(0.01))
    local, left = LocalModel(llama), threading.Event()

    def go_on() -> None:
        if left.is_set():
            raise Gone

    def first() -> None:
        with pytest.raises(Gone):
            local.complete(HI, max_tokens=20, go_on=go_on)

    thread = threading.Thread(target=first)
    thread.start()
    while not llama.asked:
        time.sleep(0.005)
    threading.Timer(0.1, left.set).start()
    started = time.monotonic()
    assert local.complete(HI, max_tokens=20).text == "second"
    thread.join()
    assert time.monotonic() - started < 5  # the first alone would take ten seconds


def test_whoever_waits_for_its_turn_gives_up_when_nobody_waits_for_it() -> None:
    local = LocalModel(Llama(["never"]))
    local._turn.acquire()
    looks = iter([None, None, Gone()])

    def go_on() -> None:
        if fault := next(looks):
            raise fault

    with pytest.raises(Gone):
        local.complete(HI, max_tokens=20, go_on=go_on)


def test_calls_of_several_threads_take_turns() -> None:
    busy = threading.Lock()

    def alone(_number: int) -> None:
        assert busy.acquire(blocking=False)
        time.sleep(0.001)
        busy.release()

    llama = Llama(["some words of an answer"] * 6, between=alone)
    local = LocalModel(llama)
    found: list[str] = []
    ask = [threading.Thread(target=lambda: found.append(local.complete(HI, max_tokens=9).text)) for _ in range(6)]
    for thread in ask:
        thread.start()
    for thread in ask:
        thread.join()
    assert found == ["some words of an answer"] * 6


def test_after_a_fault_the_model_can_be_asked_again() -> None:
    local = LocalModel(Llama([ValueError("cannot resolve $ref"), "exceed_context_size_error", "fine"]))
    with pytest.raises(LocalFault, match=r"cannot resolve \$ref"):
        local.complete(HI, max_tokens=20)
    with pytest.raises(PromptTooLong, match="exceeds 8192"):
        local.complete(HI, max_tokens=20)
    assert local.complete(HI, max_tokens=20).text == "fine"


def test_yes_or_no_is_one_token_and_a_probability() -> None:
    llama = Llama(["Yes"])
    sure = share_of_yes(LocalModel(llama).first_word(HI).likely)
    assert sure == pytest.approx(0.91)
    assert llama.asked[0]["max_tokens"] == 1


def test_a_model_that_says_neither_yes_nor_no_gives_no_number() -> None:
    assert math.isnan(share_of_yes({"Roses": -0.01, "Yes": -7.0}))
    assert math.isnan(share_of_yes({}))
    assert share_of_yes({"NO": -0.1, " no": -3.0}) == 0.0


def test_a_file_is_loaded_once_for_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, loaded = tmp_path / "tiny.gguf", []
    path.write_bytes(b"GGUF....")
    monkeypatch.setattr(file, "_is_installed", lambda: True)
    monkeypatch.setattr(model, "_loaded", {})
    monkeypatch.setattr(model, "_serve", lambda where, _spec: loaded.append(where))
    one = LocalModel.open(path, LocalSpec())
    assert LocalModel.open(str(path), LocalSpec(seed=3)) is one  # a seed is of a call
    assert LocalModel.open(path, LocalSpec(context=4096)) is not one
    assert len(loaded) == 2
    with pytest.raises(ConfigError, match="There is no model file"):
        LocalModel.open(tmp_path / "other.gguf", LocalSpec())
