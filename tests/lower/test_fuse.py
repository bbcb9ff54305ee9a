import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from autograd_jit.lower.builder import Builder
from autograd_jit.lower.fuse import (
    LARGE,
    LAST_STAGE,
    MAX_ACCESSES,
    MAX_OPERATIONS,
    MAX_OPERATIONS_LARGE,
    fuse,
)
from autograd_jit.lower.graph import Graph, Literal, Map, Piece, Reduce, View
from autograd_jit.lower.kernel import build
from autograd_jit.lower.plan import row_buffers, stored_values
from autograd_jit.lower.recompute import COST
from autograd_jit.lower.rules.table import with_shape
from autograd_jit.lower.simplify import drop_dead_nodes
from autograd_jit.records import replaced
from tests.lower.random_graphs import graphs

F8 = np.dtype(np.float64)


def literal(number):
    return Literal(np.float64(number), F8)


def groups_of(b: Builder, *outputs):
    b.graph.outputs = [b.dense(out) for out in outputs]
    return fuse(drop_dead_nodes(b.graph))


def test_an_elementwise_chain_is_one_group():
    b = Builder()
    x = b.input((5, 3), F8)
    y = x
    for op in ("exp", "sin", "tanh"):
        y = b.map(op, (y,), F8, (5, 3))
    assert len(groups_of(b, y)) == 1


def test_producers_go_into_their_reduction():
    b = Builder()
    x = b.input((5, 3), F8)
    y = b.map("exp", (x,), F8, (5, 3))
    (group,) = groups_of(b, b.reduce("sum", y, (1,)), b.reduce("max", y, (1,)))
    assert group.axes == (1,)
    assert not stored_values(b.graph, [group])


def softmax(b, x, axes, rows):
    """Maximum; exponentials and their sum; quotients. ``rows``: the shape of the totals, with unit axes."""
    top = with_shape(b.reduce("max", x, axes), rows)
    powers = b.map("exp", (b.map("subtract", (x, top), F8, x.shape),), F8, x.shape)
    total = with_shape(b.reduce("sum", powers, axes), rows)
    return b.map("divide", (powers, total), F8, x.shape)


def test_a_softmax_over_rows_is_one_group():
    b = Builder()
    (group,) = groups_of(b, softmax(b, b.input((5, 3), F8), (1,), (5, 1)))
    assert sorted(set(group.stages)) == [1, 3, 5]
    (powers,) = group.carried  # the differences are not needed again
    assert row_buffers(b.graph, [group]) == {powers: 3}
    wider = replaced(group, axes=(0, 1))  # carries it along both axes: the buffer serves both groups
    for groups in ([group, wider], [wider, group]):
        assert row_buffers(b.graph, groups) == {powers: 15}


def test_what_is_cheap_is_computed_again_in_a_later_stage():
    """Standardisation: the differences to the mean are needed for the variance, and again."""
    b = Builder()
    x = b.input((5, 3), F8)
    mean = with_shape(b.reduce("sum", x, (1,)), (5, 1))
    apart = b.map("subtract", (x, mean), F8, (5, 3))
    spread = b.reduce("sum", b.map("square", (apart,), F8, (5, 3)), (1,))
    scale = b.map("sqrt", (with_shape(spread, (5, 1)),), F8, (5, 1))
    (group,) = groups_of(b, b.map("divide", (apart, scale), F8, (5, 3)))
    assert sorted(set(group.stages)) == [1, 3, 4, 5]  # the square root once a row
    assert group.row_values == {scale.value} and not group.carried


def test_row_results_that_stay_row_results_do_not_run_in_the_rows_loop():
    """Logarithms of sums, for their own sake: one after the other they would be scalar calls."""
    b = Builder()
    total = b.reduce("sum", b.input((5, 3), F8), (1,))
    assert len(groups_of(b, b.map("log", (total,), F8, (5,)))) == 2


def test_row_results_that_are_repeated_along_another_axis_stay_vectors():
    """A network's layers: the tanh of a product, which the next product reads as its columns."""
    b = Builder()
    weights, x = b.input((4, 4), F8), b.input((4,), F8)
    for _ in range(3):
        product = b.map("multiply", (weights, x.broadcast((4, 4))), F8, (4, 4))
        x = b.map("tanh", (b.reduce("sum", product, (1,)),), F8, (4,))
    assert not any(group.row_values for group in groups_of(b, x))


@pytest.mark.parametrize(
    "shape, axes, rows",
    [
        ((5, 3), (0,), (1, 3)),  # rows are not contiguous: sums are added up in memory
        ((15,), (0,), (1,)),  # one row: nothing would stay in cache
        ((5, 1), (1,), (5, 1)),
        ((2, 3, 4), (0, 2), (1, 3, 1)),
    ],
)
def test_what_follows_other_reductions_is_another_group(shape, axes, rows):
    b = Builder()
    assert len(groups_of(b, softmax(b, b.input(shape, F8), axes, rows))) == 3


