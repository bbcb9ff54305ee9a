"""Boxes, levels and primitives."""

from __future__ import annotations

import threading

import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad, make_jvp
from autograd_jit.errors import NonDifferentiableError, TracedValueError
from autograd_jit.extend import Box, defvjp, notrace_primitive, primitive
from autograd_jit.trace.reverse import VJPNode
from autograd_jit.trace.tracer import getval, isbox, new_box, new_level

X = onp.array([0.5, -1.0, 2.0])


def test_levels_grow():
    assert new_level() < new_level()


def test_isbox_and_getval():
    inner = new_box(X, new_level(), VJPNode(X))
    outer = new_box(inner, new_level(), VJPNode(inner))
    assert isbox(inner) and isbox(outer) and not isbox(X)
    assert getval(outer) is X and getval(3) == 3
    assert "Autograd ArrayBox with value" in str(inner) and "0.5" in repr(inner)


def test_values_of_unknown_type_cannot_be_boxed():
    with pytest.raises(NonDifferentiableError, match=r"builtins\.set"):
        new_box({1.0}, new_level(), VJPNode(1.0))


def test_primitives_are_plain_functions_on_plain_values():
    @primitive
    def cube(x):
        """Third power."""
        return x**3

    assert cube(2) == 8 and type(cube(2)) is int
    assert cube.__name__ == "cube" and cube.__doc__ == "Third power."
    assert repr(cube.primitive) == "<primitive cube>"
    assert primitive(onp.sin).__name__ == "sin"

    class Callable:
        def __call__(self, x):
            return x + 1

    assert primitive(Callable())(1) == 2


def test_primitives_see_plain_values_only():
    seen = []
    f = primitive(lambda x, y: seen.append((type(x), type(y))) or onp.sum(x * y))
    defvjp(f, lambda ans, x, y: lambda g: g * y, lambda ans, x, y: lambda g: g * x)
    grad(lambda y: grad(f)(X, y)[0])(2.0)
    assert seen == [(onp.ndarray, float)]


def test_functions_without_derivative_are_invisible():
    step = notrace_primitive(lambda x: onp.floor(x))
    results = []
    grad(lambda x: (results.append(step(x)), x)[1])(2.5)
    assert results == [2.0] and not isbox(results[0])


def test_branches_see_values():
    f = lambda x: x**2 if x > 0 else -x
    assert grad(f)(3.0) == 6.0 and grad(f)(-3.0) == -1.0
    assert grad(lambda x: x if x else 2 * x)(0.0) == 2.0


def test_perturbation_confusion():
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert make_jvp(lambda x: x * grad(lambda y: x * y)(1.0))(3.0)(1.0)[1] == 6.0


def test_an_exception_leaves_nothing_behind():
    def fails(x):
        raise ValueError("mine")

    for _ in range(3):
        with pytest.raises(ValueError, match="mine"):
            grad(lambda x: grad(fails)(x) * x)(1.0)
        assert grad(lambda x: grad(lambda y: x * y**2)(2.0))(3.0) == 4.0


def test_a_box_that_escaped_is_of_no_harm():
    escaped = []
    grad(lambda x: (escaped.append(x), x**2)[1])(3.0)
    assert grad(lambda x: x * getval(escaped[0]))(2.0) == 3.0


def test_traced_keyword_arguments_are_refused_by_name():
    f = primitive(lambda x, scale=1.0: x * scale)
    with pytest.raises(TracedValueError, match=r"<lambda>\(\) was given a traced value as keyword argument 'scale'"):
        grad(lambda s: f(1.0, scale=s))(2.0)
    with pytest.raises(TracedValueError, match="scale"):
        grad(lambda s: f(1.0, scale=[s]))(2.0)


def test_registering_a_box_class():
    class Own:
        pass

    class OwnBox(Box):
        __slots__ = ()

    OwnBox.register(Own)
    try:
        box = new_box(Own(), new_level(), VJPNode(1.0))
        assert type(box) is OwnBox and isbox(box)
        assert type(new_box(box, new_level(), VJPNode(1.0))) is OwnBox
    finally:
        del Box.type_mappings[Own], Box.type_mappings[OwnBox]
        Box.types.discard(OwnBox)


def test_nested_gradients_in_threads():
    results: dict[float, list] = {}

    def work(k):
        results[k] = [grad(grad(grad(lambda x: k * x**4)))(1.0) for _ in range(50)]

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {float(k): [24.0 * k] * 50 for k in range(1, 5)}


def test_plain_numpy_functions_see_boxes():
    assert grad(lambda x: onp.sum(onp.sin(x)))(X).tolist() == onp.cos(X).tolist()
    assert grad(lambda x: np.sum(onp.ones(3) * x))(X).tolist() == [1.0, 1.0, 1.0]
