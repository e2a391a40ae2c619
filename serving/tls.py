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
    _check(cert, "certificate", b"-----BEGIN CERTIFICATE-----")
    _check(key, "private key", b"PRIVATE KEY-----")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        _load(context, cert, key)
        readable = os.name == "posix" and stat.S_IMODE(key.stat().st_mode) & stat.S_IROTH
    except OSError as error:  # they are being replaced
        raise ConfigError(f"{cert} or {key} can't be read ({error.strerror}); try again") from None
    if readable:
        log.warning("%s can be read by everybody on this machine; chmod 640 or 600 it", key)
    return context


def _load(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    asked = False

    def no_password() -> bytes:  # or OpenSSL would ask at the terminal
        nonlocal asked
        asked = True
        return b""

    try:
        context.load_cert_chain(cert, key, password=no_password)
    except ssl.SSLError as error:
        if asked:
            problem = f"{key} has a password; write the key without: openssl pkey -in {key} -out NEW.key"
        elif error.reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            problem = f"{key} isn't the private key of {cert}; give the one that this certificate was made with"
        else:
            why = (error.reason or "unreadable").lower().replace("_", " ")
            problem = f"{cert} and {key} can't be used as certificate and private key ({why}); make others"
        raise ConfigError(problem) from None


def _check(path: Path, what: str, mark: bytes) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the {what} can't be read ({error.strerror}); check path and rights") from None
    if mark not in content:
        raise ConfigError(f"{path} holds no {what} in PEM; give the file that does")
