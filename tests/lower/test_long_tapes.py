"""Lowering takes time in proportion to the tape: counted in calls of functions, not in seconds."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad
from autograd_jit.lower import program
from autograd_jit.lower.rules import table
from autograd_jit.trace.captures import scan
from autograd_jit.trace.trace_call import trace_call


def runge_kutta(steps):
    def slope(y, rates):
        prey, predators = y[0], y[1]
        return anp.stack([rates[0] * prey - rates[1] * prey * predators, rates[2] * prey * predators - predators])

    def loss(rates):
        y = anp.array([1.0, 0.5])
        for _ in range(steps):
            one = slope(y, rates)
            two = slope(y + 0.01 * one, rates)
            y = y + 0.01 * (one + two)
        return anp.sum(y**2)

    return loss, (np.array([1.1, 0.4, 0.1]),)


def recurrent(steps):
    inputs = np.random.default_rng(0).normal(size=(steps, 2, 3))

    def loss(weights):
        state = anp.zeros((2, 4))
        for step in range(steps):
            state = anp.tanh(anp.dot(anp.concatenate([inputs[step], state], axis=1), weights))
        return anp.sum(state)

    return loss, (0.3 * np.random.default_rng(1).normal(size=(7, 4)),)


def trace(model, steps):
    loss, args = model(steps)
    return trace_call(grad, loss, scan(loss), args, {}, "tape")


def tape_of(model, steps):
    return trace(model, steps).tape


def calls_of(function, *args):
    """The number of functions, of Python and in C, that a call of ``function`` calls."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function(*args)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("model", [runge_kutta, recurrent])
def test_lowering_is_linear(model):
    lengths = [10, 20, 40]
    tapes = [tape_of(model, steps) for steps in lengths]
    for tape in tapes:
        program.lower(tape)  # what is compiled or looked up once is not counted below
    first, second, third = [calls_of(program.lower, tape) for tape in tapes]
    assert third - second < 2.1 * (second - first)
    operations = len(tapes[2].ops) - len(tapes[1].ops)
    assert (third - second) / operations < 190  # 111 and 145 where this was written


@pytest.mark.parametrize("model", [runge_kutta, recurrent])
def test_recording_is_linear(model):
    lengths = [10, 20, 40]
    trace(model, 5)
    first, second, third = [calls_of(trace, model, steps) for steps in lengths]
    assert third - second < 2.1 * (second - first)
    operations = [len(tape_of(model, steps).ops) for steps in lengths]
    assert (third - second) / (operations[2] - operations[1]) < 80  # 40 to 55 where this was written


@pytest.mark.parametrize("model", [runge_kutta, recurrent])
def test_steps_of_a_loop_share_kernels_and_forms(model, monkeypatch):
    made = []

    class Counted(program.Forms):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(program, "Forms", Counted)
    short, long = [program.lower(tape_of(model, steps)) for steps in (80, 160)]
    assert len({kernel.kernel for kernel in long.kernels}) == len({kernel.kernel for kernel in short.kernels}) < 25
    assert made[0].built == made[1].built < 30
    assert made[1].found > 1.9 * made[0].found
    assert len(long.table) < 2.1 * len(short.table)


@pytest.mark.parametrize("model", [runge_kutta, recurrent])
def test_numpy_is_asked_for_each_index_map_once(model):
    def asked(steps):
        table._index_map.cache_clear()
        program.lower(tape_of(model, steps))
        return table._index_map.cache_info().misses

    short, long = asked(10), asked(40)
    assert 0 < short < 40
    assert long <= short + (30 if model is recurrent else 0)  # each step reads another row of the inputs


def test_a_long_gradient_is_the_interpreted_one():
    for model in (runge_kutta, recurrent):
        loss, args = model(60)
        compiled = grad(loss, jit=True)
        compiled(*args)
        np.testing.assert_allclose(compiled(*args), grad(loss)(*args), rtol=1e-12, atol=1e-14)
        assert compiled.stats.fallbacks == 0
