"""JSON ↔ model: the only place that knows the field names on the wire. Parse at the door; below it no dict travels."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from botlight.model.command import Command
from botlight.model.errors import Invalid
from botlight.model.event import Fact, JobOutcome
from botlight.model.liveness import shown_state
from botlight.model.report import MAX_COUNTER, Activity, Snapshot, micros
from botlight.model.session import COUNTERS, BotSession, Instance, Instant, Micros, number
from botlight.service.ports import Token

__all__ = [
    "command_document",
    "decode",
    "decode_query",
    "decode_snapshot",
    "encode",
    "fact_document",
    "instance_document",
    "instant_of",
    "job_document",
    "public_document",
    "rfc3339",
    "session_document",
    "token_document",
    "totals_document",
]

T = TypeVar("T")

MAX_DETAILS: Final = 2048
MAX_DEPTH: Final = 32
PRIVATE: Final = frozenset(
    {"user_id", "activity_details", "waiting_reason", "error_type", "error_message", "stop_reason"}
)

_encoder = msgspec.json.Encoder(decimal_format="number")
encode = _encoder.encode

_snapshots = msgspec.json.Decoder(Snapshot, float_hook=Decimal)
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at (?:`key` in )?`\$(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")  # an entry of a map is [...], whatever its key: the map is named
_MISSING = re.compile(r"^Object missing required field `(?P<field>[^`]+)`$")


def decode(body: bytes, as_type: type[T]) -> T:
    """A JSON body as a value of the given type.

    Raises:
        Invalid: not JSON, or a field that is not as the contract says; names the field.
    """
    _refuse_nul(body)
    try:
        return msgspec.json.decode(body, type=as_type)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body is not JSON: {error}", malformed=True) from None


def decode_snapshot(body: bytes, *, needs_id: bool, needs_result: bool = False) -> Snapshot:
    """A bot's snapshot; numbers are read exactly.

    Raises:
        Invalid: as `decode`, and what its types cannot say.
    """
    _refuse_nul(body)
    try:
        snapshot = _snapshots.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError) as error:
        raise Invalid(f"The body is not JSON: {error}", malformed=True) from None
    if needs_id and snapshot.session_id is msgspec.UNSET:
        raise _wrong("/session_id", "expected a UUID; only start may leave it out")
    if needs_result and not snapshot.result:
        raise _wrong("/result", "expected how it ended; complete needs that")
    for name, value in snapshot.counters.items():
        if type(value) is not int or not 0 <= value <= MAX_COUNTER:
            _check_number(value, f"/counters/{_escaped(name)}")
    for index, job in enumerate(snapshot.jobs):
        if job.credits is not None:
            _check_number(job.credits, f"/jobs/{index}/credits")
    activity = snapshot.activity
    if isinstance(activity, Activity) and isinstance(activity.details, dict) and not _surely_small(body):
        _check_details(activity.details)
    return snapshot


def decode_query(parameters: dict[str, str], as_type: type[T]) -> T:
    """Query parameters as a value of the given type. Unknown ones are ignored.

    Raises:
        Invalid: one is not as the contract says; names it.
    """
    for name, value in parameters.items():
        if "\0" in value:
            raise _wrong(f"?{name}", "expected text without U+0000")
    try:
        return msgspec.convert(parameters, type=as_type, strict=False)
    except msgspec.ValidationError as error:
        [(pointer, expected)] = _invalid(str(error)).errors
        raise _wrong(f"?{pointer.removeprefix('/')}", expected) from None


def _refuse_nul(body: bytes) -> None:
    """No text may hold U+0000: PostgreSQL cannot keep it, and a statement must not fail later."""
    if b"\\u0000" not in body:
        return
    # An escaped backslash before it makes it six harmless characters.
    if re.search(rb"(?<!\\)(?:\\\\)*\\u0000", body):
        raise Invalid("U+0000 is not allowed in any text.", errors=(("", "text without U+0000"),))


def _check_number(value: Any, pointer: str) -> None:
    try:
        micros(value)
    except ValueError as error:
        raise _wrong(pointer, str(error)) from None


def _surely_small(body: bytes) -> bool:
    """Whether nothing in a body can be too deep or too large: written out again, JSON grows by less than half (1E9)."""
    return len(body) <= MAX_DETAILS // 2 and body.count(b"{") + body.count(b"[") <= MAX_DEPTH


def _check_details(details: dict[str, Any]) -> None:
    if _deeper_than(details, MAX_DEPTH):
        raise _wrong("/activity/details", f"expected at most {MAX_DEPTH} levels of lists and objects")
    if len(encode(details)) > MAX_DETAILS:
        raise _wrong("/activity/details", f"expected at most {MAX_DETAILS} bytes of JSON")


def _deeper_than(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper_than(one, levels - 1) for one in inner)


def _wrong(pointer: str, expected: str) -> Invalid:
    return Invalid(f"{pointer}: {expected}", errors=((pointer, expected),))


def _invalid(message: str) -> Invalid:
    """The JSON pointer in the place of the path that msgspec names, and its words."""
    found = _WHERE.match(message)
    what, path = (found["what"], found["path"] or "") if found else (message, "")
    steps = [name or index for name, index in _STEP.findall(path)]
    if missing := _MISSING.match(what):
        steps.append(missing["field"])
        what = "expected; it is required"
    pointer = "".join(f"/{_escaped(step)}" for step in steps)
    return Invalid(f"{pointer or 'body'}: {what}", errors=((pointer, what),))


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


# -- values ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def rfc3339(at: Instant | None) -> str | None:
    """An instant as RFC 3339 in UTC with milliseconds."""
    return None if at is None else f"{_second(at // 1000)}.{at % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def instant_of(text: str, pointer: str) -> Instant:
    """An RFC 3339 instant from a query.

    Raises:
        Invalid: it is none, or has no zone.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _wrong(pointer, "expected an RFC 3339 time with a zone, such as 2026-01-21T10:00:00Z")
    return Instant(int(at.timestamp() * 1000))


