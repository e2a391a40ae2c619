"""Metrics of a live session: its sources, stages and sinks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from facestream.serving.metrics import histogram_family
from facestream.stream.hub import SourceFlow
from facestream.stream.types import SourceState

if TYPE_CHECKING:
    from facestream.jobs.live import SessionStatistics, SinkStatistics, SourceInfo
    from facestream.stream.stage import StageStatistics


def session_metrics(statistics: SessionStatistics, flows: Mapping[str, SourceFlow]) -> Iterator[Metric]:
    """
    Args:
        flows: the hub's statistics.
    """
    yield from _source_counters(statistics.sources)
    yield from _source_gauges(statistics.sources)
    yield from _flows(flows)
    yield from _stages(statistics.stages)
    yield GaugeMetricFamily(
        "facestream_batches_in_flight", "Batches between the sources and their results.", statistics.batches_in_flight
    )
    yield CounterMetricFamily(
        "facestream_results_withheld", "Results that privacy mode held back.", statistics.withheld
    )
    yield from _sinks(statistics.sinks)


def _source_counters(sources: Sequence[SourceInfo]) -> Iterator[Metric]:
    label = ["source"]
    captured = CounterMetricFamily("facestream_source_frames_captured", "Frames that arrived.", labels=label)
    processed = CounterMetricFamily("facestream_source_frames_processed", "Frames with a result.", labels=label)
    dropped = CounterMetricFamily(
        "facestream_source_frames_dropped", "Frames that no model saw, by reason.", labels=["source", "reason"]
    )
    damaged = CounterMetricFamily(
        "facestream_source_damaged", "Packets or files that couldn't be decoded.", labels=label
    )
    reconnects = CounterMetricFamily(
        "facestream_source_reconnects", "Attempts to reach a source that was lost.", labels=label
    )
    for source in sources:
        captured.add_metric([source.name], source.captured)
        processed.add_metric([source.name], source.processed)
        dropped.add_metric([source.name, "newer"], source.dropped - source.limited)
        dropped.add_metric([source.name, "rate_limit"], source.limited)
        damaged.add_metric([source.name], source.damaged)
        reconnects.add_metric([source.name], source.reconnects)
    yield from (captured, processed, dropped, damaged, reconnects)


def _source_gauges(sources: Sequence[SourceInfo]) -> Iterator[Metric]:
    label = ["source"]
    states = GaugeMetricFamily("facestream_source_state", "1 for the present state.", labels=["source", "state"])
    since = GaugeMetricFamily(
        "facestream_source_state_timestamp_seconds", "Since when it is in that state, in Unix time.", labels=label
    )
    waiting = GaugeMetricFamily("facestream_source_frames_waiting", "Frames without a result yet.", labels=label)
    rate = GaugeMetricFamily("facestream_source_frames_per_second", "Frames that arrive, measured.", labels=label)
    age = GaugeMetricFamily("facestream_source_last_frame_age_seconds", "Since the last frame.", labels=label)
    for source in sources:
        for state in SourceState:
            states.add_metric([source.name, state.value], float(source.state is state))
        since.add_metric([source.name], source.since)
        waiting.add_metric([source.name], max(0, source.captured - source.processed - source.dropped))
        rate.add_metric([source.name], source.rate)
        if source.last_frame_age is not None:
            age.add_metric([source.name], source.last_frame_age)
    yield from (states, since, waiting, rate, age)


def _flows(flows: Mapping[str, SourceFlow]) -> Iterator[Metric]:
    faces = CounterMetricFamily("facestream_source_faces", "Faces found.", labels=["source"])
    for name, flow in flows.items():
        faces.add_metric([name], flow.faces)
    yield faces
    yield histogram_family(
        "facestream_source_latency_seconds",
        "From a frame's arrival to its result.",
        ("source",),
        (((name,), flow.latency) for name, flow in flows.items()),
    )


def _stages(stages: Sequence[StageStatistics]) -> Iterator[Metric]:
    label = ["stage"]
    frames = CounterMetricFamily("facestream_stage_frames", "Frames through a model's stage.", labels=label)
    faces = CounterMetricFamily("facestream_stage_faces", "Faces through a model's stage.", labels=label)
    limit = GaugeMetricFamily("facestream_stage_batch_limit", "Most frames or faces that go together.", labels=label)
    memory = CounterMetricFamily(
        "facestream_stage_out_of_memory", "Batches that didn't fit into the device's memory.", labels=label
    )
    for stage in stages:
        frames.add_metric([stage.name], stage.frames)
        faces.add_metric([stage.name], stage.faces)
        limit.add_metric([stage.name], stage.batch_size)
        memory.add_metric([stage.name], stage.out_of_memory)
    yield from (frames, faces, limit, memory)
    yield histogram_family(
        "facestream_stage_duration_seconds",
        "Time that a batch took: to prepare, to infer, to finish.",
        ("stage", "verb"),
        (
            ((stage.name, verb), histogram)
            for stage in stages
            for verb, histogram in (("pre", stage.pre), ("infer", stage.infer), ("post", stage.post))
        ),
    )
    yield histogram_family(
        "facestream_stage_batch_items",
        "Frames (a detector's) or faces (any other model's) of a batch.",
        ("stage",),
        (((stage.name,), stage.sizes) for stage in stages),
    )


def _sinks(sinks: Iterable[SinkStatistics]) -> Iterator[Metric]:
    written = CounterMetricFamily("facestream_sink_results_written", "Results handed to a sink.", labels=["sink"])
    dropped = CounterMetricFamily("facestream_sink_results_dropped", "Results a slow sink missed.", labels=["sink"])
    waiting = GaugeMetricFamily("facestream_sink_results_waiting", "Results that wait for a sink.", labels=["sink"])
    failed = CounterMetricFamily(
        "facestream_sink_writes_failed", "Pictures, lines or frames that a sink couldn't write.", labels=["sink"]
    )
    for sink in sinks:
        written.add_metric([sink.name], sink.written)
        dropped.add_metric([sink.name], sink.dropped)
        waiting.add_metric([sink.name], sink.waiting)
        failed.add_metric([sink.name], sink.failed)
    yield from (written, dropped, waiting, failed)
