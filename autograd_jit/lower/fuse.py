"""Kernel graph to groups: which nodes share a loop.

A group is one loop nest over one *domain* (a shape). A map joins the first group of its shape that comes after
everything it reads (a fill, which reads nothing, the last); what it reads may come out of that very group, element by
element. A reduction ends in the
group over the shape that it reduces, together with other reductions over the same axes. Groups run in order.

A group whose reductions are over the innermost axes works row by row. What is made of a row's totals, and what is
made of that for each of the row's elements, goes into the same group, in later stages: a softmax with its derivative
is one loop over the rows with a few loops over each row, which stays in cache between them.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np

from ..records import field, record
from .chunks import chunk_starts
from .graph import (
    Graph,
    Init,
    Inside,
    Map,
    Node,
    Operand,
    Piece,
    Reduce,
    RowsEnd,
    RowsStart,
    Value,
    View,
    canonical,
    dense_strides,
)
from .recompute import carried_values, compute_again

__all__ = ["Group", "fuse", "is_row_stage"]

#: a kernel of more operations compiles slowly and runs out of registers
MAX_OPERATIONS = 64
#: over so many elements what two kernels hand over leaves the cache nearest to the core: that costs more than registers
#: kept on the stack (sea water's equation of state, 203 operations over 1e5 elements: 1.3 times as fast)
LARGE, MAX_OPERATIONS_LARGE = 8192, 128
#: pointers that one loop nest walks
MAX_ACCESSES = 24
#: loops over one row that a kernel makes: six
LAST_STAGE = 11


@record(eq=False)
class Group:
    """Nodes that share a loop nest over ``domain``; or, with ``domain`` None, one node that runs alone.

    ``stages`` says of each node in which stage it runs. Odd ones are loops over a row (the reduced axes), even ones
    are done once a row. ``row_values`` are computed once a row; ``carried`` values are kept in memory from one stage
    to another; other mapped values that a later stage needs are computed again.
    """

    domain: tuple[int, ...] | None
    nodes: list[Node] = field(default_factory=list)
    stages: list[int] = field(default_factory=list)
    row_values: set[Value] = field(default_factory=set)
    carried: set[Value] = field(default_factory=set)
    axes: tuple[int, ...] | None = None  # the axes that its reductions reduce
    loads: set[View] = field(default_factory=set)
    sinks: int = 0

    most_operations: int = MAX_OPERATIONS

    def __post_init__(self) -> None:
        if self.domain is not None and math.prod(self.domain) >= LARGE:
            self.most_operations = MAX_OPERATIONS_LARGE

    @property
    def has_room(self) -> bool:
        return len(self.nodes) < self.most_operations and len(self.loads) + self.sinks < MAX_ACCESSES

    def __str__(self) -> str:
        head = "alone" if self.domain is None else f"loop over {list(self.domain)}"
        if self.axes is not None:
            head += f", reducing {self.axes}"
        return "\n".join([head + ":", *[f"    {node}" for node in self.nodes]])


def is_row_stage(number: int) -> bool:
    """Whether a stage is done once a row."""
    return number % 2 == 0


def fuse(graph: Graph) -> list[Group]:
    """The groups of a graph, in an order in which they can run."""
    groups = compute_again(graph, _Fusion(graph).groups)
    for group in groups:
        if len(set(group.stages)) > 1:
            group.carried = carried_values(group)
    return groups


class _Fusion:
    """State of one pass over the nodes."""

    def __init__(self, graph: Graph) -> None:
        self.groups: list[Group] = []
        self.by_domain: dict[tuple, list[int]] = defaultdict(list)
        #: value -> number of the group after which, or in which, it is complete
        self.made_in: dict[Value, int] = {}
        #: values that a group computes element by element -> the stage in which it does
        self.mapped: dict[Value, int] = {}
        #: values with one element a row of a group that works row by row -> the first stage in which they are there
        self.rowwise: dict[Value, int] = {}
        self.pieces: dict[Value, _Written] = defaultdict(_Written)
        self.reduced_by = _sole_reductions(graph)
        self.chunk_starts = chunk_starts(graph.nodes, _domain)
        self.floors: dict[tuple, int] = {}  # groups below are of earlier chunks
        self.barrier = 0  # groups below lie on the other side of the beginning or the end of a loop over rows
        self.spread_over = _spread_over(graph)
        for node in graph.nodes:
            self._place(node)

    def _place(self, node: Node) -> None:
        if type(node) is Init:
            if node.source is not None:
                self._place_loop(Piece(node.out.view(), _fitted(node.source, node.out.shape), add=False))
        elif self.spread_over and type(node) is Map and (place := self._row_place(node)) is not None:
            self._join(node, *place)
            self.rowwise[node.out] = place[1]
            self.groups[place[0]].row_values.add(node.out)
        elif isinstance(node, (Map, Reduce, Piece)):
            self._place_loop(node)
        else:
            self.groups.append(Group(None, [node], [1]))
            for value in node.outs:
                self.made_in[value] = len(self.groups) - 1
            if isinstance(node, (RowsStart, RowsEnd)):
                self.barrier = len(self.groups)

    def _place_loop(self, node: Map | Reduce | Piece) -> None:
        domain = _domain(node)
        axes: tuple | None = None
        if type(node) is Map:
            axes = self.reduced_by.get(node.out) if self.reduced_by else None
        elif type(node) is Reduce:
            axes = node.axes
        earliest = self._earliest(node, domain)
        if domain in self.floors:
            earliest = max(earliest, (self.floors[domain], 1))
        number, stage = self._candidate(node, domain, axes, earliest)
        if node in self.chunk_starts and _is_nearly_full(self.groups[number]):
            self.floors[domain] = len(self.groups)
            number, stage = self._candidate(node, domain, axes, (len(self.groups), 1))
        group = self.groups[number]
        if axes is not None:
            group.axes = axes
        self._join(node, number, stage)
        if type(node) is Map:
            self.mapped[node.out] = stage
        elif type(node) is Piece:
            self.pieces[node.region.value].add(node, number)
        elif _is_by_rows(group):
            self.rowwise[node.out] = stage + 1

    def _join(self, node: Map | Reduce | Piece, number: int, stage: int) -> None:
        group = self.groups[number]
        group.nodes.append(node)
        group.stages.append(stage)
        made_in = self.made_in
        for operand in node.reads:
            if made_in.get(operand.value, -1) != number:
                group.loads.add(operand)
        if type(node) is not Map:
            group.sinks += 1
        for value in node.outs:
            if made_in.get(value, -1) < number:
                made_in[value] = number

    # ---------------------------------------------------------------- where a node can go

    def _earliest(self, node: Map | Reduce | Piece, domain: tuple) -> tuple[int, int]:
        """The first group, and the first stage of it, in which everything that ``node`` reads is there."""
        earliest = (self.barrier, 1)
        pointer = node.args[0] if type(node) is Map and node.op == "gather" else None
        for operand in node.reads:
            made = self.made_in.get(operand.value)
            if made is not None:
                place = (made + 1, 1) if operand is pointer else self._available(operand, made, domain)
                if place > earliest:
                    earliest = place
        if type(node) is Piece:
            earliest = max(earliest, (self.pieces[node.region.value].earliest(node), 1))
        return earliest

    def _available(self, operand: View, made: int, domain: tuple) -> tuple[int, int]:
        """When an operand can be read: in its own group's loop, element by element or row by row, or behind it.
        ``made``: the number of that group."""
        value = operand.value
        stage = self.mapped.get(value)
        if stage is not None and operand.shape == domain and (operand is value._whole or operand.is_dense):
            return made, stage
        if value in self.rowwise and self.groups[made].domain == domain and self._is_spread(operand, made):
            return made, self.rowwise[value] + 1
        return made + 1, 1

    def _is_spread(self, operand: View, number: int) -> bool:
        """Whether an operand over a group's domain has, throughout a row, that row's element of a value."""
        domain, axes = self.groups[number].domain, self.groups[number].axes
        assert domain is not None and axes is not None
        view = operand.broadcast(domain)
        rows = dense_strides(domain[: axes[0]])
        return (
            view.offset == 0
            and view.window is None
            and canonical(domain, view.strides) == canonical(domain, (*rows, *[0] * len(axes)))
        )

    def _row_place(self, node: Map) -> tuple[int, int] | None:
        """Where a map of row results can be computed once a row, if what it gives goes back to the rows' elements."""
        if node.op == "gather" or node.out not in self.spread_over:
            return None
        number, stage = -1, 0
        for term in node.args:
            if isinstance(term, Inside) or (isinstance(term, View) and term.window is not None):
                return None
            if isinstance(term, View) and term.value in self.made_in:
                number = max(number, self.made_in[term.value])
        if number < self.barrier or not _is_by_rows(group := self.groups[number]) or not group.has_room:
            return None
        assert group.domain is not None and group.axes is not None
        kept = group.domain[: group.axes[0]]
        if node.out.shape not in (kept, (*kept, *[1] * len(group.axes))):
            return None
        long = tuple([axis for axis in group.axes if group.domain[axis] != 1])
        if (group.domain, long) not in self.spread_over[node.out]:
            return None
        for term in node.args:
            if isinstance(term, View) and self.made_in.get(term.value) == number:
                if term.value not in self.rowwise or not (term.is_dense and term.shape == node.out.shape):
                    return None
                stage = max(stage, self.rowwise[term.value])
        return (number, stage) if stage else None

    def _candidate(self, node: Node, domain: tuple, axes: tuple | None, earliest: tuple[int, int]) -> tuple[int, int]:
        if isinstance(node, Piece) and node.position is not None:  # runs element by element: vectors stay out of it
            self.groups.append(Group(domain))
            return len(self.groups) - 1, 1
        numbers = self.by_domain[domain]
        place = bisect.bisect_left(numbers, earliest[0])
        if isinstance(node, Piece) and _is_fill(node):  # no reading is saved, and its buffer takes memory from there on
            place = max(place, len(numbers) - 1)
        while place < len(numbers):
            number = numbers[place]
            group = self.groups[number]
            if not group.has_room:  # nor will it have any again
                del numbers[place]
                continue
            stage = earliest[1] if number == earliest[0] else 1
            if (axes is None or group.axes is None or group.axes == axes) and stage <= LAST_STAGE:
                return number, stage
            place += 1
        self.groups.append(Group(domain))
        numbers.append(len(self.groups) - 1)
        return len(self.groups) - 1, 1


