"""Linear algebra in compiled functions: NumPy's answers and NumPy's errors, whatever the matrices look like."""

from __future__ import annotations

import numpy as onp
import pytest

import autograd_jit.numpy as np
import autograd_jit.scipy.linalg as sl
from autograd_jit import grad, jit
from autograd_jit.kernels import lapack
from autograd_jit.kernels.blas import routine_address

SIZES = (1, 2, 3, 8, 9, 17, 40)
rng = onp.random.default_rng(0)


def matrices(*shape: int, dtype=float) -> onp.ndarray:
    """Well-conditioned matrices, away from symmetry."""
    return (rng.normal(size=shape) + 2 * shape[-1] ** 0.5 * onp.eye(*shape[-2:])).astype(dtype)


def positive(*shape: int, dtype=float) -> onp.ndarray:
    a = rng.normal(size=shape)
    return (a @ onp.swapaxes(a, -1, -2) + shape[-1] * onp.eye(shape[-1])).astype(dtype)


def replayed(function, *args):
    """The answer of a native replay (not of the trace)."""
    jitted = jit(function)
    jitted(*args)
    assert not [line for line in jitted.kernels(*args).schedule if line.startswith("Python")]
    before = jitted.stats.replays
    result = jitted(*args)
    assert jitted.stats.replays == before + 1
    return result


def assert_close(actual, expected, ulps: float = 200.0) -> None:
    for got, want in zip(
        actual if isinstance(actual, tuple) else (actual,),
        expected if isinstance(expected, tuple) else (expected,),
        strict=True,
    ):
        assert got.shape == want.shape and got.dtype == want.dtype
        scale = onp.max(onp.abs(want), initial=0.0)
        onp.testing.assert_allclose(got, want, rtol=0, atol=ulps * onp.finfo(want.dtype).eps * max(scale, 1.0))


