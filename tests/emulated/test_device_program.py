"""Gradients on the emulated device: answers, transfers, launches, guards, steps of the host, leaks."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import config, grad, hessian, jacobian, jit, to_device, value_and_grad
from autograd_jit.errors import FallbackWarning
from autograd_jit.kernels import device_library
from autograd_jit.kernels.cuda_device import current_device
from autograd_jit.lower import device_memory, device_program
from tests.emulated.programs import PROGRAMS
from tests.jit_support import assert_replayed, compare

pytestmark = pytest.mark.emulated(keeps_memory=True)

#: of float32 answers, relative to the largest element: single precision throughout, sums of up to 70,000 terms
SINGLE = 2e-5


def largest_error(found, expected) -> float:
    scale = max(float(np.max(np.abs(expected), initial=0.0)), 1e-30)
    return float(np.max(np.abs(np.asarray(found, np.float64) - expected), initial=0.0)) / scale


@pytest.mark.parametrize("name", PROGRAMS)
def test_answers(emulated_device, name):
    program = PROGRAMS[name]
    compiled, plain = value_and_grad(program.function, jit=True, target="cuda"), value_and_grad(program.function)
    for seed in range(5):
        arguments = program.arguments(seed)
        value, slope = compiled(*arguments)
        expected, expected_slope = plain(*arguments)
        assert type(value) is type(expected)
        assert largest_error(value, expected) < 1e-12
        assert largest_error(slope, expected_slope) < 1e-12
    assert compiled.stats.fallbacks == 0, compiled.explain()
    assert compiled.stats.replays >= 2, compiled.explain()


@pytest.mark.parametrize("name", PROGRAMS)
def test_answers_in_single_precision(emulated_device, name):
    program = PROGRAMS[name]
    compiled, exact = value_and_grad(program.function, jit=True, target="cuda"), value_and_grad(program.function)
    for seed in range(3):
        value, slope = compiled(*program.arguments(seed, np.float32))
        expected, expected_slope = exact(*[a.astype(np.float64) for a in program.arguments(seed, np.float32)])
        assert slope.dtype == np.float32
        assert largest_error(value, expected) < SINGLE
        assert largest_error(slope, expected_slope) < SINGLE
    assert compiled.stats.fallbacks == 0 and compiled.stats.replays >= 1, compiled.explain()


def test_a_fused_chain_is_one_graph_and_no_transfer_but_inputs_and_outputs(emulated_device):
    gradient = grad(PROGRAMS["chain"].function, jit=True, target="cuda")
    x = PROGRAMS["chain"].arguments(0)
    for _ in range(3):
        gradient(*x)
    with emulated_device.counting() as counts:
        gradient(*x)
    wanted = {"graph_launches": 1, "h2d": 1, "d2h": 1, "d2d": 0, "syncs": 1, "allocations": 0, "memset": 0}
    assert {name: counts[name] for name in wanted} == wanted
    assert counts["launches"] <= 2  # the chain, and the sums of its chunks
    assert counts["h2d_bytes"] < 8 * 1000 + 512 and counts["d2h_bytes"] < 8 * 1000 + 1024


LARGE = device_memory.COMPARED_BYTES // 8


def _sent(emulated_device, function, *args) -> int:
    """Bytes that a call sends to the device, and nothing wrong with its answer."""
    with emulated_device.counting() as counts:
        got = function(*args)
    np.testing.assert_array_equal(got, np.asarray(function.__wrapped__(*args)))
    return counts["h2d_bytes"]


LAYOUTS = {
    "contiguous": lambda: np.arange(2.0 * LARGE).reshape(2, LARGE),
    "transposed": lambda: np.arange(2.0 * LARGE).reshape(LARGE, 2).T,
    "every second": lambda: np.arange(4.0 * LARGE).reshape(2, 2 * LARGE)[:, ::2],
    "backwards": lambda: np.arange(2.0 * LARGE).reshape(2, LARGE)[::-1, ::-1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_captured_arrays_are_sent_when_they_changed(emulated_device, layout):
    """Whatever changes of an array's bits, and wherever, is noticed; what did not change stays on the device."""
    data = LAYOUTS[layout]()
    compiled = jit(lambda x: data + x, target="cuda")
    x = np.array([[1.0], [2.0]])
    for _ in range(3):
        compiled(x)
    assert _sent(emulated_device, compiled, x) < 1024
    assert _sent(emulated_device, compiled, x + 1) < 1024
    for place in ((0, 0), (1, LARGE - 1), (1, 7)):
        data[place] = -0.0 if place == (0, 0) else 1e9
        assert data.nbytes <= _sent(emulated_device, compiled, x) < data.nbytes + 1024
        assert np.signbit(compiled(-x * 0.0)[0, 0])
        assert _sent(emulated_device, compiled, x) < 1024
    data[1, 3] = np.nan
    assert _sent(emulated_device, compiled, x) > data.nbytes
    assert compiled.stats.fallbacks == 0
    assert f"{data.nbytes} of them only where they differ from the call before" in compiled.explain()


