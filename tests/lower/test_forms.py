"""Forms by structure: a launch that was looked up is the one that would have been built."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd_jit.lower.builder import Builder
from autograd_jit.lower.forms import Forms
from autograd_jit.lower.fuse import fuse
from autograd_jit.lower.graph import Literal, View
from autograd_jit.lower.kernel import build
from autograd_jit.lower.plan import row_buffers, stored_values
from autograd_jit.lower.windows import gather_pieces

from .random_graphs import ROW_KINDS, WINDOW_KINDS, graphs

F8, I8 = np.dtype(np.float64), np.dtype(np.int64)


def both(graph):
    """Each loop group's launch by lookup and by building, and the forms."""
    graph = gather_pieces(graph)
    groups = fuse(graph)
    stored, rows = stored_values(graph, groups), row_buffers(graph, groups)
    forms = Forms(stored, rows)
    loops = [group for group in groups if group.domain is not None]
    return [(forms.launch(group), build(group, stored, rows)) for group in loops], forms


def assert_equal(pairs):
    for found, made in pairs:
        assert found.kernel == made.kernel
        assert (found.dims, found.placements, found.literals) == (made.dims, made.placements, made.literals)
        assert found.windows == made.windows
        assert found.group is made.group


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_launches_of_random_graphs(drawn):
    pairs, _ = both(drawn[0])
    assert_equal(pairs)


@pytest.mark.parametrize("kinds", [ROW_KINDS, WINDOW_KINDS])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_launches_of_random_rows_and_windows(kinds, data):
    pairs, _ = both(data.draw(graphs(kinds))[0])
    assert_equal(pairs)


def in_turn(*steps):
    """A graph of steps, each on a row of its own and in a group of its own: functions (builder, view) -> operand."""
    b = Builder()
    rows = b.input((len(steps), 2, 3), F8)
    outputs = []
    for number, step in enumerate(steps):
        row = View(rows.value, (2, 3), (3, 1), 6 * number)
        column = b.reduce("sum", b.map("exp", (step(b, row),), F8, (2, 3)), (0,))  # its end ends the group
        outputs.append(column)
    b.graph.outputs = outputs
    return b.graph


def scaled(number, dtype=F8):
    return lambda b, row: b.map("multiply", (row, Literal(dtype.type(number), dtype)), F8, (2, 3))


def test_steps_that_differ_in_where_they_read_share_a_form():
    pairs, forms = both(in_turn(*[scaled(2.0)] * 5))
    assert_equal(pairs)
    assert len({id(found.kernel) for found, _ in pairs}) == forms.built
    assert forms.built + forms.found == len(pairs)
    starts = {place.offset for found, _ in pairs for place in found.placements if place.value.shape == (5, 2, 3)}
    assert starts == {48 * row for row in range(5)}


OTHERS = {
    "a literal": scaled(3.0),
    "the sign of zero": scaled(-0.0),
    "an operation": lambda b, row: b.map("add", (row, Literal(0.0, F8)), F8, (2, 3)),
    "strides": lambda b, row: scaled(0.0)(b, View(row.value, (2, 3), (1, 2), row.offset)),
    "a distance": lambda b, row: b.map("multiply", (row, View(row.value, (2, 3), (3, 1), 0)), F8, (2, 3)),
    "one operand twice": lambda b, row: b.map("multiply", (row, row), F8, (2, 3)),
}


@pytest.mark.parametrize("difference", OTHERS)
def test_steps_that_differ_otherwise_do_not(difference):
    pairs, _ = both(in_turn(scaled(0.0), OTHERS[difference], scaled(0.0), OTHERS[difference]))
    assert_equal(pairs)


def test_not_a_number_is_one_literal():
    _, forms = both(in_turn(*[scaled(np.nan)] * 4))
    _, fewer = both(in_turn(*[scaled(np.nan)] * 2))
    assert forms.built == fewer.built


def test_whether_a_value_is_stored_is_part_of_the_form():
    def graph(outputs):
        b = Builder()
        x = b.input((4,), F8)
        one = b.map("exp", (x,), F8, (4,))
        b.graph.outputs = [b.map("sin", (one,), F8, (4,)), *([one] if outputs else [])]
        return b.graph

    for outputs in (False, True):
        assert_equal(both(graph(outputs))[0])
    assert len(both(graph(True))[0][0][0].placements) == len(both(graph(False))[0][0][0].placements) + 1
