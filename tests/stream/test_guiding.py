from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.io.reading import LazyFrame, LazyPixels
from facestream.stream.device import Bridge
from facestream.stream.guiding import Guide, GuidingPolicy, guide_for, settle
from facestream.stream.joining import batch_of
from facestream.stream.pipeline import Pipeline, Tracks
from facestream.stream.stage import Stage
from facestream.stream.types import ExtractBatch, Floats, Frame, FrameFaces, Image
from facestream.testing.plugins import FACE_68, FIVE_POINTS, FakeAligner, FakeDetector, in_boxes

BOX = (40, 30, 80, 70)
OTHER = (120, 30, 160, 70)
FLAG = 0.5


def picture(seq: int = 0, *, source: str = "a", epoch: int = 0, size: tuple[int, int] = (192, 96)) -> Frame:
    width, height = size
    return Frame(source, epoch, seq, seq / 25, seq / 25, np.zeros((height, width, 3), np.uint8))


def found(frame: Frame, *boxes: Sequence[float], flag: float = 0.9, tracks: Sequence[int] | None = None) -> FrameFaces:
    """A result with these faces, numbered from 1 unless told otherwise."""
    array = np.array(boxes, np.float32).reshape(-1, 4)
    return FrameFaces(
        frame=frame,
        boxes=array,
        scores=np.full(len(array), 0.8, np.float32),
        points=in_boxes(FIVE_POINTS, array),
        landmarks=in_boxes(FACE_68, array),
        landmark_scores=np.full(len(array), flag, np.float32),
        tracks=np.array(range(1, len(array) + 1) if tracks is None else tracks, np.int64),
    )


def after(guide: Guide, *results: Sequence[Sequence[float]], flag: float = 0.9) -> FrameFaces:
    """The frame that follows frames in which these boxes were found, whether detected or guided."""
    for seq, boxes in enumerate(results):
        item = guide.next(FrameFaces(frame=picture(seq)))
        guide.learn(found(item.frame, *boxes, flag=flag), FLAG)
    return guide.next(FrameFaces(frame=picture(len(results))))


def test_the_first_frame_is_detected() -> None:
    assert not Guide().next(FrameFaces(frame=picture())).frame.guided


def test_a_face_that_was_found_is_expected_where_it_was() -> None:
    item = after(Guide(), [BOX])
    assert item.frame.guided
    assert item.boxes.tolist() == [list(BOX)]
    assert item.priors is not None
    np.testing.assert_allclose(item.priors, in_boxes(FACE_68, item.boxes), atol=1e-3)


def test_a_moving_face_is_expected_further_on() -> None:
    item = after(Guide(), [BOX], [(44, 30, 84, 70)])
    assert 46 < item.boxes[0, 0] <= 48


def test_a_face_that_moves_by_much_of_its_size_is_detected() -> None:
    assert not after(Guide(), [BOX], [(70, 30, 110, 70)]).frame.guided


def test_a_trembling_face_is_expected_where_it_is() -> None:
    assert after(Guide(), [BOX], [(40.5, 30, 80.5, 70)]).boxes[0, 0] == 40.5


def detected(policy: GuidingPolicy, frames: Sequence[Frame]) -> list[int]:
    """Which of ``frames`` a detector looks at, with one face in all of them."""
    guide, seqs = Guide(policy), []
    for frame in frames:
        item = guide.next(FrameFaces(frame=frame))
        if not item.frame.guided:
            seqs.append(frame.seq)
        guide.learn(found(item.frame, BOX), FLAG)
    return seqs


def flickering(rows: slice, columns: slice) -> list[Frame]:
    """Eleven frames, every other one with a lighter part."""
    frames = [picture(seq) for seq in range(11)]
    for frame in frames[1::2]:
        frame.image[rows, columns] = 20
    return frames


def test_a_detector_looks_again_after_the_interval_where_something_changes() -> None:
    policy = GuidingPolicy(interval=0.2, resting=0.4)
    assert detected(policy, flickering(slice(None), slice(150, 192))) == [0, 5, 10]


