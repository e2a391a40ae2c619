"""What ``/metrics`` said at one moment, and what happened between two. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from facestream.stream.histogram import Histogram


@dataclass(frozen=True, slots=True)
class Reading:
    """
    Attributes:
        at: seconds, of any clock.
        values: a sample's name and labels → its value.
    """

    at: float = 0.0
    values: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, at: float) -> Reading:
        """
        Raises:
            ValueError: the text isn't Prometheus'.
        """
        return cls(
            at,
            {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            },
        )

    def get(self, name: str, **labels: str) -> float:
        """0 for what isn't there."""
        return self.values.get((name, frozenset(labels.items())), 0.0)

    def labels(self, name: str) -> Iterator[dict[str, str]]:
        """The labels of each sample of that name."""
        return (dict(labels) for other, labels in self.values if other == name)

    def names(self, sample: str, label: str) -> list[str]:
        """Each value of ``label`` among the samples of that name, in the order in which they came."""
        return list(dict.fromkeys(labels[label] for labels in self.labels(sample)))


@dataclass(frozen=True, slots=True)
class Interval:
    """What happened from one reading to the next. A counter that went back began anew."""

    before: Reading
    after: Reading

    @property
    def seconds(self) -> float:
        return max(1e-3, self.after.at - self.before.at)

    def count(self, name: str, **labels: str) -> float:
        before, after = self.before.get(name, **labels), self.after.get(name, **labels)
        return after - before if after >= before else after

    def rate(self, name: str, **labels: str) -> float:
        """A second."""
        return self.count(name, **labels) / self.seconds

    def mean(self, name: str, **labels: str) -> float | None:
        """Of a histogram's values; None if there were none."""
        count = self.count(f"{name}_count", **labels)
        return self.count(f"{name}_sum", **labels) / count if count else None

    def histogram(self, name: str, **labels: str) -> Histogram:
        """Of the values that came between."""
        cumulative = sorted(
            (float(found["le"]), self.count(f"{name}_bucket", **found))
            for found in self.after.labels(f"{name}_bucket")
            if labels.items() <= found.items()
        )
        if not cumulative:
            return Histogram(())
        totals = [total for _, total in cumulative]
        counts = [int(total - less) for total, less in zip(totals, [0.0, *totals])]
        return Histogram(tuple(bound for bound, _ in cumulative[:-1]), counts)
