"""Users' primitives and registered types under ``jit``: followed, taken apart, put together, never unseen."""

import dataclasses
import math
import warnings

import numpy
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad, hessian, jit, value_and_grad
from autograd_jit.extend import Box, VSpace, defvjp, primitive
from autograd_jit.known_programs import registry
from autograd_jit.trace import tree

WIDTH = 0.5


class Curve:
    """Heights over places; a vector space in its heights."""

    UNIT = numpy.ones(1)

    def __init__(self, places, heights):
        self.places, self.heights = places, heights

    def __call__(self, x):
        return value_at(self, x)

    def __add__(self, other):
        return combined(self, other)

    def __rmul__(self, factor):
        return scaled(self, factor)

    def squared(self):
        return norm(self) ** 2 * self.UNIT[0]


@primitive
def value_at(curve, x):
    return np.sum(curve.heights * np.exp(-(((x - curve.places) / WIDTH) ** 2)))


@primitive
def combined(left, right):
    return Curve(left.places, left.heights + right.heights)


@primitive
def scaled(curve, factor):
    return Curve(curve.places, factor * curve.heights)


@primitive
def norm(curve):
    return np.sqrt(np.sum(curve.heights**2))


@primitive
def by_foreign_code(curve):
    """The ``math`` module takes numbers only."""
    return sum([math.sin(height) for height in curve.heights])


@primitive
def without_zeros(curve):
    """As many places as the heights ask for."""
    kept = numpy.flatnonzero(numpy.array(curve.heights))
    return Curve(numpy.array(curve.places)[kept], numpy.array(curve.heights)[kept])


class CurveBox(Box):
    __slots__ = ()
    __call__ = Curve.__call__
    __add__ = Curve.__add__
    __rmul__ = Curve.__rmul__
    squared = Curve.squared
    UNIT = Curve.UNIT
    heights = property(lambda self: heights_of(self))


class CurveSpace(VSpace):
    def _add(self, x, y):
        return combined(x, y)

    def _scalar_mul(self, x, a):
        return scaled(x, a)


heights_of = primitive(lambda curve: curve.heights)
defvjp(heights_of, lambda ans, curve: lambda g: Curve(curve.places, g))
defvjp(
    value_at,
    lambda ans, curve, x: lambda g: Curve(curve.places, g * np.exp(-(((x - curve.places) / WIDTH) ** 2))),
    None,
)
defvjp(combined, lambda ans, left, right: lambda g: g, lambda ans, left, right: lambda g: g)
defvjp(scaled, lambda ans, curve, factor: lambda g: scaled(g, factor), None)
defvjp(norm, lambda ans, curve: lambda g: scaled(curve, g / ans))
defvjp(by_foreign_code, lambda ans, curve: lambda g: Curve(curve.places, g * np.cos(curve.heights)))
CurveBox.register(Curve)
CurveSpace.register(Curve)


@pytest.fixture(autouse=True)
def no_programs():
    """Functions of one code share their programs: each test counts its own traces."""
    registry.clear()


def curve(seed=0, count=4):
    random = numpy.random.RandomState(seed)
    return Curve(random.randn(count), random.randn(count))


def assert_equal(got, want):
    (leaves, structure), (wanted, wanted_structure) = [tree.flatten(value, opened=True) for value in (got, want)]
    assert structure == wanted_structure
    for leaf, other in zip(leaves, wanted, strict=True):
        numpy.testing.assert_allclose(leaf, other, rtol=1e-12, atol=1e-14)


def held_against_interpreted(fun, operator, calls):
    """The compiled function after calls whose answers were those of the interpreted one, without a fall-back."""
    compiled, interpreted = operator(fun, jit=True), operator(fun)
    for args in calls:
        assert_equal(compiled(*args), interpreted(*args))
    assert compiled.stats.fallbacks == 0, compiled.explain()
    return compiled


def loss(function, x):
    return (function(x) - 1.0) ** 2 + 0.1 * function.squared()


