"""Your tools. Copy one, change it, name it in config/agents.yaml under `tools:`; its docstring is what models read.

    @tool(timeout=5, isolate=True)      # seconds of its own; in a process that is killed when they are over

What a tool raises reaches the agent as one sentence. Which agent may call it, with which domains and folders and how
often: policy in config/pilotage.yaml.
"""

from datetime import UTC, datetime

from pilotage import tool


@tool
def today() -> str:
    """Today's date in UTC, as YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()


@tool(timeout=5)
def days_between(first: str, second: str) -> int:
    """Days from one date to another, both as YYYY-MM-DD."""
    return (datetime.fromisoformat(second) - datetime.fromisoformat(first)).days
