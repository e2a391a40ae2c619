from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest

import facestream
from facestream.errors import ModelError, SourceError
from facestream.jobs.extract import unique_name
from facestream.testing.sources import make_clip
from tests.threads import left_over

pytestmark = pytest.mark.usefixtures("weights")


@pytest.fixture
def photos(tmp_path: Path, five_faces: Path) -> Path:
    """Three pictures, of five, no and five people, the last one with a Unicode name."""
    people = cv2.imread(str(five_faces))
    assert people is not None
    encoded = cv2.imencode(".png", people)[1].tobytes()
    (tmp_path / "1.png").write_bytes(encoded)
    (tmp_path / "2.png").write_bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    (tmp_path / "10 Größe 顔.png").write_bytes(encoded)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    return tmp_path


async def test_the_faces_of_a_folder_of_photos(photos: Path) -> None:
    results = [faces async for faces in facestream.extract(str(photos), track=False)]
    assert [faces.frame.name for faces in results] == ["1.png", "2.png", "10 Größe 顔.png"]
    assert [len(faces) for faces in results] == [5, 0, 5]
    assert results[0].landmarks is not None
    assert results[0].landmarks.shape == (5, 68, 2)
    assert not left_over()


def test_the_same_without_an_event_loop(photos: Path) -> None:
    assert [len(faces) for faces in facestream.extract_sync(str(photos))] == [5, 0, 5]
    assert not left_over()


async def test_every_frame_of_a_video_in_order_with_one_track(face_clip: Path) -> None:
    seqs, tracks = [], set()
    async for faces in facestream.extract(face_clip):
        seqs.append(faces.frame.seq)
        assert len(faces) == 1
        assert faces.tracks is not None
        tracks |= set(faces.tracks.tolist())
        if faces.frame.seq == 99:
            break
    assert seqs == list(range(100))
    assert tracks == {1}


async def test_leaving_the_loop_early_closes_everything(face_clip: Path) -> None:
    results = facestream.extract(face_clip)
    async for _ in results:
        break
    await results.aclose()  # type: ignore[attr-defined]
    assert not left_over()
    assert len(asyncio.all_tasks()) == 1


def test_leaving_the_plain_loop_early_closes_everything(face_clip: Path) -> None:
    results = facestream.extract_sync(face_clip)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert not left_over()


async def test_two_inputs_of_one_name_stay_two(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        make_clip(tmp_path / folder / "clip.mp4", frames=3)
    inputs = [tmp_path / folder / "clip.mp4" for folder in ("a", "b")]
    results = [faces async for faces in facestream.extract(*inputs)]
    assert [faces.frame.source for faces in results] == ["clip"] * 3 + ["clip-2"] * 3


async def test_what_was_found_before_an_input_fails_is_yielded_first(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", frames=3)
    seen = 0
    with pytest.raises(SourceError, match=r"missing\.mp4"):
        async for _ in facestream.extract(tmp_path / "clip.mp4", tmp_path / "missing.mp4"):
            seen += 1
    assert seen == 3


async def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="yunnet"):
        async for _ in facestream.extract(tmp_path, detector="yunnet"):
            pass


def test_names_are_made_unique() -> None:
    assert unique_name("clip", {"clip", "clip-2"}) == "clip-3"
    assert unique_name("other", {"clip"}) == "other"
