"""A question as tokens, and its normal form.

Case, spaces, end marks, quotes and courtesies cannot change the meaning; the case of a sign or a unit can, and stays.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from pilotage.language.capitals import SMALL, fold_capitals

_QUOTES = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "–": "-", "—": "-", "‑": "-"}
)
_ENDS = re.compile(r"^[\s¿¡]+|(?:[\s.?…。？！]|(?<!\d)!)+$")  # 3! is a factorial
_COURTESY = re.compile(r"^(?:(?:hi|hello|hey)[ ,!.]+)?(?:please[ ,]+)?|[ ,]+(?:please|thanks|thank you)$")
_TOKEN = re.compile(
    r"\d{4}-\d\d-\d\d|\d{1,2}:\d\d|\d+/\d+|\d+(?:[.,]\d+)*[^\W\d_]*|°[A-Za-z]|[$€£¥%°#]"
    r"|(?:Dr|Mr|Mrs|Ms|Prof|St|No)\.(?=\s)|[ap]\.m\.|(?:[^\W\d_]\.){2,}"
    r"|[^\W_]+(?:'[^\W_]+)*(?:[+#]+(?!\w))?(?:/[^\W\d_]+)*(?:\.\d+)*|'(?=\s|$)|[,.;:?!()-]"
)
_RATE = re.compile(r"[kMGTP][bB](?:/s|ps)?")
_SHORT = {
    "n't": "not", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would", "'m": "am",
}  # fmt: skip
_IS = frozenset(["what", "who", "where", "when", "why", "how", "that", "it", "there", "he", "she", "which", "here"])
_WHOLE = {"can't": ["can", "not"], "won't": ["will", "not"], "cannot": ["can", "not"], "shan't": ["shall", "not"]}


@dataclass(frozen=True)
class Token:
    """A word or mark: as written, in lower case, and where it stands."""

    raw: str
    text: str
    start: int
    end: int


def normal_form(question: str) -> str:
    """Equal forms are the same question.

    >>> normal_form("Please,  who wrote “Emma”?") == normal_form('who wrote "Emma"')
    True
    """
    text = unicodedata.normalize("NFC", question).translate(_QUOTES)
    text = _ENDS.sub("", re.sub(r"\s+", " ", fold_capitals(text)))
    return _ENDS.sub("", _COURTESY.sub("", text)).strip() or text


def tokenize(question: str) -> list[Token]:
    """The tokens of a question; short forms written out, `'s` by itself where it may be a genitive.

    >>> [token.text for token in tokenize("What's Niger’s 12-month rate?")]
    ['what', 'is', 'niger', "'s", '12', 'month', 'rate', '?']
    """
    found: list[Token] = []
    text = question.translate(_QUOTES)
    is_loud = text.isupper()
    for match in _TOKEN.finditer(text):
        raw = match.group()
        if raw == "-" and text[max(match.start() - 1, 0)].isalnum() and text[match.end() : match.end() + 1].isalnum():
            continue  # 12-month, non-refundable: two words
        for part in filter(None, _parts(raw)):
            is_sign = (
                part.isupper()
                and part != "I"
                and part.isalpha()
                and len(part) < 4
                and match.start() > 0
                and not is_loud
            )
            is_sign = is_sign or bool(_RATE.fullmatch(part))
            low = part if is_sign and (part.lower() in SMALL or "b" in part.lower()[1:2]) else part.lower()
            found.append(Token(part, low.rstrip(".") or low, match.start(), match.end()))
    return found


def texts(tokens: list[Token], at: int, count: int) -> str:
    return " ".join(token.text for token in tokens[at : at + count])


def _parts(raw: str) -> list[str]:
    low = raw.lower()
    if low in _WHOLE:
        return list(_WHOLE[low])
    if "'" not in low:
        return [raw]
    if low.endswith("n't"):
        return [raw[:-3], "not"]
    head, _, tail = raw.rpartition("'")
    if tail.lower() == "s":
        return [head, "is"] if head.lower() in _IS else [head, "'s"]
    if not head and not tail:
        return ["'s"]  # the tenants' rights
    return [head, _SHORT["'" + tail.lower()]] if "'" + tail.lower() in _SHORT else [raw]
