"""The command `pilotage cache`: what would be served again, and whether two questions ask the same.

`check` judges pairs of questions by the very function that a run uses; nothing is entered or served. `list`, `clear`
and `stats` are of the files in runs/.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pilotage.errors import ConfigError
from pilotage.report import money, printable, say
from pilotage.terminal import Json, open_journal, print_lines, settings_from, text_of

if TYPE_CHECKING:
    from pilotage.answers.entry import Entry
    from pilotage.answers.store import Store
    from pilotage.evidence.embedder import Embedder

EXACT = "cache.sqlite"
KINDS = {"calls": ("call",), "pages": ("page", "search")}  # what the exact cache calls them

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What is kept so that nothing is paid for twice.\n\nExample: pilotage cache check pairs.jsonl",
)


@app.command("check")
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Lines of JSON with a and b, two questions; - is stdin.")
    ],
) -> None:
    """Say for each pair of questions whether the answer to a would be served for b, and why.

    Example: pilotage cache check pairs.jsonl
    """
    pairs = list(_pairs(text_of(file), str(file)))
    print_lines(json.dumps(row, ensure_ascii=False) for row in _judged(pairs, _embedder()))


@app.command("list")
def list_(
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="SCOPE", help="Only this one, or its beginning.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, the newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List the verified answers that may be served again, the newest first.

    Example: pilotage cache list --limit 5
    """
    store = _answers()
    entries = store.listed(scope, limit) if store else []
    print_lines(json.dumps(_row(entry), ensure_ascii=False) if as_json else _line(entry) for entry in entries)
    if not entries:
        say("no answer is kept")


@app.command("clear")
def clear(
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="TIME", help="Only what is older, e.g. 7d, 12h, 30m.")
    ] = None,
    answers: Annotated[bool, typer.Option("--answers", help="Verified answers.")] = False,
    calls: Annotated[bool, typer.Option("--calls", help="Model calls.")] = False,
    pages: Annotated[bool, typer.Option("--pages", help="Pages and web searches.")] = False,
    as_json: Json = False,
) -> None:
    """Forget what is kept: all of it, or the kinds that are named. The journal of the runs stays.

    Example: pilotage cache clear --pages --older-than 7d
    """
    seconds = _seconds(older_than)
    every = not (answers or calls or pages)
    wanted = {"answers": answers or every, "calls": calls or every, "pages": pages or every}
    counts = {kind: _clear(kind, seconds) for kind, is_wanted in wanted.items() if is_wanted}
    said = ", ".join(f"{count:,} {kind if count != 1 else kind[:-1]}" for kind, count in counts.items())
    print_lines([json.dumps(counts) if as_json else f"forgotten: {said}"])


@app.command("stats")
def stats(as_json: Json = False) -> None:
    """Say how much is kept, how often it was served, and what that has saved.

    Example: pilotage cache stats
    """
    found = _stats()
    print_lines([json.dumps(found)] if as_json else [_stats_line(kind, row) for kind, row in found.items()])


def _answers() -> Store | None:
    """The kept answers; None when there are none yet."""
    from pilotage.answers.store import NAME, Store

    path = settings_from([]).runs / NAME
    return Store(path) if path.is_file() else None


def _row(entry: Entry) -> dict[str, Any]:
    names = ("id", "question", "at", "run", "model", "hits", "used", "usd", "tokens", "seconds", "scope")
    return {name: getattr(entry, name) for name in names} | {"sources": [source.source for source in entry.sources]}


def _line(entry: Entry) -> str:
    """`2026-11-23 08:45  20261123-084501-3f9a2c  3 hits  retries.md#1f0c2d3e  How do I …`"""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.at))
    sources = ", ".join(source.source for source in entry.sources)
    hits = f"{entry.hits} hit{'s' * (entry.hits != 1)}"
    return printable(f"{when}  {entry.run}  {hits:>7}  {sources}  {' '.join(entry.question.split())[:120]}")


