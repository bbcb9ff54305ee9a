"""Graphs to look at, and graphs to run again."""

from __future__ import annotations

import numpy as onp

import autograd_jit.numpy as np
from autograd_jit import grad
from autograd_jit.misc.tracers import const_graph, const_graph_unary, full_graph

X = onp.array([0.5, 1.0])


def test_full_graph():
    end = full_graph(lambda x, y: np.sin(x) * y + x, 0.5, 2.0)
    assert end.value == onp.sin(0.5) * 2.0 + 0.5 and end.fun is np.add and end.kwargs == {}
    product, x = end.parents
    assert product.fun is np.multiply and product.value == onp.sin(0.5) * 2.0
    assert x.value == 0.5 and x.parents == () and x.fun is None
    assert product.parents[0].parents == (x,) and product.parent_argnums == (0, 1)


def test_const_graph_runs_the_primitives_only():
    runs = []

    def fun(x, y):
        runs.append(1)
        out = np.sum(np.sin(x) * y) + np.sum(np.floor(x))
        return out * 2.0 if len(runs) else out

    again = const_graph(fun)
    for factor in (1.0, 2.0, 3.0):
        x = factor * X
        expected = 2 * (onp.sum(onp.sin(x)) * factor + onp.sum(onp.floor(x)))
        assert onp.isclose(again(x, factor), expected)
    assert len(runs) == 1
    assert again.__name__ == "fun"


def test_const_graph_with_given_arguments_and_containers():
    again = const_graph(lambda k, x, y, scale=1.0: np.concatenate([x * k, y]) * scale, 3.0, scale=2.0)
    assert again(X, X).tolist() == onp.concatenate([6 * X, 2 * X]).tolist()
    assert again(2 * X, X).tolist() == onp.concatenate([12 * X, 2 * X]).tolist()


def test_const_graph_is_differentiable_when_it_runs_again():
    again = const_graph_unary(lambda x: np.sum(x**3))
    again(X)
    assert grad(again)(X).tolist() == (3 * X**2).tolist()


def test_an_output_that_depends_on_nothing_is_computed_each_time():
    values = iter([1.0, 2.0])
    again = const_graph_unary(lambda x: next(values))
    assert again(X) == 1.0 and again(X) == 2.0
