"""Random lives of bots on one computer: the real reporter on a real folder, the real merge code, and the truth.

Nothing here imitates the reporter. Each `Life` is a `StatusReporter` whose threads a history does by hand, one step at a
time: what is in its queue, what goes onto the disk, which request leaves and what becomes of it. Requests are handed to
the merge code as the bytes that they are. `Computer` keeps the books: what each life really counted, what of it can have
left a process that was killed, and what went down with a session that somebody deleted.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from msgspec import structs

import status_reporter
from botlight.edge.codec import command_document, decode_snapshot
from botlight.edge.problems import status_of
from botlight.model.command import commands_for
from botlight.model.errors import Deleted, Refusal
from botlight.model.merge import MAX_INSTANCES, Report, StopRequest, advance
from botlight.model.session import Instance, Instant, Micros, Outcome, Role, SessionState, Status
from status_reporter import StatusReporter

__all__ = ["MILLION", "Computer", "Counts", "Life", "Service", "Turn", "added"]

START: Final = 1_769_000_000_000
OWNER: Final = "alice"
MAX_LIVES: Final = 6
MILLION: Final = 1_000_000
COUNTERS: Final = ("jobs_found", "jobs_applied", "jobs_failed", "credits_used")
ENDLESS: Final = 400  # more requests than any history needs to come to rest

Counts = dict[str, int]  # millionths by name


class Turn(StrEnum):
    """What can happen. Each comes with two numbers that choose among processes, requests and ways."""

    START = "a bot starts"
    WORKER = "a worker of a bot starts"
    COUNT = "a bot counts"
    JOB = "a bot resolves a job"
    ACT = "a bot turns to something else"
    BEAT = "a request arrives and is answered"
    SEND = "a request leaves, and something happens to it"
    LATE = "a request that was held up arrives"
    LOSE = "a request that was held up is lost"
    KILL = "a process is killed"
    AGAIN = "a bot is killed and started again"
    END = "a bot ends"
    LAG = "the disk of a process falls behind"
    DISK = "the disk of a process catches up"
    LOOK = "a process looks for what dead ones left"
    STOP = "a person presses Stop"
    CLOSE = "somebody ends a session by hand"
    CROWD = "a session fills up with instances"
    DELETE = "somebody deletes a session"
    BACKUP = "the service is backed up"
    RESTORE = "the service is restored"


def added(*many: Counts) -> Counts:
    """Counters added up, without those at nought."""
    names = {name for counts in many for name in counts}
    summed = {name: sum(counts.get(name, 0) for counts in many) for name in names}
    return {name: value for name, value in summed.items() if value}


def plain(counters: Mapping[str, Micros]) -> Counts:
    """Counters of the model, without those at nought."""
    return {name: int(value) for name, value in counters.items() if value}


def less(counts: Counts, minus: Counts) -> Counts:
    """What is left of counters."""
    return added(counts, {name: -value for name, value in minus.items()})


def greatest(*many: Counts) -> Counts:
    """The largest of each counter."""
    names = {name for counts in many for name in counts}
    return {name: value for name in names if (value := max(counts.get(name, 0) for counts in many))}


class Service:
    """What a service knows: sessions merged by the real code, and beside them what was accepted of each instance."""

    def __init__(self) -> None:
        self.states: dict[str, SessionState] = {}
        self.gone: set[str] = set()
        self.accepted: dict[str, Counts] = {}  # by instance, the largest that a body brought
        self.jobs: dict[tuple[str, str], set[str]] = {}  # where an outcome stands
        self.deleted: dict[str, Counts] = {}  # by instance, what went down with its session
        self._kept: tuple[Any, ...] | None = None

    def hear(self, body: bytes, now: int) -> tuple[int, dict[str, Any]]:
        """A request arrives; answers its HTTP status and document."""
        snapshot = decode_snapshot(body, needs_id=True)
        session_id, instance_id = str(snapshot.session_id), str(snapshot.instance_id)
        report = Report(user_id=OWNER, session_id=session_id, instance_id=instance_id, snapshot=snapshot)
        try:
            if session_id in self.gone:
                raise Deleted
            step = advance(self.states.get(session_id), report, Instant(now))
        except Refusal as refusal:
            return status_of(refusal), {"code": refusal.code}
        state = self.states[session_id] = step.state
        said = {name: int(Decimal(value) * MILLION) for name, value in snapshot.counters.items()}
        self.accepted[instance_id] = greatest(self.accepted.get(instance_id, {}), said)
        for job in step.jobs:
            self.jobs.setdefault((job.key, job.outcome), set()).add(session_id)
        session = state.session
        return 200, {
            "ok": True,
            "applied": step.applied,
            "session": {"id": session.id, "status": session.status.value, "created": step.created},
            "commands": [command_document(command) for command in commands_for(state, instance_id)],
        }

    def counted(self, instance_id: str) -> Counts:
        """What stands for an instance in whatever session there is."""
        found = [state.instances[instance_id] for state in self.states.values() if instance_id in state.instances]
        return added(*(plain(one.counters) for one in found))

    def stop(self, session_id: str, now: int) -> None:
        """A person presses Stop."""
        with contextlib.suppress(Refusal):
            step = advance(self.states[session_id], StopRequest(user_id=OWNER), Instant(now))
            self.states[session_id] = step.state

    def close(self, session_id: str, now: int) -> None:
        """Somebody with a SQL shell writes that it is completed."""
        state = self.states[session_id]
        end = {"status": Status.COMPLETED, "outcome": Outcome.SUCCESS, "inferred": False, "ended_at": Instant(now)}
        self.states[session_id] = structs.replace(state, session=structs.replace(state.session, **end))

    def crowd(self, session_id: str, now: int) -> None:
        """Fills a session up with workers that never counted anything."""
        state, instances = self.states[session_id], dict(self.states[session_id].instances)
        while len(instances) < MAX_INSTANCES:
            stranger = Instance(id=f"stranger {len(instances)}", role=Role.WORKER, first_seen_at=Instant(now))
            instances[stranger.id] = stranger
        session = structs.replace(state.session, instances=len(instances))
        self.states[session_id] = SessionState(session=session, instances=instances)

    def delete(self, session_id: str) -> None:
        """Somebody deletes a session for good."""
        for instance_id in self.states[session_id].instances:
            self.deleted[instance_id] = self.counted(instance_id)
        del self.states[session_id]
        self.gone.add(session_id)

    def back_up(self) -> None:
        """Keeps everything as it is now."""
        jobs = {key: set(where) for key, where in self.jobs.items()}
        self._kept = (dict(self.states), dict(self.accepted), jobs)

    def restore(self) -> None:
        """Goes back to what was kept; deletions in between do not happen in these histories."""
        if self._kept is not None:
            states, accepted, jobs = self._kept
            self.states, self.accepted = dict(states), dict(accepted)
            self.jobs = {key: set(where) for key, where in jobs.items()}


class Disk(status_reporter._Spool):
    """The reporter's spool, which works when it is told to; `prompt`: whenever there is something to do."""

    prompt = True

    def _ask(self, key: str, task: Callable[[], None]) -> None:
        super()._ask(key, task)
        if self.prompt:
            self.catch_up()

    def catch_up(self) -> None:
        """Does all that is to be done, as its thread does."""
        for key in list(self._tasks):
            self._do(key, self._tasks.pop(key))

    def die(self) -> None:
        """The process is killed: the system takes its locks, and what was not yet on disk never will be."""
        self._tasks.clear()
        for file in list(self._held):
            self._release(file)
        self.closed = True


