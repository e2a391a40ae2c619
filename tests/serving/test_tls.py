from __future__ import annotations

import pytest

from facestream.errors import ConfigError
from facestream.serving.tls import certificate_files, server_context
from tests.serving.certificates import make_certificate


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_files_that_are_no_certificate_are_refused(tmp_path, files):
    (tmp_path / "x").write_text("hello")
    with pytest.raises(ConfigError, match="can't be read"):
        server_context(tmp_path / "nothing", files[1])
    for pair in ((tmp_path / "x", files[1]), (files[0], tmp_path / "x"), (files[1], files[0])):
        with pytest.raises(ConfigError, match="aren't a PEM certificate"):
            server_context(*pair)


def test_a_certificate_needs_its_key(files):
    assert certificate_files(None, None) is None
    with pytest.raises(ConfigError, match="both --cert and --key"):
        certificate_files(files[0], None)
