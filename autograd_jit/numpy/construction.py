"""Arrays made by parts or by a rule: spaces, blocks, insertion and deletion, selection, r_ and c_."""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..errors import ArgumentError
from ..trace.rules import composite, valued_by
from ..trace.samples import call, mask, normals, positives
from . import elementwise as ew
from .arguments import (
    as_array,
    dtype_of,
    is_traced,
    normalise_axis,
    plain_value,
    refuse,
    result_type_of,
    shape_of,
)
from .indexing import getitem, place, scatter_sum, take
from .joining import concatenate, stack
from .shaping import astype, atleast_1d, broadcast_to, diag, moveaxis, ravel, reshape, transpose

__all__ = [
    "apply_along_axis",
    "apply_over_axes",
    "block",
    "c_",
    "choose",
    "delete",
    "diagflat",
    "fill_diagonal",
    "geomspace",
    "insert",
    "linspace",
    "logspace",
    "make_diagonal",
    "piecewise",
    "put_along_axis",
    "r_",
    "resize",
    "select",
]

# ---------------------------------------------------------------- spaces


@composite(
    samples=lambda: [
        call(normals(), 2.0, 5),
        call(normals(2), normals(3, 1), 4, axis=-1, argnums=(0, 1)),
        call(0.5, 1.5, num=3, endpoint=False),
        call(normals(2), 1.0, num=3, retstep=True),
        call(0.3, 2.0, num=1),
    ]
)
@valued_by(_np.linspace)
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    """As ``numpy.linspace``."""
    shape = _np.broadcast_shapes(shape_of(start), shape_of(stop))
    parts = max(num - 1 if endpoint else num, 0)
    step = ew.divide(ew.subtract(stop, start), parts) if parts else ew.subtract(stop, start) * _np.nan
    kind = _np.finfo(result_type_of(start, stop, 1.0)).dtype
    fractions = (_np.arange(num) / max(parts, 1)).astype(kind)
    fractions = fractions.reshape((-1,) + (1,) * len(shape))
    result = ew.add(ew.multiply(start, 1 - fractions), ew.multiply(stop, fractions))
    result = _finish_space(broadcast_to(result, (num, *shape)), dtype, axis)
    return (result, step) if retstep else result


def _finish_space(result: Any, dtype: Any, axis: int) -> Any:
    if dtype is not None:
        if _np.dtype(dtype).kind in "iu":
            result = ew.floor(result)
        result = astype(result, dtype)
    return result if axis == 0 else moveaxis(result, 0, axis)


@composite(
    samples=lambda: [call(0.2, normals(), 4), call(normals(2), 1.0, 3, base=2.5, axis=-1), call(0.0, 1.0, 3, False)]
)
@valued_by(_np.logspace)
def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    """As ``numpy.logspace``; the base is differentiable too."""
    if len(shape_of(base)) > 0:
        raise ArgumentError("logspace: an array as base= is not supported for traced arguments")
    exponents = linspace(start, stop, num, endpoint)
    return _finish_space(ew.power(base, exponents), dtype, axis)


@composite(
    complex=False, samples=lambda: [call(0.5, positives(), 4), call(-positives(2), -3.0, 3), call(2.0, 0.3, 4, False)]
)
@valued_by(_np.geomspace)
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """As ``numpy.geomspace``, for real ends of the same sign."""
    if "c" in (dtype_of(start).kind, dtype_of(stop).kind):
        raise ArgumentError("geomspace: complex start and stop are not supported for traced arguments")
    start, stop = astype(as_array(start), float), astype(as_array(stop), float)
    exponents = linspace(0.0, 1.0, num, endpoint)
    ratio = ew.divide(stop, start)
    exponents = exponents.astype(dtype_of(ratio)).reshape((-1,) + (1,) * len(shape_of(ratio)))
    return _finish_space(ew.multiply(start, ew.power(ratio, exponents)), dtype, axis)


# ---------------------------------------------------------------- parts


@composite(samples=lambda: [call(normals(2, 3), (4, 2)), call(normals(5), 3), call(normals(), (2,))])
def resize(a, new_shape):
    """As ``numpy.resize``: repeated copies fill a larger shape."""
    if not is_traced(a):
        return _np.resize(a, new_shape)
    shape = (int(new_shape),) if _np.ndim(new_shape) == 0 else tuple([int(size) for size in new_shape])
    a = ravel(as_array(a))
    total = int(_np.prod(shape))
    if a.size == 0:
        return _np.zeros(shape, a.dtype)
    return reshape(take(a, _np.arange(total) % a.size), shape)


