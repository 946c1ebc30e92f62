"""What operators watch, in Prometheus' words."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from botlight.realtime.hub import Hub

__all__ = ["Metrics"]


class Metrics:
    """Counts of one service. Requests are counted by operation, never by what a client wrote."""

    def __init__(self, hub: Hub) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "botlight_requests", "Answered requests.", ["operation", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "botlight_request_seconds",
            "Time from request to answer, streams apart.",
            ["operation"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
            registry=self._registry,
        )
        people = Gauge("botlight_streams_people", "Open event streams of people.", registry=self._registry)
        people.set_function(lambda: hub.streams()[0])
        bots = Gauge("botlight_streams_bots", "Open command streams of bots.", registry=self._registry)
        bots.set_function(lambda: hub.streams()[1])
        self._children: dict[tuple[str, int], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def answered(self, operation: str, status: int, seconds: float | None) -> None:
        """Count an answer; `seconds` None: a stream, whose length says nothing."""
        key = (operation, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(operation, str(status))
        child.inc()
        if seconds is not None:
            timer = self._timers.get(operation)
            if timer is None:
                timer = self._timers[operation] = self._seconds.labels(operation)
            timer.observe(seconds)

    def exposition(self) -> tuple[str, bytes]:
        """Media type and text for a scraper."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)
