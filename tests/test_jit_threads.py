"""One compiled function called from many threads, also while it is being traced."""

from __future__ import annotations

import multiprocessing
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import config, grad, jit, value_and_grad
from tests.jit_support import assert_same

DATA = np.linspace(-1, 1, 50)


def loss(x):
    y = anp.tanh(x) * DATA
    return anp.sum(y**2) if x[0] > 0 else anp.sum(anp.exp(y))


def _inputs(count):
    return [np.full(50, (-1) ** k * (0.1 + 0.01 * k)) for k in range(count)]


@pytest.mark.parametrize("operator", [jit, lambda f: value_and_grad(f, jit=True)], ids=["jit", "value_and_grad"])
def test_many_threads_from_the_first_call_on(operator):
    jitted = operator(loss)
    plain = loss if operator is jit else value_and_grad(loss)
    inputs = _inputs(16)
    wanted = [plain(x) for x in inputs]
    barrier = threading.Barrier(8)

    def work(number):
        barrier.wait()
        return [(k % 16, jitted(inputs[k % 16])) for k in range(number, number + 200)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    for k, got in [pair for part in results for pair in part]:
        assert_same(got, wanted[k])
    assert jitted.stats.fallbacks == 0
    assert jitted.stats.traces < 40


def test_threads_with_different_shapes_and_python_steps():
    def f(x):
        return anp.sum(anp.i0(anp.sort(x)) * anp.cumsum(x)) + anp.linalg.norm(x)

    jitted, plain = grad(f, jit=True), grad(f)
    inputs = [np.random.default_rng(k).normal(size=3 + k % 5) for k in range(20)]
    wanted = [plain(x) for x in inputs]

    def work(number):
        return [(k % 20, jitted(inputs[k % 20])) for k in range(number, number + 60)]

    with ThreadPoolExecutor(6) as pool:
        for part in pool.map(work, range(6)):
            for k, got in part:
                assert_same(got, wanted[k])


def test_threads_of_fresh_closures():
    def fit(k):
        data = np.full(20, float(k))
        jitted = value_and_grad(lambda p: anp.sum((p - data) ** 2), jit=True)
        return [jitted(np.zeros(20))[0] for _ in range(5)]

    with ThreadPoolExecutor(6) as pool:
        for k, values in enumerate(pool.map(fit, range(60))):
            assert_same(values, [np.float64(20.0 * k * k)] * 5)


def test_errors_in_threads():
    def f(x):
        if x[0] < 0:
            raise ValueError("negative")
        return x * 2

    jitted = jit(f)

    def work(k):
        try:
            return jitted(np.full(3, float((-1) ** k * (k + 1))))
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        for k, got in enumerate(pool.map(work, range(100))):
            assert_same(got, "negative" if k % 2 else np.full(3, 2.0 * (k + 1)))


def test_a_jitted_function_inside_a_gradient_in_threads():
    inner = jit(lambda x: anp.sum(anp.sin(x)))
    outer = grad(lambda x: inner(x) * 2)

    def work(k):
        x = np.full(4, 0.1 * k)
        return outer(x) if k % 2 else inner(x)

    with ThreadPoolExecutor(4) as pool:
        for k, got in enumerate(pool.map(work, range(60))):
            x = np.full(4, 0.1 * k)
            assert_same(got, 2 * np.cos(x) if k % 2 else np.sum(np.sin(x)))


MODULE_LEVEL = jit(loss)


def _in_a_child(queue):
    queue.put(MODULE_LEVEL(np.full(50, 0.3)))


@pytest.mark.skipif(config.target != "cpu", reason="the emulated device is in the process of the tests alone")
def test_in_a_process_that_was_spawned():
    """Sent by pickle, to an interpreter that starts anew."""
    points = [np.full(50, 0.1 * k) for k in range(4)]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        got = pool.map(grad(loss, jit=True), points)
    assert_same(got, [grad(loss)(x) for x in points])


def test_after_a_fork():
    want = MODULE_LEVEL(np.full(50, 0.3))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking with threads about
        child = context.Process(target=_in_a_child, args=(queue,))
        child.start()
    assert_same(queue.get(timeout=60), want)
    child.join(60)
    assert child.exitcode == 0
