"""A tape made runnable: kernels, memory plan and the table that the native executor walks.

:class:`Program` is what one tape lowers to and is shared by threads; a run of it has a :class:`~.frame.Frame`.
"""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..config import CompileMode
from ..kernels import executor, library
from ..kernels.executor import OUTPUT, SCALAR, Spec
from ..records import field, record, replaced
from ..trace import collector
from ..trace.packed_tape import pack
from ..trace.tape import Constant, Op, Tape, TensorType, Var
from . import folds, parts
from .axis_order import turn_short_rows
from .builder import is_native
from .compile import CompiledKernel, compile_kernels, swap_lock
from .expand import expand
from .forms import Forms
from .frame import FILLED_SCALARS, PYTHON_SCALARS, Frame
from .fuse import Group, fuse
from .graph import Call, Check, CopyStep, Graph, Map, RowsStart, Step, Value, View, dense_strides
from .kernel import Launch
from .link import link
from .pairs import storage
from .plan import Plan, plan, row_buffers, stored_values
from .promote import promote
from .routines import CompiledRoutine, compiled_routine
from .short_axes import unroll_short_axes
from .simplify import drop_dead_nodes
from .windows import gather_pieces

__all__ = [
    "OutputPlan",
    "Program",
    "Stages",
    "form",
    "lower",
]


@record(eq=False)
class Stages:
    """What lies between a tape and its table. Linking reads it, then only readers of kernels do."""

    graph: Graph
    groups: list[Group]
    launches: list[Launch | None]
    plan: Plan
    outputs: list[OutputPlan]
    rows: dict[Value, int]  # values of which a row is kept, and its elements
    cuts: list[parts.Cut | None]  # how launches are cut into parts
    totals: int  # byte offset in the arena of the totals of parts, behind what the plan places


