"""Two tiers of the library's routines: quick code first, the same bits from both, promoted where they are hot."""

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad
from autograd_jit.kernels import library
from autograd_jit.lower import promote, routines

pytestmark = [pytest.mark.cpu, pytest.mark.in_background]


@pytest.fixture
def unknown(monkeypatch, tmp_path):
    """No routine in memory or on disk."""
    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(routines, "_known", {})
    monkeypatch.setattr("autograd_jit.kernels.subset._compiled", {})


def spread(matrix):
    return anp.sum(anp.linalg.solve(matrix, matrix.T) ** 2) + anp.sum(anp.linalg.cholesky(anp.dot(matrix, matrix.T)))


@pytest.mark.parametrize("size", [3, 20])
def test_both_tiers_give_the_same_bits(unknown, monkeypatch, size):
    matrix = np.random.RandomState(size).randn(size, size) + size * np.eye(size)
    gradients = []
    for mode in ("never", "eager"):
        monkeypatch.setattr(routines, "_known", {})
        compiled = grad(spread, jit=True, compile=mode)
        compiled(matrix)
        gradients.append(compiled(matrix))
        assert {routine.tier for routine in routines._known.values()} == {"quick" if mode == "never" else "full"}
        assert compiled.stats.replays == 1
        compiled.clear()
    np.testing.assert_array_equal(*gradients)


def test_a_hot_program_gets_optimised_routines(unknown):
    compiled = grad(spread, jit=True, compile="background")
    matrix = np.eye(3) + 0.1
    first = compiled(matrix)
    assert compiled.stats.kernels_compiled >= 0  # waits for the program
    assert {routine.tier for routine in routines._known.values()} == {"quick"}
    compiled(matrix)
    assert promote.wait(60)
    assert {routine.tier for routine in routines._known.values()} == {"full"}
    np.testing.assert_allclose(compiled(matrix), first, rtol=1e-12)
    for routine in routines._known.values():
        tables = [user.table[:, 0] for user in routine.users]
        assert all(routine.address in table for table in tables)


def test_the_disk_keeps_both_tiers_and_the_better_one_is_taken(unknown, monkeypatch):
    code = library.routine("cholesky", np.dtype(float))
    assert routines.compiled_routine(*code, "never").tier == "quick"
    monkeypatch.setattr(routines, "_known", {})
    assert routines.compiled_routine(*code, "never").tier == "quick"
    assert routines.compiled_routine(*code, "eager").tier == "full"
    monkeypatch.setattr(routines, "_known", {})
    assert routines.compiled_routine(*code, "never").tier == "full"