def test_large_arguments_are_sent_when_they_changed(emulated_device):
    def loss(w, x, y):
        return anp.sum((x * w - y) ** 2)

    gradient = grad(loss, jit=True, target="cuda")
    w, x, y = np.full(1, 0.5), np.arange(LARGE + 3.0), np.arange(LARGE + 3.0)
    for _ in range(3):
        gradient(w, x, y)
    with emulated_device.counting() as counts:
        same = gradient(w, x, y.copy())
    assert counts["h2d"] == 1 and counts["h2d_bytes"] < 1024
    for arrays, least in ((x + 1, y), x.nbytes), ((x + 1, y + 1), x.nbytes), ((x, y), 2 * x.nbytes):
        with emulated_device.counting() as counts:
            found = gradient(w, *arrays)
        np.testing.assert_allclose(found, grad(loss)(w, *arrays), rtol=1e-12)
        assert least <= counts["h2d_bytes"] < least + 1024 and counts["h2d"] <= 2
    assert found == same


def test_a_call_that_diverges_leaves_nothing_stale(emulated_device):
    data = np.ones(LARGE)

    def branch(x):
        return anp.sum(data * x) if x[0] > 0 else anp.sum(data - x)

    compiled = jit(branch, target="cuda")
    for value in (1.0, 1.0, -1.0, -1.0, 2.0, -2.0, 2.0):
        data[-1] = data[-1] * 1.5
        x = np.array([value])
        np.testing.assert_allclose(compiled(x), branch(x), rtol=1e-12)
    assert compiled.stats.fallbacks == 0


def test_every_seed_gives_the_same_bits(emulated_device):
    """Sums do not depend on the order in which threads run."""
    gradient = value_and_grad(PROGRAMS["long chain"].function, jit=True, target="cuda")
    rows = value_and_grad(PROGRAMS["long rows"].function, jit=True, target="cuda")
    answers = set()
    for seed in range(4):
        emulated_device.seed(seed)
        found = (*gradient(*PROGRAMS["long chain"].arguments(0)), *rows(*PROGRAMS["long rows"].arguments(0)))
        if seed:  # the first call of each is the trace, on the host
            answers.add(b"".join([np.asarray(value).tobytes() for value in found]))
    assert len(answers) == 1


@pytest.mark.parametrize("name", PROGRAMS)
def test_work_that_waits_for_a_synchronisation(emulated_device, name):
    """With a device that does nothing until it is waited for, whatever is read too early is old."""
    program = PROGRAMS[name]
    compiled, plain = value_and_grad(program.function, jit=True, target="cuda"), value_and_grad(program.function)
    with emulated_device.deferred():
        for seed in range(4):
            arguments = program.arguments(seed)
            found, expected = compiled(*arguments), plain(*arguments)
            assert largest_error(found[1], expected[1]) < 1e-12
    assert compiled.stats.fallbacks == 0 and compiled.stats.replays >= 2, compiled.explain()


def test_launches_without_graphs_give_the_same(emulated_device, monkeypatch):
    program = PROGRAMS["short rows"]
    plain = grad(program.function)(*program.arguments(1))
    monkeypatch.setattr(device_program, "USES_GRAPHS", False)
    compiled = grad(program.function, jit=True, target="cuda")
    compiled.clear()
    for _ in range(2):
        found = compiled(*program.arguments(1))
    with emulated_device.counting() as counts:
        found = compiled(*program.arguments(1))
    assert counts["graph_launches"] == 0 and counts["launches"] >= 1
    assert largest_error(found, plain) < 1e-12
    compiled.clear()


def test_a_failing_guard_names_the_next_path(emulated_device):
    compiled = compare(PROGRAMS["branches"].function, *[(np.full(6, c),) for c in (1.0, 0.1) * 4], target="cuda")
    assert compiled.stats.traces == 2
    assert compiled.stats.guard_failures > 0


