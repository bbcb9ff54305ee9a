"""The kernel graph: what a tape means in terms of dense buffers, index maps and scalar operations.

A :class:`Value` is a dense row-major buffer. A :class:`View` is an index map over one: reshape, transpose,
slices and broadcasts are views and cost nothing. Nodes compute values:

    Map       one scalar operation over all elements of a shape, operands broadcast by their strides
    Reduce    a sum, product, maximum, ... over some axes
    Init      a buffer filled with zeros or with a copy, to be written by ...
    Piece     ... stores into (or adds to) a region of such a buffer: concatenation, the adjoint of slicing
    Gemm      a (batched) matrix product by BLAS
    Call      a native routine that is no loop nest: LAPACK, sorting, recurrences
    Step      a call of the primitive's own Python function
    Check     a guard
    RowsStart, RowsEnd    what stands between them runs once for each row of some results

The graph prints, one node a line, and :func:`verify` checks it.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias, final

import numpy as np

from ..errors import TapeError
from ..records import field, record
from ..trace.tape import Guard, Op

__all__ = [
    "Call",
    "Check",
    "CopyStep",
    "Gemm",
    "Graph",
    "Init",
    "Inside",
    "Literal",
    "Map",
    "Node",
    "Piece",
    "Reduce",
    "RowsEnd",
    "RowsStart",
    "Step",
    "Value",
    "View",
    "Window",
    "dense_strides",
    "verify",
]


_FLOAT64 = np.dtype(np.float64)


@functools.lru_cache(maxsize=4096)  # a tape of a loop asks the same few questions a hundred thousand times
def dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of a row-major buffer."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


class Value:
    """A dense row-major buffer, by identity."""

    __slots__ = ("_whole", "dtype", "number", "shape")

    def __init__(self, number: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.number = number
        self.shape = shape
        self.dtype = dtype
        self._whole: View | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def view(self) -> View:
        """All of it, in its own order; always the same object, which is known to be dense without looking."""
        whole = self._whole
        if whole is None:
            shape = self.shape
            whole = self._whole = tuple.__new__(View, (self, shape, dense_strides(shape), 0, None))
        return whole

    def __repr__(self) -> str:
        return f"%{self.number}"


#: for each axis the first element inside and the first behind it, or None where all are
Window: TypeAlias = tuple[tuple[int, int] | None, ...]


class View(NamedTuple):
    """An index map: element ``i`` is at ``offset + sum(i * strides)``, in elements of the value's buffer.

    With a ``window`` only the elements inside of it exist; what is read elsewhere means nothing.
    """

    value: Value
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    window: Window | None = None

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_dense(self) -> bool:
        """Whether it is the whole buffer in its own order (shape may be regrouped)."""
        value, shape, strides, offset, window = self
        if value._whole is self:
            return True
        if offset or window is not None or not _is_row_major(shape, strides):
            return False
        return shape == value.shape or math.prod(shape) == value.size

    @property
    def key(self) -> Any:
        """A stand-in that is hashed faster: equal views have equal ones."""
        return self.value if self == self.value.view() else self

    def broadcast(self, shape: tuple[int, ...]) -> View:
        """The same elements repeated along new or unit axes."""
        if shape == self.shape:
            return self
        return View(self.value, shape, _broadcast(self.shape, self.strides, shape), self.offset)

    def __str__(self) -> str:
        if self.is_dense:
            return f"{self.value}"
        inside = "" if self.window is None else f" in {_bounds(self.window)}"
        return f"{self.value}<{self.offset}:{','.join(map(str, self.strides))}{inside}>"


@functools.lru_cache(maxsize=4096)
def _broadcast(shape: tuple[int, ...], strides: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """Strides over ``wanted`` of a view that is repeated along new or unit axes."""
    lead = len(wanted) - len(shape)
    found = [0] * lead
    for have, want, stride in zip(shape, wanted[lead:], strides, strict=True):
        if have != want and have != 1:
            raise ValueError(f"cannot broadcast {shape} to {wanted}")
        found.append(stride if have == want and want != 1 else 0)
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def canonical(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Strides with those of unit axes, which mean nothing, set to zero."""
    return tuple([0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True)])


@functools.lru_cache(maxsize=4096)
def _is_row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    return canonical(shape, strides) == canonical(shape, dense_strides(shape))


