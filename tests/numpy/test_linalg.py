"""numpy.linalg against numerical derivatives, both modes, both orders; and its conventions."""

import autograd
import autograd.numpy as hips_np
import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import value_and_grad
from autograd_jit.errors import ArgumentError
from autograd_jit.numpy import linalg
from autograd_jit.numpy.solving import mh
from autograd_jit.trace.cotangent import abstract
from tests.numeric import check, gradient, scalar_gradient

KINDS = ["real", "complex"]


def matrix(*shape, kind="real", seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=shape) + 2 * np.eye(*shape[-2:])
    return a + 1j * rng.normal(size=shape) if kind == "complex" else a


def hermitian(a):
    return a + mh(a)


def positive(a):
    return anp.matmul(a, mh(a)) + np.eye(a.shape[-1], dtype=a.dtype)


def projectors(v, weights):
    """A function of eigenvectors that does not depend on their phases: sum of weighted v v^H."""
    return anp.matmul(v * weights, mh(v))


square = pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (1, 1), (2, 0, 0)], ids=str)
both = pytest.mark.parametrize("kind", KINDS)


@both
@square
@pytest.mark.parametrize("name", ["inv", "det", "slogdet", "matrix_power"])
def test_square(name, shape, kind):
    f = {"matrix_power": lambda a: linalg.matrix_power(a, 3)}.get(name, getattr(linalg, name))
    check(f, matrix(*shape, kind=kind), tol=1e-6)


@both
@pytest.mark.parametrize("n", [0, 1, 2, 5, -2])
def test_matrix_power(n, kind):
    a = matrix(3, 3, kind=kind) / 2
    check(lambda x: linalg.matrix_power(x, n), a, tol=1e-6)
    assert np.allclose(gradient(lambda x: x @ x)(a)[0], gradient(lambda x: linalg.matrix_power(x, 2))(a)[0])


@both
@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [
        ((3, 3), (3,)),
        ((3, 3), (3, 2)),
        ((2, 3, 3), (3,)),
        ((2, 3, 3), (3, 2)),
        ((3, 3), (4, 3, 2)),
        ((2, 1, 3, 3), (5, 3, 1)),
    ],
    ids=str,
)
def test_solve(a_shape, b_shape, kind):
    check(linalg.solve, matrix(*a_shape, kind=kind), np.random.default_rng(1).normal(size=b_shape))
    check(
        linalg.solve,
        matrix(*a_shape),
        np.random.default_rng(1).normal(size=b_shape) + (1j if kind == "complex" else 0),
    )


@pytest.mark.parametrize("singular", [np.ones((3, 3)), np.zeros((2, 2)), np.diag([1.0, 0.0, 2.0]), np.zeros((1, 1))])
def test_determinant_of_singular_matrices(singular):
    check(linalg.det, singular)


def test_singular_matrices_raise_as_in_numpy():
    with pytest.raises(np.linalg.LinAlgError):
        gradient(linalg.inv)(np.zeros((2, 2)))
    with pytest.raises(np.linalg.LinAlgError):
        gradient(linalg.inv)(np.zeros((2, 3)))


@both
@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3), (2, 4, 3)], ids=str)
def test_pinv_and_lstsq(shape, kind):
    a = matrix(*shape, kind=kind)
    check(linalg.pinv, a, tol=1e-6)
    if len(shape) == 2:
        for b in (matrix(shape[0], 2, seed=2), matrix(shape[0], 1, seed=2)[:, 0]):
            check(lambda x, y: linalg.lstsq(x, y)[0], a, b, tol=1e-6)


def test_lstsq_residuals_singular_values_and_rank():
    a, b = matrix(5, 2), matrix(5, 3, seed=1)
    check(lambda x, y: linalg.lstsq(x, y, rcond=None), a, b, tol=1e-6)
    seen = []
    gradient(lambda x: seen.append(linalg.lstsq(x, b)) or x)(a)
    expected = np.linalg.lstsq(a, b)
    assert seen[0][2] == expected[2]
    for got, want in zip(seen[0][:2], expected[:2]):
        assert np.allclose(got._value, want)


def test_pinv_of_a_rank_deficient_hermitian_matrix():
    b = matrix(4, 2)
    check(lambda x: linalg.pinv(anp.matmul(x, x.T), hermitian=True, rtol=1e-8), b, tol=1e-5)
    check(lambda x: linalg.pinv(anp.matmul(x, x.T), 1e-8), b, tol=1e-5)


