"""Complete one-dimensional kernels over contiguous arrays: elementwise and reductions.

All have the uniform signature `i64 @kernel(ptr %slots, ptr %args)`: slots hold the arrays' addresses (inputs,
then outputs), args the number of elements and then one 8-byte cell a scalar parameter.

The shape of an elementwise kernel: a loop over full vectors, and the same body once more under a mask.
The shape of a reduction (8 lanes): blocks of 256 elements are reduced into 4 accumulators, so that the
latency of an addition is hidden; block results are combined as a binary counter combines its digits (level
k of a stack holds the result of 2**k blocks), so that errors grow with log n; what remains is one
accumulator's work, the last vector under a mask.  Lanes are combined at the very end, pair by pair.  All is
in the order printed: no `reassoc`.  Microseconds, Zen 5, one core, this / NumPy:

    elements            1,000        10,000      10,000,000
    sum float64     0.4 / 1.8     0.7 / 3.2   3,520 / 5,530
    max float64     0.5 / 1.8     1.7 / 2.2   4,420 / 5,230
    sum float32     0.6 / 2.8     0.9 / 4.6   2,150 / 3,340
    max float32     0.7 / 2.6     1.4 / 2.9   1,190 / 1,100

An element passes through 4 + 2 + log2(blocks) + log2(lanes) roundings: 24 for 4 million float32, NumPy's 34.
The standard deviation of a sum's error is 0.95 to 1.14 of NumPy's (200 to 100,000 uniform numbers).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from .llvm import KERNEL_ATTRIBUTES
from .llvm import lanes as native_lanes
from .vector_ir import Body, Emission
from .vector_ir import math as math_op

ACCUMULATORS: Final = 4
# Elements of a block.  What is left over goes through one accumulator, so that larger blocks are slower and
# less accurate for short arrays; smaller ones pay for the stack more often.
BLOCK: Final = 256
_LEVELS: Final = 64


class Reduction(NamedTuple):
    """How two partial results combine, and what no elements give (also the value of hidden lanes)."""

    op: str
    identity: float


REDUCTIONS: Final[dict[str, Reduction]] = {
    "sum": Reduction("add", 0.0),  # NumPy, too, gives 0 for a sum of negative zeros
    "prod": Reduction("multiply", 1.0),
    "max": Reduction("maximum", -math.inf),
    "min": Reduction("minimum", math.inf),
}


def elementwise_kernel(
    compute: Body,
    inputs: Sequence[str],
    outputs: Sequence[str],
    parameters: Sequence[str] = (),
    *,
    lanes: int = 0,
) -> str:
    """`outputs = compute(inputs, parameters)`: `compute(body, names)` prints the body for one vector."""
    lanes = lanes or native_lanes(*inputs, *outputs)
    body = Emission(lanes)
    pointers = [_slot(body, i) for i in range(len(inputs) + len(outputs))]
    count = _cell(body, "i64", 0)
    scalars = [body.broadcast(type_, _cell(body, type_, 1 + i)) for i, type_ in enumerate(parameters)]

    def iteration(index: str, carried: list[str], mask: str = "") -> list[str]:
        places = [body.element(type_, p, index) for type_, p in zip([*inputs, *outputs], pointers)]
        values = [body.load(type_, place, mask) for type_, place in zip(inputs, places)]
        results = compute(body, values + scalars)
        for type_, value, place in zip(outputs, results, places[len(inputs) :]):
            body.store(type_, value, place, mask)
        return []

    stop = body.let(f"and i64 {count}, {-lanes}")
    counted_loop(body, "main", "0", stop, lanes, [], iteration)
    _masked_tail(body, "tail", stop, count, [], iteration)
    body.line("ret i64 0")
    return module(body)


def reduction_kernel(
    kind: str,
    compute: Body,
    inputs: Sequence[str],
    element: str,
    parameters: Sequence[str] = (),
    *,
    lanes: int = 0,
) -> str:
    """`output[0] = sum (or prod, max, min) of compute(inputs, parameters)[0]`, of type `element`."""
    lanes = lanes or native_lanes(*inputs, element)
    rule, body = REDUCTIONS[kind], Emission(lanes)
    pointers = [_slot(body, i) for i in range(len(inputs) + 1)]
    count = _cell(body, "i64", 0)
    scalars = [body.broadcast(type_, _cell(body, type_, 1 + i)) for i, type_ in enumerate(parameters)]
    identity = body.constant(element, rule.identity)

    def term(index: str, mask: str = "") -> str:
        values = [body.load(t, body.element(t, p, index), mask) for t, p in zip(inputs, pointers)]
        (value,) = compute(body, values + scalars)
        return body.select(element, mask, value, identity) if mask else value

    def accumulate(index: str, carried: list[str], mask: str = "") -> list[str]:
        """Each accumulator takes the vector that lies its number of vectors after `index`."""
        at = [body.let(f"add nuw nsw i64 {index}, {i * lanes}") if i else index for i in range(len(carried))]
        return [math_op(body, rule.op, element, [c, term(i, mask)]) for c, i in zip(carried, at)]

    stack = _Cascade(body, rule.op, element)
    blocks_stop = _blocks(body, count, stack, identity, accumulate)
    stop = body.let(f"and i64 {count}, {-lanes}")
    rest = counted_loop(body, "rest", blocks_stop, stop, lanes, [(element, identity)], accumulate)
    rest = _masked_tail(body, "tail", stop, count, [(element, rest[0])], accumulate)
    result = _across_lanes(body, rule.op, element, stack.total(rest[0]))
    body.at_lanes(1).store(element, result, pointers[-1])
    body.line("ret i64 0")
    return module(body)


def module(body: Emission, name: str = "kernel") -> str:
    """The IR text of a module with this one kernel."""
    head = f"define i64 @{name}(ptr %slots, ptr %args) {KERNEL_ATTRIBUTES} {{"
    return "\n".join([head, "entry:", *body.lines, "}", *sorted(body.declarations)])


Iteration = Callable[..., list[str]]


def counted_loop(
    body: Emission,
    label: str,
    start: str,
    stop: str,
    step: int,
    carried: Sequence[tuple[str, str]],
    iteration: Iteration,
) -> list[str]:
    """`for index in range(start, stop, step)`, with values (type, initial name) carried around.

    `iteration(index, names)` prints the body and returns the carried values' next names; it may open blocks
    of its own.  Returns the names of the final values."""
    before, latch, index = f"{label}.before", f"{label}.latch", f"%{label}.index"
    body.line(f"br label %{before}")
    body.label(before)
    body.line(f"%{label}.any = icmp slt i64 {start}, {stop}")
    body.line(f"br i1 %{label}.any, label %{label}.loop, label %{label}.done")
    body.label(f"{label}.loop")
    body.line(f"{index} = phi i64 [ {start}, %{before} ], [ %{label}.next, %{latch} ]")
    names = [body.name() for _ in carried]
    place = len(body.lines)
    following = iteration(index, names)
    body.lines[place:place] = _phis(body, names, carried, before, following, latch)
    body.line(f"br label %{latch}")
    body.label(latch)
    body.line(f"%{label}.next = add nuw nsw i64 {index}, {step}")
    body.line(f"%{label}.more = icmp slt i64 %{label}.next, {stop}")
    body.line(f"br i1 %{label}.more, label %{label}.loop, label %{label}.done")
    body.label(f"{label}.done")
    finals = [body.name() for _ in carried]
    body.lines += _phis(body, finals, carried, before, following, latch)
    return finals


def _phis(
    body: Emission,
    names: Sequence[str],
    carried: Sequence[tuple[str, str]],
    first_block: str,
    others: Sequence[str],
    other_block: str,
) -> list[str]:
    return [
        f"  {name} = phi {body.type(type_)} [ {initial}, %{first_block} ], [ {other}, %{other_block} ]"
        for name, (type_, initial), other in zip(names, carried, others)
    ]


def _masked_tail(
    body: Emission,
    label: str,
    start: str,
    stop: str,
    carried: Sequence[tuple[str, str]],
    iteration: Iteration,
) -> list[str]:
    """The last, partial vector, if there is one; with one lane there never is."""
    if body.lanes == 1:
        return [initial for _, initial in carried]
    rest = body.let(f"sub i64 {stop}, {start}")
    body.line(f"br label %{label}.before")
    body.label(f"{label}.before")
    some = body.let(f"icmp sgt i64 {rest}, 0")
    body.line(f"br i1 {some}, label %{label}.body, label %{label}.done")
    body.label(f"{label}.body")
    following = iteration(start, [initial for _, initial in carried], body.first_lanes(rest))
    body.line(f"br label %{label}.end")
    body.label(f"{label}.end")
    body.line(f"br label %{label}.done")
    body.label(f"{label}.done")
    finals = [body.name() for _ in carried]
    body.lines += _phis(body, finals, carried, f"{label}.before", following, f"{label}.end")
    return finals


def _slot(body: Emission, index: int) -> str:
    return body.let(f"load ptr, ptr {body.element('ptr', '%slots', str(index))}, align 8")


def _cell(body: Emission, type_: str, index: int) -> str:
    return body.let(f"load {type_}, ptr {body.element('i64', '%args', str(index))}, align 8")


# --- reductions ---------------------------------------------------------------------------------------


def _blocks(body: Emission, count: str, stack: _Cascade, identity: str, accumulate: Iteration) -> str:
    """Whole blocks, each pushed on the stack; returns the name of the first index after them."""
    step = body.lanes * ACCUMULATORS
    size = max(BLOCK, step)

    def block(start: str, _: list[str]) -> list[str]:
        stop = body.let(f"add nuw nsw i64 {start}, {size}")
        carried = [(stack.element, identity)] * ACCUMULATORS
        parts = counted_loop(body, "block", start, stop, step, carried, accumulate)
        while len(parts) > 1:
            parts = [math_op(body, stack.op, stack.element, [a, b]) for a, b in zip(parts[::2], parts[1::2])]
        stack.push(parts[0])
        return []

    stop = body.let(f"and i64 {count}, {-size}")
    counted_loop(body, "blocks", "0", stop, size, [], block)
    return stop


class _Cascade:
    """Partial results as a binary counter holds its digits: level k stands for 2**k blocks."""

    def __init__(self, body: Emission, op: str, element: str) -> None:
        self.op, self.element = op, element
        self._body = body
        kind = body.type(element)
        self._levels = body.let(f"alloca [{_LEVELS} x {kind}], align 64")
        self._blocks = body.let("alloca i64, align 8")
        body.line(f"store i64 0, ptr {self._blocks}, align 8")

    def push(self, value: str) -> None:
        """Add a block: every level that is full moves up into the next."""
        body, kind = self._body, self._body.type(self.element)
        before = body.let(f"load i64, ptr {self._blocks}, align 8")
        after = body.let(f"add i64 {before}, 1")
        body.line(f"store i64 {after}, ptr {self._blocks}, align 8")
        body.declare("declare i64 @llvm.cttz.i64(i64, i1)")
        full = body.let(f"call i64 @llvm.cttz.i64(i64 {after}, i1 false)")
        carried = [(self.element, value)]
        (total,) = counted_loop(body, "carry", "0", full, 1, carried, self._add_level)
        body.line(f"store {kind} {total}, ptr {self._level(full)}, align 8")

    def total(self, value: str) -> str:
        """`value` and all levels in use, the smallest first."""
        body = self._body
        blocks = body.let(f"load i64, ptr {self._blocks}, align 8")

        def add_if_used(level: str, carried: list[str]) -> list[str]:
            bit = body.let(f"lshr i64 {blocks}, {level}")
            used = body.let(f"trunc i64 {bit} to i1")
            kind = body.type(self.element)
            (added,) = self._add_level(level, carried)
            return [body.let(f"select i1 {used}, {kind} {added}, {kind} {carried[0]}")]

        body.declare("declare i64 @llvm.ctlz.i64(i64, i1)")
        leading = body.let(f"call i64 @llvm.ctlz.i64(i64 {blocks}, i1 false)")
        levels = body.let(f"sub i64 {_LEVELS}, {leading}")
        (result,) = counted_loop(body, "total", "0", levels, 1, [(self.element, value)], add_if_used)
        return result

    def _level(self, level: str) -> str:
        kind = self._body.type(self.element)
        return self._body.let(f"getelementptr {kind}, ptr {self._levels}, i64 {level}")

    def _add_level(self, level: str, carried: list[str]) -> list[str]:
        # align 8: an alloca's 64 are not promised after the stack has been realigned for a narrower host.
        held = self._body.let(f"load {self._body.type(self.element)}, ptr {self._level(level)}, align 8")
        return [math_op(self._body, self.op, self.element, [carried[0], held])]


def _across_lanes(body: Emission, op: str, element: str, vector: str) -> str:
    """One value out of a vector's lanes: halves are combined until one lane is left."""
    if body.lanes == 1:
        return vector
    half = body.at_lanes(body.lanes // 2)
    low, high = (body.slice(element, vector, start, half.lanes) for start in (0, half.lanes))
    if half.lanes == 1:
        low, high = (body.let(f"extractelement <1 x {element}> {part}, i64 0") for part in (low, high))
    return _across_lanes(half, op, element, math_op(half, op, element, [low, high]))
