import asyncio
import gc
from itertools import pairwise
from pathlib import Path

import cv2
import pytest

from facestream.errors import SourceError, SourceFormatError, SourceUnavailable
from facestream.io.backoff import Backoff
from facestream.io.base import BaseSource
from facestream.io.reader_source import ReaderSource
from facestream.io.sources import open_source
from facestream.io.video import VideoReader
from facestream.stream.types import Frame, SourceState
from facestream.testing.sources import make_clip, make_picture
from tests.io import servers
from tests.rtsp_camera import free_port

PICTURES = [cv2.imencode(".jpg", make_picture(number))[1].tobytes() for number in range(5)]


async def read_all(source: BaseSource) -> list[Frame]:
    async with source:
        return [frame async for frame in source]


async def read_on(source: BaseSource) -> None:
    async for _ in source:
        pass


def make_playlist(folder: Path, *, ended: bool = True) -> None:
    """An HLS playlist of three segments, as a live one if it hasn't ended."""
    playlist = folder / "live.m3u8"
    options = {"hls_time": "1", "hls_segment_filename": str(folder / "part%d.ts"), "hls_playlist_type": "vod"}
    make_clip(playlist, frames=30, rate=10, size=(64, 48), keyframe_every=10, format="hls", options=options)
    if not ended:
        text = playlist.read_text().replace("#EXT-X-ENDLIST\n", "").replace("#EXT-X-PLAYLIST-TYPE:VOD\n", "")
        playlist.write_text(text)


async def test_mjpeg_over_http_is_a_live_camera() -> None:
    async with servers.serve(servers.mjpeg(PICTURES, times=4)) as port:
        source = open_source(f"http://127.0.0.1:{port}/video")
        frames = await read_all(source)
    assert source.live
    assert len(frames) == 20
    assert frames[0].size == (64, 48)
    assert all(earlier.pts <= later.pts for earlier, later in pairwise(frames))


async def test_a_damaged_picture_in_mjpeg_is_skipped_and_counted() -> None:
    pictures = [PICTURES[0], b"\xff\xd8 no picture at all \xff\xd9", *PICTURES[1:]]
    async with servers.serve(servers.mjpeg(pictures)) as port:
        source = open_source(f"http://127.0.0.1:{port}/video")
        assert len(await read_all(source)) == 5
    assert source.statistics().damaged == 1


async def test_finite_hls_is_read_to_its_end_and_is_no_live_source(tmp_path: Path) -> None:
    make_playlist(tmp_path)
    async with servers.serve(servers.files(tmp_path)) as port:
        source = open_source(f"http://127.0.0.1:{port}/live.m3u8", reconnect=True)
        frames = await read_all(source)
    assert [frame.seq for frame in frames] == list(range(30))
    assert not source.live
    assert source.state is SourceState.STOPPED


async def test_live_hls_is_a_live_source(tmp_path: Path) -> None:
    make_playlist(tmp_path, ended=False)
    async with (
        servers.serve(servers.files(tmp_path)) as port,
        open_source(f"http://127.0.0.1:{port}/live.m3u8", read_timeout=5) as source,
    ):
        assert (await anext(source)).size == (64, 48)
        assert source.live


