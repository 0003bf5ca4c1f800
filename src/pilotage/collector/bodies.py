"""The body of a request, unpacked within bounds: what would grow beyond them is stopped while it is inflated."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

MOST_BYTES = 32 * 1024 * 1024  # of one body, unpacked
WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's names for these formats
RAW_DEFLATE = -15  # what some senders call deflate


class BodyError(ValueError):
    """The body cannot be taken; `status` says why in HTTP's words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def receive(chunks: AsyncIterable[bytes], announced: str) -> bytes:
    """The body as it was sent; `announced` is its Content-Length. Raises BodyError."""
    if announced.isdigit() and int(announced[:20]) > MOST_BYTES:
        raise too_large()
    packed = bytearray()
    async for chunk in chunks:
        packed += chunk
        if len(packed) > MOST_BYTES:
            raise too_large()
    return bytes(packed)


def unpack(packed: bytes, encoding: str) -> bytes:
    """Inflated as `encoding` (Content-Encoding) says. Raises BodyError, also for more than MOST_BYTES."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return packed
    if encoding not in WINDOWS:
        raise BodyError(415, f"The encoding {encoding[:40]!r} is not known: gzip, deflate or none")
    try:
        return _inflate(packed, WINDOWS[encoding])
    except zlib.error:
        if encoding != "deflate":
            raise BodyError(400, f"The body is no {encoding}") from None
    try:
        return _inflate(packed, RAW_DEFLATE)
    except zlib.error:
        raise BodyError(400, "The body is no deflate") from None


def _inflate(packed: bytes, window: int) -> bytes:
    parts, size = [], 0
    while packed:  # gzip may have several members
        inflating = zlib.decompressobj(window)
        part = inflating.decompress(packed, MOST_BYTES - size + 1)
        size += len(part)
        if size > MOST_BYTES:
            raise too_large()
        if not inflating.eof:
            raise zlib.error("cut short")
        parts.append(part)
        packed = inflating.unused_data
    return b"".join(parts)


def too_large() -> BodyError:
    return BodyError(413, f"The body is more than {MOST_BYTES:,} bytes: send smaller batches")
