"""Vector maths against mpmath, over all binades and special values; NumPy's own definitions against NumPy."""

import ctypes
import functools
from unittest import mock

import mpmath
import numpy as np
import pytest
import scipy.special

from autograd_jit.kernels import cpu, kernel_ir, llvm, vecmath, vector_ir

DTYPES = {"double": np.float64, "float": np.float32}
BYTES = [bytes_ for bytes_ in (16, 32, 64) if bytes_ <= cpu.vector_bytes()]
# "own": as where there is no libmvec. None: the scalar function on every lane, which is what precise=True uses.
WIDTHS = [*BYTES, "own", None]

TWO = "add subtract multiply divide remainder mod floor_divide fmod logaddexp logaddexp2 copysign"
ARGUMENTS = dict.fromkeys([*TWO.split(), "maximum", "minimum", "fmax", "fmin"], 2) | {"fma": 3}


def arguments(op):
    if vecmath.canonical(op) in {**vecmath.LIBM, **vecmath.SPECIAL}:
        return vecmath.arguments(op)
    return ARGUMENTS.get(op, 1)


@functools.cache
def kernel(op, element, width, tier="quick"):
    precise = width is None
    lanes = (width if width in BYTES else BYTES[-1]) // llvm.ELEMENT_BYTES[element]
    with mock.patch.object(vecmath, "_has", (lambda symbol: False) if width == "own" else vecmath._has):
        text = kernel_ir.elementwise_kernel(
            lambda body, values: [vector_ir.math(body, op, element, values, precise=precise)],
            [element] * arguments(op),
            [element],
            lanes=lanes,
        )
    assert width != "own" or "_ZGV" not in text
    return llvm.compile_ir(text, name_hint=op, tier=tier)


def apply(op, element, width, *operands):
    operands = [np.ascontiguousarray(x, DTYPES[element]) for x in np.broadcast_arrays(*operands)]
    out = np.empty_like(operands[0])
    code = kernel(op, element, width)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(code.address("kernel"))
    slots = (ctypes.c_void_p * (len(operands) + 1))(*[x.ctypes.data for x in (*operands, out)])
    call(slots, ctypes.byref(ctypes.c_int64(out.size)))
    return out


# --- accuracy -----------------------------------------------------------------------------------------

MPMATH = {
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.power(2, x),
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "arctan2": mpmath.atan2,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "arcsinh": mpmath.asinh,
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "power": mpmath.power,
    "hypot": mpmath.hypot,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "gammaln": lambda x: mpmath.log(abs(mpmath.gamma(x))),
}
# Functions that grow beyond all bounds are only looked at where something can be seen.
LARGEST = {"gammaln": 1e6, "gamma": 150}


def points(op, element, count=40):
    """Random bit patterns (all binades), the everyday range, and the neighbourhood of 1."""
    rng, dtype = np.random.default_rng(len(op)), DTYPES[element]
    bits = {"double": np.uint64, "float": np.uint32}[element]
    patterns = rng.integers(0, np.iinfo(bits).max, count, dtype=bits).view(dtype)
    ranges = [(-1, 1), (-10, 10), (-100, 100), (-1000, 1000), (0.9, 1.1), (-1e-3, 1e-3), (-1e6, 1e6)]
    x = np.concatenate([patterns, *[rng.uniform(*r, count).astype(dtype) for r in ranges]])
    x = x[np.isfinite(x)]
    return x[np.abs(x) <= LARGEST.get(op, np.inf)]


def exact(op, operands):
    """mpmath's value as two doubles, high and low; None where it has none (a pole, outside the domain)."""
    with mpmath.workprec(200):
        try:
            value = MPMATH[op](*[mpmath.mpf(float(x)) for x in operands])
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        return value if mpmath.isfinite(value) and not isinstance(value, mpmath.mpc) else None


def rounded(value, dtype):
    """mpmath's value in a type, with gradual underflow."""
    with mpmath.workprec(200):
        exponent = mpmath.frexp(value)[1] if value else 0
        unit = np.finfo(dtype).nmant + 1
        step = mpmath.ldexp(1, max(exponent - unit, np.finfo(dtype).minexp - np.finfo(dtype).nmant))
        return float(step), value


def ulps(got, value, dtype):
    step, value = rounded(value, dtype)
    if not np.isfinite(got):
        largest = mpmath.mpf(float(np.finfo(dtype).max))
        beyond = np.isinf(got) and abs(value) >= largest * (1 - mpmath.mpf(2) ** -20)
        return 0.0 if beyond and (got > 0) == (value > 0) else np.inf
    with mpmath.workprec(200):
        return float(abs(mpmath.mpf(float(got)) - value) / mpmath.mpf(step))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("op", MPMATH)
