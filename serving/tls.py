"""The server's certificate."""

from __future__ import annotations

import logging
import os
import ssl
import stat
from pathlib import Path

from facestream.errors import ConfigError

log = logging.getLogger("facestream.server")


def certificate_files(cert: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """Both, or None for neither.

    Raises:
        ConfigError: one of them is missing.
    """
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ConfigError("a certificate needs its private key: give both --cert and --key")
    return cert, key


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """What TLS connections are made with: TLS 1.2 or newer. Blocks.

    Args:
        cert: the certificate and those that vouch for it, PEM.
        key: its private key, PEM, without a password.

    Raises:
        ConfigError: a file can't be read, holds something else, or the two don't belong together.
    """
    for path, what in ((cert, "certificate"), (key, "private key")):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise ConfigError(f"{path}: the {what} can't be read ({error.strerror})") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        why = (error.reason or "unreadable").lower().replace("_", " ")
        raise ConfigError(f"{cert} and {key} aren't a PEM certificate and its private key ({why})") from None
    if os.name == "posix" and stat.S_IMODE(key.stat().st_mode) & stat.S_IROTH:
        log.warning("%s can be read by everybody on this machine; chmod 640 or 600 it", key)
    return context


def _no_password() -> bytes:
    return b""  # or OpenSSL would ask at the terminal
