"""Which models run when, if only one at a time may be on the device (spec §15.3). Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from facestream.jobs.models import FILE, ModelOptions


@dataclass(frozen=True, slots=True)
class Pass:
    """All inputs' frames through one model.

    Attributes:
        number: from 1.
        of: how many there are.
        name: the model's.
        models: it alone, with all that was asked of it.
    """

    number: int
    of: int
    name: str
    models: ModelOptions

    def __str__(self) -> str:
        return f"pass {self.number} of {self.of} ({self.name})"


def passes(models: ModelOptions, detector: str) -> list[Pass]:
    """One pass for each chosen model, in the order in which a frame meets them; none where no model is chosen.

    Args:
        models: as chosen.
        detector: the detector that runs, also where the device chose it.

    Raises:
        ConfigError: masks are wanted and no aligner, whose landmarks they need.
    """
    chosen = models.face_models
    only = [(name, _only(models, role, name)) for role, name in chosen]
    if models.detector != FILE:
        alone = replace(models, detector=detector, aligner=None, masks=(), identity=None, filter=(), nfilter=())
        only.insert(0, (detector, alone))
    return [Pass(number, len(only), name, each) for number, (name, each) in enumerate(only, 1)]


def _only(models: ModelOptions, role: str, name: str) -> ModelOptions:
    """For the others the faces are known: from the passes before."""
    filters = role == "identity" and name == models.identities[0]
    return replace(
        models,
        detector=FILE,
        aligner=name if role == "align" else FILE,
        masks=(name,) if role == "mask" else (),
        identity=name if role == "identity" else None,
        filter=models.filter if filters else (),
        nfilter=models.nfilter if filters else (),
    )
