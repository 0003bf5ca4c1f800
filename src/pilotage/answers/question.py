"""A question read for comparison: what kind of answer it asks for, and its words in order with what binds them.

There is no parser: closed classes, the lexicon and the order of words tell what can be told. Where they cannot, two
readings differ and nothing is served, which costs a hit and not an answer to another question.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from pilotage.answers import words as w
from pilotage.answers.amounts import unit_of
from pilotage.answers.content import Reading, Word, plain_word
from pilotage.answers.heads import Head, read_head, without_fillers
from pilotage.answers.lexicon import lexicon
from pilotage.answers.reading import read_words
from pilotage.answers.rephrasing import rephrase
from pilotage.answers.wording import Token, tokenize
from pilotage.evidence.terms import is_foreign

STOPS = frozenset(".?!;:")
KNOWN = 0.7  # the least share of English words in an English question …
CLOSED = 0.35  # … or of its function words


@dataclass(frozen=True)
class Question:
    """What is compared."""

    kind: str
    words: tuple[Word, ...]
    asks_with: str = ""  # the preposition of the question word: to whom
    modals: frozenset[str] = frozenset()
    tense: str = "present"
    is_passive: bool = False
    verb: int = -1  # the place of the passive's participle
    is_anyone: bool = False  # the subject is I, you, one, people
    has_do: bool = False
    pronouns: tuple[str, ...] = ()
    tells_past: bool = False  # there is a past anywhere
    has_there: bool = False
    alternatives: bool = False  # this or that
    has_it: bool = False  # is it safe to …
    names_kind: bool = False  # which city is the …


@lru_cache(maxsize=4096)
def read_question(text: str) -> Question:
    tokens = rephrase(without_fillers(_ordered(tokenize(text))))
    head = read_head(tokens)
    reading = Reading(
        past=head.past,
        main="past" if head.past else "present" if head.has_aux else "",
        aux=head.has_aux,
        be=head.has_be,
        do=head.has_do,
        anyone=head.is_anyone,
    )
    reading.modals |= head.modals
    reading.words += [plain_word(token, "", lexicon()) for token in head.inserted]
    read_words(_spaced(tokens[head.length :], head), reading)
    if head.inserted and head.kind == "what" and len(reading.words) > 1 and not reading.words[1].marker:
        reading.words[1] = replace(reading.words[1], marker="of", follows=False)  # how high is it: the height of it
    rest = [token.text for token in tokens[head.length : head.length + 5]]
    is_named = (
        any(token.raw[:1].isupper() for token in tokens[head.length + 2 :])
        and len(rest) > 3
        and rest[1] in ("is", "was")
        and (rest[2] == "the" or rest[3] == "'s")
    )
    return _finished(
        head, reading, head.kind == "what" and is_named and not any(word.degree for word in reading.words), tokens
    )


def _spaced(tokens: list[Token], head: Head) -> list[Token]:
    """A distance between one and the other is that from one to the other."""
    texts = [token.text for token in tokens]
    is_far = "distance" in texts or any(token.text == "far" for token in head.inserted)
    if not is_far or texts.count("between") != 1 or texts.count("and") != 1:
        return tokens
    names = {"between": "from", "and": "to"}
    return [replace(token, text=names.get(token.text, token.text)) for token in tokens]


def is_english(text: str) -> bool:
    """Whether most of the words, names and numbers apart, are English ones."""
    book = lexicon()
    tokens = tokenize(text)
    found = [token.text for token in tokens if token.text.isalpha() and (token.raw.islower() or token is tokens[0])]
    known = [
        word
        for word in found
        if word in w.CLOSED or unit_of(word, False) or any(book.knows(base) for base in book.bases(word))
    ]
    closed = sum(word in w.CLOSED for word in known)
    return not is_foreign(text) and (len(known) >= KNOWN * len(found) or closed >= CLOSED * len(found))


def _finished(head: Head, reading: Reading, names_kind: bool, tokens: list[Token]) -> Question:
    lacks_aux = not reading.aux and not reading.modals
    verb_first = lacks_aux and any(_is_past(word) for word in reading.words[:4])
    verb_first = verb_first and head.kind in ("who", "what", "count")
    tense = reading.main or ("past" if reading.past or verb_first else "present")
    if "will" in reading.modals and tense == "present":
        tense = "future"
    if head.kind == "how" and reading.words and reading.words[-1].text == "differ":
        head = replace(head, kind="difference")
        reading.words.pop()
    if head.kind == "what" and reading.do and not reading.anyone and _ends_in_do(tokens):
        head = replace(head, kind="doing")
    if head.kind == "what" and reading.be and len(reading.words) > 1 and reading.words[-1].text in ("called", "named"):
        reading.words.pop()
        reading.verb = -1
    return Question(
        head.kind, tuple(reading.words), head.preposition or reading.stranded, frozenset(reading.modals - {"will"}),
        tense, reading.verb >= 0, reading.verb, reading.anyone, reading.do or reading.inverted, tuple(reading.pronouns),
        reading.past or verb_first, reading.there, any(word.text == "or" for word in reading.words), reading.dummy,
        names_kind,
    )  # fmt: skip


def _ends_in_do(tokens: list[Token]) -> bool:
    """`What does the valve do?`: what its function is."""
    return len(tokens) > 3 and tokens[1].text in ("do", "does") and tokens[-1].text == "do"


def _is_past(word: Word) -> bool:
    form = word.raw.lower().partition(" ")[0]
    book = lexicon()
    return book.is_participle(form) and any(base != form and book.knows(base, "v") for base in book.bases(form))


def _ordered(tokens: list[Token]) -> list[Token]:
    """The question itself first, then what was said or put before it, so that both orders read the same."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        parts[-1].append(token)
        if token.text in STOPS:
            parts.append([])
    parts = [part for part in parts if any(token.text.isalnum() for token in part)]
    if not parts:
        return tokens
    asks = [part for part in parts if read_head(without_fillers(_fronted(part))).kind != "tell"]
    asking = (asks or parts)[-1]
    rest = [part for part in parts if part is not asking]
    found = _asked_last(_fronted(asking))
    for part in rest:
        found += [Token("if", "if", 0, 0), *part]
    return found


def _asked_last(part: list[Token]) -> list[Token]:
    """`A handshake needs how many trips?`"""
    if read_head(without_fillers(part)).kind != "tell":
        return part
    for at in range(1, len(part) - 1):
        if part[at].text == "how" and part[at + 1].text in ("many", "much", "long", "often"):
            return [token for token in part[at:] if token.text not in STOPS] + part[:at]
    return part


def _fronted(part: list[Token]) -> list[Token]:
    """`In Japan, do people …`: what stands before the question word or the verb goes to the end."""
    first = part[0].text
    if first not in w.PREPOSITIONS and first not in w.CLAUSES and first not in ("without", "whenever"):
        return list(part)
    if len(part) > 1 and part[1].text in ("what", "which", "whom", "whose", "how", "who"):
        return list(part)
    commas = [i for i, token in enumerate(part) if token.text == ","]
    asks = [
        i for i, token in enumerate(part) if i and (token.text in w.ASKING or token.text in w.BE | w.DO | set(w.MODALS))
    ]
    cut = next((comma for comma in commas if read_head(part[comma + 1 :]).kind != "tell"), None)
    if cut is None:
        cut = asks[0] - 1 if asks and first in w.PREPOSITIONS else None
    if cut is None:
        return list(part)
    return [token for token in part[cut + 1 :] if token.text not in STOPS] + [
        t for t in part[: cut + 1] if t.text != ","
    ]
