"""A tape made runnable on a CUDA device.

Inputs of the host and the status go to the device, outputs come back in one copy (:mod:`.device_memory`); between them
everything that lies between two steps of the host is one CUDA graph, captured when the frame is made. The status is
the place of the first guard that failed or routine that stopped, or -1; kernels after it do nothing. The *answer*, the
status and what a failed guard found, is read back as soon as it is known: behind the last guard of a stretch, where the
graph is cut (:mod:`.device_stretches`). The host waits for the answer alone, while the kernels behind it and the copy
of the results are under way. It comes with the results where nothing is to be done between.

The device library is called by the host, so it ends a graph too, but it works in the device's memory: nothing is copied
for it. It is called only when all before it went well: what would be given to it else is garbage.

Where results stay on the device, a call returns when its arguments are taken and all guards are known, and the kernels
behind run on. No copy reads any more what the host writes to next (the mirror), and whatever reads the results does so
behind them, in the same stream. A fault of a kernel is then reported by the call that waits next: it would have taken
the results with it in any case.
"""

from __future__ import annotations

import ctypes
import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device_array import DeviceArray, sent
from ..divergence import Diverged, describe
from ..errors import BackendError
from ..kernels import device_library
from ..kernels.cuda_device import CudaDevice, DeviceMemory, Launchable, Mark
from ..records import field, record, replaced
from ..trace import collector
from ..trace.draws import perform
from ..trace.packed_tape import pack
from ..trace.tape import Op, Tape, TensorType
from .compile import compile_kernel
from .device_launch import REPORT_BYTES, Codes, DeviceKernel, Places, compile_steps, launches
from .device_memory import COMPARED_BYTES, RUNNING, Layout, Mirror, lay_out
from .device_schedule import (
    DeviceCall,
    DeviceCheck,
    DeviceGemm,
    DeviceLoop,
    Fetch,
    HostLoop,
    HostNode,
    Item,
    LibraryCall,
    LibraryProduct,
    Send,
    schedule,
)
from .device_stretches import Moved, MovingLaunches, Stretches, moves
from .frame import PYTHON_SCALARS, StepRunner, Stopped, drawn_leaves, finish, ready
from .graph import Call, Check, CopyStep, Gemm, Graph, Step, Value, View
from .link import link_entry
from .program import OutputPlan, Stages, form

__all__ = ["DeviceProgram", "lower_for_device"]

#: whether steps on the device are captured as graphs, or launched one by one (for measuring what that costs)
USES_GRAPHS = True
#: what `explain` lists
_REMARKABLE = (Fetch, Send, LibraryCall, LibraryProduct, HostLoop, HostNode)


