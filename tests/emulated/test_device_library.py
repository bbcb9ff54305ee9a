"""Routines of the device library against the CPU's; on the emulated device it is NumPy and SciPy."""

from __future__ import annotations

import importlib
import inspect
import sys
import types

import numpy as np
import pytest

import autograd_jit.numpy as anp
import autograd_jit.scipy.linalg as asl
from autograd_jit import grad, jit, value_and_grad
from autograd_jit.kernels import device_library, library
from autograd_jit.kernels.cuda_device import current_device
from autograd_jit.lower import device_schedule
from autograd_jit.lower.rules import products
from tests.emulated.running import Ran, assert_only_inputs_and_outputs_travel, on_device
from tests.emulation.library import SIGNATURES, EmulatedLibrary

pytestmark = pytest.mark.emulated(keeps_memory=True)

FLOATS = ("float64", "float32")
SIZES = (1, 2, 5, 40)
TOLERANCE = {"float64": 1e-11, "float32": 1e-4}


def numbers(*shape: int, dtype: str = "float64", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def definite(*shape: int, dtype: str = "float64") -> np.ndarray:
    """Positive definite matrices; their eigenvalues are apart."""
    n = shape[-1]
    a = numbers(*shape)
    return (a @ np.swapaxes(a, -1, -2) / n + np.diag(np.arange(1.0, n + 1))).astype(dtype)


def check(emulated_device, f, *args: np.ndarray) -> Ran:
    """``f`` gives an array, or a tuple of them."""
    ran = on_device(emulated_device, f, *args)
    assert "device library: " in ran.report
    tolerance = TOLERANCE[args[0].dtype.name]
    got, want = [answer if isinstance(answer, tuple) else (answer,) for answer in (ran.got, ran.want)]
    for g, w in zip(got, want, strict=True):
        assert (g.dtype, g.shape) == (w.dtype, w.shape)
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance * max(1.0, abs(w).max()))
    assert_only_inputs_and_outputs_travel(ran)
    return ran


# ---------------------------------------------------------------- products

PRODUCTS = {
    "matrices": (lambda a, b: anp.tanh(a @ b) * 2, (5, 40), (40, 7)),
    "transposed": (lambda a, b: anp.tanh(a.T @ b.T) + 1, (6, 5), (9, 6)),
    "stacks": (lambda a, b: anp.exp(a @ b), (3, 5, 4), (3, 4, 6)),
    "a stack and a matrix": (lambda a, b: anp.exp(a @ b), (3, 5, 4), (4, 6)),
    "gradients": (grad(lambda a, b: anp.sum(anp.tanh(a @ b) ** 2), (0, 1)), (5, 40), (40, 7)),
    "parts": (lambda a, b: a[1:, ::2] @ b[::-1] + 1, (5, 8), (4, 6)),
}


@pytest.fixture
def all_are_large(monkeypatch):
    monkeypatch.setattr(device_schedule, "LARGE_PRODUCT", 1)
    monkeypatch.setattr(products, "SMALL_PRODUCT", 0)  # which are loops


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", PRODUCTS)
def test_large_products(emulated_device, all_are_large, name, dtype):
    f, left, right = PRODUCTS[name]
    ran = check(emulated_device, f, 0.3 * numbers(*left, dtype=dtype), 0.3 * numbers(*right, dtype=dtype, seed=1))
    assert "product " not in ran.report, ran.report  # the kernel of our own


def test_small_products_stay_in_the_graph(emulated_device):
    size = int(device_schedule.LARGE_PRODUCT ** (1 / 3)) // 4
    ran = on_device(emulated_device, lambda a: anp.tanh(anp.exp(a) @ a), numbers(size, size) / size)
    assert "device library" not in ran.report
    assert ran.counts["graph_launches"] == 1


def test_products_do_not_ask_whether_the_run_has_ended(emulated_device, all_are_large):
    """They cannot fail, so nobody waits before them; what is made of garbage is dropped when the guard has failed."""

    def f(a):
        scale = 2.0 if anp.sum(a) > 0 else -3.0
        return anp.tanh(a @ (a * scale))

    a = numbers(6, 6) + 1
    ran = on_device(emulated_device, f, a)
    assert ran.counts["d2h"] == 2  # the guard's answer, on its way while the product is made, and the results
    assert ran.counts["syncs"] == 3  # for both, and within the emulated library
    np.testing.assert_allclose(ran.got, ran.want, rtol=1e-12, atol=1e-14)
    compiled = jit(f, target="cuda")
    for sign in (1, 1, -1, 1, -1, -1):
        np.testing.assert_allclose(compiled(sign * a), f(sign * a), rtol=1e-12, atol=1e-14)
    assert compiled.stats.fallbacks == 0


