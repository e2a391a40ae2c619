from __future__ import annotations

from pathlib import Path

import pytest

from facestream.cli import run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_written_once_for_its_owner_alone(folder, capsys):
    assert run(["config", "init"]) == 0
    path = folder / "facestream.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("mine")
    assert run(["config", "init"]) == 2
    assert path.read_text() == "mine"
    assert "there already" in capsys.readouterr().err
    assert run(["config", "init", "no/such/folder/x.toml"]) == 1


def test_a_file_that_is_right_is_counted(folder, capsys):
    (folder / "facestream.toml").write_text("[server]\nport = 1\n[[sources]]\nurl = 'webcam:0'\n")
    assert run(["config", "check"]) == 0
    assert "facestream.toml is right: 1 source, 1 setting besides" in capsys.readouterr().out


def test_a_certificate_that_is_not_there_is_wrong(folder, capsys):
    (folder / "x.toml").write_text("[server]\ncert = 'cert.pem'\nkey = 'key.pem'\n")
    assert run(["config", "check", "x.toml"]) == 2
    assert "x.toml: cert.pem: the certificate can't be read" in capsys.readouterr().err


def test_serving_others_without_a_token_is_warned_of_as_the_server_may_have_one_elsewhere(folder, monkeypatch, capsys):
    monkeypatch.delenv("FACESTREAM_TOKEN", raising=False)
    (folder / "x.toml").write_text("[server]\nhost = '0.0.0.0'\ntokens = 'none.json'\n")
    assert run(["config", "check", "x.toml"]) == 0
    assert "finds no token, as here: serving 0.0.0.0 lets other machines in" in capsys.readouterr().err
    monkeypatch.setenv("FACESTREAM_TOKEN", "s3cret")
    assert run(["config", "check", "x.toml"]) == 0
    assert capsys.readouterr().err == ""


