"""What a question asks for: its parts, the kind of thing each wants, and the names it is about.

Read from the question word, the noun after it and the order of words. Not covered: languages other than English (such
a question has one part of no kind), and two questions in one sentence without a second question word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from pilotage.checks.grounding.evidence import split_text
from pilotage.evidence.terms import is_foreign
from pilotage.language.heads import read_head, without_fillers
from pilotage.language.lexicon import lexicon
from pilotage.language.wording import Token, tokenize
from pilotage.language.words import ASKING, BE, CLOSED, DO, HAVE, MODALS, PREPOSITIONS

Kind = Literal["who", "when", "where", "number", "why", "how", "polar", "thing", ""]

_KINDS: dict[str, Kind] = {
    "how": "how", "difference": "thing", "doing": "thing", "what if": "thing", "why": "why", "when": "when",
    "since": "when", "day": "when", "year": "when", "where": "where", "who": "who", "whose": "who", "what": "thing",
    "count": "number", "amount": "number", "often": "number", "times": "number", "duration": "number",
    "polar": "polar",
}  # fmt: skip
_LABELS = {"number": "how many or how much", "thing": "what", "polar": "whether it is so", "": "what"}
_WHEN = "year years date dates day days decade century centuries month season era time period"
_WHERE = "city town country place location state region continent village county district province site"
_WHO = "person people man woman king queen president author writer leader ruler scientist explorer emperor general"
_NUMBER = "percent percentage number amount fraction proportion age population height length weight cost price total"
_NOUNS: dict[str, Kind] = dict.fromkeys(_WHEN.split(), "when")
_NOUNS |= dict.fromkeys(_WHERE.split(), "where")
_NOUNS |= dict.fromkeys(_WHO.split(), "who")
_NOUNS |= dict.fromkeys(_NUMBER.split(), "number")
_MEASURED = "old far tall big large high deep wide fast heavy hot cold long"
_DEGREES = frozenset(_MEASURED.split())
_BOUNDARY = re.compile(r"(?<=[?!])\s+(?=\S)")
_ADDRESS = re.compile(
    r"\s*(?:\b(?:according to|as told by|of|by|on|at|in|from|per|see|read)\s+)?https?://\S*[^\s.,;:!?)\]]",
    re.IGNORECASE,
)
_INVERTED = BE | DO | HAVE | MODALS.keys() | {"else", "exactly"}
_JOINT = frozenset({"and", "or", ",", ";"})
_CLOSING = " \"'”’)]"


@dataclass(frozen=True)
class Part:
    """One thing that is asked, and the names in it."""

    kind: Kind
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        """The question word, for a reason that people read."""
        return _LABELS.get(self.kind, self.kind)


@dataclass(frozen=True)
class Asked:
    """A question as it is read. `names` are those of all parts, as written."""

    text: str
    parts: tuple[Part, ...]
    names: tuple[str, ...]
    offers_choice: bool  # "high or low": the answer stands in the question
    opens_with_name: bool  # the first word: it may be no name, but a slip

    @property
    def kind(self) -> Kind:
        return self.parts[0].kind


def only_asked(question: str) -> str:
    """What is asked, without where to look for it and without the sentences around that only tell something.

    >>> only_asked("I run a shop in Bremen. When did the house of http://tea.example/page?n=1 open?")
    'When did the house open?'
    """
    bare = _ADDRESS.sub("", question)
    sentences = [bare[start:end] for start, end in split_text(bare)]
    asking = [sentence for sentence in sentences if sentence.rstrip(_CLOSING).endswith(("?", "？"))]
    return re.sub(r"\s+(?=[?\s])", "", " ".join(asking)) if asking else bare


@lru_cache(maxsize=512)
def read_asked(question: str) -> Asked:
    """
    >>> [part.kind for part in read_asked("Who founded Ulm, and when was it burnt?").parts]
    ['who', 'when']
    """
    parts = tuple(part for sentence in _BOUNDARY.split(question.strip()) for part in _parts(sentence))
    tokens = tokenize(question)
    return Asked(
        question,
        parts or (Part("", ()),),
        _names(tokens),
        any(token.text == "or" for token in tokens),
        bool(tokens) and tokens[0].raw in _names(tokens),
    )


def _parts(sentence: str) -> list[Part]:
    """The parts of one sentence; without a question word in it, the whole of it is one of no kind."""
    tokens = without_fillers(tokenize(sentence))
    if not tokens or is_foreign(sentence):
        return [Part("", ())] if tokens else []
    cuts = [0, *(at for at in range(1, len(tokens) - 1) if _opens_part(tokens, at)), len(tokens)]
    return [_part(tokens[start:stop]) for start, stop in pairwise(cuts)]


def _opens_part(tokens: list[Token], at: int) -> bool:
    """`… and when was it`, `… and in what year`: a second question, but not `what happens if … and when it …`."""
    if tokens[at].text not in ("and", ";", ",") or not any(token.text in ASKING for token in tokens[:at]):
        return False
    first, second, *_ = [*(token.text for token in tokens[at + 1 : at + 3]), "", ""]
    if first in PREPOSITIONS:
        return second in ("what", "which", "whom")
    is_joint = first in ("when", "where", "how", "why") and bool(second)  # they join clauses too
    if is_joint:
        return second in _INVERTED or (first == "how" and tokens[at].text != ",")
    return first in ASKING and tokens[at].text != ","


def _part(tokens: list[Token]) -> Part:
    while tokens and tokens[0].text in _JOINT:
        tokens = tokens[1:]
    asking = _from_question_word(tokens)
    head = read_head(asking)
    kind = _KINDS.get(head.kind, "")
    after = [token.text for token in [*head.inserted, *asking[head.length :]][:1]]
    if kind in ("how", "thing") and after and after[0].removeprefix("how ") in _DEGREES:
        kind = "number"
    elif head.kind == "what":
        kind = _named_kind(asking, head.length) or kind
    return Part(kind, _names(tokens))


def _from_question_word(tokens: list[Token]) -> list[Token]:
    """The tokens from where the question itself begins: after `In Japan,`, or in the middle."""
    if read_head(tokens).kind not in ("tell", "polar"):
        return tokens
    for at, token in enumerate(tokens):
        if token.text in ASKING and (
            at == 0 or token.text not in ("when", "where", "who", "which") or _asks(tokens, at)
        ):
            return tokens[at:]
        if token.text == "," and at + 1 < len(tokens) and tokens[at + 1].text in _INVERTED:
            return tokens[at + 1 :]
    return tokens


def _asks(tokens: list[Token], at: int) -> bool:
    """Whether a word that may also join clauses is the question word here: not in `the year when it`."""
    before = tokens[at - 1].text
    after = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if not after or before == ",":
        return True
    return before in PREPOSITIONS or (tokens[at].text in ("who", "when", "where") and after in BE | DO)


def _named_kind(tokens: list[Token], at: int) -> Kind:
    """What the noun of `which …` or `what is the … of` stands for: `city` for a place."""
    words = [token.text for token in tokens[at : at + 6]]
    if tokens[0].text in ("what", "which") and len(tokens) > 2 and tokens[1].text in BE and tokens[2].text == "the":
        words = [token.text for token in tokens[3:9]]
        if {"of", "for", "that", "in"}.isdisjoint(words):
            return ""
    elif words and words[0] in _INVERTED:
        return ""
    return next((_NOUNS[noun] for noun in _noun_group(words) if noun in _NOUNS), "")


def _noun_group(words: list[str]) -> list[str]:
    """The nouns up to the first small word or past form: `capital city` of `capital city won …`."""
    book, nouns = lexicon(), []
    for at, word in enumerate(words[:4]):
        if word in CLOSED or not word.isalpha() or (at and book.is_participle(word)):
            break
        nouns += [base for base in book.bases(word) if book.knows(base, "n")][:1]
        if at and word.endswith("s") and not word.endswith("ss"):
            break
    return nouns


def _names(tokens: list[Token]) -> tuple[str, ...]:
    """Words that a capital makes a name; the first word of a sentence only when lower case makes no word of it."""
    found = []
    for at, token in enumerate(tokens):
        opens = at == 0 or tokens[at - 1].text in (".", "?", "!", ":")
        is_word = token.text in CLOSED or (opens and lexicon().is_common(token.text))
        if token.raw[:1].isupper() and not is_word and len(token.raw) > 1:
            found.append(token.raw)
    return tuple(dict.fromkeys(found))