# ---------------------------------------------------------------- systems


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", SIZES)
def test_systems(emulated_device, dtype, n):
    a = numbers(3, n, n, dtype=dtype) + 3 * np.eye(n, dtype=dtype)
    check(emulated_device, anp.linalg.solve, a[0], numbers(n, dtype=dtype))
    check(emulated_device, anp.linalg.solve, a, numbers(3, n, 4, dtype=dtype))
    check(emulated_device, lambda a, b: anp.linalg.solve(anp.swapaxes(a, 1, 2), b), a, numbers(3, n, 4, dtype=dtype))
    check(emulated_device, lambda a, b: anp.linalg.solve(a, b), a[0], numbers(3, n, 2, dtype=dtype))
    check(emulated_device, anp.linalg.inv, a)
    gradients = grad(lambda a, b: anp.sum(anp.linalg.solve(a, b) ** 2), argnum=(0, 1))
    check(emulated_device, gradients, a, numbers(3, n, 4, dtype=dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", SIZES)
def test_determinants_with_gradients(emulated_device, dtype, n):
    a = numbers(2, n, n, dtype=dtype) + 3 * np.eye(n, dtype=dtype)
    check(emulated_device, grad(lambda a: anp.sum(anp.linalg.slogdet(a)[1])), a)
    check(emulated_device, grad(lambda a: anp.linalg.det(a / 3)), a[0])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("unit", [True, False])
def test_triangular_systems(emulated_device, dtype, lower, unit):
    for n in SIZES:
        t = numbers(n, n, dtype=dtype) / np.array(n, dtype) + 2 * np.eye(n, dtype=dtype)
        options = {"lower": lower, "unit_diagonal": unit}
        check(emulated_device, lambda t, b: asl.solve_triangular(t, b, **options), t, numbers(n, 3, dtype=dtype))
        check(emulated_device, lambda t, b: asl.solve_triangular(t, b, trans=1, **options), t, numbers(n, dtype=dtype))


def test_a_matrix_near_to_singular_is_solved_to_the_last_bit(emulated_device):
    """What is in doubt is decided by LAPACK, on the host."""
    a, b = np.stack([definite(5, 5)] * 3), numbers(3, 5, 2)
    a[1, :, 0] = a[1, :, 1] + 1e-12 * numbers(5)
    fetched = device_library.current().fetched
    ran = check(emulated_device, anp.linalg.solve, a, b)
    np.testing.assert_array_equal(ran.got[1], np.linalg.solve(a, b)[1])
    assert device_library.current().fetched > fetched


def test_a_singular_matrix_has_a_determinant(emulated_device):
    ran = check(emulated_device, anp.linalg.det, np.stack([np.ones((4, 4)), definite(4, 4), np.zeros((4, 4))]))
    assert (ran.got[[0, 2]] == 0).all()


@pytest.mark.parametrize(
    "f, good, bad",
    [
        (lambda a: anp.linalg.solve(a, a[0]), definite(5, 5), np.ones((5, 5))),
        (anp.linalg.inv, definite(3, 9, 9), np.stack([definite(9, 9), np.zeros((9, 9)), definite(9, 9)])),
        (anp.linalg.cholesky, definite(5, 5), -definite(5, 5)),
        (anp.linalg.cholesky, definite(2, 12, 12), definite(2, 12, 12) * [[[1.0]], [[np.nan]]]),
        (lambda a: asl.solve_triangular(a, a[0], lower=True), definite(5, 5), np.triu(np.ones((5, 5)), 1)),
        (anp.linalg.eigvalsh, definite(4, 4), np.full((4, 4), np.nan)),
        (lambda a: anp.linalg.svd(a)[1], definite(4, 4), np.full((4, 4), np.nan)),
    ],
)  # fmt: skip
def test_what_numpy_raises(emulated_device, f, good, bad):
    try:
        want = f(bad)
    except Exception as error:
        want = error
    compiled = jit(f, target="cuda")
    for _ in range(3):
        np.testing.assert_allclose(compiled(good), f(good), rtol=1e-12, atol=1e-12)
    if isinstance(want, Exception):
        with pytest.raises(type(want)) as caught:
            compiled(bad)
        assert str(caught.value) == str(want)
        assert (compiled.stats.fallbacks, compiled.stats.traces) == (1, 1)
    else:
        np.testing.assert_array_equal(compiled(bad), want)
    np.testing.assert_allclose(compiled(good), f(good), rtol=1e-12, atol=1e-12)


def test_the_guard_before_decides(emulated_device):
    """Values that take another path do not reach a library that would refuse them."""

    def f(a):
        if anp.trace(a) > 0:
            return anp.sum(anp.linalg.solve(a, a[0]))
        return anp.sum(a)

    compiled = value_and_grad(f, jit=True, target="cuda")
    for a in (definite(4, 4), definite(4, 4), definite(4, 4), np.zeros((4, 4)), -np.ones((4, 4)), definite(4, 4)):
        for got, want in zip(compiled(a), value_and_grad(f)(a)):
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)
    assert (compiled.stats.fallbacks, compiled.stats.traces) == (0, 2)
    assert compiled.stats.guard_failures >= 2


# ---------------------------------------------------------------- factorizations


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", SIZES)
def test_cholesky(emulated_device, dtype, n):
    check(emulated_device, anp.linalg.cholesky, definite(3, n, n, dtype=dtype))
    check(emulated_device, grad(lambda a: anp.sum(anp.linalg.cholesky(a) ** 3)), definite(2, n, n, dtype=dtype))
    factor = lambda a, b: anp.linalg.solve(anp.linalg.cholesky(a), b)
    check(emulated_device, factor, definite(n, n, dtype=dtype), numbers(n, 2, dtype=dtype))


def test_a_matrix_that_is_barely_positive(emulated_device):
    a = definite(5, 5)
    a[0, :] = a[:, 0] = 0
    a[0, 0] = 1e-13
    ran = check(emulated_device, anp.linalg.cholesky, a)
    np.testing.assert_array_equal(ran.got, np.linalg.cholesky(a))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", SIZES)
def test_eigenvalues(emulated_device, dtype, n):
    a = definite(3, n, n, dtype=dtype)
    for triangle in "LU":
        check(emulated_device, lambda a: tuple(anp.linalg.eigh(a, triangle)), a)
    check(emulated_device, grad(lambda a: anp.sum(anp.linalg.eigh(a)[1][..., 0] ** 4)), a)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 3), (3, 5), (2, 40, 7), (3, 2, 5)])