def test_a_total_of_another_row_is_not_there_yet():
    b = Builder()
    x = b.input((4, 4), F8)
    total = b.reduce("sum", x, (1,))
    for strides, offset in (((0, 1), 0), ((-1, 0), 3)):
        shifted = View(total.value, (4, 4), strides, offset)
        assert len(groups_of(b, b.map("subtract", (x, shifted), F8, (4, 4)))) == 2


def test_the_number_of_loops_over_a_row_is_bounded():
    b = Builder()
    x = b.input((5, 3), F8)
    for _ in range(10):
        x = softmax(b, x, (1,), (5, 1))
    groups = groups_of(b, x)
    assert 1 < len(groups) < 10
    assert max(max(group.stages) for group in groups) <= LAST_STAGE
    stored, rows = stored_values(b.graph, groups), row_buffers(b.graph, groups)
    assert len({build(group, stored, rows).kernel for group in groups}) <= 3


def test_the_axes_of_a_reduction_say_nothing_of_a_map_over_another_shape():
    """A reshaped value is reduced along axes that its own shape may not have; next to a softmax that was looked up."""
    b = Builder()
    x, y = b.input((7, 9), F8), b.input((20,), F8)
    powers = b.map("exp", (x,), F8, (7, 9))
    total = with_shape(b.reduce("sum", powers, (1,)), (7, 1))
    shares = b.map("divide", (powers, total.broadcast((7, 9))), F8, (7, 9))
    sines = b.map("sin", (y,), F8, (20,))
    b.graph.outputs = [shares, b.reduce("sum", with_shape(sines, (4, 5)), (1,))]
    groups = fuse(b.graph)
    assert all(group.axes is None or max(group.axes) < len(group.domain) for group in groups)
    assert row_buffers(b.graph, groups) == {powers.value: 9}


def test_reductions_over_different_axes_do_not_share_a_loop():
    b = Builder()
    x = b.input((5, 3), F8)
    assert len(groups_of(b, b.reduce("sum", x, (0,)), b.reduce("sum", x, (1,)))) == 2


def test_another_index_map_of_a_value_needs_it_in_memory():
    b = Builder()
    x = b.input((4, 4), F8)
    y = b.map("exp", (x,), F8, (4, 4))
    transposed = View(y.value, (4, 4), (1, 4), 0)
    groups = groups_of(b, b.map("add", (y, transposed), F8, (4, 4)))
    assert len(groups) == 2
    assert y.value in stored_values(b.graph, groups)


def test_independent_maps_of_one_shape_share_a_group():
    b = Builder()
    x, y = b.input((7,), F8), b.input((7,), F8)
    assert len(groups_of(b, b.map("exp", (x,), F8, (7,)), b.map("sin", (y,), F8, (7,)))) == 1


@pytest.mark.parametrize("size, limit", [(7, MAX_OPERATIONS), (LARGE, MAX_OPERATIONS_LARGE)])
def test_groups_are_bounded(size, limit):
    b = Builder()
    x = b.input((size,), F8)
    y = x
    for i in range(3 * limit):
        y = b.map("add", (y, literal(i + 1)), F8, (size,))
    groups = groups_of(b, y)
    assert len(groups) > 1 and limit // 2 < max(len(group.nodes) for group in groups) <= limit


def test_loops_that_walk_many_pointers_are_bounded():
    b = Builder()
    y = b.input((7,), F8)
    for _ in range(2 * MAX_ACCESSES):
        y = b.map("add", (y, b.input((7,), F8)), F8, (7,))
    assert len(groups_of(b, y)) > 1


def test_pieces_that_overlap_keep_their_order():
    b = Builder()
    x = b.input((3,), F8)
    whole = b.assemble((5,), F8, literal(0.0))
    for start in (0, 1, 2):
        b.piece(View(whole, (3,), (1,), start), x, add=True)
    groups = groups_of(b, whole.view())
    assert len(groups) == 4  # the filling, and one for each piece

    b = Builder()
    x = b.input((3,), F8)
    whole = b.assemble((6,), F8, None)
    for start in (0, 3):
        b.piece(View(whole, (3,), (1,), start), x, add=False)
    assert len(groups_of(b, whole.view())) == 1  # a concatenation


def test_repeated_structure_gives_equal_kernels():
    """Ten steps of a loop: a handful of kernels."""
    b = Builder()
    w = b.input((4, 4), F8)
    state = b.input((4,), F8)
    for _ in range(10):
        product = b.map("multiply", (w, View(state.value, (4, 4), (0, 1), 0)), F8, (4, 4))
        state = b.map("tanh", (b.reduce("sum", product, (1,)),), F8, (4,))
    groups = groups_of(b, state)
    stored = stored_values(b.graph, groups)
    kernels = {build(group, stored).kernel for group in groups}
    assert len(groups) >= 10 and len(kernels) <= 3


