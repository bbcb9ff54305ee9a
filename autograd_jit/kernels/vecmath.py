"""The maths library of native kernels: one table for libm and libmvec, one for scipy's special functions.

`vector_call("exp", "double", 8)` is the function to call on `<8 x double>`, `math_call("exp", "double")` that
for `double`.  glibc's libmvec has vector versions of the libm functions (all of them since 2.35, six
before); which of them the loaded library has is looked up, never assumed.  `gammaln` and `psi`, which it has not,
are our own on vectors (`vector_functions`), and so are all others where there is no libmvec (another platform).
What is left (no product and sum that round once), and `precise=True`, calls the scalar function lane by lane: slower
and just as right.

Accuracy: `LIBM[op].ulp` is the largest error, in units in the last place of the result, that the tests allow
(float64, float32); they measure both paths against mpmath.  Functions whose vector version is worse than
4 ulp, or gets a special value wrong, are to be marked `vector=""`; glibc 2.36 has none.  Measured there over
all binades, worst of the three vector widths, float64 / float32: exp 2.8/2.6, log 1.6/3.96 (every float32 of
[1/4, 4)), sin 3.7/2.2, cos 3.6/2.2, tan 3.4/3.9, arctan2 2.9/3.5, arccosh 2.7/3.1, power 1.1/0.7, others
below 3; scalar libm below 2.1, but cbrt 3.2 and gammaln 2.8.  One exception, libm's, too: 8 ulp in the
cosine and 14 in the tangent of 6381956970095103 * 2**797, the float64 nearest to a multiple of pi/2.

Microseconds for 10,000 elements in cache (AMD Zen 5, 512 bits, one core; NumPy uses AVX-512 functions, too):

              float64: libmvec  libm  NumPy    float32: libmvec  libm  NumPy
    exp                  9.9    47.4    7.6              4.2    28.5    5.6
    log                  9.8    44.2    7.9              3.6    31.2    4.6
    log1p                7.7    87.4    8.9              4.9    84.9    4.9
    sin                  7.2    98.4  138.5              3.9    31.6    6.6
    tan                  9.3   135.3   14.0              5.3   139.7    5.5
    arctan               8.1    93.0   10.6              3.7    67.1    4.4
    arctan2             12.4   193.7   20.7              5.7   199.6    6.4
    tanh                15.3   157.0   11.4              3.4   154.2    3.2
    power               33.2   128.8   18.6             16.9    52.9    7.1
    hypot                4.9    61.6  131.6              2.6    29.6   57.0
    erf                 12.2   107.2  155.7              5.1   102.3  162.0

Our own, and the scalar functions lane by lane (uniform in (0.1, 10); virtual machine, other figures than above):

              float64:    ours  lane by lane  SciPy    float32:  ours  lane by lane  SciPy
    gammaln              20.7         113.2   163.3              14.2         108.7  162.0
    psi                  18.3          85.1   133.2              13.0          90.6  135.1

Our own where there is no libmvec, in the order ours, libmvec, lane by lane (the same machine and arguments):

    exp     9.1    8.9   29.9  (float32:   8.7   5.8   17.6)     sin    12.2    8.5   91.3  (10.1   5.6   20.3)
    expm1   8.3   10.4   61.1  (           8.7   6.0   82.9)     cos    12.2    9.3   92.2  ( 9.7   5.6   20.6)
    log     9.5   10.6   27.7  (           7.6   5.8   20.0)     tan    13.2    9.4   95.3  (10.7   5.6   96.9)
    log1p  11.8    9.1   53.2  (           9.3   6.0   61.1)     tanh   13.8   16.4   95.4  (13.1   5.0  101.8)

The same at another time; arcsin, arccos and arctanh within (-1, 1), arccosh from 1 on, erf and erfc within (-3, 3):

    arcsin    6.9   9.3   36.3  (float32:   6.1   3.5   27.8)     arctanh  13.5   9.1   81.9  (13.0   4.6  141.2)
    arccos    7.1   9.2   37.2  (           6.3   3.7   37.0)     power    36.0  37.9  138.9  (20.7  13.7   37.3)
    arctan    9.9   7.2   80.2  (           8.3   3.0   47.1)     hypot     4.7   4.2   39.7  ( 3.7   2.2   22.7)
    arctan2  10.7  10.7  129.1  (           9.1   4.6  110.7)     cbrt      9.4   6.9   89.1  (11.1   3.1   84.9)
    arcsinh  18.7  12.6   66.5  (          13.8   4.9   56.8)     erf      26.4  16.0  135.3  (17.5   6.3  135.2)
    arccosh  15.3  14.8   58.6  (          11.2   7.3   46.4)     erfc     26.0  18.2  132.3  (20.9  10.7  131.0)
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from . import cpu
from .llvm import MATH_ATTRIBUTES, register_symbol, vector_library

_SUFFIX: Final = {"double": "", "float": "f"}
_LETTER: Final = {"double": "d", "float": "f"}
_BYTES: Final = {"double": 8, "float": 4}


class Libm(NamedTuple):
    """One function of libm, under NumPy's name for it."""

    symbol: str  # for double; float's has an f at the end
    arguments: int = 1
    vector: str = "df"  # the types whose libmvec version is good enough: "d" double, "f" float
    ulp: tuple[float, float] = (4.0, 4.0)  # float64, float32


