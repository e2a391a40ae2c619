from collections.abc import Iterator

from facestream.io.falling_behind import FallingBehind

PERIOD = 0.1


def frames(seconds: float, start: float = 0.0) -> Iterator[float]:
    return (start + i * PERIOD for i in range(round(seconds / PERIOD)))


def test_who_keeps_up_decodes_all() -> None:
    behind = FallingBehind()
    assert not any(behind.passes_over(pts, 100 + pts + 0.02 * (i % 3)) for i, pts in enumerate(frames(60)))


def test_a_second_behind_begins_and_a_third_of_it_ends() -> None:
    behind = FallingBehind(begin=1.0, end=0.3)
    assert [behind.passes_over(float(i), 5.0 + i + late) for i, late in enumerate((0, 0.9, 1.2, 0.7, 0.2, 0.9))] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]


def test_what_cannot_be_caught_up_with_is_taken_as_it_is() -> None:
    behind = FallingBehind(longest=10.0)
    behind.passes_over(0.0, 0.0)
    passed = [behind.passes_over(pts, pts + 2.0) for pts in frames(30, start=1.0)]
    assert 99 <= sum(passed) <= 102
    assert not any(passed[110:])


def test_a_clock_that_runs_slower_is_not_a_decoder_that_does() -> None:
    behind = FallingBehind()
    assert not any(behind.passes_over(pts, 1.0005 * pts) for pts in frames(6000))


def test_time_stamps_that_start_anew_do_too() -> None:
    behind = FallingBehind()
    behind.passes_over(1000.0, 0.0)
    assert not behind.passes_over(0.0, 0.1)
    assert not behind.passes_over(0.1, 0.2)
    assert behind.passes_over(0.2, 1.5)
