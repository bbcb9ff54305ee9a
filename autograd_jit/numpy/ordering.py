"""Order statistics: median, quantiles and percentiles, as interpolations between sorted elements."""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..trace.rules import composite, valued_by
from ..trace.samples import call, normals
from . import elementwise as ew
from . import reductions
from .arguments import (
    as_array,
    held,
    is_traced,
    normalise_axes,
    plain_value,
    reduced_shape,
    scalar_results,
)
from .indexing import take_along_axis
from .shaping import astype, moveaxis, reshape, transpose
from .sorting import sort

__all__ = ["median", "percentile", "quantile"]


def _sorted_last(a: Any, axis: Any) -> tuple[Any, tuple]:
    """``a`` with the reduced axes joined into a last one and sorted along it, and those axes."""
    axes = normalise_axes(axis, a.ndim)
    kept = tuple([position for position in range(a.ndim) if position not in axes])
    joined = reshape(transpose(a, kept + axes), (*[a.shape[position] for position in kept], -1))
    return sort(joined, -1), axes


def _positions(count: int, q: Any, method: str) -> Any:
    """Where the quantile lies between the ``count`` sorted elements: NumPy's own answer for the numbers 0, 1, 2, ..."""
    return _np.quantile(_np.arange(count, dtype=float), q, method=method)  # type: ignore[call-overload]


def _interpolated(ordered: Any, positions: Any) -> Any:
    """The value at fractional ``positions`` along the last axis; both have the same leading axes."""
    low = _np.floor(positions).astype(int)
    high = _np.ceil(positions).astype(int)
    fraction = (positions - low).astype(ordered.dtype)
    below = take_along_axis(ordered, low, -1)
    step = ew.subtract(take_along_axis(ordered, high, -1), below)
    step = ew.where(low == high, _np.zeros((), ordered.dtype), step)  # no inf - inf
    return ew.add(below, ew.multiply(step, fraction))


def _finished(result: Any, a: Any, axes: tuple, q: Any, keepdims: bool) -> Any:
    """Quantiles, which lie along the last axis, in the shape that NumPy gives them."""
    q_shape = _np.shape(q)
    rest = result.shape[:-1]
    if keepdims:
        rest = reduced_shape(a.shape, axes)
    return reshape(moveaxis(result, -1, 0), (*q_shape, *rest))


def _in_result_dtype(a: Any, q: Any, method: str) -> Any:
    if a.dtype.kind != "f":
        a = astype(a, float)
    if method in ("inverted_cdf", "closest_observation", "lower", "higher", "nearest"):
        return a
    return astype(a, _np.quantile(_np.zeros(1, a.dtype), q).dtype)


def _quantile(a: Any, q: Any, axis: Any, method: str, keepdims: bool) -> Any:
    a = _in_result_dtype(a, q, method)
    ordered, axes = _sorted_last(a, axis)
    flat = _np.ravel(_positions(ordered.shape[-1], q, method))
    positions = _np.broadcast_to(flat, (*ordered.shape[:-1], flat.size))
    result = _interpolated(ordered, positions)
    last = ordered[..., -1:]  # NaN, if there is one, is sorted to the end
    return _finished(ew.where(ew.isnan(last), last, result), a, axes, q, keepdims)


def nanquantile_sorted(a: Any, q: Any, axis: Any, method: str, keepdims: bool) -> Any:
    """The quantile of the elements that are not NaN."""
    a = _in_result_dtype(a, q, method)
    ordered, axes = _sorted_last(a, axis)
    counts = _np.sum(~_np.isnan(plain_value(ordered)), axis=-1)
    flat_q = _np.ravel(q)
    positions = _np.zeros((*counts.shape, flat_q.size))
    for count in set(counts.reshape(-1).tolist()) - {0}:
        positions[counts == count] = _np.ravel(_positions(count, flat_q, method))
    return _finished(_interpolated(ordered, positions), a, axes, q, keepdims)


def hundredths(name: str, q: Any) -> Any:
    """Percents as shares of one."""
    q = held(name, q=q)
    return q / 100 if isinstance(q, (int, float)) and not isinstance(q, _np.generic) else _np.true_divide(q, 100)


_SAMPLES = lambda: [
    call(normals(5)),
    call(normals(6)),
    call(normals(3, 4), axis=-1),
    call(normals(3, 4, 2), axis=(0, 2)),
    call(normals(3, 4), 0, keepdims=True),
    call(normals()),
]


@composite(complex=False, samples=_SAMPLES)
@scalar_results
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """As ``numpy.median``; ``out`` is refused for traced arrays, and the input is never overwritten."""
    if out is None and is_traced(a):
        a = as_array(a)
        if a.dtype in (_np.float64, _np.float32) and a.size and a.ndim:
            return _median_of_floats(a, axis, keepdims)
    return _median(a, axis, out, overwrite_input, keepdims)


def _median_of_floats(a: Any, axis: Any, keepdims: bool) -> Any:
    """NumPy's steps, which have kernels: the mean of the one or two elements in the middle."""
    ordered, axes = _sorted_last(a, axis)
    count = ordered.shape[-1]
    result = reductions.mean(ordered[..., (count - 1) // 2 : count // 2 + 1], -1)
    last = ordered[..., -1]  # NaN, if there is one, is sorted to the end
    result = ew.where(ew.isnan(last), last, result)
    return reshape(result, reduced_shape(a.shape, axes)) if keepdims else result


#: of other dtypes, whose sums wrap, overflow or are complex
_median = valued_by(_np.median)(
    lambda a, axis=None, out=None, overwrite_input=False, keepdims=False: _quantile(
        as_array(a), 0.5, axis, "linear", keepdims
    )
)


@composite(
    complex=False,
    samples=lambda: [
        call(normals(5), 0.3, argnums=(0,)),
        call(normals(3, 4), _np.array([0.1, 0.5, 1.0]), axis=0, argnums=(0,)),
        call(normals(3, 4), _np.array([[0.1, 0.5]]), axis=1, keepdims=True, argnums=(0,)),
        *[
            call(normals(7), 0.37, method=method, argnums=(0,))
            for method in "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen "
            "weibull linear median_unbiased normal_unbiased lower higher midpoint nearest".split()
        ],
    ],
)
@valued_by(_np.quantile, refuses=("weights",))
def quantile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None):
    """As ``numpy.quantile``, every method; ``out``, ``weights`` and a traced ``q`` are refused for traced arrays."""
    return _quantile(as_array(a), held("quantile", q=q), axis, method, keepdims)


@composite(
    complex=False,
    samples=lambda: [call(normals(5), 30, argnums=(0,)), call(normals(3, 4), [10, 75.0], axis=0, argnums=(0,))],
)
@valued_by(_np.percentile, refuses=("weights",))
def percentile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None):
    """As ``numpy.percentile``; ``out``, ``weights`` and a traced ``q`` are refused for traced arrays."""
    return _quantile(as_array(a), hundredths("percentile", q), axis, method, keepdims)
