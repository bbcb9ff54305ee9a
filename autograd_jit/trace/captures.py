"""What a function reads besides its arguments, and whether it is still the same.

A compiled program replays without running Python, so whatever the function captures must be an input of the
program, or guarded on every call, or a reason to stay interpreted. `scan` finds it all and sorts it:

    data, rate = np.ones(3), 0.5
    fn = lambda x: rate * np.sum(data * x)
    captures = scan(fn)
    captures.arrays[0].paths  # ('data',)
    captures.bind(fn)         # [data]
    rate = 0.6
    captures.check(fn)           # False
    captures.explain_change(fn)  # '`rate` changed from 0.5 to 0.6'

`Captures.check` is straight-line Python printed for this very structure (`Captures.check_source`).
"""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Callable, Hashable, Iterator
from itertools import zip_longest
from typing import Any

import numpy

from ..records import record
from .capture_clone import Clone, clone
from .capture_guards import Item
from .capture_values import same_array_kind
from .capture_walk import Walk, walk
from .capture_words import Word
from .recorded_type import recorded_type

__all__ = ["CapturedArray", "Captures", "Snapshot", "clone_with", "nearest_change", "scan", "scan_all"]

Array = numpy.ndarray[Any, Any]


@record(frozen=True, slots=True)
class CapturedArray:
    """An array that the function reaches through what can be cloned: an input of the compiled program."""

    paths: tuple[str, ...]
    dtype: numpy.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class StructureKey:
    """A hashable structure key that computes its hash once: lookups are as cheap as the comparison."""

    __slots__ = ("_hash", "parts")

    def __init__(self, parts: tuple[Hashable, ...]):
        self.parts = parts
        self._hash = hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, StructureKey) and self._hash == other._hash and self.parts == other.parts
        )


@record(frozen=True, slots=True)
class Snapshot:
    """Captured state before a trace, to be compared by `Captures.changed_since` after it."""

    items: list[Item]
    arrays: tuple[tuple[str, Array, Array], ...]  # path, the array, a copy
    is_as_scanned: bool  # whether the guards held


