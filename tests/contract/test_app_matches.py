"""The application and the contract are the same, in both directions: nothing is served that is not written down."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml

from botlight.cli.settings import Settings
from botlight.cli.wiring import open_service
from botlight.edge.codec import PRIVATE, encode, instant_of, public_document, session_document
from botlight.edge.operation import Operation
from botlight.edge.problems import STATUS_OF
from botlight.model.access import PERMITS, Scope
from botlight.model.errors import Refusal
from botlight.model.session import COUNTERS, MICROS, BotSession, Instant, number

CONTRACT: Final = Path(__file__).parents[2] / "contract"
DOCUMENT: Final[dict[str, Any]] = yaml.safe_load((CONTRACT / "openapi.yaml").read_text())
METHODS: Final = frozenset({"get", "put", "post", "delete", "patch", "head", "options", "trace"})
PAGES: Final = frozenset({"/", "/sign-in", "/link", "/sessions/{id}", "/static/{name}"})
ONLY_INFORMATION: Final = {"started_at", "sent_at", "diag"}  # a bot may say them; nothing reads them
SESSIONS: Final = sorted((CONTRACT / "examples").glob("session-*.json"))


def resolved(value: dict[str, Any]) -> dict[str, Any]:
    """The value a reference points to, or the value itself."""
    while "$ref" in value:
        place: Any = DOCUMENT
        for step in value["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        value = place
    return value


def described() -> dict[tuple[str, str], dict[str, Any]]:
    """The contract's operations by (method, path), each with all its parameters."""
    found = {}
    for path, item in DOCUMENT["paths"].items():
        for method in sorted(METHODS & set(item)):
            parameters = [resolved(one) for one in item.get("parameters", []) + item[method].get("parameters", [])]
            found[method.upper(), path] = {**item[method], "parameters": parameters}
    return found


DESCRIBED: Final = described()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Operation]:
    """The table of the real application, as the composition root puts it together."""
    path = tmp_path_factory.mktemp("store") / "botlight.db"
    settings = Settings.read({"BOTLIGHT_DATABASE_URL": f"sqlite:///{path}"})

    async def table() -> tuple[Operation, ...]:
        async with open_service(settings, settings.doors()) as service:
            return service.app.operations

    operations = asyncio.run(table())
    rows = {(one.method, one.path): one for one in operations}
    assert len(rows) == len(operations), "an operation stands twice in the table"
    return {key: one for key, one in rows.items() if one.path not in PAGES}


def properties(schema: dict[str, Any]) -> set[str]:
    """The names that a body may have, through references and combinations."""
    schema = resolved(schema)
    parts = [part for word in ("allOf", "anyOf", "oneOf") for part in schema.get(word, [])]
    return set(schema.get("properties", {})).union(*(properties(part) for part in parts))


def needed(schema: dict[str, Any]) -> set[str]:
    """The names that every body has to have."""
    schema = resolved(schema)
    found = set(schema.get("required", [])).union(*(needed(part) for part in schema.get("allOf", [])))
    choices = [needed(part) for word in ("anyOf", "oneOf") for part in schema.get(word, [])]
    return found | set.intersection(*choices) if choices else found


def test_the_same_operations(served: dict[tuple[str, str], Operation]) -> None:
    """Every operation of the contract is served, and every one that is served stands in the contract."""
    assert set(served) == set(DESCRIBED)


def test_the_pages_are_no_part_of_the_contract() -> None:
    """Pages are for people; no program may build on them."""
    assert not PAGES & set(DOCUMENT["paths"])


@pytest.mark.parametrize("key", DESCRIBED, ids=" ".join)
def test_the_same_scopes(served: dict[tuple[str, str], Operation], key: tuple[str, str]) -> None:
    """Who may use an operation by `x-scopes` is whom the one table of permissions lets in."""
    action = served[key].action
    allowed = {scope.value for scope in Scope if action in PERMITS[scope]}
    assert set(DESCRIBED[key]["x-scopes"]) == allowed
    assert (action is None) == (DESCRIBED[key]["security"] == [])


@pytest.mark.parametrize("key", DESCRIBED, ids=" ".join)
def test_the_same_query(served: dict[tuple[str, str], Operation], key: tuple[str, str]) -> None:
    """Names of query parameters, and which of them are required, are those of the type that is decoded."""
    written = {one["name"]: one.get("required", False) for one in DESCRIBED[key]["parameters"] if one["in"] == "query"}
    query = served[key].query
    decoded = {one.name: one.required for one in msgspec.structs.fields(query)} if query else {}
    assert written == decoded


