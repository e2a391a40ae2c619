import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from facestream.errors import AlignmentsError, ConfigError, OutputError, SourceError
from facestream.faces.aligned import align
from facestream.faces.crops import crop_matrices
from facestream.faces.meanface import MEAN_FACE
from facestream.io.alignments import Alignments
from facestream.io.face_record import FaceAlignment, FrameEntry
from facestream.io.faces import read_header
from facestream.io.savers import FaceSaver
from facestream.io.sources import open_source
from facestream.jobs import reextract as job
from facestream.jobs.recrop import head_edge, least_edge, level_eyes
from facestream.jobs.reextract import ReextractOptions, Summary, reextract, reextract_command
from facestream.stream.device import Bridge
from facestream.stream.types import Floats, Frame, FrameFaces, Image
from facestream.testing.sources import make_clip

WIDTH, HEIGHT, COUNT = 320, 240, 12


def picture(number: int) -> Image:
    noise = np.random.default_rng(number).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


def landmarks_at(x: float, y: float, edge: float, degrees: float = 0.0) -> Floats:
    """68 points of a face whose normalised square has that edge in pixels, turned about its middle."""
    jaw = np.stack([np.linspace(-0.1, 1.1, 17), 0.5 + 0.7 * np.sin(np.linspace(0, np.pi, 17))], axis=1)
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (np.concatenate([jaw, MEAN_FACE]) - 0.5) @ turn.T * edge + (x, y)
    return points.astype(np.float32)


def record(x: float, y: float, edge: float, degrees: float = 0.0) -> FaceAlignment:
    half = edge / 2
    points = landmarks_at(x, y, edge, degrees).astype(np.float64)
    identity = {"sface": np.linspace(-1, 1, 8)}
    return FaceAlignment(int(x - half), int(y - half), int(edge), int(edge), points, {}, identity, b"thumb")


