"""Elementary functions as formulas for `vector_functions`: what kernels call where there is no libmvec.

    log(2**k m)   k log 2 + 2 s + s**3 P(s**2),  s = (m - 1) / (m + 1),  m in [1/sqrt 2, sqrt 2)
    exp(x)        2**k (1 + r + r**2 P(r)),  r = x - k log 2
    sin, cos      r + r**3 P(r**2)  and  1 - r**2 / 2 + r**4 P(r**2),  r = x - k pi/2,  by k modulo 4
    tanh(x)       x + x**3 P(x**2)  up to 0.55,  1 - 2 / (exp(2 x) + 1)  above

P are polynomials that `tests/kernels/fit_vector_functions.py` defines. `wide` asks for the precision of float64;
without it that of float32 is enough, in double precision.
"""

from __future__ import annotations

import math
from typing import Final

from .vector_coefficients import HALF_PI, LOG2_E, LOG10_E, LOG_2, POLYNOMIALS
from .vector_expressions import Value, fast_two_sum, fma, polynomial, select, two_sum

__all__ = [
    "at_most", "cos", "cosh", "exp", "exp2", "exp_of_sum", "expm1", "fitted", "log", "log1p", "log2", "log10",
    "log_parts", "mantissa_and_exponent", "power_of_two", "sin", "sinh", "tan", "tanh", "times_power_of_two",
]  # fmt: skip

_ROOT_HALF_BITS: Final = 0x3FE6A09E667F3BCD  # of sqrt(1/2), rounded up
# 1.5 * 2**52 added as a bit pattern: a small integer becomes a double without a conversion, which only AVX-512 has.
_INTEGER: Final = 1.5 * 2.0**52
_INTEGER_BITS: Final = 0x4338000000000000



def fitted(name: str, x: Value, wide: bool) -> Value:
    """A polynomial out of the table."""
    return polynomial(x, POLYNOMIALS[name][0 if wide else 1])


def mantissa_and_exponent(x: Value) -> tuple[Value, Value]:
    """`m` from sqrt(1/2) to sqrt(2) and a whole number `k` (as a double), where `x = 2**k m` is positive and normal."""
    bits = x.converted("bitcast", "i64")
    exponent = (bits - _ROOT_HALF_BITS) >> 52
    m = (bits - (exponent << 52)).converted("bitcast", "double")
    return m, (exponent + _INTEGER_BITS).converted("bitcast", "double") - _INTEGER


def log_parts(x: Value, wide: bool) -> tuple[Value, Value]:
    """The logarithm of a positive normal number, and about what that lacks of the exact one; 0 for float32."""
    m, k = mantissa_and_exponent(x)
    f, sum_ = m - 1.0, m + 1.0
    inverse = 1.0 / sum_
    s = f * inverse
    square = s * s
    tail = square * s * fitted("log", square, wide)
    if not wide:
        high = fma(k, math.log(2), 2.0 * s + tail)
        return high, high.constant(0.0)
    # What the rounded s lacks of f / sum_, and sum_ of m + 1.
    rest = fma(-s, sum_, f) - s * (m - (sum_ - 1.0))
    high, low = fast_two_sum(k * LOG_2[0], 2.0 * s)
    return fast_two_sum(high, low + fma(k, LOG_2[1], fma(rest, 2.0 * inverse, tail)))


def log(x: Value, wide: bool) -> Value:
    return log_parts(x, wide)[0]


def log2(x: Value, wide: bool) -> Value:
    return _scaled(log_parts(x, wide), LOG2_E)


def log10(x: Value, wide: bool) -> Value:
    return _scaled(log_parts(x, wide), LOG10_E)


def _scaled(parts: tuple[Value, Value], factor: tuple[float, float]) -> Value:
    """The product of two sums of two parts."""
    high, low = parts
    product = high * factor[0]
    return product + (fma(high, factor[0], -product) + fma(high, factor[1], low * factor[0]))


def log1p(x: Value, wide: bool) -> Value:
    """What `1 + x` lost when it was rounded is added at the end, by the slope."""
    total, lost = two_sum(x, x.constant(1.0))
    high, low = log_parts(total, wide)
    return _but_tiny(x, high + (low + lost / total))


def _but_tiny(x: Value, value: Value) -> Value:
    """x itself where a function is x + O(x**2) and x so small that no more is seen; the sign of zero, too."""
    return select(x.unary("llvm.fabs") < 2.0**-54, x, value)


def _exp_parts(x: Value, wide: bool) -> tuple[Value, Value]:
    """The integer k and `exp(r) - 1`, where `x = k log 2 + r`."""
    shifted = x * LOG2_E[0] + _INTEGER
    k = shifted - _INTEGER
    r = fma(k, -LOG_2[1], fma(k, -LOG_2[0], x))
    return shifted.converted("bitcast", "i64") - _INTEGER_BITS, fma(r * r, fitted("exp", r, wide), r)