def _seconds(text: str | None) -> float | None:
    """Seconds of `7d`, `12h`, `30m`, `90s`."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip().lower())
    if not found:
        raise ConfigError(f'--older-than takes a time, found "{text}"', hint="e.g. 7d, 12h, 30m, 90s")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]


def _clear(kind: str, seconds: float | None) -> int:
    from pilotage.answers import nearest
    from pilotage.cache import figures

    if kind == "answers":
        store = _answers()
        return nearest.clear(store, time.time() - (seconds or 0.0)) if store else 0
    path = settings_from([]).runs / EXACT
    return sum(figures.clear(path, part, seconds) for part in KINDS[kind])


def _stats() -> dict[str, dict[str, Any]]:
    from pilotage.cache import figures

    store, exact = _answers(), figures.stats(settings_from([]).runs / EXACT)
    found = {"answers": store.stats() if store else {"entries": 0, "bytes": 0, "hits": 0}}
    for kind, parts in KINDS.items():
        rows = [exact[part] for part in parts if part in exact]
        oldest = min((row["oldest"] for row in rows), default=None)
        found[kind] = {name: sum(row[name] for row in rows) for name in ("entries", "bytes", "hits")}
        found[kind] |= {"oldest": oldest} if oldest else {}
    if saved := _saved():
        found["calls"] |= saved
    return found


def _saved() -> dict[str, Any]:
    """What the journal's runs were served, by the cache of calls and by the tapes of earlier runs."""
    from sqlalchemy import exists, func, select

    from pilotage.record.store import NoJournal, events, runs

    as_a_whole = exists().where(events.c.run == runs.c.run, events.c.kind == "answered")  # those are answers' hits
    wanted = select(func.sum(runs.c.served), func.sum(runs.c.saved_usd)).where(runs.c.served > 0, ~as_a_whole)
    try:
        with open_journal().connect() as connection:
            served, usd = connection.execute(wanted).one()
    except NoJournal:
        return {}
    return {"served": served or 0, "saved_usd": round(usd or 0.0, 9)}


def _stats_line(kind: str, row: dict[str, Any]) -> str:
    """`answers  12 kept, 34 kB, 5 hits, saved $0.0042 and 61 s`"""
    parts = [f"{row['entries']:,} kept", f"{row['bytes'] / 1e6:.1f} MB", f"{row['hits']:,} hits"]
    if "served" in row:
        parts.append(f"{row['served']:,} calls served in recorded runs")
    if "saved_usd" in row:
        seconds = f" and {row['saved_seconds']:,.0f} s" if "saved_seconds" in row else ""
        parts.append(f"saved {money(row['saved_usd'])}{seconds}")
    return f"{kind:<8} {', '.join(parts)}"


def _pairs(text: str, name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):  # JSON may hold what `splitlines` takes for an end
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            json.dumps(row, ensure_ascii=False).encode()  # no half of a surrogate pair
        except UnicodeEncodeError:
            raise ConfigError(f"{name}:{number} is not valid Unicode", hint='{"a": "…", "b": "…"}') from None
        except (ValueError, RecursionError):
            raise ConfigError(f"{name}:{number} is not JSON", hint='{"a": "…", "b": "…"}') from None
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in "ab"):
            raise ConfigError(f'{name}:{number} has not two texts "a" and "b"', hint='{"a": "…", "b": "…"}')
        yield row


def _embedder() -> Embedder | None:
    from pilotage.evidence.embedder import Embedder, find

    folder = find()
    return Embedder(folder) if folder else None


def _judged(pairs: list[dict[str, Any]], embedder: Embedder | None) -> Iterator[dict[str, Any]]:
    from pilotage.answers.likeness import compare

    for pair in pairs:
        found = compare(pair["a"], pair["b"], embedder)
        row = {"hit": found.hit, "similarity": round(found.similarity, 4), "reason": found.reason}
        yield {"id": pair["id"], **row} if "id" in pair else row
