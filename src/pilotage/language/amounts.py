"""Amounts in one form: numbers in digits or words, quantities with their unit, dates, times of day, ordinals.

1,000 = 1000 = 1k · twenty-five = 25 · 24 hours = 1 day · 1.5 kg = 1500 g · 5 June 2024 = 2024-06-05 · 2 pm = 14:00
Not covered: units beyond the international system, common time and money; feasts that move from year to year.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_MONTHS = (
    "january/jan february/feb march/mar april/apr may june/jun july/jul august/aug september/sep/sept october/oct "
    "november/nov december/dec"
)
ONES = {word: number for number, word in enumerate(_ONES.split())}
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS = {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}
ORDINALS = {word: number for number, word in enumerate(_ORDINALS.split())}
MONTHS = {word: number for number, words in enumerate(_MONTHS.split(), 1) for word in words.split("/")}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "k": 1000,
          "dozen": 12}  # fmt: skip

_TENTHS = {"deci d": 1, "centi c": 2, "milli m": 3, "micro µ μ": 6, "nano n": 9}
_FOLDS = {"hecto h": 100, "kilo k": 10**3, "mega M": 10**6, "giga G": 10**9}
_SCALED: dict[str, Fraction | int] = {"": 1}
_SCALED |= {name: Fraction(1, 10**power) for names, power in _TENTHS.items() for name in names.split()}
_SCALED |= {name: factor for names, factor in _FOLDS.items() for name in names.split()}
_PREFIXES = {name: factor for name, factor in _SCALED.items() if len(name) != 1}
_SIGNS = {name: factor for name, factor in _SCALED.items() if len(name) < 2}
_SI = {"metre": "m", "meter": "m", "gram": "g", "gramme": "g", "litre": "l", "liter": "l", "watt": "W", "volt": "V",
       "ampere": "A", "amp": "A", "hertz": "Hz", "joule": "J", "newton": "N", "pascal": "Pa", "mole": "mol",
       "ohm": "Ω", "byte": "B", "bit": "bit", "kelvin": "K", "watt-hour": "Wh", "lumen": "lm"}  # fmt: skip
_COMMON: dict[str, tuple[str, Fraction | int]] = {
    "second": ("s", 1), "sec": ("s", 1), "minute": ("s", 60), "min": ("s", 60), "hour": ("s", 3600), "hr": ("s", 3600),
    "day": ("s", 86400), "week": ("s", 604800), "month": ("month", 1), "year": ("month", 12), "decade": ("month", 120),
    "millisecond": ("s", Fraction(1, 1000)), "ms": ("s", Fraction(1, 1000)), "microsecond": ("s", Fraction(1, 10**6)),
    "kilo": ("g", 1000), "tonne": ("g", 10**6), "percent": ("%", 1), "%": ("%", 1), "°c": ("°C", 1), "℃": ("°C", 1),
    "celsius": ("°C", 1), "dollar": ("$", 1), "usd": ("$", 1), "$": ("$", 1), "euro": ("€", 1), "eur": ("€", 1),
    "€": ("€", 1), "cent": ("cent", 1), "gbp": ("£", 1), "£": ("£", 1), "chf": ("CHF", 1), "yen": ("¥", 1),
    "jpy": ("¥", 1), "¥": ("¥", 1),
}  # fmt: skip
_SHORT = {"s": ("s", 1), "h": ("s", 3600), "d": ("s", 86400), "t": ("g", 10**6)}
MONEY = frozenset("$€£¥")
CURRENCIES = {("swiss", "franc"): "CHF", ("us", "dollar"): "$", ("pound", "sterling"): "£", ("japanese", "yen"): "¥"}
FEASTS = {
    ("christmas", "day"): "12-25", ("christmas", "eve"): "12-24", ("boxing", "day"): "12-26",
    ("new", "year", "'s", "day"): "01-01", ("new", "years", "day"): "01-01", ("new", "year", "'s", "eve"): "12-31",
    ("new", "years", "eve"): "12-31", ("valentine", "'s", "day"): "02-14", ("halloween",): "10-31",
    ("st", "patrick", "'s", "day"): "03-17", ("all", "saints", "'s", "day"): "11-01",
}  # fmt: skip
"""Days that lie on the same date everywhere."""


def _names() -> dict[str, tuple[str, Fraction | int]]:
    found = dict(_COMMON)
    for name, sign in _SI.items():
        found |= {prefix + name: (sign, factor) for prefix, factor in _PREFIXES.items()}
    return found


_NAMES = _names()
_BY_SIGN = {prefix + sign: (sign, factor) for sign in set(_SI.values()) for prefix, factor in _SIGNS.items()}
_DIGITS = re.compile(r"(\d+(?:[.,]\d+)*)([a-zµ°%]*)")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_DAY = re.compile(r"(0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?")
_RATIO = re.compile(r"[^\W\d_]+/[^\W\d_]+")
_YEAR = re.compile(r"1[0-9]{3}|20\d\d")


def unit_of(raw: str, after_number: bool) -> tuple[str, Fraction | int] | None:
    """The unit's base and its factor; signs such as `m` count only after a number."""
    text = raw.lower()
    if text in ("ms", "min") and raw != text:
        return None  # Ms, Min.
    for name in (text, text.removesuffix("s"), text.removesuffix("es")):
        if name in _NAMES:
            return _NAMES[name]
    if raw in _BY_SIGN and (after_number or (len(raw) > 1 and raw[-1] not in "bst")):
        return _BY_SIGN[raw]
    return _SHORT.get(raw) if after_number else None


