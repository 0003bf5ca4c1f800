"""Published loop rules, written from their descriptions, to compare with.

Each is a function from the events of a trace to the index of the step at which it would stop, or None. They are of the
kind that OpenHands, Gemini CLI, Cline and CrewAI use; none is that project's code, and what those projects do besides
(a second opinion by a model, a recovery turn, a warning) is not covered.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable
from typing import Any

Event = dict[str, Any]
Rule = Callable[[list[Event]], int | None]

WINDOW = 20  # events that the first rule looks back on
CHUNK, CHUNKS, HISTORY, GAP = 50, 10, 5000, 250  # characters, repetitions, characters kept, mean characters between
ERROR = re.compile(
    r"(?i:\b\w*error\b|exception|traceback|refused|denied|forbidden|unauthori[sz]ed|unavailable|exit code [1-9])"
    r"|^(?:HTTP )?[45]\d\d [A-Z]",
)
STRUCTURE = re.compile(r"\s*(?:\||[*+-] |\d+\. |#+ |> )")  # table, list, heading, quotation
RULE = re.compile(r"\s*[-=*_+]{3,}\s*$")


def repeat_in_window(events: list[Event]) -> int | None:
    """4 times the same step with the same result or in an error in 20 events, 3 equal messages, or A-B over 6."""
    window: deque[Hashable] = deque(maxlen=WINDOW)
    failed: deque[Hashable] = deque(maxlen=WINDOW)
    for index, event in enumerate(events):
        step = _step(event)
        window.append(step)
        failed.append(_call(event) if event["kind"] == "tool" and ERROR.search(event["result"]) else None)
        last = list(window)
        if event["kind"] == "tool" and (last.count(step) >= 4 or (failed[-1] and failed.count(failed[-1]) > 3)):
            return index
        if event["kind"] == "message" and len(last) >= 3 and len(set(last[-3:])) == 1:
            return index
        if len(last) >= 6 and last[-1] != last[-2] and last[-6:] == last[-2:] * 3:
            return index
    return None


def cycles(events: list[Event]) -> int | None:
    """Any cycle of 1 to 5 calls 5 times in a row, or the same 50 characters of messages 10 times."""
    calls: list[str] = []
    said = _Chunks()
    for index, event in enumerate(events):
        if event["kind"] == "message":
            if said.repeat(event["text"]):
                return index
            continue
        text = event["name"] + json.dumps(event["arguments"], ensure_ascii=False)
        calls.append(hashlib.sha256(text.encode()).hexdigest())
        if any(len(calls) >= 5 * n and calls[-5 * n :] == calls[-n:] * 5 for n in range(1, 6)):
            return index
    return None


def consecutive(events: list[Event]) -> int | None:
    """5 equal calls after one another, the order of the arguments' keys aside; a warning at 3 does not stop."""
    last, count = None, 0
    for index, event in enumerate(events):
        if event["kind"] != "tool":
            continue
        call = _call(event)
        count = count + 1 if call == last else 1
        last = call
        if count == 5:
            return index
    return None


def same_call_and_result(events: list[Event]) -> int | None:
    """5 calls with the same arguments and the same result anywhere in the run."""
    seen: Counter[Hashable] = Counter()
    for index, event in enumerate(events):
        if event["kind"] == "tool":
            seen[_step(event)] += 1
            if seen[_step(event)] == 5:
                return index
    return None


class _Chunks:
    """The last characters of all messages, and where each chunk of them began. Lists, tables and code start anew."""

    def __init__(self) -> None:
        self.text, self.is_code = "", False
        self.starts: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=CHUNKS))

    def repeat(self, text: str) -> bool:
        """Whether `text` brings a chunk to its tenth repetition within the characters that are kept."""
        return any(self._line(line) for line in text.splitlines(keepends=True))

    def _line(self, line: str) -> bool:
        is_fence = line.lstrip().startswith("```")
        self.is_code ^= is_fence
        if is_fence or STRUCTURE.match(line) or RULE.match(line):
            self.text = ""
            self.starts.clear()
        if is_fence or self.is_code or RULE.match(line):
            return False
        first = max(len(self.text) - CHUNK + 1, 0)
        self.text += line
        places = range(first, len(self.text) - CHUNK + 1)
        return any(self._chunk(self.text[place : place + CHUNK], place) for place in places)

    def _chunk(self, chunk: str, place: int) -> bool:
        starts = self.starts[chunk]
        starts.append(place)
        span = starts[-1] - starts[0]
        return len(starts) == CHUNKS and span <= HISTORY and span / (CHUNKS - 1) <= GAP


def _call(event: Event) -> Hashable:
    return (event["name"], json.dumps(event["arguments"], sort_keys=True, ensure_ascii=False))


def _step(event: Event) -> Hashable:
    if event["kind"] == "message":
        return (event["agent"], event["text"])
    return (event["agent"], _call(event), event["result"])


RULES: dict[str, Rule] = {
    "×4 in a window of 20, A-B over 6 (OpenHands' kind)": repeat_in_window,
    "cycles of 1–5, ×5 (Gemini CLI's kind)": cycles,
    "5 consecutive identical (Cline's kind)": consecutive,
    "×5 with the same result (CrewAI's own)": same_call_and_result,
}
