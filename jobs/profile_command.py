"""``facestream profile``: find the batch sizes that suit this machine, show them, keep them."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from facestream.errors import ConfigError, DeviceError, OutOfDeviceMemory
from facestream.jobs.models import FILE, ModelOptions, load_plugins
from facestream.jobs.profile import ProfiledChain, cloudy_pictures, memory_of, profile
from facestream.jobs.profile_table import bottleneck_table, trial_line, trials_table
from facestream.jobs.user_settings import model_key, save_batch_sizes
from facestream.stream.device import Bridge
from facestream.stream.profiling import BatchSizeSearch, Failure, Trial

log = logging.getLogger("facestream.profile")

CPU_BUDGET, GPU_BUDGET = 60.0, 240.0
CPU_LARGEST, GPU_LARGEST = 64, 512
REPEATS = 3
"""Tests of each of the sizes that may be best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """What the command line's ``profile`` takes; the option's help says what each is."""

    models: ModelOptions
    budget: float | None = None
    max_memory: float = 85.0
    faces: int = 2
    frame_size: tuple[int, int] = (1920, 1080)
    max_batch: int | None = None
    no_save: bool = False


async def profile_command(options: ProfileOptions, *, say: Callable[[str], None]) -> None:
    """Run the search, print its table, save its choice.

    Raises:
        ConfigError: a batch size or faces from a file were asked for, or the settings can't be written.
        ModelError: a model is unknown or its weights can't be had.
        DeviceError: not even batches of one can be run.

    Cancelling saves nothing and prints the best so far.
    """
    models = measurable(options.models)
    async with Bridge(models.chosen_device) as bridge:
        on_cpu = bridge.device == "cpu"
        detector, faces = await load_plugins(models, bridge)
        chain = ProfiledChain(
            detector,
            faces,
            bridge,
            per_frame=options.faces,
            largest=options.max_batch or (CPU_LARGEST if on_cpu else GPU_LARGEST),
            pictures=cloudy_pictures(options.frame_size),
        )
        memory = memory_of(bridge.device)
        total = await bridge.infer(memory.total)
        limit = int(total * options.max_memory / 100) if total else None
        search = BatchSizeSearch(chain.loads(), limit, REPEATS)
        budget = options.budget or (CPU_BUDGET if on_cpu else GPU_BUDGET)
        say(_headline(options, chain, budget, total))
        try:
            finished = await profile(
                chain, search, budget, memory=memory, tested=lambda trial: _tell(trial_line(search, trial))
            )
        except asyncio.CancelledError:
            _report(search, say)
            say("interrupted: nothing is saved")
            raise
        best = _report(search, say)
        if best is None:
            raise _nothing_runs(search, budget)
        if not finished:
            say(f"the {budget:g} s were spent before the search was over: --budget {2 * budget:g} looks further")
        if not options.no_save:
            sizes = {model_key(chain.detector.name, models.detect_size): best.sizes[0]}
            sizes |= {plugin.name: size for plugin, size in zip(chain.faces, best.sizes[1:])}
            path = await bridge.cpu(save_batch_sizes, bridge.device, sizes)
            say(f"saved to {path}: later runs on this device use these sizes unless --batch-size is given")
            if on_cpu:
                say("(`facestream extract` on a CPU keeps to 1: its results repeat to the last bit)")


def measurable(models: ModelOptions) -> ModelOptions:
    """``models`` without what can't be measured, or would leave models without work.

    Raises:
        ConfigError: they say a batch size, or that faces come from a file.
    """
    if models.batch_size is not None:
        raise ConfigError("profile looks for the batch sizes itself: leave out --batch-size")
    if FILE in (models.detector, models.aligner):
        raise ConfigError("profile needs models to measure: choose a detector and an aligner instead of `file`")
    if models.compile:
        # Every batch size would have to be compiled anew, which takes longer than all the tests.
        log.warning("--compile is left out: the batch sizes are those of the networks as they are")
    # No filter: it would leave out faces of noise, and the models after it would have nothing to do.
    return replace(models, compile=False, align_filters=False)


def _headline(options: ProfileOptions, chain: ProfiledChain, budget: float, memory: int) -> str:
    names = " + ".join(load.name for load in chain.loads())
    width, height = options.frame_size
    limit = f", at most {options.max_memory:g} % of its {memory / 2**30:.0f} GiB" if memory else ""
    scene = f"{width}x{height} frames with {options.faces} face{'s' if options.faces != 1 else ''}"
    return f"profiling {names} on {chain.bridge.device}{limit}: {scene}, up to {budget:g} s"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _report(search: BatchSizeSearch, say: Callable[[str], None]) -> Trial | None:
    """Print everything that was tested; returns the best."""
    if search.trials:
        say("\n" + trials_table(search))
    best = search.best()
    if best is not None:
        chosen = ", ".join(f"{stage.name} {size}" for stage, size in zip(search.stages, best.sizes))
        say(f"\nbest: {chosen}, {search.frames_per_second(best):.1f} frames/s\n" + bottleneck_table(search, best))
    return best


def _nothing_runs(search: BatchSizeSearch, budget: float) -> DeviceError:
    if search.trials and search.trials[0].failure is Failure.MEMORY:
        return OutOfDeviceMemory("not even one frame at a time fits the device's memory: choose smaller models")
    return DeviceError(f"no test ended within {budget:g} s: give a larger --budget or choose faster models")