@both
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)], ids=str)
def test_cholesky(shape, upper, kind):
    check(lambda a: linalg.cholesky(positive(a), upper=upper), matrix(*shape, kind=kind), tol=1e-6)


@pytest.mark.parametrize("upper", [False, True])
def test_cholesky_cotangent_is_symmetric_as_autograds(upper):
    p = positive(matrix(3, 3))
    got = scalar_gradient(lambda a: anp.sum(anp.sin(linalg.cholesky(a, upper=upper))), p)
    assert np.allclose(got, got.T)
    if not upper:
        want = autograd.grad(lambda a: hips_np.sum(hips_np.sin(hips_np.linalg.cholesky(a))))(p)
        assert np.allclose(got, want)


@both
@pytest.mark.parametrize("uplo", ["L", "U"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (1, 1)], ids=str)
def test_eigh(shape, uplo, kind):
    a = matrix(*shape, kind=kind)
    check(lambda x: linalg.eigvalsh(x, uplo), a, tol=1e-6)
    check(lambda x: projectors(linalg.eigh(x, uplo).eigenvectors, np.arange(1.0, shape[-1] + 1)), a, tol=1e-5)


def test_eigh_reads_one_triangle_only():
    a = matrix(3, 3)
    for uplo, triangle in (("L", np.tril), ("U", np.triu)):
        g = gradient(lambda x: linalg.eigh(x, uplo))(a)[0]
        assert np.array_equal(g, triangle(g))
        assert np.any(g)


def test_coinciding_eigenvalues():
    """Functions of eigenvalues alone are right and finite; the eigenvectors have no derivative, which NaN says."""
    a = np.eye(3)
    check(lambda x: anp.sum(anp.log(linalg.eigvalsh(x))), a, order=1)
    assert np.isnan(gradient(lambda x: linalg.eigh(x).eigenvectors)(a)[0]).any()
    assert np.allclose(scalar_gradient(lambda x: anp.sum(linalg.svdvals(x) ** 2), a), 2 * a)
    # second derivatives involve the vectors: NaN where they have no derivative, numbers elsewhere
    seeds = lambda x: scalar_gradient(lambda y: anp.sum(linalg.eigvalsh(y) ** 2), x)
    second = gradient(lambda x: seeds(x)[1, 0])(a)[0]
    assert np.isnan(second).any()
    # a matrix with a repeated eigenvalue, and the vector of the single one: no NaN
    a = np.diag([1.0, 1.0, 4.0])
    check(lambda x: linalg.eigh(x).eigenvectors[:, 2] ** 2, a, order=1)


@both
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)], ids=str)
def test_eig_with_lapacks_normalisation(shape, kind):
    check(linalg.eig, matrix(*shape, kind=kind), tol=1e-5)
    check(linalg.eigvals, matrix(*shape, kind=kind), tol=1e-5)


def test_eig_of_a_real_matrix_with_complex_eigenvalues():
    a = np.array([[1.0, -2.0, 0.3], [2.5, 1.0, 0.2], [0.1, 0.4, 3.0]])
    check(linalg.eig, a, tol=1e-5)
    check(linalg.eig, a @ np.diag([1.0, 2, 3]), tol=1e-5)


@both
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 4, 3)], ids=str)
def test_svd(shape, full, kind):
    a = matrix(*shape, kind=kind)
    k = min(shape[-2:])

    def invariant(x):
        u, s, vh = linalg.svd(x, full_matrices=full)
        weights = np.arange(1.0, k + 1)
        pairs = anp.matmul(u[..., :, :k] * weights, vh[..., :k, :])
        rest = [projectors(u[..., :, k:], 1.0), projectors(mh(vh)[..., :, k:], 1.0)] if full else []
        return [s, projectors(u[..., :, :k], weights), pairs, *rest]

    check(invariant, a, tol=1e-5)
    check(lambda x: linalg.svd(x, compute_uv=False), a, tol=1e-6)
    check(linalg.svdvals, a, tol=1e-6)


def test_real_svd_itself():
    check(lambda x: linalg.svd(x, full_matrices=False), matrix(4, 3), tol=1e-5)
    check(lambda x: linalg.svd(x, full_matrices=False), matrix(2, 3, 4), tol=1e-5)


