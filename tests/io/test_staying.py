"""A web address that may not send on: the video is there itself, or isn't fetched at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import pytest

from facestream.errors import SourceError, SourceUnavailable
from facestream.io.base import BaseSource
from facestream.io.sources import open_source
from facestream.testing.sources import make_clip, make_picture
from tests.io import servers
from tests.rtsp_camera import free_port

PICTURES = [cv2.imencode(".jpg", make_picture(number))[1].tobytes() for number in range(5)]

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
NESTED = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n{}\n"
CONCAT = "ffconcat version 1.0\nfile '{}'\n"
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 26\na={}\n"


async def count(source: BaseSource) -> int:
    async with source:
        return len([frame async for frame in source])


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirection_is_not_followed_and_that_is_said(status: str) -> None:
    secret = servers.Visited(servers.mjpeg(PICTURES))
    async with (
        servers.serve(secret) as inside,
        servers.serve(servers.redirect(f"http://127.0.0.1:{inside}/secret", status)) as port,
    ):
        with pytest.raises(SourceUnavailable, match=f"127.0.0.1:{port}/cam sends elsewhere; add that address itself$"):
            await count(open_source(f"http://127.0.0.1:{port}/cam", follow=False))
    assert secret.visits == 0


async def test_a_redirection_within_the_host_is_followed() -> None:
    pictures, elsewhere = servers.mjpeg(PICTURES), servers.redirect("/video")

    async def camera(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        again = asyncio.StreamReader()
        again.feed_data(head)
        await (pictures if b" /video " in head else elsewhere)(again, writer)

    async with servers.serve(camera) as port:
        assert await count(open_source(f"http://bob:secret@127.0.0.1:{port}/cam", follow=False)) == 5


@pytest.mark.parametrize("playlist", [HLS, NESTED, CONCAT, SDP], ids=["hls", "nested", "concat", "sdp"])
@pytest.mark.parametrize("name", ["live.m3u8", "live.mjpg"])
async def test_what_a_playlist_names_is_not_fetched(playlist: str, name: str, tmp_path: Path) -> None:
    secret = servers.Visited(servers.hang_up)
    async with servers.serve(secret) as inside, servers.serve(servers.files(tmp_path)) as port:
        (tmp_path / name).write_text(playlist.format(f"http://127.0.0.1:{inside}/segment.ts"))
        with pytest.raises(SourceError, match=r"names where one is|isn't a video"):
            await count(open_source(f"http://127.0.0.1:{port}/{name}", open_timeout=2, follow=False))
    assert secret.visits == 0


async def test_a_playlist_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "live.m3u8").write_text(HLS.format("part0.ts"))
    async with servers.serve(servers.files(tmp_path)) as port:
        with pytest.raises(
            SourceUnavailable, match="names where one is, as playlists do; have it in the configuration"
        ):
            await count(open_source(f"http://127.0.0.1:{port}/live.m3u8", follow=False))


async def test_others_are_sent_on() -> None:
    async with (
        servers.serve(servers.mjpeg(PICTURES)) as port,
        servers.serve(servers.redirect(f"http://127.0.0.1:{port}/video")) as door,
    ):
        assert await count(open_source(f"http://127.0.0.1:{door}/cam")) == 5


async def test_mjpeg_comes_as_ever() -> None:
    async with servers.serve(servers.mjpeg(PICTURES)) as port:
        assert await count(open_source(f"http://127.0.0.1:{port}/video", follow=False)) == 5


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("clip.mp4", "mp4", {"movflags": "faststart"}),
        ("clip.ts", "mpegts", {}),
        ("clip.mkv", "matroska", {}),
        ("a", "mp4", {}),
    ],
)
async def test_a_video_on_a_web_server_comes_as_ever(
    name: str, kind: str, options: dict[str, str], tmp_path: Path
) -> None:
    make_clip(tmp_path / name, frames=10, size=(64, 48), format=kind, options=options)
    async with servers.serve(servers.files(tmp_path)) as port:
        assert await count(open_source(f"http://127.0.0.1:{port}/{name}", follow=False)) == 10


async def test_a_camera_with_a_password_comes_as_ever() -> None:
    pictures = servers.mjpeg(PICTURES)

    async def ask_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        again = asyncio.StreamReader()
        again.feed_data(head)
        await (pictures if b"Authorization: Basic" in head else servers.refuse)(again, writer)

    async with servers.serve(ask_first) as port:
        assert await count(open_source(f"http://bob:secret@127.0.0.1:{port}/video", follow=False)) == 5


async def test_a_camera_that_is_off_is_not_said_to_send_elsewhere() -> None:
    with pytest.raises(SourceUnavailable, match="refused the connection"):
        await count(open_source(f"http://127.0.0.1:{free_port()}/cam", follow=False))


async def test_over_tls_it_is_not_known_which_of_two_it_was() -> None:
    async def without_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with servers.serve(without_tls) as port:
        with pytest.raises(SourceUnavailable, match="can't be spoken to by TLS, or sends elsewhere"):
            await count(open_source(f"https://127.0.0.1:{port}/cam", follow=False))
