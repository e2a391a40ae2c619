"""From what follows ``--filter`` and ``--nfilter`` to the embeddings that faces are judged by (spec §10.3).

::

    person:NAME of the gallery ────────────────────────────────────────────────────► used as they are
    an extracted face with an embedding of the model ──────────────────────────────► used as it is
    an extracted face without one ───────────────────────────────────► identity ──► used
    any other photo ─────────────────────────► detect ─► align ──────► identity ──► used, if it shows one face

Of t-face no embedding in a file is used: it may have been shown blue first, as faceswap does, or red first.

The models run one after another over all references, before the job loads its own, so no more than one is in memory.
Each only runs if it is needed.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from facestream.errors import ConfigError, FaceHeaderError, SourceError
from facestream.io.gallery_names import name_key
from facestream.io.images import list_images, read_image
from facestream.io.urls import IMAGE_SUFFIXES
from facestream.jobs.face_pictures import read_face_picture
from facestream.jobs.known_people import is_person, looks_of_people
from facestream.jobs.models import FILE, ModelOptions, load_stages
from facestream.jobs.passes import passes
from facestream.jobs.wording import counted
from facestream.plugins import registry
from facestream.plugins.identity.filtered import storage_name
from facestream.plugins.identity.filters import References
from facestream.stream.device import Bridge
from facestream.stream.types import Floats, Frame, FrameFaces, Image

log = logging.getLogger("facestream.references")

FILTER: Final = "--filter"
NFILTER: Final = "--nfilter"


@dataclass(slots=True, eq=False)
class Reference:
    """One picture on its way through the models.

    Attributes:
        option: which list it is in.
        faces: what is known of it; its pixels aren't kept.
        extracted: it is a face that was extracted before.
    """

    path: Path
    option: str
    faces: FrameFaces
    extracted: bool


async def load_references(options: ModelOptions, bridge: Bridge, gallery: Path | None = None) -> References | None:
    """Embed what ``options.filter`` and ``options.nfilter`` name; None if they name nothing.

    Args:
        gallery: the file with the people that are meant by ``person:NAME``; None is the user's.

    What can't be used is left out with a warning: a file that isn't there or no picture, one without a face, and in
    ``filter`` one with several.

    Raises:
        ConfigError: nothing is left of a list, something is in both, or somebody isn't in the gallery.
        ModelError: a model is unknown or its weights can't be had.

    Cancelling loses what was embedded.
    """
    if not options.filtering:
        return None
    references = await bridge.cpu(read_references, options)
    card = registry.card("identity", options.identities[0])
    model = registry.create("identity", card.name)
    key = storage_name(model)
    if not getattr(model, "comparable", True):
        for reference in references:
            reference.faces.identities.pop(key, None)
    await _embed(references, _embedding(options), key, bridge)
    looks = {option: _looks(references, option, key) for option in (FILTER, NFILTER)}
    for option, names in ((FILTER, options.filter), (NFILTER, options.nfilter)):
        if people := [name for name in names if is_person(name)]:
            known = await bridge.cpu(looks_of_people, people, card, gallery)
            looks[option] = _joined(looks[option], known, option)
        if names and not len(looks[option]):
            raise ConfigError(
                f"{option}: no picture of {', '.join(names)} can be used; give one that shows the person's face alone"
            )
    log.info("filtering by %s", _described(looks[FILTER], looks[NFILTER]))
    return References(looks[FILTER], looks[NFILTER])


def read_references(options: ModelOptions) -> list[Reference]:
    """Every picture of both lists, with what its header knows if it is an extracted face. Blocks.

    Raises:
        ConfigError: a picture or person is in both lists.
    """
    named = {FILTER: pictures_of(options.filter, FILTER), NFILTER: pictures_of(options.nfilter, NFILTER)}
    unwanted = {name_key(name) for name in options.nfilter if is_person(name)}
    both = {name for name in options.filter if name_key(name) in unwanted}
    both |= {os.path.realpath(path) for path in named[FILTER]} & {os.path.realpath(path) for path in named[NFILTER]}
    if both:
        raise ConfigError(f"{min(both)} is in both {FILTER} and {NFILTER}; leave it out of one")
    found = (_read(path, option, seq) for option, paths in named.items() for seq, path in enumerate(paths))
    return [reference for reference in found if reference is not None]


def pictures_of(names: Sequence[str], option: str) -> list[Path]:
    """The pictures that files and folders name, each once, in this order; a warning for what isn't there or no picture.

    Args:
        option: for the warnings; empty for none.
    """
    paths: dict[str, Path] = {}
    for name in names:
        if is_person(name):
            continue
        try:
            found = list_images(name) if os.path.isdir(name) else [_picture(name)]
        except SourceError as error:
            _warn(option, str(error))
            continue
        for path in found:
            paths.setdefault(os.path.realpath(path), path)
    return list(paths.values())


def _picture(name: str) -> Path:
    """
    Raises:
        SourceError: it isn't there, or no picture by its suffix.
    """
    path = Path(name)
    if not path.is_file():
        raise SourceError(f"{name} isn't there, so it isn't used")
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise SourceError(f"{name} isn't a picture, so it isn't used")
    return path


def fingerprint(names: Sequence[str], model: str, gallery: Path | None = None) -> str:
    """The references of a list as a few words, which change with the files' contents: for a job's settings. Blocks.

    Args:
        model: the identity model that filters; what the gallery has by it counts, where people of it are named.
        gallery: its file; None is the user's.

    Raises:
        ConfigError, ModelError: as :func:`facestream.jobs.known_people.looks_of_people`.
    """
    paths = pictures_of(names, "")
    people = sorted({name for name in names if is_person(name)})
    if not names:
        return ""
    sums = sorted(map(_checksum, paths))
    if people:
        sums.append(zlib.crc32(looks_of_people(people, registry.card("identity", model), gallery).tobytes()))
    return ",".join([counted(len(paths), "picture"), *people, f"{zlib.crc32(repr(sums).encode()):08x}"])


def _checksum(path: Path) -> int:
    """Of what can't be read, which is told later, 0."""
    try:
        return zlib.crc32(path.read_bytes())
    except OSError:
        return 0


