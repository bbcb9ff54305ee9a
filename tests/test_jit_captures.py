"""What a compiled function reads besides its arguments: the answer follows every change of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import random
import time
import types
import warnings

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit, make_jvp, value_and_grad
from autograd_jit.errors import FallbackWarning
from autograd_jit.extend import defjvp, defjvp_argnum, defvjp, defvjp_argnum, defvjp_argnums, primitive
from autograd_jit.scipy.special import gammaln
from tests.jit_support import assert_same

A = np.array([1.0, -2.0, 3.0])
B = np.array([0.5, 0.25, -4.0])


class Tracked:
    """A function, compiled and interpreted, whose answers must agree after every step of a test."""

    def __init__(self, function, operator=None):
        self.plain = operator(function) if operator else function
        self.jitted = operator(function, jit=True) if operator else jit(function)

    def check(self, *calls):
        for x in calls or (A, B):
            assert_same(self.jitted(x), self.plain(x))

    @property
    def stats(self):
        return self.jitted.stats


@contextlib.contextmanager
def warned(count):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield seen
    assert len([w for w in seen if issubclass(w.category, FallbackWarning)]) == count, [str(w.message) for w in seen]


# ---------------------------------------------------------------- arrays


class Regression:
    """A model as many programs have it: data and settings in attributes, a loss as a method."""

    def __init__(self, inputs, targets, rate=0.1):
        self.data = {"inputs": inputs, "targets": targets}
        self.settings = types.SimpleNamespace(rate=rate, scales=[np.ones(3), np.full(3, 2.0)])

    def predict(self, weights):
        return np.tanh(self.data["inputs"] @ weights)

    def loss(self, weights):
        penalty = sum(np.sum((weights * scale) ** 2) for scale in self.settings.scales)
        return np.sum((self.predict(weights) - self.data["targets"]) ** 2) + self.settings.rate * penalty


def test_a_thousand_objects_of_one_class_trace_once():
    rng = np.random.default_rng(0)
    traces = 0
    for _ in range(1000):
        model = Regression(rng.normal(size=(4, 3)), rng.normal(size=4))
        gradient = grad(model.loss, jit=True)
        assert_same(gradient(A), grad(model.loss)(A))
        traces += gradient.stats.traces
    assert traces == 1


def test_writes_into_arrays_of_an_object_are_seen_without_a_trace():
    model = Regression(np.ones((4, 3)), np.zeros(4))
    tracked = Tracked(model.loss, grad)
    tracked.check()
    model.data["inputs"][1] = 5.0
    tracked.check()
    model.settings.scales[1] = np.full(3, 0.5)
    tracked.check()
    model.data = {"inputs": np.eye(3)[[0, 1, 2, 0]], "targets": np.ones(4)}
    tracked.check()
    traces = tracked.stats.traces
    assert traces <= 1 and tracked.stats.fallbacks == 0  # none, where another test has traced it
    model.settings.rate = 2.0
    tracked.check()
    assert tracked.stats.traces == traces + 1


def test_objects_that_the_function_changes_are_changed_themselves():
    class Counting(Regression):
        calls = 0

        @functools.cached_property
        def scale(self):
            return self.data["inputs"].sum()

        def loss(self, weights):
            for name in ["calls"]:
                setattr(self, name, getattr(self, name) + 1)
            return super().loss(weights) * self.scale

    plain, compiled = (Counting(np.ones((4, 3)), np.zeros(4)) for _ in range(2))
    jitted = grad(compiled.loss, jit=True)
    with warned(1):
        for _ in range(3):
            assert_same(jitted(A), grad(plain.loss)(A))
            assert type(compiled.scale) is np.float64
    assert compiled.calls == plain.calls and vars(compiled).keys() == vars(plain).keys()


@pytest.mark.parametrize("shown", [hash, repr, str, id])
def test_objects_show_their_own_address(shown):
    class Held:
        def __init__(self):
            self.w = np.full(3, 2.0)

    held = Held()
    expected = shown(held)
    tracked = Tracked(lambda x: x * held.w * (2.0 if shown(held) == expected else 3.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracked.check()
        tracked.check()
    by_name = Tracked(lambda x: x * held.w * (2.0 if hash(held) == hash(held) and repr(held) == f"{held}" else 3.0))
    by_name.check()
    direct = hash(held), repr(held)
    Tracked(lambda x: x * held.w * (2.0 if (hash(held), repr(held)) == direct else 3.0)).check()


def test_answers_that_a_cache_keeps_are_no_constants():
    class Held:
        def __init__(self):
            self.w = np.ones(3)

    held = Held()

    @functools.lru_cache
    def total(holder, k):
        return float(holder.w.sum()) * k

    tracked = Tracked(lambda x: x * held.w * total(held, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracked.check()
        held.w[:] = 5.0
        tracked.check()
        total.cache_clear()
        tracked.check()
        tracked.check()


def test_an_object_that_puts_itself_somewhere_is_itself_there():
    seen = []

    class Registering(Regression):
        def loss(self, weights):
            self.note(seen)
            return super().loss(weights)

        def note(self, where):
            where.append(self)

    model = Registering(np.ones((4, 3)), np.zeros(4))
    jitted = grad(model.loss, jit=True)
    with warned(1):
        for _ in range(3):
            jitted(A)
    assert all(found is model for found in seen) and type(model.data["inputs"]) is np.ndarray


def test_writes_into_a_captured_array_are_seen_without_a_trace():
    data = A.copy()
    tracked = Tracked(lambda x: x * data + data.sum())
    tracked.check()
    data[0] = 100.0
    tracked.check()
    data *= 3
    tracked.check()
    assert (tracked.stats.traces, tracked.stats.fallbacks) == (1, 0)


def test_rebinding_a_captured_array():
    data = A
    tracked = Tracked(lambda x: x * data, None)
    tracked.check()
    data = B
    tracked.check()
    assert tracked.stats.traces == 1
    for other in (A.astype(np.float32), np.array(2.0), 3.0, 2, np.ones((2, 3)), np.arange(3), B):
        data = other
        tracked.check()
    assert tracked.stats.fallbacks == 0


def test_layouts_of_captured_arrays():
    m = np.arange(9.0).reshape(3, 3)
    tracked = Tracked(lambda x: m @ x + m[0], None)
    for other in (m, m.T, m[::-1], np.asfortranarray(m), np.repeat(m, 2, 1)[:, ::2], m.astype(">f8"), m):
        m = other
        tracked.check()


GLOBAL_RATE = 0.5
GLOBAL_DATA = A.copy()


def test_globals():
    global GLOBAL_RATE, GLOBAL_DATA
    tracked = Tracked(lambda x: anp.sum(GLOBAL_RATE * x**2 * GLOBAL_DATA), grad)
    tracked.check()
    GLOBAL_RATE = 2.0
    tracked.check()
    GLOBAL_RATE = 3
    tracked.check()
    GLOBAL_DATA = B
    tracked.check()
    GLOBAL_DATA[1] = 9.0
    tracked.check()
    GLOBAL_RATE = 0.5
    tracked.check()
    assert tracked.stats.fallbacks == 0
    assert tracked.stats.traces == 3


def _helper(x):
    return x * 2


def test_a_global_function_that_is_replaced(monkeypatch):
    tracked = Tracked(lambda x: _helper(x) + 1)
    tracked.check()
    monkeypatch.setitem(globals(), "_helper", lambda x: x * 3)
    tracked.check()
    monkeypatch.setitem(globals(), "_helper", np.sin)
    tracked.check()


def test_a_global_that_goes_away(monkeypatch):
    monkeypatch.setitem(globals(), "TEMPORARY", 2.0)
    jitted = jit(lambda x: x * TEMPORARY)  # noqa: F821
    jitted(A)
    monkeypatch.delitem(globals(), "TEMPORARY")
    with pytest.raises(NameError):
        jitted(A)


def test_a_builtin_that_is_shadowed(monkeypatch):
    tracked = Tracked(lambda x: x * max(1, 2))
    tracked.check()
    monkeypatch.setitem(globals(), "max", min)
    tracked.check()


def test_numpy_function_that_is_patched(monkeypatch):
    tracked = Tracked(lambda x: anp.sum(x) * x)
    tracked.check()
    holder = types.SimpleNamespace(f=np.sin)
    other = Tracked(lambda x: holder.f(x))
    other.check()
    holder.f = np.cos
    other.check()


def test_primitives_are_told_apart():
    act = anp.tanh
    tracked = Tracked(lambda x, f=anp.exp: anp.sum(act(x) * f(x)), grad)
    tracked.check()
    act = anp.sin
    tracked.check()
    act = lambda x: anp.cos(x)
    tracked.check()
    act = anp.arctan
    tracked.check()
    for f in (anp.sin, anp.cos, anp.sum, anp.cumsum):
        Tracked(functools.partial(lambda g, x: g(x), f)).check()
        Tracked((lambda g: lambda x: g(x))(f)).check()


@pytest.mark.parametrize("how", ["defvjp", "defvjp_argnum", "defvjp_argnums", "defjvp", "defjvp_argnum"])
def test_what_derivative_rules_capture(how):
    """A trace runs the rules of the user's primitives: what they read is on its tape as much as the function's own."""
    table, scale = np.array([1.0, 2.0, 3.0]), 2.0

    @primitive
    def total(x):
        return x.sum()

    reverse = lambda ans, x: lambda g: g * scale * table
    forward = lambda g, ans, x: np.sum(g * scale * table)
    register = {
        "defvjp": lambda: defvjp(total, reverse),
        "defvjp_argnum": lambda: defvjp_argnum(total, lambda argnum, ans, args, kwargs: reverse(ans, *args)),
        "defvjp_argnums": lambda: defvjp_argnums(
            total, lambda argnums, ans, args, kwargs: lambda g: (reverse(ans, *args)(g),)
        ),
        "defjvp": lambda: defjvp(total, forward),
        "defjvp_argnum": lambda: defjvp_argnum(total, lambda argnum, g, ans, args, kwargs: forward(g, ans, *args)),
    }[how]
    register()
    operator = grad if "vjp" in how else lambda f, **options: jit(push(f)) if options else push(f)
    push = lambda f: lambda x: make_jvp(f)(x)(np.ones(3))[1]
    tracked = Tracked(lambda x: total(x) ** 2, operator)
    tracked.check()
    table[0] = 10.0
    tracked.check()
    scale = 3.0
    tracked.check()
    table = np.array([4.0, 5.0, 6.0])
    tracked.check()
    reverse = lambda ans, x: lambda g: g * table
    forward = lambda g, ans, x: np.sum(g * table)
    register()  # another rule for the same function
    tracked.check()
    assert tracked.stats.replays >= 5


def test_rules_of_this_package_are_no_captured_state():
    """Generated rules among them, which know no module but this package's."""
    tracked = Tracked(lambda x: anp.sum(gammaln(x + 5.0)), grad)
    tracked.check()
    assert (tracked.stats.traces, tracked.stats.replays) == (1, 1)


