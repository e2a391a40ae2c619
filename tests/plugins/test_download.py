import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from facestream.errors import WeightsCorrupt, WeightsMissing
from facestream.plugins.card import UrlFile
from facestream.plugins.download import from_url

CONTENT = bytes(range(256)) * 100


class Server(ThreadingHTTPServer):
    """Serves CONTENT, breaking the first connections after some bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks_left = 0
        self.status = 200
        self.ranges: list[str | None] = []

    @property
    def file(self) -> UrlFile:
        return UrlFile(f"http://127.0.0.1:{self.server_port}/net.pth", "-", len(CONTENT))


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        body = CONTENT[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.breaks_left:
            self.server.breaks_left -= 1
            body = body[:10_000]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(file: UrlFile, folder: Path) -> bytes:
    return from_url(file, folder, lambda *step: None, pauses=(1.0, 2.0), sleep=lambda seconds: None).read_bytes()


def test_a_file_comes_whole(server: Server, tmp_path: Path) -> None:
    assert fetch(server.file, tmp_path) == CONTENT
    assert server.ranges == [None]


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.breaks_left = 2
    assert fetch(server.file, tmp_path) == CONTENT
    assert server.ranges == [None, "bytes=10000-", "bytes=20000-"]


def test_a_file_of_unknown_size_comes_whole_and_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    assert fetch(replace(server.file, size=0), tmp_path) == CONTENT
    (tmp_path / "net.pth").unlink()
    server.breaks_left = 1
    assert fetch(replace(server.file, size=0), tmp_path) == CONTENT
    assert server.ranges[-1] == "bytes=10000-"


def test_a_download_that_stays_short_is_refused(server: Server, tmp_path: Path) -> None:
    short = UrlFile(server.file.url, "-", len(CONTENT) + 5)
    with pytest.raises(WeightsCorrupt, match=r"stopped after \d+ of 25605 bytes"):
        fetch(short, tmp_path)


def test_a_missing_file_is_not_asked_for_twice(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(WeightsMissing, match="HTTP status 404"):
        fetch(server.file, tmp_path)
    assert len(server.ranges) == 1


def test_a_server_in_trouble_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(WeightsMissing, match="HTTP status 503"):
        fetch(server.file, tmp_path)
    assert len(server.ranges) == 3


def test_no_network_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"http://127\.0\.0\.1:9/x couldn't be fetched"):
        fetch(UrlFile("http://127.0.0.1:9/x", "-", 5), tmp_path)
