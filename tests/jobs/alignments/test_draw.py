from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from facestream.errors import AlignmentsError, FacestreamError
from facestream.faces.meanface import MEAN_FACE
from facestream.io.face_record import FaceAlignment
from facestream.jobs.alignments import draw
from facestream.jobs.alignments.work import one_work
from facestream.testing.sources import make_clip, make_picture
from tests.jobs.alignments.build import STAMP, Heard, extracted, full_disk, record, silent


def face(x: int, y: int, size: int = 60) -> FaceAlignment:
    jaw = np.stack([np.linspace(-0.1, 1.1, 17), 0.5 + 0.7 * np.sin(np.linspace(0, np.pi, 17))], axis=1)
    fields = record(x).to_dict() | {"y": y, "w": size, "h": size}
    return FaceAlignment.from_dict(fields | {"landmarks_xy": np.concatenate([jaw, MEAN_FACE]) * size + (x, y)})


def test_a_clips_frames_are_drawn_in_order(tmp_path: Path, heard: Heard) -> None:
    video = make_clip(tmp_path / "clip.mp4", frames=3, size=(160, 120))
    extracted(tmp_path, {"clip_000001.mp4": [], "clip_000002.mp4": [face(50, 30)]}, "clip_alignments.fsa")
    draw.run(one_work(None, None, video), heard.session())
    folder = tmp_path / f"drawn_landmarks_{STAMP}"
    assert sorted(path.name for path in folder.iterdir()) == [f"clip_{n:06d}.jpg" for n in (1, 2, 3)]
    drawn = [cv2.imread(str(folder / f"clip_{n:06d}.jpg")).astype(int) for n in (1, 2, 3)]
    changed = [(np.abs(image - make_picture(n, (160, 120))).max(axis=2) > 120).sum() for n, image in enumerate(drawn)]
    assert changed[1] > 10 * max(changed[0], changed[2], 10)
    assert heard.told == [f"3 frames drawn to {folder}"]


def test_or_become_a_video_of_the_same_rate(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "clip.mp4", frames=6, size=(160, 120), rate=24)
    extracted(tmp_path, {"clip_000002.mp4": [face(50, 30)]}, "clip_alignments.fsa")
    draw.run(one_work(None, None, video), silent(), video=True)
    with av.open(str(tmp_path / f"drawn_landmarks_{STAMP}.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (160, 120, 24)
        assert sum(1 for _ in container.decode(stream)) == 6


def test_pictures_of_any_size_make_a_video_too(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, size in enumerate([(161, 121), (80, 60), (160, 120)]):
        cv2.imwrite(str(folder / f"{index}.png"), make_picture(index, size))
    extracted(tmp_path, {"0.png": []}, "photos/alignments.fsa")
    draw.run(one_work(None, None, folder), silent(), video=True)
    with av.open(str(folder / f"drawn_landmarks_{STAMP}.mp4")) as container:
        assert [frame.to_ndarray(format="bgr24").shape for frame in container.decode(video=0)] == [(120, 160, 3)] * 3


def test_pictures_that_share_a_stem_dont_share_a_drawing(tmp_path: Path, heard: Heard) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "a.bmp"):
        cv2.imwrite(str(folder / name), make_picture(0, (64, 48)))
    (folder / "broken.png").write_bytes(b"")
    extracted(tmp_path, {"a.png": [face(10, 10, 20)], "a.bmp": []}, "photos/alignments.fsa")
    draw.run(one_work(None, None, folder), heard.session())
    assert {path.name for path in (folder / f"drawn_landmarks_{STAMP}").iterdir()} == {"a.jpg", "a-2.jpg"}
    assert heard.told[0].startswith("skipped: ")
    assert "broken.png" in heard.told[0]
    draw.run(one_work(None, None, folder), heard.session())  # the same second again
    assert heard.told[-1].endswith(f"drawn_landmarks_{STAMP}-2")


def test_the_file_of_another_input_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "clip.mp4", frames=2)
    extracted(tmp_path, {"other_000001.mp4": []}, "clip_alignments.fsa")
    for as_video in (False, True):
        with pytest.raises(AlignmentsError, match=r"clip_alignments\.fsa knows no frame called like clip_000001\.mp4"):
            draw.run(one_work(None, None, video), silent(), video=as_video)
    assert not list(tmp_path.glob("drawn_landmarks*"))


@pytest.mark.parametrize("as_video", [False, True])
def test_a_full_disk_is_named(tmp_path: Path, as_video: bool) -> None:
    video = make_clip(tmp_path / "clip.mp4", frames=2)
    extracted(tmp_path, {"clip_000001.mp4": []}, "clip_alignments.fsa")
    with full_disk(500), pytest.raises(FacestreamError, match=rf"can't write .*drawn_landmarks_{STAMP}"):
        draw.run(one_work(None, None, video), silent(), video=as_video)
