"""Captured values are guarded by value and exact type, arrays by what they are; both go by the variable."""

from __future__ import annotations

import collections
import enum
import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd_jit.trace.capture_values import plain_key
from autograd_jit.trace.captures import clone_with
from tests.trace.capture_support import close_over, fresh, paths, program

# -- by value -----------------------------------------------------------------------------------------------

SCALARS = [
    0, 1, True, False, 0.0, -0.0, 1.0, 2.5, math.nan, math.inf, 1j, complex(0.0, -0.0), "a", b"a", "", None,
    ..., np.float64(1.0), np.float32(1.0), np.int64(1), np.bool_(True), np.dtype("f4"), range(3), slice(0, 2),
    (), (1,), (1.0,), [1], [1.0], [True], [[1, 2], [3]], [[1, 2], [4]], {"a": 1}, {"a": 1.0}, {"b": 1},
    {1: 0}, {1.0: 0}, {1}, {True}, frozenset([1]), [-0.0], [0.0], {"a": 1, "b": 2}, {"b": 2, "a": 1}, 10**40,
    [math.nan],
]  # fmt: skip


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_values_are_guarded_by_value_and_exact_type(value):
    fn = close_over(value)
    captures = fresh(fn)
    assert captures.unsound is None
    for other in SCALARS:
        expected = plain_key(other) == plain_key(value)
        assert expected is (other is value)
        assert captures.check(close_over(other)) is expected
        assert (fresh(close_over(other)).structure_key == captures.structure_key) is expected


def test_an_equal_value_of_another_identity_passes():
    captures = fresh(close_over([float("1.5"), (int("1000"), "ab" * 3)]))
    assert captures.check(close_over([float("1.5"), (int("1000"), "ab" * 3)]))
    assert fresh(close_over(float("nan"))).check(close_over(float("nan")))


plain = st.recursive(
    st.one_of(st.integers(-2, 2), st.floats(), st.booleans(), st.none(), st.text(max_size=2)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(plain, plain)
def test_check_agrees_with_the_structure_key(first, second):
    captures = fresh(close_over(first))
    same = fresh(close_over(second)).structure_key == captures.structure_key
    assert captures.check(close_over(second)) is same
    assert captures.check(close_over(first))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_change_inside_a_container_is_seen(data):
    value = data.draw(st.lists(st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=3)), max_size=4))
    captures = fresh(fn := close_over(value))
    assert captures.check(fn)
    target = data.draw(st.sampled_from([value, *(inner for inner in value if isinstance(inner, list))]))
    before = repr(value)
    if target and data.draw(st.booleans()):
        target[data.draw(st.integers(0, len(target) - 1))] = data.draw(st.integers(0, 3))
    else:
        target.append(data.draw(st.integers(0, 3)))
    assert captures.check(fn) is (repr(value) == before)


def test_big_containers_of_numbers_are_compared_with_a_copy():
    value = list(map(float, range(10_000)))
    captures = fresh(fn := close_over(value))
    assert captures.check(fn)
    value[5_000] += 1
    assert not captures.check(fn)


def test_a_containers_elements_of_any_kind_are_followed():
    user = program(
        "def relu(x): return x\ndef other(x): return -x\nlayers = [(relu, 3)]\ndef f(x): return layers[0][0](x)"
    )
    captures = fresh(user.f)
    assert captures.check(user.f)
    user.layers[0] = (user.other, 3)
    assert not captures.check(user.f)
    user.layers[0] = (user.relu, 3)
    assert captures.check(user.f)
    user.layers.append(1)
    assert not captures.check(user.f)


def test_containers_that_contain_themselves():
    loop: list[object] = [np.ones(2)]
    loop.append(loop)
    captures = fresh(fn := close_over(loop))
    assert captures.unsound is None and captures.check(fn)
    loop[1] = [loop[0], loop]
    assert not captures.check(fn)


def test_deques_and_defaultdicts():
    queue = collections.deque([np.ones(2)], maxlen=3)
    table = collections.defaultdict(list, a=np.ones(2))
    captures = fresh(fn := lambda x: (queue, table, x))
    assert captures.check(fn) and len(captures.held_arrays) == 2
    queue.append(1)
    assert not captures.check(fn)
    queue.pop()
    table["b"]
    assert not captures.check(fn)


def test_enums_and_dtypes():
    class Mode(enum.Enum):
        A = 1
        B = 2

    captures = fresh(close_over(Mode.A))
    assert captures.check(close_over(Mode.A)) and not captures.check(close_over(Mode.B))


def test_numbers_of_a_users_own_type():
    class Rate(float):
        pass

    captures = fresh(close_over(Rate(0.5)))
    assert captures.check(close_over(Rate(0.5)))
    assert not captures.check(close_over(Rate(0.6))) and not captures.check(close_over(0.5))


# -- direct arrays ------------------------------------------------------------------------------------------


def test_direct_arrays_of_every_kind_of_variable():
    user = program("X = np.ones(2)\ndef f(x, d=np.ones(3), *, k=np.ones(4)): return x, X, d, k")
    captures = fresh(user.f)
    assert sorted(array.shape for array in captures.arrays) == [(2,), (3,), (4,)]
    assert captures.held_arrays == ()
    part = functools.partial(user.f, np.ones(5), k=np.ones(6))
    captures = fresh(part)
    assert sorted(array.shape for array in captures.arrays) == [(2,), (3,), (4,), (5,), (6,)]
    assert [array.shape for array in captures.bind(part)] == [array.shape for array in captures.arrays]


def test_a_rebound_array_of_the_same_kind_is_bound():
    user = program("X = np.zeros(3)\ndef f(x): return x * X")
    captures = fresh(user.f)
    user.X = np.ones(3)
    assert captures.check(user.f) and captures.bind(user.f)[0] is user.X


@pytest.mark.parametrize(
    "other",
    [
        np.zeros(4),
        np.zeros(3, "f4"),
        np.zeros((3, 1)),
        np.zeros(6)[::2],
        np.zeros(3).view(np.matrix),
        0.0,
        [0.0],
    ],
    ids=repr,
)
def test_a_rebound_array_of_another_kind_is_seen(other):
    user = program("X = np.zeros(3)\ndef f(x): return x * X")
    captures = fresh(user.f)
    user.X = other
    assert not captures.check(user.f)
    assert "`X`" in captures.explain_change(user.f)


def test_a_change_of_shape_in_place_is_seen():
    array = np.zeros(6)
    captures = fresh(fn := close_over(array))
    array.resize((2, 3), refcheck=False)
    assert not captures.check(fn)
    assert captures.check_values(fn)


def test_captures_do_not_keep_direct_arrays_alive():
    import weakref

    array = np.zeros(6)
    captures = fresh(close_over(array))
    captures.check(close_over(array))
    dying = weakref.ref(array)
    del array
    assert dying() is None


def test_two_variables_of_one_array_are_one_capture():
    array = np.ones(3)
    first, second = array, array
    captures = fresh(fn := lambda x: x * first + second)
    assert paths(captures) == [("first", "second")]
    assert clone_with(fn, captures, [10.0]).call(2.0) == 30.0
    second = np.ones(3)
    assert not captures.check(fn)


def test_arrays_that_become_one_are_seen_where_identity_is_compared():
    first, second = np.ones(3), np.ones(3)
    captures = fresh(fn := lambda x: 1 if first is second else 2)
    assert captures.check(fn)
    second = first
    assert not captures.check(fn)
