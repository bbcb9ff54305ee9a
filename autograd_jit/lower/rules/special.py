"""Rules for ``autograd_jit.scipy.special``: SciPy's own functions by address, and sums of exponentials as loops.

Imported by :func:`autograd_jit.lower.rules.find` when a tape first holds such a function, since SciPy's special
functions take 0.4 s to import.
"""

from __future__ import annotations

from typing import Any

from ...kernels import vecmath
from ...scipy import log_sums, special
from ...trace.tape import Op
from ..builder import Builder, NoLowering
from ..graph import Literal, Operand
from .elementwise import arithmetic
from .table import BOOL, RULES, Rule, as_operand, require_native, result_type, rule_for, with_shape


def _expit(b: Builder, op: Op, x: Any, **kwargs: Any) -> Operand:
    """``1 / (1 + exp(-x))``, SciPy's own formula, at vector speed."""
    type_ = result_type(op)
    operand = as_operand(x)
    if kwargs:
        raise NoLowering(f"the argument {next(iter(kwargs))}=")
    require_native(operand.dtype, type_.dtype)
    dtype, shape = type_.dtype, type_.shape
    one = Literal(dtype.type(1), dtype)
    power = b.map("exp", (b.map("negative", (b.cast(operand, dtype),), dtype, shape),), dtype, shape)
    return b.map("divide", (one, b.map("add", (one, power), dtype, shape)), dtype, shape)


def _register_functions() -> None:
    """Elementwise functions that the kernels' maths library knows by SciPy's name."""
    known = {*vecmath.LIBM, *vecmath.SPECIAL}
    for name, function in vars(special).items():
        prim = getattr(function, "primitive", None)
        if prim is not None and prim.name == name and prim not in RULES and vecmath.canonical(name) in known:
            RULES[prim] = arithmetic(vecmath.canonical(name))
    rule_for(special.expit, _expit)


# ---------------------------------------------------------------- sums of exponentials


def _shifted(b: Builder, operand: Operand, axes: tuple[int, ...]) -> tuple[Operand, Operand, Operand]:
    """``(shift, exp(x - shift), its sum)``, axes kept; the shift is the maximum, or 0 where that is infinite."""
    view = b.view(operand)
    dtype, shape = view.dtype, view.shape
    kept = tuple([1 if axis in axes else size for axis, size in enumerate(shape)])
    largest = with_shape(b.reduce("max", view, axes), kept)
    finite = b.map("isfinite", (largest,), BOOL, kept)
    shift = b.map("where", (finite, largest, Literal(dtype.type(0), dtype)), dtype, kept)
    powers = b.map("exp", (b.map("subtract", (view, shift), dtype, shape),), dtype, shape)
    return shift, powers, with_shape(b.reduce("sum", powers, axes), kept)


def _checked(op: Op, x: Any, axes: tuple[int, ...]) -> Operand:
    operand = as_operand(x)
    type_ = result_type(op)
    if operand.dtype.kind != "f" or operand.dtype != type_.dtype or not axes or 0 in operand.shape:
        raise NoLowering("an unusual dtype or shape")
    require_native(operand.dtype)
    return operand


def _logsumexp(b: Builder, op: Op, x: Any, axes: tuple[int, ...], keepdims: bool) -> Operand:
    shift, _, total = _shifted(b, _checked(op, x, axes), axes)
    dtype, shape = shift.dtype, shift.shape
    result = b.map("add", (b.map("log", (total,), dtype, shape), shift), dtype, shape)
    return with_shape(b.view(result), result_type(op).shape)


def _log_softmax(b: Builder, op: Op, x: Any, axes: tuple[int, ...]) -> Operand:
    operand = _checked(op, x, axes)
    shift, _, total = _shifted(b, operand, axes)
    dtype = shift.dtype
    normaliser = b.map("add", (b.map("log", (total,), dtype, shift.shape), shift), dtype, shift.shape)
    return b.map("subtract", (operand, normaliser), dtype, operand.shape)


def _softmax(b: Builder, op: Op, x: Any, axes: tuple[int, ...]) -> Operand:
    """As the interpreted one: shifted by the maximum even where it is infinite (the result is NaN there)."""
    operand = b.view(_checked(op, x, axes))
    dtype, shape = operand.dtype, operand.shape
    kept = tuple([1 if axis in axes else size for axis, size in enumerate(shape)])
    largest = with_shape(b.reduce("max", operand, axes), kept)
    powers = b.map("exp", (b.map("subtract", (operand, largest), dtype, shape),), dtype, shape)
    total = with_shape(b.reduce("sum", powers, axes), kept)
    return b.map("divide", (powers, total), dtype, shape)


_register_functions()
_SUMS: tuple[tuple[Any, Rule], ...] = (
    (log_sums._logsumexp, _logsumexp),
    (log_sums._log_softmax, _log_softmax),
    (log_sums._softmax, _softmax),
)
for _function, _rule in _SUMS:
    rule_for(_function, _rule)
