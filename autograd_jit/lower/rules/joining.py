"""Functions that assemble a buffer from pieces: concatenate, roll, the adjoint of slicing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...numpy import joining, shaping
from ...trace.tape import Op
from ..builder import Builder
from ..graph import Operand, View
from .table import (
    as_operand,
    require_native,
    result_type,
    rule_for,
    shadow,
    viewed,
    viewed_by,
)


def _between(base: np.ndarray, axis: int, start: int, stop: int) -> np.ndarray:
    return base[(slice(None),) * axis + (slice(start, stop),)]


def _at(base: np.ndarray, axis: int, position: int) -> np.ndarray:
    return base[(slice(None),) * axis + (position, ...)]


def _concatenate(b: Builder, op: Op, axis: int, *arrays: Any) -> Operand:
    type_ = result_type(op)
    operands = [as_operand(a) for a in arrays]
    require_native(type_.dtype, *[o.dtype for o in operands])
    whole = b.assemble(type_.shape, type_.dtype, None)
    start = 0
    for operand in operands:
        size = b.view(operand).shape[axis]
        region = viewed_by(whole.view(), _between, axis, start, start + size)
        b.piece(region, b.cast(operand, type_.dtype), add=False)
        start += size
    return whole.view()


def _roll(b: Builder, op: Op, x: Any, shifts: tuple, axes: tuple) -> Operand:
    view = b.view(as_operand(x))
    require_native(view.dtype)
    for shift, axis in zip(shifts, axes, strict=True):
        view = _roll_one(b, view, shift, axis)
    return view


def _roll_one(b: Builder, view: View, shift: int, axis: int) -> View:
    length = view.shape[axis]
    shift = shift % length if length else 0
    if shift == 0:
        return view
    whole = b.assemble(view.shape, view.dtype, None)
    target, source = shadow(whole.view()), shadow(view)
    lead = (slice(None),) * axis
    for to, start in (
        (slice(shift, None), slice(None, length - shift)),
        (slice(None, shift), slice(length - shift, None)),
    ):
        piece = viewed(view, source[(*lead, start)], source)
        b.piece(viewed(whole.view(), target[(*lead, to)], target), piece, add=False)
    return whole.view()


def _stack(b: Builder, op: Op, axis: int, *arrays: Any) -> Operand:
    type_ = result_type(op)
    operands = [as_operand(a) for a in arrays]
    require_native(type_.dtype, *[o.dtype for o in operands])
    whole = b.assemble(type_.shape, type_.dtype, None)
    for position, operand in enumerate(operands):
        region = viewed_by(whole.view(), _at, axis, position)
        b.piece(region, b.cast(operand, type_.dtype), add=False)
    return whole.view()


rule_for(joining._concatenate, _concatenate)
rule_for(joining._stack, _stack)
rule_for(shaping._roll, _roll)
