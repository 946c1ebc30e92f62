"""The bot: signs in, searches, and applies for one job after the other.

The lines that name `reporter` or `job` are there for Botlight; without them it is the same bot.
"""

from itertools import product
from urllib.parse import urlencode, urljoin

from status_reporter import Job, StatusReporter

from . import pages
from .driver import BoardTroubleError, Driver
from .pages import Posting
from .preferences import Preferences

CREDITS_PER_APPLICATION = 1.5  # what the owner pays for each accepted application
TRIES = 5


class SignInError(Exception):
    """The board does not let us in."""


class Bot:
    """Works for one owner on one board, and reports each step."""

    def __init__(self, site: str, driver: Driver, preferences: Preferences, reporter: StatusReporter) -> None:
        self._site = site
        self._driver = driver
        self._preferences = preferences
        self._reporter = reporter

    def run(self) -> None:
        """Applies until there is no job left, the cap is reached, or the owner presses Stop."""
        reporter, preferences = self._reporter, self._preferences
        reporter.send_heartbeat("logging_in", {"user": preferences.user})
        self._sign_in()
        reporter.send_heartbeat("searching", {"keywords": preferences.keywords, "locations": preferences.locations})
        postings = self._search()
        reporter.send_heartbeat("jobs_found", {"count": len(postings)})
        accepted = 0
        for number, posting in enumerate(reporter.track(postings), start=1):  # ends when Stop is pressed
            outcome = self._try_job(posting)
            print(f"{number}/{len(postings)} {outcome}: {posting.title}, {posting.company}", flush=True)
            reporter.progress(number, len(postings))
            accepted += outcome == "applied"
            if 0 < preferences.cap <= accepted:
                break
            if outcome != "skipped":
                reporter.wait(preferences.pause_s, reason="Pause between two applications", tick=self._driver.idle)
        reporter.send_heartbeat("finishing", {"applied": accepted})

    def _try_job(self, posting: Posting) -> str:
        """Applies for a job if it is open; returns what became of it: applied, failed or skipped."""
        reporter, about = self._reporter, {"title": posting.title, "company": posting.company}
        job = self._job(posting)
        reporter.send_heartbeat("opening_job", about)
        page = self._open(posting.address)
        form_address = pages.apply_address(page)
        if form_address is None:
            job.skipped(pages.note(page))
            return "skipped"
        reporter.send_heartbeat("filling_form", about)
        reason = self._apply(posting, form_address)
        if reason is not None:
            job.failed(reason)
            return "failed"
        job.applied(credits=CREDITS_PER_APPLICATION)
        reporter.send_heartbeat("applied", about)
        return "applied"

    def _apply(self, posting: Posting, form_address: str) -> str | None:
        """Sends the form until the board takes it or refuses it for good; returns the reason, None when accepted."""
        reason = None
        page = self._open(form_address)
        for _ in range(TRIES):
            fields = pages.fields(page)
            try:
                self._driver.fill({field.name: self._preferences.answer(field) for field in fields})
                self._reporter.send_heartbeat("applying", {"title": posting.title, "company": posting.company})
                page = self._driver.send()
            except BoardTroubleError as trouble:
                reason = str(trouble)
                # The application may have arrived although the answer did not: look before sending it twice.
                if posting.key in pages.applied_keys(self._open("/applications")):
                    return None
                page = self._open(form_address)
                continue
            if posting.key in pages.applied_keys(page):
                return None
            reason = pages.refusal(page)
            if pages.fields(page) == fields:  # nothing new is asked: our answers are not good enough
                break
        return reason

    def _search(self) -> list[Posting]:
        """The jobs that fit the preferences, each once; each counts as found at first sight."""
        found: dict[str, Posting] = {}
        limit = self._preferences.limit
        for keyword, location in product(self._preferences.keywords or [""], self._preferences.locations or [""]):
            address: str | None = "/jobs?" + urlencode({"keyword": keyword, "location": location})
            while address and not self._reporter.should_stop and not 0 < limit <= len(found):
                page = self._open(address)
                for posting in pages.postings(page):
                    self._job(posting)
                    found.setdefault(posting.key, posting)
                address = pages.next_address(page)
        return list(found.values())[: limit or None]

    def _job(self, posting: Posting) -> Job:
        url = urljoin(self._site, posting.address)
        return self._reporter.job(posting.key, title=posting.title, company=posting.company, url=url)

    def _sign_in(self) -> None:
        """Signs in; the board registers a new name by itself. Raises SignInError."""
        for _ in range(TRIES):
            self._open("/sign-in?next=/applications")
            try:
                self._driver.fill({"user": self._preferences.user, "password": self._preferences.password})
                page = self._driver.send()
            except BoardTroubleError:
                continue
            if not pages.fields(page):
                return
            raise SignInError(pages.note(page))
        raise SignInError("The board could not sign us in.")

    def _open(self, address: str) -> str:
        """Opens a page, again and again when the board has trouble; raises BoardTroubleError when that does not end."""
        pause_s = self._preferences.retry_s
        for _ in range(TRIES - 1):
            try:
                return self._driver.open(address)
            except BoardTroubleError:
                self._driver.idle(pause_s)
                pause_s *= 2
        return self._driver.open(address)
