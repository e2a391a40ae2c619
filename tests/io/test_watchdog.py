from __future__ import annotations

from collections.abc import Iterable

import pytest

from facestream.io.watchdog import Watchdog


def verdicts(pts: Iterable[float], *, rate: float = 25.0, patience: float = 5.0) -> list[str]:
    """What the watchdog says of frames with these times that come at an even ``rate``."""
    watchdog = Watchdog(patience)
    return [watchdog.frame(each, seq / rate) for seq, each in enumerate(pts)]


def test_a_stream_whose_times_go_on_is_fine() -> None:
    assert not any(verdicts(seq / 25 for seq in range(1000)))


def test_times_that_stand_still_are_noticed_after_the_patience_and_no_sooner() -> None:
    said = verdicts([1.0] * 200)
    assert next(seq for seq, what in enumerate(said) if what) == 5 * 25 + 1
    assert "time stamps stand still" in said[-1]


def test_a_relay_that_plays_its_buffer_again_and_again_is_noticed() -> None:
    said = verdicts((seq % 50) / 25 for seq in range(300))
    assert any("stand still" in what for what in said)


def test_a_clock_that_was_set_back_is_noticed_and_said_by_how_much() -> None:
    said = verdicts([100 + seq / 25 for seq in range(50)] + [seq / 25 for seq in range(200)])
    assert "went back by 9" in said[-1]
    assert not any(said[: 50 + 5 * 25])


def test_one_frame_from_the_future_costs_no_more_than_one_connection() -> None:
    watchdog = Watchdog(5.0)
    said = [watchdog.frame(pts, seq / 25) for seq, pts in enumerate([0.0, 3600.0, *(seq / 25 for seq in range(200))])]
    assert said[-1]
    watchdog.restart()
    assert not any(watchdog.frame(seq / 25, 100 + seq / 25) for seq in range(500))


def test_frames_out_of_order_and_a_jump_ahead_are_no_freeze() -> None:
    shuffled = [seq + (-1) ** seq for seq in range(100)]
    assert not any(verdicts(each / 25 for each in [*shuffled, *range(5000, 5200)]))


def test_a_camera_of_one_frame_in_ten_seconds_is_no_frozen_one() -> None:
    assert not any(verdicts((10.0 * seq for seq in range(20)), rate=0.1))


def test_a_pause_of_the_reader_is_no_freeze() -> None:
    watchdog = Watchdog(5.0)
    assert not watchdog.frame(0.0, 0.0)
    assert not any(watchdog.frame(seq / 25, 60.0) for seq in range(1, 100))  # what had waited comes at once


@pytest.mark.parametrize("patience", [0.5, 15.0])
def test_who_waits_how_long_is_a_choice(patience: float) -> None:
    said = verdicts([0.0] * 1000, patience=patience)
    assert said.index(next(filter(None, said))) == pytest.approx(patience * 25, abs=1.1)


def test_a_loss_tells_of_the_damaged_packets_that_came_instead_of_pictures() -> None:
    watchdog = Watchdog(5.0)
    watchdog.frame(0.0, 0.0, damaged=3)
    assert watchdog.lost("no picture for 5 s", damaged=3) == "no picture for 5 s"
    assert watchdog.lost("no picture for 5 s", damaged=45).endswith("(since its last picture: 42 damaged packets)")
