"""Functions that put arrays together or take them apart: array, concatenate, stack, split."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import numpy as _np

from ..trace.rules import composite, general
from ..trace.samples import call, complexes, normals
from ..trace.tracer import BOX_TYPES, concrete, getval
from .arguments import as_array, dtype_of, is_traced, normalise_axis, refuse, shape_of
from .shaping import (
    as_ndarray,
    astype,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_to,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
)  # fmt: skip

__all__ = [
    "append",
    "array",
    "array_from_args",
    "array_split",
    "asanyarray",
    "asarray",
    "ascontiguousarray",
    "asfortranarray",
    "column_stack",
    "concat",
    "concatenate",
    "copy",
    "dsplit",
    "dstack",
    "full",
    "hsplit",
    "hstack",
    "meshgrid",
    "row_stack",
    "split",
    "stack",
    "unstack",
    "vsplit",
    "vstack",
]

# ---------------------------------------------------------------- the primitive: (axis, *arrays)


def _concatenate_vjp(argnums: tuple, ans: Any, args: tuple, kwargs: dict) -> Any:
    """Each array's slice of the cotangent, for all arrays at once: their places are found in one pass."""
    axis = args[0]
    ends = list(accumulate([shape_of(a)[axis] for a in args[1:]], initial=0))
    lead = (slice(None),) * axis
    pieces = [(*lead, slice(ends[argnum - 1], ends[argnum])) for argnum in argnums]
    return lambda g: [g[piece] for piece in pieces]


def _concatenate_jvp(argnums: tuple, tangents: list, ans: Any, args: tuple, kwargs: dict) -> Any:
    """All pieces' tangents concatenated at once, zeros where a piece has none."""
    given = dict(zip(argnums, tangents, strict=True))
    axis, arrays = args[0], args[1:]
    kind = dtype_of(ans)
    pieces = [given[i] if i in given else _np.zeros(shape_of(a), kind) for i, a in enumerate(arrays, 1)]
    return _concatenate(axis, *pieces)


_concatenate = general(
    lambda axis, *arrays: _np.concatenate(arrays, axis),
    _concatenate_vjp,
    _concatenate_jvp,
    name="concatenate",
    samples=lambda: [call(1, normals(2, 1), normals(2, 3), normals(2, 0))],
)


def _stack_vjp(argnums: tuple, ans: Any, args: tuple, kwargs: dict) -> Any:
    lead = (slice(None),) * args[0]
    return lambda g: [g[(*lead, argnum - 1)] for argnum in argnums]


def _stack_jvp(argnums: tuple, tangents: list, ans: Any, args: tuple, kwargs: dict) -> Any:
    given = dict(zip(argnums, tangents, strict=True))
    blank = _np.zeros(shape_of(args[1]), dtype_of(ans))
    return _stack(args[0], *[given.get(i, blank) for i in range(1, len(args))])


#: ``(axis, *arrays)``, all of one shape. A primitive of its own, since lists of a thousand traced numbers are common:
#: reshaping each of them costs twice what HIPS autograd needs for all
_stack = general(
    lambda axis, *arrays: _np.stack(arrays, axis),
    _stack_vjp,
    _stack_jvp,
    name="stack",
    samples=lambda: [call(1, normals(2), normals(2, seed=1)), call(0, normals(), 1.5)],
)

# ---------------------------------------------------------------- joining


@composite(
    samples=lambda: [
        call([normals(2, 3), normals(1, 3)]),
        call((normals(2), normals(2, 2)), None),
        call([normals(2, 1), normals(2, 2)], axis=-1),
        call(normals(2, 3)),
    ]
)
def concatenate(arrays, /, axis=0, out=None, *, dtype=None, casting="same_kind"):
    """As ``numpy.concatenate``; ``out`` is refused for traced arrays."""
    if type(arrays) in BOX_TYPES:
        arrays = list(arrays)
    if not is_traced(arrays):
        return _np.concatenate(arrays, axis, out, dtype=dtype, casting=casting)
    refuse("concatenate", out=out)
    arrays = [as_array(a) for a in arrays]
    if dtype is not None:
        for a in arrays:
            if not _np.can_cast(a.dtype, dtype, casting):
                raise TypeError(
                    f"Cannot cast array data from {a.dtype!r} to {_np.dtype(dtype)!r} by casting={casting!r}"
                )
        arrays = [astype(a, dtype) for a in arrays]
    if axis is None:
        return _concatenate(0, *[ravel(a) for a in arrays])
    return _concatenate(normalise_axis(axis, len(shape_of(arrays[0]))), *arrays)


concat = concatenate


