"""Inputs that nobody sends by accident: hypothesis' strategies for each way into the server.

They are made of what the server knows, with something wrong about it: bytes at random don't get far.
"""

from __future__ import annotations

import json
import struct
from functools import cache
from typing import Any

import cv2
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from facestream.testing.clients import handshake
from facestream.testing.sources import make_picture

NASTY_TEXT = (
    *(
        "",
        "\x00",
        "\r\nX: y",
        "../../../../etc/passwd",
        "..\\..\\x",
        "%2e%2e%2fetc%2fpasswd",
        "%00",
        "%",
        "%zz",
        "%c0%ae",
    ),
    *(
        "\u202e",
        "\ud800",
        "𝕏" * 9,
        "a" * 300,
        "-1",
        "1e400",
        "NaN",
        "0x10",
        "٣",
        " 7 ",
        "null",
        "[::1]",
        "127.0.0.1:99999",
    ),
    *(
        "file:///etc/passwd",
        "rtsp://[",
        "http://127.0.0.1:9/x",
        "rtsp://127.0.0.1:9/cam",
        "push:own",
        "push:../x",
        "webcam:0",
    ),
    *(
        "own=push:a",
        "http://user:pass@127.0.0.1:9/?a=b#c",
        "rtsp://%31%32%37.0.0.1/",
        "http://0x7f000001/",
        "con.",
        "a/b",
    ),
)
texts = st.one_of(st.sampled_from(NASTY_TEXT), st.text(max_size=40))
junk = st.binary(max_size=200)

# --- HTTP

PATHS = (
    "/",
    "/health",
    "/health/ready",
    "/metrics",
    "/api/sources",
    "/api/access",
    "/api/events",
    "/ws/faces",
    "/ws/push",
)
SEGMENTS = (
    "",
    ".",
    "..",
    "%2e%2e",
    "%2f",
    "%5c",
    "etc",
    "passwd",
    "api",
    "events",
    "1",
    "99999999999999999999",
    "-1",
    "picture",
)
SEGMENTS = (*SEGMENTS, "clip", "ws", "control", "viewer.js", "%00", "%ff", "\\..\\", "index.html", "~", "é", ";a=b")
PARAMETERS = (
    "source",
    "fps",
    "frames",
    "width",
    "fields",
    "events",
    "token",
    "since",
    "until",
    "limit",
    "before",
    "kind",
    "x",
)
VALUES = (
    "1",
    "0",
    "-1",
    "1e400",
    "NaN",
    "inf",
    "jpeg",
    "none",
    "box,pose",
    "box,,",
    "arrived",
    "9" * 400,
    "%",
    "%ff",
    "+",
    "a b",
)
HEADERS = (
    *(
        "Host",
        "Origin",
        "Authorization",
        "If-None-Match",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Range",
        "Cookie",
    ),
    *(
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "Transfer-Encoding",
    ),
    *(
        "X-Forwarded-For",
        "Forwarded",
        "X-Forwarded-Proto",
        "Accept-Encoding",
        "Expect",
        "X-Anything",
        "",
        "Bad Name",
        "\xff",
    ),
)
HEADER_VALUES = (
    *(
        "127.0.0.1",
        "localhost:80",
        "[::1]:1",
        "[",
        "evil.example",
        "http://127.0.0.1",
        "null",
        "http://[",
        "https://a@b:c",
    ),
    *(
        "Bearer correct-horse-battery-staple",
        "Bearer ",
        "bearer \xff\xfe",
        "Basic YTpi",
        "websocket",
        "Upgrade",
        "close",
    ),
    *("Upgrade, close", "13", "99", "dGhlIHNhbXBsZSBub25jZQ==", "permessage-deflate; client_max_window_bits=999"),
    *("facestream, token.abc", ",,,", "chunked", "-5", "99999999999", "bytes=0-,-", '"', "W/", "*", "1.2.3.4, \x01"),
    *("for=[::1", "100-continue", "a" * 9000, "\xff" * 20, "é"),
)
methods = st.one_of(
    st.sampled_from(("GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT", "get", "", "G\x00T")),
    st.text(max_size=5),
)
queries = st.lists(
    st.tuples(st.sampled_from(PARAMETERS), st.one_of(st.sampled_from(VALUES), texts)).map("=".join), max_size=5
).map("&".join)
paths = st.one_of(
    st.sampled_from(PATHS),
    st.lists(st.sampled_from(SEGMENTS), max_size=6).map(lambda parts: "/" + "/".join(parts)),
    texts,
)
targets = st.one_of(paths, st.builds("{}?{}".format, paths, queries))
header_lines = st.lists(
    st.tuples(
        st.sampled_from(HEADERS),
        st.sampled_from((": ", ":", " : ", "")),
        st.one_of(st.sampled_from(HEADER_VALUES), texts),
    ).map("".join),
    max_size=8,
)
UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


def _request(method: str, target: str, version: str, lines: list[str], upgrade: bool, end: str, body: bytes) -> bytes:
    lines = ["Host: 127.0.0.1", *(UPGRADE if upgrade else ()), *lines]
    head = end.join([f"{method} {target} {version}", *lines, "", ""])
    return head.encode("utf-8", "surrogatepass") + body


requests: SearchStrategy[bytes] = st.one_of(
    st.builds(
        _request,
        methods,
        targets,
        st.sampled_from(("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2", "HTTP/1.1x", "")),
        header_lines,
        st.booleans(),
        st.sampled_from(("\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ")),
        st.one_of(st.just(b""), junk),
    ),
    junk,
)

# --- websocket frames

