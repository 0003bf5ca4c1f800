"""A fetcher without patience, and what it said when it refused."""

from __future__ import annotations

from typing import Any

import pytest

from pilotage.errors import ToolError
from pilotage.spec import WebSpec
from pilotage.web import Fetcher
from tests.support.web import Server


def make(*servers: Server, private_hosts: tuple[str, ...] = (), **spec: Any) -> Fetcher:
    """A fetcher that may reach these servers under 127.0.0.1; robots.txt is not asked unless it is said."""
    values = {"seconds": 5.0, "robots": False, "delay": 0.0} | spec
    return Fetcher(WebSpec(**values), private_hosts=[*(server.host for server in servers), *private_hosts])


def refusal(fetcher: Fetcher, url: str, **options: Any) -> str:
    """The sentence of the ToolError that this fetch must raise."""
    with pytest.raises(ToolError) as caught:
        fetcher.fetch(url, **{"accept": ["text/html", "text/plain"]} | options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 500
    return sentence
