from __future__ import annotations

from pathlib import Path

import pytest

from facestream.errors import AlignmentsError, ConfigError, ModelError, SourceUnavailable
from facestream.faces.mask_view import MaskView
from facestream.io.alignments import Alignments
from facestream.io.fsa import write_fsa
from facestream.jobs.mask.pictures import view_of
from facestream.testing.plugins import FakeMasker
from facestream.testing.sources import make_clip
from tests.jobs.face_folders import folder_of_faces, folder_of_frames
from tests.jobs.mask.masking import MASK, mask, masks_in_file, options_for

COUNTS = [1, 0, 2, 1]
MORE_THAN_ARE_ON_THEIR_WAY = 10


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder_of_frames(tmp_path / "frames", COUNTS)
    return tmp_path / "frames"


def backups(folder: Path) -> list[Path]:
    return list(folder.glob("*_bk_*.fsa"))


def test_every_face_of_a_folder_of_frames_gets_its_own_mask(frames: Path) -> None:
    summary = mask(options_for(frames))
    file = Alignments.load(frames / "alignments.fsa")
    for _, _, face in file.each_face():
        assert (face.mask[MASK].pixels() == face.x).all()  # the fake's mask is the box's left edge
    assert summary.made == {MASK: 4}
    assert not summary.replaced
    assert summary.saved == frames / "alignments.fsa"
    assert summary.backup is not None
    assert all(not face.mask for _, _, face in Alignments.load(summary.backup).each_face())


def test_of_missing_masks_a_frame_gets_all_if_one_lacks_it_and_says_so(frames: Path) -> None:
    mask(options_for(frames))
    file = Alignments.load(frames / "alignments.fsa")
    del file.frames["img02.png"].faces[1].mask[MASK]
    file.save(None)
    masker = FakeMasker()
    summary = mask(options_for(frames, processing="missing"), masker)
    assert sum(masker.batches) == 2
    assert summary.made == {MASK: 2}
    assert summary.replaced == {MASK: 1}
    assert summary.kept == {MASK: 2}
    assert summary.lines()[0].startswith(
        f"{MASK}: 2 masks made, 1 of them in place of former ones, 2 faces had it already"
    )


def test_with_nothing_missing_nothing_is_written_and_no_model_loaded(frames: Path) -> None:
    mask(options_for(frames))
    before = (frames / "alignments.fsa").read_bytes()
    masker = FakeMasker(error=ModelError("must not run"))
    summary = mask(options_for(frames, processing="missing"), masker)
    assert summary.lines() == [f"{MASK}: 4 faces had it already"]
    assert (frames / "alignments.fsa").read_bytes() == before
    assert len(backups(frames)) == 1


def test_several_maskers_and_what_else_a_face_has(frames: Path) -> None:
    mask(options_for(frames), FakeMasker(name="one"))
    mask(options_for(frames, processing="missing"), FakeMasker(name="one"), FakeMasker(name="two"))
    assert masks_in_file(frames / "alignments.fsa")["img02.png"] == [["one", "two"], ["one", "two"]]


def test_frames_that_only_one_side_has_are_told(frames: Path) -> None:
    (frames / "img03.png").rename(frames / "other.png")
    summary = mask(options_for(frames))
    assert summary.made == {MASK: 3}
    text = "\n".join(summary.lines())
    assert "1 frame skipped: not in the alignments: other.png" in text
    assert "1 frame of the alignments isn't in the input, and its faces got no mask: img03.png" in text


def test_a_picture_that_cannot_be_read_is_left_out(frames: Path) -> None:
    (frames / "img02.png").write_bytes(b"no picture")
    summary = mask(options_for(frames))
    assert summary.made == {MASK: 2}
    assert any(line.startswith("1 frame can't be read") for line in summary.lines())


