"""A real RTSP camera for tests: GStreamer's server, playing a clip again and again.

Run by the system's Python, which has GStreamer's bindings::

    /usr/bin/python3 rtsp_camera.py CLIP --port 8554 [--user NAME --password SECRET] [--encoded]

It prints one line when it listens, and then serves ``rtsp://127.0.0.1:PORT/cam`` over TCP and UDP. As part of
the test suite, :class:`RtspCamera` starts, kills and restarts it. SIGUSR1 makes it send damaged packets, as a bad
cable does, until SIGUSR2.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

# --- the camera, run by the system's Python -----------------------------------------------------------------

ENCODE = (
    "decodebin ! videoconvert ! video/x-raw,format=I420 ! "
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 threads=1 ! video/x-h264,profile=baseline,"
)
AS_IT_IS = "qtdemux ! h264parse config-interval=-1 ! video/x-h264,"


def encode(gst, clip, chain):
    """The clip as (caps, H.264 access units, nanoseconds a frame), encoded once: serving is cheap then."""
    pipeline = gst.parse_launch(
        f"filesrc name=clip ! {chain}stream-format=byte-stream,alignment=au ! appsink name=out sync=false"
    )
    pipeline.get_by_name("clip").set_property("location", clip)
    out = pipeline.get_by_name("out")
    pipeline.set_state(gst.State.PLAYING)
    caps, units = None, []
    while (sample := out.emit("pull-sample")) is not None:
        caps = sample.get_caps()
        buffer = sample.get_buffer()
        units.append(buffer.extract_dup(0, buffer.get_size()))
    pipeline.set_state(gst.State.NULL)
    if not units:
        raise SystemExit(f"nothing to play in {clip}")
    _, numerator, denominator = caps.get_structure(0).get_fraction("framerate")
    return caps, units, gst.SECOND * (denominator or 1) // (numerator or 25)


def damaged(unit, chance):
    """One access unit as a bad cable delivers it: some whole, some with bytes changed, some not at all."""
    if chance.random() < 0.1:
        return None
    if chance.random() < 0.6:
        return unit
    broken = bytearray(unit)
    for _ in range(max(1, len(broken) // 200)):
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def serve(arguments):
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    caps, units, duration = encode(Gst, arguments.clip, AS_IT_IS if arguments.encoded else ENCODE)
    chance = random.Random(0)
    cable = {"bad": False}

    def feed(source, _length, position=None):
        number = counters[source]
        counters[source] = number + 1
        unit = units[number % len(units)]
        if cable["bad"] and (unit := damaged(unit, chance)) is None:
            return feed(source, _length, position)
        buffer = Gst.Buffer.new_wrapped(unit)
        buffer.pts = buffer.dts = number * duration
        buffer.duration = duration
        source.emit("push-buffer", buffer)

    def configure(_factory, media):
        source = media.get_element().get_by_name("source")
        source.set_property("caps", caps)
        counters[source] = 0
        source.connect("need-data", feed)

    counters = {}
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( appsrc name=source format=time is-live=false max-buffers=4 max-bytes=0 ! "
        "h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    factory.set_shared(True)
    factory.connect("media-configure", configure)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(arguments.port))
    if arguments.user:
        require_password(GstRtspServer, server, factory, arguments.user, arguments.password)
    server.get_mount_points().add_factory("/cam", factory)
    if not server.attach(None):
        raise SystemExit(f"can't listen on port {arguments.port}")
    for number, bad in ((signal.SIGUSR1, True), (signal.SIGUSR2, False)):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, lambda bad=bad: cable.update(bad=bad) or True)
    print("listening", flush=True)
    GLib.MainLoop().run()


def require_password(rtsp, server, factory, user, password):
    auth = rtsp.RTSPAuth()
    token = rtsp.RTSPToken()
    token.set_string(rtsp.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    auth.add_basic(rtsp.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = rtsp.RTSPPermissions()
    permissions.add_role("viewer")
    permissions.add_permission_for_role("viewer", rtsp.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)
    permissions.add_permission_for_role("viewer", rtsp.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)
    factory.set_permissions(permissions)


# --- its handle, for tests ----------------------------------------------------------------------------------


class RtspCamera:
    """The camera as a process of its own; ``with RtspCamera(clip) as camera: open_source(camera.url)``.

    Starting returns when it listens. Killing is a cable pulled: no goodbye to anyone. What :attr:`clip`,
    :attr:`user` and :attr:`password` are set to holds from the next start on.

    Args:
        encoded: the clip is an MP4 of H.264 without B frames, which is sent as it is: starting costs next to nothing.
    """

    def __init__(self, clip: Path, *, user: str = "", password: str = "", encoded: bool = False) -> None:
        self.clip = clip
        self.encoded = encoded
        self.port = free_port()
        self.user = user
        self.password = password
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def start(self) -> None:
        command = ["/usr/bin/python3", __file__, str(self.clip), "--port", str(self.port)]
        if self.user:
            command += ["--user", self.user, "--password", self.password]
        if self.encoded:
            command.append("--encoded")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "listening\n":
            self.kill()
            raise RuntimeError("the RTSP camera didn't start")

    def kill(self) -> None:
        """End it at once. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def freeze(self) -> None:
        """Stop answering, and keep the connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after :meth:`freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def damage(self) -> None:
        """Send damaged packets from now on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def repair(self) -> None:
        """Send whole packets again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR2)

    def restart(self) -> None:
        self.kill()
        self.start()

    def __enter__(self) -> RtspCamera:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()


def free_port() -> int:
    """A port that nobody listens on, and that the system gives to nobody who doesn't ask for it."""
    try:
        first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    except OSError:
        first, last = 49152, 65535
    asked_for = [port for port in range(10_000, 65_536) if not first <= port <= last]
    while True:
        port = random.SystemRandom().choice(asked_for or [0])  # tests seed the other
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("clip")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--encoded", action="store_true")
    serve(parser.parse_args())
    return 0


if __name__ == "__main__":
    sys.exit(main())
