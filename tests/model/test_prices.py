"""What a call costs: of one's own prices and of the list, of every kind of token, of every tier, and at most."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from pilotage.errors import ConfigError
from pilotage.model import catalogue
from pilotage.model.door import Door, open_door
from pilotage.model.prices import LISTED, Prices, price
from pilotage.model.usage import Used
from pilotage.settings import PRICES, Settings, read_prices
from pilotage.spec import PriceSpec
from tests.model.bench import Make, provider

Load = Callable[..., Settings]
ENTRY = {
    "input_cost_per_token": 1e-6, "output_cost_per_token": 5e-6, "cache_read_input_token_cost": 1e-7,
    "cache_creation_input_token_cost": 1.25e-6, "cache_creation_input_token_cost_above_1hr": 2e-6,
    "output_cost_per_reasoning_token": 7e-6, "input_cost_per_request": 0.01, "input_cost_per_token_priority": 9.0,
    "input_cost_per_token_above_200k_tokens": 3e-6, "output_cost_per_token_above_200k_tokens": 9e-6,
    "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 4e-6, "output_cost_per_image": 99.0,
    "input_cost_per_token_above_200k_tokens_batches": 99.0,
}  # fmt: skip


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`listed(m=entry)` is all that CrewAI's list holds."""
    return lambda **entries: monkeypatch.setattr("pilotage.model.catalogue.catalogue", lambda: entries)


def usd(model: str, used: Used, prices: Prices = LISTED, **at: Any) -> float | None:
    found = prices.of(model, **at)
    return found.usd(used) if found else None


# --- CrewAI's list


def test_a_known_model_has_its_price_with_and_without_its_provider() -> None:
    expected = pytest.approx(1000 * 0.15e-6 + 500 * 0.6e-6)
    assert price("openai/gpt-4o-mini", 1000, 500) == expected
    assert price("gpt-4o-mini", 1000, 500) == expected


@pytest.mark.parametrize("name", ["openai/no-such-model", "nobody/nothing", "", "openai/", "bedrock/gpt-4o-mini"])
def test_an_unknown_model_is_none_never_zero(name: str) -> None:
    assert price(name, 1000, 500) is None
    assert LISTED.dearest(name, 1, 1) is None


@pytest.mark.parametrize("name", ["ollama/llama3.2", "ollama_chat/x", "hosted_vllm/y"])
def test_a_server_of_ones_own_costs_nothing(name: str) -> None:
    assert price(name, 1_000_000, 1_000_000) == 0.0
    assert LISTED.dearest(name, 1000, 1000) == 0.0


def test_cached_tokens_cost_less() -> None:
    assert price("openai/gpt-4o-mini", 1000, 0, 1000) == pytest.approx(1000 * 0.075e-6)


def test_no_price_list_means_unpriced(listed: Callable[..., None]) -> None:
    listed()
    assert price("openai/gpt-4o-mini", 1, 1) is None


def test_a_model_of_an_unknown_provider_does_not_take_openais_price() -> None:
    assert price("myproxy/gpt-4o-mini", 1000, 500) is None


def test_a_model_of_bedrock_is_listed_without_its_prefix() -> None:
    assert price("bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0", 1_000_000, 0) == pytest.approx(3.0)


def test_every_kind_of_token_has_its_price(listed: Callable[..., None]) -> None:
    listed(m=ENTRY)
    used = Used(prompt=1000, completion=100, cached=300, reasoning=40, written=200, written_long=50)
    million = 500 * 1 + 300 * 0.1 + 150 * 1.25 + 50 * 2 + 60 * 5 + 40 * 7
    assert usd("m", used) == pytest.approx(0.01 + million / 1e6)


def test_what_is_not_listed_costs_what_it_is_a_part_of(listed: Callable[..., None]) -> None:
    listed(m={"input_cost_per_token": 1e-6, "output_cost_per_token": 5e-6})
    used = Used(prompt=1000, completion=100, cached=300, reasoning=40, written=200, written_long=50)
    assert usd("m", used) == pytest.approx((1000 * 1 + 100 * 5) / 1e6)


