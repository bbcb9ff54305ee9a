"""Nested containers as a list of leaves and a structure.

Containers are ``tuple``, ``list``, ``dict`` (and subclasses that can be rebuilt: named tuples,
``OrderedDict``) and dataclass instances. Everything else is a leaf. Dictionaries keep their order.

A value of a type that a user has registered (``Box.register``) is a leaf to derivatives, which box it as a whole. A
tape holds nothing but arrays and numbers: with ``opened=True`` such a value counts as a container of its attributes.
"""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from .instances import assembled, attributes
from .tracer import REGISTERED, Box

__all__ = [
    "LEAF", "Attributes", "Structure", "flatten", "flatten_once", "is_container", "is_rebuildable", "keys_of",
    "kinds_of", "map_leaves", "unflatten",
]  # fmt: skip


class Structure(NamedTuple):
    """How to rebuild one container: its kind, what else is needed, and its children's structures."""

    kind: type
    extra: Any
    children: tuple[Structure | None, ...]

    @property
    def size(self) -> int:
        """Number of leaves."""
        return sum(1 if child is None else child.size for child in self.children)


class Attributes(tuple):
    """Names of attributes: the ``extra`` of an opened value of a registered type."""

    __slots__ = ()


#: the structure of a leaf
LEAF = None


def is_container(value: Any, opened: bool = False) -> bool:
    """Whether ``value`` is taken apart by :func:`flatten`."""
    return _parts(value, opened) is not None


def _parts(value: Any, opened: bool = False) -> tuple[Any, Any] | None:
    """``(extra, children)`` of a container, None for a leaf."""
    kind = type(value)
    if kind is tuple or kind is list:
        return None, value
    if kind is dict or kind is OrderedDict:
        return tuple(value), value.values()
    if kind is defaultdict:
        return (value.default_factory, tuple(value)), value.values()
    if kind in Box.type_mappings:
        if not opened or kind not in REGISTERED:
            return None  # boxed as a whole
        names, values = attributes(value)
        return Attributes(names), values
    if isinstance(value, tuple) and hasattr(kind, "_make"):
        return None, value
    if hasattr(kind, "__dataclass_fields__"):
        names = tuple(field.name for field in _fields(kind) if field.init)
        return names, [getattr(value, name) for name in names]
    return None


def flatten_once(value: Any, opened: bool = False) -> list:
    """The direct children of a container."""
    parts = _parts(value, opened)
    return [value] if parts is None else list(parts[1])


def flatten(value: Any, opened: bool = False) -> tuple[list, Structure | None]:
    """The leaves of ``value``, depth first, and its structure (``LEAF`` when it is one).

    >>> flatten({"a": 1.0, "b": (2.0, 3.0)})[0]
    [1.0, 2.0, 3.0]
    """
    leaves: list = []
    return leaves, _flatten(value, leaves, opened)


def _flatten(value: Any, leaves: list, opened: bool) -> Structure | None:
    parts = _parts(value, opened)
    if parts is None:
        leaves.append(value)
        return LEAF
    extra, children = parts
    return Structure(type(value), extra, tuple([_flatten(child, leaves, opened) for child in children]))


def unflatten(structure: Structure | None, leaves: list) -> Any:
    """The inverse of :func:`flatten`; ``leaves`` may be any values."""
    return _build(structure, iter(leaves))


def _build(structure: Structure | None, leaves: Any) -> Any:
    if structure is LEAF:
        return next(leaves)
    kind, extra, children = structure
    values = [_build(child, leaves) for child in children]
    if kind is list:
        return values
    if kind is tuple:
        return tuple(values)
    if kind is dict or kind is OrderedDict:
        return kind(zip(extra, values, strict=True))
    if kind is defaultdict:
        return defaultdict(extra[0], zip(extra[1], values, strict=True))
    if type(extra) is Attributes:
        return assembled(kind, extra, values)
    if issubclass(kind, tuple):
        return kind._make(values)  # type: ignore[attr-defined]
    return kind(**dict(zip(extra, values, strict=True)))


def is_rebuildable(structure: Structure | None) -> bool:
    """Whether every container comes out of :func:`unflatten` as it went into :func:`flatten`.

    Not so a dataclass that computes fields when it is made, or has some that are no parameters.
    """
    if structure is LEAF:
        return True
    is_exact = type(structure.extra) is Attributes or _is_rebuildable_kind(structure.kind)
    return is_exact and all(map(is_rebuildable, structure.children))


def kinds_of(structure: Structure | None) -> set[type]:
    """The types of all containers in a structure."""
    if structure is LEAF:
        return set()
    return {structure.kind}.union(*map(kinds_of, structure.children))


def keys_of(structure: Structure | None) -> list:
    """Every key of every dictionary in a structure."""
    if structure is LEAF:
        return []
    keys = list(structure.extra) if structure.kind in (dict, OrderedDict) else []
    keys += structure.extra[1] if structure.kind is defaultdict else ()
    return keys + [key for child in structure.children for key in keys_of(child)]


@functools.lru_cache(maxsize=1024)
def _is_rebuildable_kind(kind: type) -> bool:
    if not hasattr(kind, "__dataclass_fields__"):
        return True
    return not hasattr(kind, "__post_init__") and all(field.init for field in _fields(kind))


def _fields(kind: type) -> tuple[Any, ...]:
    """Of a dataclass."""
    import dataclasses  # whoever has one has it imported, others need not wait for it

    return dataclasses.fields(kind)


def map_leaves(function: Callable, value: Any, opened: bool = False) -> Any:
    """``value`` with every leaf replaced by ``function(leaf)``."""
    leaves, structure = flatten(value, opened)
    return unflatten(structure, [function(leaf) for leaf in leaves])
