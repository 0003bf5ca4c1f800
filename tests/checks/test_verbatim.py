"""Verbatim: a quote stands letter by letter or it does not; numbers have one form."""

from __future__ import annotations

import random
import string

import pytest

from pilotage.checks.verbatim import normalise, numbers, stands_in

SOURCES = [
    "Retries must have one owner, because nested retries multiply. With three owners of three attempts each, "
    "one fault makes 27 requests. The owner of retries in this project is the door.",
    "A deadline stops the run after 300 seconds. Nothing starts after the deadline, and 1,024 calls cost $3.50.",
    "Die Grenze liegt bei 12,5 Prozent. Größere Läufe enden früher, doch niemals vor 2019.",
    "재시도는 한 곳에서만 해야 한다. 세 층이 세 번씩 시도하면 요청은 27번이 된다. 마감은 300초이다.",
    "再試行の持ち主は一つでなければならない。三層が三回ずつ試みると、要求は27回になる。締め切りは300秒である。",
]
SEED = 20261123
ALPHABETS = [
    string.ascii_lowercase,
    string.ascii_uppercase,
    string.digits,
    "äöüß",
    "가나다라마바사아자차",
    "あいうえお再試行三回",
]


def quotes(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """Random stretches of whole sentences of the sources: (quote, source)."""
    found: list[tuple[str, str]] = []
    while len(found) < count:
        source = rng.choice(SOURCES)
        ends = [0] + [
            i + 1 for i, c in enumerate(source) if c in ".。" and source[i + 1 : i + 2] in (" ", "", "三", "締")
        ]
        one, two = sorted(rng.sample(range(len(ends)), 2))
        quote = source[ends[one] : ends[two]].strip()
        if len(quote) > 10:
            found.append((quote, source))
    return found


def test_every_stretch_of_whole_sentences_stands_in_its_source() -> None:
    rng = random.Random(SEED)
    assert all(stands_in(quote, source) for quote, source in quotes(rng, 300))


def test_any_single_letter_or_digit_changed_is_refused() -> None:
    rng, changed = random.Random(SEED + 1), 0
    for quote, source in quotes(rng, 400):
        at = rng.choice([i for i, c in enumerate(quote) if c.isalnum()])
        other = rng.choice(rng.choice(ALPHABETS))
        altered = quote[:at] + other + quote[at + 1 :]
        if altered == quote:
            continue
        changed += 1
        assert not stands_in(altered, source), (altered, source)
    assert changed > 350


def test_any_single_letter_or_digit_dropped_or_put_in_is_refused() -> None:
    rng = random.Random(SEED + 2)
    for quote, source in quotes(rng, 400):
        at = rng.choice([i for i, c in enumerate(quote) if c.isalnum()][1:-1])
        other = rng.choice(string.ascii_letters + string.digits)
        for altered in (quote[:at] + quote[at + 1 :], quote[:at] + other + quote[at:]):
            if altered not in source:
                assert not stands_in(altered, source), (altered, source)


def test_every_letter_of_one_quote_matters_in_its_case() -> None:
    quote = SOURCES[0]
    for at, char in enumerate(quote):
        if char.isalpha():
            assert not stands_in(quote[:at] + char.swapcase() + quote[at + 1 :], quote), quote[at:]


def test_two_words_swapped_are_refused() -> None:
    rng = random.Random(SEED + 3)
    for quote, source in quotes(rng, 200):
        words = quote.split(" ")
        if len(words) < 3:
            continue
        one, two = rng.sample(range(len(words)), 2)
        if words[one] != words[two]:
            words[one], words[two] = words[two], words[one]
            assert not stands_in(" ".join(words), source)


def test_white_space_typographic_quotes_and_composition_do_not_matter() -> None:
    source = "He said “retries\n  multiply” – it’s\u00a0a caf\u00e9."
    assert stands_in('said "retries multiply" – it\'s a cafe\u0301', source)
    assert stands_in("  said\t«retries multiply»\n", source)


@pytest.mark.parametrize("altered", ["said – retries multiply", "retries, multiply", "it’s a cafe."])
def test_other_punctuation_and_accents_do_matter(altered: str) -> None:
    assert not stands_in(altered, "He said “retries multiply” – it’s a café.")


@pytest.mark.parametrize(
    ("cut", "source"),
    [
        ("ends after 30", "The run ends after 300 s."),
        ("00 s", "The run ends after 300 s."),
        ("costs $3", "It costs $3.50 now"),
        ("costs $3.5", "It costs $3.50 now"),
        ("50 now", "It costs $3.50 now"),
        ("about 1", "about 1,024 calls"),
        ("024 calls", "about 1,024 calls"),
        ("The own", "The owner of retries"),
        ("wner of", "The owner of retries"),
        ("ends at 12", "it ends at 12,5 percent"),
        ("이상 30", "이상 300초"),
        ("27", "요청은 271번"),
    ],
)
def test_no_word_and_no_number_may_be_cut(cut: str, source: str) -> None:
    assert not stands_in(cut, source)


@pytest.mark.parametrize(
    ("cut", "source"),
    [("the limit is 5", "the limit is 5k tokens"), ("40 degrees", "at -40 degrees"), ("40 degrees", "at −40 degrees"),
     ("set max", "set max_iter to 5"), ("cap of 30", "cap of 30% of all")],
)  # fmt: skip
def test_no_number_may_lose_its_sign_or_unit(cut: str, source: str) -> None:
    assert not stands_in(cut, source)


@pytest.mark.parametrize(
    ("whole", "source"),
    [
        ("after 300", "stops after 300."),
        ("after 300", "stops after 300, then"),
        ("300 s", "300 s"),
        ("in version 3.5", "it is in version 3.5."),
        ("multiply", "retries (multiply)"),
        ("owner", "the owner's"),
        ("27번", "요청은 27번이 된다"),
        ("재시도", "재시도는 한 곳에서만"),
        ("三回ずつ", "三層が三回ずつ試みると"),
        ("27回", "要求は27回になる"),
    ],
)
def test_whole_words_and_numbers_stand(whole: str, source: str) -> None:
    assert stands_in(whole, source)


def test_a_later_place_counts_when_the_first_is_a_cut() -> None:
    assert stands_in("a cap of 30", "a cap of 300 and a cap of 30")


@pytest.mark.parametrize("quote", ["", "   ", "\n", "\u200b"])
def test_nothing_stands_nowhere(quote: str) -> None:
    assert not stands_in(quote, "some text")
    assert not stands_in(quote, "")


def test_a_quote_longer_than_its_source_does_not_stand() -> None:
    assert not stands_in("some text and more", "some text")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,000 calls", {"1000"}),
        ("1000 calls", {"1000"}),
        ("1,000,000.50", {"1000000.5"}),
        ("3.50", {"3.5"}),
        ("3.5", {"3.5"}),
        ("3.0 and 3", {"3"}),
        ("0.50", {"0.5"}),
        ("100", {"100"}),
        ("10.0", {"10"}),
        ("in 2019, 27 of 300.", {"2019", "27", "300"}),
        ("２７回", {"27"}),
        ("27번, 300초", {"27", "300"}),
        ("12,5 Prozent", {"12,5"}),
        ("gpt-4o", {"4"}),
        ("no figures, only seven words", set()),
        ("[x] 1.", {"1"}),
    ],
)
def test_numbers_have_one_form(text: str, found: set[str]) -> None:
    assert numbers(text) == found


