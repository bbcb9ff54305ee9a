"""Functions of printed kernels that Python does not have."""

import ctypes
import ctypes.util
import itertools
import math
import struct

import numpy as np
import pytest

from autograd_jit.kernels.scalar_math import fma

LIBRARY = ctypes.util.find_library("m")
ENDS = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 1e200, -1e308, 1e-200, 0.5, 1.7e308, 3.0, 1e160]


@pytest.mark.skipif(LIBRARY is None, reason="no C library to compare with")
def test_fma_rounds_once():
    exact = ctypes.CDLL(LIBRARY).fma
    exact.restype, exact.argtypes = ctypes.c_double, [ctypes.c_double] * 3
    rng = np.random.default_rng(0)
    cases = [(x, y, z) for x, y, z in itertools.product(ENDS, repeat=3)]
    cases += [(x, y, -x * y) for x, y in itertools.product(ENDS, repeat=2)]
    for x, y, z in rng.normal(size=(5000, 3)).tolist():
        cases += [(x, y, z), (x, y, -x * y), (x, y, -x * y * (1 + 1e-15))]
    for x, y, z in cases:
        got, want = fma(x, y, z), exact(x, y, z)
        same = struct.pack("d", got) == struct.pack("d", want) or (got != got and want != want)
        assert same, (x, y, z, got, want)
