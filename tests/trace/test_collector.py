"""The garbage collector is as it was after a recording, whatever happens in it."""

import gc
import threading

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import background, jit
from autograd_jit.trace import collector


@pytest.fixture(autouse=True)
def _restored():
    background.wait(60)  # kernels of an earlier test may still be compiled, with the collector relaxed
    enabled, thresholds = gc.isenabled(), gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.enable() if enabled else gc.disable()


@pytest.mark.parametrize("enabled", [True, False])
def test_paused_gives_back_what_it_found(enabled):
    gc.enable() if enabled else gc.disable()
    with collector.paused():
        assert not gc.isenabled()
    assert gc.isenabled() is enabled
    with pytest.raises(KeyError), collector.paused():
        raise KeyError
    assert gc.isenabled() is enabled


def test_relaxed_nests_and_gives_back_what_it_found():
    gc.set_threshold(700, 10, 10)
    with collector.relaxed():
        with collector.relaxed():
            assert gc.get_threshold() == collector.RELAXED
        assert gc.get_threshold() == collector.RELAXED
    assert gc.get_threshold() == (700, 10, 10)


def test_threads_that_overlap_leave_the_thresholds_alone():
    gc.set_threshold(700, 10, 10)
    inside, leave = threading.Event(), threading.Event()

    def first():
        with collector.relaxed():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(10)
    with collector.relaxed():
        leave.set()
        thread.join()
    assert gc.get_threshold() == (700, 10, 10)


def test_a_collector_that_is_off_stays_off():
    gc.set_threshold(0, 10, 10)
    with collector.relaxed():
        assert gc.get_threshold()[0] == 0
    assert gc.get_threshold() == (0, 10, 10)


def test_thresholds_that_the_function_sets_stand():
    gc.set_threshold(700, 10, 10)

    def function(x):
        gc.set_threshold(600, 5, 5)
        return anp.sum(x)

    jit(function)(np.ones(3))
    assert gc.get_threshold() == (600, 5, 5)


def test_a_call_leaves_the_collector_as_it_was():
    gc.set_threshold(700, 10, 10)
    jit(lambda x: anp.sum(x * 3.0))(np.ones(3))
    assert gc.get_threshold() == (700, 10, 10) and gc.isenabled()
