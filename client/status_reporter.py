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
    What is not acknowledged is on disk: after an orderly end all of it, after a kill all but the last moment, a tenth of a
    second as a rule. The next bot of the same token that starts on the computer delivers it, once.

How it is built, from the bot to the wire

    bot's threads ── one SimpleQueue ──> keeper ── snapshot ──> sender ── POST ──> service
                                         │ ^ ^                    │ answer            │
                                         │ │ └────────────────────┴── stream <── GET ─┘
                                    page v │ orphan
                                         spool ──> disk

    The keeper alone owns the ledger (what there is to say) and the timers; sender and stream own one connection each,
    the spool the files. All four are daemon threads, started by `start_session`; none waits for another.
"""

from __future__ import annotations

import atexit
import base64
import collections
import contextlib
import datetime as dt
import decimal
import email.utils
import errno
import functools
import hashlib
import http.client
import importlib
import ipaddress
import itertools
import json
import logging
import math
import os
import pathlib
import queue
import random
import re
import signal
import socket
import ssl
import stat
import sys
import threading
import time
import types
import urllib.parse
import uuid
import weakref
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from types import FrameType, TracebackType

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
_TICK_S = 2.0  # each thread looks around at least this often: so soon a wake-up, or a thread that died, is noticed
_GAP_S = 20.0  # the shortest sleep of the computer that is told
_SLICE_S = 0.05  # of a wait: how late a stop or Ctrl-C may be noticed
_BACK_S = 45.0  # within which a bot reports once its stream shows that the network is back
_DEGRADED_S = 15.0  # between heartbeats while commands cannot be pushed
_LATE_S = 5.0  # of one write to the disk; then `status` says so
_FAILING_EXIT_S = 0.3  # how long an end is waited for when the last attempt failed
_DISK_EXIT_S = 0.2  # how long, after that, the disk is waited for
_REPLAY_EXIT_S = 0.3  # how long an exit goes on to deliver what dead processes left

_PAGE_BYTES = 262_144  # of one instance on disk
_PAGE_S = 0.1  # between two writes of a page that changes all the time
_LOOK_S = 600.0  # between two looks for what dead processes left
_LOOK_PATIENCE_S = 0.2  # of `start_session`
_REPLAY_S = 1.0  # between two replays
_MAX_REFUSALS = 3  # of one replay; then it is put aside
_MAX_PAGES = 50  # on disk, of all bots of this person
_PAGE_LIFE_S = 14 * 86_400.0

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


_SECRET = r"(?:passw(?:or)?d|passphrase|pwd|token(?!s)|secret|cookie|authorization|credential|api[ _-]?key)"  # noqa: S105 -- names
_SECRET_NAME = re.compile(
    rf"(?i:{_SECRET}|tokens)|(?:^|[^A-Za-z])(?:otp|Otp|OTP)(?:$|[^a-z])|[a-z](?:Otp|OTP)(?:$|[^a-z])"
)
_SECRET_PLACES = (  # words of which one must be there, a cheap look first; the place; what is left of it
    (("bearer",), re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{6,}"), r"\1***"),
    (
        ("authorization", "cookie"),
        re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*[:=]\s*)[^\n]+"),
        r"\1\2***",
    ),
    (("eyj",), re.compile(r"\beyJ[\w-]{10,}(?:\.[\w-]*){0,2}"), "***"),  # a JSON web token
    (("@",), re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)[^\s/?#@]+@"), r"\1***@"),
    (
        ("://",),
        re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://[^\s/?#@:]+:)(?!\d{1,5}$)[^\s/?#@]+$"),
        r"\1***",
    ),  # cut before its @
    (
        ("pass", "pwd", "token", "secret", "cookie", "authorization", "credential", "api", "otp", "sig", "auth"),
        re.compile(
            rf"(?i)((?:(?:{_SECRET}|(?<![a-z])otp)[\w.-]{{0,64}}|(?<=[?&])(?:sig|signature|auth))\\?[\"']?\s*[:=]>?\s*)"
            r"(?:\\?\"[^\"\n]*(?:\"|$)|\\?'[^'\n]*(?:'|$)|[^\s&;,\"'<>#]+)"  # also one cut before its second mark
        ),
        r"\1***",
    ),
)
_SUSPECT = re.compile(r"(?i)bearer|://|eyj|[:=]")  # what all of these have


@functools.lru_cache(maxsize=1_000)
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


class _Mask:
    """Hides what looks like a secret in what a bot says, before it is held, sent or written to disk."""

    def __init__(self, token: str) -> None:
        self._token = token if len(token) >= 8 else ""  # a shorter one may be any word
        home = (os.environ.get("HOME") or os.environ.get("USERPROFILE") or "").rstrip("/\\")
        ways = {home, home.replace("\\", "\\\\"), home.replace("\\", "/")} if len(home) > 3 else set()
        self._home = re.compile("|".join(rf"{re.escape(way)}(?![\w-])" for way in ways)) if ways else None

    def text(self, text: str, limit: int = 200) -> str:
        """The text without secrets and with `~` for the person's home; `limit` characters at most."""
        if self._token:
            text = text.replace(self._token, "***")
            cut = text.rfind(self._token[:8])  # all texts come shortened: this one may be short of the token's end
            if cut >= 0 and self._token.startswith(text[cut:]):
                text = text[:cut] + "***"
        if self._home:
            text = self._home.sub("~", text)
        if _SUSPECT.search(text):
            low = text.lower()
            for words, place, stars in _SECRET_PLACES:
                if any(word in low for word in words):
                    text = place.sub(stars, text)
        return text[:limit]

    def details(self, value: Any, name: str = "") -> Any:
        """Plain details without secrets: of a name that says so nothing is left, of any other text what is none."""
        if value is None or type(value) is bool:
            return value
        if name and _names_a_secret(name) and not (type(value) is not str and "tokens" in name.lower()):
            return "***"
        if type(value) is dict:
            return {self.text(key): self.details(item, key) for key, item in value.items()}
        if type(value) is list:
            return [self.details(item) for item in value]
        return self.text(value) if type(value) is str else value

    def key(self, key: str) -> str:
        """A job's key as it may be shown, still different from every other."""
        shown = self.text(key, 4_096)
        return shown if shown == key else shown[:95] + "…" + hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


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


def _offset_s(server_time: object) -> float | None:
    """Seconds that the service's clock is ahead of this computer's; None when it tells no time."""
    text = str(server_time)[:40].replace("Z", "+00:00")
    try:
        return round(dt.datetime.fromisoformat(text).timestamp() - time.time(), 3)
    except (ValueError, OverflowError, OSError):
        return None


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

    __slots__ = ("acknowledged", "at_spool")

    def __init__(self) -> None:
        self.acknowledged: bool | None = None
        self.at_spool = False  # handed to the spool, which may still be busy with it


class _Run:
    """One session as the bot's threads see it, from `start_session` to its end.

    Callers write `ending` and `next`, the keeper all else; each step is one atomic operation, so no lock is needed.
    """

    def __init__(self, session_id: str | None) -> None:
        self.session_id = session_id
        self.role = "main"
        self.instance_id: str | None = None
        self.stop: _Stop | None = None
        self.ending: dict[str, _Receipt] = {}  # "said" by the bot, or "guessed": the first of each counts
        self.next: dict[str, _Run] = {}  # the run that follows; the first one put in counts
        self.waited = 0.0  # seconds that the bot has already given its end
        self.waited_for_disk = 0.0

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

    def aged(self, now: float) -> dict[str, Any]:
        return {"n": self.n, "name": self.name, "age_ms": _ms(now - self.at)}


class _Outcome(NamedTuple):
    n: int
    at: float
    row: dict[str, Any]  # as on the wire, but for its age

    def aged(self, now: float) -> dict[str, Any]:
        return {**self.row, "age_ms": _ms(now - self.at)}


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


