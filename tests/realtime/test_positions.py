"""What a reader is sent that comes back with a position, good or useless."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from tests.conftest import OpenStream, StartService
from tests.support.keeping import on_sqlite
from tests.support.service import API, Issued, Person, RunningService
from tests.support.stream import EventStream, Frame

SESSIONS: Final = 50


class _Desk:
    """Alice with a bot that reports and a page that reads."""

    def __init__(self, service: RunningService, stream: OpenStream, alice: Person | None = None) -> None:
        self.service = service
        self.alice = alice or service.person("alice")
        self.view = self.alice.token("view")
        self.bot = service.client(self.alice.token("report").headers)
        self._stream = stream

    def beat(self, session_id: str, **fields: Any) -> None:
        """A bot reports."""
        self.bot.post(f"{API}/heartbeat", json={"session_id": session_id, **fields}).raise_for_status()

    def read(self, position: str | None = None, token: Issued | None = None, **headers: str) -> EventStream:
        """Open the event stream."""
        headers |= (token or self.view).headers
        if position is not None:
            headers["Last-Event-ID"] = position
        stream = self._stream(self.service.api + "/events", headers)
        assert stream.status == 200
        return stream

    def whole(self, position: str) -> list[Any]:
        """Open the stream with a position that has to be answered with the whole list; that list."""
        stream = self.read(position)
        frame = stream.next()
        stream.close()
        assert frame.event == "sessions", position
        assert frame.id is not None
        return list(frame.data["sessions"])

    def missed(self, position: str, token: Issued | None = None, **headers: str) -> list[Frame]:
        """Open the stream with a position that has to be answered with what changed since; that, and the tick."""
        stream = self.read(position, token, **headers)
        stream.next("tick")
        stream.close()
        return stream.frames


@pytest.fixture
def desk(running: RunningService, stream: OpenStream) -> Iterator[_Desk]:
    """Alice on a service of her own."""
    desk = _Desk(running, stream)
    with desk.bot:
        yield desk


def _cut(stream: EventStream) -> str:
    """Cut a stream that brought its list; the position held."""
    position = stream.next("sessions").id
    stream.close()
    assert position is not None
    return position


def test_who_missed_ten_changes_gets_those_and_not_the_board(desk: _Desk) -> None:
    """Of fifty sessions ten change and one goes: ten documents, one removal, and a tick with the position."""
    ids = [str(uuid4()) for _ in range(SESSIONS)]
    for session_id in ids:
        desk.beat(session_id)
    gone = str(uuid4())
    desk.beat(gone, result={"outcome": "success"})
    position = _cut(desk.read())
    for n, session_id in enumerate(ids[:10]):
        desk.beat(session_id, counters={"jobs_found": n + 1})
    with desk.service.client(desk.alice.sign_in().headers) as person:
        person.delete(f"{API}/sessions/{gone}").raise_for_status()
    frames = desk.missed(position)
    sessions = [frame.data["session"] for frame in frames if frame.event == "session"]
    assert {one["id"]: one["jobs_found"] for one in sessions} == {id_: n + 1 for n, id_ in enumerate(ids[:10])}
    assert len(sessions) == 10
    assert [frame.data for frame in frames if frame.event == "removed"] == [{"id": gone}]
    assert [frame.event for frame in frames if frame.id is not None] == ["tick"]
    again = desk.missed(str(frames[-1].id))
    assert [frame.event for frame in again] == ["tick"]


def test_nothing_falls_into_the_gap_of_a_restart(
    start_service: StartService, stream: OpenStream, tmp_path: Path
) -> None:
    """A position of the life before is as good as any: what the new life changed comes, and nothing else."""
    folder = tmp_path / "kept"
    before = _Desk(start_service(folder=folder), stream)
    ids = [str(uuid4()) for _ in range(5)]
    with before.bot:
        for session_id in ids:
            before.beat(session_id)
        position = _cut(before.read())
        before.beat(ids[0], counters={"pages": 1})
    assert before.service.stop() == 0
    after = _Desk(start_service(folder=folder), stream, before.alice)
    with after.bot:
        after.beat(ids[1], counters={"pages": 2})
        frames = after.missed(position)
    sessions = [frame.data["session"] for frame in frames if frame.event == "session"]
    assert {one["id"]: one["counters"] for one in sessions} == {ids[0]: {"pages": 1}, ids[1]: {"pages": 2}}


@on_sqlite("each store has useless positions of its own, which the conformance suite tries")
def test_a_position_that_cannot_be_used_gets_the_whole_list(desk: _Desk) -> None:
    """Malformed ones, those of the future, and those of a life that this database does not know. Never an error."""
    ids = {str(uuid4()) for _ in range(3)}
    for session_id in ids:
        desk.beat(session_id)
    good = _cut(desk.read())
    boot, _, revision = good.partition(".")
    future = f"{boot}.{int(revision) + 1}"
    useless = [
        *("x", ".", "1.2.3", "-1", f"{boot}", f"{boot}.", f".{revision}", f"{boot}.-1", f"{boot}.{revision} "),
        *(f"{boot}.{revision}x", f"{boot}.0x1", f"{boot}." + "9" * 18, f"{boot}." + "9" * 4000, "%00", "null"),
        *(f"{boot.upper()}.{revision}" if boot.upper() != boot else "", f"{'0' * 8}.{revision}", future, "'; drop"),
    ]
    for position in useless:
        assert {session["id"] for session in desk.whole(position)} == ids
    assert [frame.event for frame in desk.missed(good)] == ["tick"]


def _backed_up(service: RunningService, target: Path) -> None:
    """Copy a store that is in use, as an operator does."""
    command = [sys.executable, "-m", "botlight.cli.main", "backup", str(target)]
    command += ["--database-url", service.settings.database_url]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 0, outcome.stderr


@on_sqlite("it is about the file; a dump that was restored has a test of its own")
def test_a_position_of_what_a_restored_backup_has_undone_gets_the_whole_list(
    start_service: StartService, stream: OpenStream, tmp_path: Path
) -> None:
    """The restored history counts on from the same number; a position of the undone one is not taken for one of it."""
    folder = tmp_path / "restored"
    before = _Desk(start_service(folder=folder), stream)
    kept, undone = str(uuid4()), str(uuid4())
    with before.bot:
        before.beat(kept)
        old = _cut(before.read())
        _backed_up(before.service, tmp_path / "copy.db")
        before.beat(kept, counters={"pages": 9})
        before.beat(undone)
        ahead = _cut(before.read())
    assert before.service.stop() == 0
    for file in folder.glob("botlight.db*"):
        file.unlink()
    shutil.copy(tmp_path / "copy.db", folder / "botlight.db")
    after = _Desk(start_service(folder=folder), stream, before.alice)
    with after.bot:
        for n in range(5):
            after.beat(kept, counters={"pages": n + 1})
        assert [(session["id"], session["counters"]) for session in after.whole(ahead)] == [(kept, {"pages": 5})]
        frames = after.missed(old)
    assert [frame.event for frame in frames] == ["session", "tick"]


def test_what_was_not_shown_at_the_cut_is_told_to_readers_of_one_bot(desk: _Desk) -> None:
    """A session that got or lost the bot's name meanwhile: the reader of that bot ends with what it may see."""
    ids = [str(uuid4()) for _ in range(4)]
    for session_id in ids[:3]:
        desk.beat(session_id, bot={"name": "shown"})
    desk.beat(ids[3], bot={"name": "other"})
    origin = "https://page.example"
    token = desk.alice.token("embed", bot="shown", origin=origin, lives_s=600)
    position = _cut(desk.read(None, token, Origin=origin))
    desk.beat(ids[0], bot={"name": "other"})
    desk.beat(ids[3], bot={"name": "shown"})
    reading = desk.read(position, token, Origin=origin)
    first = reading.next()
    assert first.event == "sessions"
    assert {session["id"] for session in first.data["sessions"]} == {ids[1], ids[2], ids[3]}
    desk.beat(ids[1], bot={"name": "other"})
    assert reading.next("removed").data == {"id": ids[1]}
    reading.close()
    again = desk.read(str(reading.frames[-1].id), token, Origin=origin)
    again.next()
    desk.beat(ids[2], bot={"name": "other"})
    assert again.next("removed").data == {"id": ids[2]}
    desk.beat(ids[0], counters={"pages": 1})
    desk.beat(ids[3], counters={"pages": 1})
    assert again.next("session").data["session"]["id"] == ids[3]


