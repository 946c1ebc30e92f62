"""Every figure: `python -m bench`. SAMPLES=20 shortens the latencies for a quick look."""

from __future__ import annotations

import platform

from bench import delivery, ingest, latency, reporter_call

print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}\n")
for part in (reporter_call, ingest, delivery, latency):
    part.main()
    print()
