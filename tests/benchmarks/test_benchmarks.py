"""The benchmarks compare and count rightly.  Times are never asserted."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from benchmarks import __main__ as command
from benchmarks import measure, report, rivals, tracer
from benchmarks.run import run
from benchmarks.workloads import SUITE

ROOT = Path(__file__).parents[2]
BRIEF = measure.Effort(rounds=1, seconds=0.0, budget=0.0)
QUICK = [workload for workload in SUITE if workload.quick]


def systems():
    """Ours in both ways, and HIPS autograd, which the tests require."""
    return [*rivals.ours(), rivals.hips_autograd()]


@pytest.mark.parametrize("workload", QUICK, ids=lambda workload: workload.name)
def test_workload(workload):
    """Every system computes the same gradient, ours natively, and another shape compiles nothing."""
    row = run(workload, systems(), BRIEF)
    assert set(row.microseconds) == {"interpreted", "compiled", "autograd"}
    assert all(seconds > 0 for seconds in row.microseconds.values())
    assert max(row.differences.values()) <= measure.TOLERANCE
    assert row.kernels_compiled_at_other_shape == (0 if workload.other_arguments else None)
    assert (row.python_steps, row.fallbacks) == (0, 0)


def test_command_writes_json(tmp_path):
    """The command as a user gives it."""
    file = tmp_path / "benchmarks.json"
    options = ["--quick", "--only", "taylor", "--only", "logistic", "--no-rivals", "--repeat", "1"]
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks", *options, "--json", str(file)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    document = json.loads(file.read_text())
    assert [row["workload"] for row in document["workloads"]] == ["logistic 4x3", "taylor sine"]
    for row in document["workloads"]:
        assert row["ratio"] > 0
        assert set(row["microseconds"]) == {"interpreted", "compiled"}
        assert set(row["first_call_seconds"]) == {"interpreted", "compiled"}
        assert f"\n{row['workload']} " in finished.stdout
    assert document["environment"]["packages"]["numpy"] == numpy.__version__


def test_unknown_workload_is_refused():
    with pytest.raises(SystemExit, match="there are: logistic 4x3, "):
        command.main(["--only", "no such thing"])


def test_quick_leaves_out_large_sizes():
    names = {workload.name for workload in command.chosen(command.arguments(["--quick"]))}
    assert "chain 1e5" in names
    assert not names & {"rosenbrock 1e6", "chain 1e6", "chain 1e7"}


@pytest.mark.parametrize("micro", tracer.MICRO, ids=lambda micro: micro.name)
def test_tracer_program(micro):
    times = tracer.run(micro, [systems()[0], systems()[2]], BRIEF)
    assert set(times) == {"interpreted", "autograd"}


# ---------------------------------------------------------------- comparing


def test_rounding_passes():
    results = {"interpreted": {"w": numpy.ones(3)}, "compiled": {"w": numpy.ones(3) + 1e-15}}
    assert measure.check("w", results, "interpreted")["compiled"] == pytest.approx(1e-15, rel=0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param([numpy.ones(3), numpy.float64(2.1)], id="value"),
        pytest.param([numpy.ones(2), numpy.float64(2.0)], id="shape"),
        pytest.param([numpy.array([1.0, 1.0, math.nan]), numpy.float64(2.0)], id="not a number"),
        pytest.param([numpy.ones(3)], id="missing leaf"),
    ],
)
def test_mismatch_is_an_error(wrong):
    right = [numpy.ones(3), numpy.float64(2.0)]
    with pytest.raises(
        measure.ResultMismatch, match="gradient of 'compiled' differs from that of 'interpreted'"
    ):
        measure.check("w", {"interpreted": right, "compiled": wrong}, "interpreted")


# ---------------------------------------------------------------- timing


def test_contestants_take_turns():
    order = []
    calls = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    measure.interleaved_medians(calls, measure.Effort(rounds=3, seconds=0.0, budget=1.0))
    assert order[2:] == ["a", "b"] * 3  # the first two calls are the warm-up


def test_slow_workloads_end_early():
    order = []
    effort = measure.Effort(rounds=100, seconds=0.0, budget=0.0)
    measure.interleaved_medians({"a": lambda: order.append("a")}, effort)
    assert len(order) == 1 + 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "    -"),
        (0.0, "    0"),
        (1234.5, "1,234"),
        (12.34, " 12.3"),
        (1.234, " 1.23"),
        (0.0123, "0.012"),
    ],
)
def test_amount(value, text):
    assert report.amount(value, 5) == text


def test_geometric_mean():
    assert report.geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
