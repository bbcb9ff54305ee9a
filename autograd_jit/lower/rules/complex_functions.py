"""Exponentials, logarithms, roots and trigonometry of complex numbers, by the formulas of the C library.

NumPy calls ``cexp``, ``clog``, ``csqrt``, ``csinh``, ... Their values at infinities, NaN and signed zeros are those of
C99's Annex G; what overflows on the way only is scaled, as glibc does it. (``log1p`` has no rule:
NumPy takes the logarithm of ``1 + z``, and near zero nothing but its rounding errors is left to agree with.)
"""

from __future__ import annotations

import math

import numpy as np

from ...numpy import elementwise as ew
from ..graph import Literal, Operand
from ..pairs import Pair
from .complex_elementwise import elementwise_rule, hypotenuse
from .complex_table import Reals, complex_rule_for

#: largest whole number whose exponential a dtype holds, as the C library has it
_LARGEST = {np.dtype(np.float64): 709.0, np.dtype(np.float32): 88.0}


# ---------------------------------------------------------------- exponentials


def _times_exponential(k: Reals, x: Operand, factors: tuple[Operand, ...], start: float = 1.0) -> list[Operand]:
    """``start * exp(x) * factor`` for each factor, which overflows only where that does; infinite for ``x = inf``.

    A ``start`` other than 1 is for large ``x`` only."""
    step = k.number(_LARGEST[k.part])
    growth = np.exp(k.part.type(step.value))
    rest = x
    for by in (growth * k.part.type(start), growth):
        large = k.greater(rest, step)
        factors = tuple([k.where(large, k.mul(factor, k.number(by)), factor) for factor in factors])
        rest = k.where(large, k.sub(rest, step), rest)
    size = k.exp(k.where(k.greater(rest, step), step, rest))
    size = k.where(k.equal(x, k.number(np.inf)), x, size)
    return [k.mul(size, factor) for factor in factors]


def _exponential(k: Reals, z: Pair) -> Pair:
    zero = k.number(0)
    first, second = _times_exponential(k, z.re, (k.cos(z.im), k.sin(z.im)))
    second = k.where(k.equal(z.im, zero), z.im, second)
    infinite, vanishes = [k.equal(z.re, k.number(end)) for end in (np.inf, -np.inf)]
    unknown = k.where(infinite, z.re, k.where(vanishes, zero, first))
    unknown_too = k.where(vanishes, k.copysign(zero, z.im), second)
    turns = k.isfinite(z.im)
    return k.pair(k.where(turns, first, unknown), k.where(turns, second, unknown_too))


def _scaled(z: Pair, factor: Literal, k: Reals) -> Pair:
    return k.pair(k.mul(z.re, factor), k.mul(z.im, factor))


def _expm1(k: Reals, z: Pair) -> Pair:
    """NumPy's own, which does not lose the difference of ``exp(re) * cos(im)`` and one."""
    half = k.sin(k.div(z.im, k.number(2)))
    re = k.sub(k.mul(k.expm1(z.re), k.cos(z.im)), k.mul(k.mul(k.number(2), half), half))
    return k.pair(re, k.mul(k.exp(z.re), k.sin(z.im)))


# ---------------------------------------------------------------- logarithms and roots


def _logarithm(k: Reals, z: Pair) -> Pair:
    return k.pair(_log_of_modulus(k, z), k.arctan2(z.im, z.re))


