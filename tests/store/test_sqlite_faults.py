"""A disk that is full, read-only or broken: nothing is acknowledged, nothing is lost, and it recovers by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest

from botlight.model.access import Scope
from botlight.model.errors import Unavailable
from botlight.model.session import Instant
from botlight.service.ports import RejectedWrite, SessionFilter, Token
from botlight.store.errors import CannotOpen
from botlight.store.sqlite import SqliteAccess, SqliteDatabase, SqliteStore
from botlight.store.sqlite.connection import connect, disconnect
from tests.store.faulty_vfs import FaultyVfs
from tests.store.scribe import ALICE, START, Scribe, report, user

pytestmark = pytest.mark.anyio

FAULTS = [
    (apsw.FullError, "The disk of the store is full; nothing was saved."),
    (apsw.ReadOnlyError, "The store is read-only; nothing was saved."),
    (apsw.IOError, "The store cannot take this now; nothing was acknowledged."),
]


class Faulty:
    """A store on a disk that fails when it is told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.vfs = FaultyVfs()
        self.database = SqliteDatabase.open(path, serve=True, vfs=self.vfs.name, checkpoint_every_s=0.01)
        self.store, self.access = SqliteStore(self.database), SqliteAccess(self.database)
        self.scribe = Scribe(self.store)

    async def found(self, session_id: str) -> int:
        """The sessions's jobs_found, as the store says."""
        state = (await self.store.load([session_id])).states.get(session_id)
        return state.session.totals["jobs_found"] // 1_000_000 if state else 0

    def found_on_disk(self, session_id: str) -> int:
        """The session's jobs_found, as another process reads it."""
        connection = connect(self.path, vfs=self.vfs.name, query_only=True)
        rows = connection.execute("select jobs_found from bot_sessions where id = ?", (session_id,)).fetchall()
        disconnect(connection)
        return int(str(rows[0][0])) // 1_000_000 if rows else 0


@pytest.fixture
async def faulty(tmp_path: Path) -> AsyncIterator[Faulty]:
    """Opened on a disk that works yet."""
    opened = Faulty(tmp_path / "botlight.db")
    await opened.access.add_user(user(ALICE))
    yield opened
    opened.vfs.heal()
    opened.database.close()
    opened.vfs.unregister()


async def until(fact: Callable[[], bool]) -> None:
    """Wait for a fact that another thread makes true."""
    async with asyncio.timeout(20):
        while not fact():  # noqa: ASYNC110  the thread has no event for it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("fault", "words"), FAULTS)
@pytest.mark.parametrize("only_syncs", [False, True])
async def test_what_could_not_be_saved_is_not_acknowledged(
    faulty: Faulty, fault: type[apsw.Error], words: str, only_syncs: bool
) -> None:
    """Every write is refused with words for people, reads go on, and afterwards the same write succeeds."""
    scribe, store, access = faulty.scribe, faulty.store, faulty.access
    for id_ in ("gone", "old"):
        await scribe.end(id_)
    await scribe.delete("gone")
    await scribe.report("s1", counters={"jobs_found": 1})
    draft = await scribe.draft("s1", report("s1", counters={"jobs_found": 2}))
    new = await scribe.draft("s2", report("s2"))
    faulty.vfs.fail(fault, only_syncs=only_syncs)
    token = Token(id="t", user_id=ALICE, name="t", scope=Scope.VIEW, created_at=Instant(START))
    for write in (
        lambda: store.save([draft, new]),
        lambda: store.delete(["old"]),
        lambda: store.tick(Instant(START)),
        lambda: store.forget(Instant(2**50)),
        lambda: access.add_token(token, "hash"),
        lambda: access.set_password(ALICE, "hash"),
    ):
        with pytest.raises(Unavailable) as refused:
            await write()
        assert str(refused.value) == words
        assert refused.value.retry_after_s is not None
    assert await faulty.found("s1") == 1
    assert await faulty.found("s2") == 0
    assert [each.id for each in (await store.board(SessionFilter(user_id=ALICE), 10)).sessions] == ["s1", "old"]
    faulty.vfs.heal()
    assert len((await scribe.save(draft, new)).changes) == 2
    assert await faulty.found("s1") == faulty.found_on_disk("s1") == 2
    assert await access.tokens(ALICE) == []


