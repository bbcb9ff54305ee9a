"""The one place where NumPy-style arguments are brought to a normal form."""

from __future__ import annotations

import operator
from typing import Any

import numpy as _np

from ..errors import ArgumentError
from ..trace.tracer import BOX_TYPES

__all__ = ["NoValue", "is_traced", "normalise_axes", "normalise_axis", "reduced_shape", "refuse", "shape_of"]

#: NumPy's own marker of an argument that was not given
NoValue = _np._NoValue  # type: ignore[attr-defined]


def is_traced(*values: Any) -> bool:
    """Whether any value is a box, or a list or tuple that holds one."""
    for value in values:
        kind = type(value)
        if kind in BOX_TYPES:
            return True
        if (kind is list or kind is tuple) and is_traced(*value):
            return True
    return False


def normalise_axis(axis: Any, ndim: int) -> int:
    """``axis`` as a number in ``[0, ndim)``; raises ``numpy.exceptions.AxisError`` outside."""
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise _np.exceptions.AxisError(axis, ndim)
    return axis % ndim if ndim else 0


def normalise_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """An ``axis=`` argument (None, int or tuple) as a sorted tuple of non-negative integers."""
    if axis is None:
        return tuple(range(ndim))
    if not isinstance(axis, (tuple, list)):
        if ndim == 0 and operator.index(axis) in (0, -1):
            return ()
        return (normalise_axis(axis, ndim),)
    axes = tuple(sorted(normalise_axis(a, ndim) for a in axis))
    if len(set(axes)) != len(axes):
        raise ValueError("duplicate value in 'axis'")
    return axes


def reduced_shape(shape: tuple, axes: tuple) -> tuple:
    """``shape`` with ones along ``axes``."""
    return tuple([1 if position in axes else size for position, size in enumerate(shape)])


def refuse(function: str, **arguments: Any) -> None:
    """Raise ArgumentError for any argument given that a traced call does not support."""
    for name, value in arguments.items():
        if value is not None and value is not NoValue:
            raise ArgumentError(
                f"{function}: the argument {name}= is not supported for traced arrays "
                f"(got {value!r}); leave it out and use the returned array"
            )


def shape_of(x: Any) -> tuple:
    """The shape of an array, scalar, box or nested list."""
    return x.shape if hasattr(x, "shape") else _np.shape(x)
