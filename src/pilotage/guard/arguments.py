"""What a call's arguments hold that a policy judges: addresses and paths, however deep and in however long a text.

A value is taken for an address or a path by the name that it stands under, or by its form. What is not covered: what a
tool makes of its arguments, such as decoding, joining or shortening them.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

_ADDRESS_NAME = re.compile(
    r"(?:^|_)(?:url|uri|href|src|link|host|hostname|domain|website|site|endpoint|address|webhook|server|proxy|origin)s?(?:_|$)"
)
_PATH_NAME = re.compile(
    r"(?:^|_)(?:path|pathname|file|filename|filepath|folder|dir|dirname|directory|directories)s?(?:_|$)"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[-\s]+")
_URL = re.compile(
    r"(?<![a-z0-9+.-])(?:[a-z][a-z0-9+.-]{1,20}:[/\\]{2}|(?:https?|wss?|ftps?):(?=\S))[^\s\"'<>]*"
    r"|(?<![\w:/\\])[/\\]{2}[\w-]{1,63}\.[^\s\"'<>]*",  # //host.org, which browsers complete
    re.IGNORECASE,
)
_WEB = re.compile(r"\s*(?:https?|wss?|ftps?)://", re.IGNORECASE)
_FILE = re.compile(r"\s*file:", re.IGNORECASE)
_PATH = re.compile(
    r"\s*(?:[/\\]|~[\w-]*(?:[/\\]|\s*\Z)|\.{1,2}(?:[/\\]|\s*\Z)|[a-z]:[/\\]|(?:[^\s/\\]+[/\\])+\.\.(?:[/\\]|\s*\Z))",
    re.IGNORECASE,
)
_INNER = re.compile(  # an absolute path, or one that goes upwards, in a list of paths
    r"(?<![\w/\\.~-])(?:~[\w-]*|[a-z]:)?[/\\](?![/\\])[^\s\"'<>|;,:]*|(?<![\w/\\.-])(?:[\w.-]{1,255}[/\\]){0,30}\.\.[/\\][^\s\"'<>|;,:]*",
    re.IGNORECASE,
)
_INNER_FILE = re.compile(r"(?<![a-z])file:[^\s\"'<>]+", re.IGNORECASE)
LONGEST_PATH = 4096


def texts_in(arguments: Any) -> Iterator[tuple[str, str]]:
    """Every text in the arguments with the name that it stands under; what is JSON inside a text is read too."""
    waiting: deque[tuple[str, Any]] = deque([("", arguments)])
    while waiting:
        name, value = waiting.popleft()
        if isinstance(value, bytes | bytearray):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            yield name, value
            waiting.append((name, _json(value)))
        elif isinstance(value, PurePath):
            yield name if _PATH_NAME.search(name) else "path", str(value)
        elif isinstance(value, Mapping):
            waiting.extend((name, key) for key in value if isinstance(key, str))
            waiting.extend((_snake(str(key)), item) for key, item in value.items())
        elif isinstance(value, list | tuple | set | frozenset | deque):
            waiting.extend((name, item) for item in value)
        elif hasattr(value, "model_dump"):
            waiting.append((name, value.model_dump()))
        elif value is not None and not isinstance(value, int | float):
            yield name, str(value)


def urls_in(name: str, value: str) -> list[str]:
    """The addresses in a text: all of it where its name says so, and each that has the form of one."""
    whole = [value] if _ADDRESS_NAME.search(name) and value.strip() else []
    return whole + [found.rstrip(".,;:!?)]}*_") for found in _URL.findall(value)]


def paths_in(name: str, value: str) -> Iterator[tuple[str, bool]]:
    """The paths in a text, and whether each is one by its name or form; the others may be words with a slash.

    A text is one path, or a list of them where its name says so; a path within other text is not looked for.
    """
    named = bool(_PATH_NAME.search(name))
    sure = named or bool(_PATH.match(value))
    short = len(value) <= LONGEST_PATH and "\n" not in value.strip()
    if not _WEB.match(value) and not is_file(value) and (sure or short):
        yield value.strip(), sure
    yield from ((file_path(found), True) for found in _INNER_FILE.findall(value))
    if named:
        yield from ((found, True) for found in _INNER.findall(_INNER_FILE.sub(" ", value)))


def is_file(url: str) -> bool:
    return bool(_FILE.match(url))


def file_path(url: str) -> str:
    """The path of a file: address, decoded; one on another machine begins with //. Other texts stay as they are."""
    if not _FILE.match(url):
        return url
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return "//"
    away = f"//{parts.netloc}" if parts.netloc.lower() not in ("", "localhost") else ""
    return away + unquote(parts.path)


def _json(text: str) -> Any:
    """What a text holds as JSON when it is an object or a list, else None."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _snake(name: str) -> str:
    """`targetURL` and `target-url` as `target_url`."""
    return _HUMP.sub("_", name).lower()
