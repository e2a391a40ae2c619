from __future__ import annotations

import pytest

from facestream.jobs.readings import Interval, Reading
from facestream.jobs.top import duration, screen, source_lines, table

HEALTH = {"status": "degraded", "reason": "not working: yard", "sources": {"yard": {"reason": "no\x1b[2J route"}}}


def reading(at: float, frames: float) -> Reading:
    return Reading.parse(
        f"""
facestream_build_info{{version="1.2",device="cpu"}} 1
process_start_time_seconds 50
process_cpu_seconds_total {at}
facestream_source_state{{source="door",state="live"}} 1
facestream_source_state{{source="door",state="degraded"}} 0
facestream_source_frames_captured_total{{source="door"}} {frames}
facestream_source_frames_processed_total{{source="door"}} {frames / 2}
facestream_source_frames_dropped_total{{source="door",reason="newer"}} {frames / 4}
facestream_source_frames_dropped_total{{source="door",reason="rate_limit"}} {frames / 4}
# TYPE facestream_source_latency_seconds histogram
facestream_source_latency_seconds_bucket{{source="door",le="0.01"}} {frames / 2}
facestream_source_latency_seconds_bucket{{source="door",le="0.02"}} {frames}
facestream_source_latency_seconds_bucket{{source="door",le="+Inf"}} {frames}
facestream_source_latency_seconds_sum{{source="door"}} {frames * 0.01}
facestream_source_latency_seconds_count{{source="door"}} {frames}
facestream_stage_frames_total{{stage="yunet"}} {frames}
facestream_subscribers{{group="faces"}} 3
facestream_sink_results_written_total{{sink="FaceSaver"}} {frames}
""",
        at,
    )


@pytest.fixture
def page() -> list[str]:
    return screen(HEALTH, Interval(reading(100, 1000), reading(110, 1250)), "http://box:8765", 80)


def test_rates_are_of_the_interval(page):
    (door,) = [line for line in page if line.startswith("door")]
    assert door.split() == ["door", "live", "25.0", "12.5", "6.2", "10.0", "19.8", "0.0", "-"]


def test_the_page_says_what_is_wrong_first(page):
    assert page[0].split() == ["facestream", "1.2", "http://box:8765", "up", "00:01:00"]
    assert page[1] == "degraded: not working: yard"
    assert any(line.startswith("cpu 100 %") for line in page)


def test_each_gpu_s_memory_is_shown():
    samples = (
        f'facestream_device_memory_bytes{{device="cuda:{i}",use="{use}"}} {size}\n'
        for i in range(2)
        for use, size in (("used", 10 + i), ("total", 40))
    )
    now = Reading.parse("".join(samples), 1.0)
    assert "gpu memory  cuda:0 25 %  cuda:1 28 %" in screen(HEALTH, Interval(now, now), "http://box:8765", 80)


def test_it_fits_into_any_width():
    for width in (20, 80, 200):
        lines = screen(HEALTH, Interval(reading(1, 1), reading(2, 2)), "http://" + "x" * 90, width)
        assert max(map(len, lines)) <= width


def test_nothing_from_outside_moves_the_cursor(page):
    assert all(line.isprintable() for line in page)
    assert "  yard: no?[2J route" in page


def test_a_counter_that_began_anew_counts_from_nothing():
    assert Interval(reading(0, 500), reading(1, 40)).count("facestream_stage_frames_total", stage="yunet") == 40


def test_a_long_name_gives_way_to_the_numbers():
    lines = table(("SOURCE", "N"), [("a" * 50, "12345")], 20)
    assert lines[1].endswith("…  12345")


@pytest.mark.parametrize(("seconds", "text"), [(59, "00:00:59"), (3661, "01:01:01"), (90000, "1 d 01:00")])
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text


DOOR = {
    "name": "door",
    "state": "live",
    "rate": 25.0,
    "captured": 100,
    "dropped": 10,
    "latency_ms": None,
    "last_frame_age": 0.04,
    "reconnects": 2,
}


def test_one_look_tells_each_source_and_what_is_wrong():
    header, line, trouble = source_lines(HEALTH, [DOOR], 80)
    assert header.startswith("SOURCE")
    assert line.split() == ["door", "live", "25.0", "10.0%", "-", "0.0", "2"]
    assert trouble.startswith("  yard:")


@pytest.mark.parametrize(
    ("captured", "dropped", "limited", "share"), [(800, 700, 700, "0.0%"), (800, 750, 700, "50.0%"), (7, 7, 7, "-")]
)
def test_frames_that_are_left_out_on_request_are_not_lost(captured, dropped, limited, share):
    door = {**DOOR, "captured": captured, "dropped": dropped, "limited": limited}
    assert source_lines({}, [door], 80)[1].split()[3] == share
