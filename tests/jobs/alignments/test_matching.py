from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from facestream.io.face_record import FrameEntry
from facestream.jobs.alignments.matching import match
from facestream.jobs.alignments.pictures import FacePicture
from tests.jobs.alignments.build import record

LEFT, RIGHT = record(10), record(200)


def pictured(face, index=0, frame="a.jpg", name=None, *, is_video=False) -> FacePicture:
    original = f"{Path(frame).stem}_{index}.png"
    return FacePicture(Path("/faces", name or original), frame, index, original, is_video, 2.4, face)


def test_a_picture_is_of_the_face_with_its_box_and_landmarks_whatever_its_index() -> None:
    pictures = [pictured(RIGHT, 0), pictured(LEFT, 1)]
    matching = match({"a.jpg": FrameEntry([LEFT, RIGHT])}, pictures)
    assert [matching.places[picture].face for picture in pictures] == [RIGHT, LEFT]
    assert not matching.duplicates
    assert not matching.strays


def test_smoothed_landmarks_dont_lose_a_picture() -> None:
    smoothed = replace(LEFT, landmarks_xy=LEFT.landmarks_xy + 3)
    one = pictured(LEFT)
    assert match({"a.jpg": FrameEntry([RIGHT, smoothed])}, [one]).places[one].face is smoothed


def test_nor_does_a_box_that_was_corrected_by_hand() -> None:
    corrected = replace(LEFT, x=LEFT.x + 8, landmarks_xy=LEFT.landmarks_xy + 8)
    one = pictured(LEFT, 5)
    assert match({"a.jpg": FrameEntry([RIGHT, corrected])}, [one]).places[one].face is corrected


def test_of_two_copies_the_one_with_its_own_name_counts() -> None:
    copy, own = pictured(LEFT, name="a_0 (copy).png"), pictured(LEFT)
    matching = match({"a.jpg": FrameEntry([LEFT])}, [copy, own])
    assert list(matching.places) == [own]
    assert matching.duplicates == [copy]


def test_a_face_or_frame_that_the_file_doesnt_have_is_a_stray() -> None:
    elsewhere, removed = pictured(LEFT, frame="b.jpg"), pictured(record(400))
    assert match({"a.jpg": FrameEntry([LEFT])}, [elsewhere, removed]).strays == [elsewhere, removed]


def test_two_equal_faces_have_a_picture_each() -> None:
    twin = replace(LEFT)
    pictures = [pictured(LEFT, 1), pictured(LEFT, 0)]
    matching = match({"a.jpg": FrameEntry([LEFT, twin])}, pictures)
    assert [matching.places[picture].face for picture in pictures] == [twin, LEFT]


def test_a_videos_frame_is_found_whatever_its_suffix_was() -> None:
    frames = {"clip_000001.mp4": FrameEntry([LEFT])}
    old = pictured(LEFT, frame="clip_000001.png", is_video=True)
    assert match(frames, [old]).places[old].frame == "clip_000001.mp4"
    photo = pictured(LEFT, frame="clip_000001.png")
    assert match(frames, [photo]).strays == [photo]
