# ruff: noqa: INP001 -- one file on purpose: it is also copied next to a bot
"""Tells Botlight what a bot is doing, and tells the bot when a person pressed Stop.

One file, standard library only, Python 3.9 and newer: `pip install botlight-reporter`, or copy it next to the bot.

    reporter = StatusReporter("token", "http://localhost:3000", name="Job hunter")
    with reporter.session("1.0"):
        for posting in reporter.track(postings):              # ends when Stop was pressed
            job = reporter.job(posting.id, title=posting.title)
            reporter.send_heartbeat("applying", {"title": posting.title})
            job.applied() if apply(posting) else job.failed("refused")
            reporter.wait(60)                                 # ends when Stop was pressed

What it promises
    A call checks its arguments and puts one small tuple into a queue. It takes no lock, does no I/O and raises nothing
    (`checkpoint` raises `StopRequested`, that is its purpose; `strict=True` makes wrong arguments raise). The calls that
    wait say so and say how long.
    What is sent is always the whole state, never an event, so that lost, doubled and late requests change nothing:
    counters are absolute for this life of the process, and the service keeps the largest of each.
    The bot's thread is never interrupted; only the bot's own question (`should_stop`, `wait`, `track`, …) ends its work.

How it is built, from the bot to the wire

    bot's threads ── one SimpleQueue ──> keeper ── snapshot ──> sender ── POST ──> service
                                           ^                      │ answer            │
                                           └──────────────────────┴── stream <── GET ─┘

    The keeper alone owns the ledger (what there is to say) and the timers; sender and stream own one connection each.
    All three are daemon threads, started by `start_session`; none waits for another.
"""

from __future__ import annotations

import atexit
import base64
import collections
import contextlib
import datetime as dt
import decimal
import email.utils
import functools
import hashlib
import http.client
import ipaddress
import itertools
import json
import logging
import math
import os
import queue
import random
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Job", "StatusReporter", "StopRequested", "get_reporter"]
__version__ = "0.1.0"

_PREFIX = "/api/autoapply/bot"
_SEED_COUNTERS = ("jobs_found", "jobs_applied", "jobs_failed", "credits_used")
_MILLION = 10**6

_MAX_COUNTERS = 32
_MAX_COUNT = 10**10 * _MILLION  # in millionths, as all counters here
_MAX_STEP = 10**9  # of one increment
_MAX_AGE_MS = 34_560_000_000  # 400 days
_MAX_ORDINAL = 2**53 - 1
_MAX_KEYS = 100_000  # job keys that are told apart
_MAX_OUTCOMES = 200  # held for the proof list; beyond that outcomes are only counted
_MAX_LISTED = 20  # jobs and recent activities in one request, commands acknowledged
_MAX_BACKLOG = 2_000  # calls waiting in the queue before a caller folds them together
_MAX_KEPT = 100_000  # calls that a fold keeps because they cannot be summed
_DETAILS_BYTES = 2_048
_PACK_BYTES = 12_000  # of a request; the service takes 16 KB
_ANSWER_BYTES = 65_536
_EVENT_BYTES = 65_536

_CONNECT_S = 4.0
_REQUEST_S = 10.0  # DNS, connecting, sending and reading together
_HELLO_S = 5.0  # a proxy that buffers holds the first event back
_SILENCE_S = 40.0  # of a stream that ticks every 15 s
_STREAM_RETRY_S = 600.0  # after a stream that cannot work here
_TICK_S = 5.0  # the keeper looks around at least this often
_GAP_S = 20.0  # the shortest sleep of the computer that is told
_SLICE_S = 0.05  # of a wait: how late a stop or Ctrl-C may be noticed
_DEGRADED_S = 15.0  # between heartbeats while commands cannot be pushed
_FAILING_EXIT_S = 0.3  # how long an end is waited for when the last attempt failed

_log = logging.getLogger("status_reporter")
_log.addHandler(logging.NullHandler())

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])
_Item = tuple[Callable[..., None], float, tuple[Any, ...]]  # a keeper's method, when it was called, with what


class StopRequested(BaseException):
    """A person pressed Stop; raised by `checkpoint`, again at each one.

    It is no `Exception`, so that the `except Exception` around one application does not swallow it.
    """

    def __init__(self, reason: str | None = None, command_id: str | None = None) -> None:
        super().__init__(reason or "a person pressed Stop")
        self.reason = reason
        self.command_id = command_id


# ---- Words: what a bot hands over becomes plain values at once, without running any code of the bot's objects ----

_CONTROLS = {code: " " for code in (*range(32), 127) if code not in (9, 10)}
_name_of_type = type.__dict__["__name__"].__get__
_args_of_exception = BaseException.__dict__["args"].__get__
_vars_of_exception = BaseException.__dict__["__dict__"].__get__


def _type_name(value: object) -> str:
    return str(_name_of_type(type(value)))[:64]


def _text(value: object, limit: int) -> str:
    """The first `limit` characters of a text, fit for JSON; of anything else the name of its type."""
    if not issubclass(type(value), str):
        return _type_name(value)[:limit]
    text = str.__getitem__(cast("str", value), slice(limit))
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_CONTROLS).encode("utf-8", "replace").decode("utf-8")


def _optional_text(value: object, limit: int) -> str | None:
    return None if value is None else _reason(value, limit)


def _reason(value: object, limit: int) -> str:
    """A text, or what an exception says of itself."""
    if not issubclass(type(value), BaseException):
        return _text(value, limit)
    message = _message(value, limit)
    return _text(f"{_type_name(value)}: {message}" if message else _type_name(value), limit)


def _message(error: object, limit: int) -> str:
    """An exception's text from its arguments; its `__str__` may be the bot's code, or talk to a browser."""
    plain = [arg for arg in _args_of_exception(error)[:8] if type(arg) is str or (type(arg) is int and _small(arg))]
    words = [_text(str(arg), limit) for arg in plain]
    if not words and type(_vars_of_exception(error).get("msg")) is str:  # where Selenium keeps it
        words = [_text(_vars_of_exception(error)["msg"], limit)]
    return ", ".join(words)[:limit]


def _error(value: object) -> dict[str, str | None] | None:
    """The `error` of a result, from an exception, a text or nothing."""
    if value is None:
        return None
    if issubclass(type(value), BaseException):
        return {"type": _type_name(value), "message": _message(value, 500)}
    return {"type": None, "message": _text(value, 500)}


class _Freezer:
    """Copies details into plain JSON values: bounded in depth, keys and size, and calling no code of theirs."""

    def __init__(self) -> None:
        self.values = 128
        self.room = _DETAILS_BYTES

    def freeze(self, details: object) -> dict[str, Any] | None:
        """Plain details, or None when these are no dict."""
        frozen = self._value(details, 0)
        return frozen if type(frozen) is dict else None

    def _value(self, value: object, depth: int) -> Any:
        kind = type(value)
        self.values -= 1
        if value is None or kind is bool:
            return value
        if issubclass(kind, (int, float)):
            return self._number(value)
        if depth < 4 and issubclass(kind, (dict, list, tuple)):
            return self._many(value, depth + 1)
        return self._words(str(value) if kind in (decimal.Decimal, uuid.UUID) else value)

    def _many(self, value: object, depth: int) -> Any:
        if issubclass(type(value), dict):
            return {self._key(key): self._value(item, depth) for key, item in _pairs(value) if self._fits()}
        plain: Any = list if issubclass(type(value), list) else tuple
        return [self._value(item, depth) for item in plain.__getitem__(value, slice(32)) if self._fits()]

    def _fits(self) -> bool:
        return self.values > 0 and self.room > 0

    def _words(self, value: object) -> str:
        text = _text(value, 200)
        self.room -= len(text) + 4
        return text

    def _key(self, key: object) -> str:
        return self._words(str(key) if type(key) is int and _small(key) else key)

    def _number(self, value: object) -> Any:
        self.room -= 8
        number = _number(value)
        if type(number) is int and number.bit_length() > 53:
            return self._words(str(number) if _small(number) else "int")
        return number if number is not None and math.isfinite(number) else "nan" if number is None else str(number)


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    """The first pairs of a dict of whatever class, read in one step; another thread may change it meanwhile."""
    for _ in range(3):
        with contextlib.suppress(RuntimeError):
            return list(itertools.islice(dict.items(value), 32))
    return []


def _number(value: object) -> int | float | None:
    """The plain int or float of a number, whatever class made of them it has; None when it is no number."""
    kind = type(value)
    if issubclass(kind, int) and kind is not bool:
        return int.__add__(cast("int", value), 0)
    number = float.__add__(cast("float", value), 0.0) if issubclass(kind, float) else math.nan
    return None if math.isnan(number) else number


def _small(number: int) -> bool:
    """Whether a number is short enough to be written down without noticing."""
    return number.bit_length() <= 256


_exactly = decimal.Context(prec=40, traps=[])


def _millionths(amount: Any) -> int | None:
    """An amount to count, or None when it is none: a finite number from 0 to a thousand million."""
    if type(amount) is decimal.Decimal and amount.is_finite():
        plain = _exactly.plus(amount)
        return int(_exactly.to_integral_value(_exactly.scaleb(plain, 6))) if 0 <= plain <= _MAX_STEP else None
    number = _number(amount)
    return None if number is None or not 0 <= number <= _MAX_STEP else round(number * _MILLION)


def _decimals(millionths: int) -> str:
    """A counter as a JSON number, exactly."""
    whole, rest = divmod(millionths, _MILLION)
    return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)


def _job_key(key: object, depth: int = 0) -> str | None:
    """The text of a job's key; None when no text can be had without running the key's own code."""
    kind = type(key)
    if kind is tuple and depth < 4 and len(cast("tuple[object, ...]", key)) <= 8:
        parts = [_job_key(part, depth + 1) for part in cast("tuple[object, ...]", key)]
        return None if None in parts else json.dumps(parts, ensure_ascii=False)
    if issubclass(kind, str):
        return _text(key, 4_096) or None
    if kind is int and _small(cast("int", key)):
        return str(key)
    if kind is bytes:
        return cast("bytes", key)[:4_096].hex() or None
    return str(key) if kind is uuid.UUID else None


def _short_key(key: str) -> str:
    """A key that fits the wire and stays the only one of its kind."""
    return key if len(key) <= 128 else key[:95] + "…" + hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


_WEB_LINK = re.compile(r"https?://\S{1,493}")


def _link(url: object) -> str | None:
    """A link that may be shown, or None: half a link would lead elsewhere."""
    if not issubclass(type(url), str):
        return None
    link = _text(url, 501)
    return link if _WEB_LINK.fullmatch(link) and len(link) <= 500 else None


def _clamp(value: object, low: float, high: float) -> float | None:
    """A number within its bounds; None when it is no number."""
    number = _number(value)
    return None if number is None else float(min(max(number, low), high))


