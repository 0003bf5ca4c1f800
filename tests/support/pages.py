"""The replay server in a thread of the test's process, on a free port, until the block ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pilotage.collector.tokens import Tokens
from pilotage.record.store import open_store
from pilotage.replay.app import create_app
from pilotage.replay.serve import Server, address_of, listen
from pilotage.settings import Settings


@contextmanager
def serving(settings: Settings, tokens: Tokens | None = None) -> Iterator[str]:
    """The address of the pages over the project's store, such as http://127.0.0.1:41234"""
    engine, is_up = open_store(settings.store), threading.Event()
    with listen("127.0.0.1", 0) as listener:
        server = Server(create_app(settings, engine, tokens or Tokens()), is_up.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        url = address_of(listener)
        thread.start()
        try:
            assert is_up.wait(10), "the server did not start"
            yield url
        finally:
            server.should_exit = True
            thread.join(10)
            engine.dispose()
    assert not thread.is_alive(), "the server did not stop"
