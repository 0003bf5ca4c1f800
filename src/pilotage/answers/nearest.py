"""Which questions of a scope lie nearest to another one: a mapped file of vectors, and a tail that it has not yet.

The file is evidence/vectors.py's, replaced as a whole when the tail has grown long or many of its answers are gone, by
one process at a time. Whoever dies meanwhile leaves the old file; what is missing in it is compared from SQLite.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pilotage.answers.store import CLAIM, Store, vectors_folder
from pilotage.evidence import vectors
from pilotage.evidence.vectors import RESCORED, Floats, Vectors, signs_of

TAIL = 1000  # answers beyond the file, or gone from it, before it is written anew
MORE = 4  # times as many are taken from the file as are wanted: some may be gone
EXACT = 2000  # rows that are all compared; of more, sign bits choose RESCORED
WORD = 64  # sign bits come in words: a vector of another size is filled up with zeros


class Nearest:
    """The vectors of one scope. `size` is that of its embedder's vectors."""

    def __init__(self, store: Store, scope: str, size: int) -> None:
        self.given, self._size = size, padded_size(size)
        self._store, self._scope = store, scope
        self._mapped, self._seen = Vectors.empty(self._size), (0, 0)

    @property
    def path(self) -> Path:
        return vectors_folder(self._store.path) / f"{self._scope[:16]}.vectors"

    def find(self, vector: Floats, count: int) -> list[tuple[int, float]]:
        """At most `count` numbers with their cosines, best first; all of them are still there."""
        wanted = padded(vector)
        self._map()
        near = closest(self._mapped, wanted, MORE * count)
        there = self._store.alive(list(near))
        found = {number: cosine for number, cosine in near.items() if number in there}
        if tail := self._store.tail(self._scope, 4 * self._size, self._mapped.version):
            rows = np.frombuffer(b"".join(row for _, row in tail), np.float32).reshape(-1, self._size)
            found |= dict(zip((number for number, _ in tail), _cosines(rows, wanted), strict=True))
        return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:count]

    def tidy(self) -> None:
        """Write the file anew when it is time."""
        self._map()
        behind = len(self._store.tail(self._scope, 4 * self._size, self._mapped.version, TAIL + 1))
        gone = len(self._mapped) - self._store.count(self._scope, self._mapped.version)
        if max(behind, gone) > TAIL:
            self.rebuild()

    def rebuild(self) -> None:
        """Write the file anew, unless another process is at it."""
        with self._store.claim(self._scope) as is_ours:
            if is_ours:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._sweep()
                with self._store.vectors(self._scope, 4 * self._size) as (count, last, pairs):
                    vectors.write(self.path, pairs, count, last, self._size)

    def _sweep(self) -> None:
        """Remove what a process has left that was killed while it wrote."""
        for left in self.path.parent.glob(f"{self.path.name}*.new"):
            with contextlib.suppress(OSError):
                if left.stat().st_mtime < time.time() - CLAIM:
                    left.unlink()

    def _map(self) -> None:
        """Map the file, again when it was replaced; without one, everything is tail."""
        try:
            stat = self.path.stat()
        except OSError:
            self._mapped, self._seen = Vectors.empty(self._size), (0, 0)
            return
        if self._seen != (stat.st_ino, stat.st_mtime_ns):
            self._mapped = Vectors.open(self.path, self._size) or Vectors.empty(self._size)
            self._seen = (stat.st_ino, stat.st_mtime_ns)


def closest(mapped: Vectors, wanted: Floats, count: int) -> dict[int, float]:
    """The numbers of the nearest rows with their cosines; of many rows, sign bits choose those that are compared."""
    chosen: NDArray[np.intp] | slice = slice(None)
    if len(mapped) > EXACT and hasattr(np, "bitwise_count"):
        bits = np.bitwise_count(mapped.signs ^ signs_of(wanted[None]))
        differing = np.einsum("ij->i", bits, dtype=np.uint16)
        chosen = np.sort(np.argpartition(differing, RESCORED)[:RESCORED])
    cosines = _cosines(mapped.rows[chosen], wanted)
    numbers = mapped.ids[chosen].tolist()
    best = sorted(range(len(cosines)), key=lambda place: -cosines[place])[:count]
    return {numbers[place]: cosines[place] for place in best}


def _cosines(rows: Floats, wanted: Floats) -> list[float]:
    """By einsum, not by BLAS: waking its threads takes longer than these few rows, on a busy machine much longer."""
    found: list[float] = np.einsum("ij,j->i", rows, wanted).tolist()
    return found


def clear(store: Store, before: float) -> int:
    """Forget the answers from before that time (seconds since 1970), with their vectors; how many."""
    gone = store.drop_before(before)
    for scope in dict.fromkeys(gone):
        size = store.size(scope) // 4
        index = Nearest(store, scope, size)
        if size:
            index.rebuild()
        else:
            index.path.unlink(missing_ok=True)
    if gone:
        store.shrink()
    return len(gone)


def padded_size(size: int) -> int:
    return -(-size // WORD) * WORD


def padded(vector: Floats) -> Floats:
    """The vector at length 1, as it is stored."""
    row = np.zeros(padded_size(len(vector)), np.float32)
    row[: len(vector)] = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return row
