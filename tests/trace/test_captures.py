"""Captured state: what a function reads besides its arguments is an input, guarded, or a reason to stop."""

from __future__ import annotations

import functools
import types

import numpy as np

from autograd_jit.trace.capture_walk import REBUILDABLE_MARK
from autograd_jit.trace.captures import clone_with, scan
from tests.trace.capture_support import fresh, make_loss, program

# -- fresh closures -----------------------------------------------------------------------------------------


def test_a_fresh_closure_shares_structure_and_binds_its_own_arrays():
    first, second = make_loss(np.ones(3), 2), make_loss(np.zeros(3), 2)
    captures = fresh(first)
    assert scan(second) is captures
    assert fresh(second).structure_key == captures.structure_key
    assert captures.bind(second)[0][0] == 0 and captures.bind(first)[0][0] == 1
    assert fresh(make_loss(np.ones(3), 3)).structure_key != captures.structure_key
    assert fresh(make_loss(np.ones(4), 2)).structure_key != captures.structure_key


def test_fresh_partials_lambdas_and_inner_closures():
    def fit(data):
        scale = np.full(3, 2.0)
        return functools.partial(make_loss(data, 2, lambda y: np.sum(y * scale)))

    captures = fresh(fit(np.ones(3)))
    assert len(captures.arrays) == 2
    assert scan(other := fit(np.zeros(3))) is captures
    assert clone_with(other, captures, [10.0, 100.0]).call(1.0) == 1000.0


def test_fresh_bound_methods_share_structure():
    class Model:
        def __init__(self, rate):
            self.rate = rate

        def loss(self, x):
            return x * self.rate

    captures = fresh(Model(2.0).loss)
    assert captures.unsound is None
    assert scan(Model(2.0).loss) is captures
    assert fresh(Model(2.0).loss).structure_key == captures.structure_key
    assert fresh(Model(3.0).loss).structure_key != captures.structure_key


def test_another_function_of_another_code_is_not_the_same():
    captures = fresh(make_loss(np.ones(3), 2))
    assert not captures.check(lambda p: p) and not captures.check(len) and not captures.check(None)


# -- functions ----------------------------------------------------------------------------------------------


def test_redefining_a_global_helper_is_seen():
    user = program("def helper(x): return x\ndef f(x): return helper(x)")
    captures = fresh(user.f)
    exec("def helper(x): return 2 * x", vars(user))
    assert not captures.check(user.f)
    assert "`helper`" in captures.explain_change(user.f)


def test_code_replaced_in_place_is_seen():
    user = program("def helper(x): return x\ndef f(x): return helper(x)")
    captures = fresh(user.f)
    user.helper.__code__ = (lambda x: 2 * x).__code__
    assert not captures.check(user.f)


def test_state_of_helpers_of_helpers():
    user = program(
        "rate = 1.0\ndef g(x): return x * rate\ndef h(x): return [g(x) for _ in range(2)]\ndef f(x): return h(x)"
    )
    captures = fresh(user.f)
    user.rate = 2.0
    assert not captures.check(user.f)
    assert captures.explain_change(user.f) == "`rate` changed from 1.0 to 2.0"


def test_globals_that_come_to_hide_builtins_or_to_exist():
    user = program("def f(x):\n    try:\n        return scale * sum(x)\n    except NameError:\n        return 0")
    captures = fresh(user.f)
    user.scale = 2
    assert not captures.check(user.f)
    del user.scale
    assert captures.check(user.f)
    user.sum = max
    assert not captures.check(user.f)


def test_default_arguments():
    def f(x, rate=1.0, *, power=2):
        return rate * x**power

    captures = fresh(f)
    assert captures.check(f)
    f.__defaults__ = (2.0,)
    assert not captures.check(f)
    f.__defaults__ = (1.0,)
    f.__kwdefaults__["power"] = 3
    assert not captures.check(f)


def test_function_attributes():
    user = program("def f(x): return f.rate * x\nf.rate = 1.0")
    captures = fresh(user.f)
    assert captures.check(user.f)
    user.f.rate = 2.0
    assert not captures.check(user.f)


def test_decorators_with_wraps_and_lru_cache():
    user = program(
        """
        import functools
        rate, other = 1.0, 1.0
        def decorate(fn):
            @functools.wraps(fn)
            def wrapper(*args): return fn(*args) * rate
            return wrapper
        @decorate
        def f(x): return x * other
        @functools.lru_cache
        def table(n): return n * rate
        def g(x): return x * table(3)
        """
    )
    captures = fresh(user.f)
    user.other = 2.0
    assert not captures.check(user.f)
    user.other = 1.0
    assert captures.check(user.f)
    assert "keeps its answers" in fresh(user.g).unsound


def test_recursion_and_empty_cells():
    def countdown(n):
        return 0 if n == 0 else countdown(n - 1) + len(later)

    captures = fresh(countdown)
    assert captures.check(countdown)
    later = "abc"
    assert not captures.check(countdown)


def test_user_functions_inside_library_wrappers():
    user = program(
        """
        import contextlib
        rate = 1.0
        @contextlib.contextmanager
        def scaled(): yield rate
        slow = np.vectorize(lambda x: x * rate)
        def f(x):
            with scaled() as s: return s * x
        def g(x): return slow(x)
        """
    )
    for fn in (user.f, user.g):
        user.rate = 1.0
        captures = fresh(fn)
        assert captures.unsound is None and captures.check(fn)
        user.rate = 2.0
        assert not captures.check(fn)


def test_a_rebuildable_library_wrapper():
    data = np.ones(2)
    wrapper = types.FunctionType(
        make_loss(data, 1).__code__, {"__name__": "autograd_jit.operators", "np": np}, "g", None,
        make_loss(data, 1).__closure__,
    )  # fmt: skip
    captures = fresh(wrapper)
    assert captures.arrays == () and captures.held_arrays == (data,)
    setattr(wrapper, REBUILDABLE_MARK, True)
    assert len(fresh(wrapper).arrays) == 1


def test_builtins_and_callable_objects():
    assert fresh(len).unsound is None and fresh(np.sum).check(np.sum)
    assert not fresh(np.sum).check(np.prod)
    part = functools.partial(np.dot, np.ones(2))
    assert len(fresh(part).arrays) == 1 and clone_with(part, fresh(part), [3.0]).call(4.0) == 12.0


def test_explanations_use_the_users_words():
    captures = fresh(make_loss(np.ones(3), 2))
    assert captures.explain_change(make_loss(np.ones(3), 5)) == "`n` changed from 2 to 5"
    changed = captures.explain_change(make_loss(np.ones(4), 2))
    assert changed == "`data` changed from a float64 array of shape (3,) to a float64 array of shape (4,)"
    assert "nothing" in captures.explain_change(make_loss(np.ones(3), 2))
