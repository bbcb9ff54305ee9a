"""Our own vector functions against mpmath, next to zeros, too; and the same bits however they are called."""

import ctypes
import functools
import re

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
    "arctan": mpmath.atan,
    "arctan2": mpmath.atan2,
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arcsinh": mpmath.asinh,
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "power": mpmath.power,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "hypot": mpmath.hypot,
    "erf": mpmath.erf,
    "erfc": lambda x: mpmath.erfc(x) if x < 1000 else mpmath.mpf(0),
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
        [element] * vecmath.arguments(op),
        [element],
        lanes=lanes,
    )
    assert ("_2x" in text or "_4x" in text or "_8x" in text) == (not precise)
    return llvm.compile_ir(text, name_hint=op, tier=tier)


def apply(code, *operands):
    operands = [np.ascontiguousarray(x) for x in operands]
    out = np.empty_like(operands[0])
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(code.address("kernel"))
    slots = (ctypes.c_void_p * (len(operands) + 1))(*[x.ctypes.data for x in (*operands, out)])
    call(slots, ctypes.byref(ctypes.c_int64(out.size)))
    return out


def points(op, element):
    """Operands that the formulas are for: of all magnitudes, and ever nearer to where pieces meet."""
    rng = np.random.default_rng(7)
    x = magnitudes(element, rng)
    own = vector_functions.FUNCTIONS.get(op) or vector_functions.ELEMENTARY[op]
    if op == "power":
        largest = {"double": 740, "float": 100}[element]
        x = np.concatenate([x, np.exp(rng.uniform(-1, 1, x.size)), 1 + rng.uniform(-0.02, 0.02, x.size)])
        with np.errstate(divide="ignore"):
            exponents = np.clip(rng.uniform(-largest, largest, x.size) / np.log(x), -1e9, 1e9)
        whole = np.rint(rng.uniform(-40, 40, x.size))
        operands = [np.concatenate([x, -x]), np.concatenate([exponents, whole])]
    elif vecmath.arguments(op) == 2:
        near = x * (1 + rng.choice([-1, 1], x.size) * np.exp(rng.uniform(-36, 2, x.size)))
        signs = rng.choice([-1, 1], (2, 2 * x.size))
        operands = [np.concatenate([x, x]), np.concatenate([rng.permutation(x), near])] * signs
    else:
        operands = [np.concatenate([x, -x]) if own.ordinary[0][0] < 0 else x]
    with np.errstate(over="ignore"):
        operands = [np.asarray(x).astype(DTYPES[element]) for x in operands]
    keep = np.abs(operands[0]) >= np.finfo(operands[0].dtype).tiny
    for x, (low, high) in zip(operands, own.ordinary, strict=True):
        wide = np.abs(x.astype(float)) if own.of_magnitudes else x.astype(float)  # some ends are none of float32's
        keep &= (wide >= low) & (wide <= high)
    return [x[keep] for x in operands]


def magnitudes(element, rng, count=60):
    """Positive numbers."""
    low, high = {"double": (1e-300, 1e300), "float": (3e-39, 3e36)}[element]
    found = [np.exp(rng.uniform(np.log(low), np.log(high), count)), np.exp(rng.uniform(-7, 7, count))]
    found += [rng.uniform(a, b, count) for a, b in ((0, 0.5), (0.5, 1), (1, 2), (2, 3), (3, 4), (4, 10))]
    for place in (0.5, 1, 2, 4, ZERO_OF_PSI, ZERO_OF_PSI - 1):
        found += [place + rng.choice([-1, 1], count) * np.exp(rng.uniform(-36, -2, count)), [place]]
    turns = np.rint(np.exp(rng.uniform(0, 13, count))) * (np.pi / 2)  # next to zeros of sines and cosines
    found += [turns, rng.uniform(0, 709, count), ZERO_OF_PSI + np.arange(-8, 9) * 2.0**-52]
    x = np.concatenate(found)
    return x[x <= high]


