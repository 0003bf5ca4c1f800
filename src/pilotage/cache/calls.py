"""Model calls at temperature 0: an answer is served again to a request that is the same in everything that counts.

What counts: the request (messages, tools, the type that is wanted), the provider, its address and every parameter of
CrewAI's model object, the agent, and a scope. A model with a parameter that cannot be written down, such as an
interceptor of the user's, and a request or a parameter with a secret in it are never cached.
What is not covered: state that a class of the user's own keeps outside of its fields; a provider that changes a model
under the same name, until the entry is older than cache.call_days.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from pydantic import BaseModel

from pilotage.cache.store import Store
from pilotage.record.journal import digest
from pilotage.record.redact import SHORTEST_VALUE, Redactor, is_secret
from pilotage.tape.tape import Recorded

CALL = "call"
DAY = 86_400
VERSION = 1  # of what a key is made of
# what changes no answer: how long and how often is waited and asked, who is billed, and the keys
ASIDE = frozenset(("timeout", "max_retries", "retry_options", "organization", "project", "api_key", "client"))
CHAINED = ("auto_chain", "auto_chain_reasoning", "previous_response_id")  # the provider remembers what came before
CREDENTIAL = ("authorization", "cookie", "api-key", "api_key", "apikey", "token", "credential")
ADDRESS = re.compile(r"(?:API_)?(?:BASE|BASE_URL|ENDPOINT|ENDPOINT_URL\w*|VERSION|REGION)")
ALIASES = {"bedrock": ("AWS",), "gemini": ("GOOGLE",)}  # the other names that a provider's variables begin with
NAMES = {field.name for field in fields(Recorded)}
TYPES: dict[str, Any] = {  # of its fields; the others are texts
    "task": str | None, "seq": int, "tokens": int, "usd": int | float | None, "failed": bool, "read": dict,
}  # fmt: skip


class CallCache:
    """The cache of calls of one process. `scope` parts those who must not see each other's; `fresh` only fills it."""

    def __init__(self, store: Store, days: float, *, scope: str = "", fresh: bool = False) -> None:
        self._store, self._days, self._scope, self._fresh = store, days, scope, fresh

    def key_of(self, key: str, model: str, llm: Any, agent: str) -> str | None:
        """The key here of a request whose own key is `key`; None when its answer is not to be kept."""
        return cache_key(key, llm, name=model, agent=agent, scope=self._scope, redactor=self._store.redactor)

    def get(self, key: str) -> Recorded | None:
        if self._fresh:
            return None
        entry = self._store.get(CALL, key)
        if entry is None or time.time() - entry.made >= self._days * DAY:
            return None
        found = _recorded(entry.body)
        if found is None:
            self.drop(key)
        return found

    def put(self, key: str, call: Recorded) -> None:
        """Keep an answer, without the request: its key says what was asked."""
        if call.failed:
            return
        body = json.dumps(asdict(call) | {"request": ""}, ensure_ascii=False)
        about = {"model": call.model, "agent": call.agent, "task": call.task, "run": call.run, "tokens": call.tokens}
        self._store.put(
            CALL, key, body.encode("utf-8", "surrogatepass"), expires=time.time() + self._days * DAY, extra=about
        )

    def drop(self, key: str) -> None:
        """Forget an answer: a check has refused what came of it."""
        self._store.delete(CALL, key)


def cache_key(
    request_key: str, llm: Any, *, name: str, agent: str, scope: str, redactor: Redactor | None = None
) -> str | None:
    """The key of a request to `llm`; None when its temperature is not 0, or something about it has no fixed form."""
    try:
        parameters = parameters_of(llm, name)
    except Unfixed:
        return None
    if not _is_zero(parameters["fields"].pop("temperature", None)):
        return None
    asked = {"version": VERSION, "request": request_key, "agent": agent, "scope": scope, "parameters": parameters}
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    if (redactor or Redactor()).deep(parameters) != parameters:
        return None
    return digest(text)