@record(eq=False)
class Program:
    """What one tape lowers to. ``segments``: native stretches ``(start, stop)`` of the table, and Python steps.

    A row of ``table`` is the address of a function and that of its integers, which lie in ``words``.

    A session may hold thousands, so the tape is packed and the stages are not kept: they take 50 kB where the table
    takes 5, and ``stages`` makes them again of the tape. ``bound`` is the graph without its nodes.
    """

    tape: Tape
    bound: Graph
    kernels: list[CompiledKernel]
    arena_bytes: int
    offsets: dict[Value, int]
    slots: dict[Value, int]
    outputs: list[OutputPlan]
    table: np.ndarray
    words: np.ndarray
    segments: list[tuple[int, int] | Step]
    checks: dict[int, Check]
    calls: dict[int, Call]
    operations: int
    kernel_at: dict[int, CompiledKernel] = field(default_factory=dict)
    routines: list[CompiledRoutine] = field(default_factory=list)
    seconds: float = 0.0
    frames: list[Frame] = field(default_factory=list)
    mode: CompileMode = "eager"
    all_frames: weakref.WeakSet[Frame] = field(default_factory=weakref.WeakSet)
    hosts: dict[Value, Value] = field(default_factory=dict)
    #: rows of the table that are cut into parts -> where, among the words, the address of their kernel is
    function_words: dict[int, int] = field(default_factory=dict)
    is_hot: bool = False
    precise: bool = False

    is_lowered = True
    #: makes the memory of a result: shape, dtype
    empty = staticmethod(np.empty)

    @property
    def stages(self) -> Stages:
        """The stages of lowering, made anew at each reading."""
        return form(self.tape, precise=self.precise)

    @property
    def bytes_kept(self) -> int:
        """Memory of the arenas of its frames, of its constants and of its table's words; kernels are shared."""
        arrays = [*self.bound.constants.values(), self.words, self.table]
        return sum([array.nbytes for array in arrays]) + max(len(self.all_frames), 1) * self.arena_bytes

    @functools.cached_property
    def specs(self) -> np.ndarray:
        """What the executor checks of a run's arguments; frames share it."""
        specs = []
        for slot, type_ in enumerate(self.input_types):
            if type_.kind == "array":
                specs.append(Spec(executor.ARRAY, slot, np.ndarray, type_.dtype, type_.shape))
            else:
                kind = type_.dtype.type if type_.kind == "scalar" else PYTHON_SCALARS[type_.kind]
                specs.append(Spec(SCALAR, slot, kind))
        for out, type_ in zip(self.bound.outputs, self.fresh_types, strict=True):
            specs.append(Spec(OUTPUT, self.slots[out.value], self.filled_scalar(type_)))
        return executor.specification(specs)

    def replayed(self) -> None:
        """Note that the program is used again: its kernels are worth optimised code."""
        if not self.is_hot:
            self.is_hot = True
            if self.mode in ("background", "lazy"):
                promote([*self.kernels, *self.routines])

    def relink(self, kernel: CompiledKernel) -> None:
        """Point the tables at the kernel's new code; the caller holds ``swap_lock``.

        Frames may be running: each entry is one aligned 8-byte store, which the executor's load sees whole or not yet,
        and the old code stays in memory, so a run may mix both. They compute the same bits."""
        for position, user in self.kernel_at.items():
            if user is not kernel:
                continue
            if position in self.function_words:
                self.words[self.function_words[position]] = kernel.address  # which all frames share
            else:
                self.table[position, 0] = kernel.address
                for frame in list(self.all_frames):
                    frame.table[position, 0] = kernel.address

    @property
    def steps(self) -> list[Step]:
        return [segment for segment in self.segments if isinstance(segment, Step)]

    @property
    def has_call_path(self) -> bool:
        """Whether the generated call path serves it: not where a Python step draws, since it would draw again."""
        steps = [step for step in self.steps if not isinstance(step, CopyStep)]
        return self.is_native or not (self.draws or any(step.op.prim.draws is not None for step in steps))

    @property
    def is_native(self) -> bool:
        """Whether a run is one call of the executor."""
        return len(self.segments) == 1 and isinstance(self.segments[0], tuple)

    def new_frame(self) -> Frame:
        return Frame(self)

    def listing(self) -> Any:
        """What ``kernels(*args)`` returns."""
        from .listing import KernelListing

        return KernelListing(self)

    @property
    def remarks(self) -> list[str]:
        """What `explain` says of its steps."""
        return [f"Python step: {step}" for step in self.steps]

    def address_of(self, value: Value) -> tuple[int, int]:
        """``(slot, byte offset)`` of a value."""
        value = self.hosts.get(value, value)
        if value in self.slots:
            return self.slots[value], 0
        return self.arena_slot, self.offsets[value]

    @property
    def arena_slot(self) -> int:
        return len(self.slots)

    @property
    def draws(self) -> list[Op]:
        """Random draws made before the run."""
        return self.bound.draws

    @property
    def fresh_types(self) -> list[TensorType]:
        """Types of the arrays that a run makes for its results."""
        return [out.type for out in self.outputs if out.type is not None and out.kind in ("fresh", "hidden")]

    def filled_scalar(self, type_: TensorType) -> type | None:
        """The scalar type that a replay makes an object of, for the run to fill, instead of an array of one element.

        Python steps need arrays, which other programs, and runs in the general way, are given.
        """
        return FILLED_SCALARS.get(type_.dtype) if type_.kind == "scalar" and self.is_native else None

    @property
    def has_draws(self) -> bool:
        """Whether a run draws random numbers, before or in between."""
        steps = [step for step in self.steps if not isinstance(step, CopyStep)]
        return bool(self.draws) or any(step.op.prim.draws is not None for step in steps)

    @property
    def input_types(self) -> list[TensorType]:
        """Types of what a frame is given: the tape's inputs, then the results of the first draws."""
        return [var.type for var in [*self.tape.inputs, *[out for op in self.draws for out in op.outputs]]]

    def run(self, inputs: tuple, generators: Sequence[Any] = ()) -> list:
        """Run on arrays and scalars that fit the tape's inputs, and generators to draw from; the output leaves.

        Raises Diverged where the recorded path is not the one that these values take, and Stopped (or whatever a
        Python step raises) where the interpreted call may raise.
        """
        try:
            frame = self.frames.pop()
        except IndexError:  # asking first would race with other threads
            frame = self.new_frame()
        try:
            return frame.run(inputs, generators)
        finally:
            self.frames.append(frame)