class Captures:
    """The captured state of a function, as one walk found it.

    `unsound`: why the function cannot be compiled, or None.
    `arrays`: inputs of the program, fetched by `bind`.
    `held_arrays`: reached through modules, classes and other objects that cannot be cloned: guarded here by identity;
    the caller guards their contents.
    `opaque`, `generators`: (path, object), guarded by identity only; not the generators of this package, which are
    inputs, fetched by `bind_generators`: `generator_paths` names them.
    `effects`, `impure`: calls seen in the code, for the caller to decide about.
    `structure_key`: equal for functions that can share a program.
    """

    def __init__(self, found: Walk):
        direct = [node for node in found.nodes.values() if node.kind == "array" and not node.is_indirect]
        held = [node for node in found.nodes.values() if node.kind == "array" and node.is_indirect]
        self.unsound = found.unsound
        self.arrays = tuple(
            CapturedArray(tuple(node.paths), node.value.dtype, node.value.shape, node.value.strides)
            for node in direct
        )
        self.held_arrays: tuple[Array, ...] = tuple(node.value for node in held)
        self.held_paths = tuple(node.paths[0] for node in held)
        self.opaque = tuple(found.opaque)
        self.generators = tuple(found.generators)
        self.compares_identity = found.compares_identity
        self.effects = tuple(found.effects)
        self.impure = tuple(found.impure)
        self.structure_key: Hashable = StructureKey(tuple(item.key for item in found.items))
        self._root = next(iter(found.nodes.values()), None)
        self._direct_nodes = direct
        self.type_node = found.type_node
        self._hashes, self._formats, self._follows_all = found.hashes, found.formats, found.follows_all
        self._guards = found.guards
        self._items = found.items
        self.check_source = found.guards.check_source()
        self.check_values_source = found.guards.check_source(layouts=False)
        self.check_rest_source = found.guards.check_source(layouts=False, watched=False)
        self.words_source = found.guards.words_source()
        self.has_words = bool(found.guards.watches)
        self.has_rest = found.guards.has_rest
        self.bind_source = found.guards.bind_source(direct)
        drawing = [node for node in found.nodes.values() if node.kind == "generator"]
        self.bind_generators_source = found.guards.bind_source(drawing)
        self.generator_paths = tuple(node.paths[0] for node in drawing)
        for node in found.nodes.values():
            node.value = None  # direct arrays belong to the user: nothing here keeps them alive

    @property
    def why_interpreted(self) -> str | None:
        """Why functions with these captures must stay interpreted, or None."""
        if self.unsound:
            return self.unsound
        if self.impure:
            return f"it calls {self.impure[0]}, whose result differs from call to call"
        for path, held in self.opaque:
            if type(held).__module__.partition(".")[0] not in _HARMLESS_MODULES:
                return f"it uses `{path}`, a {type(held).__name__}, whose state cannot be watched"
        return None

    def shows_address_of(self, cls: type) -> bool:
        """Whether the code could tell an instance from a copy: by an address in its hash or its text."""
        by_hash = self._hashes and cls.__hash__ is object.__hash__
        return by_hash or (self._formats and cls.__repr__ is object.__repr__)

    @functools.cached_property
    def check(self) -> Callable[[Any], bool]:
        """``check(fn)``: whether all that is guarded is unchanged for `fn` (this one or a fresh closure)."""
        return self._never if self.unsound else self._guards.function(self.check_source, "check")

    @functools.cached_property
    def check_values(self) -> Callable[[Any], bool]:
        """`check` without the layouts of direct arrays, for a caller whose `bind` step verifies them."""
        return self._never if self.unsound else self._guards.function(self.check_values_source, "check")

    @functools.cached_property
    def check_rest(self) -> Callable[[Any], bool]:
        """What is left of `check_values` for a function whose `words` have not changed."""
        return self._never if self.unsound else self._guards.function(self.check_rest_source, "check")

    @functools.cached_property
    def words(self) -> Callable[[Any], list[Word]]:
        """``words(fn)``: addresses, and what lies there while the variables of `fn` hold what they hold now."""
        return self._guards.function(self.words_source, "words")

    @functools.cached_property
    def bind(self) -> Callable[[Any], list[Array]]:
        """``bind(fn)``: the arrays that `fn` captures now, in the order of `arrays`."""
        return self._guards.function(self.bind_source, "bind")

    @functools.cached_property
    def bind_generators(self) -> Callable[[Any], list[Any]]:
        """``bind_generators(fn)``: the generators of this package that `fn` captures now."""
        return self._guards.function(self.bind_generators_source, "bind")

    @staticmethod
    def _never(fn: Any) -> bool:
        return False

    def explain_change(self, fn: Any) -> str:
        """Which capture of `fn` differs from what was scanned, in the user's words."""
        now = walk(fn, self._follows_all)
        if now.unsound:
            return now.unsound
        return _difference(self._items, now.items) or "nothing that was captured has changed"

    def snapshot(self, fn: Any) -> Snapshot:
        """Captured state as it is now, array contents included; taken before `fn` is run."""
        if self.check(fn):  # a hundredth of a walk's time
            found = list(zip([array.paths[0] for array in self.arrays], self.bind(fn), strict=True))
            found += zip(self.held_paths, self.held_arrays, strict=True)
            return Snapshot(self._items, tuple([(path, array, array.copy()) for path, array in found]), True)
        walked = walk(fn)
        return Snapshot(walked.items, tuple([(path, array, array.copy()) for path, array in _arrays_of(walked)]), False)

    def changed_since(self, snapshot: Snapshot, fn: Any) -> str | None:
        """What running `fn` changed of its own captured state, or None."""
        if snapshot.is_as_scanned and self.check(fn):
            now = [*self.bind(fn), *self.held_arrays]
        else:
            walked = walk(fn, snapshot.is_as_scanned and self._follows_all)
            difference = walked.unsound or _difference(snapshot.items, walked.items)
            if difference:
                return difference
            now = [array for _, array in _arrays_of(walked)]
        for (path, array, copy), same in zip(snapshot.arrays, now, strict=True):
            if same is not array:
                return f"`{path}` was bound to another array"
            if not same_array_kind(array, copy):
                return f"the contents of `{path}` were changed"
        return None


