"""The parameters of a query, one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from facestream.errors import ProtocolError

Parameters: TypeAlias = Mapping[str, list[str]]
"""Name → its values, decoded."""


def check_names(query: Parameters, known: Collection[str]) -> None:
    """
    Raises:
        ProtocolError: there is a parameter besides those ``known``.
    """
    if unknown := sorted(query.keys() - set(known)):
        *most, last = known or ("none",)
        there = f"are {', '.join(most)} and {last}" if most else f"is {last}"
        raise bad(f"unknown parameter {unknown[0]!r}; there {there}")


def single(query: Parameters, name: str) -> str | None:
    """A parameter that comes once at most.

    Raises:
        ProtocolError: it comes more often.
    """
    values = query.get(name, [])
    if len(values) > 1:
        raise bad(f"{name} is given {len(values)} times; give it once")
    return values[0] if values else None


def number(query: Parameters, name: str, kind: Callable[[str], float], low: float, high: float) -> float | None:
    """A parameter that is a number from ``low`` to ``high``, read by ``kind``: int or float.

    Raises:
        ProtocolError: it is something else.
    """
    text = single(query, name)
    if text is None:
        return None
    try:
        value = kind(text)
    except ValueError:
        raise bad(f"{name}={text!r} isn't a number; give one from {low} to {high}") from None
    if not low <= value <= high:
        raise bad(f"{name}={text} is out of range; give a number from {low} to {high}")
    return value


def choice(query: Parameters, name: str, choices: Collection[str]) -> str | None:
    """A parameter that is one of ``choices``.

    Raises:
        ProtocolError: it is something else.
    """
    text = single(query, name)
    if text is not None and text not in choices:
        raise bad(f"{name}={text!r} isn't possible; ask for {' or '.join(choices)}")
    return text


def bad(message: str) -> ProtocolError:
    """A parameter that isn't one."""
    return ProtocolError("bad-parameter", message)