@pytest.mark.parametrize(("prompt", "rate", "said"), [(200_000, 1e-6, 5e-6), (200_001, 3e-6, 9e-6)])
def test_a_whole_call_is_priced_at_the_tier_of_its_prompt(
    listed: Callable[..., None], prompt: int, rate: float, said: float
) -> None:
    listed(m=ENTRY)
    assert usd("m", Used(prompt, 10)) == pytest.approx(0.01 + prompt * rate + 10 * said)


def test_a_tier_has_its_own_price_of_what_is_kept_for_an_hour(listed: Callable[..., None]) -> None:
    listed(m=ENTRY)
    long = Used(300_000, written=300_000, written_long=300_000)
    assert usd("m", long) == pytest.approx(0.01 + 300_000 * 4e-6)
    assert usd("m", Used(300_000, cached=300_000)) == pytest.approx(0.01 + 300_000 * 1e-7), "as below the tier"


@pytest.mark.parametrize(
    ("name", "above", "rate"),
    [("gemini/gemini-2.5-pro", 200_000, 2.5), ("openai/gpt-5.4", 272_000, 5.0),
     ("dashscope/qwen3-coder-plus", 128_000, 3.0), ("dashscope/qwen3-coder-plus", 256_000, 6.0)],
)  # fmt: skip
def test_the_tiers_of_real_models_are_read(name: str, above: int, rate: float) -> None:
    found = LISTED.of(name)
    assert found is not None
    assert found.rates(above).input * 1e6 < rate
    assert found.rates(above + 1).above == above
    assert found.rates(above + 1).input * 1e6 == pytest.approx(rate)


def test_thoughts_at_the_price_of_the_answer_stay_there_in_a_tier(listed: Callable[..., None]) -> None:
    listed(m={**ENTRY, "output_cost_per_reasoning_token": 5e-6})
    assert usd("m", Used(300_000, 10, reasoning=10)) == usd("m", Used(300_000, 10))


def test_the_whole_list_can_be_read() -> None:
    found = [LISTED.of(name) for name in catalogue.catalogue()]
    priced = [each for each in found if each]
    assert len(priced) > 3000
    assert all(min(rates.input, rates.output, rates.cached) >= 0 for each in priced for rates in each.tiers)


# --- at most


