"""Reads the text of a Python literal, and nothing else.

faceswap keeps its face headers as the ``repr`` of a dict. ``ast.literal_eval`` reads that without running
code, but a hostile text can exhaust its memory and stack: it builds a syntax tree first. This reader knows
dicts, lists, tuples, strings, bytes, numbers, True, False and None, in one pass, to a limited depth.
"""

from __future__ import annotations

import re
from typing import Any, Final

_DEPTH: Final = 16
_DIGITS: Final = 400  # of one number
_VALUES: Final = 100_000  # in all: half a second of reading

# The escapes that repr writes. Each character can match in one way only, and nothing is ever tried twice (++, *+).
_TEXT_ESCAPE: Final = r"\\(?:[\\'\"nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})"
_BYTES_ESCAPE: Final = r"\\(?:[\\'\"nrt]|x[0-9a-f]{2})"

_TOKEN: Final = re.compile(
    rf"""\s*(?:
      (?P<mark>[\[\](){{}},:])
    | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])
    | (?P<word>True|False|None)(?!\w)
    | '(?P<text1>(?:[^'\\\n]++|{_TEXT_ESCAPE})*+)' | "(?P<text2>(?:[^"\\\n]++|{_TEXT_ESCAPE})*+)"
    | b'(?P<bytes1>(?:[ !"\#-&(-\[\]-~]++|{_BYTES_ESCAPE})*+)' | b"(?P<bytes2>(?:[ !\#-\[\]-~]++|{_BYTES_ESCAPE})*+)"
    )""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE: Final = re.compile(_TEXT_ESCAPE)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}
_WORDS: Final = {"True": True, "False": False, "None": None}
_CLOSING: Final = {"[": "]", "(": ")", "{": "}"}


def parse_literal(text: str) -> Any:
    """The value that ``text`` writes.

    Raises:
        ValueError: it isn't one literal, nests deeper than 16 or holds more than 100,000 values.
    """
    reader = _Reader(text)
    value = reader.value(_DEPTH)
    if text[reader.position :].strip():
        raise ValueError(f"unexpected text at {reader.position}")
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self.position = 0
        self._values = 0

    def _next(self) -> tuple[str, str]:
        token = _TOKEN.match(self._text, self.position)
        if token is None or token.lastgroup is None:
            raise ValueError(f"no Python literal at {self.position}")
        self.position = token.end()
        return token.lastgroup, token[token.lastgroup]

    def _peek(self) -> str:
        """The mark that comes next, or nothing when something else does."""
        token = _TOKEN.match(self._text, self.position)
        return "" if token is None else token["mark"] or ""

    def value(self, depth: int) -> Any:
        self._values += 1
        if self._values > _VALUES:
            raise ValueError(f"more than {_VALUES} values")
        kind, text = self._next()
        if kind.startswith("text"):
            return _ESCAPE.sub(_unescaped, text)
        if kind.startswith("bytes"):
            return _ESCAPE.sub(_unescaped, text).encode("latin-1")
        if kind == "number":
            return _number(text)
        if kind == "word":
            return _WORDS[text]
        if text not in _CLOSING:
            raise ValueError(f"unexpected {text} before {self.position}")
        if depth == 0:
            raise ValueError(f"nested deeper than {_DEPTH}")
        return self._mapping(depth - 1) if text == "{" else self._sequence(text, depth - 1)

    def _sequence(self, opening: str, depth: int) -> Any:
        items: list[Any] = []
        comma = False
        while self._peek() != _CLOSING[opening]:
            items.append(self.value(depth))
            comma = self._comma(_CLOSING[opening])
        self._next()
        if opening == "[":
            return items
        return items[0] if len(items) == 1 and not comma else tuple(items)

    def _mapping(self, depth: int) -> dict[Any, Any]:
        items: dict[Any, Any] = {}
        while self._peek() != "}":
            key = self.value(depth)
            if not isinstance(key, (str, int)):
                raise ValueError(f"{type(key).__name__} as a key before {self.position}")
            if self._next() != ("mark", ":"):
                raise ValueError(f"no colon before {self.position}")
            items[key] = self.value(depth)
            self._comma("}")
        self._next()
        return items

    def _comma(self, closing: str) -> bool:
        """Take the comma that must stand before another item."""
        following = self._peek()
        if following == ",":
            self._next()
        elif following != closing:
            raise ValueError(f"no comma at {self.position}")
        return following == ","


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[0][1:]
    return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPED.get(code, code)


def _number(text: str) -> int | float:
    if len(text) > _DIGITS:
        raise ValueError("a number of too many digits")
    return float(text) if any(character in text for character in ".eE") else int(text)
