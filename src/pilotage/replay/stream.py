"""Server-sent events that end when the reader leaves or the server stops: a stopping server waits for no stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse


async def still_serving(request: Request, seconds: float) -> bool:
    """Wait `seconds`; False as soon as the server stops. What a stream calls between two looks at the store."""
    stopping: asyncio.Event = request.app.state.stopping
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return True
    return False


def message(data: Any, *, event: str = "", id_: int | str | None = None) -> str:
    """One event as it goes over the wire; `data` as JSON in one line."""
    head = (f"id: {id_}\n" if id_ is not None else "") + (f"event: {event}\n" if event else "")
    return f"{head}data: {json.dumps(data)}\n\n"


def event_stream(messages: AsyncIterator[str]) -> StreamingResponse:
    """`messages` as text/event-stream; the generator is closed when the reader leaves."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(messages, media_type="text/event-stream", headers=headers)
