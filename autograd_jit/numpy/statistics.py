"""Averages and covariances, histograms, counts."""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..trace.rules import composite, general, nondifferentiable
from ..trace.samples import call, complexes, normals, positives
from ..trace.tracer import getval
from . import elementwise as ew
from . import reductions
from .arguments import as_array, dtype_of, is_traced, normalise_axes, refuse_traced, shape_of
from .indexing import getitem
from .joining import concatenate
from .products import matmul
from .shaping import astype, broadcast_to, reshape, transpose
from .special_elementwise import complex_of

__all__ = ["average", "bincount", "corrcoef", "cov", "digitize", "histogram", "histogram2d", "histogram_bin_edges"]


@composite(
    samples=lambda: [
        call(normals(3, 4)),
        call(normals(3, 4), weights=positives(3, 4)),
        call(normals(3, 4), 1, positives(4)),
        call(normals(3, 4), (0, 1), positives(3, 4)),
        call(normals(3, 4), 0, positives(3), returned=True, keepdims=True),
    ]
)
def average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    """As ``numpy.average``."""
    if not is_traced(a, weights):
        return _np.average(a, axis, weights, returned, keepdims=keepdims)
    a = as_array(a)
    axes = normalise_axes(axis, a.ndim, strict=True)
    if weights is None:
        result = reductions.mean(a, axis, keepdims=keepdims)
        total = _np.full(shape_of(result), a.size / max(result.size, 1), dtype_of(result))
        return (result, total) if returned else result
    weights = _spread_weights(as_array(weights), a, axis, axes)
    kind = _np.result_type(a.dtype, weights.dtype, *["f8"] * (a.dtype.kind in "iub"))
    total = reductions.sum(weights, axes, dtype=kind, keepdims=keepdims)
    if reductions.any(ew.equal(total, 0.0)):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    weighted = ew.multiply(astype(a, kind), astype(weights, kind))
    result = ew.divide(reductions.sum(weighted, axes, keepdims=keepdims), total)
    return (result, broadcast_to(total, shape_of(result))) if returned else result


