"""Cumulative sums and products, differences, and the linear recurrence behind the products' derivatives."""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..trace.rules import composite, general, linear
from ..trace.samples import call, complexes, normals, positives
from . import elementwise as ew
from .arguments import NoValue, as_array, dtype_of, is_traced, normalise_axis, plain_value, refuse, shape_of
from .joining import concatenate
from .shaping import astype, broadcast_to, flip, ravel, reshape

__all__ = [
    "cumprod",
    "cumsum",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "ediff1d",
    "gradient",
    "trapezoid",
    "trapz",
]

# ---------------------------------------------------------------- primitives: axis is a non-negative integer


def _reversed_cumsum(g: Any, axis: int) -> Any:
    return flip(cumulative_add(flip(g, axis), axis), axis)


cumulative_add = linear(
    lambda x, axis: _np.cumsum(x, axis),
    lambda g, shape, axis: _reversed_cumsum(g, axis),
    name="cumulative_add",
    samples=lambda: [call(normals(5), 0), call(normals(2, 3), 1)],
)


def _raw_recurrence(a: Any, b: Any, axis: int) -> Any:
    """``s[i] = a[i] * s[i - 1] + b[i]`` along an axis, with ``s[-1] = 0``."""
    a, b = _np.broadcast_arrays(a, b)
    s = _np.array(b, dtype=_np.result_type(a, b))
    if s.ndim == 1:  # Python numbers are ten times as fast as one-element arrays here
        total, out = s.dtype.type(0).item(), []
        for factor, term in zip(a.tolist(), b.tolist()):
            total = factor * total + term
            out.append(total)
        s[:] = out
        return s
    steps = _np.moveaxis(s, axis, 0)
    for i, factor in enumerate(_np.moveaxis(a, axis, 0)):
        if i:
            steps[i] += factor * steps[i - 1]
    return s


def _shifted(x: Any, axis: int, fill: float) -> Any:
    """``x`` moved one place forward along an axis, ``fill`` coming in."""
    shape = shape_of(x)
    lead = (slice(None),) * axis
    first = _np.full((*shape[:axis], min(1, shape[axis]), *shape[axis + 1 :]), fill, x.dtype)
    return concatenate([first, as_array(x)[(*lead, slice(None, -1))]], axis)


def _adjoint_recurrence(g: Any, a: Any, axis: int) -> Any:
    """``r[i] = g[i] + a[i + 1] * r[i + 1]``: the recurrence run backwards."""
    backwards = _shifted(flip(broadcast_to(a, shape_of(g)), axis), axis, 0.0)
    return flip(linear_recurrence(backwards, flip(g, axis), axis), axis)


linear_recurrence = general(
    _raw_recurrence,
    {
        0: lambda ans, a, b, axis: lambda g: ew.multiply(_adjoint_recurrence(g, a, axis), _shifted(ans, axis, 0.0)),
        1: lambda ans, a, b, axis: lambda g: _adjoint_recurrence(g, a, axis),
    },
    {
        0: lambda t, ans, a, b, axis: linear_recurrence(a, ew.multiply(t, _shifted(ans, axis, 0.0)), axis),
        1: lambda t, ans, a, b, axis: linear_recurrence(a, broadcast_to(t, shape_of(ans)), axis),
    },
    name="linear_recurrence",
    samples=lambda: [call(normals(5), normals(5, seed=1), 0), call(normals(2, 3), normals(3), 1)],
)


def _products_before(ans: Any, axis: int) -> Any:
    return _shifted(ans, axis, 1.0)


def _cumprod_vjp(ans: Any, x: Any, axis: int) -> Any:
    return lambda g: ew.multiply(_products_before(ans, axis), _adjoint_recurrence(g, x, axis))


cumulative_product = general(
    lambda x, axis: _np.cumprod(x, axis),
    {0: _cumprod_vjp},
    {
        0: lambda t, ans, x, axis: linear_recurrence(x, ew.multiply(t, _products_before(ans, axis)), axis),
    },
    name="cumulative_product",
    samples=lambda: [
        call(normals(5), 0),
        call(_np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 1.5]]), 1),
        call(complexes(3, 2), 0),
    ],
)

# ---------------------------------------------------------------- public functions


def _along(name: str, primitive: Any, a: Any, axis: Any, dtype: Any, out: Any) -> Any:
    refuse(name, out=out)
    a = as_array(a)
    if dtype is not None:
        a = astype(a, dtype)
    if axis is None or a.ndim == 0:
        return primitive(ravel(a), 0)
    return primitive(a, normalise_axis(axis, a.ndim))


_SAMPLES = lambda: [call(normals(2, 3)), call(normals(2, 3), 0), call(normals(2, 3), axis=-1), call(normals())]