FUNCTIONS = {
    "inv": (lambda a: np.linalg.inv(a), matrices),
    "det": (lambda a: np.linalg.slogdet(a)[1], matrices),
    "slogdet": (lambda a: tuple(np.linalg.slogdet(a)), matrices),
    "cholesky": (lambda a: np.linalg.cholesky(a), positive),
    "upper cholesky": (lambda a: np.linalg.cholesky(a, upper=True), positive),
    "eigh": (lambda a: tuple(np.linalg.eigh(a)), positive),
    "upper eigh": (lambda a: tuple(np.linalg.eigh(a, "U")), positive),
    "svd": (lambda a: tuple(np.linalg.svd(a)), matrices),
    "qr": (lambda a: tuple(np.linalg.qr(a)), matrices),
    "pinv": (lambda a: np.linalg.pinv(a), matrices),
    "several of one matrix": (
        lambda a: (np.linalg.inv(a), np.linalg.inv(np.swapaxes(a, -1, -2)), np.linalg.slogdet(a)[1]),
        matrices,
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [onp.float64, onp.float32])
def test_numpys_answers_in_every_size(name, dtype):
    function, make = FUNCTIONS[name]
    for n in SIZES:
        a = make(n, n, dtype=dtype)
        expected = function(a)
        assert_close(replayed(function, a), tuple(expected) if isinstance(expected, tuple) else expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_stacks_and_layouts(name):
    function, make = FUNCTIONS[name]
    a = make(2, 3, 4, 4)
    for view in (
        lambda x: x,
        lambda x: np.swapaxes(x, 0, 1),
        lambda x: np.swapaxes(x, -1, -2),
        lambda x: x[:, ::-1],
        lambda x: x[:, :1, ::-1, ::-1],
        lambda x: np.broadcast_to(x[0, 0], (5, 4, 4)),
        lambda x: x[1],
    ):

        def of_view(x, view=view):
            return function(view(x))

        assert_close(replayed(of_view, a), of_view(a))


@pytest.mark.parametrize("dtype", [onp.float64, onp.float32])
@pytest.mark.parametrize("columns", [1, 2, 33])
def test_solve(dtype, columns):
    for n in SIZES:
        a, b = matrices(n, n, dtype=dtype), rng.normal(size=(n, columns)).astype(dtype)
        assert_close(replayed(np.linalg.solve, a, b), onp.linalg.solve(a, b))
        assert_close(replayed(lambda a, b: np.linalg.solve(a.T, b), a, b), onp.linalg.solve(a.T, b))
        assert_close(replayed(np.linalg.solve, a, b[:, 0]), onp.linalg.solve(a, b[:, 0]))
        both = replayed(lambda a, b: (np.linalg.solve(a, b), np.linalg.solve(a.T, b)), a, b)
        assert_close(both, (onp.linalg.solve(a, b), onp.linalg.solve(a.T, b)))


@pytest.mark.parametrize(
    "shapes", [((2, 3, 3), (2, 3, 2)), ((3, 3), (4, 3, 2)), ((4, 3, 3), (3, 2)), ((2, 1, 3, 3), (4, 3, 2))]
)
def test_systems_broadcast(shapes):
    a, b = matrices(*shapes[0]), rng.normal(size=shapes[1])

    def both(a, b):
        return np.linalg.solve(a, b), np.linalg.solve(np.swapaxes(a, -1, -2), b)

    assert_close(replayed(both, a, b), both(a, b))


def test_mixed_dtypes_compute_in_the_wider():
    a, b = matrices(3, 3, dtype=onp.float32), rng.normal(size=(3, 2))
    assert_close(replayed(np.linalg.solve, a, b), onp.linalg.solve(a, b))


def test_one_factorization_serves_a_gradient():
    """A system, its cotangent, the determinant and its cotangent: one LU."""
    gradient = grad(lambda a, b: np.sum(np.linalg.solve(a, b) ** 2) + np.linalg.slogdet(a)[1], argnum=(0, 1), jit=True)
    a, b = matrices(20, 20), rng.normal(size=20)
    gradient(a, b)
    schedule = gradient.kernels(a, b).schedule
    assert sum("= lu(" in line or line.startswith("lu ") for line in schedule) == 1
    plain = grad(lambda a, b: np.sum(np.linalg.solve(a, b) ** 2) + np.linalg.slogdet(a)[1], argnum=(0, 1))
    assert_close(tuple(gradient(a, b)), tuple(plain(a, b)))


def test_systems_with_a_cholesky_factor_need_no_lu():
    def loss(k, y):
        factor = np.linalg.cholesky(k)
        whitened = np.linalg.solve(factor, y)
        return whitened @ whitened + np.sum(np.log(np.diag(factor)))

    gradient = grad(loss, jit=True)
    for n in (3, 30):
        k, y = positive(n, n), rng.normal(size=n)
        gradient(k, y)
        assert not [line for line in gradient.kernels(k, y).schedule if line.startswith("lu ")]
        assert_close(gradient(k, y), grad(loss)(k, y))


# ---------------------------------------------------------------- what cannot be solved


def outcome(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return type(error), str(error)


def singular(n: int) -> onp.ndarray:
    a = matrices(n, n)
    a[-1] = 0
    return a


@pytest.mark.parametrize("n", [1, 3, 12])
@pytest.mark.parametrize(
    "function",
    [
        lambda a: np.linalg.solve(a, np.ones(a.shape[-1])),
        lambda a: np.linalg.inv(a),
        lambda a: np.linalg.cholesky(a),
        lambda a: (np.linalg.inv(a), 1.0)[1],  # the result is not used, the error is
    ],
)
def test_errors_are_numpys(function, n):
    jitted = jit(function)
    good = positive(n, n)
    for _ in range(2):
        jitted(good)
    for bad in (singular(n), -positive(n, n) * 0):
        assert outcome(jitted, bad) == outcome(function, bad)
        assert outcome(jitted, bad)[0] is onp.linalg.LinAlgError
    assert_close(onp.asarray(jitted(good)), onp.asarray(function(good)))


def test_an_error_that_the_function_handles():
    def function(a):
        try:
            return np.sum(np.linalg.cholesky(a))
        except np.linalg.LinAlgError:
            return np.sum(a)

    jitted = jit(function)
    for a in (positive(3, 3), -positive(3, 3), positive(3, 3), -positive(12, 12), positive(12, 12)):
        onp.testing.assert_allclose(jitted(a), function(a), rtol=1e-12)
    assert jitted.stats.replays > 0


@pytest.mark.parametrize("n", [1, 3, 12])
def test_determinants_of_singular_matrices_are_zero(n):
    def function(a):
        return (np.linalg.det(a), *np.linalg.slogdet(a))

    jitted = jit(function)
    jitted(matrices(n, n))
    with onp.errstate(divide="ignore"):
        assert jitted(singular(n)) == function(singular(n)) == (0.0, 0.0, -onp.inf)
    assert jitted.stats.traces == 1


@pytest.mark.parametrize("n", [3, 12])
@pytest.mark.parametrize("value", [onp.nan, onp.inf, -onp.inf])
def test_what_is_not_finite_goes_where_numpy_lets_it_go(n, value):
    functions = [
        lambda a: np.linalg.solve(a, np.ones(n)),
        lambda a: np.linalg.inv(a),
        lambda a: np.linalg.cholesky(a),
        lambda a: np.linalg.slogdet(a)[1],
    ]
    for function in functions:
        jitted = jit(function)
        jitted(positive(n, n))
        for place in ((0, 0), (1, 0), (0, 1), (n - 1, n - 1)):
            a = positive(n, n)
            a[place] = value
            with onp.errstate(all="ignore"):
                got, want = outcome(jitted, a), outcome(function, a)
            if isinstance(want, tuple):
                assert got == want
            else:
                onp.testing.assert_allclose(got, want, rtol=1e-10)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 20])
def test_nearly_singular_matrices_give_numpys_very_digits(n):
    """Their solutions are roundings, and whether they have one is too: LAPACK computes them, as for NumPy."""

    def both(a, b):
        return np.linalg.solve(a, b), np.linalg.solve(a.T, b)

    jitted = jit(both)
    b = onp.ones(n)
    jitted(matrices(n, n), b)
    for _ in range(5):
        a = onp.outer(rng.normal(size=n), rng.normal(size=n)) + 1e-14 * rng.normal(size=(n, n))
        got, want = outcome(jitted, a, b), outcome(both, a, b)
        assert_same(got, want)
    exact = onp.arange(float(n * n)).reshape(n, n)  # of rank two: singular up to roundings
    assert_same(outcome(jitted, exact, b), outcome(both, exact, b))


def assert_same(got, want) -> None:
    if isinstance(want[0], type):
        assert got == want
    else:
        onp.testing.assert_array_equal(got, want)


def test_the_other_triangle_is_not_read():
    a = positive(12, 12)
    a[onp.triu_indices(12, 1)] = onp.nan
    assert_close(replayed(np.linalg.cholesky, a), onp.linalg.cholesky(a))
    small = a[:4, :4].copy()
    assert_close(replayed(np.linalg.cholesky, small), onp.linalg.cholesky(small))


def test_empty_matrices():
    for function in (np.linalg.inv, np.linalg.det, np.linalg.cholesky):
        jitted = jit(function)
        for _ in range(2):
            assert jitted(onp.zeros((2, 0, 0))).shape == function(onp.zeros((2, 0, 0))).shape


# ---------------------------------------------------------------- factorizations


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 4, 4), (1, 1), (30, 12)])
@pytest.mark.parametrize("full", [False, True])
def test_singular_values(shape, full):
    a = rng.normal(size=shape)

    def svd(a):
        return tuple(np.linalg.svd(a, full_matrices=full))

    assert_close(replayed(svd, a), tuple(onp.linalg.svd(a, full_matrices=full)))


