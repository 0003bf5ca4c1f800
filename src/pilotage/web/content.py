"""What a body is: the content type that its header states, or a simple guess; and whether text is text at all.

What is not covered: the character set beyond what the header states; who reads the text finds it out.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

SAMPLE = 8192  # bytes that are looked at
KIND = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,90}", re.ASCII)
CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE | re.ASCII)
TEXTUAL = re.compile(r"text/|application/(?:[\w.-]+\+)?(?:json|xml|xhtml)|application/(?:java|ecma)script|image/svg")
WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")  # UTF-16 and UTF-32 hold NUL bytes and are text
MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"\x1f\x8b", b"\x7fELF", b"RIFF", b"OggS")
CONTROL = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))  # ESC stands in ISO-2022-JP
STARTS = (
    (re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE), "text/html"),
    (re.compile(rb"<\?xml\b"), "application/xml"),
    (re.compile(rb"[{\[]"), "application/json"),
)


def read_type(header: str) -> tuple[str, str]:
    """Content type, bare and in lower case, and character set of a Content-Type header; "" for what is not there."""
    kind, charset = KIND.match(header.strip()), CHARSET.search(header)
    return kind[0].lower() if kind else "", charset[1] if charset else ""


def guess_type(body: bytes) -> str:
    """The content type of a body whose sender states none."""
    if is_binary(body):
        return "application/pdf" if body.startswith(b"%PDF-") else "application/octet-stream"
    start = body[:SAMPLE].removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((kind for pattern, kind in STARTS if pattern.match(start)), "text/plain")


def accepts(accept: tuple[str, ...], kind: str) -> bool:
    """True when one of the types that are wanted, such as "text/html" or "application/*+json", is this one."""
    return any(fnmatchcase(kind, wanted.lower()) for wanted in accept)


def is_text(kind: str) -> bool:
    return TEXTUAL.match(kind) is not None


def is_binary(body: bytes, charset: str = "") -> bool:
    """True for what is evidently no text: a known file format, a NUL byte, more than 5 % control characters."""
    sample = body[:SAMPLE]
    if sample.startswith(MAGIC):
        return True
    if sample.startswith(WIDE) or charset.lower().startswith(("utf-16", "utf-32", "ucs-2")):
        return False
    strange = len(sample) - len(sample.translate(None, CONTROL))
    return b"\0" in sample or strange > 0.05 * len(sample)
