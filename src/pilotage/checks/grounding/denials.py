"""Negations and quantifiers that stand in one of claim and sentence only, before the same word.

What is not covered: irony, and denials that are told in several sentences.
"""

from __future__ import annotations

from collections.abc import Iterator

from pilotage.checks.grounding.figures import stands
from pilotage.checks.grounding.findings import Finding
from pilotage.checks.grounding.lines import Line
from pilotage.checks.grounding.pairing import Pairing
from pilotage.language.lexicon import lexicon

_NOT_WORDS = (
    "not no never none nobody nothing neither nor without cannot nowhere hardly barely scarcely rarely seldom unable"
)
NOT = frozenset(_NOT_WORDS.split())
_TURNING_WORDS = (
    "fail deny refuse decline reject cease stop prevent avoid lack forbid prohibit ban false untrue myth impossible "
    "incorrect disprove debunk refute hoax contrary lose"
)
TURNING = frozenset(_TURNING_WORDS.split())
"""Words that turn what follows into its opposite; counted only when the other side has none of them."""
_AWAY = frozenset({"away", "down", "despite", "instead", "rather", "off"})
_NO_DENIAL = frozenset(
    {"only", "just", "merely", "necessarily", "longer", "until", "doubt", "least", "matter", "later"}
)
_MARKS = frozenset(".;:!?()")
_WHOLE = 0.95  # share of the words from which on a negation is all that differs
_REACH = 4  # words behind a negation in which its target is looked for

_ALL_WORDS = "all every each always both entire entirely whole completely everyone everything everybody fully"
_PART_WORDS = (
    "some several many various often sometimes usually most few half partly mainly generally typically mostly "
    "occasionally largely frequently certain part partially primarily"
)
_ONLY_WORDS = "only solely sole exclusively exclusive alone unique merely just"
_SELDOM_WORDS = "rarely seldom few hardly occasionally little minority"
_MUCH_WORDS = "often usually always many most mostly frequently generally typically majority all every"
ALL, PART, ONLY, SELDOM, MUCH = (
    frozenset(words.split()) for words in (_ALL_WORDS, _PART_WORDS, _ONLY_WORDS, _SELDOM_WORDS, _MUCH_WORDS)
)


def find_denials(pairing: Pairing) -> Iterator[Finding]:
    claim, sentence = pairing.claim, pairing.sentence
    mine, theirs = denied(claim, sentence), denied(sentence, claim)
    for at, words in mine.items():
        places = pairing.partners.get(at, ())
        if places and not any(place in theirs for place in places):
            strength = 1.0 if pairing.alike >= 0.85 and not _denies(sentence) else 0.6
            yield Finding("negation", f"claim says *{words[0]}* “{claim.items[at].raw}”, source does not", strength)
            return
    for place, words in theirs.items():
        found = [at for at, places in pairing.partners.items() if place in places]
        if found and not any(at in mine for at in found) and not _stands_plain(pairing, found, theirs):
            is_plain = words[0].lower() in NOT and not _denies(claim)
            reason = f"source says *{words[0]}* “{sentence.items[place].raw}”"
            yield Finding("negation", reason, 1.0 if is_plain and pairing.alike >= 0.6 else 0.6)
            return
    if has_denial(claim) and not has_denial(sentence):
        word = next(item.raw for at, item in enumerate(claim.items) if item.low in NOT and not _is_harmless(claim, at))
        is_held = all(stands(figure, sentence.text) for figure in claim.figures)
        is_bare = pairing.alike >= _WHOLE and is_held and not _denies(sentence)
        yield Finding("negation", f"claim says *{word}*, source does not", 1.0 if is_bare else 0.5)


def _stands_plain(pairing: Pairing, found: list[int], theirs: dict[int, list[str]]) -> bool:
    """Whether the sentence has the word once more without a negation."""
    return any(place not in theirs for at in found for place in pairing.partners[at])


def _denies(line: Line) -> bool:
    """Whether anything in the sentence denies, turns away or is without."""
    return any(
        item.low in NOT or item.low in _AWAY or item.bases & TURNING or item.low.endswith(("less", "n't"))
        or _is_un(item.low)
        for item in line.items
    )  # fmt: skip


def _is_un(low: str) -> bool:
    """unknown, nonfiction"""
    return low.startswith(("un", "non")) and len(low) > 5 and any(lexicon().knows(low[n:], "a") for n in (2, 3))


