from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization

from facestream.errors import ConfigError
from facestream.serving import tls
from facestream.serving.tls import certificate_files, server_context
from tests.serving.certificates import make_certificate


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_files_that_are_no_certificate_are_refused(tmp_path, files):
    cert, key = files
    other, other_key = make_certificate(tmp_path, "other")
    (tmp_path / "x").write_text("hello")
    (tmp_path / "half").write_bytes(cert.read_bytes()[:200])
    locked = tmp_path / "locked"
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    locked.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hello"),
        )
    )
    for pair, words in (
        ((tmp_path / "nothing", key), "nothing: the certificate can't be read"),
        ((cert, tmp_path), "the private key can't be read"),
        ((tmp_path / "x", key), "x holds no certificate in PEM"),
        ((cert, tmp_path / "x"), "x holds no private key in PEM"),
        ((key, cert), "holds no certificate in PEM"),
        ((tmp_path / "half", key), "can't be used as certificate"),
        ((other, key), "isn't the private key of"),
        ((cert, other_key), "isn't the private key of"),
        ((cert, locked), "has a password"),
    ):
        with pytest.raises(ConfigError, match=words) as refused:
            server_context(*pair)
        assert "\n" not in str(refused.value)


def test_files_that_go_while_they_are_read_are_told_too(tmp_path, files, monkeypatch):
    monkeypatch.setattr(tls, "_check", lambda path, what, mark: None)
    with pytest.raises(ConfigError, match="can't be read"):
        server_context(tmp_path / "nothing", files[1])


def test_a_certificate_needs_its_key(files):
    assert certificate_files(None, None) is None
    with pytest.raises(ConfigError, match="both --cert and --key"):
        certificate_files(files[0], None)
