"""What a mask job has done, counted as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from facestream.jobs.wording import counted

_NAMED: Final = 3
"""So many files or frames a line names."""


def some(names: Sequence[str]) -> str:
    """``a, b, c, …``"""
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


@dataclass(slots=True)
class Summary:
    """What happened to the faces of one input.

    Attributes:
        made: mask → how many were made or imported.
        replaced: mask → how many of these faces had one before.
        copied: mask → how many were taken from a picture's header into the file, or the other way round.
        kept: mask → how many were there and stay as they are.
        saved: the alignments file, if it was.
        pictures: face pictures whose header changed.
        shown: pictures of masks written.
        notes: a line each for what was left out and why.
        seconds: what it took.
    """

    made: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    copied: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    saved: Path | None = None
    backup: Path | None = None
    pictures: int = 0
    shown: Counter[Path] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    left_out: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def leave_out(self, name: str, one: str, several: str) -> None:
        """Count something that was left out: ``3 pictures can't be read: a, b, c``."""
        self.left_out.setdefault((one, several), []).append(name)

    def lines(self) -> list[str]:
        """For people."""
        lines = []
        for name in sorted(self.made | self.kept | self.copied):
            lines.append(f"{name}: {self._line(name)}")
        if self.made:
            rate = sum(self.made.values()) / max(self.seconds, 1e-6)
            lines[-1] += f"; {self.seconds:.1f} s ({rate:.1f} masks/s)" if len(lines) == 1 else ""
        lines += [
            f"{counted(len(names), one, several)}: {some(names)}" for (one, several), names in self.left_out.items()
        ]
        lines += self.notes
        if self.pictures:
            lines.append(
                counted(self.pictures, "face picture has it in its header", "face pictures have it in their headers")
            )
        if self.saved is not None:
            kept = "" if self.backup is None else f"; the former file is {self.backup.name}"
            lines.append(f"saved in {self.saved}{kept}")
        lines += [f"{counted(number, 'picture')} in {folder}" for folder, number in self.shown.items()]
        return lines

    def _line(self, name: str) -> str:
        parts = []
        if made := self.made[name]:
            again = f", {self.replaced[name]} of them in place of former ones" if self.replaced[name] else ""
            parts.append(f"{counted(made, 'mask')} made{again}")
        if copied := self.copied[name]:
            parts.append(f"{copied} copied between pictures and file")
        if kept := self.kept[name]:
            parts.append(f"{counted(kept, 'face')} had it already")
        return ", ".join(parts)
