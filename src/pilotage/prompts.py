"""What pilotage says to a model, read from prompts.yaml beside this file; config/prompts.yaml overrides it key by key.

The texts of agents and tasks are not here: they are in config/agents.yaml and config/tasks.yaml. A placeholder that is
missing or unknown is a ConfigError with file and line.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationError

from pilotage.errors import ConfigError
from pilotage.spec import Strict, Text
from pilotage.yamlfile import describe, read_yaml

PROMPTS = "config/prompts.yaml"
_OWN = Path(__file__).with_suffix(".yaml")
_PLACE = re.compile(r"\{([a-z_]+)\}")


def _with(*places: str) -> AfterValidator:
    """A text in which just these placeholders stand, each at least once."""

    def check(text: str) -> str:
        found = set(_PLACE.findall(text))
        if missing := [place for place in places if place not in found]:
            raise ValueError(f"expected the placeholder {{{missing[0]}}}")
        if unknown := sorted(found.difference(places)):
            raise ValueError(f"unknown placeholder {{{unknown[0]}}}")
        return text

    return AfterValidator(check)


Plain = Annotated[str, _with()]


class CrewPrompts(Strict):
    rule: Plain
    expected: Annotated[str, _with("expected")]
    faults: Plain
    input: Plain
    sources: Plain


class ConfirmPrompts(Strict):
    ask: Annotated[str, _with("rule", "first", "second")]


class HoldsExample(Strict):
    place: str
    quote: Text
    question: Text
    holds: bool


class LocalPrompts(Strict):
    tools: Annotated[str, _with("tools")]
    result: Annotated[str, _with("tool")]
    holds: Plain
    holds_ask: Annotated[str, _with("place", "quote", "question")]
    examples: list[HoldsExample]
    statements: Plain


class RoundsPrompts(Strict):
    again: Annotated[str, _with("tried")]
    lessons: Annotated[str, _with("lessons")]


class ClaimExample(Strict):
    source: Text
    claim: Text
    holds: bool


class AnswerExample(Strict):
    question: Text
    answer: Text
    context: str = ""
    addresses: bool


class JudgePrompts(Strict):
    claim: Plain
    claim_ask: Annotated[str, _with("source", "claim")]
    claims: list[ClaimExample]
    answer: Plain
    answer_ask: Annotated[str, _with("question", "answer")]
    answers: list[AnswerExample]


class Prompts(Strict):
    """All of prompts.yaml, section by section."""

    crew: CrewPrompts
    confirm: ConfirmPrompts
    local: LocalPrompts
    rounds: RoundsPrompts
    judge: JudgePrompts


def fill(template: str, **values: str) -> str:
    """The template with its placeholders filled in; braces of JSON in it, and in the values, stay as they are.

    >>> fill('Answer {"ok": true} to {question}', question="{why}?")
    'Answer {"ok": true} to {why}?'
    """
    return _PLACE.sub(lambda match: values.get(match.group(1), match.group()), template)


@cache
def defaults() -> Prompts:
    """The texts that pilotage ships."""
    return Prompts.model_validate(read_yaml(_OWN, _OWN.name)[0])


def load(root: Path | None = None) -> Prompts:
    """The texts in force in a project; those that pilotage ships without a config/prompts.yaml."""
    if root is None or not os.path.lexists(root / PROMPTS):
        return defaults()
    tree, marks = read_yaml(root / PROMPTS, PROMPTS)
    try:
        return Prompts.model_validate(_merged(defaults().model_dump(), tree))
    except ValidationError as error:
        raise describe(error, Prompts, marks, PROMPTS) from None
    except TypeError as error:
        raise ConfigError(f"{PROMPTS}: {error}", hint="a section is a mapping of keys to texts") from None


def _merged(own: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    merged = dict(own)
    for key, value in given.items():
        inner = own.get(key)
        if value is None:  # a section whose lines are all comments
            continue
        if isinstance(inner, dict) and not isinstance(value, dict):
            raise TypeError(f'expected a mapping under "{key}"')
        merged[key] = _merged(inner, value) if isinstance(inner, dict) else value
    return merged
