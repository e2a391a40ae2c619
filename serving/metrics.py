"""``/metrics``: counts in Prometheus' text format, read when asked for. ``docs/operations.md`` lists them.

Labels are sources, stages, sinks and the like, of which there are few: never tracks, people or addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from facestream.stream.histogram import Histogram

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Collect: TypeAlias = Callable[[], Iterable[Metric]]
"""Called at each scrape, on the event loop: it reads counters, and waits for nothing."""


class Metrics(Collector):
    """A registry of its own, so that several servers in one process don't meet.

    Args:
        collect: where the metrics come from, besides the process's own.
    """

    def __init__(self, *collect: Collect) -> None:
        self._collect = collect
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for collect in self._collect:
            yield from collect()


def histogram_family(
    name: str, help_: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], Histogram]]
) -> HistogramMetricFamily:
    """Our histograms as a metric: ``rows`` gives the labels' values of each."""
    family = HistogramMetricFamily(name, help_, labels=labels)
    for values, histogram in rows:
        buckets = [(floatToGoString(bound), float(total)) for bound, total in histogram.cumulative()]  # type: ignore[no-untyped-call]
        family.add_metric(values, buckets, histogram.sum)
    return family
