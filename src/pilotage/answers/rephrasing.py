"""Turns of phrase that ask the same, brought to one before a question is read.

Each rule keeps every word that can tell two questions apart; what it drops or changes is grammar. What is not covered:
turns that need a parser, and those whose sameness depends on what is asked about.
"""

from __future__ import annotations

import re

from pilotage.language import frames
from pilotage.language.amounts import unit_of
from pilotage.language.wording import Token

_ANYONE = "(?:i|you|we|one|people|someone)"
_SIZE = "long|big|large"
_RATED = "tall|high|deep|wide|heavy|thick"
_AUX = "(?:is|are|does|do|did|was|were|can|will|has|have)"
_UNIT = "(?P<unit>(?:square |cubic )?[a-z]+)"
_DIMENSION = "(?:weight|load|sum|amount|speed|temperature|period)"
_RULES = [
    (rf"^(?P<x>.+) , {_AUX}(?: not)? (?:it|he|she|they|you|we|i|there)$", "{x}"),  # is it not?
    # what is asked
    (r"^how (?:do|does) (?P<x>.+) differ from (?P<y>.+)$", "what is the difference between {x} and {y}"),
    (r"^what is the average time (?:spent|needed|required|taken) (?:on|for) (?P<x>.+)$",
     "how long does {x} take on average"),
    (r"^(?P<q>when|where|why|how) (?P<aux>do|did) they (?P<x>.+)$", "{q} {aux} people {x}"),
    (r"^what (?:is|was) the (?:birthplace|place of birth) of (?P<x>.+)$", "where was {x} born"),
    (r"^what (?:is|was) the (?:birthday|birthdate|birth date|date of birth) of (?P<x>.+)$", "when was {x} born"),
    (rf"^where (?:can|could|do|may) {_ANYONE} find (?P<x>(?:the|my) .+)$", "where is {x}"),
    (r"^where can (?P<x>.+) be found$", "where is {x}"),
    (r"^where (?P<be>is|are|was|were) (?P<x>.+) (?:located|situated)(?P<y> in .+)?$", "where {be} {x} {y}"),
    (r"^what (?:is|are) (?P<x>.+) used for$", "what is the purpose of {x}"),
    (r"^what (?:is|are) the uses? of (?P<x>.+)$", "what is the purpose of {x}"),
    (r"^what is meant by (?P<x>.+)$", "what does {x} mean"),
    (r"^how much (?:do|does) (?P<x>.+) weigh$", "how heavy is {x}"),
    (r"^how expensive (?P<be>is|are) (?P<x>.+)$", "how much {be} {x}"),
    (r"^how far away (?P<be>is|are) (?P<x>.+)$", "how far {be} {x}"),
    (r"^how much money (?P<x>.+)$", "how much {x}"),
    (r"^how many times (?P<x>(?:a|per|each|every) .+)$", "how often {x}"),
    (r"^how many times (?P<x>.+ (?:a|per|each|every) (?:day|week|month|year))$", "how often {x}"),
    (r"^whose (?P<x>[a-z]+) (?:is|are) (?:needed|required|necessary) (?:for|to|on) (?P<y>.+)$", "who {x} for {y}"),
    (r"^what does it take to (?P<x>.+)$", "how do i {x}"),
    (r"^(?:may|can) i ask (?P<x>(?:what|who|when|where|why|how) .+)$", "{x}"),
    (rf"^is it (?:ok|okay|fine|alright|all right) if {_ANYONE} (?P<x>.+)$", "may i {x}"),
    (r"^do i have permission to (?P<x>.+)$", "may i {x}"),
    (r"^who (?P<be>is|are) (?:the (?:current|present)|currently the) (?P<x>.+)$", "who {be} the {x}"),
    (r"^what is the (?P<x>[a-z]+) (?:process|procedure) (?:of|for) (?P<y>.+)$", "how to {x} {y}"),
    # measures
    (rf"^how (?:{_SIZE}) (?:is|are) (?P<x>.+) in {_UNIT}$", "how many {unit} does {x} have"),
    (rf"^how many (?P<unit>[a-z]+) (?P<q>{_RATED}) (?P<be>is|are) (?P<x>.+)$", "how {q} {be} {x} in {unit}"),
    (rf"^how many {_UNIT} (?:(?:{_SIZE}) )?(?:is|are) (?P<x>.+)$", "how many {unit} does {x} have"),
    (rf"(?P<x>^.*)(?: an?) {_DIMENSION} of (?P<amount>[\d$€£].*)$", "{x} {amount}"),
    (r"^(?P<x>.*\b)half (?P<y>off\b.*)$", "{x} 50 % {y}"),
    # who it is about, and with what
    (r"^(?P<aux>do|can|may|must|should) i (?P<x>.+) (?:if|when) i am an? (?P<who>[a-z]+)$", "{aux} {who} {x}"),
    (r"^(?P<x>.*) (?:by using|by means of|with the (?:help|use|aid) of) (?P<y>.+)$", "{x} with {y}"),
    (r"^(?P<x>.*\b(?!is|are|was|were|be|been|am|about|before|after|when|while|of|for|by|from|without|to|not|the|a|than)"
     r"[a-z]+) (?:using|wearing) (?P<y>.+)$", "{x} with {y}"),
]  # fmt: skip
RULES = [(re.compile(pattern), template) for pattern, template in _RULES]


