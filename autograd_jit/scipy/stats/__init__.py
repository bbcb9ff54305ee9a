"""``scipy.stats``, with derivatives of densities and distribution functions; every other name is SciPy's own.

Each distribution is an object with SciPy's methods. Autograd has a module for each, which programs import by
name (``import autograd.scipy.stats.norm as norm``); such imports find the object.
"""

from __future__ import annotations

import sys as _sys
from typing import Any

import scipy.stats as _stats

from .continuous import beta, chi2, expon, gamma, laplace, logistic, lognorm, norm, t, uniform, weibull_min
from .discrete import bernoulli, binom, nbinom, poisson
from .multivariate import dirichlet, multinomial, multivariate_normal

for _distribution in (
    *(beta, chi2, expon, gamma, laplace, logistic, lognorm, norm, t, uniform, weibull_min),
    *(bernoulli, binom, nbinom, poisson, dirichlet, multinomial, multivariate_normal),
):
    # the import system takes any object for a module that is registered under its name
    _sys.modules[f"{__name__}.{_distribution.name}"] = _distribution  # type: ignore[assignment]


def __getattr__(name: str) -> Any:
    """Names without a derivative are SciPy's."""
    try:
        return getattr(_stats, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.scipy.stats' (like scipy.stats) has no attribute {name!r}"
        ) from None
