"""Every figure: `python -m bench`. For a quick look SAMPLES=20 shortens the latencies, ROUNDS=1 the heartbeats."""

from __future__ import annotations

import platform

from bench import delivery, fleet, foreign, ingest, latency, reporter_call

print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}\n")
for part in (reporter_call, ingest, fleet, delivery, latency, foreign):
    part.main()
    print()
