"""Every way a value enters and leaves a compiled function: the answer is the interpreted one, in value and type."""

from __future__ import annotations

import collections
import collections.abc
import copy
import dataclasses
import enum
import math
import numbers
import warnings

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit, value_and_grad
from autograd_jit.errors import FallbackWarning
from autograd_jit.known_programs import registry
from tests.jit_support import assert_replayed, assert_same, compare

A = np.array([1.0, -2.0, 3.0])
B = np.array([0.5, 0.25, -4.0])
M = np.arange(12.0).reshape(3, 4) - 5.0

# ---------------------------------------------------------------- values taken out of an array

TAKEN = {
    "bool": lambda x: 1.0 if x[0] > 0 else -1.0,
    "bool of size one": lambda x: 1.0 if x[:1] > 0 else -1.0,
    "bool of many": lambda x: 1.0 if x > 0 else -1.0,
    "and or not": lambda x: (x[0] > 0 and x[1] > 0) or not x[2] > 0,
    "int": lambda x: int(x[0]) * 2,
    "int of nan": lambda x: _caught(lambda: int(x[0] / 0.0 - x[0] / 0.0)),
    "float": lambda x: float(x[0]) * 2,
    "float of many": lambda x: float(x),
    "complex": lambda x: complex(x[0]) * 1j,
    "item": lambda x: x.sum().item(),
    "item at": lambda x: x.item(1),
    "tolist": lambda x: x.tolist(),
    "index": lambda x: [10, 20, 30, 40, 50][np.argmax(x)],
    "index array": lambda x: np.array([10, 20, 30])[np.argsort(x)],
    "format": lambda x: f"{x[0]:.2f} {x}",
    "percent": lambda x: "%d %.1f %s" % (x[0], x[1], x[2]),  # noqa: UP031
    "str": lambda x: str(x),
    "repr": lambda x: repr(x),
    "hash": lambda x: hash(x[0]) == hash(float(x[0])),
    "hash of array": lambda x: hash(x),
    "dict key": lambda x: {1.0: "one", 2.0: "two"}.get(abs(x[0]), "other"),
    "dict keyed by values": lambda x: {v: i for i, v in enumerate(x)},
    "set": lambda x: len({v for v in x}),
    "in": lambda x: (3.0 in x, 7.0 in x),
    "in list": lambda x: x[0] in [1.0, 2.0],
    "iteration": lambda x: [v * 2 for v in x],
    "iteration of rows": lambda x: [row.sum() for row in np.outer(x, x)],
    "unpacking": lambda x: (lambda a, b, c: a * b + c)(*x),
    "starred": lambda x: [*x, 1.0],
    "enumerate zip": lambda x: sum(i * a * b for i, (a, b) in enumerate(zip(x, x[::-1]))),
    "len": lambda x: len(x) * x,
    "array": lambda x: np.array(x) + 1,
    "asarray": lambda x: np.asarray(x) * 2,
    "array of list": lambda x: np.array([x[0], x[1] * 2]),
    "float64": lambda x: np.float64(x[0]),
    "math": lambda x: math.exp(x[0]) + math.floor(x[1]) + math.ceil(x[2]),
    "math trunc": lambda x: math.trunc(x[0] * 1.5),
    "round": lambda x: (round(x[0] * 1.2345, 2), round(x[0])),
    "divmod": lambda x: divmod(x[0], 0.7),
    "max python": lambda x: max(x[0], x[1], x[2]),
    "min python key": lambda x: min(x, key=lambda v: abs(v)),
    "sorted": lambda x: sorted(x),
    "sorted reverse": lambda x: sorted(list(x), key=lambda v: -v),
    "sum python": lambda x: sum(x),
    "any all": lambda x: (any(v > 2 for v in x), all(v > -9 for v in x)),
    "reduce": lambda x: __import__("functools").reduce(lambda a, b: a * b, list(x)),
    "assert": lambda x: _asserting(x),
    "range": lambda x: sum(range(int(abs(x[0])) + 2)),
    "range of np int": lambda x: [i for i in range(np.argmax(x))],
    "slice by value": lambda x: x[: int(abs(x[0]))],
    "repetition": lambda x: [1] * int(abs(x[0])),
    "isinstance ndarray": lambda x: isinstance(x, np.ndarray) and not isinstance(x[0], np.ndarray),
    "isinstance float": lambda x: (isinstance(x[0], float), isinstance(x.sum(), np.floating)),
    "isinstance abc": lambda x: (
        isinstance(x[0], numbers.Real), isinstance(x, collections.abc.Iterable),
        isinstance(x[0], collections.abc.Iterable), isinstance(x, collections.abc.Sized),
    ),
    "class": lambda x: x.__class__ is np.ndarray and x[0].__class__.__name__,
    "type": lambda x: (type(x).__name__, type(x[0]) is np.float64),
    "hasattr": lambda x: (hasattr(x, "shape"), hasattr(x, "nothing"), hasattr(x[0], "item")),
    "metadata": lambda x: (x.shape, x.ndim, x.size, x.dtype, x.nbytes, x.itemsize),
    "strides": lambda x: x.strides,
    "flags": lambda x: bool(x.flags.c_contiguous),
    "base": lambda x: x.base is None,
    "flat": lambda x: [v for v in x.flat],
    "flat index": lambda x: x.flat[1],
    "view": lambda x: x.view(np.int64),
    "bytes": lambda x: x.tobytes(),
    "memoryview": lambda x: bytes(memoryview(x)),
    "deepcopy": lambda x: copy.deepcopy(x) * copy.copy(x),
    "try int": lambda x: _caught(lambda: [1, 2][int(abs(x[0]))]),
    "match": lambda x: _match(x[0]),
    "while": lambda x: _halve(x.sum()),
    "equality chain": lambda x: 0 < x[0] < 5,
    "ternary of arrays": lambda x: np.where(x > 0, x, 0).sum(),
    "compare none": lambda x: (x[0] == None, x is None, x[0] != "a"),  # noqa: E711
}  # fmt: skip


