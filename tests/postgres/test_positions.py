"""A reader misses nothing: every statement that changes sessions is noted in the order of commits, whoever made it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.postgres.cluster import Cluster, running_cluster
from tests.postgres.conftest import KINDS, MIGRATIONS, PLAIN, SHIM, Person
from tests.postgres.psql import Connection, Database, RefusedSql

SNAPSHOT = "select pg_current_snapshot()"
OWN_UPDATE = """update bot_sessions set {what}, revision = revision + 1, changed_xid = pg_current_xact_id(), updated_at = now()
    where id = '{id}' returning revision"""


def news(database: Database | Connection, since: str) -> set[str]:
    """The ids that changed since a snapshot, as the service reads them."""
    unseen = f"xid >= pg_snapshot_xmin('{since}') and not pg_visible_in_snapshot(xid, '{since}')"
    sql = f"select distinct unnest(ids) from botlight.feed where {unseen}"
    return {id_ for (id_,) in (database.run(sql) if isinstance(database, Database) else database.ask(sql))}


def make(database: Database, user_id: str, count: int = 1) -> list[str]:
    """Make sessions of a person."""
    sql = f"insert into bot_sessions (user_id) select '{user_id}' from generate_series(1, {count}) returning id"
    return [id_ for (id_,) in database.run(sql)]


STATEMENTS = {
    "update": "update bot_sessions set jobs_applied = 1 where id = '{id}'",
    "our own update": OWN_UPDATE.replace("{what}", "jobs_applied = 1"),
    "upsert": "insert into bot_sessions (id, user_id) values ('{id}', '{user}') on conflict (id) do update set jobs_found = 2",
    "merge": "merge into bot_sessions s using (select '{id}'::uuid as id) x on s.id = x.id when matched then update set jobs_found = 3",
    "delete": "delete from bot_sessions where id = '{id}'",
    "cascade": "delete from auth.users where id = '{user}'",
    "change of owner": "update bot_sessions set user_id = '{other}' where id = '{id}'",
    "copy": "copy bot_sessions (id, user_id) from stdin;\n{new}\t{user}\n\\.\n",
    "trusted program": "set role service_role; update bot_sessions set jobs_found = 4",
}


@pytest.mark.parametrize("kind", STATEMENTS)
def test_each_statement_is_announced_once(database: Database, person: Person, kind: str) -> None:
    """Whoever changes a session in whatever way: one row of the feed with its id, and one empty notification."""
    user, other = person(), person()
    [session] = make(database, user)
    before = database.value(SNAPSHOT)
    new = "11111111-1111-4111-8111-111111111111"
    with database.connection() as listener:
        listener.ask("listen bot_sessions")
        database.run(STATEMENTS[kind].format(id=session, user=user, other=other, new=new), user=database.superuser)
        heard = [line for (line, *_) in listener.ask("select 'asked'") if "notification" in line]
    assert len(heard) == 1
    assert "payload" not in heard[0]
    assert news(database, before) == {new if kind == "copy" else session}
    feed = f"select count(*) from botlight.feed where not pg_visible_in_snapshot(xid, '{before}')"
    assert database.value(feed) == "1"


def test_a_statement_that_changes_nothing_is_not_announced(database: Database) -> None:
    """No row, no feed, no wake-up."""
    database.run("update bot_sessions set jobs_found = 1; delete from bot_sessions")
    assert database.value("select count(*) from botlight.feed") == "0"


def test_many_rows_are_one_entry(database: Database, person: Person) -> None:
    """Ten thousand rows of one statement make one entry and one wake-up: nothing in a notification can overflow."""
    ids = make(database, person(), 10_000)
    before = database.value(SNAPSHOT)
    database.run("update bot_sessions set jobs_found = 1")
    assert (
        database.value(f"select count(*) from botlight.feed where not pg_visible_in_snapshot(xid, '{before}')") == "1"
    )
    assert news(database, before) == set(ids)


def test_what_commits_late_is_not_missed(database: Database, person: Person) -> None:
    """A change that began before another and commits after it is news to a reader who has seen the other.

    A sequence or a clock in the place of the snapshot would have passed it by.
    """
    early, late = make(database, person(), 2)
    with database.connection() as slow:
        slow.ask(f"begin; update bot_sessions set jobs_found = 1 where id = '{early}'")
        database.run(f"update bot_sessions set jobs_found = 1 where id = '{late}'")
        position = database.value(SNAPSHOT)
        assert early not in news(database, position)
        by_clock = database.value("select max(updated_at) from bot_sessions")
        slow.ask("commit")
    assert news(database, position) == {early}
    passed_by = f"select count(*) from bot_sessions where id = '{early}' and updated_at > '{by_clock}'"
    assert database.value(passed_by) == "0"


def test_what_is_rolled_back_is_no_news(database: Database, person: Person) -> None:
    """A transaction, or a part of it, that is taken back leaves nothing in the feed."""
    kept, dropped = make(database, person(), 2)
    before = database.value(SNAPSHOT)
    change = "update bot_sessions set jobs_found = 1 where id = '{}'"
    database.run(f"begin; {change.format(dropped)}; rollback")
    database.run(
        f"begin; {change.format(kept)}; savepoint a; {change.format(dropped)}; rollback to a; {change.format(kept)}; commit"
    )
    assert news(database, before) == {kept}


def test_rows_say_in_which_transaction_they_changed(database: Database, person: Person) -> None:
    """A person's resume needs no feed: a row is news where its own transaction was not seen."""
    one, two = make(database, person(), 2)
    before = database.value(SNAPSHOT)
    database.run(f"update bot_sessions set jobs_found = 1 where id = '{one}'")
    database.run(OWN_UPDATE.format(what="jobs_found = 1", id=two))
    unseen = f"select id from bot_sessions where not pg_visible_in_snapshot(changed_xid, '{before}')"
    assert {id_ for (id_,) in database.run(unseen)} == {one, two}
    moved = f"select id from bot_sessions where not pg_visible_in_snapshot(moved_xid, '{before}')"
    assert database.run(moved) == []
    database.run(f"update bot_sessions set bot_name = 'b' where id = '{one}'")
    assert database.run(moved) == [(one,)]


