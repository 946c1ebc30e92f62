"""The schema of the SQLite file: fresh, older, newer, another program's; statements that use their indexes."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import pytest

import botlight.store.sqlite
from botlight.store.errors import AlreadyServed, CannotOpen, ForeignFile, NewerSchema
from botlight.store.sqlite import SqliteDatabase
from botlight.store.sqlite.connection import connect, disconnect
from botlight.store.sqlite.owner import OwnerLock
from botlight.store.sqlite.schema import Migration, migrate, migrations
from botlight.store.sqlite.sql import SQL

STEPS = migrations()
FRAGMENTS = {"session_fields", "live_fields", "user_fields", "token_fields"}


def tables(path: Path) -> list[tuple[object, ...]]:
    """The schema as the file has it."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    found = connection.execute("select type, name, sql from sqlite_schema order by type, name").fetchall()
    connection.close()
    return found


def at_version(path: Path, version: int) -> None:
    """A file as an older version of the program left it, with something in it."""
    connection = connect(path, create=True)
    migrate(connection, path, STEPS[:version])
    connection.execute("insert into gone (session_id, user_id, revision, at) values ('kept', 'alice', 0, 1)")
    disconnect(connection)


def test_a_fresh_file_has_the_newest_schema_and_no_back_up(tmp_path: Path) -> None:
    """There was nothing to back up; only its owner may read it."""
    path = tmp_path / "new" / "botlight.db"
    database = SqliteDatabase.open(path, serve=True)
    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    database.close()
    assert set(modes) == {"botlight.db", "botlight.db-wal", "botlight.db-shm", "botlight.db.lock"}
    assert set(modes.values()) == {0o600}
    assert sorted(each.name for each in path.parent.iterdir()) == ["botlight.db", "botlight.db.lock"]


@pytest.mark.parametrize("version", range(1, len(STEPS)))
def test_an_older_file_is_brought_up_to_date_and_backed_up_before_each_step(tmp_path: Path, version: int) -> None:
    """The copies hold what the file held, can be opened by the version that wrote it, and are migrated like any other."""
    path, fresh = tmp_path / "botlight.db", tmp_path / "fresh.db"
    at_version(path, version)
    SqliteDatabase.open(fresh, serve=True).close()
    SqliteDatabase.open(path, serve=True).close()
    assert tables(path) == tables(fresh)
    copies = sorted(each.name for each in tmp_path.iterdir() if ".before-" in each.name)
    assert copies == [f"botlight.db.before-{step.version:04}" for step in STEPS[version:]]
    for copy, step in zip(copies, STEPS[version:], strict=True):
        connection = apsw.Connection(str(tmp_path / copy), flags=apsw.SQLITE_OPEN_READWRITE)
        assert connection.pragma("user_version") == step.version - 1
        assert connection.execute("select session_id from gone").fetchall() == [("kept",)]
        connection.close()
        SqliteDatabase.open(tmp_path / copy, serve=True).close()
        assert tables(tmp_path / copy) == tables(fresh)


def test_a_file_that_is_up_to_date_is_not_touched_again(tmp_path: Path) -> None:
    """Opening it again makes no copies."""
    for _ in range(3):
        SqliteDatabase.open(tmp_path / "botlight.db", serve=True).close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["botlight.db", "botlight.db.lock"]


def test_a_step_that_fails_leaves_what_was_before_it(tmp_path: Path) -> None:
    """Half a step is never seen, and an earlier copy is never overwritten."""
    path = tmp_path / "botlight.db"
    SqliteDatabase.open(path, serve=True).close()
    before = tables(path)
    wrong = Migration(len(STEPS) + 1, "wrong.sql", "create table half (x); insert into nowhere values (1);")
    dangling = Migration(
        len(STEPS) + 1, "dangling.sql", "insert into tokens values ('t','u','n','view','h',1,1,1,1,1,1);"
    )
    right = Migration(len(STEPS) + 1, "right.sql", "create table whole (x) strict;".replace("(x)", "(x text)"))
    connection = connect(path)
    for step, error in ((wrong, apsw.SQLError), (dangling, AssertionError)):
        with pytest.raises(error):
            migrate(connection, path, [*STEPS, step])
        assert tables(path) == before
    migrate(connection, path, [*STEPS, right])
    migrate(connection, path, [*STEPS, right])
    disconnect(connection)
    assert ("table", "whole") in [row[:2] for row in tables(path)]
    copies = sorted(each.name for each in tmp_path.iterdir() if ".before-" in each.name)
    assert copies == [f"botlight.db.before-{right.version:04}{suffix}" for suffix in ("", ".2", ".3")]
    with pytest.raises(NewerSchema):
        SqliteDatabase.open(path, serve=True)


def test_a_newer_schema_is_refused_and_the_file_left_alone(tmp_path: Path) -> None:
    """The message says what to do."""
    path = tmp_path / "botlight.db"
    SqliteDatabase.open(path, serve=True).close()
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 99)
    connection.close()
    before = path.read_bytes()
    for serve in (True, False):
        with pytest.raises(NewerSchema, match=r"newer version of Botlight \(schema 99; this version knows \d+\)"):
            SqliteDatabase.open(path, serve=serve)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["a table", "a version", "text"])
def test_another_programs_file_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    """Whatever it is."""
    path = tmp_path / "places.sqlite"
    if content == "text":
        path.write_text("Dear diary, " * 500)
    else:
        connection = apsw.Connection(str(path))
        connection.execute("create table bookmarks (url)")
        connection.pragma("user_version", 0 if content == "a table" else 2)
        connection.close()
    before = path.read_bytes()
    with pytest.raises(ForeignFile, match="Choose another file"):
        SqliteDatabase.open(path, serve=True)
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_opened_is_said_plainly(tmp_path: Path) -> None:
    """Without a traceback of the driver's; the lock is free again."""
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "folder.db", tmp_path / "file" / "botlight.db"):
        with pytest.raises(CannotOpen, match="cannot be opened"):
            SqliteDatabase.open(path, serve=True)


