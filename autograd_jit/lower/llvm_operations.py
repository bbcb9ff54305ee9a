"""Single operations as LLVM IR: instructions of a kernel's body, casts, and how reductions combine."""

from __future__ import annotations

from ..kernels.vector_ir import Emission, math
from .kernel import Instruction

__all__ = ["FLOATS", "combine", "instruction", "memory_type", "neutral"]

FLOATS = ("double", "float")

_MEMORY = {"i1": "i8"}
_NEUTRAL = {
    "sum": 0.0,
    "prod": 1.0,
    "max": float("-inf"),
    "min": float("inf"),
    "all": 1,
    "any": 0,
}


def memory_type(element: str) -> str:
    """The type of an element in memory: bools are bytes."""
    return _MEMORY.get(element, element)


def neutral(op: str, element: str) -> float:
    """What leaves every other value unchanged under a reduction."""
    if element[0] == "i" and element != "i1" and op in ("max", "min"):
        limit = 2 ** (int(element[1:]) - 1)
        return -limit if op == "max" else limit - 1
    return _NEUTRAL[op]


def combine(out: Emission, op: str, element: str, x: str, y: str) -> str:
    """One step of a reduction."""
    if element == "i1":
        return out.op("and" if op == "all" else "or", "i1", x, y)
    floating = element in ("double", "float")
    if op == "sum":
        return out.op("fadd" if floating else "add", element, x, y)
    if op == "prod":
        return out.op("fmul" if floating else "mul", element, x, y)
    if floating:
        return math(out, "maximum" if op == "max" else "minimum", element, [x, y])
    return out.intrinsic("llvm.smax" if op == "max" else "llvm.smin", element, x, y)


_COMPARISONS = {
    "equal": ("oeq", "eq"),
    "not_equal": ("une", "ne"),
    "less": ("olt", "slt"),
    "less_equal": ("ole", "sle"),
    "greater": ("ogt", "sgt"),
    "greater_equal": ("oge", "sge"),
}
_INTEGER = {"add": "add", "subtract": "sub", "multiply": "mul"}
_BITS = {"and": "and", "or": "or", "xor": "xor"}


def instruction(out: Emission, what: Instruction, args: list[str], *, precise: bool = False) -> str:
    """One instruction on operands that are there already. ``precise``: as of the kernel."""
    op, element = what.op, what.element
    if op == "where":
        return out.select(element, *args)
    if op == "cast":
        return _cast(out, element, what.result, args[0])
    if op in _COMPARISONS:
        predicate = _COMPARISONS[op][element not in FLOATS]
        if element == "i1":  # as a signed number, True would be -1
            predicate = predicate.replace("s", "u")
        return out.compare(predicate, element, *args)
    if op in _BITS:
        return out.op(_BITS[op], element, *args)
    if op == "not":
        return out.op("xor", "i1", args[0], out.constant("i1", 1))
    if op in ("isnan", "isinf", "isfinite"):
        return _predicate(out, op, element, args[0])
    if element in FLOATS:
        return math(out, op, element, args, precise=precise)
    return _integer(out, op, element, args)


def _integer(out: Emission, op: str, element: str, args: list[str]) -> str:
    if op in _INTEGER:
        return out.op(_INTEGER[op], element, *args)
    if op == "square":
        return out.op("mul", element, args[0], args[0])
    if op == "negative":
        return out.op("sub", element, out.constant(element, 0), args[0])
    if op in ("mod", "floor_divide"):
        return _integer_division(out, op, element, *args)
    if op in ("maximum", "fmax"):
        return out.intrinsic("llvm.smax", element, *args)
    if op in ("minimum", "fmin"):
        return out.intrinsic("llvm.smin", element, *args)
    negated = out.op("sub", element, out.constant(element, 0), args[0])
    if op == "absolute":
        return out.intrinsic("llvm.smax", element, args[0], negated)
    assert op == "sign", op
    one, minus = out.constant(element, 1), out.constant(element, -1)
    return out.intrinsic("llvm.smax", element, out.intrinsic("llvm.smin", element, args[0], one), minus)


def _integer_division(out: Emission, op: str, element: str, x: str, y: str) -> str:
    """Rounded towards minus infinity, as Python's // and %; by zero both are 0, as in NumPy.

    The hardware traps on a division by zero and on that of the smallest integer by -1: these divide by 1 instead.
    """
    zero, one, minus = (out.constant(element, value) for value in (0, 1, -1))
    by_zero, by_minus = out.compare("eq", element, y, zero), out.compare("eq", element, y, minus)
    safe = out.select(element, out.op("or", "i1", by_zero, by_minus), one, y)
    quotient = out.op("sdiv", element, x, safe)
    rest = out.op("sub", element, x, out.op("mul", element, quotient, safe))
    negative = out.compare("slt", element, out.op("xor", element, rest, safe), zero)
    low = out.op("and", "i1", negative, out.compare("ne", element, rest, zero))
    if op == "mod":
        return out.select(element, low, out.op("add", element, rest, safe), rest)
    floored = out.select(element, low, out.op("sub", element, quotient, one), quotient)
    floored = out.select(element, by_minus, out.op("sub", element, zero, x), floored)
    return out.select(element, by_zero, zero, floored)


def _predicate(out: Emission, op: str, element: str, x: str) -> str:
    if op == "isnan":
        return out.compare("uno", element, x, x)
    size = math(out, "absolute", element, [x])
    return out.compare("oeq" if op == "isinf" else "olt", element, size, out.constant(element, float("inf")))


def _cast(out: Emission, source: str, target: str, value: str) -> str:
    if target == "i1":
        if source in FLOATS:
            return out.compare("une", source, value, out.constant(source, 0.0))
        return out.compare("ne", source, value, out.constant(source, 0))
    if source == "i1":
        return out.convert("uitofp" if target in FLOATS else "zext", "i1", value, target)
    if source in FLOATS and target in FLOATS:
        return out.convert("fpext" if target == "double" else "fptrunc", source, value, target)
    if target in FLOATS:
        return out.convert("sitofp", source, value, target)
    if source in FLOATS:
        return _to_integer(out, source, target, value)
    return out.convert("sext" if int(target[1:]) > int(source[1:]) else "trunc", source, value, target)


def _to_integer(out: Emission, source: str, target: str, value: str) -> str:
    """A float cast to an integer; NaN and what does not fit give the smallest integer, as hardware does for NumPy."""
    limit = 2.0 ** (int(target[1:]) - 1)
    low = out.compare("oge", source, value, out.constant(source, -limit))
    high = out.compare("olt", source, value, out.constant(source, limit))
    fits = out.op("and", "i1", low, high)
    safe = out.select(source, fits, value, out.constant(source, 0.0))
    return out.select(target, fits, out.convert("fptosi", source, safe, target), out.constant(target, -int(limit)))
