"""NumPy's transforms by address, and the routine that calls them."""

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit
from autograd_jit.kernels import numpy_fourier
from autograd_jit.lower.program import lower
from autograd_jit.trace.recorder import Recorder

FFT = anp.fft
SHAPES = [(6,), (5, 7), (3, 4, 5), (8, 16)]
NORMS = [None, "ortho", "forward"]

pytestmark = pytest.mark.skipif(
    not numpy_fourier.loop("fft", np.dtype(float))[0], reason="this NumPy does not say where its transforms are"
)


@pytest.fixture(autouse=True)
def numpys_loops_alone(monkeypatch):
    """As for transforms that our own passes do not take."""
    monkeypatch.setattr("autograd_jit.lower.rules.fourier._kind", lambda *_: None)


def numbers(shape, kind: str) -> np.ndarray:
    rng = np.random.default_rng(3)
    x = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    return (x if kind.startswith("complex") else x.real.copy()).astype(kind)


def check(function, x) -> None:
    """The native program gives NumPy's own bits."""
    recorder = Recorder("tape")
    program = lower(recorder.finish(function(recorder.add_input(x, "x"))))
    assert not program.steps, program.steps
    (got,) = program.run((x,))
    want = function(x)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def test_every_loop_is_found_for_both_precisions():
    for name in numpy_fourier.LOOPS:
        for dtype in (np.float64, np.float32):
            assert numpy_fourier.loop(name, np.dtype(dtype))[0]


def test_a_loop_that_answers_otherwise_is_not_used(monkeypatch):
    monkeypatch.setattr(numpy_fourier, "_answers_as_numpy", lambda *_: False)
    numpy_fourier.loop.cache_clear()
    try:
        assert numpy_fourier.loop("fft", np.dtype(float)) == (0, 0)
        monkeypatch.setattr(numpy_fourier, "_ufunc", lambda name: None)  # as in NumPy 1.26
        numpy_fourier.loop.cache_clear()
        assert numpy_fourier.loop("fft", np.dtype(float)) == (0, 0)
        compiled = jit(FFT.fft)
        x = numbers((4,), "complex128")
        compiled(x)
        np.testing.assert_array_equal(compiled(x), np.fft.fft(x))
        assert "ython step" in str(compiled.explain())
    finally:
        numpy_fourier.loop.cache_clear()


@pytest.mark.parametrize("kind", ["complex128", "complex64", "float64", "float32"])
@pytest.mark.parametrize("name", "fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft fftshift ifftshift".split())
def test_transforms(name, kind):
    if name in ("rfft", "rfftn", "ihfft") and kind.startswith("complex"):
        pytest.skip("a transform of reals")
    for shape in SHAPES:
        for norm in NORMS[: 1 if "shift" in name else 3]:
            options = {"norm": norm} if norm else {}
            check(lambda x, options=options: getattr(FFT, name)(x, **options), numbers(shape, kind))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("n", [3, 4, 9])
def test_axes_cropping_and_padding(axis, n):
    z = numbers((4, 5, 6), "complex128")
    check(lambda x: FFT.fft(x, n, axis), z)
    check(lambda x: FFT.irfft(x, n, axis), z)
    check(lambda x: FFT.rfft(x, n, axis), z.real.copy())
    check(lambda x: FFT.fft(x.T * 2, n, axis), z)  # computed, and in another order


def test_gradients():
    x = numbers((8, 6), "float64")
    for loss in (
        lambda x: anp.sum(anp.abs(FFT.fft2(x)) ** 2),
        lambda x: anp.sum(anp.abs(FFT.rfft(x, 12)) ** 3),
        lambda x: anp.sum(FFT.irfft(x * (1 + 2j), 11, norm="ortho") ** 2),
        lambda x: anp.sum(anp.abs(FFT.fftshift(FFT.ifftn(x))) ** 3),
    ):
        first = grad(loss)
        for gradient in (first, grad(lambda x, first=first: anp.sum(first(x) ** 2))):
            compiled = jit(gradient)
            compiled(x)
            np.testing.assert_allclose(compiled(x), gradient(x), rtol=1e-11, atol=1e-12)
            assert "ython step" not in str(compiled.explain())
