"""What a sort tells its user at its end. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from facestream.jobs.sort.job import Report, SortSettings
from facestream.jobs.sort.looking import Left
from facestream.jobs.sort.plan import Placed
from facestream.jobs.wording import counted

_NAMED: Final = 5  # pictures that are named one by one
_SIZES: Final = 8


def summary(
    report: Report,
    settings: SortSettings,
    *,
    undone: bool = False,
    copies: bool = False,
    sheet: Path | None = None,
    folders: Sequence[Path] = (),
) -> list[str]:
    """The lines: what was done, what was left where it was and why, and where to look at it.

    Args:
        folders: in the one that was to be sorted, those that hold pictures.
    """
    lines = []
    if report.finished:
        lines.append(
            counted(
                report.finished,
                "face of an interrupted run is at its place now",
                "faces of an interrupted run are at their places now",
            )
        )
    if undone and report.record is not None:
        lines.append(counted(len(report.record.entries), "face back at its place", "faces back at their places"))
    elif report.complete and not undone:
        if report.placed:
            verb = "copied to" if copies else "sorted in"
            lines.append(f"{counted(report.count, 'face')} {verb} {report.folder} by {settings.words}")
            lines += _groups(report.placed)
        elif not report.finished:
            lines.append(f"no face to sort in {report.folder}{_elsewhere(folders)}")
    lines += _left(report.left)
    if report.links:
        lines.append(f"{counted(len(report.links), 'link')} left alone, only files are sorted: {_some(report.links)}")
    if report.gone:
        lines.append(f"{counted(len(report.gone), 'face')} vanished meanwhile: {_some(report.gone)}")
    if sheet is not None:
        lines.append(f"look at them in {sheet}")
    return lines


def _elsewhere(folders: Sequence[Path]) -> str:
    if not folders:
        return ""
    every = ", or add --batch-mode to sort each of them" if len(folders) > 1 else ""
    return f" itself; give the folder in it: {folders[0]}{every}"


def _groups(placed: Sequence[Placed]) -> list[str]:
    if not placed[0].folder:
        return []
    sizes = sorted((len(group.names) for group in placed), reverse=True)
    alone = sizes.count(1)
    shown = ", ".join(str(size) for size in sizes[:_SIZES])
    more = ", …" if len(sizes) > _SIZES else ""
    line = f"{counted(len(sizes), 'group')} of {shown}{more} faces"
    return [line + (f"; {alone} of them of a single face" if alone > 1 else "")]


def _left(left: Sequence[Left]) -> list[str]:
    """A line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for one in left:
        by_reason.setdefault(one.reason, []).append(one.picture.path.name)
    return [
        f"left where it was, it {reason}: {names[0]}"
        if len(names) == 1
        else f"{len(names)} left where they were, each {reason}: {_some(names)}"
        for reason, names in by_reason.items()
    ]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
