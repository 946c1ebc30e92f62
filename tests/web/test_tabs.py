"""Many tabs, one stream: who reads, who listens, and what happens when the reader goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.web.fake_service import FakeService
from tests.web.parts import card, comes_true, shows_freshness, shows_state

OpenPage = Callable[..., Page]


def leading(page: Page) -> bool:
    """Whether this tab holds the lock; the lock's client id is the tab's own."""
    return bool(
        page.evaluate(
            """async () => {
                const mine = new Promise((resolve) => {
                    const name = `probe ${Math.random()}`;
                    navigator.locks.request(name, async () => {
                        const { held } = await navigator.locks.query();
                        resolve(held.find((lock) => lock.name === name).clientId);
                    });
                });
                const { held } = await navigator.locks.query();
                const id = await mine;
                return held.some((lock) => lock.name.startsWith("botlight ") && lock.clientId === id);
            }"""
        )
    )


@pytest.fixture
def tabs(service: FakeService, open_page: OpenPage) -> tuple[str, list[Page]]:
    """A session's id, and three tabs that show it live."""
    session = service.put()
    pages = [open_page() for _ in range(3)]
    for page in pages:
        shows_freshness(card(page, session["id"]), "live")
    return session["id"], pages


def test_nine_tabs_share_one_stream_and_the_ninth_stops_at_once(service: FakeService, open_page: OpenPage) -> None:
    """A browser opens six connections to a host: with a stream per tab the ninth's Stop would never leave."""
    session = service.put()
    pages = [open_page() for _ in range(9)]
    for page in pages:
        shows_freshness(card(page, session["id"]), "live")
    assert len(service.streams) == 1
    last = card(pages[-1], session["id"])
    last.get_by_role("button", name="Stop").click()
    shows_state(last, "Stopping")
    for page in pages:
        shows_state(card(page, session["id"]), "Stopping")
    assert len(service.streams) == 1


def test_a_newcomer_gets_the_list_from_the_leader(
    service: FakeService, tabs: tuple[str, list[Page]], open_page: OpenPage
) -> None:
    """Without a question to the service about sessions."""
    session_id, _ = tabs
    asked = [service.asked(path) for path in ("/events", "/sessions", "/status")]
    newcomer = card(open_page(), session_id)
    shows_freshness(newcomer, "live")
    assert [service.asked(path) for path in ("/events", "/sessions", "/status")] == asked
    service.change(session_id, jobs_applied=47)
    expect(newcomer.locator('[data-counter="jobs_applied"]')).to_have_text("47")


def test_when_the_leader_closes_another_tab_reads_on(service: FakeService, tabs: tuple[str, list[Page]]) -> None:
    """From the position that the leader had told: nothing falls into the gap."""
    session_id, pages = tabs
    [leader] = [page for page in pages if leading(page)]
    others = [page for page in pages if page is not leader]
    service.change(session_id, jobs_applied=42)
    for page in others:
        expect(card(page, session_id).locator('[data-counter="jobs_applied"]')).to_have_text("42")
    position = f"{service.history}.{len(service.changes)}"
    leader.close()
    service.change(session_id, jobs_applied=43)
    for page in others:
        expect(card(page, session_id).locator('[data-counter="jobs_applied"]')).to_have_text("43")
        shows_freshness(card(page, session_id), "live")
    headers = [headers for _, path, headers in service.requests if path == "/events"]
    assert headers[-1].get("last-event-id") == position
    assert sum(leading(page) for page in others) == 1


def test_a_tab_that_is_told_of_its_freezing_hands_over(service: FakeService, tabs: tuple[str, list[Page]]) -> None:
    """The browser says "freeze" first; the others read on at once, and the thawed tab follows them.

    A headless Chromium freezes no page, so the test says the browser's two words; a tab that really stands still is the
    next test's.
    """
    session_id, pages = tabs
    [leader] = [page for page in pages if leading(page)]
    others = [page for page in pages if page is not leader]
    leader.evaluate("document.dispatchEvent(new Event('freeze'))")
    comes_true(
        others[0], "navigator.locks.query().then(({held, pending}) => held.length === 1 && pending.length === 1)"
    )
    assert sum(leading(page) for page in others) == 1
    leader.evaluate("document.dispatchEvent(new Event('resume'))")
    comes_true(
        others[0], "navigator.locks.query().then(({held, pending}) => held.length === 1 && pending.length === 2)"
    )
    service.change(session_id, jobs_applied=45)
    for page in pages:
        expect(card(page, session_id).locator('[data-counter="jobs_applied"]')).to_have_text("45")
        shows_freshness(card(page, session_id), "live")
    assert not leading(leader)


