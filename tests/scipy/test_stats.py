"""scipy.stats: values as SciPy's, derivatives in the point, the shapes, loc and scale, both modes, both orders."""

import autograd
import autograd.numpy as hips_np
import autograd.scipy.stats as hips
import numpy as np
import pytest
import scipy.stats as scipy_stats

import autograd_jit.numpy as anp
from autograd_jit.errors import ArgumentError
from autograd_jit.scipy import stats
from tests.numeric import check, gradient, scalar_gradient

POINTS = np.array([0.15, 0.4, 0.85])
CONTINUOUS = {
    "norm": (),
    "t": (3.5,),
    "beta": (1.5, 2.5),
    "gamma": (2.2,),
    "chi2": (3.3,),
    "expon": (),
    "lognorm": (0.7,),
    "uniform": (),
    "laplace": (),
    "logistic": (),
    "weibull_min": (1.7,),
}
DISCRETE = {"poisson": (2.5,), "binom": (6.0, 0.3), "bernoulli": (0.3,), "nbinom": (2.5, 0.4)}
LOC, SCALE = 0.05, 1.3


def value_of(f, *args):
    """The value that a traced call computes."""
    seen = []
    gradient(lambda *boxes: seen.append(f(*boxes)) or boxes[0])(*args)
    return getattr(seen[0], "_value", seen[0])


@pytest.mark.parametrize("method", ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf", "ppf"])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name, method):
    shapes = CONTINUOUS[name]
    distribution = getattr(stats, name)
    if name == "t" and method == "ppf":
        with pytest.raises(ArgumentError, match="ppf"):
            gradient(lambda x: distribution.ppf(x, 3.0))(POINTS)
        return
    f = lambda x, loc, scale, *shapes: getattr(distribution, method)(x, *shapes, loc=loc, scale=scale)
    check(f, POINTS, LOC, SCALE, *shapes, tol=1e-6)
    want = getattr(getattr(scipy_stats, name), method)(POINTS, *shapes, LOC, SCALE)
    assert np.allclose(value_of(f, POINTS, LOC, SCALE, *shapes), want, rtol=1e-12)


@pytest.mark.parametrize("method", ["pdf", "logpdf", "cdf", "sf", "logcdf", "logsf"])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_values_and_derivatives_outside_the_support(name, method):
    shapes = CONTINUOUS[name]
    x = np.array([-3.0, -0.5, 0.3, 1.7, 30.0])
    f = lambda y: getattr(getattr(stats, name), method)(y, *shapes)
    assert np.allclose(value_of(f, x), getattr(getattr(scipy_stats, name), method)(x, *shapes), rtol=1e-9)
    assert np.isfinite(gradient(f)(x)[0]).all()


@pytest.mark.parametrize("method", ["pdf", "logpdf", "cdf"])
@pytest.mark.parametrize("name", [n for n in CONTINUOUS if CONTINUOUS[n]])
def test_bad_parameters_give_nan(name, method):
    shapes = [-s for s in CONTINUOUS[name]]
    assert np.isnan(value_of(lambda x: getattr(getattr(stats, name), method)(x, *shapes), 0.5))
    assert np.isnan(value_of(lambda x: getattr(stats.norm, method)(x, 0.0, -1.0), 0.5))


@pytest.mark.parametrize("method", ["pmf", "logpmf", "cdf", "sf", "logcdf", "logsf"])
@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name, method):
    shapes = DISCRETE[name]
    k = np.array([0, 1, 3]) if name != "bernoulli" else np.array([0, 0, 0])
    f = lambda *parameters: getattr(getattr(stats, name), method)(k, *parameters)
    if name == "binom":  # SciPy has the distribution for whole numbers of trials only
        check(lambda p: f(6, p), 0.3, tol=1e-6)
    else:
        check(f, *shapes, tol=1e-6)
    every = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 6.0, 7.0])
    with np.errstate(divide="ignore"):
        got = value_of(lambda *p: getattr(getattr(stats, name), method)(every, *p), *shapes)
        assert np.allclose(got, getattr(getattr(scipy_stats, name), method)(every, *shapes), rtol=1e-9)


@pytest.mark.parametrize("x_shape", [(3,), (4, 3), (2, 4, 3)], ids=str)
@pytest.mark.parametrize("singular", [False, True])
def test_multivariate_normal(x_shape, singular):
    rng = np.random.default_rng(0)
    root, mean, x = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=x_shape)
    f = lambda y, m, r: stats.multivariate_normal.logpdf(y, m, anp.matmul(r, r.T), allow_singular=singular)
    check(f, x, mean, root, tol=1e-5)
    assert np.allclose(value_of(f, x, mean, root), scipy_stats.multivariate_normal.logpdf(x, mean, root @ root.T))
    check(lambda y, m: stats.multivariate_normal.pdf(y, m, 2.0), x, mean)
    check(lambda r: stats.multivariate_normal.entropy(None, anp.matmul(r, r.T)), root)
    check(lambda y, d: stats.multivariate_normal.logpdf(y, mean, d), x, np.array([0.5, 1.0, 2.0]))


