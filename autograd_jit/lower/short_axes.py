"""Short innermost axes taken apart: one value for each of a few columns, where that is cheaper.

An innermost axis of three elements fills three lanes of a vector, and its sums take longer to set up than to add:

    %3: [120, 120, 3] = subtract(...)         %4: [120, 120] = subtract(...)    three of each
    %4: [120, 120, 3] = square(%3)      ->    %5: [120, 120] = square(%4)
    %5: [120, 120] = sum(%4, axes=(2,))       %9: [120, 120] = add(add(add(0.0, %5), %6), %7)

What remains runs over full vectors of the axis before, the sum is straight-line code, and all of it fuses. The nodes
are maps, reductions and pieces as before: no later stage knows. A reader that wants such a value whole (an output, a
product by BLAS) is given it, stored column by column. Columns of what was in memory before are strided loads; where
one is read many times over (broadcast), it is copied to neighbouring elements first.

Sums over the axis are from left to right, as NumPy adds up to seven terms.
"""

from __future__ import annotations

from .graph import Graph, Init, Inside, Literal, Map, Node, Operand, Piece, Reduce, Term, Value, View
from .row_clusters import Cluster, Rewriter, clusters, short_axis
from .simplify import drop_dead_nodes

__all__ = ["unroll_short_axes"]

#: longest axis that is taken apart
LONGEST = 8
#: nodes that a cluster may become: they should fit into a few kernels
MOST_NODES = 128
#: axes of one value that may be taken apart, one after the other
ROUNDS = 2

_STEPS = {"sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum", "all": "and", "any": "or"}


def unroll_short_axes(graph: Graph) -> Graph:
    """The graph with short innermost axes taken apart where that pays."""
    for _ in range(ROUNDS):
        chosen = [cluster for cluster in clusters(graph, LONGEST, _is_column) if _pays(cluster)]
        if not chosen:
            break
        graph = drop_dead_nodes(_Unrolling(graph, chosen).graph())
    return graph


def _pays(cluster: Cluster) -> bool:
    return cluster.size * len(cluster.nodes) <= MOST_NODES and cluster.pays(None)


def _is_column(view: View, size: int) -> bool:
    """Whether a view of a buffer stays in one column of it; its rows are of ``size`` elements."""
    return not any(stride % size for length, stride in zip(view.shape, view.strides) if length != 1)


def _without(items: tuple, axis: int) -> tuple:
    return items[:axis] + items[axis + 1 :]


def _at(term: Term, axis: int, index: int) -> Term:
    """An operand at one index along an axis, which goes."""
    if isinstance(term, Literal) or not term.shape:
        return term
    return _part(term, axis, index) if isinstance(term, View) else _inside(term, axis)


def _part(view: View, axis: int, index: int) -> View:
    if not view.shape:
        return view
    window = None if view.window is None else _without(view.window, axis)
    offset = view.offset + index * view.strides[axis]
    return View(view.value, _without(view.shape, axis), _without(view.strides, axis), offset, window)


def _inside(term: Inside, axis: int) -> Inside:
    return Inside(_without(term.shape, axis), _without(term.window, axis))


class _Unrolling(Rewriter):
    """``columns`` are what became of values."""

    def __init__(self, graph: Graph, chosen: list[Cluster]) -> None:
        super().__init__(graph, chosen)
        self.columns: dict[Value, list[Value]] = {}

    def _rewrite(self, node: Map | Reduce, cluster: Cluster) -> None:
        axis = cluster.axis
        if isinstance(node, Map):
            self._keep(node.out, [self._map_at(node, axis, index) for index in range(cluster.size)])
            return
        rest = tuple([other - (other > axis) for other in node.axes if other != axis])
        terms = [self._view(_part(node.arg, axis, index)) for index in range(cluster.size)]
        if axis in node.axes:
            self._total(node, terms, rest)
            return
        shape = _without(node.out.shape, axis - sum([other < axis for other in node.axes]))
        outs = [self._value(shape, node.out.dtype) for _ in terms]
        self.nodes += [Reduce(node.op, term, rest, out) for term, out in zip(terms, outs)]
        self._keep(node.out, outs)

    def _keep(self, value: Value, columns: list[Value]) -> None:
        self.columns[value] = columns
        self.rewritten.add(value)

    def _map_at(self, node: Map, axis: int, index: int) -> Value:
        args = tuple([self._term(_at(arg, axis, index)) for arg in node.args])
        return self._map(node.op, args, node.out.dtype, _without(node.out.shape, axis))

    def _total(self, node: Reduce, terms: list[View], rest: tuple[int, ...]) -> None:
        """The reduction of all columns, term by term, and then over the axes that remain."""
        dtype, shape = node.out.dtype, terms[0].shape
        chain: list[Operand] = list(terms)
        if node.op == "sum" and dtype.kind == "f":  # NumPy's sums start from +0.0
            chain.insert(0, Literal(dtype.type(0), dtype))
        total = chain[0]
        for term in chain[1:-1]:
            total = self._map(_STEPS[node.op], (total, term), dtype, shape).view()
        out = self._value(shape, dtype) if rest else node.out
        self.nodes.append(Map(_STEPS[node.op], (total, chain[-1]), out))
        if rest:
            self.nodes.append(Reduce(node.op, out.view(), rest, node.out))

    def _moved(self, view: View) -> View | None:
        columns = self.columns[view.value]
        size = len(columns)
        if not _is_column(view, size):
            return None
        first, column = divmod(view.offset, size)
        strides = tuple([stride // size if n != 1 else 0 for n, stride in zip(view.shape, view.strides)])
        return View(columns[column], view.shape, strides, first, view.window)

    def _whole(self, value: Value) -> list[Node]:
        """Stores of the columns, where a value is expected in its own order."""
        axis = max([axis for axis, size in enumerate(value.shape) if size != 1])
        columns = enumerate(self.columns[value])
        pieces = [Piece(_part(value.view(), axis, index), column.view(), add=False) for index, column in columns]
        return [Init(value, None), *pieces]

    def _piece(self, node: Piece) -> None:
        """Columns are stored one by one: nobody needs to put them together first."""
        axis, arg = short_axis(node.region.shape, LONGEST), node.arg
        if axis is None or node.position is not None or not isinstance(arg, View) or arg.shape != node.region.shape:
            super()._piece(node)
            return
        for index in range(arg.shape[axis]):
            self.nodes.append(Piece(_part(node.region, axis, index), self._view(_part(arg, axis, index)), node.add))
