"""The generated call path: what it accepts natively, and what it leaves to the general one."""

from collections import namedtuple

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import jit
from autograd_jit.lower.replay import MISS

Point = namedtuple("Point", "x y")
X = np.arange(3.0)


def fast(compiled, *args):
    """The answer of the call path alone, or MISS."""
    return compiled._handle.fast(args)


def ready(function, *args):
    """A compiled function whose call path is in place: the first replay goes the general way and puts it there."""
    compiled = jit(function, compile="eager")
    compiled(*args), compiled(*args)
    return compiled


def test_the_source_is_shown_code():
    compiled = ready(lambda x: anp.exp(x), X)
    source = compiled._handle.compiled.entries.popitem()[1].last.source.source
    compile(source, "<shown>", "exec")
    assert "stats.replays += 1" in source


@pytest.mark.parametrize(
    "other",
    [
        np.arange(4.0),
        np.arange(3),
        np.arange(3, dtype=np.float32),
        np.arange(3.0).reshape(3, 1),
        pytest.param(np.arange(6.0)[::2], marks=pytest.mark.cpu),  # a device's inputs are copied whatever their layout
        np.arange(3.0).astype(">f8"),
        [0.0, 1.0, 2.0],
        None,
        1.0,
    ],
)
def test_other_arguments_miss(other):
    compiled = ready(lambda x: anp.exp(x), X)
    assert fast(compiled, other) is MISS
    assert fast(compiled) is MISS and fast(compiled, X, X) is MISS
    np.testing.assert_allclose(fast(compiled, X), np.exp(X), rtol=1e-15)


@pytest.mark.parametrize(
    ("value", "others"),
    [
        ([X, X], [(X, X), [X], [X, X, X]]),
        ((X, 2), [(X, 3), [X, 2], (X, 2.0), (X, True)]),
        ({"a": X, "b": X}, [{"a": X}, {"a": X, "c": X}, {"b": X, "a": X}]),
        (Point(X, X), [(X, X), [X, X]]),
        ([X, "mode"], [[X, "other"], [X, None]]),
        ([X, None], [[X, 0], [X, False]]),
    ],
)
def test_containers_and_static_leaves(value, others):
    def function(tree):
        leaves = tree.values() if isinstance(tree, dict) else tree
        scale = 1 + sum([leaf for leaf in leaves if isinstance(leaf, int)])
        return scale * sum([anp.exp(leaf) for leaf in leaves if isinstance(leaf, np.ndarray)])

    compiled = ready(function, value)
    np.testing.assert_allclose(fast(compiled, value), function(value), rtol=1e-15)
    for other in others:
        assert fast(compiled, other) is MISS


@pytest.mark.parametrize(
    "out", [lambda x: [x * 1.0, {"k": x + 1}], lambda x: Point(x + 1, (x,)), lambda x: (), lambda x: {"n": 3}]
)
def test_results_are_containers_as_the_function_made_them(out):
    compiled = ready(out, X)
    got, want = fast(compiled, X), out(X)
    assert type(got) is type(want)
    assert repr(got) == repr(want)


@pytest.mark.parametrize("x", [2.5, np.float64(2.5), np.float32(2.5), np.array(2.5)])
def test_scalars_keep_their_kind(x):
    compiled = ready(lambda x: (x * 2, x), x)
    (double, same), want = fast(compiled, x), (x * 2, x)
    assert type(double) is type(want[0]) and double == want[0] and same is x
    others = [y for y in (2.5, np.float64(2.5), np.float32(2.5), np.array(2.5)) if type(y) is not type(x)]
    assert all(fast(compiled, y) is MISS for y in others)


def test_a_failed_guard_misses():
    compiled = ready(lambda x: x * 2 if x[0] > -1 else x, X)
    assert fast(compiled, X) is not MISS
    assert fast(compiled, X - 5) is MISS


def test_error_settings_miss():
    compiled = ready(lambda x: anp.log(x + 1), X)
    with np.errstate(all="raise"):
        assert fast(compiled, X) is MISS


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int32, np.bool_])
def test_scalar_results_are_objects_of_their_own(dtype):
    """The run fills an object that nobody else has: neither another call's result nor one of NumPy's singletons."""
    total = jit(lambda x: (anp.max(x), anp.min(x)))
    kept = []
    for low in range(4):
        x = np.array([low, low + 2, low + 1]).astype(dtype)
        kept.append((total(x), np.max(x), np.min(x)))
    for (high, low), largest, least in kept:
        assert type(high) is type(largest) is type(low) and (high, low) == (largest, least)
    assert total.stats.replays == 3 and np.bool_(False) == False and np.float64() == 0  # noqa: E712