@composite(samples=_SAMPLES)
def cumsum(a, axis=None, dtype=None, out=None):
    """As ``numpy.cumsum``. ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.cumsum(a, axis, dtype, out)
    return _along("cumsum", cumulative_add, a, axis, dtype, out)


@composite(samples=_SAMPLES)
def cumprod(a, axis=None, dtype=None, out=None):
    """As ``numpy.cumprod``; right at zeros. ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.cumprod(a, axis, dtype, out)
    return _along("cumprod", cumulative_product, a, axis, dtype, out)


def _cumulative(name: str, primitive: Any, numpy_function: Any, start: float) -> Any:
    def cumulative(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
        if not is_traced(x):
            return numpy_function(x, axis=axis, dtype=dtype, out=out, include_initial=include_initial)
        x = as_array(x)
        if axis is None:
            if x.ndim > 1:
                raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
            axis = 0
        result = _along(name, primitive, x, axis, dtype, out)
        if not include_initial:
            return result
        axis = normalise_axis(axis, result.ndim)
        first = (*result.shape[:axis], 1, *result.shape[axis + 1 :])
        return concatenate([_np.full(first, start, result.dtype), result], axis)

    cumulative.__name__ = cumulative.__qualname__ = name
    cumulative.__doc__ = f"As ``numpy.{name}``. ``out`` is refused for traced arrays."
    samples = lambda: [call(normals(3)), call(normals(2, 3), axis=-1, include_initial=True)]
    return composite(samples=samples)(cumulative)


cumulative_sum = _cumulative("cumulative_sum", cumulative_add, _np.cumulative_sum, 0.0)
cumulative_prod = _cumulative("cumulative_prod", cumulative_product, _np.cumulative_prod, 1.0)

# ---------------------------------------------------------------- differences


def _slices(ndim: int, axis: int, start: Any, stop: Any) -> tuple:
    return (*(slice(None),) * axis, slice(start, stop))


@composite(
    samples=lambda: [
        call(normals(5)),
        call(normals(3, 5), 2),
        call(normals(3, 4), axis=0),
        call(normals(4), prepend=0.5, append=_np.array([1.0, 3.0])),
        call(normals(3), n=0),
        call(normals(2), n=3),
    ]
)
def diff(a, n=1, axis=-1, prepend=NoValue, append=NoValue):
    """As ``numpy.diff``."""
    prepended, appended = prepend is not NoValue, append is not NoValue
    if not is_traced(a, prepend, append):
        return _np.diff(a, n, axis, prepend, append)
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    a = as_array(a)
    if a.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = normalise_axis(axis, a.ndim)
    pieces = [_end(prepend, a, axis)] * prepended + [a] + [_end(append, a, axis)] * appended
    a = concatenate(pieces, axis) if len(pieces) > 1 else a
    for _ in range(n):
        later, earlier = a[_slices(a.ndim, axis, 1, None)], a[_slices(a.ndim, axis, None, -1)]
        a = ew.not_equal(later, earlier) if a.dtype.kind == "b" else ew.subtract(later, earlier)
    return a


def _end(value: Any, a: Any, axis: int) -> Any:
    value = as_array(value)
    if value.ndim == 0:
        return broadcast_to(value, (*a.shape[:axis], 1, *a.shape[axis + 1 :]))
    return value


@composite(samples=lambda: [call(normals(2, 3)), call(normals(3), to_end=normals(2), to_begin=-1.0)])
def ediff1d(ary, to_end=None, to_begin=None):
    """As ``numpy.ediff1d``."""
    if not is_traced(ary, to_end, to_begin):
        return _np.ediff1d(ary, to_end, to_begin)
    ary = ravel(as_array(ary))
    pieces = [ew.subtract(ary[1:], ary[:-1])]
    for end in (to_begin, to_end):
        if end is not None and not _np.can_cast(dtype_of(end), ary.dtype, "same_kind"):
            raise TypeError("ediff1d: to_begin and to_end must be compatible with ary under the `same_kind` rule")
    if to_begin is not None:
        pieces.insert(0, astype(ravel(as_array(to_begin)), ary.dtype))
    if to_end is not None:
        pieces.append(astype(ravel(as_array(to_end)), ary.dtype))
    return concatenate(pieces) if len(pieces) > 1 else pieces[0]


@composite(
    samples=lambda: [
        call(normals(5)),
        call(normals(4, 3)),
        call(normals(5), 0.5, edge_order=2),
        call(normals(5), _np.cumsum(positives(5)), edge_order=2),
        call(normals(4, 3), 2.0, _np.array([0.0, 1.0, 3.0]), argnums=(0, 1)),
        call(normals(3, 4), axis=-1),
        call(normals(3, 4), 0.3, axis=(1,)),
    ]
)
def gradient(f, *varargs, axis=None, edge_order=1):
    """As ``numpy.gradient``; the spacings, scalar or coordinates, are differentiable too."""
    if not is_traced(f, varargs):
        return _np.gradient(f, *varargs, axis=axis, edge_order=edge_order)
    f = as_array(f)
    axes = range(f.ndim) if axis is None else [normalise_axis(a, f.ndim) for a in _tuple(axis)]
    spacings = list(varargs) or [1.0]
    if len(spacings) == 1 and (varargs == () or len(shape_of(varargs[0])) == 0):
        spacings = spacings * len(axes)
    if len(spacings) != len(axes):
        raise TypeError("invalid number of arguments")
    steps = [_steps_between(spacing) for spacing in spacings]
    result_dtype = f.dtype if f.dtype.kind in "fc" else _np.dtype(float)
    f = astype(f, float) if f.dtype.kind in "iu" else f  # without modular arithmetic
    results = [
        astype(_gradient_along(f, step, axis, edge_order), result_dtype)
        for step, axis in zip(steps, axes, strict=True)
    ]
    return results[0] if len(results) == 1 else tuple(results)


def _tuple(axis: Any) -> tuple:
    return tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)


