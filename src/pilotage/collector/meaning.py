"""What a span of another program means: its kind, model, tokens, cost, tool, agent and task, in four vocabularies.

AgentOps (agentops.*, gen_ai.usage.prompt_tokens), OpenTelemetry's gen_ai (gen_ai.operation.name, input_tokens),
OpenInference (openinference.span.kind, llm.token_count.*) and OpenLLMetry (traceloop.*, llm.request.type).
A span that none of them explains is a `span`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from pilotage.collector.messages import opened
from pilotage.model.prices import price

Attributes = Mapping[str, Any]
KINDS = {
    "llm": "llm", "llm.call": "llm", "embedding": "llm", "generation": "llm", "reranker": "llm",
    "tool": "tool", "session": "session", "workflow": "workflow", "crew": "workflow", "team": "workflow",
    "workflow.step": "task", "task": "task", "operation": "task", "agent": "agent", "agent.action": "agent",
    "agent.thinking": "agent", "agent.decision": "agent", "guardrail": "check", "evaluator": "check",
    "chain": "span", "retriever": "span", "prompt": "span", "http": "span", "text": "span",
}  # fmt: skip
OPERATIONS = {
    "chat": "llm", "text_completion": "llm", "completion": "llm", "generate_content": "llm", "embeddings": "llm",
    "embedding": "llm", "rerank": "llm", "execute_tool": "tool", "invoke_agent": "agent", "create_agent": "agent",
    "invoke_workflow": "workflow",
}  # fmt: skip
OWN = ("session", "workflow", "task", "agent", "llm", "tool", "check", "loop", "limit", "decision", "code")
MODEL = (
    "pilotage.model",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "llm.model_name",
    "embedding.model_name",
    "llm.request.model",
)
PROMPT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
)
COMPLETION = (
    "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
    "llm.usage.completion_tokens",
)  # fmt: skip
TOTAL = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total")
CACHED = (
    "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cached_tokens",
    "llm.token_count.prompt_details.cache_read",
)  # fmt: skip
COST = ("gen_ai.usage.total_cost", "gen_ai.usage.cost", "llm.cost.total")
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
TOOL = ("gen_ai.tool.name", "tool.name", "traceloop.entity.name", "agentops.entity.name", "operation.name")
ARGUMENTS = (
    "gen_ai.tool.call.arguments", "tool.parameters", "tool_call.function.arguments", "agentops.tool.input",
    "agentops.entity.input", "traceloop.entity.input", "input.value",
)  # fmt: skip
RESULT = (
    "gen_ai.tool.call.result", "tool.result", "agentops.tool.output", "agentops.entity.output",
    "traceloop.entity.output", "output.value",
)  # fmt: skip
AGENT = ("agent.name", "gen_ai.agent.name", "agent.role", "crewai.agent.role", "agent_name")
TASK = ("crewai.task.name", "pilotage.task", "task.name", "crewai.task.id")
ENTITY = ("agentops.entity.name", "traceloop.entity.name", "operation.name")
INPUT = ("agentops.entity.input", "traceloop.entity.input", "input.value", "workflow.input", "crewai.task.description")
OUTPUT = ("agentops.entity.output", "traceloop.entity.output", "output.value", "workflow.final_output")
DECORATED = ("session", "workflow", "task", "operation", "agent", "chain", "guardrail")  # agentops.task.input …
LISTED = {  # what the price list calls a provider
    "aws.bedrock": "bedrock", "az.ai.openai": "azure", "azure.ai.openai": "azure", "az.ai.inference": "azure_ai",
    "azure.ai.inference": "azure_ai", "gcp.gemini": "gemini", "gcp.vertex_ai": "vertex_ai", "mistral_ai": "mistral",
    "x_ai": "xai",
}  # fmt: skip
MOST_TOKENS = 10**9  # of one call: more is a fault of the sender
MOST_USD = 10**6


def first(attributes: Attributes, names: tuple[str, ...]) -> Any:
    """The first of these attributes that says anything."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def said_of(attributes: Attributes, what: str) -> Any:
    """The "input" or the "output" of a span that is no call."""
    if (found := first(attributes, INPUT if what == "input" else OUTPUT)) is not None:
        return found
    return first(attributes, tuple(f"agentops.{kind}.{what}" for kind in DECORATED))


