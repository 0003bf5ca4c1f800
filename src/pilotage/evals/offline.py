"""No network: while a tape is played, no socket of this process is connected and no name is looked up.

What is not covered: a process that a tool starts, and a connection that was there before.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SAID = "there is no network while a tape is played"


@contextmanager
def no_network() -> Iterator[None]:
    """Sockets of this machine's own kind (AF_UNIX) still connect; for all others ConnectionRefusedError."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def refusing(real: Any) -> Any:
        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family != socket.AF_UNIX:
                raise ConnectionRefusedError(SAID)
            return real(self, address)

        return guarded

    def no_name(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_FAIL, SAID)

    changes = {"connect": refusing(connect), "connect_ex": refusing(connect_ex)}
    for name, function in changes.items():
        setattr(socket.socket, name, function)
    socket.getaddrinfo = no_name
    try:
        yield
    finally:
        socket.socket.connect, socket.socket.connect_ex = connect, connect_ex  # type: ignore[method-assign]
        socket.getaddrinfo = look_up