# ---------------------------------------------------------------- defaults, methods, partials, objects


def test_default_arguments():
    def f(x, scale=2.0, data=A, *, shift=1.0):
        return x * scale + data * shift

    tracked = Tracked(f)
    tracked.check()
    f.__defaults__ = (3.0, B)
    tracked.check()
    f.__kwdefaults__["shift"] = 5.0
    tracked.check()
    jitted = jit(f)
    assert_same(jitted(A, data=A), f(A, data=A))


class Model:
    scale = 2.0

    def __init__(self, weights, rate):
        self.weights = weights
        self.rate = rate
        self.layers = [weights, weights * 2]
        self.options = {"power": 2}

    def loss(self, x):
        total = 0.0
        for layer in self.layers:
            total = total + anp.sum((x * layer) ** self.options["power"])
        return total * self.rate * self.scale + anp.sum(self.weights * x)

    def __call__(self, x):
        return self.loss(x) * 2

    @property
    def doubled(self):
        return self.rate * 2

    @staticmethod
    def static(x):
        return x * 2

    @classmethod
    def of_class(cls, x):
        return x * cls.scale


@pytest.mark.parametrize("how", ["method", "callable", "closure", "partial"])
def test_objects(how, monkeypatch):
    model = Model(A.copy(), 0.5)
    function = {
        "method": model.loss,
        "callable": model,
        "closure": lambda x: model.loss(x) + model.doubled,
        "partial": functools.partial(lambda m, x: m.loss(x), model),
    }[how]
    tracked = Tracked(function, value_and_grad)
    steps = [
        lambda: None,
        lambda: setattr(model, "rate", 0.25),
        lambda: model.weights.__setitem__(0, 7.0),
        lambda: setattr(model, "weights", B),
        lambda: model.layers.append(B),
        lambda: model.layers.__setitem__(0, B * 3),
        lambda: model.options.update(power=3),
        lambda: monkeypatch.setattr(Model, "scale", 5.0),
        lambda: setattr(model, "scale", 6.0),
        lambda: monkeypatch.setattr(Model, "loss", lambda self, x: anp.sum(x) * self.rate),
        lambda: setattr(model, "rate", 4),
    ]
    for step in steps:
        step()
        tracked.check()
    assert tracked.stats.fallbacks == 0
    assert tracked.stats.replays >= len(steps)


