"""The vector of a question: from the embedder of the knowledge search, or from a provider's (`cache.embedder`).

A provider is asked at /embeddings of any OpenAI-compatible server, once, without a retry; what fails costs a hit and
no run. What is not covered: its price, some millionths of a dollar, is not counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pilotage.answers.likeness import SIMILARITY
from pilotage.errors import ConfigError, ToolError
from pilotage.evidence.embedder import MODEL
from pilotage.model import factory
from pilotage.spec import ModelSpec

if TYPE_CHECKING:
    from pilotage.evidence.embedder import Embedder
    from pilotage.evidence.vectors import Floats
    from pilotage.settings import Settings

OPENAI = "https://api.openai.com/v1"
SECONDS = 10.0  # most that a provider's vector is waited for
PAUSE = 60.0  # seconds in which a provider that has failed is not asked again
LEAST_OF_PROVIDER = 0.5  # cosine below which two questions are not compared any further; MiniLM's: likeness.py


@dataclass
class Embedding:
    """What gives questions their vectors: MiniLM on this machine, or the model `name` of a provider."""

    local: Embedder | None
    name: str | None = None
    spec: ModelSpec = field(default_factory=ModelSpec)
    seconds: float = SECONDS
    _failed_at: float = -PAUSE

    @classmethod
    def of(cls, settings: Settings, local: Embedder | None) -> Embedding:
        name, model = settings.engine.cache.embedder, settings.engine.model
        if name is None:
            return cls(local)
        same = factory.provider_of(name) == factory.provider_of(factory.model_name(settings))
        return cls(local, name, model if same else ModelSpec(), min(SECONDS, settings.engine.limits.call_seconds))

    @property
    def title(self) -> str:
        """Its name, "none" where there is nothing."""
        return self.name or (MODEL if self.local else "none")

    @property
    def least(self) -> float:
        """The cosine from which two questions are compared."""
        return LEAST_OF_PROVIDER if self.name else SIMILARITY

    def vector(self, question: str) -> Floats | None:
        """None for a language that MiniLM does not know, or while a provider rests; ToolError when that fails."""
        if self.name is None:
            return self.local.embed([question])[0] if self.local and self.local.knows(question) else None
        if time.monotonic() - self._failed_at < PAUSE:
            return None
        try:
            return self._ask(self.name, question)
        except ToolError:
            self._failed_at = time.monotonic()
            raise

    def _ask(self, name: str, question: str) -> Floats:
        import requests

        url, headers = self._server(name)
        asked = {"model": name.partition("/")[2] or name, "input": question, "encoding_format": "float"}
        try:
            answer = requests.post(url, json=asked, headers=headers, timeout=self.seconds, allow_redirects=False)
            if answer.status_code != 200:
                raise ToolError(f"{name} answered {answer.status_code} (cache.embedder)")
            row = np.array(answer.json()["data"][0]["embedding"], np.float32)
        except requests.RequestException as error:
            raise ToolError(f"{name} cannot be reached: {type(error).__name__} (cache.embedder)") from None
        except (ValueError, KeyError, IndexError, TypeError):
            raise ToolError(f"{name} answered without a vector (cache.embedder)") from None
        if row.ndim != 1 or not len(row) or not np.isfinite(row).all():
            raise ToolError(f"{name} answered without a vector (cache.embedder)")
        return row

    def _server(self, name: str) -> tuple[str, dict[str, str]]:
        """Where it is asked, and with which headers."""
        base = factory.base_url(name, self.spec) or (OPENAI if factory.provider_of(name) == "openai" else "")
        if not base:
            raise ToolError(f"{name} needs an OpenAI-compatible server in model.base_url (cache.embedder)")
        if not factory.ALLOW_MODEL_REQUESTS and not base.startswith(factory.LOOPBACK):
            raise ToolError(f"Model requests are switched off, {name} is not asked")
        try:
            key = factory.find_key(name, self.spec)
        except ConfigError as error:
            raise ToolError(f"{error} (cache.embedder)") from None
        return base.rstrip("/") + "/embeddings", {"Authorization": f"Bearer {key}"} if key else {}
