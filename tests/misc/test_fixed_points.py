"""Implicit derivatives of fixed points."""

from __future__ import annotations

import autograd
import autograd.misc.fixed_points
import autograd.numpy as autograd_numpy
import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad, hessian, jacobian, make_jvp
from autograd_jit.misc.fixed_points import fixed_point
from autograd_jit.test_util import check_grads


def newton(a):
    return lambda x: 0.5 * (x + a / x)


def distance(x, y):
    return onp.max(onp.abs(x - y))


def root(a):
    return fixed_point(newton, a, 1.0, distance, 1e-14)


def test_derivatives_of_a_square_root():
    assert root(4.0) == pytest.approx(2.0)
    assert grad(root)(4.0) == pytest.approx(0.25)
    assert hessian(root)(4.0) == pytest.approx(-1 / 32)
    assert grad(grad(grad(root)))(4.0) == pytest.approx(3 / 256)
    assert make_jvp(root)(4.0)(1.0)[1] == pytest.approx(0.25)
    check_grads(root, order=2)(4.0)
    theirs = autograd.grad(
        lambda a: autograd.misc.fixed_points.fixed_point(newton, a, 1.0, lambda x, y: autograd_numpy.abs(x - y), 1e-14)
    )
    assert grad(root)(4.0) == pytest.approx(theirs(4.0))


def test_an_array_with_parameters_in_a_container():
    matrix = onp.array([[0.2, 0.1], [-0.1, 0.3]])

    def solution(b, m):
        return fixed_point(lambda p: lambda x: p["b"] + p["m"] @ x, {"b": b, "m": m}, onp.zeros(2), distance, 1e-14)

    b = onp.array([1.0, 2.0])
    inverse = onp.linalg.inv(onp.eye(2) - matrix)
    assert onp.allclose(solution(b, matrix), inverse @ b)
    assert onp.allclose(jacobian(solution)(b, matrix), inverse)
    expected = onp.einsum("ik,l->ikl", inverse, inverse @ b)
    assert onp.allclose(jacobian(solution, 1)(b, matrix), expected)
    check_grads(lambda m: np.sum(solution(b, m) ** 2), modes=["rev"])(matrix)


def test_nothing_of_the_iteration_is_kept():
    calls = []

    def counted(a):
        def step(x):
            calls.append(1)
            return 0.5 * (x + a / x)

        return step

    from autograd_jit import make_vjp

    vjp, _ = make_vjp(lambda a: fixed_point(counted, a, 1.0, distance, 1e-14))(4.0)
    forward = len(calls)
    vjp(1.0)
    assert len(calls) - forward <= 4  # the step is linearised, not the iteration repeated
