"""Fourier transforms along one axis: of many rows by our own passes, else by NumPy's loops; with NumPy's factors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...kernels.fourier import WORK, lane_count, workspace
from ...kernels.fourier_tables import Kind, passes, plan, tables
from ...kernels.numpy_fourier import loop
from ...numpy import fft
from ...trace.tape import Op
from ..builder import Builder, NoLowering
from ..graph import Operand, View
from ..pairs import PARTS, Pair, Whole, halves, storage, stored
from .complex_table import as_pair, complex_rule_for, part_of
from .table import Rule, as_operand, require_native, result_type, rule_for, shadow, viewed

_INT = np.dtype(np.int64)
_KINDS = {"fft": Kind.FORWARD, "ifft": Kind.BACKWARD, "rfft_n_even": Kind.OF_REALS, "irfft": Kind.TO_REALS}
#: beyond it the memory of a vector's worth of rows leaves the cache, and NumPy's loops are about as fast
_MOST_POINTS = 16384


def _scale(n: int, norm: str | None, forward: bool, part: np.dtype, has_loop: bool) -> np.ndarray:
    """What a transform of ``n`` points is multiplied by, as NumPy computes it; the transform has its dtype.

    That is single precision where NumPy has a loop of just these types: not for a factor of one, which is an integer,
    nor for an operand that must be cast."""
    if norm != "ortho" and forward != (norm == "forward"):
        return np.ones((), np.float64)
    factor = np.reciprocal(np.sqrt(n, dtype=part) if norm == "ortho" else n, dtype=part)
    return factor if has_loop else factor.astype(np.float64)


def _transform(b: Builder, op: Op, name: str, view: View, axis: int, scale: np.ndarray) -> Whole:
    """Transform ``view`` (reals, or the real halves of complex numbers) along an axis."""
    type_ = result_type(op)
    part = view.dtype
    if not loop(name, part)[0]:
        raise NoLowering("this NumPy does not say where its transforms are")
    if 0 in view.shape:
        raise NoLowering("a transform of an empty array")
    rows, stack = _stacked(view, axis)
    calls, points, inner = stack.shape
    shape, dtype = storage(type_.shape, type_.dtype)[0], part
    wide = 2 if type_.dtype in PARTS else 1
    m = type_.shape[axis]
    steps = (m * wide, wide, 0) if rows else (wide, inner * wide, m * inner * wide)
    numbers = (calls, inner, points, m, part.itemsize, *steps)
    args, results = [stack, _array(b, scale)], [(shape, dtype), ((WORK,), _INT)]
    kind = _kind(name, points, m)
    if kind is not None and inner >= _fewest_rows(part, rows):
        n = max(points, m)
        name += " of rows"
        args += [_array(b, tables(kind, n).astype(part)), _array(b, plan(kind, n))]
        results.append(((workspace(n, part),), part))
    work = 5 * calls * inner * points * max(points.bit_length(), 1)
    out, *_ = b.call(f"fourier {name}", tuple(args), tuple(results), numbers, work=work)
    if type_.dtype in PARTS:
        return as_pair(b, halves(out.view()), PARTS[type_.dtype])
    return b.cast(out.view(), type_.dtype)


def _kind(name: str, points: int, m: int) -> Kind | None:
    """What our own passes have to do, from ``points`` to ``m``; None where NumPy's loop is called."""
    n = max(points, m)
    kind = _KINDS.get(name)
    if kind is None or not 1 < n <= _MOST_POINTS:
        return None
    if kind == Kind.TO_REALS and (n % 2 or points != n // 2 + 1):
        return None
    return None if passes(n // 2 if kind >= Kind.OF_REALS else n) is None else kind


def _fewest_rows(part: np.dtype, along_points: bool) -> int:
    """Half of the lanes pay, where the points of a row lie side by side in the result; else rows fill whole vectors."""
    return max(lane_count(part) // 2, 2) if along_points else lane_count(part)


def _array(b: Builder, array: np.ndarray) -> View:
    """A constant in memory, of three axes as operands of calls have them."""
    view = b.view(b.constant(array))
    return View(view.value, (1, 1, 1), (0, 0, 0), view.offset)


def _stacked(view: View, axis: int) -> tuple[bool, View]:
    """``view`` as (calls, points, rows of one call), and whether it is one call for all that lies before the axis."""
    before, n, after = math.prod(view.shape[:axis]), view.shape[axis], math.prod(view.shape[axis + 1 :])
    base = shadow(view)
    merged = viewed(view, np.reshape(base, (before, n, after), copy=False), base)
    if after > 1:
        return False, merged
    outer, along, _ = merged.strides
    return True, View(view.value, (1, n, before), (0, along, outer), merged.offset)


def _real_half(b: Builder, x: Any, part: np.dtype, axis: int) -> View:
    """The real half of a complex operand in memory that a call can be given: the imaginary one lies beside it."""
    whole = stored(b, as_pair(b, x, part))
    half = b.view(halves(whole).re)
    try:
        _stacked(half, axis)
    except ValueError:
        half = b.view(halves(b.dense(whole)).re)
    return half


def _complex(name: str) -> Rule:
    def rule(b: Builder, op: Op, x: Any, axis: int, norm: str | None) -> Whole:
        type_ = result_type(op)
        scale = _scale(type_.shape[axis], norm, name == "fft", part_of(type_.dtype), isinstance(x, Pair))
        return _transform(b, op, name, _real_half(b, x, scale.dtype, axis), axis, scale)

    return rule


def _of_reals(b: Builder, op: Op, x: Any, axis: int, norm: str | None) -> Whole:
    operand: Operand = as_operand(x)
    require_native(operand.dtype)
    n = operand.shape[axis]
    scale = _scale(n, norm, True, part_of(result_type(op).dtype), has_loop=True)
    view = b.view(b.cast(operand, scale.dtype))
    try:
        _stacked(view, axis)
    except ValueError:
        view = b.dense(view)
    return _transform(b, op, "rfft_n_odd" if n % 2 else "rfft_n_even", view, axis, scale)


def _to_reals(b: Builder, op: Op, x: Any, n: int, axis: int, norm: str | None) -> Whole:
    require_native(result_type(op).dtype)
    scale = _scale(n, norm, False, result_type(op).dtype, isinstance(x, Pair))
    return _transform(b, op, "irfft", _real_half(b, x, scale.dtype, axis), axis, scale)


for _function, _rule in (
    (fft.complex_fft, _complex("fft")),
    (fft.complex_ifft, _complex("ifft")),
    (fft.real_fft, _of_reals),
    (fft.real_ifft, _to_reals),
):
    rule_for(_function, _rule)
    complex_rule_for(_function, _rule)
