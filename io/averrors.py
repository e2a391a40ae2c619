"""FFmpeg's errors in our words."""

from __future__ import annotations

from av import error as av_error
from av.error import FFmpegError

from facestream.errors import SourceError, SourceFormatError, SourceRefused, SourceUnavailable
from facestream.io.urls import redact

_KNOWN: tuple[tuple[type[FFmpegError], str], ...] = (
    (av_error.FileNotFoundError, "isn't there"),
    (av_error.HTTPUnauthorizedError, "refused the user name or password (401); correct them in its URL"),
    (av_error.HTTPForbiddenError, "forbids access (403); correct the user's rights, or the URL"),
    (av_error.HTTPNotFoundError, "has no such stream (404); correct the path in its URL"),
    (av_error.ConnectionRefusedError, "refused the connection"),
    (av_error.ConnectionResetError, "cut the connection"),
    (av_error.BrokenPipeError, "cut the connection"),
    (av_error.EOFError, "closed the connection"),
    (av_error.PermissionError, "may not be read by this user"),
    (av_error.IsADirectoryError, "is a folder"),
)
_REFUSALS = (av_error.HTTPUnauthorizedError, av_error.HTTPForbiddenError)
_FORMAT = (
    av_error.InvalidDataError,
    av_error.DemuxerNotFoundError,
    av_error.DecoderNotFoundError,
    av_error.PatchWelcomeError,
)


def explain(
    error: FFmpegError, label: str, hint: str, *, camera: bool, late: bool, timeout: float, meaning: str = ""
) -> SourceError:
    """``error`` as one line about the source called ``label``, with the next step and without a credential.

    FFmpeg's own text is used only where we have nothing better, and never the part that quotes the URL.

    Args:
        hint: the next step where the error itself suggests none.
        camera: it speaks a camera's protocol: FFmpeg calls most failures to connect there "invalid data".
        late: the call took its whole ``timeout``, in seconds: FFmpeg reports that under several names as
            well.
        meaning: what the error says because of what FFmpeg was told, where we know.
    """
    if late or isinstance(error, av_error.ExitError | av_error.TimeoutError):
        return SourceUnavailable(f"{label} didn't answer within {timeout:g} s; {hint}")
    if meaning:
        return SourceUnavailable(f"{label} {meaning}")
    for kind, text in _KNOWN:
        if isinstance(error, kind):
            failure = SourceRefused if issubclass(kind, _REFUSALS) else SourceUnavailable
            return failure(f"{label} {text}" + ("" if ";" in text else f"; {hint}"))
    if isinstance(error, _FORMAT):
        if camera:
            return SourceUnavailable(f"{label} doesn't answer like a camera; {hint}")
        return SourceFormatError(f"{label} isn't a video that FFmpeg can read; {hint}")
    return SourceUnavailable(f"{label} can't be read ({redact(error.strerror or 'no reason given')}); {hint}")
