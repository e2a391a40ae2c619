from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from facestream.cli_serve import settings_for
from facestream.cli_settings import SETTINGS
from facestream.config import SourceEntry, from_environment, from_file
from facestream.config_settings import Settings
from facestream.errors import ConfigError


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "box.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.chdir(tmp_path)


def settled(path: Path, *arguments: str) -> Settings:
    return settings_for(("--config", str(path), *arguments))


def refusal(path: Path, *arguments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settled(path, *arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_command_line_goes_before_the_environment_before_the_file_before_the_default(write, monkeypatch):
    path = write('[server]\nport = 1\nhost = "file"\ndrain = 1\n')
    monkeypatch.setenv("FACESTREAM_PORT", "2")
    monkeypatch.setenv("FACESTREAM_HOST", "environment")
    settings = settled(path, "--port", "3")
    assert [settings.values[f"server.{key}"] for key in ("port", "host", "drain", "token")] == [
        *(3, "environment", 1, None)
    ]
    assert [settings.origins[f"server.{key}"] for key in ("port", "host", "drain", "token")] == [
        *("--port", "FACESTREAM_HOST", f"{path}: server.drain", "default")
    ]


def test_every_kind_of_value_can_come_from_the_environment():
    layer = from_environment(
        SETTINGS,
        {
            "FACESTREAM_LOOP": "yes",
            "FACESTREAM_NO_BIOMETRICS": "1",
            "FACESTREAM_MASK_GLASSES": "0",
            "FACESTREAM_IDENTITY": "sface, t-face",
            "FACESTREAM_REGION": "0,0.5,1,1",
            "FACESTREAM_DETECT_EVERY": "5",
            "FACESTREAM_SAVE": "faces",
            "FACESTREAM_TOKEN": "",
        },
    )
    assert layer.check().values == {
        "loop": True,
        "no_biometrics": True,
        "mask_glasses": False,
        "identity": ["sface", "t-face"],
        "region": (0.0, 0.5, 1.0, 1.0),
        "detect_every": 5,
        "save": Path("faces"),
    }


@pytest.mark.parametrize(
    ("variable", "value"), [("PORT", "70000"), ("PORT", "x"), ("LOOP", "maybe"), ("REGION", "0,0,2,1"), ("DRAIN", "-1")]
)
def test_a_wrong_variable_is_named(variable, value):
    name = f"FACESTREAM_{variable}"
    with pytest.raises(ConfigError, match=f"^{name}: "):
        from_environment(SETTINGS, {name: value}).check()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nprot = 1", "server.prot: there is no such key; did you mean port?"),
        ("[srever]\nport = 1", "srever: there is no such table; did you mean [server]?"),
        ("[server]\nanonymise = 'blur'", "server.anonymise: there is no such key here; did you mean people.anonymise?"),
        ("[server]\nport = '1'", "server.port: this is a whole number, not '1'"),
        ("[server]\nport = true", "server.port: this is a whole number, not True"),
        ("[server]\nport = 65536", "server.port: 65536 isn't a whole number from 0 to 65535"),
        ("[server]\ndrain = -1", "server.drain: -1 isn't a number from 0 to 3600"),
        ("[server]\ndrain = nan", "server.drain: nan isn't a number that can be used"),
        ("[server]\nhost = 1", "server.host: this is text, in quotes, not 1"),
        ("[server]\nallow_origins = [1]", "server.allow_origins: this is text, in quotes, not 1"),
        ("[server]\nallow_origins = ['example.org']", "server.allow_origins: 'example.org' isn't a page's origin"),
        ("[server]\ntoken = ' '", "server.token: the token is empty"),
        ("[server]\ncert = 'c.pem'", "server.cert: a certificate needs its private key"),
        ("[server]\nkey = 'k.pem'", "server.key: a private key needs its certificate"),
        ("server = 1", "server: this is a table"),
        ("[people]\nbiometrics = 'no'", "people.biometrics: this is true or false, not 'no'"),
        ("[people]\nanonymise = 'hide'", "people.anonymise: 'hide' is not one of 'blur', 'pixelate', 'box'"),
        ("[tracking]\ndetect_every = 0", "tracking.detect_every: 0 isn't possible"),
        ("[limits]\nconnections = -1", "limits.connections: -1 isn't a whole number from 0"),
        ("[models]\nre_feed = 11", "models.re_feed: 11 isn't a whole number from 0 to 10"),
        ("[log]\nlevel = 'loud'", "log.level: 'loud' is not one of"),
        ("[serve]\nsave = 'faces'\nport = 1", "serve: this table is several now: serve.save is saving.folder, "),
        ("[sources]\nurl = 'a'", "sources: write [[sources]]"),
        ("[[sources]]\nname = 'a'", "sources[0]: it has no url"),
        ("[[sources]]\nurl = ''", "sources[0].url: this is text"),
        ("[[sources]]\nurl = 'ftp://x'", "sources[0].url: can't read ftp://"),
        ("[[sources]]\nurl = 'ftp://x'\nname = 'a'", "sources[0].url: can't read ftp://"),
        ("[[sources]]\nurl = 'webcam:0'\nname = '../a'", "sources[0].name: '../a' can't name a source"),
        ("[[sources]]\nurl = 'webcam:0'\nnmae = 'a'", "sources[0].nmae: there is no such key; did you mean name?"),
        ("[[sources]]\nurl = 'webcam:0'\nport = 1", "sources[0].port: there is no such key here"),
        ("[[sources]]\nurl = 'webcam:0'\nregion = [0, 0, 1]", "sources[0].region: [0, 0, 1] isn't a region"),
        ("[[sources]]\nurl = 'webcam:0'\nregion = [0.5, 0, 0.5, 1]", "sources[0].region: [0.5, 0, 0.5, 1] is empty"),
        ("[[sources]]\nurl = 'webcam:0'\nmax_rate = 0", "sources[0].max_rate: 0 isn't a number above 0, up to 1000"),
        ("[[sources]]\nurl = 'a.mp4'\nmax_rate = 1\nlossless = true", "sources[0].max_rate: it drops frames"),
        (
            "[people]\nanonymise = 'blur'\n[[sources]]\nurl = 'webcam:0'\nregion = [0, 0, 1, 0.5]",
            "sources[0].region: a face outside would not be covered",
        ),
        (
            "[[sources]]\nurl = 'webcam:0'\n[[sources]]\nurl = 'webcam:1'\nname = 'webcam-0'",
            "sources[1].name: sources[0] is called 'webcam-0' too",
        ),
        ("[[sources]]\nurl = 'rtsp://'", "sources[0].url: rtsp:// has no host; write rtsp://"),
        (
            "[[sources]]\nurl = 'other.toml'",
            "sources[0].url: other.toml is no video: a configuration file is given with",
        ),
        ("[[events.webhooks]]\nurl = 'ftp://x'", "events.webhooks[0].url: a webhook is an http:// or https:// address"),
        ("[[events.webhooks]]\nurl = 'https://'", "events.webhooks[0].url: a webhook is an http:// or https://"),
        ("[[events.webhooks]]\nurl = 'http://x'\nsecret = ''", "events.webhooks[0].secret: it is empty"),
        ("[[events.webhooks]]\nurl = 'http://x'\ntypes = ['went']", "events.webhooks[0].types: 'went' is not one of"),
        ("[[events.webhooks]]\nurl = 'http://x'\nloop = true", "events.webhooks[0].loop: there is no such key"),
        ("[events]\nwebhooks = 1", "events.webhooks: write [[events.webhooks]]"),
        ("not toml", "isn't valid TOML"),
    ],
)
def test_what_is_wrong_is_told_with_file_key_and_reason(write, text, words):
    path = write(text)
    told = refusal(path)
    assert told.startswith(str(path))
    assert words in told