def test_a_deletion_is_told_to_those_only_who_may_have_seen_it(desk: _Desk) -> None:
    """Readers of that bot and of that session are told, at once and after a cut; a reader of another bot hears nothing."""
    kept, gone = str(uuid4()), str(uuid4())
    origin = "https://page.example"
    tokens = {
        "bot": desk.alice.token("embed", bot="shown", origin=origin, lives_s=600),
        "session": desk.alice.token("embed", session_id=gone, origin=origin, lives_s=600),
        "other": desk.alice.token("embed", bot="other", origin=origin, lives_s=600),
        "person": desk.view,
    }
    desk.beat(kept, bot={"name": "other"})
    for _ in range(2):
        desk.beat(gone, bot={"name": "shown"}, result={"outcome": "success"})
    streams = {name: desk.read(None, token, Origin=origin) for name, token in tokens.items()}
    positions = {name: stream.next("sessions").id for name, stream in streams.items()}
    _delete(desk.service, desk.alice, gone)
    desk.beat(kept, counters={"pages": 1})
    for name in ("bot", "session", "person"):
        assert streams[name].next("removed").data == {"id": gone}
    streams["other"].session(kept)
    assert not [frame for frame in streams["other"].frames if frame.event == "removed"]
    for name, token in tokens.items():
        told = [frame.data for frame in desk.missed(str(positions[name]), token, Origin=origin)]
        assert ({"id": gone} in told) is (name != "other")


def _delete(service: RunningService, person: Person, session_id: str) -> None:
    with service.client(person.sign_in().headers) as client:
        answer: httpx.Response = client.delete(f"{API}/sessions/{session_id}")
    assert answer.status_code == 204
