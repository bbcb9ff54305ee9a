"""Closure variables watched as words of memory: every change is seen, and what is watched stays alive."""

from __future__ import annotations

import gc
import math
import types
import weakref

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import jit
from autograd_jit.kernels.executor import make_watch
from autograd_jit.lower.replay import watch
from autograd_jit.trace.capture_words import IS_KNOWN_LAYOUT, cell_word, code_word, list_words
from autograd_jit.trace.captures import scan
from tests.jit_support import assert_same

A = np.array([1.0, -2.0, 3.0])


def make():
    """A function, and functions that change its variables."""
    rate, name, parts, data, library = 0.5, "a", [1, 2.5], np.ones(3), math

    def halve(x):
        return x * rate

    def fun(x):
        return halve(x) * data + parts[1] * library.pi if name == "a" else x

    def assign(**values):
        nonlocal rate, name, parts, data, halve, library
        library = values.get("library", library)
        rate, name = values.get("rate", rate), values.get("name", name)
        parts, data, halve = values.get("parts", parts), values.get("data", data), values.get("halve", halve)

    return fun, assign, parts, halve


CHANGES = {
    "a number": lambda assign, parts, halve: assign(rate=1.5),
    "text": lambda assign, parts, halve: assign(name="b"),
    "an element of a list": lambda assign, parts, halve: parts.__setitem__(1, 7.0),
    "a list that grows": lambda assign, parts, halve: parts.append(3),
    "a list that shrinks": lambda assign, parts, halve: parts.pop(),
    "another list": lambda assign, parts, halve: assign(parts=[1, 9.5]),
    "another module": lambda assign, parts, halve: assign(library=types.SimpleNamespace(pi=3)),
    "another function": lambda assign, parts, halve: assign(halve=lambda x: x * 4),
    "other code of a function": lambda assign, parts, halve: setattr(
        halve, "__code__", halve.__code__.replace(co_name="h")
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_seen(name):
    fun, assign, parts, halve = make()
    captures = scan(fun)
    assert captures.has_words and IS_KNOWN_LAYOUT
    unchanged = watch(captures, fun)
    assert unchanged() is True and captures.check_rest(fun)
    CHANGES[name](assign, parts, halve)
    assert unchanged() is False


@pytest.mark.parametrize("name", CHANGES)
def test_compiled_functions_see_the_change(name):
    fun, assign, parts, halve = make()
    jitted = jit(fun)
    for _ in range(3):
        assert_same(jitted(A), fun(A))
    try:
        CHANGES[name](assign, parts, halve)
        for _ in range(3):
            assert_same(jitted(A), fun(A))
    except IndexError:
        with pytest.raises(IndexError):
            jitted(A)


def test_equal_values_in_other_objects_are_no_change_of_the_answer():
    fun, assign, _, _ = make()
    jitted = jit(fun)
    jitted(A), jitted(A)
    assign(rate=float("0.5"), name="".join(["a"]), parts=[1, float("2.5")], data=np.ones(3) * 2)
    assert_same(jitted(A), fun(A))
    assert jitted.stats.traces <= 1 and jitted.stats.fallbacks == 0


def test_arrays_are_not_kept_alive():
    fun, assign, _, _ = make()
    jitted = jit(fun)
    jitted(A), jitted(A)
    data = np.ones(3)
    reference = weakref.ref(data)
    assign(data=data)
    jitted(A)
    assign(data=np.ones(3))
    del data
    jitted(A)
    gc.collect()
    assert reference() is None


def test_words_that_are_watched():
    fun, _, parts, halve = make()
    cells = dict(zip(fun.__code__.co_freevars, fun.__closure__))
    words = [*cell_word(cells["parts"]), *list_words(parts), *code_word(halve)]
    unchanged = make_watch(words)
    assert unchanged() is True
    for _ in range(100_000):  # the same two answers, over and over: their counts of references stay right
        unchanged()
    parts.extend(range(1000))
    assert unchanged() is False
    assert make_watch([])() is True


def test_an_object_at_the_address_of_a_dead_one_is_no_match():
    def close_over(value):
        def fun(x):
            return x * anp.sum(value[0])

        return fun, lambda new: fun.__closure__[0].__class__ and setattr(fun.__closure__[0], "cell_contents", new)

    fun, assign = close_over((1.0 + 2**-30, 2))
    unchanged = watch(scan(fun), fun)
    for number in range(200):
        assign((float(number), 2))  # the first tuple would be free, and its memory taken, if nothing held it
        assert unchanged() is False


def test_words_alone_tell_modules_functions_and_what_two_variables_share():
    """Nothing is left to check in Python where a function captures these only; an array is the user's, and checked."""
    library, data = np, np.ones(3)

    def inner(x):
        return library.pi * x

    def fun(x):
        return inner(x) if x[0] > library.e else fun(-x)

    def on_data(x):
        return inner(x) * data

    captures = scan(fun)
    unchanged = watch(captures, fun)
    assert unchanged() and not captures.has_rest
    assert scan(on_data).has_rest
    library = math
    assert not unchanged() and not captures.check_values(fun)
    library = np
    assert unchanged()
    fun, kept = inner, fun
    assert not unchanged() and not captures.check_values(kept)
