"""Compiled functions that draw random numbers: the stream is the interpreted one, bit for bit, call after call."""

from __future__ import annotations

import copy
import pickle

import numpy as onp
import pytest

import autograd_jit.numpy as np
import autograd_jit.numpy.random as npr
from autograd_jit import grad, jit, value_and_grad
from autograd_jit.errors import FallbackWarning
from tests.jit_support import assert_same, assert_same_outcome, outcome

X, Y = onp.array([0.5, -1.0, 2.0]), onp.array([1.5, 0.25, -0.75])


def states(*generators):
    """States of generators and of NumPy's global one."""
    old = [g.get_state(legacy=False) for g in generators if isinstance(g, onp.random.RandomState)]
    new = [g.bit_generator.state for g in generators if isinstance(g, onp.random.Generator)]
    return repr([*old, *new, onp.random.get_state(legacy=False)])


def compare(make, calls, generator=npr.RandomState, operator=None, **options):
    """The same calls of ``make(rng)``, interpreted and compiled, each from the same states; the compiled function."""
    rng, twin = generator(3), generator(3)
    plain, compiled = make(twin), make(rng)
    plain, compiled = (operator(plain), operator(compiled, jit=True)) if operator else (plain, jit(compiled, **options))
    start = onp.random.get_state()
    for number, args in enumerate(calls):
        onp.random.set_state(start)
        want = outcome(plain, args)
        wanted = states(twin)
        after = onp.random.get_state()
        onp.random.set_state(start)
        assert_same_outcome(outcome(compiled, args), want, f"call {number}")
        assert states(rng) == wanted, f"call {number} moved the generators elsewhere"
        start = after
    return compiled


def noise(rs):
    return lambda x: x + 0.1 * rs.randn(3)


def global_draws(rs):
    return lambda x: x * npr.randn(3) + np.random.uniform(-1, 1, size=3)


def several(rs):
    def fun(x):
        first, second = rs.randn(*x.shape), rs.rand(2, 3)
        return np.sum(first * x) + np.sum(second @ x) * rs.rand() + rs.randint(5)

    return fun


def branches(rs):
    def fun(x):
        if rs.rand() < 0.5:
            return np.sum(x * rs.randn(3))
        if npr.rand() < 0.3:
            x = x + rs.normal(0.0, 2.0, size=3)
        return np.sum(x**2)

    return fun


def rejection(rs):
    """Draws until one is accepted: draws and guards in turn."""

    def fun(x):
        count = 0
        while rs.rand() > 0.4:
            count += 1
        return x * count + rs.standard_normal(3)

    return fun


def metropolis(rs):
    def fun(x):
        for _ in range(3):
            proposal = x + rs.normal(size=3)
            if np.log(rs.rand()) < np.sum(x**2 - proposal**2):
                x = proposal
        return x

    return fun


def dropout(rs):
    return lambda x: np.sum(np.where(rs.rand(3) < 0.5, np.tanh(x), 0.0))


def traced_parameters(rs):
    def fun(x):
        near = rs.normal(x, np.exp(x)) + rs.uniform(x - 1.0, x + 1.0)
        return near + rs.permutation(x) + rs.choice(x, 3)

    return fun


def minibatch(rs):
    data = onp.arange(30.0).reshape(10, 3)

    def fun(x):
        rows = rs.permutation(10)[:4]
        return np.sum((data[rows] @ x) ** 2) + np.sum(data[rs.randint(10, size=2)])

    return fun


def seeded_inside(rs):
    def fun(x):
        fixed = npr.RandomState(7)
        return x + fixed.randn(3) * rs.randn(3) + npr.default_rng(4).random(3)

    return fun


def reseeded(rs):
    def fun(x):
        npr.seed(11)
        return x * npr.randn(3)

    return fun


def held_by_an_object(rs):
    class Model:
        def __init__(self):
            self.rng, self.scale = rs, onp.full(3, 2.0)

        def __call__(self, x):
            return self.scale * x + self.rng.randn(3)

    return Model()


def unused(rs):
    def fun(x):
        rs.randn(4)
        return x * 2

    return fun


def twice_the_same(rs):
    return lambda x: rs.randn(3) - rs.randn(3) + x


PROGRAMS = [
    noise, global_draws, several, branches, rejection, metropolis, dropout, traced_parameters, minibatch, seeded_inside,
    reseeded, held_by_an_object, unused, twice_the_same,
]  # fmt: skip


@pytest.mark.parametrize("make", PROGRAMS)
def test_the_stream_is_the_interpreted_one(make):
    compiled = compare(make, [(X,), (Y,), (X,), (-X,), (Y,)] * 5)
    assert compiled.stats.replays > 0 and compiled.stats.fallbacks == 0


@pytest.mark.parametrize("make", [noise, several, branches, dropout, minibatch, held_by_an_object])
def test_gradients_draw_the_same(make):
    if make in (noise, held_by_an_object):
        inner = make

        def make(rs):
            fun = inner(rs)
            return lambda x: np.sum(np.sin(fun(x)))

    compiled = compare(make, [(X,), (Y,), (X,)] * 5, operator=value_and_grad)
    assert compiled.stats.replays > 5 and compiled.stats.fallbacks == 0


