"""Does a quote stand in its source, letter by letter? White space and typographic quotes aside; nothing else is."""

from __future__ import annotations

import re
import unicodedata

SHORTEST_QUOTE = 8  # characters; less proves nothing
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»❝❞＂", '"') | dict.fromkeys("‘’‚‛‹›＇", "'"))
_NUMBER = re.compile(r"(?:(?<![\w)\]])[-−])?(?:(?<!\d)\.)?\d+(?:[.,]\d+)*")


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
    sign = "-" if number[0] in "-−" else ""
    number = number.lstrip("-−")
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", number):
        number = number.replace(",", "")
    whole, dot, rest = number.partition(".")
    return sign + ((whole or "0") + (dot + rest.rstrip("0")).rstrip(".") if rest.isdigit() else number)


def _whole(text: str, start: int, end: int) -> bool:
    """No word and no number is cut at either end, and no number loses its sign or its unit."""
    return not (
        _joined(text[max(0, start - 2) : start], text[start : start + 2])
        or _joined(text[:end][-2:], text[end : end + 2])
    )


def _joined(before: str, after: str) -> bool:
    """Whether the characters on both sides of a cut belong to one word or number."""
    left, right = before[-1:], after[:1]
    if _letter(left) or left.isdigit():
        if _letter(right) or (right.isdigit()):
            return True
        if right == "_" and after[1:2].isalnum():  # max_iter, but not _emphasis_
            return True
    if left.isdigit():
        return right == "%" or (right in tuple(".,") and after[1:2].isdigit())
    if right.isdigit():
        return left in tuple("-−") or (left in tuple(".,") and before[:1].isdigit()) or left == "."
    return left == "_" and before[:1].isalnum() and len(before) == 2 and _letter(right)


def _letter(char: str) -> bool:
    """A letter of a script that writes spaces between words (Latin, Greek, Cyrillic, …)."""
    return char.isalpha() and char < "\u0e00"
