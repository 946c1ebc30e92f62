"""Puts the parts together: the only place that knows adapters, use cases, doors and pages at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from botlight.cli.issuer_settings import trusted_issuer
from botlight.cli.settings import Settings
from botlight.edge.app import App, create_app
from botlight.edge.doors import Doors
from botlight.edge.services import Services
from botlight.edge.supabase.door import Door
from botlight.realtime.hub import Hub
from botlight.service.batch import Batch
from botlight.service.clock import SteadyClock
from botlight.service.control import Control
from botlight.service.people import People
from botlight.service.ports import Access, Clock, Feed, Store
from botlight.service.principals import Principals
from botlight.service.pruner import Pruner
from botlight.service.queries import Queries
from botlight.service.reaper import Reaper
from botlight.service.reporting import Reporting
from botlight.service.tokens import Tokens
from botlight.store.postgres.access import PostgresAccess
from botlight.store.postgres.database import PostgresDatabase
from botlight.store.postgres.store import PostgresStore
from botlight.store.sqlite import SqliteAccess, SqliteDatabase, SqliteStore
from botlight.web.routes import operations as pages

__all__ = ["Service", "back_up", "open_access", "open_service"]

FLUSH_S: Final = 1.0


class _Memory(Store, Feed, Protocol):
    """Both ports of one adapter."""


class Service(Struct, frozen=True, kw_only=True):
    """A running service, without its server."""

    app: App
    door: Door
    people: People
    hub: Hub


@asynccontextmanager
async def open_service(settings: Settings, doors: Doors, *, vfs: str | None = None) -> AsyncIterator[Service]:
    """Open the store, start the loops; on leaving answer what waits and close.

    Raises:
        CannotOpen: the store cannot be opened; the message is for the person who asked.
        SettingError: it cannot be told whose tokens are to be accepted.
    """
    trusted = trusted_issuer(settings)
    async with AsyncExitStack() as closing:
        store, access, clock = await _open_memory(settings, closing, vfs)
        tokens, world = Tokens(access, clock), SteadyClock()
        # Tokens from elsewhere expire by the world's time: ours may run ahead of it since an earlier run.
        provider = None if trusted is None else trusted.provider(world)
        principals = Principals(tokens, clock, world, provider)
        batch = Batch(store, store, clock)
        queries = Queries(store, clock)
        hub = Hub(store, principals.valid)
        people = People(access, clock)
        services = Services(
            reporting=Reporting(batch),
            control=Control(batch, store, store),
            queries=queries,
            tokens=tokens,
            principals=principals,
            people=people,
            hub=hub,
            store=store,
            feed=store,
            clock=clock,
        )
        pruner = Pruner(store, store, clock, settings.retention_days)
        closing.push_async_callback(_flush, tokens)
        batching = asyncio.create_task(batch.run(), name="batch")
        loops = [
            asyncio.create_task(Reaper(batch, store, clock).run(), name="reaper"),
            asyncio.create_task(pruner.run(), name="pruner"),
            asyncio.create_task(tokens.run(), name="tokens"),
            asyncio.create_task(hub.run(store.verify), name="hub"),
        ]
        if provider is not None:
            closing.push_async_callback(provider.close)
            loops.append(asyncio.create_task(provider.run(), name="keys"))

        @closing.push_async_callback
        async def _end() -> None:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await batch.close()
            await batching

        app = create_app(services, access, doors, pages)
        yield Service(app=app, door=Door(services, doors), people=people, hub=hub)


async def _flush(tokens: Tokens) -> None:
    """Write down which tokens were used, unless the store takes too long: an end has a budget."""
    with suppress(TimeoutError):
        async with asyncio.timeout(FLUSH_S):
            await tokens.flush()


async def _open_memory(settings: Settings, closing: AsyncExitStack, vfs: str | None) -> tuple[_Memory, Access, Clock]:
    """The store that the settings name, and the clock that goes with it."""
    if settings.database_path is None:
        postgres = await PostgresDatabase.open(settings.database_url, serve=True)
        closing.push_async_callback(postgres.close)
        store = await PostgresStore.open(postgres)
        closing.push_async_callback(store.close)
        store.clock.start_at(await store.tick(store.clock.now()))
        return store, PostgresAccess(postgres), store.clock
    sqlite = await asyncio.to_thread(SqliteDatabase.open, settings.database_path, serve=True, vfs=vfs)
    closing.push_async_callback(asyncio.to_thread, sqlite.close)
    kept = SqliteStore(sqlite)
    return kept, SqliteAccess(sqlite), SteadyClock(floor=await kept.tick(SteadyClock().now()))


@asynccontextmanager
async def open_access(settings: Settings) -> AsyncIterator[tuple[People, Tokens]]:
    """People and tokens for a short command, beside a running server or without one.

    Raises:
        CannotOpen: the store cannot be opened; the message is for the person who asked.
    """
    clock = SteadyClock()
    async with AsyncExitStack() as closing:
        access = await _open_access(settings, closing)
        yield People(access, clock), Tokens(access, clock)


async def _open_access(settings: Settings, closing: AsyncExitStack) -> Access:
    if settings.database_path is None:
        postgres = await PostgresDatabase.open(settings.database_url, serve=False)
        closing.push_async_callback(postgres.close)
        return PostgresAccess(postgres)
    sqlite = await asyncio.to_thread(SqliteDatabase.open, settings.database_path, serve=False)
    closing.push_async_callback(asyncio.to_thread, sqlite.close)
    return SqliteAccess(sqlite)


async def back_up(path: Path, target: Path) -> None:
    """Copy a SQLite store to a new file, as of one moment, while the service goes on.

    Raises:
        CannotOpen: the store cannot be opened.
        OSError: the target cannot be written, or is there already.
    """
    database = await asyncio.to_thread(SqliteDatabase.open, path, serve=False)
    try:
        await asyncio.to_thread(database.back_up, target)
    finally:
        await asyncio.to_thread(database.close)
