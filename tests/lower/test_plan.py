import numpy as np
from hypothesis import HealthCheck, given, settings

from autograd_jit.lower.builder import Builder
from autograd_jit.lower.fuse import fuse
from autograd_jit.lower.graph import Map, View
from autograd_jit.lower.plan import ALIGNMENT, plan, row_buffers, stored_values
from autograd_jit.lower.simplify import drop_dead_nodes
from tests.lower.random_graphs import graphs

F8 = np.dtype(np.float64)


def planned(graph):
    graph = drop_dead_nodes(graph)
    groups = fuse(graph)
    stored, rows = stored_values(graph, groups), row_buffers(graph, groups)
    memory = {v for n in graph.nodes for v in n.outs if not isinstance(n, Map) or v in stored}
    fixed = {*graph.inputs, *graph.constants, *[out.value for out in graph.outputs]}
    return groups, memory - fixed, plan(graph, groups, memory, fixed, rows), rows


def lifetimes(groups):
    """First and last group that touch each value, worked out the slow way."""
    spans: dict = {}
    for number, group in enumerate(groups):
        for node in group.nodes:
            touched = [*node.outs, *[o.value for o in node.operands() if isinstance(o, View)]]
            for value in touched:
                spans[value] = (min(number, spans.get(value, (number,))[0]), number)
    return spans


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_no_two_live_values_overlap(case):
    groups, placed, found, rows = planned(case[0])
    spans = lifetimes(groups)
    placed = {value for value in placed if value in spans}
    sizes = {value: rows.get(value, value.size) * value.dtype.itemsize for value in placed}
    assert set(found.offsets) == placed
    for one in placed:
        start = found.offsets[one]
        assert start % ALIGNMENT == 0 and 0 <= start and start + sizes[one] <= found.arena_bytes
        for other in placed - {one}:
            if spans[one][0] <= spans[other][1] and spans[other][0] <= spans[one][1]:
                begin = found.offsets[other]
                assert start + sizes[one] <= begin or begin + sizes[other] <= start
    rounded = [max(ALIGNMENT, -(-sizes[value] // ALIGNMENT) * ALIGNMENT) for value in placed]
    assert found.arena_bytes <= sum(rounded)


def test_a_chain_of_groups_reuses_memory():
    b = Builder()
    x = b.input((64, 64), F8)
    for _ in range(10):  # a transposed neighbour: every step is a group of its own
        x = b.map("add", (x, View(x.value, (64, 64), (1, 64), 0)), F8, (64, 64))
    b.graph.outputs = [x]
    groups, placed, found, _ = planned(b.graph)
    assert len(groups) == 10 and len(placed) == 9
    assert found.arena_bytes == 2 * 64 * 64 * 8


def test_registers_take_no_memory():
    b = Builder()
    x = b.input((64,), F8)
    y = b.map("sin", (b.map("exp", (x,), F8, (64,)),), F8, (64,))
    b.graph.outputs = [y]
    assert planned(b.graph)[2].arena_bytes == 0