def _caught(function):
    try:
        return function()
    except Exception as error:
        return type(error).__name__


def _asserting(x):
    assert x[0] > 0, f"not positive: {x[0]}"
    return x * 2


def _match(value):
    match value:
        case 1.0:
            return "one"
        case float() if value > 2:
            return "large"
        case _:
            return "other"


def _halve(v):
    count = 0
    while abs(v) > 0.1 and count < 20:
        v = v / 2
        count += 1
    return v, count


VECTORS = [A, A * 2, A, B, A + 3, -A, np.array([0.0, np.nan, np.inf]), A]


@pytest.mark.parametrize("name", TAKEN)
def test_value_taken_out_of_an_array(name):
    compare(TAKEN[name], *[(x,) for x in VECTORS])


@pytest.mark.parametrize("name", TAKEN)
def test_value_taken_out_of_a_captured_array(name):
    function = TAKEN[name]
    for x in VECTORS[:4]:
        compare(lambda y: (function(x), y * 2), (A,), (B,))


def test_branches_replay_natively_for_other_values_of_the_same_side():
    jitted = assert_replayed(lambda x: x * 2 if x[0] > 0 else x / 2, (A,), (A * 3,), (-A,), (-B,), (B,))
    assert jitted.stats.traces == 2


# ---------------------------------------------------------------- Python scalars

SCALAR = {
    "add": lambda x: x + 1,
    "subtract": lambda x: 1 - x,
    "multiply": lambda x: x * 3 * x,
    "divide": lambda x: 1 / x,
    "divide by int": lambda x: x / 4,
    "floor divide": lambda x: x // 2,
    "modulo": lambda x: x % 3,
    "divmod": lambda x: divmod(x, 2),
    "reversed divmod": lambda x: divmod(7, x),
    "power": lambda x: x**2,
    "power of fraction": lambda x: x**0.5,
    "power negative": lambda x: x**-1,
    "power large": lambda x: x**400,
    "power of constant": lambda x: 2**x,
    "negative": lambda x: -x,
    "absolute": lambda x: abs(x),
    "compare": lambda x: (x > 1, x == 2, x != 2, x <= 0),
    "bool arithmetic": lambda x: (x > 1) + (x > 0),
    "bool times float": lambda x: (x > 1) * 2.5,
    "bool and": lambda x: (x > 1) & (x < 5),
    "invert bool": lambda x: ~(x > 1),
    "real imag": lambda x: (x.real, x.imag, x.conjugate()),
    "is_integer": lambda x: x.is_integer(),
    "no shape": lambda x: x.shape,
    "hasattr": lambda x: (hasattr(x, "shape"), hasattr(x, "hex"), getattr(x, "ndim", 7)),
    "len": lambda x: _caught(lambda: len(x)),
    "iter": lambda x: _caught(lambda: list(x)),
    "subscript": lambda x: _caught(lambda: x[0]),
    "isinstance": lambda x: (isinstance(x, float), isinstance(x, complex), isinstance(x, np.floating)),
    "iterable": lambda x: isinstance(x, collections.abc.Iterable),
    "type": lambda x: type(x).__name__,
    "numpy of it": lambda x: np.sin(x),
    "numpy shape": lambda x: (np.shape(x), np.ndim(x), np.size(x)),
    "anp of it": lambda x: anp.exp(x) + anp.tanh(x) * x,
    "with array": lambda x: x * A,
    "with float32 array": lambda x: x * A.astype(np.float32),
    "with int array": lambda x: x + np.arange(3),
    "with numpy scalar": lambda x: x * np.float32(2),
    "np.float64": lambda x: np.float64(x) * 2,
    "float": lambda x: float(x) + 1,
    "matmul": lambda x: x @ A,
    "list repetition": lambda x: _caught(lambda: [1] * x),
    "with string": lambda x: _caught(lambda: x + "a"),
    "with none": lambda x: (x == None, _caught(lambda: x < None)),  # noqa: E711
    "augmented": lambda x: _augmented(x),
    "max": lambda x: max(x, 1.5),
    "round": lambda x: round(x, 1),
    "floor": lambda x: math.floor(x),
    "loop": lambda x: _halve(x),
    "format": lambda x: f"{x:.3f}",
    "identity": lambda x: x,
    "nested": lambda x: {"a": [x, (x + 1, None)], "b": "text"},
    "recursion": lambda x: _recursive(x),
    "hypot": lambda x: math.hypot(x, 1.0),
}