def test_revision_grows_with_each_change_whoever_makes_it(database: Database, person: Person) -> None:
    """A foreign writer neither forgets the revision nor sets it: a reader who compares shows the newest."""
    [session] = make(database, person())
    revision = int(database.value("select revision from bot_sessions"))
    for what in (
        "jobs_found = 1",
        "revision = 9007199254740991",
        "revision = 1",
        "revision = null, changed_xid = null",
    ):
        database.run(f"update bot_sessions set {what}")
        revision += 1
        assert database.value("select revision from bot_sessions") == str(revision), what
    assert database.value(OWN_UPDATE.format(what="jobs_found = 2", id=session)) == str(revision + 1)
    database.run("begin; update bot_sessions set jobs_found = 3; update bot_sessions set jobs_found = 4; commit")
    assert database.value("select revision from bot_sessions") == str(revision + 3)


def test_a_writer_who_stamps_is_spared_the_trigger(database: Database, person: Person) -> None:
    """Our batches set the stamps themselves; only who does not is stamped, which costs a call for each row."""
    [session] = make(database, person())
    with database.connection(user=database.superuser) as two:
        two.ask("set track_functions = 'pl'; begin")
        two.ask(OWN_UPDATE.format(what="jobs_found = 3", id=session))
        inside = "select coalesce(pg_stat_get_xact_function_calls('botlight.stamp'::regproc), 0)"
        assert two.value(inside) == "0"
        two.ask("update bot_sessions set jobs_found = 4")
        assert two.value(inside) == "1"


def test_updated_at_follows_every_change(database: Database, person: Person) -> None:
    """Also where the writer does not think of it, or sets something else."""
    make(database, person())
    database.run("update bot_sessions set updated_at = '2020-01-01'")
    assert database.value("select updated_at > now() - interval '1 minute' from bot_sessions") == "t"


def gone(database: Database, since: str) -> list[tuple[str, ...]]:
    """Who lost which session since a snapshot and does not have it now: what `removed` is told by."""
    return database.run(
        f"""select distinct g.user_id, g.session_id from botlight.gone g
            where g.xid >= pg_snapshot_xmin('{since}') and not pg_visible_in_snapshot(g.xid, '{since}') and not exists (
              select from bot_sessions s where s.id = g.session_id and s.user_id = g.user_id)"""
    )


