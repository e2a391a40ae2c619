"""What holds for single keys in ``test_config.py``, for each key that there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from facestream.cli_serve import settings_for
from facestream.cli_settings import SETTINGS
from facestream.config import SOURCES, WEBHOOKS, Setting, from_file
from facestream.config_settings import Settings
from facestream.config_text import toml
from facestream.config_values import EveryType, RegionType
from facestream.errors import ConfigError

ENTRIES = {SOURCES: 'url = "webcam:0"\nname = "door"\n', WEBHOOKS: 'url = "https://a/"\n'}
BESIDE = {"server.cert": 'key = "k.pem"\n', "server.key": 'cert = "c.pem"\n'}
"""Keys that the file must have beside others."""

TEXTS = {
    "server.allow_origins": ("https://a", "https://b"),
    "models.rotate_images": ("90", "180"),
    f"{WEBHOOKS}[].url": ("https://c/", "https://d/"),
    f"{SOURCES}[].url": ("webcam:1", "webcam:2"),
    f"{SOURCES}[].name": ("one=webcam:1", "two=webcam:2"),
}
"""Two values of a key that not any text will do for."""

ONE_BY_ONE = [
    pytest.param(setting, id=setting.path)
    for setting in SETTINGS
    # Whether events are stored at all is [events] on, which has the same option.
    if setting.path != f"{SOURCES}[].events"
]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.chdir(tmp_path)


def two_values(setting: Setting) -> tuple[Any, Any]:
    """As the option takes them; of a switch first that which it says by itself."""
    kind = setting.option.type
    if setting.option.is_flag:
        return True, False
    if isinstance(kind, RegionType):
        return (0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 1.0, 1.0)
    if isinstance(kind, EveryType):
        return 3, 5
    if isinstance(kind, click.Choice):
        return kind.choices[0], kind.choices[-1]
    if isinstance(kind, click.IntRange | click.FloatRange):
        least = kind.min or 0
        return (least + 2, least + 1) if kind.max is None or kind.max >= least + 2 else (kind.max, kind.max / 2)
    if kind is click.INT:
        return 2, 1
    return TEXTS.get(setting.path, ("one", "two"))


def said(setting: Setting, value: Any) -> str:
    """A value as the command line and the environment write it."""
    if setting.option.is_flag:
        return "1" if value else "0"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def typed(setting: Setting, value: Any) -> list[str]:
    return [setting.typed(value)] if setting.option.is_flag else [setting.flag, said(setting, value)]


def file_with(path: Path, setting: Setting, text: str) -> Path:
    """A file in which a key is ``text``."""
    head = f"[[{setting.table}]]" if setting.table in ENTRIES else f"[{setting.table}]"
    others = [line for line in ENTRIES.get(setting.table, "").splitlines() if not line.startswith(f"{setting.key} =")]
    path.write_text("\n".join([head, *others, BESIDE.get(setting.path, ""), f"{setting.key} = {text}", ""]))
    return path


def in_force(settings: Settings, setting: Setting) -> Any:
    """What holds, as the option would have it."""
    value = settings.values.get(setting.path)
    if setting.table in ENTRIES:
        (entry,) = settings.sources if setting.table == SOURCES else settings.webhooks
        own = getattr(entry, setting.key)
        value = value if own is None else own
    if setting.negated:
        return not value
    if setting.option.multiple and not isinstance(value, str) and value is not None:
        (value,) = value
    return str(value) if isinstance(value, Path) else value


def expected(setting: Setting, value: Any) -> Any:
    if setting.path == f"{SOURCES}[].name":
        return value.partition("=")[0]
    return value


@pytest.mark.parametrize("setting", ONE_BY_ONE)
def test_the_command_line_goes_before_the_environment_before_the_file(setting, tmp_path, monkeypatch):
    one, other = two_values(setting)
    assert one != other
    in_file = expected(setting, one)
    path = file_with(tmp_path / "box.toml", setting, toml(not in_file if setting.negated else in_file))
    beside = ["--config", str(path)]

    assert in_force(settings_for(beside), setting) == in_file
    monkeypatch.setenv(setting.variable, said(setting, other))
    settings = settings_for(beside)
    assert in_force(settings, setting) == expected(setting, other)
    if setting.table not in ENTRIES:
        assert settings.origins[setting.path] == setting.variable
    settings = settings_for([*beside, *typed(setting, one)])
    assert in_force(settings, setting) == expected(setting, one)
    if setting.table not in ENTRIES:
        assert settings.origins[setting.path] == setting.flag
    settings = settings_for([*beside, *typed(setting, other)])
    assert in_force(settings, setting) == expected(setting, other)


@pytest.mark.parametrize(
    "setting", [pytest.param(setting, id=setting.path) for setting in SETTINGS if setting.option.is_flag]
)
def test_the_command_line_can_say_both_of_a_switch(setting, tmp_path):
    yes, no = setting.forms.split("/")
    for in_file in (True, False):
        path = file_with(tmp_path / "box.toml", setting, toml(in_file))
        for flag, value in ((yes, True), (no, False)):
            settings = settings_for(["--config", str(path), flag])
            assert in_force(settings, setting) == value
            assert settings.origins[setting.path] == flag


@pytest.mark.parametrize("setting", [pytest.param(setting, id=setting.path) for setting in SETTINGS])
def test_a_value_of_a_type_that_no_key_has_is_refused_with_file_and_key(setting, tmp_path):
    path = file_with(tmp_path / "box.toml", setting, "{ a = 1 }")
    with pytest.raises(ConfigError) as caught:
        settings_for(["--config", str(path)])
    place = setting.path.replace("[]", "[0]")
    assert str(caught.value).startswith(f"{path}: {place}: ")


@pytest.mark.parametrize("table", list(dict.fromkeys(setting.table for setting in SETTINGS)))
def test_an_unknown_key_is_refused_in_each_table(table, tmp_path):
    path = tmp_path / "box.toml"
    head = f"[[{table}]]\n{ENTRIES[table]}" if table in ENTRIES else f"[{table}]\n"
    path.write_text(f"{head}nobody_knows_this = 1\n")
    place = f"{table}[0]" if table in ENTRIES else table
    (problem,) = from_file(path, SETTINGS).problems
    assert problem.startswith(f"{path}: {place}.nobody_knows_this: there is no such key; there are ")
