"""What a walk over captured state has found so far: the base of its several parts."""

from __future__ import annotations

import sys
import types
from typing import Any

from .capture_guards import Guards, Item, Kind, Node, Place
from .capture_values import describe

__all__ = ["Findings", "TooMuch", "imported_module"]

MOST_GUARDS = 2_000


class TooMuch(Exception):
    """The walk has found more state than a guard could check in reasonable time."""


class Findings:
    """Guards, key entries and nodes of one walk, and the remarks that the caller decides about.

    `names` are the attribute names that occur in the code walked so far, `everything` says that some code
    reads attributes by other means; `handles_errors`, `compares_identity` and `formats` are those of
    `CodeFacts`. What an `earlier` walk found of these decides how far this one goes.
    `made`: the ids of classes of which the code may make instances, since it has them as values.
    `is_name_dependent`: the walk would go further with more of them.
    """

    def __init__(self, earlier: Findings | None):
        self.names: set[str] = set(earlier.names) if earlier else set()
        self.made: set[int] = set(earlier.made) if earlier else set()
        self.everything: bool = earlier.everything if earlier else False
        self.handles_errors: bool = earlier.handles_errors if earlier else False
        self.compares_identity: bool = earlier.compares_identity if earlier else False
        self.formats: bool = earlier.formats if earlier else False
        self.hashes: bool = earlier.hashes if earlier else False
        self.is_name_dependent = False
        self.guards = Guards()
        self.items: list[Item] = []
        self.nodes: dict[int, Node] = {}
        self.unsound: str | None = None
        self.opaque: list[tuple[str, Any]] = []
        self.generators: list[tuple[str, Any]] = []
        self.doubt_of_type: str | None = None
        self.type_node: Node | None = None  # the builtin `type`, where a function mentions it
        self.effects: dict[str, None] = {}
        self.impure: dict[str, None] = {}
        self.functions = 0

    def reach(self) -> tuple[int, int, bool, bool, bool, bool, bool]:
        """What decides how far a walk goes; a walk is complete when it did not add to it."""
        flags = self.everything, self.handles_errors, self.compares_identity, self.formats, self.hashes
        return len(self.names), len(self.made), *flags

    def note_class(self, cls: type, place: Place) -> None:
        """A class found anywhere but in a global variable is there as a value (`Walk._visit_globals` sees to those)."""
        if place.slot is None or place.slot[0] != "global":
            self.made.add(id(cls))

    def visit(self, value: Any, place: Place) -> Node | None:
        """Guard `value`, found at `place`, and everything that can be reached from it."""
        raise NotImplementedError

    def visit_function(
        self, function: types.FunctionType, place: Place, instance: Any = None, lifecycle: bool = False
    ) -> Node:
        """A Python function: its code, then all that it captures. `instance`: the ``self`` of a method."""
        raise NotImplementedError

    def enter(
        self,
        value: Any,
        place: Place,
        kind: Kind,
        key: tuple[Any, ...],
    ) -> Node:
        """A new node for an object met for the first time."""
        self._count_guard()
        variable = self.guards.variable(place.expression, place.path)
        node = Node(kind, len(self.nodes), variable, value, [place.path])
        self.nodes[id(value)] = node  # the node holds the object, so that its id stays its own
        self.link(node, place)
        if kind == "array":
            self.items.append(Item(place.path, None, None, node))
        else:
            self.items.append(Item(place.path, (kind, *key), describe(value)))
        return node

    def link(self, node: Node, place: Place) -> None:
        """Remember that `node` was reached through `place`."""
        if place.owner is not None:
            place.owner.edges.append((place.slot, node))

    def enter_again(self, node: Node, place: Place) -> Node:
        """A second path to an object: the paths must go on leading to one object."""
        is_watched = node.is_watched and self.watch_cell(place)
        self.guards.require(f"{place.expression} is not {node.variable}", is_watched)
        self.items.append(Item(place.path, ("same object", node.number), f"the object of `{node.paths[0]}`"))
        node.paths.append(place.path)
        self.link(node, place)
        return node

    def watch_cell(self, place: Place) -> bool:
        """Watch the closure variable at `place`, if it is one of a function that is watched itself."""
        is_cell = place.slot is not None and place.slot[0] == "cell"
        if not is_cell or place.owner is None or not place.owner.is_watched:
            return False
        self.guards.watch(f"cell_word({place.expression.removesuffix('.cell_contents')})")
        return True

    def note(self, place: Place, *key: Any, shown: str | None = None) -> None:
        """An entry of the structure key for something that needs no node."""
        self._count_guard()
        self.items.append(Item(place.path, key, shown))

    def _count_guard(self) -> None:
        if len(self.items) >= MOST_GUARDS:
            raise TooMuch

    def doubt(self, reason: str) -> None:
        """The function cannot be compiled soundly; the first reason is the one reported."""
        self.unsound = self.unsound or reason


def imported_module(function: types.FunctionType, name: str) -> types.ModuleType | None:
    """The module that an ``import`` in `function` finds; leading dots as in ``from .sibling import x``."""
    level = len(name) - len(name.lstrip("."))
    name = name.lstrip(".")
    if level:
        package = function.__globals__.get("__package__") or ""
        parts = package.split(".")[: len(package.split(".")) - level + 1]
        name = ".".join([*parts, name] if name else parts)
    return sys.modules.get(name)