def test_it_looks_less_often_at_a_picture_that_rests() -> None:
    policy = GuidingPolicy(interval=0.2, resting=0.4)
    assert detected(policy, [picture(seq) for seq in range(21)]) == [0, 10, 20]


def test_a_face_and_the_body_below_it_may_move_in_a_picture_that_rests() -> None:
    policy = GuidingPolicy(interval=0.2, resting=0.4)
    assert detected(policy, flickering(slice(20, None), slice(20, 100))) == [0, 10]


def test_a_detector_looks_at_every_nth_frame_if_told_so() -> None:
    guide = guide_for("3")
    assert guide is not None
    guided = []
    for seq in range(7):
        item = guide.next(FrameFaces(frame=picture(seq)))
        guided.append(item.frame.guided)
        guide.learn(found(item.frame, BOX), FLAG)
    assert [seq for seq, mark in enumerate(guided) if not mark] == [0, 3, 6]


def test_a_source_that_drops_frames_is_detected_less_often() -> None:
    guide = Guide(GuidingPolicy(interval=0.1, busy=0.5))
    for seq in range(3):
        guide.learn(found(guide.next(FrameFaces(frame=picture(seq))).frame, BOX), FLAG)
    assert guide.next(FrameFaces(frame=replace(picture(3), dropped=1))).frame.guided


def test_a_frame_without_faces_is_guided_too_but_not_for_long() -> None:
    guide = Guide(GuidingPolicy(empty=0.1))
    guided = []
    for seq in range(7):
        item = guide.next(FrameFaces(frame=picture(seq)))
        guided.append(item.frame.guided)
        guide.learn(found(item.frame), FLAG)
    assert guided == [False, True, True, False, True, True, False]


def test_after_a_face_was_lost_every_frame_is_detected_for_a_while() -> None:
    guide = Guide(GuidingPolicy(search=0.19, empty=1.0))
    guide.learn(found(guide.next(FrameFaces(frame=picture(0))).frame, BOX), FLAG)
    guided = []
    for seq in range(1, 9):
        item = guide.next(FrameFaces(frame=picture(seq)))
        guided.append(item.frame.guided)
        guide.learn(found(item.frame), FLAG)
    assert guided == [True, False, False, False, False, False, True, True]


def test_a_lost_face_that_was_found_again_is_guided_again() -> None:
    guide = Guide()
    assert not after(guide, [BOX], []).frame.guided
    guide.learn(found(picture(2), BOX), FLAG)
    assert guide.next(FrameFaces(frame=picture(3))).frame.guided


def test_a_face_that_the_aligner_hardly_sees_is_detected_in_each_frame() -> None:
    assert not after(Guide(), [BOX], flag=0.3).frame.guided


def test_a_face_that_is_not_confirmed_yet_is_detected() -> None:
    guide = Guide()
    guide.learn(found(guide.next(FrameFaces(frame=picture())).frame, BOX, OTHER, tracks=[1, -1]), FLAG)
    assert not guide.next(FrameFaces(frame=picture(1))).frame.guided


def test_a_scene_cut_is_detected() -> None:
    guide = Guide()
    ramp = np.repeat(np.linspace(0, 255, 192, dtype=np.uint8)[None, :, None], 96, axis=0).repeat(3, axis=2)
    guide.learn(found(guide.next(FrameFaces(frame=replace(picture(0), image=ramp))).frame, BOX), FLAG)
    brighter = np.minimum(ramp, 235) + 20
    assert guide.next(FrameFaces(frame=replace(picture(1), image=brighter))).frame.guided
    guide.learn(found(picture(1), BOX), FLAG)
    assert not guide.next(FrameFaces(frame=replace(picture(2), image=255 - ramp))).frame.guided


