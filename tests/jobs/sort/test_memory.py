from __future__ import annotations

import pytest

from facestream.errors import ConfigError
from facestream.jobs.sort.memory import available_memory, check_room


@pytest.mark.parametrize("available", [None, 800_000_000])
def test_as_many_faces_as_fit_are_taken(available: int | None) -> None:
    check_room(10_000, available)


def test_more_are_refused_before_memory_runs_out() -> None:
    with pytest.raises(ConfigError, match=r"10001 faces can't .* in 0.8 GB of memory, about 10000 can: .*--batch-mode"):
        check_room(10_001, 800_000_000)


def test_the_machine_has_some() -> None:
    available = available_memory()
    assert available is None or available > 10_000_000
