from __future__ import annotations

from dataclasses import replace

from facestream.serving.health import judge, summary
from facestream.stream.hub import SourceFlow
from facestream.stream.types import SourceState
from facestream.testing.sessions import source_info


def health(*sources, flows=None, now=1000.0, since=0.0):
    return judge(sources, flows or {}, now, since, stuck_after=15)


def flow(at: float) -> dict[str, SourceFlow]:
    return {"door": SourceFlow(published=1, published_at=at)}


def test_an_empty_session_is_fine():
    assert health().status == "ok"
    assert health().http_status == 200


def test_frames_with_results_are_fine():
    state = health(source_info(), flows=flow(999.0))
    assert state.status == "ok"
    assert state.sources["door"].last_result_age == 1.0


def test_frames_without_results_are_a_failure():
    state = health(source_info(), flows=flow(980.0))
    assert (state.status, state.http_status) == ("failing", 503)
    assert "no results" in state.reason


def test_results_may_take_a_while_at_first():
    assert health(source_info(), since=990.0).status == "ok"
    assert health(source_info(), since=980.0).status == "failing"


def test_one_broken_camera_of_two_is_degraded_but_up():
    state = health(source_info(), source_info("yard", state=SourceState.DEGRADED), flows=flow(1000.0))
    assert (state.status, state.http_status) == ("degraded", 200)
    assert "yard" in state.reason


def test_no_working_camera_is_a_failure():
    down = replace(source_info(state=SourceState.DEGRADED), last_frame_age=60.0)
    assert health(down).status == "failing"


def test_a_source_that_has_ended_is_no_failure():
    assert health(replace(source_info(state=SourceState.STOPPED), last_frame_age=60.0)).status == "ok"


def test_a_source_that_was_given_up_is_one():
    given_up = replace(source_info("yard", state=SourceState.STOPPED), reason="yard.mp4 isn't there")
    assert health(given_up).status == "failing"
    assert health(source_info(), given_up, flows=flow(999.0)).reason == "not working: yard"
    assert summary([source_info(), given_up]) == "sources: 1 live, 1 stopped (yard)"


def test_sources_are_summed_up_in_a_line():
    assert summary([]) == "no sources"
    assert summary([source_info(), source_info("yard", state=SourceState.DEGRADED)]) == (
        "sources: 1 live, 1 degraded (yard)"
    )
