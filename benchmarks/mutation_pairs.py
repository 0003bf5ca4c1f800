"""True pairs of claim and evidence from public data, by rule and seed.

A true pair is a supported row of a public set whose claim is short and covered by one sentence (`covers`), or a
sentence of a public document lightly reworded (`reword`). Rows whose digest is even serve even seeds, the others odd
ones, so that no two seeds of different parity share a row.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SETS = ("fever_symmetric", "fm2", "begin_wow", "wice")
LONGEST = 25  # words of a claim
COVERED = 0.8  # share of a claim's content words that one sentence has

SYNONYMS = (
    "began/started located/situated also/ also/likewise however,/ numerous/many approximately/about "
    "established/founded large/big various/several obtained/got purchased/bought received/got constructed/built "
    "primarily/mainly additional/further assist/help utilized/used attempted/tried often/frequently usually/normally "
    "due/owing therefore/thus children/kids prior/previous required/needed entire/whole named/called build/construct "
    "famous/well-known huge/enormous especially/particularly small/little important/significant difficult/hard "
    "almost/nearly created/made show/demonstrate showed/demonstrated said/stated rapidly/quickly "
    "people/persons major/main part/portion include/comprise including/among_them finished/completed ended/concluded "
    "allow/let stop/halt became_a/turned_into_a while/whereas although/though"
)
_DIGITS = "two three four five six seven eight nine ten eleven twelve"
DIGITS = _DIGITS.split()
_MONTHS = "January February March April May June July August September October November December"
MONTHS = _MONTHS.split()
_SMALL_WORDS = (
    "a an the of in on at to for from by with and or but as is are was were be been being has have had do does did it "
    "its he his she her they their them this that these those who which what when where not no so than then there "
    "into about also one will would can could may"
)
SMALL = frozenset(_SMALL_WORDS.split())
WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_ADJUNCT = re.compile(r", (?:which|including|according to|especially|although|while|as well as|making|where) [^,]+\.$")
_PASSIVE = re.compile(r"^([A-Z][^,;]{2,40}?) (?:was|were) ([a-z]+ed) by ((?:[A-Z][\w.'-]+ ?)+)([.,]?)$")


@dataclass(frozen=True)
class Pair:
    """A claim and the passage that holds it; `sentence` is the one of the passage that covers it."""

    claim: str
    evidence: str
    sentence: str
    source: str


def draw_pairs(data: Path, seed: int, count: int, ways: Callable[[Pair], int]) -> list[Pair]:
    """Half from the claim sets, half reworded sentences of the documents, drawn from the seed.

    Of the sentences those come first that can be made false in the most `ways`.
    """
    rng = random.Random(seed)
    rows = [pair for name in SETS for pair in _rows(data, name) if _serves(pair, seed)]
    made = [pair for passages in _passages(data) for pair in _reworded(passages) if _serves(pair, seed)]
    rows, made = (list({pair.claim: pair for pair in pairs}.values()) for pairs in (rows, made))
    rng.shuffle(rows)
    rng.shuffle(made)
    made.sort(key=lambda pair: -ways(pair))
    taken = rows[: max(count // 2, count - len(made))]
    return taken + made[: count - len(taken)]


def _serves(pair: Pair, seed: int) -> bool:
    return hashlib.sha256(pair.evidence.encode()).digest()[0] % 2 == seed % 2


def _rows(data: Path, name: str) -> Iterator[Pair]:
    file = data / "claims" / f"{name}_dev.jsonl"
    for line in file.read_text("utf-8").splitlines():
        row = json.loads(line)
        if not row["supported"] or len(row["claim"].split()) > LONGEST:
            continue
        parts = split_sentences(row["evidence"])
        best = max(range(len(parts)), key=lambda at: coverage(row["claim"], parts[at]))
        if covers(row["claim"], parts[best]):
            near = parts if name != "wice" else parts[max(best - 1, 0) : best + 2]
            yield Pair(row["claim"], " ".join(near), parts[best], name)


def _passages(data: Path) -> Iterator[str]:
    for file in sorted((data / "qa" / "docs").glob("*.md")):
        yield from file.read_text("utf-8").split("\n\n")
    pages = json.loads((data / "pages" / "ground-truth.json").read_text("utf-8"))
    for name in sorted(pages):
        yield from pages[name]["articleBody"].split("\n\n")


def _reworded(paragraph: str) -> Iterator[Pair]:
    parts = split_sentences(paragraph)
    for at, sentence in enumerate(parts):
        if _stands_alone(sentence) and (claim := reword(sentence)) != sentence:
            yield Pair(claim, " ".join(parts[max(at - 1, 0) : at + 2]), sentence, "documents")


def split_sentences(text: str) -> list[str]:
    """Lines, cut where a small letter, digit or bracket ends before a capital."""
    pieces = (piece for line in text.splitlines() for piece in re.split(r"(?<=[a-z\d)\"”'][.!?]) +(?=[\"“A-Z])", line))
    return [piece.strip() for piece in pieces if piece.strip()] or [text]


def _stands_alone(sentence: str) -> bool:
    return (
        8 <= len(sentence.split()) <= LONGEST
        and sentence.endswith(".")
        and not re.match(r"(?:It|He|She|They|Th[ie]s[e]?|Those|That|His|Her|Their|Its|There|But|And|#|-)\b", sentence)
        and not re.search(r"[\"“”:;\[\]#*]", sentence)
        and re.search(r"\b(?:the|a|an|is|was|are|were)\b", sentence) is not None
    )


def coverage(claim: str, sentence: str) -> float:
    """The share of the claim's content words whose first five letters begin a word of the sentence."""
    wanted = [word for word in WORD.findall(claim.lower()) if word not in SMALL]
    have = {word[:5] for word in WORD.findall(sentence.lower())}
    return sum(word[:5] in have for word in wanted) / len(wanted) if wanted else 0.0


