"""What an Office file must be before its library sees it: a zip archive of bearable size without document types.

A .docx or .xlsx of a few kilobytes may unpack to gigabytes, and an XML document type may define entities that do.
The standard of these files forbids document types, so none that a word processor wrote is refused.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

UNPACKED = 200_000_000  # bytes of all parts, as python-docx and openpyxl hold many of them in memory
XML = 100_000_000  # bytes of the parts that are parsed
PARTS = 10_000

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the container of older Office files, and of encrypted newer ones
_MEDIA = ("word/media/", "xl/media/")  # pictures, of which SVG may have a document type
_CHUNK = 1 << 20
_TYPES = tuple("<!DOCTYPE".encode(name) for name in ("utf-8", "utf-16-le", "utf-16-be"))


def check(path: Path) -> None:
    """ValueError with a short reason when the file is no Office file or one that is made to do harm."""
    with path.open("rb") as file:
        head = file.read(len(_OLE))
    if head == _OLE:
        encrypted = "EncryptedPackage".encode("utf-16-le") in path.read_bytes()
        raise ValueError("encrypted, needs a password" if encrypted else "an Office file of before 2007, save it anew")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive.infolist())
            for part in archive.infolist():
                if not part.filename.lower().startswith(_MEDIA):
                    _check_part(archive, part)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise ValueError("damaged: no complete zip archive") from None
    except RuntimeError:  # a part of the archive is encrypted
        raise ValueError("encrypted, needs a password") from None


def _check_sizes(parts: list[zipfile.ZipInfo]) -> None:
    """The sizes may be trusted: zipfile gives no byte more than the archive says."""
    xml = sum(part.file_size for part in parts if not part.filename.lower().startswith(_MEDIA))
    for size, limit, what in (
        (len(parts), PARTS, "parts"),
        (sum(part.file_size for part in parts), UNPACKED, "bytes unpacked"),
        (xml, XML, "bytes of XML unpacked"),
    ):
        if size > limit:
            raise ValueError(f"too large, {size:,} {what} against {limit:,}")


def _check_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    last = b""
    with archive.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            if any(mark in last + chunk for mark in _TYPES):
                raise ValueError("refused: it defines an XML document type, which Office files must not")
            last = chunk[-len(_TYPES[1]) :]
