"""The verdict can say no: each check is shown a run that is good, and one that isn't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from tests.service.observer import Camera, Sample
from tests.service.schedule import Fault, Kind, Span
from tests.service.served import Belongings
from tests.service.verdict import Finding, Record, Terms, count, judge, recoveries

TERMS = Terms(back_within=10.0, settle=10.0)
LENGTH = 600
OWN = Fault(100.0, Kind.KILLED, 20.0, "door")
Change = Callable[[int, Camera], Camera]


def run(change: Change = lambda at, camera: camera, *, faults: tuple[Fault, ...] = (OWN,), **more: object) -> Record:
    """Two cameras at 10 frames a second, looked at each second for ten minutes; ``change`` alters what is seen."""
    samples = [
        Sample(
            float(at),
            1,
            {name: change(at, seen(name, at)) for name in ("door", "yard")},
            Belongings(memory=100_000_000, threads=30, descriptors=60),
        )
        for at in range(LENGTH + 1)
    ]
    record = Record(length=LENGTH, rates={"door": 10, "yard": 10}, faults=faults, samples=samples, exit_codes=[0])
    return replace(record, seconds_to_stop=[1.0], **more)


def seen(name: str, at: int) -> Camera:
    """The door is away from 100 to 125 s, reconnects once, and has no frames meanwhile."""
    frames = 10 * at
    away = name == "door" and 100 < at <= 125
    if name == "door" and at > 100:
        frames -= 10 * (min(at, 125) - 100)
    return Camera(
        name=name,
        state="degraded" if away else "live",
        reason="",
        captured=frames,
        processed=frames,
        dropped=0,
        reconnects=int(name == "door" and at > 125),
        last_frame_age=0.1,
        heard=frames,
    )


def yard(**changes: Callable[[int, Camera], object]) -> Change:
    """Alter the yard's samples: a field's name and its value by time."""

    def change(at: int, camera: Camera) -> Camera:
        if camera.name != "yard":
            return camera
        return msgspec.structs.replace(camera, **{name: value(at, camera) for name, value in changes.items()})

    return change


def finding(record: Record, words: str, terms: Terms = TERMS) -> Finding:
    [found] = [each for each in judge(record, terms) if words in each.check]
    return found


def test_a_good_run_has_no_bad_finding():
    assert [each for each in judge(run(), TERMS) if not each.good] == []


def test_a_camera_that_goes_with_another_is_found():
    also = run(yard(reconnects=lambda at, camera: int(at > 110)))
    assert "yard at" in finding(also, "stay connected").measured
    assert not finding(also, "stay connected").good


def test_a_camera_that_was_degraded_between_two_looks_at_its_reconnects_is_found():
    assert not finding(run(yard(state=lambda at, _: "degraded" if at == 105 else "live")), "stay connected").good


def test_frames_lost_while_another_camera_fails_are_found():
    def processed(at: int, camera: Camera) -> int:
        return camera.processed - 5 * (min(max(at, 100), 130) - 100)

    lossy = run(yard(processed=processed))
    assert not finding(lossy, "frames lost").good
    assert "yard 0.0% +50.0 points" in finding(lossy, "frames lost").measured


def test_frames_lost_all_the_time_are_the_machines_fault():
    slow = run(yard(processed=lambda at, camera: camera.processed // 2))
    assert finding(slow, "frames lost").good


@pytest.mark.parametrize("words", ["frames lost", "live again", "threads"])
def test_nothing_measured_is_no_success(words: str):
    record = run(faults=())
    if words == "threads":
        record = replace(record, faults=(Fault(0.0, Kind.KILLED, LENGTH, "door"),))
    assert not finding(record, words).good


def test_a_memory_that_was_not_watched_for_long_is_no_success_but_in_a_short_run():
    late = replace(TERMS, settled_after=LENGTH)
    assert not finding(run(), "memory", late).good
    assert finding(run(), "memory", replace(late, short=True)).good


def test_a_disk_that_could_not_be_filled_is_found():
    full = run(faults=(OWN, Fault(200.0, Kind.FULL, 5.0)))
    assert finding(full, "disk").good
    assert not finding(replace(full, disk_fills=False), "disk").good


def test_how_long_a_camera_takes_to_come_back_is_measured_from_the_end_of_its_fault():
    [only] = recoveries(run())
    assert 5 <= only.seconds <= 8


def test_a_camera_that_comes_back_late_is_found():
    assert not finding(run(), "live again", Terms(back_within=3.0)).good


def test_a_camera_that_never_comes_back_is_found():
    def gone(at: int, camera: Camera) -> Camera:
        return msgspec.structs.replace(camera, state="degraded") if camera.name == "door" and at > 100 else camera

    assert not finding(run(gone), "live again").good


def test_a_camera_that_is_called_live_and_delivers_nothing_is_found():
    def still(at: int, camera: Camera) -> Camera:
        if camera.name != "door" or at <= 100:
            return camera
        return msgspec.structs.replace(camera, state="live", captured=1000)

    assert not finding(run(still), "live again").good


def test_every_camera_must_come_back_after_the_servers_end():
    faults = (Fault(300.0, Kind.SHOT, 2.0),)
    assert {each.camera for each in recoveries(run(faults=faults))} == {"door", "yard"}


def test_a_subscriber_that_isnt_told_of_frames_is_found():
    deaf = run(yard(heard=lambda at, camera: max(1, camera.heard - (50 if at > 300 else 0))))
    assert not finding(deaf, "is told").good


def test_a_healthy_subscriber_closed_as_slow_is_found():
    assert not finding(run(closed=["1013 too slow"]), "is told").good
    assert finding(run(closed=["1001 the server is closing"]), "is told").good


def held(**changes: Callable[[int], int]) -> Record:
    record = run()
    samples = [
        replace(each, belongings=replace(each.belongings, **{n: value(int(each.at)) for n, value in changes.items()}))
        for each in record.samples
    ]
    return replace(record, samples=samples)


def test_memory_that_grows_is_found():
    assert not finding(held(memory=lambda at: 100_000_000 + 30_000 * at), "memory").good


def test_memory_that_grows_at_the_start_is_no_leak():
    assert finding(held(memory=lambda at: 100_000_000 + 300_000 * min(at, 200)), "memory").good


@pytest.mark.parametrize("what", ["threads", "descriptors"])
def test_what_grows_is_found(what: str):
    assert not finding(held(**{what: lambda at: 30 + at // 60}), "threads").good


def test_what_comes_and_goes_is_no_leak():
    assert finding(held(descriptors=lambda at: 60 + 20 * (at % 2)), "threads").good


def test_a_server_that_doesnt_stop_is_found():
    assert not finding(run(exit_codes=[1]), "stops").good
    record = run()
    assert not finding(replace(record, seconds_to_stop=[99.0]), "stops").good


def test_a_traceback_is_found():
    assert not finding(run(log="12:00 INFO serving\nTraceback (most recent call last):\n"), "traceback").good


def test_a_damaged_file_is_found():
    assert not finding(run(damaged=["a.png can't be decoded"]), "intact").good


def test_counts_of_two_lives_arent_mixed():
    record = run()
    second = [
        replace(sample, life=2, cameras={name: seen(name, int(sample.at) - 300) for name in sample.cameras})
        for sample in record.samples
        if sample.at > 300
    ]
    record = replace(record, samples=[*(s for s in record.samples if s.at <= 300), *second])
    assert count(record, "yard", [Span(200, 400)]).processed == 1000 + 990
