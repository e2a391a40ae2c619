"""The file that keeps what is known of each token: private, replaced whole, changed by one program at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from facestream.errors import AlignmentsError, ConfigError, FileFormatError, OutputError
from facestream.io.atomic import replacing
from facestream.io.journal_lock import JournalLock
from facestream.io.user_data import create_private, make_private_folder
from facestream.serving.tokens import Token


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    tokens: list[Token]
    version: Literal[1] = 1


def read_tokens(path: Path) -> Sequence[Token]:
    """The tokens that ``path`` holds; none if there is no such file. Blocks.

    Raises:
        FileFormatError: it isn't a file of tokens, or can't be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise FileFormatError(f"{path}: the tokens can't be read ({error.strerror}); mend that") from error
    if not data.strip():
        return ()
    try:
        return tuple(msgspec.json.decode(data, type=_Content).tokens)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # the latter two are msgspec's, too
        raise FileFormatError(
            f"{path} isn't a file of tokens; move it away, and make new ones with `facestream tokens add`"
        ) from None


def add_token(path: Path, token: Token) -> None:
    """Keep a new token. Blocks.

    Raises:
        ConfigError: there is one of its name already.
        FileFormatError: the file is damaged.
        OutputError: it can't be written.
    """
    with _changing(path):
        tokens = read_tokens(path)
        if any(other.name == token.name for other in tokens):
            raise ConfigError(f"there is a token {token.name!r} already; choose another name, or remove that one first")
        _write(path, (*tokens, token))


def remove_token(path: Path, name: str) -> None:
    """Forget a token: whoever holds it is turned away, and hung up on, within seconds. Blocks.

    Raises:
        ConfigError: there is none of that name.
        FileFormatError: the file is damaged.
        OutputError: it can't be written.
    """
    with _changing(path):
        tokens = read_tokens(path)
        kept = tuple(token for token in tokens if token.name != name)
        if len(kept) == len(tokens):
            raise ConfigError(f"there is no token {name[:64]!r}; see `facestream tokens list`")
        _write(path, kept)


class TokenFile:
    """A file of tokens that is read again when it has changed.

    Every call blocks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: tuple[int, int, int] | None = None
        self._tokens: Sequence[Token] = ()

    def tokens(self) -> Sequence[Token]:
        """
        Raises:
            FileFormatError: it is damaged, or can't be read.
        """
        now = self._signature()
        if now != self._read:
            self._tokens = read_tokens(self.path) if now is not None else ()
            self._read = now
        return self._tokens

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    lock_path = path.with_name(f".{path.name}.lock")
    try:
        make_private_folder(path.parent)
        create_private(lock_path)
        lock = JournalLock(lock_path)
    except OSError as error:
        raise OutputError(f"{path}: the tokens can't be written ({error.strerror}); choose another --tokens") from error
    except AlignmentsError as error:
        raise OutputError(f"{path}: another program is changing the tokens; try again") from error
    try:
        yield
    finally:
        lock.release()


def _write(path: Path, tokens: Sequence[Token]) -> None:
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.unlink(missing_ok=True)
        create_private(temporary)  # so that it is private from its first byte on
        with replacing(path, temporary) as file:
            file.write(msgspec.json.format(msgspec.json.encode(_Content(list(tokens))), indent=1) + b"\n")
    except OSError as error:
        raise OutputError(f"{path}: the tokens can't be written ({error.strerror}); mend that") from error