def test_text_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "box.toml"
    path.write_bytes(b"[server]\nhost = '\xff'")
    assert "UTF-8" in refusal(path)


def test_all_that_is_wrong_is_found_at_once(write):
    path = write("[server]\nport = 'x'\nhots = 'y'\n[[sources]]\nurl = 1\n")
    assert len(from_file(path, SETTINGS).problems) == 3


def test_a_source_says_for_itself_what_differs(write):
    path = write('[[sources]]\nname = "door"\nurl = "rtsp://x/1"\nmax_rate = 5\n[[sources]]\nurl = "rtsp://x/two"\n')
    assert settled(path).sources == (
        SourceEntry(name="door", url="rtsp://x/1", max_rate=5),
        SourceEntry(name="x-two", url="rtsp://x/two"),
    )


def test_sources_of_the_command_line_stand_instead_of_the_files(write, monkeypatch):
    path = write('[[sources]]\nurl = "rtsp://x/1"\n')
    assert [source.name for source in settled(path, "door=webcam:0", "--source", "gate=webcam:1").sources] == [
        *("door", "gate")
    ]
    monkeypatch.setenv("FACESTREAM_SOURCE", "door=webcam:0,webcam:2")
    assert [source.name for source in settled(path).sources] == ["door", "webcam-2"]


