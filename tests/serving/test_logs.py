from __future__ import annotations

import asyncio
import io
import json
import logging
from datetime import datetime

import pytest

from facestream import cli
from facestream.io.live import ReconnectingSource
from facestream.serving import app
from facestream.serving.logs import LineCount, set_up_logs
from facestream.testing.sources import FakeSource

log = logging.getLogger("facestream.test")


@pytest.fixture(autouse=True)
def logs_as_before():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.setLevel(logging.INFO)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def written(format: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    set_up_logs(format, level, stream)
    return stream


def test_a_line_for_people_begins_with_a_time_that_knows_its_zone():
    stream = written("console")
    log.warning("source %s: degraded", "door")
    day, time, *rest = stream.getvalue().split()
    assert datetime.fromisoformat(f"{day} {time}").tzinfo is not None
    assert rest == ["WARNING", "source", "door:", "degraded"]


def test_a_line_for_programs_is_json_with_what_was_given_besides():
    stream = written("json")
    log.info("source %s: live", "door", extra={"source": "door", "state": "live"})
    line = json.loads(stream.getvalue())
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {
        "level": "info",
        "logger": "facestream.test",
        "message": "source door: live",
        "source": "door",
        "state": "live",
    }


async def test_each_change_of_a_source_s_state_is_one_line_that_programs_can_read():
    stream = written("json")
    camera = ReconnectingSource(
        "door", lambda: FakeSource("door", frames=None, live=True, fail_at=2), sleep=lambda seconds: asyncio.sleep(0)
    )
    async with camera:
        for _ in range(6):
            await anext(camera)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["state"] for line in lines] == ["live", "degraded", "live", "degraded", "live", "stopped"]
    assert {line["source"] for line in lines} == {"door"}
    assert [line["level"] for line in lines if line["reason"]] == ["warning", "warning"]
    assert all(line["message"].startswith(f"source door: {line['state']}") for line in lines)


async def test_a_film_s_end_is_told_and_is_no_failure():
    stream = written("json")
    async with ReconnectingSource("film", lambda: FakeSource("film", frames=2), file=True) as film:
        assert len([frame async for frame in film]) == 2
        assert film.reason == ""
    last = json.loads(stream.getvalue().splitlines()[-1])
    assert last["message"] == "source film: stopped (at its end)"
    assert (last["level"], last["reason"]) == ("info", "")


async def test_a_film_that_is_closed_before_its_end_is_not_told_to_be_at_it():
    stream = written("json")
    async with ReconnectingSource("film", lambda: FakeSource("film", frames=2), file=True) as film:
        await anext(film)
    assert json.loads(stream.getvalue().splitlines()[-1])["message"] == "source film: stopped"


def test_an_error_s_traceback_is_in_its_line():
    stream = written("json")
    try:
        raise ValueError("rtsp://user:secret@door/")
    except ValueError:
        log.exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError" in json.loads(line)["traceback"]
    assert "secret" not in line


@pytest.mark.parametrize("format", ["console", "json"])
def test_no_credential_is_written(format):
    stream = written(format)
    log.info("opening %s", "rtsp://user:secret@10.0.0.5/x?token=hush", extra={"url": "http://a:secret@b/"})
    assert "secret" not in stream.getvalue()
    assert "hush" not in stream.getvalue()


def test_what_is_below_the_level_is_left_out():
    stream = written("console", "warning")
    log.info("nothing new")
    assert stream.getvalue() == ""


def test_lines_are_counted_by_level_within_the_block():
    with LineCount() as lines:
        log.error("one")
        log.warning("two")
    log.error("after")
    assert lines.levels == {"error": 1, "warning": 1}


@pytest.mark.parametrize("format", ["json", "console"])
def test_programs_read_json_only_and_people_what_is_said_to_them(format, monkeypatch, capsys, tmp_path):
    async def serve(options, *, say, rereading):
        say("facestream is at http://127.0.0.1:8765/")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app, "serve", serve)
    assert cli.run(["serve", "--log-format", format]) == 0
    out, err = capsys.readouterr()
    if format == "json":
        assert out == ""
        assert [json.loads(line)["message"] for line in err.splitlines()] == ["facestream is at http://127.0.0.1:8765/"]
    else:
        assert out == "facestream is at http://127.0.0.1:8765/\n"
