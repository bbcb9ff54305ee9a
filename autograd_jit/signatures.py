"""What two calls must share to share a program: the signature of the arguments, the key of the operator."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np

from .device_array import DeviceArray
from .known_programs import MAX_FUNCTIONS, Compiled
from .records import record
from .trace import tree
from .trace.integers import IntegerFacts, evaluated
from .trace.tape import TensorType
from .trace.tracer import BOX_TYPES, REGISTERED

__all__ = [
    "Build",
    "ObjectBuild",
    "Placeholder",
    "Signature",
    "all_plain",
    "build_key",
    "dynamic_leaves",
    "is_plain",
    "leaf_signature",
    "nearest_difference",
    "opened_arguments",
    "placeholder",
    "share_objects",
    "signature_of",
]


def dynamic_leaves(leaves: list) -> list:
    from .trace.trace_call import is_dynamic

    return [leaf for leaf in leaves if is_dynamic(leaf)]


def leaf_signature(leaf: Any) -> Hashable:
    """What two leaves must share to share programs."""
    kind = type(leaf)
    if kind is np.ndarray or kind is DeviceArray:
        return (kind, leaf.dtype, leaf.shape)
    if kind is float or kind is complex:
        return (kind,)
    if isinstance(leaf, np.generic):
        return (kind, leaf.dtype)
    return (kind, leaf)


class Signature:
    """What two calls must share to share programs: :attr:`key`. It grows as traces make more of integer arguments."""

    def __init__(self, shape: Hashable, integers: list[int], facts: IntegerFacts | None) -> None:
        self.shape = shape
        self.integers = integers
        self.integer_facts = facts

    @property
    def key(self) -> Hashable:
        if self.integer_facts is None:
            return self.shape
        return self.shape, self.integer_facts.key(self.integers)

    def key_with(self, expressions: Iterable[str]) -> Hashable:
        """The key for a program that depends on these expressions of integers."""
        if self.integer_facts is None:
            return self.shape
        return self.shape, self.integer_facts.key_with(expressions, self.integers)

    @property
    def boxes_integers(self) -> bool:
        return self.integer_facts is not None and self.integer_facts.boxes

    def inputs_from_now_on(self) -> tuple[str, ...]:
        """The expressions of integers whose values are inputs of a trace made now."""
        return () if self.integer_facts is None else self.integer_facts.inputs_from_now_on()

    def values_of(self, numbers: tuple[str, ...]) -> tuple[float, ...]:
        """The inputs of a program that has such expressions among its inputs."""
        return tuple(map(float, evaluated(numbers, self.integers)))

    def fix_integers(self) -> None:
        """From now on the integers themselves are part of the key, and traces see them plain."""
        if self.integer_facts is not None:
            self.integer_facts.fix()

    def taken(self, expressions: dict[str, int], meets_floats_only: dict[str, bool]) -> dict[str, int]:
        """The expressions that a trace depends on, and their values; its programs go under the key from now on.

        ``meets_floats_only``: see `IntegerFacts.add`.
        """
        if self.integer_facts is None:
            return {}
        if not self.integer_facts.boxes:
            expressions = dict(zip(self.integer_facts.names, self.integers))
        self.integer_facts.add(expressions, meets_floats_only)
        return expressions


def signature_of(compiled: Compiled, leaves: list, structure: Any) -> Signature:
    """The signature of a call with these arguments."""
    shape = (structure, tuple([int if type(leaf) is int else leaf_signature(leaf) for leaf in leaves]))
    integers = [leaf for leaf in leaves if type(leaf) is int]
    if not integers:
        return Signature(shape, integers, None)
    facts = compiled.integers.get(shape)
    if facts is None:
        facts = compiled.integers[shape] = IntegerFacts(len(integers))
        if compiled.compares_inputs:  # ``is`` would tell a box from the number
            facts.fix()
        while len(compiled.integers) > MAX_FUNCTIONS:
            compiled.integers.popitem(last=False)
    return Signature(shape, integers, facts)


def nearest_difference(key: Hashable, others: Iterable[Hashable], names: list[str]) -> str | None:
    """How a signature's key differs from the one among ``others`` that is most like it; ``names`` of the leaves."""
    nearest = min(others, key=lambda other: _distance(other, key), default=None)
    return None if nearest is None else ", ".join(filter(None, _differences(nearest, key, names)))


def _distance(old: Any, new: Any) -> int:
    """How many differences :func:`_differences` would describe, which takes 50 us."""
    (old_structure, old_leaves), old_integers = _parts(old)
    (new_structure, new_leaves), new_integers = _parts(new)
    if old_structure != new_structure:
        return 1 + len(new_leaves)  # further away than any other
    changed = sum([was != now for was, now in zip(old_leaves, new_leaves, strict=True)])
    return changed + sum([old_integers.get(source) != value for source, value in new_integers.items()])


