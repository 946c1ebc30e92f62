"""What the adapter's own statements cost: a heartbeat touches no index, and what is asked often is answered from one."""

from __future__ import annotations

from typing import Any, Final

import pytest

from botlight.model.session import Instant
from botlight.store.postgres.rows import columns, write_values
from botlight.store.postgres.sql import SQL
from tests.conformance.names import named
from tests.conformance.scribe import ALICE, SECOND, report
from tests.postgres.following import Followed

pytestmark = pytest.mark.anyio

UPDATES: Final = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'bot_sessions'"
NOWHERE: Final = named("")
LATEST: Final = 253_402_300_799_999_000  # the end of the year 9999, in microseconds


async def test_a_heartbeat_of_the_service_touches_no_index(service: Followed) -> None:
    """Every save of what a heartbeat changes is a HOT update, and one that ends a session is not."""
    scribe = service.scribe
    await scribe.report("s1", bot={"name": "b"})
    for n in range(1, 5):
        scribe.now = Instant(scribe.now + SECOND)
        said: dict[str, Any] = {
            "seq": n,
            "bot": {"name": "b", "version": str(n)},
            "heartbeat_s": 30 + n,
            "activity": {"name": f"a{n}", "details": {"n": n}, "n": n},
            "counters": {"jobs_found": n, "credits_used": n / 8, "pages": n},
            "progress": {"done": n, "total": 9},
            "waiting": {"seconds_left": n, "reason": "pause"},
        }
        await scribe.report("s1", **said)  # all its versions have room on one page
    await service.close()  # what a connection counted is there when it has ended
    assert service.sql.run(UPDATES) == [("4", "4")]
    await service.begin()
    await service.scribe.end("s1")
    await service.close()
    assert service.sql.run(UPDATES) == [("5", "4")]
    await service.begin()


async def test_what_is_asked_often_is_answered_from_an_index(service: Followed) -> None:
    """With many sessions of many people, ended and open: no statement of the adapter walks the table."""
    for name in ("s1", "s2"):
        await service.scribe.report(name)
    service.sql.run(
        """insert into auth.users (id) select gen_random_uuid() from generate_series(1, 20);
           insert into bot_sessions (user_id, status, outcome, ended_at, started_at)
           select u.id, 'stopped', 'stopped', now() - n * interval '1 minute', now() - n * interval '2 minutes'
           from auth.users u, generate_series(1, 400) n;
           insert into bot_sessions (user_id) select u.id from auth.users u, generate_series(1, 5);
           select botlight.open_epoch(); analyze""",
        user=service.sql.superuser,
    )
    now = service.scribe.now
    writes = [await service.scribe.draft(name, report(name, seq=2)) for name in ("s1", "s2")]
    position = (await service.position()).partition(".")[2]
    ids = [named("s1"), named("s2")]
    asked: dict[str, tuple[Any, ...]] = {
        "states": (ids,),
        "tombstones": (ids,),
        "running": ([ALICE],),
        "save": tuple(columns([write_values(write, moved=False) for write in writes])),
        "free": (ids,),
        "delete_ended": (ids, ALICE),
        "told": (ids, [ALICE], ids),
        "news": (position, 100),
        "new_facts": (ids, [0, 0], ["5"]),
        "changed": (ALICE, 2, now * 1000, None, position, 100),
        "left": (ALICE, position, now * 1000, None, 100),
        "other_bots_moved": (ALICE, position, "b"),
        "removed": (ALICE, position, None, None, 100),
        "expired": (now, 0, NOWHERE, 100, 5),
        "prunable": (0, 100),
    }
    async with service.database.writing() as connection:
        for name, values in asked.items():
            _answers_from_an_index(name, await connection.fetch(f"explain {SQL[name]}", *values))
    asked = {
        "listed": (ALICE, 2, 0, LATEST, NOWHERE, None, None, 50),
        "listed_one": (ALICE, named("s1"), None, None),
        "shown": (ids,),
        "timeline": (named("s1"), 0, 100),
        "jobs": (named("s1"), None, 0, 100),
    }
    async with service.database.person(ALICE) as connection:
        for name, values in asked.items():
            _answers_from_an_index(name, await connection.fetch(f"explain {SQL[name]}", *values))


def _answers_from_an_index(name: str, plan: list[Any]) -> None:
    lines = [row[0] for row in plan]
    walked = [line for line in lines if "Seq Scan" in line and " on bot_sessions" in line]
    assert not walked, f"{name} walks the table:\n" + "\n".join(lines)
    if name == "listed":
        assert not [line for line in lines if "Sort" in line], "\n".join(lines)
