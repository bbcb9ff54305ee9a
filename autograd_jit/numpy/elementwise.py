"""Elementwise functions: ufuncs and their like, with one partial derivative per argument.

Conventions at special points: ties of ``maximum`` and friends share the derivative equally; ``abs`` has derivative 0
at 0; ``x ** 0`` has derivative 0 and ``0 ** y`` is taken as locally constant in ``y`` for ``y > 0``.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..trace.rules import IDENTITY, MINUS, elementwise, general, nondifferentiable

_POSITIVE = ((0.1, 4.0),)
_UNIT = ((-0.9, 0.9),)

# ---------------------------------------------------------------- arithmetic

multiply = elementwise(_np.multiply, lambda y: y, lambda x: x)
negative = elementwise(_np.negative, MINUS)
positive = elementwise(_np.positive, IDENTITY)
add = elementwise(_np.add, IDENTITY, IDENTITY)
subtract = elementwise(_np.subtract, IDENTITY, MINUS)
divide = elementwise(
    _np.true_divide,
    lambda y: reciprocal_of(y),
    lambda ans, y: negative(ans / y),
    name="divide",
    domain=((-2.0, 2.0), (0.5, 3.0)),
)
true_divide = divide
reciprocal = elementwise(_np.reciprocal, lambda ans: negative(ans * ans), domain=_POSITIVE)
square = elementwise(_np.square, lambda x: 2 * x)
power = elementwise(
    _np.power,
    lambda x, y: _power_partial(power, x, y),
    lambda ans, x: ans * log(where(equal(x, 0), 1.0, x)),
    domain=((0.2, 3.0), (-2.0, 3.0)),
)
pow = power
float_power = elementwise(
    _np.float_power,
    lambda x, y: _power_partial(float_power, x, y),
    lambda ans, x: ans * log(where(equal(x, 0), 1.0, x)),
    domain=((0.2, 3.0), (-2.0, 3.0)),
)
mod = elementwise(
    _np.remainder,
    IDENTITY,
    lambda x, y: negative(floor(x / y)),
    name="mod",
    complex=False,
    domain=((0.1, 0.9), (1.0, 2.0)),
)
remainder = mod
fmod = elementwise(
    _np.fmod, IDENTITY, lambda x, y: negative(trunc(x / y)), complex=False, domain=((0.1, 0.9), (1.0, 2.0))
)


def _power_partial(power: Any, x: Any, y: Any) -> Any:
    """``y * x ** (y - 1)``, and 0 at ``y = 0`` whatever ``x``."""
    if type(y) is int or type(y) is float:
        if y == 2:
            return y * x
        return y * power(x, y - 1) if y else 0.0
    return y * power(x, where(equal(y, 0), 1.0, y - 1))


def reciprocal_of(y: Any) -> Any:
    """``1 / y`` without the integer arithmetic of ``np.reciprocal``."""
    return divide(1.0, y)


# ---------------------------------------------------------------- comparison-like


def _share(x: Any, y: Any, ans: Any) -> Any:
    """The derivative of ``maximum`` and the like in ``x``: 1 where chosen, 1/2 at a tie, 0 elsewhere."""
    return multiply(equal(x, ans), where(equal(x, y), 0.5, 1.0))


def _extremum(ufunc: Any) -> Any:
    return elementwise(ufunc, lambda ans, x, y: _share(x, y, ans), lambda ans, x, y: _share(y, x, ans), complex=False)


maximum = _extremum(_np.maximum)
minimum = _extremum(_np.minimum)
fmax = _extremum(_np.fmax)
fmin = _extremum(_np.fmin)
absolute = elementwise(
    _np.absolute,
    lambda ans, x: divide(conj(x), where(equal(ans, 0), 1.0, ans)),
    name="absolute",
    domain=((0.2, 2.0),),
)
abs = absolute
fabs = elementwise(_np.fabs, lambda x: sign(x), complex=False, domain=((0.2, 2.0),))
copysign = elementwise(
    _np.copysign, lambda x, y: sign(x) * copysign(1.0, y), None, complex=False, domain=((0.2, 2.0), (0.2, 2.0))
)
heaviside = elementwise(
    _np.heaviside, None, lambda x: equal(x, 0.0) * 1.0, complex=False, domain=((0.2, 2.0), (0.2, 2.0))
)
where = general(
    _np.where,
    {
        0: None,
        1: lambda ans, c, x=None, y=None: lambda g: where(c, g, _np.zeros((), _np.float32)),
        2: lambda ans, c, x=None, y=None: lambda g: where(c, _np.zeros((), _np.float32), g),
    },
    {
        0: None,
        1: lambda g, ans, c, x=None, y=None: where(c, g, _np.zeros((), _np.float32)),
        2: lambda g, ans, c, x=None, y=None: where(c, _np.zeros((), _np.float32), g),
    },
    name="where",
)

# ---------------------------------------------------------------- exponentials and logarithms

exp = elementwise(_np.exp, lambda ans: ans)
exp2 = elementwise(_np.exp2, lambda ans: ans * _np.log(2.0).item())
expm1 = elementwise(_np.expm1, lambda ans: ans + 1)
log = elementwise(_np.log, lambda x: reciprocal_of(x), domain=_POSITIVE)
log2 = elementwise(_np.log2, lambda x: divide(1 / _np.log(2.0).item(), x), domain=_POSITIVE)
log10 = elementwise(_np.log10, lambda x: divide(1 / _np.log(10.0).item(), x), domain=_POSITIVE)
log1p = elementwise(_np.log1p, lambda x: reciprocal_of(x + 1), domain=_POSITIVE)
logaddexp = elementwise(
    _np.logaddexp,
    lambda ans, x: exp(_difference(x, ans)),
    lambda ans, y: exp(_difference(y, ans)),
    complex=False,
)
logaddexp2 = elementwise(
    _np.logaddexp2,
    lambda ans, x: exp2(_difference(x, ans)),
    lambda ans, y: exp2(_difference(y, ans)),
    complex=False,
)


def _difference(x: Any, ans: Any) -> Any:
    """``x - ans``, and 0 where both are the same infinity."""
    return where(equal(x, ans), 0.0, x - ans)


# ---------------------------------------------------------------- roots

sqrt = elementwise(_np.sqrt, lambda ans: divide(0.5, ans), domain=_POSITIVE)
cbrt = elementwise(_np.cbrt, lambda ans: divide(1.0, 3.0 * ans * ans), complex=False, domain=_POSITIVE)
hypot = elementwise(
    _np.hypot,
    lambda ans, x: divide(x, where(equal(ans, 0), 1.0, ans)),
    lambda ans, y: divide(y, where(equal(ans, 0), 1.0, ans)),
    complex=False,
)

# ---------------------------------------------------------------- trigonometry

sin = elementwise(_np.sin, lambda x: cos(x))
cos = elementwise(_np.cos, lambda x: negative(sin(x)))
tan = elementwise(_np.tan, lambda ans: 1.0 + ans * ans, domain=((-1.2, 1.2),))
arcsin = elementwise(_np.arcsin, lambda x: reciprocal_of(sqrt((1 - x) * (1 + x))), domain=_UNIT)
arccos = elementwise(_np.arccos, lambda x: divide(-1.0, sqrt((1 - x) * (1 + x))), domain=_UNIT)
arctan = elementwise(_np.arctan, lambda x: reciprocal_of(1 + x * x))
arctan2 = elementwise(
    _np.arctan2,
    lambda x, y: divide(y, x * x + y * y),
    lambda x, y: divide(negative(x), x * x + y * y),
    complex=False,
    domain=((0.2, 2.0), (0.2, 2.0)),
)
sinh = elementwise(_np.sinh, lambda x: cosh(x))
cosh = elementwise(_np.cosh, lambda x: sinh(x))
tanh = elementwise(_np.tanh, lambda ans: 1.0 - ans * ans)
arcsinh = elementwise(_np.arcsinh, lambda x: reciprocal_of(sqrt(x * x + 1)))
arccosh = elementwise(_np.arccosh, lambda x: reciprocal_of(sqrt(x - 1) * sqrt(x + 1)), domain=((1.2, 4.0),))
arctanh = elementwise(_np.arctanh, lambda x: reciprocal_of((1 - x) * (1 + x)), domain=_UNIT)
asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2
asinh, acosh, atanh = arcsinh, arccosh, arctanh
rad2deg = elementwise(_np.rad2deg, lambda: 180.0 / _np.pi, complex=False)
deg2rad = elementwise(_np.deg2rad, lambda: _np.pi / 180.0, complex=False)
degrees, radians = rad2deg, deg2rad

# ---------------------------------------------------------------- complex parts

real = elementwise(_np.real, IDENTITY)
imag = elementwise(_np.imag, lambda: -1j)
conj = general(
    _np.conj, {0: lambda ans, x: lambda g: conj(g)}, {0: lambda g, ans, x: conj(g)}, name="conj"
)
conjugate = conj
angle_primitive = elementwise(
    _np.angle, lambda x: divide(-1j * conj(x), square(real(x)) + square(imag(x))), name="angle", domain=_POSITIVE
)


def angle(z: Any, deg: bool = False) -> Any:
    """Argument of complex numbers, in radians, or degrees when ``deg``."""
    result = angle_primitive(z)
    return rad2deg(result) if deg else result


# ---------------------------------------------------------------- without derivative

equal = nondifferentiable(_np.equal)
not_equal = nondifferentiable(_np.not_equal)
less = nondifferentiable(_np.less)
less_equal = nondifferentiable(_np.less_equal)
greater = nondifferentiable(_np.greater)
greater_equal = nondifferentiable(_np.greater_equal)
logical_and = nondifferentiable(_np.logical_and)
logical_or = nondifferentiable(_np.logical_or)
logical_xor = nondifferentiable(_np.logical_xor)
logical_not = nondifferentiable(_np.logical_not)
bitwise_and = nondifferentiable(_np.bitwise_and)
bitwise_or = nondifferentiable(_np.bitwise_or)
bitwise_xor = nondifferentiable(_np.bitwise_xor)
invert = nondifferentiable(_np.invert)
isfinite = nondifferentiable(_np.isfinite)
isinf = nondifferentiable(_np.isinf)
isnan = nondifferentiable(_np.isnan)
signbit = nondifferentiable(_np.signbit)
sign = nondifferentiable(_np.sign)
floor = nondifferentiable(_np.floor)
ceil = nondifferentiable(_np.ceil)
rint = nondifferentiable(_np.rint)
trunc = nondifferentiable(_np.trunc)
fix = nondifferentiable(_np.fix)
floor_divide = nondifferentiable(_np.floor_divide)
round = nondifferentiable(_np.round)
around = round