def test_nothing_runs_after_a_failing_guard(emulated_device):
    """Indices are guarded: the gather behind the guard must not read outside."""

    def pick(x, i):
        return anp.sum(x[i] ** 2)

    x = np.arange(5.0)
    calls = [(x, np.array(places)) for places in ([1, 2], [4, 0], [7, 1], [-1, 2])]
    compare(pick, *calls, target="cuda")


def test_steps_of_the_host_and_their_transfers(emulated_device, monkeypatch):
    monkeypatch.setattr(device_library, "current", lambda: None)  # which has Fourier transforms

    def energy(a, b):
        return anp.sum(anp.abs(anp.fft.fft(a)) ** 2) + anp.sum(anp.exp(b))

    r = np.random.default_rng(0)
    calls = [(r.standard_normal(8), r.standard_normal(8)) for _ in range(4)]
    compiled = compare(energy, *calls, operator=grad, target="cuda")
    assert compiled.stats.replays == 3
    report = compiled.explain()
    assert "host: " in report and "fourier fft" in report
    assert "transfer to host: %" in report and "transfer to device: %" in report


def test_errors_of_routines_are_those_of_numpy(emulated_device):
    def solve(a, b):
        return anp.sum(anp.linalg.solve(a, b))

    good, singular, b = np.eye(3) * 2.0, np.ones((3, 3)), np.arange(3.0)
    compare(solve, (good, b), (good + 1, b), (singular, b), (good, b), operator=grad, target="cuda")


def test_second_derivatives(emulated_device):
    calls = [PROGRAMS["rosenbrock"].arguments(seed) for seed in range(3)]
    compiled = assert_replayed(PROGRAMS["rosenbrock"].function, *calls, operator=hessian, target="cuda")
    assert "rows of a Jacobian" not in compiled.explain()
    with emulated_device.counting() as counts:
        compiled(*calls[0])
    assert counts["graph_launches"] == 1 and counts["launches"] <= 4  # all fifty rows at once


def test_rows_that_cannot_be_computed_at_once(emulated_device):
    calls = [(np.random.default_rng(seed).standard_normal(5),) for seed in range(3)]
    system = lambda x: anp.linalg.solve(anp.outer(x, x) + 9 * np.eye(5), anp.cos(x))
    compiled = compare(system, *calls, operator=jacobian, target="cuda")
    assert "5 rows of a Jacobian: each has its own steps" in compiled.explain()


def test_many_shapes_share_kernels(emulated_device):
    compiled = grad(PROGRAMS["short rows"].function, jit=True, target="cuda")
    before = None
    for rows in range(2, 10):
        x, w = np.ones((rows, 7)), np.ones(7)
        compiled(x, w)
        listing = compiled.kernels(x, w)
        sources = {entry.source for entry in listing}
        before = before or sources
        assert sources == before


def test_memory_is_given_back(emulated_device):
    current_device()
    gc.collect()
    emulated_device.check()
    before = emulated_device.live()

    def local(x):
        return anp.sum(anp.cos(x) ** 3)

    for size in (10, 1000, 20):
        compiled = jit(local, target="cuda")
        for _ in range(3):
            compiled(np.ones(size))
        compiled.clear()
    del compiled
    gc.collect()
    emulated_device.check()
    assert emulated_device.live() == before


def test_kernels_and_explain_show_the_device(emulated_device):
    compiled = grad(PROGRAMS["long rows"].function, jit=True, target="cuda")
    arguments = PROGRAMS["long rows"].arguments(0)
    compiled(*arguments)
    listing = compiled.kernels(*arguments)
    assert len(listing) >= 1 and "cuda.syncthreads()" in str(listing) and "kernel0" in str(listing)
    assert listing.schedule and listing[0].dims
    assert len(listing.groups) == len(listing.schedule)
    assert all(group.nodes for group, line in zip(listing.groups, listing.schedule) if "transfer" not in line)
    report = compiled.explain()
    assert "transfer to device: x0, x1" in report and "transfer to host: results" in report


def test_after_a_fault_calls_run_interpreted_and_say_why(emulated_device):
    gradient = grad(PROGRAMS["chain"].function, jit=True, target="cuda")
    arguments = PROGRAMS["chain"].arguments(0)
    for _ in range(3):
        expected = gradient(*arguments)
    with emulated_device.broken(), pytest.warns(FallbackWarning, match="CUDA_ERROR_LAUNCH_FAILED.*new process"):
        found = gradient(*arguments)
    assert largest_error(found, expected) < 1e-12
    assert gradient.stats.fallbacks == 1
    assert largest_error(gradient(*arguments), expected) < 1e-12 and gradient.stats.fallbacks == 1