class Life:
    """One process: a real reporter, whose threads are stepped by the history."""

    def __init__(self, folder: Path, *, resume: str = "auto", follows: Life | None = None) -> None:
        self.reporter = StatusReporter("token", "http://127.0.0.1:9", spool_dir=folder, stream=False, resume=resume)
        keeper = self.reporter._keeper
        assert keeper is not None, self.reporter.disabled_reason
        status_reporter._stay_here.pop(id(self.reporter))  # the end of this process is no life's end
        self.keeper: Any = keeper
        self.disk = Disk(keeper, keeper.spool._folders, keeper.spool._fingerprint)
        keeper.spool = self.disk
        for worker in (keeper, keeper.sender, keeper.stream, self.disk):
            worker._thread = threading.main_thread()  # it is this history's, so that none is started
        self.alive = True
        self.ended = False
        self.truth: Counts = {}
        self.at_death: tuple[str, Counts, Counts] | None = None  # instance, its counters, those of its page
        if follows is None:
            self.reporter.start_session("1.0")
        else:
            self._join(follows)

    def _join(self, main: Life) -> None:
        """Begins as `for_worker` does in a process of its own."""
        run = status_reporter._Run(main.reporter.session_id)
        run.role = "worker"
        self.reporter._run = run
        bot = dict(main.reporter._bot)
        self.keeper.tell(lambda keeper, at, *args: keeper.begin(at, *args, attach=True), run, bot)

    @property
    def ledgers(self) -> list[Any]:
        """What it has to say, a dead process's words that it replays included."""
        own = [*self.keeper._closing, self.keeper._ledger]
        return own if self.keeper._replay is None else [*own, self.keeper._replay]

    def count(self, name: str, amount: int) -> None:
        """It counts, in whole pieces; credits in tenths."""
        step: Any = Decimal(amount) / 10 if name == "credits_used" else amount
        getattr(self.reporter, f"increment_{name}")(step)
        self.truth = added(self.truth, {name: int(step * MILLION)})

    def resolve(self, key: str) -> None:
        """It applies for a job that it has not seen before."""
        self.reporter.job(key).applied(credits=1)
        once = dict.fromkeys(("jobs_found", "jobs_applied", "credits_used"), MILLION)
        self.truth = added(self.truth, once)

    def tend(self, now: float) -> None:
        """The keeper does what is in its queue, and minds the disk."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.keeper._handle(self.keeper.inbox.get_nowait())
        self.keeper._mind_spool(now)
        assert not self.keeper.health.last_error.startswith("inside"), self.keeper.health.last_error

    def ask(self, now: float) -> Any:
        """The next request, sent whenever the history says so; None when it has nothing to say ever again."""
        self.tend(now)
        _, ledger = self.keeper._next_up(now)
        if ledger is None:
            return None
        self.keeper._send(ledger, now)
        while True:
            order = self.keeper.sender.orders.get_nowait()
            if isinstance(order, status_reporter._Order):
                return order

    def hear(self, order: Any, code: int, document: dict[str, Any], now: float) -> None:
        """The answer to a request, or that there was none (code 0)."""
        self.keeper.answered(now, order, status_reporter._Answer(code, document, error="" if code == 200 else "lost"))
        self.tend(now)

    def end(self) -> None:
        """It says that it succeeded."""
        self.ended = True
        self.reporter._finish("success", None)

    def die(self) -> None:
        """It is killed."""
        self.alive = False
        ledger = self.keeper._ledger
        page = self._page(ledger.file)
        kept = page["counters_millionths"] if page and page["instance_id"] == ledger.instance_id else {}
        self.at_death = (ledger.instance_id, dict(ledger.counters), kept)
        self.disk.die()

    def _page(self, file: str) -> dict[str, Any] | None:
        try:
            page: dict[str, Any] = json.loads(Path(self.disk._path(file)).read_bytes())
        except (FileNotFoundError, TypeError):
            return None
        return page


class Computer:
    """One history: the lives on one computer, the service, the way between them, and what must be true in the end."""

    def __init__(self, folder: Path, service: Service | None = None, life: type[Life] = Life) -> None:
        self.folder = folder
        self.service = service or Service()
        self._life = life
        self.lives: list[Life] = []
        self.owner: dict[str, Life] = {}  # whose counts an instance stands for
        self.moved: dict[
            str, Counts
        ] = {}  # by instance, what of it was acknowledged when its session was left for good
        self.under_way: list[bytes] = []
        self.began = self.now = time.monotonic()
        self.restorable = False
        self.jobs = 0

    def carry_out(self, history: Sequence[tuple[Turn, int, int]]) -> None:
        """Start one bot, take every turn, then let everything arrive, and hold the totals against the truth."""
        self.starts(0, 0)
        for turn, x, y in history:
            self.now += 0.2 + y
            _TURNS[turn](self, x, y)
        self.settle()
        self.check()

    # -- turns -------------------------------------------------------------------------------------------------------

    def starts(self, x: int, _: int) -> None:
        """A bot starts; it goes on in a dead one's session where its rules allow that."""
        if len(self.lives) < MAX_LIVES:
            self._admit(self._life(self.folder, resume="auto" if x % 4 else "never"))

    def hires(self, x: int, _: int) -> None:
        """A worker of a living bot starts in a process of its own."""
        mains = self._chosen(x, lambda life: life.keeper._ledger.run.role == "main" and not life.ended)
        for main in mains if len(self.lives) < MAX_LIVES else []:
            self._admit(self._life(self.folder, follows=main))

    def counts(self, x: int, y: int) -> None:
        """A bot counts."""
        for life in self._chosen(x, lambda life: not life.ended):
            life.count(COUNTERS[y % 4], 1 + y % 7)
            life.tend(self.now)

    def resolves(self, x: int, _: int) -> None:
        """A bot applies for a job."""
        for life in self._chosen(x, lambda life: not life.ended):
            self.jobs += 1
            life.resolve(f"job {self.jobs}")
            life.tend(self.now)

    def acts(self, x: int, y: int) -> None:
        """A bot turns to something else."""
        for life in self._chosen(x, lambda life: not life.ended):
            life.reporter.send_heartbeat(f"act {y}", {"n": y})
            life.tend(self.now)

    def beats(self, x: int, _: int) -> None:
        """What happens nearly always."""
        for life in self._chosen(x, lambda _: True):
            self._talk(life)

    def sends(self, x: int, y: int) -> None:
        """A request is lost, or its answer is; or it is held up, or doubled."""
        for life in self._chosen(x, lambda _: True):
            order = life.ask(self.now)
            if order is None:
                continue
            if y % 4 == 0:
                self.under_way.append(order.sent.body)
            answer = self._arrive(order.sent.body) if y % 8 >= 3 else None
            self._hear(life, order, answer if y % 8 >= 5 else None)

    def comes_late(self, x: int, y: int) -> None:
        """A request that was held up arrives, maybe not for the last time; nobody hears its answer."""
        if self.under_way:
            place = x % len(self.under_way)
            self._arrive(self.under_way[place] if y % 2 else self.under_way.pop(place))

    def loses(self, x: int, _: int) -> None:
        """A request that was held up is lost."""
        if self.under_way:
            self.under_way.pop(x % len(self.under_way))

    def kills(self, x: int, _: int) -> None:
        """A process is killed, though not before it has noticed that its session was deleted."""
        for life in self._chosen(x, lambda life: life.keeper._ledger.session_id not in self.service.gone):
            life.die()

    def starts_again(self, x: int, y: int) -> None:
        """A supervisor starts a bot that was killed."""
        self.kills(x, y)
        self.starts(1, y)

    def ends(self, x: int, _: int) -> None:
        """A bot says how it ended."""
        for life in self._chosen(x, lambda life: not life.ended and self._is_whole(life.keeper._ledger.session_id)):
            life.end()
            life.tend(self.now)

    def lags(self, x: int, _: int) -> None:
        """From now on the disk does nothing until it is told to."""
        for life in self._chosen(x, lambda _: True):
            life.disk.prompt = False

    def catches_up(self, x: int, y: int) -> None:
        """The disk does what it has been asked to; one of two times it is prompt again."""
        for life in self._chosen(x, lambda _: True):
            life.disk.catch_up()
            life.disk.prompt = y % 2 == 0

    def looks(self, x: int, _: int) -> None:
        """A process looks for what dead ones left, as each does every ten minutes."""
        for life in self._chosen(x, lambda _: True):
            life.disk.look()
            life.disk.lend()
            life.tend(self.now)

    def stops(self, x: int, _: int) -> None:
        """A person presses Stop."""
        for session_id in self._sessions(x):
            self.service.stop(session_id, self._wall)

    def closes(self, x: int, _: int) -> None:
        """Somebody ends a session by hand, whatever lives in it."""
        for session_id in self._sessions(x):
            self.service.close(session_id, self._wall)
            self.restorable = False

    def crowds(self, x: int, _: int) -> None:
        """A session has as many instances as it can hold."""
        for session_id in self._sessions(x):
            self.service.crowd(session_id, self._wall)
            self.restorable = False

    def deletes(self, x: int, _: int) -> None:
        """Somebody deletes a session, and what a killed process had to say in it would be put aside: not here."""
        for session_id in self._sessions(x):
            dead = [life for life in self.lives if not life.alive]
            if not any(ledger.session_id == session_id for life in dead for ledger in life.ledgers):
                self.service.delete(session_id)
                self.restorable = False

    def backs_up(self, _: int, __: int) -> None:
        """The service is backed up."""
        self.service.back_up()
        self.restorable = True

    def restores(self, _: int, __: int) -> None:
        """The service is restored from a backup that is as old as may be, but not older than the last that said its last.

        Who speaks no more cannot heal it: what was acknowledged to them since the backup is gone with the service's disk.
        """
        if self.restorable:
            self.service.restore()

    # -- the way -----------------------------------------------------------------------------------------------------

    @property
    def _wall(self) -> int:
        return START + int((self.now - self.began) * 1000)

    def _chosen(self, x: int, which: Callable[[Life], bool]) -> list[Life]:
        there = [life for life in self.lives if life.alive and which(life)]
        return [there[x % len(there)]] if there else []

    def _sessions(self, x: int) -> list[str]:
        """One of the sessions, of which the service has forgotten nobody who was acknowledged."""
        there = [session_id for session_id in self.service.states if self._is_whole(session_id)]
        return [there[x % len(there)]] if there else []

    def _is_whole(self, session_id: str) -> bool:
        """Whether the service knows everybody to whom it acknowledged something; after a restoration it may not."""
        state = self.service.states.get(session_id)
        known = {} if state is None else state.instances
        ledgers = [ledger for life in self.lives for ledger in life.ledgers if ledger.session_id == session_id]
        return all(ledger.instance_id in known for ledger in ledgers if any(ledger.acked.values()))

    def _admit(self, life: Life) -> None:
        self.lives.append(life)
        life.tend(self.now)
        self.owner[life.keeper._ledger.instance_id] = life

    def _arrive(self, body: bytes) -> tuple[int, dict[str, Any]]:
        return self.service.hear(body, self._wall)

    def _talk(self, life: Life) -> bool:
        """One request there and back; False when it had nothing to say."""
        order = life.ask(self.now)
        if order is not None:
            self._hear(life, order, self._arrive(order.sent.body))
        return order is not None

    def _hear(self, life: Life, order: Any, answer: tuple[int, dict[str, Any]] | None) -> None:
        """A life hears an answer, or that there is none; notes who goes on elsewhere."""
        ledger = order.sent.ledger
        acknowledged = dict(ledger.acked)
        code, document = answer or (0, {})
        life.hear(order, code, document, self.now)
        heirs = [one for one in life.ledgers if one.instance_id and one.instance_id not in self.owner]
        for heir in heirs:
            self.owner[heir.instance_id] = self.owner[ledger.instance_id]
            life.disk.catch_up()  # a kill while one session follows another finds a page of either, but not of both
        if code in (409, 410):
            self.moved[ledger.instance_id] = added(acknowledged)
            assert code == 410 or not self.moved[ledger.instance_id], "409 for one that was acknowledged"
        if heirs or code in (409, 410) or not ledger.speaks:
            self.restorable = False

    # -- the end -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """What was held up arrives, the living end, and a last one replays what the dead have left."""
        for body in self.under_way:
            self._arrive(body)
        living = [life for life in self.lives if life.alive]
        for life in living:
            life.disk.prompt = True
            life.disk.catch_up()
            self._talk(life)  # all are heard before one ends: a restored service has to learn of everybody again
        for life in living:
            self._finish(life)
        last = self._life(self.folder, resume="never")
        self._admit(last)
        self._come_to_rest(last, until=lambda: last.keeper.spool.pending == 0)
        self._finish(last)
        last.disk.look()
        assert last.disk.orphans == [], "what was left on disk was never delivered"

    def _finish(self, life: Life) -> None:
        if not life.ended:
            life.end()
        self._come_to_rest(life, until=lambda: not any(ledger.speaks for ledger in life.ledgers))
        life.disk.die()

    def _come_to_rest(self, life: Life, until: Callable[[], bool]) -> None:
        life.tend(self.now)
        for _ in range(ENDLESS):
            self.now += 61
            if not self._talk(life) or (until() and life.keeper.inbox.empty()):
                return
        raise AssertionError("a reporter that never comes to rest")

    def check(self) -> None:
        """Nothing is lost, and nothing is there twice."""
        service = self.service
        for state in service.states.values():
            for one in state.instances.values():
                assert plain(one.counters) == service.accepted.get(one.id, {}), "not the largest that was said"
            total = added(*(plain(one.counters) for one in state.instances.values()))
            assert plain(state.session.totals) == total, "a total is not the sum over its instances"
        for life in self.lives:
            assert self._arrived(life) == self._expected(life), "the totals are not what the bot counted"
        for job, sessions in service.jobs.items():
            there = sessions - service.gone
            assert len(there) <= 1, f"{job} stands in two sessions"

    def _arrived(self, life: Life) -> Counts:
        return added(*(self.service.counted(one) for one, owner in self.owner.items() if owner is life))

    def _expected(self, life: Life) -> Counts:
        """All that it counted, but for what a kill took along, and what was deleted by hand."""
        gone = [
            self.moved.get(one, counts) for one, counts in self.service.deleted.items() if self.owner.get(one) is life
        ]
        expected = less(life.truth, added(*gone))
        if life.at_death is None:
            return expected
        instance_id, counters, kept = life.at_death
        left = greatest(kept, self.service.accepted.get(instance_id, {}))
        return less(expected, less(added(counters), left))


_TURNS: Final[dict[Turn, Callable[[Computer, int, int], None]]] = {
    Turn.START: Computer.starts,
    Turn.WORKER: Computer.hires,
    Turn.COUNT: Computer.counts,
    Turn.JOB: Computer.resolves,
    Turn.ACT: Computer.acts,
    Turn.BEAT: Computer.beats,
    Turn.SEND: Computer.sends,
    Turn.LATE: Computer.comes_late,
    Turn.LOSE: Computer.loses,
    Turn.KILL: Computer.kills,
    Turn.AGAIN: Computer.starts_again,
    Turn.END: Computer.ends,
    Turn.LAG: Computer.lags,
    Turn.DISK: Computer.catches_up,
    Turn.LOOK: Computer.looks,
    Turn.STOP: Computer.stops,
    Turn.CLOSE: Computer.closes,
    Turn.CROWD: Computer.crowds,
    Turn.DELETE: Computer.deletes,
    Turn.BACKUP: Computer.backs_up,
    Turn.RESTORE: Computer.restores,
}
