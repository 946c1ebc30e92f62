# ruff: noqa: T201, BLE001 -- a bot as people write them: a script that prints and catches everything
"""A bot with one function that every outcome passes, and `except Exception` around everything else.

    python choke_point.py '{"board": "http://localhost:8700", "user": "ada"}'

The lines that name `reporter` or `report` are there for Botlight; without them it is the same bot.
"""

from __future__ import annotations

import select
import sys

from bot_settings import BotSettings
from job_site import JobSite, Posting

from status_reporter import StatusReporter, get_reporter

CREDITS = 0.25  # what an application costs its owner


def write_to_file(job: Posting, outcome: str, reason: object = None) -> None:
    """The choke point: what became of a job, `success`, `failed` or `skipped`."""
    print(outcome, job.title, job.company, reason or "", flush=True)
    report = get_reporter().job(job.key, title=job.title, company=job.company, url=job.url)
    if outcome == "success":
        report.applied(CREDITS)
    else:
        {"failed": report.failed, "skipped": report.skipped}[outcome](reason)


def ask(question: str, seconds: float) -> str:
    """What the person types in time; nothing when they do not."""
    get_reporter().send_heartbeat("waiting_for_user", {"question": question})
    print(question, flush=True)
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return sys.stdin.readline().strip() if readable else ""


class Applier:
    """Walks through the pages of one search and applies for everything on them."""

    def __init__(self, site: JobSite, pause_s: float) -> None:
        self.site = site
        self.pause_s = pause_s

    def start_applying(self) -> None:
        """Ends after the last page."""
        reporter, number, is_last = get_reporter(), 0, False
        while not is_last:
            number += 1
            try:
                reporter.checkpoint("searching", {"page": number})
                jobs, has_next = self.site.search("", number)
                is_last = not has_next
                self.apply_jobs(jobs)
                if not is_last and ask("Next page? Type no to end.", 0.2) == "no":
                    break
            except Exception as error:
                print("page", number, "went wrong:", error, flush=True)
                continue

    def apply_jobs(self, jobs: list[Posting]) -> None:
        """One page of jobs; whatever goes wrong with one of them is written to the file."""
        reporter = get_reporter()
        for job in jobs:
            reporter.job(job.key)  # found, at first sight
        for job in jobs:
            reporter.checkpoint("opening_job", {"title": job.title})
            try:
                self.apply_to(job)
            except Exception as error:
                write_to_file(job, "failed", error)
            reporter.wait(self.pause_s, reason="pause between two jobs")

    def apply_to(self, job: Posting) -> None:
        """One job."""
        if not self.site.takes_applications(job.key):
            write_to_file(job, "skipped", "closed")
            return
        get_reporter().send_heartbeat("applying", {"title": job.title, "company": job.company})
        reason = self.site.apply(job.key)
        if reason is None:
            write_to_file(job, "success")
        else:
            write_to_file(job, "failed", reason)


def main() -> None:
    """Signs in and applies."""
    settings = BotSettings.read()
    reporter: StatusReporter = get_reporter()
    with reporter.session("1.0"):
        site = JobSite(settings.board, button=settings.button)
        reporter.send_heartbeat("logging_in")
        site.sign_in(settings.user, settings.password)
        Applier(site, settings.pause).start_applying()


if __name__ == "__main__":
    main()