def _augmented(x):
    y = x
    y += 1
    y *= x
    y -= 2
    y /= 3
    y **= 2
    return y, x


def _recursive(x):
    return x if x < 1 else _recursive(x / 3) + 1


@pytest.mark.parametrize("name", SCALAR)
def test_python_float(name):
    compare(SCALAR[name], (2.0,), (3.5,), (2.0,), (0.0,), (-1.5,), (1e300,), (math.inf,), (math.nan,), (5.0,))


@pytest.mark.parametrize("name", SCALAR)
def test_numpy_scalar(name):
    compare(SCALAR[name], *[(np.float64(v),) for v in (2.0, 3.5, 2.0, 0.0, -1.5, 1e300, math.nan)])


@pytest.mark.parametrize("name", SCALAR)
def test_python_complex(name):
    compare(SCALAR[name], (2.0 + 1j,), (1j,), (0j,), (3.5 - 2j,))


@pytest.mark.parametrize("name", SCALAR)
@pytest.mark.parametrize("kind", [np.float32, np.int64, np.complex128, np.bool_, int, bool])
def test_other_scalars(name, kind):
    compare(SCALAR[name], (kind(2),), (kind(3),), (kind(2),), (kind(0),))


@pytest.mark.parametrize("name", SCALAR)
def test_zero_dimensional_array(name):
    compare(SCALAR[name], (np.array(2.0),), (np.array(3.5),), (np.array(0.0),))


@pytest.mark.parametrize("name", ["add", "multiply", "divide", "power", "compare", "negative", "absolute", "loop"])
def test_python_float_arithmetic_replays_natively(name):
    registry.clear()  # other tests take paths with steps
    jitted = assert_replayed(SCALAR[name], (2.0,), (2.25,), (2.125,))
    assert jitted.stats.python_steps == 0


# ---------------------------------------------------------------- shapes that depend on data

