"""The vectors of a folder's sentences as one memory-mapped file beside the index: derived, replaced as a whole.

Layout: a header of eight int64 (magic, version, rows, size, 0 ...), the sentence ids, the sign bits, the vectors.
An old file is never wrong, only incomplete: ids are not reused, and a sentence that is gone is dropped by the caller.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

SIZE = 384
MAGIC = 0x50494C4F54563031
TWO_STAGES = 50_000  # rows above which sign bits choose what is compared exactly
RESCORED = 600  # rows compared exactly in the second stage
_HEADER = 8 * 8


class Vectors:
    """Read side: `nearest` rows to a vector, and the rows of given sentences."""

    def __init__(self, ids: Ids, signs: NDArray[np.uint64], rows: Floats, version: int = 0) -> None:
        self.ids, self.signs, self.rows, self.version = ids, signs, rows, version

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def open(cls, path: Path, wanted: int = SIZE) -> Vectors | None:
        """The file's vectors, mapped; None when it is absent, not one of ours, or its vectors have another size."""
        try:
            data = np.memmap(path, dtype=np.uint8, mode="r")
        except (OSError, ValueError):
            return None
        if len(data) < _HEADER:
            return None
        magic, version, count, size = (int(value) for value in data[:_HEADER].view(np.int64)[:4])
        edges = np.cumsum([_HEADER, count * 8, count * (wanted // 8), count * wanted * 4])
        if magic != MAGIC or size != wanted or len(data) != edges[-1]:
            return None
        return cls(
            np.array(data[edges[0] : edges[1]].view(np.int64)),
            np.array(data[edges[1] : edges[2]].view(np.uint64)).reshape(count, size // 64),
            data[edges[2] : edges[3]].view(np.float32).reshape(count, size),
            version,
        )

    @classmethod
    def empty(cls, size: int = SIZE) -> Vectors:
        return cls(np.empty(0, np.int64), np.empty((0, size // 64), np.uint64), np.empty((0, size), np.float32))

    def nearest(self, vector: Floats, count: int, among: list[int] | None = None) -> list[int]:
        """Ids of the sentences nearest to the vector, `among` these if given, best first; equal ones by their id."""
        if not len(self):
            return []
        chosen = np.arange(len(self)) if among is None else np.flatnonzero(np.isin(self.ids, among))
        if len(chosen) > TWO_STAGES and hasattr(np, "bitwise_count"):
            signs = self.signs if among is None else self.signs[chosen]
            differing = np.bitwise_count(signs ^ signs_of(vector[None])).sum(axis=1, dtype=np.uint16)
            chosen = chosen[np.sort(np.argpartition(differing, RESCORED)[:RESCORED])]
            cosines = self.rows[chosen] @ vector
        else:
            cosines = (self.rows if among is None else self.rows[chosen]) @ vector
        best = np.lexsort((self.ids[chosen], -cosines))[:count] if len(chosen) <= RESCORED else _top(cosines, count)
        return [int(number) for number in self.ids[chosen[best]]]

    def of(self, ids: Iterable[int]) -> Floats:
        """The rows of these sentences; zeros where there is none."""
        wanted = np.fromiter(ids, dtype=np.int64)
        if not len(self):
            return np.zeros((len(wanted), self.rows.shape[1]), np.float32)
        places = np.minimum(np.searchsorted(self.ids, wanted), len(self) - 1)
        there = (self.ids[places] == wanted)[:, None]
        return np.where(there, self.rows[places], np.float32(0))


def signs_of(rows: Floats) -> NDArray[np.uint64]:
    """A bit for each number, six words of 64 for each row."""
    return np.packbits(rows > 0, axis=1).view(np.uint64)


def write(path: Path, pairs: Iterable[tuple[int, bytes]], count: int, version: int, size: int = SIZE) -> None:
    """Write `count` (id, vector) pairs in order of their id; readers see the old file or the new one, never half.

    `size` numbers make a vector, a multiple of 64.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
    try:
        with os.fdopen(handle, "w+b") as file:
            edges = [_HEADER, _HEADER + count * 8, _HEADER + count * (8 + size // 8)]
            file.truncate(edges[2] + count * size * 4)
            ids, signs, number = np.empty(count, np.int64), np.empty((count, size // 64), np.uint64), 0
            file.seek(edges[2])
            for chunk in _chunks(pairs, 4096):
                block = b"".join(vector for _, vector in chunk)
                ids[number : number + len(chunk)] = [identity for identity, _ in chunk]
                signs[number : number + len(chunk)] = signs_of(np.frombuffer(block, np.float32).reshape(-1, size))
                file.write(block)
                number += len(chunk)
            file.seek(0)
            file.write(np.array([MAGIC, version, number, size, 0, 0, 0, 0], np.int64).tobytes())
            file.write(ids.tobytes() + signs.tobytes())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _chunks(pairs: Iterable[tuple[int, bytes]], size: int) -> Iterable[list[tuple[int, bytes]]]:
    chunk: list[tuple[int, bytes]] = []
    for pair in pairs:
        chunk.append(pair)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _top(cosines: Floats, count: int) -> NDArray[np.intp]:
    """Positions of the largest values, best first; positions are in order of their id already."""
    rough = np.argpartition(-cosines, min(count * 2, len(cosines) - 1))[: count * 2]
    rough.sort()
    return rough[np.argsort(-cosines[rough], kind="stable")][:count]
