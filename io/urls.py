"""What a user calls a source, and how to speak of it without giving its password away."""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from facestream.errors import ConfigError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".vob", ".webm", ".wmv"}
)
"""What batch modes take for a video; elsewhere only opening a file tells."""
NAME_LIMIT = 64
HIDDEN = "***"


class SourceKind(Enum):
    """What stands behind a source's URL."""

    RTSP = "rtsp"
    HTTP = "http"  # MJPEG, HLS, or a video file on a web server
    WEBCAM = "webcam"  # webcam:N or /dev/videoN
    DEVICE = "device"  # device:FORMAT:NAME, any of FFmpeg's input devices
    PUSH = "push"
    FILE = "file"  # a video, or one picture
    FOLDER = "folder"
    LIST = "list"  # a list of picture files; Python only

    @property
    def finite(self) -> bool:
        """Running out of frames is this kind's normal end rather than a failure."""
        return self in (SourceKind.FILE, SourceKind.FOLDER, SourceKind.LIST)


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A source as asked for. ``url`` may carry credentials: it never goes into a message, and isn't in the
    repr.
    """

    name: str
    url: str
    kind: SourceKind

    def __repr__(self) -> str:
        return f"SourceSpec(name={self.name!r}, url={redact(self.url)!r}, kind={self.kind.name})"


# --- reading ------------------------------------------------------------------------------------------

_SCHEMES = {
    "rtsp": SourceKind.RTSP,
    "rtsps": SourceKind.RTSP,
    "rtspt": SourceKind.RTSP,
    "rtspu": SourceKind.RTSP,
    "http": SourceKind.HTTP,
    "https": SourceKind.HTTP,
}
_KNOWN_FORMS = "rtsp://…, http(s)://…, webcam:N, /dev/videoN, push:NAME, a file or a folder"
_SAFE_NAME = re.compile(r"[A-Za-z0-9_.-]([A-Za-z0-9_. -]{0,62}[A-Za-z0-9_.-])?")


def parse_source(text: str) -> SourceSpec:
    """Read ``URL`` or ``NAME=URL``.

    What stands before the first ``=`` is a name unless it has a character that only URLs and paths have (``/
    \\ : ?``) or the whole text is a path that exists. Without a name, one is made from the URL
    (:func:`default_name`).

    Raises:
        ConfigError: a bad name, an empty or unknown URL; one line that says what to write instead.
    """
    name, url = _split_name(text.strip())
    if not url:
        raise ConfigError(f"source {redact(text)!r} names no URL; give one of {_KNOWN_FORMS}")
    kind = source_kind(url)
    return SourceSpec(check_name(name) if name is not None else default_name(url, kind), url, kind)


def _split_name(text: str) -> tuple[str | None, str]:
    name, equals, url = text.partition("=")
    if not equals or any(character in name for character in "/\\:?") or os.path.exists(text):
        return None, text
    return name.strip(), url.strip()


def source_kind(url: str) -> SourceKind:
    """The kind of ``url``. Looks at the disk only to tell a folder from a file.

    Raises:
        ConfigError: a scheme that we don't read, or a webcam, device or push form with a part missing.
    """
    scheme, colon, rest = url.partition(":")
    scheme = scheme.lower()
    if colon and rest.startswith("//"):
        if scheme not in _SCHEMES:
            raise ConfigError(f"can't read {scheme}:// sources; give one of {_KNOWN_FORMS}")
        if re.search(r"\s", url):
            raise ConfigError(f"{redact_url(url)} has a space in it; write %20 instead")
        if not _names_host(url):
            raise ConfigError(f"{redact_url(url)} has no host; write {scheme}://[user:password@]host[:port]/path")
        return _SCHEMES[scheme]
    if colon and scheme == "webcam":
        if not rest.isdecimal():
            raise ConfigError(f"{url!r} isn't a webcam; write webcam:0, or see `facestream sources`")
        return SourceKind.WEBCAM
    if colon and scheme == "device":
        if not all(rest.partition(":")):
            raise ConfigError(f"{redact(url)!r} isn't a device; write device:FORMAT:NAME")
        return SourceKind.DEVICE
    if colon and scheme == "push":
        check_name(rest)
        return SourceKind.PUSH
    if re.fullmatch(r"/dev/video\d+", url):
        return SourceKind.WEBCAM
    return SourceKind.FOLDER if os.path.isdir(url) else SourceKind.FILE


def check_name(name: str) -> str:
    """Return ``name`` if it may name a source: it becomes a file name, a metric's label and part of a URL.

    Raises:
        ConfigError: it's empty, too long or has other characters than letters, digits, space and ``- _ .``.
    """
    if not _SAFE_NAME.fullmatch(name) or not name.strip("."):
        raise ConfigError(
            f"{redact(name)!r} can't name a source: "
            f"use letters, digits, spaces and - _ . only, at most {NAME_LIMIT} of them"
        )
    return name


def default_name(url: str, kind: SourceKind | None = None) -> str:
    """A safe name made from ``url``, never from its credentials; two URLs may get the same.

    A camera is called by its host and the last part of its path, unless that is long: some cameras have a
    secret there.
    """
    kind = kind or source_kind(url)
    if kind is SourceKind.PUSH:
        return check_name(url.partition(":")[2])
    if kind is SourceKind.DEVICE:
        return _safe(url.split(":", 2)[1])
    if kind in (SourceKind.RTSP, SourceKind.HTTP):
        return _network_name(url)
    if kind is SourceKind.WEBCAM:
        return _safe(url.replace(":", "-").rpartition("/")[2])
    path = Path(url)
    return _safe((path.stem if kind is SourceKind.FILE else path.name) or path.resolve().name)


def _network_name(url: str) -> str:
    parts = _parts(url)
    if parts is None:
        return _safe("")
    host, last = parts.hostname or "", parts.path.rstrip("/").rpartition("/")[2]
    return _safe(f"{host}-{last}" if re.fullmatch(r"[A-Za-z0-9_.-]{1,12}", last) else host)


def _names_host(url: str) -> bool:
    """False where none is named, however one reads it: an ``@`` ends credentials, or is part of a path."""
    both = _parts(url), _split(url)
    return any(parts is None or parts.hostname for parts in both)


def _parts(url: str) -> SplitResult | None:
    """Of a URL without its credentials; None where its brackets don't match."""
    return _split(re.sub(r"^([^:]+://)\S*@", r"\1", url))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.hostname
    except ValueError:
        return None
    return parts


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:NAME_LIMIT].strip("-.") or "source"


