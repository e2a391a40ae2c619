from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facestream.errors import ConfigError
from facestream.io.gallery import Gallery
from facestream.jobs.models import ModelOptions
from facestream.serving import app, chosen


def test_ctrl_c_while_the_models_load_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    async def load_for_ever(*args: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    monkeypatch.setattr(app, "load_stages", load_for_ever)
    options = app.ServeOptions(models=ModelOptions(device="cpu"), no_biometrics=True)
    with pytest.raises(KeyboardInterrupt), asyncio.Runner() as runner:
        runner.run(app.serve(options, say=print))


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own, which holds somebody."""
    monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path))
    path = tmp_path / "people.db"
    with Gallery.open(path) as gallery:
        gallery.add("Ada", np.ones((1, 4), np.float32), model="sface", sha256="0" * 64)
    return path


def identities(identity: Any = (), **options: Any) -> tuple[str, ...]:
    wanted = app.ServeOptions(models=ModelOptions(device="cpu", identity=identity), **options)
    return chosen.with_people_recognised(wanted).identities


def test_where_there_are_people_they_are_recognised(gallery, caplog):
    with caplog.at_level(logging.INFO):
        assert identities() == ("sface",)
    assert "--identity none" in caplog.text


def test_where_nobody_has_a_name_nobody_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path))
    assert identities() == ()
    assert not list(tmp_path.iterdir())


def test_another_gallery_can_be_named(tmp_path, gallery):
    assert identities(people=tmp_path / "others.db") == ()
    assert identities(people=gallery) == ("sface",)


def test_what_was_chosen_holds(gallery):
    assert identities(("none",)) == ()
    assert identities(("t-face",)) == ("t-face",)


def test_without_biometrics_the_gallery_is_not_looked_at(gallery):
    gallery.write_bytes(b"whatever")
    assert identities(no_biometrics=True) == ()
    assert identities(("sface",), no_biometrics=True) == ("sface",)  # for tracks, in memory
    with pytest.raises(ConfigError, match="--people"):
        chosen.check_privacy(app.ServeOptions(models=ModelOptions(), people=gallery, no_biometrics=True))


def test_a_gallery_that_cannot_be_read_keeps_nothing_from_being_served(gallery, caplog):
    gallery.write_bytes(b"no gallery at all" * 100)
    assert identities() == ()
    assert "nobody is recognised" in caplog.text


def test_who_covers_some_peoples_faces_knows_people(gallery):
    assert identities(anonymise="blur", anonymise_who="known", people=gallery.with_name("nobody.db")) == ("sface",)
    assert identities(("t-face",), anonymise="blur", anonymise_who="unknown") == ("t-face",)


@pytest.mark.parametrize(
    ("models", "options"),
    [
        (ModelOptions(), {"no_biometrics": True, "anonymise": "blur", "anonymise_who": "known"}),
        (ModelOptions(filter=("person:ada",)), {"no_biometrics": True}),
        (ModelOptions(align_filters=True), {"anonymise": "blur"}),
        (ModelOptions(), {"anonymise_who": "unknown"}),
    ],
)
def test_what_privacy_contradicts_is_wrong_usage(models, options):
    with pytest.raises(ConfigError):
        chosen.check_privacy(app.ServeOptions(models=models, **options))


def test_files_hold_embeddings_only_if_a_model_was_asked_for(gallery):
    def kept(identity: tuple[str, ...] = (), **options: Any) -> bool:
        return app.ServeOptions(models=ModelOptions(identity=identity), **options).keeps_embeddings

    assert kept(("sface",))
    assert not kept()
    assert not kept(("sface",), no_biometrics=True)


def test_it_is_said_how_people_can_be_named():
    plain = app.ServeOptions(models=ModelOptions())
    assert "--identity sface" in chosen.why_nobody_is_recognised(plain)
    assert "--no-biometrics" in chosen.why_nobody_is_recognised(
        app.ServeOptions(models=ModelOptions(), no_biometrics=True)
    )
