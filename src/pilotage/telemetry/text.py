"""Texts as they are sent: of a bounded length, and only with characters that protobuf takes."""

from __future__ import annotations

import json
from typing import Any

from pilotage.errors import shortened

LONGEST = 16_000  # characters of one text on a span
EVENT = 100_000  # characters of one text of an event that is sent as it is, mostly JSON
SAID = 200  # characters of what a sink has answered
NOTE = 2_000  # characters of one text on a span event, and of an error


class Whole(str):
    """A text that is bounded already and must not be cut (again): JSON above all."""

    __slots__ = ()


def clean(text: str, most: int = LONGEST) -> str:
    """The text, cut after `most` characters, with `?` for halves of surrogate pairs.

    >>> clean("caf\\ud800e", 100), clean("abcdef", 3)
    ('caf?e', 'abc… (6 characters)')
    """
    if isinstance(text, Whole):
        return text
    text = text if len(text) <= most else Whole(shortened(text, most))
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return Whole(text.encode("utf-8", "replace").decode())
    return text


def one_line(text: str, most: int = SAID) -> str:
    """What another program has said, for a terminal: printable, on one line, cut.

    >>> one_line("no\\n\\x1b[2J way")
    'no [2J way'
    """
    return clean(" ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split()), most)


def as_json(value: Any) -> Whole:
    """JSON whose strings are clean; what it is made of must be bounded."""
    return Whole(clean(json.dumps(value, ensure_ascii=False, default=str), most=10**9))