@pytest.mark.parametrize("fault", [fault for fault, _ in FAULTS])
async def test_a_batch_is_saved_whole_or_not_at_all_wherever_the_disk_fails(
    faulty: Faulty, fault: type[apsw.Error]
) -> None:
    """At each of its steps in turn: acknowledged means saved, refused means that nothing of it is there."""
    scribe = faulty.scribe
    count = refused = 0
    while refused == count:
        count += 1
        drafts = [
            await scribe.draft(id_, report(id_, counters={"jobs_found": count}, activity="x" * 60))
            for id_ in "abcdefgh"
        ]
        faulty.vfs.fail(fault, at=faulty.vfs.steps + count)
        try:
            await scribe.save(*drafts)
            expected = count
        except Unavailable:
            refused += 1
            expected = 0
        faulty.vfs.heal()
        assert {await faulty.found(id_) for id_ in "abcdefgh"} == {expected}
        assert {faulty.found_on_disk(id_) for id_ in "abcdefgh"} == {expected}
    assert refused > 5


async def test_an_outage_is_logged_once_with_its_cause(faulty: Faulty, caplog: pytest.LogCaptureFixture) -> None:
    """However many writes meet it, with reads between; and its end is logged once. No statement is shown."""
    caplog.set_level(logging.INFO)
    draft = await faulty.scribe.draft("s1", report("s1"))
    for _ in range(2):
        faulty.vfs.fail(apsw.FullError)
        for _ in range(5):
            with pytest.raises(Unavailable):
                await faulty.store.save([draft])
            await faulty.store.verify()
            await faulty.store.page(SessionFilter(user_id=ALICE), 1, None)
        faulty.vfs.heal()
        for n in range(5):
            await faulty.store.tick(Instant(START + n))
    told = [record.message for record in caplog.records if record.levelno >= logging.INFO]
    assert told == ["the store is unavailable", "the store is available again"] * 2
    assert "the disk was told to fail" in caplog.text
    assert "insert into" not in caplog.text


async def test_a_refused_write_is_no_outage(faulty: Faulty, caplog: pytest.LogCaptureFixture) -> None:
    """A trigger of the database refuses one session: the batch is told, and those beside it can be saved."""
    connection = connect(faulty.path, vfs=faulty.vfs.name)
    connection.execute(
        "create trigger poison before insert on bot_sessions when new.bot_name = 'poison' "
        "begin select raise(abort, 'poisoned'); end"
    )
    disconnect(connection)
    scribe = faulty.scribe
    drafts = [
        await scribe.draft(
            id_, report(id_, bot={"name": "poison" if id_ == "c" else "fine"}, counters={"jobs_found": 1})
        )
        for id_ in "abcd"
    ]
    with pytest.raises(RejectedWrite, match="poisoned"):
        await faulty.store.save(drafts)
    assert faulty.found_on_disk("a") == 0
    with pytest.raises(RejectedWrite):
        await faulty.store.save([drafts[2]])
    committed = await scribe.save(*drafts[:2], drafts[3])
    assert [change.session.id for change in committed.changes] == ["a", "b", "d"]
    assert caplog.records == []


async def test_a_store_that_cannot_be_written_cannot_be_opened(tmp_path: Path) -> None:
    """And the next try, when the disk works again, finds the file as it was."""
    path = tmp_path / "botlight.db"
    SqliteDatabase.open(path, serve=True).close()
    vfs = FaultyVfs()
    for fault, _ in FAULTS:
        vfs.fail(fault)
        with pytest.raises(CannotOpen, match="cannot be opened"):
            SqliteDatabase.open(path, serve=True, vfs=vfs.name)
        vfs.heal()
        SqliteDatabase.open(path, serve=True, vfs=vfs.name).close()
    vfs.unregister()


async def test_a_damaged_file_is_unavailable_and_never_guessed_at(tmp_path: Path) -> None:
    """Whatever is read from it."""
    path = tmp_path / "botlight.db"
    database = SqliteDatabase.open(path, serve=True)
    store, access = SqliteStore(database), SqliteAccess(database)
    await access.add_user(user(ALICE))
    for n in range(200):
        await Scribe(store).report(f"s{n}")
    database.close()
    page = 4096
    content = bytearray(path.read_bytes())
    content[page * 2 :] = b"\xa5" * (len(content) - page * 2)
    path.write_bytes(content)
    try:
        database = SqliteDatabase.open(path, serve=True)
    except CannotOpen:
        return
    store = SqliteStore(database)
    with pytest.raises(Unavailable, match="damaged"):
        await store.board(SessionFilter(user_id=ALICE), 10)
    database.close()


async def test_a_checkpoint_that_fails_costs_nothing(faulty: Faulty) -> None:
    """What was committed stays in the log; it is moved when the disk works again."""
    faulty.vfs.fail(apsw.IOError, file="botlight.db")
    await faulty.scribe.report("s1", counters={"jobs_found": 3})
    await until(lambda: faulty.vfs.refused >= 3)
    before = faulty.path.stat().st_mtime_ns
    assert await faulty.found("s1") == faulty.found_on_disk("s1") == 3
    faulty.vfs.heal()
    await until(lambda: faulty.path.stat().st_mtime_ns != before)
