"""Where each step of a program runs, and what is copied between host and device for that. A pure stage.

Loops become CUDA kernels, and so do products, guards and some routines; others are left to the device library where
there is one. What the device has no code for (a Python step, a loop over a function that it does not know) runs on the
host, on a mirror of the device's memory: the values it reads are fetched first, and what it computes is sent back when
the device reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..kernels import cuda_routines, device_library
from ..records import record
from . import emit_cuda
from .emit_cuda import Mapping
from .graph import Call, Check, Gemm, Graph, Node, Step, Value, View
from .kernel import Kernel, Launch
from .program import Stages

__all__ = [
    "Combine",
    "DeviceCall",
    "DeviceCheck",
    "DeviceGemm",
    "DeviceLoop",
    "Fetch",
    "HostLoop",
    "HostNode",
    "Item",
    "LibraryCall",
    "LibraryProduct",
    "Send",
    "Sizes",
    "schedule",
    "sizes_of",
]

#: a row shorter than this is left to one thread
SHORT_ROW = 64
#: threads that keep a large device busy, and terms that one of them adds at least
BUSY_THREADS, LEAST_TERMS = 1 << 16, 256
#: multiplications from which the device library has a product: it ends a graph, and its call takes the host some tens
#: of microseconds, in which the kernel of our own does about so many (reckoned, not measured)
LARGE_PRODUCT = 1 << 24


@record(frozen=True)
class Sizes:
    """How the iterations of a launch are given out. ``total`` elements, or ``rows`` of ``terms`` in ``chunks``."""

    mapping: Mapping
    total: int = 0
    rows: int = 0
    terms: int = 0
    chunk: int = 0
    chunks: int = 1
    lanes: int = 256  # threads of a block
    in_order: bool = False  # one thread does all, in order

    @property
    def blocks(self) -> int:
        """Blocks that have work."""
        if self.in_order:
            return 1
        rows = self.rows * self.chunks
        if self.mapping == "block":
            return rows
        return -(-(self.total if self.mapping == "element" else rows) // self.lanes)


@record(frozen=True, eq=False)
class DeviceLoop:
    """A fused loop on the device."""

    launch: Launch
    sizes: Sizes
    position: int = -1

    def __str__(self) -> str:
        over = "x".join(map(str, self.launch.dims)) or "one element"
        return f"kernel over {over}, by {self.sizes.mapping}"


@record(frozen=True, eq=False)
class _NodeStep:
    """A node that runs alone. ``position``: what the status becomes where the run ends there."""

    node: Any
    position: int = -1

    word: ClassVar[str]

    def __str__(self) -> str:
        return f"{self.word} {self.node}"


class DeviceGemm(_NodeStep):
    """A product of matrices on the device."""

    node: Gemm
    word = "product"


class LibraryProduct(_NodeStep):
    """A product of matrices by the device library."""

    node: Gemm
    word = "device library:"


class DeviceCheck(_NodeStep):
    """A guard on the device."""

    node: Check
    word = "guard"


class DeviceCall(_NodeStep):
    """A routine as a kernel of :mod:`.cuda_routines`."""

    node: Call
    word = "routine"


class LibraryCall(_NodeStep):
    """A routine of :mod:`.device_library`: on the device, but called by the host, and so in no graph."""

    node: Call
    word = "device library:"


@record(frozen=True, eq=False)
class HostLoop:
    """A fused loop on the host. ``reason``: why."""

    launch: Launch
    reason: str
    position: int = -1

    def __str__(self) -> str:
        return f"host: kernel over {'x'.join(map(str, self.launch.dims)) or 'one element'}  # {self.reason}"


class HostNode(_NodeStep):
    """A routine, a Python step or a guard on the host."""

    node: Node
    word = "host:"

    def __str__(self) -> str:
        if isinstance(self.node, Step):
            return f"Python step: {self.node}"  # in the CPU's words
        in_library = isinstance(self.node, Call) and self.node.routine in device_library.ROUTINES
        return f"{super().__str__()}{'  # on the device with CuPy' if in_library else ''}"


@record(frozen=True)
class _Transfer:
    value: Value

    target: ClassVar[str]

    def __str__(self) -> str:
        return f"transfer to {self.target}: {self.value}, {self.value.nbytes} bytes"


class Fetch(_Transfer):
    """Copy a value from the device to the host."""

    target = "host"


class Send(_Transfer):
    """Copy a value from the host to the device."""

    target = "device"


Item: TypeAlias = (
    DeviceLoop
    | DeviceGemm
    | DeviceCheck
    | DeviceCall  # on the device
    | LibraryCall
    | LibraryProduct
    | HostLoop
    | HostNode
    | Fetch
    | Send
)


def schedule(stages: Stages, library_offers: Callable[[str], bool] = lambda routine: False) -> list[Item]:
    """All steps in the order in which they run, with the copies that they need.

    The ``position`` of a step is that of its group.

    ``library_offers``: whether the device library has a routine.
    """
    return _Scheduler(stages.graph, library_offers).all(stages)


class _Scheduler:
    def __init__(self, graph: Graph, library_offers: Callable[[str], bool]) -> None:
        self.library_offers = library_offers
        self.items: list[Item] = []
        given = [*graph.inputs, *graph.constants]
        self.on_device: set[Value] = set(given)
        self.on_host: set[Value] = set(graph.constants)

    def all(self, stages: Stages) -> list[Item]:
        for position, (group, launch) in enumerate(zip(stages.groups, stages.launches, strict=True)):
            if launch is not None:
                self._loop(launch, position)
            else:
                self._node(group.nodes[0], position)
        self._need([out.value for out in stages.graph.outputs if isinstance(out, View)], True)
        return self.items

    def _loop(self, launch: Launch, position: int) -> None:
        values = [placement.value for placement in launch.placements]
        written = values[len(launch.kernel.loads) :]
        unknown = emit_cuda.unsupported(launch.kernel)
        if unknown:
            reason = f"the device has no {', '.join(unknown)}"
            self._add(HostLoop(launch, reason, position), values, written, False)
        elif any(value.size for value in written):  # a sum over nothing is zero
            self._add(DeviceLoop(launch, sizes_of(launch.kernel, launch.dims), position), values, written, True)

    def _node(self, node: Node, position: int) -> None:
        read = [operand.value for operand in node.operands() if isinstance(operand, View)]
        if isinstance(node, Check):
            if node.arg.value in self.on_device:
                self._add(DeviceCheck(node, position), read, (), True)
            else:
                self._add(HostNode(node, position), read, (), False)
        elif isinstance(node, Gemm):
            if node.out.size:
                by_library = _multiplications(node) >= LARGE_PRODUCT and self.library_offers(device_library.PRODUCT)
                step = LibraryProduct(node, position) if by_library else DeviceGemm(node, position)
                self._add(step, read, node.outs, True)
        elif isinstance(node, Call) and node.routine in cuda_routines.ROUTINES:
            self._add(DeviceCall(node, position), read, node.outs, True)
        elif isinstance(node, Call) and self.library_offers(node.routine):
            self._add(LibraryCall(node, position), read, node.outs, True)
        else:
            self._add(HostNode(node, position), read, node.outs, False)

    def _add(self, item: Item, touched: Iterable[Value], written: Collection[Value], device: bool) -> None:
        self._need(touched, device)
        self.items.append(item)
        here, there = (self.on_device, self.on_host) if device else (self.on_host, self.on_device)
        here.update(written)
        there.difference_update(written)

    def _need(self, values: Iterable[Value], device: bool) -> None:
        """Bring values to one side: those that are computed, on the other side only."""
        here, there = (self.on_device, self.on_host) if device else (self.on_host, self.on_device)
        for value in dict.fromkeys(values):
            if value in there and value not in here:
                if value.size:
                    self.items.append(Send(value) if device else Fetch(value))
                here.add(value)


# ---------------------------------------------------------------- sizes


def sizes_of(kernel: Kernel, dims: tuple[int, ...]) -> Sizes:
    """How a launch is given out to threads."""
    if not kernel.reductions and len(kernel.stages) == 1:
        in_order = any([store.position is not None and not store.add for store in kernel.stores])
        return Sizes("element", total=_product(dims), in_order=in_order)
    rows = _product([size for size, reduced in zip(dims, kernel.reduced, strict=True) if not reduced])
    terms = _product([size for size, reduced in zip(dims, kernel.reduced, strict=True) if reduced])
    by_block = terms >= SHORT_ROW and bool(kernel.reduced) and kernel.reduced[-1]
    lanes = min(256, max(32, 1 << (terms - 1).bit_length())) if by_block else 256
    if len(kernel.stages) > 1:
        return Sizes("block" if by_block else "thread", 0, rows, terms, terms, 1, lanes)
    workers = max(1, rows) * (lanes if by_block else 1)
    most = -(-terms // (LEAST_TERMS * (lanes if by_block else 1)))
    chunks = max(1, min(BUSY_THREADS // workers, most))
    chunk = max(1, -(-terms // chunks))
    chunks = max(1, -(-terms // chunk))
    return Sizes("block" if by_block else "thread", 0, rows, terms, chunk, chunks, lanes)


@record(frozen=True)
class Combine:
    """The second half of a reduction in chunks: ``rows`` totals of ``chunks`` each."""

    kernel: Kernel
    sizes: Sizes

    @classmethod
    def of(cls, op: str, element: str, sizes: Sizes) -> Combine:
        from .kernel import Access, Reduction, Ref, Stage

        stage = Stage(False, (), (), (Reduction(op, Ref("load", 0), element),))
        kernel = Kernel((True, False), (Access(element, "unit"),), (), (), (stage,))
        lanes = min(256, max(32, 1 << (sizes.chunks - 1).bit_length()))
        return cls(kernel, Sizes("block", 0, sizes.rows, sizes.chunks, sizes.chunks, 1, lanes))


def _multiplications(node: Gemm) -> int:
    return node.out.size * node.left.shape[2]


def _product(sizes: Iterable[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


def itemsize(element: str) -> int:
    """Bytes of an element in memory."""
    return {"double": 8, "float": 4, "i64": 8, "i32": 4, "i1": 1}[element]


def scalar(element: str, cell: bytes) -> object:
    """A literal of a launch as what is passed to a kernel."""
    kind = {"double": np.float64, "float": np.float32, "i64": np.int64, "i32": np.int32, "i1": np.bool_}[element]
    value = np.frombuffer(cell[: itemsize(element)], kind)[0]
    return value.item() if element in ("double", "i64", "i1") else value