def _is_by_rows(group: Group) -> bool:
    """Whether a group can have several stages: its reductions are over innermost axes, of several rows."""
    domain, axes = group.domain, group.axes
    if domain is None or axes is None:
        return False
    first = len(domain) - len(axes)
    return axes == tuple(range(first, len(domain))) and math.prod(domain[:first]) > 1 and math.prod(domain[first:]) > 1


def _spread_over(graph: Graph) -> dict[Value, set[tuple]]:
    """Values that reach the elements of larger shapes: ``(shape, axes along which they are repeated)``, directly or
    after some maps."""
    found: dict[Value, set[tuple]] = {}
    if not any(isinstance(node, Reduce) and node.out.size > 1 for node in graph.nodes):
        return found
    for node in reversed(graph.nodes):
        if not isinstance(node, (Map, Reduce, Piece)):
            continue
        domain = _domain(node)
        for operand in node.reads:
            if operand.value.size < math.prod(domain):
                found.setdefault(operand.value, set()).add((domain, _repeated(domain, operand.broadcast(domain))))
            elif isinstance(node, Map) and node.out in found:
                found.setdefault(operand.value, set()).update(found[node.out])
    return found


def _is_fill(piece: Piece) -> bool:
    """Whether all elements of its region become the same number."""
    return not piece.add and all([view.value.size == 1 for view in piece.reads])


