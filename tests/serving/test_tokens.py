from __future__ import annotations

import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.errors import ConfigError, FileFormatError, OutputError
from facestream.serving.keys import Keys
from facestream.serving.routes import EVERY_ROLE, Role
from facestream.serving.token_file import TokenFile, add_token, read_tokens, remove_token
from facestream.serving.tokens import Keyring, as_subprotocol, digest, from_subprotocols, lifetime_of, new_token


def make(name="ada", *roles, **options):
    return new_token(name, roles or [Role.VIEW], now=1000.0, **options)


def test_a_token_is_256_random_bits_of_which_a_hash_is_kept():
    secret, token = make()
    assert secret.startswith("fs_")
    assert len(secret) == 3 + 43
    assert token.sha256 == digest(secret)
    assert secret not in repr(token)
    assert make()[0] != secret


def test_a_ring_finds_whose_a_secret_is():
    secrets, tokens = zip(*(make(name) for name in "abc"))
    ring = Keyring(tokens, "s3cret")
    assert [ring.find(secret).name for secret in (*secrets, "s3cret")] == ["a", "b", "c", "--token"]
    for wrong in ("", "s3cre", "S3CRET", secrets[0][:-1], secrets[0] + "x", tokens[0].sha256, "é", "\ud800"):
        assert ring.find(wrong) is None


def test_the_servers_own_token_may_do_everything():
    assert Keyring((), "s3cret").find("s3cret").may == EVERY_ROLE


def test_a_token_of_the_file_is_what_the_file_says_also_as_the_servers_own():
    secret, token = make("kitchen", Role.VIEW)
    assert Keyring([token], secret).find(secret) == token


def test_a_ring_without_tokens_is_empty():
    assert not Keyring()
    assert Keyring([make()[1]])


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "../x", "a\nb", "x" * 65, "é"])
def test_a_tokens_name_is_short_and_plain(name):
    with pytest.raises(ConfigError, match="64 letters, digits"):
        make(name)


def test_a_token_without_a_role_is_a_mistake():
    with pytest.raises(ConfigError, match="needs a role"):
        new_token("ada", [], now=0)


@pytest.mark.parametrize(("text", "seconds"), [("12h", 43200), ("30d", 2592000), (" 8w ", 4838400)])
def test_lifetimes_are_hours_days_or_weeks(text, seconds):
    assert lifetime_of(text) == seconds


@pytest.mark.parametrize("text", ["", "3", "0d", "-1d", "1m", "d", "999999d"])
def test_other_lifetimes_are_refused(text):
    with pytest.raises(ConfigError, match="12h, 30d, 8w"):
        lifetime_of(text)


@given(st.text(min_size=1).filter(lambda text: text.isascii() or text.isprintable()))
def test_any_token_travels_as_a_protocol(secret):
    name = as_subprotocol(secret)
    assert name.replace("facestream.token.", "").replace("-", "").replace("_", "").isalnum()
    assert from_subprotocols(["facestream", name]) == secret


# the file


def test_the_file_holds_no_token_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "data" / "tokens.json"
    secret, token = make()
    add_token(path, token)
    assert secret not in path.read_text()
    assert read_tokens(path) == (token,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_name_is_given_once_and_can_be_given_again(tmp_path):
    path = tmp_path / "tokens.json"
    add_token(path, make("ada")[1])
    with pytest.raises(ConfigError, match="'ada' already"):
        add_token(path, make("ada")[1])
    remove_token(path, "ada")
    with pytest.raises(ConfigError, match="no token 'ada'"):
        remove_token(path, "ada")
    add_token(path, make("ada")[1])


def test_of_tokens_made_at_once_none_is_lost(tmp_path):
    path = tmp_path / "tokens.json"

    def add(name: str) -> None:
        while True:
            try:
                return add_token(path, make(name)[1])
            except OutputError:  # another is at it
                continue

    threads = [threading.Thread(target=add, args=(f"t{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {token.name for token in read_tokens(path)} == {"t0", "t1", "t2", "t3"}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"tokens": [{"name": "x"}]}',
        b'{"tokens": [], "version": 2}',
        b'{"\xff": 1}',
        b'{"x":' + b"[" * 9999,
    ],
)
def test_what_is_no_file_of_tokens_is_refused(tmp_path, content):
    path = tmp_path / "tokens.json"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="isn't a file of tokens"):
        read_tokens(path)


def test_a_file_is_read_again_when_it_has_changed(tmp_path):
    file = TokenFile(tmp_path / "tokens.json")
    assert list(file.tokens()) == []
    add_token(file.path, make("ada")[1])
    assert [token.name for token in file.tokens()] == ["ada"]
    remove_token(file.path, "ada")
    assert list(file.tokens()) == []


# a running server's


async def test_a_token_made_while_the_server_runs_is_found(bridge, tmp_path):
    keys = Keys(bridge, tmp_path / "tokens.json")
    await keys.load()
    assert not keys.locked
    secret, token = make()
    add_token(tmp_path / "tokens.json", token)
    assert await keys.find(secret) == token
    assert keys.locked


async def test_once_there_was_a_token_nobody_comes_in_without_one(bridge, tmp_path):
    keys = Keys(bridge, tmp_path / "tokens.json")
    assert keys.holds(None, 0.0)
    _, token = make("ada", lifetime=60)
    add_token(tmp_path / "tokens.json", token)
    await keys.load()
    assert not keys.holds(None, 0.0)
    assert keys.holds(token, 1059.0)
    assert not keys.holds(token, 1060.0)
    remove_token(tmp_path / "tokens.json", "ada")
    await keys.load()
    assert keys.locked
    assert not keys.holds(token, 0.0)


async def test_the_servers_own_token_is_no_more_than_the_same_one_of_the_file_also_once_removed(
    bridge, tmp_path, caplog
):
    path = tmp_path / "tokens.json"
    secret, token = make("kitchen", Role.VIEW)
    add_token(path, token)
    keys = Keys(bridge, path, secret)
    await keys.load()
    await keys.load()
    (warning,) = caplog.messages
    assert "--token is the token 'kitchen'" in warning
    assert "(view)" in warning
    assert secret not in warning
    assert (await keys.find(secret)).may == {Role.VIEW}
    remove_token(path, "kitchen")
    await keys.load()
    assert await keys.find(secret) is None
    assert keys.locked


async def test_where_the_file_is_damaged_tokens_stay_as_they_were(bridge, tmp_path, caplog):
    path = tmp_path / "tokens.json"
    _, token = make()
    add_token(path, token)
    keys = Keys(bridge, path)
    await keys.load()
    path.write_text("{")
    await keys.refresh()
    await keys.refresh()
    assert token in keys.ring
    assert caplog.text.count("isn't a file of tokens") == 1


def test_an_empty_token_is_a_mistake(bridge):
    with pytest.raises(ConfigError, match="empty"):
        Keys(bridge, None, "")