def test_frames_of_a_video(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=4)
    still = folder_of_frames(tmp_path / "stills", COUNTS)
    entries = Alignments.load(still).frames.values()
    file = tmp_path / "clip_alignments.fsa"
    write_fsa(file, ((f"clip_{number:06}.mp4", entry) for number, entry in enumerate(entries, 1)))
    summary = mask(options_for(clip))
    assert summary.made == {MASK: 4}
    assert masks_in_file(file)["clip_000003.mp4"] == [[MASK], [MASK]]


def test_what_was_done_before_an_interruption_is_kept_and_not_done_again(frames: Path) -> None:
    summary = mask(options_for(frames), FakeMasker(batch_size=1), stop_after=1)
    made = summary.made[MASK]
    assert 1 <= made < 4
    assert sum(bool(face.mask) for _, _, face in Alignments.load(frames / "alignments.fsa").each_face()) == made
    rest = FakeMasker()
    mask(options_for(frames, processing="missing"), rest)
    assert sum(rest.batches) == 4 - made
    assert all(all(faces) for faces in masks_in_file(frames / "alignments.fsa").values())


def test_a_models_failure_keeps_what_was_made(tmp_path: Path) -> None:
    class Failing(FakeMasker):
        def infer(self, feed):  # type: ignore[no-untyped-def]
            if len(self.batches) == MORE_THAN_ARE_ON_THEIR_WAY:
                raise ModelError("broken")
            return super().infer(feed)

    frames = tmp_path / "frames"
    folder_of_frames(frames, [1] * 2 * MORE_THAN_ARE_ON_THEIR_WAY)
    with pytest.raises(ModelError, match="broken"):
        mask(options_for(frames), Failing(batch_size=1))
    assert masks_in_file(frames / "alignments.fsa")["img00.png"] == [[MASK]]


def test_a_rehearsal_changes_nothing(frames: Path) -> None:
    before = (frames / "alignments.fsa").read_bytes()
    said: list[str] = []
    mask(options_for(frames, dry_run=True), FakeMasker(error=ModelError("must not run")), said=said)
    assert said == [
        f"would make {MASK} of 4 faces in 3 frames",
        f"would save {frames / 'alignments.fsa'}",
    ]
    assert (frames / "alignments.fsa").read_bytes() == before


def test_what_cannot_be_done_is_one_line(tmp_path: Path, frames: Path) -> None:
    with pytest.raises(SourceUnavailable, match="isn't there"):
        mask(options_for(tmp_path / "nowhere"))
    folder_of_faces(tmp_path / "faces", [1])
    with pytest.raises(ConfigError, match="give -I faces"):
        mask(options_for(tmp_path / "faces"))
    (frames / "alignments.fsa").unlink()
    with pytest.raises(AlignmentsError, match="there's no alignments file"):
        mask(options_for(frames))
    folder_of_frames(frames, [0, 0])
    with pytest.raises(AlignmentsError, match="holds no face"):
        mask(options_for(frames))


def test_options_that_do_not_go_together_are_told(tmp_path: Path) -> None:
    for match, options in {
        "-p output": {"masks": ("components",)},
        "-o": {"processing": "output"},
        "-m": {"processing": "import", "masks": ("custom",)},
        "give -M custom": {"processing": "import", "mask_path": tmp_path},
        "leave --batch-mode": {
            "processing": "import",
            "mask_path": tmp_path,
            "masks": ("custom",),
            "batch_mode": True,
        },
        "--full-frame": {"input_type": "faces", "full_frame": True},
        "name one with -M": {"masks": ()},
    }.items():
        with pytest.raises(ConfigError, match=match):
            options_for(tmp_path, **options).check()  # type: ignore[arg-type]


def test_stored_masks_lie_where_their_matrix_says(frames: Path) -> None:
    mask(options_for(frames))
    face = Alignments.load(frames / "alignments.fsa").faces("img00.png")[0]
    view = view_of(face.mask[MASK])
    assert isinstance(view, MaskView)
    assert view.in_frame((160, 120))[:3, :3].tolist() == [[20] * 3] * 3  # the fake's is the frame's first 4 × 4 pixels
