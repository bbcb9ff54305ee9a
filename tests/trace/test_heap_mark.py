"""A block at the top of the heap keeps what a replay gives back; it is cut from an array that nobody else looks at."""

import platform
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit.trace.heap_mark import MARK_BYTES, WatchedValues
from autograd_jit.trace.recorder import Recorder
from autograd_jit.trace.tape_replay import TapeReplay


def watched(*arrays):
    values = WatchedValues([None] * len(arrays))
    for place, array in enumerate(arrays):
        values[place] = array
    return values


def array(size=10_000):
    return np.arange(float(size))


def test_the_mark_is_a_small_part_of_an_array_that_died():
    values = watched(array(), array(), 1.0)
    values[0] = values[1] = values[2] = None
    mark = values.mark()
    assert mark is not None
    assert mark.nbytes == MARK_BYTES
    np.testing.assert_array_equal(mark, np.arange(float(mark.size)))
    assert not values


def test_an_array_that_somebody_has_is_not_cut():
    mine = array()
    values = watched(mine)
    values[0] = None
    assert values.mark() is None
    np.testing.assert_array_equal(mine, np.arange(10_000.0))


def test_an_array_of_which_there_is_a_view_is_not_cut():
    values = watched(array())
    view = values[0][1:]
    values[0] = None
    assert values.mark() is None
    np.testing.assert_array_equal(view, np.arange(1.0, 10_000.0))


def test_an_array_that_was_written_over_lives_on_as_the_new_value():
    values = watched(array(), None)
    values[1] = np.negative(values[0], values[0])
    values[0] = None
    assert values.mark() is None


@pytest.mark.parametrize("size", [1, MARK_BYTES // 8 - 1])
def test_what_is_no_larger_than_the_mark_leaves_none(size):
    values = watched(array(size))
    values[0] = None
    assert values.mark() is None


def test_results_that_share_memory_with_what_died_stay_whole():
    """The first replay, which leaves the mark, and the next."""
    function = lambda x: (anp.tanh(x) * 2.0)[1:-1]
    x = np.linspace(-1.0, 1.0, 5000)
    recorder = Recorder("tape")
    replay = TapeReplay(recorder.finish(function(recorder.add_input(x, "x"))))
    results = [replay.run([x])[0] for _ in range(3)]
    for result in results:
        np.testing.assert_array_equal(result, function(x))


FAULTS = """
    import resource
    import numpy as np
    import autograd_jit.numpy as anp
    from autograd_jit.trace.recorder import Recorder
    from autograd_jit.trace.tape_replay import TapeReplay

    def smoothed(x):
        for _ in range(10):
            x = anp.concatenate([x[:1], 0.5 * (x[2:] + x[:-2]), x[-1:]])
        return anp.sum(x * x)

    x = np.linspace(0.0, 1.0, 24_000)
    recorder = Recorder("tape")
    replay = TapeReplay(recorder.finish(smoothed(recorder.add_input(x, "x"))))
    counts = [resource.getrusage(resource.RUSAGE_SELF).ru_minflt for _ in range(5) if replay.run([x])]
    print(counts[-1] - counts[1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is about the heap of glibc")
def test_replays_take_no_memory_from_the_system_once_there_is_a_mark():
    """Each of three replays would fault in some 40 arrays of 47 pages."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(FAULTS)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100
