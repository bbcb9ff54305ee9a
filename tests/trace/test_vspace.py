"""Vector spaces keep their axioms."""

from __future__ import annotations

from collections import namedtuple

import numpy as onp
import pytest

from autograd_jit.errors import NonDifferentiableError
from autograd_jit.extend import VSpace, vspace
from autograd_jit.misc import flatten
from autograd_jit.trace.vspace import ArrayVSpace, ComplexArrayVSpace, ContainerVSpace, is_differentiable

Point = namedtuple("Point", "x y")
A = onp.arange(6.0).reshape(2, 3)
VALUES = [
    1.5,
    2.0 + 1j,
    onp.float32(1.0),
    onp.complex64(1.0),
    A,
    A.astype("float32"),
    A + 1j,
    onp.array(3.0),
    onp.zeros((0, 2)),
    [1.0, A],
    (A, {"a": 1.0, "b": [2.0j]}),
    Point(A, 2.0),
    {"w": A, "n": 3, "name": "net"},
]


def numbers(value):
    return flatten(value)[0]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_axioms(value):
    space = vspace(value)
    x, y, z = space.randn(), space.randn(), space.randn()
    add, scale, inner = space.add, space.scalar_mul, space.inner_prod

    def same(a, b):
        assert vspace(a) == space or space.size == 0
        onp.testing.assert_allclose(numbers(a), numbers(b), rtol=1e-4, atol=1e-4)

    same(add(x, y), add(y, x))
    same(add(add(x, y), z), add(x, add(y, z)))
    same(add(x, space.zeros()), x)
    same(add(x, scale(x, -1.0)), space.zeros())
    same(scale(add(x, y), 2.0), add(scale(x, 2.0), scale(y, 2.0)))
    same(add(None, x), x)
    before = numbers(x).copy()
    same(space.mut_add(space.add(x, space.zeros()), y), add(x, y))
    assert onp.array_equal(numbers(x), before)
    same(space.mut_add(None, x), x)
    assert inner(x, y) == pytest.approx(inner(y, x), rel=1e-4, abs=1e-4)
    assert inner(add(x, y), z) == pytest.approx(inner(x, z) + inner(y, z), rel=1e-3, abs=1e-3)
    assert inner(x, x) >= 0.0
    same(space.covector(space.covector(x)), x)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_the_standard_basis_is_orthonormal_and_complete(value):
    space = vspace(value)
    basis = list(space.standard_basis())
    assert len(basis) == space.size
    gram = [[float(space.inner_prod(a, b)) for b in basis] for a in basis]
    assert gram == onp.eye(space.size).tolist()
    total = space.zeros()
    for vector in basis:
        total = space.add(total, vector)
    assert numbers(total).tolist() == numbers(space.ones()).tolist()


def test_kinds_and_equality():
    assert type(vspace(A)) is ArrayVSpace and type(vspace(A + 1j)) is ComplexArrayVSpace
    assert type(vspace((A,))) is ContainerVSpace
    assert vspace(A) == vspace(A + 1.0) != vspace(A.T)
    assert vspace(A) != vspace(A.astype("float32")) and vspace(A) != vspace(A + 1j)
    assert vspace([A]) != vspace((A,)) and vspace([A]) == vspace([A * 2])
    assert vspace(1.5) == vspace(onp.float64(2.0))
    assert hash(vspace(A)) == hash(vspace(A + 1.0))
    assert vspace(A + 1j).iscomplex and not vspace(A).iscomplex
    assert vspace(A).shape == (2, 3) and vspace(A).ndim == 2 and "(2, 3)" in repr(vspace(A))


def test_constants_may_be_arrays():
    assert vspace({"w": 1.0, "index": onp.arange(3)}) == vspace({"w": 2.0, "index": onp.arange(3)})


def test_values_without_a_space():
    for value in (3, True, "text", None, {1.0}, object()):
        assert not is_differentiable(value)
        with pytest.raises(NonDifferentiableError, match=r"floats, complex numbers"):
            vspace(value)
    with pytest.raises(NonDifferentiableError, match="dtype"):
        vspace(onp.array(["a"]))
    assert not is_differentiable(onp.arange(3)) and is_differentiable(onp.float16(1))


def test_registration():
    class Own:
        pass

    class OwnVSpace(VSpace):
        def __init__(self, value):
            self.made_from = value

    own = Own()
    OwnVSpace.register(Own)
    assert vspace(own).made_from is own
    OwnVSpace.register(Own, lambda value: vspace(1.0))
    assert vspace(own) == vspace(1.0)
    del VSpace.mappings[Own]
    with pytest.raises(TypeError, match="does not define zeros"):
        OwnVSpace(own).zeros()
