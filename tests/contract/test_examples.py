"""The contract holds together by itself: the document, its examples, and the tables beside it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis
import yaml
from referencing import Registry
from referencing.jsonschema import DRAFT202012

CONTRACT = Path(__file__).parents[2] / "contract"
EXAMPLES = CONTRACT / "examples"
DOCUMENT: dict[str, Any] = yaml.safe_load((CONTRACT / "openapi.yaml").read_text())
REGISTRY: Registry[Any] = Registry().with_resource("urn:contract", DRAFT202012.create_resource(DOCUMENT))
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
SCOPES = {"report", "view", "operate", "embed", "person"}

# Which schema a file in examples/ belongs to; the first prefix that fits.
SCHEMA_OF_FILE = {
    "start": "Start",
    "heartbeat": "Heartbeat",
    "complete": "Completion",
    "answer": "Answer",
    "stop-accepted": "StopAccepted",
    "stop": "Stop",
    "closed": "Closed",
    "close": "Close",
    "session-": "SessionDocument",
    "embedded-session": "EmbeddedSession",
    "status": "StatusAnswer",
    "sessions": "SessionsPage",
    "session": "SessionDetail",
    "timeline": "TimelinePage",
    "jobs": "JobsPage",
    "sign-in": "SignIn",
    "signed-in": "SignedIn",
    "link": "LinkSecret",
    "me-": "Me",
    "tokens": "Tokens",
    "token-created": "TokenCreated",
    "create-token": "CreateToken",
    "refusals": "Refusals",
    "ok": "Ok",
    "problem-": "Problem",
}
STREAMS = {"people": "events", "bots": "commands"}
FILES = sorted(EXAMPLES.glob("*.json"), key=lambda file: file.stem)


def operations() -> dict[str, dict[str, Any]]:
    """Every operation of the document by its operationId, with its path, method and path-wide parameters."""
    found = {}
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                parameters = item.get("parameters", []) + item[method].get("parameters", [])
                found[item[method]["operationId"]] = {
                    **item[method],
                    "path": path,
                    "method": method,
                    "parameters": parameters,
                }
    return found


OPERATIONS = operations()
each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())


def resolved(value: dict[str, Any]) -> Any:
    """The value a reference points to, or the value itself."""
    while "$ref" in value:
        value = REGISTRY.resolver("urn:contract").lookup(value["$ref"]).contents
    return value


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """A validator of one schema of the document; references are those of the document, formats are asserted."""
    return jsonschema.Draft202012Validator(
        {**schema, "$ref": "urn:contract" + schema["$ref"]} if "$ref" in schema else schema,
        registry=REGISTRY,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


def named(name: str) -> dict[str, Any]:
    """The schema of this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def every(value: Any, key: str) -> list[Any]:
    """What stands under this key, anywhere in the value; not inside of examples, whose keys are a bot's own."""
    if isinstance(value, list):
        return [hit for item in value for hit in every(item, key)]
    if not isinstance(value, dict):
        return []
    here = [value[key]] if key in value else []
    return here + [hit for name, item in value.items() if name not in ("value", "example") for hit in every(item, key)]


def media_types() -> list[tuple[str, dict[str, Any]]]:
    """Every media type object of requests and responses, with the words that say where it stands."""
    found = []
    for name, operation in OPERATIONS.items():
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for place, body in bodies.items():
            for kind, content in resolved(body).get("content", {}).items():
                found.append((f"{name} {place} {kind}", content))
    return found


def test_the_document_is_openapi_3_1() -> None:
    """It follows the published structure of OpenAPI 3.1, and every schema in it is a JSON Schema."""
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere() -> None:
    """No `$ref` and no operationId of a link points to nothing, and none leaves the document."""
    references = every(DOCUMENT, "$ref")
    assert references
    for reference in references:
        assert reference.startswith("#/")
        REGISTRY.resolver("urn:contract").lookup(reference)
    for link in [link for links in every(DOCUMENT["paths"], "links") for link in links.values()]:
        assert resolved(link)["operationId"] in OPERATIONS


def test_everything_described_is_used() -> None:
    """A component that nothing refers to is a leftover; only the 405, which any path may answer, stands alone."""
    used = set(every(DOCUMENT, "$ref"))
    described = {
        f"#/components/{kind}/{name}"
        for kind, components in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in components
    }
    alone = {"#/components/responses/WrongMethod"}
    assert described - used == alone


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_each_example_fits_its_schema(file: Path) -> None:
    """Every file of examples/ is valid by the schema of its kind."""
    value = json.loads(file.read_text())
    if file.stem.startswith("stream-"):
        _, stream, event = file.stem.split("-")
        content = OPERATIONS[STREAMS[stream]]["responses"]["200"]["content"]["text/event-stream"]
        described = content["x-events"][event]
        assert value["event"] == event
        assert "id" not in value or described.get("positioned", False)
        assert set(value) <= {"event", "id", "data"}
        validator(described["schema"]).validate(value["data"])
        return
    name = next(schema for prefix, schema in SCHEMA_OF_FILE.items() if file.stem.startswith(prefix))
    validator(named(name)).validate(value)


