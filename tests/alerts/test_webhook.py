"""The webhook on loopback: what is tried again, what is not, and that no address stands in what is said."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from pilotage.alerts.webhook import SENDERS, NotDelivered, Outbox, Webhook
from tests.alerts.receiver import SECRET, Answer, hang, receiving, status

PAYLOAD = {"rule": "cost", "text": "alert cost: 다섯 – five"}
OK = status(200)


def quick(url: str) -> Webhook:
    return Webhook(url, connects=0.5, answers=0.3, pause=0.05)


def refusal(url: str) -> str:
    with pytest.raises(NotDelivered) as raised:
        quick(url).post(PAYLOAD)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
    return str(raised.value)


@pytest.mark.parametrize("number", [200, 201, 204])
def test_what_is_taken_arrives_once_as_json(number: int) -> None:
    with receiving(status(number)) as receiver:
        quick(receiver.url).post(PAYLOAD)
    assert receiver.bodies == [PAYLOAD]
    assert receiver.paths == [f"/{SECRET}"]


@pytest.mark.parametrize(
    "answers", [(status(500), status(503), OK), (hang(1.0), OK), (status(429), OK), (status(502), OK)]
)
def test_a_fault_that_passes_is_tried_again(answers: tuple[Answer, ...]) -> None:
    with receiving(*answers) as receiver:
        quick(receiver.url).post(PAYLOAD)
    assert receiver.bodies == [PAYLOAD] * len(answers)


@pytest.mark.parametrize(
    ("answer", "said"),
    [(status(500), "answered 500"), (status(429), "answered 429"), (hang(1.0), "gave no answer in time")],
)
def test_it_is_tried_three_times_and_then_said(answer: Answer, said: str) -> None:
    with receiving(answer) as receiver:
        assert refusal(receiver.url) == said
    assert len(receiver.bodies) == 3


@pytest.mark.parametrize("number", [400, 401, 403, 404, 410, 422])
def test_a_refusal_is_not_tried_again(number: int) -> None:
    with receiving(status(number)) as receiver:
        assert refusal(receiver.url) == f"answered {number}"
    assert len(receiver.bodies) == 1


@pytest.mark.parametrize("number", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(number: int) -> None:
    with receiving(OK) as other, receiving(status(number, Location=other.url)) as receiver:
        assert refusal(receiver.url) == f"answered {number}, and a redirect is not followed"
    assert (len(receiver.bodies), other.bodies) == (1, [])


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}"


def test_where_nobody_listens_it_is_said_without_the_address() -> None:
    with nobody() as url:
        assert refusal(url) == "could not be connected"


@pytest.mark.parametrize("as_date", [False, True])
def test_the_wait_that_the_server_asks_for_is_kept(as_date: bool) -> None:
    value = formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    with receiving(status(429, Retry_After=value), OK) as receiver:
        quick(receiver.url).post(PAYLOAD)
    assert receiver.times[1] - receiver.times[0] >= 0.9


def test_a_retry_after_that_cannot_be_read_is_no_fault() -> None:
    with receiving(status(503, Retry_After="soon"), OK) as receiver:
        quick(receiver.url).post(PAYLOAD)
    assert len(receiver.bodies) == 2


# --- in the background


def numbered(outbox: Outbox, count: int, told: list[str]) -> None:
    for number in range(count):
        outbox.put(lambda number=number: {"number": number}, told.append)  # type: ignore[misc]


def test_the_outbox_sends_all_and_tells_each() -> None:
    told: list[str] = []
    with receiving(OK, status(404), OK) as receiver:
        outbox = Outbox(quick(receiver.url))
        numbered(outbox, 3, told)
        assert outbox.close(5.0)
    assert sorted(told) == ["", "", "answered 404"]
    assert sorted(body["number"] for body in receiver.bodies) == [0, 1, 2]


def test_a_slow_webhook_does_not_hold_back_what_comes_behind() -> None:
    told: list[str] = []
    with receiving(hang(0.2)) as receiver:
        outbox = Outbox(Webhook(receiver.url))
        numbered(outbox, 20, told)
        assert outbox.close(2.5)  # one after the other it would take four seconds
        assert [t.name for t in threading.enumerate()].count("pilotage-webhook") <= SENDERS
    assert told == [""] * 20
    assert sorted(body["number"] for body in receiver.bodies) == list(range(20))


def test_closing_waits_no_longer_than_it_may_and_nothing_is_told_afterwards() -> None:
    told: list[str] = []
    with receiving(hang(1.0)) as receiver:
        outbox = Outbox(Webhook(receiver.url))
        outbox.put(lambda: PAYLOAD, told.append)
        began = time.monotonic()
        assert not outbox.close(0.2)
        assert time.monotonic() - began < 0.8
        time.sleep(1.2)
    assert told == []


def test_the_thread_ends_with_the_outbox() -> None:
    with receiving(OK) as receiver:
        outbox = Outbox(quick(receiver.url))
        outbox.put(lambda: PAYLOAD, lambda _reason: None)
        assert outbox.close(5.0)
    deadline = time.monotonic() + 2
    while any(t.name == "pilotage-webhook" for t in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(t.name == "pilotage-webhook" for t in threading.enumerate())


def test_a_payload_that_cannot_be_made_does_not_end_the_thread() -> None:
    told: list[str] = []

    def broken() -> dict[str, object]:
        raise KeyError("link")

    with receiving(OK) as receiver:
        outbox = Outbox(quick(receiver.url))
        outbox.put(broken, told.append)
        outbox.put(lambda: PAYLOAD, told.append)
        assert outbox.close(5.0)
    assert sorted(told) == ["", "could not be asked (KeyError)"]
