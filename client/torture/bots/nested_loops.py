# ruff: noqa: T201, BLE001 -- a bot as people write them: a script that prints and catches everything
"""A bot of one method with a loop in a loop in a loop, and five counters of its own, one of which is wrong.

    python nested_loops.py '{"board": "http://localhost:8700", "user": "ada"}'

The lines that name `reporter` or `report` are there for Botlight; without them it is the same bot. It reports as the
shortest guide would have it: begun at the top, completed at the bottom, and nothing for the ways out between them.
"""

from __future__ import annotations

from bot_settings import BotSettings
from job_site import BrokenFormError, JobSite

from status_reporter import StatusReporter

SEARCHES = ("Engineer", "Company 3", "Engineer 1", "Nobody")  # they overlap
CAP = 100  # applications in a day


class EasyApply:
    """The whole bot."""

    def __init__(self, site: JobSite, user: str, password: str, reporter: StatusReporter, pause_s: float) -> None:
        self.site = site
        self.reporter = reporter
        self.pause_s = pause_s
        reporter.send_heartbeat("logging_in")
        self.site.sign_in(user, password)

    def apply(self) -> None:
        """For each search, each page of it, each job on the page."""
        reporter = self.reporter
        seen = applied = failed = closed = pages = 0
        for search in reporter.track(SEARCHES):
            number, has_next = 0, True
            while has_next and not reporter.should_stop:
                number += 1
                reporter.send_heartbeat("searching", {"keyword": search, "page": number})
                try:
                    jobs, has_next = self.site.search(search, number)
                except Exception as error:
                    print("no results:", error, flush=True)
                    break
                pages += 1
                for job in reporter.track(jobs):
                    seen += 1
                    report = reporter.job(job.key, title=job.title, company=job.company, url=job.url)
                    reporter.send_heartbeat("applying", {"title": job.title})
                    try:
                        if not self.site.takes_applications(job.key):
                            closed += 1
                            report.skipped("closed, or applied before")
                            applied += 1  # wrong: a job that takes no application is taken for one applied for
                            continue
                        reason = self.send(job.key)
                    except Exception as error:
                        failed += 1
                        report.failed(error)
                        continue
                    if reason is None:
                        applied += 1
                        report.applied()
                    else:
                        failed += 1
                        report.failed(reason)
                    reporter.wait(self.pause_s, reason="pause between two jobs")
                if applied >= CAP or reporter.should_stop:
                    break
        print(f"seen {seen}, applied {applied}, failed {failed}, closed {closed}, pages {pages}", flush=True)

    def send(self, key: str) -> str | None:
        """Presses the button, twice if need be."""
        tries = 0
        while tries < 2:
            try:
                return self.site.apply(key)
            except BrokenFormError:
                self.site.has_form(key)  # look again; and `tries` never grows
        return "no button"


def main() -> None:
    """Reports the seed's way: what comes out of the bot in between is told by nobody."""
    settings = BotSettings.read()
    reporter = StatusReporter(heartbeat_interval=settings.heartbeat)
    reporter.start_session("1.0")
    site = JobSite(settings.board, button=settings.button)
    EasyApply(site, settings.user, settings.password, reporter, settings.pause).apply()
    reporter.complete_session(success=True)


if __name__ == "__main__":
    main()