PUSHED = (
    "own",
    "own",
    "own",
    "own",
    "own%20",
    "%20own",
    "own%0A",
    "other%E2%80%A8",
    "..%2Fx",
    "own%3Dpush%3Aa",
    "%00",
    "",
)
WEBSOCKETS = (
    *("/ws/faces", "/ws/faces?events=1", "/ws/push?source=own", "/ws/control"),
    *("/ws/push?source=other%20", "/ws/push?source=%0Aother"),
)


def frame(
    payload: bytes, opcode: int = 1, *, fin: bool = True, rsv: int = 0, masked: bool = True, length: int | None = None
) -> bytes:
    """A websocket frame (RFC 6455 §5.2), which may tell another length than its own."""
    told = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if told < 126:
        head += bytes([masked << 7 | told])
    elif told < 1 << 16:
        head += bytes([masked << 7 | 126]) + struct.pack(">H", told)
    else:
        head += bytes([masked << 7 | 127]) + struct.pack(">Q", told % (1 << 64))
    return head + (bytes(4) if masked else b"") + payload


payloads = st.one_of(
    junk, texts.map(lambda text: text.encode("utf-8", "surrogatepass")), st.sampled_from((b"\x03\xe8", b"\xff\xff\xff"))
)
frames = st.builds(
    frame,
    payloads,
    st.sampled_from((0, 1, 2, 8, 9, 10, 3, 7, 11, 15)),
    fin=st.booleans(),
    rsv=st.sampled_from((0, 0, 0, 4, 7)),
    masked=st.sampled_from((True, True, True, False)),
    length=st.one_of(
        st.none(), st.none(), st.sampled_from((0, 125, 126, 65535, 65536, 1 << 31, 1 << 62, (1 << 64) - 1))
    ),
)


def conversation(path: str, data: bytes) -> bytes:
    """A handshake, and what is said at once after it."""
    return handshake(path) + data


conversations: SearchStrategy[bytes] = st.builds(
    conversation, st.sampled_from(WEBSOCKETS), st.one_of(st.lists(frames, max_size=6).map(b"".join), junk)
)

# --- control

METHODS = (
    *(
        "sources.add",
        "sources.update",
        "sources.restart",
        "sources.remove",
        "sources.list",
        "statistics",
        "events.remove",
    ),
    *("people.list", "people.name", "people.rename", "people.remove", "people.merge", "config.reload", "rpc.discover"),
)
KEYS = (
    *(
        "name",
        "url",
        "to",
        "into",
        "source",
        "track",
        "id",
        "loop",
        "max_rate",
        "region",
        "detect_every",
        "rtsp_transport",
    ),
    *("open_timeout", "read_timeout", "events", "clips", "__class__", ""),
)
numbers = st.one_of(
    st.integers(-3, 3), st.sampled_from((2**31, 2**53, 2**63, 2**64, -(2**63), 1e308, -0.0, 0.5, 10**30)), st.floats()
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=8,
)
params = st.one_of(st.dictionaries(st.sampled_from(KEYS), values, max_size=5), values)
FITTING = {
    "sources.add": {"url": texts, "name": texts, "max_rate": numbers},
    "sources.update": {"name": st.just("own"), "url": texts, "detect_every": numbers, "region": st.lists(numbers)},
    "people.name": {"source": st.just("own"), "track": numbers, "name": texts},
    "people.rename": {"name": texts, "to": texts},
    "people.remove": {"name": texts},
    "events.remove": {"id": numbers},
}
"""Parameters as a method wants them, but for their values: those at random seldom get beyond their names."""


@st.composite
def _fitting(draw: st.DrawFn) -> dict[str, Any]:
    method = draw(st.sampled_from(sorted(FITTING)))
    wanted = draw(st.fixed_dictionaries({}, optional=FITTING[method]))
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": wanted}


calls = _fitting() | st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(("2.0", "2.0", "2.0", "1.0", 2))},
    optional={"method": st.one_of(st.sampled_from(METHODS), texts), "params": params, "id": values},
)


def _json(value: Any) -> str:
    return json.dumps(value)


@st.composite
def _mangled(draw: st.DrawFn) -> str:
    """A call that was well, with some characters gone, doubled or changed."""
    text = _json(draw(calls))
    at = draw(st.integers(0, len(text)))
    return (
        text[:at]
        + draw(st.sampled_from(("", '"', "{", "}", "[" * 40, ",", "\\u0000", "\\ud800", "1e999", "//")))
        + text[at + 1 :]
    )


messages = st.one_of(calls.map(_json), st.lists(calls, max_size=10).map(_json), values.map(_json), _mangled(), texts)


def control(texts: list[str]) -> bytes:
    """Some messages to ``/ws/control``."""
    return conversation("/ws/control", b"".join(frame(text.encode("utf-8", "surrogatepass")) for text in texts))


controls: SearchStrategy[bytes] = st.lists(messages, min_size=1, max_size=3).map(control)

# --- pictures


@cache
def picture() -> bytes:
    """A small JPEG."""
    return bytes(cv2.imencode(".jpg", make_picture(3))[1])


@st.composite
def pictures(draw: st.DrawFn) -> bytes:
    """A JPEG with some bytes changed, its end missing, or another size in its header."""
    data = bytearray(picture())
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        at = data.find(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", draw(st.integers(0, 65535)), draw(st.integers(0, 65535)))
    return bytes(data[: draw(st.sampled_from((len(data), len(data), len(data), 3, 20, len(data) // 2)))])


def push(name: str, data: list[bytes]) -> bytes:
    """Some messages to ``/ws/push``."""
    return conversation(f"/ws/push?source={name}", b"".join(frame(each, 2) for each in data))


pushes: SearchStrategy[bytes] = st.builds(
    push, st.sampled_from(PUSHED), st.lists(st.one_of(pictures(), junk), min_size=1, max_size=3)
)
