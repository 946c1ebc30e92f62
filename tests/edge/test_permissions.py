"""Every operation of the contract, asked for by everybody: the owner succeeds, all others are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
import yaml

from tests.edge.cast import Cast, casting
from tests.support.keeping import Keeping
from tests.support.service import API, PASSWORD
from tests.support.stream import open_stream

CONTRACT: Final = Path(__file__).parents[2] / "contract" / "openapi.yaml"
DOCUMENT: Final[dict[str, Any]] = yaml.safe_load(CONTRACT.read_text())
OPERATIONS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    one["operationId"]: (method.upper(), path, one)
    for path, item in DOCUMENT["paths"].items()
    for method, one in item.items()
    if method != "parameters"
}
STREAMS: Final = ("events", "commands")
SHOWN_TO_STRANGERS: Final = set(DOCUMENT["components"]["schemas"]["EmbeddedSession"]["properties"])

# What the owner's request says: a session of the owner in the path, the query or the body.
BODIES: Final[dict[str, Callable[[Cast, str], dict[str, Any]]]] = {
    "start": lambda cast, _: {"session_id": cast.session_id},
    "heartbeat": lambda cast, _: {"session_id": cast.session_id},
    "complete": lambda cast, _: {"session_id": cast.session_id, "instance_id": str(uuid4()), **WORKER_ENDS},
    "stop": lambda cast, _: {"session_id": cast.session_id},
    "close": lambda cast, caller: {"session_id": cast.lost_id(caller)},
    "create_token": lambda *_: {"name": "new", "scope": "view"},
}
WORKER_ENDS: Final[dict[str, Any]] = {"role": "worker", "result": {"outcome": "success"}}
NAMES_NO_SESSION: Final = {"events", "sessions", "sign_out", "me", "tokens", "create_token", "refusals"}
"""Operations about whoever asks: another person with the right scope succeeds, and learns nothing of the owner."""

ENTRANCES: Final = {"sign_in", "link"}
OPEN: Final = {name for name, (_, _, one) in OPERATIONS.items() if not one["x-scopes"]} - ENTRANCES
GUARDED: Final = [name for name, (_, _, one) in OPERATIONS.items() if one["x-scopes"]]
OWNERS: Final = {
    "owner report": "report",
    "owner view": "view",
    "owner operate": "operate",
    "owner embed": "embed",
    "owner embed of the bot": "embed",
    "owner person": "person",
    "owner jwt": "person",
}
NOT_BY_JWT: Final = {"start", "heartbeat", "complete", "commands", "sign_out"}
"""What a person may do with a sign-in alone: a bot runs longer than a JWT lives, and its sign-out is the issuer's."""
OTHERS: Final = {f"other {scope}": scope for scope in ("report", "view", "operate", "embed", "person")} | {
    "other jwt": "person"
}
BESIDE: Final = ("owner embed of another session", "owner embed of another bot")
WRONG_PAGE: Final = ("owner embed on another origin", "owner embed without an origin")
NOBODY: Final = [
    "stranger",
    "stranger unknown token",
    "stranger no token",
    "stranger basic",
    "owner person signed out",
    "owner sign-in as a token",
    "owner token as a cookie",
    "owner jwt expired",
    "owner jwt of another issuer",
    "owner jwt as a service",
    "owner jwt forged",
    "owner jwt as a cookie",
    *(f"{whose} {scope} {how}" for whose in ("owner", "other") for scope in ("report", "view", "operate", "embed")
      for how in ("revoked", "expired")),
]  # fmt: skip


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory, keeping: Keeping) -> Iterator[Cast]:
    """One service for the whole table; what would use something up gets a thing of its own."""
    with casting(tmp_path_factory.mktemp("cast"), keeping) as found:
        yield found


