"""Unmodified cuda.core and numba-cuda on the stand-in for the driver, and the faults of host programs it must find."""

import ctypes
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the CUDA compiler packages are not installed")

from numba import int64

from tests.emulation import programs
from tests.emulation.host_ir import EmulationError

pytestmark = pytest.mark.emulated
POINTER = programs.pointer("float64")


@pytest.fixture
def program(emulated_device):
    with programs.HostProgram() as host:
        yield host


@pytest.fixture
def square(program):
    return program.kernel(programs.elementwise("v * v", "float64"), POINTER, POINTER, int64)


def test_launches_copies_and_counts(emulated_device, program, square):
    x, y = np.arange(100.0), np.zeros(100)
    with emulated_device.counting() as counts:
        source, target = program.put(x), program.allocate(y.nbytes)
        program.launch(square, source, target, x.size)
        program.copy_out(y, target)
    np.testing.assert_array_equal(y, x * x)
    wanted = {
        "launches": 1,
        "h2d": 1,
        "d2h": 1,
        "h2d_bytes": 800,
        "live_allocations": 2,
        "live_bytes": 1600,
        "syncs": 1,
    }
    assert {name: counts[name] for name in wanted} == wanted


def test_a_graph_replays_launches_copies_and_memsets(emulated_device, program, square):
    x, y = np.arange(100.0), np.full(100, np.nan)
    source, target = program.allocate(x.nbytes), program.allocate(y.nbytes)
    builder = program.device.create_graph_builder().begin_building()
    from cuda.bindings import driver

    driver.cuMemcpyHtoDAsync(source, x.ctypes.data, x.nbytes, int(builder.stream.handle))
    driver.cuMemsetD8Async(target, 0, y.nbytes, int(builder.stream.handle))
    program.launch(square, source, target, 50, on=builder)
    driver.cuMemcpyDtoHAsync(y.ctypes.data, target, y.nbytes, int(builder.stream.handle))
    graph = builder.end_building().complete()
    assert np.isnan(y).all()  # nothing ran while capturing
    for scale in (1, 2):
        x[:] = scale * np.arange(100.0)  # read when the graph runs
        with emulated_device.counting() as counts:
            graph.launch(program.stream)
            program.stream.sync()
        np.testing.assert_array_equal(y, np.where(np.arange(100) < 50, x * x, 0))
        assert [counts[n] for n in ("graph_launches", "launches", "h2d", "memset", "d2h")] == [1, 1, 1, 1, 1]
    graph.close()
    builder.close()


@pytest.mark.emulated(keeps_memory=True)  # numba keeps its context's stream for good
def test_numba_dispatcher_runs_unchanged(emulated_device):
    from numba import cuda

    with programs.HostProgram():
        x = np.linspace(0, 1, 100)
        on_device, result = cuda.to_device(x), cuda.device_array_like(x)
        kernel = cuda.jit(programs.elementwise("math.exp(v)", "float64"))
        kernel[32, 64](on_device, result, x.size)
        np.testing.assert_allclose(result.copy_to_host(), np.exp(x), rtol=1e-15)
        del on_device, result
        cuda.current_context().deallocations.clear()


def test_a_host_function_runs_in_the_order_of_its_stream(emulated_device, program, square):
    from cuda.bindings import driver

    x, y = np.arange(10.0), np.zeros(10)
    source, target = program.put(x), program.allocate(x.nbytes)
    seen = []
    on_host = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(
        lambda _: seen.append(np.ctypeslib.as_array((ctypes.c_double * 10).from_address(target)).copy())
    )
    with emulated_device.deferred():
        program.launch(square, source, target, 10)
        driver.cuLaunchHostFunc(
            int(program.stream.handle), driver.CUhostFn(ctypes.cast(on_host, ctypes.c_void_p).value), 0
        )
        assert not seen
        program.copy_out(y, target)
    np.testing.assert_array_equal(seen[0], x * x)


def test_freeing_memory_inside_of_an_operation_runs_nothing_before_its_turn(emulated_device, program):
    """As when Python's garbage collector runs while a kernel is built: freeing waits for all that is queued."""
    from cuda.bindings import driver

    order = []
    pinned = int(driver.cuMemHostAlloc(64, 0)[1])

    def first(_):
        driver.cuMemFreeHost(pinned)
        order.append("first")

    functions = [ctypes.CFUNCTYPE(None, ctypes.c_void_p)(f) for f in (first, lambda _: order.append("second"))]
    with emulated_device.deferred():
        for function in functions:
            address = ctypes.cast(function, ctypes.c_void_p).value
            driver.cuLaunchHostFunc(int(program.stream.handle), driver.CUhostFn(address), 0)
        program.stream.sync()
    assert order == ["first", "second"]


