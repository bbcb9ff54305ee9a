"""LLVM kernels over sizes that cut vectors, blocks and stacks in every way; accuracy and special values."""

import ctypes
import math
import mmap
import sys

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit.lower.builder import Builder
from autograd_jit.lower.emit_llvm import LITERALS_IN_REGISTERS, emit
from autograd_jit.lower.graph import Literal, View
from autograd_jit.lower.program import lower
from autograd_jit.trace.recorder import Recorder
from tests.lower.graphs import UFUNCS, by_kernels, by_numpy, launches, run_native

F8, F4, I8, I4, BOOL = map(np.dtype, (np.float64, np.float32, np.int64, np.int32, np.bool_))
SIZES = [0, 1, 2, 7, 8, 9, 31, 64, 511, 512, 513, 2047, 2049, 100_003]
ODD = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, np.inf, -np.inf, np.nan, 5e-324, 1e300, -1e300, 1e-300])


def run(b: Builder, outputs, *arrays):
    b.graph.outputs = [b.dense(out) for out in outputs]
    return by_kernels(b.graph, list(arrays), run_native)


def unary(op, array, result=None):
    b = Builder()
    x = b.input(array.shape, array.dtype)
    return run(b, [b.map(op, (x,), result or array.dtype, array.shape)], array)[0]


def binary(op, left, right, result=None):
    b = Builder()
    x, y = b.input(left.shape, left.dtype), b.input(right.shape, right.dtype)
    return run(b, [b.map(op, (x, y), result or left.dtype, left.shape)], left, right)[0]


def reduce(op, array, axes):
    b = Builder()
    return run(b, [b.reduce(op, b.input(array.shape, array.dtype), axes)], array)[0]


# ---------------------------------------------------------------- elementwise


@pytest.mark.parametrize("size", SIZES)
def test_maps_of_any_length(size):
    x = np.linspace(-3, 3, size)
    np.testing.assert_array_equal(unary("square", x), x * x)
    np.testing.assert_allclose(unary("exp", x), np.exp(x), rtol=1e-15)


EXACT_UNARY = "negative absolute square sqrt floor ceil trunc rint sign reciprocal".split()
EXACT_BINARY = "add subtract multiply divide maximum minimum fmax fmin mod floor_divide fmod copysign".split()
ROUNDED = (
    "exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh cbrt"
).split()


@pytest.mark.parametrize("dtype", [F8, F4])
@pytest.mark.parametrize("op", EXACT_UNARY + ROUNDED)
def test_special_values_of_one_argument(op, dtype):
    with np.errstate(all="ignore"):
        x = ODD.astype(dtype)
        if op in ("sin", "cos", "tan"):
            x = x[np.abs(x) < 1e10]
        want = getattr(np, op)(x)
        got = unary(op, x)
    if op in EXACT_UNARY:
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=16 * np.finfo(dtype).eps)
    finite = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[finite]), np.signbit(want[finite]))


@pytest.mark.parametrize("dtype", [F8, F4])
@pytest.mark.parametrize("op", EXACT_BINARY + ["power", "arctan2", "hypot", "logaddexp", "logaddexp2"])
def test_special_values_of_two_arguments(op, dtype):
    with np.errstate(all="ignore"):
        x, y = [a.reshape(-1).copy() for a in np.meshgrid(ODD.astype(dtype), ODD.astype(dtype))]
        want = getattr(np, op)(x, y)
        got = binary(op, x, y)
    if op in EXACT_BINARY:
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=16 * np.finfo(dtype).eps)
    certain = ~np.isnan(want) & ((want != 0) | (op not in ("maximum", "minimum", "fmax", "fmin")))
    np.testing.assert_array_equal(np.signbit(got[certain]), np.signbit(want[certain]))


@pytest.mark.parametrize("op", "equal not_equal less less_equal greater greater_equal".split())
@pytest.mark.parametrize("dtype", [F8, F4, I8, I4, BOOL])
def test_comparisons(op, dtype):
    with np.errstate(all="ignore"):
        values = ODD if dtype.kind == "f" else np.array([0, 1, -1, 7]) if dtype != BOOL else np.array([False, True])
        x, y = [a.reshape(-1).astype(dtype) for a in np.meshgrid(values, values)]
    np.testing.assert_array_equal(binary(op, x, y, BOOL), getattr(np, op)(x, y))


