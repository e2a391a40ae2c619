"""The tokens of a running server: those of the file, as it is now, and the one of ``--token``."""

from __future__ import annotations

import logging
from pathlib import Path

from facestream.errors import ConfigError, FileFormatError
from facestream.serving.token_file import TokenFile
from facestream.serving.tokens import Keyring, Token
from facestream.stream.device import Bridge

log = logging.getLogger("facestream.server")


class Keys:
    """Whose token is whose.

    Args:
        path: the file of tokens, which may not exist yet; None for no file.
        token: one more, whose holder may do everything. One that is, or was, the file's is no more than that.

    Attributes:
        ring: the tokens as they were read last.
        locked: each request has to show a token: there are some, or were since the server started.

    Raises:
        ConfigError: the token is empty.
    """

    def __init__(self, bridge: Bridge, path: Path | None = None, token: str | None = None) -> None:
        if token == "":
            raise ConfigError("the token is empty; give a longer one with --token or FACESTREAM_TOKEN, or none at all")
        self._bridge = bridge
        self._file = TokenFile(path) if path is not None else None
        self._token = token
        self._problem = ""
        self.ring = Keyring((), token)
        self.locked = bool(self.ring)

    async def load(self) -> None:
        """Read the file anew if it has changed.

        Raises:
            FileFormatError: it is damaged, or can't be read.
        """
        if self._file is None:
            return
        tokens = await self._bridge.cpu(self._file.tokens)
        if self._token is not None and (own := Keyring(tokens).find(self._token)) is not None:
            log.warning(
                "--token is the token %r of %s, and may do no more than that (%s): leave it, or FACESTREAM_TOKEN, out, "
                "or choose another",
                own.name,
                self._file.path,
                " and ".join(role.value for role in own.roles),
            )
            self._token = None  # for good: else its removal from the file would let its holder do everything
        self.ring = Keyring(tokens, self._token)
        self.locked = self.locked or bool(self.ring)

    async def refresh(self) -> None:
        """As :meth:`load`, but where the file can't be read the tokens stay as they were."""
        try:
            await self.load()
        except FileFormatError as error:
            if str(error) != self._problem:
                log.error("the tokens stay as they were: %s", error)
            self._problem = str(error)
        else:
            self._problem = ""

    async def find(self, secret: str) -> Token | None:
        """Whose ``secret`` this is. One that isn't known may have been made a moment ago."""
        token = self.ring.find(secret)
        if token is None:
            await self.refresh()
            token = self.ring.find(secret)
        return token

    def holds(self, token: Token | None, now: float) -> bool:
        """Whether somebody who came in with ``token`` may stay.

        Args:
            token: None for one who came in when there were no tokens.
            now: Unix seconds.
        """
        if token is None:
            return not self.locked
        return token in self.ring and not token.expired(now)
