"""Words that a claim puts into or instead of what the sentence says: a frame before it, a stretch within it.

What is not covered: claims that say it in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from pilotage.checks.grounding.denials import has_denial
from pilotage.checks.grounding.findings import Finding, shown
from pilotage.checks.grounding.lines import Line
from pilotage.checks.grounding.pairing import Pairing
from pilotage.checks.grounding.roles import are_same
from pilotage.language.words import ARTICLES, BE, HAVE

_AFFIRMING_WORDS = (
    "say state report know true fact clear note believe show find find think claim announce tell explain describe "
    "accord evident obvious certain sure well indeed important possible likely suggest estimate think confirm write "
    "interesting amazing funny cool great good nice yes oh hear love wonder guess agree remember imagine mean consider "
    "able need use have plan intend aim want try manage help continue begin start"
)
AFFIRMING = frozenset(_AFFIRMING_WORDS.split())
"""What may stand before `that` without changing what follows."""
_NO_DEGREES_WORDS = "west interest forest guest request harvest protest contest honest modest latest priest chest"
NO_DEGREES = frozenset(_NO_DEGREES_WORDS.split())
_DEGREES = frozenset({"best", "worst", "first", "last", "most", "least"})
_TURNS = frozenset({"to", "but", "from", "being", "be"})
_JOINTS = frozenset({"to", "of", "but", "from", "being", "be"})
_LEAST = 3  # words behind a frame
_LONGEST = 3  # words of a stretch
_CLOSE = 0.6  # share of the words with a counterpart from which on another name in the slot decides
_NEAR = 5  # words between neighbours, small ones among them
_FRAMED = 0.9  # share of the words behind the frame that have a counterpart


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words of the claim from `start` to `end` whose neighbours have counterparts that stand side by side.

    `instead` is what the sentence has in their place: nothing when the claim adds.
    """

    start: int
    end: int
    instead: tuple[int, ...]
    is_inner: bool  # with a neighbour on both sides


def find_stretches(pairing: Pairing) -> list[Stretch]:
    content = pairing.claim.content()
    found: list[Stretch] = []
    for is_odd, group in groupby(range(len(content)), key=lambda at: not _is_in_place(pairing, content, at)):
        run = list(group)
        if not is_odd or len(run) > _LONGEST:
            continue
        left = content[run[0] - 1] if run[0] else None
        right = content[run[-1] + 1] if run[-1] + 1 < len(content) else None
        instead = _instead(pairing, left, right)
        if instead is not None:
            start = left + 1 if left is not None else content[run[0]]
            found.append(
                Stretch(start, right if right is not None else content[run[-1]] + 1, instead, None not in (left, right))
            )
    return found


def _is_in_place(pairing: Pairing, content: list[int], at: int) -> bool:
    """Whether the word has a counterpart near that of a neighbour; one that stands elsewhere proves nothing."""
    places = pairing.partners.get(content[at], ())
    beside = [place for near in (at - 1, at + 1) if 0 <= near < len(content)
              for place in pairing.partners.get(content[near], ())]  # fmt: skip
    return bool(places) and (not beside or any(abs(one - other) <= _NEAR for one in places for other in beside))


def _instead(pairing: Pairing, left: int | None, right: int | None) -> tuple[int, ...] | None:
    """What the sentence has between the counterparts, at most two words that the claim has not; None when unclear."""
    if left is not None and right is not None:
        spans = [(one, other) for one in pairing.partners.get(left, ()) for other in pairing.partners.get(right, ())]
        inner = [range(one + 1, other) for one, other in spans if one < other <= one + _NEAR]
        found = [_content_in(pairing, places) for places in inner]
    elif left is not None:
        found = [_content_in(pairing, range(one + 1, one + 4))[:1] for one in pairing.partners.get(left, ())]
    else:
        places_of = pairing.partners.get(right, ()) if right is not None else ()
        found = [_content_in(pairing, range(max(one - 3, 0), one))[-1:] for one in places_of]
    taken = {place for places in pairing.partners.values() for place in places}
    is_inner = left is not None and right is not None
    clear = [spare for spare in found if (spare or is_inner) and len(spare) <= 2 and not taken & set(spare)]
    return min(clear, key=len, default=None)


def _content_in(pairing: Pairing, places: range) -> tuple[int, ...]:
    """Content words there, as far as the sentence goes; figures among them."""
    items = pairing.sentence.items
    return tuple(at for at in places if at < len(items) and not items[at].is_small)


