"""FFmpeg's errors in our words."""

from __future__ import annotations

from av import error as av_error
from av.error import FFmpegError

from facestream.errors import SourceError, SourceFormatError, SourceUnavailable
from facestream.io.urls import redact

_UNAVAILABLE: tuple[tuple[type[FFmpegError], str], ...] = (
    (av_error.FileNotFoundError, "isn't there; check the path"),
    (av_error.HTTPUnauthorizedError, "refused the user name or password (401); correct them in its URL"),
    (av_error.HTTPForbiddenError, "forbids access (403); check the user's rights on the camera"),
    (av_error.HTTPNotFoundError, "has no such stream (404); check the path in its URL"),
    (
        av_error.ConnectionRefusedError,
        "refused the connection; check that it is on and that the port is right",
    ),
    (av_error.PermissionError, "may not be read by this user; check its permissions"),
    (av_error.IsADirectoryError, "is a folder; give a file"),
    (av_error.EOFError, "closed the connection; check that it still sends"),
)
_FORMAT = (
    av_error.InvalidDataError,
    av_error.DemuxerNotFoundError,
    av_error.DecoderNotFoundError,
    av_error.PatchWelcomeError,
    av_error.ProtocolNotFoundError,
)


def explain(error: FFmpegError, label: str, timeout: float) -> SourceError:
    """``error`` as one line about the source called ``label``, with the next step and without a credential.

    FFmpeg's own text is used only where we have nothing better, and never the part that quotes the URL.
    """
    if isinstance(error, av_error.ExitError | av_error.TimeoutError):  # PyAV's time-out arrives as the former
        return SourceUnavailable(
            f"{label} didn't answer within {timeout:g} s; check that it is on and reachable"
        )
    for kind, text in _UNAVAILABLE:
        if isinstance(error, kind):
            return SourceUnavailable(f"{label} {text}")
    if isinstance(error, _FORMAT):
        return SourceFormatError(f"{label} isn't a video that FFmpeg can read; check what it is")
    return SourceUnavailable(
        f"can't read {label}: {redact(error.strerror or 'unknown error')}; check that it works elsewhere"
    )
