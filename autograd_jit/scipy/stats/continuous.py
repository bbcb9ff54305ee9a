"""The univariate continuous distributions, each in its standard form."""

from __future__ import annotations

import math
from typing import Any

import numpy as _np

from ...numpy.elementwise import absolute, exp, expm1, less, log, log1p, negative, power, sign, square, where
from .. import special as sp
from .distribution import Distribution

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Norm(Distribution):
    """The normal distribution."""

    def _logpdf(self, x: Any) -> Any:
        return -0.5 * square(x) - _HALF_LOG_2PI

    def _cdf(self, x: Any) -> Any:
        return sp.ndtr(x)

    def _sf(self, x: Any) -> Any:
        return sp.ndtr(negative(x))

    def _logcdf(self, x: Any) -> Any:
        return sp.log_ndtr(x)

    def _logsf(self, x: Any) -> Any:
        return sp.log_ndtr(negative(x))

    def _ppf(self, q: Any) -> Any:
        return sp.ndtri(q)


class T(Distribution):
    """Student's distribution."""

    shapes = ("df",)

    def _logpdf(self, x: Any, df: Any) -> Any:
        constant = sp.gammaln(0.5 * (df + 1)) - sp.gammaln(0.5 * df) - 0.5 * log(math.pi * df)
        return constant - 0.5 * (df + 1) * log1p(square(x) / df)

    def _cdf(self, x: Any, df: Any) -> Any:
        """DLMF 8.17: half the incomplete beta function, of ``x**2 / (df + x**2)`` where that is the smaller part."""
        squares = square(x)
        near = 0.5 + 0.5 * sign(x) * sp.betainc(0.5, 0.5 * df, squares / (df + squares))
        tail = 0.5 * sp.betainc(0.5 * df, 0.5, df / (df + squares))
        return where(less(squares, df), near, where(less(x, 0), tail, 1.0 - tail))

    def _sf(self, x: Any, df: Any) -> Any:
        return self._cdf(negative(x), df)


class Beta(Distribution):
    """The beta distribution."""

    shapes = ("a", "b")

    def _support(self, *shapes: Any) -> tuple[Any, Any]:
        return 0.0, 1.0

    def _logpdf(self, x: Any, a: Any, b: Any) -> Any:
        return sp.xlogy(a - 1.0, x) + sp.xlog1py(b - 1.0, negative(x)) - sp.betaln(a, b)

    def _cdf(self, x: Any, a: Any, b: Any) -> Any:
        return sp.betainc(a, b, x)

    def _sf(self, x: Any, a: Any, b: Any) -> Any:
        return sp.betaincc(a, b, x)

    def _ppf(self, q: Any, a: Any, b: Any) -> Any:
        return sp.betaincinv(a, b, q)


class Positive(Distribution):
    """A distribution on the positive numbers."""

    def _support(self, *shapes: Any) -> tuple[Any, Any]:
        return 0.0, _np.inf


class Gamma(Positive):
    """The gamma distribution."""

    shapes = ("a",)

    def _logpdf(self, x: Any, a: Any) -> Any:
        return sp.xlogy(a - 1.0, x) - x - sp.gammaln(a)

    def _cdf(self, x: Any, a: Any) -> Any:
        return sp.gammainc(a, x)

    def _sf(self, x: Any, a: Any) -> Any:
        return sp.gammaincc(a, x)

    def _ppf(self, q: Any, a: Any) -> Any:
        return sp.gammaincinv(a, q)


class Chi2(Positive):
    """The chi-square distribution."""

    shapes = ("df",)

    def _logpdf(self, x: Any, df: Any) -> Any:
        half = 0.5 * df
        return sp.xlogy(half - 1.0, x) - 0.5 * x - sp.gammaln(half) - math.log(2) * half

    def _cdf(self, x: Any, df: Any) -> Any:
        return sp.gammainc(0.5 * df, 0.5 * x)

    def _sf(self, x: Any, df: Any) -> Any:
        return sp.gammaincc(0.5 * df, 0.5 * x)

    def _ppf(self, q: Any, df: Any) -> Any:
        return 2.0 * sp.gammaincinv(0.5 * df, q)


