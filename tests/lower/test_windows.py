"""Assembled buffers in one pass: which ones, what is computed at shifted indices, and to the same bits."""

import weakref

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad
from autograd_jit.lower import compile, emit_llvm
from autograd_jit.lower.builder import Builder
from autograd_jit.lower.fuse import fuse
from autograd_jit.lower.graph import Init, Inside, Literal, Map, View, verify
from autograd_jit.lower.windows import MAX_PIECES, _both, gather_pieces
from tests.lower.graphs import by_kernels, by_numpy, run_native, run_python

F8 = np.dtype(np.float64)
ZERO = Literal(np.float64(0), F8)
ODD = np.array([0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 5e-324, 2.5])


def assembled(b, size, pieces, source=ZERO):
    """A buffer of ``(start, operand, add)``."""
    whole = b.assemble((size,), F8, source)
    for start, operand, add in pieces:
        b.piece(View(whole, operand.shape, (1,), start), operand, add)
    b.graph.outputs = [whole.view()]
    return b.graph


def is_one_pass(graph):
    after = gather_pieces(graph)
    verify(after)
    return not any(isinstance(node, Init) for node in after.nodes)


def check(graph, *arrays):
    """All ways to run a graph give the same bits, signs of zeros included."""
    expected, _ = by_numpy(graph, list(arrays))
    for run in (run_native, run_python):
        for got, want in zip(by_kernels(graph, list(arrays), run), expected, strict=True):
            np.testing.assert_array_equal(got, want)
            np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


@pytest.mark.parametrize("size", [2, 3, 9, 17, 100])
@pytest.mark.parametrize("start", [0.0, -0.0])
def test_shifted_cotangents_are_added_in_one_pass(size, start):
    def graph():
        b = Builder()
        x, y = b.input((size,), F8), b.input((size,), F8)
        return assembled(b, size + 1, [(0, x, True), (1, y, True)], Literal(np.float64(start), F8))

    after = gather_pieces(graph())
    assert len(fuse(after)) == 1
    x = np.resize(ODD, size)
    check(graph(), x, x[::-1].copy())


def test_what_a_piece_did_not_touch_keeps_its_bits():
    """Zeros of both signs and NaN in the buffer's filling, outside of the only piece."""
    b = Builder()
    filling, x = b.input((9,), F8), b.input((7,), F8)
    graph = assembled(b, 9, [(1, x, True)], filling)
    assert is_one_pass(graph)
    check(graph, ODD, np.zeros(7))


def test_producers_are_computed_at_shifted_indices():
    """The gradient of Rosenbrock's function reads one array and writes one."""
    gradient = grad(lambda x: anp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), jit=True)
    x = np.random.default_rng(0).normal(size=50)
    expected = gradient(x)
    np.testing.assert_allclose(gradient(x), expected, rtol=1e-14)
    assert len(gradient.kernels(x).schedule) == 1


def test_transcendental_functions_are_not_computed_twice():
    b = Builder()
    x = b.input((20,), F8)
    powers = b.map("exp", (x,), F8, (20,))
    after = gather_pieces(assembled(b, 21, [(0, powers, True), (1, powers, True)]))
    assert sum(isinstance(node, Map) and node.op == "exp" for node in after.nodes) == 1
    b = Builder()
    x = b.input((20,), F8)
    after = gather_pieces(assembled(b, 21, [(0, b.map("exp", (x,), F8, (20,)), True)]))
    assert len(fuse(after)) == 1  # needed here only, and hardly any lane in vain


def test_what_would_load_more_than_it_saves_is_stored():
    b = Builder()
    total = b.input((20,), F8)
    for _ in range(4):
        total = b.map("add", (total, b.input((20,), F8)), F8, (20,))
    after = gather_pieces(assembled(b, 21, [(0, total, True), (1, total, True)]))
    assert sum(isinstance(node, Map) and node.out.shape == (20,) for node in after.nodes) == 4


def test_a_roll_fuses_with_what_reads_it():
    diffuse = grad(lambda x: anp.sum((x - anp.roll(x, 1)) ** 2), jit=True)
    x = np.random.default_rng(0).normal(size=40)
    expected = diffuse(x)
    np.testing.assert_allclose(diffuse(x), expected, rtol=1e-14)
    assert len(diffuse.kernels(x).schedule) == 2  # a difference for each direction


