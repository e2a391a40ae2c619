"""A camera whose driver hangs, in its own thread and without a camera."""

from __future__ import annotations

import threading

from facestream.io.backoff import Backoff
from facestream.io.live import ReconnectingSource
from facestream.io.reader_source import ReaderSource
from facestream.io.reading import Picture
from facestream.io.source_lane import SourceLane
from facestream.stream.device import Lane
from facestream.testing.sources import make_picture


class HangingReader:
    """A camera whose driver never returns from a call, until :attr:`free` is set."""

    damaged = skipped = 0
    size = rate = count = None
    finite = bursts = False

    def __init__(self, *, hangs: bool = True, at: str = "read") -> None:
        self._at = at if hangs else ""
        self.free = threading.Event()
        self.hung = threading.Event()
        self.closed = threading.Event()

    def open(self) -> None:
        self._call("open")

    def read(self) -> Picture | None:
        self._call("read")
        return Picture(make_picture(0), 0.0)

    def close(self) -> None:
        self.closed.set()

    def interrupt(self) -> None:
        pass

    def _call(self, verb: str) -> None:
        if verb == self._at:
            self.hung.set()
            self.free.wait()


class HangingCamera:
    """Its connections hang, but for the last."""

    def __init__(self, hanging: int = 1, at: str = "read", patience: float = 0.5) -> None:
        self.readers = [HangingReader(at=at) for _ in range(hanging)]
        self._coming = [*self.readers, HangingReader(hangs=False)]
        # Who hangs is found out soon; who doesn't may be slow.
        self.lane = SourceLane("cam", lambda: Lane("cam", patience=patience if len(self._coming) > 1 else 600.0))

    def source(self) -> ReconnectingSource:
        return ReconnectingSource("cam", self._connect, lane=self.lane, backoff=Backoff(0.001, 0.002))

    def _connect(self) -> ReaderSource:
        lane = self.lane.get()
        return ReaderSource("cam", self._coming.pop(0), lane=lane, keep_lane=True)

    def free(self) -> None:
        for reader in self.readers:
            reader.free.set()
