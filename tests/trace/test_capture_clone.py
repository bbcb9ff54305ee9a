"""A clone of a function reads other values from the same variables, and is the function otherwise."""

from __future__ import annotations

import functools

import numpy as np

from autograd_jit.trace.captures import clone_with
from tests.trace.capture_support import fresh, program


def test_clone_replaces_variables_and_nothing_else():
    user = program(
        """
        X = np.ones(2)
        def helper(x): return x * X
        def fact(n): return X if n == 0 else n * fact(n - 1)
        def f(x, d=np.ones(3), *, k=np.ones(4)):
            "doc"
            return helper(x) + fact(3) + d + k
        def untouched(): return X
        """
    )
    user.f.tag = "t"
    captures = fresh(user.f)
    names = {array.paths[0]: index for index, array in enumerate(captures.arrays)}
    boxes: list[object] = [0.0] * 3
    boxes[names["X"]], boxes[names["d="]], boxes[names["k="]] = 2.0, 100.0, 1000.0
    clone = clone_with(user.f, captures, boxes).call
    assert clone(5.0) == 10.0 + 12.0 + 1100.0
    assert (clone.__name__, clone.__doc__, clone.tag, clone.__module__) == (
        "f",
        "doc",
        "t",
        user.f.__module__,
    )
    assert user.f(1.0, 0.0, k=0.0).shape == (2,) and user.untouched() is user.X


def test_clone_shares_cells_that_were_shared():
    data, n = np.ones(2), 3

    def inner(x):
        return x * data * n

    def outer(x):
        return inner(x) + data

    captures = fresh(outer)
    clone = clone_with(outer, captures, [10.0]).call
    assert clone(2.0) == 70.0
    cells = dict(zip(clone.__code__.co_freevars, clone.__closure__))
    inner_cells = dict(zip(cells["inner"].cell_contents.__code__.co_freevars, cells["inner"].cell_contents.__closure__))
    assert inner_cells["data"] is cells["data"]
    original = dict(zip(inner.__code__.co_freevars, inner.__closure__))
    assert inner_cells["n"] is original["n"]


def test_clone_of_mutual_recursion_methods_and_partials():
    data = np.ones(2)

    def even(n):
        return data if n == 0 else odd(n - 1)

    def odd(n):
        return even(n - 1)

    class Model:
        def loss(self, x, scale=np.full(2, 3.0)):  # noqa: B008
            return (self, x * scale)

    assert clone_with(even, fresh(even), [7.0]).call(4) == 7.0
    model = Model()
    captures = fresh(model.loss)
    assert clone_with(model.loss, captures, [5.0]).call(2.0) == (model, 10.0)
    part = functools.partial(lambda a, b, c: a + b + c, np.ones(1), c=np.ones(2))
    assert clone_with(part, fresh(part), [1.0, 10.0]).call(100.0) == 111.0


def test_arrays_seen_from_uncloned_functions_are_held():
    user = program(
        """
        X, Y = np.ones(2), np.ones(2)
        def listed(x): return x * X
        table = {listed}
        class C:
            def m(self, x): return x * Y
        c = C()
        def f(x): return next(iter(table))(x) + X + c.m(x) + Y
        """
    )
    captures = fresh(user.f)
    assert captures.arrays == () and len(captures.held_arrays) == 2
    user.X = np.ones(2)
    assert not captures.check(user.f)
    user = program("X = np.ones(2)\nkept = [X]\ndef f(x): return X is kept[0]")
    captures = fresh(user.f)
    assert len(captures.arrays) == 1 and clone_with(user.f, captures, [1.5]).call(0) is True