@pytest.mark.parametrize("source", [F8, F4, I8, I4, BOOL])
@pytest.mark.parametrize("target", [F8, F4, I8, I4, BOOL])
def test_casts(source, target):
    numbers = np.array(
        [0.0, -0.0, 1, -1, 2.5, -2.5, 3.99, 1e5, np.nan, np.inf]
        if source.kind == "f"
        else [0, 1, -1, 2**31 - 1, -(2**31)]
    )
    with np.errstate(all="ignore"):
        x = numbers.astype(source)
        if target.kind == "i":  # what does not fit is another matter
            x = x[np.isfinite(x.astype(float))]
        b = Builder()
        (got,) = run(b, [b.cast(b.input(x.shape, source), target)], x)
        np.testing.assert_array_equal(got, x.astype(target))


def test_integers_wrap():
    for dtype in (I8, I4):
        limits = np.iinfo(dtype)
        x, one = np.array([limits.max, limits.min, 3], dtype), np.ones(3, dtype)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(binary("add", x, one), x + one)
            np.testing.assert_array_equal(unary("square", x), np.square(x))
            np.testing.assert_array_equal(unary("absolute", x), np.absolute(x))
            np.testing.assert_array_equal(unary("negative", x), np.negative(x))


@pytest.mark.parametrize("dtype", [I8, I4])
@pytest.mark.parametrize("op", ["mod", "floor_divide"])
def test_integer_division_by_anything(op, dtype):
    """Zero, and what hardware traps on, included."""
    limits = np.iinfo(dtype)
    values = np.array([0, 1, -1, 2, -2, 7, -7, 12, limits.max, limits.min, limits.min + 1], dtype)
    x, y = [a.reshape(-1) for a in np.meshgrid(values, values)]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(binary(op, x, y), getattr(np, op)(x, y))


# ---------------------------------------------------------------- reductions


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [F8, F4])
def test_sums_of_any_length(size, dtype):
    x = np.arange(size, dtype=dtype) % 17 - 8  # exact
    assert reduce("sum", x, (0,)) == np.sum(x)
    if size:
        assert reduce("max", x, (0,)) == x.max() and reduce("min", x, (0,)) == x.min()


@pytest.mark.parametrize("size", [1000, 65_537, 300_000])
@pytest.mark.parametrize("dtype", [F8, F4])
def test_sums_are_as_accurate_as_those_of_numpy(size, dtype):
    ours, theirs = 0.0, 0.0
    for seed in range(12):
        x = (np.random.default_rng(seed).standard_normal(size) + 0.3).astype(dtype)
        exact = math.fsum(x.astype(float))
        ours += abs(float(reduce("sum", x, (0,))) - exact)
        theirs += abs(float(np.sum(x)) - exact)
    assert ours <= theirs + 12 * abs(exact) * np.finfo(dtype).eps


def test_a_long_float32_sum_does_not_stall():
    x = np.full(2**25 // 4 * 4 // 2, 1.0, np.float32)
    assert reduce("sum", x, (0,)) == x.size


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 7, 1), (9, 1, 70), (2, 65, 3), (5, 0, 2)])
@pytest.mark.parametrize("op", ["sum", "prod", "max", "any"])
def test_reductions_over_any_axes(op, axes, shape):
    dtype = BOOL if op == "any" else F8
    x = (np.random.default_rng(1).integers(0, 2, shape)).astype(dtype)
    if op == "max" and any(shape[a] == 0 for a in axes):
        return
    np.testing.assert_array_equal(reduce(op, x, axes), getattr(np, op)(x, axis=axes))


@pytest.mark.parametrize("position", [0, 1, 8, 70, 99])
@pytest.mark.parametrize("op", ["sum", "prod", "max", "min"])
def test_nan_reaches_the_result(op, position):
    x = np.ones(100)
    x[position] = np.nan
    assert np.isnan(reduce(op, x, (0,)))


def test_zeros_of_sums():
    assert not np.signbit(reduce("sum", np.full(9, -0.0), (0,)))  # as NumPy: a sum starts from +0.0
    assert not np.signbit(reduce("sum", np.full((1, 3), -0.0), (0,))).any()
    assert not np.signbit(reduce("sum", np.full((3, 2), -0.0), (0,))).any()
    assert not np.signbit(reduce("sum", np.full((1, 1), -0.0), (0, 1)))


def test_infinities_of_extrema():
    assert reduce("max", np.full(5, -np.inf), (0,)) == -np.inf
    assert reduce("min", np.full(5, np.inf), (0,)) == np.inf
    for dtype in (I8, I4):
        assert reduce("max", np.full(5, np.iinfo(dtype).min, dtype), (0,)) == np.iinfo(dtype).min


# ---------------------------------------------------------------- index maps


