"""Files and cameras → faces, as an async or a plain iterator."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, Unpack

from facestream.errors import ConfigError, SourceError
from facestream.io.sources import BaseSource, open_source
from facestream.io.urls import SourceSpec, parse_source
from facestream.jobs.models import FILE, ModelChoices, ModelOptions, load_stages
from facestream.jobs.naming import naming_for, tracks_for
from facestream.jobs.privacy import open_privacy, with_recognition
from facestream.jobs.references import load_references
from facestream.stream.channel import BrokenChannel, Channel, Sender
from facestream.stream.device import Bridge
from facestream.stream.gate import FrameGate
from facestream.stream.pipeline import Pipeline, Publish
from facestream.stream.tasks import task_group
from facestream.stream.types import FrameFaces

log = logging.getLogger("facestream.extract")

T = TypeVar("T")
Input: TypeAlias = str | Path
Opened: TypeAlias = Callable[[SourceSpec, BaseSource], None]

BATCHES_PER_STAGE = 3
"""In flight in a lossless job: one in each verb of each stage."""


async def extract(
    *inputs: Input,
    track: bool = True,
    anonymise: Literal["blur", "pixelate", "box"] | None = None,
    anonymise_who: Literal["everyone", "unknown", "known"] = "everyone",
    people: Path | None = None,
    **models: Unpack[ModelChoices],
) -> AsyncIterator[FrameFaces]:
    """The faces of every frame of ``inputs``, in order, frames without faces included.

    ::

        async for faces in facestream.extract("clip.mp4", detector="centerface", re_feed=4):
            print(faces.frame.seq, faces.boxes, faces.tracks)

    Files and folders are read as fast as the models go and nothing is dropped; several inputs are read one after
    another. Memory is bounded whatever their length: while the caller doesn't ask, reading waits.

    Args:
        inputs: video files, image files, folders or camera URLs, each perhaps named as ``NAME=URL``.
        track: number the faces.
        anonymise: cover faces in the frames' pictures. A frame is left out if it can't be said where its faces are.
        anonymise_who: whose: everyone's, all but known people's, or only known people's; ``faces.people`` says who.
        people: the gallery that knows them; by default the user's own.
        models: which models run and how: the attributes of :class:`facestream.jobs.models.ModelOptions`. Without any,
            ``yunet`` (on a GPU ``centerface``) finds the faces and ``mesh`` their landmarks. Masks appear in
            ``faces.masks[name]``, embeddings in ``faces.identities[name]``, and with an ``identity`` model the names
            of those whom the gallery knows in ``faces.people``.

    Raises:
        SourceError: an input can't be read. What the other inputs hold is yielded first.
        ModelError: a model is unknown or its weights can't be had.
        ConfigError: an input isn't a source, or an option's value can't be.
        TypeError: there is no such option.

    Leaving the loop early closes everything; cancelling loses the frames in flight.
    """
    options = ModelOptions.chosen(models)
    if FILE in (options.detector, options.aligner):
        raise ConfigError("faces from a file are for the command: facestream extract --detector file")
    sender, results = Channel[FrameFaces](1).ends
    whose = _Whose(anonymise, anonymise_who, people)
    job = asyncio.create_task(_run(inputs, options, whose, track, sender), name="extract")
    try:
        async for faces in results:
            yield faces
        await job
    finally:
        results.close()
        job.cancel()
        await asyncio.wait([job])


class _Whose(NamedTuple):
    """Whose faces are covered, and by what."""

    cover: str | None
    whose: str
    people: Path | None


async def _run(
    inputs: tuple[Input, ...], asked: ModelOptions, whose: _Whose, track: bool, results: Sender[FrameFaces]
) -> None:
    try:
        options = with_recognition(asked, whose.cover, whose.whose)
        async with (
            Bridge(options.chosen_device) as bridge,
            open_privacy(bridge, whose.cover, whose.whose, asked, whose.people) as privacy,
        ):
            stages = await load_stages(options, bridge, await load_references(options, bridge, whose.people))
            in_flight = BATCHES_PER_STAGE * len(stages)
            # Privacy mode recognises each face by itself where it matters whose it is.
            recognised = whose.cover is not None and whose.whose != "everyone"
            naming = None if recognised else await naming_for(bridge, options, whose.people, track=track)
            pipeline = Pipeline(
                stages,
                bridge,
                in_flight=in_flight,
                tracks=tracks_for(options) if track else None,
                recogniser=None if naming is None else naming.recogniser,
            )

            async def publish(faces: FrameFaces) -> None:
                named = faces if naming is None else naming.apply(faces)
                shown = named if privacy is None else await privacy.apply(named)
                if shown is not None:
                    await results.send(shown)

            await run_inputs(inputs, pipeline, bridge, publish)
    except BrokenChannel:
        pass  # the caller has left the loop
    finally:
        results.close()


async def run_inputs(
    inputs: Sequence[Input],
    pipeline: Pipeline,
    bridge: Bridge,
    publish: Publish,
    opened: Opened = lambda spec, source: None,
) -> None:
    """Send every frame of every input through ``pipeline``, one input after another; ``opened`` hears of each.

    An input that can't be read, or not to its end, doesn't keep the others from being read.

    Raises:
        SourceError: one input failed, or how many did and why the first; after everything else is published.
        ConfigError: one of the inputs isn't a source; before anything is read.
    """
    specs = [parse_source(str(text)) for text in inputs]
    failures: list[SourceError] = []
    async with task_group() as tasks:
        tasks.create_task(_read_all(specs, pipeline.gate, bridge, opened, failures), name="extract.read")
        await pipeline.run(publish)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise SourceError(f"{len(failures)} of {len(specs)} inputs could not be read; the first: {failures[0]}")


async def _read_all(
    specs: Sequence[SourceSpec],
    gate: FrameGate,
    bridge: Bridge,
    opened: Opened,
    failures: list[SourceError],
) -> None:
    taken: set[str] = set()
    for spec in specs:
        name = unique_name(spec.name, taken)
        taken.add(name)
        try:
            async with open_source(spec.url, name=name, bridge=bridge) as source:
                opened(spec, source)
                gate.add(name, live=source.live)
                async for frame in source:
                    await gate.put(frame)
        except SourceError as error:
            failures.append(error)
            if len(specs) > 1:
                log.error("skipped: %s", error)
    await gate.close()


def unique_name(name: str, taken: Collection[str]) -> str:
    """``name``, or ``name-2``, ``name-3``, … if it is taken: two inputs with one file name stay two."""
    if name not in taken:
        return name
    return next(other for i in count(2) if (other := f"{name}-{i}") not in taken)


def extract_sync(*inputs: Input, **options: Any) -> Iterator[FrameFaces]:
    """:func:`extract` for programs without an event loop: the same arguments, a plain iterator.

    ::

        for faces in facestream.extract_sync("photos/"):
            print(faces.frame.name, len(faces))

    The work goes on in a background thread while the caller handles a result.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="facestream-extract", daemon=True)
    thread.start()
    results = extract(*inputs, **options)
    try:
        while (faces := _call(loop, _next(results))) is not None:
            yield faces
    finally:
        _call(loop, _finish(results))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _next(results: AsyncIterator[FrameFaces]) -> FrameFaces | None:
    return await anext(results, None)


async def _finish(results: Any) -> None:
    await results.aclose()
    await asyncio.get_running_loop().shutdown_default_executor()


def _call(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    future: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, loop)
    return future.result()
