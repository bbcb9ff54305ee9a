"""Short innermost axes taken apart: one value for each of a few columns, where that is cheaper.

An innermost axis of three elements fills three lanes of a vector, and its sums take longer to set up than to add:

    %3: [120, 120, 3] = subtract(...)         %4: [120, 120] = subtract(...)    three of each
    %4: [120, 120, 3] = square(%3)      ->    %5: [120, 120] = square(%4)
    %5: [120, 120] = sum(%4, axes=(2,))       %9: [120, 120] = add(add(add(0.0, %5), %6), %7)

What remains runs over full vectors of the axis before, the sum is straight-line code, and all of it fuses. The nodes
are maps, reductions and pieces as before: no later stage knows. A reader that wants such a value whole (an output, a
product by BLAS) is given it, stored column by column. Columns of what was in memory before are strided loads; where
one is read many times over (broadcast), it is copied to neighbouring elements first.

Nodes over one shape that read each other are taken apart together or not at all (a *cluster*), by an estimate of
cycles for one row. Sums over the axis are from left to right, as NumPy adds up to seven terms.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from .graph import Graph, Init, Inside, Literal, Map, Node, Operand, Piece, Reduce, Term, Value, View, dense_strides
from .simplify import drop_dead_nodes

__all__ = ["unroll_short_axes"]

#: longest axis that is taken apart, and how many rows of it there must be: shorter loops do not pay for more nodes
LONGEST = 8
FEWEST_ROWS = 64
#: nodes that a cluster may become: they should fit into a few kernels
MOST_NODES = 128
#: axes of one value that may be taken apart, one after the other
ROUNDS = 2
#: a strided column is copied first if each of its elements is read at least so many times
REPEATED = 4

# Cycles, measured on Zen 5 over 512-bit vectors, for one row of the short axis: the loop around it, a masked
# operation, a masked access, a sum of the row; and for one element of a strided access.
ROW_COST, MAP_COST, ACCESS_COST, SUM_COST, STRIDED_COST = 6, 1, 2, 16, 2
#: elements that a full vector holds, for the estimate
VECTOR = 8
#: how much cheaper it must be
GAIN = 0.75

_STEPS = {"sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum", "all": "and", "any": "or"}


def unroll_short_axes(graph: Graph) -> Graph:
    """The graph with short innermost axes taken apart where that pays."""
    for _ in range(ROUNDS):
        clusters = [cluster for cluster in _clusters(graph) if cluster.pays]
        if not clusters:
            break
        graph = drop_dead_nodes(_Rewriter(graph, clusters).graph())
    return graph


# ---------------------------------------------------------------- which nodes


@functools.lru_cache(maxsize=4096)
def _short_axis(shape: tuple[int, ...]) -> int | None:
    """The innermost axis that is longer than one, if it is short, and if there are many rows of it."""
    long = [axis for axis, size in enumerate(shape) if size != 1]
    if len(long) < 2 or not 2 <= shape[long[-1]] <= LONGEST:
        return None
    return long[-1] if math.prod(shape[: long[-1]]) >= FEWEST_ROWS else None


def _domain(node: Map | Reduce) -> tuple[int, ...]:
    return node.out.shape if isinstance(node, Map) else node.arg.shape


def _axis_of(node: Node) -> int | None:
    """The axis along which a node can be taken apart."""
    if not isinstance(node, (Map, Reduce)) or (isinstance(node, Map) and node.op == "gather"):
        return None
    axis = _short_axis(_domain(node))
    if axis is None:
        return None
    for term in node.operands():
        window = None if isinstance(term, Literal) else term.window
        if window is not None and window[axis] is not None:
            return None
    return axis


@dataclass
class _Cluster:
    """Nodes over one domain that read each other; ``axis`` is the short one of it."""

    domain: tuple[int, ...]
    axis: int
    nodes: list[Map | Reduce]
    read_outside: set[Value]

    @property
    def size(self) -> int:
        return self.domain[self.axis]

    @property
    def pays(self) -> bool:
        """Whether the rows are looped over one by one now, and that costs more than what replaces it."""
        if self.size * len(self.nodes) > MOST_NODES or not any(map(self._breaks_rows, self.nodes)):
            return False
        sums = sum([isinstance(node, Reduce) and self.axis in node.axes for node in self.nodes])
        work = MAP_COST * len(self.nodes)
        loads = self._loads()
        stores = [node.out for node in self.nodes if isinstance(node, Map) and node.out in self.read_outside]
        strided = [view for view in loads if self._is_strided(view)]
        now = ROW_COST + work + SUM_COST * sums + ACCESS_COST * (len(loads) + len(stores))
        then = (work + ACCESS_COST * (len(loads) - len(strided))) * self.size / VECTOR
        then += STRIDED_COST * self.size * (len(strided) + len(stores))
        return then < GAIN * now

    def _breaks_rows(self, node: Map | Reduce) -> bool:
        """Whether a loop that holds the node cannot treat the two innermost axes as one long one."""
        before = max([axis for axis, size in enumerate(self.domain[: self.axis]) if size != 1])
        if isinstance(node, Reduce) and (before in node.axes) != (self.axis in node.axes):
            return True
        views = [term for term in node.operands() if isinstance(term, View) and term.shape == self.domain]
        return any(view.strides[before] != self.size * view.strides[self.axis] for view in views)

    def _loads(self) -> set[View]:
        made = {node.out for node in self.nodes if isinstance(node, Map)}
        terms = [term for node in self.nodes for term in node.operands()]
        return {term for term in terms if isinstance(term, View) and term.shape and term.value not in made}

    def _is_strided(self, view: View) -> bool:
        return view.strides[self.axis] != 0 and not _is_repeated(view)


def _is_repeated(view: View) -> bool:
    """Whether every element of a view is read several times."""
    return REPEATED * math.prod([size for size, stride in zip(view.shape, view.strides) if stride]) <= view.size


def _clusters(graph: Graph) -> list[_Cluster]:
    """All clusters, in no order."""
    axes = {node: axis for node in graph.nodes if (axis := _axis_of(node)) is not None}
    if not axes:
        return []
    parents: dict[Node, Node] = {node: node for node in axes}

    def root(node: Node) -> Node:
        while parents[node] is not node:
            parents[node] = node = parents[parents[node]]
        return node

    makers = {node.out: node for node in axes if isinstance(node, Map)}
    outside = {out.value for out in graph.outputs if isinstance(out, View)}
    for node in graph.nodes:
        for term in node.operands():
            maker = makers.get(term.value) if isinstance(term, View) else None
            if maker is None:
                continue
            if node in axes and term.shape == _domain(maker) == _domain(node) and term.is_dense:  # type: ignore[arg-type]
                parents[root(node)] = root(maker)
            elif _column(term, maker.out.shape[axes[maker]]) is None:
                outside.add(maker.out)
    members: dict[Node, list] = defaultdict(list)
    for node in axes:
        members[root(node)].append(node)
    return [_Cluster(_domain(nodes[0]), axes[nodes[0]], nodes, outside) for nodes in members.values()]


def _column(view: View, size: int) -> int | None:
    """Which column of a buffer, whose rows are of ``size`` elements, a view stays in."""
    if any(stride % size for length, stride in zip(view.shape, view.strides) if length != 1):
        return None
    return view.offset % size


# ---------------------------------------------------------------- taking apart


def _without(items: tuple, axis: int) -> tuple:
    return items[:axis] + items[axis + 1 :]


def _at(term: Term, axis: int, index: int) -> Term:
    """An operand at one index along an axis, which goes."""
    if isinstance(term, Literal) or not term.shape:
        return term
    window = None if term.window is None else _without(term.window, axis)
    if isinstance(term, Inside):
        assert window is not None
        return Inside(_without(term.shape, axis), window)
    offset = term.offset + index * term.strides[axis]
    return View(term.value, _without(term.shape, axis), _without(term.strides, axis), offset, window)


def _key(term: Term) -> object:
    return (term.dtype, term.bits) if isinstance(term, Literal) else term


class _Rewriter:
    """Makes the new nodes, in order."""

    def __init__(self, graph: Graph, clusters: list[_Cluster]) -> None:
        self.old = graph
        self.axes = {node: cluster.axis for cluster in clusters for node in cluster.nodes}
        #: value -> its columns; and those that have been put together again
        self.columns: dict[Value, list[Value]] = {}
        self.whole: set[Value] = set()
        self.nodes: list[Node] = []
        self.known: dict[object, Value] = {}
        values = [value for node in graph.nodes for value in node.outs]
        self.numbers = itertools.count(1 + max([value.number for value in values]))

    def graph(self) -> Graph:
        old = self.old
        for node in old.nodes:
            axis = self.axes.get(node)
            if axis is None:
                self._reader(node)
            elif isinstance(node, Map):
                count = node.out.shape[axis]
                self.columns[node.out] = [self._map_at(node, axis, index) for index in range(count)]
            else:
                assert isinstance(node, Reduce)
                self._reduce(node, axis)
        for out in old.outputs:
            if isinstance(out, View):
                self._assemble(out.value)
        return Graph(old.inputs, old.constants, self.nodes, old.outputs, old.draws)

    def _map_at(self, node: Map, axis: int, index: int) -> Value:
        args = tuple([self._term(_at(arg, axis, index)) for arg in node.args])
        return self._map(node.op, args, node.out.dtype, _without(node.out.shape, axis))

    def _map(self, op: str, args: tuple[Term, ...], dtype: np.dtype, shape: tuple[int, ...]) -> Value:
        key = (op, tuple(map(_key, args)), dtype, shape)
        if key not in self.known:
            self.known[key] = Value(next(self.numbers), shape, dtype)
            self.nodes.append(Map(op, args, self.known[key]))
        return self.known[key]

    def _reduce(self, node: Reduce, axis: int) -> None:
        rest = tuple([other - (other > axis) for other in node.axes if other != axis])
        terms = [self._view(_at(node.arg, axis, index)) for index in range(node.arg.shape[axis])]
        if axis in node.axes:
            self._total(node, terms, rest)
            return
        shape = _without(node.out.shape, axis - sum([other < axis for other in node.axes]))
        outs = self.columns[node.out] = [Value(next(self.numbers), shape, node.out.dtype) for _ in terms]
        self.nodes += [Reduce(node.op, term, rest, out) for term, out in zip(terms, outs)]

    def _total(self, node: Reduce, terms: list[View], rest: tuple[int, ...]) -> None:
        """The reduction of all columns, term by term, and then over the axes that remain."""
        dtype, shape = node.out.dtype, terms[0].shape
        chain: list[Operand] = list(terms)
        if node.op == "sum" and dtype.kind == "f":  # NumPy's sums start from +0.0
            chain.insert(0, Literal(dtype.type(0), dtype))
        total = chain[0]
        for term in chain[1:-1]:
            total = self._map(_STEPS[node.op], (total, term), dtype, shape).view()
        out = Value(next(self.numbers), shape, dtype) if rest else node.out
        self.nodes.append(Map(_STEPS[node.op], (total, chain[-1]), out))
        if rest:
            self.nodes.append(Reduce(node.op, out.view(), rest, node.out))

    # ---------------------------------------------------------------- what others read

    def _reader(self, node: Node) -> None:
        """A node that stays, reading columns where it can."""
        views = [term for term in node.operands() if isinstance(term, View) and term.value in self.columns]
        if not views:
            self.nodes.append(node)
        elif isinstance(node, Map) and node.op != "gather":
            self.nodes.append(Map(node.op, tuple([self._term(arg) for arg in node.args]), node.out))
        elif isinstance(node, Reduce):
            self.nodes.append(replace(node, arg=self._view(node.arg)))
        elif isinstance(node, Piece):
            self.nodes += self._pieces(node)
        else:
            for view in views:
                self._assemble(view.value)
            self.nodes.append(node)

    def _pieces(self, node: Piece) -> Iterable[Node]:
        """A store of a value's columns, one by one if no column holds all of it."""
        axis = _short_axis(node.region.shape)
        arg = node.arg
        if axis is None or node.position is not None or not isinstance(arg, View) or arg.shape != node.region.shape:
            terms = [self._term(term) for term in node.operands()]
            return [Piece(node.region, terms[0], node.add, *terms[1:])]  # type: ignore[arg-type]
        parts = [(_at(node.region, axis, index), _at(arg, axis, index)) for index in range(arg.shape[axis])]
        return [Piece(region, self._view(part), node.add) for region, part in parts]  # type: ignore[arg-type]

    def _term(self, term: Term) -> Term:
        return self._view(term) if isinstance(term, View) else term

    def _view(self, view: Term) -> View:
        """A view of a column, of a value put together again, or of a copy whose elements are neighbours."""
        assert isinstance(view, View)
        columns = self.columns.get(view.value)
        if columns is None:
            return self._packed(view)
        size = len(columns)
        column = _column(view, size)
        if column is None:
            self._assemble(view.value)
            return view
        strides = tuple([stride // size if n != 1 else 0 for n, stride in zip(view.shape, view.strides)])
        return View(columns[column], view.shape, strides, (view.offset - column) // size, view.window)

    def _assemble(self, value: Value) -> None:
        """Store the columns of a value where it is expected whole."""
        if value not in self.columns or value in self.whole:
            return
        self.whole.add(value)
        axis = max([axis for axis, size in enumerate(value.shape) if size != 1])
        self.nodes.append(Init(value, None))
        for index, column in enumerate(self.columns[value]):
            region = _at(value.view(), axis, index)
            assert isinstance(region, View)
            self.nodes.append(Piece(region, column.view(), add=False))

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