def denied(line: Line, other: Line) -> dict[int, list[str]]:
    """Which content words stand under a negation, and under which; an even number of them is none."""
    found: dict[int, list[str]] = {}
    others = {base for item in other.items for base in item.bases}
    for at, item in enumerate(line.items):
        turns = item.bases & TURNING and not item.bases & others
        if not (item.low in NOT or turns) or _is_harmless(line, at):
            continue
        target = _target(line, at)
        if target is not None:
            found.setdefault(target, []).append(item.raw)
    return {at: words for at, words in found.items() if len(words) % 2}


def has_denial(line: Line, end: int | None = None) -> bool:
    """Whether a negation stands in the line, or in front of a place."""
    return any(item.low in NOT and not _is_harmless(line, at) for at, item in enumerate(line.items[:end]))


def _is_harmless(line: Line, at: int) -> bool:
    """not only, no less than, No. 3, whether or not"""
    after = line.items[at + 1].low if at + 1 < len(line.items) else ""
    before = line.items[at - 1].low if at else ""
    item = line.items[at]
    return (
        after in _NO_DENIAL
        or (item.low == "no" and (after in ("less", "more", "fewer", ".") or (after.isdigit() and item.raw == "No")))
        or (item.low == "not" and (before in ("or", "if", "but") or _is_corrected(line, at)))
        or (item.low == "nothing" and after == "but")
    )


def _is_corrected(line: Line, at: int) -> bool:
    """not one march, but several"""
    return any(item.low == "but" for item in line.items[at + 1 : at + 8])


def _target(line: Line, at: int) -> int | None:
    for place in range(at + 1, min(at + 1 + _REACH, len(line.items))):
        item = line.items[place]
        if item.low in _MARKS or item.in_figure:
            return None  # not the first woman: the number is denied
        if not (item.is_small or item.low in NOT | ALL | PART or item.bases & TURNING):
            return place
    return None


# --- quantifiers


def find_quantifiers(pairing: Pairing) -> Iterator[Finding]:
    claim = {item.low: at for at, item in enumerate(pairing.claim.items)}
    theirs = {item.low: at for at, item in enumerate(pairing.sentence.items)}
    yield from _against(pairing, claim, theirs, ALL, PART)
    yield from _against(pairing, claim, theirs, SELDOM, MUCH)
    yield from _against(pairing, claim, theirs, MUCH - PART, SELDOM)
    if (word := next((word for word in claim if word in ONLY), "")) and not (ONLY | {"single"}) & theirs.keys():
        yield Finding("quantifier", f'claim says "{word}", source does not', 0.6)
    if _is_one_of(pairing.sentence) and not _is_one_of(pairing.claim) and _has_top(pairing):
        yield Finding("quantifier", 'source: "one of"; claim: the one', 1.0 if pairing.alike >= 0.6 else 0.6)


def _against(
    pairing: Pairing, claim: dict[str, int], theirs: dict[str, int], strong: frozenset[str], weak: frozenset[str]
) -> Iterator[Finding]:
    """A strong word of the claim where the sentence has a weak one, and none of the claim's class."""
    mine = [word for word in claim if word in strong]
    other = [word for word in theirs if word in weak]
    if not mine or not other or strong & theirs.keys() or weak & claim.keys():
        return
    one, two = mine[0], other[0]
    beside = _beside(pairing.claim, claim[one]), _beside(pairing.sentence, theirs[two])
    same = beside[0] is not None and beside[1] in pairing.partners.get(beside[0], ())
    yield Finding("quantifier", f'"{one}" against "{two}"', 1.0 if same else 0.6)


def _beside(line: Line, at: int) -> int | None:
    return next((p for p in range(at + 1, min(at + 4, len(line.items))) if not line.items[p].is_small), None)


def _is_one_of(line: Line) -> bool:
    lows = [item.low for item in line.items]
    return any(lows[at : at + 2] == ["one", "of"] or word == "among" for at, word in enumerate(lows))


def _has_top(pairing: Pairing) -> bool:
    """The claim says `the most`, `the largest` or `the only` of a word that the sentence has too."""
    items = pairing.claim.items
    tops = [
        at
        for at, item in enumerate(items)
        if item.low in ("most", "only", "single", "best") or item.low.endswith("est")
    ]
    return any(items[at - 1].low in ("the", "'s") for at in tops if at)
