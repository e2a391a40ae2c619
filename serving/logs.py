"""The server's log: lines for people or JSON for programs, with time zones and without secrets."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from datetime import datetime
from typing import Any, Final, Literal, Self, TextIO, TypeAlias

import msgspec

from facestream.io.urls import redact

LogFormat: TypeAlias = Literal["console", "json"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]

NOISY: Final = ("websockets", "asyncio", "libav")
"""Libraries whose lines say little to whoever runs a server."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class ConsoleFormatter(logging.Formatter):
    """``2026-11-21 13:37:00.123+01:00 WARNING source door: degraded (no route to host)``."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return _local_time(record).isoformat(sep=" ", timespec="milliseconds")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (RFC 3339), ``level``, ``logger``, ``message``, whatever the line gave as
    ``extra``, and ``traceback`` where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _local_time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = redact(value) if isinstance(value, str) else value
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return msgspec.json.encode(line, enc_hook=str).decode()


class LineCount(logging.Handler):
    """How many lines of each level are logged within a block."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = Counter[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.levels[record.levelname.lower()] += 1

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        logging.getLogger().removeHandler(self)


def set_up_logs(format: LogFormat, level: LogLevel, stream: TextIO | None = None) -> None:
    """Write what is logged from now on to ``stream``, by default standard error, and to no other.

    A finer level that is set already, by ``--debug``, stays.
    """
    formatter: logging.Formatter = (
        JsonFormatter() if format == "json" else ConsoleFormatter("%(asctime)s %(levelname)s %(message)s")
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [other for other in root.handlers if type(other) is not logging.StreamHandler] + [handler]
    if not logging.NOTSET < root.level <= logging.DEBUG:
        wanted = logging.getLevelNamesMapping()[level.upper()]
        root.setLevel(wanted)
        for noisy in NOISY:
            logging.getLogger(noisy).setLevel(max(wanted, logging.ERROR))


def _local_time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created).astimezone()
