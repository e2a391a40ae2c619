"""Protocol 1 as JSON Schema, generated from the message types.

``python -m facestream.serving.schema`` writes it into ``docs/protocol.md`` of the checkout.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from facestream.generated import GeneratedPart, attributes_of, summary_of
from facestream.serving import messages
from facestream.serving.health import Health
from facestream.stream.event_record import EventRecord
from facestream.stream.records import FrameRecord

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "protocol.md"
SCHEMA: Final = GeneratedPart("facestream.serving.schema")

SERVER_MESSAGES: Final = (
    messages.HelloMessage,
    FrameRecord,
    EventRecord,
    messages.StatusMessage,
    messages.ErrorMessage,
)
OTHERS: Final = (
    messages.SourceMessage,
    messages.PersonMessage,
    messages.ControlRequest,
    messages.AddParams,
    messages.UpdateParams,
    messages.RemoveParams,
    messages.NameParams,
    messages.RenameParams,
    messages.PersonParams,
    messages.MergeParams,
    messages.EventParams,
    messages.EventsMessage,
    messages.NoParams,
    messages.ReloadMessage,
    messages.ResultResponse,
    messages.ErrorResponse,
    Health,
)


def protocol_schema() -> dict[str, Any]:
    """JSON Schema 2020-12: the document is any server text message; ``$defs`` holds every other type too."""
    references, definitions = msgspec.json.schema_components([*SERVER_MESSAGES, *OTHERS], ref_template="#/$defs/{name}")
    for kind in _structs():
        if kind.__name__ in definitions:
            _describe(definitions[kind.__name__], kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:facestream:protocol:1",
        "title": "facestream protocol 1",
        "oneOf": list(references[: len(SERVER_MESSAGES)]),
        "$defs": dict(sorted(definitions.items())),
    }


def _structs() -> list[type[msgspec.Struct]]:
    modules = (
        sys.modules[module]
        for module in ("facestream.stream.records", EventRecord.__module__, messages.__name__, Health.__module__)
    )
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct)
    ]


def _describe(definition: dict[str, Any], kind: type[msgspec.Struct]) -> None:
    """Move what the docstring says of each attribute to the attribute."""
    definition["description"] = _plain(summary_of(kind.__doc__ or ""))
    inherited = {} if kind.__base__ in (msgspec.Struct, None) else attributes_of(kind.__base__.__doc__ or "")
    for name, text in {**inherited, **attributes_of(kind.__doc__ or "")}.items():
        if name in definition["properties"]:
            definition["properties"][name] = {"description": _plain(text), **definition["properties"][name]}


def _plain(text: str) -> str:
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", text).replace("``", "`")
    return re.sub(r"\s+", " ", text).strip()


def render() -> str:
    """The generated section."""
    schema = json.dumps(protocol_schema(), indent=1, ensure_ascii=False)
    return f"```json\n{schema}\n```"


def updated(document: str) -> str:
    """``document`` with the generated section brought up to date.

    Raises:
        ValueError: the markers aren't there.
    """
    return SCHEMA.put(render(), document)


def main() -> None:
    DOCUMENT.write_text(updated(DOCUMENT.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