def exp_of_sum(high: Value, low: Value, wide: bool) -> tuple[Value, Value]:
    """The integer k and m in [0.7, 1.5), where `exp(high + low) = 2**k m`; low is next to nothing."""
    shifted = high * LOG2_E[0] + _INTEGER
    k = shifted - _INTEGER
    reduced = fma(k, -LOG_2[0], high)
    if wide:
        r, rest = fast_two_sum(reduced, fma(k, -LOG_2[1], low))
    else:
        r, rest = reduced + fma(k, -LOG_2[1], low), reduced.constant(0.0)
    one, lost = fast_two_sum(r.constant(1.0), r)
    m = one + (lost + fma(r * r, fitted("exp", r, wide), rest))
    return shifted.converted("bitcast", "i64") - _INTEGER_BITS, m


def _clamped(x: Value, low: float, high: float) -> Value:
    return at_most(select(x < low, x.constant(low), x), high)


def at_most(x: Value, high: float) -> Value:
    return select(x < high, x, high)


def power_of_two(k: Value) -> Value:
    return ((k + 1023) << 52).converted("bitcast", "double")


def times_power_of_two(x: Value, k: Value) -> Value:
    """In two steps: the power itself may be too large or too small for a number where the product is not."""
    half = k >> 1
    return x * power_of_two(half) * power_of_two(k - half)


def exp(x: Value, wide: bool) -> Value:
    k, p = _exp_parts(_clamped(x, -746.0, 710.0), wide)  # 0 and infinity from there on
    return times_power_of_two(p + 1.0, k)


def exp2(x: Value, wide: bool) -> Value:
    x = _clamped(x, -1080.0, 1025.0)
    shifted = x + _INTEGER
    r = (x - (shifted - _INTEGER)) * math.log(2)
    p = fma(r * r, fitted("exp", r, wide), r)
    return times_power_of_two(p + 1.0, shifted.converted("bitcast", "i64") - _INTEGER_BITS)


def expm1(x: Value, wide: bool) -> Value:
    k, p = _exp_parts(_clamped(x, -50.0, 709.0), wide)  # -1 below
    power = power_of_two(k)
    return _but_tiny(x, fma(p, power, power - 1.0))


def sinh(x: Value, wide: bool) -> Value:
    m = expm1(x.unary("llvm.fabs"), wide)
    return (0.5 * (m + m / (m + 1.0))).with_sign_of(x)


def cosh(x: Value, wide: bool) -> Value:
    power = exp(x.unary("llvm.fabs"), wide)
    return fma(power, 0.5, 0.5 / power)


def tanh(x: Value, wide: bool) -> Value:
    size = x.unary("llvm.fabs")
    z = x * x
    near_zero = fma(size * z, fitted("tanh", z, wide), size)
    power = exp(-2.0 * at_most(size, 22.0), wide)  # 1 from there on
    above = 1.0 - 2.0 * power / (power + 1.0)
    return select(size < 0.55, near_zero, above).with_sign_of(x)


# --- trigonometric functions --------------------------------------------------------------------------


def _sin_cos(x: Value, wide: bool) -> tuple[Value, Value, Value]:
    """The integer k, and sine and cosine of `x - k pi/2`. Exact for k up to 2**20: pi/2 is a sum of three parts, the
    first two of 33 bits."""
    shifted = x * (2 / math.pi) + _INTEGER
    k = shifted - _INTEGER
    r = fma(k, -HALF_PI[0], x)
    if wide:
        r, low = two_sum(r, k * -HALF_PI[1])
        r, low = two_sum(r, fma(k, -HALF_PI[2], low))  # r may be next to nothing
    else:
        r = fma(k, -HALF_PI[2], fma(k, -HALF_PI[1], r))
        low = r.constant(0.0)
    z = r * r
    sine = r + fma(r * z, fitted("sin", z, wide), low)
    half = 0.5 * z
    head = 1.0 - half
    tail = (1.0 - head) - half
    cosine = head + (tail + (z * z * fitted("cos", z, wide) - r * low))
    return shifted.converted("bitcast", "i64") - _INTEGER_BITS, sine, cosine


def _turned(k: Value, sine: Value, cosine: Value) -> Value:
    """The sine of an angle `k pi/2` further on."""
    value = select(k.converted("trunc", "i1"), cosine, sine)
    return (value.converted("bitcast", "i64") ^ ((k & 2) << 62)).converted("bitcast", "double")


def sin(x: Value, wide: bool) -> Value:
    return _but_tiny(x, _turned(*_sin_cos(x, wide)))


def cos(x: Value, wide: bool) -> Value:
    k, sine, cosine = _sin_cos(x, wide)
    return _turned(k + 1, sine, cosine)


def tan(x: Value, wide: bool) -> Value:
    k, sine, cosine = _sin_cos(x, wide)
    is_odd = k.converted("trunc", "i1")
    return _but_tiny(x, select(is_odd, cosine, sine) / select(is_odd, -sine, cosine))
