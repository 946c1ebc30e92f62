"""The transaction that saves a batch. Everything here runs in the writing thread."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import apsw
from msgspec import Struct, json, structs

from botlight.model.event import Change, Fact, Removal
from botlight.model.session import SessionState
from botlight.service.ports import Committed, Write
from botlight.store.instances import rearranged
from botlight.store.rows import fact_values, job_values, text
from botlight.store.sqlite.connection import read_transaction, transaction
from botlight.store.sqlite.loading import json_list
from botlight.store.sqlite.positions import position
from botlight.store.sqlite.rows import live_values
from botlight.store.sqlite.sql import many, rows, value

__all__ = ["FACTS_KEPT", "JOBS_KEPT", "Saved", "Saver"]

FACTS_KEPT: Final = 1000
JOBS_KEPT: Final = 10_000

_numbers: Final = json.Decoder(dict[str, int]).decode


class Saved(Struct, frozen=True, kw_only=True):
    """What a transaction did."""

    committed: Committed
    states: Sequence[SessionState] = ()
    foreign: bool = False  # another process wrote to the file since the transaction before


class Saver:
    """Writes batches and deletions, numbers the changes, and notices what other processes did meanwhile."""

    def __init__(self, connection: apsw.Connection, boot: str) -> None:
        self._boot = boot
        self._known = _counter(connection)
        self._version = connection.pragma("data_version")

    @property
    def position(self) -> str:
        """The position of a reader that has seen everything committed so far."""
        return position(self._boot, self._known)

    def save(self, connection: apsw.Connection, writes: Iterable[Write]) -> Saved:
        """Save each write whose session is as it was loaded; one durable transaction."""
        with transaction(connection):
            foreign, removals, current = self._news(connection)
            numbered: dict[str, tuple[int, Write]] = {}
            for write in writes:
                numbered.setdefault(write.after.session.id, (current + len(numbered) + 1, write))
            won = _compare_and_set(connection, list(numbered.values()))
            taken = [(revision, write) for id_, (revision, write) in numbered.items() if id_ in won]
            _save_instances(connection, [write for _, write in taken])
            facts = _add_facts(connection, [write for _, write in taken])
            _add_jobs(connection, [write for _, write in taken])
            last = taken[-1][0] if taken else current
            rows(connection, "count", (last,))
        self._known = last
        states = [_numbered(revision, write.after) for revision, write in taken]
        changes = [
            Change(session=state.session, facts=facts.get(state.session.id, ()), began=write.before is None)
            for state, (_, write) in zip(states, taken, strict=True)
        ]
        committed = Committed(position=position(self._boot, last), changes=changes, removals=removals)
        return Saved(committed=committed, states=states, foreign=foreign)

    def delete(self, connection: apsw.Connection, session_ids: Collection[str], user_id: str | None) -> Saved:
        """Delete the ended ones, of one person or of whoever has them; one durable transaction."""
        with transaction(connection):
            foreign, removals, _ = self._news(connection)
            deleted = rows(connection, "delete_ended", (json_list(session_ids), user_id))
            last = _counter(connection)
        self._known = last
        removals += [Removal(session_id=session_id, user_id=user_id) for session_id, user_id in deleted]
        return Saved(committed=Committed(position=position(self._boot, last), removals=removals), foreign=foreign)

    def look(self, connection: apsw.Connection) -> Saved:
        """Read in this thread what others deleted since the last transaction."""
        with read_transaction(connection):
            foreign, removals, current = self._news(connection)
        self._known = current
        return Saved(committed=Committed(position=position(self._boot, current), removals=removals), foreign=foreign)

    def _news(self, connection: apsw.Connection) -> tuple[bool, list[Removal], int]:
        version = self._version
        [(current, self._version)] = rows(connection, "news")
        if current <= self._known:
            return version != self._version, [], current
        gone = rows(connection, "gone_between", (self._known, current))
        return True, [Removal(session_id=session_id, user_id=user_id) for session_id, user_id in gone], current


def _numbered(revision: int, state: SessionState) -> SessionState:
    return structs.replace(state, session=structs.replace(state.session, revision=revision))


def _counter(connection: apsw.Connection) -> int:
    return int(value(connection, "counter"))


def _compare_and_set(connection: apsw.Connection, numbered: Sequence[tuple[int, Write]]) -> Collection[str]:
    """Write the sessions that are as they were loaded; answers their ids."""
    kinds: dict[str, list[tuple[Any, ...]]] = {"touch": [], "move": [], "create": []}
    for revision, write in numbered:
        after, before = write.after.session, write.before
        live = live_values(write.after, revision)
        moved = (after.bot_name, after.status.value, after.started_at, after.ended_at)
        if before is None:
            kinds["create"].append((*live, after.id, after.user_id, after.created_at, *moved))
        elif moved == _moving(before):
            kinds["touch"].append((*live, after.id, before.session.revision))
        else:
            kinds["move"].append((*live, after.id, before.session.revision, *moved))
    ids = [write.after.session.id for _, write in numbered]
    if sum(many(connection, name, values) for name, values in kinds.items()) == len(ids):
        return ids
    current = numbered[0][0] - 1
    return {row[0] for row in rows(connection, "saved", (json_list(ids), current))}


def _moving(state: SessionState) -> tuple[Any, ...]:
    """What stands in an index, and is written only when it changes."""
    session = state.session
    return (session.bot_name, session.status.value, session.started_at, session.ended_at)


def _save_instances(connection: apsw.Connection, writes: Iterable[Write]) -> None:
    """Write the instances that changed, but for the newest main one, which stands in the session's own row."""
    kept, lifted = rearranged(writes)
    many(connection, "lift_instances", lifted)
    many(connection, "save_instances", [(id_, instance.id, text(instance)) for id_, instance in kept])


def _add_facts(connection: apsw.Connection, writes: Iterable[Write]) -> dict[str, tuple[Fact, ...]]:
    """Add to the timelines and cut their far ends; answers the facts with their numbers, by session."""
    told = {write.after.session.id: write.facts for write in writes if write.facts}
    if not told:
        return {}
    last = _numbers(value(connection, "last_facts", (json_list(told),)))
    added = {id_: tuple(_counted(facts, last[id_] + 1)) for id_, facts in told.items()}
    many(connection, "add_facts", [fact_values(id_, fact.n, fact) for id_, facts in added.items() for fact in facts])
    for id_, facts in added.items():
        if facts[-1].n > FACTS_KEPT:
            rows(connection, "trim_facts", (id_, facts[-1].n - FACTS_KEPT))
    return added


def _counted(facts: Iterable[Fact], first: int) -> Iterator[Fact]:
    return (structs.replace(fact, n=n) for n, fact in enumerate(facts, first))


def _add_jobs(connection: apsw.Connection, writes: Iterable[Write]) -> None:
    """Add to the proof lists what is not in them yet, and cut their far ends."""
    for write in writes:
        session_id = write.after.session.id
        n = value(connection, "last_job", (session_id,)) if write.jobs else 0
        for job in write.jobs:
            rows(connection, "add_job", job_values(session_id, n + 1, job))
            n += connection.changes()
        if n > JOBS_KEPT:
            rows(connection, "trim_jobs", (session_id, n - JOBS_KEPT))