_SHOWN_OF_JOB = (("title", 200), ("company", 100), ("url", 500), ("reason", 200))
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

    def __init__(self, health: _Health, keys: _JobKeys | None = None, mask: _Mask | None = None) -> None:
        self.health = health
        self.keys = keys or _JobKeys()
        self.mask = mask or _Mask("")
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
        self.over = False  # a worker's session was ended by the process that began it
        self.replay = False  # of a dead process
        self.refusals = 0  # of a replay
        self.failures = 0  # of a replay to get through
        self.file = ""  # its name in the spool; goes on to the heir, so that one file at a time tells of a count
        self.kept: tuple[int, ...] | None = None  # the mark of the page that the spool has
        self.kept_by = 0.0  # until then nothing is said that is not on disk yet
        self.kept_at = -math.inf

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
        name, details = self.mask.text(name, 64), details and self.mask.details(details)
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
            name = "job-" + uuid.uuid4().hex[:16] if key is None else _short_key(self.mask.key(key))
            shown = {word: self.mask.text(row[word], limit) for word, limit in _SHOWN_OF_JOB if word in row}
            self.outcomes.append(_Outcome(self.outcome_n, at, {"n": self.outcome_n, "key": name, **row, **shown}))
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
        self.pause = (pause, until, reason and self.mask.text(reason))
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
        self.file = self.file or self.instance_id
        self.attach = attach
        self.bot = bot
        self.began_at = at
        self.progress_at = max(self.progress_at, at)
        self.version += 1
        self.urgent = True

    def end(self, at: float, result: dict[str, Any], receipt: _Receipt) -> None:
        """Sets how the instance ended; what the bot says itself replaces a guess, and nothing replaces that."""
        if self.result is None or (self.result["inferred"] and not result["inferred"]):
            error = result["error"] and {**result["error"], "message": self.mask.text(result["error"]["message"], 500)}
            self.result = {**result, "error": error}
            self.ended_at = at
            self.pause = None
            self.version += 1
            self.urgent = True
        self.promise(receipt)

    def hear(self, command_id: str, *, stop: bool) -> bool:
        """Notes a command as received; True the first time. When there are too many, a stop takes the place of another."""
        if command_id in self.commands:
            return False
        if len(self.commands) >= _MAX_LISTED:
            if not stop:
                return False
            del self.commands[next(iter(self.commands))]
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
        return bool(self.session_id) and (self.wanted or (self.result is None and not self.over))

    def promise(self, receipt: _Receipt) -> None:
        """Settles `receipt` when all that was said so far is acknowledged."""
        if len(self.receipts) < 1_000:
            self.receipts.append((receipt, self.version, self.outcome_n))
        else:
            receipt.acknowledged = False
        self.settle()

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

    def settle(self) -> None:
        """Tells whoever waits for what is acknowledged by now."""
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
        self.settle()
        return had

    def successor(self, now: float) -> _Ledger | None:
        """The ledger of a new session with all that was not acknowledged here; None when an ended bot has nothing left."""
        rest = {name: value - self.acked.get(name, 0) for name, value in self.counters.items()}
        if self.result and not any(rest.values()) and not self.outcomes:
            return None
        heir = _Ledger(self.health, self.keys, self.mask)
        heir.replay, heir.refusals, heir.file = self.replay, self.refusals, self.file
        run = cast("_Run", self.run)
        run.session_id = str(uuid.uuid4())
        run.role = "main"  # a worker that its session has no room for is alone in the new one
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
        if not self.replay or not self.seq:
            self.seq += 1
        self.urgent = False
        uptime_ms = _ms(now - self.began_at)
        document = {
            "session_id": self.session_id,
            "instance_id": self.instance_id,
            "role": self.run.role if self.run else "main",
            "seq": self.seq,
            "heartbeat_s": heartbeat_s,
            "replay": self.replay,
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
            aged = self.activity.aged(now)
            plain, full = _dumps(aged), _dumps({**aged, "details": self.activity.details})
            activity = full if _size(full) < room else plain
            head += ',"activity":' + activity
            room -= _size(activity)
        recent, room = _as_many_as_fit((_dumps(one.aged(now)) for one in self.recent), room)
        if not recent and self.outcomes and _size(_dumps(self.outcomes[0].aged(now))) > room:
            self.outcomes.popleft()  # the counters alone fill the request: this one stays counted, but not listed
            self.health.drops += 1
        rows, room = _as_many_as_fit((_dumps(one.aged(now)) for one in self.outcomes), room)
        body = f'{head},"recent":[{",".join(recent)}],"jobs":[{",".join(rows)}]}}'
        recent_n = self.recent[len(recent) - 1].n if recent else 0
        return body.encode(), recent_n, self.outcomes[len(rows) - 1].n if rows else 0

    # What goes onto the disk, and comes back from it in another process.

    @property
    def mark(self) -> tuple[int, ...]:
        """What of it decides whether a page is still the newest."""
        return (self.version, self.acked_version, self.seq, len(self.outcomes))

    def page(self, now: float, wall: float) -> dict[str, Any]:
        """All that another process needs to say what this one could not; counters in millionths, so that they stay exact."""
        run = cast("_Run", self.run)
        return {
            "session_id": self.session_id,
            "instance_id": self.instance_id,
            "role": run.role,
            "attach": self.attach,
            "seq": self.seq,
            "bot": self.bot,
            "counters_millionths": dict(self.counters),
            "acked_millionths": dict(self.acked),
            "activity": self.activity and {**self.activity.aged(now), "details": self.activity.details},
            "recent": [one.aged(now) for one in self.recent],
            "jobs": [one.aged(now) for one in self.outcomes],
            "progress": self.progress,
            "progress_age_ms": _ms(now - self.progress_at),
            "commands": dict(self.commands),
            "stop": run.stop is not None,
            "gap_ms": self.gap_ms,
            "result": self.result,
            "ended_age_ms": _ms(now - self.ended_at) if self.result else 0,
            "uptime_ms": _ms(now - self.began_at),
            "wall_at_write": wall,
        }

    @classmethod
    def restored(cls, file: str, page: dict[str, Any], health: _Health, now: float, wall: float) -> _Ledger:
        """The ledger of a dead process from its page; an end that it did not tell is concluded from its silence."""

        def at(aged: dict[str, Any], name: str = "age_ms") -> float:
            return then - float(aged[name]) / 1000

        _require_page(page)
        then: float = now - max(0.0, wall - page["wall_at_write"])
        ledger = cls(health)
        ledger.replay, ledger.file = True, file
        ledger.run = _Run(page["session_id"])
        ledger.run.role = page["role"]
        for name in ("session_id", "instance_id", "attach", "seq", "bot", "progress", "commands", "gap_ms"):
            setattr(ledger, name, page[name])
        ledger.counters, ledger.acked = page["counters_millionths"], page["acked_millionths"]
        ledger.recent.extend(_Activity(one["n"], one["name"], None, at(one)) for one in page["recent"])
        if page["activity"]:
            one = page["activity"]
            ledger.activity = _Activity(one["n"], one["name"], one["details"], at(one))
        ledger.outcomes.extend(
            _Outcome(one["n"], at(one), {key: value for key, value in one.items() if key != "age_ms"})
            for one in page["jobs"]
        )
        ledger.began_at, ledger.progress_at = at(page, "uptime_ms"), at(page, "progress_age_ms")
        ledger.result = page["result"] or {"outcome": "interrupted", "inferred": True, "error": None}
        ledger.ended_at = at(page, "ended_age_ms")
        ledger.version = 1
        ledger.kept = ledger.mark
        return ledger


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
        self._ignored = 0
        self._counts: dict[str, _Item] = {}
        self._newest: collections.deque[_Item] = collections.deque(maxlen=100)

    def add(self, item: _Item) -> None:
        call, at, args = item
        if call is _Keeper.unpack:
            for one in args[0].closed():
                self.add(one)
        elif call is _Keeper.ignore:
            self._ignored += args[0]
        elif call is not _Keeper.note:
            self._close()
            self.items.append(item)
        elif args[0] is _Ledger.count:
            name, amount = args[1:]
            if name in self._counts:  # with the time of the first: what came before an end stays before it
                _, at, (_, _, before) = self._counts[name]
                amount += before
            self._counts[name] = (call, at, (_Ledger.count, name, amount))
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
        if self._ignored:
            self.items.append((_Keeper.ignore, 0.0, (self._ignored,)))
        self._ignored = 0
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

    def network_is_back(self, now: float) -> None:
        """Cuts a long back-off short, but not at once: after an outage of the service all its bots notice it together."""
        if not self._firm:
            self._not_before = min(self._not_before, now + random.uniform(0, _BACK_S))  # noqa: S311 -- spreads load


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
    """A clock that goes on while the computer sleeps, as on Windows the steady one does. Not the wall's: people set that one."""
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):  # Linux; macOS, whose steady one stands still
        if hasattr(time, name):
            return time.clock_gettime(getattr(time, name))
    return time.monotonic()


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
        place = f"{parts.scheme}://{self.host}:{self.port}{self.path}"
        self.fingerprint = hashlib.sha256((place + token).encode()).hexdigest()[:16]  # tells whose a page on disk is
        self._base_url = base_url
        self._token = token
        self.mask = _Mask(token)
        self.origin = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._proxy_wish = proxy
        self._proxy: urllib.parse.SplitResult | None = None
        self._proxy_has_exceptions = False
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

    @property
    def proxied(self) -> bool:
        """Whether the way leads through a proxy."""
        return self._proxy is not None

    def settings(self) -> dict[str, Any]:
        """What a reporter in another process needs to get there the same way; holds the token."""
        ways = {"allow_insecure": self.allow_insecure, "ca_file": self.ca_file, "proxy": False}
        if self._proxy:
            ways["proxy"] = self._proxy.geturl()
        return {"token": self._token, "base_url": self._base_url, **ways}

    def forget(self) -> None:
        """In a forked child: the trust store is made anew, since a thread may have held its lock."""
        self._tls = None

    def look_for_proxy(self) -> None:
        """Reads the environment and the system's settings; a proxy of the bot's own browser traffic must not see the token in clear."""
        if self._proxy_wish is None:
            wish = systems = ""
            if self.secure and not _is_loopback(self.host) and not _no_proxy(self.host):
                wish = _environ("https_proxy") or _environ("all_proxy")
                systems = "" if wish else _proxy_of_system()
            self._proxy = _proxy_address(wish or systems)
            self._proxy_has_exceptions = bool(systems)

    def heed_exceptions(self) -> None:
        """Goes without the system's proxy where its settings except the host.

        That may take a name server, and so as long as it likes: not on a bot's thread.
        """
        if self._proxy_has_exceptions:
            self._proxy_has_exceptions = False
            if _is_excepted(self.host):
                self._proxy = None

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
        self.heed_exceptions()
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
        link.set_debuglevel(0)  # a bot may have switched it on for all connections, and then headers are printed
        link.sock = sock
        return link

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = _trusting(self.ca_file)
        return self._tls

    def _dial(self, host: str, port: int, line: _Line) -> socket.socket:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found.sort(key=lambda one: one[0] != self.family)
        error: OSError | None = None
        for family, kind, proto, _, target in found[:4]:
            sock = _socket_of_our_own(family, kind, proto)
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


_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, Red Hat
    "/etc/pki/tls/certs/ca-bundle.crt",  # older ones of these
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS, the BSDs
    "/opt/homebrew/etc/ca-certificates/cert.pem",
    "/usr/local/etc/openssl/cert.pem",
)


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    """What certificates are checked with: `ca_file` alone, or else whatever authorities this system has. Never nothing."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError:  # also what is no certificate
        raise _WayError("no certificate authorities can be read from ca_file") from None
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # on since Python 3.13; many a company's authority would not pass
    if ca_file is None and not context.cert_store_stats()["x509_ca"] and not _has_hashed_certificates():
        for bundle in (*_BUNDLES, _bundle_of_certifi()):  # a frozen bot looks where its builder's system had them
            with contextlib.suppress(OSError):
                context.load_verify_locations(bundle)
            if context.cert_store_stats()["x509_ca"]:
                break
    return context


def _has_hashed_certificates() -> bool:
    """Whether there is a folder of authorities, which are read one by one when they are needed."""
    folder = ssl.get_default_verify_paths().capath
    try:
        return bool(folder) and any(pathlib.Path(folder).glob("[0-9a-f]*.[0-9]"))
    except OSError:
        return False


def _bundle_of_certifi() -> str:
    try:
        return str(importlib.import_module("certifi").where())
    except Exception:  # most do not have it; and it is code of others
        return ""


def _socket_of_our_own(family: int, kind: int, proto: int) -> socket.socket:
    """A socket that is none of the standard streams: where these are closed, what is printed would go to the service."""
    taken = [socket.socket(family, kind, proto)]
    try:
        while taken[-1].fileno() < 3:
            taken.append(socket.socket(family, kind, proto))
        return taken.pop()
    finally:
        for one in taken:
            one.close()


def _environ(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""


def _proxy_of_system() -> str:
    """The proxy for https in the settings of Windows or macOS; to be asked before any fork, after one it may crash."""
    if sys.platform not in ("win32", "darwin"):
        return ""
    from urllib import request  # noqa: PLC0415 -- costs the others 20 ms

    try:
        return request.getproxies().get("https", "")
    except Exception:  # settings of the system may hold anything
        return ""


def _is_excepted(host: str) -> bool:
    """Whether these settings except a host from the proxy that they name."""
    from urllib import request  # noqa: PLC0415 -- as there

    try:
        return bool(request.proxy_bypass(host))
    except Exception:  # as there
        return False


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

    def forget(self) -> None:
        """In a forked child: closes its copy of the descriptor, and says no word to the other side."""
        sock, self._sock = self._sock, None
        descriptor = -1 if sock is None else sock.detach()
        if descriptor >= 0:
            os.close(descriptor)

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

    @property
    def sends_away(self) -> bool:
        """Whether the session can take no more from us, but another one can."""
        why = (self.code, self.document.get("code"))
        return self.code == 410 or why in ((404, "unknown"), (409, "ended"), (409, "instances"))


_REFUSALS = frozenset(range(400, 500)) - {401, 403, 408, 425, 426, 429}  # of a replay; the others may pass


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
        return _MISTRUST.get(error.verify_code, "the certificate is not trusted; ca_file= names your own authority")
    return _type_name(error)


_MISTRUST = {  # OpenSSL's numbers
    9: "the certificate is not valid yet; is the clock right?",
    10: "the certificate has expired; or is the clock wrong?",
    62: "the certificate is another host's",
    64: "the certificate is another host's",  # of a host that is a number
}


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


# ---- The threads ----


class _Worker:
    """A daemon thread that repeats one round of work for ever, outlives every exception, and can be replaced."""

    def __init__(self, name: str) -> None:
        self.closed = False
        self.restarts = 0  # of the thread, or of its work after an exception
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
        self.restarts += before is not None
        for old in list(self._heirs)[:-8]:  # whoever looked at one of these has long gone on
            self._heirs.pop(old, None)
        return True

    def current(self) -> bool:
        """Whether the calling thread is the one in charge, and not one that was left to itself."""
        return self._thread is threading.current_thread()

    def _repeat(self, generation: int) -> None:
        while generation == self._generation and not self.closed:
            try:
                # A loop in here, so that what others throw into a thread is caught between two rounds as well.
                while generation == self._generation and not self.closed:
                    self.round()
            except BaseException:  # a thread that dies of an exception looks like a dead bot
                self.restarts += 1
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
            answer = _Answer(0, {}, error="inside the reporter")
            try:
                answer = _post(self._address, order.sent.path, order.sent.body, order.line)
            finally:
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

    def aim(self, target: tuple[str, str] | None) -> bool:
        """Names the session and instance whose commands to hear, None ends the stream; answers whether that is new."""
        if target == self._target:
            return False
        self._target = target
        self._fails = 0
        self.cut()
        return True

    def cut(self) -> None:
        """Ends the connection there is, so that a new one is made at once."""
        if self.line:
            self.line.cut()
        self._wake.put(None)

    def round(self) -> None:
        self._keeper.ensure()
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
        if target != self._target:  # aimed elsewhere when there was no line to cut yet
            return 0.0
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
        broken = pause >= _STREAM_RETRY_S or self._fails > 2 or line.was_cut  # some proxies hold back the headers too
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


_SAFE_OPEN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_PAGE_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(?:json|lock|tmp)")

# Names that a spool of this process holds: the system's lock tells processes apart, but not two reporters of one. They
# are where a second copy of this file, or this one loaded anew, looks as well.
_claimed: dict[str, Any] = vars(sys.modules.setdefault("_status_reporter", types.ModuleType("_status_reporter")))


def _open(path: pathlib.Path, flags: int) -> int:
    """A descriptor that is none of the standard streams: a bot may have closed these and go on to print."""
    descriptor = os.open(path, flags | _SAFE_OPEN, 0o600)
    if descriptor > 2 or sys.platform == "win32":
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Locks an open file for this process, for as long as it lives; False when another process has it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not flock: a forked child would hold that one too
    except (BlockingIOError, PermissionError):
        return False
    return True


def _replace(source: pathlib.Path, target: pathlib.Path) -> None:
    """Puts a file in another's place in one step; a virus scanner that looks into it just now is waited for."""
    for pause in (0.05, 0.05, 0.05, 0.1):
        try:
            source.replace(target)
        except PermissionError:
            time.sleep(pause)
        else:
            return
    source.replace(target)


