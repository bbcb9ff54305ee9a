"""Elementwise functions: ufuncs, comparisons, where, casts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...numpy import elementwise as ew
from ...numpy import reductions, shaping, special_elementwise
from ...trace.tape import Op, Var
from ..builder import Builder, NoLowering
from ..graph import Literal, Operand, View
from .table import (
    BOOL,
    Rule,
    as_bool,
    as_operand,
    require_native,
    result_type,
    rule_for,
)


def _no_options(kwargs: dict) -> None:
    if kwargs:
        raise NoLowering(f"the argument {next(iter(kwargs))}=")


def arithmetic(name: str) -> Rule:
    """Operands are converted to the result's dtype, as NumPy does for these ufuncs."""

    def rule(b: Builder, op: Op, *args: Any, **kwargs: Any) -> Operand:
        if kwargs:
            _no_options(kwargs)
        type_ = result_type(op)
        dtype = type_.dtype
        for arg in args:
            if type(arg) is not View or arg.value.dtype is not _FLOAT64:
                break
        else:  # most
            if dtype is _FLOAT64:
                return b.map(name, args, dtype, type_.shape)
        operands = [as_operand(arg) for arg in args]
        if dtype is not _FLOAT64 or any([o.dtype is not dtype for o in operands]):
            require_native(dtype, *[o.dtype for o in operands])
            if dtype == BOOL or (dtype.kind == "i" and name not in _INTEGER_OPS):
                raise NoLowering(f"{name} of dtype {dtype.name}")
            if dtype.kind == "i" and type_.weak and name in _DIVISIONS:
                raise NoLowering(f"{name} of Python integers, which raises for zero")
            operands = [b.cast(o, dtype) for o in operands]
        return b.map(name, tuple(operands), dtype, type_.shape)

    return rule


_FLOAT64 = np.dtype(np.float64)  # which most operands are: they need no looking at
_INTEGER_OPS = frozenset(
    "add subtract multiply negative positive square maximum minimum absolute sign fmax fmin mod floor_divide".split()
)
_DIVISIONS = frozenset(["mod", "floor_divide"])
_NAN_AWARE = frozenset(["maximum", "minimum", "fmax", "fmin"])


def _comparison(name: str) -> Rule:
    """Operands are converted to their common dtype; the result is bool."""

    def rule(b: Builder, op: Op, *args: Any, **kwargs: Any) -> Operand:
        _no_options(kwargs)
        operands = [as_operand(arg) for arg in args]
        common = _common_dtype(op, args)
        require_native(common, *[o.dtype for o in operands])
        return b.map(name, tuple([b.cast(o, common) for o in operands]), BOOL, result_type(op).shape)

    return rule


def _common_dtype(op: Op, args: tuple) -> np.dtype:
    """NumPy's result type of the operands, Python scalars weak."""
    kinds: list[Any] = []
    for recorded, arg in zip(op.args, args, strict=True):
        if isinstance(recorded, Var) and recorded.type.weak:
            kinds.append({"float": 1.0, "int": 1, "bool": True, "complex": 1j}[recorded.type.kind])
        elif isinstance(arg, (View, Literal)):
            kinds.append(arg.dtype)
        elif isinstance(arg, (bool, float)):
            kinds.append(type(arg)(1))
        elif isinstance(arg, int):
            if abs(arg) >= 2**31:
                raise NoLowering("a comparison with a large integer")
            kinds.append(arg)
        else:
            kinds.append(arg.dtype)
    common = np.result_type(*kinds)
    if {np.dtype(k).kind if not isinstance(k, (bool, int, float, complex)) else "w" for k in kinds} >= {"i", "f"}:
        raise NoLowering("a comparison of integers with floats")
    return common


def _logical(name: str) -> Rule:
    def rule(b: Builder, op: Op, *args: Any, **kwargs: Any) -> Operand:
        _no_options(kwargs)
        operands = [as_operand(arg) for arg in args]
        type_ = result_type(op)
        require_native(*[o.dtype for o in operands])
        if (type_.dtype != BOOL or op.prim in _BITWISE) and any(o.dtype != BOOL for o in operands):
            raise NoLowering("bitwise arithmetic on integers")
        return b.map(name, tuple([as_bool(b, o, ()) for o in operands]), BOOL, type_.shape)

    return rule