@record(frozen=True)
class OutputPlan:
    """How one output leaf is delivered.

    ``kind`` is "input" (that very object), "static", "fresh" (an array made for it), "hidden" (such an array, which
    only aliases are views of) or "alias" (made of inputs and fresh arrays).
    """

    kind: str
    type: TensorType | None
    what: Any  # input number, static value, `aliases.Alias` or None
    var: Var | None = None  # of a fresh or hidden one


def lower(
    tape: Tape, mode: CompileMode = "eager", formed: Callable[[int], None] | None = None, precise: bool = False
) -> Program:
    """All stages, in order: those of `form`, then compile and link.

    ``mode``: when kernels are optimised, as ``config.compile``. ``formed`` is told how many kernels will be compiled.
    ``precise``: as ``config.precise``.
    """
    started = time.perf_counter()
    if mode == "eager":
        executor.optimise()
    with collector.paused():
        program = _lowered(tape, mode, formed, precise)
        program.tape = pack(tape)
    program.seconds = time.perf_counter() - started
    return program


def form(tape: Tape, for_device: bool = False, precise: bool = False) -> Stages:
    """The stages before compiling: expand, deliver outputs, drop dead nodes, gather pieces, choose layouts, fuse,
    form, plan memory.

    ``for_device``: each row has memory of its own for what its stages hand on, and what guards read stays as it is: the
    rows run at the same time, and a guard that fails is looked at when the run is over. Products with vectors are
    loops. ``precise``: kernels call the C library's functions element by element.
    """
    graph = expand(tape, for_device)
    outputs = _deliver_outputs(graph, tape)
    graph = turn_short_rows(unroll_short_axes(gather_pieces(drop_dead_nodes(graph))))
    groups = fuse(graph)
    stored = stored_values(graph, groups)
    rows = {} if for_device else row_buffers(graph, groups)
    lasting = {node.arg.value for node in graph.nodes if isinstance(node, Check)} if for_device else set()
    forms = Forms(stored, rows, precise)
    launches = [forms.launch(group) if group.domain is not None else None for group in groups]
    # on a device a group may become several kernels; a row of a Jacobian moves along a result while it is made
    in_place: list = [] if for_device else launches
    delivered = () if any(isinstance(node, RowsStart) for node in graph.nodes) else _delivered(graph)
    cuts = parts.cuts(graph, [None] * len(launches) if for_device else launches, rows)
    room = _room_for_rows(launches, rows, cuts)
    memory = plan(graph, groups, _in_memory(graph, stored), set(_fixed(graph)), room, lasting, in_place, delivered)
    cells = max([cut.cells(launch) for launch, cut in zip(launches, cuts) if launch and cut], default=0)
    whole = replaced(memory, arena_bytes=memory.arena_bytes + cells * folds.CELL)
    return Stages(graph, groups, launches, whole, outputs, rows, cuts, memory.arena_bytes)


def _room_for_rows(
    launches: list[Launch | None], rows: dict[Value, int], cuts: list[parts.Cut | None]
) -> dict[Value, int]:
    """Elements that values need of which a row is kept: a row for each part of a launch that keeps it."""
    room = dict(rows)
    for launch, cut in zip(launches, cuts):
        if launch is None or cut is None:
            continue
        for value in {placement.value for placement in launch.placements} & rows.keys():
            room[value] = max(room[value], cut.number * rows[value])
    return room


