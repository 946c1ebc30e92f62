"""Rows that somebody else wrote: what is in them is read as it is meant, to the last microsecond."""

from __future__ import annotations

import pytest

from botlight.model.session import BotSession, Instant, Status
from botlight.service.ports import PageCursor, SessionFilter
from tests.conformance.names import name_of, named, names_of
from tests.conformance.scribe import ALICE, report
from tests.postgres.following import Followed

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_pages_put_together_are_the_list(service: Followed, size: int) -> None:
    """Sessions that began within one millisecond, in whatever order of their ids, come once each."""
    moments = ("12:00:00.0005", "12:00:00.0009", "12:00:00.000", "12:00:00.0005", "12:00:00.001", "11:59:59.9999")
    for name, at in zip(("c1", "a1", "b1", "a2", "d1", "e1"), moments, strict=True):
        service.sql.run(
            f"insert into bot_sessions (id, user_id, started_at) values ('{named(name)}', '{ALICE}', '2026-03-01 {at}+00')"
        )
    which = SessionFilter(user_id=ALICE, ended_since=Instant(0))
    found: list[BotSession] = []
    while page := await service.store.page(which, size, PageCursor.of(found[-1]) if found else None):
        found += page
    assert names_of(session.id for session in found) == ["d1", "a1", "a2", "c1", "b1", "e1"]


async def test_what_a_trusted_program_writes_is_what_is_shown(service: Followed) -> None:
    """Plain numbers in the columns and in the document of counters, instants with microseconds, nested details."""
    service.sql.run(
        f"""insert into bot_sessions (id, user_id, bot_name, jobs_found, credits_used, counters, activity, activity_details,
              activity_at, progress_done, progress_total, started_at)
            values ('{named("s1")}', '{ALICE}', 'their bot', 3, 0.000001, '{{"pages": 2.5, "tiny": 0.0000004, "none": 0}}',
              'typing', '{{"a": [1, null, {{"b": "ü"}}], "x": 1e3}}', '2026-03-01 12:00:00.0019+00', 4, 9,
              '2026-03-01 11:00+00')"""
    )
    await service.until(lambda: "s1" in service.newest)
    shown = service.newest["s1"]
    assert shown.totals == {"jobs_found": 3_000_000, "credits_used": 1, "pages": 2_500_000, "tiny": 0, "none": 0}
    assert shown.activity_details == {"a": [1, None, {"b": "ü"}], "x": 1000}
    assert shown.activity_at == 1_772_366_400_001
    assert (shown.bot_name, shown.progress_done, shown.status) == ("their bot", 4, Status.RUNNING)


async def test_a_bot_goes_on_in_a_row_that_somebody_else_changed(service: Followed) -> None:
    """Its next report is folded into what it finds, and leaves alone what it does not speak of."""
    await service.scribe.report("s1", counters={"jobs_found": 1}, bot={"name": "b"})
    service.sql.run("update bot_sessions set stop_requested_at = '2026-03-01 12:00:00.0005+00', stop_reason = 'by SQL'")
    change = await service.scribe.act("s1", report("s1", seq=2, counters={"jobs_found": 2}))
    assert change.session.stop_reason == "by SQL"
    assert change.session.totals == {"jobs_found": 2_000_000}
    assert name_of(change.session.id) == "s1"
    assert service.sql.value("select jobs_found from bot_sessions") == "2"
