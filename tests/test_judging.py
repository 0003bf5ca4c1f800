"""The judge made from the settings: asked through the door, capped, on record, and never needed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pilotage import judging
from pilotage.checks.judge import Judge
from pilotage.crew import Kit
from pilotage.errors import ConfigError, LimitExceeded, PilotageError
from pilotage.guard.limits import RunEnded
from pilotage.model.gguf.model import Answered
from pilotage.record.journal import Event, Journal, read_events
from pilotage.run import Runner
from pilotage.settings import Settings
from pilotage.tape.recall import Recall
from pilotage.tape.tape import Tape
from tests.support.loopback import listening, send

Load = Callable[..., Settings]
CLAIM, SOURCE = "One fault makes 27 requests.", "With three owners of three attempts each, one fault makes 27 requests."
PRICED = "openai/gpt-4o-mini"


@dataclass
class Provider:
    """Answers with `word`, or an HTTP status; tells the probabilities in `likely` when it is asked for them."""

    url: str = ""
    word: str | int = "Yes"
    likely: dict[str, float] = field(default_factory=dict)
    refuses_logprobs: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, handler: Any, request: dict[str, Any]) -> None:
        self.requests.append(request)
        if isinstance(self.word, int):
            return send(handler, self.word, {"error": {"message": "no", "type": "test"}})
        if self.refuses_logprobs and "logprobs" in request:
            return send(
                handler, 400, {"error": {"message": "logprobs is not supported", "type": "invalid_request_error"}}
            )
        choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": self.word}}
        if self.likely and request.get("logprobs"):
            top = [{"token": token, "logprob": math.log(p), "bytes": None} for token, p in self.likely.items()]
            choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}], "refusal": None}
        usage = {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101}
        body = {"id": "x", "object": "chat.completion", "created": 1, "model": request["model"]}
        return send(handler, 200, {**body, "choices": [{**choice, "finish_reason": "stop"}], "usage": usage})


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, one_authority: Path) -> Iterator[Provider]:
    monkeypatch.setenv("SSL_CERT_FILE", str(one_authority))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdefghij")
    made = Provider()
    with listening(made.answer) as address:
        made.url = f"{address}/v1"
        monkeypatch.setenv("OPENAI_BASE_URL", made.url)
        yield made


@dataclass
class Scene:
    kit: Kit
    judge: Judge
    runner: Runner

    def events(self, kind: str) -> list[Event]:
        found = read_events(self.runner.engine, self.kit.journal.run)
        return [event for event in found if event.kind == kind]


@pytest.fixture
def scene(load: Load, provider: Provider) -> Iterator[Callable[..., Scene]]:
    """A run that is at its task "verify", and the judge of its settings."""
    runners: list[Runner] = []

    def make(**settings: Any) -> Scene:
        runner = Runner(load(**{"checks__judge": PRICED, **settings}))
        runners.append(runner)
        journal = Journal(runner.engine, runner.redactor)
        kit, _crew = runner._build("Why?", journal, [])
        journal.append("run_started", {"question": "Why?"})
        kit.meter.begin_turn("verifier", "verify", 5, 60.0)
        judge = judging.for_kit(kit)
        assert judge is not None
        return Scene(kit, judge, runner)

    yield make
    for runner in runners:
        with closing(runner):
            pass


def test_without_the_setting_there_is_no_judge(load: Load) -> None:
    with closing(Runner(load())) as runner:
        kit, _crew = runner._build("Why?", Journal(runner.engine, runner.redactor), [])
        assert judging.for_kit(kit) is None


def test_a_call_is_capped_priced_and_on_record_at_the_task_that_is_checked(
    scene: Callable[..., Scene], provider: Provider
) -> None:
    at = scene()
    assert at.judge.probability(CLAIM, SOURCE) == 1.0
    (call,) = at.events("model_call")
    assert (call.facts["agent"], call.facts["task"], call.facts["model"]) == ("judge", "verify", PRICED)
    assert at.kit.meter.model_calls == 1
    assert at.kit.meter.tokens == 101
    assert at.kit.meter.usd == pytest.approx(100 * 0.15e-6 + 0.6e-6)
    (request,) = provider.requests
    assert request["temperature"] == 0
    assert CLAIM in request["messages"][-1]["content"]
    assert f"<<<data {at.kit.guard.number} from source>>>" in request["messages"][-1]["content"]


def test_a_provider_that_tells_probabilities_is_asked_for_them(scene: Callable[..., Scene], provider: Provider) -> None:
    provider.likely = {"Yes": 0.6, " yes": 0.1, "No": 0.2}
    at = scene(checks__judge_votes=3)
    assert at.judge.probability(CLAIM, SOURCE) == pytest.approx(0.7 / 0.9, abs=1e-5)
    assert provider.requests[0]["logprobs"] is True
    assert len(provider.requests) == 1, "further votes would tell the same"
    assert "yes p=0.7" in str(at.events("model_call")[0].content["answer"])


def test_one_that_refuses_to_tell_is_asked_again_without(scene: Callable[..., Scene], provider: Provider) -> None:
    provider.refuses_logprobs, provider.word = True, "No"
    at = scene()
    assert at.judge.probability(CLAIM, SOURCE) == 0.0
    assert at.judge.probability("Another claim.", SOURCE) == 0.0
    assert ["logprobs" in request for request in provider.requests] == [True, False, False]
    assert len(at.events("model_call")) == 3, "the refused one is on record too"


def test_votes_are_words_given_at_a_temperature(scene: Callable[..., Scene], provider: Provider) -> None:
    at = scene(checks__judge_votes=3)
    words = iter(["Yes", "No", "Yes"])
    answer = provider.answer

    def vote(handler: Any, request: dict[str, Any]) -> None:
        provider.word = next(words)
        answer(handler, request)

    provider.answer = vote  # type: ignore[method-assign]
    with listening(lambda handler, request: provider.answer(handler, request)) as address:
        at.judge.ask._spec = at.judge.ask._spec.model_copy(update={"base_url": f"{address}/v1"})  # type: ignore[attr-defined]
        assert at.judge.probability(CLAIM, SOURCE) == pytest.approx(2 / 3)
    assert [request["temperature"] for request in provider.requests] == [judging.VARIED] * 3


def test_whether_an_answer_addresses_its_question_is_asked_too(scene: Callable[..., Scene], provider: Provider) -> None:
    provider.word = "No"
    assert scene().judge.addresses("Who owns retries?", "A deadline is 300 seconds.", "Retries") == 0.0
    asked = provider.requests[0]["messages"][-1]["content"]
    assert '"Who owns retries?"' in asked
    assert "A deadline is 300 seconds." in asked


@pytest.mark.parametrize("word", [500, 401, "It depends."])
def test_one_that_fails_gives_no_verdict_and_the_run_goes_on(
    scene: Callable[..., Scene], provider: Provider, word: Any
) -> None:
    provider.word = word
    at = scene(limits__retries=0)
    assert math.isnan(at.judge.probability(CLAIM, SOURCE))
    assert at.kit.meter.ended is None
    if isinstance(word, int):
        assert "it gave no verdict" in str(at.events("judge")[0].content["reason"])


def test_one_that_keeps_failing_is_asked_no_more(scene: Callable[..., Scene], provider: Provider) -> None:
    provider.word = 500
    at = scene(limits__retries=0)
    assert all(math.isnan(at.judge.probability(f"Claim {n}.", SOURCE)) for n in range(6))
    assert len(provider.requests) == judging.PATIENCE
    assert [event.facts.get("given_up") for event in at.events("judge")] == [None, None, True]


@pytest.mark.parametrize(
    ("limits", "key"),
    [({"model_calls": 5}, "limits.model_calls"), ({"iterations": 5}, "limits.iterations"),
     ({"tokens": 900}, "limits.tokens"), ({"usd": 0.0001}, "limits.usd")],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_when_little_is_left_the_crew_gets_it(
    scene: Callable[..., Scene], provider: Provider, limits: dict[str, Any], key: str
) -> None:
    at = scene(**{f"limits__{name}": value for name, value in limits.items()})
    assert math.isnan(at.judge.probability(CLAIM, SOURCE))
    assert provider.requests == []
    assert at.kit.meter.ended is None
    assert key in str(at.events("judge")[0].content["reason"])


def test_a_run_that_has_ended_asks_nobody(scene: Callable[..., Scene], provider: Provider) -> None:
    from pilotage.guard.limits import Ended

    at = scene()
    at.kit.meter.end(Ended("interrupted", "Ctrl-C"))
    with pytest.raises(RunEnded):
        at.judge.probability(CLAIM, SOURCE)
    assert provider.requests == []


def test_a_resumed_run_finds_the_verdict_on_its_tape(scene: Callable[..., Scene], provider: Provider) -> None:
    provider.likely = {"Yes": 0.8, "No": 0.2}
    first = scene()
    told = first.judge.probability(CLAIM, SOURCE)
    second = scene()
    tape = Tape(list(read_events(first.runner.engine, first.kit.journal.run)))
    second.kit.guard.recall = Recall(second.runner.redactor, second.kit.guard.number, tape=tape)
    judge = judging.for_kit(second.kit)
    assert judge is not None
    assert judge.probability(CLAIM, SOURCE) == told
    assert len(provider.requests) == 1
    assert second.events("model_call")[0].facts["served"] == "tape"


def test_a_run_played_from_a_tape_asks_nobody_what_is_not_on_it(
    scene: Callable[..., Scene], provider: Provider
) -> None:
    first = scene()
    first.judge.probability(CLAIM, SOURCE)
    second = scene()
    tape = Tape(list(read_events(first.runner.engine, first.kit.journal.run)))
    second.kit.guard.recall = Recall(second.runner.redactor, second.kit.guard.number, tape=tape, only=True)
    judge = judging.for_kit(second.kit)
    assert judge is not None
    assert judge.probability(CLAIM, SOURCE) == 1.0
    assert math.isnan(judge.probability(CLAIM, SOURCE))
    assert tape.drift is None
    assert len(provider.requests) == 1


def test_the_same_call_of_another_run_is_served_from_the_cache(scene: Callable[..., Scene], provider: Provider) -> None:
    for _ in range(2):
        assert scene(cache__calls=True).judge.probability(CLAIM, SOURCE) == 1.0
    assert len(provider.requests) == 1


def test_an_answer_of_the_agent_is_forgotten_and_not_the_judges(
    scene: Callable[..., Scene], provider: Provider
) -> None:
    at = scene(cache__calls=True)
    at.judge.probability(CLAIM, SOURCE)
    at.kit.guard.recall.refused("verify")
    assert scene(cache__calls=True).judge.probability(CLAIM, SOURCE) == 1.0
    assert len(provider.requests) == 1


def test_a_command_asks_without_a_run(load: Load, provider: Provider) -> None:
    settings = load(limits__model_calls=2, limits__tokens=150)
    judge = judging.for_settings(settings, PRICED)
    provider.likely = {"No": 0.9, "Yes": 0.1}
    assert [judge.probability(f"{CLAIM} {n}", SOURCE) for n in range(4)] == [pytest.approx(0.1, abs=1e-5)] * 4
    assert not settings.store.exists()


def test_a_command_stops_at_its_money(load: Load, provider: Provider) -> None:
    judge = judging.for_settings(load(limits__usd=2e-5), PRICED)
    assert judge.probability(CLAIM, SOURCE) == 1.0
    judge.probability("Another claim.", SOURCE)
    with pytest.raises(LimitExceeded, match=r"limits\.usd"):
        judge.probability("A third claim.", SOURCE)


def test_a_command_says_when_nobody_answers(load: Load, provider: Provider) -> None:
    provider.word = 401
    judge = judging.for_settings(load(), PRICED)
    assert math.isnan(judge.probability(CLAIM, SOURCE))
    judge.probability(CLAIM, SOURCE)
    with pytest.raises(PilotageError, match=r"3 times in a row: .*refused the key"):
        judge.probability(CLAIM, SOURCE)


@pytest.mark.parametrize(
    ("name", "said"),
    [("reader", "cannot judge"), ("openai/gpt-4o-mini", "OPENAI_API_KEY is not set"), ("gguf:/none.gguf", "none.gguf")],
)
def test_a_model_that_cannot_judge_is_told_before_anything_starts(load: Load, name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        judging.check(load(checks__judge=name))
    assert str(caught.value).startswith("checks.judge: ")
    assert said in str(caught.value)


def test_another_provider_does_not_get_the_address_of_the_crews(load: Load) -> None:
    settings = load(model__name="openai/local-model", model__base_url="http://127.0.0.1:9/v1")
    assert judging.model_spec(settings, "openai/other").base_url == "http://127.0.0.1:9/v1"
    assert judging.model_spec(settings, "anthropic/x").base_url is None
    assert judging.model_spec(settings, "anthropic/x").fallbacks == []


def test_a_local_model_is_asked_for_the_probability_itself(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    class Loaded:
        def first_word(self, messages: Any, *, go_on: Any) -> Answered:
            go_on()
            seen.append(messages)
            return Answered("No", "stop", 70, 1, 60, 0.1, {"Yes": math.log(0.1), "No": math.log(0.7)})

    monkeypatch.setattr("pilotage.model.gguf.model.LocalModel.open", lambda _path, _spec: Loaded())
    monkeypatch.setattr(judging, "check_model", lambda _settings, _name: None)  # there is no such file
    at = scene(checks__judge="gguf:q.gguf")
    assert at.judge.probability(CLAIM, SOURCE) == 0.125
    (call,) = at.events("model_call")
    assert call.facts["usd"] == 0
    assert call.facts["prompt_tokens"] > 50
    assert json.dumps(CLAIM) in seen[0][-1]["content"]
