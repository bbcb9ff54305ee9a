"""Containers taken apart and put together again."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict, namedtuple

import pytest

from autograd_jit.trace import tree

Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Layer:
    weight: float
    bias: tuple
    cache: int = dataclasses.field(default=0, init=False)


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: float


VALUES = [
    1.0,
    None,
    (),
    [],
    {},
    (1.0, [2.0, (3.0,)], {"b": 4.0, "a": {"z": 5.0}}),
    OrderedDict(b=1.0, a=[2.0]),
    defaultdict(list, k=1.0),
    Point(1.0, Point(2.0, [3.0])),
    Layer(1.0, (2.0, 3.0)),
    [Frozen(1.0)],
    {1: 2.0, "x": None},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_round_trip(value):
    leaves, structure = tree.flatten(value)
    back = tree.unflatten(structure, leaves)
    assert back == value and type(back) is type(value)
    assert (structure is tree.LEAF) == (not tree.is_container(value))
    assert (1 if structure is tree.LEAF else structure.size) == len(leaves)
    assert tree.flatten(back)[1] == structure
    assert not any(tree.is_container(leaf) for leaf in leaves)


def test_order_and_mapping():
    value = {"b": 1.0, "a": (2.0, 3.0)}
    assert tree.flatten(value)[0] == [1.0, 2.0, 3.0]
    doubled = tree.map_leaves(lambda leaf: 2 * leaf, value)
    assert doubled == {"b": 2.0, "a": (4.0, 6.0)} and list(doubled) == ["b", "a"]
    rebuilt = tree.unflatten(tree.flatten(defaultdict(list, k=1.0))[1], [2.0])
    assert rebuilt["missing"] == []


def test_structures_differ():
    structures = [tree.flatten(value)[1] for value in ([1.0], (1.0,), {"a": 1.0}, {"b": 1.0}, Frozen(1.0), [1.0, 2.0])]
    for i, one in enumerate(structures):
        for other in structures[i + 1 :]:
            assert one != other


def test_leaves():
    for value in ("text", {1.0}, Layer, Point, range(3), b"raw"):
        assert not tree.is_container(value)


def test_subclasses_that_cannot_be_rebuilt_are_leaves():
    class Params(dict):
        pass

    assert not tree.is_container(Params(a=1.0))
