"""Buffers that are assembled from pieces, computed in one pass where that takes less memory traffic.

The adjoint of ``f(x[1:], x[:-1])`` fills a gradient with zeros and adds two shifted cotangents to it; ``roll`` stores
two shifted parts. Turned round, an element of the result asks each piece for its contribution:

    %9 = init(0.0)                        inside 1:      = %7<-1:1 in 1:>   if the element lies in the first region
    %9<1:1> += %7               ->        %9 = where(inside 1:, 0.0 + %7<-1:1 in 1:>, 0.0)
    %9<0:1> += %8                         and the same for the second, with :-1

Those are maps, which fuse with whatever else runs over the buffer's shape. The contributions themselves are computed
there, too, at shifted indices, where that needs no more memory traffic than to store and load them; arithmetic is
repeated for that, transcendental functions are not.

The additions are made in the order of the pieces and where the pieces made them, so that no bit of a result changes:
``where`` leaves alone what a piece did not touch. What a masked lane computes is thrown away by that ``where``; loads
are masked by their window.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from typing import NamedTuple

import numpy as np

from ..records import field, record, replaced
from .builder import is_native
from .graph import Graph, Init, Inside, Literal, Map, Node, Piece, Term, Value, View, Window, dense_strides
from .recompute import COST
from .simplify import drop_dead_nodes

__all__ = ["gather_pieces"]

#: pieces that one pass asks for their contributions
MAX_PIECES = 12
#: a pass asks every piece at every element: at most so many times the work of adding them one by one
MAX_WASTE = 4
#: cost of the operations of one contribution that are computed at shifted indices
MAX_COST = 16
#: buffers that such a contribution may load instead of its own
MAX_LEAVES = 2


def gather_pieces(graph: Graph) -> Graph:
    """The graph with assembled buffers as maps where one pass is cheaper."""
    assemblies = _assemblies(graph)
    if not assemblies:
        return graph
    rewriter = _Rewriter(graph)
    nodes: list[Node] = []
    for node in graph.nodes:
        whole = node.out if type(node) is Init else node.region.value if type(node) is Piece else None
        assembly = None if whole is None else assemblies.get(whole)
        if assembly is None:
            nodes.append(node)
        elif node is assembly.pieces[-1]:
            nodes += rewriter.one_pass(assembly)
    return drop_dead_nodes(replaced(graph, nodes=nodes))


# ---------------------------------------------------------------- which buffers


class _Shift(NamedTuple):
    """Where the elements of a piece lie in a buffer: element ``index`` of the buffer is ``index[axes] - start[axes]``
    of the piece, for the indices in ``window``."""

    shape: tuple[int, ...]
    axes: tuple[int | None, ...]  # of the buffer, for each axis of the piece; None for unit axes
    starts: tuple[int, ...]
    window: Window

    @property
    def covers_all(self) -> bool:
        return not any(self.window)

    def view(self, operand: View) -> View:
        """An operand with the piece's shape, seen from the buffer's elements."""
        strides, start = _shifted_strides(self.axes, self.starts, operand.strides)
        window = None if self.covers_all else self.window
        if operand.window is not None:
            window = _both(self.window, self.moved(operand.window))
        return View(operand.value, self.shape, strides, operand.offset - start, window)

    def moved(self, window: Window) -> Window:
        """A window of the piece, seen from the buffer's elements."""
        bounds: list[tuple[int, int] | None] = [None] * len(self.shape)
        for axis, inside in zip(self.axes, window, strict=True):
            if axis is not None and inside is not None:
                bounds[axis] = (inside[0] + self.starts[axis], inside[1] + self.starts[axis])
        return tuple(bounds)


@functools.lru_cache(maxsize=4096)
def _shifted_strides(
    axes: tuple[int | None, ...], starts: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tuple[int, ...], int]:
    """The strides of an operand along the buffer's axes, and how far before it the buffer's first element lies."""
    found = [0] * len(starts)
    for axis, stride in zip(axes, strides, strict=True):
        if axis is not None:
            found[axis] = stride
    return tuple(found), sum([start * stride for start, stride in zip(starts, found)])