def _fixed(graph: Graph) -> list[Value]:
    """Values that have a slot of their own, in order: memory that a run is given, and what moves in it."""
    moving = [value for node in graph.nodes if isinstance(node, RowsStart) for value in node.moving]
    return [*graph.inputs, *graph.constants, *_delivered(graph), *moving]


def _delivered(graph: Graph) -> list[Value]:
    return [out.value for out in graph.outputs if isinstance(out, View)]


def _lowered(tape: Tape, mode: CompileMode, formed: Callable[[int], None] | None, precise: bool) -> Program:
    stages = form(tape, precise=precise)
    graph, memory = stages.graph, stages.plan
    slots = {value: number for number, value in enumerate(_fixed(graph))}
    bound = replaced(graph, nodes=[])
    none = np.empty(0, np.int64)
    program = Program(
        tape, bound, [], memory.arena_bytes, memory.offsets, slots, stages.outputs, none, none, [], {}, {}, 0, mode=mode
    )
    compiled = compile_kernels([launch.kernel for launch in stages.launches if launch is not None], mode, formed)
    calls = {node.code for group in stages.groups for node in group.nodes if isinstance(node, Call)}
    routines = {code: compiled_routine(*library.routine(*code), mode) for code in calls}
    program.hosts, program.precise = memory.hosts, precise
    with swap_lock:
        link(program, stages, compiled, routines)
    program.offsets, program.hosts = _offsets_of_runs(program), {}
    return program


def _offsets_of_runs(program: Program) -> dict[Value, int]:
    """The part of the plan that runs look at: where guards and Python steps find their values."""
    views = [check.arg for check in program.checks.values()]
    for step in program.steps:
        views += [operand for operand in step.operands() if isinstance(operand, View)]
        views += [value.view() for value in step.outs]
    used = {view.value for view in views}
    return {value: offset for value, offset in program.offsets.items() if value in used}


def _deliver_outputs(graph: Graph, tape: Tape) -> list[OutputPlan]:
    """Give each computed output a buffer of its own; ``graph.outputs`` become views of exactly those.

    The plans are those of the tape's outputs, then of the roots of its aliases.
    """
    plans: list[OutputPlan] = []
    delivered: list[Any] = []
    known = {*graph.inputs, *graph.constants}
    numbers = {var.number: position for position, var in enumerate(tape.inputs)}
    for position, (out, view) in enumerate(zip((*tape.outputs, *tape.roots), graph.outputs, strict=True)):
        if position in tape.aliases:
            plans.append(OutputPlan("alias", None, tape.aliases[position]))
        elif isinstance(out, Var) and out.number in numbers:
            plans.append(OutputPlan("input", out.type, numbers[out.number]))
        elif isinstance(out, Var):
            type_ = out.type
            if not view.is_dense or view.value in known:
                view = _copied(graph, view, type_)
            known.add(view.value)
            delivered.append(view)
            plans.append(OutputPlan("fresh" if position < len(tape.outputs) else "hidden", type_, None, out))
        else:
            plans.append(OutputPlan("static", None, out.value if isinstance(out, Constant) else out))
    graph.outputs = delivered
    return plans


def _copied(graph: Graph, view: View, type_: TensorType) -> View:
    number = 1_000_000_000 + len(graph.nodes)
    shape, dtype = storage(type_.shape, type_.dtype)
    copy = Value(number, shape, dtype)
    source = view if view.shape == shape else View(view.value, shape, dense_strides(shape), 0)
    if is_native(dtype):
        graph.nodes.append(Map("copy", (source,), copy))
    else:
        graph.nodes.append(CopyStep(source, copy))
    return copy.view()


def _in_memory(graph: Graph, stored: set[Value]) -> set[Value]:
    """Every value that has an address: all but mapped values that stay in registers."""
    made = {value for node in graph.nodes if type(node) is not Map for value in node.outs}
    return made | stored
