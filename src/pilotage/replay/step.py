"""One event as people read it: who did what, and its texts as blocks of items, the same for the page and the export.

A step is plain data: {seq, kind, label, headline, agent, task, at, offset, facts, blocks, meters, …}; a block is
{label, open, items: [{head, text, note, form}]}, and an item whose text was erased has text None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pilotage.errors import figure
from pilotage.record.journal import Event
from pilotage.record.tally import UNPRICED
from pilotage.replay import formats
from pilotage.replay.formats import money
from pilotage.replay.prompts import Prompt, answer_items, item, pretty, read_prompt

KINDS = {
    "run_started": "Run started", "task_started": "Task started", "model_call": "Model call", "tool_call": "Tool call",
    "check": "Check", "decision": "Decision", "code_run": "Code run", "suspicious": "Suspicious text",
    "limit": "Limit", "loop": "Recursive thought", "fallback": "Fallback", "abandoned": "Left behind",
    "alert": "Alert", "task_ended": "Task ended", "run_ended": "Run ended", "session_ended": "Session ended",
    "span": "Span", "grade": "Grade", "round": "Round", "lesson": "Lesson",
}  # fmt: skip
LABELS = {  # names of texts, for people; those that are not here are called by their name
    "question": "Question", "context": "What it was given", "arguments": "Arguments", "result": "Result",
    "error": "Error", "text": "What", "reason": "Why", "output": "Output", "excerpt": "Excerpt", "answer": "Answer",
    "response": "Answer", "evidence": "What was seen", "nudge": "What the agent was told", "input": "Input",
    "claim": "What was said", "told": "What the agent was told", "subject": "About", "why": "Why",
    "attributes": "Attributes", "span_events": "Events of the span", "settings": "Settings", "warnings": "Warnings",
}  # fmt: skip
FOLDED = ("settings", "attributes", "span_events")  # shut until somebody opens them
CAPS = {  # limit: what its meter is called, as the figure of the head is
    "seconds": "Time", "model_calls": "Model calls", "tool_calls": "Tool calls", "tokens": "Tokens", "usd": "Cost",
}  # fmt: skip


def step_json(event: Event, *, before: Event | None = None, started: float) -> dict[str, Any]:
    """What is shown of `event`, which has its texts; `before` is the model call before it of the same agent."""
    facts = event.facts
    return {
        "seq": event.seq, "kind": event.kind, "label": KINDS.get(event.kind, event.kind.replace("_", " ").capitalize()),
        "headline": headline(event), "agent": str(facts.get("agent") or facts.get("who") or ""),
        "task": str(facts.get("task") or ""), "at": event.at, "clock": formats.clock(event.at),
        "offset": round(max(0.0, event.at - started), 4), "after": formats.seconds(max(0.0, event.at - started)),
        "took": formats.seconds(facts["seconds"]) if facts.get("seconds") is not None else "",
        "spent": spent(facts) if event.kind == "model_call" else "",
        "failed": _trouble(event), "facts": [[name, _fact(value)] for name, value in facts.items()],
        "blocks": blocks(event, before), "hash": event.hash, "previous": event.previous,
    }  # fmt: skip


def headline(event: Event) -> str:
    """One line: who did what, and what came of it."""
    facts = event.facts
    who = str(facts.get("agent") or facts.get("who") or "")
    match event.kind:
        case "model_call":
            again = f", attempt {facts['attempt']}" if int(facts.get("attempt") or 1) > 1 else ""
            return f"{who or 'Somebody'} asked {facts.get('model') or 'a model'}{again}{_failed(facts)}{_served(facts)}"
        case "tool_call":
            return f"{who or 'Somebody'} called {facts.get('tool')}{_failed(facts)}{_served(facts)}"
        case "tool_started":
            return f"{who or 'Somebody'} calls {facts.get('tool')}, which changes something"
        case "check":
            return f"The check {facts.get('check')} {'passed' if facts.get('passed') else 'did not pass'}"
        case "decision":
            return f"{who} decided: {facts.get('what')}"
        case "grade":
            about = "answer" if facts.get("of") == "answer" else "claim"
            veto = f" ({facts['veto']})" if facts.get("veto") else ""
            return f"A{'n' if about == 'answer' else ''} {about} of {who} is {facts.get('verdict')}{veto}"
        case "round" if "better" in facts:
            return f"Round {facts.get('number')} {'stands' if facts['better'] else 'is no better than the one before'}"
        case "round":
            return f"Round {facts.get('number')} begins, from {facts.get('to_task')} on"
        case "lesson":
            return f"A lesson was {facts.get('what')}"
        case "task_started" | "task_ended":
            return f"{facts.get('task')}: {who} {'begins' if event.kind == 'task_started' else 'has finished'}"
        case "loop":
            return f"{who} {'was stopped' if facts.get('level') == 'stop' else 'was nudged'}: {facts.get('rule')}"
        case "limit":
            return limit_line(facts)
        case "code_run":
            return f"Code of {who}: {facts.get('outcome')} in {facts.get('sandbox')}"
        case "suspicious":
            return f"Text in {facts.get('source')} reads like an order to a model"
        case "fallback":
            return f"{facts.get('model')} failed, {facts.get('to')} goes on"
        case "answered":
            return f"Answered before, in run {facts.get('of_run')}"
        case "cache":
            return "Not answered before"
        case "abandoned":
            return f"{facts.get('what')} was left behind"
        case "alert":
            value, above = _fact(facts.get("value")), _fact(facts.get("above"))
            return f"{facts.get('rule')}: {facts.get('metric')} {value} against {above}"
        case "run_ended" | "session_ended":
            return f"Outcome: {facts.get('outcome') or 'ended'}"
        case "run_started":
            return "The session begins" if facts.get("origin") == "otlp" else "The run begins"
        case "span":
            return f"{facts.get('name') or facts.get('span_kind') or 'span'}{_failed(facts)}"
        case _:
            return str(facts.get("name") or "")


def limit_line(facts: Mapping[str, Any]) -> str:
    """`tool calls: 60 of 60 (limits.tool_calls)`"""
    name = str(facts.get("limit") or "limit").replace("_", " ")
    of = f": {figure(facts['value'])} of {figure(facts['cap'])}" if _numbers(facts, "value", "cap") else " reached"
    return f"{name}{of}{' (' + str(facts['key']) + ')' if facts.get('key') else ''}"


def spent(facts: Mapping[str, Any]) -> str:
    """`1,200 + 80 tokens · $0.0042 · estimated`; what a call would have used that was not made again"""
    if facts.get("served"):
        saved = money(float(facts.get("saved_usd") or 0))
        return f"{formats.count(int(facts.get('saved_tokens') or 0))} tokens and {saved} saved"
    prompt, completion = int(facts.get("prompt_tokens") or 0), int(facts.get("completion_tokens") or 0)
    cached = f" ({formats.count(facts['cached_tokens'])} cached)" if facts.get("cached_tokens") else ""
    usd = facts.get("usd", UNPRICED)
    cost = UNPRICED if usd == UNPRICED else money(float(usd))
    estimated = " · estimated" if facts.get("estimated") else ""
    return f"{formats.count(prompt)}{cached} + {formats.count(completion)} tokens · {cost}{estimated}"


def is_failure(event: Event) -> bool:
    facts = event.facts
    if event.kind == "check":
        return not facts.get("passed")
    if event.kind == "code_run":
        return facts.get("outcome") != "passed"
    if event.kind == "grade":
        return facts.get("verdict") == "unsupported"
    is_stop = event.kind == "limit" or (event.kind == "loop" and facts.get("level") == "stop")
    return bool(facts.get("failed")) or is_stop


def _trouble(event: Event) -> str:
    """failed · stopped · reached, and nothing for what went well."""
    return {"limit": "reached", "loop": "stopped"}.get(event.kind, "failed") if is_failure(event) else ""


def blocks(event: Event, before: Event | None = None) -> list[dict[str, Any]]:
    """The texts of an event: what matters first, the rest folded."""
    content = dict(event.content)
    made: list[dict[str, Any]] = []
    if event.kind == "model_call":
        made += _prompt_blocks(content, before)
    if event.kind in ("run_ended", "session_ended") and "reason" in content:
        made.append(block("Why", [item(content.pop("reason"))]))
    for name, label, read in (
        ("faults", "What did not hold", _fault), ("because", "Because of", _evidence),
        ("citations", "Citations", _citation), ("unsure", "Unsure", _doubt),
    ):  # fmt: skip
        if name in content:
            made.append(_list_block(label, content.pop(name), read))
    for name, text in content.items():
        if name == "warnings" and text == "[]":
            continue
        items = answer_items(text) if event.kind == "model_call" and name in ("answer", "response") else [pretty(text)]
        made.append(block(LABELS.get(name, name.replace("_", " ").capitalize()), items, is_open=name not in FOLDED))
    earlier = [one for one in made if not one["open"]]
    return [one for one in made if one["open"] and one["items"]] + [one for one in earlier if one["items"]]


def block(label: str, items: Sequence[dict[str, Any]], *, is_open: bool = True) -> dict[str, Any]:
    return {"label": label, "open": is_open, "items": list(items)}


def meters(settings: Mapping[str, Any], used: Sequence[float]) -> list[dict[str, Any]]:
    """Where the run's caps stood: `used` in the order of CAPS; a cap that is not set has no meter."""
    limits = settings.get("engine", {}).get("limits", {}) if isinstance(settings.get("engine"), dict) else {}
    found = []
    for name, value in zip(CAPS, used, strict=True):
        cap = limits.get(name) if isinstance(limits, dict) else None
        if isinstance(cap, int | float) and cap > 0:
            text, share = f"{_amount(name, value)} of {_amount(name, cap)}", round(min(1.0, value / cap), 4)
            found.append({"name": CAPS[name], "share": share, "text": text, "key": f"limits.{name}"})
    return found


