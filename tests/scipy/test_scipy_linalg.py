"""scipy.linalg: values as SciPy's, both modes, both orders, real and complex."""

import numpy as np
import pytest
import scipy.linalg as sl

import autograd_jit.numpy as anp
from autograd_jit import grad
from autograd_jit.errors import ArgumentError
from autograd_jit.numpy.solving import mh
from autograd_jit.scipy import linalg
from tests.jit_support import assert_replayed, compare
from tests.numeric import check, gradient

both = pytest.mark.parametrize("kind", ["real", "complex"])


def matrix(*shape, kind="real", seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=shape) + 3 * np.eye(*shape[-2:])
    return a + 0.5j * rng.normal(size=shape) if kind == "complex" else a


def positive(a):
    return anp.matmul(a, mh(a)) + np.eye(a.shape[-1])


def value_of(f, *args):
    seen = []
    gradient(lambda *boxes: seen.append(f(*boxes)) or boxes[0])(*args)
    return getattr(seen[0], "_value", seen[0])


def agrees(f, g, *args, tol=1e-6, order=2):
    """Derivatives are right and the traced value is that of SciPy's ``g``."""
    check(f, *args, tol=tol, order=order)
    assert np.allclose(value_of(f, *args), g(*args))


@both
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("name", ["expm", "logm", "sqrtm", "inv", "det", "cosm", "sinm", "coshm", "sinhm"])
def test_matrix_functions(name, shape, kind):
    a = matrix(*shape, kind=kind) * (0.5 if name in ("expm", "cosm", "sinm", "coshm", "sinhm") else 1)
    agrees(getattr(linalg, name), getattr(sl, name), a, tol=1e-5)


@both
def test_fractional_matrix_power(kind):
    a = matrix(3, 3, kind=kind) @ matrix(3, 3, kind=kind)
    agrees(
        lambda x: linalg.fractional_matrix_power(x, 0.4),
        lambda x: sl.fractional_matrix_power(x, 0.4),
        a,
        tol=1e-5,
    )
    if kind == "real":
        check(linalg.fractional_matrix_power, a, 0.3, tol=1e-5)


@both
def test_expm_frechet_and_sylvester(kind):
    a, b, q = matrix(3, 3, kind=kind) / 2, matrix(2, 2, seed=1), matrix(3, 2, seed=2)
    check(linalg.expm_frechet, a, matrix(3, 3, seed=3))
    check(lambda x: linalg.expm_frechet(x, a, compute_expm=False), a)
    agrees(linalg.solve_sylvester, sl.solve_sylvester, a, b, q)
    agrees(linalg.solve_lyapunov, sl.solve_continuous_lyapunov, a, matrix(3, 3, kind=kind))


@both
@pytest.mark.parametrize(("shape", "side"), [((3, 3), "right"), ((4, 2), "right"), ((3, 3), "left"), ((2, 4), "left")])
def test_polar(shape, side, kind):
    a = matrix(*shape, kind=kind)
    check(lambda x: linalg.polar(x, side), a, tol=1e-5)
    for i in (0, 1):
        assert np.allclose(value_of(lambda x: linalg.polar(x, side)[i], a), sl.polar(a, side)[i])
    with pytest.raises(ArgumentError, match="side"):
        gradient(lambda x: linalg.polar(x, "left"))(matrix(4, 2))


@both
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("trans", [0, "T", 2])
@pytest.mark.parametrize("b_shape", [(3,), (3, 2)], ids=str)
def test_solve_triangular(trans, lower, unit, b_shape, kind):
    a, b = matrix(3, 3, kind=kind), np.random.default_rng(1).normal(size=b_shape)
    f = lambda m: lambda x, y: m.solve_triangular(x, y, trans, lower, unit)
    agrees(f(linalg), f(sl), a, b)


def test_batched_solve_triangular():
    check(lambda x, y: linalg.solve_triangular(x, y, lower=True), matrix(2, 3, 3), matrix(2, 3, 2))


STRUCTURES = [
    None,
    "gen",
    "sym",
    "her",
    "pos",
    "diagonal",
    "tridiagonal",
    "banded",
    "upper triangular",
    "lower triangular",
]