@record(eq=False)
class DeviceProgram:
    """What one tape lowers to for a device; shared by threads. As :class:`Program` to its users."""

    tape: Tape
    bound: Graph
    device: CudaDevice
    outputs: list[OutputPlan]
    items: list[Item]
    layout: Layout
    stays: tuple[bool, ...]  # which inputs lie on the device
    codes: Codes = field(default_factory=dict)
    seconds: float = 0.0
    frames: list[DeviceFrame] = field(default_factory=list)

    is_lowered = True

    @property
    def is_native(self) -> bool:
        """Whether there is no Python step."""
        return not self.steps

    @property
    def has_call_path(self) -> bool:
        """Whether the generated call path serves it: a Python step that raises must find nothing drawn."""
        return (self.is_native or not self.has_draws) and not self.sends_leaves

    @functools.cached_property
    def sends_leaves(self) -> bool:
        """Whether results that no kernel computes go to the device: constants, and arguments that lie on the host."""
        inputs = [self.stays[out.what] for out in self.outputs if out.kind == "input"]
        return self.keeps_results and (any([out.kind == "static" for out in self.outputs]) or not all(inputs))

    def listing(self) -> Any:
        """What ``kernels(*args)`` returns."""
        from .device_listing import DeviceListing

        return DeviceListing(self)

    @property
    def remarks(self) -> list[str]:
        """What `explain` says of its steps: transfers, and what is called by the host or runs there."""
        first, stop = self.layout.uploaded
        names = [var.name for var, stays in zip(self.tape.inputs, self.stays) if not stays]
        back = 0 if self.keeps_results else self.layout.downloaded[1] - self.layout.downloaded[0]
        kept = sum([value.nbytes for value in self.layout.compared])
        only = f", {kept} of them only where they differ from the call before" if kept else ""
        found = [f"transfer to device: {', '.join(names) or 'no inputs'}, {stop - first} bytes{only}"]
        found += [f"{count} rows of a Jacobian: each has its own steps" for count in self.bound.unrolled]
        if self.layout.in_place:
            given = dict(zip(self.bound.inputs, [var.name for var in self.tape.inputs]))
            found.append(f"read where they lie on the device: {', '.join([given[v] for v in self.layout.in_place])}")
        found += [str(item) for item in self.items if isinstance(item, _REMARKABLE)]
        results = f"results, {back} bytes" if back else "no results: they stay on the device"
        return [*found, f"transfer to host: {results}"]

    def new_frame(self) -> DeviceFrame:
        with self.device.current():
            return DeviceFrame(self)

    def empty(self, shape: int | tuple[int, ...], dtype: Any = np.float64) -> Any:
        """Memory of a result."""
        if not self.keeps_results:
            return np.empty(shape, dtype)
        return DeviceArray.empty(self.device, (shape,) if isinstance(shape, int) else shape, np.dtype(dtype))

    @functools.cached_property
    def accepts(self) -> list[tuple[Any, np.dtype | None, tuple[int, ...]]]:
        """What a run's inputs must be: type, and of arrays dtype and shape."""
        found: list[tuple[Any, np.dtype | None, tuple[int, ...]]] = []
        for type_, stays in zip(self.input_types, self.stays, strict=True):
            if type_.kind == "array":
                found.append((DeviceArray if stays else np.ndarray, type_.dtype, type_.shape))
            else:
                kind = type_.dtype.type if type_.kind == "scalar" else PYTHON_SCALARS[type_.kind]
                found.append((DeviceArray if stays else kind, None, ()))
        return found

    @property
    def kernels(self) -> list[DeviceKernel]:
        return list(self.codes.values())

    @property
    def table(self) -> list[Item]:
        """The steps of a run."""
        return self.items

    @property
    def steps(self) -> list[Step]:
        """Python steps."""
        return [item.node for item in self.items if isinstance(item, HostNode) and isinstance(item.node, Step)]

    @functools.cached_property
    def ends(self) -> dict[int, Check | Call]:
        """Guards and routines, by the status of a run that ended there."""
        steps = [item for item in self.items if isinstance(item, (DeviceCheck, DeviceCall, HostNode))]
        return {item.position: item.node for item in steps if isinstance(item.node, (Check, Call))}

    @property
    def checks(self) -> dict[int, Check]:
        """Guards, by the status of a run in which they failed first."""
        return {position: node for position, node in self.ends.items() if isinstance(node, Check)}

    @property
    def stages(self) -> Stages:
        return form(self.tape, for_device=True)

    @property
    def bytes_kept(self) -> int:
        """Memory of the host that it keeps."""
        return sum([array.nbytes for array in self.bound.constants.values()]) + self.layout.nbytes

    @property
    def draws(self) -> list[Op]:
        return self.bound.draws

    @property
    def has_draws(self) -> bool:
        steps = [step for step in self.steps if not isinstance(step, CopyStep)]
        return bool(self.draws) or any([step.op.prim.draws is not None for step in steps])

    @property
    def keeps_results(self) -> bool:
        """Whether results stay on the device: where some input lies there."""
        return any(self.stays)

    @property
    def input_types(self) -> list[TensorType]:
        return [var.type for var in [*self.tape.inputs, *[out for op in self.draws for out in op.outputs]]]

    @property
    def fresh_types(self) -> list[TensorType]:
        return [out.type for out in self.outputs if out.type is not None and out.kind in ("fresh", "hidden")]

    def replayed(self) -> None:
        """There is one tier of code."""

    def run(self, inputs: tuple, generators: Sequence[Any] = ()) -> list:
        """Run on arrays, device arrays and scalars that fit the tape's inputs; the output leaves.

        Raises Diverged and Stopped as :meth:`Program.run` does.
        """
        with self.device.current():
            try:
                frame = self.frames.pop()
            except IndexError:  # asking first would race with other threads
                frame = DeviceFrame(self)
            try:
                leaves = frame.run(inputs, generators)
                return [sent(leaf) for leaf in leaves] if self.sends_leaves else leaves
            finally:
                self.frames.append(frame)

    def __str__(self) -> str:
        return "\n".join([str(item) for item in self.items])


