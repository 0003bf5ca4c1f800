"""`pilotage eval --tapes`: golden questions on recorded tapes, for CI; and recording them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pilotage import errors
from pilotage.errors import ConfigError
from pilotage.report import printable, say
from pilotage.terminal import print_lines

if TYPE_CHECKING:
    from pilotage.evals.playing import Played
    from pilotage.evals.score import Question
    from pilotage.settings import Settings


def on_tapes(
    settings: Settings, folder: Path, questions: Path | None, *, knowledge: Path | None, update: bool, at_least: float,
    as_json: bool,
) -> int:  # fmt: skip
    """Record the tapes when asked to, play them, print what came of them; the exit code."""
    from pilotage import report
    from pilotage.evals.playing import play_all, record_all

    rows = _questions(settings, folder, questions)
    failed = record_all(settings, folder, rows, knowledge=knowledge, progress=report.progress_bar()) if update else []
    if not folder.is_dir():
        raise ConfigError(
            f"There is no folder of tapes {folder}", hint="pilotage eval --tapes DIR --update records them"
        )
    played = play_all(settings, folder, rows, knowledge=knowledge, progress=report.progress_bar())
    lost = {change.id for change in failed}
    played.changes[:] = [*failed, *(change for change in played.changes if change.id not in lost)]
    print_lines([json.dumps(played.as_json(), ensure_ascii=False)] if as_json else _lines(played))
    right = played.card is None or played.card.right >= at_least
    return errors.EXIT_OK if played.is_whole and right else errors.EXIT_REJECTED


def _questions(settings: Settings, folder: Path, given: Path | None) -> list[Question]:
    from pilotage.evals.score import GOLDEN, read_questions
    from pilotage.evals.tapes import QUESTIONS

    own = folder / QUESTIONS
    rows = read_questions(given or (own if own.is_file() else settings.root / GOLDEN))
    seen: set[str] = set()
    for row in rows:
        if row.id.lower() in seen:
            raise ConfigError(f'Two questions have the id "{row.id}"', hint="each tape is named after its question")
        seen.add(row.id.lower())
    return rows


def _lines(played: Played) -> list[str]:
    lines = [printable(change.lines(), "\n") for change in played.changes]
    lines += [printable(f"no tape: {name}") for name in played.untaped]
    lines += [printable(f"no question: {name}") for name in played.unasked]
    if not played.is_whole:
        say("hint: when the change is wanted, record anew: pilotage eval --tapes DIR --update")
    if played.card:
        lines += [f"{'unchanged':<12}{played.unchanged} of {played.card.questions}", played.card.table()]
    return lines
