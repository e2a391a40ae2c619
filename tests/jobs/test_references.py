"""Pictures of people after --filter and --nfilter: what is read of them, and what becomes of a job that filters."""

from __future__ import annotations

import asyncio
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import facestream
from facestream.cli import run
from facestream.cli_settings import SETTINGS
from facestream.config import from_file
from facestream.errors import ConfigError, WeightsMissing
from facestream.io.faces import read_header, update_header
from facestream.io.gallery import Gallery
from facestream.io.user_data import people_file
from facestream.jobs.extract_command import extract_command, models_for
from facestream.jobs.extract_job import ExtractJob
from facestream.jobs.extract_plan import ExtractOptions, plan
from facestream.jobs.models import FILE, ModelOptions, load_stages, reference_threshold
from facestream.jobs.passes import passes
from facestream.jobs.references import fingerprint, load_references, pictures_of
from facestream.plugins.identity.cards import SFACE
from facestream.plugins.identity.cosine import cosines
from facestream.plugins.identity.filters import References
from facestream.plugins.identity.sface import SFace
from facestream.stream.device import Bridge
from facestream.stream.types import Floats
from facestream.testing.photos import read_photo
from tests.jobs.extracting import contents, options_for
from tests.jobs.face_folders import folder_of_faces


@dataclass(frozen=True)
class People:
    """Five people in a photo of its own, and each one's extracted face with an sface embedding, from left to right."""

    photo: Path
    faces: list[Path]
    lefts: list[int]

    def embedding(self, person: int) -> Floats:
        return np.float32(read_header(self.faces[person])["alignments"]["identity"]["sface"])


@pytest.fixture(scope="module")
def people(weights: None, five_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> People:
    folder = tmp_path_factory.mktemp("people")
    shutil.copy(five_faces, folder / "five.jpg")
    models = ModelOptions(device="cpu", identity="sface")
    options = options_for(folder / "five.jpg", output=folder / "faces", models=models, size=256, no_alignments=True)
    try:
        assert asyncio.run(extract_command(options)) == 0
    except WeightsMissing as error:
        pytest.skip(str(error))
    lefts = {path: read_header(path)["alignments"]["x"] for path in (folder / "faces").glob("*.png")}
    faces = sorted(lefts, key=lambda path: lefts[path])
    return People(folder / "five.jpg", faces, [lefts[path] for path in faces])


async def references(*, nfilter: tuple[Path | str, ...] = (), filter: tuple[Path | str, ...] = ()) -> References:
    options = ModelOptions(device="cpu", filter=tuple(map(str, filter)), nfilter=tuple(map(str, nfilter)))
    async with Bridge("cpu", torch_threads=1) as bridge:
        found = await load_references(options, bridge)
    assert found is not None
    return found


def known_face(folder: Path, embedding: list[float] | None) -> Path:
    """An extracted face of nobody, with or without an embedding."""
    (path,) = folder_of_faces(folder, [1])
    if embedding is not None:
        header = read_header(path)
        header["alignments"]["identity"] = {"sface": embedding}
        update_header(path, header)
    return path


class TestNames:
    def test_a_folder_stands_for_its_pictures_and_each_counts_once(self, tmp_path: Path) -> None:
        for name in ("b.PNG", "a10.jpg", "a2.jpg", "notes.txt"):
            (tmp_path / name).touch()
        found = pictures_of([str(tmp_path / "b.PNG"), str(tmp_path)], "--filter")
        assert [path.name for path in found] == ["b.PNG", "a2.jpg", "a10.jpg"]

    def test_what_is_not_there_or_no_picture_is_left_out_with_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "notes.txt").touch()
        (tmp_path / "empty").mkdir()
        assert pictures_of([str(tmp_path / name) for name in ("gone.png", "notes.txt", "empty")], "--nfilter") == []
        told = [record.message for record in caplog.records]
        assert told[0] == f"--nfilter: {tmp_path}/gone.png isn't there, so it isn't used"
        assert told[1] == f"--nfilter: {tmp_path}/notes.txt isn't a picture, so it isn't used"
        assert "there's no picture in the folder" in told[2]

    def test_a_fingerprint_follows_the_contents_and_not_the_names(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"one")
        (tmp_path / "b.png").write_bytes(b"two")
        before = fingerprint([str(tmp_path)], "sface")
        assert before.startswith("2 pictures,")
        (tmp_path / "a.png").rename(tmp_path / "c.png")
        assert fingerprint([str(tmp_path / "c.png"), str(tmp_path / "b.png")], "sface") == before
        (tmp_path / "c.png").write_bytes(b"other")
        assert fingerprint([str(tmp_path)], "sface") != before
        assert fingerprint([], "sface") == ""


