"""Rebuild a function so that its captured arrays are replaced by others: by the boxes of a recorder.

Only variables are replaced, never objects: cells, globals, defaults and arguments of partials. Each
original cell becomes at most one new cell and each module's globals at most one new dictionary, so that
functions which shared a variable go on sharing it. Everything that leads to no replaced array stays the
very same object.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from .capture_guards import Node

__all__ = ["clone"]


def clone(fn: Any, root: Node, replacements: dict[Node, object]) -> Any:
    """`fn`, or any function of the same structure, with ``replacements[node]`` in place of each array."""
    return _Cloner(root, replacements).rebuilt(root, fn)


class _Cloner:
    def __init__(self, root: Node, replacements: dict[Node, object]):
        self.replacements = replacements
        self.changed = _leading_to(root, set(replacements))
        self.made: dict[int, Any] = {}
        self.cells: dict[int, types.CellType] = {}
        self.namespaces: dict[int, dict[str, Any]] = {}
        self.originals: list[object] = []  # alive while their ids are keys

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
            namespace[name] = self.rebuilt(child, function.__globals__[name])
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
        self.made[id(value)] = types.MethodType(self.rebuilt(function, value.__func__), value.__self__)


def _leading_to(root: Node, targets: set[Node]) -> set[Node]:
    """Every node from which one of `targets` is reached through variables alone."""
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
