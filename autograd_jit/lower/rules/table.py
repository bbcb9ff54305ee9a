"""The table of lowering rules, and what all rules share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ...trace.tape import Op
from ..builder import Builder, NoLowering, is_native
from ..graph import Literal, Operand, View

__all__ = [
    "BOOL",
    "RULES",
    "Rule",
    "as_bool",
    "as_operand",
    "require_native",
    "result_type",
    "rule_for",
    "shadow",
    "viewed",
    "viewed_by",
    "with_shape",
]

BOOL = np.dtype(np.bool_)
_FLOAT64 = np.dtype(np.float64)

Rule = Callable[..., Any]
#: primitive -> rule ``(builder, op, *arguments, **kwargs) -> operand``, or a list of operands for several outputs
RULES: dict[Any, Rule] = {}


def rule_for(function: Any, rule: Rule) -> None:
    """Register the rule of a wrapped function."""
    RULES[function.primitive] = rule


def as_operand(value: Any) -> Operand:
    """A rule's argument as an operand; raises NoLowering for what is none."""
    kind = type(value)
    if kind is View or kind is Literal:
        return value
    if kind is float:
        return Literal(value, _FLOAT64)
    if isinstance(value, (bool, int, float, np.generic)):
        if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
            raise NoLowering("an integer beyond 64 bits")
        return Literal(value, np.asarray(value).dtype)
    raise NoLowering(f"an argument of type {type(value).__name__}")


def require_native(*dtypes: np.dtype) -> None:
    for dtype in dtypes:
        if not is_native(dtype):
            raise NoLowering(f"dtype {dtype.name}")


def result_type(op: Op) -> Any:
    return op.outputs[0].type


def as_bool(b: Builder, operand: Operand, shape: tuple) -> Operand:
    return b.map("cast", (operand,), BOOL, operand.shape) if operand.dtype != BOOL else operand


#: one byte of memory that index maps are computed on; view functions of NumPy never read the elements
_BYTE = np.zeros(1, np.int8)


def shadow(view: View) -> np.ndarray:
    """An array with the view's shape and strides (one byte an element), for NumPy to take views of."""
    return np.lib.stride_tricks.as_strided(_BYTE, view.shape, view.strides)


def viewed(view: View, shadow: np.ndarray, base: np.ndarray) -> View:
    _require_array(shadow)
    start = shadow.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    if shadow.size == 0:
        start = -view.offset
    return View(view.value, shadow.shape, shadow.strides, view.offset + start)


def _require_array(view: Any) -> None:
    """Refuse a scalar: some functions give one for arrays of no dimensions, and it lies elsewhere in memory."""
    if not isinstance(view, np.ndarray):
        raise NoLowering("a view that is a scalar")


def viewed_by(view: View, function: Callable, *args: Any) -> View:
    """``function(view, *args)`` for a function of NumPy that returns a view; ``args`` are hashable.

    NumPy is asked once for each index map: 5 us, where a loop of T steps takes the same view T times.
    """
    shape, strides, start = _index_map(view.shape, view.strides, function, args)
    return View(view.value, shape, strides, 0 if start is None else view.offset + start)


@functools.lru_cache(maxsize=4096)
def _index_map(shape: tuple, strides: tuple, function: Callable, args: tuple) -> tuple[tuple, tuple, int | None]:
    """Shape, strides and first element of the view; None for the first element where there is none."""
    base = np.lib.stride_tricks.as_strided(_BYTE, shape, strides)
    view = function(base, *args)
    _require_array(view)
    start = view.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return view.shape, view.strides, start if view.size else None


def with_shape(view: View, shape: tuple) -> View:
    """The same elements, regrouped; raises ValueError where that takes a copy."""
    return view if view.shape == shape else viewed_by(view, _reshaped, shape)


def _reshaped(array: np.ndarray, shape: tuple) -> np.ndarray:
    return np.reshape(array, shape, copy=False)