def kind_of(attributes: Attributes) -> str:
    """session, workflow, task, agent, llm, tool, check … or span."""
    if (own := attributes.get("pilotage.kind")) in OWN:
        return str(own)
    for name in ("agentops.span.kind", "traceloop.span.kind", "openinference.span.kind"):
        said = str(attributes.get(name) or "").rpartition("KindValues.")[2].lower()
        if kind := KINDS.get(said):
            return kind
    for name in ("gen_ai.operation.name", "llm.request.type", "gen_ai.request.type"):
        if kind := OPERATIONS.get(str(attributes.get(name) or "").lower()):
            return kind
    return _guessed(attributes)


def _guessed(attributes: Attributes) -> str:
    """A span that has a model and tokens or messages was a model call; one that names a tool was a tool call."""
    if first(attributes, MODEL) and (
        first(attributes, PROVIDER) or tokens(attributes) or "gen_ai.prompt.0.role" in attributes
    ):
        return "llm"
    return "tool" if first(attributes, ("gen_ai.tool.name", "tool.name")) else "span"


def tokens(attributes: Attributes) -> tuple[int, int, int] | None:
    """Tokens of the prompt, of the completion, and of the prompt from a cache; None where nothing is said."""
    prompt, completion, total = (_count(attributes, names) for names in (PROMPT, COMPLETION, TOTAL))
    if prompt is None and completion is None and total is None:
        return None
    completion = completion or 0
    prompt = max(0, (total or 0) - completion) if prompt is None else prompt
    return prompt, completion, min(_count(attributes, CACHED) or 0, prompt)


def cost(attributes: Attributes, used: tuple[int, int, int] | None, *, failed: bool = False) -> float | None:
    """US dollars: what the sender says, else the list's price; None when nobody knows.

    A call that failed and reports no tokens has cost nothing: providers bill answers.
    """
    if (said := dollars(first(attributes, COST))) is not None:
        return said
    if attributes.get("pilotage.price") == "unknown":
        return None
    if used is None:
        return 0.0 if failed else None
    found = (_price(name, *used) for name in _names(attributes))
    return next((round(usd, 9) for usd in found if usd is not None), None)


def dollars(said: Any) -> float | None:
    """The number, when it can be what a call or a run has cost."""
    try:
        usd = float(said) if isinstance(said, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return round(usd, 9) if 0 <= usd < MOST_USD else None


def _names(attributes: Attributes) -> list[str]:
    """What the price list may know the model as."""
    said = str(first(attributes, PROVIDER) or "").lower()
    model, provider = model_of(attributes), LISTED.get(said, said)
    answering = str(attributes.get("gen_ai.response.model") or "")
    names = [f"{provider}/{name}" for name in (model, answering) if provider and name and "/" not in name]
    return [*names, *(name for name in (model, answering) if name)]


@functools.lru_cache(maxsize=4096)
def _price(model: str, prompt: int, completion: int, cached: int) -> float | None:
    return price(model, prompt, completion, cached)


def model_of(attributes: Attributes) -> str:
    return str(first(attributes, MODEL) or "")[:200]


def tags_of(attributes: Attributes) -> list[str]:
    """Tags that were given as a list, as JSON or with commas between them."""
    said = opened(first(attributes, ("agentops.tags", "tag.tags", "tags")))
    if isinstance(said, str):
        said = [tag.strip() for tag in said.split(",")]
    return [str(tag)[:200] for tag in said if tag][:50] if isinstance(said, list) else []


def _count(attributes: Attributes, names: tuple[str, ...]) -> int | None:
    said = first(attributes, names)
    try:
        count = int(said) if isinstance(said, int | float | str) else -1
    except (ValueError, OverflowError):
        return None
    return count if 0 <= count <= MOST_TOKENS else None
