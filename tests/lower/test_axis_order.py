"""Long axes innermost: which clusters turn, how readers find a turned value's elements, and to the same bits."""

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import value_and_grad
from autograd_jit.lower.axis_order import LONGEST, turn_short_rows
from autograd_jit.lower.builder import Builder
from autograd_jit.lower.graph import Map, Reduce, View, verify
from tests.lower.graphs import by_kernels, by_numpy, run_native, run_python

F8 = np.dtype(np.float64)


def nearest(rows, size):
    """Differences of numbers and centres, the least of each row, and which those are."""
    b = Builder()
    x, centres = b.input((rows,), F8), b.input((size,), F8)
    shape = (rows, size)
    apart = b.map("subtract", (View(x.value, shape, (1, 0), 0), View(centres.value, shape, (0, 1), 0)), F8, shape)
    square = b.map("square", (apart,), F8, shape)
    least = b.reduce("min", square, (1,))
    rest = b.map("subtract", (square, View(least.value, shape, (1, 0), 0)), F8, shape)
    return b, square, rest, b.reduce("max", rest, (1,))


def arrays(rows, size):
    return np.arange(float(rows)) % 11, np.arange(float(size))


def domains(graph):
    verify(graph)
    return {node.out.shape if isinstance(node, Map) else node.arg.shape for node in graph.nodes}


def check(graph, *given):
    expected, _ = by_numpy(graph, list(given))
    for run in (run_native, run_python):
        for got, want in zip(by_kernels(graph, list(given), run), expected, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("size", [3, 10, LONGEST])
def test_rows_of_a_few_elements_become_columns(size):
    b, _, _, most = nearest(200, size)
    b.graph.outputs = [most]
    assert domains(turn_short_rows(b.graph)) == {(size, 200)}
    check(b.graph, *arrays(200, size))


@pytest.mark.parametrize("rows, size", [(9, 10), (200, LONGEST + 1)])
def test_few_rows_and_long_ones_stay(rows, size):
    b, _, _, most = nearest(rows, size)
    b.graph.outputs = [most]
    assert turn_short_rows(b.graph) is b.graph


@pytest.mark.parametrize(
    "shape, strides, offset",
    [
        ((200, 10), (10, 1), 0),  # the whole
        ((10, 200), (1, 10), 0),  # its transpose
        ((100, 3), (20, -2), 9),  # every other row, some columns backwards
        ((200,), (10,), 4),  # a column
        ((7,), (1,), 13),  # part of a row
        ((5, 200, 10), (0, 10, 1), 0),  # repeated
        ((2000,), (1,), 0),  # flat: not along the axes
        ((10,), (11,), 0),  # a diagonal
        ((20,), (1,), 5),  # over the end of a row
    ],
)
def test_readers_see_a_turned_value_through_other_strides(shape, strides, offset):
    b, square, _, most = nearest(200, 10)
    read = b.map("exp2", (View(square.value, shape, strides, offset),), F8, shape)
    b.graph.outputs = [most, read]
    turned = turn_short_rows(b.graph)
    assert (10, 200) in domains(turned)
    check(b.graph, *arrays(200, 10))


def test_outputs_are_in_their_own_order():
    b, _, rest, most = nearest(200, 10)
    b.graph.outputs = [rest, most]
    check(b.graph, *arrays(200, 10))


def test_reductions_that_keep_several_axes_turn_their_results():
    b = Builder()
    x, y = b.input((70, 9), F8), b.input((70, 9), F8)
    shape = (70, 5, 9)
    product = b.map("subtract", (View(x.value, shape, (9, 0, 1), 0), View(y.value, shape, (0, 9, 1), 0)), F8, shape)
    total = b.reduce("max", product, (1,))
    b.graph.outputs = [b.reduce("sum", b.map("square", (total,), F8, (70, 9)), (1,))]
    after = turn_short_rows(b.graph)
    assert {node.out.shape for node in after.nodes if isinstance(node, Reduce) and node.op == "max"} == {(9, 70)}
    generator = np.random.default_rng(0)
    check(b.graph, *[generator.integers(-9, 9, (70, 9)).astype(float) for _ in range(2)])


def test_gradients_of_assignments_to_centres():
    def loss(centres, points):
        apart = points[:, None, :] - centres[None, :, :]
        distances = anp.sum(apart**2, axis=2)
        soft = anp.exp(-distances)
        shares = soft / anp.sum(soft, axis=1, keepdims=True)
        return anp.sum(anp.min(distances, axis=1)) + anp.sum(shares * distances)

    generator = np.random.default_rng(0)
    centres, points = generator.normal(size=(10, 4)), generator.normal(size=(120, 4))
    compiled = value_and_grad(loss, jit=True)
    for _ in range(2):
        value, gradient = compiled(centres, points)
    expected, expected_gradient = value_and_grad(loss)(centres, points)
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-13)
    assert any("10x120" in line for line in compiled.kernels(centres, points).schedule)