def ulps(op, *operands_and_result):
    """The error in units in the last place of the exact value."""
    *operands, result = operands_and_result
    info = np.finfo(operands[0].dtype)
    with mpmath.workprec(160):
        value = EXACT[op](*[mpmath.mpf(float(x)) for x in operands])
        if np.isinf(result):  # where the exact value rounds to it
            return 0.0 if value * np.sign(result) > float(info.max) else np.inf
        if value == 0:
            return 0.0 if result == 0 else np.inf
        step = mpmath.ldexp(1, max(int(mpmath.frexp(value)[1]) - info.nmant - 1, info.minexp - info.nmant))
        return float(abs(mpmath.mpf(float(result)) - value) / step)


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("op", EXACT)
def test_error_in_ulp(op, element):
    operands = points(op, element)
    results = apply(kernel(op, element, LANES[-1]), *operands)
    assert results.size > 500
    for *given, result in zip(*operands, results):
        error = ulps(op, *given, result)
        assert error <= ULP[element], (op, given, result, error)


def test_every_function_is_compared():
    assert set(GAMMA) == set(vector_functions.FUNCTIONS)
    assert set(ELEMENTARY) == set(vector_functions.ELEMENTARY)


def test_no_function_of_the_c_library_is_left_out():
    assert set(vecmath.LIBM) <= {*vector_functions.FUNCTIONS, *vector_functions.ELEMENTARY}


def test_powers_are_exact():
    exponents = np.arange(-1022.0, 1024.0)
    powers = np.ldexp(1.0, exponents.astype(int))
    np.testing.assert_array_equal(apply(kernel("log2", "double", LANES[-1]), powers), exponents)
    np.testing.assert_array_equal(apply(kernel("exp2", "double", LANES[-1]), exponents), powers)
    tens = np.array([float(f"1e{k}") for k in range(23)])
    np.testing.assert_array_equal(apply(kernel("log10", "double", LANES[-1]), tens), np.arange(23.0))


def test_signs_of_zero_are_kept():
    odd = "expm1 log1p sin tan sinh tanh arctan arcsin arcsinh arctanh cbrt erf"
    for op in odd.split():
        assert np.signbit(apply(kernel(op, "double", LANES[-1]), np.array([-0.0, 0.0]))).tolist() == [True, False], op


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("op", EXACT)
def test_values_depend_on_neither_width_nor_position_nor_tier(op, element):
    operands = [
        np.concatenate([x, -x[:50], [np.nan, 0.0, np.inf, 1e38]]).astype(DTYPES[element]) for x in points(op, element)
    ]
    expected = apply(kernel(op, element, LANES[-1]), *operands)
    for lanes in LANES:
        for tier in ("quick", "full"):
            for start in (0, 1, 3):
                got = apply(kernel(op, element, lanes, tier), *[x[start:] for x in operands])
                np.testing.assert_array_equal(got.view(np.uint8), expected[start:].view(np.uint8))


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("op", EXACT)
def test_outside_of_the_formulas_the_scalar_function_is_asked(op, element):
    """Every lane on its own: neighbours that are ordinary do not change."""
    dtype = DTYPES[element]
    info = np.finfo(dtype)
    ends = [0.0, np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal, 2.5, 1e-30, 1.5, 3.0, 7.0]
    odd = np.array([sign * value for value in ends for sign in (-1, 1)], dtype)
    if vecmath.arguments(op) == 2:
        odd = [x.ravel() for x in np.meshgrid(odd, odd)]
    else:  # without those that the formulas are for
        odd = [odd[~((odd > 0) & (odd < 1e30) & (odd >= info.tiny))]]
    expected = apply(kernel(op, element, LANES[-1], precise=True), *odd)
    got = apply(kernel(op, element, LANES[-1]), *odd)
    np.testing.assert_allclose(got, expected, rtol=4 * info.eps)
    with np.errstate(all="ignore"):
        expected_too = (getattr(np, op, None) or getattr(scipy.special, op))(*odd)
        np.testing.assert_allclose(got, expected_too, rtol=1e-6 if element == "float" else 1e-13)
    assert (np.signbit(got) == np.signbit(expected))[~np.isnan(expected)].all()
    mixed = [np.full(2 * x.size, 0.75 if op in ("arcsin", "arccos", "arctanh") else 2.75, dtype) for x in odd]
    for x, values in zip(mixed, odd):
        x[1::2] = values
    got_mixed = apply(kernel(op, element, LANES[-1]), *mixed)
    np.testing.assert_array_equal(got_mixed[1::2], got)
    assert (got_mixed[::2] == got_mixed[0]).all()
    assert ulps(op, *[x[0] for x in mixed], got_mixed[0]) <= ULP[element]


