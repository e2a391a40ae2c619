"""Reads pickles of plain values without running anything that they say.

A pickle is a program; the standard library's reader executes it. This one knows only the instructions that
build dicts, lists, tuples, strings, bytes and numbers, and the seven names with which NumPy's arrays are
written (faceswap wrote those until 2.4): it decodes them itself and never looks a name up. Any other name or
instruction ends the reading.

What a hostile file can cost is limited too: every instruction is paid for out of a budget of memory before it
is carried out, so neither time nor memory grows beyond :class:`Budget`, whatever the file repeats or claims.
"""

from __future__ import annotations

import math
import pickletools
import re
import struct
from array import array
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facestream.errors import AlignmentsError

_DEPTH: Final = 32  # open marks: containers being filled inside one another
_STEP: Final = 12  # bytes charged for any instruction: a growing stack's place, and a bound on time as well
_LIST: Final = 136  # what a container takes beside its items, with room to grow
_DICT: Final = 88
_TABLE: Final = 160  # a dict's first places
_ITEM: Final = 48  # an item of a dict
_OBJECT: Final = 64  # a string, bytes or number
_RUN: Final = 128

_U16: Final = struct.Struct("<H").unpack_from
_U32: Final = struct.Struct("<I").unpack_from
_I32: Final = struct.Struct("<i").unpack_from
_U64: Final = struct.Struct("<Q").unpack_from
_F64: Final = struct.Struct(">d").unpack_from

# A thumbnail or an embedding is thousands of equal instructions: taken at once, and kept as the numbers only.
_SMALL_INTS: Final = re.compile(rb"(?s:K.)++")
_FLOATS: Final = re.compile(rb"(?s:G.{8})++")

Values = npt.NDArray[Any]


class PickledList:
    """A list. Its ``items`` are a bytearray while all are 0..255, an ``array("d")`` while all are floats."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        self.items: list[Any] | bytearray | array[float] = []

    def extend(self, values: list[Any]) -> None:
        if len(values) == 1 and isinstance(values[0], _Run):
            run = values[0].values
            if not self.items:
                self.items = run
                return
            if type(run) is type(self.items):
                self.items.extend(run)  # type: ignore[arg-type]
                return
        if not isinstance(self.items, list):
            self.items = list(self.items)
        self.items.extend(_spread(values))


class PickledArray:
    """A NumPy array of numbers; ``values`` is read-only."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: Values | None = None


class _Run:
    """Several small integers or floats on the stack, as one object."""

    __slots__ = ("values",)

    def __init__(self, values: bytearray | array[float]) -> None:
        self.values = values


class _Symbol:
    """A name that the pickle mentioned, and nothing more."""

    __slots__ = ("role",)

    def __init__(self, role: str) -> None:
        self.role = role


class _DType:
    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code


_NAMES: Final = {
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "numpy.core.multiarray _reconstruct": "reconstruct",
    "numpy._core.multiarray _reconstruct": "reconstruct",
    "numpy.core.multiarray scalar": "scalar",
    "numpy._core.multiarray scalar": "scalar",
    "numpy.core.numeric _frombuffer": "frombuffer",
    "numpy._core.numeric _frombuffer": "frombuffer",
    "_codecs encode": "encode",
}
_NUMBERS: Final = frozenset(("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"))