def ask(cast: Cast, name: str, caller: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """Make the owner's request, as whoever is named."""
    method, path, _ = OPERATIONS[name]
    if "{id}" in path:
        path = path.replace("{id}", wanted_id(cast, name, caller))
    parameters = {"session_id": cast.session_id} if name in {"status", "commands"} else None
    body = BODIES[name](cast, caller) if name in BODIES else None
    with cast.service.client(headers or cast.from_afar(caller)) as client:
        return client.request(method, path, params=parameters, json=body)


def wanted_id(cast: Cast, name: str, caller: str) -> str:
    """The id in the path: something of the owner that the owner can be given."""
    if name == "revoke_token":
        return cast.owner.token("view").id if caller in ("owner person", "owner jwt") else cast.token_id
    if name == "delete_session":
        return cast.ended_id()
    return cast.session_id


def stream_status(cast: Cast, name: str, caller: str) -> tuple[int, str]:
    """Ask for a stream; answers the status, and the problem's code or the first event."""
    query = f"?session_id={cast.session_id}" if name == "commands" else ""
    with open_stream(f"{cast.service.api}/{name}{query}", cast.from_afar(caller)) as stream:
        return stream.status, stream.next().event if stream.status == 200 else stream.problem["code"]


def answered(cast: Cast, name: str, caller: str) -> tuple[int, str]:
    """Status and problem code (or first event) of a request."""
    if name in STREAMS:
        return stream_status(cast, name, caller)
    answer = ask(cast, name, caller)
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json()["code"] if is_problem else ""


def success(name: str) -> set[int]:
    """The statuses that mean success by the contract."""
    return {int(status) for status in OPERATIONS[name][2]["responses"] if status.startswith("2")}


def may(name: str, caller: str, scope: str) -> bool:
    """Whether that caller may use an operation, be it on nothing of the owner's."""
    by_jwt = caller.endswith("jwt") and name in NOT_BY_JWT
    return scope in OPERATIONS[name][2]["x-scopes"] and not by_jwt


def test_the_table_is_whole() -> None:
    """No operation of the contract is forgotten, and the words of this table are those of the contract."""
    assert set(GUARDED) | OPEN | ENTRANCES == set(OPERATIONS)
    assert NAMES_NO_SESSION | set(STREAMS) | set(BODIES) <= set(OPERATIONS)


@pytest.mark.parametrize("caller", OWNERS)
@pytest.mark.parametrize("name", GUARDED)
def test_the_owner_succeeds_where_the_scope_allows(cast: Cast, name: str, caller: str) -> None:
    """Success where `x-scopes` lists the scope, else 403 `scope`."""
    if name == "sign_out" and caller == "owner person":
        signed_in = cast.owner.sign_in()  # this one is used up
        assert ask(cast, name, caller, signed_in.headers).status_code == 204
        return
    status, word = answered(cast, name, caller)
    if may(name, caller, OWNERS[caller]):
        assert status in success(name), word
    else:
        assert (status, word) == (403, "scope")


@pytest.mark.parametrize("caller", OTHERS)
@pytest.mark.parametrize("name", GUARDED)
def test_another_person_is_refused(cast: Cast, name: str, caller: str) -> None:
    """What is not yours does not exist (404), and no answer of yours holds a word of somebody else's."""
    if name == "sign_out" and caller == "other person":
        assert ask(cast, name, caller, cast.other.sign_in().headers).status_code == 204
        return
    status, word = answered(cast, name, caller)
    if not may(name, caller, OTHERS[caller]):
        assert (status, word) == (403, "scope")
    elif name in NAMES_NO_SESSION:
        assert status in success(name), word
    else:
        assert (status, word) == (404, "unknown")
    if name in NAMES_NO_SESSION - set(STREAMS) - {"sign_out"}:
        text = ask(cast, name, caller).text
        assert not any(secret in text for secret in (cast.session_id, cast.owner.id, cast.owner.name, cast.token_id))


@pytest.mark.parametrize("caller", NOBODY)
@pytest.mark.parametrize("name", GUARDED)
def test_who_is_not_known_is_refused(cast: Cast, name: str, caller: str) -> None:
    """No credential, an unknown, revoked or expired one, or one in the wrong place: 401 `token`."""
    assert answered(cast, name, caller) == (401, "token")


@pytest.mark.parametrize("caller", WRONG_PAGE)
@pytest.mark.parametrize("name", GUARDED)
def test_an_embed_token_works_on_its_page_alone(cast: Cast, name: str, caller: str) -> None:
    """From another origin, or from something that is no page, an embed token is refused: 403 `origin`."""
    assert answered(cast, name, caller) == (403, "origin")


@pytest.mark.parametrize("caller", BESIDE)
@pytest.mark.parametrize("name", GUARDED)
def test_an_embed_token_shows_what_it_names_alone(cast: Cast, name: str, caller: str) -> None:
    """Another session of the same owner does not exist for it."""
    expected = {"status": (404, "unknown"), "events": (200, "sessions")}
    assert answered(cast, name, caller) == expected.get(name, (403, "scope"))


@pytest.mark.parametrize("caller", ["owner embed", "owner embed of the bot"])
def test_an_embed_token_shows_nothing_private(cast: Cast, caller: str) -> None:
    """No details, reasons, error texts or user: neither in the status nor in the stream."""
    document = ask(cast, "status", caller).json()["session"]
    assert set(document) == SHOWN_TO_STRANGERS
    with open_stream(f"{cast.service.api}/events", cast.callers[caller]) as stream:
        [listed] = [one for one in stream.next("sessions").data["sessions"] if one["id"] == cast.session_id]
    assert set(listed) == SHOWN_TO_STRANGERS


@pytest.mark.parametrize("caller", [*OWNERS, *OTHERS, *NOBODY, *WRONG_PAGE])
@pytest.mark.parametrize("name", sorted(OPEN))
def test_what_is_open_asks_nobody(cast: Cast, name: str, caller: str) -> None:
    """Health, figures and the contract need no credential, and a wrong one does no harm."""
    assert ask(cast, name, caller).status_code == 200


def test_the_entrances_open_for_the_right_secret_only(cast: Cast) -> None:
    """Name and password, or a one-time link; anything else is 401 `token`, and not which half was wrong."""
    with cast.service.client() as client:
        right = {"name": cast.owner.name, "password": PASSWORD}
        assert client.post(f"{API}/sign-in", json=right).status_code == 200
        wrong = [
            client.post(f"{API}/sign-in", json=right | {"password": f"{PASSWORD} "}),
            client.post(f"{API}/sign-in", json=right | {"name": "nobody"}),
        ]
        assert {(one.status_code, one.json()["detail"]) for one in wrong} == {(401, "Wrong name or password.")}
        assert all("set-cookie" not in one.headers for one in wrong)
        assert client.post(f"{API}/link", json={"secret": cast.service.link("owner")}).status_code == 200
        assert client.post(f"{API}/link", json={"secret": "bl_no-such-link"}).status_code == 401


@pytest.mark.parametrize("scope", ["report", "embed"])
def test_some_tokens_need_an_id_for_the_status(cast: Cast, scope: str) -> None:
    """Without an id the first of the list is meant, which only those may see who see the list."""
    with cast.service.client() as client:
        for caller, expected in {f"owner {scope}": 403, "owner view": 200, "owner person": 200}.items():
            assert client.get(f"{API}/status", headers=cast.callers[caller]).status_code == expected


def test_nobody_makes_a_token_for_a_session_of_somebody_else(cast: Cast) -> None:
    """An embed token that names a session which is not yours is 404, like everything that is not yours."""
    body = {"name": "page", "scope": "embed", "origin": "https://blog.example", "expires_in_s": 60}
    with cast.service.client() as client:
        for caller, expected in {"owner person": 201, "other person": 404}.items():
            wanted = body | {"session_id": cast.session_id}
            assert client.post(f"{API}/tokens", json=wanted, headers=cast.callers[caller]).status_code == expected