def _utc(wall: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall))


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


# ---- What the bot's threads and the keeper share ----


class _Stop:
    """One stop command; `seen` is set by whoever of the bot's threads looks first."""

    __slots__ = ("id", "reason", "seen")

    def __init__(self, command_id: str, reason: str | None) -> None:
        self.id = command_id
        self.reason = reason
        self.seen = False


class _Receipt:
    """Whether what a caller waits for was acknowledged: None while that is open."""

    __slots__ = ("acknowledged",)

    def __init__(self) -> None:
        self.acknowledged: bool | None = None


class _Run:
    """One session as the bot's threads see it, from `start_session` to its end.

    Callers write `ending` and `next`, the keeper all else; each step is one atomic operation, so no lock is needed.
    """

    def __init__(self, session_id: str | None) -> None:
        self.session_id = session_id
        self.instance_id: str | None = None
        self.stop: _Stop | None = None
        self.ending: dict[str, _Receipt] = {}  # "said" by the bot, or "guessed": the first of each counts
        self.next: dict[str, _Run] = {}  # the run that follows; the first one put in counts
        self.waited = 0.0  # seconds that the bot has already given its end

    @property
    def open(self) -> bool:
        return self.session_id is not None and "said" not in self.ending


class _Health:
    """The reporter's own condition, written by the keeper, read by `status`."""

    def __init__(self) -> None:
        self.stream = "off"
        self.heard_at: float | None = None
        self.next_try_at: float | None = None
        self.fails = 0
        self.last_error = ""
        self.ignored = 0
        self.drops = 0
        self.unkeyed = 0
        self.counters = dict.fromkeys(_SEED_COUNTERS, 0)  # of the session that the bot sees
        self.clock_offset_s: float | None = None


class _Mute(threading.local):
    """Set on a thread of ours while it logs: a log handler that calls the reporter must not start a circle."""

    on = False


_mute = _Mute()


# ---- The ledger: what one instance has to say ----


class _Activity(NamedTuple):
    n: int
    name: str
    details: dict[str, Any] | None
    at: float


class _Outcome(NamedTuple):
    n: int
    at: float
    row: dict[str, Any]  # as on the wire, but for its age


class _Sent(NamedTuple):
    """One request, and what of the ledger it carries: that much is settled when it is acknowledged."""

    ledger: _Ledger
    path: str
    body: bytes
    version: int
    counters: dict[str, int]
    recent_n: int
    outcome_n: int
    gap_ms: int


_STRENGTH = {"skipped": 1, "failed": 2, "applied": 3}


class _JobKeys:
    """Which jobs were seen and how each went, so that looking twice at a page counts once.

    Outcomes have an order, applied > failed > skipped: a stronger one still counts, a weaker one is old news.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def first_sight(self, key: str) -> bool:
        return self._raise(key, 0)

    def first_outcome(self, key: str, outcome: str) -> bool:
        return self._raise(key, _STRENGTH[outcome])

    def _raise(self, key: str, strength: int) -> bool:
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        known = self._known.get(digest, -1)
        if strength <= known:
            return False
        if known >= 0 or len(self._known) < _MAX_KEYS:
            self._known[digest] = strength
        return True


class _Ledger:
    """What one instance has to say: the newest of everything and absolute counters, never a queue of events.

    Owned by the keeper. `version` grows with each change that is worth a request; what the service acknowledged is
    remembered, so that another session can go on with the rest.
    """

    def __init__(self, health: _Health, keys: _JobKeys | None = None) -> None:
        self.health = health
        self.keys = keys or _JobKeys()
        self.run: _Run | None = None
        self.session_id = ""
        self.instance_id = ""
        self.attach = False
        self.bot: dict[str, str] = {}
        self.began_at = 0.0
        self.seq = 0
        self.counters: dict[str, int] = dict.fromkeys(_SEED_COUNTERS, 0)
        self.acked: dict[str, int] = {}
        self.activity: _Activity | None = None
        self.recent: collections.deque[_Activity] = collections.deque(maxlen=_MAX_LISTED)
        self.outcomes: collections.deque[_Outcome] = collections.deque()
        self.outcome_n = 0
        self.progress: dict[str, int | None] | None = None
        self.progress_at = 0.0
        self.pause: tuple[object, float, str | None] | None = None
        self.commands: dict[str, bool] = {}
        self.gap_ms = 0
        self.result: dict[str, Any] | None = None
        self.ended_at = 0.0
        self.version = 0
        self.acked_version = 0
        self.urgent = False
        self.not_before = -math.inf
        self.receipts: list[tuple[_Receipt, int, int]] = []

    # What the bot says. Each of these is called with the time of the bot's call first.

    def count(self, at: float, name: str, amount: int) -> None:
        """Adds to a counter; a name beyond the 32nd is not counted, and `status` says so."""
        if name not in self.counters and len(self.counters) >= _MAX_COUNTERS:
            self.health.drops += 1
        elif amount:
            self.counters[name] = min(self.counters.get(name, 0) + amount, _MAX_COUNT)
            self.health.counters[name] = self.health.counters.get(name, 0) + amount
            self._progressed(at)

    def act(self, at: float, name: str, details: dict[str, Any] | None) -> None:
        """Sets the current activity; the same one again changes nothing."""
        while details and _size(_dumps(details)) > _DETAILS_BYTES:
            details.popitem()
        now = self.activity
        if now and ((now.name, now.details) == (name, details) or at < now.at):  # calls may overtake one another
            return
        self.activity = _Activity(now.n + 1 if now else 1, name, details or None, at)
        self.recent.append(self.activity)
        self._progressed(at)

    def find(self, at: float, key: str | None) -> None:
        """Counts a job as found, once."""
        if key is None:
            self.health.unkeyed += 1
        if key is None or self.keys.first_sight(key):
            self.count(at, "jobs_found", _MILLION)

    def resolve(self, at: float, key: str | None, row: dict[str, Any], amount: int) -> None:
        """Counts a job's outcome, once, with the credits it took, and holds it for the proof list."""
        outcome = row["outcome"]
        if key is not None and not self.keys.first_outcome(key, outcome):
            return
        if outcome != "skipped":
            self.count(at, "jobs_" + outcome, _MILLION)
        self.count(at, "credits_used", amount)
        self.outcome_n += 1
        if len(self.outcomes) < _MAX_OUTCOMES:
            name = "job-" + uuid.uuid4().hex[:16] if key is None else _short_key(key)
            self.outcomes.append(_Outcome(self.outcome_n, at, {"n": self.outcome_n, "key": name, **row}))
        self._progressed(at)

    def advance(self, at: float, done: int, total: int | None) -> None:
        progress = {"done": done, "total": total}
        if progress != self.progress:
            self.progress = progress
            self._progressed(at)

    def check(self, at: float) -> None:
        """A checkpoint is progress, but none that a person would have to see at once."""
        self.progress_at = max(self.progress_at, at)

    def wait(self, _at: float, pause: object, until: float, reason: str | None) -> None:
        self.pause = (pause, until, reason)
        self.version += 1

    def go_on(self, at: float, pause: object) -> None:
        """Ends an announced pause, unless another thread has announced its own since."""
        if self.pause and self.pause[0] is pause:
            self.pause = None
            self.check(at)
            self.version += 1

    def _progressed(self, at: float) -> None:
        self.progress_at = max(self.progress_at, at)
        self.version += 1

    # What the keeper does with it.

    def begin(self, at: float, run: _Run, bot: dict[str, str], *, attach: bool) -> None:
        self.run = run
        self.session_id = cast("str", run.session_id)
        self.instance_id = run.instance_id = str(uuid.uuid4())
        self.attach = attach
        self.bot = bot
        self.began_at = at
        self.progress_at = max(self.progress_at, at)
        self.version += 1
        self.urgent = True

    def end(self, at: float, result: dict[str, Any], receipt: _Receipt) -> None:
        """Sets how the instance ended; what the bot says itself replaces a guess, and nothing replaces that."""
        if self.result is None or (self.result["inferred"] and not result["inferred"]):
            self.result = result
            self.ended_at = at
            self.pause = None
            self.version += 1
            self.urgent = True
        self.promise(receipt)

    def hear(self, command_id: str) -> bool:
        """Notes a command as received; True the first time."""
        if command_id in self.commands or len(self.commands) >= _MAX_LISTED:
            return False
        self.commands[command_id] = False
        self._hurry()
        return True

    def saw(self, command_id: str) -> None:
        """Notes that the bot's own code has looked at a stop."""
        if self.commands.get(command_id) is False:
            self.commands[command_id] = True
            self._hurry()

    def slept(self, gap_s: float) -> None:
        self.gap_ms = min(self.gap_ms + int(gap_s * 1000), _MAX_AGE_MS)
        self._hurry()

    def _hurry(self) -> None:
        self.version += 1
        self.urgent = True

    @property
    def wanted(self) -> bool:
        """Whether there is something that the service has not acknowledged."""
        return self.version > self.acked_version or bool(self.outcomes)

    @property
    def speaks(self) -> bool:
        """Whether this instance has anything to say now or later: it began, and its end is not yet acknowledged."""
        return bool(self.session_id) and (self.result is None or self.wanted)

    def promise(self, receipt: _Receipt) -> None:
        """Settles `receipt` when all that was said so far is acknowledged."""
        if len(self.receipts) < 1_000:
            self.receipts.append((receipt, self.version, self.outcome_n))
        else:
            receipt.acknowledged = False
        self._settle()

    def acknowledge(self, sent: _Sent) -> None:
        """Forgets what the service has: activities, outcomes and sleep are told until then, counters for ever."""
        for name, value in sent.counters.items():
            self.acked[name] = max(value, self.acked.get(name, 0))
        while self.recent and self.recent[0].n <= sent.recent_n:
            self.recent.popleft()
        while self.outcomes and self.outcomes[0].n <= sent.outcome_n:
            self.outcomes.popleft()
        self.gap_ms = max(0, self.gap_ms - sent.gap_ms)
        self.acked_version = max(self.acked_version, sent.version)
        self.urgent = self.urgent or bool(self.result and self.outcomes)  # an end does not wait for its proofs
        self._settle()

    def _settle(self) -> None:
        held_n = self.outcomes[0].n if self.outcomes else math.inf
        still = []
        for receipt, version, outcome_n in self.receipts:
            if version <= self.acked_version and outcome_n < held_n:
                receipt.acknowledged = True
            else:
                still.append((receipt, version, outcome_n))
        self.receipts = still

    def give_up(self) -> None:
        """Nobody wants this any more: whoever waits is told so."""
        for receipt, _, _ in self.receipts:
            receipt.acknowledged = False
        self.receipts = []
        self.acked_version = self.version
        self.outcomes.clear()

    def shed(self) -> bool:
        """Drops what a refused request may have been refused for; counters, name and result stay. False: nothing to drop."""
        has = self.activity is not None and self.activity.details is not None
        had = bool(has or self.recent or self.outcomes or self.progress)
        if self.activity:
            self.activity = self.activity._replace(details=None)
        self.health.drops += len(self.outcomes)
        self.recent.clear()
        self.outcomes.clear()
        self.progress = None
        self.version += 1
        self._settle()
        return had

    def successor(self, now: float) -> _Ledger | None:
        """The ledger of a new session with all that was not acknowledged here; None when an ended bot has nothing left."""
        rest = {name: value - self.acked.get(name, 0) for name, value in self.counters.items()}
        if self.result and not any(rest.values()) and not self.outcomes:
            return None
        heir = _Ledger(self.health, self.keys)
        run = cast("_Run", self.run)
        run.session_id = str(uuid.uuid4())
        heir.begin(now, run, self.bot, attach=False)
        heir.counters.update(rest)
        heir.activity, heir.recent = self.activity, self.recent
        heir.outcomes, heir.outcome_n = self.outcomes, self.outcome_n
        heir.progress, heir.progress_at, heir.pause = self.progress, self.progress_at, self.pause
        heir.result, heir.ended_at, heir.gap_ms = self.result, self.ended_at, self.gap_ms
        heir.receipts = [(receipt, heir.version, outcome_n) for receipt, _, outcome_n in self.receipts]
        return heir

    # What goes onto the wire.

    def snapshot(self, now: float, wall: float, heartbeat_s: int, diag: dict[str, Any]) -> _Sent:
        """A request with everything there is to say at `now` (monotonic; `wall` is information only)."""
        path = "/complete" if self.result else "/heartbeat" if self.acked_version else "/start"
        self.seq += 1
        self.urgent = False
        uptime_ms = _ms(now - self.began_at)
        document = {
            "session_id": self.session_id,
            "instance_id": self.instance_id,
            "role": "main",
            "seq": self.seq,
            "heartbeat_s": heartbeat_s,
            "attach": self.attach,
            "bot": {key: value for key, value in self.bot.items() if value},
            "client": _CLIENT,
            "progress": self.progress,
            "progress_age_ms": _ms(now - self.progress_at),
            "waiting": self._waiting(now),
            "commands": [{"id": key, "received": True, "seen_by_bot": seen} for key, seen in self.commands.items()],
            "gap_ms": self.gap_ms,
            "result": self.result and {**self.result, "ended_age_ms": _ms(now - self.ended_at)},
            "uptime_ms": uptime_ms,
            "started_at": _utc(wall - uptime_ms / 1000),
            "sent_at": _utc(wall),
            "diag": diag,
        }
        body, recent_n, outcome_n = self._pack(document, now)
        return _Sent(self, path, body, self.version, dict(self.counters), recent_n, outcome_n, self.gap_ms)

    def _waiting(self, now: float) -> dict[str, Any] | None:
        if not self.pause or self.pause[1] <= now:
            return None
        return {"seconds_left": min(math.ceil(self.pause[1] - now), 2_592_000), "reason": self.pause[2]}

    def _pack(self, document: dict[str, Any], now: float) -> tuple[bytes, int, int]:
        """The body, and the last activity and outcome in it: what does not fit into 12 KB goes with the next request."""
        counters = ",".join(f"{_dumps(name)}:{_decimals(value)}" for name, value in self.counters.items())
        head = _dumps(document)[:-1] + ',"counters":{' + counters + "}"
        room = _PACK_BYTES - _size(head)
        if self.activity:
            aged = {"n": self.activity.n, "name": self.activity.name, "age_ms": _ms(now - self.activity.at)}
            plain, full = _dumps(aged), _dumps({**aged, "details": self.activity.details})
            activity = full if _size(full) < room else plain
            head += ',"activity":' + activity
            room -= _size(activity)
        recent, room = _as_many_as_fit(
            (_dumps({"n": one.n, "name": one.name, "age_ms": _ms(now - one.at)}) for one in self.recent), room
        )
        if not recent and self.outcomes and _size(self._row(self.outcomes[0], now)) > room:
            self.outcomes.popleft()  # the counters alone fill the request: this one stays counted, but not listed
            self.health.drops += 1
        rows, room = _as_many_as_fit((self._row(one, now) for one in self.outcomes), room)
        body = f'{head},"recent":[{",".join(recent)}],"jobs":[{",".join(rows)}]}}'
        recent_n = self.recent[len(recent) - 1].n if recent else 0
        return body.encode(), recent_n, self.outcomes[len(rows) - 1].n if rows else 0

    @staticmethod
    def _row(outcome: _Outcome, now: float) -> str:
        return _dumps({**outcome.row, "age_ms": _ms(now - outcome.at)})


