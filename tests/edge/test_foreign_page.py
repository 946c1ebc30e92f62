"""In real Chromium, signed in as the victim: a page on another port of the same host changes nothing and reads nothing.

Ports share cookies and are one site, so neither SameSite nor the cookie's scope keeps such a page out: the doors do.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
import yaml
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.edge.bot import Bot
from tests.edge.foreign_site import foreign_site
from tests.support.service import API, Person, RunningService, SignedIn, running_service

ON_SQLITE = "the store plays no part in this"

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
DOCUMENT: Final[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "contract" / "openapi.yaml").read_text())
OPERATIONS: Final = [
    (method.upper(), path, one)
    for path, item in DOCUMENT["paths"].items()
    for method, one in item.items()
    if method != "parameters"
]
UNSAFE: Final = [(method, path) for method, path, one in OPERATIONS if method != "GET"]
CHANGES: Final = [path for method, path in UNSAFE if method == "POST"]
READS: Final = [path for method, path, one in OPERATIONS if method == "GET" and one["x-scopes"]]

FETCH: Final = """async ([url, options]) => {
    try {
        const answer = await fetch(url, {credentials: "include", signal: AbortSignal.timeout(5000), ...options});
        return {type: answer.type, status: answer.status, text: await answer.text()};
    } catch (error) {
        return {type: "refused", status: 0, text: ""};
    }
}"""
SUBMIT: Final = """([url, kind, name, value]) => new Promise((done) => {
    const form = document.createElement("form");
    const field = document.createElement("input");
    Object.assign(form, {method: "post", action: url, enctype: kind, target: "sink"});
    Object.assign(field, {name, value});
    form.append(field);
    document.body.append(form);
    document.querySelector("iframe").addEventListener("load", () => done(), {once: true});
    form.submit();
})"""
READ_FRAME: Final = """(url) => new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.onload = () => {
        try { done(frame.contentDocument ? frame.contentDocument.body.innerText : ""); } catch { done(""); }
    };
    setTimeout(() => done("endless"), 5000);
    frame.src = url;
    document.body.append(frame);
})"""
LISTEN: Final = """(url) => new Promise((done) => {
    const source = new EventSource(url, {withCredentials: true});
    source.addEventListener("sessions", (event) => done(event.data));
    source.onerror = () => { source.close(); done("refused"); };
    setTimeout(() => { source.close(); done("endless"); }, 5000);
})"""
SANDBOX: Final = """(html) => {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    frame.srcdoc = html;
    document.body.append(frame);
}"""
LOAD_SCRIPT: Final = """(url) => new Promise((done) => {
    const script = document.createElement("script");
    script.onload = () => done("loaded");
    script.onerror = () => done("refused");
    setTimeout(() => done("endless"), 5000);
    script.src = url;
    document.body.append(script);
})"""


class Victim:
    """Somebody with a running, an ended session and a token, whose browser visits the foreign page."""

    def __init__(self, service: RunningService, person: Person) -> None:
        self.service = service
        self.person = person
        self.signed_in: SignedIn = person.sign_in()
        report = person.token("report")
        self.token_id = person.token("view").id
        running, ended = Bot(service, report, "private bot"), Bot(service, report, "ended bot")
        running.start(activity="applying")
        ended.start()
        ended.complete()
        self.session_id, self.ended_id = running.session_id, ended.session_id
        for bot in (running, ended):
            bot.close()

    def url(self, method: str, path: str) -> str:
        """Where an operation is, with an id that it would work for."""
        ids = {"/tokens/{id}": self.token_id}
        wanted = ids.get(path.removeprefix(API), self.ended_id if method == "DELETE" else self.session_id)
        query = f"?session_id={self.session_id}" if path.endswith(("/status", "/commands")) else ""
        return self.service.address + path.replace("{id}", wanted) + query

    def body(self, path: str) -> str:
        """A body that would work, as text without quotes around names that a form would spoil."""
        bodies = {
            "start": f'{{"session_id": "{uuid4()}"}}',
            "heartbeat": f'{{"session_id": "{self.session_id}", "counters": {{"jobs_applied": 1000}}}}',
            "complete": f'{{"session_id": "{self.session_id}", "result": {{"outcome": "failed"}}}}',
            "stop": f'{{"session_id": "{self.session_id}"}}',
            "close": f'{{"session_id": "{self.session_id}"}}',
            "sign-in": f'{{"name": "{self.person.name}", "password": "correct horse battery staple"}}',
            "link": f'{{"secret": "{self.service.link_secret}"}}',
            "tokens": '{"name": "stolen", "scope": "operate"}',
        }
        return bodies.get(path.rsplit("/", 1)[-1], "{}")

    def belongings(self) -> dict[str, Any]:
        """All that is the victim's, as the victim's own page sees it; clocks and revisions apart from changes."""
        with self.service.client(self.signed_in.headers) as client:
            assert client.get(f"{API}/me").status_code == 200, "the sign-in has ended"
            sessions = client.get(f"{API}/sessions").json()["sessions"]
            tokens = client.get(f"{API}/tokens").json()["tokens"]
        return {
            "sessions": [(one["id"], one["revision"]) for one in sessions],
            "tokens": [(one["id"], one["name"]) for one in tokens],
        }


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the module."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """The victim, and the service that is attacked."""
    with running_service(tmp_path_factory.mktemp("victim"), {"BOTLIGHT_LOG_LEVEL": "debug"}) as service:
        yield Victim(service, service.person("victim"))


@pytest.fixture
def context(browser: Browser, victim: Victim) -> Iterator[BrowserContext]:
    """The victim's browser, signed in."""
    profile = browser.new_context()
    profile.set_default_timeout(20_000)
    cookie = {"name": victim.signed_in.cookie, "value": victim.signed_in.secret, "url": victim.service.address}
    profile.add_cookies([cookie | {"httpOnly": True, "sameSite": "Strict"}])  # type: ignore[list-item]  # same keys
    yield profile
    profile.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """The foreign page, open in the victim's browser."""
    with foreign_site() as origin:
        found = context.new_page()
        found.goto(origin)
        yield found
        found.close()


