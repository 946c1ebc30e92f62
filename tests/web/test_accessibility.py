"""For everybody: keyboard, screen reader, small screens, dark and light."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.conftest import Console
from tests.web.fake_service import FakeService, ago
from tests.web.parts import card, shows_freshness, shows_state

OpenPage = Callable[..., Page]
Scheme = Literal["dark", "light"]

LONG: Final = "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbe"
STATES: Final = (
    "working",
    "waiting",
    "stuck",
    "silent",
    "stopping",
    "lost",
    "completed",
    "failed",
    "stopped",
    "interrupted",
)


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility rules of axe-core, as a script."""
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


@pytest.fixture
def full(service: FakeService) -> FakeService:
    """A board with a card in every state, and words that do not break."""
    for state in STATES:
        service.put(f"session-{state}", bot_name=state.capitalize())
    service.put(
        started_at=ago(minutes=1), progress_at=ago(minutes=11), last_heartbeat_at=ago(seconds=1), bot_name="Stuck now"
    )
    service.put(last_heartbeat_at=ago(minutes=2), bot_name="Silent now")
    service.put("session-waiting", waiting_until=ago(seconds=-300), bot_name="Waiting now")
    service.put(
        "session-failed",
        bot_name=LONG,
        activity=LONG,
        activity_details={LONG: LONG},
        error_message=LONG * 5,
        counters={LONG: 9_999_999_999},
        jobs_found=9_999_999_999,
        credits_used=1234567.654321,
        stop_requested_at=ago(seconds=9),
    )
    service.refusals = [{"at": ago(seconds=5), "address": "127.0.0.1", "reason": "unknown token"}]
    service.tokens["s"] = {
        "id": "t", "user_id": service.user, "name": LONG, "scope": "embed", "bot": LONG, "session_id": None,
        "origin": "https://blog.example", "created_at": ago(hours=1), "expires_at": ago(hours=-9), "last_used_at": None,
    }  # fmt: skip
    return service


@pytest.fixture
def looks(browser: Browser, service: FakeService, console: Console) -> Iterator[Callable[..., Page]]:
    """Opens a page of the service in a colour scheme and a width."""
    profiles = []

    def look(path: str, scheme: Scheme, width: int = 1200) -> Page:
        profile = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 800}, locale="en-GB", reduced_motion="reduce"
        )
        profiles.append(profile)
        if path not in {"sign-in", "link"}:
            profile.add_cookies([service.sign_in()])  # type: ignore[list-item]  # a plain dict has the same keys
        page = profile.new_page()
        console.watch(page)
        page.goto(service.address + path)
        if page.locator("#fresh").count():
            expect(page.locator("#fresh")).to_have_text("page live")
        if path == "#tokens":
            page.get_by_label("It is for").select_option("embed")
        return page

    yield look
    for profile in profiles:
        profile.close()


def session_path(service: FakeService) -> str:
    """The page of a session with everything on it."""
    session = next(document for document in service.sessions.values() if document["bot_name"] == LONG)
    service.add_fact(session["id"], "activity", name=LONG)
    service.jobs[session["id"]] = [
        {"n": 1, "at": ago(seconds=9), "key": "k", "title": LONG, "company": LONG, "url": "https://jobs.example/1", "outcome": "failed", "reason": LONG, "credits": 0.5}
    ]  # fmt: skip
    return f"sessions/{session['id']}"


def violations(page: Page, axe: str) -> list[str]:
    """What the rules find serious or critical, and where."""
    page.evaluate(f"() => {{ {axe} }}")
    found: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations', 'incomplete'] })")
    return [
        f"{rule['id']}: {node['target']} {node.get('failureSummary', '')}"
        for rule in found["violations"]
        if rule["impact"] in {"serious", "critical"}
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "#tokens", "sign-in", "link#secret", "session"])
def test_axe_finds_nothing_serious(
    full: FakeService, looks: Callable[..., Page], axe: str, path: str, scheme: Scheme
) -> None:
    """Contrast among the rest, in both themes."""
    page = looks(session_path(full) if path == "session" else path, scheme)
    assert violations(page, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_an_empty_board(looks: Callable[..., Page], axe: str, scheme: Scheme) -> None:
    """The first page that a newcomer sees."""
    page = looks("", scheme)
    expect(page.locator("#paste")).to_be_visible()
    assert violations(page, axe) == []


@pytest.mark.parametrize("path", ["", "#tokens", "sign-in", "link", "session"])
def test_no_page_scrolls_sideways_on_a_small_phone(full: FakeService, looks: Callable[..., Page], path: str) -> None:
    """360 pixels, with names and texts that have no place to break."""
    page = looks(session_path(full) if path == "session" else path, "light", 360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for box in page.locator("bot-status-card button:visible, bot-status-card h2").all():
        bounds = box.bounding_box()
        assert bounds
        assert bounds["x"] >= 0
        assert bounds["x"] + bounds["width"] <= 360


def test_the_empty_board_fits_a_small_phone(looks: Callable[..., Page]) -> None:
    """The lines to paste scroll in their own box."""
    page = looks("", "dark", 360)
    expect(page.locator("#paste")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_stop_is_reached_and_pressed_by_keyboard(service: FakeService, open_page: OpenPage) -> None:
    """In the order of the page, with a focus that can be seen."""
    session = service.put()
    page = open_page()
    shown = card(page, session["id"])
    shows_freshness(shown, "live")
    focused = None
    for _ in range(12):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.shadowRoot?.activeElement?.getAttribute('aria-label')")
        if focused == "Stop Job hunter":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement.shadowRoot.activeElement).outlineWidth")
    assert focused == "Stop Job hunter"
    assert float(outline.removesuffix("px")) >= 2
    page.keyboard.press("Enter")
    shows_state(shown, "Stopping")


def test_a_screen_reader_hears_changes_of_state_and_not_each_counter(service: FakeService, open_page: OpenPage) -> None:
    """Polite, once per change; the counters are there to be read, not to be spoken all day."""
    session = service.put()
    page = open_page()
    shown = card(page, session["id"])
    spoken = shown.locator(".spoken")
    shows_state(shown, "Working")
    expect(spoken).to_have_text("")
    service.change(session["id"], jobs_applied=42)
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("42")
    expect(spoken).to_have_text("")
    service.change(session["id"], status="lost")
    expect(spoken).to_have_text("Job hunter: Lost")
    expect(spoken).to_have_attribute("role", "status")
    live = shown.locator("[role=status], [aria-live]").evaluate_all("(parts) => parts.map((part) => part.className)")
    assert sorted(live) == ["said", "spoken"]


def test_a_card_has_a_name_and_its_parts_have_roles(service: FakeService, open_page: OpenPage) -> None:
    """What a screen reader's lists are made of."""
    session = service.put()
    page = open_page()
    shows_freshness(card(page, session["id"]), "live")
    expect(page.get_by_role("article", name="Job hunter")).to_be_visible()
    expect(page.get_by_role("heading", name="Job hunter")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Progress")).to_be_visible()


def test_nothing_moves_for_those_who_asked_for_rest(service: FakeService, looks: Callable[..., Page]) -> None:
    """prefers-reduced-motion."""
    session = service.put("session-stopping")
    shown = card(looks("", "light"), session["id"])
    shows_state(shown, "Stopping")
    moving = shown.locator(".card").evaluate("(card) => card.getAnimations({ subtree: true }).length")
    assert moving == 0
