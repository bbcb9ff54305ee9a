"""Builds a kernel graph node by node: casts, broadcasts, common subexpressions, exact algebra."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trace.tape import Guard
from .graph import (
    Call,
    Check,
    CopyStep,
    Gemm,
    Graph,
    Init,
    Literal,
    Map,
    Node,
    Operand,
    Piece,
    Reduce,
    Value,
    View,
    dense_strides,
)

__all__ = ["Builder", "NoLowering", "is_native"]

#: dtypes that kernels compute with; everything else is left to Python steps
NATIVE = frozenset(map(np.dtype, (np.float64, np.float32, np.int64, np.int32, np.bool_)))
_BOOL = np.dtype(np.bool_)


class NoLowering(Exception):
    """A primitive call has no native form; the message says why."""


def is_native(dtype: np.dtype) -> bool:
    return dtype in NATIVE


class Builder:
    """Appends nodes to a graph; equal computations share a value.

    ``calls_gemv``: whether a large product with a vector is BLAS's. Else it is a loop with a reduction.
    """

    def __init__(self, calls_gemv: bool = True) -> None:
        self.calls_gemv = calls_gemv
        self.graph = Graph()
        self._count = 0
        self._known: dict[Any, Value] = {}
        self._literals: dict[Value, Literal] = {}  # values that hold one literal
        self.made_by: dict[Value, Call] = {}  # the call that computes a value

    def known(self) -> Any:
        """What is computed so far, for :meth:`restore`."""
        return dict(self._known), dict(self._literals), dict(self.made_by)

    def restore(self, known: Any) -> None:
        """Forget what has been computed since, without taking it out of the graph."""
        self._known, self._literals, self.made_by = known

    # ---------------------------------------------------------------- values

    def new_value(self, shape: tuple[int, ...], dtype: np.dtype) -> Value:
        self._count += 1
        return Value(self._count, shape if type(shape) is tuple else tuple(shape), dtype)

    def input(self, shape: tuple[int, ...], dtype: np.dtype) -> View:
        value = self.new_value(shape, dtype)
        self.graph.inputs.append(value)
        return value.view()

    def constant(self, array: np.ndarray) -> Operand:
        """An array constant; one element, or one float throughout, becomes a literal (broadcast where needed)."""
        if is_native(array.dtype) and (array.size == 1 or _is_uniform(array)):
            literal = Literal(array.flat[0], array.dtype)
            return literal if array.ndim == 0 else self.fill(literal, array.shape)
        value = self.new_value(array.shape, array.dtype)
        self.graph.constants[value] = np.ascontiguousarray(array)
        return value.view()

    def fill(self, literal: Literal, shape: tuple[int, ...]) -> View:
        """A literal as a view of a given shape."""
        return self.view(literal).broadcast(shape)

    def interleaved(self, real: View, imaginary: View) -> View:
        """Halves of complex numbers as NumPy keeps them, with an axis of two at the end; copied where they are not."""
        shape = (*real.shape, 2)
        if imaginary == real._replace(offset=real.offset + 1):
            return View(real.value, shape, (*real.strides, 1), real.offset)
        key = ("interleaved", real, imaginary)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self.assemble(shape, real.dtype, None)
            strides = dense_strides(shape)[:-1]
            self.piece(View(known, real.shape, strides, 0), real, add=False)
            self.piece(View(known, real.shape, strides, 1), imaginary, add=False)
        return known.view()

    def view(self, operand: Operand) -> View:
        """An operand as a view (a literal is put into a buffer)."""
        if isinstance(operand, View):
            return operand
        key = ("literal", operand.dtype, operand.bits)
        value = self._node(key, lambda out: Map("copy", (operand,), out), (), operand.dtype)
        self._literals[value] = operand
        return value.view()

    def _node(self, key: Any, make: Any, shape: tuple[int, ...], dtype: np.dtype) -> Value:
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self.new_value(shape, dtype)
            self.graph.nodes.append(make(known))
        return known

    # ---------------------------------------------------------------- elementwise

    def cast(self, operand: Operand, dtype: np.dtype) -> Operand:
        """``operand`` converted to ``dtype``; constants are converted once and for all."""
        if operand.dtype == dtype:
            return operand
        if isinstance(operand, Literal):
            return Literal(np.asarray(operand.value).astype(dtype)[()], dtype)
        if operand.value in self._literals:
            return self.fill(self.cast(self._literals[operand.value], dtype), operand.shape)  # type: ignore[arg-type]
        if operand.value in self.graph.constants and operand.is_dense and is_native(dtype):
            array = self.graph.constants[operand.value].reshape(operand.shape)
            return self._cast_constant(operand.value, array, dtype)
        if not (is_native(operand.dtype) and is_native(dtype)):
            raise NoLowering(f"dtype {operand.dtype.name if is_native(dtype) else dtype.name}")
        return self.map("cast", (operand,), dtype, operand.shape)

    def convert(self, operand: Operand, dtype: np.dtype) -> Operand:
        """As :meth:`cast`; what kernels cannot convert, NumPy does."""
        if is_native(operand.dtype) or operand.dtype == dtype:
            return self.cast(operand, dtype)
        view = self.view(operand)
        key = ("convert", _key(view), dtype)
        return self._node(key, lambda out: CopyStep(view, out), view.shape, dtype).view()

    def _cast_constant(self, value: Value, array: np.ndarray, dtype: np.dtype) -> Operand:
        key = ("constant", value, array.shape, dtype)
        if key not in self._known:
            operand = self.constant(array.astype(dtype))
            self._known[key] = self.view(operand).value
            return operand
        return View(self._known[key], array.shape, dense_strides(array.shape), 0)

    def map(self, op: str, args: tuple[Operand, ...], dtype: np.dtype, shape: tuple[int, ...]) -> Operand:
        """``op`` elementwise over ``shape``; operands must already have the dtypes that ``op`` computes with."""
        if op == "gather":
            return self._gather(args, dtype, shape)
        literals = self._literals
        if literals:
            args = tuple([literals.get(arg.value, arg) if type(arg) is View else arg for arg in args])
        if op in _SIMPLER and (type(args[-1]) is Literal or type(args[0]) is Literal or op == "positive"):
            simple = _simplify(op, args)
            if simple is not None and simple.dtype == dtype and simple.shape == shape:
                return simple
        if op == "copy" and type(args[0]) is Literal:
            return args[0] if shape == () else self.fill(args[0], shape)
        fitted: list[Operand] = []
        key: list[Any] = [op, shape, dtype]
        for arg in args:
            if type(arg) is View and arg.shape != shape:
                arg = arg.broadcast(shape)
            fitted.append(arg)
            key.append(arg.value if type(arg) is View and arg is arg.value._whole else arg.key)
        return self._map(tuple(key), op, tuple(fitted), dtype, shape)

    def _gather(self, args: tuple[Operand, ...], dtype: np.dtype, shape: tuple[int, ...]) -> Operand:
        """The elements of a view at positions; the position is an operand with an element for each lane."""
        view, position = self.view(args[0]).broadcast(shape), self.view(args[1]).broadcast(shape)
        return self._map(("gather", view, position, shape, dtype), "gather", (view, position), dtype, shape)

    def _map(self, key: Any, op: str, args: tuple[Operand, ...], dtype: np.dtype, shape: tuple[int, ...]) -> View:
        value = self._known.get(key)
        if value is None:
            self._count += 1
            value = self._known[key] = Value(self._count, shape, dtype)
            self.graph.nodes.append(Map(op, args, value))
        return value.view()

    def dense(self, operand: Operand) -> View:
        """``operand`` as a whole row-major buffer, copied if it is not one."""
        view = self.view(operand)
        if view.is_dense:
            return View(view.value, view.shape, dense_strides(view.shape), 0)
        key = ("copy", _key(view))
        copy = self._copy if is_native(view.dtype) else CopyStep
        return self._node(key, lambda out: copy(view, out), view.shape, view.dtype).view()

    def _copy(self, view: View, out: Value) -> Node:
        return Map("copy", (view,), out)

    # ---------------------------------------------------------------- the rest

    def reduce(self, op: str, arg: Operand, axes: tuple[int, ...]) -> View:
        """Reduce over ``axes``; the result lacks them."""
        view = self.view(arg)
        shape = tuple([size for axis, size in enumerate(view.shape) if axis not in axes])
        key = ("reduce", op, _key(view), axes)
        return self._node(key, lambda out: Reduce(op, view, axes, out), shape, view.dtype).view()

    def gemm(self, left: View, right: View) -> View:
        shape = (left.shape[0], left.shape[1], right.shape[2])
        key = ("gemm", _key(left), _key(right))
        return self._node(key, lambda out: Gemm(left, right, out), shape, left.dtype).view()

    def call(
        self,
        routine: str,
        args: tuple[View, ...],
        results: tuple[tuple[tuple[int, ...], Any], ...],
        numbers: tuple[int, ...],
        *,
        work: int,
        may_stop: bool = False,
    ) -> tuple[Value, ...]:
        """A native routine; ``results``: shape and dtype of each."""
        key = ("call", routine, args, numbers)
        known = self.find_call(routine, args, numbers)
        if known is not None:
            return known.results
        values = tuple([self.new_value(shape, np.dtype(dtype)) for shape, dtype in results])
        node = Call(routine, args, numbers, values, may_stop, work)
        self.graph.nodes.append(node)
        self._known[key] = values[0]
        self.made_by.update(dict.fromkeys(values, node))
        return values

    def find_call(self, routine: str, args: tuple[View, ...], numbers: tuple[int, ...]) -> Call | None:
        """The call of a routine with these operands, if there has been one."""
        known = self._known.get(("call", routine, args, numbers))
        return None if known is None else self.made_by[known]

    def assemble(self, shape: tuple[int, ...], dtype: np.dtype, source: Operand | None) -> Value:
        """A buffer to be written piece by piece (see :meth:`piece`)."""
        out = self.new_value(shape, dtype)
        self.graph.nodes.append(Init(out, source))
        return out

    def piece(self, region: View, arg: Operand, add: bool, position: Operand | None = None) -> None:
        """Store ``arg`` into (or add it to) a region, at element offsets ``position`` if given."""
        fitted = arg if isinstance(arg, Literal) else arg.broadcast(region.shape)
        at = None if position is None else self.view(position).broadcast(region.shape)
        self.graph.nodes.append(Piece(region, fitted, add, at))

    def check(self, operand: Operand, expected: object, guard: Guard, number: int = -1) -> None:
        """Guard a value; ``number``: of the tape's guard, or -1 for a condition of this package's own."""
        view = self.dense(operand)
        content = np.ascontiguousarray(np.asarray(expected, view.dtype)).tobytes()
        key = ("check", view, content, number)
        if number < -1 and key in self._known:  # both halves of complex numbers are looked up alike
            return
        self._known[key] = view.value
        self.graph.nodes.append(Check(view, content, guard, number))


def _is_uniform(array: np.ndarray) -> bool:
    """Whether all elements are the same float, bit for bit: what `grad` makes of the cotangent of a sum."""
    if array.size == 0 or array.dtype.kind != "f":
        return False
    bits = array.reshape(-1).view(f"i{array.dtype.itemsize}")
    return bool(bits[-1] == bits[0] and (bits == bits[0]).all())


def _key(operand: Operand) -> Any:
    return (operand.dtype, operand.bits) if type(operand) is Literal else operand


def _is_literal(operand: Operand, number: float) -> bool:
    return isinstance(operand, Literal) and operand.dtype != _BOOL and operand.value == number


#: what _simplify may do away with
_SIMPLER = frozenset(["multiply", "divide", "subtract", "positive"])


def _simplify(op: str, args: tuple[Operand, ...]) -> Operand | None:
    """An operand that equals the result exactly, for every value including NaN, infinities and signed zeros."""
    if op == "multiply":
        if _is_literal(args[1], 1):
            return args[0]
        if _is_literal(args[0], 1):
            return args[1]
    if op == "divide" and _is_literal(args[1], 1):
        return args[0]
    if op == "subtract" and _is_literal(args[1], 0) and not np.signbit(args[1].value):  # type: ignore[union-attr,arg-type]
        return args[0]
    if op == "positive":
        return args[0]
    return None
