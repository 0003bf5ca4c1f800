"""The settings as data: each key of config/*.yaml with its type, its bounds and its default. Any other key is an error.

Reading, overriding and checking names against each other is the work of settings.py.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _module_attribute(name: str) -> str:
    if not re.fullmatch(r"[\w.]+:\w+", name):
        raise ValueError("expected module:function, such as my_crew.crew:crew")
    return name


ModuleAttribute = Annotated[str, AfterValidator(_module_attribute)]


SCIENTIFIC = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
WHOLE = 1e15  # beyond it a float no longer tells one count from the next


def _number(value: Any, kind: Any) -> Any:
    """1e-3 as the number that it is, for a key that takes one."""
    if not (isinstance(value, str) and {int, float} & {kind, *get_args(kind)} and SCIENTIFIC.fullmatch(value)):
        return value
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < WHOLE else number


def _is_section(kind: Any) -> bool:
    return get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, BaseModel))


class Strict(BaseModel):
    """No unknown key, no silent conversion, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _as_meant(cls, values: Any) -> Any:
        """What YAML 1.1 reads otherwise: 1e5 is a number; a section whose lines are all comments is an empty one."""
        if not isinstance(values, dict):
            return values
        kinds = {name: field.annotation for name, field in cls.model_fields.items()}
        given = {name: _number(value, kinds.get(name)) for name, value in values.items()}
        return {name: v for name, v in given.items() if not (v is None and _is_section(kinds.get(name)))}


class LocalSpec(Strict):
    """How a model of a GGUF file runs in this process. `threads`: None takes all cores; `context` is in tokens."""

    threads: int | None = Field(default=None, ge=1, le=1024)
    context: int = Field(default=8192, ge=2048)
    memory: Literal["lean", "fast"] = "lean"
    seed: int = Field(default=0, ge=0, le=2**32 - 1)


class FallbackSpec(Strict):
    """A model that is asked when the one before it has failed for good."""

    name: Text
    base_url: Text | None = None
    api_key_env: Text | None = None


Fallback = Annotated[FallbackSpec, BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value)]


class ModelSpec(Strict):
    name: Text | None = None
    base_url: Text | None = None
    api_key_env: Text | None = None
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    max_tokens: int = Field(default=2048, ge=16)
    tool_calls: Literal["native", "text"] = "native"
    stream: bool = False
    fallbacks: Annotated[list[Fallback], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)] = []


class EvidenceSpec(Strict):
    knowledge: Text = "knowledge"
    passages: int = Field(default=6, ge=1, le=50)
    full_passages: int = Field(default=2, ge=0, le=50)


class CapSpec(Strict):
    """Caps of one agent over a whole run, or of one task whoever's the calls are. What is absent is not capped here.

    An iteration is a model call without its retries; call_seconds and tool_seconds cap one call.
    """

    seconds: float | None = Field(default=None, gt=0)
    iterations: int | None = Field(default=None, ge=1)
    model_calls: int | None = Field(default=None, ge=1)
    tool_calls: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    usd: float | None = Field(default=None, gt=0)
    call_seconds: float | None = Field(default=None, gt=0)
    tool_seconds: float | None = Field(default=None, gt=0)


class LimitSpec(Strict):
    """Caps of one run. Seconds are wall-clock, tokens are prompt + completion, usd counts priced calls.

    With `strict_budget`, a call whose worst case does not fit under tokens and usd is refused.
    """

    seconds: float = Field(default=300, gt=0)
    iterations: int | None = Field(default=None, ge=1)
    model_calls: int = Field(default=30, ge=1)
    tool_calls: int = Field(default=60, ge=1)
    tokens: int = Field(default=200_000, ge=1)
    usd: float = Field(default=1.0, gt=0)
    usd_per_day: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    strict_budget: bool = False
    call_seconds: float = Field(default=60, gt=0)
    tool_seconds: float = Field(default=30, gt=0)
    retries: int = Field(default=2, ge=0, le=10)
    question_chars: int = Field(default=8000, ge=1)
    result_chars: int = Field(default=20_000, ge=500)


