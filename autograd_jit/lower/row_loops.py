"""The rows of a Jacobian: all at once (:mod:`.row_batches`) where they are short, or as a loop.

In a loop what one row takes is in the graph once, between a start and an end.

    %9: float64[100] = cos(%1)                      what does not depend on the row comes before
    for unit vector %12: float64[100] of %10:
    %13: float64[100] = multiply(%12, %9)
    next row: %13 of %14: float64[100, 100]

The executor repeats what lies between the two. No stage of lowering may carry a node from one side of such a border to
the other; but computing something again inside of a loop, for itself, is as right there as anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .builder import Builder
from .graph import Check, Map, Node, Operand, RowsEnd, RowsStart, Step, Value, View
from .row_batches import RowBatch

__all__ = ["repeated_rows", "unit_vector"]

_INT64 = np.dtype(np.int64)


def repeated_rows(
    builder: Builder,
    rows_of: Callable[[Operand], list[Operand]],
    shape: tuple[int, ...],
    dtype: np.dtype,
    for_device: bool = False,
) -> list[View] | None:
    """``rows_of`` each unit vector of a shape, stacked; computed all at once or by a loop.

    None where neither can be, the graph then being as it was: one row takes a Python step or a guard of its own, or
    a device would have to loop.
    """
    graph, count = builder.graph, math.prod(shape)
    mark, known = len(graph.nodes), builder.known()
    seed = builder.new_value(shape, dtype)
    rows = rows_of(seed.view())
    nodes = graph.nodes[mark:]
    changing = _changing(nodes, seed)
    inside = [node for node in nodes if not changing.isdisjoint(node.outs) or _reads(node, changing)]
    before = [node for node in nodes if node not in set(inside)]
    del graph.nodes[mark:]
    if any(isinstance(node, (Step, Check)) for node in inside):
        builder.restore(known)
        return None
    batch = RowBatch(builder, count, seed, changing)
    if batch.pays(inside, rows, for_device):
        builder.restore(known)  # nothing may read the values of the one row
        graph.nodes += before
        return batch.of(_basis(builder, count, dtype), inside, rows)
    if for_device:
        builder.restore(known)
        return None
    graph.nodes += inside
    values = _rows_of_their_own(builder, rows, changing - {seed})
    inside = graph.nodes[mark:]
    stacked = tuple([builder.new_value((count, *value.shape), value.dtype) for value in values])
    start = RowsStart(builder.new_value((), _INT64), seed, _basis(builder, count, dtype), tuple(values), stacked)
    graph.nodes[mark:] = [*before, start, *inside, RowsEnd(start)]
    builder.restore(known)  # nothing behind the loop may read what the loop's last turn has left
    return [value.view() for value in stacked]


def unit_vector(builder: Builder, shape: tuple[int, ...], dtype: np.dtype, number: int) -> Operand:
    """A unit vector as a constant."""
    vector = np.zeros(shape, dtype)
    vector.reshape(-1)[number] = 1
    return builder.constant(vector)


def _basis(builder: Builder, count: int, dtype: np.dtype) -> View:
    """All unit vectors: ``count`` elements of it, from another one on for each."""
    basis = builder.new_value((2 * count - 1,), dtype)
    builder.graph.constants[basis] = np.zeros(2 * count - 1, dtype)
    builder.graph.constants[basis][count - 1] = 1
    return basis.view()


def _reads(node: Node, values: set[Value]) -> bool:
    return any(view.value in values for view in node.reads)


def _changing(nodes: list[Node], seed: Value) -> set[Value]:
    """The values that differ from row to row. A buffer is one of them if any of its pieces is."""
    changing = {seed}
    known = 0
    while known < len(changing):
        known = len(changing)
        for node in nodes:
            if _reads(node, changing):
                changing.update(node.outs)
    return changing


def _rows_of_their_own(builder: Builder, rows: list[Operand], own: set[Value]) -> list[Value]:
    """A value for each row that is nothing but that row: its memory is part of the result."""
    values: list[Value] = []
    for row in rows:
        view = builder.view(row)
        if not view.is_dense or view.shape != view.value.shape or view.value not in own or view.value in values:
            copy = builder.new_value(view.shape, view.dtype)
            builder.graph.nodes.append(Map("copy", (View(*view),), copy))
            view = copy.view()
        values.append(view.value)
    return values