def covers(claim: str, sentence: str) -> bool:
    """Whether `COVERED` of the content words and all the numbers of the claim stand in the sentence."""
    figures = set(re.findall(r"\d+", claim))
    return coverage(claim, sentence) >= COVERED and figures <= set(re.findall(r"\d+", sentence))


def reword(sentence: str) -> str:
    """The same said a little otherwise: brackets and openings dropped, a passive turned, synonyms, other figures."""
    text = re.sub(r" \([^()]*\)", "", sentence)
    text = re.sub(r"^(?:However|In addition|Furthermore|Moreover|Additionally|Also|Thus), (\w)",
                  lambda found: found[1].upper(), text)  # fmt: skip
    if moved := re.fullmatch(
        r"((?:In|On|During|By|Since|At|Until|From|Under) [^,]{3,40}), ((?:the|an?|[A-Z])\b[^,]+)\.", text
    ):
        text = f"{moved[2][0].upper()}{moved[2][1:]} {moved[1][0].lower()}{moved[1][1:]}."
    if turned := _PASSIVE.match(text):
        text = f"{turned[3].strip()} {turned[2]} {turned[1]}{turned[4]}"
    text = re.sub(_ADJUNCT, ".", text)
    text = re.sub(r"\b[Ii]n order to\b", "to", text)
    text = re.sub(
        r"(?<=\w), (?:however|therefore|for example|for instance|in particular|too|of course|in fact),", "", text
    )
    for pair in SYNONYMS.split():
        word, other = pair.replace("_", " ").split("/")
        text = re.sub(rf"(?<=\w )\b{word}(?= )", other, text, count=1).replace("  ", " ")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return re.sub(r"(?<= )(?:" + "|".join(DIGITS) + r")(?= [a-z]+s\b)", _in_digits, text)


def _in_digits(found: re.Match[str]) -> str:
    return str(DIGITS.index(found[0]) + 2)
