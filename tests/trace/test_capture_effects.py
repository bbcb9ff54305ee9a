"""Randomness, clocks, input and output, and state that the function itself changes, are found."""

from __future__ import annotations

import itertools
import random
import textwrap
import threading
import types

import numpy as np
import pytest

from autograd_jit.trace.captures import clone_with, scan
from tests.trace.capture_support import close_over, fresh, make_loss, program

# -- randomness, clocks, effects ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rng", [np.random.default_rng(0), np.random.RandomState(0), random.Random(0)], ids=lambda rng: type(rng).__name__
)
def test_random_generators_are_listed(rng):
    class Holder:
        pass

    holder = Holder()
    holder.rng = rng
    assert fresh(close_over(rng)).generators == (("value", rng),)
    assert fresh(lambda: holder.rng).generators == (("holder.rng", rng),)
    draw = rng.normal if hasattr(rng, "normal") else rng.gauss
    assert [found for _, found in fresh(lambda: draw()).generators] == [rng]


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("time.time()", "time.time"),
        ("tick()", "time.perf_counter"),
        ("random.random()", "random.random"),
        ("np.random.randn(3)", "numpy.random.randn"),
        ("np.random.default_rng()", "default_rng"),
        ("os.environ['HOME']", "os.environ"),
        ("os.environ.get('HOME')", "os.environ"),
        ("datetime.datetime.now()", "datetime.datetime.now"),
        ("uuid.uuid4()", "uuid.uuid4"),
        ("secrets.token_bytes()", "secrets"),
        ("clock.now()", "time.monotonic"),
        ("[tick() for _ in x]", "time.perf_counter"),
    ],
)
def test_impure_calls_are_named_with_their_lines(expression, name):
    user = program(
        f"""
        import time, random, os, datetime, uuid, secrets
        from time import perf_counter as tick
        class Clock: pass
        clock = Clock(); clock.now = time.monotonic
        def f(x): return {expression}
        """
    )
    (found,) = fresh(user.f).impure[:1]
    assert name in found
    assert "user.py:6" in found or "`" in found


def test_a_pure_function_is_not_accused():
    user = program(
        "import time, random, os\ndef f(x): return np.exp(x) + np.linalg.norm(x) + np.sort(x)[0] + os.path.sep"
    )
    captures = fresh(user.f)
    assert (captures.unsound, captures.impure, captures.effects, captures.opaque) == (None, (), (), ())


def test_effects_are_listed():
    user = program(
        "import warnings, logging\ndef f(x):\n    print(x)\n    warnings.warn('w')\n    logging.info('x')\n    return x"
    )
    captures = fresh(user.f)
    assert captures.unsound is None
    assert captures.effects == ("print", "_warnings.warn", "logging.info")


@pytest.mark.parametrize("call", ["open('x')", "eval('1')", "exec('1')", "globals()", "locals()", "input()"])
def test_calls_out_of_sight_are_unsound(call):
    user = program(f"def f(x):\n    return {call}")
    assert call.partition("(")[0] in fresh(user.f).unsound
    assert "user.py:2" in fresh(user.f).unsound


@pytest.mark.parametrize(
    "value",
    [iter([1]), (i for i in "ab"), itertools.count(), zip([1], [2]), map(abs, [1])],
    ids=lambda it: type(it).__name__,
)
def test_iterators_are_unsound(value):
    assert "iterator" in fresh(close_over(value)).unsound


def test_open_files_are_unsound():
    with open(__file__) as file:
        assert "open file" in fresh(close_over(file)).unsound


# -- state that the function changes ------------------------------------------------------------------------