def test_a_captured_callback_runs_at_each_replay(emulated_device, program, square):
    x, y = np.arange(10.0), np.zeros(10)
    source, target = program.put(x), program.allocate(x.nbytes)
    seen = []
    view = np.ctypeslib.as_array((ctypes.c_double * 10).from_address(target))
    builder = program.device.create_graph_builder().begin_building()
    program.launch(square, source, target, 10, on=builder)
    builder.callback(lambda: seen.append(view.copy()))
    program.launch(square, target, source, 10, on=builder)
    graph = builder.end_building().complete()
    graph.launch(program.stream)
    program.copy_out(y, source)
    np.testing.assert_array_equal(seen, [x**2])
    np.testing.assert_array_equal(y, x**4)
    graph.launch(program.stream)
    program.stream.sync()
    assert len(seen) == 2
    graph.close()
    builder.close()


def test_threads_with_streams_of_their_own(emulated_device, program, square):
    failures = []

    def work(seed):
        try:
            program.device.set_current()
            x, y = np.random.default_rng(seed).normal(size=100), np.zeros(100)
            with programs.HostProgram() as own:
                source, target = own.put(x), own.allocate(x.nbytes)
                for _ in range(50):
                    own.launch(square, source, target, x.size)
                    own.copy_out(y, target)
                    np.testing.assert_array_equal(y, x * x)
                    y[:] = 0
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_stream_waits_for_an_event_of_another(emulated_device, program, square):
    x, y = np.arange(10.0), np.zeros(10)
    source, target = program.put(x), program.allocate(x.nbytes)
    with programs.HostProgram() as other, emulated_device.deferred():
        program.launch(square, source, target, 10)
        event = program.stream.record()
        assert not event.is_done
        other.stream.wait(event)
        other.copy_out(y, target)
        assert event.is_done
    np.testing.assert_array_equal(y, x * x)
    event.close()


# ---------------------------------------------------------------- faults that must be found


def test_a_missing_sync_shows_in_deferred_mode(emulated_device, program, square):
    x, y = np.arange(10.0), np.zeros(10)
    source, target = program.put(x), program.allocate(x.nbytes)
    with emulated_device.deferred():
        program.launch(square, source, target, 10)
        program.copy_out(y, target, sync=False)
        assert (y == 0).all()
        program.stream.sync()
        np.testing.assert_array_equal(y, x * x)


def test_host_memory_changed_before_its_copy_ran_shows_in_deferred_mode(emulated_device, program):
    x, y = np.ones(10), np.zeros(10)
    target = program.allocate(x.nbytes)
    with emulated_device.deferred():
        program.copy_in(target, x)
        x[:] = 2
        program.copy_out(y, target)
    assert (y == 2).all()


def test_work_on_the_default_stream_does_not_wait_for_a_non_blocking_one(emulated_device, program, square):
    from cuda.bindings import driver

    x, y = np.arange(10.0), np.zeros(10)
    source, target = program.put(x), program.allocate(x.nbytes)
    with emulated_device.deferred():
        program.launch(square, source, target, 10)
        driver.cuMemcpyDtoH(y.ctypes.data, target, y.nbytes)
        assert np.isnan(y).all()  # poison: the kernel still waits


def test_a_write_past_the_end_names_the_kernel(emulated_device, program, square):
    x = np.arange(10.0)
    source, target = program.put(x), program.allocate(8 * 9)
    program.launch(square, source, target, 10)
    with pytest.raises(EmulationError, match=r"past the end of allocation #\d+ \(72 bytes\), found after .*kernel"):
        emulated_device.check()


def test_a_failed_launch_is_told_at_the_next_sync(emulated_device, program):
    from numba import cuda

    def divergent(x):
        if cuda.threadIdx.x < 2:
            cuda.syncthreads()
        x[0] = 1

    kernel = program.kernel(divergent, POINTER)
    program.launch(kernel, program.allocate(8))
    with pytest.raises(Exception, match="CUDA_ERROR_LAUNCH_FAILED"):
        program.stream.sync()
    with pytest.raises(EmulationError, match="divergent barrier"):
        emulated_device.check()


def test_an_unknown_intrinsic_fails_the_launch(emulated_device, program):
    from numba import cuda

    def sleeps(x):
        cuda.nanosleep(10)
        x[0] = 1

    program.launch(program.kernel(sleeps, POINTER), program.allocate(8))
    with pytest.raises(EmulationError, match="nanosleep") as caught:
        emulated_device.check()
    assert type(caught.value.__cause__).__name__ == "NotEmulated"


def test_fresh_memory_is_poison(emulated_device, program):
    y = np.zeros(10)
    program.copy_out(y, program.allocate(y.nbytes))
    assert np.isnan(y).all()


