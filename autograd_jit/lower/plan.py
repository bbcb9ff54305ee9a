"""Memory: where each value lives. Intermediates share one arena, by the time that they are alive."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Collection, Mapping, Sequence, Set
from typing import NamedTuple

from ..records import field, record
from . import in_place
from .fuse import Group
from .graph import Check, Graph, Map, RowsEnd, RowsStart, Step, Value, View
from .kernel import Launch

__all__ = ["Plan", "plan", "row_buffers", "stored_values"]

ALIGNMENT = 64
#: up to so many blocks, in an arena of so many bytes, other orders are tried: 2 ms for 128
FEW_BLOCKS, WORTH_PACKING = 128, 1 << 16


@record(frozen=True)
class Plan:
    """Byte offsets in the arena, and its size. ``hosts``: results of the program, by the values that live in them until
    they are written."""

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

    Stages: lifetimes; which values follow each other in one place; which of them lie in the memory of results until
    those are written; then, group by group, free what died before and take the best-fitting gap for what is born.
    """
    born, dies = _lifetimes(groups, in_memory - elsewhere)
    seen = _seen_by_python(groups)
    replaced = in_place.operands_replaced(launches, born, dies, delivered, seen) if launches else {}
    chains = _chains(replaced)
    guests = _guests(groups, born, dies, chains, delivered, {*rows, *lasting, *seen}) if launches else {}
    blocks = [
        _Block(
            value,
            number,
            len(groups) if last in lasting else dies[last],
            _rounded(rows.get(value, value.size) * value.dtype.itemsize),
        )
        for value, number in born.items()
        if value not in replaced and value not in guests
        and (last := chains[value][-1] if value in chains else value) in born  # else it is in a result of the program
    ]  # fmt: skip
    offsets, size = _placed(blocks)
    hosts: dict[Value, Value] = {}
    for first, others in chains.items():
        if first in offsets:
            offsets.update(dict.fromkeys(others, offsets[first]))
        elif first not in guests:
            hosts.update(dict.fromkeys([first, *others[:-1]], others[-1]))
    for first, result in guests.items():
        hosts.update(dict.fromkeys([first, *chains.get(first, ())], result))
    return Plan(offsets, size, hosts)


def _guests(
    groups: list[Group],
    born: Mapping[Value, int],
    dies: Mapping[Value, int],
    chains: Mapping[Value, list[Value]],
    delivered: Collection[Value],
    fixed: Set[Value],
) -> dict[Value, Value]:
    """Values (of chains the first) -> the result of the program whose memory they have before it is written.

    The largest are served first. Those of ``fixed`` stay in the arena.
    """
    rooms = _rooms(groups, born, chains, delivered)
    if not rooms:
        return {}
    followers = {value for others in chains.values() for value in others}
    candidates = [
        (first, chains.get(first, [first])[-1])
        for first in born
        if first.nbytes >= in_place.LEAST_BYTES and first not in followers
    ]
    found: dict[Value, Value] = {}
    for first, last in sorted(candidates, key=lambda pair: (-pair[0].nbytes, pair[0].number)):
        if last not in born or not fixed.isdisjoint([first, *chains.get(first, ())]):
            continue
        time = born[first], dies[last]
        fitting = [room for room in rooms if room.result.nbytes >= first.nbytes and room.is_free(time)]
        if fitting:
            room = min(fitting, key=lambda room: (room.result.nbytes, room.result.number))
            bisect.insort(room.taken, time)
            found[first] = room.result
    return found


class _Room(NamedTuple):
    """The memory of a result until the group ``written``, and when it is taken: (first, last) groups, in order."""

    result: Value
    written: int
    taken: list[tuple[int, int]]

    def is_free(self, time: tuple[int, int]) -> bool:
        """Whether nobody else has it from one group to another, both included."""
        first, last = time
        place = bisect.bisect(self.taken, time)
        return (
            last < self.written
            and (place == 0 or self.taken[place - 1][1] < first)
            and (place == len(self.taken) or self.taken[place][0] > last)
        )


