"""What ``facestream status`` and ``facestream top`` show of a server. Pure: values in, lines of text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from facestream.jobs.readings import Interval, Reading

GOOD: Final = "ok"

_DEVICE_MEMORY: Final = "facestream_device_memory_bytes"
_ASKED_FOR: Final = "rate_limit"  # why a frame was dropped, where it was meant to be

Row = Sequence[str]


def table(header: Row, rows: Iterable[Row], width: int) -> list[str]:
    """Columns of text: the first is left-aligned and gives way, the others are right-aligned, below their header."""
    every = [header, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(header))]
    rest = sum(widths[1:]) + 2 * (len(widths) - 1)
    widths[0] = max(6, min(widths[0], width - rest))
    lines = []
    for row in every:
        cells = [_cut(row[0], widths[0]).ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:]))]
        lines.append(_cut("  ".join(cells).rstrip(), width))
    return lines


def screen(health: Mapping[str, Any], interval: Interval, where: str, width: int) -> list[str]:
    """A page about a server.

    Args:
        health: what ``/health`` said.
        where: the server's address.
    """
    now = interval.after
    lines = [*_heading(health, now, where), *_process(interval), ""]
    lines += table(
        ("SOURCE", "STATE", "IN/s", "OUT/s", "DROP/s", "p50 ms", "p99 ms", "FACES/s", "AGE s"),
        (_source(name, interval) for name in now.names("facestream_source_frames_captured_total", "source")),
        width,
    )
    lines += _troubles(health)
    lines += ["", *_stages(interval, width)]
    lines += ["", *_outputs(interval, width)]
    return [_cut(_plain(line), width) for line in lines]


def source_lines(health: Mapping[str, Any], sources: Iterable[Mapping[str, Any]], width: int) -> list[str]:
    """One look at each source, as ``/api/sources`` describes them."""
    rows = [
        (
            source["name"],
            source["state"],
            f"{source['rate']:.1f}",
            _dropped(source),
            _number(source["latency_ms"], 0),
            _number(source["last_frame_age"], 1),
            str(source["reconnects"]),
        )
        for source in sources
    ]
    header = ("SOURCE", "STATE", "FPS", "DROPPED", "LATENCY ms", "AGE s", "RECONNECTS")
    lines = table(header, rows, width) if rows else []
    return [_plain(line) for line in (*lines, *_troubles(health))]


def duration(seconds: float) -> str:
    """``3 d 04:12`` or ``04:12:33``."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02}:{minutes:02}" if days else f"{hours:02}:{minutes:02}:{rest:02}"


def _heading(health: Mapping[str, Any], now: Reading, where: str) -> list[str]:
    build = next(now.labels("facestream_build_info"), {})
    began = now.get("process_start_time_seconds")
    up = f"  up {duration(now.at - began)}" if began else ""
    reason = f": {health['reason']}" if health.get("reason") else ""
    return [
        f"facestream {build.get('version', '')}  {where}{up}",
        f"{health['status']}{reason}",
    ]


def _process(interval: Interval) -> list[str]:
    now = interval.after
    parts = [
        f"cpu {100 * interval.rate('process_cpu_seconds_total'):.0f} %",
        f"memory {now.get('process_resident_memory_bytes') / 1e6:.0f} MB",
        f"threads {now.get('facestream_threads'):.0f}",
        f"files {now.get('process_open_fds'):.0f}",
        f"loop lag {_milliseconds(interval.mean('facestream_event_loop_lag_seconds'))} ms",
        f"in flight {now.get('facestream_batches_in_flight'):.0f}",
    ]
    return ["  ".join(parts), *_gpus(now)]


def _gpus(now: Reading) -> list[str]:
    parts = []
    for device in now.names(_DEVICE_MEMORY, "device"):
        used, total = (now.get(_DEVICE_MEMORY, device=device, use=use) for use in ("used", "total"))
        parts.append(f"{device} {100 * used / max(1, total):.0f} %")
    return [f"gpu memory  {'  '.join(parts)}"] if parts else []


def _source(name: str, interval: Interval) -> Row:
    now = interval.after
    states = now.names("facestream_source_state", "state")
    latency = interval.histogram("facestream_source_latency_seconds", source=name)
    dropped = sum(
        interval.rate("facestream_source_frames_dropped_total", source=name, reason=reason)
        for reason in now.names("facestream_source_frames_dropped_total", "reason")
        if reason != _ASKED_FOR
    )
    age = ("facestream_source_last_frame_age_seconds", frozenset({("source", name)}))
    return (
        name,
        next((s for s in states if now.get("facestream_source_state", source=name, state=s)), "-"),
        f"{interval.rate('facestream_source_frames_captured_total', source=name):.1f}",
        f"{interval.rate('facestream_source_frames_processed_total', source=name):.1f}",
        f"{dropped:.1f}",
        _milliseconds(latency.quantile(0.5)),
        _milliseconds(latency.quantile(0.99)),
        f"{interval.rate('facestream_source_faces_total', source=name):.1f}",
        _number(now.values.get(age), 1),
    )


def _troubles(health: Mapping[str, Any]) -> list[str]:
    sources: Mapping[str, Any] = health.get("sources") or {}
    return [f"  {name}: {source['reason']}" for name, source in sources.items() if source.get("reason")]


def _stages(interval: Interval, width: int) -> list[str]:
    name = "facestream_stage_duration_seconds"
    return table(
        ("MODEL", "BATCH/s", "ITEMS", "pre ms", "infer ms", "post ms"),
        (
            (
                stage,
                f"{interval.rate(f'{name}_count', stage=stage, verb='infer'):.1f}",
                _number(interval.mean("facestream_stage_batch_items", stage=stage), 1),
                *(_milliseconds(interval.mean(name, stage=stage, verb=verb)) for verb in ("pre", "infer", "post")),
            )
            for stage in interval.after.names("facestream_stage_frames_total", "stage")
        ),
        width,
    )


def _outputs(interval: Interval, width: int) -> list[str]:
    now = interval.after
    groups = [
        (
            f"{now.get('facestream_subscribers', group=group):.0f} subscribers to {group}",
            f"{interval.rate('facestream_subscriber_messages_total', group=group):.1f}",
            f"{interval.rate('facestream_subscriber_frames_skipped_total', group=group):.1f}",
            f"{now.get('facestream_subscriber_results_waiting', group=group):.0f}",
            f"{interval.rate('facestream_subscriber_sent_bytes_total', group=group) / 1e6:.2f}",
        )
        for group in now.names("facestream_subscribers", "group")
    ]
    sinks = [
        (
            sink,
            f"{interval.rate('facestream_sink_results_written_total', sink=sink):.1f}",
            f"{interval.rate('facestream_sink_results_dropped_total', sink=sink):.1f}",
            f"{now.get('facestream_sink_results_waiting', sink=sink):.0f}",
            "-",
        )
        for sink in now.names("facestream_sink_results_written_total", "sink")
    ]
    return table(("TO", "SENT/s", "MISSED/s", "WAITING", "MB/s"), [*groups, *sinks], width)


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.1f}" if seconds < 0.1 else f"{1000 * seconds:.0f}"


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _dropped(source: Mapping[str, Any]) -> str:
    """Of the frames that were wanted: those that ``max_rate`` leaves out aren't."""
    limited = source.get("limited", 0)
    wanted = source["captured"] - limited
    return f"{(source['dropped'] - limited) / wanted:.1%}" if wanted else "-"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _plain(text: str) -> str:
    """Names and reasons come from elsewhere: nothing in them may move the cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
