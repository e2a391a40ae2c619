from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.besieged import Besieged


@pytest.fixture(scope="package")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """A server that takes raw bytes, shared as starting one takes seconds.

    It ends with this folder's tests: it minds every file that its process writes.
    """
    with Besieged(tmp_path_factory.mktemp("besieged")) as server:
        yield server
