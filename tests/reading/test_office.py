"""Spreadsheets and Word files: rows and headings in the names, and files made to do harm."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openpyxl.worksheet.worksheet import Worksheet

from pilotage.reading import apart, office, tables
from pilotage.reading.docx import read_docx
from pilotage.reading.xlsx import read_xlsx
from tests.support.knowledge import Opener

from ..support.office import book_of, caps, cuts_of, places, prices, rewrite, texts, word_of

# --- spreadsheets


def test_rows_of_a_sheet(tmp_path: Path) -> None:
    cuts = cuts_of(book_of(tmp_path, prices))
    assert texts(cuts) == ["Part: Bolt | Price: 12.5", "Part: Nut | Price: 3"]
    assert places(cuts) == ["Prices, row 2", "Prices, row 3"]
    assert re.fullmatch(r"book\.xlsx#Prices-r2-[0-9a-f]{8}", cuts[0].passage.source)


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Q1 / north (new)", None), ("Prices & Co", "Prices-Co"), ("Цены", "sheet"), ("a, row 5", "a-row-5")],
)
def test_the_name_of_a_sheet_is_made_safe(tmp_path: Path, name: str, slug: str | None) -> None:
    def fill(book: Any, sheet: Worksheet) -> None:
        sheet.title = name.replace("/", "-")
        prices(book, sheet)

    source = cuts_of(book_of(tmp_path, fill))[0].passage.source
    assert re.fullmatch(r"book\.xlsx#[A-Za-z0-9-]+-r2-[0-9a-f]{8}", source)
    assert source.startswith(f"book.xlsx#{slug or 'Q1-north-new'}-r2-")


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (dt.datetime(2024, 3, 1), "yyyy-mm-dd", "2024-03-01"),
        (dt.datetime(2024, 3, 1, 14, 30), "yyyy-mm-dd hh:mm", "2024-03-01 14:30"),
        (dt.time(9, 5), "hh:mm", "09:05:00"),
        (12.500000001, "General", "12.5"),
        (0.1 + 0.2, "General", "0.3"),
        (1234567890.12, "General", "1234567890.12"),
        (0.000012345, "General", "1.2345e-05"),
        (68_000_000, "#,##0", "68,000,000"),
        (-1234.5, "#,##0.00;[Red]-#,##0.00", "-1,234.50"),
        (0.125, "0.0%", "12.5%"),
        (5, '#,##0.00\\ "€"', "5.00 €"),
        (5, "[$£-809]#,##0.00", "£5.00"),
        (42.0, "General", "42"),
        (True, "General", "True"),
        ("  two\nlines ", "@", "two lines"),
    ],
)
def test_values_as_a_person_reads_them(tmp_path: Path, value: Any, form: str, shown: str) -> None:
    def fill(_: Any, sheet: Worksheet) -> None:
        sheet.append(["Key", value])
        sheet["B1"].number_format = form

    assert texts(cuts_of(book_of(tmp_path, fill))) == [f"Key | {shown}"]


def test_formulas_count_by_the_value_that_was_last_calculated(tmp_path: Path) -> None:
    def fill(_: Any, sheet: Worksheet) -> None:
        sheet.append(["Sum", "=1+2"])
        sheet.append(["None", "=2+3"])

    path = book_of(tmp_path, fill)
    calculated = b"<f>1+2</f><v>3</v>"
    rewrite(path, "xl/worksheets/sheet1.xml", lambda xml: re.sub(rb"<f>1\+2</f><v ?(?:/>|></v>)", calculated, xml))
    assert texts(cuts_of(path)) == ["Sum | 3", "None"]


def test_merged_and_empty_cells(tmp_path: Path) -> None:
    def fill(_: Any, sheet: Worksheet) -> None:
        for row in (
            ["Region", "Town", "Rain"],
            ["North", "Tromsø", 1031],
            [None, "Bodø", None],
            [],
            ["South", "Oslo", 763],
        ):
            sheet.append(row)
        sheet.merge_cells("A2:A3")

    cuts = cuts_of(book_of(tmp_path, fill))
    assert texts(cuts) == [
        "Region: North | Town: Tromsø | Rain: 1031",
        "Region: North | Town: Bodø",
        "Region: South | Town: Oslo | Rain: 763",
    ]
    assert places(cuts)[-1] == "Prices, row 5"


def test_hidden_sheets_are_left_out_and_named(folder: Path, opened: Opener) -> None:
    def fill(book: Any, sheet: Worksheet) -> None:
        prices(book, sheet)
        secret = book.create_sheet("Margins")
        secret.append(["The margin on bolts is forty percent."])
        secret.sheet_state = "hidden"

    book_of(folder, fill)
    knowledge = opened(folder)
    assert knowledge.warnings == ['book.xlsx: left out the hidden sheet "Margins"']
    assert not any("forty" in hit.quote for hit in knowledge.search("What is the margin on bolts?").hits)


def test_no_more_than_so_many_rows_of_a_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS", 1)
    document = read_xlsx(book_of(tmp_path, prices))
    assert len(document.blocks) == 1
    assert document.note == 'read only the first 1 rows of 3 of the sheet "Prices"'


def test_a_sheet_that_claims_to_be_huge_is_read_quickly(tmp_path: Path) -> None:
    path = book_of(tmp_path, prices)
    rewrite(path, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b'ref="A1:B3"', b'ref="A1:XFD1048576"'))
    assert len(apart.read(path, seconds=10).blocks) == 2


# --- Word files


def test_headings_lists_and_tables_in_their_order(tmp_path: Path) -> None:
    cuts = cuts_of(word_of(tmp_path, caps))
    assert [(piece.passage.where, piece.passage.text) for piece in cuts] == [
        ("paragraph 2", "Every run has caps."),
        ("Caps > Seconds, paragraph 5", "A run ends after 300 seconds. Nothing starts after that."),
        ("Caps > Seconds, paragraphs 6–7", "- wall-clock time\n- not the processor's"),
        ("Caps > Tokens, paragraphs 9–10", "Key: tokens | Default: 200,000\nKey: calls | Default: 30"),
        ("Caps > Tokens, paragraph 11", "After the table."),
    ]
    assert {piece.passage.title for piece in cuts} == {"Handbook of Limits"}
    assert all(re.fullmatch(r"plan\.docx#[0-9a-f]{8}", piece.passage.source) for piece in cuts)
    assert {piece.passage.place for piece in cuts} == {""}


def test_the_title_that_the_file_says_it_has(tmp_path: Path) -> None:
    def fill(document: Any) -> None:
        document.add_paragraph("Text.")
        document.core_properties.title = "The Plan of the Year"

    assert read_docx(word_of(tmp_path, fill)).title == "The Plan of the Year"
    assert (
        read_docx(word_of(tmp_path, lambda document: document.add_paragraph("Text."), "my_plan.docx")).title
        == "my plan"
    )


def test_deleted_and_hidden_words_are_left_out_and_inserted_ones_read(tmp_path: Path) -> None:
    def fill(document: Any) -> None:
        document.add_paragraph("Kept.").add_run(" Secret order.").font.hidden = True
        document.add_paragraph("Changed")

    path = word_of(tmp_path, fill)
    changes = b"<w:ins><w:r><w:t> inserted</w:t></w:r></w:ins><w:del><w:r><w:delText> gone</w:delText></w:r></w:del>"
    rewrite(
        path, "word/document.xml", lambda xml: xml.replace(b"Changed</w:t></w:r>", b"Changed</w:t></w:r>" + changes)
    )
    assert texts(cuts_of(path)) == ["Kept.", "Changed inserted"]


def test_merged_cells_and_tables_without_a_header(tmp_path: Path) -> None:
    def fill(document: Any) -> None:
        table = document.add_table(rows=3, cols=2)
        for cell, text in zip(table._cells, ("Name", "Ada", "Home", "Mill Road", "", "Second floor"), strict=True):
            cell.text = text
        table.cell(1, 0).merge(table.cell(2, 0))

    assert texts(cuts_of(word_of(tmp_path, fill))) == ["Name | Ada\nHome | Mill Road\nHome | Second floor"]


def test_a_table_of_texts_with_a_bold_first_row_has_a_header(tmp_path: Path) -> None:
    def fill(document: Any) -> None:
        table = document.add_table(rows=2, cols=2)
        for cell, text in zip(table.rows[0].cells, ("Name", "Street"), strict=True):
            cell.paragraphs[0].add_run(text).bold = True
        for cell, text in zip(table.rows[1].cells, ("Ada", "Mill Road"), strict=True):
            cell.text = text

    assert texts(cuts_of(word_of(tmp_path, fill))) == ["Name: Ada | Street: Mill Road"]


# --- files that are broken or made to do harm


ENTITIES = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "' + b"&a;" * 50 + b'"><!ENTITY c "' + b"&b;" * 50 + b'">]>'


def with_entities(xml: bytes) -> bytes:
    head, mark, body = xml.partition(b"?>")
    return head + mark + ENTITIES + body if mark else ENTITIES + xml


@pytest.mark.parametrize(("kind", "part"), [("docx", "word/document.xml"), ("xlsx", "xl/worksheets/sheet1.xml")])
def test_files_that_cannot_be_read_are_named_and_the_rest_is_read(
    folder: Path, opened: Opener, kind: str, part: str
) -> None:
    def made(name: str) -> Path:
        return word_of(folder, caps, name) if kind == "docx" else book_of(folder, prices, name)

    rewrite(made(f"bomb.{kind}"), part, with_entities)
    whole = made(f"cut.{kind}").read_bytes()
    (folder / f"cut.{kind}").write_bytes(whole[: len(whole) // 2])
    (folder / f"empty.{kind}").write_bytes(b"")
    rewrite(made(f"huge.{kind}"), part, lambda xml: xml + b" " * (office.XML + 1))
    (folder / f"locked.{kind}").write_bytes(office._OLE + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"))
    (folder / f"old.{kind}").write_bytes(office._OLE + b"\0" * 600)
    rewrite(made(f"torn.{kind}"), part, lambda xml: xml[: len(xml) // 2])
    warnings = opened(folder).warnings
    assert [warning.partition(".")[0] for warning in warnings] == [
        f"skipped {name}" for name in ("bomb", "cut", "empty", "huge", "locked", "old", "torn")
    ]
    reasons = [warning.partition(f".{kind}: ")[2] for warning in warnings]
    assert "document type" in reasons[0]
    assert reasons[1:3] == ["damaged: no complete zip archive"] * 2
    assert re.fullmatch(r"too large, 100,\d{3},\d{3} bytes of XML unpacked against 100,000,000", reasons[3])
    assert reasons[4:6] == ["encrypted, needs a password", "an Office file of before 2007, save it anew"]
    assert reasons[6].startswith("damaged")


def test_an_entity_in_another_encoding_is_refused_too(tmp_path: Path) -> None:
    path = book_of(tmp_path, prices)
    changed = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY a "b">]><x/>'.encode("utf-16")
    rewrite(path, "xl/styles.xml", lambda _: changed)
    with pytest.raises(ValueError, match="document type"):
        office.check(path)


def test_one_long_text_in_many_cells_does_not_take_the_memory(tmp_path: Path) -> None:
    def fill(_: Any, sheet: Worksheet) -> None:
        for _row in range(3000):
            sheet.append(["x" * 30_000, "y"])

    document = apart.read(book_of(tmp_path, fill), seconds=50)
    assert len(document.text) <= tables.TEXT
    assert document.note.startswith("read only the first 666 rows of 3,000")


def test_libraries_are_imported_only_for_their_files(folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pilotage.evidence.knowledge import Knowledge\n"
        "Knowledge.open(Path(sys.argv[1]), Path(sys.argv[2])).close()\n"
        "print([name for name in ('docx', 'openpyxl', 'pypdfium2', 'charset_normalizer') if name in sys.modules])"
    )
    word_of(folder, caps)
    command = [sys.executable, "-c", script, str(folder), str(tmp_path / "index.db")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
