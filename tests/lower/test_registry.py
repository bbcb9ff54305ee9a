"""Every registered function and its gradient, lowered: replays at other values give the interpreted answer.

The cases are those that tests/numpy/generator.py makes from the registry. Each is recorded once, lowered, and then
replayed at its own values and at others. A replay may find that a guard does not hold (another permutation, another
rank); it may not give another answer, and at its own values it must run.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
import zlib

import numpy as np
import pytest

import autograd_jit.scipy.signal
import autograd_jit.scipy.special  # noqa: F401 - registers their functions
from autograd_jit.divergence import Diverged
from autograd_jit.lower.graph import verify as verify_graph
from autograd_jit.lower.program import lower
from autograd_jit.trace import tree
from autograd_jit.trace.recorder import LeaveTrace, Recorder
from autograd_jit.trace.reverse import make_vjp_leaves
from autograd_jit.trace.tape import verify
from autograd_jit.trace.tape_replay import TapeReplay
from autograd_jit.trace.tracer import concrete
from tests.numpy.generator import Case, cases

SCIPY = ("special", "log_sums", "signal")
MODULES = ("autograd_jit.numpy", *[f"autograd_jit.scipy.{name}" for name in SCIPY])
ALL = [case for case in cases(MODULES) if case.leaves]
#: the fast suite takes each third case; `-m slow` takes all
FAST = [case for case in ALL if zlib.crc32(case.name.encode()) % 3 == 0]


def value_of(case: Case):
    return lambda leaves: case.call(list(leaves))


def gradient_of(case: Case):
    """The cotangents of all leaves, for outputs weighted by one."""

    def gradient(leaves):
        pull, outputs, _ = make_vjp_leaves(lambda boxes: case.outputs(list(boxes)), list(leaves))
        ones = [np.ones(np.shape(concrete(out)), np.asarray(concrete(out)).dtype) for out in outputs]
        return pull(ones)

    return gradient


def recorded(function, leaves):
    """``(tape, answer)`` of a run at these leaves; the tape is None where it cannot be replayed."""
    recorder = Recorder("tape")
    boxes = [recorder.add_input(leaf, f"x{i}") for i, leaf in enumerate(leaves)]
    try:
        answer = function(boxes)
    except LeaveTrace:  # it would write into an array: such a call is made again without the recorder
        return None, function([copy.deepcopy(leaf) for leaf in leaves])
    tape = recorder.finish(answer)
    return None if recorder.invalid else tape, tree.map_leaves(concrete, answer)


def assert_same(actual, expected, leaves) -> None:
    single = any(np.asarray(leaf).dtype.itemsize <= (8 if np.iscomplexobj(leaf) else 4) for leaf in leaves)
    for got, want in zip(actual, tree.flatten(expected)[0], strict=True):
        assert type(got) is type(want)
        if not isinstance(want, (np.ndarray, np.generic, float, complex)):
            assert got == want
            continue
        assert np.shape(got) == np.shape(want)
        assert np.asarray(got).dtype == np.asarray(want).dtype
        scale = max(1.0, float(np.max(np.abs(want), initial=0.0, where=np.isfinite(want))))
        # kernels use libmvec (4 ulp) and other orders of summation; float32 has 1e-7 of relative precision
        tolerance = 2e-4 if single else 1e-9
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale)


def assert_same_bits(actual, expected) -> None:
    """The tape replayed over NumPy calls the functions that the recorded call called."""
    for got, want in zip(actual, tree.flatten(expected)[0], strict=True):
        assert type(got) is type(want)
        if isinstance(want, (np.ndarray, np.generic, float, complex)):
            assert np.asarray(got).tobytes() == np.asarray(want).tobytes()
        else:
            assert got == want


def moved(leaf, seed: int):
    """The leaf at other values near by, in the same domain for most functions."""
    generator = np.random.default_rng(seed)
    factor = 1 - 0.02 * generator.random(np.shape(leaf))
    result = np.asarray(leaf * factor).astype(np.asarray(leaf).dtype)
    return result if isinstance(leaf, np.ndarray) else type(leaf)(result)


def check_replays(function, case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(case.leaves)
        except Exception as error:  # no such call, or no such derivative: recorded, it says the same
            with pytest.raises(type(error)):
                recorded(function, case.leaves)
            return
        tape, answer = recorded(function, case.leaves)
        if tape is None:
            return
        verify(tape)
        program = lower(tape)
        verify_graph(program.stages.graph)
        over_numpy = TapeReplay(tape)
        assert_same(program.run(tuple(case.leaves)), answer, case.leaves)
        assert_same_bits(over_numpy.run(tuple(case.leaves)), answer)
        for seed in (1, 2):
            leaves = [moved(leaf, seed) for leaf in case.leaves]
            with contextlib.suppress(Diverged):
                assert_same(over_numpy.run(tuple(leaves)), function(leaves), leaves)
            try:
                replayed = program.run(tuple(leaves))
            except Diverged:
                continue
            assert_same(replayed, function(leaves), leaves)


@pytest.mark.parametrize("case", FAST, ids=lambda case: case.name)
def test_value(case):
    check_replays(value_of(case), case)


@pytest.mark.parametrize("case", FAST, ids=lambda case: case.name)
def test_gradient(case):
    check_replays(gradient_of(case), case)


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_all_values_and_gradients(case):
    check_replays(value_of(case), case)
    check_replays(gradient_of(case), case)


def test_most_cases_can_be_replayed():
    """The checks above would pass if nothing were recorded: nearly everything must be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tapes = []
        for case in FAST[::10]:
            try:
                tapes.append(recorded(value_of(case), case.leaves)[0])
            except TypeError:  # a sample that is no call
                continue
    assert len(tapes) > 60
    assert sum(tape is not None for tape in tapes) > 0.95 * len(tapes)
