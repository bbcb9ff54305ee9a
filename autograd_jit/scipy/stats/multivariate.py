"""The multivariate distributions: normal, Dirichlet, multinomial."""

from __future__ import annotations

import math
from typing import Any

import numpy as _np
import scipy.stats as _stats

from ...errors import ArgumentError
from ...numpy import linalg
from ...numpy import reductions as _red
from ...numpy.arguments import is_traced, shape_of
from ...numpy.elementwise import equal, exp, log, multiply, square, where
from ...numpy.joining import concatenate
from ...numpy.products import matmul
from ...numpy.shaping import diag
from ...numpy.solving import inexact, mt, pseudo_inverse, solve_matrix
from ...trace.rules import general
from ...trace.tracer import getval
from .. import special as sp

_LOG_2PI = math.log(2 * math.pi)

#: ``log`` of the product of the non-zero eigenvalues of a positive semidefinite matrix; ``tr(pinv(A) dA)`` is its
#: differential where the rank does not change
_log_pseudo_determinant = general(
    lambda a, cutoff: _np.sum(_np.log(_positive_part(_np.linalg.eigvalsh(a), cutoff))),
    {0: lambda ans, a, cutoff: lambda g: g * mt(pseudo_inverse(a, cutoff, True))},
    {0: lambda t, ans, a, cutoff: _red.sum(t * mt(pseudo_inverse(a, cutoff, True)))},
    name="log_pseudo_determinant",
    complex=False,
)


def _positive_part(w: Any, cutoff: float) -> Any:
    return w[w > cutoff * _np.max(_np.abs(w))]


