"""Half precision where a card is quick at it and the network bears it."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

AGREES: Final = 0.01
"""The largest error, as a share of the outputs' own size (root mean square), that halves are used with.

Measured: float16 errs by 0.0006 (mesh) to 0.005 (retinaface-mnet), bfloat16 by 0.004 (mesh) to 0.03 (centerface).
"""


def half_types(device: torch.device) -> tuple[torch.dtype, ...]:
    """The half precision types that are worth trying on ``device``, the best first. On a GPU only."""
    if device.type != "cuda":
        return ()
    return quick_types(torch.cuda.get_device_capability(device))


def quick_types(capability: tuple[int, int]) -> tuple[torch.dtype, ...]:
    """Those that a card of that compute capability has matrix units for.

    float16 has three more bits than bfloat16, which is for networks whose values float16 can't hold.
    """
    if capability >= (8, 0):
        return torch.float16, torch.bfloat16
    return (torch.float16,) if capability >= (7, 0) else ()


def error_of(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    """The largest error of any output as a share of its size, at least of a hundredth; infinite if one isn't finite."""
    errors = []
    for one, other in zip(found, expected, strict=True):
        error, size = ((one - other).square().mean().sqrt(), other.square().mean().sqrt())
        errors.append(float(error / size.clamp(min=0.01)))
    return max(errors) if all(error == error for error in errors) else float("inf")
