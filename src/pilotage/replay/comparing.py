"""The page that shows two sessions side by side, by the very comparison of `pilotage compare`.

    /compare?a=RUN&b=RUN    or ?run=RUN&run=RUN, as the ticks of the list send it

What is not covered: more than two sessions at once, and the whole of a difference beyond its first lines.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pilotage.compare import Comparison, Pair, compare
from pilotage.errors import ConfigError
from pilotage.record.journal import find_run
from pilotage.replay.fold import UNREADABLE
from pilotage.replay.step import KINDS
from pilotage.views_compare import MOST_SETTINGS, figures, place

LONGEST = 100  # letters of a run's name that are looked at
MOST_STEPS = 500  # pairs that the page lists
SIGNS = {"-": "del", "+": "ins", "@": "at"}


def show(request: Request) -> Response:
    """The page: a form when it is not said which two, or when one of them is not there."""
    names, engine = _names(request), request.app.state.engine
    context: dict[str, Any] = {"names": names, "found": None, "problem": ""}
    if all(names):
        try:
            found = _compared(engine, names)
            context |= {"found": found, **page_of(found)}
        except ConfigError as error:
            context["problem"] = f"{error}."
        except UNREADABLE as error:
            context["problem"] = f"One of the records cannot be read ({type(error).__name__})."
    elif any(names):
        context["problem"] = "Two sessions are compared: one of them is not named."
    status = 404 if context["problem"] and all(names) else 200
    answer: Response = request.app.state.templates.TemplateResponse(
        request, "compare.html", context, status_code=status
    )
    return answer


def page_of(found: Comparison) -> dict[str, Any]:
    """What the template shows of a comparison."""
    pairs = [pair for pair in found.pairs if pair.a or pair.b]
    return {
        "figures": list(figures(found))[1:], "where": place(found.first) if found.first else "",
        "diff": diff_lines(found.first.diff) if found.first else [],
        "answer_diff": diff_lines(found.answer_diff) if not _is_first(found) else [],
        "settings": found.settings[:MOST_SETTINGS], "more_settings": max(0, len(found.settings) - MOST_SETTINGS),
        "steps": [step_of(pair, found) for pair in pairs[:MOST_STEPS]], "more_steps": max(0, len(pairs) - MOST_STEPS),
        "parting": sum(bool(pair.what) for pair in pairs),
    }  # fmt: skip


def diff_lines(lines: list[str]) -> list[tuple[str, str]]:
    """Each line of a unified diff with what it is: del, ins, at, or nothing; without the two names at its top."""
    return [(SIGNS.get(line[:1], ""), line) for line in lines if line not in ("--- a", "+++ b")]


def step_of(pair: Pair, found: Comparison) -> dict[str, Any]:
    """A pair of steps as the template shows it; `is_first` marks where the two part."""
    event = pair.a or pair.b
    assert event is not None
    facts, first = event.facts, found.first
    seqs = (pair.a.seq if pair.a else None, pair.b.seq if pair.b else None)
    return {
        "task": pair.task, "kind": KINDS.get(event.kind, event.kind), "what": pair.what, "a": seqs[0], "b": seqs[1],
        "who": str(facts.get("agent") or ""), "name": str(facts.get("tool") or facts.get("check") or ""),
        "is_first": first is not None and seqs == (first.a, first.b) and bool(pair.what),
    }  # fmt: skip


def _compared(engine: Engine, names: tuple[str, str]) -> Comparison:
    return compare(engine, *(find_run(engine, name) for name in names))


def _is_first(found: Comparison) -> bool:
    return not found.answer_diff or (found.first is not None and found.first.diff == found.answer_diff)


def _names(request: Request) -> tuple[str, str]:
    ticked = [*request.query_params.getlist("run"), "", ""]
    a, b = (request.query_params.get(name) or ticked[n] for n, name in enumerate("ab"))
    return a.strip()[:LONGEST], b.strip()[:LONGEST]


routes = [Route("/compare", show, methods=["GET"])]
