import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.io.imagesize import image_size

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"BM", b"II*\0", b"MM\0*", b"")


def encoded(suffix: str, parameters: tuple[int, ...] = ()) -> bytes:
    ok, data = cv2.imencode(suffix, np.zeros((48, 64, 3), np.uint8), parameters)
    assert ok
    return data.tobytes()


@pytest.mark.parametrize(
    ("suffix", "parameters"),
    [
        (".jpg", ()),
        (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".png", ()),
        (".bmp", ()),
        (".tiff", ()),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 80)),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101)),
    ],
)
def test_the_header_tells_the_size(suffix: str, parameters: tuple[int, ...]) -> None:
    assert image_size(encoded(suffix, parameters)) == (64, 48)


def test_a_webp_with_alpha_tells_its_size() -> None:
    ok, data = cv2.imencode(".webp", np.zeros((48, 64, 4), np.uint8), (cv2.IMWRITE_WEBP_QUALITY, 80))
    assert ok
    assert image_size(data.tobytes()) == (64, 48)


def test_the_size_of_an_embedded_thumbnail_is_not_taken_for_the_pictures_own() -> None:
    data = encoded(".jpg")
    thumbnail = encoded(".jpg")[:200]
    comment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    assert image_size(data[:2] + comment + data[2:]) == (64, 48)


def test_what_is_no_picture_has_no_size() -> None:
    assert image_size(b"") is None
    assert image_size(b"hello, world") is None


@given(st.sampled_from(SIGNATURES), st.binary(max_size=200))
def test_no_bytes_whatever_make_it_raise(signature: bytes, data: bytes) -> None:
    size = image_size(signature + data)
    assert size is None or (size[0] > 0 and size[1] > 0)


@given(st.sampled_from([".jpg", ".png", ".bmp", ".tiff", ".webp"]), st.integers(0, 400))
def test_a_picture_cut_anywhere_has_its_size_or_none(suffix: str, length: int) -> None:
    assert image_size(encoded(suffix)[:length]) in (None, (64, 48))
