"""Pilotage: CrewAI crews whose every answer is capped, checked against its sources, and on record.

    from pilotage import run_crew
    result = run_crew("How do I stop an agent from looping?")
    print(result.outcome, result.answer)

Importing this package switches the telemetry of CrewAI and onnxruntime off (unless the environment says otherwise) and
imports nothing heavy; CrewAI itself comes with the first run.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

for _name, _value in {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime >= 1.26 on Linux and macOS: no upload, no device id in the home folder
    "ORT_TELEMETRY_DISABLED": "1",  # the same, by its other name
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # LiteLLM fetches its price list from GitHub at import otherwise
}.items():
    os.environ.setdefault(_name, _value)

if TYPE_CHECKING:
    from pilotage.checks.results import Citation, Explanation, Finding, Findings, Statement, Verdict, Verdicts
    from pilotage.crew import Kit
    from pilotage.errors import ConfigError, LimitExceeded, PilotageError, StoreError
    from pilotage.outcome import Result
    from pilotage.run import run_crew
    from pilotage.settings import Settings, load
    from pilotage.tools import tool

__version__ = "0.1.0"

_HOMES = {
    "pilotage.checks.results": ("Citation", "Explanation", "Finding", "Findings", "Statement", "Verdict", "Verdicts"),
    "pilotage.crew": ("Kit",),
    "pilotage.errors": ("ConfigError", "LimitExceeded", "PilotageError", "StoreError"),
    "pilotage.outcome": ("Result",),
    "pilotage.run": ("run_crew",),
    "pilotage.settings": ("Settings", "load"),
    "pilotage.tools": ("tool",),
}
__all__ = [
    "Citation", "ConfigError", "Explanation", "Finding", "Findings", "Kit", "LimitExceeded", "PilotageError",
    "Result", "Settings", "Statement", "StoreError", "Verdict", "Verdicts", "load", "run_crew", "tool",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