@composite(samples=lambda: [call([normals(2), normals(2, seed=1)], -1), call([normals(), 1.5])])
def stack(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    """As ``numpy.stack``; ``out`` is refused for traced arrays."""
    arrays = list(arrays)
    if not is_traced(arrays):
        return _np.stack(arrays, axis, out, dtype=dtype, casting=casting)
    arrays = [as_array(a) for a in arrays]
    shapes = {shape_of(a) for a in arrays}
    if len(shapes) != 1:
        raise ValueError("all input arrays must have the same shape")
    axis = normalise_axis(axis, len(shapes.pop()) + 1)
    if dtype is not None or out is not None:
        return concatenate([expand_dims(a, axis) for a in arrays], axis, out, dtype=dtype, casting=casting)
    return _stack(axis, *arrays)


@composite(samples=lambda: [call([normals(2), normals(3, 2)])])
def vstack(tup, *, dtype=None, casting="same_kind"):
    """As ``numpy.vstack``."""
    if not is_traced(tuple(tup)):
        return _np.vstack(tup, dtype=dtype, casting=casting)
    return concatenate([atleast_2d(as_array(a)) for a in tup], 0, dtype=dtype, casting=casting)


row_stack = vstack


@composite(samples=lambda: [call([normals(2), normals(3)]), call([normals(2, 1), normals(2, 2)])])
def hstack(tup, *, dtype=None, casting="same_kind"):
    """As ``numpy.hstack``."""
    if not is_traced(tuple(tup)):
        return _np.hstack(tup, dtype=dtype, casting=casting)
    arrays = [atleast_1d(as_array(a)) for a in tup]
    return concatenate(arrays, 0 if len(shape_of(arrays[0])) == 1 else 1, dtype=dtype, casting=casting)


@composite(samples=lambda: [call([normals(2), normals(2, seed=1)]), call([normals(2, 1), normals(2, 1, seed=1)])])
def dstack(tup):
    """As ``numpy.dstack``."""
    if not is_traced(tuple(tup)):
        return _np.dstack(tup)
    return concatenate([atleast_3d(as_array(a)) for a in tup], 2)


@composite(samples=lambda: [call([normals(2), normals(2, 2)])])
def column_stack(tup):
    """As ``numpy.column_stack``."""
    if not is_traced(tuple(tup)):
        return _np.column_stack(tup)
    arrays = [as_array(a) for a in tup]
    return concatenate([reshape(a, (-1, 1)) if len(shape_of(a)) < 2 else a for a in arrays], 1)


@composite(
    samples=lambda: [call(normals(2, 2), normals(3)), call(normals(2, 2), normals(1, 2), axis=0), call(normals(2), 1.5)]
)
def append(arr, values, axis=None):
    """As ``numpy.append``."""
    if axis is None:
        return concatenate([ravel(as_array(arr)), ravel(as_array(values))], 0)
    return concatenate([arr, values], axis)


@composite(
    samples=lambda: [
        call([[normals(), 2.0], [normals(seed=1), 1.0]]),
        call([normals(2), normals(2, seed=1)]),
        call(normals(3), ndmin=2),
        call([normals(), 1, True, complexes()]),
    ]
)
def array(object, dtype=None, *args, **kwargs):
    """As ``numpy.array``: nested lists may hold traced values at any depth."""
    if not is_traced(object):
        return _np.array(object, dtype, *args, **kwargs)
    if type(object) in BOX_TYPES:
        result = object if isinstance(concrete(object), _np.ndarray) else stack([object])[0, ...]
        if kwargs.get("copy", True) and result is object and type(getval(object)) in BOX_TYPES:
            result = object.copy()  # in a recorded program: who gets the result may write into it
    else:
        rows = [item if type(item) in BOX_TYPES else array(item) for item in object]
        result = stack(_broadcast_rows(rows))
    ndmin = kwargs.get("ndmin", 0)
    if result.ndim < ndmin:
        result = reshape(result, (1,) * (ndmin - result.ndim) + result.shape)
    if dtype is not None and result.dtype != _np.dtype(dtype):
        result = astype(result, dtype)
    return result


def _broadcast_rows(rows: list) -> list:
    shapes = {shape_of(row) for row in rows}
    if len(shapes) > 1:
        raise ValueError(
            "setting an array element with a sequence. The requested array has an inhomogeneous shape: "
            f"its items have shapes {sorted(shapes)}"
        )
    return rows


@composite(samples=lambda: [call([normals(), 2.0]), call(normals(2))])
def asarray(a, dtype=None, *args, **kwargs):
    """As ``numpy.asarray``."""
    if not is_traced(a):
        return _np.asarray(a, dtype, *args, **kwargs)
    return array(a, dtype, copy=None)


@composite(samples=lambda: [call(normals(2), _np.float32)])
def asanyarray(a, dtype=None, *args, **kwargs):
    """As ``numpy.asanyarray``."""
    return _np.asanyarray(a, dtype, *args, **kwargs) if not is_traced(a) else as_ndarray(array(a, dtype, copy=None))


def ascontiguousarray(a, dtype=None, *, like=None):
    """As ``numpy.ascontiguousarray``: at least one dimension."""
    return _np.ascontiguousarray(a, dtype) if not is_traced(a) else array(a, dtype, ndmin=1, copy=None)


def asfortranarray(a, dtype=None, *, like=None):
    """As ``numpy.asfortranarray``: the order in memory is not visible in a traced array."""
    return _np.asfortranarray(a, dtype) if not is_traced(a) else array(a, dtype, ndmin=1, copy=None)


@composite(samples=lambda: [call(normals(2))])
def copy(a, order="K", subok=False):
    """As ``numpy.copy``."""
    return _np.copy(a, order, subok) if not is_traced(a) else as_ndarray(array(a).copy())


def array_from_args(array_args, array_kwargs, *args):
    """The flat array of ``args`` (a name that Autograd programs import)."""
    return array(list(args), *array_args, **array_kwargs)


# ---------------------------------------------------------------- splitting


@composite(samples=lambda: [call(normals(5), 3), call(normals(2, 4), [1, 3], axis=1), call(normals(3), [1, 5])])
def array_split(ary, indices_or_sections, axis=0):
    """As ``numpy.array_split``."""
    if not is_traced(ary):
        return _np.array_split(ary, indices_or_sections, axis)
    axis = normalise_axis(axis, ary.ndim)
    length = ary.shape[axis]
    if isinstance(indices_or_sections, (int, _np.integer)):
        sections = int(indices_or_sections)
        if sections <= 0:
            raise ValueError("number sections must be larger than 0.")
        small, extra = divmod(length, sections)
        sizes = [small + 1] * extra + [small] * (sections - extra)
        cuts = [0, *_np.cumsum(sizes).tolist()]
    else:
        cuts = [0, *[int(cut) for cut in indices_or_sections], length]
    lead = (slice(None),) * axis
    return [ary[(*lead, slice(start, stop))] for start, stop in pairwise(cuts)]


@composite(samples=lambda: [call(normals(4), 2), call(normals(4, 2), [1, 2])])
def split(ary, indices_or_sections, axis=0):
    """As ``numpy.split``."""
    if not is_traced(ary):
        return _np.split(ary, indices_or_sections, axis)
    if isinstance(indices_or_sections, (int, _np.integer)) and shape_of(ary)[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


@composite(samples=lambda: [call(normals(2, 4), 2), call(normals(4), 2)])
def hsplit(ary, indices_or_sections):
    """As ``numpy.hsplit``."""
    if not is_traced(ary):
        return _np.hsplit(ary, indices_or_sections)
    return split(ary, indices_or_sections, 1 if len(shape_of(ary)) > 1 else 0)


@composite(samples=lambda: [call(normals(4, 2), 2)])
def vsplit(ary, indices_or_sections):
    """As ``numpy.vsplit``."""
    return split(ary, indices_or_sections, 0) if is_traced(ary) else _np.vsplit(ary, indices_or_sections)


@composite(samples=lambda: [call(normals(1, 2, 4), 2)])
def dsplit(ary, indices_or_sections):
    """As ``numpy.dsplit``."""
    return split(ary, indices_or_sections, 2) if is_traced(ary) else _np.dsplit(ary, indices_or_sections)


@composite(samples=lambda: [call(normals(2, 3), axis=1)])
def unstack(x, /, *, axis=0):
    """As ``numpy.unstack``."""
    if not is_traced(x):
        return _np.unstack(x, axis=axis)
    return tuple(moveaxis(x, axis, 0))


@composite(samples=lambda: [call((2, 2), normals()), call(3, normals(3))])
def full(shape, fill_value, dtype=None, *args, **kwargs):
    """As ``numpy.full``, with a traced fill value too."""
    if not is_traced(fill_value):
        return _np.full(shape, fill_value, dtype, *args, **kwargs)
    return broadcast_to(fill_value if dtype is None else astype(fill_value, dtype), shape)


@composite(
    samples=lambda: [
        call(normals(2), normals(3)),
        call(normals(2), normals(3), indexing="ij", sparse=True),
        call(normals(2)),
    ]
)
def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    """As ``numpy.meshgrid``."""
    if not is_traced(xi):
        return _np.meshgrid(*xi, copy=copy, sparse=sparse, indexing=indexing)
    count = len(xi)
    arrays = [ravel(as_array(x)) for x in xi]
    places = list(range(count))
    if indexing == "xy" and count > 1:
        places[:2] = [1, 0]
    shaped = [
        reshape(x, tuple([-1 if axis == place else 1 for axis in range(count)]))
        for x, place in zip(arrays, places, strict=True)
    ]
    if sparse:
        return tuple(shaped)
    shape = _np.broadcast_shapes(*[shape_of(x) for x in shaped])
    return tuple(broadcast_to(x, shape) for x in shaped)
