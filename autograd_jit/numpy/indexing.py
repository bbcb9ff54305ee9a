"""Indexing and its adjoint.

``getitem(x, index)`` takes any NumPy index. Its cotangent is kept sparse, as (index, values) pairs,
until all of them have arrived; then one ``scatter_sum`` adds them up. A thousand ``x[i]`` thus cost one pass
over ``x``, and the sum is itself differentiable.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..trace.cotangent import Sparse
from ..trace.rules import composite, general
from ..trace.samples import call, mask, normals
from .arguments import as_array, dtype_of, is_traced, normalise_axis, plain_value, refuse, shape_of

__all__ = [
    "compress",
    "extract",
    "take",
    "take_along_axis",
]

# ---------------------------------------------------------------- primitives

getitem = general(
    lambda x, index: x[index],
    {0: lambda ans, x, index: lambda g: Sparse(index, g)},
    {0: lambda g, ans, x, index: getitem(g, index)},
    name="getitem",
    samples=lambda: (
        [
            call(normals(3, 4), index)
            for index in (
                1,
                (slice(None, None, -1), None, 2),
                (Ellipsis, -1),
                [0, 2, 2],
                (_np.array([[0, 1], [1, 1]]), slice(1, 3)),
                (_np.array([0, 2]), slice(None), _np.array([1]))[:2],
                mask(3, 4),
                (mask(3), 1),
                (slice(3, None),),
                (_np.array([0, 1, 0]), _np.array([1, 1, 1])),
                (1, _np.array([0, 0])),
                (),
            )
        ]
        + [call(normals(), ()), call(normals(), (None, Ellipsis))]
    ),
)


def _raw_scatter_sum(indices: tuple, zeros: tuple | None, base: Any, *values: Any) -> Any:
    total = _np.array(base) if zeros is None else _np.zeros(*zeros)
    for index, value in zip(indices, values, strict=True):
        if _is_basic(index):
            total[index] += value
        else:
            _np.add.at(total, index, value)
    return total


def _is_basic(index: Any) -> bool:
    """Whether an index selects each element at most once by construction (integers, slices, a lone mask)."""
    kind = type(index)
    if kind is tuple:
        return all(map(_is_basic_part, index))
    return _is_basic_part(index) or (kind is _np.ndarray and index.dtype == bool)


def _is_basic_part(part: Any) -> bool:
    return isinstance(part, (int, slice, _np.integer)) or part is None or part is Ellipsis


class _ScatterVjp:
    def __getitem__(self, argnum: int) -> Any:
        if argnum == 2:
            return lambda ans, *args: lambda g: g

        def maker(ans: Any, indices: tuple, zeros: tuple | None, base: Any, *values: Any) -> Any:
            index = indices[argnum - 3]
            return lambda g: getitem(g, index)

        return maker


def _scatter_jvp(argnums: tuple, tangents: list, ans: Any, args: tuple, kwargs: dict) -> Any:
    """All tangents scattered at once, onto that of the base."""
    indices = args[0]
    base = tangents[0] if argnums[0] == 2 else None
    pieces = [(indices[argnum - 3], t) for argnum, t in zip(argnums, tangents, strict=True) if argnum > 2]
    zeros = (shape_of(ans), dtype_of(ans)) if base is None else None
    return scatter_sum(tuple([index for index, _ in pieces]), zeros, base, *[t for _, t in pieces])


#: ``(indices, zeros, base, *values)``: each of the values added at its index, to ``base`` or, where ``zeros`` is a
#: ``(shape, dtype)``, to zeros of that kind (``base`` is then None)
scatter_sum = general(
    _raw_scatter_sum,
    _ScatterVjp(),
    _scatter_jvp,
    name="scatter_sum",
    samples=lambda: [
        call((0, _np.array([1, 1])), ((3,), _np.dtype(float)), None, 1.5, normals(2), argnums=(3, 4)),
        call(((slice(None), 1),), None, normals(2, 2), normals(2), argnums=(2, 3)),
    ],
)


def place(values: Any, index: Any, shape: tuple) -> Any:
    """Zeros of ``shape`` with ``values`` added at ``index``: the adjoint of ``x[index]``."""
    return scatter_sum((index,), (tuple(shape), dtype_of(values)), None, values)


def embedded(values: Any, index: Any, background: Any) -> Any:
    """The array ``background`` with ``values`` at ``index``, which selects no element twice.

    Added to -0.0, the one number that changes none: added to 0, a -0.0 would lose its sign.
    """
    base = _np.array(background)
    if base.dtype.kind in "fc":
        base[index] = -_np.zeros((), base.dtype)
    return scatter_sum((index,), None, base, values)


# ---------------------------------------------------------------- public functions


@composite(
    samples=lambda: [
        call(normals(3, 4), [0, 5, 5]),
        call(normals(3, 4), _np.array([[0, 2], [1, -1]]), axis=1),
        call(normals(3, 4), 1, axis=-2),
        call(normals(3), [4, -5], mode="wrap"),
        call(normals(3), [4, -5], mode="clip"),
    ]
)
def take(a, indices, axis=None, out=None, mode="raise"):
    """As ``numpy.take``; ``out`` is refused for traced arrays."""
    if not is_traced(a, indices):
        return _np.take(a, indices, axis, out, mode)
    refuse("take", out=out)
    a = as_array(a)
    if axis is None:
        from .shaping import ravel

        a, axis = ravel(a), 0
    axis = normalise_axis(axis, a.ndim)
    if not is_traced(indices):
        indices = _np.asarray(indices)
    if mode != "raise":
        indices = _inside(indices, a.shape[axis], mode)
    return getitem(a, (slice(None),) * axis + (indices,))


def _inside(indices: Any, length: int, mode: str) -> Any:
    from .elementwise import maximum, minimum, mod

    if mode == "wrap":
        return mod(indices, length)
    if mode == "clip":
        return minimum(maximum(indices, 0), length - 1)
    raise ValueError(f"clipmode not understood: {mode!r}")


@composite(
    samples=lambda: [
        call(normals(3, 4), _np.array([[0], [1], [3]])),
        call(normals(3, 4), _np.array([[0, 0, 2, 1]]), 0),
        call(normals(2, 2), _np.array([1, 1, 3]), None),
        call(normals(1, 3), _np.array([[0, 2], [1, 1]]), 1),
    ]
)
def take_along_axis(arr, indices, axis=-1):
    """As ``numpy.take_along_axis``."""
    if not is_traced(arr, indices):
        return _np.take_along_axis(arr, indices, axis)
    arr = as_array(arr)
    if axis is None:
        from .shaping import ravel

        return getitem(ravel(arr), indices)
    axis = normalise_axis(axis, arr.ndim)
    if len(shape_of(indices)) != arr.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    index = [
        indices if position == axis else _steps(size, position, arr.ndim) for position, size in enumerate(arr.shape)
    ]
    return getitem(arr, tuple(index))


def _steps(size: int, position: int, ndim: int) -> Any:
    """0, 1, 2, ... along one axis of ``ndim``."""
    return _np.arange(size).reshape((1,) * position + (-1,) + (1,) * (ndim - position - 1))


@composite(samples=lambda: [call(mask(3), normals(3, 4), 0), call([0, 1, 1], normals(2, 2))])
def compress(condition, a, axis=None, out=None):
    """As ``numpy.compress``; ``out`` is refused for traced arrays."""
    if not is_traced(condition, a):
        return _np.compress(condition, a, axis, out)
    refuse("compress", out=out)
    return take(a, _np.flatnonzero(plain_value(condition)), axis)


@composite(samples=lambda: [call(mask(2, 3), normals(2, 3))])
def extract(condition, arr):
    """As ``numpy.extract``."""
    if not is_traced(condition, arr):
        return _np.extract(condition, arr)
    return take(arr, _np.flatnonzero(plain_value(condition)))