def test_error_in_ulp(op, element, width):
    dtype = DTYPES[element]
    operands = [points(op, element)]
    if arguments(op) == 2:
        operands.append(np.random.default_rng(0).permutation(operands[0]))
    if op == "power":
        operands = [np.abs(operands[0]), np.clip(operands[1], -40, 40)]
    got = apply(op, element, width, *operands)
    allowed = vecmath.LIBM[op].ulp[0 if element == "double" else 1]
    compared = 0
    for result, *given in zip(got, *operands):
        value = exact(op, given)
        if value is not None:
            assert ulps(result, value, dtype) <= allowed, (op, given, result, value)
            compared += 1
    assert compared > 80


def test_the_yardstick_notices_five_ulp():
    x = np.float64(0.7)
    for dtype in (np.float64, np.float32):
        good = dtype(np.sin(x))
        bad = good
        for _ in range(5):
            bad = np.nextafter(bad, dtype(2))
        value = exact("sin", [x])
        assert ulps(good, value, dtype) <= 0.51
        assert ulps(bad, value, dtype) > 4
    assert ulps(np.float64(np.nan), mpmath.mpf(1), np.float64) == np.inf
    assert ulps(np.float64(np.inf), mpmath.mpf(1), np.float64) == np.inf


def test_every_op_is_compared():
    assert set(MPMATH) == set(vecmath.LIBM)


def test_huge_arguments_of_sine_and_cosine():
    hardest = 6381956970095103 * 2.0**797  # nearest to a multiple of pi/2 of all float64
    x = np.array([1e5, 1e10, 1e15, 1e22, 1e100, 1e300, 1.7e308, hardest])
    for op in ("sin", "cos", "tan"):
        for width in WIDTHS:
            for given, result in zip(x, apply(op, "double", width, x)):
                allowed = {"sin": 4, "cos": 8, "tan": 15}[op] if given == hardest else 4
                assert ulps(result, exact(op, [given]), np.float64) <= allowed, (op, given)


# --- special values -----------------------------------------------------------------------------------


def specials(dtype):
    info = np.finfo(dtype)
    values = [
        0.0,
        np.inf,
        1.0,
        0.5,
        2.0,
        3.0,
        1.5,
        7.25,
        1e5,
        info.max,
        info.tiny,
        info.smallest_subnormal,
        np.nan,
    ]
    return np.array([sign * value for value in values for sign in (1, -1)], dtype)


def numpys(op):
    return getattr(np, op, None) or getattr(scipy.special, op)


def wrong(got, expected, *, ulp, signed_zero=True, scale=0.0):
    """Where arrays differ: in NaN, infinities, signs of zero, or by more than ulp (of scale, if larger)."""
    dtype = expected.dtype.type
    with np.errstate(all="ignore"):
        distance = np.abs(got.astype(float) - expected.astype(float))
        size = np.maximum(np.abs(expected), np.asarray(scale, dtype))
        unit = np.spacing(np.minimum(size, np.finfo(dtype).max / 2)).astype(float)
        differ = ~((got == expected) | (distance <= ulp * unit)) & ~(np.isnan(got) & np.isnan(expected))
    if signed_zero:
        differ |= (got == 0) & (expected == 0) & (np.signbit(got) != np.signbit(expected))
    return differ


def assert_same(operands, got, expected, **tolerance):
    differ = wrong(got, expected, **tolerance)
    rows = zip(*[x[differ] for x in operands], got[differ], expected[differ])
    assert not differ.any(), f"(operands..., ours, NumPy's): {[tuple(map(float, row)) for row in rows][:5]}"


def test_the_comparison_notices_differences():
    x = np.array([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 1.0])
    y = np.array([-0.0, 0.0, np.nextafter(1, 2), 1e308, np.inf, 1.0, np.nan])
    assert wrong(x, y, ulp=0).all()
    assert not wrong(x, x, ulp=0).any()
    assert not wrong(x[2:3], y[2:3], ulp=1).any()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("op", vecmath.LIBM)
def test_special_values_as_numpy_has_them(op, element, width):
    x = specials(DTYPES[element])
    if op == "gammaln":
        x = x[np.abs(x) != 5e-324]  # scipy has infinity for 744.44
    operands = [x] if arguments(op) == 1 else [a.ravel() for a in np.meshgrid(x, x)]
    with np.errstate(all="ignore"):
        expected = numpys(op)(*operands)
    # NumPy's own functions are up to 4 ulp off, so ours and theirs may differ by eight.
    assert_same(operands, apply(op, element, width, *operands), expected, ulp=8)


NUMPY_OPS = [*vector_ir.NUMPY_OPS, *vector_ir.LOGS_OF_SUMS]
EXACT = [op for op in [*vecmath.INTRINSICS, *NUMPY_OPS] if op not in ("fma", "gammaln")]
ORDER_OF_ZEROS = {"maximum", "minimum", "fmax", "fmin"}  # NumPy's depends on the loop it takes


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("op", EXACT)
def test_numpys_definitions(op, element, width):
    dtype, rng = DTYPES[element], np.random.default_rng(3)
    spread = np.concatenate(
        [specials(dtype), rng.uniform(-9, 9, 40).astype(dtype), np.arange(-6, 7, dtype=dtype)]
    )
    operands = [spread] if arguments(op) == 1 else [a.ravel() for a in np.meshgrid(spread, spread)]
    with np.errstate(all="ignore"):
        expected = getattr(np, op)(*operands)
    got = apply(op, element, width, *operands)
    if op.startswith("logaddexp"):  # the sum cancels near zero, in NumPy's as in ours
        scale = np.where(np.isfinite(operands), np.abs(operands), 0).max(0)
        assert_same(operands, got, expected, ulp=8, scale=np.maximum(scale, 1))
    else:
        assert_same(operands, got, expected, ulp=0, signed_zero=op not in ORDER_OF_ZEROS)


