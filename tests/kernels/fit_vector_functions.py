"""Print autograd_jit/kernels/vector_coefficients.py: the polynomials of our own vector functions, computed by mpmath.

    python -m tests.kernels.fit_vector_functions > autograd_jit/kernels/vector_coefficients.py

Each row of FITS is a function without zeros on an interval. Its polynomial interpolates it at Chebyshev's points, with
the least degree whose relative error is below the bound: within a factor of a few of the best there is. What the
functions are is said in `autograd_jit/kernels/vector_functions.py`, which puts them together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import mpmath

PRECISION = 250  # bits; the formulas below cancel up to half of them near the ends of their intervals


class Fit(NamedTuple):
    """A function, the interval it is fitted on, and the bits that float64 and float32 need of it."""

    function: Callable
    interval: tuple[float, float]
    bits: tuple[int, int]


def _moebius(function: Callable, low: float, high: float) -> tuple[Callable, tuple[float, float]]:
    """``function`` of ``w = (x - a) / (x + a)``, and w's interval, which is symmetric: poles not far to the left of x's
    are far from it."""
    a = mpmath.mpf(float(mpmath.sqrt(low * high)))
    end = max(abs((x - a) / (x + a)) for x in (low, high))
    return lambda w: function(a * (1 + w) / (1 - w)), (-end, end)


def _psi_zero() -> mpmath.mpf:
    with mpmath.workprec(PRECISION):
        return mpmath.findroot(mpmath.digamma, 1.46)


def _gammaln_core(x: mpmath.mpf) -> mpmath.mpf:
    """``gammaln(x) / ((x - 1) (x - 2))``."""
    return mpmath.loggamma(x) / ((x - 1) * (x - 2))


def _psi_core(x: mpmath.mpf) -> mpmath.mpf:
    """``psi(x)`` over the distance from its zero."""
    return mpmath.digamma(x) / (x - _psi_zero())


def _gammaln_stirling(z: mpmath.mpf) -> mpmath.mpf:
    """What Stirling's formula (DLMF 5.11.1) leaves of ``gammaln``, times x; ``z = 1 / x**2``."""
    x = 1 / mpmath.sqrt(z)
    return x * (mpmath.loggamma(x) - (x - 0.5) * mpmath.log(x) + x - mpmath.log(2 * mpmath.pi) / 2)


def _psi_stirling(z: mpmath.mpf) -> mpmath.mpf:
    """``log(x) - 1 / (2 x) - psi(x)``, times ``x**2`` (DLMF 5.11.2)."""
    x = 1 / mpmath.sqrt(z)
    return (mpmath.log(x) - 1 / (2 * x) - mpmath.digamma(x)) * x**2


def _log_core(t: mpmath.mpf) -> mpmath.mpf:
    """``(log((1 + s) / (1 - s)) - 2 s) / s**3``; ``t = s**2``."""
    s = mpmath.sqrt(t)
    return (2 * mpmath.atanh(s) - 2 * s) / s**3


def _exp_core(r: mpmath.mpf) -> mpmath.mpf:
    """``(exp(r) - 1 - r) / r**2``."""
    return (mpmath.expm1(r) - r) / r**2 if r else mpmath.mpf(0.5)


def _sin_core(z: mpmath.mpf) -> mpmath.mpf:
    """``(sin(r) - r) / r**3``; ``z = r**2``."""
    r = mpmath.sqrt(z)
    return (mpmath.sin(r) - r) / r**3


def _cos_core(z: mpmath.mpf) -> mpmath.mpf:
    """``(cos(r) - 1 + r**2 / 2) / r**4``."""
    return (mpmath.cos(mpmath.sqrt(z)) - 1 + z / 2) / z**2


def _log_tail(t: mpmath.mpf) -> mpmath.mpf:
    """What `_log_core` is more than 2/3, over t."""
    return (_log_core(t) - mpmath.mpf(2) / 3) / t


def _arctan_core(z: mpmath.mpf) -> mpmath.mpf:
    """``(arctan(x) - x) / x**3``; ``z = x**2``."""
    x = mpmath.sqrt(z)
    return (mpmath.atan(x) - x) / x**3


def _arcsin_core(z: mpmath.mpf) -> mpmath.mpf:
    """``(arcsin(x) - x) / x**3``; ``z = x**2``."""
    x = mpmath.sqrt(z)
    return (mpmath.asin(x) - x) / x**3


def _erf_core(z: mpmath.mpf) -> mpmath.mpf:
    """``(erf(x) - 2 / sqrt(pi) x) / x**3``; ``z = x**2``."""
    x = mpmath.sqrt(z)
    return (mpmath.erf(x) - 2 / mpmath.sqrt(mpmath.pi) * x) / x**3


def _erfc_core(x: mpmath.mpf) -> mpmath.mpf:
    """``exp(x**2) (1 + 2 x) erfc(x)``, which is near 1 everywhere."""
    return mpmath.exp(x * x) * (1 + 2 * x) * mpmath.erfc(x)


def _tanh_core(z: mpmath.mpf) -> mpmath.mpf:
    """``(tanh(x) - x) / x**3``; ``z = x**2``."""
    x = mpmath.sqrt(z)
    return (mpmath.tanh(x) - x) / x**3


_TINY = 1e-10  # for zero, where the formulas divide zero by zero
_LARGEST_T = float(((mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)) ** 2)
_HALF_LOG_2 = 0.3467  # half the distance of arguments whose results are powers of two, and rounding
_LARGEST_Z = 0.6170  # (pi / 4)**2, and rounding

