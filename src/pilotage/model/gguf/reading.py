"""A request as a small model reads it best, and what of it may be quoted.

A search comes as its best quotes, a source as its sentences, both without scores and marks; findings and verdicts come
as a numbered list; a tool call as the JSON that the model wrote. What is not covered: a result of more than
MOST_CHARS, of which the sentences stay that share the most words with the task.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotage.evidence.hits import WORTH, quoted
from pilotage.evidence.sentences import sentences
from pilotage.evidence.terms import STOP, terms
from pilotage.guard.fence import NO_SOURCES, fence, suspects, unfence
from pilotage.model.earlier import asked_before
from pilotage.prompts import LocalPrompts, fill

MOST_CHARS = 3000  # of the result of one call, about 750 tokens: ten seconds on two cores
MOST_QUOTES, SURE_QUOTES = 8, 3  # of one search; beyond the sure ones only those whose score comes near the best
URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
SOURCE = re.compile(r"[^\s\"'<>()\[\],:“”]+#[0-9a-f]{6,}(?:@\d+)?")  # an id, such as caps.md#3f9a2c
_HEAD = re.compile(r"\A<<<data ([0-9a-f]+) from ([^\n]*)>>>\n")
_FENCED = re.compile(r"<<<data ([0-9a-f]+) from ([^\n]*)>>>\n(.*?)\n<<<end \1>>>", re.DOTALL)
_LISTED = re.compile(r'\{\s*"(?:findings|verdicts)"\s*:')

Message = dict[str, str]


@dataclass
class Request:
    """The messages as the model gets them, and what they hold.

    `quotes` are the sentences that were shown, by the id of their source, and `scores` what a search gave to them
    (under 0 for those of a text: the more words they share with the task, the nearer to 0);
    `texts` the sources that were read, `places` what stands above them; `calls` the tools that were called, and with
    what; `findings` and `verdicts` the newest list that was handed over, `handed` tells of an empty one; `asked_before`
    the questions that this one follows; `sources` and `urls` all that are named.
    """

    messages: list[Message] = field(default_factory=list)
    quotes: dict[str, list[str]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    scores: dict[tuple[str, str], float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    asked_before: list[str] = field(default_factory=list)
    handed: bool = False
    looked: bool = False  # whether a tool has answered

    def add(self, source: str, quotes: Iterable[str]) -> None:
        """Let these be quoted, but for those that read like orders: they are shown, and not copied."""
        known = self.quotes.setdefault(source, [])
        new = [quote for quote in dict.fromkeys(quotes) if quote.strip() and quote not in known]
        known += [quote for quote in new if not suspects(quote)]


def read(
    messages: str | Sequence[Mapping[str, Any]], prompts: LocalPrompts, fields: Iterable[str] = ()
) -> Request:  # fmt: skip
    """CrewAI's messages in short. Those of one role that follow each other become one: some templates want it so.

    `fields` are those of the result: an example of it is left out, as a small model copies it.
    """
    given = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    words = frozenset(terms(" ".join(str(m.get("content") or "") for m in given if m["role"] == "user"))) - STOP
    asked = asked_before(str(m.get("content") or "") for m in given if m["role"] == "user")
    request = Request(asked_before=asked)
    for message in given:
        role, text = _turn(message, request, words, prompts)
        text = without_example(text, frozenset(fields)) if message["role"] == "user" else text
        request.urls += [url for url in URL.findall(text) if url not in request.urls]
        named = [*SOURCE.findall(text), *request.quotes]
        request.sources = list(dict.fromkeys([*request.sources, *named]))
        if request.messages and request.messages[-1]["role"] == role:
            request.messages[-1]["content"] += f"\n\n{text}"
        else:
            request.messages.append({"role": role, "content": text})
    if request.messages and request.messages[-1]["role"] == "assistant":
        request.messages[-1]["role"] = "user"  # llama.cpp would go on writing it
    return request


def _turn(
    message: Mapping[str, Any], request: Request, words: frozenset[str], prompts: LocalPrompts
) -> tuple[str, str]:  # fmt: skip
    role, text = str(message["role"]), str(message.get("content") or "")
    if role == "tool":
        request.looked = True
        head = fill(prompts.result, tool=str(message.get("name") or "the tool"))
        return "user", f"{head}\n{_result(text, request, words)}"
    if role == "assistant" and message.get("tool_calls"):
        called = [_called(call) for call in message["tool_calls"]]
        request.calls += called
        return role, "\n".join(as_call(name, arguments) for name, arguments in called)
    return role, _handed_over(text, request) if role == "user" else text


def without_example(text: str, fields: frozenset[str]) -> str:
    """The text with the names alone of the first object that has just these fields.

    >>> without_example('JSON of the form {"answer": "..."} alone', frozenset(["answer"]))
    'JSON of the form {"answer": …} alone'
    """
    decoder, start = json.JSONDecoder(strict=False), text.find("{") if fields else -1
    while start >= 0:
        try:
            found, end = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            found, end = None, start + 1
        if isinstance(found, dict) and found.keys() == fields:
            names = ", ".join(f'"{name}": …' for name in found)
            return f"{text[:start]}{{{names}}}{text[end:]}"
        start = text.find("{", end)
    return text


def as_call(name: str, arguments: Mapping[str, Any]) -> str:
    """A call of a tool as the model writes it."""
    return json.dumps({"tool": name, "arguments": arguments}, ensure_ascii=False)


def _called(call: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    function = call.get("function", call)
    given = function.get("arguments") or {}
    try:
        arguments = json.loads(given) if isinstance(given, str) else given
    except json.JSONDecodeError:
        arguments = {}
    return str(function.get("name")), arguments if isinstance(arguments, dict) else {}


# --- what tools returned


def _result(text: str, request: Request, words: frozenset[str]) -> str:
    """The result of a call in lines, between its marks if it had any."""
    inner = unfence(text)
    try:
        told = json.loads(inner)
    except json.JSONDecodeError:
        told = None
    lines = list(_lines(told, request, words)) if isinstance(told, dict) else []
    shown = "\n".join(lines) if lines else _cut(inner)
    head = _HEAD.match(text.strip())
    return fence(shown, head[2], head[1]) if head else shown


def _lines(told: dict[str, Any], request: Request, words: frozenset[str]) -> Iterator[str]:
    entries = told.get("passages") if isinstance(told.get("passages"), list) else [told]
    shown = _best(_quotes_of(entries or [], words))
    for entry in entries or []:
        source = str(entry.get("source") or "")
        if source:
            request.places[source] = str(entry.get("where") or entry.get("title") or "")
            request.texts |= {source: str(entry["text"])} if entry.get("text") else {}
        if source and (kept := shown.get(source)):
            request.add(source, [quote.text for quote in kept])
            request.scores |= {(source, quote.text): quote.score for quote in kept}
            yield f"[{source}] {entry.get('where') or ''}".rstrip()
            yield from (f"- {' '.join(quote.text.split())}" for quote in kept)
    known = {"passages", "source", "where", "title", "text", "sha256", "read_at", "quotes", "quote", "score"}
    for name, value in told.items():
        if name not in known:
            yield _cut(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


@dataclass(frozen=True)
class _Quote:
    source: str
    text: str
    score: float
    at: int


def _quotes_of(entries: Sequence[Any], words: frozenset[str]) -> list[_Quote]:
    """What of the entries may be quoted; a search has its scores, of a text each sentence is scored by its words."""
    found: list[_Quote] = []
    for entry in entries:
        if not isinstance(entry, dict) or not entry.get("source"):
            continue
        scored = list(quoted(entry)) if entry.get("quotes") or ("quote" in entry and "score" in entry) else None
        text = str(entry.get("text") or "")
        pairs = scored or [(text[a:b], len(words.intersection(terms(text[a:b]))) - 1e3) for a, b in sentences(text)]
        found += [_Quote(str(entry["source"]), q, score, len(found) + n) for n, (q, score) in enumerate(pairs)]
    return found


def _best(found: Sequence[_Quote]) -> dict[str, list[_Quote]]:
    """By source, those that fit: the quotes of a search best first, the sentences of a text in their order."""
    kept: list[_Quote] = []
    room, searched, near = MOST_CHARS, 0, WORTH * max((quote.score for quote in found), default=0)
    for quote in sorted(found, key=lambda q: (-q.score, q.at)):
        is_hit = quote.score >= 0
        most = MOST_QUOTES if quote.score >= near else SURE_QUOTES
        if len(quote.text) <= room and not (is_hit and searched >= most):
            kept.append(quote)
            room, searched = room - len(quote.text), searched + is_hit
    best: dict[str, list[_Quote]] = {}
    for quote in sorted(kept, key=lambda q: (-q.score, q.at) if q.score >= 0 else (1.0, q.at)):
        best.setdefault(quote.source, []).append(quote)
    return best


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]}… ({len(text):,} characters)"


# --- what a task was handed


def _handed_over(text: str, request: Request) -> str:
    """The prompt of a task with its findings and verdicts as numbered lists; what stands in fences may be quoted."""
    for _, source, inner in _FENCED.findall(text):
        if source not in NO_SOURCES and not _LISTED.search(inner):
            request.add(source, (inner[a:b] for a, b in sentences(inner)))
    decoder, parts, end = json.JSONDecoder(strict=False), [], 0
    for match in _LISTED.finditer(text):
        try:
            told, after = decoder.raw_decode(text, match.start())
            listed = _listed(told, request)
        except (json.JSONDecodeError, RecursionError, AttributeError, KeyError, TypeError):
            continue  # the form of an answer, or a broken one
        if listed and match.start() >= end:
            parts += [text[end : match.start()], listed]
            end = after
    return "".join([*parts, text[end:]])


def _listed(told: dict[str, Any], request: Request) -> str:
    """The items as a numbered list; "" for the form of an answer, whose quotes are dots."""
    kind = "findings" if "findings" in told else "verdicts"
    request.handed = request.handed or not told[kind]
    items = [item for item in told[kind] if item["quote"].strip(". …")]
    if not items or any(not isinstance(item["source"], str) for item in items):
        return ""
    for item in items:
        request.add(item["source"], [item["quote"]])
    setattr(request, kind, items)
    return "\n".join(_item(number, item) for number, item in enumerate(items, 1))


def _item(number: int, item: Mapping[str, Any]) -> str:
    claim, quote = " ".join(str(item["claim"]).split()), " ".join(item["quote"].split())
    said = f"claim: {claim}\n    quote: “{quote}”" if claim != quote else f"“{quote}”"
    return f"[{number}] {said}\n    source: {item['source']}"
