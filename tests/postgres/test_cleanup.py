"""What the database does by itself where no Botlight serves its table."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.postgres.cluster import running_cluster
from tests.postgres.conftest import HERE, MIGRATIONS, Person
from tests.postgres.psql import Database, RefusedSql

CLEAN = "select botlight.cleanup()"
FACTS = "select kind from botlight.facts order by n"


def test_a_silent_session_is_lost_and_after_a_day_interrupted(database: Database, person: Person) -> None:
    """Silence marks it, a day of silence closes it as a guess, each with its entry in the timeline."""
    user = person()
    database.run(
        f"""insert into bot_sessions (user_id, bot_name, lease_expires_at, last_heartbeat_at) values
            ('{user}', 'silent', now() - interval '1 second', now() - interval '2 minutes'),
            ('{user}', 'heard', now() + interval '1 minute', now())"""
    )
    status = "select bot_name, status from bot_sessions order by bot_name"
    assert database.value(CLEAN) == "1"
    assert database.run(status) == [("heard", "running"), ("silent", "lost")]
    assert database.value(CLEAN) == "0"
    database.run("update bot_sessions set lease_expires_at = now() - interval '25 hours' where bot_name = 'silent'")
    assert database.value(CLEAN) == "1"
    assert database.run(status) == [("heard", "running"), ("silent", "interrupted")]
    end = "select outcome, inferred, ended_at = last_heartbeat_at from bot_sessions where bot_name = 'silent'"
    assert database.run(end) == [("interrupted", "t", "t")]
    assert database.run(FACTS) == [("session.lost",), ("session.ended",)]


def test_silence_is_left_to_the_reaper_that_could_hear(database: Database, person: Person) -> None:
    """Where a Botlight has ever listened, nobody is called lost while it is away."""
    database.run(
        f"insert into bot_sessions (user_id, lease_expires_at) values ('{person()}', now() - interval '2 days')"
    )
    database.run("insert into botlight.reaper (ticked_at) values (now() - interval '1 hour')")
    assert database.value(CLEAN) == "0"
    assert database.value("select status from bot_sessions") == "running"


def test_retention_is_by_wish_and_spares_the_living(database: Database, person: Person) -> None:
    """Nothing is deleted unless days are named; then ended sessions go with all that hangs on them, live ones stay."""
    user = person()
    database.run(
        f"""insert into bot_sessions (user_id, status, outcome, ended_at) values
            ('{user}', 'stopped', 'stopped', now() - interval '8 days'), ('{user}', 'stopped', 'stopped', now());
            insert into bot_sessions (user_id, started_at) values ('{user}', now() - interval '30 days');
            insert into botlight.facts (session_id, n, at, kind) select id, 1, now(), 'activity' from bot_sessions"""
    )
    assert database.value(CLEAN) == "0"
    assert database.value("select botlight.cleanup(retention_days => 7)") == "1"
    assert database.value("select count(*) from bot_sessions") == "2"
    assert database.value("select count(*) from botlight.facts") == "2"
    with pytest.raises(RefusedSql, match="expected at least 1"):
        database.run("select botlight.cleanup(retention_days => 0)")


def test_tombstones_stand_for_thirty_days(database: Database, person: Person) -> None:
    """A late report of a month meets one; after that nothing is kept of it."""
    for days in (29, 31):
        database.run(
            f"""insert into botlight.tombstones (session_id, user_id, revision, deleted_at)
                values (gen_random_uuid(), '{person()}', {days}, now() - interval '{days} days')"""
        )
    database.run(CLEAN)
    assert database.run("select revision from botlight.tombstones") == [("29",)]


def test_pg_cron_runs_it_once_a_minute(binaries: Path, within: Callable[[float, Callable[[], object]], None]) -> None:
    """With pg_cron there is one job however often the migration is applied, and the job does its work as the owner."""
    debian = binaries.parts[:4] == ("/", "usr", "lib", "postgresql")
    if not debian:
        pytest.skip("pg_cron is tried with Debian's PostgreSQL only")
    version = binaries.parent.name
    if not Path(f"/usr/share/postgresql/{version}/extension/pg_cron.control").exists():
        message = f"pg_cron is not installed: sudo apt-get install postgresql-{version}-cron"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    settings = {
        "shared_preload_libraries": "pg_cron",
        "cron.database_name": "scheduled",
        "cron.use_background_workers": "on",
        "max_worker_processes": "12",
    }
    with running_cluster(binaries, "supabase_admin", settings) as cluster:
        cluster.home.run((HERE / "supabase_like.sql").read_text())
        database = cluster.make_database("scheduled", "postgres")
        database.run((HERE / "supabase_like_database.sql").read_text(), user=database.superuser)
        extension = "create extension pg_cron; grant usage on schema cron to postgres; grant all on all tables in schema cron to postgres"
        database.run(extension, user=database.superuser)
        database.apply(*MIGRATIONS, *MIGRATIONS)
        jobs = "select jobname, schedule, command, username from cron.job"
        assert database.run(jobs) == [("botlight-cleanup", "* * * * *", CLEAN, "postgres")]
        database.run("insert into auth.users (id) values (gen_random_uuid())")
        lost = "insert into bot_sessions (user_id, lease_expires_at) select id, now() - interval '1 second' from auth.users"
        database.run(lost)
        within(90, lambda: database.value("select status from bot_sessions") == "lost")
