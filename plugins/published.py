"""Reading weights as their authors released them: a state dict in a ``.pth`` file, zipped or not."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from facestream.errors import WeightsCorrupt
from facestream.plugins.weights import Arrays


def published_state(file: Path, net: nn.Module, *, unused: Iterable[str] = (), optional: str = "") -> Arrays:
    """A release's file (a zip with one ``.pth``, or that itself) → the state of ``net`` by key.

    It is loaded as tensors only: nothing else is unpickled.

    Args:
        file: already checked against its hash.
        net: whose keys and shapes it must have. BatchNorm's ``num_batches_tracked`` may be missing.
        unused: beginnings of further keys that are left out: heads that aren't used here.
        optional: a beginning that keys have in the file and not in ``net``, if they have it.

    Raises:
        WeightsCorrupt: it isn't a state dict of tensors, or keys or shapes differ; the message names some.
    """
    given = {key.removeprefix("module.").removeprefix(optional): value for key, value in _tensors(file).items()}
    wanted = net.state_dict()
    missing = [key for key in wanted if key not in given and not key.endswith("num_batches_tracked")]
    spare = [key for key in given if key not in wanted and not key.startswith(tuple(unused))]
    bent = [key for key in wanted if key in given and given[key].shape != wanted[key].shape]
    for what, keys in (("lacks", missing), ("has unknown", spare), ("has other shapes of", bent)):
        if keys:
            raise WeightsCorrupt(f"{file.name} {what} {', '.join(keys[:3])}{' …' if len(keys) > 3 else ''}")
    return {key: given.get(key, value).numpy() for key, value in wanted.items()}


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(io.BytesIO(_content(file)), map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        EOFError,
        ValueError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
    ) as error:
        raise WeightsCorrupt(f"{file.name} isn't a file of tensors: {_first_line(error)}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsCorrupt(f"{file.name} isn't a state dict of tensors")
    return state


def _content(file: Path) -> bytes:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            members = [name for name in archive.namelist() if name.endswith(".pth")]
            if len(members) == 1:
                return archive.read(members[0])
    return file.read_bytes()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