@both
def test_svd_of_hermitian_matrices(kind):
    a = matrix(3, 3, kind=kind) - 2 * np.eye(3)
    check(lambda x: linalg.svd(hermitian(x), compute_uv=False, hermitian=True), a, tol=1e-6)
    check(
        lambda x: anp.matmul(*(lambda r: (r.U * np.arange(3.0), r.Vh))(linalg.svd(hermitian(x), hermitian=True))),
        a,
        tol=1e-5,
    )


@both
@pytest.mark.parametrize("mode", ["reduced", "r", "complete"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 4, 3)], ids=str)
def test_qr(shape, mode, kind):
    a = matrix(*shape, kind=kind)
    if mode == "complete":
        k = min(shape[-2:])
        check(lambda x: (linalg.qr(x, mode).R, projectors(linalg.qr(x, mode).Q[..., k:], 1.0)), a, tol=1e-6)
    else:
        check(lambda x: linalg.qr(x, mode), a, tol=1e-6)
    values = []
    gradient(lambda x: values.append(linalg.qr(x, mode)) or x)(a)
    got, want = values[0], np.linalg.qr(a, mode)
    for g, w in zip([got] if mode == "r" else got, [want] if mode == "r" else want):
        assert np.allclose(getattr(g, "_value", g), w)


def test_raw_qr_is_refused():
    with pytest.raises(ArgumentError, match="raw"):
        gradient(lambda x: linalg.qr(x, "raw"))(np.eye(2))


@both
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (2, 1)], ids=str)
@pytest.mark.parametrize("ord", [None, 1, -1, 2, -2, np.inf, -np.inf, 0, 0.5, 3, "fro", "nuc"], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_norm(ord, axis, keepdims, kind):
    x = matrix(2, 3, 4, kind=kind)
    if axis is None and ord is not None:
        x = x[0] if ord in ("fro", "nuc", -2) else x[0, 0]
    vector = axis in (0, -1) or (axis is None and x.ndim == 1)
    if (isinstance(ord, str) and vector) or (ord in (0, 0.5, 3) and not vector):
        with pytest.raises(ValueError, match="Invalid norm order"):
            gradient(lambda y: linalg.norm(y, ord, axis, keepdims))(x)
        return
    check(lambda y: linalg.norm(y, ord, axis, keepdims), x, tol=1e-6)
    assert np.allclose(linalg.norm(x, ord, axis, keepdims), np.linalg.norm(x, ord, axis, keepdims))


@pytest.mark.parametrize("ord", [None, 1, 2, 3, -1, 1.5, np.inf], ids=str)
def test_norms_without_axes_are_numbers(ord):
    for norm in (linalg.norm, lambda x, ord: linalg.vector_norm(x, ord=ord or 2)):
        value, _ = value_and_grad(lambda x: norm(x, ord))(np.arange(1.0, 4.0))
        assert type(value) is np.float64


@pytest.mark.parametrize("ord", [None, 1, 2, 3, 1.5, np.inf], ids=str)
def test_norm_at_zero(ord):
    assert np.array_equal(scalar_gradient(lambda x: linalg.norm(x, ord), np.zeros(3)), np.zeros(3))


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1, np.inf], ids=str)
def test_matrix_norm_at_zero(ord):
    assert np.isfinite(scalar_gradient(lambda x: linalg.norm(x, ord), np.zeros((2, 3)))).all()


@both
def test_array_api_norms(kind):
    x = matrix(2, 3, 4, kind=kind)
    for axis, ord in ((None, 2), ((0, 2), 3), (1, 1)):
        check(lambda y: linalg.vector_norm(y, axis=axis, ord=ord, keepdims=True), x)
    for ord in ("fro", "nuc", 1, -2):
        check(lambda y: linalg.matrix_norm(y, ord=ord), x, tol=1e-6)


@both
@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, "fro", "nuc"], ids=str)
def test_cond(p, kind):
    check(lambda x: linalg.cond(x, p), matrix(2, 3, 3, kind=kind) + 4 * np.eye(3), tol=1e-5)


