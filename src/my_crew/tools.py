"""Your tools. Copy one, change it, name it in config/agents.yaml under `tools:`; its docstring is what models read."""

from datetime import UTC, datetime

from pilotage import tool


@tool
def today() -> str:
    """Today's date in UTC, as YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()