@pytest.mark.parametrize("key", DESCRIBED, ids=" ".join)
def test_the_same_path_parameters(key: tuple[str, str]) -> None:
    """What stands in braces in a path is described, and nothing else is."""
    written = {one["name"] for one in DESCRIBED[key]["parameters"] if one["in"] == "path"}
    assert written == {part[1:-1] for part in key[1].split("/") if part.startswith("{")}


@pytest.mark.parametrize("key", DESCRIBED, ids=" ".join)
def test_the_same_body(served: dict[tuple[str, str], Operation], key: tuple[str, str]) -> None:
    """An operation reads a body where the contract says so, with the same names in it."""
    body = served[key].body
    request = DESCRIBED[key].get("requestBody")
    assert (body is None) == (request is None)
    if body is None or request is None:
        return
    assert request["required"] is True
    schema = request["content"]["application/json"]["schema"]
    assert set(request["content"]) == {"application/json"}
    fields = msgspec.structs.fields(body)
    assert properties(schema) - ONLY_INFORMATION == {one.encode_name for one in fields}
    assert {one.encode_name for one in fields if one.required} <= needed(schema)


def families(parent: type[Refusal]) -> list[type[Refusal]]:
    """A refusal and all that are below it."""
    return [parent] + [one for child in parent.__subclasses__() for one in families(child)]


def concrete(code: str) -> list[type[Refusal]]:
    """The refusals with this code; of a family in which a child keeps its parent's code, the child."""
    found = [one for one in families(Refusal) if one.code == code]
    return [one for one in found if not any(child is not one and issubclass(child, one) for child in found)]


@pytest.mark.parametrize("code", DOCUMENT["x-problems"])
def test_the_same_problems(code: str) -> None:
    """Status and title of each code are those of the one table and of the refusal's docstring."""
    row = DOCUMENT["x-problems"][code]
    [refusal] = concrete(code)
    statuses = {STATUS_OF[code]} | ({STATUS_OF["malformed"]} if code == "invalid" else set())
    assert set(row["status"]) == statuses
    assert row["title"] == (refusal.__doc__ or "").strip().splitlines()[0]


def test_no_problem_is_left_out() -> None:
    """Every code that can be answered is in the contract; a mistake of our own (500) is no answer to count on."""
    assert set(STATUS_OF) - set(DOCUMENT["x-problems"]) == {"internal", "malformed"}


def session_of(document: dict[str, Any]) -> BotSession:
    """The model's session that a document shows."""
    facts = {name: value for name, value in document.items() if name in BotSession.__struct_fields__}
    for name, value in facts.items():
        if value is not None and name.endswith(("_at", "_until")):
            facts[name] = instant_of(value, name)
    counted = {name: document[name] for name in COUNTERS} | document["counters"]
    facts["totals"] = {name: int(Decimal(str(value)) * MICROS) for name, value in counted.items()}
    return msgspec.convert(facts, BotSession, strict=False)


@pytest.mark.parametrize("file", SESSIONS, ids=lambda file: file.stem)
def test_the_codec_writes_the_examples(file: Path) -> None:
    """Each example of a session document is what the codec writes of that session, at a moment of its lease."""
    example = json.loads(file.read_text())
    session = session_of(example)
    heard = session.last_heartbeat_at or session.created_at
    moments = [Instant(heard + after_ms) for after_ms in (1000, 100_000)]
    assert example in [json.loads(encode(session_document(session, now))) for now in moments]


def test_the_codec_writes_what_strangers_may_see() -> None:
    """The embedded example is what the codec writes for an embed token, of the same session as the whole document."""
    example = json.loads((CONTRACT / "examples" / "embedded-session.json").read_text())
    whole = json.loads((CONTRACT / "examples" / "session-working.json").read_text())
    assert example == {name: value for name, value in whole.items() if name not in PRIVATE}
    session = session_of(whole)
    assert session.last_heartbeat_at is not None
    written = public_document(session, Instant(session.last_heartbeat_at + 1000))
    assert json.loads(encode(written)) == example


@pytest.mark.parametrize(("micros", "text"), [(12_500_000, "12.5"), (3_000_000, "3"), (1, "0.000001"), (0, "0")])
def test_numbers_are_written_exactly(micros: int, text: str) -> None:
    """A counter is a plain JSON number with no more digits than it has."""
    assert Decimal(encode(number(micros)).decode()) == Decimal(text)  # type: ignore[arg-type]  # a new name for int
