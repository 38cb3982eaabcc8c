"""Counters of the engine: plain integers on the hot path, turned into Prometheus metrics when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


class Counts:
    """What the engine counted since it started. `waiting` says how much is in its inbox."""

    __slots__ = ("_waiting", "dead_letters", "facts", "groups")

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._waiting = waiting
        self.facts = 0
        self.groups = 0
        self.dead_letters = 0

    @property
    def waiting(self) -> int:
        """Facts in the inbox now."""
        return self._waiting()

    def collect(self) -> Iterable[Metric]:
        """The collector that Prometheus' registry calls."""
        yield GaugeMetricFamily("borne_inbox", "Facts that wait to be stored", self.waiting)
        yield CounterMetricFamily("borne_facts", "Facts applied", self.facts)
        yield CounterMetricFamily("borne_commits", "Commit groups", self.groups)
        yield CounterMetricFamily("borne_dead_letters", "Facts that could not be applied", self.dead_letters)
