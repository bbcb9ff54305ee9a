"""CUDA kernels of random graphs, run from the compiler's IR, against NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autograd_jit.numpy as anp
from autograd_jit import jit
from autograd_jit.kernels.cuda_device import current_device
from autograd_jit.lower import emit_cuda
from autograd_jit.lower.device_launch import Places, compile_steps, launches
from autograd_jit.lower.device_schedule import DeviceLoop, Sizes, sizes_of
from autograd_jit.lower.graph import Value
from autograd_jit.lower.kernel import Launch
from tests.lower.graphs import run_native
from tests.lower.random_graphs import ROW_KINDS, WINDOW_KINDS, graphs
from tests.lower.test_random_kernels import compare

pytestmark = pytest.mark.emulated(keeps_memory=True)

QUIET = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
    "database": None,
}


def run_on_device(launch: Launch, memory: dict[Value, np.ndarray], sizes: Sizes | None = None) -> None:
    """Run one launch on copies of its buffers on the device."""
    written = launch.placements[len(launch.kernel.loads) :]
    if emit_cuda.unsupported(launch.kernel) or not any(place.value.size for place in written):
        run_native(launch, memory)
        return
    device = current_device()
    buffers = {place.value: device.allocate(place.value.nbytes) for place in launch.placements}
    for value, buffer in buffers.items():
        device.copy_in(buffer.address, memory[value].ctypes.data, value.nbytes)
    status = device.allocate(8)
    no_guard = np.array([-1], np.int64)
    device.copy_in(status.address, no_guard.ctypes.data, 8)
    step = DeviceLoop(launch, sizes or sizes_of(launch.kernel, launch.dims))
    sums = device.allocate(1 << 16)
    places = Places(lambda value: buffers[value].address, status.address, sums.address, lambda expected: 0)
    device.launch(launches(step, device, compile_steps([step], device.capability), places))
    for value, buffer in buffers.items():
        device.copy_out(memory[value].ctypes.data, buffer.address, value.nbytes)
    device.synchronize()


#: orders of blocks and threads: another for each graph
ORDERS = itertools.count()


@settings(max_examples=60, **QUIET)
@given(graphs())
def test_random_graphs(emulated_device, case):
    emulated_device.seed(next(ORDERS))
    compare(case, run_on_device, shares_rows=False)


@settings(max_examples=40, **QUIET)
@given(st.one_of(graphs(ROW_KINDS), graphs(WINDOW_KINDS)))
def test_rows_and_windows(emulated_device, case):
    emulated_device.seed(next(ORDERS))
    compare(case, run_on_device, shares_rows=False)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(graphs(), graphs(ROW_KINDS), graphs(WINDOW_KINDS)))
def test_many_random_graphs(emulated_device, case):
    emulated_device.seed(next(ORDERS))
    compare(case, run_on_device, shares_rows=False)


def test_without_its_barriers_a_kernel_gives_other_answers(emulated_device, monkeypatch):
    """The negative control of all tests of reductions: the emulation shows what a missing barrier does."""
    monkeypatch.setattr(emit_cuda._CudaPrinter, "_barrier", lambda self: None)
    compiled = jit(lambda x: anp.sum(x * x, axis=1), target="cuda")
    x = np.random.default_rng(0).normal(size=(4, 1000))
    compiled(x)
    wrong = 0
    for seed in range(5):
        emulated_device.seed(seed)
        wrong += not np.allclose(compiled(x), np.sum(x * x, axis=1))
    compiled.clear()
    assert wrong == 5 and compiled.stats.replays == 5
