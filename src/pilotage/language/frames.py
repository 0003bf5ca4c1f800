"""Frames of questions, read from frames.txt: what is replaced wherever it stands, and what stands for the whole."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

Rule = tuple[re.Pattern[str], str]
_FILE = Path(__file__).with_name("frames.txt")
_NAME = re.compile(r"(?<!\?P)<([a-z ]+)>")


@cache
def everywhere() -> list[Rule]:
    """Patterns, and what `Match.expand` makes of them."""
    return _section("everywhere")


@cache
def rules() -> list[Rule]:
    """Patterns of whole questions, and templates with the names of their groups in braces."""
    return _section("rules")


def _section(name: str) -> list[Rule]:
    sections = _sections()
    names = dict(sections["names"])
    return [(re.compile(_filled(pattern, names)), instead) for pattern, instead in sections[name]]


@cache
def _sections() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in _FILE.read_text("utf-8").splitlines():
        if line.startswith("["):
            name = line[1 : line.index("]")]
        elif line.strip() and not line.startswith("# "):
            pattern, _, instead = line.partition("  =>")
            found.setdefault(name, []).append((pattern, instead.strip()))
    return found


def _filled(pattern: str, names: dict[str, str]) -> str:
    return _NAME.sub(lambda found: names[found[1]] if found[1] in names else found[0], pattern)
