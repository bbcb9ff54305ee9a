"""The differential operators for a function of one argument, which may be a container.

The argument is taken apart into leaves; floats and complex numbers, arrays of them and registered types are
boxed, every other leaf (int, bool, str, None) passes through. The function sees plain containers of boxes.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import (
    ArgumentError,
    AutogradJitWarning,
    NonScalarOutputError,
)
from . import tree
from .arguments import Refusal, require_differentiable
from .cotangent import abstract, fit, fit_tangent
from .forward import jvp_leaves
from .reverse import VJPNode, backward_pass, trace_outputs
from .tracer import BOX_TYPES, Box, concrete, new_box, new_level
from .vspace import is_differentiable, vspace

__all__ = [
    "Argument",
    "Linearisation",
    "elementwise_grad",
    "grad",
    "grad_and_aux",
    "jvp",
    "make_jvp",
    "make_vjp",
    "value_and_grad",
]

_ONE = np.float64(1.0)
_FLOAT64 = np.dtype(np.float64)
_BOX_CLASSES = Box.type_mappings
#: the differentiable kinds of dtype: floating and complex
_KINDS = "fc"


def warn_independent() -> None:
    """The warning that Autograd gives, at the line of the user's call."""
    depth, frame = 1, sys._getframe(0)
    package = __name__.rpartition(".trace.")[0]
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(package):
        frame, depth = frame.f_back, depth + 1
    warnings.warn("Output seems independent of input.", AutogradJitWarning, stacklevel=depth)


# ---------------------------------------------------------------- leaves and their gradients


class Argument:
    """A value taken apart: its leaves, and the positions of those that are differentiated."""

    __slots__ = ("leaves", "positions", "structure")

    def __init__(self, x: Any) -> None:
        self.leaves, self.structure = tree.flatten(in_floats(x))
        self.positions = [i for i, leaf in enumerate(self.leaves) if is_differentiable(leaf)]
        if len(self.positions) < len(self.leaves) or not self.leaves:
            require_differentiable(self.leaves, self.positions)

    @property
    def inputs(self) -> list:
        """The leaves that are differentiated."""
        return [self.leaves[position] for position in self.positions]

    def rebuilt(self, values: list) -> Any:
        """A value of the same structure with ``values`` as its differentiable leaves."""
        leaves = list(self.leaves)
        for position, value in zip(self.positions, values):
            leaves[position] = value
        return tree.unflatten(self.structure, leaves)

    def gradient(self, gradients: list) -> Any:
        """The gradient of this structure; leaves that are not differentiated get :func:`no_gradient`."""
        leaves = [] if len(self.positions) == len(self.leaves) else list(map(no_gradient, self.leaves))
        if not leaves:
            return tree.unflatten(self.structure, gradients)
        for position, value in zip(self.positions, gradients):
            leaves[position] = value
        return tree.unflatten(self.structure, leaves)

    def finished(self, cotangents: list, seen: tuple = ()) -> Any:
        """The gradient out of raw cotangents (None for zero): own arrays, of the leaves' type."""
        gradients = [finish(g, leaf) for g, leaf in zip(cotangents, self.inputs)]
        return self.gradient(separate(gradients, seen))


def in_floats(x: Any) -> Any:
    """An array of integers as floats: asked for a derivative by it, Autograd too takes it for a point in space."""
    value = concrete(x)
    return x.astype(_FLOAT64) if isinstance(value, np.ndarray) and value.dtype.kind in "iu" else x


def no_gradient(leaf: Any) -> Any:
    """The entry of a gradient at a leaf without derivative: zero for numbers, the leaf itself for the rest.

    Zero, so that ``p - rate * g`` over a whole tree of parameters leaves an integer setting as it is.
    """
    value = concrete(leaf)
    if isinstance(value, (bool, int, np.integer, np.bool_)):
        return type(value)(0)
    if isinstance(value, np.ndarray) and value.dtype.kind in "iub":
        return np.zeros_like(value)
    return leaf


