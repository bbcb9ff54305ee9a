"""Two traces that only look: the whole graph of a function, and a graph that is run again without Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tracer import Node
from ..util import subvals, toposort
from ..wrap_util import wraps

__all__ = ["ConstGraphNode", "FullGraphNode", "const_graph", "const_graph_unary", "full_graph"]


class FullGraphNode(Node):
    """One applied primitive: value, function, arguments and parents, with a recursion to all before it."""

    __slots__ = ("args", "fun", "kwargs", "parent_argnums", "parents", "value")

    def __init__(
        self, value: Any, fun: Callable, args: tuple, kwargs: dict, parent_argnums: tuple, parents: tuple
    ) -> None:
        self.value, self.fun, self.args, self.kwargs = value, fun, args, kwargs
        self.parent_argnums, self.parents = parent_argnums, parents

    def initialize_root(self, value: Any = None) -> None:
        self.value, self.fun, self.args, self.kwargs = value, None, (), {}  # type: ignore[assignment]
        self.parent_argnums = self.parents = ()


def full_graph(fun: Callable, *args: Any, **kwargs: Any) -> FullGraphNode:
    """The node of ``fun(*args)`` and, through ``parents``, of all that led to it.

    Every argument that can be traced is an input, each with a node of its own.

    >>> node = full_graph(lambda x: np.sin(x) ** 2, 0.5)
    >>> node.fun.__name__, node.parents[0].fun.__name__
    ('power', 'sin')
    """
    node = _trace_all(FullGraphNode, fun, args, kwargs)[1]
    return node


class ConstGraphNode(Node):
    """One applied primitive as a function of its parents' values."""

    __slots__ = ("apply_again", "parents")

    def __init__(
        self, value: Any, fun: Callable, args: tuple, kwargs: dict, parent_argnums: tuple, parents: tuple
    ) -> None:
        self.parents = parents
        self.apply_again = lambda values: fun(*subvals(args, zip(parent_argnums, values)), **kwargs)

    def initialize_root(self, value: Any = None) -> None:
        self.parents = ()
        self.apply_again = None  # type: ignore[assignment]


def const_graph_unary(fun: Callable) -> Callable:
    """``fun`` of one argument; its first call's graph is what later calls run, branches as they were taken
    then.

    >>> sines = const_graph_unary(lambda x: np.sin(x) ** 2)
    >>> bool(sines(0.5) == np.sin(0.5) ** 2)
    True
    """
    return _ConstGraph(fun)


def const_graph(fun: Callable, *args: Any, **kwargs: Any) -> Callable:
    """``fun`` with ``args`` and ``kwargs`` given; as :func:`const_graph_unary` for the arguments that remain.

    For code whose path does not depend on its inputs: nothing checks that it stays the same. ``jit`` checks.

    >>> sines = const_graph(lambda x: np.sin(x) ** 2)
    >>> bool(sines(0.5) == np.sin(0.5) ** 2)
    True
    """
    fixed = args
    graph = _ConstGraph(lambda *rest: fun(*fixed, *rest, **kwargs))
    return wraps(fun)(lambda *rest: graph(*rest))


class _ConstGraph:
    def __init__(self, fun: Callable) -> None:
        self.fun = fun
        self.steps: list | None = None

    def __call__(self, *args: Any) -> Any:
        if self.steps is None:
            return self._record(args)
        values = dict(zip(self.roots, args))
        for node in self.steps:
            values[node] = node.apply_again([values[parent] for parent in node.parents])
        return values[self.end]

    def _record(self, args: tuple) -> Any:
        roots: list = []
        value, end = _trace_all(ConstGraphNode, self.fun, args, {}, roots)
        if end is not None:  # an output that depends on nothing is computed anew each time
            self.end, self.roots = end, roots
            self.steps = [node for node in reversed(list(toposort(end))) if node.parents]
        return value


def _trace_all(kind: type, fun: Callable, args: tuple, kwargs: dict, roots: list | None = None) -> tuple[Any, Any]:
    """``(value, end node)`` of ``fun`` with each of ``args`` traced at one level; ``roots`` receives their
    nodes."""
    from ..trace.tracer import isbox, new_level
    from ..tracer import box_type_mappings

    level = new_level()
    boxes = []
    for arg in args:
        node = kind.new_root(arg)  # type: ignore[attr-defined]
        box_class = box_type_mappings.get(type(arg))
        boxes.append(arg if box_class is None else box_class(arg, level, node))
        if roots is not None:
            roots.append(node)
    end = fun(*boxes, **kwargs)
    if isbox(end) and end._trace == level:
        return end._value, end._node
    return end, None
