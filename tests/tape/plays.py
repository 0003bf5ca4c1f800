"""What a model over HTTP does: the good one of tests/support, with further tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.scripted import calls
from tests.support.server import good_over_http

Play = Callable[[dict[str, Any]], Any]


def searching(*further: list[tuple[str, dict[str, Any]]]) -> Play:
    """The good model, whose researcher uses further tools after its search: the calls of one turn after the other."""

    def play(request: dict[str, Any]) -> Any:
        turns = [message for message in request["messages"] if message["role"] == "assistant"]
        is_research = "Call search_knowledge" in str(request["messages"])
        if is_research and 0 < len(turns) <= len(further):
            wanted = further[len(turns) - 1]
            made = calls(*wanted)
            for number, call in enumerate(made):
                call["id"] = f"t{len(turns)}c{number}"
            return {"content": None, "tool_calls": made}
        return good_over_http(request)

    return play
