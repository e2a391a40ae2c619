from __future__ import annotations

from pathlib import Path

import pytest

from facestream.errors import AlignmentsError, ConfigError
from facestream.io.alignments import Alignments
from facestream.io.faces import read_header
from facestream.jobs.alignments import from_faces
from facestream.jobs.alignments.work import Work
from tests.jobs.alignments.build import (
    STAMP,
    Heard,
    agree,
    contents,
    extracted,
    picture,
    record,
    silent,
    survives_every_kill,
)

FRAMES = {
    "clip_000002.mp4": [record(10, mask=True, identity=True), record(200)],
    "clip_000010.mp4": [record(30)],
}


def test_a_lost_file_is_rebuilt_from_its_faces(tmp_path: Path, heard: Heard) -> None:
    lost = extracted(tmp_path, FRAMES)
    lost.path.unlink()
    from_faces.run(Work(faces=tmp_path / "faces"), heard.session())
    rebuilt = Alignments.load(tmp_path / "faces" / "clip_alignments.fsa")
    assert list(rebuilt.frames) == list(FRAMES)
    for name, entry in rebuilt.frames.items():
        assert [face.to_dict(thumb=False) for face in entry.faces] == [
            face.to_dict(thumb=False) for face in FRAMES[name]
        ]
        assert all(face.thumb is not None and face.thumb.startswith(b"\xff\xd8") for face in entry.faces)
    assert agree(tmp_path / "faces", rebuilt.path)
    assert "2 frames, 3 faces, of version 2.4; frames without a face aren't known" in heard.told[0]


def test_each_video_gets_its_own_file_and_pictures_share_one(tmp_path: Path) -> None:
    extracted(tmp_path, FRAMES | {"other_000001.avi": [record(1)], "photo.jpg": [record(2)], "more.jpg": [record(3)]})
    target = tmp_path / "files"
    target.mkdir()
    from_faces.run(Work(target, tmp_path / "faces"), silent())
    assert {path.name: list(Alignments.load(path).frames) for path in target.iterdir()} == {
        "alignments.fsa": ["more.jpg", "photo.jpg"],
        "clip_alignments.fsa": ["clip_000002.mp4", "clip_000010.mp4"],
        "other_alignments.fsa": ["other_000001.avi"],
    }
    with pytest.raises(ConfigError, match=r"faces of 3 sources .*clip_alignments\.fsa.*give a folder"):
        from_faces.run(Work(tmp_path / "one.fsa", tmp_path / "faces"), silent())


def test_videos_that_share_a_stem_dont_share_a_file(tmp_path: Path) -> None:
    extracted(tmp_path, {"clip_000001.mp4": [record(1)]})
    picture(tmp_path / "faces" / "clip-2_000001_0.png", record(2), "clip_000001.avi", 0, "clip-2_000001_0.png")
    from_faces.run(Work(faces=tmp_path / "faces"), silent())
    names = {path.name for path in (tmp_path / "faces").glob("*.fsa")}
    assert names == {"clip.mp4_alignments.fsa", "clip.avi_alignments.fsa"}


