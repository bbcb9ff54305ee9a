"""Reductions and cumulative operations.

Public functions have NumPy's signatures; they normalise axes once and call a primitive that takes
``(x, axes, keepdims)`` with ``axes`` a sorted tuple of non-negative integers. On plain values they
call NumPy itself.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as _np

from ..errors import ArgumentError
from ..trace.rules import general, linear, nondifferentiable
from ..trace.tracer import BOX_TYPES
from . import elementwise as ew
from .arguments import NoValue, is_traced, normalise_axes, reduced_shape, refuse
from .shaping import astype, broadcast_to, moveaxis, ravel, reshape

# ---------------------------------------------------------------- primitives: (x, axes, keepdims)


def _spread(g: Any, shape: tuple, axes: tuple, keepdims: bool) -> Any:
    """The result of a reduction, broadcast back to the shape that was reduced."""
    if not keepdims and axes:
        g = reshape(g, reduced_shape(shape, axes))
    return broadcast_to(g, shape)


def _raw_sum(x: Any, axes: tuple, keepdims: bool) -> Any:
    return _np.sum(x, axis=axes, keepdims=keepdims)


reduce_sum = linear(_raw_sum, lambda g, shape, axes, keepdims: _spread(g, shape, axes, keepdims), name="reduce_sum")


def _chosen(ans: Any, x: Any, axes: tuple, keepdims: bool) -> Any:
    """Weights of the extremal elements: 1 for a single one, shared equally by ties."""
    hit = ew.equal(x, _spread(ans, _np.shape(x) if type(x) not in BOX_TYPES else x.shape, axes, keepdims))
    hit = ew.multiply(hit, _np.ones((), ans.dtype))
    return ew.divide(hit, reduce_sum(hit, axes, True))


def _extremum_vjp(ans: Any, x: Any, axes: tuple, keepdims: bool) -> Any:
    shape = _np.shape(x) if type(x) not in BOX_TYPES else x.shape
    return lambda g: ew.multiply(_spread(g, shape, axes, keepdims), _chosen(ans, x, axes, keepdims))


def _extremum_jvp(g: Any, ans: Any, x: Any, axes: tuple, keepdims: bool) -> Any:
    return reduce_sum(ew.multiply(g, _chosen(ans, x, axes, keepdims)), axes, keepdims)


reduce_max = general(
    lambda x, axes, keepdims: _np.max(x, axis=axes, keepdims=keepdims),
    {0: _extremum_vjp},
    {0: _extremum_jvp},
    name="reduce_max",
    complex=False,
)
reduce_min = general(
    lambda x, axes, keepdims: _np.min(x, axis=axes, keepdims=keepdims),
    {0: _extremum_vjp},
    {0: _extremum_jvp},
    name="reduce_min",
    complex=False,
)
reduce_all = nondifferentiable(
    lambda x, axes, keepdims: _np.all(x, axis=axes, keepdims=keepdims), name="reduce_all"
)
reduce_any = nondifferentiable(
    lambda x, axes, keepdims: _np.any(x, axis=axes, keepdims=keepdims), name="reduce_any"
)
argmax = nondifferentiable(_np.argmax)
argmin = nondifferentiable(_np.argmin)
count_nonzero = nondifferentiable(_np.count_nonzero)

# ---------------------------------------------------------------- public functions


def _masked(x: Any, where: Any, neutral: Any) -> Any:
    return x if where is NoValue or where is True else ew.where(where, x, neutral)


def sum(a, axis=None, dtype=None, out=None, keepdims=False, initial=NoValue, where=NoValue):
    """As ``numpy.sum``; ``out`` is refused for traced arrays."""
    if not is_traced(a, initial, where):
        return _np.sum(_as_array(a), axis, dtype, out, keepdims, initial, where)
    refuse("sum", out=out)
    a = _prepared(a, dtype, where, 0)
    result = reduce_sum(a, normalise_axes(axis, a.ndim), builtins.bool(keepdims))
    return result if initial is NoValue else ew.add(result, initial)


def _as_array(a: Any) -> Any:
    """A list that holds traced values, as one traced array; anything else as it is."""
    if type(a) is list or type(a) is tuple:
        from .joining import array

        return array(a)
    return a


def _prepared(a: Any, dtype: Any, where: Any, neutral: Any) -> Any:
    """``a`` as an array of the dtype asked for, elements outside ``where`` made neutral."""
    from .joining import array

    a = _as_array(a)
    if dtype is not None:
        a = astype(a, dtype)
    a = _masked(a, where, neutral)
    return a if type(a) in BOX_TYPES else array(a)


def _count(a: Any, axes: tuple, where: Any) -> Any:
    if where is NoValue or where is True:
        return math.prod([a.shape[axis] for axis in axes])
    return reduce_sum(broadcast_to(where, a.shape) * 1.0, axes, True)


def mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=NoValue):
    """As ``numpy.mean``; ``out`` is refused for traced arrays."""
    if not is_traced(a, where):
        return _np.mean(_as_array(a), axis, dtype, out, keepdims, where=where)
    refuse("mean", out=out)
    a = _as_array(a)
    axes = normalise_axes(axis, a.ndim)
    count = _count(a, axes, where)
    total = reduce_sum(_prepared(a, dtype, where, 0), axes, builtins.bool(keepdims))
    if type(count) is not int:
        count = reshape(count, total.shape)
    return ew.divide(total, count)


def var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=NoValue, mean=NoValue, correction=NoValue):
    """As ``numpy.var``; the variance of complex numbers is real. ``out`` is refused for traced arrays."""
    if not is_traced(a, where, mean):
        return _np.var(
            _as_array(a), axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction
        )
    refuse("var", out=out)
    if correction is not NoValue:
        if ddof != 0:
            raise ArgumentError("var: ddof and correction cannot be provided simultaneously")
        ddof = correction
    a = _as_array(a)
    a = a if dtype is None else astype(a, dtype)
    axes = normalise_axes(axis, a.ndim)
    count = _count(a, axes, where)
    if mean is NoValue:
        mean = ew.divide(reduce_sum(_masked(a, where, 0), axes, True), count)
    deviation = ew.subtract(a, mean)
    squares = ew.square(deviation)
    if a.dtype.kind == "c":
        squares = ew.add(ew.square(ew.real(deviation)), ew.square(ew.imag(deviation)))
    total = reduce_sum(_masked(squares, where, 0), axes, builtins.bool(keepdims))
    divisor = ew.maximum(count - ddof, 0) if type(count) is not int else builtins.max(count - ddof, 0)
    if type(divisor) is not int and not isinstance(divisor, float):
        divisor = reshape(divisor, total.shape)
    return ew.divide(total, _np.float64(divisor) if isinstance(divisor, int) and divisor == 0 else divisor)


_root = general(
    _np.sqrt,
    {0: lambda ans, x: lambda g: g * _half_reciprocal(ans)},
    {0: lambda g, ans, x: g * _half_reciprocal(ans)},
    name="sqrt_of_variance",
)


def _half_reciprocal(root: Any) -> Any:
    """``0.5 / root``, and 0 at 0: the standard deviation of a constant has a minimum there."""
    zero = ew.equal(root, 0)
    return ew.where(zero, 0.0, ew.divide(0.5, ew.where(zero, 1.0, root)))


def std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=NoValue, mean=NoValue, correction=NoValue):
    """As ``numpy.std``; derivative 0 where the data are constant. ``out`` is refused for traced arrays."""
    if not is_traced(a, where, mean):
        return _np.std(
            _as_array(a), axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction
        )
    refuse("std", out=out)
    return _root(var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction))


def _extreme(name: str, numpy_function: Any, reduce: Any, pair: Any) -> Any:
    def extreme(a, axis=None, out=None, keepdims=False, initial=NoValue, where=NoValue):
        if not is_traced(a, initial, where):
            return numpy_function(_as_array(a), axis, out, keepdims, initial, where)
        refuse(name, out=out)
        a = _as_array(a)
        if where is not NoValue and where is not True:
            if initial is NoValue:
                raise ArgumentError(f"{name}: where= needs initial=, as in NumPy")
            a = ew.where(where, a, initial)
        result = reduce(a, normalise_axes(axis, a.ndim), builtins.bool(keepdims))
        return result if initial is NoValue else pair(result, initial)

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = f"As ``numpy.{name}``; ties share the derivative. ``out`` is refused for traced arrays."
    return extreme


max = amax = _extreme("max", _np.max, reduce_max, ew.maximum)
min = amin = _extreme("min", _np.min, reduce_min, ew.minimum)


def ptp(a, axis=None, out=None, keepdims=False):
    """As ``numpy.ptp``: maximum minus minimum."""
    if not is_traced(a):
        return _np.ptp(_as_array(a), axis, out, keepdims)
    refuse("ptp", out=out)
    return ew.subtract(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


def _logical(name: str, numpy_function: Any, reduce: Any, neutral: bool) -> Any:
    def logical(a, axis=None, out=None, keepdims=False, *, where=NoValue):
        if not is_traced(a, where):
            return numpy_function(_as_array(a), axis, out, keepdims, where=where)
        refuse(name, out=out)
        a = _prepared(a, None, where, neutral)
        return reduce(a, normalise_axes(axis, a.ndim), builtins.bool(keepdims))

    logical.__name__ = logical.__qualname__ = name
    logical.__doc__ = f"As ``numpy.{name}``; no derivative."
    return logical


all = _logical("all", _np.all, reduce_all, True)
any = _logical("any", _np.any, reduce_any, False)

# ---------------------------------------------------------------- products


def _others(x: Any, axes: tuple) -> Any:
    """For each element the product of all others along ``axes``, without division (right at zeros)."""
    shape = x.shape
    kept = tuple(axis for axis in range(len(shape)) if axis not in axes)
    flat = reshape(_transposed(x, kept + axes), tuple(shape[a] for a in kept) + (-1,))
    ones = _np.ones(flat.shape[:-1] + (1,), flat.dtype)
    from .joining import concatenate
    from .shaping import flip

    before = cumulative_product(concatenate([ones, flat[..., :-1]], -1), -1)
    after = flip(cumulative_product(concatenate([ones, flip(flat, -1)[..., :-1]], -1), -1), -1)
    product = reshape(ew.multiply(before, after), tuple(shape[a] for a in kept + axes))
    inverse = [0] * len(shape)
    for position, axis in enumerate(kept + axes):
        inverse[axis] = position
    return _transposed(product, tuple(inverse))


def _transposed(x: Any, order: tuple) -> Any:
    from .shaping import transpose

    return transpose(x, order)


def _prod_vjp(ans: Any, x: Any, axes: tuple, keepdims: bool) -> Any:
    shape = _np.shape(x) if type(x) not in BOX_TYPES else x.shape
    return lambda g: ew.multiply(_spread(g, shape, axes, keepdims), _others(x, axes))


reduce_prod = general(
    lambda x, axes, keepdims: _np.prod(x, axis=axes, keepdims=keepdims),
    {0: _prod_vjp},
    {0: lambda g, ans, x, axes, keepdims: reduce_sum(ew.multiply(g, _others(x, axes)), axes, keepdims)},
    name="reduce_prod",
)


def prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=NoValue, where=NoValue):
    """As ``numpy.prod``; derivatives are right where factors are zero. ``out`` is refused for traced arrays."""
    if not is_traced(a, initial, where):
        return _np.prod(_as_array(a), axis, dtype, out, keepdims, initial, where)
    refuse("prod", out=out)
    a = _prepared(a, dtype, where, 1)
    result = reduce_prod(a, normalise_axes(axis, a.ndim), builtins.bool(keepdims))
    return result if initial is NoValue else ew.multiply(result, initial)


# ---------------------------------------------------------------- cumulative


def _reversed_cumsum(g: Any, axis: int) -> Any:
    from .shaping import flip

    return flip(cumulative_add(flip(g, axis), axis), axis)


cumulative_add = linear(
    lambda x, axis: _np.cumsum(x, axis), lambda g, shape, axis: _reversed_cumsum(g, axis), name="cumulative_add"
)


def cumsum(a, axis=None, dtype=None, out=None):
    """As ``numpy.cumsum``. ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.cumsum(_as_array(a), axis, dtype, out)
    refuse("cumsum", out=out)
    a = _prepared(a, dtype, NoValue, 0)
    if axis is None:
        return cumulative_add(ravel(a), 0)
    return cumulative_add(a, normalise_axes(axis, a.ndim)[0])


