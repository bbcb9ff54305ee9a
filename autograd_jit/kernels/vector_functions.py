"""Vector functions of our own, for what libmvec has not: `gammaln` and `psi`, printed as IR.

A function computes all lanes alike, without branches; what lies outside its `ordinary` range (negative, huge, NaN: no
lane, as a rule) is asked of the scalar function once more. All is in double precision; `float` differs in the degree
of the polynomials, and in that no rounding errors are carried along. There are no fast-math flags: an element's value
is the same at every width, position and optimisation level.

Accuracy over the ordinary range, against mpmath at 48,000 points: `gammaln` 2.6 ulp, `psi` 2.4, in float32 0.5. Outside
it is that of the scalar functions (SciPy's `psi` next to its negative zeros: small against psi's slope only).

The formulas (P and Q are polynomials of `vector_coefficients`, whose fits `tools/fit_vector_functions.py` defines;
`w = (x - a) / (x + a)`, with the geometric mean a of P's interval):

    log(2**k m)   k log 2 + 2 s + s**3 P(s**2),  s = (m - 1) / (m + 1),  m in [1/sqrt 2, sqrt 2)
    gammaln(x)    (x - 1) (x - 2) P(w)  in [1/2, 4);  gammaln(x + 1) - log x  below;
                  x (log x - 1) - log(x) / 2 + log(2 pi) / 2 + Q(1 / x**2) / x  above        (DLMF 5.5.1, 5.11.1)
    psi(x)        (x - x0) P(w), x0 its zero, in [1, 4);  psi(x + 1) - 1 / x  below;
                  log x - 1 / (2 x) - Q(1 / x**2) / x**2  above                              (DLMF 5.5.2, 5.11.2)

Zeros are factors, so that the error is small against the result next to them, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from .llvm import ELEMENT_BYTES, KERNEL_ATTRIBUTES
from .vector_coefficients import HALF_LOG_TWO_PI, LOG_2, POLYNOMIALS, PSI_ZERO
from .vector_expressions import Value, fast_two_sum, fma, polynomial, select

if TYPE_CHECKING:
    from .vector_ir import Emission

__all__ = ["FUNCTIONS", "NAME", "SYMBOL", "OwnFunction", "definition", "symbol"]

#: The result of a function's scalar version on a scalar of the type that it is defined for.
Scalar = Callable[["Emission", str], str]


class OwnFunction(NamedTuple):
    """A formula in double precision, and where it holds."""

    formula: Callable[[Value, bool], Value]  # of x, and whether a float64 is wanted
    ordinary: tuple[float, float]  # the ends belong to it


#: what a function is called in its own module: names with `agj_` are looked for elsewhere
NAME: Final = "function"


def symbol(op: str, element: str, lanes: int) -> str:
    """What kernels call the function; `llvm.symbol_address` knows it."""
    return f"agj_{op}_{lanes}x{element}"


#: what `symbol` gives
SYMBOL: Final = r"agj_(?P<op>\w+)_(?P<lanes>\d+)x(?P<element>\w+)"


def definition(body: Emission, op: str, element: str, scalar: Scalar) -> str:
    """The text of the function NAME for vectors of an element type; `body`, which is empty, has its lane count.

    What it calls is declared in `body.declarations`."""
    vector, truth = body.type(element), body.type("i1")
    given = Value(body, element, "%x")
    own = FUNCTIONS[op]
    x = given if element == "double" else given.converted("fpext", "double")
    result = own.formula(x, element == "double")
    if element == "float":
        result = result.converted("fptrunc", "float")
    is_ordinary = _is_ordinary(x, own)
    reduce = f"llvm.vector.reduce.and.v{body.lanes}i1"
    body.declare(f"declare i1 @{reduce}({truth})")
    all_are = body.let(f"call i1 @{reduce}({truth} {is_ordinary.name})")
    body.line(f"br i1 {all_are}, label %done, label %others")
    mended = _others(body, element, own, scalar, result)
    body.label("done")
    final = body.let(f"phi {vector} [ {result.name}, %entry ], [ {mended}, %mended ]")
    head = f"define {vector} @{NAME}({vector} %x) {KERNEL_ATTRIBUTES} memory(none) {{"
    return "\n".join([head, "entry:", *body.lines, f"  ret {vector} {final}", "}"])


def _is_ordinary(x: Value, own: OwnFunction) -> Value:
    low, high = own.ordinary
    return (x >= low) & (x <= high)


def _others(body: Emission, element: str, own: OwnFunction, scalar: Scalar, result: Value) -> str:
    """A loop over the lanes, which calls the scalar function where the formula does not hold."""
    one, size = body.at_lanes(1), ELEMENT_BYTES[element]
    body.label("others")
    places = [body.let(f"alloca {body.type(element)}, align {size * body.lanes}") for _ in range(2)]
    for place, value in zip(places, ("%x", result.name)):
        body.store(element, value, place)
    body.line("br label %lane")
    body.label("lane")
    body.line("%index = phi i64 [ 0, %others ], [ %following, %next ]")
    x_place, place = [one.element(element, start, "%index") for start in places]
    x = Value(one, element, one.load(element, x_place))
    wide = x if element == "double" else x.converted("fpext", "double")
    body.line(f"br i1 {_is_ordinary(wide, own).name}, label %next, label %call")
    body.label("call")
    one.store(element, scalar(one, x.name), place)
    body.line("br label %next")
    body.label("next")
    body.line("%following = add nuw nsw i64 %index, 1")
    last = body.let(f"icmp eq i64 %following, {body.lanes}")
    body.line(f"br i1 {last}, label %mended, label %lane")
    body.label("mended")
    mended = body.load(element, places[1])
    body.line("br label %done")
    return mended


# --- the formulas -------------------------------------------------------------------------------------

_ROOT_HALF_BITS: Final = 0x3FE6A09E667F3BCD  # of sqrt(1/2), rounded up
# 1.5 * 2**52 added as a bit pattern: a small integer becomes a double without a conversion, which only AVX-512 has.
_INTEGER: Final = 1.5 * 2.0**52
_INTEGER_BITS: Final = 0x4338000000000000


def _polynomial(name: str, x: Value, wide: bool) -> Value:
    return polynomial(x, POLYNOMIALS[name][0 if wide else 1])


def _log_parts(x: Value, wide: bool) -> tuple[Value, Value]:
    """The logarithm of a positive normal number, and about what that lacks of the exact one; 0 for float32."""
    bits = x.converted("bitcast", "i64")
    exponent = (bits - _ROOT_HALF_BITS) >> 52
    m = (bits - (exponent << 52)).converted("bitcast", "double")
    k = (exponent + _INTEGER_BITS).converted("bitcast", "double") - _INTEGER
    f, sum_ = m - 1.0, m + 1.0
    inverse = 1.0 / sum_
    s = f * inverse
    square = s * s
    tail = square * s * _polynomial("log", square, wide)
    if not wide:
        high = fma(k, math.log(2), 2.0 * s + tail)
        return high, high.constant(0.0)
    # What the rounded s lacks of f / sum_, and sum_ of m + 1.
    rest = fma(-s, sum_, f) - s * (m - (sum_ - 1.0))
    high, low = fast_two_sum(k * LOG_2[0], 2.0 * s)
    return fast_two_sum(high, low + fma(k, LOG_2[1], fma(rest, 2.0 * inverse, tail)))


def _core(name: str, x: Value, ends: tuple[float, float], wide: bool) -> Value:
    """The polynomial of a function's middle part."""
    middle = math.sqrt(ends[0] * ends[1])
    return _polynomial(name, (x - middle) / (x + middle), wide)


