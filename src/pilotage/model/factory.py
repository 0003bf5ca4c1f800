"""Builds the model of an agent: the built-in reader, a GGUF file, or any CrewAI provider string, behind the door."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pilotage.errors import ConfigError
from pilotage.model.gguf import file as gguf
from pilotage.model.prices import Prices
from pilotage.settings import AGENTS, Settings
from pilotage.spec import ModelSpec

if TYPE_CHECKING:
    from crewai import BaseLLM

READER = "reader"
READER_NOTICE = (
    "model: the built-in reader; it quotes the documents and does not reason. "
    "For a language model set MODEL, e.g. MODEL=openai/gpt-4o-mini with its key in .env"
)
ALLOW_MODEL_REQUESTS = True
"""Set to False (tests do) and no model but the reader can be built, besides servers on this machine."""

KEYS = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "claude": ("ANTHROPIC_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "google": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "azure": ("AZURE_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "cerebras": ("CEREBRAS_API_KEY",),
    "dashscope": ("DASHSCOPE_API_KEY",),
    "deepinfra": ("DEEPINFRA_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
}
SDK_EXTRAS = {"anthropic", "azure", "bedrock", "gemini", "litellm"}  # extras of pyproject.toml
GEMINI, BEDROCK = ("gemini", "google"), ("bedrock", "aws")
LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")


def model_name(settings: Settings, agent: str | None = None) -> str:
    """The model in force for an agent (or for the run): "reader" when none is named."""
    override = settings.agents[agent].llm if agent else None
    return override or settings.engine.model.name or READER


def provider_of(name: str) -> str:
    """ "anthropic" of "anthropic/claude-haiku-4-5"; a bare name is OpenAI's, as CrewAI takes it."""
    if gguf.is_local(name):
        return gguf.PREFIX.rstrip(":")
    return name.split("/", 1)[0].lower() if "/" in name else "openai"


def full_name(name: str) -> str:
    """ "openai/gpt-4o" of "gpt-4o"; other names as they are."""
    return name if "/" in name or gguf.is_local(name) else f"openai/{name}"


def check(settings: Settings) -> None:
    """Raise ConfigError when the model of an agent, or a fallback, cannot work: no such address, an unset key."""
    model = settings.engine.model
    for agent in settings.agents:
        if (name := model_name(settings, agent)) != READER:
            _check_address(name, model, "model")
            try:
                _check_file(name, settings)
                find_key(name, model)
            except ConfigError as error:
                if settings.agents[agent].llm is None:
                    raise
                raise ConfigError(f"{agent}.llm: {error}", hint=f"{error.hint}; or drop llm in {AGENTS}") from None
    for key, spec in keyed_fallbacks(settings).items():
        if spec.name and spec.name != READER:
            _check_address(spec.name, spec, key)
            with named(key):
                _check_file(spec.name, settings)
            find_key(spec.name, spec, key)


def asked(settings: Settings) -> list[str]:
    """The models that a run may ask, fallbacks included, each once and without the built-in reader."""
    names = [model_name(settings, agent) for agent in settings.agents]
    names += [spec.name or "" for spec in keyed_fallbacks(settings).values()]
    return [name for name in dict.fromkeys(names) if name != READER]


def warnings(settings: Settings) -> list[str]:
    """What a strict budget cannot promise, because nobody lists the price of a model."""
    strict, prices = settings.engine.limits.strict_budget, Prices(settings.prices)
    unpriced = ", ".join(name for name in asked(settings) if strict and prices.of(name) is None)
    return [f"limits.usd cannot bind {unpriced}, which nobody prices; limits.tokens does"] if unpriced else []


def warm(settings: Settings) -> None:
    """Before the clock of a run starts: load the GGUF files of the agents, and import what OpenAI's SDK would import
    with its first request, half a second. Raises ConfigError for a file that llama.cpp cannot load.
    """
    names = asked(settings)
    if any(not gguf.is_local(name) for name in names):
        import_module("openai.resources")
    for name in dict.fromkeys(model_name(settings, agent) for agent in settings.agents):
        if gguf.is_local(name):
            from pilotage.model.gguf.model import LocalModel

            LocalModel.open(gguf.path_of(name, settings.root), settings.engine.local)


def keyed_fallbacks(settings: Settings) -> dict[str, ModelSpec]:
    """Each of model.fallbacks as a model set by itself, by where it stands: `model.fallbacks[0]`; none stands twice.

    The server and its key stay those of `model` for a model of the same provider that names no other.
    """
    model = settings.engine.model
    if all(model_name(settings, agent) == READER for agent in settings.agents):
        return {}
    _check_reader(model)
    found: dict[tuple[str | None, ...], tuple[str, ModelSpec]] = {}
    for number, fallback in enumerate(model.fallbacks):
        own = fallback.base_url or provider_of(fallback.name) != provider_of(model_name(settings))
        server = {"base_url": None, "api_key_env": None} if own else {}
        given = fallback.model_dump(exclude_none=True)
        spec = model.model_copy(update={**server, **given, "fallbacks": []})
        same = (full_name(fallback.name), spec.base_url, spec.api_key_env)
        found.setdefault(same, (f"model.fallbacks[{number}]", spec))
    return dict(found.values())


def _check_reader(model: ModelSpec) -> None:
    names = [fallback.name for fallback in model.fallbacks]
    if READER in names[:-1]:
        raise ConfigError("model.fallbacks: nothing comes after the reader, which never fails", hint="put it last")
    if READER in names and model.tool_calls != "native":
        problem = "model.fallbacks: the reader cannot go on from calls in words (model.tool_calls)"
        raise ConfigError(problem, hint="set model.tool_calls to native, or drop reader")