def test_singular_values(emulated_device, dtype, shape):
    a = numbers(*shape, dtype=dtype)
    check(emulated_device, lambda a: tuple(anp.linalg.svd(a, full_matrices=False)), a)
    check(emulated_device, lambda a: tuple(anp.linalg.svd(a)), a)
    check(emulated_device, anp.linalg.pinv, a)
    check(emulated_device, grad(lambda a: anp.sum(anp.linalg.svd(a, full_matrices=False)[1] ** 3)), a)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 3), (2, 40, 7)])
def test_qr(emulated_device, dtype, shape):
    check(emulated_device, lambda a: tuple(anp.linalg.qr(a)), numbers(*shape, dtype=dtype))
    check(emulated_device, grad(lambda a: anp.sum(anp.linalg.qr(a)[1] ** 2)), numbers(*shape, dtype=dtype))


@pytest.mark.parametrize("name", ["eigh", "svd", "qr"])
def test_factorizations_of_infinities_and_nan(emulated_device, name):
    """As NumPy has them, errors included."""
    f = getattr(anp.linalg, name)
    compiled = jit(lambda a: tuple(f(a)), target="cuda")
    for bad in (1.0, np.nan, np.inf):
        a = definite(3, 3)
        a[1, 1] *= bad
        for _ in range(2):
            try:
                want = f(a)
            except np.linalg.LinAlgError as error:
                with pytest.raises(np.linalg.LinAlgError, match=str(error)):
                    compiled(a)
                continue
            for g, w in zip(compiled(a), want, strict=True):
                np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------- sorting


