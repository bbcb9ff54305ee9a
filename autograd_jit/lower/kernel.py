"""The loop form of a fused kernel: structure only, no sizes and no addresses.

Two groups with equal :class:`Kernel` run the same machine code; what differs between them (dimensions, strides,
buffers, constants, windows) is in the :class:`Launch`, which becomes a block of integers that the kernel reads.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..records import field, record
from .fuse import Group, is_row_stage
from .graph import Inside, Literal, Map, Piece, Reduce, Term, Value, View, Window, canonical, dense_strides

__all__ = ["Access", "Instruction", "Kernel", "Launch", "Reduction", "Ref", "Stage", "Store", "build"]

#: element types by their LLVM names; bools are bytes in memory and i1 in registers
ELEMENT = {
    np.dtype(name): element
    for name, element in dict(float64="double", float32="float", int64="i64", int32="i32", bool="i1").items()
}


class Ref(NamedTuple):
    """An operand of an instruction; ``index`` counts within the kind.

    ``kind``: "load", "literal", "value" (of an instruction), "total" (of a reduction, in later stages), "window"
    (whether the current element lies inside).
    """

    kind: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here


class Access(NamedTuple):
    """How a buffer is walked: its element type and the stride along the innermost axis.

    ``inner``: "unit", "pair" (every other element, as halves of complex numbers lie), "zero" (the same element
    throughout) or "any". ``pointer``: a load that gives an address, for the
    instruction "gather" to look around from. ``window``: outside that window a load must not touch memory, and gives
    something arbitrary; -1 for none.
    """

    element: str
    inner: str
    pointer: bool = False
    window: int = -1


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


@record(frozen=True)
class Stage:
    """One inner loop over a row (the reduced axes), or with ``row`` what is done once a row, on scalars.

    Values of a row stage and totals of reductions can be used by all stages that follow; values of an inner loop
    by that loop only.
    """

    row: bool
    body: tuple[Instruction, ...]
    stores: tuple[Store, ...]
    reductions: tuple[Reduction, ...]

    @cached_property
    def refs(self) -> tuple[Ref, ...]:
        """All that the stage uses, each once."""
        found = [ref for instruction in self.body for ref in instruction.args]
        found += [ref for store in self.stores for ref in (store.ref, store.position) if ref is not None]
        return tuple(dict.fromkeys([*found, *[reduction.ref for reduction in self.reductions]]))

    @cached_property
    def loads(self) -> tuple[int, ...]:
        return tuple(sorted([ref.index for ref in self.refs if ref.kind == "load"]))


@record(frozen=True)
class Kernel:
    """A loop nest of ``len(reduced)`` axes, outermost first; ``reduced`` says which axes are summed over.

    Most kernels have one stage. With several, the reduced axes are the innermost ones: for every element of the axes
    before them (every row) the stages run one after the other. ``windows`` says for each window how it bounds each
    axis: "" not at all, "one" to a single element, "some" otherwise.
    Instructions, stores and reductions are numbered through all stages. ``precise``: elementary functions are those of
    the C library, element by element.
    """

    reduced: tuple[bool, ...]
    loads: tuple[Access, ...]
    literals: tuple[str, ...]
    windows: tuple[tuple[str, ...], ...]
    stages: tuple[Stage, ...]
    precise: bool = False

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:  # all launches of a kernel look it up
        return hash((self.reduced, self.loads, self.literals, self.windows, self.stages, self.precise))

    @cached_property
    def body(self) -> tuple[Instruction, ...]:
        return tuple([i for stage in self.stages for i in stage.body])

    @cached_property
    def stores(self) -> tuple[Store, ...]:
        return tuple([s for stage in self.stages for s in stage.stores])

    @cached_property
    def reductions(self) -> tuple[Reduction, ...]:
        return tuple([r for stage in self.stages for r in stage.reductions])

    def first_instruction(self, stage: Stage) -> int:
        return sum([len(s.body) for s in self._before(stage)])

    def first_store(self, stage: Stage) -> int:
        """The number, among all accesses, of a stage's first store."""
        return len(self.loads) + sum([len(s.stores) for s in self._before(stage)])

    def first_reduction(self, stage: Stage) -> int:
        return sum([len(s.reductions) for s in self._before(stage)])

    def _before(self, stage: Stage) -> tuple[Stage, ...]:
        places = [place for place, other in enumerate(self.stages) if other is stage]
        return self.stages[: places[0]]

    def windows_of(self, stage: Stage) -> list[int]:
        """The windows that a stage asks for, in its loads or by themselves."""
        own = [ref.index for ref in stage.refs if ref.kind == "window"]
        return sorted({*own, *[self.loads[i].window for i in stage.loads]} - {-1})

    @cached_property
    def row_elements(self) -> dict[Ref, str]:
        """The element types of what row stages and reductions give to later stages."""
        found = {Ref("total", number): r.element for number, r in enumerate(self.reductions)}
        for stage in self.stages:
            if stage.row:
                for number, instruction in enumerate(stage.body, self.first_instruction(stage)):
                    found[Ref("value", number)] = instruction.result
        return found

    @property
    def rank(self) -> int:
        return len(self.reduced)

    @property
    def trailing(self) -> int:
        """How many innermost axes a stage runs over by itself: those that are reduced in registers."""
        if not self.reductions and len(self.stages) == 1:
            return 0
        count = 0
        while count < self.rank and self.reduced[self.rank - 1 - count]:
            count += 1
        return count

    @property
    def adds_in_memory(self) -> bool:
        """Whether totals are added up in memory, row by row: reduced axes outside of kept ones."""
        return bool(self.reductions) and any(self.reduced[: self.rank - self.trailing])

    @property
    def accesses(self) -> int:
        return len(self.loads) + len(self.stores) + len(self.reductions)

    def word_of_access(self, index: int) -> int:
        """Where the block of integers describes access ``index`` (loads, then stores, then reductions)."""
        return self.rank + index * (2 + self.rank)

    def word_of_literal(self, index: int) -> int:
        return self.rank + self.accesses * (2 + self.rank) + index

    def word_of_window(self, index: int, axis: int) -> int:
        """Where the first element inside along ``axis`` is given; the first one behind follows."""
        return self.word_of_literal(len(self.literals)) + 2 * (index * self.rank + axis)


