"""numpy.fft: linear maps, so that one numerical derivative proves each; every norm, odd sizes, padding, axes."""

import autograd
import autograd.numpy as hips_np
import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit.numpy import fft
from tests.numeric import check, gradient, scalar_gradient

NORMS = [None, "backward", "ortho", "forward"]


def data(*shape, kind="complex"):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if kind == "complex" else x


@pytest.mark.parametrize("norm", NORMS, ids=str)
@pytest.mark.parametrize(("n", "axis"), [(None, -1), (None, 0), (3, 1), (8, 1), (7, 0), (1, 0)], ids=str)
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_one_dimension(name, n, axis, norm):
    kind = "real" if name in ("rfft", "ihfft") else "complex"
    x = data(4, 5, kind=kind)
    check(lambda y: getattr(fft, name)(y, n, axis, norm), x)
    if name in ("fft", "ifft", "irfft", "hfft"):
        check(lambda y: getattr(fft, name)(y, n, axis, norm), x.real)


@pytest.mark.parametrize("norm", NORMS, ids=str)
@pytest.mark.parametrize(
    ("s", "axes"),
    [
        (None, None),
        (None, (0, 1)),
        (None, (-1, 0)),
        ((3, 6), (0, 2)),
        ((6, 2), (2, 1)),
        ((5, -1), (0, 1)),
        (None, (1,)),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
def test_several_dimensions(name, s, axes, norm):
    kind = "real" if name == "rfftn" else "complex"
    x = data(4, 3, 5, kind=kind)
    check(lambda y: getattr(fft, name)(y, s, axes, norm), x, order=1)
    values = []
    gradient(lambda y: values.append(getattr(fft, name)(y, s, axes, norm)) or y)(x)
    assert np.allclose(values[0]._value, getattr(np.fft, name)(x, s, axes, norm))


@pytest.mark.parametrize("s", [None, (3, 6), (8, 2)], ids=str)
@pytest.mark.parametrize("name", ["fft2", "ifft2", "rfft2", "irfft2"])
def test_two_dimensions(name, s):
    x = data(4, 5, kind="real" if name == "rfft2" else "complex")
    check(lambda y: getattr(fft, name)(y, s, norm="ortho"), x)
    check(lambda y: getattr(fft, name)(y, s, axes=(0, 1)), x)


@pytest.mark.parametrize("axes", [None, 0, (1,), (0, -1)], ids=str)
@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
def test_shifts(name, axes):
    x = data(4, 5)
    check(lambda y: getattr(fft, name)(y, axes), x, order=1)
    values = []
    gradient(lambda y: values.append(getattr(fft, name)(y, axes)) or y)(x)
    assert np.array_equal(values[0]._value, getattr(np.fft, name)(x, axes))


def test_repeated_axes_transform_twice():
    x = data(4, 5)
    values = []
    gradient(lambda y: values.append(fft.fftn(y, axes=(0, 0))) or y)(x)
    assert np.allclose(values[0]._value, np.fft.fftn(x, axes=(0, 0)))
    check(lambda y: fft.fftn(y, axes=(0, 0)), x)


def test_round_trip_and_power_spectrum():
    x = data(9, kind="real")
    assert np.allclose(gradient(lambda y: fft.irfft(fft.rfft(y), 9))(x)[0], gradient(lambda y: y)(x)[0])
    check(lambda y: anp.sum(anp.abs(fft.rfft(y)) ** 2), x)


@pytest.mark.parametrize("name", ["fft", "ifft", "fft2", "rfft2", "irfft2"])
def test_against_autograd(name):
    x = data(4, 6, kind="real" if name == "rfft2" else "complex")
    got = scalar_gradient(lambda y: anp.sum(anp.abs(getattr(fft, name)(y)) ** 2), x)
    want = autograd.grad(lambda y: hips_np.sum(hips_np.abs(getattr(hips_np.fft, name)(y)) ** 2))(x)
    assert np.allclose(got, want)


def test_single_precision_stays_single():
    x = data(5, kind="real").astype(np.float32)
    for name in ("fft", "rfft", "ihfft", "irfft"):
        assert gradient(getattr(fft, name))(x)[0].dtype == np.float32


def test_bad_arguments():
    x = data(4)
    with pytest.raises(ValueError, match="Invalid norm"):
        gradient(lambda y: fft.fft(y, norm="unit"))(x)
    with pytest.raises(ValueError, match="data points"):
        gradient(lambda y: fft.fft(y, 0))(x)
    with pytest.raises(TypeError, match="out="):
        gradient(lambda y: fft.fft(y, out=np.zeros(4, complex)))(x)
    with pytest.raises(TypeError, match="complex"):
        gradient(fft.rfft)(x)


def test_names_without_derivative_are_numpys():
    assert fft.fftfreq is np.fft.fftfreq
    with pytest.raises(AttributeError, match="no attribute"):
        fft.nothing
