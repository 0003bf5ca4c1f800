"""Which tokens a server starts with, and what it makes of the hosts and origins that requests name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pilotage.collector.tokens import Tokens
from pilotage.errors import ConfigError
from pilotage.replay.auth import Guard, check_exposure, read_tokens
from pilotage.settings import Settings

Load = Callable[..., Settings]
LONG = "a-token-of-more-than-16"


@pytest.mark.parametrize("name", ["REPLAY_TOKEN", "COLLECTOR_TOKEN"])
@pytest.mark.parametrize("token", ["réad-tokén", "two\x07beeps"])
def test_a_token_that_no_header_can_carry_is_refused_at_the_start(
    load: Load, monkeypatch: pytest.MonkeyPatch, name: str, token: str
) -> None:
    monkeypatch.setenv(name, token)
    with pytest.raises(ConfigError, match=f"The token in {name} has other characters than printable ASCII") as caught:
        read_tokens(load())
    assert token not in caught.value.lines()


@pytest.mark.parametrize(("read", "write", "name"), [("short", LONG, "REPLAY_TOKEN"), (LONG, "w", "COLLECTOR_TOKEN")])
def test_a_short_token_is_refused_where_other_machines_may_try(load: Load, read: str, write: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"the token in {name} has . characters of at least 16"):
        check_exposure("0.0.0.0", Tokens(read, write), load())
    check_exposure("127.0.0.1", Tokens(read, write), load())
    check_exposure("0.0.0.0", Tokens(LONG, LONG), load())


def test_a_host_that_is_none_is_misdirected() -> None:
    client = TestClient(Guard(Starlette(), Tokens()))
    assert client.get("/", headers={"Host": "[::1"}).status_code == 421
    assert client.get("/", headers={"Host": "[::1]"}).status_code == 404