@pytest.mark.parametrize(
    "frame",
    [
        picture(1, epoch=1),
        picture(1, size=(96, 96)),
        replace(picture(1), pts=-1.0),
        replace(picture(1), pts=5.0),
        replace(picture(1), name="b.png"),
        picture(1, source="b"),
    ],
    ids=["epoch", "size", "clock back", "clock ahead", "picture", "source"],
)
def test_what_is_no_continuation_is_detected(frame: Frame) -> None:
    guide = Guide()
    guide.learn(found(guide.next(FrameFaces(frame=picture())).frame, BOX), FLAG)
    assert not guide.next(FrameFaces(frame=frame)).frame.guided


def test_a_result_from_before_a_change_of_size_guides_nothing() -> None:
    guide = Guide()
    first = guide.next(FrameFaces(frame=picture(0)))
    guide.next(FrameFaces(frame=picture(1, size=(96, 96))))
    guide.learn(found(first.frame, BOX), FLAG)
    assert not guide.next(FrameFaces(frame=picture(2, size=(96, 96)))).frame.guided


def test_a_forgotten_source_begins_anew() -> None:
    guide = Guide()
    guide.learn(found(guide.next(FrameFaces(frame=picture())).frame, BOX), FLAG)
    guide.forget("a")
    assert not guide.next(FrameFaces(frame=picture(1))).frame.guided


def test_a_frame_two_ahead_of_the_last_result_is_detected() -> None:
    guide = Guide()
    guide.learn(found(guide.next(FrameFaces(frame=picture())).frame, BOX), FLAG)
    guided = [guide.next(FrameFaces(frame=picture(seq))).frame.guided for seq in (1, 2, 3)]
    assert guided == [True, True, False]


@pytest.mark.parametrize("text", ["0", "-1", "often", "1.5", ""])
def test_how_often_to_detect_is_auto_or_a_number(text: str) -> None:
    with pytest.raises(ConfigError, match="detect-every"):
        guide_for(text)


def test_detecting_every_frame_needs_no_guide() -> None:
    assert guide_for("1") is None


def aligned(*boxes: Sequence[float], at: Sequence[Sequence[float]], flags: Sequence[float]) -> ExtractBatch:
    """Guided faces that were expected in ``boxes``, and that the aligner saw in the boxes ``at``."""
    expected = found(replace(picture(), guided=True), *boxes)
    expected.priors, expected.landmarks, expected.landmark_scores = expected.landmarks, None, None
    batch = batch_of([expected])
    batch.landmarks = in_boxes(FACE_68, np.array(at, np.float32))
    batch.landmark_scores = np.array(flags, np.float32)
    return batch


def test_the_box_and_points_of_a_guided_face_move_with_its_landmarks() -> None:
    batch = aligned(BOX, at=[(44, 28, 92, 76)], flags=[0.7])
    settle(batch, FLAG)
    np.testing.assert_allclose(batch.boxes, [(44, 28, 92, 76)], atol=1e-3)
    assert batch.points is not None
    np.testing.assert_allclose(batch.points, in_boxes(FIVE_POINTS, batch.boxes), atol=1e-3)
    assert batch.scores.tolist() == pytest.approx([0.7])
    assert batch.priors is None


def test_a_guided_face_that_the_aligner_does_not_see_is_dropped() -> None:
    batch = aligned(BOX, OTHER, at=[BOX, OTHER], flags=[0.2, 0.9])
    settle(batch, FLAG)
    assert batch.boxes.tolist() == [list(OTHER)]


def test_of_two_guided_faces_that_slid_onto_one_the_better_stays() -> None:
    batch = aligned(BOX, OTHER, at=[BOX, (42, 30, 82, 70)], flags=[0.6, 0.7])
    settle(batch, FLAG)
    np.testing.assert_allclose(batch.boxes, [(42, 30, 82, 70)], atol=1e-3)


def test_detected_faces_stay_as_they_are() -> None:
    batch = batch_of([found(picture(), BOX, flag=0.1)])
    settle(batch, FLAG)
    assert batch.boxes.tolist() == [list(BOX)]