@both
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("assume_a", STRUCTURES, ids=str)
def test_solve(assume_a, lower, kind):
    a, b = matrix(3, 3, kind=kind), matrix(3, 2, seed=1)
    if assume_a in ("her", "pos"):
        a = positive(a)
    f = lambda m: lambda x, y: m.solve(x, y, lower=lower, assume_a=assume_a)
    if assume_a in ("tridiagonal", "banded", "upper triangular", "lower triangular", "diagonal", None):
        check(f(linalg), a, b, order=2, tol=1e-6) if assume_a in (None, "banded") else None
        a = {"upper triangular": np.triu, "lower triangular": np.tril}.get(assume_a, lambda x: np.diag(np.diag(x)))(a)
        assert np.allclose(value_of(f(linalg), a, b), f(sl)(a, b))
        return
    agrees(f(linalg), f(sl), a, b)


def test_solve_transposed_and_vectors():
    a, b = matrix(3, 3), np.arange(3.0)
    agrees(lambda x, y: linalg.solve(x, y, transposed=True), lambda x, y: sl.solve(x, y, transposed=True), a, b)


def test_check_finite_checks():
    a = np.array([[1.0, np.nan], [0.0, 1.0]])
    for f in (
        linalg.inv,
        linalg.det,
        linalg.cholesky,
        linalg.svdvals,
        lambda x: linalg.solve_triangular(x, np.ones(2)),
    ):
        with pytest.raises(ValueError, match="infs or NaNs"):
            gradient(f)(a)


@both
@pytest.mark.parametrize("lower", [False, True])
def test_cholesky_family(lower, kind):
    a, b = matrix(3, 3, kind=kind), matrix(3, 2, seed=1)
    agrees(lambda x: linalg.cholesky(positive(x), lower), lambda x: sl.cholesky(positive(x), lower), a)
    f = lambda m: lambda x, y: m.cho_solve(m.cho_factor(positive(x), lower), y)
    agrees(f(linalg), f(sl), a, b)
    agrees(f(linalg), f(sl), a, b[:, 0])


@both
@pytest.mark.parametrize("trans", [0, 1, 2])
def test_lu(trans, kind):
    a, b = matrix(4, 4, kind=kind)[[2, 0, 3, 1]], matrix(4, 2, seed=1)
    f = lambda m: lambda x, y: m.lu_solve(m.lu_factor(x), y, trans)
    agrees(f(linalg), f(sl), a, b)
    agrees(lambda x: linalg.lu_factor(x)[0], lambda x: sl.lu_factor(x)[0], a)


@both
@pytest.mark.parametrize("b_shape", [(6,), (6, 2)], ids=str)
@pytest.mark.parametrize("widths", [(1, 1), (2, 1), (0, 2), (3, 0), (0, 0)], ids=str)
def test_solve_banded(widths, b_shape, kind):
    ab = matrix(sum(widths) + 1, 6, kind=kind)
    ab[widths[1]] += 6
    b = np.random.default_rng(1).normal(size=b_shape)
    f = lambda m: lambda x, y: m.solve_banded(widths, x, y)
    agrees(f(linalg), f(sl), ab, b)


@both
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("width", [0, 1, 2])
def test_hermitian_bands(width, lower, kind):
    ab = 0.3 * matrix(width + 1, 5, kind=kind)
    ab[0 if lower else -1] = 5 + np.arange(5.0)
    b = np.random.default_rng(1).normal(size=(5, 2))
    f = lambda m: lambda x, y: m.solveh_banded(x, y, lower=lower)
    g = lambda m: lambda x: m.cholesky_banded(x, lower=lower)
    mask = np.ones_like(ab)  # SciPy leaves the corners that are not part of the matrix as they came
    for i in range(width + 1):
        if lower and i:
            mask[i, -i:] = 0
        elif not lower and i < width:
            mask[i, : width - i] = 0
    agrees(f(linalg), f(sl), ab, b)
    keep = lambda x: x * mask
    h = lambda m: lambda x: g(m)(keep(x)) * mask
    check(h(linalg), ab, tol=1e-6)
    assert np.allclose(value_of(h(linalg), ab), h(sl)(ab))