def test_static_and_class_methods(monkeypatch):
    for function in (Model.static, Model.of_class, Model(A, 1.0).static):
        tracked = Tracked(function)
        tracked.check()
        monkeypatch.setattr(Model, "scale", Model.scale + 1)
        tracked.check()


def test_methods_of_fresh_objects():
    for k in range(5):
        tracked = Tracked(Model(A * k, 0.5 + k).loss, value_and_grad)
        tracked.check()


def test_partials():
    def f(data, x, scale=1.0):
        return x * data * scale

    for data, scale in ((A, 1.0), (B, 1.0), (B, 2.0)):
        Tracked(functools.partial(f, data, scale=scale)).check()
    nested = functools.partial(functools.partial(f, A), scale=3.0)
    Tracked(nested).check()


def test_containers_of_captured_state():
    items, table, names = [A, B], {"a": A, "b": 2.0}, {"x", "y"}
    tracked = Tracked(lambda x: sum(x * i for i in items) + table["a"] * table["b"] + len(names))
    tracked.check()
    items.append(A * 5)
    tracked.check()
    items[0] = B
    tracked.check()
    items[0][1] = 3.5
    tracked.check()
    items[0][1] = 0.25
    table["b"] = 3.0
    tracked.check()
    table["a"] = B
    table["c"] = 1
    names.add("z")
    tracked.check()
    del items[:]
    tracked.check()
    assert tracked.stats.fallbacks == 0


