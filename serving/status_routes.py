"""How the server is: ``/health``, ``/metrics``, ``/api/sources`` and ``/api/access``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from facestream.serving.health import Health, is_stuck, judge
from facestream.serving.messages import source_message
from facestream.serving.metrics import CONTENT_TYPE, Metrics
from facestream.serving.routes import Answer, Query, Role, Route
from facestream.serving.session import Session


class StatusRoutes:
    """
    Args:
        ready: why the session can't be used yet, or "".
        stuck_after: seconds without a result, while frames arrive, that mean trouble.
    """

    def __init__(self, session: Session, metrics: Metrics, ready: Callable[[], str], stuck_after: float) -> None:
        self._session = session
        self._metrics = metrics
        self._ready = ready
        self._stuck_after = stuck_after
        self._since = session.hub.clock()
        self.routes: Sequence[Route] = (
            Route("/health", None, self._answer_health, early=True),
            Route("/health/live", None, self._answer_live, early=True),
            Route("/health/ready", None, self._answer_ready, early=True),
            Route("/metrics", Role.VIEW, self._answer_metrics, early=True),
            Route("/api/sources", Role.VIEW, self._answer_sources),
            Route("/api/access", None, self._answer_access, early=True),
        )

    def begun(self) -> None:
        """The session has its models: from now on results are due."""
        self._since = self._session.hub.clock()

    def is_stuck(self) -> bool:
        """Whether frames arrive and no results come."""
        hub = self._session.hub
        return is_stuck(self._session.sources(), hub.statistics(), hub.clock(), self._since, self._stuck_after)

    async def _answer_health(self, query: Query) -> Answer:
        if self._ready():
            return await self._answer_ready(query)
        hub = self._session.hub
        health = judge(self._session.sources(), hub.statistics(), hub.clock(), self._since, self._stuck_after)
        if Role.VIEW not in query.roles:
            health = Health(status=health.status)
        return Answer.json(health, health.http_status)

    async def _answer_live(self, query: Query) -> Answer:
        """The port is open and the event loop turns: restarting us would help nobody."""
        return Answer.json({"status": "live"})

    async def _answer_ready(self, query: Query) -> Answer:
        if reason := self._ready():
            return Answer.json({"status": "starting", "reason": reason}, HTTPStatus.SERVICE_UNAVAILABLE)
        return Answer.json({"status": "ready"})

    async def _answer_metrics(self, query: Query) -> Answer:
        return Answer(HTTPStatus.OK, self._metrics.render(), CONTENT_TYPE)

    async def _answer_sources(self, query: Query) -> Answer:
        return Answer.json([source_message(info) for info in self._session.sources()])

    async def _answer_access(self, query: Query) -> Answer:
        """What the caller may do; nothing for one whose token is missing or isn't good."""
        return Answer.json({"roles": sorted(role.value for role in query.roles)})
