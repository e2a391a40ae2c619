"""What the methods of ``/ws/control`` share: error codes, failures, and parameters of the right kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from facestream.serving.messages import RpcError

P = TypeVar("P", bound=msgspec.Struct)

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
NO_SUCH_SOURCE: Final = -32001
REFUSED: Final = -32002
SOURCE_FAILED: Final = -32003
NO_SUCH_FACE: Final = -32004
NOT_RECOGNISING: Final = -32005
NO_SUCH_EVENT: Final = -32006

Method: TypeAlias = Callable[[Any], Awaitable[Any]]


class Failure(Exception):
    """A request that can't be answered with a result."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.error = RpcError(code=code, message=message)


def convert(params: Any, kind: type[P]) -> P:
    """``params`` as what the method asks for.

    Raises:
        Failure: they are something else.
    """
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise Failure(INVALID_PARAMS, f"wrong params: {error}") from None
