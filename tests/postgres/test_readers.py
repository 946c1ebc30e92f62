"""Nothing is missed, through the adapter: writers of every kind, readers that are cut and come back."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager, suppress
from random import Random
from typing import Final
from uuid import UUID

import pytest

from botlight.model.errors import Refusal, Unavailable
from botlight.store.postgres.clock import DatabaseClock
from botlight.store.postgres.database import PostgresDatabase
from tests.conformance.memory import PostgresMemory
from tests.conformance.scribe import report
from tests.postgres.psql import Database
from tests.postgres.readers import Page, SequenceWitness, Witness
from tests.postgres.test_feed import LISTENERS
from tests.postgres.test_nothing_missed import script
from tests.support.postgres import BINARIES, EDITIONS, Servers, url

pytestmark = pytest.mark.anyio

SQL_WRITERS: Final = 3
WRITTEN: Final = "select n_tup_ins + n_tup_upd + n_tup_del from pg_stat_user_tables where relname = 'bot_sessions'"


class Trial:
    """A database with people, writers and readers; one `round` is all that the writers have to do."""

    def __init__(
        self, database: Database, witness: type[Witness], *, every_message_carries_it: bool = False, sessions: int = 200
    ) -> None:
        self.sql = database
        self._kind = witness
        random = Random(5)
        self.people = [str(UUID(int=random.getrandbits(128), version=4)) for _ in range(3)]
        self.sessions = [str(UUID(int=random.getrandbits(128), version=4)) for _ in range(sessions)]
        self.pages = [
            Page(person, Random(n), every_message_carries_it=every_message_carries_it)
            for n, person in enumerate(self.people * 2)
        ]
        everybody = ", ".join(f"('{person}')" for person in self.people)
        database.run(f"insert into auth.users (id) values {everybody}", user=database.superuser)
        made = ", ".join(f"('{session_id}', '{random.choice(self.people)}')" for session_id in self.sessions)
        database.run(f"insert into bot_sessions (id, user_id) values {made}")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open the reading process; its pages live on when it is opened again."""
        self.database = await PostgresDatabase.open(url(self.sql), serve=True)
        self.witness = await self._kind.open(self.database, DatabaseClock())
        try:
            yield
        finally:
            await self.witness.close()
            await self.database.close()

    async def run(self, seeds: Iterable[int], *, transactions: int, rows: int) -> None:
        """Open the reading process for a few rounds."""
        async with self.open():
            for seed in seeds:
                await self.round(seed, transactions=transactions, rows=rows)

    async def recovered(self) -> None:
        """Wait until the database can be read again."""
        async with asyncio.timeout(30):
            while True:
                with suppress(Unavailable):
                    return await self.witness.read()
                await asyncio.sleep(0.05)

    async def round(self, seed: int, *, transactions: int, rows: int) -> None:
        """Let everybody write beside each other, and the readers read."""
        with ExitStack() as closing:
            writers = [closing.enter_context(self.sql.connection()) for _ in range(SQL_WRITERS)]
            ends = [
                each.send(script(seed + n, self.sessions, self.people, transactions=transactions, rows=rows))
                for n, each in enumerate(writers)
            ]
            own = asyncio.create_task(self._write(Random(seed)))
            trouble = asyncio.create_task(self._trouble())
            reading = [asyncio.create_task(self._read(page)) for page in self.pages]
            try:
                while not all(each.finished(end) for each, end in zip(writers, ends, strict=True)):
                    await self.witness.read()
                    await asyncio.sleep(0.005)
                    for task in (own, trouble, *reading):
                        if task.done():
                            task.result()
            finally:
                tasks = (own, trouble, *reading)
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
            for error in ended:
                if isinstance(error, Exception):
                    raise error
        await self.witness.read()

    async def _write(self, random: Random) -> None:
        """Batches of a server."""
        memory = PostgresMemory(self.sql)
        await memory.begin()
        try:
            while True:
                writes = []
                for session_id in random.sample(self.sessions, random.choice((1, 5, 20))):
                    state = (await memory.store.load([session_id])).states.get(session_id)
                    owner = random.choice(self.people) if state is None else state.session.user_id
                    with suppress(Refusal):
                        intent = report(session_id, owner, counters={"jobs_found": random.randrange(10**6)})
                        writes.append(await memory.scribe.draft(session_id, intent))
                await memory.store.save(writes)
        finally:
            await memory.close()

    async def _trouble(self) -> None:
        """The connection that listens is cut, and the feed is pruned of all that is not in use."""
        while True:
            await asyncio.sleep(0.3)
            await asyncio.to_thread(self.sql.run, LISTENERS, user=self.sql.superuser)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(self.sql.run, "select botlight.prune_feed(interval '0.1 s')")

    async def _read(self, page: Page) -> None:
        while True:
            with suppress(Unavailable):
                await page.come_back(self.database)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("edition", EDITIONS)
