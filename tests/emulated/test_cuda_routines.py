"""Kernels of routines, run from the compiler's IR, against the CPU's routines: equal to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import elementwise_grad, jit, value_and_grad
from autograd_jit.kernels import cuda_compiler, cuda_routines
from tests.emulated.running import assert_only_inputs_and_outputs_travel, on_device
from tests.emulation import machine_code

pytestmark = pytest.mark.emulated(keeps_memory=True)

FLOATS = ("float64", "float32")
SIZES = (1, 2, 5, 40, 300)
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 1.0, -3.0, 1e300, 5e-324]


def numbers(*shape: int, dtype: str = "float64", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def special(dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.array(SPECIAL).astype(dtype)


def check(emulated_device, f, *args) -> None:
    ran = on_device(emulated_device, f, *args)
    for got, want in zip(np.atleast_1d(ran.got), np.atleast_1d(ran.want), strict=True):
        np.testing.assert_array_equal(got, want, strict=True)
        assert (np.signbit(got) == np.signbit(want)).all() or np.isnan(want).any()
    assert_only_inputs_and_outputs_travel(ran)


# ---------------------------------------------------------------- recurrences


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES)
def test_totals_are_added_in_numpys_order(emulated_device, name, dtype, size):
    for axis in range(3):
        check(emulated_device, lambda x: getattr(anp, name)(x, axis=axis), numbers(3, size, 2, dtype=dtype))


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_totals_of_special_values(emulated_device, name, dtype):
    with np.errstate(invalid="ignore"):
        check(emulated_device, getattr(anp, name), special(dtype)[::-1].copy())
        check(emulated_device, lambda x: getattr(anp, name)(x[::-1]), special(dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES)
def test_recurrences(emulated_device, dtype, size):
    """The derivative of a cumulative product is a recurrence."""
    f = elementwise_grad(lambda x: anp.cumprod(x, axis=-1))
    check(emulated_device, f, numbers(4, size, dtype=dtype))
    check(emulated_device, f, numbers(size, dtype=dtype))


# ---------------------------------------------------------------- convolution, determinants


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("sizes", [(1, 1), (2, 1), (5, 40), (40, 5), (300, 200)])
def test_convolutions_add_in_the_same_order(emulated_device, dtype, sizes):
    n, m = sizes
    check(emulated_device, anp.convolve, numbers(n, dtype=dtype), numbers(m, dtype=dtype, seed=1))
    check(emulated_device, lambda a, v: anp.convolve(a[::-1], v), numbers(n, dtype=dtype), numbers(m, dtype=dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", (1, 2, 5, 40))
def test_determinants(emulated_device, dtype, size):
    a = numbers(7, size, size, dtype=dtype) / np.array(size, dtype) ** 0.5
    a[3] = 0
    for f in (anp.linalg.det, anp.linalg.slogdet):
        ran = on_device(emulated_device, lambda a: f(a) if f is anp.linalg.det else tuple(f(a)), a)
        for got, want in zip(np.atleast_1d(ran.got), np.atleast_1d(ran.want), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12 if dtype == "float64" else 1e-5)
            assert got.dtype == want.dtype


# ---------------------------------------------------------------- searching


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("size", SIZES)
def test_searchsorted(emulated_device, dtype, side, size):
    a = np.sort(numbers(size, dtype=dtype).round(1))
    v = np.concatenate([a[::2], numbers(50, dtype=dtype, seed=1), special(dtype)])
    check(emulated_device, lambda a, v: anp.searchsorted(a, v, side=side), a, v)
    check(emulated_device, lambda a, v: anp.searchsorted(a, v, side=side), np.sort(special(dtype)), v)


def test_a_search_in_what_is_not_in_order_is_left_to_numpy(emulated_device):
    """It stops the run, whatever steps come after it."""
    a, v = np.arange(300.0), numbers(5) * 100

    def f(a, v):
        places = anp.searchsorted(a, v)
        return anp.cumsum(a[places - 1] * v)

    compiled = jit(f, target="cuda")
    for _ in range(3):
        np.testing.assert_array_equal(compiled(a, v), f(a, v))
    assert compiled.stats.fallbacks == 0
    shuffled = np.random.default_rng(0).permutation(a)
    np.testing.assert_array_equal(compiled(shuffled, v), f(shuffled, v))
    assert (compiled.stats.fallbacks, compiled.stats.traces) == (1, 1)
    np.testing.assert_array_equal(compiled(a, v), f(a, v))
    assert (compiled.stats.fallbacks, compiled.stats.traces) == (1, 1)


def test_the_guard_before_a_routine_that_stops_decides(emulated_device):
    def f(a, v):
        return anp.searchsorted(a, v) * 2.0 if anp.sum(v) > 0 else v + anp.sum(a)

    compiled = jit(f, target="cuda")
    a, v = np.arange(9.0), np.array([2.5, 3.0])
    for _ in range(2):
        np.testing.assert_array_equal(compiled(a, v), f(a, v))
    np.testing.assert_array_equal(compiled(a[::-1].copy(), -v), f(a[::-1], -v))
    assert (compiled.stats.fallbacks, compiled.stats.guard_failures, compiled.stats.traces) == (0, 1, 2)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", [*FLOATS, "int64", "int32", "bool"])
def test_places_of_extrema(emulated_device, name, dtype):
    f = getattr(anp, name)
    for size in SIZES:
        x = (numbers(6, size) * 3).astype(dtype)  # with ties, where it is not of floats
        check(emulated_device, lambda x: f(x, axis=1), x)
        check(emulated_device, lambda x: f(x, axis=0), x)
        check(emulated_device, lambda x: f(x), x)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_first_of_equals_and_the_first_nan(emulated_device, name, dtype):
    f = getattr(anp, name)
    rng = np.random.default_rng(3)
    x = rng.choice(special(dtype), size=(60, 400))
    x[::2] = rng.choice([0.0, -0.0, 2.0, -2.0], size=(30, 400))
    check(emulated_device, lambda x: f(x, axis=1), x)
    check(emulated_device, lambda x: f(x, axis=0), x)


@pytest.mark.parametrize("seed", range(4))
def test_threads_in_any_order(emulated_device, seed):
    x = numbers(7, 1000).round(1)
    emulated_device.seed(seed)
    try:
        check(emulated_device, lambda x: anp.argmax(x, axis=1), x)
        check(emulated_device, lambda x: x[x > 0.5], x)
        check(emulated_device, anp.searchsorted, np.sort(x[0]), x)
    finally:
        emulated_device.seed(0)


@pytest.mark.parametrize("size", SIZES)
def test_masks(emulated_device, size):
    x = numbers(size)
    x[0] = 1.0
    check(emulated_device, lambda x: x[x > 0], x)
    check(emulated_device, lambda x: x[x > -9], x)


def test_a_mask_with_another_count_takes_another_path(emulated_device):
    f = lambda x: anp.sum(x[x > 0] ** 2)
    compiled = value_and_grad(f, jit=True, target="cuda")
    for x in (numbers(9), numbers(9), numbers(9, seed=5), -np.ones(9), numbers(9)):
        for got, want in zip(compiled(x), value_and_grad(f)(x)):
            np.testing.assert_allclose(got, want, rtol=1e-14)
    assert compiled.stats.fallbacks == 0


# ---------------------------------------------------------------- products with vectors


@pytest.mark.parametrize("dtype", FLOATS)
def test_products_with_vectors_are_loops(emulated_device, dtype):
    a, x = numbers(290, 300, dtype=dtype), numbers(300, dtype=dtype, seed=1)
    tolerance = {"float64": 1e-12, "float32": 2e-5}[dtype]
    for f, args in [
        (lambda a, x: a @ x, (a, x)),
        (lambda a, x: x @ a, (a.T.copy(), x)),
        (lambda a, x: a.T @ x, (a.T.copy(), x)),
        (lambda a, x: anp.matmul(a[:, None, :], x[:, None])[:, 0, 0], (a, x)),
    ]:
        ran = on_device(emulated_device, f, *args)
        np.testing.assert_allclose(ran.got, ran.want, rtol=tolerance, atol=tolerance * 20)
        assert ran.got.dtype == ran.want.dtype
        assert "gemm" not in ran.report
        assert_only_inputs_and_outputs_travel(ran)


# ---------------------------------------------------------------- machine code

_SIGNATURES = {  # operands, results (x: of either float type), how many numbers
    "cumulative_sum": (("x",), ("x",), 3),
    "cumulative_product": (("x",), ("x",), 3),
    "recurrence": (("x", "x"), ("x",), 4),
    "convolve": (("x", "x"), ("x",), 3),
    "determinant": (("x", "i64"), ("x", "x"), 2),
    "searchsorted": (("x", "x"), ("i64",), 4),
    "argmax": (("x",), ("i64",), 3),
    "argmin": (("x",), ("i64",), 3),
    "flatnonzero": (("i1",), ("i64",), 3),
}


@pytest.mark.parametrize("architecture", machine_code.ARCHITECTURES)
def test_machine_code(compiler_packages, architecture):
    if machine_code.assembler() is None:
        pytest.skip("no ptxas: pip install 'autograd_jit[emulation]'")
    assert set(_SIGNATURES) == set(cuda_routines.ROUTINES)
    elements = ("double", "float") if architecture == machine_code.ARCHITECTURES[0] else ("float",)
    for name, (operands, results, count) in _SIGNATURES.items():
        for element in elements:
            kinds = [[element if kind == "x" else kind for kind in kinds] for kinds in (operands, results)]
            signature = cuda_compiler.numba_types(cuda_routines.signature(*kinds, count))
            kernel = cuda_compiler.python_kernel(cuda_routines.source(name, kinds[0][0]))
            report = machine_code.report(kernel, signature, architecture)
            where = (name, element, report)
            assert (report.spill_stores, report.spill_loads, report.local_accesses) == (0, 0, 0), where
            if element == "float":
                assert report.float64_ptx == 0, where
                assert report.float64_sass in (0, None), where
