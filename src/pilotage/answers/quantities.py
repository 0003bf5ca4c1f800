"""Reads the amounts of a question and what bounds them: up to 5 kg, below minus 3 °C, half a day."""

from __future__ import annotations

from dataclasses import replace

from pilotage.language import words as w
from pilotage.language.amounts import currency_of, read_amount, unit_of
from pilotage.language.content import Reading, Word, add, closed_word
from pilotage.language.lexicon import lexicon
from pilotage.language.wording import Token, texts

BOUNDS = {
    "over": "more-than", "above": "more-than", "exceeding": "more-than", "under": "less-than", "below": "less-than",
    "about": "about", "approximately": "about", "around": "about", "roughly": "about",
}  # fmt: skip


def take_bound(tokens: list[Token], at: int, reading: Reading) -> int:
    """Takes what stands before an amount and bounds it: up to, more than, limited to."""
    if at >= len(tokens):
        return 0
    raws = [token.raw for token in tokens]
    for count in (4, 3, 2):
        name = w.PHRASES.get(texts(tokens, at, count))
        if name and read_amount(raws, at + count)[1]:
            add(reading, closed_word(tokens[at], name))
            return count
    if texts(tokens, at, 2) == "limited to":
        return _take_limit(tokens, at, reading)
    behind = at + 2 if texts(tokens, at + 1, 1) == "minus" else at + 1
    if (name := BOUNDS.get(tokens[at].text)) and read_amount(raws, behind)[1]:
        add(reading, closed_word(tokens[at], name))
        return 1
    return 0


def _take_limit(tokens: list[Token], at: int, reading: Reading) -> int:
    is_amount = bool(read_amount([token.raw for token in tokens], at + 2)[1])
    if not is_amount and not take_bound(tokens, at + 2, replace(reading, words=[])):
        return 0
    if is_amount:
        add(reading, closed_word(tokens[at], "at-most"))
    return 2


def take_amount(tokens: list[Token], at: int, reading: Reading) -> int:
    raws = [token.raw for token in tokens[at : at + 8]]
    if raws[0] == "minus":
        return _negative(tokens, at, reading)
    if raws[0].lower() in ("one", "second") and not _is_counted(tokens, at, reading):
        return 0
    name, length = read_amount(raws, 0)
    if not name and raws[0].lower() in ("an", "a") and len(raws) > 1 and raws[1] not in ("second",):
        unit = unit_of(raws[1], after_number=False)
        ends = len(raws) < 3 or not raws[2].isalpha() or raws[2].lower() in w.PREPOSITIONS
        is_one = unit and ends and (unit[0] in ("s", "month") or raws[2:3] == ["of"])
        if is_one and reading.marker != "per":
            name, length = read_amount(["1", raws[1]], 0)
    if not name and (sign := currency_of(raws, 0)):
        name, length = f"unit 1 {sign}", 2
    if not name:
        unit = unit_of(raws[0], after_number=False)
        if unit is None or raws[0].lower() in ("day", "second", "min", "kilo", "bit", "bits", "days", "mole"):
            return 0
        name, length = f"unit {float(unit[1]):g} {unit[0]}", 1
    before = tokens[at - 1] if at else None
    is_version = before and (before.raw[:1].isupper() or before.text == "version")
    if name.startswith("number ") and "." in raws[0] and is_version:
        name = f"number {raws[0]}"  # Python 3.10 is not 3.1
    if name.startswith("number ") and length < len(raws) and raws[length] in ("or", "and", "to"):
        other, _ = read_amount(raws, length + 1)
        if other.startswith("amount ") and raws[length + 1][:1].isdigit():
            name, _ = read_amount([*raws[:length], *raws[length + 2 :]], 0)  # 160 or 175 °C
    spans = tuple((token.start, token.end) for token in tokens[at : at + length])
    shown = " ".join(raws[:length])
    add(reading, Word(name, shown, "number", frozenset({name}), spans=spans))
    return length


def _negative(tokens: list[Token], at: int, reading: Reading) -> int:
    name, length = read_amount([token.raw for token in tokens], at + 1)
    if not name:
        return 0
    part = tokens[at : at + 1 + length]
    shown, spans = " ".join(token.raw for token in part), tuple((token.start, token.end) for token in part)
    add(reading, Word(f"minus {name}", shown, "number", frozenset({f"minus {name}"}), spans=spans))
    return 1 + length


def _is_counted(tokens: list[Token], at: int, reading: Reading) -> bool:
    """Whether `one` counts something here and does not stand for anybody."""
    after = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if tokens[at].text == "second":
        return reading.fresh and after.isalpha()
    return lexicon().knows(next(iter(lexicon().bases(after)), ""), "n") and after not in w.BE | w.DO | w.HAVE