class Placement(NamedTuple):
    """Where an access of a launch points: buffer, byte offset, byte strides along the kernel's axes."""

    value: Value
    offset: int
    strides: tuple[int, ...]


@record(frozen=True, eq=False)
class Launch:
    """One use of a kernel. ``windows``: bounds along each axis."""

    kernel: Kernel
    dims: tuple[int, ...]
    placements: tuple[Placement, ...]
    literals: tuple[bytes, ...]
    group: Group
    windows: tuple[Window, ...] = ()

    def words(self, place: Any) -> list[int]:
        """The block of integers; ``place(value) -> (slot, byte offset)``."""
        words = list(self.dims)
        for value, offset, strides in self.placements:
            slot, start = place(value)
            words += [slot, start + offset, *strides]
        words += [struct.unpack("<q", cell)[0] for cell in self.literals]
        for window in self.windows:
            for bounds in window:
                words += bounds or (0, 0)
        return words

    @cached_property
    def elements(self) -> int:
        return math.prod(self.dims)


def build(group: Group, stored: set[Value], rows: Collection[Value] = (), precise: bool = False) -> Launch:
    """The kernel and launch of a loop group.

    ``stored``: mapped values that are needed in memory; those of ``rows`` only while their row is worked on, so that
    their buffer is as large as one row. ``precise``: as of :class:`Kernel`.
    """
    return _Build(group, stored, rows, precise).launch()


@record
class _StageBuild:
    """A stage in the making; ``refs`` are the values that its loop holds in registers."""

    number: int
    refs: dict[Value, Ref] = field(default_factory=dict)
    body: list[Instruction] = field(default_factory=list)
    stores: list[tuple[Ref, View, bool, Ref | None]] = field(default_factory=list)
    reductions: list[tuple[Reduction, View]] = field(default_factory=list)


