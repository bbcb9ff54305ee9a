"""What the compiler makes of the product's CUDA kernels: spills, float64 in float32 kernels, memory sectors; and a
second opinion on what they compute, from the simulator.

No device is needed but an emulated one, which kernels with functions of their own ask for its capability.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from autograd_jit import value_and_grad
from autograd_jit.kernels import cuda_math, cuda_sources
from autograd_jit.lower import emit_cuda
from autograd_jit.lower.device_launch import _needed
from autograd_jit.lower.device_schedule import Combine, DeviceLoop, schedule, sizes_of
from autograd_jit.lower.kernel import Access, Instruction, Kernel, Ref, Stage, Store
from autograd_jit.lower.program import form
from tests.emulated.programs import PROGRAMS, Program

pytest.importorskip("numba_cuda")

from autograd_jit.kernels.cuda_compiler import numba_types, python_kernel
from tests.emulation import machine_code
from tests.emulation.coalescing import sectors_per_request
from tests.emulation.simulator import simulate

pytestmark = [pytest.mark.emulated(keeps_memory=True), pytest.mark.usefixtures("compiler_packages")]

ARCHITECTURES = [(7, 5), (8, 0), (9, 0), (10, 0), (12, 0)]


@functools.cache
def steps_of(name: str, dtype: type) -> list:
    return scheduled(PROGRAMS[name], dtype)


def scheduled(program: Program, dtype: type) -> list:
    compiled = value_and_grad(program.function, jit=True)
    arguments = program.arguments(0, dtype)
    compiled(*arguments)
    return schedule(form(compiled.tape(*arguments), for_device=True))


@functools.cache
def sources(dtype: type) -> dict[str, tuple[str, ...]]:
    """Every distinct kernel of the programs, and its signature."""
    found: dict[str, tuple[str, ...]] = {}
    for name in PROGRAMS:
        for step in steps_of(name, dtype):
            found.update({source: tuple(signature) for _, _, source, signature in _needed(step)})
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("part", range(4))
def test_no_spills_and_no_double_precision_in_single_precision_kernels(emulated_device, dtype, part, record_property):
    if machine_code.assembler() is None:
        pytest.skip("no ptxas: pip install 'autograd_jit[emulation]'")
    chosen = list(sources(dtype).items())[part::4]
    for number, (source, signature) in enumerate(chosen):
        architecture = ARCHITECTURES[(number + part) % len(ARCHITECTURES)]
        report = machine_code.report(python_kernel(source), numba_types(signature), architecture)
        assert report.spill_stores == report.spill_loads == 0, f"{architecture}: {report}\n{source}"
        assert 0 < report.registers <= 255
        record_property(f"registers of kernel {number}, sm_{architecture[0]}{architecture[1]}", report.registers)
        # Programs may mix: float32 times an array of integers is float64 in NumPy. And sin, cos and tan of float32,
        # of which psi makes use, keep one float64 multiplication for huge arguments.
        doubles = ("float64", "sinf(", "cosf(", "tanf(", "psif(")
        if dtype is np.float32 and not any(name in source for name in doubles):
            assert report.float64_ptx == 0, f"{report}\n{source}"


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_kernel_on_every_architecture(emulated_device, dtype, architecture):
    if machine_code.assembler() is None:
        pytest.skip("no ptxas: pip install 'autograd_jit[emulation]'")
    for source, signature in sources(dtype).items():
        report = machine_code.report(python_kernel(source), numba_types(signature), architecture)
        assert report.spill_stores == report.spill_loads == 0, f"{report}\n{source}"


def element_kernel(element: str, rank: int, inner: str) -> Kernel:
    """``out = x * y``, ``x`` with a stride of its own along the last axis."""
    body = (Instruction("multiply", element, element, (Ref("load", 0), Ref("load", 1))),)
    stage = Stage(False, body, (Store(Ref("value", 0), Access(element, "unit"), False),), ())
    return Kernel((False,) * rank, (Access(element, inner), Access(element, "unit")), (), (), (stage,))


def scalars(kernel: Kernel, mapping: emit_cuda.Mapping, values: dict[str, int]) -> list[int]:
    names = [p.name for p in emit_cuda.device_parameters(kernel, mapping) if p.kind not in ("status", "pointer")]
    return [values[name] for name in names]


@pytest.mark.parametrize(("element", "dtype"), [("float", np.float32), ("double", np.float64)])
def test_neighbouring_threads_read_neighbouring_elements(element, dtype):
    status = np.array([-1])
    kernel = element_kernel(element, 2, "unit")
    function = python_kernel(emit_cuda.emit(kernel, "element"))
    x, y, out = np.ones(4096, dtype), np.ones(4096, dtype), np.zeros(4096, dtype)
    sizes = {"n0": 64, "n1": 64, "x0_s0": 64, "x1_s0": 64, "out0_s0": 64, "total": 4096}
    found = sectors_per_request(function, [status, x, y, out], scalars(kernel, "element", sizes))
    assert {ratio for (array, _), ratio in found.items() if array > 0} == {1.0}
    strided = element_kernel(element, 2, "any")  # the negative control: a transposed operand
    function = python_kernel(emit_cuda.emit(strided, "element"))
    sizes |= {"x0_s0": 1, "x0_s1": 64}
    found = sectors_per_request(function, [status, x, y, out], scalars(strided, "element", sizes))
    assert found[1, "load"] > 2


def test_sums_of_columns_read_neighbouring_elements():
    kernel = Combine.of("sum", "double", sizes_of(element_kernel("double", 1, "unit"), (1,))).kernel  # over axis 0 of 2
    function = python_kernel(emit_cuda.emit(kernel, "thread"))
    sizes = {"n0": 8, "n1": 256, "x0_s0": 256, "rows": 256, "terms": 8, "chunk": 8, "chunks": 1}
    arrays = [np.array([-1]), np.ones(8 * 256), np.zeros(256)]
    found = sectors_per_request(function, arrays, scalars(kernel, "thread", sizes))
    assert found[1, "load"] == found[2, "store"] == 1.0


#: program -> shapes of its arguments, and the worst ratio of memory sectors to the least
REQUESTS = {
    "chain": (((4096,),), 1.0),
    "long rows": (((4, 512), (512,)), 1.0),
    "columns": (((64, 256),), 1.0),
    # Neighbours begin anywhere in a sector: that is one more of eight, and, of the few lanes of a warp that a window
    # holds for, at most two instead of one. A stride of a row is eight times the least.
    "rosenbrock": (((4096,),), 1.5),
    "boxes": (((16, 128),), 2.0),
    # Halves of complex numbers lie side by side: each of two requests reads the other's sectors too, from the cache.
    "pairs": (((8, 512), (8, 512)), 2.0),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_memory_sectors_of_whole_programs(name, monkeypatch):
    shapes, limit = REQUESTS[name]
    worst: list[float] = []

    def measure(function, grid, lanes, *arguments):
        found = sectors_per_request(function, arguments, (), grid, lanes, 0)
        worst.extend([ratio for (array, _), ratio in found.items() if arguments[array].size >= 128])

    monkeypatch.setitem(globals(), "simulate", measure)
    program = PROGRAMS[name]._replace(shapes=shapes)
    steps = scheduled(program, np.float64)
    for step in steps:
        assert isinstance(step, DeviceLoop), f"{step}: choose programs of loops alone"
        run_simulated(step, {})
    assert 1.0 <= max(worst) <= limit, sorted(worst)


# ---------------------------------------------------------------- the simulator


def simulated(source: str):
    """The kernel with NumPy's functions in place of libdevice's, for the simulator."""
    from numba import cuda

    scope: dict = {"cuda": cuda, "LANES": 256, "min": min, "int8": np.int8, **cuda_math.CONSTANTS}
    scope |= {kind: getattr(np, kind) for kind in ("float64", "float32", "int64", "int32")}
    for op, name in cuda_math.LIBDEVICE.items():
        function = getattr(np, op, None) or getattr(math, name, None)
        scope |= {name: function, name + "f": function}
    scope |= {"isinf": math.isinf, "isnan": math.isnan}
    scope["fma"] = scope["fmaf"] = lambda a, b, c: a * b + c  # rounds twice, within what is compared
    for op in ("maximum", "minimum"):
        scope |= {op: getattr(np, op), op + "f": getattr(np, op)}
    exec(compile(source, "<simulated>", "exec"), scope)
    return scope["kernel"]


@pytest.mark.parametrize("name", ["chain", "short rows", "long rows", "rosenbrock", "columns"])
def test_the_simulator_agrees(name):
    """Whole programs, kernel after kernel, by the stock simulator against the interpreted answer."""
    program = PROGRAMS[name]
    arguments = program.arguments(3)
    compiled = value_and_grad(program.function, jit=True)
    compiled(*arguments)
    tape = compiled.tape(*arguments)
    stages = form(tape, for_device=True)
    steps = schedule(stages)
    memory: dict = {}
    for value, given in zip(stages.graph.inputs, arguments, strict=True):
        memory[value] = given.ravel()
    for value, constant in stages.graph.constants.items():
        memory[value] = constant.ravel()
    for step in steps:
        assert isinstance(step, DeviceLoop), f"{step}: choose programs of loops alone"
        run_simulated(step, memory)
    found = [memory[out.value].reshape(out.shape) for out in stages.graph.outputs]
    for got, expected in zip(found, value_and_grad(program.function)(*arguments), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


def run_simulated(step: DeviceLoop, memory: dict) -> None:
    from autograd_jit.lower.device_launch import _combine_arguments, _loop_arguments

    launch, sizes = step.launch, step.sizes
    status = np.array([-1])
    for place in launch.placements:
        memory.setdefault(place.value, np.full(place.value.size, np.nan, place.value.dtype))
    views = []
    for number, place in enumerate(launch.placements):
        windowed = number < len(launch.kernel.loads) and launch.kernel.loads[number].window >= 0
        start = 0 if windowed else place.offset // place.value.dtype.itemsize
        views.append(memory[place.value][start:])
    first, combines = len(launch.kernel.loads) + len(launch.kernel.stores), []
    if sizes.chunks > 1:
        for number, reduction in enumerate(launch.kernel.reductions, first):
            partial = np.full(sizes.rows * sizes.chunks, np.nan)
            combine = Combine.of(reduction.op, reduction.element, sizes)
            combines.append((combine, _combine_arguments(combine, status, partial, views[number])))
            views[number] = partial
    arguments = _loop_arguments(launch, sizes, status, views)
    lanes = sizes.lanes if sizes.mapping == "block" else 32
    simulate(simulated(emit_cuda.emit(launch.kernel, sizes.mapping)), 2, lanes, *arguments)
    for combine, arguments in combines:
        simulate(simulated(emit_cuda.emit(combine.kernel, "block")), 1, combine.sizes.lanes, *arguments)


def test_products_of_matrices_are_as_numpy_has_them():
    a, b = np.random.default_rng(0).standard_normal((2, 5, 19)), np.random.default_rng(1).standard_normal((2, 19, 4))
    out = np.full((2, 5, 4), np.nan)
    source = cuda_sources.gemm("double")
    status = np.array([-1])
    strides = [s // 8 for s in (*a.strides, *b.strides)]
    operands = (status, a.ravel(), b.ravel(), out.ravel())
    simulate(simulated(source), (1, 1, 1), (16, 16, 1), *operands, 2, 5, 4, 19, *strides)
    np.testing.assert_allclose(out, a @ b, rtol=1e-12)