def read_settings(event: Event | None) -> dict[str, Any]:
    """The settings that a run was made with; {} when they are not there or were erased."""
    try:
        read = json.loads((event.content.get("settings") if event else None) or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _prompt_blocks(content: dict[str, str | None], before: Event | None) -> list[dict[str, Any]]:
    """The messages that are new since the call before; the earlier ones and the tools offered, folded."""
    if "request" not in content:
        return []
    text = content.pop("request")
    prompt = read_prompt(text)
    if prompt is None:
        return [block("Prompt", [pretty(text)])]
    known = prompt.shared_with(read_prompt(before.content.get("request")) if before else None)
    new = block("New in the prompt" if known else "Prompt", prompt.items[known:])
    earlier = block(f"Earlier in the prompt ({known})", prompt.items[:known], is_open=False)
    return [new, earlier, *_tools_block(prompt)]


def _tools_block(prompt: Prompt) -> list[dict[str, Any]]:
    return [block(f"Tools offered ({len(prompt.tools)})", prompt.tools, is_open=False)] if prompt.tools else []


def _list_block(label: str, text: str | None, read: Any) -> dict[str, Any]:
    """A JSON list of objects as items; anything else as it stands."""
    try:
        rows = json.loads(text) if text is not None else None
    except ValueError:
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return block(label, [pretty(text)])
    return block(label, [read(row) for row in rows])


def _fault(row: Mapping[str, Any]) -> dict[str, Any]:
    return item(str(row.get("text") or ""), head=str(row.get("reason") or ""))


def _evidence(row: Mapping[str, Any]) -> dict[str, Any]:
    return item(str(row.get("quote") or ""), head=str(row.get("source") or ""), note=str(row.get("verdict") or ""))


def _doubt(row: Mapping[str, Any]) -> dict[str, Any]:
    return item(str(row.get("sentence") or ""), head=str(row.get("reason") or ""), note=str(row.get("score") or ""))


def _citation(row: Mapping[str, Any]) -> dict[str, Any]:
    return item(
        str(row.get("quote") or ""), head=f"[{row.get('n')}] {row.get('source')}", note=str(row.get("where") or "")
    )


def _failed(facts: Mapping[str, Any]) -> str:
    if facts.get("denied"):
        return f", denied by {facts['denied']}"
    return ", which failed" if facts.get("failed") else ""


def _served(facts: Mapping[str, Any]) -> str:
    return f", answered from {facts['served']}" if facts.get("served") else ""


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.6f}".rstrip("0").rstrip(".") if abs(value) < 1e9 else f"{value:.6f}".rstrip("0").rstrip(".")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _amount(name: str, value: float) -> str:
    if name == "usd":
        return money(value)
    if name == "seconds":  # 0 s of 5 min
        return formats.seconds(value).removesuffix(" 00 s").removesuffix(" 00 min") if value else "0 s"
    return formats.count(value)


def _numbers(facts: Mapping[str, Any], *names: str) -> bool:
    return all(isinstance(facts.get(name), int | float) for name in names)