class _Build:
    """Nodes are added stage after stage, so that instructions are numbered in the order in which they run."""

    def __init__(self, group: Group, stored: set[Value], rows: Collection[Value], precise: bool) -> None:
        assert group.domain is not None
        self.precise = precise
        self.group = group
        self.domain = group.domain
        self.axes = group.axes or ()
        self.stored = stored
        self.rows = rows
        self.row_refs: dict[Value, Ref] = {}
        self.maps: dict[Value, Map] = {node.out: node for node in group.nodes if isinstance(node, Map)}
        self.load_views: list[tuple[View, bool]] = []
        self.load_numbers: dict[tuple[View, bool], int] = {}
        self.literals: list[Literal] = []
        self.windows: list[Window] = []
        self.instructions = self.totals = 0
        self.stages: list[_StageBuild] = []
        for node, number in sorted(zip(group.nodes, group.stages, strict=True), key=lambda pair: pair[1]):
            if not self.stages or self.stages[-1].number != number:
                self.stages.append(_StageBuild(number))
            self._add(node)

    # ---------------------------------------------------------------- nodes

    def _add(self, node: Any) -> None:
        stage = self.stages[-1]
        if isinstance(node, Map):
            ref = self._add_map(node)
            if is_row_stage(stage.number):
                self.row_refs[node.out] = ref
            # a row's buffer belongs to the groups that carry the value: where it is computed again it has no place
            if node.out in self.stored and (node.out not in self.rows or node.out in self.group.carried):
                stage.stores.append((ref, self._buffer(node.out), False, None))
        elif isinstance(node, Piece):
            position = None if node.position is None else self._ref(node.position)
            stage.stores.append((self._ref(node.arg), node.region, node.add, position))
        elif isinstance(node, Reduce):
            reduction = Reduction(node.op, self._ref(node.arg), ELEMENT[node.out.dtype])
            stage.reductions.append((reduction, self._spread(node.out)))
            self.row_refs[node.out] = Ref("total", self.totals)
            self.totals += 1

    def _spread(self, value: Value) -> View:
        """A value with one element a row as a view of the whole domain."""
        kept = iter(dense_strides(tuple([s for axis, s in enumerate(self.domain) if axis not in self.axes])))
        strides = tuple([0 if axis in self.axes else next(kept) for axis in range(len(self.domain))])
        return View(value, self.domain, strides, 0)

    def _buffer(self, value: Value) -> View:
        """Where a mapped value is stored."""
        if value in self.group.row_values:
            return self._spread(value)
        view = value.view()
        if value in self.rows:  # one row, written anew for each: no step along the axes before
            view = view._replace(strides=tuple([s if a in self.axes else 0 for a, s in enumerate(view.strides)]))
        return view

    def _add_map(self, node: Map) -> Ref:
        stage = self.stages[-1]
        args = tuple([self._load(arg, True) if node.is_pointer(arg) else self._ref(arg) for arg in node.args])  # type: ignore[arg-type]
        if node.op in ("copy", "positive"):
            stage.refs[node.out] = args[0]
            return args[0]
        element = ELEMENT[node.args[0 if node.op == "gather" else -1].dtype]
        stage.body.append(Instruction(node.op, element, ELEMENT[node.out.dtype], args))
        self.instructions += 1
        stage.refs[node.out] = Ref("value", self.instructions - 1)
        return stage.refs[node.out]

    def _ref(self, operand: Term) -> Ref:
        if isinstance(operand, Literal):
            self.literals.append(operand)
            return Ref("literal", len(self.literals) - 1)
        if isinstance(operand, Inside):
            return Ref("window", self._window(operand.window))
        value = operand.value
        if value in self.row_refs:
            return self.row_refs[value]
        if value in self.maps and operand.window is None and operand.shape == self.domain and operand.is_dense:
            known = self.stages[-1].refs.get(value)
            if known is not None:
                return known
            if value not in self.group.carried:  # cheaper to compute again than to keep
                return self._add_map(self.maps[value])
            return self._load(self._buffer(value), False)
        return self._load(operand, False)

    def _load(self, operand: View, pointer: bool) -> Ref:
        view = operand if operand.shape == self.domain else self._fitted(operand)
        strides = canonical(view.shape, view.strides)
        load = (view if strides == view.strides else view._replace(strides=strides), pointer)
        if load not in self.load_numbers:
            self.load_numbers[load] = len(self.load_views)
            self.load_views.append(load)
        return Ref("load", self.load_numbers[load])

    def _fitted(self, operand: View) -> View:
        """An operand of a row stage, with or without the reduced axes as unit axes, over the whole domain."""
        if operand.shape == () or not is_row_stage(self.stages[-1].number):
            return operand.broadcast(self.domain)
        sizes = [(size, stride) for size, stride in zip(operand.shape, operand.strides, strict=True)]
        kept = iter(sizes if len(sizes) < len(self.domain) else [s for a, s in enumerate(sizes) if a not in self.axes])
        strides = tuple([0 if axis in self.axes else next(kept)[1] for axis in range(len(self.domain))])
        return View(operand.value, self.domain, strides, operand.offset)

    def _window(self, window: Window) -> int:
        if window not in self.windows:
            self.windows.append(window)
        return self.windows.index(window)

    # ---------------------------------------------------------------- the whole

    def launch(self) -> Launch:
        stores = [store for stage in self.stages for store in stage.stores]
        totals = [total for stage in self.stages for total in stage.reductions]
        views = [v for v, _ in self.load_views] + [v for _, v, _, _ in stores] + [v for _, v in totals]
        for view, _ in self.load_views:
            if view.window is not None:
                self._window(view.window)
        flags = tuple([axis in self.axes for axis in range(len(self.domain))])
        axes, dims, reduced, strides = _coalesce(
            self.domain, flags, [v.strides for v in views], self._bounded(), len(self.stages) > 1
        )
        accesses = [_access(view, step) for view, step in zip(views, strides, strict=True)]
        loads = len(self.load_views)
        for number, (view, pointer) in enumerate(self.load_views):
            if pointer or view.window is not None:
                window = -1 if view.window is None else self.windows.index(view.window)
                accesses[number] = accesses[number]._replace(pointer=pointer, window=window)
        windows = tuple([tuple([window[axis] for axis in axes]) for window in self.windows])
        kernel = Kernel(
            reduced,
            tuple(accesses[:loads]),
            tuple([ELEMENT[literal.dtype] for literal in self.literals]),
            tuple([tuple([_bounding(bounds) for bounds in window]) for window in windows]),
            self._finished(iter(accesses[loads:])),
            self.precise,
        )
        placements = tuple(
            [
                Placement(view.value, view.offset * view.dtype.itemsize, tuple([s * view.dtype.itemsize for s in step]))
                for view, step in zip(views, strides, strict=True)
            ]
        )
        literals = tuple([_cell(literal) for literal in self.literals])
        return Launch(kernel, dims, placements, literals, self.group, windows)

    def _bounded(self) -> set[int]:
        return {axis for window in self.windows for axis, bounds in enumerate(window) if bounds is not None}

    def _finished(self, accesses: Iterator[Access]) -> tuple[Stage, ...]:
        return tuple(
            [
                Stage(
                    is_row_stage(stage.number),
                    tuple(stage.body),
                    tuple([Store(ref, next(accesses), add, at) for ref, _, add, at in stage.stores]),
                    tuple([reduction for reduction, _ in stage.reductions]),
                )
                for stage in self.stages
            ]
        )


