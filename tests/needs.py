"""What some tests need from the operating system: skipped without it on a user's machine, a failure in CI.

Call one of these in a test or fixture: ``needs.gstreamer()``.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

import pytest

SYSTEM_PYTHON = "/usr/bin/python3"

_GSTREAMER_PROBE = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
elements = ("x264enc", "rtph264pay", "decodebin", "avdec_h264")
raise SystemExit(not all(Gst.ElementFactory.find(name) for name in elements))
"""


def gstreamer() -> None:
    """GStreamer's RTSP server with the system's Python, to play a camera."""
    _need(_has_gstreamer(), "gir1.2-gst-rtsp-server-1.0, python3-gi and GStreamer's plugins")


def chromium() -> str:
    """Debian's Chromium; returns its path."""
    path = shutil.which("chromium")
    _need(path is not None, "chromium")
    assert path is not None
    return path


def xvfb() -> str:
    """An X server without a screen; returns its path."""
    path = shutil.which("Xvfb")
    _need(path is not None, "xvfb")
    assert path is not None
    return path


def _need(there: bool, packages: str) -> None:
    if there:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {packages} for this test")
    pytest.skip(f"needs the Debian packages {packages}")


@functools.cache
def _has_gstreamer() -> bool:
    if not os.access(SYSTEM_PYTHON, os.X_OK):
        return False
    return subprocess.run([SYSTEM_PYTHON, "-c", _GSTREAMER_PROBE], capture_output=True, check=False).returncode == 0
