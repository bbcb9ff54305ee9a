"""Reductions that leave NaN out: each is the plain one with NaN masked, and has derivative 0 at NaN."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as _np

from ..trace.rules import composite, valued_by
from ..trace.samples import call, normals
from . import cumulative, reductions
from . import elementwise as ew
from .arguments import NoValue, as_array, held, is_traced, normalise_axes, refuse, scalar_results
from .ordering import hundredths, nanquantile_sorted

__all__ = [
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanpercentile",
    "nanprod",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
]


def _holey(*shape: int) -> Any:
    x = normals(*shape)
    x.reshape(-1)[1::5] = _np.nan
    return x


_SAMPLES = lambda: [
    call(_holey(3, 4)),
    call(_holey(3, 4), axis=0),
    call(_holey(3, 4), axis=(0, -1)),
    call(_holey(3, 4), 1, keepdims=True),
    call(normals()),
]


def _without_nan(a: Any, neutral: float) -> tuple[Any, Any]:
    """``a`` as an array with ``neutral`` for NaN, and where NaN was; None for arrays that hold none."""
    a = as_array(a)
    if a.dtype.kind not in "fc":
        return a, None
    holes = ew.isnan(a)
    return ew.where(holes, neutral, a), holes


@composite(samples=lambda: [*_SAMPLES(), call(_holey(3, 4), axis=0, initial=1.5, where=_np.arange(4) > 1)])
def nansum(a, axis=None, dtype=None, out=None, keepdims=False, initial=NoValue, where=NoValue):
    """As ``numpy.nansum``; ``out`` is refused for traced arrays."""
    if not is_traced(a, initial):
        return _np.nansum(a, axis, dtype, out, keepdims, initial, where)
    return reductions.sum(_without_nan(a, 0)[0], axis, dtype, out, keepdims, initial, where)


@composite(samples=_SAMPLES)
def nanprod(a, axis=None, dtype=None, out=None, keepdims=False, initial=NoValue, where=NoValue):
    """As ``numpy.nanprod``; ``out`` is refused for traced arrays."""
    if not is_traced(a, initial):
        return _np.nanprod(a, axis, dtype, out, keepdims, initial, where)
    return reductions.prod(_without_nan(a, 1)[0], axis, dtype, out, keepdims, initial, where)


@composite(samples=_SAMPLES)
def nanmean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=NoValue):
    """As ``numpy.nanmean``; ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.nanmean(a, axis, dtype, out, keepdims, where=where)
    filled, holes = _without_nan(a, 0)
    if holes is None:
        return reductions.mean(filled, axis, dtype, out, keepdims, where=where)
    refuse("nanmean", out=out)
    _refuse_inexact(dtype)
    axes = normalise_axes(axis, filled.ndim)
    total = reductions.sum(filled, axis, dtype, None, keepdims, where=where)
    return reductions.per_count(total, _count(holes, axes, where, keepdims))


def _refuse_inexact(dtype: Any) -> None:
    if dtype is not None and _np.dtype(dtype).kind not in "fc":
        raise TypeError("If a is inexact, then dtype must be inexact")


def _count(holes: Any, axes: tuple, where: Any, keepdims: bool) -> Any:
    """How many elements are no NaN."""
    counted = ew.logical_not(holes)
    if where is not NoValue and where is not True:
        counted = ew.logical_and(counted, where)
    return reductions.count_of(counted, axes, counted, keepdims)


