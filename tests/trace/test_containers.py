"""Primitives that take containers with traced values inside."""

from __future__ import annotations

import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad, hessian, make_jvp
from autograd_jit.errors import MissingRuleError
from autograd_jit.extend import defjvp_argnums, defvjp, defvjp_argnums, primitive

X = onp.array([0.5, -1.0, 2.0])


def weighted():
    @primitive
    def weighted_sum(p, factor, names):
        return factor * (p["a"][0] * 2.0 + p["a"][1] * 3.0 + p["b"]) + len(names)

    def of_p(ans, p, factor, names):
        return lambda g: {"a": (g * factor * 2.0, g * factor * 3.0), "b": g * factor}

    def of_factor(ans, p, factor, names):
        return lambda g: g * (p["a"][0] * 2.0 + p["a"][1] * 3.0 + p["b"])

    defvjp(weighted_sum, of_p, of_factor, None)
    return weighted_sum


def test_boxes_at_any_depth():
    f = weighted()
    loss = lambda x, y, z: f({"a": (x, 1.0), "b": y}, z, ["m", "n"])
    assert grad(loss, (0, 1, 2))(1.0, 2.0, 3.0) == (6.0, 3.0, 7.0)
    assert loss(1.0, 2.0, 3.0) == 23.0
    assert hessian(loss, (0, 2))(1.0, 2.0, 3.0) == ((0.0, 2.0), (2.0, 0.0))


def test_boxes_beside_and_inside_containers_of_several_levels():
    @primitive
    def product(pair, factor):
        return pair[0] * pair[1] * factor

    of_pair = lambda ans, pair, factor: lambda g: (g * pair[1] * factor, g * pair[0] * factor)
    defvjp(product, of_pair, lambda ans, pair, factor: lambda g: g * pair[0] * pair[1])
    # the container holds the outer trace's value, the argument beside it the inner one's, and the reverse
    assert grad(lambda x: grad(lambda y: product((x, 2.0), y))(3.0))(5.0) == 2.0
    assert grad(lambda x: grad(lambda y: product((y, 2.0), x))(3.0))(5.0) == 2.0
    assert grad(lambda x: grad(lambda y: product((y, x), x * y))(3.0))(5.0) == 4 * 5.0 * 3.0


def test_a_container_after_a_traced_argument():
    scaled = primitive(lambda factor, pair: pair[0] * pair[1] * factor)
    of_pair = lambda ans, factor, pair: lambda g: (g * pair[1] * factor, g * pair[0] * factor)
    defvjp(scaled, lambda ans, factor, pair: lambda g: g * pair[0] * pair[1], of_pair)
    assert grad(lambda x: scaled(x, (x, x)))(2.0) == 12.0


def test_a_container_with_a_zero_rule():
    f = weighted()
    assert grad(lambda x: f({"a": (x, 1.0), "b": 1.0}, 2.0, [x, x]))(1.0) == 4.0


def test_a_cotangent_of_another_structure_is_an_error_at_the_rule():
    @primitive
    def total(items):
        return sum(items)

    defvjp(total, lambda ans, items: lambda g: [g])
    with pytest.raises(ValueError, match=r"rule of total .* 1 leaves .* 2"):
        grad(lambda x: total([x, x]))(1.0)


def test_rules_for_all_arguments_at_once():
    @primitive
    def product(pair, factor):
        return pair[0] * pair[1] * factor

    def cotangents(argnums, ans, args, kwargs):
        (a, b), factor = args
        rules = {0: lambda g: (g * b * factor, g * a * factor), 1: lambda g: g * a * b}
        return lambda g: tuple(rules[argnum](g) for argnum in argnums)

    def tangent(argnums, ts, ans, args, kwargs):
        (a, b), factor = args
        rules = {0: lambda t: (t[0] * b + t[1] * a) * factor, 1: lambda t: a * b * t}
        return sum(rules[argnum](t) for argnum, t in zip(argnums, ts))

    defvjp_argnums(product, cotangents)
    defjvp_argnums(product, tangent)
    loss = lambda x, y, z: np.sum(product([x, y], z))
    expected = (onp.full(3, 6.0), X * 3.0, 2.0 * X)
    for gradient, value in zip(grad(loss, (0, 1, 2))(X, 2.0, 3.0), expected):
        assert onp.allclose(gradient, value if onp.ndim(gradient) else onp.sum(value))
    assert make_jvp(loss, (0, 1, 2))(X, 2.0, 3.0)((X, 1.0, 1.0))[1] == pytest.approx(
        onp.sum(X * 6.0 + X * 3.0 + X * 2.0)
    )


def test_nested_levels():
    f = weighted()
    outer = lambda y: grad(lambda x: f({"a": (x * x, 0.0), "b": y * x}, y, []))(3.0)
    assert grad(outer)(2.0) == 4 * 3.0 + 2 * 2.0


def test_a_missing_rule_is_named():
    @primitive
    def mystery(items):
        return sum(items)

    with pytest.raises(MissingRuleError, match="VJP of mystery with respect to argument number 0"):
        grad(lambda x: mystery([x, x]))(1.0)
