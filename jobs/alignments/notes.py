"""What jobs say of pictures that they leave alone."""

from __future__ import annotations

from facestream.jobs.alignments.matching import Matching


def not_of_the_file(matching: Matching) -> list[str]:
    """A line for each picture of a face that the alignments file doesn't have."""
    return [f"{picture.path}: the file has no such face in {picture.frame}; left alone" for picture in matching.strays]
