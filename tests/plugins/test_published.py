import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from facestream.errors import WeightsCorrupt
from facestream.plugins.published import published_state


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))


class Malicious:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("ran",)


def zipped(folder: Path, state: object) -> Path:
    torch.save(state, folder / "net_v1.pth")
    with zipfile.ZipFile(folder / "net_v1.zip", "w") as archive:
        archive.write(folder / "net_v1.pth", "net_v1.pth")
    return folder / "net_v1.zip"


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_release_is_read_zipped_or_not(tmp_path: Path, wrapped: bool) -> None:
    state = net().state_dict()
    file = zipped(tmp_path, {f"module.{key}": value for key, value in state.items()})
    read = published_state(file if wrapped else tmp_path / "net_v1.pth", net())
    assert read.keys() == state.keys()
    for key, value in read.items():
        np.testing.assert_array_equal(value, state[key])


def test_what_is_named_unused_is_left_out_and_a_counter_may_be_missing(tmp_path: Path) -> None:
    state = net().state_dict()
    del state["1.num_batches_tracked"]
    file = zipped(tmp_path, {**state, "LandmarkHead.0.weight": torch.zeros(1)})
    assert set(published_state(file, net(), unused=("LandmarkHead.",))) == set(net().state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spare": torch.zeros(1)}, "has unknown spare"),
        ({"0.bias": torch.zeros(5)}, r"has other shapes of 0\.bias"),
        ({"0.bias": "text"}, "isn't a state dict of tensors"),
    ],
)
def test_a_file_that_is_not_the_networks_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(WeightsCorrupt, match=message):
        published_state(zipped(tmp_path, {**net().state_dict(), **change}), net())


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    state = net().state_dict()
    del state["0.weight"]
    with pytest.raises(WeightsCorrupt, match=r"net_v1\.zip lacks 0\.weight"):
        published_state(zipped(tmp_path, state), net())


def test_code_in_a_file_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsCorrupt, match="isn't a file of tensors"):
        published_state(zipped(tmp_path, {"0.weight": Malicious()}), net())
    assert not (tmp_path / "ran").exists()


def test_rubbish_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"\x00rubbish" * 9)
    with pytest.raises(WeightsCorrupt, match=r"net\.pth isn't a file of tensors"):
        published_state(tmp_path / "net.pth", net())
