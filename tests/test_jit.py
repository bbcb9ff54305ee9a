"""``jit`` itself: operators, replays, guards, limits, errors, what one sees from outside."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
import pickle
import warnings

import numpy as np
import pytest

import autograd_jit as aj
import autograd_jit.numpy as anp
from autograd_jit import (
    config,
    deriv,
    grad,
    hessian,
    jacobian,
    jit,
    known_programs,
    make_ggnvp,
    multigrad_dict,
    value_and_grad,
)
from autograd_jit.errors import ArgumentError, BackendError, FallbackWarning, NonScalarOutputError, TraceLimitError
from autograd_jit.extend import defvjp, primitive
from autograd_jit.jit import assert_max_traces
from tests.jit_support import assert_replayed, assert_same, compare

A = np.array([1.0, -2.0, 3.0])
B = np.array([0.5, 0.25, -4.0])


@pytest.fixture(autouse=True)
def no_programs_of_other_tests():
    """Functions of one meaning share their programs; counting traces needs a fresh start."""
    known_programs.registry.clear()


def loss(x):
    return anp.sum(anp.tanh(x) ** 2 + x)


@contextlib.contextmanager
def warned(count):
    """Exactly ``count`` FallbackWarnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield seen
    assert len([w for w in seen if issubclass(w.category, FallbackWarning)]) == count, [str(w.message) for w in seen]


# ---------------------------------------------------------------- operators

