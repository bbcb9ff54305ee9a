"""The loop form of a fused kernel: structure only, no sizes and no addresses.

Two groups with equal :class:`Kernel` run the same machine code; what differs between them (dimensions, strides,
buffers, constants) is in the :class:`Launch`, which becomes a block of integers that the kernel reads.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .fuse import Group
from .graph import Literal, Map, Operand, Piece, Reduce, Value, View, canonical, dense_strides

__all__ = ["Access", "Instruction", "Kernel", "Launch", "Reduction", "Ref", "Store", "build"]

#: element types by their LLVM names; bools are bytes in memory and i1 in registers
ELEMENT = {
    np.dtype(name): element
    for name, element in dict(float64="double", float32="float", int64="i64", int32="i32", bool="i1").items()
}


class Ref(NamedTuple):
    """An operand of an instruction: ``kind`` is "load", "literal" or "value"; ``index`` counts within the kind."""

    kind: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here


class Access(NamedTuple):
    """How a buffer is walked: its element type and the stride along the innermost axis.

    ``inner``: "unit", "zero" (the same element throughout) or "any". ``pointer``: a load that gives an address, for the
    instruction "gather" to look around from.
    """

    element: str
    inner: str
    pointer: bool = False


class Instruction(NamedTuple):
    """``op`` on operands of type ``element``, giving ``result``."""

    op: str
    element: str
    result: str
    args: tuple[Ref, ...]


class Store(NamedTuple):
    ref: Ref
    access: Access
    add: bool
    position: Ref | None = None  # further offset in elements


class Reduction(NamedTuple):
    op: str
    ref: Ref
    element: str


@dataclass(frozen=True)
class Kernel:
    """A loop nest of ``len(reduced)`` axes, outermost first; ``reduced`` says which axes are summed over."""

    reduced: tuple[bool, ...]
    loads: tuple[Access, ...]
    literals: tuple[str, ...]
    body: tuple[Instruction, ...]
    stores: tuple[Store, ...]
    reductions: tuple[Reduction, ...]

    @property
    def rank(self) -> int:
        return len(self.reduced)

    @property
    def accesses(self) -> int:
        return len(self.loads) + len(self.stores) + len(self.reductions)

    def word_of_access(self, index: int) -> int:
        """Where the block of integers describes access ``index`` (loads, then stores, then reductions)."""
        return self.rank + index * (2 + self.rank)

    def word_of_literal(self, index: int) -> int:
        return self.rank + self.accesses * (2 + self.rank) + index


class Placement(NamedTuple):
    """Where an access of a launch points: buffer, byte offset, byte strides along the kernel's axes."""

    value: Value
    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Launch:
    """One use of a kernel."""

    kernel: Kernel
    dims: tuple[int, ...]
    placements: tuple[Placement, ...]
    literals: tuple[bytes, ...]
    group: Group

    def words(self, place: Any) -> list[int]:
        """The block of integers; ``place(value) -> (slot, byte offset)``."""
        words = list(self.dims)
        for value, offset, strides in self.placements:
            slot, start = place(value)
            words += [slot, start + offset, *strides]
        return words + [struct.unpack("<q", cell)[0] for cell in self.literals]

    @property
    def elements(self) -> int:
        return math.prod(self.dims)


def build(group: Group, stored: set[Value]) -> Launch:
    """The kernel and launch of a loop group; ``stored``: mapped values that others need in memory."""
    return _Build(group, stored).launch()


