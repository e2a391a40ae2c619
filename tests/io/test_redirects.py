from __future__ import annotations

import asyncio
import itertools

import pytest

from facestream.io.redirects import settled, within_host
from tests.io import servers
from tests.rtsp_camera import free_port

CAM = "http://ada:secret@cam.lan/live?channel=1"


@pytest.mark.parametrize(
    ("location", "onward"),
    [
        ("/video", "http://ada:secret@cam.lan/video"),
        ("video?x=1", "http://ada:secret@cam.lan/video?x=1"),
        ("http://CAM.lan/video#end", "http://ada:secret@cam.lan/video"),
        ("http://cam.lan:80", "http://ada:secret@cam.lan:80/"),
        ("https://cam.lan/live", "https://ada:secret@cam.lan/live"),
        ("//cam.lan/video", "http://ada:secret@cam.lan/video"),
    ],
)
def test_what_stays_on_the_host_is_followed_with_the_password_of_its_address(location, onward):
    assert within_host(CAM, location) == onward


@pytest.mark.parametrize(
    "location",
    [
        *(
            "http://10.0.0.1/",
            "//10.0.0.1/x",
            "http://cam.lan.example/",
            "http://cam.lan:8080/",
            "https://cam.lan:8443/",
        ),
        *("http://cam.lan@10.0.0.1/", "http://10.0.0.1\\@cam.lan/", "http://bob:x@cam.lan/", "http://cam.lan:x/"),
        *(
            "http://[::1/",
            "file:///etc/passwd",
            "rtsp://cam.lan/",
            "ftp://cam.lan/x",
            "data:text/plain,x",
            "concat:a|b",
        ),
        *("/a b", "/a\x00b", "/ä"),
    ],
)
def test_what_leaves_it_or_is_strange_is_not(location):
    assert within_host(CAM, location) is None


def test_nobody_is_sent_back_from_tls_to_clear_text():
    assert within_host("https://cam.lan/x", "http://cam.lan/x") is None


def sending_on(*steps: str) -> servers.Visited:
    """``/0`` leads to ``/1``, and so on to the last."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = await servers.read_request(reader)
        onward = dict(itertools.pairwise(steps)).get(path)
        head = f"302 Found\r\nlocation: {onward}" if onward else "200 OK"
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    return servers.Visited(handle)


async def test_every_hop_is_gone_but_not_for_ever():
    async with servers.serve(sending_on("/0", "/1", "/2")) as port:
        assert await asyncio.to_thread(settled, f"http://127.0.0.1:{port}/0") == f"http://127.0.0.1:{port}/2"
    circle = sending_on("/0", "/1", "/0")
    async with servers.serve(circle) as port:
        await asyncio.to_thread(settled, f"http://127.0.0.1:{port}/0")
    assert circle.visits == 5


async def test_the_way_ends_where_it_leaves_the_host():
    inside = servers.Visited(servers.hang_up)
    async with (
        servers.serve(inside) as other,
        servers.serve(sending_on("/0", "/1", f"http://127.0.0.1:{other}/secret")) as port,
    ):
        assert await asyncio.to_thread(settled, f"http://127.0.0.1:{port}/0") == f"http://127.0.0.1:{port}/1"
    assert inside.visits == 0


async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await servers.read_request(reader)
    writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize("handler", [servers.never_answer, servers.hang_up, nonsense, servers.refuse])
async def test_whoever_answers_otherwise_is_left_to_ffmpeg(handler):
    async with servers.serve(handler) as port:
        for scheme in ("http", "https"):
            url = f"{scheme}://127.0.0.1:{port}/cam"
            assert await asyncio.to_thread(settled, url, 0.2) == url


async def test_who_is_not_there_is_too():
    for url in (f"http://127.0.0.1:{free_port()}/cam", "http:///cam", "http://cam:x/", "http://[::1/"):
        assert await asyncio.to_thread(settled, url) == url
