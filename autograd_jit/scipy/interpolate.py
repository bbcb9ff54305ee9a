"""``scipy.interpolate``: cubic splines, B-splines and ``interp1d``, differentiable in the values and in the query.

An interpolant is linear in its values ``y``, with weights that SciPy computes by interpolating unit vectors; and its
derivative in the query is the interpolant's own derivative. The knots ``x`` are plain numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as _np
import scipy.interpolate as _si

from ..errors import ArgumentError
from ..numpy.arguments import is_traced, normalise_axis, shape_of
from ..numpy.elementwise import multiply, where
from ..numpy.products import tensordot
from ..numpy.reductions import sum as _sum
from ..numpy.shaping import moveaxis, reshape
from ..numpy.solving import inexact
from ..trace.rules import general
from ..trace.tracer import getval


def __getattr__(name: str) -> Any:
    """Names without a derivative are SciPy's."""
    try:
        return getattr(_si, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.scipy.interpolate' (like scipy.interpolate) has no attribute {name!r}"
        ) from None


class _Scheme:
    """How to interpolate: ``make(y)`` gives SciPy's interpolant; ``linear`` is the scheme without boundary values."""

    def __init__(self, make: Callable, linear: _Scheme | None = None) -> None:
        self.make = make
        self.linear = self if linear is None else linear


def _query_rate(ans: Any, y: Any, query: Any, scheme: _Scheme, order: int) -> Any:
    return interpolate(y, query, scheme, order + 1)


def _query_vjp(ans: Any, y: Any, query: Any, scheme: _Scheme, order: int) -> Callable:
    trailing = tuple(range(len(shape_of(query)), len(shape_of(ans))))
    return lambda g: _sum(multiply(g, _query_rate(ans, y, query, scheme, order)), axis=trailing)


def _values_vjp(ans: Any, y: Any, query: Any, scheme: _Scheme, order: int) -> Callable:
    def pull(g: Any) -> Any:
        ndim = len(shape_of(query))
        weights = interpolate(_np.eye(shape_of(y)[0]), query, scheme.linear, order)
        return tensordot(weights, g, (tuple(range(ndim)), tuple(range(ndim))))

    return pull


def _query_jvp(t: Any, ans: Any, y: Any, query: Any, scheme: _Scheme, order: int) -> Any:
    spread = reshape(t, shape_of(t) + (1,) * (len(shape_of(ans)) - len(shape_of(t))))
    return multiply(spread, _query_rate(ans, y, query, scheme, order))


#: ``(y, query, scheme, order of the derivative)``; the values along the first axis of ``y``
interpolate = general(
    lambda y, query, scheme, order: _np.asarray(scheme.make(y)(query, order))[()],
    {0: _values_vjp, 1: _query_vjp},
    {0: lambda t, ans, y, query, scheme, order: interpolate(t, query, scheme.linear, order), 1: _query_jvp},
    name="interpolate",
)


class _Interpolant:
    """An interpolant of traced values: call it, or take its derivative."""

    def __init__(self, y: Any, scheme: _Scheme, axis: int, order: int = 0) -> None:
        y = inexact(y)
        self.axis = normalise_axis(axis, len(shape_of(y)))
        self.y, self.scheme, self.order = moveaxis(y, self.axis, 0), scheme, order

    def __call__(self, x, nu=0, extrapolate=None):
        if extrapolate is not None:
            raise ArgumentError("extrapolate= is supported at construction only for traced values")
        query = inexact(x) * 1.0
        result = interpolate(self.y, query, self.scheme, self.order + nu)
        ndim = len(shape_of(query))
        return moveaxis(result, tuple(range(ndim)), tuple(range(self.axis, self.axis + ndim)))

    def derivative(self, nu=1):
        """The ``nu``-th derivative, as a function of the same kind."""
        return _Interpolant(moveaxis(self.y, 0, self.axis), self.scheme, self.axis, self.order + nu)


