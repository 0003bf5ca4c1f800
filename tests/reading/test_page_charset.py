"""Bytes as text: what is declared, where, and what the bytes say themselves."""

from __future__ import annotations

import codecs
import random
import time

import pytest

from pilotage.reading.charset import decode

GERMAN = "Ein Leuchtturm zeigt Schiffen, wo die Küste gefährlich ist, und grüßt müde Seeleute."
RUSSIAN = "Маяк показывает кораблям, где находится опасный берег, и светит всю ночь напролёт."
JAPANESE = "灯台は、船に海岸の場所を知らせるための塔です。夜になると強い光を放ちます。"


@pytest.mark.parametrize("bom", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_comes_first(bom: str) -> None:
    marks = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE,
             "utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE}  # fmt: skip
    assert decode(marks[bom] + RUSSIAN.encode(bom), "latin-1") == RUSSIAN


@pytest.mark.parametrize(
    ("text", "encoding", "declared"),
    [
        (GERMAN, "latin-1", "ISO-8859-1"),
        (GERMAN + " 5 €", "cp1252", "iso-8859-1"),
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "KOI8-R"),
        (JAPANESE, "cp932", "Shift_JIS"),
        (JAPANESE, "euc-jp", '"euc-jp"'),
        (JAPANESE, "iso2022_jp", "iso-2022-jp"),
        ("한국의 등대", "cp949", "euc-kr"),
        ("联通", "gbk", "gb2312"),  # two characters whose bytes are valid UTF-8
    ],
)
def test_a_right_charset_is_believed(text: str, encoding: str, declared: str) -> None:
    assert decode(text.encode(encoding), declared) == text
    meta = f'<meta charset="{declared.strip(chr(34))}">'
    assert decode(meta.encode() + text.encode(encoding)) == meta + text


@pytest.mark.parametrize("declared", ["latin-1", "iso-8859-1", "windows-1251", "us-ascii", "shift_jis", "", "no-such"])
@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, JAPANESE])
def test_utf8_is_seen_whatever_is_declared(text: str, declared: str) -> None:
    assert decode(f"<p>{text}</p>".encode(), declared) == f"<p>{text}</p>"


def test_the_header_comes_before_the_page_but_a_western_default_does_not() -> None:
    meta = '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">'
    assert decode(meta.encode() + RUSSIAN.encode("koi8-r"), "koi8-r") == meta + RUSSIAN
    assert decode(meta.encode() + RUSSIAN.encode("cp1251"), "iso-8859-1") == meta + RUSSIAN


@pytest.mark.parametrize(
    ("text", "encoding", "declared"),
    [
        (GERMAN * 5, "cp1252", "utf-8"),
        (GERMAN * 5, "cp1252", ""),
        (RUSSIAN * 5, "cp1251", "iso-8859-1"),
        (RUSSIAN * 5, "cp1251", "utf-8"),
        (JAPANESE * 5, "euc-jp", ""),
        (JAPANESE * 5, "cp932", "iso-8859-1"),
    ],
)
def test_detection_tells_where_the_declaration_is_wrong_or_missing(text: str, encoding: str, declared: str) -> None:
    assert decode(f"<p>{text}</p>".encode(encoding), declared) == f"<p>{text}</p>"


def test_a_broken_letter_does_not_turn_the_page_into_another_charset() -> None:
    assert decode(RUSSIAN.encode() + b" \xff", "utf-8") == RUSSIAN + " \ufffd"


@pytest.mark.parametrize(
    "declared", ["rot13", "hex", "utf-7", "idna", "unicode_escape", "\0", "é", "x" * 10_000, "zip"]
)
def test_no_declaration_breaks_it(declared: str) -> None:
    assert decode(GERMAN.encode(), declared) == GERMAN
    assert decode(b"a+AGI-c", declared) == "a+AGI-c"


def test_any_bytes_give_text() -> None:
    draw = random.Random(1)
    for size in (1, 2, 3, 50, 5_000):
        for declared in ("", "utf-8", "gb2312", "latin-1", "utf-16"):
            assert isinstance(decode(draw.randbytes(size), declared), str)


def test_looking_at_a_hostile_page_takes_no_time() -> None:
    for made in (b"<script", b"<", b"<style </scrip", b"\xe9 "):
        began = time.process_time()
        decode(made * 200_000 + b"\xe9", "utf-8")
        assert time.process_time() - began < 5
