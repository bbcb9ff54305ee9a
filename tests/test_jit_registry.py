"""Every registered function under ``jit``: calls of each sample with other values, the later ones replays."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from autograd_jit import jit
from autograd_jit.trace import tree
from tests.jit_support import assert_same_outcome, outcome
from tests.numpy.generator import cases

CASES = {case.name: case for case in cases()}
#: functions whose program holds for the very values that were traced
DEPENDING_ON_VALUES = frozenset(["numpy.special_elementwise.real_if_close"])
FUNCTIONS = sorted({name.split("-")[0] for name in CASES})


def _scaled(value: Any, factor: float) -> Any:
    """``value`` with other numbers in its floating-point arrays."""

    def leaf(item: Any) -> Any:
        is_float = isinstance(item, np.ndarray) and item.dtype.kind in "fc"
        return (item * item.dtype.type(factor)) if is_float else copy.deepcopy(item)

    return tree.map_leaves(leaf, value)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_registered_function(function):
    for name, case in CASES.items():
        if name.split("-")[0] != function:
            continue

        def call(args: tuple, kwargs: dict, f: Any = case.function) -> Any:
            return f(*args, **kwargs)

        jitted = jit(call)
        for factor in (1.0, 1.0009765625, 1.001953125, 1.0029296875, 1.0):
            arguments = _scaled((case.args, case.kwargs), factor)
            want = outcome(call, copy.deepcopy(arguments))
            assert_same_outcome(outcome(jitted, arguments), want, f"{name} times {factor}", precision=1e-7)
        if function not in DEPENDING_ON_VALUES:
            assert jitted.stats.traces <= 2, f"{name} is traced again for other values\n{jitted.explain()}"
