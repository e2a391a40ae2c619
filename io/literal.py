"""Reads the text of a Python literal, and nothing else.

faceswap keeps its face headers as the ``repr`` of a dict. ``ast.literal_eval`` reads that without running
code, but a hostile text can exhaust its memory and stack: it builds a syntax tree first. This reader knows
dicts, lists, tuples, strings, bytes, numbers, True, False and None, in one pass, to a limited depth.
"""

from __future__ import annotations

import ast
import re
from typing import Any, Final

_DEPTH: Final = 16
_DIGITS: Final = 400  # of one number

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<mark>[\[\](){},:])
    | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])
    | (?P<word>True|False|None)(?!\w)
    | (?P<string>[bB]?(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
    )""",
    re.VERBOSE | re.ASCII,
)
_WORDS: Final = {"True": True, "False": False, "None": None}
_CLOSING: Final = {"[": "]", "(": ")", "{": "}"}


def parse_literal(text: str) -> Any:
    """The value that ``text`` writes.

    Raises:
        ValueError: it isn't one literal, or nests deeper than 16.
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

    def _next(self) -> tuple[str, str]:
        token = _TOKEN.match(self._text, self.position)
        if token is None or token.lastgroup is None:
            raise ValueError(f"no Python literal at {self.position}")
        self.position = token.end()
        return token.lastgroup, token[token.lastgroup]

    def _peek(self) -> str:
        token = _TOKEN.match(self._text, self.position)
        return "" if token is None else token[token.lastgroup or 0]

    def value(self, depth: int) -> Any:
        kind, text = self._next()
        if kind == "string":
            return ast.literal_eval(text)  # one string: no tree, no depth
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
            if self._next()[1] != ":":
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


def _number(text: str) -> int | float:
    if len(text) > _DIGITS:
        raise ValueError("a number of too many digits")
    return float(text) if any(character in text for character in ".eE") else int(text)