CHANGES = {
    "calls": "global calls\n    calls += 1",
    "box.n": "box.n = 1",
    "box.inner.n": "box.inner.n += 1",
    "table[]": "table['k'] = 1",
    "items[]": "items[0] = 1",
    "items": "items.append(x)",
    "box.items": "box.items.append(x)",
    "X[]": "X[0] = 1.0",
    "X": "w = X\n    w += 1",
    "box.items[].n": "for item in box.items: item.n = 1",
    "Box.total": "Box.total = 1",
    "table": "table.update(a=1)",
    "seen": "(lambda: seen.add(1))()",
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_captured_state_are_named(name):
    user = program(
        """
        class Box: total = 0
        box = Box(); box.n = 0; box.inner = Box(); box.inner.n = 0; box.items = [Box()]
        calls, table, items, X, seen = 0, {"k": 0}, [0], np.zeros(2), set()
        def f(x):
            BODY
            return x
        """.replace("BODY", textwrap.indent(CHANGES[name], " " * 8).strip())
    )
    reason = fresh(user.f).unsound
    assert reason is not None and f"`{name}`" in reason and "user.py:" in reason
    assert not fresh(user.f).check(user.f)


def test_nonlocal_counters_and_methods():
    count = 0

    def f(x):
        nonlocal count
        count += 1
        return x

    class Counter:
        n = 0

        def __init__(self):
            self.fine = 1

        def step(self, x):
            self.n += 1
            return x

        def through_lambda(self, x):
            def go():
                self.n = 2

            return go()

    assert "`count`" in fresh(f).unsound
    assert "`self.n`" in fresh(Counter().step).unsound
    assert "`self.n`" in fresh(Counter().through_lambda).unsound


def test_class_methods_and_properties_that_change_state():
    user = program(
        """
        class C:
            total = 0
            @classmethod
            def count(cls): cls.total += 1
            @property
            def seen(self): self.n = 1
        c = C()
        def f(x): return C.count()
        def g(x): return c.seen
        """
    )
    assert "`cls.total`" in fresh(user.f).unsound
    assert "`self.n`" in fresh(user.g).unsound


def test_many_threads_scan_at_once():
    failures: list[object] = []

    def work():
        for n in range(100):
            fn = make_loss(np.full(3, n), n % 5)
            captures = scan(fn)
            clone = clone_with(fn, captures, [1.0]).call
            if not captures.check(fn) or captures.bind(fn)[0][0] != n or clone(2.0) != 2.0 * (n % 5):
                failures.append(n)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_functions_own_state_is_its_own():
    class Local:
        def __init__(self, n):
            self.n = n

        def step(self):
            self.n += 1
            return self.n

    def f(x):
        total = 0
        items = []

        def add(v):
            nonlocal total
            total += v
            items.append(v)

        add(x)
        local = Local(1)
        local.n = 5
        values = {}
        values["a"] = x
        values.update(b=1)
        return np.add(total, local.step()) + len(items) + np.sort([1])[0]

    assert fresh(f).unsound is None


def test_a_bound_mutator():
    items: list[int] = []
    push = items.append
    assert "push" in fresh(lambda x: push(x)).unsound


def test_changes_that_static_analysis_misses_are_found_after_the_run():
    class Box:
        pass

    box = Box()
    box.values, box.n, box.W = [0], 0, np.zeros(3)

    def bump(target):
        target.n += 1

    def extend(values):
        values.append(1)

    for fn, name in [
        (lambda x: bump(box), "box.n"),
        (lambda x: extend(box.values), "box.values"),
        (lambda x: setattr(box, "n", 7), "box.n"),
        (lambda x: np.copyto(box.W, 1.0 + box.W), "box.W"),
        (lambda x: box.values and None, None),
    ]:
        captures = fresh(fn)
        assert captures.unsound is None
        before = captures.snapshot(fn)
        assert captures.changed_since(before, fn) is None
        fn(1.0)
        changed = captures.changed_since(before, fn)
        assert changed is None if name is None else f"`{name}`" in changed


def test_rebinding_a_direct_array_during_the_run_is_found():
    user = program("X = np.zeros(2)\ndef f(x): swap()\n", swap=None)
    user.f = types.FunctionType((lambda x: X).__code__, vars(user), "f")  # noqa: F821
    captures = fresh(user.f)
    before = captures.snapshot(user.f)
    user.X = np.zeros(2)
    assert "`X`" in captures.changed_since(before, user.f)


def test_too_much_state_is_refused():
    table = [[np.zeros(1)] for _ in range(1500)]
    assert "too much state" in fresh(close_over(table)).unsound