class TellingAligner(FakeAligner):
    """Sees a face in every box, or none in any while it is blind."""

    lost_below = FLAG
    blind = False

    def post_process(self, raw: Floats, feed: object, batch: ExtractBatch) -> None:
        batch.landmarks = raw
        batch.landmark_scores = np.full(len(raw), 0.1 if self.blind else 0.9, np.float32)


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with Bridge(torch_threads=1) as bridge:
        yield bridge


async def through(chain: Pipeline, frames: Sequence[Frame]) -> list[FrameFaces]:
    """Each frame as soon as the one before is out."""
    results = []
    async with chain.running() as out:
        for frame in frames:
            if frame.source not in chain.gate:
                chain.gate.add(frame.source, live=True)
            await chain.put(frame)
            results.append(await out.receive())
    return results


def guided_chain(bridge: Bridge, detector: FakeDetector, aligner: FakeAligner, every: str = "4") -> Pipeline:
    stages = [Stage.detect(detector, bridge), Stage.faces(aligner, bridge)]
    return Pipeline(stages, bridge, in_flight=1, tracks=Tracks(), guide=guide_for(every))


async def test_a_guided_pipeline_detects_few_frames_and_shows_the_same_face_in_all(bridge: Bridge) -> None:
    detector = FakeDetector([BOX])
    results = await through(guided_chain(bridge, detector, TellingAligner()), [picture(seq) for seq in range(12)])
    assert len(detector.batches) == 3
    for faces in results:
        np.testing.assert_allclose(faces.boxes, [BOX], atol=1e-3)
        assert faces.tracks is not None
        assert faces.tracks.tolist() == [1]
        assert faces.priors is None
        assert faces.aligned is not None


async def test_a_guided_frame_is_not_converted_as_a_whole(bridge: Bridge) -> None:
    def unmade(seq: int) -> LazyFrame:
        made = picture(seq)
        pixels = LazyPixels(lambda: made.image, made.size, part=lambda region: made.image[:1, :1], light=made.light)
        return LazyFrame.of(pixels, made.source, seq, made.pts, made.captured_at)

    frames = [unmade(seq) for seq in range(8)]
    await through(guided_chain(bridge, FakeDetector([BOX]), TellingAligner()), frames)
    lazy = [pixels for frame in frames if isinstance(pixels := frame._pixels, LazyPixels)]
    assert [pixels.made for pixels in lazy] == [True, False, False, False, True, False, False, False]


async def test_the_guide_waits_for_pixels_in_a_thread_where_it_cannot_do_without(bridge: Bridge) -> None:
    def unlit(seq: int) -> LazyFrame:
        def load() -> Image:
            threads.append(threading.current_thread())
            return picture(seq).image

        return LazyFrame.of(LazyPixels(load, picture().size), "a", seq, seq / 25, seq / 25)

    threads: list[threading.Thread] = []
    results = await through(guided_chain(bridge, FakeDetector([BOX]), TellingAligner()), [unlit(0), unlit(1)])
    assert [faces.frame.guided for faces in results] == [False, True]
    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_a_lost_face_is_looked_for_in_the_next_frame(bridge: Bridge) -> None:
    detector, aligner = FakeDetector([BOX]), TellingAligner()
    chain = guided_chain(bridge, detector, aligner, "100")
    chain.gate.add("a", live=True)
    async with chain.running() as out:
        counts = []
        for seq in range(4):
            aligner.blind = seq == 1
            await chain.put(picture(seq))
            counts.append(len(await out.receive()))
    assert counts == [1, 0, 1, 1]
    assert len(detector.batches) == 2


async def test_an_aligner_that_tells_nothing_has_every_frame_detected(bridge: Bridge) -> None:
    detector = FakeDetector([BOX])
    await through(guided_chain(bridge, detector, FakeAligner()), [picture(seq) for seq in range(4)])
    assert len(detector.batches) == 4