@composite(
    samples=lambda: [
        call(normals(5), 2),
        call(normals(3, 4), [0, -1], axis=1),
        call(normals(3, 4), slice(1, None, 2)),
        call(normals(4), _np.array([True, False, True, False])),
    ]
)
def delete(arr, obj, axis=None):
    """As ``numpy.delete``."""
    if not is_traced(arr, obj):
        return _np.delete(arr, obj, axis)
    arr, axis = _along(arr, axis)
    obj = plain_value(obj) if is_traced(obj) else obj
    return take(arr, _np.delete(_np.arange(shape_of(arr)[axis]), obj), axis)


def _along(arr: Any, axis: Any) -> tuple[Any, int]:
    arr = as_array(arr)
    if axis is None:
        return ravel(arr), 0
    return arr, normalise_axis(axis, arr.ndim)


@composite(
    samples=lambda: [
        call(normals(4), 1, 0.5),
        call(normals(4), [1, 1, 3], normals(3)),
        call(normals(3, 2), 1, normals(2), axis=0),
        call(normals(3, 2), [0, 2], normals(3, 1), axis=1),
        call(normals(3), slice(0, 2), 1.5),
        call(normals(2, 2), _np.array([1]), normals(2, 3), axis=1),
    ]
)
def insert(arr, obj, values, axis=None):
    """As ``numpy.insert``."""
    if not is_traced(arr, values, obj):
        return _np.insert(arr, obj, values, axis)
    arr, axis = _along(arr, axis)
    obj = plain_value(obj) if is_traced(obj) else obj
    length = arr.shape[axis]
    values = astype(as_array(values), arr.dtype)
    places = _np.arange(length)[obj] if isinstance(obj, slice) else _np.asarray(obj)
    if places.dtype.kind == "b":
        places = _np.flatnonzero(places)
    if places.size == 1:  # one place takes a whole run of values
        values = reshape(values, (1,) * (arr.ndim - values.ndim) + values.shape)
        values = moveaxis(values, 0, axis) if places.ndim == 0 else values
        count, places = values.shape[axis], int(places.reshape(-1)[0])  # type: ignore[assignment]
    else:
        count = places.size
    values = broadcast_to(values, (*arr.shape[:axis], count, *arr.shape[axis + 1 :]))
    order = _np.insert(_np.arange(length), places, length + _np.arange(count))
    return take(concatenate([arr, values], axis), order, axis)


@composite(
    samples=lambda: [call([[normals(2, 2), normals(2, 1)], [normals(1, 2), normals(1, 1)]]), call([normals(2), 1.5])]
)
def block(arrays):
    """As ``numpy.block``."""
    if not is_traced(arrays):
        return _np.block(arrays)
    depth = _block_depth(arrays)
    ndim = max(depth, _block_ndim(arrays))
    return _block(arrays, depth, ndim)


def _block_depth(arrays: Any) -> int:
    return 1 + max(map(_block_depth, arrays)) if type(arrays) is list else 0


def _block_ndim(arrays: Any) -> int:
    return max(map(_block_ndim, arrays)) if type(arrays) is list else len(shape_of(arrays))


def _block(arrays: Any, depth: int, ndim: int) -> Any:
    if depth == 0:
        shape = shape_of(arrays)
        return reshape(as_array(arrays), (1,) * (ndim - len(shape)) + shape)
    if type(arrays) is not list or not arrays:
        raise ValueError("List depths are mismatched or a list is empty.")
    return concatenate([_block(part, depth - 1, ndim) for part in arrays], ndim - depth)


class _Concatenator:
    """``r_[...]`` and ``c_[...]``: NumPy's own for plain values, concatenation of pieces for traced ones."""

    def __init__(self, numpy_object: Any, directive: str) -> None:
        self._numpy_object = numpy_object
        self._directive = directive
        self.__doc__ = numpy_object.__doc__

    def __getitem__(self, key: Any) -> Any:
        keys = list(key) if isinstance(key, tuple) else [key]
        if not is_traced(keys):
            return self._numpy_object[key]
        axis, ndmin, trans1d = _directive(self._directive)
        if isinstance(keys[0], str):
            if keys[0] in ("r", "c"):
                raise ArgumentError(f"r_: the matrix directive {keys[0]!r} is not supported for traced arrays")
            axis, ndmin, trans1d = _directive(keys.pop(0))
        pieces = [_piece(item, ndmin, trans1d) for item in keys]
        return concatenate(pieces, axis)

    def __len__(self) -> int:
        return 0


