"""scipy.special: every registered function against numerical derivatives and, where it has one, mpmath's."""

import math
import warnings

import autograd
import autograd.scipy.special as hips
import mpmath
import numpy as np
import pytest
import scipy.special as sp

import autograd_jit.numpy as anp
from autograd_jit.errors import MissingRuleError
from autograd_jit.scipy import special
from autograd_jit.scipy.incomplete import betainc_derivative, gammainc_derivative
from autograd_jit.trace.rules import REGISTRY
from tests.numeric import check, gradient, scalar_gradient

OURS = [r for r in REGISTRY.values() if r.module.startswith("autograd_jit.scipy.") and r.kind != "nondifferentiable"]
ELEMENTWISE = [r for r in OURS if r.kind == "elementwise" and r.module.endswith("special")]


def points(domain, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.uniform(low, high, size=3) for low, high in domain]


def known_arguments(registration):
    return sorted(k for k, v in registration.function.primitive.vjps.items() if v is not None)


def at_arguments(registration, args):
    """The function of those arguments in which it has a derivative, the others held."""
    chosen = known_arguments(registration)
    if registration.name in ("polygamma", "yn", "kn", "expn"):
        args[0] = np.array([1, 2, 3])

    def f(*values):
        filled = list(args)
        for position, value in zip(chosen, values):
            filled[position] = value
        return registration.function(*filled)

    return f, [args[k] for k in chosen]


@pytest.mark.parametrize("registration", ELEMENTWISE, ids=lambda r: r.name)
def test_elementwise(registration):
    arity = len(registration.domain) or 1
    args = points(registration.domain or ((-2.0, 2.0),) * arity)
    f, chosen = at_arguments(registration, args)
    # SciPy's own inverse and Bessel functions are good to about 1e-13, which a step of 1e-3 turns into 1e-10
    check(f, *chosen, tol=1e-6)
    if arity > 1:
        check(lambda *a: f(*a), *[c if i else c[:1] for i, c in enumerate(chosen)], order=1, tol=1e-6)


COMPLEX = [r for r in ELEMENTWISE if r.complex and r.name not in ("psi", "gamma", "loggamma", "rgamma")]


@pytest.mark.parametrize("registration", COMPLEX, ids=lambda r: r.name)
def test_complex(registration):
    args = points(registration.domain or ((-2.0, 2.0),))
    args[-1] = args[-1] + 0.3j * np.arange(1, 4)
    if registration.name in ("xlogy", "xlog1py"):
        args[0] = args[0] + 0.2j
    try:
        registration.function(*args)
    except TypeError:
        pytest.fail(f"{registration.name} is registered as complex, SciPy's is real")
    f, chosen = at_arguments(registration, args)
    check(f, *chosen, tol=1e-6)


@pytest.mark.parametrize("name", ["gamma", "loggamma", "rgamma"])
def test_complex_gamma_to_first_order(name):
    z = np.array([0.7 + 0.4j, 2.1 - 1.0j, -0.6 + 0.3j])
    check(getattr(special, name), z, order=1)
    with pytest.raises(MissingRuleError, match="psi"):
        check(getattr(special, name), z, order=2)


@pytest.mark.parametrize("registration", ELEMENTWISE, ids=lambda r: r.name)
def test_single_precision(registration):
    args = points(registration.domain or ((-2.0, 2.0),))
    f, chosen = at_arguments(registration, args)
    single = [np.float32(c) for c in chosen]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = gradient(f)(*single)
    for g, want in zip(got, gradient(f)(*[s.astype(float) for s in single])):
        assert g.dtype == np.float32
        assert np.allclose(g, want, rtol=1e-3, atol=1e-4)


GENERAL = [r for r in OURS if r.kind == "general" and r.samples is not None]


@pytest.mark.parametrize("registration", GENERAL, ids=lambda r: r.name)
def test_samples(registration):
    for args, kwargs in registration.samples():
        if callable(registration.function.primitive.vjp_all) or not isinstance(
            registration.function.primitive.vjps, dict
        ):
            continue
        chosen = [k for k in known_arguments(registration) if np.asarray(args[k]).dtype.kind in "fc"]

        def f(*values):
            filled = list(args)
            for position, value in zip(chosen, values):
                filled[position] = value
            return registration.function(*filled, **kwargs)

        check(f, *[args[k] for k in chosen], tol=1e-5)