def _as_many_as_fit(texts: Iterable[str], room: int) -> tuple[list[str], int]:
    """The first of `texts` that fit into `room` bytes, 20 at most, and the room that is left."""
    taken: list[str] = []
    for text in texts:
        room_then = room - _size(text) - 1
        if room_then < 0 or len(taken) == _MAX_LISTED:
            break
        taken.append(text)
        room = room_then
    return taken, room


def _ms(seconds: float) -> int:
    return int(min(max(seconds * 1000, 0), _MAX_AGE_MS))


def _describe_client() -> dict[str, str]:
    system = " ".join(os.uname()[0:3:2]) if hasattr(os, "uname") else sys.platform
    python = ".".join(str(part) for part in sys.version_info[:3])
    return {"name": "status_reporter.py", "version": __version__, "python": python, "os": _text(system, 64)}


_CLIENT = _describe_client()


class _Bundle:
    """Calls folded together, for when they come faster than the keeper can take them, or nobody takes them at all.

    Sums what can be summed, keeps the last hundred where the newest counts, and every outcome. Order is kept around
    the starts and ends of sessions, where it matters.
    """

    def __init__(self) -> None:
        self.items: list[_Item] = []
        self._counts: dict[str, _Item] = {}
        self._newest: collections.deque[_Item] = collections.deque(maxlen=100)

    def add(self, item: _Item) -> None:
        call, at, args = item
        if call is _Keeper.unpack:
            for one in args[0].closed():
                self.add(one)
        elif call is not _Keeper.note:
            self._close()
            self.items.append(item)
        elif args[0] is _Ledger.count:
            before = self._counts.get(args[1])
            amount = args[2] + (before[2][2] if before else 0)
            self._counts[args[1]] = (call, at, (_Ledger.count, args[1], amount))
        elif args[0] in (_Ledger.resolve, _Ledger.find):
            if len(self.items) < _MAX_KEPT:
                self.items.append(item)
        else:
            self._newest.append(item)

    def closed(self) -> list[_Item]:
        self._close()
        return self.items

    def _close(self) -> None:
        self.items += [*self._counts.values(), *self._newest]
        self._counts = {}
        self._newest.clear()


# ---- When to speak ----


class _Pace:
    """When the next request should leave. Knows no clock: it is told the time (monotonic seconds)."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.asked = 0.0  # the service's heartbeat interval; may only slow down
        self.spacing = 1.0
        self.degraded = False
        self.fails = 0
        self._denials = 0
        self._left_at = -math.inf
        self._heard_at = -math.inf
        self._not_before = -math.inf
        self._firm = False  # told to wait by the service: nothing cuts that short
        self._stretch = 1.0

    def when(self, *, wanted: bool, urgent: bool) -> float:
        """The earliest time to send: at once when urgent, spaced when there is news or a failure to mend, else by the beat."""
        if urgent:
            return self._not_before if self._firm else -math.inf
        soonest = max(self._not_before, self._left_at + self.spacing)
        return soonest if wanted or self.fails else max(soonest, self._heard_at + self.period)

    @property
    def period(self) -> float:
        """Seconds between heartbeats when nothing changes; ±10 %, so that a fleet does not beat in step."""
        base = min(self.interval, _DEGRADED_S) if self.degraded else self.interval
        return self._stretch * (self.asked if self.asked > self.told_interval else base)

    @property
    def told_interval(self) -> int:
        """What the service is told of it, in its own bounds."""
        return int(min(max(self.interval, 15), 3600))

    def left(self, now: float) -> None:
        self._left_at = now

    def heard(self, now: float) -> None:
        self.fails = self._denials = 0
        self._heard_at = now
        self._not_before = -math.inf
        self._firm = False
        self._stretch = random.uniform(0.9, 1.1)  # noqa: S311 -- spreads load, guards nothing

    def failed(self, now: float, retry_after: float | None = None, *, firm: bool = False) -> None:
        self.fails += 1
        self._not_before = now + max(_back_off(self.fails, 60.0), retry_after or 0.0)
        self._firm = firm

    def denied(self, now: float) -> None:
        """A token that is refused is tried again in 5 minutes, then ever more rarely, at last every hour."""
        self.fails += 1
        self._denials += 1
        self._not_before = now + min(3600.0, 300.0 * 2.0 ** min(self._denials - 1, 10))
        self._firm = False

    def network_is_back(self) -> None:
        if not self._firm:
            self._not_before = -math.inf


def _back_off(fails: int, cap: float) -> float:
    """Seconds until the next attempt: doubled each time, capped first and then spread over the upper half."""
    base = min(cap, 2.0 ** min(fails - 1, 10))
    return base / 2 + random.uniform(0, base / 2)  # noqa: S311 -- spreads load, guards nothing


class _SleepWatch:
    """Notices that the computer slept. Knows no clock: it is told three of them.

    A clock that goes on in sleep running ahead of one that stands still is a sleep; so is a tick that came much too late
    although the process used no processor time meanwhile (it was suspended, or its only clock goes on in sleep).
    """

    def __init__(self, steady: float, through: float, used: float) -> None:
        self._last = (steady, through, used)

    def look(self, steady: float, through: float, used: float) -> float:
        """Seconds slept since the last look, 0 if less than 20."""
        passed, real, busy = steady - self._last[0], through - self._last[1], used - self._last[2]
        self._last = (steady, through, used)
        late = passed - _TICK_S if busy < passed / 10 else 0.0
        gap = max(real - passed, late)
        return gap if gap > _GAP_S else 0.0


def _through_sleep() -> float:
    """A clock that goes on while the computer sleeps: the boot clock where there is one, since people set the other."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if boot is None else time.clock_gettime(boot)


# ---- The wire ----


class _WayError(Exception):
    """A failure of the way there, in a fixed phrase that can hold no secret."""


