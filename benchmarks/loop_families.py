"""The families of generated loops: each function writes the repetitions of one loop, as rounds of events.

What is not covered: loops that only a reader could recognise, such as two plans that mean the same in other words.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loop_phrases import ABOUT, COMPLAINTS, DITHERING, FRESH, NOTHING, PING_PONG, PROMISES
from trace_scene import Event, Scene, message, reword, tool


@dataclass(frozen=True)
class Loop:
    """The rounds of a loop; round `fifth` is the fifth repetition of the first."""

    rounds: list[list[Event]]
    fifth: int = 5
    may_stray: bool = True


SHORTEST, LONGEST = 15, 30  # steps of a loop


def _times(scene: Scene, steps: int = 1) -> int:
    return max(8, -(-scene.rng.randint(SHORTEST, LONGEST) // steps))


def _call(scene: Scene) -> tuple[str, dict[str, Any], str]:
    """A call with its result: tool, arguments, result."""
    if scene.rng.random() < 0.5:
        return scene.tool_name("search"), {"query": scene.topic()}, scene.result()
    item = scene.item()
    return scene.tool_name("read"), {scene.key: item}, scene.result(item)


def _search(scene: Scene, queries: list[str], **more: Any) -> Loop:
    """The same tool asked all these, with one result."""
    name, result = scene.tool_name("search"), scene.result()
    return Loop([[tool(scene.agents[0], name, {"query": query, **more}, result)] for query in queries])


def _unlike_last(scene: Scene, forms: Callable[[], str], times: int) -> list[str]:
    """That many texts, none the same as the one before."""
    made = [forms()]
    while len(made) < times:
        if (form := forms()) != made[-1]:
            made.append(form)
    return made


def exact(scene: Scene, _number: int) -> Loop:
    name, arguments, result = _call(scene)
    return Loop([[tool(scene.agents[0], name, arguments, result)] for _ in range(_times(scene))])


def case(scene: Scene, _number: int) -> Loop:
    topic = scene.topic()

    def form() -> str:
        forms = (str.lower, str.upper, str.title, str.capitalize, str.swapcase)
        return " ".join(scene.pick(forms)(word) for word in topic.split())

    return _search(scene, _unlike_last(scene, form, _times(scene)))


def space(scene: Scene, _number: int) -> Loop:
    words = scene.topic().split()

    def form() -> str:
        gaps = [scene.pick((" ", " ", "  ", "   ", "\t", "\n", " \u00a0")) for _ in words[1:]]
        inner = "".join(itertools.chain.from_iterable(zip(words, [*gaps, ""], strict=True)))
        return str(scene.pick(("", " ", "  ", "\n"))) + inner + str(scene.pick(("", " ", "\n")))

    return _search(scene, _unlike_last(scene, form, _times(scene)))


def shuffled_keys(scene: Scene, _number: int) -> Loop:
    arguments = {"query": scene.topic(), "limit": scene.rng.randint(3, 20), **scene.row(scene.item())}
    name, result = scene.tool_name("search"), scene.result()
    rounds = []
    for _ in range(_times(scene)):
        keys = list(arguments)
        scene.rng.shuffle(keys)
        rounds.append([tool(scene.agents[0], name, {key: arguments[key] for key in keys}, result)])
    return Loop(rounds)


def number_format(scene: Scene, number: int) -> Loop:
    value = scene.rng.randint(1, 90) * 100 + 1000
    forms = [value, float(value), str(value), f"{value:,}", f"{value}.0", f"{value:,}.00"]
    picked = scene.rng.choices(forms, k=_times(scene))
    if number % 2:
        return _search(scene, [f"{scene.domain['items'][0]} above {form}" for form in picked])
    name, result, item = scene.tool_name("read"), scene.result(), scene.item()
    return Loop([[tool(scene.agents[0], name, {scene.key: item, "limit": form}, result)] for form in picked])


def growing_counter(scene: Scene, number: int) -> Loop:
    topic, times = scene.topic(), range(1, _times(scene) + 1)
    if number % 3 == 0:
        name, result = scene.tool_name("list"), scene.table(scene.codes(4))
        key = scene.pick(("page", "attempt", "offset"))
        return Loop([[tool(scene.agents[0], name, {"filter": topic, key: n}, result)] for n in times])
    form = scene.pick(("{t} {n}", "{t} (attempt {n})", "{t} #{n}", "try {n}: {t}", "{t} v{n}"))
    return _search(scene, [form.format(t=topic, n=n) for n in times])


def volatile_result(scene: Scene, number: int) -> Loop:
    name, arguments, result = _call(scene)
    rounds = []
    start = scene.rng.randint(0, 20)
    for n in range(_times(scene)):
        minutes = start + n
        stamp = f"2026-03-{number + 1:02d}T{9 + minutes // 60:02d}:{minutes % 60:02d}:{scene.rng.randint(0, 59):02d}Z"
        request = f"{scene.rng.getrandbits(64):016x}"
        took = f"{scene.rng.uniform(0.05, 3):.3f}"
        shown = (
            f"{result}\nRetrieved at {stamp}", f"{result} (took {took} s)", f"[{stamp}] {result}",
            json.dumps({"request_id": request, "data": result}), f"{result}\nrequest id {request}",
            json.dumps({"elapsed_ms": float(took) * 1000, "timestamp": stamp, "data": result}),
        )[number % 6]  # fmt: skip
        rounds.append([tool(scene.agents[0], name, arguments, shown)])
    return Loop(rounds)


def near_words(scene: Scene, number: int) -> Loop:
    topic = scene.topic()

    def form() -> str:
        words = [*topic.split(), scene.pick(FRESH)]
        if number % 2:
            scene.rng.shuffle(words)
        return " ".join([*words, scene.pick(ABOUT)] if scene.rng.random() < 0.4 else words)

    return _search(scene, _unlike_last(scene, form, _times(scene)))


def cycle(length: int) -> Callable[[Scene, int], Loop]:
    """Different calls in turn, each with an unchanged result."""

    def make(scene: Scene, _number: int) -> Loop:
        items = scene.rng.sample(scene.domain["items"], length)
        roles = scene.rng.sample(("read", "check", "list", "search", "job"), length)
        agent = scene.agents[0]
        calls = [
            tool(agent, scene.tool_name(role), {"query" if role == "search" else scene.key: item}, scene.result(item))
            for role, item in zip(roles, items, strict=True)
        ]
        return Loop([[dict(call) for call in calls] for _ in range(_times(scene, length))])

    return make


def ping_pong(scene: Scene, number: int) -> Loop:
    filled = {"topic": scene.topic(), "item": scene.item(), "goal": scene.domain["goal"]}
    asks, answers = (text.format(**filled) for text in PING_PONG[number % len(PING_PONG)])
    first, second = scene.rng.sample(scene.agents, 2)
    rounds = []
    for _ in range(_times(scene, 2)):
        said = (asks, answers) if number < 6 else (reword(scene, asks), reword(scene, answers))
        rounds.append([message(first, said[0]), message(second, said[1])])
    return Loop(rounds)


def delegation(scene: Scene, number: int) -> Loop:
    first, second = scene.rng.sample(scene.agents, 2)
    task, question = f"Find out: {scene.topic()}", f"What is known on {scene.item()}? I need it first."
    refusal, referral = "I first need more information from you.", "You can decide that, please go on with the task."
    rounds = []
    for n in range(_times(scene, 2)):
        context = (
            scene.domain["goal"] if number % 2 else reword(scene, f"I should {scene.domain['goal']} first. Try {n}.")
        )
        given = {"task": task, "context": context, "coworker": second}
        asked = {"question": question, "context": context, "coworker": first}
        rounds.append([
            tool(first, "Delegate work to coworker", given, refusal),
            tool(second, "Ask question to coworker", asked, referral),
        ])  # fmt: skip
    return Loop(rounds)


def same_failure(scene: Scene, _number: int) -> Loop:
    name, arguments, _ = _call(scene)
    error = str(scene.pick(scene.domain["errors"]))
    return Loop([[tool(scene.agents[0], name, arguments, error)] for _ in range(_times(scene))])


def failure_varied(scene: Scene, _number: int) -> Loop:
    item, error = scene.item(), str(scene.pick(scene.domain["errors"]))
    name = scene.tool_name(str(scene.pick(("read", "job", "write"))))
    shapes = (
        "{}",
        "{}.",
        "#{}",
        '"{}"',
        "{} ",
        "./{}",
        "{}.txt",
        "/{}",
        "the {}",
        "{}_1",
        "{}/",
        "id:{}",
        "{} (1)",
        "[{}]",
    )
    rounds = []
    for _ in range(_times(scene)):
        more = {"force": True} if scene.rng.random() < 0.3 else {}
        shape = str(scene.pick(shapes))
        value = shape.format(item.upper() if scene.rng.random() < 0.3 else item.replace(" ", "_"))
        rounds.append([tool(scene.agents[0], name, {scene.key: value, **more}, error)])
    return Loop(rounds)


def _promise(scene: Scene) -> str:
    topic = scene.topic()
    return scene.words(str(scene.pick(PROMISES)), topic=topic)


def same_thought(scene: Scene, number: int) -> Loop:
    return _thoughts(scene, number, lambda text: text)


def near_thought(scene: Scene, number: int) -> Loop:
    return _thoughts(scene, number, lambda text: reword(scene, text))


def _thoughts(scene: Scene, number: int, say: Callable[[str], str]) -> Loop:
    """One thought again and again; in every other trace with a call that brings nothing new."""
    text, agent = _promise(scene), scene.agents[0]
    if number % 2:
        return Loop([[message(agent, say(text))] for _ in range(_times(scene))])
    calls = [tool(agent, *_call(scene)) for _ in range(3)]
    return Loop([[message(agent, say(text)), dict(scene.pick(calls))] for _ in range(_times(scene, 2))])


def monologue(scene: Scene, _number: int) -> Loop:
    times, topic = _times(scene), scene.topic()
    texts = scene.rng.sample(DITHERING, times)
    agent = scene.agents[0]
    return Loop([[message(agent, scene.words(text, topic=topic))] for text in texts], may_stray=False)


def stagnation(scene: Scene, _number: int) -> Loop:
    """Many different searches; after the first few, nothing that was not seen."""
    known = [scene.result() for _ in range(scene.rng.randint(1, 3))]
    nothing, name, agent = str(scene.pick(NOTHING)), scene.tool_name("search"), scene.agents[0]
    queries = [f"{topic} {word}" for topic in scene.domain["topics"] for word in (*FRESH, *ABOUT)]
    scene.rng.shuffle(queries)
    stale = [nothing if scene.rng.random() < 0.6 else scene.pick(known) for _ in range(_times(scene))]
    rounds = [[tool(agent, name, {"query": queries.pop()}, result)] for result in (*known, *stale)]
    return Loop(rounds, fifth=len(known) + 4)


def checker(scene: Scene, number: int) -> Loop:
    worker, judge = scene.rng.sample(scene.agents, 2)
    answer, complaint = f"The answer is still this: {scene.fact()}", str(scene.pick(COMPLAINTS))
    complaint = complaint.replace("{thing}", scene.domain["thing"])
    rounds = []
    for _ in range(_times(scene, 2)):
        said = answer if number % 2 else reword(scene, answer)
        submitted = tool(worker, "submit_answer", {"answer": said}, complaint)
        rounds.append([submitted] if number % 3 == 0 else [message(worker, said), message(judge, complaint)])
    return Loop(rounds)


FAMILIES: dict[str, Callable[[Scene, int], Loop]] = {
    "exact": exact, "case": case, "space": space, "shuffled_keys": shuffled_keys, "number_format": number_format,
    "growing_counter": growing_counter, "volatile_result": volatile_result, "near_words": near_words,
    "cycle_2": cycle(2), "cycle_3": cycle(3), "cycle_4": cycle(4), "cycle_5": cycle(5),
    "ping_pong": ping_pong, "delegation": delegation, "same_failure": same_failure, "failure_varied": failure_varied,
    "same_thought": same_thought, "near_thought": near_thought, "monologue": monologue, "stagnation": stagnation,
    "checker": checker,
}  # fmt: skip
