"""The hub on a real store: who is told what, where in the feed a reader stands, and how many may listen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest
from msgspec import structs

from botlight.model.access import Principal, Scope
from botlight.model.command import Command
from botlight.model.errors import TooManyStreams
from botlight.model.event import Change, Removal
from botlight.model.merge import advance
from botlight.realtime.hub import Bounds, Hub
from botlight.realtime.subscription import Delivery, Subscription
from botlight.service.ports import Committed, Write
from tests.service.house import ALICE, BOB, ByHand, House, open_house

pytestmark = pytest.mark.anyio

S1: Final = "00000000-0000-4000-8000-000000000001"
S2: Final = "00000000-0000-4000-8000-000000000002"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """The use cases on a new file."""
    async with open_house(tmp_path / "botlight.db") as opened:
        yield opened


class _Page:
    """A reader that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.removed: list[str] = []
        self.positions: list[str] = []
        self.closed = False
        self._news = asyncio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that a batch brings about."""
        async with asyncio.timeout(5):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def deliver(self, delivery: Delivery) -> bool:
        """Take a batch."""
        self._news.set()
        self.told += [(change.session.id, change.session.revision) for change in delivery.changes]
        self.removed += delivery.removals
        self.positions.append(delivery.position)
        return True

    def tick(self, position: str) -> bool:
        """Take a tick."""
        self.positions.append(position)
        return True

    def stale(self, for_s: float) -> bool:
        """Take word that the picture may be old."""
        return for_s >= 0

    def close(self) -> None:
        """Be closed."""
        self.closed = True

    def revoked(self) -> None:
        """Be told that the token is no longer valid."""
        self.closed = True

    def bye(self) -> None:
        """Be told to go."""
        self.closed = True


class _Bot:
    """A bot that writes down what is wanted of it."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.closed = False

    def command(self, command: Command) -> None:
        """Take a command."""
        self.commands.append(command)

    def tick(self) -> None:
        """Take a tick."""

    def close(self) -> None:
        """Be closed."""
        self.closed = True

    def bye(self) -> None:
        """Be told to go."""
        self.closed = True


def _hub(house: House, **bounds: int) -> Hub:
    return Hub(house.store, house.tokens.valid, Bounds(**bounds))


async def _committed(house: House, session_id: str) -> Committed:
    """Commit a session that nobody announces yet."""
    step = advance(None, house.report(session_id), house.clock.now())
    return await house.store.save([Write(before=None, after=step.state, facts=step.facts, jobs=step.jobs)])


async def _listen(house: House, hub: Hub, page: _Page) -> Subscription:
    """Open a stream as the door does: subscribe, read the list, find its place, release."""
    subscription = hub.subscribe(ALICE, page)
    board = await house.queries.board(ALICE)
    page.positions.append(board.position)
    subscription.release(await hub.place_of(board.position), [session.id for session in board.sessions])
    return subscription


async def test_a_list_that_is_ahead_of_the_feed_is_waited_for(house: House) -> None:
    """What it holds already is not told again, and no position that is older than the list's is given out."""
    hub, page = _hub(house), _Page()
    committed = await _committed(house, S1)
    listening = asyncio.create_task(_listen(house, hub, page))
    await asyncio.sleep(0.1)
    assert not listening.done()
    hub.tick()
    house.store.ring(committed)
    await listening
    assert not page.told
    hub.tick()
    assert page.positions == [committed.position] * 2
    await house.beat(S2)
    await asyncio.sleep(0)
    assert [session_id for session_id, _ in page.told] == [S2]


async def test_a_position_that_the_feed_never_names_holds_nobody_up(house: House) -> None:
    """Another process counted on meanwhile: after a second the reader goes on, and is told what changes then."""
    hub, page = _hub(house), _Page()
    await house.beat(S1)
    house.by_hand((ByHand(sqlite="update counter set revision = revision + 5", postgres=""),))
    began = time.monotonic()
    async with asyncio.timeout(10):
        await _listen(house, hub, page)
    assert time.monotonic() - began > 0.9
    await house.beat(S1, counters={"pages": 1})
    newest = (S1, (await house.session(S1)).revision)
    await page.until(lambda: newest in page.told)


async def test_people_are_told_what_is_theirs(house: House) -> None:
    """Alice hears of her sessions, Bob of his, and a removal goes to the one whose it was."""
    hub, alice, bob = _hub(house), _Page(), _Page()
    await _listen(house, hub, alice)
    hub.subscribe(BOB, bob).release(0, ())
    await house.beat(S1, result={"outcome": "success"})
    await house.beat(S2, of=BOB)
    await house.control.delete(ALICE, S1)
    await alice.until(lambda: bool(alice.removed))
    assert [session_id for session_id, _ in alice.told] == [S1]
    assert alice.removed == [S1]
    assert [session_id for session_id, _ in bob.told] == [S2]
    assert not bob.removed


async def test_a_stop_is_told_to_every_instance_that_listens(house: House) -> None:
    """Also when somebody else's hand put it into the row: with the next change that is announced."""
    hub = _hub(house)
    bots = [_Bot() for _ in range(3)]
    for n, bot in enumerate(bots):
        hub.attach(ALICE, S1 if n < 2 else S2, f"instance {n}", bot)
    await house.beat(S1)
    await house.beat(S2)
    _, command = await house.control.stop(ALICE, S1, "enough")
    await asyncio.sleep(0)
    assert [bot.commands[:1] for bot in bots] == [[command], [command], []]


