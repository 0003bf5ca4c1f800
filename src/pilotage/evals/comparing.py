"""Two scorecards side by side, paired by question: what has become better or worse, and whether that is chance.

A question counts as better when a larger share of its attempts is right. The sign test over questions that changed is
McNemar's exact test when each was asked once. What is not covered: how much a question changed, and questions that
stand on one side only, or were reworded; they are named and left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pilotage.errors import ConfigError
from pilotage.evals.estimates import sign_test
from pilotage.evals.score import Scorecard, Tally

SIGNIFICANT = 0.05
KEPT = "pilotage eval --save FILE writes one"


@dataclass(frozen=True)
class Changes:
    """Of one figure, the questions whose share went up and down, and the chance of so uneven a split."""

    up: list[str]
    down: list[str]
    p: float

    @property
    def is_significant(self) -> bool:
        return self.p < SIGNIFICANT


@dataclass(frozen=True)
class Comparison:
    """`after` against `before`, over `paired` questions that both were asked and judged on."""

    before: str
    after: str
    paired: int
    right: Changes
    wrong_accepted: Changes
    left_out: list[str]
    turned: dict[str, tuple[str, str]]  # by id of a changed question, its outcomes before and after

    @property
    def is_worse(self) -> bool:
        """Fewer right, or more accepted that are not, by more than chance."""
        drops = len(self.right.down) > len(self.right.up) and self.right.is_significant
        harm = len(self.wrong_accepted.up) > len(self.wrong_accepted.down) and self.wrong_accepted.is_significant
        return drops or harm

    def as_json(self) -> dict[str, Any]:
        parts = {"right": dict(self.right.__dict__), "wrong_accepted": dict(self.wrong_accepted.__dict__)}
        test = "sign test over questions, two-sided; McNemar exact when each was asked once"
        return {**self.__dict__, **parts, "test": test, "is_worse": self.is_worse}


class Saved(BaseModel):
    """What a comparison needs of a saved scorecard."""

    model_config = ConfigDict(strict=True)

    model: str
    rows: list[Tally]


def compare(before: Sequence[Tally], after: Sequence[Tally], names: tuple[str, str]) -> Comparison:
    known = {(tally.id, tally.question): tally for tally in before if tally.asked}
    pairs = [(known[key], t) for t in after if t.asked and (key := (t.id, t.question)) in known]
    paired = {tally.id for _, tally in pairs}
    right = _changes(pairs, lambda tally: tally.right)
    wrong = _changes(pairs, lambda tally: tally.wrong_accepted)
    changed = {*right.up, *right.down, *wrong.up, *wrong.down}
    turned = {now.id: (_told(was), _told(now)) for was, now in pairs if now.id in changed}
    left_out = sorted({tally.id for tally in (*before, *after)} - paired)
    return Comparison(*names, len(pairs), right, wrong, left_out, turned)


def read_baseline(path: Path) -> tuple[str, list[Tally]]:
    """Model and tallies of a saved scorecard. ConfigError when it is none."""
    try:
        saved = Saved.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint=KEPT) from None
    except ValidationError as error:
        fault = error.errors()[0]
        said = ": ".join(filter(None, [".".join(map(str, fault["loc"])), fault["msg"]]))
        raise ConfigError(f"{path} is no saved scorecard: {said}", hint=KEPT) from None
    return saved.model, saved.rows


def check_writable(path: Path) -> None:
    """ConfigError now rather than when all has been paid for."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"{path} cannot be written: no such folder", hint="--save takes a file")


def save(card: Scorecard, path: Path) -> None:
    """Write it whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(json.dumps(card.as_json(), ensure_ascii=False, indent=1) + "\n", "utf-8")
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="--save takes a file") from None


def _changes(pairs: Sequence[tuple[Tally, Tally]], counted: Callable[[Tally], int]) -> Changes:
    change = {now.id: counted(now) * was.asked - counted(was) * now.asked for was, now in pairs}
    up, down = [id for id in change if change[id] > 0], [id for id in change if change[id] < 0]
    return Changes(up, down, sign_test(len(up), len(down)))


def _told(tally: Tally) -> str:
    """`accepted` · `2 accepted, 1 rejected`"""
    if len(tally.outcomes) == 1:
        return next(iter(tally.outcomes))
    return ", ".join(f"{count} {outcome}" for outcome, count in tally.outcomes.items())
