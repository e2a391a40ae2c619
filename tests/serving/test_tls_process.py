"""``facestream serve --cert --key`` in a real process, asked by real clients; only the models are fakes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from websockets.sync.client import connect

from facestream import cli
from tests.serving.certificates import client_context, make_certificate
from tests.serving.test_reload_process import SERVE

ROOT = Path(__file__).parents[2]


def test_it_is_served_over_tls_which_clients_verify_and_a_renewed_certificate_follows_a_signal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cert, key = make_certificate(tmp_path, "served")
    environment = {**os.environ, "FACESTREAM_USER_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}
    options = ["--port", "0", "--no-demo", "--no-biometrics", "--cert", str(cert), "--key", str(key)]
    command = [sys.executable, "-u", "-c", SERVE, "serve", "--device", "cpu", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=tmp_path, text=True
    ) as process:
        assert process.stdout is not None
        try:
            told = next(line for line in process.stdout if "facestream is at" in line)
            url = re.search(r"https://\S*/", told)
            assert url is not None, told
            address = url[0]
            with urlopen(address, context=client_context(cert), timeout=60) as page:
                assert page.status == 200
            with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
                urlopen(address, context=ssl.create_default_context(), timeout=60)
            _curl(address, cert)
            assert _container_is_healthy(address)
            with connect(f"wss{address[5:]}ws/faces", ssl=client_context(cert)) as websocket:
                assert '"hello"' in websocket.recv(60)
            assert cli.run(["status", "--url", address, "--ca", str(cert)]) == 0
            assert " is ok" in capsys.readouterr().out

            renewed = make_certificate(tmp_path, "renewed")
            for new, old in zip(renewed, (cert, key)):
                shutil.copy(new, old)
            process.send_signal(signal.SIGHUP)
            next(line for line in process.stdout if "settings read again" in line)
            with urlopen(f"{address}health/live", context=client_context(renewed[0]), timeout=60) as answer:
                assert answer.status == 200
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
    assert process.returncode == 0, rest


def _curl(address: str, cert: Path) -> None:
    if (curl := shutil.which("curl")) is None:
        return
    command = [curl, "--silent", "--show-error", "--fail", "--max-time", "60"]
    trusting = subprocess.run([*command, "--cacert", str(cert), f"{address}health/live"], capture_output=True)
    assert (trusting.returncode, trusting.stdout) == (0, b'{"status":"live"}'), trusting.stderr
    assert subprocess.run([*command, address], capture_output=True).returncode == 60  # not to be verified


def _container_is_healthy(address: str) -> bool:
    """By the Dockerfile's check, which doesn't know of certificates."""
    (command,) = re.findall(r'^    CMD (\["python".*\])$', (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    _, *arguments = json.loads(command.replace("8765", address.strip("/").rpartition(":")[2]))
    return subprocess.run([sys.executable, *arguments]).returncode == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cert", "served.pem"), "a certificate needs its private key"),
        (("--key", "served.key"), "a private key needs its certificate"),
        (("--cert", "nothing.pem", "--key", "served.key"), "nothing.pem: the certificate can't be read"),
        (("--cert", "served.pem", "--key", "other.key"), "other.key isn't the private key of served.pem"),
    ],
)
def test_what_is_wrong_with_them_is_one_line_and_wrong_usage(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.setattr("facestream.serving.logs.set_up_logs", lambda format, level: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path))
    for name in ("served", "other"):
        make_certificate(tmp_path, name)
    assert cli.run(["serve", "--port", "0", "--no-demo", "--no-biometrics", "--device", "cpu", *options]) == 2
    told = capsys.readouterr().err.splitlines()
    assert words in told[-1]
    assert told[-1].startswith("facestream: ")