def _log_of_modulus(k: Reals, z: Pair) -> Operand:
    """``log(abs(z))``. Near one by ``log1p(re^2 + im^2 - 1) / 2``, whose argument is added up without rounding
    errors; at the ends of the range by a scaled number."""
    info = np.finfo(k.part.type)
    re, im = k.absolute(z.re), k.absolute(z.im)
    large, small = k.maximum(re, im), k.minimum(re, im)
    bits = info.maxexp // 2
    shrink, grow = k.number(2.0**-bits), k.number(2.0**bits)
    one = k.number(1)
    huge, tiny = k.greater(large, grow), k.less(large, shrink)
    scale = k.where(huge, shrink, k.where(tiny, grow, one))
    shift = k.number(bits * math.log(2))
    moved = k.where(huge, shift, k.where(tiny, k.neg(shift), k.number(0)))
    general = k.add(k.log(hypotenuse(k, Pair(k.mul(re, scale), k.mul(im, scale)))), moved)
    first, second = k.square(large), k.square(small)
    lost = k.add(k.fma(large, large, k.neg(first)), k.fma(small, small, k.neg(second)))
    less_one = k.sub(first, one)
    total = k.add(less_one, second)
    error = k.sub(second, k.sub(total, less_one))
    excess = k.add(total, k.add(error, lost))
    near = k.both(k.less(large, k.number(2)), k.greater_equal(k.add(first, second), k.number(0.5)))
    near = k.both(near, k.greater_equal(large, k.number(0.5)))
    return k.where(near, k.mul(k.number(0.5), k.log1p(excess)), general)


def _root(k: Reals, z: Pair) -> Pair:
    """``sqrt((abs(z) + abs(re)) / 2)`` is one part, ``im`` over twice that the other."""
    info = np.finfo(k.part.type)
    zero, half, infinity = k.number(0), k.number(0.5), k.number(np.inf)
    size = k.maximum(k.absolute(z.re), k.absolute(z.im))
    bits = info.nmant // 2 + 1  # a power of four brings the smallest numbers into range
    huge, tiny = k.greater(size, k.number(info.max / 4)), k.less(size, k.number(info.tiny * 4.0**bits))
    scale = k.where(huge, k.number(0.25), k.where(tiny, k.number(4.0**bits), k.number(1)))
    back = k.where(huge, k.number(2), k.where(tiny, k.number(2.0**-bits), k.number(1)))
    re, im = k.absolute(k.mul(z.re, scale)), k.absolute(k.mul(z.im, scale))
    long = k.sqrt(k.mul(half, k.add(hypotenuse(k, Pair(re, im)), re)))
    short = k.where(k.equal(long, zero), zero, k.mul(half, k.div(im, long)))
    long, short = k.mul(long, back), k.mul(short, back)
    right = k.greater_equal(z.re, zero)
    first, second = k.where(right, long, short), k.copysign(k.where(right, short, long), z.im)
    unknown = k.not_equal(z.im, z.im)
    left_end, right_end = k.equal(z.re, k.neg(infinity)), k.equal(z.re, infinity)
    first = k.where(left_end, k.where(unknown, z.im, zero), k.where(right_end, infinity, first))
    at_end = k.where(unknown, z.im, k.copysign(zero, z.im))
    second = k.where(left_end, k.copysign(infinity, z.im), k.where(right_end, at_end, second))
    upright = k.isinf(z.im)
    return k.pair(k.where(upright, infinity, first), k.where(upright, z.im, second))


# ---------------------------------------------------------------- hyperbolic functions and trigonometry


def _grown(k: Reals, z: Pair) -> tuple[Operand, Operand, Operand, Operand]:
    """Hyperbolic cosine of ``re`` times cosine and sine of ``im``, and its hyperbolic sine times these."""
    cosine, sine = k.cos(z.im), k.sin(z.im)
    size = k.absolute(z.re)
    large = k.greater(size, k.number(_LARGEST[k.part]))
    grown = _times_exponential(k, size, (cosine, sine), 0.5)
    even, odd = k.cosh(z.re), k.sinh(z.re)
    signed = [k.mul(k.copysign(k.number(1), z.re), x) for x in grown]
    return (
        k.where(large, grown[0], k.mul(even, cosine)),
        k.where(large, grown[1], k.mul(even, sine)),
        k.where(large, signed[0], k.mul(odd, cosine)),
        k.where(large, signed[1], k.mul(odd, sine)),
    )


