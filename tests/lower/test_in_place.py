"""Results that take the memory of an operand. Random programs do at any size: tests/test_jit_random_programs.py."""

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit

pytestmark = pytest.mark.cpu
X = np.linspace(-1.0, 1.0, 1000)
M = np.linspace(-1.0, 1.0, 10_000).reshape(100, 100)


def arena_of(function, *args):
    """Bytes of the arena of a compiled function, whose answers are those of the plain one."""
    jitted = jit(function, compile="never")
    for factor in (1.0, -0.5, 2.0):
        changed = [arg * factor for arg in args]
        got, want = jitted(*changed), function(*changed)
        # another element would differ in the third digit; differences from means cancel
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12 * (1.0 + np.max(np.abs(want))))
    return jitted._handle.program(args, {}).arena_bytes


def scaled(x):  # the sum keeps the steps from becoming one loop
    return x / anp.sum(x * x)


def test_a_chain_lives_in_its_result():
    def chain(x):
        for _ in range(5):
            x = anp.sin(scaled(x))
        return x

    assert arena_of(chain, X) < X.nbytes


def test_a_result_that_ends_in_a_number_needs_one_array():
    def chain(x):
        for _ in range(5):
            x = anp.sin(scaled(x))
        return anp.sum(x)

    assert X.nbytes <= arena_of(chain, X) < 2 * X.nbytes


def test_the_gradient_of_a_log_sum_exp():
    gradient = grad(lambda x: anp.log(anp.sum(anp.exp(x - anp.max(x)))))
    assert arena_of(gradient, X) < 2 * X.nbytes


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y[1:] * y[:-1],  # another element than the one that is written
        lambda y: y[::-1] * 2.0,
        lambda y: anp.roll(y, 1) - y,
        lambda y: anp.concatenate([y[500:], y[:500]]) * y,
        lambda y: anp.outer(y[:50], y[50:100]),
        lambda y: (y > 0) * 3,
        lambda y: anp.where(y > 0.1, y[0], y),
        lambda y: y[(anp.arange(1000) * 7) % 1000] + y,
        lambda y: (y * 2.0).astype(np.float32),
        lambda y: anp.cumsum(y) * y,
        lambda y: anp.exp(y - anp.max(y)) / anp.sum(anp.exp(y - anp.max(y))) + y,  # read once more at the end of a row
    ],
)
def test_what_is_read_elsewhere_is_not_overwritten(function):
    arena_of(lambda x: function(scaled(x)), X)


@pytest.mark.parametrize(
    "function",
    [
        lambda m: m.T * m,
        lambda m: m - anp.mean(m, axis=1, keepdims=True),
        lambda m: m - anp.mean(m, axis=0),
        lambda m: anp.exp(m) / anp.sum(anp.exp(m), axis=1, keepdims=True) * m,
        lambda m: (m - anp.mean(m, axis=1, keepdims=True)) / anp.std(m, axis=1, keepdims=True) + m,
        lambda m: m[::-1, ::-1] + m[:, :1] * m[:1],
        lambda m: anp.stack([m, m * 2.0]),
    ],
)
def test_matrices(function):
    arena_of(lambda m: function(scaled(m)), M)
    arena_of(grad(lambda m: anp.sum(anp.sin(function(scaled(m))))), M)


def test_an_argument_is_never_overwritten():
    jitted, x = jit(lambda x: anp.sin(scaled(x)) + x), X.copy()
    first = jitted(x)
    second = jitted(x)
    assert np.array_equal(x, X) and np.array_equal(first, second) and not np.shares_memory(first, second)


def test_results_of_which_one_is_an_operand_of_the_other():
    jitted = jit(lambda x: (scaled(x), anp.cos(scaled(x)), scaled(x)[::2]))
    for _ in range(2):
        for got, want in zip(jitted(X), (scaled(X), np.cos(scaled(X)), scaled(X)[::2]), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-13)


def test_what_python_looks_at_stays_where_it_is():
    def spectrum(m):
        y = scaled(m) + np.eye(100)
        values = anp.linalg.eigvals(y)  # a Python step, whose operand is read over the arena
        return anp.sum(anp.abs(values)) * anp.tanh(y)

    arena_of(spectrum, M)


def neighbours(x):
    return x[1:] + x[:-1]  # of another size: nothing can take the memory of its operand


def test_values_lie_in_the_memory_of_a_result_until_it_is_written():
    def chain(x):
        y = neighbours(anp.sin(x))
        for _ in range(6):
            y = neighbours(y / anp.sum(y * y))
        return anp.outer(y[:3], x)

    assert arena_of(chain, X) < 1.2 * X.nbytes  # of two that are alive at any time one lies in the result
    # where it is a number there is no such place
    assert arena_of(lambda x: anp.sum(chain(x)), X) > 1.9 * X.nbytes


def test_results_that_are_written_early_or_read_in_between_have_no_guests():
    def several(x):
        y = neighbours(anp.sin(x))
        early = y / anp.sum(y * y)
        for _ in range(6):
            y = neighbours(y / anp.sum(y * y) + anp.sum(early))
        return anp.concatenate([early, y])

    arena_of(several, X)
    arena_of(lambda x: anp.sum(x) * several(x)[5:] + several(anp.cos(x))[5:], X)


def test_results_in_arrays_of_the_caller_that_are_arguments():
    """They hold values of the run before they are written."""

    def chain(x):
        y = x
        for _ in range(5):
            y = anp.concatenate([neighbours(y / anp.sum(y * y)), x[:1]])
        return y

    jitted, out = jit(chain, compile="never"), X.copy()
    for _ in range(4):
        want = chain(out)
        assert jitted.into(out, out) is out
        np.testing.assert_allclose(out, want, rtol=0, atol=1e-14)  # of 0.01; some cancel
        out[:] = X