def test_the_examples_show_every_kind() -> None:
    """A session in each state, an end of each outcome, a problem of each code, an event of each name."""
    stems = {file.stem for file in FILES}
    schemas = DOCUMENT["components"]["schemas"]
    wanted = {f"session-{state}" for state in schemas["State"]["enum"]}
    wanted |= {f"complete-{outcome}" for outcome in schemas["Outcome"]["enum"]}
    wanted |= {f"problem-{code.replace('_', '-')}" for code in DOCUMENT["x-problems"]}
    for stream, operation in STREAMS.items():
        events = OPERATIONS[operation]["responses"]["200"]["content"]["text/event-stream"]["x-events"]
        wanted |= {f"stream-{stream}-{event}" for event in events}
    wanted |= {"start", "heartbeat-full", "heartbeat-smallest", "answer", "stop"}
    assert wanted - stems == set()


def test_each_session_example_has_the_state_of_its_name() -> None:
    """The state and the stored status agree with each other and with the name of the file."""
    for file in EXAMPLES.glob("session-*.json"):
        document = json.loads(file.read_text())
        assert document["state"] == file.stem.removeprefix("session-")
        stored = document["state"] if document["state"] in DOCUMENT["components"]["schemas"]["Status"]["enum"] else None
        assert document["status"] == (stored or "running")


def test_the_full_heartbeat_names_every_field() -> None:
    """heartbeat-full.json leaves out no field of the snapshot, so it stays the example of all of them."""
    full = json.loads((EXAMPLES / "heartbeat-full.json").read_text())
    assert set(full) == set(DOCUMENT["components"]["schemas"]["Snapshot"]["properties"])


def test_the_document_repeats_the_files_word_for_word() -> None:
    """An example inside the document is the file of the same name."""
    inside = DOCUMENT["components"]["examples"]
    assert inside
    for name, example in inside.items():
        assert example["value"] == json.loads((EXAMPLES / f"{name}.json").read_text()), name


@pytest.mark.parametrize(("place", "content"), media_types(), ids=[place for place, _ in media_types()])
def test_each_body_has_an_example_that_fits(place: str, content: dict[str, Any]) -> None:
    """Every request and every answer with a body shows one, valid by the schema that stands beside it."""
    shown = [resolved(example)["value"] for example in content.get("examples", {}).values()]
    shown += [content["example"]] if "example" in content else []
    assert shown, place
    for value in shown:
        validator(content["schema"]).validate(value)


@each_operation
def test_each_parameter_example_fits(operation: dict[str, Any]) -> None:
    """The example of a parameter is valid by its schema."""
    for parameter in map(resolved, operation["parameters"]):
        if "example" in parameter:
            validator(parameter["schema"]).validate(parameter["example"])


@each_operation
def test_each_operation_says_who_may_use_it(operation: dict[str, Any]) -> None:
    """Scopes are known words; where there is one the document asks for a credential, and csrf where a cookie could harm."""
    scopes = operation["x-scopes"]
    assert set(scopes) <= SCOPES
    assert len(scopes) == len(set(scopes))
    if not scopes:
        assert operation["security"] == []
        return
    needed = ("cookie",) if operation["method"] == "get" else ("cookie", "csrf")
    assert operation["security"] == [{"token": []}, {name: [] for name in needed}]


@each_operation
def test_each_operation_names_its_problems(operation: dict[str, Any]) -> None:
    """The problem codes and the statuses of the answers say the same, through the one table of codes."""
    table = DOCUMENT["x-problems"]
    has_body = "requestBody" in operation
    expected = set()
    for code in operation["x-problems"]:
        statuses = table[code]["status"]
        expected |= {status for status in statuses if status != 400 or has_body}
    problems = {int(status) for status in operation["responses"] if int(status) >= 400}
    assert problems == expected
    assert has_body == ({"too_large", "media_type"} <= set(operation["x-problems"]))
    assert ("scope" in operation["x-problems"]) == bool(operation["x-scopes"])


@each_operation
def test_each_answer_carries_the_marker(operation: dict[str, Any]) -> None:
    """X-Status-Api and X-Server-Time are on every answer; Retry-After where waiting helps."""
    for status, response in operation["responses"].items():
        headers = resolved(response)["headers"]
        wanted = {"X-Status-Api", "X-Server-Time"} | ({"Retry-After"} if status in ("429", "503") else set())
        assert wanted <= set(headers)
        assert all(resolved(header)["required"] for header in headers.values())


