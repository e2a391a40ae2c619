from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.io.alignments import Alignments
from facestream.io.faces import read_header
from facestream.jobs.extract_plan import plan
from facestream.jobs.models import FILE, ModelOptions
from facestream.stream.types import Image
from facestream.testing.plugins import FakeDetector
from facestream.testing.sources import make_clip
from tests.jobs.extracting import extract, options_for

BOX = (50, 30, 110, 90)
RED = (40, 40, 220)


def picture(seed: int = 0) -> Image:
    """Grey noise, and in it a face: red and green stripes, which are brown when they are averaged."""
    image = np.random.default_rng(seed).integers(100, 130, (120, 160, 3), np.uint8)
    striped = np.where(np.arange(160)[None, :, None] // 2 % 2, RED, (40, 220, 40))
    left, top, right, bottom = BOX
    y, x = np.mgrid[:120, :160]
    oval = np.hypot((2 * x - left - right) / (right - left), (2 * y - top - bottom) / (bottom - top)) < 1
    return np.where(oval[..., None], striped, image).astype(np.uint8)


def stripes(image: Image) -> int:
    """How many pixels are clearly red."""
    return int(((image[..., 2].astype(int) - image[..., 1]) > 90).sum())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"p{index}.png"), picture(index))
    return folder


def found() -> FakeDetector:
    return FakeDetector([BOX])


def thumbs(alignments: Path) -> list[Image]:
    records = [face for entry in Alignments.load(alignments).frames.values() for face in entry.faces]
    assert records
    return [np.asarray(cv2.imdecode(np.frombuffer(face.thumb or b"", np.uint8), 1), np.uint8) for face in records]


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path)), np.uint8)


@pytest.mark.parametrize("cover", ["blur", "pixelate", "box"])
async def test_no_picture_that_is_written_shows_a_face(cover: str, photos: Path, tmp_path: Path) -> None:
    faces, frames = tmp_path / "faces", tmp_path / "frames"
    await extract(options_for(photos, output=faces, frames=frames, anonymise=cover), detector=found())
    written = [read(path) for folder in (faces, frames) for path in sorted(folder.glob("*.png"))]
    assert len(written) == 6
    assert all(stripes(image) == 0 for image in [*written, *thumbs(photos / "alignments.fsa")])
    assert stripes(picture()) > 1000


async def test_alignments_are_those_of_a_job_that_covers_nothing(photos: Path, tmp_path: Path) -> None:
    await extract(options_for(photos, output=tmp_path / "clear"), detector=found())
    clear = Alignments.load(photos / "alignments.fsa").frames
    await extract(options_for(photos, output=tmp_path / "covered", anonymise="blur", resume=False), detector=found())
    for name, entry in Alignments.load(photos / "alignments.fsa").frames.items():
        assert np.array_equal(entry.faces[0].landmarks_xy, clear[name].faces[0].landmarks_xy)
        assert entry.faces[0].thumb != clear[name].faces[0].thumb


async def test_a_face_that_is_missed_in_one_frame_of_a_video_doesnt_show(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=[picture()] * 6, encoder={"crf": "1"}, pixel_format="yuv444p")
    count = iter(range(6))
    blinking = FakeDetector(lambda image: [] if next(count) == 3 else [BOX])
    await extract(options_for(clip, frames=tmp_path / "frames", anonymise="box"), detector=blinking)
    frames = [read(path) for path in sorted((tmp_path / "frames").glob("*.png"))]
    assert len(frames) == 6
    assert all(stripes(frame) == 0 for frame in frames)


def test_a_job_that_covers_faces_is_another_job_to_its_journal(photos: Path) -> None:
    def header(**settings: object) -> str:
        chosen = plan(options_for(photos, **settings))
        return chosen.header(chosen.inputs[0], "fake").settings

    headers = [header(), header(anonymise="blur"), header(anonymise="box"), header(no_biometrics=True)]
    assert len(set(headers)) == 4
    assert "nonymise" not in headers[0], "journals of before privacy mode stay good"


async def test_no_biometrics_leaves_no_embedding_in_files(photos: Path, tmp_path: Path) -> None:
    models = ModelOptions(device="cpu", identity="sface")
    kept, without = tmp_path / "kept", tmp_path / "without"
    await extract(options_for(photos, output=kept, models=models), detector=found())
    assert read_header(kept / "p0_0.png")["alignments"]["identity"]
    options = options_for(photos, output=without, models=models, no_biometrics=True, resume=False)
    await extract(options, detector=found())
    assert read_header(without / "p0_0.png")["alignments"]["identity"] == {}
    records = [face for entry in Alignments.load(photos / "alignments.fsa").frames.values() for face in entry.faces]
    assert len(records) == 3
    assert not any(face.identity for face in records)


async def test_what_a_file_knew_of_faces_isnt_written_again_either(photos: Path, tmp_path: Path) -> None:
    identified = ModelOptions(device="cpu", identity="sface")
    await extract(options_for(photos, models=identified), detector=found())
    models = ModelOptions(device="cpu", detector=FILE, aligner=FILE)
    options = options_for(photos, output=tmp_path / "faces", models=models, no_biometrics=True, anonymise="box")
    await extract(options)
    header = read_header(tmp_path / "faces" / "p0_0.png")
    assert header["alignments"]["identity"] == {}
    assert stripes(read(tmp_path / "faces" / "p0_0.png")) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"anonymise": "blur", "anonymise_who": "known", "no_biometrics": True}, "nobody is known"),
        ({"anonymise_who": "known"}, "add --anonymise"),
        ({"people": Path("people.db")}, "add --identity sface"),
        ({"people": Path("people.db"), "no_biometrics": True}, "opens none"),
        ({"anonymise": "blur", "models": ModelOptions(detector=FILE), "frames": Path("f")}, "leave out --frames"),
    ],
)
def test_options_that_would_show_or_keep_too_much_are_refused(
    settings: dict[str, object], message: str, photos: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(options_for(photos, **settings))