def test_solveh_banded_refuses_indefinite_matrices():
    with pytest.raises(np.linalg.LinAlgError):
        gradient(lambda x: linalg.solveh_banded(x, np.ones(3)))(-np.ones((2, 3)))


@both
@pytest.mark.parametrize("type", [1, 2, 3])
def test_generalized_eigenvalues(type, kind):
    a, b = matrix(3, 3, kind=kind), matrix(3, 3, seed=1)
    f = lambda m: lambda x, y: m.eigvalsh(positive(x), positive(y), type=type)
    agrees(f(linalg), f(sl), a, b, tol=1e-5)
    vectors = lambda m: lambda x, y: abs(m.eigh(positive(x), positive(y), type=type)[1]) ** 2
    agrees(vectors(linalg), vectors(sl), a, b, tol=1e-4)


def test_eigh_options():
    a = matrix(4, 4)
    f = lambda m: lambda x: m.eigh(x, lower=False, eigvals_only=True, subset_by_index=[1, 2])
    agrees(f(linalg), f(sl), a)
    with pytest.raises(ArgumentError, match="subset_by_value"):
        gradient(lambda x: linalg.eigh(x, subset_by_value=[0, 1]))(a)


@both
def test_other_factorizations(kind):
    a, b = matrix(4, 3, kind=kind), matrix(3, 3, seed=1)
    agrees(linalg.svdvals, sl.svdvals, a)
    agrees(lambda x: linalg.svd(x, full_matrices=False)[1], lambda x: sl.svd(x)[1], a)
    agrees(lambda x: linalg.qr(x, mode="economic")[0], lambda x: sl.qr(x, mode="economic")[0], a)
    agrees(lambda x: linalg.qr(x, mode="economic")[1], lambda x: sl.qr(x, mode="economic")[1], a)
    agrees(lambda x: linalg.norm(x, "nuc"), lambda x: sl.norm(x, "nuc"), a)
    agrees(linalg.pinv, sl.pinv, a)
    agrees(lambda x: linalg.lstsq(x, np.ones(4))[0], lambda x: sl.lstsq(x, np.ones(4))[0], a)
    agrees(lambda x: linalg.eigvals(x, b), lambda x: np.linalg.eigvals(np.linalg.solve(b, x)), a[:3], tol=1e-5)
    with pytest.raises(ArgumentError, match="pivoting"):
        gradient(lambda x: linalg.qr(x, pivoting=True))(a)
    with pytest.raises(ArgumentError, match="left"):
        gradient(lambda x: linalg.eig(x, left=True))(a[:3])


@both
def test_matrices_from_vectors(kind):
    c, r = matrix(4, 1, kind=kind)[:, 0], matrix(3, 1, seed=1)[:, 0]
    for name in ("toeplitz", "hankel"):
        agrees(getattr(linalg, name), getattr(sl, name), c, r, order=1)
        agrees(getattr(linalg, name), getattr(sl, name), c, order=1)
    agrees(linalg.circulant, sl.circulant, c, order=1)
    agrees(linalg.block_diag, sl.block_diag, matrix(2, 3, kind=kind), r, 2.5, order=1)


def test_other_names_are_scipys():
    assert linalg.hilbert is sl.hilbert
    with pytest.raises(AttributeError, match="no attribute"):
        linalg.nothing


def test_single_precision_stays_single():
    a = matrix(3, 3).astype(np.float32)
    for name in ("expm", "logm", "sqrtm", "cholesky", "inv"):
        f = lambda x: getattr(linalg, name)(x @ x.T)
        assert gradient(f)(a)[0].dtype == np.float32
        assert value_of(f, a).dtype == getattr(sl, name)(a @ a.T).dtype


def test_compiled_checks_of_finite_values_keep_no_values():
    """``check_finite`` asks for one truth value: other matrices need no other trace."""
    factor = np.tril(np.arange(9.0).reshape(3, 3)) + 4 * np.eye(3)

    def loss(a, b):
        return anp.sum(linalg.solve_triangular(a, b, lower=True) ** 2)

    calls = [(factor + k, np.ones(3) * k) for k in range(5)]
    jitted = assert_replayed(loss, *calls, operator=grad)
    assert jitted.stats.traces == 1
    compare(loss, calls[0], (np.full((3, 3), np.inf), np.ones(3)), calls[1])
