"""The table of rules for operations that complex numbers go into or come out of, and what those rules share.

A rule is called as those of :mod:`table` are, with a :class:`Pair` for each complex operand, and returns pairs for
complex results. Its steps are those of NumPy's loops, so that infinities, NaN and zeros come out as NumPy's do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...records import replaced
from ...trace.tape import Op
from ..builder import Builder, NoLowering
from ..graph import Literal, Operand
from ..pairs import PARTS, Pair, Whole, pair
from .table import BOOL, RULES, Rule, as_operand, require_native, result_type

__all__ = ["COMPLEX_RULES", "Reals", "as_pair", "by_parts", "complex_rule_for", "part_of", "real_op", "split"]

#: primitive -> rule, where a complex number is among operands or results
COMPLEX_RULES: dict[Any, Rule] = {}


def complex_rule_for(function: Any, rule: Rule) -> None:
    """Register the rule of a wrapped function."""
    COMPLEX_RULES[function.primitive] = rule


def part_of(dtype: np.dtype) -> np.dtype:
    """The dtype of a complex dtype's halves."""
    if dtype not in PARTS:
        raise NoLowering(f"dtype {dtype.name}")
    return PARTS[dtype]


def as_pair(b: Builder, value: Any, part: np.dtype) -> Pair:
    """An argument, real or complex, as a pair with halves of this dtype; the imaginary part of a real one is 0.0."""
    if isinstance(value, (complex, np.complexfloating)):
        return Pair(Literal(part.type(value.real), part), Literal(part.type(value.imag), part))
    if type(value) is Pair:
        return Pair(b.cast(value.re, part), b.cast(value.im, part))
    operand = as_operand(value)
    require_native(operand.dtype)
    return pair(b, b.cast(operand, part), Literal(part.type(0), part), operand.shape)


class Reals:
    """Elementwise arithmetic on halves, over one shape: ``k.add(x, y)`` is a map."""

    def __init__(self, b: Builder, part: np.dtype, shape: tuple[int, ...]) -> None:
        self.b = b
        self.part = part
        self.shape = shape

    def __getattr__(self, name: str) -> Callable[..., Operand]:
        def apply(*operands: Operand) -> Operand:
            return self.b.map(_FULL_NAMES.get(name, name), operands, self._result(name, operands), self.shape)

        return apply

    def _result(self, name: str, operands: tuple[Operand, ...]) -> np.dtype:
        return BOOL if name in _GIVE_BOOL else operands[-1].dtype

    def number(self, value: float) -> Literal:
        return Literal(self.part.type(value), self.part)

    def pair(self, re: Operand, im: Operand) -> Pair:
        return pair(self.b, re, im, self.shape)


_FULL_NAMES = {
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "neg": "negative",
    "both": "and",
    "either": "or",
    "not_": "not",
}
_GIVE_BOOL = frozenset(
    "equal not_equal less less_equal greater greater_equal isnan isinf isfinite both either not_".split()
)


def real_op(op: Op, part: np.dtype) -> Op:
    """``op`` as if its results were the halves of what they are."""
    outputs = []
    for var in op.outputs:
        type_ = replaced(var.type, dtype=part) if var.type.dtype in PARTS else var.type
        outputs.append(replaced(var, type=type_))
    return replaced(op, outputs=tuple(outputs))


def split(b: Builder, value: Any, part: np.dtype, place: int) -> Any:
    """Half number ``place`` of an argument, containers included; what is no number stays."""
    if type(value) is Pair:
        return b.cast(value[place], part)
    if isinstance(value, (complex, np.complexfloating)):
        return Literal(part.type(value.imag if place else value.real), part)
    return value


def by_parts(function: Any, operands: Callable[[int], bool]) -> None:
    """Let a function treat both halves alike, by its rule for floats. ``operands``: which arguments have halves.

    A real one among those has the imaginary part 0.0."""
    rule = RULES[function.primitive]

    def halved(b: Builder, op: Op, *args: Any, **kwargs: Any) -> Whole:
        type_ = result_type(op)
        part = part_of(type_.dtype)
        inner = real_op(op, part)
        has_halves = [operands(place) and arg is not None for place, arg in enumerate(args)]
        given = [as_pair(b, arg, part) if has else arg for arg, has in zip(args, has_halves, strict=True)]
        re, im = [rule(b, inner, *[split(b, arg, part, half) for arg in given], **kwargs) for half in range(2)]
        return pair(b, re, im, type_.shape)

    complex_rule_for(function, halved)
