"""The bound of one call: never below what a tokenizer counts."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tokenizers import ByteLevelBPETokenizer

from pilotage.checks.results import Findings
from pilotage.model.answers import Call
from pilotage.model.fallbacks import Candidate
from pilotage.model.prices import Prices
from pilotage.model.worst import LONGEST, longest_answer, prompt_bound, worst_of
from pilotage.spec import PriceSpec
from tests.model.bench import provider

ALPHABETS = [
    "abcdefgh  ",
    "0123456789.,;:{}[]\"'\\",
    "äöüßéèñ ",
    "日本語の文章です",
    "🙂🚀👩‍💻",
    "\n\t\r  ",
    "\x00\x1f\ud800",
]


def texts() -> list[str]:
    dice = random.Random(7)
    return ["".join(dice.choices(alphabet, k=dice.randrange(1, 400))) for alphabet in ALPHABETS for _ in range(20)]


def test_no_text_has_more_tokens_than_bytes_and_no_prompt_more_than_its_bound() -> None:
    """Tokens at their worst: one a byte, as a byte-level tokenizer makes of what it has never seen."""
    for text in texts():
        messages = [{"role": "system", "content": text}, {"role": "user", "content": text}]
        at_worst = 2 * len(text.encode("utf-8", "surrogatepass")) + 2 * 4 + 3
        assert prompt_bound(Call(messages)) >= at_worst


@pytest.mark.parametrize("vocabulary", [300, 2000])
def test_the_bound_holds_for_a_byte_level_tokenizer(vocabulary: int) -> None:
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["How many requests can one fault make? " * 50], vocab_size=vocabulary)
    for text in texts():
        plain = text.encode("utf-8", "replace").decode()
        assert prompt_bound(Call(plain)) - 256 - 16 >= len(tokenizer.encode(plain).ids)


def test_tools_and_the_type_of_the_answer_are_part_of_the_prompt() -> None:
    plain = prompt_bound(Call([{"role": "user", "content": "q"}]))
    tool = {"type": "function", "function": {"name": "search", "description": "x" * 500}}
    assert prompt_bound(Call([{"role": "user", "content": "q"}], tools=[tool])) > plain + 1500
    assert prompt_bound(Call([{"role": "user", "content": "q"}], response_model=Findings)) > plain + 1000


def test_what_is_no_json_has_a_bound_too() -> None:
    assert prompt_bound(Call([{"role": "assistant", "content": None, "tool_calls": [object()]}])) > 256


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_the_longest_answer_is_the_one_that_is_asked_for(name: str) -> None:
    class Llm:
        max_tokens: Any = None

    llm = Llm()
    assert longest_answer(llm) == LONGEST
    setattr(llm, name, 77)
    assert longest_answer(llm) == 77


def test_the_worst_case_in_dollars() -> None:
    llm = provider(lambda _: "x")
    llm.max_tokens = 100
    known, unknown = (
        worst_of(Candidate("openai/gpt-4o-mini", llm), Call("q")),
        worst_of(Candidate("x/y", llm), Call("q")),
    )
    prompt = known.tokens - 100
    assert known.usd == pytest.approx(prompt * 0.15e-6 + 100 * 0.6e-6)
    assert unknown == type(unknown)(known.tokens, None)
    mine = Prices({"x/*": [PriceSpec(input=1, output=2)]})
    assert worst_of(Candidate("x/y", llm), Call("q"), mine).usd == pytest.approx((prompt + 200) / 1e6)
    assert worst_of(Candidate("reader", llm, free=True), Call("q" * 1000)) == type(known)(0, 0.0)
