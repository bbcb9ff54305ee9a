"""What a replay waits for: the answer of its guards, not what runs behind them.

With the deferred device nothing runs before it is waited for, so what has run when a call returns is what it waited
for.
"""

from __future__ import annotations

import ctypes
import gc

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit, value_and_grad
from autograd_jit.device_array import to_device
from autograd_jit.divergence import Diverged
from autograd_jit.lower.device_launch import REPORT_BYTES
from autograd_jit.lower.device_memory import COMPARED_BYTES

pytestmark = pytest.mark.emulated(keeps_memory=True)


def guarded(x):
    """A guard, and kernels behind it: a sum, and what takes its total."""
    total = anp.sum(anp.sin(x))
    scaled = anp.cos(x) * total if total > 0 else x
    return scaled / anp.sum(scaled * scaled)


def plain(x):
    return anp.tanh(x) * anp.sum(anp.exp(-x))


def replayed(function, *arguments):
    for _ in range(3):
        function(*arguments)
    assert function.stats.replays >= 2 and function.stats.fallbacks == 0, function.explain()
    return function


def frame_of(function, *arguments):
    return function._handle.program(arguments, {}).new_frame()


X = np.linspace(0.1, 1, 50)


def test_syncs_and_transfers_of_a_guarded_replay(emulated_device):
    compiled = replayed(jit(guarded, target="cuda"), X)
    with emulated_device.counting() as counts:
        found = compiled(X)
    np.testing.assert_allclose(found, guarded(X), rtol=1e-12)
    wanted = {"graph_launches": 2, "h2d": 1, "d2h": 2, "d2d": 0, "syncs": 2, "allocations": 0}
    assert {name: counts[name] for name in wanted} == wanted


def test_a_guard_with_nothing_behind_it_comes_with_the_results(emulated_device):
    compiled = replayed(jit(lambda x: 2.0 if x[0] > 0 else x, target="cuda"), X)
    with emulated_device.counting() as counts:
        assert compiled(X) == 2.0
    assert (counts["d2h"], counts["syncs"], counts["graph_launches"]) == (1, 1, 1)


def test_a_replay_without_guards_waits_once(emulated_device):
    compiled = replayed(grad(lambda x: anp.sum(plain(x)), jit=True, target="cuda"), X)
    with emulated_device.counting() as counts:
        compiled(X)
    assert (counts["d2h"], counts["syncs"], counts["graph_launches"]) == (1, 1, 1)


def test_a_failed_guard_waits_neither_for_kernels_behind_it_nor_for_results(emulated_device):
    compiled = replayed(jit(guarded, target="cuda"), X)
    frame = frame_of(compiled, X)
    with emulated_device.counting() as whole:
        frame.run((X,), ())
    with emulated_device.deferred():
        for _ in range(2):
            with emulated_device.counting() as counts, pytest.raises(Diverged):
                frame.run((-X,), ())
        # What the first of them left ran before the second, in the order of the stream.
        assert counts["launches"] == whole["launches"] and counts["d2h"] == whole["d2h"] and counts["syncs"] == 1
        with emulated_device.counting() as rest:
            emulated_device.check()
        assert 0 < rest["launches"] < whole["launches"] and rest["d2h"] == 1