class Arrivals:
    """What the service answered to one operation from now on, by its own log: a browser hides much of that."""

    def __init__(self, victim: Victim, method: str, path: str) -> None:
        self._victim = victim
        self._pattern = re.compile(rf'answered operation="{re.escape(f"{method} {path}")}" status=(\d+)')
        self._before = len(self._all())

    def _all(self) -> list[int]:
        return [int(status) for status in self._pattern.findall(self._victim.service.log)]

    def statuses(self, expected: int) -> list[int]:
        """The statuses, as soon as so many are there. A stream that is open has none yet."""
        until = time.monotonic() + 10
        while len(found := self._all()[self._before :]) < expected and time.monotonic() < until:
            time.sleep(0.02)
        return found


def test_the_attack_is_a_real_one(page: Page, victim: Victim, context: BrowserContext, browser: Browser) -> None:
    """The cookie does go along with what the foreign page sends, and from our own page the same requests work."""
    attack = [victim.url("POST", f"{API}/stop"), {"method": "POST", "mode": "no-cors", "body": "x"}]
    arrivals = Arrivals(victim, "POST", f"{API}/stop")
    page.evaluate(FETCH, attack)
    assert arrivals.statuses(1) == [403]  # known, and refused
    with foreign_site() as origin:
        visitor = browser.new_context()
        nobody = visitor.new_page()
        nobody.goto(origin)
        nobody.evaluate(FETCH, attack)
        visitor.close()
    assert arrivals.statuses(2) == [403, 401]  # without the cookie: not known

    own = context.new_page()
    own.goto(victim.service.address + "/")
    answer = own.evaluate(FETCH, [victim.url("GET", f"{API}/sessions"), {}])
    assert (answer["status"], victim.session_id in answer["text"]) == (200, True)
    headers = {"X-CSRF-Token": victim.signed_in.csrf, "Content-Type": "application/json"}
    body = '{"name": "of the own page", "scope": "view"}'
    made = [victim.url("POST", f"{API}/tokens"), {"method": "POST", "headers": headers, "body": body}]
    assert own.evaluate(FETCH, made)["status"] == 201
    own.close()


