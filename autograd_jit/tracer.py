"""Autograd's module of this name: the tracer's interface for programs that define their own kinds of trace.

``Node`` here has Autograd's protocol: a subclass gets every applied primitive as
``Node(value, fun, args, kwargs, parent_argnums, parents)``. The package's own nodes speak a shorter one
(:mod:`autograd_jit.trace.tracer`).
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .errors import AutogradJitWarning, TracedValueError
from .trace import tracer as _trace
from .trace.containers import apply_to_leaves
from .trace.cotangent import abstract
from .trace.reverse import VJPNode
from .trace.tracer import Box, getval, isbox, new_level, notrace_primitive, primitive
from .trace.tracer import Node as _Node
from .util import subvals, toposort

__all__ = [
    "Box",
    "Node",
    "TraceStack",
    "box_type_mappings",
    "box_types",
    "find_top_boxed_args",
    "getval",
    "isbox",
    "new_box",
    "notrace_primitive",
    "notrace_primitives",
    "primitive",
    "register_notrace",
    "subvals",
    "toposort",
    "trace",
    "trace_stack",
]

box_type_mappings = Box.type_mappings
box_types = Box.types
#: user-defined node class -> primitives that it does not want to see
notrace_primitives: defaultdict[type, set] = defaultdict(set)


class Node(_Node):
    """Base class of a user's own trace. Define ``__init__`` and ``initialize_root``; start it by
    :func:`trace`."""

    __slots__ = ()
    sees_nondifferentiable = True

    def __init__(
        self, value: Any, fun: Callable, args: tuple, kwargs: dict, parent_argnums: tuple, parents: tuple
    ) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define __init__")

    def initialize_root(self, *args: Any, **kwargs: Any) -> None:
        """Make this the node of an input."""
        raise NotImplementedError(f"{type(self).__name__} must define initialize_root")

    @classmethod
    def new_root(cls, *args: Any, **kwargs: Any) -> Any:
        """The node of an input."""
        root = cls.__new__(cls)
        root.initialize_root(*args, **kwargs)
        return root

    def apply(self, prim: Any, level: int, values: list, kwargs: dict, boxed: list) -> Any:  # type: ignore[override]
        ans = prim.wrapped(*values, **kwargs)
        box_class = box_type_mappings.get(type(ans))
        if box_class is None or prim.wrapped in notrace_primitives[type(self)]:
            return ans
        argnums, parents = zip(*boxed)
        return box_class(ans, level, type(self)(ans, prim.wrapped, tuple(values), kwargs, argnums, parents))

    def apply_nested(self, prim: Any, level: int, args: tuple, kwargs: dict) -> Any:
        """A primitive whose traced arguments are inside containers."""
        if _trace.hidden_boxes(kwargs):
            raise TracedValueError(f"{prim.name}() was given a traced value as a keyword argument: pass it by position")
        if any(isbox(arg) for arg in args):
            return _trace._apply(prim, args, kwargs)
        return apply_to_leaves(prim, args, kwargs)


class TraceStack:
    """Numbers of nested traces. ``with trace_stack.new_trace() as level`` starts one."""

    @contextmanager
    def new_trace(self) -> Iterator[int]:
        """A new innermost level. Levels only grow, so that nothing needs restoring after an exception."""
        yield new_level()


trace_stack = TraceStack()


def new_box(value: Any, trace: int, node: Any) -> Box:
    """Box ``value`` in the class registered for its type; raises NonDifferentiableError when there is
    none."""
    _learn_shape(node, value)
    return _trace.new_box(value, trace, node)


def _learn_shape(node: Any, value: Any) -> None:
    """A root made by ``VJPNode.new_root()`` learns the shape and dtype that cotangents are brought to."""
    if type(node) is VJPNode and node.shape is None and node.dtype is None:
        node.shape, node.dtype = abstract(value)


def trace(start_node: Any, fun: Callable, x: Any) -> tuple[Any, Any]:
    """``(fun(x), its node)``, with ``x`` at ``start_node``; the node is None (and a warning given) without
    dependence."""
    level = new_level()
    end = fun(new_box(x, level, start_node))
    if isbox(end) and end._trace == level:
        return end._value, end._node
    warnings.warn("Output seems independent of input.", AutogradJitWarning, stacklevel=2)
    return end, None


def find_top_boxed_args(args: tuple) -> tuple[list, int, type | None]:
    """``([(argnum, box), ...], level, node class)`` of the innermost trace among ``args``; level -1 without
    boxes."""
    top = max([arg._trace for arg in args if isbox(arg)], default=-1)
    boxes = [(argnum, arg) for argnum, arg in enumerate(args) if isbox(arg) and arg._trace == top]
    return boxes, top, type(boxes[0][1]._node) if boxes else None


def register_notrace(node_type: type[_Node], primitive_function: Callable) -> None:
    """Declare that traces of ``node_type`` do not see ``primitive_function``: for derivatives, that it has
    none.

    >>> from autograd_jit import grad
    >>> from autograd_jit.extend import VJPNode, primitive, register_notrace
    >>> steps = primitive(lambda x: round(float(x)))
    >>> register_notrace(VJPNode, steps)
    >>> grad(lambda x: x * steps(x))(2.2)
    np.float64(2.0)
    """
    if issubclass(node_type, Node):
        notrace_primitives[node_type].add(primitive_function)
    else:
        _trace.register_notrace(node_type, primitive_function)