@both
def test_products(kind):
    a, b, c, v = matrix(2, 3, kind=kind), matrix(3, 4), matrix(4, 3, kind=kind), matrix(3, 1)[:, 0]
    check(lambda x, y, z: linalg.multi_dot([x, y, z]), a, b, c)
    check(lambda x, y, z: linalg.multi_dot([v, y, z, v * x]), 1.5, b, c)
    check(linalg.vecdot, a, a + 1)
    check(lambda x, y: linalg.vecdot(x, y, axis=0), a, a[:, :1])
    check(linalg.cross, a, a[::-1] + 1)
    check(linalg.outer, a[0], v)
    check(linalg.matmul, a, b)
    check(lambda x, y: linalg.tensordot(x, y, axes=1), a, b)
    stack = matrix(2, 3, 4, kind=kind)
    check(lambda x: linalg.trace(x, offset=1), stack)
    check(lambda x: linalg.diagonal(x, offset=-1), stack)
    check(linalg.matrix_transpose, stack)


@both
def test_tensor_systems(kind):
    a = matrix(6, 6, kind=kind).reshape(2, 3, 6)
    b = matrix(2, 3, seed=3)
    check(linalg.tensorsolve, a, b)
    check(
        lambda x: linalg.tensorsolve(x, b, axes=(0,)),
        matrix(6, 6).reshape(2, 3, 6).transpose(0, 1, 2).reshape(6, 2, 3),
    )
    check(lambda x: linalg.tensorinv(x, ind=2), a)
    check(lambda x: linalg.tensorinv(x, ind=1), matrix(6, 6).reshape(6, 2, 3))


def test_matrix_rank_has_no_derivative():
    ranks = []
    gradient(lambda x: x * (ranks.append(linalg.matrix_rank(x)) or 1))(np.ones((3, 3)))
    assert ranks == [1]


SINGLE = {
    "inv": linalg.inv,
    "det": linalg.det,
    "slogdet": linalg.slogdet,
    "pinv": linalg.pinv,
    "cholesky": lambda a: linalg.cholesky(positive(a)),
    "eigh": lambda a: linalg.eigh(a).eigenvectors ** 2,
    "svd": lambda a: linalg.svd(a)[1],
    "qr": linalg.qr,
    "eig": linalg.eigvals,
    "norm": linalg.norm,
    "norm3": lambda a: linalg.norm(a, 3, axis=-1),
    "cond": linalg.cond,
    "solve": lambda a: linalg.solve(a, a[0]),
    "lstsq": lambda a: linalg.lstsq(a, a[:, 0] ** 2)[0],
}


@both
@pytest.mark.parametrize("name", SINGLE)
def test_single_precision_stays_single(name, kind):
    a = matrix(3, 3, kind=kind)
    single = a.astype(np.complex64 if kind == "complex" else np.float32)
    results = []
    got = gradient(lambda x: results.append(SINGLE[name](x)) or results[0])(single)[0]
    assert got.dtype == single.dtype
    leaves = [leaf for leaf in (results[0] if isinstance(results[0], tuple) else [results[0]])]
    assert all(abstract(leaf)[1].itemsize <= single.dtype.itemsize * (1 + (name == "eig")) for leaf in leaves)
    want = gradient(SINGLE[name])(a)[0]
    assert np.allclose(got, want, rtol=2e-3, atol=2e-3 * np.max(np.abs(want)))


@pytest.mark.parametrize("name", ["inv", "det", "pinv", "solve", "norm", "eigh", "svd"])
def test_against_autograd(name):
    """Autograd as an oracle, where its rules are right."""
    a = matrix(2, 3, 3)
    ours = {
        "solve": lambda m: lambda x: m.linalg.solve(x, np.ones((3, 2))),
        "norm": lambda m: lambda x: m.linalg.norm(x, axis=-1),
        "eigh": lambda m: lambda x: m.linalg.eigh(x)[0],
        "svd": lambda m: lambda x: m.linalg.svd(x, full_matrices=False)[1],
    }.get(name, lambda m: getattr(m.linalg, name))
    weights = np.random.default_rng(2).normal(size=np.shape(ours(np)(a)))
    got = scalar_gradient(lambda x: anp.sum(weights * ours(anp)(x)), a)
    want = autograd.grad(lambda x: hips_np.sum(weights * ours(hips_np)(x)))(a)
    assert np.allclose(got, want)


def test_plain_numpy_functions_of_traced_values():
    a = matrix(3, 3)
    assert np.allclose(scalar_gradient(lambda x: np.linalg.det(x), a), scalar_gradient(linalg.det, a))
