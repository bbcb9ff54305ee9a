"""Intermediates laid out with their longest axis innermost, where rows are short and that is cheaper.

What is too much to be taken apart (`short_axes.py`) still runs over full vectors if the loops change places:

    %6: [1000, 10] = ...                            %6: [10, 1000] = ...
    %7: [1000] = min(%6, axes=(1,))           ->    %7: [1000] = min(%6, axes=(0,))
    %9: [1000, 10] = equal(%6, %7<0:1,0>)           %9: [10, 1000] = equal(%6, %7<0:0,1>)

A reduction over the short axis then adds up rows in memory, a thousand totals at a time. Readers see such a value
through other strides; one that cannot is given a copy in the old order.
"""

from __future__ import annotations

from .graph import Graph, Inside, Map, Node, Reduce, Term, Value, View, dense_strides
from .row_clusters import FEWEST_ROWS, Cluster, Rewriter, clusters
from .simplify import drop_dead_nodes

__all__ = ["turn_short_rows"]

#: longest innermost axis that gives way to another
LONGEST = 24


def turn_short_rows(graph: Graph) -> Graph:
    """The graph with long axes innermost where that pays."""
    chosen = [cluster for cluster in clusters(graph, LONGEST, _never) if _pays(cluster)]
    if not chosen:
        return graph
    return drop_dead_nodes(_Turning(graph, chosen).graph())


def _pays(cluster: Cluster) -> bool:
    axis = cluster.longest_axis
    return axis != cluster.axis and cluster.domain[axis] >= FEWEST_ROWS and cluster.pays(axis)


def _never(view: View, size: int) -> bool:
    return False


def _ordered(items: tuple, order: tuple[int, ...]) -> tuple:
    return tuple([items[axis] for axis in order])


def _turned(term: Term, order: tuple[int, ...]) -> Term:
    if isinstance(term, Inside):
        return Inside(_ordered(term.shape, order), _ordered(term.window, order))
    return _turned_view(term, order) if isinstance(term, View) else term


def _turned_view(view: View, order: tuple[int, ...]) -> View:
    if not view.shape:
        return view
    window = None if view.window is None else _ordered(view.window, order)
    return View(view.value, _ordered(view.shape, order), _ordered(view.strides, order), view.offset, window)


class _Turning(Rewriter):
    """``places`` are what became of values: the new value, and its strides along the axes of the old one."""

    def __init__(self, graph: Graph, chosen: list[Cluster]) -> None:
        super().__init__(graph, chosen)
        self.places: dict[Value, tuple[Value, tuple[int, ...]]] = {}

    def _rewrite(self, node: Map | Reduce, cluster: Cluster) -> None:
        last = cluster.longest_axis
        order = (*[axis for axis in range(len(cluster.domain)) if axis != last], last)
        if isinstance(node, Map):
            args = tuple([self._term(_turned(arg, order)) for arg in node.args])
            self._keep(node.out, self._map(node.op, args, node.out.dtype, _ordered(node.out.shape, order)), order)
            return
        axes = tuple([place for place, axis in enumerate(order) if axis in node.axes])
        kept = [axis for axis in range(len(order)) if axis not in node.axes]
        kept_order = tuple([kept.index(axis) for axis in order if axis in kept])
        out = node.out
        if kept_order != tuple(range(len(kept))):
            out = self._value(_ordered(node.out.shape, kept_order), node.out.dtype)
            self._keep(node.out, out, kept_order)
        self.nodes.append(Reduce(node.op, self._view(_turned_view(node.arg, order)), axes, out))

    def _keep(self, old: Value, new: Value, order: tuple[int, ...]) -> None:
        steps = dict(zip(order, dense_strides(new.shape), strict=True))
        self.places[old] = new, tuple([steps[axis] for axis in range(len(order))])
        self.rewritten.add(old)

    def _moved(self, view: View) -> View | None:
        """The same elements of the new buffer, if each axis of the view runs along one axis of the value."""
        old, (new, steps) = view.value, self.places[view.value]
        if view.window is not None or view.offset < 0:
            return None
        starts, rest = [], view.offset
        for stride, size in zip(dense_strides(old.shape), old.shape):
            start, rest = divmod(rest, stride) if size != 1 else (0, rest)
            starts.append(start)
        strides, used = [], set()
        for size, stride in zip(view.shape, view.strides):
            if size == 1 or stride == 0:
                strides.append(0)
                continue
            axis = _axis_along(old.shape, abs(stride))
            if axis is None or axis in used:
                return None
            used.add(axis)
            step = stride // dense_strides(old.shape)[axis]
            if not 0 <= starts[axis] + step * (size - 1) < old.shape[axis]:
                return None
            strides.append(step * steps[axis])
        offset = sum([start * step for start, step in zip(starts, steps)])
        return View(new, view.shape, tuple(strides), offset)

    def _whole(self, value: Value) -> list[Node]:
        new, steps = self.places[value]
        return [Map("copy", (View(new, value.shape, steps, 0),), value)]


def _axis_along(shape: tuple[int, ...], stride: int) -> int | None:
    """The axis of a buffer along which a step of ``stride`` elements goes."""
    for axis, (step, size) in enumerate(zip(dense_strides(shape), shape)):
        if size != 1 and step <= stride < step * size and stride % step == 0:
            return axis
    return None
