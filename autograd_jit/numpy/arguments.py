"""The one place where NumPy-style arguments are brought to a normal form."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as _np

from ..errors import ArgumentError
from ..trace.tracer import BOX_TYPES, concrete

__all__ = [
    "NoValue",
    "as_array",
    "dtype_of",
    "held",
    "is_traced",
    "lists_as_arrays",
    "normalise_axes",
    "normalise_axis",
    "plain_value",
    "reduced_shape",
    "refuse",
    "refuse_traced",
    "result_type_of",
    "shape_of",
    "without_boxes",
]

#: NumPy's own marker of an argument that was not given
NoValue = _np._NoValue  # type: ignore[attr-defined]


def is_traced(*values: Any) -> bool:
    """Whether any value is a box, or a list or tuple that holds one."""
    for value in values:
        kind = type(value)
        if kind in BOX_TYPES and not kind.stands_for_integer:
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


def normalise_axes(axis: Any, ndim: int, strict: bool = False) -> tuple[int, ...]:
    """An ``axis=`` argument (None, int or tuple) as a sorted tuple of non-negative integers.

    A scalar may be reduced over axis 0 or -1 by NumPy's ufuncs, but not by functions that are ``strict``.
    """
    if axis is None:
        return tuple(range(ndim))
    if not isinstance(axis, (tuple, list)):
        if ndim == 0 and not strict and operator.index(axis) in (0, -1):
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


def dtype_of(x: Any) -> Any:
    """The dtype of an array, scalar, box or nested list."""
    return x.dtype if hasattr(x, "dtype") else _np.asarray(x).dtype


def scalar_results(function: Callable) -> Callable:
    """Decorator: traced results without axes are NumPy scalars, as the plain function's are, not 0-d arrays."""

    @functools.wraps(function)
    def with_scalars(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return tuple(map(_as_scalar, result)) if type(result) is tuple else _as_scalar(result)

    return with_scalars


def _as_scalar(x: Any) -> Any:
    return x[()] if type(x) in BOX_TYPES and type(concrete(x)) is _np.ndarray and x.ndim == 0 else x


def without_boxes(x: Any) -> Any:
    """``x`` without its boxes, for its shape and dtype alone: a recorder does not see it."""
    kind = type(x)
    if kind in BOX_TYPES:
        return concrete(x)
    if (kind is list or kind is tuple) and is_traced(x):
        return kind([without_boxes(item) for item in x])
    return x


def result_type_of(*values: Any) -> Any:
    """``numpy.result_type``, also of boxes; Python scalars are weak."""
    return _np.result_type(*[without_boxes(x) for x in values])


def as_array(x: Any) -> Any:
    """A box as it is; a list that holds boxes as one traced array; anything else as a plain array."""
    if type(x) in BOX_TYPES or type(x) is _np.ndarray:
        return x
    if (type(x) is list or type(x) is tuple) and is_traced(x):
        from .joining import array

        return array(x)
    return _np.asarray(x)


def lists_as_arrays(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments of a call with each list that holds boxes made one traced array."""
    return tuple([as_array(a) if type(a) in (list, tuple) else a for a in args]), kwargs


def plain_value(x: Any) -> Any:
    """The plain array behind ``x``, for a decision that its value makes; a recorder guards it."""
    while type(x) in BOX_TYPES and not x._node.sees_nondifferentiable:
        x = x._value
    return _np.asarray(x)


def held(function: str, **argument: Any) -> Any:
    """The one argument, plain: refused if it is differentiated, guarded by value if it is recorded."""
    value = next(iter(argument.values()))
    if type(value) in BOX_TYPES and value._node.sees_nondifferentiable:
        return plain_value(value)[()]
    refuse_traced(function, **argument)
    return value


def refuse_traced(function: str, **arguments: Any) -> None:
    """Raise ArgumentError for any argument that is traced and has no derivative here."""
    for name, value in arguments.items():
        if is_traced(value):
            raise ArgumentError(
                f"{function}: a traced {name} is not supported; pass a plain value, "
                f"as autograd_jit.tracer.getval({name}) gives it"
            )
