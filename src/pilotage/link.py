"""Where a run can be looked at: the cloud with a key, the local page when it is being served, else how to serve it.

Whether it is served is asked of the server that runs/replay.json names, which must serve this very store; a file that
a killed server left behind points nowhere. What is not covered: a server on another machine, and one behind a proxy.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pilotage.settings import Settings

FILE = "replay.json"  # in runs/
WAITS = 0.3  # seconds for the server's answer
LARGEST = 4096  # bytes of it
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where a server listens on every address, loopback answers


def where(settings: Settings, run: str, cloud: str | None) -> str:
    """The address of the run, or the command that serves it. Takes WAITS at most."""
    return cloud or _served(settings, run) or f"pilotage replay {run}"


def store_digest(store: Path) -> str:
    """What /healthz says of the store, so that a page of another project is not taken for this one."""
    return hashlib.sha256(str(store.resolve()).encode()).hexdigest()


def address(host: str, port: int) -> str:
    """The address to type: of a server on all addresses, the one of this machine."""
    host = ANYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether nobody on another machine can mean this host."""
    name = host.strip("[]").lower()
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _served(settings: Settings, run: str) -> str:
    """The run's page when this store is being served now; "" when not."""
    place = _place(settings.runs / FILE)
    host = place.hostname if place else None
    if place is None or host is None or not _is_ours(host, settings.engine.replay.host):
        return ""
    if _asked(ANYWHERE.get(host, host), place.port or 80).get("store") != store_digest(settings.store):
        return ""
    return f"{address(host, place.port or 80)}/sessions/{run}"


def _place(file: Path) -> SplitResult | None:
    try:
        place = urlsplit(json.loads(file.read_text("utf-8"))["url"])
        return place if place.scheme == "http" and (place.port is None or place.port > 0) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_ours(host: str, configured: str) -> bool:
    """Loopback, every address, or the one of the settings: nobody else is asked because a file says so."""
    return host in ANYWHERE or host == configured or is_loopback(host)


def _asked(host: str, port: int) -> dict[str, Any]:
    """What the server says of itself; nothing when it does not within WAITS, however slowly it speaks."""
    said: list[Any] = []

    def ask() -> None:
        connection = http.client.HTTPConnection(host, port, timeout=WAITS)
        try:
            connection.request("GET", "/healthz")
            said.append(json.loads(connection.getresponse().read(LARGEST)))
        except (OSError, ValueError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    thread = threading.Thread(target=ask, name="pilotage-link", daemon=True)
    thread.start()
    thread.join(WAITS)
    return said[0] if said and isinstance(said[0], dict) else {}