@settings(max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_groups_compute_everything_in_order(case):
    """What is not cheap once, and every operand in the same group or an earlier one."""
    graph: Graph = drop_dead_nodes(case[0])
    groups = fuse(graph)
    wanted = [node for node in graph.nodes if isinstance(node, (Map, Reduce))]
    placed = [node for group in groups for node in group.nodes if isinstance(node, (Map, Reduce))]
    assert set(map(id, wanted)) == set(map(id, placed))
    cheap = {id(node) for node in wanted if isinstance(node, Map) and node.op in COST}
    once = [id(node) for node in placed if id(node) not in cheap]
    assert len(once) == len(set(once))
    made: dict = {}
    for number, group in enumerate(groups):
        for node in group.nodes:
            for value in node.outs:
                made.setdefault(value, number)
    for number, group in enumerate(groups):
        for node in group.nodes:
            for operand in node.operands():
                if isinstance(operand, View):
                    assert made.get(operand.value, -1) <= number


def test_a_cheap_value_is_computed_where_it_is_read():
    """The derivative of tanh, with a sum over rows between the two loops, which needs tanh itself in memory."""
    b = Builder()
    x = b.input((4, 5), F8)
    t = b.map("tanh", (x,), F8, (4, 5))
    slope = b.map("subtract", (literal(1.0), b.map("square", (t,), F8, (4, 5))), F8, (4, 5))
    product = b.gemm(View(t.value, (1, 4, 5), (20, 5, 1), 0), View(b.input((5, 5), F8).value, (1, 5, 5), (25, 5, 1), 0))
    out = b.map("multiply", (View(product.value, (4, 5), (5, 1), 0), slope), F8, (4, 5))
    groups = groups_of(b, out)
    assert [[getattr(node, "op", "gemm") for node in group.nodes] for group in groups] == [
        ["tanh"],
        ["gemm"],
        ["square", "subtract", "multiply"],
    ]
    assert stored_values(b.graph, groups) == {t.value, out.value}


def test_what_is_dear_is_stored():
    b = Builder()
    x = b.input((4, 5), F8)
    t = b.map("tanh", (x,), F8, (4, 5))
    product = b.gemm(View(x.value, (1, 4, 5), (20, 5, 1), 0), View(b.input((5, 5), F8).value, (1, 5, 5), (25, 5, 1), 0))
    groups = groups_of(b, b.map("multiply", (View(product.value, (4, 5), (5, 1), 0), t), F8, (4, 5)))
    assert len(groups) == 3 and t.value in stored_values(b.graph, groups)


@pytest.mark.parametrize("size", [0, 1, 9])
def test_group_text(size):
    b = Builder()
    x = b.input((size, 2), F8)
    (group,) = groups_of(b, b.reduce("sum", b.map("exp", (x,), F8, (size, 2)), (0,)))
    assert str(group).splitlines()[0] == f"loop over [{size}, 2], reducing (0,):"


def test_interleaved_parts_of_a_large_buffer_are_written_by_one_group():
    """Real and imaginary parts lie in one stretch of memory and have no element in common."""
    n = 100_000
    b = Builder()
    x = b.input((n,), F8)
    whole = b.interleaved(b.view(b.map("sin", (x,), F8, (n,))), b.view(b.map("cos", (x,), F8, (n,))))
    b.graph.outputs = [whole]
    assert len([group for group in fuse(b.graph) if group.domain is not None]) == 1
    beside = b.assemble((2 * n,), F8, None)
    for start in (0, 2):  # these overlap: the second comes behind the first
        b.piece(View(beside, (n - 1,), (2,), start), b.map("exp", (x,), F8, (n,))._replace(shape=(n - 1,)), add=False)
    b.graph.outputs = [beside.view()]
    pieces = [n for n, group in enumerate(fuse(b.graph)) for node in group.nodes if isinstance(node, Piece)]
    assert pieces[-1] > pieces[-2]


def test_a_fill_comes_as_late_as_it_may():
    """Its buffer takes memory from then on: the zeros of a complex number are written with its real part."""
    n = 1000
    b = Builder()
    x = b.input((n,), F8)
    early = b.map("sin", (x,), F8, (n,))
    for _ in range(3):  # each step reads its neighbour: a group of its own
        early = b.map("add", (early, View(early.value, (n,), (-1,), n - 1)), F8, (n,))
    whole = b.assemble((2 * n,), F8, None)
    b.piece(View(whole, (n,), (2,), 1), Literal(0.0, F8), add=False)
    b.piece(View(whole, (n,), (2,), 0), early, add=False)
    b.graph.outputs = [whole.view()]
    groups = fuse(b.graph)
    pieces = [number for number, group in enumerate(groups) for node in group.nodes if isinstance(node, Piece)]
    assert pieces == [len(groups) - 1] * 2
