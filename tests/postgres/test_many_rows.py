"""One statement that changes ten thousand rows of a hundred people: each open stream ends with the newest of each of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from botlight.model.access import Scope
from botlight.realtime.hub import Bounds
from tests.postgres.psql import Database
from tests.realtime.event_reader import EventReader, View
from tests.realtime.small_service import small_service
from tests.service.house import House, open_house
from tests.support.postgres import EDITIONS, Servers, url

pytestmark = pytest.mark.anyio

PEOPLE: Final = 100
EACH: Final = 100
PATIENCE_S: Final = 60
CHANGE: Final = "update bot_sessions set jobs_found = jobs_found + 1"
BULK: Final = "x" * 1900  # makes a document fill the pipes sooner


class _Page:
    """An open stream of one person and what it shows; a slow one is at the end of a thin line and reads nothing."""

    def __init__(self, user_id: str, token: str) -> None:
        self.user_id = user_id
        self.view = View()
        self.token = token
        self._stream: EventReader | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self, address: str, *, slow: bool = False) -> None:
        """Open the stream, from the position that is held if there is one."""
        line = None
        if slow:
            line = socket.socket()
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream = await EventReader.open(address, self.token, position=self.view.position, over=line)
        assert stream.status == 200
        self._stream = stream
        if slow:
            self.view.take(await stream.frame())
        else:
            self._reading = asyncio.create_task(self._read(stream))

    async def close(self) -> None:
        """Go away."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._stream is not None:
            self._stream.cut()

    @property
    def reads(self) -> bool:
        """Whether the stream goes on."""
        return self._reading is not None and not self._reading.done()

    async def _read(self, stream: EventReader) -> None:
        while True:
            self.view.take(await stream.frame())


async def _people(house: House) -> list[_Page]:
    pages = []
    for n in range(PEOPLE):
        user = await house.people.add(f"person-{n}", None)
        _, secret = await house.tokens.issue(user.id, "page", Scope.VIEW)
        pages.append(_Page(user.id, secret))
    return pages


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  a hundred tasks may have made it hold
            await asyncio.sleep(0.05)


async def _run(database: Database, statement: str) -> list[tuple[str, ...]]:
    return await asyncio.to_thread(database.run, statement)


async def _all_equal(database: Database, pages: list[_Page]) -> None:
    """Every page shows what the table says of its person."""
    newest: dict[str, dict[str, int]] = {page.user_id: {} for page in pages}
    for user_id, id_, revision in await _run(database, "select user_id, id, revision from bot_sessions"):
        newest[user_id][id_] = int(revision)
    assert {len(each) for each in newest.values()} == {EACH}
    await _until(lambda: all(page.view.revisions == newest[page.user_id] for page in pages))
    assert all(page.reads for page in pages)


@pytest.mark.parametrize("edition", EDITIONS)
async def test_each_open_stream_ends_with_the_newest_of_each_row(
    servers: Servers, tmp_path: Path, edition: str
) -> None:
    """A slow one is closed, comes back with the position that it has, and ends equal."""
    with servers.database(edition) as database:
        async with (
            open_house(tmp_path, url(database)) as house,
            small_service(house, Bounds(blocked_s=1.0)) as service,
        ):
            pages = await _people(house)
            await _run(
                database,
                f"insert into bot_sessions (user_id) select id from botlight.users, generate_series(1, {EACH}) "
                "where name like 'person-%'",
            )
            slow = _Page(pages[0].user_id, pages[0].token)
            everybody = [*pages, slow]
            try:
                for page in pages:
                    await page.open(service.address)
                await slow.open(service.address, slow=True)
                await _until(lambda: all(len(page.view.documents) == EACH for page in everybody))
                assert service.hub.streams()[0] == PEOPLE + 1
                await _run(database, CHANGE)
                fill = f"{CHANGE}, activity = 'x', activity_details = '{{\"bulk\": \"{BULK}\"}}' where user_id = '{slow.user_id}'"
                async with asyncio.timeout(PATIENCE_S):
                    while service.hub.streams()[0] > PEOPLE:
                        await _run(database, fill)
                        await asyncio.sleep(0.1)
                await _run(database, CHANGE)
                await _all_equal(database, pages)
                await slow.close()
                await slow.open(service.address)
                await _run(database, CHANGE)
                await _all_equal(database, everybody)
                assert {page.view.lists for page in everybody} == {1}
            finally:
                for page in everybody:
                    await page.close()
