"""What speaks against a claim: numbers, names, negations, roles that the evidence does not have or has otherwise.

The evidence speaks of the same thing and says otherwise, or something that must stand in it stands nowhere. What is not
covered: what a claim adds in words of its own; that is for the scorer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pilotage.checks.citations import QUOTED
from pilotage.checks.grounding import figures
from pilotage.checks.grounding.additions import find_additions, find_stretches, weigh
from pilotage.checks.grounding.denials import find_denials, find_quantifiers, has_denial
from pilotage.checks.grounding.findings import Finding
from pilotage.checks.grounding.lines import Figure, Line, read_line
from pilotage.checks.grounding.opposites import find_degrees, find_opposites
from pilotage.checks.grounding.pairing import Pairing, pair_words
from pilotage.checks.grounding.roles import find_names, find_swaps, is_absent
from pilotage.checks.grounding.slots import find_slots
from pilotage.checks.verbatim import stands_in

KINDS = ("quote", "number", "date", "unit", "negation", "quantifier", "antonym", "comparative", "name", "roles")
SHARES = ("absent_numbers", "absent_names", "loose_numbers", "alike", "added", "replaced")
SIGNALS = (*KINDS, *SHARES)
_PAGE = 1500  # characters from which on a text is no excerpt: what it does not name, it does not hold
_COUNTABLE = 12  # up to here a reader may have counted what the text lists
_DENIED = 0.6  # the most that a rival of a denied thing says
_FULL = 0.75  # share of the claim's words from which on a sentence speaks of the same thing
_WORD = re.compile(r"[^\W_]+")
_LONG_QUOTE = 4  # words; shorter ones are titles and single words


@dataclass(frozen=True)
class Veto:
    """Why the evidence does not hold the claim; `sure` decides alone, else it is a sign among others."""

    kind: str
    reason: str
    evidence: str
    sure: bool


def find_veto(claim: str, sentences: Sequence[str], whole: str = "") -> Veto | None:
    """The strongest veto, or None. `sentences` best first; `whole` is all of the evidence (default: the sentences).

    >>> find_veto("It has 450 rooms.", ["It has 300 rooms."]).reason
    'number 450 not in source: it has 300'
    """
    pairing, text = _read(claim, sentences, whole)
    if pairing is None or stands_in(claim.rstrip(". "), pairing.sentence.text):
        return None
    found = max(_weighed(pairing, text), key=lambda finding: finding.strength, default=None)
    if found is None:
        return None
    return Veto(found.kind, found.reason, pairing.sentence.text, found.strength >= 1.0)


def signals(claim: str, sentences: Sequence[str], whole: str = "") -> dict[str, float]:
    """Every kind's strongest finding and some shares, 0 to 1, always under the keys of `SIGNALS`."""
    values = dict.fromkeys(SIGNALS, 0.0)
    pairing, text = _read(claim, sentences, whole)
    if pairing is None:
        return values
    for finding in _weighed(pairing, text):
        values[finding.kind] = max(values[finding.kind], finding.strength)
    told = figures.telling(pairing.claim.figures)
    held = [figure for figure in told if figures.stands(figure, text)]
    names = pairing.claim.names
    values["absent_numbers"] = 1 - len(held) / len(told) if told else 0.0
    values["absent_names"] = _share(sum(is_absent(pairing.claim, span, text) for span in names), len(names))
    values["loose_numbers"] = _share(sum(not figures.stands(f, pairing.sentence.text) for f in held), len(told))
    values["alike"] = pairing.alike
    values["added"], values["replaced"] = weigh(find_stretches(pairing))
    return values


def _share(count: int, of: int) -> float:
    return count / of if of else 0.0


def _read(claim: str, sentences: Sequence[str], whole: str) -> tuple[Pairing | None, str]:
    """The claim against the sentence that shares the most words with it."""
    line = read_line(claim)
    pairings = [pair_words(line, read_line(sentence)) for sentence in sentences[:3] if sentence.strip()]
    best = max(pairings, key=lambda pairing: pairing.alike + _figures_held(line, pairing.sentence), default=None)
    return best, whole or " ".join(sentences)


def _figures_held(claim: Line, sentence: Line) -> float:
    told = figures.telling(claim.figures)
    return 0.2 * _share(sum(figures.stands(figure, sentence.text) for figure in told), len(told))


def _weighed(pairing: Pairing, whole: str) -> Iterator[Finding]:
    """A claim that denies something is not struck by what stands there instead."""
    denies = has_denial(pairing.claim)
    for finding in _findings(pairing, whole):
        is_instead = denies and finding.kind not in ("negation", "quote")
        yield replace(finding, strength=min(finding.strength, _DENIED)) if is_instead else finding


def _findings(pairing: Pairing, whole: str) -> Iterator[Finding]:
    yield from _quotes(pairing, whole)
    yield from _numbers(pairing, whole)
    yield from find_additions(pairing)
    yield from find_denials(pairing)
    yield from find_quantifiers(pairing)
    yield from find_opposites(pairing)
    yield from find_degrees(pairing)
    yield from find_names(pairing, whole)
    yield from find_slots(pairing)
    yield from find_swaps(pairing)


def _quotes(pairing: Pairing, whole: str) -> Iterator[Finding]:
    for match in QUOTED.finditer(pairing.claim.text):
        quote = next(filter(None, match.groups())).strip(" .,!?")
        words = _WORD.findall(quote.lower())
        if words and f" {' '.join(words)} " not in f" {' '.join(_WORD.findall(whole.lower()))} ":
            is_speech = sum(word.islower() for word in quote.split()) > len(words) / 2 and "[" not in quote
            strength = 1.0 if is_speech and len(words) >= _LONG_QUOTE else 0.6
            yield Finding("quote", f"“{quote}” does not stand in source", strength)


def _numbers(pairing: Pairing, whole: str) -> Iterator[Finding]:
    for figure in figures.telling(pairing.claim.figures):
        kind = "date" if figure.kind in ("date", "decade", "century") else "number"
        rival = figures.find_rival(figure, pairing)
        if not figures.stands(figure, whole):
            is_sure = figures.is_firm(figure, pairing.claim) and (
                len(whole) >= _PAGE or pairing.alike >= (0.5 if rival else _FULL)
            )
            is_sure = is_sure and (bool(rival) or figure.value > _COUNTABLE or len(whole) >= _PAGE)
            reason = f"{kind} {figure.text} not in source" + (f": it has {rival.text}" if rival else "")
            yield Finding(kind, reason, 1.0 if is_sure else 0.7)
        elif rival or (rival := figures.find_slot(figure, pairing)):
            is_sure = figures.is_firm(figure, pairing.claim) and pairing.alike >= _FULL
            strength = 1.0 if is_sure and not _elsewhere(figure, pairing) else 0.6
            yield Finding(kind, f"source: {rival.text}; claim: {figure.text}", strength)
        elif other := figures.find_other_unit(figure, pairing):
            yield Finding("unit", f"source: {other}; claim: {figure.text} {_counted(pairing, figure)}".strip(), 0.8)


def _elsewhere(figure: Figure, pairing: Pairing) -> bool:
    """Whether the sentence itself has the number, of something else."""
    if figure.kind in ("number", "amount"):
        same = [other for other in pairing.sentence.figures if figure.value == other.value]
        return any(not (other.head and figure.head) or other.head & figure.head for other in same)
    return figures.stands(figure, pairing.sentence.text)


def _counted(pairing: Pairing, figure: Figure) -> str:
    return "" if figure.unit else " ".join(item.raw for item in pairing.claim.items[figure.end : figure.end + 1])
