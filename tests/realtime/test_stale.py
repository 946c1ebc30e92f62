"""While the service is not sure to hear changes it says so, in place of a tick; and it takes that back."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import OpenStream
from tests.durability.spoiled_service import spoiled_service
from tests.support.figures import Figures
from tests.support.service import API


@pytest.mark.parametrize("trouble", ["hang", "hang-all"])
def test_a_store_that_hangs_makes_the_picture_stale_and_not_for_ever(
    tmp_path: Path, stream: OpenStream, figures: Figures, trouble: str
) -> None:
    """`stale` within seconds, saying since when; no tick meanwhile; a tick as soon as the store answers again."""
    with spoiled_service(tmp_path) as spoiled:
        service = spoiled.service
        alice = service.person("alice")
        session_id = str(uuid4())
        with service.client(alice.token("report").headers) as bot:
            beat = {"session_id": session_id, "counters": {"jobs_found": 1}}
            bot.post(f"{API}/heartbeat", json=beat).raise_for_status()
            reading = stream(service.api + "/events", alice.token("view").headers)
            listed = reading.next("sessions")
            hung_at = time.monotonic()
            spoiled.spoil(trouble)
            stale = reading.next("stale", timeout_s=20)
            told_after = time.monotonic() - hung_at
            assert stale.id is None
            since = datetime.fromisoformat(stale.data["since"])
            told = datetime.fromisoformat(listed.data["server_time"])
            # It was sure until a moment ago, so its doubt begins near the moment at which the store hung.
            assert -5 < (since - told).total_seconds() < told_after
            assert "tick" not in {frame.event for frame in reading.frames}
            well_at = time.monotonic()
            spoiled.spoil("well")
            tick = reading.next("tick", timeout_s=14)
            sure_after = time.monotonic() - well_at
            assert tick.id is not None
            beat["counters"] = {"jobs_found": 2}
            bot.post(f"{API}/heartbeat", json=beat).raise_for_status()
            assert reading.session(session_id)["jobs_found"] == 2
    figures.note(f"{trouble}: stale after {told_after:.1f} s, sure again {sure_after:.1f} s after the store was well")


def test_a_quiet_stream_ticks(tmp_path: Path, stream: OpenStream) -> None:
    """Every 15 s, with the position of the list where nothing changed meanwhile."""
    with spoiled_service(tmp_path) as spoiled:
        alice = spoiled.service.person("alice")
        reading = stream(spoiled.service.api + "/events", alice.token("view").headers)
        position = reading.next("sessions").id
        tick = reading.next("tick", timeout_s=20)
        assert tick.id == position
        assert set(tick.data) == {"server_time"}
