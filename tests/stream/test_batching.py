from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.stream.batching import FaceBatcher, FrameJoiner, FrameQueue, InFlight, split
from facestream.stream.joining import batch_of
from facestream.stream.types import ExtractBatch
from facestream.tests.stream.build import batch, frame, known

counts = st.lists(st.integers(0, 50), min_size=1, max_size=12)


def drain(batcher: FaceBatcher) -> list[ExtractBatch]:
    taken = []
    while (ready := batcher.take()) is not None:
        taken.append(ready)
    return taken


class TestFrameQueue:
    def test_a_live_source_waits_with_its_newest_frame_and_counts_what_gave_way(self) -> None:
        queue = FrameQueue()
        queue.add("a", live=True)
        for seq in range(5):
            queue.offer(frame("a", seq))
        (taken,) = queue.take(8)
        assert (taken.frame.seq, taken.dropped) == (4, 4)
        statistics = queue.statistics("a")
        assert (statistics.captured, statistics.taken, statistics.dropped, statistics.waiting) == (5, 1, 4, 0)

    def test_a_lossless_source_has_room_for_its_capacity_and_loses_nothing(self) -> None:
        queue = FrameQueue()
        queue.add("a", live=False, capacity=2)
        queue.offer(frame("a", 0))
        queue.offer(frame("a", 1))
        assert not queue.has_room("a")
        with pytest.raises(ValueError, match="no room"):
            queue.offer(frame("a", 2))
        assert [taken.frame.seq for taken in queue.take(8)] == [0, 1]

    def test_sources_are_served_in_turn(self) -> None:
        queue = FrameQueue()
        for name in "abc":
            queue.add(name, live=True)
        served = []
        for seq in range(6):
            for name in "abc":
                queue.offer(frame(name, seq))
            served += [taken.frame.source for taken in queue.take(2)]
        assert [served.count(name) for name in "abc"] == [4, 4, 4]

    def test_a_batch_has_one_frame_of_a_live_source_and_as_many_of_a_file_as_fit(self) -> None:
        queue = FrameQueue()
        queue.add("camera", live=True)
        queue.add("file", live=False, capacity=4)
        queue.offer(frame("camera", 0))
        for seq in range(4):
            queue.offer(frame("file", seq))
        assert [(taken.frame.source, taken.frame.seq) for taken in queue.take(4)] == [
            ("camera", 0),
            ("file", 0),
            ("file", 1),
            ("file", 2),
        ]

    def test_removing_a_source_counts_what_it_had_waiting_as_dropped(self) -> None:
        queue = FrameQueue()
        queue.add("a", live=True)
        queue.offer(frame("a", 0))
        final = queue.remove("a")
        assert (final.captured, final.dropped, final.waiting) == (1, 1, 0)
        assert queue.take(1) == []

    def test_two_sources_of_one_name_are_refused(self) -> None:
        queue = FrameQueue()
        queue.add("a", live=True)
        with pytest.raises(ValueError, match="already"):
            queue.add("a", live=False)

    @given(
        live=st.lists(st.booleans(), min_size=1, max_size=5),
        steps=st.lists(st.one_of(st.integers(0, 4), st.just("take")), max_size=80),
        limit=st.integers(1, 6),
    )
    def test_whatever_happens_every_frame_is_accounted_for_in_order(
        self, live: list[bool], steps: list[int | str], limit: int
    ) -> None:
        queue = FrameQueue()
        for i, is_live in enumerate(live):
            queue.add(str(i), live=is_live, capacity=3)
        seqs = [0] * len(live)
        gaps: dict[str, list[int]] = {str(i): [] for i in range(len(live))}
        taken: dict[str, list[int]] = {str(i): [] for i in range(len(live))}
        for step in steps:
            if isinstance(step, int):
                source = step % len(live)
                if queue.has_room(str(source)):
                    queue.offer(frame(str(source), seqs[source]))
                    seqs[source] += 1
            else:
                frames = queue.take(limit)
                assert len(frames) <= limit
                for one in frames:
                    taken[one.frame.source].append(one.frame.seq)
                    gaps[one.frame.source].append(one.dropped)
        for i, is_live in enumerate(live):
            name = str(i)
            statistics = queue.statistics(name)
            assert statistics.captured == statistics.taken + statistics.dropped + statistics.waiting
            assert taken[name] == sorted(set(taken[name]))
            assert is_live or statistics.dropped == 0
            # a frame says exactly how many were lost before it
            assert taken[name] == list(np.cumsum([gap + 1 for gap in gaps[name]]) - 1)


