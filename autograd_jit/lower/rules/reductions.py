"""Sums, products, extrema."""

from __future__ import annotations

from typing import Any

from ...numpy import reductions
from ...numpy.arguments import NoValue
from ...trace.tape import Op
from ..builder import Builder, NoLowering
from ..graph import Literal, Operand
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
            if name == "sum" and type_.dtype.kind == "f":  # NumPy adds to 0, also a lone -0.0
                return b.map("add", (view, Literal(type_.dtype.type(0), type_.dtype)), type_.dtype, type_.shape)
            return view
        result = b.reduce(name, view, axes)
        return with_shape(result, type_.shape)

    return rule


def _with_where(name: str, pair: str, neutral: Any) -> Rule:
    """What is left out counts as the neutral element (None: as the initial value, which comes in at the end)."""

    def rule(b: Builder, op: Op, x: Any, axes: tuple, keepdims: bool, where: Any, initial: Any) -> Operand:
        type_ = result_type(op)
        operand = as_operand(x)
        require_native(operand.dtype, type_.dtype)
        if initial is not NoValue and name in ("sum", "prod"):
            raise NoLowering(f"{name} with initial=, which NumPy begins with")
        if where is not True:
            condition = as_operand(where)
            require_native(condition.dtype)
            instead = as_operand(initial) if neutral is None else Literal(operand.dtype.type(neutral), operand.dtype)
            chosen = (as_bool(b, condition, ()), operand, b.cast(instead, operand.dtype))
            operand = b.map("where", chosen, operand.dtype, operand.shape)
        if initial is NoValue:
            return _reduction(name)(b, op, operand, axes, keepdims)
        start = as_operand(initial)
        require_native(start.dtype)
        if 0 in operand.shape or type_.dtype == BOOL:
            raise NoLowering(f"{name} with initial= of an empty array or of booleans")
        result = _reduction(name)(b, op, operand, axes, keepdims)
        return b.map(pair, (b.cast(start, type_.dtype), result), type_.dtype, type_.shape)

    return rule


rule_for(reductions.reduce_sum, _reduction("sum"))
rule_for(reductions.reduce_prod, _reduction("prod"))
rule_for(reductions.reduce_max, _reduction("max"))
rule_for(reductions.reduce_min, _reduction("min"))
rule_for(reductions.reduce_all, _reduction("all"))
rule_for(reductions.reduce_any, _reduction("any"))
rule_for(reductions.sum_where, _with_where("sum", "add", 0))
rule_for(reductions.prod_where, _with_where("prod", "multiply", 1))
rule_for(reductions.max_where, _with_where("max", "maximum", None))
rule_for(reductions.min_where, _with_where("min", "minimum", None))
rule_for(reductions.all_where, _with_where("all", "and", True))
rule_for(reductions.any_where, _with_where("any", "or", False))
