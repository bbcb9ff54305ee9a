"""Every registered function of the numpy package, over its samples: value, first and second derivatives."""

import numpy as np
import pytest

from tests.numpy.generator import cases, check_first_order, check_second_order, check_value

ALL = list(cases())
#: modules with tests of their own
ELSEWHERE = ("linalg", "fft", "solving", "decompositions")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_sample(case):
    # What NumPy warns of at a sample (empty slices, NaN) is part of the sample.
    with np.errstate(all="ignore"):
        check_value(case)
        if case.registration.kind == "nondifferentiable" or not case.leaves:
            return
        check_first_order(case)
        if not case.name.endswith(("-f32", "-strided")):
            check_second_order(case)


def test_names_are_unique():
    names = [case.name for case in ALL]
    assert len(set(names)) == len(names)


def test_every_differentiable_function_has_samples():
    """A function without samples would not be tested at all."""
    from autograd_jit.trace.rules import REGISTRY

    tested = {id(case.registration) for case in ALL}
    untested = [
        key
        for key, registration in REGISTRY.items()
        if key.startswith("autograd_jit.numpy") and registration.kind != "nondifferentiable"
        if id(registration) not in tested and key.split(".")[2] not in ELSEWHERE
    ]
    assert untested == []
