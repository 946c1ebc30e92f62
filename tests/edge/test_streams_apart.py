"""On the streams: the owner receives each change, and nobody else receives anything."""

from __future__ import annotations

from typing import Any

from tests.conftest import OpenStream
from tests.edge.cast import BLOG
from tests.edge.conftest import NewBot
from tests.support.service import API, Person, RunningService
from tests.support.stream import EventStream, Frame


def heard_until(stream: EventStream, session_id: str) -> list[Frame]:
    """What a stream told up to the first document of one session, ticks apart."""
    stream.session(session_id)
    return [frame for frame in stream.frames if frame.event != "tick"]


def mentions(frames: list[Frame], *words: str) -> list[Frame]:
    """The frames that hold one of the words."""
    return [frame for frame in frames if any(word in str(frame.data) for word in words)]


def test_every_change_reaches_the_owner_and_nobody_else(
    running: RunningService, stream: OpenStream, new_bot: NewBot
) -> None:
    """Start, heartbeats, jobs, stop, end and deletion: the owner's stream has them all, the other person's has none."""
    owner, other = running.person("owner"), running.person("other")
    signed_in = owner.sign_in()
    theirs = [stream(f"{running.api}/events", headers) for headers in (owner.token("view").headers, signed_in.headers)]
    page = {"Origin": BLOG}
    embed = other.token("embed", lives_s=3600, bot="bot", origin=BLOG)
    others = [
        stream(f"{running.api}/events", headers)
        for headers in (other.token("view").headers, other.sign_in().headers, embed.headers | page)
    ]
    bot = new_bot(running, owner.token("report"))
    live_through_everything(running, signed_in.headers, bot)
    for reader in theirs:
        reader.until(lambda frame: frame.event == "session" and frame.data["session"]["status"] == "stopped")
        kinds = {frame.data["fact"]["kind"] for frame in reader.frames if frame.event == "fact"}
        assert {"session.started", "activity", "stop.requested", "stop.seen", "session.ended"} <= kinds
    with running.client(signed_in.headers) as client:
        assert client.delete(f"{API}/sessions/{bot.session_id}").status_code == 204
    for reader in theirs:
        assert reader.next("removed").data == {"id": bot.session_id}
    # The other person's own bot is what ends the silence: whatever would have leaked has come before it.
    marker = new_bot(running, other.token("report"))
    marker.start()
    for reader in others:
        assert mentions(heard_until(reader, marker.session_id), bot.session_id, owner.id) == []
    assert [frame for reader in theirs for frame in mentions(reader.frames, marker.session_id, other.id)] == []


def live_through_everything(running: RunningService, signed_in: dict[str, str], bot: Any) -> None:
    """A life of a session: everything that a stream could tell, deletion apart."""
    bot.start(activity={"name": "starting", "n": 1})
    job = {"key": "acme", "outcome": "applied", "title": "Engineer", "n": 1}
    bot.heartbeat(activity={"name": "applying", "n": 2}, jobs=[job], counters={"jobs_applied": 1})
    with running.client(signed_in) as client:
        command = client.post(f"{API}/stop", json={"session_id": bot.session_id}).json()["command"]["id"]
    bot.heartbeat(commands=[{"id": command, "received": True, "seen_by_bot": True}])
    bot.complete(result={"outcome": "stopped"})


def test_commands_reach_the_bot_of_the_owner_and_no_other(
    running: RunningService, stream: OpenStream, new_bot: NewBot
) -> None:
    """A stop is told to every instance of its session at once, and to no bot of another session or person."""
    owner, other = running.person("owner"), running.person("other")
    report, operate = owner.token("report"), owner.token("operate")
    wanted, beside = new_bot(running, report), new_bot(running, report)
    theirs = new_bot(running, other.token("report"))
    for bot in (wanted, beside, theirs):
        bot.start()
    hearing = stream(f"{running.api}/commands?session_id={wanted.session_id}", report.headers)
    second = stream(
        f"{running.api}/commands?session_id={wanted.session_id}&instance_id={beside.session_id}", report.headers
    )
    deaf = [
        stream(f"{running.api}/commands?session_id={beside.session_id}", report.headers),
        stream(f"{running.api}/commands?session_id={theirs.session_id}", other.token("report").headers),
    ]
    refused = stream(f"{running.api}/commands?session_id={wanted.session_id}", other.token("report").headers)
    assert (refused.status, refused.problem["code"]) == (404, "unknown")

    stop(running, operate.headers, wanted.session_id)
    told = [one.next("command").data for one in (hearing, second)]
    assert told[0] == told[1]
    # Each of the others is stopped in turn: its first command is its own.
    stop(running, operate.headers, beside.session_id)
    stop(running, other.token("operate").headers, theirs.session_id)
    for one in deaf:
        assert one.next("command").data["id"] != told[0]["id"]
        assert len([frame for frame in one.frames if frame.event == "command"]) == 1


def stop(running: RunningService, headers: dict[str, str], session_id: str) -> None:
    """Press Stop."""
    with running.client(headers) as client:
        assert client.post(f"{API}/stop", json={"session_id": session_id}).status_code == 202


def test_an_embed_stream_hears_what_it_names_without_what_is_private(
    running: RunningService, stream: OpenStream, new_bot: NewBot
) -> None:
    """The named bot's sessions without private fields and facts; no other session, not even its id."""
    owner = running.person()
    report = owner.token("report")
    named, unnamed = new_bot(running, report, "named"), new_bot(running, report, "unnamed")
    reader = stream(f"{running.api}/events", embedded(owner, bot="named"))
    unnamed.start(activity="applying")
    named.start(activity={"name": "applying", "details": {"secret": "salary"}})
    unnamed.complete()
    named.heartbeat(waiting={"seconds_left": 60, "reason": "secret reason"})
    reader.until(lambda frame: frame.event == "session" and frame.data["session"]["state"] == "waiting")
    assert mentions(reader.frames, unnamed.session_id, "secret", owner.id) == []
    assert [frame for frame in reader.frames if frame.event == "fact"] == []


def embedded(owner: Person, **what: Any) -> dict[str, str]:
    """The headers of a page with an embed token."""
    return owner.token("embed", lives_s=3600, origin=BLOG, **what).headers | {"Origin": BLOG}
