"""Points where a naive rule gives NaN or the wrong subgradient: the documented convention of each."""

import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit.trace.forward import jvp_leaves
from autograd_jit.trace.reverse import make_vjp_leaves


def grad(fun, x):
    pull, (out,), _ = make_vjp_leaves(lambda leaves: fun(leaves[0]), [x])
    (gradient,) = pull([onp.ones_like(out)])
    return onp.zeros_like(x) if gradient is None else gradient


def derivative(fun, x):
    _, (tangent,), _ = jvp_leaves(lambda leaves: fun(leaves[0]), [x], [onp.ones_like(x)])
    return 0.0 if tangent is None else tangent


def second(fun, x):
    return grad(lambda y: derivative(fun, y) if onp.ndim(y) == 0 else np.sum(derivative(fun, y)), x)


INF = onp.inf
POINTS = [
    ("prod of zeros", lambda x: np.prod(x), onp.array([0.0, 2.0, 3.0]), [6.0, 0.0, 0.0]),
    ("prod of two zeros", lambda x: np.prod(x), onp.array([0.0, 0.0, 3.0]), [0.0, 0.0, 0.0]),
    ("cumprod of zeros", lambda x: np.sum(np.cumprod(x)), onp.array([2.0, 0.0, 3.0]), [1.0, 8.0, 0.0]),
    ("sinc at 0", np.sinc, onp.array(0.0), 0.0),
    ("std of a constant", np.std, onp.array([2.0, 2.0, 2.0]), [0.0, 0.0, 0.0]),
    ("hypot at 0", lambda x: np.hypot(x, 0.0), onp.array(0.0), 0.0),
    ("abs at 0", np.abs, onp.array(0.0), 0.0),
    ("abs of infinity", np.abs, onp.array(-INF), -1.0),
    ("complex abs at 0", np.abs, onp.array(0j), 0j),
    ("angle at 0", np.angle, onp.array(0j), 0j),
    ("x ** 0 at 0", lambda x: x**0, onp.array(0.0), 0.0),
    ("x ** 0.0 array", lambda x: np.sum(x ** onp.zeros(2)), onp.array([0.0, 2.0]), [0.0, 0.0]),
    ("x ** 1 at 0", lambda x: np.sum(x ** onp.array([1.0, 2.0])), onp.array([0.0, 0.0]), [1.0, 0.0]),
    ("0 ** y", lambda y: 0.0**y, onp.array(2.0), 0.0),
    ("maximum at a tie", lambda x: np.maximum(x, 1.0), onp.array(1.0), 0.5),
    ("fmin at a tie", lambda x: np.fmin(1.0, x), onp.array(1.0), 0.5),
    ("max of a tie", np.max, onp.array([1.0, 3.0, 3.0]), [0.0, 0.5, 0.5]),
    ("clip at its bound", lambda x: np.sum(np.clip(x, 0.0, 1.0)), onp.array([0.0, 1.0, 2.0]), [1.0, 1.0, 0.0]),
    ("logaddexp at -inf", lambda x: np.logaddexp(x, -INF), onp.array(-INF), 0.5),
    ("logaddexp at +inf", lambda x: np.logaddexp(x, INF), onp.array(INF), 0.5),
    ("logaddexp one inf", lambda x: np.logaddexp(x, 3.0), onp.array(INF), 1.0),
    ("logaddexp below", lambda x: np.logaddexp(x, 3.0), onp.array(-INF), 0.0),
    ("logaddexp2 at -inf", lambda x: np.logaddexp2(x, -INF), onp.array(-INF), 0.5),
    ("i0 at 0", np.i0, onp.array([0.0]), [0.0]),
    ("tanh far out", np.tanh, onp.array(700.0), 0.0),
    ("nansum", np.nansum, onp.array([1.0, onp.nan, 2.0]), [1.0, 0.0, 1.0]),
    ("nanvar", np.nanvar, onp.array([1.0, onp.nan, 3.0]), [-1.0, 0.0, 1.0]),
    ("masked sum", lambda x: np.sum(x, where=x > 0), onp.array([1.0, -INF, 2.0]), [1.0, 0.0, 1.0]),
    (
        "where around log",
        lambda x: np.sum(np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0)),
        onp.array([0.0, 2.0]),
        [0.0, 0.5],
    ),
    ("nan_to_num", lambda x: np.sum(np.nan_to_num(x)), onp.array([onp.nan, INF, 2.0]), [0.0, 0.0, 1.0]),
    ("interp at a knot", lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 3.0]), onp.array(1.0), 2.0),
    ("median of even ties", np.median, onp.array([1.0, 1.0]), [0.5, 0.5]),
    ("sort of ties", lambda x: np.sort(x)[0], onp.array([1.0, 1.0]), [1.0, 0.0]),
    ("unique", lambda x: np.sum(np.unique(x)), onp.array([1.0, 1.0, 3.0]), [1.0, 0.0, 1.0]),
    ("trim_zeros", lambda x: np.sum(np.trim_zeros(x)), onp.array([0.0, 1.0, 0.0, 2.0, 0.0]), [0.0, 1.0, 1.0, 1.0, 0.0]),
    ("heaviside's height", lambda h: np.heaviside(0.0, h), onp.array(0.3), 1.0),
    ("copysign", lambda x: np.copysign(x, -1.0), onp.array(2.0), -1.0),
    ("modf", lambda x: np.modf(x)[0], onp.array(-2.5), 1.0),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("name", "fun", "x", "expected"), POINTS, ids=[point[0] for point in POINTS])
