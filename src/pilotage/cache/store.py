"""What was answered before, by kind and key, in one file under runs/: a hit takes well under a millisecond.

Any trouble with the file is a miss, said once: a cache is never the end of a run. What has not been used for longest
goes first when the file is full (`cache.mb`). Nothing enters in which redaction finds a secret.
What is not covered: that a hit was made is noted in memory first; a process that is killed takes its last ones along.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotage.cache.figures import clear, listed, stats
from pilotage.cache.file import identity, is_broken, is_locked, open_file, remove, transaction, vacuum
from pilotage.record.redact import Redactor

__all__ = ["Entry", "Store", "clear", "listed", "stats"]

MB = 1_000_000
KEPT = 0.9  # of the cap: what an eviction leaves
EVICTED = 200  # entries that are looked at together
TOUCHES = 64  # hits that are noted in memory before they are written
PAUSE = 5.0  # seconds without another try when the file was locked
AHEAD = 60.0  # seconds that an entry may come from the future: another machine's clock, or one that was set back
GET = "select body, made, expires, extra from entries where kind = ? and key = ?"
PUT = (
    "insert into entries(kind, key, bytes, made, used, expires, extra, body) values(?, ?, ?, ?, ?, ?, ?, ?) "
    "on conflict(kind, key) do update set bytes = excluded.bytes, made = excluded.made, used = excluded.used, "
    "expires = excluded.expires, extra = excluded.extra, body = excluded.body"
)
RENEW = "update entries set made = ?, used = ?, expires = ?, extra = ? where kind = ? and key = ?"
TOUCH = "update entries set used = max(used, ?), hits = hits + ? where kind = ? and key = ?"


@dataclass(frozen=True)
class Entry:
    """What was kept. `made` is when, in seconds since 1970; `expires` is None when it is good until it is evicted."""

    body: bytes = field(repr=False)
    made: float
    expires: float | None
    extra: dict[str, Any]

    def is_good(self, now: float) -> bool:
        return self.made <= now + AHEAD and (self.expires is None or now < self.expires)


def _say_nothing(_text: str) -> None:
    """Where nobody is to be told."""


class Store:
    """One cache file, for all threads of a process. `warn` hears one line when the file cannot be used, once each."""

    def __init__(
        self, path: Path, mb: float, redactor: Redactor, *, warn: Callable[[str], None] = _say_nothing
    ) -> None:
        self.path, self.redactor = path, redactor
        self._most, self._warn = mb * MB, warn
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._touched: dict[tuple[str, str], tuple[float, int]] = {}
        self._said: set[str] = set()
        self._rests_until = {True: 0.0, False: 0.0}  # for writing, for reading
        self._closed = False

    def get(self, kind: str, key: str, *, stale: bool = False, count: bool = True) -> Entry | None:
        """What stands under the key; None when there is nothing, or nothing that is young enough without `stale`."""
        with self._lock:
            row = self._try(lambda db: db.execute(GET, (kind, key)).fetchone(), writes=False)
        entry = _entry(row) if row else None
        now = time.time()
        if row and entry is None:
            self.delete(kind, key)
        if entry is None or not (stale or entry.is_good(now)):
            return None
        if count:
            self.touch(kind, key)
        return entry

    def put(
        self, kind: str, key: str, body: bytes, *, expires: float | None = None, extra: dict[str, Any] | None = None
    ) -> bool:
        """Keep `body`; False when it was not, because a secret stands in it, it is too large, or the file says no."""
        shown = json.dumps(extra or {}, ensure_ascii=False)
        if self.holds_secret(body) or self.redactor.text(shown) != shown:
            return False
        packed = zlib.compress(body, 1)
        size = len(packed) + len(shown.encode("utf-8", "surrogatepass")) + len(key) + len(kind)
        if size > self._most:
            return False
        now = time.time()
        row = (kind, key, size, now, now, expires, shown, packed)
        with self._lock:
            return bool(self._try(lambda db: self._write(db, row)))

    def renew(self, kind: str, key: str, *, expires: float | None, extra: dict[str, Any]) -> None:
        """The entry holds on: it is as young as one that was made now."""
        shown, now = json.dumps(extra, ensure_ascii=False), time.time()
        if self.redactor.text(shown) == shown:
            with self._lock:
                self._try(lambda db: db.execute(RENEW, (now, now, expires, shown, kind, key)))

    def touch(self, kind: str, key: str) -> None:
        """Note a use, to be written with the next entry or when many have come together."""
        with self._lock:
            _, hits = self._touched.get((kind, key), (0.0, 0))
            self._touched[kind, key] = (time.time(), hits + 1)
            if len(self._touched) >= TOUCHES:
                self.flush()

    def delete(self, kind: str, key: str) -> None:
        with self._lock:
            self._touched.pop((kind, key), None)
            self._try(lambda db: db.execute("delete from entries where kind = ? and key = ?", (kind, key)))

    def flush(self) -> None:
        """Write down which entries were used."""
        with self._lock:
            if self._touched and self._try(self._write_touches) is None:
                self._touched.clear()  # better forgotten than kept for ever

    def close(self) -> None:
        with self._lock:
            self.flush()
            self._closed = True
            self._let_go()

    def holds_secret(self, body: bytes) -> bool:
        """Whether redaction would change it; NUL bytes are passed over, for text in UTF-16."""
        text = body.replace(b"\0", b"").decode("utf-8", "replace")
        if self.redactor.text(text) != text:
            return True
        if "\\" not in text or text[:1] not in ("{", "["):
            return False
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return False
        return bool(self.redactor.deep(value) != value)

    def _write(self, db: sqlite3.Connection, row: tuple[Any, ...]) -> bool:
        with transaction(db):
            self._note_touches(db)
            db.execute(PUT, row)
            was_full = _make_room(db, self._most)
        if was_full:
            _shrink(db, self._most)
        return True

    def _write_touches(self, db: sqlite3.Connection) -> bool:
        with transaction(db):
            self._note_touches(db)
        return True

    def _note_touches(self, db: sqlite3.Connection) -> None:
        db.executemany(TOUCH, [(used, hits, *entry) for entry, (used, hits) in self._touched.items()])
        self._touched.clear()

    def _try(self, action: Callable[[sqlite3.Connection], Any], *, writes: bool = True) -> Any:
        """What `action` gives on the file; None when the file is not to be used now."""
        if self._closed or time.monotonic() < self._rests_until[writes]:
            return None
        try:
            try:
                return action(self._open())
            except sqlite3.DatabaseError as error:
                if not is_broken(error):
                    raise
                broken = self._file
                self._let_go()
                remove(self.path, broken)
                self._say(f"The cache {self._shown} could not be read as a database and was replaced by an empty one")
                return action(self._open())
        except (sqlite3.Error, OSError) as error:
            self._give_up(error, writes)
            return None

    def _open(self) -> sqlite3.Connection:
        """The connection; a new one when the file was deleted or replaced under it."""
        there = identity(self.path)
        if self._connection is None or there is None or there != self._file:
            self._let_go()
            self._connection, replaced = open_file(self.path)
            self._file = identity(self.path)
            if replaced:
                self._say(f"The cache {self._shown} was no database and was replaced by an empty one")
        return self._connection

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None

    def _give_up(self, error: Exception, writes: bool) -> None:
        self._rests_until[writes] = time.monotonic() + PAUSE
        if isinstance(error, sqlite3.Error) and is_locked(error):
            self._say(f"The cache {self._shown} is locked by another process and is not used meanwhile")
        else:
            reason = getattr(error, "strerror", None) or str(error)
            self._say(f"The cache {self._shown} cannot be used ({reason}); everything is asked anew")

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._warn(text)

    @property
    def _shown(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"


def _entry(row: tuple[Any, ...]) -> Entry | None:
    """None for a body that is not what was written: the disk has changed it."""
    body, made, expires, extra = row
    try:
        return Entry(zlib.decompress(body), made, expires, json.loads(extra))
    except (zlib.error, ValueError, TypeError):
        return None


def _make_room(db: sqlite3.Connection, most: float) -> bool:
    """Delete what is out of date, then what was not used for longest, when the file holds more than it may."""
    if (held := _held(db)) <= most:
        return False
    db.execute("delete from entries where expires <= ?", (time.time(),))
    while (held := _held(db)) > most * KEPT:
        rows = db.execute("select id, bytes from entries order by used limit ?", (EVICTED,)).fetchall()
        if not rows:
            break
        ids, over = list[tuple[int]](), held - most * KEPT
        for number, size in rows:
            ids.append((number,))
            if (over := over - size) <= 0:
                break
        db.executemany("delete from entries where id = ?", ids)
    return True


def _held(db: sqlite3.Connection) -> int:
    """Bytes of the file that are in use."""
    pages, free, size = (_figure(db, name) for name in ("page_count", "freelist_count", "page_size"))
    return (pages - free) * size


def _shrink(db: sqlite3.Connection, most: float) -> None:
    """Give free pages back when the file is larger than it may be: the cap was lowered."""
    pages, size = (_figure(db, name) for name in ("page_count", "page_size"))
    if pages * size > most:
        vacuum(db, int((pages * size - most) // size) + 1)


def _figure(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"pragma {name}").fetchone()[0])
