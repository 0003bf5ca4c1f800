"""Tables of the knowledge folder, and files of all kinds found by their page, row or heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pilotage.evidence.index import Index
from pilotage.evidence.passages import READERS, Cut, cut
from pilotage.evidence.sync import add
from pilotage.reading import tables
from pilotage.reading.delimited import delimiter_of
from pilotage.reading.tables import Row, lines_of
from tests.support.knowledge import Opener

from ..support.office import book_of, caps, cuts_of, places, prices, texts, word_of

CAPITALS = "Country,Capital,Population\nFrance,Paris,68000000\nPeru,Lima,34000000\nKenya,Nairobi,55000000\n"


def csv_of(folder: Path, content: str | bytes, name: str = "a.csv") -> list[Cut]:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return cuts_of(folder / name)


# --- comma-separated values


def test_a_row_is_a_passage_with_the_names_of_its_columns(tmp_path: Path) -> None:
    cuts = csv_of(tmp_path, CAPITALS, "capitals.csv")
    assert texts(cuts)[0] == "Country: France | Capital: Paris | Population: 68000000"
    assert places(cuts) == ["row 2", "row 3", "row 4"]
    assert all(re.fullmatch(r"capitals\.csv#r[234]-[0-9a-f]{8}", piece.passage.source) for piece in cuts)
    assert {piece.passage.title for piece in cuts} == {"capitals"}


def test_the_name_of_a_row_stays_when_another_row_changes(tmp_path: Path) -> None:
    before = csv_of(tmp_path, CAPITALS)
    after = csv_of(tmp_path, CAPITALS.replace("Nairobi", "Mombasa"))
    assert [a.passage.source == b.passage.source for a, b in zip(before, after, strict=True)] == [True, True, False]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(tmp_path: Path, delimiter: str) -> None:
    rows = [["Town", "Rain, mm"], ["Bergen", "2250"], ["Oban", "1,5"]]
    content = "\n".join(delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) for row in rows)
    assert texts(csv_of(tmp_path, content)) == ["Town: Bergen | Rain, mm: 2250", "Town: Oban | Rain, mm: 1,5"]


def test_the_delimiter_of_odd_texts() -> None:
    assert delimiter_of("") == ","
    assert delimiter_of("one\ntwo\n") == ","
    assert delimiter_of("a;b;c\n1,5;2,5;3,5\n4,5;5,5;6,5\n") == ";"


def test_what_excel_writes(tmp_path: Path) -> None:
    content = '\ufeffsep=;\r\nTown;Note\r\nBergen;"It rains,\r\nmostly"\r\n\r\nOban;\r\n'
    cuts = csv_of(tmp_path, content)
    assert texts(cuts) == ["Town: Bergen | Note: It rains, mostly", "Town: Oban"]
    assert places(cuts) == ["row 2", "row 4"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"], ids=["utf-8", "with a mark", "utf-16", "windows"]
)
def test_western_encodings(tmp_path: Path, encoding: str) -> None:
    content = "Stadt,Preis\nZürich,“5 €”\nMünchen,“3 €”\nGenève,“4 €”\n".encode(encoding)
    assert texts(csv_of(tmp_path, content))[0] == "Stadt: Zürich | Preis: “5 €”"


def test_an_encoding_that_must_be_guessed(tmp_path: Path) -> None:
    towns = ["Москва", "Санкт-Петербург", "Новосибирск", "Екатеринбург", "Нижний Новгород", "Владивосток"]
    content = "Город,Река\n" + "".join(f"{town},Название реки этого города\n" for town in towns)
    assert texts(csv_of(tmp_path, content.encode("cp1251")))[0].startswith("Город: Москва | Река: Название")


def test_an_unclosed_quote_swallows_nothing(tmp_path: Path) -> None:
    cuts = csv_of(tmp_path, 'Part,Size\nBolt,"5 inches\nNut,3\n')
    assert texts(cuts) == ['Part: Bolt | Size: "5 inches', "Part: Nut | Size: 3"]


def test_invisible_characters_are_taken_out_everywhere(tmp_path: Path) -> None:
    assert texts(csv_of(tmp_path, "Town,Rain\nBer\u200bgen\x1b[2J,22\x0050\n".replace("\x00", ""))) == [
        "Town: Bergen[2J | Rain: 2250"
    ]
    for name in ("a.txt", "a.md"):
        (tmp_path / name).write_text("Hid\u2062den\U000e0041 word.\n\nSecond\tone.", "utf-8")
        assert texts(cuts_of(tmp_path / name)) == ["Hidden word.", "Second\tone."]


def test_a_row_too_long_for_a_quote_breaks_between_cells(tmp_path: Path) -> None:
    names = [f"Column {number}" for number in range(12)]
    cells = [f"value {number}, " + "word " * 12 for number in range(12)]
    (piece,) = csv_of(tmp_path, ";".join(names) + "\n" + ";".join(cells) + "\n")
    quotes = [piece.passage.text[start:stop] for start, stop in piece.spans]
    assert len(quotes) > 1
    assert all(quote.startswith("Column ") and len(quote) <= 400 for quote in quotes)


def test_no_more_than_so_many_rows(
    folder: Path, tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS", 2)
    (folder / "capitals.csv").write_text(CAPITALS, "utf-8")
    for _ in range(2):  # read, and as it is kept
        knowledge = opened(folder)
        assert knowledge.warnings == ["capitals.csv: read only the first 2 rows of 3"]
        assert "Lima" in knowledge.search("What is the capital of Peru?").hits[0].quote


def test_binary_and_empty_files_are_named(folder: Path, opened: Opener) -> None:
    (folder / "a.csv").write_bytes(b"a,b\n\0\1,2\n")
    (folder / "b.tsv").write_bytes(b"\n\n")
    assert opened(folder).warnings == ["skipped a.csv: binary", "skipped b.tsv: empty"]


# --- headers


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        ("Town,Rain\nOban,1500", "Town: Oban | Rain: 1500"),
        ("Country,2019,2020\nPeru,2.2,-11", "Country: Peru | 2019: 2.2 | 2020: -11"),
        ("Name,Street\nAda,Mill Road", "Name: Ada | Street: Mill Road"),
        ("Oban,1500\nBergen,2250", "Oban | 1500"),
        ("Film,1999\nOther,2001", "Film | 1999"),
        ("Oban,Oban\nBergen,x", "Oban | Oban"),
        ("Lima,Peru\nCusco,Peru", "Lima | Peru"),
        ("2024-03-01,rain\n2024-03-02,sun", "2024-03-01 | rain"),
        ("Only one row,of texts", "Only one row | of texts"),
        ("Towns of Norway\n\nTown,Rain,Sun\nBergen,2250,1187", "Towns of Norway"),
        ("one\ntwo", "one"),
    ],
)
def test_what_is_a_header(tmp_path: Path, rows: str, first: str) -> None:
    assert texts(csv_of(tmp_path, rows.replace(",", ";")))[0] == first


def test_a_title_may_stand_above_the_header(tmp_path: Path) -> None:
    cuts = csv_of(tmp_path, "Towns of Norway;;\n\nTown;Rain;Sun\nBergen;2250;1187\n")
    assert texts(cuts) == ["Towns of Norway", "Town: Bergen | Rain: 2250 | Sun: 1187"]
    assert places(cuts) == ["row 1", "row 4"]


def test_a_table_of_texts_has_a_header_only_where_that_is_said() -> None:
    rows = [Row(1, ["Name", "Ada"]), Row(2, ["Street", "Mill Road"])]
    assert [line for _, line in lines_of(rows, texts_may_head=False)] == ["Name | Ada", "Street | Mill Road"]


# --- the whole way


def test_search_finds_the_row_the_cell_and_the_heading(folder: Path, opened: Opener) -> None:
    (folder / "capitals.csv").write_text(CAPITALS, "utf-8")
    book_of(folder, prices)
    word_of(folder, caps)
    knowledge = opened(folder)
    assert knowledge.warnings == []
    for question, quote, path, where in (
        (
            "What is the capital of Kenya?",
            "Country: Kenya | Capital: Nairobi | Population: 55000000",
            "capitals.csv",
            "row 4",
        ),
        ("What is the price of a bolt?", "Part: Bolt | Price: 12.5", "book.xlsx", "Prices, row 2"),
        (
            "After how many seconds does a run end?",
            "A run ends after 300 seconds. Nothing starts after that.",
            "plan.docx",
            "Caps > Seconds, paragraph 5",
        ),
    ):
        best = knowledge.search(question).hits[0]
        assert (best.quote, best.passage.path, best.passage.where) == (quote, path, where)
        assert knowledge.passage(best.passage.source) == best.passage


def test_an_index_of_an_older_format_is_built_again(folder: Path, tmp_path: Path, opened: Opener) -> None:
    index = Index(tmp_path / "index.db", folder)
    index.db.execute("alter table passage drop column place")
    index.set_meta("format", "2")
    index.close()
    (folder / "capitals.csv").write_text(CAPITALS, "utf-8")
    assert opened(folder).search("What is the capital of Peru?").hits[0].passage.place == "row 3"


def test_passages_of_no_file_are_added_and_replaced(tmp_path: Path) -> None:
    index = Index(Path(":memory:"), Path("pages"))
    for text in ("Whale oil burned.", "Paraffin burned."):
        (tmp_path / "page.txt").write_text(text, "utf-8")
        add(
            index,
            "https://example.org/lamps",
            "Lamps",
            cut(READERS[".txt"](tmp_path / "page.txt"), "https://example.org/lamps"),
        )
    assert index.matching(["whale"], 5) == []
    ((key, _),) = index.matching(["paraffin"], 5)
    assert index.passages([key])[key].title == "Lamps"
    assert index.state()[2:] == (1, 1)
    index.close()
