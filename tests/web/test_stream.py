"""The shared stream: never a gap, never an older picture, and "live" only while it is."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.web.fake_service import FakeService, ago
from tests.web.parts import card, shows_freshness, shows_state

OpenPage = Callable[..., Page]


@pytest.fixture
def clock(context: BrowserContext) -> BrowserContext:
    """A browser whose time the test moves on; it runs by itself too."""
    context.clock.install()
    return context


def applied(service: FakeService, session_id: str, count: int) -> None:
    """One more application."""
    service.change(session_id, jobs_applied=count)


@pytest.mark.usefixtures("trouble")
def test_without_ticks_the_picture_is_not_live(
    service: FakeService, clock: BrowserContext, open_page: OpenPage
) -> None:
    """Two missed ticks: not live at once, a new connection, and live again only when ticks come."""
    session = service.put()
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "live")
    service.ticking = False
    service.fail("/sessions", 503, "problem-unavailable")
    service.fail("/events", 503, "problem-unavailable")
    clock.clock.run_for(20_000)
    shows_freshness(shown, "live")
    clock.clock.run_for(12_000)
    shows_freshness(shown, "offline")
    expect(shown.locator(".fresh")).to_have_text(re.compile(r"offline \d+ s"))


@pytest.mark.usefixtures("trouble")
def test_without_ticks_documents_alone_make_nothing_live(
    service: FakeService, clock: BrowserContext, open_page: OpenPage
) -> None:
    """A service that is not sure to hear every change may still send some."""
    session = service.put()
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "live")
    service.ticking = False
    service.fail("/sessions", 503, "problem-unavailable")
    for count in range(50, 54):
        clock.clock.run_for(7_000)
        applied(service, session["id"], count)
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("53")
    clock.clock.run_for(5_000)
    expect(shown.locator(".fresh")).not_to_have_text("page live")


def test_stale_is_not_live(service: FakeService, open_page: OpenPage) -> None:
    """The service says itself that it is not sure; its next tick ends that."""
    session = service.put()
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "live")
    service.say("stale", {"since": ago(seconds=5)})
    shows_freshness(shown, "offline")
    shows_freshness(shown, "polling")  # the store may be asked all the same
    service.tick()
    shows_freshness(shown, "live")


def test_bye_is_followed_by_a_new_connection_when_it_says(service: FakeService, open_page: OpenPage) -> None:
    """A planned restart: every reader comes back at its own time."""
    session = service.put()
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "live")
    connections = service.asked("/events")
    service.say("bye", {"reconnect_after_ms": 700})
    shows_freshness(shown, "offline")
    assert service.asked("/events") == connections
    shows_freshness(shown, "live")
    assert service.asked("/events") == connections + 1


def test_a_cut_stream_is_resumed_where_it_broke(service: FakeService, open_page: OpenPage) -> None:
    """The position goes back as Last-Event-ID; what changed meanwhile comes, and the whole list does not."""
    session = service.put()
    page = open_page()
    shown = card(page, session["id"])
    shows_freshness(shown, "live")
    applied(service, session["id"], 42)
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("42")
    position = f"{service.history}.{len(service.changes)}"
    service.hold("/events")
    service.cut_streams()
    shows_freshness(shown, "offline")
    applied(service, session["id"], 43)
    service.release("/events")
    shows_freshness(shown, "live")
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("43")
    headers = [headers for _, path, headers in service.requests if path == "/events"]
    assert "last-event-id" not in headers[0]
    assert headers[-1]["last-event-id"] == position


def test_a_position_that_is_no_good_brings_the_whole_list(service: FakeService, open_page: OpenPage) -> None:
    """After a restored backup: revisions begin lower, sessions are gone, and the page follows."""
    kept, gone = service.put(bot_name="Kept"), service.put(bot_name="Gone")
    for count in range(42, 45):
        applied(service, kept["id"], count)
    page = open_page()
    expect(card(page, kept["id"]).locator('[data-counter="jobs_applied"]')).to_have_text("44")
    service.history += 1
    del service.sessions[gone["id"]]
    service.sessions[kept["id"]] |= {"jobs_applied": 40, "revision": 1}
    service.cut_streams()
    expect(card(page, kept["id"]).locator('[data-counter="jobs_applied"]')).to_have_text("40")
    expect(card(page, gone["id"])).to_have_count(0)


def test_a_revision_is_shown_once_and_never_an_older_one(service: FakeService, open_page: OpenPage) -> None:
    """Documents may come twice and late on the wire."""
    session = service.put()
    shown = card(open_page(), session["id"])
    newest = service.change(session["id"], jobs_applied=45)
    value = shown.locator('[data-counter="jobs_applied"]')
    expect(value).to_have_text("45")
    for revision in (newest["revision"] - 1, newest["revision"]):
        late = newest | {"revision": revision, "jobs_applied": 12}
        service.say("session", {"session": late, "server_time": ago(seconds=0)})
    service.change(session["id"], jobs_failed=8)
    expect(shown.locator('[data-counter="jobs_failed"]')).to_have_text("8")
    expect(value).to_have_text("45")


def test_events_of_a_newer_service_are_passed_over(service: FakeService, open_page: OpenPage) -> None:
    """A reader ignores what it does not know."""
    session = service.put()
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "live")
    service.say("weather", {"forecast": "sunny"})
    applied(service, session["id"], 42)
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("42")


def test_a_frame_that_is_no_json_costs_a_connection_and_nothing_else(service: FakeService, open_page: OpenPage) -> None:
    """The page starts over with the whole list."""
    session = service.put()
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "live")
    service.say_bytes(b"event: tick\ndata: {nonsense\n\n")
    applied(service, session["id"], 42)
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("42")
    shows_freshness(shown, "live")
    assert "last-event-id" not in [headers for _, path, headers in service.requests if path == "/events"][-1]


@pytest.mark.usefixtures("trouble")
def test_a_restart_of_the_service_is_survived(service: FakeService, open_page: OpenPage) -> None:
    """Offline while it is away; the picture stays as last known; live again without a reload."""
    session = service.put()
    page = open_page()
    shown = card(page, session["id"])
    shows_freshness(shown, "live")
    service.stop()
    shows_freshness(shown, "offline")
    expect(page.locator("#fresh")).to_have_text(re.compile("offline"))
    applied(service, session["id"], 44)
    service.start()
    shows_freshness(shown, "live")
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("44")


@pytest.mark.usefixtures("trouble")
def test_nothing_is_concluded_while_the_service_is_not_heard(
    service: FakeService, clock: BrowserContext, open_page: OpenPage
) -> None:
    """A page without a connection knows nothing about the bot: it calls nobody silent, and its times stand still."""
    session = service.put(last_heartbeat_at=ago(seconds=1))
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "live")
    service.stop()
    shows_freshness(shown, "offline")
    clock.clock.run_for(120_000)
    expect(shown.locator(".fresh")).to_have_text(re.compile(r"offline (1 min|2 min)"))
    shows_state(shown, "Working")
    expect(shown.locator(".note")).to_have_text(re.compile(r"Last known, as of \d\d:\d\d:\d\d"))
    elapsed = shown.locator(".elapsed").inner_text()
    clock.clock.run_for(5_000)
    expect(shown.locator(".elapsed")).to_have_text(elapsed)


@pytest.mark.usefixtures("trouble")
def test_a_page_that_opens_while_the_service_is_away_comes_by_itself(service: FakeService, open_page: OpenPage) -> None:
    """The stream answers 503 and so does everything else; later it does not."""
    session = service.put()
    for path in ("/me", "/events", "/sessions"):
        service.fail(path, 503, "problem-unavailable")
    page = open_page()
    expect(page.locator("#fresh")).to_have_attribute("data-kind", "offline")
    expect(page.get_by_role("heading", name="No bot is reporting")).to_be_hidden()
    for path in ("/me", "/events", "/sessions"):
        service.mend(path)
    shows_freshness(card(page, session["id"]), "live")


@pytest.mark.usefixtures("trouble")
def test_without_a_stream_the_page_polls_says_so_and_returns(
    service: FakeService, clock: BrowserContext, open_page: OpenPage
) -> None:
    """Every ten seconds; changes still show; the stream is tried on and taken as soon as it is to be had."""
    service.fail("/events", 503, "problem-unavailable")
    session, gone = service.put(), service.put(bot_name="Gone")
    page = open_page()
    shown = card(page, session["id"])
    shows_freshness(shown, "polling")
    expect(card(page, gone["id"])).to_have_count(1)
    service.change(session["id"], jobs_applied=48)
    service.remove(gone["id"])
    polls = service.asked("/sessions")
    clock.clock.run_for(10_500)
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("48")
    expect(card(page, gone["id"])).to_have_count(0)
    assert service.asked("/sessions") >= polls + 1
    service.mend("/events")
    clock.clock.run_for(16_000)
    shows_freshness(shown, "live")
    polls = service.asked("/sessions")
    clock.clock.run_for(12_000)
    assert service.asked("/sessions") == polls


def test_a_stream_that_is_held_back_on_its_way_is_polled_around(service: FakeService, open_page: OpenPage) -> None:
    """A proxy that buffers: the connection stands, and nothing comes through."""
    service.hold("/events")
    session = service.put()
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "polling")
    shows_state(shown, "Working")
    service.release("/events")
    shows_freshness(shown, "live")


@pytest.mark.usefixtures("trouble")
def test_an_answer_of_something_else_is_no_stream(service: FakeService, open_page: OpenPage) -> None:
    """A captive portal answers 200 with a page of its own."""
    session = service.put()
    service.failing["/events"] = (200, "ok")
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "polling")
    service.mend("/events")
    shows_freshness(shown, "live")


@pytest.mark.usefixtures("trouble")
def test_a_new_sign_in_of_somebody_else_shows_nothing_of_the_first(
    service: FakeService, open_page: OpenPage, context: BrowserContext
) -> None:
    """The cookie changed hands in another tab: the picture does not mix two people."""
    other = service.add_user("other")
    mine, theirs = service.put(bot_name="Mine"), service.put(bot_name="Theirs", user_id=other)
    page = open_page()
    shows_freshness(card(page, mine["id"]), "live")
    context.add_cookies([service.sign_in(other)])  # type: ignore[list-item]  # a plain dict has the same keys
    service.cut_streams()
    shows_freshness(card(page, theirs["id"]), "live")
    expect(card(page, mine["id"])).to_have_count(0)


@pytest.mark.usefixtures("trouble")
def test_a_page_whose_sign_in_ended_says_so_and_comes_back(
    service: FakeService, open_page: OpenPage, context: BrowserContext
) -> None:
    """401 is not asked again and again; looking at the page does."""
    session = service.put()
    page = open_page()
    shown = card(page, session["id"])
    shows_freshness(shown, "live")
    service.signed_in.clear()
    service.cut_streams()
    expect(page.locator("#fresh")).to_have_text("signed out")
    expect(shown).to_have_count(0)
    expect(page.get_by_role("alert")).to_contain_text("You are signed out")
    context.add_cookies([service.sign_in()])  # type: ignore[list-item]  # a plain dict has the same keys
    page.evaluate("dispatchEvent(new Event('focus'))")
    shows_freshness(shown, "live")