def _predicate(name: str) -> Rule:
    def rule(b: Builder, op: Op, x: Any, **kwargs: Any) -> Operand:
        _no_options(kwargs)
        operand = as_operand(x)
        if operand.dtype.kind != "f":
            raise NoLowering(f"{name} of dtype {operand.dtype.name}")
        require_native(operand.dtype)
        return b.map(name, (operand,), BOOL, result_type(op).shape)

    return rule


def _where(b: Builder, op: Op, c: Any, x: Any = None, y: Any = None) -> Operand:
    if x is None or y is None:
        raise NoLowering("where with one argument")
    type_ = result_type(op)
    condition, x, y = as_operand(c), as_operand(x), as_operand(y)
    require_native(type_.dtype, condition.dtype, x.dtype, y.dtype)
    chosen = (as_bool(b, condition, ()), b.cast(x, type_.dtype), b.cast(y, type_.dtype))
    return b.map("where", chosen, type_.dtype, type_.shape)


#: whether NumPy's own ``power(x, 0.5)`` is the square root, which is another function at -0.0 and -inf; Python's is not
_POWER_TAKES_ROOT = bool(np.signbit(np.power(np.array([-0.0]), 0.5))[0])


def _power(b: Builder, op: Op, x: Any, y: Any, **kwargs: Any) -> Operand:
    """Small constant powers as NumPy's own fast paths compute them; the rest by libm's pow."""
    _no_options(kwargs)
    type_ = result_type(op)
    x, y = as_operand(x), as_operand(y)
    require_native(type_.dtype, x.dtype, y.dtype)
    if type_.dtype.kind != "f":
        if isinstance(y, Literal) and y.value == 2 and type_.dtype.kind == "i":
            return b.map("square", (b.cast(x, type_.dtype),), type_.dtype, type_.shape)
        raise NoLowering("an integer power")
    x = b.cast(x, type_.dtype)
    if isinstance(y, Literal):
        if y.value == 0.5:
            is_root = _POWER_TAKES_ROOT and type_.kind != "float"
            return b.map("sqrt", (x,), type_.dtype, type_.shape) if is_root else _square_root_power(b, x, type_)
        special = {2.0: "square", 1.0: "positive", -1.0: "reciprocal"}.get(float(y.value))
        if special is not None:
            return b.map(special, (x,), type_.dtype, type_.shape)
    return b.map("power", (x, b.cast(y, type_.dtype)), type_.dtype, type_.shape)


def _square_root_power(b: Builder, x: Operand, type_: Any) -> Operand:
    """``pow(x, 0.5)`` by sqrt, with pow's values at -0.0 (which is +0) and -inf (which is +inf)."""
    dtype, shape = type_.dtype, type_.shape
    root = b.map("add", (b.map("sqrt", (x,), dtype, shape), Literal(dtype.type(0), dtype)), dtype, shape)
    infinite = b.map("equal", (x, Literal(dtype.type(-np.inf), dtype)), BOOL, shape)
    return b.map("where", (infinite, Literal(dtype.type(np.inf), dtype), root), dtype, shape)


def _scaled(name: str, factor: float) -> Rule:
    def rule(b: Builder, op: Op, x: Any, **kwargs: Any) -> Operand:
        _no_options(kwargs)
        type_ = result_type(op)
        operand = as_operand(x)
        require_native(type_.dtype, operand.dtype)
        literal = Literal(type_.dtype.type(factor), type_.dtype)
        return b.map("multiply", (b.cast(operand, type_.dtype), literal), type_.dtype, type_.shape)

    return rule


def _astype(b: Builder, op: Op, x: Any, dtype: Any) -> Operand:
    operand, dtype = as_operand(x), np.dtype(dtype)
    require_native(operand.dtype, dtype)
    return b.cast(operand, dtype)


def _identity_of_real(b: Builder, op: Op, x: Any) -> Operand:
    operand = as_operand(x)
    require_native(operand.dtype)
    return operand


def _imag_of_real(b: Builder, op: Op, x: Any) -> Operand:
    type_ = result_type(op)
    require_native(as_operand(x).dtype, type_.dtype)
    return b.fill(Literal(type_.dtype.type(0), type_.dtype), type_.shape)


def _is_infinity(value: float) -> Rule:
    def rule(b: Builder, op: Op, x: Any, **kwargs: Any) -> Operand:
        _no_options(kwargs)
        operand = as_operand(x)
        require_native(operand.dtype)
        if operand.dtype.kind != "f":
            raise NoLowering(f"infinities of dtype {operand.dtype.name}")
        return b.map("equal", (operand, Literal(operand.dtype.type(value), operand.dtype)), BOOL, operand.shape)

    return rule


