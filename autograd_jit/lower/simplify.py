"""Dead code: drop every node whose values nothing needs."""

from __future__ import annotations

import numpy as np

from ..records import replaced
from ..trace.tracer import Primitive
from .graph import Call, Check, CopyStep, Graph, Map, Node, RowsEnd, RowsStart, Step, Value, View

__all__ = ["drop_dead_nodes"]


def drop_dead_nodes(graph: Graph) -> Graph:
    """The graph without nodes that neither the outputs nor a guard need.

    A Python step or a call without use goes, too, unless it draws random numbers, or may raise an exception that
    depends on its data: the function expects it, or handles it. A loop over rows goes or stays as a whole.
    """
    needed: set[Value] = {out.value for out in graph.outputs if isinstance(out, View)}
    kept = []
    loops = _loops_that_may_raise(graph)
    for node in reversed(graph.nodes):
        if type(node) is Map:  # most
            is_needed = node.out in needed
        else:
            is_needed = not needed.isdisjoint(node.outs) or isinstance(node, Check) or _may_raise(node) or node in loops
        if is_needed:
            kept.append(node)
            for view in node.reads:
                needed.add(view.value)
    kept.reverse()
    constants = {value: array for value, array in graph.constants.items() if value in needed}
    return replaced(graph, constants=constants, nodes=kept)


def _loops_that_may_raise(graph: Graph) -> set[Node]:
    """The ends of the loops over rows in which something may raise."""
    found: set[Node] = set()
    if not any([type(node) is RowsStart for node in graph.nodes]):  # most graphs have none
        return found
    raises = False
    for node in graph.nodes:
        if isinstance(node, RowsStart):
            raises = False
        elif isinstance(node, RowsEnd) and raises:
            found.add(node)
        raises = raises or _may_raise(node)
    return found


#: modules whose functions raise for wrong shapes and dtypes only, which a replay has checked
_QUIET_MODULES = frozenset(
    f"autograd_jit.numpy.{name}"
    for name in """cumulative elementwise fft joining nan_functions ordering padding reductions shaping
        special_elementwise statistics""".split()
)


def _may_raise(node: Node) -> bool:
    """Whether a node may raise for some values of its operands: a singular matrix, an index out of range."""
    if isinstance(node, Call):
        return node.may_stop
    if not isinstance(node, Step) or isinstance(node, CopyStep):
        return False
    function = node.op.prim.fun
    if isinstance(function, np.ufunc):
        return any(var.type.dtype.kind not in "fc" for var in node.op.operands())  # 2 ** -1
    if getattr(function, "__module__", None) in _QUIET_MODULES:
        return False
    return node.op.prim not in _indexing() or any(var.type.dtype.kind in "iu" for var in node.op.operands())


def _indexing() -> tuple[Primitive, ...]:
    from ..numpy import indexing

    return indexing.getitem.primitive, indexing.scatter_sum.primitive  # type: ignore[attr-defined]
