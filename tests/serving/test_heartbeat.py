from __future__ import annotations

from facestream.serving.heartbeat import SWEEPS, Heartbeat, Verdict

SWEEP = 10 / SWEEPS


def sweeps(heartbeat: Heartbeat, start: float, end: float, buffered: int = 0) -> list[Verdict]:
    count = round((end - start) / SWEEP)
    return [heartbeat.check(start + (i + 1) * SWEEP, buffered) for i in range(count)]


def test_a_quiet_peer_is_pinged_before_it_is_given_up():
    verdicts = sweeps(Heartbeat(0, 10), 0, 10)
    assert verdicts.count(Verdict.PING) == 3
    assert Verdict.STALLED in verdicts


def test_a_silent_peer_is_given_up_within_the_timeout_and_at_most_two_sweeps_early():
    heartbeat = Heartbeat(0, 10)
    assert Verdict.STALLED not in sweeps(heartbeat, 0, 9)
    assert heartbeat.check(9.5, 0) is Verdict.STALLED


def test_whatever_the_peer_sends_keeps_it():
    heartbeat = Heartbeat(0, 10)
    for second in range(0, 100, 5):
        heartbeat.heard(second)
        assert Verdict.STALLED not in sweeps(heartbeat, second, second + 5)


def test_a_peer_that_talks_but_does_not_read_is_given_up():
    heartbeat = Heartbeat(0, 10)
    verdicts = []
    for sweep in range(1, SWEEPS + 1):
        verdicts.append(heartbeat.check(sweep * SWEEP, 1000))
        heartbeat.heard(sweep * SWEEP)
    assert Verdict.STALLED in verdicts


def test_a_slow_reader_that_takes_something_is_kept():
    heartbeat = Heartbeat(0, 10)
    verdicts = [heartbeat.check(sweep * SWEEP, 100_000 - sweep) for sweep in range(200)]
    assert set(verdicts) == {Verdict.FINE}


def test_a_stuck_peer_is_not_pinged():
    assert Verdict.PING not in sweeps(Heartbeat(0, 10), 0, 10, buffered=1)


def test_a_pause_of_our_own_is_nobodys_silence():
    heartbeat = Heartbeat(0, 10)
    sweeps(heartbeat, 0, 5)
    assert heartbeat.check(3600, 0) is not Verdict.STALLED
    assert Verdict.STALLED not in sweeps(heartbeat, 3600, 3603)
    assert Verdict.STALLED in sweeps(heartbeat, 3603, 3606)
