"""A heartbeat stays cheap: its row's new version touches no index, and what is asked often is answered from one."""

from __future__ import annotations

import pytest

from tests.postgres.conftest import KINDS, Person
from tests.postgres.psql import Database, as_person

pytestmark = pytest.mark.parametrize("database", [KINDS[0]], indirect=True)  # the table is the same everywhere

HEARTBEAT = """activity = 'applying', activity_details = '{"n": 1}', activity_at = now(), jobs_found = jobs_found + 1,
    jobs_applied = jobs_applied + 1, credits_used = credits_used + 0.5, counters = '{"letters": 2}', progress_done = 1,
    progress_total = 9, progress_at = now(), waiting_until = now(), last_heartbeat_at = now(), heartbeat_s = 30,
    lease_expires_at = now() + interval '90 seconds', stop_delivered_at = now(), stop_seen_at = now(),
    status = status, bot_version = '2', instance = '{}', instances = 1"""
LIST = """select id from bot_sessions where user_id = '{user}'
    and (case status when 'running' then 0 when 'lost' then 1 else 2 end) = 2
    and coalesce(ended_at, started_at) >= now() - interval '1 day' order by coalesce(ended_at, started_at) desc, id limit 50"""


@pytest.mark.parametrize(
    "own", ["", ", revision = revision + 1, changed_xid = pg_current_xact_id(), updated_at = now()"]
)
def test_a_heartbeat_touches_no_index(database: Database, person: Person, own: str) -> None:
    """Every update of all that a heartbeat changes is a HOT one, by us and by others."""
    database.run(
        f"insert into bot_sessions (user_id) select '{person()}' from generate_series(1, 3)"
    )  # they share a page, with room for their versions
    counted = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'bot_sessions'"
    [(updates, hot)] = database.run(counted)
    for _ in range(5):
        database.run(f"update bot_sessions set {HEARTBEAT}{own}")
    with database.connection() as connection:  # what ended connections counted is there
        [(after, after_hot)] = connection.ask(counted)
    assert int(after) - int(updates) == 15
    assert int(after_hot) - int(hot) == 15


def test_a_start_and_an_end_may_touch_an_index(database: Database, person: Person) -> None:
    """The count above can tell: a change of status is in the order of the list, and not HOT."""
    database.run(f"insert into bot_sessions (user_id) values ('{person()}')")
    counted = "select n_tup_hot_upd from pg_stat_user_tables where relname = 'bot_sessions'"
    before = database.value(counted)
    database.run("update bot_sessions set status = 'lost'")
    assert database.value(counted) == before


def test_lists_are_read_from_an_index(database: Database, person: Person) -> None:
    """Of many sessions of many people a person reads one list in its order, without a sort, under row level security too."""
    user = person()
    for owner in (user, person(), person()):
        database.run(
            f"""insert into bot_sessions (user_id, status, outcome, ended_at) select '{owner}', 'stopped', 'stopped',
                now() - n * interval '1 minute' from generate_series(1, 3000) n"""
        )
    database.run("analyze bot_sessions")
    for sql in (f"explain {LIST.format(user=user)}", as_person(user, f"explain {LIST.format(user=user)}")):
        plan = "\n".join(row[0] for row in database.run(sql))
        assert "bot_sessions_list" in plan
        assert "Seq Scan" not in plan
        assert "Sort" not in plan


def test_the_reaper_walks_what_is_open(database: Database, person: Person) -> None:
    """Among many ended sessions the open ones are found by an index of their own, in the order of ids."""
    database.run(
        f"""insert into bot_sessions (user_id, status, outcome, ended_at) select '{person()}', 'stopped', 'stopped', now()
            from generate_series(1, 5000); insert into bot_sessions (user_id) select user_id from bot_sessions limit 5;
            analyze bot_sessions"""
    )
    walk = "select id from bot_sessions where status in ('running', 'lost') and id > '{}' order by id limit 1000"
    plan = "\n".join(row[0] for row in database.run("explain " + walk.format("00000000-0000-0000-0000-000000000000")))
    assert "bot_sessions_open" in plan
    assert "Seq Scan" not in plan
