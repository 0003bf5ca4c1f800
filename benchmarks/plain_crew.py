"""A plain CrewAI crew of the three agents: what bench_tokens.py compares with.

It is what `crewai create crew` scaffolds, filled with the texts of config/agents.yaml and config/tasks.yaml: tasks in
a row, each given all outputs before it, everything else as CrewAI has it by default. Its tools are plain CrewAI tools.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from pilotage.evidence.hits import Shown, told
from pilotage.evidence.knowledge import Knowledge
from pilotage.settings import Settings
from pilotage.spec import EvidenceSpec

MODEL = "gpt-4o-mini"

Tools = dict[str, Callable[..., Any]]


class Finding(BaseModel):
    claim: str
    quote: str
    source: str


class Findings(BaseModel):
    findings: list[Finding]


class Verdict(Finding):
    verdict: str
    reason: str


class Verdicts(BaseModel):
    verdicts: list[Verdict]


class Citation(BaseModel):
    n: int
    source: str
    quote: str


class Statement(BaseModel):
    text: str
    cites: list[int]


class Explanation(BaseModel):
    statements: list[Statement]
    citations: list[Citation]


TYPES: dict[str, type[BaseModel]] = {kind.__name__: kind for kind in (Findings, Verdicts, Explanation)}


def full(hit: Any) -> dict[str, Any]:
    """A hit with its passage in whole, whatever stands in the hits before it."""
    passage = hit.passage
    return {
        "source": passage.source, "where": passage.where, "score": float(f"{hit.score:.3g}"), "quote": hit.quote,
        "text": passage.text,
    }  # fmt: skip


def tools_for(knowledge: Knowledge, spec: EvidenceSpec, *, short: bool) -> Tools:
    """The tools of one question: each hit in whole, or `short` as pilotage's own search has them."""
    shown = Shown()

    def search_knowledge(query: str) -> str:
        """Search the documents. Returns passages: source id, best quote, score from 0 to 1, text."""
        found = knowledge.search(query, spec.passages)
        if not short:
            return _json({"passages": [full(hit) for hit in found.hits]})
        entries, before = told(found.hits, shown.at(query), spec.full_passages)
        shown.add(entry for _, entry in entries)
        return _json({"passages": [entry for _, entry in entries], "shown_before": ", ".join(before)})

    def read_source(source: str) -> str:
        """Open one source by its id, such as caps.md#3f9a2c, and return its text as it stands there."""
        passage = knowledge.passage(source)
        if passage is None:
            return _json({"source": source, "error": "there is no such source"})
        return _json({"source": source, "where": passage.where, "title": passage.title, "text": passage.text})

    def read_page(url: str, looking_for: str = "") -> str:
        """Read a web page. Returns its passages with their source ids, and its links.

        Of a long page, the passages are returned that fit what you are looking for (default: the question).
        """
        raise NotImplementedError(f"no page is read here: {url} {looking_for}")

    return {"search_knowledge": search_knowledge, "read_source": read_source, "read_page": read_page}


def plain_crew(settings: Settings, url: str, tools: Tools, *, typed: bool = False) -> Any:
    """The crew at a model server; `typed`: with output_pydantic, for which CrewAI writes the schema into the prompt."""
    from crewai import LLM, Agent, Crew, Process, Task
    from crewai.tools import tool

    agents = {
        name: Agent(
            role=spec.role, goal=spec.goal, backstory=spec.backstory, verbose=False,
            tools=[tool(one)(tools[one]) for one in spec.tools],
            llm=LLM(model=f"openai/{MODEL}", base_url=url, api_key="none", custom_openai=True),
        )
        for name, spec in settings.agents.items()
    }  # fmt: skip
    tasks = [
        Task(
            name=name, description=task.description, expected_output=task.expected_output, agent=agents[task.agent],
            output_pydantic=TYPES[task.output_pydantic] if typed else None,
        )
        for name, task in settings.tasks.items()
    ]  # fmt: skip
    return Crew(agents=list(agents.values()), tasks=tasks, process=Process.sequential, verbose=False)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
