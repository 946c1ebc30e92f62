"""Nothing slides under a pointer: a press reaches the bot that the person saw there, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.web.conftest import Console
from tests.web.fake_service import FakeService, ago
from tests.web.parts import card, shows_freshness, shows_state

OpenPage = Callable[..., Page]
ORDER = "(list) => [...list.querySelectorAll('bot-status-card')].map((one) => one.getAttribute('session'))"


def in_order(page: Page, part: str = "running-cards") -> list[str]:
    """The sessions of a list of cards, as they stand."""
    ids: list[str] = page.locator(f"#{part}").evaluate(ORDER)
    return ids


def box(part: Locator) -> dict[str, float]:
    """Where something stands in the window."""
    bounds: Any = part.bounding_box()
    assert bounds
    return dict(bounds)


def stop_of(page: Page, session_id: str) -> Locator:
    """The button of a session, once it takes presses."""
    button = card(page, session_id).locator("button.stop")
    expect(button).to_be_visible()
    expect(button).not_to_have_attribute("aria-disabled", "true")
    return button


def point_at(page: Page, part: Locator) -> tuple[float, float]:
    """Moves the mouse there, and presses nothing."""
    bounds = box(part)
    where = (bounds["x"] + bounds["width"] / 2, bounds["y"] + bounds["height"] / 2)
    page.mouse.move(*where)
    return where


def away(page: Page) -> None:
    """Moves the mouse off the cards."""
    page.mouse.move(2, 2)


def test_a_new_bot_does_not_slide_its_stop_under_a_pointer(service: FakeService, open_page: OpenPage) -> None:
    """It appears at once, below; the press reaches the bot that was pointed at; the order is mended afterwards."""
    first = service.put(bot_name="First", started_at=ago(minutes=9))["id"]
    page = open_page()
    button = stop_of(page, first)
    where = point_at(page, button)
    second = service.put(bot_name="Second", started_at=ago(seconds=1))["id"]
    shows_state(card(page, second), "Working")
    assert in_order(page) == [first, second]
    page.mouse.click(*where)
    shows_state(card(page, first), "Stopping")
    assert service.sessions[second]["stop_requested_at"] is None
    away(page)
    expect(page.locator("#running-cards li").first.locator("h2")).to_have_text("Second")
    assert in_order(page) == [second, first]


def test_a_bot_that_ends_makes_the_others_wait(service: FakeService, open_page: OpenPage) -> None:
    """Its card shows the end where it stands, and moves to the ended ones when nobody points any more."""
    below = service.put(bot_name="Below", started_at=ago(minutes=9))["id"]
    above = service.put(bot_name="Above", started_at=ago(minutes=1))["id"]
    page = open_page()
    page.set_viewport_size({"width": 420, "height": 1400})
    before = box(stop_of(page, below))
    point_at(page, stop_of(page, below))
    service.change(above, status="completed", outcome="success", ended_at=ago(seconds=0))
    shows_state(card(page, above), "Completed")
    assert in_order(page) == [above, below]
    assert box(stop_of(page, below)) == before
    away(page)
    expect(page.locator("#ended-cards li")).to_have_count(1)
    assert in_order(page) == [below]


def test_a_removed_session_leaves_its_place_for_as_long_as_somebody_points(
    service: FakeService, open_page: OpenPage
) -> None:
    """The card says what happened; those below do not jump up."""
    below = service.put(bot_name="Below", started_at=ago(minutes=9))["id"]
    above = service.put("session-lost", bot_name="Above", started_at=ago(minutes=1))["id"]
    service.change(above, status="running", last_heartbeat_at=ago(seconds=0))
    page = open_page()
    page.set_viewport_size({"width": 420, "height": 1400})
    before = box(stop_of(page, below))
    point_at(page, stop_of(page, below))
    service.remove(above)
    expect(card(page, above).locator("h2")).to_have_text("This session was removed")
    assert box(stop_of(page, below)) == before
    away(page)
    expect(card(page, above)).to_have_count(0)


def test_focus_inside_a_card_holds_the_order(service: FakeService, open_page: OpenPage) -> None:
    """Who came there by keyboard keeps the neighbours they heard read."""
    first = service.put(bot_name="First", started_at=ago(minutes=9))["id"]
    page = open_page()
    stop_of(page, first).focus()
    second = service.put(bot_name="Second", started_at=ago(seconds=1))["id"]
    shows_state(card(page, second), "Working")
    assert in_order(page) == [first, second]
    page.get_by_role("link", name="Botlight").focus()
    expect(page.locator("#running-cards li").first.locator("h2")).to_have_text("Second")


def test_a_finger_on_a_card_holds_the_order(service: FakeService, browser: Browser, console: Console) -> None:
    """From the touch until a second after it was lifted."""
    profile = browser.new_context(viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    profile.add_cookies([service.sign_in()])  # type: ignore[list-item]  # a plain dict has the same keys
    page = profile.new_page()
    console.watch(page)
    first = service.put(bot_name="First", started_at=ago(minutes=9))["id"]
    page.goto(service.address)
    bounds = box(stop_of(page, first))
    finger = profile.new_cdp_session(page)
    point = {"x": bounds["x"] + 5, "y": bounds["y"] + 5}
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    second = service.put(bot_name="Second", started_at=ago(seconds=1))["id"]
    shows_state(card(page, second), "Working")
    assert in_order(page) == [first, second]
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    shows_state(card(page, first), "Stopping")
    assert service.sessions[second]["stop_requested_at"] is None
    expect(page.locator("#running-cards li").first.locator("h2")).to_have_text("Second")
    profile.close()


def test_a_card_that_has_just_moved_is_deaf_to_a_pointer(service: FakeService, open_page: OpenPage) -> None:
    """Whatever moved it: a press within the time that eyes need does nothing, one after it works."""
    session = service.put()["id"]
    page = open_page()
    where = point_at(page, stop_of(page, session))
    away(page)
    pushed = "document.querySelector('main').prepend(Object.assign(document.createElement('p'), {id: 'pushed'}))"
    page.evaluate(f"{pushed}; document.getElementById('pushed').style.height = '20px'")
    page.mouse.click(where[0], where[1] + 20 + 24)  # the paragraph and the gap beside it
    assert service.asked("/stop") == 0
    expect(card(page, session).locator("button.stop")).to_have_attribute("aria-disabled", "true")
    stop_of(page, session).click()
    shows_state(card(page, session), "Stopping")
    assert service.asked("/stop") == 1


def test_a_card_that_was_only_scrolled_is_not_deaf(service: FakeService, open_page: OpenPage) -> None:
    """A person who scrolls knows where they go."""
    last = [service.put(started_at=ago(minutes=minutes))["id"] for minutes in range(1, 9)][-1]
    page = open_page()
    page.set_viewport_size({"width": 420, "height": 700})
    button = stop_of(page, last)
    page.mouse.move(200, 300)
    page.mouse.wheel(0, 9000)
    expect(button).to_be_in_viewport()
    expect(button).not_to_have_attribute("aria-disabled", "true")


@pytest.mark.parametrize("width", [360, 1200])
def test_stop_stays_where_it_is_from_job_to_job(service: FakeService, open_page: OpenPage, width: int) -> None:
    """Long words take one line and stand in the title; a pause and its end move nothing either."""
    session = service.put(activity="applying", activity_details={"title": "Clerk"})["id"]
    page = open_page()
    page.set_viewport_size({"width": width, "height": 900})
    shown = card(page, session)
    shows_freshness(shown, "live")
    before = box(stop_of(page, session))
    long = (
        "Senior principal staff engineer for distributed systems and everything else that is to be done in this house"
    )
    seen = shown.locator(".activity + .details").locator("xpath=..")
    for changes, words in (
        ({"activity_details": {"title": long, "company": "Acme"}}, long),
        ({"activity": long, "activity_details": None}, long),
        ({"activity": "searching", "activity_details": None}, "Searching for jobs"),
        ({"waiting_until": ago(seconds=-90), "waiting_reason": long}, "Waiting"),
        ({"waiting_until": None, "waiting_reason": None, "activity_details": {"title": long}}, "Searching for jobs"),
    ):
        service.change(session, **changes)
        expect(seen).to_contain_text(words)
        assert box(shown.locator("button.stop")) == before, changes
    expect(shown.locator(".details")).to_have_attribute("title", long)