class _Multivariate:
    """What the three share: they behave as modules and pass other names on to SciPy."""

    def __init__(self, name: str) -> None:
        self.__name__ = self.name = name
        self._scipy = getattr(_stats, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_scipy":
            raise AttributeError(name)
        return getattr(self._scipy, name)

    def __repr__(self) -> str:
        return f"<autograd_jit.scipy.stats.{self.name}>"


class MultivariateNormal(_Multivariate):
    """The multivariate normal distribution. The covariance's cotangent is symmetric."""

    def __call__(self, mean=None, cov=1, allow_singular=False, seed=None, **kwargs):
        """The distribution with its parameters fixed; plain values only."""
        if is_traced(mean, cov):
            raise ArgumentError("multivariate_normal: pass traced mean= and cov= to logpdf itself")
        return self._scipy(mean, cov, allow_singular, seed, **kwargs)

    def logpdf(self, x, mean=None, cov=1, allow_singular=False):
        """As ``scipy.stats.multivariate_normal.logpdf``."""
        if not is_traced(x, mean, cov):
            return self._scipy.logpdf(x, mean, cov, allow_singular)
        dim, mean, cov = _normal_parameters(mean, cov)
        deviation = _points(inexact(x), dim) - mean
        if allow_singular:
            return _singular_logpdf(deviation, cov)
        factor = linalg.cholesky(cov)
        flat = deviation.reshape((-1, dim)) if len(shape_of(deviation)) != 1 else deviation[None, :]
        scaled = solve_matrix(factor, mt(flat))
        half = _red.sum(log(factor.diagonal() if hasattr(factor, "diagonal") else factor))
        result = -0.5 * (_red.sum(square(scaled), axis=0) + dim * _LOG_2PI) - half
        return result.reshape(shape_of(deviation)[:-1])[()]

    def pdf(self, x, mean=None, cov=1, allow_singular=False):
        """As ``scipy.stats.multivariate_normal.pdf``."""
        if not is_traced(x, mean, cov):
            return self._scipy.pdf(x, mean, cov, allow_singular)
        return exp(self.logpdf(x, mean, cov, allow_singular))

    def entropy(self, mean=None, cov=1):
        """As ``scipy.stats.multivariate_normal.entropy``."""
        if not is_traced(mean, cov):
            return self._scipy.entropy(mean, cov)
        dim, _, cov = _normal_parameters(mean, cov)
        return 0.5 * (dim * (1 + _LOG_2PI) + linalg.slogdet(cov)[1])


def _singular_logpdf(deviation: Any, cov: Any) -> Any:
    """On the subspace that a singular covariance spans; ``-inf`` off it, as SciPy."""
    cutoff = (1e6 if cov.dtype == _np.float64 else 1e3) * _np.finfo(cov.dtype).eps.item()
    precision = pseudo_inverse(cov, cutoff, True)
    rank = int(_np.linalg.matrix_rank(getval(cov), rtol=cutoff, hermitian=True))
    distance = _red.sum(multiply(matmul(deviation, precision), deviation), axis=-1)
    result = -0.5 * (rank * _LOG_2PI + _log_pseudo_determinant(cov, cutoff) + distance)
    plain, plain_cov = getval(deviation), getval(cov)
    off = plain - plain @ getval(precision) @ plain_cov
    outside = _np.linalg.norm(off, axis=-1) > 1e-6 * (1 + _np.linalg.norm(plain, axis=-1))
    return where(outside, -_np.inf, result) if _np.any(outside) else result


def _normal_parameters(mean: Any, cov: Any) -> tuple[int, Any, Any]:
    """``(dimension, mean, covariance matrix)`` as SciPy fills them in."""
    cov = inexact(cov)
    ndim = len(shape_of(cov))
    dim = shape_of(inexact(mean))[-1] if mean is not None and len(shape_of(inexact(mean))) else None
    if dim is None:
        dim = shape_of(cov)[0] if ndim > 1 else 1  # SciPy takes a vector of variances only with a mean
    if ndim == 0:
        cov = cov * _np.eye(dim)
    elif ndim == 1:
        cov = diag(cov)
    if shape_of(cov) != (dim, dim):
        raise ValueError(f"Array 'cov' must be square of size {dim}, but has shape {shape_of(cov)}")
    return dim, (_np.zeros(dim) if mean is None else inexact(mean)), cov


def _points(x: Any, dim: int) -> Any:
    """Points along the last axis; a vector is many points in one dimension, or one in several."""
    shape = shape_of(x)
    if not shape:
        return x.reshape((1,))
    return x[:, None] if len(shape) == 1 and dim == 1 else x


class Dirichlet(_Multivariate):
    """The Dirichlet distribution; components along the first axis."""

    def logpdf(self, x, alpha):
        """As ``scipy.stats.dirichlet.logpdf``."""
        if not is_traced(x, alpha):
            return self._scipy.logpdf(x, alpha)
        x, alpha = inexact(x), inexact(alpha)
        count = shape_of(alpha)[0]
        if shape_of(x)[0] == count - 1:
            x = concatenate([x, 1.0 - _red.sum(x, axis=0, keepdims=True)], 0)
        if shape_of(x)[0] != count:
            raise ValueError(
                "Vector 'x' must have either the same number of entries as, or one entry fewer than, parameter "
                f"vector 'a', but alpha.shape = {shape_of(alpha)} and x.shape = {shape_of(x)}."
            )
        weights = (alpha - 1.0).reshape((count,) + (1,) * (len(shape_of(x)) - 1))
        constant = _red.sum(sp.gammaln(alpha)) - sp.gammaln(_red.sum(alpha))
        return _red.sum(sp.xlogy(weights, x), axis=0) - constant

    def pdf(self, x, alpha):
        """As ``scipy.stats.dirichlet.pdf``."""
        return exp(self.logpdf(x, alpha)) if is_traced(x, alpha) else self._scipy.pdf(x, alpha)

    def __call__(self, alpha, seed=None):
        return self._scipy(alpha, seed)


class Multinomial(_Multivariate):
    """The multinomial distribution; counts along the last axis. The last probability is one minus the others."""

    def logpmf(self, x, n, p):
        """As ``scipy.stats.multinomial.logpmf``."""
        if not is_traced(x, n, p):
            return self._scipy.logpmf(x, n, p)
        x, p = inexact(x) * 1.0, inexact(p)
        p = concatenate([p[..., :-1], 1.0 - _red.sum(p[..., :-1], axis=-1, keepdims=True)], -1)
        value = sp.gammaln(n + 1.0) + _red.sum(sp.xlogy(x, p) - sp.gammaln(x + 1.0), axis=-1)
        possible = equal(_red.sum(x, axis=-1), n)
        return value if _np.all(getval(possible)) else where(possible, value, -_np.inf)

    def pmf(self, x, n, p):
        """As ``scipy.stats.multinomial.pmf``."""
        return exp(self.logpmf(x, n, p)) if is_traced(x, n, p) else self._scipy.pmf(x, n, p)

    def __call__(self, n, p, seed=None):
        return self._scipy(n, p, seed)


multivariate_normal = MultivariateNormal("multivariate_normal")
dirichlet, multinomial = Dirichlet("dirichlet"), Multinomial("multinomial")