def _sealed(page: dict[str, Any]) -> bytes:
    """A page as it stands on disk, with the checksum over all the rest of it."""
    text = _dumps(page)
    return f'{{"crc32":{zlib.crc32(text.encode())},{text[1:]}'.encode()


def _unsealed(raw: bytes) -> dict[str, Any] | None:
    """What was sealed; None when a single byte of it is not as it was written."""
    page = _parse(raw)
    try:
        sound = page is not None and page.pop("crc32", None) is not None and _sealed(page) == raw
    except (ValueError, RecursionError):
        return None
    return page if sound else None


def _is_from(value: object, least: float, most: float) -> bool:
    """Whether it is a number, and none that goes beyond all reason."""
    return type(value) in (int, float) and least <= cast("float", value) <= most


def _is_row(value: Any, *texts: str) -> bool:
    """Whether it is an activity or an outcome as a page has it, with these texts."""
    sound = isinstance(value, dict) and type(value["n"]) is int and _is_from(value["age_ms"], 0, _MAX_AGE_MS)
    return sound and all(type(value[name]) is str for name in texts)


def _require_page(page: dict[str, Any]) -> None:
    """Raises KeyError, TypeError or ValueError for what no reporter writes: a checksum tells only that nobody changed it.

    Whoever replays a page says what is in it, and must not stumble over that each time it tries.
    """
    result, activity, progress = page["result"], page["activity"], page["progress"]
    counts = [*page["counters_millionths"].items(), *page["acked_millionths"].items()]
    ages = [page[name] for name in ("progress_age_ms", "ended_age_ms", "uptime_ms", "gap_ms")]
    sound = (
        all(str(uuid.UUID(page[name])) == page[name] for name in ("session_id", "instance_id"))
        and page["role"] in ("main", "worker")
        and type(page["seq"]) is int
        and all(type(count) is int and 0 <= count <= _MAX_COUNT for _, count in counts)
        and all(_is_from(age, 0, _MAX_AGE_MS) for age in ages)
        and _is_from(page["wall_at_write"], 0, 1e12)
        and all(type(text) is str for text in page["bot"].values())
        and all(type(seen) is bool for seen in page["commands"].values())
        and (progress is None or isinstance(progress, dict))
        and (result is None or (type(result["outcome"]) is str and type(result["inferred"]) is bool))
        and (activity is None or _is_row(activity, "name"))
        and (activity is None or activity["details"] is None or isinstance(activity["details"], dict))
        and all(_is_row(row, "name") for row in page["recent"])
        and all(_is_row(row, "key", "outcome") for row in page["jobs"])
    )
    if not sound:
        raise ValueError("no page")


def _resume_wish(wish: object) -> str:
    try:
        return {"auto": "auto", "never": "never"}.get(cast("str", wish)) or str(uuid.UUID(cast("str", wish)))
    except (ValueError, AttributeError, TypeError):
        raise ValueError("resume: expected 'auto', 'never' or a session's id") from None


def _spool_folders(wish: object) -> list[pathlib.Path]:
    """Where the spool may be, best first; empty for memory only. Raises ValueError."""
    if wish is None:
        return []
    if wish != "auto":
        if not isinstance(wish, (str, os.PathLike)) or not os.fspath(wish):
            raise ValueError("spool_dir: expected a folder, 'auto' or None")
        return [pathlib.Path(wish).absolute()]
    if sys.platform == "win32":
        state, owner = os.environ.get("LOCALAPPDATA", ""), os.environ.get("USERNAME", "")
    else:
        state, owner = os.environ.get("XDG_STATE_HOME") or _state_at_home(), str(os.getuid())
    shared = os.environ.get("TMPDIR") or os.environ.get("TEMP") or "/tmp"  # noqa: S108 -- nobody else's folder there is used
    places = [pathlib.Path(state, "status_reporter", "spool"), pathlib.Path(shared, "status_reporter-" + owner)]
    return [place for place in places if place.is_absolute()]


def _state_at_home() -> str:
    try:
        home = pathlib.Path.home()
    except RuntimeError:
        return ""
    own = "Library/Application Support" if sys.platform == "darwin" else ".local/state"
    return str(home / own) if home.is_dir() else ""  # a home that is missing is not ours to make


def _make_private(folder: pathlib.Path) -> str:
    """Makes a folder of our own there, or takes it; answers what is wrong with it, in a fixed phrase."""
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except FileExistsError:
        return "the spool's place is not a folder"
    except OSError as error:
        return _strerror(error)
    if not stat.S_ISDIR(found.st_mode):
        return "the spool's place is not a folder"
    if sys.platform != "win32" and (found.st_uid != os.geteuid() or found.st_mode & 0o022):
        return "others may write into the spool's folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else "the spool's folder cannot be written to"


