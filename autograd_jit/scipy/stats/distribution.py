"""What the univariate distributions share: SciPy's signatures, ``loc`` and ``scale``, supports, freezing.

A distribution defines its standard form (``loc = 0``, ``scale = 1``) in wrapped functions; derivatives follow. On plain
values SciPy itself is called. Outside the support the density is 0 and so is its derivative; parameters outside
their domain give NaN, as in SciPy.
"""

from __future__ import annotations

from typing import Any

import numpy as _np
import scipy.stats as _stats

from ...errors import ArgumentError
from ...numpy.arguments import is_traced, scalar_results
from ...numpy.elementwise import (
    equal,
    exp,
    floor,
    greater,
    greater_equal,
    isnan,
    less,
    less_equal,
    log,
    logical_and,
    logical_not,
    logical_or,
    where,
)
from ...numpy.shaping import astype
from ...numpy.solving import inexact
from ...trace.tracer import getval


class Distribution:
    """A univariate distribution that behaves as the module of functions that it is in Autograd.

    Subclasses set ``shapes`` and define ``_logpdf`` (or ``_logpmf``), ``_cdf`` and, where they are more precise than
    what follows from those, ``_sf``, ``_logcdf``, ``_logsf``, ``_ppf``; also ``_valid``, ``_support``.
    """

    #: names of the shape parameters, in SciPy's order
    shapes: tuple[str, ...] = ()
    #: the method that the others follow from, and those that a user may call with traced values
    density = "pdf"
    scaled = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.__name__ = name
        self._scipy = getattr(_stats, name)

    # -------------------------------------------------- standard form, to be defined by each distribution

    def _logpdf(self, x: Any, *shapes: Any) -> Any:
        raise NotImplementedError

    def _cdf(self, x: Any, *shapes: Any) -> Any:
        raise NotImplementedError

    def _sf(self, x: Any, *shapes: Any) -> Any:
        return 1.0 - self._cdf(x, *shapes)

    def _logcdf(self, x: Any, *shapes: Any) -> Any:
        return log(self._cdf(x, *shapes))

    def _logsf(self, x: Any, *shapes: Any) -> Any:
        return log(self._sf(x, *shapes))

    def _ppf(self, q: Any, *shapes: Any) -> Any:
        raise ArgumentError(f"{self.name}.ppf is not supported for traced values")

    def _support(self, *shapes: Any) -> tuple[Any, Any]:
        """The smallest and the largest value, of the standard form."""
        return -_np.inf, _np.inf

    def _inside_point(self, *shapes: Any) -> Any:
        """Some point of the support, which stands in for those outside."""
        return 0.5

    def _valid(self, *shapes: Any) -> Any:
        """Where the shape parameters are in their domain."""
        valid: Any = True
        for shape in shapes:
            valid = logical_and(valid, greater(shape, 0))
        return valid

    # -------------------------------------------------- arguments

    def _parse(self, args: tuple, kwargs: dict) -> tuple[tuple, Any, Any]:
        """``(shapes, loc, scale)`` from SciPy's positional and keyword arguments."""
        names = (*self.shapes, "loc", *(("scale",) if self.scaled else ()))
        if len(args) > len(names):
            raise TypeError(f"{self.name}: too many arguments, at most x, {', '.join(names)}")
        given = dict(zip(names, args))
        for key, value in kwargs.items():
            if key not in names or key in given:
                raise ArgumentError(f"{self.name}: unexpected or repeated argument {key}=")
            given[key] = value
        missing = [name for name in self.shapes if name not in given]
        if missing:
            raise TypeError(f"{self.name}: missing shape parameters {', '.join(missing)}")
        shapes = tuple(inexact(given[name]) for name in self.shapes)
        return shapes, given.get("loc", 0.0), given.get("scale", 1.0)

    @scalar_results
    def _evaluate(self, method: str, outside: tuple, x: Any, args: tuple, kwargs: dict) -> Any:
        """``method`` of the standard form, with ``outside`` as its values below and above the support."""
        if not is_traced(x, *args, *kwargs.values()):
            return getattr(self._scipy, method)(x, *args, **kwargs)
        shapes, loc, scale = self._parse(args, kwargs)
        valid = logical_and(self._valid(*shapes), greater(scale, 0))
        if not _np.all(getval(valid)):  # stand-ins, so that nothing is computed, or warned of, with bad parameters
            shapes = tuple(where(valid, shape, 0.5) for shape in shapes)
            scale = where(valid, scale, 1.0)
        z = _in_double(inexact(x)) - loc
        z = z if _is_zero(scale - 1 if not is_traced(scale) else 1) else z / scale
        low, high = self._support(*shapes)
        below, above = self._beyond(method, z, low, high)
        z = where(logical_or(below, above), self._inside_point(*shapes), z)
        value = self._standard(method)(z, *shapes)
        if method == "logpdf":
            value = value - log(inexact(scale) * 1.0)
        if _any(below):
            value = where(below, outside[0], value)
        if _any(above):
            value = where(above, outside[1], value)
        return value if _np.all(getval(valid)) else where(valid, value, _np.nan)

    def _standard(self, method: str) -> Any:
        return getattr(self, "_" + method)

    def _beyond(self, method: str, z: Any, low: Any, high: Any) -> tuple[Any, Any]:
        """Where ``z`` lies below and above the support; a distribution function has its limits at its ends."""
        if method in ("logpdf", "pdf"):
            return less(z, low), greater(z, high)
        return logical_not(logical_or(greater(z, low), isnan(z))), greater_equal(z, high)

    # -------------------------------------------------- public

    def logpdf(self, x, *args, **kwargs):
        """Logarithm of the density at ``x``."""
        return self._evaluate("logpdf", (-_np.inf, -_np.inf), x, args, kwargs)

    def pdf(self, x, *args, **kwargs):
        """The density at ``x``."""
        if not is_traced(x, *args, *kwargs.values()):
            return self._scipy.pdf(x, *args, **kwargs)
        return exp(self.logpdf(x, *args, **kwargs))

    def cdf(self, x, *args, **kwargs):
        """The probability of values up to ``x``."""
        return self._evaluate("cdf", (0.0, 1.0), x, args, kwargs)

    def sf(self, x, *args, **kwargs):
        """The probability of values above ``x``."""
        return self._evaluate("sf", (1.0, 0.0), x, args, kwargs)

    def logcdf(self, x, *args, **kwargs):
        """Logarithm of ``cdf``."""
        return self._evaluate("logcdf", (-_np.inf, 0.0), x, args, kwargs)

    def logsf(self, x, *args, **kwargs):
        """Logarithm of ``sf``."""
        return self._evaluate("logsf", (0.0, -_np.inf), x, args, kwargs)

    @scalar_results
    def ppf(self, q, *args, **kwargs):
        """The inverse of ``cdf``; outside ``[0, 1]`` NaN."""
        if not is_traced(q, *args, *kwargs.values()):
            return self._scipy.ppf(q, *args, **kwargs)
        shapes, loc, scale = self._parse(args, kwargs)
        q = inexact(q)
        inside = logical_and(greater_equal(q, 0), less_equal(q, 1))
        if _np.all(getval(inside)):
            return _in_double(self._ppf(q, *shapes)) * scale + loc
        return where(inside, _in_double(self._ppf(where(inside, q, 0.5), *shapes)) * scale + loc, _np.nan)

    def rvs(self, *args, **kwargs):
        """Random values: SciPy's, without derivative."""
        return self._scipy.rvs(*args, **kwargs)

    def __call__(self, *args, **kwargs):
        """The distribution with its parameters fixed, as SciPy's "frozen" distributions."""
        return Frozen(self, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        """Every other method is SciPy's."""
        if name.startswith("__") or name == "_scipy":
            raise AttributeError(name)
        return getattr(self._scipy, name)

    def __repr__(self) -> str:
        return f"<autograd_jit.scipy.stats.{self.name}>"


class Discrete(Distribution):
    """A distribution on the integers: ``pmf`` in place of ``pdf``, no ``scale``; the sample has no derivative."""

    scaled = False

    def _beyond(self, method: str, z: Any, low: Any, high: Any) -> tuple[Any, Any]:
        if method == "logpdf":
            fractional = logical_not(equal(floor(z), z))
            return logical_or(less(z, low), fractional), greater(z, high)
        return less(z, low), greater_equal(z, high)

    def _standard(self, method: str) -> Any:
        if method == "logpdf":
            return self._logpmf
        return lambda z, *shapes: getattr(self, "_" + method)(floor(z), *shapes)

    def _logpmf(self, x: Any, *shapes: Any) -> Any:
        raise NotImplementedError

    def logpmf(self, k, *args, **kwargs):
        """Logarithm of the probability of ``k``."""
        if not is_traced(k, *args, *kwargs.values()):
            return self._scipy.logpmf(k, *args, **kwargs)
        return self._evaluate("logpdf", (-_np.inf, -_np.inf), k, args, kwargs)

    def pmf(self, k, *args, **kwargs):
        """The probability of ``k``."""
        if not is_traced(k, *args, *kwargs.values()):
            return self._scipy.pmf(k, *args, **kwargs)
        return exp(self.logpmf(k, *args, **kwargs))


class Frozen:
    """A distribution with its parameters fixed; they may be traced."""

    def __init__(self, distribution: Distribution, args: tuple, kwargs: dict) -> None:
        self.dist, self.args, self.kwds = distribution, args, kwargs

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        method = getattr(self.dist, name)
        if name in ("pdf", "logpdf", "pmf", "logpmf", "cdf", "sf", "logcdf", "logsf", "ppf"):
            return lambda x: method(x, *self.args, **self.kwds)
        return getattr(self.dist._scipy(*self.args, **self.kwds), name)


def _in_double(x: Any) -> Any:
    """In double precision, in which SciPy evaluates distributions whatever they are given."""
    return astype(x, _np.promote_types(x.dtype, _np.float64))


def _is_zero(value: Any) -> bool:
    return isinstance(value, (int, float)) and value == 0


def _any(mask: Any) -> bool:
    return bool(_np.any(getval(mask)))