def _sinh(k: Reals, z: Pair) -> Pair:
    _, im, re, _ = _grown(k, z)
    lost = k.not_(k.isfinite(z.im))
    re = k.where(k.both(lost, k.equal(z.re, k.number(0))), z.re, re)
    re = k.where(k.both(lost, k.isinf(z.re)), k.number(np.inf), re)
    return k.pair(re, k.where(k.equal(z.im, k.number(0)), z.im, im))


def _cosh(k: Reals, z: Pair) -> Pair:
    re, _, _, im = _grown(k, z)
    zero, lost = k.number(0), k.not_(k.isfinite(z.im))
    im = k.where(k.both(lost, k.equal(z.re, zero)), zero, im)
    re = k.where(k.both(lost, k.isinf(z.re)), k.number(np.inf), re)
    on_axis = k.where(k.isnan(z.re), z.im, k.mul(k.copysign(k.number(1), z.re), z.im))
    return k.pair(re, k.where(k.equal(z.im, zero), on_axis, im))


def _tanh(k: Reals, z: Pair) -> Pair:
    """``sinh(re) cosh(re)`` and ``sin(im) cos(im)``, both over ``sinh(re)^2 + cos(im)^2``; far out ``1`` and
    ``4 sin(im) cos(im) exp(-2 abs(re))``."""
    zero, one = k.number(0), k.number(1)
    limit = k.number(math.floor((np.finfo(k.part.type).maxexp - 1) * math.log(2) / 2))
    cosine, sine, size = k.cos(z.im), k.sin(z.im), k.absolute(z.re)
    far = k.greater(size, limit)
    within = k.where(far, zero, z.re)
    odd, turned = k.sinh(within), k.mul(sine, cosine)
    square = k.add(k.square(odd), k.square(cosine))
    decay = k.exp(k.mul(k.number(-2), k.minimum(k.sub(size, limit), limit)))
    end = k.mul(k.mul(k.mul(k.number(4), turned), k.exp(k.mul(k.number(-2), limit))), decay)
    re = k.where(far, k.copysign(one, z.re), k.div(k.mul(odd, k.cosh(within)), square))
    im = k.where(far, end, k.div(turned, square))
    infinite, lost = k.isinf(z.re), k.not_(k.isfinite(z.im))
    flat = k.either(lost, k.less_equal(k.absolute(z.im), one))
    im = k.where(infinite, k.copysign(zero, k.where(flat, z.im, turned)), im)
    on_axis = k.equal(z.im, zero)
    re = k.where(k.both(lost, k.not_(infinite)), k.where(k.equal(z.re, zero), z.re, k.number(np.nan)), re)
    return k.pair(re, k.where(on_axis, z.im, im))


def _turned(k: Reals, z: Pair) -> Pair:
    """``1j * z``."""
    return Pair(k.neg(z.im), z.re)


def _turned_back(k: Reals, z: Pair) -> Pair:
    return k.pair(z.im, k.neg(z.re))


def _sin(k: Reals, z: Pair) -> Pair:
    result = _turned_back(k, _sinh(k, _turned(k, z)))
    lost = k.both(k.not_(k.isfinite(z.re)), k.isinf(z.im))
    return k.pair(result.re, k.where(lost, k.number(np.inf), result.im))


for _function, _formula in {
    ew.exp: _exponential,
    ew.exp2: lambda k, z: _exponential(k, _scaled(z, k.number(math.log(2)), k)),
    ew.expm1: _expm1,
    ew.log: _logarithm,
    ew.log2: lambda k, z: _scaled(_logarithm(k, z), k.number(math.log2(math.e)), k),
    ew.log10: lambda k, z: _scaled(_logarithm(k, z), k.number(math.log10(math.e)), k),
    ew.sqrt: _root,
    ew.sinh: _sinh,
    ew.cosh: _cosh,
    ew.tanh: _tanh,
    ew.sin: _sin,
    ew.cos: lambda k, z: _cosh(k, _turned(k, z)),
    ew.tan: lambda k, z: _turned_back(k, _tanh(k, _turned(k, z))),
}.items():
    complex_rule_for(_function, elementwise_rule(_formula))
