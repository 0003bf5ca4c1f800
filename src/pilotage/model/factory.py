"""Builds the model of an agent: the built-in reader, or any CrewAI provider string, behind the door."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pilotage.errors import ConfigError
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
LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")


def model_name(settings: Settings, agent: str | None = None) -> str:
    """The model in force for an agent (or for the run): "reader" when none is named."""
    override = settings.agents[agent].llm if agent else None
    return override or settings.engine.model.name or READER


def provider_of(name: str) -> str:
    """ "anthropic" of "anthropic/claude-haiku-4-5"; a bare name is OpenAI's, as CrewAI takes it."""
    return name.split("/", 1)[0].lower() if "/" in name else "openai"


def check(settings: Settings) -> None:
    """Raise ConfigError when the model of an agent cannot work: an unset key, a variable that does not exist."""
    for agent in settings.agents:
        if (name := model_name(settings, agent)) != READER:
            try:
                find_key(name, settings.engine.model)
            except ConfigError as error:
                if settings.agents[agent].llm is None:
                    raise
                raise ConfigError(f"{agent}.llm: {error}", hint=f"{error.hint}; or drop llm in {AGENTS}") from None


def find_key(name: str, spec: ModelSpec) -> str | None:
    """The key for a model; None when it needs none. Raises ConfigError that names the variable to set."""
    if spec.api_key_env:
        key = os.environ.get(spec.api_key_env)
        if not key:
            raise ConfigError(
                f"{spec.api_key_env} is not set (model.api_key_env)", hint=f"put {spec.api_key_env}=... into .env"
            )
        return key
    variables = KEYS.get(provider_of(name), ())
    key = next((os.environ[variable] for variable in variables if os.environ.get(variable)), None)
    if key or not variables:
        return key
    if base_url(name, spec):
        return "not-needed"  # a server of one's own: the SDK wants some key
    raise ConfigError(
        f"No key for the model {name}: {' or '.join(variables)} is not set",
        hint=f"put {variables[0]}=... into .env, or leave MODEL empty for the built-in reader",
    )


def base_url(name: str, spec: ModelSpec) -> str | None:
    fallback = os.environ.get("OPENAI_BASE_URL") if provider_of(name) == "openai" else None
    return spec.base_url or fallback


def build(name: str, spec: ModelSpec, call_seconds: float) -> BaseLLM:
    """A fresh model object for one agent, the SDK's own retries off. Raises ConfigError with what is missing."""
    from crewai import LLM

    url, provider = base_url(name, spec), provider_of(name)
    if not ALLOW_MODEL_REQUESTS and not (url or "").startswith(LOOPBACK):
        raise ConfigError(f"Model requests are switched off, {name} is not built")
    options: dict[str, Any] = {
        "api_key": find_key(name, spec),
        "base_url": url,
        "temperature": spec.temperature,
        "max_tokens": spec.max_tokens,
        "timeout": call_seconds,
        "max_retries": 0,
    }
    if provider in {"gemini", "google", "bedrock", "aws"}:  # these take neither
        options = {key: value for key, value in options.items() if key not in {"timeout", "max_retries", "base_url"}}
    if url and provider == "openai":
        options["custom_openai"] = True
    try:
        return LLM(model=name, **{key: value for key, value in options.items() if value is not None})
    except (ImportError, ValueError, NotImplementedError) as error:
        extra = {"claude": "anthropic", "google": "gemini", "aws": "bedrock"}.get(provider, provider)
        extra = extra if extra in SDK_EXTRAS else "litellm"
        missing = "not available" in str(error) or "LiteLLM" in str(error)
        hint = f"uv sync --extra {extra}" if missing else "check MODEL, its key and model.base_url"
        raise ConfigError(f"The model {name} cannot be used: {str(error).splitlines()[0]}", hint=hint) from None
