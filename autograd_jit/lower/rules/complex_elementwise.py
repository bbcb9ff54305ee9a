"""Elementwise functions of complex numbers, by the steps of NumPy's loops and of the C library that they call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...numpy import elementwise as ew
from ...numpy import shaping, special_elementwise
from ...trace.tape import Op, Var
from ..builder import Builder, NoLowering
from ..graph import Literal, Operand
from ..pairs import PARTS, Pair, Whole
from .complex_table import Reals, as_pair, complex_rule_for, part_of
from .table import BOOL, as_bool, as_operand, require_native, result_type

#: a function of pairs, elementwise: reals of the result's shape, then the operands
Formula = Callable[..., Whole]

with np.errstate(all="ignore"):
    #: whether NumPy's products round once where hardware can: then 1e400 - inf is -inf, and not NaN
    _FUSES = bool(np.isneginf(np.square(np.array([1e200 + 1e200j]))[0].real))


def elementwise_rule(formula: Formula) -> Callable:
    """A rule for a ufunc: operands as pairs of the dtype that NumPy computes with."""

    def rule(b: Builder, op: Op, *args: Any, **kwargs: Any) -> Whole:
        if kwargs:
            raise NoLowering(f"the argument {next(iter(kwargs))}=")
        type_ = result_type(op)
        part = part_of(type_.dtype) if type_.dtype in PARTS else _common_part(op, args)
        operands = [as_pair(b, arg, part) for arg in args]
        return formula(Reals(b, part, type_.shape), *operands)

    return rule


def _common_part(op: Op, args: tuple) -> np.dtype:
    """The dtype of the halves that a function with real results computes with, Python's scalars weak."""
    return part_of(np.result_type(*[_kind(recorded, arg) for recorded, arg in zip(op.args, args, strict=True)]))


def _kind(recorded: Any, arg: Any) -> Any:
    """What decides on the common dtype: a dtype, or a Python scalar."""
    if isinstance(recorded, Var) and recorded.type.weak:
        return {"float": 1.0, "int": 1, "bool": True, "complex": 1j}[recorded.type.kind]
    if isinstance(arg, (bool, int, float, complex)) and not isinstance(arg, np.generic):
        return type(arg)(1)
    return arg.dtype if isinstance(arg, (Pair, np.generic)) else as_operand(arg).dtype


# ---------------------------------------------------------------- arithmetic


def _each(name: str) -> Formula:
    return lambda k, *z: k.pair(getattr(k, name)(*[x.re for x in z]), getattr(k, name)(*[x.im for x in z]))


def product(k: Reals, x: Pair, y: Pair) -> Pair:
    """``x * y``, all four products: zero times infinity is NaN."""
    across, along = k.mul(x.im, y.im), k.mul(x.im, y.re)
    if _FUSES:
        return k.pair(k.fma(x.re, y.re, k.neg(across)), k.fma(x.re, y.im, along))
    return k.pair(k.sub(k.mul(x.re, y.re), across), k.add(k.mul(x.re, y.im), along))


def _quotient(k: Reals, x: Pair, y: Pair) -> Pair:
    """Smith's: the smaller part of the divisor over the larger one comes first, so that nothing overflows."""
    re, im = k.absolute(y.re), k.absolute(y.im)
    wide = k.greater_equal(re, im)
    large, small = k.where(wide, y.re, y.im), k.where(wide, y.im, y.re)
    ratio = k.div(small, large)
    scale = k.reciprocal(k.add(large, k.mul(small, ratio)))
    first, second = k.where(wide, x.re, x.im), k.where(wide, x.im, x.re)
    scaled = k.mul(first, ratio)
    turned = k.where(wide, k.sub(second, scaled), k.sub(scaled, second))
    by_zero = k.both(k.equal(re, k.number(0)), k.equal(im, k.number(0)))
    return k.pair(
        k.where(by_zero, k.div(x.re, re), k.mul(k.add(first, k.mul(second, ratio)), scale)),
        k.where(by_zero, k.div(x.im, re), k.mul(turned, scale)),
    )


def _reciprocal(k: Reals, z: Pair) -> Pair:
    wide = k.less_equal(k.absolute(z.im), k.absolute(z.re))
    large, small = k.where(wide, z.re, z.im), k.where(wide, z.im, z.re)
    ratio = k.div(small, large)
    total = k.add(large, k.mul(small, ratio))
    one, minus = k.number(1), k.number(-1)
    re = k.div(k.where(wide, one, ratio), total)
    return k.pair(re, k.div(k.where(wide, k.neg(ratio), minus), total))


def hypotenuse(k: Reals, z: Pair) -> Operand:
    """``hypot`` in vectors: the larger part times a square root from 1 to 1.414."""
    re, im = k.absolute(z.re), k.absolute(z.im)
    large, small = k.maximum(re, im), k.minimum(re, im)
    ratio = k.div(small, large)
    size = k.mul(large, k.sqrt(k.add(k.number(1), k.square(ratio))))
    size = k.where(k.equal(large, k.number(0)), large, size)
    return k.where(k.either(k.isinf(re), k.isinf(im)), k.number(np.inf), size)


def _angle(k: Reals, z: Pair) -> Operand:
    return k.arctan2(z.im, z.re)


def _conjugate(k: Reals, z: Pair) -> Pair:
    return k.pair(z.re, k.neg(z.im))


#: whole exponents up to this are products; NumPy's loop goes to 100
_LARGEST_POWER = 16


