"""Webhooks: events as JSON, posted to programs elsewhere, signed and repeated until they are taken.

A message is the ``event`` message of protocol 1, with these headers::

    X-Facestream-Delivery: …     the same each time that this event is sent there
    X-Facestream-Timestamp: …    Unix seconds of this very attempt
    X-Facestream-Signature: sha256=…   HMAC-SHA256 of TIMESTAMP.BODY with the hook's secret, in hex

Each hook gets its events in order, one at a time, at least once. What 2xx is answered to has arrived. 408, 429, 5xx and
no answer are tried again, seconds, minutes and then an hour later, and given up after half a day; any other answer,
redirections too, means no, at once. What waits is kept in memory only.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, Self

import msgspec

from facestream import __version__
from facestream.io.http_post import NotAnswered, post
from facestream.jobs.event_options import WebhookOptions, shown
from facestream.stream.event_record import event_record
from facestream.stream.events import Event
from facestream.stream.tasks import task_group

log = logging.getLogger("facestream.webhooks")

WAITS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0) + (3600.0,) * 11
"""Seconds before the second try, the third, …: half a day in all."""

TIMEOUT: Final = 10.0
"""Seconds that a whole attempt may take."""

MOST: Final = 1000
"""Events that wait for one hook; then the oldest gives way."""

GRACE: Final = 2.0
"""Seconds for what waits when the server stops."""

_AGAIN: Final = frozenset({408, 425, 429})


class Posting(Protocol):
    """How a message is sent: :func:`facestream.io.http_post.post`."""

    def __call__(
        self, url: str, body: bytes, headers: dict[str, str], *, timeout: float, tls: ssl.SSLContext
    ) -> Awaitable[int]: ...


class Verdict(NamedTuple):
    """What an answer means.

    Attributes:
        done: it has arrived.
        again: it may next time.
    """

    done: bool
    again: bool


def verdict(status: int) -> Verdict:
    """What a status means for a delivery."""
    if 200 <= status < 300:
        return Verdict(done=True, again=False)
    return Verdict(done=False, again=status in _AGAIN or status >= 500)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What ``X-Facestream-Signature`` says."""
    signed = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


@dataclass(frozen=True, slots=True)
class HookStatistics:
    """
    Attributes:
        url: without what may be secret in it.
        refused: answered with no, or given up.
        lost: that gave way to newer ones.
        waiting: now.
        trouble: why the last attempt failed, or "".
    """

    url: str
    delivered: int
    refused: int
    lost: int
    retried: int
    waiting: int
    trouble: str


class Delivery(NamedTuple):
    id: str
    kind: str
    body: bytes


class Webhook:
    """One hook's queue.

    Args:
        clock: Unix seconds.
        sleep: how to wait for the next attempt.
    """

    def __init__(
        self,
        options: WebhookOptions,
        tls: ssl.SSLContext,
        *,
        send: Posting = post,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        most: int = MOST,
    ) -> None:
        self._options = options
        self._tls = tls
        self._send = send
        self._clock = clock
        self._sleep = sleep
        self._most = most
        self._queue: deque[Delivery] = deque()
        self._wake = asyncio.Event()
        self._delivered = self._refused = self._lost = self._retried = 0
        self._trouble = ""
        self._overflows = False

    def offer(self, event: Event) -> None:
        """Send it, if this hook is for such events."""
        options = self._options
        if (options.types and event.kind.value not in options.types) or (
            options.sources and event.source not in options.sources
        ):
            return
        self._queue.append(Delivery(secrets.token_hex(16), event.kind.value, msgspec.json.encode(event_record(event))))
        if len(self._queue) > self._most:
            self._queue.popleft()
            self._lost += 1
            if not self._overflows:
                log.warning("%s: more than %d events wait: the oldest are lost", self, self._most)
            self._overflows = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver for ever. Cancelling may repeat the delivery that is on its way, if another run follows."""
        while True:
            while self._queue:
                delivery = self._queue[0]
                await self._deliver(delivery)
                if self._queue and self._queue[0] is delivery:  # it may have given way meanwhile
                    self._queue.popleft()
            self._overflows = False
            self._wake.clear()
            await self._wake.wait()

    async def finish(self) -> None:
        """Try what waits once more."""
        while self._queue:
            delivery = self._queue[0]
            outcome = await self._try(delivery)
            if outcome.again:
                return
            if not outcome.done:
                self._give_up(delivery)
            self._queue.popleft()

    def statistics(self) -> HookStatistics:
        return HookStatistics(
            shown(self._options.url),
            self._delivered,
            self._refused,
            self._lost,
            self._retried,
            len(self._queue),
            self._trouble,
        )

    def __str__(self) -> str:
        return f"webhook {shown(self._options.url)}"

    async def _deliver(self, delivery: Delivery) -> None:
        for wait in (*WAITS, None):
            outcome = await self._try(delivery)
            if outcome.done:
                return
            if not outcome.again or wait is None:
                break
            self._retried += 1
            await self._sleep(wait)
            if self._queue[0] is not delivery:
                return  # it has given way
        self._give_up(delivery)

    def _give_up(self, delivery: Delivery) -> None:
        self._refused += 1
        log.warning("%s: %s was given up: %s", self, delivery.kind, self._trouble)

    async def _try(self, delivery: Delivery) -> Verdict:
        try:
            status = await self._send(
                self._options.url, delivery.body, self._headers(delivery), timeout=TIMEOUT, tls=self._tls
            )
        except NotAnswered as error:
            self._has_failed(str(error))
            return Verdict(done=False, again=True)
        outcome = verdict(status)
        if not outcome.done:
            self._has_failed(f"it answers {status}")
            return outcome
        self._delivered += 1
        if self._trouble:
            log.info("%s: takes events again", self)
        self._trouble = ""
        return outcome

    def _has_failed(self, why: str) -> None:
        if not self._trouble:
            log.warning("%s: doesn't take an event: %s", self, why)
        self._trouble = why

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"facestream/{__version__}",
            "X-Facestream-Delivery": delivery.id,
            "X-Facestream-Timestamp": timestamp,
        }
        if self._options.secret is not None:
            headers["X-Facestream-Signature"] = signature(self._options.secret, timestamp, delivery.body)
        return headers


class Webhooks:
    """Every hook; ``async with Webhooks(options) as hooks: hooks.offer(event)``. Leaving waits two seconds at most."""

    def __init__(self, options: Sequence[WebhookOptions], *, send: Posting = post, grace: float = GRACE) -> None:
        tls = ssl.create_default_context()
        self._hooks = [Webhook(one, tls, send=send) for one in options]
        self._grace = grace
        self._stack = AsyncExitStack()

    def offer(self, event: Event) -> None:
        """Send an event to whom it is for."""
        for hook in self._hooks:
            hook.offer(event)

    def statistics(self) -> list[HookStatistics]:
        return [hook.statistics() for hook in self._hooks]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._finish)
            tasks = await stack.enter_async_context(task_group())
            for hook in self._hooks:
                stack.callback(tasks.create_task(hook.run(), name="events.webhook").cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> bool | None:
        return await self._stack.__aexit__(*exc_info)  # type: ignore[arg-type]

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(self._grace), task_group() as tasks:
                for hook in self._hooks:
                    tasks.create_task(hook.finish())
        except TimeoutError:
            pass
        if waiting := sum(hook.statistics().waiting for hook in self._hooks):
            log.warning("%d events were never taken by their webhooks", waiting)
