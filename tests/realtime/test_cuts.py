"""Readers that are cut at random miss nothing, and see nothing that was not so."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct

from tests.realtime.crowd import BOTS, Crowd
from tests.realtime.event_reader import EventReader, View
from tests.realtime.journal import PRIVATE, Entry, Journal, table_before_each
from tests.support.figures import Figures
from tests.support.service import API, Person, RunningService, SignedIn

ON_SQLITE = "the journal is kept by SQLite; positions of PostgreSQL have tests of their own"

CHANGES: Final = 10_000
CUTS: Final = 500
BOTS_AT_ONCE: Final = 40
PACE_S: Final = 0.1
ORIGIN: Final = "https://page.example"
SEED: Final = 20260121


class _Reader(Struct):
    """One reader: how it comes in, what of the table it sees, and what it has seen."""

    name: str
    token: str | None
    headers: str
    sees: Callable[[dict[str, Any]], bool]
    hidden: tuple[str, ...]
    view: View
    cuts: int = 0


class _Audience:
    """All the readers, each coming back for as long as it is not told to stay."""

    def __init__(self, address: str, chance: random.Random) -> None:
        self.address = address
        self.readers: list[_Reader] = []
        self.staying = False
        self._chance = chance
        self._news = asyncio.Event()

    def add(
        self,
        name: str,
        token: str | None,
        sees: Callable[[dict[str, Any]], bool],
        *,
        headers: str = "",
        hidden: tuple[str, ...] = (),
    ) -> None:
        """Another reader."""
        self.readers.append(_Reader(name, token, headers, sees, hidden, View()))

    @property
    def cuts(self) -> int:
        """How often a reader was cut."""
        return sum(reader.cuts for reader in self.readers)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that readers bring about."""
        while not holds():
            self._news.clear()
            await self._news.wait()

    async def read(self, reader: _Reader) -> None:
        """Read, be cut, come back."""
        while True:
            stream = await EventReader.open(
                self.address, reader.token, position=reader.view.position, headers=reader.headers
            )
            assert stream.status == 200
            try:
                await self._until_cut(stream, reader)
            finally:
                stream.cut()
            reader.cuts += 1
            await asyncio.sleep(self._chance.choice((0, 0, self._chance.uniform(0, 0.5))))

    async def _until_cut(self, stream: EventReader, reader: _Reader) -> None:
        """Some are cut after a time, some after so many frames: in the middle of a batch too."""
        try:
            async with asyncio.timeout(self._chance.expovariate(1)) as patience:
                frames = self._chance.choice((1, 10, 100, 1000))
                while frames or self.staying:
                    if self.staying:
                        patience.reschedule(None)
                    reader.view.take(await stream.frame())
                    self._news.set()
                    frames -= frames > 0
        except TimeoutError:
            pass