def _directive(text: str) -> tuple[int, int, int]:
    """``"axis,ndmin,trans1d"`` with NumPy's defaults."""
    numbers = [int(part) for part in text.split(",")]
    return tuple(numbers + [0, 1, -1][len(numbers) :])  # type: ignore[return-value]


def _piece(item: Any, ndmin: int, trans1d: int) -> Any:
    if isinstance(item, slice):
        item = _np.r_[item]
    item = atleast_1d(as_array(item)) if len(shape_of(item)) == 0 else as_array(item)
    missing = ndmin - item.ndim
    if missing <= 0:
        return item
    shape = item.shape
    if trans1d == -1:
        return reshape(item, (1,) * missing + shape)
    return reshape(item, (1,) * trans1d + shape + (1,) * (missing - trans1d))


r_ = _Concatenator(_np.r_, "0")
c_ = _Concatenator(_np.c_, "-1,2,0")

# ---------------------------------------------------------------- selection


@composite(
    samples=lambda: [
        call([mask(4), mask(4, seed=1)], [normals(4), normals(4, seed=1)], 0.5),
        call([mask(3, 1)], [normals(3, 2)]),
    ]
)
def select(condlist, choicelist, default=0):
    """As ``numpy.select``."""
    if not is_traced(condlist, choicelist, default):
        return _np.select(condlist, choicelist, default)
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    result = default
    for condition, choice in zip(reversed(list(condlist)), reversed(list(choicelist)), strict=True):
        result = ew.where(condition, choice, result)
    kind = result_type_of(*choicelist, default)
    return result if dtype_of(result) == kind else astype(result, kind)


@composite(
    samples=lambda: [
        call(_np.array([2, 0, 1]), [normals(3), normals(3, seed=1), normals(3, seed=2)]),
        call(_np.array([[0], [3]]), [normals(2), 0.5], mode="clip"),
    ],
)
def choose(a, choices, out=None, mode="raise"):
    """As ``numpy.choose``; ``out`` is refused for traced arrays."""
    if not is_traced(a, choices):
        return _np.choose(a, choices, out, mode)
    refuse("choose", out=out)
    a = plain_value(a)
    choices = list(choices)
    if mode == "wrap":
        a = a % len(choices)
    elif mode == "clip":
        a = _np.clip(a, 0, len(choices) - 1)
    elif a.size and (a.min() < 0 or a.max() >= len(choices)):
        raise ValueError("invalid entry in choice array")
    result = choices[-1]
    for number in range(len(choices) - 2, -1, -1):
        result = ew.where(a == number, choices[number], result)
    return broadcast_to(result, _np.broadcast_shapes(a.shape, shape_of(result)))


@composite(
    samples=lambda: [
        call(positives(5), [_np.arange(5) < 2, _np.arange(5) > 3], [ew.log, lambda v: v * v, 0.5], argnums=(0,)),
        call(normals(4), [mask(4)], [lambda v, k: ew.sin(k * v)], 2.0, argnums=(0,)),
    ]
)
def piecewise(x, condlist, funclist, *args, **kw):
    """As ``numpy.piecewise``: each function sees only the elements of its condition."""
    if not is_traced(x):
        return _np.piecewise(x, condlist, funclist, *args, **kw)
    x = as_array(x)
    single = not isinstance(condlist, list) or (_np.ndim(plain_value(condlist[0])) == 0 and x.ndim != 0)
    conditions = [plain_value(c).astype(bool) for c in ([condlist] if single else condlist)]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~_np.logical_or.reduce(conditions))
    if len(funclist) != len(conditions):
        raise ValueError(f"with {len(conditions)} condition(s), either that many or one more functions are expected")
    owner = _np.full(x.shape, -1)
    for number, condition in enumerate(conditions):  # a later function overwrites an earlier one
        owner[condition] = number
    result: Any = _np.zeros(x.shape, x.dtype)
    if x.dtype.kind in "fc":  # to which any number is added unchanged, -0.0 as well
        result[owner >= 0] = -result[owner >= 0]
    for number, function in enumerate(funclist):
        own = owner == number
        value = function(getitem(x, own), *args, **kw) if callable(function) else function
        value = broadcast_to(astype(as_array(value), x.dtype), (int(own.sum()),))
        result = scatter_sum((own,), None, result, value)
    return result


