"""Quick code first, full code when hot: swapped while programs run, and nobody sees a difference."""

from __future__ import annotations

import functools
import gc
import os
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import autograd_jit.numpy as anp
from autograd_jit import config, grad, jit, known_programs, recorded
from autograd_jit.errors import ArgumentError
from autograd_jit.kernels.llvm import CodegenError, compile_ir
from autograd_jit.known_programs import registry
from autograd_jit.lower import compile as compiling
from autograd_jit.lower import promote as promoting
from autograd_jit.lower.emit_llvm import emit
from tests.lower import graphs as running
from tests.lower.graphs import by_kernels, run_native
from tests.lower.random_graphs import graphs

pytestmark = [pytest.mark.cpu, pytest.mark.in_background]

X = np.linspace(-1, 1, 50)


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """No programs, no kernels in memory or on disk; tapes are lowered after the first call."""
    registry.clear()
    monkeypatch.setattr(recorded.Recorded, "is_slow", True)
    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(compiling, "_known", weakref.WeakValueDictionary())


def loss(x):
    return anp.sum(anp.exp(-x * x) * anp.sin(3.0 * x))


def made(mode=None):
    return jit(grad(loss), compile=mode)


def tiers(function) -> set[str]:
    return {kernel.tier for kernel in function._handle.program((X,), {}).kernels}


def test_the_second_call_makes_a_program_hot():
    function = made()
    function(X)
    assert tiers(function) == {"quick"}
    quick = function(X)
    assert promoting.wait(30) and tiers(function) == {"full"}
    assert function(X).tobytes() == quick.tobytes()


def test_every_table_gets_the_new_addresses():
    function = made()
    quick = function(X), function(X)
    assert promoting.wait(30)
    program = function._handle.program((X,), {})
    assert program.kernel_at and len(program.all_frames) >= 1
    for position, kernel in program.kernel_at.items():
        assert program.table[position][0] == kernel.address == kernel.code.address("kernel")
        assert all(frame.table[position, 0] == kernel.address for frame in program.all_frames)
    assert function(X).tobytes() == quick[1].tobytes()


@pytest.mark.parametrize(("mode", "expected"), [("eager", "full"), ("never", "quick")])
def test_other_modes_stay_at_their_tier(mode, expected):
    function = made(mode)
    for _ in range(3):
        function(X)
    assert promoting.wait(30) and tiers(function) == {expected}


def test_eager_after_quick_gets_full_code():
    first, second = made("never"), made("eager")
    first(X), second(X)
    assert tiers(second) == {"full"}


def test_config_sets_the_mode():
    with config(compile="eager"):
        function = made()
        function(X)
    assert tiers(function) == {"full"}


def test_lazy_calls_run_interpreted_until_compiling_is_worth_its_time(monkeypatch):
    monkeypatch.setattr(known_programs, "LOWERING_SECONDS", np.inf)
    function = made("lazy")
    want = grad(loss)(X)
    for _ in range(20):
        assert function(X).tobytes() == want.tobytes()
    assert function.stats.traces == 0 and function.stats.deferred == 20
    monkeypatch.setattr(known_programs, "LOWERING_SECONDS", 0.0)
    monkeypatch.setattr(known_programs, "LOWERING_CALLS", 0)
    for _ in range(5):
        np.testing.assert_allclose(function(X), want, rtol=1e-12, atol=1e-14)
    stats = function.stats
    assert stats.traces == 1 and stats.replays == 4 and stats.calls == 25 and stats.fallbacks == 0
    assert promoting.wait(30) and tiers(function) == {"full"}


def test_lazy_programs_are_made_for_whom_wants_to_see_them():
    function = made("lazy")
    assert "def" in str(function.tape(X)) and function.stats.traces == 1
    assert function(X) is not None and function.stats.replays == 1


def test_lazy_calls_that_raise_raise_as_they_do_interpreted():
    def wrong(x):
        return anp.dot(x, anp.ones(3))

    function = jit(wrong, compile="lazy")
    for _ in range(3):
        with pytest.raises(ValueError, match="aligned"):
            function(X)
    assert function.stats.deferred == 3


def test_an_unknown_mode_is_refused():
    with pytest.raises(ArgumentError, match="background"):
        made("soon")


def test_a_second_process_would_find_both_tiers():
    function = made()
    function(X), function(X)
    promoting.wait(30)
    compiling._known.clear()
    other = made("background")
    other(X)
    assert tiers(other) == {"full"} and other.stats.kernels_compiled == 0


