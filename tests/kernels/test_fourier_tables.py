"""Tables of Fourier transforms: passes, and roots of unity against exact ones."""

import math

import numpy as np
import pytest

from autograd_jit.kernels.fourier_tables import RADICES, Kind, passes, plan, roots, tables

mpmath = pytest.importorskip("mpmath")


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 12, 60, 97, 1000, 16384])
def test_roots_are_rounded_once(n):
    powers = np.unique(np.linspace(0, 3 * n, 200).astype(int))
    c, s = roots(n, powers)
    unit = 0.51 if np.finfo(np.longdouble).eps < 1e-18 else 1.5
    with mpmath.workprec(200):
        for power, cosine, sine in zip(powers.tolist(), c, s, strict=True):
            angle = 2 * mpmath.pi * mpmath.mpf(power % n) / n
            for got, want in ((cosine, mpmath.cos(angle)), (sine, mpmath.sin(angle))):
                if 4 * power % n == 0:
                    assert got == round(float(want)) and not (got == 0 and math.copysign(1, got) < 0)
                else:
                    assert abs(mpmath.mpf(float(got)) - want) <= unit * math.ulp(float(want)), (n, power)


def test_a_single_root():
    assert roots(4, 1) == (0.0, 1.0) and roots(8, -2) == (0.0, -1.0)
    assert roots(6, 2)[0] == -0.5 and roots(8, 1)[0] == roots(8, 1)[1]


def test_passes():
    assert passes(64) == (8, 8) and passes(1) == () and passes(2 * 3 * 5 * 7) == (2, 3, 5, 7)
    assert passes(11) is None and passes(2 * 13) is None
    assert all(math.prod(passes(n) or (n,)) == n for n in range(1, 200))
    assert all(passes(radix) == (radix,) for radix in RADICES)


def test_tables_hold_a_root_for_each_result_that_is_turned():
    for kind, n in ((Kind.FORWARD, 60), (Kind.OF_REALS, 60), (Kind.TO_REALS, 16)):
        _, inner, start, count, *taken = plan(kind, n)
        assert count == len(taken) and math.prod(taken) == inner
        length, turned = inner, 0
        for radix in taken:
            length //= radix
            turned += (length - 1) * (radix - 1)
        assert len(tables(kind, n)) == start + 2 * turned
        assert start == (0 if inner == n else 2 * (inner // 2 + 1))
