import pytest

from facestream.errors import AlignmentsError
from facestream.io.frame_names import PictureNames, video_names


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("my clip_000001.mp4", "my clip_000012.mp4"),
        ("my-clip_000001.mp4", "my-clip_000012.mp4"),
        ("my clip_000001.png", "my clip_000012.png"),
        ("my clip_1000001.mp4", "my clip_000012.mp4"),
    ],
)
def test_a_videos_frames_are_called_as_its_alignments_call_them(key: str, expected: str) -> None:
    names = video_names(["other_000001.mp4", key], ("my clip", "my-clip"), ".mp4")
    assert names.video
    assert names.key(11, None) == expected
    assert names.stem(11, None) == expected[:-4]


def test_the_likeliest_stem_comes_first() -> None:
    keys = ["a-b_000001.mp4", "a-b_000002.mp4", "a b_000001.mp4"]
    assert video_names(keys, ("a b", "a-b"), ".mp4").key(0, None) == "a b_000001.mp4"


@pytest.mark.parametrize(
    ("keys", "example"),
    [(["other_000001.mp4"], "other_000001.mp4"), (["clip_01.mp4"], "clip_01.mp4"), ([], "nothing")],
)
def test_alignments_of_another_video_say_what_they_know(keys: list[str], example: str) -> None:
    with pytest.raises(AlignmentsError, match=f"no frame called like clip_000001.mp4, only {example}"):
        video_names(keys, ("clip",), ".mp4")


def test_pictures_bear_their_own_names_and_different_stems() -> None:
    names = PictureNames(["a.png", "a.jpg", "ü ☃.png"])
    assert not names.video
    assert [names.key(0, name) for name in ("a.png", "a.jpg")] == ["a.png", "a.jpg"]
    assert [names.stem(0, name) for name in ("a.png", "a.jpg", "ü ☃.png")] == ["a", "a-2", "ü ☃"]
