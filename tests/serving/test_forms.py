from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.errors import ProtocolError
from facestream.serving.forms import Edition, Wanted
from facestream.stream.hub import Published
from facestream.stream.records import FrameRecord, encode, frame_record
from facestream.testing.sessions import some_faces


def parse(**query):
    return Wanted.parse({name: value if isinstance(value, list) else [value] for name, value in query.items()})


def payload(frame: bytes) -> bytes:
    length = frame[1]
    return frame[2:] if length < 126 else frame[4:] if length == 126 else frame[10:]


def test_everything_by_default():
    assert parse() == Wanted()


def test_every_parameter():
    wanted = parse(source=["a", "b"], fps="2.5", frames="jpeg", width="320", fields="box,track")
    assert wanted == Wanted(frozenset("ab"), 2.5, 320, frozenset({"box", "track"}))


def test_pictures_of_their_own_width_and_none():
    assert parse(frames="jpeg").width == 0
    assert parse(frames="none", width="320").width is None


def test_no_fields_at_all():
    assert parse(fields="").fields == frozenset()


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ({"fps": "fast"}, "isn't a number"),
        ({"fps": "0"}, "out of range"),
        ({"fps": "nan"}, "out of range"),
        ({"fps": "-1"}, "out of range"),
        ({"fps": ["1", "2"]}, "give it once"),
        ({"width": "1.5"}, "isn't a number"),
        ({"width": "0"}, "out of range"),
        ({"width": "99999999999999999999"}, "out of range"),
        ({"frames": "png"}, "none or jpeg"),
        ({"fields": "box,name"}, "unknown field 'name'"),
        ({"field": "box"}, "unknown parameter 'field'"),
    ],
)
def test_a_bad_parameter_is_named(query, complaint):
    with pytest.raises(ProtocolError, match=complaint) as caught:
        parse(**query)
    assert (caught.value.code, caught.value.close_code) == ("bad-parameter", 1008)


@given(st.text(max_size=30), st.integers(0, 10**9), st.integers(0, 3))
def test_dropped_is_spliced_into_the_same_json(source, dropped, count):
    faces = some_faces(3, source=source, count=count, dropped=7)
    record = frame_record(faces)
    record.dropped = dropped
    record.latency_ms = 250.0
    edition = Edition(Published(faces, 8, 0.0), faces.frame.captured_at + 0.25)
    frame = edition.sheet(None).frame(dropped)
    assert frame[0] == 0x81
    assert payload(frame) == encode(record)


def test_a_sheet_is_made_once_for_a_form_and_a_frame_once_for_a_count():
    edition = Edition(Published(some_faces(), 1, 0.0), 0.0)
    sheet = edition.sheet(frozenset({"box"}))
    assert edition.sheet(frozenset({"box"})) is sheet
    assert edition.sheet(None) is not sheet
    assert sheet.frame(2) is sheet.frame(2)


def test_fields_choose_what_each_face_says():
    frame = Edition(Published(some_faces(), 1, 0.0), 0.0).sheet(frozenset({"box"})).frame(0)
    record = msgspec.json.decode(payload(frame), type=FrameRecord)
    assert record.faces[0].box == [10.0, 12.0, 40.0, 44.0]
    assert record.faces[0].landmarks is msgspec.UNSET


def test_a_picture_message_is_length_json_and_jpeg():
    edition = Edition(Published(some_faces(), 1, 0.0), 0.0)
    frame = edition.sheet(None).with_picture(b"\xff\xd8jpeg").frame(0)
    assert frame[0] == 0x82
    data = payload(frame)
    length = int.from_bytes(data[:4], "big")
    assert data[4 : 4 + length] == payload(edition.sheet(None).frame(0))
    assert data[4 + length :] == b"\xff\xd8jpeg"
