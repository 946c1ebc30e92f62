"""`botlight migrate`: what it makes, of whom it asks what, and that it does nothing twice."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest

from botlight.store.errors import CannotOpen, NewerSchema
from botlight.store.postgres.migrating import migrate
from botlight.store.postgres.schema import migrations, newest
from tests.postgres.conftest import PLAIN, SHIM, SUPABASE, Blank
from tests.postgres.psql import Database

OBJECTS = """
select string_agg(o, ',' order by o) from (
  select c.relname || c.relacl::text as o from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('public', 'botlight')
  union all select proname || proacl::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = 'botlight') as objects
"""


def url(database: Database, user: str | None = None) -> str:
    """The address of a database."""
    return f"postgresql://{user or database.owner}@/{database.name}?host={database.socket}"


def run(database: Database, user: str | None = None, *, again: bool = False) -> tuple[list[str], list[str]]:
    """Migrate; what was applied and what was said."""
    said: list[str] = []
    return list(asyncio.run(migrate(url(database, user), said.append, again=again))), said


def test_a_superuser_makes_all_of_it(blank: Blank, migrated: Callable[[str], Database]) -> None:
    """On an empty database: the roles first, everything in the owner's hands; a second time nothing is done."""
    database = blank(PLAIN)
    applied, said = run(database, database.superuser)
    assert applied == [step.name for step in migrations()]
    assert said[0] == "applying plain_postgres.sql"
    assert database.run(OBJECTS) == migrated(PLAIN).run(OBJECTS)
    owner = "select distinct tableowner from pg_tables where schemaname in ('public', 'botlight')"
    assert database.run(owner) == [(database.owner,)]
    assert run(database) == ([], [])


def test_the_owner_is_told_what_a_superuser_has_to_do(blank: Blank) -> None:
    """The line can be run as it is; afterwards the owner goes on without help."""
    database = blank(PLAIN)
    # The roles are the cluster's, and may be there already; the schema auth is this database's.
    with pytest.raises(CannotOpen, match=r"Let a superuser run this .*psql .*plain_postgres\.sql") as told:
        run(database)
    line = str(told.value)
    file = line.rpartition(' -f "')[2].rstrip('"')
    database.run(f"\\i {file}", user=database.superuser, one_transaction=True)
    assert run(database)[0] == [step.name for step in migrations()]


def test_a_supabase_project_needs_no_superuser(blank: Blank) -> None:
    """Its role `postgres` makes everything; the shim is left out."""
    database = blank(SUPABASE)
    applied, said = run(database)
    assert applied == [step.name for step in migrations()]
    assert "applying plain_postgres.sql" not in said
    assert run(database) == ([], [])


def test_an_older_schema_gets_what_it_lacks(blank: Blank) -> None:
    """One that was made before versions were counted gets all files."""
    database = blank(PLAIN)
    database.apply(SHIM, user=database.superuser)
    for step in migrations()[:-1]:
        database.run(step.sql, one_transaction=True)
    assert len(run(database)[0]) == len(migrations())


def test_each_file_says_its_own_number(blank: Blank) -> None:
    """After the last one the database's version is the number of that file."""
    database = blank(PLAIN)
    run(database, database.superuser)
    assert database.value("select botlight.schema_version()") == str(newest())


def test_a_newer_schema_is_left_alone(blank: Blank) -> None:
    """An old Botlight changes nothing in what a newer one made."""
    database = blank(PLAIN)
    run(database, database.superuser)
    database.run(
        "create or replace function botlight.schema_version() returns bigint language sql immutable "
        "set search_path = '' as 'select 99991231000001'"
    )
    for again in (False, True):
        with pytest.raises(NewerSchema, match="newer version"):
            run(database, again=again)


def test_again_mends_what_was_altered_by_hand(blank: Blank) -> None:
    """A policy that somebody dropped is back."""
    database = blank(PLAIN)
    run(database, database.superuser)
    database.run(
        "drop policy bot_sessions_select_own on bot_sessions; alter table bot_sessions disable row level security"
    )
    assert run(database, again=True)[0] == [step.name for step in migrations()]
    assert database.value("select count(*) from pg_policies where policyname = 'bot_sessions_select_own'") == "1"
    assert database.value("select relrowsecurity from pg_class where oid = 'bot_sessions'::regclass") == "t"


def test_nothing_is_changed_when_something_is_refused(blank: Blank) -> None:
    """A login that owns nothing is told whose work it is, and leaves nothing behind."""
    database = blank(PLAIN)
    database.apply(SHIM, user=database.superuser)
    database.run("create role stranger login", user=database.superuser)
    try:
        with pytest.raises(CannotOpen, match=f"owner of the database, {database.owner}"):
            run(database, "stranger")
    finally:
        database.run("drop role stranger", user=database.superuser)
    assert database.value("select to_regnamespace('botlight') is null") == "t"


def test_two_at_once_wait_for_one_another(blank: Blank) -> None:
    """One applies everything, the other finds it done."""
    database = blank(PLAIN)

    async def both() -> list[int]:
        work = (migrate(url(database, database.superuser), lambda _: None) for _ in range(2))
        return sorted(len(applied) for applied in await asyncio.gather(*work))

    assert asyncio.run(both()) == [0, len(migrations())]


def test_the_command_says_what_it_did(blank: Blank) -> None:
    """In words; a SQLite store is told that it needs none of this."""
    database = blank(PLAIN)

    def command(address: str) -> str:
        words = [sys.executable, "-m", "botlight.cli.main", "migrate", "--database-url", address]
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout

    assert f"Done: {len(migrations())} applied." in command(url(database, database.superuser))
    assert "nothing was changed" in command(url(database))
    assert "whenever it is opened" in command("sqlite:////tmp/none.db")
