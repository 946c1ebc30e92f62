"""`botlight migrate`: brings a database's schema up to date, in one transaction, as the database's owner."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from botlight.store.errors import CannotOpen, NewerSchema
from botlight.store.postgres.connection import AnyConnection, connect, sentence, transaction
from botlight.store.postgres.failures import is_of_the_database
from botlight.store.postgres.schema import Migration, migrations, newest, plain_postgres, plain_postgres_file
from botlight.store.postgres.standing import OLDEST_SERVER

__all__ = ["migrate"]

log = logging.getLogger(__name__)

Say = Callable[[str], None]

WAIT_S: Final = 30

_PLACE: Final = """
select current_setting('server_version_num')::integer as server, current_user::text as login,
  current_database()::text as name, d.datdba::regrole::text as owner, pg_has_role(d.datdba, 'member') as may_own,
  (select rolsuper from pg_roles where rolname = current_user) as super,
  to_regrole('supabase_admin') is not null as supabase,
  (select count(*) from pg_roles where rolname in ('anon', 'authenticated', 'service_role', 'botlight_service')) as roles,
  exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
          where n.nspname = 'auth' and p.proname = 'uid') as auth,
  (select p.oid::bigint from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where n.nspname = 'botlight' and p.proname = 'schema_version') as versioned
from pg_database d where d.datname = current_database()
"""


async def migrate(url: str, say: Say, *, again: bool = False) -> Sequence[str]:
    """Apply what the database lacks; answers the names of the files that were applied. `again`: all of them.

    On plain PostgreSQL the roles and the schema `auth` come first, when the login is a superuser. Everything is one
    transaction: it is all there afterwards, or nothing has changed. Two at once wait for one another.

    Raises:
        CannotOpen: it cannot be done like this, and what to do (`NewerSchema`: a newer Botlight was here).
    """
    connection = await connect(url, statement_cache_size=0)
    try:
        connection.add_log_listener(lambda _, message: _pass_on(message, say))
        async with transaction(connection, f"begin; set local lock_timeout = '{WAIT_S}s'"):
            return await _apply_all(connection, url, say, again=again)
    except asyncpg.LockNotAvailableError:
        raise CannotOpen(
            f"Somebody else holds the tables for more than {WAIT_S} s: another migration, or a transaction that does "
            "not end. Nothing was changed; try again."
        ) from None
    except Exception as error:
        if not is_of_the_database(error):
            raise
        raise CannotOpen(f"The database cannot be migrated: {sentence(error)} Nothing was changed.") from error
    finally:
        connection.terminate()


async def _apply_all(connection: AnyConnection, url: str, say: Say, *, again: bool) -> Sequence[str]:
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('botlight.migrate', 0))")
    place = await connection.fetchrow(_PLACE)
    if place is None:
        raise AssertionError("a connection is to a database")
    if place["server"] < OLDEST_SERVER:
        raise CannotOpen(f"This PostgreSQL is too old ({place['server'] // 10_000}); Botlight needs 15 or newer.")
    version = await _version(connection, place)
    steps = [step for step in migrations() if again or step.version > version]
    if not steps:
        return []
    if not place["supabase"] and (place["roles"] < 4 or not place["auth"] or (again and place["super"])):
        await _prepare_plain(connection, place, url, say)
    if place["super"]:
        # What belongs to the owner can be altered by the owner the next time.
        await connection.execute(f"set local role {place['owner']}")
    for step in steps:
        say(f"applying {step.name}")
        await _apply(connection, step, place)
    return [step.name for step in steps]


async def _version(connection: AnyConnection, place: Any) -> int:
    """The newest file that was applied; 0: none, or one of before they were counted."""
    if place["versioned"] is None:
        return 0
    # Its text says it; to call it takes rights on a schema that may belong to somebody else.
    source = await connection.fetchval("select prosrc from pg_proc where oid = $1::bigint::oid", place["versioned"])
    version = int(source.split()[-1])
    if version > newest():
        raise NewerSchema(
            f"The database was made by a newer version of Botlight (schema {version}; this version knows {newest()}). "
            "Install that version."
        )
    return version


async def _prepare_plain(connection: AnyConnection, place: Any, url: str, say: Say) -> None:
    """What Supabase brings and plain PostgreSQL lacks; only a superuser may make it."""
    if not place["super"]:
        raise CannotOpen(
            f"Plain PostgreSQL needs some roles first, which {place['login']} may not make. Let a superuser run this "
            f"once, then come again: {_line_for_the_superuser(url, place['name'])}"
        )
    say("applying plain_postgres.sql")
    await connection.execute(plain_postgres())


def _line_for_the_superuser(url: str, name: str) -> str:
    try:
        parts = urlsplit(url)
        where = f"-h {parts.hostname} -p {parts.port or 5432} " if parts.hostname else ""
    except ValueError:  # several hosts
        where = ""
    return f'psql {where}-U postgres -d "{name}" -1 -v ON_ERROR_STOP=1 -f "{plain_postgres_file()}"'


async def _apply(connection: AnyConnection, step: Migration, place: Any) -> None:
    try:
        await connection.execute(step.sql)
    except asyncpg.InsufficientPrivilegeError as error:
        raise CannotOpen(
            f"{step.name}: {sentence(error)} Log in as the owner of the database, {place['owner']}. Nothing was changed."
        ) from error


def _pass_on(message: object, say: Say) -> None:
    """What the SQL itself has to tell; that something is there already is none of it."""
    text = str(getattr(message, "message", ""))
    if text and not text.endswith("skipping"):
        say(f"  {text}")
