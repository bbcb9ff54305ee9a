"""Derivatives of the incomplete gamma and beta functions in their shape parameters.

SciPy has none. Both functions have series of positive terms whose ratio is a simple rational function of the
parameters, so that the whole series is summed in truncated Taylor arithmetic: the coefficients of a term follow from
those of the term before. Where the series would lose digits, the complement is expanded instead, by the continued
fraction of the upper incomplete gamma function (DLMF 8.9.2) or by ``I_x(a, b) = 1 - I_{1-x}(b, a)`` (DLMF 8.17.4).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sp

_EPS = np.finfo(float).eps
#: terms before a series is given up (parameters beyond 1e8); its result is then NaN
_LIMIT = 20_000

# ---------------------------------------------------------------- Taylor arithmetic: series[i][j] is the
# coefficient of da**i db**j, for i + j <= order, each an array


def _blank(order: int, like: np.ndarray) -> list:
    return [[np.zeros_like(like) for _ in range(order + 1 - i)] for i in range(order + 1)]


def _pairs(order: int) -> list:
    return [(i, j) for total in range(order + 1) for i in range(total + 1) for j in (total - i,)]


def _product(x: list, y: list, order: int) -> list:
    out = _blank(order, x[0][0])
    for i, j in _pairs(order):
        out[i][j] = sum(x[k][m] * y[i - k][j - m] for k in range(i + 1) for m in range(j + 1))
    return out


def _exponential(x: list, order: int) -> list:
    """From ``y' = x' y`` in ``a`` where a power of ``da`` is present, else in ``b``."""
    out = _blank(order, x[0][0])
    out[0][0] = np.exp(x[0][0])
    for i, j in _pairs(order)[1:]:
        if i:
            terms = (k * x[k][m] * out[i - k][j - m] for k in range(1, i + 1) for m in range(j + 1))
            out[i][j] = sum(terms) / i
        else:
            out[i][j] = sum(m * x[0][m] * out[0][j - m] for m in range(1, j + 1)) / j
    return out


def _times_linear(x: list, value: Any, da: int, db: int, order: int) -> list:
    """``x * (value + da * a + db * b)``."""
    out = _blank(order, x[0][0])
    for i, j in _pairs(order):
        out[i][j] = value * x[i][j]
        if da and i:
            out[i][j] = out[i][j] + x[i - 1][j]
        if db and j:
            out[i][j] = out[i][j] + x[i][j - 1]
    return out


def _over_linear(x: list, value: Any, order: int) -> list:
    """``x / (value + a)``."""
    out = _blank(order, x[0][0])
    for i, j in _pairs(order):
        previous = out[i - 1][j] if i else 0.0
        out[i][j] = (x[i][j] - previous) / value
    return out


def _log_gamma(value: Any, order: int) -> list:
    """Taylor coefficients of ``gammaln`` at ``value``, in one variable."""
    found = [sp.gammaln(value)]
    found += [sp.polygamma(k - 1, value) / math.factorial(k) for k in range(1, order + 1)]
    return found


def _settled(term: list, total: list, order: int) -> bool:
    return all(bool(np.all(np.abs(term[i][j]) <= _EPS * np.abs(total[i][j]) + 1e-300)) for i, j in _pairs(order))


def _sum_series(term: list, ratio: Any, order: int) -> list:
    """The sum of ``term`` and those that ``ratio(term, n)`` gives; derivatives settle after the values have."""
    total = [list(row) for row in term]
    calm = 0
    for n in range(_LIMIT):
        term = ratio(term, n)
        for i, j in _pairs(order):
            total[i][j] = total[i][j] + term[i][j]
        calm = calm + 1 if _settled(term, total, order) else 0
        if calm > 2:
            return total
    return [[np.full_like(c, np.nan) for c in row] for row in total]


# ---------------------------------------------------------------- the regularised lower incomplete gamma function


def gammainc_derivative(a: Any, x: Any, order: int) -> np.ndarray:
    """``d^order / da^order`` of ``gammainc(a, x)``, for ``a > 0`` and ``x >= 0``."""
    a, x = np.broadcast_arrays(np.asarray(a, float), np.asarray(x, float))
    out = np.full(a.shape, np.nan)
    out[(x == 0) & (a > 0)] = 0.0
    out[np.isinf(x) & (x > 0) & (a > 0)] = 0.0
    inside = (a > 0) & (x > 0) & np.isfinite(x) & np.isfinite(a)
    upper = inside & (x > a + 1)
    for chosen, expand, sign in ((inside & ~upper, _lower_series, 1), (upper, _upper_fraction, -1)):
        if np.any(chosen):
            out[chosen] = sign * math.factorial(order) * expand(a[chosen], x[chosen], order)
    return out[()]


def _gamma_prefactor(a: np.ndarray, x: np.ndarray, shift: int, order: int) -> list:
    """``x**a exp(-x) / gamma(a + shift)``."""
    logarithm = _blank(order, a)
    for k, coefficient in enumerate(_log_gamma(a + shift, order)):
        logarithm[k][0] = -coefficient
    logarithm[0][0] = logarithm[0][0] + a * np.log(x) - x
    if order:
        logarithm[1][0] = logarithm[1][0] + np.log(x)
    return _exponential(logarithm, order)


def _lower_series(a: np.ndarray, x: np.ndarray, order: int) -> np.ndarray:
    """DLMF 8.7.1: the sum of ``x**(a + n) exp(-x) / gamma(a + n + 1)``."""

    def ratio(term: list, n: int) -> list:
        scaled = [[x * c for c in row] for row in term]
        return _over_linear(scaled, a + n + 1, order)

    return _sum_series(_gamma_prefactor(a, x, 1, order), ratio, order)[order][0]


def _upper_fraction(a: np.ndarray, x: np.ndarray, order: int) -> np.ndarray:
    """The upper function as the prefactor times ``1/(x+1-a- 1(1-a)/(x+3-a- 2(2-a)/(x+5-a- ...)))``.

    Numerators and denominators of the convergents follow a recurrence whose coefficients are linear in ``a``.
    """
    one, zero = _blank(order, a), _blank(order, a)
    one[0][0] = np.ones_like(a)
    before: tuple = (zero, one)
    now: tuple = (one, _minus_a(one, x + 1 - a, order))
    previous = None
    for n in range(1, _LIMIT):
        following = tuple(
            _added(_minus_a(q, x + 2 * n + 1 - a, order), _plus_a(p, n * (a - n), n, order), order)
            for p, q in zip(before, now, strict=True)
        )
        size = np.abs(following[1][0][0])
        before = tuple([[c / size for c in row] for row in part] for part in now)
        now = tuple([[c / size for c in row] for row in part] for part in following)
        fraction = _quotient(now[0], now[1], order)
        if previous is not None and _close(fraction, previous, order):
            return _product(_gamma_prefactor(a, x, 0, order), fraction, order)[order][0]
        previous = fraction
    return np.full_like(a, np.nan)


def _minus_a(x: list, value: Any, order: int) -> list:
    """``x * (value - a)``."""
    out = _blank(order, x[0][0])
    for i in range(order + 1):
        out[i][0] = value * x[i][0] - (x[i - 1][0] if i else 0.0)
    return out


def _plus_a(x: list, value: Any, slope: float, order: int) -> list:
    """``x * (value + slope * a)``."""
    out = _blank(order, x[0][0])
    for i in range(order + 1):
        out[i][0] = value * x[i][0] + (slope * x[i - 1][0] if i else 0.0)
    return out


def _added(x: list, y: list, order: int) -> list:
    return [[c + d for c, d in zip(p, q, strict=True)] for p, q in zip(x, y, strict=True)]


def _quotient(x: list, y: list, order: int) -> list:
    out = _blank(order, x[0][0])
    for i in range(order + 1):
        known = sum(out[k][0] * y[i - k][0] for k in range(i))
        out[i][0] = (x[i][0] - known) / y[0][0]
    return out


def _close(x: list, y: list, order: int) -> bool:
    largest = np.max([np.abs(x[i][0]) for i in range(order + 1)], axis=0)
    return all(bool(np.all(np.abs(x[i][0] - y[i][0]) <= 4 * _EPS * largest)) for i in range(order + 1))


# ---------------------------------------------------------------- the regularised incomplete beta function


def betainc_derivative(a: Any, b: Any, x: Any, i: int, j: int) -> np.ndarray:
    """``d^(i+j) / da^i db^j`` of ``betainc(a, b, x)``, for positive ``a``, ``b`` and ``0 <= x <= 1``."""
    a, b, x = np.broadcast_arrays(*(np.asarray(v, float) for v in (a, b, x)))
    out = np.full(a.shape, np.nan)
    valid = (a > 0) & (b > 0) & np.isfinite(a) & np.isfinite(b)
    out[valid & ((x == 0) | (x == 1))] = 0.0
    valid = valid & (x > 0) & (x < 1)
    swap = valid & (x > (a + 1) / (a + b + 2))
    scale = math.factorial(i) * math.factorial(j)
    keep = valid & ~swap
    if np.any(keep):
        out[keep] = scale * _beta_series(a[keep], b[keep], x[keep], 1 - x[keep], i + j)[i][j]
    if np.any(swap):
        out[swap] = -scale * _beta_series(b[swap], a[swap], 1 - x[swap], x[swap], i + j)[j][i]
    return out[()]


def _beta_series(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray, order: int) -> list:
    """DLMF 8.17.8: ``x**a (1-x)**b / (a B(a, b))`` times the sum of ``(a+b)_n / (a+1)_n x**n``; ``y = 1 - x``."""
    logarithm = _blank(order, a)
    whole, left, right = _log_gamma(a + b, order), _log_gamma(a + 1, order), _log_gamma(b, order)
    for i, j in _pairs(order):
        logarithm[i][j] = whole[i + j] * math.comb(i + j, i)
        if j == 0:
            logarithm[i][j] = logarithm[i][j] - left[i]
        if i == 0:
            logarithm[i][j] = logarithm[i][j] - right[j]
    logarithm[0][0] = logarithm[0][0] + a * np.log(x) + b * np.log(y)
    if order:
        logarithm[1][0] = logarithm[1][0] + np.log(x)
        logarithm[0][1] = logarithm[0][1] + np.log(y)

    def ratio(term: list, n: int) -> list:
        scaled = [[x * c for c in row] for row in _times_linear(term, a + b + n, 1, 1, order)]
        return _over_linear(scaled, a + n + 1, order)

    return _sum_series(_exponential(logarithm, order), ratio, order)
