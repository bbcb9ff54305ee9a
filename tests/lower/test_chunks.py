"""Cuts of long streams: by content, so that another turn of a loop changes no kernel of the others."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad
from autograd_jit.lower import program
from autograd_jit.lower.builder import Builder
from autograd_jit.lower.chunks import REACH, SHORTEST, _cuts, chunk_starts
from autograd_jit.trace.captures import scan
from autograd_jit.trace.trace_call import trace_call

F8 = np.dtype(float)


def words(seed, count):
    rng = np.random.default_rng(seed)
    return [("operation", number) for number in rng.integers(0, 12, count).tolist()]


def maps(count):
    b = Builder()
    x = b.input((2,), F8)
    for number in range(count):
        x = b.map("exp" if number % 3 else "sin", (x,), F8, (2,))
    return b.graph.nodes


def test_short_streams_stay_whole():
    assert chunk_starts(maps(SHORTEST), lambda node: node.out.shape) == set()
    assert chunk_starts(maps(4 * SHORTEST), lambda node: node.out.shape)


@pytest.mark.parametrize("period", [3, 7, 20, 45, 130])
def test_every_turn_is_cut_at_the_same_places(period):
    cuts = _cuts(words(period, period) * 40)
    first, last = 1 + 2 * REACH // period, 38 - 2 * REACH // period  # turns that see neither end
    inner = [divmod(cut, period) for cut in cuts if first <= cut // period < last]
    places = {place for _, place in inner}
    assert places
    assert len(inner) == len(places) * (last - first)
    if period < REACH:
        assert len(places) <= 2  # one, but where a turn repeats something itself


def test_what_came_before_does_not_matter():
    tail = words(1, 300)
    one, other = [_cuts(words(seed, length) + tail) for seed, length in ((2, 100), (3, 137))]
    far = 2 * REACH
    assert {cut - 100 for cut in one if cut > 100 + far} == {cut - 137 for cut in other if cut > 137 + far}


def test_cuts_are_the_same_in_every_process():
    code = f"from autograd_jit.lower.chunks import _cuts; print(_cuts({words(4, 200)!r}))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{_cuts(words(4, 200))}\n"}


def series(terms):
    def loss(x):
        total = term = x
        for order in range(1, 2 * terms, 2):
            term = -term * x * x / ((order + 1) * (order + 2))
            total = total + term
        return total

    return loss


def kernels_of(terms):
    loss = series(terms)
    tape = trace_call(grad, loss, scan(loss), (1.2,), {}, "tape").tape
    return {compiled.kernel for compiled in program.lower(tape).kernels}


def test_paths_of_many_lengths_share_their_kernels():
    known = set().union(*[kernels_of(terms) for terms in range(20, 40)])
    for terms in range(40, 60):
        assert len(kernels_of(terms) - known) <= 1
        known |= kernels_of(terms)
    assert len(known) < 30


def test_a_long_series_is_right():
    compiled = grad(series(80), jit=True)
    compiled(1.2)
    assert compiled(1.2) == pytest.approx(grad(series(80))(1.2), rel=1e-14)
    assert compiled.stats.replays >= 1
    x = np.linspace(-1, 1, 7)
    total = grad(lambda x: anp.sum(series(80)(x)), jit=True)
    total(x)
    np.testing.assert_allclose(total(x), np.cos(x), rtol=1e-12)