def _repeated(domain: tuple[int, ...], view: View) -> tuple[int, ...]:
    sizes = enumerate(zip(domain, view.strides, strict=True))
    return tuple([axis for axis, (size, stride) in sizes if size != 1 and stride == 0])


def _fitted(source: Operand, shape: tuple) -> Operand:
    return source.broadcast(shape) if isinstance(source, View) else source


def _is_nearly_full(group: Group) -> bool:
    """Whether the limit is near enough for a cut at a place of our choice to be better than there."""
    return 4 * len(group.nodes) >= 3 * group.most_operations


def _domain(node: Map | Reduce | Piece) -> tuple[int, ...]:
    if type(node) is Map:
        return node.out.shape
    return node.arg.shape if type(node) is Reduce else node.region.shape


def _sole_reductions(graph: Graph) -> dict[Value, tuple]:
    """Mapped values that only one reduction reads: axes. They must share its loop, or they would be stored."""
    axes: dict[Value, tuple] = {}
    for node in graph.nodes:
        if isinstance(node, Reduce) and node.arg.is_dense and node.arg.shape == node.arg.value.shape:
            axes[node.arg.value] = node.axes
    if not axes:
        return axes
    uses = Counter([view.value for node in graph.nodes for view in node.reads])
    uses.update([out.value for out in graph.outputs if isinstance(out, View)])
    return {value: reduced for value, reduced in axes.items() if uses[value] == 1}


