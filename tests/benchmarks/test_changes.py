"""Counts, which do not depend on the machine; `python -m benchmarks.changes` tells the times."""

from benchmarks.changes import PATHS, new_paths, new_shapes


def test_a_new_shape_compiles_nothing():
    change = new_shapes()
    assert change.compiled == 0 and 80 <= change.operations <= 160
    assert change.first_ms > 0 and change.lowering_ms > 0


def test_a_new_path_compiles_at_most_the_kernel_of_its_guards():
    change = new_paths()
    assert change.compiled <= len(PATHS) - 1 and "interpreted calls" in str(change)