async def test_a_source_that_comes_back_under_its_name_is_detected_first(bridge: Bridge) -> None:
    detector = FakeDetector([BOX])
    chain = guided_chain(bridge, detector, TellingAligner(), "100")
    chain.gate.add("a", live=True)
    async with chain.running() as out:
        with detector.held():
            await chain.put(picture(0))
            await asyncio.to_thread(detector.entered.wait)
            await chain.remove("a")
        await out.receive()
        chain.gate.add("a", live=True)
        await chain.put(picture(1))
        assert not (await out.receive()).frame.guided
    assert len(detector.batches) == 2


async def test_guided_and_detected_frames_share_a_batch(bridge: Bridge) -> None:
    detector = FakeDetector([OTHER])
    stage, align = Stage.detect(detector, bridge), Stage.faces(TellingAligner(), bridge)
    expected = found(replace(picture(source="b"), guided=True), BOX)
    expected.priors, expected.landmarks, expected.landmark_scores = expected.landmarks, None, None
    expected.tracks = None
    empty = FrameFaces(frame=replace(picture(source="c"), guided=True))
    batch = batch_of([FrameFaces(frame=picture()), expected, empty, FrameFaces(frame=picture(source="d"))])
    (detected,) = await stage.run_one(batch)
    assert detector.batches == [2]
    assert detected.frame_ids.tolist() == [0, 1, 3]
    assert detected.boxes.tolist() == [list(OTHER), list(BOX), list(OTHER)]
    assert detected.priors is not None
    assert np.isfinite(detected.priors).all(axis=(1, 2)).tolist() == [False, True, False]
    (done,) = await align.run_one(detected)
    assert [len(faces) for faces in done.per_frame()] == [1, 1, 0, 1]
    assert done.priors is None


async def test_a_detector_out_of_memory_takes_the_guided_frames_along(bridge: Bridge) -> None:
    stage = Stage.detect(FakeDetector([OTHER], fits=1), bridge)
    expected = found(replace(picture(source="b"), guided=True), BOX)
    expected.landmarks = expected.landmark_scores = expected.tracks = None
    parts = await stage.run_one(
        batch_of([FrameFaces(frame=picture()), expected, FrameFaces(frame=picture(source="d"))])
    )
    assert [frame.source for part in parts for frame in part.frames] == ["a", "b", "d"]
    assert [box for part in parts for box in part.boxes.tolist()] == [list(OTHER), list(BOX), list(OTHER)]


def test_each_source_may_have_its_own_policy() -> None:
    guide = Guide(GuidingPolicy(every=1))
    guide.set_policy("b", GuidingPolicy(every=3))
    guided: dict[str, list[bool]] = {"a": [], "b": []}
    for seq in range(7):
        if seq == 5:
            guide.set_policy("b", None)
        for source, marks in guided.items():
            item = guide.next(FrameFaces(frame=picture(seq, source=source)))
            marks.append(item.frame.guided)
            guide.learn(found(item.frame, BOX), FLAG)
    assert guided == {"a": [False] * 7, "b": [False, True, True, False, True, False, False]}


def test_a_forgotten_sources_policy_is_forgotten_too() -> None:
    guide = Guide(GuidingPolicy(every=1))
    guide.set_policy("a", GuidingPolicy(every=100))
    guide.forget("a")
    assert not after(guide, [BOX]).frame.guided


async def test_one_source_is_guided_in_a_chain_that_detects_all_others(bridge: Bridge) -> None:
    chain = guided_chain(bridge, FakeDetector([BOX]), TellingAligner(), "1")
    chain.guide_source("b", GuidingPolicy(every=100))
    frames = [picture(seq, source=source) for seq in range(4) for source in "ab"]
    guided = {faces.frame.key for faces in await through(chain, frames) if faces.frame.guided}
    assert guided == {("b", 0, 1), ("b", 0, 2), ("b", 0, 3)}
