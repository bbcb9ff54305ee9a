"""Values that depend on how NumPy computes them: sums that wrap, quotients of infinities, what LAPACK rounds."""

import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad, jit
from tests.special_values import difference, outcome, problem

LIMIT = onp.array([-(2**63), -(2**63), 1, 2, -(2**63)])
UNSIGNED = onp.array([2**64 - 1, 0, 2**63, 2**64 - 1], onp.uint64)
HALF = onp.array([60000.0, 60000.0, 1.0], onp.float16)


def assert_numpys(function, *args):
    """Plain NumPy's answer: recorded, and replayed to the last bits."""
    with onp.errstate(all="ignore"):
        want = getattr(onp, function.__name__)(*args)
        compiled = jit(lambda *xs: function(*xs))
        assert difference(compiled(*args), want) == ""
        for _ in range(2):
            assert difference(compiled(*args), want, 1e-12) == ""


@pytest.mark.parametrize("name", "mean var std nanmean nanvar nanstd average median nanmedian".split())
@pytest.mark.parametrize(
    "x", [LIMIT, LIMIT // 2, UNSIGNED, HALF], ids=["limit", "half the limit", "unsigned", "float16"]
)
def test_averages_do_not_wrap(name, x):
    assert_numpys(getattr(np, name), x)


@pytest.mark.parametrize("name", ["quantile", "nanquantile", "percentile", "nanpercentile"])
@pytest.mark.parametrize("q", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_quantiles_of_integers_at_their_limits(name, q):
    function, plain = getattr(np, name), getattr(onp, name)
    q = 100 * q if "percentile" in name else q
    for x in (LIMIT, LIMIT + 1, UNSIGNED):
        compiled = jit(lambda x: function(x, q))
        for _ in range(3):
            assert difference(compiled(x), plain(x, q)) == ""


SPACINGS = [(), (0.5,), (onp.array([0.0, 1.0, 2.0, 3.0, 4.0]),), (onp.array([0.0, 1.0, 3.0, 3.5, 7.0]),)]


@pytest.mark.parametrize("spacing", SPACINGS, ids=["none", "scalar", "even", "uneven"])
@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("special", [onp.inf, -onp.inf, onp.nan, 1e308, 5e-324])
def test_gradient_beside_special_values(spacing, edge_order, special):
    for place in range(5):
        x = onp.arange(5.0)
        x[place] = special
        with onp.errstate(all="ignore"):
            want = onp.gradient(x, *spacing, edge_order=edge_order)
            compiled = jit(lambda x: np.gradient(x, *spacing, edge_order=edge_order))
            assert difference(compiled(x), want) == ""
            for _ in range(2):
                assert difference(compiled(x), want, 1e-12) == ""


SINGULAR = {
    "zero": onp.zeros((2, 2)),
    "singular": onp.array([[1.0, 2.0], [2.0, 4.0]]),
    "infinite": onp.array([[onp.inf, 1.0], [1.0, 2.0]]),
    "nan": onp.array([[1.0, onp.nan], [2.0, 4.0]]),
    "stacked": onp.array([[[1.0, 2.0], [2.0, 4.0]], [[1.0, 0.0], [0.0, 2.0]], [[onp.nan, 0.0], [0.0, 2.0]]]),
}


@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize("p", [None, 1, -1, 2, -2, onp.inf, -onp.inf, "fro"])
def test_condition_numbers_of_singular_matrices(name, p):
    want = outcome(onp.linalg.cond, SINGULAR[name], p)
    compiled = jit(lambda x: np.linalg.cond(x, p))
    for _ in range(3):
        assert problem(outcome(compiled, SINGULAR[name]), want) == ""


@pytest.mark.parametrize("dtype", [onp.float32, onp.float64, onp.complex64, int])
@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3)])
def test_least_squares_have_numpys_types(dtype, shape):
    rng = onp.random.default_rng(0)
    a, b = (4 * rng.normal(size=shape)).astype(dtype), (4 * rng.normal(size=shape[0])).astype(dtype)
    want = onp.linalg.lstsq(a, b)
    compiled = jit(lambda a, b: np.linalg.lstsq(a, b))
    for _ in range(3):
        assert difference(compiled(a, b), tuple(want)) == ""
    assert type(compiled(a, b)[2]) is onp.int32


