"""unet-dfl, vgg-clear and vgg-obstructed as plugins, with networks of their layout and a few channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from facestream.jobs.loading import load_checked
from facestream.plugins import weights
from facestream.plugins.mask.base import TorchMasker
from facestream.plugins.mask.unet_dfl import UNet, UNetDfl
from facestream.plugins.mask.vgg import CLEAR, OBSTRUCTED, Fcn8s, VggClear, VggObstructed
from facestream.stream.joining import batch_of
from facestream.stream.types import Masks
from tests.plugins.mask.faces_at import WIDTH, at


class SmallUNet(UNetDfl):
    @staticmethod
    def network() -> nn.Module:
        return UNet(width=2)


class SmallClear(VggClear):
    @classmethod
    def network(cls) -> nn.Module:
        return Fcn8s(CLEAR, width=2, hidden=2)


class SmallObstructed(VggObstructed):
    @classmethod
    def network(cls) -> nn.Module:
        return Fcn8s(OBSTRUCTED, width=2, hidden=2)


@pytest.fixture(params=[SmallUNet, SmallClear, SmallObstructed], ids=lambda model: model.card.name)
def masker(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TorchMasker:
    """Loaded and checked. It takes everything for a face: its last layer's bias says so."""
    state: dict[str, Any] = {
        key: torch.zeros_like(value) for key, value in request.param.network().state_dict().items()
    }
    if "conv2d_7.bias" in state:
        state["conv2d_7.bias"] += 20
    else:
        state["score_pool3.conv.bias"][1] = 20
        for key in state:
            if key.startswith("upscore8"):
                state[key][:] = torch.eye(len(state[key]))[:, :, None, None]
    save_file(state, tmp_path / "weights.safetensors")
    monkeypatch.setattr(weights, "fetch_weights", lambda card, convert: tmp_path / "weights.safetensors")
    model: TorchMasker = request.param(storage_size=64)
    model.backend = "torch"
    load_checked(model, "mask", "cpu")
    return model


def masks_of(masker: TorchMasker, x: float, y: float) -> Masks:
    batch = batch_of([at(x, y)])
    feed = masker.pre_process(batch)
    masker.post_process(masker.infer(feed), feed, batch)
    return batch.masks[masker.card.name]


def test_masks_are_full_inside_the_frame_and_empty_outside_whatever_the_range_of_the_input(masker: TorchMasker) -> None:
    inside = masks_of(masker, 320, 240)
    assert inside.masks.shape == (1, 64, 64)
    assert inside.masks.min() >= 254
    assert inside.centering == masker.centering
    at_the_edge = masks_of(masker, WIDTH, 240)
    columns = np.arange(64)[None] + 0 * np.arange(64)[:, None]
    rows = columns.T
    back = np.linalg.inv(at_the_edge.matrices[0])
    beyond = back[0, 0] * columns + back[0, 1] * rows + back[0, 2] - (WIDTH - 1)
    step = back[0, 0]
    assert (beyond > 2 * step).any()
    assert (at_the_edge.masks[0][beyond > 1.5 * step] == 0).all()
    assert (at_the_edge.masks[0][beyond < -1.5 * step] >= 254).all()
