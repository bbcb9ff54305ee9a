"""Convolutions and their gradients as kernels: the interpreted answers, without Python steps."""

import itertools

import numpy as np
import pytest
import scipy.signal

import autograd_jit.numpy as anp
from autograd_jit import grad, jit
from autograd_jit.scipy.signal import _takes_fft, convolve

RANDOM = np.random.default_rng(0)
#: images, filters, axes, dot_axes
CASES = [
    ((9,), (4,), None, ((), ())),
    ((5, 6), (2, 3), None, ((), ())),
    ((3, 8, 8), (4, 3, 3), ([1, 2], [1, 2]), ((), ())),
    ((3, 2, 8, 7), (2, 5, 3, 2), ([2, 3], [2, 3]), ([1], [0])),
    ((30, 4, 9, 9), (4, 6, 3, 3), ([2, 3], [2, 3]), ([1], [0])),
    ((2, 3, 12), (3, 2, 5), ([2], [2]), ([1], [0])),
]


def function(axes, dot_axes, mode):
    return lambda a, f: anp.sin(convolve(anp.sin(a), f, axes=axes, dot_axes=dot_axes, mode=mode))


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}".replace(" ", ""))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_and_gradients(case, mode, dtype):
    images, filters, axes, dot_axes = case
    forward = function(axes, dot_axes, mode)
    backward = grad(lambda a, f: anp.sum(forward(a, f) ** 2), (0, 1))
    compiled = jit(forward), jit(backward)
    for _ in range(3):
        a, f = (RANDOM.normal(size=shape).astype(dtype) for shape in (images, filters))
        tolerance = 1e-12 if dtype == np.float64 else 2e-5
        for got, want in zip((compiled[0](a, f), *compiled[1](a, f)), (forward(a, f), *backward(a, f)), strict=True):
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * abs(want).max())
    is_single = axes is None  # full convolutions of those, also in gradients, are SciPy's
    for each in compiled:
        assert (each.stats.traces, each.stats.replays) == (1, 2)
        assert each.stats.python_steps == 0 or is_single
    assert compiled[0].stats.python_steps == (is_single and mode != "valid")


def test_what_is_not_finite_stays_in_its_windows():
    for images, filters, axes, dot_axes in (CASES[3], CASES[1]):
        forward = function(axes, dot_axes, "full")
        compiled = jit(forward)
        for value in (0.0, np.nan, np.inf):
            a, f = RANDOM.normal(size=images), RANDOM.normal(size=filters)
            for place in (a, f):
                place.flat[3] = value
                with np.errstate(all="ignore"):
                    np.testing.assert_allclose(compiled(a, f), forward(a, f), rtol=1e-12, atol=1e-12)


def test_large_convolutions_stay_with_the_fft():
    """SciPy spreads a NaN over everything there; a kernel would not."""
    x, y = RANDOM.normal(size=3000), RANDOM.normal(size=2000)
    compiled = jit(lambda x, y: convolve(x, y))
    for _ in range(2):
        np.testing.assert_allclose(compiled(x, y), scipy.signal.convolve(x, y), rtol=1e-9, atol=1e-9)
    assert compiled.stats.python_steps == 1
    assert "FFT" in compiled.explain()


@pytest.mark.parametrize("mode", ["full", "valid"])
def test_the_choice_of_the_fft_is_that_of_scipy(mode):
    for m, n in itertools.product((10, 600, 5000), (3, 200, 900)):
        if mode == "valid" and m < n:
            continue
        chosen = scipy.signal.choose_conv_method(np.zeros(m), np.zeros(n), mode)
        assert _takes_fft((1, 1, m), (1, 1, n), mode) == (chosen == "fft")


def test_complex_convolutions_are_python_steps():
    a, f = RANDOM.normal(size=9) + 1j, RANDOM.normal(size=3)
    compiled = jit(lambda a, f: convolve(a, f))
    for _ in range(2):
        np.testing.assert_allclose(compiled(a, f), scipy.signal.convolve(a, f))
    assert compiled.stats.python_steps == 1
