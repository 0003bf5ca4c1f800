"""What of a search comes in whole, what as a quote, and what not again."""

from __future__ import annotations

from pilotage.evidence.hits import Shown, quoted, told
from pilotage.evidence.knowledge import Hit
from pilotage.evidence.passages import Passage

TOWER = "The tower was lit in 1844. It stands 48 metres tall. Its keepers lived ashore."
LAMPS = "Early keepers burned whale oil. Later lamps used paraffin."


def hit(text: str, quote: str, score: float, name: str = "a.md#1", heading: str = "Tower") -> Hit:
    return Hit(Passage(name, name.partition("#")[0], "Title", heading, text, 7, 9), quote, score)


FIRST = hit(TOWER, "It stands 48 metres tall.", 0.9)
SECOND = hit(TOWER, "The tower was lit in 1844.", 0.3)
OTHER = hit(LAMPS, "Later lamps used paraffin.", 0.2, "b.md#2", "Lamps")
WEAK = hit(LAMPS, "Early keepers burned whale oil.", 0.045, "c.md#3", "")
HITS = [FIRST, SECOND, OTHER, WEAK]


def test_the_best_come_in_whole_once_with_their_quotes_as_stretches_and_the_others_as_quotes() -> None:
    entries, before = told(HITS, Shown(), most=1)
    assert [entry for _, entry in entries] == [
        {"source": "a.md#1", "where": "Tower", "text": TOWER, "quotes": [[27, 52, 0.9], [0, 26, 0.3]]},
        {"source": "b.md#2", "where": "Lamps", "score": 0.2, "quote": OTHER.quote},
        {"source": "c.md#3", "score": 0.045, "quote": WEAK.quote},
    ]
    assert [passage for passage, _ in entries] == [FIRST.passage, OTHER.passage, WEAK.passage]
    assert before == []


def test_no_quote_and_no_score_is_lost() -> None:
    for most in (None, 0, 1, 2, 50):
        found = [pair for _, entry in told(HITS, Shown(), most)[0] for pair in quoted(entry)]
        assert found == [(h.quote, h.score) for h in HITS], most


def test_what_has_a_small_part_of_the_best_score_does_not_come_in_whole() -> None:
    whole = {most: [e["source"] for _, e in told(HITS, Shown(), most)[0] if "text" in e] for most in (2, 50, None)}
    assert whole == {2: ["a.md#1", "b.md#2"], 50: ["a.md#1", "b.md#2"], None: ["a.md#1", "b.md#2", "c.md#3"]}


def test_what_was_shown_is_named_and_not_told_again() -> None:
    shown = Shown()
    shown.add(entry for _, entry in told([FIRST, OTHER], shown, most=1)[0])
    entries, before = told([OTHER, SECOND, FIRST, WEAK], shown, most=0)
    assert [entry["source"] for _, entry in entries] == ["c.md#3"]
    assert before == ["b.md#2", "a.md#1"]


def test_a_passage_of_which_a_quote_was_shown_comes_in_whole_when_it_is_among_the_best() -> None:
    shown = Shown()
    shown.add(entry for _, entry in told([FIRST, OTHER], shown, most=1)[0])
    entries, before = told([OTHER, FIRST], shown, most=1)
    assert [entry["text"] for _, entry in entries] == [LAMPS]
    assert before == ["a.md#1"]


def test_the_same_search_is_answered_as_the_first_time() -> None:
    shown = Shown()
    first = told(HITS, shown.at("towers"), most=1)
    shown.add(entry for _, entry in first[0])
    assert told(HITS, shown.at("towers"), most=1) == first
    assert told(HITS, shown.at("tall towers"), most=1)[1] == ["a.md#1", "b.md#2", "c.md#3"]


def test_quotes_are_found_in_a_text_that_the_guard_will_clean() -> None:
    text = "The\u200b tower was\x00 lit in 1844. It stands\u200b tall."
    ((_, entry),) = told([hit(text, "It stands\u200b tall.", 0.5)], Shown())[0]
    assert entry["text"] == "The tower was lit in 1844. It stands tall."
    assert list(quoted(entry)) == [("It stands tall.", 0.5)]


def test_nothing_found_is_nothing_told() -> None:
    assert told([], Shown(), most=2) == ([], [])
