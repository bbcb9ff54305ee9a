"""Values that are compared by value and exact type, and what counts as a library.

Equality in Python is too generous to guard an answer: ``1 == 1.0 == True`` and ``0.0 == -0.0``, while
``nan != nan``. `plain_key` maps a plain value to a hashable key that is equal exactly when the values
are interchangeable; `same_plain` compares by it.

    >>> plain_key([1, 2.0]) == plain_key([1.0, 2.0])
    False
"""

from __future__ import annotations

import enum
import functools
import struct
import sys
import sysconfig
import types
from array import array
from collections.abc import Callable, Hashable
from typing import Any

import numpy

__all__ = [
    "IdentityKey",
    "NotPlain",
    "array_layout",
    "describe",
    "is_deeply_immutable",
    "is_library",
    "is_library_class",
    "plain_key",
    "same_array_kind",
    "same_plain",
]

LIBRARIES = frozenset(["autograd_jit", "numpy", "scipy", "numba", "llvmlite"])
DEEPEST_PLAIN_NESTING = 40


class NotPlain(TypeError):
    """The value holds something that has no key by value: an array, a function, an instance."""


class IdentityKey:
    """A dictionary key that is equal only to a key of the same object, which it keeps alive."""

    __slots__ = ("held",)

    def __init__(self, held: object):
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return type(other) is IdentityKey and other.held is self.held

    def __repr__(self) -> str:
        return f"IdentityKey({describe(self.held)})"


def _by_value(value: Any) -> Hashable:
    return type(value), value


def _float_key(value: float) -> Hashable:
    return float, struct.pack("d", value)


def _complex_key(value: complex) -> Hashable:
    return complex, struct.pack("dd", value.real, value.imag)


_SCALAR_KEYS: dict[type, Callable[[Any], Hashable]] = {
    bool: _by_value,
    int: _by_value,
    str: _by_value,
    bytes: _by_value,
    bytearray: lambda value: (bytearray, bytes(value)),
    type(None): _by_value,
    type(Ellipsis): _by_value,
    float: _float_key,
    complex: _complex_key,
    range: lambda value: (range, value.start, value.stop, value.step),
    slice: lambda value: (
        slice,
        plain_key(value.start),
        plain_key(value.stop),
        plain_key(value.step),
    ),
}


def plain_key(value: object, depth: int = 0) -> Hashable:
    """A hashable key, equal for interchangeable plain values; raises `NotPlain` for anything else."""
    kind = type(value)
    scalar = _SCALAR_KEYS.get(kind)
    if scalar is not None:
        return scalar(value)
    if kind in _CONTAINER_KEYS:
        if depth > DEEPEST_PLAIN_NESTING:
            raise NotPlain("nested too deeply")
        return _CONTAINER_KEYS[kind](value, depth + 1)
    if isinstance(value, numpy.generic) and kind.__module__ == "numpy" and value.dtype.kind not in "OV":
        return kind, value.dtype, value.tobytes()
    if isinstance(value, numpy.dtype):
        return numpy.dtype, value
    if isinstance(value, enum.Enum) and is_library_class(kind):
        return IdentityKey(value)
    raise NotPlain(kind.__name__)


def _sequence_key(value: Any, depth: int) -> Hashable:
    if len(value) > 64 and set(map(type, value)) == {float}:
        return type(value), array("d", value).tobytes()
    return type(value), tuple([plain_key(element, depth) for element in value])


def _dict_key(value: dict[Any, Any], depth: int) -> Hashable:
    # The order of the items is part of the value: a loop over them sees it.
    return dict, tuple([(plain_key(key, depth), plain_key(item, depth)) for key, item in value.items()])


def _set_key(value: Any, depth: int) -> Hashable:
    # In iteration order, which a loop sees and which equal sets need not share.
    return type(value), tuple([plain_key(element, depth) for element in value])


_CONTAINER_KEYS: dict[type, Callable[[Any, int], Hashable]] = {
    tuple: _sequence_key,
    list: _sequence_key,
    dict: _dict_key,
    set: _set_key,
    frozenset: _set_key,
}


def same_plain(value: object, key: Hashable) -> bool:
    """Whether `value` is plain and interchangeable with the value that `key` was made of."""
    try:
        return plain_key(value) == key
    except NotPlain:
        return False


def is_deeply_immutable(value: object) -> bool:
    """Whether a plain value can never change, so that the same object is the same value."""
    if type(value) in (tuple, frozenset):
        return all(map(is_deeply_immutable, value))  # type: ignore[call-overload]
    if type(value) is slice:
        return all(map(is_deeply_immutable, (value.start, value.stop, value.step)))
    return type(value) not in (list, dict, set, bytearray)


def array_layout(value: numpy.ndarray[Any, Any]) -> tuple[Hashable, ...]:
    """What a compiled program assumes of an array that it takes as an input."""
    return value.dtype, value.shape, value.strides


def same_array_kind(first: Any, second: Any) -> bool:
    """Whether two arrays agree in type, dtype, shape and bytes."""
    return (
        type(first) is type(second)
        and first.dtype == second.dtype
        and first.shape == second.shape
        and first.tobytes() == second.tobytes()
    )


@functools.lru_cache(maxsize=4096)
def is_library(module_name: object) -> bool:
    """Whether code of this module is taken as fixed: the numerical libraries and the standard library."""
    if not isinstance(module_name, str):
        return False
    top = module_name.partition(".")[0]
    return top in LIBRARIES or (top in sys.stdlib_module_names and not _shadows_stdlib(top))


#: modules whose names are given to classes that they do not hold: by ``exec`` without ``__name__``, ``new_class``, ...
_MAKERS_OF_CLASSES = frozenset(["builtins", "types", "abc", "dataclasses", "enum", "typing", "collections"])
_HEAP_TYPE = 1 << 9


def is_library_class(cls: type) -> bool:
    """Whether a class is part of a library, and so taken as fixed."""
    name = cls.__module__
    if not is_library(name) or name not in _MAKERS_OF_CLASSES or not cls.__flags__ & _HEAP_TYPE:
        return is_library(name)
    outermost, _, rest = cls.__qualname__.partition(".")
    held = getattr(sys.modules.get(name), outermost, None)
    return held is not None if rest else held is cls


def _shadows_stdlib(top: str) -> bool:
    """A user's file may be called ``code.py`` or ``statistics.py``."""
    file = getattr(sys.modules.get(top), "__file__", None)
    if file is None:
        return False
    homes = tuple(filter(None, map(sysconfig.get_path, ("stdlib", "platstdlib"))))
    return "site-packages" in file or not file.startswith(homes)


def describe(value: object) -> str:
    """A short description in the user's words: ``0.1``, ``a float64 array of shape (3, 4)``."""
    if isinstance(value, numpy.ndarray):
        return f"a {value.dtype} array of shape {value.shape}"
    if isinstance(value, types.FunctionType):
        code = value.__code__
        return f"{value.__qualname__} ({code.co_filename}:{code.co_firstlineno})"
    if isinstance(value, types.ModuleType):
        return value.__name__
    if isinstance(value, type):
        return value.__qualname__
    try:
        plain_key(value)
    except (NotPlain, RecursionError):
        if isinstance(value, list | tuple | dict | set | frozenset):
            return f"a {type(value).__name__} of length {len(value)}"
        return f"a {type(value).__qualname__} object"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