def test_a_camera_that_reconnected_is_one_source(tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    for stem in ("door_000001", "door-e1_000001", "door-e12_000007"):
        name = f"{stem}_0.png"
        picture(faces / name, record(len(stem)), f"{stem}.png", 0, name, is_video=True)
    from_faces.run(Work(faces=faces), silent())
    assert len(Alignments.load(faces / "door_alignments.fsa")) == 3
    assert len(list(faces.glob("*.fsa"))) == 1


def test_indices_with_gaps_are_closed_in_file_and_headers_but_names_stay(tmp_path: Path) -> None:
    extracted(tmp_path, {"a.jpg": [record(10), record(80), record(150)]})
    faces = tmp_path / "faces"
    (faces / "a_1.png").unlink()
    (faces / "a_2.png").rename(faces / "000007_a.png")
    from_faces.run(Work(tmp_path / "new.fsa", faces), silent())
    assert [face.x for face in Alignments.load(tmp_path / "new.fsa").faces("a.jpg")] == [10, 150]
    source = read_header(faces / "000007_a.png")["source"]
    assert (source["face_index"], source["original_filename"]) == (1, "a_1.png")


def test_copies_go_to_a_folder_of_their_own(tmp_path: Path, heard: Heard) -> None:
    face = record(10)
    extracted(tmp_path, {"a.jpg": [face, record(80)]})
    faces = tmp_path / "faces"
    picture(faces / "A copy.png", face, "a.jpg", 0, "a_0.png")
    from_faces.run(Work(faces=faces), heard.session())
    picture(faces / "B copy.png", face, "a.jpg", 0, "a_0.png")
    from_faces.run(Work(faces=faces), heard.session())
    picture(faces / "A copy.png", face, "a.jpg", 0, "a_0.png")
    from_faces.run(Work(faces=faces), heard.session())
    assert list(contents(faces / "_duplicates")) == ["A copy-2.png", "A copy.png", "B copy.png"]
    assert heard.told.count("1 file renamed or moved") == 3
    assert agree(faces, faces / "alignments.fsa")


def test_a_second_run_has_nothing_to_do(tmp_path: Path, heard: Heard) -> None:
    extracted(tmp_path, FRAMES)
    work = Work(faces=tmp_path / "faces")
    from_faces.run(work, silent())
    before = contents(tmp_path)
    from_faces.run(work, heard.session())
    assert heard.told[-1] == "nothing to change"
    assert contents(tmp_path) == before


def test_a_job_killed_anywhere_is_finished_by_running_it_again(tmp_path: Path) -> None:
    def merged(root: Path) -> Work:
        """Two folders of one clip's faces, put together: indices come twice and with gaps."""
        extracted(root, FRAMES)
        faces = root / "faces"
        (faces / "clip_000010_0.png").unlink()
        for index, name in ((0, "x"), (5, "y"), (5, "z")):
            face = record(100 + ord(name[0]))
            picture(faces / f"{name}.png", face, "clip_000010.mp4", index, f"clip_000010_{index}.png")
        picture(faces / "copy.png", FRAMES["clip_000002.mp4"][1], "clip_000002.mp4", 1, "clip_000002_1.png")
        return Work(root / "rebuilt.fsa", faces)

    # The file (which isn't there yet), two headers, a copy.
    assert survives_every_kill(tmp_path, merged, lambda work: from_faces.run(work, silent())) == 4


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    extracted(tmp_path, FRAMES)
    target = tmp_path / "mine.fsa"
    target.write_bytes(b"damaged beyond reading")
    from_faces.run(Work(target, tmp_path / "faces"), silent())
    assert (tmp_path / f"mine_bk_{STAMP}.fsa").read_bytes() == b"damaged beyond reading"
    assert Alignments.load(target).faces_count == 3


def test_the_lowest_version_is_told(tmp_path: Path, heard: Heard) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    picture(faces / "clip_000001_0.png", record(1), "clip_000001.png", 0, "clip_000001_0.png", 2.3)
    picture(faces / "clip_000002_0.png", record(2), "clip_000002.png", 0, "clip_000002_0.png", 2.1)
    from_faces.run(Work(faces=faces), heard.session())
    assert "of version 2.1" in heard.told[0]
    assert "give the video with -r" in heard.told[1]
    assert list(Alignments.load(faces / "clip_alignments.fsa").frames) == ["clip_000001.png", "clip_000002.png"]
    from_faces.run(Work(tmp_path / "new.fsa", faces, tmp_path / "clip.mov"), silent())
    assert list(Alignments.load(tmp_path / "new.fsa").frames) == ["clip_000001.mov", "clip_000002.mov"]
    assert agree(faces, tmp_path / "new.fsa")


def test_a_header_may_not_lead_elsewhere(tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    for index, name in enumerate(("../../evil_0.png", "a\\b_0.png", "/etc/x_0.png", "..")):
        picture(faces / f"{index}.png", record(index), "a.jpg", 0, name)
    picture(faces / "9.png", record(9), "../a.jpg", 0, "a_0.png")
    with pytest.raises(AlignmentsError, match=r"no picture in .* has a header with a face"):
        from_faces.run(Work(faces=faces), silent())


def test_a_rehearsal_does_nothing(tmp_path: Path, heard: Heard) -> None:
    extracted(tmp_path, FRAMES)
    before = contents(tmp_path)
    from_faces.run(Work(faces=tmp_path / "faces"), heard.session(dry_run=True))
    assert contents(tmp_path) == before
    assert heard.said == [
        "would write 2 faces of clip_000002.mp4",
        "would write 1 face of clip_000010.mp4",
        f"would save {tmp_path / 'faces' / 'clip_alignments.fsa'}",
    ]