def _power(b: Builder, op: Op, x: Any, y: Any, **kwargs: Any) -> Whole:
    """Small whole exponents by squaring, in the order of NumPy's ``npy_cpow``, which does not fuse its products."""
    exponent = _literal(y)
    if kwargs or exponent is None or exponent.imag or exponent.real % 1 or abs(exponent.real) > _LARGEST_POWER:
        raise NoLowering(f"a complex power that is no whole number up to {_LARGEST_POWER}")
    type_ = result_type(op)
    k = Reals(b, part_of(type_.dtype), type_.shape)
    z, n = as_pair(b, x, k.part), int(exponent.real)
    one, zero, nan = k.number(1), k.number(0), k.number(np.nan)
    if n == 0:
        return k.pair(one, zero)
    if n in (1, 2, 3):
        result = z
        for _ in range(n - 1):
            result = _product_in_steps(k, z, result)
    else:
        result = _repeated(k, z, abs(n))
    result = _quotient(k, Pair(one, zero), result) if n < 0 else result
    at_zero, rest = k.both(k.equal(z.re, zero), k.equal(z.im, zero)), zero if n > 0 else nan
    return k.pair(k.where(at_zero, rest, result.re), k.where(at_zero, rest, result.im))


def _repeated(k: Reals, z: Pair, n: int) -> Pair:
    """``z ** n`` for ``n > 0`` out of the powers ``z ** 1, 2, 4, ...``, multiplied up from one."""
    result = Pair(k.number(1), k.number(0))
    while n:
        result = _product_in_steps(k, result, z) if n % 2 else result
        n //= 2
        z = _product_in_steps(k, z, z) if n else z
    return result


def _product_in_steps(k: Reals, x: Pair, y: Pair) -> Pair:
    re = k.sub(k.mul(x.re, y.re), k.mul(x.im, y.im))
    return k.pair(re, k.add(k.mul(x.re, y.im), k.mul(x.im, y.re)))


def _literal(value: Any) -> complex | None:
    """A number that a rule is given, if it is the same at every run."""
    if isinstance(value, (int, float, complex, np.number)):
        return complex(value)
    if type(value) is Literal:
        return complex(value.value)
    if type(value) is Pair and type(value.re) is Literal and type(value.im) is Literal:
        return complex(value.re.value, value.im.value)
    return None


# ---------------------------------------------------------------- comparisons, parts, casts


def _equal(k: Reals, x: Pair, y: Pair) -> Operand:
    return k.both(k.equal(x.re, y.re), k.equal(x.im, y.im))


def _not_equal(k: Reals, x: Pair, y: Pair) -> Operand:
    return k.either(k.not_equal(x.re, y.re), k.not_equal(x.im, y.im))


def _predicate(name: str, combine: str) -> Formula:
    return lambda k, z: getattr(k, combine)(getattr(k, name)(z.re), getattr(k, name)(z.im))


def _where(b: Builder, op: Op, c: Any, x: Any = None, y: Any = None) -> Pair:
    type_ = result_type(op)
    k = Reals(b, part_of(type_.dtype), type_.shape)
    if type(c) is Pair:
        raise NoLowering("where with a complex condition")
    condition = as_operand(c)
    require_native(condition.dtype)
    condition = as_bool(b, condition, ())
    x, y = as_pair(b, x, k.part), as_pair(b, y, k.part)
    return k.pair(k.where(condition, x.re, y.re), k.where(condition, x.im, y.im))


def _astype(b: Builder, op: Op, x: Any, dtype: Any) -> Whole:
    dtype = np.dtype(dtype)
    if dtype in PARTS:
        return as_pair(b, x, PARTS[dtype])
    require_native(dtype)
    if dtype == BOOL:
        return _not_equal(Reals(b, x.part, x.shape), x, as_pair(b, 0.0, x.part))
    return b.cast(x.re, dtype)


def _real(b: Builder, op: Op, x: Any) -> Operand:
    return x.re


def _imag(b: Builder, op: Op, x: Any) -> Operand:
    return x.im


def _complex_of(b: Builder, op: Op, real: Any, imaginary: Any) -> Pair:
    type_ = result_type(op)
    k = Reals(b, part_of(type_.dtype), type_.shape)
    return k.pair(as_pair(b, real, k.part).re, as_pair(b, imaginary, k.part).re)


def _itself(b: Builder, op: Op, x: Any) -> Pair:
    return as_pair(b, x, part_of(result_type(op).dtype))


for _function, _formula in {
    ew.add: _each("add"),
    ew.subtract: _each("sub"),
    ew.negative: _each("neg"),
    ew.positive: _each("positive"),
    ew.multiply: product,
    ew.square: lambda k, z: product(k, z, z),
    ew.divide: _quotient,
    ew.reciprocal: _reciprocal,
    ew.absolute: hypotenuse,
    ew.angle_primitive: _angle,
    ew.conj: _conjugate,
    ew.equal: _equal,
    ew.not_equal: _not_equal,
    ew.isnan: _predicate("isnan", "either"),
    ew.isinf: _predicate("isinf", "either"),
    ew.isfinite: _predicate("isfinite", "both"),
}.items():
    complex_rule_for(_function, elementwise_rule(_formula))
complex_rule_for(ew.power, _power)
complex_rule_for(ew.where, _where)
complex_rule_for(special_elementwise.complex_of, _complex_of)
complex_rule_for(ew.real, _real)
complex_rule_for(ew.imag, _imag)
complex_rule_for(shaping._astype, _astype)
complex_rule_for(shaping._scalar_as_array, _itself)