def test_removals_are_known_for_deletes_and_changes_of_owner(database: Database, person: Person) -> None:
    """Who had the session learns that it is gone; who has it again does not."""
    mine, theirs = person(), person()
    deleted, given, returned = make(database, mine, 3)
    before = database.value(SNAPSHOT)
    give = "update bot_sessions set user_id = '{}' where id = '{}'"
    database.run(f"delete from bot_sessions where id = '{deleted}'; {give.format(theirs, given)}")
    database.run(f"{give.format(theirs, returned)}; {give.format(mine, returned)}")
    assert sorted(gone(database, before)) == sorted([(mine, deleted), (mine, given), (theirs, returned)])


def test_a_deleted_session_leaves_a_tombstone_whoever_deletes(database: Database, person: Person) -> None:
    """A late report does not bring it back, and the insert that tries says that nothing was written."""
    user = person()
    [session] = make(database, user)
    database.run("delete from bot_sessions")
    late = f"insert into bot_sessions (id, user_id, changed_xid) values ('{session}', '{user}', pg_current_xact_id()) returning id"
    assert database.run(late) == []
    assert database.value("select count(*) from bot_sessions") == "0"
    assert database.run("select session_id, user_id from botlight.tombstones") == [(session, user)]


def test_a_person_who_wants_a_session_back_gets_it(database: Database, person: Person) -> None:
    """SQL by hand may insert what was deleted: its tombstone goes, and it is newer than all that was known of it."""
    user = person()
    [session] = make(database, user)
    database.run("update bot_sessions set jobs_found = 1")
    old = database.value("select revision from bot_sessions")
    far = "update botlight.tombstones set revision = 5000000000000000"  # as if the clock had been far ahead
    database.run(f"delete from bot_sessions; {far}", user=database.superuser)
    database.run(f"insert into bot_sessions (id, user_id) values ('{session}', '{user}')")
    assert int(database.value("select revision from bot_sessions")) == 5000000000000001 > int(old)
    assert database.value("select count(*) from botlight.tombstones") == "0"