@pytest.mark.parametrize("kind", ["quicksort", "stable"])
@pytest.mark.parametrize("dtype", [*FLOATS, "int64", "int32", "bool"])
def test_orders(emulated_device, kind, dtype):
    """Equals too are in NumPy's order, stable or not."""
    for n in SIZES:
        x = (numbers(4, n) * 3).astype(dtype)
        if dtype in FLOATS:
            x[0, ::2], x[1, ::3], x[2, : n // 2] = np.nan, 0.0, -0.0
        for axis in (0, 1):
            ran = on_device(emulated_device, lambda x: anp.argsort(x, axis=axis, kind=kind), x)
            np.testing.assert_array_equal(ran.got, np.argsort(x, axis=axis, kind=kind), strict=True)
            assert "device library: " in ran.report
            assert_only_inputs_and_outputs_travel(ran)


@pytest.mark.parametrize("dtype", FLOATS)
def test_sorted_with_gradients(emulated_device, dtype):
    x = numbers(6, 50, dtype=dtype)
    check(emulated_device, anp.sort, x)
    check(emulated_device, grad(lambda x: anp.sum(anp.sort(x, axis=0)[1:3] ** 2)), x)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_groups(emulated_device, dtype):
    for n in (2, 3, 40):
        x = numbers(n) * 2
        x = np.round(x).astype(dtype) + np.array(0, dtype)  # no negative zeros
        f = lambda x: anp.unique(x, return_index=True, return_inverse=True, return_counts=True)
        ran = on_device(emulated_device, lambda x: tuple(f(x)), x)
        for got, want in zip(ran.got, np.unique(x, return_index=True, return_inverse=True, return_counts=True)):
            np.testing.assert_array_equal(got, want, strict=True)
        assert "device library: " in ran.report and "groups" in ran.report


def test_another_count_of_groups_takes_another_path(emulated_device):
    f = lambda x: anp.sum(anp.unique(x) ** 2)
    compiled = jit(f, target="cuda")
    calls = [np.array(x) for x in ([1.0, 2, 2], [3.0, 4, 3], [1.0, 2, 3], [5.0, 5, 5], [1.0, 1, 2], [4.0, 5, 6])]
    for x in calls:
        assert compiled(x) == f(x)
    assert compiled.stats.fallbacks == 0


# ---------------------------------------------------------------- Fourier transforms

TRANSFORMS = {
    "fft": (anp.fft.fft, "c16"),
    "ifft": (anp.fft.ifft, "c16"),
    "of reals": (anp.fft.rfft, "f8"),
    "to reals": (anp.fft.irfft, "c16"),
    "fft2": (anp.fft.fft2, "c16"),
}


def complex_numbers(*shape: int, dtype: str) -> np.ndarray:
    parts = numbers(2, *shape)
    return (parts[0] + (1j * parts[1] if dtype[0] == "c" else 0)).astype(dtype)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(emulated_device, name, single):
    f, dtype = TRANSFORMS[name]
    dtype = {"c16": "c8", "f8": "f4"}[dtype] if single else dtype
    tolerance = 2e-5 if single else 1e-12
    axes = (-2, 0) if name == "fft2" else None
    for shape, axis in [((7,), 0), ((8,), -1), ((3, 12), -1), ((12, 3), 0), ((2, 6, 5), 1), ((20, 16), 1)]:
        for norm in (None, "ortho", "forward"):
            if axes and len(shape) < 2:
                continue
            options = {"axes": axes} if axes else {"axis": axis}
            ran = on_device(emulated_device, lambda z: f(z, norm=norm, **options), complex_numbers(*shape, dtype=dtype))
            assert "device library: " in ran.report and "fourier" in ran.report
            assert (ran.got.dtype, ran.got.shape) == (ran.want.dtype, ran.want.shape)
            np.testing.assert_allclose(ran.got, ran.want, rtol=tolerance, atol=tolerance * abs(ran.want).max())
            assert_only_inputs_and_outputs_travel(ran)


def test_transforms_of_views_and_their_gradients(emulated_device):
    def power(x):
        spectrum = anp.fft.rfft(x.T[::-1], axis=0) * anp.fft.fft(x[:, :3].T + 1j * x[:, 3:6].T, axis=0)[:, :9].sum()
        return anp.sum(anp.abs(anp.fft.irfft(spectrum, n=6, axis=0)) ** 2)

    check(emulated_device, grad(power), numbers(9, 6))


def test_transforms_of_infinities_and_nan(emulated_device):
    z = complex_numbers(4, 6, dtype="c16")
    z[1, 2], z[2, 3] = np.inf, np.nan
    for f in (anp.fft.fft, anp.fft.ifft, lambda z: anp.fft.irfft(z, norm="forward")):
        ran = on_device(emulated_device, f, z)
        for part in (np.real, np.imag):
            np.testing.assert_allclose(part(ran.got), part(ran.want), rtol=1e-12, atol=1e-14)


# ---------------------------------------------------------------- when it runs, and on what


def test_what_is_queued_is_done_before_the_library_runs(emulated_device):
    f = lambda a: anp.sum(anp.linalg.solve(anp.exp(a) + 5 * anp.eye(6), a) ** 2)
    compiled = value_and_grad(f, jit=True, target="cuda")
    with emulated_device.deferred():
        for seed in range(4):
            a = numbers(6, 6, seed=seed)
            for got, want in zip(compiled(a), value_and_grad(f)(a)):
                np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)
    assert compiled.stats.fallbacks == 0


