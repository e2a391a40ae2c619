"""``facestream people …``: what each command does, and says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from facestream.errors import ConfigError, SourceError
from facestream.io.event_store import rename_in_events
from facestream.io.gallery import Gallery, Person
from facestream.io.gallery_export import export_people, import_people
from facestream.io.gallery_names import checked_name, name_key
from facestream.io.urls import IMAGE_SUFFIXES
from facestream.io.user_data import people_file
from facestream.jobs.models import ModelOptions, load_stages
from facestream.jobs.people import People
from facestream.jobs.people_doubts import doubts, of_one_person
from facestream.jobs.people_photos import Load, Look, PhotoLooks, Unused
from facestream.jobs.wording import counted
from facestream.plugins import registry
from facestream.plugins.identity.cosine import unit_rows
from facestream.stream.device import Bridge
from facestream.stream.types import Floats

log = logging.getLogger("facestream.people")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions:
    """``facestream people add``.

    Attributes:
        photos: pictures and folders of them.
        people: the gallery's file; None is the user's.
        largest: of several faces in a photo take the largest.
        force: add also what doesn't look like most of the photos.
        identity: the model that looks at the faces.
        detector, aligner, device: as in :class:`facestream.jobs.models.ModelOptions`.
    """

    name: str
    photos: tuple[Path, ...]
    people: Path | None = None
    largest: bool = False
    force: bool = False
    identity: str = "sface"
    detector: str | None = None
    aligner: str = "mesh"
    device: str = "auto"


async def add(options: AddOptions, say: Say, *, load: Load = load_stages) -> None:
    """Add a person by photos, or give a person further ones: all that can be used and look like one person, in one
    transaction at the end.

    Interrupted before that, nothing is added.

    Args:
        say: takes the one line that tells what was added.
        load: makes the models' stages.

    Raises:
        SourceError: none of the photos can be used, or they show several people, nobody more often than others.
        ConfigError: there is no photo, the name can't be one, or the model has no threshold.
        ModelError, DeviceError: a model can't be had, or fails.
        FileFormatError, OutputError: the gallery can't be read or written.
    """
    if not options.photos:
        raise ConfigError(_what_is_missing(options.name))
    name = checked_name(options.name)
    card = registry.card("identity", options.identity)
    if card.threshold is None:
        raise ConfigError(f"{card.name} says nowhere when two faces are one person's: choose another --identity")
    models = ModelOptions(
        detector=options.detector, aligner=options.aligner, identity=options.identity, device=options.device
    )
    async with Bridge(models.chosen_device) as bridge, People.open(bridge, card, options.people) as people:
        reader = PhotoLooks(models, bridge, largest=options.largest, load=load)
        found = await _looks(reader, options.photos, people.known.width)
        for known in people.known.names:
            name = known if name_key(known) == name_key(name) else name
        used = found if options.force else _one_persons(found, people.known.looks_of(name), card.threshold)
        embeddings = np.stack([look.embedding for look in used])
        for doubt in doubts(name, [str(look.path) for look in used], _units(used), people.known, card.threshold):
            log.warning("%s", doubt)
        new = await people.add(name, embeddings)
        there = len(people.known.looks_of(name))
    old = f", {counted(len(used) - new, 'picture')} known already" if new < len(used) else ""
    left = f", {len(found) - len(used)} left out" if len(used) < len(found) else ""
    say(f"{name}: {counted(new, 'picture')} added{old}{left}; {there} in all")


async def _looks(reader: PhotoLooks, photos: Sequence[Path], width: int) -> list[Look]:
    """What can be used; the rest is told. ``width`` is of the model's embeddings, 0 where it isn't known."""
    found, unused = [], 0
    async for result in reader.looks(photos):
        if isinstance(result, Unused):
            reason = result.reason
        elif len(result.embedding) == (width := width or len(result.embedding)):
            found.append(result)
            continue
        else:  # two models can bear one name
            reason = f"{result.path}: its header's embedding is another model's; extract the face again"
        unused += 1
        log.warning("not used: %s", reason)
    if not found:
        none = "the picture can't" if unused == 1 else f"none of the {unused} pictures can"
        raise SourceError(f"{none} be used, so nobody was added; see above why")
    return found


def _what_is_missing(given: str) -> str:
    if Path(given).exists() or Path(given).suffix.lower() in IMAGE_SUFFIXES:
        return f"{given}: whose picture is it? facestream people add NAME {given}"
    return f"{given}: what pictures show that person? facestream people add {given} PICTURE…"


def _one_persons(found: list[Look], there: Floats, threshold: float) -> list[Look]:
    """Those that look like most; the others are told.

    Raises:
        SourceError: no one is in most of them.
    """
    most = of_one_person(_units(found), there, threshold)
    if most is None:
        raise SourceError(
            f"these {len(found)} pictures look like different people, each in as many as another, so nobody was added: "
            "leave out those of others, or add them all the same with --force"
        )
    others = [str(look.path) for look, is_most in zip(found, most.tolist()) if not is_most]
    if others:
        log.warning("left out: not like most of these pictures: %s; --force adds them, too", ", ".join(others))
    return [look for look, is_most in zip(found, most.tolist()) if is_most]


def _units(looks: Sequence[Look]) -> Floats:
    return unit_rows(np.stack([look.embedding for look in looks]))


def existing(path: Path | None) -> Gallery:
    """The gallery, if there is one; see :meth:`facestream.io.gallery.Gallery.open`."""
    return Gallery.open(path or people_file(), create=False)


def remove_people(path: Path | None, names: Sequence[str], events: Path | None = None) -> None:
    """Forget people, in the gallery and in stored events.

    Args:
        path, events: the files; by default those in the user's data folder.

    Raises:
        ConfigError: there is nobody of one of the names; nobody is removed then.
    """
    with existing(path) as gallery:
        gallery.remove(*names)
    for name in names:
        rename_in_events(name, None, events)


def rename_person(path: Path | None, name: str, to: str, events: Path | None = None) -> None:
    """Give somebody another name, in the gallery and in stored events.

    Raises:
        ConfigError: there is nobody called ``name``, or somebody else is called ``to``.
    """
    with existing(path) as gallery:
        gallery.rename(name, to)
    rename_in_events(name, checked_name(to), events)


def merge_people(path: Path | None, name: str, into: str, events: Path | None = None) -> None:
    """Two names are one person's, in the gallery and in stored events.

    Raises:
        ConfigError: there is nobody of one of the names, or both are the same.
    """
    with existing(path) as gallery:
        gallery.merge(name, into)
    rename_in_events(name, checked_name(into), events)


def everybody(path: Path | None) -> list[Person]:
    """Everybody, by name; nobody where there is no file. Raises as :meth:`facestream.io.gallery.Gallery.open`."""
    if not (path or people_file()).exists():
        return []
    with existing(path) as gallery:
        return gallery.people()


def export_to(path: Path | None, file: Path, *, overwrite: bool) -> str:
    """Everybody into ``file``; what there is to say. See :func:`facestream.io.gallery_export.export_people`."""
    with existing(path) as gallery:
        count = export_people(gallery, file, overwrite=overwrite)
    return f"{file}: {counted(count, 'person', 'people')}"


def import_from(path: Path | None, file: Path, *, merge: bool) -> str:
    """Everybody in ``file`` into the gallery; what there is to say. See
    :func:`facestream.io.gallery_export.import_people`.
    """
    with Gallery.open(path or people_file()) as gallery:
        added = import_people(gallery, file, merge=merge)
    people = counted(added.people, "new person", "new people")
    return f"{people}, {counted(added.embeddings, 'new embedding', 'new embeddings')}"


def as_json(people: Sequence[Person]) -> str:
    """``[{"name", "since", "looks": [{"model", "sha256", "count"}]}]``"""
    rows = [{"name": it.name, "since": _since(it).isoformat(), "looks": it.looks} for it in people]
    return msgspec.json.format(msgspec.json.encode(rows)).decode()


def as_table(people: Sequence[Person]) -> list[str]:
    """Lines with name, number of embeddings, their models, and the day of the first."""
    rows = [("NAME", "PICTURES", "MODELS", "SINCE")]
    for person in people:
        models = ", ".join(dict.fromkeys(looks.model for looks in person.looks)) or "-"
        count = str(sum(looks.count for looks in person.looks))
        rows.append((person.name, count, models, f"{_since(person).astimezone():%Y-%m-%d}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _since(person: Person) -> datetime:
    return datetime.fromtimestamp(person.added_at, UTC)
