"""Sums, products, extrema."""

from __future__ import annotations

from typing import Any

from ...numpy import reductions
from ...trace.tape import Op
from ..builder import Builder, NoLowering
from ..graph import Operand
from .table import (
    BOOL,
    Rule,
    as_bool,
    as_operand,
    require_native,
    result_type,
    rule_for,
    with_shape,
)


def _reduction(name: str) -> Rule:
    def rule(b: Builder, op: Op, x: Any, axes: tuple, keepdims: bool) -> Operand:
        type_ = result_type(op)
        operand = as_operand(x)
        require_native(operand.dtype, type_.dtype)
        if name in ("all", "any"):
            operand = as_bool(b, operand, ())
        elif name in ("sum", "prod"):
            operand = b.cast(operand, type_.dtype)
        if operand.dtype != type_.dtype or (operand.dtype == BOOL and name not in ("all", "any")):
            raise NoLowering(f"{name} of dtype {operand.dtype.name}")
        view = b.view(operand)
        if not axes:
            return view
        result = b.reduce(name, view, axes)
        return with_shape(result, type_.shape)

    return rule


rule_for(reductions.reduce_sum, _reduction("sum"))
rule_for(reductions.reduce_prod, _reduction("prod"))
rule_for(reductions.reduce_max, _reduction("max"))
rule_for(reductions.reduce_min, _reduction("min"))
rule_for(reductions.reduce_all, _reduction("all"))
rule_for(reductions.reduce_any, _reduction("any"))
