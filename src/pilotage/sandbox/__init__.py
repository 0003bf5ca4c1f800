"""Running code that an agent wrote where it can do no harm: `run_code` and what comes of it, `CodeRun`."""

from __future__ import annotations

from pilotage.sandbox.plan import CodeRun
from pilotage.sandbox.run import run_code

__all__ = ["CodeRun", "run_code"]