def _gammaln(x: Value, wide: bool) -> Value:
    log_high, log_low = _log_parts(x, wide)
    is_low, is_high = x < 0.5, x >= 4.0
    # (x - 1) (x - 2) in the middle, x (x - 1) below: rounded once, since x - 1 is exact from 1/2 on.
    t = select(is_low, x, x - 1.0)
    core = _core("gammaln", select(is_low, x + 1.0, x), (0.5, 4), wide)
    product = fma(t, t, -t) * core
    low = product - log_high - log_low
    # x (log x - 1): the rounding errors of the difference and the product are part of the rest.
    inverse = 1.0 / x
    stirling = inverse * _polynomial("gammaln_stirling", inverse * inverse, wide)
    rest = fma(log_high, -0.5, stirling + HALF_LOG_TWO_PI[0])
    if wide:
        less, lost = fast_two_sum(log_high, -1.0)
        main = x * less
        rest = rest + fma(x, lost + log_low, fma(x, less, -main))
    else:
        main = x * (log_high - 1.0)
    return select(is_high, main + rest, select(is_low, low, product))


def _psi(x: Value, wide: bool) -> Value:
    log_high, log_low = _log_parts(x, wide)
    is_low = x < 1.0
    inverse = 1.0 / x
    # The distance of x, or x + 1, from the zero: the sum x + 1 itself is not rounded.
    offset = select(is_low, x.constant(PSI_ZERO[0] - 1.0), PSI_ZERO[0])
    distance = (x - offset) - PSI_ZERO[1]
    core = distance * _core("psi", select(is_low, x + 1.0, x), (1, 4), wide)
    square = inverse * inverse
    above = log_high + (log_low - fma(inverse, 0.5, square * _polynomial("psi_stirling", square, wide)))
    return select(x >= 4.0, above, select(is_low, core - inverse, core))


FUNCTIONS: Final[dict[str, OwnFunction]] = {
    # Up to where products overflow on the way; below 2**-1022, where log has no normal number to work on.
    "gammaln": OwnFunction(_gammaln, (2.0**-1000, 2.0**1000)),
    "psi": OwnFunction(_psi, (2.0**-1000, 2.0**1000)),
}
