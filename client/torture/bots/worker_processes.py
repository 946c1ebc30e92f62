# ruff: noqa: T201, BLE001 -- a bot as people write them: a script that prints and catches everything
"""A bot whose main process finds jobs and gives them to worker processes, each with a browser of its own.

    python worker_processes.py '{"board": "http://localhost:8700", "user": "ada"}'

Sending is one worker's turn at a time, because the site throttles. The lines that name `reporter` or `report` are there
for Botlight; without them it is the same bot.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

from bot_settings import BotSettings
from job_site import JobSite

from status_reporter import StatusReporter

WORKERS = 3


def work(settings: BotSettings, reporter: StatusReporter, jobs: Any, turn: Any, stopping: Any) -> None:
    """One worker: takes jobs until there are no more, or the main process says that Stop was pressed."""
    site = JobSite(settings.board, button=settings.button)
    site.sign_in(settings.user, settings.password)
    for job in iter(jobs.get, None):
        try:
            with reporter.job(job.key, title=job.title, company=job.company, url=job.url) as report:
                if not site.takes_applications(job.key):
                    report.skipped("closed")
                else:
                    with turn:
                        if stopping.is_set():
                            break
                        reason = site.apply(job.key)
                        if reason is None:
                            report.applied()
                        else:
                            report.failed(reason)
        except Exception as error:
            print(job.title, error, flush=True)
        if reporter.wait(settings.pause, reason="pause between two jobs") or stopping.is_set():
            break
    reporter.close()


def run(settings: BotSettings, reporter: StatusReporter) -> None:
    """Starts the workers, finds jobs for them, and waits until they are done."""
    context: Any = multiprocessing.get_context(settings.start_method)
    jobs, turn, stopping = context.Queue(), context.Lock(), context.Event()
    reporter.on_stop(stopping.set)
    shared = (jobs, turn, stopping)
    reporter.send_heartbeat("logging_in")
    site = JobSite(settings.board)
    site.sign_in(settings.user, settings.password)
    workers = [
        context.Process(target=work, args=(settings, reporter.for_worker(), *shared), daemon=True)
        for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    number, has_next = 0, True
    while has_next and not reporter.should_stop:
        number += 1
        reporter.send_heartbeat("searching", {"page": number})
        found, has_next = site.search("", number)
        for job in found:
            jobs.put(job)
    for _ in workers:
        jobs.put(None)
    reporter.send_heartbeat("applying")
    while any(worker.is_alive() for worker in workers):
        reporter.wait(0.1)
    for worker in workers:
        worker.join()
    jobs.cancel_join_thread()  # after a stop there are jobs that nobody takes any more


def main() -> None:
    """Reports what the workers do together."""
    settings = BotSettings.read()
    reporter = StatusReporter(heartbeat_interval=settings.heartbeat)
    with reporter.session("1.0"):
        run(settings, reporter)


if __name__ == "__main__":
    main()
