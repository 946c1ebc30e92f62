"""One statement that changes ten thousand rows of a hundred people: each open reader ends with the newest of each of its own."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

import pytest

from botlight.model.access import Principal, Scope
from botlight.model.session import Instant
from botlight.realtime.hub import Bounds, Hub
from botlight.realtime.subscription import Delivery, Subscription
from botlight.service.ports import SessionFilter
from tests.postgres.following import Followed, followed
from tests.postgres.psql import Database
from tests.support.postgres import EDITIONS, Servers

pytestmark = pytest.mark.anyio

PEOPLE: Final = 100
EACH: Final = 100
REVISIONS: Final = "select user_id, id, revision from bot_sessions"


class _Reader:
    """A page that shows revisions; a slow one takes one batch and then nothing."""

    def __init__(self, user_id: str, *, slow: bool = False) -> None:
        self.principal = Principal(user_id=user_id, scope=Scope.VIEW, credential_id=user_id)
        self.shown: dict[str, int] = {}
        self.position: str | None = None
        self.closed = False
        self.slow = slow

    async def open(self, service: Followed, hub: Hub) -> Subscription:
        """As the door does: subscribe, read what was missed, find its place, release."""
        self.closed = False
        subscription = hub.subscribe(self.principal, self)
        which = SessionFilter(user_id=self.principal.user_id, ended_since=Instant(0))
        board = await service.store.board(which, 200, since=self.position)
        seen = await hub.place_of(board.position)
        self.shown = ({} if board.replaces else self.shown) | {each.id: each.revision for each in board.sessions}
        self.position = board.position
        subscription.release(seen, list(self.shown))
        return subscription

    def deliver(self, delivery: Delivery) -> bool:
        """Take a batch. What a slow one is sent does not arrive."""
        if not self.slow:
            self.shown |= {change.session.id: change.session.revision for change in delivery.changes}
            self.position = delivery.position
        return not self.slow

    def tick(self, position: str) -> bool:
        """Take a tick."""
        self.position = position
        return True

    def stale(self, for_s: float) -> bool:
        """Take word that the picture may be old."""
        return for_s >= 0

    def revoked(self) -> None:
        """Be closed, since nobody may look any more."""
        self.closed = True

    def close(self) -> None:
        """Be closed."""
        self.closed = True

    def bye(self) -> None:
        """Be told to go."""
        self.closed = True


def _people(database: Database) -> list[str]:
    people = [str(UUID(int=n + 1)) for n in range(PEOPLE)]
    everybody = ", ".join(f"('{person}')" for person in people)
    database.run(f"insert into auth.users (id) values {everybody}", user=database.superuser)
    database.run(
        f"insert into bot_sessions (user_id) select u.id from (values {everybody}) v (id), "
        f"lateral (select v.id::uuid) u (id), generate_series(1, {EACH})"
    )
    return people


@pytest.mark.parametrize("edition", EDITIONS)
async def test_each_open_reader_ends_with_the_newest_of_each_row(servers: Servers, edition: str) -> None:
    """A slow one is closed, comes back with the position that it has, and ends equal."""
    with servers.database(edition) as database:
        people = await asyncio.to_thread(_people, database)
        async with followed(database) as service:
            hub = Hub(service.store, _all_valid, Bounds(blocked_s=0.0))
            readers = [_Reader(person) for person in people]
            slow = _Reader(people[0], slow=True)
            subscriptions = [await reader.open(service, hub) for reader in [*readers, slow]]
            for _ in range(2):
                await asyncio.to_thread(database.run, "update bot_sessions set jobs_found = jobs_found + 1")
            await service.store.verify()
            hub.close_blocked()
            assert [reader.closed for reader in [*readers, slow]] == [False] * PEOPLE + [True]
            hub.unsubscribe(slow, subscriptions[-1])
            slow.slow = False
            subscriptions[-1] = await slow.open(service, hub)
            await asyncio.to_thread(database.run, "update bot_sessions set jobs_found = jobs_found + 1")
            await service.store.verify()
            hub.tick()  # hands over what waits because a reader is written to at most 20 times a second
            newest: dict[str, dict[str, int]] = {person: {} for person in people}
            for person, id_, revision in await asyncio.to_thread(database.run, REVISIONS):
                newest[person][id_] = int(revision)
            for reader in [*readers, slow]:
                assert reader.shown == newest[reader.principal.user_id]
                assert len(reader.shown) == EACH
            for reader, subscription in zip([*readers, slow], subscriptions, strict=True):
                hub.unsubscribe(reader, subscription)


async def _all_valid(credentials: set[str]) -> frozenset[str]:
    return frozenset(credentials)
