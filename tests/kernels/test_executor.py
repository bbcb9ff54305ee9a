"""The executor: binding of arguments, walking the table, and what it refuses."""

import ctypes
import gc
import threading
import weakref

import numpy as np
import pytest

from autograd_jit.kernels import executor
from autograd_jit.kernels.executor import ARRAY, OUTPUT, SCALAR, Spec
from autograd_jit.kernels.llvm import KERNEL_ATTRIBUTES, compile_ir

F8 = np.dtype(np.float64)

#: out[i] = x[i] + n for i below 3; and a kernel that stops with the reason that is in its arguments
_IR = f"""
define i64 @add_one(ptr %slots, ptr %args) {KERNEL_ATTRIBUTES} {{
entry:
  %x = load ptr, ptr %slots
  %o.at = getelementptr ptr, ptr %slots, i64 1
  %o = load ptr, ptr %o.at
  %v = load double, ptr %x, align 1
  %w = fadd double %v, 1.0
  store double %w, ptr %o, align 1
  ret i64 0
}}
define i64 @stop(ptr %slots, ptr %args) {KERNEL_ATTRIBUTES} {{
  %reason = load i64, ptr %args
  ret i64 %reason
}}
"""


class Bench:
    """A frame of one input (slot 0) and one output (slot 1)."""

    def __init__(self, spec: Spec, kernels=("add_one",), reason=7, release=False):
        self.code = compile_ir(_IR)
        self.slots = np.zeros(4, np.int64)
        self.words = np.array([reason], np.int64)
        self.table = np.array([[self.code.address(name), self.words.ctypes.data] for name in kernels], np.int64)
        self.specs = executor.specification([spec, Spec(OUTPUT, 1)])
        self.block = np.zeros(executor.BLOCK_WORDS, np.int64)
        self.block[:5] = [2, self.specs.ctypes.data, self.slots.ctypes.data, self.table.ctypes.data, len(kernels)]
        self.block[7] = release
        self.call = executor.make_caller(self.block)
        self.out = np.zeros(1)

    def __call__(self, x):
        self.out[0] = -1
        return self.call(x, self.out), self.out[0]


def test_this_python_is_supported():
    assert executor.supported()


def test_arrays_scalars_and_zero_dimensions():
    assert Bench(Spec(ARRAY, 0, np.ndarray, F8, (3,)))(np.array([4.0, 5, 6])) == (None, 5.0)
    assert Bench(Spec(ARRAY, 0, np.ndarray, F8, ()))(np.array(4.0)) == (None, 5.0)
    assert Bench(Spec(SCALAR, 0, float))(4.0) == (None, 5.0)
    assert Bench(Spec(SCALAR, 0, np.float64))(np.float64(4)) == (None, 5.0)


class Sub(np.ndarray):
    pass


def unaligned(array):
    holder = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype)
    holder[:] = array
    return holder


@pytest.mark.parametrize(
    "wrong",
    [
        np.arange(4.0),
        np.arange(3),
        np.arange(3, dtype=np.float32),
        np.arange(3, dtype=">f8"),
        np.arange(3.0).reshape(1, 3),
        np.array(3.0),
        np.arange(6.0)[::2],
        np.arange(3.0)[::-1],
        unaligned(np.arange(3.0)),
        np.arange(3.0).view(Sub),
        np.ma.masked_array(np.arange(3.0)),
        [0.0, 1.0, 2.0],
        3.0,
        None,
        "abc",
    ],
)
@pytest.mark.parametrize("release", [False, True])
def test_what_does_not_fit_is_refused_before_anything_runs(wrong, release):
    assert Bench(Spec(ARRAY, 0, np.ndarray, F8, (3,)), release=release)(wrong) == (False, -1)


@pytest.mark.parametrize("wrong", [4, True, np.float64(4), np.float32(4), np.array(4.0), None])
def test_scalars_of_another_type_are_refused(wrong):
    assert Bench(Spec(SCALAR, 0, float))(wrong) == (False, -1)


def test_unit_axes_and_empty_arrays_are_contiguous_whatever_their_strides():
    x = np.arange(12.0).reshape(3, 4)[:1, ::-1][:, :1]
    assert x.flags.c_contiguous
    assert Bench(Spec(ARRAY, 0, np.ndarray, F8, (1, 1)))(x) == (None, 4.0)


def test_as_many_axes_as_numpy_has():
    shape = (1,) * 63 + (2,)
    bench = Bench(Spec(ARRAY, 0, np.ndarray, F8, shape))
    assert bench(np.full(shape, 4.0)) == (None, 5.0)
    assert bench(np.full((1,) * 62 + (2, 1), 4.0)) == (False, -1)
    assert executor.MAX_AXES >= 64


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_arguments_is_refused(count):
    bench = Bench(Spec(ARRAY, 0, np.ndarray, F8, (3,)))
    assert bench.call(*[np.arange(3.0)] * count) is False


