"""The bounds within which an answer is served again: another crew, policy, model, folder or tenant is another scope."""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotage import __version__
from pilotage.model.factory import base_url, model_name

if TYPE_CHECKING:
    from pilotage.settings import Settings


def scope_of(settings: Settings, folder: Path, embedder: str) -> str:
    """A digest of everything that decides what the answer to a question is, but for the documents themselves.

    `folder` is that of the documents, `embedder` the name of what makes the vectors.
    """
    engine = settings.engine
    models = {agent: model_name(settings, agent) for agent in settings.agents}
    told: dict[str, Any] = {
        "version": __version__, "knowledge": str(folder.resolve()), "embedder": embedder,
        "tenant": engine.cache.tenant, "crew": [engine.crew, _source(engine.crew)],
        "models": models, "servers": {agent: base_url(name, engine.model) for agent, name in models.items()},
        "model": engine.model.model_dump(exclude={"name", "api_key_env", "stream"}),
        **{name: getattr(engine, name).model_dump() for name in ("policy", "evidence", "checks")},
        "agents": {name: spec.model_dump() for name, spec in settings.agents.items()},
        "tasks": {name: spec.model_dump() for name, spec in settings.tasks.items()},
    }  # fmt: skip
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _source(crew: str) -> str:
    """A digest of the module that makes the crew; "" when it cannot be read: the run itself says why."""
    try:
        spec = find_spec(crew.partition(":")[0])
        return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest() if spec and spec.origin else ""
    except (ImportError, ValueError, OSError):
        return ""
