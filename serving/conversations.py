"""What is said on the three websockets, once one is open."""

from __future__ import annotations

from websockets.frames import CloseCode

from facestream import __version__
from facestream.errors import ProtocolError
from facestream.serving.control import Control
from facestream.serving.fanout import Fanout
from facestream.serving.forms import Wanted
from facestream.serving.limits import Limits
from facestream.serving.messages import HelloMessage, source_message
from facestream.serving.peer import Peer, text_frame
from facestream.serving.people import PeopleMethods
from facestream.serving.push import PushStatistics, open_push, receive_pictures
from facestream.serving.routes import Query, Role
from facestream.serving.session import Session


class Conversations:
    """Talks with a peer until it leaves.

    Args:
        people: how people are recognised, for the greeting.
        pushed: added to as pictures come.
    """

    def __init__(
        self,
        session: Session,
        fanout: Fanout,
        control: Control,
        people: PeopleMethods,
        limits: Limits,
        pushed: PushStatistics,
    ) -> None:
        self._session = session
        self._fanout = fanout
        self._control = control
        self._people = people
        self._limits = limits
        self._pushed = pushed

    async def hold(self, peer: Peer, query: Query) -> None:
        """
        Args:
            query: what the websocket was opened for.

        Raises:
            ProtocolError: the peer has said something that it mustn't.
            ConnectionClosed: it has left.
        """
        if query.path == "/ws/faces":
            await self._send_faces(peer, query)
        elif query.path == "/ws/push":
            await self._take_pictures(peer, query)
        else:
            await self._answer_requests(peer, query)

    async def _send_faces(self, peer: Peer, query: Query) -> None:
        wanted = Wanted.parse(query.parameters)
        self._greet(peer)
        with self._fanout.subscribed(peer, wanted):
            async for _ in peer:
                raise ProtocolError("unexpected-message", "/ws/faces takes no messages; use /ws/control or /ws/push")

    async def _take_pictures(self, peer: Peer, query: Query) -> None:
        names = query.parameters.get("source", [])
        if len(names) != 1 or query.parameters.keys() - {"source", "fields"}:
            raise ProtocolError("bad-parameter", "connect to /ws/push?source=NAME; fields is the only other parameter")
        wanted = Wanted.parse(query.parameters)
        push = await open_push(self._session, names[0], self._limits)
        try:
            self._greet(peer, None if Role.VIEW in query.roles else names[0])
            with self._fanout.subscribed(peer, wanted, own_notices=True):
                await receive_pictures(peer, push, self._session.bridge, self._limits, self._pushed)
        finally:
            push.disconnect()

    async def _answer_requests(self, peer: Peer, query: Query) -> None:
        if query.parameters:
            raise ProtocolError("bad-parameter", f"/ws/control has no parameter {sorted(query.parameters)[0]!r}")
        self._greet(peer)
        async for message in peer:
            if isinstance(message, bytes):
                raise ProtocolError("not-text", "send JSON-RPC requests as text", close_code=CloseCode.UNSUPPORTED_DATA)
            response = await self._control.answer(message)
            if response is not None:
                await peer.send(response, text=True)

    def _greet(self, peer: Peer, only: str | None = None) -> None:
        """Say hello, with every source or one."""
        sources = [source_message(info) for info in self._session.sources() if only in (None, info.name)]
        hello = HelloMessage(version=__version__, sources=sources, recognition=self._people.state)
        peer.push(text_frame(hello))
