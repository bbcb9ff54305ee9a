"""Reductions: sum, mean, prod, var, std, extrema and the logical ones; clip.

Public functions have NumPy's signatures; they normalise axes once and call a primitive that takes
``(x, axes, keepdims)`` with ``axes`` a sorted tuple of non-negative integers. On plain values they
call NumPy itself.

Conventions: equal extrema share the derivative; ``std`` has derivative 0 where the data are constant; ``clip`` has
derivative 1 at its bounds; ``prod`` is right where factors are zero. ``mean``, ``var`` and ``std`` take NumPy's own
steps, so that they overflow and round where it does: integers are added up as floats, and half precision is summed in
single precision by ``mean`` alone.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as _np

from ..errors import ArgumentError
from ..trace.rules import composite, general, linear, nondifferentiable, with_formula
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

# ---------------------------------------------------------------- with where= and initial=


def _masked(x: Any, where: Any, neutral: Any) -> Any:
    return x if where is NoValue or where is True else ew.where(where, x, neutral)


def _with_where(name: str, ufunc: Any, reduce: Any, neutral: Any, pair: Any) -> Any:
    """``(x, axes, keepdims, where, initial)``: NumPy's own reduction, which adds up and rounds in another order.

    Elements left out have derivative 0, and count as ``neutral`` (None: as the initial value).
    """

    def fun(x: Any, axes: tuple, keepdims: bool, where: Any, initial: Any) -> Any:
        return ufunc.reduce(x, axis=axes, keepdims=keepdims, where=where, initial=initial)

    def formula(x: Any, axes: tuple, keepdims: bool, where: Any, initial: Any) -> Any:
        instead = astype(_as_array(initial), x.dtype) if neutral is None else neutral
        result = reduce(_masked(x, where, instead), axes, keepdims)
        return result if initial is NoValue else pair(result, initial)

    initial = NoValue if neutral is not None else 0.3
    samples = lambda: [
        call(normals(3, 4), (0,), False, mask(3, 4), initial, argnums=(0,)),
        call(normals(3, 4), (0, 1), True, True, 2.5, argnums=(0, 4)),
    ]
    return with_formula(fun, formula, name=name, complex=neutral is not None, samples=samples)


sum_where = _with_where("sum_where", _np.add, reduce_sum, 0, ew.add)
prod_where = _with_where(
    "prod_where", _np.multiply, lambda x, axes, keep: reduce_prod(x, axes, keep), 1, ew.multiply
)
max_where = _with_where("max_where", _np.maximum, reduce_max, None, ew.maximum)
min_where = _with_where("min_where", _np.minimum, reduce_min, None, ew.minimum)
all_where = nondifferentiable(
    lambda x, axes, keepdims, where, initial: _np.all(x, axis=axes, keepdims=keepdims, where=where), name="all_where"
)
any_where = nondifferentiable(
    lambda x, axes, keepdims, where, initial: _np.any(x, axis=axes, keepdims=keepdims, where=where), name="any_where"
)


def _reduced(a: Any, axes: tuple, keepdims: Any, where: Any, initial: Any, reduce: Any, reduce_where: Any) -> Any:
    """The reduction of ``a``, by the primitive that its options need."""
    keepdims = builtins.bool(keepdims)
    if (where is NoValue or where is True) and initial is NoValue:
        return reduce(a, axes, keepdims)
    where = True if where is NoValue else _as_array(where)
    return reduce_where(a, axes, keepdims, where, initial)


# ---------------------------------------------------------------- public functions


def _prepared(a: Any, dtype: Any) -> Any:
    """``a`` as an array of the dtype asked for."""
    a = _as_array(a)
    return a if dtype is None else astype(a, dtype)


def _sum_dtype(a: Any, dtype: Any) -> Any:
    """The dtype in which averages add up: integers as floats, which do not wrap."""
    return _np.dtype(_np.float64) if dtype is None and a.dtype.kind in "iub" else dtype


def _total(a: Any, axes: tuple, dtype: Any, where: Any, keepdims: bool) -> Any:
    return _reduced(a if dtype is None else astype(a, dtype), axes, keepdims, where, NoValue, reduce_sum, sum_where)


def per_count(total: Any, count: Any) -> Any:
    """``total / count`` in the dtype of ``total``; computed in double precision, which holds every count."""
    if total.dtype.itemsize >= (16 if total.dtype.kind == "c" else 8):
        return ew.divide(total, count)
    return astype(ew.divide(total, astype(_as_array(count), float)), total.dtype)


def count_of(a: Any, axes: tuple, where: Any, keepdims: bool) -> Any:
    """How many elements are reduced: a number, or with ``where`` an array of integers."""
    if where is NoValue or where is True:
        return math.prod([a.shape[axis] for axis in axes])
    counted = broadcast_to(astype(ew.not_equal(_as_array(where), 0), _np.intp), a.shape)
    return reduce_sum(counted, axes, keepdims)


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
    a = _prepared(a, dtype)
    return _reduced(a, normalise_axes(axis, a.ndim), keepdims, where, initial, reduce_sum, sum_where)


@composite(samples=_with_mask_row())
def mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=NoValue):
    """As ``numpy.mean``; ``out`` is refused for traced arrays."""
    if not is_traced(a, where):
        return _np.mean(a, axis, dtype, out, keepdims, where=where)
    refuse("mean", out=out)
    a = _as_array(a)
    axes, keepdims = normalise_axes(axis, a.ndim, strict=True), builtins.bool(keepdims)
    is_half = dtype is None and a.dtype == _np.float16  # whose sum would lose its digits: as NumPy
    total = _total(a, axes, _np.float32 if is_half else _sum_dtype(a, dtype), where, keepdims)
    result = per_count(total, count_of(a, axes, where, keepdims))
    return astype(result, _np.float16) if is_half else result


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
    ddof = ddof_of("var", ddof, correction)
    a = _as_array(a)
    axes, keepdims = normalise_axes(axis, a.ndim, strict=True), builtins.bool(keepdims)
    dtype = _sum_dtype(a, dtype)
    if mean is NoValue:
        mean = per_count(_total(a, axes, dtype, where, True), count_of(a, axes, where, True))
    # what is left out may be NaN, and 0 * NaN would reach the others by the derivative
    deviation = ew.subtract(_masked(a, where, 0), mean)
    total = _total(squared_modulus(deviation), axes, dtype, where, keepdims)
    count = count_of(a, axes, where, keepdims)
    return per_count(total, builtins.max(count - ddof, 0) if type(count) is int else ew.maximum(count - ddof, 0))


def ddof_of(name: str, ddof: Any, correction: Any) -> Any:
    """``ddof``, which may be given by either name."""
    if correction is NoValue:
        return ddof
    if ddof != 0:
        raise ArgumentError(f"{name}: ddof and correction cannot be provided simultaneously")
    return correction


def squared_modulus(x: Any) -> Any:
    """``abs(x) ** 2``, real."""
    return ew.add(ew.square(ew.real(x)), ew.square(ew.imag(x))) if x.dtype.kind == "c" else ew.square(x)


root_of_variance = general(
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
    return root_of_variance(var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction))


def _extreme(name: str, numpy_function: Any, reduce: Any, reduce_where: Any) -> Any:
    def extreme(a, axis=None, out=None, keepdims=False, initial=NoValue, where=NoValue):
        if not is_traced(a, initial, where):
            return numpy_function(a, axis, out, keepdims, initial, where)
        refuse(name, out=out)
        a = _as_array(a)
        return _reduced(a, normalise_axes(axis, a.ndim), keepdims, where, initial, reduce, reduce_where)

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = f"As ``numpy.{name}``; ties share the derivative. ``out`` is refused for traced arrays."
    return composite(complex=False, samples=_extreme_samples)(extreme)


_extreme_samples = lambda: [
    *[sample for sample in _REDUCTION_SAMPLES() if "where" not in sample.kwargs],
    call(normals(3, 4), axis=0, initial=0.3, where=mask(3, 4)),
]
max = amax = _extreme("max", _np.max, reduce_max, max_where)
min = amin = _extreme("min", _np.min, reduce_min, min_where)


@composite(complex=False, samples=lambda: [call(normals(3, 4)), call(normals(3, 4), 0, keepdims=True)])
def ptp(a, axis=None, out=None, keepdims=False):
    """As ``numpy.ptp``: maximum minus minimum."""
    if not is_traced(a):
        return _np.ptp(a, axis, out, keepdims)
    refuse("ptp", out=out)
    return ew.subtract(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


def _logical(name: str, numpy_function: Any, reduce: Any, reduce_where: Any) -> Any:
    def logical(a, axis=None, out=None, keepdims=False, *, where=NoValue):
        if not is_traced(a, where):
            return numpy_function(a, axis, out, keepdims, where=where)
        refuse(name, out=out)
        a = _as_array(a)
        return _reduced(a, normalise_axes(axis, a.ndim), keepdims, where, NoValue, reduce, reduce_where)

    logical.__name__ = logical.__qualname__ = name
    logical.__doc__ = f"As ``numpy.{name}``; no derivative."
    return composite(samples=lambda: [call(normals(2, 3), axis=1, where=mask(2, 3))])(logical)


all = _logical("all", _np.all, reduce_all, all_where)
any = _logical("any", _np.any, reduce_any, any_where)

# ---------------------------------------------------------------- products


def _others(x: Any, axes: tuple) -> Any:
    """For each element the product of all others along ``axes``, without division (right at zeros)."""
    shape = shape_of(x)
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
    a = _prepared(a, dtype)
    return _reduced(a, normalise_axes(axis, a.ndim), keepdims, where, initial, reduce_prod, prod_where)


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
    if lower is not None and upper is not None:
        return _clip_both(a, lower, upper)
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

#: ``(x, lower, upper)``
_clip_both = with_formula(
    _np.clip,
    lambda x, lower, upper: _clip_one(_clip_one(x, lower, True), upper, False),
    name="clip_both",
    complex=False,
    samples=lambda: [call(2 * normals(4), -0.7, 1.1), call(normals(3, 1), normals(2) - 1, 0.5)],
)