def _steps_between(spacing: Any) -> Any:
    """The distances between coordinates; one number if they are all the same, or given so."""
    if len(shape_of(spacing)) == 0:
        return spacing
    spacing = as_array(spacing)
    if spacing.ndim != 1:
        raise ValueError("distances must be either scalars or 1d")
    steps = diff(astype(spacing, float) if spacing.dtype.kind in "iu" else spacing)
    plain = plain_value(steps)
    return steps[0] if (plain == plain[0]).all() else steps


def _gradient_along(f: Any, step: Any, axis: int, edge_order: int) -> Any:
    """Central differences inside, one-sided ones of the given order at both ends, in NumPy's own arithmetic."""
    n = f.shape[axis]
    is_uniform = len(shape_of(step)) == 0
    if not is_uniform and step.shape[0] != n - 1:
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    if edge_order not in (1, 2) or n < edge_order + 1:
        raise ValueError(f"gradient: {n} elements are too few, or edge_order={edge_order} is not 1 or 2")

    def part(start: Any, stop: Any) -> Any:
        return f[_slices(f.ndim, axis, start, stop)]

    def along(weight: Any) -> Any:
        return reshape(weight, (-1,) + (1,) * (f.ndim - axis - 1))

    if is_uniform:
        inside = (part(2, None) - part(None, -2)) / (2.0 * step)
        ends = (step,) * 4
    else:
        weights = [along(weight) for weight in _central_weights(step[:-1], step[1:])]
        inside = _weighted(weights, part(None, -2), part(1, -1), part(2, None))
        ends = (step[0], step[1], step[-2], step[-1]) if edge_order == 2 else (step[0], None, None, step[-1])
    if edge_order == 1:
        first = (part(1, 2) - part(0, 1)) / ends[0]
        last = (part(n - 1, n) - part(n - 2, n - 1)) / ends[3]
    else:
        first = _weighted(_first_weights(ends[0], ends[1], is_uniform), part(0, 1), part(1, 2), part(2, 3))
        last = _weighted(
            _last_weights(ends[2], ends[3], is_uniform), part(n - 3, n - 2), part(n - 2, n - 1), part(n - 1, n)
        )
    return concatenate([first, inside, last], axis)


def _weighted(weights: Any, x: Any, y: Any, z: Any) -> Any:
    a, b, c = weights
    return a * x + b * y + c * z


def _central_weights(before: Any, after: Any) -> tuple:
    """Of the elements before, at and after a point, exact for parabolas."""
    total = before + after
    return -after / (before * total), (after - before) / (before * after), before / (after * total)


def _first_weights(step: Any, after: Any, is_uniform: bool) -> tuple:
    """Of the first three elements for the slope at the first."""
    if is_uniform:
        return -1.5 / step, 2.0 / step, -0.5 / step
    total = step + after
    return -(2.0 * step + after) / (step * total), total / (step * after), -step / (after * total)


def _last_weights(before: Any, step: Any, is_uniform: bool) -> tuple:
    """Of the last three elements for the slope at the last."""
    if is_uniform:
        return 0.5 / step, -2.0 / step, 1.5 / step
    total = before + step
    return step / (before * total), -total / (before * step), (2.0 * step + before) / (step * total)


@composite(
    samples=lambda: [
        call(normals(5)),
        call(normals(3, 4), dx=0.5, axis=0),
        call(normals(3, 4), _np.cumsum(positives(4))),
        call(normals(3, 4), normals(3, 4, seed=2), axis=0),
    ]
)
def trapezoid(y, x=None, dx=1.0, axis=-1):
    """As ``numpy.trapezoid``."""
    if not is_traced(y, x, dx):
        return _np.trapezoid(y, x, dx, axis)
    from .reductions import sum

    y = as_array(y)
    axis = normalise_axis(axis, y.ndim)
    if x is None:
        step = dx
    else:
        x = as_array(x)
        step = diff(x, axis=0 if x.ndim == 1 else axis)
        if step.ndim == 1:
            step = reshape(step, (-1,) + (1,) * (y.ndim - axis - 1))
    heights = y[_slices(y.ndim, axis, 1, None)] + y[_slices(y.ndim, axis, None, -1)]
    return sum(ew.multiply(step, heights) / 2.0, axis)


trapz = trapezoid