def test_multivariate_normal_of_low_rank():
    root = np.random.default_rng(0).normal(size=(3, 2))
    x = root @ np.array([0.3, -0.7])
    f = lambda r, w: stats.multivariate_normal.logpdf(anp.matmul(r, w), None, anp.matmul(r, r.T), allow_singular=True)
    check(f, root, np.array([0.3, -0.7]), tol=1e-5)
    off = value_of(lambda y: stats.multivariate_normal.logpdf(y, None, root @ root.T, allow_singular=True), x + 1.0)
    assert off == -np.inf


def test_one_dimensional_multivariate_normal():
    x = np.array([0.1, 0.2])
    check(lambda y: stats.multivariate_normal.logpdf(y), x)
    assert value_of(lambda y: stats.multivariate_normal.logpdf(y), 0.3).shape == ()


@pytest.mark.parametrize("columns", [(), (4,)], ids=str)
def test_dirichlet(columns):
    alpha = np.array([1.5, 2.5, 3.0])
    x = np.random.default_rng(0).dirichlet(20 * alpha, size=columns or None).T
    check(lambda a: stats.dirichlet.logpdf(x, a), alpha)
    check(stats.dirichlet.pdf, x[:-1], alpha, tol=1e-6)
    assert np.allclose(value_of(lambda a: stats.dirichlet.logpdf(x, a), alpha), scipy_stats.dirichlet.logpdf(x, alpha))


def test_multinomial():
    x, p = np.array([[1, 2, 3], [0, 0, 6]]), np.array([0.2, 0.3, 0.5])
    check(lambda q: stats.multinomial.logpmf(x, 6, q), p)
    check(lambda q: stats.multinomial.pmf(x, 6, q), p)
    assert np.allclose(
        value_of(lambda q: stats.multinomial.logpmf(x, 6, q), p), scipy_stats.multinomial.logpmf(x, 6, p)
    )
    assert value_of(lambda q: stats.multinomial.pmf([1, 1, 1], 6, q), p) == 0


def test_frozen_distributions_with_traced_parameters():
    check(lambda loc, scale: stats.norm(loc, scale=scale).logpdf(POINTS), 0.1, 1.2)
    check(lambda mu: stats.poisson(mu).pmf(2), 1.3)
    assert stats.norm(1.0, 2.0).mean() == 1.0


def test_signatures_are_scipys():
    with pytest.raises(TypeError, match="too many"):
        gradient(lambda x: stats.norm.pdf(x, 0, 1, 2))(0.1)
    with pytest.raises(TypeError, match="df"):
        gradient(lambda x: stats.t.pdf(x))(0.1)
    with pytest.raises(ArgumentError, match="sigma"):
        gradient(lambda x: stats.norm.pdf(x, sigma=2))(0.1)


def test_modules_of_autograd_are_found_by_name():
    import autograd_jit.scipy.stats.multivariate_normal as mvn
    import autograd_jit.scipy.stats.norm as module
    from autograd_jit.scipy.stats.norm import logpdf

    assert module is stats.norm
    assert mvn is stats.multivariate_normal
    assert logpdf(0.0) == scipy_stats.norm.logpdf(0.0)


def test_other_names_are_scipys():
    assert stats.cauchy is scipy_stats.cauchy
    assert stats.norm.rvs(size=3, random_state=0).shape == (3,)
    assert stats.norm.interval(0.5) == scipy_stats.norm.interval(0.5)
    with pytest.raises(AttributeError, match="no attribute"):
        stats.nothing


def test_single_precision_stays_single():
    x = POINTS.astype(np.float32)
    for name, shapes in CONTINUOUS.items():
        shapes = [np.float32(s) for s in shapes]
        f = getattr(stats, name).logpdf
        assert gradient(lambda y: f(y, *shapes))(x)[0].dtype == np.float32


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("norm", (0.3, 0.1, 1.2)),
        ("t", (0.3, 2.5, 0.1, 1.2)),
        ("beta", (0.3, 1.5, 2.5)),
        ("gamma", (0.3, 1.5)),
    ],
)
def test_against_autograd(name, args):
    for argnum in range(len(args)):
        got = gradient(lambda *a: getattr(stats, name).logpdf(*a))(*args)[argnum]
        weight = gradient(lambda y: y)(args[0])[0]
        want = autograd.grad(getattr(hips, name).logpdf, argnum)(*args)
        assert np.allclose(got / weight, want)


def test_covariance_gradient_is_autograds():
    cov = np.array([[2.0, 0.3], [0.3, 1.0]])
    got = scalar_gradient(lambda c: stats.multivariate_normal.logpdf(np.ones(2), np.zeros(2), c), cov)
    want = autograd.grad(lambda c: hips.multivariate_normal.logpdf(hips_np.ones(2), hips_np.zeros(2), c))(cov)
    assert np.allclose(got, want)