def _rooms(
    groups: list[Group], born: Mapping[Value, int], chains: Mapping[Value, list[Value]], delivered: Collection[Value]
) -> list[_Room]:
    """Results that are large enough, and not written at once."""
    written: dict[Value, int] = {}
    wanted = {value for value in delivered if value.nbytes >= in_place.LEAST_BYTES}
    if wanted:
        for number, group in enumerate(groups):
            for node in group.nodes:
                for value in node.outs:
                    if value in wanted:
                        written.setdefault(value, number)
    for first, others in chains.items():
        if others[-1] in written:  # its operands have its memory before
            written[others[-1]] = born[first]
    return [_Room(value, number, []) for value, number in written.items() if number]


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


class _Block(NamedTuple):
    """A stretch of the arena: the value that it is for, the first and the last group that need it, its length."""

    value: Value
    born: int
    dies: int
    length: int


def _placed(blocks: list[_Block]) -> tuple[dict[Value, int], int]:
    """Offsets, and the size of the arena: by the best of three orders, where there are few blocks.

    In the order of a run memory is torn to pieces where what is born is a little larger than what has died. Saved
    values of a gradient nest: those of longest life, or those that die last, are placed first then.
    """
    offsets, size = _as_they_are_born(blocks)
    if len(blocks) <= FEW_BLOCKS and size >= WORTH_PACKING and size > _least(blocks):
        longest_first = sorted(blocks, key=lambda block: (block.born - block.dies, -block.length))
        last_first = sorted(blocks, key=lambda block: (-block.dies, block.born))
        for order in (longest_first, last_first):
            others, smaller = _into_gaps(order)
            if smaller < size:
                offsets, size = others, smaller
    return offsets, size


def _least(blocks: list[_Block]) -> int:
    """The most bytes that are alive at once."""
    changes: dict[int, int] = {}
    for block in blocks:
        changes[block.born] = changes.get(block.born, 0) + block.length
        changes[block.dies + 1] = changes.get(block.dies + 1, 0) - block.length
    return max(itertools.accumulate([changes[number] for number in sorted(changes)]), default=0)


def _into_gaps(blocks: list[_Block]) -> tuple[dict[Value, int], int]:
    """Each block at the lowest offset that is free for all its life."""
    placed: list[tuple[int, _Block]] = []
    for block in blocks:
        offset = 0
        for start, other in placed:
            if other.born <= block.dies and block.born <= other.dies:
                if start - offset >= block.length:
                    break
                offset = max(offset, start + other.length)
        bisect.insort(placed, (offset, block), key=lambda pair: pair[0])
    return {block.value: offset for offset, block in placed}, max([o + b.length for o, b in placed], default=0)


def _as_they_are_born(blocks: list[_Block]) -> tuple[dict[Value, int], int]:
    """Group by group: take the best-fitting gap for what is born, free what dies."""
    births: dict[int, list[_Block]] = {}
    deaths: dict[int, list[_Block]] = {}
    for block in blocks:
        births.setdefault(block.born, []).append(block)
        deaths.setdefault(block.dies, []).append(block)
    arena = _Arena()
    for number in sorted({*births, *deaths}):
        new = births.get(number, ())
        for block in sorted(new, key=lambda b: (-b.value.nbytes, b.value.number)) if len(new) > 1 else new:
            arena.take(block)
        for block in deaths.get(number, ()):
            arena.free(block)
    return arena.offsets, arena.size


class _Arena:
    """Gaps of free memory, sorted by offset."""

    def __init__(self) -> None:
        self.offsets: dict[Value, int] = {}
        self.size = 0
        self.gaps: list[tuple[int, int]] = []  # (offset, length)

    def take(self, block: _Block) -> None:
        need = block.length
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
        self.offsets[block.value] = offset

    def free(self, block: _Block) -> None:
        offset, length = self.offsets[block.value], block.length
        position = bisect.bisect(self.gaps, (offset, 0))
        if position < len(self.gaps) and self.gaps[position][0] == offset + length:
            length += self.gaps.pop(position)[1]
        if position and sum(self.gaps[position - 1]) == offset:
            offset, before = self.gaps.pop(position - 1)
            length += before
        bisect.insort(self.gaps, (offset, length))


def _rounded(nbytes: int) -> int:
    return max(ALIGNMENT, -(-nbytes // ALIGNMENT) * ALIGNMENT)