def test_first_derivative(name, fun, x, expected):
    onp.testing.assert_allclose(grad(fun, x), expected)
    if onp.ndim(x) == 0:
        forward = derivative(fun, x)
        onp.testing.assert_allclose(forward, onp.real(expected))


SECOND = [
    ("tanh at 700", np.tanh, 700.0, 0.0),
    ("prod", lambda x: np.prod(np.stack([x, x * 0.0, x])), 2.0, 0.0),
    ("prod of squares", lambda x: np.prod(np.stack([x, x, 3.0])), 0.0, 6.0),
    ("sinc at 0", np.sinc, 0.0, -(onp.pi**2) / 3),
    ("x ** 2 at 0", lambda x: x**2, 0.0, 2.0),
    ("x ** 2.0 array at 0", lambda x: np.power(x, onp.array(2.0)), 0.0, 2.0),
    ("x ** 1 at 0", lambda x: x**1, 0.0, 0.0),
    ("x ** 0 at 0", lambda x: x**0, 0.0, 0.0),
    ("logaddexp equal", lambda x: np.logaddexp(x, 1.0), 1.0, 0.25),
    ("logaddexp of infinities", lambda x: np.logaddexp(x, -INF), -INF, 0.0),
    ("abs at 0", np.abs, 0.0, 0.0),
    ("i0 at 0", np.i0, 0.0, 0.5),
    ("arctan far out", np.arctan, 1e200, 0.0),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("name", "fun", "x", "expected"), SECOND, ids=[point[0] for point in SECOND])
def test_second_derivative(name, fun, x, expected):
    onp.testing.assert_allclose(second(fun, onp.array(x)), expected, atol=1e-12)


def test_sinc_near_zero_keeps_its_digits():
    for x in (1e-9, 1e-4, 0.02, 0.0299, 0.0301, 0.1):
        mpmath = pytest.importorskip("mpmath")
        with mpmath.workdps(50):
            expected = float(mpmath.diff(lambda t: mpmath.sin(mpmath.pi * t) / (mpmath.pi * t), x))
        onp.testing.assert_allclose(grad(np.sinc, onp.array(x)), expected, rtol=1e-10)


def test_means_of_large_integers_do_not_wrap():
    from autograd_jit import jit

    large = onp.array([-(2**63), -(2**63), 1, 2, -(2**63)])
    compiled = jit(lambda x: np.mean(x))
    for values in (large, large + 1, large // 2):
        assert compiled(values) == pytest.approx(onp.mean(values))