class TestFaceBatcher:
    def test_the_example_of_the_specification(self) -> None:
        batcher = FaceBatcher(4)
        batcher.put(batch([3, 0, 6, 1, 0, 0]))
        first, second, third = drain(batcher)
        assert ([f.seq for f in first.frames], first.frame_ids.tolist()) == ([0, 1, 2], [0, 0, 0, 2])
        assert ([f.seq for f in second.frames], second.frame_ids.tolist()) == ([2], [0, 0, 0, 0])
        assert ([f.seq for f in third.frames], third.frame_ids.tolist()) == ([2, 3, 4, 5], [0, 1])
        assert [one.continued for one in (first, second, third)] == [True, True, False]

    def test_nothing_waits_for_a_batch_to_fill(self) -> None:
        batcher = FaceBatcher(16)
        batcher.put(batch([1]))
        assert len(drain(batcher)) == 1
        assert not batcher

    def test_frames_without_faces_need_no_room(self) -> None:
        batcher = FaceBatcher(2)
        batcher.put(batch([2, 0, 0, 0]))
        (only,) = drain(batcher)
        assert len(only.frames) == 4

    def test_faces_of_several_batches_share_one(self) -> None:
        batcher = FaceBatcher(8)
        batcher.put(batch([1, 2]))
        batcher.put(batch([3], source="b"))
        (only,) = drain(batcher)
        assert only.frame_ids.tolist() == [0, 1, 1, 2, 2, 2]

    def test_faces_with_and_without_landmarks_share_no_batch_and_frames_without_faces_go_with_either(self) -> None:
        batcher = FaceBatcher(8)
        for i, (count, landmarks) in enumerate([(1, True), (0, False), (2, True), (1, False), (0, True), (1, True)]):
            batcher.put(batch_of([known(count, seq=i, landmarks=landmarks)]))
        assert [[f.seq for f in one.frames] for one in drain(batcher)] == [[0, 1, 2], [3, 4], [5]]

    @given(counts=counts, size=st.integers(1, 20))
    def test_no_batch_is_larger_than_asked_and_no_face_moves(self, counts: list[int], size: int) -> None:
        parts = list(split(batch(counts), size))
        assert all(len(part) <= size for part in parts)
        boxes = np.concatenate([part.boxes for part in parts])
        assert np.array_equal(boxes, batch(counts).boxes)
        for part in parts:
            owners = [part.frames[i].seq for i in part.frame_ids]
            assert owners == part.boxes[:, 0].astype(int).tolist()


class TestFrameJoiner:
    @given(
        groups=st.lists(counts, min_size=1, max_size=4),
        sizes=st.lists(st.integers(1, 20), min_size=1, max_size=4),
        eager=st.booleans(),
    )
    def test_any_chain_of_batch_sizes_gives_every_frame_back_once_in_order_with_its_own_faces(
        self, groups: list[list[int]], sizes: list[int], eager: bool
    ) -> None:
        first, stream = 0, []
        for group in groups:
            stream.append(batch(group, first=first))
            first += len(group)
        for size in sizes:
            batcher, rebatched = FaceBatcher(size), []
            for one in stream:
                batcher.put(one)
                if eager:
                    rebatched += drain(batcher)
            stream = rebatched + drain(batcher)
        joiner = FrameJoiner()
        frames = [faces for one in stream for faces in joiner.put(one)]
        wanted = [count for group in groups for count in group]
        assert [faces.frame.seq for faces in frames] == list(range(len(wanted)))
        assert [len(faces) for faces in frames] == wanted
        for faces in frames:
            assert (faces.boxes[:, 0] == faces.frame.seq).all()
            assert faces.boxes[:, 1].tolist() == list(range(len(faces)))

    def test_a_frame_is_not_held_back_when_it_is_complete(self) -> None:
        assert len(list(FrameJoiner().put(batch([2, 3])))) == 2

    def test_a_frame_waits_for_its_other_faces(self) -> None:
        joiner = FrameJoiner()
        first, second = split(batch([3]), 2)
        assert list(joiner.put(first)) == []
        (whole,) = joiner.put(second)
        assert len(whole) == 3


def test_parts_of_one_frame_become_one_frame_again() -> None:
    one = batch([4])
    parts = [faces for part in split(one, 1) for faces in part.per_frame()]
    whole = batch_of(parts)
    assert len(whole.frames) == 1
    assert np.array_equal(whole.boxes, one.boxes)


def test_in_flight_counts_batches_until_their_last_frame_is_out() -> None:
    flight = InFlight(2)
    flight.enter(2)
    flight.enter(1)
    assert not flight.has_room()
    flight.leave()
    assert not flight.has_room()
    flight.leave()
    assert flight.has_room()
    flight.leave()
    assert len(flight) == 0
