"""Other scripts than Latin: full text alone has to find, and to tell when there is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotage.evidence.choose import choose
from pilotage.evidence.terms import column, terms
from tests.support.knowledge import Opener

# For each language: a document about a city, one about bread, a question on the first with a part of its answer, worded
# with other endings or particles than the document, and a question that neither answers.
LANGUAGES = {
    "korean": (
        "서울은 대한민국의 수도이다. 한강은 서울의 중심을 흐른다. 경복궁은 1395년에 지어졌다.",
        "빵은 밀가루와 물로 만든다. 오븐의 온도는 250도이다. 효모는 반죽을 부풀게 한다.",
        ("경복궁이 언제 지어졌나요?", "1395년"),
        "축구 월드컵에서 누가 우승했습니까?",
    ),
    "japanese": (
        "東京は日本の首都である。隅田川は東京を流れる。東京タワーは1958年に完成した。",
        "パンは小麦粉と水から作られる。オーブンの温度は250度である。酵母が生地を膨らませる。",
        ("東京タワーが完成したのはいつですか。", "1958年"),
        "サッカーのワールドカップで優勝した国はどこですか。",
    ),
    "chinese": (
        "北京是中国的首都。故宫建成于1420年，是明清两代的皇宫。永定河流经北京。",
        "面包由面粉和水制成。烤箱的温度是250度。酵母使面团发酵。",
        ("故宫是什么时候建成的？", "1420年"),
        "谁赢得了足球世界杯？",
    ),
    "thai": (
        "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย วัดอรุณตั้งอยู่ริมแม่น้ำเจ้าพระยา พระบรมมหาราชวังสร้างขึ้นในปี 2325",
        "ขนมปังทำจากแป้งสาลีและน้ำ เตาอบมีอุณหภูมิ 250 องศา ยีสต์ทำให้แป้งฟู",
        ("พระบรมมหาราชวังสร้างเมื่อไร", "2325"),
        "ใครชนะฟุตบอลโลก",
    ),
    "arabic": (
        "القاهرة هي عاصمة مصر. يمر نهر النيل بالقاهرة. بُني برج القاهرة عام 1961.",
        "يصنع الخبز من الدقيق والماء. درجة حرارة الفرن 250 درجة. الخميرة تنفخ العجين.",
        ("متى بني برج القاهرة؟", "1961"),
        "من فاز بكأس العالم لكرة القدم؟",
    ),
    "russian": (
        "Москва является столицей России. Через город протекает река Москва. Большой театр открыли в 1825 году.",
        "Хлеб пекут из муки и воды. Температура печи составляет 250 градусов. Дрожжи поднимают тесто.",
        ("Когда был открыт Большой театр?", "1825"),
        "Кто выиграл чемпионат мира по футболу?",
    ),
    "hindi": (
        "दिल्ली भारत की राजधानी है। यमुना नदी दिल्ली से होकर बहती है। लाल किला 1648 में बनाया गया था।",
        "रोटी आटे और पानी से बनती है। तंदूर का तापमान 250 डिग्री होता है। खमीर आटे को फुलाता है।",
        ("लाल किले को कब बनाया गया?", "1648"),
        "फुटबॉल विश्व कप किसने जीता?",
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_finds_and_withholds(language: str, tmp_path: Path, opened: Opener) -> None:
    city, bread, (question, answer), unanswerable = LANGUAGES[language]
    folder = tmp_path / language
    folder.mkdir()
    (folder / "city.md").write_text(city, encoding="utf-8")
    (folder / "bread.md").write_text(bread, encoding="utf-8")
    knowledge = opened(folder)
    found = knowledge.search(question)
    assert found.notes == ["vectors know English only: full text alone"]
    assert answer in found.hits[0].quote
    assert any(answer in hit.quote for hit in choose(found.hits))
    assert choose(knowledge.search(unanswerable).hits) == []


def test_german_abstains_from_vectors(tmp_path: Path, opened: Opener) -> None:
    (tmp_path / "turm.md").write_text(
        "Der Leuchtturm wurde von dem Architekten Hans Schröder entworfen. Er ist 48 Meter hoch.", encoding="utf-8"
    )
    found = opened(tmp_path).search("Welcher Architekt hat den Leuchtturm entworfen?")
    assert found.notes == ["vectors know English only: full text alone"]
    assert "Schröder" in found.hits[0].quote


def test_terms() -> None:
    assert terms("Kühe, 1,200 Euro; the U.N.") == ["kühe", "1200", "euro", "the", "un"]
    assert terms("서울은 iPhone의") == ["서울", "울은", "iphone", "의"]
    assert terms("[text](https://example.org/a_(b)) more") == ["text", "more"]
    assert column("plain English, unchanged") == "plain English, unchanged"