async def test_a_bot_hears_nothing_of_a_session_that_has_become_somebody_elses(house: House) -> None:
    """Neither the stop nor its reason, not even when both are announced at once; its stream ends."""
    hub, mine, theirs = _hub(house), _Bot(), _Bot()
    hub.attach(ALICE, S1, "hers", mine)
    hub.attach(BOB, S1, "his", theirs)
    step = advance(None, house.report(S1), house.clock.now())
    session = structs.replace(
        step.state.session, user_id=BOB.user_id, stop_requested_at=house.clock.now(), stop_reason="Bob's own affair"
    )
    gone = Removal(user_id=ALICE.user_id, session_id=S1)
    hub.publish(Committed(position="", changes=[Change(session=session, facts=())], removals=[gone]))
    assert not mine.commands
    assert mine.closed
    assert [command.reason for command in theirs.commands] == ["Bob's own affair"]


async def test_each_bound_counts_by_itself(house: House) -> None:
    """Pages of a person, pages of an embed token, bots of a user, all in all; a stream that ends makes room."""
    hub = _hub(house, per_person=2, per_embed=1, bots_per_user=2, in_all=6)
    embed = Principal(user_id=ALICE.user_id, scope=Scope.EMBED, credential_id="embed", session_id=S1)
    pages = [_Page() for _ in range(3)]
    first = hub.subscribe(ALICE, pages[0])
    hub.subscribe(ALICE, pages[1])
    with pytest.raises(TooManyStreams) as refused:
        hub.subscribe(ALICE, pages[2])
    assert refused.value.retry_after_s
    hub.unsubscribe(pages[0], first)
    hub.subscribe(ALICE, pages[2])
    hub.subscribe(embed, _Page())
    with pytest.raises(TooManyStreams):
        hub.subscribe(embed, _Page())
    hub.attach(ALICE, S1, "a", _Bot())
    bot = _Bot()
    hub.attach(ALICE, S1, "b", bot)
    with pytest.raises(TooManyStreams):
        hub.attach(ALICE, S2, "c", _Bot())
    hub.attach(ALICE, S1, "b", _Bot())  # in place of the older one
    assert bot.closed
    hub.detach(S1, "b", bot)  # it has gone already
    assert hub.streams() == (3, 0, 2)
    hub.subscribe(BOB, _Page())
    with pytest.raises(TooManyStreams):
        hub.subscribe(BOB, _Page())
    hub.bye()
    with pytest.raises(TooManyStreams):
        hub.attach(BOB, S2, "d", _Bot())


async def test_the_channels_of_a_socket_count_as_one(house: House) -> None:
    """A person's sockets are bounded by themselves, whatever number of channels they have, and leave when all have."""
    hub = _hub(house, sockets_per_person=2, per_person=1)
    readers = [_Page() for _ in range(4)]
    first = [hub.subscribe(ALICE, reader, socket=1) for reader in readers[:3]]
    hub.subscribe(ALICE, readers[3], socket=2)
    hub.subscribe(ALICE, _Page())
    assert hub.streams() == (1, 2, 0)
    with pytest.raises(TooManyStreams):
        hub.subscribe(ALICE, _Page(), socket=3)
    for reader, subscription in zip(readers[:2], first[:2], strict=True):
        hub.unsubscribe(reader, subscription)
        hub.unsubscribe(reader, subscription)  # once more says nothing
    assert hub.streams() == (1, 2, 0)
    hub.unsubscribe(readers[2], first[2])
    assert hub.streams() == (1, 1, 0)
    hub.subscribe(ALICE, _Page(), socket=3)


async def test_the_channels_of_a_person_are_bounded_on_all_their_sockets_together(house: House) -> None:
    """A change is handed to each in turn; what streams of the page they have is not refused for it."""
    hub = _hub(house, channels_per_person=3)
    channels = [(reader := _Page(), hub.subscribe(ALICE, reader, socket=socket)) for socket in (1, 1, 2)]
    with pytest.raises(TooManyStreams):
        hub.subscribe(ALICE, _Page(), socket=2)
    hub.subscribe(BOB, _Page(), socket=3)
    hub.unsubscribe(*channels[0])
    hub.subscribe(ALICE, _Page(), socket=2)
    hub.subscribe(ALICE, _Page())


async def test_who_is_no_longer_let_in_is_closed(house: House) -> None:
    """A revoked token ends its open streams at the next check, and nobody else's; a store that is away ends none."""
    hub = _hub(house)
    tokens = [(await house.tokens.issue(ALICE.user_id, "t", Scope.VIEW))[0] for _ in range(2)]
    pages = [_Page(), _Page()]
    bot = _Bot()
    for token, page in zip(tokens, pages, strict=True):
        hub.subscribe(Principal(user_id=ALICE.user_id, scope=Scope.VIEW, credential_id=token.id), page)
    hub.attach(Principal(user_id=ALICE.user_id, scope=Scope.REPORT, credential_id=tokens[0].id), S1, "a", bot)
    await hub.check_credentials()
    assert (pages[0].closed, bot.closed, pages[1].closed) == (False, False, False)
    await house.tokens.revoke(ALICE.user_id, tokens[0].id)
    await hub.check_credentials()
    assert (pages[0].closed, bot.closed, pages[1].closed) == (True, True, False)


async def test_at_a_reset_everybody_comes_back_for_a_new_list(house: House) -> None:
    """More may have changed than the feed can tell, for bots as well: no stream goes on as if it knew."""
    hub, page, bot = _hub(house), _Page(), _Bot()
    hub.subscribe(ALICE, page)
    hub.attach(BOB, S1, S1, bot)
    hub.publish(Committed(position="of another life", reset=True))
    assert page.closed
    assert bot.closed
