"""Results written into arrays that are there."""

import tracemalloc

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import config, grad, jit, value_and_grad
from autograd_jit.errors import ArgumentError

pytestmark = pytest.mark.cpu
X = np.linspace(-1.0, 2.0, 2000)


def loss(x):
    return anp.sum(anp.sin(x) * x)


def in_all_tiers(function, out, *args):
    """What each of five calls writes: trace, replays, fast path."""
    for _ in range(5):
        for leaf in out if isinstance(out, (list, tuple)) else [out]:
            leaf[...] = -7
        assert function.into(out, *args) is out
        yield out


def test_every_tier_writes_the_result():
    function, want = grad(loss, jit=True), grad(loss)(X)
    for found in in_all_tiers(function, np.empty_like(X), X):
        np.testing.assert_allclose(found, want, rtol=1e-13, atol=1e-14)
    assert (function.stats.traces, function.stats.replays) == (1, 4)


def test_a_replay_allocates_nothing():
    with config(compile="never"):
        function, memory = grad(loss, jit=True), np.empty_like(X)
        for _ in range(4):
            function.into(memory, X)
        tracemalloc.start()
        function.into(memory, X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < X.nbytes


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.empty(4000)[::2],
        lambda: np.empty((2000, 3))[:, 1],
        lambda: np.empty(2001)[1:],
        lambda: np.frombuffer(bytearray(16001), np.uint8)[1:].view(np.float64),  # not aligned
    ],
)
def test_any_layout(make):
    for found in in_all_tiers(grad(loss, jit=True), make(), X):
        np.testing.assert_allclose(found, grad(loss)(X), rtol=1e-13, atol=1e-14)


def test_arguments_may_be_overwritten():
    function = jit(lambda x, y: (anp.cumsum(x) * y, x[::-1] + y))
    for _ in range(5):
        x, y = X.copy(), X + 1.0
        want = function(X, X + 1.0)
        function.into((x, y), x, y)
        for got, wanted in zip((x, y), want, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-13)
    for _ in range(3):
        x = X.copy()
        jit(lambda x: anp.concatenate([x[1:], x[:1]])).into(x, x)
        assert np.array_equal(x, np.roll(X, -1))


def test_a_captured_array_may_be_overwritten():
    state = X.copy()
    function = jit(lambda: anp.cumsum(state))
    want = X
    for _ in range(5):
        want = np.cumsum(want)
        function.into(state)
        np.testing.assert_allclose(state, want, rtol=1e-12)


def test_containers_scalars_views_and_constants():
    function = jit(lambda x: {"total": anp.sum(x), "both": [x * 2.0, x[1:]], "fixed": np.arange(3.0)})
    out = {"total": np.empty(()), "both": [np.empty(2000), np.empty(1999)], "fixed": np.empty(3)}
    for factor in (1.0, 2.0, 3.0, 4.0):
        function.into(out, X * factor)
        np.testing.assert_allclose(out["total"], np.sum(X * factor))
        assert np.array_equal(out["both"][0], 2 * X * factor) and np.array_equal(out["both"][1], X[1:] * factor)
        assert np.array_equal(out["fixed"], np.arange(3.0))


def test_other_shapes_and_paths():
    function = grad(lambda x: loss(x) if x[0] > 0 else anp.sum(x**2), jit=True)
    plain = grad(lambda x: loss(x) if x[0] > 0 else anp.sum(x**2))
    for x in [X, -X, X[:50], -X[:50], X, -X, X[:50], -X, X]:
        np.testing.assert_allclose(function.into(np.empty_like(x), x), plain(x), rtol=1e-13, atol=1e-14)


def test_results_that_overlap_each_other():
    function, memory = jit(lambda x: (x + 1.0, x * 2.0)), np.empty(2500)
    for _ in range(4):
        function.into((memory[:2000], memory[500:]), X)
        assert np.array_equal(memory[500:], X * 2.0)  # the later one is written last, as in two assignments


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.empty(5), r"result 0 is float64\[2000\], and the array given for it is float64\[5\]"),
        (np.empty(2000, np.float32), "float32"),
        ([np.empty(2000)], "built like"),
        (3.0, "of type float"),
        (np.broadcast_to(1.0, (2000,)), "read-only"),
    ],
)
def test_what_does_not_fit_is_refused(out, message):
    function = grad(loss, jit=True)
    for _ in range(3):
        with pytest.raises(ArgumentError, match=message):
            function.into(out, X)


def test_it_cannot_be_differentiated():
    function = jit(lambda x: x * 2.0)
    with pytest.raises(ArgumentError, match="cannot be traced"):
        grad(lambda x: anp.sum(function.into(np.empty(2000), x)))(X)


def test_keywords_and_interpreted_functions():
    function = jit(lambda x, scale=1.0: x * scale)
    assert np.array_equal(function.into(np.empty(2000), X, scale=3.0), X * 3.0)
    noted = []
    interpreted = value_and_grad(lambda x: noted.append(1) or loss(x), jit=True)
    with pytest.warns(match="interpreted"):
        interpreted(X)
    value, slope = interpreted.into((np.empty(()), np.empty(2000)), X)
    np.testing.assert_allclose(value, loss(X), rtol=1e-13)
    np.testing.assert_allclose(slope, grad(loss)(X), rtol=1e-13)