def test_pseudo_inverse_of_deficient_rank():
    a = rng.normal(size=(6, 2)) @ rng.normal(size=(2, 4))
    assert_close(replayed(np.linalg.pinv, a), onp.linalg.pinv(a))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("trans", ["N", "T"])
def test_triangular_systems(lower, unit, trans):
    for n, columns in ((1, 1), (3, 2), (8, 1), (21, 1), (21, 5), (50, 40)):
        a, b = matrices(n, n) / n, rng.normal(size=(n, columns))

        def function(a, b):
            return sl.solve_triangular(a, b, trans, lower, unit)

        scale = onp.abs(function(a, b)).max()
        assert_close(replayed(function, a, b) / scale, function(a, b) / scale, 2000)
        assert_close(replayed(lambda a, b, f=function: f(a.T, b), a, b), function(a.T, b), 2000 * scale)


def test_a_singular_triangle():
    def function(a, b):
        return sl.solve_triangular(a, b, lower=True)

    jitted = jit(function)
    for n in (3, 12):
        a, b = matrices(n, n), onp.ones(n)
        jitted(a, b)
        a[1, 1] = 0
        assert outcome(jitted, a, b)[0] is onp.linalg.LinAlgError


def test_gradients_are_the_interpreted_ones():
    losses = {
        "eigh": lambda a: np.sum(np.linalg.eigh(a)[0] ** 3),
        "vectors": lambda a: np.sum(np.linalg.eigh(a)[1][:, 0] ** 4),
        "svd": lambda a: np.sum(np.log(np.linalg.svd(a, compute_uv=False))),
        "qr": lambda a: np.sum(np.linalg.qr(a)[1] ** 2),
        "pinv": lambda a: np.sum(np.linalg.pinv(a) ** 2),
        "norm": lambda a: np.linalg.norm(a) + np.sum(np.linalg.norm(a, axis=1)),
        "det": lambda a: np.linalg.det(a),
    }
    for name, loss in losses.items():
        gradient = grad(loss, jit=True)
        for n in (3, 11):
            a = positive(n, n)
            gradient(a)
            assert not [line for line in gradient.kernels(a).schedule if line.startswith("Python")], name
            want = grad(loss)(a)
            onp.testing.assert_allclose(gradient(a), want, rtol=1e-8, atol=1e-9 * onp.abs(want).max())


