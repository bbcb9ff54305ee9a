"""Vector functions of our own, printed as IR: `gammaln`, `psi`, and elementary ones for where there is no libmvec.

A function computes all lanes alike, without branches; what lies outside its `ordinary` range (huge, infinite, NaN: no
lane, as a rule) is asked of the scalar function once more. All is in double precision; `float` differs in the degree
of the polynomials, and in that no rounding errors are carried along. There are no fast-math flags: an element's value
is the same at every width, position and optimisation level.

Largest errors seen over the ordinary range, against mpmath at 48,000 points: `gammaln` 2.6 ulp, `psi` 2.4, in float32
0.5. Outside it is that of the scalar functions (SciPy's `psi` next to its negative zeros: small against its slope).
At 10,000 points: exp and exp2 1.0, expm1 1.6, logarithms 0.6, sin and cos 0.8, tan 1.8, sinh 2.2, cosh and tanh 1.3.
At 80,000: arctan, arctan2 and cbrt 0.8, arcsin, arccos and power 0.7, hypot 1.0, arcsinh 1.5, arctanh 1.7, erf 1.8,
arccosh 2.2, erfc 2.5; in float32 all 0.51.

The formulas are in `vector_gamma`, `vector_elementary`, `vector_inverse`, `vector_power` and `vector_erf`. They take
products and sums that round once: where these are no instruction, nothing here is used.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from . import vector_elementary, vector_erf, vector_gamma, vector_inverse, vector_power
from .llvm import ELEMENT_BYTES, KERNEL_ATTRIBUTES
from .vector_expressions import Value

if TYPE_CHECKING:
    from .vector_ir import Emission

__all__ = ["ELEMENTARY", "FUNCTIONS", "NAME", "SYMBOL", "OwnFunction", "definition", "symbol"]

#: The result of a function's scalar version on scalars of the type that it is defined for.
Scalar = Callable[["Emission", list[str]], str]


class OwnFunction(NamedTuple):
    """A formula in double precision, and where it holds."""

    formula: Callable[..., Value]  # of the arguments, and whether a float64 is wanted
    #: an interval for each argument, or for its magnitude; the ends belong to it
    ordinary: tuple[tuple[float, float], ...]
    of_magnitudes: bool = False

    def holds(self, *arguments: Value) -> Value:
        """In which lanes all arguments are in their intervals."""
        inside = []
        for x, (low, high) in zip(arguments, self.ordinary, strict=True):
            x = x.unary("llvm.fabs") if self.of_magnitudes else x
            inside.append((x >= low) & (x <= high))
        return functools.reduce(lambda some, more: some & more, inside)


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
    own = FUNCTIONS.get(op) or ELEMENTARY[op]
    given = [f"%x{number}" for number in range(len(own.ordinary))]
    wide = [_widened(Value(body, element, name)) for name in given]
    result = own.formula(*wide, element == "double")
    if element == "float":
        result = result.converted("fptrunc", "float")
    is_ordinary = own.holds(*wide)
    reduce = f"llvm.vector.reduce.and.v{body.lanes}i1"
    body.declare(f"declare i1 @{reduce}({truth})")
    all_are = body.let(f"call i1 @{reduce}({truth} {is_ordinary.name})")
    body.line(f"br i1 {all_are}, label %done, label %others")
    mended = _others(body, own, scalar, given, Value(body, element, result.name))
    body.label("done")
    final = body.let(f"phi {vector} [ {result.name}, %entry ], [ {mended}, %mended ]")
    parameters = ", ".join([f"{vector} {name}" for name in given])
    head = f"define {vector} @{NAME}({parameters}) {KERNEL_ATTRIBUTES} memory(none) {{"
    return "\n".join([head, "entry:", *body.lines, f"  ret {vector} {final}", "}"])


def _widened(x: Value) -> Value:
    return x if x.element == "double" else x.converted("fpext", "double")


def _others(body: Emission, own: OwnFunction, scalar: Scalar, given: list[str], result: Value) -> str:
    """A loop over the lanes, which calls the scalar function where the formula does not hold."""
    element = result.element
    one, size = body.at_lanes(1), ELEMENT_BYTES[element]
    body.label("others")
    vectors = [*given, result.name]
    places = [body.let(f"alloca {body.type(element)}, align {size * body.lanes}") for _ in vectors]
    for place, value in zip(places, vectors):
        body.store(element, value, place)
    body.line("br label %lane")
    body.label("lane")
    body.line("%index = phi i64 [ 0, %others ], [ %following, %next ]")
    *lanes, place = [one.element(element, start, "%index") for start in places]
    arguments = [one.load(element, lane) for lane in lanes]
    holds = own.holds(*[_widened(Value(one, element, name)) for name in arguments])
    body.line(f"br i1 {holds.name}, label %next, label %call")
    body.label("call")
    one.store(element, scalar(one, arguments), place)
    body.line("br label %next")
    body.label("next")
    body.line("%following = add nuw nsw i64 %index, 1")
    last = body.let(f"icmp eq i64 %following, {body.lanes}")
    body.line(f"br i1 {last}, label %mended, label %lane")
    body.label("mended")
    mended = body.load(element, places[-1])
    body.line("br label %done")
    return mended


_EVERYWHERE: Final = (-math.inf, math.inf)  # but NaN
_LARGEST: Final = sys.float_info.max
# 2**20 quarter turns: more need more digits of pi.
_TURNS: Final = (-1.6e6, 1.6e6)

FUNCTIONS: Final[dict[str, OwnFunction]] = {
    # Up to where products overflow on the way; below 2**-1022, where log has no normal number to work on.
    "gammaln": OwnFunction(vector_gamma.gammaln, ((2.0**-1000, 2.0**1000),)),
    "psi": OwnFunction(vector_gamma.psi, ((2.0**-1000, 2.0**1000),)),
}

#: the same for functions that libmvec has
ELEMENTARY: Final[dict[str, OwnFunction]] = {
    "exp": OwnFunction(vector_elementary.exp, (_EVERYWHERE,)),
    "exp2": OwnFunction(vector_elementary.exp2, (_EVERYWHERE,)),
    "expm1": OwnFunction(vector_elementary.expm1, ((-math.inf, 709.0),)),
    "log": OwnFunction(vector_elementary.log, ((2.0**-1022, _LARGEST),)),
    "log2": OwnFunction(vector_elementary.log2, ((2.0**-1022, _LARGEST),)),
    "log10": OwnFunction(vector_elementary.log10, ((2.0**-1022, _LARGEST),)),
    "log1p": OwnFunction(vector_elementary.log1p, ((-1 + 2.0**-53, _LARGEST),)),
    "sin": OwnFunction(vector_elementary.sin, (_TURNS,)),
    "cos": OwnFunction(vector_elementary.cos, (_TURNS,)),
    "tan": OwnFunction(vector_elementary.tan, (_TURNS,)),
    "sinh": OwnFunction(vector_elementary.sinh, ((-709.0, 709.0),)),
    "cosh": OwnFunction(vector_elementary.cosh, ((-709.0, 709.0),)),
    "tanh": OwnFunction(vector_elementary.tanh, (_EVERYWHERE,)),
    "arctan": OwnFunction(vector_inverse.arctan, (_EVERYWHERE,)),
    # The larger side is added to the other.
    "arctan2": OwnFunction(vector_inverse.arctan2, ((-(2.0**1022), 2.0**1022),) * 2),
    "arcsin": OwnFunction(vector_inverse.arcsin, ((-1.0, 1.0),)),
    "arccos": OwnFunction(vector_inverse.arccos, ((-1.0, 1.0),)),
    # Squares do not overflow.
    "arcsinh": OwnFunction(vector_inverse.arcsinh, ((-(2.0**500), 2.0**500),)),
    "arccosh": OwnFunction(vector_inverse.arccosh, ((1.0, 2.0**500),)),
    "arctanh": OwnFunction(vector_inverse.arctanh, ((-1 + 2.0**-53, 1 - 2.0**-53),)),
    # Products with logarithms do not overflow.
    "power": OwnFunction(vector_power.power, ((2.0**-1022, _LARGEST), (0.0, 2.0**1000)), of_magnitudes=True),
    "cbrt": OwnFunction(vector_power.cbrt, ((-_LARGEST, _LARGEST),)),
    "hypot": OwnFunction(vector_power.hypot, ((-_LARGEST, _LARGEST),) * 2),
    "erf": OwnFunction(vector_erf.erf, (_EVERYWHERE,)),
    "erfc": OwnFunction(vector_erf.erfc, (_EVERYWHERE,)),
}