def test_gradients_by_an_object_replay_natively():
    calls = [(curve(seed), float(seed)) for seed in range(6)]
    compiled = held_against_interpreted(loss, value_and_grad, calls)
    assert (compiled.stats.traces, compiled.stats.replays, compiled.stats.python_steps) == (1, 5, 0)


def test_results_are_new_objects_each_time():
    compiled = grad(loss, jit=True)
    given = curve()
    first, second, third = [compiled(given, 0.5) for _ in range(3)]
    assert type(third) is Curve
    third.heights[:] = 0.0
    assert_equal(first, second)
    assert_equal(compiled(given, 0.5), first)


def test_the_caller_may_change_an_object_between_calls():
    compiled, given = value_and_grad(loss, jit=True), curve()
    for step in range(4):
        given.heights = given.heights + step
        assert_equal(compiled(given, 0.5), value_and_grad(loss)(given, 0.5))
    assert compiled.stats.traces == 1


def test_other_attributes_are_another_signature():
    given, other = curve(), curve()
    other.name = "other"
    compiled = held_against_interpreted(loss, value_and_grad, [(given, 0.1), (other, 0.1), (given, 0.2), (other, 0.2)])
    assert compiled.stats.traces == 2


def test_what_a_primitive_reads_is_guarded(monkeypatch):
    compiled, given = value_and_grad(loss, jit=True), curve()
    for width in (0.5, 0.5, 0.25, 0.25, 0.5):
        monkeypatch.setitem(globals(), "WIDTH", width)
        assert_equal(compiled(given, 0.5), value_and_grad(loss)(given, 0.5))
    assert compiled.stats.fallbacks == 0


def test_a_method_that_is_replaced_is_noticed(monkeypatch):
    compiled, given = value_and_grad(loss, jit=True), curve()
    compiled(given, 0.5), compiled(given, 0.5)
    monkeypatch.setattr(CurveBox, "squared", lambda self: 2.0 * norm(self))
    assert_equal(compiled(given, 0.5), value_and_grad(loss)(given, 0.5))


def test_contents_of_a_class_are_noticed(monkeypatch):
    compiled, given = value_and_grad(loss, jit=True), curve()
    compiled(given, 0.5), compiled(given, 0.5)
    Curve.UNIT[0] = 3.0
    try:
        assert_equal(compiled(given, 0.5), value_and_grad(loss)(given, 0.5))
    finally:
        Curve.UNIT[0] = 1.0


def test_a_vector_space_that_changes_is_noticed(monkeypatch):
    compiled, given = value_and_grad(loss, jit=True), curve()
    compiled(given, 0.5), compiled(given, 0.5)
    monkeypatch.setattr(CurveSpace, "_add", lambda self, x, y: scaled(combined(x, y), 2.0))
    assert_equal(compiled(given, 0.5), value_and_grad(loss)(given, 0.5))


def test_foreign_code_is_a_step():
    compiled = held_against_interpreted(
        lambda function: by_foreign_code(function) * 2.0, value_and_grad, [(curve(seed),) for seed in range(5)]
    )
    assert (compiled.stats.traces, compiled.stats.python_steps) == (1, 1)


def test_a_step_that_gives_another_shape_is_traced_again():
    sparse = Curve(numpy.arange(4.0), numpy.array([1.0, 0.0, 2.0, 0.0]))
    calls = [(curve(1),), (curve(2),), (sparse,), (sparse,), (curve(3),)]
    compiled = held_against_interpreted(lambda function: norm(without_zeros(function)), jit_operator, calls)
    assert compiled.stats.traces == 2


def jit_operator(fun, jit=False):
    return globals()["jit"](fun) if jit else fun


def test_steps_and_numbers_share_one_program():
    def mixed(function, x):
        return function(x) + by_foreign_code(function) * np.sin(x)

    held_against_interpreted(mixed, value_and_grad, [(curve(seed), 0.1 * seed) for seed in range(5)])


def test_objects_made_of_differentiated_numbers():
    """The boxes are inside of the object: the interpreter differentiates the primitives' functions, too."""

    def made(heights, x):
        return (value_at(Curve(numpy.arange(3.0), heights), x) - 1.0) ** 2

    calls = [(numpy.random.RandomState(seed).randn(3), 0.3 * seed) for seed in range(4)]
    compiled = held_against_interpreted(made, hessian, calls)
    assert (compiled.stats.traces, compiled.stats.python_steps) == (1, 0)


