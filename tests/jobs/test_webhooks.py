"""Webhooks: what an answer means, when to try again, and a real receiver that checks the signature."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from facestream.errors import ConfigError
from facestream.io.http_post import NotAnswered, post
from facestream.jobs.event_options import EventOptions, WebhookOptions, shown
from facestream.jobs.webhooks import WAITS, Webhook, Webhooks, signature, verdict
from facestream.stream.events import Event, Kind
from facestream.tests.io.test_http_post import OK, receiver
from facestream.tests.serving.certificates import make_certificate
from facestream.tests.serving.conftest import until

URL = "https://chat.example/hooks/s3cret"


def event(id_: int = 1, kind: Kind = Kind.ARRIVED, source: str = "door") -> Event:
    return Event(id_, kind, source, 7, "Ada", 1.5, 1.5, 1.5)


class Receiver:
    """Answers with one status after the other, the last for ever; None is no answer."""

    def __init__(self, *answers: int | None) -> None:
        self.answers = deque(answers)
        self.heard: list[tuple[dict[str, str], dict[str, Any]]] = []

    async def __call__(
        self, url: str, body: bytes, headers: dict[str, str], *, timeout: float, tls: ssl.SSLContext
    ) -> int:
        self.heard.append((headers, json.loads(body)))
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(0)
        if answer is None:
            raise NotAnswered("connection refused")
        return answer

    @property
    def ids(self) -> list[int]:
        return [body["id"] for _, body in self.heard]


@asynccontextmanager
async def running(answers: Receiver, *, most: int = 1000, **options: Any) -> AsyncIterator[tuple[Webhook, list[float]]]:
    """A hook at work, and the waits between its attempts, which take no time."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    hook = Webhook(
        WebhookOptions(url=URL, **options),
        ssl.create_default_context(),
        send=answers,
        clock=lambda: 1000.9,
        sleep=sleep,
        most=most,
    )
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(hook.run())
        yield hook, waits
        task.cancel()


def send(hook: Webhook, events: Iterable[Event]) -> None:
    for one in events:
        hook.offer(one)


@pytest.mark.parametrize(
    ("status", "done", "again"),
    [
        (200, True, False),
        (204, True, False),
        (301, False, False),
        (302, False, False),
        (400, False, False),
        (401, False, False),
        (404, False, False),
        (410, False, False),
        (408, False, True),
        (425, False, True),
        (429, False, True),
        (500, False, True),
        (503, False, True),
    ],
)
def test_what_an_answer_means(status: int, done: bool, again: bool) -> None:
    assert verdict(status) == (done, again)


def test_attempts_grow_rarer_and_end_after_half_a_day() -> None:
    assert list(WAITS) == sorted(WAITS)
    assert 12 * 3600 <= sum(WAITS) <= 14 * 3600


async def test_events_are_delivered_in_order() -> None:
    receiver = Receiver(200)
    async with running(receiver) as (hook, waits):
        send(hook, map(event, range(1, 6)))
        await until(lambda: hook.statistics().delivered == 5)
    assert receiver.ids == [1, 2, 3, 4, 5]
    assert waits == []


async def test_a_message_is_the_event_with_its_headers() -> None:
    receiver = Receiver(200)
    async with running(receiver) as (hook, _):
        hook.offer(event())
        await until(lambda: receiver.heard)
    ((headers, body),) = receiver.heard
    assert body == {
        "type": "event",
        "id": 1,
        "kind": "arrived",
        "source": "door",
        "track": 7,
        "name": "Ada",
        "at": 1.5,
        "started_at": 1.5,
        "ended_at": None,
        "picture": None,
        "clip": None,
    }
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Facestream-Timestamp"] == "1000"
    assert "X-Facestream-Signature" not in headers


async def test_what_is_not_taken_is_sent_again_as_the_same_delivery() -> None:
    receiver = Receiver(500, None, 429, 200)
    async with running(receiver) as (hook, waits):
        hook.offer(event())
        await until(lambda: hook.statistics().delivered)
    assert len({headers["X-Facestream-Delivery"] for headers, _ in receiver.heard}) == 1
    assert waits == list(WAITS[:3])
    assert hook.statistics().retried == 3


