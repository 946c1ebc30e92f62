"""The card on a page of another origin, with a token that strangers may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.conftest import Console
from tests.web.fake_service import FakeService, ago
from tests.web.parts import card, shows_freshness, shows_state

EMBED: Final = Path(__file__).parents[2] / "examples" / "embed.html"


@pytest.fixture
def embed(
    service: FakeService, foreign: tuple[str, Path], browser: Browser, console: Console
) -> Iterator[Callable[[str, str], Page]]:
    """Opens the example page with a session and a token filled in."""
    address, folder = foreign
    profile = browser.new_context(locale="en-GB")

    def open_example(session_id: str, secret: str) -> Page:
        page_text = EMBED.read_text().replace("http://127.0.0.1:3000", service.address.rstrip("/"))
        (folder / "embed.html").write_text(page_text.replace("SESSION_ID", session_id).replace("EMBED_TOKEN", secret))
        page = profile.new_page()
        console.watch(page)
        page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        page.goto(address + "embed.html")
        return page

    yield open_example
    profile.close()


def make_token(service: FakeService, scope: str) -> str:
    """A token's secret."""
    secret = f"secret-of-{scope}"
    service.tokens[secret] = {"user_id": service.user, "scope": scope}
    return secret


def test_the_example_shows_a_bot_live_on_a_foreign_page(
    service: FakeService, embed: Callable[[str, str], Page]
) -> None:
    """By the token alone: no cookie goes along, and nothing private comes."""
    service.sign_in()
    session = service.put(error_message="private", waiting_reason="private")
    page = embed(session["id"], make_token(service, "embed"))
    shown = card(page, session["id"])
    shows_freshness(shown, "live")
    shows_state(shown, "Working")
    service.change(session["id"], jobs_applied=44)
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("44")
    expect(shown).not_to_contain_text("Data analyst")
    expect(shown).not_to_contain_text("private")
    asked = [(path, headers) for _, path, headers in service.requests]
    assert {path for path, _ in asked} == {"/events"}
    assert all("cookie" not in headers and headers["authorization"].startswith("Bearer ") for _, headers in asked)


def test_a_card_without_a_session_shows_the_newest(service: FakeService, embed: Callable[[str, str], Page]) -> None:
    """What a token for a bot is for: the page need not change from run to run."""
    page = embed("", make_token(service, "embed"))
    shown = page.locator("bot-status-card")
    expect(shown.locator("h2")).to_have_text("No bot is reporting")
    first = service.put(bot_name="First", started_at=ago(minutes=5))
    expect(shown.locator("h2")).to_have_text("First")
    service.change(first["id"], status="completed", outcome="success", ended_at=ago(seconds=1))
    shows_state(shown, "Completed")
    service.put(bot_name="Second", started_at=ago(seconds=1))
    expect(shown.locator("h2")).to_have_text("Second")
    service.change(first["id"], jobs_applied=99)
    expect(shown.locator("h2")).to_have_text("Second")


def test_a_public_card_has_no_stop(service: FakeService, embed: Callable[[str, str], Page]) -> None:
    """And shows somebody else's stop all the same."""
    session = service.put("session-stopping")
    shown = card(embed(session["id"], make_token(service, "embed")), session["id"])
    shows_state(shown, "Stopping")
    expect(shown.locator("li[data-step]")).to_have_count(4)
    service.change(session["id"], stop_requested_at=None)
    shows_state(shown, "Working")
    expect(shown.get_by_role("button")).to_have_count(0)


@pytest.mark.usefixtures("trouble")
def test_a_public_card_polls_its_own_session(service: FakeService, embed: Callable[[str, str], Page]) -> None:
    """It may not list, so it asks for what it shows."""
    service.fail("/events", 503, "problem-unavailable")
    session = service.put()
    shown = card(embed(session["id"], make_token(service, "embed")), session["id"])
    shows_freshness(shown, "polling")
    shows_state(shown, "Working")
    assert service.asked("/status") >= 1
    service.mend("/events")
    shows_freshness(shown, "live")


@pytest.mark.parametrize(("scope", "stops"), [("view", False), ("operate", True)])
def test_a_stop_is_offered_to_those_who_may(
    service: FakeService, embed: Callable[[str, str], Page], scope: str, stops: bool
) -> None:
    """A token to look has no button; one to operate has, and it works across origins."""
    session = service.put()
    shown = card(embed(session["id"], make_token(service, scope)), session["id"])
    shows_freshness(shown, "live")
    expect(shown.get_by_role("button", name="Stop")).to_have_count(int(stops))
    if stops:
        shown.get_by_role("button", name="Stop").click()
        shows_state(shown, "Stopping")


@pytest.mark.usefixtures("trouble")
def test_a_revoked_token_leaves_no_live_picture(service: FakeService, embed: Callable[[str, str], Page]) -> None:
    """The card says that it may not look any more, and asks no more each second."""
    session = service.put()
    secret = make_token(service, "embed")
    shown = card(embed(session["id"], secret), session["id"])
    shows_freshness(shown, "live")
    del service.tokens[secret]
    service.cut_streams()
    shows_freshness(shown, "refused")
    asked = service.asked("/events")
    service.put(started_at=ago(seconds=1))
    expect(shown.locator(".fresh")).to_have_text("not allowed")
    assert service.asked("/events") == asked
