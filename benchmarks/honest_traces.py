"""The families of honest traces: they look repetitive, and each of them gets somewhere.

Each function writes one trace; loop_traces.py puts steps before it and an answer behind it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from trace_scene import Event, Scene, message, tool

TOTAL = 200
DONE = ("ok", "Saved.", '{"status": "ok"}', "Done", "1 row updated", "Message sent.", '{"success": true, "errors": []}')
PENDING = (
    "pending",
    '{"state": "pending"}',
    "Status: queued",
    "Not ready yet, please ask again in a minute.",
    "RUNNING",
)
DEAD = ("404 Not Found", "HTTP 410 Gone", "Error: could not resolve host", "The page was moved or deleted.")
HAND_OFFS = (
    "Over to you, {agent}.", "Round {n}: please report.", "{agent}, your turn.", "Thank you. Next: {agent}.",
    "Updating the plan. Next speaker: {agent}. Is the request satisfied? No. Is progress being made? Yes.",
    "Step {n} of the list. {agent}, go ahead.", "Let us hear {agent} now.",
    "Please continue with the next part, {agent}.",
)  # fmt: skip
HEARTBEATS = (
    "Still working …",
    "Status: running, no action needed.",
    "[heartbeat] alive",
    "Continuing.",
    "In progress.",
)
COURTESIES = ("Thank you, noted.", "Thanks!", "TERMINATE", "Great, thanks for your help.", "Done, thank you.")
ARGUING = (
    "I see it differently: {fact}", "That is one side; the other is this. {fact}", "Fair point. Yet {fact}",
    "Building on that: {fact}", "Let me add a figure. {fact}", "Against this stands that {fact}",
    "A new source says: {fact}",
    "I was wrong there, since {fact}", "And what about the cost? {fact}", "To sum up my view: {fact}",
)  # fmt: skip
PLAN = (
    "The aim is to {goal}. I split the work into parts before I call anything.",
    "First part: what is known about {topic}. {tool} should hold that.",
    "Second part: the state of {item}. Its record tells me the figures that I have to compare.",
    "If {item} turns out to be missing, I fall back on {code} and say so in the answer.",
    "Third part: the check. A figure counts only when two sources give it.",
    "What can go wrong: old records. {fact} So I look at the date first.",
    "Order: {code} first, because everything else depends on it; {topic} last.",
    "The answer will be three sentences and one table; no more is needed to {goal}.",
    "Budget: at most eight calls, two of them for the check.",
)


def _poll_calls(scene: Scene) -> tuple[str, str, dict[str, Any]]:
    return scene.agents[0], scene.tool_name("job"), {"job_id": scene.codes(1)[0]}


def pagination(scene: Scene, number: int) -> list[Event]:
    """Page after page, each with new rows."""
    key, size = str(scene.pick(("page", "offset", "cursor"))), scene.rng.randint(3, 6)
    pages = scene.rng.randint(6, 18)
    codes, more = scene.codes(pages * size), {"filter": scene.topic()} if number % 2 else {}
    events = []
    for page in range(pages):
        names = codes[page * size : (page + 1) * size]
        place: Any = {"page": page + 1, "offset": page * size, "cursor": f"c{scene.rng.getrandbits(40):010x}"}[key]
        result = scene.table(names) if number % 3 else json.dumps([scene.row(name) for name in names])
        events.append(tool(scene.agents[0], scene.tool_name("list"), {**more, key: place}, result))
    return events


def polling_progress(scene: Scene, number: int) -> list[Event]:
    """The same question to a job that visibly moves on."""
    agent, name, arguments = _poll_calls(scene)
    total, polls = scene.rng.randint(300, 4000), scene.rng.randint(7, 18)
    done = sorted(scene.rng.sample(range(1, total), polls))
    stages = ("fetching", "reading", "comparing", "sorting", "linking", "writing", "packing", "uploading")
    events = []
    for poll, count in enumerate(done):
        share, stage = 100 * count // total, stages[poll * len(stages) // polls]
        shown = (
            f"Progress: {share} %", json.dumps({"state": "running", "done": count, "total": total}),
            f"Stage {stages.index(stage) + 1} of {len(stages)}: {stage}, {count} of {total} done", f"{count}/{total}",
        )[number % 4]  # fmt: skip
        events.append(tool(agent, name, arguments, shown))
    return [*events, tool(agent, name, arguments, f"Finished. {scene.fact()}")]


def polling_pending(scene: Scene, _number: int) -> list[Event]:
    """Two to four times the same "not yet", then the result; one or two jobs."""
    events = []
    for _ in range(scene.rng.randint(1, 2)):
        agent, name, arguments = _poll_calls(scene)
        waiting = [tool(agent, name, arguments, str(scene.pick(PENDING)))] * scene.rng.randint(2, 4)
        events += [*map(dict, waiting), tool(agent, name, arguments, scene.result())]
    return events


def retry_succeeds(scene: Scene, _number: int) -> list[Event]:
    """Calls that fail one to three times and then work."""
    events = []
    for code in scene.codes(scene.rng.randint(1, 4)):
        name, agent = scene.tool_name(str(scene.pick(("read", "check", "list")))), scene.agents[0]
        error = str(scene.pick(scene.domain["errors"]))
        failed = [tool(agent, name, {scene.key: code}, error) for _ in range(scene.rng.randint(1, 3))]
        events += [*failed, tool(agent, name, {scene.key: code}, scene.result(code))]
    return events


def similar_items(scene: Scene, number: int) -> list[Event]:
    """Up to 20 things of one kind, each dealt with once; every acknowledgement is the same."""
    done, name = str(scene.pick(DONE)), scene.tool_name("write")
    codes = scene.codes(scene.rng.randint(10, 20))
    if number % 2:
        codes = sorted(codes)
    note = scene.topic()
    more = ({}, {"status": "checked"}, {"note": note}, {"text": f"Dear customer, this is about {note}."})[number % 4]
    return [tool(scene.agents[0], name, {scene.key: code, **more}, done) for code in codes]


def bulk_reads(scene: Scene, number: int) -> list[Event]:
    """One reading after the other with arguments that differ in a few characters."""
    start, name = scene.rng.randint(1000, 9000), scene.tool_name("read")
    codes = [scene.domain["code"].format(n=start + n) for n in range(scene.rng.randint(10, 20))]
    agent = scene.agents[0]
    results = [json.dumps(scene.row(code)) if number % 2 else scene.result(code) for code in codes]
    return [tool(agent, name, {scene.key: code}, result) for code, result in zip(codes, results, strict=True)]


def edit_test(scene: Scene, _number: int) -> list[Event]:
    """Edit, test, edit, test: the test command stays, what it finds goes down; now and then it does not."""
    failed, total = scene.rng.randint(5, 12), scene.rng.randint(20, 60)
    agent, item, saved = scene.agents[0], scene.item(), str(scene.pick(DONE))
    events = []
    while failed >= 0:
        change = {scene.key: item, "change": scene.fact(item)}
        shown = f"{failed} failed, {total - failed} passed" if failed else f"{total} passed"
        events += [
            tool(agent, scene.tool_name("write"), change, saved),
            tool(agent, scene.tool_name("check"), {"target": item}, shown),
        ]
        failed -= scene.pick((0, 1, 1, 2, 3)) if failed > 2 else max(failed, 1)
    return events


def cross_read(scene: Scene, _number: int) -> list[Event]:
    """Two or three agents read the same sources, each by itself, and compare."""
    events, read = [], scene.tool_name("read")
    for code in scene.codes(scene.rng.randint(2, 4)):
        result = scene.result(code)
        readers = scene.rng.sample(scene.agents, scene.rng.randint(2, 3))
        events += [tool(agent, read, {scene.key: code}, result) for agent in readers]
        events.append(message(readers[-1], f"I read {code} as well and agree: {scene.fact(code)}"))
    return events


def read_after_edit(scene: Scene, _number: int) -> list[Event]:
    """The same thing read again after each change to it."""
    agent, item, saved = scene.agents[0], scene.item(), str(scene.pick(DONE))
    lines = [scene.fact(item) for _ in range(3)]
    events = [tool(agent, scene.tool_name("read"), {scene.key: item}, "\n".join(lines))]
    for _ in range(scene.rng.randint(4, 9)):
        place, line = scene.rng.randrange(3), scene.fact(item)
        lines[place] = line
        events += [
            tool(agent, scene.tool_name("write"), {scene.key: item, "line": place + 1, "text": line}, saved),
            tool(agent, scene.tool_name("read"), {scene.key: item}, "\n".join(lines)),
        ]
    return events


def dead_links(scene: Scene, number: int) -> list[Event]:
    """Three links that are dead, then a good one; one or two times."""
    events, agent = [], scene.agents[0]
    for _ in range(1 + number % 2):
        dead = str(scene.pick(DEAD))
        words = scene.topic().replace(" ", "-").lower()
        sites = scene.rng.sample(("example.org/a", "example.com/wiki", "example.net/news", "example.edu/docs"), 4)
        urls = [f"https://{site}/{words}" for site in sites]
        events += [tool(agent, "fetch_page", {"url": url}, dead) for url in urls[:3]]
        events.append(tool(agent, "fetch_page", {"url": urls[3]}, scene.result()))
    return events


def coordinator(scene: Scene, number: int) -> list[Event]:
    """The same words before each hand-off; the workers bring new things."""
    lead, *workers = scene.agents
    phrase, events = HAND_OFFS[number % len(HAND_OFFS)], []
    for turn in range(scene.rng.randint(6, 14)):
        worker = workers[turn % 2]
        events.append(message(lead, phrase.format(agent=worker, n=turn + 1)))
        if scene.rng.random() < 0.5:
            events.append(message(worker, f"{scene.fact()} {scene.fact()}"))
        else:
            code = scene.codes(1)[0]
            events.append(tool(worker, scene.tool_name("read"), {scene.key: code}, scene.result(code)))
    return events


def round_robin(scene: Scene, _number: int) -> list[Event]:
    """Agents speak in turn, each time with an argument of its own."""
    turns = scene.rng.randint(9, 18)
    templates = [scene.pick(ARGUING) for _ in range(turns)]
    return [
        message(scene.agents[turn % 3], template.format(fact=f"{scene.fact()} {scene.fact()}"))
        for turn, template in enumerate(templates)
    ]


def heartbeat(scene: Scene, _number: int) -> list[Event]:
    """A status line between real steps."""
    beat, agent, events = str(scene.pick(HEARTBEATS)), scene.agents[0], []
    for code in scene.codes(scene.rng.randint(6, 12)):
        events.append(message(agent, beat))
        events.append(tool(agent, scene.tool_name("read"), {scene.key: code}, scene.result(code)))
    return events


def careful_plan(scene: Scene, _number: int) -> list[Event]:
    """A plan in several messages, each a part of it; then the work."""
    agent, events = scene.agents[0], []
    for template in PLAN[: scene.rng.randint(5, len(PLAN))]:
        more = {"topic": scene.topic(), "code": scene.codes(1)[0], "fact": scene.fact()}
        events.append(message(agent, scene.words(template, tool=scene.tool_name("search"), **more)))
    for code in scene.codes(3):
        events.append(tool(agent, scene.tool_name("read"), {scene.key: code}, scene.result(code)))
    return events


def checker_mended(scene: Scene, _number: int) -> list[Event]:
    """An answer returned twice with the same complaint, and mended."""
    worker, judge = scene.rng.sample(scene.agents, 2)
    complaint, answer = "Returned: the answer must name its source and the unit.", scene.fact()
    code = scene.codes(1)[0]
    mended = (answer, f"{answer} The figure is in euro.", f"{answer} The figure is in euro, from {code}.")
    events = []
    for text in mended:
        events += [message(worker, text), message(judge, "Accepted." if text == mended[-1] else complaint)]
    return events


def three_places(scene: Scene, _number: int) -> list[Event]:
    """The same words looked up in three places, for one to three questions."""
    events, agent = [], scene.agents[0]
    for topic in scene.rng.sample(scene.domain["topics"], scene.rng.randint(1, 3)):
        found = [scene.result() if scene.rng.random() < 0.7 else "No results." for _ in scene.domain["places"]]
        pairs = zip(scene.domain["places"], found, strict=True)
        events += [tool(agent, place, {"query": topic}, result) for place, result in pairs]
    return events


def binary_search(scene: Scene, number: int) -> list[Event]:
    """A threshold closed in on: the answers are two words, the numbers narrow."""
    low, high, agent, item = 0, 4096, scene.agents[0], scene.item()
    wanted, events = scene.rng.randint(1, 4095), []
    less, more = (("too high", "too low"), ("FAIL", "PASS"), ('{"ok": false}', '{"ok": true}'))[number % 3]
    while high - low > 1:
        middle = (low + high) // 2
        arguments = {scene.key: item, "limit": middle} if number % 2 else {"expression": f"{item} < {middle}"}
        events.append(tool(agent, scene.tool_name("check"), arguments, less if middle > wanted else more))
        low, high = (low, middle) if middle > wanted else (middle, high)
    return events


def recheck(scene: Scene, number: int) -> list[Event]:
    """One value checked again after each of several writes; in every other trace it stays as it should be."""
    agent, item, saved, fine = scene.agents[0], scene.item(), str(scene.pick(DONE)), "No contradiction found."
    value, events = scene.rng.randint(100, 999), []
    for code in scene.codes(scene.rng.randint(4, 7)):
        value += scene.rng.randint(1, 90)
        shown = fine if number % 2 else f"total of {item}: {value}"
        events += [
            tool(agent, scene.tool_name("write"), {scene.key: code, "note": scene.fact(code)}, saved),
            tool(agent, scene.tool_name("check"), {"target": item}, shown),
        ]
    return events


def courtesy(scene: Scene, number: int) -> list[Event]:
    """The same short words of thanks after each delivery, and once more at the end."""
    asker, worker, *_ = scene.agents
    thanks, events = COURTESIES[number % len(COURTESIES)], []
    for code in scene.codes(scene.rng.randint(3, 8)):
        if number % 2:
            events.append(tool(worker, scene.tool_name("read"), {scene.key: code}, scene.result(code)))
        events += [message(worker, f"Here is {code}: {scene.fact(code)}"), message(asker, thanks)]
    return [*events, message(asker, thanks)]


FAMILIES: dict[str, Callable[[Scene, int], list[Event]]] = {
    "pagination": pagination, "polling_progress": polling_progress, "polling_pending": polling_pending,
    "retry_succeeds": retry_succeeds, "similar_items": similar_items, "bulk_reads": bulk_reads, "edit_test": edit_test,
    "cross_read": cross_read, "read_after_edit": read_after_edit, "dead_links": dead_links, "coordinator": coordinator,
    "round_robin": round_robin, "heartbeat": heartbeat, "careful_plan": careful_plan, "checker_mended": checker_mended,
    "three_places": three_places, "binary_search": binary_search, "recheck": recheck, "courtesy": courtesy,
}  # fmt: skip
