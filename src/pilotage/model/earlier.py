"""What a follow-up question brings along, as it stands in a prompt, and how the built-in reader takes it out again.

What earlier answers found stands in fences: its quotes were written by others. What is not covered: a question that
refers to an earlier one without an English pronoun, and is not short; the reader takes it as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pilotage.checks.results import Finding, Findings
from pilotage.evidence.terms import STOP, terms
from pilotage.guard.fence import EARLIER_ANSWER, fence

HEAD = "Earlier in this conversation, oldest first (what the question may refer to):"
ASKED = "- asked: "
TAIL = (
    "These findings still stand in their sources. Return those that answer the question now, unchanged, and new ones."
)
QUESTION_CHARS = 500  # of an earlier question
FEW, FEW_WITH_A_LINK = 1, 5  # content words up to which a question does not stand for itself
LINKS = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|she|him|her|his|hers|this|that|these|those|there|ones?)\b"
    r"|^\W*(?:and|or|but|so|then|what about|how about)\b",
    re.IGNORECASE,
)


def block(asked: Sequence[str], found: Sequence[Sequence[Finding]], number: str) -> str:
    """The earlier questions and, where there are any, the findings of each answer; `number` is that of the fences."""
    lines = [HEAD]
    for question, findings in zip(asked, found, strict=True):
        lines.append(ASKED + shortened(question))
        if findings:
            text = Findings(findings=list(findings)).model_dump_json()
            lines.append(fence(text, EARLIER_ANSWER, number))
    return "\n".join([*lines, *([TAIL] if any(found) else [])])


def shortened(question: str) -> str:
    """A question on one line, its end left out when it is long."""
    line = " ".join(question.split())
    return line if len(line) <= QUESTION_CHARS else f"{line[:QUESTION_CHARS]}…"


def asked_before(texts: Iterable[str]) -> list[str]:
    """The earlier questions in the prompt, oldest first; [] when it holds no conversation."""
    for text in texts:
        start, _, rest = text.partition(f"{HEAD}\n")
        if rest or start != text:
            lines = rest.partition("\n\n")[0].splitlines()
            return [line.removeprefix(ASKED) for line in lines if line.startswith(ASKED)]
    return []


def complete(question: str, earlier: Sequence[str]) -> str:
    """The question with the content words of the earlier ones that it needs in order to be searched for.

    >>> complete("Why is that?", ["Who owns retries?"])
    'Why is that? owns retries'
    """
    words = content_words(question)
    added: list[str] = []
    for before in [question, *reversed(earlier)]:
        if before is not question:
            added += [word for word in content_words(before) if word not in (*words, *added)]
        if not is_elliptic(before):
            break
    return " ".join([question, *added])


def is_elliptic(question: str) -> bool:
    """Whether a question says too little to be searched for by itself."""
    return len(content_words(question)) <= (FEW_WITH_A_LINK if LINKS.search(question) else FEW)


def content_words(question: str) -> list[str]:
    return [word for word in dict.fromkeys(terms(question)) if word not in STOP]