def finish(g: Any, leaf: Any) -> Any:
    """A raw cotangent as the gradient of ``leaf``: an array for an array, a NumPy scalar for a scalar,
    writable."""
    if g is None:
        return zeros_like(leaf)
    kind = type(g)
    if type(leaf) in BOX_TYPES and leaf._node.sees_nondifferentiable:
        leaf = leaf._value
    if kind in BOX_TYPES and g._node.sees_nondifferentiable and type(leaf) not in BOX_TYPES:
        return _finish_recorded(g, leaf)
    if kind is np.ndarray:
        if type(leaf) is np.ndarray or g.ndim:
            return g if g.flags.writeable else g.copy()
        return g[()] if type(leaf) not in BOX_TYPES else g
    if type(leaf) is np.ndarray and kind not in BOX_TYPES:
        return np.asarray(g)
    if kind is float:
        return np.float64(g)
    return np.complex128(g) if kind is complex else g


def _finish_recorded(g: Any, leaf: Any) -> Any:
    """As :func:`finish` does it of plain values, where ``g`` is recorded and the leaf is plain."""
    from ..numpy.shaping import as_array_of_its_own

    is_array = isinstance(concrete(g), np.ndarray)
    if is_array == isinstance(leaf, np.ndarray) or np.ndim(concrete(g)):
        return g
    return g[()] if is_array else as_array_of_its_own(g)


def zeros_like(leaf: Any) -> Any:
    """The zero tangent of a leaf."""
    value = concrete(leaf)
    zeros = vspace(value).zeros()
    if isinstance(zeros, np.ndarray) and zeros.ndim == 0 and not isinstance(value, np.ndarray):
        return zeros[()]
    return zeros


def zeros_of(value: Any) -> Any:
    """The zero tangent of a value, containers included; leaves without derivative as in
    :func:`no_gradient`."""
    return tree.map_leaves(lambda leaf: zeros_like(leaf) if is_differentiable(leaf) else no_gradient(leaf), value)


def separate(gradients: list, others: tuple = ()) -> list:
    """Copy arrays that share memory with an earlier one or with ``others``, so that writing into one changes
    one."""
    if len(gradients) == 1 and not others:
        return gradients
    seen = {_owner(other) for other in others if type(other) is np.ndarray}
    for position, g in enumerate(gradients):
        if type(g) is np.ndarray:
            owner = _owner(g)
            if owner in seen:
                gradients[position] = g.copy()
            seen.add(owner)
    return gradients


def _owner(array: Any) -> int:
    return id(array if array.base is None else array.base)


# ---------------------------------------------------------------- reverse mode


class Linearisation:
    """A function traced at one argument: its output, and how cotangents are pulled back."""

    __slots__ = ("argument", "inputs", "nodes", "out_leaves", "out_structure")

    def __init__(self, fun: Callable, argument: Argument) -> None:
        level = new_level()
        values = argument.inputs
        self.argument = argument
        self.inputs = [VJPNode(value, (), ()) for value in values]
        boxes = [new_box(value, level, node) for value, node in zip(values, self.inputs)]
        out = fun(argument.rebuilt(boxes))
        self.nodes, self.out_leaves, self.out_structure = trace_outputs(level, out)
        if not any(node is not None for node in self.nodes):
            warn_independent()

    @property
    def out(self) -> Any:
        """The function's value."""
        return tree.unflatten(self.out_structure, list(self.out_leaves))

    def pull(self, cotangents: list) -> list:
        """The inputs' cotangents for the outputs' (None for zero)."""
        pairs = zip(self.nodes, cotangents)
        seeds = [(node, g) for node, g in pairs if node is not None and g is not None]
        return backward_pass(seeds, self.inputs)

    def gradient(self, cotangents: list, seen: tuple = ()) -> Any:
        """As :meth:`pull`, in the argument's structure."""
        return self.argument.finished(self.pull(cotangents), seen)


