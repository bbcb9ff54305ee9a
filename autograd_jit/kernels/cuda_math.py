"""The device's maths: what an operation of a kernel is called in CUDA source, and what those names stand for.

Most are functions of libdevice, the library that NVIDIA's compiler links: ``exp`` for float64, ``expf`` for float32.
The others are written here, once for both types. Nothing is approximate unless it is asked for: no fast-math flag is
given, and products are not contracted with sums (see :mod:`.cuda_compiler`).

Largest errors of libdevice in units in the last place, as its emulation measures them: float32 exp 1.05, log 0.80,
sin 1.36, tanh 1.70, erf 1.0, erfc 3.3; float64 exp, log, sin 1, erf 3, erfc 34.

With ``config.fast_approximations`` float32 kernels compute some functions by single approximate instructions. NVIDIA
states their largest errors (CUDA C++ programming guide, "Mathematical functions") in units in the last place, but
absolute for logarithms between 1/2 and 2 and for sin and cos:

    exp             2 + |1.173 x|                              log              3,  2^-21.41
    log2            2,  2^-22                                  log10            3,  2^-24
    sin, cos        2^-21.41 and 2^-21.19 within [-pi, pi]; larger outside, without a bound
    x / y           2                                          sqrt             1

The functions written here, expit among them, are then made of these. ``power``, ``tan``, ``tanh`` and all others stay
what they are but for quotients and roots within: fast ones have no bound, or no sign for negative bases.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["CONSTANTS", "approximated", "has", "name", "namespace"]

#: NumPy's or SciPy's name -> libdevice's, for float64; float32's has an f at the end
LIBDEVICE: Final[dict[str, str]] = {
    **{op: op for op in "exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh hypot cbrt sqrt".split()},
    **{op: op for op in "erf erfc floor ceil trunc rint fmod copysign erfinv erfcinv erfcx exp10 j0 j1 y0 y1".split()},
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "power": "pow",
    "absolute": "fabs",
    "fma": "fma",
    "gamma": "tgamma",
    "ndtr": "normcdf",
    "ndtri": "normcdfinv",
}  # fmt: skip

#: functions of float32 that the device approximates by an instruction or two, by libdevice's names; libdevice's exp2f
#: is such an instruction in any case, and stays within 2 units in the last place
APPROXIMATE: Final[dict[str, str]] = {f"{op}f": f"fast_{op}f" for op in "exp log log2 log10 sin cos".split()}

CONSTANTS: Final[dict[str, Any]] = {
    "INFINITY": math.inf,
    "INT64_MIN": -(2**63),
    "INT64_MAX": 2**63 - 1,
    "INT32_MIN": -(2**31),
    "INT32_MAX": 2**31 - 1,
}

# Functions of our own: {f} is "" or "f", {real} the type. Literals are typed, as float64 ones would make everything
# float64. Those of integers are for both widths; what they give is cast by the caller's store.
_OWN: Final[dict[str, str]] = {
    "maximum": """
def maximum{f}(x, y):
    return x if x > y or x != x else y
""",
    "minimum": """
def minimum{f}(x, y):
    return x if x < y or x != x else y
""",
    "fmax": """
def fmax{f}(x, y):
    return x if x >= y or y != y else y
""",
    "fmin": """
def fmin{f}(x, y):
    return x if x <= y or y != y else y
""",
    "sign": """
def sign{f}(x):
    if x > {real}(0.0):
        return {real}(1.0)
    if x < {real}(0.0):
        return {real}(-1.0)
    return x - x
""",
    "isinf": """
def isinf{f}(x):
    return fabs{f}(x) == {real}(INFINITY)
""",
    "isfinite": """
def isfinite{f}(x):
    return x - x == {real}(0.0)
""",
    "mod": """
def mod{f}(x, y):
    rest = fmod{f}(x, y)
    if rest == {real}(0.0):
        return copysign{f}({real}(0.0), y)
    return rest + y if (rest < {real}(0.0)) != (y < {real}(0.0)) else rest
""",
    "floor_divide": """