def test_generators_of_the_new_kind():
    def make(rng):
        def fun(x):
            z = rng.standard_normal(3) + rng.integers(4, size=3) + rng.normal(x, 1.0)
            return np.sum(x * z) if rng.random() < 0.5 else np.sum(z) * x[0]

        return fun

    compiled = compare(make, [(X,), (Y,)] * 10, generator=npr.default_rng)
    assert compiled.stats.replays > 10


def test_one_trace_for_a_thousand_generators():
    def make(seed):
        rs = npr.RandomState(seed)
        return lambda x: np.sum(x * rs.randn(3))

    traces = 0
    for seed in range(1000):
        gradient = grad(make(seed), jit=True)
        assert_same(gradient(X), onp.random.RandomState(seed).randn(3))
        traces += gradient.stats.traces
    assert traces == 1


def test_other_shapes_draw_other_sizes():
    compare(lambda rs: lambda x: x + rs.randn(len(x)), [(X,), (onp.ones(5),), (X,), (onp.ones(2),), (Y,)])


def test_a_generator_as_argument():
    loss = jit(lambda x, rng: np.sum(x * rng.randn(3)))
    rng, twin = npr.RandomState(1), onp.random.RandomState(1)
    for _ in range(5):
        assert_same(loss(X, rng), onp.sum(X * twin.randn(3)))
    assert loss.stats.traces == 1
    other, twin = npr.RandomState(2), onp.random.RandomState(2)
    for _ in range(3):
        assert_same(loss(X, other), onp.sum(X * twin.randn(3)))
    assert loss.stats.traces == 1


def test_errors_after_draws():
    def make(rs):
        def fun(x):
            first = rs.randn(2, 2) * x[0]
            solved = np.linalg.solve(first, onp.ones(2))
            return np.sum(solved) + rs.rand()

        return fun

    zero = X * 0.0
    compiled = compare(make, [(X,), (Y,), (zero,), (X,), (zero,), (Y,)])
    assert compiled.stats.replays >= 2


def test_verify_compares_the_same_draws():
    compiled = compare(metropolis, [(X,), (Y,)] * 8, verify=True)
    assert compiled.stats.replays > 0


def test_compiled_inside_compiled():
    def make(rs):
        inner = jit(lambda x: x * rs.randn(3))
        return lambda x: inner(x) + inner(onp.ones(3))

    compare(make, [(X,), (Y,)] * 4)


def test_compiled_functions_that_share_a_generator():
    rng, twin = npr.RandomState(0), onp.random.RandomState(0)
    first, second = jit(lambda x: x + rng.randn(3)), jit(lambda x: x * rng.rand(3))
    for _ in range(4):
        assert_same(first(X), X + twin.randn(3))
        assert_same(rng.rand(), twin.rand())
        assert_same(second(X), X * twin.rand(3))


@pytest.mark.parametrize(
    ("fun", "reason"),
    [
        (lambda rs: lambda x: x * rs.get_state()[2], "state of a random generator"),
        (lambda rs: lambda x: x + npr.RandomState().randn(3) * 0, "neither captured nor made from a seed"),
        (lambda rs: lambda x: rs.poisson(np.abs(x)) + x, "parameters that depend on traced values"),
        (lambda rs: lambda x: x + onp.random.randn(3) * 0, "numpy.random.randn"),
    ],
)
def test_what_no_tape_can_repeat_runs_interpreted(fun, reason):
    compiled = compare(fun, [(X,), (Y,), (X,)])
    assert compiled.stats.replays == 0 and reason in compiled.explain()


def test_shuffling_in_place_runs_interpreted():
    def make(rs):
        def fun(x):
            order = onp.arange(3)
            rs.shuffle(order)
            return x[order]

        return fun

    assert "`permutation` gives a new one" in compare(make, [(X,), (Y,), (X,)]).explain()


def test_generators_of_numpy_itself_are_noticed():
    rng = onp.random.RandomState(0)
    compiled = jit(lambda x: x + rng.randn(3))
    twin = onp.random.RandomState(0)
    with pytest.warns(FallbackWarning, match=r"autograd_jit\.numpy\.random"):
        for _ in range(3):
            assert_same(compiled(X), X + twin.randn(3))


@pytest.mark.parametrize("make", [npr.RandomState, npr.default_rng])
def test_generators_are_numpys_and_survive_copies(make):
    rng = make(5)
    twin = (onp.random.RandomState if make is npr.RandomState else onp.random.default_rng)(5)
    assert isinstance(rng, type(twin))
    rng.normal(size=3), twin.normal(size=3)
    for copied in (copy.deepcopy(rng), pickle.loads(pickle.dumps(rng))):
        assert type(copied) is type(rng)
        assert_same(copied.normal(size=2), copy.deepcopy(twin).normal(size=2))
    names = [name for name in dir(twin) if not name.startswith("_")]
    assert all(hasattr(rng, name) for name in names)
    assert default_of(rng) is rng


def default_of(rng):
    return npr.default_rng(rng) if isinstance(rng, npr.Generator) else rng


def test_samples_have_no_derivative_in_their_parameters():
    rs = npr.RandomState(0)
    assert grad(lambda x: rs.normal(x, 1.0) * x)(2.0) == pytest.approx(onp.random.RandomState(0).normal(2.0, 1.0))
    compiled = grad(lambda x: np.sum(rs.normal(x, 1.0) * x), jit=True)
    twin = copy.deepcopy(rs)
    for x in (X, Y, X):
        assert_same(compiled(x), twin.normal(x, 1.0))
