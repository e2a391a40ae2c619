from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from facestream.errors import AlignmentsError
from facestream.io.alignments import Alignments, alignments_path, alignments_paths
from facestream.io.face_record import FaceAlignment, FrameEntry
from facestream.io.fsa import read_fsa, write_fsa
from facestream.io.journal import MAGIC, JournalHeader, encode_frame, encode_header, journal_path
from tests.io import alignment_files as files

AT = datetime(2026, 3, 1, 14, 5, 9)


@pytest.fixture
def alignments(tmp_path: Path) -> Alignments:
    """Six frames of 2, 0, 1, 2, 0 and 1 faces."""
    return Alignments(tmp_path / "a.fsa", files.entries(6))


def journal(path: Path, *frames: tuple[str, FrameEntry]) -> None:
    records = [encode_frame(name, entry) for name, entry in frames]
    journal_path(path).write_bytes(MAGIC + encode_header(JournalHeader("x")) + b"".join(records))


def test_saving_and_loading_changes_nothing(alignments: Alignments) -> None:
    assert alignments.save(AT) is None
    loaded = Alignments.load(alignments.path)
    assert files.dicts(loaded.frames) == files.frames(6)
    assert loaded.save(AT) is None
    loaded.frames.popitem()
    assert loaded.save(AT) == alignments.path.with_name("a_bk_2026-03-01_14.05.09.fsa")


def test_it_counts_what_is_there(alignments: Alignments) -> None:
    assert (len(alignments), alignments.faces_count) == (6, 6)
    assert alignments.masks == {"custom_face": 6}
    assert alignments.identities == {"vggface2": 6}
    assert len(alignments.video_meta) == 6
    assert "clip_000002.mp4" in alignments
    assert alignments.faces("clip_000002.mp4") == alignments.faces("none.mp4") == []
    assert [(name, index) for name, index, _ in alignments.each_face()][:3] == [
        ("clip_000001.mp4", 0),
        ("clip_000001.mp4", 1),
        ("clip_000003.mp4", 0),
    ]


def test_it_says_what_is_missing_on_either_side(alignments: Alignments) -> None:
    frames = ["clip_000001.mp4", "clip_000007.mp4"]
    assert alignments.missing_from(frames) == ["clip_000007.mp4"]
    assert alignments.without_frame(frames) == [f"clip_{n:06d}.mp4" for n in range(2, 7)]


def test_faces_are_kept_or_dropped_by_their_index(alignments: Alignments) -> None:
    second = alignments.faces("clip_000001.mp4")[1]
    assert alignments.keep_faces({"clip_000001.mp4": [0]}, drop=True) == 1
    assert alignments.faces("clip_000001.mp4") == [second]
    assert alignments.keep_faces({"clip_000001.mp4": [0], "clip_000004.mp4": {1}}) == 3
    assert [len(entry.faces) for entry in alignments.frames.values()] == [1, 0, 0, 1, 0, 0]


def test_faces_are_sorted_and_it_says_whence_they_came(tmp_path: Path) -> None:
    faces = [FaceAlignment.from_dict(files.face() | {"x": x}) for x in (30, 10, 20)]
    alignments = Alignments(tmp_path / "a.fsa", {"a.png": FrameEntry(faces), "b.png": FrameEntry(faces[1:])})
    assert alignments.sort_faces(lambda face: face.x) == {"a.png": [1, 2, 0]}
    assert [face.x for face in alignments.faces("a.png")] == [10, 20, 30]


def test_a_name_that_leads_elsewhere_isnt_taken(alignments: Alignments) -> None:
    alignments.replace("b.png", [])
    for name in ("../b.png", "", "..", "a\nb"):
        with pytest.raises(AlignmentsError, match="impossible name"):
            alignments.replace(name, [])


# After a crash


def test_loading_adds_what_the_journal_of_a_killed_job_has(tmp_path: Path) -> None:
    path = tmp_path / "a.fsa"
    write_fsa(path, [("a.png", files.entry(1)), ("b.png", files.entry(2))])
    journal(path, ("b.png", files.entry(3)), ("c.png", files.entry(4)))
    loaded = Alignments.load(path)
    wanted = {"a.png": files.entry(1), "b.png": files.entry(3), "c.png": files.entry(4)}
    assert files.dicts(loaded.frames) == files.dicts(wanted)
    assert loaded.recovered == 2
    assert journal_path(path).exists()
    loaded.save(None)
    assert not journal_path(path).exists()
    assert files.dicts(read_fsa(path)[1]) == files.dicts(wanted)


def test_what_a_killed_job_has_recorded_isnt_mixed_with_a_file_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.fsa"
    journal(path, ("b.png", files.entry(3)))
    with pytest.raises(AlignmentsError, match="holds 1 frames of a job that didn't end"):
        Alignments(path, {"b.png": files.entry(4)}).save(backup_at=None)
    assert not path.exists()


def test_a_journal_alone_is_enough(tmp_path: Path) -> None:
    journal(tmp_path / "a.fsa", ("c.png", files.entry(4)))
    assert list(Alignments.load(tmp_path / "a.fsa").frames) == ["c.png"]


def test_neither_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AlignmentsError, match=r"a\.fsa can't be read"):
        Alignments.load(tmp_path / "a.fsa")


# Names


def test_a_file_lies_where_faceswap_looks_for_it() -> None:
    assert alignments_path(Path("/v/clip.mp4"), folder=False) == Path("/v/clip_alignments.fsa")
    assert alignments_path(Path("/p"), folder=True) == Path("/p/alignments.fsa")
    assert alignments_path(Path("/p"), Path("/x/mine.json"), folder=True) == Path("/x/mine.fsa")
    assert alignments_path(Path("/p"), Path("/x/mine.FSA"), folder=True) == Path("/x/mine.FSA")


def test_inputs_with_the_same_name_dont_share_a_file() -> None:
    inputs = [(Path(path), False) for path in ("/v/clip.mp4", "/v/clip.avi", "/w/clip.mp4", "/v/clip.mp4")]
    assert [str(path) for path in alignments_paths(inputs)] == [
        "/v/clip.mp4_alignments.fsa",
        "/v/clip.avi_alignments.fsa",
        "/w/clip_alignments.fsa",
        "/v/clip.mp4_alignments.fsa",
    ]


def test_a_videos_older_names_get_its_suffix_and_others_dont() -> None:
    names = ["clip_000001.png", "clip_000002.png", "other_000001.png", "photo.png"]
    alignments = Alignments(Path("a.fsa"), {name: FrameEntry() for name in names})
    assert alignments.name_after_video(Path("/v/clip.mp4")) == 2
    assert list(alignments.frames) == ["clip_000001.mp4", "clip_000002.mp4", *names[2:]]
    assert alignments.name_after_video(Path("/v/clip.mp4")) == 0


def test_names_of_two_kinds_are_left_alone() -> None:
    alignments = Alignments(Path("a.fsa"), {"clip_000001.png": FrameEntry(), "clip_000002.mp4": FrameEntry()})
    assert alignments.name_after_video(Path("clip.mp4")) == 0