@final
class Literal(NamedTuple):
    """A scalar constant of a kernel."""

    value: Any  # a Python or NumPy scalar
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return ()

    @property
    def bits(self) -> bytes:
        """What tells literals apart: -0.0 from 0.0, and NaN equal to itself."""
        if self.dtype is _FLOAT64:  # most are
            return struct.pack("<d", self.value)
        return np.asarray(self.value, self.dtype).tobytes()

    @property
    def key(self) -> Any:
        """A hashable stand-in: literals with equal ones are the same, bit for bit."""
        value = self.value
        if self.dtype is _FLOAT64 and value and value == value:
            return float(value)  # NumPy's would compare with tuples element by element
        return self.dtype, self.bits

    def __str__(self) -> str:
        return repr(np.asarray(self.value)[()].item())


@final
class Inside(NamedTuple):
    """A condition: whether an element of an iteration over ``shape`` lies in a window. No memory."""

    shape: tuple[int, ...]
    window: Window

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.bool_)

    def __str__(self) -> str:
        return f"inside {_bounds(self.window)}"


def _bounds(window: Window) -> str:
    return ", ".join([":" if bounds is None else f"{bounds[0]}:{bounds[1]}" for bounds in window])


Operand: TypeAlias = View | Literal
#: what a map may compute with; conditions appear after `windows.py` only
Term: TypeAlias = Operand | Inside


class Node:
    """Base class; ``outs`` are the values that a node computes, ``reads`` those of its operands that are views.

    Nothing writes to a node once it is made, so both are worked out then: ten passes ask for them."""

    __slots__ = ()

    outs: tuple[Value, ...] = ()
    reads: tuple[View, ...] = ()

    def operands(self) -> Iterable[Term]:
        return ()


@final
class Map(Node):
    """Most nodes are maps: with slots they are made in half the time."""

    __slots__ = ("args", "op", "out", "outs", "reads")

    def __init__(self, op: str, args: tuple[Term, ...], out: Value) -> None:
        self.op = op
        self.args = args
        self.out = out
        self.outs = (out,)
        for arg in args:
            if type(arg) is not View:
                self.reads = tuple([arg for arg in args if type(arg) is View])
                return
        self.reads = args  # type: ignore[assignment]  # most: one tuple less

    def is_pointer(self, operand: Term) -> bool:
        """Whether an operand is memory that the operation looks into, rather than an element of each iteration."""
        return self.op == "gather" and operand is self.args[0]

    def operands(self) -> Iterable[Term]:
        return self.args

    def __str__(self) -> str:
        return f"{_typed(self.out)} = {self.op}({', '.join(map(str, self.args))})"


@final
@record(eq=False)
class Reduce(Node):
    op: str  # "sum", "prod", "max", "min", "all", "any"
    arg: View
    axes: tuple[int, ...]
    out: Value  # shape of arg without axes

    def __post_init__(self) -> None:
        self.outs = (self.out,)
        self.reads = (self.arg,)

    def operands(self) -> Iterable[Operand]:
        return (self.arg,)

    def __str__(self) -> str:
        return f"{_typed(self.out)} = {self.op}({self.arg}, axes={self.axes})"


@record(eq=False)
class Init(Node):
    """Start of a buffer that pieces are written to. ``source``: None for no filling, a Literal, or a View to copy."""

    out: Value
    source: Operand | None

    def __post_init__(self) -> None:
        self.outs = (self.out,)
        self.reads = (self.source,) if type(self.source) is View else ()

    def operands(self) -> Iterable[Operand]:
        return () if self.source is None else (self.source,)

    def __str__(self) -> str:
        return f"{_typed(self.out)} = init({'' if self.source is None else self.source})"


@final
class Piece(Node):
    """``region = arg`` or ``region += arg``; the region is a view of the buffer.

    With ``position`` each element goes that many elements further (a scatter, which may hit an element repeatedly).
    """

    __slots__ = ("add", "arg", "outs", "position", "reads", "region")

    def __init__(self, region: View, arg: Operand, add: bool, position: View | None = None) -> None:
        self.region = region
        self.arg = arg
        self.add = add
        self.position = position
        self.outs = (region.value,)
        self.reads = tuple([operand for operand in (arg, position) if type(operand) is View])

    def operands(self) -> Iterable[Operand]:
        return (self.arg,) if self.position is None else (self.arg, self.position)

    def __str__(self) -> str:
        at = "" if self.position is None else f"[{self.position}]"
        return f"{self.region}{at} {'+=' if self.add else '='} {self.arg}"


