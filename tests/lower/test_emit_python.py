"""The printed form: its text, and each of its functions by plain Python and by Numba against NumPy."""

import numpy as np
import pytest
import scipy.special

from autograd_jit import config
from autograd_jit.kernels import vecmath
from autograd_jit.lower.builder import Builder
from autograd_jit.lower.emit_python import emit, parameters
from autograd_jit.lower.graph import Literal, View
from tests.lower.graphs import by_kernels, launches, run_native, run_python
from tests.lower.test_emit_llvm import EXACT_BINARY, EXACT_UNARY, ROUNDED

F8, F4, I8, I4, BOOL = map(np.dtype, (np.float64, np.float32, np.int64, np.int32, np.bool_))


def source(b: Builder, *outputs) -> str:
    b.graph.outputs = [b.dense(out) for out in outputs]
    (launch,) = launches(b.graph)[1]
    return emit(launch.kernel)


def literal(number, dtype=F8):
    return Literal(dtype.type(number), dtype)


def body(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if "#" not in line][1:]


def test_a_map_reads_like_hand_written_code():
    b = Builder()
    x = b.input((5,), F8)
    power = b.map("exp", (b.map("negative", (x,), F8, (5,)),), F8, (5,))
    assert source(b, b.map("multiply", (power, literal(3)), F8, (5,))) == (
        "def kernel(x0, out0, c0, n0):\n"
        "    # float64 x0, out0, c0\n"
        "    for i in range(n0):\n"
        "        out0[i] = math.exp(-x0[i]) * c0\n"
    )


def test_a_row_sum_is_as_in_the_docstring():
    from autograd_jit.lower import emit_python

    b = Builder()
    x = b.input((5, 9), F8)
    view = View(x.value, (5, 7), (9, 1), 1)
    power = b.map("exp", (b.map("negative", (view,), F8, (5, 7)),), F8, (5, 7))
    text = source(b, b.reduce("sum", b.map("multiply", (power, literal(0.5)), F8, (5, 7)), (1,)))
    shown = "".join([line[4:] + "\n" for line in emit_python.__doc__.splitlines() if line.startswith("    ")])
    assert text == shown


def test_parentheses_are_where_they_must_be():
    def line(op, *args, dtype=F8):
        return body(source(b, b.map(op, args, dtype, (5,))))[-1].removeprefix("out0[i] = ")

    b = Builder()
    x, y, z = [b.input((5,), F8) for _ in range(3)]
    m = lambda op, *args, dtype=F8: b.map(op, args, dtype, (5,))
    assert line("subtract", x, m("subtract", y, z)) == "x2[i] - (x0[i] - x1[i])"
    assert line("subtract", m("subtract", x, y), z) == "x0[i] - x1[i] - x2[i]"
    assert line("multiply", m("add", x, y), z) == "(x0[i] + x1[i]) * x2[i]"
    assert line("divide", x, m("multiply", y, z)) == "x2[i] / (x0[i] * x1[i])"
    assert line("power", m("negative", x), m("negative", y)) == "(-x0[i]) ** -x1[i]"
    assert line("negative", m("power", x, y)) == "-x0[i] ** x1[i]"
    assert line("power", m("power", x, y), z) == "(x0[i] ** x1[i]) ** x2[i]"
    assert line("square", m("negative", x)) == "t0 * t0"
    less, more = m("less", x, y, dtype=BOOL), m("greater", y, z, dtype=BOOL)
    assert line("and", less, more, dtype=BOOL) == "x0[i] < a1 and a1 > x2[i]"
    assert line("equal", less, more, dtype=BOOL) == "(x0[i] < a1) == (a1 > x2[i])"
    assert line("not", m("or", less, more, dtype=BOOL), dtype=BOOL) == "not (x0[i] < a1 or a1 > x2[i])"
    inner = m("where", less, x, z)
    assert line("where", more, inner, y) == "(a0 if a0 < a1 else a2) if a1 > a2 else a1"
    assert line("reciprocal", m("reciprocal", x)) == "1.0 / (1.0 / x0[i])"


def test_long_expressions_are_cut():
    b = Builder()
    x = b.input((5,), F8)
    y = x
    for _ in range(30):
        y = b.map("sin", (b.map("exp", (y,), F8, (5,)),), F8, (5,))
    text = source(b, y)
    assert max(map(len, text.splitlines())) < 90 and text.count("sin") == 30


