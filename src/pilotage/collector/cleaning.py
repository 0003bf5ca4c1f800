"""Takes secrets out of what was received, by their forms and by the names of attributes that say so; bounds resources.

What is not covered: a secret of a form of its own under a name that does not say so.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from typing import Any

import orjson

from pilotage.collector.otlp import Received
from pilotage.record.redact import MARK, Redactor

LARGEST_RESOURCE = 64 * 1024  # characters of its attributes; it is kept once for each session
CAPITAL = re.compile("(?<=[a-z0-9])(?=[A-Z])")
SECRET_NAME = re.compile(  # what an attribute that holds a secret ends with
    r"(^|_)(authorization|cookie|set_cookie|pwd|token|secret|passw(or)?d|passphrase|credentials?"
    r"|(api|access|account|auth|encryption|license|master|private|secret|shared|signing|subscription)_?key)$"
)


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends: the attributes of a resource without its secrets, and the same as JSON, empty for none."""

    attributes: dict[str, Any]
    text: str


def cleaned(span: Received, redactor: Redactor) -> Received:
    """The same span, in which secrets are replaced."""
    span.attributes, span.events, span.name, span.message = redactor.deep(
        [_unnamed(span.attributes), span.events, span.name, span.message]
    )
    for event in span.events:
        event["attributes"] = _unnamed(event["attributes"])
    return span


def source_of(resource: dict[str, Any], redactor: Redactor) -> Source:
    """The resource of some spans; what is more than LARGEST_RESOURCE is left out, and counted."""
    found = redactor.deep(_unnamed(resource))
    kept: dict[str, Any] = {}
    size = 0
    for name, value in found.items():
        size += len(as_json([name, value]))
        if size > LARGEST_RESOURCE:
            kept["pilotage.attributes_dropped"] = len(found) - len(kept)
            break
        kept[name] = value
    return Source(kept, as_json(kept) if kept else "")


@functools.lru_cache(maxsize=8192)
def names_secret(name: str) -> bool:
    """Whether the value under this name is secret: `key` and `token` within a name are mostly not.

    >>> names_secret("http.request.header.x-api-key"), names_secret("llm.token_count.prompt"), names_secret("cache.key")
    (True, False, False)
    """
    words = CAPITAL.sub("_", ".".join(name.split(".")[-2:]))
    return bool(SECRET_NAME.search(words.replace(".", "_").replace("-", "_").lower()))


@functools.lru_cache(maxsize=1024)
def _any_secret(names: tuple[str, ...]) -> bool:
    """Senders have few sets of names: most spans are like one before."""
    return any(map(names_secret, names))


def as_json(value: Any) -> str:
    """JSON as it is stored."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits, or half of a surrogate pair
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _unnamed(attributes: dict[str, Any]) -> dict[str, Any]:
    """Without the values of names that say that they are secret; numbers count something."""
    if not _any_secret(tuple(attributes)) and not any(type(value) is dict for value in attributes.values()):
        return attributes
    return {
        name: MARK if names_secret(name) and not isinstance(value, int | float | None)
        else _unnamed(value) if isinstance(value, dict) else value
        for name, value in attributes.items()
    }  # fmt: skip
