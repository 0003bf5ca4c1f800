"""Small folders of documents to search in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pilotage.evidence.knowledge import Knowledge

LIGHTHOUSE = """# Lighthouses

A lighthouse shows ships where the coast is.

## Skerryvore

The tower was designed by Alan Stevenson. It was first lit in 1844 and stands 48 metres tall.
The keepers lived ashore on the island of Tiree.

## Lamps

Early keepers burned whale oil. Later lamps used paraffin, and electric light came last.
"""

BREAD = """# Bread

Sourdough rises by wild yeast. A starter is fed with flour and water every day.

## Baking

The oven is heated to 250 degrees. A loaf of one kilogram takes fifty minutes.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small documents."""
    made = tmp_path / "documents"
    made.mkdir()
    (made / "lighthouse.md").write_text(LIGHTHOUSE, encoding="utf-8")
    (made / "bread.md").write_text(BREAD, encoding="utf-8")
    return made


Opener = Callable[..., Knowledge]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Opens folders on an index of the test's own and closes them afterwards."""
    made: list[Knowledge] = []

    def opener(folder: Path, **options: object) -> Knowledge:
        made.append(Knowledge.open(folder, tmp_path / "index.db", **options))  # type: ignore[arg-type]
        return made[-1]

    yield opener
    for knowledge in made:
        knowledge.close()


@pytest.fixture
def without_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package with the model were not installed."""
    monkeypatch.setattr("pilotage.evidence.embedder.find", lambda: None)
