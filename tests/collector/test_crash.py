"""Twenty senders, a server that is killed in the middle and started again: what was acknowledged is there, once."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from sqlalchemy import select

from pilotage.collector.otlp import Received
from pilotage.record.audit import audit
from pilotage.record.journal import list_runs, read_events
from pilotage.record.store import open_store, spans
from tests.collector.serving import Process
from tests.collector.spans import new_id, protobuf, span

SENDERS, BATCH = 20, 20
CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 7}


class Sender(threading.Thread):
    """Posts batches until it is told to stop, each again until it is acknowledged, as an exporter does."""

    def __init__(self, number: int, port: int, stop: threading.Event) -> None:
        super().__init__()
        self.number, self.port, self.stop = number, port, stop
        self.acknowledged: set[tuple[str, str]] = set()
        self.repeated = 0

    def run(self) -> None:
        trace = f"{self.number + 1:032x}"
        while not self.stop.is_set():
            shared = f"{500 + self.number % 3:032x}"  # several senders add to one session
            batch = [span(CALL, trace=shared if at % 5 == 0 else trace, id=new_id()) for at in range(BATCH)]
            while not self._post(batch):
                self.repeated += 1
                time.sleep(0.05)
            self.acknowledged |= {(sent.trace, sent.id) for sent in batch}

    def _post(self, batch: list[Received]) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/v1/traces", protobuf(*batch), {"Content-Type": "application/x-protobuf"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def test_what_was_acknowledged_survives_kill_9_exactly_once_and_every_chain_verifies(store: Path) -> None:
    stop, server = threading.Event(), Process(store)
    senders = [Sender(number, server.port, stop) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(2):
            time.sleep(1)
            server.stop(signal.SIGKILL)
            server = Process(store, port=server.port)
        time.sleep(1)
    finally:
        stop.set()
        for sender in senders:
            sender.join()
        server.stop()
    acknowledged = set().union(*(sender.acknowledged for sender in senders))
    assert len(acknowledged) > 1_000
    assert any(sender.repeated for sender in senders)
    engine = open_store(store, create=False)
    listed = list_runs(engine, 100)
    for row in listed:
        found = audit(engine, row["run"])
        assert found.ok, found.reason
    recorded = Counter(
        (row["run"], event.facts["span"])
        for row in listed for event in read_events(engine, row["run"]) if event.kind == "model_call"
    )  # fmt: skip
    assert acknowledged <= set(recorded)
    assert set(recorded.values()) == {1}
    with engine.connect() as connection:
        assert {(row.run, row.span) for row in connection.execute(select(spans))} == set(recorded)
    assert sum(row["tokens"] for row in listed) == 7 * len(recorded)
