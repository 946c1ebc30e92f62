# ruff: noqa: BLE001, ASYNC110 -- a bot as people write them: a script that catches everything and polls
"""A bot with several workers, tasks of asyncio, that take jobs from one queue.

    python many_workers.py '{"board": "http://localhost:8700", "user": "ada"}'

Each worker has a browser of its own; sending is one worker's turn at a time, because the site throttles. The lines that
name `reporter` or `report` are there for Botlight; without them it is the same bot.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import TypeVar

from bot_settings import BotSettings
from job_site import JobSite, Posting

from status_reporter import StatusReporter

WORKERS = 3

T = TypeVar("T")


async def in_thread(call: Callable[..., T], *args: object) -> T:
    """Pages come by plain blocking HTTP, so each is a thread's work."""
    return await asyncio.get_running_loop().run_in_executor(None, functools.partial(call, *args))


class Worker:
    """One browser, and the jobs that it takes from the queue."""

    def __init__(self, settings: BotSettings, reporter: StatusReporter, turn: asyncio.Lock) -> None:
        self.site = JobSite(settings.board, button=settings.button)
        self.settings = settings
        self.reporter = reporter
        self.turn = turn

    async def work(self, jobs: asyncio.Queue[Posting]) -> None:
        """Until the queue is empty or somebody pressed Stop."""
        await in_thread(self.site.sign_in, self.settings.user, self.settings.password)
        while not jobs.empty() and not self.reporter.should_stop:
            job = jobs.get_nowait()
            report = self.reporter.job(job.key, title=job.title, company=job.company, url=job.url)
            try:
                if await in_thread(self.site.takes_applications, job.key):
                    await self.apply(job)
                else:
                    report.skipped("closed")
            except Exception as error:
                report.failed(error)
            await self.reporter.wait_async(self.settings.pause, reason="pause between two jobs")

    async def apply(self, job: Posting) -> None:
        """Waits until the form is there, for ever if need be, and for its turn; then sends."""
        while not await in_thread(self.site.has_form, job.key):
            await asyncio.sleep(0.1)
        report = self.reporter.job(job.key, title=job.title, company=job.company, url=job.url)
        async with self.turn:
            if self.reporter.should_stop:
                return
            self.reporter.send_heartbeat("applying", {"title": job.title})
            reason = await in_thread(self.site.apply, job.key)
            if reason is None:
                report.applied()
            else:
                report.failed(reason)


async def find_jobs(site: JobSite, reporter: StatusReporter) -> asyncio.Queue[Posting]:
    """All jobs of the board."""
    jobs: asyncio.Queue[Posting] = asyncio.Queue()
    number, has_next = 0, True
    while has_next and not reporter.should_stop:
        number += 1
        reporter.send_heartbeat("searching", {"page": number})
        found, has_next = await in_thread(site.search, "", number)
        for job in found:
            reporter.job(job.key)  # found, at first sight
            jobs.put_nowait(job)
    return jobs


async def run(settings: BotSettings, reporter: StatusReporter) -> None:
    """Finds jobs, and lets the workers loose on them."""
    async with reporter.session("1.0"):
        site = JobSite(settings.board, button=settings.button)
        reporter.send_heartbeat("logging_in")
        await in_thread(site.sign_in, settings.user, settings.password)
        jobs = await find_jobs(site, reporter)
        turn = asyncio.Lock()
        workers = [Worker(settings, reporter, turn) for _ in range(WORKERS)]
        await asyncio.gather(*(worker.work(jobs) for worker in workers))


def main() -> None:
    """Runs until all is done."""
    settings = BotSettings.read()
    reporter = StatusReporter(heartbeat_interval=settings.heartbeat)
    asyncio.run(run(settings, reporter))


if __name__ == "__main__":
    main()
