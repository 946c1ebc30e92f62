"""Whatever is sent, the answer is one that the contract describes: status, media type, headers and schema."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Any, Final
from uuid import uuid4, uuid5

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis import GenerationMode
from schemathesis.generation.stateful import run_state_machine_as_test

from tests.contract.fuzzing import CALLERS, OPERATIONS, SCHEMA, Caller, may
from tests.support.keeping import Keeping
from tests.support.service import RunningService, running_service

EXAMPLES: Final = 100
AT_THE_DOOR: Final = 10  # examples where the credential alone decides
ALWAYS_THE_SAME: Final = "GET /openapi.yaml"  # and reading it takes the test a third of a second
ALLOWED: Final = [(label, caller) for label, one in OPERATIONS.items() for caller in CALLERS if may(one, caller)]
REFUSED: Final = [
    (label, caller)
    for label, one in OPERATIONS.items()
    for caller in CALLERS
    if one.definition.raw["x-scopes"] and not may(one, caller)
]
LIFE: Final = SCHEMA.include(
    operation_id=["start", "heartbeat", "complete", "status", "session", "timeline", "jobs", "stop", "close"]
)
ROUNDS: Final = 24
FUZZ: Final = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))

NewCaller = Callable[[str], Caller]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, keeping: Keeping) -> Iterator[RunningService]:
    """One service for all examples; it believes that requests come from many addresses."""
    folder = tmp_path_factory.mktemp("fuzz")
    trusting = keeping.settings(folder) | {"BOTLIGHT_TRUSTED_PROXIES": "127.0.0.1"}
    with running_service(folder, trusting) as running:
        yield running


@pytest.fixture
def new_caller(service: RunningService) -> Iterator[NewCaller]:
    """Makes somebody new with credentials of a kind."""
    with ExitStack() as stack:
        yield lambda kind: stack.enter_context(closing(Caller(service, kind)))


def examples(label: str) -> Any:
    """Requests for an operation: half of them as the contract wants, half of them wrong."""
    operation = OPERATIONS[label]
    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not (operation.body or operation.query or operation.path_parameters):
        return right
    return right | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


def fuzz(caller: Caller, label: str, times: int) -> None:
    """Send that many requests; the same ones on each run."""

    @seed(zlib.crc32(label.encode()))
    @settings(FUZZ, max_examples=times)
    @given(case=examples(label), _=st.integers())  # the integer makes examples differ where nothing can be varied
    def ask(case: Any, _: int) -> None:
        caller.ask(case)

    ask()


@pytest.mark.parametrize(("label", "kind"), ALLOWED)
def test_whoever_may_ask_gets_an_answer_of_the_contract(new_caller: NewCaller, label: str, kind: str) -> None:
    """At least 100 requests of an operation get past the door and the limits, and none is answered by surprise."""
    caller = new_caller(kind)
    times = AT_THE_DOOR if label == ALWAYS_THE_SAME or caller.service.settings.on_postgres else EXAMPLES
    fuzz(caller, label, times + times // 10)
    answers = caller.statuses(label)
    got_through = sum(often for status, often in answers.items() if status not in {429, 503})
    assert got_through >= times, answers
    assert max(answers) < 500, answers


@pytest.mark.parametrize(("label", "kind"), REFUSED)
def test_whoever_may_not_ask_is_refused_whatever_is_sent(new_caller: NewCaller, label: str, kind: str) -> None:
    """The credential is looked at first: a body makes no difference to who may not send it."""
    caller = new_caller(kind)
    fuzz(caller, label, AT_THE_DOOR)
    assert set(caller.statuses(label)) == {401 if kind == "stranger" else 403}


def life(caller: Caller, steps: dict[str, list[str]]) -> Any:
    """A machine that follows the links, each time with sessions that are new: an answer depends on its own steps alone.

    `steps` takes down, for each session, what was answered with success.
    """

    class Life(LIFE.as_state_machine()):  # type: ignore[misc]  # made at run time
        def setup(self) -> None:
            """Begin another life."""
            self.salt = uuid4()

        def call(self, case: Any, **options: Any) -> Any:
            """Make the request."""
            del options
            made_up = case.operation.body and isinstance(case.body, dict) and case.body.get("session_id")
            if isinstance(made_up, str) and made_up not in steps:
                case.body["session_id"] = str(uuid5(self.salt, made_up))
            response = caller.send(case)
            if response.status_code < 300:
                operation = case.operation.definition.raw["operationId"]
                session_id = response.json()["session"]["id"] if case.method == "POST" else ""
                steps.setdefault(session_id, []).append(operation)
            return response

    return Life


@pytest.mark.parametrize("kind", ["report", "person"])
def test_a_session_from_start_to_end(new_caller: NewCaller, kind: str) -> None:
    """Along the links of the contract (start, heartbeat, complete, and what a person does) every answer fits too."""
    steps: dict[str, list[str]] = {}
    caller = new_caller(kind)
    tries = settings(FUZZ, max_examples=50, stateful_step_count=8, phases=[Phase.generate])
    links = [("start", "heartbeat"), ("heartbeat", "complete")] + ([("start", "stop")] if kind == "person" else [])
    for _ in range(ROUNDS):
        # The service makes the ids, so no life can be lived twice; that hypothesis minds this says nothing of the service.
        with suppress(FlakyStrategyDefinition):
            run_state_machine_as_test(life(caller, steps), settings=tries)
        if all(any(_in_order(one, link) for one in steps.values()) for link in links):
            return
    pytest.fail(f"not every link was walked in {ROUNDS} rounds")


def _in_order(said: list[str], wanted: Sequence[str]) -> bool:
    """Whether the wanted steps are among those said, one after the other."""
    rest = iter(said)
    return all(step in rest for step in wanted)