@record(eq=False)
class Gemm(Node):
    """``out[b] = left[b] @ right[b]``; operands are three-axis views (batch, rows, columns), one axis unit-stride."""

    left: View
    right: View
    out: Value

    def __post_init__(self) -> None:
        self.outs = (self.out,)
        self.reads = (self.left, self.right)

    def operands(self) -> Iterable[Operand]:
        return (self.left, self.right)

    def __str__(self) -> str:
        return f"{_typed(self.out)} = gemm({self.left}, {self.right})"


@record(eq=False)
class Call(Node):
    """A routine of :mod:`autograd_jit.kernels.library` on operands of three axes (batch, rows, columns).

    ``numbers``: what else the routine is told; the first is the batch. ``may_stop``: it raises for some values, which a
    replay leaves to the interpreted call. ``work``: operations, about. The last results may be memory to work in.
    """

    routine: str
    args: tuple[View, ...]
    numbers: tuple[int, ...]
    results: tuple[Value, ...]
    may_stop: bool
    work: int

    @property
    def code(self) -> tuple[str, np.dtype]:
        """What calls must share to share machine code."""
        return self.routine, self.args[0].dtype

    def __post_init__(self) -> None:
        self.outs = self.results
        self.reads = self.args

    def operands(self) -> Iterable[Operand]:
        return self.args

    def __str__(self) -> str:
        numbers = "".join([f", {number}" for number in self.numbers])
        return f"{', '.join(map(_typed, self.results))} = {self.routine}({', '.join(map(str, self.args))}{numbers})"


@record(eq=False)
class Step(Node):
    """A Python step: the primitive's own function on NumPy arrays. ``reason``: why it is not native."""

    op: Op
    args: dict[int, View]  # tape variable number -> operand
    results: tuple[Value, ...]
    reason: str

    def __post_init__(self) -> None:
        self.outs = self.results
        self.reads = tuple([arg for arg in self.args.values() if type(arg) is View])

    def operands(self) -> Iterable[Operand]:
        return self.args.values()

    def __str__(self) -> str:
        types = [var.type for var in self.op.outputs]  # those of the tape: the storage of complex numbers is real
        shown = [_shown(value, type_.shape, type_.dtype) for value, type_ in zip(self.results, types, strict=True)]
        return f"{', '.join(shown)} = python {self.op.prim.name}(...)  # {self.reason}"


class CopyStep(Step):
    """A copy of elements that kernels do not handle (complex numbers, small integers), by NumPy."""

    def __init__(self, source: View, out: Value) -> None:
        self.source = source
        self.results = self.outs = (out,)
        self.reads = (source,)
        self.reason = f"dtype {out.dtype.name}"

    def operands(self) -> Iterable[Operand]:
        return (self.source,)

    def __str__(self) -> str:
        return f"{_typed(self.results[0])} = python copy({self.source})  # {self.reason}"


@record(eq=False)
class Check(Node):
    """A guard: ``arg`` (dense) holds exactly the bytes ``expected``.

    ``number``: its place among the tape's guards; negative for conditions of lowering's own.
    """

    arg: View
    expected: bytes
    guard: Guard
    number: int

    def __post_init__(self) -> None:
        self.reads = (self.arg,)

    def operands(self) -> Iterable[Operand]:
        return (self.arg,)

    def __str__(self) -> str:
        return f"check {self.number}: {self.arg} == {np.frombuffer(self.expected, self.arg.dtype)}"


