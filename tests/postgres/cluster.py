"""A throw-away PostgreSQL: its own data folder, a unix socket in it, an unprivileged user, nothing of the system's."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.postgres.psql import Database

__all__ = ["BINARIES", "Cluster", "as_account", "running_cluster"]

PATIENCE_S: Final = 60
SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",  # a test that kills the server kills no machine
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "30",
    "max_prepared_transactions": "2",
    "wal_level": "logical",
    "log_statement": "none",
}


def _binaries() -> Path | None:
    """Where `initdb` is: the folder that BOTLIGHT_TEST_POSTGRES names, else the newest of Debian's."""
    named = os.environ.get("BOTLIGHT_TEST_POSTGRES")
    if named:
        return Path(named)
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if debian:
        return debian[-1].parent
    found = shutil.which("initdb")
    return Path(found).parent if found else None


BINARIES: Final = _binaries()


def _account() -> str | None:
    """As whom the server runs when the tests run as root, which it refuses."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def as_account() -> dict[str, Any]:
    """What `subprocess` has to be told so that a program runs as the server does."""
    account = _account()
    if account is None:
        return {}
    return {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": []}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """A server that runs, or can be started again; `superuser` owns it."""

    binaries: Path
    folder: Path
    superuser: str

    def database(self, name: str, owner: str) -> Database:
        """A database of it that is there, seen by its owner."""
        return Database(
            psql=self.binaries / "psql", socket=self.folder, name=name, owner=owner, superuser=self.superuser
        )

    @property
    def home(self) -> Database:
        """The database that every cluster has, as the superuser."""
        return self.database("postgres" if self.superuser == "postgres" else "template1", self.superuser)

    def make_database(self, name: str, owner: str, template: str = "template0") -> Database:
        """Make a database, as a copy of another one that nobody is connected to."""
        self.home.run(f"create database {name} owner {owner} template {template}")
        return self.database(name, owner)

    def start(self, settings: dict[str, str] | None = None) -> None:
        """Start the server and wait until it takes connections."""
        words = [f"-c {key}={value or chr(39) * 2}" for key, value in (SETTINGS | (settings or {})).items()]
        options = " ".join([*words, f"-k {self.folder}"])
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(log), "-o", options, "start")

    def stop(self, *, crash: bool = False) -> None:
        """Stop the server; `crash` stops it as a power cut would, so that it has to recover."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate" if crash else "fast", "stop")

    def make(self) -> None:
        """Make the data folder."""
        words = ["-U", self.superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run("initdb", "-D", self._data, *words)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *words: str) -> None:
        command: Sequence[str] = [str(self.binaries / program), *words]
        done = subprocess.run(
            command,
            check=False,
            timeout=PATIENCE_S,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            **as_account(),
        )
        log = self.folder / "log"
        assert done.returncode == 0, f"{program}: {done.stderr}\n{log.read_text() if log.exists() else ''}"


@contextmanager
def running_cluster(binaries: Path, superuser: str, settings: dict[str, str] | None = None) -> Iterator[Cluster]:
    """A fresh cluster, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="botlight-pg-"))  # a short path: a socket's may have about 100 bytes
    try:
        if (account := _account()) is not None:
            shutil.chown(folder, account)
        cluster = Cluster(binaries=binaries, folder=folder, superuser=superuser)
        cluster.make()
        cluster.start(settings)
        try:
            yield cluster
        finally:
            cluster.stop(crash=True)
    finally:
        shutil.rmtree(folder)
