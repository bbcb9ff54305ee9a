"""Solvers in compiled programs: what they call is compiled, and the answers are the interpreted ones."""

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit
from autograd_jit.misc import fixed_points
from autograd_jit.misc.fixed_points import fixed_point
from autograd_jit.scipy import integrate
from autograd_jit.trace import step_functions


@pytest.fixture
def inner(monkeypatch):
    """The compiled functions that solvers call."""
    found = []

    def spy(make):
        def made(function):
            found.append(make(function))
            return found[-1]

        return made

    for module in (fixed_points, integrate):
        for name in ("compiled", "compiled_curried"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, spy(getattr(step_functions, name)))
    return found


def replays(functions):
    return [function.stats.replays for function in functions]


def turned(y):
    """A quarter turn."""
    return anp.concatenate([y[1:], -y[:1]])


def energy(scale, start):
    """Of a spiral after a while."""
    times = np.linspace(0.0, 2.0, 5)
    return anp.sum(integrate.odeint(lambda y, t, scale: turned(anp.tanh(y)) - scale * y, start, times, (scale,)) ** 2)


@pytest.mark.parametrize("operator", [lambda f: f, lambda f: grad(f, (0, 1))], ids=["value", "gradient"])
def test_dynamics_are_compiled_in_replays(operator, inner):
    plain = operator(energy)
    compiled = jit(plain)
    for scale in (1.0, 1.3, 0.7):
        start = np.array([1.0, scale])
        got, want = (np.concatenate(np.atleast_1d(0.0, *_flat(f(scale, start)))) for f in (compiled, plain))
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
    assert compiled.stats.replays == 2
    assert inner and min(replays(inner)) > 10


def _flat(value):
    return value if isinstance(value, tuple) else (value,)


def relax(a):
    """A contraction with two coupled unknowns."""
    return lambda x: 0.3 * anp.cos(turned(x)) + a


def distance(x, y):
    return anp.max(anp.abs(x - y))


def test_fixed_points_of_arrays_are_compiled_in_replays(inner):
    loss = lambda a: anp.sum(fixed_point(relax, a, np.zeros(2), distance, 1e-13) ** 2)
    for operator in (lambda f: f, grad, lambda f: grad(lambda a: anp.sum(grad(f)(a) ** 2))):
        plain = operator(loss)
        compiled = jit(plain)
        for a in (np.array([0.1, 0.2]), np.array([0.5, -1.0]), np.array([2.0, 0.0])):
            np.testing.assert_allclose(compiled(a), plain(a), rtol=1e-11, atol=1e-12)
        assert compiled.stats.replays == 2
    assert inner and max(replays(inner)) > 10


def test_a_start_that_is_the_fixed_point():
    half = lambda a: lambda x: a * x
    root = jit(lambda a: fixed_point(half, a, np.zeros(2), distance, 1e-12))
    for a in (0.5, 0.25):
        np.testing.assert_array_equal(root(a), np.zeros(2))


def test_one_compiled_function_for_one_function():
    f = lambda x: 2 * x
    assert step_functions.compiled(f) is step_functions.compiled(f)
    assert step_functions.compiled_curried(relax) is step_functions.compiled_curried(relax)
    assert step_functions.compiled(len) is len