class _Build:
    def __init__(self, group: Group, stored: set[Value]) -> None:
        assert group.domain is not None
        self.group = group
        self.domain: tuple[int, ...] = group.domain
        self.axes = group.axes or ()
        self.refs: dict[Value, Ref] = {}
        self.load_views: list[tuple[View, bool]] = []  # and whether it is a pointer
        self.literals: list[Literal] = []
        self.body: list[Instruction] = []
        self.store_views: list[tuple[Ref, View, bool, Ref | None]] = []
        self.reductions: list[tuple[Reduction, View]] = []
        for node in group.nodes:
            self._add(node, stored)

    def _add(self, node: Any, stored: set[Value]) -> None:
        if isinstance(node, Map):
            self._add_map(node)
            if node.out in stored:
                self.store_views.append((self.refs[node.out], node.out.view(), False, None))
        elif isinstance(node, Piece):
            position = None if node.position is None else self._ref(node.position)
            self.store_views.append((self._ref(node.arg), node.region, node.add, position))
        elif isinstance(node, Reduce):
            element = ELEMENT[node.out.dtype]
            kept = iter(dense_strides(node.out.shape))
            strides = tuple([0 if axis in self.axes else next(kept) for axis in range(len(self.domain))])
            target = View(node.out, self.domain, strides, 0)
            self.reductions.append((Reduction(node.op, self._ref(node.arg), element), target))

    def _add_map(self, node: Map) -> None:
        args = tuple([self._load(arg, True) if node.is_pointer(arg) else self._ref(arg) for arg in node.args])  # type: ignore[arg-type]
        if node.op in ("copy", "positive"):
            self.refs[node.out] = args[0]
            return
        element = ELEMENT[node.args[0 if node.op == "gather" else -1].dtype]
        self.body.append(Instruction(node.op, element, ELEMENT[node.out.dtype], args))
        self.refs[node.out] = Ref("value", len(self.body) - 1)

    def _ref(self, operand: Operand) -> Ref:
        if isinstance(operand, Literal):
            self.literals.append(operand)
            return Ref("literal", len(self.literals) - 1)
        known = self.refs.get(operand.value)
        if known is not None and operand.shape == self.domain and operand.is_dense:
            return known
        return self._load(operand, False)

    def _load(self, operand: View, pointer: bool) -> Ref:
        view = operand if operand.shape == self.domain else operand.broadcast(self.domain)
        load = (view._replace(strides=canonical(view.shape, view.strides)), pointer)
        if load not in self.load_views:
            self.load_views.append(load)
        return Ref("load", self.load_views.index(load))

    def launch(self) -> Launch:
        views = (
            [v for v, _ in self.load_views] + [v for _, v, _, _ in self.store_views] + [v for _, v in self.reductions]
        )
        flags = tuple([axis in self.axes for axis in range(len(self.domain))])
        dims, reduced, strides = _coalesce(self.domain, flags, [view.strides for view in views])
        accesses = [_access(view, step) for view, step in zip(views, strides, strict=True)]
        loads = len(self.load_views)
        for number, (_, pointer) in enumerate(self.load_views):
            accesses[number] = accesses[number]._replace(pointer=pointer)
        stores = tuple(
            [
                Store(ref, access, add, position)
                for (ref, _, add, position), access in zip(self.store_views, accesses[loads:])
            ]
        )
        kernel = Kernel(
            reduced,
            tuple(accesses[:loads]),
            tuple([ELEMENT[literal.dtype] for literal in self.literals]),
            tuple(self.body),
            stores,
            tuple([reduction for reduction, _ in self.reductions]),
        )
        placements = tuple(
            [
                Placement(view.value, view.offset * view.dtype.itemsize, tuple([s * view.dtype.itemsize for s in step]))
                for view, step in zip(views, strides, strict=True)
            ]
        )
        return Launch(kernel, dims, placements, tuple([_cell(literal) for literal in self.literals]), self.group)


def _access(view: View, strides: tuple[int, ...]) -> Access:
    inner = strides[-1] if strides else 0
    kind = {0: "zero", 1: "unit"}.get(inner, "any")
    return Access(ELEMENT[view.dtype], kind)


def _cell(literal: Literal) -> bytes:
    """A literal as the eight bytes that a kernel reads it from."""
    return np.asarray(literal.value, literal.dtype).tobytes().ljust(8, b"\0")


def _coalesce(
    domain: tuple[int, ...], flags: tuple[bool, ...], strides: list[tuple[int, ...]]
) -> tuple[tuple[int, ...], tuple[bool, ...], list[tuple[int, ...]]]:
    """The same iteration with fewer axes: unit axes dropped, neighbours merged where every stride allows it."""
    axes = [axis for axis, size in enumerate(domain) if size != 1]
    merged: list[list] = []  # [size, flag, strides]
    for axis in axes:
        steps = [s[axis] for s in strides]
        if merged and merged[-1][1] == flags[axis]:
            size, _, outer = merged[-1]
            if all(o == s * domain[axis] for o, s in zip(outer, steps, strict=True)):
                merged[-1] = [size * domain[axis], flags[axis], steps]
                continue
        merged.append([domain[axis], flags[axis], steps])
    return (
        tuple([size for size, _, _ in merged]),
        tuple([flag for _, flag, _ in merged]),
        [tuple([steps[i] for _, _, steps in merged]) for i in range(len(strides))],
    )
