"""Makes a store of sessions that look like real ones, for tests, benchmarks and pictures: same tables, same chain.

    python benchmarks/replay_data.py runs/demo.sqlite --sessions 300 --events 60

The questions and the texts are made up from the project's own subjects; a seed makes the same sessions again. What is
not real: the texts repeat (a store of 2,000,000 events has about 4,000 texts), and nothing was ever asked of a model.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from pilotage.record.journal import GENESIS, Event, canonical, digest, listed
from pilotage.record.store import open_store
from pilotage.record.tally import Tally, facets_of
from pilotage.spec import EngineSpec

QUESTIONS = (
    "How do I stop an agent from looping?",
    "What does a retry cost when three layers retry?",
    "Which limits end a run, and in what order?",
    "When is an answer served from the cache?",
    "How is a claim checked against its source?",
    "What happens to a run when the provider is down?",
    "How much does prompt caching save on long conversations?",
    "Which tools may the verifier use?",
    "How are orders in a fetched page kept from the agents?",
    "What does the outcome unanswered mean?",
    "How many sentences does the index hold per document?",
    "Why was the answer about deadlines rejected?",
    "Can generated code reach the network?",
    "What is the difference between a run and a session?",
    "How do I add a tool that reads our order database?",
    "Which model is asked when the first one fails?",
    "How long may one tool call take?",
    "What is stored of a run, and how is it erased?",
    "Who retries a call that timed out?",
    "How is the budget of a task enforced before a call?",
)
MODELS = {  # name: US dollars for a million tokens in and out, None where nobody knows
    "openai/gpt-4o-mini": (0.15, 0.60),
    "anthropic/claude-3-5-haiku": (0.80, 4.00),
    "gemini/gemini-2.0-flash": (0.10, 0.40),
    "ollama/llama3.1": None,
}
WEIGHTS = {"accepted": 62, "unanswered": 12, "rejected": 8, "limited": 9, "failed": 6, "interrupted": 3}
STAGES = (
    ("research", "researcher", "findings", ("search_knowledge", "read_page", "search_web")),
    ("verify", "verifier", "verdicts", ("read_source", "search_knowledge")),
    ("explain", "explainer", "citations", ("read_source", "run_code")),
)
TAGS = ("production", "nightly", "customer-7", "experiment", "regression")
REASONS = {
    "accepted": "every sentence is cited and checked",
    "unanswered": "researcher found no passage that answers the question",
    "rejected": "2 sentences have no citation that holds",
    "failed": "the provider answered 503 three times",
    "interrupted": "stopped by SIGTERM",
}
SENTENCES = (
    "Retries must have one owner, because nested retries multiply.",
    "A budget has to be checked before each call with an estimate of what the call may cost at most.",
    "Nothing starts after the deadline, and what is under way is left behind.",
    "An agent pays for its conversation again at every step.",
    "A loop is told apart from progress by what the calls return, not by how many there are.",
    "Text from outside is fenced, so that an order in it stays data.",
    "The chain hashes digests, so content can be erased and the chain still verifies.",
)
DAY = 86_400
COLLECTED = 0.08  # share of sessions that another program has sent
LOOP_STEPS = 11
NUDGED = 6  # of these, when the agent has heard the nudge
DEAR = 0.01  # US dollars
HELD = 200_000  # rows in memory


@dataclass
class Writer:
    """Rows on their way into the tables, each text once."""

    connection: Connection
    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def put(self, table: str, *row: Any) -> None:
        self.rows.setdefault(table, []).append(row)

    def flush(self) -> None:
        for table, rows in self.rows.items():
            marks = ", ".join("?" * len(rows[0]))
            self.connection.exec_driver_sql(f"insert into {table} values ({marks})", rows)
        self.rows = {}

    def digest_of(self, text: str) -> str:
        if text not in self.digests:
            self.digests[text] = digest(text)
            self.put("payloads", self.digests[text], text.encode())
        return self.digests[text]


class Session:
    """One session as it grows: its clock, its chain and its tally."""

    def __init__(self, writer: Writer, run: str, started: float) -> None:
        self.writer, self.run, self.at = writer, run, started
        self.seq, self.previous, self.tally = 0, GENESIS, Tally()
        self.row: dict[str, Any] = {"run": run}
        self.facets: set[tuple[str, str]] = set()

    def add(self, kind: str, content: dict[str, Any] | None = None, *, lasts: float = 0.002, **facts: Any) -> Event:
        self.at = round(self.at + lasts, 6)
        self.seq += 1
        texts = {name: text if isinstance(text, str) else json.dumps(text) for name, text in (content or {}).items()}
        digests = {name: self.writer.digest_of(text) for name, text in texts.items()}
        facts = {name: value for name, value in facts.items() if value is not None}
        event = Event(self.run, self.seq, self.at, kind, facts, dict(texts), digests, self.previous)
        self.previous = event.compute_hash()
        event = Event(self.run, self.seq, self.at, kind, facts, dict(texts), digests, event.previous, self.previous)
        self.tally.add(event)
        self.facets.update(facets_of(event))
        self.writer.put(
            "events", self.run, self.seq, self.at, kind, canonical(facts), canonical(digests), event.previous,
            self.previous,
        )  # fmt: skip
        if kind in ("run_started", "run_ended", "session_ended"):
            self.row |= listed(event, self.tally)
        return event

    def close(self, columns: list[str]) -> None:
        last = Event(self.run, self.seq, self.at, "", {}, {}, {}, hash=self.previous)
        row = {**self.row, **listed(last, self.tally)}
        row |= {name: self.row[name] for name in ("seconds", "tokens", "usd") if self.row.get("outcome")}
        defaults = {"origin": "run", "host": ""}
        self.writer.put("runs", *(row.get(name, defaults.get(name)) for name in columns))
        for name, value in sorted(self.facets):
            self.writer.put("facets", self.run, name, value)


def make(
    path: Path, sessions: int = 200, events_each: int = 60, *, longest: int = 0, of_these: int = 1, seed: int = 1,
    now: float | None = None,
) -> None:  # fmt: skip
    """Write a new store at `path`. Three sessions are live at `now` and one is lost, where there are as many as ten.

    `longest`: sessions of so many events, `of_these`, whose ids end with "-longest".
    """
    chance, now = random.Random(seed), time.time() if now is None else now
    engine = open_store(path)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA synchronous=OFF")
        columns = [row[1] for row in connection.exec_driver_sql("PRAGMA table_info(runs)")]
        writer = Writer(connection)
        for number in range(sessions):
            _session(writer, chance, number, sessions, events_each, now).close(columns)
            if len(writer.rows["events"]) >= HELD:
                writer.flush()
        for number in range(of_these if longest else 0):
            at = now - DAY - number
            long = Session(writer, datetime.fromtimestamp(at, UTC).strftime("%Y%m%d-%H%M%S-longest"), at)
            _run(long, chance, QUESTIONS[0], "accepted", longest, now).close(columns)
            writer.flush()
        writer.flush()
        connection.commit()
    engine.dispose()


def _session(
    writer: Writer, chance: random.Random, number: int, sessions: int, events_each: int, now: float
) -> Session:
    is_live, is_lost = sessions >= 10 and number < 3, sessions >= 10 and number == 3
    started = now - (40 + 30 * number if is_live else _ago(chance))
    name = datetime.fromtimestamp(started, UTC).strftime("%Y%m%d-%H%M%S")
    if not is_live and not is_lost and chance.random() < COLLECTED:
        return _collected(Session(writer, f"{chance.getrandbits(128):032x}", started), chance, events_each)
    outcome = "" if is_live or is_lost else chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    session = Session(writer, f"{name}-{number:06x}", started)
    events = min(events_each, 26) if is_live else events_each
    return _run(session, chance, chance.choice(QUESTIONS), outcome, events, now)


def _ago(chance: random.Random) -> float:
    """Within thirty days, more of late, fewer at night."""
    ago: float = 30 * DAY * chance.random() ** 1.3
    return ago - ago % DAY + chance.triangular(0, DAY, DAY * 0.4) + 300


def _run(session: Session, chance: random.Random, question: str, outcome: str, events: int, now: float) -> Session:
    """A run within its limits; one that is limited ends at a limit, or where its loop is stopped."""
    model, started = chance.choices(list(MODELS), (5, 3, 2, 1))[0], session.at
    loops = chance.random() < (0.5 if outcome == "limited" else 0.05) and events > LOOP_STEPS + 10
    limits = _limits(events)
    if outcome == "limited" and not loops:
        limits["model_calls"] = max(1, (events - 14) // 3)
    session.add(
        "run_started", {"question": question, "settings": _settings(limits), "warnings": "[]"}, model=model,
        until=now + 3_600 if not outcome and started > now - 300 else started + limits["seconds"] + 30,
        crew="my_crew.crew:crew", tags=chance.sample(TAGS, chance.choice((0, 1, 1, 2))) or None,
    )  # fmt: skip
    used = 3 if outcome in ("accepted", "rejected", "limited", "") else chance.choice((1, 2, 3))
    used = 1 if loops and outcome == "limited" else used  # it gets no further
    left, why = max(0, events - 2 - 4 * used), ""
    for index, stage in enumerate(STAGES[:used]):
        steps = left // used + (left % used if index == 0 else 0)
        why = _stage(session, chance, question, model, stage, steps, loops and index == 0, outcome, limits)
        if why:
            break
    if outcome:
        _end(session, chance, question, outcome, started, why)
    return session


def _limits(events: int) -> dict[str, Any]:
    """The limits of the project, or as much as so many events can use."""
    least = {"seconds": 5 * events, "model_calls": events, "tool_calls": events, "tokens": 5_000 * events,
             "usd": 0.01 * events}  # fmt: skip
    limits = EngineSpec().limits.model_dump(mode="json")
    return limits | {name: max(limits[name], value) for name, value in least.items()}


def _stage(
    session: Session, chance: random.Random, question: str, model: str, stage: Any, steps: int, loops: bool,
    outcome: str, limits: dict[str, Any],
) -> str:  # fmt: skip
    """One task; why the run was stopped in it, if it was."""
    task, agent, check, tools = stage
    who = {"agent": agent, "task": task}
    session.add("task_started", {"context": ""}, **who)
    loop_steps = LOOP_STEPS if outcome == "limited" else NUDGED
    loop_from = steps // 3 if loops and steps > loop_steps + 3 else steps
    for step in range(steps):
        if loop_from + loop_steps == step and outcome == "limited":
            return f"Run stopped: {agent} called {tools[0]} 5 times with the same arguments (loop: repeat, loops.stop)"
        if session.tally.model_calls >= limits["model_calls"]:
            session.add("limit", limit="model_calls", value=limits["model_calls"], cap=limits["model_calls"],
                        key="limits.model_calls")  # fmt: skip
            return f"Run stopped: {limits['model_calls']} of {limits['model_calls']} model calls (limits.model_calls)"
        if loop_from <= step < loop_from + loop_steps:
            _step_of_loop(session, chance, question, model, who, tools[0], step - loop_from)
        elif step % 2 == 0:
            _model_call(session, chance, question, model, who, step)
        else:
            _tool_call(session, chance, chance.choice(tools), who, step)
    passed = outcome != "rejected" or task != "explain"
    faults = [] if passed else [{"text": SENTENCES[1], "reason": "the quote does not say it"}]
    session.add("check", {"faults": faults} if faults else {}, check=check, passed=passed, **who)
    because = [{"source": "cost.md", "quote": chance.choice(SENTENCES)}]
    text = {"text": chance.choice(SENTENCES), "reason": "it stands there", "because": because}
    session.add("decision", text, who=agent, task=task, what="kept")
    session.add("task_ended", {"output": chance.choice(SENTENCES)}, **who)
    return ""


def _step_of_loop(
    session: Session, chance: random.Random, question: str, model: str, who: dict[str, str], tool: str, step: int
) -> None:
    """The same search five times over, nudged after the third."""
    if step in (5, 10):
        level, times = ("nudge", 3) if step == 5 else ("stop", 5)
        evidence = f"{tool} was called {times} times with the same arguments and the same result"
        content = {"evidence": evidence} | ({"nudge": "You have this result already."} if step == 5 else {})
        session.add(
            "loop", content, rule="repeat", level=level, agent=who["agent"], first_step=session.seq - step + 1,
            last_step=session.seq, times=times,
        )  # fmt: skip
    elif step in (0, 2, 4, 7, 9):
        content = {"arguments": json.dumps({"query": question}), "result": _result(0)}
        session.add("tool_call", content, lasts=0.04, tool=tool, seconds=0.04, **who)
    else:
        _model_call(session, chance, question, model, who, 0)


def _model_call(
    session: Session, chance: random.Random, question: str, model: str, who: dict[str, str], step: int
) -> None:
    prompt, completion = 900 + 140 * (step % 24) + chance.randrange(200), chance.randrange(20, 400)
    price, seconds = MODELS[model], round(chance.lognormvariate(0.1, 0.6), 4)
    usd: Any = "unpriced" if price is None else round((prompt * price[0] + completion * price[1]) / 1e6, 9)
    failed = chance.random() < 0.01 or None
    content = {"request": _request(question, model, who["agent"], step % 12)}
    content |= {"error": "503 Service Unavailable"} if failed else {"answer": _answer(step)}
    session.add(
        "model_call", content, lasts=seconds, model=model, attempt=1, prompt_tokens=prompt,
        completion_tokens=0 if failed else completion, cached_tokens=prompt // 2 if step > 2 else None, usd=usd,
        seconds=seconds, failed=failed, **who,
    )  # fmt: skip


def _tool_call(session: Session, chance: random.Random, tool: str, who: dict[str, str], step: int) -> None:
    failed, seconds = chance.random() < 0.03 or None, round(chance.lognormvariate(-2.5, 0.9), 4)
    arguments = json.dumps({"query": SENTENCES[step % 7][:40]} if "search" in tool else {"source": "cost.md"})
    content = {"arguments": arguments, "result": "the page did not answer in 20 s" if failed else _result(step)}
    session.add("tool_call", content, lasts=seconds, tool=tool, seconds=seconds, failed=failed, **who)


def _end(session: Session, chance: random.Random, question: str, outcome: str, started: float, why: str) -> None:
    tally = session.tally
    if tally.usd > DEAR and chance.random() < 0.3:
        _alert(session, tally.usd)
    content: dict[str, Any] = {"reason": why or REASONS[outcome]}
    if outcome == "accepted":
        cited = {"n": 1, "source": "cost.md#1", "quote": SENTENCES[0], "where": "Cost, lines 3–4"}
        content |= {"answer": f"{question.rstrip('?')}: {SENTENCES[0]} [1]", "citations": [cited]}
    session.add(
        "run_ended", content, outcome=outcome, seconds=round(session.at - started, 3), tokens=tally.tokens,
        usd=tally.cost, model_calls=tally.model_calls, tool_calls=tally.tool_calls,
    )  # fmt: skip


def _alert(session: Session, usd: float) -> None:
    digits = next(n for n in (2, 4, 6, 9) if f"{usd:.{n}f}" != f"{DEAR:.{n}f}")  # as many as tell them apart
    text = f"dear-run: run {session.run} has cost ${usd:.{digits}f}, above ${DEAR:.2f}"
    facts: dict[str, Any] = {"metric": "usd", "value": usd, "above": DEAR, "over": "run"}
    session.add("alert", {"text": text}, rule="dear-run", **facts)
    told = '{"log": true, "webhook": "503 Service Unavailable"}' if session.seq % 4 == 0 else '{"log": true}'
    session.writer.put("alerts", None, session.at, "dear-run", session.run, *facts.values(), text, told)


def _collected(session: Session, chance: random.Random, events: int) -> Session:
    """A session as the collector records one: each event is a span."""
    started, title, root = session.at, chance.choice(QUESTIONS), f"{chance.getrandbits(64):016x}"
    session.add("run_started", {"question": title}, origin="otlp", model="", crew="support-bot", host="batch-2")
    model = chance.choice(list(MODELS))
    for step in range(max(1, events - 3)):
        place: dict[str, Any] = {"span": f"{chance.getrandbits(64):016x}", "parent": root, "start": session.at}
        if step % 3:
            _model_call(session, chance, title, model, {"agent": "assistant", **place}, step)
        else:
            _tool_call(session, chance, "lookup_order", {"agent": "assistant", **place}, step)
    seconds = round(session.at - started, 3)
    session.add("span", {"attributes": "{}"}, name="handle request", span_kind="session", span=root, start=started,
                seconds=seconds)  # fmt: skip
    outcome = chance.choice(("ended", "ended", "ended", "failed"))
    session.add("session_ended", {}, outcome=outcome, seconds=seconds, name="handle request", root=root)
    session.row |= {"outcome": outcome, "seconds": seconds, "seal": session.previous, "until": session.at + 600}
    session.row |= {"tokens": session.tally.tokens, "usd": session.tally.cost}
    return session


def _settings(limits: dict[str, Any]) -> str:
    engine = EngineSpec().model_dump(mode="json") | {"limits": limits}
    agents = {agent: {"role": agent.title(), "max_iter": 12} for _, agent, _, _ in STAGES}
    return json.dumps({"engine": engine, "agents": agents, "tasks": {task: {} for task, *_ in STAGES}})


@functools.cache
def _request(question: str, model: str, agent: str, turn: int) -> str:
    messages = [{"role": "system", "content": f"You are the {agent}. Copy quotes letter by letter."},
                {"role": "user", "content": question}]  # fmt: skip
    for number in range(turn):
        messages.append({"role": "assistant", "content": SENTENCES[number % 7]})
        messages.append({"role": "tool", "content": _result(number)})
    return json.dumps({"model": model, "messages": messages, "tools": ["search_knowledge", "read_source"]})


@functools.cache
def _result(step: int) -> str:
    passages = [{"source": f"cost.md#{n}", "where": f"Cost, lines {3 + n}–{5 + n}", "quote": SENTENCES[(step + n) % 7]}
                for n in range(3)]  # fmt: skip
    return json.dumps({"passages": passages}, ensure_ascii=False)


def _answer(step: int) -> str:
    return f"{SENTENCES[step % 7]} {SENTENCES[(step + 3) % 7]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--events", type=int, default=60, help="of each session")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    make(options.path, options.sessions, options.events, seed=options.seed)


if __name__ == "__main__":
    main()