class _Address:
    """Where the service is, and how one gets there. Raises ValueError, never with the value in it."""

    def __init__(
        self, base_url: str, token: str, *, allow_insecure: bool, proxy: str | bool | None, ca_file: str | None
    ) -> None:
        if not re.fullmatch(r"[!-~]{1,2000}", base_url):
            raise ValueError("base_url: expected http:// or https:// and a host, without spaces")
        try:
            parts = urllib.parse.urlsplit(base_url)
            port = parts.port
        except ValueError:
            raise ValueError("base_url: expected a host and, after a colon, a port number") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url: expected http:// or https:// and a host")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("base_url: expected no user name, query or fragment in it")
        if not re.fullmatch(r"[!-~]{1,4096}", token):
            raise ValueError("token: expected 1 to 4096 printable ASCII characters without spaces")
        self.secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = port or (443 if self.secure else 80)
        self.path = parts.path.rstrip("/") + _PREFIX
        self.ca_file = ca_file
        self.allow_insecure = allow_insecure
        self.family: int | None = None  # the address family that worked last
        self._token = token
        self._proxy_wish = proxy
        self._proxy: urllib.parse.SplitResult | None = None
        self._tls: ssl.SSLContext | None = None
        if isinstance(proxy, str):
            self._proxy = _proxy_address(proxy)
            if self._proxy is None:
                raise ValueError("proxy: expected http://host:port")
            if not self.secure:
                raise ValueError(
                    "proxy: expected an https base_url with it; a token does not go through a proxy in clear"
                )
        if not self.secure and not allow_insecure and _is_public(self.host):
            raise ValueError("base_url: plain http to a public address needs allow_insecure=True")

    def look_for_proxy(self) -> None:
        """Reads the environment, once; a proxy of the bot's own browser traffic must not see the token in clear."""
        if self._proxy_wish is None and self.secure and not _is_loopback(self.host) and not _no_proxy(self.host):
            self._proxy = _proxy_address(_environ("https_proxy") or _environ("all_proxy"))

    def headers(self, accept: str) -> dict[str, str]:
        agent = f"status-reporter/{__version__} python/{sys.version_info[0]}.{sys.version_info[1]} {sys.platform}"
        return {
            "Authorization": "Bearer " + self._token,
            "Accept": accept,
            "User-Agent": agent,
            "X-Request-Id": uuid.uuid4().hex,
            "Connection": "close",
        }

    def connect(self, line: _Line) -> http.client.HTTPConnection:
        """A connection to the service that `line` can cut, ready for the token; blocks for as long as the line allows."""
        sock = self._through(self._proxy, line) if self._proxy else self._dial(self.host, self.port, line)
        try:
            if self.secure:
                safe = self._context().wrap_socket(sock, server_hostname=self.host, do_handshake_on_connect=False)
                line.hold(safe)
                sock = safe
                safe.do_handshake()
            elif not self.allow_insecure:
                _refuse_public(sock.getpeername()[0])
        except BaseException:
            sock.close()
            raise
        link = http.client.HTTPConnection(self.host, self.port)
        link.sock = sock
        return link

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self.ca_file)
        return self._tls

    def _dial(self, host: str, port: int, line: _Line) -> socket.socket:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found.sort(key=lambda one: one[0] != self.family)
        error: OSError | None = None
        for family, kind, proto, _, target in found[:4]:
            sock = socket.socket(family, kind, proto)
            try:
                line.hold(sock)
                sock.settimeout(min(_CONNECT_S, line.left()))
                sock.connect(target)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(_SILENCE_S)
            except OSError as problem:
                sock.close()
                error = problem
            except BaseException:
                sock.close()
                raise
            else:
                self.family = family
                return sock
        raise error or _WayError("the host has no address")

    def _through(self, proxy: urllib.parse.SplitResult, line: _Line) -> socket.socket:
        sock = self._dial(cast("str", proxy.hostname), proxy.port or 80, line)
        host = f"[{self.host}]" if ":" in self.host else self.host
        request = f"CONNECT {host}:{self.port} HTTP/1.1\r\nHost: {host}:{self.port}\r\n"
        if proxy.username is not None:
            pair = urllib.parse.unquote(proxy.username) + ":" + urllib.parse.unquote(proxy.password or "")
            request += "Proxy-Authorization: Basic " + base64.b64encode(pair.encode()).decode() + "\r\n"
        try:
            sock.sendall(request.encode() + b"\r\n")
            with contextlib.closing(http.client.HTTPResponse(sock, method="CONNECT")) as response:
                response.begin()
                refused = response.status != 200
        except BaseException:
            sock.close()
            raise
        if refused:
            sock.close()
            raise _WayError("the proxy refused")
        return sock


