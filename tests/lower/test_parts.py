"""Launches that threads share. Random programs are cut at any size: tests/test_jit_random_programs.py."""

import ctypes
import os
import platform
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import config, grad, jit, value_and_grad
from autograd_jit.errors import ArgumentError
from autograd_jit.kernels import blas, executor, thread_pool
from autograd_jit.kernels.llvm import compile_ir, lanes
from autograd_jit.known_programs import registry
from autograd_jit.lower import compile as compiling
from autograd_jit.lower import folds, parts, promote
from autograd_jit.lower.rules import products
from autograd_jit.trace import tree

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.skipif(not thread_pool.supported(), reason="threads need Linux on a known processor"),
]
RANDOM = np.random.RandomState(0)
X, M = RANDOM.randn(1000), RANDOM.randn(37, 29)


@pytest.fixture
def cut_everything(monkeypatch):
    monkeypatch.setattr(parts, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(parts, "FEWEST_TURNS", 2)
    monkeypatch.setattr(parts, "LINE", 16)  # the most lanes that there are
    monkeypatch.setattr(parts, "STRIP", 16)


def program_of(function, *args):
    return function._handle.program(args, {})


def bits(answer):
    return [np.asarray(leaf).tobytes() for leaf in tree.flatten(answer)[0]]


def jitted_with(threads, function, x):
    """The function, compiled for so many threads."""
    registry.clear()
    with config(threads=threads):
        compiled = jit(function, compile="never")
        compiled(x)
        return compiled


VECTORS = {
    "chain": lambda x: anp.sin(x) * anp.exp(-x * x) + x,
    "neighbours": lambda x: x[1:] * x[:-1] + anp.tanh(x[1:]),
    "roll": lambda x: anp.roll(x, 1) - 2.0 * x + anp.roll(x, -1),
    "adjoint of neighbours": grad(lambda x: anp.sum(anp.sin(x[1:] - x[:-1]) * x[:-1])),
    "reversed": lambda x: x[::-1] * x,
    "mask": lambda x: anp.where(x > 0, x, 0.1 * x) > 0.3,
    "single": lambda x: anp.exp(x.astype(np.float32)) * np.float32(0.5),
    "gather": lambda x: x[(np.arange(1000) * 7) % 1000] * x,
    "complex": lambda x: anp.exp(1j * x) * x,
    "total": lambda x: (anp.sum(x * x), x / anp.sum(x * x)),
}
MATRICES = {
    "softmax": lambda m: anp.exp(m - anp.max(m, axis=1, keepdims=True))
    / anp.sum(anp.exp(m - anp.max(m, axis=1, keepdims=True)), axis=1, keepdims=True),
    "layer norm": value_and_grad(
        lambda m: anp.sum(
            anp.tanh((m - anp.mean(m, axis=1, keepdims=True)) / anp.sqrt(anp.var(m, axis=1, keepdims=True) + 0.1))
        )
    ),
    "transposed": lambda m: anp.sin(m.T) * 2.0,
    "columns": lambda m: m - anp.mean(m, axis=0),
    "stencil": grad(lambda m: anp.sum((m[1:-1, 1:-1] - 0.25 * (m[2:, 1:-1] + m[:-2, 1:-1] + m[1:-1, 2:])) ** 3)),
    "border": lambda m: anp.concatenate([m[:1] * 2.0, m[1:-1], m[-1:] + 1.0]) * anp.cos(m),
    "pairs": lambda m: anp.sum((m[:, None, :] - m[None, :, :]) ** 2, axis=-1),
}


@pytest.mark.parametrize("name", [*VECTORS, *MATRICES])
def test_the_bits_do_not_depend_on_threads(name, cut_everything):
    function, x = (VECTORS[name], X) if name in VECTORS else (MATRICES[name], M)
    whole = jitted_with(1, function, x)
    for threads in (2, 3, 4):
        cut = jitted_with(threads, function, x)
        with config(threads=threads):
            for factor in (1.0, -0.7, 0.0):
                with np.errstate(all="ignore"):
                    assert bits(cut(x * factor)) == bits(whole(x * factor))
            assert program_of(cut, x).function_words


def test_only_large_launches_are_cut():
    small = jitted_with(2, VECTORS["chain"], X)
    assert not program_of(small, X).function_words
    large = RANDOM.randn(500_000)
    with config(threads=2):
        big = jitted_with(2, VECTORS["chain"], large)
        assert program_of(big, large).function_words
        assert big(large).tobytes() == big(large).tobytes()


TOTALS = {
    "sum, with what is added up": value_and_grad(lambda x: anp.sum(anp.sin(x) * x)),
    "two sums": lambda x: (anp.sum(x * x), anp.sum(anp.cos(x))),
    "largest and smallest": lambda x: (anp.max(x * x), anp.min(x)),
    "product": lambda x: anp.prod(1.0 + 1e-3 * x),
    "truth": lambda x: (anp.all(x < 4.5), anp.any(x > 4.5)),
    "single precision": lambda x: anp.sum((x * x).astype(np.float32)),
    "whole numbers": lambda x: anp.sum((100.0 * x).astype(np.int64)),
    "neighbours": value_and_grad(lambda x: anp.sum(anp.tanh(x[1:] - x[:-1]) * x[1:])),
}


@pytest.mark.parametrize("name", TOTALS)
@pytest.mark.parametrize("blocks", [1, 2, 3, 7, 8, 9, 16, 21, 33])
def test_totals_are_those_of_one_thread(name, blocks, cut_everything):
    function, block = TOTALS[name], 64 * lanes("float" if name == "single precision" else "double")
    for size in (blocks * block, blocks * block - 1, blocks * block + 5):
        x = np.random.RandomState(size).randn(size)
        whole = jitted_with(1, function, x)
        for threads in (2, 3):
            with config(threads=threads):
                cut = jitted_with(threads, function, x)
                assert size <= 2 * block or program_of(cut, x).function_words
                with np.errstate(all="ignore"):
                    for given in (x, -x, np.zeros(size), -np.zeros(size), np.where(x > 3, np.nan, x)):
                        assert bits(cut(given)) == bits(whole(given))


def test_totals_over_several_axes(cut_everything):
    """Windows keep the axes apart: parts are rows; the total is cut where rows are a power of two of blocks."""
    stencil = value_and_grad(lambda m: anp.sum((m[1:-1, 1:-1] - 0.25 * (m[2:, 1:-1] + m[1:-1, 2:])) ** 2))
    block = 64 * lanes("double")
    for rows, columns, is_cut in [(37, 29, True), (21, block + 50, True), (12, 4 * block, True), (9, 3 * block, False)]:
        m = np.random.RandomState(1).randn(rows, columns)
        whole = jitted_with(1, stencil, m)
        for threads in (2, 4):
            with config(threads=threads):
                cut = jitted_with(threads, stencil, m)
                assert [how.is_total for how in program_of(cut, m).stages.cuts if how] == [True] * is_cut + [False]
                assert bits(cut(m)) == bits(whole(m))


def test_totals_of_parts_are_folded_as_a_counter_adds_blocks_up():
    """Against the definition: blocks are pushed one by one, entries of one size are joined."""

    def of_one_thread(blocks):
        stack, latest = [], None
        for block in blocks:
            if latest is not None:
                total, size = latest, 1
                while stack and stack[-1][1] == size:
                    total, size = (stack.pop()[0], total), 2 * size
                stack.append((total, size))
            latest = block
        while stack:
            latest = (stack.pop()[0], latest)
        return latest

    for count in range(1, 70):
        for size in (1, 2, 4, 8):
            branches = [of_one_thread(range(start, min(start + size, count))) for start in range(0, count, size)]
            for first, second in folds.order(len(branches)):
                branches[first] = (branches[first], branches[second])
            assert branches[0] == of_one_thread(range(count))


def test_what_waits_for_the_total_of_all_runs_whole(cut_everything):
    """A softmax of one row; and what is no kernel, or adds to memory in an order of its own."""
    for function in (
        lambda x: anp.exp(x - anp.max(x)) / anp.sum(anp.exp(x - anp.max(x))),
        lambda x: anp.cumsum(x),
        grad(lambda x: anp.sum(x[np.array([0, 0, 5, 1])] ** 2)),
    ):
        whole = jitted_with(1, function, X)
        cut = jitted_with(2, function, X)
        assert bits(cut(X)) == bits(whole(X))


def test_a_short_outermost_axis_is_not_the_one_that_is_cut(cut_everything, monkeypatch):
    monkeypatch.setattr(parts, "FEWEST_TURNS", 4)
    columns = np.arange(1.0, 4.0)[:, None]
    x = RANDOM.randn(3, 500)
    cut = jitted_with(2, lambda x: anp.exp(x) * columns * anp.cos(x[0]), x)
    with config(threads=2):
        assert program_of(cut, x).function_words
        assert bits(cut(x)) == bits(jitted_with(1, lambda x: anp.exp(x) * columns * anp.cos(x[0]), x)(x))


def test_what_is_expected_of_a_launch():
    """Memory traffic and strided access count, too: each of these is cut, or not, because of the one or the other."""
    for function, size, is_cut in [
        (lambda m: m * 2.0 + 1.0, 1000, True),
        (lambda m: m * 2.0 + 1.0, 500, False),
        (lambda m: m.T + m, 700, True),
        (lambda m: m + m, 700, False),
        (lambda m: anp.exp(m), 400, True),
        (lambda m: anp.exp(m), 200, False),
        (lambda m: anp.sum(m * m), 1500, True),
        (lambda m: anp.sum(m * m, axis=0), 1500, False),  # short strips
    ]:
        m = np.ones((size, size))
        with config(threads=2):
            assert bool(program_of(jitted_with(2, function, m), m).function_words) == is_cut, (function, size)


@pytest.mark.parametrize(("threads", "is_cut"), [(1, True), (2, False)])
def test_beside_a_product_of_several_threads_less_is_cut(threads, is_cut, monkeypatch):
    monkeypatch.setattr(blas, "threads", lambda: threads)
    monkeypatch.setattr(products, "pays", lambda *sizes: False)  # no product of our own
    small, large = np.ones((400, 400)), np.ones((1200, 1200))
    with config(threads=2):
        for function in (lambda m: anp.exp(m) @ m, lambda m: anp.linalg.solve(anp.eye(len(m)), anp.exp(m))):
            assert bool(program_of(jitted_with(2, function, small), small).function_words) == is_cut
        assert program_of(jitted_with(2, lambda m: anp.exp(m) @ m, large), large).function_words
        alone = jitted_with(2, lambda m: anp.exp(m) + anp.sum(m[:40, :40] @ m[:40, :40]), small)  # for BLAS' one thread
        assert program_of(alone, small).function_words


def test_code_of_numba_adds_up_in_an_order_of_its_own(cut_everything):
    pytest.importorskip("numba")
    with config(threads=2, compiler="numba"):
        totals = jitted_with(2, lambda x: anp.sum(anp.exp(x)), X)
        assert not program_of(totals, X).function_words
        np.testing.assert_allclose(totals(X), np.sum(np.exp(X)), rtol=1e-13)


def test_optimised_code_takes_the_place_of_quick_code(cut_everything, tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(compiling, "_known", weakref.WeakValueDictionary())  # no kernels, in memory or on disk
    registry.clear()
    with config(threads=2):
        function = jit(VECTORS["chain"], compile="never")
        function(X)
        program = program_of(function, X)
        quick = function(X)
        (word,) = program.function_words.values()
        before = int(program.words[word])
        assert before == program.kernels[0].address
        promote.promote(program.kernels)
        assert promote.wait(60)
        assert int(program.words[word]) == program.kernels[0].address != before
        assert bits(function(X)) == bits(quick)


def test_threads_of_python_share_the_pool(cut_everything):
    with config(threads=2):
        registry.clear()
        functions = [jit(f, compile="never") for f in (VECTORS["chain"], VECTORS["roll"], VECTORS["neighbours"])]
        wanted = [bits(function(X)) and bits(function(X)) for function in functions]
        wrong = []

        def call(function, want):
            for _ in range(500):
                if bits(function(X)) != want:
                    wrong.append(function)

        workers = [threading.Thread(target=call, args=pair) for pair in zip(functions * 2, wanted * 2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not wrong


PROGRAM = """
import os, sys, numpy as np, autograd_jit.numpy as anp
from autograd_jit import config, jit
from autograd_jit.lower import parts
parts.LEAST_SECONDS, parts.FEWEST_TURNS = 0.0, 2
config(threads=3, compile="never")
x = np.linspace(0, 1, 5000)
f = jit(lambda x: anp.sin(x) * x)
f(x)
want = f(x).tobytes()
assert f(x).tobytes() == want and f._handle.program((x,), {}).function_words
"""


def run(text):
    return subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM + text], capture_output=True, timeout=60)


def test_a_process_ends_at_once():
    done = run("")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_children_start_threads_of_their_own():
    done = run(
        """
pids = []
for _ in range(8):
    pid = os.fork()
    if not pid:
        same = f(x).tobytes() == want
        g = jit(lambda x: anp.cos(x) * x)
        same = same and all([np.allclose(g(x), np.cos(x) * x, rtol=1e-14) for _ in range(3)])
        os._exit(0 if same and len(os.listdir("/proc/self/task")) == 3 else 1)
    pids.append(pid)
for _ in range(200):
    assert f(x).tobytes() == want
assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
"""
    )
    assert done.returncode == 0, done.stderr.decode()


def test_a_setting_of_one_thread_holds_for_programs_that_exist(cut_everything):
    with config(threads=2):
        cut = jitted_with(2, VECTORS["chain"], X)
        want = bits(cut(X))
        pool = thread_pool._pools[2]
        assert pool.words[0] == 1
        launches = int(pool.words[16]) >> 32
        with config(threads=1):
            assert pool.words[0] == 0 and bits(cut(X)) == want
            assert int(pool.words[16]) >> 32 == launches
        assert pool.words[0] == 1 and bits(cut(X)) == want
        assert int(pool.words[16]) >> 32 > launches


def test_a_part_that_stops_the_run_is_told_of():
    code = compile_ir(
        """
define i64 @kernel(ptr %slots, ptr %args) {
  %count.at = load ptr, ptr %slots
  %before = atomicrmw add ptr %count.at, i64 1 seq_cst
  %status = load i64, ptr %args
  ret i64 %status
}
"""
    )
    calls = ctypes.c_int64(0)
    slots = np.array([ctypes.addressof(calls)], np.int64)
    number = 2 * thread_pool.PARTS_PER_THREAD
    with config(threads=2):
        run_parts = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(executor.utility("agj_parts"))
        for stopped in range(-1, number):
            calls.value = 0
            blocks = [0] + [7 if part == stopped else 0 for part in range(number)] + [0]
            block = np.array([thread_pool.pool(2), code.address("kernel"), 1, *blocks], np.int64)
            assert run_parts(slots.ctypes.data, block.ctypes.data) == (0 if stopped < 0 else 7)
            assert calls.value == number


FLOATING_POINT_MODE = """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define void @note(ptr %mode) {
  call void @llvm.x86.sse.stmxcsr(ptr %mode)
  ret void
}
define void @adopt(ptr %mode) {
  call void @llvm.x86.sse.ldmxcsr(ptr %mode)
  ret void
}
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="it sets a register of that processor")
def test_threads_compute_in_the_mode_of_their_caller(cut_everything):
    """Libraries make threads take subnormal numbers as zero, each thread for itself."""
    code = compile_ir(FLOATING_POINT_MODE, tier="quick")
    note, adopt = (ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code.address(name)) for name in ("note", "adopt"))
    before, flushing = ctypes.c_uint32(), ctypes.c_uint32()
    x = np.linspace(1.0, 2.0, 100_000)
    with config(threads=3):
        tiny = jitted_with(3, lambda x: anp.sin(x) * 1e-155 * x * 1e-155, x)
        assert program_of(tiny, x).function_words and tiny(x).all()
        note(ctypes.addressof(before))
        flushing.value = before.value | 0x8040  # flush to zero, and subnormal operands are zero
        try:
            for _ in range(50):
                adopt(ctypes.addressof(flushing))
                flushed = tiny(x)
                adopt(ctypes.addressof(before))
                assert not flushed.any()
                assert tiny(x).all()
        finally:
            adopt(ctypes.addressof(before))


def test_how_many_threads_there_are_is_checked():
    with pytest.raises(ArgumentError, match=r"config\.threads is a whole number and positive, not 0"):
        config(threads=0)
    with pytest.raises(ArgumentError, match="threads"):
        config(threads=2.0)
