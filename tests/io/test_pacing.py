import pytest

from facestream.io.pacing import Pacer, Timeline


def test_the_first_frame_is_due_at_once_and_the_others_as_they_were_filmed() -> None:
    pacer = Pacer()
    assert pacer.delay(7.0, now=100.0) == 0.0
    assert pacer.delay(7.5, now=100.1) == pytest.approx(0.4)
    assert pacer.delay(8.0, now=101.2) == 0.0


def test_a_short_delay_is_made_up_for() -> None:
    pacer = Pacer(slack=0.5)
    pacer.delay(0.0, now=0.0)
    assert pacer.delay(1.0, now=1.3) == 0.0
    assert pacer.delay(2.0, now=1.5) == 0.5


def test_after_a_stall_the_rest_plays_later_instead_of_in_a_burst() -> None:
    pacer = Pacer(slack=0.5)
    pacer.delay(0.0, now=0.0)
    assert pacer.delay(1.0, now=9.0) == 0.0
    assert pacer.delay(2.0, now=9.0) == 1.0


def test_a_jump_in_the_frames_own_time_is_not_waited_for() -> None:
    pacer = Pacer(longest_gap=10.0)
    pacer.delay(5.0, now=0.0)
    assert pacer.delay(1000.0, now=0.25) == 0.0
    assert pacer.delay(1.0, now=0.5) == 0.0
    assert pacer.delay(1.5, now=0.5) == 0.5


def test_rounds_of_a_loop_follow_one_another_by_the_gap_between_frames() -> None:
    line = Timeline()
    assert [line.place(pts) for pts in (2.0, 2.5, 3.5)] == [2.0, 2.5, 3.5]
    line.restart()
    assert [line.place(pts) for pts in (2.0, 2.5)] == [4.5, 5.0]
    line.restart()
    assert line.place(2.0) == 5.5


def test_a_loop_of_one_picture_moves_on_by_the_announced_rate() -> None:
    line = Timeline(rate=10.0)
    line.place(0.0)
    line.restart()
    assert line.place(0.0) == 0.1