def lower_for_device(tape: Tape, stays: Sequence[bool], device: CudaDevice, fast: bool = False) -> DeviceProgram:
    """All stages: form, schedule, lay out, compile. ``stays``: which inputs lie on the device; ``fast``: as
    ``config.fast_approximations``.

    Raises BackendError where the compiler rejects a kernel.
    """
    started = time.perf_counter()
    with collector.paused():
        if any(stays):  # results on the device are arrays of their own
            tape = replaced(tape, aliases={})
        stages = form(tape, for_device=True)
        graph = stages.graph
        items = schedule(stages, device_library.offers)
        drawn = len(graph.inputs) - len(tape.inputs)
        on_device = (*stays, *[False] * drawn)
        layout = lay_out(stages, items, on_device)
        bound = replaced(graph, nodes=[])
        outputs = _as_arrays(stages.outputs) if any(stays) else stages.outputs
        program = DeviceProgram(pack(tape), bound, device, outputs, items, layout, on_device)
        program.codes = compile_steps(items, device.capability, fast)
    program.seconds = time.perf_counter() - started
    return program


def _as_arrays(outputs: list[OutputPlan]) -> list[OutputPlan]:
    """The same, with scalars as arrays: what stays on the device is one."""
    return [out if out.type is None else replaced(out, type=replaced(out.type, kind="array")) for out in outputs]


# ---------------------------------------------------------------- running


