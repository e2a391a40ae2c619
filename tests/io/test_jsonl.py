import asyncio
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.io.jsonl import JsonLinesWriter, Output
from facestream.stream.types import Frame, FrameFaces, Sink


def result(seq: int, count: int = 1) -> FrameFaces:
    boxes = np.array([[10, 20, 30, 40]] * count, np.float32).reshape(-1, 4)
    frame = Frame("door", 0, seq, seq / 25, 0.0, np.zeros((48, 64, 3), np.uint8))
    return FrameFaces(frame=frame, boxes=boxes, scores=np.full(count, 0.9, np.float32), tracks=np.full(count, 7))


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_is_a_sink(tmp_path: Path) -> None:
    assert isinstance(JsonLinesWriter(tmp_path / "faces.jsonl"), Sink)


async def test_each_result_is_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "faces.jsonl"
    async with JsonLinesWriter(path) as writer:
        for seq in range(3):
            await writer.write(result(seq, count=seq))
            assert len(lines_of(path)) == seq + 1
    lines = lines_of(path)
    assert [line["seq"] for line in lines] == [0, 1, 2]
    assert {line["type"] for line in lines} == {"faces"}
    assert lines[1]["faces"] == [{"track": 7, "box": [10.0, 20.0, 30.0, 40.0], "score": 0.9}]
    assert (writer.statistics().written, writer.statistics().bytes) == (3, path.stat().st_size)


async def test_only_the_fields_asked_for_are_written(tmp_path: Path) -> None:
    path = tmp_path / "faces.jsonl"
    async with JsonLinesWriter(path, fields=frozenset({"track"})) as writer:
        await writer.write(result(0))
    assert lines_of(path)[0]["faces"] == [{"track": 7}]


@pytest.mark.parametrize("length", [1, 100_000, 200_000])
async def test_nothing_stays_of_a_last_line_that_was_cut_short(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.jsonl"
    for whole in (b"", b"{}\n{}\n"):
        path.write_bytes(whole + b"x" * length)
        async with JsonLinesWriter(path, append=True):
            pass
        assert path.read_bytes() == whole


@pytest.mark.parametrize(("append", "count"), [(False, 1), (True, 2)])
async def test_a_second_run_replaces_the_file_or_goes_on(tmp_path: Path, append: bool, count: int) -> None:
    path = tmp_path / "faces.jsonl"
    for _ in range(2):
        async with JsonLinesWriter(path, append=append) as writer:
            await writer.write(result(0))
    assert len(lines_of(path)) == count


async def test_a_dash_is_stdout_and_leaves_it_open(capfd: pytest.CaptureFixture[str]) -> None:
    async with JsonLinesWriter("-") as writer:
        await writer.write(result(5))
    print("still here")
    line, rest = capfd.readouterr().out.splitlines()
    assert json.loads(line)["seq"] == 5
    assert rest == "still here"


async def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't write to .*: Is a directory; choose another file"):
        async with JsonLinesWriter(tmp_path):
            pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
async def test_a_full_disk_costs_lines_not_the_stream() -> None:
    async with JsonLinesWriter("/dev/full") as writer:
        await writer.write(result(0))
        await writer.write(result(1))
    assert writer.statistics().failed == 2
    assert writer.statistics().last_error == "No space left on device"
    assert not writer.reader_gone


async def test_closing_twice_is_closing_and_writing_then_is_a_mistake(tmp_path: Path) -> None:
    writer = JsonLinesWriter(tmp_path / "faces.jsonl")
    async with writer:
        await writer.drain()
    await writer.__aexit__(None, None, None)
    with pytest.raises(RuntimeError, match="closed"):
        await writer.write(result(0))


async def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    async with JsonLinesWriter(fifo) as writer:
        await writer.write(result(0))
        os.close(reader)
        for seq in range(1, 4):
            await writer.write(result(seq))
    assert writer.reader_gone
    assert (writer.statistics().written, writer.statistics().failed) == (1, 0)


async def test_a_reader_that_reads_no_more_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        async with JsonLinesWriter(fifo) as writer:
            writing = asyncio.ensure_future(writer.write(result(0, count=20_000)))  # a pipe holds 64 KiB
            await asyncio.sleep(0)
        await writing
        assert writer.reader_gone
    finally:
        os.close(reader)


async def test_head_ends_a_pipe_without_a_word(tmp_path: Path) -> None:
    script = tmp_path / "job.py"
    script.write_text(
        "import asyncio, numpy as np\n"
        "from facestream.io.jsonl import JsonLinesWriter\n"
        "from facestream.stream.types import Frame, FrameFaces\n"
        "async def main():\n"
        "    async with JsonLinesWriter('-') as writer:\n"
        "        seq = 0\n"
        "        while not writer.reader_gone:\n"
        "            frame = Frame('door', 0, seq, 0.0, 0.0, np.zeros((4, 4, 3), np.uint8))\n"
        "            await writer.write(FrameFaces(frame=frame))\n"
        "            seq += 1\n"
        "asyncio.run(main())\n"
    )
    job = await asyncio.create_subprocess_exec(
        sys.executable, script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert job.stdout is not None
    assert job.stderr is not None
    assert json.loads(await job.stdout.readline())["seq"] == 0
    job.stdout._transport.close()  # type: ignore[attr-defined]
    assert await job.stderr.read() == b""
    assert await job.wait() == 0


def test_a_line_torn_by_a_full_disk_does_not_spoil_the_next(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "faces.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    output = Output(os.open(path, os.O_WRONLY | os.O_CREAT))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        output.write_line(b"1234567\n")
        with pytest.raises(OSError, match="too large"):
            output.write_line(b"torn line\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    output.write_line(b"whole\n")
    output.give_up()
    output.close()
    assert path.read_bytes() == b"1234567\nto\nwhole\n"
