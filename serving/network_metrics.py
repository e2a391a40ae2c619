"""Metrics of the network side: connections, subscribers and what is pushed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from facestream.serving.fanout import GroupStatistics
from facestream.serving.push import PushStatistics


@dataclass(frozen=True, slots=True)
class NetworkCounts:
    """
    Attributes:
        connections: TCP connections, of any kind.
        websockets: of these.
        stalled: websockets that were closed because they took nothing.
        groups: subscribers by what they receive.
        pictures: JPEGs made for subscribers.
    """

    connections: int
    websockets: int
    stalled: int
    groups: Mapping[str, GroupStatistics]
    pictures: int
    pushed: PushStatistics


def network_metrics(counts: NetworkCounts) -> Iterator[Metric]:
    yield GaugeMetricFamily("facestream_connections", "TCP connections.", counts.connections)
    yield GaugeMetricFamily("facestream_websockets", "Websockets of any kind.", counts.websockets)
    yield CounterMetricFamily("facestream_websockets_stalled", "Websockets closed with 1013.", counts.stalled)
    yield from _groups(counts.groups)
    yield CounterMetricFamily("facestream_pictures_encoded", "JPEGs made for subscribers.", counts.pictures)
    yield CounterMetricFamily("facestream_push_received", "Pictures pushed to us.", counts.pushed.received)
    yield CounterMetricFamily(
        "facestream_push_replaced", "Pushed pictures that gave way before being decoded.", counts.pushed.replaced
    )


def _groups(groups: Mapping[str, GroupStatistics]) -> Iterator[Metric]:
    label = ["group"]
    there = GaugeMetricFamily("facestream_subscribers", "Websockets that receive faces.", labels=label)
    waiting = GaugeMetricFamily("facestream_subscriber_results_waiting", "Results in mailboxes.", labels=label)
    sent = CounterMetricFamily("facestream_subscriber_messages", "Messages written to subscribers.", labels=label)
    size = CounterMetricFamily("facestream_subscriber_sent_bytes", "Bytes of these messages.", labels=label)
    skipped = CounterMetricFamily(
        "facestream_subscriber_frames_skipped", "Frames that a subscriber was not sent.", labels=label
    )
    for name, group in groups.items():
        there.add_metric([name], group.subscribers)
        waiting.add_metric([name], group.waiting)
        sent.add_metric([name], group.sent)
        size.add_metric([name], group.bytes)
        skipped.add_metric([name], group.skipped)
    yield from (there, waiting, sent, size, skipped)
