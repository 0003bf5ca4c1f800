"""Code, formulas and signs in a question: what stands in one must stand in the other, character for character.

Words that only look like code (km/h, 12-month, e-mail, U.S.) are none. What is not covered: names of code whose
only difference is that of capitals.
"""

from __future__ import annotations

import re
import unicodedata

_ALONE = re.compile(r"[^\w\s“”„«»\"'’‘….,;:?!()€$£¥%°]+")  # an operator between spaces: a formula, which is not judged
_CODE = re.compile(
    r"[_=<>*^~@&|\\{}\[\]§]|\w\(|::|^[-+]\d|^#[a-z]|\d[eE][-+]?\d|[a-z]\.[a-z]|^[.*/]\w|\w[-+]$|\w\+\+|[²³¹⁰-₉]|\d[\"']"
)
_GROUP = re.compile(r"(?<!\w)\([A-Za-z]\b|\b[A-Za-z]\)|\d!")  # (a or b), 3!
_ENDS = '?!.,;:"“”„«»‘’…'
_DOTTED = re.compile(r"(?:[a-z]\.)+[a-z]?", re.IGNORECASE)  # p.m., U.S.


def signs_of(question: str) -> list[str]:
    """The chunks of code, sorted.

    >>> signs_of("What does max_iter do in list.sort()?")
    ['list.sort()', 'max_iter']
    """
    chunks = [chunk.strip(_ENDS) for chunk in question.split()]
    return sorted(chunk for chunk in chunks if chunk and not _DOTTED.fullmatch(chunk) and _is_code(chunk))


def has_formula(question: str) -> bool:
    """Whether a sign stands by itself, or brackets bind: `a < b`, `x == y`, `(a or b)`."""
    return bool(_GROUP.search(question)) or any(
        _ALONE.fullmatch(chunk) and chunk not in "—–" for chunk in question.split()
    )


def _is_code(chunk: str) -> bool:
    return bool(_CODE.search(chunk)) or any(unicodedata.category(c) in ("So", "Sm") and c not in "°" for c in chunk)
