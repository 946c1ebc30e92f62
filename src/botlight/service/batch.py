"""Group commit: many intents share a transaction, each is folded and answered as if it were alone.

While one batch commits, the next one gathers. In order: load, fold through `model.merge.advance`, save, answer,
announce. A batch that the database rejects is halved until the one offender is found; a session that somebody else
changed meanwhile is loaded and folded again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from msgspec import Struct, structs

from botlight.model.errors import Deleted, Invalid, Overloaded, Refusal, TooManySessions, Unauthorized, Unavailable
from botlight.model.event import Fact, JobOutcome
from botlight.model.merge import Intent, Report, Step, advance
from botlight.model.session import BotSession, SessionState
from botlight.service.ports import Clock, Committed, Feed, Loaded, RejectedWrite, Store, Write

__all__ = ["Batch"]

log = logging.getLogger(__name__)

BATCH_SIZE: Final = 256
BATCHES_WAITING: Final = 4
MAX_AGE_S: Final = 8.0
MAX_ROUNDS: Final = 8
MAX_RUNNING_PER_USER: Final = 200


class _Item(Struct):
    session_id: str
    intent: Intent
    credential_id: str | None
    answer: asyncio.Future[Step]
    arrived: float

    def refuse(self, refusal: Refusal) -> None:
        if not self.answer.done():
            self.answer.set_exception(refusal)

    def accept(self, step: Step) -> None:
        if not self.answer.done():
            self.answer.set_result(step)


class _Draft(Struct):
    """What a batch wants to make of one session."""

    before: SessionState | None
    after: SessionState
    facts: list[Fact]
    jobs: list[JobOutcome]
    answers: list[tuple[_Item, Step]]

    def write(self) -> Write:
        return Write(before=self.before, after=self.after, facts=self.facts, jobs=self.jobs)

    def accept(self, session: BotSession) -> None:
        """Answer with the session as it was saved, so that nobody is told a revision that stands for other news."""
        state = structs.replace(self.after, session=session)
        for item, step in self.answers:
            item.accept(structs.replace(step, state=state))


class Batch:
    """The one way in which a session changes.

    At most four batches wait and nothing waits longer than 8 s; what is over that is refused with `Overloaded`.
    """

    def __init__(self, store: Store, feed: Feed, clock: Clock) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self._waiting: deque[_Item] = deque()
        self._under_way: Sequence[_Item] = ()
        self._arrived = asyncio.Event()
        self._closing = False

    async def submit(self, session_id: str, intent: Intent, credential_id: str | None = None) -> Step:
        """Fold one intent into a session and make it durable.

        Raises:
            Refusal: what the contract refuses, `Unavailable` when it could not be made durable.
        """
        if self._closing or len(self._waiting) >= BATCH_SIZE * BATCHES_WAITING:
            raise Overloaded(retry_after_s=1.0)
        answer: asyncio.Future[Step] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Item(session_id, intent, credential_id, answer, time.monotonic()))
        self._arrived.set()
        return await answer

    async def run(self) -> None:
        """Commit batch after batch until `close`; runs as one task."""
        watch = asyncio.create_task(self._refuse_the_old())
        try:
            while self._waiting or not self._closing:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    await self._take()
        finally:
            watch.cancel()

    async def close(self) -> None:
        """Accept nothing more; `run` ends when what waits is answered."""
        self._closing = True
        self._arrived.set()

    async def _take(self) -> None:
        items = [self._waiting.popleft() for _ in range(min(BATCH_SIZE, len(self._waiting)))]
        self._under_way = items
        try:
            await self._commit(items)
        except Refusal as refusal:
            for item in items:
                item.refuse(refusal)
        except Exception:
            log.exception("a batch failed")
            for item in items:
                item.refuse(Unavailable())
        finally:
            self._under_way = ()

    async def _refuse_the_old(self) -> None:
        """Answer for a store that hangs: nothing waits for ever."""
        while True:
            await asyncio.sleep(0.5)
            oldest = time.monotonic() - MAX_AGE_S
            while self._waiting and self._waiting[0].arrived < oldest:
                self._waiting.popleft().refuse(Overloaded(retry_after_s=5.0))
            for item in self._under_way:
                if item.arrived < oldest:
                    item.refuse(Unavailable(retry_after_s=5.0))

    async def _commit(self, items: Sequence[_Item]) -> None:
        """One round, and again for those whose session changed under them."""
        for _ in range(MAX_ROUNDS):
            drafts = await self._fold(items)
            try:
                committed = await self._save(drafts)
            except RejectedWrite as rejected:
                await self._halve(items, rejected)
                return
            saved = {change.session.id: change.session for change in committed.changes}
            for session_id, session in saved.items():
                drafts[session_id].accept(session)
            if committed.changes or committed.removals:
                # After the answers: their tasks were woken before this call was queued.
                asyncio.get_running_loop().call_soon(self._feed.ring, committed)
            items = [item for id_, draft in drafts.items() if id_ not in saved for item, _ in draft.answers]
            if not items:
                return
        for item in items:
            item.refuse(Overloaded(retry_after_s=1.0))

    async def _save(self, drafts: dict[str, _Draft]) -> Committed:
        writes = [draft.write() for draft in drafts.values()]
        return await self._store.save(writes) if writes else Committed(position="")

    async def _halve(self, items: Sequence[_Item], rejected: RejectedWrite) -> None:
        items = [item for item in items if not item.answer.done()]
        if len(items) == 1:
            log.error("the store rejected a report", extra={"session_id": items[0].session_id}, exc_info=rejected)
            items[0].refuse(Invalid("The store cannot keep this report."))
            return
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            if half:
                await self._commit(half)

    async def _fold(self, items: Sequence[_Item]) -> dict[str, _Draft]:
        loaded = await self._store.load(
            {item.session_id for item in items},
            credentials={item.credential_id for item in items if item.credential_id is not None},
        )
        running = await self._running(items, loaded)
        now = self._clock.now()
        drafts: dict[str, _Draft] = {}
        for item in items:
            draft = drafts.get(item.session_id)
            before = loaded.states.get(item.session_id)
            state = draft.after if draft else before
            try:
                self._admit(item, state, loaded, running)
                step = advance(state, item.intent, now)
            except Refusal as refusal:
                item.refuse(refusal)
                continue
            except Exception:
                log.exception("an intent could not be folded", extra={"session_id": item.session_id})
                item.refuse(Invalid("This report cannot be taken."))
                continue
            if not step.changed and draft is None:
                item.accept(step)
                continue
            if draft is None:
                draft = drafts[item.session_id] = _Draft(before, step.state, [], [], [])
            draft.after = step.state
            draft.facts += step.facts
            draft.jobs += step.jobs
            draft.answers.append((item, step))
        return drafts

    async def _running(self, items: Sequence[_Item], loaded: Loaded) -> dict[str, int]:
        """How many sessions run, for those who are about to begin another."""
        users = {
            item.intent.user_id
            for item in items
            if isinstance(item.intent, Report) and item.session_id not in loaded.states
        }
        return (await self._store.load((), users=users)).running if users else {}

    @staticmethod
    def _admit(item: _Item, state: SessionState | None, loaded: Loaded, running: dict[str, int]) -> None:
        if item.credential_id is not None and item.credential_id not in loaded.valid:
            raise Unauthorized
        if item.session_id in loaded.deleted:
            raise Deleted
        if state is None and isinstance(item.intent, Report):
            user_id = item.intent.user_id
            count = running.get(user_id, 0)
            if count >= MAX_RUNNING_PER_USER:
                raise TooManySessions(f"At most {MAX_RUNNING_PER_USER} sessions run at once.", retry_after_s=60)
            running[user_id] = count + 1
