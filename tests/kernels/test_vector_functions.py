"""Our own vector functions against mpmath, next to zeros, too; and the same bits however they are called."""

import ctypes
import functools

import mpmath
import numpy as np
import pytest
import scipy.special

from autograd_jit.kernels import cpu, kernel_ir, llvm, vecmath, vector_functions, vector_ir
from autograd_jit.kernels.vector_coefficients import POLYNOMIALS
from tests.kernels import fit_vector_functions

DTYPES = {"double": np.float64, "float": np.float32}
LANES = [lanes for lanes in (2, 4, 8, 16) if lanes * 4 <= cpu.vector_bytes()]
GAMMA = {"gammaln": mpmath.loggamma, "psi": mpmath.digamma}
ELEMENTARY = {
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x) / mpmath.log(2),
    "log10": mpmath.log10,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
}
EXACT = GAMMA | ELEMENTARY
ULP = {"double": 3.5, "float": 1.0}
ZERO_OF_PSI = 1.4616321449683622


@pytest.fixture(autouse=True)
def without_libmvec(monkeypatch):
    monkeypatch.setattr(vecmath, "_has", lambda symbol: False)


@functools.cache
def kernel(op, element, lanes, tier="quick", precise=False):
    text = kernel_ir.elementwise_kernel(
        lambda body, values: [vector_ir.math(body, op, element, values, precise=precise)],
        [element],
        [element],
        lanes=lanes,
    )
    assert ("_2x" in text or "_4x" in text or "_8x" in text) == (not precise)
    return llvm.compile_ir(text, name_hint=op, tier=tier)


def apply(code, x):
    x = np.ascontiguousarray(x)
    out = np.empty_like(x)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(code.address("kernel"))
    call((ctypes.c_void_p * 2)(x.ctypes.data, out.ctypes.data), ctypes.byref(ctypes.c_int64(x.size)))
    return out


def points(op, element, count=60):
    """Positive numbers that the formulas are for: of all magnitudes, and ever nearer to where pieces meet."""
    rng = np.random.default_rng(7)
    low, high = {"double": (1e-300, 1e300), "float": (3e-39, 3e36)}[element]
    found = [np.exp(rng.uniform(np.log(low), np.log(high), count)), np.exp(rng.uniform(-7, 7, count))]
    found += [rng.uniform(a, b, count) for a, b in ((0, 0.5), (0.5, 1), (1, 2), (2, 3), (3, 4), (4, 10))]
    for place in (0.5, 1, 2, 4, ZERO_OF_PSI, ZERO_OF_PSI - 1):
        found += [place + rng.choice([-1, 1], count) * np.exp(rng.uniform(-36, -2, count)), [place]]
    turns = np.rint(np.exp(rng.uniform(0, 13, count))) * (np.pi / 2)  # next to zeros of sines and cosines
    found += [turns, rng.uniform(0, 709, count), ZERO_OF_PSI + np.arange(-8, 9) * 2.0**-52]
    x = np.concatenate(found)
    x = x[x <= high].astype(DTYPES[element])
    own = vector_functions.FUNCTIONS.get(op) or vector_functions.ELEMENTARY[op]
    wide = x.astype(float)  # some ends are none of float32's
    return x[(wide >= own.ordinary[0]) & (wide <= own.ordinary[1]) & (x >= np.finfo(x.dtype).tiny)]


def ulps(op, x, result):
    """The error in units in the last place of the exact value."""
    info = np.finfo(x.dtype)
    if np.isinf(result):  # where the exact value rounds to it
        with mpmath.workprec(160):
            return 0.0 if EXACT[op](mpmath.mpf(float(x))) * np.sign(result) > float(info.max) else np.inf
    with mpmath.workprec(160):
        value = EXACT[op](mpmath.mpf(float(x)))
        if value == 0:
            return 0.0 if result == 0 else np.inf
        step = mpmath.ldexp(1, max(int(mpmath.frexp(value)[1]) - info.nmant - 1, info.minexp - info.nmant))
        return float(abs(mpmath.mpf(float(result)) - value) / step)


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("op", EXACT)
def test_error_in_ulp(op, element):
    x = points(op, element)
    if op in ELEMENTARY and vector_functions.ELEMENTARY[op].ordinary[0] < -1:
        x = np.concatenate([x, -x])
    results = apply(kernel(op, element, LANES[-1]), x)
    assert x.size > 600
    for given, result in zip(x, results):
        error = ulps(op, given, result)
        assert error <= ULP[element], (op, given, result, error)


def test_every_function_is_compared():
    assert set(GAMMA) == set(vector_functions.FUNCTIONS)
    assert set(ELEMENTARY) == set(vector_functions.ELEMENTARY)


