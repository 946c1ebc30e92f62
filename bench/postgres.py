"""A throw-away PostgreSQL that is as durable as it ships: what was committed is synced to disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.postgres.cluster import Cluster, running_cluster
from tests.postgres.psql import Database
from tests.support.postgres import BINARIES, migrated

__all__ = ["Postgres", "durable_postgres"]

# The tests' settings leave out what is for power cuts alone; here it is what has to be paid for.
DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "wal_level": "replica",
}


class Postgres(NamedTuple):
    """A server that runs: which version, and the process that the others are children of."""

    cluster: Cluster
    version: str
    process: psutil.Process

    def database(self, name: str) -> Database:
        """A new database after the migrations."""
        return migrated(self.cluster, name)


@contextmanager
def durable_postgres() -> Iterator[Postgres]:
    """The PostgreSQL of the lock file, gone at the end. Its data lie beside those of SQLite, on the same disk."""
    with running_cluster(BINARIES["postgres18"], "postgres", DURABLE) as cluster:
        cluster.home.run("create role botlight login")
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            assert cluster.home.value(f"show {name}") == "on"
        pid = (Path(cluster.folder) / "data" / "postmaster.pid").read_text().split()[0]
        yield Postgres(cluster, cluster.home.value("show server_version"), psutil.Process(int(pid)))