def _both(one: Window, other: Window) -> Window:
    """What lies in two windows."""
    met: list[tuple[int, int] | None] = []
    for a, b in zip(one, other, strict=True):
        low_high = (max(a[0], b[0]), min(a[1], b[1])) if a and b else a or b
        met.append((low_high[0], max(low_high)) if low_high else None)
    return tuple(met)


@record
class _Assembly:
    """A buffer's filling and pieces."""

    init: Init
    pieces: list[Piece] = field(default_factory=list)
    shifts: list[_Shift] = field(default_factory=list)


def _assemblies(graph: Graph) -> dict[Value, _Assembly]:
    """The buffers that one pass can compute, by value."""
    found: dict[Value, _Assembly] = {}
    if not any([type(node) is Init for node in graph.nodes]):
        return found
    refused: set[Value] = set()
    read: set[Value] = set()
    for node in graph.nodes:
        if type(node) is Init:
            found[node.out] = _Assembly(node)
        elif type(node) is Piece:
            whole = node.region.value
            assembly, shift = found[whole], _shift(node)
            if shift is None or whole in read:
                refused.add(whole)
            else:
                assembly.pieces.append(node)
                assembly.shifts.append(shift)
        for view in node.reads:
            if view.value in found:
                read.add(view.value)
    return {value: assembly for value, assembly in found.items() if value not in refused and _pays(assembly)}


def _shift(piece: Piece) -> _Shift | None:
    """Where a piece lies, if that is a block of neighbouring elements."""
    region = piece.region
    if piece.position is not None or region.size == 0:
        return None
    return _block(region.shape, region.strides, region.offset, region.value.shape)


@functools.lru_cache(maxsize=4096)  # a loop asks for the same few blocks again and again
def _block(part: tuple[int, ...], steps: tuple[int, ...], offset: int, shape: tuple[int, ...]) -> _Shift | None:
    """Where a region of shape ``part`` lies in a buffer of shape ``shape``."""
    strides = dense_strides(shape)
    by_stride = {stride: axis for axis, (stride, size) in enumerate(zip(strides, shape)) if size != 1}
    lengths = [1] * len(shape)
    axes: list[int | None] = []
    for size, stride in zip(part, steps, strict=True):
        axis = None if size == 1 else by_stride.get(stride)
        if size != 1 and (axis is None or lengths[axis] != 1):
            return None
        if axis is not None:
            lengths[axis] = size
        axes.append(axis)
    starts, rest = [], offset
    for stride, size in zip(strides, shape):
        start, rest = divmod(rest, stride) if size != 1 else (0, rest)
        starts.append(start)
    ends = [(start, start + length) for start, length in zip(starts, lengths)]
    if rest or any(stop > size for (_, stop), size in zip(ends, shape)):
        return None
    window = tuple([None if (0, size) == bounds else bounds for bounds, size in zip(ends, shape)])
    return _Shift(shape, tuple(axes), tuple(starts), window)


def _pays(assembly: _Assembly) -> bool:
    """Whether one pass costs less than the pieces, one after the other."""
    out, sizes = assembly.init.out, [piece.region.size for piece in assembly.pieces]
    if not sizes or max(sizes) == 1 or len(sizes) > MAX_PIECES or not is_native(out.dtype):
        return False
    if not all(piece.add for piece in assembly.pieces):
        # Stores into a buffer are no extra pass: what computes a piece stores it. One pass pays where nearly all is one
        # piece (a roll, a border), because what reads the buffer can then take it from registers.
        return len(sizes) <= MAX_WASTE and 4 * max(sizes) >= 3 * out.size
    return sum(sizes) * MAX_WASTE >= len(sizes) * out.size


# ---------------------------------------------------------------- the one pass