class Expon(Positive):
    """The exponential distribution."""

    def _logpdf(self, x: Any) -> Any:
        return negative(x)

    def _cdf(self, x: Any) -> Any:
        return negative(expm1(negative(x)))

    def _sf(self, x: Any) -> Any:
        return exp(negative(x))

    def _logcdf(self, x: Any) -> Any:
        return sp.log1mexp(x)

    def _logsf(self, x: Any) -> Any:
        return negative(x)

    def _ppf(self, q: Any) -> Any:
        return negative(log1p(negative(q)))


class Lognorm(Positive):
    """The log-normal distribution."""

    shapes = ("s",)

    def _beyond(self, method: str, z: Any, low: Any, high: Any) -> tuple[Any, Any]:
        below, above = super()._beyond("cdf", z, low, high)
        return below, above

    def _logpdf(self, x: Any, s: Any) -> Any:
        return -0.5 * square(log(x) / s) - log(s * x) - _HALF_LOG_2PI

    def _cdf(self, x: Any, s: Any) -> Any:
        return sp.ndtr(log(x) / s)

    def _sf(self, x: Any, s: Any) -> Any:
        return sp.ndtr(-log(x) / s)

    def _logcdf(self, x: Any, s: Any) -> Any:
        return sp.log_ndtr(log(x) / s)

    def _logsf(self, x: Any, s: Any) -> Any:
        return sp.log_ndtr(-log(x) / s)

    def _ppf(self, q: Any, s: Any) -> Any:
        return exp(s * sp.ndtri(q))


class Uniform(Distribution):
    """The uniform distribution on ``[loc, loc + scale]``."""

    def _support(self, *shapes: Any) -> tuple[Any, Any]:
        return 0.0, 1.0

    def _logpdf(self, x: Any) -> Any:
        return (1.0 - x) * 0.0  # x is in [0, 1]: never -0.0

    def _cdf(self, x: Any) -> Any:
        return x * 1.0

    def _ppf(self, q: Any) -> Any:
        return q * 1.0


class Laplace(Distribution):
    """The double exponential distribution."""

    def _logpdf(self, x: Any) -> Any:
        return negative(absolute(x)) - math.log(2)

    def _cdf(self, x: Any) -> Any:
        tail = 0.5 * exp(negative(absolute(x)))
        return where(less(x, 0), tail, 1.0 - tail)

    def _sf(self, x: Any) -> Any:
        return self._cdf(negative(x))

    def _logcdf(self, x: Any) -> Any:
        size = absolute(x)
        return where(less(x, 0), -size - math.log(2), log1p(-0.5 * exp(negative(size))))

    def _logsf(self, x: Any) -> Any:
        return self._logcdf(negative(x))

    def _ppf(self, q: Any) -> Any:
        lower = less(q, 0.5)
        return where(lower, log(2.0 * where(lower, q, 0.25)), -log(2.0 * where(lower, 0.25, 1.0 - q)))


class Logistic(Distribution):
    """The logistic distribution."""

    def _logpdf(self, x: Any) -> Any:
        return sp.log_expit(x) + sp.log_expit(negative(x))

    def _cdf(self, x: Any) -> Any:
        return sp.expit(x)

    def _sf(self, x: Any) -> Any:
        return sp.expit(negative(x))

    def _logcdf(self, x: Any) -> Any:
        return sp.log_expit(x)

    def _logsf(self, x: Any) -> Any:
        return sp.log_expit(negative(x))

    def _ppf(self, q: Any) -> Any:
        return sp.logit(q)


class WeibullMin(Positive):
    """The Weibull distribution."""

    shapes = ("c",)

    def _logpdf(self, x: Any, c: Any) -> Any:
        return log(c) + sp.xlogy(c - 1.0, x) - power(x, c)

    def _cdf(self, x: Any, c: Any) -> Any:
        return negative(expm1(negative(power(x, c))))

    def _sf(self, x: Any, c: Any) -> Any:
        return exp(negative(power(x, c)))

    def _logcdf(self, x: Any, c: Any) -> Any:
        return sp.log1mexp(power(x, c))

    def _logsf(self, x: Any, c: Any) -> Any:
        return negative(power(x, c))

    def _ppf(self, q: Any, c: Any) -> Any:
        return power(negative(log1p(negative(q))), 1.0 / c)


norm, t, beta, gamma, chi2 = Norm("norm"), T("t"), Beta("beta"), Gamma("gamma"), Chi2("chi2")
expon, lognorm, uniform = Expon("expon"), Lognorm("lognorm"), Uniform("uniform")
laplace, logistic, weibull_min = Laplace("laplace"), Logistic("logistic"), WeibullMin("weibull_min")
