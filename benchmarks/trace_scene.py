"""What generated traces are made of: a scene (one domain, one random source), events, results, wordings.

The vocabulary stands in trace_domains.yaml. Every choice comes from the scene's own `random.Random`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Event = dict[str, Any]
"""{"agent", "kind": "message", "text"} or {"agent", "kind": "tool", "name", "arguments", "result"}"""

THOUGHTS = (
    "Next I will use {tool}.", "Let me see what {tool} says about {item}.", "I need one more fact about {item}.",
    "Calling {tool} now.", "The {thing} should be in there.", "One step closer; now {tool}.",
    "I will look at it with {tool}.",
    "Good, on to the next step.", "This is needed to {goal}.", "I should be careful with {item} here.",
    "To {goal} I want to see this for myself.", "Now the part that {tool} can answer.",
)  # fmt: skip
NOTES = (
    "Noted: {fact}", "So far: {fact}", "This helps. {fact}", "For the record: {fact}", "What I take from it: {fact}",
    "{fact} That is enough on this point.", "{fact} I keep that in mind for the report.",
)  # fmt: skip
SYNONYMS = {
    "should": ("must", "have to", "need to"), "first": ("at first", "before all else", "to begin with"),
    "cannot": ("can't", "am not able to"), "because": ("since", "as"), "look up": ("check", "find out"),
    "again": ("once more", "one more time"), "know": ("learn", "see"), "the answer": ("an answer", "the reply"),
    "try": ("attempt", "go for"), "information": ("details", "data"), "please": ("kindly", "if you can"),
    "still": ("yet", "so far"), "wait for": ("depend on", "hold for"), "sure": ("certain", "confident"),
}  # fmt: skip
OPENERS = ("", "Okay, ", "Hmm, ", "So, ", "Right, ", "Well, ", "Now, ", "Alright, ")
CLOSERS = ("", "", " Yes.", " That is clear.", " Let me do that.", " Fine.", " Exactly.")


@cache
def domains() -> list[dict[str, Any]]:
    """The domains of trace_domains.yaml, in order."""
    text = (Path(__file__).parent / "trace_domains.yaml").read_text("utf-8")
    return [{"domain": name, **entry} for name, entry in yaml.safe_load(text).items()]


@dataclass(frozen=True)
class Scene:
    """One domain and one random source."""

    rng: random.Random
    domain: dict[str, Any]

    @property
    def agents(self) -> list[str]:
        return list(self.domain["agents"])

    @property
    def key(self) -> str:
        return str(self.domain["key"])

    def tool_name(self, role: str) -> str:
        return str(self.domain["tools"][role])

    def pick(self, choices: Sequence[Any]) -> Any:
        return self.rng.choice(choices)

    def item(self) -> str:
        return str(self.pick(self.domain["items"]))

    def topic(self) -> str:
        return str(self.pick(self.domain["topics"]))

    def codes(self, count: int) -> list[str]:
        """Names of that many different things of the domain's kind."""
        return [self.domain["code"].format(n=n) for n in self.rng.sample(range(1000, 9999), count)]

    def words(self, template: str, **more: Any) -> str:
        return template.format(item=self.item(), thing=self.domain["thing"], goal=self.domain["goal"], **more)

    def fact(self, item: str = "") -> str:
        numbers = {"n": self.rng.randint(2, 98), "m": self.rng.randint(2, 980)}
        text = str(self.pick(self.domain["sentences"])).format(item=item or self.item(), **numbers)
        return text[0].upper() + text[1:]

    def row(self, name: str) -> dict[str, Any]:
        """A record of one thing."""
        fields = {}
        for field, values in self.domain["fields"].items():
            is_range = len(values) == 2 and all(isinstance(value, int) for value in values)
            fields[field] = self.rng.randint(*values) if is_range else self.pick(values)
        return {self.key: name, **fields}

    def result(self, about: str = "") -> str:
        """What a tool returns: prose, JSON or a table."""
        about = about or self.item()
        form = self.rng.random()
        if form < 0.45:
            return " ".join(self.fact(about) for _ in range(self.rng.randint(1, 3)))
        if form < 0.75:
            return json.dumps({**self.row(about), "note": self.fact(about)})
        return self.table([about, *self.codes(self.rng.randint(1, 3))])

    def table(self, names: Sequence[str]) -> str:
        rows = [self.row(name) for name in names]
        lines = [" | ".join(map(str, row.values())) for row in rows]
        return "\n".join([" | ".join(rows[0]), *lines])


def message(agent: str, text: str) -> Event:
    return {"agent": agent, "kind": "message", "text": text}


def tool(agent: str, name: str, arguments: dict[str, Any], result: str) -> Event:
    return {"agent": agent, "kind": "tool", "name": name, "arguments": arguments, "result": result}


def thought(scene: Scene, call: Event) -> Event:
    """What an agent says before a call."""
    text = scene.words(str(scene.pick(THOUGHTS)), tool=call["name"])
    return message(call["agent"], text[0].upper() + text[1:])


def honest_step(scene: Scene, agent: str) -> Event:
    """A step that stands for itself: a note, a reading of something not seen before, a search of its own."""
    kind = scene.rng.random()
    if kind < 0.3:
        return message(agent, str(scene.pick(NOTES)).format(fact=scene.fact()))
    if kind < 0.7:
        code = scene.codes(1)[0]
        return tool(agent, scene.tool_name("read"), {scene.key: code}, scene.result(code))
    query = f"{scene.topic()} {scene.codes(1)[0]}"
    return tool(agent, scene.tool_name("search"), {"query": query}, scene.result())


def opening(scene: Scene, agent: str, most: int) -> list[Event]:
    """0 to `most` honest steps."""
    return [honest_step(scene, agent) for _ in range(scene.rng.randint(0, most))]


def with_thoughts(scene: Scene, events: list[Event]) -> list[Event]:
    """The events, with something said before each call."""
    spoken = []
    for event in events:
        spoken += [thought(scene, event), event] if event["kind"] == "tool" else [event]
    return spoken


def reword(scene: Scene, text: str) -> str:
    """The same said in nearly the same words: one or two words changed, or a word put before or after."""
    present = [words for words in SYNONYMS if words in text]
    for words in scene.rng.sample(present, min(len(present), scene.rng.randint(1, 2))):
        text = text.replace(words, scene.pick(SYNONYMS[words]), 1)
    opener, closer = str(scene.pick(OPENERS)), str(scene.pick(CLOSERS))
    is_kept = not opener or text.startswith("I ")
    return opener + (text[0] if is_kept else text[0].lower()) + text[1:] + closer