def test_a_short_command_does_not_change_the_schema_under_a_server(tmp_path: Path) -> None:
    """A newer command beside an older server says so instead."""
    path = tmp_path / "botlight.db"
    at_version(path, len(STEPS) - 1)
    lock = OwnerLock(path)
    with pytest.raises(AlreadyServed, match="Restart that server"):
        SqliteDatabase.open(path, serve=False)
    lock.release()
    SqliteDatabase.open(path, serve=False).close()
    SqliteDatabase.open(path, serve=True).close()


@pytest.fixture
def plans(tmp_path: Path) -> apsw.Connection:
    """A connection to an empty database of the newest schema."""
    SqliteDatabase.open(tmp_path / "botlight.db", serve=True).close()
    return connect(tmp_path / "botlight.db")


@pytest.mark.parametrize("name", sorted(set(SQL) - FRAGMENTS))
def test_every_statement_can_be_prepared_and_is_used(plans: apsw.Connection, name: str) -> None:
    """A statement that nobody asks for is removed."""
    plans.execute(f"explain {SQL[name]}", dict.fromkeys(re.findall(r":(\w+)", SQL[name]), None) or _nulls(SQL[name]))
    folder = Path(str(botlight.store.sqlite.__file__)).parent
    assert any(f'"{name}"' in module.read_text() for module in folder.glob("*.py"))


def _nulls(sql: str) -> list[None]:
    numbered = [int(n) for n in re.findall(r"\?(\d+)", sql)]
    return [None] * (max(numbered) if numbered else sql.count("?"))


def plan(connection: apsw.Connection, name: str) -> str:
    """How SQLite means to run a statement."""
    asked = dict.fromkeys(re.findall(r":(\w+)", SQL[name]), None) or _nulls(SQL[name])
    return "\n".join(str(row[3]) for row in connection.execute(f"explain query plan {SQL[name]}", asked))


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("touch", "bot_sessions USING INDEX sqlite_autoindex_bot_sessions_1 (id=?)"),
        ("move", "bot_sessions USING INDEX sqlite_autoindex_bot_sessions_1 (id=?)"),
        ("states", "bot_sessions USING INDEX sqlite_autoindex_bot_sessions_1 (id=?)"),
        ("other_instances", "bot_instances USING PRIMARY KEY (session_id=?)"),
        ("tombstones", "gone USING COVERING INDEX sqlite_autoindex_gone_1 (session_id=?)"),
        ("listed", "bot_sessions USING INDEX bot_sessions_list (user_id=? AND list_group=? AND list_at>? AND list_at<?)"),
        ("listed_one", "bot_sessions USING INDEX sqlite_autoindex_bot_sessions_1 (id=?)"),
        ("left", "bot_sessions USING INDEX bot_sessions_moved (user_id=? AND moved_revision>?)"),
        ("other_bots_moved", "bot_sessions USING INDEX bot_sessions_moved (user_id=? AND moved_revision>?)"),
        ("removed", "gone USING INDEX gone_user (user_id=? AND revision>?)"),
        ("running", "bot_sessions USING INDEX bot_sessions_list (user_id=? AND list_group=?)"),
        ("expired", "bot_sessions USING INDEX bot_sessions_open (id>?)"),
        ("prunable", "bot_sessions USING INDEX bot_sessions_ended (ended_at<?)"),
        ("timeline", "facts USING PRIMARY KEY (session_id=? AND n>?)"),
        ("saved", "bot_sessions USING INDEX sqlite_autoindex_bot_sessions_1 (id=?)"),
        ("last_facts", "facts USING PRIMARY KEY (session_id=?)"),
        ("trim_facts", "facts USING PRIMARY KEY (session_id=? AND n<?)"),
        ("jobs", "jobs USING INDEX jobs_n (session_id=? AND n>?)"),
        ("jobs", "stronger USING PRIMARY KEY (session_id=? AND key=? AND outcome<?)"),
        ("last_job", "jobs USING COVERING INDEX jobs_n (session_id=?)"),
        ("trim_jobs", "jobs USING INDEX jobs_n (session_id=? AND n<?)"),
        ("forget", "gone USING INDEX gone_at (at<?)"),
        ("find_token", "tokens USING INDEX sqlite_autoindex_tokens_2 (secret_hash=?)"),
        ("find_sign_in", "sign_ins USING INDEX sqlite_autoindex_sign_ins_2 (secret_hash=?)"),
        ("credentials", "tokens USING INDEX sqlite_autoindex_tokens_1 (id=?)"),
        ("credentials", "sign_ins USING INDEX sqlite_autoindex_sign_ins_1 (id=?)"),
    ],
)  # fmt: skip
def test_a_hot_statement_uses_its_index(plans: apsw.Connection, name: str, used: str) -> None:
    """No table that grows is read from end to end, and no list is sorted again."""
    found = plan(plans, name)
    assert f"SEARCH {used}" in found
    assert not re.search(r"SCAN (?!json_each|CONSTANT ROW|said|id VIRTUAL)|TEMP B-TREE", found)


def test_a_heartbeat_rewrites_no_index(plans: apsw.Connection) -> None:
    """Only what begins, ends, comes back or is named anew does."""
    written = {
        name: sum(row[1] == "IdxInsert" for row in plans.execute(f"explain {SQL[name]}", _nulls(SQL[name])))
        for name in ("touch", "move")
    }
    assert written["touch"] == 0
    assert written["move"] >= 4