class _Written:
    """Which group last wrote each element of a buffer: pieces that meet must run one after the other."""

    #: up to this many elements groups are kept element by element, which is exact; beyond, piece by piece
    EXACT = 65536

    def __init__(self) -> None:
        self.last: np.ndarray | None = None
        self.latest = -1
        self.spans: list[_Span] = []

    def _elements(self, piece: Piece) -> np.ndarray:
        """The part of ``last`` that a piece writes, as a view."""
        region = piece.region
        if self.last is None:
            self.last = np.full(region.value.size, -1, np.int32)
        strides = [4 * stride for stride in region.strides]  # which are NumPy's own: the region lies in the buffer
        return np.ndarray(region.shape, np.int32, self.last, 4 * region.offset, strides)

    def earliest(self, piece: Piece) -> int:
        """The first group that may write ``piece``."""
        if piece.region.size == 0:
            return 0
        if piece.position is not None:
            return self.latest + 1
        if piece.region.value.size <= self.EXACT:
            return int(self._elements(piece).max()) + 1
        mine = _span(piece.region, 0)
        return 1 + max([span.group for span in self.spans if span.meets(mine)], default=-1)

    def add(self, piece: Piece, number: int) -> None:
        if piece.region.size == 0:
            return
        self.latest = max(self.latest, number)
        if piece.region.value.size > self.EXACT:
            whole = piece.region.value.view()
            self.spans.append(_span(piece.region if piece.position is None else whole, number))
        elif piece.position is not None:
            self._elements(piece)
            assert self.last is not None
            np.maximum(self.last, number, out=self.last)
        else:
            self._elements(piece)[...] = number


class _Span(NamedTuple):
    """What a group wrote: elements from ``first`` to ``last``, some multiple of ``step`` apart."""

    first: int
    last: int
    step: int
    group: int

    def meets(self, other: _Span) -> bool:
        """Whether both may hold one element. Real and imaginary parts lie in one stretch and never meet."""
        if self.first > other.last or other.first > self.last:
            return False
        step = math.gcd(self.step, other.step)
        return step == 0 or (self.first - other.first) % step == 0


def _span(view: View, group: int) -> _Span:
    """The elements of the buffer that a view touches."""
    moving = [(size - 1, stride) for size, stride in zip(view.shape, view.strides, strict=True) if size > 1]
    ends = [steps * stride for steps, stride in moving]
    first = view.offset + sum([end for end in ends if end < 0])
    step = math.gcd(*[stride for _, stride in moving])
    return _Span(first, view.offset + sum([end for end in ends if end > 0]), step, group)