@pytest.mark.parametrize("element", DTYPES)
def test_powers_of_negative_numbers(element):
    dtype = DTYPES[element]
    pairs = np.meshgrid([-1.0, -2.0, -0.375, -3e5], [2, 3, -1, -4, 0.5, 7, 1e9, 1e30, 0])
    x, y = [values.ravel().astype(dtype) for values in pairs]
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    got = apply(kernel("power", element, LANES[-1]), x, y)
    np.testing.assert_allclose(got, expected, rtol=2 * np.finfo(dtype).eps)
    assert np.isnan(got).sum() == 4 and (got < 0).sum() == 12


def test_powers_and_roots_that_are_whole_are_exact():
    base, exponent = [v.ravel() for v in np.meshgrid(np.arange(2.0, 20.0), np.arange(0.0, 12.0))]
    np.testing.assert_array_equal(apply(kernel("power", "double", LANES[-1]), base, exponent), base**exponent)
    roots = np.arange(-200.0, 201.0)
    np.testing.assert_array_equal(apply(kernel("cbrt", "double", LANES[-1]), roots**3), roots)
    np.testing.assert_array_equal(apply(kernel("hypot", "double", LANES[-1]), 3 * roots, 4 * roots), 5 * np.abs(roots))


@pytest.mark.parametrize("element", DTYPES)
def test_results_that_underflow(element):
    """They are rounded once, to the last numbers before 0."""
    dtype = DTYPES[element]
    x = np.linspace(*{"double": (26.4, 27.3), "float": (9.0, 10.1)}[element], 97).astype(dtype)
    exponents = np.linspace(*{"double": (-1076, -1020), "float": (-151, -125)}[element], 97).astype(dtype)
    two = np.full(97, 2, dtype)
    for op, operands in (("erfc", [x]), ("power", [two, exponents])):
        got = apply(kernel(op, element, LANES[-1]), *operands)
        assert 0 in got and np.finfo(dtype).tiny < got.max()
        assert max(ulps(op, *row) for row in zip(*operands, got)) <= ULP[element]


@pytest.mark.parametrize("op", ["cbrt", "hypot"])
def test_subnormal_operands(op):
    x = np.concatenate([np.arange(1, 60) * 5e-324, np.geomspace(1e-322, 3e-308, 60), np.geomspace(1e307, 1.2e308, 20)])
    operands = [x, np.roll(x, 1)][: vecmath.arguments(op)]
    got = apply(kernel(op, "double", LANES[-1]), *operands)
    assert max(ulps(op, *row) for row in zip(*operands, got)) <= ULP["double"]


def test_exact_zeros_and_poles():
    x = np.array([1.0, 2.0, np.inf, -1.0, -2.0, 0.0, -0.0, -np.inf])
    got = apply(kernel("gammaln", "double", LANES[-1]), x)
    assert got.tolist() == [0.0, 0.0, np.inf, np.inf, np.inf, np.inf, np.inf, -np.inf]
    got = apply(kernel("psi", "double", LANES[-1]), x)
    np.testing.assert_array_equal(got, scipy.special.psi(x), strict=True)


@pytest.mark.parametrize("op", EXACT)
def test_vector_code_calls_the_scalar_function_alone(op):
    """No operation in it is one that LLVM has no vector instruction for."""
    from autograd_jit.kernels import vector_library

    for element in DTYPES:
        for lanes in LANES:
            if lanes * 8 <= cpu.vector_bytes():
                text = vector_library._module(op, element, lanes)
                names = llvm.compile_ir(text).object_code.split(b"\0")
                assert not [name for name in names if re.fullmatch(rb"(fma|rint|sqrt|copysign|fabs|floor)f?", name)]
                assert vecmath.math_call(op, element).symbol.encode() in names


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