class Budget:
    """How many bytes a reader may still use.

    Raises:
        AlignmentsError: from :meth:`spend`, when there are none left.
    """

    def __init__(self, size: int) -> None:
        self.size = self.left = size

    def spend(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise AlignmentsError(
                f"would take more than {self.size >> 20} MB of memory, far too much for its size; don't open it"
            )


def read_pickle(data: bytes, budget: Budget) -> Any:
    """The value of a pickle of protocol 2 to 5: dict, :class:`PickledList`, tuple, :class:`PickledArray`, str, bytes,
    int, float, bool or None. Dict keys are strings.

    Raises:
        AlignmentsError: the pickle is damaged, too large for ``budget``, or contains anything else. The
            message lacks the file's name.
    """
    reader = _Reader(data, budget)
    try:
        return reader.read()
    except (IndexError, struct.error):
        # Reading past the end of the data, the stack or the memo: no other indexing happens here.
        raise AlignmentsError(f"is damaged or cut short near byte {reader.position} of its content") from None


def _spread(values: list[Any]) -> list[Any]:
    spread: list[Any] = []
    for value in values:
        if isinstance(value, _Run):
            spread.extend(value.values)
        else:
            spread.append(value)
    return spread


class _Reader:
    """The stack machine. One method an instruction; ``position`` stands behind the instruction's letter."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        self._data = data
        self._budget = budget
        self.position = 0
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []  # the stacks below the open marks
        self._memo: list[Any] = []
        self._done = False

    def read(self) -> Any:
        if self._data[:1] != b"\x80":
            raise AlignmentsError("holds no pickle of protocol 2 to 5")
        steps: list[Callable[[], None] | None] = [None] * 256
        for letter, method in _INSTRUCTIONS.items():
            steps[letter[0]] = getattr(self, method)
        data, budget = self._data, self._budget
        while not self._done:
            code = data[self.position]
            step = steps[code]
            if step is None:
                raise AlignmentsError(f"contains the instruction {_name(code)}, which no alignments file needs")
            self.position += 1
            budget.spend(_STEP)
            step()
        if self.position != len(data):
            raise AlignmentsError(f"goes on behind its end, at byte {self.position} of its content")
        if self._outer or len(self._stack) != 1 or isinstance(self._stack[0], _Run):
            raise AlignmentsError("is damaged: it ends in the middle of a value")
        return self._stack[0]

    # Arguments

    def _take(self, size: int) -> bytes:
        start = self.position
        if size > len(self._data) - start:  # before anything of that size is made
            raise IndexError
        self._budget.spend(_OBJECT + size)
        self.position = start + size
        return self._data[start : start + size]

    def _number(self, unpack: Callable[[bytes, int], tuple[int, ...]], size: int) -> int:
        value = unpack(self._data, self.position)[0]
        self.position += size
        return value

    def _pop(self) -> Any:
        """The last object. A number of a run is split off."""
        value = self._stack.pop()
        if isinstance(value, _Run):
            last = value.values.pop()
            if value.values:
                self._stack.append(value)
            return last
        return value

    def _pop_mark(self) -> list[Any]:
        values = self._stack
        self._stack = self._outer.pop()
        return values

    # Framing

    def protocol(self) -> None:
        version = self._data[self.position]
        if not 2 <= version <= 5:
            raise AlignmentsError(f"is a pickle of protocol {version}; 2 to 5 can be read")
        self.position += 1

    def frame(self) -> None:
        if self._number(_U64, 8) > len(self._data) - self.position:
            raise IndexError

    def stop(self) -> None:
        self._done = True

    def mark(self) -> None:
        if len(self._outer) >= _DEPTH:
            raise AlignmentsError(f"nests deeper than {_DEPTH} levels; it is damaged or hostile")
        self._budget.spend(_LIST)
        self._outer.append(self._stack)
        self._stack = []

    # Plain values

    def none(self) -> None:
        self._stack.append(None)

    def true(self) -> None:
        self._stack.append(True)

    def false(self) -> None:
        self._stack.append(False)

    def int1(self) -> None:
        start = self.position - 1
        run = _SMALL_INTS.match(self._data, start)
        if run is None:
            raise IndexError
        self._budget.spend(_RUN + (run.end() - start) // 2)
        self._stack.append(_Run(bytearray(self._data[start + 1 : run.end() : 2])))
        self.position = run.end()

    def int2(self) -> None:
        self._stack.append(self._number(_U16, 2))

    def int4(self) -> None:
        self._budget.spend(_OBJECT)
        self._stack.append(self._number(_I32, 4))

    def long1(self) -> None:
        size = self._data[self.position]
        self.position += 1
        if size > 8:
            raise AlignmentsError(f"contains an integer of {size} bytes; it is damaged or hostile")
        self._stack.append(int.from_bytes(self._take(size), "little", signed=True))

    def float8(self) -> None:
        start = self.position - 1
        run = _FLOATS.match(self._data, start)
        if run is None:
            raise IndexError
        count = (run.end() - start) // 9
        self._budget.spend(_RUN + 8 * count)
        cells = np.frombuffer(self._data, np.dtype([("code", "u1"), ("value", ">f8")]), count, start)
        self._stack.append(_Run(array("d", cells["value"].astype(np.float64).tobytes())))
        self.position = run.end()

    def _text(self, size: int) -> None:
        try:
            self._stack.append(self._take(size).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise AlignmentsError(f"contains damaged text at byte {self.position} of its content") from None

    def text1(self) -> None:
        size = self._data[self.position]
        self.position += 1
        self._text(size)

    def text4(self) -> None:
        self._text(self._number(_U32, 4))

    def text8(self) -> None:
        self._text(self._number(_U64, 8))

    def bytes1(self) -> None:
        size = self._data[self.position]
        self.position += 1
        self._stack.append(self._take(size))

    def bytes4(self) -> None:
        self._stack.append(self._take(self._number(_U32, 4)))

    def bytes8(self) -> None:
        self._stack.append(self._take(self._number(_U64, 8)))

    # Containers

    def empty_dict(self) -> None:
        self._budget.spend(_DICT)
        self._stack.append({})

    def empty_list(self) -> None:
        self._budget.spend(_LIST)
        self._stack.append(PickledList())

    def empty_tuple(self) -> None:
        self._stack.append(())

    def _tuple(self, size: int) -> None:
        values = [self._pop() for _ in range(size)]
        self._budget.spend(_LIST)
        self._stack.append(tuple(reversed(values)))

    def tuple1(self) -> None:
        self._tuple(1)

    def tuple2(self) -> None:
        self._tuple(2)

    def tuple3(self) -> None:
        self._tuple(3)

    def tuple_of_marked(self) -> None:
        values = self._marked()
        self._budget.spend(_LIST + 8 * len(values))
        self._stack.append(tuple(values))

    def _marked(self) -> list[Any]:
        values = self._pop_mark()
        runs = [value for value in values if isinstance(value, _Run)]
        if not runs:
            return values
        self._budget.spend(40 * sum(len(run.values) for run in runs))
        return _spread(values)

    def append(self) -> None:
        top = self._stack[-1]
        alone = isinstance(top, _Run) and len(top.values) == 1
        self._extend([self._stack.pop() if alone else self._pop()])

    def appends(self) -> None:
        self._extend(self._pop_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, PickledList):
            raise AlignmentsError("is damaged: it appends to something that isn't a list")
        if len(values) != 1 or not isinstance(values[0], _Run):
            runs = sum(len(value.values) for value in values if isinstance(value, _Run))
            was = 0 if isinstance(target.items, list) else len(target.items)
            self._budget.spend(40 * (runs + was) + 8 * len(values))
        target.extend(values)

    def set_item(self) -> None:
        value = self._pop()
        self._set([self._pop(), value])

    def set_items(self) -> None:
        self._set(self._marked())

    def _set(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise AlignmentsError("is damaged: it sets items of something that isn't a dict")
        self._budget.spend(_ITEM * len(pairs) // 2 + (0 if target else _TABLE))
        for key, value in zip(pairs[::2], pairs[1::2]):
            if not isinstance(key, str):
                raise AlignmentsError(f"has a {type(key).__name__} as a key; only strings are")
            target[key] = value

    # References

    def memoize(self) -> None:
        self._budget.spend(_STEP)
        self._memo.append(self._top())

    def _top(self) -> Any:
        if isinstance(self._stack[-1], _Run):
            raise AlignmentsError("is damaged: it remembers a number")  # a pickler remembers objects with an identity
        return self._stack[-1]

    def _put(self, index: int) -> None:
        # Picklers count. Were any index allowed, one instruction could ask for a memo of 2³² places.
        if index != len(self._memo):
            raise AlignmentsError("is damaged: its references aren't numbered in order")
        self._budget.spend(_STEP)
        self._memo.append(self._top())

    def put1(self) -> None:
        self._put(self._data[self.position])
        self.position += 1

    def put4(self) -> None:
        self._put(self._number(_U32, 4))

    def get1(self) -> None:
        self._stack.append(self._memo[self._data[self.position]])
        self.position += 1

    def get4(self) -> None:
        self._stack.append(self._memo[self._number(_U32, 4)])

    # NumPy's arrays, as their own pickles describe them

    def global_line(self) -> None:
        names = []
        for _ in range(2):
            end = self._data.find(b"\n", self.position, self.position + 200)
            if end < 0:
                raise IndexError
            names.append(self._data[self.position : end].decode("utf-8", "replace"))
            self.position = end + 1
        self._symbol(names[0], names[1])

    def global_of_stack(self) -> None:
        name, module = self._pop(), self._pop()
        self._symbol(
            str(module)[:100] if isinstance(module, str) else "?", str(name)[:100] if isinstance(name, str) else "?"
        )

    def _symbol(self, module: str, name: str) -> None:
        role = _NAMES.get(f"{module} {name}")
        if role is None:
            shown = "".join(c if c.isprintable() else "?" for c in f"{module}.{name}")
            raise AlignmentsError(
                f"names {shown}, which could run a program; alignments contain plain values only, so don't open it"
            )
        self._budget.spend(_OBJECT)
        self._stack.append(_Symbol(role))

    def reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, _Symbol) or not isinstance(arguments, tuple):
            raise AlignmentsError("is damaged: it calls something that isn't a name")
        self._budget.spend(_LIST)
        match function.role, arguments:
            case "reconstruct", (_Symbol(role="ndarray"), (0,), bytes()):
                self._stack.append(PickledArray())
            case "dtype", (str(code), *_):
                self._stack.append(_DType(code))
            case "scalar", (_DType() as kind, bytes(raw)):
                self._stack.append(_numbers(raw, kind, (), fortran=False).item())
            case "frombuffer", (bytes(raw), _DType() as kind, tuple(shape), str(order)):
                result = PickledArray()
                result.values = _numbers(raw, kind, shape, fortran=order == "F")
                self._stack.append(result)
            case "encode", (str(text), "latin1"):
                self._budget.spend(len(text))
                self._stack.append(text.encode("latin1", "replace"))
            case _:
                raise AlignmentsError(f"is damaged: it doesn't build a NumPy array as NumPy does ({function.role})")

    def build(self) -> None:
        state = self._pop()
        target = self._stack[-1]
        match target, state:
            case PickledArray(values=None), (1, tuple(shape), _DType() as kind, bool(fortran), bytes(raw)):
                target.values = _numbers(raw, kind, shape, fortran=fortran)
            case _DType(), (_, str(order), None, None, None, *_) if order in ("<", ">", "|", "="):
                if target.code[:1] not in "<>|=":
                    target.code = order + target.code
            case _:
                raise AlignmentsError("is damaged: it fills in something that isn't a NumPy array of numbers")


def _numbers(raw: bytes, kind: _DType, shape: tuple[Any, ...], *, fortran: bool) -> Values:
    """A read-only array over ``raw``.

    Raises:
        AlignmentsError: not numbers, or the shape doesn't fit.
    """
    if kind.code.lstrip("<>|=") not in _NUMBERS:
        raise AlignmentsError(f"contains an array of {kind.code[:20]!r}; only arrays of numbers are read")
    dtype = np.dtype(kind.code)
    if len(shape) > 4 or not all(type(edge) is int and 0 <= edge <= len(raw) for edge in shape):
        raise AlignmentsError("contains an array of an impossible shape")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise AlignmentsError("contains an array whose shape doesn't fit its values")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")


def _name(code: int) -> str:
    for opcode in pickletools.opcodes:
        if ord(opcode.code) == code:
            return opcode.name
    return f"0x{code:02x}"


_INSTRUCTIONS: Final = {
    b"\x80": "protocol",
    b"\x95": "frame",
    b".": "stop",
    b"(": "mark",
    b"N": "none",
    b"\x88": "true",
    b"\x89": "false",
    b"K": "int1",
    b"M": "int2",
    b"J": "int4",
    b"\x8a": "long1",
    b"G": "float8",
    b"\x8c": "text1",
    b"X": "text4",
    b"\x8d": "text8",
    b"C": "bytes1",
    b"B": "bytes4",
    b"\x8e": "bytes8",
    b"\x96": "bytes8",  # a bytearray: NumPy's buffer in protocol 5
    b"}": "empty_dict",
    b"]": "empty_list",
    b")": "empty_tuple",
    b"\x85": "tuple1",
    b"\x86": "tuple2",
    b"\x87": "tuple3",
    b"t": "tuple_of_marked",
    b"a": "append",
    b"e": "appends",
    b"s": "set_item",
    b"u": "set_items",
    b"\x94": "memoize",
    b"q": "put1",
    b"r": "put4",
    b"h": "get1",
    b"j": "get4",
    b"c": "global_line",
    b"\x93": "global_of_stack",
    b"R": "reduce",
    b"b": "build",
}