def _changed_at(path: pathlib.Path) -> float:
    """When a file was last written, by the wall clock; 0 when it is gone."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _strerror(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else _type_name(error)


class _Spool(_Worker):
    """What the service has not acknowledged, on disk; and what dead processes left there.

    A thread of its own, because a disk may hang, and then neither the bot nor its heartbeats may wait for it: there is
    one task for each file, and a newer one takes the place of one that has not been done yet.

    In its folder (0700; files 0600): for each instance `<id>.json`, a page sealed with a checksum and replaced as a
    whole, and `<id>.lock`, locked for as long as its process lives. A page whose lock is free is an orphan; it is
    replayed by whoever takes its lock, and removed when the service has all of it. What is damaged goes to `corrupt/`,
    what the service refuses to `rejected/`. 50 pages and 14 days are kept, and no token ever.
    """

    def __init__(self, keeper: _Keeper, folders: list[pathlib.Path], fingerprint: str) -> None:
        super().__init__("spool")
        self.closed = not folders
        self.folder: pathlib.Path | None = None
        self.path: str | None = None  # of it, as a text
        self.error = "" if folders else "memory only"
        self.orphans: list[str] = []
        self.lent: str | None = None  # the orphan that the keeper has
        self._keeper = keeper
        self._folders = folders
        self._fingerprint = fingerprint
        self._tasks: dict[str, Callable[[], None]] = {}
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._began_at: float | None = None  # what is being done
        self._held: dict[str, int] = {}  # descriptors of the locks
        self._mine: set[str] = set()  # pages of living instances, and the one that is lent

    # What others ask of it; none of these waits, but for `predecessor`.

    @property
    def busy(self) -> bool:
        return not self.closed and (bool(self._tasks) or self._began_at is not None)

    @property
    def ok(self) -> bool:
        """Whether what was said is on disk, but for the last moment."""
        return self.folder is not None and not self.error and not self._late

    @property
    def _late(self) -> bool:
        """Whether the disk has kept us waiting for long."""
        began_at = self._began_at
        return began_at is not None and time.monotonic() - began_at > _LATE_S

    @property
    def pending(self) -> int:
        """How many orphans are still to be replayed."""
        return len(self.orphans) + (self.lent is not None)

    def keep(self, file: str, page: dict[str, Any]) -> None:
        """Writes the page of an instance in the place of the one before."""
        self._ask(file, functools.partial(self._write, file, page))

    def discard(self, file: str) -> None:
        """Removes a page, since the service has all of it."""
        self._ask(file, functools.partial(self._remove, file))

    def reject(self, file: str) -> None:
        """Puts a page aside that the service refuses for good."""
        self._ask(file, functools.partial(self._reject, file))

    def let_go(self, file: str) -> None:
        """Leaves a page to whoever replays it."""
        self._ask("let go " + file, functools.partial(self._release, file))  # after its last write

    def look(self) -> None:
        """Looks for orphans."""
        self._ask("look", functools.partial(self._look, None, None))

    def lend(self) -> None:
        """Hands the oldest orphan to the keeper, unless it has one."""
        self._ask("lend", self._lend)

    def end(self) -> None:
        """Does what is still to be done, lets all pages go and ends the thread."""
        self._ask("end", self._end)

    def predecessor(self, may_follow: Callable[[dict[str, Any]], bool]) -> str | None:
        """Looks for the newest orphan that a new instance may follow, 0.2 s at most; answers its session."""
        found: list[str] = []
        self._ask("look", functools.partial(self._look, may_follow, found))
        ends = time.monotonic() + _LOOK_PATIENCE_S
        while self.busy and time.monotonic() < ends:
            time.sleep(0.001)
        return found[0] if found else None

    def forget_after_fork(self) -> None:
        """In a forked child: lets go of the parent's pages and locks without touching them."""
        self.closed = True
        self._tasks = {}
        held, self._held = self._held, {}
        for file, descriptor in held.items():
            _claimed.pop(file, None)
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _ask(self, key: str, task: Callable[[], None]) -> None:
        if self.closed:
            return
        self._tasks[key] = task
        if self._wake.empty():
            self._wake.put(None)

    # The thread.

    def round(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=_PAGE_S if self._tasks else _TICK_S)
            while True:
                self._wake.get_nowait()
        try:
            for key in list(self._tasks):
                self._began_at = time.monotonic()
                self._do(key, self._tasks.pop(key))
        finally:
            self._began_at = None

    def _do(self, key: str, task: Callable[[], None]) -> None:
        try:
            if key == "end" or self._find_folder():
                task()
        except OSError as error:
            self.error = _strerror(error)
            if isinstance(error, FileNotFoundError):  # somebody has removed the folder
                self.folder = self.path = None
                self._release(key)
            if key not in ("look", "lend"):
                self._tasks.setdefault(key, task)

    def _find_folder(self) -> bool:
        """Whether there is a folder to work in; looks for one when there is none."""
        for folder in self._folders if self.folder is None else ():
            self.error = _make_private(folder)
            if not self.error:
                self.folder, self.path = folder, str(folder)
                break
        return self.folder is not None

    def _path(self, file: str, kind: str = "json") -> pathlib.Path:
        return cast("pathlib.Path", self.folder) / f"{file}.{kind}"

    def _write(self, file: str, page: dict[str, Any]) -> None:
        if not self._claim(file):
            raise BlockingIOError(errno.EAGAIN, "")
        begins = file not in self._mine
        self._mine.add(file)
        page = {"v": 1, "fingerprint": self._fingerprint, "pid": os.getpid(), **page}
        raw = _sealed(page)
        while len(raw) > _PAGE_BYTES and page["jobs"]:  # these stay counted, but will not be listed
            page["jobs"] = page["jobs"][: len(page["jobs"]) // 2]
            raw = _sealed(page)
        try:
            descriptor = _open(self._path(file, "tmp"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                while raw:
                    raw = raw[os.write(descriptor, raw) :]
                if begins or page["result"]:  # else a cut of the power may cost what the system has not written yet
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            _replace(self._path(file, "tmp"), self._path(file))
        except OSError:
            self._path(file, "tmp").unlink(missing_ok=True)
            raise
        self.error = ""

    def _remove(self, file: str) -> None:
        for kind in ("json", "tmp"):
            self._path(file, kind).unlink(missing_ok=True)
        if sys.platform == "win32":  # where nothing that is open can be removed, not even by others
            self._release(file)
        self._path(file, "lock").unlink(missing_ok=True)
        self._release(file)  # not before: one who took it in between would hold a lock that nobody finds any more
        if self.lent == file:
            self.lent = None
            self._lend()

    def _set_aside(self, file: str, where: str) -> None:
        """Moves a page out of the way, for people who wonder."""
        folder = cast("pathlib.Path", self.folder) / where
        folder.mkdir(0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            _replace(self._path(file), folder / f"{file}.json")
        for old in sorted(folder.glob("*.json"), key=_changed_at)[:-_MAX_PAGES]:
            old.unlink(missing_ok=True)
        self._warn(f"a page of the spool was put aside in {where}/")
        self._remove(file)

    def _reject(self, file: str) -> None:
        try:
            self._set_aside(file, "rejected")
        except OSError as error:  # then it stays where it is, and the others do not wait for it
            self.error = _strerror(error)
            self._release(file)
            self.lent = None
            self._lend()

    def _warn(self, text: str) -> None:
        self._keeper.sender.orders.put(_Remark(logging.WARNING, text))

    # Whose a page is.

    def _claim(self, file: str) -> bool:
        """Takes the lock of a page; False when its owner lives, here or in another process."""
        if file in self._held:
            return True
        if _claimed.setdefault(file, self) is not self:
            return False
        path = self._path(file, "lock")
        try:
            for _ in range(8):  # not for ever: there are file systems on which no file is the same twice
                descriptor = self._held[file] = _open(path, os.O_RDWR | os.O_CREAT)
                if not _lock(descriptor):
                    break
                if self._is_at(path, descriptor):
                    return True
                os.close(self._held.pop(file))
        except OSError:
            self._release(file)
            raise
        self._release(file)
        return False

    @staticmethod
    def _is_at(path: pathlib.Path, descriptor: int) -> bool:
        """Whether the file that is open is still the one there: whoever found no page beside it may have removed it."""
        try:
            return os.path.samestat(path.lstat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _release(self, file: str) -> None:
        self._mine.discard(file)
        descriptor = self._held.pop(file, -1)  # first, so that a child forked right now closes no other file
        if descriptor >= 0:
            os.close(descriptor)
        if _claimed.get(file) is self:
            del _claimed[file]

    def _end(self) -> None:
        for file in list(self._held):
            self._release(file)
        self.closed = True

    # Orphans.

    def _look(self, may_follow: Callable[[dict[str, Any]], bool] | None, found: list[str] | None) -> None:
        orphans: list[str] = []
        best = (0.0, "", "")
        for file in self._by_age():
            followed = file in self._held  # by a session of ours; stays claimed, lest another process follows it too
            taken = self._take(file)
            if taken is None:
                continue
            orphans.append(file)
            page = taken[0]
            if may_follow and may_follow(page):
                best = max(best, (page["wall_at_write"], file, page["session_id"]))
            if not followed:
                self._release(file)
        self.orphans = orphans
        if found is not None and best[1] and self._claim(best[1]):
            found.append(best[2])
        if self._keeper.gets_through:
            self._lend()

    def _by_age(self) -> list[str]:
        """The names of all pages that are none of our own, oldest first, without those that are too many or too old."""
        found = [_PAGE_NAME.fullmatch(path.name) for path in cast("pathlib.Path", self.folder).iterdir()]
        names = {match[1] for match in found if match} - self._mine
        ages = {file: _changed_at(self._path(file)) for file in names}
        files = sorted(ages, key=lambda file: (ages[file], file))
        too_old = time.time() - _PAGE_LIFE_S
        free = [file for file in files if self._is_free(file)] if len(files) > _MAX_PAGES else []
        surplus = [file for file in files if 0 < ages[file] < too_old or file in free[:-_MAX_PAGES]]
        dropped = [file for file in surplus if self._drop(file)]
        if dropped:
            self._warn(f"{len(dropped)} undelivered pages of the spool were dropped: over 50, or over 14 days old")
        return [file for file in files if file not in surplus]

    def _is_free(self, file: str) -> bool:
        """Whether a page has no living owner; those that have one are written often, and would outlive all others."""
        if file in self._held:
            return True
        with contextlib.suppress(OSError):
            if self._claim(file):
                self._release(file)
                return True
        return False

    def _drop(self, file: str) -> bool:
        """Removes a page that is too much; False when it is a living process's, or cannot be had."""
        with contextlib.suppress(OSError):  # one that somebody else made there must not keep us from all the others
            if self._claim(file):
                self._remove(file)
                return True
        self._release(file)
        return False

    def _take(self, file: str) -> tuple[dict[str, Any], _Ledger] | None:
        """Claims an orphan and reads it; None when it has an owner, is another token's, or is none."""
        with contextlib.suppress(OSError):  # one that cannot be had must not keep us from the others
            if not self._claim(file):
                return None
            raw = self._read(file)
            page = _unsealed(raw) if raw else None
            if raw is None:  # a process died between its lock and its page, or after its page
                self._remove(file)
            elif page is None:
                self._set_aside(file, "corrupt")
            elif page.get("v") == 1 and page.get("fingerprint") == self._fingerprint:
                try:
                    return page, _Ledger.restored(file, page, self._keeper.health, time.monotonic(), time.time())
                except (KeyError, TypeError, ValueError, AttributeError):
                    self._set_aside(file, "corrupt")
        self._release(file)
        return None

    def _read(self, file: str) -> bytes | None:
        """The bytes of a page, none of it when it can be no page of ours; None when there is no such file."""
        try:
            found = self._path(file).lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > _PAGE_BYTES:
                return b""
            descriptor = _open(self._path(file), os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return os.read(descriptor, _PAGE_BYTES)
        finally:
            os.close(descriptor)

    def _lend(self) -> None:
        while self.lent is None and self.orphans:
            file = self.orphans.pop(0)
            taken = self._take(file)
            if taken:
                self.lent = file
                self._mine.add(file)
                self._keeper.tell(_Keeper.replay, taken[1])


class _Keeper(_Worker):
    """Owns the ledger, the timers and all decisions. Touches no network; its round takes microseconds.

    Everything reaches it through one queue, as a method of its own with arguments: the bot's calls (`note`), the ends
    of waits, answers and commands. So one thread alone changes anything, and no lock is needed anywhere.
    """

    def __init__(self, address: _Address, interval: float, *, stream: bool, spool: list[pathlib.Path]) -> None:
        super().__init__("keeper")
        self.inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self.health = _Health()
        self.pace = _Pace(interval)
        self.sender = _Sender(address, self)
        self.stream = _Stream(address, self)
        self.spool = _Spool(self, spool, address.fingerprint)
        self.on_stop: list[_OnStop] = []
        self._may_stream = stream
        self._ledger = _Ledger(self.health, mask=address.mask)
        self._closing: list[_Ledger] = []  # ended, but not all of it acknowledged; at most 16
        self._replay: _Ledger | None = None  # of a dead process
        self._replayed_at = -math.inf
        self._replay_s = _REPLAY_S
        self._look_at = -math.inf
        self._flight: _Order | None = None
        self._sleep: _SleepWatch | None = None
        self._warned = False
        self._offline_at: float | None = None
        self._moved_at = -math.inf
        self._counted_at = 0.0
        self._items = 0
        self._flooded = False

    def start(self) -> bool:
        """Starts all threads, here and now: a bot may end at once, and then no thread may be started any more."""
        return self.spool.ensure() and self.sender.ensure() and self.stream.ensure() and self.ensure()

    @property
    def all_restarts(self) -> int:
        """How often one of the threads had to begin anew; none should ever have to."""
        return self.restarts + self.sender.restarts + self.stream.restarts + self.spool.restarts

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
            due = min(due, self._next_up(now)[0])
        for ledger in self._ledgers:
            if ledger.speaks and ledger.mark != ledger.kept:
                due = min(due, ledger.kept_at + _PAGE_S)
        return min(max(due - now, 0.0), _TICK_S)

    def _tend(self, now: float) -> None:
        self._mind_sleep(now)
        self._mind_lines(now)
        self.sender.ensure()
        self.stream.ensure()
        self.spool.ensure()
        self._mind_spool(now)
        if self._flight is None:
            when, ledger = self._next_up(now)
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

    # On disk.

    @property
    def _ledgers(self) -> tuple[_Ledger, ...]:
        return (*self._closing, self._ledger)

    def _mind_spool(self, now: float) -> None:
        for ledger in self._ledgers:
            if now >= ledger.kept_at + _PAGE_S:
                self._keep(ledger, now)
        if now >= self._look_at and self._ledger.run:
            self._look_at = now + _LOOK_S
            self.spool.look()

    def _keep(self, ledger: _Ledger, now: float) -> None:
        """Has the disk hold what a ledger says, or nothing once all of it is acknowledged."""
        if not ledger.speaks:
            if ledger.kept:
                ledger.kept = None
                self.spool.discard(ledger.file)
        elif ledger.kept is None or not (ledger.replay or ledger.mark == ledger.kept):
            ledger.kept, ledger.kept_at = ledger.mark, now
            self.spool.keep(ledger.file, ledger.page(time.monotonic(), time.time()))

    # Sending.

    @property
    def has_no_more_to_do(self) -> bool:
        """Whether the session of a worker is over, and the service has all that was said in it."""
        return self._ledger.over and not self._ledger.speaks and self.inbox.empty()

    @property
    def gets_through(self) -> bool:
        """Whether the last attempt to reach the service succeeded."""
        return self.health.heard_at is not None and not self.pace.fails

    def _next_up(self, now: float) -> tuple[float, _Ledger | None]:
        best: tuple[float, _Ledger | None] = (math.inf, None)
        if self._replay and self.gets_through:  # never what an outage is noticed by, and never a reason to be silent
            best = (self._replay.not_before, self._replay)
        for ledger in self._ledgers:
            if ledger.speaks:
                when = max(self.pace.when(wanted=ledger.wanted, urgent=ledger.urgent), ledger.not_before)
                if self.spool.busy and ledger.kept_by > now:
                    # The old session's page still holds what is about to be said in the new one: replayed after a
                    # kill it would count twice.
                    when = max(when, now + 0.02)
                if best[1] is None or when < best[0]:
                    best = (when, ledger)
        return best

    def _send(self, ledger: _Ledger, now: float) -> None:
        sent = ledger.snapshot(now, time.time(), self.pace.told_interval, self._diag(now))
        self._flight = _Order(sent, _Line(_REQUEST_S))
        if not ledger.replay:
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
        if code in (200, 201):
            self._taken(at, order.sent, answer.document)
        elif ledger.replay and code in _REFUSALS:
            self._turned_down(at, ledger, answer)
        elif ledger.replay:
            self._not_replayed(at, ledger, answer)
        elif answer.sends_away:
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
        self._keep(ledger, at)
        ledger.settle()
        if self.pace.fails:
            self.spool.look()
        if not ledger.replay:
            self.pace.heard(at)
        self._recovered(at)
        self.configured(at, document.get("config"))
        self._note_clock(document.get("server_time"))
        if ledger in self._closing and not ledger.speaks:
            self._closing.remove(ledger)
        if ledger is self._replay and not ledger.speaks:
            self._replay, self._replayed_at = None, at
        if self._replay is None and self.spool.pending:
            self.spool.lend()
        self.commanded(at, ledger.instance_id, document.get("commands"))
        session = document.get("session")
        status = session.get("status") if isinstance(session, dict) else None
        ended = status in ("completed", "failed", "stopped", "interrupted")
        if ledger.run and ledger.run.role == "worker":
            ledger.over = ended  # no more heartbeats, but counts still go
        elif ended and document.get("applied") is True and ledger.result is None and not ledger.commands:
            self._move(at, ledger)  # ended explicitly, although this instance goes on and nobody asked it to stop
        self._aim()

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
        if ledger is self._replay:
            self._replay = heir
        self._keep(heir or ledger, at)  # in the same file, so that the rest is told of once, whenever the process dies
        if heir:
            heir.kept_by = at + _LATE_S
        self._aim()
        if ledger in self._closing:
            self._closing = [one for one in (*self._closing, heir) if one is not None and one is not ledger]
        return heir

    def _turned_down(self, at: float, ledger: _Ledger, answer: _Answer) -> None:
        """A replay that the service does not take: tried elsewhere or with less in it, and after three times put aside."""
        ledger.refusals += 1
        if ledger.refusals >= _MAX_REFUSALS:
            self._replay, self._replayed_at = None, at
            return self.spool.reject(ledger.file)
        if answer.sends_away:
            self._move(at, ledger)
        else:
            ledger.shed()
        if self._replay:
            self._replay.not_before = at + self._replay_s
        return None

    def _not_replayed(self, at: float, ledger: _Ledger, answer: _Answer) -> None:
        """A replay that failed on its way: the next live report tells whether it is the way, or this page alone."""
        ledger.failures += 1
        ledger.not_before = at + _back_off(ledger.failures, _LOOK_S)
        self.pace.failed(at, answer.retry_after, firm=answer.code == 429)

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
        offset_s = _offset_s(server_time)
        if offset_s is not None:
            self.health.clock_offset_s = offset_s

    def _aim(self) -> None:
        ledger = self._ledger
        heard = self._may_stream and ledger.acked_version > 0 and ledger.speaks
        if self.stream.aim((ledger.session_id, ledger.instance_id) if heard else None):
            self.health.stream = "off"

    # What arrives in the queue.

    def note(self, at: float, call: Callable[..., None], *args: Any) -> None:
        """Something the bot said, for the ledger; what it says after the end of its session is too late.

        The time of the call tells that, not the place in the queue: a thread that folds what waits there may have had
        in hand what another one said before the end.
        """
        ledger = self._ledger
        before = ledger.result is not None and at <= ledger.ended_at
        if ledger.result is None or ledger.result["inferred"] or before:  # after a guess the bot may still have its say
            call(ledger, at, *args)
            ledger.urgent = ledger.urgent or before
        elif call is not _Ledger.go_on:
            self.health.ignored += 1

    def unpack(self, _at: float, bundle: _Bundle) -> None:
        for item in bundle.closed():
            self._handle(item)

    def ignore(self, _at: float, calls: int) -> None:
        """So many calls with wrong arguments were made."""
        self.health.ignored += calls

    def replay(self, _at: float, orphan: _Ledger) -> None:
        """Takes what a dead process left, to say it in its place."""
        self._replay = orphan
        orphan.not_before = self._replayed_at + self._replay_s

    def hasten(self, _at: float) -> None:
        """Replays without a pause: the process is about to end, and it may be one that never lives for long."""
        self._replay_s = 0.0
        if self._replay:
            self._replay.not_before = -math.inf

    def begin(self, at: float, run: _Run, bot: dict[str, str], *, attach: bool) -> None:
        """Starts a session; what was said since the reporter was made belongs to the first one."""
        if self._ledger.run is not None:
            closing = [ledger for ledger in self._ledgers if ledger.speaks]
            self._closing = closing[-16:]
            for ledger in closing[:-16]:
                self.spool.let_go(ledger.file)
            self._ledger = _Ledger(self.health, mask=self._ledger.mask)
            self.health.counters = dict.fromkeys(_SEED_COUNTERS, 0)
        self._ledger.begin(at, run, bot, attach=attach)
        self._keep(self._ledger, at)

    def end(self, at: float, run: _Run, result: dict[str, Any], receipt: _Receipt) -> None:
        """Ends a session with the bot's own word or, at exit, with a guess."""
        for ledger in (self._ledger, *self._closing):
            if ledger.run is run:
                ledger.end(at, result, receipt)
                self._keep(ledger, at)
                receipt.at_spool = True
                return
        receipt.acknowledged = False
        receipt.at_spool = True

    def flush(self, _at: float, receipt: _Receipt) -> None:
        if self._ledger.run is None:
            receipt.acknowledged = False
        else:
            self._ledger.promise(receipt)
            self._keep(self._ledger, _at)
        receipt.at_spool = True

    def saw(self, _at: float, stop: _Stop) -> None:
        """The bot's own code has looked, and knows that it is to stop."""
        for ledger in (self._ledger, *self._closing):
            ledger.saw(stop.id)

    def commanded(self, _at: float, instance_id: str, commands: object) -> None:
        """Takes the commands that stand for an instance; each counts once, by its id. Unknown ones are acknowledged."""
        ledger = self._ledger
        if instance_id != ledger.instance_id or ledger.run is None or not isinstance(commands, list):
            return
        for command in commands:
            if not isinstance(command, dict) or not isinstance(command.get("id"), str):
                continue
            command_id, is_stop = _text(command["id"], 64), command.get("type") == "stop"
            if ledger.hear(command_id, stop=is_stop and ledger.run.stop is None) and is_stop:
                ledger.run.stop = _Stop(command_id, _optional_text(command.get("reason"), 200))
        self.call_back(_at)

    def call_back(self, _at: float) -> None:
        """Runs the callbacks that have not heard of the stop yet, each on a thread of its own."""
        ledger = self._ledger
        stop = ledger.run.stop if ledger.run and ledger.result is None else None
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
            self.pace.network_is_back(_at)

    def forget(self) -> None:
        """In a forked child, where none of the threads lives: lets go of what belongs to the parent.

        Takes no lock and logs nothing: whatever thread held a lock when the process was forked will never release it.
        """
        for line in (self._flight and self._flight.line, self.stream.line):
            if line:
                with contextlib.suppress(OSError):
                    line.forget()
        self.spool.forget_after_fork()

    def close(self, _at: float) -> None:
        """Ends the threads; what is not acknowledged stays on disk, and whatever still waits is told that nothing more will come."""
        for ledger in self._ledgers:
            self._keep(ledger, _at)
            ledger.kept = None  # the page is the next bot's now: what is given up here must not take it away
            ledger.give_up()
        self.spool.end()
        self.stream.closed = self.sender.closed = self.closed = True
        if self._flight:
            self._flight.line.cut()
        self.stream.cut()
        self.sender.orders.put(None)


class _OnStop:
    """A callback of the bot, run once per stop; removing it also stops one that has not begun yet."""

    def __init__(self, reporter: StatusReporter, callback: Callable[[], Any]) -> None:
        self._reporter = reporter
        self._callback = callback
        self._ran_for = ""
        self.removed = False

    def run(self, stop: _Stop) -> None:
        if self._ran_for != stop.id:
            with contextlib.suppress(RuntimeError):  # no thread to be had: tried again with the next answer
                threading.Thread(target=self._call, name="status-reporter-on-stop", daemon=True).start()
                self._ran_for = stop.id

    def _call(self) -> None:
        # A bot that is called has been told: the session that it ends now was stopped.
        if not self.removed and self._reporter.should_stop:
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
            except Exception as error:
                if self._strict or _is_the_bots(error):
                    raise
                return answer

        return cast("_F", call)

    return guard


# Python 3.9 has no list of its library: what was there when this file was imported may be the bot's, and passes for it.
_LIBRARY = getattr(sys, "stdlib_module_names", None) or {name.partition(".")[0] for name in sys.modules}


def _is_the_bots(error: BaseException) -> bool:
    """Whether an error is none of ours: a signal handler of the bot's raised it, in the middle of a call that it broke off.

    No call runs any other code of the bot's.
    """
    trace = error.__traceback__
    while trace is not None:
        root = str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
        ours = trace.tb_frame.f_globals is globals() or root in ("gevent", "eventlet", "greenlet")
        if not ours and (root not in _LIBRARY or root == "__main__"):
            return True
        trace = trace.tb_next
    return False


class StatusReporter:
    """Reports what one bot does. Any thread, signal handler, `__del__` or event loop may call any method at any time.

    Args:
        token: of scope `report`; without one (here or in STATUS_REPORTER_TOKEN) every call does nothing.
        base_url: of the service; else STATUS_REPORTER_URL, else http://localhost:3000. May have a path.
        name: the bot's name on the board; else STATUS_REPORTER_NAME.
        heartbeat_interval: seconds between reports when nothing changes, 1 to 3600.
        stream: whether to keep a connection on which a stop arrives at once; without, it comes with the next heartbeat.
        spool_dir: the folder for what the service has not acknowledged yet. "auto": `status_reporter/spool` in
            $XDG_STATE_HOME, in `~/.local/state`, in `~/Library/Application Support` (macOS) or in %LOCALAPPDATA%
            (Windows); where that cannot be, a folder of this user's in the temporary one. None: memory only.
        resume: "auto": the first session goes on with that of a process that died without a result (see `start_session`);
            "never"; or the id of the session to go on with.
        resume_window: seconds after the last sign of life of such a process.
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
        spool_dir: str | os.PathLike[str] | None = "auto",
        resume: str = "auto",
        resume_window: float = 600.0,
        exit_timeout: float = 2.0,
        ca_file: str | None = None,
        proxy: str | bool | None = None,
        allow_insecure: bool = False,
        strict: bool = False,
    ) -> None:
        self._strict = strict
        self._name = _text(name if name is not None else os.environ.get("STATUS_REPORTER_NAME", ""), 64)
        self._exit_timeout = _clamp(exit_timeout, 0, 60) or 0.0
        self._spool_dir = spool_dir
        self._resume_window = _clamp(resume_window, 0, 1e9) or 0.0
        self._run = _Run(None)
        self._activity: tuple[str, dict[str, Any] | None] | None = None
        self._keeper: _Keeper | None = None
        self._bot: dict[str, str] = {}
        self._pid = os.getpid()
        self._is_copy = False  # of a reporter that works in another process
        self._told_to_end = ""  # by a signal
        self.stop_event: threading.Event = _StopEvent(self)
        self.disabled_reason = ""
        try:
            self._spool_folders = _spool_folders(spool_dir)
            self._resume = _resume_wish(resume)
            address = self._find(token, base_url, allow_insecure=allow_insecure, proxy=proxy, ca_file=ca_file)
        except ValueError as error:
            self.disabled_reason = str(error)
            if strict:
                raise ValueError(self.disabled_reason) from None  # the cause may hold the value
            _log.warning("status reports are off: %s", self.disabled_reason)
            return
        if address:
            self._address = address
            self._interval = _clamp(heartbeat_interval, 1, 3600) or 45.0
            self._streams = stream
            self._keeper = self._new_keeper()
            _made_here[id(self)] = self
            _stay_here[id(self)] = self

    def _new_keeper(self) -> _Keeper:
        return _Keeper(self._address, self._interval, stream=self._streams, spool=self._spool_folders)

    def _fit_keeper(self) -> _Keeper | None:
        """The keeper; another one where threads became greenlets before its own began, whom a real queue would hang."""
        keeper = self._keeper
        if keeper is None or keeper.started or isinstance(keeper.inbox, queue.SimpleQueue):
            return keeper
        fit = self._keeper = self._new_keeper()
        fit.on_stop = keeper.on_stop
        with contextlib.suppress(queue.Empty):
            while True:
                fit.inbox.put(keeper.inbox.get_nowait())
        return fit

    def _find(self, token: str | None, base_url: str | None, **ways: Any) -> _Address | None:
        """The address of the service; None, with the reason noted, when this bot is to run without one."""
        if _is_switched_off():
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

        It looks, for 0.2 s at most, for what a killed process of the same token, service, name and platform left on disk:
        when that has no result and knows of no stop, and was written less than `resume_window` ago, this process goes on
        in its session, and the counts of both add up. Otherwise what it left is delivered as a session of its own.
        """
        if self._is_elsewhere() or _is_imported_again():
            self._become_copy()
        before, keeper = self._run, self._fit_keeper()
        if keeper is None:
            return (before.session_id or "") if self._is_copy else ""
        if before.open:
            return before.session_id or ""
        system = sys.platform if platform is None else _text(platform, 64)
        number = _number(version)
        label = _text(version if number is None else str(number), 64)
        bot = self._bot = {"name": self._name, "version": label, "platform": system}
        self._address.look_for_proxy()
        attach = self._session_to_join(keeper, bot) if before.session_id is None else None
        mine = _Run(attach or str(uuid.uuid4()))
        run = before.next.setdefault("run", mine)
        if run is mine:
            self._run = run
            self._activity = None if before.session_id else self._activity
            keeper.tell(functools.partial(_Keeper.begin, attach=attach is not None), run, bot)
            keeper.start()
            self._mind_exit()
        return run.session_id or ""

    def _session_to_join(self, keeper: _Keeper, bot: dict[str, str]) -> str | None:
        """The session that the first one here goes on with: the one asked for, `botlight run`'s, a dead process's, or none."""
        if self._resume not in ("auto", "never"):
            return self._resume
        with contextlib.suppress(ValueError):
            return str(uuid.UUID(os.environ.get("STATUS_REPORTER_SESSION", "")))
        if self._resume == "never" or not keeper.start():
            return None

        def may_follow(page: dict[str, Any]) -> bool:
            age, was = time.time() - page["wall_at_write"], page["bot"]
            same = page["role"] == "main" and was["platform"] == bot["platform"] and was["name"] == bot["name"]
            return same and page["result"] is None and not page["stop"] and 0 <= age < self._resume_window

        return keeper.spool.predecessor(may_follow)

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

        Waits until the service has it, `exit_timeout` at most, less when it does not answer, and then 0.2 s at most for
        the disk. True: the service has it.
        False: it is on disk, still tried while the process lives, and delivered by the next bot that starts. The first
        call counts; later ones tell whether it arrived.
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
        keeper, entry = self._keeper, _OnStop(self, callback)

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
        if self._is_elsewhere() or self._keeper is None or self._run.session_id is None:
            return False
        self._keeper.tell(_Keeper.flush, receipt)
        patience = _Patience(self, receipt, _clamp(timeout, 0, 1e9) or 0.0, disk=False)
        while patience.lasts():
            time.sleep(0.002)
        return receipt.acknowledged is True

    @_silent(None)
    def close(self, timeout: float | None = None) -> None:
        """Ends a session that has no end yet as interrupted, waits like `complete_session`, and ends the threads."""
        keeper = self._keeper
        if self._is_elsewhere() or keeper is None:
            return
        self._await_farewell(self._conclude("ended without result", None), timeout)
        self._keeper = None
        self.disabled_reason = "closed"
        keeper.tell(_Keeper.close)
        _stay_here.pop(id(self), None)
        ends = time.monotonic() + _DISK_EXIT_S - self._run.waited_for_disk
        while keeper.started and not keeper.spool.closed and time.monotonic() < ends:
            time.sleep(0.002)

    @property
    def session_id(self) -> str | None:
        """The session's id; None before the first one."""
        return self._run.session_id

    @property
    def status(self) -> dict[str, Any]:
        """The reporter's own condition, for people who wonder; never the token. At most a moment old."""
        keeper, run, now = self._keeper, self._run, time.monotonic()
        health, spool = (keeper.health, keeper.spool) if keeper else (_Health(), None)
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
            "restarts": keeper.all_restarts if keeper else 0,
            "last_error": health.last_error,
            "next_try_s": None if health.next_try_at is None else round(max(0.0, health.next_try_at - now), 3),
            "spool_path": spool and spool.path,
            "spool_ok": spool is not None and spool.ok,
            "spool_error": spool.error if spool else "",
            "pending_replays": spool.pending if spool else 0,
            "ignored": health.ignored,
            "dropped": health.drops,
            "jobs_without_key": health.unkeyed,
            "counters": {name: int(value) if value.is_integer() else value for name, value in counters.items()},
            "clock_offset_s": health.clock_offset_s,
            "runtime": "inert-child" if self._is_copy else _runtime(keeper),
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
        keeper = self._keeper
        if keeper is None or _mute.on:
            return
        keeper.tell(_Keeper.ignore, 1)
        if keeper.inbox.qsize() > _MAX_BACKLOG:
            self._fold(keeper)

    def _finish(self, outcome: str, error: object) -> tuple[_Receipt, bool]:
        """Says how the session ended; answers the receipt for that, and whether it was said before."""
        run, keeper = self._run, self._keeper
        mine = _Receipt()
        if self._is_elsewhere() or keeper is None or run.session_id is None:
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

    def _conclude(self, why: str, error: BaseException | None) -> _Receipt | None:
        """Gives a session without an end one that is only concluded: what the bot says itself later replaces it.

        Answers the receipt to wait for; None: there is nothing to wait for.
        """
        run, keeper = self._run, self._keeper
        if self._is_elsewhere() or keeper is None or run.session_id is None:
            return None
        if "said" in run.ending:  # and is waited for with all that other threads said before it
            receipt = _Receipt()
            keeper.tell(_Keeper.flush, receipt)
        else:
            receipt = run.ending.setdefault("guessed", _Receipt())
            outcome, reason = ("interrupted", why) if error is None else _Session.outcome(error)
            keeper.tell(_Keeper.end, run, {"outcome": outcome, "inferred": True, "error": _error(reason)}, receipt)
        return receipt

    def _await_farewell(self, receipt: _Receipt | None, timeout: float | None = None) -> None:
        keeper = self._keeper
        if receipt is None or keeper is None:
            return
        self._await_end(receipt, timeout)
        if timeout is None and keeper.spool.pending:
            keeper.tell(_Keeper.hasten)
            ends = time.monotonic() + min(_REPLAY_EXIT_S, self._exit_timeout - self._run.waited)
            while keeper.gets_through and keeper.spool.pending and time.monotonic() < ends:
                time.sleep(0.002)

    # Other processes.

    def for_worker(self) -> StatusReporter:
        """A reporter to hand to worker processes: pickle it, or let `multiprocessing` do so, into as many as you like.

        In each process it counts into this session as an instance of its own, from its first call on, and hears of a stop
        within 15 seconds; the session's activity and end stay this reporter's. `complete_session` there only waits until
        all is delivered. Begins a session when none runs. The pickle holds the token: hand it to your own processes only.
        """
        if self._run.session_id is None:
            self.start_session()
        run = self._run
        if self._keeper is None or run.session_id is None or not run.open:
            self._ignore("for_worker: expected a session that runs")
            return self
        settings = {**self._address.settings(), "name": self._name, "heartbeat_interval": self._interval}
        settings |= {"exit_timeout": self._exit_timeout, "strict": self._strict, "spool_dir": self._spool_dir}
        return _worker_here(run.session_id, dict(self._bot), settings)

    @_silent(None)
    def install_signal_handlers(self) -> None:
        """Lets SIGTERM, SIGHUP and (Windows) Ctrl-Break, which end a process without a word, report `interrupted` first.

        To be called from the main thread. A handler of the bot's own is called as before, and decides what happens; without
        one the process ends by the signal as it would have, `exit_timeout` later at most. What is ignored stays ignored.
        """
        if threading.current_thread() is not threading.main_thread():
            return self._ignore("install_signal_handlers: expected to be called from the main thread")
        for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
            number = getattr(signal, name, None)
            before = None if number is None else signal.getsignal(number)
            if number is not None and (callable(before) or before is signal.SIG_DFL):
                signal.signal(number, functools.partial(self._signalled, before))
        return None

    def _signalled(self, before: Any, number: int, frame: FrameType | None) -> None:
        self._told_to_end = "ended by " + signal.Signals(number).name
        if callable(before):
            before(number, frame)
            return
        _leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def __reduce__(self) -> tuple[Callable[..., StatusReporter], tuple[Any, ...]]:
        stop = self._run.stop
        return _copy_elsewhere, (self._run.session_id, stop and (stop.id, stop.reason))

    def __copy__(self) -> StatusReporter:
        return self

    def __deepcopy__(self, _memo: object) -> StatusReporter:
        return self

    def _is_elsewhere(self) -> bool:
        """Whether this is another process than the one that the reporter works in, of which nobody told us."""
        if self._pid != os.getpid():
            self._forget_parent()
        return self._is_copy

    def _forget_parent(self) -> None:
        """After a fork, in the child: a session that runs stays the parent's; one not yet begun may still begin here."""
        parents, self._keeper = self._keeper, None
        self._pid = os.getpid()
        if parents:
            parents.forget()
            if self._run.session_id is None:
                self._address.forget()
                self._keeper = self._new_keeper()
                self._keeper.on_stop = parents.on_stop
            else:
                self._become_copy()

    def _become_copy(self) -> None:
        self._keeper = None
        self._is_copy = True
        self.disabled_reason = "this is a copy in another process; for_worker() makes a reporter for one"

    def _mind_exit(self) -> None:
        """Sees to the end of a child of `multiprocessing`, where no `atexit` hook may run."""
        process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
        if process and util and process.parent_process() is not None:
            util.Finalize(None, _leave, exitpriority=0)

    def _take_leave(self) -> _Receipt | None:
        """The end of a process that told no end: the truth as far as the interpreter knows it."""
        error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)  # typed in, it may be of long ago
        return self._conclude(self._told_to_end or "ended without result", error)


class _WorkerReporter(StatusReporter):
    """What `for_worker` makes: begins by itself, in each process anew, and never ends the session."""

    def __init__(self, session_id: str, bot: dict[str, str], settings: dict[str, Any]) -> None:
        super().__init__(**settings, stream=False)
        self._made_of = (session_id, bot, settings)

    def __reduce__(self) -> tuple[Callable[..., StatusReporter], tuple[Any, ...]]:
        return _worker_here, self._made_of

    def for_worker(self) -> StatusReporter:
        return self

    @_silent("")
    def start_session(self, version: object = "", platform: object = None) -> str:  # noqa: ARG002 -- the session's
        """Begins this process's part of the session, as every other call does."""
        self._is_elsewhere()
        before, keeper = self._run, self._fit_keeper()
        if keeper is None or before.session_id:
            return before.session_id or ""
        session_id, bot, _ = self._made_of
        mine = _Run(session_id)
        mine.role = "worker"
        run = before.next.setdefault("run", mine)
        if run is mine:
            self._run = run
            keeper.pace.degraded = True  # nobody pushes a stop to it
            keeper.tell(functools.partial(_Keeper.begin, attach=True), run, bot)
            keeper.start()
            self._mind_exit()
        return session_id

    @property
    def should_stop(self) -> bool:
        if self._run.session_id is None:
            self.start_session()
        return super().should_stop

    def _note(self, call: Callable[..., None], *args: Any) -> None:
        if self._run.session_id is None:
            self.start_session()
        super()._note(call, *args)

    def _finish(self, outcome: str, error: object) -> tuple[_Receipt, bool]:  # noqa: ARG002 -- not to be told
        """The end of a task is not the session's, nor this process's: what was said is to be delivered, that is all."""
        receipt = _Receipt()
        if self._is_elsewhere() or self._keeper is None or self._run.session_id is None:
            return receipt, True
        self._run.waited = 0.0
        self._keeper.tell(_Keeper.flush, receipt)
        return receipt, False

    def _forget_parent(self) -> None:
        self._run = _Run(None)
        super()._forget_parent()

    def rest(self) -> None:
        """Ends the threads once the session is over and all is delivered; a call that comes even so begins anew."""
        keeper = self._keeper
        if keeper and keeper.has_no_more_to_do:
            self._keeper = self._new_keeper()  # first, so that no call begins anew with the old one
            self._run = _Run(None)
            keeper.tell(_Keeper.close)


_workers: dict[str, _WorkerReporter] = {}


def _worker_here(session_id: str, bot: dict[str, str], settings: dict[str, Any]) -> StatusReporter:
    """The one worker's reporter of a session in this process, however often it is unpickled."""
    known = _workers.get(session_id)
    if known:
        return known
    for one in list(_workers.values()):  # a process of a pool may outlive any number of sessions
        one.rest()
    return _workers.setdefault(session_id, _WorkerReporter(session_id, bot, settings))


def _copy_elsewhere(session_id: str | None, stop: tuple[str, str | None] | None) -> StatusReporter:
    """What becomes of a pickled reporter: one that does nothing, and knows whether it is to stop."""
    copy = StatusReporter("")
    copy._become_copy()  # noqa: SLF001 -- same file
    copy._run.session_id = session_id  # noqa: SLF001 -- same file
    copy._run.stop = stop and _Stop(*stop)  # noqa: SLF001 -- same file
    return copy


def _is_imported_again() -> bool:
    """Whether this is a child of `multiprocessing` that is only about to import the bot's main script once more."""
    process = sys.modules.get("multiprocessing.process")
    if process and getattr(process.current_process(), "_inheriting", False):
        return True
    if not getattr(sys, "frozen", False):
        return False
    is_server = sys.argv[-2:-1] == ["-c"] and sys.argv[-1].startswith("from multiprocessing.")
    return is_server or sys.argv[1:2] == ["--multiprocessing-fork"]  # until `freeze_support` takes over


# By their ids, because the bot's own subclass may not be hashable; weakly, because a hook stays for ever.
_made_here: weakref.WeakValueDictionary[int, StatusReporter] = weakref.WeakValueDictionary()


def _after_fork() -> None:
    for reference in _made_here.valuerefs():
        reporter = reference()
        if reporter is not None:
            with contextlib.suppress(Exception):
                reporter._forget_parent()  # noqa: SLF001 -- same file


_stay_here: dict[int, StatusReporter] = {}  # those that are not closed: they work until the process ends


def _leave() -> None:
    """The end of the process, silently: each reporter says its word first, then one wait serves them all."""
    with contextlib.suppress(Exception, KeyboardInterrupt):  # an impatient person wants no more waiting
        waiting = [(one, one._take_leave()) for one in list(_stay_here.values())]  # noqa: SLF001 -- same file
        waited = waited_for_disk = 0.0
        for reporter, receipt in waiting:
            run, began = reporter._run, time.monotonic()  # noqa: SLF001 -- same file
            run.waited += waited
            run.waited_for_disk += waited_for_disk
            before = run.waited_for_disk
            reporter._await_farewell(receipt)  # noqa: SLF001 -- same file
            waited_for_disk += run.waited_for_disk - before
            waited += time.monotonic() - began - (run.waited_for_disk - before)


atexit.register(_leave)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Patience:
    """How long a caller goes on waiting for a receipt.

    Without a time of its own it is `exit_timeout`, all waits for one end together, and far less when the last attempt
    failed; but the first attempt is waited for, else a script that lives 50 ms would never get a word out.
    """

    def __init__(
        self, reporter: StatusReporter, receipt: _Receipt, timeout: float | None, *, disk: bool = True
    ) -> None:
        self._receipt = receipt
        self._disk = disk
        self._turned_at: float | None = None  # from waiting for the service to waiting for the disk
        self._keeper = reporter._keeper  # noqa: SLF001 -- same file
        self._run = reporter._run  # noqa: SLF001 -- same file
        self._began_at = time.monotonic()
        self._patient = timeout is not None
        self._seconds = reporter._exit_timeout - self._run.waited if timeout is None else timeout  # noqa: SLF001 -- same file
        self._able = self._keeper is not None and (self._keeper.started or self._keeper.start())

    def lasts(self) -> bool:
        """Whether to look again: it is not settled, there is somebody who may settle it, and there is time."""
        if not self._able:
            return False
        now = time.monotonic()
        spent = now - self._began_at
        failing = self._keeper is not None and self._keeper.health.fails > 0
        limit = (
            min(self._seconds, _FAILING_EXIT_S - self._run.waited) if failing and not self._patient else self._seconds
        )
        if self._receipt.acknowledged is None and spent < limit:
            return True
        self._turned_at = self._turned_at or now
        return self._disk and self._disk_is_busy and now - self._turned_at < _DISK_EXIT_S - self._run.waited_for_disk

    @property
    def _disk_is_busy(self) -> bool:
        return not self._receipt.at_spool or (self._keeper is not None and self._keeper.spool.busy)

    def __enter__(self) -> _Patience:  # noqa: PYI034 -- Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        now = time.monotonic()
        turned_at = self._turned_at or now
        self._run.waited += turned_at - self._began_at  # of the time that the bot gives to this end
        self._run.waited_for_disk += now - turned_at


def _is_switched_off() -> bool:
    return os.environ.get("STATUS_REPORTER_DISABLED", "").strip().lower() not in ("", "0", "false", "no")


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
    """`stop_event`: an Event for code that already looks at one. Looking at it is looking at `should_stop`.

    It never touches the lock of an Event: that may be left taken by a signal handler that raises, or by a fork.
    """

    def __init__(self, reporter: StatusReporter) -> None:
        super().__init__()
        self._reporter = reporter
        self._set_by_bot = False

    def is_set(self) -> bool:
        return self._set_by_bot or self._reporter.should_stop

    def set(self) -> None:
        self._set_by_bot = True

    def clear(self) -> None:
        """Undoes the bot's own `set`; a stop stays a stop."""
        self._set_by_bot = False

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
            receipt, before = self._reporter._finish(*self._outcome(error))  # noqa: SLF001 -- same file
            if not before:
                self._reporter._await_end(receipt, None)  # noqa: SLF001 -- same file
        return isinstance(error, StopRequested)

    async def __aenter__(self) -> StatusReporter:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        import asyncio  # noqa: PLC0415 -- already there in a bot that awaits

        receipt, before = self._reporter._finish(*self._outcome(error))  # noqa: SLF001 -- same file
        if not before:
            with _Patience(self._reporter, receipt, None) as patience:
                while patience.lasts():  # noqa: ASYNC110 -- the other side is a thread, and an Event has a lock
                    await asyncio.sleep(0.002)
        return isinstance(error, StopRequested)

    def _outcome(self, error: BaseException | None) -> tuple[str, object]:
        signalled = self._reporter._told_to_end  # noqa: SLF001 -- same file
        return ("interrupted", signalled) if signalled and isinstance(error, SystemExit) else self.outcome(error)

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


# ---- The self-test: a silent reporter must be able to speak when it is asked ----

_ADVICE = {
    # what the service or the way there says: (what it means, what to do)
    "token": (
        "the token was refused: the service does not know it, or it was revoked or has expired",
        "make a new token of scope `report` on the service's page under Tokens, and copy it as a whole",
    ),
    "scope": (
        "the token was refused: it may not report",
        "make a token of scope `report` on the service's page under Tokens",
    ),
    "old": ("the service needs a newer reporter", "pip install -U botlight-reporter, or copy the file anew"),
    "rate": ("the service is asked too often with this token", "wait a minute, and try again"),
    "unavailable": ("the service is there, but cannot reach or write its store", "look at the service's log"),
    "host": (
        "the service does not go by the name in the address",
        "use the address that the service prints when it starts, or add this one to BOTLIGHT_ALLOWED_HOSTS there",
    ),
    "address": (
        "the name of the host is not known (DNS)",
        "look for a typing error in it; is this computer online? does the name work in a browser here?",
    ),
    "nobody": (
        "nothing listens there",
        "start the service (`botlight serve`), or compare the address and its port with what it printed at its start",
    ),
    "silence": (
        "no answer within ten seconds",
        "a firewall or VPN may swallow what is sent, or the name server does not answer: try the address in a browser here",
    ),
    "speaks https": ("that port speaks https", "begin the address with https://"),
    "speaks http": ("that port speaks plain http", "begin the address with http://, or use the port for https"),
    "proxy": (
        "the proxy on the way does not let us through",
        "ask whoever runs the proxy; or, where none is needed, name the host in NO_PROXY (in the bot: `proxy=False`)",
    ),
    "redirect": (
        "the address leads on to another one, which is not followed",
        "use the address that a browser ends up at",
    ),
    "trust": (
        "nobody whom this system trusts vouches for the service's certificate",
        "an authority of your own: give its file with --ca-file (in the bot: `ca_file=`); otherwise something reads along",
    ),
    "clock": (
        "the service's certificate is out of its time",
        "set this computer's clock; when it is right, the service needs a new certificate",
    ),
    "name": ("the service's certificate is another host's", "use the host name that the certificate was made for"),
    "stranger": (
        "something answers there, but it is not the service: another program, a Wi-Fi's page, a path that is not ours",
        "compare the address, its port and its path with what the service printed when it started; open it in a browser here",
    ),
    "clear": (
        "plain http to a public address would show the token to others on the way",
        "use https; or, if you know what you do, --allow-insecure (in the bot: `allow_insecure=True`)",
    ),
}


_TOPICS = (  # how the failure of a request begins, and which advice is about it
    ("redirected", "redirect"),
    ("HTTP ", "stranger"),
    ("the proxy refused", "proxy"),
    ("plain http", "clear"),
    ("the certificate is not trusted", "trust"),
    ("the certificate is another", "name"),
    ("the certificate ", "clock"),
    ("no certificate authorities", "trust"),
    ("gaierror", "address"),
    ("ConnectionRefusedError", "nobody"),
    ("took too long", "silence"),
    ("TimeoutError", "silence"),
    ("timeout", "silence"),  # Python 3.9 calls it so
)
_QUOTES = frozenset("\"'`\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb")


class _SelfTest:
    """`python status_reporter.py`: sends one report with the bot's settings, and says what hinders it and what to do.

    Exit code 0: a report got through, and what cannot be sent has a place on the disk. 1: not. 2: the settings are at fault.
    """

    def __init__(self, options: Any) -> None:
        self._options = options
        self._token = options.token if options.token is not None else os.environ.get("STATUS_REPORTER_TOKEN", "")
        self._url = (options.url or os.environ.get("STATUS_REPORTER_URL", "")).strip() or "http://localhost:3000"

    def run(self) -> int:
        fault = self._fault_of_settings()
        if fault:
            self._tell(*fault)
            return 2
        try:
            address = _Address(
                self._url,
                self._token.strip(),
                allow_insecure=self._options.allow_insecure,
                proxy=self._options.proxy,
                ca_file=self._options.ca_file,
            )
            folders = _spool_folders(self._options.spool_dir)
        except ValueError as error:
            self._tell(f"status reports are off: {error}", "mend that setting; `--help` lists all of them")
            return 2
        address.look_for_proxy()
        address.heed_exceptions()
        self._say(f"service: {address.origin}{' by way of a proxy' if address.proxied else ''}")
        sound = self._try_disk(folders)
        return 0 if self._try_report(address) and sound else 1

    def _fault_of_settings(self) -> tuple[str, str] | None:
        token = self._token.strip()
        off = "status reports are off: "
        where = "make one of scope `report` on the service's page under Tokens, and set STATUS_REPORTER_TOKEN to it"
        ca_file = self._options.ca_file
        faults = (
            (_is_switched_off(), off + "STATUS_REPORTER_DISABLED is set", "unset it, where the bot runs too"),
            (not token, off + "no token", where),
            ({*token[:1], *token[-1:]} & _QUOTES, off + "there are quotation marks around the token", "leave them out"),
            (token.lower().startswith("bearer "), off + "the token begins with Bearer", "leave that word out"),
            (re.search(r"\s", token), off + "a space or a line break is in the token", "copy it again, in one piece"),
            (
                ca_file and not os.access(ca_file, os.R_OK),
                f"cannot read the authorities in {ca_file}",
                "correct --ca-file",
            ),
        )
        return next(((fault, remedy) for is_so, fault, remedy in faults if is_so), None)

    def _try_disk(self, folders: list[pathlib.Path]) -> bool:
        faults = []
        for folder in folders:
            fault = _make_private(folder)
            if not fault:
                self._say(f"spool: {folder}")
                return True
            faults.append(f"{folder}: {fault}")
        if faults:
            self._tell(
                "what cannot be sent has no place on the disk, and would be lost with the process: "
                + "; ".join(faults),
                "let this user write into one of these folders, or give another with `spool_dir=`",
            )
        return not faults

    def _try_report(self, address: _Address) -> bool:
        line, answers = _Line(_REQUEST_S), list[_Answer]()
        sent = self._report()
        cutter = threading.Timer(_REQUEST_S, line.cut)
        cutter.daemon = True
        cutter.start()
        attempt = threading.Thread(
            target=lambda: answers.append(_post(address, sent.path, sent.body, line)), daemon=True
        )
        attempt.start()
        attempt.join(_REQUEST_S + 2)  # a name server that does not answer cannot be interrupted
        cutter.cancel()
        answer = answers[0] if answers else _Answer(0, {}, error="took too long")
        if answer.code in (200, 201):
            self._say("a report got through; the board shows it as self-test")
            self._look_at_clock(answer)
            return True
        self._tell(*self._diagnose(address, answer))
        return False

    @staticmethod
    def _report() -> _Sent:
        """A whole session in one request."""
        now, ledger = time.monotonic(), _Ledger(_Health())
        ledger.begin(
            now,
            _Run(str(uuid.uuid4())),
            {"name": "self-test", "version": __version__, "platform": sys.platform},
            attach=False,
        )
        ledger.act(now, "self-test", None)
        ledger.end(now, {"outcome": "success", "inferred": False, "error": None}, _Receipt())
        return ledger.snapshot(now, time.time(), 45, {})

    def _look_at_clock(self, answer: _Answer) -> None:
        ahead = -(_offset_s(answer.document.get("server_time")) or 0.0)
        if abs(ahead) > 120:
            way = "ahead of" if ahead > 0 else "behind"
            self._say(
                f"note: this computer's clock is {abs(ahead) / 60:.0f} minutes {way} the service's; reports do not mind"
            )

    def _diagnose(self, address: _Address, answer: _Answer) -> tuple[str, str]:
        """What hindered the report, and what to do."""
        if answer.code:
            return self._refusal(answer)
        topic = self._topic(address, answer.error)
        fault, remedy = _ADVICE.get(
            topic, (f"no report gets through: {answer.error}", "open the address in a browser on this computer")
        )
        if topic in ("redirect", "stranger"):
            fault += f" ({answer.error})"
        if address.proxied and topic != "proxy":
            fault += ", by way of the proxy that the environment or --proxy names"
            remedy += "; or " + _ADVICE["proxy"][1]
        return fault, remedy

    @staticmethod
    def _topic(address: _Address, error: str) -> str:
        """Which advice is about it; looks once more, without the token, where the failure alone does not tell."""
        topic = next((topic for start, topic in _TOPICS if error.startswith(start)), "")
        if topic in ("", "stranger") and not address.proxied:
            if address.secure and error.startswith("SSL") and _speaks(address, tls=False):
                return "speaks http"
            if not address.secure and _speaks(address, tls=True):
                return "speaks https"
        return topic

    @staticmethod
    def _refusal(answer: _Answer) -> tuple[str, str]:
        problem = str(answer.document.get("code"))
        by_number = {401: "token", 403: "scope", 426: "old"}
        topic = problem if problem in _ADVICE else by_number.get(answer.code, "")
        said = _text(answer.document.get("detail") or answer.document.get("title") or problem, 300)
        return _ADVICE.get(
            topic, (f"the service refused the report ({answer.code}): {said}", "look at the service's log")
        )

    def _tell(self, fault: str, remedy: str) -> None:
        self._say(f"{fault}\n  what to do: {remedy}")

    @staticmethod
    def _say(text: str) -> None:
        if sys.stdout is not None:
            sys.stdout.write(text.encode("ascii", "backslashreplace").decode() + "\n")
            sys.stdout.flush()


def _speaks(address: _Address, *, tls: bool) -> bool:
    """Whether a server at that address speaks TLS, or plain http. Sends no token, and trusts nothing that it hears."""
    try:
        with socket.create_connection((address.host, address.port), timeout=_CONNECT_S) as sock:
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE  # only to see whether it shakes hands
                with context.wrap_socket(sock, server_hostname=address.host):
                    return True
            sock.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            return sock.recv(16).startswith(b"HTTP/")
    except (OSError, ValueError):
        return False


def _self_test(arguments: list[str] | None = None) -> int:
    import argparse  # noqa: PLC0415 -- nothing that a bot needs

    what = _SelfTest.__doc__ or ""
    parser = argparse.ArgumentParser(
        prog="python status_reporter.py",
        description=what,
        epilog="Without options the environment holds: STATUS_REPORTER_TOKEN, STATUS_REPORTER_URL, STATUS_REPORTER_DISABLED.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", help="where the service is; else STATUS_REPORTER_URL, else http://localhost:3000")
    parser.add_argument("--token", help="else STATUS_REPORTER_TOKEN, which is better: others see a command's options")
    parser.add_argument("--ca-file", help="certificate authorities to trust instead of the system's")
    parser.add_argument("--proxy", help="http://host:port for an https address; else the environment's")
    parser.add_argument("--allow-insecure", action="store_true", help="plain http also to public addresses")
    parser.add_argument("--spool-dir", default="auto", help="the folder for what cannot be sent")
    return _SelfTest(parser.parse_args(arguments)).run()


if __name__ == "__main__":
    sys.exit(_self_test())
