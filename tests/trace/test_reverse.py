"""The backward pass: accumulation, several outputs, freeing, depth."""

from __future__ import annotations

import gc
import weakref
from collections import namedtuple

import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad, hessian, jacobian, make_vjp
from autograd_jit.extend import defjvp, defvjp, primitive
from autograd_jit.trace import reverse
from autograd_jit.trace.cotangent import CotangentShapeError
from autograd_jit.trace.reverse import VJPNode, backward_pass, make_vjp_leaves

X = onp.array([0.5, -1.0, 2.0])


def test_make_vjp_leaves():
    pull, outs, structure = make_vjp_leaves(lambda leaves: {"y": leaves[0] * leaves[1], "n": 3}, [X, 2.0])
    assert outs[0].tolist() == (2 * X).tolist() and outs[1] == 3 and structure.kind is dict
    first, second = pull([onp.ones(3), None])
    assert first.tolist() == [2.0, 2.0, 2.0] and second == 1.5
    assert pull([None, None]) == [None, None]


def test_the_pull_can_be_used_again():
    vjp, _ = make_vjp(lambda x: np.sin(x) * x[0] + x[1:2])(X)
    first = vjp(onp.ones(3))
    vjp(5.0 * onp.ones(3))
    assert vjp(onp.ones(3)).tolist() == first.tolist()


def test_fan_out_adds_and_leaves_values_alone():
    def loss(x):
        y = x * 1.0
        parts = [y * float(k) for k in range(50)] + [y[0] * 1.0, y, y]
        return sum(np.sum(part) for part in parts)

    assert grad(loss)(X).tolist() == [1225.0 + 3, 1225.0 + 2, 1225.0 + 2]
    assert X.tolist() == [0.5, -1.0, 2.0]


def test_accumulation_never_writes_into_a_rules_array():
    constant = onp.ones(3)
    f = primitive(lambda x: x * 1.0)
    defvjp(f, lambda ans, x: lambda g: constant)
    for _ in range(2):
        assert grad(lambda x: np.sum(f(x) + f(x) + f(x)))(X).tolist() == [3.0, 3.0, 3.0]
    assert constant.tolist() == [1.0, 1.0, 1.0]


def test_dense_and_sparse_cotangents_mix():
    index = onp.array([0, 0, 1])
    loss = lambda x: np.sum(x**2) + x[1] * x[0] + np.sum(x[index] ** 2) + np.sum(x[1:] * 3.0)
    expected = 2 * X + onp.array([X[1] + 4 * X[0], X[0] + 2 * X[1] + 3, 3.0])
    assert onp.allclose(grad(loss)(X), expected)
    assert onp.allclose(hessian(loss)(X), [[6.0, 1.0, 0.0], [1.0, 4.0, 0.0], [0.0, 0.0, 2.0]])
    assert onp.allclose(grad(lambda x: x[2] * 1.0)(X), [0.0, 0.0, 1.0])  # sparse alone


# ---------------------------------------------------------------- primitives with several outputs

Parts = namedtuple("Parts", "quotient rest count label")


def divide():
    f = primitive(lambda x, y: Parts(x / y, x * y, 7, "text"))

    def of_x(ans, x, y):
        def pull(g):
            total = 0.0
            if g.quotient is not None:
                total = total + g.quotient / y
            return total + g.rest * y

        return pull

    defvjp(f, of_x, lambda ans, x, y: lambda g: g.rest * x - g.quotient * x / y**2)
    defjvp(
        f,
        lambda t, ans, x, y: Parts(t / y, t * y, None, None),
        lambda t, ans, x, y: Parts(-t * x / y**2, t * x, None, None),
    )
    return f


def test_several_outputs():
    f = divide()

    def loss(x, y):
        parts = f(x, y)
        assert parts.count == 7 and parts.label == "text"
        return parts.quotient**2 + parts.quotient * parts.rest

    close = grad(loss, (0, 1))(3.0, 2.0)
    assert close[0] == pytest.approx(2 * 3.0 / 4 + 2 * 3.0)
    assert close[1] == pytest.approx(-2 * 9.0 / 8)
    assert grad(lambda x, y: f(x, y).rest)(3.0, 2.0) == 2.0  # the other output's cotangent is zeros
    assert onp.allclose(hessian(loss)(3.0, 2.0), 2 / 4 + 2)
    from autograd_jit import make_jvp

    assert make_jvp(loss, (0, 1))(3.0, 2.0)((1.0, 0.0))[1] == pytest.approx(close[0])


