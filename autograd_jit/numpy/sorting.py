"""Sorting and searching: sort is a gather by the plain permutation; searches have no derivative."""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..errors import ArgumentError
from ..trace.rules import composite, nondifferentiable, valued_by
from ..trace.samples import call, normals
from .arguments import as_array, is_traced, plain_value, refuse
from .indexing import take, take_along_axis
from .shaping import ravel

__all__ = [
    "arange",
    "argpartition",
    "argsort",
    "argwhere",
    "flatnonzero",
    "isin",
    "lexsort",
    "nanargmax",
    "nanargmin",
    "nonzero",
    "partition",
    "searchsorted",
    "sort",
    "trim_zeros",
    "unique",
    "unique_values",
]

argsort = nondifferentiable(_np.argsort)
argpartition = nondifferentiable(_np.argpartition)
argwhere = nondifferentiable(_np.argwhere)
nonzero = nondifferentiable(_np.nonzero)
flatnonzero = nondifferentiable(_np.flatnonzero)
searchsorted = nondifferentiable(_np.searchsorted)
lexsort = nondifferentiable(_np.lexsort)
isin = nondifferentiable(_np.isin)
nanargmax = nondifferentiable(_np.nanargmax)
nanargmin = nondifferentiable(_np.nanargmin)


def arange(*args, **kwargs):
    """As ``numpy.arange``, without derivative: the length depends on the values, so that a recorder guards them."""
    if is_traced(args, tuple(kwargs.values())):
        args = tuple([plain_value(a)[()] if is_traced(a) else a for a in args])
        kwargs = {name: plain_value(a)[()] if is_traced(a) else a for name, a in kwargs.items()}
    return _np.arange(*args, **kwargs)


_SAMPLES = lambda *middle: [
    call(normals(5), *middle),
    call(normals(3, 4), *middle, axis=0),
    call(normals(3, 4), *middle, axis=None),
    call(normals(2, 3), *middle, axis=-1),
]


@composite(samples=lambda: _SAMPLES(), complex=False)
def sort(a, axis=-1, kind=None, order=None, *, stable=None):
    """As ``numpy.sort``."""
    if not is_traced(a):
        return _np.sort(a, axis, kind, order, stable=stable)
    refuse("sort", order=order)
    if kind is not None and stable is not None:
        raise ValueError("`kind` and `stable` parameters can't be provided at the same time.")
    a = as_array(a)
    if axis is None:
        a, axis = ravel(a), -1
    return take_along_axis(a, argsort(a, axis, kind=kind or "stable"), axis)


@composite(samples=lambda: _SAMPLES(1), complex=False)
@valued_by(_np.partition, refuses=("order",))
def partition(a, kth, axis=-1, kind="introselect", order=None):
    """As ``numpy.partition``; equal elements may change places in the derivative."""
    a = as_array(a)
    if axis is None:
        a, axis = ravel(a), -1
    # which element went where: the partition's own ranks, since argpartition may leave another order
    ranks = argsort(argsort(_np.partition(plain_value(a), kth, axis, kind), axis, kind="stable"), axis)
    return take_along_axis(a, take_along_axis(argsort(a, axis, kind="stable"), ranks, axis), axis)


@composite(
    complex=False, samples=lambda: [call(normals(5)), call(_np.array([1.0, 0.5, 1.0]), return_index=True, argnums=())]
)
@valued_by(_np.unique)
def unique(
    ar,
    return_index=False,
    return_inverse=False,
    return_counts=False,
    axis=None,
    *,
    equal_nan=True,
    sorted=True,
):
    """As ``numpy.unique``: the derivative goes to the first of equal elements."""
    ar = as_array(ar)
    plain = plain_value(ar)
    _, index, *rest = _np.unique(plain, True, return_inverse, return_counts, axis, equal_nan=equal_nan, sorted=sorted)
    values = take(ar, index, axis)
    results: list[Any] = [values] + [index] * bool(return_index) + rest
    return tuple(results) if len(results) > 1 else values


def unique_values(x, /):
    """As ``numpy.unique_values``, in sorted order."""
    return unique(x, equal_nan=False) if is_traced(x) else _np.unique_values(x)


@composite(samples=lambda: [call(_np.array([0.0, 1.0, 0.0, 2.0, 0.0]), argnums=())])
def trim_zeros(filt, trim="fb", axis=None):
    """As ``numpy.trim_zeros``."""
    if not is_traced(filt):
        return _np.trim_zeros(filt, trim, axis)
    filt = as_array(filt)
    if filt.ndim != 1:
        raise ArgumentError("trim_zeros: axis= and arrays of several dimensions are not supported when traced")
    places = _np.flatnonzero(plain_value(filt))
    if places.size == 0:
        return filt[:0]
    start = int(places[0]) if "f" in trim.lower() else 0
    stop = int(places[-1]) + 1 if "b" in trim.lower() else filt.shape[0]
    return filt[start:stop]