def test_what_is_read_where_boxes_are_inside_is_guarded(monkeypatch):
    def made(heights):
        return value_at(Curve(numpy.arange(3.0), heights), 1.0)

    compiled, heights = grad(made, jit=True), numpy.ones(3)
    for width in (0.5, 0.5, 0.25, 0.25):
        monkeypatch.setitem(globals(), "WIDTH", width)
        assert_equal(compiled(heights), grad(made)(heights))


def test_gradients_inside_of_the_compiled_function():
    def inner(function, x):
        return grad(loss)(function, x).heights * x

    compiled = held_against_interpreted(inner, jit_operator, [(curve(seed), 0.5 * seed) for seed in range(4)])
    assert compiled.stats.traces == 1


def test_numbers_times_objects():
    """NumPy leaves the product to the object: a step, whatever made the number."""

    def fun(function, x):
        return norm(np.sin(x) * function)

    held_against_interpreted(fun, jit_operator, [(curve(seed), 0.5 + seed) for seed in range(4)])
    interpreted, compiled = value_and_grad(fun), value_and_grad(fun, jit=True)
    with pytest.warns(UserWarning, match="runs interpreted"):  # a box takes the product for one of arrays
        compiled(curve(0), 0.5)
    for seed in range(4):
        assert_equal(compiled(curve(seed), 0.5 + seed), interpreted(curve(seed), 0.5 + seed))


def test_objects_in_containers():
    def total(functions, x):
        return sum([loss(function, x) for function in functions["all"]])

    calls = [({"all": [curve(seed), curve(seed + 1)]}, 0.5) for seed in range(4)]
    compiled = held_against_interpreted(total, value_and_grad, calls)
    assert compiled.stats.traces == 1


def test_a_function_that_changes_the_object_changes_the_callers():
    def renamed(function, x):
        function.heights = function.heights * 2.0
        return np.sum(function.heights) * x

    compiled, given = jit(renamed), curve()
    with pytest.warns(UserWarning, match="changes a container"):
        compiled(given, 1.0)
    numpy.testing.assert_array_equal(given.heights, 2.0 * curve().heights)
    compiled(given, 1.0)
    numpy.testing.assert_array_equal(given.heights, 4.0 * curve().heights)


def test_a_primitive_that_changes_the_object_runs_interpreted():
    @primitive
    def emptied(function):
        total = float(numpy.sum(numpy.array(function.heights)))
        function.heights = numpy.zeros(1)
        return total

    def fun(function):
        inside = combined(function, function)
        return emptied(inside) + np.sum(inside.heights)

    compiled = jit(fun)
    with pytest.warns(UserWarning, match="emptied changes a value that it is given"):
        first = compiled(curve())
    assert first == compiled(curve()) == fun(curve())


def test_a_primitive_that_counts_its_calls_is_called_each_time():
    calls = []

    @primitive
    def counted(function):
        calls.append(1)
        return np.sum(function.heights)

    compiled = jit(lambda function: counted(function) + 1.0)
    with pytest.warns(UserWarning, match="counted changes captured state `calls`"):
        answers = [compiled(curve(seed)) for seed in range(4)]
    numpy.testing.assert_allclose(answers, [numpy.sum(curve(seed).heights) + 1.0 for seed in range(4)])
    assert len(calls) >= 4


def test_addresses_are_those_of_the_callers_object():
    def shown(function):
        return np.sum(function.heights) + hash(function) % 7

    compiled, given = jit(shown), curve()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [compiled(given) for _ in range(3)] == [shown(given)] * 3


def test_identity_is_that_of_the_callers_object():
    known = curve()

    def told_apart(function):
        return np.sum(function.heights) * (2.0 if function is known else 1.0)

    compiled = jit(told_apart)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for given in (known, known, curve(), known):
            assert compiled(given) == pytest.approx(told_apart(given), rel=1e-14)


