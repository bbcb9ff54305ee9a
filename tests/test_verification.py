"""Compiled answers held against interpreted ones."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_jit.numpy as anp
import autograd_jit.numpy.random as npr
from autograd_jit import grad, jit, known_programs, verification
from autograd_jit.errors import ArgumentError, VerificationError
from autograd_jit.lower.rules import RULES

A, B = np.array([1.0, -2.0, 3.0]), np.array([0.5, 0.25, -4.0])


@pytest.fixture(autouse=True)
def no_programs_of_other_tests():
    known_programs.registry.clear()


@pytest.fixture
def wrong_tanh(monkeypatch):
    """A defect in a lowering rule."""
    monkeypatch.setitem(RULES, anp.tanh.primitive, RULES[anp.sin.primitive])


def test_the_first_differing_value_is_named_with_its_line(wrong_tanh):
    def loss(x):
        y = x * 2.0
        z = anp.tanh(y)
        return anp.sum(z * z)

    jitted = grad(loss, jit=True, verify=True)
    jitted(A)
    with pytest.raises(VerificationError, match=r"first value that differs: v\d+.* = tanh\(.*z = anp\.tanh\(y\)"):
        jitted(B)


def test_a_share_of_the_calls_is_verified(wrong_tanh):
    jitted = jit(lambda x: anp.tanh(x), verify=0.25)
    raised = []
    for number in range(12):
        try:
            jitted(A)
        except VerificationError:
            raised.append(number)
    assert raised == [4, 8]
    assert jit(lambda x: anp.tanh(x), verify=0.0)(A) is not None


def test_draws_are_those_of_the_call(wrong_tanh):
    rng = npr.RandomState(0)
    jitted = jit(lambda x: anp.tanh(x) + rng.randn(3) * 0, verify=True)
    jitted(A)
    with pytest.raises(VerificationError, match="tanh"):
        jitted(B)
    twin = np.random.RandomState(0)
    twin.randn(2, 3)
    assert rng.randn() == twin.randn()


@pytest.mark.parametrize("verify", [-1, 2, 1.5])
def test_shares_are_between_zero_and_one(verify):
    with pytest.raises(ArgumentError, match="share of calls"):
        jit(lambda x: x, verify=verify)


@pytest.mark.parametrize(
    ("got", "want", "differs"),
    [
        (1.0, 1.0 + 1e-12, False),
        (1.0, 1.0 + 1e-6, True),
        (1.0, np.float64(1.0), True),
        (1, 1.0, True),
        (A, A + 1e-12, False),
        (A, A.astype("f4"), True),
        (A.astype("f4"), A.astype("f4") * np.float32(1 + 1e-6), False),
        (A, A[:2], True),
        (np.array([1e9, 0.0]), np.array([1e9, 1e-3]), False),
        (np.array([1e-3, np.nan, np.inf]), np.array([1e-3, np.nan, np.inf]), False),
        (np.array([1, 2]), np.array([1, 3]), True),
        ([A, "x"], [A, "x"], False),
        ([A, "x"], [A, "y"], True),
        ([A], (A,), True),
        (1j, 1j + 1e-3, True),
        (None, None, False),
    ],
)
def test_difference(got, want, differs):
    assert (verification.difference(got, want) is not None) is differs