async def test_a_no_is_a_no_and_the_next_event_is_tried(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver(404, 404, 200)
    with caplog.at_level(logging.INFO, "facestream.webhooks"):
        async with running(receiver) as (hook, waits):
            send(hook, map(event, (1, 2, 3)))
            await until(lambda: hook.statistics().delivered)
    assert receiver.ids == [1, 2, 3]
    assert waits == []
    assert hook.statistics().refused == 2
    assert "s3cret" not in caplog.text
    assert caplog.messages[0] == "webhook https://chat.example/…: doesn't take an event: it answers 404"
    assert caplog.messages[-1] == "webhook https://chat.example/…: takes events again"


async def test_who_never_answers_is_given_up_after_all_attempts() -> None:
    receiver = Receiver(None)
    async with running(receiver) as (hook, waits):
        hook.offer(event())
        await until(lambda: hook.statistics().refused)
    assert waits == list(WAITS)
    assert len(receiver.heard) == len(WAITS) + 1


async def test_a_hook_gets_the_events_that_it_is_for() -> None:
    receiver = Receiver(200)
    async with running(receiver, types=("named",), sources=("door",)) as (hook, _):
        send(hook, [event(1), event(2, Kind.NAMED, "yard"), event(3, Kind.NAMED)])
        await until(lambda: hook.statistics().delivered)
    assert receiver.ids == [3]


async def test_of_too_many_the_oldest_give_way(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver(200)
    async with running(receiver, most=3) as (hook, _):
        send(hook, map(event, range(10)))
        await until(lambda: hook.statistics().delivered == 3)
    assert receiver.ids == [7, 8, 9]
    assert hook.statistics().lost == 7
    assert len(caplog.messages) == 1


async def test_what_waits_is_tried_once_more_at_the_end() -> None:
    receiver = Receiver(200)
    async with Webhooks([WebhookOptions(url=URL)], send=receiver) as hooks:
        hooks.offer(event(1))
        hooks.offer(event(2))
    assert sorted(set(receiver.ids)) == [1, 2]


async def test_a_no_at_the_end_keeps_nothing_else_from_being_tried() -> None:
    answers = Receiver(400, 204)
    hook = Webhook(WebhookOptions(url=URL), ssl.create_default_context(), send=answers)
    for id_ in (1, 2):
        hook.offer(event(id_))
    await hook.finish()
    assert answers.ids == [1, 2]
    assert (hook.statistics().refused, hook.statistics().delivered, hook.statistics().waiting) == (1, 1, 0)


async def test_a_hook_that_hangs_delays_the_end_for_a_moment_only(caplog: pytest.LogCaptureFixture) -> None:
    async def hang(url: str, body: bytes, headers: dict[str, str], *, timeout: float, tls: ssl.SSLContext) -> int:
        await asyncio.Event().wait()
        return 200

    async with Webhooks([WebhookOptions(url=URL)], send=hang, grace=0.01) as hooks:
        hooks.offer(event())
    assert caplog.messages == ["1 events were never taken by their webhooks"]


def verified(secret: str, timestamp: str, body: bytes, given: str) -> bool:
    """As the documentation says it."""
    mac = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return hmac.compare_digest(f"sha256={mac.hexdigest()}", given)


async def test_a_real_receiver_verifies_what_it_gets() -> None:
    heard: list[bytes] = []
    async with (
        receiver(OK, heard) as address,
        Webhooks([WebhookOptions(url=f"http://{address}/hook", secret="swordfish")]) as hooks,
    ):
        hooks.offer(event())
        await until(lambda: hooks.statistics()[0].delivered)
    head, _, body = heard[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    given = headers["X-Facestream-Timestamp"], body, headers["X-Facestream-Signature"]
    assert verified("swordfish", *given)
    assert not verified("perch", *given)
    assert json.loads(body)["name"] == "Ada"


async def test_a_certificate_that_nobody_vouches_for_is_not_sent_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*make_certificate(tmp_path))
    async with (
        receiver(OK, heard, tls=tls) as address,
        Webhooks([WebhookOptions(url=f"https://{address}/hook")]) as hooks,
    ):
        hooks.offer(event())
        await until(lambda: hooks.statistics()[0].retried)
    assert heard == []
    assert "its certificate isn't good: self-signed certificate" in caplog.messages[0]


async def test_a_certificate_that_is_trusted_is_sent_to(tmp_path: Path) -> None:
    heard: list[bytes] = []
    certificate, key = make_certificate(tmp_path)
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(certificate))
    theirs.load_cert_chain(certificate, key)
    async with receiver(OK, heard, tls=theirs) as address:
        assert await post(f"https://{address}/", b"{}", {}, timeout=60, tls=ours) == 204
    assert len(heard) == 1


def test_the_signature_is_what_the_documentation_says() -> None:
    assert verified("s", "12", b"{}", signature("s", "12", b"{}"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/",
        "host/path",
        "http://",
        "https://ho st/",
        "http://host/\r\nX: y",
        "http://host:99999/",
        "http://host:0/",
        "http://host..example/",
        "https://.example/",
        f"http://{'x' * 70}.example/",
        "http://[/",
    ],
)
def test_an_address_that_cannot_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="webhook"):
        WebhookOptions(url=url)


def test_wrong_options_are_refused_without_telling_the_secret() -> None:
    with pytest.raises(ConfigError, match="types has 'arived'"):
        WebhookOptions(url=URL, types=("arived",))
    with pytest.raises(ConfigError, match="secret is empty"):
        WebhookOptions(url=URL, secret="")
    with pytest.raises(ConfigError, match="user in it") as caught:
        WebhookOptions(url="https://me:hunter2@host/x")
    assert "hunter2" not in str(caught.value)
    assert "s3cret" not in repr(WebhookOptions(url=URL, secret="swordfish"))
    assert "swordfish" not in repr(WebhookOptions(url=URL, secret="swordfish"))
    assert shown("https://host") == "https://host"


def test_impossible_numbers_are_refused() -> None:
    for key, value in {"keep_days": 0.0, "max_mb": 0.5, "clip_before": 61.0, "clip_after": -1.0}.items():
        with pytest.raises(ConfigError, match=key):
            EventOptions(**{key: value})  # type: ignore[arg-type]
