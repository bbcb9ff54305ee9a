"""Reductions: sum, mean, prod, var, std, extrema and the logical ones; clip.

Public functions have NumPy's signatures; they normalise axes once and call a primitive that takes
``(x, axes, keepdims)`` with ``axes`` a sorted tuple of non-negative integers. On plain values they
call NumPy itself.

Conventions: equal extrema share the derivative; ``std`` has derivative 0 where the data are constant; ``clip`` has
derivative 1 at its bounds; ``prod`` is right where factors are zero. Half precision is summed in single precision
by ``mean``, ``var`` and ``std``, as in NumPy.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as _np

from ..errors import ArgumentError
from ..trace.rules import composite, general, linear, nondifferentiable
from ..trace.samples import call, complexes, mask, normals
from ..trace.tracer import BOX_TYPES
from . import elementwise as ew
from .arguments import NoValue, is_traced, normalise_axes, reduced_shape, refuse, shape_of
from .arguments import as_array as _as_array
from .shaping import astype, broadcast_to, reshape, transpose

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "clip",
    "count_nonzero",
    "max",
    "mean",
    "min",
    "prod",
    "ptp",
    "std",
    "sum",
    "var",
]

# ---------------------------------------------------------------- primitives: (x, axes, keepdims)


def _spread(g: Any, shape: tuple, axes: tuple, keepdims: bool) -> Any:
    """The result of a reduction, broadcast back to the shape that was reduced."""
    if not keepdims and 0 < len(axes) < len(shape):  # what has no axes left broadcasts as it is
        g = reshape(g, reduced_shape(shape, axes))
    return broadcast_to(g, shape)


def _raw_sum(x: Any, axes: tuple, keepdims: bool) -> Any:
    return _np.add.reduce(x, axis=axes, keepdims=keepdims)  # type: ignore[call-overload]  # np.sum, 0.7 us earlier


reduce_sum = linear(
    _raw_sum,
    lambda g, shape, axes, keepdims: _spread(g, shape, axes, keepdims),
    name="reduce_sum",
    samples=lambda: [call(normals(2, 3), axes, keep) for axes in ((), (0,), (0, 1)) for keep in (False, True)],
)


def _chosen(ans: Any, x: Any, axes: tuple, keepdims: bool) -> Any:
    """Weights of the extremal elements: 1 for a single one, shared equally by ties."""
    hit = ew.equal(x, _spread(ans, shape_of(x), axes, keepdims))
    hit = ew.multiply(hit, _np.ones((), ans.dtype))
    return ew.divide(hit, reduce_sum(hit, axes, True))


def _extremum_vjp(ans: Any, x: Any, axes: tuple, keepdims: bool) -> Any:
    shape = shape_of(x)
    return lambda g: ew.multiply(_spread(g, shape, axes, keepdims), _chosen(ans, x, axes, keepdims))


def _extremum_jvp(g: Any, ans: Any, x: Any, axes: tuple, keepdims: bool) -> Any:
    return reduce_sum(ew.multiply(g, _chosen(ans, x, axes, keepdims)), axes, keepdims)


reduce_max = general(
    lambda x, axes, keepdims: _np.max(x, axis=axes, keepdims=keepdims),
    {0: _extremum_vjp},
    {0: _extremum_jvp},
    name="reduce_max",
    complex=False,
    samples=lambda: [call(normals(2, 3), axes, keep) for axes in ((1,), (0, 1)) for keep in (False, True)],
)
reduce_min = general(
    lambda x, axes, keepdims: _np.min(x, axis=axes, keepdims=keepdims),
    {0: _extremum_vjp},
    {0: _extremum_jvp},
    name="reduce_min",
    complex=False,
    samples=lambda: [call(normals(2, 3), axes, keep) for axes in ((1,), (0, 1)) for keep in (False, True)],
)
reduce_all = nondifferentiable(lambda x, axes, keepdims: _np.all(x, axis=axes, keepdims=keepdims), name="reduce_all")
reduce_any = nondifferentiable(lambda x, axes, keepdims: _np.any(x, axis=axes, keepdims=keepdims), name="reduce_any")
argmax = nondifferentiable(_np.argmax)
argmin = nondifferentiable(_np.argmin)
count_nonzero = nondifferentiable(_np.count_nonzero)

# ---------------------------------------------------------------- public functions


def _masked(x: Any, where: Any, neutral: Any) -> Any:
    return x if where is NoValue or where is True else ew.where(where, x, neutral)


def _prepared(a: Any, dtype: Any, where: Any, neutral: Any) -> Any:
    """``a`` as an array of the dtype asked for, elements outside ``where`` made neutral."""
    a = _as_array(a)
    if dtype is not None:
        a = astype(a, dtype)
    return _masked(a, where, neutral)


def _widened(a: Any, dtype: Any) -> tuple[Any, Any]:
    """``a`` in the dtype that averages are computed in, and the dtype to give back (None: as it comes)."""
    if dtype is not None:
        return astype(a, dtype), None
    if a.dtype == _np.float16:  # as NumPy: half precision would lose the sum
        return astype(a, _np.float32), a.dtype
    return a, None


def _narrowed(result: Any, dtype: Any) -> Any:
    return result if dtype is None else astype(result, dtype)


def _count(a: Any, axes: tuple, where: Any, keepdims: bool) -> Any:
    """How many elements are reduced: a number, or with ``where`` an array of the real dtype of ``a``."""
    if where is NoValue or where is True:
        return math.prod([a.shape[axis] for axis in axes])
    kind = _np.finfo(a.dtype).dtype if a.dtype.kind in "fc" else _np.float64
    return reduce_sum(broadcast_to(ew.where(where, _np.ones((), kind), _np.zeros((), kind)), a.shape), axes, keepdims)


_REDUCTION_SAMPLES = lambda: [
    call(normals(3, 4)),
    call(normals(3, 4), axis=-1),
    call(normals(2, 3, 2), axis=(0, -1)),
    call(normals(3, 4), 1, keepdims=True),
    call(normals(3, 1), axis=()),
    call(normals()),
    call(normals(3, 4), axis=0, where=mask(3, 4)),
    call([normals(), 1.5, normals(seed=1)]),
]


def _with_mask_row(*more: Any) -> Any:
    return lambda: _REDUCTION_SAMPLES() + [sample() for sample in more]


@composite(
    samples=_with_mask_row(lambda: call(normals(3, 4), 0, initial=2.5, where=mask(4)), lambda: call(normals(0, 2), 0))
)
def sum(a, axis=None, dtype=None, out=None, keepdims=False, initial=NoValue, where=NoValue):
    """As ``numpy.sum``; ``out`` is refused for traced arrays."""
    if axis is None and type(a) in BOX_TYPES and dtype is out is None and not keepdims and initial is where is NoValue:
        return reduce_sum(a, tuple(range(a.ndim)), False)  # the commonest call of all
    if not is_traced(a, initial, where):
        return _np.sum(a, axis, dtype, out, keepdims, initial, where)
    refuse("sum", out=out)
    a = _prepared(a, dtype, where, 0)
    result = reduce_sum(a, normalise_axes(axis, a.ndim), builtins.bool(keepdims))
    return result if initial is NoValue else ew.add(result, initial)


@composite(samples=_with_mask_row())
def mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=NoValue):
    """As ``numpy.mean``; ``out`` is refused for traced arrays."""
    if not is_traced(a, where):
        return _np.mean(a, axis, dtype, out, keepdims, where=where)
    refuse("mean", out=out)
    a, back = _widened(_as_array(a), dtype)
    axes, keepdims = normalise_axes(axis, a.ndim), builtins.bool(keepdims)
    masked = _masked(a, where, 0)
    if masked.dtype.kind in "iu":  # NumPy adds integers up as floats here, which do not wrap
        masked = masked.astype(float)
    total = reduce_sum(masked, axes, keepdims)
    return _narrowed(ew.divide(total, _count(a, axes, where, keepdims)), back)


@composite(
    samples=_with_mask_row(
        lambda: call(normals(3, 4), axis=0, ddof=1),
        lambda: call(normals(3, 4), axis=0, correction=1),
        lambda: call(normals(3, 4), axis=0, keepdims=True, mean=normals(1, 4)),
        lambda: call(complexes(3, 2), axis=0),
    )
)
def var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=NoValue, mean=NoValue, correction=NoValue):
    """As ``numpy.var``; the variance of complex numbers is real. ``out`` is refused for traced arrays."""
    if not is_traced(a, where, mean):
        return _np.var(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)
    refuse("var", out=out)
    if correction is not NoValue:
        if ddof != 0:
            raise ArgumentError("var: ddof and correction cannot be provided simultaneously")
        ddof = correction
    a, back = _widened(_as_array(a), dtype)
    axes, keepdims = normalise_axes(axis, a.ndim), builtins.bool(keepdims)
    if mean is NoValue:
        mean = ew.divide(reduce_sum(_masked(a, where, 0), axes, True), _count(a, axes, where, True))
    # masked before as well as after: what is left out may be NaN, and 0 * NaN would reach the others
    deviation = ew.subtract(_masked(a, where, 0), mean)
    if a.dtype.kind == "c":
        squares = ew.add(ew.square(ew.real(deviation)), ew.square(ew.imag(deviation)))
    else:
        squares = ew.square(deviation)
    total = reduce_sum(_masked(squares, where, 0), axes, keepdims)
    count = _count(a, axes, where, keepdims)
    divisor = builtins.max(count - ddof, 0) if type(count) is int else ew.maximum(ew.subtract(count, ddof), 0)
    return _narrowed(ew.divide(total, divisor), back)


_root = general(
    _np.sqrt,
    {0: lambda ans, x: lambda g: g * _half_reciprocal(ans)},
    {0: lambda g, ans, x: g * _half_reciprocal(ans)},
    name="sqrt_of_variance",
    complex=False,
    samples=lambda: [call(_np.array([0.5, 1.0, 2.0])), call(0.7)],
)


def _half_reciprocal(root: Any) -> Any:
    """``0.5 / root``, and 0 at 0: the standard deviation of a constant has a minimum there."""
    zero = ew.equal(root, 0)
    return ew.where(zero, 0.0, ew.divide(0.5, ew.where(zero, 1.0, root)))


@composite(samples=_with_mask_row(lambda: call(normals(3, 4), axis=0, ddof=1)))
def std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=NoValue, mean=NoValue, correction=NoValue):
    """As ``numpy.std``; derivative 0 where the data are constant. ``out`` is refused for traced arrays."""
    if not is_traced(a, where, mean):
        return _np.std(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)
    refuse("std", out=out)
    return _root(var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction))


def _extreme(name: str, numpy_function: Any, reduce: Any, pair: Any) -> Any:
    def extreme(a, axis=None, out=None, keepdims=False, initial=NoValue, where=NoValue):
        if not is_traced(a, initial, where):
            return numpy_function(a, axis, out, keepdims, initial, where)
        refuse(name, out=out)
        a = _as_array(a)
        if where is not NoValue and where is not True:
            if initial is NoValue:
                raise ArgumentError(f"{name}: where= needs initial=, as in NumPy")
            a = ew.where(where, a, astype(_as_array(initial), a.dtype))
        result = reduce(a, normalise_axes(axis, a.ndim), builtins.bool(keepdims))
        return result if initial is NoValue else pair(result, initial)

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = f"As ``numpy.{name}``; ties share the derivative. ``out`` is refused for traced arrays."
    return composite(complex=False, samples=_extreme_samples)(extreme)


_extreme_samples = lambda: [
    *[sample for sample in _REDUCTION_SAMPLES() if "where" not in sample.kwargs],
    call(normals(3, 4), axis=0, initial=0.3, where=mask(3, 4)),
]
max = amax = _extreme("max", _np.max, reduce_max, ew.maximum)
min = amin = _extreme("min", _np.min, reduce_min, ew.minimum)


@composite(complex=False, samples=lambda: [call(normals(3, 4)), call(normals(3, 4), 0, keepdims=True)])
def ptp(a, axis=None, out=None, keepdims=False):
    """As ``numpy.ptp``: maximum minus minimum."""
    if not is_traced(a):
        return _np.ptp(a, axis, out, keepdims)
    refuse("ptp", out=out)
    return ew.subtract(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


def _logical(name: str, numpy_function: Any, reduce: Any, neutral: bool) -> Any:
    def logical(a, axis=None, out=None, keepdims=False, *, where=NoValue):
        if not is_traced(a, where):
            return numpy_function(a, axis, out, keepdims, where=where)
        refuse(name, out=out)
        a = _prepared(a, None, where, neutral)
        return reduce(a, normalise_axes(axis, a.ndim), builtins.bool(keepdims))

    logical.__name__ = logical.__qualname__ = name
    logical.__doc__ = f"As ``numpy.{name}``; no derivative."
    return composite(samples=lambda: [call(normals(2, 3), axis=1, where=mask(2, 3))])(logical)


all = _logical("all", _np.all, reduce_all, True)
any = _logical("any", _np.any, reduce_any, False)

# ---------------------------------------------------------------- products


def _others(x: Any, axes: tuple) -> Any:
    """For each element the product of all others along ``axes``, without division (right at zeros)."""
    shape = x.shape
    kept = tuple(axis for axis in range(len(shape)) if axis not in axes)
    count = math.prod([shape[axis] for axis in axes])
    flat = reshape(transpose(x, kept + axes), tuple(shape[a] for a in kept) + (count,))
    ones = _np.ones(flat.shape[:-1] + (builtins.min(count, 1),), flat.dtype)
    from .cumulative import cumulative_product
    from .joining import concatenate
    from .shaping import flip

    last = flat.ndim - 1
    before = cumulative_product(concatenate([ones, flat[..., :-1]], -1), last)
    after = flip(cumulative_product(concatenate([ones, flip(flat, -1)[..., :-1]], -1), last), -1)
    product = reshape(ew.multiply(before, after), tuple(shape[a] for a in kept + axes))
    inverse = [0] * len(shape)
    for position, axis in enumerate(kept + axes):
        inverse[axis] = position
    return transpose(product, tuple(inverse))


def _prod_vjp(ans: Any, x: Any, axes: tuple, keepdims: bool) -> Any:
    shape = shape_of(x)
    return lambda g: ew.multiply(_spread(g, shape, axes, keepdims), _others(x, axes))


reduce_prod = general(
    lambda x, axes, keepdims: _np.prod(x, axis=axes, keepdims=keepdims),
    {0: _prod_vjp},
    {0: lambda g, ans, x, axes, keepdims: reduce_sum(ew.multiply(g, _others(x, axes)), axes, keepdims)},
    name="reduce_prod",
    samples=lambda: [
        call(normals(2, 3), (1,), False),
        call(_np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 1.5]]), (1,), True),
        call(normals(3, 2, 2), (0, 2), False),
    ],
)


@composite(samples=_with_mask_row(lambda: call(normals(3, 4), 0, initial=2.5, where=mask(4))))
def prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=NoValue, where=NoValue):
    """As ``numpy.prod``; derivatives are right where factors are zero. ``out`` is refused for traced arrays."""
    if not is_traced(a, initial, where):
        return _np.prod(a, axis, dtype, out, keepdims, initial, where)
    refuse("prod", out=out)
    a = _prepared(a, dtype, where, 1)
    result = reduce_prod(a, normalise_axes(axis, a.ndim), builtins.bool(keepdims))
    return result if initial is NoValue else ew.multiply(result, initial)


# ---------------------------------------------------------------- clip


@composite(
    complex=False,
    samples=lambda: [
        call(2 * normals(4), -0.7, 1.1),
        call(2 * normals(3, 4), normals(4) - 1, normals(3, 1) + 1),
        call(2 * normals(4), None, 0.6),
        call(2 * normals(4), min=-0.2),
        call(normals(3), normals(2, 1), None),
    ],
)
def clip(a, a_min=NoValue, a_max=NoValue, out=None, *, min=NoValue, max=NoValue, **kwargs):
    """As ``numpy.clip``: derivative 1 inside the bounds and at them, 0 outside; bounds are differentiable too."""
    lower = a_min if min is NoValue else min
    upper = a_max if max is NoValue else max
    lower = None if lower is NoValue else lower
    upper = None if upper is NoValue else upper
    if not is_traced(a, lower, upper):
        return _np.clip(a, lower, upper, out, **kwargs)
    refuse("clip", out=out, **kwargs)
    a = _as_array(a)
    if lower is not None:
        a = _clip_one(a, lower, True)
    if upper is not None:
        a = _clip_one(a, upper, False)
    return a


def _raw_clip_one(x: Any, bound: Any, from_below: bool) -> Any:
    return _np.maximum(x, bound) if from_below else _np.minimum(x, bound)


def _is_outside(x: Any, bound: Any, from_below: bool) -> Any:
    return ew.less(x, bound) if from_below else ew.greater(x, bound)


_ZERO = _np.zeros((), _np.float32)
#: ``(x, bound, from_below)``: maximum or minimum with the whole derivative going to ``x`` at a tie
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
    samples=lambda: [call(normals(4), 0.1, True), call(normals(3, 1), normals(2), False)],
)
