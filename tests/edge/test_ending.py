"""The end of the service: within 3 s, every stream told, every acknowledged report kept."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from tests.conftest import OpenStream, StartService
from tests.edge.conftest import NewBot
from tests.edge.raw import Raw
from tests.support.service import API, Issued, RunningService
from tests.support.stream import EventStream

END_S: Final = 3
SPREAD_MS: Final = 20_000
BOTH: Final = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


class Beating(threading.Thread):
    """A bot that reports as fast as it can, until the service is gone."""

    def __init__(self, service: RunningService, token: Issued) -> None:
        super().__init__()
        self.session_id = str(uuid4())
        self.sent = 0
        self.acknowledged = 0
        self.statuses: set[int] = set()
        self.warm = threading.Event()
        self._client = service.client(token.headers)
        self.start()

    def run(self) -> None:
        """Count up; an answer of 200 is an acknowledgement, anything else or no answer is none."""
        with self._client as client:
            while True:
                self.sent += 1
                body = {"session_id": self.session_id, "seq": self.sent, "counters": {"jobs_applied": self.sent}}
                try:
                    answer = client.post(f"{API}/heartbeat", json=body)
                except httpx.TransportError:
                    return
                self.statuses.add(answer.status_code)
                if answer.status_code == 200:
                    self.acknowledged = self.sent
                    self.warm.set()
                else:
                    time.sleep(0.01)


def streams_of(service: RunningService, stream: OpenStream, new_bot: NewBot) -> list[EventStream]:
    """Twenty open streams of one person: half on the page, half of bots. Each has had its first frame."""
    person = service.person()
    view, report = person.token("view"), person.token("report")
    bot = new_bot(service, report)
    bot.start()
    found = [stream(f"{service.api}/events", view.headers) for _ in range(10)]
    commands = f"{service.api}/commands?session_id={bot.session_id}&instance_id="
    found += [stream(f"{commands}{uuid4()}", report.headers) for _ in range(10)]
    for one in found:
        assert one.next().event in ("sessions", "hello")
    return found


@BOTH
def test_the_end_with_streams_open_and_reports_under_way(
    start_service: StartService, stream: OpenStream, new_bot: NewBot, number: signal.Signals
) -> None:
    """Gone within 3 s with exit code 0, `bye` on all 20 streams at times of their own, no acknowledged count lost."""
    service = start_service()
    streams = streams_of(service, stream, new_bot)
    person = service.person()
    bots = [Beating(service, person.token("report")) for _ in range(8)]
    for bot in bots:
        assert bot.warm.wait(20)
    began = time.monotonic()
    code = service.stop(number)
    took_s = time.monotonic() - began
    assert code == 0
    assert took_s < END_S
    for one in streams:
        assert 0 <= one.next("bye").data["reconnect_after_ms"] < SPREAD_MS
        assert one.ended()
        assert one.frames[-1].event == "bye"
    assert len({one.frames[-1].data["reconnect_after_ms"] for one in streams}) > 10
    for bot in bots:
        bot.join(20)
        assert not bot.is_alive()
        assert bot.statuses <= {200, 503}
    assert "Traceback" not in service.log
    assert "ERROR" not in service.log

    again = start_service(folder=service.folder, port=service.port)
    with again.client(person.token("view").headers) as client:
        for bot in bots:
            document: Any = client.get(f"{API}/status", params={"session_id": bot.session_id}).json()["session"]
            # The last one sent may have been kept without its answer having come back.
            assert bot.acknowledged <= document["jobs_applied"] <= bot.sent


@BOTH
def test_the_end_does_not_wait_for_a_reader_that_takes_nothing(
    start_service: StartService, number: signal.Signals
) -> None:
    """A stream that nobody reads, a half request and an idle connection hold nothing up."""
    service = start_service()
    person = service.person()
    head = f"GET {API}/events HTTP/1.1\r\nHost: localhost:{service.port}\r\n"
    stuck, half, idle = Raw(service), Raw(service), Raw(service)
    stuck.send(f"{head}Authorization: Bearer {person.token('view').secret}\r\n\r\n".encode())
    assert stuck.status() == 200
    half.send(head.encode())
    idle.send(f"GET /healthz HTTP/1.1\r\nHost: localhost:{service.port}\r\n\r\n".encode())
    assert idle.status() == 200
    flood(service, person.token("report"))
    began = time.monotonic()
    assert service.stop(number) == 0
    assert time.monotonic() - began < END_S
    for raw in (stuck, half, idle):
        raw.close()


def flood(service: RunningService, token: Issued) -> None:
    """Change a large session again and again, which a reader who takes nothing leaves lying on its socket."""
    session_id = str(uuid4())
    with service.client(token.headers) as client:
        for n in range(150):
            details = {"text": "x" * 2000}
            activity = {"name": f"step {n}", "details": details, "n": n + 1}
            body = {"session_id": session_id, "activity": activity, "counters": {f"c{i}": n for i in range(20)}}
            assert client.post(f"{API}/heartbeat", json=body).status_code == 200


def test_a_second_signal_changes_nothing(start_service: StartService, stream: OpenStream, new_bot: NewBot) -> None:
    """Somebody who presses Ctrl-C again gets the same orderly end."""
    service = start_service()
    streams = streams_of(service, stream, new_bot)
    began = time.monotonic()
    service.process.send_signal(signal.SIGINT)
    service.process.send_signal(signal.SIGINT)
    assert service.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < END_S
    assert all(one.next("bye") for one in streams)
    assert "Traceback" not in service.log


def test_nobody_gets_in_while_it_ends(start_service: StartService, stream: OpenStream, new_bot: NewBot) -> None:
    """After the end the port is free at once: the next service listens there, and readers come back to it."""
    service = start_service()
    streams = streams_of(service, stream, new_bot)
    assert service.stop() == 0
    assert all(one.ended() for one in streams)
    again = start_service(folder=service.folder, port=service.port)
    assert again.address == service.address
    token = again.person().token("view")
    assert stream(f"{again.api}/events", token.headers).next().event == "sessions"
