"""What a run leaves for people: answer.md and result.json in its folder, and the lines on the terminal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pilotage.errors import figure

if TYPE_CHECKING:
    from pilotage.outcome import Result
    from pilotage.record.journal import Event, Listener


UNFINISHED = ("limited", "failed", "interrupted")
JOINERS = "\u200c\u200d"  # invisible, and letters of some scripts hang on them


def printable(text: str, keep: str = "") -> str:
    """The text without what moves a terminal's cursor, turns its text round or sets its colours.

    Other blanks than a space become one, line ends too unless they are in `keep`.

    >>> printable("red \\x1b[31m, two\\nlines")
    'red ·[31m, two lines'
    """
    return "".join(c if c.isprintable() or c in keep or c in JOINERS else " " if c.isspace() else "·" for c in text)


def one_line(text: str) -> str:
    """The same with blanks of one space, for a line of a list.

    >>> one_line("no\\n  \\x1b[2J way")
    'no ·[2J way'
    """
    return printable(" ".join(text.split()))


def say(text: str = "", stream: TextIO | None = None) -> None:
    """A line on stderr, or on `stream`. That nobody reads it any more is no fault: what follows goes nowhere."""
    stream = sys.stderr if stream is None else stream
    try:
        if stream is not None:  # the process was started without one
            print(text, file=stream, flush=True)
    except UnicodeError:
        raise
    except (BrokenPipeError, ValueError):  # ValueError: it was closed
        discard(stream)
    except OSError:
        if stream is not sys.stderr:  # a full disk loses data on stdout, and only talk on stderr
            raise
        discard(stream)


def discard(stream: TextIO) -> None:
    """Lead a broken stream nowhere, with what is still in its buffer."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def write_files(result: Result, decisions: list[dict[str, Any]], folder: Path) -> None:
    (folder / "result.json").write_text(json.dumps(result.as_json(), ensure_ascii=False, indent=2) + "\n", "utf-8")
    (folder / "answer.md").write_text(markdown(result, decisions), "utf-8")


def markdown(result: Result, decisions: list[dict[str, Any]]) -> str:
    """answer.md: the answer, its sources, and for each sentence the decision event that it rests on."""
    parts = [f"# {' '.join(result.question.split())}", ""]
    parts += [f"*{from_before(result)}; `pilotage run --fresh` asks anew.*", ""] if result.served_from else []
    parts += [marked(result) or f"No answer: {result.reason}.", ""]
    if result.citations:
        parts += ["## Sources", ""]
        parts += [f"{c['n']}. {c['where']} (`{c['source']}`): “{c['quote']}”" for c in result.citations] + [""]
    if result.unsure:
        parts += ["## Unsure", "", "Whether its sources say it could not be told of:", ""]
        parts += [f"- {one['sentence']} ({_doubt(one)})" for one in result.unsure] + [""]
    for task, made in result.results.items():
        if task_text := made.get("text"):
            parts += [f"## {task}", "", f"```{made.get('format', '')}", str(task_text).rstrip(), "```", ""]
        elif "code" not in made:
            parts += [f"## {task}", "", "```json", json.dumps(made, ensure_ascii=False, indent=2), "```", ""]
    if decisions:
        parts += ["## Why each sentence stands here", ""]
        parts += [f"Events of run {result.served_from['run']}:", ""] if result.served_from else []
        for d in decisions:
            cites = "".join(f"[{n}]" for n in d["cites"])
            parts.append(f"- event {d['event']}: {d['sentence']} {cites}")
        parts.append("")
    if result.is_partial:
        parts += ["## Partial: what was found before the run ended, not an answer", ""]
        parts += [f"- “{f['quote']}” (`{f['source']}`)" for f in result.findings] + [""]
    if result.is_partial and result.verdicts:
        parts += ["## Partial: what was verified of it", ""]
        parts += [_verdict(v) for v in result.verdicts] + [""]
    if result.unsupported:
        parts += ["## What did not hold", ""] + [f"- {_fault(f)}" for f in result.unsupported] + [""]
    parts.append(f"{summary(result)}  \nseal: `{result.seal}`; every step: `pilotage show {result.run}`")
    return "\n".join(parts) + "\n"


def marked(result: Result) -> str:
    """The answer, with `(unsure)` behind the citations of each sentence that may not stand in its sources."""
    text = result.answer or ""
    for one in result.unsure:
        stem = re.escape(str(one["sentence"]).rstrip(".!?。！？"))
        text = re.sub(rf"({stem}(?: ?\[\d+\])*)", r"\1 (unsure)", text, count=1)
    return text


