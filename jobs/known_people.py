"""People of the gallery as references: ``--filter person:ada``. Blocks; for a CPU worker or a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from facestream.errors import ConfigError
from facestream.io.gallery import Gallery
from facestream.io.gallery_names import checked_name, name_key
from facestream.io.user_data import people_file
from facestream.jobs.people import weights_hash
from facestream.plugins.card import Card
from facestream.stream.types import Floats

PERSON: Final = "person:"
"""Before a name that is meant instead of a file."""


def is_person(reference: str) -> bool:
    return reference.startswith(PERSON)


def looks_of_people(names: Sequence[str], card: Card, gallery: Path | None = None) -> Floats:
    """float32 (K, D): all embeddings that the gallery has of these people, by one identity model.

    Args:
        names: each perhaps with :data:`PERSON` before it; in capitals or not, as everywhere in the gallery.
        card: the model's.
        gallery: the file; None is the user's.

    Raises:
        ConfigError: there's no gallery, nobody in it is or can be called that, or it has no embedding of theirs by
            this model.
        ModelError: the model's weights have no known hash.
        FileFormatError, OutputError: the gallery can't be read.
    """
    wanted = {name_key(name): name for name in (checked_name(name.removeprefix(PERSON)) for name in names)}
    if not wanted:
        return np.zeros((0, 0), np.float32)
    sha256 = weights_hash(card)
    with Gallery.open(gallery or people_file(), create=False) as opened:
        known = {name_key(person.name) for person in opened.people()}
        looks, names_of_looks = opened.known(card.name, sha256)
    owners = [name_key(name) for name in names_of_looks]
    for key, name in wanted.items():
        if key not in known:
            raise ConfigError(f"nobody in the gallery is called {name!r}: see `facestream people list`")
        if key not in owners:
            raise ConfigError(f"the gallery knows {name!r} by other models than {card.name}: choose one of them")
    return looks[np.isin(owners, list(wanted))]
