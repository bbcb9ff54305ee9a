"""Optimisers step as Autograd's, for any container."""

from __future__ import annotations

import autograd
import autograd.misc.optimizers
import autograd.numpy as autograd_numpy
import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad
from autograd_jit.misc import optimizers


def loss(np):
    return lambda p, i: np.sum((p["a"] - 3.0) ** 2) * (1 + 0.1 * i) + (p["b"][0] + 1.0) ** 4


START = {"b": [2.0], "a": onp.array([1.0, -1.0])}


@pytest.mark.parametrize(
    "name,options",
    [
        ("sgd", {}),
        ("sgd", {"mass": 0.5, "step_size": 0.01}),
        ("rmsprop", {}),
        ("rmsprop", {"gamma": 0.5, "eps": 1e-3}),
        ("adam", {}),
        ("adam", {"step_size": 0.1, "b1": 0.8, "b2": 0.9, "eps": 1e-3}),
    ],
)
def test_steps_agree_with_autograd(name, options):
    ours, theirs = [], []
    end = getattr(optimizers, name)(
        grad(loss(np)), START, lambda x, i, g: ours.append((x["a"].tolist(), i, g["b"][0])), 7, **options
    )
    expected = getattr(autograd.misc.optimizers, name)(
        autograd.grad(loss(autograd_numpy)),
        START,
        lambda x, i, g: theirs.append((x["a"].tolist(), i, g["b"][0])),
        7,
        **options,
    )
    assert list(end) == ["b", "a"]
    assert onp.allclose(end["a"], expected["a"], rtol=1e-12) and onp.allclose(end["b"], expected["b"], rtol=1e-12)
    assert len(ours) == len(theirs) == 7
    for mine, other in zip(ours, theirs):
        assert onp.allclose(mine[0], other[0]) and mine[1] == other[1] and onp.isclose(mine[2], other[2])


def test_settings_in_the_parameters_stay():
    params = {"w": onp.ones(2), "power": 2, "name": "net"}
    end = optimizers.adam(grad(lambda p, i: np.sum(p["w"] ** p["power"])), params, num_iters=3)
    assert end["power"] == 2 and type(end["power"]) is int and end["name"] == "net"
    assert START["b"] == [2.0]  # the start is not written into


def test_adam_converges():
    end = optimizers.adam(lambda x, i: 2 * (x - 3.0), 0.0, num_iters=2000, step_size=0.1)
    assert abs(end - 3.0) < 1e-6


def test_optimizers_of_flat_vectors_work_on_containers():
    def halve(grad, x0, callback=None, num_iters=3, factor=0.5):
        x = x0
        for i in range(num_iters):
            g = grad(x, i)
            if callback:
                callback(x, i, g)
            x = x - factor * g
        return x

    results = []
    for package, gradient in [(optimizers, grad(loss(np), jit=True)), (autograd.misc.optimizers, None)]:
        seen = []
        gradient = gradient or autograd.grad(loss(autograd_numpy))
        found = package.unflatten_optimizer(halve)(
            gradient, START, lambda x, i, g, seen=seen: seen.append((x["a"].sum(), i, g["b"][0])), 4, factor=0.01
        )
        results.append((found["a"].tolist(), found["b"], seen))
        without = package.unflatten_optimizer(halve)(gradient, START, factor=0.01, num_iters=4)
        onp.testing.assert_allclose(without["a"], found["a"])
    for ours, theirs in zip(*results):
        onp.testing.assert_allclose(ours, theirs)