def _doubt(one: dict[str, Any]) -> str:
    return f"{one['reason']}, {one['score']:.2f}"


def _verdict(verdict: dict[str, str]) -> str:
    reason = f": {verdict['reason']}" if verdict["reason"] else ""
    return f"- {verdict['verdict']}: {verdict['claim']} (`{verdict['source']}`){reason}"


def _fault(fault: dict[str, str]) -> str:
    return fault["reason"] + (f": {fault['sentence']}" if fault["sentence"] else "")


def summary(result: Result) -> str:
    """`outcome: accepted · 2 citations · 0.4 s · $0.00 · runs/<id>`, the last line of a run."""
    parts = [f"outcome: {result.outcome}"]
    if result.outcome not in ("accepted", "unanswered"):
        parts.append(result.reason)
    if result.citations:
        parts.append(f"{len(result.citations)} citation" + "s" * (len(result.citations) != 1))
    parts += [f"{result.seconds:.1f} s", money(result.usd), f"runs/{result.run}"]
    parts += [f"goes on from {result.parent}"] if result.parent else []
    parts += [from_before(result)] if result.served_from else []
    return " · ".join(parts)


def from_before(result: Result) -> str:
    """`answered on 2026-11-23 by run …, same sources`, of an answer that is given again."""
    origin = result.served_from or {"at": "", "run": ""}
    return f"answered on {origin['at'][:10]} by run {origin['run']}, same sources"


def money(usd: float | None) -> str:
    """$0.00 · $0.0042 · $0.0000752 · unpriced, when nobody knows it"""
    if usd is None:
        return "unpriced"
    if 0 < usd < 0.0001:
        return f"${figure(usd)}"
    return f"${usd:.2f}" if usd == 0 or usd >= 0.01 else f"${usd:.4f}"


def print_result(result: Result, out: TextIO | None = None, err: TextIO | None = None) -> None:
    """The answer with its sources on stdout, the hint on stderr, the outcome as the last line on stdout."""
    out, err = out or sys.stdout, err or sys.stderr
    say("", err)
    if result.answer:
        say(printable(marked(result), "\n\t"), out)
    if result.citations:
        say("", out)
    for c in result.citations:
        say(printable(f"[{c['n']}] {c['where']} ({c['source']})"), out)
    for one in result.unsure:
        say(printable(f"unsure: {one['sentence'][:300]} ({_doubt(one)})"), out)
    for fault in result.unsupported:
        say(printable(f"did not hold: {_fault(fault)[:300]}"), out)
    if result.served_from:
        anew = "`pilotage run --fresh` asks anew (PILOTAGE_CACHE_ANSWERS=false for `crewai run`)"
        say(printable(f"{from_before(result)}; {anew}"), err)
    if result.link:
        say(printable(f"session: {result.link}"), err)
    if result.outcome in UNFINISHED:
        say(printable(f"go on from here, paying for nothing twice: pilotage resume {result.run}"), err)
    if result.hint and result.exit_code:
        say(printable(f"hint: {result.hint}"), err)
    gap = "\n" if result.answer or result.unsupported else ""
    say(gap + printable(summary(result)), out)


def harmless(listener: Listener) -> Listener:
    """The same listener until it raises: who watches a run does not end it."""
    broken: list[Exception] = []

    def listen(event: Event) -> None:
        if broken:
            return
        try:
            listener(event)
        except Exception as error:
            broken.append(error)
            warn([f"a listener failed and hears no more of this run: {type(error).__name__}: {error}"])

    return listen


def progress_lines(err: TextIO | None = None) -> Callable[[Event], None]:
    """A journal listener that prints a plain line on stderr for each step."""
    stream, lines = err or sys.stderr, step_lines()

    def show(event: Event) -> None:
        for line in lines(event):
            say(line, stream)

    return show


def step_lines() -> Callable[[Event], list[str]]:
    """`lines(event)` are the plain lines of an event, with the seconds since the first one; most have one or none."""
    first: list[float] = []

    def lines(event: Event) -> list[str]:
        first.append(event.at) if not first else None
        if event.kind == "run_started":
            return [printable(f"warning: {line}") for line in json.loads(event.content["warnings"] or "[]")]
        line = printable(step_line(event))
        return [f"[{event.at - first[0]:5.1f} s] {line}"] if line else []

    return lines


