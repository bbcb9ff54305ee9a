"""Containers of arrays as one vector, and back: for optimisers that want a vector."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as _np

from ..trace import tree
from ..trace.cotangent import abstract
from ..trace.tracer import BOX_TYPES
from ..trace.vspace import is_differentiable

__all__ = ["flatten", "flatten_func"]


def flatten(value: Any) -> tuple[Any, Callable]:
    """``(vector, unflatten)``: the float and complex leaves of ``value`` in one 1-d array, and its inverse.

    Dictionaries go by sorted key, as in Autograd. Leaves without derivative (int, bool, str, None) are not in
    the vector; ``unflatten`` puts them back. Both ways are differentiable. ``unflatten`` raises ValueError
    for a vector of another length.

    >>> vector, unflatten = flatten({"b": 1.0, "a": np.ones(2), "name": "net"})
    >>> vector
    array([1., 1., 1.])
    >>> unflatten(2 * vector)
    {'b': np.float64(2.0), 'a': array([2., 2.]), 'name': 'net'}
    """
    from .. import numpy as anp

    leaves, structure = tree.flatten(value)
    order = [position for position in _sorted_order(structure) if is_differentiable(leaves[position])]
    kinds = [abstract(leaves[position]) for position in order]
    parts = [anp.ravel(leaves[position]) for position in order]
    vector = anp.concatenate(parts) if parts else _np.array([])
    scalars = [not _is_array(leaves[position]) for position in order]
    constants = list(leaves)
    for position in order:
        constants[position] = None
    return vector, _Unflatten(structure, constants, list(zip(order, kinds, scalars)))


class _Unflatten:
    """From a vector back to the container."""

    def __init__(self, structure: Any, constants: list, places: list) -> None:
        self.structure, self.constants = structure, constants
        self.places = [
            (position, shape, dtype, int(_np.prod(shape)), scalar) for position, (shape, dtype), scalar in places
        ]
        self.size = sum(place[3] for place in self.places)
        self.complex = any(dtype.kind == "c" for _, _, dtype, _, _ in self.places)

    def __call__(self, vector: Any) -> Any:
        if type(vector) not in BOX_TYPES:
            vector = _np.asarray(vector)
        if vector.shape != (self.size,):
            raise ValueError(f"unflatten needs a vector of shape ({self.size},), not {vector.shape}")
        leaves, start = list(self.constants), 0
        for position, shape, dtype, size, scalar in self.places:
            leaves[position] = self._leaf(vector[start : start + size], shape, dtype, scalar)
            start += size
        return tree.unflatten(self.structure, leaves)

    def _leaf(self, part: Any, shape: tuple, dtype: Any, scalar: bool) -> Any:
        from .. import numpy as anp

        kind = part.dtype.kind
        if kind == "c" and dtype.kind == "f" and self.complex:
            part = anp.real(part)  # the vector is complex because of other leaves
            kind = "f"
        if kind in "fc" and kind == dtype.kind and part.dtype != dtype:
            part = anp.astype(part, dtype)
        if scalar:
            return part[0]
        return anp.reshape(part, shape)


def _is_array(leaf: Any) -> bool:
    while type(leaf) in BOX_TYPES:
        leaf = leaf._value
    return isinstance(leaf, _np.ndarray)


def _sorted_order(structure: Any) -> list[int]:
    """Leaf numbers with plain dictionaries in the order of their sorted keys."""
    order: list[int] = []
    _extend_order(structure, 0, order)
    return order


def _extend_order(structure: Any, start: int, order: list[int]) -> int:
    if structure is tree.LEAF:
        order.append(start)
        return start + 1
    kind, extra, children = structure
    starts = []
    for child in children:
        starts.append(start)
        start += 1 if child is tree.LEAF else child.size
    numbers = list(range(len(children)))
    if kind is dict:
        with contextlib.suppress(TypeError):  # keys of unlike types keep the order of insertion
            numbers.sort(key=lambda number: extra[number])
    for number in numbers:
        _extend_order(children[number], starts[number], order)
    return start


def flatten_func(func: Callable, example: Any) -> tuple[Callable, Callable, Any]:
    """``(flat_func, unflatten, flat_example)``: ``func`` of a container as a function of a vector that
    returns a vector.

    Further arguments are passed on.

    >>> flat, unflatten, start = flatten_func(lambda p: {"a": 2.0 * p["a"]}, {"a": np.ones(2)})
    >>> flat(start)
    array([2., 2.])
    """
    flat_example, unflatten = flatten(example)

    def flat_func(vector: Any, *args: Any, **kwargs: Any) -> Any:
        return flatten(func(unflatten(vector), *args, **kwargs))[0]

    return flat_func, unflatten, flat_example
