"""Writes small PDF files: lines of Helvetica at given places, and the odd broken or locked one."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

Placed = tuple[float, float, float, str]  # x, y, size, text

LOCKED = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O (%s) /U (%s) >> /ID [(one)(one)]" % (b"o" * 32, b"u" * 32)


def pdf(pages: Sequence[Sequence[Placed]], *, title: str = "", trailer: bytes = b"") -> bytes:
    """A document with these pages; `trailer` is added to the trailer's entries."""
    return pdf_of_streams([b"\n".join(map(_shown, page)) for page in pages], title=title, trailer=trailer)


def pdf_of_streams(streams: Sequence[bytes], *, title: str = "", trailer: bytes = b"") -> bytes:
    """A document whose pages have these content streams, which are compressed."""
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [%s] /Count %d >>"
        % (b" ".join(b"%d 0 R" % (5 + 2 * n) for n in range(len(streams))), len(streams)),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        4: b"<< /Title (%s) >>" % _escaped(title),
    }
    for number, stream in enumerate(streams):
        packed = zlib.compress(stream)
        objects[5 + 2 * number] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F 3 0 R >> >> >>" % (6 + 2 * number)
        )
        objects[6 + 2 * number] = b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (
            len(packed),
            packed,
        )
    return _file(objects, trailer)


def paragraph(*lines: str, top: float = 700, left: float = 72, size: float = 11) -> list[Placed]:
    """Lines below each other."""
    return [(left, top - 1.25 * size * number, size, line) for number, line in enumerate(lines)]


def _shown(placed: Placed) -> bytes:
    x, y, size, text = placed
    return b"BT /F %.1f Tf %.1f %.1f Td (%s) Tj ET" % (size, x, y, _escaped(text))


def _escaped(text: str) -> bytes:
    return text.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _file(objects: dict[int, bytes], trailer: bytes) -> bytes:
    made, table = b"%PDF-1.4\n", b""
    for number, content in sorted(objects.items()):
        table += b"%010d 00000 n \n" % len(made)
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    count, at = len(objects) + 1, len(made)
    end = b"trailer << /Size %d /Root 1 0 R /Info 4 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (count, trailer, at)
    return made + b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table) + end
