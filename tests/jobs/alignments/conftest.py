from __future__ import annotations

import pytest

from tests.jobs.alignments.build import Heard


@pytest.fixture
def heard() -> Heard:
    return Heard()