def test_plain_numpy_on_captured_arrays():
    data = A.copy()
    tracked = Tracked(lambda x: anp.sum(x * np.log(np.abs(data)) + np.linalg.norm(data)), grad)
    tracked.check()
    data[2] = 11.0
    tracked.check()
    assert tracked.stats.fallbacks == 0


def test_a_function_redefined():
    def inner(x):
        return x * 2

    tracked = Tracked(lambda x: inner(x) + 1)
    tracked.check()

    def inner(x):  # noqa: F811
        return x * 3

    tracked.check()
    inner.__code__ = (lambda x: x * 4).__code__
    tracked.check()


def test_a_cell_that_is_empty_later():
    value = 2.0

    def f(x):
        return x * value  # noqa: F821

    jitted = jit(f)
    jitted(A)
    del value
    with pytest.raises(NameError):
        jitted(A)


# ---------------------------------------------------------------- operators and jitted functions captured


@pytest.mark.parametrize("make", [grad, functools.partial(grad, jit=True), jit], ids=["grad", "grad jit", "jit"])
def test_captured_derivatives_see_what_their_function_captures(make):
    data, rate = A.copy(), 2.0

    def loss(x):
        return anp.sum(anp.sin(x * data)) * rate

    inner = make(loss)
    plain = loss if make is jit else grad(loss)
    jitted = jit(lambda x: inner(x) * 2)
    for step in range(6):
        if step == 2:
            data[0] = 5.0
        elif step == 3:
            data = B
        elif step == 4:
            rate = 3.0
        elif step == 5:
            data = np.arange(3.0)
        for x in (A, B):
            assert_same(jitted(x), plain(x) * 2)
    assert jitted.stats.fallbacks == 0
    assert jitted.stats.traces <= 3