class TestWithoutModels:
    async def test_an_embedding_in_a_header_is_used_as_it_is(self, tmp_path: Path) -> None:
        numbers = [0.25, -3.0, 2.0]
        found = await references(filter=(known_face(tmp_path / "faces", numbers),))
        assert found.wanted.tolist() == [numbers]
        assert len(found.unwanted) == 0

    async def test_a_picture_in_both_lists_is_refused(self, tmp_path: Path) -> None:
        path = known_face(tmp_path / "faces", [1.0])
        with pytest.raises(ConfigError, match="is in both --filter and --nfilter"):
            await references(filter=(path,), nfilter=(path.parent,))

    async def test_a_list_of_which_nothing_is_left_is_refused(self, tmp_path: Path) -> None:
        path = known_face(tmp_path / "faces", [1.0])
        with pytest.raises(ConfigError, match=r"^--nfilter: no picture of .*gone\.png can be used; give one"):
            await references(filter=(path,), nfilter=(tmp_path / "gone.png",))

    async def test_embeddings_that_do_not_compare_are_refused(self, tmp_path: Path) -> None:
        faces = [known_face(tmp_path / "one", [1.0, 0.0]), known_face(tmp_path / "other", [1.0, 0.0, 0.0])]
        with pytest.raises(ConfigError, match=r"other/img00_0\.png has an embedding of another model"):
            await references(filter=tuple(faces))

    async def test_people_of_the_gallery_are_references_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path / "user"))
        looks = np.eye(3, dtype=np.float32)
        with Gallery.open(people_file()) as gallery:
            gallery.add("ada", looks[:2], model="sface", sha256=SFACE.files[0].sha256)
            gallery.add("bob", looks[2:], model="sface", sha256=SFACE.files[0].sha256)
            gallery.add("eve", looks, model="other", sha256="0")
        face = known_face(tmp_path / "faces", [0.0, 0.6, 0.8])
        found = await references(filter=("person:ada", face), nfilter=("person:bob",))
        assert sorted(found.wanted.tolist()) == [pytest.approx(row) for row in ([0, 0.6, 0.8], [0, 1, 0], [1, 0, 0])]
        assert found.unwanted.tolist() == [[0, 0, 1]]
        before = fingerprint(["person:ada"], "sface")
        with Gallery.open(people_file()) as gallery:
            gallery.add("ada", looks[2:], model="sface", sha256=SFACE.files[0].sha256)
        assert fingerprint(["person:ada"], "sface") != before
        for name, message in (("zoe", "nobody in the gallery is called 'zoe'"), ("eve", "by other models than sface")):
            with pytest.raises(ConfigError, match=message):
                await references(nfilter=(f"person:{name}",))
        with pytest.raises(ConfigError, match="person:ada is in both"):
            await references(filter=("person:ada",), nfilter=("person:Ada",))
        assert len((await references(filter=("person:ADA ",))).wanted) == 3

    async def test_without_a_gallery_there_is_nobody(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path / "user"))
        with pytest.raises(ConfigError, match="there is no gallery of people"):
            await references(filter=("person:ada",))

    async def test_nothing_named_is_nothing_to_load(self) -> None:
        async with Bridge("cpu", torch_threads=1) as bridge:
            assert await load_references(ModelOptions(), bridge) is None