def floor_divide{f}(x, y):
    if y == {real}(0.0):
        return x / y
    rest = fmod{f}(x, y)
    quotient = (x - rest) / y
    if rest != {real}(0.0) and (rest < {real}(0.0)) != (y < {real}(0.0)):
        quotient -= {real}(1.0)
    if quotient == {real}(0.0):
        return copysign{f}({real}(0.0), x / y)
    whole = floor{f}(quotient)
    return whole + {real}(1.0) if quotient - whole > {real}(0.5) else whole
""",
    "logaddexp": """
def logaddexp{f}(x, y):
    if x == y:
        return x + {real}(0.6931471805599453)
    gap = x - y
    if gap > {real}(0.0):
        return x + log1p{f}(exp{f}(-gap))
    return y + log1p{f}(exp{f}(gap)) if gap <= {real}(0.0) else gap
""",
    "logaddexp2": """
def logaddexp2{f}(x, y):
    if x == y:
        return x + {real}(1.0)
    gap = x - y
    if gap > {real}(0.0):
        return x + log1p{f}(exp2{f}(-gap)) * {real}(1.4426950408889634)
    return y + log1p{f}(exp2{f}(gap)) * {real}(1.4426950408889634) if gap <= {real}(0.0) else gap
""",
    "gammaln": """
def gammaln{f}(x):
    if x == {real}(-INFINITY):
        return x
    return {real}(INFINITY) if fabs{f}(x) <= {real}(5.562684646268003e-309) else lgamma{f}(x)
""",
    # psi(x) = psi(x + 1) - 1 / x up to where ln x - 1 / 2x - sum of B_2k / (2k x^2k) is exact (DLMF 5.11.2); from the
    # left by psi(1 - x) - psi(x) = pi / tan(pi x) (DLMF 5.5.4)
    "psi": """
def psi{f}(x):
    if x == {real}(0.0):
        return copysign{f}({real}(INFINITY), -x)
    shift = {real}(0.0)
    if x < {real}(0.0):
        whole = floor{f}(x)
        if whole == x:
            return {real}(INFINITY) - {real}(INFINITY)
        shift = -{real}(3.141592653589793) / tan{f}({real}(3.141592653589793) * (x - whole))
        x = {real}(1.0) - x
    while x < {real}(10.0):
        shift -= {real}(1.0) / x
        x += {real}(1.0)
    if x == {real}(INFINITY):
        return x
    w = {real}(1.0) / (x * x)
    series = {real}(1.0 / 12.0) - w * ({real}(1.0 / 120.0) - w * ({real}(1.0 / 252.0) - w * ({real}(1.0 / 240.0) - w * (
        {real}(1.0 / 132.0) - w * ({real}(691.0 / 32760.0) - w * {real}(1.0 / 12.0))))))
    return shift + log{f}(x) - {real}(0.5) / x - w * series
""",
    "expit": """
def expit{f}(x):
    return {real}(1.0) / ({real}(1.0) + exp{f}(-x))
""",
    "logit": """
def logit{f}(x):
    return log{f}(x / ({real}(1.0) - x))
""",
    "log_expit": """
def log_expit{f}(x):
    return -log1p{f}(exp{f}(-x)) if x >= {real}(0.0) else x - log1p{f}(exp{f}(x))
""",
    "xlogy": """
def xlogy{f}(x, y):
    return x if x == {real}(0.0) and y == y else x * log{f}(y)
""",
    "xlog1py": """
def xlog1py{f}(x, y):
    return x if x == {real}(0.0) and y == y else x * log1p{f}(y)
""",
    "entr": """
def entr{f}(x):
    if x > {real}(0.0):
        return -x * log{f}(x)
    return {real}(0.0) if x == {real}(0.0) else ({real}(-INFINITY) if x < {real}(0.0) else x)
""",
    "to_int64": """
def to_int64{f}(x):
    return int64(x) if x >= {real}(-9223372036854775808.0) and x < {real}(9223372036854775808.0) else int64(INT64_MIN)
""",
    "to_int32": """
def to_int32{f}(x):
    return int32(x) if x >= {real}(-2147483648.0) and x < {real}(2147483648.0) else int32(INT32_MIN)
