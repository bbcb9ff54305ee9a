"""Every registered function of the numpy package, over its samples: value, first and second derivatives."""

import numpy as np
import pytest

from tests.numpy.generator import cases, check_first_order, check_second_order, check_value, chosen

ALL = list(cases())
FAST = [case for case in ALL if chosen(case, 2)]


def _check(case):
    # Every sample's own point is smooth; what NumPy warns of there (empty slices, NaN) is part of the sample.
    with np.errstate(all="ignore"):
        check_value(case)
        if case.registration.kind == "nondifferentiable" or not case.leaves:
            return
        check_first_order(case)
        if not case.name.endswith(("-f32", "-strided")):
            check_second_order(case)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", FAST, ids=[case.name for case in FAST])
def test_sample(case):
    _check(case)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_every_sample(case):
    _check(case)


def test_every_public_function_is_registered_or_numpys_own():
    differentiable = {case.registration.name for case in ALL if case.registration.kind != "nondifferentiable"}
    assert len(differentiable) > 150