def test_workspaces_are_what_lapack_asks_for():
    reals, integers = lapack.workspace("syevd", onp.dtype(float), ord("V"), ord("L"), 10)
    assert reals >= 1 + 6 * 10 + 2 * 10**2 and integers >= 3 + 5 * 10  # the documented minimum


def test_integers_of_both_libraries(monkeypatch):
    """SciPy's library has 32-bit integers: pivots come out right from there, too."""
    from autograd_jit.kernels import blas

    monkeypatch.setattr(blas, "_numpy_libraries", lambda: ())
    routine_address.cache_clear()
    try:
        assert routine_address("dgetrf").integer_bytes == 4
        a, b = matrices(12, 12)[::-1], rng.normal(size=12)
        assert_close(replayed(np.linalg.solve, a, b), onp.linalg.solve(a, b))
        assert_close(onp.asarray(replayed(np.linalg.det, a)) / onp.linalg.det(a), onp.asarray(1.0))
    finally:
        routine_address.cache_clear()


# ---------------------------------------------------------------- products with vectors


@pytest.mark.parametrize("dtype", [onp.float64, onp.float32])
def test_large_products_with_vectors(dtype):
    a = rng.normal(size=(2, 300, 260)).astype(dtype)
    x, y = rng.normal(size=520).astype(dtype), rng.normal(size=300).astype(dtype)
    functions = {
        "rows": lambda a, x, y: a[0] @ x[:260],
        "columns": lambda a, x, y: a[1].T @ y,
        "vector first": lambda a, x, y: y @ a[0],
        "steps": lambda a, x, y: a[0] @ x[::2],
        "backwards": lambda a, x, y: a[0] @ x[259::-1],
        "a constant vector": lambda a, x, y: a[0] @ np.broadcast_to(x[:1], (260,)),
        "matrix without unit stride": lambda a, x, y: a[0][:, ::-1] @ x[:260],
        "batch": lambda a, x, y: a @ x[:260],
        "batch of rows": lambda a, x, y: x[:260][None, None, :] @ np.swapaxes(a, 1, 2),
        "part": lambda a, x, y: a[0][20:, 5:] @ x[5:260],
    }
    for name, function in functions.items():
        want = function(a, x, y)
        got = replayed(function, a, x, y)
        onp.testing.assert_allclose(got, want, rtol=0, atol=500 * onp.finfo(dtype).eps * 20, err_msg=name)
    jitted = jit(functions["rows"], target="cpu")
    jitted(a, x, y)
    assert any("matrix_vector" in line for line in jitted.kernels(a, x, y).schedule)


def test_products_of_long_vectors():
    x, y = rng.normal(size=(2, 100_000))
    for function in (
        lambda x, y: x @ y,
        lambda x, y: np.broadcast_to(x, (1, 100_000)) @ y,
        lambda x, y: np.dot(x[:, None].T, y[:, None]),
    ):
        onp.testing.assert_allclose(replayed(function, x, y), function(x, y), rtol=1e-9)
