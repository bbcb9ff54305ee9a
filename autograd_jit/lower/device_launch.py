"""Steps of a device program to kernels: their code, and their launches with every argument in place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..kernels import cuda_math, cuda_routines, cuda_sources
from ..kernels.cuda_compiler import DeviceCode, compile_source
from ..kernels.cuda_device import CudaDevice, Dim, Launchable
from ..records import record
from . import emit_cuda
from .compile import count
from .device_schedule import Combine, DeviceCall, DeviceCheck, DeviceGemm, DeviceLoop, Sizes, itemsize, scalar
from .emit_cuda import Mapping
from .emit_python import Parameter
from .graph import Call, Check, Gemm, Value, View
from .kernel import ELEMENT, Kernel, Launch
from .progress import counted

__all__ = ["Codes", "DeviceKernel", "DeviceStep", "Places", "compile_steps", "launches", "partial_bytes"]

DeviceStep: TypeAlias = DeviceLoop | DeviceGemm | DeviceCheck | DeviceCall

ALIGNMENT = 256
#: the status, and behind it what a failed guard found
STATUS_BYTES, REPORT_BYTES = 8, 248
#: blocks for each of the device's processors
BLOCKS_PER_PROCESSOR = 32


@record(eq=False)
class DeviceKernel:
    """One kernel's code for the device; ``kernel`` is None for those that are no loops."""

    kernel: Kernel | None
    source: str
    code: DeviceCode
    origin: str
    seconds: float


#: the code of loops by kernel and mapping, that of guards, products and routines by name
Codes: TypeAlias = dict[Any, DeviceKernel]


class Places(NamedTuple):
    """Addresses on the device: of each value (an int, or what stands for one and can be added to), of the status, of
    memory for partial sums; ``expected`` puts bytes there and gives their address."""

    value: Callable[[Value], Any]
    status: int
    sums: int
    expected: Callable[[bytes], int]


# ---------------------------------------------------------------- code


def compile_steps(steps: Iterable[Any], capability: tuple[int, int], fast: bool = False) -> Codes:
    """The code of all kernels that device steps launch; other steps are passed over. Counts
    them on stderr as ``config.progress`` says. ``fast``: as ``config.fast_approximations``.

    Raises BackendError where the compiler rejects a kernel.
    """
    needed = {found[0]: found for step in steps for found in _needed(step)}
    codes: Codes = {}
    for key, kernel, source, signature in counted(list(needed.values()), lambda found: True):
        started = time.perf_counter()
        if fast:
            source = cuda_math.approximated(source)
        code, origin = compile_source(source, signature, capability, fast)
        codes[key] = DeviceKernel(kernel, source, code, origin, time.perf_counter() - started)
        count(origin)
    return codes


def _needed(step: Any) -> list[tuple[Any, Kernel | None, str, Sequence[str]]]:
    if isinstance(step, DeviceLoop):
        kernel, sizes = step.launch.kernel, step.sizes
        found = [_loop(kernel, sizes.mapping)]
        if sizes.chunks > 1:
            found += [_loop(Combine.of(r.op, r.element, sizes).kernel, "block") for r in kernel.reductions]
        return found
    if isinstance(step, DeviceCheck):
        return [("check", None, cuda_sources.CHECK, cuda_sources.CHECK_SIGNATURE)]
    if isinstance(step, DeviceGemm):
        element = ELEMENT[step.node.out.dtype]
        return [(f"gemm {element}", None, cuda_sources.gemm(element), cuda_sources.gemm_signature(element))]
    if isinstance(step, DeviceCall):
        node = step.node
        elements = [ELEMENT[view.dtype] for view in node.args]
        signature = cuda_routines.signature(elements, [ELEMENT[v.dtype] for v in node.results], len(node.numbers))
        return [(_routine_key(node), None, cuda_routines.source(node.routine, elements[0]), signature)]
    return []


def _routine_key(node: Call) -> str:
    return f"{node.routine} {ELEMENT[node.args[0].dtype]}"


def _loop(kernel: Kernel, mapping: Mapping) -> tuple[Any, Kernel | None, str, Sequence[str]]:
    return (kernel, mapping), kernel, emit_cuda.emit(kernel, mapping), emit_cuda.signature(kernel, mapping)


# ---------------------------------------------------------------- launches


def launches(step: DeviceStep, device: CudaDevice, codes: Codes, places: Places) -> list[Launchable]:
    """The launches that a step takes, in order."""
    if isinstance(step, DeviceLoop):
        return _loop_launches(step, device, codes, places)
    if isinstance(step, DeviceCheck):
        return [_check_launch(step.node, step.position, device, codes, places)]
    if isinstance(step, DeviceCall):
        return [_routine_launch(step.node, step.position, device, codes, places)]
    return [_gemm_launch(step.node, device, codes, places)]


