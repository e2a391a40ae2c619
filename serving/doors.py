"""What keeps a server's doors, looked at before it runs: its certificate and its tokens. Blocks."""

from __future__ import annotations

from pathlib import Path

from facestream.errors import ConfigError, FileFormatError
from facestream.serving.access import Access
from facestream.serving.tls import certificate_files, server_context
from facestream.serving.token_file import read_tokens
from facestream.serving.tokens import Keyring


def check_certificate(cert: Path | None, key: Path | None) -> None:
    """
    Raises:
        ConfigError: one is missing, can't be read or isn't the other's.
    """
    files = certificate_files(cert, key)
    if files is not None:
        server_context(*files)


def unguarded(host: str, token: str | None, tokens: Path) -> str:
    """A warning if a server of ``host`` would refuse to begin as it finds no token, or "".

    Args:
        tokens: the file of tokens, which the server's own user may have elsewhere.
    """
    try:
        Access(host).check_bind(locked=bool(Keyring(read_tokens(tokens), token)))
    except FileFormatError as error:
        return str(error)
    except ConfigError as error:
        return f"`facestream serve` refuses this where it finds no token, as here: {error}"
    return ""
