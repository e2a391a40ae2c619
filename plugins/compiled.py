"""A network compiled for the shapes that it sees, and run as it is where it can't be (spec §11.2).

Compiling needs a C++ compiler on a CPU and Triton on a GPU, takes some seconds for each shape, and pays for jobs that
run for minutes: on two CPU cores centerface takes 14 instead of 23 ms for 640 × 384 pixels, mesh 1.5 instead of 1.7 and
yunet 9 instead of 8.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

import torch
from torch import Tensor, nn

SHAPES: Final = 8
"""Compiled shapes of one network; torch stops there too. More only come from a model whose pictures have any size."""

_FAILURES: Final = (RuntimeError, OSError, ImportError)
"""What compiling raises: torch's own errors are RuntimeErrors, a cache that can't be written is an OSError, and Triton
may lack a part."""

logger = logging.getLogger("facestream.plugins")


class CompiledNetwork:
    """Stands in for a network. Each new shape of its input is compiled when it first comes.

    Args:
        name: the model's, for messages.
        net: in its final place and layout.
        backend: torch's name for what compiles.
    """

    def __init__(self, name: str, net: nn.Module, *, backend: str = "inductor") -> None:
        self._name = name
        self._net = net
        self._shapes: set[torch.Size] = set()
        self._usable = True
        try:
            self._compiled = torch.compile(_own_function(net), fullgraph=True, dynamic=False, backend=backend)
        except _FAILURES as error:  # torch can't compile at all here: for this version of Python, say
            self._give_up(_reason(error))

    def __call__(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The network's outputs; raises what the network raises."""
        if x.shape in self._shapes and self._usable:
            return self._compiled(x)  # type: ignore[no-any-return]
        return self._first(x) if self._usable else self._net(x)

    @property
    def usable(self) -> bool:
        """False once compiling has failed, or the shapes were too many."""
        return self._usable

    def _first(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        if len(self._shapes) == SHAPES:
            self._give_up(f"its input has had more than {SHAPES} shapes")
            return self._net(x)  # type: ignore[no-any-return]
        logger.info("%s: compiling for %s", self._name, " × ".join(map(str, x.shape)))
        try:
            outputs: Tensor | tuple[Tensor, ...] = self._compiled(x)
        except torch.OutOfMemoryError:
            raise
        except _FAILURES as error:
            if "out of memory" in str(error) or "DefaultCPUAllocator" in str(error):
                raise
            self._give_up(_reason(error))
            return self._net(x)  # type: ignore[no-any-return]
        self._shapes.add(x.shape)
        return outputs

    def _give_up(self, reason: str) -> None:
        self._usable = False
        logger.warning("%s runs uncompiled: %s", self._name, reason)


def _own_function(net: nn.Module) -> Callable[[Tensor], Any]:
    """``net`` behind code of its own: torch counts shapes by code object, and networks of one class would share it."""

    def forward(x: Tensor) -> Any:
        return net(x)

    return FunctionType(forward.__code__.replace(), forward.__globals__, closure=forward.__closure__)


def _reason(error: Exception) -> str:
    """The compiler's own reason in one line, and what to do where it is missing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = next((line for line in lines if "Error" in line or "compiler" in line.lower()), lines[0] if lines else "")
    if "compiler" in text.lower() or "triton" in text.lower():
        return f"{text[:200]} (install a C++ compiler, and Triton for a GPU, or leave --compile out)"
    return text[:200] or type(error).__name__
