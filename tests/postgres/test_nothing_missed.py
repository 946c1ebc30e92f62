"""Writers of random length beside each other, and a reader: at each position its view is the table as of that snapshot."""

from __future__ import annotations

import re
from random import Random

import pytest

from tests.postgres.conftest import KINDS, Person
from tests.postgres.psql import Connection, Database

WRITERS = 4
TRANSACTIONS = 150
SESSIONS = 24
VIEW = "select id, user_id, revision from bot_sessions"
OWN = "revision = revision + 1, changed_xid = pg_current_xact_id(), updated_at = now()"


def script(
    seed: int, sessions: list[str], people: list[str], *, transactions: int = TRANSACTIONS, rows: int = 3
) -> str:
    """The transactions of one writer: each touches its rows in the order of ids, so that nobody waits in a circle."""
    random, lines = Random(seed), ["\\set ON_ERROR_STOP off\nselect 1"]
    for _ in range(transactions):
        some = ", ".join(f"'{id_}'" for id_ in sorted(random.sample(sessions, rows)))
        which = f"(select id from bot_sessions where id in ({some}) order by id for update)"
        owner = random.choice(people)
        lines += [
            "begin",
            random.choice(
                [
                    f"update bot_sessions set jobs_found = jobs_found + 1 where id in {which}",
                    f"update bot_sessions set jobs_found = jobs_found + 1, {OWN} where id in {which}",
                    f"update bot_sessions set user_id = '{owner}' where id in {which}",
                    f"delete from bot_sessions where id in {which}",
                    f"""insert into bot_sessions (id, user_id) select new.id::uuid, '{owner}' from unnest(array[{some}]) new (id)
                        where not exists (select from bot_sessions s where s.id = new.id::uuid) on conflict do nothing""",
                ]
            ),
            f"do $$ begin perform pg_sleep({random.random() / 50:.4f}); end $$",
            random.choice(["commit", "commit", "commit", "rollback"]),
        ]
    return ";\n".join(lines)


def look(reader: Connection, since: str) -> tuple[str, dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """In one snapshot: the new position, the rows that are news since the old one (without a row: gone), and the truth."""
    position = reader.value("begin isolation level repeatable read; select pg_current_snapshot()")
    unseen = f"xid >= pg_snapshot_xmin('{since}') and not pg_visible_in_snapshot(xid, '{since}')"
    changed = [id_ for (id_,) in reader.ask(f"select distinct unnest(ids) from botlight.feed where {unseen}")]
    truth = {row[0]: row for row in reader.ask(VIEW)}
    reader.ask("commit")
    return position, {id_: truth.get(id_, ()) for id_ in changed}, truth


@pytest.mark.parametrize("database", [KINDS[0]], indirect=True)
def test_a_view_kept_by_the_feed_is_the_table(database: Database, person: Person) -> None:
    """After each read the view equals the table, whatever committed late, was taken back, moved, deleted or came again."""
    people = [person(), person()]
    made = f"insert into bot_sessions (user_id) select '{people[0]}' from generate_series(1, {SESSIONS}) returning id"
    sessions = [id_ for (id_,) in database.run(made)]
    position = database.value("select pg_current_snapshot()")
    view = {row[0]: row for row in database.run(VIEW)}
    reads, news = 0, 0
    with database.connection() as reader:
        writers = [database.connection() for _ in range(WRITERS)]
        try:
            opened = [writer.__enter__() for writer in writers]
            ends = [each.send(script(seed, sessions, people)) for seed, each in enumerate(opened)]
            while True:
                over = all(each.finished(end) for each, end in zip(opened, ends, strict=True))
                position, changed, truth = look(reader, position)
                for id_, row in changed.items():
                    view.pop(id_, None)
                    if row:
                        view[id_] = row
                assert view == truth
                reads, news = reads + 1, news + len(changed)
                if over:
                    break
            said = [word for each, end in zip(opened, ends, strict=True) for (word, *_) in each.answer(end)]
        finally:
            for writer in writers:
                writer.__exit__(None, None, None)
    # Two writers in a circle, a session deleted while it came again, and what follows in such a transaction.
    refusals = {code for line in said for code in re.findall(r"ERROR:  (\w{5})", line)}
    assert refusals <= {"40P01", "40001", "25P02"}
    assert reads > 20
    assert news > 100
