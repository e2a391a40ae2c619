"""Decoding on a GPU: asking for it, and going on without. No GPU is needed, and none of these tests uses one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from av.codec.hwaccel import HWAccel
from av.error import ExternalError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from facestream.errors import ConfigError, SourceUnavailable
from facestream.io.hardware import HardwareDecoding, hardware_decoding
from facestream.io.sources import open_source
from facestream.io.video import VideoInput, VideoReader
from facestream.stream.device import Bridge
from facestream.testing.sources import make_clip


class Attempts:
    """A GPU that can be opened as often as it is told, by the options with which it can."""

    def __init__(self, *outcomes: bool) -> None:
        self._outcomes = list(outcomes)
        self.options: list[dict[str, object]] = []

    def __call__(self, accelerator: HWAccel) -> None:
        self.options.append(dict(accelerator.options))
        if not self._outcomes.pop(0):
            raise ExternalError(542398533, "Generic error in an external library")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("hardware") / "film.mp4", frames=20, encoder={"preset": "ultrafast"})


def reader_of(film: Path, hardware: HardwareDecoding, *, finite: bool = True) -> VideoReader:
    return VideoReader(VideoInput(f"file:{film}", "film", finite=finite), hardware=hardware)


def numbers_of(reader: VideoReader) -> list[int]:
    """The frames that it gives, by their time stamps at 30 a second."""
    numbers = []
    while (picture := reader.read()) is not None:
        numbers.append(round(picture.pts * 30))
    return numbers


@pytest.mark.parametrize(
    ("decoder", "device", "asks"),
    [
        ("cpu", "cuda", False),
        ("cpu", "cpu", False),
        ("auto", "cpu", False),
        ("auto", "cuda:1", True),
        ("cuda", "cpu", True),
        ("cuda", "cuda", True),
    ],
)
def test_a_gpu_is_asked_for_where_it_is_wanted(decoder: str, device: str, asks: bool) -> None:
    assert (hardware_decoding(decoder, "door", device) is not None) == asks  # type: ignore[arg-type]


def test_the_models_gpu_decodes() -> None:
    hardware = hardware_decoding("auto", "door", "cuda:1")
    assert hardware is not None
    seen: list[int] = []
    hardware._attempt = lambda accelerator: seen.append(accelerator.device_id)
    assert hardware.accelerator() is not None
    assert seen == [1]


def test_torchs_own_context_is_tried_before_another() -> None:
    attempts = Attempts(False, True, True)
    hardware = HardwareDecoding("door", attempt=attempts)
    accelerator = hardware.accelerator()
    assert accelerator is not None
    assert "primary_ctx" not in accelerator.options
    assert [bool(options) for options in attempts.options] == [True, False]
    hardware.accelerator()
    assert not attempts.options[-1]  # what has worked is what is tried again


def test_a_gpu_that_cannot_be_opened_is_said_once_and_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    attempts = Attempts(False, False)
    hardware = HardwareDecoding("door", attempt=attempts)
    assert hardware.accelerator() is None
    assert hardware.accelerator() is None
    assert [record.message for record in caplog.records] == [
        "door is decoded on the CPU: no GPU that decodes can be opened "
        "([Errno 542398533] Generic error in an external library)"
    ]


def test_where_there_is_no_gpu_a_film_comes_whole_all_the_same(film: Path, caplog: pytest.LogCaptureFixture) -> None:
    reader = reader_of(film, HardwareDecoding("film", attempt=Attempts(False, False)))
    reader.open()
    assert numbers_of(reader) == list(range(20))
    assert len(caplog.records) == 1
    reader.close()


def test_a_gpu_that_goes_while_a_film_is_opened_is_done_without(film: Path) -> None:
    # This machine may have none: what the first attempt promises, FFmpeg can't keep. Where it has one, it decodes.
    reader = reader_of(film, HardwareDecoding("film", attempt=Attempts(True, False, False)))
    reader.open()
    assert numbers_of(reader) == list(range(20))
    reader.close()


def test_a_film_that_cannot_be_opened_is_the_films_fault(tmp_path: Path) -> None:
    hardware = HardwareDecoding("film", attempt=Attempts(True, True))
    reader = reader_of(tmp_path / "nowhere.mp4", hardware)
    with pytest.raises(SourceUnavailable, match="isn't there"):
        reader.open()
    assert not hardware.refused


def test_a_codec_that_no_gpu_decodes_is_decoded_on_the_cpu(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    film = make_clip(tmp_path / "film.avi", codec="ffv1", frames=5)
    caplog.set_level(logging.INFO, "facestream.video")
    reader = reader_of(film, HardwareDecoding("film", attempt=Attempts(True)))
    reader.open()
    assert numbers_of(reader) == list(range(5))
    assert [record.message for record in caplog.records] == [
        "film is decoded on the CPU: the GPU doesn't take its ffv1 (yuv420p)"
    ]
    reader.close()


@pytest.mark.parametrize(("pixel_format", "where"), [("nv12", "on the GPU"), ("yuv422p", "on the CPU")])
def test_where_a_source_is_decoded_is_said_once(
    pixel_format: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "facestream.video")
    hardware = HardwareDecoding("door", attempt=Attempts())
    hardware.decoded("h264", pixel_format)
    hardware.decoded("h264", pixel_format)
    (record,) = caplog.records
    assert where in record.message


class Failing(VideoReader):
    """Its decoder fails once, at a packet, like a GPU that is gone."""

    fail_at = 8

    def _decoded_frames(self, packet: Packet[Stream]) -> list[VideoFrame]:
        self.fail_at -= 1
        if self.fail_at == 0:
            raise ExternalError(542398533, "Generic error in an external library")
        return super()._decoded_frames(packet)


def test_a_film_goes_on_where_it_was_when_the_gpu_fails(film: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_clip(film.with_suffix(".avi"), codec="ffv1", frames=20)  # no machine decodes it on a GPU
    source = VideoInput(f"file:{film.with_suffix('.avi')}", "film", finite=True)
    reader = Failing(source, hardware=HardwareDecoding("film", attempt=Attempts(True)))
    reader.open()
    assert numbers_of(reader) == list(range(20))
    assert "the GPU failed" in caplog.text
    reader.close()


def test_a_camera_is_connected_to_anew_when_the_gpu_fails(film: Path) -> None:
    hardware = HardwareDecoding("film", attempt=Attempts(True))
    make_clip(film.with_suffix(".avi"), codec="ffv1", frames=20)
    reader = Failing(VideoInput(f"file:{film.with_suffix('.avi')}", "film", finite=False), hardware=hardware)
    reader.open()
    with pytest.raises(SourceUnavailable, match="it goes on on the CPU"):
        numbers_of(reader)
    assert hardware.refused


async def test_a_source_is_told_what_decodes_it(film: Path) -> None:
    async with Bridge("cpu", torch_threads=1) as bridge, open_source(film, bridge=bridge, decoder="auto") as source:
        assert (await anext(source)).seq == 0
    with pytest.raises(ConfigError, match="no decoder 'gpu'; choose auto, cpu, cuda"):
        open_source(film, decoder="gpu")  # type: ignore[arg-type]