@contextmanager
def named(key: str) -> Iterator[None]:
    """A ConfigError begins with the key that it is about."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}", hint=error.hint) from None


def find_key(name: str, spec: ModelSpec, at: str = "model") -> str | None:
    """The key for a model; None when it needs none. Raises ConfigError that names the variable to set.

    `at` is where the model stands in the settings: model, or model.fallbacks[0].
    """
    variables = (spec.api_key_env,) if spec.api_key_env else KEYS.get(provider_of(name), ())
    key = next((os.environ[variable] for variable in variables if os.environ.get(variable)), None)
    if key or not variables:
        return key
    put = f"put {variables[0]}=... into .env"
    drop = "" if at == "model" else ", or take it out of model.fallbacks"
    if spec.api_key_env:
        raise ConfigError(f"{spec.api_key_env} is not set ({at}.api_key_env)", hint=put + drop)
    if base_url(name, spec):
        return "not-needed"  # a server of one's own: the SDK wants some key
    said = f"No key for the model {name}: {' or '.join(variables)} is not set"
    if drop:
        raise ConfigError(f"{at}: {said}", hint=put + drop)
    raise ConfigError(said, hint=f"{put}, or leave MODEL empty for the built-in reader")


def _check_file(name: str, settings: Settings) -> None:
    if gguf.is_local(name):
        gguf.check(gguf.path_of(name, settings.root), settings.engine.local.context)


def _check_address(name: str, spec: ModelSpec, at: str) -> None:
    url, key = base_url(name, spec), f"{at}.base_url" if spec.base_url else "OPENAI_BASE_URL"
    if url and not _is_address(url):  # not shown: it may hold a key
        raise ConfigError(f"{key} is no http(s) address", hint="write it like http://127.0.0.1:8000/v1")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the port, or of what stands in brackets
        return False


def base_url(name: str, spec: ModelSpec) -> str | None:
    fallback = os.environ.get("OPENAI_BASE_URL") if provider_of(name) == "openai" else None
    return spec.base_url or fallback


def build(
    name: str, spec: ModelSpec, call_seconds: float, settings: Settings | None = None, question: str = ""
) -> BaseLLM:  # fmt: skip
    """A fresh model object, the SDK's own retries off and its time-out set. Raises ConfigError with what is missing.

    A GGUF file is found by `settings`: its path may begin at the project's root, and `local` says how it runs. It also
    wants to know the run's question.
    """
    if gguf.is_local(name):
        return _build_local(name, spec, settings, question)
    from crewai import LLM

    url, provider = base_url(name, spec), provider_of(name)
    if not ALLOW_MODEL_REQUESTS and not (url or "").startswith(LOOPBACK):
        raise ConfigError(f"Model requests are switched off, {name} is not built")
    common = {"api_key": find_key(name, spec), "temperature": spec.temperature, "stream": spec.stream or None}
    options = common | _options(provider, url, spec.max_tokens, call_seconds)
    try:
        llm = LLM(model=name, **{key: value for key, value in options.items() if value is not None})
        return _without_retries(llm, provider, url, call_seconds)
    except (ImportError, ValueError, NotImplementedError) as error:
        extra = {"claude": "anthropic", "google": "gemini", "aws": "bedrock"}.get(provider, provider)
        extra = extra if extra in SDK_EXTRAS else "litellm"
        missing = "not available" in str(error) or "LiteLLM" in str(error)
        hint = f"uv sync --extra {extra}" if missing else "check MODEL, its key and model.base_url"
        raise ConfigError(f"The model {name} cannot be used: {str(error).splitlines()[0]}", hint=hint) from None


def _build_local(name: str, spec: ModelSpec, settings: Settings | None, question: str) -> BaseLLM:
    from pilotage.model.gguf.llm import Gguf

    if settings is None:
        raise ConfigError(f"{name} needs the project's settings to be found", hint="name it in model.name or llm")
    path, local = gguf.path_of(name, settings.root), settings.engine.local
    return Gguf.of(
        name, path, local, max_tokens=spec.max_tokens, temperature=spec.temperature, prompts=settings.prompts,
        question=question,
    )  # fmt: skip


def _options(provider: str, url: str | None, max_tokens: int, seconds: float) -> dict[str, Any]:
    """Address, length, time-out and no retries, by the names that the provider's class has for them."""
    if provider in GEMINI:
        http = {"timeout": math.ceil(seconds * 1000), "base_url": url, "retry_options": {"attempts": 1}}
        http = {key: value for key, value in http.items() if value is not None}
        return {"max_output_tokens": max_tokens, "client_params": {"http_options": http}}
    if provider in BEDROCK:
        return {"max_tokens": max_tokens}
    address = {"endpoint": url} if provider == "azure" else {"base_url": url}
    custom = {"custom_openai": True} if url and provider == "openai" else {}
    return {**address, **custom, "max_tokens": max_tokens, "timeout": seconds, "max_retries": 0}


def _without_retries(llm: Any, provider: str, url: str | None, seconds: float) -> BaseLLM:
    """Bedrock's and Azure's classes (crewai 1.15) take neither retries nor time-out: their SDK asks four times."""
    if provider in BEDROCK:
        limits = import_module("botocore.config").Config(
            read_timeout=seconds, connect_timeout=seconds, retries={"total_max_attempts": 1}
        )
        keys = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region_name")
        session = import_module("boto3.session").Session(**{key: getattr(llm, key) for key in keys})
        llm._client = session.client("bedrock-runtime", config=limits, endpoint_url=url)
    elif provider == "azure":
        limits = {"retry_total": 0, "read_timeout": seconds, "connection_timeout": seconds}
        client = import_module("azure.ai.inference").ChatCompletionsClient
        llm._client = client(**llm._make_client_kwargs(), **limits)
    built: BaseLLM = llm
    return built
