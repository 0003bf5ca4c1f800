"""Reads the words of a question from left to right: what is grammar is noted, what has a meaning becomes a word."""

from __future__ import annotations

from dataclasses import replace

from pilotage.answers.quantities import take_amount, take_bound
from pilotage.language import words as w
from pilotage.language.content import (
    TO_DO,
    Reading,
    add,
    closed_word,
    is_read,
    negation,
    set_modal,
    take_phrase,
    take_word,
)
from pilotage.language.lexicon import lexicon
from pilotage.language.wording import Token, texts

PERSONS = {"i": "I", "we": "I", "you": "you", "me": "me", "us": "me", "my": "my", "our": "my", "your": "your"}
OWNERS = frozenset({"my", "your", "our", "its", "their", "his", "her", "'s", "one's"})


BINDING = frozenset({"unless", "until", "before", "after", "because", "although", "whether"})
"""Conjunctions that still bind when a pronoun follows."""


def read_words(tokens: list[Token], reading: Reading) -> None:
    at = 0
    while at < len(tokens):
        at += _step(tokens, at, reading)


def _step(tokens: list[Token], at: int, reading: Reading) -> int:
    for reader in (take_bound, _long_preposition, _modal, take_amount, take_phrase, _grammar):
        if length := reader(tokens, at, reading):
            return length
    take_word(tokens[at], reading)
    if tokens[at].text in w.UNCHANGED and reading.be and not reading.do and reading.verb < 0:
        after = texts(tokens, at + 1, 1)
        if len(reading.words) > 1 and (not after.isalpha() or after in w.PREPOSITIONS) and reading.words[-1].follows:
            reading.verb = len(reading.words) - 1
    return 1


def _long_preposition(tokens: list[Token], at: int, reading: Reading) -> int:
    for count in (4, 3, 2):
        if name := w.LONG_PREPOSITIONS.get(texts(tokens, at, count)):
            if name == "and":
                add(reading, closed_word(tokens[at], name))
            elif name != "to":
                reading.marker, reading.fresh = name, True
            return count
    return 0


_MODAL_PHRASES = {
    "have to": "must", "has to": "must", "had to": "must", "need to": "must", "needs to": "must", "got to": "must",
    "required to": "must", "obliged to": "must", "obligated to": "must", "necessary to": "must", "going to": "will",
    "able to": "able", "possible to": "able", "allowed to": "may", "permitted to": "may", "supposed to": "should",
    "unable to": "not able", "forbidden to": "not may", "prohibited to": "not may", "impossible to": "not able",
    "advisable to": "should", "recommended to": "should", "a good idea to": "should", "ok to": "may", "okay to": "may",
    "in need of": "must", "need": "must", "needs": "must", "needed": "must", "require": "must", "requires": "must",
    "required": "must", "necessary": "must",
    "the right to": "may", "used to": "formerly", "impossible for": "not able", "possible for": "able",
    "at all": "", "about to": "soon",
}  # fmt: skip


def _modal(tokens: list[Token], at: int, reading: Reading) -> int:
    if tokens[at].text == "need" and texts(tokens, at + 1, 1) == "not":
        set_modal(reading, "need")
        return 2
    for count in (4, 3, 2, 1):
        phrase = texts(tokens, at, count)
        name = _MODAL_PHRASES.get(phrase)
        if name == "":
            return count
        if name == "formerly" and reading.be:
            return 0
        if count == 1 and reading.be and phrase in ("allowed", "permitted", "possible"):
            name = "able" if phrase == "possible" else "may"
        if count == 1 and reading.be and phrase in ("forbidden", "prohibited"):
            name = "not may"
        if name and name.startswith("not "):
            add(reading, negation(tokens[at]))
            name = name[4:]
        if name:
            set_modal(reading, name)
            return count
    word = tokens[at].text
    if (
        word in w.MODALS
        and not (word == "may" and tokens[at].raw == "May" and at)
        and not (word == "will" and reading.aux)
    ):
        set_modal(reading, w.MODALS[word])
        reading.main = reading.main or ("future" if word in ("will", "shall") else "present")
        reading.aux = reading.fresh = True
        after = texts(tokens, at + 1, 1)
        reading.inverted = reading.inverted or not any(lexicon().knows(base, "v") for base in lexicon().bases(after))
        return 1
    return 0