def test_writes_through_a_captured_gradient_replay():
    data = A.copy()
    inner = grad(lambda x: anp.sum((x * data) ** 2))
    jitted = jit(lambda x: inner(x) - x)
    for k in range(5):
        data[1] = k
        assert_same(jitted(B), 2 * B * data**2 - B)
    assert (jitted.stats.traces, jitted.stats.replays) == (1, 4)


def test_jit_of_a_captured_gradient_inside():
    data = A.copy()
    inner = grad(lambda x: anp.sum((x * data) ** 2))
    jitted = jit(lambda x: jit(inner)(x) - x)
    for k in range(4):
        data[1] = k
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert_same(jitted(B), 2 * B * data**2 - B)


# ---------------------------------------------------------------- fresh closures


def test_a_thousand_fits_one_trace():
    def fit(data, rate):
        return value_and_grad(lambda p: anp.sum((p - data) ** 2) * rate, jit=True)

    traces = replays = 0
    for k in range(1000):
        function = fit(np.full(3, float(k)), 2.0)
        _, gradient = function(A)
        traces += function.stats.traces
        replays += function.stats.replays
        if k % 100 == 0:
            assert_same(gradient, 4.0 * (A - k))
    assert (traces, replays) == (1, 999)


def test_fresh_closures_with_other_constants():
    def make(rate, flag):
        return lambda x: x * rate if flag else x / rate

    for rate, flag in ((2.0, True), (2, True), (3.0, True), (2.0, False), (True, True), (2.0, 1)):
        Tracked(make(rate, flag)).check()


# ---------------------------------------------------------------- state that the function changes


def test_state_changing_functions_stay_interpreted_with_one_warning():
    count, log = 0, []

    def counting(x):
        nonlocal count
        count += 1
        return x * count

    jitted = jit(counting)
    with warned(1) as seen:
        for k in range(1, 5):
            assert_same(jitted(A), A * k)
    assert "count" in str(seen[0].message)
    with warned(1):
        logging = jit(lambda x: log.append(x[0]) or x * 2)
        for _ in range(3):
            logging(A)
    assert log == [1.0, 1.0, 1.0]
    assert all(isinstance(entry, np.float64) for entry in log)


HIDDEN = []


def _alias():
    return HIDDEN


def test_changes_behind_an_alias_are_noticed_and_hold_plain_values():
    def sneaky(x):
        store = _alias()
        store.append(x * 2)
        return x + len(store)

    HIDDEN.clear()
    jitted = jit(sneaky)
    with warned(1):
        for k in range(1, 4):
            assert_same(jitted(A), A + k)
    assert len(HIDDEN) == 3
    for entry in HIDDEN:
        assert type(entry) is np.ndarray
        assert_same(entry, A * 2)


def test_attributes_set_by_other_means_hold_plain_values():
    class Store:
        pass

    store = Store()

    def f(x):
        setattr(store, "last", x * 2)  # noqa: B010
        return x

    jitted = jit(f)
    with warned(1):
        for x in (A, B):
            assert_same(jitted(x), x)
            assert type(store.last) is np.ndarray
            assert_same(store.last, x * 2)


def test_a_user_cache_keeps_no_traced_value():
    @functools.lru_cache
    def slow(x):
        return x * 2

    f = lambda x: slow(x) + 1
    jitted = jit(f)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in (2.0, 3.0, 2.0, 3.0):
            assert_same(jitted(x), f(x))
            assert type(slow(x)) is float


# ---------------------------------------------------------------- randomness


def test_random_draws_are_noticed():
    generator, state = np.random.default_rng(0), np.random.RandomState(0)
    draws = {
        "numpy global": lambda x: x * np.random.rand(),
        "generator": lambda x: x * generator.normal(),
        "state": lambda x: x * state.rand(3),
        "module": lambda x: x * random.random(),
        "hidden": lambda x: x * _draw(),
    }
    for name, function in draws.items():
        jitted = jit(function)
        with warned(1):
            results = [float(jitted(A)[0]) for _ in range(4)]
        assert len(set(results)) == 4, name