@pytest.mark.parametrize(
    ("name", "args"), [("jv", (1.5, 2.0)), ("hyp2f1", (0.5, 1.5, 2.5, 0.3)), ("polygamma", (1.0, 2.0))]
)
def test_unknown_derivatives_are_refused(name, args):
    with pytest.raises(MissingRuleError, match=name):
        gradient(lambda p: getattr(special, name)(p, *args[1:]))(args[0])


# ---------------------------------------------------------------- special points


def test_tails_keep_their_digits():
    for x in (-40.0, 40.0, 700.0):
        assert math.isclose(
            gradient(special.expit)(x)[0] / gradient(lambda y: y)(x)[0],
            sp.expit(x) * sp.expit(-x),
            rel_tol=1e-14,
        )
    x = -1000.0  # the derivative of log_ndtr there is -x (1 + 1/x**2 ...)
    got = gradient(special.log_ndtr)(x)[0] / gradient(lambda y: y)(x)[0]
    assert math.isclose(got, float(mpmath.npdf(x) / mpmath.ncdf(x)), rel_tol=1e-9)


@pytest.mark.parametrize("x", [0.0, -1.0, -2.0, -3.0])
def test_reciprocal_gamma_at_poles_of_gamma(x):
    want = (-1) ** int(-x) * math.factorial(int(-x))
    assert math.isclose(scalar_gradient(special.rgamma, x), want, rel_tol=1e-12)


@pytest.mark.parametrize("name", ["j0", "j1", "i0", "i1", "exprel", "erf", "entr"])
def test_at_zero(name):
    if name == "entr":
        assert scalar_gradient(special.entr, 1.0) == -1.0
        return
    x = 0.0
    want = float(
        mpmath.diff(
            {
                "j0": lambda t: mpmath.besselj(0, t),
                "j1": lambda t: mpmath.besselj(1, t),
                "i0": lambda t: mpmath.besseli(0, t),
                "i1": lambda t: mpmath.besseli(1, t),
                "exprel": lambda t: mpmath.expm1(t) / t if t else mpmath.mpf(1),
                "erf": mpmath.erf,
            }[name],
            x,
        )
    )
    assert abs(scalar_gradient(getattr(special, name), x) - want) < 1e-8


def test_exprel_on_both_sides_of_its_series():
    mpmath.mp.dps = 30
    for x in (-0.5001, -0.4999, 1e-5, 0.4999, 0.5001, 3.0):
        want = float(((mpmath.mpf(x) - 1) * mpmath.exp(x) + 1) / mpmath.mpf(x) ** 2)
        assert math.isclose(scalar_gradient(special.exprel, x), want, rel_tol=1e-11)


def test_xlogy_at_zero():
    assert gradient(special.xlogy)(0.0, 2.0)[1] == 0.0
    assert gradient(special.xlogy)(0.0, 0.0)[1] == 0.0


def test_expn_of_order_zero_and_one():
    check(lambda x: special.expn(0, x), np.array([0.5, 2.0]), tol=1e-6)
    check(lambda x: special.expn(np.array([0, 1, 2]), x), np.array([0.5, 1.0, 2.0]), tol=1e-6)


# ---------------------------------------------------------------- shape parameters

SHAPES = [(0.05, 1e-3), (0.5, 0.3), (3.0, 2.7), (3.0, 9.0), (20.0, 18.0), (20.0, 43.0), (150.0, 151.5)]


@pytest.mark.parametrize(("a", "x"), SHAPES)
@pytest.mark.parametrize("order", [1, 2])
def test_gammainc_in_its_shape_parameter(a, x, order):
    mpmath.mp.dps = 30
    want = mpmath.diff(lambda s: mpmath.gammainc(s, 0, x, regularized=True), a, order, h=mpmath.mpf(10) ** -8)
    assert math.isclose(gammainc_derivative(a, x, order), float(want), rel_tol=1e-9)


@pytest.mark.parametrize("x", [1e-4, 0.3, 0.8, 0.999])
@pytest.mark.parametrize(("a", "b"), [(0.1, 7.0), (4.0, 0.5), (4.0, 50.0)])
def test_betainc_in_its_shape_parameters(a, b, x):
    mpmath.mp.dps = 30 if b < 50 else 200  # the function is within 1e-146 of 1
    for order in ((1, 0), (0, 1), (1, 1)):
        f = lambda s, u: mpmath.betainc(s, u, 0, x, regularized=True)
        want = float(mpmath.diff(f, (a, b), order, h=mpmath.mpf(10) ** -8))
        assert math.isclose(betainc_derivative(a, b, x, *order), want, rel_tol=1e-8, abs_tol=1e-200)


