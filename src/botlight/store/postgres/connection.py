"""How every connection to PostgreSQL is made, and what a transaction on one is."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg

from botlight.store.errors import CannotOpen
from botlight.store.postgres.failures import is_of_the_database

__all__ = [
    "AS_SERVICE",
    "AS_SNAPSHOT",
    "PERSON_ROLE",
    "SERVICE_ROLE",
    "AnyConnection",
    "RolledBack",
    "as_person",
    "be_person",
    "connect",
    "sentence",
    "transaction",
]

log = logging.getLogger(__name__)

SERVICE_ROLE: Final = "botlight_service"
PERSON_ROLE: Final = "authenticated"
CONNECT_S: Final = 5.0
ROLL_BACK_S: Final = 2.0

AnyConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

_ADVICE: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (asyncpg.InvalidAuthorizationSpecificationError, "Look at name and password in the address of the database."),
    (asyncpg.InvalidCatalogNameError, "`create database` makes it; or another one is meant in the address."),
    (ConnectionRefusedError, "Does it run, and on the host and port in the address of the database?"),
    (socket.gaierror, "Look at the host in the address of the database."),
)

AS_SERVICE: Final = "begin"
AS_SNAPSHOT: Final = "begin isolation level repeatable read, read only"


class RolledBack(Exception):  # noqa: N818  said by PostgreSQL where others would raise
    """COMMIT did not commit, because a statement had failed before it."""


def be_person(user_id: str) -> str:
    """What makes the rest of an open transaction this person's: it sees what they may see.

    Raises:
        ValueError: it is no person's id.
    """
    claims = json.dumps({"sub": str(UUID(user_id)), "role": PERSON_ROLE})
    return f"set local role {PERSON_ROLE}; set local request.jwt.claims = '{claims}'"


def as_person(user_id: str) -> str:
    """What opens a transaction that sees, as of one moment, what this person may see and writes nothing.

    Raises:
        ValueError: it is no person's id.
    """
    return f"{AS_SNAPSHOT}; {be_person(user_id)}"


async def connect(url: str, **options: Any) -> asyncpg.Connection[asyncpg.Record]:
    """Open a connection as whoever the URL says.

    Raises:
        CannotOpen: with a sentence for the person who asked, which never repeats the password of the URL.
    """
    try:
        return await asyncpg.connect(url, timeout=CONNECT_S, **options)
    except asyncpg.PostgresError as error:
        raise CannotOpen(f"PostgreSQL refuses: {sentence(error)}{_advice(error)}") from None
    except FileNotFoundError:  # neither the loop nor TLS says which
        raise CannotOpen(
            "PostgreSQL cannot be reached: a file that the address names is not there: its socket, or sslrootcert, "
            "sslcert or sslkey."
        ) from None
    except (OSError, TimeoutError) as error:  # among them what TLS says
        raise CannotOpen(f"PostgreSQL cannot be reached: {sentence(error)}{_advice(error)}") from None
    except (ValueError, OverflowError, TypeError, asyncpg.InterfaceError) as error:
        # The driver's own words may repeat the URL, and with it the password.
        log.debug("the driver cannot use the address", extra={"error": type(error).__name__})
        raise CannotOpen(
            "BOTLIGHT_DATABASE_URL: PostgreSQL's driver cannot use this URL; expected "
            "postgresql://name:password@host:5432/database, and sslmode as libpq knows it."
        ) from None


def _advice(error: BaseException) -> str:
    """What to do about it, where that is not plain from the words of the error; begins with a space."""
    return next((f" {words}" for kind, words in _ADVICE if isinstance(error, kind)), "")


def sentence(error: BaseException) -> str:
    """What an error of the database says, on one line, with a full stop."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, ConnectionRefusedError):
        text = os.strerror(errno.ECONNREFUSED)  # asyncio's own words for it repeat the address
    said = " ".join(text.split()) or ("no answer in time" if isinstance(error, TimeoutError) else repr(error))
    return said if said.endswith((".", "!", "?")) else f"{said}."


@asynccontextmanager
async def transaction(connection: AnyConnection, begin: str) -> AsyncIterator[None]:
    """All of it, durable at the end, or nothing. `begin` is the statements that open it.

    Raises:
        RolledBack: a statement inside had failed, and the body went on as if it had not.
    """
    try:
        await connection.execute(begin)
        yield
        await _commit(connection)
    except BaseException:
        await _roll_back(connection)
        raise


async def _commit(connection: AnyConnection) -> None:
    if await connection.execute("commit") != "COMMIT":
        raise RolledBack("the transaction had failed before it was to be committed")


async def _roll_back(connection: AnyConnection) -> None:
    """Leave no transaction open; a connection that cannot end its own is given up.

    Said without a look at whether there is one: a BEGIN that was cancelled may yet come into force.
    """
    try:
        await connection.execute("rollback", timeout=ROLL_BACK_S)
    except BaseException as error:
        with suppress(asyncpg.InterfaceError):  # it was taken back already, since it was cut
            connection.terminate()
        if not is_of_the_database(error):
            raise