def test_another_context_is_current(emulated_device):
    """torch.cuda.set_device and the like change what the driver takes for the thread's device."""
    from cuda.bindings import driver

    gradient = grad(PROGRAMS["chain"].function, jit=True, target="cuda")
    arguments = PROGRAMS["chain"].arguments(0)
    for _ in range(3):
        expected = gradient(*arguments)
        driver.cuCtxSetCurrent(driver.CUcontext(0))
    assert largest_error(gradient(*arguments), expected) < 1e-12
    assert int(driver.cuCtxGetCurrent()[1]) != 0 and gradient.stats.fallbacks == 0


def test_products_of_many_rows_fit_a_grid(emulated_device):
    """The driver takes 65,535 blocks along all axes of a grid but the first."""
    compiled = jit(lambda a, b: a @ b, target="cuda")
    arguments = np.ones((65_536 * 16 + 1, 2)), np.ones((2, 3))
    compiled(*arguments)
    compiled._handle.program(arguments, {}).new_frame()  # captures its graph


def test_kernels_are_counted(emulated_device, capsys):
    """In the figures of a function and, on request, on stderr while they are compiled."""
    compiled = jit(lambda x: anp.sum(anp.exp(x) * 3.25) + anp.cumsum(x), target="cuda")
    x = np.linspace(0.1, 1, 7)
    with config(progress=True):
        compiled(x)
    count = len(compiled.kernels(x))
    assert compiled.stats.kernels_compiled + compiled.stats.kernels_loaded == count > 1
    assert capsys.readouterr().err.endswith(f"\rautograd_jit: kernels ready: {count} of {count}\n")


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "long chain"])
def test_nothing_is_written_between_buffers(emulated_device, name, monkeypatch):
    """Every value in memory of its own, with a gap behind it that must keep its poison."""
    from autograd_jit.lower import plan

    monkeypatch.setattr(device_memory, "_rounded", lambda nbytes: -(-max(nbytes, 1) // 256) * 256 + 256)
    monkeypatch.setattr(plan, "_rounded", lambda nbytes: -(-max(nbytes, 1) // 64) * 64 + 64)
    monkeypatch.setattr(plan._Arena, "free", lambda self, value: None)
    program = PROGRAMS[name]
    compiled = grad(program.function, jit=True, target="cuda")
    compiled.clear()
    arguments = program.arguments(0)
    compiled(*arguments)
    lowered = compiled._handle.program(arguments, {})
    frame = lowered.new_frame()
    frame.run(arguments, ())
    layout = lowered.layout
    end = layout.partial_sums
    memory = np.empty(end, np.uint8)
    frame.device.copy_out(memory.ctypes.data, frame.memory.address, end)
    frame.device.synchronize()
    free = np.ones(end, bool)
    free[layout.status : layout.status + 8] = False
    for value, offset in layout.offsets.items():
        free[offset : offset + value.nbytes] = False
    first, stop = layout.uploaded
    free[first:stop] = False  # copied as a whole, gaps included
    assert free.any()
    assert (memory[free] == 0xFF).all(), "a kernel wrote outside of its buffers"
    compiled.clear()


def test_the_callers_context_is_current_again_after_a_call(emulated_device, monkeypatch):
    """As after `torch.cuda.set_device`: the thread's work of other libraries goes on where it was."""
    from cuda.bindings import driver

    def current() -> int:
        return int(driver.cuCtxGetCurrent()[1])

    x = np.arange(4.0)
    compiled = grad(lambda x: anp.sum(anp.sin(x) ** 2), jit=True, target="cuda")
    ours, another = current_device()._context, driver.cuCtxCreate(None, 0, 0)[1]
    inside = []
    launch = device_program.DeviceFrame._run
    monkeypatch.setattr(
        device_program.DeviceFrame, "_run", lambda *given: (inside.append(current()), launch(*given))[1]
    )
    try:
        for _ in range(3):  # traced, then by two call paths
            driver.cuCtxSetCurrent(another)
            np.testing.assert_allclose(compiled(x), np.sin(2 * x), rtol=1e-12)
            assert current() == int(another)
            assert to_device(x).to_host()[1] == 1
            assert current() == int(another)
    finally:
        driver.cuCtxSetCurrent(ours)
        driver.cuCtxDestroy(another)
    assert set(inside) == {ours} and len(inside) >= 2
