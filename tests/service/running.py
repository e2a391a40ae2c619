"""A run: cameras, a server, faults, and what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.service.disk import SmallDisk, problems
from tests.service.farm import Farm, Model
from tests.service.observer import Observer
from tests.service.saboteur import Saboteur
from tests.service.schedule import Fault
from tests.service.served import ServerProcess
from tests.service.verdict import Record

TIDY_EVERY = 5.0  # seconds

ALWAYS = (
    *("--device", "cpu", "--detect-size", "320", "--source-host", "127.0.0.1"),
    *("--left-after", "2", "--clip-before", "2", "--clip-after", "1", "--event-max-mb", "20"),
)
"""Models that are quick, visits that are short, and cameras of this machine that may be changed."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run is made of.

    Attributes:
        folder: empty; for clips, the server's log and its data.
        face_clip: a video of one face.
        arguments: of ``facestream serve``, beside :data:`ALWAYS`, the sources and where to save.
        megabytes: size of the disk that is saved to.
        crowd: subscribers that come at once.
    """

    models: Sequence[Model]
    folder: Path
    face_clip: Path
    arguments: Sequence[str] = ()
    megabytes: int = 64
    crowd: int = 20


async def run(
    setup: Setup, faults: Sequence[Fault], length: float, *, say: Callable[[str], None] = lambda _line: None
) -> Record:
    """Let ``faults`` happen to a server with live cameras; returns when all is mended and ``length`` seconds are over.

    Raises:
        RuntimeError: the server ended by itself.
    """
    saved = setup.folder / "saved"
    with Farm(setup.models, setup.folder, setup.face_clip) as farm, SmallDisk(saved, setup.megabytes) as disk:
        if not disk.limited:
            say("no file system can be mounted here: the disk never fills up")
        keeping = ("--save", str(saved), "--alignments", "--events", "--event-store", str(saved / "events.db"))
        server = ServerProcess(lambda: [*farm.urls, *ALWAYS, *keeping, *setup.arguments], setup.folder)
        try:
            await server.start()
            return await _run(setup, farm, server, disk, faults, length, say)
        finally:
            await server.kill()


async def _run(
    setup: Setup,
    farm: Farm,
    server: ServerProcess,
    disk: SmallDisk,
    faults: Sequence[Fault],
    length: float,
    say: Callable[[str], None],
) -> Record:
    clock = asyncio.get_running_loop().time
    damaged: list[str] = []
    watching: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as tasks:
        starting = Observer(server, clock())
        watching.append(tasks.create_task(starting.watch()))
        await starting.all_live()
        watching.pop().cancel()
        begin = clock()
        observer = Observer(server, begin)
        watching.append(tasks.create_task(observer.watch()))
        watching.append(tasks.create_task(_tidy(disk, damaged)))
        saboteur = Saboteur(farm, server, disk, begin, crowd=setup.crowd, say=say)
        await saboteur.work(faults)
        await observer.all_live()
        await asyncio.sleep(max(0.0, begin + length - clock()))
        for task in watching:
            task.cancel()
    length = clock() - begin
    died = not server.running
    if not died:
        await server.stop()
    damaged += await asyncio.to_thread(problems, setup.folder)
    if died:
        raise RuntimeError(f"the server ended by itself:\n{server.log.read_text()[-2000:]}")
    return Record(
        length=length,
        rates={model.name: model.rate for model in setup.models},
        faults=sorted(saboteur.done, key=lambda fault: fault.at),
        samples=observer.notebook.samples,
        closed=observer.notebook.closed,
        exit_codes=server.exit_codes,
        seconds_to_stop=server.seconds_to_stop,
        log=server.log.read_text(),
        damaged=damaged,
        disk_fills=disk.limited,
    )


async def _tidy(disk: SmallDisk, damaged: list[str]) -> None:
    while True:
        damaged += await asyncio.to_thread(disk.tidy)
        await asyncio.sleep(TIDY_EVERY)
