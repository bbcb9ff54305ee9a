import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from autograd_jit.lower.builder import Builder
from autograd_jit.lower.fuse import MAX_ACCESSES, MAX_OPERATIONS, fuse
from autograd_jit.lower.graph import Graph, Literal, Map, Reduce, View
from autograd_jit.lower.kernel import build
from autograd_jit.lower.plan import stored_values
from autograd_jit.lower.simplify import drop_dead_nodes
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


def test_what_follows_a_reduction_is_another_group():
    """Softmax: maximum; exponentials and their sum; quotients."""
    b = Builder()
    x = b.input((5, 3), F8)
    top = b.reduce("max", x, (1,))
    shifted = b.map("subtract", (x, View(top.value, (5, 1), (1, 0), 0)), F8, (5, 3))
    powers = b.map("exp", (shifted,), F8, (5, 3))
    total = b.reduce("sum", powers, (1,))
    share = b.map("divide", (powers, View(total.value, (5, 1), (1, 0), 0)), F8, (5, 3))
    assert len(groups_of(b, share)) == 3


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


def test_groups_are_bounded():
    b = Builder()
    x = b.input((7,), F8)
    y = x
    for i in range(3 * MAX_OPERATIONS):
        y = b.map("add", (y, literal(i + 1)), F8, (7,))
    groups = groups_of(b, y)
    assert len(groups) > 1 and max(len(group.nodes) for group in groups) <= MAX_OPERATIONS
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
def test_groups_compute_everything_once_and_in_order(case):
    graph: Graph = drop_dead_nodes(case[0])
    groups = fuse(graph)
    wanted = [node for node in graph.nodes if isinstance(node, (Map, Reduce))]
    placed = [node for group in groups for node in group.nodes]
    assert sorted(map(id, wanted)) == sorted(id(node) for node in placed if isinstance(node, (Map, Reduce)))
    home = {value: number for number, group in enumerate(groups) for node in group.nodes for value in node.outs}
    for number, group in enumerate(groups):
        for node in group.nodes:
            for operand in node.operands():
                if isinstance(operand, View):
                    assert home.get(operand.value, -1) <= number


@pytest.mark.parametrize("size", [0, 1, 9])
def test_group_text(size):
    b = Builder()
    x = b.input((size, 2), F8)
    (group,) = groups_of(b, b.reduce("sum", b.map("exp", (x,), F8, (size, 2)), (0,)))
    assert str(group).splitlines()[0] == f"loop over [{size}, 2], reducing (0,):"
