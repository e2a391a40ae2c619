"""What the documents name is there: links, commands, options, variables, paths, methods and codes."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import click
import msgspec
import pytest

from facestream.cli import cli
from facestream.cli_settings import SETTINGS
from facestream.config import from_file
from facestream.jobs.webhooks import WAITS, signature
from facestream.plugins import registry
from facestream.serving import http, rpc
from facestream.serving.messages import ControlRequest, OptionsMessage
from facestream.serving.schema import protocol_schema
from facestream.stream.event_record import EventRecord

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text("utf-8")
OTHER_VARIABLES = {
    f"FACESTREAM_{name}"
    for name in ("CONFIG", "CACHE", "DATA", "USER_DATA", "SETTINGS", "OFFLINE", "ACCEPT_LICENCE", "FULL", "URL", "CA")
}

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")


def blocks(text: str, *languages: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for language, block in found if language in languages]


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings."""
    found = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def commands(text: str) -> Iterator[list[str]]:
    """The words of each line that calls facestream."""
    for block in blocks(text, "", "sh", "console"):
        for line in re.findall(
            r"^(?:\$ )?((?:[A-Z_]+=\S+ )*facestream (?!is |answers )[a-z-].*)$",
            block.replace("\\\n", " "),
            re.MULTILINE,
        ):
            words = shlex.split(re.split(r" #| \| | > | &| …", line)[0])
            yield words[words.index("facestream") + 1 :]


@documents
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{path.name}: {target}"
        assert not anchor or anchor in anchors(there), f"{path.name}: {target}"


@documents
def test_commands_and_their_options_are_there(path):
    for words in commands(path.read_text("utf-8")):
        command: click.Command = cli
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            assert words[0] in command.commands, f"{path.name}: facestream {words[0]}"
            command = command.commands[words.pop(0)]
        known = {"--help", "--version", *(flag for p in command.params for flag in (*p.opts, *p.secondary_opts))}
        given = {word.partition("=")[0] for word in words if re.match(r"--?[A-Za-z]", word)}
        assert given <= known, f"{path.name}: facestream {command.name} {' '.join(sorted(given - known))}"


@documents
def test_options_that_are_mentioned_are_there(path):
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    known = set(every_flag(cli))
    for quoted in re.findall(r"`(--[a-z][a-z-]+)[ `=]", text):
        assert quoted in known, f"{path.name}: {quoted}"


def every_flag(command: click.Command) -> Iterator[str]:
    yield from ("--help", "--version", "--debug")
    for param in command.params:
        yield from (*param.opts, *param.secondary_opts)
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from every_flag(each)


@documents
def test_variables_are_there(path):
    named = set(re.findall(r"\bFACESTREAM_[A-Z_]+[A-Z]\b", path.read_text("utf-8")))
    assert named <= {setting.variable for setting in SETTINGS} | OTHER_VARIABLES


@documents
def test_python_and_toml_can_be_read(path, tmp_path):
    text = path.read_text("utf-8")
    for block in blocks(text, "python"):
        ast.parse(block.replace("async for", "for"))
    for block in blocks(text, "toml"):
        tomllib.loads(block)
        if "entry-points" not in block:
            (tmp_path / "facestream.toml").write_text(block)
            from_file(tmp_path / "facestream.toml", SETTINGS).check()


def test_the_list_of_examples_has_all():
    folder = ROOT / "examples"
    names = {path.name for path in folder.iterdir() if not path.name.startswith(("_", ".", "README"))}
    listed = re.findall(r"^\| \[[^]]*\]\(([^)]*)\)", (folder / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(names)


def test_every_model_s_licence_is_told():
    privacy = (ROOT / "docs" / "privacy.md").read_text("utf-8")
    for card in (*registry.cards(), *registry.unverified()):
        assert f"| `{card.name}` |" in privacy


def test_the_protocol_has_every_path_with_its_role():
    table = PROTOCOL.partition("## Getting in")[0]
    for path, role in http.WEBSOCKETS.items():
        assert re.search(rf"^\| `{path}[^|]*\|.*\| {role.value} \|$", table, re.MULTILINE)


def test_the_protocol_has_every_method_and_code():
    documented = re.findall(r"^\| `([a-z]+\.[a-z]+|statistics)` \|", PROTOCOL, re.MULTILINE)
    assert sorted(documented) == sorted(get_args(get_type_hints(ControlRequest)["method"]))
    codes = {value for value in vars(rpc).values() if isinstance(value, int)}
    assert {-int(code) for code in re.findall(r"^\| −(\d+) \|", PROTOCOL, re.MULTILINE)} == codes


def test_the_protocol_has_every_option_of_a_source():
    table = PROTOCOL.partition("### Options of a source")[2].partition("```")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == set(OptionsMessage.__struct_fields__)


def test_the_protocol_s_event_is_one():
    [text] = [block for block in blocks(PROTOCOL, "json") if '"event"' in block and "$schema" not in block]
    record = msgspec.json.decode(text, type=EventRecord)
    assert set(msgspec.json.decode(text)) == set(protocol_schema()["$defs"]["EventRecord"]["properties"])
    assert record.id < 2**53


def test_the_protocol_s_check_of_a_webhook_believes_what_was_signed_and_nothing_else():
    [code] = [block for block in blocks(PROTOCOL, "python") if "hmac" in block]
    names: dict[str, object] = {}
    exec(code, names)
    check, time = names["is_from_facestream"], names["time"]
    now = str(int(time.time()))  # type: ignore[attr-defined]
    headers = {"X-Facestream-Timestamp": now, "X-Facestream-Signature": signature("s", now, b"{}")}
    assert callable(check)
    assert check("s", headers, b"{}")
    assert not check("other", headers, b"{}")
    assert not check("s", headers, b"{ }")
    assert not check("s", {}, b"{}")
    assert not check("s", {**headers, "X-Facestream-Timestamp": "1"}, b"{}")
    old = {"X-Facestream-Timestamp": "1", "X-Facestream-Signature": signature("s", "1", b"{}")}
    assert not check("s", old, b"{}")


def test_webhooks_are_tried_again_as_the_documents_say():
    assert WAITS[:7] == (1, 5, 15, 60, 300, 900, 3600)
    assert 12 <= sum(WAITS) / 3600 < 13
