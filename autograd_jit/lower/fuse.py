"""Kernel graph to groups: which nodes share a loop.

A group is one loop nest over one *domain* (a shape). A map joins the first group of its shape that comes after
everything it reads; what it reads may come out of that very group, element by element. A reduction ends in the
group over the shape that it reduces, together with other reductions over the same axes. Groups run in order.
"""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from .graph import Graph, Init, Map, Node, Operand, Piece, Reduce, Value, View

__all__ = ["Group", "fuse", "is_row_stage"]

#: a kernel of more operations compiles slowly and runs out of registers
MAX_OPERATIONS = 64
#: pointers that one loop nest walks
MAX_ACCESSES = 24


@dataclass(eq=False)
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
    return _Fusion(graph).groups


class _Fusion:
    """State of one pass over the nodes."""

    def __init__(self, graph: Graph) -> None:
        self.groups: list[Group] = []
        self.by_domain: dict[tuple, list[int]] = defaultdict(list)
        #: value -> number of the group after which, or in which, it is complete
        self.made_in: dict[Value, int] = {}
        self.mapped: set[Value] = set()  # values that a group computes element by element
        self.pieces: dict[Value, _Written] = defaultdict(_Written)
        self.reduced_by = _sole_reductions(graph)
        for node in graph.nodes:
            self._place(node)

    def _place(self, node: Node) -> None:
        if isinstance(node, Init):
            if node.source is not None:
                self._place_loop(Piece(node.out.view(), _fitted(node.source, node.out.shape), add=False))
        elif isinstance(node, (Map, Reduce, Piece)):
            self._place_loop(node)
        else:
            self.groups.append(Group(None, [node]))
            for value in node.outs:
                self.made_in[value] = len(self.groups) - 1

    def _place_loop(self, node: Map | Reduce | Piece) -> None:
        domain = _domain(node)
        axes = (
            node.axes if isinstance(node, Reduce) else self.reduced_by.get(node.out) if isinstance(node, Map) else None
        )
        number = self._candidate(node, domain, axes, self._earliest(node, domain))
        group = self.groups[number]
        group.nodes.append(node)
        group.stages.append(1)
        if axes is not None:
            group.axes = axes
        group.loads.update(self._outside(node, number))
        group.sinks += not isinstance(node, Map)
        for value in node.outs:
            self.made_in[value] = max(number, self.made_in.get(value, 0))
        if isinstance(node, Map):
            self.mapped.add(node.out)
        elif isinstance(node, Piece):
            self.pieces[node.region.value].add(node, number)

    def _earliest(self, node: Map | Reduce | Piece, domain: tuple) -> int:
        """The first group number in which everything that ``node`` reads is there."""
        earliest = 0
        for operand in node.operands():
            if isinstance(operand, View) and operand.value in self.made_in:
                made = self.made_in[operand.value]
                joins = self._joins(operand, domain) and not (isinstance(node, Map) and node.is_pointer(operand))
                earliest = max(earliest, made if joins else made + 1)
        if isinstance(node, Piece):
            earliest = max(earliest, self.pieces[node.region.value].earliest(node))
        return earliest

    def _joins(self, operand: View, domain: tuple) -> bool:
        """Whether an operand can be taken from its own group's loop, element by element."""
        return operand.value in self.mapped and operand.shape == domain and operand.is_dense

    def _candidate(self, node: Node, domain: tuple, axes: tuple | None, earliest: int) -> int:
        if isinstance(node, Piece) and node.position is not None:  # runs element by element: vectors stay out of it
            self.groups.append(Group(domain))
            return len(self.groups) - 1
        numbers = self.by_domain[domain]
        for place in range(bisect.bisect_left(numbers, earliest), len(numbers)):
            number = numbers[place]
            group = self.groups[number]
            if (
                (axes is None or group.axes is None or group.axes == axes)
                and len(group.nodes) < MAX_OPERATIONS
                and len(group.loads) + group.sinks < MAX_ACCESSES
            ):
                return number
        self.groups.append(Group(domain))
        numbers.append(len(self.groups) - 1)
        return len(self.groups) - 1

    def _outside(self, node: Node, number: int) -> list[View]:
        """Operands that the group must load."""
        return [
            operand
            for operand in node.operands()
            if isinstance(operand, View) and self.made_in.get(operand.value, -1) != number
        ]


def _fitted(source: Operand, shape: tuple) -> Operand:
    return source.broadcast(shape) if isinstance(source, View) else source


def _domain(node: Map | Reduce | Piece) -> tuple[int, ...]:
    if isinstance(node, Map):
        return node.out.shape
    return node.arg.shape if isinstance(node, Reduce) else node.region.shape


def _sole_reductions(graph: Graph) -> dict[Value, tuple]:
    """Mapped values that only one reduction reads: axes. They must share its loop, or they would be stored."""
    uses: Counter[Value] = Counter()
    axes: dict[Value, tuple] = {}
    for node in graph.nodes:
        for operand in node.operands():
            if isinstance(operand, View):
                uses[operand.value] += 1
                if isinstance(node, Reduce) and operand.is_dense:
                    axes[operand.value] = node.axes
    for out in graph.outputs:
        if isinstance(out, View):
            uses[out.value] += 1
    return {value: reduced for value, reduced in axes.items() if uses[value] == 1}


class _Written:
    """Which group last wrote each element of a buffer: pieces that meet must run one after the other."""

    #: up to this many elements groups are kept element by element, which is exact; beyond, piece by piece
    EXACT = 65536

    def __init__(self) -> None:
        self.last: np.ndarray | None = None
        self.latest = -1
        self.spans: list[tuple[int, int, int]] = []

    def _elements(self, piece: Piece) -> np.ndarray:
        """The part of ``last`` that a piece writes, as a view."""
        region = piece.region
        if self.last is None:
            self.last = np.full(region.value.size, -1, np.int32)
        strides = [4 * stride for stride in region.strides]
        return np.lib.stride_tricks.as_strided(self.last[region.offset :], region.shape, strides)

    def earliest(self, piece: Piece) -> int:
        """The first group that may write ``piece``."""
        if piece.region.size == 0:
            return 0
        if piece.position is not None:
            return self.latest + 1
        if piece.region.value.size <= self.EXACT:
            return int(self._elements(piece).max()) + 1
        low, high = _span(piece.region)
        return 1 + max([number for first, last, number in self.spans if first <= high and low <= last], default=-1)

    def add(self, piece: Piece, number: int) -> None:
        if piece.region.size == 0:
            return
        self.latest = max(self.latest, number)
        if piece.region.value.size > self.EXACT:
            low, high = (0, piece.region.value.size) if piece.position is not None else _span(piece.region)
            self.spans.append((low, high, number))
        elif piece.position is not None:
            self._elements(piece)
            assert self.last is not None
            np.maximum(self.last, number, out=self.last)
        else:
            self._elements(piece)[...] = number


def _span(view: View) -> tuple[int, int]:
    """The first and last element of the buffer that a view touches."""
    steps = [(size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True)]
    return view.offset + sum(s for s in steps if s < 0), view.offset + sum(s for s in steps if s > 0)