@record(eq=False)
class RowsStart(Node):
    """The nodes from here to ``RowsEnd`` run once for each unit vector ``seed``, and compute a row of each result.

    Neither takes a pass over memory: ``seed`` and ``rows`` are values whose addresses move on from turn to turn. A seed
    looks at ``basis``, ``[0, ..., 0, 1, 0, ..., 0]``, from one element further left each time; a row lies in the
    result of which it is part (``stacked``). ``counter`` (an int64) says how many turns are done.
    """

    counter: Value
    seed: Value
    basis: View
    rows: tuple[Value, ...]
    stacked: tuple[Value, ...]

    def __post_init__(self) -> None:
        self.outs = (self.counter, self.seed, *self.stacked)
        self.reads = (self.basis,)

    @property
    def count(self) -> int:
        """How many turns there are."""
        return self.seed.size

    @property
    def moving(self) -> tuple[Value, ...]:
        """The values whose addresses move."""
        return self.seed, *self.rows

    def operands(self) -> Iterable[Operand]:
        return self.reads

    def __str__(self) -> str:
        return f"for unit vector {_typed(self.seed)} of {self.basis}:"


@record(eq=False)
class RowsEnd(Node):
    """The end of what a ``RowsStart`` repeats: a row of each result is there."""

    start: RowsStart

    def __post_init__(self) -> None:
        self.outs = (self.start.counter, *self.start.stacked)
        self.reads = (self.start.counter.view(), *[row.view() for row in self.start.rows])

    def operands(self) -> Iterable[Operand]:
        return self.reads

    def __str__(self) -> str:
        pairs = zip(self.start.stacked, self.start.rows)
        return "next row: " + ", ".join([f"{row} of {_typed(out)}" for out, row in pairs])


@record(eq=False)
class Graph:
    """All of a tape: input and constant values, nodes in order, outputs as views (or static leaves)."""

    inputs: list[Value] = field(default_factory=list)
    constants: dict[Value, np.ndarray] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    #: random draws to be made before the run: their results are inputs, after those of the tape
    draws: list[Op] = field(default_factory=list)
    #: numbers of rows of Jacobians of which each has nodes of its own
    unrolled: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        head = f"graph({', '.join(map(_typed, self.inputs))}):"
        constants = [f"    {_typed(v)} = constant" for v in self.constants]
        body = [f"    {node}" for node in self.nodes]
        return "\n".join([head, *constants, *body, f"    return {', '.join(map(str, self.outputs))}"])


def _typed(value: Value) -> str:
    return _shown(value, value.shape, value.dtype)


def _shown(value: Value, shape: tuple[int, ...], dtype: np.dtype) -> str:
    return f"{value}: {dtype.name}{list(shape) if shape else ''}"


def verify(graph: Graph) -> None:
    """Raise TapeError where a value is used before it is computed, or shapes do not fit."""
    known = {*graph.inputs, *graph.constants}
    for node in graph.nodes:
        for operand in node.operands():
            if isinstance(operand, View):
                if operand.value not in known:
                    raise TapeError(f"{operand} is used before it is computed: {node}")
                _verify_bounds(operand)
            elif isinstance(operand, Inside):
                _verify_window(operand.window, operand.shape)
        if isinstance(node, Map):
            for operand in node.args:
                if operand.shape not in ((), node.out.shape):
                    raise TapeError(f"operand of shape {operand.shape} in {node}")
        if isinstance(node, Piece):
            if node.region.value not in known:
                raise TapeError(f"piece of a buffer without init: {node}")
            _verify_bounds(node.region)
        known.update(node.outs)
    for out in graph.outputs:
        if isinstance(out, View) and out.value not in known:
            raise TapeError(f"output {out} is never computed")


def _verify_window(window: Window, shape: tuple[int, ...]) -> None:
    """Kernels rely on it: a lane that lies in a window lies in its row."""
    for bounds, size in zip(window, shape, strict=True):
        if bounds is not None and not 0 <= bounds[0] <= bounds[1] <= size:
            raise TapeError(f"the window {_bounds(window)} does not fit the shape {shape}")


def _verify_bounds(view: View) -> None:
    window = view.window or (None,) * len(view.shape)
    bounds = [inside or (0, size) for inside, size in zip(window, view.shape, strict=True)]
    _verify_window(window, view.shape)
    if any(first >= stop for first, stop in bounds):
        return
    ends = [(first * stride, (stop - 1) * stride) for (first, stop), stride in zip(bounds, view.strides, strict=True)]
    low, high = view.offset + sum(map(min, ends)), view.offset + sum(map(max, ends))
    if low < 0 or high >= max(view.value.size, 1):
        raise TapeError(f"{view} of shape {view.shape} leaves its buffer of {view.value.size} elements")
