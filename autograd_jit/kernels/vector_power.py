"""Powers, cubic roots and lengths as formulas for `vector_functions`.

    power(x, y)   exp(y log |x|), the logarithm in two parts: 745 times its relative error is that of the result
    cbrt(x)       m = x / 8**k in [1, 8); a polynomial of (m - a) / (m + a), and one step of Halley's method
    hypot(x, y)   sqrt(x**2 + y**2) of numbers divided by a power of two that is near the larger

P and `wide`: as in `vector_elementary`.
"""

from __future__ import annotations

import math
import sys
from typing import Final

from .vector_coefficients import LOG_2, TWO_THIRDS
from .vector_elementary import (
    at_most,
    exp_of_sum,
    fitted,
    mantissa_and_exponent,
    power_of_two,
    times_power_of_two,
)
from .vector_expressions import Value, fast_two_sum, fma, select

__all__ = ["cbrt", "hypot", "power"]

_SMALLEST: Final = sys.float_info.min


def _accurate_log(x: Value, wide: bool) -> tuple[Value, Value]:
    """The logarithm of a positive normal number in two parts, with some 64 bits:

    log m = s (2 + z (2/3 + z P(z))), s = (m - 1) / (m + 1), z = s**2: all but the innermost P in two parts."""
    m, k = mantissa_and_exponent(x)
    f, total = m - 1.0, m + 1.0
    s = f / total
    z = s * s
    inner = z * fitted("log_tail", z, wide)
    if not wide:
        return fma(k, math.log(2), s * fma(z, inner + TWO_THIRDS[0], 2.0)), s.constant(0.0)
    # what the rounded s lacks of f / total, and total of m + 1
    s_low = (fma(-s, total, f) - s * (m - (total - 1.0))) / total
    z_low = fma(s, s, -z) + 2.0 * s * s_low
    p, p_low = fast_two_sum(s.constant(TWO_THIRDS[0]), inner)
    p_low = p_low + TWO_THIRDS[1]
    product = z * p
    product_low = fma(z, p, -product) + fma(z, p_low, z_low * p)
    u, u_low = fast_two_sum(s.constant(2.0), product)
    u_low = u_low + product_low
    high = s * u
    low = fma(s, u, -high) + fma(s, u_low, s_low * u)
    total_high, lost = fast_two_sum(k * LOG_2[0], high)
    return fast_two_sum(total_high, lost + fma(k, LOG_2[1], low))


def power(x: Value, y: Value, wide: bool) -> Value:
    log_high, log_low = _accurate_log(x.unary("llvm.fabs"), wide)
    high = y * log_high
    low = fma(y, log_high, -high) + y * log_low
    is_seen = high.unary("llvm.fabs") < 750.0  # beyond, the result is 0 or infinite
    clamped = select(is_seen, high, high.constant(750.0).with_sign_of(high))
    k, m = exp_of_sum(clamped, select(is_seen, low, 0.0), wide)
    return _signed(times_power_of_two(m, k), x, y)


def _signed(size: Value, x: Value, y: Value) -> Value:
    """Of a negative x: minus for odd y, and NaN between whole numbers."""
    half = 0.5 * y
    is_whole, is_even = y.unary("llvm.rint").equals(y), half.unary("llvm.rint").equals(half)
    signed = select(is_even, size, -size)
    return select(x < 0.0, select(is_whole, signed, math.nan), size)


def cbrt(x: Value, wide: bool) -> Value:
    size = x.unary("llvm.fabs")
    is_subnormal = size < _SMALLEST
    normal = select(is_subnormal, size * 2.0**54, size)
    bits = normal.converted("bitcast", "i64")
    # exponents are 1 to 2046, and 1023 is a multiple of 3: 21846 / 2**16 is 1/3, precisely enough
    k = (((bits >> 52) * 21846) >> 16) - 341
    m = (bits - ((k * 3) << 52)).converted("bitcast", "double")
    middle = math.sqrt(8.0)
    y = fitted("cbrt", (m - middle) / (m + middle), wide)
    square = y * y
    excess = fma(square, y, -m)
    y = y - y * (excess / fma(m, 3.0, 2.0 * excess))
    scale = power_of_two(k) * select(is_subnormal, x.constant(2.0**-18), 1.0)
    return select(size > 0.0, y * scale, 0.0).with_sign_of(x)


def hypot(x: Value, y: Value, wide: bool) -> Value:
    if not wide:
        return fma(x, x, y * y).unary("llvm.sqrt")
    x, y = x.unary("llvm.fabs"), y.unary("llvm.fabs")
    is_turned = x < y
    larger, smaller = select(is_turned, y, x), select(is_turned, x, y)
    bounded = at_most(select(larger < _SMALLEST, larger.constant(_SMALLEST), larger), 2.0**1022)
    k = (bounded.converted("bitcast", "i64") >> 52) - 1023
    scale = power_of_two(0 - k)
    larger, smaller = larger * scale, smaller * scale
    return fma(larger, larger, smaller * smaller).unary("llvm.sqrt") * power_of_two(k)