class LoopSpec(Strict):
    """When an agent is told that it repeats itself, and when the run ends over it: guard/loops.py has the rules."""

    enabled: bool = True
    window: int = Field(default=40, ge=5, le=1000)
    nudge: int = Field(default=3, ge=2)
    stop: int = Field(default=5, ge=3, validate_default=True)
    likeness: float = Field(default=0.8, gt=0.3, le=1)
    cycles: int = Field(default=4, ge=2)
    monologue: int = Field(default=5, ge=3)
    stagnation: int = Field(default=12, ge=4)
    exempt: list[Text] = []

    @field_validator("stop")
    @classmethod
    def _after_the_nudge(cls, stop: int, info: ValidationInfo) -> int:
        nudge = info.data.get("nudge", 0)
        if nudge >= stop:
            raise ValueError(f"expected more than loops.nudge, which is {nudge}")
        return stop


class CheckSpec(Strict):
    """What happens to a result that does not hold, and who judges it besides the rules."""

    feedback_rounds: int = Field(default=1, ge=0, le=5)
    on_unsupported: Literal["remove", "reject"] = "remove"
    judge: Text | None = None
    judge_votes: int = Field(default=1, ge=1, le=9)
    lessons: bool = True


class CacheSpec(Strict):
    """What is not paid for twice: verified answers, model calls at temperature 0, pages and searches."""

    answers: bool = True
    confirm: bool = True
    calls: bool = True
    pages: bool = True
    tenant: Text | None = None
    embedder: Text | None = None
    answer_days: float = Field(default=30, gt=0)
    call_days: float = Field(default=7, gt=0)
    page_seconds: float = Field(default=3600, ge=0)
    mb: float = Field(default=500, gt=0)


Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Tokens = Annotated[
    int, BeforeValidator(lambda key: int(key) if isinstance(key, str) and key.isdecimal() else key), Field(gt=0)
]


class RatesSpec(Strict):
    """US dollars per million tokens. What is absent costs what it is a part of: the prompt, the answer, `written`."""

    input: Rate
    output: Rate
    cached: Rate | None = None
    written: Rate | None = None
    written_long: Rate | None = None
    reasoning: Rate | None = None


class PriceSpec(RatesSpec):
    """One entry of config/prices.yaml, in force from the day `since` on; `request` is US dollars for each call.

    `above` has the rates of a whole call whose prompt is longer than so many tokens.
    """

    request: Rate = 0.0
    since: date | None = None
    above: dict[Tokens, RatesSpec] = {}


class SiteSpec(Strict):
    """How pages of one domain are read: CSS selectors by field; `content` is the text, other names are fields."""

    content: Text | None = None
    title: Text | None = None
    author: Text | None = None
    published: Text | None = None
    drop: list[Text] = []
    fields: dict[str, Text] = {}


class WebSpec(Strict):
    """How pages and services are fetched. Seconds cover everything: redirects, robots.txt, the whole body."""

    user_agent: Text = "Pilotage/0.1"
    seconds: float = Field(default=20, gt=0)
    bytes: int = Field(default=5_000_000, ge=1_000)
    redirects: int = Field(default=5, ge=0, le=20)
    delay: float = Field(default=1.0, ge=0)
    robots: bool = True
    extractor: Literal["auto", "bs4", "trafilatura"] = "auto"
    sites: dict[str, SiteSpec] = {}


class DatabaseSpec(Strict):
    """A database that query_db may read. `url` is SQLAlchemy's; ${NAME} in it comes from the environment."""

    url: Text
    tables: list[Text] = []
    rows: int = Field(default=100, ge=1, le=10_000)
    seconds: float = Field(default=5, gt=0)


class ServiceSpec(Strict):
    """A tool made of a web address: {name} takes an argument, ${NAME} a secret of the environment.

    `side_effects` says whether asking it changes something; without it, a POST does.
    """

    description: Text
    url: Text
    method: Literal["GET", "POST"] = "GET"
    arguments: dict[str, Literal["str", "int", "float", "bool"]] = {}
    headers: dict[str, Text] = {}
    body: dict[str, Any] | None = None
    fields: list[Text] = []
    side_effects: bool | None = None


class CodeSpec(Strict):
    """Caps of one run of code that an agent wrote."""

    sandbox: Literal["auto", "monty", "bubblewrap"] = "auto"
    seconds: float = Field(default=5, gt=0)
    memory_mb: int = Field(default=256, ge=16)
    output_chars: int = Field(default=10_000, ge=100)