def test_problem_examples_follow_the_table() -> None:
    """Status, title and type of each problem example are those of its code."""
    for file in EXAMPLES.glob("problem-*.json"):
        problem = json.loads(file.read_text())
        row = DOCUMENT["x-problems"][problem["code"]]
        assert problem["status"] in row["status"]
        assert problem["title"] == row["title"]
        assert problem["type"] == f"urn:botlight:problem:{problem['code']}"
    assert set(DOCUMENT["x-problems"]) == set(
        DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    )


def test_an_embedded_session_shows_nothing_private() -> None:
    """An embed token's view is the session document without details, reasons, error texts and the user."""
    schemas = DOCUMENT["components"]["schemas"]
    hidden = set(schemas["SessionDocument"]["properties"]) - set(schemas["EmbeddedSession"]["properties"])
    private = {"user_id", "activity_details", "waiting_reason", "error_type", "error_message", "stop_reason"}
    assert hidden == private
    for schema in (schemas["SessionDocument"], schemas["EmbeddedSession"]):
        assert set(schema["required"]) == set(schema["properties"])
        assert schema["additionalProperties"] is False


def test_the_snapshot_refuses_what_it_should() -> None:
    """The bounds are really there: each of these spoils an otherwise valid heartbeat."""
    smallest = json.loads((EXAMPLES / "heartbeat-smallest.json").read_text())
    check = validator(named("Heartbeat"))
    check.validate(smallest)
    too_many = {f"counter_{n}": 1 for n in range(33)}
    for wrong in (
        {"session_id": "no-uuid"},
        {"activity": None},
        {"activity": "x" * 65},
        {"activity": "nul\u0000"},
        {"counters": {"jobs_applied": -1}},
        {"counters": {"jobs_applied": 10**10 + 1}},
        {"counters": too_many},
        {"heartbeat_s": 14},
        {"heartbeat_s": 3601},
        {"seq": 0},
        {"role": "boss"},
        {"recent": [{"n": n + 1, "name": "a"} for n in range(21)]},
        {"jobs": [{"key": "k", "outcome": "applied", "url": "javascript:alert(1)"}]},
        {"jobs": [{"key": "k", "outcome": "won"}]},
        {"result": {"outcome": "crashed"}},
    ):
        assert not check.is_valid(smallest | wrong), wrong


def test_the_table_of_shown_states_covers_every_state() -> None:
    """Every state is the answer of some case, instants are RFC 3339 with milliseconds, no name comes twice."""
    table = json.loads((CONTRACT / "shown_state.json").read_text())
    cases = table["cases"]
    assert {case["state"] for case in cases} == set(DOCUMENT["components"]["schemas"]["State"]["enum"])
    names = [case["name"] for case in cases]
    assert len(names) == len(set(names))
    fields = DOCUMENT["components"]["schemas"]["SessionDocument"]["properties"]
    for case in cases:
        assert set(case["document"]) <= set(fields)
        for field, value in case["document"].items():
            validator({"$ref": f"#/components/schemas/SessionDocument/properties/{field}"}).validate(value)
        validator(named("Instant")).validate(case["now"])


@pytest.mark.parametrize(
    ("threshold", "field", "before", "after"),
    [
        ("silent_after_intervals", "last_heartbeat_at", "working", "silent"),
        ("stuck_after_s", "progress_at", "working", "stuck"),
        ("waiting_grace_s", "waiting_until", "waiting", "working"),
    ],
)
def test_each_threshold_is_tried_on_both_sides(threshold: str, field: str, before: str, after: str) -> None:
    """The cases hold each threshold to the millisecond: at it the earlier state, 1 ms later the next one."""
    table = json.loads((CONTRACT / "shown_state.json").read_text())
    tried = set()
    for case in table["cases"]:
        document = case["document"]
        if document[field] is None or document["status"] != "running" or document["stop_requested_at"]:
            continue
        unit_s = document["heartbeat_s"] if threshold == "silent_after_intervals" else 1
        gone = datetime.fromisoformat(case["now"]) - datetime.fromisoformat(document[field])
        tried.add((round(gone.total_seconds() * 1000 - table[threshold] * unit_s * 1000), case["state"]))
    assert {(0, before), (1, after)} <= tried


def test_streams_are_described_in_words() -> None:
    """streams.md has a section for each event of both streams, and shows the examples word for word."""
    text = (CONTRACT / "streams.md").read_text()
    for operation in STREAMS.values():
        for event in OPERATIONS[operation]["responses"]["200"]["content"]["text/event-stream"]["x-events"]:
            assert f"`{event}`" in text
    frames = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert frames
    for frame in "".join(frames).strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in frame.splitlines())
        json.loads(lines["data"])
        known = [json.loads(file.read_text())["event"] for file in EXAMPLES.glob("stream-*.json")]
        assert lines["event"] in known