@composite(samples=lambda: [*_SAMPLES()[:-1], call(_holey(3, 4), axis=0, ddof=1)])
@scalar_results
def nanvar(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=NoValue, mean=NoValue, correction=NoValue
):
    """As ``numpy.nanvar``; ``out`` is refused for traced arrays."""
    if not is_traced(a, mean):
        return _np.nanvar(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)
    return _nanvar(a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def _nanvar(a, axis, dtype, out, ddof, keepdims, where, mean, correction):
    """NumPy's steps; NaN where at most ``ddof`` elements are left."""
    filled, holes = _without_nan(a, 0)
    if holes is None:
        return reductions.var(
            filled, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction
        )
    refuse("nanvar", out=out)
    _refuse_inexact(dtype)
    ddof = reductions.ddof_of("nanvar", ddof, correction)
    axes = normalise_axes(axis, filled.ndim)
    if mean is NoValue:
        total = reductions.sum(filled, axes, dtype, None, True, where=where)
        mean = reductions.per_count(total, _count(holes, axes, where, True))
    deviation = ew.where(holes, 0, ew.subtract(filled, mean))
    total = reductions.sum(reductions.squared_modulus(deviation), axes, dtype, None, keepdims, where=where)
    free = _count(holes, axes, where, keepdims) - ddof
    enough = ew.greater(free, 0)
    # divided by 1 where there are too few: 0 / 0 would make the derivative NaN there for elements that count
    result = reductions.per_count(total, ew.where(enough, free, 1))
    return ew.where(enough, result, _np.array(_np.nan, result.dtype))


@composite(samples=lambda: [*_SAMPLES()[:-1], call(_holey(3, 4), axis=0, ddof=1)])
@scalar_results
def nanstd(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=NoValue, mean=NoValue, correction=NoValue
):
    """As ``numpy.nanstd``; ``out`` is refused for traced arrays."""
    if not is_traced(a, mean):
        return _np.nanstd(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)
    return reductions.root_of_variance(_nanvar(a, axis, dtype, out, ddof, keepdims, where, mean, correction))


def _nan_extreme(name: str, numpy_function: Any, function: Any, neutral: float) -> Any:
    def extreme(a, axis=None, out=None, keepdims=False, initial=NoValue, where=NoValue):
        if not is_traced(a, initial):
            return numpy_function(a, axis, out, keepdims, initial, where)
        a = as_array(a)
        if a.dtype.kind not in "fc":
            return function(a, axis, out, keepdims, initial, where)
        counted = ew.logical_not(ew.isnan(a))
        filled = ew.where(counted, a, _np.array(neutral, a.dtype))
        result = function(filled, axis, out, keepdims, initial, where)
        axes = normalise_axes(axis, a.ndim)
        empty = ew.logical_not(reductions.reduce_any(counted, axes, builtins.bool(keepdims)))
        return ew.where(empty, _np.array(_np.nan, a.dtype), result)

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = f"As ``numpy.{name}``; ties share the derivative. ``out`` is refused for traced arrays."
    return composite(complex=False, samples=_SAMPLES)(scalar_results(extreme))


nanmax = _nan_extreme("nanmax", _np.nanmax, reductions.max, -_np.inf)
nanmin = _nan_extreme("nanmin", _np.nanmin, reductions.min, _np.inf)


def _nan_cumulative(name: str, numpy_function: Any, function: Any, neutral: int) -> Any:
    def accumulate(a, axis=None, dtype=None, out=None):
        if not is_traced(a):
            return numpy_function(a, axis, dtype, out)
        a = as_array(a)
        return function(_without_nan(a, neutral)[0], axis, dtype, out)

    accumulate.__name__ = accumulate.__qualname__ = name
    accumulate.__doc__ = f"As ``numpy.{name}``. ``out`` is refused for traced arrays."
    return composite(samples=lambda: [call(_holey(5)), call(_holey(3, 4), axis=-1)])(accumulate)


nancumsum = _nan_cumulative("nancumsum", _np.nancumsum, cumulative.cumsum, 0)
nancumprod = _nan_cumulative("nancumprod", _np.nancumprod, cumulative.cumprod, 1)


@composite(complex=False, samples=_SAMPLES)
@valued_by(_np.nanmedian)
def nanmedian(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """As ``numpy.nanmedian``; ``out`` is refused for traced arrays."""
    return nanquantile_sorted(as_array(a), 0.5, axis, "linear", keepdims)


@composite(
    complex=False,
    samples=lambda: [
        call(_holey(3, 4), 0.3, argnums=(0,)),
        call(_holey(3, 4), _np.array([0.1, 0.8]), axis=1, argnums=(0,)),
    ],
)
@valued_by(_np.nanquantile, refuses=("weights",))
def nanquantile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None):
    """As ``numpy.nanquantile``; ``out``, ``weights`` and a traced ``q`` are refused for traced arrays."""
    return nanquantile_sorted(as_array(a), held("nanquantile", q=q), axis, method, keepdims)


@composite(complex=False, samples=lambda: [call(_holey(3, 4), 30), call(_holey(3, 4), 70, axis=0, keepdims=True)])
@valued_by(_np.nanpercentile, refuses=("weights",))
def nanpercentile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None):
    """As ``numpy.nanpercentile``; ``out``, ``weights`` and a traced ``q`` are refused for traced arrays."""
    return nanquantile_sorted(as_array(a), hundredths("nanpercentile", q), axis, method, keepdims)
