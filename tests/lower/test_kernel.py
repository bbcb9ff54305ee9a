import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd_jit.lower.builder import Builder
from autograd_jit.lower.fuse import fuse
from autograd_jit.lower.graph import Literal, View
from autograd_jit.lower.kernel import _coalesce, build
from autograd_jit.lower.plan import row_buffers, stored_values
from autograd_jit.lower.rules.table import with_shape
from autograd_jit.lower.windows import gather_pieces

F8, I4 = np.dtype(np.float64), np.dtype(np.int32)


def launch_of(b: Builder, *outputs):
    b.graph.outputs = list(outputs)
    (group,) = fuse(b.graph)
    return build(group, stored_values(b.graph, [group]))


def chain(shape, offset=0, scale=2.0):
    b = Builder()
    x = b.input((offset + int(np.prod(shape)),), F8)
    view = View(x.value, shape, tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape))), offset)
    y = b.map("multiply", (view, Literal(scale, F8)), F8, shape)
    return launch_of(b, b.map("exp", (y,), F8, shape))


def test_the_structure_knows_no_sizes_offsets_or_constants():
    one, other = chain((5, 7)), chain((1000,), offset=3, scale=-1.5)
    assert one.kernel == other.kernel and hash(one.kernel) == hash(other.kernel)
    assert one.dims == (35,) and other.dims == (1000,)
    assert one.literals != other.literals
    assert other.placements[0].offset == 24


def test_the_structure_knows_strides_and_dtypes():
    def kernel(strides, dtype=F8):
        b = Builder()
        x = b.input((64,), dtype)
        return launch_of(b, b.map("negative", (View(x.value, (4, 4), strides, 0),), dtype, (4, 4))).kernel

    assert kernel((4, 1)).rank == 1 and kernel((8, 1)).rank == 2
    assert [kernel(s).loads[0].inner for s in ((8, 1), (1, 8), (8, 0))] == ["unit", "any", "zero"]
    assert kernel((4, 1)) != kernel((4, 1), I4)


def test_a_value_used_twice_is_loaded_once():
    b = Builder()
    x = b.input((5,), F8)
    launch = launch_of(b, b.map("multiply", (x, b.map("exp", (x,), F8, (5,))), F8, (5,)))
    assert len(launch.kernel.loads) == 1 and len(launch.kernel.stores) == 1


def test_words():
    launch = chain((5, 7), offset=2, scale=0.5)
    words = launch.words(lambda value: (value.number, 100))
    load, store = launch.placements
    assert words[:1] == [35]
    assert words[1:4] == [load.value.number, 116, 8]
    assert words[4:7] == [store.value.number, 100, 8]
    assert struct.unpack("<d", struct.pack("<q", words[7])) == (0.5,)
    kernel = launch.kernel
    assert [kernel.word_of_access(0), kernel.word_of_access(1), kernel.word_of_literal(0)] == [1, 4, 7]


def test_unit_axes_go_and_neighbours_merge():
    merged = _coalesce((2, 1, 3, 4), (False, False, True, True), [(12, 7, 4, 1), (1, 0, 0, 0)])
    assert merged == ((0, 3), (2, 12), (False, True), [(12, 1), (1, 0)])
    assert _coalesce((1, 1), (True, False), [(5, 5)]) == ((), (), (), [()])


def test_axes_that_a_window_bounds_stay_and_so_does_the_row_of_stages():
    assert _coalesce((2, 3), (False, False), [(3, 1)], bounded={1}) == ((0, 1), (2, 3), (False, False), [(3, 1)])
    assert _coalesce((2, 1), (False, True), [(1, 0)], staged=True) == ((0, 1), (2, 1), (False, True), [(1, 0)])


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_merged_axes_visit_the_same_elements_in_the_same_order(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=4)))
    flags = tuple([data.draw(st.booleans()) for _ in shape])
    count = data.draw(st.integers(1, 3))
    strides = [tuple([data.draw(st.integers(-6, 12)) for _ in shape]) for _ in range(count)]
    if data.draw(st.booleans()):
        strides[0] = tuple([int(np.prod(shape[i + 1 :])) for i in range(len(shape))])
    _, dims, _, merged = _coalesce(shape, flags, strides)
    for before, after in zip(strides, merged, strict=True):
        assert visits(shape, before) == visits(dims, after)


def visits(shape, strides):
    return [int(np.dot(index, strides)) if shape else 0 for index in np.ndindex(*shape)]


@pytest.mark.parametrize("dtype", [np.bool_, np.int32, np.float32])
def test_short_literals_fill_a_word(dtype):
    b = Builder()
    x = b.input((3,), np.dtype(dtype))
    op = "and" if dtype is np.bool_ else "add"
    launch = launch_of(b, b.map(op, (x, Literal(dtype(1), np.dtype(dtype))), np.dtype(dtype), (3,)))
    assert launch.literals == (np.array([1], dtype).tobytes().ljust(8, b"\0"),)


def softmax_of(shape, axes):
    b = Builder()
    x = b.input(shape, F8)
    rows = tuple([1 if axis in axes else size for axis, size in enumerate(shape)])
    top = with_shape(b.reduce("max", x, axes), rows)
    powers = b.map("exp", (b.map("subtract", (x, top), F8, shape),), F8, shape)
    total = b.map("sqrt", (with_shape(b.reduce("sum", powers, axes), rows),), F8, rows)
    b.graph.outputs = [b.map("divide", (powers, total), F8, shape)]
    (group,) = fuse(b.graph)
    return build(group, stored_values(b.graph, [group]), row_buffers(b.graph, [group]))


def test_stages_know_no_sizes():
    launches = [softmax_of(shape, axes) for shape, axes in [((5, 3), (1,)), ((400, 1000), (1,)), ((2, 3, 4), (1, 2))]]
    kernel = launches[0].kernel
    assert all(launch.kernel == kernel for launch in launches)
    assert [stage.row for stage in kernel.stages] == [False, False, True, False]
    assert kernel.trailing == 1 and not kernel.adds_in_memory
    assert [launch.dims for launch in launches] == [(5, 3), (400, 1000), (2, 12)]


def test_a_carried_value_takes_one_row():
    launch = softmax_of((5, 3), (1,))
    (number,) = [i for i, p in enumerate(launch.placements) if p.value in launch.group.carried][:1]
    assert launch.placements[number].strides == (0, 8)


def test_a_value_computed_again_is_not_stored_into_the_row_of_another_group():
    """Its buffer has the size of that group's rows, and is that group's."""
    launch = softmax_of((5, 3), (1,))
    (carried,) = launch.group.carried
    stored, rows = {carried, *[p.value for p in launch.placements]}, {carried: 3}
    launch.group.carried = set()
    again = build(launch.group, stored, rows)
    assert carried not in [p.value for p in again.placements]


def test_windows_know_no_sizes():
    def kernel(size):
        b = Builder()
        x = b.input((size,), F8)
        whole = b.assemble((size + 1,), F8, Literal(0.0, F8))
        for start in (0, 1):
            b.piece(View(whole, (size,), (1,), start), x, True)
        b.graph.outputs = [whole.view()]
        (group,) = fuse(gather_pieces(b.graph))
        launch = build(group, {whole})
        assert launch.words(lambda value: (0, 0))[-4:] == [0, size, 1, size + 1]
        return launch.kernel

    assert kernel(5) == kernel(1000)
    assert kernel(5).windows == (("some",), ("some",))