SHAPES = {
    "mask": lambda x: x[x > 0],
    "mask of mask": lambda x: x[x > 0][x[x > 0] > 1],
    "nonzero": lambda x: np.nonzero(x > 0),
    "nonzero method": lambda x: (x > 0).nonzero()[0],
    "unique": lambda x: np.unique(np.floor(x)),
    "flatnonzero": lambda x: np.flatnonzero(x > 0),
    "argwhere": lambda x: np.argwhere(x > 0),
    "where one": lambda x: np.where(x > 0),
    "repeat": lambda x: np.repeat(x, (np.abs(x) > 1).astype(int)),
    "arange": lambda x: np.arange(abs(x[0])) * x[1],
    "zeros": lambda x: np.zeros(int(abs(x[0]))) + x[1],
    "compress": lambda x: np.compress(x > 0, x),
    "bincount": lambda x: np.bincount(np.abs(x).astype(int)),
    "by shape": lambda x: np.ones(x.shape) * x.size / len(x),
    "split": lambda x: np.split(x, [1]),
    "histogram": lambda x: np.histogram(x, bins=3),
    "linspace": lambda x: np.linspace(x[0], x[1], 4),
    "interp": lambda x: np.interp(0.3, np.array([0.0, 1.0, 2.0]), x),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_depend_on_data(name):
    calls = [A, A * 2, B, A, -A, A[:2] * 1.0, np.array([0.5, 0.5, 0.5, 2.0])]
    compare(SHAPES[name], *[(x,) for x in calls])
    compare(lambda x: SHAPES[name](x), *[(x.astype(np.float32),) for x in calls])


def test_unique_elements_of_other_data_replay_while_there_are_as_many():
    def fun(x):
        values, counts = anp.unique(x, return_counts=True)
        return anp.sum(values**2) * counts[0]

    compiled, plain = grad(fun, jit=True), grad(fun)
    apart, twins = np.array([1.0, -2.0, 3.0, 4.0]), np.array([1.0, 2.0, 2.0, 3.0])
    for x in (apart, apart * 2.0, twins, apart, twins[::-1], apart - 3.0, twins + 1.0):
        assert_same(compiled(x), plain(x))
    assert (compiled.stats.traces, compiled.stats.fallbacks) == (2, 0)


def test_an_array_made_of_a_number_is_an_array():
    compare(lambda x: (anp.array(x), anp.asarray(x) + 1.0, anp.array([x, 1.0])), (2.0,), (3.0,), (np.float64(4.0),))


# ---------------------------------------------------------------- static arguments


class Mode(enum.Enum):
    DOUBLE = 2.0
    TRIPLE = 3.0


STATIC = [
    (lambda x, n: sum(x[i] for i in range(n)), [0, 1, 2, 3, 2, 1, True]),
    (lambda x, n: x[n], [0, 1, -1, 5, 0]),
    (lambda x, n: x[n : n + 2], [0, 1, 2, 0]),
    (lambda x, n: x**n, [0, 1, 2, 3, -1]),
    (lambda x, n: x * n, [1, 1.0, True, 2, 2.0, 1j, np.int64(2), np.float32(2), None, "a"]),
    (lambda x, mode: x if mode == "id" else -x, ["id", "neg", "id"]),
    (lambda x, flag: x if flag else -x, [True, False, None, 1, 0, "", "a", 1.0, 0.0]),
    (lambda x, mode: x * mode.value, [Mode.DOUBLE, Mode.TRIPLE, Mode.DOUBLE]),
    (lambda x, dtype: x.astype(dtype), [np.float32, float, "f4", np.dtype("f4"), int]),
    (lambda x, axis: anp.sum(x, axis=axis), [None, 0, -1, 1]),
    (lambda x, f: f(x) * 2, [np.sin, np.cos, abs, len, lambda v: v + 1]),
    (lambda x, s: x[s], [slice(1), slice(None, None, -1), Ellipsis, [0, 2], (0,), np.array([True, False, True])]),
    (lambda x, text: len(text) * x, [np.array(["a", "b"]), np.array(["c", "d", "e"])]),
    (lambda x, text: x if text[0] == "a" else -x, [np.array(["a", "b"]), np.array(["c", "d"]), np.str_("a")]),
    (lambda x, t: x * (t == np.datetime64("2020-01-01")), [np.datetime64("2020-01-01"), np.datetime64("2021-01-01")]),
    (lambda x, o: x * len(o), [np.array([None, 1]), {1, 2}, frozenset([1]), b"ab", range(4)]),
    (lambda x, n: x * n, [2**70, 2**70, 3**50]),
    (lambda x, d: x * d["a"], [{"a": 2}, {"a": 3.0}, {"a": np.ones(3)}, {"b": 1}, {"a": 2, "b": 1}]),
]


@pytest.mark.parametrize("number", range(len(STATIC)))
def test_static_arguments(number):
    function, values = STATIC[number]
    compare(function, *[(A, v) for v in values], *[(B, v) for v in values])


def test_integers_as_loop_bounds_replay_when_they_come_again():
    jitted = compare(lambda x, n: sum(x[i] * i for i in range(n)), *[(A * k, n) for k in (1, 2, 3) for n in range(4)])
    assert jitted.stats.traces == 4
    assert jitted.stats.replays == 8


# ---------------------------------------------------------------- containers and keywords

Point = collections.namedtuple("Point", ["x", "y"])


@dataclasses.dataclass
class Parameters:
    weights: np.ndarray
    rate: float
    name: str = "p"


@dataclasses.dataclass
class Normalised:
    weights: np.ndarray

    def __post_init__(self):
        self.weights = self.weights / 2


@dataclasses.dataclass
class WithHidden:
    weights: np.ndarray
    extra: float = dataclasses.field(default=1.0, init=False)


def test_containers_in_and_out():
    def f(p):
        return {"sum": p["a"][0] + p["a"][1], "same": p["b"], "point": Point(p["b"], 2 * p["b"]), "n": None, "s": "x"}

    assert_replayed(f, ({"a": (A, B), "b": 2.0},), ({"a": (B, A), "b": 3.0},), ({"a": [A, B], "b": 2.0},))


def test_named_tuples_and_dataclasses_in_and_out():
    assert_replayed(lambda p: Point(p.y * 2, p.x), (Point(A, 2.0),), (Point(B, 3.0),))
    assert_replayed(
        lambda p: Parameters(p.weights * p.rate, p.rate), (Parameters(A, 2.0),), (Parameters(B, 3.0),)
    )
    compare(lambda p: p.name, (Parameters(A, 2.0),), (Parameters(A, 2.0, "q"),))


def test_dataclasses_that_are_more_than_their_fields():
    compare(lambda p: p.weights * 2, (Normalised(A),), (Normalised(B),))
    compare(lambda x: Normalised(x), (A,), (B,))
    compare(lambda x: WithHidden(x), (A,), (B,))
    hidden = WithHidden(A)
    hidden.extra = 5.0
    compare(lambda p: p.weights * p.extra, (hidden,), (WithHidden(A),))


def test_ordered_and_default_dictionaries():
    def f(d):
        return collections.OrderedDict((k, v * 2) for k, v in d.items())

    assert_replayed(f, (collections.OrderedDict(a=A, b=B),), (collections.OrderedDict(a=B, b=A),))
    with_default = collections.defaultdict(lambda: 7.0, a=A)
    compare(lambda d: d["a"] * d["missing"], (with_default,), (collections.defaultdict(lambda: 9.0, a=A),))
    compare(lambda d: list(d), ({"a": A, "b": B},), ({"b": B, "a": A},))


def test_containers_changed_by_the_function_are_changed_for_the_caller():
    def step(p):
        p["w"] = p["w"] - 0.1 * p["g"]
        return p

    compare(step, ({"w": A, "g": B},), ({"w": B, "g": A},))
    compare(lambda items: items.append(items[0] * 2), ([A],), ([B],), ([B, A],))
    compare(lambda items: items.pop() * 2, ([A, B],), ([B, A],))


def test_keyword_arguments_and_defaults():
    def f(x, *, scale=2.0, shift=None):
        return x * scale + (0 if shift is None else shift)

    jitted = jit(f)
    for x in (A, B):
        for kwargs in ({}, {"scale": 3.0}, {"shift": B}, {"shift": A, "scale": 1.0}):
            assert_same(jitted(x, **kwargs), f(x, **kwargs))
    assert jitted.stats.replays == 4
    with pytest.raises(TypeError, match="unexpected keyword"):
        jitted(A, wrong=1)
    with pytest.raises(TypeError):
        jitted()


@pytest.mark.parametrize("argnum", [0, 1, (0, 1), (1, 0), -1])
def test_argnums(argnum):
    def loss(x, y, n):
        return anp.sum(anp.sin(x) * y) * n

    jitted, plain = grad(loss, argnum, jit=True), grad(loss, argnum)
    for x, y, n in ((A, B, 2.0), (B, A, 3.0), (A, B, 1.0)):
        assert_same(jitted(x, y, n), plain(x, y, n))
    assert jitted.stats.replays == 2


# ---------------------------------------------------------------- results

RESULTS = {
    "none": lambda x: None,
    "string": lambda x: "abc",
    "nested": lambda x: [x, (x, [None, {"a": x * 2}])],
    "empty": lambda x: ((), [], {}),
    "constant array": lambda x: np.arange(3),
    "python int": lambda x: x.size,
    "large int": lambda x: 2**100,
    "function": lambda x: (lambda: x * 2)(),
    "argument": lambda x: x,
    "argument twice": lambda x: (x, x),
    "view": lambda x: x[::-1],
    "views": lambda x: (x[:2], x[1:], x.T, x.reshape(-1, 1)),
    "same twice": lambda x: (lambda y: (y, y))(x * 2),
    "enum": lambda x: Mode.DOUBLE,
    "numpy string": lambda x: np.str_("a"),
    "dtype": lambda x: x.dtype,
    "bool": lambda x: x.sum() > 0,
    "ellipsis": lambda x: ...,
    "bytes": lambda x: b"abc",
    "shape": lambda x: x.shape,
    "set": lambda x: {1, 2},
    "integer array": lambda x: np.argsort(x),
    "bool array": lambda x: x > 0,
    "complex array": lambda x: x * 1j,
    "fraction": lambda x: __import__("fractions").Fraction(1, 3),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results(name):
    compare(RESULTS[name], (A,), (B,), (A * 2,))


def test_a_function_as_result_computes_with_plain_values():
    jitted = jit(lambda x: lambda y: x * y)
    with pytest.warns(FallbackWarning, match="function"):
        first = jitted(A)
    assert_same(first(B), A * B)
    assert_same(jitted(B)(2.0), B * 2.0)


def test_a_generator_as_result():
    def rows(x):
        for v in x:
            yield v * 2

    jitted = jit(rows)
    with pytest.warns(FallbackWarning):
        assert_same(list(jitted(A)), [v * 2 for v in A])
    assert_same(list(jitted(B)), [v * 2 for v in B])


def test_an_object_as_result():
    class Box:
        def __init__(self, value):
            self.value = value

    jitted = jit(lambda x: Box(x * 2))
    with pytest.warns(FallbackWarning, match="Box"):
        assert_same(jitted(A).value, A * 2)
    assert_same(jitted(B).value, B * 2)


def test_outputs_are_fresh_and_inputs_are_not_written():
    jitted = jit(lambda x: (x * 2, np.arange(3.0) + x))
    x = A.copy()
    first = jitted(x)
    kept = copy.deepcopy(first)
    for _ in range(3):
        again = jitted(x)
        again[0][...] = -1
        again[1][...] = -1
        jitted(x * 5)
    assert_same(first, kept)
    assert_same(x, A)
    assert jitted.stats.replays == 6


def test_a_constant_result_may_be_overwritten_by_the_caller():
    jitted = jit(lambda x: np.arange(3.0))
    for _ in range(3):
        result = jitted(A)
        assert_same(result, np.arange(3.0))
        result[...] = 9
    captured = np.ones(2)
    returns_captured = jit(lambda x: captured)
    assert_same(returns_captured(A), captured)
    captured[0] = 5
    assert_same(returns_captured(A), captured)


# ---------------------------------------------------------------- dtypes and layouts


def _kernel(x, y):
    return x * y + x, (x * 2).sum(), x[..., ::-1]


@pytest.mark.parametrize("dtype", "f8 f4 f2 i8 i4 i2 i1 u1 u4 u8 ? c16 c8 g >f8 >i4 >c16 >f4".split())
def test_dtypes(dtype):
    x, y = (M * 3).astype(dtype), (M + 6).astype(dtype)
    jitted = compare(_kernel, (x, y), (y, x), (x + x, y))
    assert jitted.stats.replays >= 1 or not x.dtype.isnative
    compare(_kernel, (x, M), (M, x), (x, 2.0), (x, 2), (x, np.float32(2)))


LAYOUTS = {
    "C": lambda m: m.copy(),
    "Fortran": lambda m: np.asfortranarray(m),
    "transposed": lambda m: m.T.copy().T,
    "sliced": lambda m: np.repeat(np.repeat(m, 2, 0), 3, 1)[::2, ::3],
    "negative": lambda m: m[::-1, ::-1].copy()[::-1, ::-1],
    "broadcast": lambda m: np.broadcast_to(m[0], m.shape),
    "byte swapped": lambda m: m.astype(">f8"),
    "unaligned": lambda m: _unaligned(m),
    "read-only": lambda m: _read_only(m),
    "empty": lambda m: m[:0],
}


def _unaligned(m):
    raw = np.zeros(m.nbytes + 1, np.uint8)[1:].view(m.dtype).reshape(m.shape)
    raw[...] = m
    return raw


def _read_only(m):
    m = m.copy()
    m.setflags(write=False)
    return m


def _loss(x, y):
    return anp.sum(anp.sin(x) * y + x[..., :1] ** 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_arguments(layout):
    jitted, plain = value_and_grad(_loss, (0, 1), jit=True), value_and_grad(_loss, (0, 1))
    function = jit(_kernel)
    for m in (M, M + 1, M * 2):
        x, y = LAYOUTS[layout](m), LAYOUTS["C"](m[: len(LAYOUTS[layout](m))] - 2)
        before = x.copy()
        assert_same(jitted(x, y), plain(x, y))
        assert_same(jitted(y, x), plain(y, x))
        assert_same(function(x, y), _kernel(x, y))
        assert_same(x, before)
    assert jitted.stats.replays >= 2 or layout == "byte swapped"


def test_one_trace_serves_all_layouts_of_a_shape():
    jitted = value_and_grad(_loss, jit=True)
    for name in ("C", "Fortran", "sliced", "negative", "read-only", "unaligned", "broadcast"):
        x = LAYOUTS[name](M)
        assert_same(jitted(x, M), value_and_grad(_loss)(x, M))
    assert jitted.stats.traces == 1
    assert jitted.stats.replays == 6


def test_identical_and_overlapping_inputs():
    big = np.arange(10.0)

    def f(x, y):
        return x * 2 + y, y - x

    jitted = jit(f)
    a, b = big[:5], big[5:]
    for x, y in ((a, b), (a, a), (a, big[2:7]), (a[::-1], a), (a, b)):
        before = big.copy()
        assert_same(jitted(x, y), f(x, y))
        assert_same(big, before)
    assert jitted.stats.traces == 1


def test_identity_of_arguments():
    compare(lambda x, y: x + 1 if x is y else x - 1, (A, B), (A, A), (B, B), (A, B))
    f = lambda x, y: x + 1 if x is y else x - 1
    jitted = jit(f)
    for x, y in ((A, B), (A, A), (A, B), (B, B)):
        assert_same(jitted(x, y), f(x, y))
    g = lambda x: x + 1 if x is A else x - 1
    jitted = jit(g)
    for x in (B, A, A.copy(), A):
        assert_same(jitted(x), g(x))


def test_array_subclasses_and_masked_arrays():
    compare(lambda m: m * 2, (np.matrix(M),), (np.matrix(M + 1),))
    masked = np.ma.masked_array(A, [True, False, False])
    jitted = jit(lambda m: m.sum())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert jitted(masked) == masked.sum()
        assert jitted(masked * 2) == (masked * 2).sum()


# ---------------------------------------------------------------- writing

WRITES = {
    "in place on argument": lambda x: x.__iadd__(1),
    "item of argument": lambda x: x.__setitem__(0, 9.0),
    "augmented": lambda x: _write_augmented(x),
    "plain buffer": lambda x: _fill(np.zeros(3), x),
    "accumulate": lambda x: _accumulate(np.zeros(3), x),
    "accumulate alias": lambda x: _accumulate_alias(np.zeros(3), x),
    "accumulate view": lambda x: _accumulate_view(np.zeros((2, 3)), x),
    "copyto": lambda x: _copyto(np.zeros(3), x),
    "out": lambda x: _out(np.zeros(3), x),
    "out of reduction": lambda x: _out_sum(np.zeros(()), x),
    "out positional": lambda x: _out_positional(np.zeros(3), x),
    "ufunc at": lambda x: _at(np.zeros(3), x),
    "put": lambda x: _put(np.zeros(3), x),
    "fill": lambda x: _filled(np.zeros(3), x),
    "sort argument": lambda x: x.sort(),
    "asarray write": lambda x: np.asarray(x).__setitem__(0, 5.0),
    "array write": lambda x: _fill(np.array(x), x * 2),
    "intermediate": lambda x: _write_intermediate(x * 2),
    "intermediate alias": lambda x: _write_alias(x * 2),
    "swallowed": lambda x: _swallow(x),
    "swallowed all": lambda x: _swallow_all(x),
    "diagonal": lambda x: _diagonal(np.eye(3), x),
    "list of arrays": lambda x: _rows([np.zeros(3), np.ones(3)], x),
    "scalar accumulate": lambda x: _scalar_accumulate(0.0, x),
    "shuffle seeded": lambda x: np.random.RandomState(0).permutation(x),
}


def _write_augmented(x):
    x += 1
    return x


def _fill(out, x):
    for i in range(len(x)):
        out[i] = x[i] * 2
    return out


def _accumulate(acc, x):
    for k in range(3):
        acc += x * k
    return acc


def _accumulate_alias(acc, x):
    other = acc
    acc += x
    return other


def _accumulate_view(acc, x):
    row = acc[0]
    row += x
    return acc


def _copyto(out, x):
    np.copyto(out, x)
    return out


def _out(out, x):
    np.multiply(x, 2, out=out)
    return out


def _out_sum(out, x):
    np.sum(x, out=out)
    return out


def _out_positional(out, x):
    np.sum(np.outer(x, x), 0, None, out)
    return out


def _at(out, x):
    np.add.at(out, [0, 0, 1], x)
    return out


def _put(out, x):
    np.put(out, [0, 2], x[:2])
    return out


def _filled(out, x):
    out.fill(x[0])
    return out


def _write_intermediate(y):
    y[0] = 5.0
    y += 1
    return y


def _write_alias(y):
    z = y[:2]
    z += 10
    return y


def _swallow(x):
    try:
        x[0] = 1.0
    except Exception:
        return x * 0
    return x


def _swallow_all(x):
    try:
        x[0] = 1.0
    except:  # noqa: E722
        return x * 0
    return x


def _diagonal(m, x):
    np.fill_diagonal(m, x)
    return m


def _rows(rows, x):
    for row in rows:
        row += x
    return rows


def _scalar_accumulate(total, x):
    for v in x:
        total += v
    return total


@pytest.mark.parametrize("name", WRITES)
def test_writing_into_arrays(name):
    compare(WRITES[name], (A,), (B,), (A * 2,), (A,))


def _accumulates(x):
    total = np.zeros(3)
    for k in range(4):
        total += x * k
    return total


def _several_operators(x):
    h = x * 2
    h += 1
    h *= x
    h -= x[::-1] / 3
    h **= 2
    return h.sum()


def _in_a_list(x):
    parts = [x * 2, x * 3]
    parts[0] += x
    return parts


def _in_a_closure(x):
    h = x * 1.0
    read = lambda: h
    h += 2
    return read()


@pytest.mark.parametrize("function", [_accumulates, _several_operators, _in_a_list, _in_a_closure])
def test_in_place_operators_on_arrays_with_one_name_replay(function):
    assert_replayed(function, (A,), (B,), (A * 2,))


def _other_name(x):
    h = x * 2
    other = h
    h += 1
    return other


def _view_of_a_result(x):
    h = (x * 2)[::2]
    h += 1
    return h


def _earlier_view(x):
    h = x * 2
    view = h[1:]
    h += 1
    return view


def _other_name_of_a_plain_array(x):
    total = np.zeros(3)
    other = total
    total += x
    return other


def _view_of_a_plain_array(x):
    total = np.zeros((2, 3))
    row = total[0]
    row += x
    return total


def _same_object(x):
    h = anp.asarray(x)
    h += 1
    return x


def _default(x, total=np.zeros(3)):  # noqa: B008
    total = total * 1.0
    total += x
    return total


def _other_dtype(x):
    total = np.zeros(3, int)
    total += x
    return total


def _other_shape(x):
    total = np.zeros(1)
    total += x
    return total


def _saved_for_the_backward_pass(x):
    h = np.full(3, 2.0)
    y = anp.sum(h * x)
    h += 1
    return y + anp.sum(h)


@pytest.mark.parametrize(
    "function",
    [
        _other_name, _view_of_a_result, _earlier_view, _other_name_of_a_plain_array, _view_of_a_plain_array,
        _same_object, _default, _other_dtype, _other_shape, _saved_for_the_backward_pass,
    ],
)  # fmt: skip
def test_in_place_operators_that_something_else_sees(function):
    compare(function, (A.copy(),), (B.copy(),), (A * 2,))
    if function is _saved_for_the_backward_pass:
        compare(function, (A,), (B,), operator=grad)


def _named(value):
    return type(value).__name__


def _asks_for_types(x, n=3, scale=1.5):
    kinds = [type(value) for value in (x, x[0], x.shape, n, scale, [x], None)]
    if type(x) is np.ndarray and type(n) is int and type(scale) is float and type(x[0]) in (np.float64, np.float32):
        x = x * type(n)(2)
    made = type("Made", (), {"size": 2})
    names = [kind.__name__ for kind in kinds]
    return x + n, names, _named(x), isinstance(kinds[0], type), made.size, list(map(_named, x))


def test_type_of_a_recorded_value():
    assert_replayed(_asks_for_types, (A, 3, 2.5), (B, 3, 1.5), (A, 3, -2.0))
    assert_replayed(lambda x: anp.sum(x) if type(x) is np.ndarray else anp.sum(x * x), (A,), (B,), operator=grad)
    assert_replayed(lambda x: (type(type(x)) is type, type(type).__name__, type(x).__name__, +x is x), (2.5,), (1.5,))


class _Asking:
    def double(self, x):
        return x * 2 if type(x) is np.ndarray else x


@pytest.mark.parametrize(
    "function", [lambda x: _Asking().double(x), lambda x, t=type: x * 2 if t(x) is np.ndarray else x]
)
def test_type_in_code_that_is_not_cloned(function):
    compare(function, (A,), (B,), (A,))


def test_writing_into_arrays_inside_a_gradient():
    def loss(x):
        acc = np.zeros(3)
        for k in range(3):
            acc += x * k
        return anp.sum(acc**2)

    assert_replayed(loss, (A,), (B,), operator=grad)

    data = np.ones(3)

    def with_captured(x):
        acc = np.zeros(3)
        acc += data
        return anp.sum((acc * x) ** 2)

    compare(with_captured, (A,), (B,), operator=grad)


# ---------------------------------------------------------------- arrays without dimensions

WITHOUT_DIMENSIONS = {
    "array": lambda a: (anp.array(a), anp.array(a * 2), anp.array(a, dtype=np.float32), anp.array(a, dtype=complex)),
    "copy": lambda a: (anp.copy(a), a.copy() if hasattr(a, "copy") else a),
    "cast": lambda a: a.astype(np.float32) if hasattr(a, "astype") else a,
    "filled": lambda a: (anp.full((), a), anp.full_like(a, a), anp.full((2,), a)),
    "nan_to_num": lambda a: anp.nan_to_num(a),
    "reductions": lambda a: (anp.sum(a), anp.max(a), anp.mean(a), anp.cumsum(a), anp.prod(a), anp.linalg.norm(a)),
    "views": lambda a: (anp.reshape(a, ()), anp.transpose(a), anp.atleast_1d(a), anp.ravel(a), anp.array([a])[0]),
    "arithmetic": lambda a: (a * 2, -a, +a, a**2, anp.where(a > 0, a, a), anp.abs(a), anp.round(a)),
}


@pytest.mark.parametrize("name", WITHOUT_DIMENSIONS)
def test_arrays_without_dimensions_and_scalars_stay_what_they_are(name):
    for value in (np.array(2.0), np.float64(2.0), 2.0, np.float32(2.0), np.array(3), np.array(True), np.int32(3)):
        compare(WITHOUT_DIMENSIONS[name], (value,), (value,), (value,))


@pytest.mark.parametrize("value", [np.array(0.5), np.float64(0.5), 0.5, np.array([0.5])])
def test_a_gradient_is_of_the_kind_of_its_argument(value):
    cube, triple, rectified = lambda x: x**3, lambda x: 3.0 * x, lambda x: anp.maximum(x, 1)
    functions = [cube, triple, rectified, lambda x: x, anp.sin, anp.sum, anp.cbrt]
    for function in functions:
        for operator in (grad, value_and_grad):
            scalar = lambda x, function=function: anp.sum(function(x))
            compare(scalar, (value,), (value * 2,), (value * 3,), operator=operator)
    compare(lambda x, y=2.0: anp.sum(x * y), (value,), (value * 2,), operator=lambda f, **o: grad(f, (0, 1), **o))


def test_powers_are_those_of_the_operator():
    edges = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 4.0])
    for exponent in (0.5, 2, 2.0, -1, 0, 1, 3, 1.5):
        for function in (lambda x: x**exponent, lambda x: anp.power(x, exponent)):
            want, got = function(edges), [jit(function)(edges) for _ in range(3)][-1]
            np.testing.assert_array_equal(got, want)
            np.testing.assert_array_equal(np.signbit(got), np.signbit(want))
            compare(function, *[(np.array([True, False]),)] * 3)
    compare(lambda x: anp.modf(x), (np.array([-1.0, 1.5, -0.0, -np.inf, np.inf]),), (A,))


# ---------------------------------------------------------------- in-place operators and views

VIEWS_AS_COPIES = {
    "broadcast_to": lambda y: anp.broadcast_to(y, (2, 3)),
    "a large broadcast_to": lambda y: anp.broadcast_to(y, (200, 3)),
    "broadcast_arrays": lambda y: anp.broadcast_arrays(y, np.ones((2, 3)))[0],
    "meshgrid": lambda y: anp.meshgrid(y, y, copy=False)[0],
    "flat": lambda y: y.flat,
    "ndenumerate": lambda y: np.ndenumerate(y),
    "asarray": lambda y: np.asarray(y),
    "a foreign view": lambda y: np.lib.stride_tricks.sliding_window_view(y, 2),
    "an iterator": lambda y: iter(y),
}


@pytest.mark.parametrize("name", VIEWS_AS_COPIES)
def test_in_place_operators_show_in_views_of_which_the_recorder_makes_copies(name):
    def function(x, start):
        y = start + x
        view = VIEWS_AS_COPIES[name](y)
        y *= 2
        return [value if not isinstance(value, tuple) else value[1] for value in view], y

    for start in (np.zeros(3), 1.0):
        compare(function, (A, start), (B, start), (A * 2, start))


# ---------------------------------------------------------------- out=

OUT = {
    "a ufunc": lambda x, o: (anp.add(o, x, out=o), o),
    "a ufunc, its result not used": lambda x, o: (anp.add(o, x, out=o) is None, o)[1],
    "a ufunc, by position": lambda x, o: (anp.exp(x, o), o),
    "a binary ufunc, by position": lambda x, o: (anp.maximum(x, 0.0, o), o),
    "a method": lambda x, o: (x.clip(0, 1, out=o), o),
    "numpy": lambda x, o: (np.multiply(x, x, out=o), o),
    "a function": lambda x, o: (anp.cumsum(x, out=o), o),
    "a function, by position": lambda x, o: (anp.cumsum(x, None, None, o), o),
    "put_along_axis": lambda x, o: (anp.put_along_axis(o, np.array([0]), x[:1], 0), o),
}


@pytest.mark.parametrize("name", OUT)
def test_arrays_given_as_out_are_written_at_every_call(name):
    compare(lambda x: OUT[name](x, np.zeros(3)), (A,), (B,), (A * 2,), (B,))
    buffers = np.zeros(3), np.zeros(3)
    compiled, plain = jit(lambda x: OUT[name](x, buffers[0])), lambda x: OUT[name](x, buffers[1])
    for x in (A, B, A * 2, B):
        assert_same(compiled(x), plain(x))
        assert_same(*buffers)
