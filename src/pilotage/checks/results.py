"""What the agents hand to one another: findings, verdicts, the explanation; and how they are read from text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import sentencex
from pydantic import BaseModel, Field, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pilotage.checks.fences import Fence, fences, unfenced, without
from pilotage.checks.verbatim import stands_in

Result = TypeVar("Result", bound=BaseModel)
QUOTED_WHOLE = re.compile(r'(?:“[^”]*”|„[^“”]*[“”]|"[^"]*"|«[^»]*»|「[^」]*」|『[^』]*』)[.。]?')
PYTHON = ("", "python", "python3", "py")  # what a fence of code may be called
FORMATS = {"json": "json", "csv": "csv", "yaml": "yaml", "yml": "yaml"}
MARKS = re.compile(r"(?:(?<!\s)\s*\[\d+(?:\s*,\s*\d+)*\])+")


class Typed(BaseModel):
    """A type of answer. Its JSON Schema goes to the model with each call: docstrings and titles stay at home."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        whole = handler.resolve_ref_schema(schema)
        for part in (whole, *whole.get("properties", {}).values()):
            part.pop("title", None)
        whole.pop("description", None)
        return schema


class Finding(Typed):
    """One piece of evidence: what is claimed, the words that prove it, and where they stand."""

    claim: str
    quote: str = Field(description="copied letter by letter from the passage")
    source: str = Field(description="the source id exactly as the tool gave it")


class Findings(Typed):
    findings: list[Finding]


class Verdict(Typed):
    """The verifier's word on one finding."""

    claim: str
    quote: str
    source: str
    verdict: Literal["supported", "unsupported", "unsure"]
    reason: str


class Verdicts(Typed):
    verdicts: list[Verdict]


def supported(verdicts: Verdicts) -> Verdicts:
    """What an explanation may use: the supported verdicts, without their reasons."""
    kept = [v.model_copy(update={"reason": ""}) for v in verdicts.verdicts if v.verdict == "supported"]
    return Verdicts(verdicts=kept)


class Citation(Typed):
    """`[n]` in the answer stands for this quote in this source."""

    n: int
    source: str
    quote: str


class Statement(Typed):
    """One sentence of the answer."""

    text: str = Field(description="one sentence, without citation marks")
    cites: list[int] = Field(description="the numbers of the citations that prove it, at least one")


class Explanation(Typed):
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
        try:
            quotes = {c.n: c.quote for c in map(Citation.model_validate, data.get("citations", []))}
        except (TypeError, ValidationError):
            return data
        return rest | {"statements": split_answer(data["answer"], quotes)}

    @property
    def answer(self) -> str:
        """The text with its marks; a quoted stretch is a paragraph of its own."""
        text = "".join(_marked(sentence) for sentence in self.sentences())
        return re.sub(r"\n{3,}", "\n\n", text).strip()

    def sentences(self) -> list[Sentence]:
        """Each sentence with what it cites; several sentences quoted as one stretch stay together."""
        quotes, found = {c.n: c.quote for c in self.citations}, []
        for statement in self.statements:
            marked = [int(n) for mark in MARKS.findall(statement.text) for n in re.findall(r"\d+", mark)]
            cites = tuple(dict.fromkeys([*statement.cites, *marked]))
            text = bare(MARKS.sub("", statement.text))
            copied = _between_marks(text) and any(stands_in(text[1:-1], quotes[n]) for n in cites if n in quotes)
            found += [Sentence(part, cites) for part in ([text] if copied else pieces(text))]
        return found


class Solution(Explanation):
    """An explanation with a program. The check `code` runs it, with its tests, before it is accepted."""

    code: str = Field(default="", description="Python, without a fence; empty when the question asks for none")
    tests: str = Field(default="", description="assert statements or test functions for it")

    @model_validator(mode="before")
    @classmethod
    def _take_code_out(cls, data: Any) -> Any:
        """Code that a model wrote into its text is code, no sentence."""
        if not isinstance(data, dict):
            return data
        found = _Programs()
        data = {
            name: found.outside(value) if name in ("answer", "statements") else value for name, value in data.items()
        }
        for name, blocks in (("code", found.code), ("tests", found.tests)):
            given = data.get(name) or ""
            if isinstance(given, str):
                given = unfenced(given)
                new = [block for block in blocks if f"\n{block}\n" not in f"\n{given}\n"]
                data[name] = "\n\n".join(filter(None, [given, *new]))
        return data

    @property
    def answer(self) -> str:
        """The text and the program; "" without a sentence, as a program alone cites nothing."""
        text, code = super().answer, self.code.strip()
        mark = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
        return f"{text}\n\n{mark}python\n{code}\n{mark}" if text and code else text