""",
}

_OWN_INTEGER: Final[dict[str, str]] = {
    "maximum": "def {name}(x, y):\n    return {integer}(x if x > y else y)\n",
    "minimum": "def {name}(x, y):\n    return {integer}(x if x < y else y)\n",
    "fmax": "def {name}(x, y):\n    return {integer}(x if x > y else y)\n",
    "fmin": "def {name}(x, y):\n    return {integer}(x if x < y else y)\n",
    "absolute": "def {name}(x):\n    return {integer}(x if x >= 0 else -x)\n",
    "sign": "def {name}(x):\n    return {integer}(1 if x > 0 else (-1 if x < 0 else 0))\n",
    "mod": "def {name}(x, y):\n    return {integer}(x % y) if y != 0 and y != -1 else {integer}(0)\n",
    "floor_divide": """
def {name}(x, y):
    if y == 0:
        return {integer}(0)
    return {integer}(-x) if y == -1 else {integer}(x // y)
""",
}

_REALS: Final = {"double": ("", "float64"), "float": ("f", "float32")}
_INTEGERS: Final = {"i64": ("_int64", "int64"), "i32": ("_int32", "int32")}


def has(op: str, element: str) -> bool:
    """Whether the device has a function for an operation on elements of a type."""
    return op == "cast" or op in (_OWN_INTEGER if element in _INTEGERS else {*LIBDEVICE, *_OWN}) or op == "square"


def name(op: str, element: str) -> str:
    """What the function is called in source. Raises KeyError where there is none."""
    if element in _INTEGERS:
        if op not in _OWN_INTEGER:
            raise KeyError(op)
        return op + _INTEGERS[element][0]
    suffix = _REALS[element][0]
    return (op if op in _OWN else LIBDEVICE[op]) + suffix


def approximated(source: str) -> str:
    """A kernel's source with approximate functions in place of accurate ones.

    >>> approximated("y = expf(x) + exp(z) + expitf(x)")
    'y = fast_expf(x) + exp(z) + fast_expitf(x)'
    """
    own = {f"{op}f": f"fast_{op}f" for op in _approximate_here()}
    return re.sub(r"\b\w+(?=\()", lambda match: {**APPROXIMATE, **own}.get(match[0], match[0]), source)


@functools.cache
def _approximate_here() -> frozenset[str]:
    """Functions of our own that call one of those."""
    called = {op: set(re.findall(r"(\w+)\{f\}\(", source.partition(":")[2])) for op, source in _OWN.items()}
    return frozenset([op for op, names in called.items() if any([f"{name}f" in APPROXIMATE for name in names])])


def namespace(names: Iterable[str]) -> dict[str, Any]:
    """What the names in a source text stand for, for Numba's CUDA compiler; names of other things are left out."""
    found = dict(CONSTANTS)
    for wanted in names:
        function = _device_function(wanted)
        if function is not None:
            found[wanted] = function
    return found


@functools.cache
def _device_function(wanted: str) -> Any:
    """A function of libdevice, or one of ours compiled for the device."""
    from numba import cuda

    source = _source_of(wanted)
    if source is None:
        return getattr(cuda.libdevice, wanted, None) if wanted in _known_to_libdevice() else None
    code = compile(source, f"<autograd_jit device function {wanted}>", "exec")
    scope: dict[str, Any] = {}
    import numba

    scope.update({kind: getattr(numba, kind) for kind in ("float64", "float32", "int64", "int32")})
    exec(code, scope)
    function = scope[wanted]
    scope.update(namespace([n for n in function.__code__.co_names if n != wanted]))
    return cuda.jit(function, device=True)


def _known_to_libdevice() -> set[str]:
    names = {*LIBDEVICE.values(), "lgamma"}
    return names | {f"{name}f" for name in names} | {*APPROXIMATE.values()}


def _source_of(wanted: str) -> str | None:
    accurate = wanted.removeprefix("fast_")
    if accurate != wanted:
        source = _source_of(accurate)
        return None if source is None else approximated(source)
    for suffix, real in _REALS.values():
        op = wanted[: len(wanted) - len(suffix)]
        if op + suffix == wanted and op in _OWN:
            return _OWN[op].replace("{f}", suffix).replace("{real}", real)
    for suffix, integer in _INTEGERS.values():
        op = wanted.removesuffix(suffix)
        if op != wanted and op in _OWN_INTEGER:
            return _OWN_INTEGER[op].replace("{name}", wanted).replace("{integer}", integer)
    return None
