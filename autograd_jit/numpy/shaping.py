"""Functions that only move elements: reshape, transpose, flip, roll, tile, pad, cast.

Public functions have NumPy's signatures and normalise their arguments; the primitives below them take
resolved shapes and axes. On plain values NumPy itself is called.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as _np

from ..trace.rules import composite, linear
from ..trace.samples import call, normals
from ..trace.tracer import concrete, getval
from . import elementwise as ew
from .arguments import as_array as _traced
from .arguments import is_traced, normalise_axes, normalise_axis, refuse, shape_of

__all__ = [
    "astype",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_arrays",
    "broadcast_to",
    "diag",
    "diagonal",
    "expand_dims",
    "flip",
    "fliplr",
    "flipud",
    "matrix_transpose",
    "moveaxis",
    "permute_dims",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "rollaxis",
    "rot90",
    "squeeze",
    "swapaxes",
    "tile",
    "trace",
    "transpose",
    "tril",
    "triu",
]

# ---------------------------------------------------------------- primitives

_reshape = linear(
    lambda x, shape, order: _np.reshape(x, shape, order=order),
    lambda g, source, shape, order: _reshape(g, source, order),
    name="reshape",
    samples=lambda: [call(normals(2, 3), (3, 2), order) for order in "CF"],
)
_transpose = linear(
    lambda x, axes: _np.transpose(x, axes),
    lambda g, source, axes: _transpose(g, tuple(_np.argsort(axes).tolist())),
    name="transpose",
    samples=lambda: [call(normals(2, 3, 2), (2, 0, 1))],
)
def _raw_broadcast_to(x: Any, shape: tuple) -> Any:
    """As ``numpy.broadcast_to``, which takes 3 us to make a view: small results are filled arrays, in 0.6."""
    if math.prod(shape) > 256:
        return _np.broadcast_to(x, shape)
    result = _np.empty(shape, _np.asarray(x).dtype)
    result[...] = x
    return result


_broadcast_to = linear(
    _raw_broadcast_to,
    lambda g, source, shape: g,
    name="broadcast_to",
    samples=lambda: [call(normals(3, 1), (2, 3, 2)), call(1.5, (2,))],
)
_flip = linear(
    lambda x, axes: _np.flip(x, axes),
    lambda g, source, axes: _flip(g, axes),
    name="flip",
    samples=lambda: [call(normals(2, 3), (1,))],
)
_roll = linear(
    lambda x, shifts, axes: _np.roll(x, shifts, axes),
    lambda g, source, shifts, axes: _roll(g, tuple([-s for s in shifts]), axes),
    name="roll",
    samples=lambda: [call(normals(2, 3), (1, 2), (0, 1))],
)
_scalar_as_array = linear(
    lambda x: _np.asarray(x),
    lambda g, source: g,
    name="scalar_as_array",
    samples=lambda: [call(_np.float64(1.5)), call(0.5)],
)
_astype = linear(
    lambda x, dtype: x.astype(dtype) if hasattr(x, "astype") else _np.asarray(x).astype(dtype)[()],
    lambda g, source, dtype: g,
    name="astype",
    samples=lambda: [call(normals(2), _np.dtype(complex)), call(1.5, _np.dtype(float))],
)

# ---------------------------------------------------------------- shape


@composite(
    samples=lambda: [
        call(normals(2, 3), (3, -1)),
        call(normals(2, 3), 6, order="F"),
        call(normals(2, 3), -1),
        call(normals(0, 3), (3, 0)),
    ]
)
def reshape(a, /, shape=None, order="C", *, newshape=None, copy=None):
    """As ``numpy.reshape``; order ``"A"`` means the order in memory of the plain value."""
    shape = newshape if shape is None else shape
    if not is_traced(a):
        return _np.reshape(a, shape, order=order)
    a = _traced(a)
    shape = tuple(_ints(shape)) if isinstance(shape, (tuple, list, _np.ndarray)) else (_int(shape),)
    if -1 in shape:
        known = math.prod([size for size in shape if size != -1])
        if shape.count(-1) > 1 or (a.size % known if known else a.size):
            raise ValueError(f"cannot reshape array of size {a.size} into shape {shape}")
        shape = tuple([a.size // known if size == -1 and known else 0 if size == -1 else size for size in shape])
    if order == "A":
        order = "F" if getval(a).flags.fnc else "C"
    if order == "K":
        raise ValueError("order 'K' is not permitted for reshaping")
    return _reshape(a, shape, order)


def _int(value: Any) -> int:
    return value if type(value) is int else value.__index__()


def _ints(values: Any) -> list[int]:
    return [_int(value) for value in values]


@composite(samples=lambda: [call(normals(2, 3)), call(normals(2, 3), "F"), call(normals())])
def ravel(a, order="C"):
    """As ``numpy.ravel``."""
    if not is_traced(a):
        return _np.ravel(a, order)
    return reshape(a, (-1,), "C" if order == "K" and not getval(a).flags.fnc else order if order != "K" else "F")


@composite(samples=lambda: [call(normals(2, 3)), call(normals(2, 3, 1), (-1, 0, 1))])
def transpose(a, axes=None):
    """As ``numpy.transpose``; negative axes are allowed."""
    if not is_traced(a):
        return _np.transpose(a, axes)
    a = _traced(a)
    ndim = a.ndim
    if axes is None:
        order = tuple(range(ndim))[::-1]
    else:
        order = tuple([normalise_axis(axis, ndim) for axis in (axes if hasattr(axes, "__iter__") else (axes,))])
        if len(order) != ndim:
            raise ValueError("axes don't match array")
        if len(set(order)) != ndim:
            raise ValueError("repeated axis in transpose")
    return _transpose(a, order)


permute_dims = transpose


@composite(samples=lambda: [call(normals(2, 3, 1))])
def matrix_transpose(x, /):
    """As ``numpy.matrix_transpose``: swap the last two axes."""
    if not is_traced(x):
        return _np.matrix_transpose(x)
    if x.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {x.ndim}")
    return swapaxes(x, -1, -2)


@composite(samples=lambda: [call(normals(2, 3, 1), 0, -1)])
def swapaxes(a, axis1, axis2):
    """As ``numpy.swapaxes``."""
    if not is_traced(a):
        return _np.swapaxes(a, axis1, axis2)
    a = _traced(a)
    order = list(range(a.ndim))
    first, second = normalise_axis(axis1, a.ndim), normalise_axis(axis2, a.ndim)
    order[first], order[second] = order[second], order[first]
    return _transpose(a, tuple(order))


@composite(samples=lambda: [call(normals(2, 3, 1), 0, -1), call(normals(2, 3, 1), (0, 1), (-1, 0))])
def moveaxis(a, source, destination):
    """As ``numpy.moveaxis``."""
    if not is_traced(a):
        return _np.moveaxis(a, source, destination)
    a = _traced(a)
    sources = [normalise_axis(s, a.ndim) for s in _as_tuple(source)]
    targets = [normalise_axis(d, a.ndim) for d in _as_tuple(destination)]
    if len(sources) != len(targets):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [axis for axis in range(a.ndim) if axis not in sources]
    for target, source_axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source_axis)
    return _transpose(a, tuple(order))


def _as_tuple(value: Any) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


@composite(samples=lambda: [call(normals(2, 3, 1), 2), call(normals(2, 3, 1), 0, 3), call(normals(2, 3, 1), -1, 1)])
def rollaxis(a, axis, start=0):
    """As ``numpy.rollaxis``."""
    if not is_traced(a):
        return _np.rollaxis(a, axis, start)
    axis = normalise_axis(axis, a.ndim)
    start = start + a.ndim if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


@composite(samples=lambda: [call(normals(2), (0, -1)), call(normals(2), 1), call(normals(), 0)])
def expand_dims(a, axis):
    """As ``numpy.expand_dims``."""
    if not is_traced(a):
        return _np.expand_dims(a, axis)
    a = _traced(a)
    ndim = a.ndim + len(_as_tuple(axis))
    axes = [normalise_axis(ax, ndim) for ax in _as_tuple(axis)]
    if len(set(axes)) != len(axes):
        raise ValueError("repeated axis")
    sizes = iter(a.shape)
    return _reshape(a, tuple([1 if position in axes else next(sizes) for position in range(ndim)]), "C")


@composite(samples=lambda: [call(normals(2, 1, 1)), call(normals(2, 1, 1), -1)])
def squeeze(a, axis=None):
    """As ``numpy.squeeze``."""
    if not is_traced(a):
        return _np.squeeze(a, axis)
    a = _traced(a)
    axes = (
        [position for position, size in enumerate(a.shape) if size == 1]
        if axis is None
        else list(normalise_axes(axis, a.ndim))
    )
    if any(a.shape[position] != 1 for position in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return _reshape(a, tuple([size for position, size in enumerate(a.shape) if position not in axes]), "C")


@composite(samples=lambda: [call(normals(3, 1), (2, 3, 2)), call(normals(), 3)])
def broadcast_to(array, shape, subok=False):
    """As ``numpy.broadcast_to``."""
    if not is_traced(array):
        return _np.broadcast_to(array, shape, subok)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    array = _traced(array)
    return array if array.shape == shape else _broadcast_to(array, shape)


@composite(samples=lambda: [call(normals(3, 1), normals(2), 1.5)])
def broadcast_arrays(*args, subok=False):
    """As ``numpy.broadcast_arrays``."""
    shape = _np.broadcast_shapes(*[shape_of(a) for a in args])
    return tuple(broadcast_to(as_ndarray(a), shape) for a in args)


def as_ndarray(x: Any) -> Any:
    """A scalar as an array of no dimensions; anything else as it is."""
    return _scalar_as_array(x) if type(concrete(x)) is not _np.ndarray and shape_of(x) == () else x


@composite(samples=lambda: [call(normals()), call(normals(), normals(2))])
def atleast_1d(*arys):
    """As ``numpy.atleast_1d``."""
    return _each(_np.atleast_1d, arys, lambda a: reshape(a, (1,)) if a.ndim == 0 else a)


@composite(samples=lambda: [call(normals()), call(normals(2))])
def atleast_2d(*arys):
    """As ``numpy.atleast_2d``."""
    return _each(_np.atleast_2d, arys, lambda a: reshape(a, (1,) * (2 - a.ndim) + a.shape) if a.ndim < 2 else a)


@composite(samples=lambda: [call(normals()), call(normals(2)), call(normals(2, 1))])
def atleast_3d(*arys):
    """As ``numpy.atleast_3d``."""

    def one(a: Any) -> Any:
        if a.ndim == 0:
            return reshape(a, (1, 1, 1))
        if a.ndim == 1:
            return reshape(a, (1, a.shape[0], 1))
        return reshape(a, (*a.shape, 1)) if a.ndim == 2 else a

    return _each(_np.atleast_3d, arys, one)


def _each(plain: Any, arrays: tuple, traced: Any) -> Any:
    results = tuple(traced(_traced(a)) if is_traced(a) else plain(a) for a in arrays)
    return results[0] if len(results) == 1 else results


# ---------------------------------------------------------------- order of elements


@composite(samples=lambda: [call(normals(2, 3)), call(normals(2, 3), -1), call(normals(2, 3), (0, 1))])
def flip(m, axis=None):
    """As ``numpy.flip``."""
    if not is_traced(m):
        return _np.flip(m, axis)
    m = _traced(m)
    axes = range(m.ndim) if axis is None else _as_tuple(axis)
    return _flip(m, tuple([normalise_axis(ax, m.ndim) for ax in axes]))


@composite(samples=lambda: [call(normals(2, 3))])
def flipud(m):
    """As ``numpy.flipud``."""
    return flip(m, 0) if is_traced(m) else _np.flipud(m)


@composite(samples=lambda: [call(normals(2, 3))])
def fliplr(m):
    """As ``numpy.fliplr``."""
    return flip(m, 1) if is_traced(m) else _np.fliplr(m)


@composite(
    samples=lambda: [
        call(normals(2, 3), 2),
        call(normals(2, 3), (1, -1), (0, 1)),
        call(normals(2, 3), 4, -1),
        call(normals(5), (1, 2)),
    ]
)
def roll(a, shift, axis=None):
    """As ``numpy.roll``."""
    if not is_traced(a):
        return _np.roll(a, shift, axis)
    a = _traced(a)
    if axis is None:
        return reshape(_roll(ravel(a), tuple(_ints(_as_tuple(shift))), (0,) * len(_as_tuple(shift))), a.shape)
    axes, shifts = _as_tuple(axis), _as_tuple(shift)
    pairs = _np.broadcast(_np.array(axes), _np.array(shifts))
    resolved = [(normalise_axis(ax, a.ndim), int(s)) for ax, s in pairs]
    return _roll(a, tuple([s for _, s in resolved]), tuple([ax for ax, _ in resolved]))


@composite(
    samples=lambda: [
        call(normals(2, 3)),
        call(normals(2, 3), 2),
        call(normals(2, 3, 1), 3, (1, 2)),
        call(normals(2, 3), 0),
    ]
)
def rot90(m, k=1, axes=(0, 1)):
    """As ``numpy.rot90``."""
    if not is_traced(m):
        return _np.rot90(m, k, axes)
    first, second = [normalise_axis(ax, m.ndim) for ax in axes]
    if first == second:
        raise ValueError("Axes must be different.")
    k %= 4
    if k == 2:
        return flip(m, (first, second))
    if k == 1:
        return swapaxes(flip(m, second), first, second)
    return flip(swapaxes(m, first, second), second) if k == 3 else m


@composite(
    samples=lambda: [
        call(normals(2, 3), 2),
        call(normals(2, 3), [0, 2], 0),
        call(normals(), 3),
        call(normals(2, 3), 2, -1),
    ]
)
def repeat(a, repeats, axis=None):
    """As ``numpy.repeat``; ``repeats`` is a plain integer or array."""
    if not is_traced(a):
        return _np.repeat(a, repeats, axis)
    from .indexing import take

    a = _traced(a)
    if axis is None:
        a, axis = ravel(a), 0
    a = reshape(a, (1,)) if a.ndim == 0 else a
    axis = normalise_axis(axis, a.ndim)
    return take(a, _np.repeat(_np.arange(a.shape[axis]), repeats), axis)


@composite(
    samples=lambda: [
        call(normals(2, 3), 2),
        call(normals(3), (2, 2)),
        call(normals(2, 3), (2, 1, 1)),
        call(normals(), 3),
        call(normals(2), 0),
    ]
)
def tile(A, reps):
    """As ``numpy.tile``."""
    if not is_traced(A):
        return _np.tile(A, reps)
    A = _traced(A)
    reps = tuple(_ints(_as_tuple(reps)))
    ndim = max(A.ndim, len(reps))
    shape = (1,) * (ndim - A.ndim) + A.shape
    reps = (1,) * (ndim - len(reps)) + reps
    interleaved = sum([(1, size) for size in shape], ())
    spread = sum([(rep, size) for rep, size in zip(reps, shape, strict=True)], ())
    tiled = broadcast_to(reshape(A, interleaved), spread)
    return reshape(tiled, tuple([rep * size for rep, size in zip(reps, shape, strict=True)]))


@composite(samples=lambda: [call(normals(3), complex), call(normals(3), _np.float32)])
def astype(x, dtype, /, *, copy=True, device=None):
    """As ``numpy.astype``: casting to an integer type has no derivative."""
    if not is_traced(x):
        return _astype(x, dtype)
    dtype = _np.dtype(dtype)
    if x.dtype.kind == "c" and dtype.kind != "c":
        x = ew.real(x)
    return x if x.dtype == dtype else _astype(x, dtype)


# ---------------------------------------------------------------- diagonals and triangles


def _scatter_diagonal(g: Any, source: tuple, offset: int) -> Any:
    rows, columns = _diagonal_indices(source, offset)
    from .indexing import place

    return place(g, (Ellipsis, rows, columns), source)


def _diagonal_indices(shape: tuple, offset: int) -> tuple:
    length = max(0, min(shape[-2] + min(offset, 0), shape[-1] - max(offset, 0)))
    steps = _np.arange(length)
    return steps - min(offset, 0), steps + max(offset, 0)


_diagonal = linear(
    lambda x, offset: _np.diagonal(x, offset, -2, -1),
    lambda g, source, offset: _scatter_diagonal(g, source, offset),
    name="diagonal",
    samples=lambda: [call(normals(2, 3, 4), 1)],
)


@composite(
    samples=lambda: [
        call(normals(3, 4)),
        call(normals(3, 4), -1),
        call(normals(2, 3, 4), 1, 0, 2),
        call(normals(2, 2), 5),
    ]
)
def diagonal(a, offset=0, axis1=0, axis2=1):
    """As ``numpy.diagonal``."""
    if not is_traced(a):
        return _np.diagonal(a, offset, axis1, axis2)
    if a.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    return _diagonal(moveaxis(a, (axis1, axis2), (-2, -1)), offset)


@composite(
    samples=lambda: [
        call(normals(3)),
        call(normals(3), -2),
        call(normals(2, 4)),
        call(normals(4, 2), 1),
        call(normals(4, 2), -1),
    ]
)
def diag(v, k=0):
    """As ``numpy.diag``: the diagonal of a matrix, or the matrix of a diagonal; nonsquare matrices too."""
    if not is_traced(v):
        return _np.diag(v, k)
    v = _traced(v)
    if v.ndim == 1:
        from .indexing import embedded

        size = v.shape[0] + abs(k)
        return embedded(v, _diagonal_indices((size, size), k), _np.zeros((size, size), v.dtype))
    if v.ndim != 2:
        raise ValueError("Input must be 1- or 2-d.")
    return _diagonal(v, k)


@composite(samples=lambda: [call(normals(3, 4)), call(normals(2, 3, 4), 1, 0, 2), call(normals(3, 4), dtype=complex)])
def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    """As ``numpy.trace``."""
    if not is_traced(a):
        return _np.trace(a, offset, axis1, axis2, dtype, out)
    from .reductions import sum

    refuse("trace", out=out)
    return sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@composite(samples=lambda: [call(normals(3, 4)), call(normals(3), 1), call(normals(2, 3, 2), -1)])
def triu(m, k=0):
    """As ``numpy.triu``."""
    if not is_traced(m):
        return _np.triu(m, k)
    return ew.where(_np.triu(_np.ones(m.shape[-2:], bool), k), m, _np.zeros((), m.dtype))


@composite(samples=lambda: [call(normals(3, 4), -1), call(normals(3))])
def tril(m, k=0):
    """As ``numpy.tril``."""
    if not is_traced(m):
        return _np.tril(m, k)
    return ew.where(_np.tril(_np.ones(m.shape[-2:], bool), k), m, _np.zeros((), m.dtype))
