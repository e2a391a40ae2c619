"""Values as the file and the environment write them, checked and made what the command line would make of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import click


class Unusable(ValueError):
    """A value that can't be taken; the message says why, without saying of what."""


class RegionType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A part of the frame: four shares 0..1, ``0,0.5,1,1`` or a list."""

    name = "region"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        wrong = f"{value!r} isn't a region: give left, top, right, bottom as shares from 0 to 1 of the frame"
        try:
            if isinstance(parts, str) or not isinstance(parts, Sequence) or any(isinstance(p, bool) for p in parts):
                self.fail(wrong, param, ctx)
            region = tuple(float(part) for part in parts)
        except (TypeError, ValueError):
            self.fail(wrong, param, ctx)
        if len(region) != 4 or not all(0 <= share <= 1 for share in region):
            self.fail(wrong, param, ctx)
        if region[0] >= region[2] or region[1] >= region[3]:
            self.fail(f"{value!r} is empty: left is below right, and top below bottom", param, ctx)
        return region


class EveryType(click.ParamType):  # type: ignore[type-arg]
    """``auto`` or a number of frames."""

    name = "auto|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "auto":
            return value
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 1_000_000:
            self.fail(f"{value!r} isn't possible: choose auto, or a number of frames", param, ctx)
        return number


def from_toml(option: click.Option, value: Any) -> Any:
    """``value``, as a TOML file has it; one where several may stand is a list of one.

    Raises:
        Unusable: it has another type, or isn't possible.
    """
    if not option.multiple:
        return _one(option, value)
    return [_one(option, item) for item in (value if isinstance(value, list) else [value])]


def from_text(option: click.Option, text: str) -> Any:
    """``text``, as a variable of the environment has it; several are separated by commas.

    Raises:
        Unusable: it can't be read so, or isn't possible.
    """
    if option.multiple:
        return [_converted(option, item.strip()) for item in text.split(",") if item.strip()]
    return _converted(option, text.strip())


def _one(option: click.Option, value: Any) -> Any:
    kind = option.type
    if isinstance(kind, RegionType | EveryType):
        return _converted(option, value)
    if option.is_flag:
        taken: tuple[type, ...] = (bool,)
        words = "true or false"
    elif isinstance(kind, type(click.INT)):
        taken, words = (int,), "a whole number"
    elif isinstance(kind, type(click.FLOAT)):
        taken, words = (int, float), "a number"
    else:
        taken, words = (str,), "text, in quotes"
    if not isinstance(value, taken) or (isinstance(value, bool) and bool not in taken):
        raise Unusable(f"this is {words}, not {value!r}")
    return _converted(option, value)


def _converted(option: click.Option, value: Any) -> Any:
    try:
        converted = (click.BOOL if option.is_flag else option.type).convert(value, option, None)
    except click.BadParameter as error:
        words = _number(option.type)
        raise Unusable(f"{value!r} isn't {words}" if words else error.message.rstrip(".")) from None
    if isinstance(converted, float) and not math.isfinite(converted):
        raise Unusable(f"{value!r} isn't a number that can be used")
    return converted


def _number(kind: Any) -> str:
    """What ``kind`` takes, if that is numbers: "a whole number from 0 to 65535"; or ""."""
    if not isinstance(kind, type(click.INT) | type(click.FLOAT)):
        return ""
    words = "a whole number" if isinstance(kind, type(click.INT)) else "a number"
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return words
    if kind.min is None:
        return words
    above = f"{words} above {kind.min}" if kind.min_open else f"{words} from {kind.min}"
    return above if kind.max is None else f"{above}{', up' if kind.min_open else ''} to {kind.max}"
