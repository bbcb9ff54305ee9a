"""Results that share memory with arguments, captured arrays and each other: the same in replays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit, known_programs
from autograd_jit.trace import tree
from tests.jit_support import assert_same

A, M = np.array([1.0, -2.0, 3.0, 0.5]), np.arange(12.0).reshape(3, 4)
CAPTURED = np.arange(4.0)


@pytest.fixture(autouse=True)
def no_programs_of_other_tests():
    known_programs.registry.clear()


def _parts(y):
    return y, y[:2], y[1:]


def _with_itself(y, function):
    return function(y), y


PROGRAMS = {
    "slice": lambda x: x[1:],
    "transpose": lambda x: x.T,
    "chain": lambda x: anp.reshape(x, -1)[::2],
    "ravel": lambda x: anp.ravel(x),
    "the argument and a view of it": lambda x: (x, x[1:], anp.sum(x)),
    "in a container": lambda x: {"a": [x[0:1], x * 2], "b": x[-1:]},
    "asarray": lambda x: anp.asarray(x),
    "real": lambda x: anp.real(x),
    "diagonal": lambda x: anp.diagonal(anp.atleast_2d(x)),
    "captured": lambda x: (CAPTURED[1:], x * 2),
    "one array twice": lambda x: [x * 2] * 2,
    "a result and views of it": lambda x: _parts(x * 2),
    "views of an array that is not returned": lambda x: _parts(x * 2)[1:],
    "views with nothing in common": lambda x: ((x * 2)[:1], (x * 3)[1:]),
    "reshaped twice": lambda x: (anp.reshape(x + 1, -1), x + 1),
    "of an argument, by a number that is computed": lambda x: x[int(abs(x.ravel()[0])) % 2 :],
    "split": lambda x: anp.split(x, 1),
    "reshaped by a copy, and views of that": lambda x: _parts(anp.reshape(anp.atleast_2d(x * 2).T, -1)),
    "views of a copy that is not returned": lambda x: _parts(anp.reshape(anp.atleast_2d(x * 2).T, -1))[1:],
    "the real part of another result": lambda x: _with_itself(x * 2, anp.real),
    "cast to its own type": lambda x: (x.astype(float), x.astype(float, copy=False), x),
    "flattened": lambda x: (x.flatten(), x.flat[:], x.ravel()),
    "repeated once": lambda x: anp.tile(x, 1),
    "filled": lambda x: (anp.full_like(x, x), anp.full(x.shape, x)),
    "a mesh of one": lambda x: anp.meshgrid(x.ravel()),
    "in an order": lambda x: (anp.ascontiguousarray(x), anp.asfortranarray(x)),
    "made into arrays": lambda x: (anp.array(x, copy=None), anp.copy(x), anp.array(x, ndmin=3)),
    "of an array without dimensions": lambda x: _with_itself(x.sum() * anp.ones(()), anp.copy),
    "copies": lambda x: (x.copy(), anp.array(x), x[[0, 1]], x + 0),
}


def sharing(call, argument):
    """Which of the argument, the captured array and the results share memory, and which are one object."""
    arrays = [argument, CAPTURED, *[leaf for leaf in tree.flatten(call(argument))[0] if isinstance(leaf, np.ndarray)]]
    pairs = list(itertools.combinations(range(len(arrays)), 2))
    shared = [pair for pair in pairs if np.shares_memory(arrays[pair[0]], arrays[pair[1]])]
    same = [pair for pair in pairs if arrays[pair[0]] is arrays[pair[1]]]
    writeable = [array.flags.writeable for array in arrays]
    return shared, same, writeable, [array.strides for array in arrays]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("argument", [A, M, M.T, M[:, ::-1]], ids=["vector", "matrix", "Fortran", "reversed"])
def test_replays_share_memory_as_the_interpreted_run_does(name, argument):
    plain = PROGRAMS[name]
    compiled = jit(plain)
    for number in range(3):
        x = (argument + number).copy(order="K")
        assert_same(compiled(x), plain(x))
        assert sharing(compiled, x)[:3] == sharing(plain, x)[:3]
    assert compiled.stats.replays >= 3 and compiled.stats.fallbacks == 0


def test_what_is_written_into_a_view_is_written_into_the_argument():
    compiled = jit(lambda x: x[1:])
    x = A.copy()
    for number in range(3):
        compiled(x)[0] = number
        assert x[1] == number


def test_views_that_no_tape_can_make_run_interpreted():
    from autograd_jit.extend import primitive

    @primitive
    def tail(x):
        return np.asarray(x)[1:]

    compiled = jit(lambda x: tail(x))
    with pytest.warns(match="view of an argument, .* made by tail"):
        assert np.shares_memory(compiled(A), A)
    assert np.shares_memory(compiled(A), A)


@pytest.mark.parametrize("name", ["einsum", "constant", "numpy"])
def test_shared_memory_that_no_tape_can_make_runs_interpreted(name):
    function = {
        "einsum": lambda x: _with_itself(x * 2, lambda y: anp.einsum("ij->ji", anp.atleast_2d(y))),
        "constant": lambda x: (np.zeros(3),) * 2 + (x,),
        "numpy": lambda x: np.asarray(x),
    }[name]
    compiled = jit(function)
    with pytest.warns(match="share|view of|read-only"):
        compiled(A)
    assert sharing(compiled, A.copy()) == sharing(function, A.copy())
    assert compiled(A) is not None and compiled.stats.replays == 0


def test_views_that_a_followed_primitive_makes_are_replayed():
    from autograd_jit.extend import primitive

    tail = primitive(lambda x: x[1:])
    compiled = jit(lambda x: tail(x))
    for _ in range(3):
        assert np.shares_memory(compiled(A), A)
    assert (compiled.stats.replays, compiled.stats.fallbacks) == (2, 0)


def test_gradients_are_arrays_of_their_own():
    gradient = grad(lambda p: anp.sum(anp.concatenate(p) ** 2), jit=True)
    for _ in range(3):
        first, second = gradient((A.copy(), A.copy()))
        assert not np.shares_memory(first, second)
    assert gradient.stats.replays == 2