FITS: dict[str, Fit] = {
    "log": Fit(_log_core, (_TINY, _LARGEST_T), (53, 28)),
    "exp": Fit(_exp_core, (-_HALF_LOG_2, _HALF_LOG_2), (52, 30)),
    "sin": Fit(_sin_core, (_TINY, _LARGEST_Z), (54, 30)),
    "cos": Fit(_cos_core, (_TINY, _LARGEST_Z), (52, 28)),
    "tanh": Fit(_tanh_core, (_TINY, 0.3026), (54, 30)),
    "log_tail": Fit(_log_tail, (_TINY, _LARGEST_T), (52, 26)),
    "arctan": Fit(_arctan_core, (_TINY, 0.1716), (52, 28)),  # tan(pi / 8)**2, and rounding
    "arcsin": Fit(_arcsin_core, (_TINY, 0.25), (52, 28)),
    "cbrt": Fit(*_moebius(mpmath.cbrt, 1, 8), (20, 20)),
    "erf": Fit(_erf_core, (_TINY, 0.25), (52, 28)),
    "erfc": Fit(*_moebius(_erfc_core, 0.5, 28), (55, 30)),
    "gammaln": Fit(*_moebius(_gammaln_core, 0.5, 4), (57, 34)),
    "gammaln_stirling": Fit(_gammaln_stirling, (_TINY, 1 / 16), (53, 30)),
    "psi": Fit(*_moebius(_psi_core, 1, 4), (57, 34)),
    "psi_stirling": Fit(_psi_stirling, (_TINY, 1 / 16), (53, 30)),
}


def coefficients(fit: Fit, bits: int) -> tuple[float, ...]:
    """Those of the polynomial, the constant first."""
    with mpmath.workprec(PRECISION):
        low, high = map(mpmath.mpf, fit.interval)
        tests = [low + (high - low) * k / 64 for k in range(65)]
        exact = [fit.function(x) for x in tests]
        for count in range(2, 40):
            points = [(low + high + (high - low) * _cosine(2 * i + 1, 2 * count)) / 2 for i in range(count)]
            found = _interpolated(points, [fit.function(x) for x in points])
            error = max(abs(_value(found, x) / value - 1) for x, value in zip(tests, exact))
            if error < mpmath.mpf(2) ** -bits:
                return tuple(float(c) for c in found)
    raise ValueError(f"no polynomial of degree 39 has {bits} bits")


def _cosine(numerator: int, denominator: int) -> mpmath.mpf:
    return mpmath.cos(mpmath.pi * numerator / denominator)


def _value(polynomial: list, x: mpmath.mpf) -> mpmath.mpf:
    total = mpmath.mpf(0)
    for coefficient in reversed(polynomial):
        total = total * x + coefficient
    return total


def _interpolated(points: list, values: list) -> list:
    """Newton's divided differences, multiplied out."""
    differences = list(values)
    for step in range(1, len(points)):
        for i in range(len(points) - 1, step - 1, -1):
            differences[i] = (differences[i] - differences[i - 1]) / (points[i] - points[i - step])
    result = [mpmath.mpf(0)]
    for point, difference in zip(points[::-1], differences[::-1]):
        shifted = [mpmath.mpf(0), *result]
        result = [a - point * b for a, b in zip(shifted, [*result, mpmath.mpf(0)])]
        result[0] += difference
    return result[: len(points)]


def split(value: mpmath.mpf, *bits: int) -> tuple[float, ...]:
    """A constant as a sum of doubles of so many bits; the last has 53."""
    found = []
    for count in (*bits, 53):
        with mpmath.workprec(count):
            found.append(float(+value))
        value = value - found[-1]
    return tuple(found)


def module() -> str:
    """The text of the table."""
    with mpmath.workprec(PRECISION):
        constants = {
            # With 42 bits products with exponents are exact.
            "LOG_2": split(mpmath.log(2), 42),
            "LOG2_E": split(1 / mpmath.log(2), 53),
            "LOG10_E": split(1 / mpmath.log(10), 53),
            # 33 bits: products with whole numbers up to 2**20 are exact.
            "HALF_PI": split(mpmath.pi / 2, 33, 33),
            # Products with whole numbers up to 4 are exact.
            "QUARTER_PI": split(mpmath.pi / 4, 51),
            "TWO_THIRDS": split(mpmath.mpf(2) / 3, 53),
            "TWO_OVER_ROOT_PI": split(2 / mpmath.sqrt(mpmath.pi), 53),
            "PSI_ZERO": split(_psi_zero(), 53),
            "HALF_LOG_TWO_PI": split(mpmath.log(2 * mpmath.pi) / 2, 53),
        }
    lines = [
        '"""Printed by tests/kernels/fit_vector_functions.py, where they are defined: for float64, for float32."""',
        "",
        "from typing import Final",
        "",
        *[f"{name}: Final = {value!r}" for name, value in constants.items()],
        "",
        "POLYNOMIALS: Final[dict[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {",
    ]
    for name, fit in FITS.items():
        lines += [f'    "{name}": (']
        for bits in fit.bits:
            lines += ["        (", *[f"            {c!r}," for c in coefficients(fit, bits)], "        ),"]
        lines += ["    ),"]
    return "\n".join([*lines, "}", ""])


if __name__ == "__main__":
    print(module(), end="")