def _read(path: Path, option: str, seq: int) -> Reference | None:
    try:
        faces, extracted = read_face_picture(path, source=option, seq=seq), True
    except FaceHeaderError:  # any photo
        faces, extracted = FrameFaces(frame=Frame(option, 0, seq, 0.0, 0.0, _NO_PIXELS, path.name)), False
    except (OSError, SourceError) as error:
        _warn(option, f"can't read {path}: {error}")
        return None
    return Reference(path, option, _without_pixels(faces), extracted)


def _embedding(options: ModelOptions) -> ModelOptions:
    """The job's own models as far as they find and embed faces; nothing is left out for its size or looks."""
    return replace(
        options,
        detector=None if options.detector == FILE else options.detector,
        aligner=ModelOptions().aligner if options.aligner == FILE else options.aligner,
        masks=(),
        identity=options.identities[0],
        filter=(),
        nfilter=(),
        min_size=0,
        max_size=0,
        align_filters=False,
        compile=False,
        batch_size=1,
    )


async def _embed(references: list[Reference], models: ModelOptions, key: str, bridge: Bridge) -> None:
    """Run each model over those that need it."""
    detector = models.detector or registry.default("detect", bridge.device)
    for each in passes(models, detector):
        last = bool(each.models.identities)
        todo = [it for it in references if _wants(it, key, last=last)]
        if not todo:
            continue
        (stage,) = await load_stages(each.models, bridge)
        for reference in todo:
            try:
                frame = await bridge.cpu(_with_pixels, reference)
            except (OSError, SourceError) as error:
                _warn(reference.option, f"can't read {reference.path}: {error}")
                references.remove(reference)
                continue
            faces = FrameFaces(frame=frame, **reference.faces.face_fields(slice(None)))
            reference.faces = _without_pixels(await stage.process_one(faces))


def _wants(reference: Reference, key: str, *, last: bool) -> bool:
    if reference.extracted:
        return last and key not in reference.faces.identities
    return not last or bool(len(reference.faces))


_NO_PIXELS: Final[Image] = np.zeros((0, 0, 3), np.uint8)


def _without_pixels(faces: FrameFaces) -> FrameFaces:
    return FrameFaces(frame=replace(faces.frame, image=_NO_PIXELS), **faces.face_fields(slice(None)))


def _with_pixels(reference: Reference) -> Frame:
    return replace(reference.faces.frame, image=read_image(reference.path))


def _looks(references: Sequence[Reference], option: str, key: str) -> Floats:
    """float32 (K, D): the embeddings of one list, by the rules of spec §10.3.

    Raises:
        ConfigError: those in some headers are of another length.
    """
    rows: list[Floats] = []
    for reference in (it for it in references if it.option == option):
        for look in _counted(reference, key):
            if rows and look.shape != rows[0].shape:
                raise ConfigError(f"{option}: {reference.path} has an embedding of another model; extract it again")
            rows.append(look)
    return np.stack(rows) if rows else np.zeros((0, 0), np.float32)


def _joined(looks: Floats, known: Floats, option: str) -> Floats:
    if not len(looks):
        return known
    if looks.shape[1] != known.shape[1]:
        raise ConfigError(f"{option}: a picture has an embedding of another model than the gallery; extract it again")
    return np.concatenate([looks, known])


def _counted(reference: Reference, key: str) -> list[Floats]:
    """A picture's embeddings if as many faces as it shows may count, else none, with a warning."""
    looks = [look for look in reference.faces.identities.get(key, ()) if np.isfinite(look).all() and look.any()]
    if not looks:
        _warn(reference.option, f"no face is found in {reference.path}, so it isn't used")
    elif len(looks) > 1 and reference.option == FILTER:
        _warn(FILTER, f"{reference.path} shows {len(looks)} faces, so it isn't used; cut out the one that you mean")
        return []
    elif len(looks) > 1:
        _warn(NFILTER, f"{reference.path} shows {len(looks)} faces; all of them are left out")
    return looks


def _described(wanted: Floats, unwanted: Floats) -> str:
    parts = [f"{counted(len(wanted), 'face')} to keep"] * bool(len(wanted))
    parts += [f"{counted(len(unwanted), 'face')} to leave out"] * bool(len(unwanted))
    return " and ".join(parts)


def _warn(option: str, message: str) -> None:
    if option:
        log.warning("%s: %s", option, message)