def _recorded(body: bytes) -> Recorded | None:
    """The call that was kept; None when it is none: another version wrote it, or somebody else."""
    try:
        values = json.loads(body)
        call = Recorded(**{name: value for name, value in values.items() if name in NAMES})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return call if all(isinstance(getattr(call, name), TYPES.get(name, str)) for name in NAMES) else None


class Unfixed(Exception):
    """A parameter that is not data: two objects of the same settings cannot be told to be the same."""


def parameters_of(llm: Any, name: str) -> dict[str, Any]:
    """Everything about a CrewAI model object that changes its answers, as JSON; no secret. Unfixed when that fails."""
    known = getattr(type(llm), "model_fields", None)
    if known is None:
        raise Unfixed("no pydantic model")
    values = {field: getattr(llm, field, None) for field in known} | (getattr(llm, "model_extra", None) or {})
    if any(values.get(field) for field in CHAINED):
        raise Unfixed("an answer depends on what the provider remembers")
    values["stop"] = list(getattr(llm, "stop_sequences", None) or values.get("stop") or [])  # as of this call
    more = values.get("additional_params")
    if isinstance(more, Mapping) and "temperature" in more:  # it is what is sent
        values["temperature"] = more["temperature"]
    return {"name": name, "class": _class_of(llm), "address": _addresses(llm), "fields": _fixed(values)}


def _fixed(value: Any) -> Any:
    """The value as JSON that is the same for the same settings; without what is not set, secret, or changes nothing."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case type() if issubclass(value, BaseModel):
            return {"schema": value.model_json_schema()}
        case BaseModel():
            return _fixed(dict(value))
        case Mapping():
            kept = {str(name): item for name, item in value.items() if item is not None}
            return {name: _fixed(item) for name, item in kept.items() if not _is_aside(name, item)}
        case set() | frozenset():
            return sorted((_fixed(item) for item in value), key=repr)
        case list() | tuple():
            return [_fixed(item) for item in value]
    raise Unfixed(f"a {type(value).__name__} has no fixed form")


def _is_aside(name: str, value: Any) -> bool:
    """Whether a field or a header stays out of the key: it changes no answer, or may be a secret.

    Amounts and short words are none: max_tokens, stop_token.
    """
    lower = name.lower()
    if lower in ASIDE:
        return True
    looks_secret = is_secret(name) or any(word in lower for word in CREDENTIAL)
    return looks_secret and not _is_harmless(value)


def _is_harmless(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_harmless, value))
    return isinstance(value, int | float) or (isinstance(value, str) and len(value) < SHORTEST_VALUE)


def _addresses(llm: Any) -> dict[str, str]:
    """Where the SDK goes without a field that says so: by the provider's variables, by Bedrock's client."""
    provider = str(getattr(llm, "provider", "") or "").lower()
    starts = tuple(f"{start}_" for start in (provider.upper().replace("-", "_"), *ALIASES.get(provider, ())) if start)
    found = {name: value for name, value in os.environ.items() if _is_address(name, starts)}
    client = getattr(getattr(llm, "_client", None), "meta", None)
    endpoint = getattr(client, "endpoint_url", None)
    return found | ({"endpoint_url": endpoint} if isinstance(endpoint, str) else {})


def _is_address(name: str, starts: tuple[str, ...]) -> bool:
    start = next((start for start in starts if name.startswith(start)), "")
    return bool(start and ADDRESS.fullmatch(name.removeprefix(start)))


def _class_of(llm: Any) -> str:
    """The provider's class, not the one that the door has put in its place."""
    own = next(kind for kind in type(llm).__mro__ if not kind.__module__.startswith("pilotage.model.subclass"))
    return f"{own.__module__}.{own.__qualname__}"


def _is_zero(temperature: Any) -> bool:
    return isinstance(temperature, int | float) and not isinstance(temperature, bool) and temperature == 0
