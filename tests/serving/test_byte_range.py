import pytest

from facestream.serving.byte_range import Span, Unsatisfiable, asked_for

SIZE = 1000


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-1", (0, 2)),
        ("bytes=0-", (0, SIZE)),
        ("bytes=200-299", (200, 300)),
        ("bytes=999-", (999, SIZE)),
        ("bytes=990-5000", (990, SIZE)),
        ("bytes=-10", (990, SIZE)),
        ("bytes=-5000", (0, SIZE)),
        ("Bytes= 5-6 ", (5, 7)),
    ],
)
def test_one_part_is_found(header: str, part: tuple[int, int]) -> None:
    assert asked_for(header, SIZE) == part


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-4",
        "bytes=0-1,5-6",
        "lines=0-1",
        "bytes=a-b",
        "bytes=+1-2",
        "bytes=²-3",
        "bytes=0-" + "9" * 30,
        "bytes=0-1\n",
    ],
)
def test_what_is_not_understood_asks_for_everything(header: str) -> None:
    assert asked_for(header, SIZE) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=1000-", SIZE), ("bytes=-0", SIZE), ("bytes=0-", 0), ("bytes=-5", 0)]
)
def test_what_lies_beyond_the_end_is_refused(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        asked_for(header, size)


def test_a_part_is_told_as_http_wants_it() -> None:
    assert Span(0, 2).content_range(SIZE) == "bytes 0-1/1000"
