"""odeint and solve_ivp. Tolerances of the solvers are set to 1e-10; derivatives are tested to 1e-6."""

import autograd
import autograd.numpy as hips_np
import autograd.scipy.integrate as hips
import numpy as np
import pytest
import scipy.integrate as si
from autograd.builtins import tuple as hips_tuple

import autograd_jit.numpy as anp
from autograd_jit.errors import ArgumentError
from autograd_jit.scipy import integrate
from tests.numeric import check, gradient, scalar_gradient

TIGHT = {"rtol": 1e-10, "atol": 1e-10}
Y0 = np.array([0.5, -0.3])
TIMES = np.array([0.0, 0.4, 1.0, 1.1])


def dynamics(y, t, a, b):
    return anp.array([y[1] * a + anp.sin(t), -y[0] * b[0] - b[1] * y[1] ** 3])


A, B = 1.3, np.array([0.7, 0.2])


def test_odeint_first_order():
    check(lambda y, a, b: integrate.odeint(dynamics, y, TIMES, (a, b), **TIGHT), Y0, A, B, order=1, tol=1e-6)


def test_odeint_in_its_times():
    f = lambda t: integrate.odeint(dynamics, Y0, t, (A, B), **TIGHT)
    # a coarser step: the solver's own error, about 1e-9, is divided by it
    check(f, TIMES, order=1, tol=1e-5, step=1e-2)


@pytest.mark.slow
def test_odeint_second_order():
    check(lambda y, a, b: integrate.odeint(dynamics, y, TIMES[:2], (a, b), **TIGHT), Y0, A, B, order=2, tol=1e-5)


def test_second_derivative_of_a_linear_equation():
    """``y' = -a y``: ``d2y/da2 = t**2 y``."""
    f = lambda a: integrate.odeint(lambda y, t, k: -k * y, np.ones(1), np.array([0.0, 0.7]), (a,), **TIGHT)[1, 0]
    first = lambda a: scalar_gradient(f, a)
    assert np.isclose(first(1.3), -0.7 * np.exp(-0.91), rtol=1e-7)
    assert np.isclose(scalar_gradient(first, 1.3), 0.49 * np.exp(-0.91), rtol=1e-6)


def test_nested_arguments_and_time_first():
    f = lambda t, y, p: y * p["rate"][0] + p["shift"]
    g = lambda r, s: integrate.odeint(f, Y0, TIMES, ({"rate": (r,), "shift": s},), tfirst=True, **TIGHT)
    check(g, -0.4, Y0, order=1, tol=1e-6)


@pytest.mark.parametrize("method", ["RK45", "DOP853", "LSODA", "Radau"])
@pytest.mark.parametrize("t_eval", [None, TIMES, TIMES[1:]], ids=["steps", "from the start", "later"])
def test_solve_ivp(t_eval, method):
    if t_eval is None and method != "RK45":
        return
    fun = lambda t, y, a, b: dynamics(y, t, a, b)
    f = lambda y, a: integrate.solve_ivp(fun, (0.0, 1.1), y, method, t_eval, args=(a, B), rtol=1e-9, atol=1e-9).y
    if t_eval is None:
        f_end = lambda y, a: f(y, a)[:, -1]
        check(f_end, Y0, A, order=1, tol=1e-6)
    else:
        check(f, Y0, A, order=1, tol=1e-5)


def test_solve_ivp_in_its_end():
    fun = lambda t, y: -y
    f = lambda end: integrate.solve_ivp(fun, (0.0, end), np.ones(1), rtol=1e-9, atol=1e-9).y[0, -1]
    assert np.isclose(scalar_gradient(f, 1.0), -np.exp(-1.0), rtol=1e-6)


def test_refusals():
    with pytest.raises(ArgumentError, match="Dfun"):
        gradient(lambda y: integrate.odeint(dynamics, y, TIMES, (A, B), Dfun=dynamics))(Y0)
    with pytest.raises(ArgumentError, match="events"):
        gradient(lambda y: integrate.solve_ivp(lambda t, x: -x, (0, 1), y, events=[lambda t, x: x[0]]).y)(Y0)
    assert integrate.quad is si.quad


def test_plain_values_are_scipys():
    assert np.array_equal(integrate.odeint(dynamics, Y0, TIMES, (A, B)), si.odeint(dynamics, Y0, TIMES, (A, B)))


def test_against_autograd():
    hips_dynamics = lambda y, t, a: hips_np.array([y[1] * a, -y[0]])
    ours = lambda y, t, a: anp.array([y[1] * a, -y[0]])
    for argnum, x in ((0, Y0), (1, 1.3)):
        want = autograd.grad(
            lambda *v: hips_np.sum(hips.odeint(hips_dynamics, v[0], TIMES, hips_tuple((v[1],)))), argnum
        )(Y0, 1.3)
        f = lambda v: anp.sum(integrate.odeint(ours, v if argnum == 0 else Y0, TIMES, (v if argnum else 1.3,)))
        assert np.allclose(scalar_gradient(f, x), want, rtol=1e-5)
