"""What the agents hand to one another: findings, verdicts, the explanation; and how they are read from text."""

from __future__ import annotations

import json
import re
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

Result = TypeVar("Result", bound=BaseModel)
MARKS = re.compile(r"(?:\s*\[\d+(?:\s*,\s*\d+)*\])+")


class Finding(BaseModel):
    """One piece of evidence: what is claimed, the words that prove it, and where they stand."""

    claim: str
    quote: str = Field(description="copied letter by letter from the passage")
    source: str = Field(description="the source id exactly as the tool gave it")


class Findings(BaseModel):
    findings: list[Finding]


class Verdict(BaseModel):
    """The verifier's word on one finding."""

    claim: str
    quote: str
    source: str
    verdict: Literal["supported", "unsupported", "unsure"]
    reason: str


class Verdicts(BaseModel):
    verdicts: list[Verdict]


class Citation(BaseModel):
    """`[n]` in the answer stands for this quote in this source."""

    n: int
    source: str
    quote: str


class Statement(BaseModel):
    """One sentence of the answer."""

    text: str = Field(description="one sentence, without citation marks")
    cites: list[int] = Field(description="the numbers of the citations that prove it, at least one")


class Explanation(BaseModel):
    """The answer, sentence by sentence. A model may also write it as one text with marks, and both are read:

    {"answer": "Retries have one owner [1].", "citations": [{"n": 1, "source": "caps.md#3f9a2c", "quote": "…"}]}
    """

    statements: list[Statement]
    citations: list[Citation]

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("answer"), str) or "statements" in data:
            return data
        rest = {name: value for name, value in data.items() if name != "answer"}
        return rest | {"statements": split_answer(data["answer"])}

    @property
    def answer(self) -> str:
        """The text with its marks; a quoted statement is a paragraph of its own."""
        parts = [(s.text.strip(), "".join(f"[{n}]" for n in s.cites)) for s in self.statements]
        text = "".join(_marked(text, marks) for text, marks in parts if text)
        return re.sub(r"\n{3,}", "\n\n", text).strip()


def split_answer(answer: str) -> list[dict[str, Any]]:
    """A text with marks as statements: what stands before a mark carries it, the rest carries none."""
    statements: list[dict[str, Any]] = []
    start = 0
    for mark in MARKS.finditer(answer):
        text, cites = bare(answer[start : mark.start()]), [int(n) for n in re.findall(r"\d+", mark.group())]
        if text:
            statements.append({"text": text, "cites": cites})
        elif statements:  # a mark behind the full stop
            statements[-1]["cites"] += cites
        start = mark.end()
    rest = bare(answer[start:])
    return statements + ([{"text": rest, "cites": []}] if rest else [])


def bare(text: str) -> str:
    """Without the white space, bullets and stray full stops that surround a mark; "" when no word is left."""
    stripped = text.strip().lstrip("-*•").lstrip(".,;: \n")
    return stripped.strip() if re.search(r"\w", stripped) else ""


def _marked(text: str, marks: str) -> str:
    if text.startswith("“"):
        return f"\n\n{text} {marks}".rstrip() + "\n\n"
    end = text[-1] if text[-1] in ".!?。！？" else ""
    return f"{text[: len(text) - len(end)]} {marks}".rstrip() + (end or ".") + " "


TYPES: dict[str, type[BaseModel]] = {"Findings": Findings, "Verdicts": Verdicts, "Explanation": Explanation}


def parse(text: str, kind: type[Result]) -> Result:
    """The first JSON object in `text` that is a `kind`, be it bare, fenced or between words.

    Raises ValueError that says what was wrong with the last candidate.
    """
    decoder, problem, start = json.JSONDecoder(strict=False), "there is no JSON object in it", text.find("{")
    while start >= 0:
        try:
            candidate, _ = decoder.raw_decode(text, start)
            return kind.model_validate(candidate)
        except json.JSONDecodeError as error:
            problem = f"its JSON is broken ({error.msg})"
        except ValidationError as error:
            problem = _first(error.errors()[0])
        start = text.find("{", start + 1)
    raise ValueError(problem)


def _first(fault: Any) -> str:
    return f"{'.'.join(str(part) for part in fault['loc']) or 'it'}: {fault['msg']}"