def _seed(node: VJPNode) -> Any:
    """The cotangent 1 of a traced output."""
    if node.dtype is _FLOAT64 and not node.shape:
        return _ONE
    return np.ones(node.shape, node.dtype)


def value_and_grad(fun: Callable, x: Any) -> tuple[Any, Any]:
    """``(fun(x), gradient)``; the plain array or scalar argument takes the short way (2 us less)."""
    box_class = _BOX_CLASSES.get(type(x))
    if box_class is None:
        return _value_and_grad_of_tree(fun, x)
    node = VJPNode(x, (), ())
    if node.shape is None or node.dtype.kind not in _KINDS:
        return _value_and_grad_of_tree(fun, x)
    level = new_level()
    out = fun(box_class(x, level, node))
    if type(out) in BOX_TYPES and out._trace == level:
        end = out._node
        if end.shape != () or end.dtype.kind != "f":
            _require_real_scalar(out)
        return out._value, finish(backward_pass([(end, _seed(end))], [node])[0], x)
    nodes, leaves, _ = trace_outputs(level, out)
    _require_one_real_scalar(leaves, out)
    if nodes[0] is None:
        warn_independent()
        return leaves[0], zeros_like(x)
    return leaves[0], finish(backward_pass([(nodes[0], _seed(nodes[0]))], [node])[0], x)


def _value_and_grad_of_tree(fun: Callable, x: Any) -> tuple[Any, Any]:
    line = Linearisation(fun, Argument(x))
    _require_one_real_scalar(line.out_leaves, line.out_leaves)
    (value,), (node,) = line.out_leaves, line.nodes
    return value, line.gradient([None if node is None else _seed(node)])


def grad(fun: Callable, x: Any) -> Any:
    """The gradient alone."""
    return value_and_grad(fun, x)[1]


_SCALAR_ONLY = "Grad only applies to real scalar-output functions. Try jacobian, elementwise_grad or holomorphic_grad. "


def _require_one_real_scalar(leaves: list, out: Any) -> None:
    if len(leaves) != 1:
        kind = type(out).__name__
        raise Refusal(
            NonScalarOutputError,
            f"{_SCALAR_ONLY}The function returned a {kind} of {len(leaves)} values; "
            f"for a value with extra outputs use grad_and_aux",
        )
    _require_real_scalar(leaves[0])


def _require_real_scalar(out: Any) -> None:
    shape, dtype = abstract(out)
    if shape is None:
        value = concrete(out)
        hint = ": is a return statement missing?" if value is None else ""
        raise Refusal(
            NonScalarOutputError,
            f"{_SCALAR_ONLY}The function returned a value of type {type(value).__name__}{hint}",
        )
    if dtype.kind == "c":
        raise Refusal(
            NonScalarOutputError,
            f"{_SCALAR_ONLY}The function returned a complex number (dtype {dtype}): "
            f"take np.real(...) or np.abs(...) of it",
        )
    if dtype.kind == "b":
        raise Refusal(NonScalarOutputError, f"{_SCALAR_ONLY}The function returned a boolean, which has no derivative")
    if int(np.prod(shape)) != 1:
        raise Refusal(
            NonScalarOutputError,
            f"{_SCALAR_ONLY}The function returned an array of shape {shape}: sum it to a scalar",
        )


def grad_and_aux(fun: Callable, x: Any) -> tuple[Any, Any]:
    """``(gradient of the first output, second output)``."""
    pair: list = []

    def checked(x: Any) -> Any:
        out = fun(x)
        if not isinstance(out, (tuple, list)) or len(out) != 2:
            raise Refusal(
                ArgumentError,
                f"The function must return a pair (value, aux), not a {type(concrete(out)).__name__}",
            )
        pair[:] = out
        return tuple(out)

    line = Linearisation(checked, Argument(x))
    first = len(tree.flatten(pair[0])[0])
    _require_one_real_scalar(line.out_leaves[:first], pair[0])
    node = line.nodes[0]
    seeds = [None if node is None else _seed(node)] + [None] * (len(line.nodes) - 1)
    return line.gradient(seeds), line.out[1]


