"""The guide for Python bots says what there is: every function as it is called, every setting, every key, every activity."""

from __future__ import annotations

import inspect
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest

import status_reporter
from botlight.cli.activities import activity_table
from status_reporter import Job, StatusReporter
from tests.docs.tracked import Document
from tests.support.service import RunningService, free_port

GUIDE: Final = Document("docs/PYTHON_BOT_STATUS_INTEGRATION.md")
SHORT: Final = Document("client/README.md")
MAX_LINES_OF_A_SCREEN: Final = 45


def public(owner: type) -> dict[str, Any]:
    """What a class has for everybody."""
    return {name: value for name, value in vars(owner).items() if not name.startswith("_")}


def call(name: str, function: Any) -> str:
    """How a function is called: its arguments and their defaults, without types."""
    parameters = list(inspect.signature(function).parameters.values())
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in parameters if one.name != "self"]
    return f"{name}{inspect.Signature(plain)}"


def calls() -> set[str]:
    """Everything public: functions as they are called, all else by its name."""
    everything = public(StatusReporter) | {"stop_event": None}  # made by the constructor
    own = {call(name, one) if inspect.isfunction(one) else name for name, one in everything.items()}
    jobs = {call(f"Job.{name}", one) for name, one in public(Job).items()}
    rest = set(status_reporter.__all__) - {"StatusReporter", "Job"}
    module = {getattr(status_reporter, name) for name in rest}
    return own | jobs | {call(one.__name__, one) if inspect.isfunction(one) else one.__name__ for one in module}


def test_every_function_has_a_heading_with_its_arguments() -> None:
    """And there is no heading for what is not there."""
    headings = set(re.findall(r"^### `(.+)`$", GUIDE.below("Every function"), re.MULTILINE))
    assert headings - {"StatusReporter(…)"} == calls()


def test_every_setting_is_there_with_its_default() -> None:
    """Those of the constructor, in its order; `none` is said of None, and of settings that the environment gives."""
    rows = GUIDE.table("`StatusReporter(…)`")
    parameters = inspect.signature(StatusReporter).parameters
    assert list(rows) == list(parameters)
    for name, (default, meaning) in rows.items():
        expected = parameters[name].default
        if f"STATUS_REPORTER_{name.removeprefix('base_').upper()}" in default:
            assert expected is None
        else:
            assert default.strip("`") == ("none" if expected is None else repr(expected).replace("'", '"')), name
        assert meaning


def test_every_key_of_the_status_is_there() -> None:
    """In its order."""
    assert list(GUIDE.table("`status`")) == list(StatusReporter("").status)


def test_every_activity_is_there_with_its_face() -> None:
    """The one table of the page and the terminal, and when to say each."""
    rows = GUIDE.table("Activities")
    assert {name: face for name, (face, _) in rows.items()} == {
        name: f"{emoji} {label}" for name, (emoji, label) in activity_table().items()
    }
    assert all(when for _, when in rows.values())


def test_every_symptom_has_a_cause_and_a_cure() -> None:
    """No empty cell."""
    assert all(cause and cure for cause, cure in GUIDE.table("Troubleshooting").values())


class Elsewhere(BaseHTTPRequestHandler):
    """What answers instead of the service: a page at /page, and at every other path the way to one."""

    def do_POST(self) -> None:
        """Answers."""
        self.send_response(200 if self.path.startswith("/page") else 302)
        self.send_header("Location", "/page")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keeps still."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of another program."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_last_error_is_as_the_guide_has_it(elsewhere: str, shared: RunningService) -> None:
    """What can be provoked here is provoked, and the guide has the words that the status then has."""
    trouble = {
        f"http://127.0.0.1:{free_port()}": "ConnectionRefusedError",
        f"{elsewhere}/page": "HTTP 200 from something that is not the service",
        elsewhere: "redirected; redirects are not followed",
        shared.address: "the token was refused",
    }
    met = {address: last_error(address) for address in trouble}
    assert met == trouble
    assert {*met.values(), *status_reporter._MISTRUST.values()} <= set(GUIDE.spans)


def last_error(address: str) -> str:
    """What the status says after the first try there with a token that is none."""
    reporter = StatusReporter("not-a-token", address, spool_dir=None)
    reporter.start_session()
    until = time.monotonic() + 15
    while not reporter.status["last_error"] and time.monotonic() < until:
        time.sleep(0.01)
    said: str = reporter.status["last_error"]
    reporter.close(0)
    return said


@pytest.mark.parametrize("document", [GUIDE, SHORT], ids=["guide", "client"])
def test_every_name_that_is_called_exists(document: Document) -> None:
    """`name(…)` in the text is a function of the reporter, of Python or of a library that the text names."""
    ours = {re.split(r"\W", name.removeprefix("Job."))[0] for name in calls()} | {"StatusReporter", "Job"}
    others = {"input", "sleep", "exit", "is_set", "to_thread", "print", "tick"}
    called = {name for span in document.spans for name in re.findall(r"(?<![\w/])(\w+)\(", span)}
    assert called - others <= ours


def test_the_short_page_fits_a_screen() -> None:
    """Whoever opens it sees all of it."""
    assert len(SHORT.text.splitlines()) <= MAX_LINES_OF_A_SCREEN
