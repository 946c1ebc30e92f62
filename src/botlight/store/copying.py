"""`botlight copy`: everything that a SQLite store holds, brought into PostgreSQL; what is there already is left alone.

A portion of sessions is one transaction with all that hangs on them, so whoever is interrupted goes on where it was. A
session that went on in the source after an earlier copy is brought again, unless it has gone on in PostgreSQL too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import apsw
from msgspec import Struct, json, structs

from botlight.model.session import COUNTERS, SessionState
from botlight.service.ports import Write
from botlight.store.errors import CannotOpen
from botlight.store.postgres.connection import AnyConnection, connect, sentence, transaction
from botlight.store.postgres.examination import examine
from botlight.store.postgres.failures import is_of_the_database
from botlight.store.postgres.rows import columns
from botlight.store.postgres.saving import save
from botlight.store.sqlfile import statements
from botlight.store.sqlite import SqliteDatabase, SqliteStore

__all__ = ["Copied", "copy"]

SQL: Final = statements("botlight.store", "copying.sql")
PORTION: Final = 50  # a session may have ten thousand outcomes

Progress = Callable[[int, int], None]
"""Told how many sessions are done, of how many."""


class Copied(Struct, kw_only=True):
    """What there was, and what became of it."""

    sessions: int = 0
    new: int = 0  # sessions that were not there before
    known: int = 0  # that were
    renewed: int = 0  # that were as an earlier copy left them, while they went on in the source
    parted: Sequence[str] = ()  # those that went on in both: they are left as they are there
    deleted: int = 0  # that were deleted there after an earlier copy: they stay so
    instances: int = 0
    facts: int = 0
    jobs: int = 0
    people: int = 0
    credentials: int = 0
    joined: Sequence[str] = ()  # people who were there under the same name, and got what was theirs


async def copy(source: Path, url: str, progress: Progress, people: Mapping[str, str] | None = None) -> Copied:
    """Copy a store that nobody serves; afterwards everything has been counted on both sides.

    `people` says, by the names in the source, who they are in a Supabase project: ids or e-mails.

    Raises:
        CannotOpen: one of the two cannot be used, or what arrived is not what was sent; what is done stays done.
    """
    async with AsyncExitStack() as closing:
        database = await asyncio.to_thread(SqliteDatabase.open, source, serve=True)
        closing.push_async_callback(asyncio.to_thread, database.close)
        known = await examine(url)
        target = await connect(url, statement_cache_size=0)
        closing.callback(target.terminate)
        try:
            move = _Move(database, target, on_supabase=known.standing.supabase)
            return await move.run(progress, people or {})
        except Exception as error:
            if not is_of_the_database(error):
                raise
            raise CannotOpen(f"The copy stopped, and can go on later: {sentence(error)}") from error


class _Move:
    """One run."""

    def __init__(self, source: SqliteDatabase, target: AnyConnection, *, on_supabase: bool) -> None:
        self._source = source
        self._store = SqliteStore(source)
        self._target = target
        self._on_supabase = on_supabase
        self._owners: dict[str, str] = {}  # a person's id there, by the one here
        self._copied = Copied()

    async def run(self, progress: Progress, people: Mapping[str, str]) -> Copied:
        """Bring everything over."""
        if not await self._target.fetchval(SQL["may_write"]):
            raise CannotOpen("This login may not write everything. Log in as the owner of the database.")
        async with transaction(self._target, "begin"):
            await self._bring_people(people)
        [(self._copied.sessions,)] = await self._read("source_sessions")
        after, done = "", 0
        while ids := [row[0] for row in await self._read("source_ids", after, PORTION)]:
            async with transaction(self._target, "begin"):
                await self._bring_sessions(ids)
            after, done = ids[-1], done + len(ids)
            progress(done, self._copied.sessions)
        async with transaction(self._target, "begin"):
            await self._bring_graves()
        return self._copied

    async def _bring_people(self, people: Mapping[str, str]) -> None:
        joined = []
        for user_id, name, password_hash, operator, created_at in await self._read("source_users"):
            if self._on_supabase:
                self._owners[user_id] = await self._of_supabase(name, people)
                continue
            there = await self._target.fetchval(SQL["person"], name)
            self._owners[user_id] = there or user_id
            if there is None:
                await self._target.execute(SQL["put_identity"], user_id)
                await self._target.execute(SQL["put_user"], user_id, name, password_hash, bool(operator), created_at)
            elif there != user_id:
                joined.append(name)
        self._copied.people, self._copied.joined = len(self._owners), tuple(joined)
        tokens, sign_ins = await self._read("source_tokens"), await self._read("source_sign_ins")
        await self._put("put_tokens", ((id_, self._owners[user], *rest) for id_, user, *rest in tokens))
        await self._put("put_sign_ins", ((id_, self._owners[user], *rest) for id_, user, *rest in sign_ins))
        ids = [row[0] for row in (*tokens, *sign_ins)]
        self._same("tokens and sign-ins", len(ids), await self._target.fetchval(SQL["there"], ids))
        self._copied.credentials = len(ids)

    async def _of_supabase(self, name: str, people: Mapping[str, str]) -> str:
        if name not in people:
            raise CannotOpen(
                f"In a Supabase project people are the project's. Say who {name!r} is there: --person {name}=ID, or "
                "an e-mail in place of the id."
            )
        found: str | None = await self._target.fetchval(SQL["supabase_person"], people[name])
        if found is None:
            raise CannotOpen(f"--person {name}=…: there is no such person in the Supabase project.")
        return found

    async def _bring_sessions(self, ids: Sequence[str]) -> None:
        there = {row[0]: row[1] for row in await self._target.fetch(SQL["known"], list(ids))}
        states = (await self._store.load(ids)).states
        listed = json.encode(ids).decode()
        facts, jobs = await self._read("source_facts", listed), await self._read("source_jobs", listed)
        renewed = await self._make_way(states, facts, [id_ for id_ in ids if there.get(id_)])
        for id_ in renewed:
            del there[id_]
        new = [id_ for id_ in ids if id_ not in there]
        await save(self._target, [Write(before=None, after=self._owned(states[id_])) for id_ in new])
        await self._put("put_facts", (row for row in facts if row[0] not in there))
        await self._put("put_jobs", (row for row in jobs if row[0] not in there))
        await self._count(states, Counter(row[0] for row in facts), Counter(row[0] for row in jobs), there)
        self._copied.new += len(new) - len(renewed)
        self._copied.renewed += len(renewed)
        self._copied.known += sum(there.values())
        self._copied.deleted += len(there) - sum(there.values())

    async def _make_way(
        self, states: Mapping[str, SessionState], facts: Sequence[tuple[Any, ...]], ids: Sequence[str]
    ) -> Sequence[str]:
        """Remove what an earlier copy brought of sessions that went on since, in the source alone; answers which."""
        here: dict[str, set[tuple[Any, ...]]] = {id_: set() for id_ in states}
        for session_id, *fact in facts:
            here[session_id].add(tuple(fact[:3]))
        renewed = []
        for id_, heard, numbers, instants, kinds in await self._target.fetch(SQL["met"], list(ids)):
            there = set(zip(numbers, instants, kinds, strict=True))
            heard_here = states[id_].session.last_heartbeat_at or 0
            if heard <= heard_here and there <= here[id_]:
                if heard < heard_here or there < here[id_]:
                    renewed.append(id_)
            elif heard < heard_here:
                self._copied.parted = (*self._copied.parted, id_)
        if renewed:
            await self._target.execute(SQL["drop_sessions"], renewed)
            await self._target.execute(SQL["drop_graves"], renewed)
        return renewed

    def _owned(self, state: SessionState) -> SessionState:
        session = structs.replace(state.session, user_id=self._owners[state.session.user_id])
        return structs.replace(state, session=session)

    async def _count(
        self, states: Mapping[str, SessionState], facts: Counter[str], jobs: Counter[str], there: Mapping[str, bool]
    ) -> None:
        """What is new has to be there whole; what was there may have grown since."""
        found = {id_: tuple(rest) for id_, *rest in await self._target.fetch(SQL["counted"], list(states))}
        for id_, state in states.items():
            counters = sum(state.session.totals.get(name, 0) for name in COUNTERS)
            sent = (len(state.instances), facts[id_], jobs[id_], counters)
            self._copied.instances += sent[0]
            self._copied.facts += sent[1]
            self._copied.jobs += sent[2]
            if id_ not in there:
                self._same(f"instances, facts, jobs and counters of session {id_}", sent, found.get(id_))

    async def _bring_graves(self) -> None:
        graves = await self._read("source_graves")
        # Whose account is gone has nobody who could be told.
        owned = ((id_, self._owners[user], *rest) for id_, user, *rest in graves if user in self._owners)
        await self._put("put_graves", owned)

    async def _read(self, name: str, *asked: Any) -> list[tuple[Any, ...]]:
        def read(connection: apsw.Connection) -> list[tuple[Any, ...]]:
            return connection.execute(SQL[name], asked).fetchall()

        return await self._source.readers.run(read)

    async def _put(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        if values := list(rows):
            await self._target.execute(SQL[name], *columns(values))

    @staticmethod
    def _same(what: str, sent: Any, arrived: Any) -> None:
        if sent != arrived:
            raise CannotOpen(f"The copy is not whole: {what}: {sent} there, {arrived} here. Nothing of it was kept.")
