"""Recurrences, sorting, searching and convolution in compiled functions: NumPy's answers, ties and NaN included."""

from __future__ import annotations

import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad, jit
from autograd_jit.kernels.numpy_functions import PLACES, function_address
from tests.kernels.test_lapack import assert_close, replayed

rng = onp.random.default_rng(0)
DTYPES = (onp.float64, onp.float32, onp.int64, onp.int32, onp.bool_)


def awkward(*shape: int, dtype=float) -> onp.ndarray:
    """Values with many ties; of floats, with NaN, infinities and signed zeros."""
    values = rng.integers(0, 4, size=shape).astype(dtype)
    if values.dtype.kind == "f":
        flat = values.reshape(-1)
        for special in (onp.nan, onp.inf, -onp.inf, -0.0):
            flat[rng.integers(0, flat.size, size=max(flat.size // 8, 1))] = special
    return values


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [None, "quicksort", "stable", "mergesort"])
def test_argsort_breaks_ties_as_numpy(dtype, kind):
    for n in (1, 2, 17, 300, 1000):
        x = awkward(n, dtype=dtype)
        got = replayed(lambda x: np.argsort(x, kind=kind), x)
        onp.testing.assert_array_equal(got, onp.argsort(x, kind=kind))


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_sorting_along_axes_and_of_any_layout(axis):
    x = awkward(5, 40)
    for view in (lambda x: x, lambda x: x[::2, ::-1], lambda x: x.T):

        def both(x, view=view):
            return np.argsort(view(x), axis), np.sort(view(x), axis)

        order, values = replayed(both, x)
        onp.testing.assert_array_equal(order, onp.argsort(view(x), axis))
        onp.testing.assert_array_equal(values, onp.sort(view(x), axis))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_of_extrema(name, dtype):
    function, ours = getattr(onp, name), getattr(np, name)
    for shape in ((1,), (7,), (100,), (6, 33)):
        for axis in (None, 0, -1):
            x = awkward(*shape, dtype=dtype)
            got = replayed(lambda x, axis=axis: ours(x, axis), x)
            onp.testing.assert_array_equal(got, function(x, axis))
            assert type(got) is type(function(x, axis))
    x = awkward(3, 4, dtype=dtype)
    onp.testing.assert_array_equal(replayed(lambda x: ours(x, 1, keepdims=True), x), function(x, 1, keepdims=True))


def test_numpys_functions_are_where_they_are_said_to_be():
    for name in PLACES:
        for dtype in DTYPES:
            assert function_address(name, onp.dtype(dtype))


@pytest.mark.parametrize("side", ["left", "right"])
def test_searches(side):
    a = onp.sort(awkward(50))
    keys = onp.concatenate([awkward(30), rng.normal(size=10)])

    def search(a, v):
        return np.searchsorted(a, v, side)

    onp.testing.assert_array_equal(replayed(search, a, keys), onp.searchsorted(a, keys, side))
    assert replayed(search, a, onp.float64(2.0)) == onp.searchsorted(a, 2.0, side)
    jitted = jit(search)
    for line in (a, rng.permutation(a), a):  # out of order NumPy finds something, too
        onp.testing.assert_array_equal(jitted(line, keys), onp.searchsorted(line, keys, side))


@pytest.mark.parametrize("dtype", [onp.float64, onp.float32])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_cumulative_functions_are_numpys_bit_for_bit(name, dtype):
    function, ours = getattr(onp, name), getattr(np, name)
    with onp.errstate(all="ignore"):
        for shape in ((1,), (100,), (3, 20), (2, 5, 4)):
            for axis in (None, *range(len(shape))):
                x = rng.normal(size=shape).astype(dtype)
                x.reshape(-1)[0] = -0.0
                want = function(x, axis)
                got = replayed(lambda x, axis=axis: ours(x, axis), x)
                assert got.tobytes() == want.tobytes() and got.shape == want.shape
        x = awkward(2, 60, dtype=dtype)
        onp.testing.assert_array_equal(replayed(lambda x: ours(x.T, 0), x), function(x.T, 0))


@pytest.mark.parametrize("lengths", [(5, 3), (3, 5), (1, 4), (1, 1), (200, 30)])
def test_convolutions(lengths):
    a, v = rng.normal(size=lengths[0]), rng.normal(size=lengths[1])
    assert_close(replayed(np.convolve, a, v), onp.convolve(a, v))
    assert_close(replayed(lambda a, v: np.convolve(a[::-1], v), a, v), onp.convolve(a[::-1], v))


def test_counts():
    x = awkward(4, 9)
    assert replayed(lambda x: np.float64(1.0) * np.count_nonzero(x > 1), x) == onp.count_nonzero(x > 1)
    onp.testing.assert_array_equal(replayed(lambda x: np.count_nonzero(x, axis=0), x), onp.count_nonzero(x, axis=0))


def test_gradients_are_the_interpreted_ones():
    losses = {
        "cumsum": lambda x: np.sum(np.cumsum(x) ** 2),
        "cumprod": lambda x: np.sum(np.cumprod(x) ** 2),
        "cumprod of rows": lambda x: np.sum(np.cumprod(np.reshape(x, (4, -1)), axis=1) ** 2),
        "sort": lambda x: np.sum(np.sort(x) * np.arange(x.size)),
        "median": lambda x: np.median(x) + np.median(x[1:]),
        "convolve": lambda x: np.sum(np.convolve(x, x[:3]) ** 3),
        "interp": lambda x: np.sum(np.interp(x, np.linspace(-1.0, 1.0, 5), np.sin(np.arange(5.0) * x[0]))),
        "largest": lambda x: x[np.argmax(x)] ** 2,
    }
    for name, loss in losses.items():
        gradient = grad(loss, jit=True)
        for _ in range(3):
            x = rng.normal(size=12)
            onp.testing.assert_allclose(gradient(x), grad(loss)(x), rtol=1e-10, atol=1e-12, err_msg=name)
        assert not [line for line in gradient.kernels(x).schedule if line.startswith("Python")], name
        assert gradient.stats.replays == 2, name


def test_masks():
    x = rng.normal(size=(4, 6))

    def chosen(x):
        return np.exp(x[x > 0]), x.T[x.T > 1], x[x[:, 0] > 0], np.sum(x[x < 0.3] ** 2)

    assert_close(replayed(chosen, x), chosen(x))
    jitted, gradient = jit(chosen), grad(lambda x: np.sum(x[x > 0] ** 3), jit=True)
    for y in (x, rng.normal(size=(4, 6)), x, -x, rng.permutation(x.reshape(-1)).reshape(4, 6)):
        assert_close(jitted(y), chosen(y))
        assert_close(gradient(y), 3 * y**2 * (y > 0))
    assert jitted.stats.replays > 0 and gradient.stats.replays > 0
    assert not [line for line in gradient.kernels(x).schedule if line.startswith("Python")]


def test_masks_that_keep_their_count_replay():
    jitted = jit(lambda x: x[x > 0] * 2)
    x = onp.array([1.0, -1.0, 2.0, -2.0])
    for y in (x, x[::-1], onp.roll(x, 1)):
        assert_close(jitted(y), y[y > 0] * 2)
    assert jitted.stats.traces == 1


def test_functions_with_steps_in_them():
    x = awkward(40)
    x[:3] = 0.5, -1.5, 0.0
    with onp.errstate(all="ignore"):
        for function in (
            np.sinc,
            np.isposinf,
            np.isneginf,
            lambda x: np.heaviside(x, 0.25),
            np.imag,
            lambda x: np.reshape(x, (5, 8), order="F"),
        ):
            onp.testing.assert_allclose(replayed(function, x), function(x), rtol=1e-14)


def test_einsum_with_axes_of_size_one():
    x, y = rng.normal(size=(3, 1)), rng.normal(size=(4, 5))
    for text in ("ij,jk->ik", "ij,jk->ijk", "ij,kj->i"):
        other = y if "kj" not in text else y.T
        want = onp.einsum(text, onp.broadcast_to(x, (3, other.shape[1] if "kj" in text else 4)), other)
        assert_close(replayed(lambda x, y, t=text: np.einsum(t, x, y), x, other), want)