def _check_launch(node: Check, position: int, device: CudaDevice, codes: Codes, places: Places) -> Launchable:
    count = len(node.expected)
    found, expected = _address(node.arg, places), places.expected(node.expected)
    lanes = min(256, -(-max(count, 1) // 32) * 32)
    arguments = (places.status, places.status + STATUS_BYTES, found, expected, count, REPORT_BYTES, position)
    return Launchable(device.load(codes["check"].code), (1, 1, 1), (lanes, 1, 1), arguments)


def _routine_launch(node: Call, position: int, device: CudaDevice, codes: Codes, places: Places) -> Launchable:
    blocks, lanes = cuda_routines.ROUTINES[node.routine].grid(node.numbers)
    pointers = [*[_address(view, places) for view in node.args], *[places.value(value) for value in node.results]]
    strides = [stride for view in node.args for stride in view.strides]
    arguments = (places.status, position, *pointers, *node.numbers, *strides)
    return Launchable(device.load(codes[_routine_key(node)].code), _grid(blocks, device), (lanes, 1, 1), arguments)


def _gemm_launch(node: Gemm, device: CudaDevice, codes: Codes, places: Places) -> Launchable:
    batch, m, k = node.left.shape
    n = node.right.shape[2]
    operands = [_address(view, places) for view in (node.left, node.right, node.out.view())]
    tile = cuda_sources.TILE
    grid = (-(-n // tile) * -(-m // tile), 1, min(batch, 65535))
    arguments = (places.status, *operands, batch, m, n, k, *node.left.strides, *node.right.strides)
    return Launchable(device.load(codes[f"gemm {ELEMENT[node.out.dtype]}"].code), grid, (tile, tile, 1), arguments)


def _grid(blocks: int, device: CudaDevice) -> Dim:
    """As many blocks as there is work for, and the device keeps up with: the others' work is then done by those."""
    return max(1, min(blocks, BLOCKS_PER_PROCESSOR * device.processors)), 1, 1


def _address(view: View, places: Places) -> Any:
    return places.value(view.value) + view.offset * view.dtype.itemsize


def partial_bytes(step: DeviceLoop) -> int:
    """Memory for the totals of chunks, one reduction after the other."""
    if step.sizes.chunks == 1:
        return 0
    return sum([_partial(step.sizes, reduction.element) for reduction in step.launch.kernel.reductions])


def _partial(sizes: Sizes, element: str) -> int:
    return -(-sizes.rows * sizes.chunks * itemsize(element) // ALIGNMENT) * ALIGNMENT


def _loop_launches(step: DeviceLoop, device: CudaDevice, codes: Codes, places: Places) -> list[Launchable]:
    kernel, sizes = step.launch.kernel, step.sizes
    pointers = [places.value(place.value) + place.offset for place in step.launch.placements]
    for number in range(len(kernel.loads) + len(kernel.stores)):
        if emit_cuda.has_origin(kernel, number):
            pointers[number] = places.value(step.launch.placements[number].value)
    combines: list[Launchable] = []
    first = len(kernel.loads) + len(kernel.stores)
    if sizes.chunks > 1:
        partial = places.sums
        for number, reduction in enumerate(kernel.reductions, first):
            combine = Combine.of(reduction.op, reduction.element, sizes)
            arguments = _combine_arguments(combine, places.status, partial, pointers[number])
            combines.append(_launchable(combine.kernel, combine.sizes, device, codes, arguments))
            pointers[number] = partial
            partial += _partial(sizes, reduction.element)
    arguments = _loop_arguments(step.launch, sizes, places.status, pointers)
    return [_launchable(kernel, sizes, device, codes, arguments), *combines]


def _loop_arguments(launch: Launch, sizes: Sizes, status: int, pointers: list[int]) -> tuple:
    """What is passed for each parameter."""

    def values(parameter: Parameter) -> tuple:
        kind, number = parameter.kind, parameter.number
        if kind == "status":
            return (status,)
        if kind == "pointer":
            return (pointers[number],)
        if kind == "origin":
            return (launch.placements[number].offset // launch.placements[number].value.dtype.itemsize,)
        if kind == "atomic":  # an array as Numba passes it: nobody's, then elements, size of one, address, shape, step
            size, count = itemsize(parameter.element), launch.placements[number].value.size
            return (0, 0, count, size, pointers[number], count, size)
        if kind == "literal":
            return (scalar(parameter.element, launch.literals[number]),)
        if kind == "dim":
            return (launch.dims[number],)
        if kind == "stride":
            return (launch.placements[number].strides[parameter.axis] // itemsize(parameter.element),)
        if kind in ("first", "stop"):
            bounds = launch.windows[number][parameter.axis]
            assert bounds is not None
            return (bounds[kind == "stop"],)
        return (getattr(sizes, parameter.name),)

    parameters = emit_cuda.device_parameters(launch.kernel, sizes.mapping)
    return tuple([value for parameter in parameters for value in values(parameter)])


def _combine_arguments(combine: Combine, status: int, partial: int, target: int) -> tuple:
    sizes = combine.sizes
    known = {"status": status, "n0": sizes.terms, "n1": sizes.rows, "x0_s0": sizes.rows, "x0": partial, "out0": target}
    parameters = emit_cuda.device_parameters(combine.kernel, "block")
    return tuple([known[p.name] if p.name in known else getattr(sizes, p.name) for p in parameters])


def _launchable(kernel: Kernel, sizes: Sizes, device: CudaDevice, codes: Codes, arguments: tuple) -> Launchable:
    code = codes[(kernel, sizes.mapping)].code
    lanes = 1 if sizes.in_order else sizes.lanes
    return Launchable(device.load(code), _grid(sizes.blocks, device), (lanes, 1, 1), arguments)
