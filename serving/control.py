"""``/ws/control``: JSON-RPC 2.0 over the live session (https://www.jsonrpc.org/specification)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from facestream.errors import ConfigError, ProtocolError, SourceError
from facestream.io.urls import check_name
from facestream.serving.allowed import AllowedSources
from facestream.serving.limits import Limits
from facestream.serving.lookup import Lookup, addresses_of
from facestream.serving.messages import (
    AddParams,
    ErrorResponse,
    NoParams,
    RemoveParams,
    ResultResponse,
    UpdateParams,
    source_message,
)
from facestream.serving.people import PeopleMethods
from facestream.serving.rpc import (
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NO_SUCH_SOURCE,
    PARSE_ERROR,
    REFUSED,
    SOURCE_FAILED,
    Failure,
    Method,
    convert,
)
from facestream.serving.session import Session

if TYPE_CHECKING:
    from facestream.jobs.live import SourceInfo


class Control:
    """Answers the requests of every control connection.

    Args:
        session: what is controlled.
        statistics: the result of ``statistics``.
        people: what is done with people and their names.
        allowed: which sources the network may add.
        lookup: the addresses of a host.
        methods: more requests, from the parts that answer them.

    Attributes:
        methods: every request that there is.
    """

    def __init__(
        self,
        session: Session,
        limits: Limits,
        statistics: Callable[[], dict[str, Any]],
        people: PeopleMethods,
        *,
        allowed: AllowedSources,
        lookup: Lookup = addresses_of,
        methods: Mapping[str, Method] | None = None,
    ) -> None:
        self._session = session
        self._limits = limits
        self._statistics = statistics
        self._allowed = allowed
        self._lookup = lookup
        self.methods: dict[str, Method] = {
            "sources.add": self._add,
            "sources.update": self._update,
            "sources.restart": self._restart,
            "sources.remove": self._remove,
            "sources.list": self._list,
            **people.methods,
            **(methods or {}),
            "statistics": self._count,
        }

    async def answer(self, text: str) -> bytes | None:
        """The response to one message, or None when it holds notifications only.

        Cancelling may leave a source half added: it is then in the list, connecting.

        Raises:
            ProtocolError: the message is nested deeper than the limit.
        """
        check_depth(text, self._limits.json_depth)
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            return _failed(Failure(PARSE_ERROR, f"this isn't JSON: {error}"), None)
        if not isinstance(message, list):
            return await self._answer_one(message)
        if not 1 <= len(message) <= self._limits.batch:
            problem = f"a batch holds 1 to {self._limits.batch} requests, not {len(message)}"
            return _failed(Failure(INVALID_REQUEST, problem), None)
        responses = [response for request in message if (response := await self._answer_one(request)) is not None]
        return b"[" + b",".join(responses) + b"]" if responses else None

    async def _answer_one(self, request: Any) -> bytes | None:
        try:
            method, params = self._read(request)
            result = await method(params)
        except Failure as failure:
            if _is_notification(request) and failure.error.code != INVALID_REQUEST:
                return None
            return _failed(failure, _request_id(request))
        if _is_notification(request):
            return None
        return msgspec.json.encode(ResultResponse(result=result, id=_request_id(request)))

    def _read(self, request: Any) -> tuple[Method, Any]:
        if (
            not isinstance(request, dict)
            or request.get("jsonrpc") != "2.0"
            or not isinstance(request.get("method"), str)
        ):
            raise Failure(INVALID_REQUEST, 'this isn\'t a request; send {"jsonrpc": "2.0", "id": 1, "method": …}')
        if not isinstance(request.get("id"), str | int | float | None) or isinstance(request.get("id"), bool):
            raise Failure(INVALID_REQUEST, "a request's id is a string, a number or null")
        method = self.methods.get(request["method"])
        if method is None:
            names = ", ".join(self.methods)
            raise Failure(METHOD_NOT_FOUND, f"there is no method {request['method'][:64]!r}; there are {names}")
        return method, request.get("params", {})

    async def _add(self, params: Any) -> Any:
        wanted = convert(params, AddParams)
        if len(self._session.sources()) >= self._limits.sources:
            raise Failure(REFUSED, f"there are {self._limits.sources} sources already; remove one first")
        try:
            await self._check_source(wanted.url)
            name = None if wanted.name is None else check_name(wanted.name)
            options = replace(self._session.options, **wanted.given(), follow=self._allowed.follow)
            return source_message(await self._session.add_source(wanted.url, name=name, options=options))
        except (ConfigError, SourceError) as error:
            raise _refusal(error) from error

    async def _update(self, params: Any) -> Any:
        wanted = convert(params, UpdateParams)
        info = self._source(wanted.name)
        try:
            url = None if wanted.url in (UNSET, info.url) else wanted.url
            options = replace(info.options, **wanted.given())
            if url is not None:
                await self._check_source(url)
                options = replace(options, follow=self._allowed.follow)
            return source_message(await self._session.update_source(wanted.name, url, options))
        except KeyError:
            raise _no_such(wanted.name) from None
        except (ConfigError, SourceError) as error:
            raise _refusal(error) from error

    async def _restart(self, params: Any) -> Any:
        name = convert(params, RemoveParams).name
        try:
            return source_message(await self._session.restart_source(name))
        except KeyError:
            raise _no_such(name) from None
        except SourceError as error:
            raise _refusal(error) from error

    def _source(self, name: str) -> SourceInfo:
        for info in self._session.sources():
            if info.name == name:
                return info
        raise _no_such(name)

    async def _check_source(self, url: str) -> None:
        # By its looks first: parsing a path would look at the disk, and tell.
        host = self._allowed.host_to_resolve(url)
        if host is not None:
            self._allowed.check_addresses(host, await self._lookup(host))

    async def _remove(self, params: Any) -> Any:
        name = convert(params, RemoveParams).name
        try:
            await self._session.remove_source(name)
        except KeyError:
            raise _no_such(name) from None
        return {}

    async def _list(self, params: Any) -> Any:
        convert(params, NoParams)
        return [source_message(info) for info in self._session.sources()]

    async def _count(self, params: Any) -> Any:
        convert(params, NoParams)
        return self._statistics()


def _no_such(name: str) -> Failure:
    return Failure(NO_SUCH_SOURCE, f"there is no source {name[:64]!r}; see sources.list")


def _refusal(error: ConfigError | SourceError) -> Failure:
    return Failure(REFUSED if isinstance(error, ConfigError) else SOURCE_FAILED, str(error))


def check_depth(text: str, limit: int) -> None:
    """Refuse JSON nested deeper than ``limit`` before anything parses it.

    Raises:
        ProtocolError: it is.
    """
    depth = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', text, re.DOTALL):
        if token[0] in "[{":
            depth += 1
            if depth > limit:
                raise ProtocolError("too-deep", f"the message is nested deeper than {limit} levels; flatten it")
        elif token[0] in "]}":
            depth -= 1


def _is_notification(request: Any) -> bool:
    return isinstance(request, dict) and "id" not in request


def _request_id(request: Any) -> Any:
    given = request.get("id") if isinstance(request, dict) else None
    return given if isinstance(given, str | int | float) and not isinstance(given, bool) else None


def _failed(failure: Failure, request_id: Any) -> bytes:
    return msgspec.json.encode(ErrorResponse(error=failure.error, id=request_id))