def test_incomplete_functions_at_the_ends():
    assert np.array_equal(gammainc_derivative([1.0, 2.0], [0.0, np.inf], 1), [0.0, 0.0])
    assert np.array_equal(betainc_derivative(2.0, 3.0, [0.0, 1.0], 1, 0), [0.0, 0.0])
    assert np.isnan(gammainc_derivative(-1.0, 2.0, 1))
    assert np.isnan(betainc_derivative(1.0, 2.0, 1.5, 1, 0))


# ---------------------------------------------------------------- logsumexp, softmax

X = np.random.default_rng(0).normal(size=(2, 3, 4))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (-1, 1)], ids=str)
def test_logsumexp(axis, keepdims):
    check(lambda a: special.logsumexp(a, axis, keepdims=keepdims), X)
    check(lambda a: special.logsumexp(a, axis, keepdims=keepdims), X + 0.5j * X[::-1])
    for shape in ((), (4,), (3, 1), (2, 3, 4), (1, 1, 1)):
        b = np.random.default_rng(1).uniform(0.5, 2, size=shape)
        check(lambda a, w: special.logsumexp(a, axis, w, keepdims), X, b)
        check(lambda a, w: special.logsumexp(a, axis, w - 3, keepdims, return_sign=True), X, b, tol=1e-5)
        values = []
        gradient(lambda a: values.append(special.logsumexp(a, axis, b, keepdims)) or a)(X)
        assert np.allclose(values[0]._value, sp.logsumexp(X, axis, b, keepdims))


def test_logsumexp_of_infinities():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = np.array([[-np.inf, -np.inf], [-np.inf, 1.0], [np.inf, 1.0], [np.inf, np.inf]])
        got = [scalar_gradient(special.logsumexp, row) for row in rows]
    assert np.array_equal(got, [[0, 0], [0, 1], [1, 0], [0.5, 0.5]])


def test_logsumexp_with_weights_that_hide_or_cancel():
    a, b = np.array([1.0, np.inf, 2.0]), np.array([1.0, 0.0, 2.0])
    got = scalar_gradient(lambda x: special.logsumexp(x, b=b), a)
    assert np.allclose(got, b * np.exp([1, 0, 2]) / (np.exp(1) + 2 * np.exp(2)))
    value = []
    gradient(lambda x: value.append(special.logsumexp(x, b=np.array([1.0, -1.0]))) or x)(np.array([1.0, 2.0]))
    assert np.isnan(value[0]._value)


def test_logsumexp_in_single_precision():
    x = X.astype(np.float32)
    values = []
    assert gradient(lambda a: values.append(special.logsumexp(a, 0)) or values[0])(x)[0].dtype == np.float32
    assert values[0].dtype == np.float32


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)], ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, axis):
    check(lambda a: getattr(special, name)(a, axis), X)
    values = []
    gradient(lambda a: values.append(getattr(special, name)(a, axis)) or a)(X)
    assert np.allclose(values[0]._value, getattr(sp, name)(X, axis))


def test_multigammaln():
    check(lambda a: special.multigammaln(a, 3), np.array([1.5, 4.0]))
    with pytest.raises(ValueError, match="not met"):
        gradient(lambda a: special.multigammaln(a, 3))(0.5)


# ---------------------------------------------------------------- against Autograd

UNARY = "psi digamma gamma gammaln rgamma j0 j1 y0 y1 i0 i1 erf erfc erfinv erfcinv logit expit".split()


@pytest.mark.parametrize("name", UNARY)
def test_against_autograd(name):
    x = np.array([0.2, 0.45, 0.7])
    want = autograd.elementwise_grad(getattr(hips, name))(x)
    assert np.allclose(scalar_gradient(lambda y: anp.sum(getattr(special, name)(y)), x), want)


def test_names_without_derivative_are_scipys():
    assert special.jn_zeros is sp.jn_zeros
    with pytest.raises(AttributeError, match="no attribute"):
        special.nothing
