"""Does a quote stand in its source, letter by letter? White space and typographic quotes aside; nothing else is."""

from __future__ import annotations

import re
import unicodedata

SHORTEST_QUOTE = 8  # characters; less proves nothing
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»❝❞＂", '"') | dict.fromkeys("‘’‚‛‹›＇", "'"))
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def normalise(text: str) -> str:
    """NFC, straight quotes, one space for any white space."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_QUOTES).split())


def stands_in(quote: str, source: str) -> bool:
    """Whether `quote` is a stretch of whole words of `source`.

    >>> stands_in("ends after 30", "The run ends after 300 s.")
    False
    """
    wanted, text = normalise(quote), normalise(source)
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        if _whole(text, at, at + len(wanted)):
            return True
        at = text.find(wanted, at + 1)
    return False


def numbers(text: str) -> set[str]:
    """The numbers in a text in one form: 1,000 and 1000 are the same, 3.50 and 3.5 too.

    >>> sorted(numbers("1,000 calls at $0.50"))
    ['0.5', '1000']
    """
    return {_plain(match.group()) for match in _NUMBER.finditer(unicodedata.normalize("NFKC", text))}


def _plain(number: str) -> str:
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", number):
        number = number.replace(",", "")
    whole, dot, rest = number.partition(".")
    return whole + (dot + rest.rstrip("0")).rstrip(".") if rest.isdigit() else number


def _whole(text: str, start: int, end: int) -> bool:
    """No word and no number is cut at either end."""
    return not (_joined(text[:start][-2:], text[start:][:1]) or _joined(text[:end][-1:], text[end:][:2]))


def _joined(before: str, after: str) -> bool:
    left, right = before[-1:], after[:1]
    if _letter(left) and _letter(right):
        return True
    if left.isdigit() and right.isdigit():
        return True
    if left.isdigit() and right in ".," and after[1:2].isdigit():
        return True
    return left in ".," and right.isdigit() and before[:1].isdigit() and len(before) == 2


def _letter(char: str) -> bool:
    """A letter of a script that writes spaces between words (Latin, Greek, Cyrillic, …)."""
    return char.isalpha() and char < "\u0e00"
