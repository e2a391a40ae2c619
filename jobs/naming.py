"""Numbers and names for faces, by the first identity model that runs and the user's gallery."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from facestream.errors import ConfigError, FacestreamError
from facestream.io.user_data import people_file
from facestream.jobs.models import FILE, ModelOptions
from facestream.jobs.people import People
from facestream.plugins import registry
from facestream.stream.device import Bridge
from facestream.stream.known_people import KnownPeople
from facestream.stream.pipeline import Tracks
from facestream.stream.recognition import Recogniser
from facestream.stream.tracking import Tracker
from facestream.stream.types import FrameFaces

log = logging.getLogger("facestream.recognition")

SURER: Final = 0.04
"""How much more alike than the model's card asks for two faces of a stream are one track's: some of its pictures are
blurred or half turned away, and an id once mistaken stays so."""


def tracks_for(models: ModelOptions, memory: float = 120.0) -> Tracks:
    """Trackers that tell people apart as the first of the identity models does.

    Args:
        memory: seconds for which a face that left is known.
    """
    same_person = 0.4
    if models.identities:
        card = registry.card("identity", models.identities[0])
        if card.threshold is None:
            log.warning("%s says nowhere when two faces are one person's; taken for that: %s", card.name, same_person)
        else:
            same_person = min(1.0, card.threshold + SURER)
    return Tracks(lambda next_id: Tracker(next_id, same_person=same_person, gallery=memory))


@dataclass(frozen=True, slots=True, eq=False)
class Naming:
    """Says who the faces in files are.

    Attributes:
        known: the people.
        identity: where results have the embeddings by which they are known.
        tracked: faces of a video are named track by track.
    """

    known: KnownPeople
    identity: str
    tracked: bool

    @property
    def recogniser(self) -> Recogniser | None:
        """What names tracks in a pipeline; a new one each time."""
        return Recogniser(self.known) if self.tracked else None

    def apply(self, faces: FrameFaces) -> FrameFaces:
        """The result with names: its tracks' in a video, each face's own in a picture that stands for itself."""
        if faces.people is not None and faces.frame.name is None:
            return faces
        looks = faces.identities.get(self.identity)
        people = (None,) * len(faces) if looks is None else tuple(self.known.match(looks))
        return replace(faces, people=people)


async def naming_for(
    bridge: Bridge, models: ModelOptions, path: Path | None = None, *, track: bool = True
) -> Naming | None:
    """What names faces; None where no identity model runs, or it knows nobody. Makes no gallery.

    Args:
        path: the gallery; by default the user's, with which trouble is told and otherwise changes nothing.

    Raises:
        ConfigError: there is no gallery in ``path``.
        FileFormatError, OutputError: that one can't be read.
    """
    if not models.identities:
        return None
    there = await bridge.cpu((path or people_file()).exists)
    if path is not None and not there:
        raise ConfigError(f"{path}: there is no gallery of people; name another with --people, or leave it out")
    card = registry.card("identity", models.identities[0])
    if card.threshold is None or not there:
        return None
    try:
        async with People.open(bridge, card, path) as people:
            known = people.known
    except FacestreamError as error:
        if path is not None:
            raise
        log.warning("nobody is recognised: %s", error)
        return None
    if known.empty:
        return None
    # Faces from a file may have embeddings of other models, by which tracks would be made.
    tracked = track and models.detector != FILE
    return Naming(known, registry.create("identity", card.name).storage_name, tracked)
