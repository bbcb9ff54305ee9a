"""The nodes and guards that a walk over captured state leaves behind, and the functions printed from them.

A walk numbers every mutable object it meets (a `Node`), notes which variable of which function led to it
(`Node.edges`) and writes one guard a value. `Guards` keeps the guards as lines of Python, so that what is
printed is what runs:

    def check(fn):
        try:
            v1 = fn
            if v1.__class__ is not k2 or v1.__code__ is not k3 or v1.__globals__ is not k4: return False
            v5 = v1.__closure__
            v6 = v5[0].cell_contents  # rate
            if v6 is not k7 and not same_plain(v6, k8): return False
            ...
"""

from __future__ import annotations

import functools
import operator
import re
import types
from collections.abc import Callable, Hashable
from typing import Any, Literal

import numpy

from ..records import field, record
from .capture_values import array_layout, same_plain
from .capture_words import cell_word, code_word, list_words

__all__ = ["Guards", "Item", "Kind", "Node", "Place", "Slot"]

#: Where an owner holds something: ("cell", index), ("global", name), ("default", index), ("kwdefault", name) of a
#: function, ("argument", index), ("keyword", name), ("function",) of a partial, ("function",), ("self",) of a method,
#: ("function",) of a compiled function, ("attribute", name), ("slot", name) of an instance, ("item", index or key)
#: of a list, tuple or dict.
Slot = tuple[Any, ...]

#: What `clone` can make anew with other arrays in it, besides "array" itself; "other" is known by its identity.
Kind = Literal[
    "function", "partial", "method", "jitted", "instance", "list", "tuple", "dict", "array", "generator", "type",
    "other",
]  # fmt: skip


@record(eq=False, slots=True)
class Node:
    """One object that the function captures, by whatever number of paths."""

    kind: Kind
    number: int  # in the order of the walk: the same in every walk of the same structure
    variable: str  # the local variable or constant of the printed functions that holds it
    value: Any  # dropped once the walk is over
    paths: list[str]
    edges: list[tuple[Slot | None, Node]] = field(default_factory=list)
    is_watched: bool = False  # known by words of memory: the root, or the object in a cell of a watched function
    is_indirect: bool = False  # some path to it leads through something that cannot be cloned


@record(frozen=True, slots=True)
class Place:
    """Where a value is read: `base` + `access` is the Python for it, `path` the user's words."""

    base: str
    access: str
    path: str
    owner: Node | None = None
    slot: Slot | None = None
    is_fixed: bool = False  # a function found here is guarded by identity: a global, a class attribute

    @property
    def expression(self) -> str:
        return self.base + self.access


@record(slots=True)
class Item:
    """One entry of a structure key, with what is needed to explain a difference."""

    path: str
    key: Hashable
    shown: str | None = None  # None: described from the key
    node: Node | None = None  # an array, whose key depends on how the walk ends

    def described(self) -> str:
        if self.shown is not None:
            return self.shown
        kind, *rest = self.key if isinstance(self.key, tuple) else (self.key,)
        return f"{kind} {rest}"


@functools.lru_cache(maxsize=512)
def _compiled(source: str, name: str) -> types.CodeType:
    """Fresh closures print the same text over and over; it is compiled once."""
    return compile(source, f"<{name} of captured state>", "exec")


@record(slots=True)
class _Line:
    """A line of `check`: text, or the guard of an array. `is_watched`: it holds while the watched words do."""

    content: str | Node
    is_watched: bool = False


