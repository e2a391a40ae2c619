"""``/metrics``: counts in Prometheus' text format, read when asked for.

Labels are sources, stages and sinks: never tracks or people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from facestream.serving.fanout import FanoutStatistics
from facestream.serving.push import PushStatistics
from facestream.stream.hub import SourceFlow
from facestream.stream.types import SourceState

if TYPE_CHECKING:
    from facestream.jobs.live import SessionStatistics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the metrics are made of, at one moment."""

    session: SessionStatistics
    flows: dict[str, SourceFlow]
    fanout: FanoutStatistics
    pushed: PushStatistics
    stalled: int
    connections: int


class Metrics(Collector):
    """A registry of its own, so that several servers in one process don't meet.

    Args:
        snapshot: called at each scrape.
    """

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        snapshot = self._snapshot()
        yield from _sources(snapshot)
        yield from _stages(snapshot)
        yield from _sinks(snapshot)
        yield from _pushes(snapshot)
        yield from _subscribers(snapshot)


def _sources(snapshot: Snapshot) -> Iterator[Metric]:
    sources = snapshot.session.sources
    for name, help_, attribute in (
        ("captured", "Frames that reached facestream.", "captured"),
        ("processed", "Frames with a result.", "processed"),
        ("dropped", "Frames that gave way to newer ones.", "dropped"),
        ("damaged", "Packets or files that couldn't be decoded.", "damaged"),
        ("reconnects", "Connections that were lost and came back.", "reconnects"),
    ):
        counter = CounterMetricFamily(f"facestream_source_{name}", help_, labels=["source"])
        for source in sources:
            counter.add_metric([source.name], getattr(source, attribute))
        yield counter
    faces = CounterMetricFamily("facestream_source_faces", "Faces found.", labels=["source"])
    for name, flow in snapshot.flows.items():
        faces.add_metric([name], flow.faces)
    yield faces
    states = GaugeMetricFamily("facestream_source_state", "1 for the present state.", labels=["source", "state"])
    for source in sources:
        for state in SourceState:
            states.add_metric([source.name, state.value], float(source.state is state))
    yield states
    yield from _source_gauges(snapshot)


def _source_gauges(snapshot: Snapshot) -> Iterator[Metric]:
    rate = GaugeMetricFamily("facestream_source_rate_fps", "Frames a second that arrive.", labels=["source"])
    age = GaugeMetricFamily("facestream_source_last_frame_age_seconds", "Since the last frame.", labels=["source"])
    latency = GaugeMetricFamily(
        "facestream_source_latency_seconds", "From capture to result, the median of late.", labels=["source"]
    )
    for source in snapshot.session.sources:
        rate.add_metric([source.name], source.rate)
        if source.last_frame_age is not None:
            age.add_metric([source.name], source.last_frame_age)
        if source.latency_ms is not None:
            latency.add_metric([source.name], source.latency_ms / 1000)
    yield from (rate, age, latency)


def _stages(snapshot: Snapshot) -> Iterator[Metric]:
    seconds = CounterMetricFamily("facestream_stage_seconds", "Time spent in a model.", labels=["stage", "verb"])
    batches = CounterMetricFamily("facestream_stage_batches", "Batches through a model.", labels=["stage"])
    frames = CounterMetricFamily("facestream_stage_frames", "Frames through a model.", labels=["stage"])
    faces = CounterMetricFamily("facestream_stage_faces", "Faces through a model.", labels=["stage"])
    size = GaugeMetricFamily("facestream_stage_batch_size", "The present batch size.", labels=["stage"])
    for stage in snapshot.session.stages:
        seconds.add_metric([stage.name, "pre"], stage.pre_seconds)
        seconds.add_metric([stage.name, "infer"], stage.infer_seconds)
        seconds.add_metric([stage.name, "post"], stage.post_seconds)
        batches.add_metric([stage.name], stage.batches)
        frames.add_metric([stage.name], stage.frames)
        faces.add_metric([stage.name], stage.faces)
        size.add_metric([stage.name], stage.batch_size)
    yield from (seconds, batches, frames, faces, size)
    yield GaugeMetricFamily(
        "facestream_batches_in_flight", "Batches on their way.", value=snapshot.session.batches_in_flight
    )
    yield CounterMetricFamily(
        "facestream_results_withheld", "Results that privacy mode held back.", value=snapshot.session.withheld
    )


def _sinks(snapshot: Snapshot) -> Iterator[Metric]:
    written = CounterMetricFamily("facestream_sink_written", "Results handed to a sink.", labels=["sink"])
    dropped = CounterMetricFamily("facestream_sink_dropped", "Results that a slow sink missed.", labels=["sink"])
    for sink in snapshot.session.sinks:
        written.add_metric([sink.name], sink.written)
        dropped.add_metric([sink.name], sink.dropped)
    yield from (written, dropped)


def _pushes(snapshot: Snapshot) -> Iterator[Metric]:
    pushed = snapshot.pushed
    yield CounterMetricFamily("facestream_push_received", "Pictures pushed to us.", value=pushed.received)
    yield CounterMetricFamily(
        "facestream_push_replaced", "Pushed pictures that gave way before being decoded.", value=pushed.replaced
    )


def _subscribers(snapshot: Snapshot) -> Iterator[Metric]:
    fanout = snapshot.fanout
    yield GaugeMetricFamily("facestream_connections", "TCP connections.", value=snapshot.connections)
    yield GaugeMetricFamily("facestream_subscribers", "Websockets that receive faces.", value=fanout.subscribers)
    yield CounterMetricFamily("facestream_messages_sent", "Messages written to subscribers.", value=fanout.sent)
    yield CounterMetricFamily(
        "facestream_messages_skipped", "Frames that a subscriber was not sent.", value=fanout.skipped
    )
    yield CounterMetricFamily("facestream_pictures_encoded", "JPEGs made for subscribers.", value=fanout.pictures)
    yield CounterMetricFamily("facestream_subscribers_stalled", "Websockets closed with 1013.", value=snapshot.stalled)