def test_strides_appear_only_where_they_are_free():
    b = Builder()
    x = b.input((60,), F8)
    rows, columns, row = [View(x.value, (5, 6), strides, 0) for strides in ((10, 1), (1, 10), (0, 1))]
    total = b.map("add", (b.map("add", (rows, columns), F8, (5, 6)), row), F8, (5, 6))
    b.graph.outputs = [total]
    (launch,) = launches(b.graph)[1]
    assert [p.name for p in parameters(launch.kernel) if p.kind == "stride"] == [
        "x0_s0",
        "x1_s0",
        "x1_s1",
        "x2_s0",
        "out0_s0",
    ]


def test_a_point_has_no_loop():
    b = Builder()
    assert body(source(b, b.map("exp", (b.input((), F8),), F8, ()))) == ["out0[0] = math.exp(x0[0])"]


def test_reductions_of_outer_axes_add_up_in_memory():
    b = Builder()
    assert body(source(b, b.reduce("sum", b.input((5, 3), F8), (0,)))) == [
        "for j in range(n1):",
        "out0[j] = 0.0",
        "for i in range(n0):",
        "for j in range(n1):",
        "out0[j] += x0[i * x0_s0 + j]",
    ]


# ---------------------------------------------------------------- single functions


UNARY = [*EXACT_UNARY, *ROUNDED, "erf", "erfc", "gammaln"]
BINARY = [*EXACT_BINARY, "power", "arctan2", "hypot", "logaddexp", "logaddexp2"]


def functions_graph(dtype, arguments: int, names):
    """One graph with an output for each function."""
    b = Builder()
    values = np.array([0.0, -0.0, 1, -1, 0.5, -2.5, 3.5, np.inf, -np.inf, np.nan, 40.25]).astype(dtype)
    arrays = [a.reshape(-1).copy() for a in np.meshgrid(*[values] * arguments)]
    inputs = [b.input(a.shape, dtype) for a in arrays]
    b.graph.outputs = [b.map(name, tuple(inputs), dtype, arrays[0].shape) for name in names]
    return b.graph, arrays


def reference(name, arrays):
    with np.errstate(all="ignore"):
        return (getattr(np, name, None) or getattr(scipy.special, name))(*arrays).astype(arrays[0].dtype)


@pytest.mark.parametrize("dtype", [F8, F4])
@pytest.mark.parametrize(
    ("arguments", "names"), [(1, UNARY), (2, BINARY), (1, ["psi", "expit"]), (2, ["betaln", "xlogy"])]
)
@pytest.mark.parametrize("compiler", ["python", "numba"])
def test_functions(compiler, arguments, names, dtype):
    if compiler == "python" and any(name in vecmath.SPECIAL for name in names):
        pytest.skip("plain Python has SciPy's own functions: nothing to see")
    graph, arrays = functions_graph(dtype, arguments, names)
    with config(compiler="numba"):
        results = by_kernels(graph, arrays, run_python if compiler == "python" else run_native)
    for name, got in zip(names, results, strict=True):
        tolerance = 0 if name in EXACT_UNARY + EXACT_BINARY else 32 * np.finfo(dtype).eps
        np.testing.assert_allclose(got, reference(name, arrays), rtol=tolerance, atol=tolerance, err_msg=name)


def test_numba_keeps_float32_and_wraps_int32():
    """Sums that only come out right if every step is rounded, or wraps, in the type of the kernel."""
    b = Builder()
    x, n = b.input((3,), F4), b.input((3,), I4)
    big = b.map("add", (b.map("add", (x, literal(2.0**24, F4)), F4, (3,)), literal(-(2.0**24), F4)), F4, (3,))
    ratio = b.map("reciprocal", (b.map("reciprocal", (x,), F4, (3,)),), F4, (3,))
    wrapped = b.cast(b.map("multiply", (n, b.map("add", (n, n), I4, (3,))), I4, (3,)), I8)
    b.graph.outputs = [big, ratio, wrapped]
    arrays = [np.array([1.0, 3.3, -7.7], np.float32), np.array([2**30, -(2**31), 70001], np.int32)]
    with np.errstate(all="ignore"):
        one = np.float32(1)
        wants = [arrays[0] + np.float32(2**24) - np.float32(2**24), one / (one / arrays[0])]
        wants.append((arrays[1] * (arrays[1] + arrays[1])).astype(np.int64))
    with config(compiler="numba"):
        for run in (run_native, run_python):
            for got, want in zip(by_kernels(b.graph, arrays, run), wants, strict=True):
                np.testing.assert_array_equal(got, want)


def test_numba_sums_pairwise():
    x = np.full(2**23, 0.1, np.float32)
    b = Builder()
    b.graph.outputs = [b.reduce("sum", b.input(x.shape, F4), (0,))]
    with config(compiler="numba"):
        (total,) = by_kernels(b.graph, [x], run_native)
    assert abs(total - 0.1 * x.size) < 1e-5 * total