def totals_document(totals: dict[str, Micros]) -> dict[str, int | Decimal]:
    """Every counter, the four that all sessions have first."""
    return {name: number(totals.get(name, Micros(0))) for name in COUNTERS} | {
        name: number(value) for name, value in totals.items() if name not in COUNTERS
    }


def public_document(session: BotSession, now: Instant) -> dict[str, Any]:
    """What strangers may see through an embed token: names, state, times, counters, progress."""
    return {field: value for field, value in session_document(session, now).items() if field not in PRIVATE}


def session_document(session: BotSession, now: Instant) -> dict[str, Any]:
    """The document that everybody sees: one set of names for routes, streams, pages and columns."""
    totals = session.totals
    return {
        "id": session.id,
        "user_id": session.user_id,
        "bot_name": session.bot_name,
        "bot_version": session.bot_version,
        "platform": session.platform,
        "status": session.status,
        "state": shown_state(session, now),
        "activity": session.activity,
        "activity_details": session.activity_details,
        "activity_at": rfc3339(session.activity_at),
        **{name: number(totals.get(name, Micros(0))) for name in COUNTERS},
        "counters": {name: number(value) for name, value in totals.items() if name not in COUNTERS},
        "progress_done": session.progress_done,
        "progress_total": session.progress_total,
        "progress_at": rfc3339(session.progress_at),
        "waiting_until": rfc3339(session.waiting_until),
        "waiting_reason": session.waiting_reason,
        "error_type": session.error_type,
        "error_message": session.error_message,
        "created_at": rfc3339(session.created_at),
        "started_at": rfc3339(session.started_at),
        "last_heartbeat_at": rfc3339(session.last_heartbeat_at),
        "heartbeat_s": session.heartbeat_s,
        "lease_expires_at": rfc3339(session.lease_expires_at),
        "stop_requested_at": rfc3339(session.stop_requested_at),
        "stop_reason": session.stop_reason,
        "stop_delivered_at": rfc3339(session.stop_delivered_at),
        "stop_seen_at": rfc3339(session.stop_seen_at),
        "ended_at": rfc3339(session.ended_at),
        "outcome": session.outcome,
        "inferred": session.inferred,
        "instances": session.instances,
        "revision": session.revision,
    }


def command_document(command: Command) -> dict[str, Any]:
    """A command as listed in answers and streams."""
    return {
        "id": command.id,
        "type": command.type,
        "reason": command.reason,
        "issued_at": rfc3339(command.issued_at),
    }


def fact_document(fact: Fact) -> dict[str, Any]:
    """One entry of a timeline."""
    return {
        "n": fact.n,
        "at": rfc3339(fact.at),
        "kind": fact.kind,
        "instance_id": fact.instance_id,
        "data": fact.data,
    }


def job_document(job: JobOutcome) -> dict[str, Any]:
    """One row of the proof list."""
    return {
        "n": job.n,
        "at": rfc3339(job.at),
        "key": job.key,
        "title": job.title,
        "company": job.company,
        "url": job.url,
        "outcome": job.outcome,
        "reason": job.reason,
        "credits": None if job.credits is None else number(job.credits),
    }


def instance_document(instance: Instance) -> dict[str, Any]:
    """One life of one process, as listed with its session."""
    result = instance.result
    return {
        "id": instance.id,
        "role": instance.role,
        "first_seen_at": rfc3339(instance.first_seen_at),
        "last_heartbeat_at": rfc3339(instance.last_heartbeat_at),
        "counters": totals_document(instance.counters),
        "outcome": result.outcome if result else None,
        "inferred": result.inferred if result else False,
        "stop_delivered_at": rfc3339(instance.stop_delivered_at),
        "stop_seen_at": rfc3339(instance.stop_seen_at),
    }


def token_document(token: Token) -> dict[str, Any]:
    """A token as listed; its secret is kept nowhere."""
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope,
        "created_at": rfc3339(token.created_at),
        "expires_at": rfc3339(token.expires_at),
        "last_used_at": rfc3339(token.last_used_at),
        "bot": token.bot,
        "session_id": token.session_id,
        "origin": token.origin,
    }
