"""Metrics of the process: its event loop, threads, device and log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from facestream import __version__
from facestream.serving.logs import LineCount
from facestream.serving.metrics import histogram_family
from facestream.serving.pulse import Pulse
from facestream.stream.device import Bridge

_STATUS: Final = Path("/proc/self/status")

LEVELS: Final = ("warning", "error", "critical")


def process_metrics(bridge: Bridge, pulse: Pulse, lines: LineCount) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "facestream_build", "What runs.", {"version": __version__, "device": ",".join(bridge.devices)}
    )
    yield histogram_family("facestream_event_loop_lag_seconds", "How late the event loop was.", (), [((), pulse.lag)])
    logged = CounterMetricFamily("facestream_log_lines", "Lines in the log, by level.", labels=["level"])
    for level in LEVELS:
        logged.add_metric([level], lines.levels[level])
    yield logged
    pending = GaugeMetricFamily(
        "facestream_worker_calls_pending", "Calls that run or wait in a worker's threads.", labels=["worker"]
    )
    for worker, calls in bridge.pending().items():
        pending.add_metric([worker], calls)
    yield pending
    if (threads := _threads()) is not None:
        yield GaugeMetricFamily("facestream_threads", "Threads of the process, those of libraries included.", threads)
    if devices := bridge.memory():
        family = GaugeMetricFamily(
            "facestream_device_memory_bytes", "A device's memory, by use.", labels=["device", "use"]
        )
        for device, memory in devices.items():
            for use, size in memory._asdict().items():
                family.add_metric([device, use], size)
        yield family


def _threads() -> int | None:
    """None where the system doesn't tell in this way. Reading it is a system call that waits for nothing."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("Threads:"):
                return int(line.split()[1])
    except OSError:
        pass
    return None
