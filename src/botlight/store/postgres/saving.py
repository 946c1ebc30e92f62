"""The transaction that saves a batch: the sessions that are as they were loaded, and what hangs on those.

A session's row locks everything below it, so nothing is written for a session before its row was. Every statement
goes by sorted ids, each once: two batches may wait for each other, and never in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import structs

from botlight.model.event import Change, Fact
from botlight.model.session import SessionState
from botlight.service.ports import Write
from botlight.store.instances import rearranged
from botlight.store.postgres.connection import AnyConnection
from botlight.store.postgres.rows import columns, write_values
from botlight.store.postgres.sql import SQL, column, rows
from botlight.store.rows import fact_values, job_values, text

__all__ = ["FACTS_KEPT", "JOBS_KEPT", "save"]

FACTS_KEPT: Final = 1000
JOBS_KEPT: Final = 10_000


async def save(connection: AnyConnection, writes: Iterable[Write], *, only_free: bool = False) -> list[Change]:
    """Save, inside the caller's transaction, each write whose session is as it was loaded; answers what was saved.

    `only_free` passes over the sessions that another transaction is changing, instead of waiting for it.
    """
    unique: dict[str, Write] = {}
    for write in writes:
        unique.setdefault(write.after.session.id, write)
    new = {id_: unique[id_] for id_ in sorted(unique) if unique[id_].before is None}
    known = {id_: unique[id_] for id_ in sorted(unique) if id_ not in new}
    if only_free and known:
        known = {id_: known[id_] for id_ in await column(connection, "free", list(known))}
    # New ones first: whoever waits for a row that is being made holds none that an update could wait for.
    revisions = await _written(connection, "create", new.values()) | await _written(connection, "save", known.values())
    taken = [write for id_, write in unique.items() if id_ in revisions]
    await _save_instances(connection, taken)
    facts = await _add_facts(connection, taken)
    await _add_jobs(connection, taken)
    return [_change(write, revisions[write.after.session.id], facts) for write in taken]


def _change(write: Write, revision: int, facts: dict[str, tuple[Fact, ...]]) -> Change:
    session = structs.replace(write.after.session, revision=revision)
    return Change(session=session, facts=facts.get(session.id, ()), began=write.before is None)


async def _written(connection: AnyConnection, name: str, writes: Iterable[Write]) -> dict[str, int]:
    """Write the rows of sessions; answers the revisions of those that were written."""
    values = [write_values(write, moved=write.before is None or _moves(write)) for write in writes]
    return {} if not values else dict(await rows(connection, name, *columns(values)))


def _moves(write: Write) -> bool:
    return write.before is not None and _place(write.before) != _place(write.after)


def _place(state: SessionState) -> tuple[Any, ...]:
    """What stands in an index, and is written only when it changes."""
    session = state.session
    return (session.bot_name, session.status, session.started_at, session.ended_at)


async def _save_instances(connection: AnyConnection, writes: Iterable[Write]) -> None:
    """Write the instances that changed, but for the newest main one, which stands in the session's own row."""
    kept, lifted = rearranged(writes)
    if lifted:
        await connection.execute(SQL["lift_instances"], *columns(lifted))
    if kept:
        kept_rows = [(id_, instance.id, text(instance)) for id_, instance in kept]
        await connection.execute(SQL["save_instances"], *columns(kept_rows))


async def _add_facts(connection: AnyConnection, writes: Iterable[Write]) -> dict[str, tuple[Fact, ...]]:
    """Add to the timelines and cut their far ends; answers the facts with their numbers, by session."""
    told = {write.after.session.id: write.facts for write in writes if write.facts}
    newest = await _added(
        connection,
        "facts",
        FACTS_KEPT,
        [fact_values(id_, place, fact) for id_, facts in told.items() for place, fact in enumerate(facts, 1)],
    )
    return {
        id_: tuple(structs.replace(fact, n=n) for n, fact in enumerate(facts, newest[id_] - len(facts) + 1))
        for id_, facts in told.items()
    }


async def _add_jobs(connection: AnyConnection, writes: Iterable[Write]) -> None:
    """Add to the proof lists what is not in them yet, and cut their far ends."""
    values = [job_values(w.after.session.id, place, job) for w in writes for place, job in enumerate(w.jobs)]
    await _added(connection, "jobs", JOBS_KEPT, values)


async def _added(connection: AnyConnection, kind: str, most: int, values: Sequence[Sequence[Any]]) -> dict[str, int]:
    """Add entries and keep the newest of each session; answers the newest number of each that got one."""
    if not values:
        return {}
    newest: dict[str, int] = dict(await rows(connection, f"add_{kind}", *columns(values)))
    long = [(id_, n - most) for id_, n in newest.items() if n > most]
    if long:
        await connection.execute(SQL[f"trim_{kind}"], *columns(long))
    return newest
