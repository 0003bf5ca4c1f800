"""Which addresses may be asked: how a URL is read, which IP addresses are public, which private hosts are named.

A URL is read once, here; every later step uses what was read, so that no second reader can see another host in it.
What is not covered: a service of your own that stands on a public address, and networks that reach IPv4 only through
NAT64 (there every host looks private).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote, urlsplit

from pilotage.errors import ConfigError

IP = IPv4Address | IPv6Address

LONGEST_URL = 8192  # characters; what common servers take
SHOWN = 300  # characters of a URL in a sentence
PORTS = {"http": 80, "https": 443}
AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:@]+))(?::([0-9]{0,5}))?")
HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")
NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")  # what inet_aton and browsers take for an IPv4 address

GLOBAL_UNICAST = IPv6Network("2000::/3")  # leaves out mapped, compatible, NAT64, ULA, site-local and link-local ones
NEVER_PUBLIC = [
    ip_network(net)
    for net in (
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598)
        "168.63.129.16/32",  # Azure's host agent, from inside a virtual machine
        "192.0.0.0/24",  # IETF protocol assignments; a cloud's metadata stands on 192.0.0.192
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo and other protocol assignments
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: holds an IPv4 address
        "3fff::/20",  # documentation
    )
]
NEVER_NAMED = [ip_network("fd00:ec2::254/128"), ip_network("168.63.129.16/32")]  # metadata beside the link-local ones


class Refused(Exception):
    """Why a URL is not fetched, as the end of a sentence that begins with the URL: `answered 500`.

    `of_start` when it is about the whole way from the first URL on, not about the one that was reached.
    """

    def __init__(self, reason: str, *, of_start: bool = False, hint: str = "") -> None:
        super().__init__(reason)
        self.of_start, self.hint = of_start, hint


class NotPublic(Refused):
    """The URL leads into a network that is not the open internet."""


@dataclass(frozen=True)
class Target:
    """A URL that was read: lower-case ASCII host without a trailing dot, path with query, percent-encoded."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def entry(self) -> str:
        """The host with its port as policy.allow_private_hosts names it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    @property
    def url(self) -> str:
        return self.origin + self.path


def read_url(url: str) -> Target:
    """The parts of an absolute http or https URL; Refused for anything that two readers could read in two ways."""
    if len(url) > LONGEST_URL:
        raise Refused(f"is {len(url):,} characters long, more than {LONGEST_URL:,}")
    if any(char.isspace() or char == "\\" or not char.isprintable() for char in url):
        raise Refused("holds a space, a backslash or a control character")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Refused("is not a URL") from None
    if parts.scheme not in PORTS:
        raise Refused("is not an http or https URL")
    if "@" in parts.netloc:
        raise Refused("carries a user name or a password")
    host, port = _read_authority(parts.netloc)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~?[]")
    return Target(parts.scheme, host, port or PORTS[parts.scheme], f"{path}?{query}" if query else path)


def shown(url: str) -> str:
    """A URL for a sentence: without user name and password, printable, cut when it is long."""
    scheme, colon, rest = url.partition(":")
    if "@" in rest:
        rest = "//" + rest.rpartition("@")[2]
    text = "".join(char if char.isprintable() else "?" for char in scheme + colon + rest)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def is_public(ip: IP) -> bool:
    """True for an address of the open internet that holds no other address in it."""
    if isinstance(ip, IPv6Address) and (ip.scope_id or ip not in GLOBAL_UNICAST):
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in net for net in NEVER_PUBLIC)


def is_private_host(ip: IP) -> bool:
    """True for an address that a host named in policy.allow_private_hosts may have: no metadata, no multicast."""
    ip = getattr(ip, "ipv4_mapped", None) or ip
    never = ip.is_link_local or ip.is_multicast or ip.is_unspecified
    return not never and not any(ip in net for net in NEVER_NAMED)


@dataclass(frozen=True)
class PrivateHosts:
    """The hosts of policy.allow_private_hosts: "localhost:8000", "10.1.2.3" (any port), "[::1]:8000"."""

    names: frozenset[tuple[str, int | None]] = frozenset()

    @classmethod
    def read(cls, entries: Iterable[str]) -> PrivateHosts:
        return cls(frozenset(map(_read_entry, entries)))

    def __contains__(self, target: object) -> bool:
        if not isinstance(target, Target):
            return False
        return (target.host, target.port) in self.names or (target.host, None) in self.names


def literal(host: str) -> IP | None:
    """The IP address that a host name is, or None when it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _read_entry(entry: str) -> tuple[str, int | None]:
    authority = f"[{entry}]" if entry.count(":") > 1 and not entry.startswith("[") else entry
    try:
        return _read_authority(authority)
    except Refused:
        message = f'"{shown(entry)}" is neither a host nor host:port (policy.allow_private_hosts)'
        raise ConfigError(message, hint='write "localhost:8000" or "10.1.2.3"') from None


def _read_authority(authority: str) -> tuple[str, int | None]:
    match = AUTHORITY.fullmatch(authority)
    if not match:
        raise Refused("has no proper host")
    six, name, digits = match.groups()
    port = int(digits) if digits else None
    if port is not None and not 1 <= port <= 65535:
        raise Refused(f"asks for port {port}, which is not between 1 and 65,535")
    return _read_ipv6(six) if six else _read_name(name), port


def _read_ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        raise Refused("has an IPv6 address that is none") from None


def _read_name(name: str) -> str:
    """The name in lower-case ASCII; an IPv4 address only in its plain form of four decimal numbers."""
    host = _encode(name).lower().removesuffix(".")
    if not HOST.fullmatch(host):
        raise Refused("has no proper host")
    if NUMERIC.fullmatch(host):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise Refused("writes its IPv4 address in another form than four decimal numbers") from None
    return host


def _encode(name: str) -> str:
    if name.isascii():
        return name
    import idna  # its tables take a while to load, and hardly a URL needs them

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:  # idna.IDNAError is one
        raise Refused("has no proper host") from None
