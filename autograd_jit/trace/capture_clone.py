"""Rebuild a function so that its captured arrays are replaced by others: by the boxes of a recorder.

What lies between the function and an array is made anew: functions, partials, methods, lists, tuples,
dictionaries and instances of classes written in Python. Each original cell becomes at most one new cell, each
module's globals at most one new dictionary and each object at most one clone, so that functions which shared a
variable or an object go on sharing it. Everything that leads to no replaced array stays the very same object.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

from .capture_guards import Node
from .instances import is_set, slots_of

__all__ = ["Clone", "clone"]


class Clone:
    """A function made anew, and the objects that were made anew for it.

    `call`: the function. `objects`: pairs (clone, original) of instances, lists and dictionaries.
    """

    def __init__(self, call: Callable[..., Any], objects: list[tuple[Any, Any]]):
        self.call = call
        self.objects = objects
        self._contents = [_contents(made) for made, _ in objects]
        self._references = [sys.getrefcount(pair[0]) for pair in objects]

    def altered(self) -> str | None:
        """What a run of `call` changed of the cloned objects, and so not of their originals; or None."""
        for (made, _), before in zip(self.objects, self._contents):
            after = _contents(made)
            if len(after) != len(before) or any(a is not b for a, b in zip(after, before)):
                return f"a {type(made).__qualname__} object"
        return None


    def held_elsewhere(self) -> list[tuple[Any, Any]]:
        """The objects to which a run of `call` has left references."""
        counted = zip(self.objects, self._references)
        return [pair for pair, references in counted if sys.getrefcount(pair[0]) > references]

    def owns(self, holder: Any) -> bool:
        """Whether a reference from `holder` is one of the clone's own: from one cloned object to another."""
        return any(holder is made or holder is getattr(made, "__dict__", None) for made, _ in self.objects)


def clone(fn: Any, root: Node, replacements: dict[Node, object]) -> Clone:
    """`fn`, or any function of the same structure, with ``replacements[node]`` in place of each array."""
    cloner = _Cloner(root, replacements)
    call, objects = cloner.rebuilt(root, fn), cloner.objects
    del cloner  # and with it its references to the clones, which `Clone` counts
    return Clone(call, objects)


def _contents(value: Any) -> list[object]:
    """What a container or an instance holds: names or keys, then values."""
    if isinstance(value, list):
        return value[:]
    if isinstance(value, dict):
        return [*value, *value.values()]
    attributes = getattr(value, "__dict__", {})
    held = [(name, raw.__get__(value)) for name, raw in slots_of(type(value)) if is_set(raw, value)]
    return [*attributes, *attributes.values(), *[item for pair in held for item in pair]]