class CubicSpline(_Interpolant):
    """As ``scipy.interpolate.CubicSpline``: ``c``, ``integrate`` and the like only of the plain one, at ``.plain``."""

    def __init__(self, x, y, axis=0, bc_type="not-a-knot", extrapolate=None) -> None:
        if is_traced(x):
            raise ArgumentError("CubicSpline: x= has no derivative, pass plain knots")
        if bc_type == "periodic" and is_traced(y):
            raise ArgumentError("CubicSpline: bc_type='periodic' is not supported for traced values")

        def homogeneous(values: Any) -> Any:
            zero = _np.zeros(_np.shape(values)[1:])
            ends = bc_type if isinstance(bc_type, str) else [e if isinstance(e, str) else (e[0], zero) for e in bc_type]
            return _si.CubicSpline(x, values, 0, ends, extrapolate)

        linear = _Scheme(homogeneous)
        scheme = _Scheme(lambda values: _si.CubicSpline(x, values, 0, bc_type, extrapolate), linear)
        super().__init__(y, scheme, axis)

    @property
    def plain(self) -> Any:
        """SciPy's spline of the plain values."""
        return self.scheme.make(getval(self.y))


def make_interp_spline(x, y, k=3, t=None, bc_type=None, axis=0, check_finite=True):
    """As ``scipy.interpolate.make_interp_spline``; ``bc_type`` is refused for traced values.

    For plain values SciPy's spline comes back, which takes plain queries only; ``CubicSpline`` takes traced ones.
    """
    if not is_traced(x, y, t):
        return _si.make_interp_spline(x, y, k, t, bc_type, axis, check_finite)
    if is_traced(x, t):
        raise ArgumentError("make_interp_spline: x= and t= have no derivative, pass plain knots")
    if bc_type is not None:
        raise ArgumentError("make_interp_spline: bc_type= is not supported for traced values")
    return _Interpolant(y, _Scheme(lambda v: _si.make_interp_spline(x, v, k, t, None, 0, check_finite)), axis)


class interp1d:
    """As ``scipy.interpolate.interp1d``, kinds linear, slinear, quadratic, cubic or a degree up to 5."""

    def __init__(
        self, x, y, kind="linear", axis=-1, copy=True, bounds_error=None, fill_value=_np.nan, assume_sorted=False
    ) -> None:
        if is_traced(x):
            raise ArgumentError("interp1d: x= has no derivative, pass plain knots")
        degree = {"linear": 1, "slinear": 1, "quadratic": 2, "cubic": 3}.get(kind, kind)
        if not isinstance(degree, int):
            raise ArgumentError(f"interp1d: kind={kind!r} is not supported; use scipy.interpolate.interp1d")
        self.x = _np.asarray(x, float)
        order = slice(None) if assume_sorted else _np.argsort(self.x, kind="stable")
        self.x = self.x[order]
        self.extrapolate = isinstance(fill_value, str) and fill_value == "extrapolate"
        self.fill = fill_value if isinstance(fill_value, tuple) else (fill_value, fill_value)
        self.bounds_error = (
            not self.extrapolate and _fills_nothing(fill_value) if bounds_error is None else bounds_error
        )
        y = inexact(y)
        axis = normalise_axis(axis, len(shape_of(y)))
        y = moveaxis(moveaxis(y, axis, 0)[order], 0, axis)
        self._spline = _Interpolant(y, _Scheme(lambda v: _si.make_interp_spline(self.x, v, degree)), axis)

    def __call__(self, x):
        query = inexact(x) * 1.0
        below, above = getval(query) < self.x[0], getval(query) > self.x[-1]
        if self.extrapolate or not _np.any(below | above):
            return self._spline(query)
        if self.bounds_error:
            raise ValueError("A value in x_new is outside the interpolation range.")
        axis, ndim = self._spline.axis, len(shape_of(query))
        result = self._spline(where(below | above, self.x[0], query))
        shape = (1,) * axis + shape_of(query) + (1,) * (len(shape_of(result)) - axis - ndim)
        result = where(_np.reshape(below, shape), self.fill[0], result)
        return where(_np.reshape(above, shape), self.fill[1], result)


def _fills_nothing(fill_value: Any) -> bool:
    """Whether ``fill_value`` was left at its default, for which SciPy raises outside the range."""
    return isinstance(fill_value, float) and _np.isnan(fill_value)
