"""How tests find the parts of a page."""

from __future__ import annotations

import time
from typing import Final

from playwright.sync_api import Locator, Page, expect


def card(page: Page, session_id: str) -> Locator:
    """A session's card."""
    return page.locator(f'bot-status-card[session="{session_id}"]')


def shows_state(shown: Locator, state: str) -> None:
    """The card comes to show this state."""
    expect(shown.locator(".state")).to_have_text(state)


def shows_freshness(shown: Locator, kind: str) -> None:
    """The card's freshness mark comes to be of this kind."""
    expect(shown.locator(".fresh")).to_have_attribute("data-kind", kind)


def step(shown: Locator, name: str) -> Locator:
    """One of the four steps of a stop."""
    return shown.locator(f'li[data-step="{name}"]')


def steps(shown: Locator) -> list[str | None]:
    """The states of the four steps, as they stand."""
    return [row.get_attribute("data-state") for row in shown.locator("li[data-step]").all()]


PATIENCE_S: Final = 15.0


def comes_true(page: Page, expression: str) -> None:
    """Waits for a JavaScript expression, or a promise of one. The page's policy forbids Playwright's own way to poll."""
    deadline = time.monotonic() + PATIENCE_S
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)
