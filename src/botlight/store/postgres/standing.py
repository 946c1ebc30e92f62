"""Whether a database is one to work with: its version, its schema, and roles that keep people apart."""

from __future__ import annotations

from typing import Final

import asyncpg
from msgspec import Struct

from botlight.store.errors import CannotOpen, NewerSchema
from botlight.store.postgres.connection import PERSON_ROLE, SERVICE_ROLE, AnyConnection, transaction
from botlight.store.postgres.schema import newest

__all__ = ["OLDEST_SERVER", "Standing", "check"]

OLDEST_SERVER: Final = 150_000

_SERVER: Final = """
select current_setting('server_version_num')::integer as version, pg_is_in_recovery() as standby,
  session_user::text as login, current_database()::text as name,
  to_regnamespace('botlight') is not null and to_regrole('botlight_service') is not null
    and to_regrole('authenticated') is not null as there,
  to_regrole('supabase_admin') is not null as supabase, current_setting('fsync') = 'off' as forgetful
"""

# Who owns a table, or may act as its owner, is not held back by its policies.
_ROLES: Final = """
select r.rolname::text as name, r.rolsuper as super, r.rolbypassrls as bypasses,
  exists (select from pg_class c where c.oid = any ($2::regclass[]) and pg_has_role(r.oid, c.relowner, 'usage')) as owns
from pg_roles r where r.rolname = any ($1::text[])
"""

_UNGUARDED: Final = """
select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = any ($1::regclass[]) and not c.relrowsecurity
"""

_TABLES: Final = ["public.bot_sessions", "botlight.facts", "botlight.jobs"]


class Standing(Struct, frozen=True, kw_only=True):
    """What there is to know about a database that Botlight may work in."""

    login: str
    server: int  # as PostgreSQL writes it: 150018
    supabase: bool
    forgetful: bool  # does not wait until the disk has what it commits

    @property
    def words(self) -> str:
        """What a person should know about it; empty where all is well."""
        if not self.forgetful:
            return ""
        return "PostgreSQL runs with fsync off, so a power cut may lose what was acknowledged. Put `fsync = on` in its settings."


async def check(connection: AnyConnection) -> Standing:
    """Find out whether Botlight may work here, as whoever the connection is logged in; changes nothing.

    Raises:
        CannotOpen: no, and what to do about it (`NewerSchema`: a newer Botlight was here).
    """
    async with transaction(connection, "begin"):
        found = await connection.fetchrow(_SERVER)
    if found is None:
        raise AssertionError("a SELECT without FROM has a row")
    if found["version"] < OLDEST_SERVER:
        raise CannotOpen(f"This PostgreSQL is too old ({found['version'] // 10_000}); Botlight needs 15 or newer.")
    if found["standby"]:
        raise CannotOpen("This PostgreSQL is a standby, which cannot write. Use the address of the primary.")
    if not found["there"]:
        raise CannotOpen(f"The database {found['name']} holds no Botlight yet: `botlight migrate` makes it.")
    for role in (SERVICE_ROLE, PERSON_ROLE):
        await _take(connection, role, found["login"])
    await _schema(connection)
    await _roles(connection)
    return Standing(
        login=found["login"], server=found["version"], supabase=found["supabase"], forgetful=found["forgetful"]
    )


async def _take(connection: AnyConnection, role: str, login: str) -> None:
    """Try a role on."""
    try:
        async with transaction(connection, f"begin; set local role {role}"):
            pass
    except asyncpg.InsufficientPrivilegeError:
        raise CannotOpen(
            f"The login {login} may not take the role {role}. Log in as the database's owner, or let a superuser say (on "
            f'Supabase: postgres): grant {SERVICE_ROLE}, {PERSON_ROLE} to "{login}";'
        ) from None


async def _schema(connection: AnyConnection) -> None:
    async with transaction(connection, f"begin; set local role {SERVICE_ROLE}"):
        known = await connection.fetchval("select to_regprocedure('botlight.schema_version()') is not null")
        version = await connection.fetchval("select botlight.schema_version()") if known else 0
    if version < newest():
        raise CannotOpen(
            "The database was made by an older version of Botlight: `botlight migrate` brings it up to date."
        )
    if version > newest():
        raise NewerSchema(
            f"The database was made by a newer version of Botlight (schema {version}; this version knows {newest()}). "
            "Install that version."
        )


async def _roles(connection: AnyConnection) -> None:
    """Nobody as whom rows are read may see past the policies."""
    async with transaction(connection, "begin"):
        roles = await connection.fetch(_ROLES, [SERVICE_ROLE, PERSON_ROLE], _TABLES)
        unguarded = await connection.fetch(_UNGUARDED, _TABLES)
    for role in roles:
        for fault, words in (
            ("super", "is a superuser"),
            ("bypasses", "bypasses row level security"),
            ("owns", "owns Botlight's tables"),
        ):
            if role[fault]:
                raise CannotOpen(
                    f"The role {role['name']} {words}, so PostgreSQL would not keep people apart. It must be an "
                    "ordinary role that owns nothing: see `alter role … nosuperuser nobypassrls` and `alter table … owner to`."
                )
    for table in unguarded:
        raise CannotOpen(
            f"Row level security is off for {table[0]}, so PostgreSQL would not keep people apart: "
            "`botlight migrate --again` puts it back on."
        )