def faces_of(number: int) -> list[FaceAlignment]:
    """None in every fourth frame; else a face, and every third frame a second, small one."""
    if number % 4 == 3:
        return []
    faces = [record(140 + 3 * number, 120, 70, 2 * number)]
    return faces + [record(60, 60, 20)] * (number % 3 == 0)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = [picture(number) for number in range(COUNT)]
    return make_clip(tmp_path_factory.mktemp("clip") / "a clip.mp4", frames=pictures, b_frames=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(COUNT):
        cv2.imwrite(str(folder / f"p{number}.png"), picture(number))
    return folder


def detected(frame: Frame) -> FrameFaces:
    """What a pipeline would have found in the frame."""
    faces = faces_of(frame.seq)
    return FrameFaces(
        frame=frame,
        boxes=np.array([(f.x, f.y, f.x + f.w, f.y + f.h) for f in faces], np.float32).reshape(-1, 4),
        scores=np.ones(len(faces), np.float32),
        landmarks=np.array([face.landmarks_xy for face in faces], np.float32).reshape(-1, 68, 2),
        identities={"sface": np.array([face.identity["sface"] for face in faces]).reshape(-1, 8)},
    )


def write_alignments(path: Path, name_of: Callable[[int], str], count: int = COUNT) -> Path:
    Alignments(path, {name_of(number): FrameEntry(faces_of(number)) for number in range(count)}).save(None)
    return path


@pytest.fixture
def options(clip: Path, tmp_path: Path) -> ReextractOptions:
    alignments = write_alignments(tmp_path / "a.fsa", lambda number: f"a clip_{number + 1:06d}.mp4")
    return ReextractOptions(input=str(clip), alignments=alignments, output=tmp_path / "faces", size=128)


def changed(options: ReextractOptions, **changes: Any) -> ReextractOptions:
    return replace(options, **changes)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


EXPECTED = sorted(
    f"a clip_{number + 1:06d}_{index}.png" for number in range(COUNT) for index in range(len(faces_of(number)))
)


def decoded(clip: Path) -> list[Image]:
    with av.open(str(clip)) as container:
        frames = container.decode(video=0)
        return [
            np.asarray(frame.to_ndarray(format="bgr24", interpolation="FAST_BILINEAR"), np.uint8) for frame in frames
        ]


@pytest.mark.parametrize("centering", ["legacy", "face", "head"])
async def test_crops_are_those_of_the_matrix_worked_out_by_hand(options: ReextractOptions, centering: str) -> None:
    await reextract(changed(options, centering=centering))
    assert names_in(options.output) == EXPECTED
    frames = decoded(Path(options.input))
    margin = {"legacy": 24, "face": 32, "head": 40}[centering]  # of 128 pixels: spec §8.4
    for name in EXPECTED:
        number, index = int(name[-12:-6]) - 1, int(name[-5])
        points = faces_of(number)[index].landmarks_xy[17:]
        to_mean, _ = cv2.estimateAffinePartial2D(points, MEAN_FACE, method=cv2.LMEDS)
        offset = align(faces_of(number)[index].landmarks_xy[None].astype(np.float32)).offsets[centering][0]
        matrix = to_mean - np.array([[0, 0, offset[0]], [0, 0, offset[1]]])
        matrix = matrix * (128 - 2 * margin) + np.array([[0, 0, margin], [0, 0, margin]])
        scale = np.hypot(matrix[0, 0], matrix[1, 0])
        expected = cv2.warpAffine(
            frames[number], matrix, (128, 128), flags=cv2.INTER_CUBIC if scale >= 1 else cv2.INTER_LINEAR
        )
        seen = cv2.imread(str(options.output / name))
        assert np.abs(seen.astype(int) - expected).mean() < 0.5, name


async def test_pictures_and_headers_are_those_that_extraction_writes(options: ReextractOptions, tmp_path: Path) -> None:
    """Up to ties of the warp's fixed-point arithmetic, which fall otherwise in a part of the frame."""
    await reextract(options)
    async with (
        Bridge("cpu") as bridge,
        FaceSaver(tmp_path / "saved", bridge, size=128) as saver,
        open_source(options.input) as source,
    ):
        async for frame in source:
            await saver.write(detected(frame))
    for ours, saved in zip(names_in(options.output), names_in(tmp_path / "saved"), strict=True):
        one, other = options.output / ours, tmp_path / "saved" / saved
        apart = np.abs(cv2.imread(str(one)).astype(int) - cv2.imread(str(other)))
        assert apart.max() <= 1
        assert (apart > 0).mean() < 0.001
        assert read_header(one)["alignments"] == read_header(other)["alignments"]


async def test_the_header_names_the_frame_as_the_alignments_do(options: ReextractOptions) -> None:
    await reextract(options)
    header = read_header(options.output / "a clip_000005_0.png")
    assert header["source"] == {
        "alignments_version": 2.4,
        "original_filename": "a clip_000005_0.png",
        "face_index": 0,
        "source_filename": "a clip_000005.mp4",
        "source_is_video": True,
        "source_frame_dims": (HEIGHT, WIDTH),
    }
    assert header["alignments"] == faces_of(4)[0].to_dict(thumb=False)


async def test_no_biometrics_leaves_no_embedding_in_headers(options: ReextractOptions) -> None:
    for kept in (True, False):
        chosen = changed(options, no_biometrics=not kept, output=options.output / str(kept))
        await reextract(chosen)
        headers = [read_header(path)["alignments"] for path in chosen.output.glob("*.png")]
        assert len(headers) == len(EXPECTED)
        assert all(bool(header["identity"]) is kept for header in headers)


async def test_a_folder_is_matched_by_file_name(folder: Path, options: ReextractOptions, tmp_path: Path) -> None:
    alignments = write_alignments(tmp_path / "b.fsa", lambda number: f"p{number}.png")
    summary = await reextract(changed(options, input=str(folder), alignments=alignments))
    assert names_in(options.output) == sorted(
        f"p{number}_{index}.png" for number in range(COUNT) for index in range(len(faces_of(number)))
    )
    assert (summary.frames, summary.unknown, summary.missing) == (COUNT, 0, [])
    header = read_header(options.output / "p10_0.png")
    assert (header["source"]["source_filename"], header["source"]["source_is_video"]) == ("p10.png", False)


@pytest.mark.parametrize("name", ["a clip_{:06d}.png", "a-clip_{:06d}.mp4"])
async def test_older_and_other_names_of_the_same_video_match(
    options: ReextractOptions, tmp_path: Path, name: str
) -> None:
    alignments = write_alignments(tmp_path / "b.fsa", lambda number: name.format(number + 1))
    summary = await reextract(changed(options, alignments=alignments))
    assert (summary.written, summary.unknown) == (len(EXPECTED), 0)
    source = read_header(next(options.output.iterdir()))["source"]
    assert source["source_filename"].endswith(".mp4")


async def test_frames_and_entries_without_each_other_are_told(options: ReextractOptions, tmp_path: Path) -> None:
    entries = {f"a clip_{number + 1:06d}.mp4": FrameEntry(faces_of(number)) for number in (0, 1, 5, 20, 21)}
    Alignments(tmp_path / "b.fsa", entries).save(None)
    summary = await reextract(changed(options, alignments=tmp_path / "b.fsa"))
    assert (summary.frames, summary.unknown) == (COUNT, COUNT - 3)
    assert summary.missing == ["a clip_000021.mp4", "a clip_000022.mp4"]
    assert "2 frames of the alignments aren't in the input: a clip_000021.mp4, a clip_000022.mp4" in summary.lines()


async def test_only_every_nth_frame(options: ReextractOptions) -> None:
    summary = await reextract(changed(options, extract_every_n=5))
    assert names_in(options.output) == [
        f"a clip_{name}.png" for name in ("000001_0", "000001_1", "000006_0", "000011_0")
    ]
    assert (summary.frames, summary.passed_over, summary.missing) == (COUNT, 9, [])


async def test_a_frame_without_a_wanted_face_is_decoded_but_not_converted(
    options: ReextractOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from facestream.io.convert import FrameConverter

    converted = []
    convert = FrameConverter.convert
    monkeypatch.setattr(
        FrameConverter, "convert", lambda self, *args: converted.append(args[0].pts) or convert(self, *args)
    )
    await reextract(options)
    assert len(converted) - converted.count(None) == COUNT - COUNT // 4


async def test_small_heads_are_left_out_and_keep_their_index(options: ReextractOptions) -> None:
    small, large = (head_edge(face, 128) for face in (record(60, 60, 20), record(140, 120, 70)))
    assert small == pytest.approx(20 / 0.375, rel=1e-3)
    assert large == pytest.approx(70 / 0.375, rel=1e-3)
    summary = await reextract(changed(options, min_size=100))
    assert names_in(options.output) == [name for name in EXPECTED if name.endswith("_0.png")]
    assert summary.too_small == len([name for name in EXPECTED if name.endswith("_1.png")])


@pytest.mark.parametrize(("percent", "edge"), [(0, 0), (0.5, 4), (50, 64), (33.3, 42), (200, 256)])
def test_the_size_limit_is_a_share_of_the_crop_and_never_below_four_pixels(percent: float, edge: int) -> None:
    assert least_edge(128, percent) == edge


async def test_faces_whose_points_fix_no_crop_are_left_out(options: ReextractOptions, tmp_path: Path) -> None:
    nothing = FaceAlignment(0, 0, 9, 9, np.zeros((68, 2)))
    entries = {"a clip_000001.mp4": FrameEntry([nothing, record(140, 120, 70)])}
    Alignments(tmp_path / "b.fsa", entries).save(None)
    summary = await reextract(changed(options, alignments=tmp_path / "b.fsa"))
    assert names_in(options.output) == ["a clip_000001_1.png"]
    assert summary.unusable == 1


@pytest.mark.parametrize("count", [51, 98, 4])
async def test_other_landmark_layouts_are_cropped_too(options: ReextractOptions, tmp_path: Path, count: int) -> None:
    points = {
        51: landmarks_at(140, 120, 70)[17:],
        98: np.random.default_rng(0).uniform(90, 170, (98, 2)),
        4: np.array([(100, 80), (180, 80), (180, 160), (100, 160)]),
    }[count]
    entries = {"a clip_000001.mp4": FrameEntry([FaceAlignment(1, 2, 3, 4, points.astype(np.float64))])}
    Alignments(tmp_path / "b.fsa", entries).save(None)
    summary = await reextract(changed(options, alignments=tmp_path / "b.fsa", align_eyes=True))
    assert summary.written == 1


@pytest.mark.parametrize("degrees", [-40.0, 0.0, 25.0])
def test_levelled_eyes_lie_level_and_the_middle_stays(degrees: float) -> None:
    landmarks = landmarks_at(140, 120, 70, degrees)
    landmarks[42:48] += (0, 5)  # so that aligning alone doesn't level them
    matrix = crop_matrices(align(landmarks[None]), 128, "head")[0]
    level = level_eyes(matrix, landmarks, 128)
    eyes = np.stack([landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)]) @ level[:2, :2].T + level[:2, 2]
    assert eyes[0, 1] == pytest.approx(eyes[1, 1], abs=1e-3)
    assert eyes[0, 0] < eyes[1, 0]
    middle = np.linalg.inv(matrix.astype(np.float64)) @ (63.5, 63.5, 1)
    np.testing.assert_allclose(level @ middle, (63.5, 63.5, 1), atol=1e-3)
    assert np.linalg.det(level[:2, :2]) == pytest.approx(np.linalg.det(matrix[:2, :2]), rel=1e-5)


async def test_eyes_are_levelled_when_asked(options: ReextractOptions) -> None:
    await reextract(options)
    await reextract(changed(options, output=options.output.with_name("level"), align_eyes=True))
    name = EXPECTED[5]
    seen = [cv2.imread(str(folder / name)) for folder in (options.output, options.output.with_name("level"))]
    assert seen[0].shape == seen[1].shape
    assert (seen[0] != seen[1]).any()


# What can't be done


async def test_what_a_killed_run_had_begun_to_write_goes_with_the_next(options: ReextractOptions) -> None:
    await reextract(options)
    written = names_in(options.output)
    for name in written:
        (options.output / name).rename(options.output / f".{name}.part")
    await reextract(options)
    assert names_in(options.output) == written


async def test_a_folder_with_something_in_it_is_refused(options: ReextractOptions) -> None:
    options.output.mkdir()
    (options.output / ".DS_Store").touch()
    (options.output / "old_0.png").touch()
    with pytest.raises(ConfigError, match="isn't empty; choose an empty folder"):
        await reextract(options)
    assert names_in(options.output) == [".DS_Store", "old_0.png"]
    (options.output / "old_0.png").unlink()
    assert (await reextract(options)).written == len(EXPECTED)


async def test_another_videos_alignments_are_refused(options: ReextractOptions, tmp_path: Path) -> None:
    alignments = write_alignments(tmp_path / "b.fsa", lambda number: f"other_{number + 1:06d}.mp4")
    with pytest.raises(AlignmentsError, match=r"b\.fsa knows no frame called like a clip_000001\.mp4"):
        await reextract(changed(options, alignments=alignments))


async def test_another_folders_alignments_are_refused(options: ReextractOptions, folder: Path) -> None:
    with pytest.raises(AlignmentsError, match="knows no picture of"):
        await reextract(changed(options, input=str(folder)))


@pytest.mark.parametrize("name", ["webcam:0", "rtsp://cam/", "push:phone"])
async def test_a_camera_has_no_frames_to_go_back_to(options: ReextractOptions, name: str) -> None:
    with pytest.raises(ConfigError, match="has no frames to go back to"):
        await reextract(changed(options, input=name))


async def test_missing_files_are_named(options: ReextractOptions, tmp_path: Path) -> None:
    with pytest.raises(AlignmentsError, match=r"gone\.fsa"):
        await reextract(changed(options, alignments=tmp_path / "gone.fsa"))
    with pytest.raises(SourceError, match=r"a clip\.mp4 isn't there"):
        await reextract(changed(options, input=str(tmp_path / "a clip.mp4")))


async def test_the_alignments_lie_beside_the_input_unless_given(options: ReextractOptions, clip: Path) -> None:
    beside = clip.with_name(f"{clip.stem}_alignments.fsa")
    with pytest.raises(AlignmentsError, match=f"no alignments file {beside}; run `facestream extract`"):
        await reextract(changed(options, alignments=None))
    assert not options.output.exists()
    assert options.alignments is not None
    options.alignments.rename(beside)
    try:
        summary = await reextract(changed(options, alignments=None))
    finally:
        beside.unlink()
    assert summary.written


async def test_a_folder_isnt_taken_for_an_alignments_file(options: ReextractOptions, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder; name the alignments file"):
        await reextract(changed(options, alignments=tmp_path))


async def test_the_first_picture_that_cannot_be_written_ends_the_job(
    options: ReextractOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes, **how: bool) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(job, "write_atomically", full)
    with pytest.raises(OutputError, match=r"can't write .*: No space left on device; make room"):
        await reextract(options)
    assert names_in(options.output) == []


async def test_a_damaged_video_gives_what_it_has(clip: Path, options: ReextractOptions, tmp_path: Path) -> None:
    cut = tmp_path / "a clip.mp4"
    pictures = [picture(number) for number in range(COUNT)]
    make_clip(cut, frames=pictures, codec="mjpeg", pixel_format="yuvj420p", options={"movflags": "faststart"})
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    summary = await reextract(changed(options, input=str(cut)))
    assert 0 < summary.frames < COUNT
    assert len(summary.missing) == COUNT - summary.frames
    assert summary.written == len(names_in(options.output)) > 0


async def test_cancelling_leaves_whole_pictures_only(options: ReextractOptions) -> None:
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    def advanced(total: int | None, frames: int) -> None:
        if frames == 6:
            loop.call_soon_threadsafe(started.set)

    summary = Summary()
    task = asyncio.create_task(reextract(options, summary=summary, advanced=advanced))
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert summary.written <= len(names_in(options.output)) < len(EXPECTED)
    for path in options.output.iterdir():
        assert cv2.imread(str(path)).shape == (128, 128, 3)
        read_header(path)


# The command


async def test_the_summary_says_what_was_done_and_left_out(
    options: ReextractOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    await reextract_command(changed(options, min_size=100))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("9 faces out of 12 frames, ")
    assert lines[1:] == ["3 faces skipped: smaller than --min-size", f"written to {options.output}"]
    await reextract_command(changed(options, output=options.output.with_name("quiet"), quiet=True))
    assert capsys.readouterr().err == ""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facestream", "reextract", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_the_command_line(options: ReextractOptions) -> None:
    given = (options.input, "--alignments", options.alignments, "-o", options.output)
    result = run(*given, "--size", "64", "--centering", "face")
    assert result.returncode == 0, result.stderr
    assert f"{len(EXPECTED)} faces out of {COUNT} frames" in result.stderr
    assert cv2.imread(str(options.output / EXPECTED[0])).shape == (64, 64, 3)
    result = run(*given)
    assert result.returncode == 2
    assert result.stderr.strip().endswith("isn't empty; choose an empty folder for the new faces, or clear it")
