from __future__ import annotations

import pytest

from facestream.errors import ConfigError
from facestream.serving.deferred import DeferredSession
from facestream.stream.hub import Hub
from facestream.stream.types import SourceState


async def test_until_there_is_a_session_there_are_no_sources_and_none_can_be_added(bridge):
    deferred = DeferredSession(Hub(), bridge)
    assert deferred.not_ready
    assert deferred.sources() == []
    assert deferred.statistics().stages == []
    with pytest.raises(ConfigError, match="being loaded"):
        await deferred.add_source("rtsp://camera/")


async def test_then_it_is_that_session(bridge, session):
    deferred = DeferredSession(session.hub, bridge)
    changed = []
    deferred.on_change(changed.append)
    deferred.begin(session)
    assert deferred.not_ready == ""
    assert [source.name for source in deferred.sources()] == ["door", "yard"]
    session.change("door", SourceState.DEGRADED)
    assert [info.name for info in changed] == ["door"]


async def test_its_results_must_come_out_where_they_are_served(bridge, session):
    with pytest.raises(ValueError, match="hub"):
        DeferredSession(Hub(), bridge).begin(session)