@dataclass
class _Programs:
    """The Python that stood in fences of a text, and the tests among it."""

    code: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)

    def outside(self, value: Any) -> Any:
        """A text, or statements, without the fenced Python, which is kept here."""
        if isinstance(value, str):
            return without(value, self._take)
        if not isinstance(value, list):
            return value
        return [item | {"text": self.outside(item.get("text"))} if isinstance(item, dict) else item for item in value]

    def _take(self, fence: Fence) -> bool:
        if fence.language in PYTHON:
            (self.tests if {"test", "tests"}.intersection(fence.words) else self.code).append(fence.body)
        return fence.language in PYTHON


class Data(Typed):
    """Rows or a record as text. The check `data` holds it against the schema that the task names."""

    format: Literal["json", "csv", "yaml"]
    text: str = Field(description="the data itself, without a fence")

    @model_validator(mode="before")
    @classmethod
    def _read_loosely(cls, data: Any) -> Any:
        """`JSON` and `yml` are read, a fence around the text goes, and JSON may stand as it is instead of as text."""
        if not isinstance(data, dict) or not isinstance(data.get("format"), str):
            return data
        name, text = data["format"].strip().lower(), data.get("text")
        if name == "json" and isinstance(text, dict | list):
            text = json.dumps(text, ensure_ascii=False)
        return data | {"format": FORMATS.get(name, name), "text": unfenced(text) if isinstance(text, str) else text}


@dataclass(frozen=True)
class Sentence:
    """One sentence of an answer and the citations it carries."""

    text: str
    cites: tuple[int, ...]


def split_answer(answer: str, quotes: Mapping[int, str]) -> list[dict[str, Any]]:
    """A text with marks as statements: the sentence before a mark carries it, or all that is its quote."""
    statements: list[dict[str, Any]] = []
    start = 0
    for mark in MARKS.finditer(answer):
        stretch, cites = bare(answer[start : mark.start()]), [int(n) for n in re.findall(r"\d+", mark.group())]
        copied = stretch and any(stands_in(stretch, quotes[n]) for n in cites if n in quotes)
        statements += [{"text": text, "cites": []} for text in ([stretch] if copied else pieces(stretch))]
        if statements:  # with nothing before it, the mark stands behind the full stop
            statements[-1]["cites"] += cites
        start = mark.end()
    return statements + [{"text": text, "cites": []} for text in pieces(answer[start:])]


def pieces(text: str) -> list[str]:
    """The sentences of a text; a text that is one quoted stretch is one piece."""
    whole = bare(text)
    if QUOTED_WHOLE.fullmatch(whole):
        return [whole]
    return [part for piece in sentencex.segment("en", whole) if (part := bare(piece))]


def bare(text: str) -> str:
    """Without the white space, bullets and stray full stops that surround a mark; "" when no word is left."""
    stripped = re.sub(r"^[-*•]\s+", "", text.strip()).lstrip(".,;:。 \n")
    return stripped.strip() if re.search(r"\w", stripped) else ""


def _between_marks(text: str) -> bool:
    """Whether a text begins and ends with a quotation mark."""
    return text[:1] in tuple('“„"«「『') and text[-1:] in tuple('”“"»」』')


def _marked(sentence: Sentence) -> str:
    text, marks = sentence.text, "".join(f"[{n}]" for n in sentence.cites)
    if _between_marks(text):
        return f"\n\n{text} {marks}".rstrip() + "\n\n"
    end = text[-1] if text[-1] in ".!?。！？" else ""
    return f"{text[: len(text) - len(end)]} {marks}".rstrip() + (end or ".") + " "


TYPES: dict[str, type[BaseModel]] = {kind.__name__: kind for kind in (Findings, Verdicts, Explanation, Solution, Data)}


def parse(text: str, kind: type[Result]) -> Result:
    """The last JSON object in `text` that is a `kind`, be it bare, fenced, between words or behind a repeated form.

    Data may also stand as it is in a fence that names its format. Raises ValueError that says what was wrong with the
    last candidate.
    """
    decoder, problem, found = json.JSONDecoder(strict=False), "there is no JSON object in it", None
    start, judged = text.find("{"), 0
    while start >= 0:
        end = start + 1
        try:
            candidate, after = decoder.raw_decode(text, start)
            found, end = kind.model_validate(candidate), after
        except json.JSONDecodeError as error:
            problem = problem if start < judged else f"its JSON is broken ({error.msg})"
        except RecursionError:
            problem, end = "its JSON is nested too deep", len(text)
        except ValidationError as error:
            if start >= judged:  # what is wrong with an inner part is not what is wrong with the whole
                problem, judged = _first(error.errors()[0]), after
        start = text.find("{", end)
    if found is None and issubclass(kind, Data):
        found = _fenced_data(text, kind)
    if found is None:
        raise ValueError(problem)
    return found


def _fenced_data(text: str, kind: type[Result]) -> Result | None:
    """The last fence that names a format of data."""
    named = [fence for fence in fences(text) if fence.language in FORMATS]
    return kind.model_validate({"format": named[-1].language, "text": named[-1].body}) if named else None


def _first(fault: Any) -> str:
    return f"{'.'.join(str(part) for part in fault['loc']) or 'it'}: {fault['msg']}"