@pytest.mark.parametrize("release", [False, True])
def test_a_kernel_that_stops_ends_the_run_and_says_where(release):
    bench = Bench(Spec(SCALAR, 0, float), kernels=("add_one", "stop", "add_one"), reason=7, release=release)
    assert bench(1.0) == (True, 2.0)
    assert (bench.block[6] >> 8, bench.block[6] & 255) == (1, 7)
    bench.words[0] = 0
    assert bench(1.0) == (None, 2.0) and bench.block[6] == 0
    assert bench.block[5] == 0  # not busy


def test_a_frame_in_use_says_so():
    bench = Bench(Spec(SCALAR, 0, float))
    bench.block[5] = 1
    assert bench(1.0) == (NotImplemented, -1)


def test_references_are_kept_in_balance():
    import sys

    bench, x = Bench(Spec(ARRAY, 0, np.ndarray, F8, (3,))), np.arange(3.0)
    before = sys.getrefcount(x), sys.getrefcount(bench.out)
    for _ in range(1000):
        bench(x)
    assert (sys.getrefcount(x), sys.getrefcount(bench.out)) == before


def test_checks_compare_bytes():
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(executor.utility("agj_check"))

    def check(actual, expected, offset=0):
        slots = np.array([0, actual.ctypes.data], np.int64)
        padded = expected.tobytes().ljust(-(-expected.nbytes // 8) * 8, b"\0")
        words = np.concatenate([np.array([1, offset, expected.nbytes], np.int64), np.frombuffer(padded, np.int64)])
        return function(slots.ctypes.data, words.ctypes.data)

    nan = np.array([np.nan, 1.0, 0.0])
    assert check(nan, nan) == 0
    assert check(nan, np.array([np.nan, 1.0, -0.0])) == 1
    assert check(np.arange(5.0), np.arange(2.0, 4), offset=16) == 0
    assert check(np.array([True, False, True]), np.array([True, False])) == 0
    assert check(np.array([True, True]), np.array([True, False])) == 1
    assert check(np.zeros(0), np.zeros(0)) == 0


def test_threads_that_share_a_frame_are_told():
    """With the lock released a second caller finds the frame busy, or runs after the first: never inside it."""
    bench = Bench(Spec(SCALAR, 0, float), release=True)
    answers = []

    def work():
        for _ in range(2000):
            answers.append(bench.call(1.0, np.zeros(1)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {repr(answer) for answer in answers} <= {"None", "NotImplemented"} and bench.block[5] == 0


def test_of_threads_that_come_at_once_all_get_one_method_definition(monkeypatch):
    """Built-in functions point to it and do not hold it: a second one in its place would free the first."""
    runtime, barrier = executor._runtime(), threading.Barrier(2)

    def both_are_here():
        barrier.wait(10)
        return runtime

    monkeypatch.setattr(executor, "_methods", {}, raising=False)
    monkeypatch.setattr(executor, "_runtime", both_are_here)
    found = []
    threads = [threading.Thread(target=lambda: found.append(executor._method("agj_unchanged", 4))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and found[0] is found[1] is executor._method("agj_unchanged", 4)


def test_code_that_another_thread_was_given_meanwhile_stays(monkeypatch, tmp_path):
    """A thread optimises for its first program while another one makes its first function, of quick code."""
    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(tmp_path))
    for name, empty in (("_loaded", {}), ("_methods", {}), ("_kept", [])):
        monkeypatch.setattr(executor, name, empty)
    monkeypatch.setattr(executor, "submit_all", lambda jobs: None)
    benches, looked_up = [], executor._stored

    def meanwhile():
        if not benches:
            monkeypatch.setattr(executor, "_stored", looked_up)
            benches.append(Bench(Spec(ARRAY, 0, np.ndarray, F8, (3,))))
            benches.append(weakref.ref(executor._runtime()))
        return None

    monkeypatch.setattr(executor, "_stored", meanwhile)
    executor.optimise()
    gc.collect()
    assert executor._loaded["runtime"].is_optimised and benches[1]() not in (None, executor._runtime())
    assert benches[0](np.array([4.0, 5, 6])) == (None, 5.0)


def test_without_a_disk_cache_code_is_quick_at_first_and_frames_go_over_to_optimised_code(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(executor, "_loaded", {})
    monkeypatch.setattr(executor, "_methods", {})
    jobs = []
    monkeypatch.setattr(executor, "submit_all", jobs.extend)
    bench, x = Bench(Spec(ARRAY, 0, np.ndarray, F8, (3,))), np.array([4.0, 5, 6])
    assert bench(x) == (None, 5.0) and bench(np.zeros(2)) == (False, -1)
    quick = executor._runtime()
    assert jobs == [executor.optimise]
    jobs[0]()
    assert executor._runtime() is not quick
    assert {method.function for method in executor._methods.values()} <= {
        executor._runtime().address(name) for name in ("agj_call", "agj_unchanged")
    }
    assert bench(x) == (None, 5.0) and bench(np.zeros(2)) == (False, -1)
    executor._loaded.clear()
    executor._runtime()  # another process
    assert len(jobs) == 1 and executor._loaded["runtime"].is_optimised
