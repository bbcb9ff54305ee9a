"""What must hold on a CUDA device, whichever it is: `pytest -m gpu tests/gpu` on hardware, and with `--emulated-cuda`
the same tests on the emulated one. Nothing here asks the device for more than answers."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit, value_and_grad
from autograd_jit.device_array import DeviceArray, to_device
from autograd_jit.kernels.cuda_device import current_device, why_unavailable
from tests.emulated.programs import PROGRAMS

pytestmark = pytest.mark.gpu

#: relative to the largest element; of float32 in single precision throughout
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-5}


@pytest.fixture(autouse=True)
def device():
    """The device of this run."""
    reason = why_unavailable()
    if reason is not None:
        pytest.skip(reason)
    return current_device()


def assert_close(found, expected, tolerance: float) -> None:
    expected = np.asarray(expected)
    scale = float(np.max(np.abs(expected), initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", PROGRAMS)
def test_answers(name, dtype):
    program = PROGRAMS[name]
    compiled, exact = value_and_grad(program.function, jit=True, target="cuda"), value_and_grad(program.function)
    for seed in range(4):
        arguments = program.arguments(seed, dtype)
        for found, expected in zip(compiled(*arguments), exact(*[a.astype(float) for a in arguments]), strict=True):
            assert_close(found, expected, TOLERANCE[dtype])
    assert compiled.stats.fallbacks == 0 and compiled.stats.replays >= 2, compiled.explain()


@pytest.mark.parametrize("name", PROGRAMS)
def test_arguments_and_results_on_the_device(name):
    program = PROGRAMS[name]
    compiled, plain = grad(program.function, jit=True, target="cuda"), grad(program.function)
    for seed in range(4):
        arguments = program.arguments(seed)
        found = compiled(*[to_device(a) for a in arguments])
        assert type(found) is DeviceArray
        assert_close(found.to_host(), plain(*arguments), 1e-12)
    assert compiled.stats.fallbacks == 0, compiled.explain()


@pytest.mark.parametrize("name", ["long chain", "long rows", "columns", "gather backwards"])
def test_every_replay_gives_the_same_bits(name):
    program = PROGRAMS[name]
    compiled = value_and_grad(program.function, jit=True, target="cuda")
    arguments = program.arguments(0)
    compiled(*arguments)  # the trace, on the host
    answers = {b"".join([np.asarray(part).tobytes() for part in compiled(*arguments)]) for _ in range(20)}
    assert len(answers) == 1


def _definite(a):
    return a @ anp.swapaxes(a, -1, -2) + 9 * anp.eye(6)


#: every routine of the device library, where there is one; else of the host
ROUTINES = {
    "solve": lambda a: anp.linalg.solve(_definite(a), a),
    "inverse and determinant": lambda a: anp.linalg.inv(_definite(a)) * anp.linalg.det(_definite(a))[..., None, None],
    "cholesky": lambda a: anp.linalg.cholesky(_definite(a)),
    "eigenvalues": lambda a: anp.linalg.eigh(_definite(a))[0],
    "singular values": lambda a: anp.linalg.svd(a, compute_uv=False),
    "qr": lambda a: anp.abs(anp.linalg.qr(_definite(a))[1]),
    "transforms": lambda a: anp.abs(anp.fft.fft(a)) ** 2 + anp.real(anp.fft.ifft(anp.fft.fft(a, axis=-2))),
    "real transforms": lambda a: anp.fft.irfft(anp.fft.rfft(a) * 2, 6),
    "sort": lambda a: anp.sort(a, axis=-1) * np.arange(6.0),
    "cumulative sums": lambda a: anp.cumsum(a, axis=-1),
    "gather and scatter": lambda a: a[..., np.array([3, 1, 1, 0])] ** 2,
}


@pytest.mark.parametrize("shape", [(1, 6, 6), (4, 6, 6)])
@pytest.mark.parametrize("name", ROUTINES)
def test_routines(name, shape):
    f = ROUTINES[name]
    loss = lambda a: anp.sum(anp.tanh(f(a) / 10))
    compiled, plain = value_and_grad(loss, jit=True, target="cuda"), value_and_grad(loss)
    for seed in range(3):
        a = np.random.default_rng(seed).normal(size=shape)
        for found, expected in zip(compiled(a), plain(a), strict=True):
            assert_close(found, expected, 1e-9)  # gradients divide by distances of singular values
    assert compiled.stats.fallbacks == 0 and compiled.stats.replays == 2, compiled.explain()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", [40, 300])  # by a kernel of our own, and by the library
def test_products(size, dtype):
    compiled = jit(lambda a, b: anp.tanh(a @ b.T), target="cuda")
    for seed in range(3):
        a, b = np.random.default_rng(seed).normal(size=(2, size, size)).astype(dtype) / dtype(np.sqrt(size))
        assert_close(compiled(a, b), np.tanh(a.astype(float) @ b.T.astype(float)), TOLERANCE[dtype])
    assert compiled.stats.fallbacks == 0, compiled.explain()


def test_paths():
    f = lambda x: anp.sum(anp.exp(x)) if x[0] > 0 else anp.sum(x**3)
    compiled, plain = grad(f, jit=True, target="cuda"), grad(f)
    for sign in (1, 1, -1, 1, -1, -1, 1):
        x = sign * np.arange(1.0, 6.0)
        assert_close(compiled(x), plain(x), 1e-12)
    assert compiled.stats.fallbacks == 0, compiled.explain()


def test_arrays_of_cupy_are_read_and_written_in_place():
    cupy = pytest.importorskip("cupy")
    try:
        x = cupy.arange(5.0)
    except Exception as reason:  # the emulated device is none for CuPy, which has another exception for every lack
        pytest.skip(f"CuPy has no device: {type(reason).__name__}")
    compiled = grad(lambda x: anp.sum(anp.sin(x)), jit=True, target="cuda")
    for _ in range(3):
        found = cupy.asarray(compiled(x))
        assert_close(found.get(), np.cos(np.arange(5.0)), 1e-12)
