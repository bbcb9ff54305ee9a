"""Recurrences, sorting, searching and convolution: calls of :mod:`autograd_jit.kernels.sequences`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...kernels.numpy_functions import function_address
from ...numpy import cumulative, polynomials, reductions, sorting
from ...trace.tape import Op
from ..builder import Builder, NoLowering
from ..graph import Literal, Operand, View
from .table import BOOL, Rule, as_operand, require_native, result_type, rule_for, shadow, viewed, with_shape

_INT = np.dtype(np.int64)


def _float_operand(b: Builder, x: Any, dtype: np.dtype) -> View:
    operand = as_operand(x)
    require_native(operand.dtype, dtype)
    if dtype.kind != "f" or 0 in operand.shape:
        raise NoLowering(f"dtype {dtype.name}" if dtype.kind != "f" else "an empty array")
    return b.view(b.cast(operand, dtype))


# ---------------------------------------------------------------- recurrences


def _around(b: Builder, view: View, axis: int) -> View:
    """``view`` as (outer, along the axis, inner), copied only where its other axes do not merge."""
    shape = (math.prod(view.shape[:axis]), view.shape[axis], math.prod(view.shape[axis + 1 :]))
    base = shadow(view)
    try:
        return viewed(view, np.reshape(base, shape, copy=False), base)
    except ValueError:
        return with_shape(b.dense(view), shape)


def _cumulative(name: str) -> Rule:
    def rule(b: Builder, op: Op, x: Any, axis: int) -> Operand:
        type_ = result_type(op)
        view = _float_operand(b, x, type_.dtype)
        if not view.shape:
            raise NoLowering("a cumulative sum or product of a scalar")
        stack = _around(b, view, axis)
        (out,) = b.call(name, (stack,), ((stack.shape, type_.dtype),), stack.shape, work=view.size)
        return with_shape(out.view(), type_.shape)

    return rule


def _recurrence(b: Builder, op: Op, a: Any, terms: Any, axis: int) -> Operand:
    type_ = result_type(op)
    shape = type_.shape
    if not shape:
        raise NoLowering("a recurrence of scalars")
    views = [_float_operand(b, x, type_.dtype).broadcast(shape) for x in (a, terms)]
    first, second = [_around(b, view, axis) for view in views]
    numbers = (*first.shape, int(len(shape) == 1))
    results = ((first.shape, type_.dtype),)
    (out,) = b.call("recurrence", (first, second), results, numbers, work=math.prod(shape))
    return with_shape(out.view(), shape)


def _convolve(b: Builder, op: Op, a: Any, v: Any) -> Operand:
    type_ = result_type(op)
    longer, shorter = [_float_operand(b, x, type_.dtype) for x in (a, v)]
    if len(longer.shape) != 1 or len(shorter.shape) != 1:
        raise NoLowering("a convolution of scalars")
    if longer.size < shorter.size:
        longer, shorter = shorter, longer
    columns = tuple([View(x.value, (1, x.size, 1), (0, *x.strides, 0), x.offset) for x in (longer, shorter)])
    numbers = (1, longer.size, shorter.size)
    work = longer.size * shorter.size
    (out,) = b.call("convolve", columns, ((type_.shape, type_.dtype),), numbers, work=work)
    return out.view()


# ---------------------------------------------------------------- sorting and searching


def _rows(b: Builder, view: View, axis: int) -> tuple[View, tuple[int, ...]]:
    """Rows along an axis in dense memory, and the shape of the others."""
    others = tuple([a for a in range(len(view.shape)) if a != axis])
    base = shadow(view)
    dense = b.dense(viewed(view, np.transpose(base, (*others, axis)), base))
    count = math.prod(dense.shape[:-1])
    return with_shape(dense, (count, view.shape[axis], 1)), dense.shape[:-1]


def by_numpy(b: Builder, name: str, rows: View, result: tuple[int, ...]) -> View:
    """The result of one of NumPy's functions for each row."""
    if not function_address(name, rows.dtype):
        raise NoLowering("this NumPy does not say where its function is")
    count, n, _ = rows.shape
    work = count * n * max(n.bit_length(), 1)
    (out,) = b.call(name, (rows,), ((result, _INT),), (count, n, rows.dtype.itemsize), work=work)
    return out.view()


