"""The univariate discrete distributions, each in its standard form (``loc = 0``)."""

from __future__ import annotations

from typing import Any

import numpy as _np

from ...numpy.elementwise import greater_equal, less_equal, logical_and, negative
from .. import special as sp
from .distribution import Discrete


class Poisson(Discrete):
    """The Poisson distribution."""

    shapes = ("mu",)

    def _support(self, *shapes: Any) -> tuple[Any, Any]:
        return 0, _np.inf

    def _inside_point(self, *shapes: Any) -> Any:
        return 0.0

    def _valid(self, mu: Any) -> Any:
        return greater_equal(mu, 0)

    def _logpmf(self, k: Any, mu: Any) -> Any:
        return sp.xlogy(k, mu) - sp.gammaln(k + 1.0) - mu

    def _cdf(self, k: Any, mu: Any) -> Any:
        return sp.gammaincc(k + 1.0, mu)

    def _sf(self, k: Any, mu: Any) -> Any:
        return sp.gammainc(k + 1.0, mu)


class Binom(Discrete):
    """The binomial distribution; the number of trials has no derivative of use, though it has a formula."""

    shapes = ("n", "p")

    def _support(self, n: Any, p: Any) -> tuple[Any, Any]:
        return 0, n

    def _inside_point(self, *shapes: Any) -> Any:
        return 0.0

    def _valid(self, n: Any, p: Any) -> Any:
        return logical_and(greater_equal(n, 0), _is_probability(p))

    def _logpmf(self, k: Any, n: Any, p: Any) -> Any:
        ways = sp.gammaln(n + 1.0) - sp.gammaln(k + 1.0) - sp.gammaln(n - k + 1.0)
        return ways + sp.xlogy(k, p) + sp.xlog1py(n - k, negative(p))

    def _cdf(self, k: Any, n: Any, p: Any) -> Any:
        return sp.betaincc(k + 1.0, n - k, p)

    def _sf(self, k: Any, n: Any, p: Any) -> Any:
        return sp.betainc(k + 1.0, n - k, p)


class Bernoulli(Binom):
    """The Bernoulli distribution."""

    shapes = ("p",)  # type: ignore[assignment]

    def _support(self, p: Any) -> tuple[Any, Any]:  # type: ignore[override]
        return 0, 1

    def _valid(self, p: Any) -> Any:  # type: ignore[override]
        return _is_probability(p)

    def _logpmf(self, k: Any, p: Any) -> Any:  # type: ignore[override]
        return sp.xlogy(k, p) + sp.xlog1py(1.0 - k, negative(p))

    def _cdf(self, k: Any, p: Any) -> Any:  # type: ignore[override]
        return k * 0.0 + 1.0 - p

    def _sf(self, k: Any, p: Any) -> Any:  # type: ignore[override]
        return k * 0.0 + p


class Nbinom(Discrete):
    """The negative binomial distribution."""

    shapes = ("n", "p")

    def _support(self, *shapes: Any) -> tuple[Any, Any]:
        return 0, _np.inf

    def _inside_point(self, *shapes: Any) -> Any:
        return 0.0

    def _valid(self, n: Any, p: Any) -> Any:
        return logical_and(logical_and(n > 0, p > 0), less_equal(p, 1))

    def _logpmf(self, k: Any, n: Any, p: Any) -> Any:
        ways = sp.gammaln(n + k) - sp.gammaln(k + 1.0) - sp.gammaln(n)
        return ways + sp.xlogy(n, p) + sp.xlog1py(k, negative(p))

    def _cdf(self, k: Any, n: Any, p: Any) -> Any:
        return sp.betainc(n, k + 1.0, p)

    def _sf(self, k: Any, n: Any, p: Any) -> Any:
        return sp.betaincc(n, k + 1.0, p)


def _is_probability(p: Any) -> Any:
    return logical_and(greater_equal(p, 0), less_equal(p, 1))


poisson, binom = Poisson("poisson"), Binom("binom")
bernoulli, nbinom = Bernoulli("bernoulli"), Nbinom("nbinom")
