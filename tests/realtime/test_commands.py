"""The stream on which a bot hears of a stop, and what both kinds of streams are told before a planned end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.conftest import OpenStream
from tests.support.figures import Figures
from tests.support.service import API, Issued, RunningService
from tests.support.stream import EventStream, open_stream

MANY: Final = 15


class _Bot:
    """A bot of Alice's, with the means to listen."""

    def __init__(self, service: RunningService, token: Issued, stream: OpenStream) -> None:
        self.service = service
        self.token = token
        self.session_id = str(uuid4())
        self._stream = stream
        self._client = service.client(token.headers)

    def close(self) -> None:
        """Close its connection."""
        self._client.close()

    def report(self, **fields: Any) -> dict[str, Any]:
        """Report, and be answered."""
        answer = self._client.post(f"{API}/heartbeat", json={"session_id": self.session_id, **fields})
        return dict(answer.raise_for_status().json())

    def listen(self, instance_id: str | None = None) -> EventStream:
        """Open the command stream of an instance."""
        query = f"?session_id={self.session_id}" + (f"&instance_id={instance_id}" if instance_id else "")
        return self._stream(f"{self.service.api}/commands{query}", self.token.headers)


@pytest.fixture
def bot(shared: RunningService, stream: OpenStream) -> Iterator[_Bot]:
    """A bot of a new person's."""
    bot = _Bot(shared, shared.person().token("report"), stream)
    yield bot
    bot.close()


def _stop(service: RunningService, operate: Issued, session_id: str, reason: str) -> dict[str, Any]:
    with service.client(operate.headers) as person:
        answer = person.post(f"{API}/stop", json={"session_id": session_id, "reason": reason})
    assert answer.status_code == 202
    return dict(answer.json()["command"])


@pytest.fixture
def pair(shared: RunningService, stream: OpenStream) -> Iterator[tuple[_Bot, Issued]]:
    """A bot, and the token with which its owner stops it."""
    owner = shared.person()
    bot = _Bot(shared, owner.token("report"), stream)
    yield bot, owner.token("operate")
    bot.close()


def test_a_stop_is_pushed_the_moment_it_is_asked_for(pair: tuple[_Bot, Issued], figures: Figures) -> None:
    """`hello` says that nothing is wanted, then the command comes; pressing again brings nothing new."""
    bot, operate = pair
    bot.report(heartbeat_s=30)
    listening = bot.listen()
    hello = listening.next()
    assert hello.event == "hello"
    assert hello.data["commands"] == []
    assert hello.data["heartbeat_s"] == 30
    pressed = time.monotonic()
    command = _stop(bot.service, operate, bot.session_id, "enough")
    pushed = listening.next("command").data
    took_ms = (time.monotonic() - pressed) * 1000
    assert pushed == command
    assert pushed["type"] == "stop"
    assert pushed["reason"] == "enough"
    _stop(bot.service, operate, bot.session_id, "again")
    bot.report(commands=[{"id": command["id"], "received": True}])
    assert bot.listen(str(uuid4())).next("hello").data["commands"] == [command]
    assert [frame.event for frame in listening.frames].count("command") == 1
    assert all(frame.id is None for frame in listening.frames)
    figures.note(f"a stop reached the bot {took_ms:.0f} ms after it was pressed")


def test_hello_carries_the_level_until_the_instance_has_said_its_end(pair: tuple[_Bot, Issued]) -> None:
    """Acknowledged or not, to every instance, new ones too; only an explicit result of an instance ends it for that."""
    bot, operate = pair
    worker = str(uuid4())
    bot.report()
    bot.report(instance_id=worker, role="worker")
    command = _stop(bot.service, operate, bot.session_id, "enough")
    bot.report(commands=[{"id": command["id"], "received": True, "seen_by_bot": True}])
    for instance_id in (None, worker, str(uuid4())):
        assert bot.listen(instance_id).next("hello").data["commands"] == [command]
    bot.report(result={"outcome": "stopped"})
    assert bot.listen().next("hello").data["commands"] == []
    assert bot.listen(worker).next("hello").data["commands"] == [command]


def test_the_newest_stream_of_an_instance_wins(pair: tuple[_Bot, Issued]) -> None:
    """The older one is ended; the newer hears the command; another instance's stream is left alone."""
    bot, operate = pair
    bot.report()
    other = bot.listen(str(uuid4()))
    streams = []
    for _ in range(5):
        streams.append(bot.listen())
        streams[-1].next("hello")
    for older in streams[:-1]:
        assert older.ended()
    _stop(bot.service, operate, bot.session_id, "enough")
    for listening in (streams[-1], other):
        assert listening.next("command").data["reason"] == "enough"
    for older in streams[:-1]:
        assert "command" not in [frame.event for frame in older.frames]


def test_there_is_no_stream_of_what_is_not_the_bots_own(bot: _Bot) -> None:
    """404 for a session that nobody has, and for one of somebody else's; 422 without a session."""
    assert bot.listen().status == 404
    assert bot.listen().problem["code"] == "unknown"
    bot.report()
    stranger = bot.service.person().token("report")
    url = f"{bot.service.api}/commands?session_id={bot.session_id}"
    for address, token, status in (
        (url, stranger, 404),
        (f"{bot.service.api}/commands", bot.token, 422),
        (f"{bot.service.api}/commands?session_id=none", bot.token, 422),
    ):
        with open_stream(address, token.headers) as refused:
            assert refused.status == status
    assert bot.listen().status == 200


def test_a_deleted_session_ends_its_stream(shared: RunningService, stream: OpenStream) -> None:
    """And there is none any more."""
    owner = shared.person()
    bot = _Bot(shared, owner.token("report"), stream)
    bot.report(result={"outcome": "success"})
    listening = bot.listen()
    listening.next("hello")
    with shared.client(owner.sign_in().headers) as person:
        assert person.delete(f"{API}/sessions/{bot.session_id}").status_code == 204
    assert listening.ended()
    assert bot.listen().status == 404
    bot.close()


def test_before_a_planned_end_every_stream_is_told_when_to_come_back(
    running: RunningService, stream: OpenStream, figures: Figures
) -> None:
    """`bye`, each with another time within 20 s, then the end of the stream; the process ends within 3 s."""
    alice = running.person("alice")
    bots = [_Bot(running, alice.token("report"), stream) for _ in range(MANY)]
    view = alice.token("view")
    for bot in bots:
        bot.report()
    streams = [bot.listen() for bot in bots] + [stream(f"{running.api}/events", view.headers) for _ in bots]
    for one in streams:
        one.next()
    began = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    times = [one.next("bye").data["reconnect_after_ms"] for one in streams]
    assert all(one.ended() for one in streams)
    assert running.process.wait(10) == 0
    took = time.monotonic() - began
    assert all(isinstance(ms, int) and 0 <= ms < 20_000 for ms in times)
    assert len(set(times)) > MANY
    assert took < 3
    for bot in bots:
        bot.close()
    figures.note(f"{len(streams)} open streams were told bye, the service ended after {took:.1f} s")
