"""Slices whose bounds are traced: one program for all of them, as long as as many elements are selected."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit, known_programs
from tests.jit_support import assert_same

DATA = np.arange(60.0).reshape(20, 3)
W = np.array([0.5, -1.0, 2.0])


@pytest.fixture(autouse=True)
def no_programs_of_other_tests():
    known_programs.registry.clear()


def minibatch(w, data, t):
    return anp.sum((data[t * 4 : (t + 1) * 4] @ w) ** 2)


def test_minibatches_by_a_traced_number_trace_once():
    for argnum in (0, 1, (0, 1)):
        compiled, plain = grad(minibatch, argnum, jit=True), grad(minibatch, argnum)
        for t in range(5):
            assert_same(compiled(W, DATA, np.int64(t)), plain(W, DATA, np.int64(t)))
        assert (compiled.stats.traces, compiled.stats.fallbacks, compiled.stats.python_steps) == (1, 0, 0)


SLICES = {
    "both bounds": lambda x, i, j: x[i:j] * 2,
    "start": lambda x, i, j: x[i:] + 1,
    "stop": lambda x, i, j: x[:j] * x[:j],
    "another axis": lambda x, i, j: x[:, i:j] * 2,
    "after an index": lambda x, i, j: x[1, i:j] * 2,
    "with an ellipsis": lambda x, i, j: x[..., i:j] - 1,
    "with a new axis": lambda x, i, j: x[None, i:j, ::-1] * 3,
    "of a transpose": lambda x, i, j: x.T[::-1, i:j] * 2,
    "of a result": lambda x, i, j: anp.sum(anp.sin(x)[i:j], axis=0),
    "two": lambda x, i, j: x[i:j, i:j] * 2,
    "with a step": lambda x, i, j: x[i:j:2] * 2,
    "backwards": lambda x, i, j: x[j:i:-1] * 2,
    "with an array": lambda x, i, j: x[i:j, [0, 2]] * 2,
    "used twice": lambda x, i, j: x[i:j] + x[j:i] if len(x[j:i]) == len(x[i:j]) else x[i:j] * 4,
}
BOUNDS = [
    (0, 2), (1, 3), (2, 4), (-3, -1), (5, 7), (18, 20), (19, 25), (4, 4), (6, 4), (-30, 2), (2, 30), (0, 1), (-1, -1),
]  # fmt: skip


@pytest.mark.parametrize("name", SLICES)
def test_all_bounds(name):
    function = SLICES[name]
    compiled = jit(function, max_paths=100)
    gradient = grad(lambda x, i, j: anp.sum(anp.sin(function(x, i, j))), jit=True, max_paths=100)
    plain = grad(lambda x, i, j: anp.sum(anp.sin(function(x, i, j))))
    for first, last in BOUNDS * 2:
        bounds = np.int64(first), np.int64(last)
        assert_same(compiled(DATA, *bounds), function(DATA, *bounds), f"{name} {bounds}")
        assert_same(gradient(DATA, *bounds), plain(DATA, *bounds), f"gradient of {name} {bounds}")
    assert compiled.stats.replays > 0 and compiled.stats.fallbacks == 0


def test_bounds_that_are_computed():
    def peak(x):
        top = anp.argmax(x)
        return anp.sum(x[top : top + 2] ** 2)

    compiled, plain = grad(peak, jit=True), grad(peak)
    rng = np.random.default_rng(0)
    for _ in range(30):
        x = rng.normal(size=8)
        assert_same(compiled(x), plain(x))
    assert compiled.stats.traces <= 2  # a peak at the end leaves a slice of one


def test_many_integers_that_come_again_replay():
    compiled, plain = grad(minibatch, jit=True), grad(minibatch)
    data = np.arange(900.0).reshape(300, 3)
    for _ in range(3):
        for t in range(60):
            assert_same(compiled(W, data, t), plain(W, data, t))
    assert (compiled.stats.traces, compiled.stats.replays) == (60, 120)