def _cumprod_weights(x: Any, axis: int) -> Any:
    """``W[..., i, j]`` = derivative of the cumulative product at ``i`` by element ``j``: product of the others."""
    x = moveaxis(x, axis, -1)
    n = x.shape[-1]
    rows = broadcast_to(x[..., None, :], x.shape[:-1] + (n, n))
    keep = _np.tril(_np.ones((n, n), builtins.bool))
    return ew.multiply(_others(ew.where(keep, rows, 1.0), (len(rows.shape) - 1,)), keep)


def _cumprod_vjp(ans: Any, x: Any, axis: int) -> Any:
    def pull(g: Any) -> Any:
        weights = _cumprod_weights(x, axis)
        cotangent = reduce_sum(ew.multiply(moveaxis(g, axis, -1)[..., :, None], weights), (weights.ndim - 2,), False)
        return moveaxis(cotangent, -1, axis)

    return pull


def _cumprod_jvp(g: Any, ans: Any, x: Any, axis: int) -> Any:
    weights = _cumprod_weights(x, axis)
    tangent = reduce_sum(ew.multiply(moveaxis(g, axis, -1)[..., None, :], weights), (weights.ndim - 1,), False)
    return moveaxis(tangent, -1, axis)


cumulative_product = general(
    lambda x, axis: _np.cumprod(x, axis), {0: _cumprod_vjp}, {0: _cumprod_jvp}, name="cumulative_product"
)


