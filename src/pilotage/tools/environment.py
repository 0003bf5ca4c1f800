"""${NAME} in settings: what stands in the environment is filled in, and taken out again of all that goes back.

What is not covered: a value shorter than six characters is not taken out, as it would take ordinary words with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from pilotage.errors import ConfigError
from pilotage.record.redact import MARK

REFERENCE = re.compile(r"\$\{(\w*)\}")
SHORTEST = 6
HINT = "put it into .env; `pilotage doctor` shows what is missing"


def references(value: Any) -> Iterator[str]:
    """The names that stand as ${NAME} in a text, or anywhere in a tree."""
    if isinstance(value, str):
        yield from REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from references(key)
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def check_references(value: Any, environment: Mapping[str, str], key: str) -> None:
    """ConfigError when a ${NAME} in the setting `key` is not set."""
    for name in references(value):
        if not environment.get(name):
            raise ConfigError(f"{key} needs {name or 'a name in ${}'}, which is not set", hint=HINT)


def fill(text: str, environment: Mapping[str, str]) -> str:
    """`text` with the value of each ${NAME} as it is.

    >>> fill("Bearer ${TOKEN}", {"TOKEN": "abc"})
    'Bearer abc'
    """
    return REFERENCE.sub(lambda match: environment.get(match[1], ""), text)


def hiding(values: Mapping[str, str] | list[str]) -> Callable[[str], str]:
    """A function that puts [redacted] in place of these values, in any form in which a URL or JSON may hold them."""
    plain = values.values() if isinstance(values, Mapping) else values
    forms = {form for value in plain if len(value) >= SHORTEST for form in _forms(value)}
    if not forms:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)), re.IGNORECASE)
    return lambda text: pattern.sub(MARK, text)


def _forms(value: str) -> set[str]:
    return {value, quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]}
