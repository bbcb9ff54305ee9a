"""The walk over everything that a function can read besides its arguments.

From the function's closure, globals, defaults and bound arguments, through user functions, containers,
instances and classes, never into libraries. Of objects with attributes it follows those whose names occur in
the code walked so far; `walk` repeats until no new names turn up.

    rate = 0.1
    [item.path for item in walk(lambda x: rate * x).items]  # ['fn', 'rate']
"""

from __future__ import annotations

import functools
import types
from typing import Any

import numpy

from .capture_code import CodeFacts, Import, facts_of
from .capture_findings import TooMuch, imported_module
from .capture_guards import Node, Place
from .capture_objects import REBUILDABLE_MARK, ObjectVisits, is_importable
from .capture_state import StateChanges
from .capture_values import (
    IdentityKey,
    NotPlain,
    array_layout,
    describe,
    is_deeply_immutable,
    is_library,
    plain_key,
)
from .capture_words import IS_KNOWN_LAYOUT
from .rules import rule_functions
from .tracer import Primitive

__all__ = ["REBUILDABLE_MARK", "Walk", "walk"]

MOST_FUNCTIONS = 500

UNCHANGING_CONSTANTS = frozenset(["pi", "e", "tau", "inf", "nan", "newaxis", "euler_gamma"])

#: Mentioned as attributes, these show the state of a random generator without moving it.
STATE_OF_GENERATORS = frozenset(["get_state", "state", "bit_generator", "getstate", "__getstate__", "_bit_generator"])

#: Mentioned as attributes, these read attributes that the code does not name ("{0.rate}".format(x) does).
INTROSPECTING_NAMES = frozenset(["__dict__", "__getattribute__", "__getattr__", "format", "format_map"])


def walk(fn: object, follows_all: bool = False) -> Walk:
    """Walk from `fn` until the set of attribute names that matter is complete; ``follows_all``: it is all names."""
    found = Walk(fn, None, follows_all)
    while not found.is_complete:
        found = Walk(fn, found, follows_all)
    return found


