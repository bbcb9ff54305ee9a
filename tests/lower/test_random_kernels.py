"""Random graphs by LLVM kernels and by the printed Python against NumPy."""

from __future__ import annotations

import contextlib
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograd_jit import config
from autograd_jit.kernels import thread_pool
from autograd_jit.lower import parts
from autograd_jit.lower.graph import View
from tests.lower.graphs import by_kernels, by_numpy, run_in_parts, run_native, run_python
from tests.lower.random_graphs import ROW_KINDS, WINDOW_KINDS, graphs

QUIET = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,  # the fast suite does not depend on luck; -m slow searches
    "database": None,
}


def compare(case, run, shares_rows: bool = True) -> None:
    graph, arrays, inexact = case
    expected, largest = by_numpy(graph, arrays)
    found = by_kernels(graph, arrays, run, shares_rows)
    for out, got, want in zip(graph.outputs, found, expected, strict=True):
        context = f"{out} of\n{graph}"
        if any(value in inexact for value in _sources(graph, out)):
            precision = float(np.finfo(want.dtype).eps) if want.dtype.kind == "f" else 0.0
            np.testing.assert_allclose(got, want, rtol=1e3 * precision, atol=1e3 * precision * largest, err_msg=context)
        else:
            np.testing.assert_array_equal(got, want, err_msg=context)


def _sources(graph, out) -> set:
    """The value itself and those that it is a copy of."""
    values = {out.value}
    for node in reversed(graph.nodes):
        if any(value in values for value in node.outs):
            values.update(operand.value for operand in node.operands() if isinstance(operand, View))
    return values


@settings(max_examples=300, **QUIET)
@given(graphs())
def test_llvm_kernels_compute_what_numpy_does(case):
    compare(case, run_native)


@settings(max_examples=300, **QUIET)
@given(graphs())
def test_printed_python_computes_what_numpy_does(case):
    compare(case, run_python)


@settings(max_examples=150, **QUIET)
@given(st.one_of(graphs(ROW_KINDS), graphs(WINDOW_KINDS)))
def test_rows_and_windows_by_both_printers(case):
    compare(case, run_native)
    compare(case, run_python)


@settings(max_examples=300, **QUIET)
@given(st.one_of(graphs(), graphs(ROW_KINDS), graphs(WINDOW_KINDS)), st.integers(2, 4))
def test_parts_compute_what_the_whole_does(case, threads):
    with shared_at_any_size(threads):
        compare(case, run_in_parts)


@pytest.mark.skipif(not thread_pool.supported(), reason="nothing is cut where there are no threads")
def test_most_kernels_can_be_cut():
    """So that the test above tests something."""
    cuts = []

    @settings(max_examples=100, **QUIET)
    @given(st.one_of(graphs(), graphs(ROW_KINDS), graphs(WINDOW_KINDS)))
    def search(case):
        compare(case, lambda launch, memory: cuts.append(run_in_parts(launch, memory)))

    with shared_at_any_size(2):
        search()
    assert sum(cuts) > 0.3 * len(cuts)


@contextlib.contextmanager
def shared_at_any_size(threads):
    """Blocks of totals keep their size, which is the kernel's."""
    with (
        mock.patch.object(parts, "LEAST_SECONDS", 0.0),
        mock.patch.object(parts, "FEWEST_TURNS", 2),
        mock.patch.object(parts, "LINE", 1),
        mock.patch.object(parts, "STRIP", 1),
        config(threads=threads),
    ):
        yield


@settings(max_examples=6, **QUIET)
@given(graphs())
def test_numba_kernels_compute_what_numpy_does(case):
    with config(compiler="numba"):
        compare(case, run_native)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_many_random_graphs(case):
    compare(case, run_native)
    compare(case, run_python)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(graphs(ROW_KINDS), graphs(WINDOW_KINDS)))
def test_many_rows_and_windows(case):
    compare(case, run_native)
    compare(case, run_python)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(graphs(ROW_KINDS), graphs(WINDOW_KINDS)))
def test_rows_and_windows_by_numba(case):
    with config(compiler="numba"):
        compare(case, run_native)