def cumprod(a, axis=None, dtype=None, out=None):
    """As ``numpy.cumprod``; right at zeros. ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.cumprod(_as_array(a), axis, dtype, out)
    refuse("cumprod", out=out)
    a = _prepared(a, dtype, NoValue, 1)
    if axis is None:
        return cumulative_product(ravel(a), 0)
    return cumulative_product(a, normalise_axes(axis, a.ndim)[0])


def clip(a, a_min=NoValue, a_max=NoValue, out=None, *, min=NoValue, max=NoValue, **kwargs):
    """As ``numpy.clip``: derivative 1 inside the bounds and at them, 0 outside; bounds are differentiable too."""
    lower = a_min if min is NoValue else min
    upper = a_max if max is NoValue else max
    lower = None if lower is NoValue else lower
    upper = None if upper is NoValue else upper
    if not is_traced(a, lower, upper):
        return _np.clip(_as_array(a), lower, upper, out, **kwargs)
    refuse("clip", out=out, **kwargs)
    a = _as_array(a)
    if lower is not None:
        a = _bounded(a, lower, ew.maximum, ew.less)
    if upper is not None:
        a = _bounded(a, upper, ew.minimum, ew.greater)
    return a


def _bounded(a: Any, bound: Any, extremum: Any, outside: Any) -> Any:
    """``extremum(a, bound)`` with the whole derivative going to ``a`` at a tie."""
    return _clip_one(a, bound, extremum is ew.maximum)


def _raw_clip_one(x: Any, bound: Any, from_below: bool) -> Any:
    return _np.maximum(x, bound) if from_below else _np.minimum(x, bound)


def _is_outside(x: Any, bound: Any, from_below: bool) -> Any:
    return ew.less(x, bound) if from_below else ew.greater(x, bound)


_ZERO = _np.zeros((), _np.float32)
_clip_one = general(
    _raw_clip_one,
    {
        0: lambda ans, x, bound, below: lambda g: ew.where(_is_outside(x, bound, below), _ZERO, g),
        1: lambda ans, x, bound, below: lambda g: ew.where(_is_outside(x, bound, below), g, _ZERO),
    },
    {
        0: lambda g, ans, x, bound, below: ew.where(_is_outside(x, bound, below), _ZERO, g),
        1: lambda g, ans, x, bound, below: ew.where(_is_outside(x, bound, below), g, _ZERO),
    },
    name="clip_one",
    complex=False,
)