class MathFunction(NamedTuple):
    """What the emitter prints to call a function on scalars."""

    symbol: str
    declaration: str
    call_attributes: str  # goes after the call's ")"
    extra_arguments: str = ""  # goes before the call's ")"
    variants: tuple[str, ...] = ()  # libmvec's versions, for `keep_variants`


class VectorFunction(NamedTuple):
    """What the emitter prints to call a function on `lanes` elements at once."""

    symbol: str
    declaration: str
    lanes: int


LIBM: Final[dict[str, Libm]] = {
    "exp": Libm("exp"),
    "exp2": Libm("exp2"),
    "expm1": Libm("expm1"),
    "log": Libm("log"),
    "log2": Libm("log2"),
    "log10": Libm("log10"),
    "log1p": Libm("log1p"),
    "sin": Libm("sin"),
    "cos": Libm("cos"),
    "tan": Libm("tan"),
    "arcsin": Libm("asin"),
    "arccos": Libm("acos"),
    "arctan": Libm("atan"),
    "arctan2": Libm("atan2", arguments=2),
    "sinh": Libm("sinh"),
    "cosh": Libm("cosh"),
    "tanh": Libm("tanh"),
    "arcsinh": Libm("asinh"),
    "arccosh": Libm("acosh"),
    "arctanh": Libm("atanh"),
    "power": Libm("pow", arguments=2),
    "hypot": Libm("hypot", arguments=2),
    "cbrt": Libm("cbrt"),
    "erf": Libm("erf"),
    "erfc": Libm("erfc"),
    "gammaln": Libm("lgamma", vector=""),
}

ALIASES: Final = {
    "pow": "power",
    "float_power": "power",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "atan2": "arctan2",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "lgamma": "gammaln",
    "tgamma": "gamma",
    "digamma": "psi",
}

# LLVM intrinsics, the same for scalars and vectors; every CPU has most as one instruction.
# maximum and minimum hand NaN on and order -0 below 0; fmax and fmin ignore NaN, as NumPy's do.
INTRINSICS: Final[dict[str, str]] = {
    "absolute": "llvm.fabs",
    "fabs": "llvm.fabs",
    "sqrt": "llvm.sqrt",
    "floor": "llvm.floor",
    "ceil": "llvm.ceil",
    "trunc": "llvm.trunc",
    "rint": "llvm.rint",
    "copysign": "llvm.copysign",
    "fma": "llvm.fma",
    "maximum": "llvm.maximum",
    "minimum": "llvm.minimum",
    "fmax": "llvm.maxnum",
    "fmin": "llvm.minnum",
}

# scipy.special functions of doubles, by how many they take.  In scipy's table a function of several types is
# listed by type; its double version is found by its signature.
SPECIAL: Final[dict[str, int]] = {
    name: arguments
    for arguments, names in {
        1: "psi gamma ndtr log_ndtr ndtri erfinv erfcinv erfcx dawsn expit logit log_expit i0 i0e i1 i1e j0 "
        "j1 y0 y1 k0 k0e k1 k1e rgamma gammasgn entr exprel exp10 cosm1 ellipk ellipkm1 ellipe zetac "
        "loggamma spence",
        2: "beta betaln gammainc gammaincc gammaincinv gammainccinv xlogy xlog1py poch binom chdtr chdtrc "
        "iv ive jv kv kve yv agm rel_entr kl_div huber pseudo_huber boxcox boxcox1p inv_boxcox ellipkinc "
        "ellipeinc",
        3: "betainc betaincinv",
    }.items()
    for name in names.split()
}


def canonical(op: str) -> str:
    """NumPy's name for an op of the C library's or scipy's name."""
    return ALIASES.get(op, op)