def written(value: Fraction) -> str:
    """At most six figures after the point, no zeros at the end."""
    return f"{float(value):.10g}" if value.denominator > 1 else str(value.numerator)


def plain_number(text: str) -> Fraction | None:
    """
    >>> plain_number("1,000"), plain_number("1.5")
    (Fraction(1000, 1), Fraction(3, 2))
    """
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", text):
        return None  # 1.000: one or a thousand
    return Fraction(text) if re.fullmatch(r"\d+(?:\.\d+)?", text) else None


def read_amount(texts: Sequence[str], at: int) -> tuple[str, int]:
    """The amount that begins at a place and how many tokens it takes; ("", 0) when none does."""
    for reader in (_feast, _date, _clock, _ordinal, _quantity):
        found, length = reader(texts, at)
        if found:
            return found, length
    return "", 0


def _get(texts: Sequence[str], at: int) -> str:
    return texts[at] if at < len(texts) else ""


def _date(texts: Sequence[str], at: int) -> tuple[str, int]:
    one, two, three = (_get(texts, at + i).lower().rstrip(".") for i in range(3))
    if iso := _ISO.fullmatch(one):
        return f"date {iso[0]}", 1
    if two == "of" and _DAY.fullmatch(one) and three in MONTHS:
        found, length = _date([one, *texts[at + 2 : at + 5]], 0)
        return (found, length + 1) if found else ("", 0)
    if _DAY.fullmatch(one) and two in MONTHS:
        return _dated(MONTHS[two], one, texts, at + 2, 2)
    if one in MONTHS and _DAY.fullmatch(two) and (_get(texts, at)[:1].isupper() or one != "may"):
        return _dated(MONTHS[one], two, texts, at + 2, 2)
    if one in MONTHS and _YEAR.fullmatch(two) and _get(texts, at)[:1].isupper():
        return f"date {two}-{MONTHS[one]:02}", 2
    return "", 0


def _dated(month: int, day: str, texts: Sequence[str], at: int, length: int) -> tuple[str, int]:
    number = int(re.sub(r"\D", "", day))
    comma = 1 if _get(texts, at) == "," else 0
    year = _get(texts, at + comma)
    if _YEAR.fullmatch(year):
        return f"date {year}-{month:02}-{number:02}", length + comma + 1
    return f"date {month:02}-{number:02}", length


def _feast(texts: Sequence[str], at: int) -> tuple[str, int]:
    for length in (4, 3, 2, 1):
        name = tuple(text.lower().rstrip(".") for text in texts[at : at + length])
        if len(name) == length and name in FEASTS:
            month, day = FEASTS[name].split("-")
            return _dated(int(month), day, texts, at + length, length)
    return "", 0


def currency_of(texts: Sequence[str], at: int) -> str:
    """The sign of a currency that two words name, or ""."""
    one, two = _get(texts, at).lower(), _get(texts, at + 1).lower()
    return (
        CURRENCIES.get((one, two))
        or CURRENCIES.get((one, two.removesuffix("s")))
        or CURRENCIES.get((one.removesuffix("s"), two))
        or ""
    )