def _arrays_of(found: Walk) -> list[tuple[str, Array]]:
    """The path and value of each array that a walk came to, first those that can be bound."""
    nodes = [node for node in found.nodes.values() if node.kind == "array"]
    return [(node.paths[0], node.value) for node in sorted(nodes, key=lambda node: node.is_indirect)]


def _difference(before: list[Item], after: list[Item]) -> str | None:
    """The first entry in which two walks differ."""
    for old, new in zip_longest(before, after):
        if old is None:
            return f"`{new.path}` is new: {new.described()}"
        if new is None:
            return f"`{old.path}` is gone: it was {old.described()}"
        if old.key != new.key:
            if old.path != new.path:
                return f"`{old.path}` ({old.described()}) gave way to `{new.path}` ({new.described()})"
            if old.described() == new.described():
                return f"`{old.path}` was redefined: another object, still {new.described()}"
            return f"`{old.path}` changed from {old.described()} to {new.described()}"
    return None


#: objects of these do not take part in any answer
_HARMLESS_MODULES = frozenset(["logging", "warnings"])

#: Captures still in use somewhere, by the id of the function's code: a fresh closure is first held
#: against these (a check, not a walk). A dead reference is dropped when it is met.
_recent: dict[int, list[weakref.ref[Captures]]] = {}
MOST_RECENT_CODES = 512
MOST_RECENT_STRUCTURES = 8


def scan(fn: Any) -> Captures:
    """Everything that `fn` captures; for a fresh closure of known structure, the captures known for it."""
    code = _innermost_code(fn)
    for known in _alive(id(code)):
        if known.check(fn):
            return known
    found = Captures(walk(fn))
    if found.unsound is None:
        _remember(id(code), found)
    return found


def scan_all(holder: Any) -> Captures:
    """As :func:`scan`, for code whose callers are not known: all attributes count, also those that it does not name."""
    return Captures(walk(holder, follows_all=True))


def nearest_change(fn: Any) -> str | None:
    """How `fn` differs from the function of the same code, scanned before, that is most like it; None for the first."""
    candidates = list(_alive(id(_innermost_code(fn))))
    if not candidates or any(known.check(fn) for known in candidates):
        return None
    now = walk(fn)
    nearest = min(candidates, key=lambda known: _distance(known._items, now.items))
    change = now.unsound or _difference(nearest._items, now.items)
    return f"a function of code seen before, but {change}" if change else None


def _distance(before: list[Item], after: list[Item]) -> int:
    return sum(old is None or new is None or old.key != new.key for old, new in zip_longest(before, after))


def _innermost_code(fn: Any) -> types.CodeType | type:
    """What fresh callables of one origin share: the code under partials and bound methods."""
    while isinstance(fn, functools.partial | types.MethodType):
        fn = fn.func if isinstance(fn, functools.partial) else fn.__func__
    code = getattr(fn, "__code__", None)
    return code if isinstance(code, types.CodeType) else type(fn)


def _alive(key: int) -> Iterator[Captures]:
    # A captures object keeps the code alive by its guards, so that a live entry's id is still its own.
    for reference in _recent.get(key, ()):
        found = reference()
        if found is not None:
            yield found


def _remember(key: int, found: Captures) -> None:
    if len(_recent) >= MOST_RECENT_CODES and key not in _recent:
        _recent.pop(next(iter(_recent)), None)
    others = [reference for reference in _recent.get(key, ()) if reference() is not None]
    _recent[key] = [weakref.ref(found), *others][:MOST_RECENT_STRUCTURES]


def clone_with(fn: Any, captures: Captures, replacements: list[object]) -> Clone:
    """A callable that behaves as `fn`, except that each direct captured array is ``replacements[i]``.

    data = np.ones(3)
    fn = lambda x: x * data
    clone_with(fn, scan(fn), [10.0]).call(2)  # 20.0
    """
    if len(replacements) != len(captures.arrays):
        raise ValueError(f"{len(captures.arrays)} captured arrays, but {len(replacements)} replacements")
    if captures._root is None:
        return Clone(fn, [])
    found = dict(zip(captures._direct_nodes, replacements))
    if captures.type_node is not None:
        found[captures.type_node] = recorded_type
    return clone(fn, captures._root, found)