class DeviceFrame(StepRunner):
    """Memory of one run in progress, and its graphs."""

    def __init__(self, program: DeviceProgram) -> None:
        self.program = program
        self.device = program.device
        layout = program.layout
        self.memory: DeviceMemory = self.device.allocate(layout.nbytes)
        self.mirror = Mirror(layout)
        self.mark = Mark(self.device)
        #: where the arguments lie that the run reads in place, and whether another library may write to one of them
        self._addresses: tuple[int, ...] = ()
        self._reads_foreign = False
        self.slots = np.array([self.mirror.address], np.int64)
        self.generators: Sequence[Any] = ()
        self._divergence: Diverged | None = None
        self._lock = threading.Lock()
        self.expected: list[DeviceMemory] = []
        #: whether the device has the inputs of the run that has just ended, and no copy from the mirror is under way
        self._is_settled = False
        self._has_host_steps = any([isinstance(item, (HostLoop, HostNode)) for item in program.items])
        self._send_constants()
        self.segments = self._segments()
        self.device.synchronize()

    def _send_constants(self) -> None:
        layout = self.program.layout
        for value, array in self.program.bound.constants.items():
            offset = layout.offsets[value]
            self.device.copy_in(self.memory.address + offset, array.ctypes.data, array.nbytes)
            if layout.mirrored[1] > offset:
                self.mirror.of(value)[...] = array.reshape(-1).view(np.uint8)
        self.device.synchronize()

    # ---------------------------------------------------------------- what a run does

    def _segments(self) -> list[Callable[[], None]]:
        """The steps of a run: graphs of what follows on the device, copies, steps of the host."""
        stretches = Stretches(self._launches(), self._ready, self._ask)
        waits = True  # whether the host has to wait for the device before its next step
        for item in self.program.items:
            if isinstance(item, (DeviceLoop, DeviceGemm, DeviceCheck, DeviceCall)):
                stretches.add(item)
                waits = True
                continue
            stretches.flush()
            if isinstance(item, Fetch):
                stretches.then(functools.partial(self._fetch, item.value))
                waits = True
            elif isinstance(item, Send):
                stretches.then(functools.partial(self._send, item.value))
            elif isinstance(item, LibraryProduct):  # of garbage it is garbage: no need to ask whether the run has ended
                stretches.then(self._by_library(item.node, device_library.PRODUCT, (), item.node.outs))
                waits = True
            elif isinstance(item, LibraryCall):
                if stretches.is_asked:
                    stretches.then(self._take_answer, takes_answer=True)
                node = item.node
                stretches.then(self._by_library(node, node.routine, node.numbers, node.results))
                waits = True
            else:
                if waits:
                    stretches.then(self._wait, takes_answer=True)
                    waits = False
                stretches.then(self._on_host(item))
        self._end(stretches)
        return stretches.segments

    def _launches(self) -> Callable[[Any], list[Launchable]]:
        layout = self.program.layout
        moved = {value: Moved(number) for number, value in enumerate(layout.in_place)}
        places = Places(
            lambda value: moved[value] if value in moved else self.memory.address + layout.offsets[value],
            self.memory.address + layout.status,
            self.memory.address + layout.partial_sums,
            self._expected,
        )
        return lambda item: launches(item, self.device, self.program.codes, places)

    def _ready(self, ready_to_run: list[Launchable]) -> Callable[[], None]:
        """A function that runs kernels."""
        if moves(ready_to_run):
            return MovingLaunches(self.device, ready_to_run, lambda: self._addresses, USES_GRAPHS)
        if USES_GRAPHS:
            return self.device.capture(ready_to_run)
        return functools.partial(self.device.launch, ready_to_run)

    def _end(self, stretches: Stretches) -> None:
        """The last stretch, and what is then still to be read back."""
        layout = self.program.layout
        first, stop = layout.downloaded
        #: whether the answer comes with the results: nothing is to be done between, and it would be no faster alone
        is_late = stretches.ends_with_guard and stop - first < COMPARED_BYTES and not self.program.keeps_results
        stretches.flush(asks=not is_late)
        self._is_asked = stretches.is_asked
        has_answer = stretches.has_asked and not is_late
        self._downloads = (layout.answer[1] if has_answer else first, stop)

    def _fetch(self, value: Value) -> None:
        offset = self.program.layout.offsets[value]
        self.device.copy_out(self.mirror.address + offset, self.memory.address + offset, value.nbytes)

    def _send(self, value: Value) -> None:
        offset = self.program.layout.offsets[value]
        self.device.copy_in(self.memory.address + offset, self.mirror.address + offset, value.nbytes)

    def _ask(self) -> None:
        """Have the answer read back, without waiting for it."""
        first, stop = self.program.layout.answer
        self.device.copy_out(self.mirror.address + first, self.memory.address + first, stop - first)
        self.mark.set()

    def _take_answer(self) -> None:
        """Wait for the answer, and for nothing behind it; stop where the run has ended."""
        self.mark.wait()
        self._is_settled = not self._has_host_steps  # those send from the mirror and fetch to it, behind the mark too
        self._raise_where_ended()

    def _wait(self) -> None:
        """Wait for all that was asked for, the answer among it; stop where the run has ended."""
        self.device.synchronize()
        self._raise_where_ended()

    def _raise_where_ended(self) -> None:
        position = int(self.mirror.status[0])
        if position == RUNNING:
            return
        node = self.program.ends[position]
        if isinstance(node, Call):
            raise Stopped(f"{node} stopped")
        raise self._diverged(node, self._found(node))

    def _found(self, check: Check) -> np.ndarray:
        """What a guard on the device found where it failed."""
        count = len(check.expected)
        if count <= REPORT_BYTES:
            return self.mirror.report[:count]
        found = np.empty(count, np.uint8)
        offset = self.program.layout.offsets[check.arg.value] + check.arg.offset * check.arg.dtype.itemsize
        self.device.copy_out(found.ctypes.data, self.memory.address + offset, count)
        self.device.synchronize()
        return found

    def _diverged(self, check: Check, found: np.ndarray) -> Diverged:
        bits = found.tobytes()
        return Diverged(check.number, bits, functools.partial(describe, check.guard, bits, check.arg.dtype))

    def _expected(self, expected: bytes) -> int:
        """What a guard expects, on the device."""
        memory = self.device.allocate(len(expected))
        self.expected.append(memory)
        self.device.copy_in(memory.address, np.frombuffer(expected, np.uint8).ctypes.data, len(expected))
        self.device.synchronize()
        return memory.address

    # ---------------------------------------------------------------- by the device library

    def _by_library(
        self, node: Call | Gemm, name: str, numbers: tuple[int, ...], results: Sequence[Value]
    ) -> Callable[[], None]:
        """A step of the device library: its routine of that name, on the operands of a node."""
        library = device_library.current()
        if library is None:
            raise BackendError(f"the device library that {name} was compiled for is gone")

        def view(operand: View) -> Any:
            size = operand.dtype.itemsize
            offset = self.program.layout.offsets[operand.value] + operand.offset * size
            strides = tuple([stride * size for stride in operand.strides])
            return library.view(self.device, self.memory, offset, operand.shape, operand.dtype, strides)

        args, found = [view(arg) for arg in node.reads], [view(value.view()) for value in results]
        routine = functools.partial(device_library.ROUTINES[name], library, numbers, args, found)
        return functools.partial(self._call_library, routine, library, name, str(node))

    def _call_library(
        self, routine: Callable[[], None], library: device_library.Library, name: str, shown: str
    ) -> None:
        try:
            with library.running(self.device):
                routine()
        except np.linalg.LinAlgError as error:
            raise Stopped(f"{shown} stopped: {error}") from error
        except Exception as error:
            raise BackendError(f"the device library fails in {name}: {error}") from error

    # ---------------------------------------------------------------- on the host

    def _on_host(self, item: HostLoop | HostNode) -> Callable[[], None]:
        layout = self.program.layout
        if isinstance(item, HostLoop):
            compiled = compile_kernel(item.launch.kernel)
            words = np.array(item.launch.words(layout.address_of), np.int64)
            return functools.partial(self._call, compiled.address, words, (compiled, item))
        node = item.node
        if isinstance(node, Step):
            return functools.partial(self.step, node, {})
        address, words = link_entry(layout, node)
        return functools.partial(self._call, address, words, node)

    def _call(self, address: int, words: np.ndarray, what: Any) -> None:
        """Run a row of the executor's table on the mirror."""
        status = _ROUTINE(address)(self.slots.ctypes.data, words.ctypes.data)
        if status:
            if isinstance(what, Check):
                raise self._diverged(what, self.mirror.of(what.arg.value)[: len(what.expected)])
            if isinstance(what, Call):
                raise Stopped(f"{what} stopped with reason {status}")
            raise Diverged(None, None, f"a kernel stopped with reason {status}")

    def array(self, view: View, held: dict[Value, Any]) -> np.ndarray:
        """A value in the mirror."""
        size = view.dtype.itemsize
        strides = tuple([stride * size for stride in view.strides])
        return np.ndarray(view.shape, view.dtype, self.mirror.of(view.value), view.offset * size, strides)

    # ---------------------------------------------------------------- a run

    def run(self, inputs: tuple, generators: Sequence[Any]) -> list:
        """As :meth:`DeviceProgram.run`."""
        program = self.program
        self.generators = generators
        drawn = [leaf for op in program.draws for leaf in drawn_leaves(op, perform(op, generators))]
        fresh = [program.empty(type_.shape, type_.dtype) for type_ in program.fresh_types]
        with self._lock:
            self._run((*inputs, *drawn), fresh)
        return finish(program, inputs, fresh)  # type: ignore[arg-type]

    def call(self, *arguments: Any) -> bool | None:
        """Check and run, as the executor does: inputs, then memory for the results.

        None where it ran, True where it diverged, False for a call that is made in another way.
        """
        program = self.program
        count = len(program.accepts)
        inputs, fresh = arguments[:count], list(arguments[count:])
        if not self.fits(*inputs) or not self._lock.acquire(blocking=False):
            return False
        try:
            with self.device.current():
                self._run(inputs, fresh)
        except Diverged as divergence:
            self._divergence = divergence
            return True
        except Exception:  # of a routine on the host: what it means, the interpreted call must say itself
            return False
        finally:
            self._lock.release()
        return None

    call_with_steps = call

    def fits(self, *inputs: Any) -> bool:
        """Whether inputs are of the types that were traced."""
        for x, (kind, dtype, shape) in zip(inputs, self.program.accepts):  # before the draws, only the tape's
            if type(x) is not kind or (dtype is not None and (x.dtype != dtype or x.shape != shape)):
                return False
        return True

    def acceptance(self) -> Callable:
        """As :meth:`Frame.acceptance`."""
        return lambda *inputs: None if self.fits(*inputs) else False

    def diverged(self, block: int) -> Diverged | None:
        """What the last call met that diverged."""
        return self._divergence

    def _run(self, inputs: tuple, fresh: list) -> None:
        self._is_settled = False
        try:
            self._make(inputs, fresh)
        except BaseException:
            if self._is_settled:  # the run goes to its end on the device, and its results to where they are overwritten
                self.mirror.stays_in_use(self.device)
            else:
                self.device.synchronize()  # copies from the mirror may be under way: the next run writes to it
            raise

    def _make(self, inputs: tuple, fresh: list) -> None:
        keeps_results = self.program.keeps_results
        self._take(inputs)
        self.mirror.send(self.device, self.memory.address)
        if keeps_results:
            self.mark.set()
        for segment in self.segments:
            segment()
        if not keeps_results:
            first, stop = self._downloads
            self.device.copy_out(self.mirror.address + first, self.memory.address + first, stop - first)
        if keeps_results or self._is_asked:
            self._take_answer()
        if not keeps_results or self._has_host_steps or self._reads_foreign:
            self._wait()
        self._give(fresh)

    def _take(self, inputs: tuple) -> None:
        """Put the inputs into the mirror, or on the device where they lie there."""
        program, layout = self.program, self.program.layout
        self.mirror.status[0] = RUNNING
        if layout.in_place:
            there = dict(zip(program.bound.inputs, inputs, strict=True))
            self._addresses = tuple([there[value].address for value in layout.in_place])
            self._reads_foreign = any([there[value].is_foreign for value in layout.in_place])
        for x, type_, value, stays in zip(
            inputs, program.input_types, program.bound.inputs, program.stays, strict=True
        ):
            if value in layout.in_place:
                continue
            if stays:
                self.device.copy(self.memory.address + layout.offsets[value], x.address, value.nbytes)
                continue
            array = np.asarray(ready(x, type_))
            if array.shape != type_.shape or array.dtype != type_.dtype:
                raise Diverged(None, None, "an argument does not have the type that was traced")
            if array.dtype != value.dtype:  # complex numbers lie in memory as pairs
                array = np.ascontiguousarray(array).view(value.dtype).reshape(value.shape)
            self.mirror.put(value, array)

    def _give(self, fresh: list) -> None:
        """Put the results into memory of their own."""
        program, layout = self.program, self.program.layout
        for out, target in zip(program.bound.outputs, fresh, strict=True):
            value: Value = out.value
            if program.keeps_results:
                self.device.copy(target.address, self.memory.address + layout.offsets[value], value.nbytes)
            else:
                target[...] = self.mirror.of(value).view(target.dtype).reshape(target.shape)


_ROUTINE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
