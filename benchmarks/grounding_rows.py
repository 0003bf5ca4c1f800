"""Rows for fitting and measuring the grounding grader: public pairs, pairs made of them, and their features.

Made rows keep the group of the evidence that they come from, so that no fold learns from what it is measured on.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mutations import mutants, true_pairs
from numpy.typing import NDArray

from pilotage.checks.grounding import features
from pilotage.checks.grounding.evidence import best_sentences, split_text
from pilotage.checks.grounding.tokens import read_words
from pilotage.evidence.embedder import Embedder

Floats = NDArray[np.float64]

TRAINED = ("fever_symmetric", "wice", "fm2")
APART = "begin_wow"  # never trained on
SETS = (*TRAINED, APART)
SOURCES = {
    "fever_symmetric": "TalSchuster/FeverSymmetric v0.2, CC BY-SA 3.0",
    "wice": "ryokamoi/wice, ODC-BY",
    "fm2": "google-research/fool-me-twice, Apache-2.0",
    "begin_wow": "google/BEGIN-dataset",
}
FOLDS = 5
MADE = 700  # rows of each kind
_NEAR = 400  # sentences among which the nearest of another text is looked for
_LEAST, _MOST = 7, 45  # words of a sentence that becomes a claim
_BRACKETS = re.compile(r"\s*\([^)]*\)|\s*-LRB-.*?-RRB-")
_OPENING = re.compile(r"^(?:In|On|At|After|By|During|However|Also|Then)\b[^,]{0,40},\s*(\w)")
_TAIL = re.compile(r"(?:,|;) (?=and|which|who|but|while|where|with|including|as)")
_ASIDE = re.compile(r",[^,]{3,60},")


@dataclass(frozen=True)
class Row:
    """A claim against its evidence; `group` tells which rows share a claim or an evidence."""

    source: str
    claim: str
    evidence: str
    supported: bool
    group: str
    category: str = ""


def path_of(data: Path, name: str) -> Path:
    return data / "claims" / f"{name}_dev.jsonl"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(data: Path, names: Sequence[str]) -> list[Row]:
    """The rows of the sets, in the order of their files."""
    read = [(name, json.loads(line)) for name in names for line in path_of(data, name).open(encoding="utf-8")]
    groups = _groups([(row["claim"], row["evidence"]) for _, row in read])
    return [
        Row(name, row["claim"], row["evidence"], row["supported"], group, str(row["category"]))
        for (name, row), group in zip(read, groups, strict=True)
    ]


def _groups(pairs: list[tuple[str, str]]) -> list[str]:
    """One name for all rows that hang together by a claim or an evidence."""
    parents: dict[str, str] = {}

    def top(name: str) -> str:
        while parents.setdefault(name, name) != name:
            name = parents[name]
        return name

    for claim, evidence in pairs:
        one, other = sorted((top(f"claim {claim}"), top(f"evidence {evidence}")))
        parents[other] = one
    return [top(f"evidence {evidence}") for _, evidence in pairs]


def fold_of(group: str) -> int:
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % FOLDS


def make(data: Path, rows: Sequence[Row], seed: int) -> list[Row]:
    """Claims against other texts, sentences made lighter, those with a stranger's words put in, and mutants."""
    rng = random.Random(seed)
    pool = [part for row in rows for part in _sentences(row, rng)]
    pool = list(dict.fromkeys(pool))
    words = [_content(text) for text, _ in pool]

    def near(claim: str, group: str) -> str:
        mine = _content(claim)
        others = [at for at in rng.sample(range(len(pool)), _NEAR) if pool[at][1].group != group]
        return pool[max(others, key=lambda at: len(mine & words[at]) / (3 + len(words[at])))][0]

    found = [
        Row("other", row.claim, near(row.claim, row.group), False, row.group) for row in rng.sample(list(rows), MADE)
    ]
    for text, row in rng.sample(pool, MADE):
        evidence = text if row.source == "wice" and rng.random() < 0.7 else row.evidence
        found.append(Row("light", lighten(text, rng), evidence, True, row.group))
    for text, row in rng.sample(pool, MADE):
        stray = near(text, row.group).rstrip(".").split()
        length = rng.randint(3, max(3, min(9, len(stray))))
        start = rng.randint(0, max(0, len(stray) - length))
        claim = (
            f"{lighten(text, rng).rstrip(' .')}{rng.choice([', ', ' and '])}{' '.join(stray[start : start + length])}."
        )
        found.append(Row("mixed", claim, text if row.source == "wice" else row.evidence, False, row.group))
    return found + list(_mutants(data, rows, seed))


def _mutants(data: Path, rows: Sequence[Row], seed: int) -> Iterator[Row]:
    groups = {row.evidence: row.group for row in rows}
    for each in (8 * seed, 8 * seed + 2, 8 * seed + 4):  # the odd ones are for measuring
        pairs = [pair for pair in true_pairs(data, each) if pair.source != APART]
        by_claim = {pair.claim: pair for pair in pairs}
        for pair in pairs:
            yield Row("true", pair.claim, pair.evidence, True, groups.get(pair.evidence, pair.evidence))
        for mutant in mutants(pairs, each, 2 * MADE):
            pair = by_claim[mutant.original]
            group = groups.get(pair.evidence, pair.evidence)
            yield Row("mutant", mutant.claim, mutant.evidence, False, group, mutant.kind)


def _sentences(row: Row, rng: random.Random) -> list[tuple[str, Row]]:
    texts = [row.evidence[start:end] for start, end in split_text(row.evidence)]
    texts = [text for text in texts if _LEAST <= len(text.split()) <= _MOST and text[-1] in ".!?"]
    return [(text, row) for text in (rng.sample(texts, min(6, len(texts))) if row.source == "wice" else texts)]


def _content(text: str) -> frozenset[str]:
    return frozenset(base for word in read_words(text) if not word.is_small for base in word.bases)


def lighten(text: str, rng: random.Random) -> str:
    """The sentence without brackets, an opening, an aside or a tail: what is left still holds."""
    text = _BRACKETS.sub("", text)
    if rng.random() < 0.5:
        text = _OPENING.sub(lambda found: found[1].upper(), text)
    parts = _TAIL.split(text)
    if len(parts) > 1 and len(parts[0].split()) >= _LEAST and rng.random() < 0.7:
        text = parts[0]
    if rng.random() < 0.3:
        text = _ASIDE.sub(" ", text, count=1)
    return text.rstrip(" .,;") + "."


def tables(rows: Sequence[Row], embedder: Embedder) -> tuple[Floats, Floats]:
    """The features of each row: without and with the sentence model's."""
    plain, near = [], []
    for row in rows:
        seen = features.view(row.claim, row.evidence, best_sentences(row.claim, row.evidence))
        plain.append(features.lexical(seen))
        near.append(features.vectors(seen, embedder))
    table = np.array(plain)
    return table, np.hstack([table, np.array(near)])