@pytest.mark.parametrize("op", vector_ir.LOGS_OF_SUMS)
def test_precise_logarithms_of_sums_call_scalar_functions_alone(op):
    body = vector_ir.Emission(2)
    vector_ir.math(body, op, "double", ["%x", "%y"], precise=True)
    called = [line.split("call ")[1].split("(")[0] for line in body.lines if "call " in line and "@llvm." not in line]
    power = vecmath.LIBM[vector_ir.LOGS_OF_SUMS[op].power].symbol
    assert called == [f"double @{power}"] * 2 + ["double @log1p"] * 2


def test_fused_multiply_add_rounds_once():
    a = np.array([1 + 2.0**-30] * 9)
    assert (apply("fma", "double", WIDTHS[0], a, a, -(a * a)) == 2.0**-60).all()


def test_gammaln_of_minus_infinity_is_scipys():
    assert apply("gammaln", "double", None, np.array([-np.inf, np.inf])).tolist() == [-np.inf, np.inf]


# --- the tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(vecmath.SPECIAL))
def test_scipys_functions_by_address(name):
    grid = np.array([0.15, 0.4, 0.75])
    operands = [grid + 0.03 * i for i in range(vecmath.arguments(name))]
    expected = getattr(scipy.special, name)(*operands)
    np.testing.assert_allclose(apply(name, "double", WIDTHS[-1], *operands), expected, rtol=1e-14)
    np.testing.assert_allclose(apply(name, "float", WIDTHS[0], *operands), expected, rtol=3e-6, atol=1e-6)


def test_aliases_name_known_ops():
    assert set(vecmath.ALIASES.values()) <= {*vecmath.LIBM, *vecmath.SPECIAL}
    for alias, op in vecmath.ALIASES.items():
        assert vecmath.canonical(alias) == op


def test_no_op_is_in_two_tables():
    assert not set(vecmath.LIBM) & set(vecmath.SPECIAL)
    assert not set(vecmath.LIBM) & set(vecmath.INTRINSICS)


def test_unknown_op():
    with pytest.raises(KeyError):
        vecmath.math_call("exq", "double")
    with pytest.raises(KeyError):
        vecmath.special_address("exq")


def test_math_call_carries_the_vector_versions():
    function = vecmath.math_call("exp", "double")
    assert function.symbol == "exp"
    for symbol in function.variants:
        assert f"{symbol}({symbol})" in function.call_attributes
        assert f"@{symbol}(" in function.declaration
        assert symbol in vecmath.keep_variants([function])
    assert vecmath.keep_variants([]) == ""


def test_without_libmvec_there_are_no_vector_versions(monkeypatch):
    monkeypatch.setattr(vecmath, "_has", lambda symbol: False)
    assert vecmath.vector_call("exp", "double", 4) is None
    assert vecmath.math_call("exp", "double").variants == ()


def test_without_fused_products_the_scalar_functions_serve(monkeypatch):
    monkeypatch.setattr(vecmath, "_has", lambda symbol: False)
    monkeypatch.setattr(cpu, "fuses", lambda: False)
    for op, symbol in (("exp", "exp"), ("arctan2", "atan2"), ("gammaln", "lgamma"), ("psi", "agj_psi")):
        body = vector_ir.Emission(4)
        vector_ir.math(body, op, "double", ["%x", "%y"][: arguments(op)])
        assert sum(f"call double @{symbol}(" in line for line in body.lines) == 4


@pytest.mark.skipif(vecmath.vector_call("exp", "double", 2) is None, reason="no libmvec here")
def test_vectors_wider_than_the_machine_are_called_in_parts():
    lanes = 2 * cpu.vector_bytes() // 8
    text = kernel_ir.elementwise_kernel(
        lambda body, values: [vector_ir.math(body, "exp", "double", values)],
        ["double"],
        ["double"],
        lanes=lanes,
    )
    assert vecmath.vector_call("exp", "double", lanes // 2).symbol in text
    code = llvm.compile_ir(text)
    x = np.linspace(-3, 3, 4 * lanes + 3)
    out = np.empty_like(x)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(code.address("kernel"))
    call((ctypes.c_void_p * 2)(x.ctypes.data, out.ctypes.data), ctypes.byref(ctypes.c_int64(x.size)))
    np.testing.assert_allclose(out, np.exp(x), rtol=1e-15)
