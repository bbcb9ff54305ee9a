"""The part of the walk that goes through containers: lists, tuples, dictionaries, sets, deques."""

from __future__ import annotations

import collections
from typing import Any

from .capture_findings import Findings
from .capture_guards import Kind, Node, Place
from .capture_values import IdentityKey, NotPlain, describe, is_library_class, plain_key

__all__ = ["ContainerVisits", "user_bases"]

_ELEMENT_ACCESS = frozenset(["__iter__", "__len__", "__getitem__", "keys", "values", "items"])


class ContainerVisits(Findings):
    """Containers that hold more than plain values: their kind, size, keys and each element are guarded."""

    def _enter_container(self, value: Any, place: Place) -> Node:
        kind, guards = type(value), self.guards
        if any(not _ELEMENT_ACCESS.isdisjoint(vars(base)) for base in user_bases(kind)):
            self.doubt(f"`{place.path}` customises access to its elements ({kind.__qualname__})")
        node = self.enter(value, place, _kind_of(kind), (IdentityKey(kind), len(value)))
        variable = node.variable
        other_kind = f"{variable}.__class__ is not {guards.constant(kind)}"
        guards.require(f"{other_kind} or len({variable}) != {len(value)}")
        return node

    def _visit_sequence(self, value: Any, place: Place) -> Node:
        node = self._enter_container(value, place)
        elements = list(value)
        base = node.variable
        if elements and not isinstance(value, list | tuple):
            base = self.guards.variable(f"list({node.variable})")
        for index, element in enumerate(elements):
            self.visit(element, Place(base, f"[{index}]", f"{place.path}[{index}]", node, ("item", index)))
        self._visit_subclass_of_builtin(value, node)
        return node

    def _visit_dict(self, value: dict[Any, Any], place: Place) -> Node:
        guards = self.guards
        node = self._enter_container(value, place)
        keys = guards.variable(f"list({node.variable})")
        same_keys = guards.constant(list(value), shared=False)
        guards.require(f"not all(map(is_, {keys}, {same_keys})) and {keys} != {same_keys}")
        for index, key in enumerate(value):
            try:
                plain = plain_key(key)
            except NotPlain:
                self.visit(key, Place(keys, f"[{index}]", f"{place.path} key {index}", node))
                continue
            self.note(place, "dict key", plain, shown=f"the key {describe(key)}")
            if type(key) is not str:  # the comparison above knows no types: 1, 1.0 and True
                guards.require(f"not same_plain({keys}[{index}], {guards.constant(plain, shared=False)})")
        items = guards.variable(f"list({node.variable}.values())")
        for index, (key, item) in enumerate(value.items()):
            shown = repr(key) if isinstance(key, str | int | bool) else f"key {index}"
            self.visit(item, Place(items, f"[{index}]", f"{place.path}[{shown}]", node, ("item", key)))
        if isinstance(value, collections.defaultdict) and value.default_factory is not None:
            factory = value.default_factory
            path = f"{place.path}.default_factory"
            self.visit(factory, Place(node.variable, ".default_factory", path, node))
        self._visit_subclass_of_builtin(value, node)
        return node

    def _visit_subclass_of_builtin(self, value: Any, node: Node) -> None:
        if type(value).__module__ not in ("builtins", "collections"):
            self._visit_attributes(value, node, everything=False)
            self._visit_members(type(value), node, instance=value, lifecycle=False)

    def _visit_attributes(self, value: Any, node: Node, everything: bool) -> None:
        raise NotImplementedError

    def _visit_members(self, cls: type, node: Node, instance: Any, lifecycle: bool) -> None:
        raise NotImplementedError


def _kind_of(cls: type) -> Kind:
    """How instances of a class of containers can be made anew. A named tuple is a tuple with names for its items."""
    if cls is list:
        return "list"
    if cls is dict:
        return "dict"
    is_named = issubclass(cls, tuple) and hasattr(cls, "_fields") and cls.__dictoffset__ == 0
    return "tuple" if cls is tuple or is_named else "other"


def user_bases(cls: type) -> list[type]:
    """The classes among `cls` and its bases that the user wrote."""
    return [base for base in cls.__mro__ if not is_library_class(base)]
