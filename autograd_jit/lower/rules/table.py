"""The table of lowering rules, and what all rules share."""

from __future__ import annotations

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
    "with_shape",
]

BOOL = np.dtype(np.bool_)

Rule = Callable[..., Any]
#: primitive -> rule ``(builder, op, *arguments, **kwargs) -> operand``, or a list of operands for several outputs
RULES: dict[Any, Rule] = {}


def rule_for(function: Any, rule: Rule) -> None:
    """Register the rule of a wrapped function."""
    RULES[function.primitive] = rule


def as_operand(value: Any) -> Operand:
    """A rule's argument as an operand; raises NoLowering for what is none."""
    if isinstance(value, (View, Literal)):
        return value
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
    start = shadow.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    if shadow.size == 0:
        start = -view.offset
    return View(view.value, shadow.shape, shadow.strides, view.offset + start)


def with_shape(view: View, shape: tuple) -> View:
    base = shadow(view)
    return viewed(view, np.reshape(base, shape, copy=False), base)
