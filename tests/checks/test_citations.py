"""The checks in code: quotes, numbers, quoted stretches and source ids of an answer stand in what it cites."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from pilotage.checks.citations import (
    check_explanation,
    check_findings,
    check_quote,
    check_verdicts,
)
from pilotage.checks.results import Citation, Explanation, Finding, Statement, Verdict

RETRIES = "Retries must have one owner. With three owners of three attempts each, one fault makes 27 requests."
COSTS = "A run of 1,024 calls costs $3.50. The cap is 300 seconds, not 200."
KOREAN = "재시도는 한 곳에서만 해야 한다. 세 층이 세 번씩 시도하면 요청은 27번이 된다."
JAPANESE = "再試行の持ち主は一つでなければならない。要求は27回になる。"
SOURCES = {"retries.md#1": RETRIES, "costs.md#2": COSTS, "ko.md#3": KOREAN, "ja.md#4": JAPANESE, "tiny.md#5": "Yes."}
CITED = {1: ("retries.md#1", RETRIES), 2: ("costs.md#2", COSTS), 3: ("ko.md#3", KOREAN), 4: ("ja.md#4", JAPANESE)}


def reasons(answer: str, *citations: int | tuple[int, str, str], **more: Any) -> list[str]:
    rows = [c if isinstance(c, tuple) else (c, *CITED[c]) for c in citations]
    made = [Citation(n=n, source=source, quote=quote) for n, source, quote in rows]
    return [fault.reason for fault in check_explanation(explain(answer, *made), SOURCES, **more)]


def explain(answer: str, *citations: Citation) -> Explanation:
    """An explanation as a model writes it in one text."""
    return Explanation.model_validate({"answer": answer, "citations": list(citations)})


def state(*statements: tuple[str, list[int]], citations: tuple[int, ...] = (1, 2)) -> Explanation:
    """An explanation as a model writes it in statements."""
    return Explanation(
        statements=[Statement(text=text, cites=cites) for text, cites in statements],
        citations=[Citation(n=n, source=CITED[n][0], quote=CITED[n][1]) for n in citations],
    )


def faults_of(explanation: Explanation) -> list[str]:
    return [fault.reason for fault in check_explanation(explanation, SOURCES)]


# --- answers that hold


@pytest.mark.parametrize(
    ("answer", "cited"),
    [
        ("One fault can become 27 requests [1].", [1]),
        ("One fault can become 27 requests. [1]", [1]),
        ("One fault can become 27 requests [1]. A run costs $3.5 [2].", [1, 2]),
        ("One fault can become 27 requests[1]; a run of 1024 calls costs 3.50 [2].", [1, 2]),
        ("It takes 27 requests and 300 seconds [1][2].", [1, 2]),
        ("It takes 27 requests and 300 seconds [1, 2].", [1, 2]),
        ("“one fault makes 27 requests” [1]", [1]),
        (f"“{RETRIES}” [1]\n\n“{COSTS}” [2]", [1, 2]),
        (f"{RETRIES} [1]", [1]),
        ('The text says "Retries must have one owner" [1].', [1]),
        ("- Retries have one owner [1]\n- A run has a cap [2]", [1, 2]),
        ("요청은 27번이 된다 [3].", [3]),
        (f"“{KOREAN}” [3]", [3]),
        ("要求は27回になる [4]。", [4]),
        (f"“{JAPANESE}” [4]", [4]),
        ("Dr. Smith, e.g., owns retries [1].", [1]),
    ],
)
def test_an_answer_that_holds_has_no_fault(answer: str, cited: list[int]) -> None:
    assert reasons(answer, *cited) == []


# --- sentences and their citations


@pytest.mark.parametrize(
    ("answer", "bare"),
    [
        ("Retries have one owner.", 1),
        ("Retries have one owner [1]. They multiply.", 1),
        ("Retries have one owner [1].\n\nIn short, be careful.", 1),
        ("요청은 27번이 된다 [3]. 재시도는 한 곳에서만 한다.", 1),
        ("要求は27回になる [4]。再試行の持ち主は一つだ。", 1),
        ("[1] Retries have one owner.", 1),
        ("Retries have one owner (1).", 1),
        ("Retries have one owner [a].", 1),
    ],
)
def test_every_sentence_without_a_citation_is_a_fault(answer: str, bare: int) -> None:
    assert reasons(answer, 1, 3, 4).count("the sentence carries no citation") == bare


def test_a_citation_that_is_not_listed_is_a_fault() -> None:
    assert reasons("Retries have one owner [7].", 1) == ["there is no citation [7]"]
    assert reasons("Retries have one owner [1, 7].", 1) == ["there is no citation [7]"]
    assert reasons("Retries have one owner [0].", 1) == ["there is no citation [0]"]


def test_two_citations_with_one_number_are_a_fault() -> None:
    assert "two citations carry this number" in reasons("One owner [1].", 1, (1, "costs.md#2", COSTS))


BARE_BEFORE = "in a text with marks, all that stands before a mark carries it, however many sentences"


@pytest.mark.parametrize(
    "answer",
    [
        "Retries are always harmful. They multiply [1].",
        "Never retry. Never wait. Retries have one owner [1].",
        "재시도는 해롭다. 요청은 27번이 된다 [3].",
        "再試行は有害だ。要求は27回になる [4]。",
    ],
)
def test_a_sentence_without_a_mark_before_one_with_a_mark_is_a_fault(answer: str) -> None:
    assert "the sentence carries no citation" in reasons(answer, 1, 3, 4)


def test_a_statement_without_citations_is_a_fault_for_each_of_its_sentences() -> None:
    explanation = state(("Retries have one owner.", [1]), ("They multiply. Be careful.", []))
    assert faults_of(explanation) == ["the sentence carries no citation"] * 2


def test_statements_that_hold_have_no_fault() -> None:
    explanation = state(("One fault makes 27 requests.", [1]), ("It costs $3.50 and takes 300 seconds.", [2]))
    assert faults_of(explanation) == []
    assert explanation.answer == "One fault makes 27 requests [1]. It costs $3.50 and takes 300 seconds [2]."


def test_a_mark_inside_a_statement_counts_as_a_citation_and_is_checked() -> None:
    assert faults_of(state(("One fault makes 27 requests [1].", []))) == []
    assert faults_of(state(("One fault makes 27 requests [9].", [1]))) == ["there is no citation [9]"]


@pytest.mark.parametrize("number", [0, -1, 9])
def test_a_statement_may_not_cite_what_is_not_listed(number: int) -> None:
    assert faults_of(state(("Retries have one owner.", [number]))) == [f"there is no citation [{number}]"]


def test_every_sentence_of_a_statement_is_checked_by_itself() -> None:
    explanation = state(("One fault makes 27 requests. It takes 28 seconds.", [1]))
    faults = check_explanation(explanation, SOURCES)
    assert [(f.text, f.reason) for f in faults] == [
        ("It takes 28 seconds.", "the number 28 does not stand in what it cites")
    ]


def test_sentences_keep_their_order_text_and_citations() -> None:
    explanation = explain(
        f"First here [1]. “{RETRIES}” [1]\n\n- Second, third [1][2]. Last one.",
        Citation(n=1, source="s", quote=RETRIES),
        Citation(n=2, source="s", quote=COSTS),
    )
    assert [(s.text, s.cites) for s in explanation.sentences()] == [
        ("First here", (1,)),
        (f"“{RETRIES}”", (1,)),
        ("Second, third", (1, 2)),
        ("Last one.", ()),
    ]


def test_no_word_of_an_answer_escapes_the_sentences_or_the_text_that_is_shown() -> None:
    rng = random.Random(20261123)
    words = [
        "retries",
        "own",
        "27",
        "“one",
        "fault”",
        "e.g.",
        "3.5",
        "-",
        "*",
        "재시도는",
        "再試行。",
        "[1]",
        "[1,2]",
        ".",
        "\n",
    ]
    quoted = [Citation(n=1, source="s", quote=RETRIES), Citation(n=2, source="s", quote=COSTS)]
    for _ in range(300):
        answer = " ".join(rng.choice(words) for _ in range(rng.randrange(1, 25)))
        explanation = explain(answer, *quoted)
        checked = " ".join(s.text for s in explanation.sentences())
        for word in ("retries", "own", "27", "fault", "재시도는", "再試行", "3.5"):
            assert checked.count(word) == explanation.answer.count(word) == answer.count(word), (answer, checked)


def test_what_is_shown_is_what_was_checked() -> None:
    """The shown text, read again as a text with marks, gives the same sentences and the same faults."""
    explanation = state(("One owner is needed.", [1]), (f"“{COSTS}”", [2]), ("It takes 300 seconds.", [2, 1]))
    again = explain(explanation.answer, *explanation.citations)
    assert [s.cites for s in again.sentences()] == [s.cites for s in explanation.sentences()]
    assert faults_of(again) == faults_of(explanation) == []


# --- quotes and sources


def test_a_source_that_was_not_retrieved_is_a_fault() -> None:
    (reason,) = reasons("One owner [1].", (1, "retries.md#2", RETRIES))
    assert reason == 'the source "retries.md#2" was not retrieved in this run'


def test_a_quote_of_another_source_is_a_fault() -> None:
    (reason,) = reasons("One owner [1].", (1, "costs.md#2", RETRIES))
    assert reason == "the quote does not stand word for word in costs.md#2"


@pytest.mark.parametrize("quote", ["", "  ", "owner", "27", ".", "“”"])
def test_a_quote_too_short_to_prove_anything_is_a_fault(quote: str) -> None:
    assert "too short" in check_quote(quote, "retries.md#1", SOURCES)


def test_a_short_passage_may_be_quoted_whole() -> None:
    assert check_quote("Yes.", "tiny.md#5", SOURCES) == ""
    assert check_quote("Yes", "tiny.md#5", SOURCES)


def test_an_empty_passage_proves_nothing() -> None:
    assert check_quote("", "x", {"x": ""})


def test_any_altered_quote_is_refused_in_findings_and_citations() -> None:
    rng = random.Random(20261124)
    for _ in range(200):
        source, text = rng.choice(list(SOURCES.items())[:4])
        at = rng.choice([i for i, c in enumerate(text) if c.isalnum()])
        quote = text[:at] + rng.choice(string.ascii_letters + string.digits) + text[at + 1 :]
        if quote != text:
            assert check_findings([Finding(claim="c", quote=quote, source=source)], SOURCES)
            assert reasons("It is so [1].", (1, source, quote))


def test_only_the_faulty_findings_are_named() -> None:
    good = Finding(claim="c", quote=RETRIES, source="retries.md#1")
    bad = Finding(claim="c", quote=RETRIES.replace("27", "28"), source="retries.md#1")
    assert [f.text for f in check_findings([good, bad, good], SOURCES)] == [bad.quote]


# --- numbers


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ("One fault makes 28 requests [1].", "28"),
        ("One fault makes 2 requests [1].", "2"),
        ("One fault makes 270 requests [1].", "270"),
        ("One fault makes 2.7 requests [1].", "2.7"),
        ("A run of 1,025 calls [2].", "1025"),
        ("A run of 1.024 calls [2].", "1.024"),
        ("It costs $3.05 [2].", "3.05"),
        ("It costs $350 [2].", "350"),
        ("27 requests cost $3.50 [2].", "27"),
        ("요청은 28번이 된다 [3].", "28"),
        ("要求は２８回になる [4]。", "28"),
    ],
)
def test_a_number_that_does_not_stand_in_what_it_cites_is_a_fault(answer: str, missing: str) -> None:
    assert reasons(answer, 1, 2, 3, 4) == [f"the number {missing} does not stand in what it cites"]


@pytest.mark.parametrize("number", ["1,024", "1024", "1024.0"])
def test_a_number_in_another_form_is_the_same(number: str) -> None:
    assert reasons(f"A run has {number} calls [2].", 2) == []


def test_a_number_with_another_sign_is_a_fault() -> None:
    sources = {"t.md#1": "The probe works down to -40 degrees."}
    citation = Citation(n=1, source="t.md#1", quote=sources["t.md#1"])
    assert check_explanation(explain("It works down to 40 degrees [1].", citation), sources)


# --- quoted stretches


@pytest.mark.parametrize(
    "answer",
    [
        "“one fault makes 27 calls” [1]",
        'It says "retries must have two owners" [1].',
        "It says “Retries must have one owner” and “they never multiply” [1].",
        "“The cap is 300 seconds” [1]",
        "“One fault makes 27 requests” [1]",
    ],
)
def test_a_quoted_stretch_that_does_not_stand_in_what_it_cites_is_a_fault(answer: str) -> None:
    (reason,) = reasons(answer, 1, 2)
    assert "does not stand in what it cites" in reason


@pytest.mark.parametrize(
    "answer",
    [
        "„Versuche haben zwei Besitzer“ [1]",
        "«two owners, always» [1]",
        "「二つの持ち主」 [1]",
        "It says ‘retries need two owners’ [1].",
    ],
)
def test_a_stretch_between_other_quotation_marks_is_checked_too(answer: str) -> None:
    assert reasons(answer, 1)


def test_a_quoted_stretch_may_not_run_from_one_citation_into_the_next() -> None:
    assert reasons("“makes 27 requests. A run of 1,024 calls” [1][2].", 1, 2)


def test_the_number_of_another_citation_does_not_help() -> None:
    assert reasons("It takes 300 seconds [1].", 1, 2) == ["the number 300 does not stand in what it cites"]


# --- residue


@pytest.mark.parametrize(
    "word", ["Thought", "Action", "Action Input", "Observation", "Final Answer", "thought", "ACTION"]
)
def test_the_residue_of_a_thought_or_an_action_is_a_fault(word: str) -> None:
    assert "the answer holds the residue of a thought or an action" in reasons(f"{word}: search again [1].", 1)


def test_residue_in_a_later_statement_is_a_fault_too() -> None:
    assert faults_of(state(("Retries have one owner.", [1]), ("Thought: I should search again.", [1])))


@pytest.mark.parametrize("text", ["The action: one owner", "Thoughtful retries", "My observation"])
def test_words_that_only_look_like_residue_are_none(text: str) -> None:
    assert reasons(f"{text} [1].", 1) == []


# --- the verifier's word


def test_what_the_verifier_did_not_find_supported_may_not_be_cited() -> None:
    assert reasons("One owner [1].", 1, supported=[("retries.md#1", RETRIES)]) == []
    for supported in ([], [("costs.md#2", COSTS)], [("costs.md#2", RETRIES)]):
        assert reasons("One owner [1].", 1, supported=supported) == ["the verifier did not find this quote supported"]


def test_a_part_of_a_supported_quote_may_be_cited_and_more_than_it_may_not() -> None:
    part, rest = RETRIES.split(". ", 1)
    assert reasons("One owner [1].", (1, "retries.md#1", part), supported=[("retries.md#1", RETRIES)]) == []
    assert reasons("One owner [1].", (1, "retries.md#1", RETRIES), supported=[("retries.md#1", rest)])


def verdict(quote: str = RETRIES, source: str = "retries.md#1", word: Any = "supported") -> Verdict:
    return Verdict(claim="c", quote=quote, source=source, verdict=word, reason="r")


FINDING = Finding(claim="c", quote=RETRIES, source="retries.md#1")


@pytest.mark.parametrize("word", ["supported", "unsupported", "unsure"])
def test_one_verdict_for_each_finding_holds(word: str) -> None:
    assert check_verdicts([verdict(word=word)], [FINDING], SOURCES) == []


def test_a_finding_without_a_verdict_is_a_fault() -> None:
    for verdicts in ([], [verdict(COSTS, "costs.md#2")], [verdict(RETRIES[:-10])]):
        assert [f.text for f in check_verdicts(verdicts, [FINDING], SOURCES)] == [RETRIES]


def test_supported_of_what_does_not_stand_in_its_source_is_a_fault() -> None:
    false = RETRIES.replace("27", "28")
    faults = check_verdicts([verdict(), verdict(false)], [FINDING], SOURCES)
    assert [(f.text, f.reason.split(",")[0]) for f in faults] == [(false, "called supported")]
    assert check_verdicts([verdict(), verdict(false, word="unsupported")], [FINDING], SOURCES) == []


def test_two_verdicts_that_contradict_each_other_are_a_fault() -> None:
    assert check_verdicts([verdict(word="unsupported"), verdict(word="supported")], [FINDING], SOURCES)


@pytest.mark.parametrize(
    "answer", ["“one fault makes 27 requests” [1]. Never retry. “Retries must have one owner.” [1]",
               "“One fault makes 27 requests.” Never retry. “Retries must have one owner.” [1]"],
)  # fmt: skip
def test_a_bare_sentence_between_two_quoted_ones_is_a_fault(answer: str) -> None:
    assert "the sentence carries no citation" in reasons(answer, 1)


def test_a_quote_with_quotation_marks_of_its_own_may_be_quoted() -> None:
    source = "He called it “the owner of retries”. It made 27 requests. Then “never again” was said."
    citation = Citation(n=1, source="q.md#1", quote=source)
    statement = Statement(text=f"“{source}”", cites=[1])
    assert check_explanation(Explanation(statements=[statement], citations=[citation]), {"q.md#1": source}) == []