def test_what_the_command_line_says_of_sources_holds_for_all_of_them(write, monkeypatch):
    path = write('[[sources]]\nurl = "rtsp://x/1"\nmax_rate = 5\nread_timeout = 9\nloop = true')
    monkeypatch.setenv("FACESTREAM_READ_TIMEOUT", "3")
    settings = settled(path, "--max-rate", "2")
    assert settings.sources == (SourceEntry(name="x-1", url="rtsp://x/1", loop=True),)
    assert (settings.values["sources[].max_rate"], settings.values["sources[].read_timeout"]) == (2, 3)


def test_webhooks_of_the_command_line_stand_instead_of_the_files(write):
    path = write('[[events.webhooks]]\nurl = "https://a/"\nsecret = "s"\ntypes = "left"\n')
    (webhook,) = settled(path).webhooks
    assert (webhook.url, webhook.secret, webhook.types) == ("https://a/", "s", ("left",))
    (webhook,) = settled(path, "--webhook", "https://b/", "--webhook-secret", "t").webhooks
    assert (webhook.url, webhook.secret, webhook.types) == ("https://b/", "t", ())
    (webhook,) = settled(path, "--webhook-secret", "t").webhooks
    assert (webhook.url, webhook.secret, webhook.types) == ("https://a/", "t", ("left",))


def test_the_file_in_this_folder_is_taken_when_none_is_named(tmp_path, monkeypatch):
    (tmp_path / "facestream.toml").write_text("[server]\nport = 1\n")
    assert settings_for(()).values["server.port"] == 1
    (tmp_path / "other.toml").write_text("[server]\nport = 2\n")
    monkeypatch.setenv("FACESTREAM_CONFIG", "other.toml")
    assert settings_for(()).values["server.port"] == 2
    assert settings_for(("--config", "facestream.toml")).values["server.port"] == 1


def test_nothing_that_is_secret_is_in_a_repr(write):
    path = write(
        '[[sources]]\nurl = "rtsp://u:hush@x/1"\n[[events.webhooks]]\nurl = "https://x/hush"\nsecret = "hush"\n'
    )
    settings = settled(path)
    assert "hush" not in f"{settings.sources}{settings.webhooks}"


def test_what_the_server_takes_by_itself_is_what_the_options_have_as_defaults() -> None:
    from facestream.cli_serve import models_of, options_for
    from facestream.jobs.models import ModelOptions
    from facestream.serving.options import ServeOptions

    def plain(options: Any) -> Any:
        return {name: getattr(options, name) for name in options.__slots__ if name != "models"}

    settings = settings_for(())
    assert plain(options_for(settings, models_of(settings))) == plain(ServeOptions(models=ModelOptions()))
    assert models_of(settings) == ModelOptions(identity=())
