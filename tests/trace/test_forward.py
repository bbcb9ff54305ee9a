"""Forward mode: tangents through primitives, containers and nested traces."""

from __future__ import annotations

import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad, make_jvp
from autograd_jit.errors import MissingRuleError
from autograd_jit.extend import defjvp, primitive
from autograd_jit.trace.forward import jvp_leaves
from autograd_jit.trace.tracer import isbox

X = onp.array([0.5, -1.0, 2.0])


def test_jvp_leaves():
    fun = lambda leaves: {"y": leaves[0] * leaves[1], "c": leaves[2] * 2.0, "n": 3}
    outs, tangents, structure = jvp_leaves(fun, [X, 2.0, 5.0], [onp.ones(3), 1.0, None])
    assert outs[0].tolist() == (2 * X).tolist() and outs[1:] == [10.0, 3]
    assert tangents[0].tolist() == (2.0 + X).tolist() and tangents[1:] == [None, None]
    assert list(structure.extra) == ["y", "c", "n"]


def test_a_leaf_without_tangent_stays_plain():
    seen = []
    jvp_leaves(lambda leaves: seen.extend(map(isbox, leaves)), [1.0, 2.0], [None, 1.0])
    assert seen == [False, True]


def test_tangents_are_fitted_to_the_result():
    f = primitive(lambda x, y: x + y)
    defjvp(f, lambda t, ans, x, y: t, lambda t, ans, x, y: t)
    value, tangent = make_jvp(lambda x: f(x, onp.ones((2, 3), "float32")))(onp.float32(1.0))(1.0)
    assert tangent.shape == (2, 3) and tangent.dtype == value.dtype == "float32"
    f = primitive(lambda x: onp.real(x))
    defjvp(f, lambda t, ans, x: t)
    assert make_jvp(f)(1.0 + 1j)(2.0 + 3j)[1] == 2.0


def test_forward_over_reverse_and_reverse_over_forward():
    f = lambda x: np.sum(np.sin(x) * x**2)
    v = onp.cos(X)
    second = -onp.sin(X) * X**2 + 4 * onp.cos(X) * X + 2 * onp.sin(X)
    assert onp.allclose(make_jvp(grad(f))(X)(v)[1], second * v)
    assert onp.allclose(grad(lambda x: make_jvp(f)(x)(v)[1])(X), second * v)
    forward_twice = make_jvp(lambda x: make_jvp(f)(x)(v)[1])(X)(v)[1]
    assert onp.allclose(forward_twice, v @ (second * v))


def test_nested_forward_traces_do_not_mix():
    f = lambda x: x * make_jvp(lambda y: x * y)(1.0)(1.0)[1]
    assert make_jvp(f)(3.0)(1.0) == (9.0, 6.0)


def test_tangents_of_several_arguments_add():
    _, tangent = make_jvp(lambda p: np.sum(p["a"] * p["b"]))({"a": X, "b": 2 * X})({"a": X, "b": X})
    assert tangent == pytest.approx(onp.sum(X * 2 * X + X * X))


def test_primitives_of_containers():
    f = primitive(lambda items, scale: [item * scale for item in items])
    defjvp(
        f,
        lambda ts, ans, items, scale: [t * scale for t in ts],
        lambda t, ans, items, scale: [item * t for item in items],
    )
    fun = lambda x, s: sum(f([x, 2.0, x * x], s))
    value, tangent = make_jvp(fun, (0, 1))(3.0, 5.0)((1.0, 0.0))
    assert (value, tangent) == (5 * (3 + 2 + 9.0), 5 * (1 + 6.0))
    assert make_jvp(fun, (0, 1))(3.0, 5.0)((0.0, 1.0))[1] == 14.0


def test_integer_results_have_no_tangent():
    _, tangent = make_jvp(lambda x: np.argmax(x) * x)(X)(onp.ones(3))
    assert tangent.tolist() == [2.0, 2.0, 2.0]


def test_a_missing_rule_is_named():
    @primitive
    def mystery(x):
        return x

    with pytest.raises(MissingRuleError, match="JVP of mystery"):
        make_jvp(mystery)(1.0)(1.0)
