from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.stream.hub import Hub, Mailbox, Published, RateLimiter
from facestream.testing.sessions import some_faces


class Recorder:
    def __init__(self) -> None:
        self.results: list[Published] = []
        self.forgotten: list[str] = []

    def offer(self, result: Published) -> None:
        self.results.append(result)

    def forget(self, source: str) -> None:
        self.forgotten.append(source)


# the mailbox


def test_the_newest_of_a_source_wins():
    box: Mailbox[str] = Mailbox()
    box.put("door", "old", 1)
    box.put("door", "new", 2)
    assert box.take() == ("door", "new", 1)
    assert box.take() is None


def test_sources_take_turns_and_a_replacement_keeps_its_turn():
    box: Mailbox[int] = Mailbox()
    for source, count in (("a", 1), ("b", 1), ("c", 1), ("a", 2)):
        box.put(source, count, count)
    assert [letter.source for letter in iter(box.take, None)] == ["a", "b", "c"]


def test_a_source_just_served_goes_to_the_end():
    box: Mailbox[int] = Mailbox()
    box.put("a", 1, 1)
    box.put("b", 1, 1)
    assert box.take() == ("a", 1, 0)
    box.put("a", 2, 2)
    assert box.take() == ("b", 1, 0)


def test_dropped_counts_what_was_not_sent_since_the_last_message():
    box: Mailbox[str] = Mailbox()
    assert box.account("door", 3) == 2  # frames 1 and 2 were dropped before the model
    assert box.account("door", 4) == 0
    box.put("door", "seventh", 7)
    assert box.take() == ("door", "seventh", 2)


def test_frames_before_the_subscriber_came_are_not_its_loss():
    assert Mailbox[str]({"door": 100}).account("door", 101) == 0


def test_a_forgotten_source_may_start_again():
    box: Mailbox[str] = Mailbox({"door": 100})
    box.put("door", "x", 101)
    box.forget("door")
    assert box.take() is None
    assert box.account("door", 1) == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans())))
def test_every_frame_is_either_sent_or_counted_as_dropped(steps):
    box: Mailbox[int] = Mailbox()
    published = dict.fromkeys("abc", 0)
    seen = dict.fromkeys("abc", 0)
    for source, dropped, take in steps:
        published[source] += 1 + dropped
        box.put(source, published[source], published[source])
        if take:
            letter = box.take()
            seen[letter.source] += 1 + letter.dropped
    for letter in iter(box.take, None):
        seen[letter.source] += 1 + letter.dropped
    assert seen == published


# the rate limiter


def passed(limiter: RateLimiter, times: list[float]) -> int:
    return sum(limiter.allow(now) for now in times)


@pytest.mark.parametrize(
    ("fps", "rate", "expected"), [(10, 25, 100), (5, 25, 50), (20, 25, 200), (24, 25, 240), (1, 30, 10)]
)
def test_the_rate_asked_for_is_the_rate_given(fps, rate, expected):
    assert abs(passed(RateLimiter(fps), [i / rate for i in range(rate * 10)]) - expected) <= 1


@pytest.mark.parametrize("fps", [25, 26, 60])
def test_a_source_no_faster_than_the_rate_loses_nothing(fps):
    assert passed(RateLimiter(fps), [i / 25 for i in range(250)]) == 250


def test_a_jittering_source_of_just_that_rate_loses_nothing():
    times = [i / 25 + 0.015 * (-1) ** i for i in range(1, 250)]
    assert passed(RateLimiter(25), times) == len(times)


def test_a_pause_is_not_made_up_for_by_a_burst():
    limiter = RateLimiter(10)
    assert limiter.allow(0)
    assert passed(limiter, [60 + i / 100 for i in range(5)]) == 1


@given(st.floats(0.5, 100), st.lists(st.floats(0, 0.5), min_size=1, max_size=200), st.floats(0, 1e6))
def test_never_more_than_the_rate(fps, gaps, start):
    now, times = start, []
    for gap in gaps:
        now += gap
        times.append(now)
    allowed = passed(RateLimiter(fps), times)
    assert 1 <= allowed <= (times[-1] - times[0]) * fps + 2.5


