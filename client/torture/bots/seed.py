"""The seed's script, to the letter but for where the address and the token come from."""

from __future__ import annotations

import os
import time

from stage import Stage

from status_reporter import StatusReporter

stage = Stage()

began = time.monotonic()
r = StatusReporter(os.environ["STATUS_REPORTER_TOKEN"], os.environ["STATUS_REPORTER_URL"])
r.start_session("1.0.0-test", "win32")
r.send_heartbeat('browser_opening'); r.increment_jobs_found(5)  # fmt: skip  # noqa: E702, Q000 -- the seed's own lines
r.send_heartbeat('jobs_found', {'count': 5}); r.complete_session(success=True)  # fmt: skip  # noqa: E702, Q000
stage.tell("took", seconds=time.monotonic() - began)
