"""Reverse mode: a graph of nodes, and the pass that pulls cotangents back through it.

Nodes are numbered as they are made, so a node's number is larger than its parents'. The backward
pass takes the largest pending number off a heap: no recursion, no topological sort, and a cotangent
is dropped as soon as it has been used.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import numpy as np
from numpy import float64, ndarray

from ..errors import MissingRuleError
from . import tree
from .cotangent import Sparse, abstract, fit
from .tracer import BOX_TYPES, Box, Node, Primitive, new_box, new_level
from .vspace import is_differentiable, vspace

__all__ = ["VJPNode", "backward_pass", "make_vjp_leaves", "trace_outputs"]

_numbers = itertools.count()
_blank = object.__new__
_box_types = Box.type_mappings
_FLOAT64 = np.dtype(float64)


#: types of operands that are no boxes and hold none
_PLAIN = frozenset({ndarray, float64, float, int})


class VJPNode(Node):
    """One differentiated value: its parents, how to pull a cotangent back to each, and its shape and dtype."""

    __slots__ = ("dtype", "name", "number", "parents", "pull", "pulls", "shape")

    def __init__(self, value: Any, parents: tuple = (), pulls: tuple = (), name: Any = "input") -> None:
        self.number = next(_numbers)
        self.parents = parents
        #: one function cotangent -> parent's cotangent for each parent
        self.pulls = pulls
        #: or one function cotangent -> tuple of the parents' cotangents
        self.pull: Callable | None = None
        self.name = name
        self.shape, self.dtype = abstract(value)

    @classmethod
    def new_root(cls, value: Any = None) -> VJPNode:
        """The node of an input; without ``value`` its shape is learnt when it is boxed."""
        return cls(value)

    @staticmethod
    def apply(prim: Primitive, level: int, values: list, kwargs: dict, boxed: list) -> Any:
        # The commonest case, one or two plain operands, goes straight to NumPy: 0.3 us of the 3 us of an operation.
        if len(values) < 3 and not kwargs and type(values[0]) in _PLAIN and type(values[-1]) in _PLAIN:
            ans = prim.fun(*values)
        else:
            ans = prim.wrapped(*values, **kwargs)
        kind = type(ans)
        if kind is float64:
            shape, dtype = (), _FLOAT64
        elif kind is ndarray:
            shape, dtype = ans.shape, ans.dtype
            if dtype.kind not in "fc":
                return ans
        else:
            shape, dtype = abstract(ans)
            if shape is not None and dtype.kind not in "fc":
                return ans
        pulls: tuple
        pull = None
        if prim.vjp_all is not None:
            parents = tuple([node for _, node in boxed])
            pulls = ()
            pull = prim.vjp_all(tuple([argnum for argnum, _ in boxed]), ans, tuple(values), kwargs)
        elif len(boxed) == 1:
            ((argnum, parent),) = boxed
            parents = (parent,)
            rule = prim.vjps.get(argnum) if type(prim.vjps) is dict else None
            pulls = ((rule or _vjp_rule(prim, argnum))(ans, *values, **kwargs),)
        else:
            parents = tuple([node for _, node in boxed])
            pulls = tuple([_vjp_rule(prim, argnum)(ans, *values, **kwargs) for argnum, _ in boxed])
        node = _blank(VJPNode)
        node.number = next(_numbers)
        node.parents = parents
        node.pulls = pulls
        node.pull = pull
        node.name = prim.name
        node.shape = shape
        node.dtype = dtype
        if shape is None and tree.is_container(ans):
            return _box_leaves(ans, level, node)
        if kind is ndarray or kind is float64:  # new_box, without the call of __init__
            box = _blank(_box_types[kind])
            box._value = ans
            box._trace = level
            box._node = node
            return box
        return new_box(ans, level, node)


def _zero_pull(ans: Any, *args: Any, **kwargs: Any) -> Callable:
    return lambda g: None


def _vjp_rule(prim: Primitive, argnum: int) -> Callable:
    """The vjp maker of one argument, or an error that names both."""
    try:
        return prim.vjps[argnum] or _zero_pull
    except (KeyError, TypeError, IndexError):
        raise MissingRuleError(
            f"VJP of {prim.name} with respect to argument number {argnum} is not defined. "
            f"Use defvjp({prim.name}, ...) to define it, or take the gradient with respect to something else."
        ) from None


class _Outputs:
    """Stands for the dtype of a node with several outputs: their structure and abstract values."""

    __slots__ = ("leaves", "structure")

    def __init__(self, value: Any) -> None:
        leaves, self.structure = tree.flatten(value)
        self.leaves = [abstract(leaf) for leaf in leaves]


class _Part:
    """The cotangent of one output of a node with several."""

    __slots__ = ("g", "position")

    def __init__(self, position: int, g: Any) -> None:
        self.position = position
        self.g = g


def _box_leaves(ans: Any, level: int, node: VJPNode) -> Any:
    """Box each differentiable leaf of a container that a primitive returned."""
    node.dtype = _Outputs(ans)
    leaves, structure = tree.flatten(ans)
    boxed = []
    for position, leaf in enumerate(leaves):
        if is_differentiable(leaf):

            def pull(g: Any, position: int = position) -> _Part:
                return _Part(position, g)

            leaf = new_box(leaf, level, VJPNode(leaf, (node,), (pull,), f"output {position} of {node.name}"))
        boxed.append(leaf)
    return tree.unflatten(structure, boxed)


class _Pending:
    """The cotangent of a node, while contributions are still coming in."""

    __slots__ = ("dense", "node", "owned", "parts", "sparse")

    def __init__(self, node: VJPNode) -> None:
        self.node = node
        self.dense: Any = None
        self.owned = False  # whether ``dense`` is an array that only this object knows of
        self.sparse: list | None = None
        self.parts: dict | None = None

    def accumulate(self, g: Any) -> None:
        kind = type(g)
        if kind is Sparse:
            if self.sparse is None:
                self.sparse = []
            self.sparse.append(g)
        elif kind is _Part:
            self._add_part(g)
        elif self.dense is None:
            self.dense = g
        elif (self.owned and kind is np.ndarray) or (kind is float64 and type(self.dense) is float64):
            self.dense += g
        elif self.node.shape is None:
            self.dense = vspace(self.dense).add(self.dense, g)
        else:
            self.dense = _add(self.dense, g)
            self.owned = type(self.dense) is np.ndarray

    def _add_part(self, part: _Part) -> None:
        if self.parts is None:
            self.parts = {}
        pending = self.parts.get(part.position)
        if pending is None:
            shape, dtype = self.node.dtype.leaves[part.position]
            leaf = VJPNode.__new__(VJPNode)
            leaf.shape, leaf.dtype = shape, dtype
            pending = self.parts[part.position] = _Pending(leaf)
        pending.accumulate(part.g)

    def total(self) -> Any:
        """The sum of all contributions."""
        if self.parts is not None:
            return self._assemble()
        if self.sparse is not None:
            return _scatter(self.node, self.dense, self.sparse)
        return self.dense

    def _assemble(self) -> Any:
        outputs = self.node.dtype
        leaves = []
        for position, (shape, dtype) in enumerate(outputs.leaves):
            pending = self.parts.get(position)  # type: ignore[union-attr]
            if pending is not None:
                leaves.append(pending.total())
            elif shape is None:
                leaves.append(None)
            else:
                leaves.append(np.zeros(shape, dtype if dtype.kind in "fc" else float))
        return tree.unflatten(outputs.structure, leaves)


def _add(x: Any, y: Any) -> Any:
    from ..numpy import add

    global _add
    _add = add  # later calls go straight to the wrapped function
    return add(x, y)


def _scatter(node: VJPNode, dense: Any, sparse: list) -> Any:
    from ..numpy.indexing import scatter_sum

    zeros = (node.shape, node.dtype) if dense is None else None
    return scatter_sum(tuple([s.index for s in sparse]), zeros, dense, *[s.g for s in sparse])


def backward_pass(seeds: list[tuple[VJPNode, Any]], inputs: list[VJPNode]) -> list:
    """Pull the cotangents ``seeds`` back to the ``inputs``; None where nothing arrives."""
    pending: dict[int, Any] = {}
    heap: list[int] = []
    for node, g in seeds:
        _arrive(pending, heap, node, g)
    results: dict[int, Any] = {}
    wanted = {node.number for node in inputs}
    while heap:
        node, g = pending.pop(-heappop(heap))
        if type(g) in _UNFINISHED:
            g = _total(node, g)
        # A chain of nodes with one parent each is followed without the heap: 0.4 us a node less.
        while node.pull is None and len(node.pulls) == 1 and node.number not in wanted:
            cotangent = node.pulls[0](g)
            (parent,) = node.parents
            if cotangent is None:
                break
            cotangent = _fitted(cotangent, parent, node)
            if parent.number in pending or (heap and -heap[0] > parent.number):
                _arrive(pending, heap, parent, cotangent)
                break
            node, g = parent, cotangent
            if type(g) in _UNFINISHED:
                g = _total(node, g)
        else:
            if node.number in wanted:
                results[node.number] = g
                continue
            cotangents = node.pull(g) if node.pull is not None else [pull(g) for pull in node.pulls]
            for parent, cotangent in zip(node.parents, cotangents, strict=True):
                if cotangent is None:
                    continue
                cotangent = _fitted(cotangent, parent, node)
                number = parent.number
                if number in pending:
                    _arrive(pending, heap, parent, cotangent)
                else:
                    pending[number] = (parent, cotangent)
                    heappush(heap, -number)
    return [results.get(node.number) for node in inputs]


def _fitted(cotangent: Any, parent: VJPNode, node: VJPNode) -> Any:
    """``cotangent`` in its operand's shape and dtype."""
    kind = type(cotangent)
    if (kind is float64 or kind is ndarray) and cotangent.dtype is parent.dtype and cotangent.shape == parent.shape:
        return cotangent
    if parent.shape is None:
        return cotangent
    return fit(cotangent, parent.shape, parent.dtype, node.name)


