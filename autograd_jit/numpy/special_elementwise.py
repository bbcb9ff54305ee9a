"""Elementwise functions that are written with others, or need a special function: sinc, i0, modf, nan_to_num, ...

Conventions: ``modf``, ``divmod`` and ``frexp`` are differentiated with their integer part held constant;
``nan_to_num`` has derivative 0 where it replaces a value; ``real_if_close`` is the real part or the identity,
as its value is.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..errors import ArgumentError
from ..trace.rules import composite, elementwise, valued_by
from ..trace.samples import call, complexes, normals, positives
from . import elementwise as ew
from .arguments import as_array, held, is_traced, plain_value, refuse, scalar_results
from .shaping import as_ndarray, own

__all__ = [
    "divmod",
    "fix",
    "frexp",
    "i0",
    "ldexp",
    "modf",
    "nan_to_num",
    "real_if_close",
    "sinc",
    "unwrap",
]

_SERIES_BELOW = 0.03


def _sinc_derivative(x: Any) -> Any:
    """The derivative of ``sinc``: by a series near 0, where the closed form loses its digits."""
    near = ew.less(ew.absolute(x), _SERIES_BELOW)
    safe = ew.where(near, 1.0, x)
    angle = ew.multiply(safe, _np.pi)
    far = ew.divide(ew.subtract(ew.cos(angle), ew.divide(ew.sin(angle), angle)), safe)
    square = ew.square(ew.multiply(ew.where(near, x, 0.0), _np.pi))
    # sinc'(x) = -pi^2 x / 3 (1 - s/10 + s^2/280 - s^3/15120 + ...), s = (pi x)^2 < 0.009: ten further digits
    series: Any = 1 / 1330560
    for coefficient in (-1 / 15120, 1 / 280, -1 / 10, 1.0):
        series = ew.add(ew.multiply(series, square), coefficient)
    small = ew.multiply(ew.multiply(ew.where(near, x, 0.0), -(_np.pi**2) / 3), series)
    return ew.where(near, small, far)


sinc = elementwise(_np.sinc, lambda x: _sinc_derivative(x))


def _raw_i1(x: Any) -> Any:
    from scipy.special import i1  # imported late: SciPy's special functions take long to load

    x = _np.asarray(x)
    if x.dtype == _np.longdouble:  # SciPy has none of this type
        return i1(x.astype(_np.float64)).astype(_np.longdouble)
    return i1(x)


i0 = elementwise(_np.i0, lambda x: _bessel_i1(x), complex=False)
_bessel_i1 = elementwise(
    _raw_i1, lambda ans, x: ew.subtract(i0(x), _i1_over_x(ans, x)), name="bessel_i1", complex=False
)


def _i1_over_x(ans: Any, x: Any) -> Any:
    zero = ew.equal(x, 0)
    return ew.where(zero, 0.5, ew.divide(ans, ew.where(zero, 1.0, x)))


def _raw_complex_of(real: Any, imaginary: Any) -> Any:
    real, imaginary = _np.asarray(real), _np.asarray(imaginary)  # two Python floats are of double precision
    kind = _np.result_type(real, imaginary, _np.complex64)
    result = _np.empty(_np.broadcast_shapes(real.shape, imaginary.shape), kind)
    result.real, result.imag = real, imaginary
    return result[()]


#: ``real + 1j * imaginary`` without the product, which makes NaN of infinities
complex_of = elementwise(
    _raw_complex_of, lambda: 1.0, lambda: 1j, name="complex_of", complex=False,
    samples=lambda: [call(normals(3), normals(3, seed=1))],
)  # fmt: skip

ldexp = elementwise(
    _np.ldexp,
    lambda y: ew.exp2(y * 1.0),
    None,
    complex=False,
    samples=lambda: [call(normals(3), 2), call(normals(2, 1), _np.array([1, -1, 3]))],
)

fix = ew.fix


@composite(complex=False, samples=lambda: [call(3 * normals(4)), call(2.3)])
@valued_by(lambda x, out=(None, None), **kwargs: _np.modf(x, out=out, **kwargs))
def modf(x, /, out=(None, None), **kwargs):
    """As ``numpy.modf``: the fractional part has derivative 1. Options of ufuncs are refused for traced arrays."""
    refuse("modf", out=None if out in (None, (None, None)) else out, **kwargs)
    whole = ew.trunc(x)
    fraction = ew.subtract(x, ew.where(ew.isinf(x), 0.0, whole))
    return fraction, whole


@composite(complex=False, samples=lambda: [call(positives(4), 0.7), call(normals(2), positives(2))])
def divmod(x1, x2, /, out=(None, None), **kwargs):
    """As ``numpy.divmod``. Options of ufuncs are refused for traced arrays."""
    if not is_traced(x1, x2):
        return _np.divmod(x1, x2, out=out, **kwargs)
    refuse("divmod", out=None if out in (None, (None, None)) else out, **kwargs)
    return ew.floor_divide(x1, x2), ew.mod(x1, x2)


@composite(complex=False, samples=lambda: [call(5 * normals(4))])
def frexp(x, /, out=(None, None), **kwargs):
    """As ``numpy.frexp``; the exponent is held constant. Options of ufuncs are refused for traced arrays."""
    if not is_traced(x):
        return _np.frexp(x, out=out, **kwargs)
    refuse("frexp", out=None if out in (None, (None, None)) else out, **kwargs)
    exponent = _exponent(x)
    return ldexp(x, ew.negative(exponent)), exponent


def _raw_exponent(x: Any) -> Any:
    return _np.frexp(x)[1]


_exponent = ew.nondifferentiable(_raw_exponent, name="frexp_exponent")


@composite(samples=lambda: [call(normals(4)), call(complexes(3)), call(_np.array([1.0, _np.nan, -_np.inf]), nan=2.0)])
@scalar_results
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """As ``numpy.nan_to_num``; ``copy=False`` is refused for traced arrays."""
    if not is_traced(x, nan, posinf, neginf):
        return _np.nan_to_num(x, copy, nan, posinf, neginf)
    if not copy:
        raise ArgumentError("nan_to_num: copy=False would write into a traced array; use the returned array")
    x = as_array(x)
    if x.dtype.kind == "c":
        parts = [nan_to_num(part, True, nan, posinf, neginf) for part in (ew.real(x), ew.imag(x))]
        return complex_of(*parts)
    if x.dtype.kind != "f":
        return own(x) if x.ndim else x[()]
    limits = _np.finfo(x.dtype)
    x = ew.where(ew.isnan(x), nan, x)
    x = ew.where(ew.isposinf(x), limits.max if posinf is None else posinf, x)
    x = ew.where(ew.isneginf(x), limits.min if neginf is None else neginf, x)
    return x if x.ndim else x[()]


@composite(samples=lambda: [call(normals(4)), call(complexes(3))])
def real_if_close(a, tol=100):
    """As ``numpy.real_if_close``."""
    if not is_traced(a):
        return _np.real_if_close(a, tol)
    a = as_ndarray(as_array(a))
    if a.dtype.kind != "c":
        return a
    limit = tol * _np.finfo(a.dtype).eps if tol > 1 else tol
    close = _np.all(_np.absolute(_np.imag(plain_value(a))) < limit)
    return ew.real(a) if close else a


@composite(
    complex=False,
    samples=lambda: [
        call(5 * normals(5)),
        call(9 * normals(3, 4), axis=0),
        call(3 * normals(5), discont=4.0, period=3.0),
    ],
)
@valued_by(_np.unwrap)
def unwrap(p, discont=None, axis=-1, *, period=2 * _np.pi):
    """As ``numpy.unwrap``: the jumps that it adds are locally constant."""
    discont, period = held("unwrap", discont=discont), held("unwrap", period=period)
    return ew.multiply(as_array(p), 1.0)
