"""Containers to vectors and back."""

from __future__ import annotations

import importlib
from collections import OrderedDict, namedtuple

import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad, hessian, jacobian, make_jvp
from autograd_jit.misc import flatten
from autograd_jit.misc.flatten import flatten_func

#: the module; in the package, Autograd's function of the same name hides it
THEIRS = importlib.import_module("autograd.misc.flatten")
A = onp.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    "value",
    [
        3.0,
        A,
        [],
        (1.0, A, [A[0], 2.0]),
        {"b": 1.0, "a": [2.0, A], "c": {"z": A[1], "y": 3.0}},
        [(A, A[0]), {"x": 1.0}],
        (1.0, 2.0j),
    ],
)
def test_agrees_with_autograd(value):
    vector, unflatten = flatten(value)
    if vector.dtype.kind == "c":
        assert vector.tolist() == [1.0, 2.0j]
        return  # Autograd flattens this but cannot take it apart
    expected, their_unflatten = THEIRS.flatten(value)
    assert vector.tolist() == expected.tolist() and vector.dtype == expected.dtype
    ours, theirs = unflatten(2.0 * vector), their_unflatten(2.0 * expected)
    assert repr(flatten(ours)[0]) == repr(flatten(theirs)[0])


def test_round_trip_keeps_types():
    Point = namedtuple("Point", "x y")
    value = {
        "p": Point(onp.ones(2, "float32"), 1.5),
        "d": OrderedDict(b=A.T, a=onp.float32(2.0)),
        "n": 3,
        "on": True,
        "name": "net",
        "none": None,
        "ints": onp.arange(3),
        "empty": onp.zeros((0, 2)),
    }
    vector, unflatten = flatten(value)
    assert vector.shape == (2 + 1 + 6 + 1,)
    back = unflatten(vector)
    assert list(back) == list(value)
    assert type(back["p"]) is Point and back["p"].x.dtype == "float32" and isinstance(back["p"].y, float)
    assert type(back["d"]) is OrderedDict and list(back["d"]) == ["b", "a"]
    assert onp.array_equal(back["d"]["b"], A.T) and back["d"]["a"].dtype == "float32"
    assert back["n"] == 3 and back["on"] is True and back["name"] == "net" and back["none"] is None
    assert back["ints"].tolist() == [0, 1, 2] and back["empty"].shape == (0, 2)


def test_complex_leaves_make_the_others_real_again():
    vector, unflatten = flatten([1.0, 2.0j])
    assert vector.dtype == complex
    assert unflatten(vector) == [1.0, 2.0j] and isinstance(unflatten(vector)[0], float)
    _, unflatten = flatten([1.0, 2.0])
    assert unflatten(onp.array([1.0 + 1e-20j, 2.0]))[0].imag == 1e-20  # complex steps pass


def test_both_ways_are_differentiable():
    value = {"w": A, "b": 2.0, "n": 3}
    loss = lambda p: np.sum(np.sin(p["w"]) * p["b"] ** p["n"])
    vector, unflatten = flatten(value)
    flat_loss = lambda v: loss(unflatten(v))
    assert onp.allclose(grad(flat_loss)(vector), flatten(grad(loss)(value))[0])
    through = lambda p: flat_loss(flatten(p)[0])
    assert onp.allclose(grad(through)(value)["w"], grad(loss)(value)["w"])
    assert hessian(flat_loss)(vector).shape == (7, 7)
    assert onp.allclose(jacobian(lambda v: flatten(unflatten(v))[0])(vector), onp.eye(7))
    assert onp.allclose(make_jvp(flat_loss)(vector)(vector)[1], grad(flat_loss)(vector) @ vector)


def test_a_wrong_length_is_refused():
    _, unflatten = flatten([1.0, A])
    with pytest.raises(ValueError, match=r"\(7,\), not \(6,\)"):
        unflatten(onp.ones(6))


def test_unsortable_keys_keep_their_order():
    assert flatten({"a": 1.0, 2: 2.0})[0].tolist() == [1.0, 2.0]


def test_flatten_func():
    fun = lambda p, k: {"out": p["u"] * k}
    flat, unflatten, example = flatten_func(fun, {"u": onp.ones(2)})
    theirs = THEIRS.flatten_func(fun, {"u": onp.ones(2)})
    assert example.tolist() == theirs[2].tolist()
    assert flat(2 * example, 3.0).tolist() == theirs[0](2 * example, 3.0).tolist() == [6.0, 6.0]
    assert unflatten(example)["u"].tolist() == [1.0, 1.0]
    assert onp.allclose(jacobian(flat)(example, 3.0), 3 * onp.eye(2))
