"""Memory: where each value lives. Intermediates share one arena, by the time that they are alive."""

from __future__ import annotations

import bisect
import math
from collections.abc import Collection, Mapping, Sequence

from ..records import field, record
from .fuse import Group
from .graph import Check, Graph, Map, RowsEnd, RowsStart, Step, Value, View
from .in_place import operands_replaced
from .kernel import Launch

__all__ = ["Plan", "plan", "row_buffers", "stored_values"]

ALIGNMENT = 64


@record(frozen=True)
class Plan:
    """Byte offsets in the arena, and its size. ``hosts``: results of the program, by the values that live in them."""

    offsets: dict[Value, int]
    arena_bytes: int
    hosts: dict[Value, Value] = field(default_factory=dict)


def stored_values(graph: Graph, groups: list[Group]) -> set[Value]:
    """Mapped values that must be in memory: outputs, what another group reads, and what a group carries along a row."""
    return _read_elsewhere(graph, groups).union(*[group.carried for group in groups])


def row_buffers(graph: Graph, groups: list[Group]) -> dict[Value, int]:
    """Mapped values that are in memory for the row that is worked on only: how many elements that are."""
    if not any(group.carried for group in groups):
        return {}
    elsewhere = _read_elsewhere(graph, groups)
    sizes: dict[Value, int] = {}
    for group in groups:
        if group.domain is not None and group.axes is not None:
            row = math.prod([group.domain[axis] for axis in group.axes])
            for value in group.carried - elsewhere:
                sizes[value] = max(row, sizes.get(value, 0))
    return sizes


def _read_elsewhere(graph: Graph, groups: list[Group]) -> set[Value]:
    made: set[Value] = set()
    found = {out.value for out in graph.outputs if isinstance(out, View)}
    for group in groups:
        inside = {node.out for node in group.nodes if type(node) is Map}
        made |= inside
        for node in group.nodes:
            for view in node.reads:
                if view.value not in inside:
                    found.add(view.value)
    return found & made


def plan(
    graph: Graph,
    groups: list[Group],
    in_memory: set[Value],
    elsewhere: set[Value],
    rows: Mapping[Value, int] = {},
    lasting: Collection[Value] = (),
    launches: Sequence[Launch | None] = (),
    delivered: Collection[Value] = (),
) -> Plan:
    """Place every value of ``in_memory`` that is not ``elsewhere`` (inputs, constants, outputs).

    Of those in ``rows`` only so many elements; those of ``lasting`` stay to the end. All values that one group touches
    are alive together: a kernel may store one of them before it has read another to its end. But where one of the
    ``launches`` allows it, a result takes the memory of an operand, and an operand that of a ``delivered`` one.

    Stages: lifetimes; which values follow each other in one place; then, group by group, free what died before and take
    the best-fitting gap for what is born.
    """
    born, dies = _lifetimes(groups, in_memory - elsewhere)
    replaced = operands_replaced(launches, born, dies, delivered, _seen_by_python(groups)) if launches else {}
    chains = _chains(replaced)
    births: dict[int, list[Value]] = {}
    deaths: dict[int, list[Value]] = {}
    for value, number in born.items():
        last = chains[value][-1] if value in chains else value
        if value not in replaced and last in born:  # neither in another's place nor in a result of the program
            births.setdefault(number, []).append(value)
            if last not in lasting:
                deaths.setdefault(dies[last], []).append(value)
    arena = _Arena(rows)
    for number in range(len(groups)):
        new = births.get(number, ())
        for value in sorted(new, key=lambda v: (-v.nbytes, v.number)) if len(new) > 1 else new:
            arena.take(value)
        for value in deaths.get(number, ()):
            arena.free(value)
    hosts: dict[Value, Value] = {}
    for first, others in chains.items():
        if first in arena.offsets:
            arena.offsets.update(dict.fromkeys(others, arena.offsets[first]))
        else:
            hosts.update(dict.fromkeys([first, *others[:-1]], others[-1]))
    return Plan(arena.offsets, arena.size, hosts)


def _seen_by_python(groups: list[Group]) -> set[Value]:
    """Values of which Python has arrays, made once, over the arena."""
    nodes = [group.nodes[0] for group in groups if group.domain is None]
    seen = [node for node in nodes if isinstance(node, Step | Check)]
    return {value for node in seen for value in (*node.outs, *[view.value for view in node.reads])}


def _chains(replaced: Mapping[Value, Value]) -> dict[Value, list[Value]]:
    """First value -> those that follow it in its place; the last of them may be a result of the program."""
    after = {operand: result for result, operand in replaced.items()}
    chains = {}
    for operand in after:
        if operand not in replaced:
            chain = chains[operand] = [after[operand]]
            while chain[-1] in after:
                chain.append(after[chain[-1]])
    return chains


def _lifetimes(groups: list[Group], values: Collection[Value]) -> tuple[dict[Value, int], dict[Value, int]]:
    """First group that writes and last group that touches each of ``values``.

    What is computed before a loop over rows and read in it is read in every turn: it lives until the loop is over.
    """
    born: dict[Value, int] = {}
    dies: dict[Value, int] = {}
    ends = _ends_of_loops(groups)
    start = end = -1
    for number, group in enumerate(groups):
        if number in ends:
            start, end = number, ends[number]
        for node in group.nodes:
            for value in node.outs:
                if value in values:
                    born.setdefault(value, number)
                    dies[value] = number
            for view in node.reads:
                value = view.value
                if value in values:
                    dies[value] = end if number < end and born.get(value, -1) < start else number
    return born, dies


def _ends_of_loops(groups: list[Group]) -> dict[int, int]:
    """Numbers of the groups that begin and end what is done row by row."""
    ends: dict[int, int] = {}
    first = -1
    for number, group in enumerate(groups):
        if isinstance(group.nodes[0], RowsStart):
            first = number
        elif isinstance(group.nodes[0], RowsEnd):
            ends[first] = number
    return ends


class _Arena:
    """Gaps of free memory, sorted by offset."""

    def __init__(self, rows: Mapping[Value, int]) -> None:
        self.rows = rows
        self.offsets: dict[Value, int] = {}
        self.lengths: dict[Value, int] = {}
        self.size = 0
        self.gaps: list[tuple[int, int]] = []  # (offset, length)

    def _bytes(self, value: Value) -> int:
        return _rounded(self.rows.get(value, value.size) * value.dtype.itemsize)

    def take(self, value: Value) -> None:
        need = self.lengths[value] = self._bytes(value)
        fits = [(length, offset) for offset, length in self.gaps if length >= need]
        if fits:
            length, offset = min(fits)
            self.gaps.remove((offset, length))
            if length > need:
                bisect.insort(self.gaps, (offset + need, length - need))
        elif self.gaps and sum(self.gaps[-1]) == self.size:  # grow the last gap
            offset, _ = self.gaps.pop()
            self.size = offset + need
        else:
            offset = self.size
            self.size += need
        self.offsets[value] = offset

    def free(self, value: Value) -> None:
        offset, length = self.offsets[value], self.lengths[value]
        position = bisect.bisect(self.gaps, (offset, 0))
        if position < len(self.gaps) and self.gaps[position][0] == offset + length:
            length += self.gaps.pop(position)[1]
        if position and sum(self.gaps[position - 1]) == offset:
            offset, before = self.gaps.pop(position - 1)
            length += before
        bisect.insort(self.gaps, (offset, length))


def _rounded(nbytes: int) -> int:
    return max(ALIGNMENT, -(-nbytes // ALIGNMENT) * ALIGNMENT)
