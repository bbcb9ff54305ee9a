"""Captured state as words of memory: what a compiled function can see unchanged in a nanosecond a variable.

A closure's cell holds the address of an object. While it is the same address, an immutable value is the same value, and
a function is the same function, with the same code as long as its own word for it is. Where the layout of CPython's
objects is not what this module expects of it, nothing is watched, and every guard is checked in Python.
"""

from __future__ import annotations

import ctypes
import types
from typing import Any

__all__ = ["IS_KNOWN_LAYOUT", "Word", "cell_word", "code_word", "list_words"]

#: an address, the word that lies there, and the object that the word stands for: while that lives, no other can take
#: its place
Word = tuple[int, int, object]
_WORD = 8


def _word(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


def _offset_of(holder: Any, held: Any) -> int:
    """Where the object ``holder`` keeps the address of ``held``, found by looking at it; -1 if it does not."""
    for offset in range(2 * _WORD, type(holder).__basicsize__, _WORD):
        if _word(id(holder) + offset) == id(held):
            return offset
    return -1


def _probed_cell() -> int:
    content = object()
    return _offset_of(types.CellType(content), content)


_CELL = _probed_cell()
_CODE = _offset_of(_probed_cell, _probed_cell.__code__)


def _probed_list() -> bool:
    """Whether a list is a size, then the address of its elements' addresses."""
    held = [object(), object()]
    start = id(held) + 2 * _WORD
    return _word(start) == 2 and [_word(_word(start + _WORD) + _WORD * i) for i in range(2)] == list(map(id, held))


IS_KNOWN_LAYOUT = _CELL > 0 and _CODE > 0 and _probed_list()


def cell_word(cell: types.CellType) -> list[Word]:
    """The variable of a closure holds the object that it holds."""
    return [(id(cell) + _CELL, id(cell.cell_contents), cell.cell_contents)]


def code_word(function: types.FunctionType) -> list[Word]:
    """A function has the code that it has."""
    return [(id(function) + _CODE, id(function.__code__), function.__code__)]


def list_words(held: list[Any]) -> list[Word]:
    """A list has its size and its elements. They are read last: the memory that they lie in is the list's."""
    size = id(held) + 2 * _WORD
    elements = _word(size + _WORD)
    return [
        (size, len(held), held),
        (size + _WORD, elements, held),
        *[(elements + _WORD * i, id(element), element) for i, element in enumerate(held)],
    ]
