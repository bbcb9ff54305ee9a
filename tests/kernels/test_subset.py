"""The subset of Python that becomes machine code: each construct computes what Python computes."""

from __future__ import annotations

import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from math import log, sqrt

import numpy as np
import pytest

from autograd_jit.kernels import subset
from autograd_jit.kernels.subset import (
    Ints,
    Reals,
    by_precision,
    call_for_status,
    ints_at,
    reals_at,
    ref,
    routine,
    vector_routine,
)
from autograd_jit.kernels.vector_ir import Emission

FACTOR = 3
HALF = 0.5


def run(function, *args, real="double"):
    """The result of a routine of integers and arrays."""
    code = subset.compiled(function, real)
    kinds = [ctypes.c_void_p if isinstance(arg, np.ndarray) else ctypes.c_int64 for arg in args]
    entry = ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(code.address(function.__name__))
    return entry(*[arg.ctypes.data if isinstance(arg, np.ndarray) else arg for arg in args])


@routine
def collatz(n: int) -> int:
    steps = 0
    while n != 1 and steps < 1000:
        if n % 2 == 0:
            n = n // 2
        else:
            n = FACTOR * n + 1
        steps += 1
    return steps


def test_integers():
    assert [run(collatz, n) for n in (1, 2, 3, 27)] == [0, 1, 7, 111]


@routine
def norm(n: int, x: Reals, out: Reals) -> int:
    total = 0.0
    for i in range(n):
        total += x[i] * x[i]
    out[0] = sqrt(total) * HALF
    out[1] = log(total) - 1
    out[2] = by_precision(1.5, 2.5)
    out[3] = -abs(x[0]) / 4
    return n


@pytest.mark.parametrize("real", ["double", "float"])
def test_reals_and_functions(real):
    dtype = np.float64 if real == "double" else np.float32
    x, out = np.array([3.0, -4.0], dtype), np.zeros(4, dtype)
    assert run(norm, 2, x, out, real=real) == 2
    expected = [2.5, np.log(25.0) - 1, 1.5 if real == "double" else 2.5, -0.75]
    np.testing.assert_allclose(out, expected, rtol=1e-6)


@routine
def first_at_least(n: int, x: Reals, limit: int) -> int:
    for i in range(n):
        if not (x[i] < limit):
            return i
    return -1


@routine
def searches(n: int, x: Reals, out: Ints) -> int:
    out[0] = first_at_least(n, x, 3)
    out[1] = first_at_least(n, x + 1, 3)
    out[2] = first_at_least(n - 1, x, 100) if n > 1 or n == 0 else 7
    return 0


def test_calls_conditions_and_moved_memory():
    out = np.zeros(3, np.int64)
    run(searches, 4, np.array([1.0, 2.0, 3.0, np.nan]), out)
    assert out.tolist() == [2, 1, -1]


@routine
def recursive(n: int) -> int:
    if n < 2:
        return 1
    else:
        return n * recursive(n - 1)


def test_recursion():
    assert run(recursive, 10) == 3628800


@routine
def by_address(n: int, x: int, address: int) -> int:
    doubled = 2 * n
    seen = ints_at(ref(doubled))
    memory = reals_at(x)
    memory[0] = seen[0]
    return call_for_status(address, -5)


def test_functions_by_address_and_the_addresses_of_variables():
    x = np.zeros(1)
    absolute = ctypes.cast(ctypes.CDLL(None).abs, ctypes.c_void_p).value
    assert run(by_address, 21, x.ctypes.data, absolute) == 5
    assert x[0] == 42


@routine
def decided(n: int, x: Ints) -> int:
    """The second test must not read beyond the array."""
    i = 0
    while i < n and x[i] > 0:
        i += 1
    return i


def test_what_decides_ends_the_evaluation():
    assert run(decided, 3, np.array([1, 1, 1])) == 3
    assert run(decided, 3, np.array([1, 0, 1])) == 1
    text = subset.ir_text(decided, "double")
    assert text.index("icmp slt") < text.index("br i1") < text.index("icmp sgt")


@routine
def mixed(n: int) -> int:
    return n + 0.5


def test_a_type_that_does_not_fit_is_refused():
    with pytest.raises(TypeError, match="mixed: real where int is expected"):
        subset.ir_text(mixed, "double")


def test_the_subset_does_not_run_as_python():
    with pytest.raises(TypeError, match="machine code only"):
        reals_at(0)


def test_threads_that_come_at_once_get_one_code(monkeypatch):
    """Code is freed with its object: an address of a code that nobody keeps would be one of nothing."""
    barrier = threading.Barrier(4)
    make = subset._compile

    def slow(*args):
        barrier.wait(10)
        return make(*args)

    monkeypatch.setattr(subset, "_compile", slow)
    monkeypatch.setattr(subset, "_compiled", {})
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: subset.compiled(recursive, "double"), range(4)))
    assert all(code is codes[0] for code in codes)
    assert run(recursive, 5) == 120


def _print_squares(element):
    body = Emission(lanes=2)
    x = body.load(element, body.element(element, "%x", "%start"))
    body.store(element, body.op("fmul", element, x, x), "%out")
    body.line("ret i64 2")
    return body


@vector_routine(_print_squares)
def squares(x: Reals, start: int, out: Reals) -> int:
    raise NotImplementedError


@routine
def some_squares(x: Reals, out: Reals) -> int:
    return squares(x, 1, out) + squares(x + 2, 0, out + 2)


@pytest.mark.parametrize("real", ["double", "float"])
def test_routines_call_what_is_printed_as_vectors(real):
    x, out = np.arange(5, dtype=np.float64 if real == "double" else np.float32), np.zeros(4)
    out = out.astype(x.dtype)
    assert run(some_squares, x, out, real=real) == 4
    assert out.tolist() == [1, 4, 4, 9]
