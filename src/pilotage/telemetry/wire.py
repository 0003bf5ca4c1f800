"""HTTP to one sink, by the session that OpenTelemetry's exporter is given: knows what went wrong last, and the token.

What is not covered: a proxy that needs more than requests' own variables say.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import requests
import urllib3

from pilotage.telemetry.targets import Cloud

SECONDS = 10.0  # of one request for a token, and of the answer to one of spans
LONGEST = 64 * 1024  # bytes of an answer
ATTEMPTS = 3
BACKOFF = 0.5  # seconds before the second attempt, twice that before the third
PASSING = (429, 500, 502, 503, 504)  # what a second attempt may help against
PLAIN = {"Accept-Encoding": "identity"}  # an answer is as long as it looks
OWN_HEADERS = ("content-type", "content-encoding", "user-agent")


class Undelivered(Exception):
    """A sink has not taken what it was sent; the message says why, behind the sink's name."""


class Wire(requests.Session):
    """The requests of one sink. `bearer()` is what opens it; `own_headers` leaves out those of the environment.

    `refused()` is called when the sink does not take the bearer (any more).
    """

    def __init__(
        self,
        bearer: Callable[[], str | None] | None = None,
        refused: Callable[[], object] | None = None,
        *,
        own_headers: bool = False,
    ) -> None:
        super().__init__()
        self.fault = ""
        self._bearer, self._refused, self._own_headers = bearer, refused, own_headers

    def request(self, method: Any, url: Any, **more: Any) -> requests.Response:  # type: ignore[override]
        """As requests does it; Undelivered for what OpenTelemetry would take for a success, or try for ever."""
        try:
            more["headers"] = self._headers(more.get("headers") or {}) | PLAIN
            response = super().request(method, url, **{**more, "stream": True})
            body = read(response)
            if not 200 <= response.status_code < 300:
                self.fault = f"it answered {response.status_code} {response.reason}".rstrip()
                if response.status_code in (401, 403) and self._refused:
                    self._refused()
                if response.is_redirect:
                    raise Undelivered(f"{self.fault}, and a redirect is not followed")
            elif rejected := _rejected(body):
                raise Undelivered(rejected)
            else:
                self.fault = ""
        except requests.RequestException as error:
            self.fault = reason(error)
            raise
        except Undelivered as error:
            self.fault = str(error)
            raise
        return _read_already(response, body)

    def _headers(self, given: dict[str, str]) -> dict[str, str]:
        headers = {k: v for k, v in given.items() if not self._own_headers or k.lower() in OWN_HEADERS}
        token = self._bearer() if self._bearer else None
        if token:
            headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
            headers["Authorization"] = f"Bearer {token}"
        return headers


class Token:
    """AgentOps' token for a key, asked for behind the run; whoever needs it waits for the answer.

    The SDK asks for it in an event loop whose threads hold up the end of the process, and never says what went wrong.
    """

    def __init__(
        self, cloud: Cloud, known: str | None = None, adopt: Callable[[str, str], object] | None = None
    ) -> None:
        self._cloud, self._value, self._adopt = cloud, known, adopt
        self._lock, self._asking = threading.Lock(), threading.Event()
        self._asking.set()
        self.fault = ""

    def ask(self) -> None:
        """Ask for a token when there is none and nobody asks already."""
        with self._lock:
            if self._value or not self._asking.is_set():
                return
            self._asking.clear()
            self.fault = "it has not answered to the key yet"
        threading.Thread(target=self._ask, name="pilotage-token", daemon=True).start()

    def get(self) -> str:
        """The token, when it is there; Undelivered when the key does not get one, or not in time."""
        self._asking.wait(ATTEMPTS * SECONDS)
        if not self._value:
            raise Undelivered(self.fault)
        return self._value

    def forget(self) -> None:
        """The token is not taken any more: the next session asks for another."""
        self._value = None

    def _ask(self) -> None:
        try:
            for number in range(ATTEMPTS):
                if number:
                    time.sleep(BACKOFF * number)
                if self._ask_once():
                    break
        except Exception as error:  # an answer that is none
            self.fault = f"its answer to the key cannot be read ({type(error).__name__})"
        finally:
            self._asking.set()

    def _ask_once(self) -> bool:
        """One request; False when another may help."""
        try:
            answer = requests.post(
                f"{self._cloud.endpoint.rstrip('/')}/v3/auth/token", json={"api_key": self._cloud.key},
                timeout=SECONDS, allow_redirects=False, stream=True, headers=PLAIN,
            )  # fmt: skip
            body = read(answer)
        except Undelivered as error:
            self.fault = str(error)
            return True
        except requests.RequestException as error:
            self.fault = reason(error)
            return False
        if answer.status_code != 200:
            refused = answer.status_code in (401, 403)
            said = f"it answered {answer.status_code} {answer.reason}".rstrip()
            self.fault = f"{said} to the key ({self._cloud.variable})" if refused else f"{said} to the key"
            return answer.status_code not in PASSING
        found = json.loads(body)
        token, project = str(found["token"]), str(found.get("project_id") or "")
        if self._adopt:
            self._adopt(token, project)
        self._value, self.fault = token, ""
        return True


def read(response: requests.Response) -> bytes:
    """The body of an answer, which must not be longer than LONGEST or be longer on its way than SECONDS.

    Nobody needs that of an error: it is left where it is.
    """
    until, body = time.monotonic() + SECONDS, b""
    if not 200 <= response.status_code < 300:
        response.close()
        return body
    try:
        while part := response.raw.read1(LONGEST):
            body += part
            if len(body) > LONGEST:
                response.close()
                raise Undelivered(f"its answer is longer than {LONGEST:,} bytes")
            if time.monotonic() > until:
                response.close()
                raise Undelivered(f"its answer was not whole after {SECONDS:g} s")
    except urllib3.exceptions.HTTPError as error:
        response.close()
        raise Undelivered(f"its answer is cut short ({type(error).__name__})") from None
    response.raw.release_conn()
    return body


def _read_already(response: requests.Response, body: bytes) -> requests.Response:
    """The same answer with its body at hand: `content` would ask the socket."""
    response.raw = io.BytesIO(body)
    return response


def reason(error: requests.RequestException) -> str:
    """In a few words, without the address and what may be secret in it.

    >>> reason(requests.ReadTimeout("HTTPSConnectionPool(host='x', port=443): Read timed out."))
    'it did not answer in time'
    """
    if isinstance(error, requests.Timeout):
        return "it did not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    if "refused" in str(error):
        return "the connection is refused"
    if "resolve" in str(error) or "Name or service" in str(error):
        return "its host has no address"
    return f"it cannot be reached ({type(error).__name__})"


def _rejected(body: bytes) -> str:
    """What a backend says that has taken only a part."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    if not body or body[:1] in b'{["':  # JSON, and the empty answer, mean that all was taken
        return ""
    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except Exception:  # no protobuf: another way to say that all was taken
        return ""
    many = partial.rejected_spans
    return f"it rejected {many} span{'s' * (many != 1)}: {partial.error_message[:200]}" if many else ""