# --- redacting ------------------------------------------------------------------------------------------

_SECRET_WORDS = frozenset(
    {
        *(
            "access",
            "apikey",
            "auth",
            "authorization",
            "cred",
            "credential",
            "credentials",
            "jwt",
            "key",
            "login",
        ),
        *("pass", "passwd", "password", "psk", "pw", "pwd", "secret", "session", "sessionid", "sid", "sig"),
        *("signature", "token", "user", "username", "usr"),
    }
)
_SECRET_ENDINGS = ("password", "passwd", "token", "secret", "apikey", "username")

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://|(?<![\w/.:])//)(\S*)")
_ENCODED_CREDENTIALS = re.compile(r"(%3A%2F%2F)\S*%40", re.IGNORECASE)
_PARAMETER = re.compile(r"(?:[?&;/#]|%3F|%26|%3B)([\w.\-\[\]]+)(?:=|%3D)", re.IGNORECASE)
_VALUE = re.compile(r"[^&\s]*")


def redact(text: str) -> str:
    """``text`` with user names, passwords and secret query values of every URL in it replaced by ``***``.

    Works on any text, FFmpeg's messages included. A URL is taken to end at white space; use
    :func:`redact_url` on a string that is one URL.
    """
    text = _URL.sub(_redact_credentials, text)
    text = _ENCODED_CREDENTIALS.sub(rf"\1{HIDDEN}%40", text)
    for name_end, value_end in reversed(_secret_values(text)):
        text = text[:name_end] + HIDDEN + text[value_end:]
    return text


def hides_credentials(url: str) -> bool:
    """Whether ``url`` has been redacted: what it needs is hidden in it."""
    return re.search(rf"(//{re.escape(HIDDEN)}@|={re.escape(HIDDEN)}(&|;|#|$))", url) is not None


def redact_url(url: str) -> str:
    """Like :func:`redact` for a string that is one URL, even with white space in its password."""
    return redact(re.sub(r"\s", "%20", url)) if "://" in url else redact(url)


def _redact_credentials(url: re.Match[str]) -> str:
    """A password may itself hold ``: / ? #`` and ``@``, so nothing short of the last ``@`` surely ends it.
    That hides more than it must of a URL with an ``@`` in its path or query, and never less.
    """
    scheme, rest = url.groups()
    at = rest.rfind("@")
    if at < 0:
        return url[0]
    end = max([at + 1, *(value_end for name_end, value_end in _secret_values(rest) if name_end <= at)])
    return f"{scheme}{HIDDEN}@{rest[end:]}"


def _secret_values(text: str) -> list[tuple[int, int]]:
    """Where the values of secret query parameters begin and end, in order and without overlap."""
    spans: list[tuple[int, int]] = []
    for name in _PARAMETER.finditer(text):
        value = _VALUE.match(text, name.end())
        if value is not None and _is_secret(name[1]) and (not spans or name.end() >= spans[-1][1]):
            spans.append(value.span())
    return spans


def _is_secret(name: str) -> bool:
    words = re.split(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])", name)
    return any(word.lower() in _SECRET_WORDS or word.lower().endswith(_SECRET_ENDINGS) for word in words)
