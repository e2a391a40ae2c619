"""How benchmarks print: a small table for people, a JSON file for programs."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def report(name: str, rows: Sequence[Mapping[str, Any]], notes: str = "") -> None:
    """Print ``rows`` (all with the same keys) and write them to ``bench/results/NAME.json``."""
    columns = list(rows[0]) if rows else []
    cells = [columns, *([_text(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    print(f"\n## {name}  {notes}".rstrip())
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths)), flush=True)
    RESULTS.mkdir(exist_ok=True)
    record: dict[str, Any] = {
        "name": name,
        "notes": notes,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rows": list(rows),
    }
    record["machine"] = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1, default=str))


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
