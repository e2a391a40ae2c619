"""The settings as texts, made of their declarations: the file that ``facestream config init`` writes, and the tables of
``docs/configuration.md``.

``python -m facestream.config_text`` brings the document of the checkout up to date.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from facestream.cli_settings import SECTIONS, Section
from facestream.config import PREFIX, SOURCES, WEBHOOKS, Setting
from facestream.generated import GeneratedPart

DOCUMENT: Final = Path(__file__).parent / "docs" / "configuration.md"
TABLES: Final = GeneratedPart("facestream.config_text")

WIDTH: Final = 100

EXAMPLES: Final = {
    "sources[].url": "rtsp://user:password@10.0.0.5/stream",
    "sources[].name": "door",
    "sources[].max_rate": 5.0,
    "sources[].region": [0.0, 0.25, 1.0, 1.0],
    "server.token": "something long that nobody guesses",
    "server.tokens": "tokens.json",
    "server.cert": "cert.pem",
    "server.key": "key.pem",
    "server.allow_origins": ["https://dashboard.example.org"],
    "server.allow_hosts": ["cameras.example.org"],
    "server.trusted_proxies": ["10.0.0.1"],
    "server.source_hosts": ["10.0.0.0/24"],
    "saving.folder": "faces",
    "saving.jsonl": "faces.jsonl",
    "people.gallery": "people.db",
    "people.anonymise": "blur",
    "events.store": "events.db",
    "events.webhooks[].url": "https://example.org/hook",
    "events.webhooks[].secret": "something else that nobody guesses",
    "events.webhooks[].types": ["arrived"],
    "events.webhooks[].sources": ["door"],
    "models.detector": "yunet",
    "models.masks": ["bisenet-fp"],
    "models.identity": ["sface"],
    "models.batch_size": 8,
    "models.detect_size": 640,
    "models.threshold": 0.6,
    "models.rotate_images": "90",
    "models.seed": 1,
    "models.mask_input_size": 512,
    "models.filter": ["person:Ada"],
    "models.nfilter": ["strangers/"],
    "models.ref_threshold": 0.363,
}
"""What may stand where nothing stands by default."""

_INTRODUCTION = f"""\
Settings of `facestream serve`. A key counts once the # before it has gone; what stands there
is its default, or an example where there is none. Each is an option (--log-level) and a
variable of the environment ({PREFIX}LOG_LEVEL), too; the command line goes before the
environment, and that before this file.

`facestream config check` says whether all of it is right, `facestream config show` what counts.
A running server reads it again at SIGHUP. With passwords in it: chmod 600.
"""


def sample(sections: Sequence[Section] = SECTIONS) -> str:
    """A configuration file with every key, explained and commented out: it sets nothing."""
    lines = [f"# {line}".rstrip() for line in _INTRODUCTION.splitlines()]
    table = ""
    for section in sections:
        title = f"{section.title}. {section.words}".rstrip(". ") + "."
        lines += ["", "", f"# --- {title}"]
        if section.settings[0].table != table:
            table = section.settings[0].table
            lines += ["", f"#[[{table}]]" if table in (SOURCES, WEBHOOKS) else f"[{table}]"]
        for setting in section.settings:
            lines += ["", *(f"# {line}" for line in textwrap.wrap(explained(setting), WIDTH - 2))]
            lines.append(f"#{setting.key} = {toml(shown(setting))}")
    return "\n".join(lines) + "\n"


def shown(setting: Setting) -> Any:
    """The default, or an example."""
    default = setting.default
    return EXAMPLES.get(setting.path) if default in (None, ()) else default


def toml(value: Any) -> str:
    """``value`` as a TOML file has it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False)


def explained(setting: Setting) -> str:
    """What a setting does, and which values it may have."""
    values = possible(setting.option.type)
    return setting.help.rstrip(".") + (f" ({values})." if values else ".")


def possible(kind: click.ParamType) -> str:  # type: ignore[type-arg]  # generic since click 8.4 only
    """The values that a type allows, in words; "" for any."""
    if isinstance(kind, click.Choice):
        return ", ".join(kind.choices)
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return ""
    low = None if kind.min is None else f"{'above' if kind.min_open else 'from'} {kind.min:g}"
    high = None if kind.max is None else f"to {kind.max:g}"
    return " ".join(filter(None, (low, high)))


def tables(sections: Sequence[Section] = SECTIONS) -> str:
    """The generated part of the document."""
    lines = []
    for section in sections:
        table = section.settings[0].table
        header = f"[[{table}]]" if table in (SOURCES, WEBHOOKS) else f"[{table}]"
        lines += ["", f"### {section.title}: `{header}`", ""]
        lines += ["| Key | Option, variable | Default | |", "|---|---|---|---|", *map(_row, section.settings)]
    return "\n".join([*lines, ""])


def _row(setting: Setting) -> str:
    default = setting.default
    value = "" if default in (None, ()) else f"`{toml(default)}`"
    text = explained(setting).replace("|", "\\|")
    return f"| `{setting.key}` | `{setting.forms}`, `{setting.variable}` | {value} | {text} |"


def updated(document: str) -> str:
    """``document`` with the generated part brought up to date.

    Raises:
        ValueError: the markers aren't there.
    """
    return TABLES.put(tables(), document)


def main() -> None:
    DOCUMENT.write_text(updated(DOCUMENT.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