def _sortable(b: Builder, x: Any, axis: Any) -> tuple[View, int]:
    operand = as_operand(x)
    require_native(operand.dtype)
    view = b.view(operand)
    if axis is None:
        view, axis = with_shape(b.dense(view), (view.size,)), 0
    if not view.shape or 0 in view.shape or not isinstance(axis, (int, np.integer)):
        raise NoLowering("an empty array, or none")
    return view, int(axis) % len(view.shape)


_KINDS = {None: "quick", "quicksort": "quick", "stable": "stable", "mergesort": "stable"}


def _argsort(
    b: Builder, op: Op, x: Any, axis: Any = -1, kind: Any = None, order: Any = None, **options: Any
) -> Operand:
    if options.get("stable"):
        kind = "stable"
    if order is not None or kind not in _KINDS or set(options) - {"stable"}:
        raise NoLowering("an unusual order")
    view, axis = _sortable(b, x, axis)
    rows, others = _rows(b, view, axis)
    found = by_numpy(b, f"argsort {_KINDS[kind]}", rows, rows.shape[:2])
    whole = with_shape(found, (*others, rows.shape[1]))
    base = shadow(whole)
    return viewed(whole, np.moveaxis(base, -1, axis), base)


def _extremum(name: str) -> Rule:
    def rule(b: Builder, op: Op, x: Any, axis: Any = None, out: Any = None, **options: Any) -> Operand:
        if out is not None or set(options) - {"keepdims"}:
            raise NoLowering("an argument out=")
        view, axis = _sortable(b, x, axis)
        rows, _ = _rows(b, view, axis)
        return with_shape(by_numpy(b, name, rows, rows.shape[:1]), result_type(op).shape)

    return rule


def _searched(b: Builder, a: Any, v: Any, side: str) -> View:
    """Where the elements of ``v`` belong in the vector ``a``."""
    x, y = as_operand(a), as_operand(v)
    dtype = np.result_type(x.dtype, y.dtype)
    line, keys = _float_operand(b, x, dtype), _float_operand(b, y, dtype)
    if len(line.shape) != 1 or side not in ("left", "right"):
        raise NoLowering("an unusual search")
    flat = with_shape(b.dense(keys), (1, keys.size, 1))
    column = View(line.value, (1, line.size, 1), (0, *line.strides, 0), line.offset)
    numbers = (1, line.size, keys.size, int(side == "right"))
    results = ((keys.shape, _INT),)
    work = line.size + 8 * keys.size
    (places,) = b.call("searchsorted", (column, flat), results, numbers, work=work, may_stop=True)
    return places.view()


def _searchsorted(b: Builder, op: Op, a: Any, v: Any, side: str = "left", sorter: Any = None) -> Operand:
    if sorter is not None:
        raise NoLowering("the argument sorter=")
    return _searched(b, a, v, side)


def _piece_of(b: Builder, op: Op, knots: Any, x: Any) -> Operand:
    """The piece between knots that each ``x`` lies in, the outer ones for those outside."""
    places = _searched(b, knots, x, "right")
    shape = places.shape
    last = Literal(np.int64(as_operand(knots).shape[0] - 2), _INT)
    before = b.map("subtract", (places, Literal(np.int64(1), _INT)), _INT, shape)
    inside = b.map("maximum", (before, Literal(np.int64(0), _INT)), _INT, shape)
    return b.map("minimum", (inside, last), _INT, shape)


def _count_nonzero(b: Builder, op: Op, x: Any, axis: Any = None, **options: Any) -> Operand:
    operand = as_operand(x)
    require_native(operand.dtype)
    view = b.view(b.cast(b.cast(operand, BOOL), _INT))
    axes = range(len(view.shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    total = b.reduce("sum", view, tuple(sorted([a % len(view.shape) for a in axes]))) if view.shape else view
    return with_shape(total, result_type(op).shape)


rule_for(cumulative.cumulative_add, _cumulative("cumulative_sum"))
rule_for(cumulative.cumulative_product, _cumulative("cumulative_product"))
rule_for(cumulative.linear_recurrence, _recurrence)
rule_for(polynomials._convolve_full, _convolve)
rule_for(polynomials._piece_of, _piece_of)
rule_for(sorting.argsort, _argsort)
rule_for(sorting.searchsorted, _searchsorted)
rule_for(reductions.argmax, _extremum("argmax"))
rule_for(reductions.argmin, _extremum("argmin"))
rule_for(reductions.count_nonzero, _count_nonzero)
