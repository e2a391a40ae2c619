"""A page that shows the groups of a sorted folder: one HTML file with its thumbnails in it, to be looked through.

However many faces there are, the page stays small: there are at most :data:`THUMBNAILS` thumbnails, shared out over
the groups, and browsers draw only the groups that are in sight.
"""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import quote

import cv2

from facestream.errors import OutputError, SourceError
from facestream.io.atomic import replacing
from facestream.io.images import read_image
from facestream.jobs.sort.plan import Placed
from facestream.jobs.wording import counted

NAME: Final = "contact_sheet.html"
THUMBNAILS: Final = 1500
"""On a page: about 5 MB."""

_EDGE: Final = 96  # pixels of a thumbnail
_MARGIN: Final = 0.12  # of a face picture, left out on each side
_QUALITY: Final = 75
_MOST: Final = 60  # thumbnails of one group
_OURS: Final = '<meta name="generator" content="facestream sort">'
_PAGE: Final = Template((Path(__file__).with_name("sheet.html")).read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Section:
    """A group on the page.

    Attributes:
        name: its folder's; empty where nothing is grouped.
        count: its pictures.
        shown: names of those that have a thumbnail.
    """

    name: str
    count: int
    shown: list[str]


def sections(placed: Sequence[Placed], room: int = THUMBNAILS) -> list[Section]:
    """The groups, largest first, and who of each is shown: evenly spread over its order. Pure.

    Groups that there is no room for at all are left out, the smallest first.
    """
    groups = sorted(placed, key=lambda group: -len(group.names))[:room]
    sizes = [len(group.names) for group in groups]
    most = max((limit for limit in range(1, _MOST + 1) if sum(min(size, limit) for size in sizes) <= room), default=1)
    if len(groups) == 1:
        most = room
    return [
        Section(group.folder, size, [group.names[at * size // min(size, most)] for at in range(min(size, most))])
        for group, size in zip(groups, sizes)
    ]


def write_sheet(
    folder: Path,
    placed: Sequence[Placed],
    title: str,
    *,
    advanced: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Write the page into ``folder``, in place of a former one. Blocks, 5 ms a thumbnail of a 512-pixel picture.

    Returns:
        where it is; None when it was stopped.

    Raises:
        OutputError: it can't be written.
    """
    chosen = sections(placed)
    total = sum(len(section.shown) for section in chosen)
    done, parts = 0, []
    for section in chosen:
        cells = []
        for name in section.shown:
            if stopped():
                return None
            cells.append(_cell(folder, section.name, name))
            done += 1
            advanced(done, total)
        parts.append(_section(section, cells))
    faces = sum(len(group.names) for group in placed)
    counts = counted(faces, "face") + (f" in {counted(len(placed), 'group')}" if any(g.folder for g in placed) else "")
    if len(chosen) < len(placed):
        counts += f"; the {len(chosen)} largest groups are shown"
    page = _PAGE.substitute(
        generator=_OURS, title=html.escape(title), counts=counts, sections="\n".join(parts), edge=_EDGE
    )
    path = _free(folder / NAME)
    try:
        with replacing(path, durable=False) as file:
            file.write(page.encode("utf-8", "replace"))
    except OSError as error:
        raise OutputError(f"can't write {path}: {error.strerror}; the faces are sorted all the same") from error
    return path


def remove_sheet(folder: Path) -> None:
    """Remove a page that an earlier sort wrote, if there is one."""
    path = folder / NAME
    if _is_ours(path):
        path.unlink(missing_ok=True)


def _free(wanted: Path) -> Path:
    """``wanted`` unless somebody else's file has that name."""
    path, number = wanted, 2
    while os.path.lexists(path) and not _is_ours(path):
        path, number = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}"), number + 1
    return path


def _is_ours(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return _OURS.encode() in file.read(2000)
    except OSError:
        return False


def _section(section: Section, cells: Sequence[str]) -> str:
    more = section.count - len(section.shown)
    rest = f'<p class="more">and {more} more in the folder</p>' if more else ""
    heading = f"<h2>{html.escape(_shown(section.name))} <span>{counted(section.count, 'face')}</span></h2>"
    return f"<section>{heading if section.name else ''}<ul>{''.join(cells)}</ul>{rest}</section>"


def _cell(folder: Path, group: str, name: str) -> str:
    link = "/".join(quote(os.fsencode(part), safe="") for part in (group, name) if part)
    label = html.escape(_shown(name), quote=True)
    try:
        picture = f'<img loading="lazy" decoding="async" alt="{label}" src="{thumbnail(folder / group / name)}">'
    except (SourceError, cv2.error):
        picture = f"<span>{label}</span>"
    return f'<li><a href="{link}" target="_blank" rel="noopener" title="{label}">{picture}</a></li>'


def _shown(name: str) -> str:
    """A file name as text, whatever bytes it is of."""
    return os.fsencode(name).decode("utf-8", "replace")


def thumbnail(path: Path) -> str:
    """A picture's thumbnail as a data URI.

    Raises:
        SourceError: it can't be read.
    """
    image = read_image(path)
    height, width = image.shape[:2]
    if height == width:  # an extracted face: the head's surroundings tell little
        edge = round(height * _MARGIN)
        image = image[edge : height - edge, edge : width - edge]
        height, width = image.shape[:2]
    scale = _EDGE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode('ascii')}"
