"""Between trace and compiled code: who waits for what, and that nobody sees a difference."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import background, config, grad, jit, recorded
from autograd_jit.known_programs import registry
from autograd_jit.lower import program as lowering_of_tapes
from autograd_jit.trace.tape_replay import TapeReplay

pytestmark = [
    pytest.mark.in_background,
    pytest.mark.skipif(config.target != "cpu", reason="a device's programs are lowered at once"),
]
X = np.linspace(-1, 1, 50)


@pytest.fixture(autouse=True)
def fresh():
    background.wait(30)
    registry.clear()


def loss(x):
    return anp.sum(anp.exp(-x * x) * anp.sin(3.0 * x))


def is_lowered(function, position=0):
    (entry, *others) = function._handle.compiled.entries.values()
    return [path.program.is_lowered for each in (entry, *others) for path in each.paths][position]


@pytest.fixture
def at_once(monkeypatch):
    """Every call counts as slow: its tape is lowered from the first one on."""
    monkeypatch.setattr(recorded.Recorded, "is_slow", True)


@pytest.fixture
def held_back(monkeypatch, at_once):
    """Lowering that is begun in the first call and waits to be let go; gives the events for that and its beginning."""
    go, begun, lower = threading.Event(), threading.Event(), lowering_of_tapes.lower

    def slow(*args):
        begun.set()
        assert go.wait(60)
        return lower(*args)

    monkeypatch.setattr(lowering_of_tapes, "lower", slow)
    yield go, begun
    go.set()
    background.wait(30)


def test_the_first_call_does_not_wait(held_back):
    go, begun = held_back
    function = grad(loss, jit=True)
    want = grad(loss)(X)
    assert function(X).tobytes() == want.tobytes()
    assert begun.wait(30) and not is_lowered(function)
    go.set()
    assert function.stats.kernels_compiled + function.stats.kernels_loaded > 0 and is_lowered(function)


def test_a_short_tape_is_waited_for(held_back):
    go, begun = held_back
    function = grad(loss, jit=True)
    function(X)
    assert begun.wait(30)
    threading.Timer(0.2, go.set).start()
    np.testing.assert_allclose(function(X), grad(loss)(X), rtol=1e-12, atol=1e-14)
    assert is_lowered(function) and (function.stats.traces, function.stats.replays) == (1, 1)


def test_a_long_one_replays_over_numpy_meanwhile(held_back, monkeypatch):
    monkeypatch.setattr(recorded, "SHORT_TAPE", 5)
    go, begun = held_back
    function = grad(loss, jit=True)
    function(X)
    assert begun.wait(30)
    for factor in (1.0, 2.0, 3.0):
        assert function(X * factor).tobytes() == grad(loss)(X * factor).tobytes()
    assert not is_lowered(function) and function.stats.replays == 3
    go.set()
    background.wait(30)
    np.testing.assert_allclose(function(X), grad(loss)(X), rtol=1e-12, atol=1e-14)
    assert is_lowered(function) and function.stats.replays == 4 and function._handle.fast((X,)) is not None


def test_so_do_many_kernels_that_are_on_no_disk(monkeypatch, tmp_path, at_once):
    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(recorded, "FEW_KERNELS", 0)
    go, began = threading.Event(), threading.Event()
    kernels = lowering_of_tapes.compile_kernels

    def slow(all_kernels, mode, formed):
        def told(missing):
            formed(missing)
            began.set()
            assert go.wait(60)

        return kernels(all_kernels, mode, told)

    monkeypatch.setattr(lowering_of_tapes, "compile_kernels", slow)
    function = jit(lambda x: anp.sin(x) * 0.1234567891 + anp.cumsum(x))
    function(X)
    assert began.wait(30)
    function(X)
    assert not is_lowered(function) and function.stats.replays == 1
    go.set()
    assert function.stats.kernels_compiled > 0


def test_twenty_calls_run_over_numpy():
    function = grad(loss, jit=True)
    for _ in range(20):
        assert function(X).tobytes() == grad(loss)(X).tobytes()
    background.wait(30)
    assert not is_lowered(function) and function.stats.replays == 19
    function(X), function(X)  # the first of these begins, the second waits
    assert is_lowered(function)


def test_fewer_where_they_have_saved_what_lowering_takes(monkeypatch):
    function = grad(loss, jit=True)
    function(X)
    program = function._handle.program((X,), {})  # lowered for who asks
    kept = recorded.Recorded(program.tape)
    assert not kept.is_slow and not kept.is_worth_lowering
    needed = next(kept.calls for kept.calls in range(1, 10_000) if kept.is_worth_lowering)
    assert needed == recorded.MANY_CALLS + 1
    kept._cost = kept.operations, kept.lowering_seconds / 2
    needed = next(kept.calls for kept.calls in range(1, 100) if kept.is_worth_lowering)
    assert needed == 5  # four replays have saved half of an interpreted call each
    assert not kept.is_slow
    kept._cost = kept.operations, kept.lowering_seconds
    kept.calls = 1
    assert kept.is_slow and kept.is_worth_lowering


def test_the_first_lowering_of_a_process_counts_for_more(monkeypatch):
    function = grad(loss, jit=True)
    function(X)
    kept = recorded.Recorded(function.tape(X))
    later = kept.lowering_seconds
    monkeypatch.setattr(recorded, "COMPILER", "a module that is not there")
    assert kept.lowering_seconds - later == pytest.approx(recorded.FIRST_LOWERING_SECONDS - recorded.LOWERING_SECONDS)


def test_what_is_lowered_while_its_tape_runs_is_optimised_like_any_other(monkeypatch, at_once):
    """The call that finds it lowered is not the one that ran it."""
    function = grad(loss, jit=True)
    function(X), function(X[:20])
    run = recorded.Recorded.run

    def run_and_lower(self, *args):
        answer = run(self, *args)
        function._handle.program((X[:20],), {})
        return answer

    monkeypatch.setattr(recorded.Recorded, "run", run_and_lower)
    function(X[:20])
    background.wait(60)
    assert {kernel.tier for kernel in function._handle.program((X[:20],), {}).kernels} == {"full"}


def test_who_asks_has_lowered_what_ran_first_or_came_again():
    function = grad(loss, jit=True)
    function(X), function(X[:20])
    assert "it has not come again" in function.explain()
    assert is_lowered(function, 0) and not is_lowered(function, 1)
    assert function(X[:20]).tobytes() == grad(loss)(X[:20]).tobytes()
    assert "it has not come again" not in function.explain()
    assert is_lowered(function, 1)
    for _ in range(2):
        np.testing.assert_allclose(function(X[:20]), grad(loss)(X[:20]), rtol=1e-12, atol=1e-14)
    assert (function.stats.traces, function.stats.replays) == (2, 3)


def test_other_paths_are_found_before_they_are_lowered():
    def branching(x):
        return anp.sum(x**2) if anp.sum(x) > 0 else anp.sum(anp.sin(x))

    function, plain = grad(branching, jit=True), grad(branching)
    for sign in (1, -1, 1, -1, -1, 1, 1, -1):
        np.testing.assert_allclose(function(X + sign), plain(X + sign), rtol=1e-12)
    assert function.stats.traces == 2


@pytest.mark.parametrize("mode", ["eager", "never", "background"])
def test_who_looks_at_kernels_gets_them(mode):
    function = grad(loss, jit=True, compile=mode)
    assert "exp" in str(function.kernels(X)) and is_lowered(function)
    assert "exp" in str(function.tape(X))


def test_eager_is_lowered_in_the_first_call():
    function = grad(loss, jit=True, compile="eager")
    function(X), function(X[:20])
    assert is_lowered(function, 0) and is_lowered(function, 1)


def test_draws_are_made_once_each():
    rng = anp.random.RandomState(0)

    def noisy(x):
        return anp.sum(x * rng.randn(3)) + (rng.rand() if anp.sum(x) > 2.5 else 0.0)

    function, xs = jit(noisy), [np.ones(3) * f for f in (1.0, 0.5, 1.0, 0.5, 0.5, 1.0)]
    got = [function(x) for x in xs]
    rng.seed(0)
    np.testing.assert_allclose(got, [noisy(x) for x in xs], rtol=1e-14)


def test_errors_are_those_of_the_interpreted_call(monkeypatch):
    monkeypatch.setattr(background, "submit", lambda job: True)  # never lowered
    function = jit(lambda x: anp.linalg.inv(anp.reshape(x, (2, 2))))
    function(np.array([1.0, 2.0, 3.0, 4.0]))
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        function(np.ones(4))
    assert function(np.array([2.0, 0.0, 0.0, 4.0]))[0, 0] == 0.5 and function.stats.replays == 1


def test_threads_that_come_while_it_is_lowered(held_back):
    go, begun = held_back
    function = grad(loss, jit=True)
    function(X)
    assert begun.wait(30)
    answers = []
    threads = [threading.Thread(target=lambda f=f: answers.append((f, function(X * f)))) for f in (1.0, 2.0, 3.0, 4.0)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    go.set()
    for thread in threads:
        thread.join()
    for factor, answer in answers:
        np.testing.assert_allclose(answer, grad(loss)(X * factor), rtol=1e-12, atol=1e-14)
    assert function.stats.traces == 1 and len(answers) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_does_not_wait_for_its_parents_thread(held_back):
    _, begun = held_back
    function = grad(loss, jit=True)
    want = function(X)
    assert begun.wait(30)
    pid = os.fork()
    if not pid:
        os._exit(0 if function(X).tobytes() == want.tobytes() and function.stats.replays == 1 else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_lowering_that_fails_is_told_once(monkeypatch, at_once):
    monkeypatch.setattr(lowering_of_tapes, "lower", lambda *args: 1 / 0)
    function = grad(loss, jit=True)
    function(X)
    background.wait(30)
    with pytest.warns(match="lowering failed"):
        function(X)
    assert function(X).tobytes() == grad(loss)(X).tobytes() and function.stats.fallbacks == 2


def test_a_lowering_that_the_user_interrupts_is_made_later(monkeypatch):
    lower, interrupts = lowering_of_tapes.lower, [KeyboardInterrupt()]

    def interrupted(*args):
        if interrupts:
            raise interrupts.pop()
        return lower(*args)

    monkeypatch.setattr(lowering_of_tapes, "lower", interrupted)
    function = grad(loss, jit=True, compile="never")
    with pytest.raises(KeyboardInterrupt):
        function(X)
    for _ in range(2):
        np.testing.assert_allclose(function(X), grad(loss)(X), rtol=1e-12, atol=1e-14)
    assert is_lowered(function)


def test_a_path_that_functions_share_is_lowered_once(held_back, monkeypatch):
    go, begun = held_back
    first, second = grad(loss, jit=True), grad(loss, jit=True)
    first(X)
    assert begun.wait(30)
    begun.clear()
    threads = [threading.Thread(target=function, args=(X,)) for function in (first, second, second)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    assert not begun.is_set()
    go.set()
    for thread in threads:
        thread.join()
    assert second.stats.replays == 2 and second.stats.traces == 0 and is_lowered(second)


def test_a_process_that_ends_at_once_ends_quietly():
    program = (
        "import numpy as np, autograd_jit.numpy as anp\nfrom autograd_jit import grad\n"
        "grad(lambda x: anp.sum(anp.sin(x)), jit=True)(np.ones(3))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_results_over_numpy_alias_as_interpreted_ones(monkeypatch):
    monkeypatch.setattr(background, "submit", lambda job: True)
    function = jit(lambda x: (x[1:], x * 2))
    function(X)
    x = X.copy()
    view, other = function(x)
    assert np.shares_memory(view, x) and not np.shares_memory(other, x) and function.stats.replays == 1


def test_the_tape_is_made_ready_once(monkeypatch):
    made = []
    monkeypatch.setattr(background, "submit", lambda job: True)
    monkeypatch.setattr(recorded, "TapeReplay", lambda tape: made.append(tape) or TapeReplay(tape))
    function = grad(loss, jit=True)
    for _ in range(4):
        function(X)
    assert len(made) == 1


def test_a_busy_loop_does_not_keep_the_lock_from_the_thread_that_lowers(monkeypatch, at_once):
    """Calls of NumPy on arrays of this size give the lock up and take it back before anybody else can."""
    monkeypatch.setattr(recorded, "SHORT_TAPE", 0)

    def chain(x):
        for _ in range(60):
            x = anp.sin(x) * 1.01 + 0.1
        return anp.sum(x)

    function, x = grad(chain, jit=True), np.linspace(0, 1, 3000)
    for _ in range(1000):
        function(x)
        if is_lowered(function):
            break
    assert is_lowered(function)


def test_the_switch_interval_is_put_back(held_back):
    before = sys.getswitchinterval()
    go, begun = held_back
    function = grad(loss, jit=True)
    function(X)
    assert begun.wait(30) and sys.getswitchinterval() <= before
    go.set()
    background.wait(30)
    assert sys.getswitchinterval() == before


def test_what_is_made_for_replays_is_kept_for_some_signatures_only():
    function, plain = jit(lambda x: anp.sin(x) * 2.0), lambda x: np.sin(x) * 2.0
    points = [np.linspace(0.0, 1.0, size) for size in range(2, recorded.MANY_TAPES + 12)]
    for _ in range(3):
        for x in points:
            assert function(x).tobytes() == plain(x).tobytes()
    programs = [path.program for entry in function._handle.compiled.entries.values() for path in entry.paths]
    assert sum(["replay" in program.__dict__ for program in programs]) <= recorded.MANY_TAPES
    assert (function.stats.traces, function.stats.replays) == (len(points), 2 * len(points))
