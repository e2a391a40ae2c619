from __future__ import annotations

from itertools import pairwise

import pytest

from tests.service.schedule import OF_CAMERAS, OF_THE_SERVER, Fault, Kind, Rhythm, Span, calm, plan, troubled, without

CAMERAS = [f"camera{number}" for number in range(8)]
HALF_AN_HOUR = 1800.0


@pytest.fixture(scope="module", params=range(5))
def faults(request: pytest.FixtureRequest) -> list[Fault]:
    return plan(request.param, CAMERAS, HALF_AN_HOUR)


def test_the_same_seed_gives_the_same_faults():
    assert plan(1, CAMERAS, HALF_AN_HOUR) == plan(1, CAMERAS, HALF_AN_HOUR)
    assert plan(1, CAMERAS, HALF_AN_HOUR) != plan(2, CAMERAS, HALF_AN_HOUR)


def test_half_an_hour_holds_every_kind_of_fault(faults: list[Fault]):
    assert {fault.kind for fault in faults} == set(Kind)


def test_every_camera_has_faults(faults: list[Fault]):
    assert {fault.camera for fault in faults if fault.kind in OF_CAMERAS} == set(CAMERAS)


def test_faults_come_in_order_and_are_over_in_time(faults: list[Fault]):
    assert all(earlier.at <= later.at for earlier, later in pairwise(faults))
    assert all(fault.at >= 0 and fault.end + Rhythm().settle <= HALF_AN_HOUR for fault in faults)


def test_a_camera_comes_back_before_its_next_fault(faults: list[Fault]):
    for camera in CAMERAS:
        own = [fault for fault in faults if fault.camera == camera]
        assert all(earlier.end + Rhythm().settle <= later.at for earlier, later in pairwise(own))


def test_half_of_the_cameras_are_always_without_a_fault(faults: list[Fault]):
    for now in (fault.at for fault in faults):
        at_fault = {fault.camera for fault in faults if fault.camera and fault.at <= now < fault.end}
        assert len(at_fault) <= len(CAMERAS) / 2


def test_the_server_is_stopped_and_killed_with_a_long_life_between(faults: list[Fault]):
    ends = [fault.at for fault in faults if fault.kind in OF_THE_SERVER]
    assert len(ends) == 4
    assert max(later - earlier for earlier, later in pairwise(ends)) > 1200


def test_each_block_begins_with_a_calm(faults: list[Fault]):
    spans = calm(faults, HALF_AN_HOUR, Rhythm().settle)
    long = [span for span in spans if span.end - span.start > Rhythm().calm / 2]
    assert len(long) >= HALF_AN_HOUR / Rhythm().block - 1


def test_a_cameras_trouble_is_its_own_faults_and_the_servers():
    faults = [
        Fault(1, Kind.KILLED, 2, "a"),
        Fault(5, Kind.KILLED, 2, "b"),
        Fault(9, Kind.FULL, 2),
        Fault(20, Kind.SHOT, 1),
    ]
    assert troubled(faults, "a", settle=3) == [Span(1, 6), Span(20, 24)]


@pytest.mark.parametrize(
    ("hole", "left"),
    [
        (Span(20, 30), [Span(0, 10)]),
        (Span(-5, 3), [Span(3, 10)]),
        (Span(4, 6), [Span(0, 4), Span(6, 10)]),
        (Span(8, 12), [Span(0, 8)]),
        (Span(-1, 11), []),
    ],
)
def test_spans_with_holes(hole: Span, left: list[Span]):
    assert without([Span(0, 10)], [hole]) == left
