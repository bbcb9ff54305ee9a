import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from autograd_jit.lower import plan as planning
from autograd_jit.lower.builder import Builder
from autograd_jit.lower.fuse import fuse
from autograd_jit.lower.graph import Map, Value, View
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


def random_blocks(seed):
    """Blocks as programs have them: some large sizes that occur again and again, some small ones."""
    draw = random.Random(seed)
    sizes = [draw.randrange(1, 40) * 4096 for _ in range(3)] + [64]
    blocks = []
    for number in range(draw.randrange(1, 60)):
        born = draw.randrange(40)
        value = Value(number, (draw.choice(sizes) // 8,), F8)
        blocks.append(planning._Block(value, born, born + draw.randrange(12), value.nbytes))
    return blocks


@pytest.mark.parametrize("seed", range(40))
def test_blocks_that_are_alive_together_lie_apart(seed):
    blocks = random_blocks(seed)
    offsets, size = planning._placed(blocks)
    assert set(offsets) == {block.value for block in blocks}
    alive = [sum([b.length for b in blocks if b.born <= number <= b.dies]) for number in range(60)]
    assert max(alive) == planning._least(blocks) <= size <= planning._as_they_are_born(blocks)[1]
    for one in blocks:
        start = offsets[one.value]
        assert 0 <= start and start + one.length <= size
        for other in blocks:
            if other is not one and one.born <= other.dies and other.born <= one.dies:
                begin = offsets[other.value]
                assert start + one.length <= begin or begin + other.length <= start


def test_what_is_born_a_little_larger_than_what_has_died_does_not_tear_the_arena():
    kept, first, second, small = (Value(number, (1 << 16,), F8) for number in range(4))
    larger = Value(5, ((1 << 16) + 8,), F8)
    spans = [(kept, 0, 9), (first, 1, 3), (second, 1, 3), (small, 1, 3), (larger, 4, 9)]
    blocks = [planning._Block(value, born, dies, value.nbytes) for value, born, dies in spans]
    assert planning._placed(blocks)[1] == planning._least(blocks)
