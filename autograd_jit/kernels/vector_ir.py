"""Words of vector IR: what an emitter of kernels says instead of spelling out LLVM's grammar.

An `Emission` collects the lines of one function and the declarations they need; each method prints an
instruction and returns the name of its result.  With `lanes=1` the same calls print scalar IR.

    body = Emission(lanes=8)
    x = body.load("double", pointer)
    y = math(body, "exp", "double", [x])

Complete kernels made of them are in `kernel_ir.py`.
"""

from __future__ import annotations

import itertools
import math as math_
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from ..records import field, record
from . import cpu, vecmath, vector_functions
from .llvm import ELEMENT_BYTES, MATH_ATTRIBUTES

_SHORT: Final = {
    "double": "f64",
    "float": "f32",
    "i64": "i64",
    "i32": "i32",
    "i16": "i16",
    "i8": "i8",
    "i1": "i1",
}
# Prints the body of a loop: from the names of the operands to the names of the results.
Body = Callable[["Emission", list[str]], list[str]]


@record
class Function:
    """A function in the making."""

    lines: list[str] = field(default_factory=list)
    declarations: set[str] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=itertools.count)


class Emission:
    """A function in the making, seen with one lane count."""

    def __init__(self, lanes: int = 1, function: Function | None = None) -> None:
        self.lanes = lanes
        self._function = function or Function()
        self.lines = self._function.lines
        self.declarations = self._function.declarations

    def at_lanes(self, lanes: int) -> Emission:
        """The same function, seen with another lane count."""
        return Emission(lanes, self._function)

    # names and types

    def name(self) -> str:
        return f"%v{next(self._function.numbers)}"

    def type(self, element: str) -> str:
        return element if self.lanes == 1 or element == "ptr" else f"<{self.lanes} x {element}>"

    def suffix(self, element: str) -> str:
        """How an overloaded intrinsic spells the type: v8f64, f64."""
        return (f"v{self.lanes}" if self.lanes > 1 else "") + _SHORT[element]

    def constant(self, element: str, value: float) -> str:
        text = literal(element, value)
        return text if self.lanes == 1 else f"splat ({element} {text})"

    # lines

    def line(self, text: str) -> None:
        self.lines.append("  " + text)

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")

    def let(self, text: str) -> str:
        name = self.name()
        self.line(f"{name} = {text}")
        return name

    def declare(self, text: str) -> None:
        self.declarations.update(text.splitlines())

    # instructions

    def op(self, opcode: str, element: str, *operands: str) -> str:
        """An instruction whose operands have one type: `fadd <8 x double> %a, %b`."""
        return self.let(f"{opcode} {self.type(element)} {', '.join(operands)}")

    def compare(self, predicate: str, element: str, left: str, right: str) -> str:
        return self.op(f"{'icmp' if element[0] == 'i' else 'fcmp'} {predicate}", element, left, right)

    def select(self, element: str, condition: str, yes: str, no: str) -> str:
        kind = self.type(element)
        return self.let(f"select {self.type('i1')} {condition}, {kind} {yes}, {kind} {no}")

    def convert(self, opcode: str, source: str, value: str, target: str) -> str:
        """`fpext`, `fptrunc`, `sitofp`, `fptosi`, `zext`, `bitcast`, ..."""
        return self.let(f"{opcode} {self.type(source)} {value} to {self.type(target)}")

    def intrinsic(self, name: str, element: str, *operands: str) -> str:
        kind = self.type(element)
        self.declare(f"declare {kind} @{name}.{self.suffix(element)}({', '.join([kind] * len(operands))})")
        given = ", ".join(f"{kind} {operand}" for operand in operands)
        return self.let(f"call {kind} @{name}.{self.suffix(element)}({given})")

    def element(self, type_: str, pointer: str, index: str) -> str:
        """The address of an element."""
        return self.let(f"getelementptr {type_}, ptr {pointer}, i64 {index}")

    def load(self, element: str, pointer: str, mask: str = "", fill: float = 1.0) -> str:
        """Consecutive elements; lanes that the mask hides read as `fill` (1: harmless to every function)."""
        kind, size = self.type(element), ELEMENT_BYTES[element]
        if not mask:
            return self.let(f"load {kind}, ptr {pointer}, align {size}")
        name, flags = f"llvm.masked.load.{self.suffix(element)}.p0", self.type("i1")
        self.declare(f"declare {kind} @{name}(ptr, {flags}, {kind})")
        filled = self.constant(element, fill)
        return self.let(f"call {kind} @{name}(ptr align {size} {pointer}, {flags} {mask}, {kind} {filled})")

    def store(self, element: str, value: str, pointer: str, mask: str = "") -> None:
        kind, size = self.type(element), ELEMENT_BYTES[element]
        if not mask:
            self.line(f"store {kind} {value}, ptr {pointer}, align {size}")
            return
        name, flags = f"llvm.masked.store.{self.suffix(element)}.p0", self.type("i1")
        self.declare(f"declare void @{name}({kind}, ptr, {flags})")
        self.line(f"call void @{name}({kind} {value}, ptr align {size} {pointer}, {flags} {mask})")

    def broadcast(self, element: str, scalar: str) -> str:
        if self.lanes == 1:
            return scalar
        kind = self.type(element)
        first = self.let(f"insertelement {kind} poison, {element} {scalar}, i64 0")
        return self.let(f"shufflevector {kind} {first}, {kind} poison, <{self.lanes} x i32> zeroinitializer")

    def lane(self, element: str, vector: str, index: int) -> str:
        return (
            vector
            if self.lanes == 1
            else self.let(f"extractelement {self.type(element)} {vector}, i64 {index}")
        )

    def slice(self, element: str, vector: str, start: int, count: int) -> str:
        """`count` consecutive lanes."""
        kind = self.type(element)
        order = ", ".join(f"i32 {start + i}" for i in range(count))
        return self.let(f"shufflevector {kind} {vector}, {kind} poison, <{count} x i32> <{order}>")

    def first_lanes(self, count: str) -> str:
        """The mask of the lanes below `count` (i64)."""
        numbers = ", ".join(f"i64 {i}" for i in range(self.lanes))
        return self.compare("sgt", "i64", self.broadcast("i64", count), f"<{numbers}>")


