"""Indexing and its adjoint.

``getitem(x, index)`` takes any NumPy index. Its cotangent is kept sparse, as (index, values) pairs,
until all of them have arrived; then one ``scatter_sum`` adds them up. A thousand ``x[i]`` thus cost one pass
over ``x``, and the sum is itself differentiable.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..trace.cotangent import Sparse
from ..trace.rules import general
from ..trace.tracer import BOX_TYPES, getval
from .arguments import is_traced, normalise_axis, shape_of

# ---------------------------------------------------------------- primitives

getitem = general(
    lambda x, index: x[index],
    {0: lambda ans, x, index: lambda g: Sparse(index, g)},
    {0: lambda g, ans, x, index: getitem(g, index)},
    name="getitem",
)


def _raw_scatter_sum(indices: tuple, fresh: bool, base: Any, *values: Any) -> Any:
    total = base if fresh else _np.array(base)
    for index, value in zip(indices, values, strict=True):
        if _is_basic(index):
            total[index] += value
        else:
            _np.add.at(total, index, value)
    return total


def _is_basic(index: Any) -> bool:
    """Whether an index selects each element at most once by construction (integers, slices, masks)."""
    parts = index if type(index) is tuple else (index,)
    return all(
        isinstance(part, (int, slice, _np.integer)) or part is None or part is Ellipsis for part in parts
    )


class _ScatterVjp:
    def __getitem__(self, argnum: int) -> Any:
        if argnum == 2:
            return lambda ans, *args: lambda g: g

        def maker(ans: Any, indices: tuple, fresh: bool, base: Any, *values: Any) -> Any:
            index = indices[argnum - 3]
            return lambda g: getitem(g, index)

        return maker


class _ScatterJvp:
    def __getitem__(self, argnum: int) -> Any:
        def rule(g: Any, ans: Any, indices: tuple, fresh: bool, base: Any, *values: Any) -> Any:
            if argnum == 2:
                return g
            zeros = _np.zeros(shape_of(base), ans.dtype)
            return scatter_sum((indices[argnum - 3],), True, zeros, g)

        return rule


#: ``(indices, fresh, base, *values)``: ``base`` plus each of the values added at its index; ``fresh``: base may be written
scatter_sum = general(_raw_scatter_sum, _ScatterVjp(), _ScatterJvp(), name="scatter_sum")


def place(values: Any, index: Any, shape: tuple) -> Any:
    """Zeros of ``shape`` with ``values`` added at ``index``: the adjoint of ``x[index]``."""
    dtype = getval(values).dtype if hasattr(getval(values), "dtype") else _np.asarray(getval(values)).dtype
    return scatter_sum((index,), True, _np.zeros(shape, dtype), values)


# ---------------------------------------------------------------- public functions


def take(a, indices, axis=None, out=None, mode="raise"):
    """As ``numpy.take``; ``out`` is refused for traced arrays."""
    if not is_traced(a, indices):
        return _np.take(a, indices, axis, out, mode)
    from .arguments import refuse
    from .shaping import ravel

    refuse("take", out=out)
    if type(a) not in BOX_TYPES:
        a = _np.asarray(a)
    if axis is None:
        a, axis = ravel(a), 0
    axis = normalise_axis(axis, a.ndim)
    if type(indices) not in BOX_TYPES:
        indices = _np.asarray(indices)
        length = a.shape[axis]
        if mode == "wrap":
            indices = indices % length
        elif mode == "clip":
            indices = _np.clip(indices, 0, length - 1)
    return getitem(a, (slice(None),) * axis + (indices,))


def take_along_axis(arr, indices, axis=-1):
    """As ``numpy.take_along_axis``."""
    if not is_traced(arr, indices):
        return _np.take_along_axis(arr, indices, axis)
    from .shaping import ravel, reshape

    if axis is None:
        return getitem(ravel(arr), indices)
    axis = normalise_axis(axis, arr.ndim)
    index = []
    for position, size in enumerate(arr.shape):
        if position == axis:
            index.append(indices)
        else:
            steps = _np.arange(size if shape_of(indices)[position] != 1 else size)
            index.append(reshape(steps, (1,) * position + (-1,) + (1,) * (arr.ndim - position - 1)))
    return getitem(arr, tuple(index))


def compress(condition, a, axis=None, out=None):
    """As ``numpy.compress``; ``out`` is refused for traced arrays."""
    if not is_traced(condition, a):
        return _np.compress(condition, a, axis, out)
    from .arguments import refuse

    refuse("compress", out=out)
    return take(a, _np.flatnonzero(_np.asarray(condition)), axis)


def extract(condition, arr):
    """As ``numpy.extract``."""
    if not is_traced(condition, arr):
        return _np.extract(condition, arr)
    from .shaping import ravel

    return take(ravel(arr), _np.flatnonzero(_np.asarray(condition)))