def rephrase(tokens: list[Token]) -> list[Token]:
    """The question in the wording of the rules.

    >>> from pilotage.language.wording import tokenize
    >>> [token.text for token in rephrase(tokenize("what is meant by net pay"))]
    ['what', 'does', 'net', 'pay', 'mean']
    """
    return _apply(RULES, tokens)


def reframe(tokens: list[Token]) -> list[Token]:
    """The question in the frame that stands for all of its kind, then in the wording of the rules.

    >>> from pilotage.language.wording import tokenize
    >>> " ".join(token.text for token in reframe(tokenize("what are the steps to renew a visa")))
    'how do i renew a visa'
    """
    for pattern, instead in frames.everywhere():
        tokens = _replaced(pattern, instead, tokens)
    return _apply(RULES, _apply(frames.rules(), tokens))


def _apply(rules: list[frames.Rule], tokens: list[Token]) -> list[Token]:
    for pattern, template in rules:
        found = pattern.match(" ".join(token.text for token in tokens))
        if found and _is_measured(found):
            tokens = _filled(template.split(), found, tokens)
    return tokens


def _replaced(pattern: re.Pattern[str], instead: str, tokens: list[Token]) -> list[Token]:
    """Each find replaced; the tokens that stay keep their places in the question."""
    made: list[Token] = []
    at, text = 0, " ".join(token.text for token in tokens)
    for found in pattern.finditer(text):
        made += _within(tokens, at, found.start())
        kept = {token.text: token for token in _within(tokens, *found.span())}
        made += [kept.get(word, Token(word, word, 0, 0)) for word in found.expand(instead).split()]
        at = found.end()
    return made + _within(tokens, at, len(text)) if made or at else tokens


def _is_measured(found: re.Match[str]) -> bool:
    """Where a unit is wanted, it is one."""
    unit = found.groupdict().get("unit")
    return unit is None or unit_of(unit.split()[-1], after_number=False) is not None


def _filled(template: list[str], found: re.Match[str], tokens: list[Token]) -> list[Token]:
    made: list[Token] = []
    for part in template:
        if not part.startswith("{"):
            made.append(Token(part, part, 0, 0))
        elif found[part[1:-1]]:
            made += _within(tokens, *found.span(part[1:-1]))
    return made


def _within(tokens: list[Token], start: int, end: int) -> list[Token]:
    kept, at = [], 0
    for token in tokens:
        if at >= start and at + len(token.text) <= end and token.text.strip():
            kept.append(token)
        at += len(token.text) + 1
    return kept