def test_a_graph_ends_at_a_library_call(emulated_device):
    f = lambda a: anp.tanh(anp.linalg.cholesky(anp.exp(a) + 9 * anp.eye(4)))
    ran = check(emulated_device, f, np.zeros((4, 4)))
    assert ran.counts["graph_launches"] == 2
    assert ran.counts["syncs"] == 2  # before NumPy reads, which needs no waiting on hardware, and for the result


def test_arrays_of_cupy_lie_in_the_programs_memory(emulated_device, monkeypatch):
    """CuPy makes arrays without a device; it needs one for everything else."""
    pytest.importorskip("cupy")
    scipys = pytest.importorskip("cupyx.scipy")
    stand_in = types.ModuleType("cupyx.scipy.linalg")  # the module loads cuBLAS
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    monkeypatch.setattr(scipys, "linalg", stand_in, raising=False)
    device = current_device()
    memory = device.allocate(4096)
    view = device_library.CupyLibrary().view
    turned = view(device, memory, 64, (3, 4), np.dtype("f4"), (4, 12))
    assert (turned.data.ptr, turned.shape, turned.strides) == (memory.address + 64, (3, 4), (4, 12))
    backwards = view(device, memory, 640, (3,), np.dtype("i8"), (-8,))
    assert (backwards.data.ptr, backwards.strides, backwards.dtype) == (memory.address + 640, (-8,), np.int64)


def test_routines_of_the_library_are_routines_of_the_cpu():
    assert set(device_library.ROUTINES) - {device_library.PRODUCT} < set(library.ROUTINES)


def test_what_stands_for_cupy_refuses_what_cupy_refuses():
    there, here = EmulatedLibrary.xp.asarray(np.ones((2, 2))), np.ones((2, 2))
    for wrong in (
        lambda: np.asarray(there),
        lambda: np.exp(there),
        lambda: np.linalg.svd(there),
        lambda: there + here,
        lambda: here + there,
        lambda: there.__setitem__(..., here),
        lambda: EmulatedLibrary.xp.matmul(there, here),
        lambda: EmulatedLibrary.xp.linalg.svd(there, hermitian=True),
    ):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(ValueError, match="stable"):
        EmulatedLibrary.xp.argsort(there, kind="quicksort")


@pytest.mark.parametrize("module", [name for name in SIGNATURES if not name.startswith("cupyx")])
def test_what_stands_for_cupy_takes_what_cupy_takes(module):
    """Of `cupyx.scipy.linalg`, which loads cuBLAS, hardware must tell."""
    pytest.importorskip("cupy")
    theirs = importlib.import_module(module.removesuffix(" ufuncs"))
    for name, ours in SIGNATURES[module].items():
        assert callable(getattr(theirs, name))
        if "ufuncs" not in module:  # they show no parameters
            found, wanted = [list(inspect.signature(f).parameters) for f in (getattr(theirs, name), ours)]
            assert found[: len(wanted)] == wanted, name


def test_without_a_library_its_routines_run_on_the_host(emulated_device, monkeypatch):
    monkeypatch.setattr(device_library, "current", lambda: None)
    a = definite(5, 5)
    compiled = jit(lambda a: anp.linalg.inv(a) * 2, target="cuda")
    for _ in range(3):
        np.testing.assert_allclose(compiled(a), np.linalg.inv(a) * 2, rtol=1e-12)
    report = str(compiled.explain())
    assert "host: " in report and "device library" not in report


def test_a_library_that_fails_is_reported_and_the_call_is_interpreted(emulated_device, monkeypatch):
    class Broken(type(device_library.current())):
        def running(self, device):
            raise OSError("no libcusolver.so")

    monkeypatch.setattr(device_library, "_installed", Broken())
    a = definite(7, 7)
    compiled = jit(lambda a: anp.linalg.inv(a) * 3, target="cuda")
    with pytest.warns(UserWarning, match=r"no libcusolver\.so"):
        for _ in range(3):
            np.testing.assert_allclose(compiled(a), np.linalg.inv(a) * 3, rtol=1e-12)