class _Rewriter:
    """Makes the maps of one buffer after the other; those are themselves candidates for what follows."""

    def __init__(self, graph: Graph) -> None:
        self.maps = {node.out: node for node in graph.nodes if type(node) is Map}
        self.uses = Counter([view.value for node in graph.nodes for view in node.reads])
        self.uses.update([out.value for out in graph.outputs if isinstance(out, View)])
        self.numbers = itertools.count(2_000_000_000)
        self.nodes: list[Node] = []
        self.known: dict[object, View] = {}

    def one_pass(self, assembly: _Assembly) -> list[Node]:
        """Maps that compute the assembled buffer."""
        self.nodes, self.known = [], {}
        out, source = assembly.init.out, assembly.init.source
        current: Term | None = source.broadcast(out.shape) if isinstance(source, View) else source
        for piece, shift in zip(assembly.pieces, assembly.shifts, strict=True):
            arg = piece.arg
            new: Term = self._contribution(arg, shift) if isinstance(arg, View) else arg
            if piece.add:
                assert current is not None
                new = self._map("add", (current, new), out.dtype, out.shape)
            if current is not None and not shift.covers_all:
                new = self._map("where", (Inside(out.shape, shift.window), new, current), out.dtype, out.shape)
            current = new
        assert current is not None
        last = self.nodes[-1] if self.nodes else None
        if isinstance(last, Map) and isinstance(current, View) and last.out is current.value:
            self.nodes[-1] = last = Map(last.op, last.args, out)
        else:
            last = Map("copy", (current,), out)
            self.nodes.append(last)
        self.maps[out] = last
        return self.nodes

    def _map(self, op: str, args: tuple[Term, ...], dtype: np.dtype, shape: tuple[int, ...]) -> View:
        key = (op, args, dtype)
        if key not in self.known:
            value = Value(next(self.numbers), shape, dtype)
            node = self.maps[value] = Map(op, args, value)
            self.nodes.append(node)
            self.known[key] = value.view()
        return self.known[key]

    def _contribution(self, arg: View, shift: _Shift) -> Term:
        """What a piece adds or stores, seen from the buffer's elements."""
        movable = self._movable(arg, math.prod(shift.shape))
        return self._shifted(arg, shift, movable)

    def _movable(self, arg: View, whole: int) -> set[Map]:
        """The maps to compute at shifted indices; none where that is no cheaper than to store and load the result."""
        leaves: set[Value] = set()
        stack, found, cost = [arg], set(), 0
        size = arg.size
        nearly_all = 8 * size >= 7 * whole
        while stack and cost <= MAX_COST and len(leaves) <= MAX_LEAVES:
            view = stack.pop()
            node = self._moved(view, nearly_all)
            if node is None:
                if 2 * view.value.size >= size:
                    leaves.add(view.value)
            elif node not in found:
                found.add(node)
                cost += COST.get(node.op, 1)
                stack += node.reads
        return found if cost <= MAX_COST and len(leaves) <= MAX_LEAVES else set()

    def _moved(self, view: View, nearly_all: bool) -> Map | None:
        """The map that computes a view, if it can do so elsewhere. What costs more than a load moves only if it is not
        needed where it is, and if hardly any element is computed in vain."""
        value = view.value
        node = self.maps.get(value)
        if node is None or node.op == "gather":
            return None
        if view is not value._whole and (view.shape != value.shape or not view.is_dense):
            return None
        return node if node.op in COST or (nearly_all and self.uses[node.out] == 1) else None

    def _shifted(self, term: Term, shift: _Shift, movable: set[Map]) -> Term:
        """A term of a piece's shape as one of the buffer's shape; outside of the window it means nothing."""
        if isinstance(term, Literal):
            return term
        if isinstance(term, Inside):
            return Inside(shift.shape, shift.moved(term.window))
        node = self.maps.get(term.value)
        if node is not None and node.op == "copy" and isinstance(node.args[0], Literal):
            return node.args[0]
        if node is None or node not in movable or term.shape != node.out.shape or not term.is_dense:
            return shift.view(term)
        shape = node.out.shape
        args = [arg.broadcast(shape) if isinstance(arg, View) else arg for arg in node.args]
        return self._map(
            node.op, tuple([self._shifted(arg, shift, movable) for arg in args]), node.out.dtype, shift.shape
        )
