"""``precise=True``: the elementary functions of kernels are those of the C library, to the last bit."""

import ctypes

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import config, grad, jit
from autograd_jit.errors import ArgumentError
from autograd_jit.kernels import llvm, vecmath
from autograd_jit.lower.emit_llvm import emit
from autograd_jit.scipy import special

#: inside the domain of every function, the second operand's and its own
X = np.random.default_rng(0).uniform(0.01, 0.99, 203)
OFFSET = {"arccosh": 1.0}
FUNCTIONS = {op: getattr(anp, op, None) or getattr(special, op) for op in vecmath.LIBM}


def by_the_c_library(op, *operands):
    """The function, element by element."""
    row, dtype = vecmath.LIBM[op], operands[0].dtype
    number = ctypes.c_double if dtype == np.float64 else ctypes.c_float
    function = getattr(llvm.math_library(), row.symbol + ("" if dtype == np.float64 else "f"))
    function.restype, function.argtypes = number, [number] * row.arguments
    return np.array([function(*map(float, values)) for values in zip(*operands)], dtype)


def compiled(fun, *operands, **options):
    """The answer of the compiled program; the first call is the recording."""
    fast = jit(fun, **options)
    fast(*operands)
    result = fast(*operands)
    assert fast.stats.replays == 1
    return result


@pytest.mark.cpu
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("compile", ["never", "eager"])
@pytest.mark.parametrize("op", FUNCTIONS)
def test_functions_are_those_of_the_c_library(op, compile, dtype):
    x = (X + OFFSET.get(op, 0)).astype(dtype)
    operands = [x, x[::-1].copy()][: vecmath.arguments(op)]
    got = compiled(FUNCTIONS[op], *operands, compile=compile, precise=True)
    np.testing.assert_array_equal(got, by_the_c_library(op, *operands), strict=True)


@pytest.mark.cpu
def test_some_functions_are_others_without_it():
    """Without this the test above could not fail."""
    if vecmath.library_version() == "no libmvec":
        pytest.skip("scalar functions may serve")
    differing = 0
    for op, function in FUNCTIONS.items():
        x = X + OFFSET.get(op, 0)
        operands = [x, x[::-1].copy()][: vecmath.arguments(op)]
        got = compiled(function, *operands, compile="eager")
        differing += (got != by_the_c_library(op, *operands)).any()
    assert differing > len(FUNCTIONS) / 2


def angle(x):
    return anp.sum(anp.arctan(x) * anp.exp(-x))


@pytest.mark.cpu
def test_derivatives_and_fused_kernels_have_them_too():
    def f(x):
        return anp.sum(anp.sin(x))

    want = by_the_c_library("cos", X)
    for options in ({"precise": True}, {}):
        with config(precise=True, compile="eager"):
            fast = jit(grad(f), **options)
            fast(X)
        np.testing.assert_array_equal(fast(X), want)
        assert {kernel.precise for kernel in kernels(fast)} == {True}


@pytest.mark.cpu
def test_a_function_keeps_what_it_was_compiled_with():
    """The setting counts when the function is jitted: not when it is called, nor when its program is lowered."""
    def f(x):
        return anp.exp(x)

    with config(compile="eager"):
        before = jit(f)
        plain = before(X), before(X)
        with config(precise=True):
            within = jit(f)
            np.testing.assert_array_equal(before(X), plain[1])
            before(X[:50])  # traced and lowered here
            overridden = jit(f, precise=False)
            overridden(X), overridden(X[:50])
        within(X), within(X[:50])
        for x in (X, X[:50]):
            np.testing.assert_array_equal(within(x), by_the_c_library("exp", x))
            np.testing.assert_array_equal(before(x), overridden(x))
    assert {kernel.precise for kernel in kernels(before) | kernels(overridden)} == {False}
    assert {kernel.precise for kernel in kernels(within)} == {True}
    assert within.stats.traces == 2  # programs of the same function are not shared


def kernels(fast):
    """Structures of all its compiled kernels."""
    return {kernel.kernel for program in programs(fast) for kernel in program.kernels}


def programs(fast):
    return [path.program for entry in fast._handle.compiled.entries.values() for path in entry.paths]


@pytest.mark.cpu
def test_stages_that_are_made_again_are_precise_too():
    fast = jit(angle, precise=True, compile="eager")
    fast(X), fast(X)
    (program,) = programs(fast)
    again = [launch.kernel for launch in program.stages.launches if launch is not None]
    assert again == [kernel.kernel for kernel in program.kernels]
    assert "_ZGV" not in "".join([emit(kernel) for kernel in again])


@pytest.mark.parametrize("wrong", [1, 0, "yes", 2.0])
def test_what_precise_may_not_be(wrong):
    with pytest.raises(ArgumentError, match="precise is True or False"):
        jit(angle, precise=wrong)
    with pytest.raises(ArgumentError, match=r"config\.precise"):
        config(precise=wrong)
