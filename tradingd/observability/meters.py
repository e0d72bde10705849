"""Every metric: its name, kind, labels and meaning in one table; the page, the docs and the tests read it.

Prefix `tradingd_`, base units, `_total` on counters only, times as Unix seconds and never as ages (an age
freezes when its writer dies). Labels are enumerated; a symbol stands only on a position that exists, and
an id stands nowhere.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from tradingd.instruments.units import SECOND_NS
from tradingd.observability.metric_table import BUCKETS, ROWS
from tradingd.runtime.tally import PlainHistogram

PREFIX = "tradingd_"


@dataclass(frozen=True, slots=True)
class Family:
    """One row of the table."""

    group: str
    name: str
    kind: str
    labels: tuple[str, ...]
    text: str

    @property
    def series(self) -> tuple[str, ...]:
        """Return the names under which Prometheus stores it."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


FAMILIES: Mapping[str, Family] = {
    name: Family(group, PREFIX + name, kind, tuple(labels.split()), text)
    for group, name, kind, labels, text in ROWS
}
"""Name without the prefix -> row, in the order of the docs."""

Instrument = TypeVar("Instrument", Counter, Gauge, Histogram)


class Bound(dict[tuple[str, ...], Instrument], Generic[Instrument]):
    """An instrument's children by label values, each bound once."""

    def __init__(self, instrument: Instrument) -> None:
        super().__init__()
        self._instrument: Instrument = instrument

    def __missing__(self, values: tuple[str, ...]) -> Instrument:
        child: Instrument = self._instrument.labels(*values)
        self[values] = child
        return child


class Meters:
    """Makes the instruments that messages move; what is sampled on a scrape is made there."""

    def __init__(self, version: str, mode: str) -> None:
        # The birth of every counter would be a third of the page.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in its library
        self.registry = CollectorRegistry()
        build = Info(PREFIX + "build", FAMILIES["build_info"].text, registry=self.registry)
        build.info({"version": version, "python": platform.python_version(), "mode": mode})
        self.gauge("start_time_seconds").set_to_current_time()
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=self.registry)

    def gauge(self, name: str) -> Gauge:
        """Return a new gauge of the table."""
        row = _row(name, "gauge")
        return Gauge(row.name, row.text, row.labels, registry=self.registry)

    def counter(self, name: str) -> Counter:
        """Return a new counter of the table."""
        row = _row(name, "counter")
        return Counter(row.name, row.text, row.labels, registry=self.registry)

    def histogram(self, name: str) -> Histogram:
        """Return a new histogram of the table."""
        row = _row(name, "histogram")
        return Histogram(
            row.name, row.text, row.labels, buckets=BUCKETS[name], registry=self.registry
        )


Labels = TypeVar("Labels", bound=tuple[str, ...])


def gauge_of(name: str, values: Mapping[Labels, float]) -> GaugeMetricFamily:
    """Return a gauge as it is now, from label values to value."""
    row = _row(name, "gauge")
    family = GaugeMetricFamily(row.name, row.text, labels=row.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def counter_of(name: str, values: Mapping[Labels, float]) -> CounterMetricFamily:
    """Return a counter as it is now."""
    row = _row(name, "counter")
    family = CounterMetricFamily(row.name, row.text, labels=row.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def histogram_of(name: str, values: Mapping[Labels, PlainHistogram]) -> HistogramMetricFamily:
    """Return a histogram as it is now."""
    row = _row(name, "histogram")
    family = HistogramMetricFamily(row.name, row.text, labels=row.labels)
    for labels, tally in values.items():
        family.add_metric(labels, _cumulative(tally), tally.sum_ns / SECOND_NS)
    return family


def _cumulative(tally: PlainHistogram) -> Sequence[tuple[str, float]]:
    bounds = [*(repr(float(bound)) for bound in tally.bounds_s), "+Inf"]
    total = 0
    buckets = []
    for bound, count in zip(bounds, tally.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets


def _row(name: str, kind: str) -> Family:
    row = FAMILIES[name]
    assert row.kind == kind, f"{name} is a {row.kind} (metric_table.py)"
    return row
