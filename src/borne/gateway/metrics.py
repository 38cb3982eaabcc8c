"""Counters of the gateway: plain integers on the hot path, turned into Prometheus metrics when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


class Counts:
    """What the gateway counted since it started."""

    __slots__ = (
        "bad_frames",
        "closed",
        "damped",
        "frames_in",
        "frames_out",
        "links",
        "opened",
        "refused_calls",
        "refused_links",
        "replayed",
        "stray_answers",
        "tolerated",
    )

    def __init__(self) -> None:
        self.frames_in = 0
        self.frames_out = 0
        self.links = 0
        self.opened = 0
        self.damped = 0
        self.replayed = 0
        self.stray_answers = 0
        self.tolerated: dict[str, int] = {}  # deviations accepted, by kind
        self.bad_frames: dict[str, int] = {}  # by what was wrong
        self.refused_calls: dict[str, int] = {}  # CALLERRORs sent, by code
        self.refused_links: dict[str, int] = {}  # handshakes refused, by why
        self.closed: dict[str, int] = {}  # links lost, by how

    def collect(self) -> Iterable[Metric]:
        """The collector that Prometheus' registry calls."""
        yield GaugeMetricFamily("borne_links", "Links open now", self.links)
        for name, text in (
            ("frames_in", "OCPP frames received"),
            ("frames_out", "OCPP frames sent"),
            ("opened", "Links opened"),
            ("damped", "Chargers put under a penalty for reconnecting too often"),
            ("replayed", "Repeated calls answered from memory"),
            ("stray_answers", "Answers that belong to no call of ours"),
        ):
            yield CounterMetricFamily(f"borne_gateway_{name}", text, getattr(self, name))
        for name, label, text in (
            ("tolerated", "kind", "Deviations from OCPP that were accepted"),
            ("bad_frames", "why", "Texts that were no frame"),
            ("refused_calls", "code", "Calls answered with an error"),
            ("refused_links", "why", "Handshakes refused"),
            ("closed", "how", "Links lost"),
        ):
            family = CounterMetricFamily(f"borne_gateway_{name}", text, labels=[label])
            for word, count in getattr(self, name).items():
                family.add_metric([word], count)
            yield family


def count(table: dict[str, int], word: str) -> None:
    """One more of `word`. Words are ours, never a charger's: a table cannot be made to grow."""
    table[word] = table.get(word, 0) + 1