def test_readers_cut_five_hundred_times_during_ten_thousand_changes(running: RunningService, figures: Figures) -> None:
    """Each ends equal to the store, and at each position that it held it showed the table as of that position."""
    chance = random.Random(SEED)
    alice, bob = running.person("alice"), running.person("bob")
    journal = Journal(running.database)
    journal.begin()
    crowd, others = Crowd(running.address, chance, pace_s=PACE_S), Crowd(running.address, chance, pace_s=PACE_S)
    audience = _audience(running, alice, bob, crowd, chance)
    bots = [alice.token("report").secret for _ in range(BOTS_AT_ONCE // 2)]  # one may ask 50 times a second
    operate, sign_in = alice.token("operate").secret, _lines(alice.sign_in())
    bobs = bob.token("report").secret

    async def change_and_read() -> None:
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(150):
            reading = [tasks.create_task(audience.read(reader)) for reader in audience.readers]
            changing = [tasks.create_task(crowd.bot(bots[n % len(bots)])) for n in range(BOTS_AT_ONCE)]
            changing += [tasks.create_task(crowd.first_bot(bots[0])), tasks.create_task(others.bot(bobs))]
            changing += [tasks.create_task(crowd.person(operate, sign_in))]
            await audience.until(lambda: crowd.changes >= CHANGES and audience.cuts >= CUTS)
            crowd.ending = others.ending = True
            await asyncio.gather(*changing)
            audience.staying = True
            entries = journal.entries()
            final = [_final(entries, reader) for reader in audience.readers]
            with suppress(TimeoutError):
                async with asyncio.timeout(30):
                    await audience.until(lambda: [reader.view.revisions for reader in audience.readers] == final)
            wrong = [
                one.name for one, table in zip(audience.readers, final, strict=True) if one.view.revisions != table
            ]
            assert not wrong
            for task in reading:
                task.cancel()

    began = time.monotonic()
    asyncio.run(change_and_read())
    took = time.monotonic() - began
    entries = journal.entries()
    assert len(entries) >= CHANGES
    held = _check_positions(audience, entries)
    _check_documents(audience, entries)
    _check_store(running, alice, audience)
    lists, news, repeated = (
        sum(getattr(reader.view, what) for reader in audience.readers) for what in ("lists", "changes", "repeated")
    )
    figures.note(
        f"{len(entries)} changes in {took:.0f} s ({crowd.stopped} stops, {crowd.deleted} deletions, "
        f"{crowd.renamed} renamed), {len(audience.readers)} readers cut {audience.cuts} times: {held} positions held, "
        f"{lists} whole lists, {news} documents shown, {repeated} repeated; every view true"
    )


def _audience(service: RunningService, alice: Person, bob: Person, crowd: Crowd, chance: random.Random) -> _Audience:
    audience = _Audience(service.address, chance)
    cookie = "".join(_lines(alice.sign_in())[:1])
    for n in range(3):
        audience.add(f"person {n}", None, lambda session: session["user_id"] == alice.id, headers=cookie)
        view = alice.token("view").secret
        audience.add(f"view {n}", view, lambda session: session["user_id"] == alice.id)
    embedded = alice.token("embed", session_id=crowd.first, origin=ORIGIN, lives_s=3600).secret
    origin = f"Origin: {ORIGIN}\r\n"
    audience.add("session", embedded, lambda session: session["id"] == crowd.first, headers=origin, hidden=PRIVATE)
    for bot in BOTS[:2]:
        embedded = alice.token("embed", bot=bot, origin=ORIGIN, lives_s=3600).secret

        def sees(session: dict[str, Any], bot: str = bot) -> bool:
            return bool(session["user_id"] == alice.id and session["bot_name"] == bot)

        audience.add(bot, embedded, sees, headers=origin, hidden=PRIVATE)
    audience.add("bob", bob.token("view").secret, lambda session: session["user_id"] == bob.id)
    return audience


def _lines(sign_in: SignedIn) -> list[str]:
    """The header lines of a signed-in person's request, the cookie first."""
    return [f"{name}: {value}\r\n" for name, value in sign_in.headers.items()]


def _final(entries: Sequence[Entry], reader: _Reader) -> dict[str, int]:
    """The revisions of the table as it is now, what the reader sees of it."""
    *_, (_, table) = table_before_each(entries, reader.sees)
    return table


def _check_positions(audience: _Audience, entries: Sequence[Entry]) -> int:
    """Every position that anybody held, against the table as of that position; answers how many there were."""
    for reader in audience.readers:
        held = deque((int(one.position.rpartition(".")[2]), one.revisions) for one in reader.view.held)
        numbers = [number for number, _ in held]
        assert numbers == sorted(numbers), f"{reader.name}: a position went back"
        for revision, table in table_before_each(entries, reader.sees):
            while held and held[0][0] < revision:
                number, shown = held.popleft()
                assert shown == table, f"{reader.name} at {number}"
        assert not held, f"{reader.name} held a position of the future"
    return sum(len(reader.view.held) for reader in audience.readers)


def _check_documents(audience: _Audience, entries: Sequence[Entry]) -> None:
    """Every document that anybody was shown is, field by field, what was committed under its revision."""
    committed = {(entry.session_id, entry.revision): entry.document for entry in entries if entry.document is not None}
    for reader in audience.readers:
        for key, document in reader.view.shown.items():
            expected = {name: value for name, value in committed[key].items() if name not in reader.hidden}
            assert {name: value for name, value in document.items() if name != "state"} == expected


def _check_store(service: RunningService, alice: Person, audience: _Audience) -> None:
    """What a reader without a stream is told now is what each of Alice's readers shows."""
    stored: dict[str, int] = {}
    with service.client(alice.token("view").headers) as client:
        query: dict[str, Any] = {"limit": 200}
        while True:
            page = client.get(f"{API}/sessions", params=query).raise_for_status().json()
            stored |= {session["id"]: session["revision"] for session in page["sessions"]}
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
    for reader in audience.readers[:6]:
        assert reader.view.revisions == stored