def row_pointers(body: Emission, element: str, pointer: str, rows: str, row: str, count: int) -> list[str]:
    """Where ``count`` rows begin that lie ``row`` apart.

    Instead of those beyond the last of ``rows`` it is the last one once more: what is computed and stored for them is
    what is stored for that."""
    body.declare("declare i64 @llvm.smin.i64(i64, i64)")
    last = body.let(f"sub i64 {rows}, 1")
    pointers = []
    for number in range(count):
        place = body.let(f"call i64 @llvm.smin.i64(i64 {number}, i64 {last})")
        pointers.append(body.element(element, pointer, body.let(f"mul i64 {place}, {row}")))
    return pointers


def transposed(body: Emission, element: str, rows: list[str]) -> list[str]:
    """A square of vectors, turned over its diagonal: blocks off it change places, of half the size each time."""
    size = len(rows) // 2
    while size:
        turned = list(rows)
        for i in range(len(rows)):
            if not i & size:
                turned[i], turned[i + size] = _exchanged(body, element, rows[i], rows[i + size], size)
        rows, size = turned, size // 2
    return rows


def _exchanged(body: Emission, element: str, upper: str, lower: str, size: int) -> tuple[str, str]:
    """Two rows of blocks: the upper one's odd blocks for the lower one's even ones."""
    kind, count = body.type(element), body.lanes
    even = [lane if not lane & size else lane - size + count for lane in range(count)]
    odd = [lane + size if not lane & size else lane + count for lane in range(count)]
    orders = [", ".join([f"i32 {place}" for place in places]) for places in (even, odd)]
    first, second = [
        body.let(f"shufflevector {kind} {upper}, {kind} {lower}, <{count} x i32> <{order}>") for order in orders
    ]
    return first, second


def literal(element: str, value: float) -> str:
    """A constant of a type, exactly: floating point in hexadecimal."""
    if element == "i1":
        return "true" if value else "false"
    if element[0] == "i":
        return str(int(value))
    if element == "float":
        (value,) = struct.unpack("<f", struct.pack("<f", value))
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


# --- functions of the maths library -------------------------------------------------------------------


