"""Small programs at the edges, on the device and interpreted: dtypes, shapes, layouts, special values, indices."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import autograd_jit.numpy as anp
import autograd_jit.scipy.special as special
from autograd_jit import grad, jit
from tests.jit_support import assert_same, compare

pytestmark = pytest.mark.emulated(keeps_memory=True)

R = np.random.default_rng(7)
F32 = R.normal(size=(3, 4)).astype(np.float32)
F64 = R.normal(size=(3, 4))
I32, I64 = np.array([3, -7, 0, 2], np.int32), np.array([[5, -3, 2, 1], [0, 1, -1, 7]])
BOOL = np.array([True, False, True, True])
ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -2.5, 1e308, 5e-324, 1e-310])
WHOLE = np.array([7, -7, 3, -3, 1, -1])
SPD = np.array([[4.0, 1.0], [1.0, 3.0]])

#: name -> a function, and its arguments
VALUES = {
    "float32 and float64": (lambda a, b: a * b + 1, (F32, F64)),
    "float32 and a Python number": (lambda a: a * 0.1 + 2, (F32,)),
    "float32 and an integer array": (lambda a, b: a / b, (F32, np.arange(1, 5, dtype=np.int32))),
    "float32 sum": (lambda a: anp.sum(a, axis=0) / 3, (F32,)),
    "float32 scalar": (lambda a: anp.exp(a) * a, (np.float32(0.3),)),
    "int32 arithmetic wraps": (lambda a: a * a * np.int32(100_003) + a, (I32 * np.int32(70_000),)),
    "int64 arithmetic wraps": (lambda a: a * 2**62, (I64,)),
    "integer floor division": (lambda a, b: a // b, (WHOLE, np.array([2, 2, -2, -2, 3, 3]))),
    "integer division by zero": (lambda a, b: a // b, (WHOLE, np.array([0, 2, 0, -2, 3, 3]))),
    "integer remainder": (lambda a, b: a % b, (WHOLE, np.array([2, 2, -2, -2, 3, 3]))),
    "integer true division": (lambda a, b: a / b, (WHOLE, np.array([2, 0, -2, 0, 3, 3]))),
    "float floor division": (lambda a, b: a // b, (ODD, ODD[::-1])),
    "float remainder": (lambda a, b: a % b, (ODD, np.full(10, 2.0))),
    "powers": (lambda a: (a**2, a**3, a**0.5, a**-1.0), (ODD,)),
    "integer powers": (lambda a: a**2 + a**3, (I64,)),
    "booleans": (lambda a, b: (a & b, a | b, ~a, a ^ b), (BOOL, BOOL[::-1])),
    "sum of booleans": (lambda a: (anp.sum(a), anp.mean(a), anp.any(a), anp.all(a)), (BOOL,)),
    "mask as a number": (lambda a: (a > 0) * a + (a < 0) * 2, (ODD,)),
    "maximum of odd values": (lambda a, b: (anp.maximum(a, b), anp.minimum(a, b)), (ODD, ODD[::-1])),
    "extremes with NaN": (lambda a: (anp.max(a), anp.min(a), anp.argmax(a), anp.argmin(a)), (ODD,)),
    "sum of infinities": (lambda a: (anp.sum(a[2:4]), anp.mean(a), anp.prod(a[:3])), (ODD,)),
    "sign, abs, rounding": (lambda a: (anp.sign(a), anp.abs(a), anp.floor(a), anp.ceil(a), anp.round(a)), (ODD,)),
    "logarithms": (lambda a: (anp.log(a), anp.log1p(a), anp.log2(a), anp.sqrt(a)), (ODD,)),
    "exponentials": (lambda a: (anp.exp(a), anp.expm1(a), anp.tanh(a), anp.logaddexp(a, 1.0)), (ODD,)),
    "where with NaN": (lambda a: anp.where(anp.isnan(a), 0.0, a), (ODD,)),
    "comparisons": (lambda a, b: (a < b, a == b, a >= b, a != b), (ODD, ODD[::-1])),
    "no axes": (lambda a: anp.sin(a) + a * 2, (np.array(0.5),)),
    "no axes and no elements": (lambda a, b: (a * b, anp.sum(b)), (np.array(2.0), np.zeros((0, 3)))),
    "empty": (lambda a: (anp.exp(a), anp.sum(a), anp.prod(a), anp.cumsum(a)), (np.zeros(0),)),
    "empty product": (lambda a, b: a @ b, (np.zeros((3, 0)), np.zeros((0, 2)))),
    "a Fortran array": (lambda a: anp.sum(a * 2, axis=0), (np.asfortranarray(F64),)),
    "strided arrays": (lambda a, b: a * b, (F64[::2, ::-1], F64[1:, ::-1])),
    "broadcast arrays": (lambda a, b: a + b, (np.broadcast_to(F64[:1], (3, 4)), F64)),
    "an array twice": (lambda a, b: a * b + a, (F64, F64)),
    "an argument is the result": (lambda a: (a, a * 1.0, a), (F64,)),
    "gather": (lambda a, i: a[i], (F64, np.array([2, -1, 0, 0]))),
    "gather out of bounds": (lambda a, i: a[i] * 2, (F64, np.array([2, 3]))),
    "gather two": (lambda a, i: a[i, ::-1] + a[i][:, i], (F64, np.array([2, 0, 1]))),
    "take": (lambda a, i: anp.take(a, i, axis=1), (F64, np.array([[3, 0], [1, 1]]))),
    "argsort": (lambda a: (anp.argsort(a), anp.sort(a)), (np.array([3.0, 1.0, 2.0, np.nan, -0.0, 0.0]),)),
    "argsort of rows": (lambda a: anp.argsort(a, axis=0), (F64,)),
    "cumulative": (lambda a: (anp.cumsum(a, axis=0), anp.cumsum(a), anp.cumprod(a, axis=1)), (F64,)),
    "searchsorted": (lambda a, b: anp.searchsorted(a, b), (np.arange(5.0), np.array([0.5, 9.0, np.nan, -1.0]))),
    "norms": (lambda a: (anp.linalg.norm(a), anp.linalg.norm(a, axis=0), anp.var(a), anp.std(a, axis=1)), (F64,)),
    "linear algebra": (lambda a: (anp.linalg.inv(a), anp.linalg.det(a), anp.linalg.cholesky(a)), (SPD,)),
    "a singular matrix": (lambda a: anp.linalg.inv(a), (np.ones((2, 2)),)),
    "special functions": (lambda a: (special.gammaln(a), special.erf(a), special.expit(a)), (np.abs(F64) + 0.1,)),
    "containers": (lambda d: {"sum": d["a"] + d["b"][0], "n": [d["b"][1], 3]}, ({"a": F64, "b": (F32, 2.0)},)),
    "concatenate and stack": (lambda a, b: (anp.concatenate([a, b]), anp.stack([a, b], 1)), (F64, F64 * 2)),
    "windows": (lambda a: a[1:] - a[:-1] + anp.pad(a, 1)[2:-1, 1:-1], (F64,)),
    "complex numbers": (lambda a: anp.abs(a * 1j + 2) + anp.real(anp.exp(1j * a)), (F64,)),
    "Fourier transforms": (lambda a: anp.abs(anp.fft.fft(a)) + anp.real(anp.fft.ifft(a)), (F64,)),
    "products": (lambda a, b: (a @ b, anp.dot(b, b), anp.outer(b, a[0]), a[:, :3] @ a[:, 1:]), (F64, F64[0])),
    "einsum": (lambda a, b: anp.einsum("ij,kj->ik", a, b), (F64, F64 + 1)),
    "a raised error": (lambda a: anp.reshape(a, (5, 5)), (F64,)),
    "an error after a branch": (lambda a: 1 / 0 if anp.sum(a) > -1e9 else a, (F64,)),
}

#: scalar functions and the array that their gradient is taken of
GRADIENTS = {
    "scatter of doubles": (lambda a: anp.sum(a[np.array([1, 1, 0]), ::-1] ** 3), F64),
    "sorted": (lambda a: anp.sum(anp.sort(a, axis=0)[1] * anp.arange(4.0)), F64),
    "extremes": (lambda a: anp.max(a) * anp.min(a) + anp.sum(anp.max(a, axis=1)), np.round(F64)),
    "where": (lambda a: anp.sum(anp.where(a > 0, anp.log(anp.abs(a)), a**2)), F64),
    "cumulative": (lambda a: anp.sum(anp.cumsum(a, axis=1) ** 2) + anp.prod(anp.cumsum(a)), F64),
    "float32": (lambda a: anp.sum(anp.tanh(a) ** 2) * np.float32(0.5), F32),
    "systems": (lambda a: anp.sum(anp.linalg.solve(a, anp.ones(2))) + anp.linalg.slogdet(a)[1], SPD),
    "eigenvalues": (lambda a: anp.sum(anp.linalg.eigh(a)[0] ** 2), SPD),
    "empty": (lambda a: anp.sum(a**2), np.zeros((0, 2))),
    "no axes": (lambda a: a**3, np.array(2.0)),
    "overflow": (lambda a: anp.sum(anp.exp(a * 1e5)), F64),
    "Fourier transform": (lambda a: anp.sum(anp.abs(anp.fft.fft(a)) ** 2), F64[0]),
    "windows": (lambda a: anp.sum((a[2:] - 2 * a[1:-1] + a[:-2]) ** 2), F64[0]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", VALUES)
def test_values(emulated_device, name):
    function, arguments = VALUES[name]
    compare(function, *[arguments] * 3, target="cuda")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(emulated_device, name):
    function, argument = GRADIENTS[name]
    compiled = compare(function, *[(argument * (1 + n),) for n in range(3)], operator=grad, target="cuda")
    assert compiled.stats.replays > 0, compiled.explain()


def test_captured_arrays_that_change_between_calls(emulated_device):
    small, large = np.ones(3), np.ones((3, 10_000), np.float32)
    compiled = jit(lambda x: anp.sum(large * x[:, None], axis=1) + small, target="cuda")
    for step in range(6):
        large[step % 3, -1 - step] += step
        small[0] = np.nan if step == 3 else step
        x = np.arange(3.0)
        assert_same(compiled(x), compiled.__wrapped__(x))
    assert compiled.stats.replays >= 4


def test_threads_with_arrays_of_their_own(emulated_device):
    gradient = grad(lambda x, y: anp.sum(anp.sin(x * y)), jit=True, target="cuda")
    wrong: list[int] = []

    def work(number: int) -> None:
        for step in range(8):
            x, y = np.full(9000, number + 1.0), np.full(9000, step % 2 + 0.5)
            if not np.allclose(gradient(x, y), y * np.cos(x * y), rtol=1e-12, atol=0):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and gradient.stats.fallbacks == 0