def _differences(old: Any, new: Any, names: list[str]) -> list[str]:
    (old_structure, old_leaves), old_integers = _parts(old)
    (new_structure, new_leaves), new_integers = _parts(new)
    if old_structure != new_structure:
        return ["the arguments are nested in another way"]
    changed = zip(names, old_leaves, new_leaves, strict=True)
    found = [f"{name} was {_described(was)}, now {_described(now)}" for name, was, now in changed if was != now]
    for source, value in new_integers.items():
        was = old_integers.get(source)
        if was != value:
            found.append(f"{source} was {was}, now {value}" if was is not None else f"it depends on {source}, {value}")
    return found


def _parts(key: Any) -> tuple[Any, dict[str, Any]]:
    """The shape of a key, and the values of expressions of integers that it holds."""
    if isinstance(key[0], tuple) and len(key[0]) == 2 and isinstance(key[0][1], tuple):
        return key[0], dict(zip(*key[1]))
    return key, {}


def _described(leaf: Any) -> str:
    if leaf is int:
        return "an integer"
    kind, *rest = leaf
    if kind is np.ndarray or kind is DeviceArray:
        where = " on the device" if kind is DeviceArray else ""
        return f"{TensorType(rest[1], rest[0])}{where}"
    if not rest:
        return f"a {kind.__name__}"
    return rest[0].name if isinstance(rest[0], np.dtype) else repr(rest[0])


#: Python's immutable values, part of the signature as they are
_STATIC_TYPES = frozenset([int, bool, str, bytes, type(None), type(Ellipsis), type(NotImplemented)])


def is_plain(leaf: Any) -> bool:
    """Whether a leaf is an input of the tape or an immutable value; not so an object, whose state may change."""
    kind = type(leaf)
    if kind in _STATIC_TYPES or kind is Placeholder or kind is float or kind is complex:
        return True
    if kind is np.ndarray or kind is DeviceArray or isinstance(leaf, np.generic):
        return leaf.dtype.kind in "fciub"
    return isinstance(leaf, (enum.Enum, np.dtype))


def all_plain(leaves: list) -> bool:
    return all(map(is_plain, leaves))


def opened_arguments(compiled: Compiled, args: tuple, kwargs: dict) -> tuple[list, Any] | None:
    """Leaves and structure with values of registered types taken apart; None where that does not help, or shows.

    A trace sees other objects of those types, with boxes inside.
    """
    try:
        leaves, structure = tree.flatten((args, kwargs), opened=True)
    except RecursionError:  # an object that leads back to itself
        return None
    if compiled.compares_inputs or not all([is_plain(leaf) or type(leaf) in BOX_TYPES for leaf in leaves]):
        return None
    shows = compiled.captures.shows_address_of
    return None if any(map(shows, tree.kinds_of(structure) & REGISTERED)) else (leaves, structure)


def share_objects(leaves: list, captured: list) -> bool:
    """Whether one array turns up twice among arguments and captured arrays, so that ``is`` would see it."""
    arrays = [id(value) for value in (*leaves, *captured) if isinstance(value, np.ndarray)]
    return len(set(arrays)) < len(arrays)


class Placeholder:
    """Stands for an argument that is an object, in a call of the handle that captured the object."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


@functools.lru_cache(maxsize=256)
def placeholder(number: int) -> Placeholder:
    return Placeholder(number)


@record(frozen=True)
class Build:
    """How an operator makes its result: ``make(fun, *parameters)``. Can be compared, hashed and pickled."""

    make: Callable
    parameters: tuple = ()

    def __call__(self, fun: Callable) -> Callable:
        return self.make(fun, *self.parameters)


class ObjectBuild:
    """``build`` for a partial that holds the function and the objects among its arguments."""

    def __init__(self, build: Callable) -> None:
        self.build = build
        self.key = ("objects", build_key(build))

    def __call__(self, holder: functools.partial) -> Callable:
        run, objects = self.build(holder.func), holder.args

        def call(*args: Any, **kwargs: Any) -> Any:
            leaves, structure = tree.flatten((args, kwargs))
            leaves = [objects[leaf.number] if type(leaf) is Placeholder else leaf for leaf in leaves]
            args, kwargs = tree.unflatten(structure, leaves)
            return run(*args, **kwargs)

        return call


def build_key(build: Callable) -> Hashable:
    """Two operators with equal keys build the same derivative. One that holds something unhashable is like no other.

    To be computed once for each build: such a key is a new object every time.
    """
    if isinstance(build, ObjectBuild):
        return build.key
    try:
        hash(build)
    except TypeError:
        return object()  # not its id, which is given to other objects later
    return build
