"""Connections that lead only where they were checked to lead, and end with the deadline.

A host is looked up once for a connection, every address found must be permitted, and the socket connects to exactly
one of these. All waiting, down to a single byte, is bounded by one deadline.
"""

from __future__ import annotations

import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from ipaddress import ip_address
from typing import Any

from pilotage.settings import CONFIG
from pilotage.web.address import IP, NotPublic, Refused, Target, is_private_host, is_public, literal

HEAD_BYTES = 262_144  # of status line and headers, and of what frames a body
TRIED = 8  # addresses of one host that are tried in turn


class Deadline:
    """One moment for everything that a fetch does."""

    def __init__(self, seconds: float) -> None:
        self.start = time.monotonic()
        self.seconds = seconds

    def spent(self) -> float:
        return time.monotonic() - self.start

    def left(self) -> float:
        """Seconds until the deadline, more than 0; TimeoutError when it has passed."""
        left = self.seconds - self.spent()
        if left <= 0:
            raise TimeoutError
        return left


class Overrun(Exception):
    """More bytes came over the wire than may."""


class Channel:
    """What http.client takes for its socket: every read and write is bounded by the deadline, and reads are counted."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._socket, self._deadline = sock, deadline
        self.wire = _Wire(sock, deadline)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._socket.settimeout(self._deadline.left())
            view = view[self._socket.send(view[:65536]) :]

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(self.wire)

    def settimeout(self, _seconds: float | None) -> None:
        """Left to the deadline."""

    def close(self) -> None:
        """Left to `connect`: http.client closes the connection before the body is read."""


class _Wire(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._socket, self._deadline = sock, deadline
        self.budget = HEAD_BYTES
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.budget <= 0:
            raise Overrun
        self._socket.settimeout(self._deadline.left())
        count = self._socket.recv_into(buffer)
        self.budget -= count
        self.ended = self.ended or count == 0
        return count


def resolve(target: Target, deadline: Deadline, *, private: bool) -> list[IP]:
    """The addresses of the host, all of them permitted; `private` when the host is named in allow_private_hosts."""
    own = literal(target.host)
    if own is not None:
        if not private and not is_public(own):
            raise NotPublic("is not at a public address", hint=_opening(target, own))
        return [own]
    found = _look_up(target.host, target.port, deadline)
    for ip in found:
        if not (is_public(ip) or (private and is_private_host(ip))):
            hint = "" if private else _opening(target, ip)
            raise NotPublic(f"leads to {ip}, which is not a public address", hint=hint)
    return found


def _opening(target: Target, ip: IP) -> str:
    """How a network of one's own is opened; nothing for addresses that should stay closed, such as metadata."""
    if not is_private_host(ip):
        return ""
    return f'to read your own network, add "{target.entry}" to policy.allow_private_hosts in {CONFIG}'


@contextmanager
def connect(target: Target, addresses: list[IP], deadline: Deadline) -> Iterator[Channel]:
    """A channel to one of these addresses and to no other, closed with the block; over TLS for https."""
    sock = _open(target, addresses[:TRIED], deadline)
    try:
        if target.scheme == "https":
            sock.settimeout(deadline.left())
            sock = _tls().wrap_socket(sock, server_hostname=target.host)
        yield Channel(sock, deadline)
    finally:
        sock.close()


def _look_up(host: str, port: int, deadline: Deadline) -> list[IP]:
    """The system's look-up in a thread of its own, because nothing can interrupt it."""
    answers: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, name=f"look-up of {host}", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise Refused(f"cannot be reached, because the host {host} was not found")
    found = list(dict.fromkeys(ip_address(entry[4][0]) for entry in answer))
    if not found:
        raise Refused(f"cannot be reached, because the host {host} has no address")
    return found


def _open(target: Target, addresses: list[IP], deadline: Deadline) -> socket.socket:
    """A socket to the first address that answers; each gets its share of the seconds that are left."""
    reason = ""
    for index, ip in enumerate(addresses):
        sock = socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.settimeout(deadline.left() / (len(addresses) - index))
            sock.connect((str(ip), target.port))
            if ip_address(sock.getpeername()[0]) != ip:
                raise OSError("another host answered than was asked")
        except OSError as error:
            sock.close()
            reason = error.strerror or str(error)
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    deadline.left()
    raise Refused(f"could not be reached ({reason})")


@cache
def _tls() -> ssl.SSLContext:
    """The system's certificates, or those of certifi where the system has none in one file."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        import certifi

        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
