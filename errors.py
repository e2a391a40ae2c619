"""Every exception class of facestream.

::

    FacestreamError
    ├── SourceError              a camera, video or folder
    │   ├── SourceUnavailable    not there now: a live source retries, a job stops
    │   │   └── SourceRefused    it doesn't accept the user name or password
    │   └── SourceFormatError    never going to work: give up
    ├── ModelError               a network or its weights
    │   ├── UnknownModel         there's none of that name; a ConfigError too
    │   ├── WeightsMissing       not in the cache and not to be had
    │   └── WeightsCorrupt       fetched, but not the file that the card names
    ├── DeviceError              a GPU or CPU that can't do the work
    │   ├── UnusableDevice       there's none of that name, or no software for it; a ConfigError too
    │   └── OutOfDeviceMemory    halve the batch and try again
    ├── OutputError          a file or folder of ours that can't be written: full, gone, read-only
    ├── FileFormatError          a file of ours or faceswap's that can't be read
    │   ├── AlignmentsError
    │   └── FaceHeaderError
    ├── ServerUnavailable        a running server that doesn't answer, or not to us
    ├── ProtocolError            a websocket peer said something we can't take
    └── ConfigError              an option, variable or configuration file

Every message is one line that names the source, file or option and the next step to take. No message carries a
credential: URLs go through :func:`facestream.io.urls.redact` first.
"""

from __future__ import annotations


class FacestreamError(Exception):
    """Base class: catch this to catch everything that facestream raises on purpose."""


class SourceError(FacestreamError):
    """A source can't deliver frames."""


class SourceUnavailable(SourceError):
    """The source isn't reachable now, and may be later: unplugged, offline, refused, timed out."""


class SourceRefused(SourceUnavailable):
    """The source is there and doesn't let us in. Asking often may lock the account: a live source retries slowly."""


class SourceFormatError(SourceError):
    """The source exists but isn't something we can read; retrying won't help."""


class ModelError(FacestreamError):
    """A model is unknown, can't be loaded or returns something that its contract forbids."""


class WeightsMissing(ModelError):
    """A weight isn't in the cache and couldn't be fetched."""


class WeightsCorrupt(ModelError):
    """A fetched weight isn't the file whose sha256 the data card names."""


class DeviceError(FacestreamError):
    """The device can't do the work asked of it."""


class OutOfDeviceMemory(DeviceError):
    """A batch didn't fit into the device's memory."""


class OutputError(FacestreamError):
    """A picture or file that a job must write can't be written."""


class FileFormatError(FacestreamError):
    """A file can't be read as what it claims to be."""


class AlignmentsError(FileFormatError):
    """An alignments file is damaged, too old or not one at all."""


class FaceHeaderError(FileFormatError):
    """A face picture has no readable faceswap header."""


class ServerUnavailable(FacestreamError):
    """The server that is asked how it is doesn't answer, or wants another token."""


class ProtocolError(FacestreamError):
    """A websocket peer broke protocol 1.

    Attributes:
        code: the short name that the ``error`` message carries, such as ``"bad-json"``.
        close_code: the websocket close code that follows (RFC 6455 §7.4, and 1013 for "try again later").
    """

    def __init__(self, code: str, message: str, *, close_code: int = 1008) -> None:
        super().__init__(message)
        self.code = code
        self.close_code = close_code


class ConfigError(FacestreamError):
    """An option, an environment variable or a configuration file asks for something impossible."""


class UnknownModel(ModelError, ConfigError):
    """A model is asked for that there isn't."""


class UnusableDevice(DeviceError, ConfigError):
    """A device is asked for that isn't here."""