class Walk(ObjectVisits, StateChanges):
    """One walk: fills `guards`, `items`, `nodes` and the findings that the caller decides about."""

    def __init__(self, fn: object, earlier: Walk | None, follows_all: bool = False):
        super().__init__(earlier)
        self.follows_all = follows_all
        self.everything |= follows_all
        self._slots: dict[tuple[int, str], Node | None] = {}
        start = self.reach()
        try:
            self.visit(fn, Place("fn", "", "fn", slot=("root",)))
        except TooMuch:
            self.unsound = self.unsound or f"{describe(fn)} captures too much state to check on every call"
        except RecursionError:
            self.unsound = self.unsound or f"{describe(fn)} captures state that is nested too deeply"
        except Exception as error:
            self.unsound = self.unsound or f"{describe(fn)} captures state that cannot be analysed: {error!r}"
        grew = self.reach() != start
        self.is_complete = self.unsound is not None or not (self.is_name_dependent and grew)
        if self.is_complete:
            self._settle_arrays()
            if self.generators and not STATE_OF_GENERATORS.isdisjoint(self.names):
                self.doubt(f"it uses the state of a random generator (`{self.generators[0][0]}`)")

    # -- what every visit does ---------------------------------------------------------------------------

    def visit(self, value: Any, place: Place) -> Node | None:
        """Guard `value`, found at `place`, and everything that can be reached from it."""
        if isinstance(value, type):
            self.note_class(value, place)
        seen = self.nodes.get(id(value))
        if seen is not None:
            return self.enter_again(seen, place)
        if type(value) is numpy.ndarray:
            return self.visit_array(value, place)
        if isinstance(value, types.FunctionType):
            return self.visit_function(value, place)
        try:
            key = plain_key(value)
        except NotPlain:
            return self.visit_object(value, place)
        if self.compares_identity and isinstance(value, list | dict | set):
            return self.visit_object(value, place)  # as a node, so that `is` goes on having its answer
        if isinstance(value, list | dict | set):
            self.is_name_dependent = True
        self._guard_plain(value, key, place)
        return None

    # -- values ------------------------------------------------------------------------------------------

    def _guard_plain(self, value: Any, key: Any, place: Place) -> None:
        self.note(place, "value", key, shown=describe(value))
        variable = self.guards.variable(place.expression, place.path)
        same = f"same_plain({variable}, {self.guards.constant(key, shared=False)})"
        if is_deeply_immutable(value):
            is_watched = self.watch_cell(place)
            self.guards.require(f"{variable} is not {self.guards.constant(value)} and not {same}", is_watched)
        elif type(value) is list and all(map(is_deeply_immutable, value)):
            is_watched = self.watch_cell(place)
            if is_watched:
                self.guards.watch(f"list_words({variable})")
            self._guard_elements(variable, list(value), variable, same, is_watched)
        elif type(value) is dict and all(map(is_deeply_immutable, value.values())):
            self._guard_elements(variable, list(value), f"{variable}.keys()", same)
            self._guard_elements(variable, list(value.values()), f"{variable}.values()", same)
        else:
            self.guards.require(f"not {same}")

    def _guard_elements(
        self, variable: str, elements: list[Any], expression: str, otherwise: str, is_watched: bool = False
    ) -> None:
        """Elements that are the very same immutable objects need no comparison by value."""
        copy = self.guards.constant(elements, shared=False)
        kind = f"{variable}.__class__ is {self.guards.constant(list if expression == variable else dict)}"
        unchanged = f"len({variable}) == {len(elements)} and all(map(is_, {expression}, {copy}))"
        self.guards.require(f"not ({kind} and {unchanged}) and not {otherwise}", is_watched)

    def visit_array(self, value: numpy.ndarray[Any, Any], place: Place) -> Node:
        node = self.enter(value, place, "array", ())
        if value.dtype.hasobject:
            self.doubt(f"`{place.path}` is an array of Python objects, whose contents cannot be watched")
        if value.dtype.kind not in "biufc":
            node.is_indirect = True
        self.guards.array(node)  # not watched: what is watched is kept alive, and arrays are the user's
        return node

    def _settle_arrays(self) -> None:
        """Decide which arrays are direct, now that every path to them is known, and complete the key."""
        pending = [node for node in self.nodes.values() if node.kind == "other" or node.is_indirect]
        pending += [child for node in self.nodes.values() for slot, child in node.edges if slot is None]
        for node in pending:
            node.is_indirect = True
        while pending:
            for _, child in pending.pop().edges:
                if not child.is_indirect:
                    child.is_indirect = True
                    pending.append(child)
        if self.doubt_of_type and (self.type_node is None or self.type_node.is_indirect):
            self.doubt(self.doubt_of_type)
        for item in self.items:
            node = item.node  # type: ignore[assignment]
            if node is None:
                continue
            item.shown = describe(node.value)
            if node.is_indirect:
                item.key = ("held array", IdentityKey(node.value))
            else:
                item.key = ("array", node.number, *array_layout(node.value))
        if self.compares_identity and len(self.nodes) > 1:
            identities = ", ".join(f"id({node.variable})" for node in self.nodes.values())
            self.guards.require(f"len({{{identities}}}) != {len(self.nodes)}")

    # -- functions ---------------------------------------------------------------------------------------

    def visit_function(
        self, function: types.FunctionType, place: Place, instance: Any = None, lifecycle: bool = False
    ) -> Node:
        """A Python function: its code, then all that it captures. `instance`: the ``self`` of a method."""
        library = is_library(function.__globals__.get("__name__"))
        facts = facts_of(function.__code__)
        if not library:
            self._note_state_changes(function, facts, instance, lifecycle)
        seen = self.nodes.get(id(function))
        if seen is not None:
            return self.enter_again(seen, place)
        self.functions += 1
        if self.functions > MOST_FUNCTIONS:
            raise TooMuch
        code, namespace = function.__code__, function.__globals__
        # All primitives share the code of their wrapper: a library's own function is known by its identity.
        is_fixed = library and not function.__dict__.get(REBUILDABLE_MARK)
        key = (IdentityKey(function),) if is_fixed else (IdentityKey(code), IdentityKey(namespace))
        node = self.enter(function, place, "function", key)
        node.is_indirect = is_fixed
        of_method = place.slot == ("function",) and place.owner is not None and place.owner.is_watched
        node.is_watched = IS_KNOWN_LAYOUT and (place.slot == ("root",) or of_method or self.watch_cell(place))
        if node.is_watched:
            self.guards.watch(f"code_word({node.variable})")
        self._guard_function(node, function, is_fixed or place.is_fixed)
        if library and is_importable(function):
            return node
        if not library:
            self.names |= facts.names
            self.everything |= facts.matches_classes or not INTROSPECTING_NAMES.isdisjoint(facts.names)
            self.compares_identity |= facts.compares_identity and not _is_frozen_setter(function)
            self.handles_errors |= facts.handles_errors
            self.formats |= facts.formats
            self.hashes |= "hash" in facts.reads
        own = function.__globals__.get("__name__", "")
        self._visit_cells(node, function, selective=own.partition(".")[0] == "autograd_jit")
        self._visit_defaults(node, function)
        if is_fixed and isinstance(function.__dict__.get("primitive"), Primitive):
            self._visit_derivatives(node, function)
        if not library:
            self._visit_globals(node, function, facts)
            self._visit_library_data(node, function, facts)
            self._visit_attributes_of_function(node, function)
            for imported in facts.imports:
                self._visit_import(node, function, imported)
        return node

    def _guard_function(self, node: Node, function: types.FunctionType, is_fixed: bool) -> None:
        constant = self.guards.constant
        code = f"{node.variable}.__code__ is not {constant(function.__code__)}"
        if is_fixed:
            self.guards.require(f"{node.variable} is not {constant(function)} or {code}", node.is_watched)
            return
        kind = f"{node.variable}.__class__ is not {constant(types.FunctionType)}"
        namespace = f"{node.variable}.__globals__ is not {constant(function.__globals__)}"
        self.guards.require(f"{kind} or {code} or {namespace}", node.is_watched)

    def _visit_cells(self, node: Node, function: types.FunctionType, selective: bool) -> None:
        if not function.__closure__:
            return
        cells = self.guards.variable(f"{node.variable}.__closure__")
        prefix = "" if node.number == 0 else f"{function.__name__}."
        for index, (name, cell) in enumerate(zip(function.__code__.co_freevars, function.__closure__)):
            place = Place(cells, f"[{index}].cell_contents", f"{prefix}{name}", node, ("cell", index))
            try:
                value = cell.cell_contents
            except ValueError:
                self.note(place, "empty cell", shown="not assigned yet")
                self.guards.constants["is_empty"] = is_empty
                self.guards.require(f"not is_empty({cells}[{index}])")
                continue
            if not selective or _is_users_in_library_closure(value):
                self.visit(value, place)

    def _visit_defaults(self, node: Node, function: types.FunctionType) -> None:
        code, defaults = function.__code__, function.__defaults__
        if defaults:
            variable = self.guards.variable(f"{node.variable}.__defaults__")
            self.guards.require(f"len({variable}) != {len(defaults)}")
            names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
            for index, (name, value) in enumerate(zip(names, defaults)):
                self.visit(value, Place(variable, f"[{index}]", f"{name}=", node, ("default", index)))
        if function.__kwdefaults__:
            variable = self.guards.variable(f"{node.variable}.__kwdefaults__")
            self.guards.require(f"len({variable}) != {len(function.__kwdefaults__)}")
            for name, value in function.__kwdefaults__.items():
                self.visit(value, Place(variable, f"[{name!r}]", f"{name}=", node, ("kwdefault", name)))

    def _visit_derivatives(self, node: Node, function: types.FunctionType) -> None:
        """The derivative rules of a user's primitive: a trace runs them, and what they read is on its tape."""
        variable = self.guards.variable(f"{node.variable}.primitive")
        for table in ("vjps", "vjp_all", "jvps"):
            rules = getattr(function.primitive, table)  # type: ignore[attr-defined]
            self.guards.require(f"{variable}.{table} is not {self.guards.constant(rules)}")
            for access, rule in rule_functions(rules):
                if is_library(getattr(rule, "__module__", None)):
                    continue
                path = f"the derivative of {function.__name__}"
                self.visit(rule, Place(variable, f".{table}{access}", path, node))

    def _visit_globals(self, node: Node, function: types.FunctionType, facts: CodeFacts) -> None:
        namespace = function.__globals__
        for name in facts.reads:
            if name in facts.values and isinstance(namespace.get(name), type):
                self.made.add(id(namespace[name]))
            known = (id(namespace), name)
            if known not in self._slots:
                self._slots[known] = None  # a helper that calls itself comes back here
                self._slots[known] = self._visit_global(node, namespace, name)
            found = self._slots[known] or self.nodes.get(id(namespace.get(name)))
            if name == "type" and name not in namespace:
                self.type_node = found = self.type_node or Node("type", -1, "type", type, ["type"])
            if found is not None and (("global", name), found) not in node.edges:
                node.edges.append((("global", name), found))

    def _visit_global(self, node: Node, namespace: dict[str, Any], name: str) -> Node | None:
        base = self.guards.constant(namespace)
        place = Place(base, f"[{name!r}]", name, node, ("global", name), is_fixed=True)
        if name in namespace:
            return self.visit(namespace[name], place)
        # A builtin, or a name not defined yet: either way a global of that name would change the answer.
        self.guards.require(f"{name!r} in {base}")
        self.note(place, "not a global", name, shown="not a global")
        builtins = namespace.get("__builtins__")
        builtins = vars(builtins) if isinstance(builtins, types.ModuleType) else builtins or {}
        value = builtins.get(name)
        if name in builtins and getattr(value, "__module__", None) != "builtins":
            # Not Python's own: installed there by the user.
            place = Place(self.guards.constant(builtins), f"[{name!r}]", name, node, is_fixed=True)
            return self.visit(value, place)
        return None

    def _visit_library_data(self, node: Node, function: types.FunctionType, facts: CodeFacts) -> None:
        """Plain values that the code reads from a library's module and that may change: ``sys.argv``."""
        for chain in facts.chains:
            *parent, name = chain.origin
            if chain.origin[0] != "global" or len(chain.origin) < 3 or name in UNCHANGING_CONSTANTS:
                continue
            module = self._resolve(function, tuple(parent), None)
            if isinstance(module, types.ModuleType) and is_library(module.__name__) and name in vars(module):
                value = vars(module)[name]
                try:
                    plain_key(value)
                except NotPlain:
                    continue
                base = self.guards.constant(vars(module))
                self.visit(value, Place(base, f"[{name!r}]", f"{module.__name__}.{name}", node))

    def _visit_attributes_of_function(self, node: Node, function: types.FunctionType) -> None:
        for name, value in function.__dict__.items():
            if name in self.names or (self.everything and name != "__wrapped__"):
                self.is_name_dependent = True
                place = Place(node.variable, f".__dict__[{name!r}]", f"{function.__name__}.{name}", node)
                self.visit(value, place)

    def _visit_import(self, node: Node, function: types.FunctionType, imported: Import) -> None:
        module = imported_module(function, "." * imported.level + imported.name)
        if module is None:
            where = f"{function.__code__.co_filename}:{imported.line}"
            self.doubt(f"imports `{imported.name}` only when it is called ({where}); import it beforehand")
        elif not is_library(module.__name__):
            # Every prefix too: ``import a.b`` binds ``a``.
            parts = module.__name__.split(".")
            for count in range(1, len(parts) + 1):
                name = ".".join(parts[:count])
                self.visit_loaded_module(name, node)

    # -- callables that wrap others ----------------------------------------------------------------------

    def visit_partial(self, value: functools.partial[Any], place: Place) -> Node:
        guards = self.guards
        node = self.enter(value, place, "partial", (len(value.args), tuple(value.keywords)))
        guards.require(f"{node.variable}.__class__ is not {guards.constant(functools.partial)}")
        self.visit(value.func, Place(node.variable, ".func", f"{place.path}.func", node, ("function",)))
        arguments = guards.variable(f"{node.variable}.args")
        guards.require(f"len({arguments}) != {len(value.args)}")
        for index, argument in enumerate(value.args):
            inside = Place(arguments, f"[{index}]", f"argument {index} of partial", node, ("argument", index))
            self.visit(argument, inside)
        keywords = guards.variable(f"{node.variable}.keywords")
        names = guards.constant(tuple(value.keywords), shared=False)
        guards.require(f"tuple({keywords}) != {names}")
        for name, argument in value.keywords.items():
            inside = Place(keywords, f"[{name!r}]", f"{name}= of partial", node, ("keyword", name))
            self.visit(argument, inside)
        return node

    def visit_method(self, value: types.MethodType, place: Place) -> Node:
        node = self.enter(value, place, "method", ())
        node.is_watched = place.slot == ("root",)  # nothing of a method can be assigned
        is_method = f"{node.variable}.__class__ is not {self.guards.constant(types.MethodType)}"
        self.guards.require(is_method, node.is_watched)
        name = getattr(value.__func__, "__name__", "method")
        self.visit(value.__self__, Place(node.variable, ".__self__", "self", node, ("self",)))
        inside = Place(node.variable, ".__func__", name, node, ("function",))
        if isinstance(value.__func__, types.FunctionType):
            self.visit_function(value.__func__, inside, instance=value.__self__)
        else:
            self.visit(value.__func__, inside)
        return node

    def visit_jitted(self, value: Any, place: Place) -> Node:
        """A compiled function: its operator and the function that it compiles."""
        constant = self.guards.constant
        build, fun = value._transform
        key = value._handle.operator  # computed once: equal for equal operators
        node = self.enter(value, place, "jitted", (key,))
        transform = self.guards.variable(f"{node.variable}._transform")
        self.guards.require(f"{node.variable}.__class__ is not {constant(type(value))}")
        same = f"{transform}[0] is not {constant(build)}"
        self.guards.require(same if key is not build else f"{same} and {transform}[0] != {constant(build)}")
        self.visit(fun, Place(transform, "[1]", place.path, node, ("function",)))
        return node


def is_empty(cell: types.CellType) -> bool:
    """Whether a closure variable has not been assigned."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def _is_frozen_setter(function: types.FunctionType) -> bool:
    """Whether `dataclasses` wrote it for a frozen class: it compares classes with ``is``, no values."""
    return function.__name__ in ("__setattr__", "__delattr__") and function.__code__.co_filename == "<string>"


def _is_users_in_library_closure(value: object) -> bool:
    """In this package's own closures only what the user handed in matters, not caches and counters."""
    kind = type(value)
    if kind in (list, dict, set):
        return False
    return not kind.__module__.startswith("autograd_jit") or hasattr(value, "__wrapped__")
