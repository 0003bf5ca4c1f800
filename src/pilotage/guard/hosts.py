"""Hosts: how one is read out of an address, which names of a rule cover it, which hosts a question names.

An address that two readers could read in two ways (a user name, a backslash, a space, an odd number for an IP address)
has no host here, and what has no host is covered by nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

ANY = "*"
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")  # what resolvers take for an IPv4 address
_URL = re.compile(r"https?://[^\s\"'<>，。；：、（）「」『』【】《》！？…]+", re.IGNORECASE)
_BARE = re.compile(
    r"(?<![\wÀ-ɏ@.-])(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,63}(?![a-z0-9_@-]|\.[a-z0-9])", re.ASCII | re.IGNORECASE
)
_FILES = {"md", "mov", "pl", "ps", "py", "sh", "so", "zip"}  # endings of files that are domains too


@dataclass(frozen=True)
class Host:
    """A host in lower-case ASCII without its last dot, and the port that is asked for, if any."""

    name: str
    port: int | None = None


def read_host(url: str) -> Host | None:
    """The host of an address, with or without a scheme; None for anything that has not exactly one.

    >>> read_host("https://Docs.Python.org/3/"), read_host("https://a.org@b.org/")
    (Host(name='docs.python.org', port=443), None)
    """
    text = url.strip()
    if "\\" in text or not text.isprintable() or any(char.isspace() for char in text):
        return None
    try:
        parts = urlsplit(text if "://" in text or text.startswith("//") else f"//{text}")
        port = PORTS.get(parts.scheme) if parts.port is None else parts.port
    except ValueError:
        return None
    name = "" if "@" in parts.netloc else _plain(parts.hostname or "")
    return Host(name, port) if name else None


def covered(host: Host, names: Iterable[str]) -> bool:
    """Whether a host is one of the names or below one: `*.example.org` and `example.org` mean the same.

    A name with a port covers that port alone; `www.example.org` covers example.org too, but nothing else below it.
    """
    return any(_covers(name, host) for name in names)


def hosts_in(text: str) -> list[str]:
    """The hosts that a text names: `https://docs.python.org/3/` and `docs.python.org` alike.

    >>> hosts_in("What does https://docs.python.org/3/ say, and example.org?")
    ['docs.python.org', 'example.org']
    """
    read = [read_host(url.rstrip(".,;:!?)]}*_")) for url in _URL.findall(text)]
    bare = [
        read_host(name) for name in _BARE.findall(_URL.sub(" ", text)) if name.rpartition(".")[2].lower() not in _FILES
    ]
    return list(dict.fromkeys(host.name for host in (*read, *bare) if host))


def _covers(name: str, host: Host) -> bool:
    wanted = _wanted(name)
    if wanted is None or wanted.port not in (None, host.port):
        return False
    same = host.name.removeprefix("www.") == wanted.name.removeprefix("www.")
    return same or host.name.endswith(f".{wanted.name}")


@lru_cache(maxsize=1024)
def _wanted(name: str) -> Host | None:
    """A name of a rule: `example.org`, `*.example.org`, `localhost:8000`, `::1`; a scheme gives no port."""
    text = name.strip().removeprefix("*.")
    text = text.partition("://")[2] or text
    return read_host(f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text)


def _plain(name: str) -> str:
    """A name in lower-case ASCII, an IP address in its usual form; "" for what is neither."""
    if not name.isascii():
        import idna  # its tables take a while to load, and hardly a name needs them

        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except UnicodeError:  # idna.IDNAError is one
            return ""
    name = name.lower().removesuffix(".")
    if ":" in name or _NUMERIC.fullmatch(name):
        try:
            return str(ip_address(name))
        except ValueError:
            return ""
    return name if _NAME.fullmatch(name) else ""
