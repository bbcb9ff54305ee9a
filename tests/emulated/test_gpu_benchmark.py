"""The benchmark for the day of hardware, on the emulated device."""

from __future__ import annotations

import json

import numpy as np
import pytest

from autograd_jit import grad
from autograd_jit.trace import tree
from benchmarks import gpu

pytestmark = pytest.mark.emulated(keeps_memory=True)

WORKLOADS = gpu.workloads([100], 16)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_gradients_by_hand_are_gradients(workload):
    arguments = workload.arguments(np.random.default_rng(0), np.float64)
    by_hand = tree.flatten(workload.by_hand(np, arguments))[0]
    ours = tree.flatten(grad(workload.function)(*arguments))[0]
    for a, b in zip(by_hand, ours, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_table_and_figures(emulated_device, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gpu, "workloads", lambda sizes, rows: [WORKLOADS[0], WORKLOADS[-1]])
    monkeypatch.setattr(gpu, "MOST_CALLS", gpu.LEAST_CALLS)
    assert gpu.main(["--emulated", "--json", str(tmp_path / "figures.json")]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("EMULATED ON THE CPU")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["emulated"] and figures["copy_bandwidth"] > 0
    assert [row["dtype"] for row in figures["rows"]] == ["float32", "float64"] * 2
    for row in figures["rows"]:
        assert {"graph", "launches", "unfused", "cpu", "interpreted"} <= set(row["milliseconds"])
        assert row["kernels"] >= 1 and row["bandwidth_share"] > 0 and row["first_call_seconds"] > 0
        assert row["error"] < (1e-4 if row["dtype"] == "float32" else 1e-12)
        assert row["workload"] in shown