def _clock(texts: Sequence[str], at: int) -> tuple[str, int]:
    one, half = _get(texts, at).lower(), _get(texts, at + 1).lower().replace(".", "")
    length = 2
    if one in ("noon", "midday", "midnight"):
        return f"time {0 if one == 'midnight' else 12:02}:00", 1
    if one == "12" and half in ("noon", "midday", "midnight"):
        return _clock([half], 0)[0], 2
    if glued := re.fullmatch(r"(\d{1,2}(?::\d\d)?)([ap]m)", one):
        one, half, length = glued[1], glued[2], 1
    clock = _CLOCK.fullmatch(one) or (re.fullmatch(r"(1[0-2]|[1-9])()", one) if half in ("am", "pm") else None)
    if not clock:
        return "", 0
    hour, minute = int(clock[1]), clock[2] or "00"
    if half not in ("am", "pm"):
        return f"time {hour:02}:{minute}", 1
    return f"time {hour % 12 + (12 if half == 'pm' else 0):02}:{minute}", length


def _ordinal(texts: Sequence[str], at: int) -> tuple[str, int]:
    one, two = _get(texts, at).lower(), _get(texts, at + 1).lower()
    if found := re.fullmatch(r"(\d+)(?:st|nd|rd|th)", one):
        return f"number #{found[1]}", 1
    if one in TENS and ORDINALS.get(two, 10) < 10 and ORDINALS[two] > 0:
        return f"number #{TENS[one] + ORDINALS[two]}", 2
    return (f"number #{ORDINALS[one]}", 1) if one in ORDINALS and one != "zeroth" else ("", 0)


def _quantity(texts: Sequence[str], at: int) -> tuple[str, int]:
    money = _get(texts, at) in MONEY
    value, length, rest = _value(texts, at + money)
    if value is None:
        return "", 0
    length += money
    if money:
        return f"amount {written(value)} {_get(texts, at)}", length
    if rest:
        if rest == "s" and value >= 100:
            return f"number {written(value)}s", length  # the 1970s
        unit = unit_of(rest, after_number=True)
        return (f"amount {written(value * unit[1])} {unit[0]}", length) if unit else ("", 0)
    return _with_unit(value, texts, at, length)


def _with_unit(value: Fraction, texts: Sequence[str], at: int, length: int) -> tuple[str, int]:
    unit: tuple[str, Fraction | int] | None = None
    more = 1
    following = [_get(texts, at + length + i) for i in range(3)]
    low = [word.lower() for word in following]
    if low[0] == "per" and low[1] == "cent":
        unit, more = ("%", 1), 2
    elif low[0] in ("degrees", "degree", "°") and low[1] in ("c", "celsius"):
        unit, more = ("°C", 1), 2
    elif sign := currency_of(low, 0):
        unit, more = (sign, 1), 2
    elif following[0] and following[0] != "Ms." and not (low[0] == "min" and low[1] == "."):
        unit = unit_of(following[0], after_number=True)
    if unit:
        return f"amount {written(value * unit[1])} {unit[0]}", length + more
    if _RATIO.fullmatch(following[0]):
        return f"amount {written(value)} {following[0]}", length + 1
    return f"number {written(value)}", length


def _value(texts: Sequence[str], at: int) -> tuple[Fraction | None, int, str]:
    """The number, its tokens, and letters that stick to its digits."""
    one = _get(texts, at)
    if re.fullmatch(r"\d+/[1-9]\d*", one):
        return Fraction(one), 1, ""
    if glued := _DIGITS.fullmatch(one):
        value, letters, length = plain_number(glued[1]), one[len(glued[1]) :], 1
        if value is not None and letters.lower() == "k":
            value, letters = value * 1000, ""
        while value is not None and not letters and _get(texts, at + length).lower() in SCALES:
            value *= SCALES[_get(texts, at + length).lower()]
            length += 1
        return value, length, letters
    return *_spelled(texts, at), ""


def _spelled(texts: Sequence[str], at: int) -> tuple[Fraction | None, int]:
    total, part, place = 0, 0, at
    seen = False
    while (word := _get(texts, place).lower()) in ONES or word in TENS or (word in SCALES and seen and word != "k"):
        if word in SCALES:
            part = max(part, 1) * SCALES[word]
            if SCALES[word] >= 1000:
                total, part = total + part, 0
        else:
            value = ONES.get(word, TENS.get(word, 0))
            if seen and part % 100 and not (part % 100 >= 20 and part % 10 == 0 and 0 < value < 10):
                break
            part += value
        seen = True
        place += 1
        joins = _get(texts, place).lower() == "and" and part >= 100
        place += joins and _get(texts, place + 1).lower() in ONES | TENS
    return (Fraction(total + part), place - at) if seen else (None, 0)
