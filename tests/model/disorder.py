"""Random histories of one session, and the truth they are held against.

`World` knows what really happened: which processes lived, what they counted, what they said and which of it arrived. A
history is a list of moves; each is carried out on the world and, through an `Engine`, on the real merge code. After each
answer the world says what must be true of it. Nothing here looks at how the merge does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol

from msgspec import UNSET, Struct, UnsetType, field

from botlight.model.command import commands_for
from botlight.model.errors import Ended, Live, Refusal, Unknown
from botlight.model.event import FactKind
from botlight.model.liveness import lease_ms
from botlight.model.merge import Closing, Expiry, Intent, Report, Step, StopRequest, advance
from botlight.model.report import (
    Activity,
    CommandReceipt,
    JobReport,
    RecentActivity,
    ReportedResult,
    Snapshot,
    micros,
)
from botlight.model.session import BotSession, Instant, Outcome, Role, SessionState, Status, stop_command_id

__all__ = ["START", "Engine", "InMemory", "Move", "World"]

START: Final = 1_769_000_000_000
MAX_PROCESSES: Final = 8
LONGEST_LEASE: Final = 180_000
SHORTEST_LEASE: Final = 60_000
DAY: Final = 86_400_000

PAUSES: Final = (0, 1, 500, 5_000, 44_000, 61_000, 140_000, 1_200_000, 25 * 3_600_000)
INTERVALS: Final[tuple[int | UnsetType, ...]] = (UNSET, UNSET, 15, 60)
COUNTERS: Final = ("jobs_found", "jobs_applied", "credits_used", "pages_read")
OUTCOMES: Final = (Outcome.SUCCESS, Outcome.FAILED, Outcome.STOPPED, Outcome.INTERRUPTED)


class Move(StrEnum):
    """What can happen. Each comes with two numbers that choose among processes, messages and ways."""

    PASS = "time passes"
    SPAWN = "a process starts"
    RESTART = "the main process dies and a new one starts"
    WORK = "a process counts"
    SAY = "a process builds a report"
    DELIVER = "reports arrive, several in one batch"
    LOSE = "a report is lost"
    BEAT = "a process reports and is answered"
    KILL = "a process dies"
    REPLAY = "a spool is sent"
    END = "a process ends by its own word"
    LOOK = "the bot's code looks whether it should stop"
    STOP = "a person presses Stop"
    CLOSE = "a person closes the session"
    REAP = "the reaper looks"
    SERVICE = "the service restarts"


class Engine(Protocol):
    """The real code that a history is carried out on, for one session of one person."""

    owner: str
    session_id: str

    def fold(self, intents: Sequence[Intent], now: Instant) -> list[Step | Refusal]:
        """Carry out what arrives at one instant; answers come in the order of the intents."""

    def expire(self, expiry: Expiry, now: Instant) -> Step | None:
        """One look of the reaper; None: it had nothing to look at."""

    def restart(self) -> None:
        """The service goes down and comes back."""


class InMemory:
    """`advance`, and nothing else."""

    owner = "alice"
    session_id = "5e0c8a52-6d1b-4f0e-9a37-2b64c1f8d9e0"

    def __init__(self) -> None:
        self.state: SessionState | None = None

    def fold(self, intents: Sequence[Intent], now: Instant) -> list[Step | Refusal]:
        """One after the other, as a batch does."""
        answers: list[Step | Refusal] = []
        for intent in intents:
            try:
                step = advance(self.state, intent, now)
            except Refusal as refusal:
                answers.append(refusal)
                continue
            self.state = step.state
            answers.append(step)
        return answers

    def expire(self, expiry: Expiry, now: Instant) -> Step | None:
        """The reaper looks at every session."""
        if self.state is None:
            return None
        step = advance(self.state, expiry, now)
        self.state = step.state
        return step

    def restart(self) -> None:
        """Nothing is kept outside the session."""


class Process(Struct, kw_only=True):
    """One life of one process, as it truly was."""

    id: str
    role: Role
    numbered: bool  # sends `seq`; a line of curl does not
    heartbeat_s: int | UnsetType
    alive: bool = True
    seq: int = 0
    counters: dict[str, int | Decimal] = field(default_factory=dict)
    activities: int = 0
    has_stop: bool = False
    looked: bool = False
    result: ReportedResult | None = None
    elsewhere: bool = False  # was told 409 and goes on in a session of its own

    def snapshot(self, command: str, *, replay: bool = False, guess: bool = False) -> Snapshot:
        """What it would say now."""
        self.seq += 0 if replay else 1
        result = self.result
        if result is None and guess:
            result = ReportedResult(outcome=Outcome.INTERRUPTED, inferred=True)
        receipt = CommandReceipt(id=command, received=True, seen_by_bot=self.looked)
        ns = range(max(1, self.activities - 3), self.activities + 1)
        return Snapshot(
            role=self.role,
            seq=max(1, self.seq) if self.numbered else UNSET,
            heartbeat_s=self.heartbeat_s,
            replay=replay,
            activity=Activity(name=f"{self.id} {self.activities}", n=self.activities) if self.activities else UNSET,
            recent=[RecentActivity(n=n, name=f"{self.id} {n}") for n in ns],
            jobs=[JobReport(key=f"{self.id} {n}", outcome="applied") for n in ns],
            counters=dict(self.counters),
            commands=[receipt] if self.has_stop else [],
            result=UNSET if result is None else result,
        )


class Message(Struct, frozen=True):
    """A report under way."""

    process: Process
    snapshot: Snapshot


class Heard(Struct):
    """What has arrived of one instance."""

    role: Role
    counters: dict[str, int] = field(default_factory=dict)
    activities: set[int] = field(default_factory=set)  # in the timeline
    told: set[int] = field(default_factory=set)  # activities that any report brought
    jobs: set[str] = field(default_factory=set)
    seq: int = 0
    lively: bool = False  # was heard live
    living: bool = False  # was heard live, and nothing newer said that it ended
    said_end: bool = False  # by its own word
    end: tuple[int, Outcome] | None = None  # its end, its own word or a guess: when, and how
    last: int = 0  # when it was last heard live
    acknowledged: int = 0  # when it last acknowledged a step of the stop
    lease_until: int = 0
    delivered: bool = False
    seen: bool = False


class World:
    """One history, and what must be true after each of its moves."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = START
        self.hearing_since = START
        self.processes: list[Process] = []
        self.under_way: list[Message] = []
        self.heard: dict[str, Heard] = {}
        self.newest: str | None = None
        self.end: Outcome | None = None  # explicit, so final
        self.running = True  # neither lost nor ended
        self.activity: str | None = None
        self.stopped_at: int | None = None
        self.state: SessionState | None = None

    @property
    def session(self) -> BotSession | None:
        """The session as it stood after the last answer."""
        return None if self.state is None else self.state.session

    def carry_out(self, history: Sequence[tuple[Move, int, int]]) -> None:
        """Start one process, make every move, then let everything arrive and everybody fall silent."""
        self.spawns(0, 0)
        for move, x, y in history:
            _MOVES[move](self, x, y)
        self.settle()

    # -- moves -------------------------------------------------------------------------------------------------------

    def passes(self, x: int, _: int) -> None:
        """Time passes."""
        self.now += PAUSES[x % len(PAUSES)]

    def spawns(self, x: int, y: int) -> None:
        """A process starts: a main one, or one of two times a worker."""
        if len(self.processes) < MAX_PROCESSES:
            role = Role.WORKER if self.processes and x % 2 else Role.MAIN
            name = f"p{len(self.processes)}"
            interval = INTERVALS[y % len(INTERVALS)]
            process = Process(id=name, role=role, numbered=y % 8 < 7, heartbeat_s=interval)
            self.processes.append(process)

    def restarts(self, x: int, y: int) -> None:
        """The main process that started last dies, and a new one takes its place."""
        mains = [process for process in self.processes if process.role is Role.MAIN and process.alive]
        if mains:
            mains[-1].alive = False
        self.spawns(0 if not self.processes else x & ~1, y)

    def works(self, x: int, y: int) -> None:
        """A process counts, and turns to something else."""
        for process in self._chosen(x, lambda process: process.alive and process.result is None):
            name = COUNTERS[y % len(COUNTERS)]
            step = Decimal("0.1") if name == "credits_used" else 1 + y % 3
            process.counters[name] = process.counters.get(name, 0) + step
            process.activities += y % 2

    def says(self, x: int, y: int) -> None:
        """A process builds a report; one of sixteen guesses that it is at its end."""
        for process in self._chosen(x, lambda process: process.alive):
            self._post(process, guess=y % 16 == 0)

    def deliver(self, x: int, y: int) -> None:
        """Reports arrive in any order, up to four in a batch; each may arrive again, each answer may be lost."""
        batch = []
        for n in range(1 + y % 4):
            if self.under_way:
                place = (x + 7 * n) % len(self.under_way)
                again = (y >> (2 + n)) % 2
                batch.append(self.under_way[place] if again else self.under_way.pop(place))
        self._arrive(batch, answered=y < 200)

    def loses(self, x: int, _: int) -> None:
        """A report is lost for ever."""
        if self.under_way:
            self.under_way.pop(x % len(self.under_way))

    def beats(self, x: int, y: int) -> None:
        """What happens nearly always: a process looks, reports at once and once, and hears the answer."""
        self.works(x, y)
        self.looks(x, y)
        for process in self._chosen(x, lambda process: process.alive):
            self._post(process)
            self._arrive([self.under_way.pop()], answered=True)

    def kills(self, x: int, _: int) -> None:
        """A process dies without a word."""
        for process in self._chosen(x, lambda process: process.alive):
            process.alive = False

    def replays(self, x: int, y: int) -> None:
        """Somebody sends a spool; one of eight times its process is alive after all."""
        dead = [process for process in self.processes if not process.alive and not process.elsewhere]
        for process in [dead[x % len(dead)]] if dead and y % 8 else self._chosen(x, lambda _: True):
            self._post(process, replay=True, guess=True)
            if y % 3:
                self._arrive([self.under_way.pop()], answered=True)

    def ends(self, x: int, y: int) -> None:
        """A process says how it ended; the report may be held up."""
        for process in self._chosen(x, lambda process: process.alive):
            process.result = process.result or ReportedResult(outcome=OUTCOMES[y % 4], ended_age_ms=y * 10)
            self._post(process)
            process.alive = y % 5 == 0  # one of five goes on for a while
            if y % 2:
                self._arrive([self.under_way.pop()], answered=True)

    def looks(self, x: int, _: int) -> None:
        """The bot's own code asks whether it should stop."""
        for process in self._chosen(x, lambda process: process.alive):
            process.looked = process.has_stop

    def stops(self, _: int, __: int) -> None:
        """A person presses Stop."""
        (answer,) = self.engine.fold([StopRequest(user_id=self.engine.owner)], Instant(self.now))
        if self.session is None:
            assert isinstance(answer, Unknown)
        elif isinstance(answer, Refusal):
            assert isinstance(answer, Ended)
            assert self.end is not None, "a stop was refused before an explicit end"
            assert not self._alive()
        else:
            self.stopped_at = self.stopped_at or self.now
            self._check(answer.state)

    def closes(self, _: int, __: int) -> None:
        """A person closes the session."""
        before = self.session
        (answer,) = self.engine.fold([Closing(user_id=self.engine.owner)], Instant(self.now))
        if before is None:
            assert isinstance(answer, Unknown)
        elif before.status is Status.LOST:
            assert isinstance(answer, Step)
            assert answer.state.session.status is Status.INTERRUPTED
            self._check(answer.state)
        else:
            assert isinstance(answer, Live if before.status is Status.RUNNING else Ended)

    def reaps(self, _: int, __: int) -> None:
        """The reaper looks."""
        before = self.session
        step = self.engine.expire(Expiry(hearing_since=Instant(self.hearing_since)), Instant(self.now))
        if step is None or before is None:
            return
        if self.end is None and step.state.session.ended_for_good:
            assert not self._alive()
            self.end = self._word_of_a_later_one()
        self._check(step.state)
        status = step.state.session.status
        deaf = self.now - self.hearing_since
        if before.status is Status.RUNNING and any(heard.living for heard in self.heard.values()):
            assert status is Status.RUNNING or deaf >= SHORTEST_LEASE, "silence counted while nobody could hear"
        if deaf >= LONGEST_LEASE and self.now >= max(heard.lease_until for heard in self.heard.values()):
            assert status is not Status.RUNNING, "everybody is silent, and nobody noticed"

    def serves(self, _: int, __: int) -> None:
        """The service restarts."""
        self.engine.restart()
        self.hearing_since = self.now

    # -- the end of a history ----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Everything arrives, then everybody falls silent: nothing is lost, the stop is known, the session is over."""
        for process in self.processes:
            if not process.elsewhere:
                self._post(process, replay=not process.alive, guess=not process.alive)
                self._arrive([self.under_way.pop()], answered=True)
                asked = process.alive and not self._said_end(process) and process.id in self.heard
                assert process.has_stop or not asked or self.stopped_at is None, "asked, and was not told to stop"
        self._arrive(self.under_way, answered=False)
        if self.session is None:
            return
        truth: dict[str, int] = {}
        for process in self.processes:
            counted: dict[str, int] = {name: micros(value) for name, value in process.counters.items()}
            if process.elsewhere:  # counts on in another session what this one did not acknowledge
                counted = dict(self.heard[process.id].counters) if process.id in self.heard else {}
            for name, value in counted.items():
                truth[name] = truth.get(name, 0) + value
        assert self.session.totals == truth, "the counters are not what the bots counted"
        for heard in self.heard.values():
            assert heard.activities == heard.told, "an activity that was told is not in the timeline"
        for _ in range(3):
            self.now += DAY + LONGEST_LEASE
            self.reaps(0, 0)
        assert self.session.ended, "everybody has been silent for days"
        assert self.end is not None or self._word_of_a_later_one() is None, "the bot's own word was lost on a guess"

    # -- what happens within a move ----------------------------------------------------------------------------------

    def _chosen(self, x: int, which: Callable[[Process], bool]) -> list[Process]:
        """One of the processes that a move is open to, or none."""
        there = [process for process in self.processes if not process.elsewhere and which(process)]
        return [there[x % len(there)]] if there else []

    def _said_end(self, process: Process) -> bool:
        return process.id in self.heard and self.heard[process.id].said_end

    def _post(self, process: Process, *, replay: bool = False, guess: bool = False) -> None:
        command = "" if self.session is None else stop_command_id(self.session)
        self.under_way.append(Message(process, process.snapshot(command, replay=replay, guess=guess)))

    def _arrive(self, batch: Sequence[Message], *, answered: bool) -> None:
        engine = self.engine
        intents = [
            Report(
                user_id=engine.owner,
                session_id=engine.session_id,
                instance_id=message.process.id,
                snapshot=message.snapshot,
            )
            for message in batch
        ]
        taken: list[tuple[Message, Step]] = []
        for message, answer in zip(batch, engine.fold(intents, Instant(self.now)), strict=True):
            process = message.process
            if process.id not in self.heard and self.end is not None and not message.snapshot.replay:
                assert isinstance(answer, Ended), "a newcomer was let into a session that had ended"
                process.elsewhere = True
                continue
            assert isinstance(answer, Step), answer
            self._note(message, answer)
            taken.append((message, answer))
        if not taken:
            return
        state = taken[-1][1].state  # a batch answers with what it saved
        self._check(state)
        for process in {message.process.id: message.process for message, _ in taken}.values():
            told = [command.id for command in commands_for(state, process.id)]
            expected = self.stopped_at is not None and not self._said_end(process)
            assert told == ([stop_command_id(state.session)] if expected else []), "the stop is a level"
        for message, _ in taken:
            hears = answered and message.process.alive and not message.snapshot.replay
            if hears and commands_for(state, message.process.id):
                message.process.has_stop = True

    def _note(self, message: Message, step: Step) -> None:
        """Note what has arrived, by the contract's words and in their order."""
        snapshot, name = message.snapshot, message.process.id
        heard = self.heard.setdefault(name, Heard(snapshot.role))
        for counter, value in snapshot.counters.items():
            heard.counters[counter] = max(heard.counters.get(counter, 0), micros(value))
        heard.jobs.update(job.key for job in snapshot.jobs)
        news = isinstance(snapshot.seq, UnsetType) or snapshot.seq > heard.seq
        repeated = isinstance(snapshot.seq, int) and snapshot.seq == heard.seq
        heard.seq = max(heard.seq, 0 if isinstance(snapshot.seq, UnsetType) else snapshot.seq)
        fresh = news and not snapshot.replay
        if fresh:
            interval = 45 if isinstance(snapshot.heartbeat_s, UnsetType) else snapshot.heartbeat_s
            heard.lease_until = max(heard.lease_until, self.now + lease_ms(interval))
            if not heard.lively and heard.role is Role.MAIN and self.end is None and not heard.said_end:
                before = None if self.newest is None else self.heard[self.newest]
                explicit = isinstance(snapshot.result, ReportedResult) and not snapshot.result.inferred
                if explicit and before is not None:  # it comes only to say how the one before it ended
                    heard.delivered, heard.seen = heard.delivered or before.delivered, heard.seen or before.seen
                self.newest = name
            heard.lively = True
        self._note_end(heard, name, snapshot, fresh=fresh, newest=fresh or (snapshot.replay and (news or repeated)))
        self._note_steps(heard, snapshot)
        applied = fresh and self.newest == name
        assert step.applied is applied, "live fields come from the newest main instance's newest snapshot"
        if applied and isinstance(snapshot.activity, Activity):
            self.activity = snapshot.activity.name
        self._note_activities(heard, name, step)
        heard.told.update(recent.n for recent in snapshot.recent)

    def _note_end(self, heard: Heard, name: str, snapshot: Snapshot, *, fresh: bool, newest: bool) -> None:
        result, before = snapshot.result, heard.end
        if not heard.said_end:
            if not result:
                heard.living = heard.living or fresh
                heard.end = None if fresh else heard.end
            elif not result.inferred or newest:
                heard.living, heard.said_end = False, not result.inferred
                if heard.end is None or heard.said_end:
                    ended_at = max(self.now - result.ended_age_ms, heard.last, heard.acknowledged)
                    heard.end = (ended_at, result.outcome)
        news = heard.end is not None and heard.end is not before
        if fresh:
            heard.last = heard.end[0] if news and heard.end is not None else self.now
            self.running = self.running or not result
        newest_end = self.newest is None or self.heard[self.newest].end is not None
        if news and heard.role is Role.MAIN and self.end is None:
            if heard.said_end and self.newest in (name, None) and heard.end is not None:
                self.end = heard.end[1]
            elif not self._alive() and (not self.running or newest_end):
                self.end = self._word_of_a_later_one()

    def _word_of_a_later_one(self) -> Outcome | None:
        """What one said that was never heard live, the service being away, and that ended after the newest was heard."""
        newest = None if self.newest is None else self.heard[self.newest]
        words = [
            heard.end
            for heard in self.heard.values()
            if heard.role is Role.MAIN and heard.said_end and not heard.lively and heard.end is not None
            if newest is None or heard.end[0] > newest.last
        ]
        return max(words, key=lambda word: word[0])[1] if words else None

    def _note_steps(self, heard: Heard, snapshot: Snapshot) -> None:
        if self.stopped_at is None:
            return
        before = (heard.delivered, heard.seen)
        heard.delivered = heard.delivered or any(receipt.received for receipt in snapshot.commands)
        heard.seen = heard.seen or any(receipt.seen_by_bot for receipt in snapshot.commands)
        if (heard.delivered, heard.seen) != before:
            at = heard.end[0] if snapshot.result and heard.end is not None else self.now
            heard.acknowledged = max(heard.acknowledged, self.stopped_at, at)

    @staticmethod
    def _note_activities(heard: Heard, name: str, step: Step) -> None:
        ns = [fact.data["n"] for fact in step.facts if fact.kind is FactKind.ACTIVITY and fact.instance_id == name]
        assert not heard.activities.intersection(ns), "an activity is in the timeline twice"
        heard.activities.update(ns)

    def _alive(self) -> bool:
        return any(heard.living and heard.lease_until > self.now for heard in self.heard.values())

    def _check(self, state: SessionState) -> None:
        """What must be true of a session whatever has happened to it."""
        session, before, self.state = state.session, self.session, state
        self.running = session.status is Status.RUNNING
        totals: dict[str, int] = {}
        for heard in self.heard.values():
            for name, value in heard.counters.items():
                totals[name] = totals.get(name, 0) + value
        assert {name: value for name, value in session.totals.items() if value} == totals, "counters"
        assert session.instances == len(state.instances) == len(self.heard)
        assert session.instance_id == self.newest
        assert session.activity == self.activity, "the screen shows another activity"
        self._check_end(session)
        self._check_stop(session)
        if before is not None:
            assert (session.last_heartbeat_at or 0) >= (before.last_heartbeat_at or 0)
            assert session.started_at == before.started_at
            assert session.revision >= before.revision, "a revision fell"

    def _check_end(self, session: BotSession) -> None:
        over = session.status not in (Status.RUNNING, Status.LOST)
        assert (session.outcome is not None) is (session.ended_at is not None) is over
        if self.end is not None:
            assert (session.outcome, session.inferred) == (self.end, False), "the bot's word is final"
        else:
            assert session.inferred is over, "an end without the bot's word is called inferred"
            assert not (self._alive() and over), "a living session stays ended by a guess"
            assert not (self._alive() and session.status is Status.LOST), "a living session stays lost"

    def _check_stop(self, session: BotSession) -> None:
        assert session.stop_requested_at == self.stopped_at
        heard = None if self.newest is None else self.heard[self.newest]
        assert (session.stop_delivered_at is not None) is (heard is not None and (heard.delivered or heard.seen))
        assert (session.stop_seen_at is not None) is (heard is not None and heard.seen)
        times = (session.stop_requested_at, session.stop_delivered_at, session.stop_seen_at)
        known = [at for at in times if at is not None]
        its_own = heard is not None and heard.said_end  # else it may have outlived the end, and heard of the stop then
        if its_own and session.ended_at is not None and known and known[0] <= session.ended_at:
            known.append(session.ended_at)
        assert known == sorted(known), "the steps of the stop are out of order"


_MOVES: Final[dict[Move, Callable[[World, int, int], None]]] = {
    Move.PASS: World.passes,
    Move.SPAWN: World.spawns,
    Move.RESTART: World.restarts,
    Move.WORK: World.works,
    Move.SAY: World.says,
    Move.DELIVER: World.deliver,
    Move.LOSE: World.loses,
    Move.BEAT: World.beats,
    Move.KILL: World.kills,
    Move.REPLAY: World.replays,
    Move.END: World.ends,
    Move.LOOK: World.looks,
    Move.STOP: World.stops,
    Move.CLOSE: World.closes,
    Move.REAP: World.reaps,
    Move.SERVICE: World.serves,
}