async def test_what_readers_show_is_the_table_at_each_position(servers: Servers, edition: str) -> None:
    """Whatever committed late, was taken back, changed hands, was deleted or came again."""
    with servers.database(edition) as database:
        trial = Trial(database, Witness)
        await trial.run([1], transactions=120, rows=4)
        assert trial.witness.counted["changes"] > 200
        assert trial.witness.counted["reads"] > 50
        assert sum(page.counted["resumed"] for page in trial.pages) > 50


@pytest.mark.parametrize(("fault", "words"), [("every message", "a page missed"), ("sequence", "the feed missed")])
async def test_the_check_bites(servers: Servers, fault: str, words: str) -> None:
    """With a position in every message, or with a sequence in its place, something is missed."""
    with servers.database(EDITIONS[0]) as database:
        kind = SequenceWitness if fault == "sequence" else Witness
        trial = Trial(database, kind, every_message_carries_it=fault == "every message")
        with pytest.raises(AssertionError, match=words):
            await trial.run(range(0, 500, 100), transactions=100, rows=4)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("edition", BINARIES)
async def test_nothing_is_missed_over_200_000_changes(edition: str) -> None:
    """The server is killed on the way, and a dump of it is restored: old positions are answered with the whole list."""
    with Servers() as own, own.database(edition) as database:
        cluster = own.cluster(edition)
        trial = Trial(database, Witness, sessions=600)
        written = 0
        async with trial.open():
            for n in range(10):
                await trial.round(100 * n, transactions=300, rows=60)
                written += await asyncio.to_thread(_written, database) if n in (4, 9) else 0
                if n == 4:
                    resets = trial.witness.counted["resets"]
                    await asyncio.to_thread(cluster.stop, crash=True)
                    await asyncio.to_thread(cluster.start)
                    await trial.recovered()
                    assert trial.witness.counted["resets"] > resets
        copy = cluster.make_database("copy", database.owner)
        await asyncio.to_thread(_restore, database, copy)
        lists = [page.counted["lists"] for page in trial.pages]
        trial.sql = copy
        await trial.run([1000, 1100], transactions=300, rows=60)
        assert all(page.counted["lists"] > before for page, before in zip(trial.pages, lists, strict=True))
        written += await asyncio.to_thread(_written, copy)
        assert written >= 200_000


def _written(database: Database) -> int:
    """How many rows were changed; a connection's are counted once it has ended."""
    others = "select count(*) from pg_stat_activity where application_name = 'psql' and pid <> pg_backend_pid()"
    until = time.monotonic() + 20
    while database.value(others, user=database.superuser) != "0":
        assert time.monotonic() < until
    return int(database.value(WRITTEN, user=database.superuser))


def _restore(database: Database, copy: Database) -> None:
    """Copy a database as people do."""
    dump = subprocess.run(_command(database, "pg_dump"), check=True, capture_output=True, timeout=60).stdout
    subprocess.run(_command(copy, "psql"), check=True, input=dump, capture_output=True, timeout=60)


def _command(database: Database, program: str) -> list[str]:
    where = ["-h", str(database.socket), "-d", database.name, "-U", database.superuser]
    return [str(database.psql.parent / program), *where, *(["-v", "ON_ERROR_STOP=1"] if program == "psql" else [])]
