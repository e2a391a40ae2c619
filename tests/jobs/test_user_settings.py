from __future__ import annotations

import logging
from pathlib import Path

import pytest

from facestream.errors import ConfigError
from facestream.jobs.models import ModelOptions, load_stages, profiled_batch_sizes
from facestream.jobs.user_settings import (
    device_name,
    model_key,
    save_batch_sizes,
    saved_batch_sizes,
    settings_path,
)
from facestream.stream.device import Bridge


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "folder" / "settings.toml"
    monkeypatch.setenv("FACESTREAM_SETTINGS", str(path))
    return path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_what_is_saved_is_read_again(settings: Path) -> None:
    assert save_batch_sizes("cpu", {"yunet": 2, 'odd "name" é': 3}) == settings
    assert saved_batch_sizes("cpu") == {"yunet": 2, 'odd "name" é': 3}


def test_nothing_is_known_before_anything_is_saved(settings: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert saved_batch_sizes("cpu") == {}
    assert not caplog.records


def test_saving_keeps_what_is_known_of_other_models_and_devices(settings: Path) -> None:
    save_batch_sizes("cpu", {"yunet": 2, "mesh": 4})
    save_batch_sizes("mps", {"yunet": 16})
    save_batch_sizes("cpu", {"yunet": 1})
    assert saved_batch_sizes("cpu") == {"yunet": 1, "mesh": 4}
    assert saved_batch_sizes("mps") == {"yunet": 16}


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "version = 0",
        "",
        'version = 1\n[batch_sizes.cpu]\nyunet = "many"',
        "version = 1\n[batch_sizes.cpu]\nyunet = 0",
        "version = 1\n[batch_sizes]\ncpu = 3",
        "version = 2\n[of]\nthe.future = 1",
    ],
)
def test_damaged_or_old_settings_are_ignored_with_one_warning(
    settings: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    write(settings, text)
    assert saved_batch_sizes("cpu") == {}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(settings) in record.getMessage()


def test_settings_that_are_not_text_are_ignored(settings: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings.parent.mkdir()
    settings.write_bytes(b"\xff\xfe\x00")
    assert saved_batch_sizes("cpu") == {}
    assert len(caplog.records) == 1


def test_damaged_settings_give_way_to_new_ones(settings: Path) -> None:
    write(settings, "not toml")
    save_batch_sizes("cpu", {"yunet": 2})
    assert saved_batch_sizes("cpu") == {"yunet": 2}


def test_settings_that_can_not_be_written_are_an_error_that_names_the_file(settings: Path) -> None:
    settings.parent.write_text("a file where a folder should be")
    with pytest.raises(ConfigError, match=r"settings\.toml"):
        save_batch_sizes("cpu", {"yunet": 2})


def test_by_default_they_lie_in_the_users_configuration_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACESTREAM_SETTINGS")
    assert settings_path().name == "settings.toml"
    assert "facestream" in str(settings_path().parent)


def test_a_device_that_is_not_there_has_its_own_name_only() -> None:
    assert device_name("cuda:77") == "cuda:77"


def test_a_detector_at_a_size_of_its_own_is_another_model() -> None:
    assert model_key("yunet") == "yunet"
    assert model_key("yunet", 1280) == "yunet@1280"


def test_the_chosen_models_sizes_are_used_and_said_once(settings: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    save_batch_sizes("cpu", {"yunet": 2, "mesh": 3, "centerface": 9, "yunet@1280": 7})
    assert profiled_batch_sizes(ModelOptions(), "cpu") == {"yunet": 2, "mesh": 3}
    assert [record.getMessage() for record in caplog.records] == [f"batch sizes from {settings}: yunet 2, mesh 3"]
    assert profiled_batch_sizes(ModelOptions(detect_size=1280), "cpu")["yunet"] == 7


@pytest.mark.usefixtures("weights")
async def test_later_runs_use_them_unless_a_batch_size_is_given(settings: Path) -> None:
    save_batch_sizes("cpu", {"yunet": 3, "mesh": 5})
    async with Bridge(torch_threads=1) as bridge:
        stages = await load_stages(ModelOptions(device="cpu"), bridge)
        assert [stage.batch_size for stage in stages] == [3, 5]
        stages = await load_stages(ModelOptions(device="cpu", batch_size=2), bridge)
        detector, aligner = stages
        assert detector.batch_size == 2
        assert aligner.batch_size != 5
