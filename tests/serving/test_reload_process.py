"""SIGHUP and ``config.reload`` in a real process, from the command line on; only the models are fakes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.sync.client import connect

from facestream.testing.sources import make_clip

SERVE = """if True:
    from facestream.cli import main
    from facestream.serving import app
    from facestream.stream.stage import Stage
    from facestream.testing.plugins import FakeDetector

    async def fakes(options, bridge, references=None):
        return [Stage.detect(FakeDetector([]), bridge)]

    app.load_stages = fakes
    main()
"""


def test_a_running_server_does_what_the_file_says_and_nothing_when_it_is_wrong(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", frames=10)
    file = tmp_path / "facestream.toml"
    settings = "[server]\nport = 0\n[people]\nbiometrics = false\n"
    door, gate = (f'[[sources]]\nname = "{name}"\nurl = "clip.mp4"\nloop = true\n' for name in ("door", "gate"))
    file.write_text(settings + door)
    environment = {**os.environ, "FACESTREAM_USER_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-u", "-c", SERVE, "serve", "--device", "cpu"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=tmp_path, text=True
    ) as process:
        lines: list[str] = []

        def said(words: str) -> str:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if words in line:
                    return line
            pytest.fail(f"it ended without having said {words!r}:\n{''.join(lines)}")

        try:
            assert "facestream.toml" in said("the settings are those of")
            url = re.search("http://([^/]*)/", said("facestream is at"))
            file.write_text(settings + door + gate)
            process.send_signal(signal.SIGHUP)
            said("source gate added")
            file.write_text("[server]\nprot = 1\n")
            process.send_signal(signal.SIGHUP)
            assert "facestream.toml: server.prot: there is no such key" in said("nothing has changed")
            file.write_text(settings.replace("port = 0", "port = 1") + gate)
            assert url is not None
            with connect(f"ws://{url[1]}/ws/control") as websocket:
                websocket.recv()
                websocket.send('{"jsonrpc": "2.0", "id": 1, "method": "config.reload"}')
                assert '"removed":["door"],"failed":[],"restart":["server.port"]' in websocket.recv(decode=True)
            said("source door removed")
            said("server.port has changed")
        finally:
            process.send_signal(signal.SIGTERM)
            lines += process.stdout or ()
    assert process.returncode == 0, "".join(lines)
