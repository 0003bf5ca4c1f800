"""parse(): the typed result in whatever a model wraps around it; a ValueError that says what was wrong otherwise."""

from __future__ import annotations

import json

import pytest

from pilotage.checks.results import TYPES, Data, Explanation, Findings, Solution, Verdicts, parse

GOOD = '{"findings": [{"claim": "c", "quote": "a \\"q\\" {x}", "source": "a.md#1"}]}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```",
        f"Sure! Here is the JSON you asked for:\n\n{GOOD}\n\nLet me know if you need more.",
        f"I used {{curly}} braces. {GOOD}",
        f"{{not json}} {GOOD} {{also not}}",
        f'{{"other": 1}} {GOOD}',
        f"Thought: done\nFinal Answer: {GOOD}",
        f"\ufeff  {GOOD}",
        f"<think>{{hm}}</think>{GOOD}",
        f"{GOOD}{GOOD}",
        json.dumps(json.loads(GOOD), indent=4),
        f'{{"result": {GOOD}}}',
    ],
)
def test_the_result_is_read_bare_fenced_or_between_words(text: str) -> None:
    (finding,) = parse(text, Findings).findings
    assert (finding.claim, finding.quote, finding.source) == ("c", 'a "q" {x}', "a.md#1")


def test_line_breaks_inside_strings_are_read() -> None:
    text = '{"findings": [{"claim": "c", "quote": "two\nlines\tand a tab", "source": "s"}]}'
    assert parse(text, Findings).findings[0].quote == "two\nlines\tand a tab"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no JSON object in it"),
        ("no braces at all", "there is no JSON object in it"),
        ("[1, 2]", "there is no JSON object in it"),
        ("null", "there is no JSON object in it"),
        ("{", "its JSON is broken"),
        (GOOD[:-1], "claim|findings|broken"),
        (GOOD[:40], "broken"),
        (GOOD.replace('"', "'"), "its JSON is broken"),
        ('{"findings": [{"claim": "c", "quote": "q"}]}', "findings.0.source: Field required|findings: Field required"),
        ('{"findings": "none"}', "findings: Input should be a valid list"),
        ('{"findings": null}', "findings: Input should be a valid list"),
        ("{}", "findings: Field required"),
        ('{"findings": [{"claim": 1, "quote": "q", "source": "s"}]}', "valid string|Field required"),
    ],
)
def test_what_is_no_result_is_a_value_error_that_says_why(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(text, Findings)


def test_a_cut_off_list_is_not_taken_for_a_shorter_one() -> None:
    whole = json.dumps({"findings": [{"claim": c, "quote": c, "source": c} for c in "abc"]})
    for end in range(len(whole)):
        with pytest.raises(ValueError, match=r"."):
            parse(whole[:end], Findings)


@pytest.mark.parametrize("verdict", ["SUPPORTED", "true", "yes", "supported ", ""])
def test_a_verdict_is_one_of_three_words(verdict: str) -> None:
    row = {"claim": "c", "quote": "q", "source": "s", "verdict": verdict, "reason": "r"}
    with pytest.raises(ValueError, match=r"verdicts\.0\.verdict|Field required"):
        parse(json.dumps({"verdicts": [row]}), Verdicts)


def test_an_empty_list_is_a_result() -> None:
    assert parse('{"findings": []}', Findings).findings == []


def test_the_name_of_every_type_of_the_template_is_known() -> None:
    kinds = (Findings, Verdicts, Explanation, Solution, Data)
    assert {kind.__name__: kind for kind in kinds} == TYPES


@pytest.mark.parametrize("text", ['{"a":' * 300, "{" * 3000, '{"a": [' * 150])
def test_deep_nonsense_is_a_value_error_soon(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text, Findings)


def test_deeper_nonsense_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match=r"."):
        parse('{"a":' * 100_000, Findings)


def test_a_form_repeated_before_the_answer_is_not_taken_for_it() -> None:
    text = f'If nothing answers I return {{"findings": []}}. But here is one:\n{GOOD}'
    assert len(parse(text, Findings).findings) == 1
