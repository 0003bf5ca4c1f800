"""Your tools. Copy one, change it, name it in config/agents.yaml under `tools:`. Its docstring is what the model reads."""

from datetime import UTC, datetime

from pilotage import tool


@tool
def today() -> str:
    """Today's date in UTC, as YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()
