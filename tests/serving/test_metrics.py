from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from facestream.jobs.event_recorder import RecorderStatistics
from facestream.jobs.events import EventsStatistics
from facestream.jobs.live import SessionStatistics
from facestream.jobs.source_info import SinkStatistics
from facestream.jobs.webhooks import HookStatistics
from facestream.serving.event_metrics import event_metrics
from facestream.serving.fanout import GroupStatistics
from facestream.serving.logs import LineCount
from facestream.serving.metrics import Metrics
from facestream.serving.network_metrics import NetworkCounts, network_metrics
from facestream.serving.process_metrics import process_metrics
from facestream.serving.pulse import Pulse
from facestream.serving.push import PushStatistics
from facestream.serving.session_metrics import session_metrics
from facestream.stream.device import Bridge, DeviceMemory
from facestream.stream.hub import SourceFlow
from facestream.stream.stage import StageStatistics
from facestream.testing.sessions import source_info

ROOT = Path(__file__).parents[2]


class OnGpus(Bridge):
    """A bridge that says it has two GPUs."""

    def memory(self) -> dict[str, DeviceMemory]:
        return {"cuda:0": DeviceMemory(1, 2, 3, 4), "cuda:1": DeviceMemory(5, 6, 7, 8)}


def everything() -> Metrics:
    """A page with each metric that there is."""
    stage = StageStatistics("yunet", 4, frames=3)
    stage.infer.observe(0.004)
    stage.sizes.observe(2)
    flow = SourceFlow(published=1, faces=2)
    flow.latency.observe(0.03)
    flow.latency.observe(7)
    session = SessionStatistics(
        [source_info()], [stage], 1, [SinkStatistics("FaceSaver", 5, 1, 2, failed=3)], withheld=3
    )
    network = NetworkCounts(3, 2, 1, {"faces": GroupStatistics(2, 1, 10, 1000, 4)}, 7, PushStatistics(6, 1))
    events = EventsStatistics(
        told={"arrived": 2},
        visits=1,
        looks_skipped=0,
        recorder=RecorderStatistics(4, 1, 0, 2, "no space"),
        clips=1,
        clips_failed=1,
        hooks=[HookStatistics("https://example.org/…", 1, 2, 3, 4, 5, "")],
    )
    return Metrics(
        lambda: session_metrics(session, {"door": flow}),
        lambda: network_metrics(network),
        lambda: event_metrics(events),
        lambda: process_metrics(OnGpus(), Pulse(), LineCount()),
    )


@pytest.fixture
def samples() -> dict[tuple[Any, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(everything().render().decode())
        for sample in family.samples
    }


def names() -> set[str]:
    """Every metric's name, without the endings that Prometheus adds."""
    return {family.name for family in text_string_to_metric_families(everything().render().decode())}


def test_frames_are_accounted_for_and_drops_have_a_reason(samples):
    door = ("source", "door")
    captured = samples["facestream_source_frames_captured_total", door]
    processed = samples["facestream_source_frames_processed_total", door]
    dropped = [samples["facestream_source_frames_dropped_total", ("reason", r), door] for r in ("newer", "rate_limit")]
    assert captured == processed + sum(dropped) + samples["facestream_source_frames_waiting", door]


def test_a_histogram_is_read_as_one(samples):
    name, door = "facestream_source_latency_seconds", ("source", "door")
    assert samples[f"{name}_count", door] == samples[f"{name}_bucket", ("le", "+Inf"), door] == 2
    assert samples[f"{name}_bucket", ("le", "0.03"), door] == 1
    assert samples[f"{name}_sum", door] == pytest.approx(7.03)


def test_each_gpu_s_memory_is_told(samples):
    def memory(device: str) -> list[float]:
        uses = ("allocated", "reserved", "used", "total")
        return [samples["facestream_device_memory_bytes", ("device", device), ("use", use)] for use in uses]

    assert (memory("cuda:0"), memory("cuda:1")) == ([1, 2, 3, 4], [5, 6, 7, 8])


def test_names_follow_the_conventions_of_prometheus():
    for family in text_string_to_metric_families(everything().render().decode()):
        assert re.fullmatch(r"(facestream|process)_[a-z_]+", family.name)
        assert family.documentation
        assert not re.search(r"_(ms|mb|kb|count|sum|bucket|total)$", family.name)


def test_an_address_is_never_a_label():
    assert "example.org" not in everything().render().decode()


@pytest.mark.parametrize("file", ["docs/operations.md"])
def test_every_metric_is_documented(file):
    documented = set(re.findall(r"`((?:facestream|process)_[a-z_]+)`", (ROOT / file).read_text()))
    assert names() <= {name.removesuffix("_total") for name in documented}
    assert {name.removesuffix("_total") for name in documented} <= names(), "documented, but not there"
