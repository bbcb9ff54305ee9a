"""NumPy's scalar functions in plain Python: what the printed form of a kernel calls besides :mod:`math`.

Numba compiles them with the kernels that use them; this module never imports it. Each holds for every float, NaN,
infinities and signed zeros included. They compute in double precision; printed kernels round the results.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

__all__ = ["CONSTANTS", "FUNCTIONS"]

INT64_MIN: Final = np.int64(-(2**63))
INT64_MAX: Final = np.int64(2**63 - 1)
INT32_MIN: Final = np.int32(-(2**31))
INT32_MAX: Final = np.int32(2**31 - 1)

CONSTANTS: Final[dict[str, Any]] = {
    "INT64_MIN": INT64_MIN,
    "INT64_MAX": INT64_MAX,
    "INT32_MIN": INT32_MIN,
    "INT32_MAX": INT32_MAX,
}


def maximum(x, y):
    """The larger; NaN where either is."""
    return x if x > y or x != x else y


def minimum(x, y):
    """The smaller; NaN where either is."""
    return x if x < y or x != x else y


def fmax(x, y):
    """The larger; a NaN only where both are."""
    return x if x >= y or y != y else y


def fmin(x, y):
    """The smaller; a NaN only where both are."""
    return x if x <= y or y != y else y


def fma(x, y, z):
    """``x * y + z`` as hardware rounds it, once: the rounding error of the product is added (Dekker's), and what
    overflows on the way alone does not. The last bit may differ where a number on the way is subnormal."""
    product = x * y
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)) or product == 0:
        return z if math.isinf(z) and math.isinf(product) and math.isfinite(x) and math.isfinite(y) else product + z
    scale = 1.0
    if max(abs(product), abs(z)) > 2.0**960 or abs(x) > 2.0**960 or abs(y) > 2.0**960:
        scale = 2.0**600
        z = z / scale
        x, y = (x / scale, y) if abs(x) > abs(y) else (x, y / scale)
        product = x * y
        if math.isinf(product):
            return product
    x_high, y_high = 134217729.0 * x, 134217729.0 * y
    x_high, y_high = x_high - (x_high - x), y_high - (y_high - y)
    x_low, y_low = x - x_high, y - y_high
    error = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    total = product + z
    back = total - product
    return (total + (((product - (total - back)) + (z - back)) + error)) * scale


def sign(x):
    """-1, 0 or 1; NaN for NaN."""
    if x > 0:
        return 1.0
    if x < 0:
        return -1.0
    return 0.0 if x == 0 else math.nan


def mod(x, y):
    """Python's ``%``: the result has the sign of ``y``, also where it is zero; NaN for ``y = 0``."""
    rest = np.fmod(x, y)
    if rest == 0:
        return math.copysign(0.0, y)
    return rest + y if (rest < 0) != (y < 0) else rest


def floor_divide(x, y):
    """``x // y`` such that ``x == y * (x // y) + mod(x, y)`` up to rounding."""
    if y == 0:
        return x / y
    rest = np.fmod(x, y)
    quotient = (x - rest) / y
    if rest != 0 and (rest < 0) != (y < 0):
        quotient -= 1.0
    if quotient == 0:
        return math.copysign(0.0, x / y)
    whole = np.floor(quotient)
    return whole + 1.0 if quotient - whole > 0.5 else whole


def integer_mod(x, y):
    """Python's ``%`` of integers; 0 for ``y = 0``, as in NumPy."""
    return x % y if y != 0 and y != -1 else x - x


def integer_floor_divide(x, y):
    """Python's ``//`` of integers; 0 for ``y = 0``, as in NumPy, and the smallest integer by -1 is itself."""
    if y == 0:
        return x - x
    return -x if y == -1 else x // y


def logaddexp(x, y):
    """``log(exp(x) + exp(y))`` without overflow."""
    if x == y:  # infinities, too
        return x + 0.6931471805599453
    gap = x - y
    if gap > 0:
        return x + math.log1p(math.exp(-gap))
    return y + math.log1p(math.exp(gap)) if gap <= 0 else gap


def logaddexp2(x, y):
    """``log2(2**x + 2**y)`` without overflow."""
    if x == y:
        return x + 1.0
    gap = x - y
    if gap > 0:
        return x + math.log1p(math.exp2(-gap)) * 1.4426950408889634
    return y + math.log1p(math.exp2(gap)) * 1.4426950408889634 if gap <= 0 else gap


def gammaln(x):
    """The logarithm of ``|gamma(x)|``, as SciPy has it: ``gammaln(-inf) = -inf``, where C has ``+inf``, and infinite
    where ``1 / x`` is, at subnormal numbers."""
    if x == -math.inf:
        return x
    return math.inf if abs(x) <= 2.0**-1024 else math.lgamma(x)


def to_int64(x):
    """A float cut to an integer; the smallest integer for NaN and what does not fit."""
    return np.int64(x) if x >= -9223372036854775808.0 and x < 9223372036854775808.0 else INT64_MIN


def to_int32(x):
    """A float cut to an integer; the smallest integer for NaN and what does not fit."""
    return np.int32(x) if x >= -2147483648.0 and x < 2147483648.0 else INT32_MIN


def push(stack, blocks, total):
    """Put the sum of a block on ``stack`` as a binary counter adds one: sums of equally many blocks are added up.

    ``stack[level]`` is the sum of ``2**level`` blocks wherever that bit of ``blocks``, the blocks so far, is set.
    """
    level = 0
    while (blocks >> level) & 1:
        total = stack[level] + total
        level += 1
    stack[level] = total


def pop(stack, blocks):
    """The sum of all ``blocks`` blocks that were put on ``stack``, small ones first."""
    total = stack[63]  # stays zero: no kernel has 2**63 blocks
    level = 0
    while (blocks >> level) != 0:
        if (blocks >> level) & 1:
            total = stack[level] + total
        level += 1
    return total


FUNCTIONS: Final[dict[str, Callable]] = {
    function.__name__: function
    for function in (
        maximum, minimum, fmax, fmin, fma, sign, mod, floor_divide, integer_mod, integer_floor_divide, logaddexp,
        logaddexp2, gammaln, to_int64, to_int32, push, pop,
    )
}  # fmt: skip
