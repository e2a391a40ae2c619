"""The user's cache of weights: each file checked against its card, converted once, written whole or not.

::

    <cache>/weights/ROLE-NAME.safetensors   a model's converted weights; the metadata names what they were
                                            made from
    <cache>/files/NAME                      published files kept as they are, or put there by hand
    <cache>/vouched.json                    hashes that the user vouches for: see ``vouching.py``
    <cache>/.fetch-*                        downloads in progress; each fetch has its own, so two never meet

The cache is the user's cache folder for ``facestream``, or ``FACESTREAM_CACHE``. With ``FACESTREAM_OFFLINE``
set, nothing is ever downloaded. Nothing is unpickled freely, and no code of others runs: see
:mod:`facestream.plugins.download`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import platformdirs
from safetensors.numpy import save

from facestream.errors import WeightsCorrupt, WeightsMissing
from facestream.plugins import licences, vouching
from facestream.plugins.card import Card, RemoteFile
from facestream.plugins.download import Progress, download

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
Convert: TypeAlias = Callable[[Sequence[Path]], Arrays]

_STALE_SECONDS = 24 * 3600.0

logger = logging.getLogger("facestream.plugins")


def cache_folder() -> Path:
    """Where weights are kept: ``FACESTREAM_CACHE``, or the user's cache folder. May not exist yet."""
    chosen = os.environ.get("FACESTREAM_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("facestream"))


def fetch_weights(
    card: Card,
    convert: Convert,
    *,
    accepted: bool = False,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> Path:
    """The model's converted weights, fetched and converted first when the cache doesn't hold them.

    Args:
        card: whose weights.
        convert: the card's files, in its order → the network's state by key.
        accepted: the user accepts the licence, where the card asks; see ``licences.py``.
        offline: never download; None means what ``FACESTREAM_OFFLINE`` says.
        progress: told how far each download is.

    Returns:
        a safetensors file in the cache.

    Raises:
        WeightsMissing: not cached and not to be had: offline, no network, no pip, an unwritable or full
            cache; or the card has no hash and its user hasn't vouched for one, or hasn't accepted its licence.
        WeightsCorrupt: what came isn't the file that the card names. Nothing of it is kept.
    """
    card = with_vouched_hash(card)
    if not vouching.verifiable(card):
        raise vouching.refusal(card)
    cached = cached_weights(card)
    if cached is not None:
        return cached
    if not (accepted or licences.accepted(card)):
        raise licences.refusal(card)
    with _scratch(card.name) as scratch:
        return _convert(card, convert, _originals(card, scratch, offline, progress), scratch)


def fetch_claimed(
    card: Card,
    convert: Convert,
    *,
    given: Path | None = None,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> Path:
    """The weights of a card whose hash its user claims (:func:`facestream.plugins.vouching.claimed`).

    Once they are in the cache, the claim is remembered, and :func:`fetch_weights` takes the project's own card.

    Args:
        card: the claim, of one file.
        given: the file itself, where the user has it already.
        convert, offline, progress: as for :func:`fetch_weights`.

    Raises:
        WeightsMissing, WeightsCorrupt: as for :func:`fetch_weights`. Nothing is remembered.
    """
    with _scratch(card.name) as scratch:
        files = _originals(card, scratch, offline, progress) if given is None else [_checked(given, card)]
        card = replace(card, files=(replace(card.files[0], size=files[0].stat().st_size),))
        path = _convert(card, convert, files, scratch)
        remembered = scratch / "vouched.json"
        remembered.write_bytes(vouching.with_voucher(vouching.vouchers(cache_folder()), card))
        _publish(remembered, vouching.target(cache_folder()))
    return path


def with_vouched_hash(card: Card) -> Card:
    """The card as it is, or with the hash that its user vouched for."""
    return card if vouching.verifiable(card) else vouching.vouched(card, vouching.vouchers(cache_folder()))


def cached_weights(card: Card) -> Path | None:
    """The model's converted weights if the cache holds them whole and made from the card's files."""
    card = with_vouched_hash(card)
    if not vouching.verifiable(card):
        return None
    path = _weights_path(card)
    header = _read_header(path)
    return path if header is not None and header.get("__metadata__") == _metadata(card) else None


def fetch_file(
    file: RemoteFile,
    *,
    name: str | None = None,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> Path:
    """One published file, as it is, from the cache or fetched into it: a demo video, a picture for a test.

    Args:
        file: which one.
        name: what to call it in the cache; by default its own bare name.
        offline, progress: as for :func:`fetch_weights`.

    Raises:
        WeightsMissing, WeightsCorrupt: as for :func:`fetch_weights`.
    """
    target = cache_folder() / "files" / (name or file.name)
    if sha256_of(target) == file.sha256:
        return target
    with _scratch(target.name) as scratch:
        fresh = _fetch(file, target.name, scratch, "try again when online", offline, progress)
        _publish(fresh, target)
    return target


def _originals(card: Card, scratch: Path, offline: bool | None, progress: Progress | None) -> list[Path]:
    remedy = f"run `facestream models pull {card.name}` when online"
    return [_original(file, card.name, scratch, remedy, offline, progress) for file in card.files]


def _convert(card: Card, convert: Convert, originals: Sequence[Path], scratch: Path) -> Path:
    """The card's checked files, converted and in their place in the cache."""
    target = _weights_path(card)
    data = save({key: np.ascontiguousarray(array) for key, array in convert(originals).items()}, _metadata(card))
    partial = scratch / target.name
    partial.write_bytes(data)
    _publish(partial, target)
    logger.info("%s: weights ready in %s", card.name, target)
    return target


def _checked(given: Path, card: Card) -> Path:
    """A file that the user has, if it is the one of the card."""
    found, (file,) = sha256_of(given), card.files
    if found is None:
        raise WeightsMissing(f"{card.name}: {given} can't be read: give the file's path, or leave --from away")
    if found != file.sha256:
        raise WeightsCorrupt(f"{card.name}: {given} has sha256 {found}, not {file.sha256}: take the right one of them")
    return given


def _original(
    file: RemoteFile, what: str, scratch: Path, remedy: str, offline: bool | None, progress: Progress | None
) -> Path:
    by_hand = cache_folder() / "files" / file.name
    if sha256_of(by_hand) == file.sha256:
        return by_hand
    return _fetch(file, what, scratch, remedy, offline, progress)


def _fetch(
    file: RemoteFile, what: str, scratch: Path, remedy: str, offline: bool | None, progress: Progress | None
) -> Path:
    """``file`` inside ``scratch``, downloaded and checked."""
    by_hand = f"{remedy}, or put {file.name} (sha256 {file.sha256[:12]}…) into {cache_folder() / 'files'}"
    if os.environ.get("FACESTREAM_OFFLINE") if offline is None else offline:
        raise WeightsMissing(f"{what}: not in the cache, and offline: {by_hand}")
    folder = scratch / "download"
    folder.mkdir(exist_ok=True)
    logger.info("%s: fetching %s", what, file.location)
    try:
        fetched = download(file, folder, progress)
    except WeightsMissing as error:
        raise WeightsMissing(f"{what}: {error}: {by_hand}") from error
    except WeightsCorrupt as error:
        raise WeightsCorrupt(f"{what}: {error}; nothing was kept: try again") from error
    found = sha256_of(fetched)
    if found != file.sha256:
        raise WeightsCorrupt(
            f"{what}: {file.location} has sha256 {found}, not {file.sha256} as expected; nothing "
            f"was kept: try again, and report it if it stays so"
        )
    return fetched


def _weights_path(card: Card) -> Path:
    return cache_folder() / "weights" / f"{card.role}-{card.name}.safetensors"


def _metadata(card: Card) -> dict[str, str]:
    return {"sources": ",".join(file.sha256 for file in card.files), "conversion": str(card.conversion)}


def _read_header(path: Path) -> dict[str, Any] | None:
    """A safetensors file's header, or None when the file is missing, damaged or cut short."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, 1 << 24)))
            end = max((entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"))
            return header if path.stat().st_size == 8 + length + end else None
    except (OSError, struct.error, ValueError, LookupError, TypeError, AttributeError):
        return None


def sha256_of(path: Path) -> str | None:
    """Lower-case hex, or None when there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


@contextlib.contextmanager
def _scratch(what: str) -> Iterator[Path]:
    """A private folder inside the cache, gone afterwards. On the cache's own disk: a rename is atomic."""
    cache = cache_folder()
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(cache)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache, ignore_cleanup_errors=True) as scratch:
            yield Path(scratch)
    except OSError as error:
        raise WeightsMissing(
            f"{what}: the cache {cache} can't be written ({error.strerror or error}): free it, or set "
            f"FACESTREAM_CACHE to another folder"
        ) from error


def _sweep(cache: Path) -> None:
    """Remove what killed processes left behind."""
    for left in cache.glob(".fetch-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _publish(fresh: Path, target: Path) -> None:
    """Give a finished file its name; on disk before it is visible, so a crash leaves the old or the new."""
    target.parent.mkdir(mode=0o700, exist_ok=True)
    fresh.chmod(0o600)  # a folder of its owner's alone may have been made otherwise, by a service manager for one
    with fresh.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(fresh, target)