def _environ(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""


def _proxy_address(text: str) -> urllib.parse.SplitResult | None:
    """An http proxy; None for anything else, which is then not used."""
    try:
        parts = urllib.parse.urlsplit(text if "://" in text else "http://" + text)
        usable = parts.scheme == "http" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if usable else None


def _no_proxy(host: str) -> bool:
    for entry in _environ("no_proxy").lower().split(","):
        name = entry.strip().split(":")[0].lstrip(".")
        if name == "*" or (name and (host == name or host.endswith("." + name))):
            return True
    return False


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_public(host: str) -> bool:
    """Whether this is the number of a machine beyond the own network; a name has no number until it is connected."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return not (address.is_private or address.is_loopback or address.is_link_local)


def _refuse_public(host: str) -> None:
    if _is_public(host):
        raise _WayError("plain http to a public address needs allow_insecure=True")


class _Line:
    """One connection with a deadline; the keeper cuts it, because a socket's own timeout starts anew with each byte."""

    def __init__(self, seconds: float) -> None:
        self.began_at = time.monotonic()
        self.deadline = self.began_at + seconds
        self.was_cut = False
        self._sock: socket.socket | None = None

    def hold(self, sock: socket.socket) -> None:
        self._sock = sock
        if self.was_cut:
            raise _WayError("took too long")

    def extend(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    def left(self) -> float:
        return max(0.05, self.deadline - time.monotonic())

    def cut(self) -> None:
        """Wakes whoever reads or writes on it, from another thread."""
        self.was_cut = True
        if self._sock is not None:
            with contextlib.suppress(OSError):
                # Not the method of an SSLSocket: that one would take the encryption off while another thread writes.
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


class _Answer(NamedTuple):
    """What came of a request. `code` is 0 where no answer of the service came; `error` is a fixed phrase."""

    code: int
    document: dict[str, Any]
    retry_after: float | None = None
    error: str = ""


class _Order(NamedTuple):
    """A snapshot on its way."""

    sent: _Sent
    line: _Line


class _Remark(NamedTuple):
    """Something to log; the sender does it, since a log handler may block and the keeper must not."""

    level: int
    text: str


def _post(address: _Address, path: str, body: bytes, line: _Line) -> _Answer:
    """Sends one request and reads its answer; never raises, and never says more of a failure than its class."""
    try:
        link = address.connect(line)
        with contextlib.closing(link):
            headers = {**address.headers("application/json"), "Content-Type": "application/json"}
            link.request("POST", address.path + path, body=body, headers=headers)
            with contextlib.closing(link.getresponse()) as response:
                raw = response.read(_ANSWER_BYTES + 1)
                return _Answer(0, {}, error="took too long") if line.was_cut else _read(response, raw)
    except Exception as error:
        return _Answer(0, {}, error=_phrase(error, line))


def _phrase(error: BaseException, line: _Line) -> str:
    if line.was_cut:
        return "took too long"
    if isinstance(error, _WayError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return "the certificate is not trusted; ca_file= names your own authority"
    return _type_name(error)


def _read(response: http.client.HTTPResponse, raw: bytes) -> _Answer:
    """An answer that proves to be the service's; a captive portal's 200 is a failure like any other."""
    code = response.status
    retry_after = _retry_after(response.getheader("Retry-After"), response.getheader("Date"))
    if 300 <= code < 400:
        return _Answer(0, {}, retry_after, "redirected; redirects are not followed")
    document = _parse(raw) if len(raw) <= _ANSWER_BYTES else None
    if response.getheader("X-Status-Api") != "1" or document is None:
        return _Answer(0, {}, retry_after, f"HTTP {code} from something that is not the service")
    if code in (200, 201) and document.get("ok") is not True:
        return _Answer(0, {}, retry_after, f"HTTP {code} without ok")
    return _Answer(code, document, retry_after, "" if code in (200, 201) else f"HTTP {code}")


def _parse(raw: bytes | str) -> dict[str, Any] | None:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _retry_after(value: str | None, date: str | None) -> float | None:
    """Seconds from 0 to 300, from digits, or from a date measured with the answerer's own clock; None from the rest."""
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,20}", text):
        return float(min(int(text), 300))
    if not text or len(text) > 64 or not date:
        return None
    try:
        wait = email.utils.parsedate_to_datetime(text) - email.utils.parsedate_to_datetime(date)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return min(max(wait.total_seconds(), 0.0), 300.0)


def _events(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """The (event, data) pairs of an event stream; a comment yields an event without a name, as a sign of life."""
    event = "message"
    data: list[str] = []
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if line.startswith(":"):
            yield "", ""
        elif not line:
            if data:
                yield event, "\n".join(data)
            event, data = "message", []
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                event = value
            elif field == "data" and len(data) < 16:
                data.append(value)


# ---- The three threads ----


class _Worker:
    """A daemon thread that repeats one round of work for ever, outlives every exception, and can be replaced."""

    def __init__(self, name: str) -> None:
        self.closed = False
        self._name = name
        self._generation = 0
        self._thread: threading.Thread | None = None
        self._heirs: dict[threading.Thread | None, threading.Thread] = {}
        self._abandoned: list[threading.Thread] = []

    def round(self) -> None:
        raise NotImplementedError

    def ensure(self) -> bool:
        """Starts the thread unless it runs; False when the system has no thread for us."""
        return self.closed or (self._thread is not None and self._thread.is_alive()) or self._start()

    @property
    def started(self) -> bool:
        """Whether there was a thread; from then on the other threads see to it that there is one."""
        return self._thread is not None

    def replace(self) -> bool:
        """Leaves a thread that hangs to itself and starts another; three may hang at a time."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        hung = self._thread
        if hung is None or len(self._abandoned) >= 3:
            return False
        self._generation += 1
        started = self._start()
        if started:
            self._abandoned.append(hung)
        return started

    def _start(self) -> bool:
        before, name = self._thread, f"status-reporter-{self._name}"
        thread = threading.Thread(target=self._repeat, args=(self._generation,), name=name, daemon=True)
        if self._heirs.setdefault(before, thread) is not thread:  # of several callers one starts it
            return True
        try:
            thread.start()
        except Exception:  # "can't start new thread", or the interpreter is going down
            del self._heirs[before]
            return False
        self._thread = thread
        return True

    def current(self) -> bool:
        """Whether the calling thread is the one in charge, and not one that was left to itself."""
        return self._thread is threading.current_thread()

    def _repeat(self, generation: int) -> None:
        while generation == self._generation and not self.closed:
            try:
                self.round()
            except BaseException:  # a thread that dies of an exception looks like a dead bot
                time.sleep(1)


class _Sender(_Worker):
    """Owns the way to the service: takes one order at a time and puts its answer into the keeper's queue."""

    def __init__(self, address: _Address, keeper: _Keeper) -> None:
        super().__init__("sender")
        self.orders: queue.SimpleQueue[_Order | _Remark | None] = queue.SimpleQueue()
        self._address = address
        self._keeper = keeper

    def round(self) -> None:
        self._keeper.ensure()
        try:
            order = self.orders.get(timeout=_TICK_S)
        except queue.Empty:
            return
        if isinstance(order, _Order):
            answer = _post(self._address, order.sent.path, order.sent.body, order.line)
            self._keeper.tell(_Keeper.answered, order, answer)
        elif order:
            _mute.on = True
            try:
                _log.log(order.level, order.text)
            finally:
                _mute.on = False


class _Stream(_Worker):
    """Owns the stream of commands: opens it, hears it, and opens it again."""

    def __init__(self, address: _Address, keeper: _Keeper) -> None:
        super().__init__("stream")
        self.line: _Line | None = None
        self._address = address
        self._keeper = keeper
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._target: tuple[str, str] | None = None
        self._fails = 0
        self._greeted = True  # False from the headers of a stream to its first event

    def aim(self, target: tuple[str, str] | None) -> None:
        """Names the session and instance whose commands to hear; None ends the stream."""
        if target != self._target:
            self._target = target
            self._fails = 0
            self.cut()

    def cut(self) -> None:
        """Ends the connection there is, so that a new one is made at once."""
        if self.line:
            self.line.cut()
        self._wake.put(None)

    def round(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:  # wake-ups of before: what they woke for is about to be done
                self._wake.get_nowait()
        target = self._target
        pause = _TICK_S if target is None else self._hear(target)
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=pause)

    def _hear(self, target: tuple[str, str]) -> float:
        """Hears one connection to its end; answers how many seconds to wait before the next."""
        line = self.line = _Line(_REQUEST_S)
        self._greeted = True
        try:
            pause = self._listen(target, line)
        except Exception:
            pause = None
        if not self.current() or target != self._target:
            return 0.0
        self.line = None
        if line.was_cut and not self._greeted:  # something on the way holds events back
            pause = _STREAM_RETRY_S
        self._fails += 1
        if pause is None:
            pause = random.uniform(0, 1) if self._fails == 1 else _back_off(self._fails - 1, 30.0)  # noqa: S311 -- spreads load
        broken = pause >= _STREAM_RETRY_S or self._fails > 2
        self._keeper.tell(_Keeper.streaming, target[1], "degraded" if broken else "off")
        return pause

    def _listen(self, target: tuple[str, str], line: _Line) -> float | None:
        session_id, instance_id = target
        query = urllib.parse.urlencode({"session_id": session_id, "instance_id": instance_id})
        link = self._address.connect(line)
        with contextlib.closing(link):
            headers = {**self._address.headers("text/event-stream"), "Cache-Control": "no-store"}
            link.request("GET", f"{self._address.path}/commands?{query}", headers=headers)
            with contextlib.closing(link.getresponse()) as response:
                kind = (response.getheader("Content-Type") or "").split(";")[0].strip().lower()
                if response.status in (429, 503):
                    return _retry_after(response.getheader("Retry-After"), response.getheader("Date"))
                ours = response.getheader("X-Status-Api") == "1" and kind == "text/event-stream"
                if response.status != 200 or not ours:
                    return _STREAM_RETRY_S if response.status < 500 or response.status == 501 else None
                line.extend(_HELLO_S)
                self._greeted = False
                return self._follow(instance_id, response, line)

    def _follow(self, instance_id: str, response: http.client.HTTPResponse, line: _Line) -> float | None:
        for event, text in _events(_lines(response)):
            data = _parse(text) or {}
            if event == "hello":
                self._greeted = True
                self._fails = 0
                self._keeper.tell(_Keeper.streaming, instance_id, "open")
                self._keeper.tell(_Keeper.commanded, instance_id, data.get("commands"))
            elif event == "command":
                self._keeper.tell(_Keeper.commanded, instance_id, [data])
            elif event == "config":
                self._keeper.tell(_Keeper.configured, data)
            elif event == "bye":
                return (_clamp(data.get("reconnect_after_ms"), 0, 60_000) or 0.0) / 1000
            if self._greeted:
                line.extend(_SILENCE_S)
        return None


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        line = response.readline(_EVENT_BYTES + 1)
        if not line:
            return
        if len(line) > _EVENT_BYTES:
            raise _WayError("a line without end")
        yield line


class _Keeper(_Worker):
    """Owns the ledger, the timers and all decisions. Touches no network; its round takes microseconds.

    Everything reaches it through one queue, as a method of its own with arguments: the bot's calls (`note`), the ends
    of waits, answers and commands. So one thread alone changes anything, and no lock is needed anywhere.
    """

    def __init__(self, address: _Address, interval: float, *, stream: bool) -> None:
        super().__init__("keeper")
        self.inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self.health = _Health()
        self.pace = _Pace(interval)
        self.sender = _Sender(address, self)
        self.stream = _Stream(address, self)
        self.on_stop: list[_OnStop] = []
        self._may_stream = stream
        self._ledger = _Ledger(self.health)
        self._closing: list[_Ledger] = []  # ended, but not all of it acknowledged; at most 16
        self._flight: _Order | None = None
        self._sleep: _SleepWatch | None = None
        self._warned = False
        self._offline_at: float | None = None
        self._moved_at = -math.inf
        self._counted_at = 0.0
        self._items = 0
        self._flooded = False

    def start(self) -> bool:
        """Starts all three threads, here and now: a bot may end at once, and then no thread may be started any more."""
        return self.sender.ensure() and self.stream.ensure() and self.ensure()

    def tell(self, call: Callable[..., None], *args: Any) -> None:
        """Puts one thing to do into the queue; any thread may, at any moment."""
        self.inbox.put((call, time.monotonic(), args))

    # One round.

    def round(self) -> None:
        now = time.monotonic()
        with contextlib.suppress(queue.Empty):
            self._handle(self.inbox.get(timeout=self._patience(now)))
            for _ in range(_MAX_BACKLOG):
                self._handle(self.inbox.get_nowait())
        self._tend(time.monotonic())

    def _handle(self, item: _Item) -> None:
        call, at, args = item
        self._items += 1
        try:
            call(self, at, *args)
        except Exception as error:
            self.health.last_error = "inside the reporter: " + _type_name(error)

    def _patience(self, now: float) -> float:
        """Seconds until something is due without anybody's call."""
        due = now + _TICK_S
        for line in (self._flight and self._flight.line, self.stream.line):
            if line and not line.was_cut:
                due = min(due, line.deadline)
        if self._flight is None:
            due = min(due, self._next_up()[0])
        return min(max(due - now, 0.0), _TICK_S)

    def _tend(self, now: float) -> None:
        self._mind_sleep(now)
        self._mind_lines(now)
        self.sender.ensure()
        self.stream.ensure()
        if self._flight is None:
            when, ledger = self._next_up()
            self.health.next_try_at = when if self.pace.fails else None
            if ledger is not None and when <= now:
                self._send(ledger, now)
        self._breathe(now)

    def _breathe(self, now: float) -> None:
        """Under a flood of calls, takes them a hundred times a second rather than each by itself."""
        passed = now - self._counted_at
        if passed > 0.1:
            self._flooded = self._items > 2_000 * passed
            self._counted_at, self._items = now, 0
        if self._flooded:
            time.sleep(0.01)

    def _mind_sleep(self, now: float) -> None:
        clocks = (now, _through_sleep(), time.process_time())
        if self._sleep is None:
            self._sleep = _SleepWatch(*clocks)
            return
        gap = self._sleep.look(*clocks)
        if gap and self._ledger.speaks:
            self._ledger.slept(gap)
            self.stream.cut()

    def _mind_lines(self, now: float) -> None:
        """Cuts what is over its time, and leaves a thread to itself that does not come back even so (a hung DNS)."""
        for worker, line in ((self.sender, self._flight and self._flight.line), (self.stream, self.stream.line)):
            if line is None or now <= line.deadline:
                continue
            if not line.was_cut:
                line.cut()
            elif now > line.began_at + 3 * (line.deadline - line.began_at) and worker.replace():
                if worker is self.sender and self._flight:
                    self.answered(now, self._flight, _Answer(0, {}, error="took too long"))
                elif worker is self.stream:
                    self.stream.line = None

    # Sending.

    def _next_up(self) -> tuple[float, _Ledger | None]:
        best: tuple[float, _Ledger | None] = (math.inf, None)
        for ledger in (*self._closing, self._ledger):
            if ledger.speaks:
                when = max(self.pace.when(wanted=ledger.wanted, urgent=ledger.urgent), ledger.not_before)
                if best[1] is None or when < best[0]:
                    best = (when, ledger)
        return best

    def _send(self, ledger: _Ledger, now: float) -> None:
        sent = ledger.snapshot(now, time.time(), self.pace.told_interval, self._diag(now))
        self._flight = _Order(sent, _Line(_REQUEST_S))
        self.pace.left(now)
        self.sender.orders.put(self._flight)

    def _diag(self, now: float) -> dict[str, Any]:
        offline_ms = 0 if self._offline_at is None else _ms(now - self._offline_at)
        health = self.health
        return {"fails": health.fails, "last_error": health.last_error, "drops": health.drops, "offline_ms": offline_ms}

    def answered(self, at: float, order: _Order, answer: _Answer) -> None:
        """Takes the answer to the request on its way; one of a thread that was left to itself is too late."""
        if order is not self._flight:
            return
        self._flight = None
        code, ledger = answer.code, order.sent.ledger
        problem = str(answer.document.get("code"))
        if code in (200, 201):
            self._taken(at, order.sent, answer.document)
        elif (
            code == 410 or (code == 409 and problem in ("ended", "instances")) or (code == 404 and problem == "unknown")
        ):
            self._elsewhere(at, ledger, answer)
        elif code in (400, 413, 422):
            self._refused(at, ledger)
        elif code in (401, 403, 426):
            self.pace.denied(at)
            self._outage(at, "the token was refused" if code != 426 else "a newer reporter is needed")
        else:
            self.pace.failed(at, answer.retry_after, firm=code == 429)
            self._outage(at, answer.error)
        self.health.fails = self.pace.fails

    def _taken(self, at: float, sent: _Sent, document: dict[str, Any]) -> None:
        ledger = sent.ledger
        ledger.acknowledge(sent)
        self.pace.heard(at)
        self._recovered(at)
        self.configured(at, document.get("config"))
        self._note_clock(document.get("server_time"))
        if ledger in self._closing and not ledger.speaks:
            self._closing.remove(ledger)
        self.commanded(at, ledger.instance_id, document.get("commands"))
        if self._ended_by_others(ledger, document):
            self._move(at, ledger)
        self._aim()

    @staticmethod
    def _ended_by_others(ledger: _Ledger, document: dict[str, Any]) -> bool:
        """Whether the session ended explicitly although this instance goes on and nobody asked it to stop."""
        session = document.get("session")
        status = session.get("status") if isinstance(session, dict) else None
        ended = status in ("completed", "failed", "stopped", "interrupted") and document.get("applied") is True
        return ended and ledger.result is None and not ledger.commands

    def _elsewhere(self, at: float, ledger: _Ledger, answer: _Answer) -> None:
        """The session can take no more from us: go on in a new one, but never in a new one each second."""
        again = at - self._moved_at < 60
        self._moved_at = at
        heir = self._move(at, ledger)
        if again and heir:
            heir.urgent = False
            self.pace.failed(at)
            self._outage(at, f"{answer.error}, again and again")

    def _move(self, at: float, ledger: _Ledger) -> _Ledger | None:
        heir = ledger.successor(at)
        if heir is None:
            ledger.give_up()
        elif ledger is self._ledger:
            self._ledger = heir
        self._aim()
        if ledger in self._closing:
            self._closing = [one for one in (*self._closing, heir) if one is not None and one is not ledger]
        return heir

    def _refused(self, at: float, ledger: _Ledger) -> None:
        self.pace.failed(at)
        if not ledger.shed():
            ledger.not_before = at + 60
            self._outage(at, "the service refuses even the smallest report")

    def _outage(self, at: float, phrase: str) -> None:
        self.health.last_error = phrase
        if self._offline_at is None:
            self._offline_at = at
        if not self._warned:
            self._warned = True
            self.sender.orders.put(_Remark(logging.WARNING, f"status reports do not get through: {phrase}"))

    def _recovered(self, at: float) -> None:
        self.health.heard_at = at
        self.health.last_error = ""
        self._offline_at = None
        if self._warned:
            self._warned = False
            self.sender.orders.put(_Remark(logging.INFO, "status reports get through again"))

    def _note_clock(self, server_time: object) -> None:
        with contextlib.suppress(ValueError, OverflowError):
            text = str(server_time)[:40].replace("Z", "+00:00")
            self.health.clock_offset_s = round(dt.datetime.fromisoformat(text).timestamp() - time.time(), 3)

    def _aim(self) -> None:
        ledger = self._ledger
        heard = self._may_stream and ledger.acked_version > 0 and ledger.speaks
        self.stream.aim((ledger.session_id, ledger.instance_id) if heard else None)
        if not heard:
            self.health.stream = "off"

    # What arrives in the queue.

    def note(self, at: float, call: Callable[..., None], *args: Any) -> None:
        """Something the bot said, for the ledger; after the end of a session it is too late for it."""
        if self._ledger.result is None:
            call(self._ledger, at, *args)
        elif call is not _Ledger.go_on:
            self.health.ignored += 1

    def unpack(self, _at: float, bundle: _Bundle) -> None:
        for item in bundle.closed():
            self._handle(item)

    def ignore(self, _at: float) -> None:
        """A call with wrong arguments was made."""
        self.health.ignored += 1

    def begin(self, at: float, run: _Run, bot: dict[str, str], *, attach: bool) -> None:
        """Starts a session; what was said since the reporter was made belongs to the first one."""
        if self._ledger.run is not None:
            self._closing = [*self._closing, self._ledger][-16:]
            self._closing = [ledger for ledger in self._closing if ledger.speaks]
            self._ledger = _Ledger(self.health)
            self.health.counters = dict.fromkeys(_SEED_COUNTERS, 0)
        self._ledger.begin(at, run, bot, attach=attach)

    def end(self, at: float, run: _Run, result: dict[str, Any], receipt: _Receipt) -> None:
        """Ends a session with the bot's own word or, at exit, with a guess."""
        for ledger in (self._ledger, *self._closing):
            if ledger.run is run:
                ledger.end(at, result, receipt)
                return
        receipt.acknowledged = False

    def flush(self, _at: float, receipt: _Receipt) -> None:
        if self._ledger.run is None:
            receipt.acknowledged = False
        else:
            self._ledger.promise(receipt)

    def saw(self, _at: float, stop: _Stop) -> None:
        """The bot's own code has looked, and knows that it is to stop."""
        for ledger in (self._ledger, *self._closing):
            ledger.saw(stop.id)

    def commanded(self, _at: float, instance_id: str, commands: object) -> None:
        """Takes the commands that stand for an instance; each counts once, by its id. Unknown ones are acknowledged."""
        ledger = self._ledger
        if instance_id != ledger.instance_id or ledger.run is None or not isinstance(commands, list):
            return
        for command in commands[:_MAX_LISTED]:
            if not isinstance(command, dict) or not isinstance(command.get("id"), str):
                continue
            if ledger.hear(command["id"][:64]) and command.get("type") == "stop":
                ledger.run.stop = _Stop(command["id"][:64], _optional_text(command.get("reason"), 200))
        self.call_back(_at)

    def call_back(self, _at: float) -> None:
        """Runs the callbacks that have not heard of the stop yet, each on a thread of its own."""
        stop = self._ledger.run and self._ledger.run.stop
        if stop:
            for callback in list(self.on_stop):
                callback.run(stop)

    def configured(self, _at: float, config: object) -> None:
        if not isinstance(config, dict):
            return
        self.pace.asked = _clamp(config.get("heartbeat_s"), 15, 300) or 0.0
        self.pace.spacing = _clamp(config.get("min_interval_s"), 1, 60) or 1.0
        if config.get("stream") is False and self._may_stream:
            self._may_stream = False
            self._aim()

    def streaming(self, _at: float, instance_id: str, state: str) -> None:
        if instance_id != self._ledger.instance_id:
            return
        self.health.stream = state
        self.pace.degraded = state == "degraded"
        if state == "open" and self.pace.fails:
            self.pace.network_is_back()

    def close(self, _at: float) -> None:
        """Ends the three threads; whatever still waits is told that nothing more will come."""
        for ledger in (self._ledger, *self._closing):
            ledger.give_up()
        self.stream.closed = self.sender.closed = self.closed = True
        if self._flight:
            self._flight.line.cut()
        self.stream.cut()
        self.sender.orders.put(None)


class _OnStop:
    """A callback of the bot, run once per stop; removing it also stops one that has not begun yet."""

    def __init__(self, callback: Callable[[], Any]) -> None:
        self._callback = callback
        self._ran_for = ""
        self.removed = False

    def run(self, stop: _Stop) -> None:
        if self._ran_for != stop.id:
            self._ran_for = stop.id
            threading.Thread(target=self._call, name="status-reporter-on-stop", daemon=True).start()

    def _call(self) -> None:
        if not self.removed:
            with contextlib.suppress(BaseException):  # also StopRequested, which would be printed
                self._callback()


# ---- The public face ----


def _silent(answer: Any) -> Callable[[_F], _F]:
    """Nothing that goes wrong inside reaches the bot; it gets `answer`. With `strict=True` it raises."""

    def guard(method: _F) -> _F:
        @functools.wraps(method)
        def call(self: StatusReporter, *args: Any, **kwargs: Any) -> Any:
            try:
                return method(self, *args, **kwargs)
            except Exception:
                if self._strict:
                    raise
                return answer

        return cast("_F", call)

    return guard


class StatusReporter:
    """Reports what one bot does. Any thread, signal handler, `__del__` or event loop may call any method at any time.

    Args:
        token: of scope `report`; without one (here or in STATUS_REPORTER_TOKEN) every call does nothing.
        base_url: of the service; else STATUS_REPORTER_URL, else http://localhost:3000. May have a path.
        name: the bot's name on the board; else STATUS_REPORTER_NAME.
        heartbeat_interval: seconds between reports when nothing changes, 1 to 3600.
        stream: whether to keep a connection on which a stop arrives at once; without, it comes with the next heartbeat.
        exit_timeout: seconds that the end of a session is waited for, 0.3 when the service does not answer.
        ca_file: certificate authorities to trust instead of the system's.
        proxy: `http://host:port` for an https base_url; None: as the environment says; False: none.
        allow_insecure: plain http also to public addresses.
        strict: wrong arguments raise ValueError, for development.
    """

    def __init__(
        self,
        token: str | None = None,
        base_url: str | None = None,
        *,
        name: str | None = None,
        heartbeat_interval: float = 45.0,
        stream: bool = True,
        exit_timeout: float = 2.0,
        ca_file: str | None = None,
        proxy: str | bool | None = None,
        allow_insecure: bool = False,
        strict: bool = False,
    ) -> None:
        self._strict = strict
        self._name = _text(name if name is not None else os.environ.get("STATUS_REPORTER_NAME", ""), 64)
        self._exit_timeout = _clamp(exit_timeout, 0, 60) or 0.0
        self._run = _Run(None)
        self._activity: tuple[str, dict[str, Any] | None] | None = None
        self._keeper: _Keeper | None = None
        self.stop_event: threading.Event = _StopEvent(self)
        self.disabled_reason = ""
        try:
            address = self._find(token, base_url, allow_insecure=allow_insecure, proxy=proxy, ca_file=ca_file)
        except ValueError as error:
            self.disabled_reason = str(error)
            if strict:
                raise ValueError(self.disabled_reason) from None  # the cause may hold the value
            _log.warning("status reports are off: %s", self.disabled_reason)
            return
        if address:
            self._address = address
            self._keeper = _Keeper(address, _clamp(heartbeat_interval, 1, 3600) or 45.0, stream=stream)
            atexit.register(self._at_exit)

    def _find(self, token: str | None, base_url: str | None, **ways: Any) -> _Address | None:
        """The address of the service; None, with the reason noted, when this bot is to run without one."""
        if os.environ.get("STATUS_REPORTER_DISABLED", "").strip().lower() not in ("", "0", "false", "no"):
            self.disabled_reason = "STATUS_REPORTER_DISABLED is set"
            return None
        token = token if token is not None else os.environ.get("STATUS_REPORTER_TOKEN", "")
        base_url = base_url if base_url is not None else os.environ.get("STATUS_REPORTER_URL", "")
        if type(token) is not str or type(base_url) is not str:
            raise ValueError("token and base_url: expected texts")
        if not token.strip():
            self.disabled_reason = "no token"
            return None
        return _Address(base_url.strip() or "http://localhost:3000", token.strip(), **ways)

    def __repr__(self) -> str:
        return f"<StatusReporter session_id={self.session_id}>"

    # The seed's calls.

    @_silent("")
    def start_session(self, version: object = "", platform: object = None) -> str:
        """Begins a session and answers its id at once; while one runs, its id.

        What was reported before belongs to it. The first call starts the threads and is the only one of all that may
        take a lock of the interpreter, so do not make it from a signal handler.
        """
        before, keeper = self._run, self._keeper
        if keeper is None:
            return ""
        if before.open:
            return before.session_id or ""
        system = sys.platform if platform is None else _text(platform, 64)
        number = _number(version)
        label = _text(version if number is None else str(number), 64)
        bot = {"name": self._name, "version": label, "platform": system}
        attach = self._session_of_launcher() if before.session_id is None else None
        mine = _Run(attach or str(uuid.uuid4()))
        run = before.next.setdefault("run", mine)
        if run is mine:
            self._run = run
            self._activity = None if before.session_id else self._activity
            self._address.look_for_proxy()
            keeper.tell(functools.partial(_Keeper.begin, attach=attach is not None), run, bot)
            keeper.start()
        return run.session_id or ""

    @staticmethod
    def _session_of_launcher() -> str | None:
        """The session that `botlight run` opened for this process; the first one here joins it."""
        try:
            return str(uuid.UUID(os.environ.get("STATUS_REPORTER_SESSION", "")))
        except ValueError:
            return None

    @_silent(None)
    def send_heartbeat(self, activity: str, details: dict[str, Any] | None = None) -> None:
        """Says what the bot does now, e.g. `("applying", {"title": "Data analyst"})`; the newest always arrives."""
        name = _text(activity, 64)
        if not name.strip():
            return self._ignore("activity: expected a text that is not empty")
        frozen = None if details is None else _Freezer().freeze(details)
        if details is not None and frozen is None:
            self._ignore("details: expected a dict")
        self._activity = (name, frozen)
        self._note(_Ledger.act, name, frozen)
        return None

    @_silent(None)
    def increment_jobs_found(self, n: int = 1) -> None:
        """Counts jobs found; `job()` does so by itself."""
        self._count("jobs_found", n, whole=True)

    @_silent(None)
    def increment_jobs_applied(self, n: int = 1) -> None:
        """Counts applications made; `Job.applied` does so by itself."""
        self._count("jobs_applied", n, whole=True)

    @_silent(None)
    def increment_jobs_failed(self, n: int = 1) -> None:
        """Counts applications that failed; `Job.failed` does so by itself."""
        self._count("jobs_failed", n, whole=True)

    @_silent(None)
    def increment_credits_used(self, n: float | decimal.Decimal = 1) -> None:
        """Counts credits, fractions too, to the millionth."""
        self._count("credits_used", n)

    @_silent(False)
    def complete_session(
        self, success: bool = True, error: object | None = None, *, timeout: float | None = None
    ) -> bool:
        """Ends the session: success, failed (with an error), or stopped when the bot has seen a stop and has no error.

        Waits until the service has it, `exit_timeout` at most, less when it does not answer. True: the service has it.
        False: it is still tried while the process lives. The first call counts; later ones tell whether it arrived.
        """
        outcome = "failed" if error is not None or not success else "success"
        receipt, before = self._finish(outcome, error)
        return receipt.acknowledged is True if before else self._await_end(receipt, timeout)

    # Stop.

    @property
    def should_stop(self) -> bool:
        """Whether a person pressed Stop; reading True tells that person that the bot has seen it."""
        stop = self._run.stop
        if stop is None:
            return False
        if not stop.seen:
            stop.seen = True
            if self._keeper:
                self._keeper.tell(_Keeper.saw, stop)
        return True

    @property
    def stop_reason(self) -> str | None:
        """Why, in the words of whoever pressed Stop, if any."""
        stop = self._run.stop
        return stop.reason if stop else None

    def checkpoint(self, activity: str | None = None, details: dict[str, Any] | None = None) -> None:
        """Says that the bot gets on, and raises `StopRequested` when it is to stop, each time. Call it between jobs only."""
        if activity is not None:
            self.send_heartbeat(activity, details)
        self._note(_Ledger.check)
        if self.should_stop:
            stop = cast("_Stop", self._run.stop)
            raise StopRequested(stop.reason, stop.id)

    def wait(
        self,
        seconds: float | decimal.Decimal,
        *,
        reason: str | None = None,
        tick: Callable[[float], Any] | None = None,
    ) -> bool:
        """Waits, and shows for how long; True as soon as a stop is requested, False after the time.

        For pauses between jobs, not for the short ones inside a form. `tick(seconds)`, at most 0.05 s each time, sleeps
        instead of us, for browsers whose events need it: `tick=lambda s: page.wait_for_timeout(s * 1000)`.
        """
        end = self._announce(seconds, reason)
        if end is None:
            return self.should_stop
        pause, until = end
        try:
            while not self.should_stop:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                (tick or time.sleep)(min(left, _SLICE_S))
            return True
        finally:
            self._note(_Ledger.go_on, pause)

    async def wait_async(self, seconds: float | decimal.Decimal, *, reason: str | None = None) -> bool:
        """`wait` for asyncio; the event loop goes on meanwhile."""
        import asyncio  # noqa: PLC0415 -- already there in a bot that awaits; costs the others 50 ms

        end = self._announce(seconds, reason)
        if end is None:
            return self.should_stop
        pause, until = end
        try:
            while not self.should_stop:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                await asyncio.sleep(min(left, _SLICE_S))
            return True
        finally:
            self._note(_Ledger.go_on, pause)

    def _announce(self, seconds: float | decimal.Decimal, reason: str | None) -> tuple[object, float] | None:
        if type(seconds) is decimal.Decimal:
            seconds = float(seconds) if seconds.is_finite() else math.nan
        length = _clamp(seconds, 0, 1e9)
        if length is None or not length > 0:
            if length is None:
                self._ignore("seconds: expected a number")
            return None
        pause, until = object(), time.monotonic() + length
        self._note(_Ledger.wait, pause, until, _optional_text(reason, 200))
        return pause, until

    def on_stop(self, callback: Callable[[], Any]) -> Callable[[], None]:
        """Runs `callback` once per stop on a thread of its own, at once if it is there already; answers a remover.

        For setting flags. A browser belongs to the thread that opened it: do not close it from here.
        """
        keeper, entry = self._keeper, _OnStop(callback)

        def remove() -> None:
            entry.removed = True
            with contextlib.suppress(ValueError):
                if keeper:
                    keeper.on_stop.remove(entry)

        if not callable(callback):
            self._ignore("callback: expected something to call")
        elif keeper:
            keeper.on_stop.append(entry)
            keeper.tell(_Keeper.call_back)
        return remove

    # Convenience.

    def session(self, version: object = "", platform: object = None) -> _Session:
        """`with` or `async with`: a session that ends as its block does, and never hides the block's exception.

        A stop that leaves the block as `StopRequested` ends there.
        """
        return _Session(self, version, platform)

    def job(self, key: object, *, title: str | None = None, company: str | None = None, url: str | None = None) -> Job:
        """One job by its key; counted as found at first sight, and each of its outcomes once, however often it is seen."""
        text = _job_key(key)
        about = {"title": _optional_text(title, 200), "company": _optional_text(company, 100), "url": _link(url)}
        self._note(_Ledger.find, text)
        return Job(self, text, {name: value for name, value in about.items() if value is not None})

    def track(
        self, iterable: Iterable[_T] | AsyncIterable[_T], *, found: bool = False, activity: str | None = None
    ) -> _Track[_T]:
        """The items of an iterable, sync or async, until Stop; then it just ends, so that the code after it runs.

        `found` counts each as a job found, `activity` says what is done with each.
        """
        return _Track(self, iterable, found=found, activity=activity)

    def activity(self, name: str, /, **details: Any) -> _During:
        """`with`: an activity for the block; afterwards the one before is shown again."""
        return _During(self, name, details)

    @_silent(None)
    def progress(self, done: int, total: int | None = None) -> None:
        """Says how far the bot is, in whole numbers."""
        for number in (done, total):
            if number is not None and not (type(number) is int and 0 <= number <= _MAX_ORDINAL):
                return self._ignore("progress: expected whole numbers from 0")
        self._note(_Ledger.advance, done, total)
        return None

    @_silent(None)
    def increment(self, name: str, n: float | decimal.Decimal = 1) -> None:
        """Counts anything else, under up to 28 names of the bot's own."""
        self._count(name, n)

    def _count(self, name: str, n: Any, *, whole: bool = False) -> None:
        amount = _millionths(n)
        if amount is None or (whole and amount % _MILLION):
            return self._ignore("n: expected a number from 0 to 1000000000, and a whole one for jobs")
        if type(name) is not str or not name.strip():
            return self._ignore("name: expected a text that is not empty")
        self._note(_Ledger.count, _text(name, 64), amount)
        return None

    # Housekeeping.

    @_silent(False)
    def flush(self, timeout: float = 2.0) -> bool:
        """Waits, `timeout` seconds at most, until all that was said so far is acknowledged; True when it is."""
        receipt = _Receipt()
        if self._keeper is None or self._run.session_id is None:
            return False
        self._keeper.tell(_Keeper.flush, receipt)
        patience = _Patience(self, receipt, _clamp(timeout, 0, 1e9) or 0.0)
        while patience.lasts():
            time.sleep(0.002)
        return receipt.acknowledged is True

    @_silent(None)
    def close(self, timeout: float | None = None) -> None:
        """Ends a session that has no end yet as interrupted, waits like `complete_session`, and ends the threads."""
        keeper = self._keeper
        if keeper is None:
            return
        self._farewell("ended without result", None, timeout)
        self._keeper = None
        self.disabled_reason = "closed"
        keeper.tell(_Keeper.close)
        atexit.unregister(self._at_exit)

    @property
    def session_id(self) -> str | None:
        """The session's id; None before the first one."""
        return self._run.session_id

    @property
    def status(self) -> dict[str, Any]:
        """The reporter's own condition, for people who wonder; never the token. At most a moment old."""
        keeper, run, now = self._keeper, self._run, time.monotonic()
        health = keeper.health if keeper else _Health()
        counters = {name: value / _MILLION for name, value in health.counters.copy().items()}
        return {
            "enabled": keeper is not None,
            "disabled_reason": self.disabled_reason,
            "session_id": run.session_id,
            "instance_id": run.instance_id,
            "state": "idle" if run.session_id is None else "running" if run.open else "done",
            "stop_requested": run.stop is not None,
            "connected": health.heard_at is not None and health.fails == 0,
            "stream": health.stream,
            "last_success_age_s": None if health.heard_at is None else round(now - health.heard_at, 3),
            "fails": health.fails,
            "last_error": health.last_error,
            "next_try_s": None if health.next_try_at is None else round(max(0.0, health.next_try_at - now), 3),
            "ignored": health.ignored,
            "dropped": health.drops,
            "jobs_without_key": health.unkeyed,
            "counters": {name: int(value) if value.is_integer() else value for name, value in counters.items()},
            "clock_offset_s": health.clock_offset_s,
            "runtime": _runtime(keeper),
        }

    # Inside.

    def _note(self, call: Callable[..., None], *args: Any) -> None:
        """What every call comes down to: one tuple into the queue."""
        keeper = self._keeper
        if keeper is None or _mute.on:
            return
        keeper.inbox.put((_Keeper.note, time.monotonic(), (call, *args)))
        if keeper.inbox.qsize() > _MAX_BACKLOG:
            self._fold(keeper)

    @staticmethod
    def _fold(keeper: _Keeper) -> None:
        """Folds what waits into one item, so that memory stays small also where nobody takes it."""
        bundle = _Bundle()
        try:
            with contextlib.suppress(queue.Empty):
                for _ in range(keeper.inbox.qsize()):
                    bundle.add(keeper.inbox.get_nowait())
        finally:  # a signal handler may raise in here, and nothing may be lost by it
            keeper.tell(_Keeper.unpack, bundle)

    def _ignore(self, why: str) -> None:
        if self._strict:
            raise ValueError(why)
        if self._keeper and not _mute.on:
            self._keeper.tell(_Keeper.ignore)

    def _finish(self, outcome: str, error: object) -> tuple[_Receipt, bool]:
        """Says how the session ended; answers the receipt for that, and whether it was said before."""
        run, keeper = self._run, self._keeper
        mine = _Receipt()
        if keeper is None or run.session_id is None:
            return mine, True
        receipt = run.ending.setdefault("said", mine)
        if receipt is not mine:
            return receipt, True
        if outcome == "success" and run.stop and run.stop.seen:
            outcome = "stopped"
        result = {"outcome": outcome, "inferred": False, "error": _error(error)}
        keeper.tell(_Keeper.end, run, result, receipt)
        return receipt, False

    def _await_end(self, receipt: _Receipt, timeout: float | None) -> bool:
        with _Patience(self, receipt, timeout) as patience:
            while patience.lasts():
                time.sleep(0.002)
        return receipt.acknowledged is True

    def _farewell(self, why: str, error: BaseException | None, timeout: float | None) -> bool:
        """Gives a session without an end one that is only concluded: what the bot says itself later replaces it."""
        run, keeper = self._run, self._keeper
        if keeper is None or run.session_id is None:
            return True
        receipt = run.ending.get("said")
        if receipt is None:
            receipt = run.ending.setdefault("guessed", _Receipt())
            outcome, reason = ("interrupted", why) if error is None else _Session.outcome(error)
            keeper.tell(_Keeper.end, run, {"outcome": outcome, "inferred": True, "error": _error(reason)}, receipt)
        return self._await_end(receipt, timeout)

    def _at_exit(self) -> None:
        """The end of a process that told no end: the truth as far as the interpreter knows it, and silently."""
        error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)  # typed in, it may be of long ago
        with contextlib.suppress(Exception, KeyboardInterrupt):  # an impatient person wants no more waiting
            self._farewell("ended without result", error, None)


class _Patience:
    """How long a caller goes on waiting for a receipt.

    Without a time of its own it is `exit_timeout`, all waits for one end together, and far less when the last attempt
    failed; but the first attempt is waited for, else a script that lives 50 ms would never get a word out.
    """

    def __init__(self, reporter: StatusReporter, receipt: _Receipt, timeout: float | None) -> None:
        self._receipt = receipt
        self._keeper = reporter._keeper  # noqa: SLF001 -- same file
        self._run = reporter._run  # noqa: SLF001 -- same file
        self._began_at = time.monotonic()
        self._patient = timeout is not None
        self._seconds = reporter._exit_timeout - self._run.waited if timeout is None else timeout  # noqa: SLF001 -- same file
        self._able = self._keeper is not None and (self._keeper.started or self._keeper.start())

    def lasts(self) -> bool:
        """Whether to look again: it is not settled, there is somebody who may settle it, and there is time."""
        if self._receipt.acknowledged is not None or not self._able:
            return False
        spent = time.monotonic() - self._began_at
        failing = self._keeper is not None and self._keeper.health.fails > 0
        limit = (
            min(self._seconds, _FAILING_EXIT_S - self._run.waited) if failing and not self._patient else self._seconds
        )
        return spent < limit

    def __enter__(self) -> _Patience:  # noqa: PYI034 -- Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self._run.waited += time.monotonic() - self._began_at  # of the time that the bot gives to this end


def _runtime(keeper: _Keeper | None) -> str:
    """What the threads run on; where they are greenlets they starve while the bot computes."""
    for module, question, what in (
        ("gevent.monkey", "is_module_patched", "threading"),
        ("eventlet.patcher", "is_monkey_patched", "thread"),
    ):
        ask = getattr(sys.modules.get(module), question, None)
        if ask is not None and ask(what):
            return module.split(".")[0]
    return "no-threads" if keeper is None or not keeper.started else "threads"


class _StopEvent(threading.Event):
    """`stop_event`: an Event for code that already looks at one. Looking at it is looking at `should_stop`."""

    def __init__(self, reporter: StatusReporter) -> None:
        super().__init__()
        self._reporter = reporter

    def is_set(self) -> bool:
        return super().is_set() or self._reporter.should_stop

    def wait(self, timeout: float | None = None) -> bool:
        """Waits in slices of `time.sleep`: a Condition cannot be interrupted by Ctrl-C everywhere."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            left = until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, _SLICE_S))
        return True


class Job:
    """One job. Also a context manager: an exception that leaves the block is its failure; no outcome counts nothing."""

    def __init__(self, reporter: StatusReporter, key: str | None, about: dict[str, str]) -> None:
        self._reporter = reporter
        self._key = key
        self._about = about

    def applied(self, credits: float | decimal.Decimal | None = None) -> None:  # noqa: A002 -- the wire's word
        """The application was made; say so right after the click. Counts `credits` with it."""
        self._resolve("applied", None, credits)

    def failed(self, reason: object = None) -> None:
        """It was tried and not made; `reason` may be an exception."""
        self._resolve("failed", reason, None)

    def skipped(self, reason: object = None) -> None:
        """It was not tried; counts nowhere, but the list of jobs shows it."""
        self._resolve("skipped", reason, None)

    def _resolve(self, outcome: str, reason: object, cost: Any) -> None:
        amount = 0 if cost is None else _millionths(cost)
        if amount is None:
            self._reporter._ignore("credits: expected a number from 0 to 1000000000")  # noqa: SLF001 -- same file
        row: dict[str, Any] = {**self._about, "outcome": outcome}
        if reason is not None:
            row["reason"] = _reason(reason, 200)
        if amount:
            row["credits"] = amount / _MILLION
        self._reporter._note(_Ledger.resolve, self._key, row, amount or 0)  # noqa: SLF001 -- same file

    def __enter__(self) -> Job:  # noqa: PYI034 -- Self came with Python 3.11
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            self.failed(error)


class _Session:
    """A session that ends as its block does."""

    def __init__(self, reporter: StatusReporter, version: object, platform: object) -> None:
        self._reporter = reporter
        self._about = (version, platform)

    def __enter__(self) -> StatusReporter:
        self._reporter.start_session(*self._about)
        return self._reporter

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        with contextlib.suppress(Exception):  # the block's own exception is what matters
            receipt, before = self._reporter._finish(*self.outcome(error))  # noqa: SLF001 -- same file
            if not before:
                self._reporter._await_end(receipt, None)  # noqa: SLF001 -- same file
        return isinstance(error, StopRequested)

    async def __aenter__(self) -> StatusReporter:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        import asyncio  # noqa: PLC0415 -- already there in a bot that awaits

        receipt, before = self._reporter._finish(*self.outcome(error))  # noqa: SLF001 -- same file
        if not before:
            with _Patience(self._reporter, receipt, None) as patience:
                while patience.lasts():  # noqa: ASYNC110 -- the other side is a thread, and an Event has a lock
                    await asyncio.sleep(0.002)
        return isinstance(error, StopRequested)

    @staticmethod
    def outcome(error: BaseException | None) -> tuple[str, object]:
        """How a session ended that `error`, if any, came out of."""
        if error is None:
            return "success", None
        if isinstance(error, StopRequested):
            return "stopped", None
        if isinstance(error, SystemExit):
            return ("success", None) if error.code in (None, 0) else ("failed", error)
        if isinstance(error, Exception):
            return "failed", error
        return "interrupted", error  # Ctrl-C, or a task that was cancelled


class _Track(Generic[_T]):
    """Items until Stop, for `for` and `async for`."""

    def __init__(
        self, reporter: StatusReporter, items: Iterable[_T] | AsyncIterable[_T], *, found: bool, activity: str | None
    ) -> None:
        self._reporter = reporter
        self._items = items
        self._found = found
        self._activity = activity

    def __iter__(self) -> Iterator[_T]:
        if self._reporter.should_stop:
            return
        for item in cast("Iterable[_T]", self._items):
            if self._reporter.should_stop:
                return
            self._say()
            yield item
            if self._reporter.should_stop:  # before the next item is fetched, which may cost something
                return

    async def __aiter__(self) -> AsyncIterator[_T]:
        if self._reporter.should_stop:
            return
        async for item in cast("AsyncIterable[_T]", self._items):
            if self._reporter.should_stop:
                return
            self._say()
            yield item
            if self._reporter.should_stop:
                return

    def _say(self) -> None:
        if self._found:
            self._reporter.increment_jobs_found()
        if self._activity is not None:
            self._reporter.send_heartbeat(self._activity)


class _During:
    """An activity for a block."""

    def __init__(self, reporter: StatusReporter, name: str, details: dict[str, Any]) -> None:
        self._reporter = reporter
        self._about = (name, details or None)
        self._before: tuple[str, dict[str, Any] | None] | None = None

    def __enter__(self) -> StatusReporter:
        self._before = self._reporter._activity  # noqa: SLF001 -- same file
        self._reporter.send_heartbeat(*self._about)
        return self._reporter

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._before:
            self._reporter.send_heartbeat(*self._before)


_reporters: dict[str, StatusReporter] = {}


def get_reporter() -> StatusReporter:
    """The one reporter of this process, set up from STATUS_REPORTER_TOKEN, _URL and _NAME."""
    return _reporters.get("this process") or _reporters.setdefault("this process", StatusReporter())


def _self_test() -> int:
    """`python status_reporter.py`: says whether a report gets through with the settings of the environment, or why not."""
    reporter = StatusReporter(name="self-test")
    say = sys.stdout.write
    if reporter.disabled_reason:
        say(f"status reports are off: {reporter.disabled_reason}\n")
        return 2
    say(f"service: {os.environ.get('STATUS_REPORTER_URL') or 'http://localhost:3000'}\n")
    reporter.start_session(__version__)
    while not reporter.flush(0.05) and not reporter.status["fails"]:
        pass
    problem = reporter.status["last_error"]
    reporter.complete_session()
    say(
        f"no report gets through: {problem}\n" if problem else "a report got through; the board shows it as self-test\n"
    )
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(_self_test())
