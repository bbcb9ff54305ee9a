"""Arguments: every one works or is refused by name; dtypes are NumPy's; corners of shapes."""

import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit.errors import ArgumentError
from autograd_jit.trace.forward import jvp_leaves
from autograd_jit.trace.reverse import make_vjp_leaves

X = onp.array([[0.5, -1.2, 2.0], [1.5, 0.3, -0.7]])


def value_and_grad(fun, x):
    pull, (out,), _ = make_vjp_leaves(lambda leaves: fun(leaves[0]), [x])
    return out, pull([onp.ones_like(out)])[0]


REFUSED = {
    "mode": lambda x: np.pad(x, 1, mode="empty"),
    "stat_length": lambda x: np.pad(x, 1, mode="edge", stat_length=2),
    "constant_values": lambda x: np.pad(x, 1, constant_values=x[0, 0]),
    "weights": lambda x: np.quantile(x, 0.5, weights=onp.ones((2, 3)), method="inverted_cdf"),
    "q": lambda x: np.quantile(x, x[0, 0]),
    "copy": lambda x: np.nan_to_num(x, copy=False),
    "period": lambda x: np.interp(1.0, x[0], x[1], period=x[0, 0]),
    "full": lambda x: np.polyfit(x[0], x[1], 1, full=True),
    "cov": lambda x: np.polyfit(x[0], x[1], 1, cov=True),
    "fweights": lambda x: np.cov(x, fweights=x[0]),
    "order": lambda x: np.sort(x, order="f0"),
    "base": lambda x: np.logspace(x, 1.0, base=onp.ones(3)),
    "correction": lambda x: np.var(x, ddof=1, correction=1),
    "initial": lambda x: np.max(x, where=X > 0),
    "r": lambda x: np.r_["r", x],
    "discont": lambda x: np.unwrap(onp.ones(3), discont=x[0, 0]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_supported_is_refused_by_name(name):
    with pytest.raises((ArgumentError, ValueError, TypeError), match=name):
        value_and_grad(REFUSED[name], X)


def test_invalid_calls_raise_as_numpy_does():
    for fun, error in (
        (lambda x: np.sum(x, axis=5), onp.exceptions.AxisError),
        (lambda x: np.sum(x, axis=(0, 0)), ValueError),
        (lambda x: np.transpose(x, (0, 0)), ValueError),
        (lambda x: np.reshape(x, (4, -1)), ValueError),
        (lambda x: np.concatenate([x, x[0]]), ValueError),
        (lambda x: np.stack([x, x[0]]), ValueError),
        (lambda x: np.squeeze(x, 0), ValueError),
        (lambda x: np.dot(x, x), ValueError),
        (lambda x: np.polyfit(x[0], x[1], [1, 2]), TypeError),
        (lambda x: np.concatenate([x, x], dtype=int, casting="safe"), TypeError),
        (lambda x: np.split(x, 4, axis=1), ValueError),
        (lambda x: np.take(x, 17), IndexError),
        (lambda x: x[17], IndexError),
        (lambda x: np.array([x, [1.0]]), ValueError),
        (lambda x: np.diag(x[None]), ValueError),
        (lambda x: np.cross(x[:, :1], x), ValueError),
        (lambda x: np.convolve(x, x), ValueError),
        (lambda x: np.gradient(x[:1], axis=0), ValueError),
    ):
        with pytest.raises(error):
            value_and_grad(fun, X)


DTYPES = {
    "mean": lambda x: np.mean(x),
    "mean masked": lambda x: np.mean(x, axis=0, where=onp.array([[True], [True]])),
    "var": lambda x: np.var(x, axis=1),
    "var masked": lambda x: np.var(x, where=onp.abs(X) < 1.3),
    "std": lambda x: np.std(x, ddof=1),
    "sum": lambda x: np.sum(x, axis=0),
    "prod": lambda x: np.prod(x),
    "max": lambda x: np.max(x, axis=1),
    "where": lambda x: np.where(X > 0, x, 0.0),
    "clip": lambda x: np.clip(x, -0.5, 1.5),
    "power": lambda x: (x * x + 1) ** 0.3,
    "log": lambda x: np.log(x * x + 1),
    "arctan2": lambda x: np.arctan2(x, 2.0),
    "logaddexp": lambda x: np.logaddexp(x, 0.5),
    "median": lambda x: np.median(x),
    "quantile": lambda x: np.quantile(x, 0.3),
    "average": lambda x: np.average(x, axis=0),
    "gradient": lambda x: np.gradient(x, axis=1),
    "cumprod": lambda x: np.cumprod(x, axis=0),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "linspace": lambda x: np.linspace(x, 1.0, 3),
    "pad": lambda x: np.pad(x, 1, mode="reflect"),
    "nanmean": lambda x: np.nanmean(x, axis=1),
    "sinc": lambda x: np.sinc(x),
    "i0": lambda x: np.i0(x),
    "unwrap": lambda x: np.unwrap(x),
    "hypot": lambda x: np.hypot(x, 1.0),
    "scalar": lambda x: 2.0 * x + 1,
    "angle": lambda x: np.angle(x),
    "nan_to_num": lambda x: np.nan_to_num(x),
    "convolve": lambda x: np.convolve(x[0], x[1]),
}


@pytest.mark.parametrize("dtype", [onp.float16, onp.float32, onp.longdouble])
@pytest.mark.parametrize("name", DTYPES)
def test_dtypes_are_numpys_and_gradients_have_the_inputs(name, dtype):
    fun, x = DTYPES[name], X.astype(dtype)
    expected = fun(x)
    out, gradient = value_and_grad(fun, x)
    assert out.dtype == expected.dtype
    onp.testing.assert_allclose(out, expected, rtol=1e-2 if dtype == onp.float16 else 1e-5)
    assert gradient.dtype == dtype and gradient.shape == x.shape
    reference = value_and_grad(fun, X)[1]
    onp.testing.assert_allclose(gradient, reference, rtol=2e-2, atol=2e-2 if dtype == onp.float16 else 1e-4)
    _, (tangent,), _ = jvp_leaves(lambda leaves: fun(leaves[0]), [x], [onp.ones_like(x)])
    assert tangent is None or tangent.dtype == expected.dtype


def test_half_precision_means_do_not_overflow():
    x = onp.full(70_000, 60.0, onp.float16)
    out, gradient = value_and_grad(np.mean, x)
    assert out == 60.0 and gradient.dtype == onp.float16


def test_integers_and_booleans_beside_traced_values():
    for other in (3, True, onp.int64(3), onp.arange(3), onp.array([True, False, True]), onp.uint8(2)):
        out, gradient = value_and_grad(lambda x: np.sum(x * other + other), X)
        assert out == pytest.approx(float(onp.sum(X * other + other)))
        onp.testing.assert_allclose(gradient, onp.broadcast_to(other * 1.0, X.shape))
    _, gradient = value_and_grad(lambda x: np.dot(onp.array([1, 2]), x)[0], X)
    onp.testing.assert_allclose(gradient, [[1, 0, 0], [2, 0, 0]])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_empty_arrays():
    empty = onp.zeros((0, 3))
    for fun in (np.sum, np.prod, np.mean, np.ravel, np.cumsum, lambda x: np.sum(x, axis=1), np.transpose, np.sort):
        out, gradient = value_and_grad(fun, empty)
        onp.testing.assert_array_equal(out, fun(empty))
        assert gradient is None or gradient.shape == (0, 3)
    with pytest.raises(ValueError, match="zero-size"):
        value_and_grad(np.max, empty)


def test_where_with_one_argument():
    rows, columns = make_vjp_leaves(lambda leaves: np.where(leaves[0]), [X])[1]
    onp.testing.assert_array_equal((rows, columns), onp.where(X))


def test_nested_lists_with_mixed_types():
    def fun(x):
        return np.array([[x[0, 0], 1], [True, onp.float32(2.0)], (x[1, 1] * x[0, 1], 3j)])

    _, gradient = value_and_grad(lambda x: np.sum(np.real(fun(x))), X)
    assert make_vjp_leaves(lambda leaves: fun(leaves[0]), [X])[1][0].dtype == complex
    onp.testing.assert_allclose(gradient, [[1.0, 0.3, 0.0], [0.0, -1.2, 0.0]])


def test_traced_arguments_by_keyword():
    for fun in (
        lambda x: np.sum(a=x, axis=0),
        lambda x: np.clip(X, a_min=None, a_max=x - 1.0),
        lambda x: np.average(X, weights=x * x),
        lambda x: np.sum(X, initial=x[0, 0]),
        lambda x: np.diff(X, prepend=x[:, :1]),
        lambda x: np.stack(arrays=[x, X]),
        lambda x: np.full((2, 3), fill_value=x),
        lambda x: np.linspace(0.0, stop=x, num=3),
        lambda x: np.tensordot(a=X, b=x, axes=2),
        lambda x: np.trapezoid(X, x=np.cumsum(x * x, 1)),
    ):
        out, gradient = value_and_grad(fun, X)
        onp.testing.assert_allclose(out, fun(X))
        assert gradient is not None and onp.any(gradient != 0)


def test_many_pieces_take_linear_time():
    """A thousand numbers gathered into an array: quadratic code would take seconds."""
    numbers = [onp.float64(i) for i in range(5000)]
    pull, (out,), _ = make_vjp_leaves(lambda leaves: np.concatenate([np.array(leaves), np.hstack(leaves)]), numbers)
    gradients = pull([onp.ones_like(out)])
    assert all(gradient == 2.0 for gradient in gradients)
    _, (tangent,), _ = jvp_leaves(lambda leaves: np.array(leaves), numbers, numbers)
    onp.testing.assert_array_equal(tangent, numbers)


def test_lists_of_traced_values():
    for fun in (
        lambda x: np.sin([x[0, 0], x[1, 1]]),
        lambda x: np.maximum([x[0, 0], 1.0, 2.0], x),
        lambda x: x + [x[0, 0], 1.0, 2.0],
        lambda x: np.where([True, False, True], [x[0, 0], x[1, 0], 1.0], x),
        lambda x: np.matmul([[x[0, 0], 2.0]], x),
        lambda x: np.dot([x[0, 0], 2.0], [x[0, 1], x[1, 1]]),
        lambda x: np.conj([x[0, 0], x[0, 1] * 1j]).real,
        lambda x: np.mean([x[0, 0], x[1, 1]]),
    ):
        tangent = onp.arange(6.0).reshape(2, 3) - 2
        out, gradient = value_and_grad(lambda x: np.sum(fun(x)), X)
        step = 1e-6 * tangent
        numeric = (onp.sum(fun(X + step)) - onp.sum(fun(X - step))) / 2e-6
        assert out == pytest.approx(onp.sum(fun(X)))
        assert onp.sum(gradient * tangent) == pytest.approx(numeric, rel=1e-6, abs=1e-6)