OPERATORS = {
    "grad": (aj.grad, loss),
    "value_and_grad": (aj.value_and_grad, loss),
    "elementwise_grad": (aj.elementwise_grad, lambda x: anp.sin(x) * x),
    "deriv": (aj.deriv, lambda x: anp.sin(x) * x),
    "jacobian": (aj.jacobian, lambda x: anp.outer(x, x)[0] * anp.sin(x)),
    "hessian": (aj.hessian, loss),
    "grad_and_aux": (aj.grad_and_aux, lambda x: (loss(x), {"half": x / 2, "n": None})),
    "multigrad_dict": (aj.multigrad_dict, loss),
    "jit": (None, loss),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_replay(name):
    operator, function = OPERATORS[name]
    assert_replayed(function, (A,), (B,), (A * 2,), operator=operator)


@pytest.mark.parametrize("operator", [aj.hessian_vector_product, aj.hvp])
def test_products_replay(operator):
    assert_replayed(loss, (A, B), (B, A), (A, A), operator=operator)


def test_tensor_jacobian_product_replays():
    assert_replayed(lambda x: anp.sin(x) * x[0], (A, B), (B, A), operator=aj.tensor_jacobian_product)


def test_holomorphic_grad():
    compare(lambda z: z**3 * anp.exp(z), (1j,), (1 + 2j,), operator=aj.holomorphic_grad)


@pytest.mark.parametrize("operator", [aj.make_vjp, aj.make_jvp])
def test_operators_that_return_functions(operator):
    function = lambda x: anp.sin(x) * x[0]
    jitted, plain = operator(function, jit=True), operator(function)
    with warned(1):
        for x in (A, B):
            got, want = jitted(x), plain(x)
            if operator is aj.make_vjp:
                assert_same(got[1], want[1])
                assert_same(got[0](x), want[0](x))
            else:
                assert_same(got(x), want(x))


@pytest.mark.parametrize(
    "inner", [aj.grad, aj.hessian, aj.jacobian, aj.value_and_grad], ids=lambda operator: operator.__name__
)
def test_jit_around_and_inside_operators(inner):
    plain = inner(loss)
    for jitted in (jit(inner(loss)), jit(inner(jit(loss))), jit(lambda x: inner(loss)(x)), jit(inner(loss, jit=True))):
        for x in (A, B, A):
            assert_same(jitted(x), plain(x))
        assert jitted.stats.replays >= 2  # functions of one meaning share their programs
        assert jitted.stats.fallbacks == 0


def test_nested_levels():
    triple = lambda f: aj.grad(lambda x: aj.grad(lambda y: aj.grad(f)(y) ** 2)(x) * 3.0)
    compare(lambda x: anp.sin(x) * x, (1.2,), (0.3,), (2.0,), operator=lambda f, jit=False: (
        aj.jit(triple(f)) if jit else triple(f)
    ))
    inner = grad(loss, jit=True)
    outer = grad(lambda x: anp.sum(inner(x) ** 2))
    assert_same(outer(A), grad(lambda x: anp.sum(grad(loss)(x) ** 2))(A))
    assert inner.stats.inlined == 1


def test_captured_operators_of_one_function_are_told_apart():
    def total(inner):
        return lambda x: anp.sum(inner(x))

    inners = [jit(loss), grad(loss, jit=True), aj.hessian(loss, jit=True), grad(loss), aj.hessian(loss), aj.deriv(loss)]
    for _ in range(2):
        for inner in inners:
            assert_same(jit(total(inner))(A), total(inner)(A))


def test_jvp_inside_jit_and_jit_inside_jvp():
    f = lambda x, v: aj.make_jvp(loss)(x)(v)
    assert_replayed(f, (A, B), (B, A))
    assert_same(aj.make_jvp(jit(loss))(A)(B), aj.make_jvp(loss)(A)(B))
    g = lambda x, v: aj.make_vjp(loss)(x)[0](v)
    assert_replayed(g, (A, 2.0), (B, 1.5))


def test_checkpoint():
    f = aj.checkpoint(lambda x: anp.tanh(x) * anp.exp(-x))
    compare(lambda x: anp.sum(f(x) ** 2), (A,), (B,), (A * 2,), operator=grad)


def test_custom_primitive():
    scale = [2.0]

    @primitive
    def scaled(x):
        return x * scale[0]

    defvjp(scaled, lambda ans, x: lambda g: g * scale[0])
    jitted = compare(lambda x: anp.sum(scaled(x) ** 2), (A,), (B,), operator=grad)
    assert jitted.stats.traces + jitted.stats.fallbacks <= 2


def test_custom_primitives_that_write_or_keep_their_arguments():
    class Keeper:
        def __init__(self):
            self.kept = []

        def keep(self, x):
            getattr(self, "kept").__iadd__([x])  # noqa: B009
            return x * 2

    keeper = Keeper()
    keep = primitive(lambda x: keeper.keep(x))
    jitted = jit(lambda x: keep(x * 3) + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k in range(4):
            assert_same(jitted(A + k), (A + k) * 6 + 1)
    assert_same(keeper.kept[-4:], [(A + k) * 3 for k in range(4)])

    @primitive
    def doubling(x):
        x *= 2
        return x + 1

    def f(x):
        y = x * 3
        return doubling(y) + y

    compare(f, (A,), (B,))
    compare(lambda x: doubling(x) + x, (A,), (B,), (A,))


def test_outer_transformations_captured_deep_in_a_closure():
    def outer(x):
        parameters = {"a": [x]}
        inner = jit(lambda y: y * parameters["a"][0])
        return anp.sum(inner(np.ones(3)) ** 2)

    with warnings.catch_warnings():
        warnings.simplefilter("error", FallbackWarning)
        assert_same(grad(outer)(A), 2 * A)
        assert_replayed(outer, (A,), (B,), operator=grad)


def test_custom_primitive_that_raises_on_some_values():
    @primitive
    def positive_only(x):
        if np.any(x < 0):
            raise ValueError(f"negative: {x}")
        return np.sqrt(x)

    defvjp(positive_only, lambda ans, x: lambda g: g / (2 * ans))
    jitted = compare(lambda x: anp.sum(positive_only(x)), (A**2,), (A,), (B**2,), (B,), operator=grad)
    assert jitted.stats.replays == 1


def test_user_defined_container():
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    jitted = jit(lambda p: p.a * p.b)
    for p in (Pair(A, 2.0), Pair(B, 3.0), Pair(A, B)):
        assert_same(jitted(p), p.a * p.b)
    pair = Pair(A, 2.0)
    for value in (1.0, 2.0, 1.0):
        pair.b = value
        assert_same(jitted(pair), A * value)


# ---------------------------------------------------------------- paths


def test_ten_thousand_alternating_branches_trace_twice():
    jitted = jit(lambda x: x * 2 if anp.sum(x) > 0 else x - 1)
    for number in range(10_000):
        x = A if number % 2 else -A
        result = jitted(x)
        if number % 500 < 2:
            assert_same(result, x * 2 if number % 2 else x - 1)
    assert jitted.stats.traces == 2
    assert jitted.stats.replays == 9_998
    assert jitted.stats.fallbacks == 0


def test_a_tree_of_paths_is_traced_once_a_leaf():
    def f(x):
        y = x
        for i in range(3):
            y = y * 2 if x[i] > 0 else y + 1
        return y

    signs = [np.array([a, b, c]) for a in (1.0, -1.0) for b in (1.0, -1.0) for c in (1.0, -1.0)]
    jitted = jit(f)
    for _ in range(5):
        for x in signs:
            assert_same(jitted(x), f(x))
    assert jitted.stats.traces == 8
    assert jitted.stats.replays == 32


def test_the_limit_of_paths_falls_back_with_one_warning():
    f = lambda x: x * int(x[0])
    jitted = jit(f, max_paths=4)
    with warned(1) as seen:
        for number in range(12):
            x = np.full(3, float(number))
            assert_same(jitted(x), f(x))
    assert "more than 4 paths" in str(seen[0].message)
    assert jitted.stats.traces == 4
    assert jitted.stats.fallbacks == 8


def test_calls_that_all_differ_give_up_early():
    f = lambda x: x * float(x[0])
    jitted = jit(f)
    with warned(1):
        for number in range(40):
            assert_same(jitted(np.full(3, 0.1 * number)), np.full(3, 0.1 * number) * (0.1 * number))
    assert jitted.stats.traces <= 20


def test_the_number_of_signatures_is_bounded():
    f = lambda x, n: np.roll(x, n)
    jitted = jit(f, max_signatures=8)
    with warned(1) as seen:
        for n in range(60):
            assert_same(jitted(A, n), np.roll(A, n))
    assert "more than 8 signatures" in str(seen[0].message)
    assert len(jitted._handle.compiled.entries) <= 8


def test_calls_that_take_turns_do_not_look_at_their_arguments_again(monkeypatch):
    """Replays of a few signatures in turn go from one fast path to another, in whatever order they come."""
    jitted = jit(lambda x, n: x * 2.0 + n % 3)
    calls = [(np.ones(size), n) for size in (2, 3) for n in range(6)]
    for args in calls:
        jitted(*args)
    for args in calls:
        jitted(*args)
    monkeypatch.setattr(type(jitted._handle), "find_compiled", None)  # the slow path would call it
    for position in [*range(12), 3, 3, 0, 7, 11, 2, 5, 5, 1, *range(12)]:
        x, n = calls[position]
        np.testing.assert_array_equal(jitted(x, n), x * 2.0 + n % 3)
    assert (jitted.stats.traces, jitted.stats.fallbacks) == (6, 0)


def test_recent_fast_paths_see_what_changed():
    """Each checks captured state for itself; forgetting all programs forgets them, too."""
    scale = np.array([2.0])
    jitted = jit(lambda x, n: x * scale * n)
    for n in (1, 2, 1, 2):
        jitted(np.ones(2), n)
    scale[0] = 5.0
    for n in (1, 2, 1, 2):
        np.testing.assert_array_equal(jitted(np.ones(2), n), [5.0 * n] * 2)
    assert jitted.stats.traces == 2
    jitted.clear()
    jitted(np.ones(2), 1)
    assert jitted.stats.traces == 3


def test_signatures_in_use_are_kept():
    jitted = jit(lambda x, n: np.roll(x, n), max_signatures=4)
    for n in range(12):
        jitted(A, n)
        jitted(A, 0)
    assert jitted.stats.traces == 12


def test_a_new_shape_traces_and_an_old_one_replays():
    jitted = jit(loss)
    for size in (2, 3, 4, 2, 3, 4):
        assert_same(jitted(np.ones(size)), loss(np.ones(size)))
    assert jitted.stats.traces == 3
    assert jitted.stats.replays == 3


# ---------------------------------------------------------------- errors


def test_errors_of_the_user_leave_no_state():
    def f(x):
        if x[0] > 2:
            raise KeyError(f"too large: {x[0]}")
        return x * 2

    jitted = compare(f, (A,), (A * 5,), (A,), (A * 5,), (B,))
    assert jitted.stats.replays == 2
    with pytest.warns(FallbackWarning) as seen:
        jit(lambda x: x.__iadd__(1))(A.copy())
    assert seen[0].filename == __file__  # the warning points at the user's line
    for error in (np.linalg.LinAlgError, ZeroDivisionError):

        def g(x, error=error):
            raise error("always")

        compare(g, (A,), (B,))


def test_singular_matrices():
    singular, regular = np.ones((2, 2)), np.array([[2.0, 1.0], [1.0, 3.0]])
    f = lambda m: anp.sum(anp.linalg.inv(m)) + anp.linalg.slogdet(m)[1]
    for operator in (None, grad):
        jitted = compare(f, (regular,), (singular,), (regular * 2,), (singular,), operator=operator)
        assert jitted.stats.traces >= 1
        assert jitted.stats.replays >= 1
    compare(lambda m: anp.linalg.cholesky(m), (regular,), (-regular,), (regular,))


def test_handled_errors_take_their_own_path():
    regular = np.array([[2.0, 1.0], [1.0, 3.0]])

    def robust(m):
        try:
            return anp.linalg.cholesky(m)
        except np.linalg.LinAlgError:
            return m * 0 - 1

    compare(robust, (regular,), (-regular,), (regular,), (-regular,))
    compare(robust, (-regular,), (regular,), (-regular,), (regular * 2,))


def test_floating_point_errors_asked_for():
    f = lambda x: 1.0 / x
    jitted = jit(f)
    jitted(A)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError), pytest.warns(FallbackWarning):
        jitted(A * 0)
    with np.errstate(all="ignore"):
        assert_same(jitted(A * 0), np.array([np.inf, -np.inf, np.inf]))

    def inside(x):
        with np.errstate(divide="raise"):
            return 1.0 / x

    compare(inside, (A,), (A * 0,), (B,))

    def quiet(x):
        with np.errstate(divide="ignore"):
            return 1.0 / x

    assert_replayed(quiet, (A,), (A * 0,), (B,))


def test_warnings_that_are_errors():
    """With ``python -W error`` the interpreted call raises what NumPy warns of."""
    jitted = jit(lambda x: 1.0 / x)
    assert_same(jitted(A), 1.0 / A)
    assert_same(jitted(B), 1.0 / B)
    for install in (
        lambda: warnings.simplefilter("error"),
        lambda: warnings.filterwarnings("error", category=RuntimeWarning),
        lambda: warnings.filterwarnings("error", "divide by zero", append=True),
    ):
        with warnings.catch_warnings():
            install()
            with pytest.raises(RuntimeWarning, match="divide by zero"):
                jitted(A * 0)
    replays = jitted.stats.replays
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same(jitted(A * 0), np.array([np.inf, -np.inf, np.inf]))
        warnings.filterwarnings("error", category=DeprecationWarning)
        assert_same(jitted(B), 1.0 / B)
    assert jitted.stats.replays == replays + 2


def test_index_errors():
    indices = [1, 7, np.int64(2), np.int64(9), np.array([0, 1]), np.array([0, 9]), np.array([1, 2])]
    compare(lambda x, i: x[i], *[(A, index) for index in indices])


def test_errors_of_operators():
    with pytest.raises(NonScalarOutputError):
        grad(lambda x: x * 2, jit=True)(A)
    wrong = [lambda: jit(3), lambda: jit(loss, wrong=1), lambda: jit(loss, target="tpu"), lambda: grad(3, jit=True)]
    for make in wrong:
        with pytest.raises(ArgumentError):
            make()
    with pytest.raises(ArgumentError):
        grad(loss, jit=True)(3)
    with pytest.raises(ArgumentError):
        grad(loss, 5, jit=True)(A)
    with pytest.raises(ArgumentError):
        grad(loss, max_paths=3)


@pytest.mark.skipif(config.target != "cpu", reason="about the CPU's compiler")
def test_a_kernel_that_does_not_compile(monkeypatch):
    from autograd_jit.lower import program

    def fail(kernels, mode, formed):
        raise BackendError("no compiler today")

    monkeypatch.setattr(program, "compile_kernels", fail)
    jitted = jit(lambda x: x * 2 + 1.25)
    with warned(1) as seen:
        for x in (A, B, A):
            assert_same(jitted(x), x * 2 + 1.25)
    assert "no compiler today" in str(seen[0].message)


def test_recursion_error_and_deep_recursion():
    def down(x, n):
        return x if n == 0 else down(x * 1.01, n - 1)

    compare(down, (A, 50), (B, 50))
    compare(lambda x: down(x, 10**6), (A,))


# ---------------------------------------------------------------- seeing inside


def test_tape_kernels_explain_stats_clear():
    jitted = jit(lambda x: x * 2 if x[0] > 0 else x)
    assert "not called yet" in jitted.explain()
    assert "multiply" in str(jitted.tape(A))
    assert str(jitted.kernels(A))
    jitted(A)
    text = jitted.explain()
    assert "guard(bool(" in text and "test_jit.py" in text and "first call" in text
    assert jitted.stats.traces == 1
    jitted.clear()
    jitted(A)
    assert jitted.stats.traces == 2


def test_explain_says_why_a_function_is_interpreted():
    seen = []
    jitted = jit(lambda x: seen.append(1) or x)
    with warned(1):
        jitted(A)
        jitted(B)
    assert "runs interpreted" in jitted.explain()
    assert len(seen) == 2
    with pytest.raises(ArgumentError, match="no tape"):
        jitted.tape(A)


def test_explain_names_the_nearest_earlier_trace_and_what_differs():
    def make(rate, size):
        data = np.ones((size, 3))

        def fun(params, step, mode="a"):
            x = params["w"] * rate
            if step % 3 == 1:
                x = x * 2
            return anp.sum((data @ x) ** 2)

        return fun

    jitted = jit(make(0.1, 4))
    for params, *rest in [(A, 0), (A, 1), (A.astype("f4"), 0), (A, 0, "b"), (np.ones(5)[:3], 2)]:
        jitted({"w": params}, *rest)
    explained = jitted.explain()
    assert "a new signature: ((i0 % 3) == 1) was False, now True" in explained
    assert "a new signature: x0_w was f64[3], now f32[3]" in explained
    assert "a new signature: the arguments are nested in another way\n" in explained
    assert jitted.stats.traces == 4
    assert "`rate` changed from 0.1 to 0.2" in explained_after(jit(make(0.2, 4)))
    assert "`data` changed from a float64 array of shape (4, 3) to" in explained_after(jit(make(0.2, 6)))


def explained_after(jitted):
    jitted({"w": A}, 0)
    return jitted.explain()


def test_verify():
    jitted = jit(loss, verify=True)
    for x in (A, B):
        assert_same(jitted(x), loss(x))
    assert jitted.stats.replays == 1


def test_assert_max_traces():
    jitted = jit(loss)
    with assert_max_traces(jitted, 1):
        jitted(A)
        jitted(B)
    with pytest.raises(TraceLimitError), assert_max_traces(jitted, 0):
        jitted(np.ones(7))


def test_decorators_and_names():
    @jit
    def named(x):
        """Doc."""
        return x * 2

    @jit(max_paths=3)
    def limited(x):
        return x * 2

    assert named.__name__ == "named" and named.__doc__ == "Doc."
    assert_same(limited(A), A * 2)
    assert grad(loss, jit=True).__name__ == grad(loss).__name__


def test_calls_add_up():
    jitted = jit(lambda x: x * float(x[0]) if x[0] > 0 else x[9])
    for x in (A, B, A, B, A * 2):
        jitted(x)
    with pytest.raises(IndexError):
        jitted(-A)
    assert jitted.stats.calls == 6


@pytest.mark.parametrize("operator", [jit, grad, value_and_grad, hessian, jacobian, multigrad_dict, deriv])
def test_pickles_of_importable_functions(operator):
    compiled = operator(loss) if operator is jit else operator(loss, jit=True)
    again = pickle.loads(pickle.dumps(compiled))
    assert again is not compiled and again.__name__ == compiled.__name__ and type(again) is type(compiled)
    for x in (A, B, A):
        assert_same(again(x), compiled(x))
    with_options = pickle.loads(pickle.dumps(grad(squares, argnum=1, jit=True, max_paths=3)))
    assert_same(with_options(A, B), 2 * B * A)
    assert with_options._handle.options.max_paths == 3


def squares(x, y):
    return anp.sum(x * y**2)


def test_pickles_by_name_and_copies():
    for compiled in (MODULE_LEVEL, decorated):
        assert copy.deepcopy(compiled) is copy.copy(compiled) is compiled
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(jit(lambda x: x))
    cloudpickle = pytest.importorskip("cloudpickle")
    again = cloudpickle.loads(cloudpickle.dumps(grad(lambda x: loss(x) * 2, jit=True)))
    assert_same(again(A), grad(loss)(A) * 2)


@jit
def decorated(x):
    return loss(x)


MODULE_LEVEL = jit(loss)


class Scaled:
    def __init__(self, scale):
        self.scale = scale

    @jit
    def loss(self, x):
        return anp.sum(x * self.scale)


def test_compiled_methods_are_bound():
    first, second = Scaled(np.full(3, 2.0)), Scaled(np.full(3, 5.0))
    for x in (A, B):
        assert_same([first.loss(x), second.loss(x), Scaled.loss(first, x)], [np.sum(x) * k for k in (2.0, 5.0, 2.0)])
    assert_same(grad(first.loss, jit=True)(A), first.scale)


def test_the_outer_function_of_a_gauss_newton_product_is_captured():
    scale = np.array(2.0)
    product = make_ggnvp(lambda x: anp.tanh(x), lambda y: scale * anp.sum(y**2), jit=True)
    plain = make_ggnvp(lambda x: anp.tanh(x), lambda y: scale * anp.sum(y**2))
    for value in (2.0, 2.0, 3.0):
        scale[...] = value
        assert_same(product(A)(B), plain(A)(B))


def test_two_thousand_signatures_are_bounded():
    jitted = jit(lambda x: x + 1.0, max_signatures=64)
    for size in range(300):
        jitted(np.ones(size))
    assert len(jitted._handle.compiled.entries) <= 64


@pytest.mark.cpu
def test_a_defect_in_lowering_does_not_lose_the_answer(monkeypatch):
    program = importlib.import_module("autograd_jit.lower.program")
    monkeypatch.setattr(program, "expand", lambda tape: 1 / 0)
    jitted = jit(lambda x: np.sum(x * 3.0), compile="background")
    assert jitted(A) == np.sum(A * 3.0)
    assert jitted.stats.kernels_compiled == 0  # who asks has it lowered
    with pytest.warns(FallbackWarning, match="lowering failed"):
        assert jitted(B) == np.sum(B * 3.0)
    assert jitted.stats.replays == 0


def test_sums_over_unit_axes_are_replayed():
    """Nothing is left to add up: the kernel must store, not add to what lay in memory."""
    jitted = jit(lambda x: anp.sum(x * x, axis=0) + 1.0)
    for seed in range(4):
        x = np.random.default_rng(seed).normal(size=(1, 5))
        assert_same(jitted(x), np.sum(x * x, axis=0) + 1.0)
    assert jitted.stats.replays == 3


@pytest.mark.parametrize("operator", [jit, grad])
def test_a_function_that_wraps_a_compiled_one_is_compiled_itself(operator):
    """``functools.wraps`` gives it all attributes of the inner compiled function."""
    inner = jit(lambda x: anp.sum(x**2))

    @functools.wraps(inner)
    def twice(x):
        return 2.0 * inner(x)

    outer = operator(twice) if operator is jit else operator(twice, jit=True)
    want = 2.0 * np.sum(A**2) if operator is jit else 4.0 * A
    for _ in range(3):
        assert_same(outer(A), want)
    assert outer.stats.replays == 2
