"""Pages that a run has read: found, named and judged beside the documents, and gone with the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pilotage.evidence.choose import choose
from pilotage.evidence.knowledge import Hit, Knowledge
from pilotage.evidence.pages import EMBEDDED, Pages
from tests.reading.pages import page
from tests.support.knowledge import Opener

TEA = "https://www.example.org/tea.html"
TEA_TEXT = (
    "The tea house on the quay was opened by Agnes Weir in the spring of 1904.",
    "It burned down in 1931 and was never built again, although the town had promised to pay for it.",
)
HARBOUR = "https://www.example.org/harbour.html"
HARBOUR_TEXT = (
    "The harbour of the town was dredged to a depth of seven metres when the ferry came.",
    "Fishing boats land their catch of herring before dawn, and the auction begins at six.",
)
GERMAN = "https://www.example.org/uhr.html"
GERMAN_TEXT = (
    "Die Turmuhr wurde von einem Schlosser aus Bremen gebaut und schlägt seit dem Winter zu jeder vollen Stunde.",
    "Ihr Zifferblatt ist vergoldet, und das Uhrwerk muss an jedem Montag von Hand aufgezogen werden.",
)
Adder = Callable[..., list[str]]


@pytest.fixture
def knowledge(folder: Path, opened: Opener) -> Knowledge:
    return opened(folder)


@pytest.fixture
def pages(knowledge: Knowledge) -> Iterator[Pages]:
    made = Pages.beside(knowledge)
    yield made
    made.close()


def add(pages: Pages, url: str, texts: tuple[str, ...] | list[str], title: str = "A page") -> list[str]:
    """Add a page of these paragraphs; the names of its passages."""
    body = "".join(f"<p>{text}</p>" for text in texts)
    markup = f"<html><head><title>{title}</title></head><body><main>{body}</main></body></html>"
    return [passage.source for passage in pages.add(page(markup, url))]


def best(knowledge: Knowledge, question: str, pages: Pages | None) -> Hit:
    hits = choose(knowledge.search(question, pages=pages).hits)
    assert hits, question
    return hits[0]


def test_the_page_answers_what_only_it_says_and_the_document_what_only_it_says(
    knowledge: Knowledge, pages: Pages
) -> None:
    add(pages, TEA, TEA_TEXT)
    opened_by = best(knowledge, "Who opened the tea house on the quay?", pages)
    assert (opened_by.passage.path, "Agnes Weir" in opened_by.quote) == (TEA, True)
    designed = best(knowledge, "Who designed the tower of Skerryvore?", pages)
    assert (designed.passage.path, "Alan Stevenson" in designed.quote) == ("lighthouse.md", True)


def test_a_page_changes_nothing_for_a_question_that_it_does_not_answer(knowledge: Knowledge, pages: Pages) -> None:
    add(pages, TEA, TEA_TEXT)
    assert choose(knowledge.search("Who won the football world cup in 1998?", pages=pages).hits) == []
    assert best(knowledge, "How hot is the oven?", pages).quote == best(knowledge, "How hot is the oven?", None).quote


def test_a_passage_of_a_page_is_named_by_the_address_of_the_page(pages: Pages) -> None:
    sources = add(pages, TEA, TEA_TEXT)
    assert sources
    for source in sources:
        assert source.startswith(f"{TEA}#")
        passage = pages.passage(source)
        assert passage is not None
        assert (passage.path, passage.source, passage.title) == (TEA, source, "A page")
    assert pages.passage(f"{TEA}#00000000") is None


def test_paragraphs_that_are_alike_have_names_of_their_own(pages: Pages) -> None:
    again = "The committee adjourned until the following Thursday without having come to any decision."
    sources = add(pages, TEA, (again, TEA_TEXT[0], again))
    assert len(set(sources)) == len(sources)
    assert all(pages.passage(source) for source in sources)


def test_a_page_read_again_replaces_itself(knowledge: Knowledge, pages: Pages) -> None:
    first = add(pages, TEA, TEA_TEXT)
    assert add(pages, TEA, TEA_TEXT) == first
    second = add(pages, TEA, ("The tea house on the quay was opened by Flora Lamont in 1911.",))
    assert not set(first) & set(second)
    assert pages.passage(first[0]) is None
    assert "Flora Lamont" in best(knowledge, "Who opened the tea house on the quay?", pages).quote
    assert not any("Agnes" in hit.quote for hit in knowledge.search("Agnes Weir", pages=pages).hits)


def test_an_unchanged_page_is_not_embedded_again(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    add(pages, TEA, TEA_TEXT)
    monkeypatch.setattr("pilotage.evidence.embedder.Embedder.embed", _never)
    add(pages, TEA, TEA_TEXT)


def test_a_page_that_changes_often_does_not_use_up_the_room_for_vectors(pages: Pages) -> None:
    for number in range(5):
        add(pages, TEA, (*TEA_TEXT, f"The visitors' book counts {number} entries for the day on which it was opened."))
        add(pages, HARBOUR, HARBOUR_TEXT)
    assert len(pages._vectors) == 5
    assert list(pages._vectors.ids) == sorted(pages._vectors.ids)


def test_many_pages_are_kept_apart(knowledge: Knowledge, pages: Pages) -> None:
    for number in range(40):
        text = f"The signal station number {number} on the northern coast was built by the engineer Person{number}."
        add(pages, f"https://example.org/station/{number}", (text,), title=f"Station {number}")
    hit = best(knowledge, "Who built the signal station number 23?", pages)
    assert hit.passage.path == "https://example.org/station/23"
    assert "Person23" in hit.quote


def test_beyond_the_room_for_vectors_full_text_still_finds(
    knowledge: Knowledge, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotage.evidence.pages.EMBEDDED", 3)
    add(pages, HARBOUR, (*HARBOUR_TEXT, "The pilot boat is painted red so that it is seen from far away."))
    add(pages, TEA, TEA_TEXT)
    assert len(pages._vectors) == 3
    assert "Agnes Weir" in best(knowledge, "Who opened the tea house on the quay?", pages).quote


def test_a_long_page_gets_as_many_vectors_as_there_is_room_for(pages: Pages) -> None:
    texts = [f"The entry number {number} of the log was written by the keeper in the night." for number in range(700)]
    add(pages, TEA, texts)
    assert len(pages._vectors) == EMBEDDED


@pytest.mark.parametrize("question", ["Wer hat die Turmuhr gebaut?", "An welchem Tag wird das Uhrwerk aufgezogen?"])
def test_a_german_page_answers_by_full_text(knowledge: Knowledge, pages: Pages, question: str) -> None:
    add(pages, GERMAN, GERMAN_TEXT)
    found = knowledge.search(question, pages=pages)
    assert found.hits[0].passage.path == GERMAN
    assert "vectors know English only: full text alone" in found.notes


def test_the_sentences_of_a_german_page_get_no_vector_when_an_english_one_follows(pages: Pages) -> None:
    add(pages, GERMAN, GERMAN_TEXT)
    assert len(pages._vectors) == 0
    add(pages, TEA, TEA_TEXT)
    assert len(pages._vectors) == 2


def test_a_korean_page_is_found(knowledge: Knowledge, pages: Pages) -> None:
    add(pages, TEA, ("이 찻집은 봄에 문을 열었고 손님이 많았다. 찻집의 주인은 김영희였다.",))
    assert knowledge.search("찻집의 주인은 누구인가?", pages=pages).hits[0].passage.path == TEA


def test_without_an_embedder_pages_are_found_by_full_text(folder: Path, opened: Opener, without_embedder: None) -> None:
    knowledge = opened(folder)
    pages = Pages.beside(knowledge)
    add(pages, TEA, TEA_TEXT)
    found = knowledge.search("Who opened the tea house on the quay?", pages=pages)
    pages.close()
    assert "Agnes Weir" in choose(found.hits)[0].quote
    assert found.notes == ["no sentence vectors: full text alone"]


def test_what_is_not_allowed_is_not_found_among_documents_and_pages(knowledge: Knowledge, pages: Pages) -> None:
    add(pages, TEA, TEA_TEXT)
    for allowed in ({"bread.md"}, {TEA}, {"lighthouse.md", TEA}, set[str]()):
        for question in ("Who opened the tea house?", "Who designed the tower?", "How hot is the oven?"):
            found = knowledge.search(question, pages=pages, allowed=allowed.__contains__)
            assert {hit.passage.path for hit in found.hits} <= allowed
    found = knowledge.search("Who opened the tea house on the quay?", pages=pages, allowed=lambda path: "://" in path)
    assert "Agnes Weir" in found.hits[0].quote


def test_pages_are_gone_with_the_run_and_leave_no_file(knowledge: Knowledge, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    pages = Pages.beside(knowledge)
    add(pages, TEA, TEA_TEXT)
    pages.close()
    assert sorted(tmp_path.rglob("*")) == before
    assert not any(hit.passage.path == TEA for hit in knowledge.search("Who opened the tea house?").hits)


@pytest.mark.parametrize("text", ["", " ", "\u200b"])
def test_a_page_without_a_passage_is_added_without_harm(pages: Pages, text: str) -> None:
    from dataclasses import replace

    from pilotage.reading.documents import Document

    empty = replace(page(f"<p>{TEA_TEXT[0]}</p>", TEA), text=text, document=Document("", text, []))
    assert pages.add(empty) == []
    assert add(pages, HARBOUR, HARBOUR_TEXT)


def test_threads_search_while_another_adds(knowledge: Knowledge, pages: Pages) -> None:
    done = threading.Event()

    def search() -> int:
        searched = 0
        while not done.is_set():
            for question in ("Who designed the tower of Skerryvore?", "Who opened the tea house on the quay?"):
                for hit in knowledge.search(question, pages=pages).hits:
                    assert hit.quote in hit.passage.text
                    assert 0 <= hit.score <= 1
                searched += 1
        return searched

    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(search) for _ in range(3)]
        try:
            for number in range(25):
                add(pages, HARBOUR, (*HARBOUR_TEXT, f"The note number {number} was added on a grey day."))
                add(pages, TEA, (*TEA_TEXT, f"The entry number {number} was added on a rainy day."))
        finally:
            done.set()
        assert all(future.result(timeout=30) > 0 for future in waiting)
    assert "Agnes Weir" in best(knowledge, "Who opened the tea house on the quay?", pages).quote


def _never(*_: object) -> None:
    raise AssertionError("nothing should be embedded")
