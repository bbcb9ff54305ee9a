"""Functions that give views: reshape, transpose, flip, broadcast, basic indexing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...numpy import shaping
from ...trace.tape import Op
from ..builder import Builder, NoLowering
from ..graph import Literal, Operand
from .table import (
    Rule,
    as_operand,
    rule_for,
    shadow,
    viewed,
    viewed_by,
    with_shape,
)


def _by_view(function: Callable) -> Rule:
    """A rule for a function that returns a view: NumPy itself computes the index map."""

    def rule(b: Builder, op: Op, x: Any, *args: Any, **kwargs: Any) -> Operand:
        view = b.view(as_operand(x))
        try:
            return viewed_by(view, _called, function, args, tuple(kwargs.items()))
        except TypeError:  # an argument that is not hashable, such as a list of axes
            base = shadow(view)
            return viewed(view, function(base, *args, **kwargs), base)

    return rule


def _called(base: np.ndarray, function: Callable, args: tuple, kwargs: tuple) -> np.ndarray:
    view = function(base, *args, **dict(kwargs))
    return view if isinstance(view, np.ndarray) or base.ndim else base


def _reshape(b: Builder, op: Op, x: Any, shape: tuple, order: str) -> Operand:
    operand = as_operand(x)
    if order == "F":  # axes backwards, reshaped, and backwards again
        turned = _by_view(np.transpose)(b, op, operand)
        return _by_view(np.transpose)(b, op, _reshape(b, op, turned, tuple(shape)[::-1], "C"))
    if order != "C":
        raise NoLowering(f"reshape in order {order}")
    if isinstance(operand, Literal):
        return operand if shape == () else b.fill(operand, shape)
    try:
        return with_shape(operand, shape)
    except ValueError:  # needs a copy
        return with_shape(b.dense(operand), shape)


def _broadcast_to(b: Builder, op: Op, x: Any, shape: tuple) -> Operand:
    operand = as_operand(x)
    return b.fill(operand, shape) if isinstance(operand, Literal) else operand.broadcast(shape)


rule_for(shaping._reshape, _reshape)
rule_for(shaping._broadcast_to, _broadcast_to)
rule_for(shaping._transpose, _by_view(np.transpose))
rule_for(shaping._flip, _by_view(np.flip))
rule_for(shaping._diagonal, _by_view(lambda x, offset: np.diagonal(x, offset, -2, -1)))
