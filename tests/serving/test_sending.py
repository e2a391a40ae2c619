from __future__ import annotations

from facestream.serving.sending import Sending


def test_answers_go_out_as_long_as_there_is_room():
    sending = Sending(100)
    assert sending.enter(60)
    assert sending.enter(40)
    assert not sending.enter(1)
    sending.leave(40)
    assert sending.enter(30)


def test_one_that_is_larger_than_all_goes_alone():
    sending = Sending(100)
    assert sending.enter(1000)
    assert not sending.enter(1)
    sending.leave(1000)
    assert sending.enter(1)
    assert not sending.enter(1000)