def _grammar(tokens: list[Token], at: int, reading: Reading) -> int:
    token = tokens[at]
    word, after = token.text, tokens[at + 1].text if at + 1 < len(tokens) else ""
    if at and tokens[at - 1].text in w.ARTICLES and word in (w.PREPOSITIONS | w.CLAUSES) and not after.isalpha():
        return 0  # the till, the past
    if word in w.BE | w.DO | w.HAVE:
        return _auxiliary(word, tokens, at, reading)
    if word in ("get", "gets", "got", "getting") and lexicon().is_participle(after) and reading.words:
        reading.be = reading.fresh = True  # get paid: be paid
        return 1
    if word == "'s":
        if reading.words:
            reading.words[-1] = replace(reading.words[-1], is_owner=True)
        return 1
    if word in w.ANYONE:
        reading.anyone = reading.anyone or word in ("i", "you", "we", "one", "people", "someone", "anyone", "somebody")
        if word in ("my", "your", "our"):
            reading.article, reading.fresh = "the", True
        if word in PERSONS and not (word in ("me", "us") and at and tokens[at - 1].text in ("for", "on", "to")):
            reading.pronouns.append(PERSONS[word])
        if word in ("i", "you", "we"):
            reading.marker, reading.fresh = reading.marker if reading.marker in BINDING else "", True
        return 1
    if word == "there" and reading.be:
        reading.there = True
    if word == "it" and reading.be and at <= 2 and not reading.words:
        reading.anyone = reading.dummy = True  # is it safe to …: for anybody
    if word == "a" and after == "little":
        add(reading, closed_word(token, "some"))
        return 2
    if word in w.ARTICLES or word in w.DUMMIES or not token.text[0].isalnum():
        if word == ",":
            reading.marker = ""
        if word in w.ARTICLES:
            reading.article = "the" if word == "the" else "a"
        reading.fresh = True
        return 1
    if word in ("that", "which", "who") and reading.words:
        reading.clause = True
        reading.marker, reading.fresh = "", True
        return 1
    if word == "not" and (after == "to" or texts(tokens, at - 1, 1) == "to") and reading.words == [] and reading.modals:
        add(reading, closed_word(token, "not to"))  # allowed not to sign: not allowed to sign is another thing
        return 1
    if word in w.NEGATIONS or word in w.ABSOLUTE:
        add(reading, negation(token) if word in w.NEGATIONS else closed_word(token, word))
        return 1
    if word in w.JOINING:
        add(reading, closed_word(token, w.JOINING[word]))
        reading.fresh = True
        return 1
    if word in w.PREPOSITIONS or word in w.CLAUSES:
        return _preposition(tokens, at, after, reading)
    if word in w.DEMONSTRATIVES:
        add(reading, closed_word(token, w.DEMONSTRATIVES[word]))
        return 1
    if word == "own" and at and tokens[at - 1].text in OWNERS:
        return 1
    if word in w.QUANTIFIERS and word != "own":
        if word not in w.FREE:
            is_some = word == "few" and at and tokens[at - 1].text == "a"
            add(reading, closed_word(token, "some" if is_some else w.QUANTIFIERS[word]))
        return 1
    return 1 if word in w.FREE else 0


def _auxiliary(word: str, tokens: list[Token], at: int, reading: Reading) -> int:
    is_past = word in w.PAST
    after = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if word in w.HAVE:
        following = [token.text for token in tokens[at + 1 :]][: 2 if at else None]
        if any(lexicon().is_participle(text) or text == "been" for text in following):
            reading.aux = reading.past = True
            reading.main = reading.main or "past"
            return 1
        return 0
    if word in w.DO and at and (not after or after in w.PREPOSITIONS or tokens[at - 1].text in ("to",)):
        return 0  # to do it: a verb of its own
    reading.main = reading.main or ("past" if is_past else "present")
    reading.past = reading.past or is_past
    reading.open = reading.open or (word in ("be", "being") and bool(reading.words))
    reading.aux = reading.fresh = True
    reading.be = reading.be or word in w.BE
    reading.do = reading.do or word in w.DO
    reading.marker = ""
    return 1


def _preposition(tokens: list[Token], at: int, after: str, reading: Reading) -> int:
    word = tokens[at].text
    name = w.PREPOSITIONS.get(word) or w.CLAUSES[word]
    reading.clause = reading.clause or word in w.CLAUSES
    book = lexicon()
    ends = at + 1 >= len(tokens) or not after[0].isalnum()
    ends = ends or (word in ("before", "after", "for", "with") and after in ("since", "until", "before", "after"))
    last = reading.words[-1] if reading.words else None
    if word in w.PARTICLES and last and (ends or after in w.PREPOSITIONS or after in w.CLAUSES):
        for back in range(len(reading.words) - 1, max(len(reading.words) - 5, -1), -1):
            verb = reading.words[back]
            for base in verb.bases:
                phrase = f"{base} {word}"
                if is_read(phrase, reading) or book.has_phrase(phrase):
                    groups = frozenset(book.own.get(phrase, ()))
                    whole = replace(verb, bases=frozenset({phrase}), text=phrase, groups=groups)
                    reading.words[back] = replace(whole, raw=f"{verb.raw} {word}")
                    return 1
    if word == "to" and last and "apply" in last.bases:
        name = "for"
    if word == "for" and after in ("me", "us", "you"):
        tokens[at + 1] = Token("", ",", 0, 0)
        return 1
    if ends:
        if word in ("on", "off", "up", "down", "out", "away", "back", "over"):
            add(reading, closed_word(tokens[at], name))
        else:
            reading.stranded = name
        return 1
    bases = book.bases(after)
    if word == "to" and after in bases - w.ARTICLES and any(book.knows(base, "v") for base in bases):
        name = "to" if tokens[at + 1].raw[:1].isupper() else TO_DO
    reading.marker, reading.fresh = name, True
    return 1