def test_all_that_is_wrong_with_a_file_is_told_at_once(folder, capsys):
    (folder / "x.toml").write_text("[server]\nport = 'x'\n[log]\nlevle = 'info'\n")
    assert run(["config", "check", "x.toml"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "facestream: x.toml: server.port: this is a whole number, not 'x'",
        "facestream: x.toml: log.levle: there is no such key; did you mean level?",
    ]


def test_two_sources_of_one_name_are_told_beside_the_rest_by_their_numbers(folder, capsys):
    (folder / "x.toml").write_text(
        "[server]\nport = 'x'\n[[sources]]\nurl = 'webcam:0'\nregion = [1, 1, 0, 0]\n"
        "[[sources]]\nurl = 'webcam:1'\n[[sources]]\nname = 'webcam-1'\nurl = 'webcam:2'\n"
    )
    assert run(["config", "check", "--config", "x.toml"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[2] for line in told] == ["sources[0].region", "server.port", "sources[2].name"]
    assert "sources[1] is called 'webcam-1' too" in told[2]
    assert run(["config", "show", "--config", "x.toml"]) == 2
    assert "(1 more: `facestream config check x.toml` shows all)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["webcam:x"], "the command line: 'webcam:x' isn't a webcam"),
        (["x.toml"], "the command line: x.toml is no video: a configuration file is given with --config x.toml"),
        (
            ["webcam:0", "webcam-0=webcam:1"],
            "the command line: another source is called 'webcam-0' too; write OTHER",
        ),
        (["rtsp://:554/x"], "has no host; write rtsp://[user:password@]host[:port]/path"),
        (["--cert", "c.pem"], "add --key FILE"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_told_in_its_words(folder, capsys, arguments, words):
    (folder / "x.toml").write_text("")
    assert run(["config", "show", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_number_that_is_none_is_told_in_plain_words(monkeypatch, capsys):
    monkeypatch.setenv("FACESTREAM_PORT", "x")
    assert run(["config", "show"]) == 2
    assert "FACESTREAM_PORT: 'x' isn't a whole number from 0 to 65535" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told_before_any_model_is_loaded(capsys):
    assert run(["serve", "nosuch.mp4", "--detector", "no-such-model"]) == 1
    assert "nosuch.mp4 isn't there; check the path" in capsys.readouterr().err
    assert run(["serve", "nosuch.mp4", "neither.mp4", "--detector", "no-such-model"]) == 1
    assert "nosuch.mp4 isn't there; check the path" in capsys.readouterr().err


def test_a_file_that_is_not_there_keeps_no_other_source_from_being_served(capsys):
    assert run(["serve", "nosuch.mp4", "push:phone", "--detector", "no-such-model"]) == 2
    assert "unknown detect model" in capsys.readouterr().err


def test_a_film_that_is_not_there_is_warned_of(folder, capsys):
    (folder / "facestream.toml").write_text("[[sources]]\nurl = 'nosuch.mp4'\n[[sources]]\nurl = 'webcam:0'\n")
    assert run(["config", "check"]) == 0
    assert "not there, seen from this folder: nosuch.mp4; check the path" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "warned"), [("", True), ("on = true\n", False)])
def test_what_is_said_of_events_without_events_is_warned_of(folder, capsys, text, warned):
    (folder / "facestream.toml").write_text(f"[events]\n{text}clip_before = 5\n")
    assert run(["config", "check"]) == 0
    assert ("facestream.toml: events.clip_before says: add --events" in capsys.readouterr().err) is warned


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[models]\ndetector = 'yunnet'", "did you mean 'yunet'"),
        ("[models]\nmasks = ['bisenet']", "bisenet-fp"),
        ("[models]\nmasks = ['bisenet-fp']\naligner = 'none'", "choose an aligner"),
        ("[people]\nanonymise_who = 'known'", "anonymise"),
        ("[server]\ncert = 'c.pem'", "server.cert"),
    ],
)
def test_what_the_server_would_refuse_is_refused_by_the_check(folder, capsys, text, words):
    (folder / "x.toml").write_text(text)
    assert run(["config", "check", "x.toml"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("facestream: x.toml: ")
    assert words in told


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (["FACESTREAM_PROT"], "nothing looks at FACESTREAM_PROT; did you mean FACESTREAM_PORT?"),
        (["FACESTREAM_B", "FACESTREAM_A"], "nothing looks at FACESTREAM_A, FACESTREAM_B; see `facestream config init`"),
        (["FACESTREAM_PORT", "FACESTREAM_USER_DATA", "FACESTREAM_CACHE", "FACESTREAM_URL"], ""),
    ],
)
def test_a_variable_that_nothing_looks_at_is_told(folder, monkeypatch, capsys, variables, words):
    (folder / "facestream.toml").write_text("")
    for name in variables:
        monkeypatch.setenv(name, "1")
    assert run(["config", "check"]) == 0
    told = capsys.readouterr().err
    assert words in told
    assert bool(told) is bool(words)


def test_without_a_file_there_is_nothing_to_check(capsys):
    assert run(["config", "check"]) == 2
    assert "facestream config init" in capsys.readouterr().err
    assert run(["config", "check", "no.toml"]) == 2


@pytest.mark.parametrize(
    ("text", "mode", "warned"),
    [
        ("[server]\ntoken = 's'", 0o644, True),
        ("[[sources]]\nurl = 'rtsp://u:p@x/1'", 0o644, True),
        ("[[events.webhooks]]\nurl = 'https://x/'\nsecret = 's'", 0o644, True),
        ("[server]\ntoken = 's'", 0o640, False),
        ("[server]\nport = 1", 0o644, False),
    ],
)
def test_secrets_that_everybody_can_read_are_warned_of(folder, capsys, text, mode, warned):
    path = folder / "facestream.toml"
    path.write_text(text)
    path.chmod(mode)
    assert run(["config", "check"]) == 0
    assert ("chmod 600" in capsys.readouterr().err) is warned


def test_the_settings_in_force_are_shown_with_where_they_come_from_and_without_secrets(folder, monkeypatch, capsys):
    (folder / "facestream.toml").write_text(
        "[server]\nport = 1\n[people]\nbiometrics = false\n"
        "[[sources]]\nurl = 'rtsp://u:hush@x/1'\nmax_rate = 5\nloop = true\n"
        "[[events.webhooks]]\nurl = 'https://x/hush'\nsecret = 'hush'\n"
    )
    monkeypatch.setenv("FACESTREAM_LOG_LEVEL", "error")
    assert run(["config", "show", "--token", "hush", "--max-rate", "2"]) == 0
    shown = capsys.readouterr().out
    lines = {tuple(part.strip() for part in line.split("  # ")) for line in shown.splitlines()}
    assert "hush" not in shown
    assert lines >= {
        ("port = 1", "facestream.toml: server.port"),
        ("biometrics = false", "facestream.toml: people.biometrics"),
        ('host = "127.0.0.1"', "default"),
        ('token = "***"', "--token"),
        ('level = "error"', "FACESTREAM_LOG_LEVEL"),
        ("[[sources]]", "facestream.toml"),
        ('url = "rtsp://***@x/1"',),
        ("max_rate = 2.0", "--max-rate"),
        ("loop = true",),
        ('url = "https://x/…"',),
    }


def test_the_help_of_serve_comes_in_sections_the_rare_ones_last(capsys):
    assert run(["serve", "-h"]) == 0
    shown = capsys.readouterr().out
    headings = ["Options:", "Sources:", "Server:", "Events:", "Models:", "Models, in detail:", "Limits of the network"]
    assert sorted(headings, key=shown.index) == headings
    assert shown.count("--detect-every auto|N") == 1
    assert "--help" in shown