def make_vjp(fun: Callable, x: Any) -> tuple[Callable, Any]:
    """``(vjp, fun(x))``, where ``vjp(g)`` has the structure of ``x`` and ``g`` that of the output."""
    line = Linearisation(fun, Argument(x))

    def vjp(g: Any) -> Any:
        cotangents = _leaves_of("cotangent", g, line.out_structure, line.out_leaves, fit)
        return line.gradient(cotangents, tuple(cotangents))

    return vjp, line.out


def _leaves_of(what: str, given: Any, structure: Any, like: list, bring: Callable) -> list:
    """The leaves of a tangent or cotangent that the user gave, each brought to the shape and dtype of
    ``like``'s."""
    if structure is tree.LEAF:
        leaves = [np.asarray(given) if type(given) in (list, tuple) else given]
    else:
        leaves = tree.flatten(given)[0]
    if len(leaves) != len(like):
        raise ArgumentError(f"the {what} has {len(leaves)} leaves where the function has {len(like)}")
    return [_brought(what, leaf, target, bring) for leaf, target in zip(leaves, like)]


def _brought(what: str, leaf: Any, target: Any, bring: Callable) -> Any:
    shape, dtype = abstract(target)
    if leaf is None or shape is None:
        return leaf
    if dtype.kind not in _KINDS:
        return None
    given = abstract(leaf)[0]
    if given != shape and given != ():
        raise ArgumentError(f"the {what} has shape {given}, but the value it belongs to has shape {shape}")
    return bring(leaf, shape, dtype, what)


def elementwise_grad(fun: Callable, x: Any) -> Any:
    """The derivative of each output by its own input: one pull of ones."""
    line = Linearisation(fun, Argument(x))
    for leaf in line.out_leaves:
        shape, dtype = abstract(leaf)
        if shape is not None and dtype.kind == "c":
            raise Refusal(NonScalarOutputError, "Elementwise_grad only applies to real-output functions.")
    return line.gradient(
        [None if node is None else _seed_of_any(node, leaf) for node, leaf in zip(line.nodes, line.out_leaves)]
    )


def _seed_of_any(node: VJPNode, leaf: Any) -> Any:
    return vspace(leaf).ones() if node.shape is None else _seed(node)


# ---------------------------------------------------------------- forward mode


def jvp(fun: Callable, argument: Argument, tangents: list) -> tuple[list, list, Any]:
    """``(output leaves, tangents, structure)`` for the differentiable leaves' tangents."""
    outs, out_tangents, structure = jvp_leaves(lambda boxes: fun(argument.rebuilt(boxes)), argument.inputs, tangents)
    if not any(tangent is not None for tangent in out_tangents):
        warn_independent()
    return outs, out_tangents, structure


def make_jvp(fun: Callable, x: Any) -> Callable:
    """``jvp(v) -> (fun(x), tangent)``; ``v`` has the structure of ``x``."""
    argument = Argument(x)

    def push(v: Any) -> tuple[Any, Any]:
        given = _leaves_of("tangent", v, argument.structure, argument.leaves, fit_tangent)
        tangents = [given[position] for position in argument.positions]
        outs, out_tangents, structure = jvp(fun, argument, tangents)
        finished = [_finished_tangent(t, out) for t, out in zip(out_tangents, outs)]
        return tree.unflatten(structure, outs), tree.unflatten(structure, finished)

    return push


def _finished_tangent(tangent: Any, out: Any) -> Any:
    if tangent is None:
        return zeros_like(out) if is_differentiable(out) else no_gradient(out)
    return finish(tangent, out)