def test_every_figure_of_a_number_matters() -> None:
    rng = random.Random(SEED + 4)
    for _ in range(300):
        number = str(rng.randrange(1, 10 ** rng.randrange(1, 7)))
        at = rng.randrange(len(number))
        other = number[:at] + rng.choice([d for d in string.digits if d != number[at]]) + number[at + 1 :]
        if other.lstrip("0") != number:
            assert numbers(f"about {other} calls") != numbers(f"about {number} calls")
        assert numbers(f"about {int(number):,} calls") == numbers(f"about {number} calls")


@pytest.mark.parametrize(("one", "other"), [(".5 s", "5 s"), ("-40 degrees", "40 degrees"), ("−40", "40")])
def test_numbers_of_different_value_are_different(one: str, other: str) -> None:
    assert numbers(one) != numbers(other)


@pytest.mark.parametrize("text", ["a  b\n\tc", " a b c ", "a\u00a0b\u2003c"])
def test_normalise_makes_one_space_of_any(text: str) -> None:
    assert normalise(text) == "a b c"


def test_normalise_twice_changes_nothing() -> None:
    rng = random.Random(SEED + 5)
    for _ in range(200):
        text = "".join(chr(rng.choice([rng.randrange(32, 127), rng.randrange(0xA0, 0x2100)])) for _ in range(40))
        assert normalise(normalise(text)) == normalise(text)
