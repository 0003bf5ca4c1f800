"""The mapped file of vectors, and the two-stage search in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pilotage.evidence import vectors
from pilotage.evidence.embedder import Embedder, find
from pilotage.evidence.vectors import SIZE, Vectors, write


def rows(count: int) -> vectors.Floats:
    made = np.random.default_rng(0).standard_normal((count, SIZE), dtype=np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


def stored(path: Path, made: vectors.Floats) -> Vectors:
    write(path, ((number * 2 + 1, row.tobytes()) for number, row in enumerate(made)), len(made), version=7)
    opened = Vectors.open(path)
    assert opened is not None
    return opened


def test_round_trip(tmp_path: Path) -> None:
    made = rows(100)
    opened = stored(tmp_path / "v", made)
    assert (len(opened), opened.version) == (100, 7)
    assert np.array_equal(opened.of([3, 2, 199, 500]), [made[1], np.zeros(SIZE), made[99], np.zeros(SIZE)])
    assert opened.nearest(made[42], 3)[0] == 85
    assert [path.name for path in tmp_path.iterdir()] == ["v"]


def test_two_stages_find_what_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = rows(3000)
    opened = stored(tmp_path / "v", made)
    asked = [made[number] + 0.5 * made[number + 1] for number in range(0, 3000, 300)]
    exact = [opened.nearest(vector, 2) for vector in asked]
    monkeypatch.setattr(vectors, "TWO_STAGES", 1000)
    assert [opened.nearest(vector, 2) for vector in asked] == exact


@pytest.mark.parametrize("content", [b"", b"short", b"\0" * 64, b"\1" * 4096])
def test_other_files_are_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v").write_bytes(content)
    assert Vectors.open(tmp_path / "v") is None
    assert Vectors.open(tmp_path / "absent") is None


def test_nothing_stored(tmp_path: Path) -> None:
    opened = stored(tmp_path / "v", rows(0))
    assert opened.nearest(rows(1)[0], 5) == []


def test_cosines_are_sane() -> None:
    place = find()
    assert place is not None
    made = Embedder(place).embed(["A man is eating food.", "The sky is blue today.", "A man is eating a meal."])
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert made[0] @ made[2] > 0.85
    assert abs(made[0] @ made[1]) < 0.2


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("What does max_iter do?", True),
        ("Where do a majority of consultant pharmacists tend to work?", True),
        ("Wer war der erste Präsident der Vereinigten Staaten?", False),
        ("¿Cuándo fue fundada la Universidad de Chicago?", False),
        ("Quelle est la capitale de la France ?", False),
        ("서울은 대한민국의 수도인가요?", False),
    ],
)
def test_knows_english_only(text: str, english: bool) -> None:
    place = find()
    assert place is not None
    assert Embedder(place).knows(text) is english