class TestOptions:
    def test_sface_filters_unless_another_is_chosen(self) -> None:
        assert ModelOptions(filter=("a.png",)).identities == ("sface",)
        assert ModelOptions(nfilter=("a.png",), identity=("t-face", "sface")).identities == ("t-face", "sface")
        assert ModelOptions(ref_threshold=0.5).identities == ()

    def test_the_threshold_is_the_models_own_unless_one_is_given(self) -> None:
        assert reference_threshold(ModelOptions(filter=("a",))) == 0.363
        assert reference_threshold(ModelOptions(filter=("a",), identity="vggface2")) == 0.60
        assert reference_threshold(ModelOptions(filter=("a",), ref_threshold=0.7)) == 0.7
        with pytest.raises(ConfigError, match=r"choose 0\.01 to 0\.99"):
            reference_threshold(ModelOptions(filter=("a",), ref_threshold=1.2))

    def test_paths_may_be_one_or_many_of_any_kind(self) -> None:
        options = ModelOptions.chosen({"filter": Path("a.png"), "nfilter": ["b", Path("c")]})
        assert (options.filter, options.nfilter) == (("a.png",), ("b", "c"))

    def test_only_the_first_identity_model_filters_when_models_run_one_by_one(self) -> None:
        models = ModelOptions(identity=("t-face", "sface"), filter=("a.png",))
        filtering = [each.name for each in passes(models, "yunet") if each.models.filtering]
        assert filtering == ["t-face"]
        assert passes(models, "yunet")[0].models.identities == ()

    async def test_blue_first_is_for_models_that_can_be_shown_it(self) -> None:
        models = ModelOptions(detector=FILE, aligner=FILE, identity="sface", identity_bgr=True)
        async with Bridge("cpu", torch_threads=1) as bridge:
            with pytest.raises(ConfigError, match="--identity-bgr is for t-face"):
                await load_stages(models, bridge)

    def test_a_jobs_settings_change_with_the_people_in_the_pictures(self, tmp_path: Path) -> None:
        picture = known_face(tmp_path / "faces", [1.0, 0.0])
        (tmp_path / "in").mkdir()

        def settings() -> str:
            chosen = plan(options_for(tmp_path / "in", models=ModelOptions(filter=(str(picture),))))
            return chosen.header(chosen.inputs[0], "yunet").settings

        before = settings()
        known_face(tmp_path / "faces", [0.0, 1.0])
        assert settings() != before
        assert "--filter=1 picture," in before

    def test_what_filtering_chooses_and_what_does_nothing_is_told(self, tmp_path: Path) -> None:
        def notes(models: ModelOptions) -> tuple[str, ...]:
            return plan(options_for(tmp_path, models=models)).notes

        assert notes(ModelOptions(nfilter=("gone.png",))) == (
            "faces are told apart by sface, since no --identity is chosen",
        )
        assert notes(ModelOptions(ref_threshold=0.5)) == ("--ref-threshold does nothing without --filter or --nfilter",)

    def test_the_command_line_takes_faceswaps_names(self, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        assert run(["extract", str(tmp_path), "--ref_threshold", "2"]) == 2
        assert "2.0 is not in the range 0.01<=x<=0.99" in capsys.readouterr().err
        (tmp_path / "faces").mkdir()
        arguments = ["-f", str(tmp_path / "gone.png"), "-n", str(tmp_path / "faces"), "-l", "0.5", "--no-alignments"]
        assert run(["extract", str(tmp_path), "-o", str(tmp_path / "out"), *arguments]) == 2
        assert "--filter: no picture of" in capsys.readouterr().err

    def test_a_configuration_file_names_one_or_many(self, tmp_path: Path) -> None:
        (tmp_path / "facestream.toml").write_text('[models]\nfilter = "ada.png"\nnfilter = ["b", "c"]\n')
        layer = from_file(tmp_path / "facestream.toml", SETTINGS)
        assert layer.values == {"filter": ["ada.png"], "nfilter": ["b", "c"]}


class TestEmbedding:
    async def test_by_hand_through_every_rule(
        self, people: People, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        bare, photo, nobody, group = (tmp_path / name for name in ("bare.png", "photo.jpg", "nobody.png", "group.jpg"))
        shutil.copy(people.faces[1], bare)
        header = read_header(bare)
        header["alignments"]["identity"] = {}
        update_header(bare, header)
        cv2.imwrite(str(photo), read_photo(people.faces[4]))
        cv2.imwrite(str(nobody), np.full((200, 200, 3), 90, np.uint8))
        shutil.copy(people.photo, group)
        with caplog.at_level(logging.WARNING):
            found = await references(filter=(bare, photo, nobody, people.photo), nfilter=(group,))
        same = cosines(found.wanted, np.stack([people.embedding(person) for person in range(5)]))
        assert same.argmax(axis=1).tolist() == [1, 4]
        assert same.max(axis=1).min() > 0.7
        alike = cosines(found.unwanted, np.stack([people.embedding(person) for person in range(5)]))
        assert alike.max(axis=0).min() > 0.99
        assert [record.message for record in caplog.records] == [
            f"--filter: no face is found in {nobody}, so it isn't used",
            f"--filter: {people.photo} shows 5 faces, so it isn't used; cut out the one that you mean",
            f"--nfilter: {group} shows 5 faces; all of them are left out",
        ]

    async def test_a_headers_embedding_is_made_anew_where_it_may_not_compare(
        self, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copy(people.faces[0], tmp_path / "face.png")
        header = read_header(tmp_path / "face.png")
        header["alignments"]["identity"] = {"sface": [1.0] * 128}
        update_header(tmp_path / "face.png", header)
        monkeypatch.setattr(SFace, "comparable", False)
        found = await references(filter=(tmp_path / "face.png",))
        assert cosines(found.wanted, people.embedding(0)[None]).item() > 0.9


class TestJobs:
    def test_extract_keeps_one_of_five(self, people: People, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
        (tmp_path / "in").mkdir()
        shutil.copy(people.photo, tmp_path / "in")
        arguments = ["--filter", str(people.faces[2]), "--device", "cpu", "--size", "64", "-o", str(tmp_path / "out")]
        assert run(["extract", str(tmp_path / "in"), *arguments]) == 0
        (left,) = (tmp_path / "out").glob("*.png")
        assert read_header(left)["alignments"]["x"] == people.lefts[2]
        told = capfd.readouterr().err
        assert "[Identity filter] Faces left out: 4 of 5 (unlike everybody in --filter: 4)" in told
        assert "1 frame, 1 face in 1 of them" in told

    async def test_extract_in_python_leaves_one_of_five_out(self, people: People) -> None:
        results = [
            faces async for faces in facestream.extract(people.photo, nfilter=people.faces[0], ref_threshold=0.6)
        ]
        assert sorted(np.rint(results[0].boxes[:, 0]).tolist()) == pytest.approx(people.lefts[1:], abs=1)

    async def test_a_job_that_goes_on_ends_as_one_model_after_another_does(
        self, people: People, tmp_path: Path
    ) -> None:
        def options(name: str, **more: Any) -> ExtractOptions:
            models = ModelOptions(device="cpu", filter=(str(people.faces[2]),))
            return options_for(tmp_path / name, output=tmp_path / name / "faces", models=models, **more)

        photo = read_photo(people.photo)
        for name in ("once", "twice"):
            (tmp_path / name).mkdir()
            for seq in range(3):
                cv2.imwrite(str(tmp_path / name / f"{seq}.bmp"), np.roll(photo[::2, ::2], 5 * seq, axis=1))
        assert await extract_command(options("once", serial=True)) == 0

        chosen = plan(options("twice"))
        async with models_for(chosen) as (_, pipeline, bridge):
            job = ExtractJob(chosen, pipeline, bridge, detector="yunet", progress=lambda run: stop_after(2))

            def stop_after(frames: int) -> None:
                if job.runs[0].published >= frames:
                    job.stop()

            await job.run()
        assert await extract_command(options("twice")) == 0
        assert contents(tmp_path / "twice") == contents(tmp_path / "once")
        assert len(list((tmp_path / "once" / "faces").glob("*.png"))) == 3