def step_line(event: Event) -> str:
    """What happened, in a line; "" for what nobody needs to see go by."""
    facts, content = event.facts, event.content
    match event.kind:
        case "task_started":
            return f"{facts['task']}: {facts['agent']}"
        case "tool_call":
            arguments = " ".join((content.get("arguments") or "").split())[:80]
            if facts.get("denied"):
                return f"  {facts['tool']} {arguments} denied by {facts['denied']}"
            if facts.get("failed"):
                took = memory(facts) or _seconds(facts)
                return f"  {facts['tool']} {arguments}{took} {_short(content.get('result'))}"
            return f"  {facts['tool']} {arguments}{memory(facts) or _seconds(facts)}"
        case "suspicious":
            return f"  suspicious text in {facts['source']}, kept as data"
        case "code_run":
            return f"  code: {facts['outcome']} in {facts['sandbox']}{_seconds(facts)}"
        case "model_call" if facts.get("served"):
            return f"  {facts['model']}{memory(facts)}"
        case "model_call" if facts["model"] != "reader":
            tokens = facts["prompt_tokens"] + facts["completion_tokens"]
            again = f" attempt {facts['attempt']}" if facts["attempt"] > 1 else ""
            return f"  {facts['model']}{again} {tokens:,} tokens{_seconds(facts)}{_failed(facts)}"
        case "decision" if facts.get("what") in ("carried", "dropped") and "task" not in facts:
            kept = facts["what"] == "carried"
            return f"  {facts['what']}: {_short(content.get('text'))}" + ("" if kept else f" ({content.get('reason')})")
        case "check" if not facts["passed"]:
            return f"  check {facts['check']} failed"
        case "grade" if facts["verdict"] != "supported":
            return f"  {facts['verdict']}: {_short(content.get('claim'))} ({content.get('reason')})"
        case "round" if "better" in facts:
            return f"round {facts['number']} {'stands' if facts['better'] else 'is no better'}: {content.get('why')}"
        case "round":
            return f"round {facts['number']}, from {facts['to_task']} on: {content.get('why')}"
        case "lesson":
            return f"  lesson {facts['what']}: {_short(content.get('text'))}"
        case "limit" if "key" in facts:
            return f"  limit {facts['key']} reached"
        case "abandoned":
            return f"  {facts['what']} left behind{_seconds(facts)}"
        case "loop":
            return f"  loop: {facts['rule']} of {facts['agent']}, {'stopped' if facts['level'] == 'stop' else 'nudged'}"
        case "fallback":
            return f"  {facts['model']} failed, {facts['to']} goes on"
        case "answered":
            return f"  answered before in run {facts['of_run']}: “{_short(content.get('question'))}”"
        case "cache":
            return f"  not answered before: {_short(content.get('reason'))}"
        case _:
            return ""


def memory(facts: Mapping[str, Any]) -> str:
    """` from tape, 366 tokens and $0.0001 saved`, of a call that was not made again; "" for one that was."""
    if not facts.get("served"):
        return ""
    tokens, usd = facts.get("saved_tokens") or 0, facts.get("saved_usd") or 0.0
    saved = [f"{tokens:,} tokens"] * bool(tokens) + [money(usd)] * bool(usd)
    return f" from {facts['served']}" + (f", {' and '.join(saved)} saved" if saved else "")


def _short(text: str | None) -> str:
    words = " ".join((text or "").split())
    return words if len(words) <= 200 else f"{words[:200]} …"


def _failed(facts: dict[str, Any]) -> str:
    return " failed" if facts.get("failed") else ""


def _seconds(facts: dict[str, Any]) -> str:
    """` 40 ms` · ` 1.5 s` · nothing for what was not run"""
    seconds = facts.get("seconds")
    if seconds is None:
        return ""
    return f" {seconds * 1000:.0f} ms" if seconds < 1 else f" {seconds:.1f} s"


def warn(warnings: list[str], err: TextIO | None = None) -> None:
    for line in warnings:
        say(printable(f"warning: {line}"), err)


def progress_bar() -> Callable[[str, int, int], None]:
    """`progress(what, done, total)` as a bar on a terminal, shown only when the work takes more than a moment."""
    started: dict[str, float] = {}
    bars: dict[str, Any] = {}

    def show(what: str, done: int, total: int) -> None:
        if sys.stderr is None or not sys.stderr.isatty():
            return
        began = started.setdefault(what, time.monotonic())
        if what not in bars and time.monotonic() - began < 0.5:
            return
        if what not in bars:
            bars[what] = _bar(what, total)
        progress, task = bars[what]
        progress.update(task, completed=done, total=total)
        if done >= total:
            progress.stop()
            del bars[what], started[what]

    return show


def _bar(what: str, total: int) -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.start()
    return progress, progress.add_task(what, total=total)
