"""Formulas that print themselves: values of an `Emission` under the operators of arithmetic.

`Value(body, "double", "%x")` is what a register holds; `a * b + 1.0` prints an `fmul` and an `fadd`, in this order
and rounded one by one: what is written is what is computed, on every CPU and at every width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..records import record

if TYPE_CHECKING:
    from .vector_ir import Emission

__all__ = ["Value", "fast_two_sum", "fma", "polynomial", "select", "two_sum"]


@record(frozen=True)
class Value:
    """A register, or a constant in its place: floating point, i64, or (from comparisons) i1."""

    body: Emission
    element: str
    name: str

    def constant(self, value: float) -> Value:
        """A constant of this type."""
        return Value(self.body, self.element, self.body.constant(self.element, value))

    def _operation(self, opcode: str, other: Value | float, *, swapped: bool = False) -> Value:
        if not isinstance(other, Value):
            other = self.constant(other)
        left, right = (other, self) if swapped else (self, other)
        return Value(self.body, self.element, self.body.op(opcode, self.element, left.name, right.name))

    def _arithmetic(self, what: str, other: Value | float, *, swapped: bool = False) -> Value:
        return self._operation(what if self.element[0] == "i" else "f" + what, other, swapped=swapped)

    def __add__(self, other: Value | float) -> Value:
        return self._arithmetic("add", other)

    def __sub__(self, other: Value | float) -> Value:
        return self._arithmetic("sub", other)

    def __rsub__(self, other: float) -> Value:
        return self._arithmetic("sub", other, swapped=True)

    def __mul__(self, other: Value | float) -> Value:
        return self._arithmetic("mul", other)

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, other: Value | float) -> Value:
        return self._operation("fdiv", other)

    def __rtruediv__(self, other: float) -> Value:
        return self._operation("fdiv", other, swapped=True)

    def __and__(self, other: Value | int) -> Value:
        return self._operation("and", other)

    def __or__(self, other: Value | int) -> Value:
        return self._operation("or", other)

    def __xor__(self, other: Value | int) -> Value:
        return self._operation("xor", other)

    def __lshift__(self, places: int) -> Value:
        return self._operation("shl", places)

    def __rshift__(self, places: int) -> Value:
        """Copies of the sign come in from the left."""
        return self._operation("ashr", places)

    def __neg__(self) -> Value:
        return Value(self.body, self.element, self.body.let(f"fneg {self.body.type(self.element)} {self.name}"))

    def __lt__(self, other: Value | float) -> Value:
        return self._compare("olt", other)

    def __gt__(self, other: Value | float) -> Value:
        return self._compare("ogt", other)

    def __ge__(self, other: Value | float) -> Value:
        return self._compare("oge", other)

    def __le__(self, other: Value | float) -> Value:
        return self._compare("ole", other)

    def equals(self, other: Value | float) -> Value:
        """Lane by lane; `==` compares what is written."""
        return self._compare("oeq", other)

    def _compare(self, predicate: str, other: Value | float) -> Value:
        if not isinstance(other, Value):
            other = self.constant(other)
        return Value(self.body, "i1", self.body.compare(predicate, self.element, self.name, other.name))

    def converted(self, opcode: str, element: str) -> Value:
        """`fpext`, `fptrunc`, `bitcast`, ..."""
        return Value(self.body, element, self.body.convert(opcode, self.element, self.name, element))

    def unary(self, intrinsic: str) -> Value:
        """`llvm.fabs`, `llvm.rint`, ..."""
        return Value(self.body, self.element, self.body.intrinsic(intrinsic, self.element, self.name))

    def with_sign_of(self, other: Value) -> Value:
        name = self.body.intrinsic("llvm.copysign", self.element, self.name, other.name)
        return Value(self.body, self.element, name)


def fma(a: Value, b: Value | float, c: Value | float) -> Value:
    """`a * b + c`, rounded once."""
    names = [(x if isinstance(x, Value) else a.constant(x)).name for x in (a, b, c)]
    return Value(a.body, a.element, a.body.intrinsic("llvm.fma", a.element, *names))


def select(condition: Value, yes: Value, no: Value | float) -> Value:
    """Lane by lane one of the two."""
    if not isinstance(no, Value):
        no = yes.constant(no)
    return Value(yes.body, yes.element, yes.body.select(yes.element, condition.name, yes.name, no.name))


def fast_two_sum(a: Value, b: Value | float) -> tuple[Value, Value]:
    """The sum and its rounding error, exactly, where `|a| >= |b|` or `a` is zero (Dekker)."""
    total = a + b
    return total, b - (total - a)


def two_sum(a: Value, b: Value) -> tuple[Value, Value]:
    """The sum and its rounding error, exactly (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """The constant's coefficient comes first; there are at least three.

    Pairs, pairs of pairs, ...: few steps wait for each other (Estrin), but each rounds the sum's leading part. So the
    last two are those of Horner, who rounds that once."""
    terms: list[Value | float] = list(coefficients[2:])
    power = x
    while len(terms) > 1:
        pairs = [_pair(power, *terms[i : i + 2]) for i in range(0, len(terms), 2)]
        terms = list(pairs)
        if len(terms) > 1:
            power = power * power
    rest = terms[0] if isinstance(terms[0], Value) else x.constant(terms[0])
    return fma(fma(rest, x, coefficients[1]), x, coefficients[0])


def _pair(power: Value, low: Value | float, high: Value | float | None = None) -> Value | float:
    if high is None:
        return low
    return fma(high if isinstance(high, Value) else power.constant(high), power, low)
