"""Which part of a file a request asks for (RFC 9110, section 14): what video players need to begin anywhere. Pure."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_ONE: Final = re.compile(r"bytes= *(\d{0,18})-(\d{0,18}) *", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """The part lies beyond the file's end: status 416."""


class Span(NamedTuple):
    """Bytes ``start`` up to before ``end``."""

    start: int
    end: int

    def content_range(self, size: int) -> str:
        """The answer's ``Content-Range``.

        Args:
            size: of the whole file.
        """
        return f"bytes {self.start}-{self.end - 1}/{size}"


def asked_for(header: str, size: int) -> Span | None:
    """The part that ``Range: header`` names of a file of ``size`` bytes.

    None for all of it, as for what may be answered so: no header, other units, several parts at once, nonsense.

    Raises:
        Unsatisfiable: there is none of it.
    """
    found = _ONE.fullmatch(header)
    if found is None or found[0].strip().endswith("=-"):
        return None
    first, last = found.groups()
    if not first:
        return _last(int(last), size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, min(int(last) + 1, size) if last else size)


def _last(count: int, size: int) -> Span:
    if not count or not size:
        raise Unsatisfiable
    return Span(max(0, size - count), size)
