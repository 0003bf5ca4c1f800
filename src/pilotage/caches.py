"""The exact caches of a project, as its runs use them: calls of models, pages and searches, in runs/cache.sqlite."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from pilotage import report
from pilotage.cache.calls import CallCache
from pilotage.cache.pages import PageCache
from pilotage.cache.store import Store

if TYPE_CHECKING:
    from pilotage.record.redact import Redactor
    from pilotage.settings import Settings
    from pilotage.web.fetch import Fetcher

NAME = "cache.sqlite"


class Caches:
    """What one Runner has. The file is opened when it is first asked; trouble with it is a warning, and a miss."""

    def __init__(self, settings: Settings, redactor: Redactor) -> None:
        self.spec, self._scope = settings.engine.cache, _scope(settings)
        self._store = Store(settings.runs / NAME, self.spec.mb, redactor, warn=lambda line: report.warn([line]))

    def calls(self, *, fresh: bool = False) -> CallCache | None:
        """The cache of model calls for one run; None when it is switched off."""
        return CallCache(self._store, self.spec.call_days, scope=self._scope, fresh=fresh) if self.spec.calls else None

    def through(self, fetcher: Fetcher, *, fresh: bool = False) -> Fetcher:
        """The same fetcher, which asks the cache first."""
        if not self.spec.pages:
            return fetcher
        return fetcher.caching(PageCache(self._store, self.spec.page_seconds, fresh=fresh))

    def close(self) -> None:
        self._store.close()


def _scope(settings: Settings) -> str:
    """Names whose calls are one another's: the same crew, under the same policy, of the same tenant."""
    engine = settings.engine
    told = [engine.crew, engine.policy.model_dump(), engine.cache.tenant]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