def _spread_weights(weights: Any, a: Any, axis: Any, axes: tuple) -> Any:
    """Weights in the shape of ``a``: given so, or along the averaged axes, in their order."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    order = [axis] if _np.ndim(axis) == 0 else list(axis)
    order = [position % a.ndim for position in order]
    if weights.shape != tuple([a.shape[position] for position in order]):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    weights = transpose(weights, tuple(_np.argsort(order).tolist()))
    shape = [a.shape[position] if position in axes else 1 for position in range(a.ndim)]
    return broadcast_to(reshape(weights, tuple(shape)), a.shape)


@composite(
    samples=lambda: [
        call(normals(3, 5)),
        call(normals(5)),
        call(normals(4, 3), rowvar=False, bias=True),
        call(normals(2, 5), normals(5, seed=1), ddof=0),
        call(normals(2, 4), fweights=_np.array([1, 2, 1, 3]), aweights=_np.array([0.5, 1.0, 0.2, 2.0]), argnums=(0,)),
        call(complexes(2, 4)),
    ]
)
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None):
    """As ``numpy.cov``; traced weights are refused."""
    refuse_traced("cov", fweights=fweights, aweights=aweights)
    if not is_traced(m, y):
        return _np.cov(m, y, rowvar, bias, ddof, fweights, aweights, dtype=dtype)
    rows = _variables(m, rowvar)
    if rows.shape[0] == 0:
        return _np.zeros((0, 0))
    if y is not None:
        rows = concatenate([rows, _variables(y, rowvar)], 0)
    rows = astype(rows, _np.result_type(rows.dtype, _np.float64) if dtype is None else dtype)
    if ddof is None:
        ddof = 0 if bias else 1
    weights = _product_of_weights(fweights, aweights)
    count = rows.shape[1]
    if weights is None:
        mean = reductions.mean(rows, 1, keepdims=True)
        factor, weighted = count - ddof, None
    else:
        total = weights.sum()
        mean = ew.divide(reductions.sum(ew.multiply(rows, weights), 1, keepdims=True), total)
        spread = ddof if aweights is None else ddof * (weights * aweights).sum() / total
        factor, weighted = total - spread, weights
    centred = ew.subtract(rows, mean)
    right = centred if weighted is None else ew.multiply(centred, weighted)
    product = matmul(centred, ew.conj(transpose(right)))
    with _np.errstate(divide="ignore"):
        normalised = ew.multiply(product, _np.true_divide(1, max(factor, 0.0)))
    return reshape(normalised, () if rows.shape[0] == 1 else product.shape)


def _variables(m: Any, rowvar: bool) -> Any:
    """One variable a row."""
    m = as_array(m)
    if m.ndim > 2:
        raise ValueError("m has more than 2 dimensions")
    if m.ndim < 2:
        return reshape(m, (1, -1))
    return m if rowvar or m.shape[0] == 1 else transpose(m)


def _product_of_weights(fweights: Any, aweights: Any) -> Any:
    given = [_np.asarray(w, float) for w in (fweights, aweights) if w is not None]
    return None if not given else given[0] if len(given) == 1 else given[0] * given[1]


@composite(
    samples=lambda: [call(normals(3, 5)), call(normals(4, 3), rowvar=False), call(normals(4), normals(4, seed=1))]
)
def corrcoef(x, y=None, rowvar=True, *, dtype=None):
    """As ``numpy.corrcoef``."""
    if not is_traced(x, y):
        return _np.corrcoef(x, y, rowvar, dtype=dtype)
    covariance = cov(x, y, rowvar, dtype=dtype)
    if covariance.ndim == 0:
        return ew.divide(covariance, covariance)
    from .shaping import diagonal

    deviations = ew.sqrt(ew.real(diagonal(covariance)))
    result = ew.divide(ew.divide(covariance, reshape(deviations, (-1, 1))), deviations)
    if result.dtype.kind == "c":
        return complex_of(_within_one(ew.real(result)), _within_one(ew.imag(result)))
    return _within_one(result)


def _within_one(x: Any) -> Any:
    return reductions.clip(x, -1, 1)


_bincount = general(
    lambda weights, x, minlength: _np.bincount(x, weights, minlength),
    {0: lambda ans, weights, x, minlength: lambda g: getitem(g, x)},
    {0: "same"},
    name="bincount",
    complex=False,
    samples=lambda: [call(normals(4), _np.array([0, 2, 2, 5]), 0), call(normals(2), _np.array([1, 0]), 4)],
)


@composite(
    samples=lambda: [call(_np.array([0, 2, 2, 5]), normals(4)), call(_np.array([1, 0]), normals(2), 4)], complex=False
)
def bincount(x, /, weights=None, minlength=0):
    """As ``numpy.bincount``; the weights are differentiable."""
    if not is_traced(x, weights, minlength):
        return _np.bincount(x, weights, minlength)
    if weights is not None:
        weights = as_array(weights)
    return _bincount(weights, getval(as_array(x)), int(minlength) if is_traced(minlength) else minlength)


# ---------------------------------------------------------------- without derivative

digitize = nondifferentiable(_np.digitize)
histogram_bin_edges = nondifferentiable(_np.histogram_bin_edges)
_histogram = nondifferentiable(_np.histogram)
_histogram2d = nondifferentiable(_np.histogram2d)


def histogram(a, bins=10, range=None, density=None, weights=None):
    """As ``numpy.histogram``: counts have no derivative; traced weights are refused (see ``bincount``)."""
    refuse_traced("histogram", weights=weights)
    return _histogram(a, bins, range, density, weights)


def histogram2d(x, y, bins=10, range=None, density=None, weights=None):
    """As ``numpy.histogram2d``: counts have no derivative; traced weights are refused (see ``bincount``)."""
    refuse_traced("histogram2d", weights=weights)
    return _histogram2d(x, y, bins, range, density, weights)
