from __future__ import annotations

import dataclasses
import re
import tomllib

import pytest

from facestream.cli_serve import serve
from facestream.cli_settings import SECTIONS, SETTINGS
from facestream.config import SourceEntry, WebhookEntry, from_environment, from_file
from facestream.config_text import DOCUMENT, sample, shown, tables, toml, updated
from facestream.serving.limits import Limits


def test_no_key_lacks_an_option_a_variable_an_explanation_or_a_value_to_show():
    options = {flag for param in serve.params for flag in param.opts}
    for setting in SETTINGS:
        assert setting.flag in options
        assert re.fullmatch("FACESTREAM_[A-Z_]+", setting.variable)
        assert setting.help
        assert shown(setting) is not None, f"{setting.path} needs an example"


def test_every_option_of_serve_has_a_key():
    named = {setting.name for setting in SETTINGS}
    assert {str(param.name) for param in serve.params} - named == {"sources", "config", "accept_licence"}


def test_no_two_settings_have_the_same_key_or_the_same_variable_by_chance():
    assert len({setting.path for setting in SETTINGS}) == len(SETTINGS)
    options = {id(setting.option) for setting in SETTINGS}
    assert (
        len({setting.variable for setting in SETTINGS}) == len({setting.name for setting in SETTINGS}) == len(options)
    )


def test_no_variable_is_one_that_means_something_else():
    others = {"CONFIG", "CACHE", "DATA", "USER_DATA", "SETTINGS", "OFFLINE", "ACCEPT_LICENCE", "FULL", "SCREENSHOTS"}
    assert not {setting.variable for setting in SETTINGS} & {f"FACESTREAM_{name}" for name in others}


@pytest.mark.parametrize(
    ("table", "kind"), [("sources", SourceEntry), ("events.webhooks", WebhookEntry), ("limits", Limits)]
)
def test_tables_have_the_keys_of_what_is_made_of_them(table, kind):
    keys = {setting.key for setting in SETTINGS if setting.table == table}
    assert keys == {field.name for field in dataclasses.fields(kind)}


def test_the_file_that_is_written_sets_nothing(tmp_path):
    path = tmp_path / "facestream.toml"
    path.write_text(sample())
    layer = from_file(path, SETTINGS).check()
    assert not layer.values
    assert layer.sources is layer.webhooks is None


def test_the_file_that_is_written_has_every_key_with_a_value_that_is_possible(tmp_path):
    path = tmp_path / "facestream.toml"
    path.write_text(re.sub(r"^#(?=[a-z\[])", "", sample(), flags=re.MULTILINE))
    layer = from_file(path, SETTINGS).check()
    assert layer.sources is not None
    assert layer.webhooks is not None
    said = tomllib.loads(path.read_text())
    assert {key for keys in said.values() if isinstance(keys, dict) for key in keys} >= {s.key for s in SETTINGS} - {
        *("name", "url", "secret", "types", *(s.key for s in SETTINGS if s.table == "sources"))
    }


def test_defaults_are_possible_values(tmp_path):
    for setting in SETTINGS:
        if setting.table in ("sources", "events.webhooks"):
            continue
        path = tmp_path / "facestream.toml"
        path.write_text(f"[{setting.table}]\n{setting.key} = {toml(shown(setting))}\n")
        from_file(path, SETTINGS).check()


def test_flags_can_be_set_by_the_variable_that_is_named():
    for setting in SETTINGS:
        if setting.option.is_flag:
            assert from_environment(SETTINGS, {setting.variable: "1"}).check().values == {setting.name: True}


def test_the_document_is_up_to_date():
    document = DOCUMENT.read_text("utf-8")
    assert document == updated(document), "docs/configuration.md is stale: python -m facestream.config_text"


def test_the_document_shows_every_key():
    text = tables()
    assert all(f"| `{setting.key}` | `{setting.forms}`, `{setting.variable}` |" in text for setting in SETTINGS)
    assert len(SECTIONS) == text.count("\n### ")


def test_a_document_without_a_place_for_the_tables_is_an_error():
    with pytest.raises(ValueError, match="no section"):
        updated("nothing here")
