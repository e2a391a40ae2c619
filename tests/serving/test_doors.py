from __future__ import annotations

import pytest

from facestream.errors import ConfigError
from facestream.serving.doors import check_certificate, unguarded
from facestream.serving.routes import Role
from facestream.serving.token_file import add_token
from facestream.serving.tokens import new_token
from tests.serving.certificates import make_certificate


def test_a_certificate_is_looked_at_whole(tmp_path):
    cert, key = make_certificate(tmp_path)
    check_certificate(cert, key)
    check_certificate(None, None)
    with pytest.raises(ConfigError, match="can't be read"):
        check_certificate(tmp_path / "none.pem", key)
    with pytest.raises(ConfigError, match="holds no certificate"):
        check_certificate(key, key)


def test_a_server_of_other_machines_needs_a_token_from_anywhere(tmp_path):
    path = tmp_path / "tokens.json"
    assert "no token, as here: serving 0.0.0.0 lets other machines in" in unguarded("0.0.0.0", None, path)
    assert unguarded("0.0.0.0", "s3cret", path) == ""
    assert unguarded("127.0.0.1", None, path) == ""
    add_token(path, new_token("ada", [Role.VIEW], now=0.0)[1])
    assert unguarded("0.0.0.0", None, path) == ""


def test_a_damaged_file_of_tokens_is_told(tmp_path):
    path = tmp_path / "tokens.json"
    path.write_text("{")
    assert "isn't a file of tokens" in unguarded("127.0.0.1", None, path)
