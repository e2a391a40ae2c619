"""Metrics of events: who was told, what is stored, and what webhooks do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from facestream.stream.events import Kind

if TYPE_CHECKING:
    from facestream.jobs.event_recorder import RecorderStatistics
    from facestream.jobs.events import EventsStatistics
    from facestream.jobs.webhooks import HookStatistics


def event_metrics(statistics: EventsStatistics) -> Iterator[Metric]:
    told = CounterMetricFamily("facestream_events", "Events, by kind.", labels=["kind"])
    for kind in Kind:
        told.add_metric([kind.value], statistics.told.get(kind.value, 0))
    yield told
    yield GaugeMetricFamily("facestream_visits", "Visits that go on.", statistics.visits)
    clips = CounterMetricFamily("facestream_event_clips", "Clips of events, by outcome.", labels=["outcome"])
    clips.add_metric(["made"], statistics.clips)
    clips.add_metric(["failed"], statistics.clips_failed)
    yield clips
    if statistics.recorder is not None:
        yield from _store(statistics.recorder)
    yield from _hooks(statistics.hooks)


def _store(recorder: RecorderStatistics) -> Iterator[Metric]:
    yield CounterMetricFamily("facestream_event_store_writes", "Times that a visit was stored.", recorder.stored)
    lost = CounterMetricFamily(
        "facestream_event_store_lost", "What gave way, as the store was slow or can't be written.", labels=["what"]
    )
    lost.add_metric(["events"], recorder.lost_events)
    lost.add_metric(["pictures"], recorder.lost_pictures)
    yield lost
    yield GaugeMetricFamily("facestream_event_store_waiting", "Visits to be written.", recorder.waiting)
    yield GaugeMetricFamily(
        "facestream_event_store_failing", "1 while the store can't be written.", float(bool(recorder.trouble))
    )


def _hooks(hooks: Sequence[HookStatistics]) -> Iterator[Metric]:
    """By their place in the configuration, as an address may hold a secret."""
    sent = CounterMetricFamily(
        "facestream_webhook_messages", "Messages to a webhook, by outcome.", labels=["webhook", "outcome"]
    )
    retries = CounterMetricFamily("facestream_webhook_retries", "Messages tried again.", labels=["webhook"])
    waiting = GaugeMetricFamily("facestream_webhook_messages_waiting", "Messages to be sent.", labels=["webhook"])
    for place, hook in enumerate(hooks, 1):
        sent.add_metric([str(place), "delivered"], hook.delivered)
        sent.add_metric([str(place), "refused"], hook.refused)
        sent.add_metric([str(place), "lost"], hook.lost)
        retries.add_metric([str(place)], hook.retried)
        waiting.add_metric([str(place)], hook.waiting)
    yield from (sent, retries, waiting)
