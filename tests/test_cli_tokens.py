from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from facestream.cli_tokens import tokens
from facestream.errors import ConfigError
from facestream.serving.token_file import read_tokens
from facestream.serving.tokens import Keyring


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("FACESTREAM_USER_DATA", str(tmp_path / "data"))

    def run(*arguments: str):
        return CliRunner().invoke(tokens, arguments, catch_exceptions=False)

    return run


def test_a_new_token_is_shown_once_and_found_again_by_its_hash(run, tmp_path):
    made = run("add", "phone", "--role", "push", "--role", "view", "--expires", "30d")
    secret = made.stdout.strip()
    ring = Keyring(read_tokens(tmp_path / "data" / "tokens.json"))
    token = ring.find(secret)
    assert (token.name, [role.value for role in token.roles]) == ("phone", ["view", "push"])
    assert token.expires_at == token.created_at + 30 * 86400
    assert secret not in run("list").output
    assert secret not in run("list", "--json").output


def test_the_list_says_who_may_do_what_and_until_when(run):
    run("add", "ada", "--role", "control")
    run("add", "phone", "--role", "push", "--expires", "1d")
    assert [line.split()[:2] for line in run("list").stdout.splitlines()] == [
        ["NAME", "MAY"],
        ["ada", "control"],
        ["phone", "push"],
    ]
    listed = json.loads(run("list", "--json").stdout)
    assert [(token["name"], token["roles"], token["expires_at"] is None) for token in listed] == [
        ("ada", ["control"], True),
        ("phone", ["push"], False),
    ]


def test_without_any_the_list_says_how_to_make_one(run):
    assert "facestream tokens add" in run("list").stderr


def test_a_removed_token_is_gone(run, tmp_path):
    run("add", "ada", "--role", "view")
    run("remove", "ada")
    assert not read_tokens(tmp_path / "data" / "tokens.json")
    with pytest.raises(ConfigError, match="no token 'ada'"):
        run("remove", "ada")


def test_a_token_needs_a_role_that_there_is(run):
    assert run("add", "ada").exit_code == run("add", "ada", "--role", "admin").exit_code == 2


def test_another_file_can_be_named(run, tmp_path):
    run("add", "ada", "--role", "view", "--tokens", str(tmp_path / "other.json"))
    assert [token.name for token in read_tokens(tmp_path / "other.json")] == ["ada"]