class Guards:
    """Collects guard lines in walk order, then prints `check` and `bind`."""

    def __init__(self) -> None:
        self.constants: dict[str, object] = {
            "same_plain": same_plain,
            "is_": operator.is_,
            "cell_word": cell_word,
            "code_word": code_word,
            "list_words": list_words,
        }
        self.lines: list[_Line] = []
        self.watches: list[str] = []  # expressions of lists of words
        self.definitions: dict[str, str] = {}
        self._names: dict[int, str] = {}
        self._required: set[str] = set()
        self._count = 0

    def _fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def constant(self, value: object, shared: bool = True) -> str:
        """The name under which the printed functions see `value`."""
        if shared and id(value) in self._names:
            return self._names[id(value)]
        name = self._fresh("k")
        self.constants[name] = value
        if shared:
            self._names[id(value)] = name
        return name

    def variable(self, expression: str, path: str = "") -> str:
        """Assign `expression` to a new local variable."""
        name = self._fresh("v")
        self.definitions[name] = expression
        comment = f"  # {path}" if path.isprintable() and path else ""
        self.lines.append(_Line(f"{name} = {expression}{comment}"))
        return name

    def require(self, failure: str, is_watched: bool = False) -> None:
        """Guard: `failure` must not hold. `is_watched`: it cannot, while all that `watch` was told of stays."""
        line = f"if {failure}: return False"
        if line not in self._required:  # two instances of a class share the guards of the class
            self._required.add(line)
            self.lines.append(_Line(line, is_watched))

    def watch(self, words: str) -> None:
        """Remember an expression that gives words of memory."""
        self.watches.append(words)

    def array(self, node: Node) -> None:
        self.lines.append(_Line(node))

    def _array_lines(self, node: Node, layouts: bool) -> list[str]:
        variable = node.variable
        if node.is_indirect:
            return [f"if {variable} is not {self.constant(node.value)}: return False"]
        if not layouts:
            return [f"if {variable}.__class__ is not {self.constant(numpy.ndarray)}: return False"]
        dtype, shape, strides = (self.constant(part, shared=False) for part in array_layout(node.value))
        tests = [
            f"{variable}.__class__ is not {self.constant(numpy.ndarray)}",
            f"{variable}.dtype is not {dtype} and {variable}.dtype != {dtype}",
            f"{variable}.shape != {shape}",
            f"{variable}.strides != {strides}",
        ]
        return [f"if {' or '.join(tests)}: return False"]

    def check_source(self, layouts: bool = True, watched: bool = True) -> str:
        """The text of `check`; without `layouts`, direct arrays may have any dtype and shape.

        Without `watched` it is what is left to check of a function whose watched words have not changed.
        """
        lines: list[str] = []
        for line in self.lines:
            if line.is_watched and not watched:
                continue
            lines += [line.content] if isinstance(line.content, str) else self._array_lines(line.content, layouts)
        if not watched:
            lines = self._without_unused_variables(lines)
        body = "\n".join(f"        {line}" for line in [*lines, "return True"])
        failures = "AttributeError, IndexError, KeyError, TypeError, ValueError"
        return f"def check(fn):\n    try:\n{body}\n    except ({failures}):\n        return False\n"

    @property
    def has_rest(self) -> bool:
        """Whether words of memory, if there are any, leave guards to be checked."""
        tests = [line for line in self.lines if not isinstance(line.content, str) or line.content.startswith("if ")]
        return not all([line.is_watched for line in tests])

    def _without_unused_variables(self, lines: list[str]) -> list[str]:
        """The lines without assignments that no guard needs."""
        kept: list[str] = []
        needed: set[str] = set()
        for line in reversed(lines):
            assigned = re.match(r"(v\d+) = ", line)
            if assigned is None or assigned.group(1) in needed:
                kept.append(line)
                needed.update(re.findall(r"v\d+", line))
        return kept[::-1]

    def words_source(self) -> str:
        """The text of `words`: the watched words as they are now."""
        needed: set[str] = set()
        for words in self.watches:
            for mentioned in re.findall(r"v\d+", words):
                self._add_needed(mentioned, needed)
        lines = [f"    {name} = {expression}\n" for name, expression in self.definitions.items() if name in needed]
        found = ", ".join(f"*{words}" for words in self.watches)
        return f"def words(fn):\n{''.join(lines)}    return [{found}]\n"

    def bind_source(self, nodes: list[Node]) -> str:
        """The text of `bind`: the objects of these nodes, each by the first path that leads to it."""
        needed: set[str] = set()
        for node in nodes:
            self._add_needed(node.variable, needed)
        lines = [f"    {name} = {expression}\n" for name, expression in self.definitions.items() if name in needed]
        return f"def bind(fn):\n{''.join(lines)}    return [{', '.join(node.variable for node in nodes)}]\n"

    def _add_needed(self, variable: str, needed: set[str]) -> None:
        """Add `variable` and all that its definition mentions; a mention inside a string does no harm."""
        if variable in self.definitions and variable not in needed:
            needed.add(variable)
            for mentioned in re.findall(r"v\d+", self.definitions[variable]):
                self._add_needed(mentioned, needed)

    def function(self, source: str, name: str) -> Callable[[Any], Any]:
        """Compile printed text over this walk's constants."""
        namespace = dict(self.constants)
        exec(_compiled(source, name), namespace)
        function: Callable[[Any], Any] = namespace[name]  # type: ignore[assignment]
        return function