def _sinc(b: Builder, op: Op, x: Any) -> Operand:
    """``sin(pi x) / (pi x)``, 1 at 0."""
    type_ = result_type(op)
    dtype, shape = type_.dtype, type_.shape
    operand = as_operand(x)
    require_native(operand.dtype, dtype)
    angle = b.map("multiply", (b.cast(operand, dtype), Literal(dtype.type(np.pi), dtype)), dtype, shape)
    zero, one = Literal(dtype.type(0), dtype), Literal(dtype.type(1), dtype)
    quotient = b.map("divide", (b.map("sin", (angle,), dtype, shape), angle), dtype, shape)
    return b.map("where", (b.map("equal", (angle, zero), BOOL, shape), one, quotient), dtype, shape)


def _heaviside(b: Builder, op: Op, x: Any, middle: Any, **kwargs: Any) -> Operand:
    """0 below zero, 1 above, ``middle`` at zero; NaN stays."""
    _no_options(kwargs)
    type_ = result_type(op)
    dtype, shape = type_.dtype, type_.shape
    x, middle = as_operand(x), as_operand(middle)
    require_native(dtype, x.dtype, middle.dtype)
    x, middle = b.cast(x, dtype), b.cast(middle, dtype)
    zero, one = Literal(dtype.type(0), dtype), Literal(dtype.type(1), dtype)
    chosen = b.map("where", (b.map("greater", (x, zero), BOOL, x.shape), one, x), dtype, x.shape)
    chosen = b.map("where", (b.map("less", (x, zero), BOOL, x.shape), zero, chosen), dtype, x.shape)
    return b.map("where", (b.map("equal", (x, zero), BOOL, x.shape), middle, chosen), dtype, shape)


def _clip_one(b: Builder, op: Op, x: Any, bound: Any, from_below: Any) -> Operand:
    return arithmetic("maximum" if from_below else "minimum")(b, op, x, bound)


def _clip_both(b: Builder, op: Op, x: Any, lower: Any, upper: Any) -> Operand:
    return arithmetic("minimum")(b, op, arithmetic("maximum")(b, op, x, lower), upper)


_BITWISE_FUNCTIONS: tuple[Any, ...] = (ew.bitwise_and, ew.bitwise_or, ew.bitwise_xor, ew.invert)
_BITWISE = {function.primitive for function in _BITWISE_FUNCTIONS}


for _name in """multiply negative positive add subtract divide square mod fmod maximum minimum fmax fmin absolute fabs
        copysign exp exp2 expm1 log log2 log10 log1p logaddexp logaddexp2 sqrt cbrt hypot sin cos tan arcsin arccos
        arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh sign floor ceil rint trunc floor_divide
        reciprocal""".split():
    rule_for(getattr(ew, _name), arithmetic({"fabs": "absolute"}.get(_name, _name)))
for _name in "equal not_equal less less_equal greater greater_equal".split():
    rule_for(getattr(ew, _name), _comparison(_name))
for _function, _name in (
    (ew.logical_and, "and"),
    (ew.logical_or, "or"),
    (ew.logical_xor, "xor"),
    (ew.logical_not, "not"),
    (ew.bitwise_and, "and"),
    (ew.bitwise_or, "or"),
    (ew.bitwise_xor, "xor"),
    (ew.invert, "not"),
):
    rule_for(_function, _logical(_name))
for _name in "isnan isinf isfinite".split():
    rule_for(getattr(ew, _name), _predicate(_name))
rule_for(ew.where, _where)
rule_for(ew.power, _power)
rule_for(ew.float_power, _power)
rule_for(ew.rad2deg, _scaled("rad2deg", 180.0 / math.pi))
rule_for(ew.deg2rad, _scaled("deg2rad", math.pi / 180.0))
rule_for(ew.real, _identity_of_real)
rule_for(ew.imag, _imag_of_real)
rule_for(ew.isposinf, _is_infinity(math.inf))
rule_for(ew.isneginf, _is_infinity(-math.inf))
rule_for(ew.heaviside, _heaviside)
rule_for(special_elementwise.sinc, _sinc)
rule_for(ew.conj, _identity_of_real)
rule_for(shaping._astype, _astype)
rule_for(shaping._scalar_as_array, _identity_of_real)
rule_for(reductions._clip_one, _clip_one)
rule_for(reductions._clip_both, _clip_both)
rule_for(reductions.root_of_variance, arithmetic("sqrt"))
