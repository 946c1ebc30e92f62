"""Who asks while the service is fuzzed, and how a request is made and held against the contract."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import requests
import schemathesis
import yaml
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation

from botlight.cli.wiring import open_access
from botlight.model.access import Scope
from botlight.model.session import Instant
from botlight.service.secret import csrf_of
from tests.support.service import API, RunningService

__all__ = ["CALLERS", "OPERATIONS", "SCHEMA", "Caller", "may"]

CONTRACT: Final = Path(__file__).parents[2] / "contract" / "openapi.yaml"
STREAMS: Final = frozenset({f"{API}/events", f"{API}/commands"})
ORIGIN: Final = "https://blog.example"
CALLERS: Final = ("report", "view", "operate", "embed", "person", "stranger")
TOKENS: Final = 4  # each may ask 50 times a second, 200 times at once
SIGN_INS: Final = 120  # signing out uses one up
CONFIG: Final = SchemathesisConfig.from_dict(
    {
        "phases": {"stateful": {"inference": {"algorithms": []}}},  # the links that are written down, no guessed ones
        "generation": {"with-security-parameters": False, "allow-x00": False, "database": "none"},
        "checks": {
            # Who may ask and which methods a path knows has tests of its own, with every scope.
            "ignored_auth": {"enabled": False},
            "unsupported_method": {"enabled": False},
            # What is too large is refused before it is read.
            "negative_data_rejection": {
                "expected-statuses": ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429"]
            },
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "304", "401", "403", "404", "409", "410", "413", "429"]
            },
        },
    }
)
SCHEMA: Final[Any] = schemathesis.openapi.from_dict(yaml.safe_load(CONTRACT.read_text()), config=CONFIG)
OPERATIONS: Final[dict[str, APIOperation[Any, Any, Any, Any]]] = {
    found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if found.ok().path not in STREAMS
}
"""Every operation by its method and path, streams apart."""

_addresses = count(1)


def may(operation: APIOperation[Any, Any, Any, Any], caller: str) -> bool:
    """Whether the contract lets this caller in."""
    return caller in (operation.definition.raw["x-scopes"] or ("stranger",))


class Caller:
    """Somebody new with several credentials of one kind, and what the service answered to them.

    The service has to trust 127.0.0.1 as a proxy: each request comes from another address of the loopback network, so
    that what is limited by address (sign-in) is tried often enough.
    """

    def __init__(self, service: RunningService, kind: str) -> None:
        self.service = service
        self._own = str(uuid4())
        self._turn = cycle([True, False])
        self._credentials: Iterator[dict[str, str]] = cycle(asyncio.run(_credentials(service, kind, self._own)))
        self._session = requests.Session()
        self._session.trust_env = False
        self.answers: Counter[tuple[str, int]] = Counter()
        """How often which operation answered what status."""

    def ask(self, case: Any) -> None:
        """Send a request and fail when the answer is not as the contract says; every second one is about a real session."""
        if next(self._turn) and case.meta.generation.mode.is_positive:
            _name_session(case, self._own)
        case.validate_response(self.send(case))

    def send(self, case: Any) -> Any:
        """Send a request with the next credential and from the next address."""
        _mend(case)
        number = next(_addresses)
        address = f"127.{1 + (number >> 16) % 255}.{number >> 8 & 255}.{number & 255}"
        headers = next(self._credentials) | {"X-Forwarded-For": address}
        response = case.call(base_url=self.service.address, session=self._session, headers=headers, timeout=20)
        self.answers[case.operation.label, response.status_code] += 1
        return response

    def statuses(self, label: str) -> Counter[int]:
        """What one operation answered."""
        return Counter({status: times for (name, status), times in self.answers.items() if name == label})

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


async def _credentials(service: RunningService, kind: str, own: str) -> list[dict[str, str]]:
    """Credentials of somebody new who has one running session with the id `own`."""
    if kind == "stranger":
        return [{}]
    async with open_access(service.settings) as (people, tokens):
        user = await people.add(f"fuzz-{uuid4().hex}", None)
        _, secret = await tokens.issue(user.id, "own bot", Scope.REPORT)
        _begin(service, secret, own)
        if kind == "person":
            secrets = [(await people.sign_in_by_link(await people.link(user.name)))[1] for _ in range(SIGN_INS)]
            cookie = f"botlight_{service.port}"
            return [
                {"Cookie": f"{cookie}={secret}", "Origin": service.address, "X-CSRF-Token": csrf_of(secret)}
                for secret in secrets
            ]
        embed: dict[str, Any] = (
            {"bot": "bot", "origin": ORIGIN, "expires_at": Instant(2**42)} if kind == "embed" else {}
        )
        issued = [(await tokens.issue(user.id, "fuzz", Scope(kind), **embed))[1] for _ in range(TOKENS)]
        page = {"Origin": ORIGIN} if embed else {}
        return [{"Authorization": f"Bearer {secret}", **page} for secret in issued]


def _begin(service: RunningService, secret: str, own: str) -> None:
    body = {"session_id": own, "bot": {"name": "bot"}, "activity": "applying", "counters": {"jobs_found": 1}}
    with service.client({"Authorization": f"Bearer {secret}"}) as client:
        assert client.post(f"{API}/start", json=body).status_code == 201


def _name_session(case: Any, session_id: str) -> None:
    """Make a request about this session, where it is about one that has to be there."""
    name = case.operation.definition.raw["operationId"]
    if name in {"session", "timeline", "jobs", "delete_session"}:
        case.path_parameters["id"] = session_id
    elif name in {"stop", "close"}:
        case.body["session_id"] = session_id
    elif name == "status":
        case.query = {**(case.query or {}), "session_id": session_id}


def _mend(case: Any) -> None:
    """What the contract says in words and its schemas cannot.

    Integers are written without a fraction (45.0 is one to a schema), and a cursor is what the service gave.
    """
    if case.operation.body and isinstance(case.body, dict | list | float):
        case.body = _whole(case.body)
    if case.query and case.meta.generation.mode.is_positive:
        case.query.pop("cursor", None)


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
