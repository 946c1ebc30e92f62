"""Real databases: one like a Supabase project's, old and new, and plain PostgreSQL after its shim; a fresh one for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.postgres.cluster import BINARIES, Cluster, running_cluster
from tests.postgres.following import Followed, followed
from tests.postgres.psql import Database
from tests.support.postgres import EDITIONS, Servers

__all__ = ["HERE", "MIGRATIONS", "PLAIN", "SHIM", "SUPABASE", "SUPABASE_OLD", "Blank", "Person"]

HERE: Final = Path(__file__).parent
SUPABASE_FOLDER: Final = HERE.parents[1] / "supabase"
MIGRATIONS: Final = sorted((SUPABASE_FOLDER / "migrations").glob("*.sql"))
SHIM: Final = SUPABASE_FOLDER / "plain_postgres.sql"
SUPABASE, SUPABASE_OLD, PLAIN = "supabase", "supabase of before 2026", "plain"
KINDS: Final = (SUPABASE, SUPABASE_OLD, PLAIN)

Blank = Callable[[str], Database]
"""`blank(kind)`: a database of a kind before any migration."""

Person = Callable[[], str]
"""`person()`: the id of a new person of the database under test."""

_number = count(1)


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio alone."""
    return "asyncio"


@pytest.fixture(params=EDITIONS)
def edition(request: pytest.FixtureRequest) -> str:
    """Which PostgreSQL."""
    name: str = request.param
    return name


@pytest.fixture
async def service(servers: Servers, edition: str) -> AsyncIterator[Followed]:
    """A store that is followed, in a database of its own."""
    with servers.database(edition) as database:
        async with followed(database) as opened:
            yield opened


@pytest.fixture(scope="session")
def binaries() -> Path:
    """Where PostgreSQL's programs are; in CI they have to be there."""
    if BINARIES is None:
        message = (
            "PostgreSQL is not installed: sudo apt-get install postgresql, or name a folder in BOTLIGHT_TEST_POSTGRES"
        )
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return BINARIES


@pytest.fixture(scope="session")
def supabase_cluster(binaries: Path) -> Iterator[Cluster]:
    """A cluster with the roles of a Supabase project: its superuser is not `postgres`."""
    with running_cluster(binaries, "supabase_admin") as cluster:
        cluster.home.run((HERE / "supabase_like.sql").read_text())
        yield cluster


@pytest.fixture(scope="session")
def plain_cluster(binaries: Path) -> Iterator[Cluster]:
    """A cluster as initdb makes it, and one ordinary login."""
    with running_cluster(binaries, "postgres") as cluster:
        cluster.home.run("create role botlight login")
        yield cluster


@pytest.fixture(scope="session")
def blank(request: pytest.FixtureRequest) -> Blank:
    """Makes databases of a kind."""

    def make(kind: str) -> Database:
        name = f"b{next(_number)}"
        if kind == PLAIN:
            plain: Cluster = request.getfixturevalue("plain_cluster")
            return plain.make_database(name, "botlight")
        cluster: Cluster = request.getfixturevalue("supabase_cluster")
        database = cluster.make_database(name, "postgres")
        database.run((HERE / "supabase_like_database.sql").read_text(), user=cluster.superuser)
        if kind == SUPABASE_OLD:
            database.run((HERE / "supabase_like_old_grants.sql").read_text())
        return database

    return make


@pytest.fixture(scope="session")
def migrated(blank: Blank) -> Callable[[str], Database]:
    """A database of a kind after the migrations, once for all tests: to be copied, not to be changed."""
    made: dict[str, Database] = {}

    def make(kind: str) -> Database:
        if kind not in made:
            database = blank(kind)
            if kind == PLAIN:
                database.apply(SHIM, user=database.superuser)
            database.apply(*MIGRATIONS)
            made[kind] = database
        return made[kind]

    return make


@pytest.fixture(scope="session")
def shared(request: pytest.FixtureRequest, migrated: Callable[[str], Database]) -> Callable[[str], Database]:
    """The database of a kind in which the tests work, one after the other.

    BOTLIGHT_TEST_WRECK is SQL that breaks it before they begin, so that one can see which tests turn red.
    """
    made: dict[str, Database] = {}

    def make(kind: str) -> Database:
        if kind not in made:
            original = migrated(kind)
            cluster: Cluster = request.getfixturevalue("plain_cluster" if kind == PLAIN else "supabase_cluster")
            made[kind] = cluster.make_database(f"t{next(_number)}", original.owner, original.name)
            made[kind].run(os.environ.get("BOTLIGHT_TEST_WRECK", ""), user=original.superuser)
        return made[kind]

    return make


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, shared: Callable[[str], Database]) -> Database:
    """A database after the migrations, of each kind in turn, with nobody and nothing in it."""
    database = shared(request.param)
    tables = ("auth.users", "botlight.feed", "botlight.gone", "botlight.tombstones", "botlight.mark", "botlight.reaper")
    clean = "; ".join(f"delete from {table}" for table in (*tables, "botlight.epoch"))
    database.run(f"{clean}; update botlight.floor set xid = '0'", user=database.superuser)
    return database


@pytest.fixture
def person(database: Database) -> Person:
    """Makes people, as whoever manages them does."""

    def make() -> str:
        return database.value(
            "insert into auth.users (id) values (gen_random_uuid()) returning id", user=database.superuser
        )

    return make
