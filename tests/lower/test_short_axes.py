"""Short innermost axes taken apart: which ones, what readers of the whole are given, and to the same bits."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import autograd_jit.numpy as anp
from autograd_jit import grad, value_and_grad
from autograd_jit.lower import axis_order, row_clusters
from autograd_jit.lower.builder import Builder
from autograd_jit.lower.graph import Init, Literal, Map, Reduce, View, verify
from autograd_jit.lower.short_axes import LONGEST, unroll_short_axes
from tests.lower.graphs import by_kernels, by_numpy, run_native, run_python
from tests.lower.random_graphs import ALL_KINDS, ROW_KINDS, graphs
from tests.lower.test_random_kernels import compare

F8 = np.dtype(np.float64)


def squares(rows, size, op="sum"):
    """Squares of differences of all pairs of rows, reduced over the short axis."""
    b = Builder()
    x = b.input((rows, size), F8)
    apart = b.map(
        "subtract",
        (View(x.value, (rows, rows, size), (size, 0, 1), 0), View(x.value, (rows, rows, size), (0, size, 1), 0)),
        F8,
        (rows, rows, size),
    )
    square = b.map("square", (apart,), F8, (rows, rows, size))
    return b, apart, b.reduce(op, square, (2,))


def shapes(graph):
    verify(graph)
    return {node.out.shape for node in graph.nodes if isinstance(node, (Map, Reduce))}


def check(graph, *arrays):
    """Both printers against NumPy: to the bit, whatever the order of additions, where inputs are small integers."""
    expected, _ = by_numpy(graph, list(arrays))
    for run in (run_native, run_python):
        for got, want in zip(by_kernels(graph, list(arrays), run), expected, strict=True):
            np.testing.assert_array_equal(got, want)
            np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


@pytest.mark.parametrize("op", ["sum", "prod", "max", "min"])
@pytest.mark.parametrize("size", [2, 3, 5, LONGEST])
def test_reductions_of_a_short_axis_become_straight_line_code(op, size):
    b, _, total = squares(12, size, op)
    b.graph.outputs = [total]
    after = unroll_short_axes(b.graph)
    assert (12, 12, size) not in shapes(after)
    assert not any(isinstance(node, Reduce) for node in after.nodes)
    check(b.graph, np.arange(12.0 * size).reshape(12, size) % 7)


def test_columns_that_are_read_many_times_are_copied_once():
    b, _, total = squares(12, 3)
    b.graph.outputs = [total]
    after = unroll_short_axes(b.graph)
    copies = [node for node in after.nodes if isinstance(node, Map) and node.op == "copy"]
    assert [node.out.shape for node in copies] == [(12,)] * 3


def test_a_value_that_is_wanted_whole_is_put_together():
    """As an output, and by a reader over another shape."""
    b, apart, total = squares(12, 3)
    flat = b.map("negative", (View(apart.value, (432,), (1,), 0),), F8, (432,))
    b.graph.outputs = [apart, total, flat]
    x = np.arange(36.0).reshape(12, 3) % 5
    check(b.graph, x)


def test_a_column_is_read_without_the_whole():
    b, apart, total = squares(12, 3)
    column = b.map("negative", (View(apart.value, (12, 12), (36, 3), 1),), F8, (12, 12))
    b.graph.outputs = [total, column]
    assert not any(isinstance(node, Init) for node in unroll_short_axes(b.graph).nodes)
    check(b.graph, np.arange(36.0).reshape(12, 3) % 5)


def test_sums_of_negative_zeros_are_zero():
    b = Builder()
    x = b.input((100, 3), F8)
    b.graph.outputs = [b.reduce("sum", b.map("multiply", (x, View(x.value, (100, 3), (3, 0), 0)), F8, (100, 3)), (1,))]
    assert (100, 3) not in shapes(unroll_short_axes(b.graph))
    check(b.graph, np.tile([-0.0, 1.0, 0.0], (100, 1)))


def test_literals_that_compare_equal_are_told_apart():
    b = Builder()
    x = b.input((100, 3), F8)
    by_row = View(x.value, (100, 3), (3, 0), 0)
    both = [b.map("copysign", (by_row, Literal(np.float64(zero), F8)), F8, (100, 3)) for zero in (0.0, -0.0)]
    b.graph.outputs = [b.reduce("max", b.map("multiply", (x, y), F8, (100, 3)), (1,)) for y in both]
    assert (100, 3) not in shapes(unroll_short_axes(b.graph))
    check(b.graph, np.arange(300.0).reshape(100, 3) % 4)


@pytest.mark.parametrize("rows, size", [(3, 3), (40, LONGEST + 1)])
def test_few_rows_and_long_axes_stay(rows, size):
    b, _, total = squares(rows, size)
    b.graph.outputs = [total]
    assert unroll_short_axes(b.graph) is b.graph


def test_arithmetic_that_runs_over_all_elements_stays():
    """Without a broadcast or a sum the two innermost axes are one long one."""
    b = Builder()
    x = b.input((1000, 3), F8)
    b.graph.outputs = [b.reduce("sum", b.map("square", (x,), F8, (1000, 3)), (0, 1))]
    assert unroll_short_axes(b.graph) is b.graph


def test_gradients_through_short_axes():
    """Normalised vectors, outer products of them, a column: against the interpreted gradient."""

    def loss(x, y):
        units = x / anp.sqrt(anp.sum(x**2, axis=-1, keepdims=True))
        pairs = units[:, :, None] * y[:, None, :]
        return (
            anp.sum(anp.tanh(anp.sum(pairs, axis=1)))
            + anp.sum(units[:, 1] * y[:, 0])
            + anp.sum(anp.max(pairs, axis=(1, 2)))
        )

    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(70, 3)), generator.normal(size=(70, 2))
    compiled = value_and_grad(loss, argnum=(0, 1), jit=True)
    for _ in range(2):
        value, gradients = compiled(x, y)
    expected, expected_gradients = value_and_grad(loss, argnum=(0, 1))(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    for got, want in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14)


def test_energies_of_pairs_are_a_few_loops_over_pairs():
    def energy(x):
        apart = x[:, None, :] - x[None, :, :]
        return anp.sum(1.0 / anp.sqrt(anp.sum(apart**2, axis=2) + 0.01))

    x = np.random.default_rng(0).normal(size=(20, 3))
    force = grad(energy, jit=True)
    np.testing.assert_allclose(force(x), grad(energy)(x), rtol=1e-12)
    assert not any("20x20x3" in line for line in force.kernels(x).schedule)


# ---------------------------------------------------------------- random graphs, of any size


@pytest.fixture
def everything(monkeypatch):
    """All short axes are taken apart, whether that pays or not."""
    monkeypatch.setattr(row_clusters, "FEWEST_ROWS", 1)
    monkeypatch.setattr(axis_order, "FEWEST_ROWS", 1)
    monkeypatch.setattr(row_clusters.Cluster, "pays", lambda cluster, axis: True)
    monkeypatch.setattr(row_clusters, "REPEATED", 1)
    row_clusters.short_axis.cache_clear()
    yield
    row_clusters.short_axis.cache_clear()


QUIET = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


@settings(max_examples=60, **QUIET)
@given(graphs())
def test_random_graphs(everything, case):
    compare(case, run_python)


@pytest.mark.slow
@settings(max_examples=2000, **(QUIET | {"derandomize": False, "suppress_health_check": list(HealthCheck)}))
@given(graphs(ALL_KINDS))
def test_many_random_graphs(everything, case):
    compare(case, run_native)
    compare(case, run_python)


@pytest.mark.slow
@settings(max_examples=1000, **(QUIET | {"derandomize": False, "suppress_health_check": list(HealthCheck)}))
@given(graphs(ROW_KINDS))
def test_many_rows(everything, case):
    compare(case, run_native)
    compare(case, run_python)
