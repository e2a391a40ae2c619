"""Spelling out the state-dict keys of a published layout."""

from collections.abc import Iterator


def norm(name: str) -> Iterator[str]:
    """A batch norm's keys."""
    yield from (f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))


def convolution(name: str, *, bias: bool = False) -> Iterator[str]:
    """A convolution's keys."""
    yield f"{name}.weight"
    if bias:
        yield f"{name}.bias"


def pair(name: str) -> Iterator[str]:
    """A convolution without a bias and a batch norm, numbered."""
    yield from convolution(f"{name}.0")
    yield from norm(f"{name}.1")