def test_the_state_of_a_captured_generator_is_no_constant():
    generator = np.random.RandomState(0)
    jitted = jit(lambda x: x * generator.get_state()[2])
    with warned(1):
        for _ in range(3):
            assert_same(jitted(A), A * generator.get_state()[2])
            generator.rand(3)


def _draw():
    return getattr(np.random, "ra" + "nd")()


def test_the_stream_is_the_interpreted_one():
    generator = np.random.default_rng(5)

    def noisy(x):
        return x + generator.normal(size=3)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jitted = jit(noisy)
        got = [jitted(A) for _ in range(3)]
        generator = np.random.default_rng(5)
        assert_same(got, [A + generator.normal(size=3) for _ in range(3)])

        def writing(x):
            noise = anp.random.normal(size=3)
            noise += x
            x[0] = 1.0
            return noise + x

        np.random.seed(3)
        jitted = jit(writing)
        got = [jitted(A.copy()) for _ in range(3)]
        np.random.seed(3)
        assert_same(got, [writing(A.copy()) for _ in range(3)])


def test_objects_among_the_arguments():
    model = Model(A.copy(), 0.5)
    jitted = jit(lambda m, x: m.loss(x))
    for step in (lambda: None, lambda: setattr(model, "rate", 2.0), lambda: model.weights.__setitem__(0, 9.0)):
        step()
        for x in (A, B, A):
            assert_same(jitted(model, x), model.loss(x))
    assert jitted.stats.fallbacks == 0
    assert jitted.stats.replays >= 6
    other = Model(B, 0.25)
    assert_same(jitted(other, A), other.loss(A))
    callables = jit(lambda f, x: f(x) * 2)
    for f in (np.sin, np.cos, model, lambda v: v * 3, model.loss):
        assert_same(callables(f, A), f(A) * 2)
    with_gradient = grad(lambda m, x: m.loss(x), 1, jit=True)
    for x in (A, B):
        assert_same(with_gradient(model, x), grad(lambda m, x: m.loss(x), 1)(model, x))
    assert with_gradient.stats.replays == 1


def test_objects_that_are_new_at_every_call_replay():
    jitted = jit(lambda m, x: m.loss(x))
    for number in range(60):
        model = Model(A * number, 0.5)
        assert_same(jitted(model, B), model.loss(B))
    assert jitted.stats.traces <= 1 and jitted.stats.fallbacks == 0


class Fit:
    """A class as programs have it: the constructor does what no tape can hold, static methods compute."""

    rate = 2.0
    made = 0

    def __init__(self, path="."):
        import a_module_that_no_test_has

        self.log = a_module_that_no_test_has.open(path)
        Fit.made += 1

    @staticmethod
    def predict(weights):
        return anp.tanh(weights) * Fit.rate

    @staticmethod
    def loss(weights):
        return anp.sum(Fit.predict(weights) ** 2)


def test_a_class_that_is_only_asked_for_static_methods(monkeypatch):
    fit = Tracked(Fit.loss, grad)
    with warned(0):
        fit.check()
    assert fit.stats.traces == 1 and fit.stats.replays == 1
    monkeypatch.setattr(Fit, "rate", 3.0)
    fit.check()
    monkeypatch.setattr(Fit, "predict", staticmethod(lambda weights: weights * 5))
    fit.check()
    assert fit.stats.fallbacks == 0


@pytest.mark.parametrize(
    "function",
    [
        lambda x: anp.sum(Counted.rate * x) if x[0] > 1 else anp.sum(Counted().kept * x),
        lambda x: anp.sum(x) * Counted.rate * (lambda cls: cls().kept)(Counted),
        lambda x: Counted.create().kept * anp.sum(x) * Counted.rate,
    ],
    ids=["called", "passed on", "class method"],
)
def test_a_class_that_is_asked_for_attributes_and_makes_instances(function):
    tracked = Tracked(function)
    for step in range(4):
        before = Counted.count
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackWarning)
            tracked.jitted(B)
        assert Counted.count == before + 1, f"call {step} did not make its instance"


