"""Instances of classes written in Python as what they are: a class and attributes.

    names, values = attributes(point)         # ("x", "y"), [1.0, 2.0]
    assembled(type(point), names, values)     # another such point; no method of the class has run
"""

from __future__ import annotations

import enum
import types
import weakref
from typing import Any

__all__ = ["assembled", "attributes", "is_cloneable", "is_set", "slots_of"]

_HEAP_TYPE = 1 << 9
_C_METHODS = (types.MethodDescriptorType, types.WrapperDescriptorType)


def is_cloneable(cls: type) -> bool:
    """Whether an instance of `cls` is no more than its attributes, so that another may stand in for it in one call."""
    if cls is types.SimpleNamespace:
        return True
    bases = cls.__mro__[:-1]
    if issubclass(cls, enum.Enum) or not all(map(_is_written_in_python, bases)):
        return False
    return not any("__del__" in vars(base) or "__getattribute__" in vars(base) for base in bases)


def _is_written_in_python(cls: type) -> bool:
    return bool(cls.__flags__ & _HEAP_TYPE) and not any(isinstance(raw, _C_METHODS) for raw in vars(cls).values())


def slots_of(cls: type) -> list[tuple[str, Any]]:
    """The ``__slots__`` of a class and its bases: their names and descriptors."""
    found = _slots.get(cls)
    if found is None:
        written = filter(_is_written_in_python, cls.__mro__)
        members = [(name, raw) for base in written for name, raw in vars(base).items()]
        found = [(name, raw) for name, raw in members if isinstance(raw, types.MemberDescriptorType)]
        _slots[cls] = found
    return found


_slots: weakref.WeakKeyDictionary[type, list[tuple[str, Any]]] = weakref.WeakKeyDictionary()


def is_set(descriptor: Any, value: Any) -> bool:
    """Whether a slot of an instance holds something."""
    try:
        descriptor.__get__(value)
    except AttributeError:
        return False
    return True


def attributes(value: Any) -> tuple[tuple[str, ...], list]:
    """Names and values of what an instance holds itself, in ``__dict__`` and in slots; nothing is computed."""
    held = dict(getattr(value, "__dict__", ()))
    for name, descriptor in slots_of(type(value)):
        if is_set(descriptor, value):
            held[name] = descriptor.__get__(value)
    return tuple(held), list(held.values())


def assembled(cls: type, names: tuple[str, ...], values: list) -> Any:
    """An instance that holds these attributes, past ``__init__`` and ``__setattr__``."""
    made: Any = object.__new__(cls)
    slots = dict(slots_of(cls))
    for name, value in zip(names, values, strict=True):
        if name in slots:
            slots[name].__set__(made, value)
        else:
            made.__dict__[name] = value  # a property of that name would refuse
    return made
