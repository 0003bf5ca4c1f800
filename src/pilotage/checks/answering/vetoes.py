"""What shows by itself that an answer does not address its question, in the order it is looked for.

Residue of a thought or an action, nothing at all, a refusal, the question again, no date or number where one is asked
for, a name that neither the answer nor its surroundings know, a part of the question that is left out.
Not covered: an answer that is about the right thing and says something else of it; that is the scorer's work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pilotage.checks.answering.asked import Asked, Part
from pilotage.checks.answering.mentions import Words, absent
from pilotage.checks.answering.offers import CERTAIN, offers
from pilotage.checks.answering.stems import content_stems, stems_of
from pilotage.checks.citations import RESIDUE
from pilotage.language.wording import tokenize

_MARKS = re.compile(r"\[\d+(?:,\s*\d+)*\]")
_REFUSAL = re.compile(
    r"^\W*(?:(?:i|we) (?:do not|don't|cannot|can't|could not|couldn't|am unable to|was unable to) "
    r"(?:know|find|answer|say|tell|determine|provide)"
    r"|(?:i am|i'm|we are) (?:sorry|not sure|unable)|sorry\b|unknown\W*$|n/a\W*$|no answer\b"
    r"|(?:the|these|this|none of the|no) (?:\w+ ){0,2}"
    r"(?:sources?|documents?|texts?|evidence|context|passages?|information)\b[^.]{0,30}?\b"
    r"(?:do not|does not|don't|doesn't|did not|is not|are not|cannot|not)\b(?![^.]*\bbut\b)"
    r"|(?:there is |there was )?(?:no|not enough|insufficient) (?:\w+ )?(?:information|evidence|mention|answer)\b)",
    re.IGNORECASE,
)
_SHORT = 160  # characters: a longer text may begin with a refusal and still answer


@dataclass(frozen=True)
class Missing:
    """What is wrong, for people, and its kind: residue, empty, refusal, echo, kind, name, part."""

    kind: str
    reason: str


def without_marks(answer: str) -> str:
    """The answer without its citation marks."""
    return _MARKS.sub("", answer).strip()


def find_missing(asked: Asked, answer: str, context: str) -> Missing | None:
    text = without_marks(answer)
    if RESIDUE.search(text):
        return Missing("residue", "the answer holds the residue of a thought or an action")
    if not any(map(str.isalnum, text)):
        return Missing("empty", "the answer is empty")
    if len(text) <= _SHORT and _REFUSAL.search(text.replace("’", "'")):
        return Missing("refusal", "the answer says that it does not know")
    if _is_echo(asked, text):
        return Missing("echo", "the answer repeats the question")
    return _missing_kind(asked, text) or _missing_part(asked, text) or _missing_name(asked, text, context)


def _is_echo(asked: Asked, text: str) -> bool:
    """Nothing beyond the words of the question; a choice and yes or no may be answered with them."""
    if asked.offers_choice or asked.kind == "polar":
        return False
    if text.endswith("?") and text.count("?") == 1 and "." not in text:
        return True
    said = content_stems(text)
    return bool(said) and said <= stems_of(asked.text)


def _missing_kind(asked: Asked, text: str) -> Missing | None:
    part = asked.parts[0]
    if len(asked.parts) > 1 or part.kind not in CERTAIN or _offers(asked, part, text) is not False:
        return None
    return Missing("kind", f"asks {part.label}, but the answer has no {'date' if part.kind == 'when' else 'number'}")


def _missing_part(asked: Asked, text: str) -> Missing | None:
    if len(asked.parts) < 2:
        return None
    said = stems_of(text)
    named = [set(part.names) for part in asked.parts]
    for at, part in enumerate(asked.parts):
        own = named[at] - set().union(*named[:at], *named[at + 1 :])
        is_silent = own and not any(stems_of(name) <= said for name in own)
        if is_silent and any(stems_of(name) <= said for names in named for name in names - own):
            return Missing("part", f"asks {_count(asked)} things: nothing on {' '.join(sorted(own))}")
        if _offers(asked, part, text) is False:
            return Missing("part", f"asks {_count(asked)} things: nothing on {part.label}")
    return None


def _missing_name(asked: Asked, text: str, context: str) -> Missing | None:
    """None of the question's names is anywhere. One that is missing among others may go by another name."""
    names = asked.names[1:] if asked.opens_with_name else asked.names
    if not names or not context:
        return None
    if len(missing := absent(Words(f"{text} {context}"), names)) < len(names):
        return None
    return Missing("name", f"says nothing of {' '.join(missing[:3])}")


def _offers(asked: Asked, part: Part, text: str) -> bool | None:
    return offers(part.kind, frozenset(token.text for token in tokenize(asked.text)), text)


def _count(asked: Asked) -> str:
    return {2: "two", 3: "three"}.get(len(asked.parts), str(len(asked.parts)))
