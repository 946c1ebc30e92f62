"""SQL through the client that comes with PostgreSQL: whole scripts, and connections that stay open."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

__all__ = ["Connection", "Database", "RefusedSql", "as_person"]

PATIENCE_S: Final = 30


class RefusedSql(Exception):  # noqa: N818  it is the database that errs on the safe side
    """What the database said instead of doing it; `code` is the SQLSTATE."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        _, _, rest = said.partition("ERROR:  ")
        self.code = rest[:5]


def as_person(user_id: str | None, sql: str, role: str = "authenticated", **claims: str) -> str:
    """A transaction as PostgREST and Botlight open it for a person; None: without a `sub`."""
    said = json.dumps(({"sub": user_id} if user_id is not None else {}) | {"role": role} | claims)
    return f"begin; set local role {role}; set local request.jwt.claims = '{said}'; {sql}; commit;"


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """One database; everything is done as its owner unless another login is named."""

    psql: Path
    socket: Path
    name: str
    owner: str
    superuser: str

    def run(self, sql: str, *, user: str | None = None, one_transaction: bool = False) -> list[tuple[str, ...]]:
        """Run a script to its end; answers the rows of all its statements.

        Raises:
            RefusedSql: a statement failed; nothing after it was run.
        """
        command = [*self._command(user), *(["-1"] if one_transaction else []), "-f", "-"]
        done = subprocess.run(
            command, input=sql, check=False, capture_output=True, text=True, timeout=PATIENCE_S, env=_environment()
        )
        if done.returncode != 0:
            raise RefusedSql(done.stderr)
        return [tuple(line.split("|")) for line in done.stdout.splitlines()]

    def value(self, sql: str, *, user: str | None = None) -> str:
        """The one value that a script answers."""
        [[value]] = self.run(sql, user=user)
        return value

    def apply(self, *files: Path, user: str | None = None) -> None:
        """Apply files, each in one transaction, as `botlight migrate` and `supabase db push` do."""
        for file in files:
            self.run(file.read_text(), user=user, one_transaction=True)

    @contextmanager
    def connection(self, *, user: str | None = None) -> Iterator[Connection]:
        """A connection that stays open."""
        process = subprocess.Popen(
            self._command(user),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
        )
        try:
            yield Connection(process)
        finally:
            process.kill()
            process.communicate()

    def _command(self, user: str | None) -> list[str]:
        where = ["-h", str(self.socket), "-d", self.name, "-U", user or self.owner]
        return [str(self.psql), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", *where]


class Connection:
    """A psql that waits for more. One thing is asked at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._read = b""

    def ask(self, sql: str) -> list[tuple[str, ...]]:
        """Run statements and wait for what they answer.

        Raises:
            RefusedSql: one failed.
        """
        return self.answer(self.send(sql))

    def value(self, sql: str) -> str:
        """The one value that statements answer."""
        [[value]] = self.ask(sql)
        return value

    def send(self, sql: str) -> bytes:
        """Begin statements; the answer, which has to be fetched, ends with what is returned."""
        end = uuid4().hex.encode()
        assert self._process.stdin is not None
        self._process.stdin.write(sql.encode() + b"\n;\n\\echo " + end + b"\n")
        self._process.stdin.flush()
        return end

    def finished(self, end: bytes) -> bool:
        """Whether statements that were sent have answered, or psql has ended over them; does not wait."""
        assert self._process.stdout is not None
        while end + b"\n" not in self._read and select.select([self._process.stdout], [], [], 0)[0]:
            more = os.read(self._process.stdout.fileno(), 65536)
            if not more:
                return True
            self._read += more
        return end + b"\n" in self._read

    def answer(self, end: bytes) -> list[tuple[str, ...]]:
        """What statements that were sent answered."""
        until = time.monotonic() + PATIENCE_S
        while end + b"\n" not in self._read:
            self._fill(until)
        said, _, self._read = self._read.partition(end + b"\n")
        return [tuple(line.split("|")) for line in said.decode().splitlines()]

    def _fill(self, until: float) -> None:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
        assert ready, f"no answer within {PATIENCE_S} s: {self._read!r}"
        more = os.read(self._process.stdout.fileno(), 65536)
        if not more:  # ON_ERROR_STOP: psql ends at the first error
            raise RefusedSql(self._read.decode())
        self._read += more


def _environment() -> dict[str, str]:
    """Nothing of the person's own settings for PostgreSQL; notices are not answers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"PGOPTIONS": "-c client_min_messages=warning", "PGTZ": "UTC"}