class Counted:
    rate, count = 2.0, 0

    def __init__(self):
        Counted.count += 1
        self.kept = 1.5

    @classmethod
    def create(cls):
        return cls()


def test_numbers_that_are_new_at_every_call_end_up_interpreted():
    """Each would cost a scan and a trace; one that stays is compiled after all."""
    schedule = {"step": 0}

    def annealed(x):
        return anp.sum(anp.sin(x) * 0.99 ** schedule["step"])

    jitted, plain = grad(annealed, jit=True), grad(annealed)
    with warned(1):
        for step in range(60):
            schedule["step"] = step
            assert_same(jitted(A), plain(A))
    assert jitted.stats.traces <= 18 and jitted.stats.deferred >= 42
    assert "captures other values" in jitted.explain()
    deadline = time.monotonic() + 60
    while not jitted.stats.replays:  # it is compiled when interpreted calls have taken as long as that
        assert_same(jitted(A), plain(A))
        assert time.monotonic() < deadline, jitted.explain()


def test_closures_that_are_called_once_end_up_interpreted():
    def fit(number):
        return grad(lambda x: anp.sum(x**number), jit=True)

    with warned(1):
        once = [fit(number) for number in range(40)]
        for number, gradient in enumerate(once):
            assert_same(gradient(A), number * A ** max(number - 1, 0))
    assert sum(gradient.stats.traces for gradient in once) <= 18
    for number, gradient in enumerate(once[:10]):  # those that come again replay, and later ones are compiled
        assert_same(gradient(A), number * A ** max(number - 1, 0))
        assert gradient.stats.replays == 1
    later = fit(50)
    deadline = time.monotonic() + 60
    while not later.stats.replays:  # by the time that interpreted calls take: how many, differs between machines
        assert_same(later(A), 50 * A**49)
        assert time.monotonic() < deadline, later.explain()


def test_objects_that_differ_in_settings_at_every_call_end_up_interpreted():
    """Each would cost a trace; one that comes again is still replayed."""
    jitted = jit(lambda m, x: m.loss(x))
    with warned(1):
        for number in range(60):
            model = Model(A, float(number))
            assert_same(jitted(model, B), model.loss(B))
    assert "given other objects (Model) at every call" in jitted.explain()
    assert jitted.stats.traces <= 17
    assert jitted.stats.fallbacks >= 43
    known = Model(A, 0.5)
    mixed = jit(lambda m, x: m.loss(x))
    for number in range(60):
        assert_same(mixed(known, B), known.loss(B))
        mixed(Model(A, 0.25 + number), B)
    assert mixed.stats.fallbacks == 0


def test_iterators_and_objects_with_hidden_state():
    numbers = iter(range(100))
    jitted = jit(lambda x: x * next(numbers))
    with warned(1):
        assert [float(jitted(A)[0]) for _ in range(4)] == [0.0, 1.0, 2.0, 3.0]
    jitted = jit(lambda x, it: x * next(it))
    with warned(1):
        numbers = iter(range(5))
        assert [float(jitted(A, numbers)[0]) for _ in range(4)] == [0.0, 1.0, 2.0, 3.0]


def test_classes_that_carry_the_name_of_a_module_which_does_not_hold_them():
    """Those of code run without ``__name__``, of ``types.new_class`` and of ``make_dataclass``."""
    namespace: dict = {}
    exec("class Model:\n    rate = 2.0\n    def loss(self, x): return x * self.rate", namespace)
    made = types.new_class("Made", (), {}, lambda body: body.update(rate=2.0, loss=lambda self, x: x * self.rate))
    fields = dataclasses.make_dataclass("Fields", [("unused", int, 0)], namespace={"rate": 2.0, "loss": made.loss})
    for cls in (namespace["Model"], made, fields):
        compiled = jit(lambda x: cls().loss(x))
        for rate in (2.0, 2.0, 3.0, 3.0, 4.0):
            cls.rate = rate
            assert_same(compiled(A), A * rate)
        assert compiled.stats.replays == 2
