"""Both serializers, byte for byte as the clients write and read them."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botlight.edge.supabase import frames
from botlight.edge.supabase.frames import Frame, Malformed, Version

JOIN: Final = {"config": {"postgres_changes": []}, "access_token": "x"}
ref = st.none() | st.text(max_size=20)
versions = pytest.mark.parametrize("version", Version)


def written(frame: Frame, version: Version) -> bytes:
    """A message as a client writes it."""
    array = [frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload]
    names = ("join_ref", "ref", "topic", "event", "payload")
    return json.dumps(array if version is Version.ARRAY else dict(zip(names, array, strict=True))).encode()


@versions
@settings(deadline=None)
@given(join_ref=ref, own_ref=ref, topic=st.text(max_size=256), event=st.text(max_size=64))
def test_what_a_client_writes_is_read(version: Version, join_ref: Any, own_ref: Any, topic: str, event: str) -> None:
    """Every message of a client comes back as the same parts."""
    frame = Frame(join_ref=join_ref, ref=own_ref, topic=topic, event=event, payload=JOIN)
    assert frames.decode(written(frame, version), version) == frame


@versions
@settings(deadline=None)
@given(data=st.binary(max_size=60), binary=st.booleans())
def test_rubbish_is_told_from_a_message(version: Version, data: bytes, *, binary: bool) -> None:
    """Whatever comes is a message or `Malformed`, and nothing else happens."""
    try:
        frame = frames.decode(data, version, binary=binary)
    except Malformed:
        return
    assert isinstance(frame.topic, str)


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (b"", Version.OBJECT),
        (b"[]", Version.OBJECT),
        (b'{"topic": "a"}', Version.OBJECT),
        (b'{"topic": "a", "event": "e", "payload": {}, "ref": {}}', Version.OBJECT),
        (b"{}", Version.ARRAY),
        (b'[null,null,"a","e"]', Version.ARRAY),
        (b'[null,null,null,"e",{}]', Version.ARRAY),
        (b'[null,null,"a","e",' + b"[" * 5000 + b"]" * 5000 + b"]", Version.ARRAY),
        (json.dumps([None, None, "t" * 600, "e", {}]).encode(), Version.ARRAY),
        (b'[null,null,"\xff","e",{}]', Version.ARRAY),
    ],
)
def test_what_is_no_message_is_refused(data: bytes, version: Version) -> None:
    """A shape of the other serializer, a missing part, a wrong type, no UTF-8, too deep, too long."""
    with pytest.raises(Malformed):
        frames.decode(data, version)


def test_a_binary_broadcast_is_read_as_far_as_it_is_answered() -> None:
    """JavaScript sends broadcasts in bytes: the head names topic and ref, the rest stays unread."""
    data = bytes([3, 1, 2, 10, 5, 0, 1]) + b"7" + b"12" + b"realtime:x" + b"hello" + b'{"a":1}'
    frame = frames.decode(data, Version.ARRAY, binary=True)
    assert (frame.join_ref, frame.ref, frame.topic, frame.event) == ("7", "12", "realtime:x", "broadcast")


def test_what_is_said_has_the_shape_that_clients_read() -> None:
    """`ref` is always there, `system` names the channel, a close carries the join's ref twice."""
    join = Frame(ref="4", topic="realtime:x", event="phx_join")
    said: list[tuple[Frame, list[str | None]]] = [
        (frames.replied(join, {"postgres_changes": []}), ["4", "4", "phx_reply"]),
        (frames.closed("realtime:x", "4"), ["4", "4", "phx_close"]),
        (frames.failed("realtime:x", "4"), ["4", "4", "phx_error"]),
        (frames.system("realtime:x", "Subscribed to PostgreSQL", ok=True), [None, None, "system"]),
        (frames.changes("realtime:x", [5], {"type": "UPDATE"}), [None, None, "postgres_changes"]),
    ]
    for frame, (join_ref, own_ref, event) in said:
        array = json.loads(frames.encoded(frame, Version.ARRAY))
        assert array[:4] == [join_ref, own_ref, "realtime:x", event]
        assert json.loads(frames.encoded(frame, Version.OBJECT)) == {
            "topic": "realtime:x",
            "event": event,
            "payload": array[4],
            "ref": own_ref,
        }
    assert frames.system("realtime:x", "m", ok=False).payload == {
        "extension": "postgres_changes",
        "status": "error",
        "message": "m",
        "channel": "x",
    }
