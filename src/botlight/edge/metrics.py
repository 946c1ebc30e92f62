"""What operators watch, in Prometheus' words.

Counted in plain numbers and turned into Prometheus' families when somebody scrapes: a request costs an addition, not a
lock for each bucket. One event loop counts, so nothing is added twice at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from botlight.realtime.hub import Hub

__all__ = ["Metrics"]

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class _Times(Struct):
    """How long the answers of one operation took; `counts` has one more than there are buckets."""

    counts: list[int]
    sum_s: float = 0.0


class Metrics:
    """Counts of one service. Requests are counted by operation, never by what a client wrote."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._answers: dict[tuple[str, int], int] = {}
        self._times: dict[str, _Times] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def answered(self, operation: str, status: int, seconds: float | None) -> None:
        """Count an answer; `seconds` None: a stream, whose length says nothing."""
        key = (operation, status)
        self._answers[key] = self._answers.get(key, 0) + 1
        if seconds is None:
            return
        times = self._times.get(operation)
        if times is None:
            times = self._times[operation] = _Times([0] * (len(BUCKETS_S) + 1))
        times.counts[bisect_left(BUCKETS_S, seconds)] += 1
        times.sum_s += seconds

    def collect(self) -> Iterator[Metric]:
        """What a scraper gets; called by Prometheus' registry."""
        requests = CounterMetricFamily("botlight_requests", "Answered requests.", labels=["operation", "status"])
        for (operation, status), count in self._answers.items():
            requests.add_metric([operation, str(status)], count)
        yield requests
        seconds = HistogramMetricFamily(
            "botlight_request_seconds", "Time from request to answer, streams apart.", labels=["operation"]
        )
        for operation, times in self._times.items():
            edges = [*map(str, BUCKETS_S), "+Inf"]
            seconds.add_metric([operation], list(zip(edges, accumulate(times.counts), strict=True)), times.sum_s)
        yield seconds
        people, sockets, bots = self._hub.streams()
        yield GaugeMetricFamily("botlight_streams_people", "Open event streams of people.", people)
        yield GaugeMetricFamily("botlight_sockets", "Open sockets of people.", sockets)
        yield GaugeMetricFamily("botlight_streams_bots", "Open command streams of bots.", bots)

    def exposition(self) -> tuple[str, bytes]:
        """Media type and text for a scraper."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)