def _access(view: View, strides: tuple[int, ...]) -> Access:
    inner = strides[-1] if strides else 0
    kind = {0: "zero", 1: "unit", 2: "pair" if view.dtype.kind == "f" else "any"}.get(inner, "any")
    return Access(ELEMENT[view.dtype], kind)


def _bounding(bounds: tuple[int, int] | None) -> str:
    """How a window bounds an axis. A single element is a matter of structure, as unit axes are: x[0] has no size."""
    if bounds is None:
        return ""
    return "one" if bounds[1] - bounds[0] == 1 else "some"


def _cell(literal: Literal) -> bytes:
    """A literal as the eight bytes that a kernel reads it from."""
    return np.asarray(literal.value, literal.dtype).tobytes().ljust(8, b"\0")


def _coalesce(
    domain: tuple[int, ...],
    flags: tuple[bool, ...],
    strides: list[tuple[int, ...]],
    bounded: Collection[int] = (),
    staged: bool = False,
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[bool, ...], list[tuple[int, ...]]]:
    """The same iteration with fewer axes: unit axes dropped, neighbours merged where every stride allows it.

    ``(axes of the domain, the innermost of those merged; sizes; flags; strides)``. Axes that a window bounds are not
    merged. With ``staged`` a reduced axis stays, however short: the stages' loops run over it.
    """
    axes = [axis for axis, size in enumerate(domain) if size != 1]
    if staged and not any(flags[axis] for axis in axes):
        axes.append(len(domain) - 1)
    merged: list[list] = []  # [axis, size, flag, strides]
    for axis in axes:
        steps = [s[axis] for s in strides]
        if merged and merged[-1][2] == flags[axis] and axis not in bounded and merged[-1][0] not in bounded:
            _, size, _, outer = merged[-1]
            if all(o == s * domain[axis] for o, s in zip(outer, steps, strict=True)):
                merged[-1] = [axis, size * domain[axis], flags[axis], steps]
                continue
        merged.append([axis, domain[axis], flags[axis], steps])
    return (
        tuple([axis for axis, _, _, _ in merged]),
        tuple([size for _, size, _, _ in merged]),
        tuple([flag for _, _, flag, _ in merged]),
        [tuple([steps[i] for _, _, _, steps in merged]) for i in range(len(strides))],
    )