def test_the_lock_of_a_hung_leader_is_stolen(
    service: FakeService, tabs: tuple[str, list[Page]], context: BrowserContext
) -> None:
    """A tab that stands still without a word keeps the lock: two missed ticks later another one reads."""
    session_id, pages = tabs
    [leader] = [page for page in pages if leading(page)]
    follower = next(page for page in pages if page is not leader)
    debugger = context.new_cdp_session(leader)
    debugger.send("Debugger.enable")
    debugger.send("Debugger.pause")
    service.change(session_id, jobs_applied=46)  # the leader stops at its first statement
    shown = card(follower, session_id)
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("46", timeout=60_000)
    shows_freshness(shown, "live")
    service.change(session_id, jobs_applied=47)
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("47")
    debugger.send("Debugger.resume")
    debugger.send("Debugger.disable")
    service.change(session_id, jobs_applied=48)
    for page in pages:
        expect(card(page, session_id).locator('[data-counter="jobs_applied"]')).to_have_text("48")
    comes_true(follower, "navigator.locks.query().then(({held, pending}) => held.length === 1 && pending.length === 2)")
    assert not leading(leader)


def test_a_newcomer_does_not_wait_for_a_hung_leader(
    service: FakeService, open_page: OpenPage, context: BrowserContext
) -> None:
    """A leader that lives answers a newcomer at once, so one that does not is not waited for."""
    session = service.put()
    leader = open_page()
    shows_freshness(card(leader, session["id"]), "live")
    debugger = context.new_cdp_session(leader)
    debugger.send("Debugger.enable")
    debugger.send("Debugger.pause")
    service.change(session["id"], jobs_applied=46)  # the leader stops at its first statement
    newcomer = card(open_page(), session["id"])
    expect(newcomer.locator(".fresh")).to_have_text("page live", timeout=15_000)
    expect(newcomer.locator('[data-counter="jobs_applied"]')).to_have_text("46")
    debugger.send("Debugger.disable")


@pytest.mark.usefixtures("trouble")
def test_followers_say_what_the_leader_meets(service: FakeService, tabs: tuple[str, list[Page]]) -> None:
    """No tab is live while the one that reads is not; all poll through it, and are live again together."""
    session_id, pages = tabs
    service.fail("/events", 503, "problem-unavailable")
    service.cut_streams()
    for page in pages:
        shows_freshness(card(page, session_id), "polling")
    service.mend("/events")
    for page in pages:
        shows_freshness(card(page, session_id), "live")
    assert len(service.streams) == 1


def test_without_web_locks_each_visible_tab_reads(
    service: FakeService, context: BrowserContext, open_page: OpenPage
) -> None:
    """Plain http beyond this computer: tabs cannot agree who reads."""
    session = service.put()
    address = service.address.replace("127.0.0.1", "botlight.test")
    cookie = service.sign_in()
    context.add_cookies([cookie | {"url": address}])  # type: ignore[list-item]  # a plain dict has the same keys
    pages = [open_page(address=address) for _ in range(2)]
    assert pages[0].evaluate("navigator.locks === undefined")
    for page in pages:
        shows_freshness(card(page, session["id"]), "live")
    assert len(service.streams) == 2


def test_without_web_locks_hidden_tabs_do_not_read(
    service: FakeService, context: BrowserContext, open_page: OpenPage
) -> None:
    """Six hidden tabs would use up the browser's connections; one that is looked at again is right at once."""
    session = service.put()
    address = service.address.replace("127.0.0.1", "botlight.test")
    cookie = service.sign_in()
    context.add_cookies([cookie | {"url": address}])  # type: ignore[list-item]  # a plain dict has the same keys
    page = open_page(address=address)
    shown = card(page, session["id"])
    shows_freshness(shown, "live")
    look(page, away=True)
    service.tick()  # a write finds out that nobody reads any more
    service.change(session["id"], jobs_applied=49)
    page.wait_for_timeout(200)
    assert service.streams == []
    look(page, away=False)
    shows_freshness(shown, "live")
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("49")
    assert [headers for _, path, headers in service.requests if path == "/events"][-1]["last-event-id"]


def look(page: Page, *, away: bool) -> None:
    """Looks away from a tab, or at it again. A headless Chromium hides no tab, so the test says what it would say."""
    page.evaluate(
        """(away) => {
            Object.defineProperty(document, "hidden", { value: away, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        away,
    )
