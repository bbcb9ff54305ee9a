"""Matrix products of our own: exact where sums are, every layout and remainder, special values, and when they pay."""

import ctypes

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit
from autograd_jit.kernels import matrix_product, subset
from autograd_jit.lower import routines
from autograd_jit.lower.program import lower
from autograd_jit.trace.recorder import Recorder

pytestmark = pytest.mark.cpu


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Whatever the library and the processor are."""
    monkeypatch.setattr("autograd_jit.lower.rules.products.pays", lambda *_: True)


def native(function, *arrays, mode="eager"):
    recorder = Recorder("tape")
    inputs = [recorder.add_input(x, f"x{position}") for position, x in enumerate(arrays)]
    program = lower(recorder.finish(function(*inputs)), mode)
    assert not program.steps
    return program


def run(function, *arrays):
    program = native(function, *arrays)
    assert [call.routine for call in program.calls.values()] == ["matrix_product"]
    (got,) = program.run(arrays)
    return got


def whole(*shape, dtype="float64", seed=0):
    """Whole numbers, so that no sum of them rounds."""
    return np.random.default_rng(seed).integers(-9, 9, shape).astype(dtype)


SIZES = [(8, 24, 24), (17, 33, 29), (2, 70, 40), (70, 40, 2), (9, 300, 25), (64, 3, 48), (24, 17, 49), (10, 777, 23)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_remainder_and_transpose(size, dtype):
    m, k, n = size
    left, right = whole(m, k, dtype=dtype), whole(k, n, dtype=dtype, seed=1)
    for a, f in ((left, lambda a: a), (left.T.copy(), lambda a: a.T)):
        for b, g in ((right, lambda b: b), (right.T.copy(), lambda b: b.T)):
            got = run(lambda a, b, f=f, g=g: f(a) @ g(b), a, b)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, left @ right)


def test_stacks_and_other_strides():
    a, b = whole(3, 30, 28), whole(28, 33, seed=1)
    np.testing.assert_array_equal(run(lambda a, b: a @ b, a, b), a @ b)
    np.testing.assert_array_equal(
        run(lambda a, b: a[1, ::-1, ::2] @ b[::2, ::-1], a, b), a[1, ::-1, ::2] @ b[::2, ::-1]
    )
    np.testing.assert_array_equal(run(lambda a, b: b.T @ anp.swapaxes(a, 1, 2), a, b), b.T @ a.mT)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_errors_are_those_of_a_sum_in_order(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 500)).astype(dtype), rng.normal(size=(500, 60)).astype(dtype)
    want = a.astype(np.longdouble) @ b.astype(np.longdouble)
    size = np.abs(a).astype(np.longdouble) @ np.abs(b).astype(np.longdouble)
    got = run(lambda a, b: a @ b, a, b)
    assert np.max(np.abs(got - want) / size) < 500**0.5 * np.finfo(dtype).eps / 2
    np.testing.assert_array_equal(run(lambda a, b: a @ b, a[7:], b[:, 5:24].copy()), got[7:, 5:24])


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e308])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_special_values_go_where_they_go_in_numpy(bad):
    rng = np.random.default_rng(0)
    for place in ("left", "right", "both"):
        a, b = rng.normal(size=(21, 30)), rng.normal(size=(30, 27))
        b[7, 3] = 0.0
        if place != "right":
            a[4, 7] = a[20, 29] = a[20, 0] = bad
        if place != "left":
            b[29, 26] = b[0, 5] = bad
        got, want = run(lambda a, b: a @ b, a, b), a @ b
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_array_equal(np.isinf(got), np.isinf(want))
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


def test_nothing_is_written_beside_the_result():
    code = subset.compiled(matrix_product.matrix_product, "double")
    entry = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 2)(code.address("matrix_product"))
    for m, k, n in SIZES:
        left, right = whole(m, k), whole(k, n, seed=1)
        out, panel = np.full(m * n + 32, 7.5), np.full(matrix_product.workspace(k, left.dtype) + 32, 7.5)
        slots = np.array([x.ctypes.data for x in (left, right, out[16:], panel[16:])])
        words = np.zeros(26, np.int64)
        words[:4] = 1, m, k, n
        words[12:17], words[17:22] = (0, 0, 0, k, 1), (1, 0, 0, n, 1)
        words[22], words[24] = 2, 3
        assert entry(slots.ctypes.data, words.ctypes.data) == 0
        np.testing.assert_array_equal(out[16:-16].reshape(m, n), left @ right)
        for kept in (out[:16], out[-16:], panel[:16], panel[-16:]):
            np.testing.assert_array_equal(kept, 7.5)


def test_both_tiers_give_the_same_bits(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("autograd_jit.kernels.subset._compiled", {})
    rng = np.random.default_rng(0)
    a, b, results = rng.normal(size=(33, 40)), rng.normal(size=(40, 35)), []
    for mode in ("never", "eager"):
        monkeypatch.setattr(routines, "_known", {})
        program = native(lambda a, b: a @ b, a, b, mode=mode)
        assert [routine.tier for routine in program.routines] == ["quick" if mode == "never" else "full"]
        results += program.run((a, b))
    np.testing.assert_array_equal(*results)


def test_gradients_of_a_network():
    def loss(layers, x):
        for weights, bias in layers:
            x = anp.tanh(anp.dot(x, weights) + bias)
        return anp.sum(x**2)

    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(a, b)) / 5, rng.normal(size=b)) for a, b in ((20, 30), (30, 25), (25, 18))]
    compiled = jit(grad(loss))
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(26, 20))
        for got, want in zip(compiled(layers, x), grad(loss)(layers, x), strict=True):
            for one, other in zip(got, want, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)
    assert compiled.stats.replays == 2 and compiled.stats.python_steps == 0


@pytest.mark.parametrize(
    ("advantage", "threads", "size", "expected"),
    [
        (2.0, 2, (100, 100, 100), True),
        (2.0, 1, (20, 20, 20), True),
        (2.0, 8, (100, 100, 100), False),  # it asks its threads
        (2.0, 8, (60, 60, 60), True),  # not yet
        (1.0, 1, (60, 60, 60), False),
        (0.0, 1, (60, 60, 60), False),  # a library that is not known
        (2.0, 1, (600, 600, 600), False),
        (2.0, 1, (60, 2000, 60), True),
    ],
)
def test_when_they_pay(monkeypatch, advantage, threads, size, expected):
    monkeypatch.setattr(matrix_product, "_advantage", lambda: (advantage, threads))
    assert matrix_product.pays(*size) is expected


def test_what_is_known_of_the_library(monkeypatch):
    matrix_product._advantage.cache_clear()
    advantage, threads = matrix_product._advantage()
    assert advantage in (0, 1, 2, 4) and threads >= 1
    monkeypatch.setattr(matrix_product, "numpy_library", lambda: None)
    matrix_product._advantage.cache_clear()
    assert matrix_product._advantage() == (0.0, 1)
    matrix_product._advantage.cache_clear()
