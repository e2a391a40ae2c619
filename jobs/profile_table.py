"""How ``facestream profile`` shows what it found: plain text, a bar a row."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from facestream.stream.profiling import BatchSizeSearch, Trial

_WIDTH = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share: float, width: int = _WIDTH, *, blocks: bool = True) -> str:
    """``share`` of ``width`` characters: eighths of blocks, or whole ``#`` where the output has no blocks."""
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    if not blocks:
        return "#" * round(eighths / 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def has_blocks() -> bool:
    """Standard output can show block characters."""
    try:
        "█▏".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def trial_line(search: BatchSizeSearch, trial: Trial) -> str:
    """One test in one line, for while the search runs."""
    sizes = "  ".join(f"{stage.name} {size}" for stage, size in zip(search.stages, trial.sizes))
    return f"  {sizes}: {_result(search, trial)}" + (" frames/s" if trial.failure is None else "")


def trials_table(search: BatchSizeSearch) -> str:
    """All that was tested, in the order of the search: batch sizes, device memory, frames a second and its bar."""
    best, results = search.best(), search.results()
    fastest = max((search.frames_per_second(trial) for trial in results), default=0.0) or 1.0
    heads = [*(stage.name for stage in search.stages), "memory", "frames/s"]
    rows, tails = [heads], [""]
    for trial in results:
        rows.append([*map(str, trial.sizes), _memory(trial), _result(search, trial)])
        drawn = bar(search.frames_per_second(trial) / fastest, blocks=has_blocks())
        tails.append(drawn.ljust(_WIDTH) + "  best" if trial == best else drawn)
    return _aligned(rows, tails)


def bottleneck_table(search: BatchSizeSearch, trial: Trial) -> str:
    """What each stage needs for a frame, and which of them holds the others back."""
    speeds = trial.speeds or trial.samples
    costs = [1000 * stage.per_frame / max(speed, 1e-9) for stage, speed in zip(search.stages, speeds)]
    slowest = search.bottleneck(trial)
    rows = [[stage.name, f"{cost:.1f} ms a frame"] for stage, cost in zip(search.stages, costs)]
    tails = []
    for i, cost in enumerate(costs):
        drawn = bar(cost / max(sum(costs), 1e-9), blocks=has_blocks())
        tails.append(drawn.ljust(_WIDTH) + "  the bottleneck" if i == slowest and len(costs) > 1 else drawn)
    return _aligned(rows, tails)


def _result(search: BatchSizeSearch, trial: Trial) -> str:
    return f"{search.frames_per_second(trial):.1f}" if trial.failure is None else trial.failure.value


def _memory(trial: Trial) -> str:
    return "-" if trial.memory is None else f"{trial.memory / 2**20:.0f} MiB"


def _aligned(rows: Sequence[Sequence[str]], tails: Sequence[str]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows)
    return "\n".join(f"  {line}  {tail}".rstrip() for line, tail in zip(lines, tails))
