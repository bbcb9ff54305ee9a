"""Dead code: drop every node whose values nothing needs."""

from __future__ import annotations

from .graph import Check, Graph, Value, View

__all__ = ["drop_dead_nodes"]


def drop_dead_nodes(graph: Graph) -> Graph:
    """The graph without nodes that neither the outputs nor a guard need. Python steps without use go, too:
    primitives are pure functions (those that draw random numbers never get onto a replayed tape)."""
    needed: set[Value] = {out.value for out in graph.outputs if isinstance(out, View)}
    kept = []
    for node in reversed(graph.nodes):
        if isinstance(node, Check) or any(value in needed for value in node.outs):
            kept.append(node)
            needed.update(operand.value for operand in node.operands() if isinstance(operand, View))
    kept.reverse()
    constants = {value: array for value, array in graph.constants.items() if value in needed}
    return Graph(graph.inputs, constants, kept, graph.outputs)


