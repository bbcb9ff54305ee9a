"""Python's containers and type tests on traced values."""

from __future__ import annotations

import builtins

import numpy as onp

import autograd_jit
import autograd_jit.builtins as ag
import autograd_jit.numpy as np
from autograd_jit import grad
from autograd_jit.numpy.numpy_boxes import ArrayBox


def test_containers_are_pythons_own():
    assert ag.tuple is builtins.tuple and ag.list is builtins.list and ag.dict is builtins.dict
    assert autograd_jit.tuple is builtins.tuple


def test_containers_of_traced_values_differentiate():
    assert grad(lambda x: ag.tuple((x, x * x))[1])(3.0) == 6.0
    assert grad(lambda x: ag.dict([("a", x), ("b", x**3)])["b"])(2.0) == 12.0
    assert grad(lambda p: sum(ag.list(p)))([1.0, 2.0]) == [1.0, 1.0]


def test_isinstance_and_type_see_the_value():
    seen = {}

    def fun(x):
        seen["array"] = ag.isinstance(x, onp.ndarray)
        seen["box"] = ag.isinstance(x, ArrayBox)
        seen["either"] = ag.isinstance(x, (str, onp.ndarray))
        seen["neither"] = ag.isinstance(x, (str, builtins.dict))
        seen["type"] = ag.type(x)
        seen["plain"] = builtins.type(x)
        return np.sum(x**3)

    grad(grad(lambda y: grad(fun)(onp.ones(2) * y)[0]))(1.0)
    assert seen == {
        "array": True,
        "box": True,
        "either": True,
        "neither": False,
        "type": onp.ndarray,
        "plain": ArrayBox,
    }
    assert ag.isinstance(3.0, float) and not ag.isinstance(3.0, int)
    assert ag.type(3.0) is float
    assert ag.type("Made", (), {"a": 1}).a == 1


def test_container_box_names_exist():
    def fun(p):
        assert not builtins.isinstance(p, (ag.SequenceBox, ag.DictBox))
        return p[0]

    assert grad(fun)((2.0,)) == (1.0,)