def test_what_full_code_rejects_stays_quick(monkeypatch, caplog):
    def reject(text, *, name_hint="", tier="full"):
        if tier == "full":
            raise CodegenError("too clever")
        return compile_ir(text, name_hint=name_hint, tier=tier)

    monkeypatch.setattr(compiling, "compile_ir", reject)
    function = made()
    want = function(X)
    for _ in range(3):
        np.testing.assert_allclose(function(X), want, rtol=1e-12)
    assert promoting.wait(30) and tiers(function) == {"quick"}
    assert "too clever" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_died_is_replaced(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(promoting, "_compile", lambda kernel: (_ for _ in ()).throw(SystemExit))
        first = made()
        first(X), first(X)
        promoting.wait(30)
    assert tiers(first) == {"quick"}
    second = jit(lambda x: anp.cos(x) * anp.tanh(x))
    second(X), second(X)
    assert promoting.wait(30) and tiers(second) == {"full"}


def test_swapping_under_running_threads_changes_no_bit():
    """The table's entries go to and fro between the tiers while four threads run the program."""
    function = made("never")
    want = function(X), function(X)
    program = function._handle.program((X,), {})
    kernels = {id(kernel): kernel for kernel in program.kernels}.values()
    full = [(kernel, kernel.address, compile_ir(emit(kernel.kernel))) for kernel in kernels]
    stop, wrong, runs = threading.Event(), [], []

    def run():
        count = 0
        while not stop.is_set():
            count += 1
            if function(X).tobytes() != want[1].tobytes():
                wrong.append(count)
        runs.append(count)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for round_number in range(2000):
        for kernel, quick, code in full:
            with compiling.swap_lock:
                kernel.address = quick if round_number % 2 else code.address("kernel")
                program.relink(kernel)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong and all(runs)


def test_code_goes_with_its_program(monkeypatch):
    monkeypatch.setattr(compiling, "_known", weakref.WeakValueDictionary())
    function = made("never")
    function(X)
    assert tiers(function) == {"quick"} and compiling.code_bytes() >= 4096
    function.clear()
    gc.collect()
    assert compiling.code_bytes() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_promotes_for_itself():
    program = """
import os, numpy as np, autograd_jit.numpy as anp
from autograd_jit import jit, recorded
from autograd_jit.lower import promote
f = jit(lambda x: anp.exp(x) * anp.sin(x)); x = np.ones(9)
recorded.Recorded.is_slow = True  # lowered after the first call
f(x); want = f(x)
children = []
for i in range(6):
    pid = os.fork()
    if not pid:
        g = jit(lambda x: anp.cos(anp.exp(x)) / x)
        ok = np.array_equal(f(x), want); g(x); g(x)
        ok = ok and promote.wait(30) and {k.tier for k in g._handle.program((x,), {}).kernels} == {"full"}
        os._exit(not ok)
    children.append(pid)
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_process_ends_while_kernels_are_compiled():
    program = """
import numpy as np, autograd_jit.numpy as anp
from autograd_jit import jit
x = np.ones(9)
for n in range(12):
    f = jit(lambda x, n=n: anp.sin(x) ** (n + 1) + sum([anp.exp(x * float(i)) for i in range(n)]))
    f(x); f(x)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_two_thousand_traces_add_under_fifty_megabytes():
    """200 shapes times 10 paths of one function."""
    program = """
import numpy as np, autograd_jit.numpy as anp
from autograd_jit import grad
from autograd_jit.lower import compile as c, promote
def loss(x):
    y, n = x, 0
    while n < 10 and anp.sum(x) > n:
        y, n = anp.sin(y) * x, n + 1
    return anp.sum(y)
def rss(): return int(open("/proc/self/statm").read().split()[1]) * 4096
g = grad(loss, jit=True)
g(np.full(3, 0.2)); g(np.full(3, 0.2)); promote.wait()
before = rss()
for shape in range(1, 201):
    for path in range(10):
        x = np.full(shape + 3, (path + 0.5) / (shape + 3)); g(x); g(x)
promote.wait()
print(g.stats.traces, (rss() - before) / 1e6, c.code_bytes() / 1e6)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=500)
    traces, megabytes, code = map(float, done.stdout.split())
    print(f"{traces:.0f} traces, {megabytes:.1f} MB, {code:.1f} MB of code")
    assert traces >= 2000 and megabytes < 50


def at_tier(tier, kernel):
    code = compile_ir(emit(kernel), tier=tier)
    return compiling.CompiledKernel(kernel, code, code.address("kernel"), "compiled", 0.0, tier=tier)


def test_both_tiers_give_the_same_bits(monkeypatch):
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(graphs())
    def check(case):
        graph, arrays, _ = case
        answers = []
        for tier in ("quick", "full"):
            monkeypatch.setattr(running, "compile_kernel", functools.partial(at_tier, tier))
            answers.append([out.tobytes() for out in by_kernels(graph, arrays, run_native)])
        assert answers[0] == answers[1]

    check()


def test_the_log_tells_of_traces_compiles_cache_hits_and_the_full_tier(caplog):
    with caplog.at_level("DEBUG", "autograd_jit"):
        function = made()
        function(X), function(X)
        assert promoting.wait(30)
        compiling._known.clear()
        other = made("background")
        other(X)
        assert other.stats.kernels_loaded > 0
    for expected in ("traced in", "compiled: kernel of", "full tier of a kernel ready", "cache hit: kernel of"):
        assert expected in caplog.text


@pytest.mark.parametrize("is_terminal", [False, True])
def test_progress_is_shown_on_a_terminal_only(monkeypatch, capsys, is_terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    function = made()
    function(X)
    assert function.stats.kernels_compiled > 0
    assert ("kernels ready" in capsys.readouterr().err) is is_terminal


def test_the_first_lazy_calls_only_run_the_function():
    """No imports, no look at what it captures: those alone take 30 ms."""
    program = """
import sys, numpy as np, autograd_jit.numpy as anp
from autograd_jit import grad
f, x = grad(lambda x: anp.sum(anp.sin(x)), jit=True, compile="lazy"), np.ones(9)
grad(lambda x: anp.sum(anp.sin(x)))(x)
before = set(sys.modules)
f(x), f(x)
assert set(sys.modules) == before, set(sys.modules) - before
assert f.stats.deferred == 2 and "not yet worth its time" in f.explain(), f.explain()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_functions_that_are_made_anew_wait_together():
    def made_anew(factor):
        return jit(lambda x: anp.sin(x) * factor, compile="lazy")

    made_anew(1.0)(X)
    waiting = known_programs.waiting_of(made_anew(1.0)._handle.operator, made_anew(1.0)._handle.fun)
    assert waiting.seconds > 0
    waiting.seconds = np.inf
    function = made_anew(1.0)
    assert function(X) is not None and function(X) is not None
    assert (function.stats.deferred, function.stats.traces, function.stats.replays) == (0, 1, 1)
