"""How a question begins: courtesies that say nothing, and the words that tell what kind of answer is wanted.

Kinds: how, why, when, where, who, whose, what, count, amount, often, duration, polar (yes or no), tell (none of these).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pilotage.language.lexicon import lexicon
from pilotage.language.wording import Token
from pilotage.language.words import BE, DO, HAVE, MODALS, PAST, PREPOSITIONS

_ANYONE = r"(?:i|you|we|one|people|someone|anyone|somebody)"
_GOOD = r"(?:(?:right|best|correct|proper|good|usual|normal|recommended|standard) )?"
_WAY = r"(?:way|ways|method|methods|procedure|process|steps|instructions|approach)"
_ASKING = r"(?= (?:what|which|who|whom|whose|when|where|why|how|if|whether)\b)"
_TELL = "(?:tell|show|explain|help|let|inform|remind|give)"
_FILLERS = re.compile(
    r"^(?:hi|hello|hey|please|so|ok|okay|well|and|quick question|excuse me|,|:"
    r"|(?:can|could|would|will) (?:you|someone|anyone) (?:please |kindly )?"
    rf"{_TELL}(?: to)?(?: me| us)?(?: know| understand| out)?{_ASKING}"
    r"|(?:do|does) (?:you|anyone|anybody|someone) (?:happen to )?know"
    r"|i (?:would|want|need) ?(?:like )?to (?:know|find out|understand|ask)|i (?:am|was) wondering|i wonder|may i ask"
    rf"|(?:tell|explain|show|remind)(?: to)?(?: me| us)?{_ASKING}"
    r"|any idea|is it known)(?: |$)"
)
_GO_ON = rf"(?: {_ANYONE} (?:do|can|should|could)?)?"
_MANNER = r"(?P<manner>(?!only|other|same|first|last)[a-z]+)"
_HOW = [
    rf"how (?:do|can|could|should|would|might|may|shall|to|does|did) (?:{_ANYONE} )?(?:best |go about )?",
    rf"(?:what is|what are|which is|is there|are there) (?:the |a |any |some )?{_GOOD}{_WAY} "
    rf"(?:to|of|for|in which|that){_GO_ON}",
    rf"(?:what is|is there) (?:a|the|any) {_MANNER} (?:way|method) (?:to|of|for){_GO_ON}",
    rf"what {_GOOD}{_WAY} (?:do|can|should|could) {_ANYONE} (?:take |use |follow )?(?:to )?",
    r"(?:what|which) steps (?:are|is) (?:needed|required|necessary) (?:to|for)",
    rf"what (?:do|must|should|can) {_ANYONE} (?:need to |have to )?do (?:in order )?to",
    r"(?:in|by) (?:what|which) (?:way|manner|means)",
    r"how",
]
_TABLE: list[tuple[str, str]] = [
    (r"how many times", "times"),
    (r"(?:what is|what was) the (?:total |exact )?number of", "count"),
    (r"(?:for |up to |in )?how many", "count"),
    (r"how (?:often|frequently)", "often"),
    (r"(?:for )?how long does it (?:usually |typically )?take", "duration"),
    (r"how much time (?:does it take|is needed|is required|do \w+ need)", "duration"),
    (r"how much time", "duration"),
    (r"(?:for )?how long", "duration"),
    (r"how far is it", "far"),
    (r"(?:by )?how much", "amount"),
    (r"what is (?:the |a )?(?:exact |total |usual |average )?duration of", "duration"),
    (r"what is (?:the |a )?(?:exact )?frequency of", "often"),
    (r"what (?:is|was) (?:the |a )?(?:exact )?date (?:of|for)(?! birth)", "when"),
    (r"what (?:is|was) (?:the |a )?(?:exact )?location of", "where"),
    (r"what (?:is|are) (?:the |your )?(?P<doing>opening|business) (?:hours|times?)(?: of| for| at| in)?", "when"),
    (r"what (?:is|are) the differences? between", "difference"),
    (r"what (?:is|are) the (?:job|function|tasks?) of", "doing"),
    (r"what (?:is|was) the (?=population of)", "count"),
    (r"what is the time (?:spent|needed|required|taken) (?:on|for|to)", "duration"),
    (r"what (?:is|are) the consequences? (?:if|when|of)|what if", "what if"),
    (r"what (?:happens|happened|will happen|would happen|does happen) (?:if|when)", "what if"),
    (r"since when", "since"),
    (r"what (?:makes|made|causes|caused)", "why"),
    (r"what is the (?P<doing>[a-z]+ing) time (?:for|of)", "duration"),
    (r"(?:for|on) (?:what|which) (?:reason|reasons|grounds)", "why"),
    (r"what (?:is|are|was|were) the (?:reason|reasons) (?:that|why|for|behind|of)?", "why"),
    (r"why|how come", "why"),
    (r"(?:at )?(?:what|which) time", "when"),
    (r"(?:on )?(?:what|which) (?:date|day)", "day"),
    (r"(?:in )?(?:what|which) year", "year"),
    (r"when", "when"),
    (r"(?:in|at) (?:what|which) (?:place|location)|what (?:place|location)", "where"),
    (r"where", "where"),
    (r"(?:to|from|for|by|with|of|about|against) whom", "who"),
    (r"(?:which|what) (?:person|people|persons)", "who"),
    (r"who (?:is|are|was|were) the (?:person|people|one|ones|persons)(?: who| that)?", "who"),
    (r"who|whom", "who"),
    (r"whose", "whose"),
    (r"(?:in|at|on|to|from|for|by|with|of|about|under|up to|against|into|through) (?:what|which)", "what"),
    (r"what (?:is|was) the (?:full |official )?name of", "what"),
    (r"what|which", "what"),
    (r"is it true(?: that)?", "polar"),
    (r"if|whether", "polar"),
]
_PATTERNS = [(re.compile(rf"(?:{pattern})\b"), "how") for pattern in _HOW[:-1]]
_PATTERNS += [(re.compile(rf"(?:{pattern})\b"), kind) for pattern, kind in _TABLE]
_PATTERNS += [(re.compile(r"how\b"), "how")]
_PREPOSITION = re.compile(r"^(to|from|for|by|with|about|against|into|under|through) (?:what|which|whom|how)\b")
_SUBJECT = re.compile(rf"\b{_ANYONE}\b")


@dataclass(frozen=True)
class Head:
    """What the beginning says, and how many tokens of the question it takes."""

    kind: str
    length: int
    preposition: str = ""
    modals: frozenset[str] = frozenset()
    past: bool = False
    has_aux: bool = False
    has_be: bool = False
    has_do: bool = False
    is_anyone: bool = False
    inserted: tuple[Token, ...] = ()


def without_fillers(tokens: list[Token]) -> list[Token]:
    while tokens:
        found = _FILLERS.match(" ".join(token.text for token in tokens) + " ")
        if not found or not found.group().strip():
            break
        rest = tokens[len(found.group().split()) :]
        if not rest:
            break
        tokens = rest
    while len(tokens) > 1 and tokens[-1].text in (".", "?", "!", ",", "please", "thanks"):
        tokens = tokens[:-1]
    return tokens


def read_head(tokens: list[Token]) -> Head:
    text = " ".join(token.text for token in tokens)
    for pattern, kind in _PATTERNS:
        if found := pattern.match(text):
            return _read(kind, found, tokens)
    first = tokens[0].text if tokens else ""
    if first in BE | DO | HAVE or first in MODALS:
        return Head("polar", 0)
    return Head("tell", 0)


def _read(kind: str, found: re.Match[str], tokens: list[Token]) -> Head:
    head = found.group()
    words = head.split()
    length = len(words)
    preposition = _PREPOSITION.match(head)
    name = preposition[1] if preposition and kind not in ("why", "when", "where", "how", "duration") else ""
    if name == "for" and kind in ("count",):
        name = ""
    following = [token.text for token in tokens[length : length + 2]]
    if kind == "how" and words == ["how"] and following and _is_quality(following):
        return _measured(tokens[1], length)
    kind, inserted = _inserted(kind, following, tokens[length:])
    for group in ("manner", "doing"):
        if group in found.re.groupindex:
            inserted = (_renamed(tokens[words.index(found[group])]),)
    past = bool((PAST | {"made", "caused", "happened"}) & set(words))
    has_aux = any(word in BE | DO or word in MODALS for word in words)
    modals = {MODALS[word] for word in words if word in MODALS} if kind == "how" else set()
    is_anyone = kind == "how" and (bool(_SUBJECT.search(head)) or bool({"to", "of", "for"} & set(words)))
    return Head(
        kind, length, name, frozenset(modals - {"would", "will"}), past, has_aux,
        has_be=kind != "how" and any(word in BE for word in words),
        has_do=any(word in DO for word in words),
        is_anyone=is_anyone or (kind == "duration" and bool(inserted)),
        inserted=inserted,
    )  # fmt: skip


def _inserted(kind: str, following: list[str], rest: list[Token]) -> tuple[str, tuple[Token, ...]]:
    """How far, how long and how much of a thing is: what measure it has."""
    first = following[0] if following else ""
    if kind == "far":
        return "what", (Token("far", "how far", 0, 0),)
    if kind == "duration" and first in BE:
        return "what", (Token("long", "how long", 0, 0),)
    if kind == "amount" and any(token.text == "cost" for token in rest):
        return "what", ()
    if kind == "amount" and first in BE and not (len(following) == 2 and _is_done(rest)):
        return "what", (Token("cost", "cost", 0, 0),)
    return kind, ()


def _is_done(rest: list[Token]) -> bool:
    """`how much is owed to`: not what it costs."""
    after = rest[2].text if len(rest) > 2 else ""
    return lexicon().is_participle(rest[1].text) and (not after.isalpha() or after in PREPOSITIONS)


def _renamed(token: Token) -> Token:
    return replace(token, text="open") if token.text in ("opening", "business") else token


def _is_quality(following: list[str]) -> bool:
    book = lexicon()
    return book.knows(following[0], "a") and len(following) > 1 and following[0] not in BE | DO


def _measured(token: Token, length: int) -> Head:
    """`how tall is`: what is the height of."""
    return Head("what", length + 1, inserted=(Token(token.raw, f"how {token.text}", token.start, token.end),))
