from __future__ import annotations

import asyncio

from facestream.serving import pulse as pulse_module
from facestream.serving.pulse import Pulse


async def test_a_beat_that_was_held_up_is_late(monkeypatch):
    monkeypatch.setattr(pulse_module, "PERIOD", 0.0)
    times = iter([0.0, 0.3, *range(1, 1000)])
    beaten = asyncio.Event()
    pulse = Pulse(clock=lambda: next(times))
    pulse.on_beat(lambda now: beaten.set())
    task = asyncio.create_task(pulse.run())
    await beaten.wait()
    task.cancel()
    assert pulse.lag.sum == 0.3