def _arrive(pending: dict[int, Any], heap: list[int], node: VJPNode, g: Any) -> None:
    """Add ``g`` to the node's cotangent. The first one is kept as it is; most nodes have no second."""
    if node.number not in pending:
        pending[node.number] = (node, g)
        heappush(heap, -node.number)
        return
    first = pending[node.number][1]
    if type(first) is not _Pending:
        contributions = _Pending(node)
        contributions.accumulate(first)
        pending[node.number] = (node, contributions)
        first = contributions
    first.accumulate(g)


def _total(node: VJPNode, g: Any) -> Any:
    if type(g) is not _Pending:
        single = _Pending(node)
        single.accumulate(g)
        g = single
    return g.total()


#: what a pending cotangent may be that is no array yet
_UNFINISHED = frozenset({_Pending, Sparse, _Part})


def trace_outputs(level: int, value: Any) -> tuple[list, list, Any]:
    """``(nodes, leaves, structure)`` of a function's result: the node is None where a leaf does not depend."""
    leaves, structure = tree.flatten(value)
    nodes: list = []
    for position, leaf in enumerate(leaves):
        if type(leaf) in BOX_TYPES and leaf._trace == level:
            nodes.append(leaf._node)
            leaves[position] = leaf._value
        else:
            nodes.append(None)
    return nodes, leaves, structure


def make_vjp_leaves(fun: Callable, leaves: list) -> tuple[Callable, list, Any]:
    """Run ``fun`` on the list of leaf values, traced.

    Returns ``(pull, output leaves, output structure)``; ``pull`` maps a list of output cotangents (None for zero)
    to a list of leaf cotangents (None where the output does not depend on the leaf).
    """
    level = new_level()
    inputs = [VJPNode(leaf, (), ()) for leaf in leaves]
    boxes = [new_box(leaf, level, node) for leaf, node in zip(leaves, inputs, strict=True)]
    nodes, out_leaves, structure = trace_outputs(level, fun(boxes))

    def pull(cotangents: list) -> list:
        seeds = [
            (node, g)
            for node, g in zip(nodes, cotangents, strict=True)
            if node is not None and g is not None
        ]
        return backward_pass(seeds, inputs)

    return pull, out_leaves, structure
