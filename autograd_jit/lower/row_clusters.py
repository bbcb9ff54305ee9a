"""Nodes whose innermost axis is short: what `short_axes.py` and `axis_order.py` rewrite, and what that costs.

Such nodes loop over rows of a few elements, with a few lanes of each vector, wherever the two innermost axes cannot be
treated as one. Nodes over one shape that read each other form a cluster, which is rewritten as a whole or not at all,
by an estimate of the cycles for one row.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from ..records import record, replaced
from .graph import Graph, Literal, Map, Node, Piece, Reduce, Term, Value, View, dense_strides

__all__ = ["Cluster", "Rewriter", "clusters", "domain_of", "short_axis"]

#: shorter loops do not pay for another layout
FEWEST_ROWS = 64
#: what is strided in memory is copied first if each of its elements is read at least so many times
REPEATED = 4

# Cycles, rough, fitted to the benchmarks over 512-bit vectors. For one row: the loop around it and a reduction of it.
ROW_COST, SUM_COST = 6, 16
# For one vector, full or masked: an operation, an access, a reduction that adds up in memory.
MAP_COST, ACCESS_COST, ADD_COST = 1, 2, 3
# For one element of a strided access.
STRIDED_COST = 2
#: elements that a full vector holds, for the estimate
VECTOR = 8
#: how much cheaper another layout must be
GAIN = 0.75


@functools.lru_cache(maxsize=4096)
def short_axis(shape: tuple[int, ...], longest: int) -> int | None:
    """The innermost axis that is longer than one, if it is short, and if there are many rows of it."""
    long = [axis for axis, size in enumerate(shape) if size != 1]
    if len(long) < 2 or not 2 <= shape[long[-1]] <= longest:
        return None
    return long[-1] if math.prod(shape[: long[-1]]) >= FEWEST_ROWS else None


def domain_of(node: Map | Reduce) -> tuple[int, ...]:
    """The shape that a node runs over."""
    return node.out.shape if isinstance(node, Map) else node.arg.shape


def _axis_of(node: Node, longest: int) -> int | None:
    """The short axis of a node that can be rewritten."""
    if not isinstance(node, (Map, Reduce)) or (isinstance(node, Map) and node.op == "gather"):
        return None
    axis = short_axis(domain_of(node), longest)
    if axis is None:
        return None
    for term in node.operands():
        window = None if isinstance(term, Literal) else term.window
        if window is not None and window[axis] is not None:
            return None
    return axis


@record
class Cluster:
    """Nodes over one domain that read each other; ``axis`` is the short one of it, ``wanted`` what others read."""

    domain: tuple[int, ...]
    axis: int
    nodes: list[Map | Reduce]
    wanted: set[Value]

    @property
    def size(self) -> int:
        return self.domain[self.axis]

    @property
    def longest_axis(self) -> int:
        return max(range(len(self.domain)), key=lambda axis: self.domain[axis])

    @property
    def row_cost(self) -> float:
        """Cycles for one row as it is."""
        sums = sum([isinstance(node, Reduce) and self.axis in node.axes for node in self.nodes])
        accesses = len(self.loads) + len(self.stores)
        vectors = -(-self.size // VECTOR)
        return ROW_COST + SUM_COST * sums + vectors * (MAP_COST * len(self.nodes) + ACCESS_COST * accesses)

    def cost_along(self, axis: int | None) -> float:
        """The same with another axis innermost; with None each column by itself."""
        strided = sum([self._is_strided(view, axis) for view in self.loads]) + len(self.stores)
        work = MAP_COST * len(self.nodes) + ACCESS_COST * (len(self.loads) + len(self.stores) - strided)
        if axis is not None:
            work += ADD_COST * sum([isinstance(node, Reduce) and axis not in node.axes for node in self.nodes])
        return self.size * (work / VECTOR + STRIDED_COST * strided)

    def pays(self, axis: int | None) -> bool:
        """Whether rows are looped over one by one now, and :meth:`cost_along` is clearly less."""
        return any(map(self._breaks_rows, self.nodes)) and self.cost_along(axis) < GAIN * self.row_cost

    def _breaks_rows(self, node: Map | Reduce) -> bool:
        """Whether a loop that holds the node cannot treat the two innermost axes as one long one."""
        before = max([axis for axis, size in enumerate(self.domain[: self.axis]) if size != 1])
        if isinstance(node, Reduce) and (before in node.axes) != (self.axis in node.axes):
            return True
        views = [term for term in node.operands() if isinstance(term, View) and term.shape == self.domain]
        return any(view.strides[before] != self.size * view.strides[self.axis] for view in views)

    @functools.cached_property
    def loads(self) -> set[View]:
        made = {node.out for node in self.nodes if isinstance(node, Map)}
        terms = [term for node in self.nodes for term in node.operands()]
        return {term for term in terms if isinstance(term, View) and term.shape and term.value not in made}

    @functools.cached_property
    def stores(self) -> list[Value]:
        return [node.out for node in self.nodes if isinstance(node, Map) and node.out in self.wanted]

    def _is_strided(self, view: View, axis: int | None) -> bool:
        if _is_repeated(view):
            return False
        return view.strides[self.axis] != 0 if axis is None else view.strides[axis] not in (0, 1)


def _is_repeated(view: View) -> bool:
    """Whether every element of a view is read several times."""
    return REPEATED * math.prod([size for size, stride in zip(view.shape, view.strides) if stride]) <= view.size


def clusters(graph: Graph, longest: int, fits: Callable[[View, int], bool]) -> list[Cluster]:
    """All clusters with an axis up to ``longest``, in no order.

    ``fits(view, size)``: whether a reader elsewhere can do with the rewritten value; its rows are of ``size`` elements.
    """
    # most programs have no such axis: for them this takes no call a node
    domains = {node.out.shape for node in graph.nodes if node.__class__ is Map}  # type: ignore[attr-defined]
    domains |= {node.arg.shape for node in graph.nodes if node.__class__ is Reduce}  # type: ignore[attr-defined]
    if not any([short_axis(shape, longest) is not None for shape in domains]):
        return []
    axes = {node: axis for node in graph.nodes if (axis := _axis_of(node, longest)) is not None}
    if not axes:
        return []
    parents: dict[Node, Node] = {node: node for node in axes}

    def root(node: Node) -> Node:
        while parents[node] is not node:
            parents[node] = node = parents[parents[node]]
        return node

    makers = {node.out: node for node in axes if isinstance(node, Map)}
    wanted = {out.value for out in graph.outputs if isinstance(out, View)}
    for node in graph.nodes:
        for term in node.operands():
            maker = makers.get(term.value) if isinstance(term, View) else None
            if maker is None or not isinstance(term, View):
                continue
            if node in axes and term.shape == domain_of(maker) == domain_of(node) and term.is_dense:  # type: ignore[arg-type]
                parents[root(node)] = root(maker)
            elif not fits(term, maker.out.shape[axes[maker]]):
                wanted.add(maker.out)
    members: dict[Node, list] = defaultdict(list)
    for node in axes:
        members[root(node)].append(node)
    return [Cluster(domain_of(nodes[0]), axes[nodes[0]], nodes, wanted) for nodes in members.values()]


def _key(term: Term) -> object:
    return (term.dtype, term.bits) if isinstance(term, Literal) else term


class Rewriter:
    """Makes new nodes in order: for the nodes of clusters, and for others with operands that read what became of those.

    A subclass says what becomes of a node (``_rewrite``) and of a value's view (``_moved``, None where only the whole
    value will do), and puts a value together again (``_whole``).
    """

    def __init__(self, graph: Graph, chosen: list[Cluster]) -> None:
        self.old = graph
        self.clusters: dict[Node, Cluster] = {node: cluster for cluster in chosen for node in cluster.nodes}
        self.rewritten: set[Value] = set()
        self.assembled: set[Value] = set()
        self.nodes: list[Node] = []
        self.known: dict[object, Value] = {}
        values = [value for node in graph.nodes for value in node.outs]
        self.numbers = itertools.count(1 + max([value.number for value in values]))

    def _rewrite(self, node: Map | Reduce, cluster: Cluster) -> None:
        raise NotImplementedError

    def _moved(self, view: View) -> View | None:
        raise NotImplementedError

    def _whole(self, value: Value) -> list[Node]:
        raise NotImplementedError

    def graph(self) -> Graph:
        old = self.old
        for node in old.nodes:
            cluster = self.clusters.get(node)
            if cluster is None:
                self._reader(node)
            else:
                assert isinstance(node, (Map, Reduce))
                self._rewrite(node, cluster)
        for out in old.outputs:
            if isinstance(out, View):
                self._assemble(out.value)
        return replaced(old, nodes=self.nodes)

    def _value(self, shape: tuple[int, ...], dtype: np.dtype) -> Value:
        return Value(next(self.numbers), shape, dtype)

    def _map(self, op: str, args: tuple[Term, ...], dtype: np.dtype, shape: tuple[int, ...]) -> Value:
        key = (op, tuple(map(_key, args)), dtype, shape)
        if key not in self.known:
            self.known[key] = self._value(shape, dtype)
            self.nodes.append(Map(op, args, self.known[key]))
        return self.known[key]

    def _reader(self, node: Node) -> None:
        """A node that stays, reading what became of its operands where it can."""
        views = [term for term in node.operands() if isinstance(term, View) and term.value in self.rewritten]
        if not views:
            self.nodes.append(node)
        elif isinstance(node, Map) and node.op != "gather":
            self.nodes.append(Map(node.op, tuple([self._term(arg) for arg in node.args]), node.out))
        elif isinstance(node, Reduce):
            self.nodes.append(replaced(node, arg=self._view(node.arg)))
        elif isinstance(node, Piece):
            self._piece(node)
        else:
            for view in views:
                self._assemble(view.value)
            self.nodes.append(node)

    def _piece(self, node: Piece) -> None:
        arg = self._view(node.arg) if isinstance(node.arg, View) else node.arg
        position = None if node.position is None else self._view(node.position)
        self.nodes.append(Piece(node.region, arg, node.add, position))

    def _term(self, term: Term) -> Term:
        return self._view(term) if isinstance(term, View) else term

    def _view(self, view: View) -> View:
        """What a view has become."""
        if view.value not in self.rewritten:
            return self._packed(view)
        moved = self._moved(view)
        if moved is None:
            self._assemble(view.value)
            return view
        return moved

    def _assemble(self, value: Value) -> None:
        if value in self.rewritten and value not in self.assembled:
            self.assembled.add(value)
            self.nodes += self._whole(value)

    def _packed(self, view: View) -> View:
        """What is read many times over with a stride between neighbours: as a copy without."""
        steps = [stride for size, stride in zip(view.shape, view.strides) if size != 1]
        if view.window is not None or not steps or steps[-1] in (0, 1) or not _is_repeated(view):
            return view
        moving = [axis for axis, size in enumerate(view.shape) if size != 1 and view.strides[axis]]
        sizes = tuple([view.shape[axis] for axis in moving])
        part = View(view.value, sizes, tuple([view.strides[axis] for axis in moving]), view.offset)
        copy = self._map("copy", (part,), view.dtype, sizes)
        strides = [0] * len(view.shape)
        for axis, stride in zip(moving, dense_strides(sizes), strict=True):
            strides[axis] = stride
        return View(copy, view.shape, tuple(strides), 0)
