"""One file and those who have it open: the server, a second one, short commands, back-ups, and the threads inside."""

# ruff: noqa: ASYNC110, ASYNC240  the loop of a test serves nobody else while it waits or looks at a file

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from botlight.model.access import Scope
from botlight.model.errors import Overloaded, Unavailable
from botlight.model.session import Instant
from botlight.service.ports import Committed, SessionFilter, Token
from botlight.store.errors import AlreadyServed, CannotOpen
from botlight.store.sqlite import SqliteAccess, SqliteDatabase, SqliteStore
from tests.store.scribe import ALICE, BOB, START, Scribe, report, user

pytestmark = pytest.mark.anyio

HOLD = """
import sys, pathlib
from botlight.store.sqlite import SqliteDatabase
database = SqliteDatabase.open(pathlib.Path(sys.argv[1]), serve=True)
print("serving", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "botlight.db"


@pytest.fixture
def other_server(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that serves the file."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        yield process
        process.kill()


async def test_a_second_server_is_refused_plainly(path: Path, other_server: subprocess.Popen[str]) -> None:
    """The message says which process has it; killed, it has it no longer."""
    with pytest.raises(AlreadyServed, match=rf"already served by process {other_server.pid}\. Stop that server"):
        SqliteDatabase.open(path, serve=True)
    other_server.send_signal(signal.SIGKILL)
    other_server.wait()
    database = SqliteDatabase.open(path, serve=True)
    with pytest.raises(AlreadyServed):
        SqliteDatabase.open(path, serve=True)
    database.close()
    database.close()
    SqliteDatabase.open(path, serve=True).close()


async def test_two_names_of_one_file_are_one_file(path: Path) -> None:
    """A link does not get a second server in."""
    database = SqliteDatabase.open(path, serve=True)
    link = path.with_name("link.db")
    link.symlink_to(path)
    with pytest.raises(AlreadyServed):
        SqliteDatabase.open(link, serve=True)
    database.close()


async def test_a_short_command_works_beside_the_server(path: Path, other_server: subprocess.Popen[str]) -> None:
    """It adds a person and a token to the file that is being served, and keeps no lock."""
    for name in (ALICE, BOB):
        database = SqliteDatabase.open(path, serve=False)
        assert await SqliteAccess(database).add_user(user(name))
        database.close()
    assert other_server.poll() is None
    other_server.kill()
    other_server.wait()
    database = SqliteDatabase.open(path, serve=True)
    assert [each.id for each in await SqliteAccess(database).users()] == [ALICE, BOB]
    database.close()


async def test_a_short_command_can_be_the_first_to_come(path: Path) -> None:
    """It makes the file; its sessions and positions are good in the server that follows."""
    database = SqliteDatabase.open(path, serve=False)
    await SqliteAccess(database).add_user(user(ALICE))
    await Scribe(SqliteStore(database)).report("s1")
    position = SqliteStore(database).position()
    database.close()
    database = SqliteDatabase.open(path, serve=True)
    board = await SqliteStore(database).board(SessionFilter(user_id=ALICE), 10, since=position)
    assert ([session.id for session in board.sessions], board.replaces) == (["s1"], False)
    database.close()


async def test_all_who_come_first_at_the_same_time_get_in(path: Path) -> None:
    """Short commands that find no file: one makes it, the others wait for that."""

    def join(serve: bool) -> None:
        SqliteDatabase.open(path, serve=serve).close()

    async with asyncio.timeout(60):
        await asyncio.gather(*(asyncio.to_thread(join, False) for _ in range(6)))
    join(serve=True)


async def test_what_another_process_did_is_noticed(path: Path) -> None:
    """A session that it deleted is announced and not remembered; a token that it revoked is refused within seconds."""
    server = SqliteDatabase.open(path, serve=True)
    store, access = SqliteStore(server), SqliteAccess(server)
    await access.add_user(user(ALICE))
    await access.add_token(Token(id="t", user_id=ALICE, name="t", scope=Scope.VIEW, created_at=Instant(START)), "hash")
    for id_ in ("s1", "s2", "s3"):
        await Scribe(store).end(id_)
    heard: list[Committed] = []
    store.listen(heard.append)
    seen = store.position()
    assert (await store.load(["s1"], credentials=["t"])).valid == {"t"}

    command = SqliteDatabase.open(path, serve=False)
    await SqliteStore(command).delete(["s1"])
    await SqliteAccess(command).revoke(ALICE, "t")
    await store.verify()
    assert [gone.session_id for committed in heard for gone in committed.removals] == ["s1"]
    assert (await store.load(["s1"])).deleted == {"s1"}
    await SqliteStore(command).delete(["s2"])
    await Scribe(store).report("s3", counters={"jobs_found": 1})
    assert [gone.session_id for committed in heard for gone in committed.removals] == ["s1", "s2"]
    board = await store.board(SessionFilter(user_id=ALICE), 10, since=seen)
    assert ([each.id for each in board.sessions], [gone.session_id for gone in board.removals]) == (
        ["s3"],
        ["s1", "s2"],
    )
    assert store.position() == board.position
    async with asyncio.timeout(10):
        while (await store.load([], credentials=["t"])).valid:
            await asyncio.sleep(0.1)
    command.close()
    server.close()


async def test_a_back_up_is_whole_while_others_write(path: Path, tmp_path: Path) -> None:
    """As of one moment: sessions that are always saved together are equal in it, and so are their sums."""
    database = SqliteDatabase.open(path, serve=True)
    store = SqliteStore(database)
    scribe = Scribe(store)
    await SqliteAccess(database).add_user(user(ALICE))
    done = asyncio.Event()

    async def write() -> None:
        n = 0
        while not done.is_set():
            n += 1
            await scribe.save(
                *[await scribe.draft(id_, report(id_, counters={"jobs_found": n}, activity="x" * 60)) for id_ in "abcd"]
            )

    writing = asyncio.create_task(write())
    copies = [tmp_path / f"copy-{n}.db" for n in range(5)]
    for copy in copies:
        await asyncio.to_thread(database.back_up, copy)
    done.set()
    await writing
    database.close()
    found: list[int] = []
    for copy in copies:
        assert copy.stat().st_mode & 0o777 == 0o600
        restored = SqliteDatabase.open(copy, serve=True)
        states = (await SqliteStore(restored).load(list("abcd"))).states
        totals = [state.session.totals["jobs_found"] for state in states.values()]
        assert len(set(totals)) <= 1
        found += totals[:1]
        restored.close()
    assert found == sorted(found)
    assert found[-1] > 0
    assert not list(tmp_path.glob("*.part"))


async def test_a_back_up_never_overwrites_and_leaves_no_half(path: Path, tmp_path: Path) -> None:
    """What is there stays; what cannot be written is said."""
    database = SqliteDatabase.open(path, serve=True)
    target = tmp_path / "there.db"
    target.write_text("precious")
    with pytest.raises(FileExistsError, match="never overwrites"):
        database.back_up(target)
    assert target.read_text() == "precious"
    with pytest.raises(OSError, match="No such file"):
        database.back_up(tmp_path / "nowhere" / "copy.db")
    database.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["botlight.db", "botlight.db.lock", "there.db"]


async def test_a_restored_back_up_knows_positions_that_are_not_of_its_history(path: Path, tmp_path: Path) -> None:
    """One from after the back-up gets the whole list although the number has been given out again; one from before goes on."""
    database = SqliteDatabase.open(path, serve=True)
    await SqliteAccess(database).add_user(user(ALICE))
    scribe = Scribe(SqliteStore(database))
    await scribe.report("s1")
    early = scribe.store.position()
    await scribe.report("s2")
    at_copy = scribe.store.position()
    database.back_up(tmp_path / "copy.db")
    later = [(await scribe.save(await scribe.draft("s3", report("s3", seq=n)))).position for n in range(1, 4)]
    database.close()
    path.unlink()
    (tmp_path / "copy.db").rename(path)

    database = SqliteDatabase.open(path, serve=False)
    await Scribe(SqliteStore(database)).report("by a command")
    database.close()
    database = SqliteDatabase.open(path, serve=True)
    store = SqliteStore(database)
    for n in range(4):
        await Scribe(store).report(f"new {n}")
    which = SessionFilter(user_id=ALICE)
    for position in later:
        board = await store.board(which, 100, since=position)
        assert (board.replaces, len(board.sessions)) == (True, 7)
    for position, missed in ((early, 6), (at_copy, 5)):
        board = await store.board(which, 100, since=position)
        assert (board.replaces, len(board.sessions)) == (False, missed)
    database.close()


async def test_closing_finishes_what_was_accepted(path: Path) -> None:
    """And refuses what comes later, with words."""
    database = SqliteDatabase.open(path, serve=True)
    store, access = SqliteStore(database), SqliteAccess(database)
    await access.add_user(user(ALICE))
    drafts = [await Scribe(store).draft(f"s{n}", report(f"s{n}")) for n in range(50)]
    saves = [asyncio.create_task(store.save([draft])) for draft in drafts]
    await asyncio.sleep(0)
    await asyncio.to_thread(database.close)
    assert [len((await save).changes) for save in saves] == [1] * 50
    for late in (store.tick(Instant(START)), store.load(["unknown"]), access.users(), store.verify()):
        with pytest.raises(Unavailable, match="closed"):
            await late
    reopened = SqliteDatabase.open(path, serve=True)
    assert len((await SqliteStore(reopened).load([f"s{n}" for n in range(50)])).states) == 50
    reopened.close()


async def test_a_full_queue_refuses_and_a_stuck_writer_is_noticed(path: Path) -> None:
    """Nothing waits without a bound, and nothing that hangs looks well."""
    database = SqliteDatabase.open(path, serve=True)
    store = SqliteStore(database)
    go_on = threading.Event()
    stuck = asyncio.create_task(database.writer.run(lambda _: go_on.wait()))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(store.verify(), 0.2)
    waiting = [asyncio.create_task(store.tick(Instant(n))) for n in range(255)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await asyncio.gather(store.tick(Instant(0)), store.tick(Instant(0)))
    go_on.set()
    await stuck
    await asyncio.gather(*waiting)
    await store.verify()
    database.close()


async def test_the_log_stays_bounded_and_is_gone_after_a_clean_end(path: Path) -> None:
    """The checkpoints keep up with a writer that never rests."""
    database = SqliteDatabase.open(path, serve=True, checkpoint_every_s=0.01)
    await SqliteAccess(database).add_user(user(ALICE))
    scribe = Scribe(SqliteStore(database))
    log = path.with_name("botlight.db-wal")
    largest = 0
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for n in range(20):
            await scribe.report(f"s{n}", activity="x" * 64, counters={"jobs_found": n})
        largest = max(largest, log.stat().st_size)
    assert largest < 65 * 1024 * 1024
    database.close()
    assert not log.exists()
    assert path.stat().st_size > 0


async def test_every_commit_is_synced_and_every_reference_checked(path: Path) -> None:
    """The settings that the promises rest on, on every connection."""
    database = SqliteDatabase.open(path, serve=True)

    def settings(connection: apsw.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
        return [connection.pragma(name) for name in names]

    expected = ["wal", 2, 1, 16_000]
    assert await database.writer.run(settings) == expected
    assert await database.readers.run(settings) == expected
    with pytest.raises(Unavailable):
        await database.readers.run(lambda connection: connection.execute("delete from users"))
    database.close()


async def test_a_failing_open_lets_go_of_everything(path: Path) -> None:
    """Whatever was wrong, the next try is free to succeed."""
    path.mkdir()
    for _ in range(2):
        with pytest.raises(CannotOpen):
            SqliteDatabase.open(path, serve=True)
    path.rmdir()
    SqliteDatabase.open(path, serve=True).close()