# the hub


def test_listeners_hear_every_result_with_running_counts():
    hub, recorder = Hub(clock=lambda: 5.0), Recorder()
    hub.attach(recorder)
    hub.publish(some_faces(0))
    hub.publish(some_faces(3, dropped=2))
    hub.publish(some_faces(0, source="yard"))
    assert [(r.source, r.count, r.at) for r in recorder.results] == [
        ("door", 1, 5.0),
        ("door", 4, 5.0),
        ("yard", 1, 5.0),
    ]
    hub.detach(recorder)
    hub.publish(some_faces(4))
    assert len(recorder.results) == 3


def test_statistics_count_results_drops_and_faces():
    hub = Hub(clock=lambda: 7.0)
    hub.publish(some_faces(0, count=2))
    hub.publish(some_faces(4, count=1, dropped=3))
    flow = hub.statistics()["door"]
    assert (flow.published, flow.dropped, flow.faces, flow.count, flow.published_at) == (2, 3, 3, 5, 7.0)


def test_a_forgotten_source_leaves_nothing_behind():
    hub, recorder = Hub(), Recorder()
    hub.attach(recorder)
    hub.publish(some_faces())
    hub.forget("door")
    assert hub.statistics() == {}
    assert recorder.forgotten == ["door"]


async def test_a_subscription_yields_results_as_they_come():
    hub = Hub()
    async with hub.subscribe() as results:
        for seq in range(3):
            hub.publish(some_faces(seq))
            assert (await anext(results)).frame.seq == seq


async def test_a_slow_reader_gets_the_newest_and_the_count_of_what_it_missed():
    hub = Hub()
    async with hub.subscribe() as results:
        for seq in range(5):
            hub.publish(some_faces(seq, dropped=1))
        faces = await anext(results)
        assert (faces.frame.seq, faces.dropped) == (4, 9)


async def test_a_subscription_can_be_of_some_sources_only():
    hub = Hub()
    async with hub.subscribe(["yard"]) as results:
        hub.publish(some_faces(source="door"))
        hub.publish(some_faces(source="yard"))
        assert (await anext(results)).frame.source == "yard"
        hub.close()
        assert [faces async for faces in results] == []


async def test_a_subscription_can_be_thinned():
    now = 0.0
    hub = Hub(clock=lambda: now)
    seqs = []
    async with hub.subscribe(fps=10) as results:
        reader = asyncio.ensure_future(collect(results, seqs))
        for seq in range(25):
            now = seq / 25
            hub.publish(some_faces(seq))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        hub.close()
        await reader
    assert len(seqs) in (10, 11)  # a beat early at the end


async def collect(results, seqs):
    async for faces in results:
        seqs.append(faces.frame.seq)


async def test_closing_the_hub_ends_subscriptions_after_what_waits():
    hub = Hub()
    async with hub.subscribe() as results, hub.subscribe() as others:
        async with hub:
            await hub.write(some_faces(1))
            await hub.drain()
        assert [faces.frame.seq async for faces in results] == [1]
        assert [faces.frame.seq async for faces in others] == [1]


async def test_a_reader_that_waits_is_woken_by_the_end():
    hub = Hub()
    async with hub.subscribe() as results:
        reader = asyncio.ensure_future(anext(results, None))
        await asyncio.sleep(0)
        hub.close()
        assert await reader is None


async def test_a_cancelled_read_loses_nothing():
    hub = Hub()
    async with hub.subscribe() as results:
        reader = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0)
        reader.cancel()
        hub.publish(some_faces(1))
        assert (await anext(results)).frame.seq == 1


async def test_a_left_subscription_hears_nothing():
    hub = Hub()
    async with hub.subscribe() as results:
        pass
    hub.publish(some_faces())
    assert [faces async for faces in results] == []
