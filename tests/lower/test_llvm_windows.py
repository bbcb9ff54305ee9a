"""The box of a kernel with windows: what is computed without tests and masks there has the bits of NumPy."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from autograd_jit.lower import compile, emit_llvm
from autograd_jit.lower.builder import Builder
from autograd_jit.lower.graph import Inside, Literal, Map, View
from autograd_jit.lower.llvm_windows import Windows
from tests.lower.graphs import by_kernels, by_numpy, launches, run_native
from tests.lower.random_graphs import WINDOW_KINDS, graphs
from tests.lower.test_random_kernels import QUIET, compare

F8 = np.dtype(np.float64)
ODD = np.array([0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 5e-324, 2.5])


def bits(arrays):
    return [array.view(np.int64).tolist() for array in arrays]


def only_where(b, window, value, other):
    """``other`` with ``value`` added where an element lies in a window."""
    shape = other.shape
    out = b.new_value(shape, F8)
    added = b.map("add", (other, value.broadcast(shape)), F8, shape)
    b.graph.nodes.append(Map("where", (Inside(shape, window), added, other), out))
    return out.view()


def bordered(shape, starts, places):
    """Overlapping blocks added up, and something more at the border and other single places."""
    b = Builder()
    rows, columns = shape
    height, width = rows - max(row for row, _ in starts), columns - max(column for _, column in starts)
    x, edge = b.input((height, width), F8), b.input((1, 1), F8)
    whole = b.assemble(shape, F8, Literal(np.float64(0), F8))
    for row, column in starts:
        b.piece(View(whole, (height, width), (columns, 1), row * columns + column), x, True)
    value = whole.view()
    for axis, place in places:
        at = place % shape[axis]
        window = tuple([(at, at + 1) if axis == other else None for other in (0, 1)])
        value = only_where(b, window, edge, value)
    b.graph.outputs = [value, b.reduce("max", value, (1,)), b.reduce("sum", value, (0, 1))]
    return b.graph, [np.resize(ODD, (height, width)), np.ones((1, 1))]


@pytest.fixture
def without_box(monkeypatch):
    """Prints kernels whose box is always empty: every vector is masked."""

    def switch(is_off):
        monkeypatch.setattr(compile, "_known", {})
        none = lambda self, axis: ("0", "0")
        monkeypatch.setattr(Windows, "_box_along", none if is_off else box_along)

    box_along = Windows._box_along
    return switch


@pytest.mark.parametrize("columns", [4, 7, 8, 9, 16, 17, 24, 71, 130, 600])
@pytest.mark.parametrize("starts", [[(0, 0), (0, 2), (1, 1), (2, 1)], [(2, 3)]])
@pytest.mark.parametrize(
    "places", [[], [(1, 0), (1, -1)], [(0, 0), (0, -1), (1, 0)], [(1, 2), (0, 2)], [(1, 20)]], ids=str
)
def test_boxes_change_no_bit(without_box, columns, starts, places):
    found = {}
    for is_off in (True, False):
        without_box(is_off)
        graph, arrays = bordered((6, columns), starts, places)
        expected, _ = by_numpy(*bordered((6, columns), starts, places))
        found[is_off] = by_kernels(graph, arrays, run_native)
        for got, want in zip(found[is_off][:2], expected[:2], strict=True):
            np.testing.assert_array_equal(got, want)
    assert bits(found[True]) == bits(found[False])


def test_sums_along_rows_with_windows_do_not_depend_on_the_box(without_box):
    """Blocks of a sum that lie in the box, beside it, and at its ends; the order of the terms is fixed."""
    for size, start in itertools.product((40, 511, 512, 513, 1200, 2000), (0, 1, 17, 530)):
        found = {}
        for is_off in (True, False):
            without_box(is_off)
            b = Builder()
            x, more = b.input((size,), F8), b.input((1,), F8)
            window = ((min(start, size), max(size - 9, min(start, size))),)
            value = only_where(b, window, more, x)
            b.graph.outputs = [b.reduce("sum", b.map("multiply", (value, value), F8, (size,)), (0,))]
            values = np.random.default_rng(0).normal(size=size)
            found[is_off] = by_kernels(b.graph, [values, np.full(1, 0.3)], run_native)
        assert bits(found[True]) == bits(found[False])
        inside = np.zeros(size, bool)
        inside[slice(*window[0])] = True
        np.testing.assert_allclose(found[True][0], np.sum(np.where(inside, values + 0.3, values) ** 2), rtol=1e-14)


def test_in_the_box_nothing_is_masked():
    graph, _ = bordered((50, 200), [(0, 0), (0, 1), (1, 0)], [(0, 0), (1, -1)])
    del graph.outputs[1:]
    _, (launch,) = launches(graph)
    assert sorted(launch.kernel.windows)[:2] == [("", "one"), ("one", "")]
    text = emit_llvm.emit(launch.kernel)
    masked, plain = text.split("@llvm.masked.store", 1)[0], text.split("@llvm.masked.store", 1)[1].split("declare")[0]
    moving = [access for access in launch.kernel.loads if access.inner != "zero"]
    assert masked.count("@llvm.masked.load") == len(moving) and "@llvm.masked.load" not in plain
    usual = [access for access in moving if "one" not in launch.kernel.windows[access.window]]
    assert plain.count("load <") == len(usual)
    assert "select <" in masked and "select <" not in plain


@pytest.fixture
def short_vectors(monkeypatch):
    """Two lanes: small rows, too, pass through a box."""
    monkeypatch.setattr(emit_llvm, "native_lanes", lambda *types: 2)
    monkeypatch.setattr(compile, "_known", {})


@settings(max_examples=100, **QUIET)
@given(graphs(WINDOW_KINDS))
def test_random_windows(short_vectors, case):
    compare(case, run_native)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(WINDOW_KINDS))
def test_many_random_windows(short_vectors, case):
    compare(case, run_native)