def test_copies_out_of_range_and_to_freed_memory_are_refused(emulated_device, program):
    from cuda.bindings import driver

    x = np.ones(10)
    target = program.allocate(72)
    with pytest.raises(RuntimeError, match="bytes 0 to 80 of allocation"):
        program.copy_in(target, x)
    _, freed = driver.cuMemAlloc(80)
    driver.cuMemFree(freed)
    with pytest.raises(RuntimeError, match="no device memory"):
        program.copy_in(int(freed), x)
    with pytest.raises(RuntimeError, match="no device memory"):
        program.copy_in(x.ctypes.data, x)
    emulated_device.forget_faults()


def test_a_kernel_on_host_or_freed_memory_fails(emulated_device, program, square):
    x = np.ones(10)
    program.launch(square, x.ctypes.data, program.allocate(80), 10)
    with pytest.raises(EmulationError, match=r"argument 0 .* no live device memory"):
        emulated_device.check()


def test_a_write_to_freed_memory_is_found(emulated_device, program):
    from cuda.bindings import driver

    _, address = driver.cuMemAlloc(80)
    driver.cuMemFree(address)
    ctypes.memset(int(address), 0, 8)
    with pytest.raises(EmulationError, match="write to freed allocation"):
        emulated_device.check()


def test_allocating_freeing_waiting_and_the_default_stream_are_refused_in_a_capture(emulated_device, program, square):
    from cuda.bindings import driver

    target = program.put(np.ones(10))
    kept = program.put(np.ones(10))
    attempts = {
        "an allocation": lambda _: driver.cuMemAlloc(80)[0],
        "a synchronisation": lambda _: driver.cuCtxSynchronize()[0],
        "freeing memory": lambda builder: driver.cuMemFreeAsync(kept, int(builder.stream.handle))[0],
        "work on the legacy stream": lambda _: driver.cuMemsetD8(target, 0, 8)[0],
    }
    for what, attempt in attempts.items():
        builder = program.device.create_graph_builder().begin_building()
        program.launch(square, target, kept, 10, on=builder)
        assert int(attempt(builder)) in (900, 906)
        with pytest.raises(RuntimeError, match="has been invalidated"):
            builder.end_building()
        assert any(what in fault for fault in emulated_device.faults())
        emulated_device.forget_faults()
        del builder  # ends the capture


@pytest.mark.parametrize("leaks", [True, False])
def test_a_leak_fails_the_test_that_makes_it(pytestconfig, emulated_device, tmp_path, leaks):
    (tmp_path / "test_leak.py").write_text(
        "def test_leak(emulated_device):\n"
        "    from cuda.bindings import driver\n"
        "    driver.cuInit(0)\n"
        "    _, address = driver.cuMemAlloc(80)\n" + ("" if leaks else "    driver.cuMemFree(address)\n")
    )
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--rootdir", tmp_path, "--emulated-cuda", tmp_path]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert ("leaked by the test" in result.stdout) == leaks, result.stdout
    assert result.returncode == int(leaks)


# ---------------------------------------------------------------- whole processes


def test_code_kept_on_disk_runs_in_another_process(emulated_device, tmp_path):
    code, name = programs.compile_code(programs.elementwise("v + 1", "float64"), POINTER, POINTER, int64)
    (tmp_path / "code").write_bytes(code)
    script = f"""
from tests.emulation import driver
driver.install()
import sys, numpy as np
from cuda.core import ObjectCode
from tests.emulation import programs
kernel = ObjectCode.from_cubin(open({str(tmp_path / "code")!r}, "rb").read(), name={name!r}).get_kernel({name!r})
with programs.HostProgram() as host:
    x, y = np.arange(10.0), np.zeros(10)
    target = host.allocate(80)
    host.launch(kernel, host.put(x), target, 10)
    host.copy_out(y, target)
print(y.sum())
"""
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert result.stdout.strip() == "55.0", result.stderr


def test_true_cubins_are_found_by_their_content(emulated_device):
    script = """
from tests.emulation import driver
driver.install(real_code=True)
import numpy as np
from numba import int64
from tests.emulation import programs
pointer = programs.pointer("float64")
function = programs.elementwise("v + 1", "float64")
assert programs.compile_code(function, pointer, pointer, int64)[0][:4] == b"\\x7fELF"
with programs.HostProgram() as host:
    kernel = host.kernel(function, pointer, pointer, int64)
    x, y = np.arange(10.0), np.zeros(10)
    target = host.allocate(80)
    host.launch(kernel, host.put(x), target, 10)
    host.copy_out(y, target)
print(y.sum())
"""
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert result.stdout.strip() == "55.0", result.stderr
