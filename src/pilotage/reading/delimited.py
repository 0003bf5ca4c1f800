"""Reading .csv and .tsv: a passage for each row, the delimiter and the encoding found out.

UTF-8 and UTF-16 are recognised by their form, Windows-1252 by its look, others guessed by charset-normalizer. Not
covered: comment lines, several tables in one file, and delimiters other than comma, semicolon, tab and pipe.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

from pilotage.guard.fence import clean
from pilotage.reading.documents import Document, Draft, squeeze, stem_title
from pilotage.reading.tables import Row, add_rows

_SAMPLE = 20  # records that tell the delimiter
_SHOWN = 65_536  # characters or bytes that are looked at
_LONGEST_LINE = 100_000  # characters, where quotes are letters; a cell may have 131,072 by the csv module's own limit
_HINT = re.compile(r"sep=([,;\t|])\n", re.IGNORECASE)  # Excel's own line above the table; it shows no row for it
_WORD = re.compile(r"[^\W\d_]*[^\W\d_\x00-\x7f][^\W\d_]*")


def read(path: Path) -> Document:
    """The rows as blocks. ValueError with a short reason when the file is no text."""
    text = clean(decoded(path.read_bytes()))
    hint = _HINT.match(text)
    text, delimiter = (text[hint.end() :], hint[1]) if hint else (text, delimiter_of(text))
    draft = Draft()
    left = add_rows(draft, _records(text, delimiter))
    read_rows = len(draft.blocks)
    return draft.document(
        stem_title(path), f"read only the first {read_rows:,} rows of {read_rows + left:,}" if left else ""
    )


def decoded(raw: bytes) -> str:
    """The text with "\\n" line ends, whatever a spreadsheet program wrote it in."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = raw.decode("utf-16", "replace")
    elif b"\0" in raw[:_SHOWN]:
        raise ValueError("binary")
    else:
        text = _guessed(raw)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def delimiter_of(text: str) -> str:
    """The one that cuts the first records into the same number of cells, more than one; "," when none does.

    >>> delimiter_of("a;b\\n1,5;2,5\\n")
    ';'
    """
    return max(",;\t|", key=lambda delimiter: _evenness(text[:_SHOWN], delimiter))


def _evenness(text: str, delimiter: str) -> tuple[float, int]:
    """Share of records with the usual number of cells, and that number; nothing when it is one."""
    try:
        records = islice(csv.reader(_lines(text, len(text)), delimiter=delimiter), _SAMPLE)
        widths = [len(record) for record in records if record]
    except csv.Error:
        return 0, 0
    usual, times = Counter(widths).most_common(1)[0] if widths else (1, 0)
    return (times / len(widths), usual) if usual > 1 else (0, 0)


def _records(text: str, delimiter: str) -> Iterator[Row]:
    quoting = _quoting(text, delimiter)
    lines = _lines(text, _LONGEST_LINE if quoting == csv.QUOTE_NONE else len(text))
    for number, record in enumerate(csv.reader(lines, delimiter=delimiter, quoting=quoting), 1):
        yield Row(number, [squeeze(cell) for cell in record])


def _quoting(text: str, delimiter: str) -> Literal[0, 3]:
    """Quotes are letters when one is never closed: it would swallow the rest of the file."""
    for strict in (True, False):
        try:
            for _ in csv.reader(_lines(text, len(text)), delimiter=delimiter, strict=strict):
                pass
            return csv.QUOTE_MINIMAL
        except csv.Error as error:
            if "end of data" in str(error):
                break
    return csv.QUOTE_NONE


def _lines(text: str, longest: int) -> Iterator[str]:
    """Lines with their ends, cut at `longest`."""
    return (match.group()[:longest] for match in re.finditer(r"[^\n]*\n|[^\n]+", text))


def _guessed(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    if _is_western(text[: 10 * _SHOWN]):
        return text
    from charset_normalizer import from_bytes

    best = from_bytes(b"\n".join(line for line in raw.split(b"\n") if not line.isascii())[:_SHOWN]).best()
    return raw.decode(best.encoding, "replace") if best else text


def _is_western(text: str) -> bool:
    """Whether words with accents are mostly plain letters: `Zürich` is, `Ìîñêâà` is Moscow in another encoding."""
    words = "".join(_WORD.findall(text))
    return sum(map(str.isascii, words)) * 2 >= len(words)
