import gc
import logging
import random
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from facestream.errors import SourceFormatError, SourceUnavailable
from facestream.io.convert import orient
from facestream.io.reading import LazyPixels, Picture
from facestream.io.video import VideoInput, VideoReader
from facestream.stream.types import Image
from facestream.testing.sources import make_clip, make_picture

# What stands in the corners of make_picture: red, green, blue, grey. Turned and mirrored accordingly:
UPRIGHT, LEFT, RIGHT, DOWN, MIRRORED, LEFT_MIRRORED = "RGB.", "G.RB", "BR.G", ".BGR", "GR.B", ".GBR"


def corners(image: Image) -> str:
    height, width = image.shape[:2]
    letters = {(0, 0, 1): "R", (0, 1, 0): "G", (1, 0, 0): "B"}
    found = [image[y, x] > 180 for y in (height // 4, -height // 4) for x in (width // 4, -width // 4)]
    return "".join(letters.get((int(b), int(g), int(r)), ".") for b, g, r in found)


def reader_of(path: Path, threads: int = 1) -> VideoReader:
    return VideoReader(VideoInput(f"file:{path}", path.name, finite=True), threads=threads)


def read_all(reader: VideoReader) -> list[Picture]:
    reader.open()
    pictures = []
    while (picture := reader.read()) is not None:
        pictures.append(picture)
    reader.close()
    return pictures


@pytest.mark.parametrize("threads", [1, 0])
def test_every_frame_of_a_file_comes_once_and_in_order(tmp_path: Path, threads: int) -> None:
    reader = reader_of(make_clip(tmp_path / "clip.mp4", frames=45, rate=30), threads)
    pictures = read_all(reader)
    assert [round(picture.pts * 30) for picture in pictures] == list(range(45))
    assert [int(p.image[100].sum(axis=1).argmax()) // 2 for p in pictures] == list(range(45))  # the white column
    assert (reader.size, reader.rate, reader.count, reader.damaged) == ((160, 120), 30.0, 45, 0)


@pytest.mark.parametrize(
    ("rotation", "mirrored", "expected"),
    [
        (0, False, UPRIGHT),
        (90, False, LEFT),
        (-90, False, RIGHT),
        (180, False, DOWN),
        (0, True, MIRRORED),
        (90, True, LEFT_MIRRORED),
    ],
)
def test_rotation_and_mirroring_are_applied(tmp_path: Path, rotation: int, mirrored: bool, expected: str) -> None:
    reader = reader_of(make_clip(tmp_path / "clip.mp4", frames=3, size=(160, 96), rotation=rotation, mirrored=mirrored))
    reader.open()
    size = (96, 160) if rotation in (90, -90) else (160, 96)
    assert reader.size == size
    picture = reader.read()
    assert picture is not None
    assert picture.image.shape == (size[1], size[0], 3)
    assert picture.image.flags.c_contiguous
    assert corners(picture.image) == expected
    reader.close()


def test_a_picture_upside_down_in_a_mirror_is_put_right(tmp_path: Path) -> None:
    reader = reader_of(make_clip(tmp_path / "clip.mp4", frames=3, rotation=180, mirrored=True))
    assert {corners(picture.image) for picture in read_all(reader)} == {"B.RG"}


def test_a_frame_is_gone_when_nobody_holds_it(tmp_path: Path) -> None:
    reader = reader_of(make_clip(tmp_path / "clip.mp4", frames=20, rotation=90))
    read_all(reader)
    gc.collect()
    gc.disable()
    try:
        read_all(reader)
        assert gc.collect() < 20
    finally:
        gc.enable()


def test_a_display_matrix_turns_as_its_formula_says() -> None:
    image = make_picture(0, (40, 30))
    matrix = np.zeros((3, 3), np.int32)
    matrix[0, 1], matrix[1, 0] = 1 << 16, -(1 << 16)  # (x, y) is shown at (-y, x): a quarter turn clockwise
    np.testing.assert_array_equal(orient(image, matrix), np.rot90(image, -1))


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path, ending: str) -> None:
    times = [0.0, 0.1, 0.15, 0.9, 2.0]
    clip = make_clip(tmp_path / f"clip.{ending}", frames=5, pts=times)
    assert [round(picture.pts, 3) for picture in read_all(reader_of(clip))] == times


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [
        ("libx264", "yuv420p10le"),
        ("libx264", "yuv444p"),
        ("ffv1", "gray"),
        ("ffv1", "gray10le"),
        ("ffv1", "bgra"),
        ("mjpeg", "yuvj420p"),
    ],
)
def test_every_pixel_format_becomes_bgr_of_8_bits(tmp_path: Path, codec: str, pixel_format: str) -> None:
    picture = read_all(reader_of(make_clip(tmp_path / "clip.mkv", frames=2, codec=codec, pixel_format=pixel_format)))[1]
    assert picture.image.dtype == np.uint8
    assert picture.image.shape == (120, 160, 3)
    wanted = (76, 76, 76) if "gray" in pixel_format else (0, 0, 255)
    np.testing.assert_allclose(picture.image[30, 40].astype(int), wanted, atol=6)


def noisy_clip(path: Path, codec: str = "mjpeg") -> Path:
    """Frames that are large enough to be damaged one by one."""
    pictures = [np.random.default_rng(n).integers(0, 255, (96, 128, 3), dtype=np.uint8) for n in range(30)]
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    options = {"movflags": "faststart"}
    return make_clip(path, frames=pictures, codec=codec, pixel_format=pixel_format, options=options)


@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
def test_damaged_packets_are_skipped_and_counted_and_quietly(
    tmp_path: Path, codec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = noisy_clip(tmp_path / "clip.mp4", codec)
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    clip.write_bytes(data)
    reader = reader_of(clip)
    pictures = read_all(reader)
    assert reader.damaged > 0
    assert len(pictures) + reader.damaged == 30
    assert pictures[-1].pts == pytest.approx(29 / 30)
    assert capfd.readouterr().err == ""


def moving_clip(path: Path) -> Path:
    """Frames that refer to one another: a texture that drifts by."""
    small = np.random.default_rng(0).integers(0, 256, (30, 60, 3), np.uint8)
    texture = np.asarray(cv2.resize(small, (960, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
    pictures = [np.ascontiguousarray(texture[2 * n : 2 * n + 120, 4 * n : 4 * n + 160]) for n in range(60)]
    return make_clip(path, frames=pictures, b_frames=2, keyframe_every=30)


def flip_bits(path: Path, seed: int = 0) -> None:
    """Damage a sixth of it."""
    data, rng = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(6):
        data[len(data) * 3 // 10 + rng.randrange(len(data) // 6)] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_gives_the_same_frames_each_time_and_in_any_number_of_threads(
    tmp_path: Path, suffix: str, seed: int
) -> None:
    clip = moving_clip(tmp_path / f"clip{suffix}")
    flip_bits(clip, seed)
    alone, together = reader_of(clip), reader_of(clip, threads=4)
    wanted = [(picture.pts, picture.image.tobytes()) for picture in read_all(alone)]
    assert [(picture.pts, picture.image.tobytes()) for picture in read_all(together)] == wanted
    assert together.damaged == alone.damaged


def test_a_damaged_files_frames_are_chosen_from_once(tmp_path: Path) -> None:
    clip = moving_clip(tmp_path / "clip.mp4")
    flip_bits(clip)
    count = len(read_all(reader_of(clip)))
    asked: list[int] = []

    def wanted(index: int, name: str | None) -> bool:
        asked.append(index)
        return index % 3 == 0

    reader = VideoReader(VideoInput(f"file:{clip}", "clip", finite=True), threads=4, wanted=wanted)
    assert len(read_all(reader)) == len(range(0, count, 3))
    assert asked == list(range(count))
    assert reader.skipped == count - len(range(0, count, 3))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mjpeg"])
def test_a_whole_file_is_decoded_once(tmp_path: Path, codec: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "facestream.video")
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    clip = make_clip(tmp_path / "clip.mp4", codec=codec, pixel_format=pixel_format)
    assert len(read_all(reader_of(clip, threads=4))) == 30
    assert caplog.messages == []


def test_a_file_that_was_cut_short_gives_what_it_has_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = noisy_clip(tmp_path / "clip.mp4")
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        pictures = read_all(reader_of(clip))
    assert 5 < len(pictures) < 25
    assert f"clip.mp4 ended after {len(pictures)} of 30 frames" in caplog.text


def test_a_reader_opens_again_from_the_beginning(tmp_path: Path) -> None:
    reader = reader_of(make_clip(tmp_path / "clip.mp4", frames=5))
    assert len(read_all(reader)) == len(read_all(reader)) == 5


def test_an_interrupted_reader_ends_at_once(tmp_path: Path) -> None:
    reader = reader_of(make_clip(tmp_path / "clip.mp4", frames=5))
    reader.open()
    reader.interrupt()
    reader.read()  # what was decoded already
    assert reader.read() is None
    reader.close()
    reader.close()


def test_decoding_leaves_no_thread_behind(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=5)
    read_all(reader_of(clip, threads=0))
    before = threads()
    for _ in range(5):
        read_all(reader_of(clip, threads=0))
    deadline = time.monotonic() + 10.0
    while threads() > before and time.monotonic() < deadline:  # one that has ended goes a moment later
        time.sleep(0.01)
    assert threads() <= before


def threads() -> int:
    """Those of libraries included, where the system tells."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else threading.active_count()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"hello, world\n" * 100),
        ("clip.mp4", b""),
        ("clip.mp4", b"hello"),
        ("clip.avi", bytes(range(256)) * 20),
    ],
)
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceFormatError, match=name) as raised:
        reader_of(tmp_path / name).open()
    assert "\n" not in str(raised.value)


def test_sound_without_picture_is_refused(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceFormatError, match="has no video"):
        reader_of(tmp_path / "sound.wav").open()


def test_a_missing_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"gone\.mp4 isn't there; check"):
        reader_of(tmp_path / "gone.mp4").open()


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
@pytest.mark.parametrize("size", [(160, 120), (152, 90)])
def test_a_region_is_that_part_of_the_picture(
    tmp_path: Path, size: tuple[int, int], pixel_format: str, rotation: int
) -> None:
    pictures = [np.random.default_rng(n).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8) for n in range(2)]
    reader = reader_of(make_clip(tmp_path / "clip.mp4", frames=pictures, pixel_format=pixel_format, rotation=rotation))
    reader.open()
    lazy = reader.read_lazily()
    assert lazy is not None
    whole = lazy.load()
    assert lazy.size == (whole.shape[1], whole.shape[0])
    for region in (
        (0, 0, 1, 1),
        (3, 5, 40, 70),
        (16, 2, 48, 32),
        (17, 11, 64, 81),
        (0, 0, whole.shape[1], whole.shape[0]),
    ):
        left, top, right, bottom = region
        np.testing.assert_array_equal(lazy.load(region), whole[top:bottom, left:right])
    reader.close()


def test_pixels_are_made_when_somebody_looks(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=5, rotation=90)
    reader = VideoReader(VideoInput(f"file:{path}", "clip", finite=True), lazily=True)
    first, *others = read_all(reader)
    assert isinstance(first.pixels, np.ndarray)  # it shows that the format can be converted
    lazy = [picture.pixels for picture in others]
    assert [pixels.size for pixels in lazy if isinstance(pixels, LazyPixels) and not pixels.made] == [(120, 160)] * 4
    for picture, expected in zip([first, *others], read_all(reader_of(path))):
        assert (picture.image == expected.image).all()
        assert picture.pts == expected.pts


def test_a_camera_that_sends_too_fast_is_decoded_in_part_until_caught_up(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=120, rate=30, b_frames=2, keyframe_every=60)
    times = [0.0]
    camera = VideoInput(f"file:{path}", "clip", finite=False)
    reader = VideoReader(camera, monotonic=lambda: times[-1])
    reader.open()
    kept: list[float] = []
    while (picture := reader.read()) is not None:
        kept.append(picture.pts)
        times.append(picture.pts + (2.0 if 1.0 < picture.pts < 2.0 else 0.0))
    reader.close()
    late = [pts for pts in kept if 1.3 < pts < 1.9]
    prompt = [pts for pts in kept if pts > 2.5]
    assert len(late) < 0.7 * 0.6 * 30
    assert len(prompt) == pytest.approx(1.5 * 30, abs=2)
    assert len(kept) + reader.skipped == 120


def test_a_film_that_begins_again_and_again_leaves_no_frames_to_the_garbage_collector(
    tmp_path: Path, no_garbage_collector: None
) -> None:
    reader = reader_of(make_clip(tmp_path / "film.mp4", frames=3))
    before = frames_held()
    for _ in range(5):
        reader.open()
        while reader.read() is not None:
            pass
        reader.close()
    assert frames_held() <= before + 1


def frames_held() -> int:
    return sum(type(each) is VideoFrame for each in gc.get_objects())
