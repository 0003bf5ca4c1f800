"""Untrusted text: what a page, a document, a row or a service says reaches the model as quoted data, never as orders.

    clean      control characters and characters that nobody sees are taken out
    suspects   stretches that read like orders to a model, for the journal; they do not decide anything
    fence      the text between two marks with a number that its author cannot know (prompts.yaml: crew.rule)

What is not covered: a model may still believe what it reads. What it then tries is stopped by the policy. Letters of
one script that look like those of another stay, and so does what only a picture says.
"""

from __future__ import annotations

import re

from pilotage.guard.orders import suspects

__all__ = ["clean", "fence", "suspects", "unfence"]

_LINE_END = re.compile("[\r\x0b\x0c\x85\u2028\u2029]")
_REMOVED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad"  # C0, DEL, C1, soft hyphen
    "\u034f\u061c\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # fillers and joiners of single scripts
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"  # zero width, direction, annotation
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U00013430-\U0001343f"  # formats of shorthand, music, hieroglyphs
    "\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff\ufdd0-\ufdef\ufffe\uffff]+"  # surrogates, private use, none
)
_JOINER = "[\u200c\u200d\u180b-\u180f\ufe00-\ufe0f\U000e0000-\U000e0fff]"  # and selectors of variants, and tags
_JOINED = (  # scripts whose letters are shaped by their neighbours, such as Arabic, Devanagari, Khmer, Mongolian
    "\u0620-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17b3\u17b6-\u17ff\u1820-\u18af\u1900-\u1cff\ua840-\ua8ff\uaa60-\uaa7f"
    "\uabc0-\uabff\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010a00-\U00010a5f\U00011000-\U00011fff\U0001e900-\U0001e95f"
)
_VIRAMA = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
_EMOJI = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_REGIONS = "|".join("".join(chr(0xE0000 + ord(c)) for c in name) for name in ("gbeng", "gbsct", "gbwls"))
_NEEDED = "|".join(  # each stands directly between characters that stay, so that a second cleaning finds the same
    [
        f"(?<=[{_JOINED}])[\u200c\u200d](?=[{_JOINED}])",
        f"(?<=[{_VIRAMA}])\u200d",
        f"(?<=[{_EMOJI}])\ufe0f?\u200d(?=[{_EMOJI}])",
        f"(?<=[{_EMOJI}])[\ufe0e\ufe0f]",
        "(?<=[0-9#*])\ufe0f(?=\u20e3)",
        f"(?<=\U0001f3f4)(?:{_REGIONS})\U000e007f",
        "(?<=[\u1820-\u18aa])[\u180b-\u180f]",
    ]
)
_STRAY = re.compile(  # behind ASCII none is needed but in keycaps; the class stands first, for a fast search
    rf"{_JOINER}(?<=[\x00-\x7f].)(?<![0-9#*]\ufe0f){_JOINER}*", re.DOTALL
)
_JOINERS = re.compile(f"(?={_JOINER})(?:({_NEEDED})|{_JOINER}+)")
_MARK = re.compile(r"<<<\s*(?=(?:end|data)\b)", re.IGNORECASE)
_FENCED = re.compile(r"\A<<<data ([0-9a-f]+) from [^\n]*>>>\n(.*)\n<<<end \1>>>\Z", re.DOTALL)

EARLIER_RUNS, ROUND_BEFORE, EARLIER_ANSWER = "earlier runs", "the round before", "the earlier answer"
NO_SOURCES = frozenset({EARLIER_RUNS, ROUND_BEFORE, EARLIER_ANSWER})
"""What the engine itself puts between marks: it is read, and proves nothing."""


def clean(text: str) -> str:
    """`text` without control and invisible characters; tabs and line ends stay, and joiners where a script needs them.

    >>> clean("pay\\u200bload \\x1b[31mred")
    'payload [31mred'
    """
    if text.isascii() and text.isprintable():
        return text
    text = _REMOVED.sub("", _LINE_END.sub("\n", text.replace("\r\n", "\n")))
    return _JOINERS.sub(r"\1", _STRAY.sub("", text)) if re.search(_JOINER, text) else text


def fence(text: str, source: str, number: str) -> str:
    """`text` between two marks; marks that it brings itself are broken."""
    name = " ".join(source.split()).translate({ord("<"): "‹", ord(">"): "›"})
    return f"<<<data {number} from {name}>>>\n{_MARK.sub('‹‹‹', text)}\n<<<end {number}>>>"


def unfence(text: str) -> str:
    """What stands between the marks; a text without them as it is."""
    match = _FENCED.match(text.strip())
    return match.group(2) if match else text