def find_frame(pairing: Pairing) -> Finding | None:
    """`It is a rumour that` before what the sentence says itself."""
    items = pairing.claim.items
    at = next((at for at, item in enumerate(items[:9]) if item.low == "that"), None)
    if at is None or at < 2:
        return None
    if any(item.in_figure for item in items[:at]):
        return None  # It was on 4 June that it opened
    front = [item for item in items[:at] if not item.is_small]
    behind = [place for place in pairing.claim.content() if place > at]
    held = sum(place in pairing.partners for place in behind)
    is_new = not any(place in pairing.partners for place in range(at))
    is_affirmed = any(item.bases & AFFIRMING for item in front) and not has_denial(pairing.claim, at)
    if not front or not is_new or is_affirmed or held < _LEAST:
        return None
    strength = 1.0 if held >= _FRAMED * len(behind) else 0.6
    return Finding("negation", f"claim says “{shown(pairing.claim, 0, at + 1)}”, source does not", strength)


def find_turn(pairing: Pairing) -> Finding | None:
    """`is all but`, `came close to being`: new words behind the verb of being, bound to what the sentence says."""
    items = pairing.claim.items
    for at, item in enumerate(items):
        if item.low not in BE | HAVE:
            continue
        end = next((p for p in range(at + 1, min(at + 7, len(items))) if p in pairing.partners), None)
        if end is None:
            continue
        inner = [p for p in range(at + 1, end) if items[p].low not in ARTICLES]
        new = [p for p in inner if not items[p].is_small and not items[p].in_figure]
        if new and items[inner[-1]].low in _TURNS and not any(items[p].bases & AFFIRMING for p in new):
            return Finding("negation", f"claim adds “{shown(pairing.claim, at, inner[-1] + 1)}”", 0.8)
    return None


def find_additions(pairing: Pairing) -> Iterator[Finding]:
    """Stretches that turn what follows (`came close to`, `is all but`), and other superlatives."""
    claim, sentence = pairing.claim, pairing.sentence
    if frame := find_frame(pairing):
        yield frame
    if turn := find_turn(pairing):
        yield turn
    for stretch in find_stretches(pairing):
        last = claim.items[stretch.end - 1].low
        if not stretch.instead and last in _JOINTS and pairing.alike >= _CLOSE:
            yield Finding("negation", f"claim adds “{shown(claim, stretch.start, stretch.end)}”", 0.8)
        if name := _find_other_name(pairing, stretch):
            yield name
        one, other = _top(claim, stretch.start, stretch.end), _top(sentence, *_span(stretch))
        if one and other and one != other:
            yield Finding("comparative", f'"{one}" against "{other}"', 1.0 if pairing.alike >= _CLOSE else 0.6)
        elif other and stretch.is_inner:
            words = shown(claim, stretch.start, stretch.end)
            yield Finding("comparative", f'"{words}" against "{other}"', 0.7)


def _find_other_name(pairing: Pairing, stretch: Stretch) -> Finding | None:
    """A name where the sentence has another one."""
    items = pairing.claim.items
    mine = [at for at in range(stretch.start, stretch.end) if not items[at].is_small]
    theirs = [pairing.sentence.items[at] for at in stretch.instead]
    if not theirs or not all(items[at].is_name for at in mine) or not all(item.is_name for item in theirs):
        return None
    if are_same([items[at] for at in mine], theirs):
        return None
    reason = f"source: {' '.join(item.raw for item in theirs)}; claim: {shown(pairing.claim, mine[0], mine[-1] + 1)}"
    return Finding("name", reason, 1.0 if stretch.is_inner and pairing.alike >= _CLOSE else 0.7)


def weigh(stretches: list[Stretch]) -> tuple[float, float]:
    """How much is added and how much replaced, 0 to 1; at the edge of a claim half as much."""
    worth = [(not stretch.instead, 1.0 if stretch.is_inner else 0.5) for stretch in stretches]
    return (
        min(sum(value for is_added, value in worth if is_added), 1.0),
        min(sum(value for is_added, value in worth if not is_added), 1.0),
    )


def _span(stretch: Stretch) -> tuple[int, int]:
    return (stretch.instead[0], stretch.instead[-1] + 1) if stretch.instead else (0, 0)


def _top(line: Line, start: int, end: int) -> str:
    """The superlative or comparative of a stretch."""
    return next((item.low for item in line.items[start:end] if _is_degree(item.low)), "")


def _is_degree(low: str) -> bool:
    return low in _DEGREES or (low.endswith("est") and len(low) > 4 and low not in NO_DEGREES)