@pytest.mark.parametrize(
    "size, pieces",
    [
        (100, [(0, 3, True), (50, 3, True)]),  # a hundred elements for six
        (40, [(0, 20, False), (20, 20, False)]),  # whatever computes the halves stores them
        (20, [(i % 3, 18, True) for i in range(MAX_PIECES + 1)]),
        (3, [(0, 1, True), (1, 1, True)]),  # single elements
    ],
)
def test_where_one_pass_would_cost_more_pieces_stay(size, pieces):
    b = Builder()
    graph = assembled(b, size, [(start, b.input((count,), F8), add) for start, count, add in pieces])
    assert not is_one_pass(graph)
    check(graph, *[np.arange(float(count)) for _, count, _ in pieces])


def test_other_regions_than_blocks_stay():
    b = Builder()
    x = b.input((5,), F8)
    whole = b.assemble((10,), F8, ZERO)
    b.piece(View(whole, (5,), (2,), 1), x, True)
    b.piece(View(whole, (5,), (-1,), 4), x, True)
    b.graph.outputs = [whole.view()]
    assert not is_one_pass(b.graph)
    check(b.graph, np.arange(5.0))


def test_a_buffer_that_is_read_half_made_stays():
    b = Builder()
    x = b.input((9,), F8)
    whole = b.assemble((10,), F8, ZERO)
    b.piece(View(whole, (9,), (1,), 0), x, True)
    half = b.map("exp", (whole.view(),), F8, (10,))
    b.piece(View(whole, (9,), (1,), 1), x, True)
    b.graph.outputs = [whole.view(), half]
    assert not is_one_pass(b.graph)


def test_blocks_of_matrices_and_windows_in_windows():
    """Rows, columns and transposed blocks; the second buffer's pieces come out of the first."""

    def graph():
        b = Builder()
        x, row = b.input((6, 7), F8), b.input((7,), F8)
        whole = b.assemble((8, 8), F8, ZERO)
        b.piece(View(whole, (6, 7), (8, 1), 9), x, True)
        b.piece(View(whole, (7, 6), (1, 8), 1), View(x.value, (7, 6), (1, 7), 0), True)
        b.piece(View(whole, (7,), (1,), 33), row, True)
        outer = b.assemble((8, 9), F8, ZERO)
        twice = b.map("multiply", (whole.view(), Literal(np.float64(2), F8)), F8, (8, 8))
        b.piece(View(outer, (8, 8), (9, 1), 0), twice, True)
        b.piece(View(outer, (8, 8), (9, 1), 1), whole.view(), True)
        b.graph.outputs = [outer.view()]
        return b.graph

    after = gather_pieces(graph())
    verify(after)
    assert not any(isinstance(node, Init) for node in after.nodes)
    assert any(isinstance(term, Inside) for node in after.nodes for term in node.operands())
    generator = np.random.default_rng(1)
    check(graph(), generator.integers(-9, 9, (6, 7)) / 2, generator.integers(-9, 9, 7) / 2)


def test_windows_that_do_not_meet():
    assert _both(((0, 3), None), ((5, 9), (1, 2))) == ((5, 5), (1, 2))
    assert _both(((0, 6), None), ((5, 9), None)) == ((5, 6), None)


def blocks_of_every_kind(b):
    """Unit, zero and other innermost strides, bounded along one axis, the other, or both."""
    whole = b.assemble((7, 21), F8, ZERO)
    matrix, turned = b.input((6, 20), F8), b.input((20, 6), F8)
    column, row = b.input((6,), F8), b.input((21,), F8)
    b.piece(View(whole, (6, 20), (21, 1), 0), matrix, True)
    b.piece(View(whole, (6, 20), (21, 1), 22), View(turned.value, (6, 20), (1, 6), 0), True)
    b.piece(View(whole, (6, 21), (21, 1), 21), View(column.value, (6, 21), (1, 0), 0), True)
    b.piece(View(whole, (5, 21), (21, 1), 0), View(row.value, (5, 21), (0, 1), 0), True)
    b.piece(View(whole, (7, 19), (21, 1), 1), View(row.value, (7, 19), (0, -1), 19), True)
    b.graph.outputs = [whole.view(), b.reduce("sum", whole.view(), (1,))]
    generator = np.random.default_rng(2)
    return [generator.integers(-9, 9, view.shape) / 2 for view in (matrix, turned, column, row)]


def test_windows_over_all_strides():
    b = Builder()
    arrays = blocks_of_every_kind(b)
    assert is_one_pass(b.graph)
    check(b.graph, *arrays)


def test_windows_without_vectors(monkeypatch):
    """A machine of one lane: there is no mask for a load, it must not be made."""
    monkeypatch.setattr(emit_llvm, "native_lanes", lambda *types: 1)
    monkeypatch.setattr(compile, "_known", weakref.WeakValueDictionary())
    b = Builder()
    check(b.graph, *blocks_of_every_kind(b))
