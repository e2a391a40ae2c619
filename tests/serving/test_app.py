from __future__ import annotations

import asyncio
import os
import signal

import pytest

from facestream.jobs.models import ModelOptions
from facestream.serving import app


def test_ctrl_c_while_the_models_load_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    async def load_for_ever(*args: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    monkeypatch.setattr(app, "load_stages", load_for_ever)
    options = app.ServeOptions(models=ModelOptions(device="cpu"))
    with pytest.raises(KeyboardInterrupt), asyncio.Runner() as runner:
        runner.run(app.serve(options, say=print))