@pytest.mark.parametrize(("method", "path"), UNSAFE)
def test_no_fetch_changes_anything(page: Page, victim: Victim, method: str, path: str) -> None:
    """With credentials, with or without CORS, as JSON or as a simple request, with a guess at the CSRF token or without."""
    before = victim.belongings()
    url, body = victim.url(method, path), victim.body(path)
    arrivals = Arrivals(victim, method, path)
    json = {"Content-Type": "application/json"}
    tries: list[dict[str, Any]] = [
        {"method": method, "headers": json, "body": body},
        {"method": method, "headers": json | {"X-CSRF-Token": "0" * 64}, "body": body},
        {"method": method, "headers": json, "body": body, "keepalive": True},
    ]
    if method == "POST":
        tries += [
            {"method": method, "mode": "no-cors", "headers": {"Content-Type": kind}, "body": body, **more}
            for kind in ("text/plain", "application/x-www-form-urlencoded", "text/plain; x=application/json")
            for more in ({}, {"referrerPolicy": "no-referrer"})
        ]
    for one in tries:
        answer = page.evaluate(FETCH, [url, one])
        assert (answer["status"], answer["text"]) == (0, "")
    # Simple requests arrive; before all others the browser asks, and is told nothing that would allow them.
    simple = 6 if method == "POST" else 0
    assert arrivals.statuses(simple) == [403] * simple
    assert victim.belongings() == before


@pytest.mark.parametrize("path", CHANGES)
def test_no_form_changes_anything(page: Page, victim: Victim, path: str) -> None:
    """In each of the encodings that a form has; as text/plain its body is JSON."""
    before = victim.belongings()
    url, body = victim.url("POST", path), victim.body(path)
    arrivals = Arrivals(victim, "POST", path)
    half = body[:-1] + (', "x": "' if body != "{}" else '"x": "')
    for kind, name, value in (
        ("text/plain", half, '"}'),
        ("application/x-www-form-urlencoded", "session_id", victim.session_id),
        ("multipart/form-data", "session_id", victim.session_id),
    ):
        page.evaluate(SUBMIT, [url, kind, name, value])
    assert arrivals.statuses(3) == [403] * 3
    assert victim.belongings() == before


def test_no_beacon_and_no_sandboxed_frame_changes_anything(page: Page, victim: Victim) -> None:
    """A beacon, and a frame whose origin is `null`: to it the browser gives no cookie at all."""
    before = victim.belongings()
    url, body = victim.url("POST", f"{API}/stop"), victim.body("stop")
    arrivals = Arrivals(victim, "POST", f"{API}/stop")
    page.evaluate("([url, body]) => navigator.sendBeacon(url, body)", [url, body])
    assert arrivals.statuses(1) == [403]
    script = f"<script>fetch({url!r}, {{method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x'}})</script>"
    page.evaluate(SANDBOX, script)
    assert arrivals.statuses(2) in ([403, 401], [403, 403])
    assert victim.belongings() == before


@pytest.mark.parametrize("path", READS)
def test_nothing_is_read(page: Page, victim: Victim, path: str) -> None:
    """By fetch, frame, script or event stream: no answer reaches the page, and none holds anything of the victim."""
    url = victim.url("GET", path)
    arrivals = Arrivals(victim, "GET", path)
    heard = [page.evaluate(FETCH, [url, {"mode": mode}])["text"] for mode in ("cors", "no-cors")]
    heard.append(page.evaluate(READ_FRAME, url))
    heard.append(page.evaluate(LISTEN, url))
    page.evaluate(LOAD_SCRIPT, url)
    heard += [str(one) for one in page.evaluate("() => Object.keys(window).map(String)")]
    assert not [text for text in heard if any(word in text for word in (victim.session_id, "private bot", "victim"))]
    assert arrivals.statuses(5) == [403] * 5


def test_our_pages_are_shown_in_no_frame(page: Page, victim: Victim) -> None:
    """Or a page could lay the Stop button under its own."""
    for path in ("/", "/sign-in", "/link", f"/sessions/{victim.session_id}"):
        page.evaluate(READ_FRAME, victim.service.address + path)
        [*_, frame] = page.frames
        assert "Botlight" not in frame.content()


def test_the_cookie_is_out_of_reach_of_scripts(page: Page, context: BrowserContext, victim: Victim) -> None:
    """HttpOnly: neither the foreign page nor our own can read it, and a cookie that a page plants is nobody's."""
    own = context.new_page()
    own.goto(victim.service.address + "/")
    assert [each.evaluate("() => document.cookie") for each in (page, own)] == ["", ""]
    page.evaluate("(name) => { document.cookie = `${name}=bl_planted; path=/api`; }", victim.signed_in.cookie)
    answer = own.evaluate(FETCH, [victim.url("GET", f"{API}/me"), {}])
    assert answer["status"] in (200, 401)
    assert "bl_planted" not in victim.service.log
    own.close()
