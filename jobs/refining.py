"""What :class:`~facestream.jobs.models.ModelOptions` ask of an aligner besides its landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facestream.errors import ConfigError
from facestream.plugins.align.filtered import FilteredAligner
from facestream.plugins.align.filters import Thresholds
from facestream.plugins.align.looks import SquareAligner
from facestream.plugins.align.normalize import Normalization
from facestream.plugins.align.refeed import Refeed
from facestream.plugins.align.refined import RefinedAligner
from facestream.stream.types import FacePlugin

if TYPE_CHECKING:
    from facestream.jobs.models import ModelOptions


def refined(aligner: FacePlugin, options: ModelOptions) -> FacePlugin:
    """``aligner`` as it is, unless normalisation, further looks or filters were asked for.

    Raises:
        ConfigError: an option is out of its range, or this aligner can't do what it says.
    """
    if options.normalization != "none" or options.re_feed or options.re_align:
        aligner = _prepared(aligner, options)
    return FilteredAligner(aligner, _thresholds(options)) if options.align_filters else aligner


def _prepared(aligner: FacePlugin, options: ModelOptions) -> FacePlugin:
    if not isinstance(aligner, SquareAligner):
        raise ConfigError(
            f"{aligner.name} can't look again or through normalised pictures: leave out --normalization, --re-feed and "
            "--re-align, or choose another aligner"
        )
    aligner.normalization = _normalization(options.normalization)
    if not (options.re_feed or options.re_align):
        return aligner
    refeed = Refeed.drawn(options.re_feed, options.seed or 0)
    return RefinedAligner(aligner, refeed=refeed, re_align=options.re_align)


def _normalization(name: str) -> Normalization:
    try:
        return Normalization(name)
    except ValueError:
        raise ConfigError(f"no normalization is called {name!r}: choose from {', '.join(Normalization)}") from None


def _thresholds(options: ModelOptions) -> Thresholds:
    return Thresholds(
        features=options.aligner_features,
        min_scale=options.aligner_min_scale,
        max_scale=options.aligner_max_scale,
        distance=options.aligner_distance,
        roll=options.aligner_roll,
    )