def test_powers_are_exact():
    exponents = np.arange(-1022.0, 1024.0)
    powers = np.ldexp(1.0, exponents.astype(int))
    np.testing.assert_array_equal(apply(kernel("log2", "double", LANES[-1]), powers), exponents)
    np.testing.assert_array_equal(apply(kernel("exp2", "double", LANES[-1]), exponents), powers)
    tens = np.array([float(f"1e{k}") for k in range(23)])
    np.testing.assert_array_equal(apply(kernel("log10", "double", LANES[-1]), tens), np.arange(23.0))


def test_signs_of_zero_are_kept():
    for op in ("expm1", "log1p", "sin", "tan", "sinh", "tanh"):
        assert np.signbit(apply(kernel(op, "double", LANES[-1]), np.array([-0.0, 0.0]))).tolist() == [True, False], op


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("op", EXACT)
def test_values_depend_on_neither_width_nor_position_nor_tier(op, element):
    x = points(op, element)
    x = np.concatenate([x, -x[:50], [np.nan, 0.0, np.inf, 1e38]]).astype(DTYPES[element])
    expected = apply(kernel(op, element, LANES[-1]), x)
    for lanes in LANES:
        for tier in ("quick", "full"):
            for start in (0, 1, 3):
                got = apply(kernel(op, element, lanes, tier), x[start:])
                np.testing.assert_array_equal(got.view(np.uint8), expected[start:].view(np.uint8))


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("op", EXACT)
def test_outside_of_the_formulas_the_scalar_function_is_asked(op, element):
    """Every lane on its own: neighbours that are ordinary do not change."""
    dtype = DTYPES[element]
    info = np.finfo(dtype)
    ends = [0.0, np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal, 2.5, 1e-30, 1.5, 3.0, 7.0]
    odd = np.array([sign * value for value in ends for sign in (-1, 1)], dtype)
    odd = odd[~((odd > 0) & (odd < 1e30) & (odd >= info.tiny))]  # those that the formulas are for
    expected = apply(kernel(op, element, LANES[-1], precise=True), odd)
    got = apply(kernel(op, element, LANES[-1]), odd)
    np.testing.assert_allclose(got, expected, rtol=4 * info.eps)
    with np.errstate(all="ignore"):
        expected_too = (getattr(np, op, None) or getattr(scipy.special, op))(odd)
        np.testing.assert_allclose(got, expected_too, rtol=1e-6 if element == "float" else 1e-13)
    assert (np.signbit(got) == np.signbit(expected))[~np.isnan(expected)].all()
    mixed = np.full(2 * odd.size, 2.75, dtype)
    mixed[1::2] = odd
    got_mixed = apply(kernel(op, element, LANES[-1]), mixed)
    np.testing.assert_array_equal(got_mixed[1::2], got)
    assert (got_mixed[::2] == got_mixed[0]).all()
    assert ulps(op, mixed[0], got_mixed[0]) <= ULP[element]


def test_exact_zeros_and_poles():
    x = np.array([1.0, 2.0, np.inf, -1.0, -2.0, 0.0, -0.0, -np.inf])
    got = apply(kernel("gammaln", "double", LANES[-1]), x)
    assert got.tolist() == [0.0, 0.0, np.inf, np.inf, np.inf, np.inf, np.inf, -np.inf]
    got = apply(kernel("psi", "double", LANES[-1]), x)
    np.testing.assert_array_equal(got, scipy.special.psi(x), strict=True)


def test_code_is_linked_where_the_own_loader_is_not(monkeypatch):
    monkeypatch.setattr(llvm.object_loader, "supported", lambda: False)
    from autograd_jit.kernels import vector_library

    name = vector_functions.symbol("psi", "double", LANES[0])
    address = vector_library.address.__wrapped__(name.removeprefix("agj_"))
    assert address not in (0, llvm.symbol_address(name))


def test_the_table_is_what_the_script_computes():
    assert set(POLYNOMIALS) == set(fit_vector_functions.FITS)
    for name in ("log", "psi"):
        fit = fit_vector_functions.FITS[name]
        for bits, printed in zip(fit.bits, POLYNOMIALS[name]):
            computed = fit_vector_functions.coefficients(fit, bits)
            assert len(computed) == len(printed)
            np.testing.assert_allclose(computed, printed, rtol=1e-12)


def test_a_function_that_no_polynomial_reaches():
    fit = fit_vector_functions.Fit(lambda x: 2 + abs(x), (-1.0, 1.0), (53, 30))
    with pytest.raises(ValueError, match="bits"):
        fit_vector_functions.coefficients(fit, 53)


def test_the_yardstick_notices_four_ulp():
    x = np.float64(3.7)
    for op, exact in GAMMA.items():
        good = np.float64(float(exact(x)))
        assert ulps(op, x, good) <= 0.6
        assert ulps(op, x, good + 4 * np.spacing(good)) > 3.4
