"""The error function and its complement as formulas for `vector_functions`.

    erf(x)    2 / sqrt(pi) x + x**3 P(x**2)  up to 1/2;  1 - erfc(x) above
    erfc(x)   1 - erf(x)  up to 1/2;  exp(-x**2) P(w) / (1 + 2 x)  above,  w = (x - a) / (x + a)
    erfc(-x)  2 - erfc(x)

P and `wide`: as in `vector_elementary`.
"""

from __future__ import annotations

import math
from typing import Final

from .vector_coefficients import TWO_OVER_ROOT_PI
from .vector_elementary import at_most, exp_of_sum, fitted, times_power_of_two
from .vector_expressions import Value, fast_two_sum, fma, select

__all__ = ["erf", "erfc"]

_FAR: Final = (0.5, 28.0)  # erfc(28) is 0
_MIDDLE: Final = math.sqrt(_FAR[0] * _FAR[1])


def _near(size: Value, wide: bool) -> tuple[Value, Value]:
    """erf up to 1/2, in two parts."""
    z = size * size
    high = size * TWO_OVER_ROOT_PI[0]
    rest = fma(size, TWO_OVER_ROOT_PI[0], -high)
    return high, rest + size * fma(z, fitted("erf", z, wide), TWO_OVER_ROOT_PI[1])


def _far(size: Value, wide: bool) -> Value:
    """erfc from 1/2 on."""
    size = at_most(size, _FAR[1])
    square = size * size
    k, m = exp_of_sum(-square, -fma(size, size, -square), wide)
    core = fitted("erfc", (size - _MIDDLE) / (size + _MIDDLE), wide)
    below, lost = fast_two_sum(size + size, 1.0)
    inverse = 1.0 / below
    quotient = core * inverse
    if wide:
        rest = fma(-quotient, below, core) - quotient * lost
        return times_power_of_two(fma(m, quotient, m * (rest * inverse)), k)
    return times_power_of_two(m * quotient, k)


def erf(x: Value, wide: bool) -> Value:
    size = x.unary("llvm.fabs")
    high, low = _near(size, wide)
    return select(size < _FAR[0], high + low, 1.0 - _far(size, wide)).with_sign_of(x)


def erfc(x: Value, wide: bool) -> Value:
    size = x.unary("llvm.fabs")
    high, low = _near(size, wide)
    signed = high.with_sign_of(x)
    rest, lost = fast_two_sum(x.constant(1.0), -signed)
    near = rest + (lost - select(x < 0.0, -low, low))
    far = _far(size, wide)
    return select(size < _FAR[0], near, select(x < 0.0, 2.0 - far, far))
