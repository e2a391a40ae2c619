"""The arrows of the design: cli, server → serving → jobs → io, plugins, stream → faces → stream/types."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("stream", "faces", "plugins", "io", "jobs", "serving", "testing", "web")

ALLOWED = {
    "errors": set(),
    "generated": set(),
    "config": {"config_values", "errors"},
    "config_values": set(),
    "config_settings": {"config", "errors", "io"},
    "stream.types": set(),
    "faces": {"stream.types", "errors"},
    "stream": {"stream.types", "faces", "errors"},
    "plugins": {"stream.types", "faces", "errors"},
    "io": {"stream", "stream.types", "faces", "errors"},
    "jobs": {"io", "plugins", "stream", "stream.types", "faces", "errors", "config"},
    "serving": {
        *("jobs", "io", "stream", "stream.types", "faces", "errors", "config", "config_settings"),
        *("web", "server", "generated"),
    },
    "testing": {"jobs", "serving", "io", "plugins", "stream", "stream.types", "faces", "errors"},
    "server": {"serving", "jobs", "io", "stream", "stream.types", "errors", "config", "web", "cli"},
    "cli": {
        *("cli_alignments", "cli_config", "cli_mask", "cli_options", "cli_people", "cli_serve"),
        *("cli_sort", "cli_status", "cli_tokens"),
        *("server", "serving", "jobs", "io", "plugins", "errors", "config"),
    },
    "cli_alignments": {"jobs"},
    "cli_config": {
        *("cli_serve", "cli_settings", "config", "config_settings", "config_text"),
        *("serving", "jobs", "plugins", "io", "errors"),
    },
    "config_text": {"cli_settings", "config", "generated"},
    "cli_mask": {"cli_options", "jobs", "errors"},
    "cli_options": {"jobs"},
    "cli_people": {"cli_options", "jobs", "errors"},
    "cli_serve": {
        *("cli_options", "cli_settings", "config", "config_settings"),
        *("jobs", "serving", "errors"),
    },
    "cli_settings": {"cli_options", "config", "config_values", "generated", "serving"},
    "cli_sort": {"cli_options", "jobs", "errors"},
    "cli_status": {"jobs"},
    "cli_tokens": {"io", "serving"},
    "__main__": {"cli"},
    "web": set(),
}


def modules() -> list[Path]:
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    return sorted(files + [path for path in ROOT.glob("*.py") if path.name != "__init__.py"])


def room_of(dotted: str) -> str:
    """``io.video`` → ``io``; the vocabulary is a room of its own."""
    return "stream.types" if dotted.startswith("stream.types") else dotted.split(".")[0]


def imports_of(path: Path) -> set[str]:
    """The rooms that a file imports, imports inside functions included."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top, _, rest = name.partition(".")
            if top == "facestream" and not rest.startswith("__version__"):
                rooms.add(room_of(rest))
    return rooms


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert imports_of(path) - {room} <= ALLOWED[room]


@pytest.mark.parametrize("room", ROOMS)
def test_package_files_import_nothing(room: str) -> None:
    for path in (ROOT / room).rglob("__init__.py"):
        assert not imports_of(path), f"{path} imports something"


def test_no_file_at_the_root_bears_a_standard_modules_name() -> None:
    assert not {path.stem for path in ROOT.glob("*.py")} & set(sys.stdlib_module_names)


def test_the_vocabulary_needs_nothing_but_numpy() -> None:
    code = "import sys, facestream.stream.types; print({m.split('.')[0] for m in sys.modules} & {'torch', 'cv2', 'av'})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