@pytest.mark.parametrize("size", [50, COMPARED_BYTES // 8 + 1])
def test_results_of_a_run_that_failed_are_discarded(emulated_device, size):
    """A run right behind one whose results are still on their way, on the same frame and on those of other paths."""
    x = np.linspace(0.1, 1, size)
    compiled = replayed(jit(guarded, target="cuda"), x)
    frame = frame_of(compiled, x)
    with emulated_device.deferred():
        for scale in (1.0, 1.5, 2.0):
            with pytest.raises(Diverged):
                frame.run((-x * scale,), ())
            np.testing.assert_allclose(frame.run((x * scale,), ())[0], guarded(x * scale), rtol=1e-12)
        for call in range(8):
            argument = x * (call + 1) * (-1) ** call
            np.testing.assert_allclose(compiled(argument), guarded(argument), rtol=1e-12)
    assert compiled.stats.guard_failures > 0 and compiled.stats.fallbacks == 0


def test_memory_of_a_run_in_flight_is_waited_for(emulated_device):
    compiled = jit(guarded, target="cuda")
    replayed(compiled, X)
    frame = frame_of(compiled, X)
    gc.collect()  # frames of other tests: they wait, too
    with emulated_device.deferred():
        with pytest.raises(Diverged):
            frame.run((-X,), ())
        with emulated_device.counting() as counts:
            del frame
            gc.collect()
        assert counts["d2h"] == 1 and counts["live_pinned"] == -1  # its results came before their memory went


@pytest.mark.parametrize("size", [7, REPORT_BYTES, REPORT_BYTES + 1, 1000])
def test_what_a_guard_found_comes_back_whole(emulated_device, size):
    """Guards over more bytes than the answer has room for, and over fewer: all paths are found again."""
    r = np.random.default_rng(0)

    def chosen(x):
        signs = [1.0 if positive else -2.0 for positive in (x > 0).tolist()]
        return anp.sum(x**2 * np.array(signs))

    arguments = [r.standard_normal(size) for _ in range(3)]
    compiled, want = value_and_grad(chosen, jit=True, target="cuda"), value_and_grad(chosen)
    for x in arguments * 3:
        for found, expected in zip(compiled(x), want(x)):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert compiled.stats.traces == 3 and compiled.stats.fallbacks == 0, compiled.explain()
    assert compiled.stats.guard_failures >= 6
    frame = frame_of(compiled, arguments[0])
    with pytest.raises(Diverged) as diverged:
        frame.run((arguments[1],), ())
    assert diverged.value.actual == (arguments[1] > 0).tobytes()


@pytest.mark.parametrize(("function", "before"), [(plain, 0), (guarded, 1)])
def test_results_that_stay_are_not_waited_for(emulated_device, function, before):
    """A call returns when its arguments are taken and the guards are known. ``before``: whether there are guards."""
    compiled = jit(function, target="cuda")
    replayed(compiled, to_device(X))
    with emulated_device.counting() as whole:
        compiled(to_device(X))
    with emulated_device.deferred():
        there = to_device(X * 1.25)
        with emulated_device.counting() as counts:
            found = compiled(there)
        assert counts["syncs"] == 1 and counts["d2h"] == before
        assert counts["launches"] < whole["launches"] and bool(counts["launches"]) == bool(before)
        np.testing.assert_allclose(found.to_host(), function(X * 1.25), rtol=1e-12)


@pytest.mark.parametrize(
    "address",
    [
        lambda x: x.__cuda_array_interface__["data"][0],
        lambda x: (x.__dlpack__(), x.address)[1],
    ],
)
def test_results_are_there_when_other_libraries_get_them(emulated_device, address):
    """Whether or not they wait for a stream."""
    compiled = jit(guarded, target="cuda")
    replayed(compiled, to_device(X))
    with emulated_device.deferred():
        found = compiled(to_device(X * 1.5))
        read = np.frombuffer(ctypes.string_at(address(found), X.nbytes))
    np.testing.assert_allclose(read, guarded(X * 1.5), rtol=1e-12)


def test_calls_behind_each_other_on_the_device(emulated_device):
    """Each takes the results of the one before, which nobody has waited for; arguments of the host change between."""

    def step(x, rate):
        return x - rate * plain(x)

    compiled = jit(step, target="cuda")
    rate = np.array(0.1)
    replayed(compiled, to_device(X), rate)
    with emulated_device.deferred():
        found, want = to_device(X), X
        for number in range(6):
            rate[...] = 0.1 * number
            found, want = compiled(found, rate), step(want, 0.1 * number)
        np.testing.assert_allclose(found.to_host(), want, rtol=1e-12)
    assert compiled.stats.fallbacks == 0


def test_an_argument_of_another_library_may_be_overwritten_after_the_call(emulated_device):
    from tests.emulated.test_device_array import Foreign

    compiled = jit(plain, target="cuda")
    replayed(compiled, Foreign(to_device(X)))
    with emulated_device.deferred():
        there, others = to_device(X), np.zeros_like(X)
        found = compiled(Foreign(there))
        ctypes.memmove(there.address, others.ctypes.data, others.nbytes)  # as another stream would, at once
        np.testing.assert_allclose(found.to_host(), plain(X), rtol=1e-12)
