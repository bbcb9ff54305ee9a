"""scipy.signal.convolve against SciPy's values and numerical derivatives."""

import autograd.scipy.signal as hips
import numpy as np
import pytest
import scipy.signal as ss

from autograd_jit.errors import ArgumentError
from autograd_jit.scipy import signal
from tests.numeric import check, gradient


def data(*shape, seed=0, kind="real"):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if kind == "complex" else x


def value_of(f, *args):
    seen = []
    gradient(lambda *boxes: seen.append(f(*boxes)) or boxes[0])(*args)
    return seen[0]._value


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("mode", ["full", "valid", "same"])
@pytest.mark.parametrize(
    ("a", "b"), [((7,), (3,)), ((3,), (7,)), ((5, 6), (2, 3)), ((4, 4, 3), (2, 1, 3)), ((4,), (4,))], ids=str
)
def test_as_scipys(a, b, mode, kind):
    x, y = data(*a, kind=kind), data(*b, seed=1)
    for f, g in (
        (signal.convolve, ss.convolve),
        (signal.correlate, ss.correlate),
        (signal.fftconvolve, ss.fftconvolve),
    ):
        check(lambda p, q: f(p, q, mode), x, y)
        assert np.allclose(value_of(lambda p, q: f(p, q, mode), x, y), g(x, y, mode))
    check(lambda p, q: signal.convolve(p, q, mode=mode), x, y)
    assert np.allclose(signal.convolve(x, y, mode), ss.convolve(x, y, mode))


@pytest.mark.parametrize("mode", ["full", "valid"])
def test_images_and_filters(mode):
    images, filters = data(2, 3, 5, 6), data(3, 4, 2, 3, seed=1)
    f = lambda a, b: signal.convolve(a, b, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode=mode)
    check(f, images, filters)
    want = hips.convolve(images, filters, axes=[[2, 3], [2, 3]], dot_axes=[[1], [0]], mode=mode)
    assert np.allclose(f(images, filters), want)
    assert np.allclose(value_of(f, images, filters), want)


@pytest.mark.parametrize(
    ("a", "b", "axes", "dot_axes"),
    [
        ((3, 5), (2, 4), ([1], [1]), ([], [])),
        ((3, 5), (4, 3), ([1], [0]), ([0], [1])),
        ((2, 3, 5, 2), (3, 4, 2), ([-2], [1]), ([1, 0], [0, 2])),
        ((3, 5, 2), (4, 3), None, ([0], [1])),
    ],
    ids=str,
)
def test_axes(a, b, axes, dot_axes):
    if axes is None:
        with pytest.raises(ValueError, match="same dimensionality"):
            signal.convolve(data(*a), data(*b), axes, dot_axes)
        return
    x, y = data(*a), data(*b, seed=1)
    f = lambda p, q: signal.convolve(p, q, axes=axes, dot_axes=dot_axes)
    check(f, x, y)
    # Autograd takes negative axes for others
    axes = [[axis % len(a) for axis in axes[0]], axes[1]]
    assert np.allclose(f(x, y), hips.convolve(x, y, axes=axes, dot_axes=list(dot_axes)))


def test_large_convolutions_do_not_lay_out_windows(monkeypatch):
    x, y = data(2, 3, 20), data(4, 3, 5, seed=1)
    f = lambda p, q: signal.convolve(p, q, axes=([2], [2]), dot_axes=([1], [1]), mode="valid")
    want = f(x, y)
    monkeypatch.setattr("autograd_jit.scipy.signal._WINDOW_LIMIT", 10)
    assert np.allclose(f(x, y), want)
    check(f, x, y, order=1)


def test_bad_arguments():
    with pytest.raises(ValueError, match="mode"):
        signal.convolve(data(3), data(2), mode="whole")
    with pytest.raises(ArgumentError, match="both"):
        signal.convolve(data(3, 3), data(2, 3), axes=([1], [1]), dot_axes=([1], [1]))
    with pytest.raises(ValueError, match="at least as large"):
        gradient(lambda x: signal.convolve(x, data(2, 5), mode="valid"))(data(3, 3))
    assert signal.butter is ss.butter


def test_single_precision_stays_single():
    x = data(2, 3, 5).astype(np.float32)
    f = lambda p: signal.convolve(p, x, axes=([2], [2]), dot_axes=([1], [1]))
    assert gradient(f)(x)[0].dtype == np.float32
    assert value_of(f, x).dtype == np.float32