def test_several_outputs_of_arrays_used_sparsely():
    f = primitive(lambda x: [x * 2.0, {"b": x * 3.0}])
    defvjp(f, lambda ans, x: lambda g: 2.0 * g[0] + 3.0 * g[1]["b"])
    assert grad(lambda x: f(x)[0][1] + f(x)[0][1] * 1.0)(X).tolist() == [0.0, 4.0, 0.0]
    loss = lambda x: (lambda parts: parts[0][0] * parts[0][0] + np.sum(parts[1]["b"]))(f(x))
    assert grad(loss)(X).tolist() == [2 * 4 * 0.5 + 3, 3.0, 3.0]


# ---------------------------------------------------------------- central fitting


def test_cotangents_are_fitted_to_the_operand():
    f = primitive(lambda x, y: x + y)
    defvjp(f, lambda ans, x, y: lambda g: g, lambda ans, x, y: lambda g: g)
    row, column = onp.ones((1, 3), "float32"), onp.ones((2, 1))
    for_row, for_column = grad(lambda x, y: np.sum(f(x, y) * 2.0), (0, 1))(row, column)
    assert for_row.tolist() == [[4.0, 4.0, 4.0]] and for_row.dtype == "float32"
    assert for_column.tolist() == [[6.0], [6.0]]
    assert grad(lambda x: np.sum(np.real(f(x, 1j * X))))(2.0) == 3.0


def test_a_scalar_cotangent_is_broadcast():
    f = primitive(onp.sum)
    defvjp(f, lambda ans, x: lambda g: g)
    assert grad(f)(X).tolist() == [1.0, 1.0, 1.0]


def test_rules_that_do_not_fit_are_named():
    f = primitive(lambda x: x)
    defvjp(f, lambda ans, x: lambda g: "nothing")
    f.primitive.name = "odd"
    with pytest.raises(CotangentShapeError, match="rule of odd returned a str"):
        grad(lambda x: np.sum(f(x) * 1.0))(X)


# ---------------------------------------------------------------- memory and depth


def test_a_hundred_thousand_operations():
    def loss(x):
        for _ in range(100_000):
            x = x + 1.0
        return x

    assert grad(loss)(1.0) == 1.0


def test_wide_graphs_take_linear_time():
    loss = lambda x: sum(x * float(k) for k in range(10_000))
    assert grad(loss)(1.0) == 9999 * 10_000 / 2


def test_the_graph_is_freed():
    nodes = []

    def loss(x):
        y = np.sin(x)
        nodes.append(weakref.ref(y._value))
        return np.sum(y * 2.0)

    grad(loss)(X)
    gc.collect()
    assert nodes[0]() is None


def test_values_that_no_rule_needs_are_not_kept():
    alive = []

    def loss(x):
        y = x + 1.0  # its sum needs no value of it
        alive.append(weakref.ref(y._value))
        z = y + 2.0
        del y
        alive.append(alive[0]() is not None)
        return np.sum(z)

    grad(loss)(onp.ones(1000))
    assert alive[1] is False


def test_backward_pass_by_hand():
    root = VJPNode(X)
    left = VJPNode(X, (root,), (lambda g: 2.0 * g,), "left")
    right = VJPNode(X, (root, left), (lambda g: g, lambda g: 10.0 * g), "right")
    (g,) = backward_pass([(right, onp.ones(3)), (left, onp.ones(3))], [root])
    assert g.tolist() == [23.0, 23.0, 23.0]
    other = VJPNode(X)
    assert backward_pass([(right, onp.ones(3))], [other]) == [None]


def test_numbers_grow_along_the_graph():
    assert next(reverse._numbers) < next(reverse._numbers)


def test_an_identity_function():
    assert grad(lambda x: x)(2.0) == 1.0
    assert onp.allclose(jacobian(lambda x: x)(X), onp.eye(3))
    assert make_vjp(lambda x: (x, x, [x]))(X)[0]((X, X, [X])).tolist() == (3 * X).tolist()
