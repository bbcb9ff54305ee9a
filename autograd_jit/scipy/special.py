"""``scipy.special``, with derivatives.

Formulas are those of the NIST Digital Library of Mathematical Functions (dlmf.nist.gov), cited by section. Arguments
without a formula (the order of a Bessel function, the first parameters of ``hyp2f1``) have no rule: differentiating
in them raises MissingRuleError, which names the function. Every other name is SciPy's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as _np
import scipy.special as _sp

from ..numpy import reductions as _red
from ..numpy.arguments import is_traced
from ..numpy.elementwise import (
    absolute,
    add,
    cos,
    divide,
    equal,
    exp,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    real,
    sign,
    sin,
    sqrt,
    square,
    subtract,
    where,
)
from ..numpy.shaping import expand_dims
from ..numpy.solving import inexact, is_complex
from ..trace.rules import elementwise, general, nondifferentiable
from ..trace.tracer import getval
from .incomplete import betainc_derivative, gammainc_derivative
from .log_sums import log_softmax as log_softmax
from .log_sums import logsumexp as logsumexp
from .log_sums import softmax as softmax

_ROOT_PI = math.sqrt(math.pi)
_ROOT_2PI = math.sqrt(2 * math.pi)
_POSITIVE = ((0.3, 4.0),)
_POSITIVES = ((0.3, 4.0), (0.3, 4.0))
_UNIT = ((0.1, 0.9),)


def __getattr__(name: str) -> Any:
    try:
        return getattr(_sp, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.scipy.special' (like scipy.special) has no attribute {name!r}"
        ) from None


def _without(function: Callable, *argnums: int) -> Callable:
    """``function`` with no rule for these arguments: an unknown derivative, where None would mean zero."""
    for argnum in argnums:
        del function.primitive.vjps[argnum], function.primitive.jvps[argnum]  # type: ignore[attr-defined]
    return function


def _in_order(ufunc: Any, partial: Callable, domain: Any = ((0.3, 4.0),), complex: bool = True, fixed: int = 1) -> Any:
    """A function of ``fixed`` parameters and a variable, with a derivative in the variable only."""
    function = elementwise(
        ufunc, *[None] * fixed, partial, complex=complex, domain=((1.0, 2.0),) * fixed + tuple(domain)
    )
    return _without(function, *range(fixed))


# ---------------------------------------------------------------- gamma function and relatives (DLMF 5)

polygamma = _without(
    elementwise(_sp.polygamma, None, lambda x, y: polygamma(x + 1, y), complex=False, domain=((1.0, 2.0), (0.3, 4.0))),
    0,
)
psi = digamma = elementwise(_sp.psi, lambda x: _trigamma(x), name="psi", domain=_POSITIVE)
gamma = elementwise(_sp.gamma, lambda ans, x: ans * psi(x), domain=_POSITIVE)
gammaln = elementwise(_sp.gammaln, lambda x: psi(x), complex=False, domain=_POSITIVE)
loggamma = elementwise(_sp.loggamma, lambda x: psi(x), domain=_POSITIVE)
gammasgn = nondifferentiable(_sp.gammasgn)
rgamma = elementwise(_sp.rgamma, lambda ans, x: _rgamma_partial(ans, x), domain=((-1.5, 4.0),))
beta = elementwise(
    _sp.beta,
    lambda ans, x, y: ans * (psi(x) - psi(add(x, y))),
    lambda ans, x, y: ans * (psi(y) - psi(add(x, y))),
    complex=False,
    domain=_POSITIVES,
)
betaln = elementwise(
    _sp.betaln,
    lambda x, y: psi(x) - psi(add(x, y)),
    lambda x, y: psi(y) - psi(add(x, y)),
    complex=False,
    domain=_POSITIVES,
)
poch = elementwise(
    _sp.poch,
    lambda ans, x, y: ans * (psi(add(x, y)) - psi(x)),
    lambda ans, x, y: ans * psi(add(x, y)),
    complex=False,
    domain=_POSITIVES,
)
binom = elementwise(
    _sp.binom,
    lambda ans, x, y: ans * (psi(add(x, 1)) - psi(add(subtract(x, y), 1))),
    lambda ans, x, y: ans * (psi(add(subtract(x, y), 1)) - psi(add(y, 1))),
    complex=False,
    domain=((4.0, 6.0), (0.5, 3.0)),
)
zeta = elementwise(_sp.zeta, None, lambda x, y: -x * zeta(x + 1, y), complex=False, domain=((2.0, 4.0), (0.5, 3.0)))
_without(zeta, 0)


def _trigamma(x: Any) -> Any:
    """``psi'``; SciPy's polygamma is real only, so that for complex numbers there is no second derivative."""
    if is_complex(x):
        from ..errors import MissingRuleError

        raise MissingRuleError(
            "the derivative of psi at complex arguments is not supported (SciPy has no trigamma there)"
        )
    return polygamma(1, x)


def _rgamma_partial(ans: Any, x: Any) -> Any:
    """``-psi(x) / gamma(x)``, on the left by reflection (DLMF 5.5.3), where ``psi`` has poles and the result none."""
    left = less(real(x), 0.5)
    right = -ans * psi(where(left, 1.0, x))
    if not _np.any(getval(left)):
        return right
    y = 1.0 - where(left, x, 0.5)
    angle = math.pi * where(left, x, 0.5)
    return where(left, gamma(y) * (cos(angle) - sin(angle) * psi(y) / math.pi), right)


def multigammaln(a, d):
    """As ``scipy.special.multigammaln``."""
    if not is_traced(a):
        return _sp.multigammaln(a, d)
    a = inexact(a)
    if d != int(d) or d < 1:
        raise ValueError("d should be a positive integer (dimension)")
    if _np.any(getval(a) <= 0.5 * (d - 1)):
        raise ValueError(f"condition a ({getval(a)}) > 0.5 * (d-1) ({0.5 * (d - 1)}) not met")
    shifts = _np.arange(int(d), dtype=a.dtype) / 2
    constant = d * (d - 1) * 0.25 * math.log(math.pi)
    return _red.sum(gammaln(subtract(expand_dims(a, -1), shifts)), axis=-1) + constant


# ---------------------------------------------------------------- incomplete gamma and beta functions (DLMF 8)


def _gamma_density(a: Any, x: Any) -> Any:
    """The derivative of ``gammainc(a, x)`` in ``x``."""
    return exp(xlogy(a - 1.0, x) - x - gammaln(a))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    return exp(xlogy(a - 1.0, x) + xlog1py(b - 1.0, -x) - betaln(a, b))


def _along(function: Callable, order: int, argnum: int, args: tuple) -> Any:
    """The derivative of an elementwise function of wrapped operations, by forward mode, ``order`` times."""
    if order == 0:
        return function(*args)
    from ..trace.forward import jvp_leaves

    def lower(leaves: list) -> Any:
        moved = (*args[:argnum], leaves[0], *args[argnum + 1 :])
        return _along(function, order - 1, argnum, moved)

    tangent = multiply(inexact(args[argnum]), 0.0) + 1.0
    return jvp_leaves(lower, [inexact(args[argnum]) * 1.0], [tangent])[1][0]


_gammainc_in_a = general(
    lambda a, x, order: _np.asarray(gammainc_derivative(a, x, order))[()],
    {
        0: lambda ans, a, x, order: lambda g: g * _gammainc_in_a(a, x, order + 1),
        1: lambda ans, a, x, order: lambda g: g * _along(_gamma_density, order, 0, (a, x)),
    },
    {
        0: lambda t, ans, a, x, order: t * _gammainc_in_a(a, x, order + 1),
        1: lambda t, ans, a, x, order: t * _along(_gamma_density, order, 0, (a, x)),
    },
    name="gammainc_in_a",
    complex=False,
    samples=lambda: [((2.5, 1.5, 1), {}), ((_np.array([0.5, 3.0]), 4.0, 2), {})],
)
gammainc = elementwise(
    _sp.gammainc,
    lambda x, y: _gammainc_in_a(x, y, 1),
    lambda x, y: _gamma_density(x, y),
    complex=False,
    domain=_POSITIVES,
)
gammaincc = elementwise(
    _sp.gammaincc,
    lambda x, y: negative(_gammainc_in_a(x, y, 1)),
    lambda x, y: negative(_gamma_density(x, y)),
    complex=False,
    domain=_POSITIVES,
)
gammaincinv = elementwise(
    _sp.gammaincinv,
    lambda ans, x: negative(_gammainc_in_a(x, ans, 1)) / _gamma_density(x, ans),
    lambda ans, x: 1.0 / _gamma_density(x, ans),
    complex=False,
    domain=((0.5, 3.0), (0.1, 0.9)),
)
gammainccinv = elementwise(
    _sp.gammainccinv,
    lambda ans, x: negative(_gammainc_in_a(x, ans, 1)) / _gamma_density(x, ans),
    lambda ans, x: -1.0 / _gamma_density(x, ans),
    complex=False,
    domain=((0.5, 3.0), (0.1, 0.9)),
)


def _betainc_x_partial(a: Any, b: Any, x: Any, i: int, j: int) -> Any:
    return _along(lambda p, q, y: _along(_beta_density, j, 1, (p, q, y)), i, 0, (a, b, x))


_betainc_in_shape = general(
    lambda a, b, x, i, j: betainc_derivative(a, b, x, i, j),
    {
        0: lambda ans, a, b, x, i, j: lambda g: g * _betainc_in_shape(a, b, x, i + 1, j),
        1: lambda ans, a, b, x, i, j: lambda g: g * _betainc_in_shape(a, b, x, i, j + 1),
        2: lambda ans, a, b, x, i, j: lambda g: g * _betainc_x_partial(a, b, x, i, j),
    },
    {
        0: lambda t, ans, a, b, x, i, j: t * _betainc_in_shape(a, b, x, i + 1, j),
        1: lambda t, ans, a, b, x, i, j: t * _betainc_in_shape(a, b, x, i, j + 1),
        2: lambda t, ans, a, b, x, i, j: t * _betainc_x_partial(a, b, x, i, j),
    },
    name="betainc_in_shape",
    complex=False,
    samples=lambda: [((2.5, 1.5, 0.3, 1, 0), {}), ((_np.array([0.5, 3.0]), 4.0, 0.7, 1, 1), {})],
)
_BETA_DOMAIN = ((0.3, 4.0), (0.3, 4.0), (0.1, 0.9))
betainc = elementwise(
    _sp.betainc,
    lambda x, y, z: _betainc_in_shape(x, y, z, 1, 0),
    lambda x, y, z: _betainc_in_shape(x, y, z, 0, 1),
    lambda x, y, z: _beta_density(x, y, z),
    complex=False,
    domain=_BETA_DOMAIN,
)
betaincc = elementwise(
    _sp.betaincc,
    lambda x, y, z: negative(_betainc_in_shape(x, y, z, 1, 0)),
    lambda x, y, z: negative(_betainc_in_shape(x, y, z, 0, 1)),
    lambda x, y, z: negative(_beta_density(x, y, z)),
    complex=False,
    domain=_BETA_DOMAIN,
)
betaincinv = elementwise(
    _sp.betaincinv,
    lambda ans, x, y: negative(_betainc_in_shape(x, y, ans, 1, 0)) / _beta_density(x, y, ans),
    lambda ans, x, y: negative(_betainc_in_shape(x, y, ans, 0, 1)) / _beta_density(x, y, ans),
    lambda ans, x, y: 1.0 / _beta_density(x, y, ans),
    complex=False,
    domain=((0.5, 3.0), (0.5, 3.0), (0.1, 0.9)),
)

# ---------------------------------------------------------------- Bessel functions (DLMF 10.6, 10.29)

_BESSEL = ((0.5, 4.0),)
jv = jn = _in_order(_sp.jv, lambda x, y: 0.5 * (jv(x - 1, y) - jv(x + 1, y)), _BESSEL)
yv = _in_order(_sp.yv, lambda x, y: 0.5 * (yv(x - 1, y) - yv(x + 1, y)), _BESSEL)
yn = _in_order(_sp.yn, lambda x, y: 0.5 * (yv(x - 1, y) - yv(x + 1, y)), _BESSEL, complex=False)
iv = _in_order(_sp.iv, lambda x, y: 0.5 * (iv(x - 1, y) + iv(x + 1, y)), _BESSEL)
kv = _in_order(_sp.kv, lambda x, y: -0.5 * (kv(x - 1, y) + kv(x + 1, y)), _BESSEL)
kn = _in_order(_sp.kn, lambda x, y: -0.5 * (kv(x - 1, y) + kv(x + 1, y)), _BESSEL, complex=False)
ive = _in_order(
    _sp.ive, lambda ans, x, y: 0.5 * (ive(x - 1, y) + ive(x + 1, y)) - sign(y) * ans, _BESSEL, complex=False
)
kve = _in_order(_sp.kve, lambda ans, x, y: ans - 0.5 * (kve(x - 1, y) + kve(x + 1, y)), _BESSEL)
hankel1 = _in_order(_sp.hankel1, lambda x, y: 0.5 * (hankel1(x - 1, y) - hankel1(x + 1, y)), _BESSEL)
hankel2 = _in_order(_sp.hankel2, lambda x, y: 0.5 * (hankel2(x - 1, y) - hankel2(x + 1, y)), _BESSEL)
j0 = elementwise(_sp.j0, lambda x: negative(j1(x)), complex=False, domain=_BESSEL)
j1 = elementwise(_sp.j1, lambda x: 0.5 * (jv(0, x) - jv(2, x)), complex=False, domain=_BESSEL)
y0 = elementwise(_sp.y0, lambda x: negative(yv(1, x)), complex=False, domain=_BESSEL)
y1 = elementwise(_sp.y1, lambda x: 0.5 * (yv(0, x) - yv(2, x)), complex=False, domain=_BESSEL)
i0 = elementwise(_sp.i0, lambda x: i1(x), complex=False)
i1 = elementwise(_sp.i1, lambda x: 0.5 * (iv(0, x) + iv(2, x)), complex=False)
i0e = elementwise(_sp.i0e, lambda ans, x: i1e(x) - sign(x) * ans, complex=False, domain=_BESSEL)
i1e = elementwise(_sp.i1e, lambda ans, x: 0.5 * (ive(0, x) + ive(2, x)) - sign(x) * ans, complex=False, domain=_BESSEL)
k0 = elementwise(_sp.k0, lambda x: negative(k1(x)), complex=False, domain=_BESSEL)
k1 = elementwise(_sp.k1, lambda x: -0.5 * (kv(0, x) + kv(2, x)), complex=False, domain=_BESSEL)
k0e = elementwise(_sp.k0e, lambda ans, x: ans - k1e(x), complex=False, domain=_BESSEL)
k1e = elementwise(_sp.k1e, lambda ans, x: ans - 0.5 * (kve(0, x) + kve(2, x)), complex=False, domain=_BESSEL)

# ---------------------------------------------------------------- error functions and the normal distribution (DLMF 7)

erf = elementwise(_sp.erf, lambda x: 2 / _ROOT_PI * exp(-x * x))
erfc = elementwise(_sp.erfc, lambda x: -2 / _ROOT_PI * exp(-x * x))
erfcx = elementwise(_sp.erfcx, lambda ans, x: 2 * x * ans - 2 / _ROOT_PI)
erfi = elementwise(_sp.erfi, lambda x: 2 / _ROOT_PI * exp(x * x))
dawsn = elementwise(_sp.dawsn, lambda ans, x: 1 - 2 * x * ans)
wofz = elementwise(_sp.wofz, lambda ans, x: 2j / _ROOT_PI - 2 * x * ans)
erfinv = elementwise(_sp.erfinv, lambda ans: _ROOT_PI / 2 * exp(ans * ans), complex=False, domain=((-0.9, 0.9),))
erfcinv = elementwise(_sp.erfcinv, lambda ans: -_ROOT_PI / 2 * exp(ans * ans), complex=False, domain=((0.1, 1.9),))
ndtr = elementwise(_sp.ndtr, lambda x: exp(-0.5 * x * x) / _ROOT_2PI)
log_ndtr = elementwise(_sp.log_ndtr, lambda ans, x: exp(-0.5 * x * x - ans) / _ROOT_2PI, complex=False)
ndtri = elementwise(_sp.ndtri, lambda ans: _ROOT_2PI * exp(0.5 * ans * ans), complex=False, domain=_UNIT)
ndtri_exp = elementwise(
    _sp.ndtri_exp, lambda ans, x: _ROOT_2PI * exp(0.5 * ans * ans + x), complex=False, domain=((-4.0, -0.2),)
)

# ---------------------------------------------------------------- logistic functions, logarithms, exponentials

logit = elementwise(_sp.logit, lambda x: 1.0 / (x * (1.0 - x)), complex=False, domain=_UNIT)
#: ``expit(-x)`` rather than ``1 - ans``, which loses all digits for large ``x``
expit = elementwise(_sp.expit, lambda ans, x: ans * expit(-x), complex=False)
log_expit = elementwise(_sp.log_expit, lambda x: expit(-x), complex=False)
softplus = elementwise(_sp.softplus, lambda x: expit(x), complex=False)
expm1 = elementwise(_sp.expm1, lambda ans: ans + 1)
log1p = elementwise(_sp.log1p, lambda x: 1.0 / (x + 1), domain=_POSITIVE)
exp2 = elementwise(_sp.exp2, lambda ans: ans * math.log(2.0), complex=False)
exp10 = elementwise(_sp.exp10, lambda ans: ans * math.log(10.0), complex=False)
cbrt = elementwise(_sp.cbrt, lambda ans: 1.0 / (3.0 * ans * ans), complex=False, domain=_POSITIVE)
cosm1 = elementwise(_sp.cosm1, lambda x: negative(sin(x)), complex=False)
exprel = elementwise(_sp.exprel, lambda ans, x: _exprel_partial(ans, x), complex=False, domain=_POSITIVE)
xlogy = elementwise(_sp.xlogy, lambda y: log(y), lambda x, y: _ratio(x, y), domain=_POSITIVES)
xlog1py = elementwise(_sp.xlog1py, lambda y: log1p(y), lambda x, y: _ratio(x, y + 1), domain=_POSITIVES)
entr = elementwise(_sp.entr, lambda x: -log(x) - 1, complex=False, domain=_POSITIVE)
rel_entr = elementwise(
    _sp.rel_entr,
    lambda x, y: log(divide(x, y)) + 1,
    lambda x, y: negative(_ratio(x, y)),
    complex=False,
    domain=_POSITIVES,
)
kl_div = elementwise(
    _sp.kl_div, lambda x, y: log(divide(x, y)), lambda x, y: 1 - _ratio(x, y), complex=False, domain=_POSITIVES
)
huber = elementwise(
    _sp.huber,
    lambda x, y: where(less_equal(absolute(y), x), 0.0, absolute(y) - x),
    lambda x, y: _clipped(y, x),
    complex=False,
    domain=((0.5, 1.0), (1.2, 3.0)),
)
pseudo_huber = elementwise(
    _sp.pseudo_huber,
    lambda x, y: _pseudo_huber_in_delta(x, y),
    lambda x, y: divide(y, sqrt(1 + square(divide(y, x)))),
    complex=False,
    domain=((0.5, 2.0), (-2.0, 2.0)),
)
boxcox = elementwise(
    _sp.boxcox,
    lambda x, y: power(x, y - 1.0),
    lambda ans, x, y: _boxcox_in_lambda(ans, log(x), power(x, y), y),
    complex=False,
    domain=((0.5, 3.0), (0.5, 2.0)),
)
inv_boxcox = elementwise(
    _sp.inv_boxcox,
    lambda ans, y: power(ans, 1.0 - y),
    lambda ans, x, y: -power(ans, 1.0 - y) * _boxcox_in_lambda(x, log(ans), power(ans, y), y),
    complex=False,
    domain=((0.5, 3.0), (0.5, 2.0)),
)


def _ratio(x: Any, y: Any) -> Any:
    """``x / y``, and 0 where ``x`` is, whatever ``y``."""
    zero = equal(x, 0)
    return where(zero, 0.0, divide(x, where(zero, 1.0, y)))


def _clipped(x: Any, bound: Any) -> Any:
    return minimum(maximum(x, -bound), bound)


def _pseudo_huber_in_delta(delta: Any, r: Any) -> Any:
    root = sqrt(1 + square(divide(r, delta)))
    return multiply(2 * (root - 1), delta) - square(r) / multiply(delta, root)


def _boxcox_in_lambda(value: Any, logarithm: Any, power: Any, lam: Any) -> Any:
    """Of ``(x**lam - 1) / lam``; its limit ``log(x)**2 / 2`` at ``lam = 0``."""
    zero = equal(lam, 0)
    return where(zero, 0.5 * logarithm * logarithm, (power * logarithm - value) / where(zero, 1.0, lam))


def _exprel_partial(ans: Any, x: Any) -> Any:
    """Of ``(exp(x) - 1) / x``: a series near 0, where the closed form cancels."""
    small = less(absolute(x), 0.5)
    near = where(small, x, 0.0)
    series = 1.0 / math.factorial(17) + near * 0.0
    for n in range(16, 0, -1):  # sum of n x**(n-1) / (n+1)!
        series = series * near + n / math.factorial(n + 1)
    far = where(small, 1.0, x)
    return where(small, series, (exp(far) - ans) / far)


def log1mexp(x):
    """``log(1 - exp(-x))`` for positive ``x``, without cancellation (M. Mächler, 2012). Not in SciPy."""
    return _log1mexp(x)


_log1mexp = elementwise(
    lambda x: _np.where(x > math.log(2.0), _np.log1p(-_np.exp(-x)), _np.log(-_np.expm1(-x)))[()],
    lambda x: 1.0 / expm1(x),
    name="log1mexp",
    complex=False,
    domain=_POSITIVE,
)

# ---------------------------------------------------------------- integrals, elliptic, hypergeometric, others

exp1 = elementwise(_sp.exp1, lambda x: -exp(-x) / x, domain=_POSITIVE)
expi = elementwise(_sp.expi, lambda x: exp(x) / x, domain=_POSITIVE)
expn = _in_order(_sp.expn, lambda x, y: negative(_expn_below(x, y)), complex=False)
spence = elementwise(_sp.spence, lambda x: log(x) / (1 - x), domain=((0.3, 0.8),))
ellipk = elementwise(_sp.ellipk, lambda ans, x: (ellipe(x) / (1 - x) - ans) / (2 * x), complex=False, domain=_UNIT)
ellipe = elementwise(_sp.ellipe, lambda ans, x: (ans - ellipk(x)) / (2 * x), complex=False, domain=_UNIT)
hyp0f1 = _in_order(_sp.hyp0f1, lambda x, y: hyp0f1(x + 1, y) / x)
hyp1f1 = _in_order(_sp.hyp1f1, lambda x, y, z: x / y * hyp1f1(x + 1, y + 1, z), fixed=2)
hyp2f1 = general(
    _sp.hyp2f1,
    {3: lambda ans, a, b, c, z: lambda g: g * (a * b / c * hyp2f1(a + 1, b + 1, c + 1, z))},
    {3: lambda t, ans, a, b, c, z: t * (a * b / c * hyp2f1(a + 1, b + 1, c + 1, z))},
    samples=lambda: [((0.5, 1.5, 2.5, 0.3), {}), ((0.5, 1.5, 2.5, _np.array([0.1, -0.7])), {})],
)
lambertw = general(
    _sp.lambertw,
    {0: lambda ans, z, k=0, tol=1e-8: lambda g: g * _lambertw_partial(ans)},
    {0: lambda t, ans, z, k=0, tol=1e-8: t * _lambertw_partial(ans)},
    samples=lambda: [((0.7,), {}), ((_np.array([0.5 + 1j, 2.0]), 1), {})],
)


def _lambertw_partial(ans: Any) -> Any:
    """``1 / (exp(W) (1 + W))``, which is finite at 0 (DLMF 4.13.4)."""
    return 1.0 / (exp(ans) * (1.0 + ans))


def _expn_below(n: Any, x: Any) -> Any:
    """``E_{n-1}``; that of order -1 is ``exp(-x) (1 + x) / x**2`` (DLMF 8.19.12), which SciPy does not have."""
    if _np.any(_np.asarray(n) == 0):
        return where(equal(n, 0), exp(-x) * (1 + x) / (x * x), expn(_np.maximum(n, 1) - 1, x))
    return expn(n - 1, x)