def test_objects_that_lead_back_to_themselves():
    given = curve()
    given.itself = given
    compiled = value_and_grad(loss, jit=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert float(compiled(given, 0.5)[0]) == pytest.approx(float(value_and_grad(loss)(given, 0.5)[0]), rel=1e-12)


def test_objects_with_more_than_arrays_inside():
    """A function among the attributes may be anything: the object is known by its identity."""
    given = curve()
    given.rule = lambda x: x * 2.0

    def ruled(function, x):
        return function.rule(x) * np.sum(function.heights)

    compiled = jit(ruled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            assert compiled(given, 0.5) == pytest.approx(ruled(given, 0.5), rel=1e-12)
        given.rule = lambda x: x * 3.0
        assert compiled(given, 0.5) == pytest.approx(ruled(given, 0.5), rel=1e-12)


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    label: str = ""
    norm: float = dataclasses.field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "norm", math.hypot(self.x, self.y))


class PointBox(Box):
    __slots__ = ()
    x = property(lambda self: x_of(self))


class PointSpace(VSpace):
    def _add(self, x, y):
        return x


x_of = primitive(lambda point: point.x)
defvjp(x_of, lambda ans, point: lambda g: (g, 0.0))
PointBox.register(Point)
PointSpace.register(Point)


def test_slots_and_computed_attributes():
    compiled = held_against_interpreted(
        lambda point: point.x**2 * (2.0 if point.label else 1.0),
        jit_operator,
        [(Point(1.0, 2.0),), (Point(3.0, 4.0),), (Point(1.0, 2.0, "far"),), (Point(2.0, 2.0, "far"),)],
    )
    assert compiled.stats.traces == 2
    gradient = held_against_interpreted(lambda point: point.x**2, grad, [(Point(1.0, 2.0),), (Point(3.0, 4.0),)])
    assert gradient.stats.replays == 1


def test_a_step_may_call_the_function_that_it_is_part_of():
    """A frame that is in use is not entered again."""
    depth = []

    @primitive
    def nested(x):
        depth.append(1)
        return float(numpy.sum(x)) + (compiled(numpy.array(x) * 0.5) if len(depth) % 4 else 0.0)

    def fun(x):
        return np.sum(x**2) + nested(x)

    compiled = jit(fun)
    plain = []

    def by_hand(x):
        plain.append(1)
        return numpy.sum(x**2) + numpy.sum(x) + (by_hand(x * 0.5) if len(plain) % 4 else 0.0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(6):
            depth.clear(), plain.clear()
            x = numpy.random.RandomState(seed).randn(3)
            numpy.testing.assert_allclose(compiled(x), by_hand(x), rtol=1e-12)


# ---------------------------------------------------------------- primitives of arrays

SHIFT = numpy.ones(3)


@primitive
def softened(x):
    """Plain NumPy on purpose."""
    return numpy.log1p(numpy.exp(-abs(x))) + numpy.maximum(x, 0.0) + SHIFT * WIDTH


defvjp(softened, lambda ans, x: lambda g: 2.0 * g / (1.0 + np.exp(-x)))  # twice the derivative: the rule's word stands


def arrays(count=4, size=3):
    return [(numpy.random.RandomState(seed).randn(size),) for seed in range(count)]


def test_a_primitive_written_in_numpy_is_followed_and_its_rule_kept():
    compiled = held_against_interpreted(lambda x: np.sum(softened(x) ** 2), grad, arrays())
    assert (compiled.stats.traces, compiled.stats.python_steps) == (1, 0)


def test_what_a_followed_primitive_captures_is_guarded(monkeypatch):
    fun = jit(lambda x: softened(x))
    (x,) = arrays(1)[0]
    for change in (lambda: None, lambda: monkeypatch.setitem(globals(), "WIDTH", 2.0), lambda: SHIFT.fill(3.0)):
        change()
        for _ in range(3):
            assert_equal(fun(x), softened(x))
    SHIFT.fill(1.0)
    assert_equal(fun(x), softened(x))
    assert fun.stats.fallbacks == 0


def halved_until_small(x):
    while numpy.max(abs(x)) > 1.0:
        x = x / 2.0
    return x


def element_by_element(x):
    return sum([x[i] * x[j] for i in range(len(x)) for j in range(len(x))])


def into_an_array_of_its_own(x):
    filled = numpy.zeros(len(x))
    for position in range(len(x)):
        filled[position] = x[position] ** 2
    return filled


@pytest.mark.parametrize(
    "function, size", [(halved_until_small, 3), (element_by_element, 40), (into_an_array_of_its_own, 3)]
)
def test_primitives_that_are_better_called(function, size):
    """By their numbers, for their length, since they write: each is one step of one program."""
    called = primitive(function)
    calls = [(10.0**seed * x,) for seed, (x,) in enumerate(arrays(5, size))]
    compiled = held_against_interpreted(lambda x: np.tanh(called(np.sin(x) * x)), jit_operator, calls)
    assert (compiled.stats.traces, compiled.stats.python_steps) == (1, 1)


def test_a_primitive_that_raises_raises_what_it_raises():
    @primitive
    def positive(x):
        if numpy.min(x) < 0:
            raise ValueError("negative")
        return x * 2.0

    compiled = jit(lambda x: positive(x) + 1.0)
    for _ in range(3):
        assert_equal(compiled(numpy.ones(2)), 3.0 * numpy.ones(2))
        with pytest.raises(ValueError, match="negative"):
            compiled(-numpy.ones(2))


def test_a_primitive_that_draws_has_the_interpreted_stream():
    @primitive
    def noisy(x):
        return x + np.random.normal(size=3)

    compiled, plain = jit(lambda x: noisy(x) * 2.0), lambda x: noisy(x) * 2.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        streams = []
        for fun in (compiled, plain):
            np.random.seed(7)
            streams.append([fun(x) for (x,) in arrays(5)])
    assert_equal(*streams)


def test_a_primitive_of_a_library_is_called():
    """``math.erf`` has nothing to follow."""
    erf = primitive(math.erf)
    compiled = held_against_interpreted(lambda x: erf(x[0]) + x[1], jit_operator, arrays())
    assert (compiled.stats.traces, compiled.stats.python_steps) == (1, 1)


def test_a_followed_primitive_that_writes_into_a_plain_argument_writes_each_time():
    """No box is written to, only the array beside it."""

    @primitive
    def counting(x, calls):
        calls[0] += 1.0
        return x * 2.0

    calls = numpy.zeros(1)
    compiled = jit(lambda x: counting(x, numpy.atleast_1d(calls)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(1, 5):
            assert_equal(compiled(numpy.ones(2)), 2.0 * numpy.ones(2))
            assert calls[0] == number


def test_draws_of_a_primitive_that_cannot_be_followed_are_made_once():
    @primitive
    def noisy(x):
        return x + np.random.normal(size=3) + math.sin(x[0])

    streams = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for fun in (jit(lambda x: noisy(x) * 2.0), lambda x: noisy(x) * 2.0):
            np.random.seed(7)
            streams.append([fun(x) for (x,) in arrays(5)])
    assert_equal(*streams)


@pytest.mark.parametrize("name", ["count", "power"])
def test_integer_arguments_of_followed_primitives(name):
    @primitive
    def repeated(x, count):
        return x * count if name == "count" else sum([x] * count)

    calls = [(x, 2 + number % 2) for number, (x,) in enumerate(arrays(6))]
    compiled = held_against_interpreted(lambda x, count: repeated(x, count), jit_operator, calls)
    assert compiled.stats.traces == 2


def test_captured_arrays_inside_a_followed_primitive_are_seen_when_they_change():
    table = numpy.ones(3)

    @primitive
    def weighted(x):
        return numpy.sum(table * x)

    fun = jit(lambda x: weighted(x) + 1.0)
    for step in range(4):
        table[:] = step
        assert_equal(fun(numpy.ones(3)), 3.0 * step + 1.0)
        assert_equal(fun(numpy.ones(3)), 3.0 * step + 1.0)
