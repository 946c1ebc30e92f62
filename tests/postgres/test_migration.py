"""The files apply where they have to, twice, in one transaction each, without a superuser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.postgres.conftest import KINDS, MIGRATIONS, PLAIN, SHIM, SUPABASE, SUPABASE_OLD, Blank
from tests.postgres.psql import Database, RefusedSql

CATALOGUE = """
select 'relation', n.nspname || '.' || c.relname || ' ' || c.relkind::text || ' ' || coalesce((select string_agg(a::text, ' ' order by a::text) from unnest(c.relacl) a), '-')
  || c.relrowsecurity || c.relreplident::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('public', 'botlight')
union all select 'column', attrelid::regclass || '.' || attname || ' ' || coalesce(attacl::text, '-')
  from pg_attribute where attrelid in (select oid from pg_class where relnamespace in ('public'::regnamespace, 'botlight'::regnamespace))
union all select 'constraint', conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
  where connamespace in ('public'::regnamespace, 'botlight'::regnamespace)
union all select 'function', oid::regprocedure || ' ' || coalesce(proacl::text, '-') || md5(prosrc) from pg_proc
  where pronamespace = 'botlight'::regnamespace
union all select 'policy', polrelid::regclass || ' ' || polname || ' ' || coalesce(pg_get_expr(polqual, polrelid), '-')
  || polroles::regrole[]::text from pg_policy
union all select 'trigger', tgrelid::regclass || ' ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
union all select 'published', pubname || ' ' || schemaname || '.' || tablename from pg_publication_tables
union all select 'floor', xid::text from botlight.floor
order by 1, 2
"""


@pytest.mark.parametrize("kind", KINDS)
def test_applies_twice_without_a_superuser(kind: str, blank: Blank) -> None:
    """The owner is no superuser; a second application changes nothing and fails at nothing, also with rows in the tables."""
    database = blank(kind)
    assert database.value("select rolsuper from pg_roles where rolname = current_user") == "f"
    if kind == PLAIN:
        database.apply(SHIM, SHIM, user=database.superuser)
    database.apply(*MIGRATIONS)
    first = database.run(CATALOGUE)
    database.run("insert into auth.users (id) values (gen_random_uuid())", user=database.superuser)
    database.run("insert into bot_sessions (user_id) select id from auth.users")
    if kind == PLAIN:
        database.apply(SHIM, user=database.superuser)
    database.apply(*MIGRATIONS)
    assert database.run(CATALOGUE) == first
    assert database.value("select count(*) from bot_sessions") == "1"


def test_old_and_new_projects_end_up_the_same(migrated: Callable[[str], Database]) -> None:
    """Whether Supabase grants everything by default or nothing, the tables and functions have the same rights."""
    assert migrated(SUPABASE_OLD).run(CATALOGUE) == migrated(SUPABASE).run(CATALOGUE)


def test_the_shim_refuses_supabase(blank: Blank) -> None:
    """On a Supabase project the shim changes nothing and says why."""
    database = blank(SUPABASE)
    with pytest.raises(RefusedSql, match="must not be applied here"):
        database.apply(SHIM, user=database.superuser)
    assert (
        database.value("select count(*) from pg_proc where pronamespace = 'auth'::regnamespace and proname = 'jwt'")
        == "0"
    )


def test_without_the_shim_plain_postgres_is_told_what_is_missing(blank: Blank) -> None:
    """A migration without what it needs fails whole: nothing of it is left."""
    database = blank(PLAIN)
    with pytest.raises(RefusedSql):
        database.apply(*MIGRATIONS)
    assert database.value("select count(*) from pg_namespace where nspname = 'botlight'") == "0"


def test_names_follow_supabase() -> None:
    """`supabase db push` takes files by this name only, in this order."""
    assert MIGRATIONS[0].name == "20260121000001_bot_sessions.sql"
    assert all(re.fullmatch(r"\d{14}_[a-z_]+\.sql", file.name) for file in MIGRATIONS)


def test_published_once(database: Database) -> None:
    """The table is a member of Supabase's publication, the internal ones are not."""
    published = database.run(
        "select schemaname, tablename from pg_publication_tables where pubname = 'supabase_realtime'"
    )
    assert published == [("public", "bot_sessions")]


def test_a_publication_of_all_tables_is_left_alone(blank: Blank) -> None:
    """Where somebody publishes everything, there is nothing to add, and adding would fail."""
    database = blank(SUPABASE)
    database.run(
        "drop publication supabase_realtime; create publication supabase_realtime for all tables",
        user=database.superuser,
    )
    database.apply(*MIGRATIONS, *MIGRATIONS)
    assert database.value("select puballtables from pg_publication") == "t"


def test_without_a_publication(blank: Blank) -> None:
    """A database without Realtime takes the migrations as well."""
    database = blank(SUPABASE)
    database.run("drop publication supabase_realtime")
    database.apply(*MIGRATIONS)
    assert database.value("select count(*) from pg_publication_tables") == "0"


def test_replica_identity_is_the_key(database: Database) -> None:
    """FULL would hand a row's old values to its next owner."""
    assert database.value("select relreplident from pg_class where oid = 'public.bot_sessions'::regclass") == "d"


def test_the_document_names_the_columns(database: Database) -> None:
    """The columns are the session document's, and a handful of internal ones behind them."""
    columns = [
        name
        for (name,) in database.run(
            "select attname from pg_attribute where attrelid = 'public.bot_sessions'::regclass and attnum > 0"
            " and not attisdropped order by attnum"
        )
    ]
    internal = ["instance_id", "instance", "updated_at", "changed_xid", "moved_xid"]
    assert columns[-len(internal) :] == internal
    document = """id, user_id, bot_name, bot_version, platform, status, activity, activity_details, activity_at, jobs_found,
        jobs_applied, jobs_failed, credits_used, counters, progress_done, progress_total, progress_at, waiting_until,
        waiting_reason, error_type, error_message, created_at, started_at, last_heartbeat_at, heartbeat_s,
        lease_expires_at, stop_requested_at, stop_reason, stop_delivered_at, stop_seen_at, ended_at, outcome, inferred,
        instances, revision"""
    assert columns[: -len(internal)] == re.split(r",\s+", document)