def math_call(op: str, type_: str) -> MathFunction:
    """The scalar function for an op on "double" or "float".  Raises KeyError for what is no function here.

    The call attributes name libmvec's versions and the declaration text declares them, so that LLVM's own
    vectoriser uses them in the "loops" tier; the module must then have a `keep_variants` line."""
    op = canonical(op)
    if op in SPECIAL:
        return _special_call(op)
    row = LIBM[op]
    symbol = row.symbol + _SUFFIX[type_]
    variants = [v for lanes in _lane_counts(type_) if (v := vector_call(op, type_, lanes))]
    declared = [f"declare {type_} @{symbol}({', '.join([type_] * row.arguments)})"]
    declared += [variant.declaration for variant in variants]
    attributes = MATH_ATTRIBUTES
    if variants:
        mappings = ",".join(f"{v.symbol}({v.symbol})" for v in variants)
        attributes += f' "vector-function-abi-variant"="{mappings}"'
    return MathFunction(symbol, "\n".join(declared), attributes, variants=tuple(v.symbol for v in variants))


def keep_variants(functions: Iterable[MathFunction]) -> str:
    """The module-level line without which LLVM drops the vector versions before its vectoriser sees them."""
    symbols = sorted({symbol for function in functions for symbol in function.variants})
    names = ", ".join(f"ptr @{symbol}" for symbol in symbols)
    used = f'[{len(symbols)} x ptr] [{names}], section "llvm.metadata"'
    return f"@llvm.compiler.used = appending global {used}" if symbols else ""


def vector_call(op: str, type_: str, lanes: int) -> VectorFunction | None:
    """The vector function for exactly so many lanes, or None: call it in halves, or lane by lane."""
    op = canonical(op)
    row = LIBM.get(op)
    if row is None or _LETTER[type_] not in row.vector:
        return None
    symbol = _vector_symbol(row, type_, lanes)
    if symbol is None or not _has(symbol):
        return None
    vector = f"<{lanes} x {type_}>"
    return VectorFunction(symbol, f"declare {vector} @{symbol}({', '.join([vector] * row.arguments)})", lanes)


def arguments(op: str) -> int:
    """How many operands a function of LIBM or SPECIAL takes."""
    op = canonical(op)
    return SPECIAL[op] if op in SPECIAL else LIBM[op].arguments


def special_address(name: str) -> int:
    """The address of scipy's double version of a special function.  KeyError for a name not in SPECIAL."""
    return _special_addresses()[name] if name in SPECIAL else SPECIAL[name]


def library_version() -> str:
    """Which vector maths kernels call: part of every cache key."""
    if vector_library() is None:
        return "no libmvec"
    version = ctypes.CDLL(None).gnu_get_libc_version
    version.restype = ctypes.c_char_p
    return f"libmvec of glibc {version().decode()}"


# --- inside -------------------------------------------------------------------------------------------


def _lane_counts(type_: str) -> list[int]:
    return [size // _BYTES[type_] for size in (16, 32, 64) if size <= cpu.vector_bytes()]


def _vector_symbol(row: Libm, type_: str, lanes: int) -> str | None:
    """libmvec's name by the x86-64 vector ABI: b SSE, d AVX2, e AVX-512; N unmasked; v an argument."""
    size = lanes * _BYTES[type_]
    if size not in (16, 32, 64) or size > cpu.vector_bytes():
        return None
    isa = {16: "b", 32: "d", 64: "e"}[size]
    return f"_ZGV{isa}N{lanes}{'v' * row.arguments}_{row.symbol}{_SUFFIX[type_]}"


@functools.cache
def _has(symbol: str) -> bool:
    library = vector_library()
    return library is not None and hasattr(library, symbol)


def _special_call(op: str) -> MathFunction:
    """scipy's functions take a trailing int, by which Cython marks calls to a method of a subclass."""
    register_symbol(f"agj_{op}", special_address(op))
    parameters = ", ".join(["double"] * SPECIAL[op])
    return MathFunction(
        f"agj_{op}",
        f"declare double @agj_{op}({parameters}, i32)",
        MATH_ATTRIBUTES,
        extra_arguments=", i32 0",
    )


@functools.cache
def _special_addresses() -> dict[str, int]:
    import scipy.special.cython_special as cython_special

    addresses = {}
    for name, capsule in cython_special.__pyx_capi__.items():
        base = re.sub(r"^__pyx_fuse_(\d+_?)*", "", name)
        if base in SPECIAL and _signature(capsule) == _double_signature(SPECIAL[base]):
            addresses[base] = capsule_address(capsule)
    return addresses


def _double_signature(count: int) -> bytes:
    return f"double ({'double, ' * count}int __pyx_skip_dispatch)".encode()


def _signature(capsule: object) -> bytes:
    """A capsule's name, which Cython makes the C signature of what it points to."""
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    return get_name(capsule)


def capsule_address(capsule: object) -> int:
    """The address that a capsule of `__pyx_capi__` holds."""
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return get_pointer(capsule, _signature(capsule))
