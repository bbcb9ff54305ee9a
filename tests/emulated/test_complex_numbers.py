"""Complex programs on a device: their kernels are those of real numbers, Fourier transforms the device library's."""

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit

pytestmark = [pytest.mark.emulated(keeps_memory=True), pytest.mark.usefixtures("emulated_device")]

W = np.linspace(-1, 2, 30).reshape(5, 6) * (1 + 2j) + 1j


def test_gradient_through_products_transforms_and_roots():
    square = W[:, :5] + 1.0

    def loss(x):
        z = W / (x + 1j * x**2 + 2) + anp.exp(1j * x)
        spectrum, turned = anp.abs(anp.fft.fft2(z)), anp.abs(square @ z) ** 2
        return anp.sum(spectrum) + anp.sum(turned) + anp.real(anp.sum(anp.log(z + 9) * anp.sqrt(z)))

    compiled = grad(loss, jit=True, target="cuda")
    for x in (np.linspace(-1, 1, 30).reshape(5, 6), np.linspace(0, 1, 30).reshape(5, 6)):
        np.testing.assert_allclose(compiled(x), grad(loss)(x), rtol=1e-10)
    text = str(compiled.explain())
    assert compiled.stats.replays and "ython step" not in text
    assert "device library: " in text and "fourier fft" in text


def test_complex_arguments_and_results():
    def function(z):
        return z * z, anp.abs(z), z[1:] / z[:-1], anp.linalg.inv(z[:, :5])

    compiled = jit(function, target="cuda")
    for z in (W + np.eye(5, 6), W.T.copy().T + 2 * np.eye(5, 6)):
        for got, want in zip(compiled(z), function(z), strict=True):
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=1e-9)
