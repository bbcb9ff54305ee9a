import math

import numpy as np
import pytest

from autograd_jit.lower.builder import Builder, NoLowering, is_native
from autograd_jit.lower.graph import CopyStep, Literal, Map, View
from autograd_jit.lower.simplify import drop_dead_nodes

F8, F4, I8, BOOL = map(np.dtype, (np.float64, np.float32, np.int64, np.bool_))
ODD = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 5e-324, 1.7e308]


def literal(number, dtype=F8):
    return Literal(dtype.type(number), dtype)


def test_equal_computations_share_a_value():
    b = Builder()
    x, y = b.input((3,), F8), b.input((3,), F8)
    first = b.map("add", (x, y), F8, (3,))
    assert b.map("add", (x, y), F8, (3,)) == first
    assert b.map("add", (y, x), F8, (3,)) != first
    assert b.reduce("sum", first, (0,)) == b.reduce("sum", first, (0,))
    assert len(b.graph.nodes) == 3


@pytest.mark.parametrize(("one", "other"), [(0.0, -0.0), (1.0, 2.0)])
def test_literals_are_told_apart_by_their_bits(one, other):
    b = Builder()
    x = b.input((3,), F8)
    assert b.map("add", (x, literal(one)), F8, (3,)) != b.map("add", (x, literal(other)), F8, (3,))


@pytest.mark.parametrize(
    ("op", "numbers"),
    [
        ("multiply", ("x", 1.0)),
        ("multiply", (1.0, "x")),
        ("divide", ("x", 1.0)),
        ("subtract", ("x", 0.0)),
        ("positive", ("x",)),
    ],
)
def test_exact_algebra_gives_the_operand_and_numpy_the_same_bits(op, numbers):
    b = Builder()
    x = b.input((9,), F8)
    args = tuple([x if n == "x" else literal(n) for n in numbers])
    assert b.map(op, args, F8, (9,)) == x and not b.graph.nodes
    array = np.array(ODD)
    result = getattr(np, op)(*[array if n == "x" else n for n in numbers])
    np.testing.assert_array_equal(result.view(np.int64), array.view(np.int64))


@pytest.mark.parametrize(
    ("op", "numbers"),
    [
        ("add", ("x", 0.0)),  # -0.0 + 0.0 is 0.0
        ("subtract", ("x", -0.0)),
        ("subtract", (0.0, "x")),
        ("multiply", ("x", 0.0)),  # inf * 0 is NaN
        ("divide", (1.0, "x")),
        ("multiply", ("x", -1.0)),
    ],
)
def test_inexact_algebra_stays(op, numbers):
    b = Builder()
    x = b.input((9,), F8)
    result = b.map(op, tuple([x if n == "x" else literal(n) for n in numbers]), F8, (9,))
    assert result != x and isinstance(b.graph.nodes[-1], Map)


def test_a_broadcast_or_a_cast_is_not_simplified_away():
    b = Builder()
    x = b.input((3,), F8)
    assert b.map("multiply", (x, literal(1.0)), F8, (2, 3)).shape == (2, 3)
    condition = b.input((3,), BOOL)
    assert b.map("multiply", (b.cast(condition, F8), literal(1.0)), F8, (3,)).dtype == F8


def test_constants_of_one_element_are_literals():
    b = Builder()
    assert b.constant(np.array(2.5)) == Literal(2.5, F8)
    filled = b.constant(np.full((1, 1), 2.5))
    assert isinstance(filled, View) and filled.shape == (1, 1)
    x = b.input((3, 4), F8)
    b.map("add", (x, filled), F8, (3, 4))
    assert b.graph.nodes[-1].args[1] == Literal(2.5, F8)  # not a load
    assert not b.graph.constants


def test_constants_are_cast_when_the_graph_is_built():
    b = Builder()
    array = b.constant(np.arange(4))
    assert b.cast(array, F8) == b.cast(array, F8)
    assert not b.graph.nodes
    np.testing.assert_array_equal(b.graph.constants[b.cast(array, F8).value], [0.0, 1, 2, 3])
    assert b.cast(literal(2.75), I8) == Literal(2, I8)


@pytest.mark.parametrize("dtype", ["complex128", "uint8", "float16", ">f8"])
def test_foreign_dtypes_have_no_lowering(dtype):
    b = Builder()
    dtype = np.dtype(dtype)
    assert not is_native(dtype)
    x = b.input((2, 3), dtype)
    for cast in (lambda: b.cast(x, F8), lambda: b.cast(b.input((3,), F8), dtype)):
        with pytest.raises(NoLowering):
            cast()
    assert b.dense(x) == x and not b.graph.nodes
    b.dense(View(x.value, (3, 2), (1, 3), 0))
    assert isinstance(b.graph.nodes[-1], CopyStep)  # by NumPy: a kernel cannot copy it


def test_dead_code_goes_and_guards_stay():
    b = Builder()
    x = b.input((3,), F8)
    used, dead = b.map("exp", (x,), F8, (3,)), b.map("sin", (x,), F8, (3,))
    b.map("cos", (dead,), F8, (3,))
    guarded = b.map("less", (b.reduce("sum", x, (0,)), literal(3.0)), BOOL, ())
    b.check(guarded, True, None, 0)  # type: ignore[arg-type]
    b.constant(np.arange(4.0))
    b.graph.outputs = [used]
    graph = drop_dead_nodes(b.graph)
    assert [getattr(node, "op", "check") for node in graph.nodes] == ["exp", "sum", "less", "check"]
    assert not graph.constants and graph.inputs == b.graph.inputs


def test_dead_pieces_go_with_their_buffer():
    b = Builder()
    x = b.input((3,), F8)
    whole = b.assemble((5,), F8, literal(0.0))
    b.piece(View(whole, (3,), (1,), 1), x, add=True)
    kept = b.assemble((5,), F8, literal(0.0))
    b.piece(View(kept, (3,), (1,), 1), x, add=True)
    b.graph.outputs = [kept.view()]
    assert len(drop_dead_nodes(b.graph).nodes) == 2


def test_a_constant_of_one_float_throughout_is_a_literal():
    b = Builder()
    x = b.input((5,), F8)
    b.map("multiply", (x, b.constant(np.full(5, 3.0))), F8, (5,))
    assert not b.graph.constants
    b.constant(np.array([0.0, -0.0]))  # equal, but not the same bits
    b.constant(np.array([1, 1]))  # integers index: their values must stay known
    assert len(b.graph.constants) == 2