async def test_a_video_file_on_a_web_server_is_a_recording(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", frames=10, options={"movflags": "faststart"})
    async with servers.serve(servers.files(tmp_path)) as port:
        source = open_source(f"http://127.0.0.1:{port}/clip.mp4?token=abc")
        assert len(await read_all(source)) == 10
    assert not source.live


async def complaint_of(url: str, kind: type[SourceError] = SourceUnavailable, **options: float) -> str:
    with pytest.raises(kind) as raised:
        await read_all(open_source(url, **options))  # type: ignore[arg-type]
    message = str(raised.value)
    assert "\n" not in message
    assert "secret" not in message
    assert raised.value.__context__ is None  # FFmpeg's own error quotes the URL
    return message


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
async def test_a_camera_that_is_off_says_so(scheme: str) -> None:
    message = await complaint_of(f"{scheme}://bob:secret@127.0.0.1:{free_port()}/x?token=secret")
    assert f"{scheme}://***@127.0.0.1" in message
    assert "refused the connection; check" in message


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
async def test_a_camera_that_accepts_and_never_answers_is_given_up_after_the_time_out(scheme: str) -> None:
    async with servers.serve(servers.never_answer) as port, asyncio.timeout(60):
        message = await complaint_of(f"{scheme}://bob:secret@127.0.0.1:{port}/", open_timeout=0.3)
    assert "didn't answer within 0.3 s; check" in message


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
async def test_a_camera_that_hangs_up_is_unavailable(scheme: str) -> None:
    async with servers.serve(servers.hang_up) as port:
        assert "check" in await complaint_of(f"{scheme}://bob:secret@127.0.0.1:{port}/")


async def test_a_picture_that_never_comes_is_given_up_after_the_time_out() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await servers.mjpeg(PICTURES)(reader, writer)
        await reader.read()

    async with servers.serve(stall) as port, asyncio.timeout(60):
        message = await complaint_of(f"http://127.0.0.1:{port}/", open_timeout=0.5, read_timeout=0.5)
    assert "didn't answer within 0.5 s" in message


async def test_a_wrong_password_over_http_says_401() -> None:
    async with servers.serve(servers.refuse) as port:
        message = await complaint_of(f"http://bob:secret@127.0.0.1:{port}/video")
    assert "refused the user name or password (401)" in message


async def test_a_missing_page_says_404(tmp_path: Path) -> None:
    async with servers.serve(servers.files(tmp_path)) as port:
        assert "(404)" in await complaint_of(f"http://127.0.0.1:{port}/video?key=secret")


async def test_a_web_page_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html><body>hello</body></html>" * 100)
    async with servers.serve(servers.files(tmp_path)) as port:
        message = await complaint_of(f"http://127.0.0.1:{port}/index.html", SourceFormatError)
    assert "isn't a video" in message


async def test_a_playlist_from_the_network_cant_make_us_read_our_own_files(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "private.ts", frames=10)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n"
    (tmp_path / "evil.m3u8").write_text(playlist)
    async with servers.serve(servers.files(tmp_path)) as port:
        with pytest.raises(SourceError):
            await read_all(open_source(f"http://127.0.0.1:{port}/evil.m3u8"))


async def test_an_mjpeg_camera_that_ends_comes_back_as_a_new_epoch() -> None:
    async with servers.serve(servers.mjpeg(PICTURES)) as port, asyncio.timeout(60):
        url = f"http://127.0.0.1:{port}/video"
        keys = []
        async with open_source(url, name="c", reconnect=True, backoff=Backoff(0.01, 0.01)) as source:
            async for frame in source:
                keys.append((frame.epoch, frame.seq))
                if len(keys) == 12:
                    break
        assert keys == [(epoch, seq) for epoch in range(3) for seq in range(5)][:12]
        assert source.statistics().epoch == source.statistics().reconnects == 2


async def test_a_relay_that_plays_its_buffer_again_and_again_is_frozen_and_connected_to_anew(tmp_path: Path) -> None:
    recording = make_clip(tmp_path / "loop.ts", frames=10, rate=20, size=(64, 48), format="mpegts", keyframe_every=5)
    reasons: list[str] = []
    async with servers.serve(servers.relay(recording, seconds=0.5)) as port, asyncio.timeout(60):
        url = f"http://127.0.0.1:{port}/live.ts"
        source = open_source(url, reconnect=True, read_timeout=1, backoff=Backoff(0.01, 0.02))
        source.on_state(lambda state, reason: reasons.append(reason))
        async with source:
            while not any("it is frozen: frames come" in reason for reason in reasons):
                frame = await anext(source)
    assert frame.seq == 0


async def test_a_camera_that_sends_nothing_but_damaged_pictures_is_lost_and_that_is_said() -> None:
    damaged = b"\xff\xd8 no picture at all \xff\xd9"
    reasons: list[str] = []
    async with servers.serve(servers.mjpeg(PICTURES, then=damaged)) as port, asyncio.timeout(60):
        url = f"http://127.0.0.1:{port}/video"
        source = open_source(url, reconnect=True, read_timeout=0.5, backoff=Backoff(0.01, 0.02))
        source.on_state(lambda state, reason: reasons.append(reason))
        async with source:
            while not any("sent no picture for 0.5 s" in each and "damaged packets)" in each for each in reasons):
                await anext(source)


@pytest.mark.parametrize("camera", [servers.hang_up, servers.refuse, servers.mjpeg(PICTURES)])
async def test_a_lost_connection_leaves_nothing_to_the_garbage_collector(
    camera: servers.Handler, no_garbage_collector: None
) -> None:
    async with servers.serve(camera) as port, asyncio.timeout(60):
        lost = asyncio.Semaphore(0)

        def no_jitter() -> float:
            lost.release()
            return 0.0

        backoff = Backoff(0.01, 0.01, refused_first=0.01, refused_limit=0.01, random=no_jitter)
        source = open_source(f"http://127.0.0.1:{port}/video", reconnect=True, backoff=backoff, keep_packets=2)
        async with source, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read_on(source))
            for _ in range(8):
                await lost.acquire()
            left = [each for each in gc.get_objects() if type(each) in (ReaderSource, VideoReader)]
            reading.cancel()
    assert len(left) <= 4  # the present connection and the one before, of which clips can still be made
