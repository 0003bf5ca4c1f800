"""A question read for comparison: what kind of answer it asks for, and its words in order with what binds them.

There is no parser: closed classes, the lexicon and the order of words tell what can be told. Where they cannot, two
readings differ and nothing is served, which costs a hit and not an answer to another question.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from pilotage.answers.reading import read_words
from pilotage.answers.rephrasing import reframe, rephrase
from pilotage.evidence.terms import is_foreign
from pilotage.language import words as w
from pilotage.language.amounts import unit_of
from pilotage.language.content import Reading, Word, find_phrases, plain_word
from pilotage.language.heads import Head, read_head, without_fillers
from pilotage.language.lexicon import lexicon
from pilotage.language.wording import Token, tokenize

IMPERATIVES = frozenset({"tell", "show", "explain", "describe", "name", "list", "give", "say", "ask", "state"})
STOPS = frozenset(".?!;:")
KNOWN = 0.7  # the least share of English words in an English question …
CLOSED = 0.33  # … or of its function words


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
    has_clause: bool = False
    has_aux: bool = False


@lru_cache(maxsize=4096)
def wordings(text: str) -> tuple[tuple[Token, ...], ...]:
    """The question in its own frame, and in the one that stands for it where that is another."""
    tokens = without_fillers(_ordered(tokenize(text)))
    plain, framed = tuple(rephrase(tokens)), tuple(without_fillers(reframe(tokens)))
    return (plain,) if [token.text for token in plain] == [token.text for token in framed] else (plain, framed)


@lru_cache(maxsize=4096)
def phrase_groups(tokens: tuple[Token, ...]) -> tuple[frozenset[int], frozenset[int]]:
    """The groups of our lists that a word of the question stands in, and those that a phrase of it does."""
    book = lexicon()
    words, phrases = set[int](), set[int]()
    for at, token in enumerate(tokens):
        for base in book.bases(token.text) | {token.text}:
            words |= book.own.get(base, set())
        for _, phrase in find_phrases(list(tokens), at, book):
            phrases |= book.own[phrase]
        if token.text in w.PARTICLES:
            for before in tokens[max(at - 5, 0) : at]:
                for base in book.bases(before.text):
                    phrases |= book.own.get(f"{base} {token.text}", set())
    return frozenset(words), frozenset(phrases)


def shared_groups(a: tuple[Token, ...], b: tuple[Token, ...]) -> frozenset[int]:
    """The groups of phrases that both questions have a member of: only those phrases are read as one word."""
    (words, phrases), (others, theirs) = phrase_groups(a), phrase_groups(b)
    return frozenset(n for n in (phrases & (others | theirs)) | (theirs & words) if n >= lexicon().short)


def read_question(text: str) -> Question:
    return read_tokens(wordings(text)[0])


@lru_cache(maxsize=8192)
def read_tokens(given: tuple[Token, ...], joins: frozenset[int] = frozenset()) -> Question:
    tokens = list(given)
    head = read_head(tokens)
    reading = Reading(
        past=head.past,
        main="past" if head.past else "present" if head.has_aux else "",
        aux=head.has_aux,
        be=head.has_be,
        do=head.has_do,
        anyone=head.is_anyone,
        joins=joins,
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
    """A distance from one to the other is that between both."""
    texts = [token.text for token in tokens]
    is_far = "distance" in texts or any("far" in token.text for token in head.inserted)
    if not is_far or texts.count("from") != 1 or texts.count("to") != 1 or texts.index("from") > texts.index("to"):
        return tokens
    names = {"from": "between", "to": "and"}
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
    verb_first = lacks_aux and _begins_past(reading.words[:4], head.kind)
    verb_first = verb_first and head.kind in ("who", "what", "count")
    tense = reading.main or ("past" if reading.past or verb_first else "present")
    if "will" in reading.modals and tense == "present":
        tense = "future"
    if head.kind == "what" and reading.verb > 0 and [token.text for token in head.inserted] == ["how long"]:
        head = replace(head, kind="duration", is_anyone=False, inserted=())  # how long are they kept
        first = replace(reading.words[1], marker="", follows=False)
        reading.words[:2], reading.verb, reading.anyone = [first], reading.verb - 1, False
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
        names_kind, reading.clause, reading.aux or head.has_aux or head.has_be,
    )  # fmt: skip


def _ends_in_do(tokens: list[Token]) -> bool:
    """`What does the valve do?`: what its function is."""
    return len(tokens) > 3 and tokens[1].text in ("do", "does") and tokens[-1].text == "do"


def _begins_past(words: list[Word], kind: str) -> bool:
    """Whether the first verb is a past: who paid; not who pays for broken windows."""
    book = lexicon()
    for word in words:
        if _is_past(word):
            return True
        is_third = word.raw.endswith("s") and any(base != word.raw and book.knows(base, "v") for base in word.bases)
        if kind == "who" and is_third:
            return False
    return False


def _is_past(word: Word) -> bool:
    form = word.raw.lower().partition(" ")[0]
    book = lexicon()
    if form in w.HAVE - w.PAST:
        return False
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
    """`A handshake needs how many trips?`, `it is paid under what conditions?`"""
    if read_head(without_fillers(part)).kind != "tell" or part[0].text in IMPERATIVES:
        return part
    for at in range(1, len(part) - 1):
        if part[at].text == "how" and part[at + 1].text in ("many", "much", "long", "often"):
            return [token for token in part[at:] if token.text not in STOPS] + part[:at]
    ends = len(part) - (part[-1].text in STOPS)
    for at in range(ends - 1, max(ends - 5, 1), -1):
        if part[at].text in ("what", "which") if at < ends - 1 else part[at].text in w.ASKING:
            at -= part[at - 1].text in w.PREPOSITIONS
            return part[at:ends] + [token for token in part[:at] if token.text not in (",", ":")]
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