def test_derivatives_of_functions_with_numpys_values():
    """Their formulas are compiled, and give the interpreted derivatives."""
    x = onp.array([[2.0, 0.3, 0.1], [0.4, 3.0, 0.2], [0.5, 0.1, 1.0]])
    losses = [
        lambda x: np.sum(np.median(x, 0) ** 2),
        lambda x: np.sum(np.quantile(x, 0.3, axis=1) ** 2),
        lambda x: np.linalg.cond(x),
        lambda x: np.sum(np.linalg.lstsq(x, x[0])[0] ** 2),
        lambda x: np.sum(np.linalg.svdvals(x) ** 3) + np.sum(np.linalg.eigvalsh(x) ** 3),
        lambda x: np.sum(np.partition(x, 1, axis=0)[0] ** 2),
        lambda x: np.sum(np.linspace(x[0], x[1] ** 2, 4) ** 2),
        lambda x: np.sum(np.clip(x, 0.25, 2.5) ** 2) + np.sum(x**2, where=x > 0.3),
    ]
    for loss in losses:
        compiled = grad(loss, jit=True)
        for point in (x, x + 0.01, x - 0.02):
            onp.testing.assert_allclose(compiled(point), grad(loss)(point), rtol=1e-9, atol=1e-12)


def test_errors_of_traced_calls_are_numpys():
    """In class and message, also where our own steps would meet the wrong argument elsewhere."""
    calls = [
        lambda np, x: np.mean(x[0], axis=-1),
        lambda np, x: np.rot90(x[0]),
        lambda np, x: np.fliplr(x),
        lambda np, x: np.average(x, weights=onp.zeros(3)),
        lambda np, x: np.take(x[:0], [0]),
        lambda np, x: np.sum(x[:1], where=onp.array([True, False])),
        lambda np, x: np.geomspace(x[0] * 0, 1.0),
        lambda np, x: np.linalg.inv(x),
    ]
    for call in calls:
        with pytest.raises(Exception) as plain, onp.errstate(all="ignore"):
            call(onp, onp.ones(3))
        with pytest.raises(type(plain.value)) as traced:
            grad(lambda x, call=call: np.sum(call(np, x)))(onp.ones(3))
        assert str(traced.value) == str(plain.value)


def test_views_of_scalars_replay():
    """``np.flip`` of an array without dimensions gives a scalar, which is no view of the array."""
    compiled = jit(lambda x: np.flip(x) * 2.0)
    for value in (1.5, 2.5, 3.5):
        assert compiled(onp.array(value)) == 2 * value


def test_convolutions_of_scalars_replay():
    compiled = jit(lambda x, y: np.convolve(x, y))
    for value in (1.5, 2.5, 3.5):
        onp.testing.assert_array_equal(compiled(onp.array(value), onp.array(2.0)), [2 * value])


ZEROS = onp.array([0.0, -0.0, 1.0, -1.0])


@pytest.mark.parametrize("name", "sin tan arctan sinh tanh expm1 log1p absolute square cbrt negative sqrt sign".split())
def test_signs_of_zeros_in_derivatives(name):
    """Compiled gradients have the interpreted ones' signs, also of zeros."""
    function = getattr(np, name)

    def loss(x):
        return np.sum(function(x) * ZEROS)

    compiled = grad(loss, jit=True)
    with onp.errstate(all="ignore"):
        for point in (ZEROS, -ZEROS, onp.array([-0.0, -0.0, 0.0, 0.0])):
            for _ in range(2):
                assert difference(compiled(point), grad(loss)(point), 1e-12) == ""
