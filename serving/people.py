"""The methods of ``/ws/control`` that give faces names."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any

from facestream.errors import ConfigError, FacestreamError
from facestream.serving.messages import (
    MergeParams,
    NameParams,
    NoParams,
    PersonMessage,
    PersonParams,
    RecognitionMessage,
    RenameParams,
)
from facestream.serving.rpc import NO_SUCH_FACE, NOT_RECOGNISING, REFUSED, Failure, Method, convert
from facestream.serving.session import Recognition

log = logging.getLogger("facestream.server")


class PeopleMethods:
    """``people.list``, ``.name``, ``.rename``, ``.remove`` and ``.merge``.

    Args:
        recognition: None where nobody is recognised.
        unrecognised: why that is so, and how to change it.
    """

    def __init__(self, recognition: Recognition | None = None, unrecognised: str = "nobody is recognised here") -> None:
        self._given = recognition
        self._unrecognised = unrecognised
        self.methods: dict[str, Method] = {
            "people.list": self._list,
            "people.name": self._name,
            "people.rename": self._rename,
            "people.remove": self._remove,
            "people.merge": self._merge,
        }

    @property
    def state(self) -> RecognitionMessage:
        """What ``hello`` says about it."""
        if self._given is None:
            return RecognitionMessage(on=False, reason=self._unrecognised)
        return RecognitionMessage(on=True, model=self._given.model)

    @property
    def _recognition(self) -> Recognition:
        if self._given is None:
            raise Failure(NOT_RECOGNISING, self._unrecognised)
        return self._given

    async def _list(self, params: Any) -> Any:
        convert(params, NoParams)
        people = await _done(self._recognition.list())
        return [PersonMessage(name=person.name, looks=person.looks) for person in people]

    async def _name(self, params: Any) -> Any:
        wanted = convert(params, NameParams)
        try:
            await _done(self._recognition.name(wanted.source, wanted.track, wanted.name))
        except KeyError:
            problem = f"there is no good picture of face {wanted.track} yet: let it look at the camera, and try again"
            raise Failure(NO_SUCH_FACE, problem) from None
        return {}

    async def _rename(self, params: Any) -> Any:
        wanted = convert(params, RenameParams)
        await _done(self._recognition.rename(wanted.name, wanted.to))
        return {}

    async def _remove(self, params: Any) -> Any:
        await _done(self._recognition.remove(convert(params, PersonParams).name))
        return {}

    async def _merge(self, params: Any) -> Any:
        wanted = convert(params, MergeParams)
        await _done(self._recognition.merge(wanted.name, wanted.into))
        return {}


async def _done(change: Awaitable[Any]) -> Any:
    """What a request comes to; what the gallery says against it is the answer."""
    try:
        return await change
    except ConfigError as error:
        raise Failure(REFUSED, str(error)) from error
    except FacestreamError as error:
        log.error("%s", error)  # names files of this machine: nobody else's business
        problem = "the gallery of people can't be read or written now; the server's log says why"
        raise Failure(REFUSED, problem) from error
