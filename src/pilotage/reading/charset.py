"""Bytes of a page as text: byte order mark, HTTP header, <meta>, then detection. It never fails.

A declared encoding is not believed against the bytes: valid UTF-8 with letters beyond ASCII is UTF-8, and a western
encoding over mostly foreign bytes is a server's default. Not covered: UTF-7, which browsers refuse as well.
"""

from __future__ import annotations

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# The WHATWG encoding standard reads these names as the larger set that writers meant.
_MEANT = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs",
}  # fmt: skip
_REFUSED = frozenset(("utf-7", "unicode-escape", "raw-unicode-escape", "punycode", "idna", "utf-16", "utf-32"))
_EASTERN = frozenset(("cp932", "euc_jp", "iso2022_jp", "gb18030", "cp949", "big5hkscs"))
_WESTERN = frozenset(("cp1252", "iso8859-15", "mac-roman"))
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w:.+-]{1,40})", re.IGNORECASE)
_ESCAPE = b"\x1b"  # by which ISO-2022-JP, all ASCII, changes to Japanese
_HIGH = bytes(range(128, 256))
_HEAD = 4096  # bytes in which <meta charset> stands
_TAGS = re.compile(rb"<(script|style)\b.*?(?:</\1|\Z)|<[^<>]*>|\s+", re.IGNORECASE | re.DOTALL)
_SAMPLE = 8_000  # bytes without tags that detection looks at
_FEW = 4  # bytes more than letters: fewer in an eastern encoding may be valid UTF-8 by accident
_FOREIGN = 0.2  # share of bytes beyond ASCII that no western text reaches
_HIRAGANA = re.compile("[\u3041-\u3096]")
_JAPANESE = 0.2  # share of hiragana among the letters of a Japanese text, at least
_BROKEN = 0.2  # share of letters beyond ASCII that may be wrong in an encoding that is believed


def decode(body: bytes, declared: str = "") -> str:
    """The text; `declared` is the charset of the HTTP header, or ""."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    if body.isascii() and _ESCAPE not in body:
        return body.decode("ascii")
    header, meta = _known(declared), _known(_in_meta(body))
    text = _strict(body, "utf-8")
    if text and ((header or meta) not in _EASTERN or len(body) - len(text) >= _FEW):
        return text
    for name in (meta, header) if header in _WESTERN else (header, meta):
        if name and _believed(body, name):
            return body.decode(name, "replace")
    return text or body.decode(_detect(body), "replace")


def _in_meta(body: bytes) -> str:
    match = _META.search(body[:_HEAD])
    return match[1].decode("ascii", "replace") if match else ""


def _known(name: str) -> str:
    """Python's name of a text encoding that pages may have, or ""."""
    try:
        found = codecs.lookup(name.strip("\"' ")).name if name.isascii() else ""
        "".encode(found or "undefined")  # LookupError for what is no encoding of text
    except (LookupError, ValueError):
        return ""
    return "" if found in _REFUSED else _MEANT.get(found, found)


def _believed(body: bytes, name: str) -> bool:
    """The bytes read well in this encoding."""
    beyond = _beyond(body[:200_000])
    if name in _WESTERN:
        words = _words(body)
        return _beyond(words) <= _FOREIGN * len(words) or _detect(body) in _WESTERN
    return body[:200_000].decode(name, "replace").count("\ufffd") <= _BROKEN * beyond


def _beyond(body: bytes) -> int:
    """How many bytes are beyond ASCII."""
    return len(body) - len(body.translate(None, _HIGH))


def _strict(body: bytes, name: str) -> str:
    try:
        return body.decode(name)
    except UnicodeDecodeError:
        return ""


def _words(body: bytes) -> bytes:
    return _TAGS.sub(b" ", body[: 40 * _SAMPLE])[:_SAMPLE]


def _detect(body: bytes) -> str:
    from charset_normalizer import from_bytes

    words = _words(body)
    for name in ("cp932", "euc_jp"):  # from_bytes takes these for Korean
        text = words.decode(name, "ignore")
        beyond = len(text) - len(text.encode("ascii", "ignore"))
        if beyond and len(_HIRAGANA.findall(text)) > _JAPANESE * beyond:
            return name
    best = from_bytes(words).best()
    return _known(best.encoding) or "cp1252" if best else "cp1252"
