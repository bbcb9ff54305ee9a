"""Machine code, memory sectors and the simulator: that the checks see what they are for."""

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the CUDA compiler packages are not installed")

from numba import cuda, float32, int64

from tests.emulation import machine_code, programs
from tests.emulation.coalescing import sectors_per_request
from tests.emulation.execute import EmulatedKernel
from tests.emulation.simulator import simulate

pytestmark = pytest.mark.emulated
needs_assembler = pytest.mark.skipif(machine_code.assembler() is None, reason="no ptxas: pip install nvidia-cuda-nvcc")
POINTER = programs.pointer("float32")
ELEMENTWISE = (POINTER, POINTER, int64)


@needs_assembler
@pytest.mark.parametrize("architecture", machine_code.ARCHITECTURES)
def test_a_float32_kernel_assembles_without_spills_or_float64(architecture):
    kernel = programs.elementwise("math.exp(-v) * math.tanh(v) * float32(0.5)", "float32")
    report = machine_code.report(kernel, ELEMENTWISE, architecture)
    assert 8 <= report.registers <= 64
    assert (report.spill_stores, report.spill_loads, report.local_accesses) == (0, 0, 0)
    assert report.float64_ptx == 0
    assert report.float64_sass in (0, None)


@needs_assembler
def test_a_leak_into_float64_is_counted():
    report = machine_code.report(programs.elementwise("v * 0.1", "float32"), ELEMENTWISE, (9, 0))
    assert report.float64_ptx > 0
    assert report.float64_sass is None or report.float64_sass > 0


@needs_assembler
def test_spills_and_local_memory_are_reported():
    def kernel(x, y, n):
        scratch = cuda.local.array(64, float32)
        i = cuda.grid(1)
        for k in range(64):
            scratch[(k * i) % 64] = x[k]
        y[i] = scratch[i % 64]

    report = machine_code.report(kernel, ELEMENTWISE, (9, 0))
    assert report.local_accesses > 0
    assert report.stack >= 256


@needs_assembler
def test_barriers_and_shared_memory_are_reported():
    report = machine_code.report(programs.block_sum("float32"), ELEMENTWISE, (8, 0))
    assert (report.barriers, report.shared) == (1, 512)


def test_neighbours_are_coalesced_and_strides_are_not():
    def transposed(x, y, n):
        i = cuda.grid(1)
        if i < n:
            y[i] = x[(i % 32) * 32 + i // 32]

    x, y = np.zeros(1024, np.float32), np.zeros(1024, np.float32)
    ideal = sectors_per_request(programs.elementwise("v", "float32"), [x, y], (1000,))
    assert ideal == {(0, "load"): 1, (1, "store"): 1}
    assert sectors_per_request(transposed, [x, y], (1024,)) == {(0, "load"): 8, (1, "store"): 1}


def test_the_simulator_agrees_with_the_compiled_kernel():
    x = np.random.default_rng(0).normal(size=200)
    pointer = programs.pointer("float64")
    kernel = programs.block_sum("float64")
    compiled, simulated = np.zeros(2), np.zeros(2)
    EmulatedKernel(kernel, (pointer, pointer, int64))(2, 128, x, compiled, x.size)
    simulate(kernel, 2, 128, x, simulated, x.size)
    np.testing.assert_array_equal(compiled, simulated)


def test_nothing_here_needs_a_driver():
    import subprocess
    import sys
    from pathlib import Path

    program = """
import os
os.environ.pop("AUTOGRAD_JIT_EMULATED_CUDA", None)
from numba import cuda, int64
from tests.emulation import programs, machine_code
pointer = programs.pointer("float32")
function = programs.elementwise("v", "float32")
print(machine_code.compile_ptx(function, (pointer, pointer, int64), (8, 0))[:2], cuda.is_available())
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert result.stdout.startswith("//"), result.stderr
