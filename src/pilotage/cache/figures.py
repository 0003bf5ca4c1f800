"""What lies in a cache file, and clearing it: for `pilotage cache stats`, `list` and `clear`, also while runs use it.

A file that is not there is an empty cache; one that cannot be read is a StoreError.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pilotage.cache.file import is_broken, is_locked, open_file, vacuum
from pilotage.errors import StoreError

STATS = "select kind, count(*), sum(bytes), min(made), sum(hits) from entries group by kind order by kind"


def stats(path: Path) -> dict[str, dict[str, Any]]:
    """Per kind (call, page, search): entries, bytes, oldest (seconds since 1970), hits.

    >>> stats(Path("runs/no-such-cache.sqlite"))
    {}
    """
    with _reading(path) as db:
        rows = db.execute(STATS).fetchall() if db else []
    return {
        kind: {"entries": entries, "bytes": size, "oldest": oldest, "hits": hits}
        for kind, entries, size, oldest, hits in rows
    }


def listed(path: Path, kind: str | None = None, *, limit: int = 100) -> list[dict[str, Any]]:
    """The entries that were used last: kind, key, bytes, made, used, expires, hits, and what is known of each."""
    of_kind, values = ("where kind = ?", (kind,)) if kind else ("", ())
    with _reading(path) as db:
        if db is None:
            return []
        rows = db.execute(
            "select kind, key, bytes, made, used, expires, hits, extra from entries "
            f"{of_kind} order by used desc limit ?",
            (*values, limit),
        ).fetchall()
    names = ("kind", "key", "bytes", "made", "used", "expires", "hits")
    return [dict(zip(names, row[:-1], strict=True)) | {"about": json.loads(row[-1])} for row in rows]


def clear(path: Path, kind: str | None = None, older_than: float | None = None) -> int:
    """Delete the entries of a kind, or all, that were made more than `older_than` seconds ago; returns how many.

    The space is given back to the disk.
    """
    if not path.is_file():
        return 0
    conditions, values = ["1"], list[Any]()
    if kind:
        conditions, values = [*conditions, "kind = ?"], [*values, kind]
    if older_than is not None:
        conditions, values = [*conditions, "made < ?"], [*values, time.time() - older_than]
    with _in_words(path):
        db, _replaced = open_file(path)
        with contextlib.closing(db):
            count = db.execute(f"delete from entries where {' and '.join(conditions)}", values).rowcount
            vacuum(db)
            db.execute("pragma wal_checkpoint(truncate)").fetchall()
    return count


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that changes nothing; None when there is no file."""
    if not path.is_file():
        yield None
        return
    with (
        _in_words(path),
        contextlib.closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)) as db,
    ):
        yield db


@contextlib.contextmanager
def _in_words(path: Path) -> Iterator[None]:
    shown = f"{path.parent.name}/{path.name}"
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, sqlite3.Error) and is_locked(error):
            said, hint = f"The cache {shown} is locked by another process", "try again when its run has ended"
        elif isinstance(error, sqlite3.Error) and is_broken(error):
            said, hint = f"The cache {shown} is no database", "pilotage cache clear, or the next run, replaces it"
        else:
            said = f"The cache {shown} cannot be used: {getattr(error, 'strerror', None) or error}"
            hint = "make the file and its folder writable, or delete it"
        raise StoreError(said, hint=hint) from None