@pytest.mark.parametrize("name", ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-pro"])
@pytest.mark.parametrize("prompt", [1000, 200_001])
def test_no_call_costs_more_than_the_dearest_price(name: str, prompt: int) -> None:
    most = LISTED.dearest(name, prompt, 500)
    assert most is not None
    for used in (Used(prompt, 500), Used(prompt, 500, prompt), Used(prompt, 500, 0, False, 500, prompt, prompt)):
        assert (usd(name, used) or 0) <= most


def test_the_dearest_price_is_that_of_the_tiers_that_a_prompt_can_reach(listed: Callable[..., None]) -> None:
    listed(m=ENTRY)
    assert LISTED.dearest("m", 10, 1) == pytest.approx(0.01 + 10 * 2e-6 + 7e-6)
    assert LISTED.dearest("m", 200_001, 1) == pytest.approx(0.01 + 200_001 * 4e-6 + 9e-6)


# --- one's own prices


def own(**entries: Any) -> Prices:
    return Prices({name.replace("__", "/"): [PriceSpec(**entry)] for name, entry in entries.items()})


def test_a_price_of_ones_own_comes_before_the_list() -> None:
    mine = own(openai__gpt_4o={"input": 1, "output": 2}, ollama__dear={"input": 3, "output": 4})
    assert usd("openai/gpt_4o", Used(1_000_000), mine) == 1.0
    assert usd("gpt_4o", Used(1_000_000), mine) == 1.0, "a bare name is OpenAI's"
    assert usd("ollama/dear", Used(0, 1_000_000), mine) == 4.0
    assert usd("openai/gpt-4o-mini", Used(1000), mine) == price("openai/gpt-4o-mini", 1000, 0)
    assert usd("openai/unheard-of", Used(1000), mine) is None


def test_the_longest_pattern_counts_and_an_exact_name_before_it() -> None:
    specs = {"*": 1, "a/*": 2, "a/b*": 3, "a/b": 4}
    mine = Prices({name: [PriceSpec(input=usd, output=0)] for name, usd in specs.items()})
    found = {name: usd(name, Used(1_000_000), mine) for name in ("z/z", "a/z", "a/bc", "a/b")}
    assert found == {"z/z": 1.0, "a/z": 2.0, "a/bc": 3.0, "a/b": 4.0}


def at(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, tzinfo=UTC).timestamp()


def test_the_price_in_force_at_the_time_of_the_call_counts() -> None:
    days = [date(2026, 10, 1), date(2026, 12, 1)]
    mine = Prices({"openai/gpt-4o-mini": [PriceSpec(input=n, output=0, since=day) for n, day in enumerate(days, 7)]})
    when = [(at(2026, 9, 30), 0.15), (at(2026, 10, 1), 7.0), (at(2026, 11, 30), 7.0), (at(2027, 1, 1), 8.0)]
    for moment, rate in when:
        assert usd("openai/gpt-4o-mini", Used(1_000_000), mine, at=moment) == pytest.approx(rate)


def test_a_price_of_ones_own_has_all_kinds_and_tiers() -> None:
    mine = own(m={
        "input": 1, "output": 5, "cached": 0.1, "written": 1.25, "written_long": 2, "reasoning": 7, "request": 0.01,
        "above": {200_000: {"input": 3, "output": 9, "reasoning": 9}},
    })  # fmt: skip
    used = Used(prompt=1000, completion=100, cached=300, reasoning=40, written=200, written_long=50)
    million = 500 * 1 + 300 * 0.1 + 150 * 1.25 + 50 * 2 + 60 * 5 + 40 * 7
    assert usd("m", used, mine) == pytest.approx(0.01 + million / 1e6)
    assert usd("m", Used(300_000, 10), mine) == pytest.approx(0.01 + 0.9 + 9e-5)
    assert mine.dearest("m", 1000, 10) == pytest.approx(0.01 + 2e-3 + 7e-5)
    found = mine.of("m")
    assert found is not None
    assert found.per_token == pytest.approx(9e-6)


# --- config/prices.yaml

SHIPPED = Path(__file__).parents[2] / PRICES


def written(project: Path, text: str) -> dict[str, tuple[PriceSpec, ...]]:
    (project / PRICES).write_text(text, "utf-8")
    return read_prices(project)


def test_the_file_that_is_shipped_is_empty_and_its_examples_are_valid(project: Path) -> None:
    assert read_prices(project) == {}
    lines = SHIPPED.read_text("utf-8").split("#\n", 1)[1].splitlines()
    found = written(project, "\n".join(line.removeprefix("# ").removeprefix("#") for line in lines))
    assert sorted(found) == ["anthropic/claude-example", "my-server/*", "openai/my-model"]
    assert found["openai/my-model"][0].above[200_000].output == 3.2
    assert [spec.since for spec in found["anthropic/claude-example"]] == [None, date(2026, 12, 1)]


def test_the_file_may_be_missing(project: Path, load: Load) -> None:
    (project / PRICES).unlink()
    assert load().prices == {}


def test_prices_come_with_the_settings(project: Path, load: Load) -> None:
    written(project, "tests/model: {input: 1, output: 2}\n")
    assert load().prices["tests/model"][0].output == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a/b:\n  input: 1\n  outptu: 2\n", 'prices.yaml:3: unknown key "a/b.outptu"'),
        ("a/b: {input: 1}\n", 'prices.yaml:1: "a/b.output" is missing'),
        ("x: {input: 1, output: 1}\na/b: {input: -1, output: 2}\n", 'prices.yaml:2: "a/b.input"'),
        ("a/b: {input: .inf, output: 2}\n", 'prices.yaml:1: "a/b.input"'),
        ("a/b: {input: cheap, output: 2}\n", "expected a valid number, found 'cheap'"),
        ("a/b: {input: 1, output: 2, since: soon}\n", 'prices.yaml:1: "a/b.since"'),
        ("a/b: {input: 1, output: 2, above: {much: {input: 1, output: 2}}}\n", 'prices.yaml:1: "a/b.above.much'),
        ("a/b: {input: 1, output: 2, above: {200000: {input: 1}}}\n", '"a/b.above.200000.output" is missing'),
        ("a/b: 3\n", 'prices.yaml:1: "a/b": expected a mapping'),
        ("a/b: []\n", 'prices.yaml:1: "a/b": no price is listed'),
        ("a/b: [{input: 1, output: 2}, {input: 1, output: 2}]\n", 'prices.yaml:1: "a/b": two prices hold since ever'),
        ("a/b: [{input: 1, output: 2}, {input: 1}]\n", 'prices.yaml:1: "a/b.[1].output" is missing'),
        ("a/b: {input: 1, output: 2, above: {0: {input: 1, output: 2}}}\n", 'prices.yaml:1: "a/b.above.0'),
        ("a/b: {input: 1, output: 2}\nA/b: {input: 1, output: 2}\n", 'prices.yaml:2: "A/b" stands there already'),
        ("a*b: {input: 1, output: 2}\n", 'prices.yaml:1: "a*b": a * stands at the end'),
        ("- a\n", "prices.yaml:1: expected a mapping of names"),
    ],
)
def test_a_fault_names_its_line(project: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        written(project, text)
    assert said in str(caught.value)


@pytest.mark.parametrize("make", [lambda file: file.mkdir(), lambda file: file.symlink_to("nowhere")])
def test_what_is_no_file_is_not_passed_over(project: Path, make: Callable[[Path], None]) -> None:
    (project / PRICES).unlink()
    make(project / PRICES)
    with pytest.raises(ConfigError, match=r"config/prices\.yaml: "):
        read_prices(project)


@pytest.mark.parametrize("name", ["gpt-4o-mini", "OpenAI/GPT-4o-mini", "openai/gpt-4o-mini ", "gpt-*"])
def test_a_name_is_found_without_its_prefix_and_whatever_its_case(name: str) -> None:
    prices = Prices({name: [PriceSpec(input=7, output=7)]})
    assert usd("openai/gpt-4o-mini", Used(1_000_000), prices) == 7
    assert usd("gpt-4o-mini", Used(1_000_000), prices) == 7
    assert usd("openrouter/gpt-4o-mini", Used(1_000_000), prices) is None


# --- in the journal


def test_a_call_keeps_the_price_it_was_billed_at(bench: Make) -> None:
    table = bench()
    play = usage(prompt_tokens=300_000, completion_tokens=100, cached_prompt_tokens=100_000, reasoning_tokens=60)
    mine = own(tests__model={
        "input": 0.4, "output": 1.6, "cached": 0.1, "since": date(2026, 1, 1),
        "above": {200_000: {"input": 0.8, "output": 3.2}},
    })  # fmt: skip
    table.guard(play, prices=mine).call("q")
    facts = table.calls()[0].facts
    rates = {"input": 0.8, "output": 3.2, "cached": 0.1, "reasoning": 3.2, "above": 200_000}
    assert (facts["price"], facts["priced_by"], facts["priced_on"]) == (rates, "prices.yaml", "2026-01-01")
    assert (facts["cached_tokens"], facts["reasoning_tokens"]) == (100_000, 60)
    assert facts["usd"] == pytest.approx((200_000 * 0.8 + 100_000 * 0.1 + 100 * 3.2) / 1e6)
    assert table.meter.usd == pytest.approx(facts["usd"])


def test_a_call_at_the_lists_price_says_which_list(bench: Make) -> None:
    table = bench()
    llm = provider(usage(prompt_tokens=1000, completion_tokens=100))
    opened: Any = open_door(llm, Door("agent", "openai/gpt-4o-mini", table.meter, table.journal))
    opened.call("q")
    facts = table.calls()[0].facts
    assert facts["priced_by"] == f"crewai {version('crewai')} catalogue"
    assert facts["price"] == {"input": 0.15, "output": 0.6}
    assert "priced_on" not in facts


def test_an_unpriced_call_says_so_and_names_no_price(bench: Make) -> None:
    table = bench()
    table.guard(usage(prompt_tokens=1000, completion_tokens=100)).call("q")
    facts = table.calls()[0].facts
    assert facts["usd"] == "unpriced"
    assert not {"price", "priced_by", "priced_on"} & facts.keys()


def test_a_strict_budget_knows_ones_own_prices(bench: Make) -> None:
    table = bench(strict_budget=True, usd=0.001)
    mine = own(tests__model={"input": 1, "output": 1000})
    with pytest.raises(Exception, match=r"limits\.strict_budget"):
        table.guard(lambda _: "x", prices=mine).call("q")
    assert table.calls() == []


def usage(**told: int) -> Callable[[Any], str]:
    """A provider that reports these tokens."""

    def play(llm: Any) -> str:
        llm._track_token_usage_internal(dict(told))
        return "an answer"

    return play
