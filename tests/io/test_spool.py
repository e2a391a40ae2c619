from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from facestream.errors import OutputError, SourceFormatError, SourceUnavailable
from facestream.faces.aligned import align
from facestream.io.spool import Spool, decode, encode
from facestream.stream.types import Frame, FrameFaces, Image, Masks
from facestream.testing.plugins import FACE_68, FIVE_POINTS, in_boxes


def picture(seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)


def frame(seq: int, source: str = "clip", **values: object) -> Frame:
    return Frame(
        **{"source": source, "epoch": 0, "seq": seq, "pts": seq / 25, "captured_at": 7.0, "image": picture(), **values}
    )  # type: ignore[arg-type]


def result(of: Frame, count: int = 2, seed: int = 1) -> FrameFaces:
    """With everything that may be known of a face."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 20, (count, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + 20], axis=1)
    landmarks = in_boxes(FACE_68, boxes)
    masks = Masks("face", rng.random((count, 3, 3), np.float32), rng.integers(0, 256, (count, 8, 8), np.uint8))
    embeddings = rng.random((count, 16), np.float32)
    embeddings[-1:] = np.nan
    return FrameFaces(
        frame=of,
        boxes=boxes,
        scores=rng.random(count, np.float32),
        points=in_boxes(FIVE_POINTS, boxes),
        landmarks=landmarks,
        landmark_scores=rng.random(count, np.float32),
        tracks=np.arange(count),
        masks={"m": masks},
        identities={"i": embeddings},
        aligned=align(landmarks) if count else None,
    )


def arrays(faces: FrameFaces) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Every array of a result, by where it is."""
    found = {
        name: getattr(faces, name) for name in ("boxes", "scores", "points", "landmarks", "landmark_scores", "tracks")
    }
    found |= {
        f"mask {name} {part}": getattr(kind, part)
        for name, kind in faces.masks.items()
        for part in ("matrices", "masks")
    }
    found |= {f"identity {name}": rows for name, rows in faces.identities.items()}
    if faces.aligned is not None:
        found |= {"matrices": faces.aligned.matrices, "pose": faces.aligned.pose, **faces.aligned.offsets}
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in found.items() if array is not None}


def assert_same(one: FrameFaces, other: FrameFaces) -> None:
    assert arrays(one) == arrays(other)
    assert {name: kind.centering for name, kind in one.masks.items()} == {
        name: kind.centering for name, kind in other.masks.items()
    }


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_result_comes_back_bit_by_bit_with_the_frame_read_anew(count: int) -> None:
    again = frame(3)
    back = decode(encode(result(frame(3), count)), again)
    assert back.frame is again
    assert_same(back, result(frame(3), count))


def test_what_nothing_has_computed_is_still_unknown() -> None:
    back = decode(encode(FrameFaces(frame=frame(0))), frame(0))
    assert back.landmarks is back.points is back.tracks is back.aligned is None
    assert (len(back), back.masks, back.identities) == (0, {}, {})


def test_the_arrays_that_come_back_can_be_written_to() -> None:
    back = decode(encode(result(frame(0))), frame(0))
    assert back.aligned is not None
    assert all(array.flags.writeable for array in (back.boxes, back.masks["m"].masks, back.aligned.matrices))


def test_a_record_has_no_pixels() -> None:
    large = frame(0, image=np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8))
    assert len(encode(result(large))) < 5_000


@pytest.mark.parametrize(
    "other",
    [
        frame(1, pts=0.0),
        frame(0, epoch=1),
        frame(0, pts=1.0),
        frame(0, image=np.zeros((64, 48, 3), np.uint8)),
        frame(0, name="b.png"),
    ],
)
def test_another_frame_is_refused(other: Frame) -> None:
    with pytest.raises(SourceUnavailable, match=r"^clip has changed while the job ran: .*; run the same command again"):
        decode(encode(result(frame(0))), other)


def test_a_picture_with_another_content_is_refused() -> None:
    record = encode(result(frame(0, name="a.png")))
    decode(record, frame(0, name="a.png"))
    with pytest.raises(SourceUnavailable, match=r"frame a\.png isn't what it was"):
        decode(record, frame(0, name="a.png", image=picture(1)))


def test_sources_are_read_one_after_another_as_they_were_written(tmp_path: Path) -> None:
    frames = [frame(seq, source) for source in ("a", "b", "c") for seq in range(5)]
    with Spool(tmp_path) as spool:
        for seed, each in enumerate(frames):
            spool.append(result(each, seed % 3, seed))
        spool.rewind()
        for seed, each in enumerate(frames):
            assert_same(spool.read(each), result(each, seed % 3, seed))
        for source in "abc":
            spool.finish(source)
        assert not len(spool)


def test_what_is_left_of_a_source_that_failed_is_passed_over(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        for each in (frame(0, "a"), frame(1, "a"), frame(0, "b")):
            spool.append(result(each))
        spool.rewind()
        spool.read(frame(0, "a"))
        assert_same(spool.read(frame(0, "b")), result(frame(0, "b")))


def test_a_source_with_more_or_fewer_frames_has_changed(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append(result(frame(0)))
        spool.append(result(frame(1)))
        spool.rewind()
        spool.read(frame(0))
        with pytest.raises(SourceUnavailable, match="clip has changed while the job ran: 1 of its frames are gone"):
            spool.finish("clip")
        spool.read(frame(1))
        with pytest.raises(SourceUnavailable, match="it has more frames"):
            spool.read(frame(2))
        with pytest.raises(SourceUnavailable, match="it has more frames"):
            spool.read(frame(0, "other"))


def test_a_sources_error_is_kept_with_its_results(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append(result(frame(0)))
        spool.fail("clip", SourceFormatError("clip is broken"))
        spool.rewind()
        spool.read(frame(0))
        with pytest.raises(SourceFormatError, match="clip is broken"):
            spool.finish("clip")
        with pytest.raises(SourceFormatError, match="clip is broken"):
            spool.read(frame(1))


def test_nothing_is_left_on_the_disk(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Spool(tmp_path / "new") as spool:
        spool.append(result(frame(0)))
        raise ZeroDivisionError
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits of files")
def test_a_full_disk_is_an_error_that_says_so(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the system refuses, as it does on a full disk
    try:
        with (
            pytest.raises(OutputError, match=r"results can't be kept in .*: File too large; make room"),
            Spool(tmp_path) as spool,
        ):
            for seq in range(100):
                spool.append(result(frame(seq)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_folder_that_cant_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"results can't be kept in .*file: .*; make room there, or run without"):
        Spool(tmp_path / "file")
