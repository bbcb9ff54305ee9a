"""Classes that declare their fields."""

import copy
import dataclasses
import pickle

import pytest

from autograd_jit.records import field, fields, record, replaced


@record(frozen=True)
class Point:
    x: int
    y: int = 0
    names: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.x + self.y


@record(frozen=True)
class Pixel(Point):
    colour: str = "red"


@record(frozen=True, slots=True)
class Pair:
    left: int
    right: int = 1


@record
class Box:
    value: object


@record(eq=False)
class Node:
    parents: list
    depth: int = -1

    def __post_init__(self):
        self.depth = max([parent.depth for parent in self.parents], default=-1) + 1


def test_fields_come_in_order_with_defaults_by_position_or_name():
    assert fields(Point) == fields(Point(1)) == ("x", "y", "names")
    assert repr(Point(1)) == "Point(x=1, y=0, names=[])"
    assert repr(Pixel(1, 2, ["a"], colour="blue")) == "Pixel(x=1, y=2, names=['a'], colour='blue')"
    assert Point(y=3, x=2).total == 5
    assert Point.y == 0 and not hasattr(Point, "names")


def test_made_fields_are_made_anew():
    first, second = Point(1), Point(1)
    first.names.append("a")
    assert second.names == []


@pytest.mark.parametrize("arguments", [(), (1, 2, [], 4)])
def test_wrong_arguments_raise_as_they_do_for_functions(arguments):
    with pytest.raises(TypeError, match=r"Point.__init__\(\)"):
        Point(*arguments)


def test_required_fields_behind_optional_ones_are_refused():
    with pytest.raises(SyntaxError):

        @record
        class Wrong:
            x: int = 0
            y: int


def test_equality_is_of_all_fields_and_of_one_class():
    assert Pair(1) == Pair(1, 1) != Pair(1, 2)
    assert Point(1) != Pixel(1) and Pair(1) != (1, 1)
    assert Box(3) == Box(3) != Box(4)
    assert Node([]) != Node([])


def test_frozen_records_are_hashed_by_their_fields_others_not_at_all_or_by_identity():
    assert hash(Pair(1)) == hash(Pair(1, 1)) and len({Pair(1), Pair(1, 1), Pair(2)}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Box(1))
    assert len({Node([]), Node([])}) == 2


def test_slots_leave_no_room_for_anything_else():
    with pytest.raises(AttributeError):
        Pair(1).other = 2
    assert not hasattr(Pair(1), "__dict__")


def test_what_is_to_be_done_behind_the_fields():
    assert Node([Node([]), Node([Node([])])]).depth == 2


def test_replaced():
    names = ["a"]
    point = Pixel(1, names=names)
    assert replaced(point, y=5) == Pixel(1, 5, ["a"]) and replaced(point, y=5).names is names
    with pytest.raises(TypeError):
        replaced(point, z=1)


def test_copies_and_pickles():
    for record_ in (Pixel(1, 2, ["a"]), Pair(3, 4)):
        assert copy.deepcopy(record_) == record_ == pickle.loads(pickle.dumps(record_))


def test_they_are_no_dataclasses_of_users():
    """Users' dataclasses are containers of arrays."""
    assert not dataclasses.is_dataclass(Point)
