"""Results that take the memory of an operand: where a kernel reads an array for the last time and writes another one,
element for element, the second may lie where the first lies.

That halves the memory of long elementwise programs, and keeps it in nearer caches. It needs no alias analysis: of each
element a kernel loads all operands before it stores a result, no two elements share memory, and nothing that
the compiler is told denies that a load and a store may meet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .graph import Value
from .kernel import Kernel, Launch, Ref, Stage

__all__ = ["LEAST_BYTES", "operands_replaced"]

#: below this it would not be noticed
LEAST_BYTES = 4096


def operands_replaced(
    launches: Sequence[Launch | None],
    born: Mapping[Value, int],
    dies: Mapping[Value, int],
    delivered: Collection[Value],
    fixed: Collection[Value] = (),
) -> dict[Value, Value]:
    """Result -> the operand whose memory it takes.

    ``born`` and ``dies``: the first and the last launch, by number, that touch each value of the arena. ``delivered``:
    results of the program, which have memory of their own; they are served first, since what they replace needs none.
    ``fixed``: values that stay where they are.
    """
    found: dict[Value, Value] = {}
    for number, launch in enumerate(launches):
        if launch is None or 8 * launch.elements < LEAST_BYTES:
            continue
        loads = launch.placements[: len(launch.kernel.loads)]
        dying = {
            placement.value
            for placement in loads
            if placement.value.nbytes >= LEAST_BYTES
            and dies.get(placement.value) == number
            and born[placement.value] < number
            and placement.value not in fixed
        }
        if not dying:
            continue
        results = [v for v in _results(launch) if v not in fixed and (v in delivered or born.get(v) == number)]
        for result in sorted(results, key=lambda value: value not in delivered):
            operand = next((v for v in sorted(dying, key=_number) if _may_replace(launch, result, v)), None)
            if operand is not None:
                found[result] = operand
                dying.discard(operand)
    return found


def _number(value: Value) -> int:
    return value.number


def _results(launch: Launch) -> list[Value]:
    """Values that are written as a whole, once, and not read in the same launch."""
    loads, stores = len(launch.kernel.loads), launch.kernel.stores
    read = {placement.value for placement in launch.placements[:loads]}
    written = [placement.value for placement in launch.placements[loads : loads + len(stores)]]
    return [
        value
        for value, store in zip(written, stores, strict=True)
        if not store.add and store.position is None
        and value not in read and written.count(value) == 1 and value.size == launch.elements
    ]  # fmt: skip


def _may_replace(launch: Launch, result: Value, operand: Value) -> bool:
    """Whether the operand is read element for element as the result is written, and not after it."""
    if operand.nbytes != result.nbytes or operand.dtype.itemsize != result.dtype.itemsize:
        return False
    kernel = launch.kernel
    count = len(kernel.loads)
    places = [place for place, placement in enumerate(launch.placements[:count]) if placement.value is operand]
    store = next(i for i, placement in enumerate(launch.placements[count:]) if placement.value is result)
    _, offset, strides = launch.placements[count + store]
    for place in places:
        access, placement = kernel.loads[place], launch.placements[place]
        if access.pointer or access.window >= 0 or placement.offset != offset or placement.strides != strides:
            return False
    refs = {Ref("load", place) for place in places}
    stage = next(s for s in kernel.stages if kernel.first_store(s) - count <= store < _end_of_stores(kernel, s) - count)
    later = kernel.stages[kernel.stages.index(stage) + 1 :]
    if any([not refs.isdisjoint(other.refs) for other in later]):
        return False
    handed_on = {s.ref for i, s in enumerate(stage.stores, kernel.first_store(stage) - count) if i != store}
    handed_on |= {reduction.ref for reduction in stage.reductions}
    return refs.isdisjoint(handed_on)


def _end_of_stores(kernel: Kernel, stage: Stage) -> int:
    return kernel.first_store(stage) + len(stage.stores)
