import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd_jit.errors import TapeError
from autograd_jit.lower.graph import (
    Graph,
    Init,
    Inside,
    Literal,
    Map,
    Piece,
    Reduce,
    Value,
    View,
    dense_strides,
    verify,
)
from autograd_jit.lower.rules.table import shadow, viewed
from tests.lower.graphs import read

F8 = np.dtype(np.float64)


def value(number, *shape, dtype=F8):
    return Value(number, shape, dtype)


def test_dense_strides():
    assert dense_strides((2, 3, 4)) == (12, 4, 1)
    assert dense_strides(()) == ()


def test_density():
    v = value(1, 2, 1, 3)
    assert v.view().is_dense
    assert View(v, (6,), (1,), 0).is_dense  # regrouped
    assert View(v, (2, 1, 3), (3, 99, 1), 0).is_dense  # the stride of a unit axis means nothing
    assert not View(v, (3, 2), (1, 3), 0).is_dense
    assert not View(v, (5,), (1,), 1).is_dense
    assert not View(v, (2, 6), (0, 1), 0).is_dense


def test_broadcast():
    v = value(1, 3, 1).view()
    assert v.broadcast((2, 3, 4)) == View(v.value, (2, 3, 4), (0, 1, 0), 0)
    with pytest.raises(ValueError, match="broadcast"):
        v.broadcast((2, 4, 4))


ODD_NUMBERS = [0.0, -0.0, 1.0, 1, np.float64(1.0), np.nan, -np.nan, np.inf, 5e-324, np.float32(1.0), True]


@pytest.mark.parametrize("one", ODD_NUMBERS)
@pytest.mark.parametrize("other", ODD_NUMBERS)
def test_literals_with_equal_keys_have_the_same_bits(one, other):
    dtypes = [np.dtype(np.float32) if isinstance(x, np.float32) else np.asarray(x).dtype for x in (one, other)]
    literals = [Literal(x, dtype) for x, dtype in zip((one, other), dtypes, strict=True)]
    same = dtypes[0] == dtypes[1] and literals[0].bits == literals[1].bits
    assert (literals[0].key == literals[1].key) == same
    assert not same or hash(literals[0].key) == hash(literals[1].key)


def test_equal_views_have_equal_keys():
    v, other = value(1, 2, 3), value(1, 2, 3)
    whole = View(v, (2, 3), (3, 1), 0)
    assert whole.key is v
    assert whole is not v.view() and v.view().key is v
    part = View(v, (3,), (1,), 3)
    assert part.key == View(v, (3,), (1,), 3).key != View(v, (3,), (1,), 0).key
    assert other.view().key is not v.view().key


def test_printing():
    x, y, s = value(1, 2, 3), value(2, 2, 3), value(3, 2)
    graph = Graph([x], {}, [Map("exp", (x.view(),), y), Reduce("sum", y.view(), (1,), s)], [s.view()])
    assert str(graph) == (
        "graph(%1: float64[2, 3]):\n"
        "    %2: float64[2, 3] = exp(%1)\n"
        "    %3: float64[2] = sum(%2, axes=(1,))\n"
        "    return %3"
    )


def broken_graphs():
    x, y, b = value(1, 3), value(2, 3), value(3, 4)
    add = Map("add", (x.view(), Literal(1.0, F8)), y)
    yield "before it is computed", Graph([], {}, [add], [])
    yield "before it is computed", Graph([x], {}, [Map("exp", (y.view(),), value(4, 3)), add], [])
    yield "never computed", Graph([x], {}, [], [y.view()])
    yield "operand of shape", Graph([x], {}, [Map("exp", (View(x, (2,), (1,), 0),), y)], [])
    yield "leaves its buffer", Graph([x], {}, [Map("exp", (View(x, (3,), (1,), 1),), y)], [])
    yield "leaves its buffer", Graph([x], {}, [Map("exp", (View(x, (3,), (-1,), 1),), y)], [])
    yield "without init", Graph([x], {}, [Piece(View(b, (3,), (1,), 0), x.view(), False)], [])
    yield "leaves its buffer", Graph([x], {}, [Init(b, None), Piece(View(b, (3,), (1,), 2), x.view(), False)], [])
    ahead = View(x, (3,), (1,), 0, ((1, 4),))
    yield "does not fit the shape", Graph([x], {}, [Map("exp", (ahead,), y)], [])
    yield "does not fit the shape", Graph([x], {}, [Map("where", (Inside((3,), ((2, 1),)), x.view(), x.view()), y)], [])


@pytest.mark.parametrize(("message", "graph"), list(broken_graphs()))
def test_verify_finds_what_is_broken(message, graph):
    with pytest.raises(TapeError, match=message):
        verify(graph)


def step(draw, array):
    """One random view of an array, as a function."""
    kind = draw(st.sampled_from(["transpose", "reverse", "slice", "newaxis", "diagonal", "broadcast", "flatten"]))
    if kind == "transpose":
        order = draw(st.permutations(range(array.ndim)))
        return lambda a: a.transpose(order)
    if kind == "reverse" and array.ndim:
        axis = draw(st.integers(0, array.ndim - 1))
        return lambda a: np.flip(a, axis)
    if kind == "slice":
        index = tuple([draw(st.slices(size)) for size in array.shape])
        return lambda a: a[(*index, ...)]
    if kind == "newaxis":
        axis = draw(st.integers(0, array.ndim))
        return lambda a: np.expand_dims(a, axis)
    if kind == "diagonal" and array.ndim >= 2:
        return np.diagonal
    if kind == "broadcast" and array.size < 300:
        return lambda a: np.broadcast_to(a, (2, *array.shape))
    if kind == "flatten":

        def flatten(a):
            try:
                return np.reshape(a, -1, copy=False)
            except ValueError:
                return a

        return flatten
    return lambda a: a


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_chains_of_views_are_those_of_numpy(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 5), max_size=4)))
    array = np.arange(np.prod(shape, dtype=int), dtype=np.int64).reshape(shape)
    flat = array.reshape(-1).copy()
    view = Value(1, shape, array.dtype).view()
    for _ in range(data.draw(st.integers(1, 6))):
        function, base = step(data.draw, array), shadow(view)
        view = viewed(view, function(base), base)
        array = function(array)
        assert view.shape == array.shape
        np.testing.assert_array_equal(read(view, {view.value: flat}), array)