def math(body: Emission, op: str, element: str, operands: Sequence[str], *, precise: bool = False) -> str:
    """An op of `vecmath`'s tables, of NUMPY_OPS or LOGS_OF_SUMS below, on vectors or scalars.

    precise=True calls the scalar libm function on every lane."""
    op = vecmath.canonical(op)
    by_vectors = body.lanes > 1 and not precise
    if by_vectors and op in vector_functions.FUNCTIONS and cpu.fuses():
        return _own(body, op, element, operands)
    if op in LOGS_OF_SUMS:
        return _log_of_sum(body, element, operands, LOGS_OF_SUMS[op], precise=precise)
    if op in NUMPY_OPS:
        return NUMPY_OPS[op](body, element, *operands)
    if op in vecmath.INTRINSICS:
        return body.intrinsic(vecmath.INTRINSICS[op], element, *operands)
    if by_vectors:
        for lanes in (body.lanes, body.lanes // 2, body.lanes // 4):
            if function := vecmath.vector_call(op, element, lanes):
                body.declare(function.declaration)
                return _in_parts(body, function.symbol, function.lanes, element, operands)
        if op in vector_functions.ELEMENTARY and cpu.fuses():
            return _own(body, op, element, operands)
    return _lane_by_lane(body, op, element, operands)


def _own(body: Emission, op: str, element: str, operands: Sequence[str]) -> str:
    """A function of `vector_functions`, on vectors that are full as doubles."""
    lanes = min(body.lanes, cpu.vector_bytes() // ELEMENT_BYTES["double"])
    symbol, kind = vector_functions.symbol(op, element, lanes), body.at_lanes(lanes).type(element)
    body.declare(f"declare {kind} @{symbol}({', '.join([kind] * len(operands))})")
    return _in_parts(body, symbol, lanes, element, operands)


def _in_parts(body: Emission, symbol: str, lanes: int, element: str, operands: Sequence[str]) -> str:
    """Call a function of `lanes` elements on vectors of as many or more."""
    part = body.at_lanes(lanes)
    kind = part.type(element)
    results = []
    for start in range(0, body.lanes, lanes):
        given = [x if lanes == body.lanes else body.slice(element, x, start, lanes) for x in operands]
        values = ", ".join(f"{kind} {value}" for value in given)
        results.append(body.let(f"call {kind} @{symbol}({values}) {MATH_ATTRIBUTES}"))
    return _concatenate(part, element, results)


def _concatenate(part: Emission, element: str, vectors: list[str]) -> str:
    """Vectors side by side, pair by pair; their number is a power of two."""
    if len(vectors) == 1:
        return vectors[0]
    kind = part.type(element)
    order = ", ".join(f"i32 {i}" for i in range(2 * part.lanes))
    joined = [
        part.let(f"shufflevector {kind} {a}, {kind} {b}, <{2 * part.lanes} x i32> <{order}>")
        for a, b in zip(vectors[::2], vectors[1::2])
    ]
    return _concatenate(part.at_lanes(2 * part.lanes), element, joined)


def _lane_by_lane(body: Emission, op: str, element: str, operands: Sequence[str]) -> str:
    type_ = "double" if op in vecmath.SPECIAL else element
    function = vecmath.math_call(op, type_)
    body.declare(function.declaration.splitlines()[0])
    result = "poison"
    for index in range(body.lanes):
        given = [_as(body, element, body.lane(element, operand, index), type_) for operand in operands]
        values = ", ".join(f"{type_} {value}" for value in given) + function.extra_arguments
        value = body.let(f"call {type_} @{function.symbol}({values}) {MATH_ATTRIBUTES}")
        value = _as(body, type_, value, element)
        if body.lanes == 1:
            return value
        result = body.let(f"insertelement {body.type(element)} {result}, {element} {value}, i64 {index}")
    return result


def _as(body: Emission, source: str, value: str, target: str) -> str:
    """A scalar float as a double or back: scipy's functions take doubles."""
    if source == target:
        return value
    return body.at_lanes(1).convert("fpext" if target == "double" else "fptrunc", source, value, target)


# --- NumPy's own definitions --------------------------------------------------------------------------


def _sign(body: Emission, element: str, x: str) -> str:
    """-1, 0, 1; NaN stays NaN, and -0 gives 0."""
    zero = body.constant(element, 0.0)
    below = body.select(element, body.compare("olt", element, x, zero), body.constant(element, -1.0), x)
    above = body.select(element, body.compare("ogt", element, x, zero), body.constant(element, 1.0), below)
    return body.select(element, body.compare("oeq", element, x, zero), zero, above)


def _remainder(body: Emission, element: str, a: str, b: str) -> str:
    """Python's %: the result has b's sign, also when it is zero; NaN for b = 0."""
    zero = body.constant(element, 0.0)
    mod = body.op("frem", element, a, b)
    moved = body.select(element, _signs_differ(body, element, mod, b), body.op("fadd", element, mod, b), mod)
    signed_zero = body.intrinsic("llvm.copysign", element, zero, b)
    return body.select(element, body.compare("oeq", element, mod, zero), signed_zero, moved)


def _floor_divide(body: Emission, element: str, a: str, b: str) -> str:
    """Python's //, consistent with `_remainder`: (a - a % b) / b, rounded to the integer it nearly is."""
    zero, one = body.constant(element, 0.0), body.constant(element, 1.0)
    quotient = body.op("fdiv", element, a, b)
    mod = body.op("frem", element, a, b)
    div = body.op("fdiv", element, body.op("fsub", element, a, mod), b)
    lower = body.op("fsub", element, div, one)
    unequal = body.compare("une", element, mod, zero)
    differ = body.let(f"and {body.type('i1')} {unequal}, {_signs_differ(body, element, mod, b)}")
    div = body.select(element, differ, lower, div)
    floored = body.intrinsic("llvm.floor", element, div)
    short = body.compare("ogt", element, body.op("fsub", element, div, floored), body.constant(element, 0.5))
    floored = body.select(element, short, body.op("fadd", element, floored, one), floored)
    signed_zero = body.intrinsic("llvm.copysign", element, zero, quotient)
    result = body.select(element, body.compare("oeq", element, div, zero), signed_zero, floored)
    return body.select(element, body.compare("oeq", element, b, zero), quotient, result)


def _signs_differ(body: Emission, element: str, a: str, b: str) -> str:
    zero = body.constant(element, 0.0)
    negative = body.compare("olt", element, a, zero), body.compare("olt", element, b, zero)
    return body.let(f"xor {body.type('i1')} {negative[0]}, {negative[1]}")


class LogOfSum(NamedTuple):
    """The logarithm of a sum of two powers: of which base, and how log1p becomes its logarithm."""

    power: str
    log_two: float
    factor: float


LOGS_OF_SUMS: Final = {
    "logaddexp": LogOfSum("exp", math_.log(2), 1.0),
    "logaddexp2": LogOfSum("exp2", 1.0, 1 / math_.log(2)),
}


def _log_of_sum(
    body: Emission, element: str, operands: Sequence[str], base: LogOfSum, *, precise: bool
) -> str:
    """The larger plus log1p(exp(-|x - y|)); equal arguments may be infinite."""
    x, y = operands
    gap = body.op("fsub", element, x, y)
    larger = body.select(element, body.compare("ogt", element, gap, body.constant(element, 0.0)), x, y)
    distance = body.let(f"fneg {body.type(element)} {body.intrinsic('llvm.fabs', element, gap)}")
    power = math(body, base.power, element, [distance], precise=precise)
    correction = math(body, "log1p", element, [power], precise=precise)
    if base.factor != 1:
        correction = body.op("fmul", element, correction, body.constant(element, base.factor))
    result = body.op("fadd", element, larger, correction)
    # NaN in x or y makes the gap NaN; the sum must be, too, whichever of them `larger` is.
    result = body.select(element, body.compare("uno", element, gap, gap), gap, result)
    equal = body.op("fadd", element, x, body.constant(element, base.log_two))
    return body.select(element, body.compare("oeq", element, x, y), equal, result)


def _gammaln(body: Emission, element: str, x: str) -> str:
    """lgamma, but scipy has gammaln(-inf) = -inf where C has +inf, and inf where ``1 / x`` is infinite.

    The latter is at subnormal numbers of double precision; in single precision the bound is 0."""
    result = _lane_by_lane(body, "gammaln", element, [x])
    size = body.intrinsic("llvm.fabs", element, x)
    is_tiny = body.compare("ole", element, size, body.constant(element, 2.0**-1024))
    result = body.select(element, is_tiny, body.constant(element, math_.inf), result)
    low = body.constant(element, -math_.inf)
    return body.select(element, body.compare("oeq", element, x, low), low, result)


def _square(body: Emission, element: str, x: str) -> str:
    return body.op("fmul", element, x, x)


NUMPY_OPS: Final[dict[str, Callable[..., str]]] = {
    "sign": _sign,
    "gammaln": _gammaln,
    "remainder": _remainder,
    "mod": _remainder,
    "floor_divide": _floor_divide,
    "fmod": lambda body, element, a, b: body.op("frem", element, a, b),
    "square": _square,
    "add": lambda body, element, a, b: body.op("fadd", element, a, b),
    "subtract": lambda body, element, a, b: body.op("fsub", element, a, b),
    "multiply": lambda body, element, a, b: body.op("fmul", element, a, b),
    "divide": lambda body, element, a, b: body.op("fdiv", element, a, b),
    "negative": lambda body, element, a: body.let(f"fneg {body.type(element)} {a}"),
    "reciprocal": lambda body, element, a: body.op("fdiv", element, body.constant(element, 1.0), a),
}