@pytest.mark.parametrize("strides", [(40, 1), (1, 40), (-40, -1), (0, 1), (1, 0), (0, 0), (41, 2), (-1, 40)])
@pytest.mark.parametrize("dtype", [F8, F4, I8, I4, BOOL])
def test_loads_of_any_stride(strides, dtype):
    buffer = (np.random.default_rng(0).integers(-9, 9, 4000)).astype(dtype)
    shape = (19, 23)
    offset = 2000
    b = Builder()
    view = View(b.input((4000,), dtype).value, shape, strides, offset)
    op = "not" if dtype == BOOL else "negative"
    (got,) = run(b, [b.map(op, (view,), dtype, shape)], buffer)
    places = offset + np.add.outer(np.arange(19) * strides[0], np.arange(23) * strides[1])
    np.testing.assert_array_equal(got, UFUNCS.get(op, np.negative)(buffer[places]))


@pytest.mark.parametrize("add", [False, True])
def test_stores_leave_the_rest_alone(add):
    b = Builder()
    x = b.input((5, 9), F8)
    whole = b.assemble((7, 30), F8, Literal(np.float64(2), F8))
    b.piece(View(whole, (5, 9), (30, -3), 30 + 27), x, add)
    array = np.arange(45.0).reshape(5, 9)
    want = np.full((7, 30), 2.0)
    want[1:6, 27:0:-3] = array + (2 if add else 0)
    np.testing.assert_array_equal(run(b, [whole.view()], array)[0], want)


def test_a_scatter_adds_repeated_positions():
    b = Builder()
    x, at = b.input((6,), F8), b.input((6,), I8)
    whole = b.assemble((4,), F8, Literal(np.float64(0), F8))
    b.piece(View(whole, (6,), (0,), 0), x, True, at)
    places = np.array([0, 3, 3, 1, 3, 0])
    want = np.zeros(4)
    np.add.at(want, places, np.arange(6.0))
    np.testing.assert_array_equal(run(b, [whole.view()], np.arange(6.0), places)[0], want)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int32])
@pytest.mark.parametrize("terms", [LITERALS_IN_REGISTERS // 2, 2 * LITERALS_IN_REGISTERS])
def test_few_literals_stay_in_registers_and_many_in_memory(size, dtype, terms):
    """Where they are used by operations, stored, and added up."""
    b = Builder()
    dtype = np.dtype(dtype)
    x = b.input((size,), dtype)
    value = x
    for term in range(terms):
        value = b.map("multiply", (value, x), dtype, (size,))
        value = b.map("add", (value, Literal(dtype.type(term + 1), dtype)), dtype, (size,))
    seven = b.map("copy", (Literal(dtype.type(7), dtype),), dtype, (size,))
    b.graph.outputs = [value, seven, b.reduce("sum", seven, (0,))]
    arrays = [np.resize(np.array([1, -1, 0, 2], dtype), size)]
    expected, _ = by_numpy(b.graph, arrays)
    for got, want in zip(by_kernels(b.graph, arrays, run_native), expected, strict=True):
        np.testing.assert_array_equal(got, want)
    _, (launch, *_) = launches(b.graph)
    loop = emit(launch.kernel).partition("L1:")[2].partition("L1.done:")[0]
    assert size == 1 or ("ptr %args" in loop) == (len(launch.kernel.literals) > LITERALS_IN_REGISTERS)


def _before_a_guarded_page(count: int) -> np.ndarray:
    """An array whose last element is the last of a page, before one that must not be touched."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    base = np.frombuffer(memory, np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(base.ctypes.data + page), page, 0) == 0
    return base[page - 8 * count : page].view(np.float64)


@pytest.mark.cpu
@pytest.mark.skipif(sys.platform == "win32", reason="protects memory as POSIX has it")
@pytest.mark.parametrize("count", [1, 15, 31, 33, 63, 127])
def test_every_other_element_is_read_and_no_memory_after_the_last(count):
    x = _before_a_guarded_page(count)
    x[:] = np.arange(count)
    recorder = Recorder("tape")
    every = recorder.add_input(x, "x")[::2]
    program = lower(recorder.finish(every * 2.0))
    assert any(access.inner == "pair" for launch in program.stages.launches for access in launch.kernel.loads) == (
        count > 1
    )
    np.testing.assert_array_equal(program.run((x,))[0], x[::2] * 2)


@pytest.mark.cpu
@pytest.mark.parametrize("count", [1, 8, 30, 37, 100])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_other_element_is_written_and_none_between(count, dtype):
    def function(x, y):
        return np.stack([x * 2, y + 1], axis=-1)

    x, y = np.arange(count).astype(dtype), -np.arange(count).astype(dtype)
    recorder = Recorder("tape")
    stacked = anp.stack([recorder.add_input(x, "x") * 2, recorder.add_input(y, "y") + 1], axis=-1)
    program = lower(recorder.finish(stacked))
    np.testing.assert_array_equal(program.run((x, y))[0], function(x, y))
