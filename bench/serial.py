"""How much memory the models of an extract job take: all of them at once, and one at a time (``extract --serial``).

Each run is a fresh process with the same clip: the job at once, the job with --serial, and for each model a job that
has only that one (the faces come from the first job's alignments). "models" is the peak of all live networks'
parameters and buffers, seen whenever a network has been loaded; "device" the peak of torch's allocations on a CUDA
device, activations included; "process" the resident peak of the whole process, Python and libraries included.

Wanted: --serial below 1.1 × the largest single model: of "device" where there is one, else of "models".

python bench/serial.py [DEVICE [DETECTOR ALIGNER [IDENTITY …]]]
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any

from memory import peak_bytes
from report import report

from facestream.jobs.demo import demo_video
from facestream.jobs.models import FILE

CHAIN = ("centerface", "mesh-300w", "sface")
EVERY_N = 8
MOST_TO_LARGEST = 1.1


class Meter:
    """Watches the networks that are alive."""

    def __init__(self) -> None:
        from facestream.plugins.base import TorchModel

        self.most = 0
        self._models: weakref.WeakSet[TorchModel] = weakref.WeakSet()
        load = TorchModel.load

        def watched(model: TorchModel, device: str) -> None:
            load(model, device)
            self._models.add(model)
            self.most = max(self.most, self.now())

        TorchModel.load = watched  # type: ignore[method-assign]

    def now(self) -> int:
        """Bytes of parameters and buffers."""
        networks = [model._net for model in self._models if model._net is not None]
        return sum(array.nbytes for net in networks for array in (*net.parameters(), *net.buffers()))


def one(folder: Path, device: str, models: dict[str, Any], serial: bool) -> dict[str, Any]:
    """Run a job in this process; returns what it took."""
    import torch

    from facestream.jobs.extract_command import extract_command
    from facestream.jobs.extract_plan import ExtractOptions
    from facestream.jobs.models import ModelOptions

    meter = Meter()
    models["identity"] = tuple(models["identity"])
    chosen = ModelOptions(device=device, **models)
    aligned = chosen.aligner != "none"
    options = ExtractOptions(
        inputs=(str(demo_video()),),
        models=chosen,
        alignments=folder / "a.fsa" if aligned else None,
        no_alignments=not aligned,
        jsonl=None if aligned else str(folder / "a.jsonl"),
        extract_every_n=EVERY_N,
        serial=serial,
        quiet=True,
    )
    start = time.perf_counter()
    assert asyncio.run(extract_command(options)) == 0
    seconds = time.perf_counter() - start
    on_cuda = chosen.chosen_device.startswith("cuda")
    device_peak = torch.cuda.max_memory_allocated() if on_cuda else 0
    return {"models": meter.most, "device": device_peak, "process": peak_bytes(), "seconds": seconds}


def measured(folder: Path, device: str, models: dict[str, Any], serial: bool = False) -> dict[str, Any]:
    """What :func:`one` says, from a process of its own."""
    arguments = json.dumps([str(folder), device, models, serial])
    command = [sys.executable, __file__, "--one", arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def alone(role: str, name: str) -> dict[str, Any]:
    """The options of a job that has one model."""
    if role == "detect":
        return {"detector": name, "aligner": "none", "identity": []}
    return {"detector": FILE, "aligner": name if role == "align" else FILE, "identity": [name] * (role == "identity")}


def main(device: str, chain: tuple[str, ...]) -> int:
    detector, aligner, *identities = chain
    together = {"detector": detector, "aligner": aligner, "identity": identities}
    roles = [("detect", detector), ("align", aligner), *(("identity", name) for name in identities)]
    with tempfile.TemporaryDirectory() as place:
        known, work = Path(place) / "known", Path(place) / "work"
        known.mkdir()
        found = {"at once": measured(known, device, together)}
        for role, name in roles:
            shutil.copytree(known, work)
            found[f"only {name}"] = measured(work, device, alone(role, name))
            shutil.rmtree(work)
        work.mkdir()
        found["--serial"] = measured(work, device, together, serial=True)
    what = "device" if any(each["device"] for each in found.values()) else "models"
    largest = max(each[what] for name, each in found.items() if name.startswith("only"))
    rows = [
        {
            "job": name,
            **{f"{key} MiB": round(each[key] / 2**20, 2) for key in ("models", "device", "process")},
            "seconds": round(each["seconds"], 1),
            "to largest": round(each[what] / largest, 3),
        }
        for name, each in found.items()
    ]
    ratio = found["--serial"][what] / largest
    report("serial", rows, f"{' + '.join(chain)}; wanted: --serial at most {MOST_TO_LARGEST} of the largest's {what}")
    return 0 if ratio < MOST_TO_LARGEST else 1


def default_chain() -> tuple[str, ...]:
    """Those of :data:`CHAIN` that there are."""
    from facestream.plugins import registry

    there = {card.name for card in registry.cards()}
    return tuple(name for name in CHAIN if name in there)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        place, device, models, serial = json.loads(sys.argv[2])
        print(json.dumps(one(Path(place), device, models, serial)))
    else:
        sys.exit(main(sys.argv[1] if sys.argv[1:] else "auto", tuple(sys.argv[2:]) or default_chain()))
