"""A tape replayed over NumPy gives the recorded call's bits. All registered functions: tests/lower/test_registry.py."""

import tracemalloc

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import jit
from autograd_jit.divergence import Diverged
from autograd_jit.extend import primitive
from autograd_jit.trace import tree
from autograd_jit.trace.recorder import Recorder
from autograd_jit.trace.reverse import make_vjp_leaves
from autograd_jit.trace.tape_replay import LARGE, TapeReplay

X = np.linspace(-1.0, 2.0, 7)


def recorded(function, *leaves):
    recorder = Recorder("tape")
    tape = recorder.finish(function(*[recorder.add_input(leaf, f"x{i}") for i, leaf in enumerate(leaves)]))
    assert recorder.invalid is None
    return tape


def replayed(function, traced, leaves):
    """What a tape traced at some leaves gives at others."""
    tape = recorded(function, *traced)
    return tree.unflatten(tape.structure, TapeReplay(tape).run(leaves))


def assert_same_bits(got, want):
    assert type(got) is type(want)
    assert np.asarray(got).dtype == np.asarray(want).dtype
    assert np.asarray(got).tobytes() == np.asarray(want).tobytes()


def gradient(x):
    pull, _, _ = make_vjp_leaves(lambda boxes: [anp.sum(anp.tanh(boxes[0])[1:] * boxes[0][:-1] ** 3)], [x])
    return pull([np.ones(())])[0]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: anp.exp(x) * 2.0 + x[::-1],
        lambda x: anp.concatenate([x[1:], 3.0 * x[:1], np.arange(3.0)]),
        lambda x: anp.sum(x * x, axis=0, keepdims=True),
        lambda x: anp.linalg.eigh(anp.outer(x, x) + np.eye(7))[0],
        gradient,
    ],
)
def test_same_bits_at_other_values(function):
    other = np.cos(X)
    want = function(other)
    assert_same_bits(replayed(function, [X], [other]), want)


@pytest.mark.parametrize("kind", [float, np.float64, np.float32, complex, int])
def test_python_numbers_stay_python_numbers(kind):
    """Otherwise they would decide the precision of what they meet."""
    function = lambda s, x: (s * 2 + 1, x / (s - 0.5) * np.float32(3))
    x = X.astype(np.float32)
    for got, want in zip(replayed(function, [kind(1), x], [kind(3), x]), function(kind(3), x), strict=True):
        assert_same_bits(got, want)


def test_division_of_python_numbers_raises_as_python_does():
    tape = recorded(lambda a, b: a / b, 1.0, 2.0)
    with pytest.raises(ZeroDivisionError):
        TapeReplay(tape).run([1.0, 0.0])


@pytest.mark.parametrize(
    ("function", "other"),
    [
        (lambda x: x * 2 if anp.sum(x) > 0 else x, -X - 5),
        (lambda x: x[int(x[0]) % 2], X + 1.5),
        (lambda x: x * float(x[1]), X + 1),
        (lambda x: x[x > 0.6], X + 1),
    ],
)
def test_other_paths_diverge(function, other):
    tape = recorded(function, X)
    replay = TapeReplay(tape)
    assert_same_bits(replay.run([X])[0], function(X))
    with pytest.raises(Diverged):
        replay.run([other])


def test_a_guard_that_fails_tells_its_number_and_what_it_found():
    tape = recorded(lambda x: x * 2 if anp.sum(x) > 0 and x[0] < 0 else x, X)
    with pytest.raises(Diverged) as caught:
        TapeReplay(tape).run([X + 2])
    assert (caught.value.guard, caught.value.actual) == (1, b"\0")
    assert "truth was True, now False" in str(caught.value)


def test_results_that_are_constants_are_the_callers_own():
    constant = np.arange(3.0)
    shared = recorded(lambda x: [anp.broadcast_arrays(x, constant)[1], x + 1], np.ones(3))
    plain = recorded(lambda x: [constant, x + 1], np.ones(3))
    for replay in (TapeReplay(shared), TapeReplay(plain)):
        for _ in range(2):
            result = replay.run([np.ones(3)])[0]
            np.testing.assert_array_equal(result, np.arange(3.0))
            result[:] = -1


def test_a_constant_that_a_step_gives_back_is_the_callers_own():
    """A user's primitive that looks at its data is a step, and may return any of its arguments, by keyword, too."""

    @primitive
    def chosen(x, table=None):
        return table if float(x[0]) > -100 else 2 * table

    function = jit(lambda x: (chosen(x, table=np.array([1.0, 2.0])), x * 2))
    replay = TapeReplay(function.tape(np.ones(2)))
    for _ in range(2):
        result = replay.run([np.ones(2)])[0]
        np.testing.assert_array_equal(result, [1.0, 2.0])
        result[:] = -1.0


def test_large_values_are_let_go_of_after_their_last_use():
    def chain(x):
        for _ in range(6):
            x = anp.cumsum(x)  # which needs memory of its own
        return x

    size = 2**17
    assert size > LARGE
    x = np.ones(size // 8)
    replay = TapeReplay(recorded(chain, x))
    tracemalloc.start()
    try:
        result = replay.run([x])[0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(result, chain(x))
    assert 2 * size <= peak < 3.5 * size


def test_several_results_and_keywords():
    function = lambda x: anp.linalg.qr(anp.reshape(x[:4], (2, 2)))
    got, want = replayed(function, [X], [np.cos(X)]), function(np.cos(X))
    for one, other in zip(got, want, strict=True):
        assert_same_bits(one, np.asarray(other))


@pytest.mark.parametrize("ufunc", [anp.add, anp.subtract, anp.multiply, anp.true_divide])
def test_numbers_are_computed_as_ufuncs_do(ufunc):
    """Their own operators take a fifth of the time; which numbers come out must not depend on that."""
    special = np.array([0.0, -0.0, 1.0, -3.5, 5e-324, 1.7e308, -1.7e308, np.inf, -np.inf, np.nan])
    tape = recorded(lambda x: (ufunc(x[0], x[1]), -x[0]), np.array([1.0, 2.0]))
    replay = TapeReplay(tape)
    with np.errstate(all="ignore"):
        for a in special:
            for b in special:
                answer, negated = replay.run([np.array([a, b])])
                assert_same_bits(answer, ufunc(a, b))
                assert_same_bits(negated, np.negative(a))


def test_large_results_take_the_memory_of_operands_that_die():
    """And of no others: not of inputs, results, views, what views are made of, or what is read once more."""

    def function(x):
        kept = anp.sin(x)
        view = anp.cos(x)[::2]
        y = anp.exp(x) * 2.0  # the exponential dies here
        z = y + kept  # y is read once more
        w = -(z * y) + x
        return kept, view, w, anp.sum(w * w), w + w, w.reshape(2, -1)

    x = np.linspace(-1.0, 1.0, LARGE)
    replay, other = TapeReplay(recorded(function, x)), np.cos(3.0 * x)
    before, want = other.copy(), function(other)
    for _ in range(3):
        got = replay.run([other])
        for one, wanted in zip(got, want, strict=True):
            assert_same_bits(one, wanted)
        assert np.array_equal(other, before)
    assert any(step.function is not step.op.prim.fun for step in replay._steps)

    def chain(x):
        for _ in range(10):
            x = anp.sin(x) * 1.5 + 0.25
        return x

    replay = TapeReplay(recorded(chain, x))
    tracemalloc.start()
    replay.run([other])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * x.nbytes