def test_a_delete_beside_an_insert_is_not_undone(
    database: Database, person: Person, within: Callable[[float, Callable[[], object]], None]
) -> None:
    """A late report that waits for a delete to commit is refused, not written after it."""
    user = person()
    [session] = make(database, user)
    late = f"insert into bot_sessions (id, user_id, changed_xid) values ('{session}', '{user}', pg_current_xact_id())"
    with database.connection() as deleting, database.connection() as reporting:
        deleting.ask("begin; delete from bot_sessions")
        waiting = reporting.send(late)
        blocked = (
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        within(20, lambda: database.value(blocked) == "1")
        deleting.ask("commit")
        with pytest.raises(RefusedSql) as refused:
            reporting.answer(waiting)
    assert refused.value.code == "40001"
    assert database.value("select count(*) from bot_sessions") == "0"


def test_truncate_ends_the_epoch(database: Database, person: Person) -> None:
    """Every position is void after a TRUNCATE, and each session has its tombstone."""
    make(database, person(), 2)
    first = database.value("select botlight.open_epoch()")
    database.run("truncate bot_sessions cascade")
    assert database.run("select botlight.current_epoch()") == [("",)]
    assert database.value("select botlight.open_epoch()") != first
    assert database.value("select count(*) from botlight.tombstones") == "2"


def test_the_feed_is_pruned_below_a_horizon_only(database: Database, person: Person) -> None:
    """What a transaction that still runs has written is never pruned, however old it is; the floor says how far it went."""
    seen, open_ = make(database, person(), 2)
    database.run(f"update bot_sessions set jobs_found = 1 where id = '{seen}'")
    with database.connection() as slow:
        slow.ask(f"begin; update bot_sessions set jobs_found = 1 where id = '{open_}'")
        position = database.value(SNAPSHOT)
        for _ in range(3):  # the first notes a horizon, the second prunes below it, the third below the second's
            database.run("select botlight.prune_feed(interval '0')")
        assert database.value("select count(*) from botlight.feed") == "0"
        slow.ask("commit")
    for _ in range(3):
        assert database.value(f"select pg_snapshot_xmin('{position}') >= xid from botlight.floor") == "t"
        assert news(database, position) == {open_}
        database.run("select botlight.prune_feed(interval '1 hour')")
    for _ in range(2):
        database.run("select botlight.prune_feed(interval '0')")
    assert database.value("select count(*) from botlight.feed") == "0"
    assert database.value(f"select pg_snapshot_xmin('{position}') >= xid from botlight.floor") == "f"


def test_pruning_keeps_what_is_younger_than_asked(database: Database, person: Person) -> None:
    """A reader who is a few minutes behind misses nothing."""
    make(database, person())
    for _ in range(3):
        database.run("select botlight.prune_feed()")
    assert database.value("select count(*) from botlight.feed") == "1"


def test_one_epoch_however_many_ask(database: Database) -> None:
    """Whoever opens the epoch, all find the same one until the database's life is another."""
    first = database.value("select botlight.open_epoch()")
    assert database.value("select botlight.open_epoch()") == first == database.value("select botlight.current_epoch()")
    for column, other in (("system_identifier", "1"), ("started_at", "now()"), ("sessions", "1")):
        current = database.value("select botlight.open_epoch()")
        database.run(f"update botlight.epoch set {column} = {other}")
        assert database.run("select botlight.current_epoch()") == [("",)], column
        assert database.value("select botlight.open_epoch()") != current, column


@pytest.mark.parametrize("database", [KINDS[0]], indirect=True)
def test_two_phase_commit_is_refused(database: Database, person: Person) -> None:
    """PostgreSQL prepares no transaction that notifies: such a writer is told so, and nothing is announced wrongly."""
    make(database, person())
    with pytest.raises(RefusedSql, match="cannot PREPARE a transaction that has executed"):
        database.run("begin; update bot_sessions set jobs_found = 1; prepare transaction 'p'")


@pytest.mark.parametrize("database", [KINDS[0]], indirect=True)
def test_a_replica_writes_unseen(database: Database, person: Person) -> None:
    """As documented: with session_replication_role = replica no trigger runs, so nothing is announced."""
    make(database, person())
    before = database.value(SNAPSHOT)
    database.run(
        "set session_replication_role = replica; update bot_sessions set jobs_found = 1", user=database.superuser
    )
    assert news(database, before) == set()


def test_a_crash_ends_the_epoch(binaries: Path) -> None:
    """After a crash transaction ids are given again, so positions of before it mean nothing; a clean restart too is a new life."""
    with running_cluster(binaries, "postgres") as cluster:
        database = _plain(cluster)
        epochs = [database.value("select botlight.open_epoch()")]
        for crash in (True, False):
            cluster.stop(crash=crash)
            cluster.start()
            left = database.value("select count(*) from botlight.epoch")
            assert left == ("0" if crash else "1")
            assert database.run("select botlight.current_epoch()") == [("",)]
            epochs.append(database.value("select botlight.open_epoch()"))
        assert len(set(epochs)) == 3


def _plain(cluster: Cluster) -> Database:
    cluster.home.run("create role botlight login")
    database = cluster.make_database("crashing", "botlight")
    database.apply(SHIM, user=database.superuser)
    database.apply(*MIGRATIONS)
    return database


@pytest.mark.parametrize("database", [PLAIN], indirect=True)
def test_a_restored_dump_is_another_life(database: Database, person: Person) -> None:
    """A dump carries the epoch's row; where it is restored, that row is of another database and is renewed."""
    make(database, person())
    old = database.value("select botlight.open_epoch()")
    programs, where = database.psql.parent, ["-h", str(database.socket), "-U", database.superuser]
    dump = subprocess.run(
        [programs / "pg_dump", *where, database.name], check=True, capture_output=True, text=True, timeout=60
    )
    name = f"restored_{database.name}"
    database.run(f"create database {name} owner {database.owner} template template0", user=database.superuser)
    restored = Database(
        psql=database.psql, socket=database.socket, name=name, owner=database.owner, superuser=database.superuser
    )
    restored.run(dump.stdout, user=database.superuser)
    assert restored.value("select count(*) from bot_sessions") == "1"
    assert restored.value("select id from botlight.epoch") == old
    assert restored.run("select botlight.current_epoch()") == [("",)]
    assert restored.value("select botlight.open_epoch()") != old
