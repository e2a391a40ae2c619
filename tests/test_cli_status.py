from __future__ import annotations

import asyncio
import json
import os
import pty
from pathlib import Path

import pytest

from facestream import cli
from facestream.jobs import status_command
from facestream.jobs.remote import Remote
from facestream.serving.server import Server
from facestream.stream.device import Bridge
from facestream.stream.types import SourceState
from facestream.testing.sessions import FakeSession, source_info
from tests.serving.certificates import make_certificate

TOKEN = "correct-horse"


@pytest.fixture
async def session():
    async with (
        Bridge("cpu", cpu_workers=1, torch_threads=1) as bridge,
        FakeSession(bridge, source_info("door"), source_info("yard", "webcam")) as session,
    ):
        yield session


@pytest.fixture
async def server(session):
    async with Server(session, port=0, token=TOKEN) as server:
        yield server


async def run(server: Server, *arguments: str) -> int:
    return await asyncio.to_thread(cli.run, [*arguments, "--url", server.url, "--token", TOKEN])


async def test_all_is_well(server, capsys):
    assert await run(server, "status") == 0
    said = capsys.readouterr().out
    assert " is ok" in said
    assert "door" in said


async def test_a_camera_that_is_down_fails_the_look(server, session, capsys):
    session.change("yard", SourceState.DEGRADED, "no route to host")
    assert await run(server, "status") == 1
    said = capsys.readouterr().out
    assert "degraded: not working: yard" in said
    assert "yard: no route to host" in said


async def test_a_look_for_programs_is_json(server, capsys):
    assert await run(server, "status", "--json") == 0
    look = json.loads(capsys.readouterr().out)
    assert look["status"] == "ok"
    assert [source["name"] for source in look["sources"]] == ["door", "yard"]


async def test_a_wrong_token_is_told_and_never_shown(server, capsys):
    assert await asyncio.to_thread(cli.run, ["status", "--url", server.url, "--token", "battery"]) == 1
    said = capsys.readouterr().err
    assert "another token" in said
    assert "battery" not in said


@pytest.mark.parametrize("command", ["status", "top"])
def test_where_nobody_answers_one_line_says_so(command, capsys):
    assert cli.run([command, "--url", "http://127.0.0.1:1"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith(
        "127.0.0.1:1 doesn't answer: start it with `facestream serve`, or say where it is with --url\n"
    )


def test_a_name_that_nobody_has_is_told_without_numbers(capsys):
    assert cli.run(["status", "--url", "http://nobody.invalid:1"]) == 1
    said = capsys.readouterr().err
    assert "Errno" not in said
    assert "http://nobody.invalid:1 doesn't answer (" in said


def test_nobody_answering_is_json_too(capsys):
    assert cli.run(["status", "--json", "--url", "http://127.0.0.1:1"]) == 1
    assert json.loads(capsys.readouterr().out)["status"] == "unreachable"


@pytest.mark.parametrize("url", ["127.0.0.1:8765", "file:///etc/passwd", "ftp://x"])
def test_what_is_no_address_is_wrong_usage(url, capsys):
    assert cli.run(["status", "--url", url]) == 2


def test_a_token_that_no_request_can_show_is_wrong_usage(capsys):
    assert cli.run(["status", "--url", "http://127.0.0.1:1", "--token", "caf\u00e9\n"]) == 2
    assert "caf" not in capsys.readouterr().err


def test_a_password_in_the_address_is_not_shown(capsys):
    assert cli.run(["status", "--url", "http://ada:horse@127.0.0.1:1"]) == 1
    assert "horse" not in capsys.readouterr().err


def test_a_file_without_certificates_is_wrong_usage(tmp_path: Path):
    (tmp_path / "ca.pem").write_text("nothing")
    assert cli.run(["status", "--url", "https://127.0.0.1:1", "--ca", str(tmp_path / "ca.pem")]) == 2


async def test_top_is_one_look_where_nobody_watches(server, capsys):
    assert await run(server, "top", "--interval", "0.2") == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "yunet" in said


async def test_top_in_a_terminal_goes_on_until_q(server, monkeypatch):
    ours, its = pty.openpty()
    with os.fdopen(its, "r", closefd=False) as stdin, os.fdopen(its, "w", closefd=False) as stdout:
        monkeypatch.setattr(status_command.sys, "stdin", stdin)
        monkeypatch.setattr(status_command.sys, "stdout", stdout)
        top = asyncio.create_task(
            asyncio.to_thread(status_command.top_command, Remote(server.url, TOKEN), interval=0.2, say=print)
        )
        shown = b""
        while b"q quits" not in shown:
            shown += await asyncio.to_thread(os.read, ours, 65536)
        os.write(ours, b"q")
        assert await asyncio.wait_for(top, 60) == 0
        monkeypatch.undo()
    assert b"door" in shown
    assert b"\x1b[?1049h" in shown
    os.close(its)
    os.close(ours)


async def ask(server: Server, url: str, *arguments: str) -> int:
    return await asyncio.to_thread(cli.run, ["status", "--url", url, "--token", TOKEN, *arguments])


async def test_over_tls_the_certificate_is_checked_and_one_line_says_what_to_do(session, tmp_path: Path, capsys):
    cert, key = make_certificate(tmp_path)
    async with Server(session, port=0, token=TOKEN, cert=cert, key=key) as server:
        assert await ask(server, server.url, "--ca", str(cert)) == 0
        assert "https://" in capsys.readouterr().out
        assert await ask(server, server.url) == 1
        assert "(self-signed certificate): if it is your own, give its certificate" in capsys.readouterr().err
        assert await ask(server, server.url.replace("https", "http")) == 1
        assert "write https:// instead" in capsys.readouterr().err


async def test_where_no_tls_is_spoken_one_line_says_so(server, capsys):
    assert await ask(server, server.url.replace("http", "https")) == 1
    said = capsys.readouterr().err
    assert "write http:// instead" in said
    assert said.count("\n") == 1
