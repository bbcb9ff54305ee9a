"""`unique` and `bincount` as native routines: NumPy's answers, for other numbers of groups too, and no Python step."""

import numpy
import pytest

import autograd_jit.numpy as np
from autograd_jit import config, grad, jit

OPTIONS = {
    "values": {},
    "counts": {"return_counts": True},
    "inverse": {"return_inverse": True},
    "all": {"return_index": True, "return_inverse": True, "return_counts": True},
}
MAKE = {
    "vector": lambda x: x,
    "matrix": lambda x: x.reshape(5, -1),
    "integers": lambda x: x.astype(int),
    "narrow integers": lambda x: x.astype(numpy.int32),
    "single precision": lambda x: x.astype(numpy.float32),
    "every second": lambda x: numpy.repeat(x, 2)[::2],
    "not-a-numbers": lambda x: numpy.where(x == x[3], numpy.nan, x),
}


def assert_all_same(jitted, plain, calls):
    """Compiled and interpreted answers agree in value, sign of zero, dtype and shape; twice through all calls."""
    for args in [*calls, *calls]:
        ours, theirs = jitted(*args), plain(*args)
        pairs = zip(ours, theirs, strict=True) if isinstance(theirs, tuple) else [(ours, theirs)]
        for a, b in pairs:
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            if config.target == "cpu":
                numpy.testing.assert_array_equal(a, b)
            else:  # a device adds weights up by atomic operations, in no order of its own
                numpy.testing.assert_allclose(a, b, rtol=1e-12)
            assert a.dtype.kind != "f" or numpy.array_equal(numpy.signbit(a), numpy.signbit(b))


def spread(count, size=30):
    """Arrays with several equal elements, of which there are not always as many."""
    random = numpy.random.RandomState(0)
    return [numpy.floor(2.0 * random.randn(size)) + 0.5 for _ in range(count)]


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("equal_nan", [True, False])
def test_unique_is_native_and_numpys(kind, options, equal_nan):
    def fun(x):
        return np.unique(x, **OPTIONS[options], equal_nan=equal_nan)

    jitted = jit(fun)
    assert_all_same(jitted, fun, [(MAKE[kind](x),) for x in spread(5)])
    assert jitted.stats.python_steps == jitted.stats.fallbacks == 0
    assert jitted.stats.replays >= 5


def test_which_of_two_zeros_stands_for_both_is_numpys_choice():
    for options in OPTIONS.values():
        calls = [(numpy.array([0.0, 1.0, -0.0, 1.0]),), (numpy.array([-0.0, 1.0, 0.0, 1.0]),)]
        calls.insert(0, (numpy.array([2.0, 3.0, 2.0, 3.0]),))

        def fun(x):
            return np.unique(x, **options)

        assert_all_same(jit(fun), fun, calls)


@pytest.mark.parametrize("x", [numpy.zeros(0), numpy.ones(1), numpy.array(3.0), numpy.eye(3), numpy.ones(5, bool)])
def test_unusual_arrays(x):
    for options in OPTIONS.values():

        def fun(x):
            return np.unique(x, **options)

        assert_all_same(jit(fun), fun, [(x,)])
    plain = lambda x: np.unique(x, axis=0)
    if x.ndim:
        assert_all_same(jit(plain), plain, [(x,)])


def test_the_values_alone_of_many_elements_are_left_to_numpy():
    fun = lambda x: np.unique(x)
    jitted = jit(fun)
    assert_all_same(jitted, fun, [(x,) for x in spread(2, 10_000)])
    assert "hash table" in jitted.explain()


def test_derivative_of_unique_is_native():
    fun = lambda x: np.sum(np.unique(x) ** 2) * np.unique(x, return_counts=True)[1][0]
    compiled, plain = grad(fun, jit=True), grad(fun)
    assert_all_same(compiled, plain, [(x,) for x in spread(4)])
    assert compiled.stats.python_steps == 0


# ---------------------------------------------------------------- bincount

COUNTS = {
    "counts": lambda x, w: np.bincount(x),
    "weights": lambda x, w: np.bincount(x, w),
    "enough counts": lambda x, w: np.bincount(x, w, 12),
    "some counts": lambda x, w: np.bincount(x, w, 5),
    "single precision": lambda x, w: np.bincount(x, w.astype(numpy.float32), minlength=12),
    "integer weights": lambda x, w: np.bincount(x, x),
    "groups": lambda x, w: np.bincount(np.unique(x, return_inverse=True)[1], w),
    "sizes of groups": lambda x, w: w[np.unique(x, return_counts=True)[1] - 1],
    "extrema": lambda x, w: np.bincount(np.argmax(w.reshape(5, 6), axis=1)),
    "extrema, enough counts": lambda x, w: np.bincount(np.argmax(w.reshape(5, 6), axis=1), minlength=6),
    "order": lambda x, w: np.bincount(np.argsort(w), w),
}


@pytest.mark.parametrize("name", COUNTS)
def test_bincount_is_native_and_numpys(name):
    random = numpy.random.RandomState(1)
    calls = [(random.randint(0, most, 30), random.randn(30)) for most in (9, 12, 9, 4, 7, 9, 12)]
    fun = COUNTS[name]
    jitted = jit(fun)
    assert_all_same(jitted, fun, calls)
    assert jitted.stats.python_steps == jitted.stats.fallbacks == 0


def test_enough_counts_need_no_trace_for_other_numbers():
    random = numpy.random.RandomState(2)
    fun = lambda x, w: np.bincount(x, w, 13)
    jitted = jit(fun)
    assert_all_same(jitted, fun, [(random.randint(0, most, 30), random.randn(30)) for most in (3, 9, 13)])
    assert jitted.stats.traces == 1


def test_derivative_by_the_weights():
    fun = lambda w, x: np.sum(np.bincount(x, w, 6) ** 3)
    random = numpy.random.RandomState(3)
    compiled, plain = grad(fun, jit=True), grad(fun)
    assert_all_same(compiled, plain, [(random.randn(20), random.randint(0, 6, 20)) for _ in range(3)])
    second = grad(lambda w, x: np.sum(grad(fun)(w, x) ** 2), jit=True)
    assert_all_same(second, grad(lambda w, x: np.sum(grad(fun)(w, x) ** 2)), [(random.randn(20), numpy.arange(20) % 6)])
    assert compiled.stats.python_steps == second.stats.python_steps == 0


def test_errors_are_numpys():
    jitted = jit(lambda x, w: np.bincount(x, w))
    jitted(numpy.array([0, 1, 1]), numpy.ones(3))
    jitted(numpy.array([0, 1, 1]), numpy.ones(3))
    for x, w in [(numpy.array([0, -1, 1]), numpy.ones(3)), (numpy.array([0, 1, 1]), numpy.ones(2)), (numpy.ones(2), 1)]:
        with pytest.raises((ValueError, TypeError)) as ours:
            jitted(x, w)
        with pytest.raises((ValueError, TypeError)) as theirs:
            numpy.bincount(x, w)
        assert str(ours.value) == str(theirs.value)
