"""The benchmarks compare and count rightly.  Times are never asserted."""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest

from benchmarks import __main__ as command
from benchmarks import measure, report, rivals, tracer
from benchmarks.run import Row
from benchmarks.worker import Bench, Failed, TooSlow, Worker

ROOT = Path(__file__).parents[2]
BRIEF = measure.Effort(rounds=1, seconds=0.0, budget=0.0)


def run_command(tmp_path, *options):
    """The command as a user gives it: the finished process and the JSON."""
    file = tmp_path / "benchmarks.json"
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--repeat", "1", *options, "--json", str(file)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout, json.loads(file.read_text())


def test_command_writes_table_json_and_picture(tmp_path):
    picture = tmp_path / "ratios.svg"
    names = ["rosenbrock 1e1", "taylor sine", "bfgs rosenbrock 1e1"]
    output, document = run_command(
        tmp_path, "--only", ",".join(names), "--rivals", "autograd", "--busy", "--picture", str(picture)
    )
    assert [row["workload"] for row in document["workloads"]] == names
    for row in document["workloads"]:
        assert {"interpreted", "compiled", "autograd"} <= set(row["microseconds"])
        assert all(time > 0 for time in row["microseconds"].values())
        assert set(row["microseconds"]) == set(row["first_call_seconds"]) == set(row["samples"])
        assert row["profile"]["python_steps"] == 0
        assert f"\n{row['workload']} " in output
    rosenbrock = document["workloads"][0]
    assert rosenbrock["compiled_at_other_shape"] == 0
    assert rosenbrock["ratios"]["njit"] > 0
    assert rosenbrock["ratios"]["grad/f"] > 0
    assert rosenbrock["peak_bytes"]["compiled"] > 0
    assert document["means"]["all"]["rows"] == 3
    assert document["environment"]["packages"]["numpy"] == numpy.__version__
    assert "taylor sine" in picture.read_text()


def test_unknown_workload_is_refused():
    with pytest.raises(SystemExit, match="there are: logistic 4x3, "):
        command.main(["--only", "no such thing"])


def test_only_takes_exact_names_before_parts():
    names = [workload.name for workload in command.chosen(command.arguments(["--only", "rosenbrock 1e1,digits"]))]
    assert names == ["rosenbrock 1e1", "digits softmax", "digits network"]


def test_quick_leaves_out_large_sizes():
    names = {workload.name for workload in command.chosen(command.arguments(["--quick"]))}
    assert "chain 1e5" in names
    assert not names & {"rosenbrock 1e6", "chain 1e6", "logistic 1e5x50"}


@pytest.mark.parametrize("micro", tracer.MICRO, ids=lambda micro: micro.name)
def test_tracer_program(micro):
    times = tracer.run(micro, [rivals.ours()[0], *rivals.hips_autograd()], BRIEF)
    assert set(times) == {"interpreted", "autograd"}


# ---------------------------------------------------------------- processes


@pytest.fixture(scope="module")
def worker():
    process = Worker("autograd")
    yield process
    process.stop()


def test_worker_answers_and_says_what_failed(worker):
    worker.ask("load", "rosenbrock 2", True)
    assert worker.ask("prepare", "autograd") is True
    assert worker.ask("first", "autograd") > 0
    here = Bench("autograd")
    here.load("rosenbrock 2", True)
    here.prepare("autograd")
    assert measure.difference(worker.ask("result", "autograd"), here.result("autograd")) == 0
    with pytest.raises(Failed, match="KeyError: 'no such contestant'"):
        worker.ask("first", "no such contestant")


def test_slow_worker_is_ended_and_comes_back(worker):
    worker.ask("load", "rosenbrock 1e3")
    worker.ask("prepare", "autograd")
    with pytest.raises(TooSlow, match="took more than 0 s"):
        worker.ask("time", "autograd", 100_000_000, patience=0.05)
    assert worker.process is None
    assert worker.ask("names") == ["autograd"]


def test_missing_family_is_a_reason(monkeypatch):
    absent = Worker("torch", sys.executable)
    monkeypatch.setattr(absent, "family", "no such family")
    with pytest.raises(Failed, match="no such family"):
        absent.start()


def test_cpu_clock_does_not_count_waiting():
    wait = lambda: time.sleep(0.02)
    assert measure.time_loop(wait, 1, measure.CLOCKS["wall"]) >= 0.02
    assert measure.time_loop(wait, 1, measure.CLOCKS["cpu"]) < 0.01


def test_peak_memory_counts_temporaries():
    bench = Bench("autograd")
    bench.load("chain 1e5")
    bench.prepare("autograd")
    assert bench.peak_bytes("autograd") > 5 * 8 * 100_000


# ---------------------------------------------------------------- the report


def row(name, compiled, *, arrays=10, loops=False, **others):
    """A row with these microseconds."""
    profile = {"largest_array": arrays, "launches": 1, "kernels": 1, "python_steps": 0}
    times = {"compiled": compiled, "interpreted": 100.0, **others}
    return Row(name, loops, False, times, {}, dict.fromkeys(times, 0.1), profile=profile)


def test_means_by_class():
    rows = [row("a", 1.0, jax=2.0), row("b", 1.0, arrays=20_000, jax=8.0), row("c", 10.0, arrays=20_000, loops=True)]
    means = report.means(rows)
    assert means["all"]["jax"] == pytest.approx(4.0)
    assert means["small"] == {"interpreted": pytest.approx(100.0), "jax": pytest.approx(2.0), "rows": 1}
    assert means["loops"]["interpreted"] == pytest.approx(10.0)


def test_shortfalls_name_the_worst_first():
    rows = [row("a", 1.0, jax=0.5, primal=0.1), row("b", 1.0, jax=0.2, primal=1.0), row("c", 1.0, jax=1.0)]
    found = report.shortfalls(rows)
    assert found["jax"] == ["b 0.20", "a 0.50"]
    assert found["grad/f"] == ["a 10.00"]
    assert found["interpreted"] == []


def test_torch_is_the_better_of_its_two():
    assert row("a", 1.0, **{"torch": 3.0, "torch.compile": 2.0}).ratio(*report.EITHER_TORCH) == pytest.approx(2.0)
    assert row("a", 1.0).ratio(*report.EITHER_TORCH) is None


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
    with pytest.raises(measure.ResultMismatch, match="gradient of 'compiled' differs from that of 'interpreted'"):
        measure.check("w", {"interpreted": right, "compiled": wrong}, "interpreted")


# ---------------------------------------------------------------- timing


def test_contestants_take_turns():
    order = []
    calls = {name: measure.Call(lambda name=name: order.append(name)) for name in "ab"}
    measure.interleaved_medians(calls, measure.Effort(rounds=3, seconds=0.0, budget=1.0))
    assert order[2:] == ["a", "b"] * 3  # the first two calls are the warm-up


def test_slow_workloads_end_early():
    order = []
    effort = measure.Effort(rounds=100, seconds=0.0, budget=0.0)
    measure.interleaved_medians({"a": measure.Call(lambda: order.append("a"))}, effort)
    assert len(order) == 1 + 3


def test_slope_along_follows_nests():
    slope, direction = measure.slope_along(
        lambda p, q: numpy.sum(p["w"] ** 2) * q + p["b"][0], ({"w": numpy.ones(3), "b": (2.0,)}, 3.0)
    )
    assert slope == pytest.approx(float(direction[0] + 6.0 * direction[1].sum()))


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
