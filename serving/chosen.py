"""What the options of ``serve`` come to: which models run, what may be known of people, and what is saved."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from facestream.errors import ConfigError, FacestreamError
from facestream.io.jsonl import JsonLinesWriter
from facestream.io.live_recorder import LiveRecorder
from facestream.io.savers import FaceSaver
from facestream.jobs.known_people import is_person
from facestream.jobs.models import ModelOptions
from facestream.jobs.privacy import RECOGNISING, check_finds_all, with_recognition
from facestream.jobs.recognition import somebody_known_to
from facestream.stream.device import Bridge
from facestream.stream.types import Sink

if TYPE_CHECKING:
    from facestream.serving.app import ServeOptions

log = logging.getLogger("facestream.serve")


def check_privacy(options: ServeOptions) -> None:
    """
    Raises:
        ConfigError: people are to be known and nothing of them kept, or faces would be shown that are to be covered.
    """
    if options.no_biometrics and options.people is not None:
        raise ConfigError("--people names a gallery, and --no-biometrics opens none: leave out one of the two")
    if options.no_biometrics and any(map(is_person, (*options.models.filter, *options.models.nfilter))):
        raise ConfigError("--no-biometrics opens no gallery: filter by pictures, not by person:NAME")
    if options.anonymise is None and options.anonymise_who != "everyone":
        raise ConfigError("--anonymise-who says whose faces, and nothing covers them: add --anonymise blur")
    if options.anonymise is None:
        return
    if options.no_biometrics and options.anonymise_who != "everyone":
        raise ConfigError("--no-biometrics opens no gallery, so nobody is known: leave out --anonymise-who")
    check_finds_all(options.models)


def with_people_recognised(options: ServeOptions) -> ModelOptions:
    """The chosen models, and one that recognises people if that matters, or if there are any and nothing was said
    about it. Blocks.
    """
    models = with_recognition(options.models, options.anonymise, options.anonymise_who)
    if options.no_biometrics or models.identity or models.identities:
        return models
    try:
        somebody = somebody_known_to(RECOGNISING, options.people)
    except FacestreamError as error:
        log.warning("nobody is recognised: %s", error)
        return models
    if not somebody:
        return models
    log.info("people are recognised with %s, as the gallery holds some; --identity none turns that off", RECOGNISING)
    return replace(models, identity=RECOGNISING)


def why_nobody_is_recognised(options: ServeOptions) -> str:
    if options.no_biometrics:
        return "nobody is recognised: the server was started with --no-biometrics; start it without, to name people"
    return f"nobody is recognised: start the server with --identity {RECOGNISING}, to name people"


def chosen_sinks(options: ServeOptions, bridge: Bridge) -> list[Sink]:
    """
    Raises:
        ConfigError: what is to be saved can't be, or has no place to go.
    """
    sinks: list[Sink] = []
    if options.save is not None:
        if options.save.exists() and not options.save.is_dir():
            raise ConfigError(f"--save {options.save} isn't a folder; choose another")
        sinks.append(_saver(options, options.save, bridge))
    elif options.alignments or options.save_frames:
        raise ConfigError("--alignments and --save-frames need a folder: add --save FOLDER")
    if options.jsonl is not None:
        sinks.append(JsonLinesWriter(options.jsonl))
    return sinks


def _saver(options: ServeOptions, folder: Path, bridge: Bridge) -> Sink:
    if not (options.alignments or options.save_frames):
        return FaceSaver(folder, bridge, keep=True)
    if options.models.aligner in (None, "none"):
        raise ConfigError("alignments need landmarks: choose an --aligner, or leave out --alignments")
    return LiveRecorder(folder, bridge, frames=options.save_frames)