class _Cloner:
    def __init__(self, root: Node, replacements: dict[Node, object]):
        self.replacements = replacements
        self.changed = _leading_to(root, set(replacements))
        self.made: dict[int, Any] = {}
        self.cells: dict[int, types.CellType] = {}
        self.namespaces: dict[int, dict[str, Any]] = {}
        self.originals: list[object] = []  # alive while their ids are keys
        self.objects: list[tuple[Any, Any]] = []  # clone, original

    def rebuilt(self, node: Node, value: Any) -> Any:
        """The replacement, clone or original of what `node` stands for, here found as `value`."""
        if node in self.replacements:
            return self.replacements[node]
        if node not in self.changed:
            return value
        if id(value) not in self.made:
            self.originals.append(value)
            builders: dict[str, Callable[[Node, Any], None]] = {
                "function": self._function,
                "partial": self._partial,
                "method": self._method,
                "jitted": self._jitted,
                "instance": self._instance,
                "list": self._list,
                "tuple": self._tuple,
                "dict": self._dict,
            }
            builders[node.kind](node, value)
        return self.made[id(value)]

    def _changed_slots(self, node: Node, kind: str) -> dict[Any, Node]:
        changed = [(slot, child) for slot, child in node.edges if child in self.changed and slot is not None]
        return {slot[1]: child for slot, child in changed if slot[0] == kind}

    def _function(self, node: Node, function: types.FunctionType) -> None:
        in_cells = self._changed_slots(node, "cell")
        cells = list(function.__closure__ or ())
        fill = []
        for index, child in in_cells.items():
            original = cells[index]
            if id(original) not in self.cells:
                self.originals.append(original)
                self.cells[id(original)] = types.CellType()
                fill.append((original, child))
            cells[index] = self.cells[id(original)]
        in_globals = self._changed_slots(node, "global")
        namespace = self._namespace(function.__globals__) if in_globals else function.__globals__
        made = types.FunctionType(function.__code__, namespace, function.__name__, None, tuple(cells) or None)
        # Registered before anything is filled in: a recursive function finds its own clone.
        self.made[id(function)] = made
        for original, child in fill:
            self.cells[id(original)].cell_contents = self.rebuilt(child, original.cell_contents)
        for name, child in in_globals.items():
            namespace[name] = self.rebuilt(child, function.__globals__.get(name))  # a builtin is not there
        self._finish(node, function, made)

    def _namespace(self, original: dict[str, Any]) -> dict[str, Any]:
        if id(original) not in self.namespaces:
            self.namespaces[id(original)] = dict(original)
        return self.namespaces[id(original)]

    def _finish(self, node: Node, function: types.FunctionType, made: types.FunctionType) -> None:
        in_defaults = self._changed_slots(node, "default")
        if function.__defaults__ is not None:
            defaults = enumerate(function.__defaults__)
            made.__defaults__ = tuple(
                self.rebuilt(in_defaults[index], value) if index in in_defaults else value
                for index, value in defaults
            )
        in_keywords = self._changed_slots(node, "kwdefault")
        if function.__kwdefaults__ is not None:
            made.__kwdefaults__ = {
                name: self.rebuilt(in_keywords[name], value) if name in in_keywords else value
                for name, value in function.__kwdefaults__.items()
            }
        made.__dict__.update(function.__dict__)
        made.__dict__.pop("_transform", None)  # leads `jit` to the original, past the replaced arrays
        names = "__module__ __name__ __qualname__ __doc__ __annotations__ __type_params__".split()
        for name in names:
            if hasattr(function, name):
                setattr(made, name, getattr(function, name))

    def _partial(self, node: Node, value: functools.partial[Any]) -> None:
        functions = [child for slot, child in node.edges if slot == ("function",)]
        function = self.rebuilt(functions[0], value.func) if functions else value.func
        in_arguments = self._changed_slots(node, "argument")
        in_keywords = self._changed_slots(node, "keyword")
        arguments = [
            self.rebuilt(in_arguments[index], argument) if index in in_arguments else argument
            for index, argument in enumerate(value.args)
        ]
        keywords = {
            name: self.rebuilt(in_keywords[name], argument) if name in in_keywords else argument
            for name, argument in value.keywords.items()
        }
        made = type(value)(function, *arguments, **keywords)
        made.__dict__.update(value.__dict__)
        self.made[id(value)] = made

    def _method(self, node: Node, value: types.MethodType) -> None:
        (function,) = [child for slot, child in node.edges if slot == ("function",)]
        owners = [child for slot, child in node.edges if slot == ("self",)]
        owner = self.rebuilt(owners[0], value.__self__) if owners else value.__self__
        self.made[id(value)] = types.MethodType(self.rebuilt(function, value.__func__), owner)

    def _jitted(self, node: Node, value: Any) -> None:
        (function,) = [child for slot, child in node.edges if slot == ("function",)]
        self.made[id(value)] = value.with_function(self.rebuilt(function, value.__wrapped__))

    def _instance(self, node: Node, value: Any) -> None:
        cls = type(value)
        made = types.SimpleNamespace() if cls is types.SimpleNamespace else object.__new__(cls)
        self._register(value, made)
        in_attributes, in_slots = self._changed_slots(node, "attribute"), self._changed_slots(node, "slot")
        if hasattr(value, "__dict__"):
            made.__dict__.update(value.__dict__)
            for name, child in in_attributes.items():
                made.__dict__[name] = self.rebuilt(child, value.__dict__[name])
        for name, descriptor in slots_of(cls):
            if is_set(descriptor, value):
                held = descriptor.__get__(value)
                descriptor.__set__(made, self.rebuilt(in_slots[name], held) if name in in_slots else held)

    def _register(self, value: Any, made: Any) -> None:
        """Known before it is filled: an object that leads back to itself finds its own clone."""
        self.made[id(value)] = made
        self.objects.append((made, value))

    def _list(self, node: Node, value: list[Any]) -> None:
        made = list(value)
        self._register(value, made)
        for index, child in self._changed_slots(node, "item").items():
            made[index] = self.rebuilt(child, value[index])

    def _dict(self, node: Node, value: dict[Any, Any]) -> None:
        made = dict(value)
        self._register(value, made)
        for key, child in self._changed_slots(node, "item").items():
            made[key] = self.rebuilt(child, value[key])

    def _tuple(self, node: Node, value: tuple[Any, ...]) -> None:
        changed = self._changed_slots(node, "item")
        items = [self.rebuilt(changed[i], item) if i in changed else item for i, item in enumerate(value)]
        self.made.setdefault(id(value), tuple.__new__(type(value), items))

def _leading_to(root: Node, targets: set[Node]) -> set[Node]:
    """Every node from which one of `targets` is reached through what can be made anew."""
    nodes, pending = {root}, [root]
    parents: dict[Node, list[Node]] = {}
    while pending:
        node = pending.pop()
        for slot, child in node.edges:
            if slot is not None:
                parents.setdefault(child, []).append(node)
            if child not in nodes:
                nodes.add(child)
                pending.append(child)
    found, pending = set(targets), list(targets)
    while pending:
        for parent in parents.get(pending.pop(), ()):
            if parent not in found:
                found.add(parent)
                pending.append(parent)
    return found