class ToolRule(Strict):
    """What one tool may do. An absent list allows what the tool allows by itself; an empty one allows nothing."""

    domains: list[Text] | None = None
    folders: list[Text] | None = None
    calls: int | None = Field(default=None, ge=0)
    seconds: float | None = Field(default=None, gt=0)
    isolate: bool | None = None
    side_effects: bool | None = None


class PolicySpec(Strict):
    """Who may use what. With `strict`, an agent or a tool that is not named here is denied."""

    strict: bool = False
    agents: dict[str, list[Text]] = {}
    tools: dict[str, ToolRule] = {}
    allow_private_hosts: list[Text] = []


class AgentOpsSpec(Strict):
    """Where AgentOps' cloud is. What is None comes from the SDK's own variables, else it is the public cloud."""

    api_key_env: Text = "AGENTOPS_API_KEY"
    endpoint: Text | None = None
    exporter_endpoint: Text | None = None
    app_url: Text | None = None


class RecordSpec(Strict):
    """The journal, and where else sessions are sent. `sink_seconds` is the most that an end waits for those."""

    store: Text = "runs/pilotage.sqlite"
    redact: list[str] = []
    tags: list[Text] = []
    sink_seconds: float = Field(default=2.0, gt=0, le=60)


class ReplaySpec(Strict):
    """Where `pilotage replay` listens, and the variables that hold its tokens."""

    host: Text = "127.0.0.1"
    port: int = Field(default=8484, ge=0, le=65535)
    token_env: Text = "REPLAY_TOKEN"
    collector_token_env: Text = "COLLECTOR_TOKEN"


class AlertRule(Strict):
    """One rule: a figure of a run, or of a window such as "20 runs" or "24 hours", above which somebody is told."""

    when: Literal[
        "usd", "seconds", "tokens", "model_calls", "tool_calls", "errors", "loops", "budget_share",
        "failure_rate", "loop_rate", "runs",
    ]  # fmt: skip
    above: float = Field(ge=0, allow_inf_nan=False)
    over: Text = "run"
    cool_down: float = Field(default=3600, ge=0, le=315_360_000, allow_inf_nan=False)  # ten years
    to: list[Literal["terminal", "log", "webhook"]] = ["terminal", "log"]


class AlertSpec(Strict):
    rules: dict[str, AlertRule] = {}
    webhook: Text | None = None
    log: Text = "runs/alerts.log"


class EngineSpec(Strict):
    """config/pilotage.yaml."""

    question: Text | None = None
    crew: ModuleAttribute = "my_crew.crew:crew"
    tools: Text | None = None
    model: ModelSpec = ModelSpec()
    local: LocalSpec = LocalSpec()
    evidence: EvidenceSpec = EvidenceSpec()
    limits: LimitSpec = LimitSpec()
    loops: LoopSpec = LoopSpec()
    checks: CheckSpec = CheckSpec()
    cache: CacheSpec = CacheSpec()
    web: WebSpec = WebSpec()
    databases: dict[str, DatabaseSpec] = {}
    services: dict[str, ServiceSpec] = {}
    code: CodeSpec = CodeSpec()
    policy: PolicySpec = PolicySpec()
    record: RecordSpec = RecordSpec()
    agentops: AgentOpsSpec = AgentOpsSpec()
    alerts: AlertSpec = AlertSpec()
    replay: ReplaySpec = ReplaySpec()


class AgentSpec(Strict):
    """One entry of config/agents.yaml. Both caps must stand there: a missing cap is no cap."""

    role: Text
    goal: Text
    backstory: Text
    tools: list[str] = []
    llm: Text | None = None
    max_iter: int = Field(ge=1, le=1000)
    max_execution_time: int = Field(ge=1)
    limits: CapSpec = CapSpec()
    allow_delegation: bool = False


class TaskSpec(Strict):
    """One entry of config/tasks.yaml. `output_pydantic`: Findings, Verdicts, Explanation, Data, or module:Class.

    `data` is what the check of that name holds the output against: a JSON Schema file, or a model as module:Class.
    """

    description: Text
    expected_output: Text
    agent: Text
    context: list[str] = []
    output_pydantic: Text
    checks: list[Literal["findings", "verdicts", "citations", "grounding", "answer", "code", "data"]] = []
    data: Text | None = None
    limits: CapSpec = CapSpec()
