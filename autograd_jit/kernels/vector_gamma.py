"""The logarithm of the gamma function and its derivative, as formulas for `vector_functions` (for positive numbers).

P and Q are polynomials that `tests/kernels/fit_vector_functions.py` defines; `w = (x - a) / (x + a)`, with the
geometric mean a of P's interval. Zeros are factors, so that the error is small against the result next to them, too.

    gammaln(x)    (x - 1) (x - 2) P(w)  in [1/2, 4);  gammaln(x + 1) - log x  below;
                  x (log x - 1) - log(x) / 2 + log(2 pi) / 2 + Q(1 / x**2) / x  above        (DLMF 5.5.1, 5.11.1)
    psi(x)        (x - x0) P(w), x0 its zero, in [1, 4);  psi(x + 1) - 1 / x  below;
                  log x - 1 / (2 x) - Q(1 / x**2) / x**2  above                              (DLMF 5.5.2, 5.11.2)
"""

from __future__ import annotations

import math

from .vector_coefficients import HALF_LOG_TWO_PI, PSI_ZERO
from .vector_elementary import fitted, log_parts
from .vector_expressions import Value, fast_two_sum, fma, select

__all__ = ["gammaln", "psi"]


def _core(name: str, x: Value, ends: tuple[float, float], wide: bool) -> Value:
    """The polynomial of a function's middle part."""
    middle = math.sqrt(ends[0] * ends[1])
    return fitted(name, (x - middle) / (x + middle), wide)


def gammaln(x: Value, wide: bool) -> Value:
    log_high, log_low = log_parts(x, wide)
    is_low, is_high = x < 0.5, x >= 4.0
    # (x - 1) (x - 2) in the middle, x (x - 1) below: rounded once, since x - 1 is exact from 1/2 on.
    t = select(is_low, x, x - 1.0)
    core = _core("gammaln", select(is_low, x + 1.0, x), (0.5, 4), wide)
    product = fma(t, t, -t) * core
    low = product - log_high - log_low
    # x (log x - 1): the rounding errors of the difference and the product are part of the rest.
    inverse = 1.0 / x
    stirling = inverse * fitted("gammaln_stirling", inverse * inverse, wide)
    rest = fma(log_high, -0.5, stirling + HALF_LOG_TWO_PI[0])
    if wide:
        less, lost = fast_two_sum(log_high, -1.0)
        main = x * less
        rest = rest + fma(x, lost + log_low, fma(x, less, -main))
    else:
        main = x * (log_high - 1.0)
    return select(is_high, main + rest, select(is_low, low, product))


def psi(x: Value, wide: bool) -> Value:
    log_high, log_low = log_parts(x, wide)
    is_low = x < 1.0
    inverse = 1.0 / x
    # The distance of x, or x + 1, from the zero: the sum x + 1 itself is not rounded.
    offset = select(is_low, x.constant(PSI_ZERO[0] - 1.0), PSI_ZERO[0])
    distance = (x - offset) - PSI_ZERO[1]
    core = distance * _core("psi", select(is_low, x + 1.0, x), (1, 4), wide)
    square = inverse * inverse
    above = log_high + (log_low - fma(inverse, 0.5, square * fitted("psi_stirling", square, wide)))
    return select(x >= 4.0, above, select(is_low, core - inverse, core))
