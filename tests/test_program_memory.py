"""The limit on what programs keep: the least recently used go, nothing else changes, and their memory comes back."""

import gc
import threading
import weakref

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import config, grad, jit, program_memory
from autograd_jit.known_programs import registry

MEGABYTE = 2**20
SLACK = 10_000  # programs of a few elements more take a few bytes more


@pytest.fixture(autouse=True)
def fresh():
    """No programs but those of the test."""
    registry.clear()
    gc.collect()


def chain(x):
    """Native, and with an array that has to be kept in between."""
    powers = anp.exp(x - anp.max(x))
    return anp.sum((powers / anp.sum(powers)) ** 2)


def program_of(function, *arguments):
    return weakref.ref(function._handle.program(arguments, {}))


def called(count, sizes):
    """A gradient that was called ``count`` times at each size, and its programs."""
    function = grad(chain, jit=True)
    programs = {}
    for size in sizes:
        for _ in range(count):
            function(np.ones(size))
        programs[size] = program_of(function, np.ones(size))
    return function, programs


@pytest.mark.parametrize(
    "calls", [1, 3, 4]
)  # of two the first size alone is native, and spared: its fast path is the last
def test_the_least_recently_used_go_first(calls):
    gc.disable()  # their memory comes back at once, without a collection
    try:
        with config(memory_limit=8 * MEGABYTE):
            sizes = range(100_000, 100_012)
            _, programs = called(calls, sizes)
            alive = [size for size in sizes if programs[size]() is not None]
            assert program_memory.bytes_kept() <= 8 * MEGABYTE
    finally:
        gc.enable()
    assert 1 <= len(alive) < 12 and alive == list(sizes)[-len(alive) :]


def test_what_was_thrown_out_is_traced_again_and_right():
    with config(memory_limit=4 * MEGABYTE):
        function, programs = called(3, (100_000, 100_001, 100_002, 100_003))
        assert programs[100_000]() is None
        traces = function.stats.traces
        x = np.linspace(0, 1, 100_000)
        want = grad(chain)(x)
        for _ in range(3):
            np.testing.assert_allclose(function(x), want, rtol=1e-9)
        assert function.stats.traces == traces + 1


def test_a_program_above_the_limit_runs_alone():
    with config(memory_limit=0):
        function, _ = called(4, (1000,))
        assert function.stats.traces == 1 and function.stats.replays == 3
        other = jit(lambda x: anp.cos(x) + 1)
        other(np.ones(5))
        assert program_of(other, np.ones(5))() is not None
        function(np.ones(1000))
        assert function.stats.traces == 2  # thrown out by the other


def test_a_function_at_work_is_spared_while_others_can_go():
    at_work, programs = called(3, (100_000,))
    idle, others = called(3, (100_001, 100_002))
    at_work(np.ones(100_000))  # on the fast path, which leaves no note
    with config(memory_limit=program_memory.bytes_kept() + SLACK):
        called(1, (100_004,))
    assert idle.stats.traces == 2 and others[100_001]() is None
    assert programs[100_000]() is not None


def test_a_used_signature_is_younger_than_an_unused_one():
    _, programs = called(2, (100_000, 100_001, 100_002))
    another = grad(chain, jit=True)  # shares its programs, and comes the slow way
    another(np.ones(100_000))
    with config(memory_limit=program_memory.bytes_kept() + SLACK):
        called(1, (100_003,))
    assert programs[100_001]() is None
    assert programs[100_000]() is not None


def test_threads_call_while_programs_are_thrown_out():
    function = grad(chain, jit=True)
    wants = {size: grad(chain)(np.full(size, 0.5)) for size in range(1000, 1006)}
    wrong = []

    def work(start):
        for number in range(60):
            size = 1000 + (start + number) % 6
            try:
                answer = function(np.full(size, 0.5))
            except Exception as error:
                wrong.append(error)
                return
            if not np.allclose(answer, wants[size], rtol=1e-9):
                wrong.append(size)

    with config(memory_limit=60_000):
        threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
