"""``/ws/push``: JPEGs in, their faces out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from facestream.errors import ConfigError, ProtocolError, SourceFormatError, SourceUnavailable
from facestream.io.images import decode_image
from facestream.io.imagesize import image_size
from facestream.serving.limits import Limits
from facestream.serving.peer import Peer
from facestream.serving.session import PushEnd, Session
from facestream.stream.channel import Channel, Overload, Receiver, Sender
from facestream.stream.device import Bridge
from facestream.stream.tasks import task_group
from facestream.stream.types import Image

_JPEG: Final = b"\xff\xd8\xff"


@dataclass(slots=True)
class PushStatistics:
    """Pictures that came, and those of them that gave way to newer ones before they were even decoded."""

    received: int = 0
    replaced: int = 0


class _Message(NamedTuple):
    data: bytes
    received_at: float


async def open_push(session: Session, name: str, limits: Limits) -> PushEnd:
    """Take the source ``push:NAME`` for one pusher.

    Raises:
        ProtocolError: the name can't be used, belongs to another kind of source or is pushed to by
            somebody else.
    """
    names = {info.name for info in session.sources()}
    if name not in names and len(names) >= limits.sources:
        raise ProtocolError(
            "too-many-sources",
            f"there are {limits.sources} sources already; remove one first",
            close_code=CloseCode.TRY_AGAIN_LATER,
        )
    try:
        push = await session.push_source(name)
        push.connect()
    except (ConfigError, SourceUnavailable) as error:
        raise ProtocolError("source-taken", str(error)) from error
    return push


async def receive_pictures(peer: Peer, push: PushEnd, bridge: Bridge, limits: Limits, count: PushStatistics) -> None:
    """Feed a source with what ``peer`` sends, until it leaves. Pictures that come too fast give way.

    Args:
        count: added to as pictures come.

    Cancelling loses the pictures not yet fed.

    Raises:
        ProtocolError: a message that isn't a JPEG, or one that is too large.
    """
    sender, receiver = Channel[_Message](1, Overload.NEWEST).ends
    async with task_group() as tasks:
        tasks.create_task(_feed(receiver, push, bridge, limits), name="push.feed")
        await _read(peer, sender, count)


async def _read(peer: Peer, pictures: Sender[_Message], count: PushStatistics) -> None:
    try:
        while True:
            message = await peer.recv()
            if isinstance(message, str):
                raise ProtocolError(
                    "not-a-picture",
                    "send each picture as a binary message",
                    close_code=CloseCode.UNSUPPORTED_DATA,
                )
            replaced = pictures.statistics().dropped
            pictures.send_nowait(_Message(message, time.time()))
            count.received += 1
            count.replaced += pictures.statistics().dropped - replaced
    except ConnectionClosed:
        pass
    finally:
        pictures.close()


async def _feed(pictures: Receiver[_Message], push: PushEnd, bridge: Bridge, limits: Limits) -> None:
    try:
        async for message in pictures:
            image = await bridge.cpu(decode_jpeg, message.data, limits.picture_pixels)
            await push.feed(image, captured_at=message.received_at)
    except SourceUnavailable as error:  # removed while somebody pushes
        raise ProtocolError("source-closed", str(error), close_code=CloseCode.GOING_AWAY) from error


def decode_jpeg(data: bytes, max_pixels: int) -> Image:
    """A pushed JPEG → uint8 BGR; its size is read from its header first.

    Raises:
        ProtocolError: not a JPEG, a damaged one, or of more than ``max_pixels``.
    """
    if not data.startswith(_JPEG):
        raise ProtocolError(
            "not-a-jpeg", "this message isn't a JPEG; send JPEGs only", close_code=CloseCode.INVALID_DATA
        )
    size = image_size(data)
    too_large = size is not None and size[0] * size[1] > max_pixels
    try:
        return decode_image(data, max_pixels=max_pixels)
    except SourceFormatError as error:
        code, close_code = (
            ("picture-too-large", CloseCode.MESSAGE_TOO_BIG) if too_large else ("bad-jpeg", CloseCode.INVALID_DATA)
        )
        raise ProtocolError(code, str(error), close_code=close_code) from error
