import logging
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facestream.errors import SourceFormatError, SourceUnavailable
from facestream.io.images import ImageReader, decode_image, holds, list_images, natural_key, read_image
from facestream.testing.sources import make_picture


def encode(image: npt.NDArray[np.generic], suffix: str = ".png") -> bytes:
    ok, data = cv2.imencode(suffix, image)
    assert ok
    return data.tobytes()


def read_all(reader: ImageReader) -> list[str | None]:
    reader.open()
    names = []
    while (picture := reader.read()) is not None:
        names.append(picture.name)
    reader.close()
    return names


def test_natural_order_counts_and_ignores_case() -> None:
    names = ["b10.png", "B2.png", "a.png", "b1.png", "10.png", "9.png", "b01.png", "c.png"]
    assert sorted(names, key=natural_key) == [
        "9.png",
        "10.png",
        "a.png",
        "b01.png",
        "b1.png",
        "B2.png",
        "b10.png",
        "c.png",
    ]


def test_a_folder_gives_its_pictures_only_and_not_its_folders(tmp_path: Path) -> None:
    for name in ("10.jpg", "9.JPEG", "1.webp", "x.tif", "x.TIFF", "y.bmp", "notes.txt", "z.gif"):
        (tmp_path / name).touch()
    (tmp_path / "sub.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == [
        "1.webp",
        "9.JPEG",
        "10.jpg",
        "x.tif",
        "x.TIFF",
        "y.bmp",
    ]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"])
def test_every_kind_of_picture_is_read(tmp_path: Path, suffix: str) -> None:
    picture = make_picture(0)
    path = tmp_path / f"ü ☃{suffix}"
    path.write_bytes(encode(picture, suffix))
    image = read_image(path)
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[10, 20].astype(int), picture[10, 20], atol=40)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (np.full((4, 6), 200, np.uint8), 200),
        (np.full((4, 6, 4), 200, np.uint8), 200),
        (np.full((4, 6), 65535, np.uint16), 255),
        (np.full((4, 6, 3), 257 * 100, np.uint16), 100),
        (np.full((4, 6, 4), 257 * 100, np.uint16), 100),
    ],
)
def test_grey_alpha_and_16_bits_become_bgr(source: npt.NDArray[np.generic], value: int) -> None:
    image = decode_image(encode(source))
    assert image.shape == (4, 6, 3)
    assert image.dtype == np.uint8
    assert (image == value).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0), (np.float64, 1.0)])
def test_any_depth_with_any_channels_becomes_bgr(dtype: type, full: float, channels: int) -> None:
    source = np.full((4, 6, channels), full, dtype)
    source[:2] = 0
    image = decode_image(encode(source, ".tiff"))
    assert image.shape == (4, 6, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert (image[:2].max(), image[2:].min()) == (0, 255)


def test_floats_are_clipped_to_one() -> None:
    source = np.array([[0.0, 0.5, 1.0, 7.5, -1.0, np.nan]], np.float32)
    assert decode_image(encode(source, ".tiff"))[0, :, 0].tolist() == [0, 128, 255, 255, 0, 0]


def test_exif_orientation_turns_the_picture() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    data = encode(make_picture(40), ".jpg")
    turned = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    image = decode_image(turned)
    assert image.shape == (64, 48, 3)
    assert image[10, 10].argmax() == 0  # blue, bottom left before: a quarter turn clockwise


def test_what_is_no_picture_says_so() -> None:
    for data in (b"", b"hello", b"\xff\xd8", b"GIF89a" + bytes(20)):
        with pytest.raises(SourceFormatError, match="isn't a picture"):
            decode_image(data)


def test_a_damaged_picture_says_so() -> None:
    with pytest.raises(SourceFormatError, match="damaged or cut short"):
        decode_image(encode(make_picture(0))[:-40])


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def test_100_megapixels_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(SourceFormatError, match=r"10000x10000, 100 megapixels; the limit is 16"):
        decode_image(png_header(10_000, 10_000), max_pixels=16_000_000)


@given(st.sampled_from([".png", ".jpg", ".bmp", ".tiff", ".webp"]), st.data())
@settings(deadline=None)
def test_a_picture_with_any_bytes_changed_is_read_or_refused(suffix: str, changes: st.DataObject) -> None:
    data = bytearray(encode(make_picture(0), suffix))
    for place in changes.draw(st.lists(st.integers(0, len(data) - 1), max_size=8)):
        data[place] = changes.draw(st.integers(0, 255))
    cut = changes.draw(st.integers(0, len(data)))
    try:
        image = decode_image(bytes(data[:cut]), max_pixels=1_000_000)
    except SourceFormatError:
        return
    assert image.ndim == 3
    assert image.dtype == np.uint8
    assert image.size <= 3_000_000


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"can't read .*gone\.png: No such file"):
        read_image(tmp_path / "gone.png")


def test_unreadable_pictures_are_skipped_counted_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2, 10, 11):
        (tmp_path / f"{number}.png").write_bytes(encode(make_picture(number)))
    (tmp_path / "3.png").write_bytes(b"no picture")
    (tmp_path / "11.png").write_bytes(encode(make_picture(0))[:200])
    reader = ImageReader(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert read_all(reader) == ["1.png", "2.png", "10.png"]
        assert read_all(reader) == ["1.png", "2.png", "10.png"]
    assert reader.damaged == 4
    assert reader.count == 5
    assert reader.size == (64, 48)
    assert [record.getMessage().count(".png") for record in caplog.records] == [1, 1]


def test_the_time_of_a_picture_is_its_place_at_25_a_second(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(encode(make_picture(0)))
    (tmp_path / "1.png").write_bytes(b"no picture")
    reader = ImageReader(tmp_path)
    reader.open()
    assert [picture.pts for _ in range(2) if (picture := reader.read())] == [0.0, 0.08]


def test_pictures_that_opencv_cannot_read_are_told_once_a_kind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "1.png").write_bytes(encode(make_picture(0)))
    for name in ("2.exr", "3.EXR", "4.heic", "notes.txt"):
        (tmp_path / name).touch()
    assert read_all(ImageReader(tmp_path)) == ["1.png"]
    told = sorted(record.getMessage().partition(" picture")[0] for record in caplog.records)
    assert told == ["skipped: 1 .heic", "skipped: 2 .exr"]


def test_a_list_keeps_its_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        (tmp_path / name).write_bytes(encode(make_picture(0)))
    assert read_all(ImageReader([tmp_path / "b.png", str(tmp_path / "a.png")])) == ["b.png", "a.png"]


def test_a_folder_without_a_readable_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceFormatError, match="there's no picture in the folder"):
        ImageReader(tmp_path).open()
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(SourceFormatError, match="none of the 2 pictures"):
        read_all(ImageReader(tmp_path))


def test_a_missing_folder_and_an_empty_list_are_errors(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="can't read the folder"):
        ImageReader(tmp_path / "gone").open()
    with pytest.raises(SourceFormatError, match="list of pictures is empty"):
        ImageReader([]).open()


def test_a_folder_that_cant_be_read_holds_nothing_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "A.JPG").touch()
    assert holds(tmp_path, {".jpg"})
    assert not holds(tmp_path, {".png"})
    assert caplog.messages == []
    assert not holds(tmp_path / "gone", {".jpg"})
    assert caplog.messages == [f"skipped: can't read the folder {tmp_path / 'gone'}: No such file or directory"]
