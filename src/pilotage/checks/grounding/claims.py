"""A text as claims that can be judged one by one: sentences, and clauses that stand for themselves.

A sentence is cut at "; " and at ", and" before a subject with its verb; never within quotes, brackets, a list or a
number. A clause that begins with a pronoun keeps its sentence, for nobody could tell alone what it speaks of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import sentencex

from pilotage.evidence.sentences import language
from pilotage.language.lexicon import lexicon
from pilotage.language.words import ARTICLES, BE, DO, HAVE, MODALS, OTHERS

_JOINT = re.compile(r"; (?:and |but |while )?|, (?:and|but|while|whereas) (?=\S)")
_MARK = re.compile(r"\s*\[\d+(?:\s*,\s*\d+)*\]")
_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_ITEM = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_HEADING = re.compile(r"\s*#{1,6} ")  # names its part and claims nothing
_OPENERS = {"(": ")", "[": "]", "“": "”", "«": "»", "„": "“", '"': '"', "「": "」"}
_LEANS = re.compile(r"(?:If|When|While|Although|Though|Because|Since|Unless|Both|Either|Not only)\b")  # go on behind it
_LEAST = 3  # words of a clause that can stand for itself
_SUBJECT = 6  # words in which the verb of a clause must come
_LEANING = OTHERS | frozenset({"it", "its", "this", "that", "these", "those", "which", "who", "whose", "there", "then"})
_AUXILIARIES = BE | DO | HAVE | frozenset(MODALS)


def split_claims(text: str) -> list[str]:
    """The claims in their order; a mark such as [1] stays with the claim that it stands in or behind.

    >>> split_claims("Bell bought Nokia in 1998; Nokia had 4,000 workers.")
    ['Bell bought Nokia in 1998', 'Nokia had 4,000 workers.']
    """
    found = [clause for sentence in _sentences(text) for clause in _clauses(sentence)]
    return [claim for claim in found if _WORD.search(_MARK.sub("", claim))]


def _sentences(text: str) -> Iterator[str]:
    for line in text.splitlines():
        line = "" if _HEADING.match(line) else _ITEM.sub("", line).strip()
        held = ""
        for piece in sentencex.segment(language(line), line) if line else ():
            held += piece
            if _depth(held) == 0:
                yield from _with_mark(held)
                held = ""
        if held.strip():
            yield held.strip()


def _with_mark(piece: str) -> Iterator[str]:
    if piece.strip():
        yield piece.strip()


def _depth(text: str) -> int:
    """How many quotes and brackets are still open."""
    waiting: list[str] = []
    for char in text:
        if waiting and char == waiting[-1]:
            waiting.pop()
        elif char in _OPENERS:
            waiting.append(_OPENERS[char])
    return len(waiting)


def _clauses(sentence: str) -> list[str]:
    start, found = 0, []
    for joint in _JOINT.finditer(sentence):
        before, after = sentence[start : joint.start()], sentence[joint.end() :]
        if _depth(before) == 0 and _stands(before) and _stands(after) and not _LEANS.match(before):
            found.append(before.strip())
            start = joint.end()
    return [*found, sentence[start:].strip()]


def _stands(clause: str) -> bool:
    """Whether the clause begins with a subject of its own and a verb comes soon."""
    words = [match[0] for match in _WORD.finditer(clause)]
    if len(words) < _LEAST or words[0].lower() in _LEANING:
        return False
    first = words[0].lower()
    begins = first in ARTICLES or words[0][0].isupper() or words[0][0].isdigit() or lexicon().knows(first, "n")
    return begins and any(_is_verb(word) for word in words[1:_SUBJECT])


def _is_verb(word: str) -> bool:
    low = word.lower()
    if low in _AUXILIARIES:
        return True
    book = lexicon()
    return (
        word.islower()
        and low.endswith(("ed", "s", "t", "ew", "ook", "ame", "ade", "old", "rote", "an"))
        and any(base != low and book.knows(base, "v") for base in book.bases(low))
    )
