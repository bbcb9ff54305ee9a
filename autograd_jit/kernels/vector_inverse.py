"""Inverses of trigonometric and hyperbolic functions as formulas for `vector_functions`.

    arctan2(y, x)   k pi/4 +- arctan(q),  arctan(q) = q + q**3 P(q**2),  q at most sqrt(2) - 1: the smaller over the
                    larger of |y| and |x|, or (smaller - larger) / (smaller + larger), an eighth of a turn further on
    arcsin(x)       x + x**3 P(x**2) up to 1/2;  pi/2 - 2 arcsin(sqrt((1 - x) / 2)) above
    arcsinh(x)      log1p(x + x**2 / (1 + sqrt(1 + x**2)))
    arccosh(x)      log1p(u + sqrt(u (u + 2))),  u = x - 1
    arctanh(x)      log1p(2 x / (1 - x)) / 2

The arguments of log1p are positive, where its relative error is at most its argument's. P and `wide`: as in
`vector_elementary`.
"""

from __future__ import annotations

import math
from typing import Final

from .vector_coefficients import QUARTER_PI
from .vector_elementary import at_most, fitted, log1p
from .vector_expressions import Value, fast_two_sum, fma, select, two_sum

__all__ = ["arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh"]

_EIGHTH: Final = math.sqrt(2) - 1  # tan(pi / 8)


def _angle(opposite: Value, adjacent: Value, is_behind: Value | None, wide: bool) -> Value:
    """Of a right-angled triangle with these sides, not negative; `is_behind`: pi minus it."""
    is_steep = adjacent < opposite
    larger, smaller = select(is_steep, opposite, adjacent), select(is_steep, adjacent, opposite)
    is_middle = larger * _EIGHTH < smaller
    zero = larger.constant(0.0)
    total, total_rest = two_sum(larger, smaller)
    gap, gap_rest = fast_two_sum(larger, -smaller)
    over, over_rest = select(is_middle, -gap, smaller), select(is_middle, -gap_rest, zero)
    below, below_rest = select(is_middle, total, larger), select(is_middle, total_rest, zero)
    below = select(larger > 0.0, below, 1.0)
    q = over / below
    eighths = select(is_middle, larger.constant(1.0), 0.0)
    turn = larger.constant(1.0)
    eighths, turn = select(is_steep, 2.0 - eighths, eighths), select(is_steep, -turn, turn)
    if is_behind is not None:
        eighths, turn = select(is_behind, 4.0 - eighths, eighths), select(is_behind, -turn, turn)
    z = q * q
    rest = q * z * fitted("arctan", z, wide)
    if wide:
        rest = rest + (fma(-q, below, over) + fma(-q, below_rest, over_rest)) / below
    high, lost = fast_two_sum(eighths * QUARTER_PI[0], turn * q)
    return high + (lost + fma(turn, rest, eighths * QUARTER_PI[1]))


def arctan(x: Value, wide: bool) -> Value:
    # beyond, it is pi/2 to the last bit
    size = at_most(x.unary("llvm.fabs"), 2.0**70)
    return _angle(size, x.constant(1.0), None, wide).with_sign_of(x)


def arctan2(y: Value, x: Value, wide: bool) -> Value:
    is_behind = x.constant(1.0).with_sign_of(x) < 0.0  # the sign of a zero counts
    return _angle(y.unary("llvm.fabs"), x.unary("llvm.fabs"), is_behind, wide).with_sign_of(y)


def _arcsin_parts(x: Value, wide: bool) -> tuple[Value, Value, Value]:
    """Whether |x| is above 1/2, and two parts of arcsin(s): s = |x|, or there sqrt((1 - |x|) / 2)."""
    size = x.unary("llvm.fabs")
    is_steep = size > 0.5
    half = fma(size, -0.5, 0.5)  # exact above 1/2
    z = select(is_steep, half, x * x)
    root = half.unary("llvm.sqrt")
    s = select(is_steep, root, size)
    rest = s * z * fitted("arcsin", z, wide)
    if wide:
        lost = fma(-root, root, half) / (root + root)
        rest = rest + select(is_steep & (half > 0.0), lost, 0.0)
    return is_steep, s, rest


def arcsin(x: Value, wide: bool) -> Value:
    is_steep, s, rest = _arcsin_parts(x, wide)
    high, lost = fast_two_sum(s.constant(2 * QUARTER_PI[0]), -2.0 * s)
    above = high + (lost + fma(rest, -2.0, 2 * QUARTER_PI[1]))
    return select(is_steep, above, s + rest).with_sign_of(x)


def arccos(x: Value, wide: bool) -> Value:
    is_steep, s, rest = _arcsin_parts(x, wide)
    sign = x.constant(1.0).with_sign_of(x)
    is_behind = sign < 0.0
    # k pi/4 less or more one or two times what the parts give
    eighths = select(is_steep, select(is_behind, x.constant(4.0), 0.0), 2.0)
    factor = select(is_steep, 2.0 * sign, -sign)
    high, lost = fast_two_sum(eighths * QUARTER_PI[0], factor * s)
    return high + (lost + fma(factor, rest, eighths * QUARTER_PI[1]))


def arcsinh(x: Value, wide: bool) -> Value:
    size = x.unary("llvm.fabs")
    square = size * size
    root = (square + 1.0).unary("llvm.sqrt")
    return log1p(size + square / (root + 1.0), wide).with_sign_of(x)


def arccosh(x: Value, wide: bool) -> Value:
    above = x - 1.0
    return log1p(above + (above * (above + 2.0)).unary("llvm.sqrt"), wide)


def arctanh(x: Value, wide: bool) -> Value:
    size = x.unary("llvm.fabs")
    return (0.5 * log1p((size + size) / (1.0 - size), wide)).with_sign_of(x)
