"""Elementwise functions: ufuncs and their like, with one partial derivative per argument.

Conventions at special points: ties of ``maximum`` and friends share the derivative equally; ``abs``, ``sign`` and
``hypot`` have derivative 0 at 0; ``x ** 0`` has derivative 0 and ``0 ** y`` is taken as locally constant in ``y`` for
``y > 0``; ``logaddexp`` of two equal infinities shares the derivative equally; ``sinc`` has its limits at 0.
A complex number's ``abs`` and ``angle`` have derivative 0 at 0.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..trace.cotangent import abstract
from ..trace.rules import IDENTITY, MINUS, composite, elementwise, general, nondifferentiable
from ..trace.samples import call, complexes, mask, normals, positives
from .arguments import lists_as_arrays

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "allclose",
    "angle",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "around",
    "array_equal",
    "array_equiv",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "cbrt",
    "ceil",
    "conj",
    "conjugate",
    "copysign",
    "cos",
    "cosh",
    "deg2rad",
    "degrees",
    "divide",
    "equal",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "fix",
    "float_power",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "greater",
    "greater_equal",
    "heaviside",
    "hypot",
    "imag",
    "invert",
    "isclose",
    "iscomplex",
    "isfinite",
    "isinf",
    "isnan",
    "isnat",
    "isneginf",
    "isposinf",
    "isreal",
    "left_shift",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "power",
    "rad2deg",
    "radians",
    "real",
    "reciprocal",
    "remainder",
    "right_shift",
    "rint",
    "round",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "spacing",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "true_divide",
    "trunc",
    "where",
]

_POSITIVE = ((0.1, 4.0),)
_UNIT = ((-0.9, 0.9),)
_LOG_2 = _np.log(2.0).item()
_LOG_10 = _np.log(10.0).item()

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
    lambda x, y: negative(floor_divide(x, y)),
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
    lambda ans, x: _absolute_partial(ans, x),
    name="absolute",
    domain=((0.2, 2.0),),
)
abs = absolute


def _absolute_partial(ans: Any, x: Any) -> Any:
    """The unit number that turns ``x`` to the positive axis; 0 at 0."""
    if abstract(x)[1].kind == "c":
        return divide(conj(x), where(equal(ans, 0), 1.0, ans))
    return sign(x)


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
    samples=lambda: [
        call(mask(3), normals(3), normals(3, seed=1)),
        call(mask(3, 2), normals(2), 0.5),
        call(mask(2), 1, normals(3, 1)),
        call(mask(), normals(), 2.5),
    ],
)

where.primitive.normalise = lists_as_arrays  # type: ignore[attr-defined]

# ---------------------------------------------------------------- exponentials and logarithms

exp = elementwise(_np.exp, lambda ans: ans)
exp2 = elementwise(_np.exp2, lambda ans: ans * _LOG_2)
expm1 = elementwise(_np.expm1, lambda ans: ans + 1)
log = elementwise(_np.log, lambda x: reciprocal_of(x), domain=_POSITIVE)
log2 = elementwise(_np.log2, lambda x: divide(1 / _LOG_2, x), domain=_POSITIVE)
log10 = elementwise(_np.log10, lambda x: divide(1 / _LOG_10, x), domain=_POSITIVE)
log1p = elementwise(_np.log1p, lambda x: reciprocal_of(x + 1), domain=_POSITIVE)
logaddexp = elementwise(
    _np.logaddexp,
    lambda ans, x, y: exp(_difference(x, y, ans, -_LOG_2)),
    lambda ans, x, y: exp(_difference(y, x, ans, -_LOG_2)),
    complex=False,
)
logaddexp2 = elementwise(
    _np.logaddexp2,
    lambda ans, x, y: exp2(_difference(x, y, ans, -1.0)),
    lambda ans, x, y: exp2(_difference(y, x, ans, -1.0)),
    complex=False,
)


def _difference(x: Any, other: Any, ans: Any, half: float) -> Any:
    """``x - ans``; 0 where ``x`` alone is that infinity, and ``half`` where both are."""
    return where(equal(x, ans), where(equal(x, other), half, 0.0), subtract(x, ans))


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
    _np.conj,
    {0: lambda ans, x, **kwargs: lambda g: conj(g)},
    {0: lambda g, ans, x, **kwargs: conj(g)},
    name="conj",
    samples=lambda: [call(normals(3)), call(complexes(2, 3))],
)
conj.primitive.normalise = lists_as_arrays  # type: ignore[attr-defined]
conjugate = conj
angle_primitive = elementwise(
    _np.angle, lambda x: divide(-1j * conj(x), _nonzero_modulus(x)), name="angle", domain=_POSITIVE
)


def _nonzero_modulus(x: Any) -> Any:
    """``abs(x) ** 2``, and 1 at 0."""
    squared = square(real(x)) + square(imag(x))
    return where(equal(squared, 0), 1.0, squared)


@composite(samples=lambda: [call(positives(3)), call(complexes(2, 2), deg=True)])
def angle(z: Any, deg: bool = False) -> Any:
    """Argument of complex numbers, in radians, or degrees when ``deg``."""
    result = angle_primitive(z)
    return multiply(result, 180 / _np.pi) if deg else result


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
isneginf = nondifferentiable(_np.isneginf)
isposinf = nondifferentiable(_np.isposinf)
isreal = nondifferentiable(_np.isreal)
iscomplex = nondifferentiable(_np.iscomplex)
isnat = nondifferentiable(_np.isnat)
isclose = nondifferentiable(_np.isclose)
allclose = nondifferentiable(_np.allclose)
array_equal = nondifferentiable(_np.array_equal)
array_equiv = nondifferentiable(_np.array_equiv)
spacing = nondifferentiable(_np.spacing)
nextafter = nondifferentiable(_np.nextafter)
left_shift = nondifferentiable(_np.left_shift)
right_shift = nondifferentiable(_np.right_shift)
bitwise_not = bitwise_invert = invert
bitwise_left_shift, bitwise_right_shift = left_shift, right_shift
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