@composite(
    samples=lambda: [
        call(lambda v: ew.sin(v) * v[0], 0, normals(3, 2), argnums=(2,)),
        call(lambda v: v[:2] * v[-1], 1, normals(2, 3), argnums=(2,)),
        call(lambda v, k: (v * k)[1], -1, normals(2, 2), 3.0, argnums=(2,)),
    ]
)
def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    """As ``numpy.apply_along_axis``."""
    if not is_traced(arr, args, tuple(kwargs.values())):
        return _np.apply_along_axis(func1d, axis, arr, *args, **kwargs)
    arr = as_array(arr)
    axis = normalise_axis(axis, arr.ndim)
    rows = moveaxis(arr, axis, -1)
    lead = rows.shape[:-1]
    if 0 in lead:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [as_array(func1d(rows[index], *args, **kwargs)) for index in _np.ndindex(lead)]
    result = reshape(stack(results), (*lead, *shape_of(results[0])))
    order = list(range(len(lead)))
    order[axis:axis] = range(len(lead), result.ndim)
    return transpose(result, order)


def apply_over_axes(func, a, axes):
    """As ``numpy.apply_over_axes``."""
    if not is_traced(a):
        return _np.apply_over_axes(func, a, axes)
    for axis in _np.atleast_1d(axes):
        axis = normalise_axis(int(axis), a.ndim)
        result = func(a, axis)
        if result.ndim not in (a.ndim, a.ndim - 1):
            raise ValueError("function is not returning an array of the correct shape")
        a = result if result.ndim == a.ndim else reshape(result, (*a.shape[:axis], 1, *a.shape[axis + 1 :]))
    return a


@composite(
    samples=lambda: [
        call(normals(2, 3), _np.array([[0], [2]]), normals(2, 1), 1),
        call(normals(2, 3), _np.array([[0, 0, 1]]), normals(1, 3, seed=1), 0),
    ],
    in_place=True,
)
def put_along_axis(arr, indices, values, axis):
    """As ``numpy.put_along_axis``, and the result is returned.

    A plain array is written in place, as NumPy does. With traced arguments nothing can be written: use the result.
    """
    if not is_traced(arr, values, indices):
        _np.put_along_axis(arr, indices, values, axis)
        return arr
    indices = plain_value(indices)
    arr = as_array(arr)
    flat = arr if axis is not None else ravel(arr)
    source = _np.full(flat.shape, -1)
    _np.put_along_axis(source, indices, _np.arange(indices.size).reshape(indices.shape), 0 if axis is None else axis)
    values = ravel(broadcast_to(astype(as_array(values), arr.dtype), indices.shape))
    return reshape(ew.where(source >= 0, take(values, _np.maximum(source, 0)), flat), arr.shape)


def fill_diagonal(a, val, wrap=False):
    """As ``numpy.fill_diagonal``, which writes in place; refused for traced arrays."""
    if is_traced(a, val):
        raise ArgumentError("fill_diagonal writes into its argument a, which a traced array does not allow: use where")
    return _np.fill_diagonal(a, val, wrap)


# ---------------------------------------------------------------- diagonals


@composite(samples=lambda: [call(normals(2, 2)), call(normals(3), -1)])
def diagflat(v, k=0):
    """As ``numpy.diagflat``."""
    if not is_traced(v):
        return _np.diagflat(v, k)
    return diag(ravel(as_array(v)), k)


@composite(samples=lambda: [call(normals(3)), call(normals(2, 3), 0, -1, -2), call(normals(2, 3), 1, 0, 1)])
def make_diagonal(D, offset=0, axis1=0, axis2=1):
    """The inverse of ``diagonal``: zeros, but for the last axis of ``D`` on the diagonal of two new axes."""
    D = as_array(D)
    size = D.shape[-1] + abs(offset)
    steps = _np.arange(D.shape[-1])
    index = (Ellipsis, steps - min(offset, 0), steps + max(offset, 0))
    shape = (*D.shape[:-1], size, size)
    return moveaxis(place(D, index, shape), (-2, -1), (axis1, axis2))
